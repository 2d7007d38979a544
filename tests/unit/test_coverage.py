"""Every op of every level has a verifier test, an interpreter and a lowering.

That lowerings emit no other ops is tested where all constructs are lowered, in
`tests/unit/symir/compiler/test_levels.py`.
"""

from __future__ import annotations

import pytest

from tests.coverage_table import PAGE, rendered, tables


@pytest.mark.parametrize("level", ["sym", "bt", "StableHLO"])
def test_no_op_lacks_anything(level: str) -> None:
    holes = {row.op: row.holes for row in tables()[level] if row.holes}
    assert holes == {}


def test_every_level_has_a_table() -> None:
    assert list(tables()) == ["sym", "bt", "StableHLO"]


def test_the_page_is_what_the_sources_say() -> None:
    page = PAGE.read_text()
    assert page == rendered(page), "run python -m tests.coverage_table"
