// RUN: symir-opt %s | symir-opt | filecheck %s
// RUN: symir-opt %s --print-op-generic | symir-opt | filecheck %s

// The types of `bt` as they are printed.

// CHECK: "test.op"() {types = [!bt.state, tensor<?x8x!bt.state>]} : () -> ()
"test.op"() {types = [!bt.state, tensor<?x8x!bt.state>]} : () -> ()

// Lanes and writes per lane; an identity emission writes nothing.
// CHECK-NEXT: "test.op"() {types = [!bt.branches<6 x 2>, !bt.branches<1 x 0>, !bt.branches<0 x 0>]} : () -> ()
"test.op"() {types = [!bt.branches<6 x 2>, !bt.branches<1 x 0>, !bt.branches<0 x 0>]} : () -> ()

// CHECK-NEXT: %b = "test.op"() : () -> !bt.branches<1000000 x 3>
%b = "test.op"() : () -> !bt.branches<1000000 x 3>

// Parts of log psi: which functions, of which an activation, and a factor that is not 1.
// CHECK-NEXT: "test.op"() {parts = [#bt.part<network @f>, #bt.part<linear @f times (5.000000e-01, -1.000000e+00)>, #bt.part<exponential @f as "softplus">]} : () -> ()
"test.op"() {parts = [#bt.part<network @f times (1.0, 0.0)>, #bt.part<linear @f times (0.5, -1.0)>, #bt.part<exponential @f as "softplus">]} : () -> ()
// CHECK-NEXT: "test.op"() {parts = [#bt.part<lifted @f then @g>, #bt.part<lifted @f then @g as "tanh" times (2.000000e+00, 0.000000e+00)>, #bt.part<declared @f of @g as "real" written [@a, @b]>]} : () -> ()
"test.op"() {parts = [#bt.part<lifted @f then @g>, #bt.part<lifted @f then @g as "tanh" times (2.0, 0.0)>, #bt.part<declared @f of @g as "real" written [@a, @b]>]} : () -> ()
// CHECK-NEXT: "test.op"() {parts = [#bt.part<bilinear @f by @g>, #bt.part<bilinear @f by @f times (5.000000e-01, 0.000000e+00)>]} : () -> ()
"test.op"() {parts = [#bt.part<bilinear @f by @g>, #bt.part<bilinear @f by @f times (0.5, 0.0)>]} : () -> ()
// CHECK-NEXT: "test.op"() {parts = [#bt.part<linear @f times (5.000000e-01, 0.000000e+00) written [@a, @b, @c, @d]>]} : () -> ()
"test.op"() {parts = [#bt.part<linear @f times (0.5, 0.0) written [@a, @b, @c, @d]>]} : () -> ()
// CHECK-NEXT: "test.op"() {parts = [#bt.part<rational @f then @g as "tanh">]} : () -> ()
"test.op"() {parts = [#bt.part<rational @f then @g as "tanh">]} : () -> ()

// A plan says what was chosen so far.
// CHECK-NEXT: "test.op"() {plans = [#bt.plan<>, #bt.plan<live = all, rows = 8, units = [32, 8], tables = sites, states = distinct>]} : () -> ()
"test.op"() {plans = [#bt.plan<>, #bt.plan<rows = 8, states = distinct, live = all, tables = sites, units = [32, 8]>]} : () -> ()
