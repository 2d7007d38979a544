"""Random operators of the whole language: `programs()` is a hypothesis strategy.

Every number that decides which states are connected is exact, in single precision as
well: a `Number` knows its bound and its step, and what would be rounded is left out of
predicates and updates. Amplitudes may be rounded; they carry a bound on their error.
Functions with a singularity (roots, logarithms, quotients) take exact arguments, so
that a last bit cannot become more; a few amplitudes are let to be infinite or NaN.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import cache
from typing import Any, TypeVar

from hypothesis import strategies as st

from tests.fuzz.programs import Number, Program, exact_step, minus, plus, times

__all__ = ["MOST_LANES", "programs"]

T = TypeVar("T")
Draw = Any
Row = tuple[int, ...]

ELEMENTS = ("float64", "complex128", "float32", "complex64")

NUMBERS = (1.0, 0.0, -1.0, 2.0, 0.5, -2.0, 3.0, -0.5)

ROUNDED_NUMBERS = (0.3, -1.7, 0.1, 2.6)
"""No binary fractions: products with them are rounded."""

LOCAL_VALUES = (
    (0, 1),
    (-1, 1),
    (0, 1, 2),
    (-2, 0, 2),
    (3,),
    (0, 0.5, 2),
    (-0.5, 0.5),
    (0, 1, 2, 3, 4),
    (0, 1, 3),
)

MOST_LANES = 32
"""Operators of more, products and adjoints, say no more and take long."""

FUNCTION_ERROR = 8
"""In units of the epsilon, of a transcendental function: XLA's are its own."""

MOST_EXPONENT = 4.0
"""Of exp: keeps amplitudes, and so errors, of a size."""


@cache
def _below(count: int) -> st.SearchStrategy[int]:
    return st.integers(0, count - 1)


@dataclass(frozen=True)
class Lattice:
    """A space: its source, its local values at each site, and what kind it is."""

    text: str
    values: tuple[tuple[float, ...], ...]
    kind: str = "plain"
    is_constrained: bool = False

    @property
    def sites(self) -> int:
        """The number of sites."""
        return len(self.values)

    @property
    def everything(self) -> list[float]:
        """Every local value of any site."""
        return sorted({value for site in self.values for value in site})

    def is_two_valued(self, sites: Sequence[int]) -> bool:
        """Whether all of some sites have two local values, so that they flip."""
        return all(len(self.values[site]) == 2 for site in sites)

    @property
    def is_equally_spaced(self) -> bool:
        """Whether the local values of every site are, so that they wrap."""
        return all(
            len({b - a for a, b in itertools.pairwise(site)}) <= 1
            for site in self.values
        )


