// RUN: symir-opt %s -p convert-bt-to-stablehlo --split-input-file --verify-diagnostics | filecheck %s

// Values.

// Columns of x: any table of sites, a range of them, all of them, and one per sample.
func.func @gather(%x : tensor<2x3xi8>, %sites : tensor<2x2xi32>) -> (tensor<2x2xf64>, tensor<2x2xf64>, tensor<2x3xf64>, tensor<2x2xf64>) {
  %any = stablehlo.constant dense<[2, 0]> : tensor<2xi32>
  %range = stablehlo.constant dense<[1, 2]> : tensor<2xi32>
  %all = stablehlo.constant dense<[0, 1, 2]> : tensor<3xi32>
  %a = bt.gather %x[%any] : (tensor<2x3xi8>, tensor<2xi32>) -> tensor<2x2xf64>
  %b = bt.gather %x[%range] : (tensor<2x3xi8>, tensor<2xi32>) -> tensor<2x2xf64>
  %c = bt.gather %x[%all] : (tensor<2x3xi8>, tensor<3xi32>) -> tensor<2x3xf64>
  %d = bt.gather %x[%sites] : (tensor<2x3xi8>, tensor<2x2xi32>) -> tensor<2x2xf64>
  func.return %a, %b, %c, %d : tensor<2x2xf64>, tensor<2x2xf64>, tensor<2x3xf64>, tensor<2x2xf64>
}

// CHECK-LABEL: func.func @gather(%x: tensor<2x3xi8>, %sites: tensor<2x2xi32>) -> (tensor<2x2xf64>, tensor<2x2xf64>, tensor<2x3xf64>, tensor<2x2xf64>) {
// CHECK-NEXT:    %any = stablehlo.constant dense<[2, 0]> : tensor<2xi32>
// CHECK-NEXT:    %0 = "stablehlo.gather"(%x, %any) <{dimension_numbers = #stablehlo.gather<offset_dims = [0], collapsed_slice_dims = [1], start_index_map = [1], index_vector_dim = 1>, slice_sizes = array<i64: 2, 1>}> : (tensor<2x3xi8>, tensor<2xi32>) -> tensor<2x2xi8>
// CHECK-NEXT:    %a = stablehlo.convert %0 : (tensor<2x2xi8>) -> tensor<2x2xf64>
// CHECK-NEXT:    %1 = stablehlo.slice %x [0:2, 1:3] : (tensor<2x3xi8>) -> tensor<2x2xi8>
// CHECK-NEXT:    %b = stablehlo.convert %1 : (tensor<2x2xi8>) -> tensor<2x2xf64>
// CHECK-NEXT:    %c = stablehlo.convert %x : (tensor<2x3xi8>) -> tensor<2x3xf64>
// CHECK-NEXT:    %2 = "stablehlo.gather"(%x, %sites) <{dimension_numbers = #stablehlo.gather<collapsed_slice_dims = [1], operand_batching_dims = [0], start_indices_batching_dims = [0], start_index_map = [1], index_vector_dim = 2>, slice_sizes = array<i64: 1, 1>}> : (tensor<2x3xi8>, tensor<2x2xi32>) -> tensor<2x2xi8>
// CHECK-NEXT:    %d = stablehlo.convert %2 : (tensor<2x2xi8>) -> tensor<2x2xf64>
// CHECK-NEXT:    func.return %a, %b, %c, %d : tensor<2x2xf64>, tensor<2x2xf64>, tensor<2x3xf64>, tensor<2x2xf64>
// CHECK-NEXT:  }

// A range that begins before the first site is no slice: -1 is no site. x in the type that
// is asked for is not converted.
func.func @no_slice(%x : tensor<2x3xf64>) -> tensor<2x2xf64> {
  %sites = stablehlo.constant dense<[-1, 0]> : tensor<2xi32>
  %v = bt.gather %x[%sites] : (tensor<2x3xf64>, tensor<2xi32>) -> tensor<2x2xf64>
  func.return %v : tensor<2x2xf64>
}

// CHECK-LABEL: func.func @no_slice(%x: tensor<2x3xf64>) -> tensor<2x2xf64> {
// CHECK-NEXT:    %sites = stablehlo.constant dense<[-1, 0]> : tensor<2xi32>
// CHECK-NEXT:    %v = "stablehlo.gather"(%x, %sites) <{dimension_numbers = #stablehlo.gather<offset_dims = [0], collapsed_slice_dims = [1], start_index_map = [1], index_vector_dim = 1>, slice_sizes = array<i64: 2, 1>}> : (tensor<2x3xf64>, tensor<2xi32>) -> tensor<2x2xf64>
// CHECK-NEXT:    func.return %v : tensor<2x2xf64>
// CHECK-NEXT:  }

func.func @broadcast(%h : tensor<f64>, %l : tensor<3xf64>, %hs : tensor<2xf64>) -> (tensor<2x3xf64>, tensor<2x3xf64>, tensor<2x3xf64>) {
  %a = bt.broadcast %h dims = [] : tensor<f64> -> tensor<2x3xf64>
  %b = bt.broadcast %l dims = [1] : tensor<3xf64> -> tensor<2x3xf64>
  %c = bt.broadcast %hs dims = [0] : tensor<2xf64> -> tensor<2x3xf64>
  func.return %a, %b, %c : tensor<2x3xf64>, tensor<2x3xf64>, tensor<2x3xf64>
}

// CHECK-LABEL: func.func @broadcast(%h: tensor<f64>, %l: tensor<3xf64>, %hs: tensor<2xf64>) -> (tensor<2x3xf64>, tensor<2x3xf64>, tensor<2x3xf64>) {
// CHECK-NEXT:    %a = stablehlo.broadcast_in_dim %h, dims = [] : (tensor<f64>) -> tensor<2x3xf64>
// CHECK-NEXT:    %b = stablehlo.broadcast_in_dim %l, dims = [1] : (tensor<3xf64>) -> tensor<2x3xf64>
// CHECK-NEXT:    %c = stablehlo.broadcast_in_dim %hs, dims = [0] : (tensor<2xf64>) -> tensor<2x3xf64>
// CHECK-NEXT:    func.return %a, %b, %c : tensor<2x3xf64>, tensor<2x3xf64>, tensor<2x3xf64>
// CHECK-NEXT:  }

// Connections.

// No writes: x' is x in every lane.
func.func @diagonal(%x : tensor<2x3xi8>, %a : tensor<f64>) -> (tensor<2x4x3xi8>, tensor<2x4xf64>) {
  %b = bt.branches [] = [] amplitude %a : [] [] tensor<f64> -> !bt.branches<4 x 0>
  %xp, %mels = bt.connections %x, %b : (tensor<2x3xi8>, !bt.branches<4 x 0>) -> (tensor<2x4x3xi8>, tensor<2x4xf64>)
  func.return %xp, %mels : tensor<2x4x3xi8>, tensor<2x4xf64>
}

