"""Dialects and passes for `xdsl-opt` and `xdsl-gui`, by entry point `xdsl.universe`.

StableHLO is not listed: xdsl-jax, which defines it, publishes it the same way.
"""

from xdsl.universe import Universe

from dialects.registry import get_own_dialects
from lowering.registry import get_all_passes

SYMIR_UNIVERSE = Universe(all_dialects=get_own_dialects(), all_passes=get_all_passes())
