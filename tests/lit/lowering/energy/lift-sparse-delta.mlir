// RUN: symir-opt %s -p "lift-sparse-delta{sites=4}" | filecheck %s
// RUN: symir-opt %s -p "lift-sparse-delta" | filecheck %s --check-prefix FEW

// A dense layer with a tanh behind it, and a sum: fractions.
// CHECK-LABEL: func.func @perceptron(
// CHECK:         bt.local_energy {{.*}} through [#bt.part<rational @deep_prefix then @deep_tail as "tanh">]
func.func @perceptron(%x : tensor<?x4x!bt.state>, %b : !bt.branches<4 x 1>, %w : tensor<4x128xf64>, %v : tensor<128xf64>) -> tensor<?xf64> {
  %e = bt.local_energy %x, %b parameters(%w, %v) through [#bt.part<network @deep>] : tensor<?x4x!bt.state>, !bt.branches<4 x 1> (tensor<4x128xf64>, tensor<128xf64>) -> tensor<?xf64>
  func.return %e : tensor<?xf64>
}

// CHECK-NOT:   func.func private @deep(
func.func private @deep(%w : tensor<4x128xf64>, %v : tensor<128xf64>, %x : tensor<1x4xi8>) -> tensor<1xf64> {
  %y = stablehlo.convert %x : (tensor<1x4xi8>) -> tensor<1x4xf64>
  %z = stablehlo.dot_general %y, %w, contracting_dims = [1] x [0] : (tensor<1x4xf64>, tensor<4x128xf64>) -> tensor<1x128xf64>
  %t = stablehlo.tanh %z : tensor<1x128xf64>
  %r = stablehlo.dot_general %t, %v, contracting_dims = [1] x [0] : (tensor<1x128xf64>, tensor<128xf64>) -> tensor<1xf64>
  func.return %r : tensor<1xf64>
}

// CHECK:       func.func private @deep_prefix(%w: tensor<4x128xf64>, %v: tensor<128xf64>, %x: tensor<1x4xi8>) -> tensor<1x128xf64> {
// CHECK-NEXT:    [[Y:%\S+]] = stablehlo.convert %x :
// CHECK-NEXT:    [[Z:%\S+]] = stablehlo.dot_general [[Y]], %w,
// CHECK-NEXT:    func.return [[Z]]
// CHECK:       func.func private @deep_tail(%w: tensor<4x128xf64>, %v: tensor<128xf64>, [[T:%\S+]]: tensor<1x128xf64>) -> tensor<1xf64> {
// CHECK-NEXT:    [[R:%\S+]] = stablehlo.dot_general [[T]], %v,
// CHECK-NEXT:    func.return [[R]]

// Two layers, of which the first one is wide: cut behind its tanh. Of few units a sum
// pays, too; one that is rounded on its way is not one.
// CHECK-LABEL: func.func @layers(
// CHECK:         through [#bt.part<lifted @two_prefix then @two_tail as "tanh">, #bt.part<rational @few_prefix then @few_tail as "tanh">, #bt.part<lifted @wide_prefix then @wide_tail as "tanh">]
func.func @layers(%x : tensor<?x4x!bt.state>, %b : !bt.branches<4 x 1>, %w : tensor<4x128xf64>, %v : tensor<4x8xf64>) -> tensor<?xf64> {
  %e = bt.local_energy %x, %b parameters(%w, %v) through [#bt.part<network @two>, #bt.part<network @few>, #bt.part<network @wide>] : tensor<?x4x!bt.state>, !bt.branches<4 x 1> (tensor<4x128xf64>, tensor<4x8xf64>) -> tensor<?xf64>
  func.return %e : tensor<?xf64>
}

func.func private @two(%w : tensor<4x128xf64>, %v : tensor<4x8xf64>, %x : tensor<1x4xi8>) -> tensor<1xf64> {
  %y = stablehlo.convert %x : (tensor<1x4xi8>) -> tensor<1x4xf64>
  %z = stablehlo.dot_general %y, %w, contracting_dims = [1] x [0] : (tensor<1x4xf64>, tensor<4x128xf64>) -> tensor<1x128xf64>
  %t = stablehlo.tanh %z : tensor<1x128xf64>
  %s = stablehlo.tanh %t : tensor<1x128xf64>
  %r = stablehlo.dot_general %s, %t, contracting_dims = [1] x [1] : (tensor<1x128xf64>, tensor<1x128xf64>) -> tensor<1x1xf64>
  %q = stablehlo.reshape %r : (tensor<1x1xf64>) -> tensor<1xf64>
  func.return %q : tensor<1xf64>
}

func.func private @few(%w : tensor<4x128xf64>, %v : tensor<4x8xf64>, %x : tensor<1x4xi8>) -> tensor<1xf64> {
  %one = stablehlo.constant dense<1.0> : tensor<8xf64>
  %y = stablehlo.convert %x : (tensor<1x4xi8>) -> tensor<1x4xf64>
  %z = stablehlo.dot_general %y, %v, contracting_dims = [1] x [0] : (tensor<1x4xf64>, tensor<4x8xf64>) -> tensor<1x8xf64>
  %t = stablehlo.tanh %z : tensor<1x8xf64>
  %r = stablehlo.dot_general %t, %one, contracting_dims = [1] x [0] : (tensor<1x8xf64>, tensor<8xf64>) -> tensor<1xf64>
  func.return %r : tensor<1xf64>
}

func.func private @wide(%w : tensor<4x128xf64>, %v : tensor<4x8xf64>, %x : tensor<1x4xi8>) -> tensor<1xf64> {
  %one = stablehlo.constant dense<1.0> : tensor<128xf64>
  %y = stablehlo.convert %x : (tensor<1x4xi8>) -> tensor<1x4xf64>
  %z = stablehlo.dot_general %y, %w, contracting_dims = [1] x [0] : (tensor<1x4xf64>, tensor<4x128xf64>) -> tensor<1x128xf64>
  %t = stablehlo.tanh %z : tensor<1x128xf64>
  %s = stablehlo.dot_general %t, %one, contracting_dims = [1] x [0] : (tensor<1x128xf64>, tensor<128xf64>) -> tensor<1xf64>
  %d = stablehlo.convert %s : (tensor<1xf64>) -> tensor<1xf32>
  %r = stablehlo.convert %d : (tensor<1xf32>) -> tensor<1xf64>
  func.return %r : tensor<1xf64>
}

// Too few units; x is needed again; of as few sites as measured, no tanh nor another one.
// FEW:           through [#bt.part<network @two>, #bt.part<rational @few_prefix then @few_tail as "tanh">, #bt.part<network @wide>]
// FEW:           through [#bt.part<network @small>, #bt.part<network @sine>, #bt.part<network @again>]
// CHECK-LABEL: func.func @not_worth_it(
// CHECK:         through [#bt.part<network @small>, #bt.part<lifted @sine_prefix then @sine_tail>, #bt.part<network @again>]
func.func @not_worth_it(%x : tensor<?x4x!bt.state>, %b : !bt.branches<4 x 1>, %w : tensor<4x8xf64>, %u : tensor<4x128xf64>) -> tensor<?xf64> {
  %e = bt.local_energy %x, %b parameters(%w, %u) through [#bt.part<network @small>, #bt.part<network @sine>, #bt.part<network @again>] : tensor<?x4x!bt.state>, !bt.branches<4 x 1> (tensor<4x8xf64>, tensor<4x128xf64>) -> tensor<?xf64>
  func.return %e : tensor<?xf64>
}

func.func private @small(%w : tensor<4x8xf64>, %u : tensor<4x128xf64>, %x : tensor<1x4xi8>) -> tensor<1xf64> {
  %y = stablehlo.convert %x : (tensor<1x4xi8>) -> tensor<1x4xf64>
  %z = stablehlo.dot_general %y, %w, contracting_dims = [1] x [0] : (tensor<1x4xf64>, tensor<4x8xf64>) -> tensor<1x8xf64>
  %t = stablehlo.tanh %z : tensor<1x8xf64>
  %r = stablehlo.dot_general %t, %t, contracting_dims = [1] x [1] : (tensor<1x8xf64>, tensor<1x8xf64>) -> tensor<1x1xf64>
  %s = stablehlo.reshape %r : (tensor<1x1xf64>) -> tensor<1xf64>
  func.return %s : tensor<1xf64>
}

func.func private @sine(%w : tensor<4x8xf64>, %u : tensor<4x128xf64>, %x : tensor<1x4xi8>) -> tensor<1xf64> {
  %y = stablehlo.convert %x : (tensor<1x4xi8>) -> tensor<1x4xf64>
  %z = stablehlo.dot_general %y, %u, contracting_dims = [1] x [0] : (tensor<1x4xf64>, tensor<4x128xf64>) -> tensor<1x128xf64>
  %t = stablehlo.sine %z : tensor<1x128xf64>
  %r = stablehlo.dot_general %t, %t, contracting_dims = [1] x [1] : (tensor<1x128xf64>, tensor<1x128xf64>) -> tensor<1x1xf64>
  %s = stablehlo.reshape %r : (tensor<1x1xf64>) -> tensor<1xf64>
  func.return %s : tensor<1xf64>
}

func.func private @again(%w : tensor<4x8xf64>, %u : tensor<4x128xf64>, %x : tensor<1x4xi8>) -> tensor<1xf64> {
  %y = stablehlo.convert %x : (tensor<1x4xi8>) -> tensor<1x4xf64>
  %z = stablehlo.dot_general %y, %u, contracting_dims = [1] x [0] : (tensor<1x4xf64>, tensor<4x128xf64>) -> tensor<1x128xf64>
  %t = stablehlo.tanh %z : tensor<1x128xf64>
  %q = stablehlo.dot_general %t, %u, contracting_dims = [1] x [1] : (tensor<1x128xf64>, tensor<4x128xf64>) -> tensor<1x4xf64>
  %r = stablehlo.dot_general %q, %y, contracting_dims = [1] x [1] : (tensor<1x4xf64>, tensor<1x4xf64>) -> tensor<1x1xf64>
  %s = stablehlo.reshape %r : (tensor<1x1xf64>) -> tensor<1xf64>
  func.return %s : tensor<1xf64>
}