// CHECK-LABEL: func.func @diagonal(%x: tensor<2x3xi8>, %a: tensor<f64>) -> (tensor<2x4x3xi8>, tensor<2x4xf64>) {
// CHECK-NEXT:    %[[SAME:.*]] = stablehlo.broadcast_in_dim %a, dims = [] : (tensor<f64>) -> tensor<2x4xf64>
// CHECK-NEXT:    %xp = stablehlo.broadcast_in_dim %x, dims = [0, 2] : (tensor<2x3xi8>) -> tensor<2x4x3xi8>
// The matrix elements follow the batch, wherever its samples are.
// CHECK-NEXT:    %[[SLICE:.*]] = stablehlo.slice %x [0:2, 0:1] : (tensor<2x3xi8>) -> tensor<2x1xi8>
// CHECK-NEXT:    %[[FIRST:.*]] = stablehlo.reshape %[[SLICE]] : (tensor<2x1xi8>) -> tensor<2xi8>
// CHECK-NEXT:    %[[ITSELF:.*]] = stablehlo.compare EQ, %[[FIRST]], %[[FIRST]]
// CHECK-NEXT:    %[[ALWAYS:.*]] = stablehlo.broadcast_in_dim %[[ITSELF]], dims = [0] : (tensor<2xi1>) -> tensor<2x4xi1>
// CHECK-NEXT:    %[[ZERO:.*]] = stablehlo.constant dense<0.000000e+00> : tensor<f64>
// CHECK-NEXT:    %[[ZEROS:.*]] = stablehlo.broadcast_in_dim %[[ZERO]], dims = []
// CHECK-NEXT:    %mels = stablehlo.select %[[ALWAYS]], %[[SAME]], %[[ZEROS]] : tensor<2x4xi1>, tensor<2x4xf64>
// CHECK-NEXT:    func.return %xp, %mels : tensor<2x4x3xi8>, tensor<2x4xf64>
// CHECK-NEXT:  }

// One write, always valid. A lane value is converted before it is broadcast.
func.func @one_write(%x : tensor<2x3xi8>, %v : tensor<2xf64>, %a : tensor<2xf64>) -> (tensor<2x2x3xi8>, tensor<2x2xf64>) {
  %i = stablehlo.constant dense<[2, 0]> : tensor<2xi32>
  %b = bt.branches [%i] = [%v] amplitude %a : [tensor<2xi32>] [tensor<2xf64>] tensor<2xf64> -> !bt.branches<2 x 1>
  %xp, %mels = bt.connections %x, %b : (tensor<2x3xi8>, !bt.branches<2 x 1>) -> (tensor<2x2x3xi8>, tensor<2x2xf64>)
  func.return %xp, %mels : tensor<2x2x3xi8>, tensor<2x2xf64>
}

// CHECK-LABEL: func.func @one_write(%x: tensor<2x3xi8>, %v: tensor<2xf64>, %a: tensor<2xf64>) -> (tensor<2x2x3xi8>, tensor<2x2xf64>) {
// CHECK-NEXT:    %0 = stablehlo.convert %v : (tensor<2xf64>) -> tensor<2xi8>
// CHECK-NEXT:    %1 = stablehlo.broadcast_in_dim %0, dims = [1] : (tensor<2xi8>) -> tensor<2x2xi8>
// CHECK-NEXT:    %2 = stablehlo.broadcast_in_dim %a, dims = [1] : (tensor<2xf64>) -> tensor<2x2xf64>
// CHECK-NEXT:    %3 = stablehlo.broadcast_in_dim %x, dims = [0, 2] : (tensor<2x3xi8>) -> tensor<2x2x3xi8>
// CHECK-NEXT{LITERAL}:   %4 = stablehlo.constant dense<[[false, false, true], [true, false, false]]> : tensor<2x3xi1>
// CHECK-NEXT:    %5 = stablehlo.broadcast_in_dim %4, dims = [1, 2] : (tensor<2x3xi1>) -> tensor<2x2x3xi1>
// CHECK-NEXT:    %6 = stablehlo.broadcast_in_dim %1, dims = [0, 1] : (tensor<2x2xi8>) -> tensor<2x2x3xi8>
// CHECK-NEXT:    %xp = stablehlo.select %5, %6, %3 : tensor<2x2x3xi1>, tensor<2x2x3xi8>
// CHECK:         %mels = stablehlo.select %{{.*}}, %2, %{{.*}} : tensor<2x2xi1>, tensor<2x2xf64>
// CHECK-NEXT:    func.return %xp, %mels : tensor<2x2x3xi8>, tensor<2x2xf64>
// CHECK-NEXT:  }

// Two writes; where a lane is not valid it writes back the source value, with amplitude 0.
// The later write is selected last. x that is stored in the element type is not converted.
func.func @two_writes(%x : tensor<2x3xf64>, %v : tensor<2x2xf64>, %p : tensor<2x2xi1>) -> (tensor<2x2x3xf64>, tensor<2x2xf64>) {
  %i = stablehlo.constant dense<[2, 0]> : tensor<2xi32>
  %j = stablehlo.constant dense<[0, 1]> : tensor<2xi32>
  %one = stablehlo.constant dense<1.0> : tensor<f64>
  %b = bt.branches [%i, %j] = [%v, %one] amplitude %v valid %p : [tensor<2xi32>, tensor<2xi32>] [tensor<2x2xf64>, tensor<f64>] tensor<2x2xf64>, tensor<2x2xi1> -> !bt.branches<2 x 2>
  %xp, %mels = bt.connections %x, %b : (tensor<2x3xf64>, !bt.branches<2 x 2>) -> (tensor<2x2x3xf64>, tensor<2x2xf64>)
  func.return %xp, %mels : tensor<2x2x3xf64>, tensor<2x2xf64>
}

// CHECK-LABEL: func.func @two_writes(%x: tensor<2x3xf64>, %v: tensor<2x2xf64>, %p: tensor<2x2xi1>) -> (tensor<2x2x3xf64>, tensor<2x2xf64>) {
// CHECK-NEXT:    %i = stablehlo.constant dense<[2, 0]> : tensor<2xi32>
// CHECK-NEXT:    %one = stablehlo.constant dense<1.000000e+00> : tensor<f64>
// CHECK-NEXT:    %0 = "stablehlo.gather"(%x, %i) <{dimension_numbers = #stablehlo.gather<offset_dims = [0], collapsed_slice_dims = [1], start_index_map = [1], index_vector_dim = 1>, slice_sizes = array<i64: 2, 1>}> : (tensor<2x3xf64>, tensor<2xi32>) -> tensor<2x2xf64>
// CHECK-NEXT:    %1 = stablehlo.select %p, %v, %0 : tensor<2x2xi1>, tensor<2x2xf64>
// CHECK-NEXT:    %2 = stablehlo.broadcast_in_dim %one, dims = [] : (tensor<f64>) -> tensor<2x2xf64>
// CHECK-NEXT:    %3 = stablehlo.slice %x [0:2, 0:2] : (tensor<2x3xf64>) -> tensor<2x2xf64>
// CHECK-NEXT:    %4 = stablehlo.select %p, %2, %3 : tensor<2x2xi1>, tensor<2x2xf64>
// CHECK-NEXT:    %5 = stablehlo.constant dense<0.000000e+00> : tensor<f64>
// CHECK-NEXT:    %6 = stablehlo.broadcast_in_dim %5, dims = [] : (tensor<f64>) -> tensor<2x2xf64>
// CHECK-NEXT:    %mels = stablehlo.select %p, %v, %6 : tensor<2x2xi1>, tensor<2x2xf64>
// CHECK-NEXT:    %7 = stablehlo.broadcast_in_dim %x, dims = [0, 2] : (tensor<2x3xf64>) -> tensor<2x2x3xf64>
// CHECK-NEXT{LITERAL}:   %8 = stablehlo.constant dense<[[false, false, true], [true, false, false]]> : tensor<2x3xi1>
// CHECK-NEXT:    %9 = stablehlo.broadcast_in_dim %8, dims = [1, 2] : (tensor<2x3xi1>) -> tensor<2x2x3xi1>
// CHECK-NEXT:    %10 = stablehlo.broadcast_in_dim %1, dims = [0, 1] : (tensor<2x2xf64>) -> tensor<2x2x3xf64>
// CHECK-NEXT:    %11 = stablehlo.select %9, %10, %7 : tensor<2x2x3xi1>, tensor<2x2x3xf64>
// CHECK-NEXT{LITERAL}:   %12 = stablehlo.constant dense<[[true, false, false], [false, true, false]]> : tensor<2x3xi1>
// CHECK-NEXT:    %13 = stablehlo.broadcast_in_dim %12, dims = [1, 2] : (tensor<2x3xi1>) -> tensor<2x2x3xi1>
// CHECK-NEXT:    %14 = stablehlo.broadcast_in_dim %4, dims = [0, 1] : (tensor<2x2xf64>) -> tensor<2x2x3xf64>
// CHECK-NEXT:    %xp = stablehlo.select %13, %14, %11 : tensor<2x2x3xi1>, tensor<2x2x3xf64>
// CHECK-NEXT:    func.return %xp, %mels : tensor<2x2x3xf64>, tensor<2x2xf64>
// CHECK-NEXT:  }

