// Plain xdsl-opt knows our dialects and passes through the entry point.
// RUN: xdsl-opt %s -p sym-expand-updates | filecheck %s

// CHECK-LABEL: sym.operator @exchange() space #sym.space<2 x [-1, 1]> element f64
sym.operator @exchange() space #sym.space<2 x [-1, 1]> element f64 {
  sym.term @swap over #sym.rows<[0, 1]> {
  ^bb0(%x : !sym.config, %i : !sym.site, %j : !sym.site):
    // CHECK-NOT: sym.swap
    // CHECK: sym.write
    // CHECK: sym.write
    // CHECK-NOT: sym.swap
    // CHECK: sym.emit
    %one = stablehlo.constant dense<1.0> : tensor<f64>
    %y = sym.swap %x[%i, %j]
    sym.emit %y, %one : tensor<f64>
  }
}
