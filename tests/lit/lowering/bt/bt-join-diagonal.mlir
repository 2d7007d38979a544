// RUN: symir-opt %s -p "bt-join-diagonal,canonicalize,cse" | filecheck %s

// The diagonal is the first lane of the branches after it: its site is none.
func.func @ising(%x : tensor<?x3x!bt.state>, %d : tensor<f64>, %h : tensor<f64>) -> (tensor<?x4x3x!bt.state>, tensor<?x4xf64>) {
  %i = stablehlo.constant dense<[2, 0, 1]> : tensor<3xi32>
  %v = bt.gather %x[%i] : (tensor<?x3x!bt.state>, tensor<3xi32>) -> tensor<?x3xf64>
  %n = stablehlo.negate %v : tensor<?x3xf64>
  %diagonal = bt.branches [] = [] amplitude %d : [] [] tensor<f64> -> !bt.branches<1 x 0>
  %flips = bt.branches [%i] = [%n] amplitude %h : [tensor<3xi32>] [tensor<?x3xf64>] tensor<f64> -> !bt.branches<3 x 1>
  %all = bt.concat %diagonal, %flips : !bt.branches<1 x 0>, !bt.branches<3 x 1> -> !bt.branches<4 x 1>
  %xp, %mels = bt.connections %x, %all : (tensor<?x3x!bt.state>, !bt.branches<4 x 1>) -> (tensor<?x4x3x!bt.state>, tensor<?x4xf64>)
  func.return %xp, %mels : tensor<?x4x3x!bt.state>, tensor<?x4xf64>
}

// CHECK-LABEL: func.func @ising
// CHECK:         [[I:%\S+]] = stablehlo.constant dense<[2, 2, 0, 1]> : tensor<4xi32>
// CHECK-NEXT:    [[S:%\S+]] = stablehlo.constant dense<[-1, 2, 0, 1]> : tensor<4xi32>
// CHECK-NEXT:    [[V:%\S+]] = bt.gather %x[[[I]]] :
// CHECK-NEXT:    [[N:%\S+]] = stablehlo.negate [[V]] : tensor<?x4xf64>
// CHECK:         [[F:%\S+]] = stablehlo.constant dense<[true, false, false, false]> : tensor<4xi1>
// CHECK:         [[A:%\S+]] = stablehlo.select [[F]], {{.*}} : tensor<4xi1>, tensor<4xf64>
// CHECK-NEXT:    [[B:%\S+]] = bt.branches[[[S]]] = [[[N]]] amplitude [[A]] :
// CHECK-NEXT:    bt.connections %x, [[B]]

// With amplitudes of their own, or with a third part, lanes are concatenated.
func.func @apart(%x : tensor<?x3x!bt.state>, %d : tensor<f64>) -> (tensor<?x4x3x!bt.state>, tensor<?x4xf64>) {
  %i = stablehlo.constant dense<[2, 0, 1]> : tensor<3xi32>
  %v = bt.gather %x[%i] : (tensor<?x3x!bt.state>, tensor<3xi32>) -> tensor<?x3xf64>
  %diagonal = bt.branches [] = [] amplitude %d : [] [] tensor<f64> -> !bt.branches<1 x 0>
  %flips = bt.branches [%i] = [%v] amplitude %v : [tensor<3xi32>] [tensor<?x3xf64>] tensor<?x3xf64> -> !bt.branches<3 x 1>
  %all = bt.concat %diagonal, %flips : !bt.branches<1 x 0>, !bt.branches<3 x 1> -> !bt.branches<4 x 1>
  %xp, %mels = bt.connections %x, %all : (tensor<?x3x!bt.state>, !bt.branches<4 x 1>) -> (tensor<?x4x3x!bt.state>, tensor<?x4xf64>)
  func.return %xp, %mels : tensor<?x4x3x!bt.state>, tensor<?x4xf64>
}

// CHECK-LABEL: func.func @apart
// CHECK:         bt.concat

// A join of one part hides nothing.
func.func @wrapped(%x : tensor<?x3x!bt.state>, %d : tensor<f64>, %h : tensor<f64>) -> (tensor<?x4x3x!bt.state>, tensor<?x4xf64>) {
  %i = stablehlo.constant dense<[2, 0, 1]> : tensor<3xi32>
  %v = bt.gather %x[%i] : (tensor<?x3x!bt.state>, tensor<3xi32>) -> tensor<?x3xf64>
  %diagonal = bt.branches [] = [] amplitude %d : [] [] tensor<f64> -> !bt.branches<1 x 0>
  %flips = bt.branches [%i] = [%v] amplitude %h : [tensor<3xi32>] [tensor<?x3xf64>] tensor<f64> -> !bt.branches<3 x 1>
  %both = bt.concat %diagonal, %flips : !bt.branches<1 x 0>, !bt.branches<3 x 1> -> !bt.branches<4 x 1>
  %all = bt.concat %both : !bt.branches<4 x 1> -> !bt.branches<4 x 1>
  %xp, %mels = bt.connections %x, %all : (tensor<?x3x!bt.state>, !bt.branches<4 x 1>) -> (tensor<?x4x3x!bt.state>, tensor<?x4xf64>)
  func.return %xp, %mels : tensor<?x4x3x!bt.state>, tensor<?x4xf64>
}

// CHECK-LABEL: func.func @wrapped
// CHECK-NOT:     bt.concat
// CHECK:         func.return
