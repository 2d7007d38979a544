// RUN: symir-opt %s --split-input-file -p recognise-activations | filecheck %s

// |t| + log(1 + exp(-2 |t|)) is log cosh t, up to a constant, and 0.5 tanh a multiple.
func.func @energy(%x : tensor<?x3x!bt.state>, %b : !bt.branches<3 x 1>, %w : tensor<3x4xf64>) -> tensor<?xf64> {
  %e = bt.local_energy %x, %b parameters(%w) through [#bt.part<network @logpsi>] : tensor<?x3x!bt.state>, !bt.branches<3 x 1> (tensor<3x4xf64>) -> tensor<?xf64>
  func.return %e : tensor<?xf64>
}

func.func private @logpsi(%w : tensor<3x4xf64>, %x : tensor<1x3xf64>) -> tensor<1xf64> {
  %t = stablehlo.dot_general %x, %w, contracting_dims = [1] x [0] : (tensor<1x3xf64>, tensor<3x4xf64>) -> tensor<1x4xf64>
  %two = stablehlo.constant dense<-2.0> : tensor<1x4xf64>
  %half = stablehlo.constant dense<0.5> : tensor<1x4xf64>
  %m = stablehlo.abs %t : tensor<1x4xf64>
  %n = stablehlo.multiply %m, %two : tensor<1x4xf64>
  %p = stablehlo.exponential %n : tensor<1x4xf64>
  %q = stablehlo.log_plus_one %p : tensor<1x4xf64>
  %r = stablehlo.add %m, %q : tensor<1x4xf64>
  %a = stablehlo.tanh %t : tensor<1x4xf64>
  %h = stablehlo.multiply %a, %half : tensor<1x4xf64>
  %both = stablehlo.dot_general %r, %h, contracting_dims = [1] x [1] : (tensor<1x4xf64>, tensor<1x4xf64>) -> tensor<1x1xf64>
  %s = stablehlo.reshape %both : (tensor<1x1xf64>) -> tensor<1xf64>
  func.return %s : tensor<1xf64>
}

// CHECK:         func.func private @logpsi
// CHECK:           %q = stablehlo.log_plus_one %p : tensor<1x4xf64>
// CHECK-NEXT:      %r = stablehlo.add %m, %q {bt.activation = "log_cosh"} : tensor<1x4xf64>
// CHECK-NEXT:      %a = stablehlo.tanh %t : tensor<1x4xf64>
// CHECK-NEXT:      %h = stablehlo.multiply %a, %half {bt.activation = "tanh times (0.5, 0)"} : tensor<1x4xf64>

// -----

// A function that is another one beyond a threshold is not that activation.
func.func @energy(%x : tensor<?x3x!bt.state>, %b : !bt.branches<3 x 1>, %w : tensor<3x4xf64>) -> tensor<?xf64> {
  %e = bt.local_energy %x, %b parameters(%w) through [#bt.part<network @clipped>] : tensor<?x3x!bt.state>, !bt.branches<3 x 1> (tensor<3x4xf64>) -> tensor<?xf64>
  func.return %e : tensor<?xf64>
}

func.func private @clipped(%w : tensor<3x4xf64>, %x : tensor<1x3xf64>) -> tensor<1xf64> {
  %t = stablehlo.dot_general %x, %w, contracting_dims = [1] x [0] : (tensor<1x3xf64>, tensor<3x4xf64>) -> tensor<1x4xf64>
  %limit = stablehlo.constant dense<200.0> : tensor<1x4xf64>
  %zero = stablehlo.constant dense<0.0> : tensor<f64>
  %p = stablehlo.exponential %t : tensor<1x4xf64>
  %q = stablehlo.log_plus_one %p : tensor<1x4xf64>
  %r = stablehlo.minimum %q, %limit : tensor<1x4xf64>
  %s = stablehlo.reduce(%r init: %zero) across dimensions = [1] : (tensor<1x4xf64>, tensor<f64>) -> tensor<1xf64>
  reducer(%one : tensor<f64>, %other : tensor<f64>) {
    %sum = stablehlo.add %one, %other : tensor<f64>
    stablehlo.return %sum : tensor<f64>
  }
  func.return %s : tensor<1xf64>
}

// CHECK:         func.func private @clipped
// CHECK-NOT:       bt.activation
// CHECK:           func.return
