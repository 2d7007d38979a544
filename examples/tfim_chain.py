"""The transverse-field Ising model on a periodic chain of spins 1/2.

    H = J sum_i Z_i Z_(i+1) - h sum_i X_i

Run it with

    symir run examples/tfim_chain.py --random 4

Spins are -1 and +1, and the operator is `netket.operator.Ising`'s.
"""

import symir as sym


def chain(n: int) -> list[tuple[int, int]]:
    """Return the bonds of a periodic chain, each of them once."""
    return [(i, (i + 1) % n) for i in range(n)]


def tfim_chain(n: int = 8, J: float = 1.0, h: float = 1.0) -> sym.SymbolicOperator:
    """Return the operator on `n` >= 3 sites; its parameter "h" is `h` by default."""
    z_i, z_j = sym.site("i").value, sym.site("j").value
    return (
        sym.DOperator(sym.spin(0.5, n), "tfim", hermitian=True)
        .for_each(("i", "j"), over=chain(n))
        .named("bonds")
        .emit(amplitude=J * z_i * z_j, tag="zz")
        .for_each_site("i")
        .named("field")
        .emit(sym.write("i", -z_i), amplitude=-sym.symbol("h", default=h), tag="flip")
        .build()
    )


tfim = tfim_chain()
