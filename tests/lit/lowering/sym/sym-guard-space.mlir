// RUN: symir-opt %s -p sym-guard-space --split-input-file --verify-diagnostics | filecheck %s

// Nothing is known of n + 1: the check is the predicate.
sym.operator @checked() space #sym.space<2 x [0, 1, 2]> element f64 {
  sym.term @t over #sym.rows<[0], [1]> {
  ^bb0(%x : !sym.config, %i : !sym.site):
    %one = stablehlo.constant dense<1.0> : tensor<f64>
    %n = sym.read %x[%i] : tensor<f64>
    %v = stablehlo.add %n, %one : tensor<f64>
    %y = sym.write %x[%i], %v : tensor<f64>
    sym.emit %y, %n tag "up" : tensor<f64>
  }
}

// CHECK-LABEL: sym.operator @checked() space #sym.space<2 x [0, 1, 2]> element f64 {
// CHECK-NEXT:    sym.term @t over #sym.rows<[0], [1]> {
// CHECK-NEXT:    ^bb0(%x: !sym.config, %i: !sym.site):
// CHECK-NEXT:      %one = stablehlo.constant dense<1.000000e+00> : tensor<f64>
// CHECK-NEXT:      %n = sym.read %x[%i] : tensor<f64>
// CHECK-NEXT:      %v = stablehlo.add %n, %one : tensor<f64>
// CHECK-NEXT:      %y = sym.write %x[%i], %v : tensor<f64>
// CHECK-NEXT:      %0 = sym.allowed %v at %i : tensor<f64>
// CHECK-NEXT:      sym.emit %y, %n if %0 tag "up" : tensor<f64>
// CHECK-NEXT:    }
// CHECK-NEXT:  }

// Each emission is looked at by itself: the first is proved by its predicate, the second
// is checked in addition to it, the third writes nothing.
sym.operator @predicate() space #sym.space<2 x [0, 1, 2]> element f64 {
  sym.term @t over #sym.rows<[0], [1]> {
  ^bb0(%x : !sym.config, %i : !sym.site):
    %one = stablehlo.constant dense<1.0> : tensor<f64>
    %two = stablehlo.constant dense<2.0> : tensor<f64>
    %n = sym.read %x[%i] : tensor<f64>
    %below = stablehlo.compare LT, %n, %two : (tensor<f64>, tensor<f64>) -> tensor<i1>
    %above = stablehlo.compare GT, %n, %one : (tensor<f64>, tensor<f64>) -> tensor<i1>
    %v = stablehlo.add %n, %one : tensor<f64>
    %y = sym.write %x[%i], %v : tensor<f64>
    sym.emit %y, %n if %below : tensor<f64>
    sym.emit %y, %n if %above tag "up" : tensor<f64>
    sym.emit %x, %n : tensor<f64>
  }
}

// CHECK-LABEL: sym.operator @predicate() space #sym.space<2 x [0, 1, 2]> element f64 {
// CHECK-NEXT:    sym.term @t over #sym.rows<[0], [1]> {
// CHECK-NEXT:    ^bb0(%x: !sym.config, %i: !sym.site):
// CHECK-NEXT:      %one = stablehlo.constant dense<1.000000e+00> : tensor<f64>
// CHECK-NEXT:      %two = stablehlo.constant dense<2.000000e+00> : tensor<f64>
// CHECK-NEXT:      %n = sym.read %x[%i] : tensor<f64>
// CHECK-NEXT:      %below = stablehlo.compare LT, %n, %two : (tensor<f64>, tensor<f64>) -> tensor<i1>
// CHECK-NEXT:      %above = stablehlo.compare GT, %n, %one : (tensor<f64>, tensor<f64>) -> tensor<i1>
// CHECK-NEXT:      %v = stablehlo.add %n, %one : tensor<f64>
// CHECK-NEXT:      %y = sym.write %x[%i], %v : tensor<f64>
// CHECK-NEXT:      sym.emit %y, %n if %below : tensor<f64>
// CHECK-NEXT:      %0 = sym.allowed %v at %i : tensor<f64>
// CHECK-NEXT:      %1 = stablehlo.and %above, %0 : tensor<i1>
// CHECK-NEXT:      sym.emit %y, %n if %1 tag "up" : tensor<f64>
// CHECK-NEXT:      sym.emit %x, %n : tensor<f64>
// CHECK-NEXT:    }
// CHECK-NEXT:  }

// A flipped spin is a spin, and swapped values are values.
sym.operator @flip_and_swap() space #sym.space<3 x [-1, 1]> element f64 {
  sym.term @flip over #sym.rows<[0], [1]> {
  ^bb0(%x : !sym.config, %i : !sym.site):
    %s = sym.read %x[%i] : tensor<f64>
    %m = stablehlo.negate %s : tensor<f64>
    %y = sym.write %x[%i], %m : tensor<f64>
    sym.emit %y, %s : tensor<f64>
  }
  sym.term @swap over #sym.rows<[0, 1], [2, 2]> {
  ^bb0(%x : !sym.config, %i : !sym.site, %j : !sym.site):
    %s = sym.read %x[%i] : tensor<f64>
    %t = sym.read %x[%j] : tensor<f64>
    %y = sym.write %x[%i], %t : tensor<f64>
    %z = sym.write %y[%j], %s : tensor<f64>
    sym.emit %z, %s : tensor<f64>
  }
}

