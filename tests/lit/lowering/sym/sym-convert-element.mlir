// RUN: symir-opt %s -p "sym-convert-element{to=f32}" --split-input-file --verify-diagnostics | filecheck %s
// RUN: symir-opt %s -p sym-convert-element --split-input-file --verify-diagnostics | filecheck %s
// RUN: symir-opt %s -p "sym-convert-element{to=f64}" --split-input-file --verify-diagnostics | filecheck %s --check-prefix=F64

// Parameters and their defaults, data, constants, reads and results; what is no float,
// and the local values of the space, stay as they are.
sym.operator @real(%h "h" : tensor<f64> = dense<0.1>, %free "free" : tensor<f64>) space #sym.space<2 x [0, 0.1]> element f64 hermitian {
  sym.term @t over #sym.rows<[0], [1]> data [#sym.column<"J", dense<[0.5, 0.1]> : tensor<2xf64>>, #sym.column<"on", dense<[true, false]> : tensor<2xi1>>, #sym.column<"n", dense<[1, 2]> : tensor<2xi32>>] {
  ^bb0(%x : !sym.config, %i : !sym.site, %J : tensor<f64>, %on : tensor<i1>, %n : tensor<i32>):
    %tenth = stablehlo.constant dense<0.1> : tensor<f64>
    %three = stablehlo.constant dense<3> : tensor<i32>
    %m = stablehlo.add %n, %three : tensor<i32>
    %number = stablehlo.convert %m : (tensor<i32>) -> tensor<f64>
    %v = sym.read %x[%i] : tensor<f64>
    %w = stablehlo.multiply %v, %J : tensor<f64>
    %p = stablehlo.compare LT, %w, %number : (tensor<f64>, tensor<f64>) -> tensor<i1>
    %q = stablehlo.and %p, %on : tensor<i1>
    %y = sym.write %x[%i], %tenth : tensor<f64>
    %ok = sym.allowed %w at %i : tensor<f64>
    %z = sym.shift %y[%i] by %h : tensor<f64>
    %c = sym.select %ok, %y, %z
    sym.emit %c, %free if %q tag "a" : tensor<f64>
  }
}

// CHECK-LABEL: sym.operator @real(%h "h" : tensor<f32> = dense<1.000000e-01>, %free "free" : tensor<f32>) space #sym.space<2 x [0, 0.1]> element f32 hermitian {
// CHECK-NEXT:    sym.term @t over #sym.rows<[0], [1]> data [#sym.column<"J", dense<[5.000000e-01, 1.000000e-01]> : tensor<2xf32>>, #sym.column<"on", dense<[true, false]> : tensor<2xi1>>, #sym.column<"n", dense<[1, 2]> : tensor<2xi32>>] {
// CHECK-NEXT:    ^bb0(%x: !sym.config, %i: !sym.site, %J: tensor<f32>, %on: tensor<i1>, %n: tensor<i32>):
// CHECK-NEXT:      %tenth = stablehlo.constant dense<1.000000e-01> : tensor<f32>
// CHECK-NEXT:      %three = stablehlo.constant dense<3> : tensor<i32>
// CHECK-NEXT:      %m = stablehlo.add %n, %three : tensor<i32>
// CHECK-NEXT:      %number = stablehlo.convert %m : (tensor<i32>) -> tensor<f32>
// CHECK-NEXT:      %v = sym.read %x[%i] : tensor<f32>
// CHECK-NEXT:      %w = stablehlo.multiply %v, %J : tensor<f32>
// CHECK-NEXT:      %p = stablehlo.compare LT, %w, %number : (tensor<f32>, tensor<f32>) -> tensor<i1>
// CHECK-NEXT:      %q = stablehlo.and %p, %on : tensor<i1>
// CHECK-NEXT:      %y = sym.write %x[%i], %tenth : tensor<f32>
// CHECK-NEXT:      %ok = sym.allowed %w at %i : tensor<f32>
// CHECK-NEXT:      %z = sym.shift %y[%i] by %h : tensor<f32>
// CHECK-NEXT:      %c = sym.select %ok, %y, %z
// CHECK-NEXT:      sym.emit %c, %free if %q tag "a" : tensor<f32>
// CHECK-NEXT:    }
// CHECK-NEXT:  }
// F64-LABEL: sym.operator @real(%h "h" : tensor<f64> = dense<1.000000e-01>, %free "free" : tensor<f64>) space #sym.space<2 x [0, 0.1]> element f64 hermitian {
// F64-NEXT:    sym.term @t over #sym.rows<[0], [1]> data [#sym.column<"J", dense<[5.000000e-01, 1.000000e-01]> : tensor<2xf64>>, #sym.column<"on", dense<[true, false]> : tensor<2xi1>>, #sym.column<"n", dense<[1, 2]> : tensor<2xi32>>] {
// F64-NEXT:    ^bb0(%x: !sym.config, %i: !sym.site, %J: tensor<f64>, %on: tensor<i1>, %n: tensor<i32>):
// F64-NEXT:      %tenth = stablehlo.constant dense<1.000000e-01> : tensor<f64>
// F64-NEXT:      %three = stablehlo.constant dense<3> : tensor<i32>
// F64-NEXT:      %m = stablehlo.add %n, %three : tensor<i32>
// F64-NEXT:      %number = stablehlo.convert %m : (tensor<i32>) -> tensor<f64>
// F64-NEXT:      %v = sym.read %x[%i] : tensor<f64>
// F64-NEXT:      %w = stablehlo.multiply %v, %J : tensor<f64>
// F64-NEXT:      %p = stablehlo.compare LT, %w, %number : (tensor<f64>, tensor<f64>) -> tensor<i1>
// F64-NEXT:      %q = stablehlo.and %p, %on : tensor<i1>
// F64-NEXT:      %y = sym.write %x[%i], %tenth : tensor<f64>
// F64-NEXT:      %ok = sym.allowed %w at %i : tensor<f64>
// F64-NEXT:      %z = sym.shift %y[%i] by %h : tensor<f64>
// F64-NEXT:      %c = sym.select %ok, %y, %z
// F64-NEXT:      sym.emit %c, %free if %q tag "a" : tensor<f64>
// F64-NEXT:    }
// F64-NEXT:  }

