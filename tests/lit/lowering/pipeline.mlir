// One operator on its whole way, as `symir emit` shows it at each level: hopping with a
// bosonic factor, over pairs of which one is a site with itself, and a diagonal term.
// RUN: symir-opt %s | filecheck %s --check-prefix=SYM
// RUN: symir-opt %s -p sym-guard-undefined,sym-expand-updates,sym-forward-reads,stablehlo-fold-constants,canonicalize,cse,sym-guard-space | filecheck %s --check-prefix=NORMAL
// RUN: symir-opt %s -p sym-guard-undefined,sym-expand-updates,sym-forward-reads,stablehlo-fold-constants,canonicalize,cse,sym-guard-space,convert-sym-to-bt,stablehlo-fold-constants,canonicalize,cse | filecheck %s --check-prefix=BT
// RUN: symir-opt %s -p "sym-gather-terms,sym-fuse-terms,sym-guard-undefined,sym-expand-updates,sym-forward-reads,stablehlo-fold-constants,canonicalize,cse,sym-guard-space,convert-sym-to-bt,stablehlo-fold-constants,canonicalize,cse,bt-specialize{batch=5 state=i8},bt-narrow,convert-bt-to-stablehlo,stablehlo-fold-constants,cse,stablehlo-arrange-gathers,dce" | filecheck %s --check-prefix=HLO

sym.operator @bosons(%t "t" : tensor<f64> = dense<1.0>) space #sym.space<3 x [0, 1, 2]> element f64 {
  sym.term @hop over #sym.rows<[0, 1], [1, 1], [1, 2]> {
  ^bb0(%x : !sym.config, %i : !sym.site, %j : !sym.site):
    %ni = sym.read %x[%i] : tensor<f64>
    %zero = stablehlo.constant dense<0.0> : tensor<f64>
    %one = stablehlo.constant dense<1.0> : tensor<f64>
    %ok = stablehlo.compare GT, %ni, %zero : (tensor<f64>, tensor<f64>) -> tensor<i1>
    %m = stablehlo.negate %one : tensor<f64>
    %y = sym.shift %x[%i] by %m : tensor<f64>
    %z = sym.shift %y[%j] by %one : tensor<f64>
    %nj = sym.read %z[%j] : tensor<f64>
    %p = stablehlo.multiply %ni, %nj : tensor<f64>
    %s = stablehlo.sqrt %p : tensor<f64>
    %a = stablehlo.multiply %t, %s : tensor<f64>
    sym.emit %z, %a if %ok tag "hop" : tensor<f64>
  }
  sym.term @field over #sym.rows<[0], [2]> data [#sym.column<"V", dense<[0.5, -1.5]> : tensor<2xf64>>] {
  ^bb0(%x : !sym.config, %i : !sym.site, %V : tensor<f64>):
    %two = stablehlo.constant dense<2.0> : tensor<f64>
    %w = stablehlo.multiply %V, %two : tensor<f64>
    %n = sym.read %x[%i] : tensor<f64>
    %a = stablehlo.multiply %w, %n : tensor<f64>
    sym.emit %x, %a : tensor<f64>
  }
}

