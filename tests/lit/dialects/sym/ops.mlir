// RUN: symir-opt %s | symir-opt | filecheck %s
// RUN: symir-opt %s --print-op-generic | symir-opt | filecheck %s
// RUN: symir-opt %s --print-op-generic | filecheck %s --check-prefix=GENERIC

// Every op of `sym`, in custom and in generic syntax.

// CHECK:      builtin.module {
// GENERIC:    "builtin.module"() ({

// Reads, updates and an emission with everything that it may have.
sym.operator @hop(%t "t" : tensor<f64> = dense<1.0>)
    space #sym.space<4 x [0, 1, 2]> element f64 hermitian projected {
  sym.term @bulk over #sym.rows<[0, 1], [1, 2], [2, 3]> fanout 7 group 0 {
  ^bb0(%x : !sym.config, %i : !sym.site, %j : !sym.site):
    %ni = sym.read %x[%i] : tensor<f64>
    %n = sym.index %i
    %zero = stablehlo.constant dense<0.0> : tensor<f64>
    %ok = stablehlo.compare GT, %ni, %zero : (tensor<f64>, tensor<f64>) -> tensor<i1>
    %in = sym.allowed %ni at %j : tensor<f64>
    %p = stablehlo.and %ok, %in : tensor<i1>
    %m = stablehlo.constant dense<-1.0> : tensor<f64>
    %y0 = sym.shift %x[%i] by %m : tensor<f64>
    %y1 = sym.write %y0[%j], %ni : tensor<f64>
    %y2 = sym.swap %y1[%i, %j]
    %y3 = sym.select %p, %y2, %x
    sym.emit %y3, %t if %p tag "hop" : tensor<f64>
    sym.emit %x, %t if %p : tensor<f64>
    sym.emit %x, %t tag "diagonal" : tensor<f64>
    sym.emit %x, %t : tensor<f64>
  }
}

// CHECK-NEXT:   sym.operator @hop(%t "t" : tensor<f64> = dense<1.000000e+00>) space #sym.space<4 x [0, 1, 2]> element f64 hermitian projected {
// CHECK-NEXT:     sym.term @bulk over #sym.rows<[0, 1], [1, 2], [2, 3]> fanout 7 group 0 {
// CHECK-NEXT:     ^bb0(%x: !sym.config, %i: !sym.site, %j: !sym.site):
// CHECK-NEXT:       %ni = sym.read %x[%i] : tensor<f64>
// CHECK-NEXT:       %n = sym.index %i
// CHECK-NEXT:       %zero = stablehlo.constant dense<0.000000e+00> : tensor<f64>
// CHECK-NEXT:       %ok = stablehlo.compare GT, %ni, %zero : (tensor<f64>, tensor<f64>) -> tensor<i1>
// CHECK-NEXT:       %in = sym.allowed %ni at %j : tensor<f64>
// CHECK-NEXT:       %p = stablehlo.and %ok, %in : tensor<i1>
// CHECK-NEXT:       %m = stablehlo.constant dense<-1.000000e+00> : tensor<f64>
// CHECK-NEXT:       %y0 = sym.shift %x[%i] by %m : tensor<f64>
// CHECK-NEXT:       %y1 = sym.write %y0[%j], %ni : tensor<f64>
// CHECK-NEXT:       %y2 = sym.swap %y1[%i, %j]
// CHECK-NEXT:       %y3 = sym.select %p, %y2, %x
// CHECK-NEXT:       sym.emit %y3, %t if %p tag "hop" : tensor<f64>
// CHECK-NEXT:       sym.emit %x, %t if %p : tensor<f64>
// CHECK-NEXT:       sym.emit %x, %t tag "diagonal" : tensor<f64>
// CHECK-NEXT:       sym.emit %x, %t : tensor<f64>
// CHECK-NEXT:     }
// CHECK-NEXT:   }

