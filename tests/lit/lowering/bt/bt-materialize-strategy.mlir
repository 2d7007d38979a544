// RUN: symir-opt %s -p "bt-materialize-strategy,canonicalize,cse" | filecheck %s
// RUN: symir-opt %s -p "bt-specialize{batch=2 state=i8},bt-materialize-strategy" | filecheck %s --check-prefix=BOUND

// BOUND-NOT: bt.images
// BOUND:     func.func @flips

// Two flips are one image and one mask; where the two are one site, the later one wins,
// which is the source here. Parts that share the image share it.
func.func @flips(%x : tensor<?x3x!bt.state>, %t : tensor<f64>) -> (tensor<?x7x3x!bt.state>, tensor<?x7xf64>) {
  %i = stablehlo.constant dense<[0, 1, 2]> : tensor<3xi32>
  %j = stablehlo.constant dense<[1, 2, 2]> : tensor<3xi32>
  %a = bt.gather %x[%i] : (tensor<?x3x!bt.state>, tensor<3xi32>) -> tensor<?x3xf64>
  %b = bt.gather %x[%j] : (tensor<?x3x!bt.state>, tensor<3xi32>) -> tensor<?x3xf64>
  %m = stablehlo.negate %a : tensor<?x3xf64>
  %n = stablehlo.negate %b : tensor<?x3xf64>
  %d = stablehlo.constant dense<[false, false, true]> : tensor<3xi1>
  %ds = bt.broadcast %d dims = [1] : tensor<3xi1> -> tensor<?x3xi1>
  %o = stablehlo.select %ds, %b, %n : tensor<?x3xi1>, tensor<?x3xf64>
  %k = stablehlo.constant dense<[2, -1, 0]> : tensor<3xi32>
  %e = bt.gather %x[%k] : (tensor<?x3x!bt.state>, tensor<3xi32>) -> tensor<?x3xf64>
  %q = stablehlo.negate %e : tensor<?x3xf64>
  %both = bt.branches [%i, %j] = [%m, %o] amplitude %t : [tensor<3xi32>, tensor<3xi32>] [tensor<?x3xf64>, tensor<?x3xf64>] tensor<f64> -> !bt.branches<3 x 2>
  %one = bt.branches [%k] = [%q] amplitude %a : [tensor<3xi32>] [tensor<?x3xf64>] tensor<?x3xf64> -> !bt.branches<3 x 1>
  %none = bt.branches [] = [] amplitude %t : [] [] tensor<f64> -> !bt.branches<1 x 0>
  %two = bt.interleave %both, %one : !bt.branches<3 x 2>, !bt.branches<3 x 1> -> !bt.branches<6 x 2>
  %all = bt.concat %none, %two : !bt.branches<1 x 0>, !bt.branches<6 x 2> -> !bt.branches<7 x 2>
  %xp, %mels = bt.connections %x, %all : (tensor<?x3x!bt.state>, !bt.branches<7 x 2>) -> (tensor<?x7x3x!bt.state>, tensor<?x7xf64>)
  func.return %xp, %mels : tensor<?x7x3x!bt.state>, tensor<?x7xf64>
}

// CHECK-LABEL: func.func @flips
// CHECK:         [[N:%\S+]] = stablehlo.negate %a : tensor<?x3xf64>
// CHECK-NEXT:    [[B:%\S+]] = stablehlo.constant dense<{{\[\[}}true, true, false], [false, true, true], [false, false, false]]> : tensor<3x3xi1>
// CHECK-NEXT:    %both = bt.images[[[B]]] = [[[N]]] amplitude %t : [tensor<3x3xi1>] [tensor<?x3xf64>] tensor<f64> -> !bt.branches<3 x 3>
// CHECK-NEXT:    [[O:%\S+]] = stablehlo.constant dense<{{\[\[}}false, false, true], [false, false, false], [true, false, false]]> : tensor<3x3xi1>
// CHECK-NEXT:    %one = bt.images[[[O]]] = [[[N]]] amplitude %a :
// CHECK-NEXT:    %none = bt.branches[] = [] amplitude %t
// CHECK-NEXT:    %two = bt.interleave %both, %one : !bt.branches<3 x 3>, !bt.branches<3 x 3> -> !bt.branches<6 x 3>
// CHECK-NEXT:    %all = bt.concat %none, %two : !bt.branches<1 x 0>, !bt.branches<6 x 3> -> !bt.branches<7 x 3>
// CHECK-NEXT:    bt.connections %x, %all : (tensor<?x3x!bt.state>, !bt.branches<7 x 3>)

