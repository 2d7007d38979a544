// RUN: symir-opt %s --split-input-file -p "bt-local-energy-coalesce,canonicalize,cse" | filecheck %s

// Lanes without writes are summed: they never ask for the wavefunction.
// CHECK-LABEL:   func.func @ising
// CHECK:           [[FLIPS:%\S+]] = bt.branches[%i] = [%n] amplitude %h
// CHECK:           [[SUM:%\S+]] = bt.reduce sum {{.*}} : tensor<?x2xf64> -> tensor<?xf64>
// CHECK:           bt.local_energy %x, [[FLIPS]] diagonal [[SUM]] parameters() through [#bt.part<network @logpsi>] : tensor<?x3x!bt.state>, !bt.branches<2 x 1> diagonal tensor<?xf64>() -> tensor<?xf64>
func.func @ising(%x : tensor<?x3x!bt.state>, %h : tensor<f64>) -> tensor<?xf64> {
  %i = stablehlo.constant dense<[0, 1]> : tensor<2xi32>
  %a = bt.gather %x[%i] : (tensor<?x3x!bt.state>, tensor<2xi32>) -> tensor<?x2xf64>
  %n = stablehlo.negate %a : tensor<?x2xf64>
  %flips = bt.branches [%i] = [%n] amplitude %h : [tensor<2xi32>] [tensor<?x2xf64>] tensor<f64> -> !bt.branches<2 x 1>
  %bonds = bt.branches [] = [] amplitude %a : [] [] tensor<?x2xf64> -> !bt.branches<2 x 0>
  %all = bt.interleave %flips, %bonds : !bt.branches<2 x 1>, !bt.branches<2 x 0> -> !bt.branches<4 x 1>
  %e = bt.local_energy %x, %all parameters() through [#bt.part<network @logpsi>] : tensor<?x3x!bt.state>, !bt.branches<4 x 1> () -> tensor<?xf64>
  func.return %e : tensor<?xf64>
}

func.func private @logpsi(%x : tensor<1x3xf64>) -> tensor<f64> {
  %a = stablehlo.constant dense<0.0> : tensor<f64>
  func.return %a : tensor<f64>
}

// -----

// An energy of the diagonal alone has no lane left.
// CHECK-LABEL:   func.func @diagonal
// CHECK:           [[NONE:%\S+]] = bt.concat : -> !bt.branches<0 x 0>
// CHECK:           bt.local_energy %x, [[NONE]] diagonal
func.func @diagonal(%x : tensor<?x2x!bt.state>) -> tensor<?xf64> {
  %i = stablehlo.constant dense<[0, 1]> : tensor<2xi32>
  %a = bt.gather %x[%i] : (tensor<?x2x!bt.state>, tensor<2xi32>) -> tensor<?x2xf64>
  %b = bt.branches [] = [] amplitude %a : [] [] tensor<?x2xf64> -> !bt.branches<2 x 0>
  %e = bt.local_energy %x, %b parameters() through [#bt.part<network @logpsi>] : tensor<?x2x!bt.state>, !bt.branches<2 x 0> () -> tensor<?xf64>
  func.return %e : tensor<?xf64>
}

func.func private @logpsi(%x : tensor<1x2xf64>) -> tensor<f64> {
  %a = stablehlo.constant dense<0.0> : tensor<f64>
  func.return %a : tensor<f64>
}

// -----

// Nothing to do: all lanes write, or there is a diagonal already.
// CHECK-LABEL:   func.func @kept
// CHECK-NOT:       bt.reduce
// CHECK:           bt.local_energy %x, %b parameters() through
// CHECK:           bt.local_energy %x, %c diagonal %d parameters() through
func.func @kept(%x : tensor<?x2x!bt.state>, %b : !bt.branches<2 x 1>, %d : tensor<?xf64>) -> (tensor<?xf64>, tensor<?xf64>) {
  %h = stablehlo.constant dense<0.5> : tensor<f64>
  %c = bt.branches [] = [] amplitude %h : [] [] tensor<f64> -> !bt.branches<1 x 0>
  %e = bt.local_energy %x, %b parameters() through [#bt.part<network @logpsi>] : tensor<?x2x!bt.state>, !bt.branches<2 x 1> () -> tensor<?xf64>
  %f = bt.local_energy %x, %c diagonal %d parameters() through [#bt.part<network @logpsi>] : tensor<?x2x!bt.state>, !bt.branches<1 x 0> diagonal tensor<?xf64> () -> tensor<?xf64>
  func.return %e, %f : tensor<?xf64>, tensor<?xf64>
}

func.func private @logpsi(%x : tensor<1x2xf64>) -> tensor<f64> {
  %a = stablehlo.constant dense<0.0> : tensor<f64>
  func.return %a : tensor<f64>
}
