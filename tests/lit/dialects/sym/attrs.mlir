// RUN: symir-opt %s | symir-opt | filecheck %s
// RUN: symir-opt %s --print-op-generic | symir-opt | filecheck %s

// The types and attributes of `sym` as they are printed.

// CHECK: "test.op"() {types = [!sym.config, !sym.site]} : () -> ()
"test.op"() {types = [!sym.config, !sym.site]} : () -> ()

// CHECK-NEXT: %c, %s = "test.op"() : () -> (!sym.config, !sym.site)
%c, %s = "test.op"() : () -> (!sym.config, !sym.site)

// All sites alike, or one list per site.
// CHECK-NEXT: "test.op"() {space = #sym.space<4 x [0, 1, 2]>} : () -> ()
"test.op"() {space = #sym.space<4 x [0, 1, 2]>} : () -> ()
// CHECK-NEXT: "test.op"() {space = #sym.space<2 x [0, 1], [-1, 1]>} : () -> ()
"test.op"() {space = #sym.space<2 x [0, 1], [-1, 1]>} : () -> ()
// CHECK-NEXT: "test.op"() {space = #sym.space<1 x [7]>} : () -> ()
"test.op"() {space = #sym.space<1 x [7]>} : () -> ()
// CHECK-NEXT: "test.op"() {space = #sym.space<4 x [0, 1], sum = 2>} : () -> ()
"test.op"() {space = #sym.space<4 x [0, 1], sum [1, 1, 1, 1] = 2.0>} : () -> ()
// CHECK-NEXT: "test.op"() {space = #sym.space<2 x [0, 1], [0, 1, 2], sum [1, 0] = 1, sum [0, -0.5] = -1>} : () -> ()
"test.op"() {space = #sym.space<2 x [0, 1], [0, 1, 2], sum [1, 0] = 1, sum [0, -0.5] = -1>} : () -> ()

// Integers are printed without a point, all other values with one and exactly: a number
// without a point ends before its exponent.
// CHECK-NEXT: "test.op"() {space = #sym.space<3 x [-1.5, 0, 0.1, 3]>} : () -> ()
"test.op"() {space = #sym.space<3 x [-1.5, -0.0, 0.1, 3.0]>} : () -> ()
// CHECK-NEXT: "test.op"() {space = #sym.space<3 x [1.0e-05, 0.30000000000000004, 9007199254740991, 1.0e+300]>} : () -> ()
"test.op"() {space = #sym.space<3 x [1.0e-5, 0.30000000000000004, 9007199254740991, 1.0e300]>} : () -> ()

// CHECK-NEXT: "test.op"() {rows = #sym.rows<[0, 1], [1, 2]>} : () -> ()
"test.op"() {rows = #sym.rows<[0, 1], [1, 2]>} : () -> ()
// CHECK-NEXT: "test.op"() {rows = #sym.rows<[3]>} : () -> ()
"test.op"() {rows = #sym.rows<[3]>} : () -> ()
// The single row of a term without labels, and two of them.
// CHECK-NEXT: "test.op"() {rows = #sym.rows<[]>} : () -> ()
"test.op"() {rows = #sym.rows<[]>} : () -> ()
// CHECK-NEXT: "test.op"() {rows = #sym.rows<[], []>} : () -> ()
"test.op"() {rows = #sym.rows<[], []>} : () -> ()
// No rows: the number of labels would be lost.
// CHECK-NEXT: "test.op"() {rows = #sym.rows<0 x 2>} : () -> ()
"test.op"() {rows = #sym.rows<0 x 2>} : () -> ()
// The largest numbers; whether they are sites is for the operator to say.
// CHECK-NEXT: "test.op"() {rows = #sym.rows<[-2147483648, 2147483647]>} : () -> ()
"test.op"() {rows = #sym.rows<[-2147483648, 2147483647]>} : () -> ()

// CHECK-NEXT: "test.op"() {column = #sym.column<"J", dense<[1.000000e+00, 2.500000e+00]> : tensor<2xf64>>} : () -> ()
"test.op"() {column = #sym.column<"J", dense<[1.0, 2.5]> : tensor<2xf64>>} : () -> ()
// CHECK-NEXT: "test.op"() {column = #sym.column<"a \22name\22", dense<> : tensor<0xi1>>} : () -> ()
"test.op"() {column = #sym.column<"a \22name\22", dense<> : tensor<0xi1>>} : () -> ()

// Sets of unequal size, one that is empty, none at all; sites may repeat.
// CHECK-NEXT: "test.op"() {sets = [#sym.sets<[0, 1, 4], [], [2, 2]>, #sym.sets<[]>, #sym.sets<>]} : () -> ()
"test.op"() {sets = [#sym.sets<[0, 1, 4], [], [2, 2]>, #sym.sets<[]>, #sym.sets<>]} : () -> ()
// CHECK-NEXT: "test.op"() {kinds = [#sym<reduction sum>, #sym<reduction parity>], type = !sym.sites} : () -> ()
"test.op"() {kinds = [#sym<reduction sum>, #sym<reduction parity>], type = !sym.sites} : () -> ()