// Branches without, with one and with two writes: all lanes share one table of writes,
// in which a missing one has site -1. Validity may be a scalar, or differ from lane to lane.
func.func @mixed(%x : tensor<2x3xf64>, %p : tensor<i1>, %q : tensor<1xi1>) -> (tensor<2x4x3xf64>, tensor<2x4xf64>) {
  %one = stablehlo.constant dense<1.0> : tensor<f64>
  %i = stablehlo.constant dense<[2, 0]> : tensor<2xi32>
  %j = stablehlo.constant dense<1> : tensor<1xi32>
  %k = stablehlo.constant dense<2> : tensor<1xi32>
  %none = bt.branches [] = [] amplitude %one : [] [] tensor<f64> -> !bt.branches<1 x 0>
  %single = bt.branches [%i] = [%one] amplitude %one valid %p : [tensor<2xi32>] [tensor<f64>] tensor<f64>, tensor<i1> -> !bt.branches<2 x 1>
  %double = bt.branches [%j, %k] = [%one, %one] amplitude %one valid %q : [tensor<1xi32>, tensor<1xi32>] [tensor<f64>, tensor<f64>] tensor<f64>, tensor<1xi1> -> !bt.branches<1 x 2>
  %b = bt.concat %none, %single, %double : !bt.branches<1 x 0>, !bt.branches<2 x 1>, !bt.branches<1 x 2> -> !bt.branches<4 x 2>
  %xp, %mels = bt.connections %x, %b : (tensor<2x3xf64>, !bt.branches<4 x 2>) -> (tensor<2x4x3xf64>, tensor<2x4xf64>)
  func.return %xp, %mels : tensor<2x4x3xf64>, tensor<2x4xf64>
}

// CHECK-LABEL: func.func @mixed(%x: tensor<2x3xf64>, %p: tensor<i1>, %q: tensor<1xi1>) -> (tensor<2x4x3xf64>, tensor<2x4xf64>) {
// CHECK-NEXT:    %one = stablehlo.constant dense<1.000000e+00> : tensor<f64>
// CHECK-NEXT:    %i = stablehlo.constant dense<[2, 0]> : tensor<2xi32>
// CHECK-NEXT:    %0 = stablehlo.broadcast_in_dim %one, dims = [] : (tensor<f64>) -> tensor<2x1xf64>
// CHECK-NEXT:    %1 = stablehlo.broadcast_in_dim %p, dims = [] : (tensor<i1>) -> tensor<2x2xi1>
// CHECK-NEXT:    %2 = stablehlo.broadcast_in_dim %one, dims = [] : (tensor<f64>) -> tensor<2x2xf64>
// CHECK-NEXT:    %3 = "stablehlo.gather"(%x, %i) <{dimension_numbers = #stablehlo.gather<offset_dims = [0], collapsed_slice_dims = [1], start_index_map = [1], index_vector_dim = 1>, slice_sizes = array<i64: 2, 1>}> : (tensor<2x3xf64>, tensor<2xi32>) -> tensor<2x2xf64>
// CHECK-NEXT:    %4 = stablehlo.select %1, %2, %3 : tensor<2x2xi1>, tensor<2x2xf64>
// CHECK-NEXT:    %5 = stablehlo.broadcast_in_dim %one, dims = [] : (tensor<f64>) -> tensor<2x2xf64>
// CHECK-NEXT:    %6 = stablehlo.constant dense<0.000000e+00> : tensor<f64>
// CHECK-NEXT:    %7 = stablehlo.broadcast_in_dim %6, dims = [] : (tensor<f64>) -> tensor<2x2xf64>
// CHECK-NEXT:    %8 = stablehlo.select %1, %5, %7 : tensor<2x2xi1>, tensor<2x2xf64>
// CHECK-NEXT:    %9 = stablehlo.broadcast_in_dim %q, dims = [1] : (tensor<1xi1>) -> tensor<2x1xi1>
// CHECK-NEXT:    %10 = stablehlo.broadcast_in_dim %one, dims = [] : (tensor<f64>) -> tensor<2x1xf64>
// CHECK-NEXT:    %11 = stablehlo.slice %x [0:2, 1:2] : (tensor<2x3xf64>) -> tensor<2x1xf64>
// CHECK-NEXT:    %12 = stablehlo.select %9, %10, %11 : tensor<2x1xi1>, tensor<2x1xf64>
// CHECK-NEXT:    %13 = stablehlo.broadcast_in_dim %one, dims = [] : (tensor<f64>) -> tensor<2x1xf64>
// CHECK-NEXT:    %14 = stablehlo.slice %x [0:2, 2:3] : (tensor<2x3xf64>) -> tensor<2x1xf64>
// CHECK-NEXT:    %15 = stablehlo.select %9, %13, %14 : tensor<2x1xi1>, tensor<2x1xf64>
// CHECK-NEXT:    %16 = stablehlo.broadcast_in_dim %one, dims = [] : (tensor<f64>) -> tensor<2x1xf64>
// CHECK-NEXT:    %17 = stablehlo.constant dense<0.000000e+00> : tensor<f64>
// CHECK-NEXT:    %18 = stablehlo.broadcast_in_dim %17, dims = [] : (tensor<f64>) -> tensor<2x1xf64>
// CHECK-NEXT:    %19 = stablehlo.select %9, %16, %18 : tensor<2x1xi1>, tensor<2x1xf64>
// CHECK-NEXT:    %20 = stablehlo.constant dense<0.000000e+00> : tensor<f64>
// CHECK-NEXT:    %21 = stablehlo.broadcast_in_dim %20, dims = [] : (tensor<f64>) -> tensor<2x1xf64>
// CHECK-NEXT:    %22 = stablehlo.constant dense<0.000000e+00> : tensor<f64>
// CHECK-NEXT:    %23 = stablehlo.broadcast_in_dim %22, dims = [] : (tensor<f64>) -> tensor<2x2xf64>
// CHECK-NEXT:    %24 = stablehlo.concatenate %21, %4, %12, dim = 1 : (tensor<2x1xf64>, tensor<2x2xf64>, tensor<2x1xf64>) -> tensor<2x4xf64>
// CHECK-NEXT:    %25 = stablehlo.concatenate %21, %23, %15, dim = 1 : (tensor<2x1xf64>, tensor<2x2xf64>, tensor<2x1xf64>) -> tensor<2x4xf64>
// CHECK-NEXT:    %26 = stablehlo.concatenate %0, %8, %19, dim = 1 : (tensor<2x1xf64>, tensor<2x2xf64>, tensor<2x1xf64>) -> tensor<2x4xf64>
// CHECK-NEXT:    %27 = stablehlo.broadcast_in_dim %x, dims = [0, 2] : (tensor<2x3xf64>) -> tensor<2x4x3xf64>
// CHECK-NEXT{LITERAL}:   %28 = stablehlo.constant dense<[[false, false, false], [false, false, true], [true, false, false], [false, true, false]]> : tensor<4x3xi1>
// CHECK-NEXT:    %29 = stablehlo.broadcast_in_dim %28, dims = [1, 2] : (tensor<4x3xi1>) -> tensor<2x4x3xi1>
// CHECK-NEXT:    %30 = stablehlo.broadcast_in_dim %24, dims = [0, 1] : (tensor<2x4xf64>) -> tensor<2x4x3xf64>
// CHECK-NEXT:    %31 = stablehlo.select %29, %30, %27 : tensor<2x4x3xi1>, tensor<2x4x3xf64>
// CHECK-NEXT{LITERAL}:   %32 = stablehlo.constant dense<[[false, false, false], [false, false, false], [false, false, false], [false, false, true]]> : tensor<4x3xi1>
// CHECK-NEXT:    %33 = stablehlo.broadcast_in_dim %32, dims = [1, 2] : (tensor<4x3xi1>) -> tensor<2x4x3xi1>
// CHECK-NEXT:    %34 = stablehlo.broadcast_in_dim %25, dims = [0, 1] : (tensor<2x4xf64>) -> tensor<2x4x3xf64>
// CHECK-NEXT:    %xp = stablehlo.select %33, %34, %31 : tensor<2x4x3xi1>, tensor<2x4x3xf64>
// CHECK:         %mels = stablehlo.add %26, %{{.*}} : tensor<2x4xf64>
// CHECK-NEXT:    func.return %xp, %mels : tensor<2x4x3xf64>, tensor<2x4xf64>
// CHECK-NEXT:  }

