"""Where time goes: spans of compilations and runs, as a trace for Perfetto and Chrome.

```python
import symir as sym

with sym.trace("trace.json"):
    compiled = operator.compile()
```

`SYMIR_TRACE=trace.json` does so for a whole process. The file is what
https://ui.perfetto.dev and chrome://tracing open. Nothing here knows JAX; nothing is
measured where nobody asks for it.
"""

from __future__ import annotations

import atexit
import functools
import json
import logging
import math
import os
import threading
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager
from operator import attrgetter
from pathlib import Path
from types import TracebackType
from typing import Any, ParamSpec, Self, TypeVar, cast

from symir.errors import InputError
from symir.files import write_atomically

VARIABLE = "SYMIR_TRACE"
"""The environment variable that names the file of a process; `{pid}` is its number."""

EVENTS = 1_000_000
"""Most spans that are kept; a trace has the number of the others."""

_LOG = logging.getLogger("symir")

_P = ParamSpec("_P")
_R = TypeVar("_R")

_recorders: tuple[_Recorder, ...] | None = None
"""Recorder of now; None where nothing records, which is all that is asked then."""

_lock = threading.Lock()


# region Spans


class Span:
    """A piece of time of one thread; `args` is what the trace says of it.

    A span is recorded when it ends, also where an exception ends it.
    """

    __slots__ = ("_recorders", "_start", "args", "category", "name")

    def __init__(self, name: str, category: str, args: dict[str, Any]):
        self.name = name
        self.category = category
        self.args = args
        self._recorders: tuple[_Recorder, ...] = ()
        self._start = 0

    def set(self, **args: Any) -> None:
        """Say more of it: before the trace is written, also after its end."""
        self.args.update(args)

    def __enter__(self) -> Self:
        self._recorders = _recorders or ()
        self._start = time.perf_counter_ns()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        end = time.perf_counter_ns()
        if kind is not None:
            self.args["error"] = kind.__name__
        for one in self._recorders:
            one.add(self, self._start, end)


class _NoSpan:
    """Stand-in for a span where nothing is recorded; it is false."""

    __slots__ = ()

    def set(self, **args: Any) -> None:
        pass

    def __bool__(self) -> bool:
        return False

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        pass


_NO_SPAN = _NoSpan()


def is_recording() -> bool:
    """Whether spans are recorded now."""
    return _recorders is not None


def span(name: str, category: str, **args: Any) -> Span | _NoSpan:
    """Return a context that is a span of its thread, if spans are recorded.

    What takes time to find out belongs behind `if span: span.set(..)`.
    """
    if _recorders is None:
        return _NO_SPAN
    return Span(name, category, args)


def spanned(
    name: str, category: str, **told: str
) -> Callable[[Callable[_P, _R]], Callable[_P, _R]]:
    """Return a decorator: each call is a span.

    It tells attributes of the first argument, by names such as `operator="ir.name"`.
    """
    getters = {key: attrgetter(path) for key, path in told.items()}

    def decorate(function: Callable[_P, _R]) -> Callable[_P, _R]:
        @functools.wraps(function)
        def run(*positional: _P.args, **named: _P.kwargs) -> _R:
            if _recorders is None:
                return function(*positional, **named)
            args = {key: get(positional[0]) for key, get in getters.items()}
            with Span(name, category, args):
                return function(*positional, **named)

        return run

    return decorate


# endregion
# region Traces


