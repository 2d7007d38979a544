// RUN: symir-opt %s -p "bt-reduce-strategy,stablehlo-fold-constants,canonicalize,cse" | filecheck %s
// RUN: symir-opt %s -p "bt-specialize{batch=2 state=i8},bt-reduce-strategy" | filecheck %s --check-prefix=BOUND

// BOUND-NOT: stablehlo.popcnt
// BOUND:     func.func @parity

// The answers at all sites are bits of one word; a lane is left with its mask. What is
// asked twice is not asked for a parity.
func.func @parity(%x : tensor<?x3x!bt.state>) -> tensor<?x4xi1> {
  %i = stablehlo.constant dense<[[0, 1, 2], [0, 2, 2], [1, 1, 1], [0, 0, 0]]> : tensor<4x3xi32>
  %a = bt.gather %x[%i] : (tensor<?x3x!bt.state>, tensor<4x3xi32>) -> tensor<?x4x3xf64>
  %z = stablehlo.constant dense<0.0> : tensor<f64>
  %zs = bt.broadcast %z dims = [] : tensor<f64> -> tensor<?x4x3xf64>
  %p = stablehlo.compare GT, %a, %zs : (tensor<?x4x3xf64>, tensor<?x4x3xf64>) -> tensor<?x4x3xi1>
  %r = bt.reduce parity %p : tensor<?x4x3xi1> -> tensor<?x4xi1>
  func.return %r : tensor<?x4xi1>
}

// CHECK-LABEL: func.func @parity
// CHECK:         [[N:%\S+]] = stablehlo.constant dense<[0, 1, 2]> : tensor<3xi32>
// CHECK-NEXT:    [[X:%\S+]] = bt.gather %x[[[N]]] :
// CHECK:         [[P:%\S+]] = stablehlo.compare GT, [[X]], {{.*}} -> tensor<?x3xi1>
// CHECK-NEXT:    [[C:%\S+]] = stablehlo.convert [[P]] : (tensor<?x3xi1>) -> tensor<?x3xi32>
// CHECK-NEXT:    [[B:%\S+]] = bt.broadcast [[N]] dims = [1] : tensor<3xi32> -> tensor<?x3xi32>
// CHECK-NEXT:    [[S:%\S+]] = stablehlo.shift_left [[C]], [[B]] : tensor<?x3xi32>
// CHECK-NEXT:    [[W:%\S+]] = bt.reduce sum [[S]] : tensor<?x3xi32> -> tensor<?xi32>
// CHECK-NEXT:    [[WS:%\S+]] = bt.broadcast [[W]] dims = [0] : tensor<?xi32> -> tensor<?x4xi32>
// CHECK-NEXT:    [[M:%\S+]] = stablehlo.constant dense<[7, 1, 2, 1]> : tensor<4xi32>
// CHECK-NEXT:    [[MS:%\S+]] = bt.broadcast [[M]] dims = [1] : tensor<4xi32> -> tensor<?x4xi32>
// CHECK-NEXT:    [[A:%\S+]] = stablehlo.and [[WS]], [[MS]] : tensor<?x4xi32>
// CHECK-NEXT:    [[K:%\S+]] = stablehlo.popcnt [[A]] : tensor<?x4xi32>
// CHECK:         [[L:%\S+]] = stablehlo.and [[K]], {{.*}} : tensor<?x4xi32>
// CHECK:         stablehlo.compare NE, [[L]], {{.*}} -> tensor<?x4xi1>

// Sites that only some lanes ask are masked before; what is masked asks nothing. Every
// site is asked once, however often.
func.func @any(%x : tensor<?x3x!bt.state>) -> tensor<?x4xi1> {
  %i = stablehlo.constant dense<[[0, 0, 2], [2, -1, -1], [-1, -1, -1], [1, 0, -1]]> : tensor<4x3xi32>
  %m = stablehlo.constant dense<[[true, true, true], [true, false, false], [false, false, false], [true, true, false]]> : tensor<4x3xi1>
  %a = bt.gather %x[%i] : (tensor<?x3x!bt.state>, tensor<4x3xi32>) -> tensor<?x4x3xf64>
  %z = stablehlo.constant dense<0.0> : tensor<f64>
  %f = stablehlo.constant dense<false> : tensor<i1>
  %zs = bt.broadcast %z dims = [] : tensor<f64> -> tensor<?x4x3xf64>
  %fs = bt.broadcast %f dims = [] : tensor<i1> -> tensor<?x4x3xi1>
  %ms = bt.broadcast %m dims = [1, 2] : tensor<4x3xi1> -> tensor<?x4x3xi1>
  %p = stablehlo.compare GT, %a, %zs : (tensor<?x4x3xf64>, tensor<?x4x3xf64>) -> tensor<?x4x3xi1>
  %q = stablehlo.select %ms, %p, %fs : tensor<?x4x3xi1>, tensor<?x4x3xi1>
  %r = bt.reduce any %q : tensor<?x4x3xi1> -> tensor<?x4xi1>
  func.return %r : tensor<?x4xi1>
}