// A number is an image that is the same everywhere, and so is a parameter; the later write
// wins, which is %t at %i. A lane may not be valid.
func.func @numbers(%x : tensor<?x3x!bt.state>, %t : tensor<f64>) -> (tensor<?x3x3x!bt.state>, tensor<?x3xf64>) {
  %i = stablehlo.constant dense<[0, 1, 2]> : tensor<3xi32>
  %j = stablehlo.constant dense<[1, 2, 0]> : tensor<3xi32>
  %c = stablehlo.constant dense<[1.0, 1.0, 0.0]> : tensor<3xf64>
  %a = bt.gather %x[%i] : (tensor<?x3x!bt.state>, tensor<3xi32>) -> tensor<?x3xf64>
  %ts = bt.broadcast %t dims = [] : tensor<f64> -> tensor<?x3xf64>
  %p = stablehlo.compare GT, %a, %ts : (tensor<?x3xf64>, tensor<?x3xf64>) -> tensor<?x3xi1>
  %b = bt.branches [%j, %i] = [%c, %t] amplitude %a valid %p : [tensor<3xi32>, tensor<3xi32>] [tensor<3xf64>, tensor<f64>] tensor<?x3xf64>, tensor<?x3xi1> -> !bt.branches<3 x 2>
  %xp, %mels = bt.connections %x, %b : (tensor<?x3x!bt.state>, !bt.branches<3 x 2>) -> (tensor<?x3x3x!bt.state>, tensor<?x3xf64>)
  func.return %xp, %mels : tensor<?x3x3x!bt.state>, tensor<?x3xf64>
}

// CHECK-LABEL: func.func @numbers
// CHECK-DAG:     [[ONE:%\S+]] = stablehlo.constant dense<1.000000e+00> : tensor<f64>
// CHECK-DAG:     [[ZERO:%\S+]] = stablehlo.constant dense<0.000000e+00> : tensor<f64>
// CHECK-DAG:     [[A:%\S+]] = stablehlo.constant dense<{{\[\[}}false, true, false], [false, false, true], [false, false, false]]> : tensor<3x3xi1>
// CHECK-DAG:     [[B:%\S+]] = stablehlo.constant dense<{{\[\[}}false, false, false], [false, false, false], [true, false, false]]> : tensor<3x3xi1>
// CHECK-DAG:     [[C:%\S+]] = stablehlo.constant dense<{{\[\[}}true, false, false], [false, true, false], [false, false, true]]> : tensor<3x3xi1>
// CHECK:         bt.images[[[A]], [[B]], [[C]]] = [[[ONE]], [[ZERO]], %t] amplitude %a valid %p :

// The value of another site; a number for each sample; a site that x decides.
func.func @others(%x : tensor<?x3x!bt.state>, %t : tensor<f64>) -> (tensor<?x9x3x!bt.state>, tensor<?x9xf64>) {
  %i = stablehlo.constant dense<[0, 1, 2]> : tensor<3xi32>
  %j = stablehlo.constant dense<[1, 2, 0]> : tensor<3xi32>
  %a = bt.gather %x[%i] : (tensor<?x3x!bt.state>, tensor<3xi32>) -> tensor<?x3xf64>
  %b = bt.gather %x[%j] : (tensor<?x3x!bt.state>, tensor<3xi32>) -> tensor<?x3xf64>
  %s = bt.reduce sum %a : tensor<?x3xf64> -> tensor<?xf64>
  %ss = bt.broadcast %s dims = [0] : tensor<?xf64> -> tensor<?x3xf64>
  %k = stablehlo.convert %a : (tensor<?x3xf64>) -> tensor<?x3xi32>
  %swap = bt.branches [%i, %j] = [%b, %a] amplitude %t : [tensor<3xi32>, tensor<3xi32>] [tensor<?x3xf64>, tensor<?x3xf64>] tensor<f64> -> !bt.branches<3 x 2>
  %sums = bt.branches [%i] = [%ss] amplitude %t : [tensor<3xi32>] [tensor<?x3xf64>] tensor<f64> -> !bt.branches<3 x 1>
  %move = bt.branches [%k] = [%t] amplitude %t : [tensor<?x3xi32>] [tensor<f64>] tensor<f64> -> !bt.branches<3 x 1>
  %all = bt.concat %swap, %sums, %move : !bt.branches<3 x 2>, !bt.branches<3 x 1>, !bt.branches<3 x 1> -> !bt.branches<9 x 2>
  %xp, %mels = bt.connections %x, %all : (tensor<?x3x!bt.state>, !bt.branches<9 x 2>) -> (tensor<?x9x3x!bt.state>, tensor<?x9xf64>)
  func.return %xp, %mels : tensor<?x9x3x!bt.state>, tensor<?x9xf64>
}

