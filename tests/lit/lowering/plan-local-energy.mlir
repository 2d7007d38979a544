// RUN: symir-opt %s -p "plan-local-energy" | filecheck %s --check-prefixes=CHECK,DEFAULT
// RUN: symir-opt %s -p "plan-local-energy{budget=65536 cache=65536}" | filecheck %s --check-prefixes=CHECK,SMALL

// A plan that is there already is completed.
// CHECK-LABEL:   func.func @energy(
// DEFAULT:         plan {live = "all", rows = 400 : i64, samples = 54 : i64, pairs = 1024 : i64, network_pairs = 256 : i64, units = array<i64: 32>, peak_bytes = {{[0-9]+}} : i64}
// SMALL:           plan {live = "all", rows = 400 : i64, samples = 8 : i64, pairs = 1024 : i64, network_pairs = 256 : i64, units = array<i64: 32>, peak_bytes = {{[0-9]+}} : i64}
func.func @energy(%x : tensor<?x400x!bt.state>, %b : !bt.branches<400 x 1>, %w : tensor<400x1600xf64>) -> tensor<?xf64> {
  %e = bt.local_energy %x, %b parameters(%w) through [#bt.part<exponential @theta as "log_cosh">] plan {live = "all", rows = 400 : i64} : tensor<?x400x!bt.state>, !bt.branches<400 x 1> (tensor<400x1600xf64>) -> tensor<?xf64>
  func.return %e : tensor<?xf64>
}

func.func private @theta(%w : tensor<400x1600xf64>, %x : tensor<1x400xi8>) -> tensor<1x1600xf64> {
  %y = stablehlo.convert %x : (tensor<1x400xi8>) -> tensor<1x400xf64>
  %z = stablehlo.dot_general %y, %w, contracting_dims = [1] x [0] : (tensor<1x400xf64>, tensor<400x1600xf64>) -> tensor<1x1600xf64>
  func.return %z : tensor<1x1600xf64>
}
