// RUN: symir-opt %s -p canonicalize | symir-opt | filecheck %s

// Each pattern with a case where it applies and one where it must not.

// CHECK-LABEL: func.func @drop_broadcast(
func.func @drop_broadcast(%b : tensor<?x7xf64>, %l : tensor<7xf64>) {
  // CHECK-NEXT: "test.op"(%b) : (tensor<?x7xf64>) -> ()
  %0 = bt.broadcast %b dims = [0, 1] : tensor<?x7xf64> -> tensor<?x7xf64>
  "test.op"(%0) : (tensor<?x7xf64>) -> ()
  // CHECK-NEXT: %[[L:.*]] = bt.broadcast %l dims = [1] : tensor<7xf64> -> tensor<?x7xf64>
  // CHECK-NEXT: "test.op"(%[[L]]) : (tensor<?x7xf64>) -> ()
  %1 = bt.broadcast %l dims = [1] : tensor<7xf64> -> tensor<?x7xf64>
  "test.op"(%1) : (tensor<?x7xf64>) -> ()
  // CHECK-NEXT: func.return
  func.return
}

// CHECK-LABEL: func.func @compose_broadcasts(
func.func @compose_broadcasts(%t : tensor<f64>, %p : tensor<?xf64>, %l : tensor<7xf64>) {
  // A scalar over lanes and then over the batch.
  // CHECK-NEXT: %[[T:.*]] = bt.broadcast %t dims = [] : tensor<f64> -> tensor<?x7xf64>
  // CHECK-NEXT: "test.op"(%[[T]]) : (tensor<?x7xf64>) -> ()
  %0 = bt.broadcast %t dims = [] : tensor<f64> -> tensor<7xf64>
  %1 = bt.broadcast %0 dims = [1] : tensor<7xf64> -> tensor<?x7xf64>
  "test.op"(%1) : (tensor<?x7xf64>) -> ()
  // The axes of the inner one move along with the outer one.
  // CHECK-NEXT: %[[L:.*]] = bt.broadcast %l dims = [2] : tensor<7xf64> -> tensor<5x?x7xf64>
  // CHECK-NEXT: %[[P:.*]] = bt.broadcast %p dims = [1] : tensor<?xf64> -> tensor<5x?x7xf64>
  // CHECK-NEXT: "test.op"(%[[L]], %[[P]]) : (tensor<5x?x7xf64>, tensor<5x?x7xf64>) -> ()
  %2 = bt.broadcast %l dims = [1] : tensor<7xf64> -> tensor<?x7xf64>
  %3 = bt.broadcast %2 dims = [1, 2] : tensor<?x7xf64> -> tensor<5x?x7xf64>
  %4 = bt.broadcast %p dims = [0] : tensor<?xf64> -> tensor<?x7xf64>
  %5 = bt.broadcast %4 dims = [1, 2] : tensor<?x7xf64> -> tensor<5x?x7xf64>
  "test.op"(%3, %5) : (tensor<5x?x7xf64>, tensor<5x?x7xf64>) -> ()
  // An op in between ends the chain.
  // CHECK-NEXT: %[[A:.*]] = bt.broadcast %t dims = [] : tensor<f64> -> tensor<7xf64>
  // CHECK-NEXT: %[[B:.*]] = stablehlo.negate %[[A]] : tensor<7xf64>
  // CHECK-NEXT: %[[C:.*]] = bt.broadcast %[[B]] dims = [1] : tensor<7xf64> -> tensor<?x7xf64>
  // CHECK-NEXT: "test.op"(%[[C]]) : (tensor<?x7xf64>) -> ()
  %6 = bt.broadcast %t dims = [] : tensor<f64> -> tensor<7xf64>
  %7 = stablehlo.negate %6 : tensor<7xf64>
  %8 = bt.broadcast %7 dims = [1] : tensor<7xf64> -> tensor<?x7xf64>
  "test.op"(%8) : (tensor<?x7xf64>) -> ()
  // CHECK-NEXT: func.return
  func.return
}

