// The demo shows every level and the connected states.
// RUN: symir demo --quiet | filecheck %s

// CHECK: 1. The operator, in Python
// CHECK: sym.DOperator(sym.spin(0.5, n), "tfim", hermitian=True)
// CHECK: 2. Level sym
// CHECK: sym.operator @tfim
// CHECK: 3. Level bt
// CHECK: bt.connections
// CHECK: 4. Level stablehlo
// CHECK: func.func @tfim(%x: tensor<4x8xi8>
// CHECK: 5. Connected states
// CHECK: sample 0: x = {{[+-]+}}
// CHECK-NEXT: lane  term   row  sites    emits  x'        changes     <x|O|x'>
// CHECK-NEXT: 0  bonds    0  i=0 j=1  zz     {{[+-]+}}  none
// CHECK: 15  field    7  i=7      flip   {{[+-]+}}  7: {{-?}}1 -> {{-?}}1 {{ *}}-1
// CHECK: in all: 4 x 16 = 64 lanes, 64 with a nonzero matrix element
// CHECK: 6. Your own operators and data
