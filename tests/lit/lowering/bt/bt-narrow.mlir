// RUN: symir-opt %s -p "bt-specialize{batch=4 state=i8},bt-narrow,dce" | filecheck %s
// RUN: symir-opt %s -p "bt-specialize{batch=4 state=f32},bt-narrow,dce" | filecheck %s --check-prefix=REAL

// Products and sums of small integers are computed in the narrowest type that holds
// them, and converted once.
func.func @sum(%x : tensor<?x3x!bt.state>) -> tensor<?xf64> {
  bt.assume %x bounds [-1, 1] : tensor<?x3x!bt.state>
  %i = stablehlo.constant dense<1> : tensor<200xi32>
  %a = bt.gather %x[%i] : (tensor<?x3x!bt.state>, tensor<200xi32>) -> tensor<?x200xf64>
  %b = stablehlo.multiply %a, %a : tensor<?x200xf64>
  %c = bt.reduce sum %b : tensor<?x200xf64> -> tensor<?xf64>
  func.return %c : tensor<?xf64>
}

// CHECK-LABEL: func.func @sum
// CHECK:         [[A:%\S+]] = bt.gather %x[%i] : (tensor<4x3xi8>, tensor<200xi32>) -> tensor<4x200xi8>
// CHECK-NEXT:    [[B:%\S+]] = stablehlo.multiply [[A]], [[A]] : tensor<4x200xi8>
// CHECK-NEXT:    [[W:%\S+]] = stablehlo.convert [[B]] : (tensor<4x200xi8>) -> tensor<4x200xi16>
// CHECK-NEXT:    [[S:%\S+]] = bt.reduce sum [[W]] : tensor<4x200xi16> -> tensor<4xi16>
// CHECK-NEXT:    [[C:%\S+]] = stablehlo.convert [[S]] : (tensor<4xi16>) -> tensor<4xf64>
// CHECK-NEXT:    func.return [[C]] : tensor<4xf64>
// CHECK-NEXT:  }
// Real configurations may be differentiated.
// REAL-LABEL: func.func @sum
// REAL:         bt.reduce sum {{.*}} : tensor<4x200xf64> -> tensor<4xf64>

// What is compared and what is written needs no conversion at all.
func.func @writes(%x : tensor<?x3x!bt.state>) -> (tensor<?x1x3x!bt.state>, tensor<?x1xf64>) {
  bt.assume %x bounds [0, 4] : tensor<?x3x!bt.state>
  %i = stablehlo.constant dense<1> : tensor<1xi32>
  %a = bt.gather %x[%i] : (tensor<?x3x!bt.state>, tensor<1xi32>) -> tensor<?x1xf64>
  %one = stablehlo.constant dense<1.0> : tensor<f64>
  %ones = bt.broadcast %one dims = [] : tensor<f64> -> tensor<?x1xf64>
  %p = stablehlo.compare GT, %a, %ones : (tensor<?x1xf64>, tensor<?x1xf64>) -> tensor<?x1xi1>
  %v = stablehlo.subtract %a, %ones : tensor<?x1xf64>
  %b = bt.branches [%i] = [%v] amplitude %one valid %p : [tensor<1xi32>] [tensor<?x1xf64>] tensor<f64>, tensor<?x1xi1> -> !bt.branches<1 x 1>
  %xp, %mels = bt.connections %x, %b : (tensor<?x3x!bt.state>, !bt.branches<1 x 1>) -> (tensor<?x1x3x!bt.state>, tensor<?x1xf64>)
  func.return %xp, %mels : tensor<?x1x3x!bt.state>, tensor<?x1xf64>
}

// CHECK-LABEL: func.func @writes
// CHECK-NOT:     stablehlo.convert
// CHECK:         stablehlo.compare GT, {{.*}} : (tensor<4x1xi8>, tensor<4x1xi8>) -> tensor<4x1xi1>
// CHECK:         stablehlo.subtract {{.*}} : tensor<4x1xi8>
// CHECK-NOT:     stablehlo.convert
// CHECK:         bt.branches[%i] = [{{.*}}] amplitude %one {{.*}} [tensor<4x1xi8>] tensor<f64>

// It must not fire: without bounds, on halves, past i32, past the exact integers of f32,
// and on what may be -0 where a division could tell.
func.func @unknown(%x : tensor<?x3x!bt.state>) -> tensor<?x3xf64> {
  %i = stablehlo.constant dense<1> : tensor<3xi32>
  %a = bt.gather %x[%i] : (tensor<?x3x!bt.state>, tensor<3xi32>) -> tensor<?x3xf64>
  %b = stablehlo.multiply %a, %a : tensor<?x3xf64>
  func.return %b : tensor<?x3xf64>
}

