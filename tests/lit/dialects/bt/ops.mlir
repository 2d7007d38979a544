// RUN: symir-opt %s | symir-opt | filecheck %s
// RUN: symir-opt %s --print-op-generic | symir-opt | filecheck %s
// RUN: symir-opt %s --print-op-generic | filecheck %s --check-prefix=GENERIC

// Every op of `bt`, in custom and in generic syntax.

// CHECK-LABEL: func.func @gather(
// GENERIC:     sym_name = "gather"
func.func @gather(%x : tensor<?x8x!bt.state>, %i : tensor<7xi32>, %s : tensor<?x5xi32>, %z : tensor<4x8xi8>) {
  // One table of sites for all samples.
  // CHECK:        %{{.*}} = bt.gather %x[%i] : (tensor<?x8x!bt.state>, tensor<7xi32>) -> tensor<?x7xf64>
  // GENERIC:      %{{.*}} = "bt.gather"(%x, %i) : (tensor<?x8x!bt.state>, tensor<7xi32>) -> tensor<?x7xf64>
  %0 = bt.gather %x[%i] : (tensor<?x8x!bt.state>, tensor<7xi32>) -> tensor<?x7xf64>
  // One row of sites for each sample.
  // CHECK-NEXT:   %{{.*}} = bt.gather %x[%s] : (tensor<?x8x!bt.state>, tensor<?x5xi32>) -> tensor<?x5xf32>
  // GENERIC-NEXT: %{{.*}} = "bt.gather"(%x, %s) : (tensor<?x8x!bt.state>, tensor<?x5xi32>) -> tensor<?x5xf32>
  %1 = bt.gather %x[%s] : (tensor<?x8x!bt.state>, tensor<?x5xi32>) -> tensor<?x5xf32>
  // The values as they are stored, and a batch that is bound.
  // CHECK-NEXT:   %{{.*}} = bt.gather %x[%i] : (tensor<?x8x!bt.state>, tensor<7xi32>) -> tensor<?x7x!bt.state>
  // GENERIC-NEXT: %{{.*}} = "bt.gather"(%x, %i) : (tensor<?x8x!bt.state>, tensor<7xi32>) -> tensor<?x7x!bt.state>
  %2 = bt.gather %x[%i] : (tensor<?x8x!bt.state>, tensor<7xi32>) -> tensor<?x7x!bt.state>
  // CHECK-NEXT:   %{{.*}} = bt.gather %z[%i] {note = "bound"} : (tensor<4x8xi8>, tensor<7xi32>) -> tensor<4x7xf64>
  // GENERIC-NEXT: %{{.*}} = "bt.gather"(%z, %i) {note = "bound"} : (tensor<4x8xi8>, tensor<7xi32>) -> tensor<4x7xf64>
  %3 = bt.gather %z[%i] {note = "bound"} : (tensor<4x8xi8>, tensor<7xi32>) -> tensor<4x7xf64>
  func.return
}

// CHECK-LABEL: func.func @broadcast(
// GENERIC:     sym_name = "broadcast"
func.func @broadcast(%t : tensor<f64>, %v : tensor<7xi1>, %p : tensor<?xf64>, %b : tensor<?x7xf64>) {
  // scalar to lanes, scalar to batch, lanes to batch
  // CHECK:        %{{.*}} = bt.broadcast %t dims = [] : tensor<f64> -> tensor<7xf64>
  // CHECK-NEXT:   %{{.*}} = bt.broadcast %t dims = [] : tensor<f64> -> tensor<?x7xf64>
  // CHECK-NEXT:   %{{.*}} = bt.broadcast %v dims = [1] : tensor<7xi1> -> tensor<?x7xi1>
  // GENERIC:      %{{.*}} = "bt.broadcast"(%t) <{dims = array<i64>}> : (tensor<f64>) -> tensor<7xf64>
  // GENERIC-NEXT: %{{.*}} = "bt.broadcast"(%t) <{dims = array<i64>}> : (tensor<f64>) -> tensor<?x7xf64>
  // GENERIC-NEXT: %{{.*}} = "bt.broadcast"(%v) <{dims = array<i64: 1>}> : (tensor<7xi1>) -> tensor<?x7xi1>
  %0 = bt.broadcast %t dims = [] : tensor<f64> -> tensor<7xf64>
  %1 = bt.broadcast %t dims = [] : tensor<f64> -> tensor<?x7xf64>
  %2 = bt.broadcast %v dims = [1] : tensor<7xi1> -> tensor<?x7xi1>
  // a parameter that differs from sample to sample; nothing to do
  // CHECK-NEXT:   %{{.*}} = bt.broadcast %p dims = [0] : tensor<?xf64> -> tensor<?x7xf64>
  // CHECK-NEXT:   %{{.*}} = bt.broadcast %b dims = [0, 1] {note = "same"} : tensor<?x7xf64> -> tensor<?x7xf64>
  // GENERIC-NEXT: %{{.*}} = "bt.broadcast"(%p) <{dims = array<i64: 0>}> : (tensor<?xf64>) -> tensor<?x7xf64>
  // GENERIC-NEXT: %{{.*}} = "bt.broadcast"(%b) <{dims = array<i64: 0, 1>}> {note = "same"} : (tensor<?x7xf64>) -> tensor<?x7xf64>
  %3 = bt.broadcast %p dims = [0] : tensor<?xf64> -> tensor<?x7xf64>
  %4 = bt.broadcast %b dims = [0, 1] {note = "same"} : tensor<?x7xf64> -> tensor<?x7xf64>
  func.return
}