// A complex operator computes with complex and with real numbers.
sym.operator @complex(%g "g" : tensor<complex<f64>> = dense<(0.1, 1.0)>, %h "h" : tensor<f64> = dense<0.5>) space #sym.space<2 x [0, 1]> element complex<f64> {
  sym.term @t over #sym.rows<[0]> data [#sym.column<"J", dense<[(0.5, 0.1)]> : tensor<1xcomplex<f64>>>] {
  ^bb0(%x : !sym.config, %i : !sym.site, %J : tensor<complex<f64>>):
    %v = sym.read %x[%i] : tensor<f64>
    %z = stablehlo.complex %v, %h : (tensor<f64>, tensor<f64>) -> tensor<complex<f64>>
    %a = stablehlo.multiply %z, %J : tensor<complex<f64>>
    sym.emit %x, %a : tensor<complex<f64>>
  }
}

// CHECK-LABEL: sym.operator @complex(%g "g" : tensor<complex<f32>> = dense<(1.000000e-01,1.000000e+00)>, %h "h" : tensor<f32> = dense<5.000000e-01>) space #sym.space<2 x [0, 1]> element complex<f32> {
// CHECK-NEXT:    sym.term @t over #sym.rows<[0]> data [#sym.column<"J", dense<(5.000000e-01,1.000000e-01)> : tensor<1xcomplex<f32>>>] {
// CHECK-NEXT:    ^bb0(%x: !sym.config, %i: !sym.site, %J: tensor<complex<f32>>):
// CHECK-NEXT:      %v = sym.read %x[%i] : tensor<f32>
// CHECK-NEXT:      %z = stablehlo.complex %v, %h : tensor<complex<f32>>
// CHECK-NEXT:      %a = stablehlo.multiply %z, %J : tensor<complex<f32>>
// CHECK-NEXT:      sym.emit %x, %a : tensor<complex<f32>>
// CHECK-NEXT:    }
// CHECK-NEXT:  }
// F64-LABEL: sym.operator @complex(%g "g" : tensor<complex<f64>> = dense<(1.000000e-01,1.000000e+00)>, %h "h" : tensor<f64> = dense<5.000000e-01>) space #sym.space<2 x [0, 1]> element complex<f64> {
// F64-NEXT:    sym.term @t over #sym.rows<[0]> data [#sym.column<"J", dense<(5.000000e-01,1.000000e-01)> : tensor<1xcomplex<f64>>>] {
// F64-NEXT:    ^bb0(%x: !sym.config, %i: !sym.site, %J: tensor<complex<f64>>):
// F64-NEXT:      %v = sym.read %x[%i] : tensor<f64>
// F64-NEXT:      %z = stablehlo.complex %v, %h : tensor<complex<f64>>
// F64-NEXT:      %a = stablehlo.multiply %z, %J : tensor<complex<f64>>
// F64-NEXT:      sym.emit %x, %a : tensor<complex<f64>>
// F64-NEXT:    }
// F64-NEXT:  }

