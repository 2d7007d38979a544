"""Compiled operators: what users call."""

# pyright: basic

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any
from weakref import WeakSet

import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer
from xdsl.dialects.builtin import ArrayAttr, UnitAttr

from lowering.bt.bt_specialize import state_type
from symir import for_netket
from symir.compiler.checks import (
    check_elements,
    check_some_states,
    check_states,
    on_host,
)
from symir.errors import InputError
from symir.language.codes import Mistake
from symir.language.expressions import Expr
from symir.language.scalars import as_number
from symir.operator.algebra import operator_in
from symir.operator.ir import SymbolicOperatorIR
from symir.operator.spaces import as_space, is_of_netket
from symir.operator.symbolic_operator import SymbolicOperator
from symir.runtime import x64_enabled
from symir.runtime.jax_spans import run_spans
from symir.runtime.kernel import Kernel
from symir.runtime.primitive import connections

if TYPE_CHECKING:
    from symir.interop.netket import NetKetOperator


@jax.tree_util.register_pytree_node_class
class CompiledOperator:
    """An operator that yields connected configurations and matrix elements.

    Its parameters are the leaves of a pytree: they may be traced, and changing one
    compiles nothing. Everything else is static.
    """

    def __init__(
        self,
        kernel: Kernel,
        parameters: Mapping[str, Any],
        hilbert: Any,
    ):
        self._kernel = kernel
        self._hilbert = hilbert
        self._parameters = {
            name: _as_parameter(kernel.name, name, parameters[name], dtype)
            for name, dtype in zip(
                kernel.parameter_names, kernel.parameter_dtypes, strict=True
            )
            if name in parameters
        }

    # region What it is

    @property
    def kernel(self) -> Kernel:
        """The kernel that runs it."""
        return self._kernel

    @property
    def name(self) -> str:
        """The operator's name."""
        return self._kernel.name

    @property
    def hilbert(self) -> Any:
        """The space or NetKet hilbert that the operator was defined on."""
        return self._hilbert

    @property
    def dtype(self) -> np.dtype:
        """The dtype of the matrix elements."""
        return self._kernel.dtype

    @property
    def max_conn_size(self) -> int:
        """The number of branches K of every configuration, padding included."""
        return self._kernel.lanes

    @property
    def is_hermitian(self) -> bool:
        """Whether it is Hermitian: declared to be, or proved; see `DOperator`."""
        return self._kernel.is_hermitian

    @property
    def parameters(self) -> dict[str, jax.Array]:
        """The values of the parameters that have one."""
        return dict(self._parameters)

    def replace(self, /, **parameters: Any) -> CompiledOperator:
        """Return the operator with other values of parameters; compiles nothing."""
        self._kernel.check_parameters(parameters)
        return type(self)(
            self._kernel, {**self._parameters, **parameters}, self._hilbert
        )

    def for_hilbert(self, hilbert: Any) -> CompiledOperator:
        """Return the operator on another object that stands for an equal space."""
        return compiled_operator(self._kernel, self._parameters, hilbert)

    def to_netket(self) -> NetKetOperator:
        """Return the operator as one of NetKet's: see `symir.to_netket`."""
        return for_netket.as_netket(self)

    def __repr__(self) -> str:
        return (
            f"CompiledOperator({self.name!r}, dtype={self.dtype}, "
            f"max_conn_size={self.max_conn_size})"
        )

    # endregion
    # region What it does

    @run_spans("connections", operator="name")
    def get_conn_padded(
        self, x: Any, *, checked: bool = False
    ) -> tuple[jax.Array, jax.Array]:
        """Return the connected configurations and matrix elements <x|O|x'>.

        x has shape (..., N) and any real dtype that holds the local values; x' has
        shape (..., K, N) and x's dtype, the matrix elements have shape (..., K) and the
        operator's dtype. A branch that is not valid has x' = x and matrix element 0.

        Of an x that JAX is not tracing, some configurations are looked at to have local
        values of the space. With `checked` every x is looked at to be in the space, and
        every matrix element to be a number: where a fanout is too small they are NaN.
        It costs a copy to the host, and does not work while JAX is tracing.

        Raises `InputError` for an x of another shape or dtype (R001, R002), where a
        parameter has no value (R004), where JAX is set to fewer bits than when it was
        compiled (R012), for an x that is not in the space (R007), and where a check
        fails (R006 to R010).
        """
        self._check_precision()
        array, parameters = self._checked(x), self._bound()
        if not checked:
            return connections(array, parameters, self._kernel)
        if any(isinstance(value, Tracer) for value in (array, *parameters)):
            raise InputError(
                "R006",
                "what JAX is tracing has no values to check",
                operator=self.name,
                hint="call get_conn_padded(x, checked=True) outside of jit, vmap, ..",
            )
        states, values = on_host(array), [value.item() for value in parameters]
        space = as_space(self._hilbert)
        check_states(self.name, space, states)
        connected, elements = connections(array, parameters, self._kernel)
        named = dict(zip(self._kernel.parameter_names, values, strict=True))
        check_elements(self._kernel.ir, space, states, np.asarray(elements), named)
        return connected, elements

    def _bound(self) -> tuple[jax.Array, ...]:
        names = self._kernel.parameter_names
        missing = [name for name in names if name not in self._parameters]
        if missing:
            raise InputError(
                "R004",
                "a parameter has no value and no default",
                operator=self.name,
                found=", ".join(missing),
                hint=f"compiled.replace({missing[0]}=...)",
            )
        return tuple(
            _as_parameter(self.name, name, self._parameters[name], dtype)
            for name, dtype in zip(names, self._kernel.parameter_dtypes, strict=True)
        )

    def _check_precision(self) -> None:
        single = self.dtype in (np.float32, np.complex64)
        if single or x64_enabled():
            return
        raise InputError(
            "R012",
            "the operator was compiled for 64 bits, and JAX is set to 32 now",
            operator=self.name,
            expected="JAX set as when it was compiled",
            found=f"dtype {self.dtype}",
            hint='jax.config.update("jax_enable_x64", True), or compile it again',
        )

    def _checked(self, x: Any) -> jax.Array:
        try:
            array = jnp.asarray(x)
        except (TypeError, ValueError) as error:
            raise InputError(
                "R001",
                "x is not an array of numbers",
                operator=self.name,
                found=str(error),
            ) from error
        if _wrapped(x, array):
            raise InputError(
                "R002",
                "x has integers that need 64 bits, and JAX is set to 32",
                operator=self.name,
                expected=f"integers of {array.dtype}",
                found=str(x.dtype),
                hint='jax.config.update("jax_enable_x64", True)',
            )
        sites = self._kernel.space.size
        if not array.ndim or array.shape[-1] != sites:
            raise InputError(
                "R001",
                "x has the wrong shape",
                operator=self.name,
                expected=f"(..., {sites}): the last axis is the sites",
                found=str(array.shape),
            )
        self.check_dtype(array.dtype)
        # While JAX is tracing, an array of NumPy has values, and that of JAX has none
        given = x if isinstance(x, np.ndarray) else array
        for part in _parts_at_hand(given, self._kernel):
            is_part = part.shape != array.shape
            check_some_states(
                self, self._kernel.space, part, array.dtype, is_part=is_part
            )
        return array

    def check_dtype(self, dtype: np.dtype) -> None:
        """Raise an InputError for a dtype that cannot hold configurations (R002)."""
        if dtype in self._kernel.state_dtypes:
            return
        if problem := self._dtype_problem(dtype):
            raise InputError(
                "R002",
                "x has the wrong dtype",
                operator=self.name,
                expected="a real dtype that holds the local values "
                f"{_listed(self._local_values())}",
                found=f"{dtype}: {problem}",
            )
        self._kernel.state_dtypes.add(dtype)

    def _local_values(self) -> np.ndarray:
        states = self._kernel.space.local_states
        return np.unique([value for site in states for value in site])

    def _dtype_problem(self, dtype: np.dtype) -> str | None:
        """Say what keeps a dtype from holding configurations, or None.

        What the kernel reads must be the local value that x holds, and what it writes
        must be the number that x would hold.
        """
        try:
            state_type(dtype)
        except TypeError:
            return "not a real dtype of numbers"
        real = np.finfo(self.dtype).dtype
        values = self._local_values().astype(real)
        exact = self._local_values()
        with np.errstate(all="ignore"):
            held = exact.astype(dtype)
            lost = (held.astype(real) != values) | (values.astype(dtype) != held)
        if not lost.any():
            return None
        number = f"{exact[lost][0]:g}"
        if dtype.kind != "f":
            return f"it turns {number} into another number"
        return f"{number} is not the same number in it and in the operator's {real}"

    # endregion
    # region Algebra

    # That of symbolic operators, compiled again, with the values that the parameters
    # have here. What is none of ours is left to NetKet, if the operator is one of its.
    __array_ufunc__ = None

    def __add__(self, other: Any) -> Any:
        return self._combined("__add__", other)

    def __radd__(self, other: Any) -> Any:
        return self._combined("__radd__", other)

    def __sub__(self, other: Any) -> Any:
        return self._combined("__sub__", other)

    def __rsub__(self, other: Any) -> Any:
        return self._combined("__rsub__", other)

    def __mul__(self, other: Any) -> Any:
        return self._combined("__mul__", other)

    def __rmul__(self, other: Any) -> Any:
        return self._combined("__rmul__", other)

    def __truediv__(self, other: Any) -> Any:
        return self._combined("__truediv__", other)

    def __matmul__(self, other: Any) -> Any:
        return self._combined("__matmul__", other)

    def __neg__(self) -> CompiledOperator:
        return self._compiled(-self._symbolic())

    def __pos__(self) -> CompiledOperator:
        return self

    def __pow__(self, exponent: int) -> CompiledOperator:
        return self._compiled(self._symbolic() ** exponent)

    def commutator(self, other: CompiledOperator) -> CompiledOperator:
        """Return A B - B A."""
        return self._combined("commutator", other)

    def anticommutator(self, other: CompiledOperator) -> CompiledOperator:
        """Return A B + B A."""
        return self._combined("anticommutator", other)

    @property
    def H(self) -> CompiledOperator:
        """The adjoint, as that of a `SymbolicOperator`."""
        return self if self.is_hermitian else self._compiled(self._symbolic().H)

    def adjoint(self) -> CompiledOperator:
        """Return the adjoint: `H`."""
        return self.H

    def conjugate(self, *, concrete: bool = True) -> CompiledOperator:
        """Return the operator of the conjugate matrix elements; never a wrapper."""
        return self._compiled(self._symbolic().conjugate())

    def transpose(self, *, concrete: bool = True) -> CompiledOperator:
        """Return the transpose, as that of a `SymbolicOperator`; never a wrapper."""
        return self._compiled(self._symbolic().transpose())

    @property
    def T(self) -> CompiledOperator:
        """The transpose."""
        return self.transpose()

    def _combined(self, operation: str, other: Any) -> Any:
        """Return the result of a method of symbolic operators, compiled."""
        if isinstance(other, CompiledOperator):
            operand = other._symbolic()
        elif _is_factor(other):
            operand = other
        else:
            inherited = getattr(super(), operation, None)
            return NotImplemented if inherited is None else inherited(other)
        result = getattr(self._symbolic(), operation)(operand)
        if result is NotImplemented:
            return NotImplemented
        return self._compiled(result, other)

    def _symbolic(self) -> SymbolicOperator:
        """Return the operator without defaults: values of parameters take their place.

        It goes by the values: a default that was replaced is nobody's concern.
        """
        module = self._kernel.ir.module
        operator = operator_in(module)
        operator.defaults = ArrayAttr([UnitAttr()] * len(operator.defaults))
        return SymbolicOperator.from_ir(SymbolicOperatorIR(module), self._hilbert)

    def _compiled(self, result: SymbolicOperator, other: Any = None) -> Any:
        """Compile an operator made of this one, with its parameters and of another."""
        values = self._parameters
        if isinstance(other, CompiledOperator):
            values = {**other._parameters, **values}
            for name in self._parameters.keys() & other._parameters.keys():
                _check_same(name, self, other)
        compiled = result.compile()
        kept = {
            name: value
            for name, value in values.items()
            if name in compiled.kernel.parameter_names
        }
        return compiled.replace(**kept)

    # endregion
    # region Pytree

    def tree_flatten(self):
        """Split into the values of the parameters and everything else."""
        names = tuple(self._parameters)
        return tuple(self._parameters.values()), (self._kernel, names, self._hilbert)

    @classmethod
    def tree_unflatten(cls, static, leaves) -> CompiledOperator:
        """Rebuild; the leaves may be anything that JAX puts there."""
        kernel, names, hilbert = static
        self = object.__new__(cls)
        self._kernel = kernel
        self._hilbert = hilbert
        self._parameters = dict(zip(names, leaves, strict=True))
        return self

    # endregion


