// RUN: symir-opt %s -p "plan-local-energy" | filecheck %s --check-prefixes=CHECK,DEFAULT
// RUN: symir-opt %s -p "plan-local-energy{budget=65536 cache=65536}" | filecheck %s --check-prefixes=CHECK,SMALL

// A plan that is there already is completed. Tables by site would be larger here.
// CHECK-LABEL:   func.func @energy(
// DEFAULT:         plan <live = all, rows = 400, samples = 54, pairs = 1024, network_pairs = 256, units = [32], tables = lanes, peak_bytes = {{[0-9]+}}>
// SMALL:           plan <live = all, rows = 400, samples = 8, pairs = 1024, network_pairs = 256, units = [32], tables = lanes, peak_bytes = {{[0-9]+}}>
func.func @energy(%x : tensor<?x400x!bt.state>, %b : !bt.branches<400 x 1>, %w : tensor<400x1600xf64>) -> tensor<?xf64> {
  bt.assume %x values [array<f64: -1.0, 1.0>] : tensor<?x400x!bt.state>
  %e = bt.local_energy %x, %b parameters(%w) through [#bt.part<exponential @theta as "log_cosh">] plan <live = all, rows = 400> : tensor<?x400x!bt.state>, !bt.branches<400 x 1> (tensor<400x1600xf64>) -> tensor<?xf64>
  func.return %e : tensor<?xf64>
}

func.func private @theta(%w : tensor<400x1600xf64>, %x : tensor<1x400xi8>) -> tensor<1x1600xf64> {
  %y = stablehlo.convert %x : (tensor<1x400xi8>) -> tensor<1x400xf64>
  %z = stablehlo.dot_general %y, %w, contracting_dims = [1] x [0] : (tensor<1x400xf64>, tensor<400x1600xf64>) -> tensor<1x1600xf64>
  func.return %z : tensor<1x1600xf64>
}

// Of lanes that are elsewhere for each x tables have a row for each site, and value before
// and after.
// CHECK-LABEL:   func.func @elsewhere(
// CHECK:           plan <live = some, rows = 0, samples = {{[0-9]+}}, pairs = 1024, network_pairs = 256, units = [32], tables = sites,
func.func @elsewhere(%x : tensor<?x400x!bt.state>, %b : !bt.branches<400 x 1>, %w : tensor<400x1600xf64>) -> tensor<?xf64> {
  bt.assume %x values [array<f64: -1.0, 1.0>] : tensor<?x400x!bt.state>
  %e = bt.local_energy %x, %b parameters(%w) through [#bt.part<exponential @theta as "log_cosh">] plan <live = some, rows = 0> : tensor<?x400x!bt.state>, !bt.branches<400 x 1> (tensor<400x1600xf64>) -> tensor<?xf64>
  func.return %e : tensor<?xf64>
}

// So many evaluations at once that what depends on x stays small: parameters, such as
// the masked ones here, are there once. Where a network is always evaluated
// more samples are taken, so that few of the last chunk are evaluated in vain.
// CHECK-LABEL:   func.func @network(
// DEFAULT:         plan <samples = 1024, pairs = 1024, network_pairs = 1024,
// SMALL:           plan <samples = {{[0-9]+}}, pairs = 1024, network_pairs = 512,
func.func @network(%x : tensor<?x8x!bt.state>, %b : !bt.branches<8 x 1>, %w : tensor<256x256xf64>) -> tensor<?xf64> {
  %e = bt.local_energy %x, %b parameters(%w) through [#bt.part<network @masked>] plan <> : tensor<?x8x!bt.state>, !bt.branches<8 x 1> (tensor<256x256xf64>) -> tensor<?xf64>
  func.return %e : tensor<?xf64>
}

func.func private @masked(%w : tensor<256x256xf64>, %x : tensor<1x8xi8>) -> tensor<1xf64> {
  %masked = stablehlo.multiply %w, %w : tensor<256x256xf64>
  %rows = stablehlo.slice %masked [0:1, 0:256] : (tensor<256x256xf64>) -> tensor<1x256xf64>
  %y = stablehlo.convert %x : (tensor<1x8xi8>) -> tensor<1x8xf64>
  %wide = stablehlo.broadcast_in_dim %y, dims = [0, 1] : (tensor<1x8xf64>) -> tensor<1x8x32xf64>
  %flat = stablehlo.reshape %wide : (tensor<1x8x32xf64>) -> tensor<1x256xf64>
  %z = stablehlo.dot_general %flat, %rows, contracting_dims = [1] x [1] : (tensor<1x256xf64>, tensor<1x256xf64>) -> tensor<1x1xf64>
  %r = stablehlo.reshape %z : (tensor<1x1xf64>) -> tensor<1xf64>
  func.return %r : tensor<1xf64>
}

// Of a small network twice as many as fit.
// CHECK-LABEL:   func.func @little(
// DEFAULT:         plan <samples = {{[0-9]+}}, pairs = 1024, network_pairs = 4096,
// SMALL:           plan <samples = {{[0-9]+}}, pairs = 1024, network_pairs = 512,
func.func @little(%x : tensor<?x8x!bt.state>, %b : !bt.branches<8 x 1>, %w : tensor<8x128xf64>) -> tensor<?xf64> {
  %e = bt.local_energy %x, %b parameters(%w) through [#bt.part<network @of_128>] plan <> : tensor<?x8x!bt.state>, !bt.branches<8 x 1> (tensor<8x128xf64>) -> tensor<?xf64>
  func.return %e : tensor<?xf64>
}

func.func private @of_128(%w : tensor<8x128xf64>, %x : tensor<1x8xi8>) -> tensor<1xf64> {
  %y = stablehlo.convert %x : (tensor<1x8xi8>) -> tensor<1x8xf64>
  %z = stablehlo.dot_general %y, %w, contracting_dims = [1] x [0] : (tensor<1x8xf64>, tensor<8x128xf64>) -> tensor<1x128xf64>
  %s = stablehlo.slice %z [0:1, 0:1] : (tensor<1x128xf64>) -> tensor<1x1xf64>
  %r = stablehlo.reshape %s : (tensor<1x1xf64>) -> tensor<1xf64>
  func.return %r : tensor<1xf64>
}

// Of a lifted one half as many: what its first layer is found from takes as much.
// CHECK-LABEL:   func.func @half(
// DEFAULT:         plan <samples = {{[0-9]+}}, pairs = 1024, network_pairs = 1024,
// SMALL:           plan <samples = {{[0-9]+}}, pairs = 512, network_pairs = 512,
func.func @half(%x : tensor<?x8x!bt.state>, %b : !bt.branches<8 x 1>, %w : tensor<8x256xf32>) -> tensor<?xf32> {
  %e = bt.local_energy %x, %b parameters(%w) through [#bt.part<lifted @first then @rest as "tanh">] plan <> : tensor<?x8x!bt.state>, !bt.branches<8 x 1> (tensor<8x256xf32>) -> tensor<?xf32>
  func.return %e : tensor<?xf32>
}

func.func private @first(%w : tensor<8x256xf32>, %x : tensor<1x8xi8>) -> tensor<1x256xf32> {
  %y = stablehlo.convert %x : (tensor<1x8xi8>) -> tensor<1x8xf32>
  %z = stablehlo.dot_general %y, %w, contracting_dims = [1] x [0] : (tensor<1x8xf32>, tensor<8x256xf32>) -> tensor<1x256xf32>
  func.return %z : tensor<1x256xf32>
}

func.func private @rest(%w : tensor<8x256xf32>, %h : tensor<1x256xf32>) -> tensor<1xf32> {
  %z = stablehlo.dot_general %h, %h, contracting_dims = [1] x [1] : (tensor<1x256xf32>, tensor<1x256xf32>) -> tensor<1x1xf32>
  %r = stablehlo.reshape %z : (tensor<1x1xf32>) -> tensor<1xf32>
  func.return %r : tensor<1xf32>
}

// What calls a library, such as for a determinant, is evaluated for more at once.
// CHECK-LABEL:   func.func @calling(
// DEFAULT:         plan <samples = {{[0-9]+}}, pairs = 1024, network_pairs = 2048,
// SMALL:           plan <samples = {{[0-9]+}}, pairs = 1024, network_pairs = 512,
func.func @calling(%x : tensor<?x8x!bt.state>, %b : !bt.branches<8 x 1>, %w : tensor<256x256xf64>) -> tensor<?xf64> {
  %e = bt.local_energy %x, %b parameters(%w) through [#bt.part<network @call>] plan <> : tensor<?x8x!bt.state>, !bt.branches<8 x 1> (tensor<256x256xf64>) -> tensor<?xf64>
  func.return %e : tensor<?xf64>
}

func.func private @call(%w : tensor<256x256xf64>, %x : tensor<1x8xi8>) -> tensor<1xf64> {
  %y = stablehlo.convert %x : (tensor<1x8xi8>) -> tensor<1x8xf64>
  %wide = stablehlo.broadcast_in_dim %y, dims = [0, 1] : (tensor<1x8xf64>) -> tensor<1x8x64xf64>
  %z = "stablehlo.custom_call"(%wide) {call_target_name = "a_library"} : (tensor<1x8x64xf64>) -> tensor<1xf64>
  func.return %z : tensor<1xf64>
}

// What a declared delta keeps of a sample is not known: fewer are taken than of a network.
// It has no tables.
// CHECK-LABEL:   func.func @declared(
// DEFAULT:         plan <samples = 256, pairs = 1024, network_pairs = 1024, units = [1], tables = lanes,
// SMALL:           plan <samples = 256, pairs = 1024, network_pairs = 512, units = [1], tables = lanes,
func.func @declared(%x : tensor<?x8x!bt.state>, %b : !bt.branches<8 x 1>, %w : tensor<256x256xf64>) -> tensor<?xf64> {
  bt.assume %x values [array<f64: -1.0, 1.0>] : tensor<?x8x!bt.state>
  %e = bt.local_energy %x, %b parameters(%w) through [#bt.part<declared @masked of @inputs>] plan <> : tensor<?x8x!bt.state>, !bt.branches<8 x 1> (tensor<256x256xf64>) -> tensor<?xf64>
  func.return %e : tensor<?xf64>
}

func.func private @inputs(%w : tensor<256x256xf64>, %x : tensor<1x8xi8>) -> (tensor<256x256xf64>, tensor<1x8xi8>) {
  func.return %w, %x : tensor<256x256xf64>, tensor<1x8xi8>
}