// CHECK-LABEL: func.func @branches(
// GENERIC:     sym_name = "branches"
func.func @branches(%i : tensor<7xi32>, %s : tensor<?x7xi32>, %c : tensor<i32>, %v : tensor<?x7xf64>, %l : tensor<7xf64>, %t : tensor<f64>, %p : tensor<?x7xi1>, %q : tensor<7xi1>) {
  // Sites, values, amplitude and validity are each of a kind of their own.
  // CHECK:        %{{.*}} = bt.branches[%i, %s] = [%v, %l] amplitude %t valid %p : [tensor<7xi32>, tensor<?x7xi32>] [tensor<?x7xf64>, tensor<7xf64>] tensor<f64>, tensor<?x7xi1> -> !bt.branches<7 x 2>
  // CHECK-NEXT:   %{{.*}} = bt.branches[%c] = [%t] amplitude %l valid %q : [tensor<i32>] [tensor<f64>] tensor<7xf64>, tensor<7xi1> -> !bt.branches<7 x 1>
  // GENERIC:      %{{.*}} = "bt.branches"(%i, %s, %v, %l, %t, %p) <{operandSegmentSizes = array<i32: 2, 2, 1, 1>}> : (tensor<7xi32>, tensor<?x7xi32>, tensor<?x7xf64>, tensor<7xf64>, tensor<f64>, tensor<?x7xi1>) -> !bt.branches<7 x 2>
  // GENERIC-NEXT: %{{.*}} = "bt.branches"(%c, %t, %l, %q) <{operandSegmentSizes = array<i32: 1, 1, 1, 1>}> : (tensor<i32>, tensor<f64>, tensor<7xf64>, tensor<7xi1>) -> !bt.branches<7 x 1>
  %0 = bt.branches [%i, %s] = [%v, %l] amplitude %t valid %p
    : [tensor<7xi32>, tensor<?x7xi32>] [tensor<?x7xf64>, tensor<7xf64>] tensor<f64>, tensor<?x7xi1> -> !bt.branches<7 x 2>
  %1 = bt.branches [%c] = [%t] amplitude %l valid %q : [tensor<i32>] [tensor<f64>] tensor<7xf64>, tensor<7xi1> -> !bt.branches<7 x 1>
  // Always valid, and without a write: x' = x.
  // CHECK-NEXT:   %{{.*}} = bt.branches[%i] = [%v] amplitude %v : [tensor<7xi32>] [tensor<?x7xf64>] tensor<?x7xf64> -> !bt.branches<7 x 1>
  // CHECK-NEXT:   %{{.*}} = bt.branches[] = [] amplitude %t valid %p {note = "diagonal"} : [] [] tensor<f64>, tensor<?x7xi1> -> !bt.branches<7 x 0>
  // CHECK-NEXT:   %{{.*}} = bt.branches[] = [] amplitude %t : [] [] tensor<f64> -> !bt.branches<1 x 0>
  // GENERIC-NEXT: %{{.*}} = "bt.branches"(%i, %v, %v) <{operandSegmentSizes = array<i32: 1, 1, 1, 0>}> : (tensor<7xi32>, tensor<?x7xf64>, tensor<?x7xf64>) -> !bt.branches<7 x 1>
  // GENERIC-NEXT: %{{.*}} = "bt.branches"(%t, %p) <{operandSegmentSizes = array<i32: 0, 0, 1, 1>}> {note = "diagonal"} : (tensor<f64>, tensor<?x7xi1>) -> !bt.branches<7 x 0>
  // GENERIC-NEXT: %{{.*}} = "bt.branches"(%t) <{operandSegmentSizes = array<i32: 0, 0, 1, 0>}> : (tensor<f64>) -> !bt.branches<1 x 0>
  %2 = bt.branches [%i] = [%v] amplitude %v : [tensor<7xi32>] [tensor<?x7xf64>] tensor<?x7xf64> -> !bt.branches<7 x 1>
  %3 = bt.branches [] = [] amplitude %t valid %p {note = "diagonal"} : [] [] tensor<f64>, tensor<?x7xi1> -> !bt.branches<7 x 0>
  %4 = bt.branches [] = [] amplitude %t : [] [] tensor<f64> -> !bt.branches<1 x 0>
  func.return
}

