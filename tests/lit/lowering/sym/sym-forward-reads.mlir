// RUN: symir-opt %s -p sym-forward-reads --split-input-file --verify-diagnostics | filecheck %s

// Reads of a configuration that was written.

// %i and %j differ in every row: the write cannot be seen at %j.
sym.operator @never() space #sym.space<3 x [0, 1]> element f64 {
  sym.term @t over #sym.rows<[0, 1], [1, 2]> {
  ^bb0(%x : !sym.config, %i : !sym.site, %j : !sym.site):
    %v = stablehlo.constant dense<1.0> : tensor<f64>
    %y = sym.write %x[%i], %v : tensor<f64>
    %a = sym.read %y[%j] : tensor<f64>
    sym.emit %y, %a : tensor<f64>
  }
}

// CHECK-LABEL: sym.operator @never() space #sym.space<3 x [0, 1]> element f64 {
// CHECK-NEXT:    sym.term @t over #sym.rows<[0, 1], [1, 2]> {
// CHECK-NEXT:    ^bb0(%x: !sym.config, %i: !sym.site, %j: !sym.site):
// CHECK-NEXT:      %v = stablehlo.constant dense<1.000000e+00> : tensor<f64>
// CHECK-NEXT:      %a = sym.read %x[%j] : tensor<f64>
// CHECK-NEXT:      %0 = sym.write %x[%i], %v : tensor<f64>
// CHECK-NEXT:      sym.emit %0, %a : tensor<f64>
// CHECK-NEXT:    }
// CHECK-NEXT:  }

// %i and %j are the same site in every row.
sym.operator @always() space #sym.space<3 x [0, 1]> element f64 {
  sym.term @t over #sym.rows<[0, 0], [2, 2]> {
  ^bb0(%x : !sym.config, %i : !sym.site, %j : !sym.site):
    %v = stablehlo.constant dense<1.0> : tensor<f64>
    %y = sym.write %x[%i], %v : tensor<f64>
    %a = sym.read %y[%j] : tensor<f64>
    sym.emit %y, %a : tensor<f64>
  }
}

// CHECK-LABEL: sym.operator @always() space #sym.space<3 x [0, 1]> element f64 {
// CHECK-NEXT:    sym.term @t over #sym.rows<[0, 0], [2, 2]> {
// CHECK-NEXT:    ^bb0(%x: !sym.config, %i: !sym.site, %j: !sym.site):
// CHECK-NEXT:      %v = stablehlo.constant dense<1.000000e+00> : tensor<f64>
// CHECK-NEXT:      %0 = sym.write %x[%i], %v : tensor<f64>
// CHECK-NEXT:      sym.emit %0, %v : tensor<f64>
// CHECK-NEXT:    }
// CHECK-NEXT:  }

// They are the same site in one row of two.
sym.operator @sometimes() space #sym.space<3 x [0, 1]> element f64 {
  sym.term @t over #sym.rows<[0, 0], [1, 2]> {
  ^bb0(%x : !sym.config, %i : !sym.site, %j : !sym.site):
    %v = stablehlo.constant dense<1.0> : tensor<f64>
    %y = sym.write %x[%i], %v : tensor<f64>
    %a = sym.read %y[%j] : tensor<f64>
    sym.emit %y, %a : tensor<f64>
  }
}

// CHECK-LABEL: sym.operator @sometimes() space #sym.space<3 x [0, 1]> element f64 {
// CHECK-NEXT:    sym.term @t over #sym.rows<[0, 0], [1, 2]> {
// CHECK-NEXT:    ^bb0(%x: !sym.config, %i: !sym.site, %j: !sym.site):
// CHECK-NEXT:      %v = stablehlo.constant dense<1.000000e+00> : tensor<f64>
// CHECK-NEXT:      %0 = sym.read %x[%j] : tensor<f64>
// CHECK-NEXT:      %1 = sym.index %i
// CHECK-NEXT:      %2 = sym.index %j
// CHECK-NEXT:      %3 = stablehlo.compare EQ, %1, %2 : (tensor<i32>, tensor<i32>) -> tensor<i1>
// CHECK-NEXT:      %a = stablehlo.select %3, %v, %0 : tensor<i1>, tensor<f64>
// CHECK-NEXT:      %4 = sym.write %x[%i], %v : tensor<f64>
// CHECK-NEXT:      sym.emit %4, %a : tensor<f64>
// CHECK-NEXT:    }
// CHECK-NEXT:  }

