"""An iterator of one's own: next-nearest neighbours, in the frustrated Ising chain.

    H = J1 sum_i Z_i Z_(i+1) + J2 sum_i Z_i Z_(i+2) - h sum_i X_i

Run it with

    python examples/extensions/next_nearest.py
"""

from typing import Any

import symir as sym


@sym.register(replace=True)
class ForEachDistance(sym.AbstractIteratorClause):
    """The pairs of sites of a periodic chain that are so many sites apart."""

    clause_name = "for_each_distance"

    def build_iterator(
        self, hilbert: Any, /, a: str, b: str, distance: int
    ) -> tuple[Any, Any]:
        n = hilbert.size
        return (a, b), [(i, (i + distance) % n) for i in range(n)]

    def reference_rows(self, hilbert: Any, /, a: str, b: str, distance: int) -> Any:
        """Say the same in another way; `check_extension` compares the two."""
        sites = [*range(hilbert.size)]
        return list(zip(sites, sites[distance:] + sites[:distance], strict=True))


def frustrated_chain(
    n: int = 8, J1: float = 1.0, J2: float = 0.5, h: float = 1.0
) -> sym.SymbolicOperator:
    """Return the operator on `n` >= 5 sites."""
    zz = sym.site("i").value * sym.site("j").value
    return (
        sym.DOperator(sym.spin(0.5, n), "frustrated", hermitian=True)
        .for_each_distance("i", "j", 1)
        .emit(amplitude=J1 * zz)
        .for_each_distance("i", "j", 2)
        .emit(amplitude=J2 * zz)
        .for_each_site("i")
        .emit(sym.flip("i"), amplitude=-h)
        .build()
    )


if __name__ == "__main__":
    print(sym.check_extension("for_each_distance", arguments=("i", "j", 2)))
    print(frustrated_chain().to_ir().describe())
