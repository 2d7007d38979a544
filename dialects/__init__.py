"""The IR of symir: what it is (`sym`, `bt`, StableHLO) and what it means.

Importing this package needs neither JAX nor NetKet.
"""

SYMIR_DISTRIBUTION = "symir"
"""Marks this package as symir's: `dialects` is a common name on a Python path."""
