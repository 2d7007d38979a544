"""`SYMIR_IR_DUMP=folder`: every stage of everything that is compiled, as files.

Each run of a pipeline has a folder of its own, such as `0001-ising-operator`, with
`00-beginning.mlir` and a file for each pass behind it, `01-sym-gather-terms.mlir`, ...
`index.jsonl` has a line of JSON for each file. Where a pass fails, the last file is
what it was given. A folder that cannot be written is no reason for a compilation to
fail: it is a warning (C062), and nothing more is written of that run.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable
from itertools import count
from pathlib import Path

from xdsl.dialects.builtin import ModuleOp

from dialects.text import print_module
from symir.compiler.trace import name_of, op_count
from symir.errors import warn

VARIABLE = "SYMIR_IR_DUMP"
"""The environment variable that names the folder."""

_NAME_LENGTH = 60


def dumping(what: str, module: ModuleOp) -> Callable[[str, ModuleOp], None] | None:
    """Return what writes the stages of a pipeline; None where nobody asks for them.

    `what` tells what the pipeline makes of the module, such as "operator".
    """
    folder = os.environ.get(VARIABLE)
    if not folder:
        return None
    dump = _Dump(Path(folder), name_of(module), what)
    dump.write("beginning", module)
    return dump.write


class _Dump:
    """The files of one run of a pipeline."""

    def __init__(self, root: Path, operator: str, what: str):
        self._root = root
        self._operator = operator
        self._what = what
        self._written = 0
        self._folder: Path | None = None
        self._has_failed = False

    def write(self, name: str, module: ModuleOp) -> None:
        """Write a stage, and its line of the index."""
        if self._has_failed:
            return
        try:
            if self._folder is None:
                self._folder = _new_folder(self._root, f"{self._operator}-{self._what}")
            number, self._written = self._written, self._written + 1
            path = self._folder / f"{number:02}-{_as_file(name)}.mlir"
            path.write_text(f"{print_module(module)}\n", encoding="utf-8")
            entry = {
                "file": str(path.relative_to(self._root)),
                "operator": self._operator,
                "what": self._what,
                "number": number,
                "pass": name,
                "ops": op_count(module),
            }
            with (self._root / "index.jsonl").open("a", encoding="utf-8") as index:
                index.write(f"{json.dumps(entry)}\n")
        except OSError as error:
            self._has_failed = True
            warn(
                RuntimeWarning,
                "C062",
                f"{VARIABLE}: the stages of '{self._operator}' are not written",
                expected="a folder that can be written",
                found=f"{self._root}: {error.strerror or error}",
            )


def _new_folder(root: Path, name: str) -> Path:
    """Make a folder with the next free number in front of its name."""
    root.mkdir(parents=True, exist_ok=True)
    taken = [found for one in root.iterdir() if (found := _NUMBER.match(one.name))]
    for number in count(1 + max((int(one[1]) for one in taken), default=0)):
        # Other processes may write here, too
        folder = root / f"{number:04}-{_as_file(name)}"
        try:
            folder.mkdir()
        except FileExistsError:
            continue
        return folder
    raise AssertionError("there is always a next number")


_NUMBER = re.compile(r"(\d{4,})-")


def _as_file(name: str) -> str:
    """Return a name that any file system takes."""
    return re.sub(r"[^A-Za-z0-9_.-]+", "_", name)[:_NAME_LENGTH]