// CHECK-LABEL: func.func @images(
// GENERIC:     sym_name = "images"
func.func @images(%m : tensor<7x8xi1>, %v : tensor<?x8xf64>, %l : tensor<7xf64>, %t : tensor<f64>, %p : tensor<?x7xi1>, %z : tensor<4x8xi8>) {
  // An image has the axis of the sites, or is the same everywhere.
  // CHECK:        %{{.*}} = bt.images[%m, %m] = [%v, %t] amplitude %l valid %p : [tensor<7x8xi1>, tensor<7x8xi1>] [tensor<?x8xf64>, tensor<f64>] tensor<7xf64>, tensor<?x7xi1> -> !bt.branches<7 x 8>
  // CHECK-NEXT:   %{{.*}} = bt.images[%m] = [%z] amplitude %t {note = "bound"} : [tensor<7x8xi1>] [tensor<4x8xi8>] tensor<f64> -> !bt.branches<7 x 8>
  // CHECK-NEXT:   %{{.*}} = bt.images[] = [] amplitude %t : [] [] tensor<f64> -> !bt.branches<7 x 8>
  // GENERIC:      %{{.*}} = "bt.images"(%m, %m, %v, %t, %l, %p) <{operandSegmentSizes = array<i32: 2, 2, 1, 1>}> : (tensor<7x8xi1>, tensor<7x8xi1>, tensor<?x8xf64>, tensor<f64>, tensor<7xf64>, tensor<?x7xi1>) -> !bt.branches<7 x 8>
  // GENERIC-NEXT: %{{.*}} = "bt.images"(%m, %z, %t) <{operandSegmentSizes = array<i32: 1, 1, 1, 0>}> {note = "bound"} : (tensor<7x8xi1>, tensor<4x8xi8>, tensor<f64>) -> !bt.branches<7 x 8>
  // GENERIC-NEXT: %{{.*}} = "bt.images"(%t) <{operandSegmentSizes = array<i32: 0, 0, 1, 0>}> : (tensor<f64>) -> !bt.branches<7 x 8>
  %0 = bt.images [%m, %m] = [%v, %t] amplitude %l valid %p
    : [tensor<7x8xi1>, tensor<7x8xi1>] [tensor<?x8xf64>, tensor<f64>] tensor<7xf64>, tensor<?x7xi1> -> !bt.branches<7 x 8>
  %1 = bt.images [%m] = [%z] amplitude %t {note = "bound"} : [tensor<7x8xi1>] [tensor<4x8xi8>] tensor<f64> -> !bt.branches<7 x 8>
  %2 = bt.images [] = [] amplitude %t : [] [] tensor<f64> -> !bt.branches<7 x 8>
  func.return
}

