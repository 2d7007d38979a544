// RUN: symir-opt %s --split-input-file --verify-diagnostics --parsing-diagnostics | filecheck %s

// What the parser says about constants, and what our levels rely on StableHLO to reject.

// region Constants

// CHECK: a hexadecimal f32 has at most 32 bits and no sign
%c = stablehlo.constant dense<0x1FF800000> : tensor<f32>

// -----

// CHECK: a hexadecimal f64 has at most 64 bits and no sign
%c = stablehlo.constant dense<[1.0, -0x1]> : tensor<2xf64>

// -----

// CHECK: a hexadecimal bf16 has at most 16 bits and no sign
%c = stablehlo.constant dense<0xFF800> : tensor<bf16>

// -----

// CHECK: a hexadecimal f16 has at most 16 bits and no sign
%c = stablehlo.constant dense<0xFF800> : tensor<f16>

// -----

// CHECK: a hexadecimal f32 has at most 32 bits and no sign
%c = stablehlo.constant dense<(1.0, 0x7FF0000000000000)> : tensor<complex<f32>>

// -----

// CHECK: Expected a complex value
%c = stablehlo.constant dense<1.0> : tensor<complex<f32>>

// -----

// CHECK: No conversion from complex to float
%c = stablehlo.constant dense<(1.0, 2.0)> : tensor<f32>

// -----

// CHECK: Expected integer value
%c = stablehlo.constant dense<1.5> : tensor<i32>

// -----

// CHECK: Integer value 300 is out of range for type i8
%c = stablehlo.constant dense<300> : tensor<i8>

// -----

// CHECK: float too large to pack with f format
%c = stablehlo.constant dense<1.0e300> : tensor<f32>

// -----

// CHECK: Shape mismatch in dense literal. Expected [3] shape from the type, but got [2] shape.
%c = stablehlo.constant dense<[1.0, 2.0]> : tensor<3xf64>

// -----

// CHECK: Expected at least one element in the dense literal, but got None
%c = stablehlo.constant dense<> : tensor<3xf64>

// -----

// CHECK: 6 bytes are no tensor<1xf32>
%c = stablehlo.constant dense<"0x000000000000"> : tensor<1xf32>

// -----

// CHECK: Dense literal attribute should have a static shape.
%c = stablehlo.constant dense<1.0> : tensor<?xf64>

// endregion
// region Ops

// -----

// Lanes meet a batch after a `bt.broadcast` only.
// CHECK: 'stablehlo.add' requires the same shape for all operands and results
%a, %b = "test.op"() : () -> (tensor<7xf64>, tensor<?x7xf64>)
%c = "stablehlo.add"(%a, %b) : (tensor<7xf64>, tensor<?x7xf64>) -> tensor<?x7xf64>

// -----

// CHECK: 'stablehlo.compare' requires the same shape for all operands and results
%a, %b = "test.op"() : () -> (tensor<7xf64>, tensor<?x7xf64>)
%c = stablehlo.compare LT, %a, %b : (tensor<7xf64>, tensor<?x7xf64>) -> tensor<?x7xi1>

// -----

// CHECK:      result 'result' at position 0 does not verify:
%a = "test.op"() : () -> tensor<7xf64>
%c = "stablehlo.compare"(%a, %a) <{comparison_direction = #stablehlo<comparison_direction LT>}> : (tensor<7xf64>, tensor<7xf64>) -> tensor<7xf64>

// -----

// CHECK: property 'comparison_direction' expected
%a = "test.op"() : () -> tensor<7xf64>
%c = "stablehlo.compare"(%a, %a) : (tensor<7xf64>, tensor<7xf64>) -> tensor<7xi1>

// -----

// CHECK: 'stablehlo.pad' mixes tensor<4xf64>, tensor<i32>
%a, %b = "test.op"() : () -> (tensor<4xf64>, tensor<i32>)
%c = stablehlo.pad %a, %b, low = [1], high = [0], interior = [0] : (tensor<4xf64>, tensor<i32>) -> tensor<5xf64>

// -----

// CHECK: 'stablehlo.pad' has type tensor<6xf64>, declared tensor<5xf64>
%a, %b = "test.op"() : () -> (tensor<4xf64>, tensor<f64>)
%c = stablehlo.pad %a, %b, low = [-1], high = [0], interior = [1] : (tensor<4xf64>, tensor<f64>) -> tensor<5xf64>

// -----

// CHECK: 'stablehlo.dynamic_update_slice' has no slice tensor<5xf64> of tensor<4xf64>
%a, %b, %i = "test.op"() : () -> (tensor<4xf64>, tensor<5xf64>, tensor<i32>)
%c = stablehlo.dynamic_update_slice %a, %b, %i : (tensor<4xf64>, tensor<5xf64>, tensor<i32>) -> tensor<4xf64>

// -----

// CHECK: 'stablehlo.dynamic_update_slice' of tensor<4x4xf64> has 1 starts
%a, %b, %i = "test.op"() : () -> (tensor<4x4xf64>, tensor<1x1xf64>, tensor<i32>)
%c = stablehlo.dynamic_update_slice %a, %b, %i : (tensor<4x4xf64>, tensor<1x1xf64>, tensor<i32>) -> tensor<4x4xf64>

// -----

// Networks have ops of other dialects; here there are no others.
// CHECK: Operation sym.emitt is not registered
"sym.emitt"() : () -> ()

// endregion