// A label is itself, also in a table without rows.
sym.operator @no_rows() space #sym.space<3 x [0, 1]> element f64 {
  sym.term @t over #sym.rows<0 x 2> {
  ^bb0(%x : !sym.config, %i : !sym.site, %j : !sym.site):
    %v = stablehlo.constant dense<1.0> : tensor<f64>
    %y = sym.write %x[%i], %v : tensor<f64>
    %a = sym.read %y[%i] : tensor<f64>
    %b = sym.read %y[%j] : tensor<f64>
    %c = stablehlo.add %a, %b : tensor<f64>
    sym.emit %y, %c : tensor<f64>
  }
}

// CHECK-LABEL: sym.operator @no_rows() space #sym.space<3 x [0, 1]> element f64 {
// CHECK-NEXT:    sym.term @t over #sym.rows<0 x 2> {
// CHECK-NEXT:    ^bb0(%x: !sym.config, %i: !sym.site, %j: !sym.site):
// CHECK-NEXT:      %v = stablehlo.constant dense<1.000000e+00> : tensor<f64>
// CHECK-NEXT:      %b = sym.read %x[%j] : tensor<f64>
// CHECK-NEXT:      %c = stablehlo.add %v, %b : tensor<f64>
// CHECK-NEXT:      %0 = sym.write %x[%i], %v : tensor<f64>
// CHECK-NEXT:      sym.emit %0, %c : tensor<f64>
// CHECK-NEXT:    }
// CHECK-NEXT:  }

// The latest write that may have hit the site is asked first.
sym.operator @latest_first() space #sym.space<3 x [0, 1]> element f64 {
  sym.term @t over #sym.rows<[0, 1, 1], [0, 0, 1], [1, 0, 1]> {
  ^bb0(%x : !sym.config, %i : !sym.site, %j : !sym.site, %k : !sym.site):
    %v = stablehlo.constant dense<1.0> : tensor<f64>
    %w = stablehlo.constant dense<2.0> : tensor<f64>
    %y = sym.write %x[%i], %v : tensor<f64>
    %z = sym.write %y[%j], %w : tensor<f64>
    %a = sym.read %z[%k] : tensor<f64>
    sym.emit %z, %a : tensor<f64>
  }
}

// CHECK-LABEL: sym.operator @latest_first() space #sym.space<3 x [0, 1]> element f64 {
// CHECK-NEXT:    sym.term @t over #sym.rows<[0, 1, 1], [0, 0, 1], [1, 0, 1]> {
// CHECK-NEXT:    ^bb0(%x: !sym.config, %i: !sym.site, %j: !sym.site, %k: !sym.site):
// CHECK-NEXT:      %v = stablehlo.constant dense<1.000000e+00> : tensor<f64>
// CHECK-NEXT:      %w = stablehlo.constant dense<2.000000e+00> : tensor<f64>
// CHECK-NEXT:      %0 = sym.read %x[%k] : tensor<f64>
// CHECK-NEXT:      %1 = sym.index %i
// CHECK-NEXT:      %2 = sym.index %k
// CHECK-NEXT:      %3 = stablehlo.compare EQ, %1, %2 : (tensor<i32>, tensor<i32>) -> tensor<i1>
// CHECK-NEXT:      %4 = stablehlo.select %3, %v, %0 : tensor<i1>, tensor<f64>
// CHECK-NEXT:      %5 = sym.index %j
// CHECK-NEXT:      %6 = sym.index %k
// CHECK-NEXT:      %7 = stablehlo.compare EQ, %5, %6 : (tensor<i32>, tensor<i32>) -> tensor<i1>
// CHECK-NEXT:      %a = stablehlo.select %7, %w, %4 : tensor<i1>, tensor<f64>
// CHECK-NEXT:      %8 = sym.write %x[%i], %v : tensor<f64>
// CHECK-NEXT:      %9 = sym.write %8[%j], %w : tensor<f64>
// CHECK-NEXT:      sym.emit %9, %a : tensor<f64>
// CHECK-NEXT:    }
// CHECK-NEXT:  }

