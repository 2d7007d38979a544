// RUN: symir-opt %s | symir-opt | filecheck %s
// RUN: symir-opt %s --print-op-generic | symir-opt | filecheck %s
// RUN: symir-opt %s --print-op-generic | filecheck %s --check-prefix=GENERIC

// The StableHLO ops that the three levels use: on scalars in `sym`, on lanes and on a
// batch without a size in `bt`.

// CHECK-LABEL: func.func @arithmetic(
// GENERIC:     sym_name = "arithmetic"
func.func @arithmetic(%a : tensor<f64>, %b : tensor<f64>) {
  // CHECK-NEXT:   %{{.*}} = stablehlo.add %a, %b : tensor<f64>
  // CHECK-NEXT:   %{{.*}} = stablehlo.subtract %a, %b : tensor<f64>
  // CHECK-NEXT:   %{{.*}} = stablehlo.multiply %a, %b : tensor<f64>
  // CHECK-NEXT:   %{{.*}} = stablehlo.divide %a, %b : tensor<f64>
  // CHECK-NEXT:   %{{.*}} = stablehlo.power %a, %b : tensor<f64>
  // CHECK-NEXT:   %{{.*}} = stablehlo.negate %a : tensor<f64>
  // CHECK-NEXT:   %{{.*}} = stablehlo.abs %a : tensor<f64>
  // CHECK-NEXT:   %{{.*}} = stablehlo.sqrt %a : tensor<f64>
  // GENERIC:      %{{.*}} = "stablehlo.add"(%a, %b) : (tensor<f64>, tensor<f64>) -> tensor<f64>
  // GENERIC-NEXT: %{{.*}} = "stablehlo.subtract"(%a, %b) : (tensor<f64>, tensor<f64>) -> tensor<f64>
  // GENERIC-NEXT: %{{.*}} = "stablehlo.multiply"(%a, %b) : (tensor<f64>, tensor<f64>) -> tensor<f64>
  // GENERIC-NEXT: %{{.*}} = "stablehlo.divide"(%a, %b) : (tensor<f64>, tensor<f64>) -> tensor<f64>
  // GENERIC-NEXT: %{{.*}} = "stablehlo.power"(%a, %b) : (tensor<f64>, tensor<f64>) -> tensor<f64>
  // GENERIC-NEXT: %{{.*}} = "stablehlo.negate"(%a) : (tensor<f64>) -> tensor<f64>
  // GENERIC-NEXT: %{{.*}} = "stablehlo.abs"(%a) : (tensor<f64>) -> tensor<f64>
  // GENERIC-NEXT: %{{.*}} = "stablehlo.sqrt"(%a) : (tensor<f64>) -> tensor<f64>
  %0 = stablehlo.add %a, %b : tensor<f64>
  %1 = stablehlo.subtract %a, %b : tensor<f64>
  %2 = stablehlo.multiply %a, %b : tensor<f64>
  %3 = stablehlo.divide %a, %b : tensor<f64>
  %4 = stablehlo.power %a, %b : tensor<f64>
  %5 = stablehlo.negate %a : tensor<f64>
  %6 = stablehlo.abs %a : tensor<f64>
  %7 = stablehlo.sqrt %a : tensor<f64>
  func.return
}

