// RUN: symir-opt %s --split-input-file --verify-diagnostics --parsing-diagnostics | filecheck %s

// One case and one message for each rule. Types come last.

// region bt.gather

// CHECK: 'bt.gather' takes configurations of shape (batch, sites), got tensor<8x!bt.state>
%x, %i = "test.op"() : () -> (tensor<8x!bt.state>, tensor<7xi32>)
%v = bt.gather %x[%i] : (tensor<8x!bt.state>, tensor<7xi32>) -> tensor<7xf64>

// -----

// CHECK: 'bt.gather' at tensor<i32> cannot have type tensor<7xf64>
%x, %i = "test.op"() : () -> (tensor<?x8x!bt.state>, tensor<i32>)
%v = bt.gather %x[%i] : (tensor<?x8x!bt.state>, tensor<i32>) -> tensor<7xf64>

// -----

// The sites of another batch.
// CHECK: 'bt.gather' at tensor<4x7xi32> cannot have type tensor<?x7xf64>
%x, %i = "test.op"() : () -> (tensor<?x8x!bt.state>, tensor<4x7xi32>)
%v = bt.gather %x[%i] : (tensor<?x8x!bt.state>, tensor<4x7xi32>) -> tensor<?x7xf64>

// -----

// CHECK: 'bt.gather' at tensor<?x7x2xi32> cannot have type tensor<?x7xf64>
%x, %i = "test.op"() : () -> (tensor<?x8x!bt.state>, tensor<?x7x2xi32>)
%v = bt.gather %x[%i] : (tensor<?x8x!bt.state>, tensor<?x7x2xi32>) -> tensor<?x7xf64>

// -----

// CHECK: 'bt.gather' at tensor<7xi32> cannot have type tensor<?x8xf64>
%x, %i = "test.op"() : () -> (tensor<?x8x!bt.state>, tensor<7xi32>)
%v = bt.gather %x[%i] : (tensor<?x8x!bt.state>, tensor<7xi32>) -> tensor<?x8xf64>

// -----

// CHECK: 'bt.gather' at tensor<7xi32> cannot have type tensor<7xf64>
%x, %i = "test.op"() : () -> (tensor<?x8x!bt.state>, tensor<7xi32>)
%v = bt.gather %x[%i] : (tensor<?x8x!bt.state>, tensor<7xi32>) -> tensor<7xf64>

// -----

// CHECK:      operand 'sites' at position 1 does not verify:
// CHECK-NEXT: Expected attribute i32 but got i64
%x, %i = "test.op"() : () -> (tensor<?x8x!bt.state>, tensor<7xi64>)
%v = "bt.gather"(%x, %i) : (tensor<?x8x!bt.state>, tensor<7xi64>) -> tensor<?x7xf64>

// -----

// CHECK:      operand 'config' at position 0 does not verify:
// CHECK-NEXT: f64 should be of base attribute tensor
%x, %i = "test.op"() : () -> (f64, tensor<7xi32>)
%v = "bt.gather"(%x, %i) : (f64, tensor<7xi32>) -> tensor<?x7xf64>

// endregion
// region bt.broadcast

// -----

// CHECK: 'bt.broadcast' keeps the element type: tensor<f32> -> tensor<7xf64>
%t = "test.op"() : () -> tensor<f32>
%b = bt.broadcast %t dims = [] : tensor<f32> -> tensor<7xf64>

// -----

// CHECK: 'bt.broadcast' needs one ascending axis of the result for each of the operand's: dims = [] for tensor<7xf64>
%t = "test.op"() : () -> tensor<7xf64>
%b = bt.broadcast %t dims = [] : tensor<7xf64> -> tensor<?x7xf64>

// -----

// CHECK: 'bt.broadcast' needs one ascending axis of the result for each of the operand's: dims = [1, 0] for tensor<7x7xf64>
%t = "test.op"() : () -> tensor<7x7xf64>
%b = bt.broadcast %t dims = [1, 0] : tensor<7x7xf64> -> tensor<7x7xf64>

// -----

// CHECK: 'bt.broadcast' needs one ascending axis of the result for each of the operand's: dims = [1, 1] for tensor<7x7xf64>
%t = "test.op"() : () -> tensor<7x7xf64>
%b = bt.broadcast %t dims = [1, 1] : tensor<7x7xf64> -> tensor<?x7xf64>

// -----

// The lanes are no batch, and the batch is no lanes.
// CHECK: 'bt.broadcast' cannot place tensor<7xf64> on the axes [0] of tensor<?x7xf64>
%t = "test.op"() : () -> tensor<7xf64>
%b = bt.broadcast %t dims = [0] : tensor<7xf64> -> tensor<?x7xf64>

// -----

// CHECK: 'bt.broadcast' cannot place tensor<?xf64> on the axes [1] of tensor<?x7xf64>
%t = "test.op"() : () -> tensor<?xf64>
%b = bt.broadcast %t dims = [1] : tensor<?xf64> -> tensor<?x7xf64>

