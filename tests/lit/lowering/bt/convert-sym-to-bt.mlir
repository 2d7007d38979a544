// RUN: symir-opt %s -p convert-sym-to-bt --split-input-file --verify-diagnostics | filecheck %s

// The three kinds: a parameter is a scalar, what the row decides a lane value, what x
// decides a batch value. A smaller kind is broadcast exactly where it meets a larger one;
// amplitude, values and validity keep the kind that they have.
sym.operator @kinds(%h "h" : tensor<f64> = dense<1.0>) space #sym.space<3 x [0, 1]> element f64 {
  sym.term @t over #sym.rows<[0, 1], [1, 2]> data [#sym.column<"J", dense<[0.5, 1.5]> : tensor<2xf64>>] {
  ^bb0(%x : !sym.config, %i : !sym.site, %j : !sym.site, %J : tensor<f64>):
    %two = stablehlo.constant dense<2.0> : tensor<f64>
    %scalar = stablehlo.multiply %h, %two : tensor<f64>
    %lane = stablehlo.multiply %scalar, %J : tensor<f64>
    %n = sym.read %x[%j] : tensor<f64>
    %batch = stablehlo.multiply %lane, %n : tensor<f64>
    %both = stablehlo.add %batch, %scalar : tensor<f64>
    %number = sym.index %i
    %real = stablehlo.convert %number : (tensor<i32>) -> tensor<f64>
    %p = stablehlo.compare LT, %real, %n : (tensor<f64>, tensor<f64>) -> tensor<i1>
    %y = sym.write %x[%i], %n : tensor<f64>
    sym.emit %y, %both if %p : tensor<f64>
    sym.emit %x, %lane : tensor<f64>
    sym.emit %x, %h : tensor<f64>
  }
}

// CHECK-LABEL: func.func @kinds(%x: tensor<?x3x!bt.state>, %h: tensor<f64>) -> (tensor<?x6x3x!bt.state>, tensor<?x6xf64>) {
// CHECK-NEXT:    %i = stablehlo.constant dense<[0, 1]> : tensor<2xi32>
// CHECK-NEXT:    %j = stablehlo.constant dense<[1, 2]> : tensor<2xi32>
// CHECK-NEXT:    %J = stablehlo.constant dense<[5.000000e-01, 1.500000e+00]> : tensor<2xf64>
// CHECK-NEXT:    %two = stablehlo.constant dense<2.000000e+00> : tensor<f64>
// CHECK-NEXT:    %scalar = stablehlo.multiply %h, %two : tensor<f64>
// CHECK-NEXT:    %0 = bt.broadcast %scalar dims = [] : tensor<f64> -> tensor<2xf64>
// CHECK-NEXT:    %lane = stablehlo.multiply %0, %J : tensor<2xf64>
// CHECK-NEXT:    %n = bt.gather %x[%j] : (tensor<?x3x!bt.state>, tensor<2xi32>) -> tensor<?x2xf64>
// CHECK-NEXT:    %1 = bt.broadcast %lane dims = [1] : tensor<2xf64> -> tensor<?x2xf64>
// CHECK-NEXT:    %batch = stablehlo.multiply %1, %n : tensor<?x2xf64>
// CHECK-NEXT:    %2 = bt.broadcast %scalar dims = [] : tensor<f64> -> tensor<?x2xf64>
// CHECK-NEXT:    %both = stablehlo.add %batch, %2 : tensor<?x2xf64>
// CHECK-NEXT:    %real = stablehlo.convert %i : (tensor<2xi32>) -> tensor<2xf64>
// CHECK-NEXT:    %3 = bt.broadcast %real dims = [1] : tensor<2xf64> -> tensor<?x2xf64>
// CHECK-NEXT:    %p = stablehlo.compare LT, %3, %n : (tensor<?x2xf64>, tensor<?x2xf64>) -> tensor<?x2xi1>
// CHECK-NEXT:    %4 = bt.branches[%i] = [%n] amplitude %both valid %p origins #bt.lanes<0, 3 of 6> : [tensor<2xi32>] [tensor<?x2xf64>] tensor<?x2xf64>, tensor<?x2xi1> -> !bt.branches<2 x 1>
// CHECK-NEXT:    %5 = bt.branches[] = [] amplitude %lane origins #bt.lanes<1, 4 of 6> : [] [] tensor<2xf64> -> !bt.branches<2 x 0>
// CHECK-NEXT:    %6 = bt.branches[] = [] amplitude %h origins #bt.lanes<2, 5 of 6> : [] [] tensor<f64> -> !bt.branches<2 x 0>
// CHECK-NEXT:    %7 = bt.interleave %4, %5, %6 : !bt.branches<2 x 1>, !bt.branches<2 x 0>, !bt.branches<2 x 0> -> !bt.branches<6 x 1>
// CHECK-NEXT:    %8 = bt.concat %7 : !bt.branches<6 x 1> -> !bt.branches<6 x 1>
// CHECK-NEXT:    %9, %10 = bt.connections %x, %8 : (tensor<?x3x!bt.state>, !bt.branches<6 x 1>) -> (tensor<?x6x3x!bt.state>, tensor<?x6xf64>)
// CHECK-NEXT:    func.return %9, %10 : tensor<?x6x3x!bt.state>, tensor<?x6xf64>
// CHECK-NEXT:  }

// A single emission is interleaved, and a single term concatenated: canonicalization
// removes both. A complex operator reads real numbers.
sym.operator @complex(%g "g" : tensor<complex<f32>>) space #sym.space<2 x [0, 1]> element complex<f32> {
  sym.term @t over #sym.rows<[1], [0]> {
  ^bb0(%x : !sym.config, %i : !sym.site):
    %v = sym.read %x[%i] : tensor<f32>
    %z = stablehlo.complex %v, %v : (tensor<f32>, tensor<f32>) -> tensor<complex<f32>>
    %a = stablehlo.multiply %z, %g : tensor<complex<f32>>
    sym.emit %x, %a : tensor<complex<f32>>
  }
}

// CHECK-LABEL: func.func @complex(%x: tensor<?x2x!bt.state>, %g: tensor<complex<f32>>) -> (tensor<?x2x2x!bt.state>, tensor<?x2xcomplex<f32>>) {
// CHECK-NEXT:    %i = stablehlo.constant dense<[1, 0]> : tensor<2xi32>
// CHECK-NEXT:    %v = bt.gather %x[%i] : (tensor<?x2x!bt.state>, tensor<2xi32>) -> tensor<?x2xf32>
// CHECK-NEXT:    %z = stablehlo.complex %v, %v : tensor<?x2xcomplex<f32>>
// CHECK-NEXT:    %0 = bt.broadcast %g dims = [] : tensor<complex<f32>> -> tensor<?x2xcomplex<f32>>
// CHECK-NEXT:    %a = stablehlo.multiply %z, %0 : tensor<?x2xcomplex<f32>>
// CHECK-NEXT:    %1 = bt.branches[] = [] amplitude %a origins #bt.lanes<0, 1 of 2> : [] [] tensor<?x2xcomplex<f32>> -> !bt.branches<2 x 0>
// CHECK-NEXT:    %2 = bt.interleave %1 : !bt.branches<2 x 0> -> !bt.branches<2 x 0>
// CHECK-NEXT:    %3 = bt.concat %2 : !bt.branches<2 x 0> -> !bt.branches<2 x 0>
// CHECK-NEXT:    %4, %5 = bt.connections %x, %3 : (tensor<?x2x!bt.state>, !bt.branches<2 x 0>) -> (tensor<?x2x2x!bt.state>, tensor<?x2xcomplex<f32>>)
// CHECK-NEXT:    func.return %4, %5 : tensor<?x2x2x!bt.state>, tensor<?x2xcomplex<f32>>
// CHECK-NEXT:  }

// Terms in order, emissions of a term interleaved; a term without rows has no lanes, and
// the single row of a term without labels is one.
sym.operator @several() space #sym.space<2 x [0, 1]> element f64 {
  sym.term @first over #sym.rows<[0], [1]> {
  ^bb0(%x : !sym.config, %i : !sym.site):
    %one = stablehlo.constant dense<1.0> : tensor<f64>
    %y = sym.write %x[%i], %one : tensor<f64>
    sym.emit %y, %one tag "a" : tensor<f64>
    sym.emit %x, %one tag "b" : tensor<f64>
  }
  sym.term @empty over #sym.rows<0 x 1> {
  ^bb0(%x : !sym.config, %i : !sym.site):
    %two = stablehlo.constant dense<2.0> : tensor<f64>
    %n = sym.read %x[%i] : tensor<f64>
    sym.emit %x, %n : tensor<f64>
  }
  sym.term @global over #sym.rows<[]> {
  ^bb0(%x : !sym.config):
    %three = stablehlo.constant dense<3.0> : tensor<f64>
    sym.emit %x, %three : tensor<f64>
  }
}

