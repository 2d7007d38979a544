// RUN: symir-opt %s | symir-opt | filecheck %s
// RUN: symir-opt %s --print-op-generic | symir-opt | filecheck %s

// What networks have beside the ops of kernels: those that xdsl-jax lacks, or reads or
// prints otherwise than StableHLO, and ops that no dialect here has, which stay.

// CHECK-LABEL: func.func @windows(
func.func @windows(%x : tensor<2x5x1xf64>, %w : tensor<3x1x4xf64>, %zero : tensor<f64>) {
  // CHECK-NEXT: %{{.*}} = "stablehlo.convolution"(%x, %w) <{
  // CHECK-SAME: dimension_numbers = #stablehlo.conv<[b, 0, f]x[0, i, o]->[b, 0, f]>
  %0 = "stablehlo.convolution"(%x, %w) <{
    dimension_numbers = #stablehlo.conv<[b, 0, f]x[0, i, o]->[b, 0, f]>,
    window_reversal = array<i1: false>, padding = dense<[[1, 0]]> : tensor<1x2xi64>,
    feature_group_count = 1 : i64, batch_group_count = 1 : i64}>
    : (tensor<2x5x1xf64>, tensor<3x1x4xf64>) -> tensor<2x4x4xf64>
  // CHECK-NEXT: %{{.*}} = stablehlo.pad %x, %zero, low = [0, 1, 0], high = [0, -2, 0], interior = [0, 1, 0] : (tensor<2x5x1xf64>, tensor<f64>) -> tensor<2x8x1xf64>
  %1 = stablehlo.pad %x, %zero, low = [0, 1, 0], high = [0, -2, 0], interior = [0, 1, 0]
    : (tensor<2x5x1xf64>, tensor<f64>) -> tensor<2x8x1xf64>
  // CHECK-NEXT: %{{.*}} = "stablehlo.reverse"(%x) <{dimensions = array<i64: 1>}>
  %2 = "stablehlo.reverse"(%x) <{dimensions = array<i64: 1>}>
    : (tensor<2x5x1xf64>) -> tensor<2x5x1xf64>
  // CHECK-NEXT: %{{.*}} = "stablehlo.reduce_window"(%x, %zero) <{window_dimensions = array<i64: 1, 5, 1>}> ({
  // CHECK-NEXT: ^bb0(%a: tensor<f64>, %b: tensor<f64>):
  %3 = "stablehlo.reduce_window"(%x, %zero) <{window_dimensions = array<i64: 1, 5, 1>}> ({
  ^bb0(%a : tensor<f64>, %b : tensor<f64>):
    %c = stablehlo.add %a, %b : tensor<f64>
    stablehlo.return %c : tensor<f64>
  }) : (tensor<2x5x1xf64>, tensor<f64>) -> tensor<2x1x1xf64>
  func.return
}

