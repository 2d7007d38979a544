// RUN: symir-opt %s -p canonicalize | symir-opt | filecheck %s

// Each pattern with a case where it applies and one where it must not. Two labels may
// name the same site, so that only the same SSA value is known to be the same site.

// CHECK-LABEL: sym.operator @forward_write_to_read
sym.operator @forward_write_to_read() space #sym.space<2 x [0, 1]> element f64 {
  // The read sees the value of the write.
  // CHECK:      sym.term @same
  // CHECK-NEXT: ^bb0(%x: !sym.config, %i: !sym.site, %v: tensor<f64>):
  // CHECK-NEXT:   %y = sym.write %x[%i], %v : tensor<f64>
  // CHECK-NEXT:   sym.emit %y, %v : tensor<f64>
  // CHECK-NEXT: }
  sym.term @same over #sym.rows<[0]> data [#sym.column<"v", dense<1.0> : tensor<1xf64>>] {
  ^bb0(%x : !sym.config, %i : !sym.site, %v : tensor<f64>):
    %y = sym.write %x[%i], %v : tensor<f64>
    %r = sym.read %y[%i] : tensor<f64>
    sym.emit %y, %r : tensor<f64>
  }
  // Another label may be the same site or not.
  // CHECK-NEXT: sym.term @other
  // CHECK-NEXT: ^bb0(%[[X:.*]]: !sym.config, %[[I:.*]]: !sym.site, %[[J:.*]]: !sym.site, %[[V:.*]]: tensor<f64>):
  // CHECK-NEXT:   %[[Y:.*]] = sym.write %[[X]][%[[I]]], %[[V]] : tensor<f64>
  // CHECK-NEXT:   %[[R:.*]] = sym.read %[[Y]][%[[J]]] : tensor<f64>
  // CHECK-NEXT:   sym.emit %[[Y]], %[[R]] : tensor<f64>
  // CHECK-NEXT: }
  sym.term @other over #sym.rows<[0, 1]> data [#sym.column<"v", dense<1.0> : tensor<1xf64>>] {
  ^bb0(%x : !sym.config, %i : !sym.site, %j : !sym.site, %v : tensor<f64>):
    %y = sym.write %x[%i], %v : tensor<f64>
    %r = sym.read %y[%j] : tensor<f64>
    sym.emit %y, %r : tensor<f64>
  }
  // A shift is not a write, and a write on another configuration says nothing.
  // CHECK-NEXT: sym.term @source
  // CHECK-NEXT: ^bb0(%[[X:.*]]: !sym.config, %[[I:.*]]: !sym.site, %[[V:.*]]: tensor<f64>):
  // CHECK-NEXT:   %[[Y:.*]] = sym.write %[[X]][%[[I]]], %[[V]] : tensor<f64>
  // CHECK-NEXT:   %[[R:.*]] = sym.read %[[X]][%[[I]]] : tensor<f64>
  // CHECK-NEXT:   %[[Z:.*]] = sym.shift %[[Y]][%[[I]]] by %[[R]] : tensor<f64>
  // CHECK-NEXT:   %[[S:.*]] = sym.read %[[Z]][%[[I]]] : tensor<f64>
  // CHECK-NEXT:   sym.emit %[[Z]], %[[S]] : tensor<f64>
  // CHECK-NEXT: }
  sym.term @source over #sym.rows<[0]> data [#sym.column<"v", dense<1.0> : tensor<1xf64>>] {
  ^bb0(%x : !sym.config, %i : !sym.site, %v : tensor<f64>):
    %y = sym.write %x[%i], %v : tensor<f64>
    %r = sym.read %x[%i] : tensor<f64>
    %z = sym.shift %y[%i] by %r : tensor<f64>
    %s = sym.read %z[%i] : tensor<f64>
    sym.emit %z, %s : tensor<f64>
  }
}