// CHECK-LABEL: func.func @several(%x: tensor<?x2x!bt.state>) -> (tensor<?x5x2x!bt.state>, tensor<?x5xf64>) {
// CHECK-NEXT:    %i = stablehlo.constant dense<[0, 1]> : tensor<2xi32>
// CHECK-NEXT:    %one = stablehlo.constant dense<1.000000e+00> : tensor<f64>
// CHECK-NEXT:    %0 = bt.branches[%i] = [%one] amplitude %one origins #bt.lanes<0, 2 of 5> : [tensor<2xi32>] [tensor<f64>] tensor<f64> -> !bt.branches<2 x 1>
// CHECK-NEXT:    %1 = bt.branches[] = [] amplitude %one origins #bt.lanes<1, 3 of 5> : [] [] tensor<f64> -> !bt.branches<2 x 0>
// CHECK-NEXT:    %2 = bt.interleave %0, %1 : !bt.branches<2 x 1>, !bt.branches<2 x 0> -> !bt.branches<4 x 1>
// CHECK-NEXT:    %i_1 = stablehlo.constant dense<> : tensor<0xi32>
// CHECK-NEXT:    %two = stablehlo.constant dense<2.000000e+00> : tensor<f64>
// CHECK-NEXT:    %n = bt.gather %x[%i_1] : (tensor<?x2x!bt.state>, tensor<0xi32>) -> tensor<?x0xf64>
// CHECK-NEXT:    %3 = bt.branches[] = [] amplitude %n origins #bt.lanes<of 5> : [] [] tensor<?x0xf64> -> !bt.branches<0 x 0>
// CHECK-NEXT:    %4 = bt.interleave %3 : !bt.branches<0 x 0> -> !bt.branches<0 x 0>
// CHECK-NEXT:    %three = stablehlo.constant dense<3.000000e+00> : tensor<f64>
// CHECK-NEXT:    %5 = bt.branches[] = [] amplitude %three origins #bt.lanes<4 of 5> : [] [] tensor<f64> -> !bt.branches<1 x 0>
// CHECK-NEXT:    %6 = bt.interleave %5 : !bt.branches<1 x 0> -> !bt.branches<1 x 0>
// CHECK-NEXT:    %7 = bt.concat %2, %4, %6 : !bt.branches<4 x 1>, !bt.branches<0 x 0>, !bt.branches<1 x 0> -> !bt.branches<5 x 1>
// CHECK-NEXT:    %8, %9 = bt.connections %x, %7 : (tensor<?x2x!bt.state>, !bt.branches<5 x 1>) -> (tensor<?x5x2x!bt.state>, tensor<?x5xf64>)
// CHECK-NEXT:    func.return %8, %9 : tensor<?x5x2x!bt.state>, tensor<?x5xf64>
// CHECK-NEXT:  }

// An operator without terms connects nothing.
sym.operator @nothing() space #sym.space<2 x [0, 1]> element f32 {
}

// CHECK-LABEL: func.func @nothing(%x: tensor<?x2x!bt.state>) -> (tensor<?x0x2x!bt.state>, tensor<?x0xf32>) {
// CHECK-NEXT:    %0 = bt.concat : -> !bt.branches<0 x 0>
// CHECK-NEXT:    %1, %2 = bt.connections %x, %0 : (tensor<?x2x!bt.state>, !bt.branches<0 x 0>) -> (tensor<?x0x2x!bt.state>, tensor<?x0xf32>)
// CHECK-NEXT:    func.return %1, %2 : tensor<?x0x2x!bt.state>, tensor<?x0xf32>
// CHECK-NEXT:  }

// A write that a later one shadows carries the source value: in the rows where the sites
// agree, decided by their tables. Of three writes, by either of the later ones.
sym.operator @shadowed() space #sym.space<3 x [0, 1]> element f64 {
  sym.term @t over #sym.rows<[0, 0, 1], [1, 2, 1], [0, 1, 2]> {
  ^bb0(%x : !sym.config, %i : !sym.site, %j : !sym.site, %k : !sym.site):
    %one = stablehlo.constant dense<1.0> : tensor<f64>
    %y = sym.write %x[%i], %one : tensor<f64>
    %z = sym.write %y[%j], %one : tensor<f64>
    %w = sym.write %z[%k], %one : tensor<f64>
    sym.emit %w, %one : tensor<f64>
  }
}

// CHECK-LABEL: func.func @shadowed(%x: tensor<?x3x!bt.state>) -> (tensor<?x3x3x!bt.state>, tensor<?x3xf64>) {
// CHECK-NEXT:    %i = stablehlo.constant dense<[0, 1, 0]> : tensor<3xi32>
// CHECK-NEXT:    %j = stablehlo.constant dense<[0, 2, 1]> : tensor<3xi32>
// CHECK-NEXT:    %k = stablehlo.constant dense<[1, 1, 2]> : tensor<3xi32>
// CHECK-NEXT:    %one = stablehlo.constant dense<1.000000e+00> : tensor<f64>
// CHECK-NEXT:    %0 = stablehlo.compare EQ, %i, %j : (tensor<3xi32>, tensor<3xi32>) -> tensor<3xi1>
// CHECK-NEXT:    %1 = stablehlo.compare EQ, %i, %k : (tensor<3xi32>, tensor<3xi32>) -> tensor<3xi1>
// CHECK-NEXT:    %2 = stablehlo.or %0, %1 : tensor<3xi1>
// CHECK-NEXT:    %3 = bt.gather %x[%i] : (tensor<?x3x!bt.state>, tensor<3xi32>) -> tensor<?x3xf64>
// CHECK-NEXT:    %4 = bt.broadcast %2 dims = [1] : tensor<3xi1> -> tensor<?x3xi1>
// CHECK-NEXT:    %5 = bt.broadcast %one dims = [] : tensor<f64> -> tensor<?x3xf64>
// CHECK-NEXT:    %6 = stablehlo.select %4, %3, %5 : tensor<?x3xi1>, tensor<?x3xf64>
// CHECK-NEXT:    %7 = bt.branches[%i, %j, %k] = [%6, %one, %one] amplitude %one origins #bt.lanes<0:3 of 3> : [tensor<3xi32>, tensor<3xi32>, tensor<3xi32>] [tensor<?x3xf64>, tensor<f64>, tensor<f64>] tensor<f64> -> !bt.branches<3 x 3>
// CHECK-NEXT:    %8 = bt.interleave %7 : !bt.branches<3 x 3> -> !bt.branches<3 x 3>
// CHECK-NEXT:    %9 = bt.concat %8 : !bt.branches<3 x 3> -> !bt.branches<3 x 3>
// CHECK-NEXT:    %10, %11 = bt.connections %x, %9 : (tensor<?x3x!bt.state>, !bt.branches<3 x 3>) -> (tensor<?x3x3x!bt.state>, tensor<?x3xf64>)
// CHECK-NEXT:    func.return %10, %11 : tensor<?x3x3x!bt.state>, tensor<?x3xf64>
// CHECK-NEXT:  }

// Writes to sites that differ in every row are stored as they are.
sym.operator @not_shadowed() space #sym.space<3 x [0, 1]> element f64 {
  sym.term @t over #sym.rows<[0, 1], [1, 2]> {
  ^bb0(%x : !sym.config, %i : !sym.site, %j : !sym.site):
    %one = stablehlo.constant dense<1.0> : tensor<f64>
    %y = sym.write %x[%i], %one : tensor<f64>
    %z = sym.write %y[%j], %one : tensor<f64>
    sym.emit %z, %one : tensor<f64>
  }
}

// CHECK-LABEL: func.func @not_shadowed(%x: tensor<?x3x!bt.state>) -> (tensor<?x2x3x!bt.state>, tensor<?x2xf64>) {
// CHECK-NEXT:    %i = stablehlo.constant dense<[0, 1]> : tensor<2xi32>
// CHECK-NEXT:    %j = stablehlo.constant dense<[1, 2]> : tensor<2xi32>
// CHECK-NEXT:    %one = stablehlo.constant dense<1.000000e+00> : tensor<f64>
// CHECK-NEXT:    %0 = bt.branches[%i, %j] = [%one, %one] amplitude %one origins #bt.lanes<0, 1 of 2> : [tensor<2xi32>, tensor<2xi32>] [tensor<f64>, tensor<f64>] tensor<f64> -> !bt.branches<2 x 2>
// CHECK-NEXT:    %1 = bt.interleave %0 : !bt.branches<2 x 2> -> !bt.branches<2 x 2>
// CHECK-NEXT:    %2 = bt.concat %1 : !bt.branches<2 x 2> -> !bt.branches<2 x 2>
// CHECK-NEXT:    %3, %4 = bt.connections %x, %2 : (tensor<?x3x!bt.state>, !bt.branches<2 x 2>) -> (tensor<?x2x3x!bt.state>, tensor<?x2xf64>)
// CHECK-NEXT:    func.return %3, %4 : tensor<?x2x3x!bt.state>, tensor<?x2xf64>
// CHECK-NEXT:  }

// Membership in the space.

// A few local values are compared one by one.
sym.operator @listed() space #sym.space<2 x [0, 1, 5]> element f64 {
  sym.term @t over #sym.rows<[0], [1]> {
  ^bb0(%x : !sym.config, %i : !sym.site):
    %v = sym.read %x[%i] : tensor<f64>
    %p = sym.allowed %v at %i : tensor<f64>
    sym.emit %x, %v if %p : tensor<f64>
  }
}

