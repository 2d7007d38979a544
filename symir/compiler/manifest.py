"""The manifest of an artifact: what explains and reproduces a compilation, as data."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping
from dataclasses import asdict
from typing import TYPE_CHECKING, Any, cast

import numpy as np

from symir.compiler.diagnostics.diagnostic import Diagnostic
from symir.compiler.signature import toolchain
from symir.ir import SymbolicOperatorIR

if TYPE_CHECKING:
    from symir.compiler.artifact import SymbolicCompiledArtifact

__all__ = ["BATCH", "as_json", "manifest_of"]

BATCH = "batch"
"""What stands for the number of samples in a shape."""


def manifest_of(artifact: SymbolicCompiledArtifact) -> dict[str, Any]:
    """Return the manifest of an artifact; `artifact.manifest` tells what is in it."""
    ir, key, options = artifact.operator_ir, artifact.cache_key, artifact.options
    return as_json(
        {
            "operator": ir.operator_name,
            "fingerprint": ir.static_fingerprint(),
            "cache_key": None if key is None else asdict(key),
            "options": None if options is None else options.as_dict(),
            "passes": [report.as_dict() for report in artifact.pass_reports],
            "lowering": artifact.lowering,
            "backend": artifact.backend,
            "lowerer": artifact.lowerer_name,
            "total_padded_size": artifact.lanes,
            "terms": [
                {
                    "name": term.name,
                    "rows": term.rows.rows,
                    "emissions": term.emissions,
                    "fanout": term.fanout,
                    "lanes": term.size,
                }
                for term in ir.terms
            ],
            "parameters": _parameters(ir),
            "inputs": _inputs(ir),
            "outputs": _outputs(ir, artifact.lanes),
            "metadata": artifact.metadata_map(),
            "toolchain": toolchain(),
        }
    )


def _parameters(ir: SymbolicOperatorIR) -> list[dict[str, Any]]:
    return [
        {"name": name, "dtype": dtype.name, "default": ir.defaults.get(name)}
        for name, dtype in zip(ir.free_symbols, ir.parameter_dtypes, strict=True)
    ]


def _inputs(ir: SymbolicOperatorIR) -> list[dict[str, Any]]:
    """Return what a kernel takes: x of the narrowest dtype, and the parameters."""
    parameters: list[dict[str, Any]] = [
        {"name": name, "shape": [], "dtype": dtype.name, "bytes_per_sample": 0}
        for name, dtype in zip(ir.free_symbols, ir.parameter_dtypes, strict=True)
    ]
    return [_array("x", (ir.hilbert_size,), ir.space.default_dtype()), *parameters]


def _outputs(ir: SymbolicOperatorIR, lanes: int) -> list[dict[str, Any]]:
    return [
        _array("xp", (lanes, ir.hilbert_size), ir.space.default_dtype()),
        _array("mels", (lanes,), np.dtype(ir.dtype_str)),
    ]


def _array(name: str, shape: tuple[int, ...], dtype: np.dtype[Any]) -> dict[str, Any]:
    return {
        "name": name,
        "shape": [BATCH, *shape],
        "dtype": dtype.name,
        "bytes_per_sample": math.prod(shape) * dtype.itemsize,
    }


def as_json(value: object) -> Any:
    """Return a value as what JSON has.

    Complex numbers are `{"real": .., "imag": ..}`, numbers that are not finite are
    strings such as "inf", and what JSON has no word for is its `repr`.
    """
    if isinstance(value, np.generic):
        value = cast(object, value.item())
    match value:
        case None | bool() | int() | str():
            return value
        case float():
            return value if math.isfinite(value) else str(value)
        case complex():
            return {"real": as_json(value.real), "imag": as_json(value.imag)}
        case Diagnostic():
            return as_json(value.as_dict())
        case Mapping():
            items = cast(Mapping[object, object], value).items()
            return {str(key): as_json(one) for key, one in items}
        case list() | tuple() | set() | frozenset():
            return [as_json(one) for one in cast(Collection[object], value)]
        case _:
            return repr(value)
