"""Every op of every level has a verifier test, an interpreter and a lowering."""

from __future__ import annotations

import pytest

from dialects import stablehlo
from symir.compiler.lowering import lower_to_bt, lower_to_stablehlo
from tests.coverage_table import PAGE, emitted_by_lowerings, rendered, tables
from tests.unit.symir.constructs import CONSTRUCTS


@pytest.mark.parametrize("level", ["sym", "bt", "StableHLO"])
def test_no_op_lacks_anything(level: str) -> None:
    holes = {row.op: row.holes for row in tables()[level] if row.holes}
    assert holes == {}


def test_every_level_has_a_table() -> None:
    assert list(tables()) == ["sym", "bt", "StableHLO"]


def test_the_page_is_what_the_sources_say() -> None:
    page = PAGE.read_text()
    assert page == rendered(page), "run python -m tests.coverage_table"


def test_what_is_emitted_is_in_the_tables() -> None:
    known = {*stablehlo.ELEMENTWISE, *emitted_by_lowerings()}
    met: set[str] = set()
    for build in CONSTRUCTS.values():
        branch_tensors = lower_to_bt(build(4).to_ir().module)
        for module in (branch_tensors, lower_to_stablehlo(branch_tensors, 2, "i8")):
            met.update(op.name for op in module.walk())
    emitted = {name for name in met if name.startswith("stablehlo.")}
    assert emitted <= known
    # So that the check has something to look at
    assert {"stablehlo.gather", "stablehlo.reduce", "stablehlo.select"} <= emitted