// -----

// A single lane is not repeated.
// CHECK: 'bt.broadcast' cannot place tensor<1xf64> on the axes [1] of tensor<?x7xf64>
%t = "test.op"() : () -> tensor<1xf64>
%b = bt.broadcast %t dims = [1] : tensor<1xf64> -> tensor<?x7xf64>

// -----

// CHECK: 'bt.broadcast' cannot place tensor<7xf64> on the axes [2] of tensor<?x7xf64>
%t = "test.op"() : () -> tensor<7xf64>
%b = bt.broadcast %t dims = [2] : tensor<7xf64> -> tensor<?x7xf64>

// -----

// CHECK: 'bt.broadcast' cannot place tensor<7xf64> on the axes [-1] of tensor<?x7xf64>
%t = "test.op"() : () -> tensor<7xf64>
%b = bt.broadcast %t dims = [-1] : tensor<7xf64> -> tensor<?x7xf64>

// endregion
// region bt.branches

// -----

// CHECK: 'bt.branches' with 1 sites and 1 values cannot have type !bt.branches<7 x 2>
%i, %v = "test.op"() : () -> (tensor<7xi32>, tensor<7xf64>)
%b = bt.branches [%i] = [%v] amplitude %v : [tensor<7xi32>] [tensor<7xf64>] tensor<7xf64> -> !bt.branches<7 x 2>

// -----

// CHECK: 'bt.branches' with 2 sites and 1 values cannot have type !bt.branches<7 x 2>
%i, %v = "test.op"() : () -> (tensor<7xi32>, tensor<7xf64>)
%b = bt.branches [%i, %i] = [%v] amplitude %v : [tensor<7xi32>, tensor<7xi32>] [tensor<7xf64>] tensor<7xf64> -> !bt.branches<7 x 2>

// -----

// CHECK: 'bt.branches' has 7 lanes, but a site is tensor<6xi32>
%i, %v = "test.op"() : () -> (tensor<6xi32>, tensor<7xf64>)
%b = bt.branches [%i] = [%v] amplitude %v : [tensor<6xi32>] [tensor<7xf64>] tensor<7xf64> -> !bt.branches<7 x 1>

// -----

// CHECK: 'bt.branches' has 7 lanes, but a value is tensor<?x6xf64>
%i, %v, %a = "test.op"() : () -> (tensor<7xi32>, tensor<?x6xf64>, tensor<f64>)
%b = bt.branches [%i] = [%v] amplitude %a : [tensor<7xi32>] [tensor<?x6xf64>] tensor<f64> -> !bt.branches<7 x 1>

// -----

// A value per sample is no value per lane.
// CHECK: 'bt.branches' has 7 lanes, but a value is tensor<?xf64>
%i, %v, %a = "test.op"() : () -> (tensor<7xi32>, tensor<?xf64>, tensor<f64>)
%b = bt.branches [%i] = [%v] amplitude %a : [tensor<7xi32>] [tensor<?xf64>] tensor<f64> -> !bt.branches<7 x 1>

// -----

// CHECK: 'bt.branches' has 7 lanes, but the amplitude is tensor<?x?x7xf64>
%a = "test.op"() : () -> tensor<?x?x7xf64>
%b = bt.branches [] = [] amplitude %a : [] [] tensor<?x?x7xf64> -> !bt.branches<7 x 0>

// -----

// CHECK: 'bt.branches' has 7 lanes, but the validity is tensor<1xi1>
%a, %p = "test.op"() : () -> (tensor<7xf64>, tensor<1xi1>)
%b = bt.branches [] = [] amplitude %a valid %p : [] [] tensor<7xf64>, tensor<1xi1> -> !bt.branches<7 x 0>

// -----

// CHECK: 'bt.branches' takes operands of one batch, got tensor<?x7xf64>, tensor<4x7xi1>
%a, %p = "test.op"() : () -> (tensor<?x7xf64>, tensor<4x7xi1>)
%b = bt.branches [] = [] amplitude %a valid %p : [] [] tensor<?x7xf64>, tensor<4x7xi1> -> !bt.branches<7 x 0>

// -----

// CHECK:      operand 'sites' at position 0 does not verify:
// CHECK-NEXT: Expected attribute i32 but got f64
%v = "test.op"() : () -> tensor<7xf64>
%b = "bt.branches"(%v, %v, %v) <{operandSegmentSizes = array<i32: 1, 1, 1, 0>}> : (tensor<7xf64>, tensor<7xf64>, tensor<7xf64>) -> !bt.branches<7 x 1>

// -----

// CHECK:      operand 'valid' at position 1 does not verify:
// CHECK-NEXT: Expected attribute i1 but got f64
%v = "test.op"() : () -> tensor<7xf64>
%b = "bt.branches"(%v, %v) <{operandSegmentSizes = array<i32: 0, 0, 1, 1>}> : (tensor<7xf64>, tensor<7xf64>) -> !bt.branches<7 x 0>

