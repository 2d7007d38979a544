"""The page of the explorer: one self-contained HTML file.

The page loads nothing: its Content-Security-Policy allows the one script and the one
style sheet that are in it, by their hashes, and no request. What it shows is data in
JSON that cannot end its element, and the script writes text nodes only: no name can
become markup.
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
from collections.abc import Mapping
from functools import cache
from html import escape
from importlib.resources import files
from typing import Any

_PLACEHOLDER = re.compile(r"\{\{(\w+)\}\}")

_POLICY = (
    "default-src 'none'; script-src {script}; style-src {style}; img-src data:; "
    "connect-src {connect}; base-uri 'none'; form-action 'none'"
)

_ESCAPES = {"<": "\\u003c", ">": "\\u003e", "&": "\\u0026"}


def page_of(data: Mapping[str, Any], *, live: str | None = None) -> str:
    """Return the page of `page_data`.

    With `live`, a token, the page asks the server that it came from now and then
    whether it is still the page of that token, and is loaded again once it is not.
    """
    return _page({**data, "live": live}, f"{data['name']} - symir explorer")


def error_page(title: str, text: str, *, live: str | None = None) -> str:
    """Return a page that says why there is none, and waits for a better one."""
    return _page({"name": title, "error": text, "live": live}, f"{title} - symir")


def _page(data: Mapping[str, Any], title: str) -> str:
    style, script = _asset("page.css"), _asset("page.js")
    parts = {
        "title": escape(title),
        "policy": _POLICY.format(
            script=_hash_of(script),
            style=_hash_of(style),
            connect="'self'" if data.get("live") else "'none'",
        ),
        "style": style,
        "script": script,
        "data": _json(data),
    }
    # In one pass: what has been put in is not looked at again
    return _PLACEHOLDER.sub(lambda match: parts[match[1]], _asset("page.html"))


def _json(data: Mapping[str, Any]) -> str:
    """Return JSON of ASCII that has none of the characters that markup is made of."""
    text = json.dumps(data, separators=(",", ":"), allow_nan=False)
    return re.sub("[<>&]", lambda match: _ESCAPES[match[0]], text)


@cache
def _asset(name: str) -> str:
    return files("symir.explorer").joinpath("assets", name).read_text(encoding="utf-8")


def _hash_of(text: str) -> str:
    digest = hashlib.sha256(text.encode()).digest()
    return f"'sha256-{base64.b64encode(digest).decode()}'"