// Emissions are the minor axis: tables are interleaved at compile time, values by a
// concatenation along a new last axis.
func.func @interleave(%x : tensor<2x3xf64>, %v : tensor<2x2xf64>, %w : tensor<2x2xf64>) -> (tensor<2x4x3xf64>, tensor<2x4xf64>) {
  %i = stablehlo.constant dense<[2, 0]> : tensor<2xi32>
  %j = stablehlo.constant dense<[1, 1]> : tensor<2xi32>
  %a = bt.branches [%i] = [%v] amplitude %w : [tensor<2xi32>] [tensor<2x2xf64>] tensor<2x2xf64> -> !bt.branches<2 x 1>
  %b = bt.branches [%j] = [%w] amplitude %v : [tensor<2xi32>] [tensor<2x2xf64>] tensor<2x2xf64> -> !bt.branches<2 x 1>
  %c = bt.interleave %a, %b : !bt.branches<2 x 1>, !bt.branches<2 x 1> -> !bt.branches<4 x 1>
  %xp, %mels = bt.connections %x, %c : (tensor<2x3xf64>, !bt.branches<4 x 1>) -> (tensor<2x4x3xf64>, tensor<2x4xf64>)
  func.return %xp, %mels : tensor<2x4x3xf64>, tensor<2x4xf64>
}

// CHECK-LABEL: func.func @interleave(%x: tensor<2x3xf64>, %v: tensor<2x2xf64>, %w: tensor<2x2xf64>) -> (tensor<2x4x3xf64>, tensor<2x4xf64>) {
// CHECK-NEXT:    %0 = stablehlo.reshape %v : (tensor<2x2xf64>) -> tensor<2x2x1xf64>
// CHECK-NEXT:    %1 = stablehlo.reshape %w : (tensor<2x2xf64>) -> tensor<2x2x1xf64>
// CHECK-NEXT:    %2 = stablehlo.concatenate %0, %1, dim = 2 : (tensor<2x2x1xf64>, tensor<2x2x1xf64>) -> tensor<2x2x2xf64>
// CHECK-NEXT:    %3 = stablehlo.reshape %2 : (tensor<2x2x2xf64>) -> tensor<2x4xf64>
// CHECK-NEXT:    %4 = stablehlo.reshape %w : (tensor<2x2xf64>) -> tensor<2x2x1xf64>
// CHECK-NEXT:    %5 = stablehlo.reshape %v : (tensor<2x2xf64>) -> tensor<2x2x1xf64>
// CHECK-NEXT:    %6 = stablehlo.concatenate %4, %5, dim = 2 : (tensor<2x2x1xf64>, tensor<2x2x1xf64>) -> tensor<2x2x2xf64>
// CHECK-NEXT:    %mels = stablehlo.reshape %6 : (tensor<2x2x2xf64>) -> tensor<2x4xf64>
// CHECK-NEXT:    %7 = stablehlo.broadcast_in_dim %x, dims = [0, 2] : (tensor<2x3xf64>) -> tensor<2x4x3xf64>
// CHECK-NEXT{LITERAL}:   %8 = stablehlo.constant dense<[[false, false, true], [false, true, false], [true, false, false], [false, true, false]]> : tensor<4x3xi1>
// CHECK-NEXT:    %9 = stablehlo.broadcast_in_dim %8, dims = [1, 2] : (tensor<4x3xi1>) -> tensor<2x4x3xi1>
// CHECK-NEXT:    %10 = stablehlo.broadcast_in_dim %3, dims = [0, 1] : (tensor<2x4xf64>) -> tensor<2x4x3xf64>
// CHECK-NEXT:    %xp = stablehlo.select %9, %10, %7 : tensor<2x4x3xi1>, tensor<2x4x3xf64>
// CHECK-NEXT:    func.return %xp, %mels : tensor<2x4x3xf64>, tensor<2x4xf64>
// CHECK-NEXT:  }

// Sites that are computed: the mask compares them with a count along the sites. A table
// that is the same for all samples, and one per sample; joined, each lane has its own.
func.func @computed_sites(%x : tensor<2x3xf64>, %v : tensor<2x2xf64>, %i : tensor<2xi32>, %j : tensor<2x2xi32>) -> (tensor<2x2x3xf64>, tensor<2x2xf64>, tensor<2x2x3xf64>, tensor<2x2xf64>, tensor<2x4x3xf64>, tensor<2x4xf64>) {
  %a = bt.branches [%i] = [%v] amplitude %v : [tensor<2xi32>] [tensor<2x2xf64>] tensor<2x2xf64> -> !bt.branches<2 x 1>
  %b = bt.branches [%j] = [%v] amplitude %v : [tensor<2x2xi32>] [tensor<2x2xf64>] tensor<2x2xf64> -> !bt.branches<2 x 1>
  %c = bt.concat %a, %b : !bt.branches<2 x 1>, !bt.branches<2 x 1> -> !bt.branches<4 x 1>
  %xp0, %mels0 = bt.connections %x, %a : (tensor<2x3xf64>, !bt.branches<2 x 1>) -> (tensor<2x2x3xf64>, tensor<2x2xf64>)
  %xp1, %mels1 = bt.connections %x, %b : (tensor<2x3xf64>, !bt.branches<2 x 1>) -> (tensor<2x2x3xf64>, tensor<2x2xf64>)
  %xp2, %mels2 = bt.connections %x, %c : (tensor<2x3xf64>, !bt.branches<4 x 1>) -> (tensor<2x4x3xf64>, tensor<2x4xf64>)
  func.return %xp0, %mels0, %xp1, %mels1, %xp2, %mels2 : tensor<2x2x3xf64>, tensor<2x2xf64>, tensor<2x2x3xf64>, tensor<2x2xf64>, tensor<2x4x3xf64>, tensor<2x4xf64>
}

