"""The documentation site is whole: pages are found, and the references are of now.

`make docs` builds it; nothing here needs its tools.
"""

from __future__ import annotations

import inspect
import re
import runpy
from pathlib import Path
from types import SimpleNamespace

import pytest
from xdsl.ir import Attribute, Operation

import symir as sym
from dialects import bt, stablehlo
from dialects import sym as sym_dialect
from lowering.registry import get_all_passes
from symir import models
from tests.coverage_table import tables
from tests.dialect_reference import FOLDER, messages_of, pages
from tests.unit.test_docs import links_of

ROOT = Path(__file__).parent.parent.parent
DOCS = ROOT / "docs"
API = "\n".join(page.read_text() for page in sorted((DOCS / "api").glob("*.md")))
DEFINED: list[type[Operation | Attribute]] = [
    kind
    for dialect in (sym_dialect.Sym, bt.Bt)
    for kind in (*dialect.operations, *dialect.attributes)
]


def navigation() -> list[str]:
    _, _, nav = (ROOT / "mkdocs.yml").read_text().partition("\nnav:\n")
    return re.findall(r"[\w/]+\.md", nav)


def test_every_page_has_one_place_in_the_navigation() -> None:
    written = {str(page.relative_to(DOCS)) for page in DOCS.rglob("*.md")}
    listed = navigation()
    assert sorted(listed) == sorted(written)


def test_navigation_is_read() -> None:
    assert {"index.md", "reference/sym.md", "contributing/extending.md"} <= {
        *navigation()
    }


def on_the_site(page: Path) -> str:
    """Return the Markdown that the site is made of, as `docs/hooks.py` mends it."""
    hooks = runpy.run_path(str(DOCS / "hooks.py"))
    uri = page.relative_to(DOCS).as_posix()
    found = SimpleNamespace(file=SimpleNamespace(src_uri=uri))
    return hooks["on_page_markdown"](page.read_text(), found, None, None)


@pytest.mark.parametrize("page", [*DOCS.rglob("*.md")], ids=lambda page: page.stem)
def test_fences_and_links_of_the_site(page: Path) -> None:
    text = on_the_site(page)
    fences = re.findall(r"^```.*$", text, re.MULTILINE)
    plain = re.compile(r'```(\w+( title="[^" ]+")?)?')
    assert [fence for fence in fences if not plain.fullmatch(fence)] == []
    for link in links_of(text):
        path = (page.parent / link).resolve()
        assert path.is_relative_to(DOCS), link
        outside = path.relative_to(DOCS).as_posix().removeprefix("repository/")
        sources = (path, ROOT / outside, ROOT / outside.removesuffix(".md"))
        assert any(source.exists() for source in sources), link


def test_links_out_of_the_documentation_stay_on_the_site() -> None:
    text = on_the_site(DOCS / "contributing" / "architecture.md")
    assert "](../repository/CONTRIBUTING.md#where-a-thing-belongs)" in text
    assert "](repository/examples/vmc.md)" in on_the_site(DOCS / "start.md")


def test_every_public_name_is_in_the_api_reference_once() -> None:
    documented = re.findall(r"^::: symir\.(\w+)$", API, re.MULTILINE)
    assert sorted(documented) == sorted(sym.__all__)


def test_every_model_is_in_the_api_reference_once() -> None:
    documented = re.findall(r"^::: symir\.models\.(\w+)$", API, re.MULTILINE)
    assert sorted(documented) == sorted(models.__all__)


def test_the_dialect_reference_is_what_the_sources_say() -> None:
    written = {page.name: page.read_text() for page in FOLDER.glob("*.md")}
    stale = [name for name, text in pages().items() if written.get(name) != text]
    assert stale == [], "run python -m tests.dialect_reference"
    assert {*written} == {*pages()}


@pytest.mark.parametrize("kind", DEFINED, ids=lambda kind: kind.name)
def test_no_definition_lacks_an_entry(
    kind: type[Operation | Attribute],
) -> None:
    page = (FOLDER / f"{kind.name.partition('.')[0]}.md").read_text()
    what = "`" if issubclass(kind, Operation) else r"(?:type|attribute) `[!#]"
    headings = re.findall(rf"^### {what}([\w.]+)`$", page, re.MULTILINE)
    assert headings.count(kind.name) == 1
    assert len(inspect.cleandoc(kind.__doc__ or "").splitlines()[0]) > 10


@pytest.mark.parametrize(
    "kind", [*sym_dialect.Sym.operations, *bt.Bt.operations], ids=lambda kind: kind.name
)
def test_every_op_has_an_example_of_itself(kind: type[Operation]) -> None:
    example = re.search(r"```mlir\n(.*?)```", kind.__doc__ or "", re.DOTALL)
    assert example is not None
    assert kind.name in example[1]


def test_no_op_of_stablehlo_lacks_an_entry() -> None:
    page = (FOLDER / "stablehlo.md").read_text()
    listed = re.findall(r"^\| `(stablehlo\.\w+)` \|", page, re.MULTILINE)
    assert listed == [row.op for row in tables()["StableHLO"]]
    assert stablehlo.ELEMENTWISE < {*listed}


def test_no_pass_lacks_an_entry() -> None:
    page = (FOLDER / "passes.md").read_text()
    assert re.findall(r"^## `(.*)`$", page, re.MULTILINE) == sorted(get_all_passes())


def test_messages_are_read_off_the_verifiers() -> None:
    """Of functions that are called, of what is inherited, and of what is returned."""
    assert "'sym.affine' takes local values as tensor<..>, got .." in messages_of(
        sym_dialect.AffineOp, "verify_"
    )
    assert messages_of(sym_dialect.LocalIndexOp, "verify_") == [
        "'sym.local_index' takes local values as tensor<..>, got .."
    ]
    assert "a space needs at least one site, got .." in messages_of(
        sym_dialect.SpaceAttr, "verify"
    )
    assert messages_of(sym_dialect.IndexOp, "verify_") == []
