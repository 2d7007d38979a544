"""The rules of change that are known, by the names of ops.

A rule of an op of one's own is a class with `names`, and `register` makes it known:

```python
class ReverseRule(LayoutRule):
    names = ("stablehlo.reverse",)
    ..


register(ReverseRule())
```
"""

from __future__ import annotations

from xdsl.ir import Operation

from lowering.change import combining_rules, elementwise_rules, layout_rules
from lowering.change.rules import ChangeRule
from lowering.rewriting import op_name

RULES: dict[str, ChangeRule] = {}
"""Rules by the names of ops."""


def register(*rules: ChangeRule) -> None:
    """Add rules, each in place of those that there are of the same ops."""
    RULES.update({name: rule for rule in rules for name in rule.names})


def rule_of(op: Operation) -> ChangeRule | None:
    """Return the rule of an op, None where there is none."""
    return RULES.get(op_name(op))


register(*elementwise_rules.RULES, *layout_rules.RULES, *combining_rules.RULES)