// One that has the precision already.
sym.operator @single(%h "h" : tensor<f32> = dense<0.1>) space #sym.space<2 x [0, 1]> element f32 {
  sym.term @t over #sym.rows<[0]> {
  ^bb0(%x : !sym.config, %i : !sym.site):
    sym.emit %x, %h : tensor<f32>
  }
}

// CHECK-LABEL: sym.operator @single(%h "h" : tensor<f32> = dense<1.000000e-01>) space #sym.space<2 x [0, 1]> element f32 {
// CHECK-NEXT:    sym.term @t over #sym.rows<[0]> {
// CHECK-NEXT:    ^bb0(%x: !sym.config, %i: !sym.site):
// CHECK-NEXT:      sym.emit %x, %h : tensor<f32>
// CHECK-NEXT:    }
// CHECK-NEXT:  }
// F64-LABEL: sym.operator @single(%h "h" : tensor<f64> = dense<0.10000000149011612>) space #sym.space<2 x [0, 1]> element f64 {
// F64-NEXT:    sym.term @t over #sym.rows<[0]> {
// F64-NEXT:    ^bb0(%x: !sym.config, %i: !sym.site):
// F64-NEXT:      sym.emit %x, %h : tensor<f64>
// F64-NEXT:    }
// F64-NEXT:  }

// What lies outside of an operator is none of this pass's business.
func.func @kernel(%v : tensor<2xf64>) -> tensor<2xf64> {
  func.return %v : tensor<2xf64>
}

// CHECK-LABEL: func.func @kernel(%v: tensor<2xf64>) -> tensor<2xf64> {
// CHECK-NEXT:    func.return %v : tensor<2xf64>
// CHECK-NEXT:  }
// F64-LABEL: func.func @kernel(%v: tensor<2xf64>) -> tensor<2xf64> {
// F64-NEXT:    func.return %v : tensor<2xf64>
// F64-NEXT:  }

// -----

// A finite number does not silently become infinite.
sym.operator @too_large() space #sym.space<2 x [0, 1]> element f64 {
  sym.term @t over #sym.rows<[0]> {
  ^bb0(%x : !sym.config, %i : !sym.site):
    %huge = stablehlo.constant dense<1.0e300> : tensor<f64>
    sym.emit %x, %huge : tensor<f64>
  }
}

// CHECK:     sym-convert-element: 1e+300 does not fit into f32
// F64-LABEL: sym.operator @too_large()
// F64:         stablehlo.constant dense<1.000000e+300> : tensor<f64>

// -----

// What was infinite before stays so.
sym.operator @infinite(%h "h" : tensor<f64> = dense<0x7FF0000000000000>) space #sym.space<2 x [0, 1]> element f64 {
  sym.term @t over #sym.rows<[0]> {
  ^bb0(%x : !sym.config, %i : !sym.site):
    sym.emit %x, %h : tensor<f64>
  }
}

// CHECK-LABEL: sym.operator @infinite(%h "h" : tensor<f32> = dense<0x7f800000>)
// F64-LABEL:   sym.operator @infinite(%h "h" : tensor<f64> = dense<0x7ff0000000000000>)

// -----

// Local values must stay apart.
sym.operator @one_value() space #sym.space<2 x [16777216, 16777217]> element f64 {
  sym.term @t over #sym.rows<[0]> {
  ^bb0(%x : !sym.config, %i : !sym.site):
    %one = stablehlo.constant dense<1.0> : tensor<f64>
    sym.emit %x, %one : tensor<f64>
  }
}

// CHECK:     sym-convert-element: the local values 16777216 and 16777217 of @one_value are the same number in f32
// F64-LABEL: sym.operator @one_value()
