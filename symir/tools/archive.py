"""Writing .npz archives of any size, an array at a time and an array in parts."""

from __future__ import annotations

import contextlib
import os
import tempfile
import zipfile
from collections.abc import Generator
from pathlib import Path
from types import TracebackType
from typing import IO, Any, Protocol, Self, cast

import numpy as np
import numpy.typing as npt

from symir.tools.codes import Fault

__all__ = ["Archive", "Column"]

_COPIED_AT_ONCE = 1 << 24


class Column(Protocol):
    """Takes an array in parts."""

    def write(self, part: npt.NDArray[Any], /) -> None: ...


class Archive:
    """A .npz file that `np.load` reads, and that exists once it is complete.

    What fails leaves no file behind, and a file of that name as it was.

    Raises:
        InputError: when the file cannot be written (T015).
    """

    def __init__(self, path: Path):
        if path.suffix.lower() != ".npz":
            raise Fault.NOT_WRITABLE.error(
                f"'{path}' is no name for an archive of arrays",
                expected="a file whose name ends in .npz",
                found=f"'{path.suffix}'" if path.suffix else "no extension",
            )
        self._path = path
        self._partial = path.with_name(path.name + ".partial")
        with self._blamed_on_file():
            if path.is_dir():
                raise IsADirectoryError(0, "it is a folder")
            self._file: IO[bytes] = self._partial.open("wb")
        self._zip = zipfile.ZipFile(self._file, "w", zipfile.ZIP_STORED)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if error is None:
            with self._blamed_on_file():
                self._zip.close()
                self._file.close()
                os.replace(self._partial, self._path)
            return
        with contextlib.suppress(OSError, ValueError):
            self._zip.close()
        with contextlib.suppress(OSError):
            self._file.close()
        self._partial.unlink(missing_ok=True)

    def add(self, name: str, array: npt.NDArray[Any]) -> None:
        """Write an array."""
        with self.part_by_part(name, array.shape, array.dtype) as column:
            column.write(array)

    @contextlib.contextmanager
    def part_by_part(
        self, name: str, shape: tuple[int, ...], dtype: np.dtype[Any]
    ) -> Generator[Column]:
        """Open an array that is written in parts, which together fill the shape."""
        with self._blamed_on_file(), self._member(name, shape, dtype) as member:
            yield _Member(member)

    @contextlib.contextmanager
    def side_by_side(
        self,
        first: tuple[str, tuple[int, ...], np.dtype[Any]],
        second: tuple[str, tuple[int, ...], np.dtype[Any]],
    ) -> Generator[tuple[Column, Column]]:
        """Open two arrays that are written in turns.

        A zip archive takes one file at a time, so the second waits in a temporary file.
        """
        with (
            self._blamed_on_file(),
            tempfile.TemporaryFile(dir=self._path.parent) as waiting,
        ):
            with self._member(*first) as member:
                yield _Member(member), _Member(cast(IO[bytes], waiting))
            waiting.seek(0)
            with self._member(*second) as member:
                while part := waiting.read(_COPIED_AT_ONCE):
                    member.write(part)

    @contextlib.contextmanager
    def _member(
        self, name: str, shape: tuple[int, ...], dtype: np.dtype[Any]
    ) -> Generator[IO[bytes]]:
        with self._zip.open(f"{name}.npy", "w", force_zip64=True) as member:
            header = {
                "descr": np.lib.format.dtype_to_descr(dtype),
                "fortran_order": False,
                "shape": shape,
            }
            np.lib.format.write_array_header_1_0(member, header)
            yield member

    @contextlib.contextmanager
    def _blamed_on_file(self) -> Generator[None]:
        try:
            yield
        except BrokenPipeError:  # the reader of our output went away
            raise
        except OSError as error:
            raise Fault.NOT_WRITABLE.error(
                f"'{self._path}' cannot be written",
                expected="a folder that exists, is writable and has enough space",
                found=error.strerror or str(error),
            ) from error


class _Member:
    def __init__(self, file: IO[bytes]):
        self._file = file

    def write(self, part: npt.NDArray[Any], /) -> None:
        # As bytes: not every dtype has a buffer
        self._file.write(np.ascontiguousarray(part).reshape(-1).view(np.uint8).data)
