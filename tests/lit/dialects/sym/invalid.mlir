// RUN: symir-opt %s --split-input-file --verify-diagnostics --parsing-diagnostics | filecheck %s

// One case and one message for each rule. Attributes and types come last.

// region The operator

// CHECK: the element type of an operator is f32, f64, complex<f32> or complex<f64>, got i32
sym.operator @a() space #sym.space<2 x [0, 1]> element i32 {}

// -----

// CHECK: the element type of an operator is f32, f64, complex<f32> or complex<f64>, got complex<f16>
sym.operator @a() space #sym.space<2 x [0, 1]> element complex<f16> {}

// -----

// CHECK: an operator is hermitian or not_hermitian, not both
"sym.operator"() <{sym_name = "a", space = #sym.space<2 x [0, 1]>, element = f64, hermitian, not_hermitian, parameter_names = [], defaults = []}> ({
^bb0:
}) : () -> ()

// -----

// CHECK: 1 parameters, 0 names, 0 defaults
"sym.operator"() <{sym_name = "a", space = #sym.space<2 x [0, 1]>, element = f64, parameter_names = [], defaults = []}> ({
^bb0(%t : tensor<f64>):
}) : () -> ()

// -----

// CHECK: 1 parameters, 1 names, 2 defaults
"sym.operator"() <{sym_name = "a", space = #sym.space<2 x [0, 1]>, element = f64, parameter_names = ["t"], defaults = [unit, unit]}> ({
^bb0(%t : tensor<f64>):
}) : () -> ()

// -----

// CHECK: two parameters share a name: ['t', 'u', 't']
sym.operator @a(%a "t" : tensor<f64>, %b "u" : tensor<f64>, %c "t" : tensor<f64>)
    space #sym.space<2 x [0, 1]> element f64 {}

// -----

// CHECK: parameter "t" must be a scalar of the element type f64, got tensor<f32>
sym.operator @a(%t "t" : tensor<f32>) space #sym.space<2 x [0, 1]> element f64 {}

// -----

// CHECK: parameter "t" must be a scalar of the element type f64, got tensor<complex<f64>>
sym.operator @a(%t "t" : tensor<complex<f64>>) space #sym.space<2 x [0, 1]> element f64 {}

// -----

// CHECK: parameter "t" must be a scalar of the element type f64, got tensor<2xf64>
sym.operator @a(%t "t" : tensor<2xf64>) space #sym.space<2 x [0, 1]> element f64 {}

// -----

// CHECK: parameter "t" must be a scalar of the element type complex<f64>, got f64
sym.operator @a(%t "t" : f64) space #sym.space<2 x [0, 1]> element complex<f64> {}

// -----

// CHECK: the default of parameter "t" has type tensor<f32>, expected tensor<f64>
"sym.operator"() <{sym_name = "a", space = #sym.space<2 x [0, 1]>, element = f64, parameter_names = ["t"], defaults = [dense<1.0> : tensor<f32>]}> ({
^bb0(%t : tensor<f64>):
}) : () -> ()

// -----

// CHECK: a parameter of type tensor<2xf64> cannot have a default
sym.operator @a(%t "t" : tensor<2xf64> = dense<1.0>) space #sym.space<2 x [0, 1]> element f64 {}

// -----

// CHECK: a parameter of type !sym.site cannot have a default
sym.operator @a(%t "t" : !sym.site = dense<1.0>) space #sym.space<2 x [0, 1]> element f64 {}

// -----

// CHECK: expected a #sym.space attribute, got 4 : i64
sym.operator @a() space 4 : i64 element f64 {}

// -----

// CHECK: Expected 'space'
sym.operator @a() element f64 {}

// -----

// CHECK: an operator holds sym.term ops only, got 'test.op'
sym.operator @a() space #sym.space<2 x [0, 1]> element f64 {
  "test.op"() : () -> ()
}

// -----

// CHECK: two terms are named @b
sym.operator @a() space #sym.space<2 x [0, 1]> element f64 {
  sym.term @b over #sym.rows<[]> {
  ^bb0(%x : !sym.config):
    %c = stablehlo.constant dense<1.0> : tensor<f64>
    sym.emit %x, %c : tensor<f64>
  }
  sym.term @b over #sym.rows<[]> {
  ^bb0(%x : !sym.config):
    %c = stablehlo.constant dense<1.0> : tensor<f64>
    sym.emit %x, %c : tensor<f64>
  }
}

// -----

// CHECK: Redefinition of symbol "a"
sym.operator @a() space #sym.space<2 x [0, 1]> element f64 {}
sym.operator @a() space #sym.space<2 x [0, 1]> element f64 {}

// -----

