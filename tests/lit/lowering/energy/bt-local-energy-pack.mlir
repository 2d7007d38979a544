// RUN: symir-opt %s -p "bt-local-energy-pack" | filecheck %s

// Flips of one of two values: always live, one difference up to its sign.
// CHECK-LABEL: func.func @flips(
// CHECK:         plan <live = all, rows = 4>
func.func @flips(%x : tensor<?x4x!bt.state>) -> tensor<?xf64> {
  bt.assume %x values [array<f64: -1.0, 1.0>] : tensor<?x4x!bt.state>
  %i = stablehlo.constant dense<[0, 1, 2, 3]> : tensor<4xi32>
  %v = bt.gather %x[%i] : (tensor<?x4x!bt.state>, tensor<4xi32>) -> tensor<?x4xf64>
  %n = stablehlo.negate %v : tensor<?x4xf64>
  %a = stablehlo.constant dense<1.0> : tensor<f64>
  %b = bt.branches [%i] = [%n] amplitude %a : [tensor<4xi32>] [tensor<?x4xf64>] tensor<f64> -> !bt.branches<4 x 1>
  %e = bt.local_energy %x, %b parameters() through [] : tensor<?x4x!bt.state>, !bt.branches<4 x 1> () -> tensor<?xf64>
  func.return %e : tensor<?xf64>
}

// Of three values -1 and 1 are swapped by the same op, and 0 stays: not always live.
// CHECK-LABEL: func.func @flips_of_three(
// CHECK:         plan <live = some, rows = 4>
func.func @flips_of_three(%x : tensor<?x4x!bt.state>) -> tensor<?xf64> {
  bt.assume %x values [array<f64: -1.0, 0.0, 1.0>] : tensor<?x4x!bt.state>
  %i = stablehlo.constant dense<[0, 1, 2, 3]> : tensor<4xi32>
  %v = bt.gather %x[%i] : (tensor<?x4x!bt.state>, tensor<4xi32>) -> tensor<?x4xf64>
  %n = stablehlo.negate %v : tensor<?x4xf64>
  %a = stablehlo.constant dense<1.0> : tensor<f64>
  %b = bt.branches [%i] = [%n] amplitude %a : [tensor<4xi32>] [tensor<?x4xf64>] tensor<f64> -> !bt.branches<4 x 1>
  %e = bt.local_energy %x, %b parameters() through [] : tensor<?x4x!bt.state>, !bt.branches<4 x 1> () -> tensor<?xf64>
  func.return %e : tensor<?xf64>
}

// Swaps: two writes, live where the values differ; three values have two differences.
// CHECK-LABEL: func.func @swaps(
// CHECK:         plan <live = some, rows = 4>
func.func @swaps(%x : tensor<?x3x!bt.state>) -> tensor<?xf64> {
  bt.assume %x values [array<f64: 0.0, 1.0, 2.0>] : tensor<?x3x!bt.state>
  %i = stablehlo.constant dense<[0, 1]> : tensor<2xi32>
  %j = stablehlo.constant dense<[1, 2]> : tensor<2xi32>
  %v = bt.gather %x[%i] : (tensor<?x3x!bt.state>, tensor<2xi32>) -> tensor<?x2xf64>
  %w = bt.gather %x[%j] : (tensor<?x3x!bt.state>, tensor<2xi32>) -> tensor<?x2xf64>
  %a = stablehlo.constant dense<1.0> : tensor<f64>
  %b = bt.branches [%i, %j] = [%w, %v] amplitude %a : [tensor<2xi32>, tensor<2xi32>] [tensor<?x2xf64>, tensor<?x2xf64>] tensor<f64> -> !bt.branches<2 x 2>
  %e = bt.local_energy %x, %b parameters() through [] : tensor<?x3x!bt.state>, !bt.branches<2 x 2> () -> tensor<?xf64>
  func.return %e : tensor<?xf64>
}

// Nothing is known of x, and lanes that are elsewhere for each x: no tables.
// CHECK-LABEL: func.func @unknown(
// CHECK:         plan <live = some, rows = 0>
func.func @unknown(%x : tensor<?x3x!bt.state>, %b : !bt.branches<2 x 2>) -> tensor<?xf64> {
  %e = bt.local_energy %x, %b parameters() through [] : tensor<?x3x!bt.state>, !bt.branches<2 x 2> () -> tensor<?xf64>
  func.return %e : tensor<?xf64>
}

// CHECK-LABEL: func.func @promised(
// CHECK:         plan <live = some, rows = 0>
func.func @promised(%x : tensor<?x4x!bt.state>) -> tensor<?xf64> {
  bt.assume %x values [array<f64: -1.0, 1.0>] : tensor<?x4x!bt.state>
  %i = stablehlo.constant dense<[0, 1, 2, 3]> : tensor<4xi32>
  %v = bt.gather %x[%i] : (tensor<?x4x!bt.state>, tensor<4xi32>) -> tensor<?x4xf64>
  %n = stablehlo.negate %v : tensor<?x4xf64>
  %a = stablehlo.constant dense<1.0> : tensor<f64>
  %b = bt.branches [%i] = [%n] amplitude %a : [tensor<4xi32>] [tensor<?x4xf64>] tensor<f64> -> !bt.branches<4 x 1>
  %c = bt.compact %b : !bt.branches<4 x 1> -> !bt.branches<2 x 1>
  %e = bt.local_energy %x, %c parameters() through [] : tensor<?x4x!bt.state>, !bt.branches<2 x 1> () -> tensor<?xf64>
  func.return %e : tensor<?xf64>
}
