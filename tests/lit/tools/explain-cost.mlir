// What the passes did for an operator, what they did not, and what it costs.
// RUN: symir explain %s --cost --quiet | filecheck %s
// RUN: symir explain %s --cost --json --quiet | filecheck %s --check-prefix=JSON

// CHECK: optimisation of ladder: batch 1024, x of int8
// CHECK: pass pipeline relation changed ops before after lanes before after
// CHECK: sym-fuse-terms operator equal yes 11 8 5 5
// CHECK: bt-specialize kernel equal yes
// CHECK: remarks
// CHECK-NEXT: sym-fuse-terms: done: @first, @second become one term at {{.*}}
// CHECK-NEXT: sym-guard-space: not done: 1 of 1 emissions of @up may lead out of the space: that is checked for each x at {{.*}}
// CHECK-NEXT: hint: a predicate
// CHECK-NEXT: bt-narrow: not done: the bounds of the local values are not known here at {{.*}}
// CHECK-NEXT: hint: compile with opt_level=3
// CHECK: not in the pipeline
// CHECK: bt-coalesce-diagonal: coalesce is 'none'; compile with coalesce='diagonal'
// CHECK: predicted cost per sample
// CHECK-NEXT: lane group rows emissions lanes returned writes flops selects read written share work
// CHECK-NEXT: first+second/emit0 3 2 3 3 0 0 6 9 30 {{[0-9]+}} % 3
// CHECK-NEXT: up/emit0 2 1 2 2 1
// CHECK-EMPTY:
// CHECK-NEXT: term rows emissions lanes returned writes flops selects read written share work
// CHECK-NEXT: first 1 1 1 1 0 0 2 3 10 {{[0-9]+}} % 1
// CHECK-NEXT: second 2 1 2 2 0 0 4 6 20 {{[0-9]+}} % 2
// CHECK-NEXT: up 2 1 2 2 1
// CHECK: 5 lanes of the operator, 5 are returned; per sample

// JSON: "operator": "ladder"
// JSON: "message": "@first, @second become one term"
// JSON: "name": "bt-coalesce-diagonal"
// JSON: "lanes_before": 5

sym.operator @ladder() space #sym.space<2 x [0, 1]> element f64 {
  sym.term @first over #sym.rows<[0]> {
  ^bb0(%x : !sym.config, %i : !sym.site):
    %n = sym.read %x[%i] : tensor<f64>
    sym.emit %x, %n : tensor<f64>
  }
  sym.term @second over #sym.rows<[1], [0]> {
  ^bb0(%x : !sym.config, %i : !sym.site):
    %n = sym.read %x[%i] : tensor<f64>
    sym.emit %x, %n : tensor<f64>
  }
  sym.term @up over #sym.rows<[0], [1]> {
  ^bb0(%x : !sym.config, %i : !sym.site):
    %one = stablehlo.constant dense<1.0> : tensor<f64>
    %y = sym.shift %x[%i] by %one : tensor<f64>
    sym.emit %y, %one : tensor<f64>
  }
}