// Nothing from outside: parameters are the only way in.
// CHECK: Operation using value defined out of its IsolatedFromAbove parent: EmitOp(sym.emit %x, %c : tensor<f64>)
%c = stablehlo.constant dense<1.0> : tensor<f64>
sym.operator @a() space #sym.space<2 x [0, 1]> element f64 {
  sym.term @b over #sym.rows<[]> {
  ^bb0(%x : !sym.config):
    sym.emit %x, %c : tensor<f64>
  }
}

// -----

// CHECK: Region 'body' at position 0 expected a single block, but got 0 blocks
"sym.operator"() <{sym_name = "a", space = #sym.space<2 x [0, 1]>, element = f64, parameter_names = [], defaults = []}> ({
}) : () -> ()

// -----

// What the ops inside of an operator need is missed before the operator is looked at.
// CHECK: the sym.operator has no property 'element'
"sym.operator"() <{sym_name = "a", space = #sym.space<2 x [0, 1]>, parameter_names = [], defaults = []}> ({
  "sym.term"() <{sym_name = "b", rows = #sym.rows<[]>}> ({
  ^bb0(%x : !sym.config):
    %c = stablehlo.constant dense<1.0> : tensor<f64>
    sym.emit %x, %c : tensor<f64>
  }) : () -> ()
}) : () -> ()

// -----

// CHECK: the sym.operator has no property 'space'
"sym.operator"() <{sym_name = "a", element = f64, parameter_names = [], defaults = []}> ({
  "sym.term"() <{sym_name = "b", rows = #sym.rows<[]>}> ({
  ^bb0(%x : !sym.config):
    %c = stablehlo.constant dense<1.0> : tensor<f64>
    sym.emit %x, %c : tensor<f64>
  }) : () -> ()
}) : () -> ()

// endregion
// region The term

// -----

// CHECK: 'sym.term' expects parent op 'sym.operator'
sym.term @b over #sym.rows<[]> {
^bb0(%x : !sym.config):
  "test.op"() : () -> ()
}

// -----

// CHECK: term @b emits nothing
sym.operator @a() space #sym.space<2 x [0, 1]> element f64 {
  sym.term @b over #sym.rows<[0]> {
  ^bb0(%x : !sym.config, %i : !sym.site):
    %v = sym.read %x[%i] : tensor<f64>
  }
}

// -----

// CHECK: row 1 of term @b is [0, 2], but the lattice has sites 0 to 1
sym.operator @a() space #sym.space<2 x [0, 1]> element f64 {
  sym.term @b over #sym.rows<[0, 1], [0, 2]> {
  ^bb0(%x : !sym.config, %i : !sym.site, %j : !sym.site):
    %c = stablehlo.constant dense<1.0> : tensor<f64>
    sym.emit %x, %c : tensor<f64>
  }
}

// -----

// A negative site does not count from the end.
// CHECK: row 2 of term @b is [-1], but the lattice has sites 0 to 1
sym.operator @a() space #sym.space<2 x [0, 1]> element f64 {
  sym.term @b over #sym.rows<[0], [1], [-1], [-2]> {
  ^bb0(%x : !sym.config, %i : !sym.site):
    %c = stablehlo.constant dense<1.0> : tensor<f64>
    sym.emit %x, %c : tensor<f64>
  }
}

// -----

// CHECK: term @b must have the block arguments (!sym.config, !sym.site), got (!sym.config)
sym.operator @a() space #sym.space<2 x [0, 1]> element f64 {
  sym.term @b over #sym.rows<[0]> {
  ^bb0(%x : !sym.config):
    %c = stablehlo.constant dense<1.0> : tensor<f64>
    sym.emit %x, %c : tensor<f64>
  }
}

// -----

// CHECK: term @b must have the block arguments (!sym.config), got (!sym.site, !sym.config)
sym.operator @a() space #sym.space<2 x [0, 1]> element f64 {
  sym.term @b over #sym.rows<[]> {
  ^bb0(%i : !sym.site, %x : !sym.config):
    %c = stablehlo.constant dense<1.0> : tensor<f64>
    sym.emit %x, %c : tensor<f64>
  }
}

// -----

// CHECK: term @b must have the block arguments (!sym.config, !sym.site, tensor<f64>), got (!sym.config, !sym.site)
sym.operator @a() space #sym.space<2 x [0, 1]> element f64 {
  sym.term @b over #sym.rows<[0]> data [#sym.column<"J", dense<1.0> : tensor<1xf64>>] {
  ^bb0(%x : !sym.config, %i : !sym.site):
    %c = stablehlo.constant dense<1.0> : tensor<f64>
    sym.emit %x, %c : tensor<f64>
  }
}

// -----

// CHECK: data "J" of term @b has shape [3], expected one value for each of 2 rows
sym.operator @a() space #sym.space<2 x [0, 1]> element f64 {
  sym.term @b over #sym.rows<[0], [1]> data [#sym.column<"J", dense<1.0> : tensor<3xf64>>] {
  ^bb0(%x : !sym.config, %i : !sym.site, %J : tensor<f64>):
    sym.emit %x, %J : tensor<f64>
  }
}

