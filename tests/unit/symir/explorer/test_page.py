"""The page as a file: nothing from outside, nothing that escapes, errors with codes."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from importlib.resources import files
from pathlib import Path

import pytest

import symir as sym
from lowering.change.analyse_change import KINDS
from symir.compiler import default_symbolic_compiler
from symir.explorer.page import error_page, page_of
from tests.screenshots import IMAGES, LARGEST, PICTURES
from tests.unit.symir.explorer import operators
from tests.unit.symir.explorer.conftest import page


def test_a_page_is_one_file_without_links(tmp_path: Path) -> None:
    path = sym.explore(operators.tfim(), tmp_path / "tfim.html")
    text = path.read_text()
    assert text.startswith("<!doctype html>")
    assert re.findall(r"(?:src|href)=\"(?!#|data:)[^\"]*\"", text) == []
    assert not re.search(r"https?://(?!www\.w3\.org/2000/svg)", text)
    assert "{{" not in text.partition('id="data"')[0]


def test_the_policy_names_what_is_on_the_page() -> None:
    text = page(operators.tfim())
    found = re.search(r'Content-Security-Policy" content="([^"]*)"', text)
    assert found is not None
    for element in ("style", "script"):
        parts = re.findall(rf"<{element}>(.*?)</{element}>", text, re.DOTALL)
        digest = hashlib.sha256(parts[-1].encode()).digest()
        own = base64.b64encode(digest).decode()
        assert f"{element}-src 'sha256-{own}'" in found[1]
    assert "connect-src 'none'" in found[1]


def test_nothing_in_the_data_ends_its_element() -> None:
    text = page(operators.nasty())
    found = re.search(r'id="data">(.*?)</script>', text)
    assert found is not None
    assert not set(found[1]) & set("<>&")
    assert found[1].isascii()
    data = json.loads(found[1])
    assert data["name"] == operators.NASTY
    assert data["terms"][0]["name"] == f"{operators.NASTY} {{{{script}}}}"
    assert text.count("<img") == 0


def luminance(colour: str) -> float:
    """Return the relative luminance of #rrggbb, after WCAG 2."""
    parts = [int(colour[k : k + 2], 16) / 255 for k in (1, 3, 5)]
    red, green, blue = (
        c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in parts
    )
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


@pytest.mark.parametrize("dark", [False, True])
def test_every_form_has_a_colour_that_can_be_read(dark: bool) -> None:
    style = (files("symir.explorer") / "assets" / "page.css").read_text()
    pattern = r"--([\w-]+): light-dark\((#\w{6}), (#\w{6})\);"
    colours = {name: pair[dark] for name, *pair in re.findall(pattern, style)}
    of_kind = dict(re.findall(r"\.f-(\w+) \{ --form: var\(--([\w-]+)\); \}", style))
    assert of_kind.keys() == KINDS.keys()
    for name in of_kind.values():
        for paper in ("card", "paper"):
            low, high = sorted(map(luminance, (colours[name], colours[paper])))
            assert (high + 0.05) / (low + 0.05) > 4.5, name


def test_error_pages_are_escaped() -> None:
    text = error_page(operators.NASTY, f"{operators.NASTY} & more", live="1")
    assert "<img" not in text
    assert "connect-src 'self'" in text


def test_two_pages_of_one_operator_are_equal_but_for_times() -> None:
    def without_times(text: str) -> str:
        return re.sub(r'"ms":[\d.]+', "", text)

    first, second = page(operators.tfim()), page(operators.tfim())
    assert without_times(first) == without_times(second)


def test_handles_and_options_are_taken(tmp_path: Path) -> None:
    path = tmp_path / "page.html"
    sym.explore(sym.lower(operators.tfim(), to="bt"), path)
    assert "bt.connections" in path.read_text()
    assert '"stablehlo":' not in path.read_text()
    sym.explore(operators.tfim(), str(path), coalesce="static", opt_level=3)
    assert "bt-coalesce-static" in path.read_text()


def test_files_that_cannot_be_written_have_their_error(tmp_path: Path) -> None:
    operator = operators.tfim()
    with pytest.raises(sym.InputError, match="C080"):
        sym.explore(operator)
    with pytest.raises(sym.InputError, match="C080"):
        sym.explore(operator, 3)
    for wrong in (tmp_path, tmp_path / "no" / "folder.html"):
        with pytest.raises(sym.InputError, match=r"C082[\s\S]*found"):
            sym.explore(operator, wrong)
    with pytest.raises(sym.SymirError, match="C060"):
        sym.explore(operator.compile(), tmp_path / "page.html")


def test_a_page_knows_its_data_only_once() -> None:
    data = {"name": "{{style}} {{data}}", "error": "{{script}}"}
    text = page_of(data)
    assert text.count("{{style}} {{data}}") == 2  # in the title and in the data
    assert text.count("The compiler explorer: draws") == 1


# ---- notebooks ----


def test_notebooks_show_a_few_escaped_lines() -> None:
    operator = operators.nasty()
    artifact = default_symbolic_compiler().compile(operator)
    for shown in (operator, artifact, sym.lower(operator)):
        html: str = shown._repr_html_()
        assert "<img" not in html
        assert "<script" not in html
        assert "&lt;/script&gt;" in html
        assert len(html) < 8000


def test_notebooks_stay_short() -> None:
    html: str = operators.one_by_one(50)._repr_html_()
    assert "and 42 more terms" in html
    assert len(html) < 8000
    html = operators.tfim()._repr_html_()
    for part in ("tfim", "bonds", "field", "zz", "flip", "16 branches", "Hermitian"):
        assert part in html
    assert "sym → bt → stablehlo" in sym.lower(operators.tfim())._repr_html_()


# ---- the documentation ----


@pytest.mark.parametrize("name", PICTURES)
def test_pictures_of_the_documentation_are_small(name: str) -> None:
    path = IMAGES / f"{name}.png"
    assert path.stat().st_size < LARGEST
    pages = [path.read_text() for path in IMAGES.parent.glob("*.md")]
    assert any(f"](images/{name}.png)" in text for text in pages)
