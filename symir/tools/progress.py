"""Telling users what takes long: a line per stage, with its time."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Generator
from typing import TextIO

_LINES_PER_STAGE = 10
"""Lines that a counter may take where it cannot overwrite itself."""


class Progress:
    """Stages on a stream, usually stderr; nothing where `quiet`.

    On a terminal a counter overwrites itself; elsewhere it takes ten lines at most.
    """

    def __init__(self, stream: TextIO, *, quiet: bool = False):
        self._stream = stream
        self._quiet = quiet
        self._overwrites = stream.isatty()
        self._what = ""
        self._part = 0

    @contextlib.contextmanager
    def stage(self, what: str) -> Generator[None]:
        """Announce a stage, and say how long it took."""
        self._what, self._part = what, 0
        start = time.perf_counter()
        if self._overwrites:
            self._write(f"{what} ...")
        try:
            yield
        except BaseException:
            self._finish(f"{what} ... failed")
            raise
        self._finish(f"{what} ... {time.perf_counter() - start:.2f} s")

    def count(self, done: int, total: int) -> None:
        """Say how far the stage at hand has come."""
        text = f"{self._what} ... {done}/{total}"
        if self._overwrites:
            self._write(f"\r{text}")
            return
        part = _LINES_PER_STAGE * done // max(1, total)
        if self._part < part < _LINES_PER_STAGE:
            self._part = part
            self._write(f"{text}\n")

    def _finish(self, text: str) -> None:
        # The blanks cover what a counter left behind
        self._write(f"\r{text:<60}\n" if self._overwrites else f"{text}\n")

    def _write(self, text: str) -> None:
        if not self._quiet:
            self._stream.write(text)
            self._stream.flush()
