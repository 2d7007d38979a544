"""The Heisenberg antiferromagnet on a periodic square lattice of spins 1/2.

    H = J sum_<ij> (X_i X_j + Y_i Y_j + Z_i Z_j)

On a bond, X X + Y Y exchanges two opposite spins with matrix element 2, and gives 0 on
equal ones. Run it with

    symir run examples/heisenberg_square.py --random 4

Spins are -1 and +1 and the matrices are Pauli's, so the operator is that of
`netket.operator.Heisenberg(.., sign_rule=False)`.
"""

import symir as sym


def square(rows: int, columns: int) -> list[tuple[int, int]]:
    """Return the bonds of a periodic square lattice, each of them once.

    Sites are numbered row by row.
    """
    bonds: dict[tuple[int, int], None] = {}  # a set that keeps the order
    for site in range(rows * columns):
        row, column = divmod(site, columns)
        right = row * columns + (column + 1) % columns
        down = (row + 1) % rows * columns + column
        for neighbour in (right, down):
            if neighbour != site:
                bonds[min(site, neighbour), max(site, neighbour)] = None
    return list(bonds)


def heisenberg_square(
    rows: int = 4, columns: int = 4, J: float = 1.0
) -> sym.SymbolicOperator:
    """Return the operator on `rows` x `columns` sites."""
    i, j = sym.site("i"), sym.site("j")
    bonds = square(rows, columns)
    return (
        sym.DOperator(sym.spin(0.5, rows * columns), "heisenberg", hermitian=True)
        .for_each(("i", "j"), over=bonds)
        .named("diagonal")
        .emit(amplitude=J * i.value * j.value, tag="zz")
        .for_each(("i", "j"), over=bonds)
        .named("exchange")
        .where(i.value != j.value)
        .emit(sym.swap("i", "j"), amplitude=2 * J, tag="xx+yy")
        .build()
    )


heisenberg = heisenberg_square()