// CHECK-LABEL: func.func @drop_always_valid(
func.func @drop_always_valid(%i : tensor<2xi32>, %v : tensor<2xf64>, %p : tensor<2xi1>) {
  // CHECK-NEXT: %[[MIXED:.*]] = stablehlo.constant dense<[true, false]> : tensor<2xi1>
  %true = stablehlo.constant dense<true> : tensor<2xi1>
  %scalar = stablehlo.constant dense<true> : tensor<i1>
  %mixed = stablehlo.constant dense<[true, false]> : tensor<2xi1>
  // CHECK-NEXT: %[[A:.*]] = bt.branches[%i] = [%v] amplitude %v : [tensor<2xi32>] [tensor<2xf64>] tensor<2xf64> -> !bt.branches<2 x 1>
  // CHECK-NEXT: %[[B:.*]] = bt.branches[] = [] amplitude %v : [] [] tensor<2xf64> -> !bt.branches<2 x 0>
  %0 = bt.branches [%i] = [%v] amplitude %v valid %true : [tensor<2xi32>] [tensor<2xf64>] tensor<2xf64>, tensor<2xi1> -> !bt.branches<2 x 1>
  %1 = bt.branches [] = [] amplitude %v valid %scalar : [] [] tensor<2xf64>, tensor<i1> -> !bt.branches<2 x 0>
  // One lane that is not valid, and what is not known.
  // CHECK-NEXT: %[[C:.*]] = bt.branches[] = [] amplitude %v valid %[[MIXED]] : [] [] tensor<2xf64>, tensor<2xi1> -> !bt.branches<2 x 0>
  // CHECK-NEXT: %[[D:.*]] = bt.branches[] = [] amplitude %v valid %p : [] [] tensor<2xf64>, tensor<2xi1> -> !bt.branches<2 x 0>
  // CHECK-NEXT: "test.op"(%[[A]], %[[B]], %[[C]], %[[D]])
  %2 = bt.branches [] = [] amplitude %v valid %mixed : [] [] tensor<2xf64>, tensor<2xi1> -> !bt.branches<2 x 0>
  %3 = bt.branches [] = [] amplitude %v valid %p : [] [] tensor<2xf64>, tensor<2xi1> -> !bt.branches<2 x 0>
  "test.op"(%0, %1, %2, %3) : (!bt.branches<2 x 1>, !bt.branches<2 x 0>, !bt.branches<2 x 0>, !bt.branches<2 x 0>) -> ()
  // CHECK-NEXT: func.return
  func.return
}

// CHECK-LABEL: func.func @unwrap_single(
func.func @unwrap_single(%a : !bt.branches<7 x 2>, %b : !bt.branches<7 x 0>) {
  // CHECK-NEXT: "test.op"(%a, %a) : (!bt.branches<7 x 2>, !bt.branches<7 x 2>) -> ()
  %0 = bt.concat %a : !bt.branches<7 x 2> -> !bt.branches<7 x 2>
  %1 = bt.interleave %a : !bt.branches<7 x 2> -> !bt.branches<7 x 2>
  "test.op"(%0, %1) : (!bt.branches<7 x 2>, !bt.branches<7 x 2>) -> ()
  // Nothing and more than one are not single.
  // CHECK-NEXT: %[[NONE:.*]] = bt.concat : -> !bt.branches<0 x 0>
  // CHECK-NEXT: %[[C:.*]] = bt.concat %b, %a : !bt.branches<7 x 0>, !bt.branches<7 x 2> -> !bt.branches<14 x 2>
  // CHECK-NEXT: %[[I:.*]] = bt.interleave %b, %a : !bt.branches<7 x 0>, !bt.branches<7 x 2> -> !bt.branches<14 x 2>
  // CHECK-NEXT: "test.op"(%[[NONE]], %[[C]], %[[I]])
  %2 = bt.concat : -> !bt.branches<0 x 0>
  %3 = bt.concat %b, %a : !bt.branches<7 x 0>, !bt.branches<7 x 2> -> !bt.branches<14 x 2>
  %4 = bt.interleave %b, %a : !bt.branches<7 x 0>, !bt.branches<7 x 2> -> !bt.branches<14 x 2>
  "test.op"(%2, %3, %4) : (!bt.branches<0 x 0>, !bt.branches<14 x 2>, !bt.branches<14 x 2>) -> ()
  // CHECK-NEXT: func.return
  func.return
}