// A write to the very site hides what was there before, and what was written before.
sym.operator @hidden() space #sym.space<3 x [0, 1]> element f64 {
  sym.term @t over #sym.rows<[0, 1, 0], [0, 0, 0]> {
  ^bb0(%x : !sym.config, %i : !sym.site, %j : !sym.site, %k : !sym.site):
    %u = stablehlo.constant dense<0.0> : tensor<f64>
    %v = stablehlo.constant dense<1.0> : tensor<f64>
    %w = stablehlo.constant dense<2.0> : tensor<f64>
    %y0 = sym.write %x[%i], %u : tensor<f64>
    %y1 = sym.write %y0[%i], %v : tensor<f64>
    %y2 = sym.write %y1[%j], %w : tensor<f64>
    %a = sym.read %y2[%k] : tensor<f64>
    sym.emit %y2, %a : tensor<f64>
  }
}

// CHECK-LABEL: sym.operator @hidden() space #sym.space<3 x [0, 1]> element f64 {
// CHECK-NEXT:    sym.term @t over #sym.rows<[0, 1, 0], [0, 0, 0]> {
// CHECK-NEXT:    ^bb0(%x: !sym.config, %i: !sym.site, %j: !sym.site, %k: !sym.site):
// CHECK-NEXT:      %u = stablehlo.constant dense<0.000000e+00> : tensor<f64>
// CHECK-NEXT:      %v = stablehlo.constant dense<1.000000e+00> : tensor<f64>
// CHECK-NEXT:      %w = stablehlo.constant dense<2.000000e+00> : tensor<f64>
// CHECK-NEXT:      %0 = sym.index %j
// CHECK-NEXT:      %1 = sym.index %k
// CHECK-NEXT:      %2 = stablehlo.compare EQ, %0, %1 : (tensor<i32>, tensor<i32>) -> tensor<i1>
// CHECK-NEXT:      %a = stablehlo.select %2, %w, %v : tensor<i1>, tensor<f64>
// CHECK-NEXT:      %3 = sym.write %x[%i], %v : tensor<f64>
// CHECK-NEXT:      %4 = sym.write %3[%j], %w : tensor<f64>
// CHECK-NEXT:      sym.emit %4, %a : tensor<f64>
// CHECK-NEXT:    }
// CHECK-NEXT:  }

// An emission keeps a write that is overwritten in some rows, and none that is in all.
sym.operator @dead_writes() space #sym.space<3 x [0, 1]> element f64 {
  sym.term @t over #sym.rows<[0, 1, 0], [1, 1, 1]> {
  ^bb0(%x : !sym.config, %i : !sym.site, %j : !sym.site, %same_as_i : !sym.site):
    %u = stablehlo.constant dense<0.0> : tensor<f64>
    %v = stablehlo.constant dense<1.0> : tensor<f64>
    %w = stablehlo.constant dense<2.0> : tensor<f64>
    %y0 = sym.write %x[%i], %u : tensor<f64>
    %y1 = sym.write %y0[%same_as_i], %v : tensor<f64>
    %y2 = sym.write %y1[%j], %w : tensor<f64>
    sym.emit %y2, %v : tensor<f64>
    sym.emit %y0, %v : tensor<f64>
    sym.emit %x, %v : tensor<f64>
  }
}

// CHECK-LABEL: sym.operator @dead_writes() space #sym.space<3 x [0, 1]> element f64 {
// CHECK-NEXT:    sym.term @t over #sym.rows<[0, 1, 0], [1, 1, 1]> {
// CHECK-NEXT:    ^bb0(%x: !sym.config, %i: !sym.site, %j: !sym.site, %same_as_i: !sym.site):
// CHECK-NEXT:      %u = stablehlo.constant dense<0.000000e+00> : tensor<f64>
// CHECK-NEXT:      %v = stablehlo.constant dense<1.000000e+00> : tensor<f64>
// CHECK-NEXT:      %w = stablehlo.constant dense<2.000000e+00> : tensor<f64>
// CHECK-NEXT:      %0 = sym.write %x[%same_as_i], %v : tensor<f64>
// CHECK-NEXT:      %1 = sym.write %0[%j], %w : tensor<f64>
// CHECK-NEXT:      sym.emit %1, %v : tensor<f64>
// CHECK-NEXT:      %2 = sym.write %x[%i], %u : tensor<f64>
// CHECK-NEXT:      sym.emit %2, %v : tensor<f64>
// CHECK-NEXT:      sym.emit %x, %v : tensor<f64>
// CHECK-NEXT:    }
// CHECK-NEXT:  }

