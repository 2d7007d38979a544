"""The page of error codes lists exactly the codes that the source raises."""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path

ROOT = Path(__file__).parents[3]


def test_every_code_is_documented_once() -> None:
    sources = (ROOT / "symir").rglob("*.py")
    raised = {
        code
        for source in sources
        for code in re.findall(r'"([A-Z]\d{3})"|\[([A-Z]\d{3})\]', source.read_text())
        for code in code
        if code
    }
    page = (ROOT / "docs" / "errors.md").read_text()
    documented = Counter(re.findall(r"^\| ([A-Z]\d{3}) \|", page, re.MULTILINE))
    assert set(documented) == raised
    assert set(documented.values()) == {1}
