"""Passes over the IR: one per file, the file's name is the pass's name.

Importing this package needs neither JAX nor NetKet.
"""

SYMIR_DISTRIBUTION = "symir"
"""Marks this package as symir's: `lowering` is a common name on a Python path."""
