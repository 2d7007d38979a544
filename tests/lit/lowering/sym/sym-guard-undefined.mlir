// RUN: symir-opt %s -p sym-guard-undefined | filecheck %s

// A branch that needs an undefined value is not valid.

// A computed site: whole, and of the lattice. A number that is an integer needs no floor.
sym.operator @site() space #sym.space<3 x [0, 0.5, 1]> element f64 {
  sym.term @t over #sym.rows<[0]> {
  ^bb0(%x : !sym.config, %i : !sym.site):
    %one = stablehlo.constant dense<1.0> : tensor<f64>
    %n = sym.read %x[%i] : tensor<f64>
    %s = sym.site %n : tensor<f64>
    %y = sym.write %x[%s], %one : tensor<f64>
    sym.emit %y, %one : tensor<f64>
  }
}

// CHECK-LABEL: sym.operator @site() space #sym.space<3 x [0, 0.5, 1]> element f64 {
// CHECK-NEXT:      sym.term @t over #sym.rows<[0]> {
// CHECK-NEXT:      ^bb0(%x: !sym.config, %i: !sym.site):
// CHECK-NEXT:        %one = stablehlo.constant dense<1.000000e+00> : tensor<f64>
// CHECK-NEXT:        %n = sym.read %x[%i] : tensor<f64>
// CHECK-NEXT:        %s = sym.site %n : tensor<f64>
// CHECK-NEXT:        %y = sym.write %x[%s], %one : tensor<f64>
// CHECK-NEXT:        %0 = stablehlo.constant dense<0.000000e+00> : tensor<f64>
// CHECK-NEXT:        %1 = stablehlo.constant dense<2.000000e+00> : tensor<f64>
// CHECK-NEXT:        %2 = stablehlo.compare GE, %n, %0 : (tensor<f64>, tensor<f64>) -> tensor<i1>
// CHECK-NEXT:        %3 = stablehlo.compare LE, %n, %1 : (tensor<f64>, tensor<f64>) -> tensor<i1>
// CHECK-NEXT:        %4 = stablehlo.and %2, %3 : tensor<i1>
// CHECK-NEXT:        %5 = stablehlo.floor %n : tensor<f64>
// CHECK-NEXT:        %6 = stablehlo.compare EQ, %5, %n : (tensor<f64>, tensor<f64>) -> tensor<i1>
// CHECK-NEXT:        %7 = stablehlo.and %4, %6 : tensor<i1>
// CHECK-NEXT:        sym.emit %y, %one if %7 : tensor<f64>
// CHECK-NEXT:      }
// CHECK-NEXT:    }

// Local values that are integers are whole.
sym.operator @whole() space #sym.space<3 x [0, 1]> element f64 {
  sym.term @t over #sym.rows<[0]> {
  ^bb0(%x : !sym.config, %i : !sym.site):
    %one = stablehlo.constant dense<1.0> : tensor<f64>
    %n = sym.read %x[%i] : tensor<f64>
    %s = sym.site %n : tensor<f64>
    %y = sym.write %x[%s], %one : tensor<f64>
    sym.emit %y, %one : tensor<f64>
  }
}

// CHECK-LABEL: sym.operator @whole()
// CHECK-NOT:         stablehlo.floor
// CHECK:             stablehlo.compare GE
// CHECK-NOT:         stablehlo.floor
// CHECK:             sym.emit

// A place among the local values that may be NaN or no integer.
sym.operator @places(%h "h" : tensor<f64>) space #sym.space<3 x [0, 1]> element f64 {
  sym.term @t over #sym.rows<[0]> {
  ^bb0(%x : !sym.config, %i : !sym.site):
    %n = sym.read %x[%i] : tensor<f64>
    %y = sym.shift_mod %x[%i] by %h : tensor<f64>
    %z = sym.shift_mod %x[%i] by %n : tensor<f64>
    sym.emit %y, %n : tensor<f64>
    sym.emit %z, %n : tensor<f64>
  }
}

