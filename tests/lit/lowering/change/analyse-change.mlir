// RUN: symir-opt %s --split-input-file -p analyse-change | filecheck %s

// A layer is affine in x, a one-hot code is a function of x at one site, and sums of
// activations are no functions of one additive value any more.
func.func @energy(%x : tensor<?x3x!bt.state>, %b : !bt.branches<3 x 1>, %w : tensor<3x4xf64>) -> tensor<?xf64> {
  %e = bt.local_energy %x, %b parameters(%w) through [#bt.part<network @logpsi>] : tensor<?x3x!bt.state>, !bt.branches<3 x 1> (tensor<3x4xf64>) -> tensor<?xf64>
  func.return %e : tensor<?xf64>
}

func.func private @logpsi(%w : tensor<3x4xf64>, %x : tensor<1x3xf64>) -> tensor<1xf64> {
  %two = stablehlo.constant dense<2.0> : tensor<1x3xf64>
  %y = stablehlo.multiply %x, %two : tensor<1x3xf64>
  %is = stablehlo.compare EQ, %y, %two : (tensor<1x3xf64>, tensor<1x3xf64>) -> tensor<1x3xi1>
  %code = stablehlo.convert %is : (tensor<1x3xi1>) -> tensor<1x3xf64>
  %t = stablehlo.dot_general %y, %w, contracting_dims = [1] x [0] : (tensor<1x3xf64>, tensor<3x4xf64>) -> tensor<1x4xf64>
  %u = stablehlo.dot_general %code, %w, contracting_dims = [1] x [0] : (tensor<1x3xf64>, tensor<3x4xf64>) -> tensor<1x4xf64>
  %a = stablehlo.tanh %t : tensor<1x4xf64>
  %c = stablehlo.cosine %w : tensor<3x4xf64>
  %v = stablehlo.multiply %a, %u : tensor<1x4xf64>
  %zero = stablehlo.constant dense<0.0> : tensor<f64>
  %s = stablehlo.reduce(%v init: %zero) across dimensions = [1] : (tensor<1x4xf64>, tensor<f64>) -> tensor<1xf64>
  reducer(%one : tensor<f64>, %other : tensor<f64>) {
    %sum = stablehlo.add %one, %other : tensor<f64>
    stablehlo.return %sum : tensor<f64>
  }
  func.return %s : tensor<1xf64>
}

// CHECK:         func.func private @logpsi
// CHECK-NEXT:      %two = stablehlo.constant {bt.form = "same"} dense<2.000000e+00> : tensor<1x3xf64>
// CHECK-NEXT:      %y = stablehlo.multiply %x, %two {bt.form = "sites, affine"}
// CHECK-NEXT:      %is = stablehlo.compare EQ, %y, %two
// CHECK-NEXT:      %code = stablehlo.convert %is {bt.form = "sites"}
// CHECK-NEXT:      %t = stablehlo.dot_general %y, %w, contracting_dims = [1] x [0] {bt.form = "added, affine"}
// CHECK-NEXT:      %u = stablehlo.dot_general %code, %w, contracting_dims = [1] x [0] {bt.form = "added"}
// CHECK-NEXT:      %a = stablehlo.tanh %t {bt.form = "elementwise"}
// CHECK-NEXT:      %c = stablehlo.cosine %w {bt.form = "same"}
// CHECK-NEXT:      %v = stablehlo.multiply %a, %u {bt.form = "new: combines two values that depend on x, at 'stablehlo.multiply'"}
// CHECK-NEXT:      %zero = stablehlo.constant {bt.form = "same"} dense<0.000000e+00> : tensor<f64>
// CHECK-NEXT:      %s = stablehlo.reduce(%v init: %zero) across dimensions = [1]  {bt.form = "new: combines two values that depend on x, at 'stablehlo.multiply'"}

// -----

// Functions that no local energy goes through stay as they are.
// CHECK-LABEL:   func.func @other(%x: tensor<1x3xf64>) -> tensor<1x3xf64> {
// CHECK-NEXT:      %y = stablehlo.negate %x : tensor<1x3xf64>
// CHECK-NEXT:      func.return %y : tensor<1x3xf64>
func.func @other(%x : tensor<1x3xf64>) -> tensor<1x3xf64> {
  %y = stablehlo.negate %x : tensor<1x3xf64>
  func.return %y : tensor<1x3xf64>
}