// CHECK-LABEL: sym.operator @flip_and_swap() space #sym.space<3 x [-1, 1]> element f64 {
// CHECK-NEXT:    sym.term @flip over #sym.rows<[0], [1]> {
// CHECK-NEXT:    ^bb0(%x: !sym.config, %i: !sym.site):
// CHECK-NEXT:      %s = sym.read %x[%i] : tensor<f64>
// CHECK-NEXT:      %m = stablehlo.negate %s : tensor<f64>
// CHECK-NEXT:      %y = sym.write %x[%i], %m : tensor<f64>
// CHECK-NEXT:      sym.emit %y, %s : tensor<f64>
// CHECK-NEXT:    }
// CHECK-NEXT:    sym.term @swap over #sym.rows<[0, 1], [2, 2]> {
// CHECK-NEXT:    ^bb0(%x_1: !sym.config, %i_1: !sym.site, %j: !sym.site):
// CHECK-NEXT:      %s_1 = sym.read %x_1[%i_1] : tensor<f64>
// CHECK-NEXT:      %t = sym.read %x_1[%j] : tensor<f64>
// CHECK-NEXT:      %y_1 = sym.write %x_1[%i_1], %t : tensor<f64>
// CHECK-NEXT:      %z = sym.write %y_1[%j], %s_1 : tensor<f64>
// CHECK-NEXT:      sym.emit %z, %s_1 : tensor<f64>
// CHECK-NEXT:    }
// CHECK-NEXT:  }

// Where sites differ, a swap stays in the space if it is between sites that are alike.
sym.operator @swap_per_site() space #sym.space<4 x [0, 1], [0, 1, 2], [0, 1], [0, 1, 2]> element f64 {
  sym.term @alike over #sym.rows<[0, 2], [1, 3]> {
  ^bb0(%x : !sym.config, %i : !sym.site, %j : !sym.site):
    %s = sym.read %x[%i] : tensor<f64>
    %t = sym.read %x[%j] : tensor<f64>
    %y = sym.write %x[%i], %t : tensor<f64>
    %z = sym.write %y[%j], %s : tensor<f64>
    sym.emit %z, %s : tensor<f64>
  }
  sym.term @into_the_smaller over #sym.rows<[0, 2], [0, 1]> {
  ^bb0(%x : !sym.config, %i : !sym.site, %j : !sym.site):
    %s = sym.read %x[%i] : tensor<f64>
    %t = sym.read %x[%j] : tensor<f64>
    %y = sym.write %x[%i], %t : tensor<f64>
    %z = sym.write %y[%j], %s : tensor<f64>
    sym.emit %z, %s : tensor<f64>
  }
}

// CHECK-LABEL: sym.operator @swap_per_site() space #sym.space<4 x [0, 1], [0, 1, 2], [0, 1], [0, 1, 2]> element f64 {
// CHECK-NEXT:    sym.term @alike over #sym.rows<[0, 2], [1, 3]> {
// CHECK-NEXT:    ^bb0(%x: !sym.config, %i: !sym.site, %j: !sym.site):
// CHECK-NEXT:      %s = sym.read %x[%i] : tensor<f64>
// CHECK-NEXT:      %t = sym.read %x[%j] : tensor<f64>
// CHECK-NEXT:      %y = sym.write %x[%i], %t : tensor<f64>
// CHECK-NEXT:      %z = sym.write %y[%j], %s : tensor<f64>
// CHECK-NEXT:      sym.emit %z, %s : tensor<f64>
// CHECK-NEXT:    }
// CHECK-NEXT:    sym.term @into_the_smaller over #sym.rows<[0, 2], [0, 1]> {
// CHECK-NEXT:    ^bb0(%x_1: !sym.config, %i_1: !sym.site, %j_1: !sym.site):
// CHECK-NEXT:      %s_1 = sym.read %x_1[%i_1] : tensor<f64>
// CHECK-NEXT:      %t_1 = sym.read %x_1[%j_1] : tensor<f64>
// CHECK-NEXT:      %y_1 = sym.write %x_1[%i_1], %t_1 : tensor<f64>
// CHECK-NEXT:      %z_1 = sym.write %y_1[%j_1], %s_1 : tensor<f64>
// CHECK-NEXT:      %0 = sym.allowed %t_1 at %i_1 : tensor<f64>
// CHECK-NEXT:      sym.emit %z_1, %s_1 if %0 : tensor<f64>
// CHECK-NEXT:    }
// CHECK-NEXT:  }

