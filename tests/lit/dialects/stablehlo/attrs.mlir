// RUN: symir-opt %s | symir-opt | filecheck %s
// RUN: symir-opt %s --print-op-generic | symir-opt | filecheck %s

// Constants: what is read is what is printed. A hexadecimal literal of a float type is
// its bits, not a number: 0xFF800000 is -inf, the start of a max-reduction by JAX.

// CHECK-LABEL: func.func @bits(
func.func @bits() {
  // CHECK-NEXT: stablehlo.constant dense<0xff800000> : tensor<f32>
  // CHECK-NEXT: stablehlo.constant dense<0x7f800000> : tensor<f32>
  // CHECK-NEXT: stablehlo.constant dense<0x7fc00000> : tensor<f32>
  %0 = stablehlo.constant dense<0xFF800000> : tensor<f32>
  %1 = stablehlo.constant dense<0x7F800000> : tensor<f32>
  %2 = stablehlo.constant dense<0x7FC00000> : tensor<f32>
  // CHECK-NEXT: stablehlo.constant dense<0xfff0000000000000> : tensor<f64>
  // CHECK-NEXT: stablehlo.constant dense<0x7ff0000000000000> : tensor<f64>
  // CHECK-NEXT: stablehlo.constant dense<0x7ff8000000000000> : tensor<f64>
  %3 = stablehlo.constant dense<0xFFF0000000000000> : tensor<f64>
  %4 = stablehlo.constant dense<0x7FF0000000000000> : tensor<f64>
  %5 = stablehlo.constant dense<0x7FF8000000000000> : tensor<f64>
  // CHECK-NEXT: stablehlo.constant dense<0xff80> : tensor<bf16>
  // CHECK-NEXT: stablehlo.constant dense<0xfc00> : tensor<f16>
  %6 = stablehlo.constant dense<0xFF80> : tensor<bf16>
  %7 = stablehlo.constant dense<0xFC00> : tensor<f16>
  // Bits of finite numbers: 1, -2 and the smallest one.
  // CHECK-NEXT: stablehlo.constant dense<[1.000000e+00, -2.000000e+00, 1.401300e-45]> : tensor<3xf32>
  // CHECK-NEXT: stablehlo.constant dense<[1.000000e+00, -2.000000e+00, 4.940660e-324]> : tensor<3xf64>
  // CHECK-NEXT: stablehlo.constant dense<[1.000000e+00, -2.000000e+00]> : tensor<2xbf16>
  // CHECK-NEXT: stablehlo.constant dense<[1.000000e+00, -2.000000e+00]> : tensor<2xf16>
  %8 = stablehlo.constant dense<[0x3F800000, 0xC0000000, 0x1]> : tensor<3xf32>
  %9 = stablehlo.constant dense<[0x3FF0000000000000, 0xC000000000000000, 0x1]> : tensor<3xf64>
  %10 = stablehlo.constant dense<[0x3F80, 0xC000]> : tensor<2xbf16>
  %11 = stablehlo.constant dense<[0x3C00, 0xC000]> : tensor<2xf16>
  // Among other numbers, in several dimensions, in a splat, and in complex numbers.
  // CHECK-NEXT: stablehlo.constant dense<{{\[\[}}0xff800000, 1.000000e+00], [2.500000e+00, 0x7f800000]]> : tensor<2x2xf32>
  // CHECK-NEXT: stablehlo.constant dense<0xff800000> : tensor<2x3xf32>
  // CHECK-NEXT: stablehlo.constant dense<[(0x7f800000,0.000000e+00), (1.000000e+00,0xff800000)]> : tensor<2xcomplex<f32>>
  // CHECK-NEXT: stablehlo.constant dense<(0xfff0000000000000,0x7ff8000000000000)> : tensor<complex<f64>>
  %12 = stablehlo.constant dense<[[0xFF800000, 1.0], [2.5, 0x7F800000]]> : tensor<2x2xf32>
  %13 = stablehlo.constant dense<0xFF800000> : tensor<2x3xf32>
  %14 = stablehlo.constant dense<[(0x7F800000, 0.0), (1.0, 0xFF800000)]> : tensor<2xcomplex<f32>>
  %15 = stablehlo.constant dense<(0xFFF0000000000000, 0x7FF8000000000000)> : tensor<complex<f64>>
  // For integers a hexadecimal literal is a number.
  // CHECK-NEXT: stablehlo.constant dense<[255, 16]> : tensor<2xi32>
  %16 = stablehlo.constant dense<[0xFF, 0x10]> : tensor<2xi32>
  func.return
}

// CHECK-LABEL: func.func @numbers(
func.func @numbers() {
  // As short as is exact: with seventeen digits, and as bits where those have no point.
  // CHECK-NEXT: stablehlo.constant dense<[1.500000e+00, 0.33333333333333331, 0x419D6F3454000000]> : tensor<3xf64>
  // CHECK-NEXT: stablehlo.constant dense<[1.500000e+00, 1.000000e-01, 0x4CEB79A3]> : tensor<3xf32>
  // CHECK-NEXT: stablehlo.constant dense<(0x419D6F3454000000,-5.000000e-01)> : tensor<complex<f64>>
  %0 = stablehlo.constant dense<[1.5, 0.3333333333333333, 123456789.0]> : tensor<3xf64>
  %1 = stablehlo.constant dense<[1.5, 0.1, 123456789.0]> : tensor<3xf32>
  %2 = stablehlo.constant dense<(123456789.0, -0.5)> : tensor<complex<f64>>
  // CHECK-NEXT: stablehlo.constant dense<-0.000000e+00> : tensor<f64>
  // CHECK-NEXT: stablehlo.constant dense<true> : tensor<3xi1>
  // CHECK-NEXT: stablehlo.constant dense<[true, false]> : tensor<2xi1>
  // CHECK-NEXT: stablehlo.constant dense<[-128, 127]> : tensor<2xi8>
  // CHECK-NEXT: stablehlo.constant dense<[0, 255]> : tensor<2xui8>
  // CHECK-NEXT: stablehlo.constant dense<9223372036854775807> : tensor<i64>
  // CHECK-NEXT: stablehlo.constant dense<> : tensor<0x2xi32>
  %3 = stablehlo.constant dense<-0.0> : tensor<f64>
  %4 = stablehlo.constant dense<true> : tensor<3xi1>
  %5 = stablehlo.constant dense<[true, false]> : tensor<2xi1>
  %6 = stablehlo.constant dense<[-128, 127]> : tensor<2xi8>
  %7 = stablehlo.constant dense<[0, 255]> : tensor<2xui8>
  %8 = stablehlo.constant dense<9223372036854775807> : tensor<i64>
  %9 = stablehlo.constant dense<> : tensor<0x2xi32>
  func.return
}
