"""Physics facts of an operator, by analysis: what holds, what does not, and why.

`op.facts()` looks in this order: at the form of the terms; at all groups of rows on
the same few sites (`symir.facts.local`); at all configurations of a small space; at a
sample of a large one. A compilation does none of it unless its option `diagnostics` is
"thorough", and no JAX is needed.
"""

from __future__ import annotations

from symir.facts.analysis import facts_of
from symir.facts.operator_facts import Counterexample, Fact, How, OperatorFacts

__all__ = ["Counterexample", "Fact", "How", "OperatorFacts", "facts_of"]
