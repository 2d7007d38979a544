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
// CHECK-NEXT:    %4 = bt.branches[%i] = [%n] amplitude %both valid %p : [tensor<2xi32>] [tensor<?x2xf64>] tensor<?x2xf64>, tensor<?x2xi1> -> !bt.branches<2 x 1>
// CHECK-NEXT:    %5 = bt.branches[] = [] amplitude %lane : [] [] tensor<2xf64> -> !bt.branches<2 x 0>
// CHECK-NEXT:    %6 = bt.branches[] = [] amplitude %h : [] [] tensor<f64> -> !bt.branches<2 x 0>
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
// CHECK-NEXT:    %1 = bt.branches[] = [] amplitude %a : [] [] tensor<?x2xcomplex<f32>> -> !bt.branches<2 x 0>
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
// CHECK-NEXT:    %0 = bt.branches[%i] = [%one] amplitude %one : [tensor<2xi32>] [tensor<f64>] tensor<f64> -> !bt.branches<2 x 1>
// CHECK-NEXT:    %1 = bt.branches[] = [] amplitude %one : [] [] tensor<f64> -> !bt.branches<2 x 0>
// CHECK-NEXT:    %2 = bt.interleave %0, %1 : !bt.branches<2 x 1>, !bt.branches<2 x 0> -> !bt.branches<4 x 1>
// CHECK-NEXT:    %i_1 = stablehlo.constant dense<> : tensor<0xi32>
// CHECK-NEXT:    %two = stablehlo.constant dense<2.000000e+00> : tensor<f64>
// CHECK-NEXT:    %n = bt.gather %x[%i_1] : (tensor<?x2x!bt.state>, tensor<0xi32>) -> tensor<?x0xf64>
// CHECK-NEXT:    %3 = bt.branches[] = [] amplitude %n : [] [] tensor<?x0xf64> -> !bt.branches<0 x 0>
// CHECK-NEXT:    %4 = bt.interleave %3 : !bt.branches<0 x 0> -> !bt.branches<0 x 0>
// CHECK-NEXT:    %three = stablehlo.constant dense<3.000000e+00> : tensor<f64>
// CHECK-NEXT:    %5 = bt.branches[] = [] amplitude %three : [] [] tensor<f64> -> !bt.branches<1 x 0>
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
// CHECK-NEXT:    %7 = bt.branches[%i, %j, %k] = [%6, %one, %one] amplitude %one : [tensor<3xi32>, tensor<3xi32>, tensor<3xi32>] [tensor<?x3xf64>, tensor<f64>, tensor<f64>] tensor<f64> -> !bt.branches<3 x 3>
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
// CHECK-NEXT:    %0 = bt.branches[%i, %j] = [%one, %one] amplitude %one : [tensor<2xi32>, tensor<2xi32>] [tensor<f64>, tensor<f64>] tensor<f64> -> !bt.branches<2 x 2>
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
// CHECK-NEXT:    %11 = bt.branches[] = [] amplitude %v valid %10 : [] [] tensor<?x2xf64>, tensor<?x2xi1> -> !bt.branches<2 x 0>
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
// CHECK-NEXT:    %10 = bt.branches[] = [] amplitude %v valid %9 : [] [] tensor<?x2xf64>, tensor<?x2xi1> -> !bt.branches<2 x 0>
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
// CHECK-NEXT:    %19 = bt.branches[] = [] amplitude %v valid %18 : [] [] tensor<?x2xf32>, tensor<?x2xi1> -> !bt.branches<2 x 0>
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
// CHECK-NEXT:    %11 = bt.branches[] = [] amplitude %v valid %10 : [] [] tensor<?x3xf64>, tensor<?x3xi1> -> !bt.branches<3 x 0>
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
// CHECK-NEXT:    %19 = bt.branches[] = [] amplitude %v valid %18 : [] [] tensor<?x2xf64>, tensor<?x2xi1> -> !bt.branches<2 x 0>
// CHECK-NEXT:    %20 = bt.interleave %19 : !bt.branches<2 x 0> -> !bt.branches<2 x 0>
// CHECK-NEXT:    %21 = bt.concat %20 : !bt.branches<2 x 0> -> !bt.branches<2 x 0>
// CHECK-NEXT:    %22, %23 = bt.connections %x, %21 : (tensor<?x2x!bt.state>, !bt.branches<2 x 0>) -> (tensor<?x2x2x!bt.state>, tensor<?x2xf64>)
// CHECK-NEXT:    func.return %22, %23 : tensor<?x2x2x!bt.state>, tensor<?x2xf64>
// CHECK-NEXT:  }

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

// An op of an unknown dialect cannot be vectorised.
sym.operator @foreign() space #sym.space<2 x [0, 1]> element f64 {
  sym.term @t over #sym.rows<[0]> {
  ^bb0(%x : !sym.config, %i : !sym.site):
    %v = "test.op"() : () -> tensor<f64>
    sym.emit %x, %v : tensor<f64>
  }
}

// CHECK: convert-sym-to-bt: cannot vectorise 'test.op' in term @t
