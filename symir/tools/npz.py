"""Archives of arrays that are larger than the memory, as `np.savez` writes them."""

from __future__ import annotations

import contextlib
import math
import os
from collections.abc import Generator
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import numpy.typing as npt

from symir.tools.faults import Fault


@dataclass
class Archive:
    """Arrays on their way into an archive, each in a file of its own."""

    folder: Path
    _kinds: dict[str, tuple[tuple[int, ...], np.dtype[Any]]] = field(
        default_factory=dict[str, tuple[tuple[int, ...], np.dtype[Any]]]
    )

    def add(
        self, name: str, part: npt.NDArray[Any], shape: tuple[int, ...] | None = None
    ) -> None:
        """Append to an array; `shape` is that of the whole where there are parts."""
        self._kinds[name] = (part.shape if shape is None else shape, part.dtype)
        # Sequential writes report a full disk; a mapped file would end the process
        with (self.folder / name).open("ab") as file:
            file.write(part.tobytes())

    def arrays(self) -> dict[str, Any]:
        """Return the arrays, mapped into memory."""
        return {
            name: np.memmap(self.folder / name, dtype, "r", shape=shape)
            if math.prod(shape)
            else np.empty(shape, dtype)
            for name, (shape, dtype) in self._kinds.items()
        }


@contextlib.contextmanager
def archive(path: Path) -> Generator[Archive]:
    """Open a .npz file that exists once it is complete.

    A failure leaves no file behind, and an older file of that name as it was.

    Raises:
        InputError: when the file cannot be written (T015).
    """
    if path.suffix.lower() != ".npz":
        raise Fault.NOT_WRITABLE.error(
            f"'{path}' is no name for an archive of arrays",
            expected="a file whose name ends in .npz",
            found=f"'{path.suffix}'" if path.suffix else "no extension",
        )
    try:
        if path.is_dir():
            raise IsADirectoryError(0, "it is a folder")
        with TemporaryDirectory(dir=path.parent, prefix=f"{path.name}.") as folder:
            made = Archive(Path(folder))
            yield made
            whole = made.folder / "whole.npz"
            np.savez(whole, **made.arrays())
            os.replace(whole, path)
    except BrokenPipeError:  # the reader of our output went away
        raise
    except OSError as error:
        raise Fault.NOT_WRITABLE.error(
            f"'{path}' cannot be written",
            expected="a folder that exists, is writable and has enough space",
            found=error.strerror or str(error),
        ) from error