// CHECK-LABEL: func.func @lanes(
// GENERIC:     sym_name = "lanes"
func.func @lanes(%a : !bt.branches<7 x 2>, %b : !bt.branches<8 x 0>, %c : !bt.branches<7 x 1>) {
  // CHECK:        %{{.*}} = bt.concat %a, %b : !bt.branches<7 x 2>, !bt.branches<8 x 0> -> !bt.branches<15 x 2>
  // CHECK-NEXT:   %{{.*}} = bt.concat %b {note = "one"} : !bt.branches<8 x 0> -> !bt.branches<8 x 0>
  // GENERIC:      %{{.*}} = "bt.concat"(%a, %b) : (!bt.branches<7 x 2>, !bt.branches<8 x 0>) -> !bt.branches<15 x 2>
  // GENERIC-NEXT: %{{.*}} = "bt.concat"(%b) {note = "one"} : (!bt.branches<8 x 0>) -> !bt.branches<8 x 0>
  %0 = bt.concat %a, %b : !bt.branches<7 x 2>, !bt.branches<8 x 0> -> !bt.branches<15 x 2>
  %1 = bt.concat %b {note = "one"} : !bt.branches<8 x 0> -> !bt.branches<8 x 0>
  // An operator without terms has no lanes.
  // CHECK-NEXT:   %{{.*}} = bt.concat : -> !bt.branches<0 x 0>
  // GENERIC-NEXT: %{{.*}} = "bt.concat"() : () -> !bt.branches<0 x 0>
  %2 = bt.concat : -> !bt.branches<0 x 0>
  // CHECK-NEXT:   %{{.*}} = bt.interleave %a, %c, %a : !bt.branches<7 x 2>, !bt.branches<7 x 1>, !bt.branches<7 x 2> -> !bt.branches<21 x 2>
  // CHECK-NEXT:   %{{.*}} = bt.interleave %b {note = "one"} : !bt.branches<8 x 0> -> !bt.branches<8 x 0>
  // GENERIC-NEXT: %{{.*}} = "bt.interleave"(%a, %c, %a) : (!bt.branches<7 x 2>, !bt.branches<7 x 1>, !bt.branches<7 x 2>) -> !bt.branches<21 x 2>
  // GENERIC-NEXT: %{{.*}} = "bt.interleave"(%b) {note = "one"} : (!bt.branches<8 x 0>) -> !bt.branches<8 x 0>
  %3 = bt.interleave %a, %c, %a : !bt.branches<7 x 2>, !bt.branches<7 x 1>, !bt.branches<7 x 2> -> !bt.branches<21 x 2>
  %4 = bt.interleave %b {note = "one"} : !bt.branches<8 x 0> -> !bt.branches<8 x 0>
  func.return
}

// CHECK-LABEL: func.func @compact(
// GENERIC:     sym_name = "compact"
func.func @compact(%a : !bt.branches<7 x 2>) {
  // CHECK:        %{{.*}} = bt.compact %a : !bt.branches<7 x 2> -> !bt.branches<3 x 2>
  // GENERIC:      %{{.*}} = "bt.compact"(%a) : (!bt.branches<7 x 2>) -> !bt.branches<3 x 2>
  %0 = bt.compact %a : !bt.branches<7 x 2> -> !bt.branches<3 x 2>
  func.return
}

// CHECK-LABEL: func.func @pruned(
// GENERIC:     sym_name = "pruned"
func.func @pruned() {
  // CHECK:        bt.pruned #bt.lanes<{0, 3:7} of 14>
  // GENERIC:      "bt.pruned"() <{origins = #bt.lanes<{0, 3:7} of 14>}> : () -> ()
  bt.pruned #bt.lanes<{0, 3:7} of 14>
  func.return
}

// CHECK-LABEL: func.func @assume(
// GENERIC:     sym_name = "assume"
func.func @assume(%x : tensor<?x2x!bt.state>, %z : tensor<4x2xi8>) {
  // CHECK:        bt.assume %x bounds [0, 1] sums [array<f64: 1.000000e+00, 1.000000e+00, 1.000000e+00>] values [array<f64: 0.000000e+00, 1.000000e+00>] : tensor<?x2x!bt.state>
  // CHECK-NEXT:   bt.assume %z values [array<f64: 0.000000e+00>, array<f64: 0.000000e+00, 1.000000e+00>] : tensor<4x2xi8>
  // CHECK-NEXT:   bt.unarranged
  // GENERIC:      "bt.assume"(%x) <{bounds = array<i64: 0, 1>, sums = [array<f64: 1.000000e+00, 1.000000e+00, 1.000000e+00>], values = [array<f64: 0.000000e+00, 1.000000e+00>]}> : (tensor<?x2x!bt.state>) -> ()
  bt.assume %x bounds [0, 1] sums [array<f64: 1.0, 1.0, 1.0>] values [array<f64: 0.0, 1.0>] : tensor<?x2x!bt.state>
  bt.assume %z values [array<f64: 0.0>, array<f64: 0.0, 1.0>] : tensor<4x2xi8>
  bt.unarranged
  func.return
}

