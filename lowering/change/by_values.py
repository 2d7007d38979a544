"""Values of a network that are known by what they are: a function is tried on examples.

Sorting, counting and factorising have many texts, and libraries of their own on each
platform. What such a value is shows in what it is for some inputs.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from xdsl.dialects.builtin import ModuleOp
from xdsl.dialects.func import FuncOp
from xdsl.ir import Operation, SSAValue
from xdsl.utils.exceptions import InterpretationError

from dialects.interpreters.kernel import run_kernel
from dialects.stablehlo import dtype_of, element_of, shape_of
from lowering.energy.extraction import extracted
from lowering.order import captured

Numbers = npt.NDArray[Any]


def source_of(
    value: SSAValue,
    depends: Callable[[SSAValue], bool],
    accepts: Callable[[SSAValue], bool],
) -> SSAValue | None:
    """Return the last value that is accepted and all that a value needs of x.

    `depends` says which values depend on x.
    """
    waiting = {value}
    block = value.owner.parent if isinstance(value.owner, Operation) else None
    for op in reversed(list(block.ops)) if block is not None else ():
        if len(waiting) == 1 and accepts(next(iter(waiting))):
            break
        made = waiting.intersection(op.results)
        if made:
            waiting -= made
            needed = (*op.operands, *captured(op))
            waiting.update(one for one in needed if depends(one))
    (found, *others) = waiting or {None}
    return None if found is None or others or not accepts(found) else found


class Inner:
    """What a value of a function is by another one, and by nothing else.

    Attributes:
        function: of parameters and the other value, in no module of others.
    """

    def __init__(self, function: FuncOp, source: SSAValue, value: SSAValue):
        """Take a value that of all that depends on x needs the source alone.

        Raises:
            InterpretationError: where it depends on parameters.
        """
        self.function = extracted(function, "inner", [source], value)
        self.function.detach()
        self._module = ModuleOp([self.function])
        *parameters, _ = self.function.body.block.args
        if any(one.uses.get_length() for one in parameters):
            raise InterpretationError("it depends on parameters")
        self._others = [
            np.zeros(shape_of(one), dtype_of(element_of(one))) for one in parameters
        ]
        self._dtype = dtype_of(element_of(source))

    def of(self, examples: Sequence[Numbers]) -> list[Numbers]:
        """Return what it is for some values of the source.

        Raises:
            InterpretationError: where it calls what nobody here has.
        """
        return [
            np.asarray(
                run_kernel(
                    self._module,
                    [*self._others, one.astype(self._dtype)],
                    oracles=LIBRARIES,
                )[0]
            )
            for one in examples
        ]


def _factorised(matrices: Numbers) -> tuple[Numbers, Numbers]:
    """Return LU decompositions and their pivots, from 0."""
    lu = np.array(matrices)
    size = lu.shape[-1]
    pivots = np.zeros(lu.shape[:-1], np.int32)
    flat = pivots.reshape(-1, size)
    for one, own in zip(lu.reshape(-1, size, size), flat, strict=True):
        for k in range(size):
            row = k + int(np.argmax(np.abs(one[k:, k])))
            one[[k, row]] = one[[row, k]]
            own[k] = row
            if one[k, k]:
                one[k + 1 :, k] /= one[k, k]
            one[k + 1 :, k + 1 :] -= np.outer(one[k + 1 :, k], one[k, k + 1 :])
    return lu, pivots


def _getrf(matrices: Numbers, **_: Any) -> tuple[Numbers, ...]:
    lu, pivots = _factorised(matrices)
    return lu, pivots + 1, np.zeros(lu.shape[:-2], np.int32)


def _permutations(pivots: Numbers, **_: Any) -> Numbers:
    size = pivots.shape[-1]
    found = np.broadcast_to(np.arange(size, dtype=np.int32), pivots.shape).copy()
    both = zip(found.reshape(-1, size), pivots.reshape(-1, size), strict=True)
    for order, own in both:
        for k, row in enumerate(own):
            order[[k, row]] = order[[row, k]]
    return found


def _lu(matrices: Numbers, **_: Any) -> tuple[Numbers, ...]:
    lu, pivots = _factorised(matrices)
    return lu, pivots, _permutations(pivots)


LIBRARIES: dict[str, Callable[..., Any]] = {
    **{f"lapack_{kind}getrf_ffi": _getrf for kind in "sdcz"},
    "cusolver_getrf_ffi": _getrf,
    "hipsolver_getrf_ffi": _getrf,
    "cu_lu_pivots_to_permutation": _permutations,
    "hip_lu_pivots_to_permutation": _permutations,
    "LuDecomposition": _lu,
}
"""What libraries compute that JAX calls to factorise matrices, on each platform."""