// Hopping with rows where %i is %j: n_i - 1 counts only where the second write is at
// another site, and is proved there; n_j + 1 is not.
sym.operator @hop() space #sym.space<3 x [0, 1, 2]> element f64 {
  sym.term @t over #sym.rows<[0, 1], [2, 2]> {
  ^bb0(%x : !sym.config, %i : !sym.site, %j : !sym.site):
    %zero = stablehlo.constant dense<0.0> : tensor<f64>
    %one = stablehlo.constant dense<1.0> : tensor<f64>
    %ni = sym.read %x[%i] : tensor<f64>
    %nj = sym.read %x[%j] : tensor<f64>
    %some = stablehlo.compare GT, %ni, %zero : (tensor<f64>, tensor<f64>) -> tensor<i1>
    %less = stablehlo.subtract %ni, %one : tensor<f64>
    %i_number = sym.index %i
    %j_number = sym.index %j
    %same = stablehlo.compare EQ, %i_number, %j_number : (tensor<i32>, tensor<i32>) -> tensor<i1>
    %now = stablehlo.select %same, %less, %nj : tensor<i1>, tensor<f64>
    %more = stablehlo.add %now, %one : tensor<f64>
    %y = sym.write %x[%i], %less : tensor<f64>
    %z = sym.write %y[%j], %more : tensor<f64>
    sym.emit %z, %one if %some : tensor<f64>
  }
}

// CHECK-LABEL: sym.operator @hop() space #sym.space<3 x [0, 1, 2]> element f64 {
// CHECK-NEXT:    sym.term @t over #sym.rows<[0, 1], [2, 2]> {
// CHECK-NEXT:    ^bb0(%x: !sym.config, %i: !sym.site, %j: !sym.site):
// CHECK-NEXT:      %zero = stablehlo.constant dense<0.000000e+00> : tensor<f64>
// CHECK-NEXT:      %one = stablehlo.constant dense<1.000000e+00> : tensor<f64>
// CHECK-NEXT:      %ni = sym.read %x[%i] : tensor<f64>
// CHECK-NEXT:      %nj = sym.read %x[%j] : tensor<f64>
// CHECK-NEXT:      %some = stablehlo.compare GT, %ni, %zero : (tensor<f64>, tensor<f64>) -> tensor<i1>
// CHECK-NEXT:      %less = stablehlo.subtract %ni, %one : tensor<f64>
// CHECK-NEXT:      %i_number = sym.index %i
// CHECK-NEXT:      %j_number = sym.index %j
// CHECK-NEXT:      %same = stablehlo.compare EQ, %i_number, %j_number : (tensor<i32>, tensor<i32>) -> tensor<i1>
// CHECK-NEXT:      %now = stablehlo.select %same, %less, %nj : tensor<i1>, tensor<f64>
// CHECK-NEXT:      %more = stablehlo.add %now, %one : tensor<f64>
// CHECK-NEXT:      %y = sym.write %x[%i], %less : tensor<f64>
// CHECK-NEXT:      %z = sym.write %y[%j], %more : tensor<f64>
// CHECK-NEXT:      %0 = sym.allowed %more at %j : tensor<f64>
// CHECK-NEXT:      %1 = stablehlo.and %some, %0 : tensor<i1>
// CHECK-NEXT:      sym.emit %z, %one if %1 : tensor<f64>
// CHECK-NEXT:    }
// CHECK-NEXT:  }

// Without the predicate n_i - 1 is checked as well, but not where it is overwritten.
sym.operator @shadowed() space #sym.space<3 x [0, 1, 2]> element f64 {
  sym.term @some_rows over #sym.rows<[0, 1], [2, 2]> {
  ^bb0(%x : !sym.config, %i : !sym.site, %j : !sym.site):
    %one = stablehlo.constant dense<1.0> : tensor<f64>
    %ni = sym.read %x[%i] : tensor<f64>
    %less = stablehlo.subtract %ni, %one : tensor<f64>
    %y = sym.write %x[%i], %less : tensor<f64>
    %z = sym.write %y[%j], %one : tensor<f64>
    sym.emit %z, %one : tensor<f64>
  }
  sym.term @all_rows over #sym.rows<[1, 1], [2, 2]> {
  ^bb0(%x : !sym.config, %i : !sym.site, %j : !sym.site):
    %one = stablehlo.constant dense<1.0> : tensor<f64>
    %ni = sym.read %x[%i] : tensor<f64>
    %less = stablehlo.subtract %ni, %one : tensor<f64>
    %y = sym.write %x[%i], %less : tensor<f64>
    %z = sym.write %y[%j], %one : tensor<f64>
    sym.emit %z, %one : tensor<f64>
  }
}

