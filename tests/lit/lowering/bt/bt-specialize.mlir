// RUN: symir-opt %s -p "bt-specialize{batch=4 state=i8}" | filecheck %s
// RUN: symir-opt %s -p "bt-specialize{batch=4}" | filecheck %s
// RUN: symir-opt %s -p "bt-specialize{batch=0 state=f32}" | filecheck %s --check-prefix=EMPTY
// RUN: symir-opt %s -p "bt-specialize{batch=1 state=ui16}" | filecheck %s --check-prefix=UI16
// RUN: symir-opt %s -p "bt-specialize{batch=-1 state=i8}" --verify-diagnostics | filecheck %s --check-prefix=NEGATIVE
// RUN: symir-opt %s -p "bt-specialize{batch=1 state=f8}" --verify-diagnostics | filecheck %s --check-prefix=UNKNOWN

// NEGATIVE: bt-specialize: the batch size must not be negative, got -1
// UNKNOWN:  bt-specialize: unknown state type 'f8', expected one of i1, i8, i16, i32, i64, ui8, ui16, ui32, ui64, f16, bf16, f32, f64

// Batch and state type are bound in the signature and in every value that has them, and
// nowhere else: neither lanes, nor scalars, nor branches change.
func.func @all_kinds(%x : tensor<?x3x!bt.state>, %h : tensor<f64>, %hs : tensor<?xf64>) -> (tensor<?x2x3x!bt.state>, tensor<?x2xf64>) {
  %i = stablehlo.constant dense<[0, 2]> : tensor<2xi32>
  %v = bt.gather %x[%i] : (tensor<?x3x!bt.state>, tensor<2xi32>) -> tensor<?x2xf64>
  %w = bt.broadcast %h dims = [] : tensor<f64> -> tensor<?x2xf64>
  %u = bt.broadcast %hs dims = [0] : tensor<?xf64> -> tensor<?x2xf64>
  %s = stablehlo.add %v, %w : tensor<?x2xf64>
  %t = stablehlo.add %s, %u : tensor<?x2xf64>
  %p = stablehlo.compare LT, %t, %v : (tensor<?x2xf64>, tensor<?x2xf64>) -> tensor<?x2xi1>
  %b = bt.branches [%i] = [%h] amplitude %t valid %p : [tensor<2xi32>] [tensor<f64>] tensor<?x2xf64>, tensor<?x2xi1> -> !bt.branches<2 x 1>
  %xp, %mels = bt.connections %x, %b : (tensor<?x3x!bt.state>, !bt.branches<2 x 1>) -> (tensor<?x2x3x!bt.state>, tensor<?x2xf64>)
  func.return %xp, %mels : tensor<?x2x3x!bt.state>, tensor<?x2xf64>
}

