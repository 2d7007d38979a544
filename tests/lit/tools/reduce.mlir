// RUN: symir reduce %s --quiet -p sym-expand-updates,sym-forward-reads,convert-sym-to-bt | filecheck %s
// RUN: symir reduce %s --quiet --check '! grep -q stablehlo.sqrt' --output %t.mlir | filecheck %s --check-prefix WRITTEN
// RUN: symir emit %t.mlir | filecheck %s --check-prefix ROOT
// RUN: not symir reduce %s --quiet --check compile 2>&1 | filecheck %s --check-prefix GOOD

// A bug of the passes: they do without the one that guards the space.
// CHECK:      sym.operator @hop() space #sym.space<1 x [0]> element f64 {
// CHECK-NEXT:   sym.term @bonds over #sym.rows<[0]> {
// CHECK-NEXT:   ^bb0(%x: !sym.config, %i: !sym.site):
// CHECK-NEXT:     %0 = stablehlo.constant dense<1.000000e+00> : tensor<f64>
// CHECK-NEXT:     %y0 = sym.shift %x[%i] by %0 : tensor<f64>
// CHECK-NEXT:     sym.emit %y0, %0 : tensor<f64>

// WRITTEN:      hop: 2 term(s), 4 row(s), 2 emission(s), 9 op(s), 2 site(s)
// WRITTEN-NEXT:   -> 1 term(s), 1 row(s), 1 emission(s), 3 op(s), 1 site(s)
// WRITTEN-NEXT:   fails as before (exit code 1), after {{[0-9]+}} checks
// WRITTEN-NEXT: written to {{.*}}.mlir

// ROOT:      sym.operator @hop() space #sym.space<1 x [0]> element f64 {
// ROOT:        %s = stablehlo.sqrt %0 : tensor<f64>
// ROOT-NEXT:   sym.emit %x, %s : tensor<f64>

// GOOD:      error: [C070] the operator does not fail, so there is nothing to reduce

sym.operator @hop(%t "t" : tensor<f64> = dense<0.5>) space #sym.space<2 x [0, 1, 2]> element f64 {
  sym.term @bonds over #sym.rows<[0, 1], [1, 0]> {
  ^bb0(%x : !sym.config, %i : !sym.site, %j : !sym.site):
    %minus = stablehlo.constant dense<-1.0> : tensor<f64>
    %one = stablehlo.constant dense<1.0> : tensor<f64>
    %n = sym.read %x[%i] : tensor<f64>
    %s = stablehlo.sqrt %n : tensor<f64>
    %a = stablehlo.multiply %t, %s : tensor<f64>
    %y0 = sym.shift %x[%i] by %minus : tensor<f64>
    %y = sym.shift %y0[%j] by %one : tensor<f64>
    sym.emit %y, %a : tensor<f64>
  }
  sym.term @sites over #sym.rows<[0], [1]> {
  ^bb0(%x : !sym.config, %i : !sym.site):
    sym.emit %x, %t : tensor<f64>
  }
}