// CHECK-LABEL: sym.operator @places
// CHECK:             %[[SIZE:.*]] = stablehlo.abs %h : tensor<f64>
// CHECK:             %[[COUNTABLE:.*]] = stablehlo.compare LE, %[[SIZE]], %{{.*}} : (tensor<f64>, tensor<f64>) -> tensor<i1>
// CHECK:             %[[FLOOR:.*]] = stablehlo.floor %h : tensor<f64>
// CHECK:             %[[WHOLE:.*]] = stablehlo.compare EQ, %[[FLOOR]], %h : (tensor<f64>, tensor<f64>) -> tensor<i1>
// CHECK:             %[[BOTH:.*]] = stablehlo.and %[[COUNTABLE]], %[[WHOLE]] : tensor<i1>
// CHECK:             sym.emit %y, %n if %[[BOTH]] : tensor<f64>
// CHECK-NEXT:        sym.emit %z, %n : tensor<f64>

sym.operator @number() space #sym.space<3 x [0, 1]> element f64 {
  sym.term @t over #sym.rows<[0]> {
  ^bb0(%x : !sym.config, %i : !sym.site):
    %one = stablehlo.constant dense<1.0> : tensor<f64>
    %n = sym.index %i
    %s = sym.site %n : tensor<i32>
    %v = sym.read %x[%s] : tensor<f64>
    sym.emit %x, %v : tensor<f64>
  }
}

// CHECK-LABEL: sym.operator @number() space #sym.space<3 x [0, 1]> element f64 {
// CHECK-NEXT:      sym.term @t over #sym.rows<[0]> {
// CHECK-NEXT:      ^bb0(%x: !sym.config, %i: !sym.site):
// CHECK-NEXT:        %one = stablehlo.constant dense<1.000000e+00> : tensor<f64>
// CHECK-NEXT:        %n = sym.index %i
// CHECK-NEXT:        %s = sym.site %n : tensor<i32>
// CHECK-NEXT:        %v = sym.read %x[%s] : tensor<f64>
// CHECK-NEXT:        %0 = stablehlo.constant dense<0> : tensor<i32>
// CHECK-NEXT:        %1 = stablehlo.constant dense<2> : tensor<i32>
// CHECK-NEXT:        %2 = stablehlo.compare GE, %n, %0 : (tensor<i32>, tensor<i32>) -> tensor<i1>
// CHECK-NEXT:        %3 = stablehlo.compare LE, %n, %1 : (tensor<i32>, tensor<i32>) -> tensor<i1>
// CHECK-NEXT:        %4 = stablehlo.and %2, %3 : tensor<i1>
// CHECK-NEXT:        sym.emit %x, %v if %4 : tensor<f64>
// CHECK-NEXT:      }
// CHECK-NEXT:    }

// No configuration is needed where the other one is chosen.
sym.operator @invalid() space #sym.space<3 x [0, 1]> element f64 {
  sym.term @t over #sym.rows<[0]> {
  ^bb0(%x : !sym.config, %i : !sym.site):
    %one = stablehlo.constant dense<1.0> : tensor<f64>
    %n = sym.read %x[%i] : tensor<f64>
    %p = stablehlo.compare EQ, %n, %one : (tensor<f64>, tensor<f64>) -> tensor<i1>
    %none = sym.invalid "occupied"
    %y = sym.select %p, %none, %x
    sym.emit %y, %one tag "kept" : tensor<f64>
    sym.emit %x, %one : tensor<f64>
  }
}

// CHECK-LABEL: sym.operator @invalid() space #sym.space<3 x [0, 1]> element f64 {
// CHECK-NEXT:      sym.term @t over #sym.rows<[0]> {
// CHECK-NEXT:      ^bb0(%x: !sym.config, %i: !sym.site):
// CHECK-NEXT:        %one = stablehlo.constant dense<1.000000e+00> : tensor<f64>
// CHECK-NEXT:        %n = sym.read %x[%i] : tensor<f64>
// CHECK-NEXT:        %p = stablehlo.compare EQ, %n, %one : (tensor<f64>, tensor<f64>) -> tensor<i1>
// CHECK-NEXT:        %none = sym.invalid "occupied"
// CHECK-NEXT:        %y = sym.select %p, %none, %x
// CHECK-NEXT:        %0 = stablehlo.constant dense<false> : tensor<i1>
// CHECK-NEXT:        %1 = stablehlo.constant dense<true> : tensor<i1>
// CHECK-NEXT:        %2 = stablehlo.select %p, %0, %1 : tensor<i1>, tensor<i1>
// CHECK-NEXT:        sym.emit %y, %one if %2 tag "kept" : tensor<f64>
// CHECK-NEXT:        sym.emit %x, %one : tensor<f64>
// CHECK-NEXT:      }
// CHECK-NEXT:    }

