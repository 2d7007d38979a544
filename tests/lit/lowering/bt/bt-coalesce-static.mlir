// RUN: symir-opt %s -p "bt-coalesce-static,stablehlo-fold-constants,canonicalize,cse" | filecheck %s
// RUN: symir-opt %s -p "bt-specialize{batch=4 state=i8},bt-coalesce-static" --verify-diagnostics | filecheck %s --check-prefix=BOUND

// BOUND: bt-coalesce-static: the batch size is bound; run it before bt-specialize

// Three lanes flip sites 0 and 1, in either order: a row of a table each. One that writes
// what is there joins the diagonal; its other row does write.
func.func @strings(%x : tensor<?x3x!bt.state>, %t : tensor<f64>) -> (tensor<?x7x3x!bt.state>, tensor<?x7xf64>) {
  %i = stablehlo.constant dense<[0, 1, 1, 1]> : tensor<4xi32>
  %j = stablehlo.constant dense<[1, 2, 0, 0]> : tensor<4xi32>
  %w = stablehlo.constant dense<[1.0, 2.0, 3.0, 4.0]> : tensor<4xf64>
  %a = bt.gather %x[%i] : (tensor<?x3x!bt.state>, tensor<4xi32>) -> tensor<?x4xf64>
  %b = bt.gather %x[%j] : (tensor<?x3x!bt.state>, tensor<4xi32>) -> tensor<?x4xf64>
  %m = stablehlo.negate %a : tensor<?x4xf64>
  %n = stablehlo.negate %b : tensor<?x4xf64>
  %ws = bt.broadcast %w dims = [1] : tensor<4xf64> -> tensor<?x4xf64>
  %e = stablehlo.multiply %ws, %a : tensor<?x4xf64>
  %pairs = bt.branches [%i, %j] = [%m, %n] amplitude %e origins #bt.lanes<1:5 of 7> : [tensor<4xi32>, tensor<4xi32>] [tensor<?x4xf64>, tensor<?x4xf64>] tensor<?x4xf64> -> !bt.branches<4 x 2>
  %k = stablehlo.constant dense<[2, 0]> : tensor<2xi32>
  %l = stablehlo.constant dense<[2, -1]> : tensor<2xi32>
  %c = bt.gather %x[%k] : (tensor<?x3x!bt.state>, tensor<2xi32>) -> tensor<?x2xf64>
  %same = bt.branches [%k, %l] = [%c, %t] amplitude %t origins #bt.lanes<5, 6 of 7> : [tensor<2xi32>, tensor<2xi32>] [tensor<?x2xf64>, tensor<f64>] tensor<f64> -> !bt.branches<2 x 2>
  %diagonal = bt.branches [] = [] amplitude %t origins #bt.lanes<0 of 7> : [] [] tensor<f64> -> !bt.branches<1 x 0>
  %all = bt.concat %diagonal, %pairs, %same : !bt.branches<1 x 0>, !bt.branches<4 x 2>, !bt.branches<2 x 2> -> !bt.branches<7 x 2>
  %xp, %mels = bt.connections %x, %all : (tensor<?x3x!bt.state>, !bt.branches<7 x 2>) -> (tensor<?x7x3x!bt.state>, tensor<?x7xf64>)
  func.return %xp, %mels : tensor<?x7x3x!bt.state>, tensor<?x7xf64>
}