// CHECK-LABEL: func.func @all_kinds(%x: tensor<4x3xi8>, %h: tensor<f64>, %hs: tensor<4xf64>) -> (tensor<4x2x3xi8>, tensor<4x2xf64>) {
// CHECK-NEXT:    %i = stablehlo.constant dense<[0, 2]> : tensor<2xi32>
// CHECK-NEXT:    %v = bt.gather %x[%i] : (tensor<4x3xi8>, tensor<2xi32>) -> tensor<4x2xf64>
// CHECK-NEXT:    %w = bt.broadcast %h dims = [] : tensor<f64> -> tensor<4x2xf64>
// CHECK-NEXT:    %u = bt.broadcast %hs dims = [0] : tensor<4xf64> -> tensor<4x2xf64>
// CHECK-NEXT:    %s = stablehlo.add %v, %w : tensor<4x2xf64>
// CHECK-NEXT:    %t = stablehlo.add %s, %u : tensor<4x2xf64>
// CHECK-NEXT:    %p = stablehlo.compare LT, %t, %v : (tensor<4x2xf64>, tensor<4x2xf64>) -> tensor<4x2xi1>
// CHECK-NEXT:    %b = bt.branches[%i] = [%h] amplitude %t valid %p : [tensor<2xi32>] [tensor<f64>] tensor<4x2xf64>, tensor<4x2xi1> -> !bt.branches<2 x 1>
// CHECK-NEXT:    %xp, %mels = bt.connections %x, %b : (tensor<4x3xi8>, !bt.branches<2 x 1>) -> (tensor<4x2x3xi8>, tensor<4x2xf64>)
// CHECK-NEXT:    func.return %xp, %mels : tensor<4x2x3xi8>, tensor<4x2xf64>
// CHECK-NEXT:  }
// EMPTY-LABEL: func.func @all_kinds(%x: tensor<0x3xf32>, %h: tensor<f64>, %hs: tensor<0xf64>) -> (tensor<0x2x3xf32>, tensor<0x2xf64>) {
// EMPTY-NEXT:    %i = stablehlo.constant dense<[0, 2]> : tensor<2xi32>
// EMPTY-NEXT:    %v = bt.gather %x[%i] : (tensor<0x3xf32>, tensor<2xi32>) -> tensor<0x2xf64>
// EMPTY-NEXT:    %w = bt.broadcast %h dims = [] : tensor<f64> -> tensor<0x2xf64>
// EMPTY-NEXT:    %u = bt.broadcast %hs dims = [0] : tensor<0xf64> -> tensor<0x2xf64>
// EMPTY-NEXT:    %s = stablehlo.add %v, %w : tensor<0x2xf64>
// EMPTY-NEXT:    %t = stablehlo.add %s, %u : tensor<0x2xf64>
// EMPTY-NEXT:    %p = stablehlo.compare LT, %t, %v : (tensor<0x2xf64>, tensor<0x2xf64>) -> tensor<0x2xi1>
// EMPTY-NEXT:    %b = bt.branches[%i] = [%h] amplitude %t valid %p : [tensor<2xi32>] [tensor<f64>] tensor<0x2xf64>, tensor<0x2xi1> -> !bt.branches<2 x 1>
// EMPTY-NEXT:    %xp, %mels = bt.connections %x, %b : (tensor<0x3xf32>, !bt.branches<2 x 1>) -> (tensor<0x2x3xf32>, tensor<0x2xf64>)
// EMPTY-NEXT:    func.return %xp, %mels : tensor<0x2x3xf32>, tensor<0x2xf64>
// EMPTY-NEXT:  }

// UI16-LABEL: func.func @all_kinds(%x: tensor<1x3xui16>, {{.*}} -> (tensor<1x2x3xui16>, tensor<1x2xf64>)

// What is bound already stays.
func.func @bound(%x : tensor<7x3xi32>) -> tensor<7x3xi32> {
  func.return %x : tensor<7x3xi32>
}

// CHECK-LABEL: func.func @bound(%x: tensor<7x3xi32>) -> tensor<7x3xi32> {
// CHECK-NEXT:    func.return %x : tensor<7x3xi32>
// CHECK-NEXT:  }
// EMPTY-LABEL: func.func @bound(%x: tensor<7x3xi32>) -> tensor<7x3xi32> {
// EMPTY-NEXT:    func.return %x : tensor<7x3xi32>

// An operator has no batch.
sym.operator @untouched() space #sym.space<2 x [0, 1]> element f64 {
  sym.term @t over #sym.rows<[0]> {
  ^bb0(%x : !sym.config, %i : !sym.site):
    %v = sym.read %x[%i] : tensor<f64>
    sym.emit %x, %v : tensor<f64>
  }
}

// CHECK-LABEL: sym.operator @untouched() space #sym.space<2 x [0, 1]> element f64 {
// CHECK-NEXT:    sym.term @t over #sym.rows<[0]> {
// CHECK-NEXT:    ^bb0(%x: !sym.config, %i: !sym.site):
// CHECK-NEXT:      %v = sym.read %x[%i] : tensor<f64>
// CHECK-NEXT:      sym.emit %x, %v : tensor<f64>
// CHECK-NEXT:    }
// CHECK-NEXT:  }
