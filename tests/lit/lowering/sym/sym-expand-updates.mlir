// RUN: symir-opt %s -p sym-expand-updates | filecheck %s

// A shift writes what the configuration holds, plus the amount.
sym.operator @shift() space #sym.space<2 x [0, 1, 2]> element f64 {
  sym.term @t over #sym.rows<[0], [1]> {
  ^bb0(%x : !sym.config, %i : !sym.site):
    %one = stablehlo.constant dense<1.0> : tensor<f64>
    %y = sym.shift %x[%i] by %one : tensor<f64>
    sym.emit %y, %one : tensor<f64>
  }
}

// CHECK-LABEL: sym.operator @shift() space #sym.space<2 x [0, 1, 2]> element f64 {
// CHECK-NEXT:    sym.term @t over #sym.rows<[0], [1]> {
// CHECK-NEXT:    ^bb0(%x: !sym.config, %i: !sym.site):
// CHECK-NEXT:      %one = stablehlo.constant dense<1.000000e+00> : tensor<f64>
// CHECK-NEXT:      %0 = sym.read %x[%i] : tensor<f64>
// CHECK-NEXT:      %1 = stablehlo.add %0, %one : tensor<f64>
// CHECK-NEXT:      %y = sym.write %x[%i], %1 : tensor<f64>
// CHECK-NEXT:      sym.emit %y, %one : tensor<f64>
// CHECK-NEXT:    }
// CHECK-NEXT:  }

// Both values of a swap are read before either is written.
sym.operator @swap() space #sym.space<2 x [0, 1]> element f64 {
  sym.term @t over #sym.rows<[0, 1]> {
  ^bb0(%x : !sym.config, %i : !sym.site, %j : !sym.site):
    %one = stablehlo.constant dense<1.0> : tensor<f64>
    %y = sym.swap %x[%i, %j]
    sym.emit %y, %one : tensor<f64>
  }
}

// CHECK-LABEL: sym.operator @swap() space #sym.space<2 x [0, 1]> element f64 {
// CHECK-NEXT:    sym.term @t over #sym.rows<[0, 1]> {
// CHECK-NEXT:    ^bb0(%x: !sym.config, %i: !sym.site, %j: !sym.site):
// CHECK-NEXT:      %one = stablehlo.constant dense<1.000000e+00> : tensor<f64>
// CHECK-NEXT:      %0 = sym.read %x[%i] : tensor<f64>
// CHECK-NEXT:      %1 = sym.read %x[%j] : tensor<f64>
// CHECK-NEXT:      %2 = sym.write %x[%i], %1 : tensor<f64>
// CHECK-NEXT:      %y = sym.write %2[%j], %0 : tensor<f64>
// CHECK-NEXT:      sym.emit %y, %one : tensor<f64>
// CHECK-NEXT:    }
// CHECK-NEXT:  }

// In a chain each update starts from the configuration that it is applied to.
sym.operator @chain() space #sym.space<2 x [0, 1, 2]> element f64 {
  sym.term @t over #sym.rows<[0, 1]> {
  ^bb0(%x : !sym.config, %i : !sym.site, %j : !sym.site):
    %one = stablehlo.constant dense<1.0> : tensor<f64>
    %y = sym.shift %x[%i] by %one : tensor<f64>
    %z = sym.swap %y[%i, %j]
    %w = sym.shift %z[%i] by %one : tensor<f64>
    sym.emit %w, %one : tensor<f64>
  }
}

// CHECK-LABEL: sym.operator @chain() space #sym.space<2 x [0, 1, 2]> element f64 {
// CHECK-NEXT:    sym.term @t over #sym.rows<[0, 1]> {
// CHECK-NEXT:    ^bb0(%x: !sym.config, %i: !sym.site, %j: !sym.site):
// CHECK-NEXT:      %one = stablehlo.constant dense<1.000000e+00> : tensor<f64>
// CHECK-NEXT:      %0 = sym.read %x[%i] : tensor<f64>
// CHECK-NEXT:      %1 = stablehlo.add %0, %one : tensor<f64>
// CHECK-NEXT:      %y = sym.write %x[%i], %1 : tensor<f64>
// CHECK-NEXT:      %2 = sym.read %y[%i] : tensor<f64>
// CHECK-NEXT:      %3 = sym.read %y[%j] : tensor<f64>
// CHECK-NEXT:      %4 = sym.write %y[%i], %3 : tensor<f64>
// CHECK-NEXT:      %z = sym.write %4[%j], %2 : tensor<f64>
// CHECK-NEXT:      %5 = sym.read %z[%i] : tensor<f64>
// CHECK-NEXT:      %6 = stablehlo.add %5, %one : tensor<f64>
// CHECK-NEXT:      %w = sym.write %z[%i], %6 : tensor<f64>
// CHECK-NEXT:      sym.emit %w, %one : tensor<f64>
// CHECK-NEXT:    }
// CHECK-NEXT:  }

