"""One catalogue of codes: all that the source raises, and what the page lists."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import symir as sym
from symir.catalogue import CATALOGUE, CODES
from tests.error_table import PAGE, rendered

ROOT = Path(__file__).parents[3]


def test_the_catalogue_has_exactly_the_codes_that_are_raised() -> None:
    sources = {*(ROOT / "symir").rglob("*.py")} - {ROOT / "symir" / "catalogue.py"}
    pattern = re.compile(r'"([A-Z]\d{3})"|\[([A-Z]\d{3})\]')
    raised = {
        code
        for source in sources
        for match in pattern.finditer(source.read_text())
        for code in match.groups()
        if code
    }
    assert raised == CODES.keys()


def test_every_code_stands_in_its_section_once_and_in_order() -> None:
    assert sum(map(len, CATALOGUE.values())) == len(CODES)
    for title, codes in CATALOGUE.items():
        assert [*codes] == sorted(codes)
        assert {code[0] for code in codes} == {title[0]}


def test_the_page_is_what_the_catalogue_says() -> None:
    page = PAGE.read_text()
    assert page == rendered(page), "run python -m tests.error_table"


def test_errors_know_what_their_code_says() -> None:
    with pytest.raises(sym.DefinitionError) as caught:
        sym.qubit(0)
    assert caught.value.summary == CODES[caught.value.code]
    assert sym.SymirError("X999", "of somebody else").summary is None