// -----

// CHECK:      result 'result' at position 0 does not verify:
// CHECK-NEXT: tensor<7xf64> should be of base attribute bt.branches
%v = "test.op"() : () -> tensor<7xf64>
%b = "bt.branches"(%v) <{operandSegmentSizes = array<i32: 0, 0, 1, 0>}> : (tensor<7xf64>) -> tensor<7xf64>

// endregion
// region bt.images

// -----

// CHECK: 'bt.images' has 2 masks and 1 images
%m, %v = "test.op"() : () -> (tensor<7x8xi1>, tensor<f64>)
%b = bt.images [%m, %m] = [%v] amplitude %v : [tensor<7x8xi1>, tensor<7x8xi1>] [tensor<f64>] tensor<f64> -> !bt.branches<7 x 8>

// -----

// CHECK: 'bt.images' of type !bt.branches<7 x 8> has masks of shape (7, 8), got tensor<8x7xi1>
%m, %v = "test.op"() : () -> (tensor<8x7xi1>, tensor<f64>)
%b = bt.images [%m] = [%v] amplitude %v : [tensor<8x7xi1>] [tensor<f64>] tensor<f64> -> !bt.branches<7 x 8>

// -----

// A lane has a write for each site.
// CHECK: 'bt.images' of type !bt.branches<7 x 1> has masks of shape (7, 1), got tensor<7x8xi1>
%m, %v = "test.op"() : () -> (tensor<7x8xi1>, tensor<f64>)
%b = bt.images [%m] = [%v] amplitude %v : [tensor<7x8xi1>] [tensor<f64>] tensor<f64> -> !bt.branches<7 x 1>

// -----

// Each sample has the same masks.
// CHECK: 'bt.images' of type !bt.branches<7 x 8> has masks of shape (7, 8), got tensor<?x7x8xi1>
%m, %v = "test.op"() : () -> (tensor<?x7x8xi1>, tensor<f64>)
%b = bt.images [%m] = [%v] amplitude %v : [tensor<?x7x8xi1>] [tensor<f64>] tensor<f64> -> !bt.branches<7 x 8>

// -----

// CHECK: 'bt.images' has images of shape (batch, 8) or scalars, got tensor<?x7xf64>
%m, %v, %a = "test.op"() : () -> (tensor<7x8xi1>, tensor<?x7xf64>, tensor<f64>)
%b = bt.images [%m] = [%v] amplitude %a : [tensor<7x8xi1>] [tensor<?x7xf64>] tensor<f64> -> !bt.branches<7 x 8>

// -----

// A number for each sample is no image, nor is one for each site without a sample.
// CHECK: 'bt.images' has images of shape (batch, 8) or scalars, got tensor<?xf64>
%m, %v, %a = "test.op"() : () -> (tensor<7x8xi1>, tensor<?xf64>, tensor<f64>)
%b = bt.images [%m] = [%v] amplitude %a : [tensor<7x8xi1>] [tensor<?xf64>] tensor<f64> -> !bt.branches<7 x 8>

// -----

// CHECK: 'bt.images' has images of shape (batch, 8) or scalars, got tensor<8xf64>
%m, %v, %a = "test.op"() : () -> (tensor<7x8xi1>, tensor<8xf64>, tensor<f64>)
%b = bt.images [%m] = [%v] amplitude %a : [tensor<7x8xi1>] [tensor<8xf64>] tensor<f64> -> !bt.branches<7 x 8>

// -----

// CHECK: 'bt.images' writes real local values, got tensor<complex<f64>>
%m, %v = "test.op"() : () -> (tensor<7x8xi1>, tensor<complex<f64>>)
%b = bt.images [%m] = [%v] amplitude %v : [tensor<7x8xi1>] [tensor<complex<f64>>] tensor<complex<f64>> -> !bt.branches<7 x 8>

// -----

// CHECK: 'bt.images' has 7 lanes, but the amplitude is tensor<?x8xf64>
%m, %v, %a = "test.op"() : () -> (tensor<7x8xi1>, tensor<f64>, tensor<?x8xf64>)
%b = bt.images [%m] = [%v] amplitude %a : [tensor<7x8xi1>] [tensor<f64>] tensor<?x8xf64> -> !bt.branches<7 x 8>

// -----

// CHECK: 'bt.images' has 7 lanes, but the validity is tensor<8xi1>
%m, %v, %p = "test.op"() : () -> (tensor<7x8xi1>, tensor<f64>, tensor<8xi1>)
%b = bt.images [%m] = [%v] amplitude %v valid %p : [tensor<7x8xi1>] [tensor<f64>] tensor<f64>, tensor<8xi1> -> !bt.branches<7 x 8>

