// RUN: symir-opt %s -p "bt-prune,canonicalize,cse" | filecheck %s

// Lanes whose predicate is false for every x, or whose matrix element is 0 times a finite
// number, are left out; what is 0 times a parameter, which may be infinite, stays.
func.func @rows(%x : tensor<?x3x!bt.state>, %t : tensor<f64>) -> (tensor<?x11x3x!bt.state>, tensor<?x11xf64>) {
  %i = stablehlo.constant dense<[0, 1, 2]> : tensor<3xi32>
  %v = bt.gather %x[%i] : (tensor<?x3x!bt.state>, tensor<3xi32>) -> tensor<?x3xf64>
  %zero = stablehlo.constant dense<0.0> : tensor<f64>
  %zeros = bt.broadcast %zero dims = [] : tensor<f64> -> tensor<?x3xf64>
  %up = stablehlo.compare GT, %v, %zeros : (tensor<?x3xf64>, tensor<?x3xf64>) -> tensor<?x3xi1>
  %apart = stablehlo.constant dense<[true, false, true]> : tensor<3xi1>
  %aparts = bt.broadcast %apart dims = [1] : tensor<3xi1> -> tensor<?x3xi1>
  %p = stablehlo.and %up, %aparts : tensor<?x3xi1>
  %never = bt.branches [%i] = [%v] amplitude %v valid %p origins #bt.lanes<0:3 of 11> : [tensor<3xi32>] [tensor<?x3xf64>] tensor<?x3xf64>, tensor<?x3xi1> -> !bt.branches<3 x 1>
  %w = stablehlo.constant dense<[1.0, 2.0, 0.0]> : tensor<3xf64>
  %ws = bt.broadcast %w dims = [1] : tensor<3xf64> -> tensor<?x3xf64>
  %a = stablehlo.multiply %ws, %v : tensor<?x3xf64>
  %weighted = bt.branches [] = [] amplitude %a origins #bt.lanes<3:6 of 11> : [] [] tensor<?x3xf64> -> !bt.branches<3 x 0>
  %off = stablehlo.multiply %zeros, %v : tensor<?x3xf64>
  %nothing = bt.branches [%i] = [%v] amplitude %off origins #bt.lanes<6:9 of 11> : [tensor<3xi32>] [tensor<?x3xf64>] tensor<?x3xf64> -> !bt.branches<3 x 1>
  %unknown = stablehlo.multiply %zero, %t : tensor<f64>
  %ts = bt.branches [] = [] amplitude %unknown origins #bt.lanes<9, 10 of 11> : [] [] tensor<f64> -> !bt.branches<2 x 0>
  %all = bt.concat %never, %weighted, %nothing, %ts : !bt.branches<3 x 1>, !bt.branches<3 x 0>, !bt.branches<3 x 1>, !bt.branches<2 x 0> -> !bt.branches<11 x 1>
  %xp, %mels = bt.connections %x, %all : (tensor<?x3x!bt.state>, !bt.branches<11 x 1>) -> (tensor<?x11x3x!bt.state>, tensor<?x11xf64>)
  func.return %xp, %mels : tensor<?x11x3x!bt.state>, tensor<?x11xf64>
}

// CHECK-LABEL: func.func @rows({{.*}}) -> (tensor<?x6x3x!bt.state>, tensor<?x6xf64>) {
// CHECK:         bt.pruned #bt.lanes<1 of 11>
// CHECK-NEXT:    stablehlo.constant dense<[0, 2]> : tensor<2xi32>
// CHECK:         bt.branches[{{.*}} origins #bt.lanes<0, 2 of 11> {{.*}} -> !bt.branches<2 x 1>
// CHECK:         bt.pruned #bt.lanes<5 of 11>
// CHECK:         stablehlo.constant dense<[1.000000e+00, 2.000000e+00]> : tensor<2xf64>
// CHECK:         bt.branches[{{.*}} origins #bt.lanes<3, 4 of 11> {{.*}} -> !bt.branches<2 x 0>
// CHECK-NOT:     !bt.branches<3
// CHECK:         bt.pruned #bt.lanes<{6:9} of 11>
// CHECK-NOT:     !bt.branches<3
// CHECK:         bt.branches[{{.*}} origins #bt.lanes<9, 10 of 11> {{.*}} -> !bt.branches<2 x 0>
// CHECK:         bt.concat {{.*}} -> !bt.branches<6 x 1>

// Of a term with a fanout it is not known which lanes are where: all stay.
func.func @promised(%x : tensor<?x3x!bt.state>) -> (tensor<?x2x3x!bt.state>, tensor<?x2xf64>) {
  %w = stablehlo.constant dense<[1.0, 0.0, 0.0]> : tensor<3xf64>
  %b = bt.branches [] = [] amplitude %w : [] [] tensor<3xf64> -> !bt.branches<3 x 0>
  %c = bt.compact %b : !bt.branches<3 x 0> -> !bt.branches<2 x 0>
  %xp, %mels = bt.connections %x, %c : (tensor<?x3x!bt.state>, !bt.branches<2 x 0>) -> (tensor<?x2x3x!bt.state>, tensor<?x2xf64>)
  func.return %xp, %mels : tensor<?x2x3x!bt.state>, tensor<?x2xf64>
}

// CHECK-LABEL: func.func @promised
// CHECK:         !bt.branches<3 x 0> -> !bt.branches<2 x 0>
// CHECK-NOT:     !bt.branches<1