// CHECK-LABEL: sym.operator @shadowed() space #sym.space<3 x [0, 1, 2]> element f64 {
// CHECK-NEXT:    sym.term @some_rows over #sym.rows<[0, 1], [2, 2]> {
// CHECK-NEXT:    ^bb0(%x: !sym.config, %i: !sym.site, %j: !sym.site):
// CHECK-NEXT:      %one = stablehlo.constant dense<1.000000e+00> : tensor<f64>
// CHECK-NEXT:      %ni = sym.read %x[%i] : tensor<f64>
// CHECK-NEXT:      %less = stablehlo.subtract %ni, %one : tensor<f64>
// CHECK-NEXT:      %y = sym.write %x[%i], %less : tensor<f64>
// CHECK-NEXT:      %z = sym.write %y[%j], %one : tensor<f64>
// CHECK-NEXT:      %0 = sym.allowed %less at %i : tensor<f64>
// CHECK-NEXT:      %1 = sym.index %i
// CHECK-NEXT:      %2 = sym.index %j
// CHECK-NEXT:      %3 = stablehlo.compare EQ, %1, %2 : (tensor<i32>, tensor<i32>) -> tensor<i1>
// CHECK-NEXT:      %4 = stablehlo.or %0, %3 : tensor<i1>
// CHECK-NEXT:      sym.emit %z, %one if %4 : tensor<f64>
// CHECK-NEXT:    }
// CHECK-NEXT:    sym.term @all_rows over #sym.rows<[1, 1], [2, 2]> {
// CHECK-NEXT:    ^bb0(%x_1: !sym.config, %i_1: !sym.site, %j_1: !sym.site):
// CHECK-NEXT:      %one_1 = stablehlo.constant dense<1.000000e+00> : tensor<f64>
// CHECK-NEXT:      %ni_1 = sym.read %x_1[%i_1] : tensor<f64>
// CHECK-NEXT:      %less_1 = stablehlo.subtract %ni_1, %one_1 : tensor<f64>
// CHECK-NEXT:      %y_1 = sym.write %x_1[%i_1], %less_1 : tensor<f64>
// CHECK-NEXT:      %z_1 = sym.write %y_1[%j_1], %one_1 : tensor<f64>
// CHECK-NEXT:      sym.emit %z_1, %one_1 : tensor<f64>
// CHECK-NEXT:    }
// CHECK-NEXT:  }

// A parameter may be anything: written it must be checked, in a predicate it proves
// nothing, and does not keep the rest of the predicate from proving it.
sym.operator @parameter(%h "h" : tensor<f64>) space #sym.space<2 x [0, 1]> element f64 {
  sym.term @written over #sym.rows<[0]> {
  ^bb0(%x : !sym.config, %i : !sym.site):
    %y = sym.write %x[%i], %h : tensor<f64>
    sym.emit %y, %h : tensor<f64>
  }
  sym.term @predicate over #sym.rows<[0]> {
  ^bb0(%x : !sym.config, %i : !sym.site):
    %one = stablehlo.constant dense<1.0> : tensor<f64>
    %n = sym.read %x[%i] : tensor<f64>
    %v = stablehlo.add %n, %one : tensor<f64>
    %p = stablehlo.compare LT, %n, %h : (tensor<f64>, tensor<f64>) -> tensor<i1>
    %q = stablehlo.compare LT, %n, %one : (tensor<f64>, tensor<f64>) -> tensor<i1>
    %both = stablehlo.and %p, %q : tensor<i1>
    %y = sym.write %x[%i], %v : tensor<f64>
    sym.emit %y, %h if %p : tensor<f64>
    sym.emit %y, %h if %both : tensor<f64>
  }
}

// CHECK-LABEL: sym.operator @parameter(%h "h" : tensor<f64>) space #sym.space<2 x [0, 1]> element f64 {
// CHECK-NEXT:    sym.term @written over #sym.rows<[0]> {
// CHECK-NEXT:    ^bb0(%x: !sym.config, %i: !sym.site):
// CHECK-NEXT:      %0 = sym.allowed %h at %i : tensor<f64>
// CHECK-NEXT:      %1 = sym.local_index %h at %i : tensor<f64>
// CHECK-NEXT:      %2 = sym.local_value %1 at %i : tensor<f64>
// CHECK-NEXT:      %3 = stablehlo.select %0, %2, %h : tensor<i1>, tensor<f64>
// CHECK-NEXT:      %y = sym.write %x[%i], %3 : tensor<f64>
// CHECK-NEXT:      %4 = sym.allowed %h at %i : tensor<f64>
// CHECK-NEXT:      sym.emit %y, %h if %4 : tensor<f64>
// CHECK-NEXT:    }
// CHECK-NEXT:    sym.term @predicate over #sym.rows<[0]> {
// CHECK-NEXT:    ^bb0(%x_1: !sym.config, %i_1: !sym.site):
// CHECK-NEXT:      %one = stablehlo.constant dense<1.000000e+00> : tensor<f64>
// CHECK-NEXT:      %n = sym.read %x_1[%i_1] : tensor<f64>
// CHECK-NEXT:      %v = stablehlo.add %n, %one : tensor<f64>
// CHECK-NEXT:      %p = stablehlo.compare LT, %n, %h : (tensor<f64>, tensor<f64>) -> tensor<i1>
// CHECK-NEXT:      %q = stablehlo.compare LT, %n, %one : (tensor<f64>, tensor<f64>) -> tensor<i1>
// CHECK-NEXT:      %both = stablehlo.and %p, %q : tensor<i1>
// CHECK-NEXT:      %y_1 = sym.write %x_1[%i_1], %v : tensor<f64>
// CHECK-NEXT:      %5 = sym.allowed %v at %i_1 : tensor<f64>
// CHECK-NEXT:      %6 = stablehlo.and %p, %5 : tensor<i1>
// CHECK-NEXT:      sym.emit %y_1, %h if %6 : tensor<f64>
// CHECK-NEXT:      sym.emit %y_1, %h if %both : tensor<f64>
// CHECK-NEXT:    }
// CHECK-NEXT:  }