// CHECK-LABEL: func.func @listed(%x: tensor<?x2x!bt.state>) -> (tensor<?x2x2x!bt.state>, tensor<?x2xf64>) {
// CHECK-NEXT:    %i = stablehlo.constant dense<[0, 1]> : tensor<2xi32>
// CHECK-NEXT:    %v = bt.gather %x[%i] : (tensor<?x2x!bt.state>, tensor<2xi32>) -> tensor<?x2xf64>
// CHECK-NEXT:    %0 = stablehlo.constant dense<0.000000e+00> : tensor<f64>
// CHECK-NEXT:    %1 = bt.broadcast %0 dims = [] : tensor<f64> -> tensor<?x2xf64>
// CHECK-NEXT:    %2 = stablehlo.compare EQ, %v, %1 : (tensor<?x2xf64>, tensor<?x2xf64>) -> tensor<?x2xi1>
// CHECK-NEXT:    %3 = stablehlo.constant dense<1.000000e+00> : tensor<f64>
// CHECK-NEXT:    %4 = bt.broadcast %3 dims = [] : tensor<f64> -> tensor<?x2xf64>
// CHECK-NEXT:    %5 = stablehlo.compare EQ, %v, %4 : (tensor<?x2xf64>, tensor<?x2xf64>) -> tensor<?x2xi1>
// CHECK-NEXT:    %6 = stablehlo.constant dense<5.000000e+00> : tensor<f64>
// CHECK-NEXT:    %7 = bt.broadcast %6 dims = [] : tensor<f64> -> tensor<?x2xf64>
// CHECK-NEXT:    %8 = stablehlo.compare EQ, %v, %7 : (tensor<?x2xf64>, tensor<?x2xf64>) -> tensor<?x2xi1>
// CHECK-NEXT:    %9 = stablehlo.or %2, %5 : tensor<?x2xi1>
// CHECK-NEXT:    %10 = stablehlo.or %9, %8 : tensor<?x2xi1>
// CHECK-NEXT:    %11 = bt.branches[] = [] amplitude %v valid %10 origins #bt.lanes<0, 1 of 2> : [] [] tensor<?x2xf64>, tensor<?x2xi1> -> !bt.branches<2 x 0>
// CHECK-NEXT:    %12 = bt.interleave %11 : !bt.branches<2 x 0> -> !bt.branches<2 x 0>
// CHECK-NEXT:    %13 = bt.concat %12 : !bt.branches<2 x 0> -> !bt.branches<2 x 0>
// CHECK-NEXT:    %14, %15 = bt.connections %x, %13 : (tensor<?x2x!bt.state>, !bt.branches<2 x 0>) -> (tensor<?x2x2x!bt.state>, tensor<?x2xf64>)
// CHECK-NEXT:    func.return %14, %15 : tensor<?x2x2x!bt.state>, tensor<?x2xf64>
// CHECK-NEXT:  }

// Many integers are checked by their bounds.
sym.operator @integers() space #sym.space<2 x [-2, -1, 0, 1, 2]> element f64 {
  sym.term @t over #sym.rows<[0], [1]> {
  ^bb0(%x : !sym.config, %i : !sym.site):
    %v = sym.read %x[%i] : tensor<f64>
    %p = sym.allowed %v at %i : tensor<f64>
    sym.emit %x, %v if %p : tensor<f64>
  }
}

// CHECK-LABEL: func.func @integers(%x: tensor<?x2x!bt.state>) -> (tensor<?x2x2x!bt.state>, tensor<?x2xf64>) {
// CHECK-NEXT:    %i = stablehlo.constant dense<[0, 1]> : tensor<2xi32>
// CHECK-NEXT:    %v = bt.gather %x[%i] : (tensor<?x2x!bt.state>, tensor<2xi32>) -> tensor<?x2xf64>
// CHECK-NEXT:    %0 = stablehlo.constant dense<-2.000000e+00> : tensor<f64>
// CHECK-NEXT:    %1 = stablehlo.constant dense<2.000000e+00> : tensor<f64>
// CHECK-NEXT:    %2 = bt.broadcast %0 dims = [] : tensor<f64> -> tensor<?x2xf64>
// CHECK-NEXT:    %3 = stablehlo.compare GE, %v, %2 : (tensor<?x2xf64>, tensor<?x2xf64>) -> tensor<?x2xi1>
// CHECK-NEXT:    %4 = bt.broadcast %1 dims = [] : tensor<f64> -> tensor<?x2xf64>
// CHECK-NEXT:    %5 = stablehlo.compare LE, %v, %4 : (tensor<?x2xf64>, tensor<?x2xf64>) -> tensor<?x2xi1>
// CHECK-NEXT:    %6 = stablehlo.and %3, %5 : tensor<?x2xi1>
// CHECK-NEXT:    %7 = stablehlo.floor %v : tensor<?x2xf64>
// CHECK-NEXT:    %8 = stablehlo.compare EQ, %7, %v : (tensor<?x2xf64>, tensor<?x2xf64>) -> tensor<?x2xi1>
// CHECK-NEXT:    %9 = stablehlo.and %6, %8 : tensor<?x2xi1>
// CHECK-NEXT:    %10 = bt.branches[] = [] amplitude %v valid %9 origins #bt.lanes<0, 1 of 2> : [] [] tensor<?x2xf64>, tensor<?x2xi1> -> !bt.branches<2 x 0>
// CHECK-NEXT:    %11 = bt.interleave %10 : !bt.branches<2 x 0> -> !bt.branches<2 x 0>
// CHECK-NEXT:    %12 = bt.concat %11 : !bt.branches<2 x 0> -> !bt.branches<2 x 0>
// CHECK-NEXT:    %13, %14 = bt.connections %x, %12 : (tensor<?x2x!bt.state>, !bt.branches<2 x 0>) -> (tensor<?x2x2x!bt.state>, tensor<?x2xf64>)
// CHECK-NEXT:    func.return %13, %14 : tensor<?x2x2x!bt.state>, tensor<?x2xf64>
// CHECK-NEXT:  }

// With another step, by the nearest allowed value below.
sym.operator @steps() space #sym.space<2 x [-4, -2, 0, 2, 4]> element f32 {
  sym.term @t over #sym.rows<[0], [1]> {
  ^bb0(%x : !sym.config, %i : !sym.site):
    %v = sym.read %x[%i] : tensor<f32>
    %p = sym.allowed %v at %i : tensor<f32>
    sym.emit %x, %v if %p : tensor<f32>
  }
}

// CHECK-LABEL: func.func @steps(%x: tensor<?x2x!bt.state>) -> (tensor<?x2x2x!bt.state>, tensor<?x2xf32>) {
// CHECK-NEXT:    %i = stablehlo.constant dense<[0, 1]> : tensor<2xi32>
// CHECK-NEXT:    %v = bt.gather %x[%i] : (tensor<?x2x!bt.state>, tensor<2xi32>) -> tensor<?x2xf32>
// CHECK-NEXT:    %0 = stablehlo.constant dense<-4.000000e+00> : tensor<f32>
// CHECK-NEXT:    %1 = stablehlo.constant dense<4.000000e+00> : tensor<f32>
// CHECK-NEXT:    %2 = bt.broadcast %0 dims = [] : tensor<f32> -> tensor<?x2xf32>
// CHECK-NEXT:    %3 = stablehlo.compare GE, %v, %2 : (tensor<?x2xf32>, tensor<?x2xf32>) -> tensor<?x2xi1>
// CHECK-NEXT:    %4 = bt.broadcast %1 dims = [] : tensor<f32> -> tensor<?x2xf32>
// CHECK-NEXT:    %5 = stablehlo.compare LE, %v, %4 : (tensor<?x2xf32>, tensor<?x2xf32>) -> tensor<?x2xi1>
// CHECK-NEXT:    %6 = stablehlo.and %3, %5 : tensor<?x2xi1>
// CHECK-NEXT:    %7 = stablehlo.constant dense<2.000000e+00> : tensor<f32>
// CHECK-NEXT:    %8 = bt.broadcast %0 dims = [] : tensor<f32> -> tensor<?x2xf32>
// CHECK-NEXT:    %9 = stablehlo.subtract %v, %8 : tensor<?x2xf32>
// CHECK-NEXT:    %10 = bt.broadcast %7 dims = [] : tensor<f32> -> tensor<?x2xf32>
// CHECK-NEXT:    %11 = stablehlo.divide %9, %10 : tensor<?x2xf32>
// CHECK-NEXT:    %12 = stablehlo.floor %11 : tensor<?x2xf32>
// CHECK-NEXT:    %13 = bt.broadcast %7 dims = [] : tensor<f32> -> tensor<?x2xf32>
// CHECK-NEXT:    %14 = stablehlo.multiply %12, %13 : tensor<?x2xf32>
// CHECK-NEXT:    %15 = bt.broadcast %0 dims = [] : tensor<f32> -> tensor<?x2xf32>
// CHECK-NEXT:    %16 = stablehlo.add %15, %14 : tensor<?x2xf32>
// CHECK-NEXT:    %17 = stablehlo.compare EQ, %16, %v : (tensor<?x2xf32>, tensor<?x2xf32>) -> tensor<?x2xi1>
// CHECK-NEXT:    %18 = stablehlo.and %6, %17 : tensor<?x2xi1>
// CHECK-NEXT:    %19 = bt.branches[] = [] amplitude %v valid %18 origins #bt.lanes<0, 1 of 2> : [] [] tensor<?x2xf32>, tensor<?x2xi1> -> !bt.branches<2 x 0>
// CHECK-NEXT:    %20 = bt.interleave %19 : !bt.branches<2 x 0> -> !bt.branches<2 x 0>
// CHECK-NEXT:    %21 = bt.concat %20 : !bt.branches<2 x 0> -> !bt.branches<2 x 0>
// CHECK-NEXT:    %22, %23 = bt.connections %x, %21 : (tensor<?x2x!bt.state>, !bt.branches<2 x 0>) -> (tensor<?x2x2x!bt.state>, tensor<?x2xf32>)
// CHECK-NEXT:    func.return %22, %23 : tensor<?x2x2x!bt.state>, tensor<?x2xf32>
// CHECK-NEXT:  }

