"""The manifest of an artifact: what explains and reproduces a compilation, as data."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import numpy as np

from symir.compiler.signature import toolchain
from symir.plain_text import as_json

if TYPE_CHECKING:
    from symir.compiler.artifact import SymbolicCompiledArtifact
    from symir.operator.ir import SymbolicOperatorIR

BATCH = "batch"
"""Stand-in for the number of samples in a shape."""


def manifest_of(artifact: SymbolicCompiledArtifact) -> dict[str, Any]:
    """Return the manifest of an artifact; `artifact.manifest` tells what is in it."""
    ir, key, options = artifact.operator_ir, artifact.cache_key, artifact.options
    parameters = parameter_entries(ir, ir.defaults)
    # Of the narrowest dtype that x can have
    states = ir.space.default_dtype()
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
            "parameters": parameters,
            "inputs": [
                array_entry("x", (ir.hilbert_size,), states),
                *(shared_entry(one["name"], (), one["dtype"]) for one in parameters),
            ],
            "outputs": [
                array_entry("xp", (artifact.lanes, ir.hilbert_size), states),
                array_entry("mels", (artifact.lanes,), np.dtype(ir.dtype_str)),
            ],
            "metadata": artifact.metadata_map(),
            "toolchain": toolchain(),
        }
    )


def parameter_entries(
    ir: SymbolicOperatorIR, values: Mapping[str, Any]
) -> list[dict[str, Any]]:
    """Return the entries of the parameters of an operator, with their values."""
    kinds = zip(ir.free_symbols, ir.parameter_dtypes, strict=True)
    return [
        {"name": name, "dtype": dtype.name, "default": values.get(name)}
        for name, dtype in kinds
    ]


def shared_entry(name: str, shape: tuple[int, ...], dtype: str) -> dict[str, Any]:
    """Return the entry of an array that all samples share."""
    return {"name": name, "shape": [*shape], "dtype": dtype, "bytes_per_sample": 0}


def array_entry(
    name: str, shape: tuple[int, ...], dtype: np.dtype[Any]
) -> dict[str, Any]:
    """Return the entry of an array of a shape for each sample."""
    return {
        "name": name,
        "shape": [BATCH, *shape],
        "dtype": dtype.name,
        "bytes_per_sample": math.prod(shape) * dtype.itemsize,
    }