// -----

// CHECK:      operand 'masks' at position 0 does not verify:
// CHECK-NEXT: Expected attribute i1 but got f64
%m, %v = "test.op"() : () -> (tensor<7x8xf64>, tensor<f64>)
%b = "bt.images"(%m, %v, %v) <{operandSegmentSizes = array<i32: 1, 1, 1, 0>}> : (tensor<7x8xf64>, tensor<f64>, tensor<f64>) -> !bt.branches<7 x 8>

// endregion
// region bt.concat and bt.interleave

// -----

// CHECK: 'bt.concat' has type !bt.branches<15 x 2>, declared !bt.branches<14 x 2>
%a, %b = "test.op"() : () -> (!bt.branches<7 x 2>, !bt.branches<8 x 1>)
%c = bt.concat %a, %b : !bt.branches<7 x 2>, !bt.branches<8 x 1> -> !bt.branches<14 x 2>

// -----

// CHECK: 'bt.concat' has type !bt.branches<15 x 2>, declared !bt.branches<15 x 3>
%a, %b = "test.op"() : () -> (!bt.branches<7 x 2>, !bt.branches<8 x 1>)
%c = bt.concat %a, %b : !bt.branches<7 x 2>, !bt.branches<8 x 1> -> !bt.branches<15 x 3>

// -----

// CHECK:      operand 'parts' at position 0 does not verify:
// CHECK-NEXT: tensor<7xf64> should be of base attribute bt.branches
%a = "test.op"() : () -> tensor<7xf64>
%c = "bt.concat"(%a) : (tensor<7xf64>) -> !bt.branches<7 x 0>

// -----

// CHECK: 'bt.interleave' takes operands with equal numbers of lanes, got !bt.branches<7 x 2>, !bt.branches<8 x 2>
%a, %b = "test.op"() : () -> (!bt.branches<7 x 2>, !bt.branches<8 x 2>)
%c = bt.interleave %a, %b : !bt.branches<7 x 2>, !bt.branches<8 x 2> -> !bt.branches<15 x 2>

// -----

// CHECK: 'bt.interleave' has type !bt.branches<14 x 2>, declared !bt.branches<7 x 2>
%a, %b = "test.op"() : () -> (!bt.branches<7 x 2>, !bt.branches<7 x 1>)
%c = bt.interleave %a, %b : !bt.branches<7 x 2>, !bt.branches<7 x 1> -> !bt.branches<7 x 2>

// endregion

// -----

// region bt.dot

// CHECK: 'bt.dot' of tensor<?x7xf64> and tensor<8x3xf64> cannot be tensor<?x3xf64>
%v, %m = "test.op"() : () -> (tensor<?x7xf64>, tensor<8x3xf64>)
%r = bt.dot %v, %m : (tensor<?x7xf64>, tensor<8x3xf64>) -> tensor<?x3xf64>

// -----

// CHECK: 'bt.dot' of tensor<?x8xf64> and tensor<8x3xf64> cannot be tensor<?x4xf64>
%v, %m = "test.op"() : () -> (tensor<?x8xf64>, tensor<8x3xf64>)
%r = bt.dot %v, %m : (tensor<?x8xf64>, tensor<8x3xf64>) -> tensor<?x4xf64>

// -----

// CHECK: 'bt.dot' of tensor<?x8xf64> and tensor<8x3xf32> cannot be tensor<?x3xf64>
%v, %m = "test.op"() : () -> (tensor<?x8xf64>, tensor<8x3xf32>)
%r = bt.dot %v, %m : (tensor<?x8xf64>, tensor<8x3xf32>) -> tensor<?x3xf64>

// -----

// CHECK: 'bt.dot' of tensor<?x8xi1> and tensor<8x3xi1> cannot be tensor<?x3xi1>
%v, %m = "test.op"() : () -> (tensor<?x8xi1>, tensor<8x3xi1>)
%r = bt.dot %v, %m : (tensor<?x8xi1>, tensor<8x3xi1>) -> tensor<?x3xi1>

// -----

// CHECK: 'bt.dot' of tensor<8xf64> and tensor<8x3xf64> cannot be tensor<3xf64>
%v, %m = "test.op"() : () -> (tensor<8xf64>, tensor<8x3xf64>)
%r = bt.dot %v, %m : (tensor<8xf64>, tensor<8x3xf64>) -> tensor<3xf64>

// endregion

// -----

// region bt.reduce

// -----

// CHECK: 'bt.reduce' of tensor<?x7x3xf64> along its last axis cannot be tensor<?x3xf64>
%v = "test.op"() : () -> tensor<?x7x3xf64>
%r = bt.reduce sum %v : tensor<?x7x3xf64> -> tensor<?x3xf64>

// -----

// CHECK: 'bt.reduce' of tensor<f64> along its last axis cannot be tensor<f64>
%v = "test.op"() : () -> tensor<f64>
%r = bt.reduce sum %v : tensor<f64> -> tensor<f64>