// Uneven steps are listed however many there are; so are steps that are no short binary
// fractions, whose sums are rounded.
sym.operator @uneven() space #sym.space<2 x [0, 1, 2, 3, 5]> element f64 {
  sym.term @t over #sym.rows<[0], [1]> {
  ^bb0(%x : !sym.config, %i : !sym.site):
    %v = sym.read %x[%i] : tensor<f64>
    %p = sym.allowed %v at %i : tensor<f64>
    sym.emit %x, %v if %p : tensor<f64>
  }
}

// CHECK-LABEL:    func.func @uneven
// CHECK-COUNT-5:    stablehlo.compare EQ
// CHECK-NOT:        stablehlo.compare
// CHECK:            func.return

sym.operator @rounded() space #sym.space<2 x [0.1, 0.2, 0.3, 0.4, 0.5]> element f64 {
  sym.term @t over #sym.rows<[0], [1]> {
  ^bb0(%x : !sym.config, %i : !sym.site):
    %v = sym.read %x[%i] : tensor<f64>
    %p = sym.allowed %v at %i : tensor<f64>
    sym.emit %x, %v if %p : tensor<f64>
  }
}

// CHECK-LABEL:    func.func @rounded
// CHECK-COUNT-5:    stablehlo.compare EQ
// CHECK-NOT:        stablehlo.compare
// CHECK:            func.return

// Where sites differ, what is compared with depends on the row; short lists repeat their
// last value.
sym.operator @per_site() space #sym.space<3 x [0, 1], [0, 1, 2], [0, 1]> element f64 {
  sym.term @t over #sym.rows<[0], [1], [2]> {
  ^bb0(%x : !sym.config, %i : !sym.site):
    %v = sym.read %x[%i] : tensor<f64>
    %p = sym.allowed %v at %i : tensor<f64>
    sym.emit %x, %v if %p : tensor<f64>
  }
}

// CHECK-LABEL: func.func @per_site(%x: tensor<?x3x!bt.state>) -> (tensor<?x3x3x!bt.state>, tensor<?x3xf64>) {
// CHECK-NEXT:    %i = stablehlo.constant dense<[0, 1, 2]> : tensor<3xi32>
// CHECK-NEXT:    %v = bt.gather %x[%i] : (tensor<?x3x!bt.state>, tensor<3xi32>) -> tensor<?x3xf64>
// CHECK-NEXT:    %0 = stablehlo.constant dense<0.000000e+00> : tensor<f64>
// CHECK-NEXT:    %1 = bt.broadcast %0 dims = [] : tensor<f64> -> tensor<?x3xf64>
// CHECK-NEXT:    %2 = stablehlo.compare EQ, %v, %1 : (tensor<?x3xf64>, tensor<?x3xf64>) -> tensor<?x3xi1>
// CHECK-NEXT:    %3 = stablehlo.constant dense<1.000000e+00> : tensor<f64>
// CHECK-NEXT:    %4 = bt.broadcast %3 dims = [] : tensor<f64> -> tensor<?x3xf64>
// CHECK-NEXT:    %5 = stablehlo.compare EQ, %v, %4 : (tensor<?x3xf64>, tensor<?x3xf64>) -> tensor<?x3xi1>
// CHECK-NEXT:    %6 = stablehlo.constant dense<[1.000000e+00, 2.000000e+00, 1.000000e+00]> : tensor<3xf64>
// CHECK-NEXT:    %7 = bt.broadcast %6 dims = [1] : tensor<3xf64> -> tensor<?x3xf64>
// CHECK-NEXT:    %8 = stablehlo.compare EQ, %v, %7 : (tensor<?x3xf64>, tensor<?x3xf64>) -> tensor<?x3xi1>
// CHECK-NEXT:    %9 = stablehlo.or %2, %5 : tensor<?x3xi1>
// CHECK-NEXT:    %10 = stablehlo.or %9, %8 : tensor<?x3xi1>
// CHECK-NEXT:    %11 = bt.branches[] = [] amplitude %v valid %10 origins #bt.lanes<0:3 of 3> : [] [] tensor<?x3xf64>, tensor<?x3xi1> -> !bt.branches<3 x 0>
// CHECK-NEXT:    %12 = bt.interleave %11 : !bt.branches<3 x 0> -> !bt.branches<3 x 0>
// CHECK-NEXT:    %13 = bt.concat %12 : !bt.branches<3 x 0> -> !bt.branches<3 x 0>
// CHECK-NEXT:    %14, %15 = bt.connections %x, %13 : (tensor<?x3x!bt.state>, !bt.branches<3 x 0>) -> (tensor<?x3x3x!bt.state>, tensor<?x3xf64>)
// CHECK-NEXT:    func.return %14, %15 : tensor<?x3x3x!bt.state>, tensor<?x3xf64>
// CHECK-NEXT:  }

// Their bounds and steps, too.
sym.operator @per_site_bounds() space #sym.space<2 x [0, 0.5, 1, 1.5, 2], [1]> element f64 {
  sym.term @t over #sym.rows<[1], [0]> {
  ^bb0(%x : !sym.config, %i : !sym.site):
    %v = sym.read %x[%i] : tensor<f64>
    %p = sym.allowed %v at %i : tensor<f64>
    sym.emit %x, %v if %p : tensor<f64>
  }
}

// CHECK-LABEL: func.func @per_site_bounds(%x: tensor<?x2x!bt.state>) -> (tensor<?x2x2x!bt.state>, tensor<?x2xf64>) {
// CHECK-NEXT:    %i = stablehlo.constant dense<[1, 0]> : tensor<2xi32>
// CHECK-NEXT:    %v = bt.gather %x[%i] : (tensor<?x2x!bt.state>, tensor<2xi32>) -> tensor<?x2xf64>
// CHECK-NEXT:    %0 = stablehlo.constant dense<[1.000000e+00, 0.000000e+00]> : tensor<2xf64>
// CHECK-NEXT:    %1 = stablehlo.constant dense<[1.000000e+00, 2.000000e+00]> : tensor<2xf64>
// CHECK-NEXT:    %2 = bt.broadcast %0 dims = [1] : tensor<2xf64> -> tensor<?x2xf64>
// CHECK-NEXT:    %3 = stablehlo.compare GE, %v, %2 : (tensor<?x2xf64>, tensor<?x2xf64>) -> tensor<?x2xi1>
// CHECK-NEXT:    %4 = bt.broadcast %1 dims = [1] : tensor<2xf64> -> tensor<?x2xf64>
// CHECK-NEXT:    %5 = stablehlo.compare LE, %v, %4 : (tensor<?x2xf64>, tensor<?x2xf64>) -> tensor<?x2xi1>
// CHECK-NEXT:    %6 = stablehlo.and %3, %5 : tensor<?x2xi1>
// CHECK-NEXT:    %7 = stablehlo.constant dense<[1.000000e+00, 5.000000e-01]> : tensor<2xf64>
// CHECK-NEXT:    %8 = bt.broadcast %0 dims = [1] : tensor<2xf64> -> tensor<?x2xf64>
// CHECK-NEXT:    %9 = stablehlo.subtract %v, %8 : tensor<?x2xf64>
// CHECK-NEXT:    %10 = bt.broadcast %7 dims = [1] : tensor<2xf64> -> tensor<?x2xf64>
// CHECK-NEXT:    %11 = stablehlo.divide %9, %10 : tensor<?x2xf64>
// CHECK-NEXT:    %12 = stablehlo.floor %11 : tensor<?x2xf64>
// CHECK-NEXT:    %13 = bt.broadcast %7 dims = [1] : tensor<2xf64> -> tensor<?x2xf64>
// CHECK-NEXT:    %14 = stablehlo.multiply %12, %13 : tensor<?x2xf64>
// CHECK-NEXT:    %15 = bt.broadcast %0 dims = [1] : tensor<2xf64> -> tensor<?x2xf64>
// CHECK-NEXT:    %16 = stablehlo.add %15, %14 : tensor<?x2xf64>
// CHECK-NEXT:    %17 = stablehlo.compare EQ, %16, %v : (tensor<?x2xf64>, tensor<?x2xf64>) -> tensor<?x2xi1>
// CHECK-NEXT:    %18 = stablehlo.and %6, %17 : tensor<?x2xi1>
// CHECK-NEXT:    %19 = bt.branches[] = [] amplitude %v valid %18 origins #bt.lanes<0, 1 of 2> : [] [] tensor<?x2xf64>, tensor<?x2xi1> -> !bt.branches<2 x 0>
// CHECK-NEXT:    %20 = bt.interleave %19 : !bt.branches<2 x 0> -> !bt.branches<2 x 0>
// CHECK-NEXT:    %21 = bt.concat %20 : !bt.branches<2 x 0> -> !bt.branches<2 x 0>
// CHECK-NEXT:    %22, %23 = bt.connections %x, %21 : (tensor<?x2x!bt.state>, !bt.branches<2 x 0>) -> (tensor<?x2x2x!bt.state>, tensor<?x2xf64>)
// CHECK-NEXT:    func.return %22, %23 : tensor<?x2x2x!bt.state>, tensor<?x2xf64>
// CHECK-NEXT:  }

