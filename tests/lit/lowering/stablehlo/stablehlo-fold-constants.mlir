// RUN: symir-opt %s -p stablehlo-fold-constants | filecheck %s

// An op on constants is a constant, of every kind of number.
func.func @numbers() {
  %a = stablehlo.constant dense<9.0> : tensor<f64>
  %b = stablehlo.constant dense<-2.0> : tensor<f64>
  %quotient = stablehlo.divide %a, %b : tensor<f64>
  %root = stablehlo.sqrt %a : tensor<f64>
  %less = stablehlo.compare LT, %a, %b : (tensor<f64>, tensor<f64>) -> tensor<i1>
  %z = stablehlo.complex %a, %b : (tensor<f64>, tensor<f64>) -> tensor<complex<f64>>
  %c = stablehlo.convert %z : (tensor<complex<f64>>) -> tensor<complex<f32>>
  %n = stablehlo.convert %quotient : (tensor<f64>) -> tensor<i32>
  "test.op"(%quotient, %root, %less, %c, %n) : (tensor<f64>, tensor<f64>, tensor<i1>, tensor<complex<f32>>, tensor<i32>) -> ()
  func.return
}

// CHECK-LABEL: func.func @numbers() {
// CHECK-NEXT:    %quotient = stablehlo.constant dense<-4.500000e+00> : tensor<f64>
// CHECK-NEXT:    %root = stablehlo.constant dense<3.000000e+00> : tensor<f64>
// CHECK-NEXT:    %less = stablehlo.constant dense<false> : tensor<i1>
// CHECK-NEXT:    %c = stablehlo.constant dense<(9.000000e+00,-2.000000e+00)> : tensor<complex<f32>>
// CHECK-NEXT:    %n = stablehlo.constant dense<-4> : tensor<i32>
// CHECK-NEXT:    "test.op"(%quotient, %root, %less, %c, %n) : (tensor<f64>, tensor<f64>, tensor<i1>, tensor<complex<f32>>, tensor<i32>) -> ()
// CHECK-NEXT:    func.return
// CHECK-NEXT:  }

// Tables of sites: which labels alias, and row arithmetic on data.
func.func @tables() {
  %i = stablehlo.constant dense<[0, 1, 2]> : tensor<3xi32>
  %j = stablehlo.constant dense<[1, 1, 2]> : tensor<3xi32>
  %same = stablehlo.compare EQ, %i, %j : (tensor<3xi32>, tensor<3xi32>) -> tensor<3xi1>
  %two = stablehlo.constant dense<2> : tensor<3xi32>
  %odd = stablehlo.remainder %i, %two : tensor<3xi32>
  %sign = stablehlo.convert %odd : (tensor<3xi32>) -> tensor<3xf64>
  %J = stablehlo.constant dense<[0.5, -1.5, 2.5]> : tensor<3xf64>
  %field = stablehlo.multiply %sign, %J : tensor<3xf64>
  "test.op"(%same, %field) : (tensor<3xi1>, tensor<3xf64>) -> ()
  func.return
}

// CHECK-LABEL: func.func @tables() {
// CHECK-NEXT:    %same = stablehlo.constant dense<[false, true, true]> : tensor<3xi1>
// CHECK-NEXT:    %field = stablehlo.constant dense<[0.000000e+00, -1.500000e+00, 0.000000e+00]> : tensor<3xf64>
// CHECK-NEXT:    "test.op"(%same, %field) : (tensor<3xi1>, tensor<3xf64>) -> ()
// CHECK-NEXT:    func.return
// CHECK-NEXT:  }

// Integers as XLA computes them: towards zero, and no inverse of an integer but of 1.
func.func @integers() {
  %a = stablehlo.constant dense<[-7, 7, 2, -1]> : tensor<4xi32>
  %b = stablehlo.constant dense<[2, 0, -1, -3]> : tensor<4xi32>
  %quotient = stablehlo.divide %a, %b : tensor<4xi32>
  %rest = stablehlo.remainder %a, %b : tensor<4xi32>
  %power = stablehlo.power %a, %b : tensor<4xi32>
  "test.op"(%quotient, %rest, %power) : (tensor<4xi32>, tensor<4xi32>, tensor<4xi32>) -> ()
  func.return
}

