"""Archives of arrays that are larger than the memory, as `np.savez` writes them."""

from __future__ import annotations

import contextlib
import os
import shutil
from collections.abc import Generator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from zipfile import ZipFile, ZipInfo

import numpy as np
import numpy.typing as npt

from symir.tools.faults import Fault


class Archive:
    """Arrays on their way into an archive, each in a file of its own."""

    def __init__(self, folder: Path):
        self.folder = folder
        self._files = dict[str, Path]()

    def add(
        self, name: str, part: npt.NDArray[Any], shape: tuple[int, ...] | None = None
    ) -> None:
        """Append to an array; `shape` is that of the whole where there are parts."""
        path = self._files.setdefault(name, self.folder / f"{name}.npy")
        # Sequential writes report a full disk; a mapped file would end the process
        with path.open("ab") as file:
            if not file.tell():
                shape = part.shape if shape is None else shape
                header = np.lib.format.header_data_from_array_1_0(part)
                whole = {"fortran_order": False, "shape": shape}
                np.lib.format.write_array_header_1_0(file, {**header, **whole})
            file.write(part.tobytes())

    def join(self, path: Path) -> None:
        """Write an archive of all arrays, as they are in their files."""
        with ZipFile(path, "w") as joined:
            for one in self._files.values():
                # Without the time of the file: equal arrays are equal archives
                entry = joined.open(ZipInfo(one.name), "w", force_zip64=True)
                with entry, one.open("rb") as file:
                    shutil.copyfileobj(file, entry)


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
            made.join(whole)
            os.replace(whole, path)
    except BrokenPipeError:  # the reader of our output went away
        raise
    except OSError as error:
        raise Fault.NOT_WRITABLE.error(
            f"'{path}' cannot be written",
            expected="a folder that exists, is writable and has enough space",
            found=error.strerror or str(error),
        ) from error
