"""Operators in other numbers than floats: exactly, and as bounds of matrix elements."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NoReturn, get_args

import numpy.typing as npt
from xdsl.dialects.builtin import ModuleOp

from dialects import sym
from dialects.interpreters import exact, intervals
from dialects.interpreters.exact import Inexact, NoExactAnswer
from dialects.interpreters.intervals import Bounds, ComplexNumbers, Ranges
from symir.errors import InputError
from symir.operator.ir import SymbolicOperatorIR
from symir.operator.symbolic_operator import SymbolicOperator
from symir.provenance import whereabouts
from symir.validation.values import bad_parameters, module_of, samples_of

Array = npt.NDArray[Any]
AnyOperator = SymbolicOperator | SymbolicOperatorIR | ModuleOp


def exact_connections(
    operator: AnyOperator,
    x: npt.ArrayLike,
    parameters: Mapping[str, complex] | None = None,
    *,
    inexact: Inexact = "error",
) -> tuple[Array, Array]:
    """Return connected configurations and matrix elements without any rounding.

    `x` has shape (.., N): real numbers, or rational ones. The answer is `xp` of shape
    (.., K, N) and `mels` of shape (.., K), arrays of objects: a `Fraction` each, and an
    `ExactComplex` for each matrix element of a complex operator. Local values, data,
    constants and parameters are the binary floats that they are. An op without an exact
    answer, such as `exp`, is an error where a valid branch needs it; `inexact="float"`
    takes its double precision value instead.

    Raises:
        InputError: for something else than one operator at `sym` (V001), for an x
            (V002) or parameters (V003) that do not fit, for a number that has no exact
            value (V007), and for another `inexact` (V009).
    """
    found = _operator_of(operator, inexact)
    samples_of(x, found.space.data.sites, found.sym_name.data, exact=True)
    _check_by_name(parameters, found)
    try:
        return exact.exact_connections(found, x, parameters, inexact=inexact)
    except NoExactAnswer as error:
        _no_answer(error, found)
    except ValueError as error:
        raise bad_parameters(str(error), found.sym_name.data) from error


def amplitude_bounds(
    operator: AnyOperator, parameters: Ranges | None = None
) -> dict[str, list[Bounds]]:
    """Return what each matrix element can be, over all configurations of the space.

    By the name of each term, for each of its emissions: (low, high, valid), over all
    rows. `valid` is True or False where a branch always or never is, else None. The
    bounds are sound for exact and for floating-point arithmetic alike; they are not
    always tight, for which values occur together is forgotten. NaN is in no bounds. A
    parameter is a number or an interval (low, high); one without default may be left
    out, and is then anything.

    Raises:
        InputError: for something else than one operator at `sym` (V001), for parameters
            that do not fit (V003), and for complex numbers (V008).
    """
    found = _operator_of(operator)
    _check_by_name(parameters, found)
    try:
        return intervals.amplitude_bounds(found, parameters)
    except ComplexNumbers as error:
        raise InputError(
            "V008",
            "complex numbers have no bounds",
            **whereabouts(error.op or found),
            expected="real numbers only",
            found=str(error),
            hint="take an operator of a real dtype, such as float64",
        ) from error
    except (ValueError, TypeError, OverflowError) as error:
        raise bad_parameters(str(error), found.sym_name.data) from error


def _operator_of(operator: AnyOperator, inexact: object = "error") -> sym.OperatorOp:
    module = module_of(operator)
    found = [op for op in module.ops if isinstance(op, sym.OperatorOp)]
    if len(found) != 1:
        raise InputError(
            "V001",
            "a module is not one operator at level sym",
            expected="one sym.operator",
            found=f"{len(found)} of them",
        )
    if inexact not in get_args(Inexact):
        raise InputError(
            "V009",
            "it is not known what to do without an exact answer",
            operator=found[0].sym_name.data,
            expected=" or ".join(map(repr, get_args(Inexact))),
            found=repr(inexact),
        )
    return found[0]


def _check_by_name(parameters: object, operator: sym.OperatorOp) -> None:
    if parameters is None or isinstance(parameters, Mapping):
        return
    raise bad_parameters(f"they are {parameters!r}", operator.sym_name.data)


def _no_answer(error: NoExactAnswer, operator: sym.OperatorOp) -> NoReturn:
    where = whereabouts(operator if error.op is None else error.op)
    where["operator"] = operator.sym_name.data
    raise InputError(
        "V007",
        "a number has no exact value",
        **where,
        expected="rational numbers",
        found=str(error),
        hint='ask for inexact="float", which takes the double precision value of such '
        "an op",
    ) from error
