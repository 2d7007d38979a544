// RUN: symir-opt %s --split-input-file --verify-diagnostics --parsing-diagnostics | filecheck %s

// CHECK: a table is a list of at least one entry, got shape [0]
sym.operator @a() space #sym.space<2 x [0, 1]> element f64 {
  sym.term @t over #sym.rows<[0]> {
  ^bb0(%x : !sym.config, %i : !sym.site):
    %at = sym.index %i
    %v = sym.lookup dense<> : tensor<0xf64> at %at : tensor<i32> -> tensor<f64>
    sym.emit %x, %v : tensor<f64>
  }
}

// -----

// CHECK: a table is a list of at least one entry, got shape [2, 1]
sym.operator @a() space #sym.space<2 x [0, 1]> element f64 {
  sym.term @t over #sym.rows<[0]> {
  ^bb0(%x : !sym.config, %i : !sym.site):
    %at = sym.index %i
    %v = sym.lookup dense<1.0> : tensor<2x1xf64> at %at : tensor<i32> -> tensor<f64>
    sym.emit %x, %v : tensor<f64>
  }
}

// -----

// CHECK: a table of f32 has no entry of type tensor<f64>
sym.operator @a() space #sym.space<2 x [0, 1]> element f64 {
  sym.term @t over #sym.rows<[0]> {
  ^bb0(%x : !sym.config, %i : !sym.site):
    %at = sym.index %i
    %v = sym.lookup dense<1.0> : tensor<2xf32> at %at : tensor<i32> -> tensor<f64>
    sym.emit %x, %v : tensor<f64>
  }
}

// -----

// CHECK: the index of a table is i32 or f64, got tensor<i1>
sym.operator @a() space #sym.space<2 x [0, 1]> element f64 {
  sym.term @t over #sym.rows<[0]> {
  ^bb0(%x : !sym.config, %i : !sym.site):
    %p = stablehlo.constant dense<true> : tensor<i1>
    %v = sym.lookup dense<1.0> : tensor<2xf64> at %p : tensor<i1> -> tensor<f64>
    sym.emit %x, %v : tensor<f64>
  }
}
