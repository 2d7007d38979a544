// RUN: symir-opt %s -p sym-fuse-terms --split-input-file --verify-diagnostics | filecheck %s

// Rows follow one another; the constant that differs becomes data, the other one stays.
sym.operator @fused() space #sym.space<3 x [0, 1]> element f64 {
  sym.term @a over #sym.rows<[0], [1]> group 0 {
  ^bb0(%x : !sym.config, %i : !sym.site):
    %half = stablehlo.constant dense<0.5> : tensor<f64>
    %y = sym.write %x[%i], %half : tensor<f64>
    %c = stablehlo.constant dense<1.0> : tensor<f64>
    sym.emit %y, %c tag "t" : tensor<f64>
  }
  sym.term @b over #sym.rows<[2]> group 0 {
  ^bb0(%x : !sym.config, %i : !sym.site):
    %c = stablehlo.constant dense<2.0> : tensor<f64>
    %half = stablehlo.constant dense<0.5> : tensor<f64>
    %y = sym.write %x[%i], %half : tensor<f64>
    sym.emit %y, %c tag "t" : tensor<f64>
  }
}

// CHECK-LABEL: sym.operator @fused() space #sym.space<3 x [0, 1]> element f64 {
// CHECK-NEXT:    sym.term @"a+b" over #sym.rows<[0], [1], [2]> data [#sym.column<"constant0", dense<[1.000000e+00, 1.000000e+00, 2.000000e+00]> : tensor<3xf64>>] {
// CHECK-NEXT:    ^bb0(%x: !sym.config, %i: !sym.site, %constant0: tensor<f64>):
// CHECK-NEXT:      %half = stablehlo.constant dense<5.000000e-01> : tensor<f64>
// CHECK-NEXT:      %y = sym.write %x[%i], %half : tensor<f64>
// CHECK-NEXT:      sym.emit %y, %constant0 tag "t" : tensor<f64>
// CHECK-NEXT:    }
// CHECK-NEXT:  }

// -----

// Data and site sets follow one another, too; a tag that is not the same is dropped.
sym.operator @tables() space #sym.space<3 x [0, 1]> element f64 {
  sym.term @a over #sym.rows<[0]> data [#sym.column<"J", dense<[0.5]> : tensor<1xf64>>] sets [#sym.sets<[0, 1]>] group 7 {
  ^bb0(%x : !sym.config, %i : !sym.site, %J : tensor<f64>, %set : !sym.sites):
    %s = sym.element %set[1]
    %v = sym.read %x[%s] : tensor<f64>
    sym.emit %x, %J tag "one" : tensor<f64>
    sym.emit %x, %v : tensor<f64>
  }
  sym.term @b over #sym.rows<[2]> data [#sym.column<"J", dense<[1.5]> : tensor<1xf64>>] sets [#sym.sets<[2]>] group 7 {
  ^bb0(%x : !sym.config, %i : !sym.site, %J : tensor<f64>, %set : !sym.sites):
    %s = sym.element %set[1]
    %v = sym.read %x[%s] : tensor<f64>
    sym.emit %x, %J tag "two" : tensor<f64>
    sym.emit %x, %v : tensor<f64>
  }
}

// CHECK-LABEL: sym.operator @tables()
// CHECK-NEXT:    sym.term @"a+b" over #sym.rows<[0], [2]> data [#sym.column<"J", dense<[5.000000e-01, 1.500000e+00]> : tensor<2xf64>>] sets [#sym.sets<[0, 1], [2]>] {
// CHECK-NEXT:    ^bb0(%x: !sym.config, %i: !sym.site, %J: tensor<f64>, %set: !sym.sites):
// CHECK:           sym.emit %x, %J : tensor<f64>
// CHECK-NEXT:      sym.emit %x, %v : tensor<f64>
// CHECK-NEXT:    }
// CHECK-NEXT:  }

// -----

// Without a mark nothing happens; a group of one only loses its mark.
sym.operator @alone() space #sym.space<3 x [0, 1]> element f64 {
  sym.term @a over #sym.rows<[0]> {
  ^bb0(%x : !sym.config, %i : !sym.site):
    %c = stablehlo.constant dense<1.0> : tensor<f64>
    sym.emit %x, %c : tensor<f64>
  }
  sym.term @b over #sym.rows<[1]> {
  ^bb0(%x : !sym.config, %i : !sym.site):
    %c = stablehlo.constant dense<1.0> : tensor<f64>
    sym.emit %x, %c : tensor<f64>
  }
  sym.term @c over #sym.rows<[2]> group 0 {
  ^bb0(%x : !sym.config, %i : !sym.site):
    %c = stablehlo.constant dense<1.0> : tensor<f64>
    sym.emit %x, %c : tensor<f64>
  }
}

// CHECK-LABEL: sym.operator @alone()
// CHECK-NEXT:    sym.term @a over #sym.rows<[0]> {
// CHECK:         sym.term @b over #sym.rows<[1]> {
// CHECK:         sym.term @c over #sym.rows<[2]> {

// -----

// A group has to have one structure.
sym.operator @unlike() space #sym.space<3 x [0, 1]> element f64 {
  sym.term @a over #sym.rows<[0]> group 0 {
  ^bb0(%x : !sym.config, %i : !sym.site):
    %c = stablehlo.constant dense<1.0> : tensor<f64>
    sym.emit %x, %c : tensor<f64>
  }
  sym.term @b over #sym.rows<[1]> group 0 {
  ^bb0(%x : !sym.config, %i : !sym.site):
    %c = sym.read %x[%i] : tensor<f64>
    sym.emit %x, %c : tensor<f64>
  }
}

// CHECK: the terms @a, @b of @unlike cannot be fused: @a and @b differ in more than rows, data, constants and tags

// -----

// Lanes keep their places, so the terms of a group are neighbours.
sym.operator @apart() space #sym.space<3 x [0, 1]> element f64 {
  sym.term @a over #sym.rows<[0]> group 0 {
  ^bb0(%x : !sym.config, %i : !sym.site):
    %c = stablehlo.constant dense<1.0> : tensor<f64>
    sym.emit %x, %c : tensor<f64>
  }
  sym.term @b over #sym.rows<[1]> {
  ^bb0(%x : !sym.config, %i : !sym.site):
    %c = stablehlo.constant dense<1.0> : tensor<f64>
    sym.emit %x, %c : tensor<f64>
  }
  sym.term @c over #sym.rows<[1]> group 0 {
  ^bb0(%x : !sym.config, %i : !sym.site):
    %c = stablehlo.constant dense<1.0> : tensor<f64>
    sym.emit %x, %c : tensor<f64>
  }
}

// CHECK: the terms @a, @c of @apart cannot be fused: they are not neighbours: run sym-gather-terms first

// -----

// A fanout is promised of a term alone.
sym.operator @promised() space #sym.space<3 x [0, 1]> element f64 {
  sym.term @a over #sym.rows<[0]> group 0 {
  ^bb0(%x : !sym.config, %i : !sym.site):
    %c = stablehlo.constant dense<1.0> : tensor<f64>
    sym.emit %x, %c : tensor<f64>
  }
  sym.term @b over #sym.rows<[1]> fanout 1 group 0 {
  ^bb0(%x : !sym.config, %i : !sym.site):
    %c = stablehlo.constant dense<1.0> : tensor<f64>
    sym.emit %x, %c : tensor<f64>
  }
}

// CHECK: the terms @a, @b of @promised cannot be fused: @b has a fanout
