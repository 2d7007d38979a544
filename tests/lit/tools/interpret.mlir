// Every value of the operator below, on the only configuration it has.
// RUN: symir interpret %s --random 2 --values --quiet | filecheck %s
// RUN: symir interpret %s --random 2 --level bt --values --param h=2.5 --quiet | filecheck %s --check-prefix=BT
// RUN: symir interpret %s --random 2 --level stablehlo --samples 1 2>&1 | filecheck %s --check-prefix=KERNEL

// CHECK: %h = argument : float64 (sample=2)
// CHECK-NEXT: [1.5, 1.5]
// CHECK: %n = sym.index : int32 (sample=2, row=2)  in term all
// CHECK-SAME: interpret.mlir:
// CHECK-NEXT: {{\[\[}}0, 1],
// CHECK-NEXT: [0, 1]]
// CHECK: sample 1: x = 0.5 0.5
// CHECK: in all: 2 x 2 = 4 lanes, 2 with a nonzero matrix element

// BT: %h = argument : float64
// BT-NEXT: 2.5
// BT: .amplitude = bt.branches : float64 (sample=2, lane=2)
// BT-NEXT: {{\[\[}}2.5, 2.5],
// BT: in all: 2 x 2 = 4 lanes, 2 with a nonzero matrix element

// KERNEL: reading {{.*}}interpret.mlir ... {{[0-9.]+}} s
// KERNEL: interpreting pin at stablehlo ... {{[0-9.]+}} s
// KERNEL: sample 0: x = 0.5 0.5
// KERNEL-NOT: sample 1:
// KERNEL: in all: 2 x 2 = 4 lanes, 2 with a nonzero matrix element

sym.operator @pin(%h "h" : tensor<f64> = dense<1.5>) space #sym.space<2 x [0.5]> element f64 {
  sym.term @all over #sym.rows<[0], [1]> {
  ^bb0(%x : !sym.config, %i : !sym.site):
    %n = sym.index %i
    %one = stablehlo.constant dense<1> : tensor<i32>
    %p = stablehlo.compare LT, %n, %one : (tensor<i32>, tensor<i32>) -> tensor<i1>
    sym.emit %x, %h if %p tag "stay" : tensor<f64>
  }
}
