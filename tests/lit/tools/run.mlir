// Connected states of the operator below, on the only configuration it has.
// RUN: symir run %s --random 3 --samples 1 --quiet | filecheck %s
// RUN: symir run %s --random 3 --samples 0 --param h=2.5 --output %t.npz 2>&1 | filecheck %s --check-prefix=STAGES

// CHECK: pin on space([0.5], 2): 4 lanes (all 2, pair 2)
// CHECK-EMPTY:
// CHECK-NEXT: sample 0: x = 0.5 0.5
// CHECK-NEXT: lane  term  row  sites  emits       x'       changes  <x|O|x'>
// CHECK-NEXT: 0  all     0  i=0    stay        0.5 0.5  none           1.5
// CHECK-NEXT: 2  pair    0  -      emission 0  0.5 0.5  none             3
// CHECK-NEXT: 3  pair    0  -      emission 1  0.5 0.5  none           1.5
// CHECK-NEXT: 1 of 4 lanes have matrix element 0
// CHECK-EMPTY:
// CHECK-NEXT: in all: 3 x 4 = 12 lanes, 9 with a nonzero matrix element

// STAGES: reading {{.*}}run.mlir ... {{[0-9.]+}} s
// STAGES: starting JAX ... {{[0-9.]+}} s
// STAGES: lowering pin ... {{[0-9.]+}} s
// STAGES: compiling with XLA for blocks of 3 ... {{[0-9.]+}} s
// STAGES: running 3 samples ... {{[0-9.]+}} s
// STAGES: in all: 3 x 4 = 12 lanes, 9 with a nonzero matrix element
// STAGES-NEXT: written to {{.*}}.npz: x, xp, mels; term, row, emission, tag

sym.operator @pin(%h "h" : tensor<f64> = dense<1.5>) space #sym.space<2 x [0.5]> element f64 {
  sym.term @all over #sym.rows<[0], [1]> {
  ^bb0(%x : !sym.config, %i : !sym.site):
    %n = sym.index %i
    %one = stablehlo.constant dense<1> : tensor<i32>
    %p = stablehlo.compare LT, %n, %one : (tensor<i32>, tensor<i32>) -> tensor<i1>
    sym.emit %x, %h if %p tag "stay" : tensor<f64>
  }
  sym.term @pair over #sym.rows<[]> {
  ^bb0(%x : !sym.config):
    %two = stablehlo.add %h, %h : tensor<f64>
    sym.emit %x, %two : tensor<f64>
    sym.emit %x, %h : tensor<f64>
  }
}