// CHECK-LABEL: func.func @computed_sites(%x: tensor<2x3xf64>, %v: tensor<2x2xf64>, %i: tensor<2xi32>, %j: tensor<2x2xi32>) -> (tensor<2x2x3xf64>, tensor<2x2xf64>, tensor<2x2x3xf64>, tensor<2x2xf64>, tensor<2x4x3xf64>, tensor<2x4xf64>) {
// CHECK-NEXT:    %0 = stablehlo.broadcast_in_dim %x, dims = [0, 2] : (tensor<2x3xf64>) -> tensor<2x2x3xf64>
// CHECK-NEXT:    %1 = stablehlo.iota dim = 1 : tensor<2x3xi32>
// CHECK-NEXT:    %2 = stablehlo.broadcast_in_dim %i, dims = [0] : (tensor<2xi32>) -> tensor<2x3xi32>
// CHECK-NEXT:    %3 = stablehlo.compare EQ, %1, %2 : (tensor<2x3xi32>, tensor<2x3xi32>) -> tensor<2x3xi1>
// CHECK-NEXT:    %4 = stablehlo.broadcast_in_dim %3, dims = [1, 2] : (tensor<2x3xi1>) -> tensor<2x2x3xi1>
// CHECK-NEXT:    %5 = stablehlo.broadcast_in_dim %v, dims = [0, 1] : (tensor<2x2xf64>) -> tensor<2x2x3xf64>
// CHECK-NEXT:    %xp0 = stablehlo.select %4, %5, %0 : tensor<2x2x3xi1>, tensor<2x2x3xf64>
// CHECK-NEXT:    %6 = stablehlo.broadcast_in_dim %x, dims = [0, 2] : (tensor<2x3xf64>) -> tensor<2x2x3xf64>
// CHECK-NEXT:    %7 = stablehlo.iota dim = 2 : tensor<2x2x3xi32>
// CHECK-NEXT:    %8 = stablehlo.broadcast_in_dim %j, dims = [0, 1] : (tensor<2x2xi32>) -> tensor<2x2x3xi32>
// CHECK-NEXT:    %9 = stablehlo.compare EQ, %7, %8 : (tensor<2x2x3xi32>, tensor<2x2x3xi32>) -> tensor<2x2x3xi1>
// CHECK-NEXT:    %10 = stablehlo.broadcast_in_dim %v, dims = [0, 1] : (tensor<2x2xf64>) -> tensor<2x2x3xf64>
// CHECK-NEXT:    %xp1 = stablehlo.select %9, %10, %6 : tensor<2x2x3xi1>, tensor<2x2x3xf64>
// CHECK-NEXT:    %11 = stablehlo.broadcast_in_dim %i, dims = [1] : (tensor<2xi32>) -> tensor<2x2xi32>
// CHECK-NEXT:    %12 = stablehlo.concatenate %11, %j, dim = 1 : (tensor<2x2xi32>, tensor<2x2xi32>) -> tensor<2x4xi32>
// CHECK-NEXT:    %13 = stablehlo.concatenate %v, %v, dim = 1 : (tensor<2x2xf64>, tensor<2x2xf64>) -> tensor<2x4xf64>
// CHECK-NEXT:    %mels2 = stablehlo.concatenate %v, %v, dim = 1 : (tensor<2x2xf64>, tensor<2x2xf64>) -> tensor<2x4xf64>
// CHECK-NEXT:    %14 = stablehlo.broadcast_in_dim %x, dims = [0, 2] : (tensor<2x3xf64>) -> tensor<2x4x3xf64>
// CHECK-NEXT:    %15 = stablehlo.iota dim = 2 : tensor<2x4x3xi32>
// CHECK-NEXT:    %16 = stablehlo.broadcast_in_dim %12, dims = [0, 1] : (tensor<2x4xi32>) -> tensor<2x4x3xi32>
// CHECK-NEXT:    %17 = stablehlo.compare EQ, %15, %16 : (tensor<2x4x3xi32>, tensor<2x4x3xi32>) -> tensor<2x4x3xi1>
// CHECK-NEXT:    %18 = stablehlo.broadcast_in_dim %13, dims = [0, 1] : (tensor<2x4xf64>) -> tensor<2x4x3xf64>
// CHECK-NEXT:    %xp2 = stablehlo.select %17, %18, %14 : tensor<2x4x3xi1>, tensor<2x4x3xf64>
// CHECK-NEXT:    func.return %xp0, %v, %xp1, %v, %xp2, %mels2 : tensor<2x2x3xf64>, tensor<2x2xf64>, tensor<2x2x3xf64>, tensor<2x2xf64>, tensor<2x4x3xf64>, tensor<2x4xf64>
// CHECK-NEXT:  }

// Up to 256 Ki lanes x sites the mask is a constant; one site more, and it is computed.
func.func @constant_mask(%x : tensor<1x131072xi8>, %v : tensor<f64>) -> tensor<1x2x131072xi8> {
  %i = stablehlo.constant dense<[7, 5]> : tensor<2xi32>
  %b = bt.branches [%i] = [%v] amplitude %v : [tensor<2xi32>] [tensor<f64>] tensor<f64> -> !bt.branches<2 x 1>
  %xp, %mels = bt.connections %x, %b : (tensor<1x131072xi8>, !bt.branches<2 x 1>) -> (tensor<1x2x131072xi8>, tensor<1x2xf64>)
  func.return %xp : tensor<1x2x131072xi8>
}

// CHECK-LABEL: func.func @constant_mask
// CHECK-NOT:     stablehlo.iota
// CHECK:         stablehlo.constant dense<{{.*}}> : tensor<2x131072xi1>
// CHECK-NOT:     stablehlo.iota
// CHECK:         func.return

func.func @computed_mask(%x : tensor<1x131073xi8>, %v : tensor<f64>) -> tensor<1x2x131073xi8> {
  %i = stablehlo.constant dense<[7, 5]> : tensor<2xi32>
  %b = bt.branches [%i] = [%v] amplitude %v : [tensor<2xi32>] [tensor<f64>] tensor<f64> -> !bt.branches<2 x 1>
  %xp, %mels = bt.connections %x, %b : (tensor<1x131073xi8>, !bt.branches<2 x 1>) -> (tensor<1x2x131073xi8>, tensor<1x2xf64>)
  func.return %xp : tensor<1x2x131073xi8>
}