// A configuration that is never emitted leaves no configuration behind.
sym.operator @unused() space #sym.space<3 x [0, 1]> element f64 {
  sym.term @t over #sym.rows<[0], [1]> {
  ^bb0(%x : !sym.config, %i : !sym.site):
    %v = stablehlo.constant dense<1.0> : tensor<f64>
    %p = stablehlo.constant dense<true> : tensor<i1>
    %y = sym.write %x[%i], %v : tensor<f64>
    %z = sym.select %p, %y, %x
    sym.emit %x, %v : tensor<f64>
  }
}

// CHECK-LABEL: sym.operator @unused() space #sym.space<3 x [0, 1]> element f64 {
// CHECK-NEXT:    sym.term @t over #sym.rows<[0], [1]> {
// CHECK-NEXT:    ^bb0(%x: !sym.config, %i: !sym.site):
// CHECK-NEXT:      %v = stablehlo.constant dense<1.000000e+00> : tensor<f64>
// CHECK-NEXT:      %p = stablehlo.constant dense<true> : tensor<i1>
// CHECK-NEXT:      %0 = sym.read %x[%i] : tensor<f64>
// CHECK-NEXT:      %1 = stablehlo.select %p, %v, %0 : tensor<i1>, tensor<f64>
// CHECK-NEXT:      sym.emit %x, %v : tensor<f64>
// CHECK-NEXT:    }
// CHECK-NEXT:  }

// Reads of the source and emissions of it are in normal form.
sym.operator @nothing_to_do() space #sym.space<3 x [0, 1]> element f64 {
  sym.term @t over #sym.rows<[0, 1]> {
  ^bb0(%x : !sym.config, %i : !sym.site, %j : !sym.site):
    %v = sym.read %x[%i] : tensor<f64>
    %w = sym.read %x[%i] : tensor<f64>
    %p = stablehlo.compare LT, %v, %w : (tensor<f64>, tensor<f64>) -> tensor<i1>
    %y = sym.write %x[%j], %v : tensor<f64>
    sym.emit %y, %w if %p tag "a" : tensor<f64>
    sym.emit %x, %w tag "b" : tensor<f64>
  }
}

// CHECK-LABEL: sym.operator @nothing_to_do() space #sym.space<3 x [0, 1]> element f64 {
// CHECK-NEXT:    sym.term @t over #sym.rows<[0, 1]> {
// CHECK-NEXT:    ^bb0(%x: !sym.config, %i: !sym.site, %j: !sym.site):
// CHECK-NEXT:      %v = sym.read %x[%i] : tensor<f64>
// CHECK-NEXT:      %w = sym.read %x[%i] : tensor<f64>
// CHECK-NEXT:      %p = stablehlo.compare LT, %v, %w : (tensor<f64>, tensor<f64>) -> tensor<i1>
// CHECK-NEXT:      %0 = sym.write %x[%j], %v : tensor<f64>
// CHECK-NEXT:      sym.emit %0, %w if %p tag "a" : tensor<f64>
// CHECK-NEXT:      sym.emit %x, %w tag "b" : tensor<f64>
// CHECK-NEXT:    }
// CHECK-NEXT:  }

// Selects become writes of a chosen value.

// Against the source: where the predicate fails, the source value is written back.
sym.operator @select_one_side() space #sym.space<3 x [0, 1]> element f64 {
  sym.term @t over #sym.rows<[0], [1]> {
  ^bb0(%x : !sym.config, %i : !sym.site):
    %v = stablehlo.constant dense<1.0> : tensor<f64>
    %p = stablehlo.constant dense<true> : tensor<i1>
    %y = sym.write %x[%i], %v : tensor<f64>
    %z = sym.select %p, %y, %x
    %w = sym.select %p, %x, %y
    sym.emit %z, %v : tensor<f64>
    sym.emit %w, %v : tensor<f64>
  }
}

