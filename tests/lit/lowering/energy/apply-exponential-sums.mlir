// RUN: symir-opt %s --split-input-file -p apply-exponential-sums | filecheck %s

// A sum of log cosh of a dense layer and a visible bias: an exponential sum of what the
// layer returns, and a linear part. The network itself is not needed any more.
// CHECK-LABEL:   func.func @rbm
// CHECK:           bt.local_energy {{.*}} through [#bt.part<exponential @logpsi_0 as "log_cosh" times (3.000000e+00, 0.000000e+00)>, #bt.part<linear @logpsi_1{{.*}}>]
// CHECK-NOT:     func.func private @logpsi(
// CHECK:         func.func private @logpsi_{{[01]}}(
// CHECK:         func.func private @logpsi_{{[01]}}(
// CHECK-NOT:     stablehlo.log
func.func @rbm(%x : tensor<?x3x!bt.state>, %b : !bt.branches<3 x 1>, %a : tensor<3xf64>, %w : tensor<3x4xf64>) -> tensor<?xf64> {
  %e = bt.local_energy %x, %b parameters(%a, %w) through [#bt.part<network @logpsi>] : tensor<?x3x!bt.state>, !bt.branches<3 x 1> (tensor<3xf64>, tensor<3x4xf64>) -> tensor<?xf64>
  func.return %e : tensor<?xf64>
}

func.func private @logpsi(%a : tensor<3xf64>, %w : tensor<3x4xf64>, %x : tensor<1x3xf64>) -> tensor<1xf64> {
  %t = stablehlo.dot_general %x, %w, contracting_dims = [1] x [0] : (tensor<1x3xf64>, tensor<3x4xf64>) -> tensor<1x4xf64>
  %two = stablehlo.constant dense<2.0> : tensor<1x4xf64>
  %three = stablehlo.constant dense<3.0> : tensor<1xf64>
  %zero = stablehlo.constant dense<0.0> : tensor<f64>
  %m = stablehlo.abs %t : tensor<1x4xf64>
  %n = stablehlo.multiply %m, %two : tensor<1x4xf64>
  %o = stablehlo.negate %n : tensor<1x4xf64>
  %p = stablehlo.exponential %o : tensor<1x4xf64>
  %q = stablehlo.log_plus_one %p : tensor<1x4xf64>
  %r = stablehlo.add %m, %q : tensor<1x4xf64>
  %s = stablehlo.reduce(%r init: %zero) across dimensions = [1] : (tensor<1x4xf64>, tensor<f64>) -> tensor<1xf64>
  reducer(%one : tensor<f64>, %other : tensor<f64>) {
    %sum = stablehlo.add %one, %other : tensor<f64>
    stablehlo.return %sum : tensor<f64>
  }
  %u = stablehlo.multiply %s, %three : tensor<1xf64>
  %v = stablehlo.dot_general %x, %a, contracting_dims = [1] x [0] : (tensor<1x3xf64>, tensor<3xf64>) -> tensor<1xf64>
  %all = stablehlo.add %u, %v : tensor<1xf64>
  func.return %all : tensor<1xf64>
}

// -----

// Another function beyond a threshold is another function.
// CHECK-LABEL:   func.func @clipped
// CHECK:           bt.local_energy {{.*}} through [#bt.part<network @logpsi>]
// CHECK:         func.func private @logpsi(
func.func @clipped(%x : tensor<?x3x!bt.state>, %b : !bt.branches<3 x 1>, %w : tensor<3x4xf64>) -> tensor<?xf64> {
  %e = bt.local_energy %x, %b parameters(%w) through [#bt.part<network @logpsi>] : tensor<?x3x!bt.state>, !bt.branches<3 x 1> (tensor<3x4xf64>) -> tensor<?xf64>
  func.return %e : tensor<?xf64>
}

func.func private @logpsi(%w : tensor<3x4xf64>, %x : tensor<1x3xf64>) -> tensor<1xf64> {
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

// -----

// A reduction that does more than to add is no sum.
// CHECK-LABEL:   func.func @halved
// CHECK:           bt.local_energy {{.*}} through [#bt.part<network @logpsi>]
func.func @halved(%x : tensor<?x3x!bt.state>, %b : !bt.branches<3 x 1>) -> tensor<?xf64> {
  %e = bt.local_energy %x, %b parameters() through [#bt.part<network @logpsi>] : tensor<?x3x!bt.state>, !bt.branches<3 x 1> () -> tensor<?xf64>
  func.return %e : tensor<?xf64>
}

func.func private @logpsi(%x : tensor<1x3xf64>) -> tensor<1xf64> {
  %zero = stablehlo.constant dense<0.0> : tensor<f64>
  %s = stablehlo.reduce(%x init: %zero) across dimensions = [1] : (tensor<1x3xf64>, tensor<f64>) -> tensor<1xf64>
  reducer(%one : tensor<f64>, %other : tensor<f64>) {
    %sum = stablehlo.add %one, %other : tensor<f64>
    %twice = stablehlo.add %sum, %sum : tensor<f64>
    stablehlo.return %twice : tensor<f64>
  }
  func.return %s : tensor<1xf64>
}

// -----

// What is recognised stands beside what is not, which stays a network of its own.
// CHECK-LABEL:   func.func @mixed
// CHECK:           through [#bt.part<exponential @logpsi_0 as "softplus"{{.*}}>, #bt.part<network @logpsi_1 times (-1.000000e+00, 0.000000e+00)>]
func.func @mixed(%x : tensor<?x3x!bt.state>, %b : !bt.branches<3 x 1>) -> tensor<?xf64> {
  %e = bt.local_energy %x, %b parameters() through [#bt.part<network @logpsi>] : tensor<?x3x!bt.state>, !bt.branches<3 x 1> () -> tensor<?xf64>
  func.return %e : tensor<?xf64>
}

func.func private @logpsi(%x : tensor<1x3xf64>) -> tensor<f64> {
  %ones = stablehlo.constant dense<1.0> : tensor<1x3xf64>
  %t = stablehlo.dot_general %x, %ones, contracting_dims = [0, 1] x [0, 1] : (tensor<1x3xf64>, tensor<1x3xf64>) -> tensor<f64>
  %p = stablehlo.exponential %t : tensor<f64>
  %q = stablehlo.log_plus_one %p : tensor<f64>
  %c = stablehlo.sine %t : tensor<f64>
  %r = stablehlo.multiply %c, %t : tensor<f64>
  %all = stablehlo.subtract %q, %r : tensor<f64>
  func.return %all : tensor<f64>
}

// -----

// x W x is bilinear, and a square too, of one function by itself.
// CHECK-LABEL:   func.func @products
// CHECK:           through [#bt.part<bilinear @logpsi_0 by @logpsi_0_by>, #bt.part<bilinear @logpsi_1 by @logpsi_1 times (-1.000000e+00, 0.000000e+00)>]
// CHECK-NOT:     func.func private @logpsi(
// CHECK:         func.func private @logpsi_{{.*}}
func.func @products(%x : tensor<?x3x!bt.state>, %b : !bt.branches<3 x 1>, %w : tensor<3x3xf64>) -> tensor<?xf64> {
  %e = bt.local_energy %x, %b parameters(%w) through [#bt.part<network @logpsi>] : tensor<?x3x!bt.state>, !bt.branches<3 x 1> (tensor<3x3xf64>) -> tensor<?xf64>
  func.return %e : tensor<?xf64>
}

func.func private @logpsi(%w : tensor<3x3xf64>, %x : tensor<1x3xf64>) -> tensor<1xf64> {
  %zero = stablehlo.constant dense<0.0> : tensor<f64>
  %y = stablehlo.dot_general %x, %w, contracting_dims = [1] x [0] : (tensor<1x3xf64>, tensor<3x3xf64>) -> tensor<1x3xf64>
  %r = stablehlo.dot_general %y, %x, batching_dims = [0] x [0], contracting_dims = [1] x [1] : (tensor<1x3xf64>, tensor<1x3xf64>) -> tensor<1xf64>
  %q = stablehlo.multiply %y, %y : tensor<1x3xf64>
  %s = stablehlo.reduce(%q init: %zero) across dimensions = [1] : (tensor<1x3xf64>, tensor<f64>) -> tensor<1xf64>
  reducer(%one : tensor<f64>, %other : tensor<f64>) {
    %sum = stablehlo.add %one, %other : tensor<f64>
    stablehlo.return %sum : tensor<f64>
  }
  %all = stablehlo.subtract %r, %s : tensor<1xf64>
  func.return %all : tensor<1xf64>
}

// -----

// Elements that meet in another order are not multiplied one by one, nor are integers.
// CHECK-LABEL:   func.func @crossed
// CHECK:           through [#bt.part<network @logpsi>]
func.func @crossed(%x : tensor<?x4x!bt.state>, %b : !bt.branches<4 x 1>) -> tensor<?xf64> {
  %e = bt.local_energy %x, %b parameters() through [#bt.part<network @logpsi>] : tensor<?x4x!bt.state>, !bt.branches<4 x 1> () -> tensor<?xf64>
  func.return %e : tensor<?xf64>
}

func.func private @logpsi(%x : tensor<1x4xi32>) -> tensor<f64> {
  %z = stablehlo.convert %x : (tensor<1x4xi32>) -> tensor<1x4xf64>
  %y = stablehlo.reshape %z : (tensor<1x4xf64>) -> tensor<2x2xf64>
  %r = stablehlo.dot_general %y, %y, contracting_dims = [0, 1] x [1, 0] : (tensor<2x2xf64>, tensor<2x2xf64>) -> tensor<f64>
  %p = stablehlo.dot_general %x, %x, contracting_dims = [0, 1] x [0, 1] : (tensor<1x4xi32>, tensor<1x4xi32>) -> tensor<i32>
  %q = stablehlo.convert %p : (tensor<i32>) -> tensor<f64>
  %all = stablehlo.add %r, %q : tensor<f64>
  func.return %all : tensor<f64>
}

// -----

// Two sums of tanh, one with a factor: each for itself is found without a network.
// CHECK-LABEL:   func.func @two
// CHECK:           through [#bt.part<network @logpsi_0>, #bt.part<network @logpsi_1 times (-1.000000e+00, 0.000000e+00)>]
func.func @two(%x : tensor<?x3x!bt.state>, %b : !bt.branches<3 x 1>, %w : tensor<3x4xf64>, %v : tensor<4xf64>) -> tensor<?xf64> {
  %e = bt.local_energy %x, %b parameters(%w, %v) through [#bt.part<network @logpsi>] : tensor<?x3x!bt.state>, !bt.branches<3 x 1> (tensor<3x4xf64>, tensor<4xf64>) -> tensor<?xf64>
  func.return %e : tensor<?xf64>
}

func.func private @logpsi(%w : tensor<3x4xf64>, %v : tensor<4xf64>, %x : tensor<1x3xf64>) -> tensor<1xf64> {
  %t = stablehlo.dot_general %x, %w, contracting_dims = [1] x [0] : (tensor<1x3xf64>, tensor<3x4xf64>) -> tensor<1x4xf64>
  %h = stablehlo.tanh %t : tensor<1x4xf64>
  %a = stablehlo.dot_general %h, %v, contracting_dims = [1] x [0] : (tensor<1x4xf64>, tensor<4xf64>) -> tensor<1xf64>
  %square = stablehlo.multiply %w, %w : tensor<3x4xf64>
  %u = stablehlo.dot_general %x, %square, contracting_dims = [1] x [0] : (tensor<1x3xf64>, tensor<3x4xf64>) -> tensor<1x4xf64>
  %g = stablehlo.tanh %u : tensor<1x4xf64>
  %c = stablehlo.dot_general %g, %v, contracting_dims = [1] x [0] : (tensor<1x4xf64>, tensor<4xf64>) -> tensor<1xf64>
  %all = stablehlo.subtract %a, %c : tensor<1xf64>
  func.return %all : tensor<1xf64>
}

// -----

// Not where one of them is evaluated anyway: they may share what they start from.
// CHECK-LABEL:   func.func @heads
// CHECK:           through [#bt.part<network @logpsi>]
func.func @heads(%x : tensor<?x3x!bt.state>, %b : !bt.branches<3 x 1>, %w : tensor<3x4xf64>, %v : tensor<4xf64>) -> tensor<?xf64> {
  %e = bt.local_energy %x, %b parameters(%w, %v) through [#bt.part<network @logpsi>] : tensor<?x3x!bt.state>, !bt.branches<3 x 1> (tensor<3x4xf64>, tensor<4xf64>) -> tensor<?xf64>
  func.return %e : tensor<?xf64>
}

func.func private @logpsi(%w : tensor<3x4xf64>, %v : tensor<4xf64>, %x : tensor<1x3xf64>) -> tensor<1xf64> {
  %t = stablehlo.dot_general %x, %w, contracting_dims = [1] x [0] : (tensor<1x3xf64>, tensor<3x4xf64>) -> tensor<1x4xf64>
  %h = stablehlo.tanh %t : tensor<1x4xf64>
  %a = stablehlo.dot_general %h, %v, contracting_dims = [1] x [0] : (tensor<1x4xf64>, tensor<4xf64>) -> tensor<1xf64>
  %c = stablehlo.sine %a : tensor<1xf64>
  %all = stablehlo.subtract %a, %c : tensor<1xf64>
  func.return %all : tensor<1xf64>
}