// CHECK-LABEL: func.func @computed_mask(%x: tensor<1x131073xi8>, %v: tensor<f64>) -> tensor<1x2x131073xi8> {
// CHECK-NEXT:    %i = stablehlo.constant dense<[7, 5]> : tensor<2xi32>
// CHECK-NEXT:    %0 = stablehlo.convert %v : (tensor<f64>) -> tensor<i8>
// CHECK-NEXT:    %1 = stablehlo.broadcast_in_dim %0, dims = [] : (tensor<i8>) -> tensor<1x2xi8>
// CHECK-NEXT:    %2 = stablehlo.broadcast_in_dim %x, dims = [0, 2] : (tensor<1x131073xi8>) -> tensor<1x2x131073xi8>
// CHECK-NEXT:    %3 = stablehlo.iota dim = 1 : tensor<2x131073xi32>
// CHECK-NEXT:    %4 = stablehlo.broadcast_in_dim %i, dims = [0] : (tensor<2xi32>) -> tensor<2x131073xi32>
// CHECK-NEXT:    %5 = stablehlo.compare EQ, %3, %4 : (tensor<2x131073xi32>, tensor<2x131073xi32>) -> tensor<2x131073xi1>
// CHECK-NEXT:    %6 = stablehlo.broadcast_in_dim %5, dims = [1, 2] : (tensor<2x131073xi1>) -> tensor<1x2x131073xi1>
// CHECK-NEXT:    %7 = stablehlo.broadcast_in_dim %1, dims = [0, 1] : (tensor<1x2xi8>) -> tensor<1x2x131073xi8>
// CHECK-NEXT:    %xp = stablehlo.select %6, %7, %2 : tensor<1x2x131073xi1>, tensor<1x2x131073xi8>
// CHECK-NEXT:    func.return %xp : tensor<1x2x131073xi8>
// CHECK-NEXT:  }

// A write that is no site in every lane costs nothing.
func.func @nowhere(%x : tensor<2x3xf64>, %v : tensor<f64>) -> tensor<2x2x3xf64> {
  %i = stablehlo.constant dense<[-1, -1]> : tensor<2xi32>
  %b = bt.branches [%i] = [%v] amplitude %v : [tensor<2xi32>] [tensor<f64>] tensor<f64> -> !bt.branches<2 x 1>
  %xp, %mels = bt.connections %x, %b : (tensor<2x3xf64>, !bt.branches<2 x 1>) -> (tensor<2x2x3xf64>, tensor<2x2xf64>)
  func.return %xp : tensor<2x2x3xf64>
}

// CHECK-LABEL: func.func @nowhere(%x: tensor<2x3xf64>, %v: tensor<f64>) -> tensor<2x2x3xf64> {
// CHECK-NEXT:    %xp = stablehlo.broadcast_in_dim %x, dims = [0, 2] : (tensor<2x3xf64>) -> tensor<2x2x3xf64>
// CHECK-NEXT:    func.return %xp : tensor<2x2x3xf64>
// CHECK-NEXT:  }

// No lanes, of no terms and of a term without rows.
func.func @no_lanes(%x : tensor<2x3xf64>, %v : tensor<f64>) -> (tensor<2x0x3xf64>, tensor<2x0xf64>, tensor<2x0x3xf64>, tensor<2x0xf64>) {
  %none = bt.concat : -> !bt.branches<0 x 0>
  %i = stablehlo.constant dense<> : tensor<0xi32>
  %empty = bt.branches [%i] = [%v] amplitude %v : [tensor<0xi32>] [tensor<f64>] tensor<f64> -> !bt.branches<0 x 1>
  %b = bt.interleave %empty, %empty : !bt.branches<0 x 1>, !bt.branches<0 x 1> -> !bt.branches<0 x 1>
  %xp0, %mels0 = bt.connections %x, %none : (tensor<2x3xf64>, !bt.branches<0 x 0>) -> (tensor<2x0x3xf64>, tensor<2x0xf64>)
  %xp1, %mels1 = bt.connections %x, %b : (tensor<2x3xf64>, !bt.branches<0 x 1>) -> (tensor<2x0x3xf64>, tensor<2x0xf64>)
  func.return %xp0, %mels0, %xp1, %mels1 : tensor<2x0x3xf64>, tensor<2x0xf64>, tensor<2x0x3xf64>, tensor<2x0xf64>
}

// CHECK-LABEL: func.func @no_lanes(%x: tensor<2x3xf64>, %v: tensor<f64>) -> (tensor<2x0x3xf64>, tensor<2x0xf64>, tensor<2x0x3xf64>, tensor<2x0xf64>) {
// CHECK-NEXT:    %0 = stablehlo.constant dense<0.000000e+00> : tensor<f64>
// CHECK-NEXT:    %mels0 = stablehlo.broadcast_in_dim %0, dims = [] : (tensor<f64>) -> tensor<2x0xf64>
// CHECK-NEXT:    %xp0 = stablehlo.broadcast_in_dim %x, dims = [0, 2] : (tensor<2x3xf64>) -> tensor<2x0x3xf64>
// CHECK-NEXT:    %1 = stablehlo.constant dense<0.000000e+00> : tensor<f64>
// CHECK-NEXT:    %mels1 = stablehlo.broadcast_in_dim %1, dims = [] : (tensor<f64>) -> tensor<2x0xf64>
// CHECK-NEXT:    %xp1 = stablehlo.broadcast_in_dim %x, dims = [0, 2] : (tensor<2x3xf64>) -> tensor<2x0x3xf64>
// CHECK-NEXT:    func.return %xp0, %mels0, %xp1, %mels1 : tensor<2x0x3xf64>, tensor<2x0xf64>, tensor<2x0x3xf64>, tensor<2x0xf64>
// CHECK-NEXT:  }

// Reductions along the last axis.
func.func @reduce(%v : tensor<2x7x3xf64>, %p : tensor<2x3xi1>) -> (tensor<2x7xf64>, tensor<2xi1>) {
  %a = bt.reduce prod %v : tensor<2x7x3xf64> -> tensor<2x7xf64>
  %b = bt.reduce parity %p : tensor<2x3xi1> -> tensor<2xi1>
  func.return %a, %b : tensor<2x7xf64>, tensor<2xi1>
}

// CHECK-LABEL: func.func @reduce(%v: tensor<2x7x3xf64>, %p: tensor<2x3xi1>) -> (tensor<2x7xf64>, tensor<2xi1>) {
// CHECK-NEXT:      %0 = stablehlo.constant dense<1.000000e+00> : tensor<f64>
// CHECK-NEXT:      %a = stablehlo.reduce(%v init: %0) across dimensions = [2] : (tensor<2x7x3xf64>, tensor<f64>) -> tensor<2x7xf64>
// CHECK-NEXT:      reducer(%1: tensor<f64>, %2: tensor<f64>) {
// CHECK-NEXT:        %3 = stablehlo.multiply %1, %2 : tensor<f64>
// CHECK-NEXT:        stablehlo.return %3 : tensor<f64>
// CHECK-NEXT:      }
// CHECK-NEXT:      %4 = stablehlo.constant dense<false> : tensor<i1>
// CHECK-NEXT:      %b = stablehlo.reduce(%p init: %4) across dimensions = [1] : (tensor<2x3xi1>, tensor<i1>) -> tensor<2xi1>
// CHECK-NEXT:      reducer(%5: tensor<i1>, %6: tensor<i1>) {
// CHECK-NEXT:        %7 = stablehlo.xor %5, %6 : tensor<i1>
// CHECK-NEXT:        stablehlo.return %7 : tensor<i1>
// CHECK-NEXT:      }
// CHECK-NEXT:      func.return %a, %b : tensor<2x7xf64>, tensor<2xi1>
// CHECK-NEXT:    }

// Tables of sites of any shape are flattened for the gather.
func.func @tables(%x : tensor<2x3xi8>, %own : tensor<2xi32>) -> (tensor<2x2x2xi8>, tensor<2xi8>) {
  %sets = stablehlo.constant dense<[[0, 2], [1, -1]]> : tensor<2x2xi32>
  %a = bt.gather %x[%sets] : (tensor<2x3xi8>, tensor<2x2xi32>) -> tensor<2x2x2xi8>
  %b = bt.gather %x[%own] : (tensor<2x3xi8>, tensor<2xi32>) -> tensor<2xi8>
  func.return %a, %b : tensor<2x2x2xi8>, tensor<2xi8>
}

