"""The manifest of an artifact: what explains and reproduces a compilation, as data."""

from __future__ import annotations

import math
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import numpy as np

from symir.compiler.signature import toolchain
from symir.plain_text import as_json

if TYPE_CHECKING:
    from symir.compiler.artifact import SymbolicCompiledArtifact

BATCH = "batch"
"""Stand-in for the number of samples in a shape."""


def manifest_of(artifact: SymbolicCompiledArtifact) -> dict[str, Any]:
    """Return the manifest of an artifact; `artifact.manifest` tells what is in it."""
    ir, key, options = artifact.operator_ir, artifact.cache_key, artifact.options
    kinds = zip(ir.free_symbols, ir.parameter_dtypes, strict=True)
    parameters = [(name, dtype.name) for name, dtype in kinds]
    scalars: list[dict[str, Any]] = [
        {"name": name, "shape": [], "dtype": dtype, "bytes_per_sample": 0}
        for name, dtype in parameters
    ]
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
            "parameters": [
                {"name": name, "dtype": dtype, "default": ir.defaults.get(name)}
                for name, dtype in parameters
            ],
            "inputs": [
                _array("x", (ir.hilbert_size,), states),
                *scalars,
            ],
            "outputs": [
                _array("xp", (artifact.lanes, ir.hilbert_size), states),
                _array("mels", (artifact.lanes,), np.dtype(ir.dtype_str)),
            ],
            "metadata": artifact.metadata_map(),
            "toolchain": toolchain(),
        }
    )


def _array(name: str, shape: tuple[int, ...], dtype: np.dtype[Any]) -> dict[str, Any]:
    return {
        "name": name,
        "shape": [BATCH, *shape],
        "dtype": dtype.name,
        "bytes_per_sample": math.prod(shape) * dtype.itemsize,
    }
