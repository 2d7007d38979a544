// RUN: symir check %s --quiet --validate exhaustive --certificate %t.json | filecheck %s
// RUN: symir check --replay %t.json --quiet | filecheck %s --check-prefix AGAIN

// CHECK:      hop: valid, exhaustive, 9 of 9 configurations, 2 set(s) of parameters
// CHECK:      sym-fuse-terms            sym        equal           error 0.0e+00
// CHECK:      convert-sym-to-bt         bt         equal           error 0.0e+00
// CHECK:      convert-bt-to-stablehlo   stablehlo  equal           error 0.0e+00
// CHECK:      executable                stablehlo  equal           error
// CHECK:      written to

// AGAIN:      hop: valid, given, 9 of 9 configurations, 2 set(s) of parameters
// AGAIN-NOT:  not as certified

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
}