// CHECK-LABEL: func.func @connections(
// GENERIC:     sym_name = "connections"
func.func @connections(%x : tensor<?x8x!bt.state>, %b : !bt.branches<15 x 2>, %z : tensor<4x8xi8>) {
  // CHECK:        %{{.*}}, %{{.*}} = bt.connections %x, %b : (tensor<?x8x!bt.state>, !bt.branches<15 x 2>) -> (tensor<?x15x8x!bt.state>, tensor<?x15xf64>)
  // CHECK-NEXT:   %{{.*}}, %{{.*}} = bt.connections %z, %b {note = "bound"} : (tensor<4x8xi8>, !bt.branches<15 x 2>) -> (tensor<4x15x8xi8>, tensor<4x15xcomplex<f32>>)
  // GENERIC:      %{{.*}}, %{{.*}} = "bt.connections"(%x, %b) : (tensor<?x8x!bt.state>, !bt.branches<15 x 2>) -> (tensor<?x15x8x!bt.state>, tensor<?x15xf64>)
  // GENERIC-NEXT: %{{.*}}, %{{.*}} = "bt.connections"(%z, %b) {note = "bound"} : (tensor<4x8xi8>, !bt.branches<15 x 2>) -> (tensor<4x15x8xi8>, tensor<4x15xcomplex<f32>>)
  %0, %1 = bt.connections %x, %b : (tensor<?x8x!bt.state>, !bt.branches<15 x 2>) -> (tensor<?x15x8x!bt.state>, tensor<?x15xf64>)
  %2, %3 = bt.connections %z, %b {note = "bound"} : (tensor<4x8xi8>, !bt.branches<15 x 2>) -> (tensor<4x15x8xi8>, tensor<4x15xcomplex<f32>>)
  func.return
}

// CHECK-LABEL: func.func @dot(
// GENERIC:     sym_name = "dot"
func.func @dot(%v : tensor<?x8xf64>, %m : tensor<8x3xf64>) {
  // CHECK:        %{{.*}} = bt.dot %v, %m {note = "one"} : (tensor<?x8xf64>, tensor<8x3xf64>) -> tensor<?x3xf64>
  // GENERIC:      %{{.*}} = "bt.dot"(%v, %m) {note = "one"} : (tensor<?x8xf64>, tensor<8x3xf64>) -> tensor<?x3xf64>
  %0 = bt.dot %v, %m {note = "one"} : (tensor<?x8xf64>, tensor<8x3xf64>) -> tensor<?x3xf64>
  func.return
}

// CHECK-LABEL: func.func @reductions(
// GENERIC:     sym_name = "reductions"
func.func @reductions(%x : tensor<?x8x!bt.state>, %v : tensor<?x7x3xf64>, %p : tensor<3xi1>, %i : tensor<7x3xi32>, %j : tensor<?x7x3xi32>, %k : tensor<i32>) {
  // CHECK:        %{{.*}} = bt.reduce sum %v : tensor<?x7x3xf64> -> tensor<?x7xf64>
  // CHECK-NEXT:   %{{.*}} = bt.reduce parity %p {note = "one"} : tensor<3xi1> -> tensor<i1>
  // GENERIC:      %{{.*}} = "bt.reduce"(%v) <{kind = #bt<reduction sum>}> : (tensor<?x7x3xf64>) -> tensor<?x7xf64>
  // GENERIC-NEXT: %{{.*}} = "bt.reduce"(%p) <{kind = #bt<reduction parity>}> {note = "one"} : (tensor<3xi1>) -> tensor<i1>
  %0 = bt.reduce sum %v : tensor<?x7x3xf64> -> tensor<?x7xf64>
  %1 = bt.reduce parity %p {note = "one"} : tensor<3xi1> -> tensor<i1>
  // Sites by row and place, the same for each sample or not; one site for all.
  // CHECK-NEXT:   %{{.*}} = bt.gather %x[%i] : (tensor<?x8x!bt.state>, tensor<7x3xi32>) -> tensor<?x7x3xf64>
  // CHECK-NEXT:   %{{.*}} = bt.gather %x[%j] : (tensor<?x8x!bt.state>, tensor<?x7x3xi32>) -> tensor<?x7x3xf64>
  // CHECK-NEXT:   %{{.*}} = bt.gather %x[%k] : (tensor<?x8x!bt.state>, tensor<i32>) -> tensor<?xf64>
  %2 = bt.gather %x[%i] : (tensor<?x8x!bt.state>, tensor<7x3xi32>) -> tensor<?x7x3xf64>
  %3 = bt.gather %x[%j] : (tensor<?x8x!bt.state>, tensor<?x7x3xi32>) -> tensor<?x7x3xf64>
  %4 = bt.gather %x[%k] : (tensor<?x8x!bt.state>, tensor<i32>) -> tensor<?xf64>
  func.return
}