// -----

// CHECK: data "J" of term @b has shape [1, 1], expected one value for each of 1 rows
sym.operator @a() space #sym.space<2 x [0, 1]> element f64 {
  sym.term @b over #sym.rows<[0]> data [#sym.column<"J", dense<1.0> : tensor<1x1xf64>>] {
  ^bb0(%x : !sym.config, %i : !sym.site, %J : tensor<f64>):
    sym.emit %x, %J : tensor<f64>
  }
}

// -----

// Unused data counts as well.
// CHECK: data "J" of term @b is tensor<f32> in an operator with element type f64
sym.operator @a() space #sym.space<2 x [0, 1]> element f64 {
  sym.term @b over #sym.rows<[0]> data [#sym.column<"J", dense<1.0> : tensor<1xf32>>] {
  ^bb0(%x : !sym.config, %i : !sym.site, %J : tensor<f32>):
    %c = stablehlo.constant dense<1.0> : tensor<f64>
    sym.emit %x, %c : tensor<f64>
  }
}

// -----

// CHECK: 'stablehlo.constant' in term @b computes with tensor<f32> in an operator with element type f64: a term computes with scalars of i1, i32, f64
sym.operator @a() space #sym.space<2 x [0, 1]> element f64 {
  sym.term @b over #sym.rows<[]> {
  ^bb0(%x : !sym.config):
    %d = stablehlo.constant dense<1.0> : tensor<f32>
    %c = stablehlo.convert %d : (tensor<f32>) -> tensor<f64>
    sym.emit %x, %c : tensor<f64>
  }
}

// -----

// CHECK: 'stablehlo.constant' in term @b computes with tensor<complex<f64>> in an operator with element type f64: a term computes with scalars of i1, i32, f64
sym.operator @a() space #sym.space<2 x [0, 1]> element f64 {
  sym.term @b over #sym.rows<[]> {
  ^bb0(%x : !sym.config):
    %d = stablehlo.constant dense<(1.0, 0.0)> : tensor<complex<f64>>
    %c = stablehlo.constant dense<1.0> : tensor<f64>
    sym.emit %x, %c : tensor<f64>
  }
}

// -----

// CHECK: 'stablehlo.constant' in term @b computes with tensor<2xf64> in an operator with element type complex<f64>: a term computes with scalars of i1, i32, f64, complex<f64>
sym.operator @a() space #sym.space<2 x [0, 1]> element complex<f64> {
  sym.term @b over #sym.rows<[]> {
  ^bb0(%x : !sym.config):
    %d = stablehlo.constant dense<1.0> : tensor<2xf64>
    %c = stablehlo.constant dense<(1.0, 0.0)> : tensor<complex<f64>>
    sym.emit %x, %c : tensor<complex<f64>>
  }
}

// -----

// CHECK: term @b holds 'test.op': a term holds sym and elementwise StableHLO
sym.operator @a() space #sym.space<2 x [0, 1]> element f64 {
  sym.term @b over #sym.rows<[]> {
  ^bb0(%x : !sym.config):
    %c = "test.op"() : () -> tensor<f64>
    sym.emit %x, %c : tensor<f64>
  }
}

// -----

// CHECK: term @b holds 'stablehlo.custom_call': a term holds sym and elementwise StableHLO
sym.operator @a(%c "c" : tensor<f64>) space #sym.space<2 x [0, 1]> element f64 {
  sym.term @b over #sym.rows<[]> {
  ^bb0(%x : !sym.config):
    %d = stablehlo.custom_call @f(%c) : (tensor<f64>) -> tensor<f64>
    sym.emit %x, %d : tensor<f64>
  }
}

// endregion
// region The emission

// -----

// CHECK: 'sym.emit' expects parent op 'sym.term'
%x, %a = "test.op"() : () -> (!sym.config, tensor<f64>)
sym.emit %x, %a : tensor<f64>

// -----

// CHECK: the amplitude has type tensor<complex<f64>>, expected a scalar of the operator's element type f64
sym.operator @a() space #sym.space<2 x [0, 1]> element f64 {
  sym.term @b over #sym.rows<[]> {
  ^bb0(%x : !sym.config):
    %c = stablehlo.constant dense<(1.0, 0.0)> : tensor<complex<f64>>
    sym.emit %x, %c : tensor<complex<f64>>
  }
}

// -----

// CHECK: the amplitude has type tensor<f64>, expected a scalar of the operator's element type complex<f64>
sym.operator @a() space #sym.space<2 x [0, 1]> element complex<f64> {
  sym.term @b over #sym.rows<[]> {
  ^bb0(%x : !sym.config):
    %c = stablehlo.constant dense<1.0> : tensor<f64>
    sym.emit %x, %c : tensor<f64>
  }
}

// -----