// The second operand of `and` is needed where the first one holds.
sym.operator @and() space #sym.space<3 x [0, 1]> element f64 {
  sym.term @t over #sym.rows<[0]> {
  ^bb0(%x : !sym.config, %i : !sym.site):
    %one = stablehlo.constant dense<1.0> : tensor<f64>
    %p = sym.allowed %one at %i : tensor<f64>
    %k = sym.local_index %one at %i : tensor<f64>
    %q = stablehlo.compare EQ, %k, %one : (tensor<f64>, tensor<f64>) -> tensor<i1>
    %r = stablehlo.and %p, %q : tensor<i1>
    sym.emit %x, %one if %r : tensor<f64>
  }
}

// CHECK-LABEL: sym.operator @and() space #sym.space<3 x [0, 1]> element f64 {
// CHECK-NEXT:      sym.term @t over #sym.rows<[0]> {
// CHECK-NEXT:      ^bb0(%x: !sym.config, %i: !sym.site):
// CHECK-NEXT:        %one = stablehlo.constant dense<1.000000e+00> : tensor<f64>
// CHECK-NEXT:        %p = sym.allowed %one at %i : tensor<f64>
// CHECK-NEXT:        %k = sym.local_index %one at %i : tensor<f64>
// CHECK-NEXT:        %q = stablehlo.compare EQ, %k, %one : (tensor<f64>, tensor<f64>) -> tensor<i1>
// CHECK-NEXT:        %r = stablehlo.and %p, %q : tensor<i1>
// CHECK-NEXT:        %0 = sym.allowed %one at %i : tensor<f64>
// CHECK-NEXT:        %1 = stablehlo.not %p : tensor<i1>
// CHECK-NEXT:        %2 = stablehlo.or %1, %0 : tensor<i1>
// CHECK-NEXT:        %3 = stablehlo.and %r, %2 : tensor<i1>
// CHECK-NEXT:        sym.emit %x, %one if %3 : tensor<f64>
// CHECK-NEXT:      }
// CHECK-NEXT:    }

// The second operand of `or` is needed where the first one does not hold.
sym.operator @or() space #sym.space<3 x [0, 1]> element f64 {
  sym.term @t over #sym.rows<[0]> {
  ^bb0(%x : !sym.config, %i : !sym.site):
    %one = stablehlo.constant dense<1.0> : tensor<f64>
    %p = sym.allowed %one at %i : tensor<f64>
    %k = sym.local_index %one at %i : tensor<f64>
    %q = stablehlo.compare EQ, %k, %one : (tensor<f64>, tensor<f64>) -> tensor<i1>
    %r = stablehlo.or %p, %q : tensor<i1>
    sym.emit %x, %one if %r : tensor<f64>
  }
}

// CHECK-LABEL: sym.operator @or() space #sym.space<3 x [0, 1]> element f64 {
// CHECK-NEXT:      sym.term @t over #sym.rows<[0]> {
// CHECK-NEXT:      ^bb0(%x: !sym.config, %i: !sym.site):
// CHECK-NEXT:        %one = stablehlo.constant dense<1.000000e+00> : tensor<f64>
// CHECK-NEXT:        %p = sym.allowed %one at %i : tensor<f64>
// CHECK-NEXT:        %k = sym.local_index %one at %i : tensor<f64>
// CHECK-NEXT:        %q = stablehlo.compare EQ, %k, %one : (tensor<f64>, tensor<f64>) -> tensor<i1>
// CHECK-NEXT:        %r = stablehlo.or %p, %q : tensor<i1>
// CHECK-NEXT:        %0 = sym.allowed %one at %i : tensor<f64>
// CHECK-NEXT:        %1 = stablehlo.or %p, %0 : tensor<i1>
// CHECK-NEXT:        %2 = stablehlo.and %r, %1 : tensor<i1>
// CHECK-NEXT:        sym.emit %x, %one if %2 : tensor<f64>
// CHECK-NEXT:      }
// CHECK-NEXT:    }

