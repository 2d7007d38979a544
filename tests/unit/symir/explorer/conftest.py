"""One headless Chromium for all tests of the page: that of the distribution."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Generator
from pathlib import Path
from typing import Any

import pytest

from symir.explorer.page import page_of
from symir.explorer.writing import explored

NAMES = ("chromium", "chromium-browser", "google-chrome", "chrome")

FLAGS = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-sync",
    "--no-first-run",
]


def chromium() -> str | None:
    """Return where a Chromium is, None where there is none."""
    return next((path for name in NAMES if (path := shutil.which(name))), None)


@pytest.fixture(scope="session")
def browser() -> Generator[Any]:
    path = chromium()
    if path is None:
        pytest.skip(f"the explorer needs a browser: none of {', '.join(NAMES)}")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=path, args=FLAGS)
        yield started
        started.close()


Open = Callable[..., Any]


@pytest.fixture(scope="session")
def contexts(browser: Any) -> Callable[[str], Any]:
    """Return a window of a colour scheme, always the same one."""
    made: dict[str, Any] = {}

    def context(scheme: str) -> Any:
        if scheme not in made:
            made[scheme] = browser.new_context(
                viewport={"width": 1640, "height": 1000},
                color_scheme=scheme,
                reduced_motion="reduce",
            )
        return made[scheme]

    return context


@pytest.fixture
def open_page(contexts: Callable[[str], Any], tmp_path: Path) -> Generator[Open]:
    """Open a page in a colour scheme; it has to be silent, and to ask for nothing."""
    tabs: list[Any] = []
    said: list[str] = []
    requests: list[str] = []

    def opened(page: str, scheme: str = "light") -> Any:
        file = tmp_path / f"page{len(tabs)}.html"
        file.write_text(page, encoding="utf-8")
        tab = contexts(scheme).new_page()
        tabs.append(tab)
        tab.set_default_timeout(10_000)
        tab.on("console", lambda message: said.append(message.text))
        tab.on("pageerror", lambda error: said.append(str(error)))
        tab.on("dialog", lambda dialog: (said.append("dialog"), dialog.dismiss()))
        tab.on("request", lambda request: requests.append(request.url))
        tab.goto(file.as_uri())
        return tab

    yield opened
    for tab in tabs:
        tab.close()
    assert said == []
    others = [url for url in requests if not url.startswith(("file:", "data:"))]
    assert others == []
    assert len([url for url in requests if url.startswith("file:")]) == len(tabs)


def page(*arguments: Any, **options: Any) -> str:
    """Return the page of an operator, or of a local energy and its arguments."""
    return page_of(explored(*arguments, **options))