// CHECK: expected a scalar, that is a tensor without dimensions
sym.operator @a() space #sym.space<2 x [0, 1]> element f64 {
  sym.term @b over #sym.rows<[]> {
  ^bb0(%x : !sym.config):
    %c = stablehlo.constant dense<1.0> : tensor<1xf64>
    sym.emit %x, %c : tensor<1xf64>
  }
}

// -----

// CHECK:      operand 'predicate' at position 2 does not verify:
// CHECK-NEXT: Expected attribute tensor<i1> but got tensor<f64>
sym.operator @a() space #sym.space<2 x [0, 1]> element f64 {
  sym.term @b over #sym.rows<[]> {
  ^bb0(%x : !sym.config):
    %c = stablehlo.constant dense<1.0> : tensor<f64>
    "sym.emit"(%x, %c, %c) : (!sym.config, tensor<f64>, tensor<f64>) -> ()
  }
}

// -----

// CHECK:      operand 'config' at position 0 does not verify:
// CHECK-NEXT: Expected attribute !sym.config but got !sym.site
sym.operator @a() space #sym.space<2 x [0, 1]> element f64 {
  sym.term @b over #sym.rows<[0]> {
  ^bb0(%x : !sym.config, %i : !sym.site):
    %c = stablehlo.constant dense<1.0> : tensor<f64>
    "sym.emit"(%i, %c) : (!sym.site, tensor<f64>) -> ()
  }
}

// endregion
// region Reads

// -----

// CHECK: 'sym.read' must be inside of a sym.operator
%x, %i = "test.op"() : () -> (!sym.config, !sym.site)
%v = sym.read %x[%i] : tensor<f64>

// -----

// CHECK: 'sym.read' takes local values as tensor<f64>, got tensor<f32>
sym.operator @a() space #sym.space<2 x [0, 1]> element f64 {
  sym.term @b over #sym.rows<[0]> {
  ^bb0(%x : !sym.config, %i : !sym.site):
    %v = sym.read %x[%i] : tensor<f32>
  }
}

// -----

// Local values are real, also in a complex operator.
// CHECK: 'sym.read' takes local values as tensor<f64>, got tensor<complex<f64>>
sym.operator @a() space #sym.space<2 x [0, 1]> element complex<f64> {
  sym.term @b over #sym.rows<[0]> {
  ^bb0(%x : !sym.config, %i : !sym.site):
    %v = sym.read %x[%i] : tensor<complex<f64>>
  }
}

// -----

// CHECK:      operand 'site' at position 1 does not verify:
// CHECK-NEXT: Expected attribute !sym.site but got !sym.config
sym.operator @a() space #sym.space<2 x [0, 1]> element f64 {
  sym.term @b over #sym.rows<[0]> {
  ^bb0(%x : !sym.config, %i : !sym.site):
    %v = "sym.read"(%x, %x) : (!sym.config, !sym.config) -> tensor<f64>
  }
}

// -----

// CHECK:      operand 'site' at position 0 does not verify:
// CHECK-NEXT: Expected attribute !sym.site but got tensor<i32>
%i = "test.op"() : () -> tensor<i32>
%n = "sym.index"(%i) : (tensor<i32>) -> tensor<i32>

// -----

// CHECK:      result 'result' at position 0 does not verify:
// CHECK-NEXT: Expected attribute tensor<i32> but got tensor<i64>
%i = "test.op"() : () -> !sym.site
%n = "sym.index"(%i) : (!sym.site) -> tensor<i64>

// -----

// CHECK: 'sym.allowed' must be inside of a sym.operator
%v, %i = "test.op"() : () -> (tensor<f64>, !sym.site)
%n = sym.allowed %v at %i : tensor<f64>

// -----

// CHECK: 'sym.allowed' takes local values as tensor<f64>, got tensor<i32>
sym.operator @a() space #sym.space<2 x [0, 1]> element f64 {
  sym.term @b over #sym.rows<[0]> {
  ^bb0(%x : !sym.config, %i : !sym.site):
    %n = sym.index %i
    %p = sym.allowed %n at %i : tensor<i32>
  }
}

// -----

// CHECK:      result 'result' at position 0 does not verify:
// CHECK-NEXT: Expected attribute tensor<i1> but got tensor<f64>
%v, %i = "test.op"() : () -> (tensor<f64>, !sym.site)
%n = "sym.allowed"(%v, %i) : (tensor<f64>, !sym.site) -> tensor<f64>

// endregion
// region Updates

// -----

// CHECK: 'sym.write' must be inside of a sym.operator
%x, %i, %v = "test.op"() : () -> (!sym.config, !sym.site, tensor<f64>)
%y = sym.write %x[%i], %v : tensor<f64>

// -----

// CHECK: 'sym.write' takes local values as tensor<f64>, got tensor<i32>
sym.operator @a() space #sym.space<2 x [0, 1]> element f64 {
  sym.term @b over #sym.rows<[0]> {
  ^bb0(%x : !sym.config, %i : !sym.site):
    %n = sym.index %i
    %y = sym.write %x[%i], %n : tensor<i32>
  }
}