// CHECK-LABEL: func.func @tables(%x: tensor<2x3xi8>, %own: tensor<2xi32>) -> (tensor<2x2x2xi8>, tensor<2xi8>) {
// CHECK-NEXT:      %sets = stablehlo.constant dense<[[0, 2], [1, -1]]> : tensor<2x2xi32>
// CHECK-NEXT:      %0 = stablehlo.reshape %sets : (tensor<2x2xi32>) -> tensor<4xi32>
// CHECK-NEXT:      %1 = "stablehlo.gather"(%x, %0) <{dimension_numbers = #stablehlo.gather<offset_dims = [0], collapsed_slice_dims = [1], start_index_map = [1], index_vector_dim = 1>, slice_sizes = array<i64: 2, 1>}> : (tensor<2x3xi8>, tensor<4xi32>) -> tensor<2x4xi8>
// CHECK-NEXT:      %a = stablehlo.reshape %1 : (tensor<2x4xi8>) -> tensor<2x2x2xi8>
// CHECK-NEXT:      %2 = stablehlo.reshape %own : (tensor<2xi32>) -> tensor<2x1xi32>
// CHECK-NEXT:      %3 = "stablehlo.gather"(%x, %2) <{dimension_numbers = #stablehlo.gather<collapsed_slice_dims = [1], operand_batching_dims = [0], start_indices_batching_dims = [0], start_index_map = [1], index_vector_dim = 2>, slice_sizes = array<i64: 1, 1>}> : (tensor<2x3xi8>, tensor<2x1xi32>) -> tensor<2x1xi8>
// CHECK-NEXT:      %b = stablehlo.reshape %3 : (tensor<2x1xi8>) -> tensor<2xi8>
// CHECK-NEXT:      func.return %a, %b : tensor<2x2x2xi8>, tensor<2xi8>
// CHECK-NEXT:    }

// -----

// Sizes and types must be known.
func.func @batch(%x : tensor<?x3xi8>, %v : tensor<f64>) -> tensor<?x3xf64> {
  %b = bt.broadcast %v dims = [] : tensor<f64> -> tensor<?x3xf64>
  func.return %b : tensor<?x3xf64>
}

// CHECK: convert-bt-to-stablehlo: the batch size or the state type is not bound; run bt-specialize first

// -----

func.func @state(%x : tensor<2x3x!bt.state>) -> tensor<2x3x!bt.state> {
  func.return %x : tensor<2x3x!bt.state>
}

// CHECK: convert-bt-to-stablehlo: the batch size or the state type is not bound; run bt-specialize first

// -----

// Branches that come from elsewhere have no writes to look at.
func.func @argument(%x : tensor<2x3xi8>, %b : !bt.branches<2 x 1>) -> tensor<2x2x3xi8> {
  %xp, %mels = bt.connections %x, %b : (tensor<2x3xi8>, !bt.branches<2 x 1>) -> (tensor<2x2x3xi8>, tensor<2x2xf64>)
  func.return %xp : tensor<2x2x3xi8>
}

// CHECK: convert-bt-to-stablehlo: branches must come from bt.branches, bt.concat, bt.interleave or bt.compact in the same function

// -----

// What is not valid stays x, of which there has to be one.
func.func @two(%x : tensor<1x2xi8>, %y : tensor<1x2xi8>, %i : tensor<2xi32>, %v : tensor<1x2xi8>, %a : tensor<1x2xf64>, %p : tensor<1x2xi1>) -> tensor<1x2x2xi8> {
  %b = bt.branches [%i] = [%v] amplitude %a valid %p : [tensor<2xi32>] [tensor<1x2xi8>] tensor<1x2xf64>, tensor<1x2xi1> -> !bt.branches<2 x 1>
  %xp, %m = bt.connections %x, %b : (tensor<1x2xi8>, !bt.branches<2 x 1>) -> (tensor<1x2x2xi8>, tensor<1x2xf64>)
  %yp, %n = bt.connections %y, %b : (tensor<1x2xi8>, !bt.branches<2 x 1>) -> (tensor<1x2x2xi8>, tensor<1x2xf64>)
  func.return %xp : tensor<1x2x2xi8>
}

// CHECK: convert-bt-to-stablehlo: branches are of one x, these end in connections of several

// -----

// Branches that go elsewhere cannot be lowered.
func.func @returned(%v : tensor<f64>) -> !bt.branches<4 x 0> {
  %a = bt.branches [] = [] amplitude %v : [] [] tensor<f64> -> !bt.branches<2 x 0>
  %b = bt.concat %a, %a : !bt.branches<2 x 0>, !bt.branches<2 x 0> -> !bt.branches<4 x 0>
  func.return %b : !bt.branches<4 x 0>
}

// CHECK: convert-bt-to-stablehlo: cannot lower bt.branches, bt.concat

// -----

// The valid lanes are counted, found by their number and gathered; more than promised
// are NaN.
func.func @compact(%x : tensor<2x3xi8>, %m : tensor<2x3xf64>, %p : tensor<2x3xi1>) -> tensor<2x2xf64> {
  %a = bt.branches [] = [] amplitude %m valid %p : [] [] tensor<2x3xf64>, tensor<2x3xi1> -> !bt.branches<3 x 0>
  %b = bt.compact %a : !bt.branches<3 x 0> -> !bt.branches<2 x 0>
  %xp, %mels = bt.connections %x, %b : (tensor<2x3xi8>, !bt.branches<2 x 0>) -> (tensor<2x2x3xi8>, tensor<2x2xf64>)
  func.return %mels : tensor<2x2xf64>
}

// CHECK-LABEL: func.func @compact
// CHECK-NOT:     bt.
// CHECK:         [[ALL:%\S+]] = stablehlo.select %p, %m, {{.*}} : tensor<2x3xi1>, tensor<2x3xf64>
// CHECK:         [[B:%\S+]] = stablehlo.concatenate %p, {{.*}} -> tensor<2x32xi1>
// CHECK:         stablehlo.shift_left {{.*}} : tensor<2x1x32xi32>
// CHECK-NEXT:    {{.*}} = stablehlo.constant dense<0> : tensor<i32>
// CHECK-NEXT:    [[W:%\S+]] = stablehlo.reduce
// CHECK:         [[COUNT:%\S+]] = stablehlo.popcnt [[W]] : tensor<2x1xi32>
// CHECK-NEXT:    [[TOTAL:%\S+]] = stablehlo.slice [[COUNT]]
// CHECK:         [[FILLED:%\S+]] = stablehlo.compare LT, {{.*}} -> tensor<2x2xi1>
// CHECK:         [[COUNTED:%\S+]] = "stablehlo.gather"([[COUNT]],
// CHECK:         stablehlo.compare LE, [[COUNTED]]
// CHECK:         [[WORD:%\S+]] = "stablehlo.gather"([[W]],
// CHECK-NEXT:    stablehlo.popcnt [[WORD]]
// CHECK:         stablehlo.shift_right_logical
// CHECK:         [[LANE:%\S+]] = stablehlo.minimum
// CHECK:         [[TAKEN:%\S+]] = "stablehlo.gather"([[ALL]], {{.*}} -> tensor<2x2xf64>
// CHECK:         [[M:%\S+]] = stablehlo.select [[FILLED]], [[TAKEN]],
// CHECK:         stablehlo.compare GT, [[TOTAL]], {{.*}} -> tensor<2x1xi1>
// CHECK:         [[NAN:%\S+]] = stablehlo.constant dense<0x7ff8000000000000> : tensor<f64>
// CHECK:         stablehlo.select {{.*}}, [[M]] : tensor<2x2xi1>, tensor<2x2xf64>

