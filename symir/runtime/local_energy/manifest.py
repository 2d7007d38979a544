"""The manifest of a local energy: what explains and reproduces it, as data."""

# pyright: basic

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import jax
import numpy as np

from symir.compiler.local_energy import OPERATOR_PIPELINE, energy_pipeline
from symir.compiler.manifest import array_entry, parameter_entries, shared_entry
from symir.compiler.signature import toolchain
from symir.plain_text import as_json
from symir.runtime.local_energy.energy_report import parts_of

if TYPE_CHECKING:
    from symir.runtime.local_energy.program import EnergyProgram


def energy_manifest(
    program: EnergyProgram, parameters: Any, values: dict[str, Any]
) -> dict[str, Any]:
    """Return the manifest of a program; `LocalEnergy.manifest` tells what is in it.

    The parameters are those of the network, values those of the operator.
    """
    ir, options = program.kernel.ir, program.options
    couplings = parameter_entries(ir, values)
    leaves = [
        shared_entry(_name_of(path), np.shape(leaf), jax.numpy.result_type(leaf).name)
        for path, leaf in jax.tree.leaves_with_path(parameters)
    ]
    lowering = energy_pipeline(**options.of_passes)
    scalars = (shared_entry(one["name"], (), one["dtype"]) for one in couplings)
    return as_json(
        {
            "operator": ir.operator_name,
            "fingerprint": ir.static_fingerprint(),
            "options": {
                "without": list(options.without),
                "budget": options.budget,
                "distinct": options.distinct,
                "passes": [one.name for one in options.passes],
            },
            "passes": [report.as_dict() for report in program.reports],
            "lowering": f"{OPERATOR_PIPELINE},{lowering}",
            "plan": asdict(program.plan),
            "schedule": program.schedule,
            "lanes": program.lanes,
            "parts": [asdict(part) for part in parts_of(program)],
            "parameters": couplings,
            "leaves": leaves,
            "inputs": [
                array_entry("x", (ir.hilbert_size,), program.dtype),
                *scalars,
                *leaves,
            ],
            "outputs": [array_entry("energies", (), program.element)],
            "toolchain": toolchain(),
        }
    )


def _name_of(path: Any) -> str:
    return jax.tree_util.keystr(path, simple=True, separator=".")
