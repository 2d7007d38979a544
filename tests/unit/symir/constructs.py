"""One small operator for each construct of the language, by name."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

import symir as sym

Builder = Callable[[int], sym.SymbolicOperator]
"""Builds the operator on a lattice of so many sites."""

i, j = sym.site("i"), sym.site("j")


def _bosons(n: int, **options: object) -> sym.DOperator:
    return sym.DOperator(sym.fock(2, n), "op", **options)  # pyright: ignore[reportArgumentType]


def _chain(n: int) -> list[tuple[int, int]]:
    return [(k, (k + 1) % n) for k in range(n)]


def _write(b: sym.DOperator) -> sym.SymbolicOperator:
    return b.emit(sym.write("i", 2 - i.value), amplitude=i.value + 0.5).build()


def _hop(b: sym.DOperator) -> sym.SymbolicOperator:
    update = sym.shift("i", -1).shift("j", +1)
    return b.emit(update, amplitude=sym.sqrt(i * sym.emitted("j"))).build()


ITERATORS: dict[str, Builder] = {
    "globally": lambda n: _bosons(n).globally().emit(amplitude=3.0).build(),
    "for_each_site": lambda n: _write(_bosons(n).for_each_site("i")),
    "for_each_pair": lambda n: _hop(_bosons(n).for_each_pair("i", "j")),
    "for_each_distinct_pair": lambda n: _hop(
        _bosons(n).for_each_distinct_pair("i", "j")
    ),
    "for_each_unordered_pair": lambda n: _hop(
        _bosons(n).for_each_unordered_pair("i", "j")
    ),
    "for_each": lambda n: _hop(_bosons(n).for_each(("i", "j"), over=_chain(n))),
    "for_each with one label": lambda n: _write(
        _bosons(n).for_each("i", over=range(0, n, 2))
    ),
    "for_each with duplicate and aliasing rows": lambda n: _hop(
        _bosons(n).for_each(("i", "j"), over=[(0, 0), (0, 1), (0, 1), (n - 1, 0)])
    ),
    "for_each with three labels": lambda n: (
        _bosons(n)
        .for_each(
            ("i", "j", "k"), over=[(s, (s + 1) % n, (s + 2) % n) for s in range(n)]
        )
        .emit(sym.swap("i", "j").swap("j", "k"), amplitude=sym.site("k") - i)
        .build()
    ),
    "for_each with data": lambda n: (
        _bosons(n)
        .for_each(("i", "j"), over=_chain(n), data={"J": np.linspace(-1, 1, n)})
        .emit(sym.swap("i", "j"), amplitude=sym.row("J") * i)
        .build()
    ),
    "several terms": lambda n: (
        _bosons(n)
        .for_each_site("i")
        .emit(amplitude=i * i)
        .for_each(("i", "j"), over=_chain(n))
        .where(i > j)
        .emit(sym.swap("i", "j"))
        .globally()
        .emit(amplitude=-1.5)
        .build()
    ),
}

UPDATES: dict[str, Builder] = {
    "identity": lambda n: (
        _bosons(n).for_each_site("i").emit(sym.identity(), amplitude=i * 2).build()
    ),
    "write": lambda n: _write(_bosons(n).for_each_site("i")),
    "shift": lambda n: _bosons(n).for_each_site("i").emit(sym.shift("i", 1)).build(),
    "swap": lambda n: (
        _bosons(n).for_each_pair("i", "j").emit(sym.swap("i", "j")).build()
    ),
    "shift then shift": lambda n: _hop(_bosons(n).for_each_pair("i", "j")),
    "shift that depends on the source": lambda n: (
        _bosons(n).for_each_pair("i", "j").emit(sym.shift("i", i - j)).build()
    ),
    "later updates see earlier ones": lambda n: (
        _bosons(n)
        .for_each_pair("i", "j")
        .emit(sym.shift("i", 1).swap("i", "j").shift("i", -1).write("j", j.value))
        .build()
    ),
    "out of the space and back": lambda n: (
        _bosons(n).for_each_site("i").emit(sym.shift("i", 2).shift("i", -2)).build()
    ),
    "several emissions": lambda n: (
        _bosons(n)
        .for_each_pair("i", "j")
        .where(i != j)
        .emit(sym.shift("i", -1).shift("j", 1), amplitude=10 + i, tag="right")
        .emit(amplitude=j, tag="stay")
        .emit(sym.swap("i", "j"), amplitude=i - j)
        .build()
    ),
    "spaces that differ from site to site": lambda n: (
        sym.DOperator(sym.space([[0, 1, 2, 3], *[[0, 1]] * (n - 1)]), "op")
        .for_each_pair("i", "j")
        .emit(sym.shift("i", 1).shift("j", -1), amplitude=i + j)
        .build()
    ),
    "spins": lambda n: (
        sym.DOperator(sym.spin(1, n), "op")
        .for_each_pair("i", "j")
        .emit(sym.shift("i", 2).shift("j", -2), amplitude=i * j)
        .build()
    ),
    "half-integer local values": lambda n: (
        sym.DOperator(sym.space([-0.5, 0.5], n), "op")
        .for_each_site("i")
        .emit(sym.write("i", -i.value), amplitude=i)
        .build()
    ),
}

PREDICATES: dict[str, Builder] = {
    name: lambda n, predicate=predicate: (
        _bosons(n)
        .for_each_pair("i", "j")
        .where(predicate)
        .emit(sym.swap("i", "j"), amplitude=1 + i)
        .build()
    )
    for name, predicate in {
        "==": i == 1,
        "!=": i != j,
        "<": i < j,
        "<=": i <= 1,
        ">": i > 0,
        ">=": i >= j,
        "&": (i > 0) & (j < 2),
        "|": (i == 0) | (j == 2),
        "~": ~(i == j),
        "index == index": i.index == j.index,
        "index != index": i.index != j.index,
        "index < index": i.index < j.index,
        "index == constant": i.index == 1,
        "index in arithmetic": i.index + 1 > j.index * 0.5,
        "value == index": i.value == j.index,
    }.items()
}
PREDICATES["several where"] = lambda n: (
    _bosons(n)
    .for_each_pair("i", "j")
    .where(i > 0)
    .where(i.index < j.index)
    .emit(sym.swap("i", "j"))
    .build()
)

AMPLITUDES: dict[str, Builder] = {
    name: lambda n, amplitude=amplitude: (
        _bosons(n, dtype="complex128")
        .for_each_pair("i", "j")
        .emit(sym.swap("i", "j"), amplitude=amplitude)
        .build()
    )
    for name, amplitude in {
        "+ - * /": (i + 2 * j - 3) / (j + 1),
        "numbers on the left": 2 - i + 3 * j / 7,
        "** integer": i**3 - j**0,
        "** negative integer": (i + 1) ** -2,
        "** real": (i + 1) ** 0.5,
        "** index": (-1.0) ** i.index,
        "unary minus, abs": -abs(i - j),
        "sqrt": sym.sqrt(i + j),
        "complex": 1j * i - (2 + 1j) * j,
        "emitted": sym.emitted("i") * 10 + sym.emitted("j").value,
        "emitted index": sym.emitted("i").index * 1.0,
        "symbol": sym.symbol("g", default=0.25) * i,
        "numpy scalars": np.float64(2.5) * i + np.int64(3),
        "9 ** 5": (i * 0 + 9) ** 5,
    }.items()
}

CONSTRUCTS: dict[str, Builder] = {
    f"{kind}: {name}": builder
    for kind, builders in {
        "iterator": ITERATORS,
        "update": UPDATES,
        "predicate": PREDICATES,
        "amplitude": AMPLITUDES,
    }.items()
    for name, builder in builders.items()
}
