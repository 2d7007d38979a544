// RUN: symir-opt %s -p "convert-bt-to-stablehlo" | filecheck %s

// The last chunk has samples of the one before again, so that no x is made up.
// CHECK-LABEL: func.func @samples(
// CHECK:         stablehlo.while(%[[I:.*]] = %{{.*}}, %[[ALL:.*]] = %{{.*}}) : tensor<i32>, tensor<9xf64>
// CHECK-NEXT:    cond {
// CHECK:           stablehlo.compare LT, %[[I]],
// CHECK:         } do {
// CHECK:           %[[FROM:.*]] = stablehlo.minimum %[[I]],
// CHECK:           %[[PART:.*]] = stablehlo.dynamic_slice %x, %[[FROM]], %{{.*}}, sizes = [4, 8]
// CHECK-NEXT:      %[[FOUND:.*]] = func.call @chunk(%[[PART]], %w) : (tensor<4x8xi8>, tensor<f64>) -> tensor<4xf64>
// CHECK:           stablehlo.dynamic_update_slice %[[ALL]], %[[FOUND]], %[[FROM]]
func.func @samples(%x : tensor<9x8xi8>, %w : tensor<f64>) -> tensor<9xf64> {
  %e = bt.map_samples @chunk(%x, %w) : (tensor<9x8xi8>, tensor<f64>) -> tensor<9xf64>
  func.return %e : tensor<9xf64>
}

// Results are said of so many samples only.
// CHECK-LABEL: func.func @some(
// CHECK:         stablehlo.while(%[[I:.*]] = %{{.*}}, %{{.*}} = %{{.*}}) : tensor<i32>, tensor<9xf64>
// CHECK-NEXT:    cond {
// CHECK-NEXT:      %[[MORE:.*]] = stablehlo.compare LT, %[[I]], %n
// CHECK-NEXT:      stablehlo.return %[[MORE]]
func.func @some(%x : tensor<9x8xi8>, %w : tensor<f64>, %n : tensor<i32>) -> tensor<9xf64> {
  %e = bt.map_samples to %n @chunk(%x, %w) : (tensor<9x8xi8>, tensor<f64>) -> tensor<9xf64>
  func.return %e : tensor<9xf64>
}

// What fits is one call.
// CHECK-LABEL: func.func @fits(
// CHECK-NEXT:    %e = func.call @chunk(%x, %w)
// CHECK-NEXT:    func.return %e
func.func @fits(%x : tensor<4x8xi8>, %w : tensor<f64>) -> tensor<4xf64> {
  %e = bt.map_samples @chunk(%x, %w) : (tensor<4x8xi8>, tensor<f64>) -> tensor<4xf64>
  func.return %e : tensor<4xf64>
}

func.func private @chunk(%x : tensor<4x8xi8>, %w : tensor<f64>) -> tensor<4xf64>

// What is of one state becomes what is of eight, and then of two at once.
// CHECK-LABEL: func.func @states(
// CHECK:         stablehlo.while(
// CHECK:           %[[EIGHT:.*]] = stablehlo.dynamic_slice %s, %{{.*}}, sizes = [8]
// CHECK:           stablehlo.convert %[[EIGHT]] : (tensor<8xi32>) -> tensor<8xf64>
// CHECK:         stablehlo.while(
// CHECK:           %[[TWO:.*]] = stablehlo.dynamic_slice %s, %{{.*}}, sizes = [2]
// CHECK:           stablehlo.convert %[[TWO]] : (tensor<2xi32>) -> tensor<2xf64>
func.func @states(%s : tensor<16xi32>, %n : tensor<i32>) -> tensor<16xf64> {
  %r = bt.map_states over %s to %n from 4 sizes [8, 2] {
  ^bb0(%state : tensor<i32>):
    %v = stablehlo.convert %state : (tensor<i32>) -> tensor<f64>
    bt.yield %v : tensor<f64>
  } : tensor<16xf64>
  func.return %r : tensor<16xf64>
}

// Without states the chunks are as long as each other: 12 places are two of 6.
// A function that is declared alone is called for all of them.
// CHECK-LABEL: func.func @every(
// CHECK:           %[[SIX:.*]] = stablehlo.add %{{.*}}, %{{.*}} : tensor<6xi32>
// CHECK:           func.call @network.6(%w, %[[SIX]]) : (tensor<f64>, tensor<6xi32>) -> tensor<6xf64>
func.func @every(%w : tensor<f64>) -> tensor<16xf64> {
  %r = bt.map_states from 4 sizes [8] {
  ^bb0(%state : tensor<i32>):
    %v = func.call @network(%w, %state) : (tensor<f64>, tensor<i32>) -> tensor<f64>
    bt.yield %v : tensor<f64>
  } : tensor<16xf64>
  func.return %r : tensor<16xf64>
}

func.func private @network(tensor<f64>, tensor<i32>) -> tensor<f64>

// CHECK-LABEL: func.func @packed(
// CHECK:         "stablehlo.scatter"(
// CHECK-SAME:      unique_indices = true
// CHECK:         "stablehlo.gather"(%f,
// CHECK:         stablehlo.select %live,
func.func @packed(%live : tensor<4x3xi1>, %f : tensor<16xf64>) -> (tensor<16xi32>, tensor<4x3xf64>) {
  %s, %p, %n = bt.pack %live : tensor<4x3xi1> -> tensor<16xi32>, tensor<12xi32>, tensor<i32>
  %r = bt.unpack %f, %p where %live : (tensor<16xf64>, tensor<12xi32>, tensor<4x3xi1>) -> tensor<4x3xf64>
  func.return %s, %r : tensor<16xi32>, tensor<4x3xf64>
}

// A state is entered into a table of 16 cells at the hash of its key, which has 4 bits;
// whole keys are compared.
// CHECK-LABEL: func.func @distinct(
// CHECK:         stablehlo.while(%[[M:.*]] = %{{.*}}, %[[FIRST:.*]] = %{{.*}}, %[[OPEN:.*]] = %{{.*}}) : tensor<2xi32>, tensor<9xi32>, tensor<9xi1>
// CHECK:         } do {
// CHECK:           stablehlo.shift_right_logical
// CHECK:           %[[TABLE:.*]] = "stablehlo.scatter"(
// CHECK-SAME:        unique_indices = false
// CHECK:             stablehlo.minimum
// CHECK:           (tensor<16xi32>, tensor<9x1xi32>, tensor<9xi32>) -> tensor<16xi32>
// CHECK:           %[[AT:.*]] = "stablehlo.gather"(%[[TABLE]],
// CHECK:           %[[THERE:.*]] = "stablehlo.gather"(%keys, %[[AT]])
// CHECK:           stablehlo.compare EQ, %[[THERE]], %keys
// CHECK:           stablehlo.return %{{.*}} : tensor<2xi32>, tensor<9xi32>, tensor<9xi1>
// CHECK:         "stablehlo.scatter"(
// CHECK-SAME:      unique_indices = true
func.func @distinct(%keys : tensor<9x2xi32>) -> (tensor<9xi32>, tensor<9xi32>, tensor<i32>) {
  %s, %p, %n = bt.distinct %keys : tensor<9x2xi32> -> tensor<9xi32>, tensor<9xi32>, tensor<i32>
  func.return %s, %p, %n : tensor<9xi32>, tensor<9xi32>, tensor<i32>
}

// CHECK: func.func private @network.6(tensor<f64>, tensor<6xi32>) -> tensor<6xf64>
// CHECK-NOT: @network(