// CHECK-LABEL: sym.operator @select_one_side() space #sym.space<3 x [0, 1]> element f64 {
// CHECK-NEXT:    sym.term @t over #sym.rows<[0], [1]> {
// CHECK-NEXT:    ^bb0(%x: !sym.config, %i: !sym.site):
// CHECK-NEXT:      %v = stablehlo.constant dense<1.000000e+00> : tensor<f64>
// CHECK-NEXT:      %p = stablehlo.constant dense<true> : tensor<i1>
// CHECK-NEXT:      %0 = sym.read %x[%i] : tensor<f64>
// CHECK-NEXT:      %1 = stablehlo.select %p, %v, %0 : tensor<i1>, tensor<f64>
// CHECK-NEXT:      %2 = sym.read %x[%i] : tensor<f64>
// CHECK-NEXT:      %3 = stablehlo.select %p, %2, %v : tensor<i1>, tensor<f64>
// CHECK-NEXT:      %4 = sym.write %x[%i], %1 : tensor<f64>
// CHECK-NEXT:      sym.emit %4, %v : tensor<f64>
// CHECK-NEXT:      %5 = sym.write %x[%i], %3 : tensor<f64>
// CHECK-NEXT:      sym.emit %5, %v : tensor<f64>
// CHECK-NEXT:    }
// CHECK-NEXT:  }

// Both sides write the same site: one write. Equal values need no choice.
sym.operator @select_same_site() space #sym.space<3 x [0, 1]> element f64 {
  sym.term @t over #sym.rows<[0, 1], [1, 2]> {
  ^bb0(%x : !sym.config, %i : !sym.site, %j : !sym.site):
    %v = stablehlo.constant dense<1.0> : tensor<f64>
    %w = stablehlo.constant dense<2.0> : tensor<f64>
    %p = stablehlo.constant dense<true> : tensor<i1>
    %a0 = sym.write %x[%i], %v : tensor<f64>
    %a1 = sym.write %a0[%j], %v : tensor<f64>
    %b0 = sym.write %x[%i], %v : tensor<f64>
    %b1 = sym.write %b0[%j], %w : tensor<f64>
    %z = sym.select %p, %a1, %b1
    sym.emit %z, %v : tensor<f64>
  }
}

// CHECK-LABEL: sym.operator @select_same_site() space #sym.space<3 x [0, 1]> element f64 {
// CHECK-NEXT:    sym.term @t over #sym.rows<[0, 1], [1, 2]> {
// CHECK-NEXT:    ^bb0(%x: !sym.config, %i: !sym.site, %j: !sym.site):
// CHECK-NEXT:      %v = stablehlo.constant dense<1.000000e+00> : tensor<f64>
// CHECK-NEXT:      %w = stablehlo.constant dense<2.000000e+00> : tensor<f64>
// CHECK-NEXT:      %p = stablehlo.constant dense<true> : tensor<i1>
// CHECK-NEXT:      %0 = stablehlo.select %p, %v, %w : tensor<i1>, tensor<f64>
// CHECK-NEXT:      %1 = sym.write %x[%i], %v : tensor<f64>
// CHECK-NEXT:      %2 = sym.write %1[%j], %0 : tensor<f64>
// CHECK-NEXT:      sym.emit %2, %v : tensor<f64>
// CHECK-NEXT:    }
// CHECK-NEXT:  }

// One side is longer: what it writes beyond the common part is chosen against x.
sym.operator @select_longer() space #sym.space<3 x [0, 1]> element f64 {
  sym.term @t over #sym.rows<[0, 1], [1, 2]> {
  ^bb0(%x : !sym.config, %i : !sym.site, %j : !sym.site):
    %v = stablehlo.constant dense<1.0> : tensor<f64>
    %w = stablehlo.constant dense<2.0> : tensor<f64>
    %p = stablehlo.constant dense<true> : tensor<i1>
    %a = sym.write %x[%i], %v : tensor<f64>
    %b = sym.write %a[%j], %w : tensor<f64>
    %z = sym.select %p, %b, %a
    sym.emit %z, %v : tensor<f64>
  }
}

// CHECK-LABEL: sym.operator @select_longer() space #sym.space<3 x [0, 1]> element f64 {
// CHECK-NEXT:    sym.term @t over #sym.rows<[0, 1], [1, 2]> {
// CHECK-NEXT:    ^bb0(%x: !sym.config, %i: !sym.site, %j: !sym.site):
// CHECK-NEXT:      %v = stablehlo.constant dense<1.000000e+00> : tensor<f64>
// CHECK-NEXT:      %w = stablehlo.constant dense<2.000000e+00> : tensor<f64>
// CHECK-NEXT:      %p = stablehlo.constant dense<true> : tensor<i1>
// CHECK-NEXT:      %0 = sym.read %x[%j] : tensor<f64>
// CHECK-NEXT:      %1 = stablehlo.select %p, %w, %0 : tensor<i1>, tensor<f64>
// CHECK-NEXT:      %2 = sym.write %x[%i], %v : tensor<f64>
// CHECK-NEXT:      %3 = sym.write %2[%j], %1 : tensor<f64>
// CHECK-NEXT:      sym.emit %3, %v : tensor<f64>
// CHECK-NEXT:    }
// CHECK-NEXT:  }