// CHECK-LABEL: func.func @strings({{.*}}) -> (tensor<?x4x3x!bt.state>, tensor<?x4xf64>) {
// CHECK:         [[T:%\S+]] = bt.broadcast %t dims = [] : tensor<f64> -> tensor<1xf64>
// CHECK-NEXT:    [[D:%\S+]] = stablehlo.add [[T]], [[T]] : tensor<1xf64>
// CHECK-NEXT:    [[P:%\S+]] = bt.branches[] = [] amplitude [[D]] origins #bt.lanes<{0, 6} of 7> : [] [] tensor<1xf64> -> !bt.branches<1 x 0>
// CHECK:         [[S:%\S+]] = stablehlo.constant dense<{{\[\[}}0, 1, 1]]> : tensor<1x3xi32>
// CHECK-NEXT:    [[X:%\S+]] = bt.gather %x[[[S]]] : {{.*}} -> tensor<?x1x3xf64>
// CHECK-NEXT:    [[W:%\S+]] = stablehlo.constant dense<{{\[\[}}1.000000e+00, 3.000000e+00, 4.000000e+00]]> : tensor<1x3xf64>
// CHECK-NEXT:    [[WS:%\S+]] = bt.broadcast [[W]] dims = [1, 2] :
// CHECK-NEXT:    [[E:%\S+]] = stablehlo.multiply [[WS]], [[X]] : tensor<?x1x3xf64>
// CHECK-NEXT:    [[R:%\S+]] = bt.reduce sum [[E]] : tensor<?x1x3xf64> -> tensor<?x1xf64>
// CHECK-NEXT:    [[A:%\S+]] = bt.branches[{{.*}}] = [{{.*}}] amplitude [[R]] origins #bt.lanes<{1, 3, 4} of 7> :
// CHECK:         bt.branches[{{.*}} origins #bt.lanes<2 of 7> :
// CHECK:         bt.branches[{{.*}} origins #bt.lanes<5 of 7> :
// CHECK-NEXT:    [[C:%\S+]] = bt.concat [[P]], [[A]], {{.*}} -> !bt.branches<4 x 2>
// CHECK-NEXT:    bt.connections %x, [[C]] :

// A sum is valid where one of its lanes is. Rows of three and of one lane are of two
// kinds; where there are fewer lanes than columns, nothing is added.
func.func @guarded(%x : tensor<?x3x!bt.state>, %t : tensor<f64>) -> (tensor<?x8x3x!bt.state>, tensor<?x8xf64>) {
  %i = stablehlo.constant dense<[0, 0, 1, 1, 0, 2, 1, 1]> : tensor<8xi32>
  %a = bt.gather %x[%i] : (tensor<?x3x!bt.state>, tensor<8xi32>) -> tensor<?x8xf64>
  %ts = bt.broadcast %t dims = [] : tensor<f64> -> tensor<?x8xf64>
  %p = stablehlo.compare GT, %a, %ts : (tensor<?x8xf64>, tensor<?x8xf64>) -> tensor<?x8xi1>
  %b = bt.branches [%i] = [%t] amplitude %a valid %p origins #bt.lanes<0:8 of 8> : [tensor<8xi32>] [tensor<f64>] tensor<?x8xf64>, tensor<?x8xi1> -> !bt.branches<8 x 1>
  %xp, %mels = bt.connections %x, %b : (tensor<?x3x!bt.state>, !bt.branches<8 x 1>) -> (tensor<?x8x3x!bt.state>, tensor<?x8xf64>)
  func.return %xp, %mels : tensor<?x8x3x!bt.state>, tensor<?x8xf64>
}

// CHECK-LABEL: func.func @guarded({{.*}}) -> (tensor<?x3x3x!bt.state>, tensor<?x3xf64>) {
// CHECK:         stablehlo.constant dense<{{\[\[}}0, 0, 0, 0], [1, 1, 1, 1]]> : tensor<2x4xi32>
// CHECK:         [[P:%\S+]] = stablehlo.compare GT, {{.*}} -> tensor<?x2x4xi1>
// CHECK-NEXT:    [[T:%\S+]] = stablehlo.constant dense<{{\[\[}}true, true, true, false], [true, true, true, true]]> : tensor<2x4xi1>
// CHECK:         [[TS:%\S+]] = bt.broadcast [[T]] dims = [1, 2] :
// CHECK:         [[Q:%\S+]] = stablehlo.select [[TS]], [[P]], {{.*}} : tensor<?x2x4xi1>, tensor<?x2x4xi1>
// CHECK:         [[E:%\S+]] = stablehlo.select [[Q]], {{.*}} : tensor<?x2x4xi1>, tensor<?x2x4xf64>
// CHECK-NEXT:    [[S:%\S+]] = bt.reduce sum [[E]] : tensor<?x2x4xf64> -> tensor<?x2xf64>
// CHECK-NEXT:    [[V:%\S+]] = bt.reduce any [[Q]] : tensor<?x2x4xi1> -> tensor<?x2xi1>
// CHECK-NEXT:    bt.branches[{{.*}}] = [%t] amplitude [[S]] valid [[V]] origins #bt.lanes<{0, 1, 4}, {2, 3, 6, 7} of 8> :
// CHECK:         bt.branches[{{.*}}] = [%t] amplitude {{.*}} valid {{.*}} origins #bt.lanes<5 of 8> {{.*}} -> !bt.branches<1 x 1>