// A reduction over sets of unequal size: what pads them is neutral.
sym.operator @sets() space #sym.space<3 x [0, 1]> element f64 {
  sym.term @t over #sym.rows<[0], [1]> sets [#sym.sets<[0, 2], [1]>] {
  ^bb0(%x : !sym.config, %i : !sym.site, %s : !sym.sites):
    %n = sym.reduce prod over %s : tensor<f64> {
    ^bb0(%h : !sym.site):
      %v = sym.read %x[%h] : tensor<f64>
      sym.yield %v : tensor<f64>
    }
    sym.emit %x, %n : tensor<f64>
  }
}

// CHECK-LABEL: func.func @sets(%x: tensor<?x3x!bt.state>) -> (tensor<?x2x3x!bt.state>, tensor<?x2xf64>) {
// CHECK-NEXT:      %i = stablehlo.constant dense<[0, 1]> : tensor<2xi32>
// CHECK-NEXT:      %h = stablehlo.constant dense<[[0, 2], [1, -1]]> : tensor<2x2xi32>
// CHECK-NEXT:      %0 = stablehlo.constant dense<-1> : tensor<i32>
// CHECK-NEXT:      %1 = bt.broadcast %0 dims = [] : tensor<i32> -> tensor<2x2xi32>
// CHECK-NEXT:      %2 = stablehlo.compare NE, %h, %1 : (tensor<2x2xi32>, tensor<2x2xi32>) -> tensor<2x2xi1>
// CHECK-NEXT:      %3 = bt.gather %x[%h] : (tensor<?x3x!bt.state>, tensor<2x2xi32>) -> tensor<?x2x2xf64>
// CHECK-NEXT:      %4 = stablehlo.constant dense<-1> : tensor<i32>
// CHECK-NEXT:      %5 = bt.broadcast %4 dims = [] : tensor<i32> -> tensor<2x2xi32>
// CHECK-NEXT:      %6 = stablehlo.compare NE, %h, %5 : (tensor<2x2xi32>, tensor<2x2xi32>) -> tensor<2x2xi1>
// CHECK-NEXT:      %7 = stablehlo.constant dense<0.000000e+00> : tensor<f64>
// CHECK-NEXT:      %8 = bt.broadcast %6 dims = [1, 2] : tensor<2x2xi1> -> tensor<?x2x2xi1>
// CHECK-NEXT:      %9 = bt.broadcast %7 dims = [] : tensor<f64> -> tensor<?x2x2xf64>
// CHECK-NEXT:      %v = stablehlo.select %8, %3, %9 : tensor<?x2x2xi1>, tensor<?x2x2xf64>
// CHECK-NEXT:      %10 = stablehlo.constant dense<1.000000e+00> : tensor<f64>
// CHECK-NEXT:      %11 = bt.broadcast %2 dims = [1, 2] : tensor<2x2xi1> -> tensor<?x2x2xi1>
// CHECK-NEXT:      %12 = bt.broadcast %10 dims = [] : tensor<f64> -> tensor<?x2x2xf64>
// CHECK-NEXT:      %13 = stablehlo.select %11, %v, %12 : tensor<?x2x2xi1>, tensor<?x2x2xf64>
// CHECK-NEXT:      %14 = bt.reduce prod %13 : tensor<?x2x2xf64> -> tensor<?x2xf64>
// CHECK-NEXT:      %15 = bt.branches[] = [] amplitude %14 origins #bt.lanes<0, 1 of 2> : [] [] tensor<?x2xf64> -> !bt.branches<2 x 0>
// CHECK-NEXT:      %16 = bt.interleave %15 : !bt.branches<2 x 0> -> !bt.branches<2 x 0>
// CHECK-NEXT:      %17 = bt.concat %16 : !bt.branches<2 x 0> -> !bt.branches<2 x 0>
// CHECK-NEXT:      %18, %19 = bt.connections %x, %17 : (tensor<?x3x!bt.state>, !bt.branches<2 x 0>) -> (tensor<?x2x3x!bt.state>, tensor<?x2xf64>)
// CHECK-NEXT:      func.return %18, %19 : tensor<?x2x3x!bt.state>, tensor<?x2xf64>
// CHECK-NEXT:    }

// Over a range, and over all sites; a value that is the same at all of them.
sym.operator @ranges() space #sym.space<3 x [0, 1]> element f64 {
  sym.term @t over #sym.rows<[0], [1]> {
  ^bb0(%x : !sym.config, %i : !sym.site):
    %one = stablehlo.constant dense<1.0> : tensor<f64>
    %a = sym.index %i
    %b = stablehlo.constant dense<3> : tensor<i32>
    %n = sym.reduce sum from %a to %b : tensor<f64> {
    ^bb0(%h : !sym.site):
      %v = sym.read %x[%h] : tensor<f64>
      sym.yield %v : tensor<f64>
    }
    %m = sym.reduce sum : tensor<f64> {
    ^bb0(%h : !sym.site):
      sym.yield %one : tensor<f64>
    }
    %u = stablehlo.add %n, %m : tensor<f64>
    sym.emit %x, %u : tensor<f64>
  }
}

// CHECK-LABEL: func.func @ranges(%x: tensor<?x3x!bt.state>) -> (tensor<?x2x3x!bt.state>, tensor<?x2xf64>) {
// CHECK-NEXT:      %i = stablehlo.constant dense<[0, 1]> : tensor<2xi32>
// CHECK-NEXT:      %one = stablehlo.constant dense<1.000000e+00> : tensor<f64>
// CHECK-NEXT:      %b = stablehlo.constant dense<3> : tensor<i32>
// CHECK-NEXT:      %h = stablehlo.constant dense<[0, 1, 2]> : tensor<3xi32>
// CHECK-NEXT:      %0 = bt.broadcast %h dims = [1] : tensor<3xi32> -> tensor<2x3xi32>
// CHECK-NEXT:      %1 = bt.broadcast %i dims = [0] : tensor<2xi32> -> tensor<2x3xi32>
// CHECK-NEXT:      %2 = stablehlo.compare GE, %0, %1 : (tensor<2x3xi32>, tensor<2x3xi32>) -> tensor<2x3xi1>
// CHECK-NEXT:      %3 = bt.broadcast %b dims = [] : tensor<i32> -> tensor<3xi32>
// CHECK-NEXT:      %4 = stablehlo.compare LT, %h, %3 : (tensor<3xi32>, tensor<3xi32>) -> tensor<3xi1>
// CHECK-NEXT:      %5 = bt.broadcast %4 dims = [1] : tensor<3xi1> -> tensor<2x3xi1>
// CHECK-NEXT:      %6 = stablehlo.and %2, %5 : tensor<2x3xi1>
// CHECK-NEXT:      %v = bt.gather %x[%h] : (tensor<?x3x!bt.state>, tensor<3xi32>) -> tensor<?x3xf64>
// CHECK-NEXT:      %7 = stablehlo.constant dense<0.000000e+00> : tensor<f64>
// CHECK-NEXT:      %8 = bt.broadcast %6 dims = [1, 2] : tensor<2x3xi1> -> tensor<?x2x3xi1>
// CHECK-NEXT:      %9 = bt.broadcast %v dims = [0, 2] : tensor<?x3xf64> -> tensor<?x2x3xf64>
// CHECK-NEXT:      %10 = bt.broadcast %7 dims = [] : tensor<f64> -> tensor<?x2x3xf64>
// CHECK-NEXT:      %11 = stablehlo.select %8, %9, %10 : tensor<?x2x3xi1>, tensor<?x2x3xf64>
// CHECK-NEXT:      %12 = bt.reduce sum %11 : tensor<?x2x3xf64> -> tensor<?x2xf64>
// CHECK-NEXT:      %h_1 = stablehlo.constant dense<[0, 1, 2]> : tensor<3xi32>
// CHECK-NEXT:      %13 = stablehlo.constant dense<0.000000e+00> : tensor<f64>
// CHECK-NEXT:      %14 = bt.broadcast %one dims = [] : tensor<f64> -> tensor<3xf64>
// CHECK-NEXT:      %15 = bt.reduce sum %14 : tensor<3xf64> -> tensor<f64>
// CHECK-NEXT:      %16 = bt.broadcast %15 dims = [] : tensor<f64> -> tensor<?x2xf64>
// CHECK-NEXT:      %u = stablehlo.add %12, %16 : tensor<?x2xf64>
// CHECK-NEXT:      %17 = bt.branches[] = [] amplitude %u origins #bt.lanes<0, 1 of 2> : [] [] tensor<?x2xf64> -> !bt.branches<2 x 0>
// CHECK-NEXT:      %18 = bt.interleave %17 : !bt.branches<2 x 0> -> !bt.branches<2 x 0>
// CHECK-NEXT:      %19 = bt.concat %18 : !bt.branches<2 x 0> -> !bt.branches<2 x 0>
// CHECK-NEXT:      %20, %21 = bt.connections %x, %19 : (tensor<?x3x!bt.state>, !bt.branches<2 x 0>) -> (tensor<?x2x3x!bt.state>, tensor<?x2xf64>)
// CHECK-NEXT:      func.return %20, %21 : tensor<?x2x3x!bt.state>, tensor<?x2xf64>
// CHECK-NEXT:    }

