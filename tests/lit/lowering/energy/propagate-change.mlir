// RUN: symir-opt %s -p propagate-change | filecheck %s
// RUN: symir-opt %s -p propagate-change | symir-opt -p "bt-local-energy-pack,plan-local-energy,write-parts" | filecheck %s --check-prefix WRITTEN

// Convolutions on a ring of 16: a flip reaches 3 positions of the first one and 5 of the
// second. A dense layer is everywhere: nothing is said of it here.
// CHECK-LABEL: func.func @energy(
// CHECK:         through [#bt.part<cone @deep times (5.000000e-01, 0.000000e+00)>, #bt.part<network @dense>]
// WRITTEN:       #bt.part<cone @deep times (5.000000e-01, 0.000000e+00) written [@part0.tables, @part0.bound, @part0.cache, @part0.ratio, @part0.commit]>
func.func @energy(%x : tensor<?x16x!bt.state>, %k : tensor<3x1x4xf64>, %l : tensor<3x4x4xf64>, %w : tensor<16x4xf64>) -> tensor<?xf64> {
  bt.assume %x values [array<f64: -1.0, 1.0>] : tensor<?x16x!bt.state>
  %i = stablehlo.constant dense<[0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15]> : tensor<16xi32>
  %v = bt.gather %x[%i] : (tensor<?x16x!bt.state>, tensor<16xi32>) -> tensor<?x16xf64>
  %n = stablehlo.negate %v : tensor<?x16xf64>
  %a = stablehlo.constant dense<1.0> : tensor<f64>
  %b = bt.branches [%i] = [%n] amplitude %a : [tensor<16xi32>] [tensor<?x16xf64>] tensor<f64> -> !bt.branches<16 x 1>
  %e = bt.local_energy %x, %b parameters(%k, %l, %w) through [#bt.part<network @deep times (0.5, 0.0)>, #bt.part<network @dense>] : tensor<?x16x!bt.state>, !bt.branches<16 x 1> (tensor<3x1x4xf64>, tensor<3x4x4xf64>, tensor<16x4xf64>) -> tensor<?xf64>
  func.return %e : tensor<?xf64>
}

func.func private @deep(%k : tensor<3x1x4xf64>, %l : tensor<3x4x4xf64>, %w : tensor<16x4xf64>, %x : tensor<1x16xi8>) -> tensor<1xf64> {
  %zero = stablehlo.constant dense<0.0> : tensor<f64>
  %y = stablehlo.convert %x : (tensor<1x16xi8>) -> tensor<1x16xf64>
  %y1 = stablehlo.reshape %y : (tensor<1x16xf64>) -> tensor<1x16x1xf64>
  %l1 = stablehlo.slice %y1 [0:1, 15:16, 0:1] : (tensor<1x16x1xf64>) -> tensor<1x1x1xf64>
  %r1 = stablehlo.slice %y1 [0:1, 0:1, 0:1] : (tensor<1x16x1xf64>) -> tensor<1x1x1xf64>
  %p1 = stablehlo.concatenate %l1, %y1, %r1, dim = 1 : (tensor<1x1x1xf64>, tensor<1x16x1xf64>, tensor<1x1x1xf64>) -> tensor<1x18x1xf64>
  %c1 = "stablehlo.convolution"(%p1, %k) <{dimension_numbers = #stablehlo.conv<[b, 0, f]x[0, i, o]->[b, 0, f]>, feature_group_count = 1 : i64, batch_group_count = 1 : i64}> : (tensor<1x18x1xf64>, tensor<3x1x4xf64>) -> tensor<1x16x4xf64>
  %t1 = stablehlo.tanh %c1 : tensor<1x16x4xf64>
  %l2 = stablehlo.slice %t1 [0:1, 15:16, 0:4] : (tensor<1x16x4xf64>) -> tensor<1x1x4xf64>
  %r2 = stablehlo.slice %t1 [0:1, 0:1, 0:4] : (tensor<1x16x4xf64>) -> tensor<1x1x4xf64>
  %p2 = stablehlo.concatenate %l2, %t1, %r2, dim = 1 : (tensor<1x1x4xf64>, tensor<1x16x4xf64>, tensor<1x1x4xf64>) -> tensor<1x18x4xf64>
  %c2 = "stablehlo.convolution"(%p2, %l) <{dimension_numbers = #stablehlo.conv<[b, 0, f]x[0, i, o]->[b, 0, f]>, feature_group_count = 1 : i64, batch_group_count = 1 : i64}> : (tensor<1x18x4xf64>, tensor<3x4x4xf64>) -> tensor<1x16x4xf64>
  %t2 = stablehlo.tanh %c2 : tensor<1x16x4xf64>
  %s = stablehlo.reduce(%t2 init: %zero) across dimensions = [1, 2] : (tensor<1x16x4xf64>, tensor<f64>) -> tensor<1xf64>
  reducer(%one : tensor<f64>, %other : tensor<f64>) {
    %sum = stablehlo.add %one, %other : tensor<f64>
    stablehlo.return %sum : tensor<f64>
  }
  func.return %s : tensor<1xf64>
}

func.func private @dense(%k : tensor<3x1x4xf64>, %l : tensor<3x4x4xf64>, %w : tensor<16x4xf64>, %x : tensor<1x16xi8>) -> tensor<1xf64> {
  %y = stablehlo.convert %x : (tensor<1x16xi8>) -> tensor<1x16xf64>
  %z = stablehlo.dot_general %y, %w, contracting_dims = [1] x [0] : (tensor<1x16xf64>, tensor<16x4xf64>) -> tensor<1x4xf64>
  %t = stablehlo.tanh %z : tensor<1x4xf64>
  %r = stablehlo.dot_general %t, %t, contracting_dims = [1] x [1] : (tensor<1x4xf64>, tensor<1x4xf64>) -> tensor<1x1xf64>
  %s = stablehlo.reshape %r : (tensor<1x1xf64>) -> tensor<1xf64>
  func.return %s : tensor<1xf64>
}

// Tables: the change of x, the maps from list to list, and lists of positions.
// WRITTEN:      func.func private @part0.tables(
// WRITTEN:        func.return {{.*}} : tensor<16x1xi8>, tensor<1x12xf64>, tensor<16x3xi32>, tensor<12x20xf64>, tensor<16x5xi32>
// What is kept of x: log psi, and both layers before and behind their activations.
// WRITTEN:      func.func private @part0.cache(
// WRITTEN:        func.return {{.*}} : tensor<1x1xf64>, tensor<16x4xf64>, tensor<16x4xf64>, tensor<16x4xf64>, tensor<16x4xf64>
// A flip: a row of numbers goes through the maps, a tanh of what is there between.
// WRITTEN:      func.func private @part0.ratio(
// WRITTEN:        stablehlo.dot_general {{.*}} : (tensor<1x1xf64>, tensor<1x12xf64>) -> tensor<1x12xf64>
