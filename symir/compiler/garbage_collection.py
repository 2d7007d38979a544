"""Python's cyclic garbage collector, paused while IR is built.

IR is a web of cycles that lives on: each collection walks all of it and frees little.
For an operator of many terms that is a third of the time of a compilation.
"""

from __future__ import annotations

import gc
import threading
from collections.abc import Generator
from contextlib import contextmanager

_lock = threading.Lock()
_paused = 0
"""Number of blocks that are running, of all threads."""
_was_enabled = False


@contextmanager
def collector_paused() -> Generator[None]:
    """Collect no cycles within; the last block that ends leaves things as they were."""
    global _paused, _was_enabled
    with _lock:
        if not _paused:
            _was_enabled = gc.isenabled()
            gc.disable()
        _paused += 1
    try:
        yield
    finally:
        with _lock:
            _paused -= 1
            if not _paused and _was_enabled:
                gc.enable()
