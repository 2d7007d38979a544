// RUN: symir-opt %s --split-input-file -p inline-calls --verify-diagnostics | filecheck %s

// Each call gets a copy of its own, also where calls are nested; what was called goes.
// CHECK-LABEL:   func.func public @main(%x: tensor<f64>) -> tensor<f64> {
// CHECK-NEXT:      [[A:%\S+]] = stablehlo.tanh %x : tensor<f64>
// CHECK-NEXT:      [[B:%\S+]] = stablehlo.add [[A]], [[A]] : tensor<f64>
// CHECK-NEXT:      [[C:%\S+]] = stablehlo.tanh [[B]] : tensor<f64>
// CHECK-NEXT:      [[D:%\S+]] = stablehlo.add [[C]], [[C]] : tensor<f64>
// CHECK-NEXT:      func.return [[D]] : tensor<f64>
// CHECK-NOT:     func.func
func.func public @main(%x : tensor<f64>) -> tensor<f64> {
  %a = func.call @twice(%x) : (tensor<f64>) -> tensor<f64>
  %b = func.call @twice(%a) : (tensor<f64>) -> tensor<f64>
  func.return %b : tensor<f64>
}

func.func private @twice(%x : tensor<f64>) -> tensor<f64> {
  %a = func.call @inner(%x) : (tensor<f64>) -> tensor<f64>
  %b = stablehlo.add %a, %a : tensor<f64>
  func.return %b : tensor<f64>
}

func.func private @inner(%x : tensor<f64>) -> tensor<f64> {
  %a = stablehlo.tanh %x : tensor<f64>
  func.return %a : tensor<f64>
}

// -----

// Several results, and none of them computed.
// CHECK-LABEL:   func.func @swap(%x: tensor<f64>, %y: tensor<i1>) -> (tensor<i1>, tensor<f64>) {
// CHECK-NEXT:      func.return %y, %x : tensor<i1>, tensor<f64>
func.func @swap(%x : tensor<f64>, %y : tensor<i1>) -> (tensor<i1>, tensor<f64>) {
  %a, %b = func.call @turned(%x, %y) : (tensor<f64>, tensor<i1>) -> (tensor<i1>, tensor<f64>)
  func.return %a, %b : tensor<i1>, tensor<f64>
}

func.func private @turned(%x : tensor<f64>, %y : tensor<i1>) -> (tensor<i1>, tensor<f64>) {
  func.return %y, %x : tensor<i1>, tensor<f64>
}

// -----

// CHECK: inline-calls: there is no body of @elsewhere
func.func @main(%x : tensor<f64>) -> tensor<f64> {
  %a = func.call @elsewhere(%x) : (tensor<f64>) -> tensor<f64>
  func.return %a : tensor<f64>
}

func.func private @elsewhere(tensor<f64>) -> tensor<f64>

// -----

// CHECK: inline-calls: @around calls itself
func.func @around(%x : tensor<f64>) -> tensor<f64> {
  %a = func.call @around(%x) : (tensor<f64>) -> tensor<f64>
  func.return %a : tensor<f64>
}