// Data of the rows, and the numbers of their sites.
sym.operator @row_values() space #sym.space<3 x [0, 1]> element f64 {
  sym.term @inside over #sym.rows<[0], [1]> data [#sym.column<"v", dense<[0.0, 1.0]> : tensor<2xf64>>] {
  ^bb0(%x : !sym.config, %i : !sym.site, %v : tensor<f64>):
    %y = sym.write %x[%i], %v : tensor<f64>
    sym.emit %y, %v : tensor<f64>
  }
  sym.term @outside over #sym.rows<[0], [1]> data [#sym.column<"v", dense<[0.0, 0.5]> : tensor<2xf64>>] {
  ^bb0(%x : !sym.config, %i : !sym.site, %v : tensor<f64>):
    %y = sym.write %x[%i], %v : tensor<f64>
    sym.emit %y, %v : tensor<f64>
  }
  sym.term @number_inside over #sym.rows<[0], [1]> {
  ^bb0(%x : !sym.config, %i : !sym.site):
    %number = sym.index %i
    %v = stablehlo.convert %number : (tensor<i32>) -> tensor<f64>
    %y = sym.write %x[%i], %v : tensor<f64>
    sym.emit %y, %v : tensor<f64>
  }
  sym.term @number_outside over #sym.rows<[0], [2]> {
  ^bb0(%x : !sym.config, %i : !sym.site):
    %number = sym.index %i
    %v = stablehlo.convert %number : (tensor<i32>) -> tensor<f64>
    %y = sym.write %x[%i], %v : tensor<f64>
    sym.emit %y, %v : tensor<f64>
  }
}

// CHECK-LABEL: sym.operator @row_values() space #sym.space<3 x [0, 1]> element f64 {
// CHECK-NEXT:    sym.term @inside over #sym.rows<[0], [1]> data [#sym.column<"v", dense<[0.000000e+00, 1.000000e+00]> : tensor<2xf64>>] {
// CHECK-NEXT:    ^bb0(%x: !sym.config, %i: !sym.site, %v: tensor<f64>):
// CHECK-NEXT:      %y = sym.write %x[%i], %v : tensor<f64>
// CHECK-NEXT:      sym.emit %y, %v : tensor<f64>
// CHECK-NEXT:    }
// CHECK-NEXT:    sym.term @outside over #sym.rows<[0], [1]> data [#sym.column<"v", dense<[0.000000e+00, 5.000000e-01]> : tensor<2xf64>>] {
// CHECK-NEXT:    ^bb0(%x_1: !sym.config, %i_1: !sym.site, %v_1: tensor<f64>):
// CHECK-NEXT:      %y_1 = sym.write %x_1[%i_1], %v_1 : tensor<f64>
// CHECK-NEXT:      %0 = sym.allowed %v_1 at %i_1 : tensor<f64>
// CHECK-NEXT:      sym.emit %y_1, %v_1 if %0 : tensor<f64>
// CHECK-NEXT:    }
// CHECK-NEXT:    sym.term @number_inside over #sym.rows<[0], [1]> {
// CHECK-NEXT:    ^bb0(%x_2: !sym.config, %i_2: !sym.site):
// CHECK-NEXT:      %number = sym.index %i_2
// CHECK-NEXT:      %v_2 = stablehlo.convert %number : (tensor<i32>) -> tensor<f64>
// CHECK-NEXT:      %y_2 = sym.write %x_2[%i_2], %v_2 : tensor<f64>
// CHECK-NEXT:      sym.emit %y_2, %v_2 : tensor<f64>
// CHECK-NEXT:    }
// CHECK-NEXT:    sym.term @number_outside over #sym.rows<[0], [2]> {
// CHECK-NEXT:    ^bb0(%x_3: !sym.config, %i_3: !sym.site):
// CHECK-NEXT:      %number_1 = sym.index %i_3
// CHECK-NEXT:      %v_3 = stablehlo.convert %number_1 : (tensor<i32>) -> tensor<f64>
// CHECK-NEXT:      %y_3 = sym.write %x_3[%i_3], %v_3 : tensor<f64>
// CHECK-NEXT:      %1 = sym.allowed %v_3 at %i_3 : tensor<f64>
// CHECK-NEXT:      sym.emit %y_3, %v_3 if %1 : tensor<f64>
// CHECK-NEXT:    }
// CHECK-NEXT:  }

