// What the compilation of the operator below did.
// RUN: symir explain %s --quiet | filecheck %s
// RUN: symir explain %s:pin --json --quiet | filecheck %s --check-prefix=JSON
// RUN: symir explain %s 2>&1 | filecheck %s --check-prefix=STAGES

// CHECK: pin: 2 sites, float64, hermitian
// CHECK-NEXT: fingerprint: {{[0-9a-f]+}}
// CHECK-NEXT: cache key: symir/{{[0-9a-f]+}}
// CHECK-NEXT: options: the default ones
// CHECK-NEXT: backend: jax, by jax_symbolic_v1
// CHECK-NEXT: levels: sym (8 ops) -> bt ({{[0-9]+}} ops) -> one kernel per batch and dtype
// CHECK-EMPTY:
// CHECK-NEXT: pass stage ms ops before after
// CHECK-NEXT: symbolic_validation pre-cache {{[0-9.]+}} - -
// CHECK: symbolic_fusion_planning post-cache {{[0-9.]+}} - -
// CHECK-NEXT: sym-gather-terms lowering {{[0-9.]+}} 8 8
// CHECK-NEXT: sym-fuse-terms lowering {{[0-9.]+}} 8 6
// CHECK: passes, {{[0-9.]+}} ms
// CHECK-EMPTY:
// CHECK-NEXT: term rows emissions fanout lanes fused into group
// CHECK-NEXT: first 1 1 - 1 0
// CHECK-NEXT: second 2 1 - 2 0
// CHECK-NEXT: both 2 1 1 1 -
// CHECK-NEXT: 3 terms, 4 lanes
// CHECK-EMPTY:
// CHECK-NEXT: array shape dtype bytes per sample default
// CHECK-NEXT: in x (batch, 2) int8 2
// CHECK-NEXT: in h () float64 0 1.5
// CHECK-NEXT: in g () float64 0 none
// CHECK-NEXT: out xp (batch, 4, 2) int8 8
// CHECK-NEXT: out mels (batch, 4) float64 32
// CHECK-EMPTY:
// CHECK-NEXT: diagnostics
// CHECK-NEXT: {{.*}}explain.mlir:{{[0-9]+}}: error W018: both: the fanout promises fewer branches than are valid for every x (fanout 1, 2 branches that are always valid)
// CHECK-NEXT: {{.*}}explain.mlir:{{[0-9]+}}: warning W013: no emission depends on the parameter 'g'
// CHECK-NEXT: {{.*}}explain.mlir:{{[0-9]+}}: note W010: first: no emission of the term uses the label 'i'
// CHECK-NEXT: {{.*}}explain.mlir:{{[0-9]+}}: note W010: second: no emission of the term uses the label 'i'
// CHECK-NEXT: {{.*}}explain.mlir:{{[0-9]+}}: note W020: a fifth of the lanes or more would be one: their emissions write nothing (4 of 4 lanes have x' = x: 1 would be left)
// CHECK-EMPTY:
// CHECK-NEXT: versions: symir {{.*}}, jax {{.*}}, sources {{[0-9a-f]+}}
// CHECK-EMPTY:
// CHECK-NEXT: facts
// CHECK-NEXT: finite unknown 'g' has no value
// CHECK-NEXT: hermitian yes proved: it is real and diagonal by its form

// JSON: "operator": "pin"
// JSON: "lowering": "sym-gather-terms,sym-fuse-terms,
// JSON: "fusion_groups": [
// JSON-NEXT: [
// JSON-NEXT: "first",
// JSON-NEXT: "second"
// JSON: "toolchain": {

// STAGES: starting JAX ... {{[0-9.]+}} s
// STAGES: lowering pin ... {{[0-9.]+}} s
// STAGES: pin: 2 sites

sym.operator @pin(%h "h" : tensor<f64> = dense<1.5>, %g "g" : tensor<f64>) space #sym.space<2 x [0, 1]> element f64 hermitian {
  sym.term @first over #sym.rows<[0]> {
  ^bb0(%x : !sym.config, %i : !sym.site):
    sym.emit %x, %h : tensor<f64>
  }
  sym.term @second over #sym.rows<[1], [0]> {
  ^bb0(%x : !sym.config, %i : !sym.site):
    sym.emit %x, %h : tensor<f64>
  }
  sym.term @both over #sym.rows<[0], [1]> fanout 1 {
  ^bb0(%x : !sym.config, %i : !sym.site):
    %n = sym.read %x[%i] : tensor<f64>
    sym.emit %x, %n : tensor<f64>
  }
}