// CHECK-LABEL: func.func @any
// CHECK-NOT:     stablehlo.popcnt
// CHECK:         stablehlo.constant dense<[5, 4, 0, 3]> : tensor<4xi32>
// CHECK:         [[A:%\S+]] = stablehlo.and {{.*}} : tensor<?x4xi32>
// CHECK:         stablehlo.compare NE, [[A]], {{.*}} -> tensor<?x4xi1>

// All sites of a lane say yes where none says no.
func.func @all(%x : tensor<?x3x!bt.state>, %h : tensor<f64>) -> tensor<?x4xi1> {
  %i = stablehlo.constant dense<[[0, 1, 2], [0, 0, 2], [1, 1, 1], [1, 2, 0]]> : tensor<4x3xi32>
  %a = bt.gather %x[%i] : (tensor<?x3x!bt.state>, tensor<4x3xi32>) -> tensor<?x4x3xf64>
  %hs = bt.broadcast %h dims = [] : tensor<f64> -> tensor<?x4x3xf64>
  %p = stablehlo.compare GT, %a, %hs : (tensor<?x4x3xf64>, tensor<?x4x3xf64>) -> tensor<?x4x3xi1>
  %r = bt.reduce all %p : tensor<?x4x3xi1> -> tensor<?x4xi1>
  func.return %r : tensor<?x4xi1>
}

// CHECK-LABEL: func.func @all
// CHECK:         [[P:%\S+]] = stablehlo.compare GT, {{.*}} -> tensor<?x3xi1>
// CHECK-NEXT:    [[N:%\S+]] = stablehlo.not [[P]] : tensor<?x3xi1>
// CHECK-NEXT:    stablehlo.convert [[N]] : (tensor<?x3xi1>) -> tensor<?x3xi32>
// CHECK:         stablehlo.constant dense<[7, 5, 2, 7]> : tensor<4xi32>
// CHECK:         [[A:%\S+]] = stablehlo.and {{.*}} : tensor<?x4xi32>
// CHECK:         stablehlo.compare EQ, [[A]], {{.*}} -> tensor<?x4xi1>

// Two words; the last bit of the first is a sign. An even number of times is none.
func.func @words(%x : tensor<?x34x!bt.state>) -> tensor<?x4xi1> {
  %i = stablehlo.constant dense<[[0, 31, 32, 33, 0, 31, 32, 33, 0, 31, 32, 33], [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12], [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 33], [31, 31, 31, 31, 31, 31, 31, 31, 31, 31, 31, 31]]> : tensor<4x12xi32>
  %a = bt.gather %x[%i] : (tensor<?x34x!bt.state>, tensor<4x12xi32>) -> tensor<?x4x12xf64>
  %z = stablehlo.constant dense<0.0> : tensor<f64>
  %zs = bt.broadcast %z dims = [] : tensor<f64> -> tensor<?x4x12xf64>
  %p = stablehlo.compare GT, %a, %zs : (tensor<?x4x12xf64>, tensor<?x4x12xf64>) -> tensor<?x4x12xi1>
  %r = bt.reduce parity %p : tensor<?x4x12xi1> -> tensor<?x4xi1>
  func.return %r : tensor<?x4xi1>
}

// CHECK-LABEL: func.func @words
// CHECK:         [[C:%\S+]] = stablehlo.convert {{.*}} : (tensor<?x34xi1>) -> tensor<?x34xi32>
// CHECK:         [[A:%\S+]] = stablehlo.shift_left [[C]],
// CHECK:         stablehlo.select {{.*}}, [[A]], {{.*}} : tensor<?x34xi1>, tensor<?x34xi32>
// CHECK:         stablehlo.constant dense<[-2147483647, 8190, 1, 0]> : tensor<4xi32>
// CHECK:         [[B:%\S+]] = stablehlo.shift_left [[C]],
// CHECK:         stablehlo.select {{.*}}, [[B]], {{.*}} : tensor<?x34xi1>, tensor<?x34xi32>
// CHECK:         stablehlo.constant dense<[3, 0, 2, 0]> : tensor<4xi32>
// CHECK:         [[X:%\S+]] = stablehlo.xor
// CHECK-NEXT:    stablehlo.popcnt [[X]] : tensor<?x4xi32>

// Data of a lane that are few numbers are as many questions.
func.func @data(%x : tensor<?x3x!bt.state>) -> tensor<?x4xi1> {
  %i = stablehlo.constant dense<[[0, 1, 2], [0, 1, 2], [1, 0, 2], [2, 1, 0]]> : tensor<4x3xi32>
  %d = stablehlo.constant dense<[0.5, 1.5, 0.5, 1.5]> : tensor<4xf64>
  %a = bt.gather %x[%i] : (tensor<?x3x!bt.state>, tensor<4x3xi32>) -> tensor<?x4x3xf64>
  %ds = bt.broadcast %d dims = [1] : tensor<4xf64> -> tensor<?x4x3xf64>
  %p = stablehlo.compare GT, %a, %ds : (tensor<?x4x3xf64>, tensor<?x4x3xf64>) -> tensor<?x4x3xi1>
  %r = bt.reduce parity %p : tensor<?x4x3xi1> -> tensor<?x4xi1>
  func.return %r : tensor<?x4xi1>
}