// CHECK-LABEL: sym.operator @drop_write_of_read
sym.operator @drop_write_of_read(%a "a" : tensor<f64>) space #sym.space<2 x [0, 1]> element f64 {
  // Writing what is there changes nothing.
  // CHECK:      sym.term @same
  // CHECK-NEXT: ^bb0(%[[X:.*]]: !sym.config, %{{.*}}: !sym.site):
  // CHECK-NEXT:   sym.emit %[[X]], %a : tensor<f64>
  // CHECK-NEXT: }
  sym.term @same over #sym.rows<[0]> {
  ^bb0(%x : !sym.config, %i : !sym.site):
    %v = sym.read %x[%i] : tensor<f64>
    %y = sym.write %x[%i], %v : tensor<f64>
    sym.emit %y, %a : tensor<f64>
  }
  // The value of another site.
  // CHECK-NEXT: sym.term @other_site
  // CHECK-NEXT: ^bb0(%[[X:.*]]: !sym.config, %[[I:.*]]: !sym.site, %[[J:.*]]: !sym.site):
  // CHECK-NEXT:   %[[V:.*]] = sym.read %[[X]][%[[I]]] : tensor<f64>
  // CHECK-NEXT:   %[[Y:.*]] = sym.write %[[X]][%[[J]]], %[[V]] : tensor<f64>
  // CHECK-NEXT:   sym.emit %[[Y]], %a : tensor<f64>
  // CHECK-NEXT: }
  sym.term @other_site over #sym.rows<[0, 1]> {
  ^bb0(%x : !sym.config, %i : !sym.site, %j : !sym.site):
    %v = sym.read %x[%i] : tensor<f64>
    %y = sym.write %x[%j], %v : tensor<f64>
    sym.emit %y, %a : tensor<f64>
  }
  // The value of another configuration: this write undoes the shift.
  // CHECK-NEXT: sym.term @other_config
  // CHECK-NEXT: ^bb0(%[[X:.*]]: !sym.config, %[[I:.*]]: !sym.site):
  // CHECK-NEXT:   %[[V:.*]] = sym.read %[[X]][%[[I]]] : tensor<f64>
  // CHECK-NEXT:   %[[Y:.*]] = sym.shift %[[X]][%[[I]]] by %[[V]] : tensor<f64>
  // CHECK-NEXT:   %[[Z:.*]] = sym.write %[[Y]][%[[I]]], %[[V]] : tensor<f64>
  // CHECK-NEXT:   sym.emit %[[Z]], %a : tensor<f64>
  // CHECK-NEXT: }
  sym.term @other_config over #sym.rows<[0]> {
  ^bb0(%x : !sym.config, %i : !sym.site):
    %v = sym.read %x[%i] : tensor<f64>
    %y = sym.shift %x[%i] by %v : tensor<f64>
    %z = sym.write %y[%i], %v : tensor<f64>
    sym.emit %z, %a : tensor<f64>
  }
}

// CHECK-LABEL: sym.operator @drop_overwritten_write
sym.operator @drop_overwritten_write(%a "a" : tensor<f64>, %b "b" : tensor<f64>) space #sym.space<2 x [0, 1]> element f64 {
  // The later write of the same site wins.
  // CHECK:      sym.term @same
  // CHECK-NEXT: ^bb0(%[[X:.*]]: !sym.config, %[[I:.*]]: !sym.site):
  // CHECK-NEXT:   %[[Y:.*]] = sym.write %[[X]][%[[I]]], %b : tensor<f64>
  // CHECK-NEXT:   sym.emit %[[Y]], %a : tensor<f64>
  // CHECK-NEXT: }
  sym.term @same over #sym.rows<[0]> {
  ^bb0(%x : !sym.config, %i : !sym.site):
    %y = sym.write %x[%i], %a : tensor<f64>
    %z = sym.write %y[%i], %b : tensor<f64>
    sym.emit %z, %a : tensor<f64>
  }
  // The first write stays where something else needs it.
  // CHECK-NEXT: sym.term @both_used
  // CHECK-NEXT: ^bb0(%[[X:.*]]: !sym.config, %[[I:.*]]: !sym.site):
  // CHECK-NEXT:   %[[Y:.*]] = sym.write %[[X]][%[[I]]], %a : tensor<f64>
  // CHECK-NEXT:   %[[Z:.*]] = sym.write %[[X]][%[[I]]], %b : tensor<f64>
  // CHECK-NEXT:   sym.emit %[[Y]], %a : tensor<f64>
  // CHECK-NEXT:   sym.emit %[[Z]], %a : tensor<f64>
  // CHECK-NEXT: }
  sym.term @both_used over #sym.rows<[0]> {
  ^bb0(%x : !sym.config, %i : !sym.site):
    %y = sym.write %x[%i], %a : tensor<f64>
    %z = sym.write %y[%i], %b : tensor<f64>
    sym.emit %y, %a : tensor<f64>
    sym.emit %z, %a : tensor<f64>
  }
  // Another label.
  // CHECK-NEXT: sym.term @other
  // CHECK-NEXT: ^bb0(%[[X:.*]]: !sym.config, %[[I:.*]]: !sym.site, %[[J:.*]]: !sym.site):
  // CHECK-NEXT:   %[[Y:.*]] = sym.write %[[X]][%[[I]]], %a : tensor<f64>
  // CHECK-NEXT:   %[[Z:.*]] = sym.write %[[Y]][%[[J]]], %b : tensor<f64>
  // CHECK-NEXT:   sym.emit %[[Z]], %a : tensor<f64>
  // CHECK-NEXT: }
  sym.term @other over #sym.rows<[0, 1]> {
  ^bb0(%x : !sym.config, %i : !sym.site, %j : !sym.site):
    %y = sym.write %x[%i], %a : tensor<f64>
    %z = sym.write %y[%j], %b : tensor<f64>
    sym.emit %z, %a : tensor<f64>
  }
}

