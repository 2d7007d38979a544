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