// CHECK-LABEL: func.func @data
// CHECK:         stablehlo.constant dense<[7, 0, 7, 0]> : tensor<4xi32>
// CHECK:         stablehlo.constant dense<[0, 7, 0, 7]> : tensor<4xi32>
// CHECK:         [[X:%\S+]] = stablehlo.xor {{.*}} : tensor<?x4xi32>
// CHECK-NEXT:    stablehlo.popcnt [[X]] : tensor<?x4xi32>

// What a lane compares with is another site of x: that is asked lane by lane.
func.func @other(%x : tensor<?x3x!bt.state>) -> tensor<?x4xi1> {
  %i = stablehlo.constant dense<[[0, 1, 2], [0, 1, 2], [1, 0, 2], [2, 1, 0]]> : tensor<4x3xi32>
  %j = stablehlo.constant dense<[0, 1, 2, 0]> : tensor<4xi32>
  %a = bt.gather %x[%i] : (tensor<?x3x!bt.state>, tensor<4x3xi32>) -> tensor<?x4x3xf64>
  %b = bt.gather %x[%j] : (tensor<?x3x!bt.state>, tensor<4xi32>) -> tensor<?x4xf64>
  %bs = bt.broadcast %b dims = [0, 1] : tensor<?x4xf64> -> tensor<?x4x3xf64>
  %p = stablehlo.compare EQ, %a, %bs : (tensor<?x4x3xf64>, tensor<?x4x3xf64>) -> tensor<?x4x3xi1>
  %r = bt.reduce any %p : tensor<?x4x3xi1> -> tensor<?x4xi1>
  func.return %r : tensor<?x4xi1>
}

// CHECK-LABEL: func.func @other
// CHECK-NOT:     tensor<?x3xi1>
// CHECK:         bt.reduce any %p : tensor<?x4x3xi1> -> tensor<?x4xi1>

// Each sample has sites of its own: there is no table.
func.func @per_sample(%x : tensor<?x3x!bt.state>) -> tensor<?x4xi1> {
  %i = stablehlo.constant dense<[[0, 1, 2], [0, 1, 2], [1, 0, 2], [2, 1, 0]]> : tensor<4x3xi32>
  %s = bt.broadcast %i dims = [1, 2] : tensor<4x3xi32> -> tensor<?x4x3xi32>
  %a = bt.gather %x[%s] : (tensor<?x3x!bt.state>, tensor<?x4x3xi32>) -> tensor<?x4x3xf64>
  %z = stablehlo.constant dense<0.0> : tensor<f64>
  %zs = bt.broadcast %z dims = [] : tensor<f64> -> tensor<?x4x3xf64>
  %p = stablehlo.compare GT, %a, %zs : (tensor<?x4x3xf64>, tensor<?x4x3xf64>) -> tensor<?x4x3xi1>
  %r = bt.reduce parity %p : tensor<?x4x3xi1> -> tensor<?x4xi1>
  func.return %r : tensor<?x4xi1>
}

// CHECK-LABEL: func.func @per_sample
// CHECK-NOT:     stablehlo.popcnt
// CHECK:         bt.reduce parity %p

// Two lanes with a site each need less than all words of a sample; a sum is no truth;
// and what all lanes ask is asked once.
func.func @cheap(%x : tensor<?x40x!bt.state>) -> (tensor<?x2xi1>, tensor<?x2xf64>, tensor<?xi1>) {
  %i = stablehlo.constant dense<[[0], [39]]> : tensor<2x1xi32>
  %a = bt.gather %x[%i] : (tensor<?x40x!bt.state>, tensor<2x1xi32>) -> tensor<?x2x1xf64>
  %z = stablehlo.constant dense<0.0> : tensor<f64>
  %zs = bt.broadcast %z dims = [] : tensor<f64> -> tensor<?x2x1xf64>
  %p = stablehlo.compare GT, %a, %zs : (tensor<?x2x1xf64>, tensor<?x2x1xf64>) -> tensor<?x2x1xi1>
  %r = bt.reduce parity %p : tensor<?x2x1xi1> -> tensor<?x2xi1>
  %t = bt.reduce sum %a : tensor<?x2x1xf64> -> tensor<?x2xf64>
  %s = bt.reduce parity %r : tensor<?x2xi1> -> tensor<?xi1>
  func.return %r, %t, %s : tensor<?x2xi1>, tensor<?x2xf64>, tensor<?xi1>
}

// CHECK-LABEL: func.func @cheap
// CHECK-NOT:     stablehlo.popcnt
// CHECK:         %r = bt.reduce parity %p : tensor<?x2x1xi1> -> tensor<?x2xi1>
// CHECK:         %t = bt.reduce sum %a : tensor<?x2x1xf64> -> tensor<?x2xf64>
// CHECK:         %s = bt.reduce parity %r : tensor<?x2xi1> -> tensor<?xi1>
