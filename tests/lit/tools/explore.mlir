// The page of the operator below: one file, with every level.
// RUN: symir explore %s -o %t.html --quiet | filecheck %s
// RUN: symir explore %s:pin -o %t.html --quiet && cat %t.html | filecheck %s --check-prefix=PAGE
// RUN: not symir explore %s --port 1 2>&1 | filecheck %s --check-prefix=PORT
// RUN: not symir explore %s -o %t/no/folder.html 2>&1 | filecheck %s --check-prefix=FOLDER

// CHECK: written to {{.*}}.html

// PAGE: <!doctype html>
// PAGE: connect-src 'none'
// PAGE: <title>pin - symir explorer</title>
// PAGE: "headline":"2 sites; local values {0, 1}; float64; hermitian; parameters h: float64 = 1.5"
// PAGE-SAME: "file":"{{.*}}explore.mlir"
// PAGE-SAME: bt.connections %x

// PORT: [T019]
// PORT: --serve --port P

// FOLDER: [C082] the page cannot be written

sym.operator @pin(%h "h" : tensor<f64> = dense<1.5>) space #sym.space<2 x [0, 1]> element f64 hermitian {
  sym.term @first over #sym.rows<[0]> {
  ^bb0(%x : !sym.config, %i : !sym.site):
    %n = sym.read %x[%i] : tensor<f64>
    %a = stablehlo.multiply %n, %h : tensor<f64>
    sym.emit %x, %a : tensor<f64>
  }
}