// -----

// CHECK: 'bt.reduce' keeps the element type: tensor<7x3xf64> -> tensor<7xf32>
%v = "test.op"() : () -> tensor<7x3xf64>
%r = bt.reduce sum %v : tensor<7x3xf64> -> tensor<7xf32>

// -----

// CHECK: 'any' cannot combine f64
%v = "test.op"() : () -> tensor<7x3xf64>
%r = bt.reduce any %v : tensor<7x3xf64> -> tensor<7xf64>

// -----

// CHECK: 'prod' cannot combine i1
%v = "test.op"() : () -> tensor<7x3xi1>
%r = bt.reduce prod %v : tensor<7x3xi1> -> tensor<7xi1>

// endregion
// region bt.connections

// -----

// CHECK: 'bt.connections' takes configurations of shape (batch, sites), got tensor<8xi8>
%x, %b = "test.op"() : () -> (tensor<8xi8>, !bt.branches<7 x 2>)
%y, %m = bt.connections %x, %b : (tensor<8xi8>, !bt.branches<7 x 2>) -> (tensor<7x8xi8>, tensor<7xf64>)

// -----

// CHECK: 'bt.connections' of tensor<?x8xi8> and !bt.branches<7 x 2> cannot have types tensor<?x6x8xi8>, tensor<?x6xf64>
%x, %b = "test.op"() : () -> (tensor<?x8xi8>, !bt.branches<7 x 2>)
%y, %m = bt.connections %x, %b : (tensor<?x8xi8>, !bt.branches<7 x 2>) -> (tensor<?x6x8xi8>, tensor<?x6xf64>)

// -----

// The matrix elements of another number of lanes.
// CHECK: 'bt.connections' of tensor<?x8xi8> and !bt.branches<7 x 2> cannot have types tensor<?x7x8xi8>, tensor<?x8xf64>
%x, %b = "test.op"() : () -> (tensor<?x8xi8>, !bt.branches<7 x 2>)
%y, %m = bt.connections %x, %b : (tensor<?x8xi8>, !bt.branches<7 x 2>) -> (tensor<?x7x8xi8>, tensor<?x8xf64>)

// -----

// x' is stored as x is.
// CHECK: 'bt.connections' of tensor<?x8x!bt.state> and !bt.branches<7 x 2> cannot have types tensor<?x7x8xi8>, tensor<?x7xf64>
%x, %b = "test.op"() : () -> (tensor<?x8x!bt.state>, !bt.branches<7 x 2>)
%y, %m = bt.connections %x, %b : (tensor<?x8x!bt.state>, !bt.branches<7 x 2>) -> (tensor<?x7x8xi8>, tensor<?x7xf64>)

// -----

// CHECK:      operand 'branches' at position 1 does not verify:
// CHECK-NEXT: tensor<7xf64> should be of base attribute bt.branches
%x, %b = "test.op"() : () -> (tensor<?x8xi8>, tensor<7xf64>)
%y, %m = "bt.connections"(%x, %b) : (tensor<?x8xi8>, tensor<7xf64>) -> (tensor<?x7x8xi8>, tensor<?x7xf64>)

// -----

// CHECK: 'bt.connections' of tensor<?x4xi8> cannot have images of other sites, got !bt.branches<7 x 8>
%x, %m, %v = "test.op"() : () -> (tensor<?x4xi8>, tensor<7x8xi1>, tensor<f64>)
%b = bt.images [%m] = [%v] amplitude %v : [tensor<7x8xi1>] [tensor<f64>] tensor<f64> -> !bt.branches<7 x 8>
%y, %z = bt.connections %x, %b : (tensor<?x4xi8>, !bt.branches<7 x 8>) -> (tensor<?x7x4xi8>, tensor<?x7xf64>)

// -----

// CHECK: 'bt.connections' of tensor<?x8xi8> cannot have branches of another batch, got tensor<4x8xi8>
%x, %m, %v, %a = "test.op"() : () -> (tensor<?x8xi8>, tensor<7x8xi1>, tensor<4x8xi8>, tensor<f64>)
%b = bt.images [%m] = [%v] amplitude %a : [tensor<7x8xi1>] [tensor<4x8xi8>] tensor<f64> -> !bt.branches<7 x 8>
%y, %z = bt.connections %x, %b : (tensor<?x8xi8>, !bt.branches<7 x 8>) -> (tensor<?x7x8xi8>, tensor<?x7xf64>)

// endregion
// region Types

// -----

// CHECK: Expected 'x'
"test.op"() {type = !bt.branches<6>} : () -> ()

// -----

// CHECK: Expected integer literal
"test.op"() {type = !bt.branches<-6 x 2>} : () -> ()

// endregion

// region bt.compact

// -----

