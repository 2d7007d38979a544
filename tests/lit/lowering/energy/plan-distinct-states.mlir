// RUN: symir-opt %s -p "plan-distinct-states" | filecheck %s --check-prefixes=CHECK,DEFAULT
// RUN: symir-opt %s -p "plan-distinct-states{budget=8192}" | filecheck %s --check-prefixes=CHECK,SMALL

// Equal x' of more samples are the same, at once.
// CHECK-LABEL:   func.func @lifted(
// DEFAULT:         plan <samples = 1024, tables = lanes, peak_bytes = 110592, states = distinct>
// SMALL:           plan <samples = 606, tables = lanes, peak_bytes = 65448, states = distinct>
func.func @lifted(%x : tensor<?x2x!bt.state>, %b : !bt.branches<2 x 1>, %w : tensor<2xf64>) -> tensor<?xf64> {
  bt.assume %x values [array<f64: -1.0, 1.0>] : tensor<?x2x!bt.state>
  %e = bt.local_energy %x, %b parameters(%w) through [#bt.part<lifted @first then @rest>] plan <samples = 8, tables = lanes> : tensor<?x2x!bt.state>, !bt.branches<2 x 1> (tensor<2xf64>) -> tensor<?xf64>
  func.return %e : tensor<?xf64>
}

func.func private @first(%w : tensor<2xf64>, %x : tensor<1x2xi8>) -> tensor<1x2xf64> {
  %y = stablehlo.convert %x : (tensor<1x2xi8>) -> tensor<1x2xf64>
  func.return %y : tensor<1x2xf64>
}

func.func private @rest(%w : tensor<2xf64>, %h : tensor<1x2xf64>) -> tensor<1xf64> {
  %z = stablehlo.dot_general %h, %h, contracting_dims = [1] x [1] : (tensor<1x2xf64>, tensor<1x2xf64>) -> tensor<1x1xf64>
  %r = stablehlo.reshape %z : (tensor<1x1xf64>) -> tensor<1xf64>
  func.return %r : tensor<1xf64>
}

// What is found without x' needs none of it.
// CHECK-LABEL:   func.func @closed(
// CHECK:           plan <samples = 8>
func.func @closed(%x : tensor<?x2x!bt.state>, %b : !bt.branches<2 x 1>, %w : tensor<2xf64>) -> tensor<?xf64> {
  bt.assume %x values [array<f64: -1.0, 1.0>] : tensor<?x2x!bt.state>
  %e = bt.local_energy %x, %b parameters(%w) through [#bt.part<linear @first>] plan <samples = 8> : tensor<?x2x!bt.state>, !bt.branches<2 x 1> (tensor<2xf64>) -> tensor<?xf64>
  func.return %e : tensor<?xf64>
}

// A declared change is of a sample and a lane.
// CHECK-LABEL:   func.func @declared(
// CHECK:           plan <samples = 8>
func.func @declared(%x : tensor<?x2x!bt.state>, %b : !bt.branches<2 x 1>, %w : tensor<2xf64>) -> tensor<?xf64> {
  bt.assume %x values [array<f64: -1.0, 1.0>] : tensor<?x2x!bt.state>
  %e = bt.local_energy %x, %b parameters(%w) through [#bt.part<declared @first of @first>, #bt.part<network @first>] plan <samples = 8> : tensor<?x2x!bt.state>, !bt.branches<2 x 1> (tensor<2xf64>) -> tensor<?xf64>
  func.return %e : tensor<?xf64>
}

// Keys are made of local values.
// CHECK-LABEL:   func.func @unknown(
// CHECK:           plan <samples = 8>
func.func @unknown(%x : tensor<?x2x!bt.state>, %b : !bt.branches<2 x 1>, %w : tensor<2xf64>) -> tensor<?xf64> {
  %e = bt.local_energy %x, %b parameters(%w) through [#bt.part<network @first>] plan <samples = 8> : tensor<?x2x!bt.state>, !bt.branches<2 x 1> (tensor<2xf64>) -> tensor<?xf64>
  func.return %e : tensor<?xf64>
}