// CHECK-LABEL: func.func @compare(
// GENERIC:     sym_name = "compare"
func.func @compare(%a : tensor<f64>, %b : tensor<f64>) {
  // CHECK-NEXT:   %{{.*}} = stablehlo.compare EQ, %a, %b : (tensor<f64>, tensor<f64>) -> tensor<i1>
  // CHECK-NEXT:   %{{.*}} = stablehlo.compare NE, %a, %b : (tensor<f64>, tensor<f64>) -> tensor<i1>
  // CHECK-NEXT:   %{{.*}} = stablehlo.compare LT, %a, %b : (tensor<f64>, tensor<f64>) -> tensor<i1>
  // CHECK-NEXT:   %{{.*}} = stablehlo.compare LE, %a, %b : (tensor<f64>, tensor<f64>) -> tensor<i1>
  // CHECK-NEXT:   %{{.*}} = stablehlo.compare GT, %a, %b : (tensor<f64>, tensor<f64>) -> tensor<i1>
  // CHECK-NEXT:   %{{.*}} = stablehlo.compare GE, %a, %b : (tensor<f64>, tensor<f64>) -> tensor<i1>
  // GENERIC:      %{{.*}} = "stablehlo.compare"(%a, %b) <{comparison_direction = #stablehlo<comparison_direction EQ>}> : (tensor<f64>, tensor<f64>) -> tensor<i1>
  // GENERIC-NEXT: %{{.*}} = "stablehlo.compare"(%a, %b) <{comparison_direction = #stablehlo<comparison_direction NE>}> : (tensor<f64>, tensor<f64>) -> tensor<i1>
  // GENERIC-NEXT: %{{.*}} = "stablehlo.compare"(%a, %b) <{comparison_direction = #stablehlo<comparison_direction LT>}> : (tensor<f64>, tensor<f64>) -> tensor<i1>
  // GENERIC-NEXT: %{{.*}} = "stablehlo.compare"(%a, %b) <{comparison_direction = #stablehlo<comparison_direction LE>}> : (tensor<f64>, tensor<f64>) -> tensor<i1>
  // GENERIC-NEXT: %{{.*}} = "stablehlo.compare"(%a, %b) <{comparison_direction = #stablehlo<comparison_direction GT>}> : (tensor<f64>, tensor<f64>) -> tensor<i1>
  // GENERIC-NEXT: %{{.*}} = "stablehlo.compare"(%a, %b) <{comparison_direction = #stablehlo<comparison_direction GE>}> : (tensor<f64>, tensor<f64>) -> tensor<i1>
  %0 = stablehlo.compare EQ, %a, %b : (tensor<f64>, tensor<f64>) -> tensor<i1>
  %1 = stablehlo.compare NE, %a, %b : (tensor<f64>, tensor<f64>) -> tensor<i1>
  %2 = stablehlo.compare LT, %a, %b : (tensor<f64>, tensor<f64>) -> tensor<i1>
  %3 = stablehlo.compare LE, %a, %b : (tensor<f64>, tensor<f64>) -> tensor<i1>
  %4 = stablehlo.compare GT, %a, %b : (tensor<f64>, tensor<f64>) -> tensor<i1>
  %5 = stablehlo.compare GE, %a, %b : (tensor<f64>, tensor<f64>) -> tensor<i1>
  // How JAX writes it: with the kind of the comparison.
  // CHECK-NEXT:   %{{.*}} = stablehlo.compare LT, %a, %b, FLOAT : (tensor<f64>, tensor<f64>) -> tensor<i1>
  // CHECK-NEXT:   %{{.*}} = stablehlo.compare LT, %a, %b, TOTALORDER : (tensor<f64>, tensor<f64>) -> tensor<i1>
  %6 = stablehlo.compare LT, %a, %b, FLOAT : (tensor<f64>, tensor<f64>) -> tensor<i1>
  %7 = stablehlo.compare LT, %a, %b, TOTALORDER : (tensor<f64>, tensor<f64>) -> tensor<i1>
  func.return
}

// CHECK-LABEL: func.func @logic(
// GENERIC:     sym_name = "logic"
func.func @logic(%p : tensor<?x7xi1>, %q : tensor<?x7xi1>, %a : tensor<?x7xf64>, %b : tensor<?x7xf64>) {
  // CHECK-NEXT:   %{{.*}} = stablehlo.and %p, %q : tensor<?x7xi1>
  // CHECK-NEXT:   %{{.*}} = stablehlo.or %p, %q : tensor<?x7xi1>
  // CHECK-NEXT:   %{{.*}} = stablehlo.xor %p, %q : tensor<?x7xi1>
  // CHECK-NEXT:   %{{.*}} = stablehlo.not %p : tensor<?x7xi1>
  // CHECK-NEXT:   %{{.*}} = stablehlo.select %p, %a, %b : tensor<?x7xi1>, tensor<?x7xf64>
  // GENERIC:      %{{.*}} = "stablehlo.and"(%p, %q) : (tensor<?x7xi1>, tensor<?x7xi1>) -> tensor<?x7xi1>
  // GENERIC-NEXT: %{{.*}} = "stablehlo.or"(%p, %q) : (tensor<?x7xi1>, tensor<?x7xi1>) -> tensor<?x7xi1>
  // GENERIC-NEXT: %{{.*}} = "stablehlo.xor"(%p, %q) : (tensor<?x7xi1>, tensor<?x7xi1>) -> tensor<?x7xi1>
  // GENERIC-NEXT: %{{.*}} = "stablehlo.not"(%p) : (tensor<?x7xi1>) -> tensor<?x7xi1>
  // GENERIC-NEXT: %{{.*}} = "stablehlo.select"(%p, %a, %b) : (tensor<?x7xi1>, tensor<?x7xf64>, tensor<?x7xf64>) -> tensor<?x7xf64>
  %0 = stablehlo.and %p, %q : tensor<?x7xi1>
  %1 = stablehlo.or %p, %q : tensor<?x7xi1>
  %2 = stablehlo.xor %p, %q : tensor<?x7xi1>
  %3 = stablehlo.not %p : tensor<?x7xi1>
  %4 = stablehlo.select %p, %a, %b : tensor<?x7xi1>, tensor<?x7xf64>
  func.return
}

