// RUN: symir-opt %s -p stablehlo-arrange-gathers,dce | filecheck %s

// Columns that two ops read are gathered in two halves.
func.func @two_readers(%x: tensor<4x8xi8>, %y: tensor<4x8xi8>) -> (tensor<4x3xi8>, tensor<4x3xi8>) {
  %t = stablehlo.constant dense<[5, 0, 5]> : tensor<3xi32>
  %v = "stablehlo.gather"(%x, %t) <{dimension_numbers = #stablehlo.gather<offset_dims = [0], collapsed_slice_dims = [1], start_index_map = [1], index_vector_dim = 1>, slice_sizes = array<i64: 4, 1>}> : (tensor<4x8xi8>, tensor<3xi32>) -> tensor<4x3xi8>
  %va = stablehlo.negate %v : tensor<4x3xi8>
  %vb = stablehlo.abs %v : tensor<4x3xi8>
  func.return %va, %vb : tensor<4x3xi8>, tensor<4x3xi8>
}

// CHECK-LABEL: func.func @two_readers(%x: tensor<4x8xi8>, %y: tensor<4x8xi8>) -> (tensor<4x3xi8>, tensor<4x3xi8>) {
// CHECK-NEXT:    %0 = stablehlo.constant dense<[5, 0]> : tensor<2xi32>
// CHECK-NEXT:    %1 = stablehlo.constant dense<5> : tensor<1xi32>
// CHECK-NEXT:    %2 = "stablehlo.gather"(%x, %0) <{{.*}}> : (tensor<4x8xi8>, tensor<2xi32>) -> tensor<4x2xi8>
// CHECK-NEXT:    %3 = "stablehlo.gather"(%x, %1) <{{.*}}> : (tensor<4x8xi8>, tensor<1xi32>) -> tensor<4x1xi8>
// CHECK-NEXT:    %v = stablehlo.concatenate %2, %3, dim = 1 : (tensor<4x2xi8>, tensor<4x1xi8>) -> tensor<4x3xi8>
// CHECK-NEXT:    %va = stablehlo.negate %v : tensor<4x3xi8>
// CHECK-NEXT:    %vb = stablehlo.abs %v : tensor<4x3xi8>
// CHECK-NEXT:    func.return %va, %vb : tensor<4x3xi8>, tensor<4x3xi8>
// CHECK-NEXT:  }

// One reader, though it reads them twice, becomes part of the gather.
func.func @one_reader(%x: tensor<4x8xi8>, %y: tensor<4x8xi8>) -> (tensor<4x3xi8>) {
  %t = stablehlo.constant dense<[5, 0, 5]> : tensor<3xi32>
  %v = "stablehlo.gather"(%x, %t) <{dimension_numbers = #stablehlo.gather<offset_dims = [0], collapsed_slice_dims = [1], start_index_map = [1], index_vector_dim = 1>, slice_sizes = array<i64: 4, 1>}> : (tensor<4x8xi8>, tensor<3xi32>) -> tensor<4x3xi8>
  %a = stablehlo.add %v, %v : tensor<4x3xi8>
  func.return %a : tensor<4x3xi8>
}

// CHECK-LABEL: func.func @one_reader(%x: tensor<4x8xi8>, %y: tensor<4x8xi8>) -> tensor<4x3xi8> {
// CHECK-NEXT:    %t = stablehlo.constant dense<[5, 0, 5]> : tensor<3xi32>
// CHECK-NEXT:    %v = "stablehlo.gather"(%x, %t) <{{.*}}> : (tensor<4x8xi8>, tensor<3xi32>) -> tensor<4x3xi8>
// CHECK-NEXT:    %a = stablehlo.add %v, %v : tensor<4x3xi8>
// CHECK-NEXT:    func.return %a : tensor<4x3xi8>
// CHECK-NEXT:  }

// Columns that are in a larger table are a slice, also where they come first.
func.func @a_part(%x: tensor<4x8xi8>, %y: tensor<4x8xi8>) -> (tensor<4x2xi8>, tensor<4x3xi8>) {
  %s = stablehlo.constant dense<[0, 5]> : tensor<2xi32>
  %v = "stablehlo.gather"(%x, %s) <{dimension_numbers = #stablehlo.gather<offset_dims = [0], collapsed_slice_dims = [1], start_index_map = [1], index_vector_dim = 1>, slice_sizes = array<i64: 4, 1>}> : (tensor<4x8xi8>, tensor<2xi32>) -> tensor<4x2xi8>
  %a = stablehlo.negate %v : tensor<4x2xi8>
  %t = stablehlo.constant dense<[5, 0, 5]> : tensor<3xi32>
  %w = "stablehlo.gather"(%x, %t) <{dimension_numbers = #stablehlo.gather<offset_dims = [0], collapsed_slice_dims = [1], start_index_map = [1], index_vector_dim = 1>, slice_sizes = array<i64: 4, 1>}> : (tensor<4x8xi8>, tensor<3xi32>) -> tensor<4x3xi8>
  %b = stablehlo.negate %w : tensor<4x3xi8>
  func.return %a, %b : tensor<4x2xi8>, tensor<4x3xi8>
}

// CHECK-LABEL: func.func @a_part(%x: tensor<4x8xi8>, %y: tensor<4x8xi8>) -> (tensor<4x2xi8>, tensor<4x3xi8>) {
// CHECK-NEXT:    %0 = stablehlo.constant dense<[5, 0]> : tensor<2xi32>
// CHECK-NEXT:    %1 = stablehlo.constant dense<5> : tensor<1xi32>
// CHECK-NEXT:    %2 = "stablehlo.gather"(%x, %0) <{{.*}}> : (tensor<4x8xi8>, tensor<2xi32>) -> tensor<4x2xi8>
// CHECK-NEXT:    %3 = "stablehlo.gather"(%x, %1) <{{.*}}> : (tensor<4x8xi8>, tensor<1xi32>) -> tensor<4x1xi8>
// CHECK-NEXT:    %w = stablehlo.concatenate %2, %3, dim = 1 : (tensor<4x2xi8>, tensor<4x1xi8>) -> tensor<4x3xi8>
// CHECK-NEXT:    %v = stablehlo.slice %w [0:4, 1:3] : (tensor<4x3xi8>) -> tensor<4x2xi8>
// CHECK-NEXT:    %a = stablehlo.negate %v : tensor<4x2xi8>
// CHECK-NEXT:    %b = stablehlo.negate %w : tensor<4x3xi8>
// CHECK-NEXT:    func.return %a, %b : tensor<4x2xi8>, tensor<4x3xi8>
// CHECK-NEXT:  }

// The same columns in another order, and columns of something else, are no part.
func.func @no_parts(%x: tensor<4x8xi8>, %y: tensor<4x8xi8>) -> (tensor<4x2xi8>, tensor<4x3xi8>, tensor<4x2xi8>) {
  %s = stablehlo.constant dense<[5, 0]> : tensor<2xi32>
  %v = "stablehlo.gather"(%x, %s) <{dimension_numbers = #stablehlo.gather<offset_dims = [0], collapsed_slice_dims = [1], start_index_map = [1], index_vector_dim = 1>, slice_sizes = array<i64: 4, 1>}> : (tensor<4x8xi8>, tensor<2xi32>) -> tensor<4x2xi8>
  %a = stablehlo.negate %v : tensor<4x2xi8>
  %t = stablehlo.constant dense<[0, 5, 6]> : tensor<3xi32>
  %w = "stablehlo.gather"(%x, %t) <{dimension_numbers = #stablehlo.gather<offset_dims = [0], collapsed_slice_dims = [1], start_index_map = [1], index_vector_dim = 1>, slice_sizes = array<i64: 4, 1>}> : (tensor<4x8xi8>, tensor<3xi32>) -> tensor<4x3xi8>
  %b = stablehlo.negate %w : tensor<4x3xi8>
  %u = stablehlo.constant dense<[0, 5]> : tensor<2xi32>
  %z = "stablehlo.gather"(%y, %u) <{dimension_numbers = #stablehlo.gather<offset_dims = [0], collapsed_slice_dims = [1], start_index_map = [1], index_vector_dim = 1>, slice_sizes = array<i64: 4, 1>}> : (tensor<4x8xi8>, tensor<2xi32>) -> tensor<4x2xi8>
  %c = stablehlo.negate %z : tensor<4x2xi8>
  func.return %a, %b, %c : tensor<4x2xi8>, tensor<4x3xi8>, tensor<4x2xi8>
}

// CHECK-LABEL: func.func @no_parts(%x: tensor<4x8xi8>, %y: tensor<4x8xi8>) -> (tensor<4x2xi8>, tensor<4x3xi8>, tensor<4x2xi8>) {
// CHECK-NEXT:    %s = stablehlo.constant dense<[5, 0]> : tensor<2xi32>
// CHECK-NEXT:    %v = "stablehlo.gather"(%x, %s) <{{.*}}> : (tensor<4x8xi8>, tensor<2xi32>) -> tensor<4x2xi8>
// CHECK-NEXT:    %a = stablehlo.negate %v : tensor<4x2xi8>
// CHECK-NEXT:    %t = stablehlo.constant dense<[0, 5, 6]> : tensor<3xi32>
// CHECK-NEXT:    %w = "stablehlo.gather"(%x, %t) <{{.*}}> : (tensor<4x8xi8>, tensor<3xi32>) -> tensor<4x3xi8>
// CHECK-NEXT:    %b = stablehlo.negate %w : tensor<4x3xi8>
// CHECK-NEXT:    %u = stablehlo.constant dense<[0, 5]> : tensor<2xi32>
// CHECK-NEXT:    %z = "stablehlo.gather"(%y, %u) <{{.*}}> : (tensor<4x8xi8>, tensor<2xi32>) -> tensor<4x2xi8>
// CHECK-NEXT:    %c = stablehlo.negate %z : tensor<4x2xi8>
// CHECK-NEXT:    func.return %a, %b, %c : tensor<4x2xi8>, tensor<4x3xi8>, tensor<4x2xi8>
// CHECK-NEXT:  }

// A single column cannot be halved.
func.func @one_column(%x: tensor<4x8xi8>, %y: tensor<4x8xi8>) -> (tensor<4x1xi8>, tensor<4x1xi8>) {
  %t = stablehlo.constant dense<[5]> : tensor<1xi32>
  %v = "stablehlo.gather"(%x, %t) <{dimension_numbers = #stablehlo.gather<offset_dims = [0], collapsed_slice_dims = [1], start_index_map = [1], index_vector_dim = 1>, slice_sizes = array<i64: 4, 1>}> : (tensor<4x8xi8>, tensor<1xi32>) -> tensor<4x1xi8>
  %va = stablehlo.negate %v : tensor<4x1xi8>
  %vb = stablehlo.abs %v : tensor<4x1xi8>
  func.return %va, %vb : tensor<4x1xi8>, tensor<4x1xi8>
}

// CHECK-LABEL: func.func @one_column(%x: tensor<4x8xi8>, %y: tensor<4x8xi8>) -> (tensor<4x1xi8>, tensor<4x1xi8>) {
// CHECK-NEXT:    %t = stablehlo.constant dense<5> : tensor<1xi32>
// CHECK-NEXT:    %v = "stablehlo.gather"(%x, %t) <{{.*}}> : (tensor<4x8xi8>, tensor<1xi32>) -> tensor<4x1xi8>
// CHECK-NEXT:    %va = stablehlo.negate %v : tensor<4x1xi8>
// CHECK-NEXT:    %vb = stablehlo.abs %v : tensor<4x1xi8>
// CHECK-NEXT:    func.return %va, %vb : tensor<4x1xi8>, tensor<4x1xi8>
// CHECK-NEXT:  }

// Columns that each row has of its own stay as they are, and so do rows.
func.func @others(%x: tensor<4x8xi8>, %t: tensor<4x3xi32>) -> (tensor<4x3xi8>, tensor<4x3xi8>, tensor<2x8xi8>, tensor<2x8xi8>) {
  %v = "stablehlo.gather"(%x, %t) <{dimension_numbers = #stablehlo.gather<collapsed_slice_dims = [1], operand_batching_dims = [0], start_indices_batching_dims = [0], start_index_map = [1], index_vector_dim = 2>, slice_sizes = array<i64: 1, 1>}> : (tensor<4x8xi8>, tensor<4x3xi32>) -> tensor<4x3xi8>
  %va = stablehlo.negate %v : tensor<4x3xi8>
  %vb = stablehlo.abs %v : tensor<4x3xi8>
  %r = stablehlo.constant dense<[3, 1]> : tensor<2xi32>
  %w = "stablehlo.gather"(%x, %r) <{dimension_numbers = #stablehlo.gather<offset_dims = [1], collapsed_slice_dims = [0], start_index_map = [0], index_vector_dim = 1>, slice_sizes = array<i64: 1, 8>}> : (tensor<4x8xi8>, tensor<2xi32>) -> tensor<2x8xi8>
  %wa = stablehlo.negate %w : tensor<2x8xi8>
  %wb = stablehlo.abs %w : tensor<2x8xi8>
  func.return %va, %vb, %wa, %wb : tensor<4x3xi8>, tensor<4x3xi8>, tensor<2x8xi8>, tensor<2x8xi8>
}

// CHECK-LABEL: func.func @others(%x: tensor<4x8xi8>, %t: tensor<4x3xi32>) -> (tensor<4x3xi8>, tensor<4x3xi8>, tensor<2x8xi8>, tensor<2x8xi8>) {
// CHECK-NEXT:    %v = "stablehlo.gather"(%x, %t) <{{.*}}> : (tensor<4x8xi8>, tensor<4x3xi32>) -> tensor<4x3xi8>
// CHECK-NEXT:    %va = stablehlo.negate %v : tensor<4x3xi8>
// CHECK-NEXT:    %vb = stablehlo.abs %v : tensor<4x3xi8>
// CHECK-NEXT:    %r = stablehlo.constant dense<[3, 1]> : tensor<2xi32>
// CHECK-NEXT:    %w = "stablehlo.gather"(%x, %r) <{{.*}}> : (tensor<4x8xi8>, tensor<2xi32>) -> tensor<2x8xi8>
// CHECK-NEXT:    %wa = stablehlo.negate %w : tensor<2x8xi8>
// CHECK-NEXT:    %wb = stablehlo.abs %w : tensor<2x8xi8>
// CHECK-NEXT:    func.return %va, %vb, %wa, %wb : tensor<4x3xi8>, tensor<4x3xi8>, tensor<2x8xi8>, tensor<2x8xi8>
// CHECK-NEXT:  }
