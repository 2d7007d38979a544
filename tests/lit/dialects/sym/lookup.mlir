// RUN: symir-opt %s | symir-opt | filecheck %s
// RUN: symir-opt %s --print-op-generic | symir-opt | filecheck %s
// RUN: symir-opt %s -p sym-guard-undefined | filecheck %s --check-prefix=GUARD
// RUN: symir-opt %s -p sym-convert-element{to=f32} | filecheck %s --check-prefix=SINGLE

// A table of real and one of complex numbers, looked up at a number and at a site number.
sym.operator @op() space #sym.space<2 x [0, 1, 1.5]> element complex<f64> {
  sym.term @t over #sym.rows<[0], [1]> {
  ^bb0(%x : !sym.config, %i : !sym.site):
    %n = sym.read %x[%i] : tensor<f64>
    %at = sym.index %i
    %a = sym.lookup dense<[0.5, 1.0]> : tensor<2xf64> at %n : tensor<f64> -> tensor<f64>
    %b = sym.lookup dense<(0.0, 1.0)> : tensor<2xcomplex<f64>> at %at : tensor<i32> -> tensor<complex<f64>>
    %d = sym.defined %a : tensor<f64>
    %p = stablehlo.compare GT, %a, %n : (tensor<f64>, tensor<f64>) -> tensor<i1>
    sym.emit %x, %b if %p : tensor<complex<f64>>
  }
}

// CHECK:      %a = sym.lookup dense<[5.000000e-01, 1.000000e+00]> : tensor<2xf64> at %{{.*}} : tensor<f64> -> tensor<f64>
// CHECK-NEXT: %b = sym.lookup dense<{{.*}}> : tensor<2xcomplex<f64>> at %{{.*}} : tensor<i32> -> tensor<complex<f64>>

// CHECK-NEXT: %d = sym.defined %a : tensor<f64>

// Branches need an index that is whole and in the table.
// GUARD:      stablehlo.constant dense<1.000000e+00> : tensor<f64>
// GUARD-NEXT: stablehlo.compare GE, %n
// GUARD-NEXT: stablehlo.compare LE, %n
// GUARD-NEXT: stablehlo.and
// GUARD-NEXT: %[[FLOOR:.*]] = stablehlo.floor %n : tensor<f64>
// GUARD-NEXT: stablehlo.compare EQ, %[[FLOOR]], %n
// GUARD:      stablehlo.compare LE, %at
// GUARD-NOT:  stablehlo.floor

// SINGLE:     sym.lookup dense<{{.*}}> : tensor<2xf32> at %{{.*}} : tensor<f32> -> tensor<f32>
// SINGLE:     sym.lookup dense<{{.*}}> : tensor<2xcomplex<f32>> at %{{.*}} : tensor<i32> -> tensor<complex<f32>>