// GENERIC-NEXT:   "sym.operator"() <{sym_name = "hop", space = #sym.space<4 x [0, 1, 2]>, element = f64, hermitian, projected, parameter_names = ["t"], defaults = [dense<1.000000e+00> : tensor<f64>]}> ({
// GENERIC-NEXT:   ^bb0(%t: tensor<f64>):
// GENERIC-NEXT:     "sym.term"() <{sym_name = "bulk", rows = #sym.rows<[0, 1], [1, 2], [2, 3]>, fanout = 7 : i64, group = 0 : i64}> ({
// GENERIC-NEXT:     ^bb0(%x: !sym.config, %i: !sym.site, %j: !sym.site):
// GENERIC-NEXT:       %ni = "sym.read"(%x, %i) : (!sym.config, !sym.site) -> tensor<f64>
// GENERIC-NEXT:       %n = "sym.index"(%i) : (!sym.site) -> tensor<i32>
// GENERIC-NEXT:       %zero = "stablehlo.constant"() <{value = dense<0.000000e+00> : tensor<f64>}> : () -> tensor<f64>
// GENERIC-NEXT:       %ok = "stablehlo.compare"(%ni, %zero) <{comparison_direction = #stablehlo<comparison_direction GT>}> : (tensor<f64>, tensor<f64>) -> tensor<i1>
// GENERIC-NEXT:       %in = "sym.allowed"(%ni, %j) : (tensor<f64>, !sym.site) -> tensor<i1>
// GENERIC-NEXT:       %p = "stablehlo.and"(%ok, %in) : (tensor<i1>, tensor<i1>) -> tensor<i1>
// GENERIC-NEXT:       %m = "stablehlo.constant"() <{value = dense<-1.000000e+00> : tensor<f64>}> : () -> tensor<f64>
// GENERIC-NEXT:       %y0 = "sym.shift"(%x, %i, %m) : (!sym.config, !sym.site, tensor<f64>) -> !sym.config
// GENERIC-NEXT:       %y1 = "sym.write"(%y0, %j, %ni) : (!sym.config, !sym.site, tensor<f64>) -> !sym.config
// GENERIC-NEXT:       %y2 = "sym.swap"(%y1, %i, %j) : (!sym.config, !sym.site, !sym.site) -> !sym.config
// GENERIC-NEXT:       %y3 = "sym.select"(%p, %y2, %x) : (tensor<i1>, !sym.config, !sym.config) -> !sym.config
// GENERIC-NEXT:       "sym.emit"(%y3, %t, %p) <{tag = "hop"}> : (!sym.config, tensor<f64>, tensor<i1>) -> ()
// GENERIC-NEXT:       "sym.emit"(%x, %t, %p) : (!sym.config, tensor<f64>, tensor<i1>) -> ()
// GENERIC-NEXT:       "sym.emit"(%x, %t) <{tag = "diagonal"}> : (!sym.config, tensor<f64>) -> ()
// GENERIC-NEXT:       "sym.emit"(%x, %t) : (!sym.config, tensor<f64>) -> ()
// GENERIC-NEXT:     }) : () -> ()
// GENERIC-NEXT:   }) : () -> ()

// An operator without parameters and terms.
sym.operator @zero() space #sym.space<1 x [-0.5, 0.5]> element f32 {}

// CHECK-NEXT:   sym.operator @zero() space #sym.space<1 x [-0.5, 0.5]> element f32 {
// CHECK-NEXT:   }
// GENERIC-NEXT:   "sym.operator"() <{sym_name = "zero", space = #sym.space<1 x [-0.5, 0.5]>, element = f32, parameter_names = [], defaults = []}> ({
// GENERIC-NEXT:   ^bb0:
// GENERIC-NEXT:   }) : () -> ()

// A term without labels has one row; parameters without a default, real and complex;
// names that need quotes; discardable attributes.
sym.operator @global(%a "a" : tensor<f32>, %b "the \22phase\22" : tensor<complex<f32>> = dense<(0.0, 1.0)>)
    space #sym.space<2 x [0, 1], [-1, 0, 1]> element complex<f32>
    attributes {note = "first"} {
  sym.term @"all of it" over #sym.rows<[]> attributes {note = "second"} {
  ^bb0(%x : !sym.config):
    %c = stablehlo.convert %a : (tensor<f32>) -> tensor<complex<f32>>
    %d = stablehlo.multiply %c, %b : tensor<complex<f32>>
    sym.emit %x, %d {note = "third"} : tensor<complex<f32>>
  }
}

