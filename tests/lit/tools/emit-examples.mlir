// The examples, from Python to every level.
// RUN: symir emit %examples/tfim_chain.py | symir-opt | filecheck %s --check-prefix=TFIM
// RUN: symir emit %examples/heisenberg_square.py:heisenberg --level bt | symir-opt | filecheck %s --check-prefix=HEISENBERG
// RUN: symir emit %examples/bose_hubbard_chain.py --level stablehlo --batch 2 | symir-opt | filecheck %s --check-prefix=BOSE
// RUN: symir emit %examples/xxz_staggered.py:xxz_staggered --level sym | symir-opt | filecheck %s --check-prefix=XXZ

// TFIM: sym.operator @tfim(%h "h" : tensor<f64> = dense<1.000000e+00>) space #sym.space<8 x [-1, 1]> element f64 hermitian
// TFIM: sym.term @bonds over #sym.rows<[0, 1], [1, 2], [2, 3], [3, 4], [4, 5], [5, 6], [6, 7], [7, 0]>
// TFIM: sym.emit {{.*}} tag "zz"
// TFIM: sym.term @field over #sym.rows<[0], [1], [2], [3], [4], [5], [6], [7]>
// TFIM: sym.write
// TFIM: sym.emit {{.*}} tag "flip"

// HEISENBERG: func.func @heisenberg(%x: tensor<?x16x!bt.state>) -> (tensor<?x64x16x!bt.state>, tensor<?x64xf64>)
// HEISENBERG: !bt.branches<32 x 0>
// HEISENBERG: !bt.branches<32 x 2>
// HEISENBERG: !bt.branches<64 x 2>

// BOSE: func.func @bose_hubbard(%x: tensor<2x8xi8>) -> (tensor<2x24x8xi8>, tensor<2x24xf64>)
// BOSE: stablehlo.sqrt
// BOSE-NOT: bt.

// XXZ: sym.operator @xxz() space #sym.space<8 x [-1, 1]> element f64 hermitian
// XXZ: sym.swap
// XXZ: sym.index
// XXZ: stablehlo.power