@dataclass
class Writer:
    """Draws the expressions, predicates and updates that stand in one term."""

    draw: Draw
    lattice: Lattice
    element: str
    labels: tuple[str, ...] = ()
    rows: tuple[Row, ...] = ()
    data: list[Number] = field(default_factory=list[Number])
    sets: dict[str, tuple[Row, ...]] = field(default_factory=dict[str, tuple[Row, ...]])
    reads_emitted: bool = False
    here: int = 0
    is_extended: bool = False
    is_exact_only: bool = False
    is_small: bool = False

    # region Drawing

    def pick(self, options: Sequence[T]) -> T:
        return options[self.draw(_below(len(options)))]

    def chance(self, one_in: int) -> bool:
        """Return True once in so many times, and never in the simplest example."""
        return self.draw(_below(one_in)) == one_in - 1

    @property
    def is_complex(self) -> bool:
        return self.element.startswith("complex")

    # endregion
    # region Exact numbers

    def local(self, text: str) -> Number:
        """Return a local value."""
        values = self.lattice.everything
        return Number(text, max(map(abs, values)), exact_step(values))

    def constant(self) -> Number:
        value = self.pick((*NUMBERS, *self.lattice.everything))
        return self.literal(value)

    def literal(self, value: float) -> Number:
        text = repr(int(value) if value == int(value) else value)
        return Number(
            f"({text})" if value < 0 else text, abs(value), exact_step([value])
        )

    def index(self, text: str) -> Number:
        return Number(text, self.lattice.sites - 1, 1.0)

    def symbol(self) -> Number:
        text = self.pick(('symbol("h", 0.5)', 'symbol("g")'))
        return Number(text, 2.0, 0.5)

    def leaf(self) -> Number:
        sites = self.lattice.sites
        options: list[Callable[[], Number]] = [self.constant, self.constant]
        if self.labels:
            options += [lambda: self.local(self.pick(self.labels))] * 4
            options += [lambda: self.index(f"{self.pick(self.labels)}.index")] * 2
        if self.here:
            options += [lambda: self.local("here.value")] * 4
            options += [lambda: self.index("here.index")] * 2
        if self.data:
            options += [lambda: self.pick(self.data)] * 2
        options += [lambda: self.local(f"site({self.draw(_below(sites))}).value")]
        options += [self.symbol]
        return self.pick(options)()

    def exact(self, depth: int = 2) -> Number:
        """Draw a number that nobody rounds."""
        if depth == 0 or self.draw(_below(3)) == 0:
            return self.leaf()
        options: list[Callable[[int], Number]] = [self._arithmetic] * 4
        options += [self._unary] * 2
        options += [self._choice, self._extremum, self._integer_division, self._table]
        options += [self._read, self._read, self._reduction, self._reduction]
        options += [self._power, self._wrapped, self._extension]
        found = self.pick(options)(depth - 1)
        return found if found.is_exact and not found.is_complex else self.leaf()

    def _arithmetic(self, depth: int) -> Number:
        a, b = self.exact(depth), self.exact(depth)
        return self.pick((plus, minus, times))(a, b)

    def _unary(self, depth: int) -> Number:
        a = self.exact(depth)
        form = self.pick(("-{}", "abs({})", "sign({})", "+{}", "({} / 2)", "real({})"))
        text = form.format(a.text)
        if form.startswith("sign"):
            return Number(text, 1.0, 1.0)
        if "/" in form:
            return Number(text, a.bound / 2, a.step and a.step / 2)
        return replace(a, text=f"({text})" if form[0] in "+-" else text)

    def _power(self, depth: int) -> Number:
        a, exponent = self.exact(depth), self.pick((2, 1, 0, 3))
        step = (a.step or 1.0) ** exponent if exponent else 1.0
        bound = max(a.bound**exponent, step)
        if bound > 2**20 * step:
            return a
        return Number(f"({a.text} ** {exponent})", bound, step)

    def _extremum(self, depth: int) -> Number:
        a, b = self.exact(depth), self.exact(depth)
        name = self.pick(("minimum", "maximum"))
        text = f"{name}({a.text}, {b.text})"
        step = None if a.step is None or b.step is None else min(a.step, b.step)
        return Number(text, max(a.bound, b.bound), step)

    def _integer_division(self, depth: int) -> Number:
        a, divisor = self.exact(depth), self.literal(self.pick((2, 3, -2, 1.5, -3)))
        if self.pick(("%", "//")) == "%":
            step = min(a.step or 1.0, divisor.step or 1.0)
            return Number(f"({a.text} % {divisor.text})", divisor.bound, step)
        return Number(f"({a.text} // {divisor.text})", a.bound + 1, 1.0)

    def _choice(self, depth: int) -> Number:
        a, b = self.exact(depth), self.exact(depth)
        return self._chosen(self.predicate(depth), a, b)

    def _chosen(self, predicate: str, a: Number, b: Number) -> Number:
        text = f"where({predicate}, {a.text}, {b.text})"
        step = None if a.step is None or b.step is None else min(a.step, b.step)
        bound, error = max(a.bound, b.bound), max(a.error, b.error)
        return Number(text, bound, step, error, a.is_complex or b.is_complex)

    def _table(self, depth: int, values: Sequence[complex] = NUMBERS) -> Number:
        count = 1 + self.draw(_below(4))
        entries = [self.pick(values) for _ in range(count)]
        # An index that is a constant outside of the table is an error, not a value.
        index = self.computed(depth)
        text = f"table({entries!r})[{index}]"
        is_complex = any(isinstance(entry, complex) for entry in entries)
        bound = max(map(abs, entries))
        return Number(text, bound, 0.5, 0.0, is_complex)

    def computed(self, depth: int) -> str:
        """Draw an expression that is no constant."""
        if self.here:
            base = self.pick(("here.value", "here.index"))
        elif self.labels:
            base = self.pick(self.labels) + self.pick((".value", ".index"))
        else:
            base = f"site({self.draw(_below(self.lattice.sites))}).value"
        form = self.pick(("{}", "({} + 1)", "({} - 1)", "abs({} - 1)", "({} / 2)", "+"))
        if form == "+":
            return f"({base} + {self.exact(min(depth, 1)).text})"
        return form.format(base)

    def place(self) -> str:
        """Draw a site that is read: a label, a number, or computed."""
        options = [str(self.draw(_below(self.lattice.sites))), self._computed_place()]
        if self.labels:
            options += [f'"{self.pick(self.labels)}"'] * 2
        return self.pick(options)

    def _computed_place(self) -> str:
        sites = self.lattice.sites
        if not self.labels:
            base = f"site({self.draw(_below(sites))})"
        else:
            base = "here" if self.here and self.chance(2) else self.pick(self.labels)
        forms = ("({0}.index + 1) % {1}", "{0}.index + 1", "{0}.value", "{0}.index - 1")
        return self.pick((*forms, "{0}.value / 2")).format(base, sites)

    def _read(self, depth: int) -> Number:
        name = "emitted" if self.reads_emitted and self.chance(2) else "site"
        place = self.place()
        if self.chance(6):
            # The number of a computed site
            return self.index(f"{name}({place}).index")
        if place.isdigit() and self.chance(3):
            name = {"site": "source_index", "emitted": "target_index"}[name]
            return self.local(f"{name}({place})")
        return self.local(f"{name}({place}).value")

    def _wrapped(self, depth: int) -> Number:
        if not self.lattice.is_equally_spaced or not self.labels:
            return self.leaf()
        a, label = self.exact(depth), self.pick(self.labels)
        return self.local(f'wrap_mod({a.text}, "{label}")')

    def _extension(self, depth: int) -> Number:
        a = self.exact(depth)
        self.is_extended = True
        return Number(f"half_of({a.text})", a.bound / 2, a.step and a.step / 2)

    # endregion
    # region Reductions

    def region(self) -> str:
        options = ["", "", ", over=all_sites()"]
        if self.sets:
            options += [f', over=set_("{self.pick(list(self.sets))}")'] * 2
        options += ["range", "between"]
        chosen = self.pick(options)
        if chosen not in ("range", "between"):
            return chosen
        ends = f"{self._end()}, {self._end()}"
        name = {"range": "sites_range", "between": "between"}[chosen]
        return f", over={name}({ends})"

    def _end(self) -> str:
        options = [str(self.draw(_below(self.lattice.sites)))]
        if self.labels:
            label = self.pick(self.labels)
            options += [f'"{label}"', f"{label}.index + 1", f"{label}.value / 2"]
        return self.pick(options)

    def _inside(self, draw: Callable[[], T]) -> tuple[T, str]:
        """Draw the body of a reduction, and what it is over."""
        region = self.region()
        self.here += 1
        body = draw()
        self.here -= 1
        return body, region

    def _reduction(self, depth: int) -> Number:
        if self.here > 1:
            return self.leaf()
        name = self.pick(("sum_", "count", "parity", "prod", "jordan_wigner"))
        if name == "jordan_wigner":
            if set(self.lattice.everything) != {0, 1}:
                name = "sum_"
            else:
                return Number(f"jordan_wigner({self._end()}, {self._end()})", 1.0, 1.0)
        if name == "count":
            body, over = self._inside(lambda: self.predicate(depth))
            return Number(f"count({body}{over})", self.lattice.sites, 1.0)
        number, over = self._inside(lambda: self.exact(depth))
        return self._reduced(name, number, over)

    def _reduced(self, name: str, number: Number, over: str) -> Number:
        text, sites = f"{name}({number.text}{over})", self.lattice.sites
        if name == "parity":
            return Number(text, 1.0, 1.0)
        if name == "sum_":
            total = Number("", 0.0, 1.0)
            for _ in range(sites):
                total = plus(total, number)
            return replace(total, text=text)
        total = Number("", 1.0, 1.0)
        for _ in range(sites):
            total = times(total, replace(number, bound=max(1.0, number.bound)))
        return replace(total, text=text)

    # endregion
    # region Predicates

    def predicate(self, depth: int = 2) -> str:
        """Draw a condition on exact numbers."""
        if depth <= 0 or self.draw(_below(2)) == 0:
            return self._comparison(max(depth - 1, 0))
        options = [self._comparison, self._logic, self._logic, self._joined]
        options += [self._some, self._some, self._truth]
        return self.pick(options)(depth - 1)

    def _comparison(self, depth: int) -> str:
        a, b = self.exact(depth), self.exact(depth)
        if self._is_number(a.text):
            a = self.local(f"site({self.draw(_below(self.lattice.sites))}).value")
        return f"({a.text} {self.pick(('==', '!=', '<', '<=', '>', '>='))} {b.text})"

    @staticmethod
    def _is_number(text: str) -> bool:
        return not any(character.isalpha() for character in text)

    def _logic(self, depth: int) -> str:
        operation = self.pick(("&", "|", "~"))
        if operation == "~":
            return f"(~{self.predicate(depth)})"
        return f"({self.predicate(depth)} {operation} {self.predicate(depth)})"

    def _joined(self, depth: int) -> str:
        parts = [self.predicate(depth) for _ in range(self.draw(_below(4)))]
        return f"{self.pick(('all_of', 'any_of'))}({', '.join(parts)})"

    def _some(self, depth: int) -> str:
        if self.here > 1:
            return self._comparison(depth)
        body, over = self._inside(lambda: self.predicate(min(depth, 1)))
        return f"{self.pick(('any_', 'all_'))}({body}{over})"

    def _truth(self, _: int) -> str:
        return self.pick(("true", "false"))

    # endregion
    # region Amplitudes

    def amplitude(self) -> Number:
        """Draw a matrix element."""
        if self.is_exact_only:
            return self.exact(2)
        if not self.is_complex and not self.is_small and self.chance(16):
            return self._unguarded()
        return self.rounded(3) if self.draw(_below(3)) else self.exact(2)

    def _unguarded(self) -> Number:
        """Draw what may be infinite or NaN; nothing is made of it."""
        a, b = self.exact(1), self.exact(1)
        text = self.pick(("sqrt({a})", "log(abs({a}))", "({a} / abs({b}))", "log({a})"))
        size = max(a.bound / (b.step or 1.0), 32.0)
        return Number(
            text.format(a=a.text, b=b.text), size, None, FUNCTION_ERROR * size
        )

    def rounded(self, depth: int) -> Number:
        if depth == 0:
            return self._rounded_leaf()
        options = [self._rounded_arithmetic] * 4 + [self._function] * 4
        options += [self._quotient, self._rounded_choice, self._rounded_sum]
        if self.is_complex:
            options += [self._complex_function] * 3
        return self.pick(options)(depth - 1)

    def _rounded_leaf(self) -> Number:
        kind = self.draw(_below(4 if self.is_complex else 3))
        if kind == 0:
            return self.exact(1)
        if kind == 1:
            value = self.pick(ROUNDED_NUMBERS)
            return replace(
                self.literal(1.0), text=f"({value})", bound=abs(value), step=None
            )
        if kind == 2:
            return self.leaf()
        return self._imaginary()

    def _imaginary(self) -> Number:
        options = [
            Number("1j", 1.0, 1.0, 0.0, True),
            Number("(0.5 - 2j)", 2.5, 0.5, 0.0, True),
            Number('symbol("z", 1, dtype=complex)', 2.5, 0.5, 0.0, True),
        ]
        if self.chance(3):
            return self._table(1, (1j, 0.5, -2.0 + 1j, 1.0))
        return self.pick(options)

    def _rounded_arithmetic(self, depth: int) -> Number:
        a, b = self.rounded(depth), self.rounded(depth)
        made = self.pick((plus, minus, times))(a, b)
        # Beyond this the bound on the error says nothing any more.
        return made if made.bound < 2**14 else a

    def _rounded_choice(self, depth: int) -> Number:
        a, b = self.rounded(depth), self.rounded(depth)
        return self._chosen(self.predicate(min(depth, 1)), a, b)

    def _rounded_sum(self, depth: int) -> Number:
        if self.here:
            return self._rounded_leaf()
        number, over = self._inside(lambda: self.rounded(min(depth, 1)))
        return self._reduced("sum_", number, over)

    def _quotient(self, depth: int) -> Number:
        a, b = self.rounded(depth), self.exact(1)
        text = f"({a.text} / (1 + abs({b.text})))"
        return Number(text, a.bound, None, a.error + 3 * a.bound, a.is_complex)

    def _function(self, depth: int) -> Number:
        """Return a function of a real number."""
        name = self.pick(("sqrt", "exp", "log", "sin", "cos", "abs", "**", "softplus"))
        if name in ("sqrt", "log", "**"):
            a = self.exact(1)
            size, inner = 1 + a.bound, f"(1 + abs({a.text}))"
            forms = {
                "sqrt": self.pick((f"sqrt(abs({a.text}))", f"sqrt{inner}")),
                "log": f"log{inner}",
                "**": f"({inner} ** {self.pick((0.5, -1, -2, 1.5))})",
            }
            bound = size**1.5 if name == "**" else size
            return Number(forms[name], bound, None, FUNCTION_ERROR * bound)
        a = self.exact(1)
        if name == "exp":
            if a.bound > MOST_EXPONENT:
                a = replace(a, text=f"minimum({a.text}, {MOST_EXPONENT})")
            bound = math.exp(min(a.bound, MOST_EXPONENT))
            return Number(f"exp({a.text})", bound, None, FUNCTION_ERROR * bound)
        if name == "softplus":
            if not self.chance(3):
                return a
            self.is_extended = True
            bound = 1 + a.bound
            return Number(f"softplus({a.text})", bound, None, FUNCTION_ERROR * bound)
        b = self.rounded(depth)
        if name == "abs":
            error = b.error + 2 * b.bound
            return Number(f"abs({b.text})", b.bound, None, error)
        if b.is_complex or b.bound > 100:
            b = a
        # Their derivatives do not exceed 1.
        return Number(f"{name}({b.text})", 1.0, None, b.error + FUNCTION_ERROR)

    def _complex_function(self, depth: int) -> Number:
        a = self.exact(1)
        form = self.pick(
            ("exp", "conj", "real", "imag", "norm2", "sqrt", "log", "times")
        )
        if form == "exp":
            error = FUNCTION_ERROR + 2 * a.bound
            return Number(f"exp(0.3j * {a.text})", 1.0, None, error, True)
        if form == "sqrt":
            # Off the cut, and without a cancellation
            error = FUNCTION_ERROR * (1 + 2 * a.bound)
            return Number(
                f"sqrt((1 + 1j) * {a.text})", 1 + 2 * a.bound, None, error, True
            )
        if form == "log":
            bound = 4 + a.bound
            return Number(
                f"log({a.text} + 1j)", bound, None, FUNCTION_ERROR * bound, True
            )
        b = self.rounded(depth)
        if form == "times":
            return times(self._imaginary(), b)
        if form == "norm2":
            error = 2 * b.error * b.bound + 3 * b.bound**2
            return Number(f"norm2({b.text})", b.bound**2, None, error)
        text = f"{form}({b.text})"
        return replace(b, text=text, is_complex=form == "conj" and b.is_complex)

    # endregion
    # region Updates

    def target(self) -> str:
        """Draw a site that an update changes."""
        options = [str(self.draw(_below(self.lattice.sites)))]
        if self.labels:
            options += [f'"{self.pick(self.labels)}"'] * 5
            options += [self._computed_place()]
        return self.pick(options)

    def update(self, most: int = 3, depth: int = 1) -> str:
        """Draw a chain of updates."""
        count = 1 + self.draw(_below(most))
        steps = [self.step(depth) for _ in range(count)]
        # An update that is registered is a method of updates only
        start = ["Update()"] if steps[0].startswith("reflect") else []
        return ".".join(start + steps)

    def step(self, depth: int) -> str:
        options = [self._write, self._write, self._shift, self._swap, self._hop]
        options += [self._shift_mod, self._permute, self._affine, self._scatter]
        options += [self._flip, self._flip, self._reflect]
        text = None
        if depth and self.chance(4):
            return self._cond()
        if self.chance(24):
            return self.pick(("identity()", 'invalidate("never")'))
        while text is None:
            text = self.pick(options)()
        return text

    def _written(self) -> str:
        kind = self.draw(_below(3))
        if kind == 0:
            return self.literal(self.pick(self.lattice.everything)).text
        return self.exact(1 if kind == 2 else 0).text

    def _write(self) -> str:
        return f"write({self.target()}, {self._written()})"

    def _shift(self) -> str:
        steps = self.literal(self.pick((1, -1, 2, -2))).text
        amount = self.exact(1).text if self.chance(3) else steps
        return f"shift({self.target()}, {amount})"

    def _shift_mod(self) -> str:
        whole = self.literal(self.pick((1, -1, 2, 5))).text
        amount = self.computed(1) if self.chance(3) else whole
        return f"shift_mod({self.target()}, {amount})"

    def _swap(self) -> str:
        return f"swap({self.target()}, {self.target()})"

    def _hop(self) -> str:
        amount = f", {self.exact(1).text}" if self.chance(3) else ""
        return f"hop({self.target()}, {self.target()}{amount})"

    def _permute(self) -> str:
        places = [self.target() for _ in range(2 + self.draw(_below(2)))]
        return f"permute({', '.join(places)})"

    def _affine(self) -> str:
        scale, bias = self.exact(self.draw(_below(2))), self._written()
        return f"affine({self.target()}, scale={scale.text}, bias={bias})"

    def _scatter(self) -> str:
        count = self.draw(_below(3))
        places = ", ".join(self.target() for _ in range(count))
        values = ", ".join(self._written() for _ in range(count))
        return f"scatter([{places}], [{values}])"

    def _flip(self) -> str | None:
        names = [
            name
            for name, sets in self.sets.items()
            if self.lattice.is_two_valued([site for one in sets for site in one])
        ]
        if names and self.chance(2):
            return f'flip_set("{self.pick(names)}")'
        columns = zip(*self.rows, strict=True) if self.labels else ()
        options = [
            f'flip("{label}")'
            for label, column in zip(self.labels, columns, strict=False)
            if self.lattice.is_two_valued(column)
        ]
        return self.pick(options) if options else None

    def _reflect(self) -> str:
        if not self.chance(3):
            return self._swap()
        self.is_extended = True
        return f"reflect({self.target()})"

    def _cond(self) -> str:
        then = self.update(2, 0) if not self.chance(6) else "invalidate()"
        otherwise = f", {self.update(2, 0)}" if self.chance(2) else ""
        return f"cond({self.predicate(1)}, {then}{otherwise})"

    # endregion


