// RUN: symir-opt %s --split-input-file -p analyse-change | filecheck %s

// A layer is affine in x, a one-hot code is a function of x at one site, and sums of
// activations are no functions of one additive value any more.
func.func @energy(%x : tensor<?x3x!bt.state>, %b : !bt.branches<3 x 1>, %w : tensor<3x4xf64>) -> tensor<?xf64> {
  %e = bt.local_energy %x, %b parameters(%w) through [#bt.part<network @logpsi>] : tensor<?x3x!bt.state>, !bt.branches<3 x 1> (tensor<3x4xf64>) -> tensor<?xf64>
  func.return %e : tensor<?xf64>
}

func.func private @logpsi(%w : tensor<3x4xf64>, %x : tensor<1x3xf64>) -> tensor<1xf64> {
  %two = stablehlo.constant dense<2.0> : tensor<1x3xf64>
  %y = stablehlo.multiply %x, %two : tensor<1x3xf64>
  %is = stablehlo.compare EQ, %y, %two : (tensor<1x3xf64>, tensor<1x3xf64>) -> tensor<1x3xi1>
  %code = stablehlo.convert %is : (tensor<1x3xi1>) -> tensor<1x3xf64>
  %t = stablehlo.dot_general %y, %w, contracting_dims = [1] x [0] : (tensor<1x3xf64>, tensor<3x4xf64>) -> tensor<1x4xf64>
  %u = stablehlo.dot_general %code, %w, contracting_dims = [1] x [0] : (tensor<1x3xf64>, tensor<3x4xf64>) -> tensor<1x4xf64>
  %a = stablehlo.tanh %t : tensor<1x4xf64>
  %c = stablehlo.cosine %w : tensor<3x4xf64>
  %v = stablehlo.multiply %a, %u : tensor<1x4xf64>
  %zero = stablehlo.constant dense<0.0> : tensor<f64>
  %s = stablehlo.reduce(%v init: %zero) across dimensions = [1] : (tensor<1x4xf64>, tensor<f64>) -> tensor<1xf64>
  reducer(%one : tensor<f64>, %other : tensor<f64>) {
    %sum = stablehlo.add %one, %other : tensor<f64>
    stablehlo.return %sum : tensor<f64>
  }
  func.return %s : tensor<1xf64>
}

// CHECK:         func.func private @logpsi
// CHECK-NEXT:      %two = stablehlo.constant {bt.form = "same"} dense<2.000000e+00> : tensor<1x3xf64>
// CHECK-NEXT:      %y = stablehlo.multiply %x, %two {bt.form = "sites, affine"}
// CHECK-NEXT:      %is = stablehlo.compare EQ, %y, %two
// CHECK-NEXT:      %code = stablehlo.convert %is {bt.form = "sites"}
// CHECK-NEXT:      %t = stablehlo.dot_general %y, %w, contracting_dims = [1] x [0] {bt.form = "added, affine"}
// CHECK-NEXT:      %u = stablehlo.dot_general %code, %w, contracting_dims = [1] x [0] {bt.form = "added"}
// CHECK-NEXT:      %a = stablehlo.tanh %t {bt.form = "elementwise"}
// CHECK-NEXT:      %c = stablehlo.cosine %w {bt.form = "same"}
// CHECK-NEXT:      %v = stablehlo.multiply %a, %u {bt.form = "new: combines two values that depend on x, at 'stablehlo.multiply'"}
// CHECK-NEXT:      %zero = stablehlo.constant {bt.form = "same"} dense<0.000000e+00> : tensor<f64>
// CHECK-NEXT:      %s = stablehlo.reduce(%v init: %zero) across dimensions = [1]  {bt.form = "new: combines two values that depend on x, at 'stablehlo.multiply'"}

// -----

// Functions that no local energy goes through stay as they are.
// CHECK-LABEL:   func.func @other(%x: tensor<1x3xf64>) -> tensor<1x3xf64> {
// CHECK-NEXT:      %y = stablehlo.negate %x : tensor<1x3xf64>
// CHECK-NEXT:      func.return %y : tensor<1x3xf64>
func.func @other(%x : tensor<1x3xf64>) -> tensor<1x3xf64> {
  %y = stablehlo.negate %x : tensor<1x3xf64>
  func.return %y : tensor<1x3xf64>
}

// -----

// Convolutions on a ring of 16 reach 3 positions, then 5; a sum over all of them is one.
// CHECK:         func.func private @deep
// CHECK:           stablehlo.concatenate {{.*}} {bt.form = "sites, affine"}
// CHECK:           "stablehlo.convolution"({{.*}}bt.form = "added, affine: 3 of 16 positions"
// CHECK:           stablehlo.tanh %c1 {bt.form = "elementwise: 3 of 16 positions"}
// CHECK:           "stablehlo.convolution"({{.*}}bt.form = "cone: 5 of 16 positions"
// CHECK:           stablehlo.tanh %c2 {bt.form = "cone: 5 of 16 positions"}
// CHECK:           stablehlo.reduce({{.*}}bt.form = "new: joins or repeats functions of elements
func.func @energy(%x : tensor<?x16x!bt.state>, %b : !bt.branches<16 x 1>, %k : tensor<3x1x4xf64>, %l : tensor<3x4x4xf64>, %w : tensor<16x4xf64>) -> tensor<?xf64> {
  %e = bt.local_energy %x, %b parameters(%k, %l, %w) through [#bt.part<network @deep>] : tensor<?x16x!bt.state>, !bt.branches<16 x 1> (tensor<3x1x4xf64>, tensor<3x4x4xf64>, tensor<16x4xf64>) -> tensor<?xf64>
  func.return %e : tensor<?xf64>
}

func.func private @deep(%k : tensor<3x1x4xf64>, %l : tensor<3x4x4xf64>, %w : tensor<16x4xf64>, %x : tensor<1x16xi8>) -> tensor<1xf64> {
  %zero = stablehlo.constant dense<0.0> : tensor<f64>
  %y = stablehlo.convert %x : (tensor<1x16xi8>) -> tensor<1x16xf64>
  %y1 = stablehlo.reshape %y : (tensor<1x16xf64>) -> tensor<1x16x1xf64>
  %l1 = stablehlo.slice %y1 [0:1, 15:16, 0:1] : (tensor<1x16x1xf64>) -> tensor<1x1x1xf64>
  %r1 = stablehlo.slice %y1 [0:1, 0:1, 0:1] : (tensor<1x16x1xf64>) -> tensor<1x1x1xf64>
  %p1 = stablehlo.concatenate %l1, %y1, %r1, dim = 1 : (tensor<1x1x1xf64>, tensor<1x16x1xf64>, tensor<1x1x1xf64>) -> tensor<1x18x1xf64>
  %c1 = "stablehlo.convolution"(%p1, %k) <{dimension_numbers = #stablehlo.conv<[b, 0, f]x[0, i, o]->[b, 0, f]>, feature_group_count = 1 : i64, batch_group_count = 1 : i64}> : (tensor<1x18x1xf64>, tensor<3x1x4xf64>) -> tensor<1x16x4xf64>
  %t1 = stablehlo.tanh %c1 : tensor<1x16x4xf64>
  %l2 = stablehlo.slice %t1 [0:1, 15:16, 0:4] : (tensor<1x16x4xf64>) -> tensor<1x1x4xf64>
  %r2 = stablehlo.slice %t1 [0:1, 0:1, 0:4] : (tensor<1x16x4xf64>) -> tensor<1x1x4xf64>
  %p2 = stablehlo.concatenate %l2, %t1, %r2, dim = 1 : (tensor<1x1x4xf64>, tensor<1x16x4xf64>, tensor<1x1x4xf64>) -> tensor<1x18x4xf64>
  %c2 = "stablehlo.convolution"(%p2, %l) <{dimension_numbers = #stablehlo.conv<[b, 0, f]x[0, i, o]->[b, 0, f]>, feature_group_count = 1 : i64, batch_group_count = 1 : i64}> : (tensor<1x18x4xf64>, tensor<3x4x4xf64>) -> tensor<1x16x4xf64>
  %t2 = stablehlo.tanh %c2 : tensor<1x16x4xf64>
  %s = stablehlo.reduce(%t2 init: %zero) across dimensions = [1, 2] : (tensor<1x16x4xf64>, tensor<f64>) -> tensor<1xf64>
  reducer(%one : tensor<f64>, %other : tensor<f64>) {
    %sum = stablehlo.add %one, %other : tensor<f64>
    stablehlo.return %sum : tensor<f64>
  }
  func.return %s : tensor<1xf64>
}

// -----

// Rows that occupied sites choose, of which a change exchanges one, and their determinant,
// which is known by its values; the ops between are in no cone.
// CHECK:         func.func private @determinant
// CHECK:           "stablehlo.sort"
// CHECK:           bt.form = "new: not linear, at 'stablehlo.sort'; in no cone: 'stablehlo.sort' has many results"
// CHECK:           "stablehlo.gather"({{.*}}bt.form = "rows: at most 1 of 2"
// CHECK:           stablehlo.reshape %rows {bt.form = "rows: at most 1 of 2"}
// CHECK:           %p = stablehlo.multiply {{.*}}; in no cone: 'stablehlo.multiply' of rows that are exchanged"
// CHECK:           %det = stablehlo.subtract %p, %q {bt.form = "determinant: at most 1 of 2"}
// CHECK-NEXT:      %size = stablehlo.abs %det {bt.form = "new: not linear, at 'stablehlo.sort'"}
func.func @energy(%x : tensor<?x4x!bt.state>, %b : !bt.branches<3 x 1>, %w : tensor<4x2xf64>) -> tensor<?xf64> {
  %e = bt.local_energy %x, %b parameters(%w) through [#bt.part<network @determinant>] : tensor<?x4x!bt.state>, !bt.branches<3 x 1> (tensor<4x2xf64>) -> tensor<?xf64>
  func.return %e : tensor<?xf64>
}

func.func private @determinant(%w : tensor<4x2xf64>, %x : tensor<1x4xi8>) -> tensor<1xf64> {
  %n = stablehlo.negate %x : tensor<1x4xi8>
  %i = stablehlo.iota dim = 1 : tensor<1x4xi64>
  %keys, %sites = "stablehlo.sort"(%n, %i) <{dimension = 1 : i64, is_stable = true}> ({
  ^bb0(%a : tensor<i8>, %b : tensor<i8>, %c : tensor<i64>, %d : tensor<i64>):
    %less = stablehlo.compare LT, %a, %b, SIGNED : (tensor<i8>, tensor<i8>) -> tensor<i1>
    stablehlo.return %less : tensor<i1>
  }) : (tensor<1x4xi8>, tensor<1x4xi64>) -> (tensor<1x4xi8>, tensor<1x4xi64>)
  %two = stablehlo.slice %sites [0:1, 0:2] : (tensor<1x4xi64>) -> tensor<1x2xi64>
  %index = stablehlo.reshape %two : (tensor<1x2xi64>) -> tensor<1x2x1xi64>
  %rows = "stablehlo.gather"(%w, %index) <{dimension_numbers = #stablehlo.gather<offset_dims = [2], collapsed_slice_dims = [0], start_index_map = [0], index_vector_dim = 2>, indices_are_sorted = false, slice_sizes = array<i64: 1, 2>}> : (tensor<4x2xf64>, tensor<1x2x1xi64>) -> tensor<1x2x2xf64>
  %m = stablehlo.reshape %rows : (tensor<1x2x2xf64>) -> tensor<1x4xf64>
  %00 = stablehlo.slice %m [0:1, 0:1] : (tensor<1x4xf64>) -> tensor<1x1xf64>
  %01 = stablehlo.slice %m [0:1, 1:2] : (tensor<1x4xf64>) -> tensor<1x1xf64>
  %10 = stablehlo.slice %m [0:1, 2:3] : (tensor<1x4xf64>) -> tensor<1x1xf64>
  %11 = stablehlo.slice %m [0:1, 3:4] : (tensor<1x4xf64>) -> tensor<1x1xf64>
  %p = stablehlo.multiply %00, %11 : tensor<1x1xf64>
  %q = stablehlo.multiply %01, %10 : tensor<1x1xf64>
  %det = stablehlo.subtract %p, %q : tensor<1x1xf64>
  %size = stablehlo.abs %det : tensor<1x1xf64>
  %log = stablehlo.log %size : tensor<1x1xf64>
  %s = stablehlo.reshape %log : (tensor<1x1xf64>) -> tensor<1xf64>
  func.return %s : tensor<1xf64>
}
