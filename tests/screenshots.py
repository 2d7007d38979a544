"""Draws the explorer for the documentation: `python -m tests.screenshots`.

Needs a Chromium, as the tests of the page do.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax
from PIL import Image

from symir.explorer.page import page_of
from symir.explorer.writing import explored
from tests.unit.symir.explorer import operators
from tests.unit.symir.explorer.conftest import FLAGS, chromium

IMAGES = Path(__file__).parent.parent / "docs" / "images"

LARGEST = 200_000
"""No picture has more bytes."""


def levels(tab: Any) -> None:
    """Hold the term of the field, which shows it at all levels."""
    tab.locator(".chip", has_text="field").click()


def connections(tab: Any) -> None:
    """Choose a hop of an electron."""
    tab.evaluate("document.getElementById('connections').scrollIntoView()")
    tab.locator(".lane").nth(5).click()
    tab.keyboard.press("Escape")


def energy(tab: Any) -> None:
    """Show the report of a local energy."""
    tab.evaluate("document.getElementById('energy').scrollIntoView()")


def forms(tab: Any) -> None:
    """Show what a change of x makes of the network."""
    tab.evaluate("document.getElementById('forms').scrollIntoView()")


Picture = tuple[Callable[[], tuple[Any, ...]], str, int, Callable[[Any], None]]

PICTURES: dict[str, Picture] = {
    "explorer": (lambda: (operators.tfim(),), "light", 880, levels),
    "explorer_connections": (
        *(lambda: (operators.fermi_hubbard(),), "dark", 830),
        connections,
    ),
    "explorer_energy": (operators.energy, "light", 850, energy),
    "explorer_forms": (operators.energy, "dark", 780, forms),
}
"""By name: what is explored, the colours, the height, and what is done to the page."""


def main() -> None:
    """Write all pictures."""
    from playwright.sync_api import sync_playwright

    jax.config.update("jax_enable_x64", True)
    with sync_playwright() as playwright, tempfile.TemporaryDirectory() as folder:
        browser: Any = playwright.chromium.launch(
            executable_path=chromium(), args=FLAGS
        )
        for name, (make, scheme, height, prepare) in PICTURES.items():
            file = Path(folder) / f"{name}.html"
            file.write_text(page_of(explored(*make())), encoding="utf-8")
            tab = browser.new_page(
                viewport={"width": 1400, "height": height},
                color_scheme=scheme,
                reduced_motion="reduce",
            )
            tab.goto(file.as_uri())
            prepare(tab)
            tab.mouse.move(2, 2)
            path = IMAGES / f"{name}.png"
            tab.screenshot(path=path)
            with Image.open(path) as picture:
                picture.convert("RGB").save(path, optimize=True)
            size = path.stat().st_size
            assert size < LARGEST, f"{path} has {size} bytes"
            print(f"{path}: {size} bytes")
        browser.close()


if __name__ == "__main__":
    main()