// An entry that the table has.
sym.operator @lookup() space #sym.space<3 x [0, 1]> element f64 {
  sym.term @t over #sym.rows<[0]> {
  ^bb0(%x : !sym.config, %i : !sym.site):
    %n = sym.index %i
    %a = sym.lookup dense<[0.5, 1.0]> : tensor<2xf64> at %n : tensor<i32> -> tensor<f64>
    sym.emit %x, %a : tensor<f64>
  }
}

// CHECK-LABEL: sym.operator @lookup() space #sym.space<3 x [0, 1]> element f64 {
// CHECK-NEXT:      sym.term @t over #sym.rows<[0]> {
// CHECK-NEXT:      ^bb0(%x: !sym.config, %i: !sym.site):
// CHECK-NEXT:        %n = sym.index %i
// CHECK-NEXT:        %a = sym.lookup dense<[5.000000e-01, 1.000000e+00]> : tensor<2xf64> at %n : tensor<i32> -> tensor<f64>
// CHECK-NEXT:        %0 = stablehlo.constant dense<0> : tensor<i32>
// CHECK-NEXT:        %1 = stablehlo.constant dense<1> : tensor<i32>
// CHECK-NEXT:        %2 = stablehlo.compare GE, %n, %0 : (tensor<i32>, tensor<i32>) -> tensor<i1>
// CHECK-NEXT:        %3 = stablehlo.compare LE, %n, %1 : (tensor<i32>, tensor<i32>) -> tensor<i1>
// CHECK-NEXT:        %4 = stablehlo.and %2, %3 : tensor<i1>
// CHECK-NEXT:        sym.emit %x, %a if %4 : tensor<f64>
// CHECK-NEXT:      }
// CHECK-NEXT:    }

// The place of what x holds is always defined, and a cyclic shift keeps values allowed.
sym.operator @defined() space #sym.space<3 x [0, 1]> element f64 {
  sym.term @t over #sym.rows<[0]> {
  ^bb0(%x : !sym.config, %i : !sym.site):
    %one = stablehlo.constant dense<1.0> : tensor<f64>
    %v = sym.read %x[%i] : tensor<f64>
    %k = sym.local_index %v at %i : tensor<f64>
    %y = sym.shift_mod %x[%i] by %one : tensor<f64>
    %z = sym.shift_mod %y[%i] by %one : tensor<f64>
    sym.emit %z, %k : tensor<f64>
  }
}

// CHECK-LABEL: sym.operator @defined() space #sym.space<3 x [0, 1]> element f64 {
// CHECK-NEXT:      sym.term @t over #sym.rows<[0]> {
// CHECK-NEXT:      ^bb0(%x: !sym.config, %i: !sym.site):
// CHECK-NEXT:        %one = stablehlo.constant dense<1.000000e+00> : tensor<f64>
// CHECK-NEXT:        %v = sym.read %x[%i] : tensor<f64>
// CHECK-NEXT:        %k = sym.local_index %v at %i : tensor<f64>
// CHECK-NEXT:        %y = sym.shift_mod %x[%i] by %one : tensor<f64>
// CHECK-NEXT:        %z = sym.shift_mod %y[%i] by %one : tensor<f64>
// CHECK-NEXT:        sym.emit %z, %k : tensor<f64>
// CHECK-NEXT:      }
// CHECK-NEXT:    }

