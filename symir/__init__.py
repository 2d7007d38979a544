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

from symir._shadowing import check_own_packages

check_own_packages()

# Only now can `dialects` and `lowering` be trusted to be symir's own
from symir.compiler import (  # noqa: E402
    SymbolicCompiledArtifact,
    SymbolicCompiler,
    lower_to_bt,
    lower_to_stablehlo,
)
from symir.errors import (  # noqa: E402
    CompilationError,
    DefinitionError,
    InputError,
    SymirError,
)
from symir.ir import SymbolicOperatorIR  # noqa: E402
from symir.language import (  # noqa: E402
    DOperator,
    Expr,
    Predicate,
    Update,
    abs_,
    emitted,
    false,
    identity,
    row,
    shift,
    site,
    sqrt,
    swap,
    symbol,
    true,
    write,
)
from symir.operator import SymbolicOperator  # noqa: E402
from symir.spaces import Space, as_space, fock, qubit, space, spin  # noqa: E402

__all__ = [
    "CompilationError",
    "DOperator",
    "DefinitionError",
    "Expr",
    "InputError",
    "Predicate",
    "Space",
    "SymbolicCompiledArtifact",
    "SymbolicCompiler",
    "SymbolicOperator",
    "SymbolicOperatorIR",
    "SymirError",
    "Update",
    "abs_",
    "as_space",
    "emitted",
    "false",
    "fock",
    "identity",
    "lower_to_bt",
    "lower_to_stablehlo",
    "qubit",
    "row",
    "shift",
    "site",
    "space",
    "spin",
    "sqrt",
    "swap",
    "symbol",
    "true",
    "write",
]