// The largest of six local values is one of them: 6^6 points show it. With one site more
// there are too many to look at.
sym.operator @too_many() space #sym.space<7 x [0, 1, 2, 3, 4, 5]> element f64 {
  sym.term @six over #sym.rows<[0, 1, 2, 3, 4, 5]> {
  ^bb0(%x : !sym.config, %a : !sym.site, %b : !sym.site, %c : !sym.site, %d : !sym.site, %e : !sym.site, %f : !sym.site):
    %n1 = sym.read %x[%a] : tensor<f64>
    %n2 = sym.read %x[%b] : tensor<f64>
    %n3 = sym.read %x[%c] : tensor<f64>
    %n4 = sym.read %x[%d] : tensor<f64>
    %n5 = sym.read %x[%e] : tensor<f64>
    %n6 = sym.read %x[%f] : tensor<f64>
    %m2 = stablehlo.maximum %n1, %n2 : tensor<f64>
    %m3 = stablehlo.maximum %m2, %n3 : tensor<f64>
    %m4 = stablehlo.maximum %m3, %n4 : tensor<f64>
    %m5 = stablehlo.maximum %m4, %n5 : tensor<f64>
    %m6 = stablehlo.maximum %m5, %n6 : tensor<f64>
    %y = sym.write %x[%a], %m6 : tensor<f64>
    sym.emit %y, %n1 : tensor<f64>
  }
  sym.term @seven over #sym.rows<[0, 1, 2, 3, 4, 5, 6]> {
  ^bb0(%x : !sym.config, %a : !sym.site, %b : !sym.site, %c : !sym.site, %d : !sym.site, %e : !sym.site, %f : !sym.site, %g : !sym.site):
    %n1 = sym.read %x[%a] : tensor<f64>
    %n2 = sym.read %x[%b] : tensor<f64>
    %n3 = sym.read %x[%c] : tensor<f64>
    %n4 = sym.read %x[%d] : tensor<f64>
    %n5 = sym.read %x[%e] : tensor<f64>
    %n6 = sym.read %x[%f] : tensor<f64>
    %n7 = sym.read %x[%g] : tensor<f64>
    %m2 = stablehlo.maximum %n1, %n2 : tensor<f64>
    %m3 = stablehlo.maximum %m2, %n3 : tensor<f64>
    %m4 = stablehlo.maximum %m3, %n4 : tensor<f64>
    %m5 = stablehlo.maximum %m4, %n5 : tensor<f64>
    %m6 = stablehlo.maximum %m5, %n6 : tensor<f64>
    %m7 = stablehlo.maximum %m6, %n7 : tensor<f64>
    %y = sym.write %x[%a], %m7 : tensor<f64>
    sym.emit %y, %n1 : tensor<f64>
  }
}

// CHECK-LABEL: sym.operator @too_many() space #sym.space<7 x [0, 1, 2, 3, 4, 5]> element f64 {
// CHECK:         sym.term @six
// CHECK:           %y = sym.write %x[%a], %m6 : tensor<f64>
// CHECK-NEXT:      sym.emit %y, %n1 : tensor<f64>
// CHECK:         sym.term @seven
// CHECK:           %0 = sym.allowed %m7 at %a_1 : tensor<f64>
// CHECK-NEXT:      %1 = sym.local_index %m7 at %a_1 : tensor<f64>
// CHECK-NEXT:      %2 = sym.local_value %1 at %a_1 : tensor<f64>
// CHECK-NEXT:      %3 = stablehlo.select %0, %2, %m7 : tensor<i1>, tensor<f64>
// CHECK-NEXT:      %y_1 = sym.write %x_1[%a_1], %3 : tensor<f64>
// CHECK-NEXT:      %4 = sym.allowed %m7 at %a_1 : tensor<f64>
// CHECK-NEXT:      sym.emit %y_1, %n1_1 if %4 : tensor<f64>

// What may be rounded in another way elsewhere proves nothing, though 2^1 is 2, and
// 2 + 1.2 - 2.2 is 1 if it is computed from left to right.
sym.operator @rounded() space #sym.space<2 x [1, 2]> element f64 {
  sym.term @sum over #sym.rows<[0]> {
  ^bb0(%x : !sym.config, %i : !sym.site):
    %two = stablehlo.constant dense<2.0> : tensor<f64>
    %a = stablehlo.constant dense<1.2> : tensor<f64>
    %b = stablehlo.constant dense<-2.2> : tensor<f64>
    %n = sym.read %x[%i] : tensor<f64>
    %p = stablehlo.compare EQ, %n, %two : (tensor<f64>, tensor<f64>) -> tensor<i1>
    %u = stablehlo.add %n, %a : tensor<f64>
    %v = stablehlo.add %u, %b : tensor<f64>
    %y = sym.write %x[%i], %v : tensor<f64>
    sym.emit %y, %n if %p : tensor<f64>
  }
  sym.term @power over #sym.rows<[0]> {
  ^bb0(%x : !sym.config, %i : !sym.site):
    %one = stablehlo.constant dense<1.0> : tensor<f64>
    %two = stablehlo.constant dense<2.0> : tensor<f64>
    %v = stablehlo.power %two, %one : tensor<f64>
    %y = sym.write %x[%i], %v : tensor<f64>
    sym.emit %y, %v : tensor<f64>
  }
}

