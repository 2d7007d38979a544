"""Random operators of `sym` as text: small spaces, aliasing labels, chains of updates.

`programs()` is a hypothesis strategy. Every number that decides which states are
connected is computed exactly, in f32 as well: local values, constants and data are
short binary fractions, and few of them are multiplied. What is rounded (a quotient, a
root) goes into amplitudes only. So states can be compared exactly, whoever computes
them.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt
from hypothesis import strategies as st
from xdsl.dialects.builtin import ModuleOp

from dialects.text import parse_module

__all__ = ["HOP", "Program", "programs"]

Draw = Any

LOCAL_STATES = (
    (-1.0, 1.0),
    (0.0, 1.0),
    (0.0, 1.0, 2.0),
    (-2.0, 0.0, 2.0),
    (3.0,),
    (0.0, 0.5, 2.0),
    (0.0, 1.0, 2.0, 3.0, 4.0),
    (-4.0, -2.0, 0.0, 2.0, 4.0),
    (-1.0, -0.5, 0.0, 0.5, 1.0),
    (0.0, 1.0, 2.0, 4.0, 7.0),
)
"""Few values are compared one by one, many by their bounds if their steps are equal."""

LONGEST = {1: 5, 2: 5, 3: 3, 4: 2}
"""The number of local values that keeps a space of so many sites small."""

NUMBERS = (-2.0, -1.0, -0.5, 0.0, 0.5, 1.0, 2.0)

MOST_PRODUCTS = 3
"""In one term: keeps all numbers exact in f32."""


@dataclass(frozen=True)
class Program:
    """The text of one operator, and the local values of each of its sites."""

    text: str
    local_states: tuple[tuple[float, ...], ...]

    def __repr__(self) -> str:
        return f"Program(\n{self.text})"

    def module(self) -> ModuleOp:
        """Parse and verify the operator; a new module each time."""
        return parse_module(self.text)

    @cached_property
    def configurations(self) -> npt.NDArray[Any]:
        """Every configuration of the space, in the smallest dtype that holds them."""
        states = np.array(list(itertools.product(*self.local_states)))
        integers = states.astype(np.int8)
        return integers if (integers == states).all() else states.astype(np.float32)


@dataclass
class _TermWriter:
    """Draws the body of one term, statement by statement."""

    draw: Draw
    element: str
    numbers: Sequence[float]
    parameters: Sequence[tuple[str, str]]
    sites: list[str] = field(default_factory=list[str])
    configs: list[str] = field(default_factory=lambda: ["%x"])
    reals: list[str] = field(default_factory=list[str])
    booleans: list[str] = field(default_factory=list[str])
    integers: list[str] = field(default_factory=list[str])
    lines: list[str] = field(default_factory=list[str])
    products: int = 0

    @property
    def real(self) -> str:
        return self.element.removeprefix("complex<").removesuffix(">")

    def any_of(self, values: Sequence[str]) -> str:
        """Draw one; the later ones are drawn by going back from the end."""
        steps_back: int = self.draw(st.integers(1, len(values)))
        return values[-steps_back]

    def config(self) -> str:
        """Draw a configuration, most often the last one: updates form chains."""
        if self.draw(st.integers(0, 3)) < 3:
            return self.configs[-1]
        return self.any_of(self.configs)

    def add(self, text: str, into: list[str] | None = None) -> str:
        name = f"%v{len(self.lines)}"
        self.lines.append(f"{name} = {text}")
        if into is not None:
            into.append(name)
        return name

    # region Statements

    def number(self) -> None:
        value = self.draw(st.sampled_from(self.numbers))
        kind = f"tensor<{self.real}>"
        self.add(f"stablehlo.constant dense<{value}> : {kind}", self.reals)

    def truth(self) -> None:
        value = self.draw(st.sampled_from(["true", "false"]))
        self.add(f"stablehlo.constant dense<{value}> : tensor<i1>", self.booleans)

    def read(self) -> None:
        site, config = self.any_of(self.sites), self.any_of(self.configs)
        self.add(f"sym.read {config}[{site}] : tensor<{self.real}>", self.reals)

    def index(self) -> None:
        self.add(f"sym.index {self.any_of(self.sites)}", self.integers)

    def number_of_index(self) -> None:
        source, real = self.any_of(self.integers), self.real
        text = f"stablehlo.convert {source} : (tensor<i32>) -> tensor<{real}>"
        self.add(text, self.reals)

    def arithmetic(self) -> None:
        names = ["add", "subtract", "maximum", "minimum", "multiply"]
        if self.products == MOST_PRODUCTS:
            names.remove("multiply")
        name = self.draw(st.sampled_from(names))
        self.products += name == "multiply"
        a, b = self.any_of(self.reals), self.any_of(self.reals)
        self.add(f"stablehlo.{name} {a}, {b} : tensor<{self.real}>", self.reals)

    def unary(self) -> None:
        name = self.draw(st.sampled_from(["negate", "abs", "sign", "floor"]))
        value = self.any_of(self.reals)
        self.add(f"stablehlo.{name} {value} : tensor<{self.real}>", self.reals)

    def compare(self, values: list[str], kind: str) -> None:
        direction = self.draw(st.sampled_from(["EQ", "NE", "LT", "LE", "GT", "GE"]))
        a, b = self.any_of(values), self.any_of(values)
        types = f"(tensor<{kind}>, tensor<{kind}>) -> tensor<i1>"
        self.add(f"stablehlo.compare {direction}, {a}, {b} : {types}", self.booleans)

    def logic(self) -> None:
        name = self.draw(st.sampled_from(["and", "or", "xor", "not"]))
        values = [self.any_of(self.booleans) for _ in range(1 if name == "not" else 2)]
        self.add(f"stablehlo.{name} {', '.join(values)} : tensor<i1>", self.booleans)

    def choose(self) -> None:
        p = self.any_of(self.booleans)
        a, b = self.any_of(self.reals), self.any_of(self.reals)
        types = f"tensor<i1>, tensor<{self.real}>"
        self.add(f"stablehlo.select {p}, {a}, {b} : {types}", self.reals)

    def write(self) -> None:
        config, site = self.config(), self.any_of(self.sites)
        value, kind = self.any_of(self.reals), f"tensor<{self.real}>"
        self.add(f"sym.write {config}[{site}], {value} : {kind}", self.configs)

    def shift(self) -> None:
        config, site = self.config(), self.any_of(self.sites)
        amount, kind = self.any_of(self.reals), f"tensor<{self.real}>"
        self.add(f"sym.shift {config}[{site}] by {amount} : {kind}", self.configs)

    def swap(self) -> None:
        config = self.config()
        first, second = self.any_of(self.sites), self.any_of(self.sites)
        self.add(f"sym.swap {config}[{first}, {second}]", self.configs)

    def choose_configuration(self) -> None:
        p = self.any_of(self.booleans)
        a, b = self.any_of(self.configs), self.any_of(self.configs)
        self.add(f"sym.select {p}, {a}, {b}", self.configs)

    def start(self) -> None:
        """Add what nearly every term has: a number, reads of x, a predicate."""
        self.number()
        for site in self.sites:
            self.add(f"sym.read %x[{site}] : tensor<{self.real}>", self.reals)
        self.compare(self.reals, self.real)

    def update(self) -> None:
        """Add a configuration."""
        options = [self.swap, self.write, self.write, self.shift, self.shift]
        options += [self.fork, self.fork, self.choose_configuration]
        self.draw(st.sampled_from(options))()

    def calculation(self) -> None:
        """Add a scalar."""
        options = [self.number, self.truth, self.arithmetic, self.unary, self.choose]
        options += [self.logic, lambda: self.compare(self.reals, self.real)]
        if self.sites:
            options += [self.read, self.read, self.read, self.index]
        if self.integers:
            options += [self.number_of_index]
            options += [lambda: self.compare(self.integers, "i32")]
        self.draw(st.sampled_from(options))()

    def fork(self) -> None:
        """Add two configurations made from one, and the choice between them."""
        base, kind = self.config(), f"tensor<{self.real}>"
        for _ in range(2):
            site, value = self.any_of(self.sites), self.any_of(self.reals)
            self.add(f"sym.write {base}[{site}], {value} : {kind}", self.configs)
        first, second = self.configs[-2:]
        p = self.any_of(self.booleans)
        self.add(f"sym.select {p}, {first}, {second}", self.configs)

    def statement(self) -> None:
        """Add an update or a scalar."""
        if self.sites and self.draw(st.integers(0, 2)) < 2:
            self.update()
        else:
            self.calculation()

    # endregion
    # region Emissions

    def amplitude(self) -> str:
        """Add a matrix element of the operator's type."""
        if self.element == self.real:
            return self.real_amplitude()
        parts = [self.any_of(self.reals), self.any_of(self.reals)]
        real, element = f"tensor<{self.real}>", f"tensor<{self.element}>"
        types = f"({real}, {real}) -> {element}"
        result = self.add(f"stablehlo.complex {', '.join(parts)} : {types}")
        for name, kind in self.parameters:
            if kind == self.element and self.draw(st.booleans()):
                return self.add(f"stablehlo.multiply {result}, {name} : {element}")
        return result

    def real_amplitude(self) -> str:
        a, kind = self.any_of(self.reals), f"tensor<{self.real}>"
        b = self.any_of([*self.reals, *(p for p, _ in self.parameters)])
        name = self.draw(st.sampled_from(["", "multiply", "divide", "sqrt"]))
        if not name:
            return a
        if name == "sqrt":
            a, name = self.add(f"stablehlo.sqrt {a} : {kind}"), "multiply"
        return self.add(f"stablehlo.{name} {a}, {b} : {kind}")

    def emit(self) -> None:
        amplitude = self.amplitude()
        predicate = self.draw(st.booleans()) and self.booleans
        guard = f" if {self.any_of(self.booleans)}" if predicate else ""
        tag = ' tag "t"' if self.draw(st.booleans()) else ""
        config = self.config()
        self.lines.append(
            f"sym.emit {config}, {amplitude}{guard}{tag} : tensor<{self.element}>"
        )

    # endregion


