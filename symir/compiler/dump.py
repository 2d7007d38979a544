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
from collections.abc import Callable, Generator
from contextlib import suppress
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
    root = os.environ.get(VARIABLE)
    if not root:
        return None
    written = _written(Path(root), name_of(module), what)
    next(written)

    def write(name: str, module: ModuleOp) -> None:
        with suppress(StopIteration):  # nothing more is written after a failure
            written.send((name, module))

    write("beginning", module)
    return write


def _written(
    root: Path, operator: str, what: str
) -> Generator[None, tuple[str, ModuleOp]]:
    """Write the stages that are sent, each with its line of the index."""
    name, module = yield
    try:
        folder = _new_folder(root, f"{operator}-{what}")
        for number in count():
            path = folder / f"{number:02}-{_as_file(name)}.mlir"
            path.write_text(f"{print_module(module)}\n", encoding="utf-8")
            entry = {
                "file": str(path.relative_to(root)),
                "operator": operator,
                "what": what,
                "number": number,
                "pass": name,
                "ops": op_count(module),
            }
            with (root / "index.jsonl").open("a", encoding="utf-8") as index:
                index.write(f"{json.dumps(entry)}\n")
            name, module = yield
    except OSError as error:
        warn(
            RuntimeWarning,
            "C062",
            f"{VARIABLE}: the stages of '{operator}' are not written",
            expected="a folder that can be written",
            found=f"{root}: {error.strerror or error}",
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