// -----

// CHECK:      operand 'config' at position 0 does not verify:
// CHECK-NEXT: Expected attribute !sym.config but got !sym.site
%i, %v = "test.op"() : () -> (!sym.site, tensor<f64>)
%y = "sym.write"(%i, %i, %v) : (!sym.site, !sym.site, tensor<f64>) -> !sym.config

// -----

// CHECK: 'sym.shift' must be inside of a sym.operator
%x, %i, %v = "test.op"() : () -> (!sym.config, !sym.site, tensor<f64>)
%y = sym.shift %x[%i] by %v : tensor<f64>

// -----

// CHECK: 'sym.shift' takes local values as tensor<f32>, got tensor<complex<f32>>
sym.operator @a(%t "t" : tensor<complex<f32>>) space #sym.space<2 x [0, 1]> element complex<f32> {
  sym.term @b over #sym.rows<[0]> {
  ^bb0(%x : !sym.config, %i : !sym.site):
    %y = sym.shift %x[%i] by %t : tensor<complex<f32>>
  }
}

// -----

// CHECK:      result 'result' at position 0 does not verify:
// CHECK-NEXT: Expected attribute !sym.config but got !sym.site
%x, %i, %v = "test.op"() : () -> (!sym.config, !sym.site, tensor<f64>)
%y = "sym.shift"(%x, %i, %v) : (!sym.config, !sym.site, tensor<f64>) -> !sym.site

// -----

// CHECK:      operand 'second' at position 2 does not verify:
// CHECK-NEXT: Expected attribute !sym.site but got tensor<i32>
%x, %i, %n = "test.op"() : () -> (!sym.config, !sym.site, tensor<i32>)
%y = "sym.swap"(%x, %i, %n) : (!sym.config, !sym.site, tensor<i32>) -> !sym.config

// -----

// CHECK:      operand 'predicate' at position 0 does not verify:
// CHECK-NEXT: Expected attribute tensor<i1> but got i1
%x, %p = "test.op"() : () -> (!sym.config, i1)
%y = "sym.select"(%p, %x, %x) : (i1, !sym.config, !sym.config) -> !sym.config

// -----

// CHECK:      operand 'on_false' at position 2 does not verify:
// CHECK-NEXT: Expected attribute !sym.config but got !sym.site
%x, %p, %i = "test.op"() : () -> (!sym.config, tensor<i1>, !sym.site)
%y = "sym.select"(%p, %x, %i) : (tensor<i1>, !sym.config, !sym.site) -> !sym.config

// endregion
// region Attributes

// -----

