"""One operator at every level: they all say what the reference interpreter says."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt
from xdsl.dialects.builtin import ModuleOp

import symir
from dialects import sym
from dialects.interpreters.bt import run_branches
from dialects.interpreters.kernel import run_kernel
from dialects.interpreters.sym import Guards, connections
from dialects.text import context, parse_module, print_module
from lowering.bt.bt_specialize import state_type
from symir.compiler.lowering import (
    OPERATOR_PIPELINE,
    LoweringPipeline,
    lower_to_stablehlo,
    operator_pipeline,
)
from symir.operator.ir import SymbolicOperatorIR
from symir.operator.symbolic_operator import SymbolicOperator
from symir.validation.stages import GUARDS
from tests.fuzz.programs import Program

__all__ = ["Mismatch", "check"]

Array = npt.NDArray[Any]
Connections = tuple[Array, Array]

PASSES = LoweringPipeline.parse(f"sym-plan-fusion,{OPERATOR_PIPELINE}")

OPTIMISED = operator_pipeline("static", 3)
"""All passes that there are."""

MOST_STATES, RANDOM_STATES = 64, 32

SLACK = 4
"""Times the bound on an error, which is to first order and for one order of sums."""


class Mismatch(AssertionError):
    """A level that says something else than the reference."""


def check(
    program: Program,
    operator: SymbolicOperator,
    *,
    by_text: bool = False,
    by_jax: bool = False,
    by_relation: bool = False,
) -> None:
    """Compare all levels of an operator on its configurations.

    Three checks cost more than all others together, and are asked for: `by_text` prints
    and parses each level, verifying it, `by_jax` compiles the operator, and
    `by_relation` looks at the passes that sum lanes and choose how to compute, and at
    what each of them promises.

    Raises:
        Mismatch: where x' or a matrix element differs, or where the text of a level is
            not read back as it was.
    """
    ir = operator.to_ir()
    x = states_of(ir)
    values = {k: v for k, v in program.parameters if k in ir.free_symbols}
    given = _arguments(ir, values)
    expected = connections(ir.module, x, values)
    tolerance = SLACK * program.error * float(np.finfo(expected[1].dtype).eps)

    def compare(level: str, found: Connections) -> None:
        assert_same(level, x, expected, found, tolerance)

    lowered = ir.module
    for level, lowered in levels(ir.module):
        if by_text:
            assert_read_back(level, lowered)
        if not _is_symbolic(lowered):
            compare(level, run_branches(lowered, x, given))
            continue
        # Behind these passes the predicate alone says whether a branch is valid.
        guards = Guards.ALL
        for name, guard in GUARDS.items():
            if name in level:
                guards &= ~guard
        compare(level, connections(lowered, x, values, guards=guards))
    state = state_type(x.dtype)
    kernel = lower_to_stablehlo(lowered, len(x), state, verify=by_text)
    if by_text:
        assert_read_back("kernel", kernel)
    xp, mels = run_kernel(kernel, [x, *given])
    compare("kernel", (xp, mels))
    if by_jax:
        compare("JAX", run_by_jax(operator, x, values))
    if by_relation:
        report = symir.check(
            operator, samples=RANDOM_STATES, lowering=OPTIMISED, executable=False
        )
        report.raise_if_wrong()


def _arguments(ir: SymbolicOperatorIR, values: dict[str, complex]) -> list[Array]:
    """Return the parameters of an operator, in order."""
    both = {**ir.defaults, **values}
    kinds = zip(ir.free_symbols, ir.parameter_dtypes, strict=True)
    return [np.asarray(both[name], dtype) for name, dtype in kinds]


def _is_symbolic(module: ModuleOp) -> bool:
    return any(isinstance(op, sym.OperatorOp) for op in module.ops)


def states_of(ir: SymbolicOperatorIR) -> Array:
    """Return all configurations of a small space, some of a large one: (n, N)."""
    space = ir.space
    if space.n_states <= MOST_STATES:
        return space.all_states()
    return space.random_states(RANDOM_STATES, seed=0)


def levels(module: ModuleOp) -> Iterator[tuple[str, ModuleOp]]:
    """Yield a module as it is, and after each pass down to branch tensors."""
    yield "sym", module
    current, ctx, names = module.clone(), context(), list[str]()
    for one in PASSES:
        one.apply(ctx, current)
        names.append(one.name)
        yield ",".join(names), current


def assert_read_back(level: str, module: ModuleOp) -> None:
    """Check that a module is valid, and its text that of what it is read as."""
    module.verify()
    text = print_module(module)
    again = print_module(parse_module(text))
    if again != text:
        raise Mismatch(f"after {level}: printed and parsed is\n{again}\nnot\n{text}")


def assert_same(
    level: str, x: Array, expected: Connections, found: Connections, tolerance: float
) -> None:
    """Compare x' exactly, and matrix elements up to rounding."""
    (xp, mels), (found_xp, found_mels) = expected, found
    if (xp.shape, xp.dtype) != (found_xp.shape, found_xp.dtype):
        raise Mismatch(
            f"{level}: x' of {found_xp.shape} {found_xp.dtype}, "
            f"not {xp.shape} {xp.dtype}"
        )
    if (mels.shape, mels.dtype) != (found_mels.shape, found_mels.dtype):
        raise Mismatch(f"{level}: elements of {found_mels.shape} {found_mels.dtype}")
    wrong = (xp != found_xp).any(axis=-1) | ~_close(mels, found_mels, tolerance)
    if not wrong.any():
        return
    sample, lane = map(int, np.argwhere(wrong)[0])
    raise Mismatch(
        f"{level}: {wrong.sum()} branches of {wrong.size} differ; the first, "
        f"lane {lane} at x = {x[sample].tolist()}, is "
        f"{found_xp[sample, lane].tolist()}, {found_mels[sample, lane]!r} and not "
        f"{xp[sample, lane].tolist()}, {mels[sample, lane]!r} (+- {tolerance:.1e})"
    )


def _close(expected: Array, found: Array, tolerance: float) -> npt.NDArray[np.bool_]:
    """Whether numbers agree: NaN is NaN, infinite is as infinite."""
    special = ~np.isfinite(expected) | ~np.isfinite(found)
    with np.errstate(all="ignore"):
        near = np.abs(expected - found) <= tolerance
        both = np.isnan(expected) & np.isnan(found)
    return np.where(special, both | (expected == found), near)


def run_by_jax(
    operator: SymbolicOperator, x: Array, values: dict[str, complex]
) -> Connections:
    """Compile the operator, and run it under `jax.jit`."""
    import jax

    with jax.enable_x64(True):
        compiled = operator.compile().replace(**values)
        states, elements = jax.jit(lambda one, at: one.get_conn_padded(at))(compiled, x)
        return np.asarray(states), np.asarray(elements)