// CHECK-LABEL: sym.operator @fold_select
sym.operator @fold_select(%a "a" : tensor<f64>) space #sym.space<2 x [0, 1]> element f64 {
  // CHECK:      sym.term @same
  // CHECK-NEXT: ^bb0(%[[X:.*]]: !sym.config, %{{.*}}: tensor<i1>):
  // CHECK-NEXT:   sym.emit %[[X]], %a : tensor<f64>
  // CHECK-NEXT: }
  sym.term @same over #sym.rows<[]> data [#sym.column<"p", dense<true> : tensor<1xi1>>] {
  ^bb0(%x : !sym.config, %p : tensor<i1>):
    %y = sym.select %p, %x, %x
    sym.emit %y, %a : tensor<f64>
  }
  // CHECK-NEXT: sym.term @constant
  // CHECK-NEXT: ^bb0(%[[X:.*]]: !sym.config, %[[I:.*]]: !sym.site):
  // CHECK-NEXT:   %[[Y:.*]] = sym.write %[[X]][%[[I]]], %a : tensor<f64>
  // CHECK-NEXT:   sym.emit %[[Y]], %a tag "true" : tensor<f64>
  // CHECK-NEXT:   sym.emit %[[X]], %a tag "false" : tensor<f64>
  // CHECK-NEXT: }
  sym.term @constant over #sym.rows<[0]> {
  ^bb0(%x : !sym.config, %i : !sym.site):
    %y = sym.write %x[%i], %a : tensor<f64>
    %true = stablehlo.constant dense<true> : tensor<i1>
    %false = stablehlo.constant dense<false> : tensor<i1>
    %z = sym.select %true, %y, %x
    %w = sym.select %false, %y, %x
    sym.emit %z, %a tag "true" : tensor<f64>
    sym.emit %w, %a tag "false" : tensor<f64>
  }
  // CHECK-NEXT: sym.term @unknown
  // CHECK-NEXT: ^bb0(%[[X:.*]]: !sym.config, %[[I:.*]]: !sym.site, %[[P:.*]]: tensor<i1>):
  // CHECK-NEXT:   %[[Y:.*]] = sym.write %[[X]][%[[I]]], %a : tensor<f64>
  // CHECK-NEXT:   %[[Z:.*]] = sym.select %[[P]], %[[Y]], %[[X]]
  // CHECK-NEXT:   sym.emit %[[Z]], %a : tensor<f64>
  // CHECK-NEXT: }
  sym.term @unknown over #sym.rows<[0]> data [#sym.column<"p", dense<true> : tensor<1xi1>>] {
  ^bb0(%x : !sym.config, %i : !sym.site, %p : tensor<i1>):
    %y = sym.write %x[%i], %a : tensor<f64>
    %z = sym.select %p, %y, %x
    sym.emit %z, %a : tensor<f64>
  }
}

// CHECK-LABEL: sym.operator @drop_true_predicate
sym.operator @drop_true_predicate(%a "a" : tensor<f64>) space #sym.space<2 x [0, 1]> element f64 {
  // A predicate that is false keeps its lane: lanes are not dropped here.
  // CHECK:      sym.term @b
  // CHECK-NEXT: ^bb0(%[[X:.*]]: !sym.config, %[[P:.*]]: tensor<i1>):
  // CHECK-NEXT:   %false = stablehlo.constant dense<false> : tensor<i1>
  // CHECK-NEXT:   sym.emit %[[X]], %a tag "true" : tensor<f64>
  // CHECK-NEXT:   sym.emit %[[X]], %a : tensor<f64>
  // CHECK-NEXT:   sym.emit %[[X]], %a if %false tag "false" : tensor<f64>
  // CHECK-NEXT:   sym.emit %[[X]], %a if %[[P]] tag "unknown" : tensor<f64>
  // CHECK-NEXT: }
  sym.term @b over #sym.rows<[]> data [#sym.column<"p", dense<true> : tensor<1xi1>>] {
  ^bb0(%x : !sym.config, %p : tensor<i1>):
    %true = stablehlo.constant dense<true> : tensor<i1>
    %false = stablehlo.constant dense<false> : tensor<i1>
    sym.emit %x, %a if %true tag "true" : tensor<f64>
    sym.emit %x, %a if %true : tensor<f64>
    sym.emit %x, %a if %false tag "false" : tensor<f64>
    sym.emit %x, %a if %p tag "unknown" : tensor<f64>
  }
}