// CHECK-LABEL: func.func @shapes(
// GENERIC:     sym_name = "shapes"
func.func @shapes(%x : tensor<4x8xi8>, %i : tensor<3xi32>, %s : tensor<4x5xi32>, %t : tensor<?x7xi32>) {
  // CHECK-NEXT:   %{{.*}} = stablehlo.convert %x : (tensor<4x8xi8>) -> tensor<4x8xf64>
  // CHECK-NEXT:   %{{.*}} = stablehlo.convert %t : (tensor<?x7xi32>) -> tensor<?x7xf64>
  // CHECK-NEXT:   %{{.*}} = stablehlo.broadcast_in_dim %x, dims = [0, 2] : (tensor<4x8xi8>) -> tensor<4x3x8xi8>
  // CHECK-NEXT:   %{{.*}} = stablehlo.reshape %x : (tensor<4x8xi8>) -> tensor<32xi8>
  // CHECK-NEXT:   %{{.*}} = stablehlo.concatenate %x, %x, dim = 1 : (tensor<4x8xi8>, tensor<4x8xi8>) -> tensor<4x16xi8>
  // CHECK-NEXT:   %{{.*}} = stablehlo.iota dim = 1 : tensor<3x8xi32>
  // CHECK-NEXT:   %{{.*}} = stablehlo.slice %x [0:4, 1:3] : (tensor<4x8xi8>) -> tensor<4x2xi8>
  // GENERIC:      %{{.*}} = "stablehlo.convert"(%x) : (tensor<4x8xi8>) -> tensor<4x8xf64>
  // GENERIC-NEXT: %{{.*}} = "stablehlo.convert"(%t) : (tensor<?x7xi32>) -> tensor<?x7xf64>
  // GENERIC-NEXT: %{{.*}} = "stablehlo.broadcast_in_dim"(%x) <{broadcast_dimensions = array<i64: 0, 2>}> : (tensor<4x8xi8>) -> tensor<4x3x8xi8>
  // GENERIC-NEXT: %{{.*}} = "stablehlo.reshape"(%x) : (tensor<4x8xi8>) -> tensor<32xi8>
  // GENERIC-NEXT: %{{.*}} = "stablehlo.concatenate"(%x, %x) <{dimension = 1 : i64}> : (tensor<4x8xi8>, tensor<4x8xi8>) -> tensor<4x16xi8>
  // GENERIC-NEXT: %{{.*}} = "stablehlo.iota"() <{iota_dimension = 1 : i64}> : () -> tensor<3x8xi32>
  // GENERIC-NEXT: %{{.*}} = "stablehlo.slice"(%x) <{start_indices = array<i64: 0, 1>, limit_indices = array<i64: 4, 3>, strides = array<i64: 1, 1>}> : (tensor<4x8xi8>) -> tensor<4x2xi8>
  %0 = stablehlo.convert %x : (tensor<4x8xi8>) -> tensor<4x8xf64>
  %1 = stablehlo.convert %t : (tensor<?x7xi32>) -> tensor<?x7xf64>
  %2 = stablehlo.broadcast_in_dim %x, dims = [0, 2] : (tensor<4x8xi8>) -> tensor<4x3x8xi8>
  %3 = stablehlo.reshape %x : (tensor<4x8xi8>) -> tensor<32xi8>
  %4 = stablehlo.concatenate %x, %x, dim = 1 : (tensor<4x8xi8>, tensor<4x8xi8>) -> tensor<4x16xi8>
  %5 = stablehlo.iota dim = 1 : tensor<3x8xi32>
  %6 = stablehlo.slice %x [0:4, 1:3] : (tensor<4x8xi8>) -> tensor<4x2xi8>
  // The columns of all rows, and some of each row. There is no custom syntax.
  // CHECK-NEXT:   %{{.*}} = "stablehlo.gather"(%x, %i) <{dimension_numbers = #stablehlo.gather<offset_dims = [0], collapsed_slice_dims = [1], start_index_map = [1], index_vector_dim = 1>, slice_sizes = array<i64: 4, 1>}> : (tensor<4x8xi8>, tensor<3xi32>) -> tensor<4x3xi8>
  // CHECK-NEXT:   %{{.*}} = "stablehlo.gather"(%x, %s) <{dimension_numbers = #stablehlo.gather<collapsed_slice_dims = [1], operand_batching_dims = [0], start_indices_batching_dims = [0], start_index_map = [1], index_vector_dim = 2>, slice_sizes = array<i64: 1, 1>}> : (tensor<4x8xi8>, tensor<4x5xi32>) -> tensor<4x5xi8>
  %7 = "stablehlo.gather"(%x, %i) <{dimension_numbers = #stablehlo.gather<offset_dims = [0], collapsed_slice_dims = [1], start_index_map = [1], index_vector_dim = 1>, slice_sizes = array<i64: 4, 1>}> : (tensor<4x8xi8>, tensor<3xi32>) -> tensor<4x3xi8>
  %8 = "stablehlo.gather"(%x, %s) <{dimension_numbers = #stablehlo.gather<collapsed_slice_dims = [1], operand_batching_dims = [0], start_indices_batching_dims = [0], start_index_map = [1], index_vector_dim = 2>, slice_sizes = array<i64: 1, 1>}> : (tensor<4x8xi8>, tensor<4x5xi32>) -> tensor<4x5xi8>
  func.return
}