// As it is written.
// SYM-LABEL: sym.operator @bosons(%t "t" : tensor<f64> = dense<1.000000e+00>) space #sym.space<3 x [0, 1, 2]> element f64 {
// SYM-NEXT:    sym.term @hop over #sym.rows<[0, 1], [1, 1], [1, 2]> {
// SYM-NEXT:    ^bb0(%x: !sym.config, %i: !sym.site, %j: !sym.site):
// SYM-NEXT:      %ni = sym.read %x[%i] : tensor<f64>
// SYM-NEXT:      %zero = stablehlo.constant dense<0.000000e+00> : tensor<f64>
// SYM-NEXT:      %one = stablehlo.constant dense<1.000000e+00> : tensor<f64>
// SYM-NEXT:      %ok = stablehlo.compare GT, %ni, %zero : (tensor<f64>, tensor<f64>) -> tensor<i1>
// SYM-NEXT:      %m = stablehlo.negate %one : tensor<f64>
// SYM-NEXT:      %y = sym.shift %x[%i] by %m : tensor<f64>
// SYM-NEXT:      %z = sym.shift %y[%j] by %one : tensor<f64>
// SYM-NEXT:      %nj = sym.read %z[%j] : tensor<f64>
// SYM-NEXT:      %p = stablehlo.multiply %ni, %nj : tensor<f64>
// SYM-NEXT:      %s = stablehlo.sqrt %p : tensor<f64>
// SYM-NEXT:      %a = stablehlo.multiply %t, %s : tensor<f64>
// SYM-NEXT:      sym.emit %z, %a if %ok tag "hop" : tensor<f64>
// SYM-NEXT:    }
// SYM-NEXT:    sym.term @field over #sym.rows<[0], [2]> data [#sym.column<"V", dense<[5.000000e-01, -1.500000e+00]> : tensor<2xf64>>] {
// SYM-NEXT:    ^bb0(%x_1: !sym.config, %i_1: !sym.site, %V: tensor<f64>):
// SYM-NEXT:      %two = stablehlo.constant dense<2.000000e+00> : tensor<f64>
// SYM-NEXT:      %w = stablehlo.multiply %V, %two : tensor<f64>
// SYM-NEXT:      %n = sym.read %x_1[%i_1] : tensor<f64>
// SYM-NEXT:      %a_1 = stablehlo.multiply %w, %n : tensor<f64>
// SYM-NEXT:      sym.emit %x_1, %a_1 : tensor<f64>
// SYM-NEXT:    }
// SYM-NEXT:  }

// Normal form: reads are of the source, x' is a chain of writes. That n_i - 1 stays in the
// space follows from the predicate; n_j + 1 has to be looked at.
// NORMAL-LABEL: sym.operator @bosons(%t "t" : tensor<f64> = dense<1.000000e+00>) space #sym.space<3 x [0, 1, 2]> element f64 {
// NORMAL-NEXT:    sym.term @hop over #sym.rows<[0, 1], [1, 1], [1, 2]> {
// NORMAL-NEXT:    ^bb0(%x: !sym.config, %i: !sym.site, %j: !sym.site):
// NORMAL-NEXT:      %ni = sym.read %x[%i] : tensor<f64>
// NORMAL-NEXT:      %zero = stablehlo.constant dense<0.000000e+00> : tensor<f64>
// NORMAL-NEXT:      %one = stablehlo.constant dense<1.000000e+00> : tensor<f64>
// NORMAL-NEXT:      %ok = stablehlo.compare GT, %ni, %zero : (tensor<f64>, tensor<f64>) -> tensor<i1>
// NORMAL-NEXT:      %m = stablehlo.constant dense<-1.000000e+00> : tensor<f64>
// NORMAL-NEXT:      %0 = stablehlo.add %ni, %m : tensor<f64>
// NORMAL-NEXT:      %1 = sym.read %x[%j] : tensor<f64>
// NORMAL-NEXT:      %2 = sym.index %i
// NORMAL-NEXT:      %3 = sym.index %j
// NORMAL-NEXT:      %4 = stablehlo.compare EQ, %2, %3 : (tensor<i32>, tensor<i32>) -> tensor<i1>
// NORMAL-NEXT:      %5 = stablehlo.select %4, %0, %1 : tensor<i1>, tensor<f64>
// NORMAL-NEXT:      %nj = stablehlo.add %5, %one : tensor<f64>
// NORMAL-NEXT:      %p = stablehlo.multiply %ni, %nj : tensor<f64>
// NORMAL-NEXT:      %s = stablehlo.sqrt %p : tensor<f64>
// NORMAL-NEXT:      %a = stablehlo.multiply %t, %s : tensor<f64>
// NORMAL-NEXT:      %6 = sym.write %x[%i], %0 : tensor<f64>
// NORMAL-NEXT:      %7 = sym.write %6[%j], %nj : tensor<f64>
// NORMAL-NEXT:      %8 = sym.allowed %nj at %j : tensor<f64>
// NORMAL-NEXT:      %9 = stablehlo.and %ok, %8 : tensor<i1>
// NORMAL-NEXT:      sym.emit %7, %a if %9 tag "hop" : tensor<f64>
// NORMAL-NEXT:    }
// NORMAL-NEXT:    sym.term @field over #sym.rows<[0], [2]> data [#sym.column<"V", dense<[5.000000e-01, -1.500000e+00]> : tensor<2xf64>>] {
// NORMAL-NEXT:    ^bb0(%x_1: !sym.config, %i_1: !sym.site, %V: tensor<f64>):
// NORMAL-NEXT:      %two = stablehlo.constant dense<2.000000e+00> : tensor<f64>
// NORMAL-NEXT:      %w = stablehlo.multiply %V, %two : tensor<f64>
// NORMAL-NEXT:      %n = sym.read %x_1[%i_1] : tensor<f64>
// NORMAL-NEXT:      %a_1 = stablehlo.multiply %w, %n : tensor<f64>
// NORMAL-NEXT:      sym.emit %x_1, %a_1 : tensor<f64>
// NORMAL-NEXT:    }
// NORMAL-NEXT:  }