// Emissions that are interleaved, one of which is always valid: so are the sums.
func.func @interleaved(%x : tensor<?x3x!bt.state>, %t : tensor<f64>) -> (tensor<?x6x3x!bt.state>, tensor<?x6xf64>) {
  %i = stablehlo.constant dense<[0, 1, 2]> : tensor<3xi32>
  %a = bt.gather %x[%i] : (tensor<?x3x!bt.state>, tensor<3xi32>) -> tensor<?x3xf64>
  %ts = bt.broadcast %t dims = [] : tensor<f64> -> tensor<?x3xf64>
  %p = stablehlo.compare GT, %a, %ts : (tensor<?x3xf64>, tensor<?x3xf64>) -> tensor<?x3xi1>
  %b = bt.branches [%i] = [%t] amplitude %a valid %p origins #bt.lanes<0:6:2 of 6> : [tensor<3xi32>] [tensor<f64>] tensor<?x3xf64>, tensor<?x3xi1> -> !bt.branches<3 x 1>
  %c = bt.branches [%i] = [%ts] amplitude %t origins #bt.lanes<1:7:2 of 6> : [tensor<3xi32>] [tensor<?x3xf64>] tensor<f64> -> !bt.branches<3 x 1>
  %d = bt.interleave %b, %c : !bt.branches<3 x 1>, !bt.branches<3 x 1> -> !bt.branches<6 x 1>
  %xp, %mels = bt.connections %x, %d : (tensor<?x3x!bt.state>, !bt.branches<6 x 1>) -> (tensor<?x6x3x!bt.state>, tensor<?x6xf64>)
  func.return %xp, %mels : tensor<?x6x3x!bt.state>, tensor<?x6xf64>
}

// CHECK-LABEL: func.func @interleaved({{.*}}) -> (tensor<?x3x3x!bt.state>, tensor<?x3xf64>) {
// CHECK:         [[E:%\S+]] = stablehlo.select {{.*}} : tensor<?x3xi1>, tensor<?x3xf64>
// CHECK:         [[S:%\S+]] = stablehlo.add [[E]], {{.*}} : tensor<?x3xf64>
// CHECK-NEXT:    [[B:%\S+]] = bt.branches[{{.*}}] = [%t] amplitude [[S]] origins #bt.lanes<{0, 1} x 3 by 2 of 6> : [tensor<3xi32>] [tensor<f64>] tensor<?x3xf64> -> !bt.branches<3 x 1>
// CHECK-NEXT:    bt.connections %x, [[B]] :

// A later write to the same site is the one that counts: lane 0 writes %t twice, lane 1
// once. Lane 2 writes what is there after all, and lane 3 nothing.
func.func @shadowed(%x : tensor<?x3x!bt.state>, %t : tensor<f64>) -> (tensor<?x4x3x!bt.state>, tensor<?x4xf64>) {
  %i = stablehlo.constant dense<[1, -1, 0, -1]> : tensor<4xi32>
  %j = stablehlo.constant dense<[1, 1, 0, 3]> : tensor<4xi32>
  %g = bt.gather %x[%j] : (tensor<?x3x!bt.state>, tensor<4xi32>) -> tensor<?x4xf64>
  %m = stablehlo.constant dense<[true, true, false, true]> : tensor<4xi1>
  %ms = bt.broadcast %m dims = [1] : tensor<4xi1> -> tensor<?x4xi1>
  %ts = bt.broadcast %t dims = [] : tensor<f64> -> tensor<?x4xf64>
  %v = stablehlo.select %ms, %ts, %g : tensor<?x4xi1>, tensor<?x4xf64>
  %b = bt.branches [%i, %j] = [%g, %v] amplitude %t origins #bt.lanes<0:4 of 4> : [tensor<4xi32>, tensor<4xi32>] [tensor<?x4xf64>, tensor<?x4xf64>] tensor<f64> -> !bt.branches<4 x 2>
  %xp, %mels = bt.connections %x, %b : (tensor<?x3x!bt.state>, !bt.branches<4 x 2>) -> (tensor<?x4x3x!bt.state>, tensor<?x4xf64>)
  func.return %xp, %mels : tensor<?x4x3x!bt.state>, tensor<?x4xf64>
}