// CHECK-LABEL: sym.operator @rounded() space #sym.space<2 x [1, 2]> element f64 {
// CHECK-NEXT:    sym.term @sum over #sym.rows<[0]> {
// CHECK-NEXT:    ^bb0(%x: !sym.config, %i: !sym.site):
// CHECK-NEXT:      %two = stablehlo.constant dense<2.000000e+00> : tensor<f64>
// CHECK-NEXT:      %a = stablehlo.constant dense<1.200000e+00> : tensor<f64>
// CHECK-NEXT:      %b = stablehlo.constant dense<-2.200000e+00> : tensor<f64>
// CHECK-NEXT:      %n = sym.read %x[%i] : tensor<f64>
// CHECK-NEXT:      %p = stablehlo.compare EQ, %n, %two : (tensor<f64>, tensor<f64>) -> tensor<i1>
// CHECK-NEXT:      %u = stablehlo.add %n, %a : tensor<f64>
// CHECK-NEXT:      %v = stablehlo.add %u, %b : tensor<f64>
// CHECK-NEXT:      %0 = sym.allowed %v at %i : tensor<f64>
// CHECK-NEXT:      %1 = sym.local_index %v at %i : tensor<f64>
// CHECK-NEXT:      %2 = sym.local_value %1 at %i : tensor<f64>
// CHECK-NEXT:      %3 = stablehlo.select %0, %2, %v : tensor<i1>, tensor<f64>
// CHECK-NEXT:      %y = sym.write %x[%i], %3 : tensor<f64>
// CHECK-NEXT:      %4 = sym.allowed %v at %i : tensor<f64>
// CHECK-NEXT:      %5 = stablehlo.and %p, %4 : tensor<i1>
// CHECK-NEXT:      sym.emit %y, %n if %5 : tensor<f64>
// CHECK-NEXT:    }
// CHECK-NEXT:    sym.term @power over #sym.rows<[0]> {
// CHECK-NEXT:    ^bb0(%x_1: !sym.config, %i_1: !sym.site):
// CHECK-NEXT:      %one = stablehlo.constant dense<1.000000e+00> : tensor<f64>
// CHECK-NEXT:      %two_1 = stablehlo.constant dense<2.000000e+00> : tensor<f64>
// CHECK-NEXT:      %v_1 = stablehlo.power %two_1, %one : tensor<f64>
// CHECK-NEXT:      %6 = sym.allowed %v_1 at %i_1 : tensor<f64>
// CHECK-NEXT:      %7 = sym.local_index %v_1 at %i_1 : tensor<f64>
// CHECK-NEXT:      %8 = sym.local_value %7 at %i_1 : tensor<f64>
// CHECK-NEXT:      %9 = stablehlo.select %6, %8, %v_1 : tensor<i1>, tensor<f64>
// CHECK-NEXT:      %y_1 = sym.write %x_1[%i_1], %9 : tensor<f64>
// CHECK-NEXT:      %10 = sym.allowed %v_1 at %i_1 : tensor<f64>
// CHECK-NEXT:      sym.emit %y_1, %v_1 if %10 : tensor<f64>
// CHECK-NEXT:    }
// CHECK-NEXT:  }

// -----

// Only normal form is understood.
sym.operator @not_expanded() space #sym.space<2 x [0, 1]> element f64 {
  sym.term @t over #sym.rows<[0]> {
  ^bb0(%x : !sym.config, %i : !sym.site):
    %one = stablehlo.constant dense<1.0> : tensor<f64>
    %y = sym.shift %x[%i] by %one : tensor<f64>
    sym.emit %y, %one : tensor<f64>
  }
}

// CHECK: sym-guard-space: term @t still holds 'sym.shift'; run sym-expand-updates and sym-forward-reads first

// -----

sym.operator @select_left() space #sym.space<2 x [0, 1]> element f64 {
  sym.term @t over #sym.rows<[0]> {
  ^bb0(%x : !sym.config, %i : !sym.site):
    %one = stablehlo.constant dense<1.0> : tensor<f64>
    %p = stablehlo.constant dense<true> : tensor<i1>
    %y = sym.write %x[%i], %one : tensor<f64>
    %z = sym.select %p, %x, %y
    sym.emit %z, %one : tensor<f64>
  }
}

// CHECK: sym-guard-space: term @t still holds 'sym.select'; run sym-expand-updates and sym-forward-reads first

// -----

sym.operator @read_of_a_write() space #sym.space<2 x [0, 1]> element f64 {
  sym.term @t over #sym.rows<[0]> {
  ^bb0(%x : !sym.config, %i : !sym.site):
    %one = stablehlo.constant dense<1.0> : tensor<f64>
    %y = sym.write %x[%i], %one : tensor<f64>
    %v = sym.read %y[%i] : tensor<f64>
    sym.emit %y, %v : tensor<f64>
  }
}