// CHECK-LABEL: sym.operator @drop_empty_term
sym.operator @drop_empty_term(%a "a" : tensor<f64>) space #sym.space<2 x [0, 1]> element f64 {
  // CHECK-NOT:  sym.term @empty
  // CHECK:      sym.term @without_labels over #sym.rows<[]> {
  // CHECK-NEXT: ^bb0(%[[X:.*]]: !sym.config):
  // CHECK-NEXT:   sym.emit %[[X]], %a : tensor<f64>
  // CHECK-NEXT: }
  // CHECK-NEXT: }
  sym.term @empty over #sym.rows<0 x 1> {
  ^bb0(%x : !sym.config, %i : !sym.site):
    sym.emit %x, %a : tensor<f64>
  }
  // One row, though it has no sites.
  sym.term @without_labels over #sym.rows<[]> {
  ^bb0(%x : !sym.config):
    sym.emit %x, %a : tensor<f64>
  }
}

// CHECK-LABEL: sym.operator @flip_of_two_states
sym.operator @flip_of_two_states() space #sym.space<2 x [-1, 1]> element f64 {
  // The other one of two values is a difference; of two steps, or of what was not
  // read from x, nothing is known.
  // CHECK:      sym.term @flip
  // CHECK:        %[[R:.*]] = sym.read %x[%i] : tensor<f64>
  // CHECK-NEXT:   %[[V:.*]] = stablehlo.negate %[[R]] : tensor<f64>
  // CHECK-NEXT:   %[[Y:.*]] = sym.write %x[%i], %[[V]] : tensor<f64>
  sym.term @flip over #sym.rows<[0]> {
  ^bb0(%x : !sym.config, %i : !sym.site):
    %one = stablehlo.constant dense<1.0> : tensor<f64>
    %r = sym.read %x[%i] : tensor<f64>
    %k = sym.local_index %r at %i : tensor<f64>
    %n = stablehlo.add %k, %one : tensor<f64>
    %v = sym.local_value %n at %i : tensor<f64>
    %y = sym.write %x[%i], %v : tensor<f64>
    sym.emit %y, %one : tensor<f64>
  }
  // CHECK:      sym.term @two_steps
  // CHECK:        sym.local_value
  sym.term @two_steps over #sym.rows<[0]> {
  ^bb0(%x : !sym.config, %i : !sym.site):
    %two = stablehlo.constant dense<2.0> : tensor<f64>
    %r = sym.read %x[%i] : tensor<f64>
    %k = sym.local_index %r at %i : tensor<f64>
    %n = stablehlo.add %k, %two : tensor<f64>
    %v = sym.local_value %n at %i : tensor<f64>
    %y = sym.write %x[%i], %v : tensor<f64>
    sym.emit %y, %two : tensor<f64>
  }
  // CHECK:      sym.term @computed
  // CHECK:        sym.local_value
  sym.term @computed over #sym.rows<[0]> {
  ^bb0(%x : !sym.config, %i : !sym.site):
    %one = stablehlo.constant dense<1.0> : tensor<f64>
    %r = sym.read %x[%i] : tensor<f64>
    %c = stablehlo.add %r, %one : tensor<f64>
    %k = sym.local_index %c at %i : tensor<f64>
    %n = stablehlo.add %k, %one : tensor<f64>
    %v = sym.local_value %n at %i : tensor<f64>
    %y = sym.write %x[%i], %v : tensor<f64>
    sym.emit %y, %one : tensor<f64>
  }
}

// CHECK-LABEL: sym.operator @flip_of_three_states
sym.operator @flip_of_three_states() space #sym.space<2 x [0, 1, 2]> element f64 {
  // CHECK: sym.local_value
  sym.term @flip over #sym.rows<[0]> {
  ^bb0(%x : !sym.config, %i : !sym.site):
    %one = stablehlo.constant dense<1.0> : tensor<f64>
    %r = sym.read %x[%i] : tensor<f64>
    %k = sym.local_index %r at %i : tensor<f64>
    %n = stablehlo.add %k, %one : tensor<f64>
    %v = sym.local_value %n at %i : tensor<f64>
    %y = sym.write %x[%i], %v : tensor<f64>
    sym.emit %y, %one : tensor<f64>
  }
}