// A site that differs from sample to sample.
sym.operator @computed() space #sym.space<3 x [0, 1]> element f64 {
  sym.term @t over #sym.rows<[0], [1]> {
  ^bb0(%x : !sym.config, %i : !sym.site):
    %one = stablehlo.constant dense<1.0> : tensor<f64>
    %v = sym.read %x[%i] : tensor<f64>
    %j = sym.site %v : tensor<f64>
    %w = sym.read %x[%j] : tensor<f64>
    %y = sym.write %x[%j], %one : tensor<f64>
    sym.emit %y, %w : tensor<f64>
  }
}

// CHECK-LABEL: func.func @computed(%x: tensor<?x3x!bt.state>) -> (tensor<?x2x3x!bt.state>, tensor<?x2xf64>) {
// CHECK-NEXT:      %i = stablehlo.constant dense<[0, 1]> : tensor<2xi32>
// CHECK-NEXT:      %one = stablehlo.constant dense<1.000000e+00> : tensor<f64>
// CHECK-NEXT:      %v = bt.gather %x[%i] : (tensor<?x3x!bt.state>, tensor<2xi32>) -> tensor<?x2xf64>
// CHECK-NEXT:      %0 = stablehlo.convert %v : (tensor<?x2xf64>) -> tensor<?x2xi32>
// CHECK-NEXT:      %w = bt.gather %x[%0] : (tensor<?x3x!bt.state>, tensor<?x2xi32>) -> tensor<?x2xf64>
// CHECK-NEXT:      %1 = bt.branches[%0] = [%one] amplitude %w origins #bt.lanes<0, 1 of 2> : [tensor<?x2xi32>] [tensor<f64>] tensor<?x2xf64> -> !bt.branches<2 x 1>
// CHECK-NEXT:      %2 = bt.interleave %1 : !bt.branches<2 x 1> -> !bt.branches<2 x 1>
// CHECK-NEXT:      %3 = bt.concat %2 : !bt.branches<2 x 1> -> !bt.branches<2 x 1>
// CHECK-NEXT:      %4, %5 = bt.connections %x, %3 : (tensor<?x3x!bt.state>, !bt.branches<2 x 1>) -> (tensor<?x2x3x!bt.state>, tensor<?x2xf64>)
// CHECK-NEXT:      func.return %4, %5 : tensor<?x2x3x!bt.state>, tensor<?x2xf64>
// CHECK-NEXT:    }

// An element that some sets do not have: reads give 0, writes go to -1.
sym.operator @element() space #sym.space<3 x [0, 1]> element f64 {
  sym.term @t over #sym.rows<[0], [1]> sets [#sym.sets<[0, 2], [1]>] {
  ^bb0(%x : !sym.config, %i : !sym.site, %s : !sym.sites):
    %one = stablehlo.constant dense<1.0> : tensor<f64>
    %e = sym.element %s[1]
    %v = sym.read %x[%e] : tensor<f64>
    %y = sym.write %x[%e], %one : tensor<f64>
    sym.emit %y, %v : tensor<f64>
  }
}

// CHECK-LABEL: func.func @element(%x: tensor<?x3x!bt.state>) -> (tensor<?x2x3x!bt.state>, tensor<?x2xf64>) {
// CHECK-NEXT:      %i = stablehlo.constant dense<[0, 1]> : tensor<2xi32>
// CHECK-NEXT:      %one = stablehlo.constant dense<1.000000e+00> : tensor<f64>
// CHECK-NEXT:      %e = stablehlo.constant dense<[2, -1]> : tensor<2xi32>
// CHECK-NEXT:      %0 = bt.gather %x[%e] : (tensor<?x3x!bt.state>, tensor<2xi32>) -> tensor<?x2xf64>
// CHECK-NEXT:      %1 = stablehlo.constant dense<-1> : tensor<i32>
// CHECK-NEXT:      %2 = bt.broadcast %1 dims = [] : tensor<i32> -> tensor<2xi32>
// CHECK-NEXT:      %3 = stablehlo.compare NE, %e, %2 : (tensor<2xi32>, tensor<2xi32>) -> tensor<2xi1>
// CHECK-NEXT:      %4 = stablehlo.constant dense<0.000000e+00> : tensor<f64>
// CHECK-NEXT:      %5 = bt.broadcast %3 dims = [1] : tensor<2xi1> -> tensor<?x2xi1>
// CHECK-NEXT:      %6 = bt.broadcast %4 dims = [] : tensor<f64> -> tensor<?x2xf64>
// CHECK-NEXT:      %v = stablehlo.select %5, %0, %6 : tensor<?x2xi1>, tensor<?x2xf64>
// CHECK-NEXT:      %7 = bt.branches[%e] = [%one] amplitude %v origins #bt.lanes<0, 1 of 2> : [tensor<2xi32>] [tensor<f64>] tensor<?x2xf64> -> !bt.branches<2 x 1>
// CHECK-NEXT:      %8 = bt.interleave %7 : !bt.branches<2 x 1> -> !bt.branches<2 x 1>
// CHECK-NEXT:      %9 = bt.concat %8 : !bt.branches<2 x 1> -> !bt.branches<2 x 1>
// CHECK-NEXT:      %10, %11 = bt.connections %x, %9 : (tensor<?x3x!bt.state>, !bt.branches<2 x 1>) -> (tensor<?x2x3x!bt.state>, tensor<?x2xf64>)
// CHECK-NEXT:      func.return %10, %11 : tensor<?x2x3x!bt.state>, tensor<?x2xf64>
// CHECK-NEXT:    }

// Places among equally spaced values are computed. Seven has no exact inverse.
sym.operator @long() space #sym.space<2 x [0, 2, 4, 6, 8, 10, 12]> element f64 {
  sym.term @t over #sym.rows<[0], [1]> {
  ^bb0(%x : !sym.config, %i : !sym.site):
    %v = sym.read %x[%i] : tensor<f64>
    %k = sym.local_index %v at %i : tensor<f64>
    %u = sym.local_value %k at %i : tensor<f64>
    sym.emit %x, %u : tensor<f64>
  }
}

// CHECK-LABEL: func.func @long(%x: tensor<?x2x!bt.state>) -> (tensor<?x2x2x!bt.state>, tensor<?x2xf64>) {
// CHECK-NEXT:      %i = stablehlo.constant dense<[0, 1]> : tensor<2xi32>
// CHECK-NEXT:      %v = bt.gather %x[%i] : (tensor<?x2x!bt.state>, tensor<2xi32>) -> tensor<?x2xf64>
// CHECK-NEXT:      %0 = stablehlo.constant dense<0.000000e+00> : tensor<f64>
// CHECK-NEXT:      %1 = stablehlo.constant dense<1.200000e+01> : tensor<f64>
// CHECK-NEXT:      %2 = stablehlo.constant dense<2.000000e+00> : tensor<f64>
// CHECK-NEXT:      %3 = bt.broadcast %0 dims = [] : tensor<f64> -> tensor<?x2xf64>
// CHECK-NEXT:      %4 = stablehlo.subtract %v, %3 : tensor<?x2xf64>
// CHECK-NEXT:      %5 = bt.broadcast %2 dims = [] : tensor<f64> -> tensor<?x2xf64>
// CHECK-NEXT:      %6 = stablehlo.divide %4, %5 : tensor<?x2xf64>
// CHECK-NEXT:      %7 = stablehlo.floor %6 : tensor<?x2xf64>
// CHECK-NEXT:      %8 = stablehlo.floor %7 : tensor<?x2xf64>
// CHECK-NEXT:      %9 = stablehlo.constant dense<7.000000e+00> : tensor<f64>
// CHECK-NEXT:      %10 = stablehlo.constant dense<5.000000e-01> : tensor<f64>
// CHECK-NEXT:      %11 = bt.broadcast %10 dims = [] : tensor<f64> -> tensor<?x2xf64>
// CHECK-NEXT:      %12 = stablehlo.add %8, %11 : tensor<?x2xf64>
// CHECK-NEXT:      %13 = bt.broadcast %9 dims = [] : tensor<f64> -> tensor<?x2xf64>
// CHECK-NEXT:      %14 = stablehlo.divide %12, %13 : tensor<?x2xf64>
// CHECK-NEXT:      %15 = stablehlo.floor %14 : tensor<?x2xf64>
// CHECK-NEXT:      %16 = bt.broadcast %9 dims = [] : tensor<f64> -> tensor<?x2xf64>
// CHECK-NEXT:      %17 = stablehlo.multiply %16, %15 : tensor<?x2xf64>
// CHECK-NEXT:      %18 = stablehlo.subtract %8, %17 : tensor<?x2xf64>
// CHECK-NEXT:      %19 = stablehlo.constant dense<0.000000e+00> : tensor<f64>
// CHECK-NEXT:      %20 = stablehlo.constant dense<1.200000e+01> : tensor<f64>
// CHECK-NEXT:      %21 = stablehlo.constant dense<2.000000e+00> : tensor<f64>
// CHECK-NEXT:      %22 = bt.broadcast %21 dims = [] : tensor<f64> -> tensor<?x2xf64>
// CHECK-NEXT:      %23 = stablehlo.multiply %22, %18 : tensor<?x2xf64>
// CHECK-NEXT:      %24 = bt.broadcast %19 dims = [] : tensor<f64> -> tensor<?x2xf64>
// CHECK-NEXT:      %25 = stablehlo.add %24, %23 : tensor<?x2xf64>
// CHECK-NEXT:      %26 = bt.branches[] = [] amplitude %25 origins #bt.lanes<0, 1 of 2> : [] [] tensor<?x2xf64> -> !bt.branches<2 x 0>
// CHECK-NEXT:      %27 = bt.interleave %26 : !bt.branches<2 x 0> -> !bt.branches<2 x 0>
// CHECK-NEXT:      %28 = bt.concat %27 : !bt.branches<2 x 0> -> !bt.branches<2 x 0>
// CHECK-NEXT:      %29, %30 = bt.connections %x, %28 : (tensor<?x2x!bt.state>, !bt.branches<2 x 0>) -> (tensor<?x2x2x!bt.state>, tensor<?x2xf64>)
// CHECK-NEXT:      func.return %29, %30 : tensor<?x2x2x!bt.state>, tensor<?x2xf64>
// CHECK-NEXT:    }