// CHECK-LABEL: func.func @shadowed({{.*}}) -> (tensor<?x2x3x!bt.state>, tensor<?x2xf64>) {
// CHECK:         bt.branches[{{.*}} origins #bt.lanes<{0, 1} of 4> {{.*}} -> !bt.branches<1 x 2>
// CHECK:         bt.branches[{{.*}} origins #bt.lanes<{2, 3} of 4> {{.*}} -> !bt.branches<1 x 0>

// Writes at a site that x decides, and what is compacted, stay as they are. Values that
// are one function of two sites are summed.
func.func @unknown(%x : tensor<?x3x!bt.state>, %t : tensor<f64>) -> (tensor<?x8x3x!bt.state>, tensor<?x8xf64>) {
  %i = stablehlo.constant dense<[0, 0, 0]> : tensor<3xi32>
  %j = stablehlo.constant dense<[1, 1, 1]> : tensor<3xi32>
  %a = bt.gather %x[%i] : (tensor<?x3x!bt.state>, tensor<3xi32>) -> tensor<?x3xf64>
  %b = bt.gather %x[%j] : (tensor<?x3x!bt.state>, tensor<3xi32>) -> tensor<?x3xf64>
  %s = stablehlo.add %a, %b : tensor<?x3xf64>
  %k = stablehlo.convert %a : (tensor<?x3xf64>) -> tensor<?x3xi32>
  %there = bt.branches [%k] = [%t] amplitude %t origins #bt.lanes<0:3 of 9> : [tensor<?x3xi32>] [tensor<f64>] tensor<f64> -> !bt.branches<3 x 1>
  %both = bt.branches [%i] = [%s] amplitude %t origins #bt.lanes<3:6 of 9> : [tensor<3xi32>] [tensor<?x3xf64>] tensor<f64> -> !bt.branches<3 x 1>
  %known = bt.branches [%i] = [%t] amplitude %t origins #bt.lanes<6:9 of 9> : [tensor<3xi32>] [tensor<f64>] tensor<f64> -> !bt.branches<3 x 1>
  %few = bt.compact %known : !bt.branches<3 x 1> -> !bt.branches<2 x 1>
  %all = bt.concat %there, %both, %few : !bt.branches<3 x 1>, !bt.branches<3 x 1>, !bt.branches<2 x 1> -> !bt.branches<8 x 1>
  %xp, %mels = bt.connections %x, %all : (tensor<?x3x!bt.state>, !bt.branches<8 x 1>) -> (tensor<?x8x3x!bt.state>, tensor<?x8xf64>)
  func.return %xp, %mels : tensor<?x8x3x!bt.state>, tensor<?x8xf64>
}

// CHECK-LABEL: func.func @unknown({{.*}}) -> (tensor<?x6x3x!bt.state>, tensor<?x6xf64>) {
// CHECK:         %there = bt.branches[{{.*}} origins #bt.lanes<0:3 of 9> :
// CHECK:         %known = bt.branches[{{.*}} origins #bt.lanes<6:9 of 9> :
// CHECK:         [[S:%\S+]] = bt.branches[{{.*}} origins #bt.lanes<{3:6} of 9> :
// CHECK:         bt.concat [[S]], %there, %few : !bt.branches<1 x 1>, !bt.branches<3 x 1>, !bt.branches<2 x 1>

