"""Random operators for the passes on branch tensors, and what their values are."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from hypothesis import strategies as st
from xdsl.dialects.builtin import ModuleOp
from xdsl.dialects.func import FuncOp, ReturnOp
from xdsl.interpreter import Interpreter
from xdsl.ir import Operation, SSAValue

import symir as sym
from dialects.interpreters.bt import functions_of
from dialects.stablehlo import dtype_of, element_of
from symir.compiler.lowering import LoweringPipeline, operator_pipeline, run_passes
from symir.compiler.trace import Trace
from symir.validation.reports import ValidationReport

__all__ = [
    "OPTIMISED",
    "arguments_for",
    "checked",
    "flips",
    "function_of",
    "lowered",
    "ops_of",
    "pauli_sums",
    "questions",
    "remarks_of",
    "values_of",
]

Array = npt.NDArray[Any]
Draw = Any

OPTIMISED = f"sym-plan-fusion,{operator_pipeline('static', 3)}"
"""All passes from `sym` to `bt` that there are."""

here, i, j = sym.here, sym.site("i"), sym.site("j")
h = sym.symbol("h", default=0.75)


# region What passes do to an operator


def checked(operator: sym.SymbolicOperator, **options: Any) -> ValidationReport:
    """Compare an operator after every pass, by default without compiling it."""
    chosen: dict[str, Any] = {"lowering": OPTIMISED, "executable": False, **options}
    report = sym.check(operator, **chosen)
    report.raise_if_wrong()
    return report


def lowered(operator: sym.SymbolicOperator, until: str = "") -> ModuleOp:
    """Return the branch tensors of an operator, before the pass of a name."""
    passes = OPTIMISED.split(",")
    end = passes.index(until) if until else len(passes)
    return run_passes(operator.to_ir().module, ",".join(passes[:end]))


def ops_of(module: ModuleOp, name: str) -> list[Operation]:
    """Return the ops of a name."""
    return [op for op in module.walk() if op.name == name]


def remarks_of(
    operator: sym.SymbolicOperator, pass_name: str, passes: str = OPTIMISED
) -> list[Any]:
    """Return what a pass says of an operator."""
    trace = Trace(keeps_stages=False)
    LoweringPipeline.parse(passes).run(operator.to_ir().module, trace=trace)
    found = [one for one in trace.reports if one.pass_name == pass_name]
    return [remark for one in found for remark in one.remarks]


# endregion
# region Values of branch tensors


def function_of(module: ModuleOp) -> FuncOp:
    """Return the only function of a module."""
    (function,) = (op for op in module.ops if isinstance(op, FuncOp))
    return function


def arguments_for(
    module: ModuleOp, space: Any, batch: int = 5, seed: int = 0
) -> tuple[Array, ...]:
    """Return configurations and parameters for a function."""
    x = space.random_states(batch, seed=seed)
    rng = np.random.default_rng(seed)
    _, *parameters = function_of(module).body.block.args
    numbers = [
        np.asarray(rng.uniform(0.5, 2)).astype(dtype_of(element_of(one)))
        for one in parameters
    ]
    return x, *numbers


def values_of(module: ModuleOp, arguments: Sequence[Array]) -> dict[SSAValue, Array]:
    """Return what each value of the only function of a module is, by the reference."""
    block = function_of(module).body.block
    interpreter = Interpreter(module)
    for functions in functions_of(len(arguments[0]), arguments[0].dtype):
        interpreter.register_implementations(functions)
    values: dict[SSAValue, Any] = dict(zip(block.args, arguments, strict=True))
    for op in block.ops:
        if isinstance(op, ReturnOp):
            break
        found = interpreter.run_op(op, tuple(values[one] for one in op.operands))
        values.update(zip(op.results, found, strict=True))
    return values


# endregion
# region Random operators

SPACES = ((0, 1), (-1, 1), (0, 1, 2))


def _lattice(draw: Draw, sizes: Sequence[int]) -> tuple[Any, tuple[int, ...]]:
    size = draw(st.sampled_from(sizes))
    values = draw(st.sampled_from(SPACES))
    return sym.space([list(values)] * size), values


def _sites(draw: Draw, size: int, most: int) -> list[int]:
    count = min(size, draw(st.integers(0, most)))
    site = st.integers(0, size - 1)
    return draw(st.lists(site, min_size=count, max_size=count, unique=True))


def _question(draw: Draw, values: tuple[int, ...], depth: int = 2) -> Any:
    """Return a yes-or-no question about the site that a reduction is at."""
    number = draw(st.sampled_from([*values, 0.5]))
    kind = draw(st.integers(0, 7 if depth else 3))
    match kind:
        case 0:
            return here == number
        case 1:
            return here > number
        case 2:
            return 2 * here + 1 >= number
        case 3:
            return here * h > number
        case 4:
            return ~_question(draw, values, depth - 1)
        case 5:
            # A number for each row: few different ones are known one by one
            return sym.all_of(here == number, sym.row("J") > 0)
        case 6:
            return here == i
        case _:
            pair = [_question(draw, values, depth - 1) for _ in range(2)]
            return draw(st.sampled_from([sym.any_of, sym.all_of]))(*pair)


def _region(draw: Draw) -> Any:
    return draw(
        st.sampled_from(
            [
                sym.set_("near"),
                sym.all_sites(),
                sym.between("i", "j"),
                sym.sites_range("i", "j"),
                sym.sites_range(0, "j"),
            ]
        )
    )


def _answer(draw: Draw, values: tuple[int, ...]) -> Any:
    """Return a predicate that combines answers at sites."""
    over = _region(draw)
    match draw(st.integers(0, 3)):
        case 0:
            return sym.any_(_question(draw, values), over=over)
        case 1:
            return sym.all_(_question(draw, values), over=over)
        case 2 if all(value == int(value) for value in values):
            return sym.parity(here, over=over) == 1
        case _:
            return sym.parity(sym.where(_question(draw, values), 1, 0), over=over) == 1


@st.composite
def questions(
    draw: Draw, sizes: Sequence[int] = (1, 2, 5, 33, 70)
) -> sym.SymbolicOperator:
    """Draw an operator whose amplitudes and predicates ask questions of many sites."""
    space, values = _lattice(draw, sizes)
    n = space.size
    count = draw(st.sampled_from([1, 2, 3, 7]))
    rows = [tuple(draw(st.integers(0, n - 1)) for _ in range(2)) for _ in range(count)]
    builder = sym.DOperator(space, "questions").for_each(
        ("i", "j"),
        over=rows,
        data={"J": [draw(st.sampled_from([-1.0, 0.5])) for _ in rows]},
        sets={"near": [_sites(draw, n, 6) for _ in rows]},
    )
    if draw(st.booleans()):
        builder = builder.where(_answer(draw, values))
    for _ in range(draw(st.integers(1, 2))):
        amplitude = sym.where(_answer(draw, values), 1.5, -0.5) * sym.row("J")
        if draw(st.booleans()):
            builder = builder.emit(sym.shift_mod("i", 1), amplitude=amplitude)
        else:
            builder = builder.emit(amplitude=amplitude)
    return builder.build()


def _update(draw: Draw, values: tuple[int, ...]) -> Any:
    """Return an update that writes functions of x at the same site, mostly."""
    update: Any = sym
    for label in draw(st.sampled_from(["i", "j", "ij", "ii", "iji"])):
        site = sym.site(label)
        other = j if label == "i" else i
        low, high = values[0], values[-1]
        steps: list[tuple[Any, ...]] = [
            ("flip", label) if len(values) == 2 else ("shift_mod", label, 1),
            ("write", label, low + high - site.value),
            ("write", label, high),
            ("write", label, site.value),
            ("write", label, sym.where(site.value > low, low, high)),
            ("write", label, sym.where(site.index > 1, low, high)),
            ("write", label, other.value),
            ("shift", label, 1),
        ]
        if draw(st.integers(0, 5)) == 0:
            steps = [("swap", "i", "j"), ("hop", "i", "j")]
        name, *arguments = draw(st.sampled_from(steps))
        update = getattr(update, name)(*arguments)
    return update


@st.composite
def flips(
    draw: Draw, sizes: Sequence[int] = (1, 2, 4, 34), *, most_terms: int = 3
) -> sym.SymbolicOperator:
    """Draw an operator that writes functions of single sites, with equal x' often."""
    space, values = _lattice(draw, sizes)
    n = space.size
    builder = sym.DOperator(
        space, "flips", dtype=draw(st.sampled_from(["float64", "complex128"]))
    )
    for _ in range(draw(st.integers(1, most_terms))):
        count = draw(st.sampled_from([1, 2, 4, 6]))
        most = draw(st.sampled_from([n, min(n, 2)])) - 1
        rows = [
            tuple(draw(st.integers(0, most)) for _ in range(2)) for _ in range(count)
        ]
        numbers = [draw(st.sampled_from([-1.0, 0.5, 2.0])) for _ in rows]
        builder = builder.for_each(("i", "j"), over=rows, data={"J": numbers})
        if draw(st.integers(0, 3)) == 0:
            builder = builder.where(i.value > values[0])
        amplitudes = [
            sym.row("J"),
            h * i.value + 1.0,
            sym.row("J") * j.value,
            2.0,
        ]
        emissions = draw(st.integers(1, 3))
        for _ in range(emissions):
            amplitude = draw(st.sampled_from(amplitudes))
            if draw(st.integers(0, 5)) == 0:
                builder = builder.emit(amplitude=amplitude)
                continue
            update = _update(draw, values)
            if draw(st.integers(0, 3)) == 0:
                builder = builder.emit_if(
                    j.value < values[-1], update, amplitude=amplitude
                )
            else:
                builder = builder.emit(update, amplitude=amplitude)
        if draw(st.integers(0, 7)) == 0:
            builder = builder.fanout(max(1, count * emissions - 1))
    return builder.build()


@st.composite
def pauli_sums(
    draw: Draw, sizes: Sequence[int] = (1, 2, 3, 5)
) -> tuple[list[str], list[complex]]:
    """Draw Pauli strings that share their flips often, and their weights."""
    n = draw(st.sampled_from(sizes))
    patterns = [draw(st.lists(st.booleans(), min_size=n, max_size=n)) for _ in range(2)]
    strings: list[str] = []
    for _ in range(draw(st.integers(1, 6))):
        pattern = draw(st.sampled_from(patterns))
        strings.append(
            "".join(draw(st.sampled_from("XY" if one else "IZ")) for one in pattern)
        )
    number = st.sampled_from([1.0, -0.5, 0.25, 1.5])
    weights = [
        complex(draw(number), draw(st.sampled_from([0.0, 0.0, 1.0]))) for _ in strings
    ]
    return strings, weights


# endregion