// CHECK-LABEL: func.func @lanes_as_tensors(
// GENERIC:     sym_name = "lanes_as_tensors"
func.func @lanes_as_tensors(%x : tensor<?x8x!bt.state>, %b : !bt.branches<3 x 2>, %z : tensor<4x8xi8>, %n : !bt.branches<5 x 0>) {
  // Sites that all samples share, and those of each sample.
  // CHECK:        %{{.*}}, %{{.*}}, %{{.*}}, %{{.*}}, %{{.*}} = bt.lanes %x, %b : (tensor<?x8x!bt.state>, !bt.branches<3 x 2>) -> ([tensor<3xi32>, tensor<?x3xi32>], [tensor<?x3x!bt.state>, tensor<?x3x!bt.state>], tensor<?x3xf64>)
  // CHECK-NEXT:   %{{.*}} = bt.lanes %z, %n {note = "bound"} : (tensor<4x8xi8>, !bt.branches<5 x 0>) -> ([], [], tensor<4x5xcomplex<f32>>)
  // GENERIC:      %{{.*}}, %{{.*}}, %{{.*}}, %{{.*}}, %{{.*}} = "bt.lanes"(%x, %b) <{resultSegmentSizes = array<i32: 2, 2, 1>}> : (tensor<?x8x!bt.state>, !bt.branches<3 x 2>) -> (tensor<3xi32>, tensor<?x3xi32>, tensor<?x3x!bt.state>, tensor<?x3x!bt.state>, tensor<?x3xf64>)
  // GENERIC-NEXT: %{{.*}} = "bt.lanes"(%z, %n) <{resultSegmentSizes = array<i32: 0, 0, 1>}> {note = "bound"} : (tensor<4x8xi8>, !bt.branches<5 x 0>) -> tensor<4x5xcomplex<f32>>
  %0, %1, %2, %3, %4 = bt.lanes %x, %b : (tensor<?x8x!bt.state>, !bt.branches<3 x 2>) -> ([tensor<3xi32>, tensor<?x3xi32>], [tensor<?x3x!bt.state>, tensor<?x3x!bt.state>], tensor<?x3xf64>)
  %5 = bt.lanes %z, %n {note = "bound"} : (tensor<4x8xi8>, !bt.branches<5 x 0>) -> ([], [], tensor<4x5xcomplex<f32>>)
  func.return
}

// CHECK-LABEL: func.func @declared(
// GENERIC:     sym_name = "declared"
func.func @declared(%v : tensor<1xf64>, %w : tensor<3xf64>, %x : tensor<1x8xi8>) {
  // CHECK:        %{{.*}} = bt.declared "Jastrow.0" %v from(%w, %x) : tensor<1xf64> from(tensor<3xf64>, tensor<1x8xi8>)
  // GENERIC:      %{{.*}} = "bt.declared"(%v, %w, %x) <{declaration = "Jastrow.0"}> : (tensor<1xf64>, tensor<3xf64>, tensor<1x8xi8>) -> tensor<1xf64>
  %0 = bt.declared "Jastrow.0" %v from (%w, %x) : tensor<1xf64> from (tensor<3xf64>, tensor<1x8xi8>)
  // CHECK-NEXT:   %{{.*}} = bt.declared "Jastrow.1" %v from() lost "it is mapped" : tensor<1xf64> from()
  // GENERIC-NEXT: %{{.*}} = "bt.declared"(%v) <{declaration = "Jastrow.1", lost = "it is mapped"}> : (tensor<1xf64>) -> tensor<1xf64>
  %1 = bt.declared "Jastrow.1" %v from () lost "it is mapped" : tensor<1xf64> from ()
  "test.op"(%0, %1) : (tensor<1xf64>, tensor<1xf64>) -> ()
  func.return
}

