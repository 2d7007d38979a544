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
    from symir.runtime.importing import import_function
    from symir.runtime.local_energy import LocalEnergy, local_energy
    from symir.runtime.local_energy.deltas import register_delta

# Only now can `dialects` and `lowering` be trusted to be symir's own
from symir import _bodies as _bodies  # noqa: E402
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
from symir.extension_check import ExtensionReport, check_extension  # noqa: E402
from symir.inspection import LoweredOperator, diff, lower, parse  # noqa: E402
from symir.interop.fcidump import from_fcidump  # noqa: E402
from symir.interop.fermions import from_fermions  # noqa: E402
from symir.interop.from_netket import from_netket  # noqa: E402
from symir.interop.pauli import from_pauli_strings  # noqa: E402
from symir.interop.to_netket import to_netket  # noqa: E402
from symir.ir import SymbolicOperatorIR  # noqa: E402
from symir.language import (  # noqa: E402
    AbstractEmissionClause,
    AbstractIteratorClause,
    AbstractPredicateClause,
    DOperator,
    Expr,
    Predicate,
    Update,
    abs_,
    affine,
    all_of,
    any_of,
    available_emission_clause_names,
    available_iterator_clause_names,
    available_predicate_clause_names,
    cond,
    conj,
    cos,
    emitted,
    exp,
    false,
    flip,
    flip_set,
    here,
    hop,
    identity,
    imag,
    invalidate,
    log,
    maximum,
    minimum,
    norm2,
    permute,
    real,
    register,
    register_emission_clause,
    register_iterator_clause,
    register_predicate_clause,
    row,
    scatter,
    shift,
    shift_mod,
    sign,
    sin,
    site,
    source_index,
    sqrt,
    swap,
    symbol,
    table,
    target_index,
    true,
    where,
    wrap_mod,
    write,
)
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
from symir.language.operators import (  # noqa: E402
    LatticeSum,
    OperatorExpr,
    Sm,
    Sp,
    Sx,
    Sy,
    Sz,
    X,
    Y,
    Z,
    a,
    adag,
    anticommutator,
    c,
    cdag,
    commutator,
    dagger,
    n,
    sum_over,
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
from symir.operator import SymbolicOperator, SymbolicOperatorSum  # noqa: E402
from symir.pictures import (  # noqa: E402
    plot_benchmarks,
    plot_connectivity,
    plot_cost,
)
from symir.spaces import (  # noqa: E402
    Space,
    as_space,
    fermions,
    fock,
    qubit,
    space,
    spin,
)
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

_NEED_JAX = {
    "LocalEnergy": "symir.runtime.local_energy",
    "fused_local_energy": "symir.interop.netket",
    "import_function": "symir.runtime.importing",
    "local_energy": "symir.runtime.local_energy",
    "register_delta": "symir.runtime.local_energy.deltas",
}
"""Names that are imported when they are first used."""


def __getattr__(name: str) -> object:
    if name not in _NEED_JAX:
        raise AttributeError(f"module 'symir' has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(_NEED_JAX[name]), name)


__all__ = [
    "AbstractEmissionClause",
    "AbstractIteratorClause",
    "AbstractPredicateClause",
    "AbstractSymbolicArtifactStore",
    "AbstractSymbolicLowerer",
    "AbstractSymbolicPass",
    "Bisection",
    "DOperator",
    "DefinitionError",
    "Expr",
    "ExtensionReport",
    "InMemorySymbolicArtifactStore",
    "InputError",
    "LatticeSum",
    "LocalEnergy",
    "LoweredOperator",
    "NotDifferentiable",
    "OperatorExpr",
    "PrecisionWarning",
    "Predicate",
    "Reduction",
    "Sm",
    "Sp",
    "Space",
    "StageError",
    "Sx",
    "Sy",
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
    "Sz",
    "Update",
    "ValidationReport",
    "ValueTable",
    "X",
    "Y",
    "Z",
    "a",
    "abs_",
    "adag",
    "affine",
    "all_",
    "all_of",
    "all_sites",
    "anticommutator",
    "any_",
    "any_of",
    "as_space",
    "available_emission_clause_names",
    "available_function_names",
    "available_iterator_clause_names",
    "available_predicate_clause_names",
    "available_update_names",
    "between",
    "bisect",
    "c",
    "cdag",
    "check",
    "check_extension",
    "clauses",
    "commutator",
    "cond",
    "conj",
    "cos",
    "count",
    "dagger",
    "default_symbolic_artifact_store",
    "default_symbolic_lowerer_registry",
    "default_symbolic_pass_pipeline",
    "denote",
    "diff",
    "emitted",
    "exp",
    "explore",
    "extensions",
    "false",
    "fermions",
    "flip",
    "flip_set",
    "fock",
    "from_fcidump",
    "from_fermions",
    "from_netket",
    "from_pauli_strings",
    "function",
    "fused_local_energy",
    "here",
    "hop",
    "identity",
    "imag",
    "import_function",
    "invalidate",
    "jordan_wigner",
    "load_artifact",
    "local_energy",
    "log",
    "lower",
    "lower_to_bt",
    "lower_to_stablehlo",
    "maximum",
    "minimum",
    "n",
    "norm2",
    "parity",
    "parse",
    "permute",
    "plot_benchmarks",
    "plot_connectivity",
    "plot_cost",
    "prod",
    "qubit",
    "real",
    "reduced",
    "register",
    "register_delta",
    "register_emission_clause",
    "register_function",
    "register_iterator_clause",
    "register_predicate_clause",
    "register_update",
    "row",
    "scatter",
    "set_",
    "shift",
    "shift_mod",
    "sign",
    "sin",
    "site",
    "sites_range",
    "source_index",
    "space",
    "spin",
    "sqrt",
    "sum_",
    "sum_over",
    "swap",
    "symbol",
    "table",
    "target_index",
    "to_netket",
    "trace",
    "true",
    "update",
    "where",
    "wrap_mod",
    "write",
]