class _Recorder:
    """The spans of a process, of all its threads."""

    def __init__(self) -> None:
        self._events: list[tuple[Span, int, int, int]] = []
        self._threads: dict[int, str] = {}
        self._dropped = 0
        self._start = time.perf_counter_ns()

    def add(self, one: Span, start: int, end: int) -> None:
        """Keep a span; one that began before the recorder did is not its own."""
        if start < self._start:
            return
        if len(self._events) >= EVENTS:
            self._dropped += 1
            return
        thread = threading.get_native_id()
        if thread not in self._threads:
            self._threads[thread] = threading.current_thread().name
        self._events.append((one, start, end, thread))

    def write(self, file: Path) -> None:
        """Write the trace; raises OSError where that is impossible."""
        write_atomically(file, self.as_json().encode())

    def as_json(self) -> str:
        """Return the trace; see "Trace Event Format" of the Chromium project."""
        pid = os.getpid()
        named = [("process_name", pid, "symir")]
        named += [("thread_name", tid, name) for tid, name in self._threads.items()]
        events: list[dict[str, Any]] = [
            {"name": what, "ph": "M", "pid": pid, "tid": tid, "args": {"name": name}}
            for what, tid, name in named
        ]
        for one, start, end, thread in list(self._events):
            events.append(
                {
                    "name": one.name,
                    "cat": one.category,
                    "ph": "X",
                    "ts": (start - self._start) / 1000,
                    "dur": (end - start) / 1000,
                    "pid": pid,
                    "tid": thread,
                    "args": _plain(one.args),
                }
            )
        found = {
            "traceEvents": events,
            "displayTimeUnit": "ms",
            "otherData": {"dropped_spans": self._dropped},
        }
        return json.dumps(_plain(found), allow_nan=False)


def _plain(value: Any) -> Any:
    """Return what JSON has; everything else becomes a text."""
    match value:
        case None | bool() | int():
            return value
        case str():
            # Names may hold halves of characters, which no file may
            return value.encode("utf-8", "backslashreplace").decode()
        case float():
            return value if math.isfinite(value) else str(value)
        case dict():
            items = cast(dict[Any, Any], value).items()
            return {_plain(str(key)): _plain(one) for key, one in items}
        case list() | tuple():
            return [_plain(one) for one in cast(list[Any], value)]
        case _:
            return _plain(str(value))


@contextmanager
def trace(path: str | os.PathLike[str]) -> Generator[None]:
    """Record what symir does within, in all threads, and write it to a file.

    The file is JSON as Perfetto and Chrome read it; it is written as a whole when the
    block ends, also by an exception. Compiled operators wait for their results within,
    so that a run lasts as long as it takes. Traces may be nested.

    Raises:
        InputError: for a file that cannot be written (C072).
    """
    file = _checked(path)
    recorder = _Recorder()
    _record(recorder)
    try:
        yield
    except BaseException:
        _forget(recorder)
        with _logged(file):  # the exception is what counts
            recorder.write(file)
        raise
    _forget(recorder)
    try:
        recorder.write(file)
    except OSError as error:
        raise _not_writable(file, error.strerror or str(error)) from error


def _record(recorder: _Recorder) -> None:
    global _recorders
    with _lock:
        _recorders = (*(_recorders or ()), recorder)


def _forget(recorder: _Recorder) -> None:
    global _recorders
    with _lock:
        left = tuple(one for one in _recorders or () if one is not recorder)
        _recorders = left or None


def _checked(path: str | os.PathLike[str]) -> Path:
    if not isinstance(path, str | os.PathLike):  # pyright: ignore[reportUnnecessaryIsInstance]
        raise InputError(
            "C072",
            "no trace can be written to what is no path",
            expected="a str, or a pathlib.Path",
            found=repr(path),
        )
    # Where it is now, whatever the folder becomes that the process is in
    file = Path(path).absolute()
    if file.is_dir():
        raise _not_writable(file, "a folder")
    if not os.access(file.parent, os.W_OK):
        raise _not_writable(file, "no folder that can be written to")
    return file


def _not_writable(file: Path, found: str) -> InputError:
    return InputError(
        "C072",
        f"no trace can be written to '{file}'",
        expected="a file in a folder that exists and is writable",
        found=found,
    )


def _trace_process(path: str) -> None:
    """Record a process until it ends; trouble with the file never fails it."""
    recorder = _Recorder()
    process = os.getpid()
    file = Path(path.replace("{pid}", str(process))).absolute()
    _record(recorder)

    def write() -> None:
        if os.getpid() != process:  # a fork has the spans of its parent
            return
        _forget(recorder)
        with _logged(file):
            recorder.write(file)

    atexit.register(write)


@contextmanager
def _logged(file: Path) -> Generator[None]:
    try:
        yield
    except OSError as error:
        _LOG.warning("no trace is written to %s: %s", file, error)


def _stop() -> None:
    """Record nothing: in a fork, which has another number and no such threads."""
    global _recorders
    _recorders = None


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_stop)


if os.environ.get(VARIABLE):
    _trace_process(os.environ[VARIABLE])

# endregion