// Vectorised: the table of sites and all that follows from it is constant; a write that a
// later one shadows, in the second row, carries the source value.
// BT-LABEL: func.func @bosons(%x: tensor<?x3x!bt.state>, %t: tensor<f64>) -> (tensor<?x5x3x!bt.state>, tensor<?x5xf64>) {
// BT-NEXT:    %i = stablehlo.constant dense<[0, 1, 1]> : tensor<3xi32>
// BT-NEXT:    %j = stablehlo.constant dense<[1, 1, 2]> : tensor<3xi32>
// BT-NEXT:    %ni = bt.gather %x[%i] : (tensor<?x3x!bt.state>, tensor<3xi32>) -> tensor<?x3xf64>
// BT-NEXT:    %zero = stablehlo.constant dense<0.000000e+00> : tensor<f64>
// BT-NEXT:    %one = stablehlo.constant dense<1.000000e+00> : tensor<f64>
// BT-NEXT:    %0 = bt.broadcast %zero dims = [] : tensor<f64> -> tensor<?x3xf64>
// BT-NEXT:    %ok = stablehlo.compare GT, %ni, %0 : (tensor<?x3xf64>, tensor<?x3xf64>) -> tensor<?x3xi1>
// BT-NEXT:    %m = stablehlo.constant dense<-1.000000e+00> : tensor<f64>
// BT-NEXT:    %1 = bt.broadcast %m dims = [] : tensor<f64> -> tensor<?x3xf64>
// BT-NEXT:    %2 = stablehlo.add %ni, %1 : tensor<?x3xf64>
// BT-NEXT:    %3 = bt.gather %x[%j] : (tensor<?x3x!bt.state>, tensor<3xi32>) -> tensor<?x3xf64>
// BT-NEXT:    %4 = stablehlo.constant dense<[false, true, false]> : tensor<3xi1>
// BT-NEXT:    %5 = bt.broadcast %4 dims = [1] : tensor<3xi1> -> tensor<?x3xi1>
// BT-NEXT:    %6 = stablehlo.select %5, %2, %3 : tensor<?x3xi1>, tensor<?x3xf64>
// BT-NEXT:    %7 = bt.broadcast %one dims = [] : tensor<f64> -> tensor<?x3xf64>
// BT-NEXT:    %nj = stablehlo.add %6, %7 : tensor<?x3xf64>
// BT-NEXT:    %p = stablehlo.multiply %ni, %nj : tensor<?x3xf64>
// BT-NEXT:    %s = stablehlo.sqrt %p : tensor<?x3xf64>
// BT-NEXT:    %8 = bt.broadcast %t dims = [] : tensor<f64> -> tensor<?x3xf64>
// BT-NEXT:    %a = stablehlo.multiply %8, %s : tensor<?x3xf64>
// BT-NEXT:    %9 = stablehlo.compare EQ, %nj, %0 : (tensor<?x3xf64>, tensor<?x3xf64>) -> tensor<?x3xi1>
// BT-NEXT:    %10 = stablehlo.compare EQ, %nj, %7 : (tensor<?x3xf64>, tensor<?x3xf64>) -> tensor<?x3xi1>
// BT-NEXT:    %11 = stablehlo.constant dense<2.000000e+00> : tensor<f64>
// BT-NEXT:    %12 = bt.broadcast %11 dims = [] : tensor<f64> -> tensor<?x3xf64>
// BT-NEXT:    %13 = stablehlo.compare EQ, %nj, %12 : (tensor<?x3xf64>, tensor<?x3xf64>) -> tensor<?x3xi1>
// BT-NEXT:    %14 = stablehlo.or %9, %10 : tensor<?x3xi1>
// BT-NEXT:    %15 = stablehlo.or %14, %13 : tensor<?x3xi1>
// BT-NEXT:    %16 = stablehlo.and %ok, %15 : tensor<?x3xi1>
// BT-NEXT:    %17 = stablehlo.select %5, %ni, %2 : tensor<?x3xi1>, tensor<?x3xf64>
// BT-NEXT:    %18 = bt.branches[%i, %j] = [%17, %nj] amplitude %a valid %16 origins #bt.lanes<0:3 of 5> : [tensor<3xi32>, tensor<3xi32>] [tensor<?x3xf64>, tensor<?x3xf64>] tensor<?x3xf64>, tensor<?x3xi1> -> !bt.branches<3 x 2>
// BT-NEXT:    %i_1 = stablehlo.constant dense<[0, 2]> : tensor<2xi32>
// BT-NEXT:    %w = stablehlo.constant dense<[1.000000e+00, -3.000000e+00]> : tensor<2xf64>
// BT-NEXT:    %n = bt.gather %x[%i_1] : (tensor<?x3x!bt.state>, tensor<2xi32>) -> tensor<?x2xf64>
// BT-NEXT:    %19 = bt.broadcast %w dims = [1] : tensor<2xf64> -> tensor<?x2xf64>
// BT-NEXT:    %a_1 = stablehlo.multiply %19, %n : tensor<?x2xf64>
// BT-NEXT:    %20 = bt.branches[] = [] amplitude %a_1 origins #bt.lanes<3, 4 of 5> : [] [] tensor<?x2xf64> -> !bt.branches<2 x 0>
// BT-NEXT:    %21 = bt.concat %18, %20 : !bt.branches<3 x 2>, !bt.branches<2 x 0> -> !bt.branches<5 x 2>
// BT-NEXT:    %22, %23 = bt.connections %x, %21 : (tensor<?x3x!bt.state>, !bt.branches<5 x 2>) -> (tensor<?x5x3x!bt.state>, tensor<?x5xf64>)
// BT-NEXT:    func.return %22, %23 : tensor<?x5x3x!bt.state>, tensor<?x5xf64>
// BT-NEXT:  }

