// RUN: symir-opt %s -p "bt-local-energy-pack,plan-local-energy,write-parts" | filecheck %s

// Flips change an additive function by a number of the site, up to a sign: its table.
// CHECK-LABEL: func.func @flips(
// CHECK:         bt.local_energy %x, %b parameters(%w) through [#bt.part<linear @a times (5.000000e-01, 0.000000e+00) written [@part0.tables, @part0.bound, @part0.cache, @part0.ratio, @part0.commit]>, #bt.part<network @f>]
func.func @flips(%x : tensor<?x2x!bt.state>, %w : tensor<2xf64>) -> tensor<?xf64> {
  bt.assume %x values [array<f64: -1.0, 1.0>] : tensor<?x2x!bt.state>
  %i = stablehlo.constant dense<[0, 1]> : tensor<2xi32>
  %v = bt.gather %x[%i] : (tensor<?x2x!bt.state>, tensor<2xi32>) -> tensor<?x2xf64>
  %n = stablehlo.negate %v : tensor<?x2xf64>
  %a = stablehlo.constant dense<1.0> : tensor<f64>
  %b = bt.branches [%i] = [%n] amplitude %a : [tensor<2xi32>] [tensor<?x2xf64>] tensor<f64> -> !bt.branches<2 x 1>
  %e = bt.local_energy %x, %b parameters(%w) through [#bt.part<linear @a times (0.5, 0.0)>, #bt.part<network @f>] : tensor<?x2x!bt.state>, !bt.branches<2 x 1> (tensor<2xf64>) -> tensor<?xf64>
  func.return %e : tensor<?xf64>
}

func.func private @a(%w : tensor<2xf64>, %x : tensor<1x2xi8>) -> tensor<1x2xf64> {
  %y = stablehlo.convert %x : (tensor<1x2xi8>) -> tensor<1x2xf64>
  %v = stablehlo.reshape %w : (tensor<2xf64>) -> tensor<1x2xf64>
  %z = stablehlo.multiply %y, %v : tensor<1x2xf64>
  func.return %z : tensor<1x2xf64>
}

func.func private @f(%w : tensor<2xf64>, %x : tensor<1x2xi8>) -> tensor<f64> {
  %y = stablehlo.constant dense<0.0> : tensor<f64>
  func.return %y : tensor<f64>
}

// Where it is not known what lanes change there are no tables, and nothing is written.
// CHECK-LABEL: func.func @unknown(
// CHECK:         through [#bt.part<linear @a>]
func.func @unknown(%x : tensor<?x2x!bt.state>, %b : !bt.branches<2 x 1>, %w : tensor<2xf64>) -> tensor<?xf64> {
  %e = bt.local_energy %x, %b parameters(%w) through [#bt.part<linear @a>] : tensor<?x2x!bt.state>, !bt.branches<2 x 1> (tensor<2xf64>) -> tensor<?xf64>
  func.return %e : tensor<?xf64>
}

// Sums of tanh are found from tables as well, and so is the tanh that another network
// begins with. One with an op that has no batching rule is not written.
// CHECK-LABEL: func.func @tanh(
// CHECK:         through [#bt.part<rational @a then @sum as "tanh" written [@part1.tables, @part1.bound, @part1.cache, @part1.ratio, @part1.commit]>, #bt.part<lifted @a then @sine as "tanh" times (2.000000e+00, 0.000000e+00) written [@part2.tables, @part2.bound, @part2.cache, @part2.ratio, @part2.commit]>, #bt.part<lifted @a then @call>]
func.func @tanh(%x : tensor<?x2x!bt.state>, %w : tensor<2xf64>) -> tensor<?xf64> {
  bt.assume %x values [array<f64: -1.0, 1.0>] : tensor<?x2x!bt.state>
  %i = stablehlo.constant dense<[0, 1]> : tensor<2xi32>
  %v = bt.gather %x[%i] : (tensor<?x2x!bt.state>, tensor<2xi32>) -> tensor<?x2xf64>
  %n = stablehlo.negate %v : tensor<?x2xf64>
  %a = stablehlo.constant dense<1.0> : tensor<f64>
  %b = bt.branches [%i] = [%n] amplitude %a : [tensor<2xi32>] [tensor<?x2xf64>] tensor<f64> -> !bt.branches<2 x 1>
  %e = bt.local_energy %x, %b parameters(%w) through [#bt.part<rational @a then @sum as "tanh">, #bt.part<lifted @a then @sine as "tanh" times (2.0, 0.0)>, #bt.part<lifted @a then @call>] : tensor<?x2x!bt.state>, !bt.branches<2 x 1> (tensor<2xf64>) -> tensor<?xf64>
  func.return %e : tensor<?xf64>
}

func.func private @sum(%w : tensor<2xf64>, %t : tensor<1x2xf64>) -> tensor<1xf64> {
  %s = stablehlo.dot_general %t, %w, contracting_dims = [1] x [0] : (tensor<1x2xf64>, tensor<2xf64>) -> tensor<1xf64>
  func.return %s : tensor<1xf64>
}

func.func private @sine(%w : tensor<2xf64>, %t : tensor<1x2xf64>) -> tensor<1xf64> {
  %u = stablehlo.sine %t : tensor<1x2xf64>
  %s = stablehlo.dot_general %u, %w, contracting_dims = [1] x [0] : (tensor<1x2xf64>, tensor<2xf64>) -> tensor<1xf64>
  func.return %s : tensor<1xf64>
}

func.func private @call(%w : tensor<2xf64>, %t : tensor<1x2xf64>) -> tensor<1xf64> {
  %s = "test.op"(%w, %t) : (tensor<2xf64>, tensor<1x2xf64>) -> tensor<1xf64>
  func.return %s : tensor<1xf64>
}

// CHECK-LABEL: func.func private @part0.tables(
// CHECK:         stablehlo.constant dense<{{\[\[}}[-2.000000e+00, 0.000000e+00]], {{\[\[}}0.000000e+00, -2.000000e+00]]]> : tensor<2x1x2xf64>
// CHECK:         stablehlo.multiply %{{.*}}, %{{.*}} : tensor<2x1x2xf64>
// CHECK:         stablehlo.reduce
// CHECK-LABEL: func.func private @part0.bound(
// CHECK:         stablehlo.is_finite
// CHECK-LABEL: func.func private @part0.cache(
// CHECK-NEXT:    func.return
// CHECK-LABEL: func.func private @part0.ratio(
// CHECK:         %[[ROW:.*]] = stablehlo.dynamic_slice %1, %3, sizes = [1]
// CHECK-NEXT:    %[[ONE:.*]] = stablehlo.reshape %[[ROW]]
// CHECK-NEXT:    %[[OTHER:.*]] = stablehlo.negate %[[ONE]]
// CHECK-NEXT:    %[[SIGNED:.*]] = stablehlo.select %4, %[[ONE]], %[[OTHER]]
// CHECK-NEXT:    %[[FACTOR:.*]] = stablehlo.constant dense<5.000000e-01>
// CHECK-NEXT:    %[[SCALED:.*]] = stablehlo.multiply %[[FACTOR]], %[[SIGNED]]
// CHECK-NEXT:    func.return %[[SCALED]]

// What tanh are multiplied by is found by one cotangent that goes backwards through @sum;
// halves of all units are kept apart.
// CHECK-LABEL: func.func private @part1.tables(
// CHECK:         %[[ONE:.*]] = stablehlo.constant dense<1.000000e+00> : tensor<f64>
// CHECK-NEXT:    %[[GIVEN:.*]] = stablehlo.reshape %[[ONE]] : (tensor<f64>) -> tensor<1xf64>
// CHECK-NEXT:    stablehlo.dot_general %[[GIVEN]], %0, contracting_dims = [] x [] : (tensor<1xf64>, tensor<2xf64>) -> tensor<1x2xf64>
// CHECK-LABEL: func.func private @part1.cache(
// CHECK:         func.return %{{.*}} : tensor<2x2x1xf64>, tensor<2x2x1xf64>, tensor<2x1xf64>, tensor<2x1xf64>
// CHECK-LABEL: func.func private @part1.ratio(
// CHECK:         %[[ONE:.*]] = stablehlo.add %{{.*}}, %{{.*}} : tensor<2x1xf64>
// CHECK:         %[[OTHER:.*]] = stablehlo.add %{{.*}}, %{{.*}} : tensor<2x1xf64>
// CHECK-NEXT:    %[[BELOW:.*]] = stablehlo.multiply %[[ONE]], %[[OTHER]] : tensor<2x1xf64>
// CHECK:         stablehlo.divide %{{.*}}, %[[BELOW]] : tensor<2x1xf64>
// CHECK:         stablehlo.reduce(%{{.*}} init: %{{.*}}), (%{{.*}} init: %{{.*}}) across dimensions = [0]
// CHECK-NOT:     stablehlo.divide
// CHECK:         func.return

// The rest of the network follows what its tanh are at x'; a node there is one.
// CHECK-LABEL: func.func private @part2.cache(
// CHECK:         stablehlo.tanh
// CHECK:         stablehlo.sine
// CHECK:         func.return %{{.*}} : tensor<f64>, tensor<2x2xf64>
// CHECK-LABEL: func.func private @part2.ratio(
// CHECK-NOT:     stablehlo.tanh
// CHECK:         %[[UP:.*]] = stablehlo.subtract %{{.*}}, %{{.*}} : tensor<2xf64>
// CHECK-NEXT:    %[[BELOW:.*]] = stablehlo.add %{{.*}}, %{{.*}} : tensor<2xf64>
// CHECK-NEXT:    stablehlo.divide %[[UP]], %[[BELOW]] : tensor<2xf64>
// CHECK:         stablehlo.sine
// CHECK:         %[[AFTER:.*]] = stablehlo.multiply %{{.*}}, %{{.*}} : tensor<f64>
// CHECK:         %[[NODE:.*]] = stablehlo.compare EQ, %[[AFTER]]
// CHECK:         %[[RATIO:.*]] = stablehlo.subtract %[[AFTER]], %3 : tensor<f64>
// CHECK-NEXT:    stablehlo.select %[[NODE]], %{{.*}}, %[[RATIO]]
