"""symir: a compiler for quantum operators.

```python
import numpy as np
import symir as sym

op = (
    sym.DOperator(sym.spin(0.5, 8), "flips", hermitian=True)
    .for_each_site("i")
    .emit(sym.write("i", -sym.site("i").value), amplitude=-1.0)
    .build()
)
xp, mels = op.compile().get_conn_padded(np.ones((4, 8), np.int8))
```

Defining, printing and lowering operators needs no JAX; compiling and running them does.
"""

from typing import TYPE_CHECKING

from symir._shadowing import check_own_packages

check_own_packages()

if TYPE_CHECKING:
    from symir.interop.netket import fused_local_energy
    from symir.runtime.autoregressive import Autoregressive
    from symir.runtime.importing import import_function
    from symir.runtime.local_energy import LocalEnergy, local_energy
    from symir.runtime.local_energy.deltas import register_delta

# Only now can `dialects` and `lowering` be trusted to be symir's own
from symir import _bodies as _bodies  # noqa: E402
from symir import language  # noqa: E402
from symir.compiler import (  # noqa: E402
    AbstractSymbolicArtifactStore,
    AbstractSymbolicLowerer,
    AbstractSymbolicPass,
    InMemorySymbolicArtifactStore,
    SymbolicCacheKey,
    SymbolicCompilationContext,
    SymbolicCompilationSignature,
    SymbolicCompiledArtifact,
    SymbolicCompiler,
    SymbolicCompilerOptions,
    SymbolicLowererRegistry,
    SymbolicPassPipeline,
    SymbolicPassReport,
    default_symbolic_artifact_store,
    default_symbolic_lowerer_registry,
    default_symbolic_pass_pipeline,
    load_artifact,
    lower_to_bt,
    lower_to_stablehlo,
)
from symir.errors import (  # noqa: E402
    DefinitionError,
    InputError,
    NotDifferentiable,
    PrecisionWarning,
    StageError,
    SymbolicCompilerError,
    SymirError,
)
from symir.explorer import explore  # noqa: E402
from symir.inspection import LoweredOperator, diff, lower, parse  # noqa: E402
from symir.inspection.pictures import (  # noqa: E402
    plot_benchmarks,
    plot_connectivity,
    plot_cost,
)
from symir.interop.fcidump import from_fcidump  # noqa: E402
from symir.interop.fermions import from_fermions  # noqa: E402
from symir.interop.from_netket import from_netket  # noqa: E402
from symir.interop.pauli import from_pauli_strings  # noqa: E402
from symir.interop.to_netket import to_netket  # noqa: E402
from symir.language import *  # noqa: E402, F403
from symir.language.clauses import clauses  # noqa: E402
from symir.language.extensions import (  # noqa: E402
    available_function_names,
    available_update_names,
    extensions,
    function,
    register_function,
    register_update,
    update,
)
from symir.language.reductions import (  # noqa: E402
    all_,
    all_sites,
    any_,
    between,
    count,
    jordan_wigner,
    parity,
    prod,
    set_,
    sites_range,
    sum_,
)
from symir.operator.ir import SymbolicOperatorIR  # noqa: E402
from symir.operator.spaces import (  # noqa: E402
    Space,
    as_space,
    fermions,
    fock,
    qubit,
    space,
    spin,
)
from symir.operator.symbolic_operator import SymbolicOperator, SymbolicOperatorSum  # noqa: E402
from symir.spans import trace  # noqa: E402
from symir.validation import (  # noqa: E402
    Bisection,
    Reduction,
    ValidationReport,
    ValueTable,
    bisect,
    check,
    denote,
    reduced,
)
from symir.validation.extension_check import ExtensionReport, check_extension  # noqa: E402

_NEED_JAX = {
    "Autoregressive": "symir.runtime.autoregressive",
    "LocalEnergy": "symir.runtime.local_energy",
    "fused_local_energy": "symir.interop.netket",
    "import_function": "symir.runtime.importing",
    "local_energy": "symir.runtime.local_energy",
    "register_delta": "symir.runtime.local_energy.deltas",
}
"""Names that are imported when they are first used."""


def __getattr__(name: str) -> object:
    from importlib import import_module

    if name == "netket":
        return import_module("symir.netket")
    if name not in _NEED_JAX:
        raise AttributeError(f"module 'symir' has no attribute {name!r}")
    return getattr(import_module(_NEED_JAX[name]), name)


__all__ = [
    "AbstractSymbolicArtifactStore",
    "AbstractSymbolicLowerer",
    "AbstractSymbolicPass",
    "Autoregressive",
    "Bisection",
    "DefinitionError",
    "ExtensionReport",
    "InMemorySymbolicArtifactStore",
    "InputError",
    "LocalEnergy",
    "LoweredOperator",
    "NotDifferentiable",
    "PrecisionWarning",
    "Reduction",
    "Space",
    "StageError",
    "SymbolicCacheKey",
    "SymbolicCompilationContext",
    "SymbolicCompilationSignature",
    "SymbolicCompiledArtifact",
    "SymbolicCompiler",
    "SymbolicCompilerError",
    "SymbolicCompilerOptions",
    "SymbolicLowererRegistry",
    "SymbolicOperator",
    "SymbolicOperatorIR",
    "SymbolicOperatorSum",
    "SymbolicPassPipeline",
    "SymbolicPassReport",
    "SymirError",
    "ValidationReport",
    "ValueTable",
    "all_",
    "all_sites",
    "any_",
    "as_space",
    "available_function_names",
    "available_update_names",
    "between",
    "bisect",
    "check",
    "check_extension",
    "clauses",
    "count",
    "default_symbolic_artifact_store",
    "default_symbolic_lowerer_registry",
    "default_symbolic_pass_pipeline",
    "denote",
    "diff",
    "explore",
    "extensions",
    "fermions",
    "fock",
    "from_fcidump",
    "from_fermions",
    "from_netket",
    "from_pauli_strings",
    "function",
    "fused_local_energy",
    "import_function",
    "jordan_wigner",
    "load_artifact",
    "local_energy",
    "lower",
    "lower_to_bt",
    "lower_to_stablehlo",
    "parity",
    "parse",
    "plot_benchmarks",
    "plot_connectivity",
    "plot_cost",
    "prod",
    "qubit",
    "reduced",
    "register_delta",
    "register_function",
    "register_update",
    "set_",
    "sites_range",
    "space",
    "spin",
    "sum_",
    "to_netket",
    "trace",
    "update",
]
__all__ += language.__all__
