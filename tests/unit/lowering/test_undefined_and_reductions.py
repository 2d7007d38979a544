"""Computed sites, site sets, reductions and undefined values, on all configurations.

Random terms that use them are interpreted before and after each pass, and compiled: a
branch that needs an undefined value is not valid, whoever computes it.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from xdsl.dialects.builtin import ModuleOp

from dialects import sym
from dialects.interpreters.sym import (
    Guards,
    connections,
)
from dialects.text import parse_module
from lowering.analysis.sites import normal_form_error
from tests.unit.lowering.programs import Program
from tests.unit.lowering.test_kernels import (
    assert_compiled_is_interpreted,
    assert_kernel_is_that_of,
    compile_and_run,
)
from tests.unit.lowering.test_meaning import BEFORE_GUARD, assert_same, run

Array = npt.NDArray[Any]
Draw = Any

GUARDED = "sym-guard-undefined"
ELEMENTS = ("f64", "f32", "complex<f64>")

SHORT = ((0.0, 1.0), (-1.0, 1.0), (0.0, 1.0, 2.0), (-2.0, 0.0, 2.0), (0.0, 0.5, 2.0))
"""Local values of up to three sites."""

LONG = ((0.0, 1.0, 2.0, 3.0, 4.0, 5.0, 6.0), (-3.0, 0.0, 3.0, 6.0, 9.0))
"""Local values of a single site: checked by their bounds."""

NUMBERS = (-2.0, -1.0, 0.0, 0.5, 1.0, 2.0)

MOST_PRODUCTS = 3
"""In one term: keeps all numbers exact in f32."""


# region Programs


@dataclass
class _Writer:
    """Draws the statements of a term, or of the body of a reduction."""

    draw: Draw
    element: str
    sites: list[str]
    sets: list[str]
    reals: list[str] = field(default_factory=list[str])
    booleans: list[str] = field(default_factory=list[str])
    integers: list[str] = field(default_factory=list[str])
    configs: list[str] = field(default_factory=lambda: ["%x"])
    lines: list[str] = field(default_factory=list[str])
    names: Iterator[int] = field(default_factory=itertools.count)
    products: list[str] = field(default_factory=list[str])
    in_body: bool = False

    @property
    def real(self) -> str:
        inner = self.element.removeprefix("complex<").removesuffix(">")
        return f"tensor<{inner}>"

    def any_of(self, values: list[str]) -> str:
        """Draw one; the later ones are drawn by going back from the end."""
        return values[-self.draw(st.integers(1, len(values)))]

    def add(self, text: str, into: list[str]) -> str:
        name = f"%v{next(self.names)}"
        self.lines.append(f"{name} = {text}")
        into.append(name)
        return name

    def number(self) -> None:
        value = self.draw(st.sampled_from(NUMBERS))
        self.add(f"stablehlo.constant dense<{value}> : {self.real}", self.reals)

    def integer(self) -> None:
        value = self.draw(st.integers(-1, 3))
        self.add(f"stablehlo.constant dense<{value}> : tensor<i32>", self.integers)

    def read(self) -> None:
        config, site = self.any_of(self.configs), self.any_of(self.sites)
        self.add(f"sym.read {config}[{site}] : {self.real}", self.reals)

    def index(self) -> None:
        self.add(f"sym.index {self.any_of(self.sites)}", self.integers)

    def next_index(self) -> None:
        a, b = self.any_of(self.integers), self.any_of(self.integers)
        self.add(f"stablehlo.add {a}, {b} : tensor<i32>", self.integers)

    def real_of_index(self) -> None:
        source = self.any_of(self.integers)
        text = f"stablehlo.convert {source} : (tensor<i32>) -> {self.real}"
        self.add(text, self.reals)

    def index_of_real(self) -> None:
        source = self.any_of(self.reals)
        text = f"stablehlo.convert {source} : ({self.real}) -> tensor<i32>"
        self.add(text, self.integers)

    def site(self) -> None:
        if self.integers and self.draw(st.booleans()):
            text = f"sym.site {self.any_of(self.integers)} : tensor<i32>"
        else:
            text = f"sym.site {self.any_of(self.reals)} : {self.real}"
        self.add(text, self.sites)

    def element_of_set(self) -> None:
        position = self.draw(st.integers(0, 3))
        self.add(f"sym.element {self.any_of(self.sets)}[{position}]", self.sites)

    def local_index(self) -> None:
        value, site = self.any_of(self.reals), self.any_of(self.sites)
        self.add(f"sym.local_index {value} at {site} : {self.real}", self.reals)

    def local_value(self) -> None:
        value, site = self.any_of(self.reals), self.any_of(self.sites)
        self.add(f"sym.local_value {value} at {site} : {self.real}", self.reals)

    def lookup(self) -> None:
        kinds = [(self.reals, self.real), (self.integers, "tensor<i32>")]
        values, kind = self.draw(st.sampled_from(kinds[: 1 + bool(self.integers)]))
        entries = self.draw(st.lists(st.sampled_from(NUMBERS), min_size=1, max_size=3))
        table = self.real.replace("<", f"<{len(entries)}x")
        text = (
            f"sym.lookup dense<{entries}> : {table} at {self.any_of(values)} : {kind}"
        )
        self.add(f"{text} -> {self.real}", self.reals)

    def arithmetic(self) -> None:
        names = ["add", "subtract", "maximum", "multiply"]
        name = self.draw(st.sampled_from(names[: 3 + self.may_multiply()]))
        a, b = self.any_of(self.reals), self.any_of(self.reals)
        self.add(f"stablehlo.{name} {a}, {b} : {self.real}", self.reals)

    def may_multiply(self) -> bool:
        if len(self.products) >= MOST_PRODUCTS:
            return False
        self.products.append("one")
        return True

    def compare(self) -> None:
        direction = self.draw(st.sampled_from(["EQ", "NE", "LT", "GE"]))
        a, b = self.any_of(self.reals), self.any_of(self.reals)
        types = f"({self.real}, {self.real}) -> tensor<i1>"
        self.add(f"stablehlo.compare {direction}, {a}, {b} : {types}", self.booleans)

    def compare_indices(self) -> None:
        direction = self.draw(st.sampled_from(["EQ", "NE", "LT", "GE"]))
        a, b = self.any_of(self.integers), self.any_of(self.integers)
        types = "(tensor<i32>, tensor<i32>) -> tensor<i1>"
        self.add(f"stablehlo.compare {direction}, {a}, {b} : {types}", self.booleans)

    def logic(self) -> None:
        name = self.draw(st.sampled_from(["and", "or", "xor"]))
        a, b = self.any_of(self.booleans), self.any_of(self.booleans)
        self.add(f"stablehlo.{name} {a}, {b} : tensor<i1>", self.booleans)

    def allowed(self) -> None:
        value, site = self.any_of(self.reals), self.any_of(self.sites)
        self.add(f"sym.allowed {value} at {site} : {self.real}", self.booleans)

    def choose(self) -> None:
        p = self.any_of(self.booleans)
        a, b = self.any_of(self.reals), self.any_of(self.reals)
        text = f"stablehlo.select {p}, {a}, {b} : tensor<i1>, {self.real}"
        self.add(text, self.reals)

    def update(self) -> None:
        config, site = self.any_of(self.configs), self.any_of(self.sites)
        value, kind = self.any_of(self.reals), self.real
        texts = [
            f"sym.write {config}[{site}], {value} : {kind}",
            f"sym.shift {config}[{site}] by {value} : {kind}",
            f"sym.shift_mod {config}[{site}] by {value} : {kind}",
            f"sym.swap {config}[{site}, {self.any_of(self.sites)}]",
            f"sym.permute {config}[{self._several_sites()}]",
            'sym.invalid "nothing"',
        ]
        if self.may_multiply():
            bias = self.any_of(self.reals)
            scaled = f"scale {value} bias {bias}"
            texts.append(f"sym.affine {config}[{site}] {scaled} : {kind}")
        self.add(self.draw(st.sampled_from(texts)), self.configs)

    def _several_sites(self) -> str:
        count = self.draw(st.integers(2, 3))
        return ", ".join(self.any_of(self.sites) for _ in range(count))

    def choose_configuration(self) -> None:
        p = self.any_of(self.booleans)
        a, b = self.any_of(self.configs), self.any_of(self.configs)
        self.add(f"sym.select {p}, {a}, {b}", self.configs)

    def reduction(self) -> None:
        body = replace(
            self,
            sites=[*self.sites, "%here"],
            reals=list(self.reals),
            booleans=list(self.booleans),
            integers=list(self.integers),
            configs=list(self.configs),
            lines=[],
            in_body=True,
        )
        if self.draw(st.integers(0, 3)):
            config = self.any_of(self.configs)
            body.add(f"sym.read {config}[%here] : {self.real}", body.reals)
        for _ in range(self.draw(st.integers(0, 3))):
            body.statement()
        numbers = not body.booleans or self.draw(st.booleans())
        kinds = ["sum", "prod"] if numbers else ["any", "all", "parity"]
        kind = self.draw(st.sampled_from(kinds))
        if kind == "prod" and not (self.may_multiply() and self.may_multiply()):
            kind = "sum"
        into, kept = self.booleans, body.booleans
        if numbers:
            into, kept = self.reals, body.reals
        result = self.real if numbers else "tensor<i1>"
        lines = [*body.lines, f"sym.yield {self.any_of(kept)} : {result}"]
        text = "\n        ".join(lines)
        self.add(
            f"sym.reduce {kind} {self._over()}: {result} {{\n"
            f"      ^bb0(%here : !sym.site):\n        {text}\n      }}",
            into,
        )

    def _over(self) -> str:
        options = [""]
        if self.sets:
            options += [f"over {self.any_of(self.sets)} "] * 2
        if self.integers:
            start, stop = self.any_of(self.integers), self.any_of(self.integers)
            options += [f"from {start} to {stop} "] * 2
        return self.draw(st.sampled_from(options))

    def statement(self) -> None:
        options: list[Callable[[], None]] = [self.number, self.integer]
        options += [self.arithmetic, self.compare]
        if self.booleans:
            options += [self.logic, self.choose, self.choose_configuration]
        if self.integers:
            options += [self.next_index, self.real_of_index, self.compare_indices]
        options += [self.site, self.index_of_real, self.lookup]
        if self.sets:
            options += [self.element_of_set] * 2
        if self.sites:
            options += [self.read, self.index, self.local_index, self.local_value]
            options += [self.update] * 6 + [self.allowed]
        if not self.in_body:
            options += [self.reduction] * 4
        self.draw(st.sampled_from(options))()

    def emit(self) -> None:
        amplitude = self.any_of(self.reals)
        if self.element.startswith("complex"):
            parts = f"{amplitude}, {self.any_of(self.reals)}"
            types = f"({self.real}, {self.real}) -> tensor<{self.element}>"
            amplitude = self.add(f"stablehlo.complex {parts} : {types}", [])
        guarded = self.booleans and self.draw(st.booleans())
        guard = f" if {self.any_of(self.booleans)}" if guarded else ""
        config = self.any_of(self.configs)
        self.lines.append(
            f"sym.emit {config}, {amplitude}{guard} : tensor<{self.element}>"
        )


@st.composite
def programs(draw: Draw, most_statements: int = 9) -> Program:
    """Draw an operator of one term."""
    sites: int = draw(st.sampled_from([3, 2, 1]))
    pool = (*SHORT, *LONG) if sites == 1 else SHORT
    count = draw(st.sampled_from([1, 1, sites]))
    local = [draw(st.sampled_from(pool)) for _ in range(count)]
    element = draw(st.sampled_from(ELEMENTS))

    labels = draw(st.integers(0, 2))
    rows = draw(st.integers(1, 3))
    row = st.lists(st.integers(0, sites - 1), min_size=labels, max_size=labels)
    table = [draw(row) for _ in range(rows)]
    members = st.lists(st.integers(0, sites - 1), max_size=3)
    sets = [
        [draw(members) for _ in range(rows)] for _ in range(draw(st.integers(0, 2)))
    ]

    writer = _Writer(
        draw,
        element,
        [f"%s{k}" for k in range(labels)],
        [f"%set{k}" for k in range(len(sets))],
    )
    arguments = [
        "%x : !sym.config",
        *[f"{name} : !sym.site" for name in writer.sites],
        *[f"{name} : !sym.sites" for name in writer.sets],
    ]
    writer.number()
    for site in writer.sites:
        writer.add(f"sym.read %x[{site}] : {writer.real}", writer.reals)
    for _ in range(draw(st.integers(1, most_statements))):
        writer.statement()
    for _ in range(draw(st.integers(1, 2))):
        writer.emit()

    body = "\n".join(f"      {line}" for line in writer.lines)
    listed = ", ".join(f"#sym.sets<{', '.join(map(str, own))}>" for own in sets)
    space = ", ".join(str(list(states)) for states in local)
    text = (
        f"  sym.operator @o() space #sym.space<{sites} x {space}> "
        f"element {element} {{\n"
        f"    sym.term @t over #sym.rows<{', '.join(map(str, table))}>"
        f"{f' sets [{listed}]' if sets else ''} {{\n"
        f"    ^bb0({', '.join(arguments)}):\n{body}\n    }}\n  }}\n"
    )
    return Program(text, tuple(local) * (sites if count == 1 else 1))


# endregion
# region Each pass


@settings(max_examples=100)
@given(programs())
def test_each_pass_keeps_every_branch_and_the_guards_exclude_no_other(
    program: Program,
) -> None:
    module = program.module()
    expected = connections(module, program.configurations)
    for name in (GUARDED, *BEFORE_GUARD, "sym-guard-space"):
        module = run(module, name)
        guards = Guards.NONE if name == "sym-guard-space" else Guards.SPACE
        found = connections(module, program.configurations, guards=guards)
        assert_same(expected, found)
        if name == BEFORE_GUARD[-1]:
            for op in module.walk():
                if isinstance(op, sym.TermOp):
                    assert normal_form_error(op) is None
    # Of floats: an integer hides that a value left the space
    x = program.configurations.astype(np.float64)
    found = connections(module, x, guards=Guards.NONE)
    assert_same(connections(program.module(), x), found)


@settings(max_examples=60)
@given(programs(), st.permutations(BEFORE_GUARD))
def test_the_passes_after_the_guard_take_any_order(
    program: Program, order: list[str]
) -> None:
    order = [name for name in order if name != "sym-expand-updates"]
    order.insert(order.index("sym-forward-reads"), "sym-expand-updates")
    module = program.module()
    expected = connections(module, program.configurations)
    for name in (GUARDED, *order):
        module = run(module, name)
    found = connections(module, program.configurations, guards=Guards.SPACE)
    assert_same(expected, found)


# endregion
# region The kernel


@settings(max_examples=20)
@given(programs(), st.integers(0, 2), st.sampled_from(["i8", "f32", "f64"]))
def test_compiled_kernels_connect_what_the_operator_says(
    program: Program, batch: int, state: str
) -> None:
    assert_kernel_is_that_of(program, batch, state)


# endregion


# region Cases that went wrong, or could


HEAD = """
  sym.operator @o() space #sym.space<{space}> element {element} {{
    sym.term @t over #sym.rows<{rows}>{sets} {{
    ^bb0(%x : !sym.config{arguments}):
      %zero = stablehlo.constant dense<0.0> : tensor<{element}>
      %one = stablehlo.constant dense<1.0> : tensor<{element}>
      %two = stablehlo.constant dense<2.0> : tensor<{element}>
      {body}
    }}
  }}