// CHECK-LABEL: func.func @integers() {
// CHECK-NEXT:    %quotient = stablehlo.constant dense<[-3, -1, -2, 0]> : tensor<4xi32>
// CHECK-NEXT:    %rest = stablehlo.constant dense<[-1, 7, 0, -1]> : tensor<4xi32>
// CHECK-NEXT:    %power = stablehlo.constant dense<[49, 1, 0, -1]> : tensor<4xi32>
// CHECK-NEXT:    "test.op"(%quotient, %rest, %power) : (tensor<4xi32>, tensor<4xi32>, tensor<4xi32>) -> ()
// CHECK-NEXT:    func.return
// CHECK-NEXT:  }

// What is not a constant, or not elementwise, or compares bits, stays.
func.func @not_constant(%v : tensor<3xf64>) {
  %one = stablehlo.constant dense<1.0> : tensor<3xf64>
  %sum = stablehlo.add %v, %one : tensor<3xf64>
  %column = stablehlo.reshape %one : (tensor<3xf64>) -> tensor<3x1xf64>
  %total = stablehlo.compare LT, %one, %one, TOTALORDER : (tensor<3xf64>, tensor<3xf64>) -> tensor<3xi1>
  "test.op"(%sum, %column, %total) : (tensor<3xf64>, tensor<3x1xf64>, tensor<3xi1>) -> ()
  func.return
}

// CHECK-LABEL: func.func @not_constant(%v: tensor<3xf64>) {
// CHECK-NEXT:    %one = stablehlo.constant dense<1.000000e+00> : tensor<3xf64>
// CHECK-NEXT:    %sum = stablehlo.add %v, %one : tensor<3xf64>
// CHECK-NEXT:    %column = stablehlo.reshape %one : (tensor<3xf64>) -> tensor<3x1xf64>
// CHECK-NEXT:    %total = stablehlo.compare LT, %one, %one, TOTALORDER : (tensor<3xf64>, tensor<3xf64>) -> tensor<3xi1>
// CHECK-NEXT:    "test.op"(%sum, %column, %total) : (tensor<3xf64>, tensor<3x1xf64>, tensor<3xi1>) -> ()
// CHECK-NEXT:    func.return
// CHECK-NEXT:  }

// A predicate that is the same in every lane decides a select.
func.func @select(%a : tensor<2xf64>, %b : tensor<2xf64>, %p : tensor<2xi1>) {
  %true = stablehlo.constant dense<true> : tensor<2xi1>
  %false = stablehlo.constant dense<false> : tensor<2xi1>
  %mixed = stablehlo.constant dense<[true, false]> : tensor<2xi1>
  %first = stablehlo.select %true, %a, %b : tensor<2xi1>, tensor<2xf64>
  %second = stablehlo.select %false, %a, %b : tensor<2xi1>, tensor<2xf64>
  %same = stablehlo.select %p, %a, %a : tensor<2xi1>, tensor<2xf64>
  %open = stablehlo.select %mixed, %a, %b : tensor<2xi1>, tensor<2xf64>
  "test.op"(%first, %second, %same, %open) : (tensor<2xf64>, tensor<2xf64>, tensor<2xf64>, tensor<2xf64>) -> ()
  func.return
}

// CHECK-LABEL: func.func @select(%a: tensor<2xf64>, %b: tensor<2xf64>, %p: tensor<2xi1>) {
// CHECK-NEXT:    %mixed = stablehlo.constant dense<[true, false]> : tensor<2xi1>
// CHECK-NEXT:    %open = stablehlo.select %mixed, %a, %b : tensor<2xi1>, tensor<2xf64>
// CHECK-NEXT:    "test.op"(%a, %b, %a, %open) : (tensor<2xf64>, tensor<2xf64>, tensor<2xf64>, tensor<2xf64>) -> ()
// CHECK-NEXT:    func.return
// CHECK-NEXT:  }