// CHECK-LABEL: func.func @transforms(
func.func @transforms(%x : tensor<4xf64>) {
  // CHECK-NEXT: %{{.*}} = "stablehlo.fft"(%x) <{fft_length = array<i64: 4>, fft_type = #stablehlo<fft_type RFFT>}>
  %0 = "stablehlo.fft"(%x) <{fft_length = array<i64: 4>,
    fft_type = #stablehlo<fft_type RFFT>}> : (tensor<4xf64>) -> tensor<3xcomplex<f64>>
  // CHECK-NEXT: %{{.*}} = chlo.erf %x : tensor<4xf64> -> tensor<4xf64>
  %1 = chlo.erf %x : tensor<4xf64> -> tensor<4xf64>
  // CHECK-NEXT: %{{.*}}, %{{.*}} = "chlo.top_k"(%x) <{k = 2 : i64}>
  %2, %3 = "chlo.top_k"(%x) <{k = 2 : i64}> : (tensor<4xf64>) -> (tensor<2xf64>, tensor<2xi32>)
  // CHECK-NEXT: %{{.*}} = "chlo.bessel_i1e"(%x) : (tensor<4xf64>) -> tensor<4xf64>
  %4 = "chlo.bessel_i1e"(%x) : (tensor<4xf64>) -> tensor<4xf64>
  // CHECK-NEXT: %{{.*}} = stablehlo.custom_call @solve(%x) {sdy.rule = #sdy.rule<([i])->([i]) {i=4}>, has_side_effect = true, backend_config = {by = 3 : ui8}} : (tensor<4xf64>) -> tensor<4xf64>
  %5 = stablehlo.custom_call @solve(%x) {sdy.rule = #sdy.rule<([i])->([i]) {i=4}>,
    has_side_effect = true, backend_config = {by = 3 : ui8}}
    : (tensor<4xf64>) -> tensor<4xf64>
  func.return
}

// The names of a loop's arguments are those of both of its regions.
// CHECK-LABEL: func.func @loops(
func.func @loops(%x : tensor<4xf64>, %n : tensor<i32>) -> tensor<4xf64> {
  // CHECK-NEXT: %{{.*}}, %[[R:.*]] = stablehlo.while(%[[I:.*]] = %n, %[[Y:.*]] = %x) : tensor<i32>, tensor<4xf64>
  %i, %r = stablehlo.while(%k = %n, %y = %x) : tensor<i32>, tensor<4xf64>
  // CHECK-NEXT: cond {
  // CHECK-NEXT:   %{{.*}} = stablehlo.compare LT, %[[I]], %n
  cond {
    %go = stablehlo.compare LT, %k, %n : (tensor<i32>, tensor<i32>) -> tensor<i1>
    stablehlo.return %go : tensor<i1>
  // CHECK:      } do {
  // CHECK-NEXT:   %{{.*}} = stablehlo.dynamic_slice %[[Y]], %[[I]], sizes = [1]
  // CHECK-NEXT:   %{{.*}} = stablehlo.dynamic_update_slice %[[Y]], %{{.*}}, %[[I]]
  } do {
    %part = stablehlo.dynamic_slice %y, %k, sizes = [1]
      : (tensor<4xf64>, tensor<i32>) -> tensor<1xf64>
    %new = stablehlo.dynamic_update_slice %y, %part, %k
      : (tensor<4xf64>, tensor<1xf64>, tensor<i32>) -> tensor<4xf64>
    stablehlo.return %k, %new : tensor<i32>, tensor<4xf64>
  }
  func.return %r : tensor<4xf64>
}

// What is combined comes before what it is combined with, for all operands.
// CHECK-LABEL: func.func @pairs(
func.func @pairs(%x : tensor<4xf64>, %n : tensor<4xi32>, %a : tensor<f64>, %b : tensor<i32>) {
  // CHECK-NEXT: %{{.*}}, %{{.*}} = stablehlo.reduce(%x init: %a), (%n init: %b) across dimensions = [0]
  // CHECK-NEXT: reducer(%{{.*}}: tensor<f64>, %[[V:.*]]: tensor<f64>) (%[[O:.*]]: tensor<i32>, %{{.*}}: tensor<i32>)
  // CHECK-NEXT:   stablehlo.return %[[V]], %[[O]] : tensor<f64>, tensor<i32>
  %0, %1 = "stablehlo.reduce"(%x, %n, %a, %b) <{dimensions = array<i64: 0>}> ({
  ^bb0(%one : tensor<f64>, %number : tensor<i32>, %other : tensor<f64>, %next : tensor<i32>):
    stablehlo.return %other, %number : tensor<f64>, tensor<i32>
  }) : (tensor<4xf64>, tensor<4xi32>, tensor<f64>, tensor<i32>) -> (tensor<f64>, tensor<i32>)
  // CHECK:      %{{.*}}, %{{.*}} = "stablehlo.sort"(%x, %n) <{dimension = 0 : i64, is_stable = true}> ({
  %2, %3 = "stablehlo.sort"(%x, %n) <{dimension = 0 : i64, is_stable = true}> ({
  ^bb0(%l : tensor<f64>, %r : tensor<f64>, %i : tensor<i32>, %j : tensor<i32>):
    %c = stablehlo.compare LT, %l, %r : (tensor<f64>, tensor<f64>) -> tensor<i1>
    stablehlo.return %c : tensor<i1>
  }) : (tensor<4xf64>, tensor<4xi32>) -> (tensor<4xf64>, tensor<4xi32>)
  func.return
}