# region Spaces


def _uniform(text: str, values: tuple[float, ...], n: int, kind: str) -> Lattice:
    return Lattice(text, (values,) * n, kind)


def _lattice(w: Writer) -> Lattice:
    n = (3, 2, 4, 1)[w.draw(_below(4))]
    return w.pick((_uniform_values, _free, _lists, _free, _constrained))(w, n)


def _pool(most: int) -> list[tuple[float, ...]]:
    return [values for values in LOCAL_VALUES if len(values) <= most]


def _uniform_values(w: Writer, n: int) -> Lattice:
    values = w.pick(_pool({1: 5, 2: 5, 3: 3}.get(n, 2)))
    return _uniform(f"space({list(values)}, {n})", values, n, "plain")


def _lists(w: Writer, n: int) -> Lattice:
    if w.chance(4):
        values = ((0, 1), (-2, 0, 2), (0, 1))
        return Lattice("qubit(1) * spin(1, 1) * fock(1, 1)", values)
    pool = _pool(3 if n < 4 else 2)
    lists = tuple(w.pick(pool) for _ in range(n))
    return Lattice(f"space({[list(one) for one in lists]})", lists)


def _free(w: Writer, n: int) -> Lattice:
    most = 1 + w.draw(_below(3 if n < 4 else 2))
    options = (
        _uniform(f"qubit({n})", (0, 1), n, "qubits"),
        _uniform(f"fock({most}, {n})", tuple(range(most + 1)), n, "bosons"),
        _uniform(f"spin(0.5, {n})", (-1, 1), n, "spins"),
        _uniform(f"spin(1, {min(n, 3)})", (-2, 0, 2), min(n, 3), "spins"),
        _uniform(f"fermions({n})", (0, 1), n, "fermions"),
        _uniform("fermions(2, spin=0.5)", (0, 1), 4, "spinful"),
    )
    return w.pick(options)