// It is seen through a broadcast to the batch.
func.func @select_batch(%a : tensor<?x2xf64>, %b : tensor<?x2xf64>) {
  %true = stablehlo.constant dense<true> : tensor<i1>
  %mixed = stablehlo.constant dense<[true, false]> : tensor<2xi1>
  %p = bt.broadcast %true dims = [] : tensor<i1> -> tensor<?x2xi1>
  %q = bt.broadcast %mixed dims = [1] : tensor<2xi1> -> tensor<?x2xi1>
  %first = stablehlo.select %p, %a, %b : tensor<?x2xi1>, tensor<?x2xf64>
  %open = stablehlo.select %q, %a, %b : tensor<?x2xi1>, tensor<?x2xf64>
  "test.op"(%first, %open) : (tensor<?x2xf64>, tensor<?x2xf64>) -> ()
  func.return
}

// CHECK-LABEL: func.func @select_batch(%a: tensor<?x2xf64>, %b: tensor<?x2xf64>) {
// CHECK-NEXT:    %mixed = stablehlo.constant dense<[true, false]> : tensor<2xi1>
// CHECK-NEXT:    %q = bt.broadcast %mixed dims = [1] : tensor<2xi1> -> tensor<?x2xi1>
// CHECK-NEXT:    %open = stablehlo.select %q, %a, %b : tensor<?x2xi1>, tensor<?x2xf64>
// CHECK-NEXT:    "test.op"(%a, %open) : (tensor<?x2xf64>, tensor<?x2xf64>) -> ()
// CHECK-NEXT:    func.return
// CHECK-NEXT:  }

// Logic with a constant, on either side, and with itself.
func.func @logic(%p : tensor<2xi1>, %q : tensor<2xi1>) {
  %true = stablehlo.constant dense<true> : tensor<2xi1>
  %false = stablehlo.constant dense<false> : tensor<2xi1>
  %and_true = stablehlo.and %p, %true : tensor<2xi1>
  %and_false = stablehlo.and %false, %p : tensor<2xi1>
  %and_same = stablehlo.and %p, %p : tensor<2xi1>
  %or_true = stablehlo.or %true, %p : tensor<2xi1>
  %or_false = stablehlo.or %p, %false : tensor<2xi1>
  %or_same = stablehlo.or %q, %q : tensor<2xi1>
  "test.op"(%and_true, %and_false, %and_same, %or_true, %or_false, %or_same) : (tensor<2xi1>, tensor<2xi1>, tensor<2xi1>, tensor<2xi1>, tensor<2xi1>, tensor<2xi1>) -> ()
  func.return
}

// CHECK-LABEL: func.func @logic(%p: tensor<2xi1>, %q: tensor<2xi1>) {
// CHECK-NEXT:    %true = stablehlo.constant dense<true> : tensor<2xi1>
// CHECK-NEXT:    %false = stablehlo.constant dense<false> : tensor<2xi1>
// CHECK-NEXT:    "test.op"(%p, %false, %p, %true, %p, %q) : (tensor<2xi1>, tensor<2xi1>, tensor<2xi1>, tensor<2xi1>, tensor<2xi1>, tensor<2xi1>) -> ()
// CHECK-NEXT:    func.return
// CHECK-NEXT:  }

// Two predicates, a mask, integers, and xor are no such case.
func.func @no_logic(%p : tensor<2xi1>, %q : tensor<2xi1>, %n : tensor<2xi32>) {
  %mixed = stablehlo.constant dense<[true, false]> : tensor<2xi1>
  %true = stablehlo.constant dense<true> : tensor<2xi1>
  %zero = stablehlo.constant dense<0> : tensor<2xi32>
  %a = stablehlo.and %p, %q : tensor<2xi1>
  %b = stablehlo.and %p, %mixed : tensor<2xi1>
  %c = stablehlo.or %p, %mixed : tensor<2xi1>
  %d = stablehlo.and %n, %zero : tensor<2xi32>
  %e = stablehlo.xor %p, %true : tensor<2xi1>
  "test.op"(%a, %b, %c, %d, %e) : (tensor<2xi1>, tensor<2xi1>, tensor<2xi1>, tensor<2xi32>, tensor<2xi1>) -> ()
  func.return
}