def compiled_operator(
    kernel: Kernel, parameters: Mapping[str, Any], hilbert: Any
) -> CompiledOperator:
    """Return the operator of a kernel: NetKet's kind on a Hilbert space of NetKet."""
    if not is_of_netket(hilbert):
        return CompiledOperator(kernel, parameters, hilbert)
    return for_netket.netket_operator(kernel, parameters, hilbert)


def _is_factor(value: Any) -> bool:
    """Whether something scales an operator: a number, or an expression.

    A traced number is none: the kernel has to know it. Make it a parameter.
    """
    if isinstance(value, Tracer):
        return False
    return isinstance(value, Expr) or as_number(value) is not None


def _check_same(name: str, first: CompiledOperator, second: CompiledOperator) -> None:
    """Raise where a parameter has two values in operators that are combined (D083)."""
    values = [operator._parameters[name] for operator in (first, second)]
    if values[0] is values[1]:
        return
    is_traced = any(isinstance(value, Tracer) for value in values)
    # Of the same number in two precisions, both are right in the coarser one
    coarser = min((value.dtype for value in values), key=lambda d: jnp.finfo(d).bits)
    if not is_traced and len({value.astype(coarser).item() for value in values}) == 1:
        return
    raise Mistake.TWO_VALUES.error(
        f"parameter '{name}' has different values in two operators",
        operator=first.name,
        expected=f"that of '{first.name}': {values[0]}",
        found=f"{values[1]}, in '{second.name}'",
        hint=f"give one of them another name, or both one value: replace({name}=..)",
    )


