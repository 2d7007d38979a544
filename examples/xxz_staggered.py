"""The XXZ chain of spins 1/2 in a staggered field, with periodic ends.

    H = J sum_i (X_i X_(i+1) + Y_i Y_(i+1)) + J delta sum_i Z_i Z_(i+1)
        + h sum_i (-1)^i Z_i

On a bond, X X + Y Y exchanges two opposite spins with matrix element 2, and gives 0 on
equal ones. Run it with

    symir run examples/xxz_staggered.py --random 4

Spins are -1 and +1 and the matrices are Pauli's.
"""

import symir as sym


def chain(n: int) -> list[tuple[int, int]]:
    """Return the bonds of a periodic chain, each of them once."""
    return [(i, (i + 1) % n) for i in range(n)]


def xxz_staggered(
    n: int = 8, J: float = 1.0, delta: float = 0.5, h: float = 0.25
) -> sym.SymbolicOperator:
    """Return the operator on `n` >= 3 sites."""
    i, j = sym.site("i"), sym.site("j")
    return (
        sym.DOperator(sym.spin(0.5, n), "xxz", hermitian=True)
        .for_each(("i", "j"), over=chain(n))
        .named("ising")
        .emit(amplitude=J * delta * i.value * j.value, tag="zz")
        .for_each(("i", "j"), over=chain(n))
        .named("exchange")
        .where(i.value != j.value)
        .emit(sym.swap("i", "j"), amplitude=2 * J, tag="xx+yy")
        .for_each_site("i")
        .named("field")
        .emit(amplitude=h * (-1) ** i.index * i.value, tag="z")
        .build()
    )


xxz = xxz_staggered()
