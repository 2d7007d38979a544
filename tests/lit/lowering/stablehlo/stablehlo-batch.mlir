// RUN: symir-opt %s -p 'stablehlo-batch{function=f size=4}' | filecheck %s
// RUN: symir-opt %s -p 'stablehlo-batch{function=choice size=4 arguments=1}' | filecheck %s --check-prefix=CHOICE

// Ops on parameters alone stay as they are
// CHECK-LABEL: func.func @f(%w: tensor<8x3xf64>, %x: tensor<4x1x8xf64>) -> tensor<4xf64> {
// CHECK-NEXT:    %v = stablehlo.tanh %w : tensor<8x3xf64>
// CHECK-NEXT:    %y = stablehlo.dot_general %x, %v, contracting_dims = [2] x [0] : (tensor<4x1x8xf64>, tensor<8x3xf64>) -> tensor<4x1x3xf64>
// CHECK-NEXT:    %z = stablehlo.exponential %y : tensor<4x1x3xf64>
// CHECK-NEXT:    %zero = stablehlo.constant dense<0.000000e+00> : tensor<f64>
// CHECK-NEXT:    %sum = stablehlo.reduce(%z init: %zero) across dimensions = [1, 2] : (tensor<4x1x3xf64>, tensor<f64>) -> tensor<4xf64>
func.func @f(%w: tensor<8x3xf64>, %x: tensor<1x8xf64>) -> tensor<f64> {
  %v = stablehlo.tanh %w : tensor<8x3xf64>
  %y = stablehlo.dot_general %x, %v, contracting_dims = [1] x [0] : (tensor<1x8xf64>, tensor<8x3xf64>) -> tensor<1x3xf64>
  %z = stablehlo.exponential %y : tensor<1x3xf64>
  %zero = stablehlo.constant dense<0.0> : tensor<f64>
  %sum = "stablehlo.reduce"(%z, %zero) <{dimensions = array<i64: 0, 1>}> ({
  ^bb0(%a: tensor<f64>, %b: tensor<f64>):
    %s = stablehlo.add %a, %b : tensor<f64>
    stablehlo.return %s : tensor<f64>
  }) : (tensor<1x3xf64>, tensor<f64>) -> tensor<f64>
  func.return %sum : tensor<f64>
}

// A choice that is the same for all has branches that return batches
// CHOICE-LABEL: func.func @choice(%n: tensor<i32>, %x: tensor<4x3xf64>) -> tensor<4x3xf64> {
// CHOICE-NEXT:    %y = "stablehlo.case"(%n) ({
// CHOICE-NEXT:      %z = stablehlo.negate %x : tensor<4x3xf64>
// CHOICE-NEXT:      stablehlo.return %z : tensor<4x3xf64>
// CHOICE-NEXT:    }, {
// CHOICE-NEXT:      %one = stablehlo.constant dense<1.000000e+00> : tensor<3xf64>
// CHOICE-NEXT:      %0 = stablehlo.broadcast_in_dim %one, dims = [1] : (tensor<3xf64>) -> tensor<4x3xf64>
// CHOICE-NEXT:      stablehlo.return %0 : tensor<4x3xf64>
// CHOICE-NEXT:    }) : (tensor<i32>) -> tensor<4x3xf64>
// CHOICE-NEXT:    func.return %y : tensor<4x3xf64>
func.func @choice(%n: tensor<i32>, %x: tensor<3xf64>) -> tensor<3xf64> {
  %y = "stablehlo.case"(%n) ({
    %z = stablehlo.negate %x : tensor<3xf64>
    stablehlo.return %z : tensor<3xf64>
  }, {
    %one = stablehlo.constant dense<1.0> : tensor<3xf64>
    stablehlo.return %one : tensor<3xf64>
  }) : (tensor<i32>) -> tensor<3xf64>
  func.return %y : tensor<3xf64>
}

// Nothing happens where no function has that name
// RUN: symir-opt %s -p 'stablehlo-batch{function=g size=4}' | filecheck %s --check-prefix=NONE
// NONE: func.func @f(%w: tensor<8x3xf64>, %x: tensor<1x8xf64>) -> tensor<f64>
