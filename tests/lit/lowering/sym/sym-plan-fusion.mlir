// RUN: symir-opt %s -p sym-plan-fusion --split-input-file | filecheck %s

// Neighbours that differ in rows and constants only are one group; the last one is not.
sym.operator @two() space #sym.space<3 x [0, 1]> element f64 {
  sym.term @a over #sym.rows<[0], [1]> {
  ^bb0(%x : !sym.config, %i : !sym.site):
    %c = stablehlo.constant dense<1.0> : tensor<f64>
    sym.emit %x, %c : tensor<f64>
  }
  sym.term @b over #sym.rows<[2]> {
  ^bb0(%x : !sym.config, %i : !sym.site):
    %c = stablehlo.constant dense<2.0> : tensor<f64>
    sym.emit %x, %c : tensor<f64>
  }
  sym.term @c over #sym.rows<[2]> {
  ^bb0(%x : !sym.config, %i : !sym.site):
    %c = sym.read %x[%i] : tensor<f64>
    sym.emit %x, %c : tensor<f64>
  }
}

// CHECK-LABEL: sym.operator @two()
// CHECK-NEXT:    sym.term @a over #sym.rows<[0], [1]> group 0 {
// CHECK:         sym.term @b over #sym.rows<[2]> group 0 {
// CHECK:         sym.term @c over #sym.rows<[2]> {

// -----

// Nothing is marked: a fanout is promised of a term alone, and @c is no neighbour of @b.
// A mark that is there goes.
sym.operator @none() space #sym.space<3 x [0, 1]> element f64 {
  sym.term @a over #sym.rows<[0], [1]> fanout 1 {
  ^bb0(%x : !sym.config, %i : !sym.site):
    %c = stablehlo.constant dense<1.0> : tensor<f64>
    sym.emit %x, %c : tensor<f64>
  }
  sym.term @b over #sym.rows<[2]> group 0 {
  ^bb0(%x : !sym.config, %i : !sym.site):
    %c = stablehlo.constant dense<1.0> : tensor<f64>
    sym.emit %x, %c : tensor<f64>
  }
  sym.term @between over #sym.rows<[2]> {
  ^bb0(%x : !sym.config, %i : !sym.site):
    %c = sym.read %x[%i] : tensor<f64>
    sym.emit %x, %c : tensor<f64>
  }
  sym.term @c over #sym.rows<[2]> {
  ^bb0(%x : !sym.config, %i : !sym.site):
    %c = stablehlo.constant dense<1.0> : tensor<f64>
    sym.emit %x, %c : tensor<f64>
  }
}

// CHECK-LABEL: sym.operator @none()
// CHECK-NEXT:    sym.term @a over #sym.rows<[0], [1]> fanout 1 {
// CHECK:         sym.term @b over #sym.rows<[2]> {
// CHECK:         sym.term @between over #sym.rows<[2]> {
// CHECK:         sym.term @c over #sym.rows<[2]> {