// CHECK-LABEL: func.func @no_logic(%p: tensor<2xi1>, %q: tensor<2xi1>, %n: tensor<2xi32>) {
// CHECK-NEXT:    %mixed = stablehlo.constant dense<[true, false]> : tensor<2xi1>
// CHECK-NEXT:    %true = stablehlo.constant dense<true> : tensor<2xi1>
// CHECK-NEXT:    %zero = stablehlo.constant dense<0> : tensor<2xi32>
// CHECK-NEXT:    %a = stablehlo.and %p, %q : tensor<2xi1>
// CHECK-NEXT:    %b = stablehlo.and %p, %mixed : tensor<2xi1>
// CHECK-NEXT:    %c = stablehlo.or %p, %mixed : tensor<2xi1>
// CHECK-NEXT:    %d = stablehlo.and %n, %zero : tensor<2xi32>
// CHECK-NEXT:    %e = stablehlo.xor %p, %true : tensor<2xi1>
// CHECK-NEXT:    "test.op"(%a, %b, %c, %d, %e) : (tensor<2xi1>, tensor<2xi1>, tensor<2xi1>, tensor<2xi32>, tensor<2xi1>) -> ()
// CHECK-NEXT:    func.return
// CHECK-NEXT:  }

// A factor of one, as a constant or a broadcast one.
func.func @times_one(%v : tensor<?x2xf64>, %z : tensor<2xcomplex<f64>>) {
  %one = stablehlo.constant dense<1.0> : tensor<f64>
  %i = stablehlo.constant dense<(1.0, 0.0)> : tensor<2xcomplex<f64>>
  %b = bt.broadcast %one dims = [] : tensor<f64> -> tensor<?x2xf64>
  %left = stablehlo.multiply %b, %v : tensor<?x2xf64>
  %right = stablehlo.multiply %v, %b : tensor<?x2xf64>
  %complex = stablehlo.multiply %z, %i : tensor<2xcomplex<f64>>
  "test.op"(%left, %right, %complex) : (tensor<?x2xf64>, tensor<?x2xf64>, tensor<2xcomplex<f64>>) -> ()
  func.return
}

// CHECK-LABEL: func.func @times_one(%v: tensor<?x2xf64>, %z: tensor<2xcomplex<f64>>) {
// CHECK-NEXT:    "test.op"(%v, %v, %z) : (tensor<?x2xf64>, tensor<?x2xf64>, tensor<2xcomplex<f64>>) -> ()
// CHECK-NEXT:    func.return
// CHECK-NEXT:  }

// Another factor stays; so does 0, whose product with an infinite value is no number.
func.func @times_other(%v : tensor<2xf64>) {
  %two = stablehlo.constant dense<[1.0, 2.0]> : tensor<2xf64>
  %zero = stablehlo.constant dense<0.0> : tensor<2xf64>
  %a = stablehlo.multiply %v, %two : tensor<2xf64>
  %b = stablehlo.multiply %v, %zero : tensor<2xf64>
  "test.op"(%a, %b) : (tensor<2xf64>, tensor<2xf64>) -> ()
  func.return
}

// CHECK-LABEL: func.func @times_other(%v: tensor<2xf64>) {
// CHECK-NEXT:    %two = stablehlo.constant dense<[1.000000e+00, 2.000000e+00]> : tensor<2xf64>
// CHECK-NEXT:    %zero = stablehlo.constant dense<0.000000e+00> : tensor<2xf64>
// CHECK-NEXT:    %a = stablehlo.multiply %v, %two : tensor<2xf64>
// CHECK-NEXT:    %b = stablehlo.multiply %v, %zero : tensor<2xf64>
// CHECK-NEXT:    "test.op"(%a, %b) : (tensor<2xf64>, tensor<2xf64>) -> ()
// CHECK-NEXT:    func.return
// CHECK-NEXT:  }

