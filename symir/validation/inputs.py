"""What an operator is checked on: configurations, and values of parameters."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from lowering.bt.bt_specialize import STATE_DTYPES
from symir.compiler.checks import as_configurations
from symir.errors import InputError
from symir.language.scalars import items_of
from symir.operator.ir import SymbolicOperatorIR
from symir.operator.spaces import Space, as_space
from symir.operator.symbolic_operator import SymbolicOperator
from symir.validation.reports import Array, Parameters

MODES = ("sampled", "exhaustive")

SAMPLES = 64
"""Random configurations that are checked by default."""

MAX_STATES = 2**16
"""Spaces of more configurations than this are sampled only."""


def operator_of(op: Any) -> tuple[SymbolicOperatorIR, Space, Parameters]:
    """Return what is to be checked, and values of parameters that it comes with."""
    if isinstance(op, SymbolicOperatorIR):
        return op, op.space, {}
    if isinstance(op, SymbolicOperator):
        return op.to_ir(), as_space(op.hilbert), {}
    ir = getattr(getattr(op, "kernel", op), "ir", None)
    if isinstance(ir, SymbolicOperatorIR):
        own = {name: np.asarray(v).item() for name, v in op.parameters.items()}
        return ir, as_space(op.hilbert), own
    raise InputError(
        "V012",
        "this cannot be checked",
        expected="an operator, a compiled operator, or its IR",
        found=repr(op),
    )


def bad_argument(
    ir: SymbolicOperatorIR, what: str, expected: str, found: str, code: str = "V012"
) -> InputError:
    return InputError(
        code,
        f"the check cannot be made with this {what}",
        operator=ir.operator_name,
        expected=expected,
        found=found,
    )


def configurations_of(
    ir: SymbolicOperatorIR,
    space: Space,
    x: npt.ArrayLike | None,
    validate: str,
    samples: int,
    seed: int,
) -> tuple[Array, str]:
    if x is not None:
        given = as_configurations(ir.operator_name, space, x)
        # Whatever the byte order
        given = given.astype(given.dtype.newbyteorder("="), copy=False)
        if given.dtype not in STATE_DTYPES.values():
            raise bad_argument(ir, "x", "a dtype of kernels", str(given.dtype))
        return given, "given"
    if validate == "exhaustive" and space.n_states > MAX_STATES:
        expected = f"at most {MAX_STATES} configurations"
        raise bad_argument(ir, "space", expected, str(space.n_states), "V011")
    if validate == "exhaustive" or space.n_states <= samples:
        return space.all_states(), "exhaustive"
    return space.random_states(samples, seed=seed), "sampled"


def parameter_sets(
    ir: SymbolicOperatorIR,
    own: Parameters,
    given: Parameters | Sequence[Parameters] | None,
    seed: int,
) -> list[Parameters]:
    own = {**ir.bind(otherwise=1.0), **own}
    if given is not None:
        sets = items_of(given)
        sets = [given] if sets is None else list(sets)
        if not sets:
            raise bad_argument(ir, "parameters", "at least one set of values", "none")
        return [
            ir.bind({**own, **one} if isinstance(one, Mapping) else one) for one in sets
        ]
    if not own:
        return [{}]
    rng = np.random.default_rng(seed)
    drawn: dict[str, complex] = {}
    for name, dtype in zip(ir.free_symbols, ir.parameter_dtypes, strict=True):
        real, imaginary = rng.uniform(0.5, 1.5, 2).tolist()
        drawn[name] = complex(real, imaginary) if dtype.kind == "c" else real
    return [own, drawn]