// CHECK-NEXT:   sym.operator @global(%a "a" : tensor<f32>, %b "the \22phase\22" : tensor<complex<f32>> = dense<(0.000000e+00,1.000000e+00)>) space #sym.space<2 x [0, 1], [-1, 0, 1]> element complex<f32> attributes {note = "first"} {
// CHECK-NEXT:     sym.term @"all of it" over #sym.rows<[]> attributes {note = "second"} {
// CHECK-NEXT:     ^bb0(%{{.*}}: !sym.config):
// CHECK-NEXT:       %c = stablehlo.convert %a : (tensor<f32>) -> tensor<complex<f32>>
// CHECK-NEXT:       %d = stablehlo.multiply %c, %b : tensor<complex<f32>>
// CHECK-NEXT:       sym.emit %{{.*}}, %d {note = "third"} : tensor<complex<f32>>
// CHECK-NEXT:     }
// CHECK-NEXT:   }
// GENERIC-NEXT:   "sym.operator"() <{sym_name = "global", space = #sym.space<2 x [0, 1], [-1, 0, 1]>, element = complex<f32>, parameter_names = ["a", "the \22phase\22"], defaults = [unit, dense<(0.000000e+00,1.000000e+00)> : tensor<complex<f32>>]}> ({
// GENERIC-NEXT:   ^bb0(%a: tensor<f32>, %b: tensor<complex<f32>>):
// GENERIC-NEXT:     "sym.term"() <{sym_name = "all of it", rows = #sym.rows<[]>}> ({
// GENERIC:        }) {note = "second"} : () -> ()
// GENERIC-NEXT:   }) {note = "first"} : () -> ()

// Data columns follow the sites; a table without rows keeps its labels; rows may repeat.
sym.operator @data() space #sym.space<3 x [-1, 1]> element f64 {
  sym.term @zz over #sym.rows<[0, 1], [1, 2], [0, 1]> data [
    #sym.column<"J", dense<[1.0, 2.0, 3.0]> : tensor<3xf64>>,
    #sym.column<"on", dense<[true, false, true]> : tensor<3xi1>>,
    #sym.column<"layer", dense<7> : tensor<3xi32>>
  ] {
  ^bb0(%x : !sym.config, %i : !sym.site, %j : !sym.site, %J : tensor<f64>, %on : tensor<i1>, %layer : tensor<i32>):
    sym.emit %x, %J if %on : tensor<f64>
  }
  sym.term @empty over #sym.rows<0 x 1> data [#sym.column<"J", dense<> : tensor<0xf64>>] {
  ^bb0(%x : !sym.config, %i : !sym.site, %J : tensor<f64>):
    sym.emit %x, %J : tensor<f64>
  }
}

// CHECK-NEXT:   sym.operator @data() space #sym.space<3 x [-1, 1]> element f64 {
// CHECK-NEXT:     sym.term @zz over #sym.rows<[0, 1], [1, 2], [0, 1]> data [#sym.column<"J", dense<[1.000000e+00, 2.000000e+00, 3.000000e+00]> : tensor<3xf64>>, #sym.column<"on", dense<[true, false, true]> : tensor<3xi1>>, #sym.column<"layer", dense<7> : tensor<3xi32>>] {
// CHECK-NEXT:     ^bb0(%{{.*}}: !sym.config, %{{.*}}: !sym.site, %{{.*}}: !sym.site, %J: tensor<f64>, %on: tensor<i1>, %layer: tensor<i32>):
// CHECK-NEXT:       sym.emit %{{.*}}, %J if %on : tensor<f64>
// CHECK-NEXT:     }
// CHECK-NEXT:     sym.term @empty over #sym.rows<0 x 1> data [#sym.column<"J", dense<> : tensor<0xf64>>] {
// CHECK-NEXT:     ^bb0(%{{.*}}: !sym.config, %{{.*}}: !sym.site, %{{.*}}: tensor<f64>):
// CHECK-NEXT:       sym.emit %{{.*}}, %{{.*}} : tensor<f64>
// CHECK-NEXT:     }
// CHECK-NEXT:   }
// GENERIC:        "sym.term"() <{sym_name = "zz", rows = #sym.rows<[0, 1], [1, 2], [0, 1]>, columns = [#sym.column<"J", dense<[1.000000e+00, 2.000000e+00, 3.000000e+00]> : tensor<3xf64>>, #sym.column<"on", dense<[true, false, true]> : tensor<3xi1>>, #sym.column<"layer", dense<7> : tensor<3xi32>>]}> ({