// The sides write different sites, which may be the same one: the second write is chosen
// against what the first has left there.
sym.operator @select_different_sites() space #sym.space<3 x [0, 1]> element f64 {
  sym.term @t over #sym.rows<[0, 1], [1, 1]> {
  ^bb0(%x : !sym.config, %i : !sym.site, %j : !sym.site):
    %v = stablehlo.constant dense<1.0> : tensor<f64>
    %w = stablehlo.constant dense<2.0> : tensor<f64>
    %p = stablehlo.constant dense<true> : tensor<i1>
    %a = sym.write %x[%i], %v : tensor<f64>
    %b = sym.write %x[%j], %w : tensor<f64>
    %z = sym.select %p, %a, %b
    sym.emit %z, %v : tensor<f64>
  }
}

// CHECK-LABEL: sym.operator @select_different_sites() space #sym.space<3 x [0, 1]> element f64 {
// CHECK-NEXT:    sym.term @t over #sym.rows<[0, 1], [1, 1]> {
// CHECK-NEXT:    ^bb0(%x: !sym.config, %i: !sym.site, %j: !sym.site):
// CHECK-NEXT:      %v = stablehlo.constant dense<1.000000e+00> : tensor<f64>
// CHECK-NEXT:      %w = stablehlo.constant dense<2.000000e+00> : tensor<f64>
// CHECK-NEXT:      %p = stablehlo.constant dense<true> : tensor<i1>
// CHECK-NEXT:      %0 = sym.read %x[%i] : tensor<f64>
// CHECK-NEXT:      %1 = stablehlo.select %p, %v, %0 : tensor<i1>, tensor<f64>
// CHECK-NEXT:      %2 = sym.read %x[%j] : tensor<f64>
// CHECK-NEXT:      %3 = sym.index %i
// CHECK-NEXT:      %4 = sym.index %j
// CHECK-NEXT:      %5 = stablehlo.compare EQ, %3, %4 : (tensor<i32>, tensor<i32>) -> tensor<i1>
// CHECK-NEXT:      %6 = stablehlo.select %5, %1, %2 : tensor<i1>, tensor<f64>
// CHECK-NEXT:      %7 = stablehlo.select %p, %6, %w : tensor<i1>, tensor<f64>
// CHECK-NEXT:      %8 = sym.write %x[%i], %1 : tensor<f64>
// CHECK-NEXT:      %9 = sym.write %8[%j], %7 : tensor<f64>
// CHECK-NEXT:      sym.emit %9, %v : tensor<f64>
// CHECK-NEXT:    }
// CHECK-NEXT:  }

// A select of a select, and a read of what it gives.
sym.operator @select_nested() space #sym.space<3 x [0, 1]> element f64 {
  sym.term @t over #sym.rows<[0], [1]> {
  ^bb0(%x : !sym.config, %i : !sym.site):
    %u = stablehlo.constant dense<0.0> : tensor<f64>
    %v = stablehlo.constant dense<1.0> : tensor<f64>
    %n = sym.read %x[%i] : tensor<f64>
    %q = stablehlo.compare LT, %n, %v : (tensor<f64>, tensor<f64>) -> tensor<i1>
    %r = stablehlo.compare GT, %n, %u : (tensor<f64>, tensor<f64>) -> tensor<i1>
    %a = sym.write %x[%i], %u : tensor<f64>
    %b = sym.write %x[%i], %v : tensor<f64>
    %c = sym.select %q, %a, %b
    %d = sym.select %r, %c, %x
    %e = sym.read %d[%i] : tensor<f64>
    sym.emit %d, %e : tensor<f64>
  }
}