// CHECK: a space needs at least one site, got 0
"test.op"() {space = #sym.space<0 x [0, 1]>} : () -> ()

// -----

// CHECK: a space needs one list of local values, or one per site: 3 sites, 2 lists
"test.op"() {space = #sym.space<3 x [0, 1], [0, 1]>} : () -> ()

// -----

// CHECK: a site needs at least one local value
"test.op"() {space = #sym.space<3 x []>} : () -> ()

// -----

// CHECK: local values must be finite, got [0.0, inf]
"test.op"() {space = #sym.space<3 x [0, 1.0e999]>} : () -> ()

// -----

// CHECK: a conserved sum has one weight for each site: 3 sites, 2 weights
"test.op"() {space = #sym.space<3 x [0, 1], sum [1, 1] = 1>} : () -> ()

// -----

// CHECK: a conserved sum must be finite
"test.op"() {space = #sym.space<3 x [0, 1], sum = 1.0e999>} : () -> ()

// -----

// CHECK: local values come before sums
"test.op"() {space = #sym.space<2 x [0, 1], sum = 1, [0, 1]>} : () -> ()

// -----

// CHECK: local values must ascend and differ, got [1.0, 0.0]
"test.op"() {space = #sym.space<3 x [1, 0]>} : () -> ()

// -----

// CHECK: local values must ascend and differ, got [0.0, 0.0]
"test.op"() {space = #sym.space<3 x [0, 0]>} : () -> ()

// -----

// CHECK: Expected 'x'
"test.op"() {space = #sym.space<3 [0, 1]>} : () -> ()

// -----

// CHECK: integer or float literal expected
"test.op"() {space = #sym.space<3 x [true, false]>} : () -> ()

// -----

// CHECK: rows of unequal length
"test.op"() {rows = #sym.rows<[0, 1], [2]>} : () -> ()

// -----

// CHECK: only a table without rows is written `0 x labels`
"test.op"() {rows = #sym.rows<3 x 2>} : () -> ()

// -----

// What a printer left out is lost, and is not taken for a table of four rows.
// CHECK: elided rows cannot be parsed: print the table in full
"test.op"() {rows = #sym.rows<[0], [1], [2], ... 12 more ..., [15]>} : () -> ()

// -----

// A site number that wraps around would be a site of the lattice.
// CHECK: site numbers must fit into 32 bits
"test.op"() {rows = #sym.rows<[4294967296]>} : () -> ()

// -----

// CHECK: Expected integer literal
"test.op"() {rows = #sym.rows<[0.5]>} : () -> ()

// -----

// CHECK: '[' expected
"test.op"() {rows = #sym.rows<>} : () -> ()

// -----

// CHECK: 1 : i64 should be of base attribute string
"test.op"() {column = #sym.column<1, dense<1.0> : tensor<1xf64>>} : () -> ()

// -----

// CHECK: 1 : i64 should be of base attribute dense
"test.op"() {column = #sym.column<"J", 1>} : () -> ()

// endregion

// -----

// region Sets, computed sites, updates and reductions

// CHECK: site set 0 of term @t has 2 entries, expected one for each of 1 rows
sym.operator @a() space #sym.space<2 x [0, 1]> element f64 {
  sym.term @t over #sym.rows<[0]> sets [#sym.sets<[0], [1]>] {
  ^bb0(%x : !sym.config, %i : !sym.site, %s : !sym.sites):
    %one = stablehlo.constant dense<1.0> : tensor<f64>
    
    sym.emit %x, %one : tensor<f64>
  }
}

// -----

// CHECK: the site set of row 0 of term @t is [0, 2], but the lattice has sites 0 to 1
sym.operator @a() space #sym.space<2 x [0, 1]> element f64 {
  sym.term @t over #sym.rows<[0]> sets [#sym.sets<[0, 2]>] {
  ^bb0(%x : !sym.config, %i : !sym.site, %s : !sym.sites):
    %one = stablehlo.constant dense<1.0> : tensor<f64>
    
    sym.emit %x, %one : tensor<f64>
  }
}

// -----

// CHECK: term @t must have the block arguments (!sym.config, !sym.site, !sym.sites), got (!sym.config, !sym.site)
sym.operator @a() space #sym.space<2 x [0, 1]> element f64 {
  sym.term @t over #sym.rows<[0]> sets [#sym.sets<[0]>] {
  ^bb0(%x : !sym.config, %i : !sym.site):
    %one = stablehlo.constant dense<1.0> : tensor<f64>
    
    sym.emit %x, %one : tensor<f64>
  }
}

// -----

// CHECK: 'sym.permute' needs at least two sites
sym.operator @a() space #sym.space<2 x [0, 1]> element f64 {
  sym.term @t over #sym.rows<[0]> {
  ^bb0(%x : !sym.config, %i : !sym.site):
    %one = stablehlo.constant dense<1.0> : tensor<f64>
    %y = sym.permute %x[%i]
    sym.emit %x, %one : tensor<f64>
  }
}

// -----

// CHECK: the elements of a set are counted from 0, got -1
sym.operator @a() space #sym.space<2 x [0, 1]> element f64 {
  sym.term @t over #sym.rows<[0]> sets [#sym.sets<[0]>] {
  ^bb0(%x : !sym.config, %i : !sym.site, %s : !sym.sites):
    %one = stablehlo.constant dense<1.0> : tensor<f64>
    %e = sym.element %s[-1]
    sym.emit %x, %one : tensor<f64>
  }
}

// -----

// CHECK: 'sym.site' takes local values as tensor<f64>, got tensor<i1>
sym.operator @a() space #sym.space<2 x [0, 1]> element f64 {
  sym.term @t over #sym.rows<[0]> {
  ^bb0(%x : !sym.config, %i : !sym.site):
    %one = stablehlo.constant dense<1.0> : tensor<f64>
    %p = stablehlo.constant dense<true> : tensor<i1>
    %j = sym.site %p : tensor<i1>
    sym.emit %x, %one : tensor<f64>
  }
}

// -----

// CHECK: 'sym.shift_mod' takes local values as tensor<f64>, got tensor<i32>
sym.operator @a() space #sym.space<2 x [0, 1]> element f64 {
  sym.term @t over #sym.rows<[0]> {
  ^bb0(%x : !sym.config, %i : !sym.site):
    %one = stablehlo.constant dense<1.0> : tensor<f64>
    %d = sym.index %i
    %y = sym.shift_mod %x[%i] by %d : tensor<i32>
    sym.emit %x, %one : tensor<f64>
  }
}

// -----

// CHECK: 'sym.affine' takes local values as tensor<f64>, got tensor<i32>
sym.operator @a() space #sym.space<2 x [0, 1]> element f64 {
  sym.term @t over #sym.rows<[0]> {
  ^bb0(%x : !sym.config, %i : !sym.site):
    %one = stablehlo.constant dense<1.0> : tensor<f64>
    %d = sym.index %i
    %y = sym.affine %x[%i] scale %d bias %d : tensor<i32>
    sym.emit %x, %one : tensor<f64>
  }
}

// -----

// CHECK: 'sym.local_index' takes local values as tensor<f64>, got tensor<i32>
sym.operator @a() space #sym.space<2 x [0, 1]> element f64 {
  sym.term @t over #sym.rows<[0]> {
  ^bb0(%x : !sym.config, %i : !sym.site):
    %one = stablehlo.constant dense<1.0> : tensor<f64>
    %d = sym.index %i
    %k = sym.local_index %d at %i : tensor<i32>
    sym.emit %x, %one : tensor<f64>
  }
}

// -----

// CHECK: 'sym.local_value' takes local values as tensor<f64>, got tensor<i32>
sym.operator @a() space #sym.space<2 x [0, 1]> element f64 {
  sym.term @t over #sym.rows<[0]> {
  ^bb0(%x : !sym.config, %i : !sym.site):
    %one = stablehlo.constant dense<1.0> : tensor<f64>
    %d = sym.index %i
    %k = sym.local_value %d at %i : tensor<i32>
    sym.emit %x, %one : tensor<f64>
  }
}