def _wrapped(x: Any, array: jax.Array) -> bool:
    """Whether JAX, set to 32 bits, has changed the integers of an array."""
    if not isinstance(x, np.ndarray) or x.dtype.kind not in "iu":
        return False
    return x.dtype != array.dtype and not np.array_equal(np.asarray(array), x)


_SEEN: WeakSet[Kernel] = WeakSet()
"""Kernels that were given an x on an accelerator."""

_HOST = "cpu"
"""The platform whose arrays are in the memory of the host."""

_ROWS = 256
"""Entries of the leading axis of an x on an accelerator that are copied to the host."""


def _parts_at_hand(x: Any, kernel: Kernel) -> Iterator[np.ndarray]:
    """Yield the parts of x whose values can be looked at, at little cost.

    What JAX is tracing has no values, and what other processes hold is not here. Of
    what is spread over devices these are the first and the last part. A copy from an
    accelerator waits for x: it is made once for each kernel.
    """
    if isinstance(x, np.ndarray):
        yield x
        return
    if isinstance(x, Tracer) or not x.is_fully_addressable:
        return
    shards = x.addressable_shards
    for shard in (*shards[:1], *shards[1:][-1:]):
        if shard.data.shape[-1] != x.shape[-1]:
            return
        if shard.device.platform == _HOST:
            yield np.asarray(shard.data)
        elif kernel not in _SEEN:
            yield jax.device_get(shard.data[:_ROWS] if x.ndim > 1 else shard.data)
    if shards[0].device.platform != _HOST:
        _SEEN.add(kernel)


def _as_parameter(operator: str, name: str, value: Any, dtype: np.dtype) -> jax.Array:
    """Return the value of a parameter as a scalar of its dtype, possibly traced."""
    array = _as_number(value)
    kept = array is not None and (
        jnp.issubdtype(dtype, jnp.complexfloating)
        or not jnp.issubdtype(array.dtype, jnp.complexfloating)
    )
    if array is None or not kept:
        raise InputError(
            "R005",
            f"parameter '{name}' cannot have this value",
            operator=operator,
            expected=f"one number that fits {np.dtype(dtype)}",
            found=repr(value),
            hint="jax.vmap over replace(..) gives many values at once",
        )
    return array.astype(dtype)


def _as_number(value: Any) -> jax.Array | None:
    """Return a number as a 0-d array, None for anything else."""
    if isinstance(value, str | bytes):
        return None
    try:
        array = jnp.asarray(value)
    except (TypeError, ValueError):
        return None
    return array if not array.shape else None


def _listed(values: np.ndarray) -> str:
    shown = [f"{value:g}" for value in values[:8]]
    return ", ".join(shown) + (", ..." if len(values) > 8 else "")
