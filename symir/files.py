"""Files that exist once they are complete."""

from __future__ import annotations

import contextlib
import os
import uuid
from pathlib import Path
from typing import TypeAlias

from symir.errors import SymbolicCompilerError

StrPath: TypeAlias = str | os.PathLike[str]


def write_file(path: StrPath, data: bytes, operator: str) -> None:
    """Write a file for a user, as a whole or not at all.

    Raises:
        SymbolicCompilerError: where it cannot be written (C015).
    """
    try:
        write_atomically(Path(path), data)
    except OSError as error:
        raise SymbolicCompilerError(
            "C015",
            f"'{path}' cannot be written",
            operator=operator,
            expected="a folder that exists, is writable and has enough space",
            found=error.strerror or str(error),
        ) from error


def write_atomically(path: Path, data: bytes) -> None:
    """Write a file that exists once it is complete, whenever the process is killed.

    Raises:
        OSError: where that is impossible; then the file is as it was.
    """
    partial = path.with_name(f"{path.name}.{uuid.uuid4().hex}.partial")
    try:
        with partial.open("xb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.replace(partial, path)
    except BaseException:
        with contextlib.suppress(OSError):
            partial.unlink(missing_ok=True)
        raise