// CHECK: 'bt.compact' keeps the number of writes: !bt.branches<7 x 2> -> !bt.branches<3 x 1>
%a = "test.op"() : () -> !bt.branches<7 x 2>
%b = bt.compact %a : !bt.branches<7 x 2> -> !bt.branches<3 x 1>

// -----

// CHECK: 'bt.compact' leaves at least one lane, and fewer than there were: !bt.branches<7 x 2> -> !bt.branches<7 x 2>
%a = "test.op"() : () -> !bt.branches<7 x 2>
%b = bt.compact %a : !bt.branches<7 x 2> -> !bt.branches<7 x 2>

// -----

// CHECK: 'bt.compact' leaves at least one lane, and fewer than there were: !bt.branches<7 x 2> -> !bt.branches<0 x 2>
%a = "test.op"() : () -> !bt.branches<7 x 2>
%b = bt.compact %a : !bt.branches<7 x 2> -> !bt.branches<0 x 2>

// endregion

// region bt.lanes

// -----

// CHECK: 'bt.lanes' of tensor<?x8x!bt.state> and !bt.branches<7 x 1> cannot have types tensor<7xi32>, tensor<?x6x!bt.state>, tensor<?x7xf64>
%x, %b = "test.op"() : () -> (tensor<?x8x!bt.state>, !bt.branches<7 x 1>)
%s, %v, %m = bt.lanes %x, %b : (tensor<?x8x!bt.state>, !bt.branches<7 x 1>) -> ([tensor<7xi32>], [tensor<?x6x!bt.state>], tensor<?x7xf64>)

// endregion
// region bt.draw

// -----

// CHECK: 'bt.draw' of 2 sites has each of them once in its order, got [0, 0]
%u = "test.op"() : () -> (tensor<?x2xf64>)
%x, %log = bt.draw %u from @f() order [0, 0] values [array<f64: 0.0>] power 2.0 : tensor<?x2xf64>, () -> tensor<?x2x!bt.state>, tensor<?xf64>

// -----

// CHECK: 'bt.draw' takes local values for all of 2 sites, or for each, got []
%u = "test.op"() : () -> (tensor<?x2xf64>)
%x, %log = bt.draw %u from @f() order [0, 1] values [] power 2.0 : tensor<?x2xf64>, () -> tensor<?x2x!bt.state>, tensor<?xf64>

// -----

// CHECK: 'bt.draw' of tensor<?x2xf64> has configurations and logarithms of as many samples, got tensor<?x3x!bt.state> and tensor<?xf64>
%u = "test.op"() : () -> (tensor<?x2xf64>)
%x, %log = bt.draw %u from @f() order [0, 1] values [array<f64: 0.0>] power 2.0 : tensor<?x2xf64>, () -> tensor<?x3x!bt.state>, tensor<?xf64>

// -----

// CHECK: 'bt.draw': there is no @f
%u = "test.op"() : () -> (tensor<?x2xf64>)
%x, %log = bt.draw %u from @f() order [0, 1] values [array<f64: 0.0>] power 2.0 : tensor<?x2xf64>, () -> tensor<?x2x!bt.state>, tensor<?xf64>

// -----

// CHECK: 'bt.draw': sites are drawn by tables, start, and open, term, commit of each group of steps, got [@f, @f, @f] and array<i64: 0, 2>
func.func private @f(tensor<1x2xi8>) -> tensor<1xf64>
%u = "test.op"() : () -> (tensor<?x2xf64>)
%x, %log = bt.draw %u from @f() order [0, 1] values [array<f64: 0.0>] power 2.0 written [@f, @f, @f] bounds [0, 2] : tensor<?x2xf64>, () -> tensor<?x2x!bt.state>, tensor<?xf64>

// -----

// CHECK: 'bt.draw' takes configurations of shape (batch, sites), got tensor<?xf64>
%u = "test.op"() : () -> (tensor<?xf64>)
%x, %log = bt.draw %u from @f() order [0] values [array<f64: 0.0>] power 2.0 : tensor<?xf64>, () -> tensor<?x1x!bt.state>, tensor<?xf64>

// -----

// CHECK: 'bt.draw' has a positive power, got -2
func.func private @f(tensor<1x2xi8>) -> tensor<1xf64>
%u = "test.op"() : () -> (tensor<?x2xf64>)
%x, %log = bt.draw %u from @f() order [0, 1] values [array<f64: 0.0>] power -2.0 : tensor<?x2xf64>, () -> tensor<?x2x!bt.state>, tensor<?xf64>

// -----

// CHECK: 'bt.draw' of 2 sites has groups of all steps in order, got bounds [0, 1]
func.func private @f(tensor<1x2xi8>) -> tensor<1xf64>
%u = "test.op"() : () -> (tensor<?x2xf64>)
%x, %log = bt.draw %u from @f() order [0, 1] values [array<f64: 0.0>] power 2.0 written [@f, @f, @f, @f, @f] bounds [0, 1] : tensor<?x2xf64>, () -> tensor<?x2x!bt.state>, tensor<?xf64>

