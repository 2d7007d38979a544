// RUN: symir-opt %s --split-input-file -p "bt-local-energy" --verify-diagnostics | filecheck %s
// RUN: symir-opt %s --split-input-file -p "bt-local-energy{wavefunction=other}" --verify-diagnostics | filecheck %s --check-prefix=OTHER

// The parameters of the wavefunction come after those of the operator.
// CHECK-LABEL:   func.func @flips(%x: tensor<?x3x!bt.state>, %h: tensor<f64>, %w: tensor<3xf64>) -> tensor<?xf64> {
// CHECK:           [[B:%\S+]] = bt.branches
// CHECK-NEXT:      [[E:%\S+]] = bt.local_energy %x, [[B]] parameters(%w) through [#bt.part<network @logpsi>] : tensor<?x3x!bt.state>, !bt.branches<2 x 1>(tensor<3xf64>) -> tensor<?xf64>
// CHECK-NEXT:      func.return [[E]] : tensor<?xf64>
// OTHER:         bt-local-energy: there is no function @other
func.func @flips(%x : tensor<?x3x!bt.state>, %h : tensor<f64>) -> (tensor<?x2x3x!bt.state>, tensor<?x2xf64>) {
  %i = stablehlo.constant dense<[0, 1]> : tensor<2xi32>
  %a = bt.gather %x[%i] : (tensor<?x3x!bt.state>, tensor<2xi32>) -> tensor<?x2xf64>
  %n = stablehlo.negate %a : tensor<?x2xf64>
  %b = bt.branches [%i] = [%n] amplitude %h : [tensor<2xi32>] [tensor<?x2xf64>] tensor<f64> -> !bt.branches<2 x 1>
  %xp, %mels = bt.connections %x, %b : (tensor<?x3x!bt.state>, !bt.branches<2 x 1>) -> (tensor<?x2x3x!bt.state>, tensor<?x2xf64>)
  func.return %xp, %mels : tensor<?x2x3x!bt.state>, tensor<?x2xf64>
}

func.func private @logpsi(%w : tensor<3xf64>, %x : tensor<1x3xf64>) -> tensor<1xf64> {
  %a = stablehlo.dot_general %x, %w, contracting_dims = [1] x [0] : (tensor<1x3xf64>, tensor<3xf64>) -> tensor<1xf64>
  func.return %a : tensor<1xf64>
}

// -----

// A real matrix element times a complex ratio is complex, of the larger precision.
// CHECK-LABEL:   func.func @promoted
// CHECK:           bt.local_energy {{.*}} -> tensor<?xcomplex<f64>>
// OTHER:         bt-local-energy: there is no function @other
func.func @promoted(%x : tensor<?x1x!bt.state>, %h : tensor<f64>) -> (tensor<?x1x1x!bt.state>, tensor<?x1xf64>) {
  %b = bt.branches [] = [] amplitude %h : [] [] tensor<f64> -> !bt.branches<1 x 0>
  %xp, %mels = bt.connections %x, %b : (tensor<?x1x!bt.state>, !bt.branches<1 x 0>) -> (tensor<?x1x1x!bt.state>, tensor<?x1xf64>)
  func.return %xp, %mels : tensor<?x1x1x!bt.state>, tensor<?x1xf64>
}

func.func private @logpsi(%x : tensor<1x1xf32>) -> tensor<complex<f32>> {
  %a = stablehlo.reshape %x : (tensor<1x1xf32>) -> tensor<f32>
  %b = stablehlo.complex %a, %a : (tensor<f32>, tensor<f32>) -> tensor<complex<f32>>
  func.return %b : tensor<complex<f32>>
}

// -----

// A wavefunction is one number of one configuration.
// CHECK: bt-local-energy: @logpsi returns tensor<1x3xf64> for one configuration, expected one number
// OTHER: bt-local-energy: there is no function @other
func.func private @logpsi(%x : tensor<1x3xf64>) -> tensor<1x3xf64> {
  func.return %x : tensor<1x3xf64>
}