def _constrained(w: Writer, n: int) -> Lattice:
    total, n = w.draw(_below(n + 1)), max(n, 2)
    weights = [1, *(1 + w.draw(_below(2)) for _ in range(n - 1))]
    relation = w.pick(("!=", ">=", "=="))
    each = "n_fermions_per_spin=(1, None)"
    options = (
        _uniform(f"fock(2, {n}).where_sum({total})", (0, 1, 2), n, "bosons"),
        _uniform(f"fermions({n}, {total})", (0, 1), n, "fermions"),
        _uniform(f"spin(0.5, {n}, total_sz={n / 2 - total})", (-1, 1), n, "spins"),
        _uniform(
            f"fock(2, {n}).where_sum({total}, weights={weights})",
            (0, 1, 2),
            n,
            "bosons",
        ),
        _uniform(
            f"qubit({n}).where(site(0) {relation} site({n - 1}))", (0, 1), n, "qubits"
        ),
        _uniform(f"fermions(2, spin=0.5, {each})", (0, 1), 4, "spinful"),
    )
    return replace(w.pick(options), is_constrained=True)


# endregion
# region Terms


def _rows(w: Writer, labels: int, most: int = 4) -> tuple[Row, ...]:
    """Draw rows, in which labels alias now and then."""
    count = 1 + w.draw(_below(2 if w.is_small else most))
    sites = w.lattice.sites
    return tuple(
        tuple(w.draw(_below(sites)) for _ in range(labels)) for _ in range(count)
    )