// One kernel for five samples of int8: lanes first, then x' by one select per write.
// HLO-LABEL: func.func @bosons(%x: tensor<5x3xi8>, %t: tensor<f64>) -> (tensor<5x5x3xi8>, tensor<5x5xf64>) {
// HLO-NEXT:    %0 = stablehlo.constant dense<[0, 1]> : tensor<2xi32>
// HLO-NEXT:    %1 = stablehlo.constant dense<1> : tensor<1xi32>
// HLO-NEXT:    %2 = "stablehlo.gather"(%x, %0) <{dimension_numbers = #stablehlo.gather<offset_dims = [0], collapsed_slice_dims = [1], start_index_map = [1], index_vector_dim = 1>, slice_sizes = array<i64: 5, 1>}> : (tensor<5x3xi8>, tensor<2xi32>) -> tensor<5x2xi8>
// HLO-NEXT:    %3 = "stablehlo.gather"(%x, %1) <{dimension_numbers = #stablehlo.gather<offset_dims = [0], collapsed_slice_dims = [1], start_index_map = [1], index_vector_dim = 1>, slice_sizes = array<i64: 5, 1>}> : (tensor<5x3xi8>, tensor<1xi32>) -> tensor<5x1xi8>
// HLO-NEXT:    %4 = stablehlo.concatenate %2, %3, dim = 1 : (tensor<5x2xi8>, tensor<5x1xi8>) -> tensor<5x3xi8>
// HLO-NEXT:    %5 = stablehlo.constant dense<1> : tensor<2xi32>
// HLO-NEXT:    %6 = stablehlo.constant dense<2> : tensor<1xi32>
// HLO-NEXT:    %7 = "stablehlo.gather"(%x, %5) <{dimension_numbers = #stablehlo.gather<offset_dims = [0], collapsed_slice_dims = [1], start_index_map = [1], index_vector_dim = 1>, slice_sizes = array<i64: 5, 1>}> : (tensor<5x3xi8>, tensor<2xi32>) -> tensor<5x2xi8>
// HLO-NEXT:    %8 = "stablehlo.gather"(%x, %6) <{dimension_numbers = #stablehlo.gather<offset_dims = [0], collapsed_slice_dims = [1], start_index_map = [1], index_vector_dim = 1>, slice_sizes = array<i64: 5, 1>}> : (tensor<5x3xi8>, tensor<1xi32>) -> tensor<5x1xi8>
// HLO-NEXT:    %9 = stablehlo.concatenate %7, %8, dim = 1 : (tensor<5x2xi8>, tensor<5x1xi8>) -> tensor<5x3xi8>
// HLO-NEXT:    %ni = stablehlo.convert %4 : (tensor<5x3xi8>) -> tensor<5x3xf64>
// HLO-NEXT:    %zero = stablehlo.constant dense<0.000000e+00> : tensor<f64>
// HLO-NEXT:    %one = stablehlo.constant dense<1.000000e+00> : tensor<f64>
// HLO-NEXT:    %10 = stablehlo.broadcast_in_dim %zero, dims = [] : (tensor<f64>) -> tensor<5x3xf64>
// HLO-NEXT:    %ok = stablehlo.compare GT, %ni, %10 : (tensor<5x3xf64>, tensor<5x3xf64>) -> tensor<5x3xi1>
// HLO-NEXT:    %m = stablehlo.constant dense<-1.000000e+00> : tensor<f64>
// HLO-NEXT:    %11 = stablehlo.broadcast_in_dim %m, dims = [] : (tensor<f64>) -> tensor<5x3xf64>
// HLO-NEXT:    %12 = stablehlo.add %ni, %11 : tensor<5x3xf64>
// HLO-NEXT:    %13 = stablehlo.convert %9 : (tensor<5x3xi8>) -> tensor<5x3xf64>
// HLO-NEXT:    %14 = stablehlo.constant dense<[false, true, false]> : tensor<3xi1>
// HLO-NEXT:    %15 = stablehlo.broadcast_in_dim %14, dims = [1] : (tensor<3xi1>) -> tensor<5x3xi1>
// HLO-NEXT:    %16 = stablehlo.select %15, %12, %13 : tensor<5x3xi1>, tensor<5x3xf64>
// HLO-NEXT:    %17 = stablehlo.broadcast_in_dim %one, dims = [] : (tensor<f64>) -> tensor<5x3xf64>
// HLO-NEXT:    %nj = stablehlo.add %16, %17 : tensor<5x3xf64>
// HLO-NEXT:    %p = stablehlo.multiply %ni, %nj : tensor<5x3xf64>
// HLO-NEXT:    %s = stablehlo.sqrt %p : tensor<5x3xf64>
// HLO-NEXT:    %18 = stablehlo.broadcast_in_dim %t, dims = [] : (tensor<f64>) -> tensor<5x3xf64>
// HLO-NEXT:    %a = stablehlo.multiply %18, %s : tensor<5x3xf64>
// HLO-NEXT:    %19 = stablehlo.compare EQ, %nj, %10 : (tensor<5x3xf64>, tensor<5x3xf64>) -> tensor<5x3xi1>
// HLO-NEXT:    %20 = stablehlo.compare EQ, %nj, %17 : (tensor<5x3xf64>, tensor<5x3xf64>) -> tensor<5x3xi1>
// HLO-NEXT:    %21 = stablehlo.constant dense<2.000000e+00> : tensor<f64>
// HLO-NEXT:    %22 = stablehlo.broadcast_in_dim %21, dims = [] : (tensor<f64>) -> tensor<5x3xf64>
// HLO-NEXT:    %23 = stablehlo.compare EQ, %nj, %22 : (tensor<5x3xf64>, tensor<5x3xf64>) -> tensor<5x3xi1>
// HLO-NEXT:    %24 = stablehlo.or %19, %20 : tensor<5x3xi1>
// HLO-NEXT:    %25 = stablehlo.or %24, %23 : tensor<5x3xi1>
// HLO-NEXT:    %26 = stablehlo.and %ok, %25 : tensor<5x3xi1>
// HLO-NEXT:    %27 = stablehlo.select %15, %ni, %12 : tensor<5x3xi1>, tensor<5x3xf64>
// HLO-NEXT:    %i = stablehlo.constant dense<[0, 2]> : tensor<2xi32>
// HLO-NEXT:    %w = stablehlo.constant dense<[1.000000e+00, -3.000000e+00]> : tensor<2xf64>
// HLO-NEXT:    %28 = "stablehlo.gather"(%x, %i) <{dimension_numbers = #stablehlo.gather<offset_dims = [0], collapsed_slice_dims = [1], start_index_map = [1], index_vector_dim = 1>, slice_sizes = array<i64: 5, 1>}> : (tensor<5x3xi8>, tensor<2xi32>) -> tensor<5x2xi8>
// HLO-NEXT:    %n = stablehlo.convert %28 : (tensor<5x2xi8>) -> tensor<5x2xf64>
// HLO-NEXT:    %29 = stablehlo.broadcast_in_dim %w, dims = [1] : (tensor<2xf64>) -> tensor<5x2xf64>
// HLO-NEXT:    %a_1 = stablehlo.multiply %29, %n : tensor<5x2xf64>
// HLO-NEXT:    %30 = stablehlo.convert %27 : (tensor<5x3xf64>) -> tensor<5x3xi8>
// HLO-NEXT:    %31 = stablehlo.select %26, %30, %4 : tensor<5x3xi1>, tensor<5x3xi8>
// HLO-NEXT:    %32 = stablehlo.convert %nj : (tensor<5x3xf64>) -> tensor<5x3xi8>
// HLO-NEXT:    %33 = stablehlo.select %26, %32, %9 : tensor<5x3xi1>, tensor<5x3xi8>
// HLO-NEXT:    %34 = stablehlo.select %26, %a, %10 : tensor<5x3xi1>, tensor<5x3xf64>
// HLO-NEXT:    %35 = stablehlo.constant dense<0> : tensor<i8>
// HLO-NEXT:    %36 = stablehlo.broadcast_in_dim %35, dims = [] : (tensor<i8>) -> tensor<5x2xi8>
// HLO-NEXT:    %37 = stablehlo.concatenate %31, %36, dim = 1 : (tensor<5x3xi8>, tensor<5x2xi8>) -> tensor<5x5xi8>
// HLO-NEXT:    %38 = stablehlo.concatenate %33, %36, dim = 1 : (tensor<5x3xi8>, tensor<5x2xi8>) -> tensor<5x5xi8>
// HLO-NEXT:    %39 = stablehlo.concatenate %34, %a_1, dim = 1 : (tensor<5x3xf64>, tensor<5x2xf64>) -> tensor<5x5xf64>
// HLO-NEXT:    %40 = stablehlo.broadcast_in_dim %x, dims = [0, 2] : (tensor<5x3xi8>) -> tensor<5x5x3xi8>
// HLO-NEXT{LITERAL}:   %41 = stablehlo.constant dense<[[true, false, false], [false, true, false], [false, true, false], [false, false, false], [false, false, false]]> : tensor<5x3xi1>
// HLO-NEXT:    %42 = stablehlo.broadcast_in_dim %41, dims = [1, 2] : (tensor<5x3xi1>) -> tensor<5x5x3xi1>
// HLO-NEXT:    %43 = stablehlo.broadcast_in_dim %37, dims = [0, 1] : (tensor<5x5xi8>) -> tensor<5x5x3xi8>
// HLO-NEXT:    %44 = stablehlo.select %42, %43, %40 : tensor<5x5x3xi1>, tensor<5x5x3xi8>
// HLO-NEXT{LITERAL}:   %45 = stablehlo.constant dense<[[false, true, false], [false, true, false], [false, false, true], [false, false, false], [false, false, false]]> : tensor<5x3xi1>
// HLO-NEXT:    %46 = stablehlo.broadcast_in_dim %45, dims = [1, 2] : (tensor<5x3xi1>) -> tensor<5x5x3xi1>
// HLO-NEXT:    %47 = stablehlo.broadcast_in_dim %38, dims = [0, 1] : (tensor<5x5xi8>) -> tensor<5x5x3xi8>
// HLO-NEXT:    %48 = stablehlo.select %46, %47, %44 : tensor<5x5x3xi1>, tensor<5x5x3xi8>
// HLO-NEXT:    func.return %48, %39 : tensor<5x5x3xi8>, tensor<5x5xf64>
// HLO-NEXT:  }