// Others are compared one by one, the last first: short spaces repeat theirs.
sym.operator @one_by_one() space #sym.space<2 x [0, 0.5, 2], [0, 1]> element f64 {
  sym.term @t over #sym.rows<[0], [1]> {
  ^bb0(%x : !sym.config, %i : !sym.site):
    %v = sym.read %x[%i] : tensor<f64>
    %k = sym.local_index %v at %i : tensor<f64>
    %u = sym.local_value %k at %i : tensor<f64>
    sym.emit %x, %u : tensor<f64>
  }
}

// CHECK-LABEL: func.func @one_by_one(%x: tensor<?x2x!bt.state>) -> (tensor<?x2x2x!bt.state>, tensor<?x2xf64>) {
// CHECK-NEXT:      %i = stablehlo.constant dense<[0, 1]> : tensor<2xi32>
// CHECK-NEXT:      %v = bt.gather %x[%i] : (tensor<?x2x!bt.state>, tensor<2xi32>) -> tensor<?x2xf64>
// CHECK-NEXT:      %0 = stablehlo.constant dense<0.000000e+00> : tensor<f64>
// CHECK-NEXT:      %1 = stablehlo.constant dense<[2.000000e+00, 1.000000e+00]> : tensor<2xf64>
// CHECK-NEXT:      %2 = bt.broadcast %1 dims = [1] : tensor<2xf64> -> tensor<?x2xf64>
// CHECK-NEXT:      %3 = stablehlo.compare EQ, %v, %2 : (tensor<?x2xf64>, tensor<?x2xf64>) -> tensor<?x2xi1>
// CHECK-NEXT:      %4 = stablehlo.constant dense<2.000000e+00> : tensor<f64>
// CHECK-NEXT:      %5 = bt.broadcast %4 dims = [] : tensor<f64> -> tensor<?x2xf64>
// CHECK-NEXT:      %6 = bt.broadcast %0 dims = [] : tensor<f64> -> tensor<?x2xf64>
// CHECK-NEXT:      %7 = stablehlo.select %3, %5, %6 : tensor<?x2xi1>, tensor<?x2xf64>
// CHECK-NEXT:      %8 = stablehlo.constant dense<[5.000000e-01, 1.000000e+00]> : tensor<2xf64>
// CHECK-NEXT:      %9 = bt.broadcast %8 dims = [1] : tensor<2xf64> -> tensor<?x2xf64>
// CHECK-NEXT:      %10 = stablehlo.compare EQ, %v, %9 : (tensor<?x2xf64>, tensor<?x2xf64>) -> tensor<?x2xi1>
// CHECK-NEXT:      %11 = stablehlo.constant dense<1.000000e+00> : tensor<f64>
// CHECK-NEXT:      %12 = bt.broadcast %11 dims = [] : tensor<f64> -> tensor<?x2xf64>
// CHECK-NEXT:      %13 = stablehlo.select %10, %12, %7 : tensor<?x2xi1>, tensor<?x2xf64>
// CHECK-NEXT:      %14 = stablehlo.constant dense<0.000000e+00> : tensor<f64>
// CHECK-NEXT:      %15 = bt.broadcast %14 dims = [] : tensor<f64> -> tensor<?x2xf64>
// CHECK-NEXT:      %16 = stablehlo.compare EQ, %v, %15 : (tensor<?x2xf64>, tensor<?x2xf64>) -> tensor<?x2xi1>
// CHECK-NEXT:      %17 = stablehlo.constant dense<0.000000e+00> : tensor<f64>
// CHECK-NEXT:      %18 = bt.broadcast %17 dims = [] : tensor<f64> -> tensor<?x2xf64>
// CHECK-NEXT:      %19 = stablehlo.select %16, %18, %13 : tensor<?x2xi1>, tensor<?x2xf64>
// CHECK-NEXT:      %20 = stablehlo.floor %19 : tensor<?x2xf64>
// CHECK-NEXT:      %21 = stablehlo.constant dense<[3.000000e+00, 2.000000e+00]> : tensor<2xf64>
// CHECK-NEXT:      %22 = stablehlo.constant dense<5.000000e-01> : tensor<f64>
// CHECK-NEXT:      %23 = bt.broadcast %22 dims = [] : tensor<f64> -> tensor<?x2xf64>
// CHECK-NEXT:      %24 = stablehlo.add %20, %23 : tensor<?x2xf64>
// CHECK-NEXT:      %25 = bt.broadcast %21 dims = [1] : tensor<2xf64> -> tensor<?x2xf64>
// CHECK-NEXT:      %26 = stablehlo.divide %24, %25 : tensor<?x2xf64>
// CHECK-NEXT:      %27 = stablehlo.floor %26 : tensor<?x2xf64>
// CHECK-NEXT:      %28 = bt.broadcast %21 dims = [1] : tensor<2xf64> -> tensor<?x2xf64>
// CHECK-NEXT:      %29 = stablehlo.multiply %28, %27 : tensor<?x2xf64>
// CHECK-NEXT:      %30 = stablehlo.subtract %20, %29 : tensor<?x2xf64>
// CHECK-NEXT:      %31 = stablehlo.constant dense<0.000000e+00> : tensor<f64>
// CHECK-NEXT:      %32 = stablehlo.constant dense<1.000000e+00> : tensor<f64>
// CHECK-NEXT:      %33 = bt.broadcast %32 dims = [] : tensor<f64> -> tensor<?x2xf64>
// CHECK-NEXT:      %34 = stablehlo.compare EQ, %30, %33 : (tensor<?x2xf64>, tensor<?x2xf64>) -> tensor<?x2xi1>
// CHECK-NEXT:      %35 = stablehlo.constant dense<[5.000000e-01, 1.000000e+00]> : tensor<2xf64>
// CHECK-NEXT:      %36 = bt.broadcast %35 dims = [1] : tensor<2xf64> -> tensor<?x2xf64>
// CHECK-NEXT:      %37 = bt.broadcast %31 dims = [] : tensor<f64> -> tensor<?x2xf64>
// CHECK-NEXT:      %38 = stablehlo.select %34, %36, %37 : tensor<?x2xi1>, tensor<?x2xf64>
// CHECK-NEXT:      %39 = stablehlo.constant dense<2.000000e+00> : tensor<f64>
// CHECK-NEXT:      %40 = bt.broadcast %39 dims = [] : tensor<f64> -> tensor<?x2xf64>
// CHECK-NEXT:      %41 = stablehlo.compare EQ, %30, %40 : (tensor<?x2xf64>, tensor<?x2xf64>) -> tensor<?x2xi1>
// CHECK-NEXT:      %42 = stablehlo.constant dense<[2.000000e+00, 1.000000e+00]> : tensor<2xf64>
// CHECK-NEXT:      %43 = bt.broadcast %42 dims = [1] : tensor<2xf64> -> tensor<?x2xf64>
// CHECK-NEXT:      %44 = stablehlo.select %41, %43, %38 : tensor<?x2xi1>, tensor<?x2xf64>
// CHECK-NEXT:      %45 = bt.branches[] = [] amplitude %44 origins #bt.lanes<0, 1 of 2> : [] [] tensor<?x2xf64> -> !bt.branches<2 x 0>
// CHECK-NEXT:      %46 = bt.interleave %45 : !bt.branches<2 x 0> -> !bt.branches<2 x 0>
// CHECK-NEXT:      %47 = bt.concat %46 : !bt.branches<2 x 0> -> !bt.branches<2 x 0>
// CHECK-NEXT:      %48, %49 = bt.connections %x, %47 : (tensor<?x2x!bt.state>, !bt.branches<2 x 0>) -> (tensor<?x2x2x!bt.state>, tensor<?x2xf64>)
// CHECK-NEXT:      func.return %48, %49 : tensor<?x2x2x!bt.state>, tensor<?x2xf64>
// CHECK-NEXT:    }

// The space of a computed site.
sym.operator @space() space #sym.space<3 x [0, 1], [0, 2], [0, 1]> element f64 {
  sym.term @t over #sym.rows<[]> {
  ^bb0(%x : !sym.config):
    %one = stablehlo.constant dense<1.0> : tensor<f64>
    %j = sym.site %one : tensor<f64>
    %p = sym.allowed %one at %j : tensor<f64>
    %u = sym.local_value %one at %j : tensor<f64>
    sym.emit %x, %u if %p : tensor<f64>
  }
}

