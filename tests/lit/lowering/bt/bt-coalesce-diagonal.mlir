// RUN: symir-opt %s -p "bt-coalesce-diagonal,stablehlo-fold-constants,canonicalize,cse" | filecheck %s
// RUN: symir-opt %s -p "bt-specialize{batch=4 state=i8},bt-coalesce-diagonal" --verify-diagnostics | filecheck %s --check-prefix=BOUND

// BOUND: bt-coalesce-diagonal: the batch size is bound; run it before bt-specialize

// What all lanes have in common is taken out of the sum; the others keep their order.
func.func @ising(%x : tensor<?x3x!bt.state>, %J : tensor<f64>) -> (tensor<?x4x3x!bt.state>, tensor<?x4xf64>) {
  %i = stablehlo.constant dense<[0, 1]> : tensor<2xi32>
  %j = stablehlo.constant dense<[1, 2]> : tensor<2xi32>
  %a = bt.gather %x[%i] : (tensor<?x3x!bt.state>, tensor<2xi32>) -> tensor<?x2xf64>
  %b = bt.gather %x[%j] : (tensor<?x3x!bt.state>, tensor<2xi32>) -> tensor<?x2xf64>
  %Js = bt.broadcast %J dims = [] : tensor<f64> -> tensor<?x2xf64>
  %c = stablehlo.multiply %Js, %a : tensor<?x2xf64>
  %d = stablehlo.multiply %c, %b : tensor<?x2xf64>
  %flips = bt.branches [%i] = [%b] amplitude %J origins #bt.lanes<0, 2 of 4> : [tensor<2xi32>] [tensor<?x2xf64>] tensor<f64> -> !bt.branches<2 x 1>
  %bonds = bt.branches [] = [] amplitude %d origins #bt.lanes<1, 3 of 4> : [] [] tensor<?x2xf64> -> !bt.branches<2 x 0>
  %all = bt.interleave %flips, %bonds : !bt.branches<2 x 1>, !bt.branches<2 x 0> -> !bt.branches<4 x 1>
  %xp, %mels = bt.connections %x, %all : (tensor<?x3x!bt.state>, !bt.branches<4 x 1>) -> (tensor<?x4x3x!bt.state>, tensor<?x4xf64>)
  func.return %xp, %mels : tensor<?x4x3x!bt.state>, tensor<?x4xf64>
}

// CHECK-LABEL: func.func @ising({{.*}}) -> (tensor<?x3x3x!bt.state>, tensor<?x3xf64>) {
// CHECK:         %flips = bt.branches[%i] = [%b] amplitude %J origins #bt.lanes<0, 2 of 4> :
// CHECK:         [[V:%\S+]] = stablehlo.multiply %a, %b : tensor<?x2xf64>
// CHECK-NEXT:    [[S:%\S+]] = bt.reduce sum [[V]] : tensor<?x2xf64> -> tensor<?xf64>
// CHECK-NEXT:    [[JB:%\S+]] = bt.broadcast %J dims = [] : tensor<f64> -> tensor<?xf64>
// CHECK-NEXT:    [[A:%\S+]] = stablehlo.multiply [[JB]], [[S]] : tensor<?xf64>
// CHECK-NEXT:    [[L:%\S+]] = bt.broadcast [[A]] dims = [0] : tensor<?xf64> -> tensor<?x1xf64>
// CHECK-NEXT:    [[D:%\S+]] = bt.branches[] = [] amplitude [[L]] origins #bt.lanes<{1, 3} of 4> : [] [] tensor<?x1xf64> -> !bt.branches<1 x 0>
// CHECK-NEXT:    [[C:%\S+]] = bt.concat [[D]], %flips : !bt.branches<1 x 0>, !bt.branches<2 x 1> -> !bt.branches<3 x 1>
// CHECK-NEXT:    bt.connections %x, [[C]] :

// An invalid lane adds nothing; of no valid lane at all the sum is 0, whatever J is.
func.func @guarded(%x : tensor<?x3x!bt.state>, %J : tensor<f64>) -> (tensor<?x2x3x!bt.state>, tensor<?x2xf64>) {
  %i = stablehlo.constant dense<[0, 1]> : tensor<2xi32>
  %a = bt.gather %x[%i] : (tensor<?x3x!bt.state>, tensor<2xi32>) -> tensor<?x2xf64>
  %z = stablehlo.constant dense<0.0> : tensor<f64>
  %zs = bt.broadcast %z dims = [] : tensor<f64> -> tensor<?x2xf64>
  %p = stablehlo.compare GT, %a, %zs : (tensor<?x2xf64>, tensor<?x2xf64>) -> tensor<?x2xi1>
  %Js = bt.broadcast %J dims = [] : tensor<f64> -> tensor<?x2xf64>
  %c = stablehlo.multiply %Js, %a : tensor<?x2xf64>
  %b = bt.branches [] = [] amplitude %c valid %p : [] [] tensor<?x2xf64>, tensor<?x2xi1> -> !bt.branches<2 x 0>
  %xp, %mels = bt.connections %x, %b : (tensor<?x3x!bt.state>, !bt.branches<2 x 0>) -> (tensor<?x2x3x!bt.state>, tensor<?x2xf64>)
  func.return %xp, %mels : tensor<?x2x3x!bt.state>, tensor<?x2xf64>
}

// CHECK-LABEL: func.func @guarded
// CHECK:         [[V:%\S+]] = stablehlo.select %p, %a, %zs : tensor<?x2xi1>, tensor<?x2xf64>
// CHECK-NEXT:    [[S:%\S+]] = bt.reduce sum [[V]]
// CHECK:         [[M:%\S+]] = stablehlo.multiply {{.*}}, [[S]] : tensor<?xf64>
// CHECK-NEXT:    [[SOME:%\S+]] = bt.reduce any %p : tensor<?x2xi1> -> tensor<?xi1>
// CHECK:         stablehlo.select [[SOME]], [[M]], {{.*}} : tensor<?xi1>, tensor<?xf64>