// Generic syntax is read as well.
"sym.operator"() <{sym_name = "generic", space = #sym.space<1 x [0, 1]>, element = complex<f64>, hermitian, parameter_names = ["g"], defaults = [unit]}> ({
^bb0(%g : tensor<complex<f64>>):
  "sym.term"() <{sym_name = "flip", rows = #sym.rows<[0]>}> ({
  ^bb0(%x : !sym.config, %i : !sym.site):
    %v = "sym.read"(%x, %i) : (!sym.config, !sym.site) -> tensor<f64>
    %y = "sym.write"(%x, %i, %v) : (!sym.config, !sym.site, tensor<f64>) -> !sym.config
    "sym.emit"(%y, %g) : (!sym.config, tensor<complex<f64>>) -> ()
  }) : () -> ()
}) : () -> ()

// CHECK-NEXT:   sym.operator @generic(%g "g" : tensor<complex<f64>>) space #sym.space<1 x [0, 1]> element complex<f64> hermitian {
// CHECK-NEXT:     sym.term @flip over #sym.rows<[0]> {
// CHECK-NEXT:     ^bb0(%[[X:.*]]: !sym.config, %[[I:.*]]: !sym.site):
// CHECK-NEXT:       %[[V:.*]] = sym.read %[[X]][%[[I]]] : tensor<f64>
// CHECK-NEXT:       %[[Y:.*]] = sym.write %[[X]][%[[I]]], %[[V]] : tensor<f64>
// CHECK-NEXT:       sym.emit %[[Y]], %g : tensor<complex<f64>>
// CHECK-NEXT:     }
// CHECK-NEXT:   }

// Computed sites, site sets, reductions and undefined values.
sym.operator @second() space #sym.space<3 x [0, 1]> element f64 {
  sym.term @t over #sym.rows<[0], [1]> sets [#sym.sets<[0, 1], []>] {
  ^bb0(%x : !sym.config, %i : !sym.site, %s : !sym.sites):
    %one = stablehlo.constant dense<1.0> : tensor<f64>
    %a = stablehlo.constant dense<1> : tensor<i32>
    %y = sym.shift_mod %x[%i] by %one : tensor<f64>
    %z = sym.affine %y[%i] scale %one bias %one : tensor<f64>
    %e = sym.element %s[1]
    %j = sym.site %one : tensor<f64>
    %l = sym.site %a : tensor<i32>
    %w = sym.permute %z[%i, %e, %j]
    %n = sym.invalid
    %m = sym.invalid "a reason"
    %k = sym.local_index %one at %i : tensor<f64>
    %v = sym.local_value %k at %i : tensor<f64>
    %t = sym.lookup dense<[0.5, 1.0]> : tensor<2xf64> at %a : tensor<i32> -> tensor<f64>
    %own = sym.own_rule %t of "f" : tensor<f64>
    %r0 = sym.reduce sum over %s : tensor<f64> {
    ^bb0(%h : !sym.site):
      %q = sym.read %w[%h] : tensor<f64>
      sym.yield %q : tensor<f64>
    }
    %p = stablehlo.constant dense<true> : tensor<i1>
    %r1 = sym.reduce parity from %a to %a : tensor<i1> attributes {note = "b"} {
    ^bb0(%h : !sym.site):
      sym.yield %p : tensor<i1>
    }
    %r2 = sym.reduce prod : tensor<f64> {
    ^bb0(%h : !sym.site):
      sym.yield %one : tensor<f64>
    }
    sym.emit %x, %r0 if %r1 : tensor<f64>
  }
}

