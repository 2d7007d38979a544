// RUN: symir-opt %s -p write-conditionals | filecheck %s
// RUN: sed "s/%mask, %w/%w, %w/" %s | symir-opt -p write-conditionals | filecheck %s --check-prefix EACH
// RUN: symir-opt %s -p "write-conditionals,bt-specialize{batch=5 state=i8},lower-draws{samples=2}" | filecheck %s --check-prefix LOWERED

// Site 1 comes first, then 2, then 0: that is what the masks of the weights say.
// CHECK-LABEL: func.func @draw(
// CHECK:         bt.draw %u from @logpsi(%w, %b) order [1, 2, 0] values [array<f64: 0.000000e+00, 1.000000e+00>]
// CHECK-SAME:      written [@draw0.tables, @draw0.start, @draw0.open0, @draw0.term0, @draw0.commit0] bounds [0, 3]
// Weights from the sites before, those of each site behind each other.
// CHECK:       func.func private @draw0.tables(
// CHECK:         stablehlo.select
// No term is without a site, and one cache has the products of each.
// CHECK:       func.func private @draw0.start(
// CHECK:       func.func private @draw0.open0(
// What a site adds to log psi needs what is kept of it, and its value.
// CHECK:       func.func private @draw0.term0(
// CHECK-SAME:    tensor<i32>, %{{.*}}: tensor<i8>) -> tensor<f64> {
// CHECK:         stablehlo.dynamic_slice
// CHECK:         stablehlo.logistic {{.*}} : tensor<1x1xf64>
// The site is written, and what is complete with it is computed of sites before.
// CHECK:       func.func private @draw0.commit0(
// CHECK:         stablehlo.dynamic_update_slice
// CHECK:         stablehlo.dot_general {{.*}} -> tensor<1x1xf64>
// CHECK:         stablehlo.dynamic_update_slice

// Two samples at once, in a loop over the sites.
// LOWERED-LABEL: func.func @draw(
// LOWERED:         call @draw0.tables(
// LOWERED:         call @draw0.start(
// LOWERED:         bt.map_samples @draw0.chunk(
// LOWERED:       func.func private @draw0.chunk(
// LOWERED-SAME:    tensor<2x3xf64>
// LOWERED:         stablehlo.while(
// LOWERED:         stablehlo.logistic {{.*}} : tensor<2x2x1x1xf64>
// LOWERED:         stablehlo.compare LE, {{.*}} : (tensor<2x2xf64>, tensor<2x2xf64>) -> tensor<2x2xi1>
// LOWERED:         stablehlo.dynamic_update_slice
// Without masks no site is the first.
// EACH:          bt.draw {{.*}} power 2.000000e+00 : tensor<?x3xf64>
func.func @draw(%u : tensor<?x3xf64>, %w : tensor<3x3xf64>, %b : tensor<3xf64>) -> (tensor<?x3x!bt.state>, tensor<?xf64>) {
  %x, %log = bt.draw %u from @logpsi(%w, %b) order [1, 2, 0] values [array<f64: 0.0, 1.0>] power 2.0 : tensor<?x3xf64>, (tensor<3x3xf64>, tensor<3xf64>) -> tensor<?x3x!bt.state>, tensor<?xf64>
  func.return %x, %log : tensor<?x3x!bt.state>, tensor<?xf64>
}

func.func private @logpsi(%w : tensor<3x3xf64>, %b : tensor<3xf64>, %x : tensor<1x3xi8>) -> tensor<1xf64> {
  %mask = stablehlo.constant dense<[[0.0, 0.0, 0.0], [1.0, 0.0, 1.0], [1.0, 0.0, 0.0]]> : tensor<3x3xf64>
  %y = stablehlo.convert %x : (tensor<1x3xi8>) -> tensor<1x3xf64>
  %v = stablehlo.multiply %mask, %w : tensor<3x3xf64>
  %z = stablehlo.dot_general %y, %v, contracting_dims = [1] x [0] : (tensor<1x3xf64>, tensor<3x3xf64>) -> tensor<1x3xf64>
  %c = stablehlo.broadcast_in_dim %b, dims = [1] : (tensor<3xf64>) -> tensor<1x3xf64>
  %d = stablehlo.add %z, %c : tensor<1x3xf64>
  %one = stablehlo.constant dense<1.0> : tensor<1x3xf64>
  %twice = stablehlo.add %y, %y : tensor<1x3xf64>
  %sign = stablehlo.subtract %twice, %one : tensor<1x3xf64>
  %t = stablehlo.multiply %sign, %d : tensor<1x3xf64>
  %p = stablehlo.logistic %t : tensor<1x3xf64>
  %l = stablehlo.log %p : tensor<1x3xf64>
  %half = stablehlo.constant dense<0.5> : tensor<1x3xf64>
  %h = stablehlo.multiply %half, %l : tensor<1x3xf64>
  %zero = stablehlo.constant dense<0.0> : tensor<f64>
  %s = "stablehlo.reduce"(%h, %zero) <{dimensions = array<i64: 1>}> ({
  ^bb0(%m : tensor<f64>, %n : tensor<f64>):
    %sum = stablehlo.add %m, %n : tensor<f64>
    stablehlo.return %sum : tensor<f64>
  }) : (tensor<1x3xf64>, tensor<f64>) -> tensor<1xf64>
  func.return %s : tensor<1xf64>
}
