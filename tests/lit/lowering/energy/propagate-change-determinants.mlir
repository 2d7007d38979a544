// RUN: symir-opt %s -p propagate-change | filecheck %s
// RUN: symir-opt %s -p propagate-change | symir-opt -p "bt-local-energy-pack,plan-local-energy,write-parts" | filecheck %s --check-prefix WRITTEN

// A determinant of 2 rows of 4, which a sort chooses, written out by hand.
// CHECK-LABEL: func.func @energy(
// CHECK:         through [#bt.part<cone @determinant>]
// Tables: changes of x, and the sites that each one writes.
// WRITTEN:      func.func private @part0.tables(
// WRITTEN:        stablehlo.constant dense<{{\[\[}}0, 1], [1, 2], [2, 3]]> : tensor<3x2xi32>
// WRITTEN-NEXT:   func.return {{.*}} : tensor<3x2xi8>, tensor<3x2xi32>
// What is kept of x: log psi, x, whether sites are occupied and how many before them
// are, the inverse times the rows of all sites, and the determinant.
// WRITTEN:      func.func private @part0.cache(
// WRITTEN:        stablehlo.while
// WRITTEN:        stablehlo.dot_general {{.*}} : (tensor<2x2xf64>, tensor<2x4xf64>) -> tensor<2x4xf64>
// WRITTEN:        func.return {{.*}} : tensor<1x1xf64>, tensor<4x1xi8>, tensor<4x2xi32>, tensor<8x1xf64>, tensor<1x1xf64>
// A hop: one number of these, with the sign of the order of sites; NaN where the number
// of fermions changes. No loop, no row.
// WRITTEN:      func.func private @part0.ratio(
// WRITTEN-NOT:    stablehlo.while
// WRITTEN-NOT:    stablehlo.dot_general
// WRITTEN:        "stablehlo.gather"({{.*}} : (tensor<8x1xf64>, tensor<1x1xi32>) -> tensor<1x1x1xf64>
// WRITTEN:        stablehlo.negate {{.*}} : tensor<f64>
// WRITTEN:        stablehlo.constant dense<0x7ff8000000000000> : tensor<f64>
// WRITTEN:        stablehlo.log
// What is kept of x' follows from the row that is exchanged: no matrix is factorised.
// WRITTEN:      func.func private @part0.commit(
// WRITTEN-NOT:    stablehlo.while
// WRITTEN:        stablehlo.dot_general {{.*}} : (tensor<2x1xf64>, tensor<1x4xf64>) -> tensor<2x4xf64>
// WRITTEN:        stablehlo.subtract {{.*}} : tensor<2x4x1x1xf64>
// WRITTEN-NOT:    stablehlo.while
// WRITTEN:        func.return {{.*}} : tensor<1x1xf64>, tensor<4x1xi8>, tensor<4x2xi32>, tensor<8x1xf64>, tensor<1x1xf64>
func.func @energy(%x : tensor<?x4x!bt.state>, %w : tensor<4x2xf64>) -> tensor<?xf64> {
  bt.assume %x values [array<f64: 0.0, 1.0>] : tensor<?x4x!bt.state>
  %i = stablehlo.constant dense<[0, 1, 2]> : tensor<3xi32>
  %j = stablehlo.constant dense<[1, 2, 3]> : tensor<3xi32>
  %v = bt.gather %x[%i] : (tensor<?x4x!bt.state>, tensor<3xi32>) -> tensor<?x3xf64>
  %u = bt.gather %x[%j] : (tensor<?x4x!bt.state>, tensor<3xi32>) -> tensor<?x3xf64>
  %a = stablehlo.constant dense<1.0> : tensor<f64>
  %b = bt.branches [%i, %j] = [%u, %v] amplitude %a : [tensor<3xi32>, tensor<3xi32>] [tensor<?x3xf64>, tensor<?x3xf64>] tensor<f64> -> !bt.branches<3 x 2>
  %e = bt.local_energy %x, %b parameters(%w) through [#bt.part<network @determinant>] : tensor<?x4x!bt.state>, !bt.branches<3 x 2> (tensor<4x2xf64>) -> tensor<?xf64>
  func.return %e : tensor<?xf64>
}

func.func private @determinant(%w : tensor<4x2xf64>, %x : tensor<1x4xi8>) -> tensor<1xf64> {
  %n = stablehlo.negate %x : tensor<1x4xi8>
  %i = stablehlo.iota dim = 1 : tensor<1x4xi64>
  %keys, %sites = "stablehlo.sort"(%n, %i) <{dimension = 1 : i64, is_stable = true}> ({
  ^bb0(%a : tensor<i8>, %b : tensor<i8>, %c : tensor<i64>, %d : tensor<i64>):
    %less = stablehlo.compare LT, %a, %b, SIGNED : (tensor<i8>, tensor<i8>) -> tensor<i1>
    stablehlo.return %less : tensor<i1>
  }) : (tensor<1x4xi8>, tensor<1x4xi64>) -> (tensor<1x4xi8>, tensor<1x4xi64>)
  %two = stablehlo.slice %sites [0:1, 0:2] : (tensor<1x4xi64>) -> tensor<1x2xi64>
  %index = stablehlo.reshape %two : (tensor<1x2xi64>) -> tensor<1x2x1xi64>
  %rows = "stablehlo.gather"(%w, %index) <{dimension_numbers = #stablehlo.gather<offset_dims = [2], collapsed_slice_dims = [0], start_index_map = [0], index_vector_dim = 2>, indices_are_sorted = false, slice_sizes = array<i64: 1, 2>}> : (tensor<4x2xf64>, tensor<1x2x1xi64>) -> tensor<1x2x2xf64>
  %m = stablehlo.reshape %rows : (tensor<1x2x2xf64>) -> tensor<1x4xf64>
  %00 = stablehlo.slice %m [0:1, 0:1] : (tensor<1x4xf64>) -> tensor<1x1xf64>
  %01 = stablehlo.slice %m [0:1, 1:2] : (tensor<1x4xf64>) -> tensor<1x1xf64>
  %10 = stablehlo.slice %m [0:1, 2:3] : (tensor<1x4xf64>) -> tensor<1x1xf64>
  %11 = stablehlo.slice %m [0:1, 3:4] : (tensor<1x4xf64>) -> tensor<1x1xf64>
  %p = stablehlo.multiply %00, %11 : tensor<1x1xf64>
  %q = stablehlo.multiply %01, %10 : tensor<1x1xf64>
  %det = stablehlo.subtract %p, %q : tensor<1x1xf64>
  %size = stablehlo.abs %det : tensor<1x1xf64>
  %log = stablehlo.log %size : tensor<1x1xf64>
  %s = stablehlo.reshape %log : (tensor<1x1xf64>) -> tensor<1xf64>
  func.return %s : tensor<1xf64>
}