// A broken promise stays NaN.
func.func @promised(%x : tensor<?x3x!bt.state>) -> (tensor<?x2x3x!bt.state>, tensor<?x2xf64>) {
  %i = stablehlo.constant dense<[0, 1, 2]> : tensor<3xi32>
  %a = bt.gather %x[%i] : (tensor<?x3x!bt.state>, tensor<3xi32>) -> tensor<?x3xf64>
  %p = stablehlo.compare NE, %a, %a : (tensor<?x3xf64>, tensor<?x3xf64>) -> tensor<?x3xi1>
  %b = bt.branches [] = [] amplitude %a valid %p origins #bt.lanes<0:3 of 3> : [] [] tensor<?x3xf64>, tensor<?x3xi1> -> !bt.branches<3 x 0>
  %c = bt.compact %b : !bt.branches<3 x 0> -> !bt.branches<2 x 0>
  %xp, %mels = bt.connections %x, %c : (tensor<?x3x!bt.state>, !bt.branches<2 x 0>) -> (tensor<?x2x3x!bt.state>, tensor<?x2xf64>)
  func.return %xp, %mels : tensor<?x2x3x!bt.state>, tensor<?x2xf64>
}

// CHECK-LABEL: func.func @promised
// CHECK:         bt.reduce sum {{.*}} : tensor<?x3xi32> -> tensor<?xi32>
// CHECK:         [[BROKEN:%\S+]] = stablehlo.compare GT, {{.*}} : (tensor<?xi32>, tensor<?xi32>) -> tensor<?xi1>
// CHECK:         stablehlo.select [[BROKEN]],
// CHECK:         bt.branches[] = [] {{.*}} origins #bt.lanes<{0:3} of 3> {{.*}} -> !bt.branches<1 x 0>

// A term with a fanout that moves somewhere is left alone; so is a single lane.
func.func @kept(%x : tensor<?x3x!bt.state>) -> (tensor<?x3x3x!bt.state>, tensor<?x3xf64>) {
  %i = stablehlo.constant dense<[0, 1, 2]> : tensor<3xi32>
  %a = bt.gather %x[%i] : (tensor<?x3x!bt.state>, tensor<3xi32>) -> tensor<?x3xf64>
  %h = stablehlo.constant dense<0.5> : tensor<f64>
  %b = bt.branches [] = [] amplitude %a : [] [] tensor<?x3xf64> -> !bt.branches<3 x 0>
  %c = bt.branches [%i] = [%a] amplitude %h : [tensor<3xi32>] [tensor<?x3xf64>] tensor<f64> -> !bt.branches<3 x 1>
  %d = bt.concat %b, %c : !bt.branches<3 x 0>, !bt.branches<3 x 1> -> !bt.branches<6 x 1>
  %e = bt.compact %d : !bt.branches<6 x 1> -> !bt.branches<2 x 1>
  %f = bt.branches [] = [] amplitude %h : [] [] tensor<f64> -> !bt.branches<1 x 0>
  %g = bt.concat %e, %f : !bt.branches<2 x 1>, !bt.branches<1 x 0> -> !bt.branches<3 x 1>
  %xp, %mels = bt.connections %x, %g : (tensor<?x3x!bt.state>, !bt.branches<3 x 1>) -> (tensor<?x3x3x!bt.state>, tensor<?x3xf64>)
  func.return %xp, %mels : tensor<?x3x3x!bt.state>, tensor<?x3xf64>
}

// CHECK-LABEL: func.func @kept
// CHECK-NOT:     bt.reduce
// CHECK:         %xp, %mels = bt.connections %x, %g : (tensor<?x3x!bt.state>, !bt.branches<3 x 1>)

// What other connections have lanes of stays.
func.func @shared(%x : tensor<?x4x!bt.state>) -> (tensor<?x5x4x!bt.state>, tensor<?x5xf64>, tensor<?x3x4x!bt.state>, tensor<?x3xf64>) {
  %a = stablehlo.constant dense<[1.0, 2.0, 3.0]> : tensor<3xf64>
  %o = stablehlo.constant dense<1.0> : tensor<f64>
  %i = stablehlo.constant dense<[0, 1]> : tensor<2xi32>
  %d = bt.branches [] = [] amplitude %a : [] [] tensor<3xf64> -> !bt.branches<3 x 0>
  %b = bt.branches [%i] = [%o] amplitude %o : [tensor<2xi32>] [tensor<f64>] tensor<f64> -> !bt.branches<2 x 1>
  %c = bt.concat %d, %b : !bt.branches<3 x 0>, !bt.branches<2 x 1> -> !bt.branches<5 x 1>
  %xp, %m = bt.connections %x, %c : (tensor<?x4x!bt.state>, !bt.branches<5 x 1>) -> (tensor<?x5x4x!bt.state>, tensor<?x5xf64>)
  %yp, %n = bt.connections %x, %d : (tensor<?x4x!bt.state>, !bt.branches<3 x 0>) -> (tensor<?x3x4x!bt.state>, tensor<?x3xf64>)
  func.return %xp, %m, %yp, %n : tensor<?x5x4x!bt.state>, tensor<?x5xf64>, tensor<?x3x4x!bt.state>, tensor<?x3xf64>
}

// CHECK-LABEL: func.func @shared
// CHECK:         bt.connections %x, %c : (tensor<?x4x!bt.state>, !bt.branches<5 x 1>)
// CHECK:         bt.connections %x, %d : (tensor<?x4x!bt.state>, !bt.branches<3 x 0>)
