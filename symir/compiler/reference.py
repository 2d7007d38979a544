"""Operators run by the reference interpreter: one sample at a time, without JAX."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from dialects.interpreters.sym import connections
from symir.compiler.checks import check_some_states
from symir.errors import InputError
from symir.operator.ir import SymbolicOperatorIR


class ReferenceOperator:
    """Backend of `backend_preference="reference"`: slow, exact, over NumPy."""

    def __init__(
        self, ir: SymbolicOperatorIR, parameters: Mapping[str, complex], hilbert: Any
    ):
        self.ir = ir
        self.parameters = dict(parameters)
        self.hilbert = hilbert

    @property
    def name(self) -> str:
        """The operator's name."""
        return self.ir.operator_name

    @property
    def dtype(self) -> np.dtype[Any]:
        """The dtype of the matrix elements."""
        return np.dtype(self.ir.dtype_str)

    @property
    def max_conn_size(self) -> int:
        """The number of branches K of every configuration, padding included."""
        return self.ir.max_conn_size

    @property
    def is_hermitian(self) -> bool:
        """Whether it is Hermitian: declared to be, or proved; see `DOperator`."""
        return self.ir.is_hermitian

    def replace(self, /, **parameters: complex) -> ReferenceOperator:
        """Return the operator with other values of parameters.

        Raises:
            InputError: for a parameter that it does not have (R003), or a value that is
                not one number of its kind (R005).
        """
        values = self.ir.bind({**self.parameters, **parameters})
        return ReferenceOperator(self.ir, values, self.hilbert)

    def for_hilbert(self, hilbert: object) -> ReferenceOperator:
        """Return the operator on an equal space."""
        return ReferenceOperator(self.ir, self.parameters, hilbert)

    def get_conn_padded(
        self, x: npt.ArrayLike
    ) -> tuple[npt.NDArray[Any], npt.NDArray[Any]]:
        """Return the connected configurations and matrix elements <x|O|x'>.

        Shapes and dtypes are those of `CompiledOperator.get_conn_padded`.

        Raises:
            InputError: for an x of another shape or dtype, or where a parameter has no
                value (R001), and for a value that its site cannot have (R007), as far
                as some configurations show it.
        """
        try:
            connected = connections(self.ir.module, x, self.parameters)
        except ValueError as error:
            raise InputError(
                "R001",
                "the reference interpreter cannot take this",
                operator=self.name,
                found=str(error),
            ) from error
        check_some_states(self, self.ir.space, np.asarray(x))
        return connected

    def __repr__(self) -> str:
        return f"ReferenceOperator({self.name!r}, max_conn_size={self.max_conn_size})"
