// Every level of an operator in a file; what is printed is what the other tools read.
// RUN: symir emit %s | filecheck %s --check-prefix=SYM
// RUN: symir emit %s:ising --level sym | symir-opt | filecheck %s --check-prefix=SYM
// RUN: symir emit %s --level bt | symir-opt | filecheck %s --check-prefix=BT
// RUN: symir emit %s --level stablehlo --batch 32 --state i16 | symir-opt | filecheck %s --check-prefix=KERNEL
// RUN: symir emit %s --level stablehlo | filecheck %s --check-prefix=ONE

// SYM-LABEL: sym.operator @ising(%J "J" : tensor<f64> = dense<1.000000e+00>)
// SYM-SAME: space #sym.space<3 x [-1, 1]> element f64 hermitian
// SYM-NEXT:   sym.term @bonds over #sym.rows<[0, 1], [1, 2]> {
// SYM-NEXT:   ^bb0(%x: !sym.config, %i: !sym.site, %j: !sym.site):
// SYM-NEXT:     %a = sym.read %x[%i] : tensor<f64>
// SYM-NEXT:     %b = sym.read %x[%j] : tensor<f64>
// SYM-NEXT:     %ab = stablehlo.multiply %a, %b : tensor<f64>
// SYM-NEXT:     %v = stablehlo.multiply %J, %ab : tensor<f64>
// SYM-NEXT:     sym.emit %x, %v tag "zz" : tensor<f64>
// SYM-NEXT:   }
// SYM-NEXT: }

// BT: func.func @ising(%x: tensor<?x3x!bt.state>, %J: tensor<f64>) -> (tensor<?x2x3x!bt.state>, tensor<?x2xf64>)
// BT: bt.branches
// BT: bt.connections

// KERNEL: func.func @ising(%x: tensor<32x3xi16>, %J: tensor<f64>) -> (tensor<32x2x3xi16>, tensor<32x2xf64>)
// KERNEL-NOT: bt.
// KERNEL: func.return

// ONE: func.func @ising(%x: tensor<1x3xi8>, %J: tensor<f64>) -> (tensor<1x2x3xi8>, tensor<1x2xf64>)

sym.operator @ising(%J "J" : tensor<f64> = dense<1.0>) space #sym.space<3 x [-1, 1]> element f64 hermitian {
  sym.term @bonds over #sym.rows<[0, 1], [1, 2]> {
  ^bb0(%x : !sym.config, %i : !sym.site, %j : !sym.site):
    %a = sym.read %x[%i] : tensor<f64>
    %b = sym.read %x[%j] : tensor<f64>
    %ab = stablehlo.multiply %a, %b : tensor<f64>
    %v = stablehlo.multiply %J, %ab : tensor<f64>
    sym.emit %x, %v tag "zz" : tensor<f64>
  }
}
