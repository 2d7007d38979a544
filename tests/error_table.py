"""The tables of `docs/errors.md`: what each code says in general.

`python -m tests.error_table` writes them; a test compares them with the catalogue.
"""

from __future__ import annotations

from pathlib import Path

from symir.catalogue import CATALOGUE

PAGE = Path(__file__).parent.parent / "docs" / "errors.md"
BEGIN = "<!-- codes: from here on by python -m tests.error_table -->\n"

_DIAGNOSTICS = """These are no errors: the operator compiles. \
[diagnostics.md](diagnostics.md) has an example
of each.

| code | what is questionable |"""


def rendered(page: str) -> str:
    """Return the page with the tables as the catalogue has them."""
    parts = [page.partition(BEGIN)[0] + BEGIN]
    for title, codes in CATALOGUE.items():
        is_error = not title.startswith("W:")
        head = "| code | what is wrong |" if is_error else _DIAGNOSTICS
        rows = "".join(f"| {code} | {text} |\n" for code, text in codes.items())
        parts.append(f"## {title}\n\n{head}\n|---|---|\n{rows}")
    return "\n".join(parts)


if __name__ == "__main__":
    PAGE.write_text(rendered(PAGE.read_text()))