def _iterator(w: Writer) -> str:
    """Open a term: set what is in scope, and return the call."""
    w.data, w.sets = [], {}
    options = [_given] * 6 + [_every_site] * 3 + [_globally]
    if not w.is_small:
        options += [_given_by_name] * 3 + [_pairs] * 3 + [_tuples, _tuples, _plaquettes]
    return w.pick(options)(w)


def _globally(w: Writer) -> str:
    w.labels, w.rows = (), ()
    return "globally()"


def _every_site(w: Writer) -> str:
    w.labels, w.rows = ("i",), tuple((s,) for s in range(w.lattice.sites))
    return 'for_each_site("i")'


def _given(w: Writer) -> str:
    count = (2, 1, 2, 3)[w.draw(_below(4))]
    w.labels, w.rows = ("i", "j", "k")[:count], _rows(w, count)
    if count == 1:
        over = [site for (site,) in w.rows]
        return f'for_each("i", over={over!r}{_columns(w)})'
    return f"for_each({w.labels!r}, over={list(w.rows)!r}{_columns(w)})"


def _given_by_name(w: Writer) -> str:
    name = w.pick(("edge", "triplet", "plaquette"))
    count = {"edge": 2, "triplet": 3, "plaquette": 4}[name]
    w.labels, w.rows = ("i", "j", "k", "l")[:count], _rows(w, count, 3)
    if name == "edge":
        return f"for_each_edge(Graph({list(w.rows)!r}){_columns(w)})"
    labels = ", ".join(f'"{label}"' for label in w.labels)
    return f"for_each_{name}({labels}, over={list(w.rows)!r}{_columns(w)})"