// Nothing is known of labels here: not that they alias, not that they are the same one.
sym.operator @same_label() space #sym.space<2 x [0, 1]> element f64 {
  sym.term @t over #sym.rows<[0]> {
  ^bb0(%x : !sym.config, %i : !sym.site):
    %one = stablehlo.constant dense<1.0> : tensor<f64>
    %y = sym.swap %x[%i, %i]
    sym.emit %y, %one : tensor<f64>
  }
}

// CHECK-LABEL: sym.operator @same_label() space #sym.space<2 x [0, 1]> element f64 {
// CHECK-NEXT:    sym.term @t over #sym.rows<[0]> {
// CHECK-NEXT:    ^bb0(%x: !sym.config, %i: !sym.site):
// CHECK-NEXT:      %one = stablehlo.constant dense<1.000000e+00> : tensor<f64>
// CHECK-NEXT:      %0 = sym.read %x[%i] : tensor<f64>
// CHECK-NEXT:      %1 = sym.read %x[%i] : tensor<f64>
// CHECK-NEXT:      %2 = sym.write %x[%i], %1 : tensor<f64>
// CHECK-NEXT:      %y = sym.write %2[%i], %0 : tensor<f64>
// CHECK-NEXT:      sym.emit %y, %one : tensor<f64>
// CHECK-NEXT:    }
// CHECK-NEXT:  }

// The local values of a complex operator are real.
sym.operator @complex(%a "a" : tensor<complex<f32>>) space #sym.space<2 x [0, 1]> element complex<f32> {
  sym.term @t over #sym.rows<[0, 1]> {
  ^bb0(%x : !sym.config, %i : !sym.site, %j : !sym.site):
    %y = sym.swap %x[%i, %j]
    sym.emit %y, %a : tensor<complex<f32>>
  }
}

// CHECK-LABEL: sym.operator @complex(%a "a" : tensor<complex<f32>>) space #sym.space<2 x [0, 1]> element complex<f32> {
// CHECK-NEXT:    sym.term @t over #sym.rows<[0, 1]> {
// CHECK-NEXT:    ^bb0(%x: !sym.config, %i: !sym.site, %j: !sym.site):
// CHECK-NEXT:      %0 = sym.read %x[%i] : tensor<f32>
// CHECK-NEXT:      %1 = sym.read %x[%j] : tensor<f32>
// CHECK-NEXT:      %2 = sym.write %x[%i], %1 : tensor<f32>
// CHECK-NEXT:      %y = sym.write %2[%j], %0 : tensor<f32>
// CHECK-NEXT:      sym.emit %y, %a : tensor<complex<f32>>
// CHECK-NEXT:    }
// CHECK-NEXT:  }

// Several users of an update, and emissions with a predicate and a tag.
sym.operator @users() space #sym.space<2 x [0, 1]> element f64 {
  sym.term @t over #sym.rows<[0, 1]> {
  ^bb0(%x : !sym.config, %i : !sym.site, %j : !sym.site):
    %one = stablehlo.constant dense<1.0> : tensor<f64>
    %p = stablehlo.constant dense<true> : tensor<i1>
    %y = sym.shift %x[%i] by %one : tensor<f64>
    %v = sym.read %y[%j] : tensor<f64>
    %z = sym.select %p, %y, %x
    sym.emit %y, %v if %p tag "up" : tensor<f64>
    sym.emit %z, %one : tensor<f64>
  }
}

// CHECK-LABEL: sym.operator @users() space #sym.space<2 x [0, 1]> element f64 {
// CHECK-NEXT:    sym.term @t over #sym.rows<[0, 1]> {
// CHECK-NEXT:    ^bb0(%x: !sym.config, %i: !sym.site, %j: !sym.site):
// CHECK-NEXT:      %one = stablehlo.constant dense<1.000000e+00> : tensor<f64>
// CHECK-NEXT:      %p = stablehlo.constant dense<true> : tensor<i1>
// CHECK-NEXT:      %0 = sym.read %x[%i] : tensor<f64>
// CHECK-NEXT:      %1 = stablehlo.add %0, %one : tensor<f64>
// CHECK-NEXT:      %y = sym.write %x[%i], %1 : tensor<f64>
// CHECK-NEXT:      %v = sym.read %y[%j] : tensor<f64>
// CHECK-NEXT:      %z = sym.select %p, %y, %x
// CHECK-NEXT:      sym.emit %y, %v if %p tag "up" : tensor<f64>
// CHECK-NEXT:      sym.emit %z, %one : tensor<f64>
// CHECK-NEXT:    }
// CHECK-NEXT:  }