// CHECK-LABEL: func.func @others
// CHECK-NOT:     bt.images
// CHECK:         bt.connections %x, %all

// A lane with one write that may not be valid is faster as it is; four images are too
// many; and a site off the lattice that is not -1 is none of ours.
func.func @dear(%x : tensor<?x4x!bt.state>, %t : tensor<f64>) -> (tensor<?x12x4x!bt.state>, tensor<?x12xf64>) {
  %i = stablehlo.constant dense<[0, 1, 2, 3]> : tensor<4xi32>
  %f = stablehlo.constant dense<[0, 1, 2, 4]> : tensor<4xi32>
  %c = stablehlo.constant dense<[1.0, 2.0, 3.0, 4.0]> : tensor<4xf64>
  %a = bt.gather %x[%i] : (tensor<?x4x!bt.state>, tensor<4xi32>) -> tensor<?x4xf64>
  %ts = bt.broadcast %t dims = [] : tensor<f64> -> tensor<?x4xf64>
  %p = stablehlo.compare GT, %a, %ts : (tensor<?x4xf64>, tensor<?x4xf64>) -> tensor<?x4xi1>
  %m = stablehlo.negate %a : tensor<?x4xf64>
  %guarded = bt.branches [%i] = [%m] amplitude %t valid %p : [tensor<4xi32>] [tensor<?x4xf64>] tensor<f64>, tensor<?x4xi1> -> !bt.branches<4 x 1>
  %many = bt.branches [%i] = [%c] amplitude %t : [tensor<4xi32>] [tensor<4xf64>] tensor<f64> -> !bt.branches<4 x 1>
  %off = bt.branches [%f] = [%t] amplitude %t : [tensor<4xi32>] [tensor<f64>] tensor<f64> -> !bt.branches<4 x 1>
  %all = bt.concat %guarded, %many, %off : !bt.branches<4 x 1>, !bt.branches<4 x 1>, !bt.branches<4 x 1> -> !bt.branches<12 x 1>
  %xp, %mels = bt.connections %x, %all : (tensor<?x4x!bt.state>, !bt.branches<12 x 1>) -> (tensor<?x12x4x!bt.state>, tensor<?x12xf64>)
  func.return %xp, %mels : tensor<?x12x4x!bt.state>, tensor<?x12xf64>
}

// CHECK-LABEL: func.func @dear
// CHECK-NOT:     bt.images
// CHECK:         bt.connections %x, %all

// Lanes that are compacted stay as they are, and others that are the very same with them.
func.func @compacted(%x : tensor<?x3x!bt.state>, %t : tensor<f64>) -> (tensor<?x5x3x!bt.state>, tensor<?x5xf64>) {
  %i = stablehlo.constant dense<[0, 1, 2]> : tensor<3xi32>
  %a = bt.gather %x[%i] : (tensor<?x3x!bt.state>, tensor<3xi32>) -> tensor<?x3xf64>
  %m = stablehlo.negate %a : tensor<?x3xf64>
  %b = bt.branches [%i] = [%m] amplitude %t : [tensor<3xi32>] [tensor<?x3xf64>] tensor<f64> -> !bt.branches<3 x 1>
  %c = bt.compact %b : !bt.branches<3 x 1> -> !bt.branches<2 x 1>
  %all = bt.concat %b, %c : !bt.branches<3 x 1>, !bt.branches<2 x 1> -> !bt.branches<5 x 1>
  %xp, %mels = bt.connections %x, %all : (tensor<?x3x!bt.state>, !bt.branches<5 x 1>) -> (tensor<?x5x3x!bt.state>, tensor<?x5xf64>)
  func.return %xp, %mels : tensor<?x5x3x!bt.state>, tensor<?x5xf64>
}

// CHECK-LABEL: func.func @compacted
// CHECK-NOT:     bt.images
// CHECK:         bt.compact %b