def _pairs(w: Writer) -> str:
    n = w.lattice.sites
    every = range(n)
    names: dict[str, tuple[Row, ...]] = {
        "for_each_pair": tuple(itertools.product(every, repeat=2)),
        "for_each_distinct_pair": tuple(itertools.permutations(every, 2)),
        "for_each_unordered_pair": tuple(itertools.combinations(every, 2)),
        "for_each_link": tuple((s, (s + 1) % n) for s in every),
    }
    name = w.pick([name for name, rows in names.items() if rows])
    w.labels, w.rows = ("i", "j"), names[name]
    if name == "for_each_link":
        w.is_extended = True
        return "for_each_link()"
    return f'{name}("i", "j")'


def _plaquettes(w: Writer) -> str:
    if w.lattice.sites != 4:
        return _given_by_name(w)
    w.labels, w.rows = ("i", "j", "k", "l"), ((0, 2, 3, 1),)
    pbc = w.chance(2)
    if pbc:
        w.rows = ((0, 2, 3, 1), (1, 3, 2, 0), (2, 0, 1, 3), (3, 1, 0, 2))
    return f'for_each_plaquette("i", "j", "k", "l", shape=(2, 2), pbc={pbc})'


def _tuples(w: Writer) -> str:
    n = w.lattice.sites
    distinct, ordered = w.chance(2) and n > 1, w.chance(2)
    make = {
        (True, False): itertools.combinations,
        (True, True): itertools.permutations,
        (False, False): itertools.combinations_with_replacement,
        (False, True): lambda sites, k: itertools.product(sites, repeat=k),
    }[distinct, ordered]
    w.labels, w.rows = ("i", "j"), tuple(make(range(n), 2))
    flags = f"distinct={distinct}, ordered={ordered}"
    return f'for_each_ktuple(("i", "j"), {flags}{_columns(w)})'


