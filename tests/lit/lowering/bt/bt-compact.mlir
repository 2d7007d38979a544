// RUN: symir-opt %s -p "bt-compact" | filecheck %s
// RUN: symir-opt %s -p "bt-specialize{batch=2 state=i8},convert-bt-to-stablehlo,cse,dce" | filecheck %s --check-prefix=HLO

// 72 hops between 9 sites with 2 particles: 2 sites are full and 7 empty, so that 14 of
// them are possible at once.
func.func @hops(%x : tensor<?x9x!bt.state>) -> (tensor<?x72x9x!bt.state>, tensor<?x72xf64>) {
  bt.assume %x bounds [0, 1] sums [array<f64: 1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 2.0>] : tensor<?x9x!bt.state>
  %i = stablehlo.constant dense<[0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 1, 1, 1, 1, 2, 2, 2, 2, 2, 2, 2, 2, 3, 3, 3, 3, 3, 3, 3, 3, 4, 4, 4, 4, 4, 4, 4, 4, 5, 5, 5, 5, 5, 5, 5, 5, 6, 6, 6, 6, 6, 6, 6, 6, 7, 7, 7, 7, 7, 7, 7, 7, 8, 8, 8, 8, 8, 8, 8, 8]> : tensor<72xi32>
  %j = stablehlo.constant dense<[1, 2, 3, 4, 5, 6, 7, 8, 0, 2, 3, 4, 5, 6, 7, 8, 0, 1, 3, 4, 5, 6, 7, 8, 0, 1, 2, 4, 5, 6, 7, 8, 0, 1, 2, 3, 5, 6, 7, 8, 0, 1, 2, 3, 4, 6, 7, 8, 0, 1, 2, 3, 4, 5, 7, 8, 0, 1, 2, 3, 4, 5, 6, 8, 0, 1, 2, 3, 4, 5, 6, 7]> : tensor<72xi32>
  %one = stablehlo.constant dense<1.0> : tensor<f64>
  %zero = stablehlo.constant dense<0.0> : tensor<f64>
  %ones = bt.broadcast %one dims = [] : tensor<f64> -> tensor<?x72xf64>
  %zeros = bt.broadcast %zero dims = [] : tensor<f64> -> tensor<?x72xf64>
  %a = bt.gather %x[%i] : (tensor<?x9x!bt.state>, tensor<72xi32>) -> tensor<?x72xf64>
  %b = bt.gather %x[%j] : (tensor<?x9x!bt.state>, tensor<72xi32>) -> tensor<?x72xf64>
  %full = stablehlo.compare EQ, %a, %ones : (tensor<?x72xf64>, tensor<?x72xf64>) -> tensor<?x72xi1>
  %empty = stablehlo.compare EQ, %b, %zeros : (tensor<?x72xf64>, tensor<?x72xf64>) -> tensor<?x72xi1>
  %p = stablehlo.and %full, %empty : tensor<?x72xi1>
  %hops = bt.branches [%i, %j] = [%zero, %one] amplitude %one valid %p origins #bt.lanes<0:72 of 72> : [tensor<72xi32>, tensor<72xi32>] [tensor<f64>, tensor<f64>] tensor<f64>, tensor<?x72xi1> -> !bt.branches<72 x 2>
  %xp, %mels = bt.connections %x, %hops : (tensor<?x9x!bt.state>, !bt.branches<72 x 2>) -> (tensor<?x72x9x!bt.state>, tensor<?x72xf64>)
  func.return %xp, %mels : tensor<?x72x9x!bt.state>, tensor<?x72xf64>
}

// CHECK-LABEL: func.func @hops({{.*}}) -> (tensor<?x14x9x!bt.state>, tensor<?x14xf64>)
// CHECK:         [[H:%\S+]] = bt.branches[%i, %j] = {{.*}} origins #bt.lanes<0:72 of 72> :
// CHECK-NEXT:    [[C:%\S+]] = bt.compact [[H]] : !bt.branches<72 x 2> -> !bt.branches<14 x 2>
// CHECK-NEXT:    bt.connections %x, [[C]] :

// The kernel of what is not compacted has no trace of the promises.
// HLO-LABEL: func.func @hops
// HLO-NOT:     bt.assume