// CHECK-LABEL: func.func @flatten_concat(
func.func @flatten_concat(%a : !bt.branches<7 x 2>, %b : !bt.branches<8 x 0>, %c : !bt.branches<7 x 1>) {
  // The order of the lanes stays.
  // CHECK-NEXT: %[[F:.*]] = bt.concat %c, %a, %b, %c, %b, %a : !bt.branches<7 x 1>, !bt.branches<7 x 2>, !bt.branches<8 x 0>, !bt.branches<7 x 1>, !bt.branches<8 x 0>, !bt.branches<7 x 2> -> !bt.branches<44 x 2>
  // CHECK-NEXT: "test.op"(%[[F]]) : (!bt.branches<44 x 2>) -> ()
  %0 = bt.concat %a, %b : !bt.branches<7 x 2>, !bt.branches<8 x 0> -> !bt.branches<15 x 2>
  %1 = bt.concat %b, %a : !bt.branches<8 x 0>, !bt.branches<7 x 2> -> !bt.branches<15 x 2>
  %2 = bt.concat %c, %0, %c, %1 : !bt.branches<7 x 1>, !bt.branches<15 x 2>, !bt.branches<7 x 1>, !bt.branches<15 x 2> -> !bt.branches<44 x 2>
  "test.op"(%2) : (!bt.branches<44 x 2>) -> ()
  // Lanes that are interleaved are not next to each other.
  // CHECK-NEXT: %[[I:.*]] = bt.interleave %a, %c : !bt.branches<7 x 2>, !bt.branches<7 x 1> -> !bt.branches<14 x 2>
  // CHECK-NEXT: %[[C:.*]] = bt.concat %[[I]], %b : !bt.branches<14 x 2>, !bt.branches<8 x 0> -> !bt.branches<22 x 2>
  // CHECK-NEXT: "test.op"(%[[C]]) : (!bt.branches<22 x 2>) -> ()
  %3 = bt.interleave %a, %c : !bt.branches<7 x 2>, !bt.branches<7 x 1> -> !bt.branches<14 x 2>
  %4 = bt.concat %3, %b : !bt.branches<14 x 2>, !bt.branches<8 x 0> -> !bt.branches<22 x 2>
  "test.op"(%4) : (!bt.branches<22 x 2>) -> ()
  // Nor are rows of two terms rows of one.
  // CHECK-NEXT: %[[C:.*]] = bt.concat %a, %c : !bt.branches<7 x 2>, !bt.branches<7 x 1> -> !bt.branches<14 x 2>
  // CHECK-NEXT: %[[I:.*]] = bt.interleave %[[C]], %[[C]] : !bt.branches<14 x 2>, !bt.branches<14 x 2> -> !bt.branches<28 x 2>
  // CHECK-NEXT: "test.op"(%[[I]]) : (!bt.branches<28 x 2>) -> ()
  %5 = bt.concat %a, %c : !bt.branches<7 x 2>, !bt.branches<7 x 1> -> !bt.branches<14 x 2>
  %6 = bt.interleave %5, %5 : !bt.branches<14 x 2>, !bt.branches<14 x 2> -> !bt.branches<28 x 2>
  "test.op"(%6) : (!bt.branches<28 x 2>) -> ()
  // CHECK-NEXT: func.return
  func.return
}