// -----

// CHECK: a range needs both its ends, `from` and `to`
sym.operator @a() space #sym.space<2 x [0, 1]> element f64 {
  sym.term @t over #sym.rows<[0]> {
  ^bb0(%x : !sym.config, %i : !sym.site):
    %one = stablehlo.constant dense<1.0> : tensor<f64>
    %d = sym.index %i
    %n = sym.reduce sum from %d : tensor<f64> {
    ^bb0(%h : !sym.site):
      sym.yield %one : tensor<f64>
    }
    sym.emit %x, %one : tensor<f64>
  }
}

// -----

// CHECK: a reduction is over a set or a range, not both
sym.operator @a() space #sym.space<2 x [0, 1]> element f64 {
  sym.term @t over #sym.rows<[0]> sets [#sym.sets<[0]>] {
  ^bb0(%x : !sym.config, %i : !sym.site, %s : !sym.sites):
    %one = stablehlo.constant dense<1.0> : tensor<f64>
    %d = sym.index %i
    %n = sym.reduce sum over %s from %d to %d : tensor<f64> {
    ^bb0(%h : !sym.site):
      sym.yield %one : tensor<f64>
    }
    sym.emit %x, %one : tensor<f64>
  }
}

// -----

// CHECK: the body of a reduction takes one site
sym.operator @a() space #sym.space<2 x [0, 1]> element f64 {
  sym.term @t over #sym.rows<[0]> {
  ^bb0(%x : !sym.config, %i : !sym.site):
    %one = stablehlo.constant dense<1.0> : tensor<f64>
    %n = sym.reduce sum : tensor<f64> {
    ^bb0(%h : tensor<f64>):
      sym.yield %one : tensor<f64>
    }
    sym.emit %x, %one : tensor<f64>
  }
}

// -----

// CHECK: the body of this reduction must end in a sym.yield of tensor<f64>
sym.operator @a() space #sym.space<2 x [0, 1]> element f64 {
  sym.term @t over #sym.rows<[0]> {
  ^bb0(%x : !sym.config, %i : !sym.site):
    %one = stablehlo.constant dense<1.0> : tensor<f64>
    %d = sym.index %i
    %n = sym.reduce sum : tensor<f64> {
    ^bb0(%h : !sym.site):
      sym.yield %d : tensor<i32>
    }
    sym.emit %x, %one : tensor<f64>
  }
}

// -----

// CHECK: 'sum' cannot combine tensor<i1>
sym.operator @a() space #sym.space<2 x [0, 1]> element f64 {
  sym.term @t over #sym.rows<[0]> {
  ^bb0(%x : !sym.config, %i : !sym.site):
    %one = stablehlo.constant dense<1.0> : tensor<f64>
    %p = stablehlo.constant dense<true> : tensor<i1>
    %n = sym.reduce sum : tensor<i1> {
    ^bb0(%h : !sym.site):
      sym.yield %p : tensor<i1>
    }
    sym.emit %x, %one : tensor<f64>
  }
}

// -----

// CHECK: 'parity' cannot combine tensor<f64>
sym.operator @a() space #sym.space<2 x [0, 1]> element f64 {
  sym.term @t over #sym.rows<[0]> {
  ^bb0(%x : !sym.config, %i : !sym.site):
    %one = stablehlo.constant dense<1.0> : tensor<f64>
    %n = sym.reduce parity : tensor<f64> {
    ^bb0(%h : !sym.site):
      sym.yield %one : tensor<f64>
    }
    sym.emit %x, %one : tensor<f64>
  }
}

// -----

