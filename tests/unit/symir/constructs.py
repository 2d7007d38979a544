"""One small operator for each construct of the language, by name."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from functools import cache, reduce
from operator import add

import numpy as np
from xdsl.dialects.builtin import ModuleOp

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


def _ring(n: int) -> list[list[int]]:
    return [[(k + d) % n for d in range(1 + k % 3)] for k in range(n)]


class _Graph:
    """Stands in for a graph of networkx."""

    def __init__(self, n: int):
        self._edges = [(k, (k + 1) % n, k % 2) for k in range(n)]

    def edges(self, data: str | None = None) -> list[tuple[int, ...]]:
        return self._edges if data else [edge[:2] for edge in self._edges]


def _on_sets(b: sym.DOperator, n: int, update: sym.Update) -> sym.SymbolicOperator:
    stars = b.for_each("i", over=range(n), sets={"star": _ring(n)})
    return stars.emit(update, amplitude=i + 1).build()


def _two_body(b: sym.DOperator, update: sym.Update) -> sym.SymbolicOperator:
    return b.for_each_pair("i", "j").emit(update, amplitude=i + 2 * j + 1).build()


FURTHER_ITERATORS: dict[str, Builder] = {
    "for_each_triplet": lambda n: (
        _bosons(n)
        .for_each_triplet("i", "j", "k", over=[(0, 1, 2), (2, 1, 0), (1, 1, n - 1)])
        .emit(sym.permute("i", "j", "k"), amplitude=i - sym.site("k"))
        .build()
    ),
    "for_each_plaquette over rows": lambda n: (
        sym.DOperator(sym.spin(0.5, n), "op")
        .for_each_plaquette("i", "j", "k", "l", over=[(0, 1, 2, n - 1)])
        .emit(sym.flip("i").flip("j").flip("k"), amplitude=i)
        .build()
    ),
    "for_each_plaquette of a periodic lattice": lambda n: (
        sym.DOperator(sym.spin(0.5, 2 * n), "op")
        .for_each_plaquette("i", "j", "k", "l", shape=(2, n))
        .emit(sym.flip("i").flip("j").flip("k").flip("l"), amplitude=i - 2 * j)
        .build()
    ),
    "for_each_plaquette of an open lattice": lambda n: (
        sym.DOperator(sym.qubit(2 * n), "op")
        .for_each_plaquette("i", "j", "k", "l", shape=(n, 2), pbc=False)
        .emit(sym.permute("i", "j", "k", "l"), amplitude=1 + i)
        .build()
    ),
    "for_each_edge": lambda n: _hop(_bosons(n).for_each_edge(_Graph(n))),
    "for_each_edge of a colour": lambda n: _hop(
        _bosons(n).for_each_edge(_Graph(n), color=1)
    ),
    "for_each_ktuple": lambda n: (
        _bosons(n)
        .for_each_ktuple(("i", "j", "k"))
        .emit(sym.permute("i", "j", "k"), amplitude=i - j)
        .build()
    ),
    "for_each_ktuple, ordered": lambda n: _hop(
        _bosons(n).for_each_ktuple(("i", "j"), ordered=True)
    ),
    "for_each_ktuple, not distinct": lambda n: _hop(
        _bosons(n).for_each_ktuple(("i", "j"), distinct=False)
    ),
    "for_each with sets": lambda n: _on_sets(
        sym.DOperator(sym.spin(0.5, n), "op"), n, sym.flip_set("star")
    ),
}

FURTHER_UPDATES: dict[str, Builder] = {
    name: lambda n, update=update: _two_body(_bosons(n), update)
    for name, update in {
        "write to a constant site": sym.write(2, 2 - i),
        "write to a computed site": sym.write(i.index + 1, j.value),
        "computed site off the lattice on the left": sym.shift(i.index - 1, 1),
        "computed site that is no whole number": sym.write(i.index / 2, 1),
        "computed site from a local value": sym.swap(i.value, "j"),
        "shift_mod": sym.shift_mod("i", i - 2 * j),
        "shift_mod of what is not allowed": sym.shift("i", 1).shift_mod("i", 1),
        "shift_mod there and back": sym.shift_mod("i", 5).shift_mod("i", -5),
        "hop": sym.hop("i", "j"),
        "hop by an amount": sym.hop("i", "j", i - j),
        "permute": sym.permute("i", "j", 0),
        "permute two": sym.permute("i", "j"),
        "affine": sym.affine("i", scale=-1, bias=2),
        "affine that depends on the source": sym.affine("i", scale=j, bias=1 - i),
        "scatter": sym.scatter(["i", "j", 0], [j, 1, 2]),
        "scatter to one site twice": sym.scatter(["i", "i"], [0, 1]),
        "scatter nothing": sym.scatter([], []),
        "cond": sym.cond(i > j, sym.hop("i", "j"), sym.write("i", 0)),
        "cond without otherwise": sym.cond(i == 1, sym.write("i", 2)),
        "cond after a step": sym.shift("i", 1).cond(j > 0, sym.shift("j", -1)),
        "steps after a cond": sym.cond(i > 0, sym.shift("i", -1)).shift("j", 1),
        "cond in a cond": sym.cond(
            i > 0, sym.cond(j > 0, sym.write("i", j), sym.invalidate()), None
        ),
        "cond that knows": sym.cond(True, sym.write("i", 0), sym.write("i", 1)),
        "invalidate": sym.invalidate("never"),
        "invalidate in a cond": sym.cond(i > j, sym.invalidate(), sym.swap("i", "j")),
        "computed site in a cond": sym.cond(
            i.index < 2, sym.write(i.index + 1, j), sym.write("i", 0)
        ),
        "write after invalidate": sym.invalidate().write("i", 0),
        "write of a fraction": sym.write("i", i / 2),
    }.items()
} | {
    "flip": lambda n: _two_body(
        sym.DOperator(sym.spin(0.5, n), "op"), sym.flip("i").flip(0)
    ),
    "flip on sites with values of their own": lambda n: (
        sym.DOperator(sym.space([[0, 1, 2], *[[k, k + 0.5] for k in range(1, n)]]))
        .for_each("i", over=range(1, n))
        .emit(sym.flip("i"), amplitude=i)
        .build()
    ),
    "flip_set, then more": lambda n: _on_sets(
        sym.DOperator(sym.qubit(n), "op"), n, sym.flip_set("star").flip("i")
    ),
    "flip_set of empty sets": lambda n: (
        sym.DOperator(sym.qubit(n), "op")
        .for_each("i", over=range(n), sets={"star": [[]] * n})
        .emit(sym.flip_set("star"), amplitude=i)
        .build()
    ),
    "shift_mod of spins": lambda n: _two_body(
        sym.DOperator(sym.spin(1, n), "op"), sym.shift_mod("i", 1).shift_mod("j", -1)
    ),
    "shift_mod on sites with values of their own": lambda n: _two_body(
        sym.DOperator(sym.space([[0, 1, 2, 3], *[[-1, 1]] * (n - 1)]), "op"),
        sym.shift_mod("i", 1).shift_mod("j", 3),
    ),
}

EMISSIONS: dict[str, Builder] = {
    "emit_if": lambda n: (
        _bosons(n)
        .for_each_pair("i", "j")
        .emit_if(i > j, sym.swap("i", "j"), amplitude=i, tag="down")
        .build()
    ),
    "emit_if, emit_elseif, emit_else": lambda n: (
        _bosons(n)
        .for_each_pair("i", "j")
        .where(i + j > 0)
        .emit_if(i > j, sym.hop("i", "j"), amplitude=10)
        .emit_elseif(i == j, sym.write("i", 0), amplitude=20 + i)
        .emit_elseif(i == 0, sym.write("i", 2), amplitude=30)
        .emit_else(amplitude=40)
        .build()
    ),
    "two chains and an emit": lambda n: (
        _bosons(n)
        .for_each_site("i")
        .emit_if(i == 0, amplitude=1)
        .emit_else(amplitude=2)
        .emit(sym.shift("i", 1), amplitude=3)
        .emit_if(i == 1, amplitude=4)
        .emit_elseif(i >= 1, amplitude=5)
        .build()
    ),
    "guarded chain keeps its lanes finite": lambda n: (
        _bosons(n)
        .for_each_site("i")
        .emit_if(i > 0, amplitude=1 / i)
        .emit_elseif(i < 0, amplitude=1 / i)
        .emit_else(amplitude=1)
        .build()
    ),
    "project": lambda n: (
        _bosons(n)
        .for_each_pair("i", "j")
        .emit(sym.hop("i", "j"), amplitude=i)
        .project(sym.emitted("i") != sym.emitted("j"))
        .emit(sym.write("i", j), amplitude=2)
        .project((sym.emitted("i") < 2) | (i == 1))
        .build()
    ),
    "project of an update that may be none": lambda n: (
        _bosons(n)
        .for_each_pair("i", "j")
        .project(sym.emitted("j") > 0)
        .emit(sym.write(i.index + 1, 1).cond(i == 1, sym.invalidate()))
        .build()
    ),
}

CONSTRUCTS.update(
    {
        f"{kind}: {name}": builder
        for kind, builders in {
            "iterator": FURTHER_ITERATORS,
            "update": FURTHER_UPDATES,
            "emission": EMISSIONS,
        }.items()
        for name, builder in builders.items()
    }
)

k = sym.site("k")
here = sym.here


def _neighbour(shift: int, n: int) -> sym.Expr:
    return sym.site((i.index + shift) % n).value


EXPRESSIONS: dict[str, Callable[[int], sym.Expr]] = {
    "exp": lambda n: sym.exp(i - j),
    "log": lambda n: sym.log(i + 1),
    "sin, cos": lambda n: sym.sin(i) + 2 * sym.cos(j),
    "complex phase": lambda n: sym.exp(1j * 0.3 * (i.index - j.index)) * i,
    "sqrt of complex": lambda n: sym.sqrt((1 + 1j) * i - j),
    "log of complex": lambda n: sym.log(1j * i - j - 0.5),
    "conj": lambda n: sym.conj((1 + 2j) * i) + sym.conj(j),
    "real, imag": lambda n: (
        sym.real((1 + 2j) * i - j) + 10 * sym.imag((1 + 2j) * j) + sym.imag(i)
    ),
    "norm2": lambda n: sym.norm2(i + 2j * j) - sym.norm2(j - 3),
    "sign": lambda n: sym.sign(i - j),
    "minimum, maximum": lambda n: sym.minimum(i, j, 1) + 5 * sym.maximum(2 - i, j),
    "//": lambda n: (i - j) // 2 + 10 * (7 // (j - 3)) + 100 * (i // 0.5),
    "%": lambda n: (i - j) % 2 + 10 * (7 % (j - 3)) + 100 * ((i - j) % -1.5),
    "// of fractions": lambda n: (i * 0.1) // 0.1 + 10 * ((i - j) // 0.7),
    "indices // %": lambda n: (
        sym.site(((i.index - j.index) % n + (i.index * 3) // 2 - i.index) % n).value
    ),
    "where": lambda n: sym.where(i > j, i, 2j * j),
    "where guards": lambda n: sym.where(i > 0, 1 / i, sym.log(j + 1)),
    "wrap_mod": lambda n: sym.wrap_mod(i + 2 * j - 3, "i"),
    "table": lambda n: sym.table([0.5, -1, 2])[i],
    "complex table": lambda n: sym.table([0.5, 1j, 2])[j.value],
    "table of an index": lambda n: sym.table(np.arange(16) ** 2)[
        abs(i.index - j.index)
    ],
    "table with missing entries": lambda n: sym.table([1.0, 2.0])[i + j - 1],
    "table at fractions": lambda n: sym.table([1.0, 2.0])[i / 2],
    "table behind a guard": lambda n: sym.where(i < 2, sym.table([1.0, 2.0])[i], -1),
    "source_index, target_index": lambda n: (
        sym.source_index(1) + 10 * sym.target_index(n - 1)
    ),
    "computed site": lambda n: _neighbour(1, n) - 3 * _neighbour(-1, n),
    "computed site off the lattice": lambda n: sym.site(i.index + 1).value,
    "computed site of a value": lambda n: sym.site(i.value).value,
    "computed site of half a value": lambda n: sym.site(i.value / 2).value,
    "computed site behind a guard": lambda n: sym.where(
        i.index > 0, sym.site(i.index - 1).value, 7
    ),
    "site of a site": lambda n: (
        sym.site((sym.site((i.index + 1) % n).index + 1) % n).value
    ),
    "emitted at a computed site": lambda n: sym.emitted((i.index + 1) % n).value,
    "index of a computed site": lambda n: sym.site(i.value).index * 2.0,
}

REDUCTIONS: dict[str, Callable[[int], sym.Expr]] = {
    "sum": lambda n: sym.sum_(here.value),
    "sum of index": lambda n: sym.sum_(here.index * here.value + i),
    "sum of a constant": lambda n: sym.sum_(2.5, over=sym.between("i", "j")),
    "complex sum": lambda n: sym.sum_(sym.exp(0.5j * here.index) * here),
    "prod": lambda n: sym.prod(here + 1, over=sym.all_sites()),
    "over between": lambda n: sym.sum_(here * 2, over=sym.between("i", "j")),
    "over sites_range": lambda n: sym.sum_(here + 1, over=sym.sites_range("i", "j")),
    "over a constant range": lambda n: sym.sum_(here, over=sym.sites_range(1, n)),
    "over a range beyond the lattice": lambda n: sym.sum_(
        here + 1, over=sym.sites_range(i.index - 2, j.index + 2)
    ),
    "over a range of values": lambda n: sym.sum_(
        here + 1, over=sym.sites_range(i.value / 2, j.value + 0.5)
    ),
    "over between values": lambda n: sym.sum_(
        here + 1, over=sym.between(i.value * 1.5 - 1, j)
    ),
    "parity": lambda n: sym.parity(here.value, over=sym.between("i", "j")),
    "parity of negative numbers": lambda n: sym.parity(here - i),
    "count": lambda n: sym.count(here.value == i, over=sym.sites_range(0, "j")),
    "any, all": lambda n: (
        sym.where(sym.any_(here == 2), 1, 0) + 2 * sym.where(sym.all_(here < 2), 1, 0)
    ),
    "jordan_wigner": lambda n: sym.jordan_wigner("i", "j"),
    "emitted": lambda n: sym.sum_(sym.emitted(here.index).value * here.index),
    "long range": lambda n: (
        i
        * sym.sum_(
            sym.where(here.index != i.index, here / abs(here.index - i.index), 0)
        )
    ),
    "table in a reduction": lambda n: sym.sum_(
        sym.table(1.0 / np.arange(1, 17))[abs(here.index - i.index)] * here
    ),
    "table with missing entries in a reduction": lambda n: sym.sum_(
        sym.table([1.0, 3.0])[here.value], over=sym.between("i", "j")
    ),
    "neighbours in a reduction": lambda n: sym.sum_(
        here * sym.site((here.index + 1) % n).value
    ),
    "nested": lambda n: sym.sum_(here * sym.count(here > 0) + i),
    "where in a reduction": lambda n: sym.sum_(sym.where(here > 0, 1 / here, 0)),
}

FURTHER_PREDICATES: dict[str, sym.Predicate] = {
    "all_of": sym.all_of(i > 0, j < 2, i != j),
    "any_of": sym.any_of(i == 0, j == 2),
    "true, false": (sym.true & (i > 0)) | sym.false,
    "any_": sym.any_(here == 2, over=sym.between("i", "j")),
    "all_": sym.all_(here.value > 0, over=sym.sites_range("i", "j")),
    "short-circuit": (i.index > 0) & (sym.site(i.index - 1) == 1),
}


def _swapping(amplitude: Callable[[int], sym.Expr]) -> Builder:
    return lambda n: (
        _bosons(n, dtype="complex128")
        .for_each_pair("i", "j")
        .emit(sym.swap("i", "j"), amplitude=amplitude(n))
        .build()
    )


def _guarded(predicate: sym.Predicate) -> Builder:
    return lambda n: (
        _bosons(n)
        .for_each_pair("i", "j")
        .where(predicate)
        .emit(sym.swap("i", "j"), amplitude=1 + i)
        .build()
    )


CONSTRUCTS.update(
    {f"expression: {name}": _swapping(e) for name, e in EXPRESSIONS.items()}
)
CONSTRUCTS.update(
    {f"reduction: {name}": _swapping(e) for name, e in REDUCTIONS.items()}
)
CONSTRUCTS.update(
    {f"predicate: {name}": _guarded(p) for name, p in FURTHER_PREDICATES.items()}
)
CONSTRUCTS.update(
    {
        "reduction: over a site set": lambda n: (
            _bosons(n)
            .for_each(
                "i",
                over=range(n),
                data={"J": np.linspace(1, 2, n)},
                sets={"star": [list(range(0, s, 2)) for s in range(n)]},
            )
            .emit(
                sym.shift("i", 1),
                amplitude=sym.sum_(here * sym.row("J") + i, over=sym.set_("star"))
                + sym.parity(here, over=sym.set_("star")),
            )
            .build()
        ),
        "expression: wrap_mod of spins": lambda n: (
            sym.DOperator(sym.spin(1, n), "op")
            .for_each_pair("i", "j")
            .emit(
                sym.write("i", sym.wrap_mod(i + 2 * j, "i")),
                amplitude=sym.wrap_mod(i * 3 - j, "j"),
            )
            .build()
        ),
        "expression: wrap_mod where sites differ": lambda n: (
            sym.DOperator(sym.space([[0, 0.5, 1], [3], *[[-1, 1]] * (n - 2)]), "op")
            .for_each_pair("i", "j")
            .emit(amplitude=sym.wrap_mod(i * 3 - j, "j"))
            .build()
        ),
        "reduction: wrap_mod": lambda n: (
            _bosons(n)
            .for_each_site("i")
            .emit(amplitude=sym.sum_(sym.wrap_mod(here + i, here)))
            .build()
        ),
    }
)


def in_one_space(
    sites: int, names: Iterable[str] = CONSTRUCTS
) -> dict[str, dict[str, sym.SymbolicOperator]]:
    """Return the constructs that can be added up, by their names, for each space."""
    found: dict[str, dict[str, sym.SymbolicOperator]] = {}
    for name in names:
        operator = CONSTRUCTS[name](sites)
        found.setdefault(f"{operator.space} {operator.dtype}", {})[name] = operator
    return found


def check_together(
    constructs: Mapping[str, sym.SymbolicOperator],
    check: Callable[[sym.SymbolicOperator], None],
) -> None:
    """Check the sum of operators of one space; where that fails, name who fails alone.

    Most of what a compiler does for an operator it does once for all terms.
    """
    try:
        check(reduce(add, constructs.values()))
    except Exception:
        for name, operator in constructs.items():
            try:
                check(operator)
            except Exception as error:
                raise AssertionError(f"{name}: {error}") from error
        raise


@cache
def branch_tensors(name: str) -> ModuleOp:
    """Return a construct on three sites as branch tensors: lowered once, not to change.

    For tests of what comes behind.
    """
    return sym.lower_to_bt(CONSTRUCTS[name](3).to_ir().module)