// CHECK: sym-guard-space: term @t reads a configuration other than its source; run sym-expand-updates and sym-forward-reads first

// -----

// Moving a particle keeps their number, within a species as well: nothing to check.
sym.operator @conserving() space #sym.space<4 x [0, 1], sum = 2, sum [1, 1, 0, 0] = 1> element f64 {
  sym.term @t over #sym.rows<[0, 1], [3, 2]> {
  ^bb0(%x : !sym.config, %i : !sym.site, %j : !sym.site):
    %one = stablehlo.constant dense<1.0> : tensor<f64>
    %ni = sym.read %x[%i] : tensor<f64>
    %nj = sym.read %x[%j] : tensor<f64>
    %y0 = sym.write %x[%i], %nj : tensor<f64>
    %y = sym.write %y0[%j], %ni : tensor<f64>
    sym.emit %y, %one : tensor<f64>
  }
}

// CHECK-LABEL: sym.operator @conserving
// CHECK:         sym.emit %y, %one : tensor<f64>

// -----

// A flip does not: its matrix element is NaN, unless it is 0.
sym.operator @leaving() space #sym.space<2 x [0, 1], sum = 1> element f64 {
  sym.term @t over #sym.rows<[0], [1]> {
  ^bb0(%x : !sym.config, %i : !sym.site):
    %one = stablehlo.constant dense<1.0> : tensor<f64>
    %n = sym.read %x[%i] : tensor<f64>
    %v = stablehlo.subtract %one, %n : tensor<f64>
    %y = sym.write %x[%i], %v : tensor<f64>
    sym.emit %y, %n : tensor<f64>
  }
}

// CHECK-LABEL: sym.operator @leaving
// CHECK:         %[[DELTA:.*]] = stablehlo.subtract %v, %{{.*}} : tensor<f64>
// CHECK:         %[[SAME:.*]] = stablehlo.compare EQ, %{{.*}}, %{{.*}} : (tensor<f64>, tensor<f64>) -> tensor<i1>
// CHECK:         %[[MATTERS:.*]] = stablehlo.compare NE, %n, %{{.*}} : (tensor<f64>, tensor<f64>) -> tensor<i1>
// CHECK:         %[[NAN:.*]] = stablehlo.constant dense<0x7ff8000000000000> : tensor<f64>
// CHECK:         %[[AMPLITUDE:.*]] = stablehlo.select %[[SAME]], %n, %[[NAN]] : tensor<i1>, tensor<f64>
// CHECK:         %[[VALID:.*]] = stablehlo.or %[[SAME]], %[[MATTERS]] : tensor<i1>
// CHECK:         sym.emit %y, %[[AMPLITUDE]] if %[[VALID]] : tensor<f64>

// -----

// A projected operator drops the branch.
sym.operator @projected() space #sym.space<2 x [0, 1], sum = 1> element f64 projected {
  sym.term @t over #sym.rows<[0], [1]> {
  ^bb0(%x : !sym.config, %i : !sym.site):
    %one = stablehlo.constant dense<1.0> : tensor<f64>
    %y = sym.write %x[%i], %one : tensor<f64>
    sym.emit %y, %one : tensor<f64>
  }
}

// CHECK-LABEL: sym.operator @projected
// CHECK:         %[[SAME:.*]] = stablehlo.compare EQ
// CHECK-NEXT:    sym.emit %y, %one if %[[SAME]] : tensor<f64>

// -----

// A site without weight does not count.
sym.operator @weightless() space #sym.space<2 x [0, 1], sum [0, 1] = 1> element f64 {
  sym.term @t over #sym.rows<[0]> {
  ^bb0(%x : !sym.config, %i : !sym.site):
    %one = stablehlo.constant dense<1.0> : tensor<f64>
    %y = sym.write %x[%i], %one : tensor<f64>
    sym.emit %y, %one : tensor<f64>
  }
}

// CHECK-LABEL: sym.operator @weightless
// CHECK:         sym.emit %y, %one : tensor<f64>

// -----

// A derivative of its own does not change the value: -(-1) and -(+1) are allowed.
sym.operator @own_rule() space #sym.space<2 x [-1, 1]> element f64 {
  sym.term @t over #sym.rows<[0], [1]> {
  ^bb0(%x : !sym.config, %i : !sym.site):
    %s = sym.read %x[%i] : tensor<f64>
    %r = sym.own_rule %s of "f" : tensor<f64>
    %v = stablehlo.negate %r : tensor<f64>
    %y = sym.write %x[%i], %v : tensor<f64>
    sym.emit %y, %s : tensor<f64>
  }
}

// CHECK-LABEL: sym.operator @own_rule()
// CHECK:           %y = sym.write %x[%i], %v : tensor<f64>
// CHECK-NEXT:      sym.emit %y, %s : tensor<f64>