// CHECK-LABEL: sym.operator @select_nested() space #sym.space<3 x [0, 1]> element f64 {
// CHECK-NEXT:    sym.term @t over #sym.rows<[0], [1]> {
// CHECK-NEXT:    ^bb0(%x: !sym.config, %i: !sym.site):
// CHECK-NEXT:      %u = stablehlo.constant dense<0.000000e+00> : tensor<f64>
// CHECK-NEXT:      %v = stablehlo.constant dense<1.000000e+00> : tensor<f64>
// CHECK-NEXT:      %n = sym.read %x[%i] : tensor<f64>
// CHECK-NEXT:      %q = stablehlo.compare LT, %n, %v : (tensor<f64>, tensor<f64>) -> tensor<i1>
// CHECK-NEXT:      %r = stablehlo.compare GT, %n, %u : (tensor<f64>, tensor<f64>) -> tensor<i1>
// CHECK-NEXT:      %0 = stablehlo.select %q, %u, %v : tensor<i1>, tensor<f64>
// CHECK-NEXT:      %1 = sym.read %x[%i] : tensor<f64>
// CHECK-NEXT:      %e = stablehlo.select %r, %0, %1 : tensor<i1>, tensor<f64>
// CHECK-NEXT:      %2 = sym.write %x[%i], %e : tensor<f64>
// CHECK-NEXT:      sym.emit %2, %e : tensor<f64>
// CHECK-NEXT:    }
// CHECK-NEXT:  }

// A reduction reads what was written, site by site.
sym.operator @reduce() space #sym.space<3 x [0, 1]> element f64 {
  sym.term @t over #sym.rows<[0]> {
  ^bb0(%x : !sym.config, %i : !sym.site):
    %one = stablehlo.constant dense<1.0> : tensor<f64>
    %y = sym.write %x[%i], %one : tensor<f64>
    %n = sym.reduce sum : tensor<f64> {
    ^bb0(%h : !sym.site):
      %v = sym.read %y[%h] : tensor<f64>
      sym.yield %v : tensor<f64>
    }
    sym.emit %y, %n : tensor<f64>
  }
}

// CHECK-LABEL: sym.operator @reduce() space #sym.space<3 x [0, 1]> element f64 {
// CHECK-NEXT:      sym.term @t over #sym.rows<[0]> {
// CHECK-NEXT:      ^bb0(%x: !sym.config, %i: !sym.site):
// CHECK-NEXT:        %one = stablehlo.constant dense<1.000000e+00> : tensor<f64>
// CHECK-NEXT:        %n = sym.reduce sum : tensor<f64> {
// CHECK-NEXT:        ^bb0(%h: !sym.site):
// CHECK-NEXT:          %0 = sym.read %x[%h] : tensor<f64>
// CHECK-NEXT:          %1 = sym.index %i
// CHECK-NEXT:          %2 = sym.index %h
// CHECK-NEXT:          %3 = stablehlo.compare EQ, %1, %2 : (tensor<i32>, tensor<i32>) -> tensor<i1>
// CHECK-NEXT:          %v = stablehlo.select %3, %one, %0 : tensor<i1>, tensor<f64>
// CHECK-NEXT:          sym.yield %v : tensor<f64>
// CHECK-NEXT:        }
// CHECK-NEXT:        %4 = sym.write %x[%i], %one : tensor<f64>
// CHECK-NEXT:        sym.emit %4, %n : tensor<f64>
// CHECK-NEXT:      }
// CHECK-NEXT:    }

// What was written to no site is not read there; an element that every set has is a site.
sym.operator @missing() space #sym.space<3 x [0, 1]> element f64 {
  sym.term @t over #sym.rows<[0], [1]> sets [#sym.sets<[0, 1], [2]>] {
  ^bb0(%x : !sym.config, %i : !sym.site, %s : !sym.sites):
    %one = stablehlo.constant dense<1.0> : tensor<f64>
    %a = sym.element %s[0]
    %b = sym.element %s[1]
    %y = sym.write %x[%a], %one : tensor<f64>
    %z = sym.write %y[%b], %one : tensor<f64>
    %v = sym.read %y[%a] : tensor<f64>
    %w = sym.read %z[%b] : tensor<f64>
    %u = stablehlo.add %v, %w : tensor<f64>
    sym.emit %z, %u : tensor<f64>
  }
}