// Writes, selects and reads stay as they are.
sym.operator @nothing_to_do() space #sym.space<2 x [0, 1]> element f64 {
  sym.term @t over #sym.rows<[0, 1]> {
  ^bb0(%x : !sym.config, %i : !sym.site, %j : !sym.site):
    %p = stablehlo.constant dense<true> : tensor<i1>
    %v = sym.read %x[%i] : tensor<f64>
    %y = sym.write %x[%j], %v : tensor<f64>
    %z = sym.select %p, %x, %y
    sym.emit %z, %v : tensor<f64>
  }
}

// CHECK-LABEL: sym.operator @nothing_to_do() space #sym.space<2 x [0, 1]> element f64 {
// CHECK-NEXT:    sym.term @t over #sym.rows<[0, 1]> {
// CHECK-NEXT:    ^bb0(%x: !sym.config, %i: !sym.site, %j: !sym.site):
// CHECK-NEXT:      %p = stablehlo.constant dense<true> : tensor<i1>
// CHECK-NEXT:      %v = sym.read %x[%i] : tensor<f64>
// CHECK-NEXT:      %y = sym.write %x[%j], %v : tensor<f64>
// CHECK-NEXT:      %z = sym.select %p, %x, %y
// CHECK-NEXT:      sym.emit %z, %v : tensor<f64>
// CHECK-NEXT:    }
// CHECK-NEXT:  }

// A permutation reads all its values before it writes any.
sym.operator @permute() space #sym.space<3 x [0, 1]> element f64 {
  sym.term @t over #sym.rows<[0, 1, 2]> {
  ^bb0(%x : !sym.config, %i : !sym.site, %j : !sym.site, %k : !sym.site):
    %one = stablehlo.constant dense<1.0> : tensor<f64>
    %y = sym.permute %x[%i, %j, %k]
    sym.emit %y, %one : tensor<f64>
  }
}

// CHECK-LABEL: sym.operator @permute() space #sym.space<3 x [0, 1]> element f64 {
// CHECK-NEXT:      sym.term @t over #sym.rows<[0, 1, 2]> {
// CHECK-NEXT:      ^bb0(%x: !sym.config, %i: !sym.site, %j: !sym.site, %k: !sym.site):
// CHECK-NEXT:        %one = stablehlo.constant dense<1.000000e+00> : tensor<f64>
// CHECK-NEXT:        %0 = sym.read %x[%i] : tensor<f64>
// CHECK-NEXT:        %1 = sym.read %x[%j] : tensor<f64>
// CHECK-NEXT:        %2 = sym.read %x[%k] : tensor<f64>
// CHECK-NEXT:        %3 = sym.write %x[%i], %1 : tensor<f64>
// CHECK-NEXT:        %4 = sym.write %3[%j], %2 : tensor<f64>
// CHECK-NEXT:        %y = sym.write %4[%k], %0 : tensor<f64>
// CHECK-NEXT:        sym.emit %y, %one : tensor<f64>
// CHECK-NEXT:      }
// CHECK-NEXT:    }

sym.operator @affine() space #sym.space<3 x [0, 1]> element f64 {
  sym.term @t over #sym.rows<[0]> {
  ^bb0(%x : !sym.config, %i : !sym.site):
    %one = stablehlo.constant dense<1.0> : tensor<f64>
    %two = stablehlo.constant dense<2.0> : tensor<f64>
    %y = sym.affine %x[%i] scale %two bias %one : tensor<f64>
    sym.emit %y, %one : tensor<f64>
  }
}

// CHECK-LABEL: sym.operator @affine() space #sym.space<3 x [0, 1]> element f64 {
// CHECK-NEXT:      sym.term @t over #sym.rows<[0]> {
// CHECK-NEXT:      ^bb0(%x: !sym.config, %i: !sym.site):
// CHECK-NEXT:        %one = stablehlo.constant dense<1.000000e+00> : tensor<f64>
// CHECK-NEXT:        %two = stablehlo.constant dense<2.000000e+00> : tensor<f64>
// CHECK-NEXT:        %0 = sym.read %x[%i] : tensor<f64>
// CHECK-NEXT:        %1 = stablehlo.multiply %two, %0 : tensor<f64>
// CHECK-NEXT:        %2 = stablehlo.add %1, %one : tensor<f64>
// CHECK-NEXT:        %y = sym.write %x[%i], %2 : tensor<f64>
// CHECK-NEXT:        sym.emit %y, %one : tensor<f64>
// CHECK-NEXT:      }
// CHECK-NEXT:    }

// A cyclic shift is one of places.
sym.operator @shift_mod() space #sym.space<3 x [0, 1]> element f64 {
  sym.term @t over #sym.rows<[0]> {
  ^bb0(%x : !sym.config, %i : !sym.site):
    %one = stablehlo.constant dense<1.0> : tensor<f64>
    %y = sym.shift_mod %x[%i] by %one : tensor<f64>
    sym.emit %y, %one : tensor<f64>
  }
}

