"""Colours of MLIR text, and of differences, on a terminal."""

from __future__ import annotations

import re
from collections.abc import Iterator

_RESET = "\x1b[0m"

_COLOURS = {
    "comment": "\x1b[90m",
    "string": "\x1b[32m",
    "value": "\x1b[35m",
    "symbol": "\x1b[33m",
    "type": "\x1b[36m",
    "op": "\x1b[34m",
    "number": "\x1b[32m",
}

_NAME = r"[A-Za-z_][\w$.-]*"

_TOKEN = re.compile(
    rf"""
      (?P<comment>//[^\n]*)
    | (?P<string>"(?:[^"\\\n]|\\.)*")
    | (?P<value>%[\w$.-]+(?:\#\d+)?|\^{_NAME})
    | (?P<symbol>@(?:{_NAME}|"(?:[^"\\\n]|\\.)*"))
    | (?P<type>[!\#]{_NAME}|\b(?:tensor|dense|vector|array|complex)\b(?=<)
        |\b(?:[su]?i\d+|b?f\d+|index)\b)
    | (?P<op>\b[A-Za-z_]\w*(?:\.\w+)+\b|\bmodule\b)
    | (?P<number>(?<![\w.])-?(?:0x[0-9A-Fa-f]+|\d+(?:\.\d*)?(?:[eE][+-]?\d+)?)\b)
    """,
    re.VERBOSE,
)


def tokens(text: str) -> Iterator[tuple[str | None, str]]:
    """Yield a text in pieces, each with its kind; None is what has no colour.

    The kinds are "comment", "string", "value", "symbol", "type" (attributes, too), "op"
    and "number". Together the pieces are the text.
    """
    end = 0
    for match in _TOKEN.finditer(text):
        if match.start() > end:
            yield None, text[end : match.start()]
        yield match.lastgroup, match[0]
        end = match.end()
    if end < len(text):
        yield None, text[end:]


def coloured(text: str) -> str:
    """Return MLIR text with the colours of a terminal."""
    return "".join(
        piece if kind is None else f"{_COLOURS[kind]}{piece}{_RESET}"
        for kind, piece in tokens(text)
    )


_OF_DIFFS = {"+": "\x1b[32m", "-": "\x1b[31m", "@": "\x1b[36m"}


def coloured_diff(text: str) -> str:
    """Return a unified diff with the colours of a terminal."""
    return "\n".join(
        f"{_OF_DIFFS[line[0]]}{line}{_RESET}" if line and line[0] in _OF_DIFFS else line
        for line in text.split("\n")
    )
