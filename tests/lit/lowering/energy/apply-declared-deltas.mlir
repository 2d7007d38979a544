// RUN: symir-opt %s --split-input-file -p apply-declared-deltas | filecheck %s

// Of log psi = 2 m + 3 n the first is declared: it is a part with its factor, and the rest
// is without it.
// CHECK-LABEL:   func.func @product(
// CHECK:           through [#bt.part<declared @Jastrow.0 of @Jastrow.0.inputs times (2.000000e+00, 0.000000e+00)>, #bt.part<network @logpsi_rest>]
func.func @product(%x : tensor<?x3x!bt.state>, %b : !bt.branches<3 x 1>, %w : tensor<3xf64>) -> tensor<?xf64> {
  %e = bt.local_energy %x, %b parameters(%w) through [#bt.part<network @logpsi>] : tensor<?x3x!bt.state>, !bt.branches<3 x 1> (tensor<3xf64>) -> tensor<?xf64>
  func.return %e : tensor<?xf64>
}

// CHECK-NOT:     func.func private @logpsi(
func.func private @logpsi(%w : tensor<3xf64>, %x : tensor<1x3xf64>) -> tensor<1xf64> {
  %square = stablehlo.multiply %w, %w : tensor<3xf64>
  %y = stablehlo.negate %x : tensor<1x3xf64>
  %v = stablehlo.dot_general %y, %square, contracting_dims = [1] x [0] : (tensor<1x3xf64>, tensor<3xf64>) -> tensor<1xf64>
  %m = bt.declared "Jastrow.0" %v from (%square, %y) : tensor<1xf64> from (tensor<3xf64>, tensor<1x3xf64>)
  %n = stablehlo.dot_general %x, %w, contracting_dims = [1] x [0] : (tensor<1x3xf64>, tensor<3xf64>) -> tensor<1xf64>
  %two = stablehlo.constant dense<2.0> : tensor<1xf64>
  %three = stablehlo.constant dense<3.0> : tensor<1xf64>
  %a = stablehlo.multiply %two, %m : tensor<1xf64>
  %c = stablehlo.multiply %three, %n : tensor<1xf64>
  %z = stablehlo.add %a, %c : tensor<1xf64>
  func.return %z : tensor<1xf64>
}

// CHECK:         func.func private @logpsi_rest(
// CHECK:           [[ZERO:%\S+]] = stablehlo.constant dense<0.000000e+00> : tensor<1xf64>
// CHECK:           stablehlo.multiply %{{.*}}, [[ZERO]]
// CHECK:         func.func private @Jastrow.0.inputs(%w: tensor<3xf64>, %x: tensor<1x3xf64>) -> (tensor<3xf64>, tensor<1x3xf64>) {
// CHECK-NEXT:      [[W:%\S+]] = stablehlo.multiply %w, %w
// CHECK-NEXT:      [[X:%\S+]] = stablehlo.negate %x
// CHECK-NEXT:      func.return [[W]], [[X]]
// CHECK:         func.func private @Jastrow.0(%w: tensor<3xf64>, %x: tensor<1x3xf64>) -> tensor<1xf64> {
// CHECK:           stablehlo.dot_general
// CHECK-NOT:     bt.declared

// -----

// Of a complex one the real part may have any factor, the imaginary one whole numbers; of
// both nothing is left.
// CHECK-LABEL:   func.func @phases(
// CHECK:           through [#bt.part<declared @Slater.0 of @Slater.0.inputs as "real" times (5.000000e-01, 0.000000e+00)>, #bt.part<declared @Slater.0 of @Slater.0.inputs as "imag" times (0.000000e+00, 2.000000e+00)>]
func.func @phases(%x : tensor<?x3x!bt.state>, %b : !bt.branches<3 x 1>) -> tensor<?xcomplex<f64>> {
  %e = bt.local_energy %x, %b parameters() through [#bt.part<network @modulus_and_phase>] : tensor<?x3x!bt.state>, !bt.branches<3 x 1> () -> tensor<?xcomplex<f64>>
  func.return %e : tensor<?xcomplex<f64>>
}

// CHECK-NOT:     func.func private @modulus_and_phase
func.func private @modulus_and_phase(%x : tensor<1x3xf64>) -> tensor<complex<f64>> {
  %zero = stablehlo.constant dense<0.0> : tensor<f64>
  %s = stablehlo.reduce(%x init: %zero) across dimensions = [0, 1] : (tensor<1x3xf64>, tensor<f64>) -> tensor<f64>
    reducer(%p : tensor<f64>, %q : tensor<f64>) {
      %t = stablehlo.add %p, %q : tensor<f64>
      stablehlo.return %t : tensor<f64>
    }
  %c = stablehlo.complex %s, %s : tensor<complex<f64>>
  %v = stablehlo.log %c : tensor<complex<f64>>
  %m = bt.declared "Slater.0" %v from (%x) : tensor<complex<f64>> from (tensor<1x3xf64>)
  %r = stablehlo.real %m : (tensor<complex<f64>>) -> tensor<f64>
  %i = stablehlo.imag %m : (tensor<complex<f64>>) -> tensor<f64>
  %half = stablehlo.constant dense<0.5> : tensor<f64>
  %two = stablehlo.constant dense<2.0> : tensor<f64>
  %size = stablehlo.multiply %r, %half : tensor<f64>
  %angle = stablehlo.multiply %two, %i : tensor<f64>
  %z = stablehlo.complex %size, %angle : tensor<complex<f64>>
  func.return %z : tensor<complex<f64>>
}

// -----

// What goes through another function is no summand, nor is what has a parameter as its
// factor; a declared model in another one that is used is a part of that.
// CHECK-LABEL:   func.func @others(
// CHECK:           through [#bt.part<network @function>, #bt.part<network @multiple>, #bt.part<declared @Outer.0 of @Outer.0.inputs>]
// CHECK-NOT:     bt.declared
func.func @others(%x : tensor<?x3x!bt.state>, %b : !bt.branches<3 x 1>, %w : tensor<f64>) -> tensor<?xf64> {
  %e = bt.local_energy %x, %b parameters(%w) through [#bt.part<network @function>, #bt.part<network @multiple>, #bt.part<network @nested>] : tensor<?x3x!bt.state>, !bt.branches<3 x 1> (tensor<f64>) -> tensor<?xf64>
  func.return %e : tensor<?xf64>
}

func.func private @function(%w : tensor<f64>, %x : tensor<1x3xf64>) -> tensor<f64> {
  %zero = stablehlo.constant dense<0.0> : tensor<f64>
  %s = stablehlo.reduce(%x init: %zero) across dimensions = [0, 1] : (tensor<1x3xf64>, tensor<f64>) -> tensor<f64>
    reducer(%p : tensor<f64>, %q : tensor<f64>) {
      %t = stablehlo.add %p, %q : tensor<f64>
      stablehlo.return %t : tensor<f64>
    }
  %m = bt.declared "Sum.0" %s from (%x) : tensor<f64> from (tensor<1x3xf64>)
  %z = stablehlo.tanh %m : tensor<f64>
  func.return %z : tensor<f64>
}

func.func private @multiple(%w : tensor<f64>, %x : tensor<1x3xf64>) -> tensor<f64> {
  %zero = stablehlo.constant dense<0.0> : tensor<f64>
  %s = stablehlo.reduce(%x init: %zero) across dimensions = [0, 1] : (tensor<1x3xf64>, tensor<f64>) -> tensor<f64>
    reducer(%p : tensor<f64>, %q : tensor<f64>) {
      %t = stablehlo.add %p, %q : tensor<f64>
      stablehlo.return %t : tensor<f64>
    }
  %m = bt.declared "Sum.1" %s from (%x) : tensor<f64> from (tensor<1x3xf64>)
  %z = stablehlo.multiply %m, %w : tensor<f64>
  func.return %z : tensor<f64>
}

func.func private @nested(%w : tensor<f64>, %x : tensor<1x3xf64>) -> tensor<f64> {
  %zero = stablehlo.constant dense<0.0> : tensor<f64>
  %s = stablehlo.reduce(%x init: %zero) across dimensions = [0, 1] : (tensor<1x3xf64>, tensor<f64>) -> tensor<f64>
    reducer(%p : tensor<f64>, %q : tensor<f64>) {
      %t = stablehlo.add %p, %q : tensor<f64>
      stablehlo.return %t : tensor<f64>
    }
  %m = bt.declared "Inner.0" %s from (%x) : tensor<f64> from (tensor<1x3xf64>)
  %z = bt.declared "Outer.0" %m from (%x) : tensor<f64> from (tensor<1x3xf64>)
  func.return %z : tensor<f64>
}