// CHECK-LABEL: sym.operator @shift_mod() space #sym.space<3 x [0, 1]> element f64 {
// CHECK-NEXT:      sym.term @t over #sym.rows<[0]> {
// CHECK-NEXT:      ^bb0(%x: !sym.config, %i: !sym.site):
// CHECK-NEXT:        %one = stablehlo.constant dense<1.000000e+00> : tensor<f64>
// CHECK-NEXT:        %0 = sym.read %x[%i] : tensor<f64>
// CHECK-NEXT:        %1 = sym.local_index %0 at %i : tensor<f64>
// CHECK-NEXT:        %2 = stablehlo.add %1, %one : tensor<f64>
// CHECK-NEXT:        %3 = sym.local_value %2 at %i : tensor<f64>
// CHECK-NEXT:        %y = sym.write %x[%i], %3 : tensor<f64>
// CHECK-NEXT:        sym.emit %y, %one : tensor<f64>
// CHECK-NEXT:      }
// CHECK-NEXT:    }

// No configuration is x: its branches are guarded before.
sym.operator @invalid() space #sym.space<3 x [0, 1]> element f64 {
  sym.term @t over #sym.rows<[0]> {
  ^bb0(%x : !sym.config, %i : !sym.site):
    %no = stablehlo.constant dense<false> : tensor<i1>
    %one = stablehlo.constant dense<1.0> : tensor<f64>
    %y = sym.invalid "none"
    %z = sym.shift %y[%i] by %one : tensor<f64>
    sym.emit %z, %one if %no : tensor<f64>
  }
}

// CHECK-LABEL: sym.operator @invalid() space #sym.space<3 x [0, 1]> element f64 {
// CHECK-NEXT:      sym.term @t over #sym.rows<[0]> {
// CHECK-NEXT:      ^bb0(%x: !sym.config, %i: !sym.site):
// CHECK-NEXT:        %no = stablehlo.constant dense<false> : tensor<i1>
// CHECK-NEXT:        %one = stablehlo.constant dense<1.000000e+00> : tensor<f64>
// CHECK-NEXT:        %0 = sym.read %x[%i] : tensor<f64>
// CHECK-NEXT:        %1 = stablehlo.add %0, %one : tensor<f64>
// CHECK-NEXT:        %z = sym.write %x[%i], %1 : tensor<f64>
// CHECK-NEXT:        sym.emit %z, %one if %no : tensor<f64>
// CHECK-NEXT:      }
// CHECK-NEXT:    }

// Updates inside of a reduction.
sym.operator @inside() space #sym.space<3 x [0, 1]> element f64 {
  sym.term @t over #sym.rows<[]> {
  ^bb0(%x : !sym.config):
    %one = stablehlo.constant dense<1.0> : tensor<f64>
    %n = sym.reduce sum : tensor<f64> {
    ^bb0(%h : !sym.site):
      %y = sym.shift %x[%h] by %one : tensor<f64>
      %none = sym.invalid
      %v = sym.read %y[%h] : tensor<f64>
      %w = sym.read %none[%h] : tensor<f64>
      %u = stablehlo.add %v, %w : tensor<f64>
      sym.yield %u : tensor<f64>
    }
    sym.emit %x, %n : tensor<f64>
  }
}

// CHECK-LABEL: sym.operator @inside() space #sym.space<3 x [0, 1]> element f64 {
// CHECK-NEXT:      sym.term @t over #sym.rows<[]> {
// CHECK-NEXT:      ^bb0(%x: !sym.config):
// CHECK-NEXT:        %one = stablehlo.constant dense<1.000000e+00> : tensor<f64>
// CHECK-NEXT:        %n = sym.reduce sum : tensor<f64> {
// CHECK-NEXT:        ^bb0(%h: !sym.site):
// CHECK-NEXT:          %0 = sym.read %x[%h] : tensor<f64>
// CHECK-NEXT:          %1 = stablehlo.add %0, %one : tensor<f64>
// CHECK-NEXT:          %y = sym.write %x[%h], %1 : tensor<f64>
// CHECK-NEXT:          %v = sym.read %y[%h] : tensor<f64>
// CHECK-NEXT:          %w = sym.read %x[%h] : tensor<f64>
// CHECK-NEXT:          %u = stablehlo.add %v, %w : tensor<f64>
// CHECK-NEXT:          sym.yield %u : tensor<f64>
// CHECK-NEXT:        }
// CHECK-NEXT:        sym.emit %x, %n : tensor<f64>
// CHECK-NEXT:      }
// CHECK-NEXT:    }