// CHECK-LABEL: func.func @local_energy(
// GENERIC:     sym_name = "local_energy"
func.func @local_energy(%x : tensor<?x8x!bt.state>, %b : !bt.branches<3 x 1>, %d : tensor<?xf64>, %w : tensor<8x4xf64>) {
  // CHECK:        %{{.*}} = bt.local_energy %x, %b diagonal %d parameters(%w) through [#bt.part<network @energy_of>] : tensor<?x8x!bt.state>, !bt.branches<3 x 1> diagonal tensor<?xf64>(tensor<8x4xf64>) -> tensor<?xf64>
  // GENERIC:      %{{.*}} = "bt.local_energy"(%x, %b, %d, %w) <{parts = [#bt.part<network @energy_of>], operandSegmentSizes = array<i32: 1, 1, 1, 1>}> : (tensor<?x8x!bt.state>, !bt.branches<3 x 1>, tensor<?xf64>, tensor<8x4xf64>) -> tensor<?xf64>
  %0 = bt.local_energy %x, %b diagonal %d parameters(%w) through [#bt.part<network @energy_of>] : tensor<?x8x!bt.state>, !bt.branches<3 x 1> diagonal tensor<?xf64> (tensor<8x4xf64>) -> tensor<?xf64>
  // Of no part at all psi is 1 everywhere; what is not given is left out.
  // CHECK-NEXT:   %{{.*}} = bt.local_energy %x, %b parameters() through [] plan <samples = 256> {note = "one"} : tensor<?x8x!bt.state>, !bt.branches<3 x 1>() -> tensor<?xcomplex<f64>>
  // GENERIC-NEXT: %{{.*}} = "bt.local_energy"(%x, %b) <{parts = [], plan = #bt.plan<samples = 256>, operandSegmentSizes = array<i32: 1, 1, 0, 0>}> {note = "one"} : (tensor<?x8x!bt.state>, !bt.branches<3 x 1>) -> tensor<?xcomplex<f64>>
  %1 = bt.local_energy %x, %b parameters() through [] plan <samples = 256> {note = "one"} : tensor<?x8x!bt.state>, !bt.branches<3 x 1> () -> tensor<?xcomplex<f64>>
  func.return
}

// CHECK-LABEL: func.func @draw(
// GENERIC:     sym_name = "draw"
func.func @draw(%u : tensor<?x2xf64>, %w : tensor<8x4xf64>) {
  // CHECK:        %{{.*}}, %{{.*}} = bt.draw %u from @energy_of(%w) order [1, 0] values [array<f64: 0.000000e+00, 1.000000e+00>] power 2.000000e+00 : tensor<?x2xf64>, (tensor<8x4xf64>) -> tensor<?x2x!bt.state>, tensor<?xf64>
  // GENERIC:      %{{.*}}, %{{.*}} = "bt.draw"(%u, %w) <{callee = @energy_of, order = array<i64: 1, 0>, values = [array<f64: 0.000000e+00, 1.000000e+00>], power = 2.000000e+00 : f64}> : (tensor<?x2xf64>, tensor<8x4xf64>) -> (tensor<?x2x!bt.state>, tensor<?xf64>)
  %x, %log = bt.draw %u from @energy_of(%w) order [1, 0] values [array<f64: 0.0, 1.0>] power 2.0 : tensor<?x2xf64>, (tensor<8x4xf64>) -> tensor<?x2x!bt.state>, tensor<?xf64>
  // Sites may differ, and functions may draw them.
  // CHECK-NEXT:   bt.draw %u from @energy_of() order [0, 1] values [array<f64: 0.000000e+00, 1.000000e+00>, array<f64: 0.000000e+00, 1.000000e+00, 2.000000e+00>] power 1.000000e+00 written [@energy_of, @energy_of, @energy_of, @energy_of, @energy_of] bounds [0, 2] {note = "one"} : tensor<?x2xf64>, () -> tensor<?x2x!bt.state>, tensor<?xcomplex<f64>>
  // GENERIC-NEXT: "bt.draw"(%u) <{callee = @energy_of, order = array<i64: 0, 1>, values = [array<f64: 0.000000e+00, 1.000000e+00>, array<f64: 0.000000e+00, 1.000000e+00, 2.000000e+00>], power = 1.000000e+00 : f64, written = [@energy_of, @energy_of, @energy_of, @energy_of, @energy_of], bounds = array<i64: 0, 2>}> {note = "one"} : (tensor<?x2xf64>) -> (tensor<?x2x!bt.state>, tensor<?xcomplex<f64>>)
  %y, %other = bt.draw %u from @energy_of() order [0, 1] values [array<f64: 0.0, 1.0>, array<f64: 0.0, 1.0, 2.0>] power 1.0 written [@energy_of, @energy_of, @energy_of, @energy_of, @energy_of] bounds [0, 2] {note = "one"} : tensor<?x2xf64>, () -> tensor<?x2x!bt.state>, tensor<?xcomplex<f64>>
  func.return
}

func.func private @energy_of(%w : tensor<8x4xf64>, %x : tensor<1x8xf64>) -> tensor<f64> {
  %a = stablehlo.constant dense<0.0> : tensor<f64>
  func.return %a : tensor<f64>
}

// CHECK-LABEL: func.func @loops(
// GENERIC:     sym_name = "loops"
func.func @loops(%x : tensor<9x8xi8>, %w : tensor<f64>, %live : tensor<4x3xi1>, %keys : tensor<9x2xi32>) {
  // CHECK:        %{{.*}} = bt.map_samples @chunk(%x, %w) : (tensor<9x8xi8>, tensor<f64>) -> tensor<9xf64>
  // GENERIC:      %{{.*}} = "bt.map_samples"(%x, %w) <{callee = @chunk, operandSegmentSizes = array<i32: 1, 1, 0>}> : (tensor<9x8xi8>, tensor<f64>) -> tensor<9xf64>
  %0 = bt.map_samples @chunk(%x, %w) : (tensor<9x8xi8>, tensor<f64>) -> tensor<9xf64>
  // CHECK-NEXT:   %states, %places, %count = bt.pack %live : tensor<4x3xi1> -> tensor<16xi32>, tensor<12xi32>, tensor<i32>
  %states, %places, %count = bt.pack %live : tensor<4x3xi1> -> tensor<16xi32>, tensor<12xi32>, tensor<i32>
  // CHECK-NEXT:   %[[ALL:.*]] = bt.map_states over %states to %count from 4 sizes [8, 2] {
  // CHECK-NEXT:   ^bb0(%state: tensor<i32>):
  // CHECK-NEXT:     %v = stablehlo.convert %state : (tensor<i32>) -> tensor<f64>
  // CHECK-NEXT:     bt.yield %v : tensor<f64>
  // CHECK-NEXT:   } : tensor<16xf64>
  // GENERIC:      "bt.map_states"(%states, %count) <{first = 4 : i64, sizes = array<i64: 8, 2>, operandSegmentSizes = array<i32: 1, 1>}> ({
  %1 = bt.map_states over %states to %count from 4 sizes [8, 2] {
  ^bb0(%state : tensor<i32>):
    %v = stablehlo.convert %state : (tensor<i32>) -> tensor<f64>
    bt.yield %v : tensor<f64>
  } : tensor<16xf64>
  // CHECK-NEXT:   %{{.*}} = bt.unpack %[[ALL]], %places where %live : (tensor<16xf64>, tensor<12xi32>, tensor<4x3xi1>) -> tensor<4x3xf64>
  %2 = bt.unpack %1, %places where %live : (tensor<16xf64>, tensor<12xi32>, tensor<4x3xi1>) -> tensor<4x3xf64>
  // CHECK-NEXT:   %d, %at, %many = bt.distinct %keys : tensor<9x2xi32> -> tensor<9xi32>, tensor<9xi32>, tensor<i32>
  // GENERIC:      %d, %at, %many = "bt.distinct"(%keys) : (tensor<9x2xi32>) -> (tensor<9xi32>, tensor<9xi32>, tensor<i32>)
  %d, %at, %many = bt.distinct %keys : tensor<9x2xi32> -> tensor<9xi32>, tensor<9xi32>, tensor<i32>
  // CHECK-NEXT:   %{{.*}} = bt.map_samples to %many @chunk(%x, %w) : (tensor<9x8xi8>, tensor<f64>) -> tensor<9xf64>
  // GENERIC-NEXT: %{{.*}} = "bt.map_samples"(%x, %w, %many) <{callee = @chunk, operandSegmentSizes = array<i32: 1, 1, 1>}>
  %4 = bt.map_samples to %many @chunk(%x, %w) : (tensor<9x8xi8>, tensor<f64>) -> tensor<9xf64>
  // CHECK-NEXT:   %{{.*}} = bt.map_states from 0 sizes [16] {
  %3 = bt.map_states from 0 sizes [16] {
  ^bb0(%state : tensor<i32>):
    bt.yield %state : tensor<i32>
  } : tensor<16xi32>
  func.return
}

func.func private @chunk(%x : tensor<4x8xi8>, %w : tensor<f64>) -> tensor<4xf64>
