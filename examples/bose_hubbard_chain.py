"""The Bose-Hubbard model on a periodic chain, with at most `n_max` bosons on a site.

    H = -J sum_i (a_i^+ a_(i+1) + a_(i+1)^+ a_i)
        + U/2 sum_i n_i (n_i - 1) - mu sum_i n_i

The matrix element <x| a_i^+ a_j |x'> is sqrt(n_i) sqrt(n'_j): x' has one boson less on
site i than x, and one more on site j. Where x' would hold more than `n_max` bosons on a
site, the branch is not valid. Run it with

    symir run examples/bose_hubbard_chain.py --random 4

The operator is `netket.operator.BoseHubbard`'s.
"""

import symir as sym


def hops(n: int) -> list[tuple[int, int]]:
    """Return the bonds of a periodic chain, each of them in both directions."""
    right = [(i, (i + 1) % n) for i in range(n)]
    return [pair for i, j in right for pair in ((i, j), (j, i))]


def bose_hubbard_chain(
    n: int = 8, n_max: int = 3, J: float = 1.0, U: float = 4.0, mu: float = 0.0
) -> sym.SymbolicOperator:
    """Return the operator on `n` >= 3 sites."""
    n_i, n_j_after = sym.site("i").value, sym.emitted("j").value
    return (
        sym.DOperator(sym.fock(n_max, n), "bose_hubbard", hermitian=True)
        .for_each(("i", "j"), over=hops(n))
        .named("hopping")
        .where(n_i > 0)
        .emit(
            sym.shift("i", -1).shift("j", +1),
            amplitude=-J * sym.sqrt(n_i) * sym.sqrt(n_j_after),
            tag="hop",
        )
        .for_each_site("i")
        .named("onsite")
        .emit(amplitude=U / 2 * n_i * (n_i - 1) - mu * n_i, tag="n")
        .build()
    )


bose_hubbard = bose_hubbard_chain()
