"""Spaces and operators of symir as NetKet's."""

# pyright: basic

from __future__ import annotations

import importlib
import importlib.util
from typing import TYPE_CHECKING, Any, TypeVar, Unpack, overload

from symir.errors import InputError
from symir.operator.spaces import Space
from symir.operator.symbolic_operator import SymbolicOperator

if TYPE_CHECKING:
    from netket.hilbert import DiscreteHilbert
    from netket.operator import DiscreteOperator

    from symir.compiler.compiler import CompileOptions
    from symir.interop.netket import NetKetOperator
    from symir.runtime.compiled_operator import CompiledOperator

_OfNetKet = TypeVar("_OfNetKet", bound="DiscreteHilbert | DiscreteOperator")


@overload
def to_netket(
    value: SymbolicOperator, **options: Unpack[CompileOptions]
) -> NetKetOperator: ...
@overload
def to_netket(value: CompiledOperator) -> NetKetOperator: ...
@overload
def to_netket(value: Space) -> DiscreteHilbert: ...
@overload
def to_netket(value: _OfNetKet) -> _OfNetKet: ...
def to_netket(value: Any, **options: Unpack[CompileOptions]) -> Any:
    """Return a space or an operator, symbolic or compiled, as NetKet takes it.

    A space becomes a Hilbert space of NetKet with the same configurations: `Spin`,
    `Fock`, `Qubit`, `SpinOrbitalFermions`, tensor products of these, and where none of
    them will do, a `netket.hilbert.DiscreteHilbert` of symir. Sites keep their order;
    configurations are numbered as NetKet does. An operator becomes a
    `netket.operator.DiscreteJaxOperator` on that: a compiled one by its kernel as it
    is, with its parameters, a symbolic one compiled with `options`. What is NetKet's
    already is returned.

    Raises:
        InputError: for anything else (N013), options where nothing is compiled (N014),
            or without NetKet (N015).
        DefinitionError: for predicates that too few configurations satisfy (S019).
    """
    if importlib.util.find_spec("netket") is None:
        raise InputError(
            "N015", "NetKet is not installed", hint='pip install "symir[netket]"'
        )
    if isinstance(value, SymbolicOperator):
        # NetKet sets JAX to 64 bits when it is imported: compilations go by that
        importlib.import_module("netket")
        return to_netket(value.compile(**options))
    if options:
        raise InputError(
            "N014",
            "only symbolic operators are compiled, with options",
            expected="no options",
            found=", ".join(options),
        )
    return _converted(value)


def _converted(value: Any) -> Any:
    from netket.hilbert import DiscreteHilbert
    from netket.operator import DiscreteOperator

    from symir.interop.netket_hilberts import hilbert_of
    from symir.runtime.compiled_operator import CompiledOperator

    match value:
        case DiscreteHilbert() | DiscreteOperator():
            return value
        case Space():
            return hilbert_of(value)
        case CompiledOperator():
            return value.for_hilbert(_converted(value.hilbert))
    raise InputError(
        "N013",
        f"{type(value).__name__} is no space and no operator",
        expected="a space of symir, or an operator, symbolic or compiled",
        found=f"a value of type {type(value).__module__}.{type(value).__qualname__}",
        hint="DOperator(..).build() makes an operator of what is being defined",
    )