// A conversion to the same type goes, one to another stays.
func.func @convert(%v : tensor<2xf64>) {
  %a = stablehlo.convert %v : (tensor<2xf64>) -> tensor<2xf64>
  %b = stablehlo.convert %v : (tensor<2xf64>) -> tensor<2xf32>
  "test.op"(%a, %b) : (tensor<2xf64>, tensor<2xf32>) -> ()
  func.return
}

// CHECK-LABEL: func.func @convert(%v: tensor<2xf64>) {
// CHECK-NEXT:    %b = stablehlo.convert %v : (tensor<2xf64>) -> tensor<2xf32>
// CHECK-NEXT:    "test.op"(%v, %b) : (tensor<2xf64>, tensor<2xf32>) -> ()
// CHECK-NEXT:    func.return
// CHECK-NEXT:  }

// A broadcast to a static type is a table; one to the batch has no size yet.
func.func @broadcast(%v : tensor<2xf64>) {
  %one = stablehlo.constant dense<1.0> : tensor<f64>
  %table = stablehlo.constant dense<[1.0, 2.0]> : tensor<2xf64>
  %lanes = bt.broadcast %one dims = [] : tensor<f64> -> tensor<2xf64>
  %sum = stablehlo.add %lanes, %table : tensor<2xf64>
  %batch = bt.broadcast %sum dims = [1] : tensor<2xf64> -> tensor<?x2xf64>
  %square = bt.broadcast %table dims = [0] : tensor<2xf64> -> tensor<2x2xf64>
  %value = bt.broadcast %v dims = [1] : tensor<2xf64> -> tensor<2x2xf64>
  "test.op"(%batch, %square, %value) : (tensor<?x2xf64>, tensor<2x2xf64>, tensor<2x2xf64>) -> ()
  func.return
}

// CHECK-LABEL: func.func @broadcast(%v: tensor<2xf64>) {
// CHECK-NEXT:    %sum = stablehlo.constant dense<[2.000000e+00, 3.000000e+00]> : tensor<2xf64>
// CHECK-NEXT:    %batch = bt.broadcast %sum dims = [1] : tensor<2xf64> -> tensor<?x2xf64>
// CHECK-NEXT{LITERAL}:   %square = stablehlo.constant dense<[[1.000000e+00, 1.000000e+00], [2.000000e+00, 2.000000e+00]]> : tensor<2x2xf64>
// CHECK-NEXT:    %value = bt.broadcast %v dims = [1] : tensor<2xf64> -> tensor<2x2xf64>
// CHECK-NEXT:    "test.op"(%batch, %square, %value) : (tensor<?x2xf64>, tensor<2x2xf64>, tensor<2x2xf64>) -> ()
// CHECK-NEXT:    func.return
// CHECK-NEXT:  }

// In an operator, predicates on constants go, and what nothing uses any more.
sym.operator @in_a_term() space #sym.space<2 x [0, 1]> element f64 {
  sym.term @t over #sym.rows<[0], [1]> {
  ^bb0(%x : !sym.config, %i : !sym.site):
    %one = stablehlo.constant dense<1.0> : tensor<f64>
    %m = stablehlo.negate %one : tensor<f64>
    %p = stablehlo.compare LT, %m, %one : (tensor<f64>, tensor<f64>) -> tensor<i1>
    %v = sym.read %x[%i] : tensor<f64>
    %w = stablehlo.select %p, %v, %m : tensor<i1>, tensor<f64>
    %a = stablehlo.multiply %w, %one : tensor<f64>
    sym.emit %x, %a if %p : tensor<f64>
  }
}

// CHECK-LABEL: sym.operator @in_a_term() space #sym.space<2 x [0, 1]> element f64 {
// CHECK-NEXT:    sym.term @t over #sym.rows<[0], [1]> {
// CHECK-NEXT:    ^bb0(%x: !sym.config, %i: !sym.site):
// CHECK-NEXT:      %p = stablehlo.constant dense<true> : tensor<i1>
// CHECK-NEXT:      %v = sym.read %x[%i] : tensor<f64>
// CHECK-NEXT:      sym.emit %x, %v if %p : tensor<f64>
// CHECK-NEXT:    }
// CHECK-NEXT:  }
