"""Archives: what np.load reads back, and files that cannot be written."""

from __future__ import annotations

import errno
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from symir.errors import InputError
from symir.tools.faults import Fault
from symir.tools.npz import archive


def load(path: Path) -> dict[str, Any]:
    with np.load(path) as found:
        return {name: found[name] for name in found.files}


@pytest.mark.parametrize(
    "array",
    [
        np.arange(6, dtype=np.int8).reshape(2, 3),
        np.zeros((0, 3), np.float32),
        np.float64(2.5),
        np.array(["a", "", "ccc"]),
        np.array([], np.str_),
        np.array([1 + 2j]),
        np.arange(12).reshape(3, 4).T,
        np.array([True, False]),
    ],
    ids=lambda array: f"{array.dtype}{array.shape}",
)
def test_arrays_come_back(tmp_path: Path, array: Any) -> None:
    with archive(tmp_path / "out.npz") as made:
        made.add("a", np.asarray(array))
    (found,) = load(tmp_path / "out.npz").values()
    assert found.dtype == array.dtype
    assert found.shape == array.shape
    np.testing.assert_array_equal(found, array)


def test_arrays_in_parts(tmp_path: Path) -> None:
    xs = np.arange(24, dtype=np.int8).reshape(6, 4)
    ys = np.arange(6.0)
    with archive(tmp_path / "out.npz") as made:
        for part in (slice(0, 2), slice(2, 5), slice(5, 6)):
            made.add("x", xs[part], (2, 3, 4))
            made.add("y", ys[part], ys.shape)
    found = load(tmp_path / "out.npz")
    assert [*found] == ["x", "y"]
    np.testing.assert_array_equal(found["x"], xs.reshape(2, 3, 4))
    np.testing.assert_array_equal(found["y"], ys)
    assert [path.name for path in tmp_path.iterdir()] == ["out.npz"]


def test_a_failure_leaves_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "out.npz"
    path.write_text("old")

    def fail() -> None:
        with archive(path) as made:
            made.add("x", np.zeros(1, np.int8), (2,))
            raise KeyError

    with pytest.raises(KeyError):
        fail()
    assert path.read_text() == "old"
    assert [*tmp_path.iterdir()] == [path]


def opened(path: Path) -> None:
    with archive(path):
        pass


@pytest.mark.parametrize(
    ("name", "found"), [("out.npy", "'.npy'"), ("o", "no extension")]
)
def test_other_extensions(tmp_path: Path, name: str, found: str) -> None:
    with pytest.raises(InputError, match=rf"T015[\s\S]*{found}"):
        opened(tmp_path / name)


def test_a_missing_folder(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"T015[\s\S]*No such file"):
        opened(tmp_path / "none" / "out.npz")


def test_a_folder_of_that_name(tmp_path: Path) -> None:
    (tmp_path / "out.npz").mkdir()
    with pytest.raises(InputError, match=r"T015[\s\S]*it is a folder"):
        opened(tmp_path / "out.npz")
    assert [path.name for path in tmp_path.iterdir()] == ["out.npz"]


def test_a_full_disk(tmp_path: Path) -> None:
    def fail() -> None:
        with archive(tmp_path / "out.npz") as made:
            made.add("x", np.zeros(3))
            raise OSError(errno.ENOSPC, "No space left on device")

    with pytest.raises(InputError) as caught:
        fail()
    assert caught.value.code == Fault.NOT_WRITABLE.code
    assert caught.value.found == "No space left on device"
    assert [*tmp_path.iterdir()] == []