// After a plain shift the value may be none of the allowed ones.
sym.operator @shifted() space #sym.space<3 x [0, 1]> element f64 {
  sym.term @t over #sym.rows<[0]> {
  ^bb0(%x : !sym.config, %i : !sym.site):
    %one = stablehlo.constant dense<1.0> : tensor<f64>
    %y = sym.shift %x[%i] by %one : tensor<f64>
    %z = sym.shift_mod %y[%i] by %one : tensor<f64>
    sym.emit %z, %one : tensor<f64>
  }
}

// CHECK-LABEL: sym.operator @shifted() space #sym.space<3 x [0, 1]> element f64 {
// CHECK-NEXT:      sym.term @t over #sym.rows<[0]> {
// CHECK-NEXT:      ^bb0(%x: !sym.config, %i: !sym.site):
// CHECK-NEXT:        %one = stablehlo.constant dense<1.000000e+00> : tensor<f64>
// CHECK-NEXT:        %y = sym.shift %x[%i] by %one : tensor<f64>
// CHECK-NEXT:        %z = sym.shift_mod %y[%i] by %one : tensor<f64>
// CHECK-NEXT:        %0 = sym.read %y[%i] : tensor<f64>
// CHECK-NEXT:        %1 = sym.allowed %0 at %i : tensor<f64>
// CHECK-NEXT:        sym.emit %z, %one if %1 : tensor<f64>
// CHECK-NEXT:      }
// CHECK-NEXT:    }

// A reduction needs its value at every site that it is over.
sym.operator @reduce() space #sym.space<3 x [0, 0.5, 1]> element f64 {
  sym.term @t over #sym.rows<[]> sets [#sym.sets<[0, 2]>] {
  ^bb0(%x : !sym.config, %s : !sym.sites):
    %one = stablehlo.constant dense<1.0> : tensor<f64>
    %n = sym.reduce sum over %s : tensor<f64> {
    ^bb0(%h : !sym.site):
      %v = sym.read %x[%h] : tensor<f64>
      %j = sym.site %v : tensor<f64>
      %w = sym.read %x[%j] : tensor<f64>
      sym.yield %w : tensor<f64>
    }
    sym.emit %x, %n : tensor<f64>
  }
}

// CHECK-LABEL: sym.operator @reduce() space #sym.space<3 x [0, 0.5, 1]> element f64 {
// CHECK-NEXT:      sym.term @t over #sym.rows<[]> sets [#sym.sets<[0, 2]>] {
// CHECK-NEXT:      ^bb0(%x: !sym.config, %s: !sym.sites):
// CHECK-NEXT:        %one = stablehlo.constant dense<1.000000e+00> : tensor<f64>
// CHECK-NEXT:        %n = sym.reduce sum over %s : tensor<f64> {
// CHECK-NEXT:        ^bb0(%h: !sym.site):
// CHECK-NEXT:          %v = sym.read %x[%h] : tensor<f64>
// CHECK-NEXT:          %j = sym.site %v : tensor<f64>
// CHECK-NEXT:          %w = sym.read %x[%j] : tensor<f64>
// CHECK-NEXT:          sym.yield %w : tensor<f64>
// CHECK-NEXT:        }
// CHECK-NEXT:        %0 = sym.reduce all over %s : tensor<i1> {
// CHECK-NEXT:        ^bb0(%h_1: !sym.site):
// CHECK-NEXT:          %v_1 = sym.read %x[%h_1] : tensor<f64>
// CHECK-NEXT:          %j_1 = sym.site %v_1 : tensor<f64>
// CHECK-NEXT:          %w_1 = sym.read %x[%j_1] : tensor<f64>
// CHECK-NEXT:          %1 = stablehlo.constant dense<0.000000e+00> : tensor<f64>
// CHECK-NEXT:          %2 = stablehlo.constant dense<2.000000e+00> : tensor<f64>
// CHECK-NEXT:          %3 = stablehlo.compare GE, %v_1, %1 : (tensor<f64>, tensor<f64>) -> tensor<i1>
// CHECK-NEXT:          %4 = stablehlo.compare LE, %v_1, %2 : (tensor<f64>, tensor<f64>) -> tensor<i1>
// CHECK-NEXT:          %5 = stablehlo.and %3, %4 : tensor<i1>
// CHECK-NEXT:          %6 = stablehlo.floor %v_1 : tensor<f64>
// CHECK-NEXT:          %7 = stablehlo.compare EQ, %6, %v_1 : (tensor<f64>, tensor<f64>) -> tensor<i1>
// CHECK-NEXT:          %8 = stablehlo.and %5, %7 : tensor<i1>
// CHECK-NEXT:          sym.yield %8 : tensor<i1>
// CHECK-NEXT:        }
// CHECK-NEXT:        sym.emit %x, %n if %0 : tensor<f64>
// CHECK-NEXT:      }
// CHECK-NEXT:    }