// Lanes that are known are summed beside those that are not, which come after them.
func.func @beside(%x : tensor<?x3x!bt.state>, %t : tensor<f64>) -> (tensor<?x5x3x!bt.state>, tensor<?x5xf64>) {
  %i = stablehlo.constant dense<[0, 0, 0]> : tensor<3xi32>
  %j = stablehlo.constant dense<[1, 1]> : tensor<2xi32>
  %a = bt.gather %x[%j] : (tensor<?x3x!bt.state>, tensor<2xi32>) -> tensor<?x2xf64>
  %k = stablehlo.convert %a : (tensor<?x2xf64>) -> tensor<?x2xi32>
  %there = bt.branches [%k] = [%t] amplitude %t origins #bt.lanes<0, 1 of 5> : [tensor<?x2xi32>] [tensor<f64>] tensor<f64> -> !bt.branches<2 x 1>
  %known = bt.branches [%i] = [%t] amplitude %t origins #bt.lanes<2:5 of 5> : [tensor<3xi32>] [tensor<f64>] tensor<f64> -> !bt.branches<3 x 1>
  %all = bt.concat %there, %known : !bt.branches<2 x 1>, !bt.branches<3 x 1> -> !bt.branches<5 x 1>
  %xp, %mels = bt.connections %x, %all : (tensor<?x3x!bt.state>, !bt.branches<5 x 1>) -> (tensor<?x5x3x!bt.state>, tensor<?x5xf64>)
  func.return %xp, %mels : tensor<?x5x3x!bt.state>, tensor<?x5xf64>
}

// CHECK-LABEL: func.func @beside({{.*}}) -> (tensor<?x3x3x!bt.state>, tensor<?x3xf64>) {
// CHECK:         [[R:%\S+]] = bt.reduce sum {{.*}} : tensor<1x3xf64> -> tensor<1xf64>
// CHECK-NEXT:    [[B:%\S+]] = bt.branches[{{.*}}] = [%t] amplitude [[R]] origins #bt.lanes<{2:5} of 5> :
// CHECK-NEXT:    bt.concat [[B]], %there : !bt.branches<1 x 1>, !bt.branches<2 x 1> -> !bt.branches<3 x 1>

// Local values are known, and rows alias: -(-x) is x, and two lanes that flip the same
// sites agree. Nothing is written where they lead back to x.
func.func @aliasing(%x : tensor<?x3x!bt.state>, %t : tensor<f64>) -> (tensor<?x6x3x!bt.state>, tensor<?x6xf64>) {
  bt.assume %x values [array<f64: -1.0, 1.0>] : tensor<?x3x!bt.state>
  %i = stablehlo.constant dense<[0, 0, 1, 1, 2, 2]> : tensor<6xi32>
  %j = stablehlo.constant dense<[0, 1, 0, 1, 1, 0]> : tensor<6xi32>
  %same = stablehlo.constant dense<[true, false, false, true, false, false]> : tensor<6xi1>
  %s = bt.broadcast %same dims = [1] : tensor<6xi1> -> tensor<?x6xi1>
  %a = bt.gather %x[%i] : (tensor<?x3x!bt.state>, tensor<6xi32>) -> tensor<?x6xf64>
  %b = bt.gather %x[%j] : (tensor<?x3x!bt.state>, tensor<6xi32>) -> tensor<?x6xf64>
  %m = stablehlo.negate %a : tensor<?x6xf64>
  %first = stablehlo.select %s, %a, %m : tensor<?x6xi1>, tensor<?x6xf64>
  %c = stablehlo.select %s, %m, %b : tensor<?x6xi1>, tensor<?x6xf64>
  %second = stablehlo.negate %c : tensor<?x6xf64>
  %flips = bt.branches [%i, %j] = [%first, %second] amplitude %t origins #bt.lanes<0:6 of 6> : [tensor<6xi32>, tensor<6xi32>] [tensor<?x6xf64>, tensor<?x6xf64>] tensor<f64> -> !bt.branches<6 x 2>
  %xp, %mels = bt.connections %x, %flips : (tensor<?x3x!bt.state>, !bt.branches<6 x 2>) -> (tensor<?x6x3x!bt.state>, tensor<?x6xf64>)
  func.return %xp, %mels : tensor<?x6x3x!bt.state>, tensor<?x6xf64>
}