// -----

// Images are selected by masks before other writes; of two masks at one site the later
// one counts. What parts share is converted once, and one select. Where a lane is not
// valid x' is x.
func.func @images(%x : tensor<2x3xi8>, %v : tensor<2x3xf64>, %w : tensor<f64>, %p : tensor<2x2xi1>) -> (tensor<2x5x3xi8>, tensor<2x5xf64>) {
  %i = stablehlo.constant dense<2> : tensor<1xi32>
  %m = stablehlo.constant dense<[[true, true, false], [false, true, true]]> : tensor<2x3xi1>
  %n = stablehlo.constant dense<[[false, true, false], [true, false, false]]> : tensor<2x3xi1>
  %a = bt.images [%m, %n] = [%v, %w] amplitude %w valid %p : [tensor<2x3xi1>, tensor<2x3xi1>] [tensor<2x3xf64>, tensor<f64>] tensor<f64>, tensor<2x2xi1> -> !bt.branches<2 x 3>
  %b = bt.images [%n] = [%v] amplitude %w : [tensor<2x3xi1>] [tensor<2x3xf64>] tensor<f64> -> !bt.branches<2 x 3>
  %c = bt.branches [%i] = [%w] amplitude %w : [tensor<1xi32>] [tensor<f64>] tensor<f64> -> !bt.branches<1 x 1>
  %d = bt.interleave %a, %b : !bt.branches<2 x 3>, !bt.branches<2 x 3> -> !bt.branches<4 x 3>
  %e = bt.concat %c, %d : !bt.branches<1 x 1>, !bt.branches<4 x 3> -> !bt.branches<5 x 3>
  %xp, %mels = bt.connections %x, %e : (tensor<2x3xi8>, !bt.branches<5 x 3>) -> (tensor<2x5x3xi8>, tensor<2x5xf64>)
  func.return %xp, %mels : tensor<2x5x3xi8>, tensor<2x5xf64>
}

// CHECK-LABEL: func.func @images
// CHECK:         [[V:%\S+]] = stablehlo.convert %v : (tensor<2x3xf64>) -> tensor<2x3xi8>
// CHECK-NEXT:    [[W:%\S+]] = stablehlo.convert %w : (tensor<f64>) -> tensor<i8>
// CHECK-NOT:     stablehlo.convert
// CHECK:         %mels = stablehlo.concatenate
// CHECK:         [[P:%\S+]] = stablehlo.concatenate {{.*}} : (tensor<2x1xi1>, tensor<2x4xi1>) -> tensor<2x5xi1>
// CHECK-NEXT:    [[X:%\S+]] = stablehlo.broadcast_in_dim %x, dims = [0, 2] : (tensor<2x3xi8>) -> tensor<2x5x3xi8>
// CHECK-NEXT:    [[A:%\S+]] = stablehlo.constant dense<{{\[\[}}false, false, false], [true, false, false], [false, true, false], [false, true, true], [true, false, false]]> : tensor<5x3xi1>
// CHECK-NEXT:    [[AS:%\S+]] = stablehlo.broadcast_in_dim [[A]], dims = [1, 2] :
// CHECK-NEXT:    [[VS:%\S+]] = stablehlo.broadcast_in_dim [[V]], dims = [0, 2] :
// CHECK-NEXT:    [[XV:%\S+]] = stablehlo.select [[AS]], [[VS]], [[X]] :
// CHECK-NEXT:    [[B:%\S+]] = stablehlo.constant dense<{{\[\[}}false, false, false], [false, true, false], [false, false, false], [true, false, false], [false, false, false]]> : tensor<5x3xi1>
// CHECK-NEXT:    [[BS:%\S+]] = stablehlo.broadcast_in_dim [[B]], dims = [1, 2] :
// CHECK-NEXT:    [[WS:%\S+]] = stablehlo.broadcast_in_dim [[W]], dims = [] : (tensor<i8>) -> tensor<2x5x3xi8>
// CHECK-NEXT:    [[XW:%\S+]] = stablehlo.select [[BS]], [[WS]], [[XV]] :
// CHECK-NEXT:    [[PS:%\S+]] = stablehlo.broadcast_in_dim [[P]], dims = [0, 1] :
// CHECK-NEXT:    [[XP:%\S+]] = stablehlo.select [[PS]], [[XW]], [[X]] :
// CHECK-NEXT:    stablehlo.constant dense<{{\[\[}}false, false, true], [false, false, false],
// CHECK:         %xp = stablehlo.select {{.*}}, [[XP]] : tensor<2x5x3xi1>, tensor<2x5x3xi8>

// -----

// Nothing is converted, joined or checked where there is nothing of that.
func.func @image_alone(%x : tensor<2x3xi8>, %v : tensor<2x3xi8>, %a : tensor<2x2xf64>) -> (tensor<2x2x3xi8>, tensor<2x2xf64>) {
  %m = stablehlo.constant dense<[[true, true, false], [false, true, true]]> : tensor<2x3xi1>
  %b = bt.images [%m] = [%v] amplitude %a : [tensor<2x3xi1>] [tensor<2x3xi8>] tensor<2x2xf64> -> !bt.branches<2 x 3>
  %xp, %mels = bt.connections %x, %b : (tensor<2x3xi8>, !bt.branches<2 x 3>) -> (tensor<2x2x3xi8>, tensor<2x2xf64>)
  func.return %xp, %mels : tensor<2x2x3xi8>, tensor<2x2xf64>
}

// CHECK-LABEL: func.func @image_alone

// -----

// CHECK: convert-bt-to-stablehlo: the masks of bt.images are constants
func.func @computed(%x : tensor<2x3xi8>, %m : tensor<2x3xi1>, %v : tensor<f64>) -> tensor<2x2x3xi8> {
  %b = bt.images [%m] = [%v] amplitude %v : [tensor<2x3xi1>] [tensor<f64>] tensor<f64> -> !bt.branches<2 x 3>
  %xp, %mels = bt.connections %x, %b : (tensor<2x3xi8>, !bt.branches<2 x 3>) -> (tensor<2x2x3xi8>, tensor<2x2xf64>)
  func.return %xp : tensor<2x2x3xi8>
}

// -----

// CHECK: convert-bt-to-stablehlo: bt.compact takes no bt.images
func.func @compacted_images(%x : tensor<2x3xi8>, %v : tensor<f64>) -> tensor<2x1x3xi8> {
  %m = stablehlo.constant dense<[[true, true, false], [false, true, true]]> : tensor<2x3xi1>
  %b = bt.images [%m] = [%v] amplitude %v : [tensor<2x3xi1>] [tensor<f64>] tensor<f64> -> !bt.branches<2 x 3>
  %c = bt.compact %b : !bt.branches<2 x 3> -> !bt.branches<1 x 3>
  %xp, %mels = bt.connections %x, %c : (tensor<2x3xi8>, !bt.branches<1 x 3>) -> (tensor<2x1x3xi8>, tensor<2x1xf64>)
  func.return %xp : tensor<2x1x3xi8>
}