"""


def operator(
    body: str,
    *,
    rows: str = "[]",
    sets: str = "",
    arguments: str = "",
    space: str = "3 x [0, 1]",
    element: str = "f64",
) -> ModuleOp:
    """Build an operator of one term."""
    text = HEAD.format(
        body=body,
        rows=rows,
        sets=f" sets [#sym.sets<{sets}>]" if sets else "",
        arguments=arguments,
        space=space,
        element=element,
    )
    return parse_module(text)


def check(module: ModuleOp, x: Array) -> tuple[Array, Array]:
    """Return the branches, which are those of the kernel and after every pass."""
    expected = connections(module, x)
    lowered = module
    for name in (GUARDED, *BEFORE_GUARD, "sym-guard-space"):
        lowered = run(lowered, name)
        guards = Guards.NONE if name == "sym-guard-space" else Guards.SPACE
        assert_same(expected, connections(lowered, x, guards=guards))
    assert_compiled_is_interpreted(module, x)
    return expected


def all_states(local: list[float], sites: int = 3) -> Array:
    return np.array(list(itertools.product(local, repeat=sites)))


ARGUMENTS = ", %i : !sym.site, %s : !sym.sites"


def test_what_was_written_to_no_site_is_not_read() -> None:
    module = operator(
        """
      %e = sym.element %s[1]
      %f = sym.element %s[2]
      %y = sym.write %x[%e], %one : tensor<f64>
      %same = sym.read %y[%e] : tensor<f64>
      %other = sym.read %y[%f] : tensor<f64>
      sym.emit %y, %same : tensor<f64>
      sym.emit %y, %other : tensor<f64>
        """,
        rows="[0], [1]",
        sets="[0, 1], [1]",
        arguments=ARGUMENTS,
    )
    _, mels = check(module, np.zeros((1, 3)))
    assert mels.tolist() == [[1, 0, 0, 0]]


def test_what_is_swapped_with_no_site_is_zero() -> None:
    body = """
      %e = sym.element %s[0]
      %y = sym.swap %x[%i, %e]
      %z = sym.permute %x[%e, %i]
      %w = sym.shift_mod %y[%i] by %one : tensor<f64>
      sym.emit %y, %one : tensor<f64>
      sym.emit %z, %one : tensor<f64>
      sym.emit %w, %one : tensor<f64>
    """
    module = operator(body, rows="[0]", sets="[]", arguments=ARGUMENTS)
    states, mels = check(module, np.ones((1, 3)))
    assert states.tolist() == [[[0, 1, 1], [0, 1, 1], [1, 1, 1]]]
    assert mels.tolist() == [[1, 1, 1]]
    # where 0 is not allowed, nothing can be moved on from it
    module = operator(
        body, rows="[0]", sets="[]", arguments=ARGUMENTS, space="3 x [1, 2]"
    )
    assert not check(module, np.ones((1, 3)))[1].any()


def test_the_place_of_a_value_at_no_site_is_zero() -> None:
    module = operator(
        """
      %e = sym.element %s[0]
      %k = sym.local_index %two at %e : tensor<f64>
      %v = sym.local_value %two at %e : tensor<f64>
      sym.emit %x, %k : tensor<f64>
      sym.emit %x, %v : tensor<f64>
        """,
        rows="[0], [1]",
        sets="[], [2]",
        arguments=ARGUMENTS,
        space="3 x [1, 2]",
    )
    _, mels = check(module, np.ones((1, 3)))
    assert mels.tolist() == [[0, 0, 1, 1]]


def test_the_last_value_of_a_short_space_has_its_own_place() -> None:
    module = operator(
        """
      %v = sym.read %x[%i] : tensor<f64>
      %k = sym.local_index %v at %i : tensor<f64>
      %y = sym.shift_mod %x[%i] by %one : tensor<f64>
      sym.emit %y, %k : tensor<f64>
        """,
        rows="[0], [1]",
        arguments=", %i : !sym.site",
        space="2 x [0, 0.5, 2], [0, 1]",
    )
    states, mels = check(module, np.array([[0.5, 1.0]]))
    assert states.tolist() == [[[2, 1], [0.5, 0]]]
    assert mels.tolist() == [[1, 1]]


SIZES = (3, 5, 7, 13, 15, 28, 41, 49, 61)


@pytest.mark.parametrize("element", ["f32", "f64"])
@pytest.mark.parametrize(
    ("step", "sizes"), [(1, SIZES), (7, (49, 61)), (41, (49, 61)), (49, (49, 61))]
)
def test_shifts_go_around_local_spaces_of_any_size(
    element: str, step: int, sizes: tuple[int, ...]
) -> None:
    # XLA multiplies by the inverse of a constant: 49 * (1 / 49) < 1
    for size in sizes:
        values = [float(step * k) for k in range(size)]
        module = operator(
            f"""
      %d = stablehlo.constant dense<1.0> : tensor<{element}>
      %n = sym.read %x[%i] : tensor<{element}>
      %k = sym.local_index %n at %i : tensor<{element}>
      %step = stablehlo.constant dense<{step}.0> : tensor<{element}>
      %y = sym.shift_mod %x[%i] by %d : tensor<{element}>
      %z = sym.shift %x[%i] by %step : tensor<{element}>
      sym.emit %y, %k : tensor<{element}>
      sym.emit %z, %one : tensor<{element}>
            """,
            rows="[0]",
            arguments=", %i : !sym.site",
            space=f"1 x {values}",
            element=element,
        )
        x = np.array(values)[:, None]
        states, mels = compile_and_run(module, x)
        assert states[:, 0, 0].tolist() == [*values[1:], values[0]]
        assert mels[:, 0].tolist() == list(range(size))
        assert states[:, 1, 0].tolist() == [*values[1:], values[-1]]
        assert mels[:, 1].tolist() == [1.0] * (size - 1) + [0.0]


def test_a_reduction_needs_what_it_takes_from_around_it() -> None:
    body = """
      %c = stablehlo.compare EQ, %v, %one : (tensor<f64>, tensor<f64>) -> tensor<i1>
      %none = sym.invalid
      %y = sym.select %c, %x, %none
      %n = sym.reduce sum over %s : tensor<f64> {
      ^bb0(%h : !sym.site):
        %w = sym.read %y[%h] : tensor<f64>
        %p = stablehlo.select %c, %w, %zero : tensor<i1>, tensor<f64>
        sym.yield %PICK : tensor<f64>
      }
      sym.emit %x, %one if %c : tensor<f64>
      sym.emit %x, %n : tensor<f64>
    """
    read = "%v = sym.read %x[%i] : tensor<f64>"
    x = np.array([[1.0, 1, 0], [0, 1, 1]])
    for pick, second in (("w", [0, 0]), ("p", [0, 0])):
        module = operator(
            read + body.replace("%PICK", f"%{pick}"),
            rows="[0], [0]",
            sets="[0, 1], []",
            arguments=ARGUMENTS,
        )
        _, mels = check(module, x)
        assert mels[:, 1].tolist() == [2, 0]
        assert mels[:, 3].tolist() == second


def test_an_undefined_value_in_a_reduction_is_undefined() -> None:
    module = operator("""
      %n = sym.reduce sum : tensor<f64> {
      ^bb0(%h : !sym.site):
        %k = sym.index %h
        %next = stablehlo.add %k, %k : tensor<i32>
        %j = sym.site %next : tensor<i32>
        %v = sym.read %x[%h] : tensor<f64>
        %w = sym.read %x[%j] : tensor<f64>
        %c = stablehlo.compare EQ, %v, %one : (tensor<f64>, tensor<f64>) -> tensor<i1>
        %p = stablehlo.select %c, %w, %two : tensor<i1>, tensor<f64>
        sym.yield %p : tensor<f64>
      }
      sym.emit %x, %n : tensor<f64>
    """)
    x = all_states([0.0, 1.0])
    _, mels = check(module, x)
    # site 2 would need site 4 where it holds 1
    expected = [
        0 if c else (a if a else 2) + (c if b else 2) + 2 for a, b, c in x.tolist()
    ]
    assert mels[:, 0].tolist() == expected


@pytest.mark.parametrize(
    ("kind", "empty"),
    [("sum", 0), ("prod", 1), ("any", 0), ("all", 1), ("parity", 0)],
)
@pytest.mark.parametrize("over", ["over %s ", "from %a to %b "])
def test_reductions_over_no_site(kind: str, empty: int, over: str) -> None:
    numbers = kind in ("sum", "prod")
    result = "tensor<f64>" if numbers else "tensor<i1>"
    value = "%two" if numbers else "%true"
    last = "%n" if numbers else "%m"
    module = operator(
        f"""
      %a = stablehlo.constant dense<2> : tensor<i32>
      %b = stablehlo.constant dense<1> : tensor<i32>
      %true = stablehlo.constant dense<true> : tensor<i1>
      %n = sym.reduce {kind} {over}: {result} {{
      ^bb0(%h : !sym.site):
        sym.yield {value} : {result}
      }}
      {"" if numbers else f"%m = stablehlo.convert %n : ({result}) -> tensor<f64>"}
      sym.emit %x, {last} : tensor<f64>
        """,
        rows="[0], [1]",
        sets="[], []",
        arguments=ARGUMENTS,
    )
    _, mels = check(module, np.zeros((2, 3)))
    assert mels.tolist() == [[empty, empty]] * 2
    assert check(module, np.zeros((0, 3)))[1].shape == (0, 2)


def test_integers_wrap_around_in_sums() -> None:
    module = operator("""
      %big = stablehlo.constant dense<2147483647> : tensor<i32>
      %n = sym.reduce sum : tensor<i32> {
      ^bb0(%h : !sym.site):
        sym.yield %big : tensor<i32>
      }
      %v = stablehlo.convert %n : (tensor<i32>) -> tensor<f64>
      sym.emit %x, %v : tensor<f64>
    """)
    assert check(module, np.zeros((1, 3)))[1].tolist() == [[3 * (2**31 - 1) - 2**32]]


@pytest.mark.parametrize("rows", ["[]", "[], []"])
def test_sites_that_differ_from_sample_to_sample(rows: str) -> None:
    module = operator(
        """
      %n = sym.reduce sum : tensor<f64> {
      ^bb0(%h : !sym.site):
        %v = sym.read %x[%h] : tensor<f64>
        sym.yield %v : tensor<f64>
      }
      %j = sym.site %n : tensor<f64>
      %v = sym.read %x[%j] : tensor<f64>
      %flipped = stablehlo.subtract %one, %v : tensor<f64>
      %y = sym.write %x[%j], %flipped : tensor<f64>
      sym.emit %y, %one : tensor<f64>
        """,
        rows=rows,
    )
    x = all_states([0.0, 1.0])
    states, mels = check(module, x)
    for own, connected, elements in zip(x, states, mels, strict=True):
        count = int(own.sum())
        assert elements.tolist() == [float(count < 3)] * len(elements)
        expected = own.copy()
        if count < 3:
            expected[count] = 1 - own[count]
        assert all(one.tolist() == expected.tolist() for one in connected)


def test_a_term_without_rows_has_no_lanes() -> None:
    module = operator(
        """
      %e = sym.element %s[0]
      %n = sym.reduce sum over %s : tensor<f64> {
      ^bb0(%h : !sym.site):
        sym.yield %one : tensor<f64>
      }
      %y = sym.shift_mod %x[%e] by %n : tensor<f64>
      sym.emit %y, %n : tensor<f64>
        """,
        rows="0 x 1",
        arguments=ARGUMENTS,
        sets=" ",
    )
    states, mels = check(module, np.zeros((2, 3)))
    assert (states.shape, mels.shape) == ((2, 0, 3), (2, 0))


# endregion
