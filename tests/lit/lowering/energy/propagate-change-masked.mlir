// RUN: symir-opt %s -p propagate-change 2>&1 | filecheck %s
// RUN: sed "s/network @masked/cone @masked/" %s | symir-opt -p "bt-local-energy-pack,plan-local-energy,write-parts" | filecheck %s --check-prefix WRITTEN

// A network of two masked layers, which is too small to read what is kept of it.
// CHECK-LABEL: func.func @energy(
// CHECK:         through [#bt.part<network @masked>]
// Each of four flips is a group of its own, with a ratio of what is behind its site.
// WRITTEN:      @part0.ratio, @part0.commit, @part0.ratio0, @part0.ratio1, @part0.ratio2, @part0.ratio3]>]
// WRITTEN-SAME:   groups = [0, 1, 2, 3]>
// The flip of site 0 reaches three positions of two channels each, of both layers.
// WRITTEN:      func.func private @part0.ratio0(
// WRITTEN:        stablehlo.slice {{.*}} [1:4, 0:2]
// WRITTEN:        stablehlo.tanh {{.*}} : tensor<3x2xf64>
// WRITTEN:        stablehlo.dot_general {{.*}} : (tensor<1x6xf64>, tensor<6x6xf64>) -> tensor<1x6xf64>
// That of site 2 reaches the last one.
// WRITTEN:      func.func private @part0.ratio2(
// WRITTEN:        stablehlo.tanh {{.*}} : tensor<1x2xf64>
// WRITTEN:        stablehlo.dot_general {{.*}} : (tensor<1x2xf64>, tensor<2x2xf64>) -> tensor<1x2xf64>
func.func @energy(%x : tensor<?x4x!bt.state>, %v : tensor<4x8xf64>, %w : tensor<8x8xf64>) -> tensor<?xf64> {
  bt.assume %x values [array<f64: -1.0, 1.0>] : tensor<?x4x!bt.state>
  %i = stablehlo.constant dense<[0, 1, 2, 3]> : tensor<4xi32>
  %u = bt.gather %x[%i] : (tensor<?x4x!bt.state>, tensor<4xi32>) -> tensor<?x4xf64>
  %n = stablehlo.negate %u : tensor<?x4xf64>
  %a = stablehlo.constant dense<1.0> : tensor<f64>
  %b = bt.branches [%i] = [%n] amplitude %a : [tensor<4xi32>] [tensor<?x4xf64>] tensor<f64> -> !bt.branches<4 x 1>
  %e = bt.local_energy %x, %b parameters(%v, %w) through [#bt.part<network @masked>] : tensor<?x4x!bt.state>, !bt.branches<4 x 1> (tensor<4x8xf64>, tensor<8x8xf64>) -> tensor<?xf64>
  func.return %e : tensor<?xf64>
}

func.func private @masked(%v : tensor<4x8xf64>, %w : tensor<8x8xf64>, %x : tensor<1x4xi8>) -> tensor<1xf64> {
  %strict = stablehlo.constant dense<[[0.0, 0.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0], [0.0, 0.0, 0.0, 0.0, 1.0, 1.0, 1.0, 1.0], [0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 1.0, 1.0], [0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0]]> : tensor<4x8xf64>
  %row = stablehlo.iota dim = 0 : tensor<4x2x4x2xi32>
  %column = stablehlo.iota dim = 2 : tensor<4x2x4x2xi32>
  %upper = stablehlo.compare LE, %row, %column, SIGNED : (tensor<4x2x4x2xi32>, tensor<4x2x4x2xi32>) -> tensor<4x2x4x2xi1>
  %mask = stablehlo.reshape %upper : (tensor<4x2x4x2xi1>) -> tensor<8x8xi1>
  %zero = stablehlo.constant dense<0.0> : tensor<8x8xf64>
  %y = stablehlo.convert %x : (tensor<1x4xi8>) -> tensor<1x4xf64>
  %v0 = stablehlo.multiply %strict, %v : tensor<4x8xf64>
  %z = stablehlo.dot_general %y, %v0, contracting_dims = [1] x [0] : (tensor<1x4xf64>, tensor<4x8xf64>) -> tensor<1x8xf64>
  %t = stablehlo.tanh %z : tensor<1x8xf64>
  %w0 = stablehlo.select %mask, %w, %zero : tensor<8x8xi1>, tensor<8x8xf64>
  %s = stablehlo.dot_general %t, %w0, contracting_dims = [1] x [0] : (tensor<1x8xf64>, tensor<8x8xf64>) -> tensor<1x8xf64>
  %two = stablehlo.reshape %s : (tensor<1x8xf64>) -> tensor<1x4x2xf64>
  %low = stablehlo.constant dense<0xFFF0000000000000> : tensor<f64>
  %best = "stablehlo.reduce"(%two, %low) <{dimensions = array<i64: 2>}> ({
  ^bb0(%p : tensor<f64>, %q : tensor<f64>):
    %r = stablehlo.maximum %p, %q : tensor<f64>
    stablehlo.return %r : tensor<f64>
  }) : (tensor<1x4x2xf64>, tensor<f64>) -> tensor<1x4xf64>
  %none = stablehlo.constant dense<0.0> : tensor<f64>
  %sum = "stablehlo.reduce"(%best, %none) <{dimensions = array<i64: 1>}> ({
  ^bb0(%p : tensor<f64>, %q : tensor<f64>):
    %r = stablehlo.add %p, %q : tensor<f64>
    stablehlo.return %r : tensor<f64>
  }) : (tensor<1x4xf64>, tensor<f64>) -> tensor<1xf64>
  func.return %sum : tensor<1xf64>
}