// Nothing here can be undefined.
sym.operator @nothing() space #sym.space<3 x [0, 1]> element f64 {
  sym.term @t over #sym.rows<[0]> sets [#sym.sets<[0, 2]>] {
  ^bb0(%x : !sym.config, %i : !sym.site, %s : !sym.sites):
    %one = stablehlo.constant dense<1.0> : tensor<f64>
    %e = sym.element %s[1]
    %y = sym.swap %x[%i, %e]
    %n = sym.reduce any : tensor<i1> {
    ^bb0(%h : !sym.site):
      %v = sym.read %y[%h] : tensor<f64>
      %p = stablehlo.compare EQ, %v, %one : (tensor<f64>, tensor<f64>) -> tensor<i1>
      sym.yield %p : tensor<i1>
    }
    sym.emit %y, %one if %n : tensor<f64>
  }
}

// CHECK-LABEL: sym.operator @nothing() space #sym.space<3 x [0, 1]> element f64 {
// CHECK-NEXT:      sym.term @t over #sym.rows<[0]> sets [#sym.sets<[0, 2]>] {
// CHECK-NEXT:      ^bb0(%x: !sym.config, %i: !sym.site, %s: !sym.sites):
// CHECK-NEXT:        %one = stablehlo.constant dense<1.000000e+00> : tensor<f64>
// CHECK-NEXT:        %e = sym.element %s[1]
// CHECK-NEXT:        %y = sym.swap %x[%i, %e]
// CHECK-NEXT:        %n = sym.reduce any : tensor<i1> {
// CHECK-NEXT:        ^bb0(%h: !sym.site):
// CHECK-NEXT:          %v = sym.read %y[%h] : tensor<f64>
// CHECK-NEXT:          %p = stablehlo.compare EQ, %v, %one : (tensor<f64>, tensor<f64>) -> tensor<i1>
// CHECK-NEXT:          sym.yield %p : tensor<i1>
// CHECK-NEXT:        }
// CHECK-NEXT:        sym.emit %y, %one if %n : tensor<f64>
// CHECK-NEXT:      }
// CHECK-NEXT:    }

// Whether a value is defined is a question with an answer: the branch does not need it.
sym.operator @question() space #sym.space<3 x [0, 1]> element f64 {
  sym.term @t over #sym.rows<[0]> {
  ^bb0(%x : !sym.config, %i : !sym.site):
    %n = sym.read %x[%i] : tensor<f64>
    %v = sym.lookup dense<[0.5]> : tensor<1xf64> at %n : tensor<f64> -> tensor<f64>
    %p = sym.defined %v : tensor<f64>
    %q = sym.defined %n : tensor<f64>
    %r = stablehlo.and %p, %q : tensor<i1>
    sym.emit %x, %n if %r : tensor<f64>
  }
}

// CHECK-LABEL: sym.operator @question
// CHECK:             %[[GE:.*]] = stablehlo.compare GE, %n
// CHECK:             %[[LE:.*]] = stablehlo.compare LE, %n
// CHECK:             %[[P:.*]] = stablehlo.and %[[GE]], %[[LE]] : tensor<i1>
// CHECK:             %[[Q:.*]] = stablehlo.constant dense<true> : tensor<i1>
// CHECK:             %r = stablehlo.and %[[P]], %[[Q]] : tensor<i1>
// CHECK-NEXT:        sym.emit %x, %n if %r : tensor<f64>