// Nothing is conserved, as far as is known.
func.func @unknown(%x : tensor<?x9x!bt.state>) -> (tensor<?x72x9x!bt.state>, tensor<?x72xf64>) {
  bt.assume %x bounds [0, 1] : tensor<?x9x!bt.state>
  %i = stablehlo.constant dense<[0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 1, 1, 1, 1, 2, 2, 2, 2, 2, 2, 2, 2, 3, 3, 3, 3, 3, 3, 3, 3, 4, 4, 4, 4, 4, 4, 4, 4, 5, 5, 5, 5, 5, 5, 5, 5, 6, 6, 6, 6, 6, 6, 6, 6, 7, 7, 7, 7, 7, 7, 7, 7, 8, 8, 8, 8, 8, 8, 8, 8]> : tensor<72xi32>
  %j = stablehlo.constant dense<[1, 2, 3, 4, 5, 6, 7, 8, 0, 2, 3, 4, 5, 6, 7, 8, 0, 1, 3, 4, 5, 6, 7, 8, 0, 1, 2, 4, 5, 6, 7, 8, 0, 1, 2, 3, 5, 6, 7, 8, 0, 1, 2, 3, 4, 6, 7, 8, 0, 1, 2, 3, 4, 5, 7, 8, 0, 1, 2, 3, 4, 5, 6, 8, 0, 1, 2, 3, 4, 5, 6, 7]> : tensor<72xi32>
  %one = stablehlo.constant dense<1.0> : tensor<f64>
  %zero = stablehlo.constant dense<0.0> : tensor<f64>
  %ones = bt.broadcast %one dims = [] : tensor<f64> -> tensor<?x72xf64>
  %zeros = bt.broadcast %zero dims = [] : tensor<f64> -> tensor<?x72xf64>
  %a = bt.gather %x[%i] : (tensor<?x9x!bt.state>, tensor<72xi32>) -> tensor<?x72xf64>
  %b = bt.gather %x[%j] : (tensor<?x9x!bt.state>, tensor<72xi32>) -> tensor<?x72xf64>
  %full = stablehlo.compare EQ, %a, %ones : (tensor<?x72xf64>, tensor<?x72xf64>) -> tensor<?x72xi1>
  %empty = stablehlo.compare EQ, %b, %zeros : (tensor<?x72xf64>, tensor<?x72xf64>) -> tensor<?x72xi1>
  %p = stablehlo.and %full, %empty : tensor<?x72xi1>
  %hops = bt.branches [%i, %j] = [%zero, %one] amplitude %one valid %p : [tensor<72xi32>, tensor<72xi32>] [tensor<f64>, tensor<f64>] tensor<f64>, tensor<?x72xi1> -> !bt.branches<72 x 2>
  %xp, %mels = bt.connections %x, %hops : (tensor<?x9x!bt.state>, !bt.branches<72 x 2>) -> (tensor<?x72x9x!bt.state>, tensor<?x72xf64>)
  func.return %xp, %mels : tensor<?x72x9x!bt.state>, tensor<?x72xf64>
}

// CHECK-LABEL: func.func @unknown
// CHECK-NOT:     bt.compact

// More than one particle may be on a site.
func.func @bosons(%x : tensor<?x9x!bt.state>) -> (tensor<?x72x9x!bt.state>, tensor<?x72xf64>) {
  bt.assume %x bounds [0, 3] sums [array<f64: 1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 2.0>] : tensor<?x9x!bt.state>
  %i = stablehlo.constant dense<[0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 1, 1, 1, 1, 2, 2, 2, 2, 2, 2, 2, 2, 3, 3, 3, 3, 3, 3, 3, 3, 4, 4, 4, 4, 4, 4, 4, 4, 5, 5, 5, 5, 5, 5, 5, 5, 6, 6, 6, 6, 6, 6, 6, 6, 7, 7, 7, 7, 7, 7, 7, 7, 8, 8, 8, 8, 8, 8, 8, 8]> : tensor<72xi32>
  %j = stablehlo.constant dense<[1, 2, 3, 4, 5, 6, 7, 8, 0, 2, 3, 4, 5, 6, 7, 8, 0, 1, 3, 4, 5, 6, 7, 8, 0, 1, 2, 4, 5, 6, 7, 8, 0, 1, 2, 3, 5, 6, 7, 8, 0, 1, 2, 3, 4, 6, 7, 8, 0, 1, 2, 3, 4, 5, 7, 8, 0, 1, 2, 3, 4, 5, 6, 8, 0, 1, 2, 3, 4, 5, 6, 7]> : tensor<72xi32>
  %one = stablehlo.constant dense<1.0> : tensor<f64>
  %zero = stablehlo.constant dense<0.0> : tensor<f64>
  %ones = bt.broadcast %one dims = [] : tensor<f64> -> tensor<?x72xf64>
  %zeros = bt.broadcast %zero dims = [] : tensor<f64> -> tensor<?x72xf64>
  %a = bt.gather %x[%i] : (tensor<?x9x!bt.state>, tensor<72xi32>) -> tensor<?x72xf64>
  %b = bt.gather %x[%j] : (tensor<?x9x!bt.state>, tensor<72xi32>) -> tensor<?x72xf64>
  %full = stablehlo.compare EQ, %a, %ones : (tensor<?x72xf64>, tensor<?x72xf64>) -> tensor<?x72xi1>
  %empty = stablehlo.compare EQ, %b, %zeros : (tensor<?x72xf64>, tensor<?x72xf64>) -> tensor<?x72xi1>
  %p = stablehlo.and %full, %empty : tensor<?x72xi1>
  %hops = bt.branches [%i, %j] = [%zero, %one] amplitude %one valid %p : [tensor<72xi32>, tensor<72xi32>] [tensor<f64>, tensor<f64>] tensor<f64>, tensor<?x72xi1> -> !bt.branches<72 x 2>
  %xp, %mels = bt.connections %x, %hops : (tensor<?x9x!bt.state>, !bt.branches<72 x 2>) -> (tensor<?x72x9x!bt.state>, tensor<?x72xf64>)
  func.return %xp, %mels : tensor<?x72x9x!bt.state>, tensor<?x72xf64>
}