// endregion
// region bt.local_energy

// -----

// CHECK: 'bt.local_energy' of tensor<?x8x!bt.state> has energies of shape (batch,), got tensor<?x7xf64>
%x, %b = "test.op"() : () -> (tensor<?x8x!bt.state>, !bt.branches<7 x 1>)
%e = bt.local_energy %x, %b parameters() through [] : tensor<?x8x!bt.state>, !bt.branches<7 x 1>() -> tensor<?x7xf64>

// -----

// CHECK: 'bt.local_energy': there is no @logpsi
%x, %b = "test.op"() : () -> (tensor<?x8x!bt.state>, !bt.branches<7 x 1>)
%e = bt.local_energy %x, %b parameters() through [#bt.part<network @logpsi>] : tensor<?x8x!bt.state>, !bt.branches<7 x 1>() -> tensor<?xf64>

// -----

// CHECK: 'bt.local_energy': a bilinear part is of two functions, got @logpsi alone
%x, %b = "test.op"() : () -> (tensor<?x8x!bt.state>, !bt.branches<7 x 1>)
%e = bt.local_energy %x, %b parameters() through [#bt.part<bilinear @logpsi>] : tensor<?x8x!bt.state>, !bt.branches<7 x 1>() -> tensor<?xf64>

// -----

// CHECK: 'bt.local_energy': a declared part is of two functions, got @logpsi alone
%x, %b = "test.op"() : () -> (tensor<?x8x!bt.state>, !bt.branches<7 x 1>)
%e = bt.local_energy %x, %b parameters() through [#bt.part<declared @logpsi>] : tensor<?x8x!bt.state>, !bt.branches<7 x 1>() -> tensor<?xf64>

// -----

// CHECK: 'bt.declared': "Jastrow.0" is of a configuration at least
%v = "test.op"() : () -> tensor<f64>
%m = bt.declared "Jastrow.0" %v from () : tensor<f64> from ()

// -----

// CHECK: 'bt.local_energy': changes of a linear part are found by 5 functions, got 1
%x, %b = "test.op"() : () -> (tensor<?x8x!bt.state>, !bt.branches<7 x 1>)
%e = bt.local_energy %x, %b parameters() through [#bt.part<linear @logpsi written [@tables]>] : tensor<?x8x!bt.state>, !bt.branches<7 x 1>() -> tensor<?xf64>

// -----

// CHECK: 'bt.local_energy': a rational part is of two functions, got @logpsi alone
%x, %b = "test.op"() : () -> (tensor<?x8x!bt.state>, !bt.branches<7 x 1>)
%e = bt.local_energy %x, %b parameters() through [#bt.part<rational @logpsi as "tanh">] : tensor<?x8x!bt.state>, !bt.branches<7 x 1>() -> tensor<?xf64>

// -----

// CHECK: 'bt.local_energy': a rational part is of two functions and tanh, got #bt.part<rational @logpsi then @tail>
%x, %b = "test.op"() : () -> (tensor<?x8x!bt.state>, !bt.branches<7 x 1>)
%e = bt.local_energy %x, %b parameters() through [#bt.part<rational @logpsi then @tail>] : tensor<?x8x!bt.state>, !bt.branches<7 x 1>() -> tensor<?xf64>

// -----

// CHECK: 'bt.pruned' names no branch
bt.pruned #bt.lanes<of 14>

// -----

// CHECK: 'bt.assume' takes a lower and an upper bound, got array<i64: 1, 0>
%x = "test.op"() : () -> tensor<?x2x!bt.state>
bt.assume %x bounds [1, 0] : tensor<?x2x!bt.state>

// -----

// CHECK: 'bt.assume' of 2 sites takes 2 weights and a total for each sum, got array<f64: 1.000000e+00, 1.000000e+00>
%x = "test.op"() : () -> tensor<?x2x!bt.state>
bt.assume %x sums [array<f64: 1.0, 1.0>] : tensor<?x2x!bt.state>

// -----

// CHECK: 'bt.assume' takes local values for all of 2 sites, or for each, got [array<f64: 1.000000e+00>, array<f64>]
%x = "test.op"() : () -> tensor<?x2x!bt.state>
bt.assume %x values [array<f64: 1.0>, array<f64>] : tensor<?x2x!bt.state>

// -----

// CHECK: 'bt.assume' takes configurations of shape (batch, sites), got tensor<2x!bt.state>
%x = "test.op"() : () -> tensor<2x!bt.state>
bt.assume %x : tensor<2x!bt.state>

// -----

// CHECK: 'bt.unarranged' expects parent op 'func.func'
bt.unarranged

// -----

// CHECK: expect symbol name
"test.op"() {part = #bt.part<exponential "logpsi">} : () -> ()

// endregion

// -----

// region Loops

// CHECK: 'bt.map_samples': there is no function @chunk
%x = "test.op"() : () -> tensor<9x8xi8>
%e = bt.map_samples @chunk(%x) : (tensor<9x8xi8>) -> tensor<9xf64>

// -----

// More samples at once than there are.
// CHECK: 'bt.map_samples' of tensor<3x8xi8>: @chunk is no function of some of these samples, got (tensor<4x8xi8>) -> tensor<4xf64>
%x = "test.op"() : () -> tensor<3x8xi8>
%e = bt.map_samples @chunk(%x) : (tensor<3x8xi8>) -> tensor<3xf64>
func.func private @chunk(%x : tensor<4x8xi8>) -> tensor<4xf64>

// -----

// CHECK: 'bt.map_samples' of tensor<9x8xi8>: @chunk is no function of some of these samples, got (tensor<4x8xi8>) -> tensor<4xf64>
%x = "test.op"() : () -> tensor<9x8xi8>
%e = bt.map_samples @chunk(%x) : (tensor<9x8xi8>) -> tensor<4xf64>
func.func private @chunk(%x : tensor<4x8xi8>) -> tensor<4xf64>

// -----

// CHECK: 'bt.pack' of tensor<4x3xi1> cannot have types tensor<12xi32>, tensor<12xi32>, tensor<i32>
%live = "test.op"() : () -> tensor<4x3xi1>
%s, %p, %n = bt.pack %live : tensor<4x3xi1> -> tensor<12xi32>, tensor<12xi32>, tensor<i32>

// -----

// CHECK: 'bt.distinct' of tensor<4x3xi32> cannot have types tensor<4xi32>, tensor<12xi32>, tensor<i32>
%keys = "test.op"() : () -> tensor<4x3xi32>
%s, %p, %n = bt.distinct %keys : tensor<4x3xi32> -> tensor<4xi32>, tensor<12xi32>, tensor<i32>

// -----

// CHECK: 'bt.distinct' of tensor<4xi32> cannot have types tensor<4xi32>, tensor<4xi32>, tensor<i32>
%keys = "test.op"() : () -> tensor<4xi32>
%s, %p, %n = bt.distinct %keys : tensor<4xi32> -> tensor<4xi32>, tensor<4xi32>, tensor<i32>

// -----

// CHECK: 'bt.map_states' has a number of each place from the first one, 17, got tensor<16xf64>
%r = bt.map_states from 17 sizes [8] {
^bb0(%state : tensor<i32>):
  %v = stablehlo.convert %state : (tensor<i32>) -> tensor<f64>
  bt.yield %v : tensor<f64>
} : tensor<16xf64>

// -----

// CHECK: 'bt.map_states': sizes are positive, the largest first, got (2, 8)
%r = bt.map_states from 0 sizes [2, 8] {
^bb0(%state : tensor<i32>):
  %v = stablehlo.convert %state : (tensor<i32>) -> tensor<f64>
  bt.yield %v : tensor<f64>
} : tensor<16xf64>

// -----

// CHECK: 'bt.map_states' makes one tensor<f64> of one tensor<i32>, got tensor<i32> of tensor<i32>
%r = bt.map_states from 0 sizes [8] {
^bb0(%state : tensor<i32>):
  bt.yield %state : tensor<i32>
} : tensor<16xf64>

// -----

// CHECK: 'bt.map_states' takes states, of the shape of tensor<16xf64>, with their count, or neither
%s = "test.op"() : () -> tensor<16xi32>
%r = "bt.map_states"(%s) <{first = 0 : i64, sizes = array<i64: 8>, operandSegmentSizes = array<i32: 1, 0>}> ({
^bb0(%state : tensor<i32>):
  %v = stablehlo.convert %state : (tensor<i32>) -> tensor<f64>
  bt.yield %v : tensor<f64>
}) : (tensor<16xi32>) -> tensor<16xf64>

// -----

// CHECK: 'bt.unpack' of tensor<12xf64> at tensor<12xi32> where tensor<4x3xi1> cannot be tensor<4x3xf64>
%f, %p, %live = "test.op"() : () -> (tensor<12xf64>, tensor<12xi32>, tensor<4x3xi1>)
%r = bt.unpack %f, %p where %live : (tensor<12xf64>, tensor<12xi32>, tensor<4x3xi1>) -> tensor<4x3xf64>

// -----

// region #bt.plan

// CHECK: live is all or some, got none
"test.op"() {plan = #bt.plan<live = none>} : () -> ()

// -----

// CHECK: expected one of groups, live, network_pairs, pairs, peak_bytes, rows, samples, states, tables, units
"test.op"() {plan = #bt.plan<sample = 3>} : () -> ()

// -----

// CHECK: as many as are taken at once is one at least
"test.op"() {plan = #bt.plan<samples = 0>} : () -> ()