// CHECK-LABEL: func.func @aliasing({{.*}}) -> (tensor<?x4x3x!bt.state>, tensor<?x4xf64>)
// CHECK:         bt.branches[] = [] amplitude {{.*}} origins #bt.lanes<{0, 3} of 6> {{.*}} -> !bt.branches<1 x 0>
// CHECK:         bt.branches[{{.*}} origins #bt.lanes<{1, 2} of 6> :
// CHECK:         bt.branches[{{.*}} origins #bt.lanes<4, 5 of 6> :

// The same, where it is not known that x has no other values: -(-x) is another function.
func.func @not_known(%x : tensor<?x3x!bt.state>, %t : tensor<f64>) -> (tensor<?x2x3x!bt.state>, tensor<?x2xf64>) {
  %i = stablehlo.constant dense<[0, 1]> : tensor<2xi32>
  %a = bt.gather %x[%i] : (tensor<?x3x!bt.state>, tensor<2xi32>) -> tensor<?x2xf64>
  %m = stablehlo.negate %a : tensor<?x2xf64>
  %n = stablehlo.negate %m : tensor<?x2xf64>
  %b = bt.branches [%i] = [%n] amplitude %t : [tensor<2xi32>] [tensor<?x2xf64>] tensor<f64> -> !bt.branches<2 x 1>
  %xp, %mels = bt.connections %x, %b : (tensor<?x3x!bt.state>, !bt.branches<2 x 1>) -> (tensor<?x2x3x!bt.state>, tensor<?x2xf64>)
  func.return %xp, %mels : tensor<?x2x3x!bt.state>, tensor<?x2xf64>
}

// CHECK-LABEL: func.func @not_known({{.*}}) -> (tensor<?x2x3x!bt.state>, tensor<?x2xf64>)
// CHECK-NOT:     !bt.branches<1

// Sites of other values: x^2 is x at the first, and not at the second.
func.func @of_sites(%x : tensor<?x2x!bt.state>, %t : tensor<f64>) -> (tensor<?x4x2x!bt.state>, tensor<?x4xf64>) {
  bt.assume %x values [array<f64: 0.0, 1.0>, array<f64: 0.0, 1.0, 2.0>] : tensor<?x2x!bt.state>
  %i = stablehlo.constant dense<[0, 1]> : tensor<2xi32>
  %a = bt.gather %x[%i] : (tensor<?x2x!bt.state>, tensor<2xi32>) -> tensor<?x2xf64>
  %m = stablehlo.multiply %a, %a : tensor<?x2xf64>
  %b = bt.branches [%i] = [%m] amplitude %t origins #bt.lanes<0, 1 of 4> : [tensor<2xi32>] [tensor<?x2xf64>] tensor<f64> -> !bt.branches<2 x 1>
  %c = bt.branches [%i] = [%a] amplitude %t origins #bt.lanes<2, 3 of 4> : [tensor<2xi32>] [tensor<?x2xf64>] tensor<f64> -> !bt.branches<2 x 1>
  %d = bt.concat %b, %c : !bt.branches<2 x 1>, !bt.branches<2 x 1> -> !bt.branches<4 x 1>
  %xp, %mels = bt.connections %x, %d : (tensor<?x2x!bt.state>, !bt.branches<4 x 1>) -> (tensor<?x4x2x!bt.state>, tensor<?x4xf64>)
  func.return %xp, %mels : tensor<?x4x2x!bt.state>, tensor<?x4xf64>
}

// CHECK-LABEL: func.func @of_sites({{.*}}) -> (tensor<?x2x2x!bt.state>, tensor<?x2xf64>)
// CHECK:         bt.branches[] = [] {{.*}} origins #bt.lanes<{0, 2, 3} of 4> :
// CHECK:         bt.branches[{{.*}} origins #bt.lanes<1 of 4> :
