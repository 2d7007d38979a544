"""An update of one's own: four spins around a plaquette change places in a circle.

    H = K sum_plaquettes (P + P^-1)

P takes each spin of a plaquette to the next corner; see Thouless, Proc. Phys. Soc. 86,
893 (1965). Run it with

    python examples/extensions/ring_exchange.py
"""

from typing import Any

import numpy as np
import numpy.typing as npt

import symir as sym


def turned(
    x: npt.NDArray[Any], sites: tuple[int, ...], values: tuple[float, ...]
) -> npt.NDArray[Any]:
    """Return x' in NumPy; `check_extension` compares it with the update."""
    x[[*sites]] = np.roll(x[[*sites]], -1)
    return x


@sym.register_update("rotate", sites=4, reference=turned, replace=True)
def rotate(a: str, b: str, c: str, d: str) -> sym.Update:
    """Let each corner have the value of the next one, by exchanges of two."""
    return sym.swap(a, b).swap(b, c).swap(c, d)


def ring_exchange(rows: int = 3, columns: int = 3) -> sym.SymbolicOperator:
    """Return the operator on a periodic lattice."""
    return (
        sym.DOperator(sym.spin(0.5, rows * columns), "ring_exchange", hermitian=True)
        .for_each_plaquette("a", "b", "c", "d", shape=(rows, columns))
        .emit(rotate("a", "b", "c", "d"), amplitude=sym.symbol("K", 1.0))
        .emit(sym.Update().rotate("d", "c", "b", "a"), amplitude=sym.symbol("K", 1.0))
        .build()
    )


if __name__ == "__main__":
    print(sym.check_extension("rotate", space=sym.qubit(4)))
    print(ring_exchange().to_ir().describe())