// CHECK-NEXT:   sym.operator @second() space #sym.space<3 x [0, 1]> element f64 {
// CHECK-NEXT:     sym.term @t over #sym.rows<[0], [1]> sets [#sym.sets<[0, 1], []>] {
// CHECK-NEXT:     ^bb0(%{{.*}}: !sym.config, %{{.*}}: !sym.site, %{{.*}}: !sym.sites):
// CHECK-NEXT:       %one = stablehlo.constant dense<1.000000e+00> : tensor<f64>
// CHECK-NEXT:       %a = stablehlo.constant dense<1> : tensor<i32>
// CHECK-NEXT:       %y = sym.shift_mod %{{.*}}[%{{.*}}] by %one : tensor<f64>
// CHECK-NEXT:       %z = sym.affine %y[%{{.*}}] scale %one bias %one : tensor<f64>
// CHECK-NEXT:       %e = sym.element %{{.*}}[1]
// CHECK-NEXT:       %j = sym.site %one : tensor<f64>
// CHECK-NEXT:       %l = sym.site %a : tensor<i32>
// CHECK-NEXT:       %w = sym.permute %z[%{{.*}}, %e, %j]
// CHECK-NEXT:       %n = sym.invalid
// CHECK-NEXT:       %m = sym.invalid "a reason"
// CHECK-NEXT:       %k = sym.local_index %one at %{{.*}} : tensor<f64>
// CHECK-NEXT:       %v = sym.local_value %k at %{{.*}} : tensor<f64>
// CHECK-NEXT:       %t = sym.lookup dense<[5.000000e-01, 1.000000e+00]> : tensor<2xf64> at %a : tensor<i32> -> tensor<f64>
// CHECK-NEXT:       %own = sym.own_rule %t of "f" : tensor<f64>
// CHECK-NEXT:       %r0 = sym.reduce sum over %{{.*}} : tensor<f64> {
// CHECK-NEXT:       ^bb0(%{{.*}}: !sym.site):
// CHECK-NEXT:         %q = sym.read %w[%{{.*}}] : tensor<f64>
// CHECK-NEXT:         sym.yield %q : tensor<f64>
// CHECK-NEXT:       }
// CHECK-NEXT:       %p = stablehlo.constant dense<true> : tensor<i1>
// CHECK-NEXT:       %r1 = sym.reduce parity from %a to %a : tensor<i1> attributes {note = "b"} {
// CHECK-NEXT:       ^bb0(%{{.*}}: !sym.site):
// CHECK-NEXT:         sym.yield %p : tensor<i1>
// CHECK-NEXT:       }
// CHECK-NEXT:       %r2 = sym.reduce prod : tensor<f64> {
// CHECK-NEXT:       ^bb0(%{{.*}}: !sym.site):
// CHECK-NEXT:         sym.yield %one : tensor<f64>
// CHECK-NEXT:       }
// CHECK-NEXT:       sym.emit %{{.*}}, %r0 if %r1 : tensor<f64>
// CHECK-NEXT:     }
// CHECK-NEXT:   }
// GENERIC:      %e = "sym.element"(%{{.*}}) <{position = 1 : i64}> : (!sym.sites) -> !sym.site
// GENERIC:      %w = "sym.permute"(%z, %{{.*}}, %e, %j) : (!sym.config, !sym.site, !sym.site, !sym.site) -> !sym.config
// GENERIC:      %n = "sym.invalid"() : () -> !sym.config
// GENERIC:      %m = "sym.invalid"() <{reason = "a reason"}> : () -> !sym.config
// GENERIC:      %t = "sym.lookup"(%a) <{table = dense<[5.000000e-01, 1.000000e+00]> : tensor<2xf64>}> : (tensor<i32>) -> tensor<f64>
// GENERIC-NEXT: %own = "sym.own_rule"(%t) <{function = "f"}> : (tensor<f64>) -> tensor<f64>
// GENERIC:      %r0 = "sym.reduce"(%{{.*}}) <{kind = #sym<reduction sum>, operandSegmentSizes = array<i32: 1, 0, 0>}> ({
// GENERIC:      %r1 = "sym.reduce"(%a, %a) <{kind = #sym<reduction parity>, operandSegmentSizes = array<i32: 0, 1, 1>}> ({
// GENERIC:      %r2 = "sym.reduce"() <{kind = #sym<reduction prod>, operandSegmentSizes = array<i32: 0, 0, 0>}> ({

// What is declared not to be Hermitian.
sym.operator @lower() space #sym.space<1 x [0, 1]> element f64 not_hermitian projected {}
// CHECK-NEXT:   sym.operator @lower() space #sym.space<1 x [0, 1]> element f64 not_hermitian projected {
// CHECK-NEXT:   }
// GENERIC:      "sym.operator"() <{sym_name = "lower", space = #sym.space<1 x [0, 1]>, element = f64, not_hermitian, projected, parameter_names = [], defaults = []}> ({
// CHECK-NEXT: }
