// RUN: symir-opt %s -p cse,sym-expand-updates,sym-forward-reads,cse --print-between-passes | filecheck %s
// RUN: symir-opt %s -p sym-expand-updates,cse --print-between-passes | symir-opt | filecheck %s --check-prefix AGAIN
// RUN: symir-opt %s -p sym-expand-updates --print-between-passes --time-passes | filecheck %s --check-prefix TIMES

// A pass that changes nothing has a headline, and no IR.
// CHECK:      // pass 1 of 4: cse: 5 ops, nothing changed
// CHECK-NEXT: // pass 2 of 4: sym-expand-updates: 5 -> 8 ops
// CHECK-NEXT: builtin.module {
// CHECK:        sym.write
// CHECK:        sym.write
// CHECK:      // pass 3 of 4: sym-forward-reads: 8 ops, nothing changed
// CHECK-NEXT: // pass 4 of 4: cse: 8 ops, nothing changed

// What the last pass left comes last, as without the option.
// CHECK-NEXT: builtin.module {
// CHECK:        sym.write
// CHECK-NOT:  builtin.module

// All of it is MLIR.
// AGAIN:      builtin.module {
// AGAIN-NEXT:   builtin.module {
// AGAIN:        builtin.module {

// TIMES:      // pass 1 of 1: sym-expand-updates: 5 -> {{[0-9]+}} ops, 0.{{[0-9]+}} s

sym.operator @exchange() space #sym.space<2 x [-1, 1]> element f64 {
  sym.term @swap over #sym.rows<[0, 1]> {
  ^bb0(%x : !sym.config, %i : !sym.site, %j : !sym.site):
    %one = stablehlo.constant dense<1.0> : tensor<f64>
    %y = sym.swap %x[%i, %j]
    sym.emit %y, %one : tensor<f64>
  }
}