def _columns(w: Writer) -> str:
    """Draw the data and the site sets of a term's rows."""
    text, count = "", len(w.rows)
    if w.chance(2):
        values = [w.pick(NUMBERS) for _ in range(count)]
        w.data.append(Number('row("J")', max(map(abs, values)), 0.5))
        text += f', data={{"J": {values!r}}}'
    if w.chance(2):
        sites = list(range(w.lattice.sites))
        sets = tuple(
            tuple(site for site in sites if w.draw(_below(2))) for _ in range(count)
        )
        w.sets["star"] = sets
        text += f', sets={{"star": {[list(one) for one in sets]!r}}}'
    return text


@dataclass
class Emitted:
    """What an operator's emissions sum up to, to bound sums and products of them."""

    bound: float = 1.0
    error: float = 0.0

    def add(self, number: Number) -> None:
        self.bound = max(self.bound, number.bound)
        self.error = max(self.error, number.error)


def _emission(w: Writer, emitted: Emitted, call: str, head: str) -> str:
    update = w.update() if w.draw(_below(6)) else ""
    w.reads_emitted = True
    amplitude = w.amplitude() if w.draw(_below(4)) else None
    w.reads_emitted = False
    parts = [part for part in (head, update) if part]
    if amplitude is not None:
        emitted.add(amplitude)
        parts.append(f"amplitude={amplitude.text}")
    if w.chance(6):
        parts.append('tag="t"')
    return f".{call}({', '.join(parts)})"


def _term(w: Writer, emitted: Emitted) -> str:
    lines = ["." + _iterator(w)]
    if w.chance(8):
        lines.append('.named("bulk")')
    if w.chance(2):
        lines.append(f".where({w.predicate()})")
        if w.chance(4):
            lines.append(f".where({w.predicate(1)})")
    if len(w.labels) > 1 and w.chance(8):
        w.is_extended = True
        lines.append('.differing("i", "j")')
    # Terms with many rows are read literally by the reference, row by row.
    for _ in range(1 + w.draw(_below(1 if w.is_small or len(w.rows) > 6 else 2))):
        lines += _emissions(w, emitted)
    if w.chance(5):
        w.reads_emitted = True
        lines.append(f".project({w.predicate(1)})")
        w.reads_emitted = False
    if w.chance(5):
        lines.append(f".fanout({1 + w.draw(_below(4))})")
    return "\n    ".join(lines)


def _emissions(w: Writer, emitted: Emitted) -> list[str]:
    kind = w.draw(_below(8))
    if kind == 7 and len(w.labels) > 1 and w.chance(2):
        w.is_extended = True
        emitted.add(plus(w.local("site"), w.literal(2.0)))
        return ['.exchange("i", "j")']
    if kind < 5:
        return [_emission(w, emitted, "emit", "")]
    lines = [_emission(w, emitted, "emit_if", w.predicate())]
    if w.chance(2):
        lines.append(_emission(w, emitted, "emit_elseif", w.predicate()))
    if w.chance(2):
        lines.append(_emission(w, emitted, "emit_else", ""))
    return lines


LOCAL_OPERATORS = {
    "bosons": ("a({0})", "adag({0})", "n({0})", "adag({0}) * a({1})", "n({0}) ** 2"),
    "fermions": ("cdag({0}) * c({1})", "n({0})", "c({0})", "cdag({0})"),
    "spins": ("Sx({0})", "Sz({0}) * Sz({1})", "Sp({0}) * Sm({1})", "Sz({0})"),
    "qubits": ("X({0})", "Z({0}) * X({1})", "Z({0})", "X({0}) * X({1})"),
}