// CHECK-LABEL: func.func @bosons
// CHECK-NOT:     bt.compact

// With one empty site each hop goes there.
func.func @half(%x : tensor<?x9x!bt.state>) -> (tensor<?x72x9x!bt.state>, tensor<?x72xf64>) {
  bt.assume %x bounds [0, 1] sums [array<f64: 1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 8.0>] : tensor<?x9x!bt.state>
  %i = stablehlo.constant dense<[0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 1, 1, 1, 1, 2, 2, 2, 2, 2, 2, 2, 2, 3, 3, 3, 3, 3, 3, 3, 3, 4, 4, 4, 4, 4, 4, 4, 4, 5, 5, 5, 5, 5, 5, 5, 5, 6, 6, 6, 6, 6, 6, 6, 6, 7, 7, 7, 7, 7, 7, 7, 7, 8, 8, 8, 8, 8, 8, 8, 8]> : tensor<72xi32>
  %j = stablehlo.constant dense<[1, 2, 3, 4, 5, 6, 7, 8, 0, 2, 3, 4, 5, 6, 7, 8, 0, 1, 3, 4, 5, 6, 7, 8, 0, 1, 2, 4, 5, 6, 7, 8, 0, 1, 2, 3, 5, 6, 7, 8, 0, 1, 2, 3, 4, 6, 7, 8, 0, 1, 2, 3, 4, 5, 7, 8, 0, 1, 2, 3, 4, 5, 6, 8, 0, 1, 2, 3, 4, 5, 6, 7]> : tensor<72xi32>
  %one = stablehlo.constant dense<1.0> : tensor<f64>
  %zero = stablehlo.constant dense<0.0> : tensor<f64>
  %ones = bt.broadcast %one dims = [] : tensor<f64> -> tensor<?x72xf64>
  %zeros = bt.broadcast %zero dims = [] : tensor<f64> -> tensor<?x72xf64>
  %a = bt.gather %x[%i] : (tensor<?x9x!bt.state>, tensor<72xi32>) -> tensor<?x72xf64>
  %b = bt.gather %x[%j] : (tensor<?x9x!bt.state>, tensor<72xi32>) -> tensor<?x72xf64>
  %full = stablehlo.compare EQ, %a, %ones : (tensor<?x72xf64>, tensor<?x72xf64>) -> tensor<?x72xi1>
  %empty = stablehlo.compare EQ, %b, %zeros : (tensor<?x72xf64>, tensor<?x72xf64>) -> tensor<?x72xi1>
  %p = stablehlo.and %full, %empty : tensor<?x72xi1>
  %hops = bt.branches [%i, %j] = [%zero, %one] amplitude %one valid %p : [tensor<72xi32>, tensor<72xi32>] [tensor<f64>, tensor<f64>] tensor<f64>, tensor<?x72xi1> -> !bt.branches<72 x 2>
  %xp, %mels = bt.connections %x, %hops : (tensor<?x9x!bt.state>, !bt.branches<72 x 2>) -> (tensor<?x72x9x!bt.state>, tensor<?x72xf64>)
  func.return %xp, %mels : tensor<?x72x9x!bt.state>, tensor<?x72xf64>
}

// CHECK-LABEL: func.func @half
// CHECK:         -> !bt.branches<8 x 2>
