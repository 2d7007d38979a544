// Bad input is named, without a traceback of ours; the exit code is not 0.
// RUN: not symir emit %t.none.py 2>&1 | filecheck %s --check-prefix=MISSING
// RUN: not symir emit %s:other 2>&1 | filecheck %s --check-prefix=OTHER
// RUN: sed -e 's/sym.emit %x,/sym.emit %x/' %s > %t.mlir && not symir emit %t.mlir 2>&1 | filecheck %s --check-prefix=BROKEN
// RUN: not symir emit %S/Inputs/raises.py 2>&1 | filecheck %s --check-prefix=RAISES
// RUN: not symir run %s --input %S/Inputs/hole.csv 2>&1 | filecheck %s --check-prefix=HOLE
// RUN: not symir run %s --random 1 --param h=1 2>&1 | filecheck %s --check-prefix=PARAMETER
// RUN: not symir run %s --random 1 --input x.npy 2>&1 | filecheck %s --check-prefix=BOTH

// MISSING: error: [T001] '{{.*}}.none.py' cannot be read
// MISSING-NEXT: expected: a readable file, or FILE:NAME
// MISSING-NEXT: found:    No such file or directory

// OTHER: error: [T005] '{{.*}}errors.mlir' has no operator 'other'
// OTHER-NEXT: expected: {{.*}}errors.mlir:pin

// BROKEN: error: [D028]
// BROKEN-NEXT: at: {{.*}}.mlir:{{[0-9]+}}
// BROKEN-NEXT: found:    sym.emit %x %one : tensor<f64>

// RAISES: {{.*}}raises.py could not be run
// RAISES-NEXT: Traceback (most recent call last):
// RAISES-NEXT: raises.py", line 4, in <module>
// RAISES-NOT: File
// RAISES: ZeroDivisionError: division by zero

// HOLE-NOT: Traceback
// HOLE: error: [T010] line 3, column 2 of '{{.*}}hole.csv' is empty
// HOLE-NEXT: at: {{.*}}hole.csv:3
// HOLE-NEXT: expected: a number
// HOLE-NEXT: found:    an empty cell

// PARAMETER-NOT: Traceback
// PARAMETER: error: [R003] the operator has no such parameter
// PARAMETER-NEXT: in: operator 'pin'
// PARAMETER-NEXT: expected: no parameter
// PARAMETER-NEXT: found:    h

// BOTH: usage: symir run
// BOTH: argument --input: not allowed with argument --random

sym.operator @pin() space #sym.space<2 x [0, 1]> element f64 {
  sym.term @all over #sym.rows<[0], [1]> {
  ^bb0(%x : !sym.config, %i : !sym.site):
    %one = stablehlo.constant dense<1.0> : tensor<f64>
    sym.emit %x, %one : tensor<f64>
  }
}