def _paper_term(w: Writer, emitted: Emitted) -> str | None:
    """Draw an operator as on paper, where the space has such."""
    forms = LOCAL_OPERATORS.get(w.lattice.kind)
    if forms is None:
        return None
    size = 2.0 * max(map(abs, w.lattice.everything)) + 1.0
    bound = 4.0 * size**2
    emitted.add(Number("", bound, None, FUNCTION_ERROR * bound))
    if w.is_complex:
        forms = (
            *forms,
            *{"spins": ("Sy({0})",), "qubits": ("Y({0})",)}.get(w.lattice.kind, ()),
        )
    form, factor = w.pick(forms), w.pick((1, -0.5, 2, 0.3))
    sites = w.lattice.sites
    a, b = w.draw(_below(sites)), w.draw(_below(sites))
    match w.draw(_below(4)):
        case 0:
            return (
                f".add({factor} * {form.format(a, b)} - {w.pick(forms).format(b, a)})"
            )
        case 1:
            return f".add(dagger({form.format(a, b)}) + 1.5)"
        case 2:
            rows = list(_rows(w, 2, 3))
            body = form.format("s", "t")
            return f".add({factor} * sum_over({rows!r}, lambda s, t: {body}))"
        case _:
            head = _iterator(w)
            names = [f'"{w.pick(w.labels)}"' if w.labels else str(a) for _ in "ab"]
            where = f".where({w.predicate(1)})" if w.chance(2) else ""
            return f".{head}{where}.emit({form.format(*names)}, amplitude={factor})"


# endregion
# region Operators


def _builder(w: Writer, name: str, emitted: Emitted, most_terms: int) -> str:
    flags = f', "{name}", dtype="{w.element}"'
    if w.lattice.is_constrained and not w.is_exact_only:
        flags += ", projected=True"
    lines = [f"DOperator(lattice{flags})"]
    for _ in range(1 + w.draw(_below(most_terms))):
        # Operators as on paper are rounded
        paper = not w.is_exact_only and w.chance(6)
        lines.append((paper and _paper_term(w, emitted)) or _term(w, emitted))
    text = "\n    ".join([*lines, ".build()"])
    return f"{name} = (\n    {text}\n)"


SMALL = ("A.H", "A @ A", "A.transpose()", "A ** 2", "A.H + A")
"""What has many lanes for each of A."""

SMALL_PAIRS = ("A @ B", "A.commutator(B)", "A.anticommutator(B)", "A @ B + A")


def _form(w: Writer, is_pair: bool) -> str:
    """Draw what is made of the operators A and B, or of A alone."""
    if is_pair:
        forms = ["A + B", "A - 2 * B", 'symbol("h", 0.5) * A + 0.3 * B']
        return w.pick(forms if w.lattice.is_constrained else [*forms, *SMALL_PAIRS])
    forms = ["A"] * 12 + ["0.5 * A", "A - 1.5", "-A", "A / 4", "A.conjugate()"]
    forms += ['symbol("h", 0.5) * A', "0.3 * A + 2"]
    if w.is_complex:
        forms += ["1j * A", 'symbol("z", 1, dtype=complex) * A']
    return w.pick(forms if w.lattice.is_constrained else [*forms, *SMALL])


def _error(form: str, a: Emitted, b: Emitted) -> float:
    """Return the bound on the rounding error of what is made of two operators."""
    bound, error = max(a.bound, b.bound, 2.0), max(a.error, b.error)
    if form in ("A", "-A", "A.conjugate()", "A.H", "A.transpose()", "A.H + A", "A + B"):
        return error
    if form in (*SMALL, *SMALL_PAIRS):
        return error + a.bound * b.error + b.bound * a.error + 3 * a.bound * b.bound
    # Scaled by numbers of at most 2.5, complex ones and rounded ones too
    return 2.5 * (error + 3 * bound)


@st.composite
def programs(draw: Draw, elements: Sequence[str] = ELEMENTS) -> Program:
    """Draw an operator of the whole language."""
    w = Writer(draw, Lattice("", ()), elements[0])
    w.element = w.pick(elements)
    w.lattice = _lattice(w)
    # Off the constraints a matrix element is NaN unless it is 0, to the last bit
    w.is_exact_only = w.lattice.is_constrained and w.chance(8)
    is_pair = w.chance(6)
    form = _form(w, is_pair)
    w.is_small = form in (*SMALL, *SMALL_PAIRS)
    first, second = Emitted(), Emitted()
    statements = [f"lattice = {w.lattice.text}"]
    most_terms = 1 if is_pair or w.is_small else 2
    statements.append(_builder(w, "A", first, most_terms))
    if is_pair:
        statements.append(_builder(w, "B", second, 1))
    statements.append(f"operator = {form}")
    error = _error(form, first, second if is_pair else first)
    values: dict[str, complex] = {"g": w.pick((0.5, -1.0, 2.0))}
    if w.chance(3):
        values["h"] = -1.5
    if w.is_complex and w.chance(3):
        values["z"] = 0.5 - 2j
    body = "\n".join(statements)
    used = {k: v for k, v in values.items() if f'symbol("{k}"' in body}
    return Program(body + "\n", w.is_extended, error, tuple(used.items()))


# endregion