// CHECK: a reduction cannot hold another one
sym.operator @a() space #sym.space<2 x [0, 1]> element f64 {
  sym.term @t over #sym.rows<[0]> {
  ^bb0(%x : !sym.config, %i : !sym.site):
    %one = stablehlo.constant dense<1.0> : tensor<f64>
    %m = sym.reduce sum : tensor<f64> {
    ^bb0(%g : !sym.site):
    %n = sym.reduce sum : tensor<f64> {
    ^bb0(%h : !sym.site):
      sym.yield %one : tensor<f64>
    }
    sym.yield %n : tensor<f64>
    }
    sym.emit %x, %one : tensor<f64>
  }
}

// -----

// CHECK: a table is a list of at least one entry, got shape [0]
sym.operator @a() space #sym.space<2 x [0, 1]> element f64 {
  sym.term @t over #sym.rows<[0]> {
  ^bb0(%x : !sym.config, %i : !sym.site):
    %one = stablehlo.constant dense<1.0> : tensor<f64>
    %d = sym.index %i
    %v = sym.lookup dense<> : tensor<0xf64> at %d : tensor<i32> -> tensor<f64>
    sym.emit %x, %one : tensor<f64>
  }
}

// -----

// CHECK: a table of f64 has no entry of type tensor<i32>
sym.operator @a() space #sym.space<2 x [0, 1]> element f64 {
  sym.term @t over #sym.rows<[0]> {
  ^bb0(%x : !sym.config, %i : !sym.site):
    %one = stablehlo.constant dense<1.0> : tensor<f64>
    %d = sym.index %i
    %v = sym.lookup dense<[1.0]> : tensor<1xf64> at %d : tensor<i32> -> tensor<i32>
    sym.emit %x, %one : tensor<f64>
  }
}

// -----

// CHECK: the index of a table is i32 or f64, got tensor<i1>
sym.operator @a() space #sym.space<2 x [0, 1]> element f64 {
  sym.term @t over #sym.rows<[0]> {
  ^bb0(%x : !sym.config, %i : !sym.site):
    %one = stablehlo.constant dense<1.0> : tensor<f64>
    %p = stablehlo.constant dense<true> : tensor<i1>
    %v = sym.lookup dense<[1.0]> : tensor<1xf64> at %p : tensor<i1> -> tensor<f64>
    sym.emit %x, %one : tensor<f64>
  }
}

// -----

// CHECK: attribute tensor<f64> expected from variable 'T', but got tensor<f32>
sym.operator @a() space #sym.space<2 x [0, 1]> element f64 {
  sym.term @t over #sym.rows<[0]> {
  ^bb0(%x : !sym.config, %i : !sym.site):
    %one = stablehlo.constant dense<1.0> : tensor<f64>
    %y = "sym.own_rule"(%one) <{function = "f"}> : (tensor<f64>) -> tensor<f32>
    sym.emit %x, %one : tensor<f64>
  }
}

// -----

// CHECK: site numbers must fit into 32 bits, from 0 on
"test.op"() {sets = #sym.sets<[0, -1]>} : () -> ()

// -----

// CHECK: site numbers must fit into 32 bits, from 0 on
"test.op"() {sets = #sym.sets<[4294967296]>} : () -> ()

// -----

// CHECK: elided rows cannot be parsed: print the table in full
"test.op"() {sets = #sym.sets<[0], ... 12 more ..., [15]>} : () -> ()

// endregion

// -----

// CHECK: the fanout of term @b is at least 1, got 0
sym.operator @o() space #sym.space<2 x [0, 1]> element f64 {
  sym.term @b over #sym.rows<[0]> fanout 0 {
  ^bb0(%x : !sym.config, %i : !sym.site):
    %one = stablehlo.constant dense<1.0> : tensor<f64>
    sym.emit %x, %one : tensor<f64>
  }
}

// -----

// CHECK: expected a #sym.lanes attribute, got array<i64: 0, 1>
sym.operator @o() space #sym.space<2 x [0, 1]> element f64 origins array<i64: 0, 1> {
  sym.term @b over #sym.rows<[0], [1]> {
  ^bb0(%x : !sym.config, %i : !sym.site):
    %one = stablehlo.constant dense<1.0> : tensor<f64>
    sym.emit %x, %one : tensor<f64>
  }
}

// -----

// CHECK: 'origins' must name each of the 2 branches of @o once
sym.operator @o() space #sym.space<2 x [0, 1]> element f64 origins #sym.lanes<1, 1 of 2> {
  sym.term @b over #sym.rows<[0], [1]> {
  ^bb0(%x : !sym.config, %i : !sym.site):
    %one = stablehlo.constant dense<1.0> : tensor<f64>
    sym.emit %x, %one : tensor<f64>
  }
}

// -----

// CHECK: 'origins' must name each of the 2 branches of @o once
sym.operator @o() space #sym.space<2 x [0, 1]> element f64 origins #sym.lanes<0:3 of 3> {
  sym.term @b over #sym.rows<[0], [1]> {
  ^bb0(%x : !sym.config, %i : !sym.site):
    %one = stablehlo.constant dense<1.0> : tensor<f64>
    sym.emit %x, %one : tensor<f64>
  }
}
