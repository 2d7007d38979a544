// Without the pass that guards the space, branches leave it; the pass behind is to blame.
// RUN: not symir bisect %s --quiet -p sym-expand-updates,sym-forward-reads,convert-sym-to-bt | filecheck %s
// RUN: not symir bisect %s --quiet -p convert-sym-to-bt | filecheck %s --check-prefix FAILS
// RUN: symir bisect %s --quiet --validate exhaustive -p sym-expand-updates,cse | filecheck %s --check-prefix GOOD
// RUN: not symir bisect %s --quiet -p nothing 2>&1 | filecheck %s --check-prefix UNKNOWN

// CHECK:      hop: pass 3, convert-sym-to-bt, is to blame
// CHECK-NEXT: convert-sym-to-bt (equal): x' at sample 0, lane 0: expected [0, 0], found [-1, 1]
// CHECK-NEXT:   x = [0.0, 0.0]
// CHECK-NEXT:   parameters = {'t': 0.5}
// CHECK-NEXT:   term 'bonds', row 0, emission 0
// CHECK-NEXT:   at {{.*}}bisect.mlir:34
// CHECK-NEXT: --- before convert-sym-to-bt
// CHECK-NEXT: +++ after convert-sym-to-bt
// CHECK:      -    sym.term @bonds
// CHECK:      +    {{.*}} = bt.branches

// FAILS:      hop: pass 1, convert-sym-to-bt, is to blame
// FAILS-NEXT: [C002] the pass 'convert-sym-to-bt' failed
// FAILS:        found: {{.*}} term @bonds still holds 'sym.shift'
// FAILS:      builtin.module {
// FAILS:        sym.shift

// GOOD:       hop: none of 2 passes is to blame, on 9 of 9 configurations and 2 set(s) of parameters
// UNKNOWN:    error: [C008] this is no pass pipeline

sym.operator @hop(%t "t" : tensor<f64> = dense<0.5>) space #sym.space<2 x [0, 1, 2]> element f64 {
  sym.term @bonds over #sym.rows<[0, 1], [1, 0]> {
  ^bb0(%x : !sym.config, %i : !sym.site, %j : !sym.site):
    %minus = stablehlo.constant dense<-1.0> : tensor<f64>
    %one = stablehlo.constant dense<1.0> : tensor<f64>
    %y0 = sym.shift %x[%i] by %minus : tensor<f64>
    %y = sym.shift %y0[%j] by %one : tensor<f64>
    sym.emit %y, %t : tensor<f64>
  }
}
