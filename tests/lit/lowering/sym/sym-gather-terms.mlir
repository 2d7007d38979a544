// RUN: symir-opt %s -p sym-gather-terms --split-input-file | filecheck %s
// RUN: symir-opt %s -p sym-gather-terms,sym-fuse-terms,convert-sym-to-bt --split-input-file | filecheck %s --check-prefix=BT

// The terms of a group follow its first one; what is in no group keeps its place among
// them. `origins` says which branch each one was; the lane of @b is any of its two.
sym.operator @apart() space #sym.space<3 x [0, 1]> element f64 {
  sym.term @a over #sym.rows<[0]> group 0 {
  ^bb0(%x : !sym.config, %i : !sym.site):
    %c = stablehlo.constant dense<1.0> : tensor<f64>
    sym.emit %x, %c : tensor<f64>
  }
  sym.term @b over #sym.rows<[0], [1]> fanout 1 {
  ^bb0(%x : !sym.config, %i : !sym.site):
    %c = stablehlo.constant dense<1.0> : tensor<f64>
    sym.emit %x, %c : tensor<f64>
  }
  sym.term @c over #sym.rows<[1]> group 1 {
  ^bb0(%x : !sym.config, %i : !sym.site):
    %c = stablehlo.constant dense<1.0> : tensor<f64>
    sym.emit %x, %c : tensor<f64>
    sym.emit %x, %c : tensor<f64>
  }
  sym.term @d over #sym.rows<[2], [0]> group 0 {
  ^bb0(%x : !sym.config, %i : !sym.site):
    %c = stablehlo.constant dense<1.0> : tensor<f64>
    sym.emit %x, %c : tensor<f64>
  }
  sym.term @e over #sym.rows<[2]> group 1 {
  ^bb0(%x : !sym.config, %i : !sym.site):
    %c = stablehlo.constant dense<1.0> : tensor<f64>
    sym.emit %x, %c : tensor<f64>
    sym.emit %x, %c : tensor<f64>
  }
}

// CHECK-LABEL: sym.operator @apart() space #sym.space<3 x [0, 1]> element f64 origins #sym.lanes<0, 5, 6, 1:5, 7, 8 of 9> {
// CHECK-NEXT:    sym.term @a over
// CHECK:         sym.term @d over
// CHECK:         sym.term @b over
// CHECK:         sym.term @c over
// CHECK:         sym.term @e over

// BT-LABEL: func.func @apart
// BT:         bt.branches{{.*}} origins #bt.lanes<0, 5, 6 of 9>
// BT:         bt.branches{{.*}} origins #bt.lanes<1, 2 of 9>
// BT:         bt.branches{{.*}} origins #bt.lanes<3, 7 of 9>
// BT-NEXT:    bt.branches{{.*}} origins #bt.lanes<4, 8 of 9>

// -----

// What was moved before is moved on: the first branch was at first the last one.
sym.operator @again() space #sym.space<3 x [0, 1]> element f64 origins #sym.lanes<2, 0, 1 of 3> {
  sym.term @a over #sym.rows<[0]> group 3 {
  ^bb0(%x : !sym.config, %i : !sym.site):
    %c = stablehlo.constant dense<1.0> : tensor<f64>
    sym.emit %x, %c : tensor<f64>
  }
  sym.term @b over #sym.rows<[0]> {
  ^bb0(%x : !sym.config, %i : !sym.site):
    %c = stablehlo.constant dense<1.0> : tensor<f64>
    sym.emit %x, %c : tensor<f64>
  }
  sym.term @c over #sym.rows<[1]> group 3 {
  ^bb0(%x : !sym.config, %i : !sym.site):
    %c = stablehlo.constant dense<1.0> : tensor<f64>
    sym.emit %x, %c : tensor<f64>
  }
}

// CHECK-LABEL: sym.operator @again() {{.*}} origins #sym.lanes<2, 1, 0 of 3> {

// -----

// Neighbours stay where they are, and so do terms without a mark.
sym.operator @neighbours() space #sym.space<3 x [0, 1]> element f64 {
  sym.term @a over #sym.rows<[0]> {
  ^bb0(%x : !sym.config, %i : !sym.site):
    %c = stablehlo.constant dense<1.0> : tensor<f64>
    sym.emit %x, %c : tensor<f64>
  }
  sym.term @b over #sym.rows<[0]> group 0 {
  ^bb0(%x : !sym.config, %i : !sym.site):
    %c = stablehlo.constant dense<1.0> : tensor<f64>
    sym.emit %x, %c : tensor<f64>
  }
  sym.term @c over #sym.rows<[1]> group 0 {
  ^bb0(%x : !sym.config, %i : !sym.site):
    %c = stablehlo.constant dense<1.0> : tensor<f64>
    sym.emit %x, %c : tensor<f64>
  }
  sym.term @d over #sym.rows<[1]> {
  ^bb0(%x : !sym.config, %i : !sym.site):
    %c = stablehlo.constant dense<1.0> : tensor<f64>
    sym.emit %x, %c : tensor<f64>
  }
}

// CHECK-LABEL: sym.operator @neighbours() space #sym.space<3 x [0, 1]> element f64 {
// CHECK-NEXT:    sym.term @a over
// CHECK:         sym.term @b over
// CHECK:         sym.term @c over
// CHECK:         sym.term @d over

// BT-LABEL: func.func @neighbours
// BT:         bt.branches{{.*}} origins #bt.lanes<0 of 4>
// BT:         bt.branches{{.*}} origins #bt.lanes<1, 2 of 4>
// BT:         bt.branches{{.*}} origins #bt.lanes<3 of 4>
