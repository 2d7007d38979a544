"""Questions of lower layers to `symir/interop` where there is NetKet."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from symir.late import late

if TYPE_CHECKING:
    from symir.runtime.compiled_operator import CompiledOperator
    from symir.runtime.kernel import Kernel
    from symir.runtime.local_energy.deltas import Delta


@late
def guard() -> None:
    """Let NetKet say which call an operator misses that was not compiled."""
    ...


@late
def as_netket(value: Any, **options: Any) -> Any:
    """Return a space or an operator as NetKet takes it: see `symir.to_netket`."""
    ...


@late
def netket_operator(
    kernel: Kernel, parameters: Mapping[str, Any], hilbert: Any
) -> CompiledOperator:
    """Return the operator of a kernel on a Hilbert space of NetKet."""
    ...


@late
def deltas() -> dict[Any, Delta]:
    """Return the deltas of NetKet's models."""
    ...


@late
def wrapped(function: Any) -> Any:
    """Return the model or function that a state of NetKet wraps, None elsewhere."""
    ...
