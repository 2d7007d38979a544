// RUN: symir-opt %s -p "bt-local-energy-pack,plan-local-energy,write-parts,bt-specialize{batch=4 state=i8},lower-local-energy{batch=9}" | filecheck %s
// RUN: symir-opt %s -p "bt-local-energy-pack,plan-local-energy,write-parts,bt-specialize{batch=4 state=i8},lower-local-energy{fused=false chunk=8},convert-bt-to-stablehlo" | filecheck %s --check-prefix=WHOLE

// The tables of parts come first, then chunk after chunk of the batch.
// CHECK-LABEL: func.func @flips(
// CHECK-SAME:    %x: tensor<9x2xi8>, %w: tensor<2xf64>) -> tensor<9xf64> {
// CHECK-NEXT:    %[[TABLE:.*]] = func.call @part0.tables(%w) : (tensor<2xf64>) -> tensor<2xf64>
// CHECK-NEXT:    func.call @part0.bound(%[[TABLE]])
// CHECK:         %[[ENERGIES:.*]] = bt.map_samples @flips.chunk(%x, %w, %[[TABLE]],
// CHECK-NEXT:    func.return %[[ENERGIES]] : tensor<9xf64>

// All lanes are always live: there is nothing to pack. Where a product could overflow
// it is the network at x and x'.
// CHECK-LABEL: func.func private @flips.chunk(
// CHECK:         bt.lanes %x, %b
// CHECK:         "stablehlo.case"(
// CHECK:           bt.map_states from 4 sizes [1024] {
// CHECK:             stablehlo.dynamic_slice
// CHECK:             bt.yield
// CHECK:         }, {
// CHECK:           bt.map_states from 0 sizes
// CHECK:             func.call @network(%w, %{{.*}}) : (tensor<2xf64>, tensor<2xi8>) -> tensor<f64>
// CHECK:             bt.yield
// CHECK:         stablehlo.exponential

// WHOLE-LABEL: func.func @flips(
// WHOLE-NEXT:    func.call @flips.chunk(%x, %w) : (tensor<4x2xi8>, tensor<2xf64>) -> tensor<4xf64>
// WHOLE-LABEL: func.func private @flips.chunk(
// WHOLE:         func.call @network.6(%w,
// WHOLE-NOT:     @part0
// WHOLE: func.func private @network.6(tensor<2xf64>, tensor<6x2xi8>) -> tensor<6xf64>
func.func @flips(%x : tensor<?x2x!bt.state>, %w : tensor<2xf64>) -> tensor<?xf64> {
  bt.assume %x values [array<f64: -1.0, 1.0>] : tensor<?x2x!bt.state>
  %i = stablehlo.constant dense<[0, 1]> : tensor<2xi32>
  %v = bt.gather %x[%i] : (tensor<?x2x!bt.state>, tensor<2xi32>) -> tensor<?x2xf64>
  %n = stablehlo.negate %v : tensor<?x2xf64>
  %a = stablehlo.constant dense<1.0> : tensor<f64>
  %b = bt.branches [%i] = [%n] amplitude %a : [tensor<2xi32>] [tensor<?x2xf64>] tensor<f64> -> !bt.branches<2 x 1>
  %e = bt.local_energy %x, %b parameters(%w) through [#bt.part<linear @a>] : tensor<?x2x!bt.state>, !bt.branches<2 x 1> (tensor<2xf64>) -> tensor<?xf64>
  func.return %e : tensor<?xf64>
}

func.func private @a(%w : tensor<2xf64>, %x : tensor<1x2xi8>) -> tensor<1x2xf64> {
  %y = stablehlo.convert %x : (tensor<1x2xi8>) -> tensor<1x2xf64>
  %v = stablehlo.reshape %w : (tensor<2xf64>) -> tensor<1x2xf64>
  %z = stablehlo.multiply %y, %v : tensor<1x2xf64>
  func.return %z : tensor<1x2xf64>
}

func.func private @network(tensor<2xf64>, tensor<2xi8>) -> tensor<f64>

// Equal samples are taken once, and of these some at once; of equal states among them the
// first one is evaluated, by the network as a whole.
// CHECK-LABEL: func.func @repeats(
// CHECK:         %[[OF:.*]], %[[AT:.*]], %[[MANY:.*]] = bt.distinct %{{.*}} : tensor<9x1xi32>
// CHECK-NEXT:    %[[X:.*]] = "stablehlo.gather"(%x, %[[OF]])
// CHECK:         %[[E:.*]] = bt.map_samples to %[[MANY]] @repeats.chunk(%[[X]], %w) : (tensor<9x2xi8>, tensor<2xf64>) -> tensor<9xf64>
// CHECK-NEXT:    %[[ALL:.*]] = "stablehlo.gather"(%[[E]], %[[AT]])
// CHECK:         func.return %[[ALL]] : tensor<9xf64>
// CHECK-LABEL: func.func private @repeats.chunk(
// CHECK:         %[[S:.*]], %[[P:.*]], %[[N:.*]] = bt.distinct %{{.*}} : tensor<12x1xi32>
// CHECK:         %[[FOUND:.*]] = bt.map_states over %[[S]] to %[[N]] from 0 sizes [
// CHECK:           func.call @network(%w, %{{.*}}) : (tensor<2xf64>, tensor<2xi8>) -> tensor<f64>
// CHECK:         "stablehlo.gather"(%[[FOUND]], %[[P]])
func.func @repeats(%x : tensor<?x2x!bt.state>, %w : tensor<2xf64>) -> tensor<?xf64> {
  bt.assume %x values [array<f64: -1.0, 1.0>] : tensor<?x2x!bt.state>
  %i = stablehlo.constant dense<[0, 1]> : tensor<2xi32>
  %v = bt.gather %x[%i] : (tensor<?x2x!bt.state>, tensor<2xi32>) -> tensor<?x2xf64>
  %n = stablehlo.negate %v : tensor<?x2xf64>
  %a = stablehlo.constant dense<1.0> : tensor<f64>
  %b = bt.branches [%i] = [%n] amplitude %a : [tensor<2xi32>] [tensor<?x2xf64>] tensor<f64> -> !bt.branches<2 x 1>
  %e = bt.local_energy %x, %b parameters(%w) through [#bt.part<linear @a>] plan <states = distinct> : tensor<?x2x!bt.state>, !bt.branches<2 x 1> (tensor<2xf64>) -> tensor<?xf64>
  func.return %e : tensor<?xf64>
}