// CHECK-LABEL: func.func @space(%x: tensor<?x3x!bt.state>) -> (tensor<?x1x3x!bt.state>, tensor<?x1xf64>) {
// CHECK-NEXT:      %one = stablehlo.constant dense<1.000000e+00> : tensor<f64>
// CHECK-NEXT:      %0 = stablehlo.convert %one : (tensor<f64>) -> tensor<i32>
// CHECK-NEXT:      %1 = stablehlo.constant dense<0.000000e+00> : tensor<f64>
// CHECK-NEXT:      %2 = stablehlo.compare EQ, %one, %1 : (tensor<f64>, tensor<f64>) -> tensor<i1>
// CHECK-NEXT:      %3 = stablehlo.constant dense<1.000000e+00> : tensor<f64>
// CHECK-NEXT:      %4 = stablehlo.constant dense<0> : tensor<i32>
// CHECK-NEXT:      %5 = stablehlo.compare EQ, %0, %4 : (tensor<i32>, tensor<i32>) -> tensor<i1>
// CHECK-NEXT:      %6 = stablehlo.constant dense<2> : tensor<i32>
// CHECK-NEXT:      %7 = stablehlo.compare EQ, %0, %6 : (tensor<i32>, tensor<i32>) -> tensor<i1>
// CHECK-NEXT:      %8 = stablehlo.or %5, %7 : tensor<i1>
// CHECK-NEXT:      %9 = stablehlo.constant dense<1.000000e+00> : tensor<f64>
// CHECK-NEXT:      %10 = stablehlo.select %8, %9, %3 : tensor<i1>, tensor<f64>
// CHECK-NEXT:      %11 = stablehlo.constant dense<1> : tensor<i32>
// CHECK-NEXT:      %12 = stablehlo.compare EQ, %0, %11 : (tensor<i32>, tensor<i32>) -> tensor<i1>
// CHECK-NEXT:      %13 = stablehlo.constant dense<2.000000e+00> : tensor<f64>
// CHECK-NEXT:      %14 = stablehlo.select %12, %13, %10 : tensor<i1>, tensor<f64>
// CHECK-NEXT:      %15 = stablehlo.compare EQ, %one, %14 : (tensor<f64>, tensor<f64>) -> tensor<i1>
// CHECK-NEXT:      %16 = stablehlo.or %2, %15 : tensor<i1>
// CHECK-NEXT:      %17 = stablehlo.floor %one : tensor<f64>
// CHECK-NEXT:      %18 = stablehlo.constant dense<2.000000e+00> : tensor<f64>
// CHECK-NEXT:      %19 = stablehlo.divide %17, %18 : tensor<f64>
// CHECK-NEXT:      %20 = stablehlo.floor %19 : tensor<f64>
// CHECK-NEXT:      %21 = stablehlo.multiply %18, %20 : tensor<f64>
// CHECK-NEXT:      %22 = stablehlo.subtract %17, %21 : tensor<f64>
// CHECK-NEXT:      %23 = stablehlo.constant dense<0.000000e+00> : tensor<f64>
// CHECK-NEXT:      %24 = stablehlo.constant dense<1.000000e+00> : tensor<f64>
// CHECK-NEXT:      %25 = stablehlo.constant dense<0> : tensor<i32>
// CHECK-NEXT:      %26 = stablehlo.compare EQ, %0, %25 : (tensor<i32>, tensor<i32>) -> tensor<i1>
// CHECK-NEXT:      %27 = stablehlo.constant dense<2> : tensor<i32>
// CHECK-NEXT:      %28 = stablehlo.compare EQ, %0, %27 : (tensor<i32>, tensor<i32>) -> tensor<i1>
// CHECK-NEXT:      %29 = stablehlo.or %26, %28 : tensor<i1>
// CHECK-NEXT:      %30 = stablehlo.constant dense<1.000000e+00> : tensor<f64>
// CHECK-NEXT:      %31 = stablehlo.select %29, %30, %24 : tensor<i1>, tensor<f64>
// CHECK-NEXT:      %32 = stablehlo.constant dense<1> : tensor<i32>
// CHECK-NEXT:      %33 = stablehlo.compare EQ, %0, %32 : (tensor<i32>, tensor<i32>) -> tensor<i1>
// CHECK-NEXT:      %34 = stablehlo.constant dense<2.000000e+00> : tensor<f64>
// CHECK-NEXT:      %35 = stablehlo.select %33, %34, %31 : tensor<i1>, tensor<f64>
// CHECK-NEXT:      %36 = stablehlo.constant dense<1.000000e+00> : tensor<f64>
// CHECK-NEXT:      %37 = stablehlo.constant dense<0> : tensor<i32>
// CHECK-NEXT:      %38 = stablehlo.compare EQ, %0, %37 : (tensor<i32>, tensor<i32>) -> tensor<i1>
// CHECK-NEXT:      %39 = stablehlo.constant dense<2> : tensor<i32>
// CHECK-NEXT:      %40 = stablehlo.compare EQ, %0, %39 : (tensor<i32>, tensor<i32>) -> tensor<i1>
// CHECK-NEXT:      %41 = stablehlo.or %38, %40 : tensor<i1>
// CHECK-NEXT:      %42 = stablehlo.constant dense<1.000000e+00> : tensor<f64>
// CHECK-NEXT:      %43 = stablehlo.select %41, %42, %36 : tensor<i1>, tensor<f64>
// CHECK-NEXT:      %44 = stablehlo.constant dense<1> : tensor<i32>
// CHECK-NEXT:      %45 = stablehlo.compare EQ, %0, %44 : (tensor<i32>, tensor<i32>) -> tensor<i1>
// CHECK-NEXT:      %46 = stablehlo.constant dense<2.000000e+00> : tensor<f64>
// CHECK-NEXT:      %47 = stablehlo.select %45, %46, %43 : tensor<i1>, tensor<f64>
// CHECK-NEXT:      %48 = stablehlo.multiply %47, %22 : tensor<f64>
// CHECK-NEXT:      %49 = stablehlo.add %23, %48 : tensor<f64>
// CHECK-NEXT:      %50 = bt.branches[] = [] amplitude %49 valid %16 origins #bt.lanes<0 of 1> : [] [] tensor<f64>, tensor<i1> -> !bt.branches<1 x 0>
// CHECK-NEXT:      %51 = bt.interleave %50 : !bt.branches<1 x 0> -> !bt.branches<1 x 0>
// CHECK-NEXT:      %52 = bt.concat %51 : !bt.branches<1 x 0> -> !bt.branches<1 x 0>
// CHECK-NEXT:      %53, %54 = bt.connections %x, %52 : (tensor<?x3x!bt.state>, !bt.branches<1 x 0>) -> (tensor<?x1x3x!bt.state>, tensor<?x1xf64>)
// CHECK-NEXT:      func.return %53, %54 : tensor<?x1x3x!bt.state>, tensor<?x1xf64>
// CHECK-NEXT:    }

// -----

// Only normal form is understood.
sym.operator @not_expanded() space #sym.space<2 x [0, 1]> element f64 {
  sym.term @t over #sym.rows<[0]> {
  ^bb0(%x : !sym.config, %i : !sym.site):
    %one = stablehlo.constant dense<1.0> : tensor<f64>
    %y = sym.swap %x[%i, %i]
    sym.emit %y, %one : tensor<f64>
  }
}

// CHECK: convert-sym-to-bt: term @t still holds 'sym.swap'; run sym-expand-updates and sym-forward-reads first

// -----

sym.operator @read_of_a_write() space #sym.space<2 x [0, 1]> element f64 {
  sym.term @t over #sym.rows<[0]> {
  ^bb0(%x : !sym.config, %i : !sym.site):
    %one = stablehlo.constant dense<1.0> : tensor<f64>
    %y = sym.write %x[%i], %one : tensor<f64>
    %v = sym.read %y[%i] : tensor<f64>
    sym.emit %y, %v : tensor<f64>
  }
}

// CHECK: convert-sym-to-bt: term @t reads a configuration other than its source; run sym-expand-updates and sym-forward-reads first

// -----

// A promise compacts the branches of its term; one that cannot be broken does nothing.
sym.operator @promises() space #sym.space<3 x [0, 1]> element f64 {
  sym.term @few over #sym.rows<[0], [1], [2]> fanout 2 {
  ^bb0(%x : !sym.config, %i : !sym.site):
    %one = stablehlo.constant dense<1.0> : tensor<f64>
    sym.emit %x, %one : tensor<f64>
    sym.emit %x, %one : tensor<f64>
  }
  sym.term @many over #sym.rows<[0], [1], [2]> fanout 3 {
  ^bb0(%x : !sym.config, %i : !sym.site):
    %one = stablehlo.constant dense<1.0> : tensor<f64>
    sym.emit %x, %one : tensor<f64>
  }
}

// CHECK-LABEL: func.func @promises
// CHECK:         %[[FEW:.*]] = bt.interleave {{.*}} -> !bt.branches<6 x 0>
// CHECK-NEXT:    %[[TWO:.*]] = bt.compact %[[FEW]] : !bt.branches<6 x 0> -> !bt.branches<2 x 0>
// CHECK-NOT:     bt.compact
// CHECK:         bt.concat %[[TWO]], %{{.*}} : !bt.branches<2 x 0>, !bt.branches<3 x 0> -> !bt.branches<5 x 0>