def _term(writer: _TermWriter, name: str, sites: int, most_statements: int) -> str:
    draw = writer.draw
    labels = draw(st.sampled_from([2, 1, 3, 2, 3, 0]))
    row = st.lists(st.integers(0, sites - 1), min_size=labels, max_size=labels)
    fewest = draw(st.sampled_from([2, 1, 3]))
    rows = draw(st.lists(row, min_size=fewest, max_size=4)) if labels else [[]]
    if labels > 1 and len(rows) > 1 and draw(st.booleans()):
        # Labels that alias in some rows only are the hard case
        rows[0] = [rows[0][0]] * labels
    if labels and draw(st.integers(0, 15)) == 1:
        rows = []
    table = ", ".join(map(str, rows)) if rows else f"0 x {labels}"
    writer.sites = [f"%s{k}" for k in range(labels)]
    arguments = ["%x: !sym.config", *[f"{site}: !sym.site" for site in writer.sites]]

    columns: list[str] = []
    if rows and draw(st.booleans()):
        column = st.lists(
            st.sampled_from(NUMBERS), min_size=len(rows), max_size=len(rows)
        )
        kind = f"tensor<{len(rows)}x{writer.real}>"
        columns.append(f'#sym.column<"J", dense<{draw(column)}> : {kind}>')
        writer.reals.append("%J")
        arguments.append(f"%J: tensor<{writer.real}>")
    if rows and draw(st.booleans()):
        column = st.lists(st.booleans(), min_size=len(rows), max_size=len(rows))
        values = str(draw(column)).lower()
        kind = f"tensor<{len(rows)}xi1>"
        columns.append(f'#sym.column<"on", dense<{values}> : {kind}>')
        writer.booleans.append("%on")
        arguments.append("%on: tensor<i1>")

    writer.reals += [p for p, kind in writer.parameters if kind == writer.real]
    writer.start()
    # Most often many: the first values are those that hypothesis shrinks to
    counts = [
        *range(most_statements + 1),
        *range(most_statements // 2, most_statements),
    ]
    for _ in range(draw(st.sampled_from(counts))):
        writer.statement()
    for _ in range(draw(st.integers(1, 3))):
        writer.emit()
    body = "\n".join(f"      {line}" for line in writer.lines)
    data = f" data [{', '.join(columns)}]" if columns else ""
    return (
        f"    sym.term @{name} over #sym.rows<{table}>{data} {{\n"
        f"    ^bb0({', '.join(arguments)}):\n{body}\n    }}"
    )


@st.composite
def programs(
    draw: Draw,
    elements: Sequence[str] = ("f64",),
    most_statements: int = 10,
    with_parameters: bool = True,
) -> Program:
    """Draw an operator with one of the element types `elements`."""
    sites = draw(st.integers(1, 4))
    pool = [states for states in LOCAL_STATES if len(states) <= LONGEST[sites]]
    if draw(st.booleans()):
        local = [draw(st.sampled_from(pool))]
    else:
        local = [draw(st.sampled_from(pool)) for _ in range(sites)]
    space = ", ".join(str(list(states)) for states in local)
    numbers = [*NUMBERS, *itertools.chain(*local)]

    element = draw(st.sampled_from(elements))
    real = element.removeprefix("complex<").removesuffix(">")
    parameters: list[tuple[str, str]] = []
    declared: list[str] = []
    if with_parameters and draw(st.booleans()):
        parameters.append(("%h", real))
        declared.append(f'%h "h" : tensor<{real}> = dense<0.5>')
    if with_parameters and element != real and draw(st.booleans()):
        parameters.append(("%g", element))
        declared.append(f'%g "g" : tensor<{element}> = dense<(0.5, -1.0)>')

    terms = [
        _term(
            _TermWriter(draw, element, numbers, parameters),
            f"t{k}",
            sites,
            most_statements,
        )
        for k in range(draw(st.sampled_from([1, 2, 1, 2, 0])))
    ]
    body = "\n".join(terms)
    text = (
        f"  sym.operator @o({', '.join(declared)}) space #sym.space<{sites} x {space}> "
        f"element {element} {{\n{body}\n  }}\n"
    )
    per_site = tuple(local) * (sites if len(local) == 1 else 1)
    return Program(text, per_site)


HOP = Program(
    """\
  sym.operator @hop() space #sym.space<3 x [0, 1, 2]> element f64 {
    sym.term @t over #sym.rows<[0, 1], [1, 1], [2, 0]> {
    ^bb0(%x: !sym.config, %i: !sym.site, %j: !sym.site):
      %one = stablehlo.constant dense<1.0> : tensor<f64>
      %minus = stablehlo.constant dense<-1.0> : tensor<f64>
      %n = sym.read %x[%i] : tensor<f64>
      %some = stablehlo.compare GE, %n, %one : (tensor<f64>, tensor<f64>) -> tensor<i1>
      %y = sym.shift %x[%i] by %minus : tensor<f64>
      %z = sym.shift %y[%j] by %one : tensor<f64>
      %m = sym.read %z[%j] : tensor<f64>
      %a = stablehlo.multiply %n, %m : tensor<f64>
      sym.emit %z, %a if %some : tensor<f64>
      sym.emit %x, %n : tensor<f64>
    }
  }
""",
    ((0.0, 1.0, 2.0),) * 3,
)
"""Updates of labels that alias in one row, checked and guarded, and two emissions."""