// CHECK-LABEL: func.func @unknown
// CHECK:         stablehlo.multiply {{.*}} : tensor<4x3xf64>

func.func @halves(%x : tensor<?x3x!bt.state>) -> tensor<?x3xf64> {
  bt.assume %x bounds [0, 1] : tensor<?x3x!bt.state>
  %i = stablehlo.constant dense<1> : tensor<3xi32>
  %a = bt.gather %x[%i] : (tensor<?x3x!bt.state>, tensor<3xi32>) -> tensor<?x3xf64>
  %h = stablehlo.constant dense<0.5> : tensor<f64>
  %hs = bt.broadcast %h dims = [] : tensor<f64> -> tensor<?x3xf64>
  %b = stablehlo.multiply %a, %hs : tensor<?x3xf64>
  func.return %b : tensor<?x3xf64>
}

// CHECK-LABEL: func.func @halves
// CHECK:         stablehlo.multiply {{.*}} : tensor<4x3xf64>

func.func @too_large(%x : tensor<?x3x!bt.state>) -> (tensor<?x3xf64>, tensor<?x3xf32>) {
  bt.assume %x bounds [0, 100] : tensor<?x3x!bt.state>
  %i = stablehlo.constant dense<1> : tensor<3xi32>
  %a = bt.gather %x[%i] : (tensor<?x3x!bt.state>, tensor<3xi32>) -> tensor<?x3xf64>
  %c = stablehlo.constant dense<1.0e+08> : tensor<f64>
  %cs = bt.broadcast %c dims = [] : tensor<f64> -> tensor<?x3xf64>
  %b = stablehlo.multiply %a, %cs : tensor<?x3xf64>
  %s = bt.gather %x[%i] : (tensor<?x3x!bt.state>, tensor<3xi32>) -> tensor<?x3xf32>
  %d = stablehlo.constant dense<2.0e+05> : tensor<f32>
  %ds = bt.broadcast %d dims = [] : tensor<f32> -> tensor<?x3xf32>
  %t = stablehlo.multiply %s, %ds : tensor<?x3xf32>
  func.return %b, %t : tensor<?x3xf64>, tensor<?x3xf32>
}

// CHECK-LABEL: func.func @too_large
// CHECK:         stablehlo.multiply {{.*}} : tensor<4x3xf64>
// CHECK:         stablehlo.multiply {{.*}} : tensor<4x3xf32>

func.func @sign_of_zero(%x : tensor<?x3x!bt.state>, %c : tensor<f64>) -> (tensor<?x3xf64>, tensor<?x3xf64>) {
  bt.assume %x bounds [0, 1] : tensor<?x3x!bt.state>
  %i = stablehlo.constant dense<1> : tensor<3xi32>
  %a = bt.gather %x[%i] : (tensor<?x3x!bt.state>, tensor<3xi32>) -> tensor<?x3xf64>
  %b = stablehlo.negate %a : tensor<?x3xf64>
  %d = stablehlo.divide %a, %b : tensor<?x3xf64>
  %e = stablehlo.add %a, %a : tensor<?x3xf64>
  func.return %d, %e : tensor<?x3xf64>, tensor<?x3xf64>
}

// CHECK-LABEL: func.func @sign_of_zero
// CHECK:         stablehlo.negate {{.*}} : tensor<4x3xf64>
// CHECK:         stablehlo.add {{.*}} : tensor<4x3xi8>

// What something real needs and a comparison compares is narrow for the latter all the same.
func.func @needed_and_compared(%x : tensor<?x3x!bt.state>, %c : tensor<?x3xf64>) -> (tensor<?x3xf64>, tensor<?x3xi1>) {
  bt.assume %x bounds [0, 2] : tensor<?x3x!bt.state>
  %i = stablehlo.constant dense<1> : tensor<3xi32>
  %a = bt.gather %x[%i] : (tensor<?x3x!bt.state>, tensor<3xi32>) -> tensor<?x3xf64>
  %b = stablehlo.add %a, %a : tensor<?x3xf64>
  %f = stablehlo.floor %b : tensor<?x3xf64>
  %d = stablehlo.divide %f, %c : tensor<?x3xf64>
  %p = stablehlo.compare GT, %f, %a : (tensor<?x3xf64>, tensor<?x3xf64>) -> tensor<?x3xi1>
  func.return %d, %p : tensor<?x3xf64>, tensor<?x3xi1>
}

// CHECK-LABEL: func.func @needed_and_compared
// CHECK:         [[B:%\S+]] = stablehlo.add {{.*}} : tensor<4x3xi8>
// CHECK:         stablehlo.compare GT, {{.*}} : (tensor<4x3xi8>, tensor<4x3xi8>) -> tensor<4x3xi1>