// CHECK-LABEL: sym.operator @missing() space #sym.space<3 x [0, 1]> element f64 {
// CHECK-NEXT:      sym.term @t over #sym.rows<[0], [1]> sets [#sym.sets<[0, 1], [2]>] {
// CHECK-NEXT:      ^bb0(%x: !sym.config, %i: !sym.site, %s: !sym.sites):
// CHECK-NEXT:        %one = stablehlo.constant dense<1.000000e+00> : tensor<f64>
// CHECK-NEXT:        %a = sym.element %s[0]
// CHECK-NEXT:        %b = sym.element %s[1]
// CHECK-NEXT:        %0 = stablehlo.constant dense<-1> : tensor<i32>
// CHECK-NEXT:        %1 = sym.index %b
// CHECK-NEXT:        %2 = stablehlo.compare NE, %1, %0 : (tensor<i32>, tensor<i32>) -> tensor<i1>
// CHECK-NEXT:        %3 = stablehlo.constant dense<0.000000e+00> : tensor<f64>
// CHECK-NEXT:        %w = stablehlo.select %2, %one, %3 : tensor<i1>, tensor<f64>
// CHECK-NEXT:        %u = stablehlo.add %one, %w : tensor<f64>
// CHECK-NEXT:        %4 = sym.write %x[%a], %one : tensor<f64>
// CHECK-NEXT:        %5 = sym.write %4[%b], %one : tensor<f64>
// CHECK-NEXT:        sym.emit %5, %u : tensor<f64>
// CHECK-NEXT:      }
// CHECK-NEXT:    }

// Configurations that a reduction makes are gone when they were read.
sym.operator @inside() space #sym.space<3 x [0, 1]> element f64 {
  sym.term @t over #sym.rows<[0]> {
  ^bb0(%x : !sym.config, %i : !sym.site):
    %one = stablehlo.constant dense<1.0> : tensor<f64>
    %p = sym.allowed %one at %i : tensor<f64>
    %n = sym.reduce sum : tensor<f64> {
    ^bb0(%h : !sym.site):
      %y = sym.write %x[%h], %one : tensor<f64>
      %z = sym.select %p, %y, %x
      %v = sym.read %z[%h] : tensor<f64>
      sym.yield %v : tensor<f64>
    }
    sym.emit %x, %n : tensor<f64>
  }
}

// CHECK-LABEL: sym.operator @inside() space #sym.space<3 x [0, 1]> element f64 {
// CHECK-NEXT:      sym.term @t over #sym.rows<[0]> {
// CHECK-NEXT:      ^bb0(%x: !sym.config, %i: !sym.site):
// CHECK-NEXT:        %one = stablehlo.constant dense<1.000000e+00> : tensor<f64>
// CHECK-NEXT:        %p = sym.allowed %one at %i : tensor<f64>
// CHECK-NEXT:        %n = sym.reduce sum : tensor<f64> {
// CHECK-NEXT:        ^bb0(%h: !sym.site):
// CHECK-NEXT:          %0 = sym.read %x[%h] : tensor<f64>
// CHECK-NEXT:          %v = stablehlo.select %p, %one, %0 : tensor<i1>, tensor<f64>
// CHECK-NEXT:          sym.yield %v : tensor<f64>
// CHECK-NEXT:        }
// CHECK-NEXT:        sym.emit %x, %n : tensor<f64>
// CHECK-NEXT:      }
// CHECK-NEXT:    }

// -----

// Updates must be expanded, wherever they are used.
sym.operator @read_of_shift() space #sym.space<3 x [0, 1]> element f64 {
  sym.term @t over #sym.rows<[0]> {
  ^bb0(%x : !sym.config, %i : !sym.site):
    %v = stablehlo.constant dense<1.0> : tensor<f64>
    %y = sym.shift %x[%i] by %v : tensor<f64>
    %a = sym.read %y[%i] : tensor<f64>
    sym.emit %x, %a : tensor<f64>
  }
}

// CHECK: sym-forward-reads: term @t holds a configuration made by 'sym.shift'; run sym-expand-updates first

// -----

sym.operator @emitted_swap() space #sym.space<3 x [0, 1]> element f64 {
  sym.term @u over #sym.rows<[0]> {
  ^bb0(%x : !sym.config, %i : !sym.site):
    %v = stablehlo.constant dense<1.0> : tensor<f64>
    %y = sym.swap %x[%i, %i]
    sym.emit %y, %v : tensor<f64>
  }
}

// CHECK: sym-forward-reads: term @u holds a configuration made by 'sym.swap'; run sym-expand-updates first
