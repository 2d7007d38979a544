"""Reading configurations: every way in which a file can be wrong is named."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from lowering.bt.bt_specialize import STATE_DTYPES
from symir.errors import InputError, SymirError
from symir.operator.spaces import Space, fock, qubit, space, spin
from symir.tools import configurations as module
from symir.tools.configurations import (
    Samples,
    as_state_dtype,
    random_samples,
    read_samples,
)
from symir.tools.faults import Fault

SPINS = spin(0.5, 3)


def npy(folder: Path, array: Any) -> Path:
    np.save(folder / "x.npy", array)
    return folder / "x.npy"


def csv(folder: Path, text: str) -> Path:
    (folder / "x.csv").write_text(text)
    return folder / "x.csv"


def fails(
    path: Path, fault: Fault, *parts: str, on: Space = SPINS, dtype: Any = None
) -> SymirError:
    with pytest.raises(InputError) as caught:
        read_samples(path, on, dtype)
    assert caught.value.code == fault.code
    for part in parts:
        assert part in str(caught.value)
    return caught.value


# ---- .npy ----


@pytest.mark.parametrize("dtype", STATE_DTYPES.values(), ids=str)
def test_npy_keeps_its_dtype(tmp_path: Path, dtype: np.dtype[Any]) -> None:
    array = np.array([[0, 1, 1], [1, 0, 0]], dtype)
    found = read_samples(npy(tmp_path, array), qubit(3))
    assert found.dtype == dtype
    (block,) = found.blocks(2)
    np.testing.assert_array_equal(block, array)
    assert block.dtype == dtype


@pytest.mark.parametrize("shape", [(3,), (0, 3), (4, 3), (2, 0, 3), (2, 5, 3)])
def test_npy_of_any_shape(tmp_path: Path, shape: tuple[int, ...]) -> None:
    found = read_samples(npy(tmp_path, np.ones(shape, np.int8)), SPINS)
    assert found.shape == shape
    assert found.count == np.prod(shape[:-1])


def test_npy_of_other_byte_and_memory_order(tmp_path: Path) -> None:
    states = SPINS.all_states().astype(">i4")
    found = read_samples(npy(tmp_path, np.asfortranarray(states)), SPINS)
    assert found.dtype == np.dtype(np.int32)
    np.testing.assert_array_equal(next(found.blocks(8)), SPINS.all_states())


def test_npy_on_the_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_MAPPED_ABOVE", 100)
    monkeypatch.setattr(module, "_CHECKED_AT_ONCE", 7)
    states = SPINS.random_states(50, 1)
    found = read_samples(npy(tmp_path, states), SPINS)
    assert isinstance(found.values, np.memmap)
    np.testing.assert_array_equal(np.concatenate([*found.blocks(8)]), states)
    states[33, 2] = 3
    fails(npy(tmp_path, states), Fault.NOT_ALLOWED, "sample 33 ", "holds 3 at site 2")


@pytest.mark.parametrize(
    ("array", "found"),
    [
        (np.array([["1", "a", "b"]]), "dtype <U1"),
        (np.ones((2, 3), complex), "dtype complex128"),
        (np.zeros((2, 3), "datetime64[s]"), "dtype datetime64[s]"),
        (np.zeros(3, [("a", int), ("b", int)]), "dtype [('a'"),
    ],
    ids=["text", "complex", "dates", "records"],
)
def test_npy_without_real_numbers(tmp_path: Path, array: Any, found: str) -> None:
    fails(npy(tmp_path, array), Fault.NOT_NUMBERS, found)


def test_npy_with_objects(tmp_path: Path) -> None:
    array = np.array([[1, None, 1]], object)
    fails(npy(tmp_path, array), Fault.NOT_NUMBERS, "Object arrays cannot be loaded")


@pytest.mark.parametrize(
    "content", [b"hello", b"\x93NUMPY", b"\x93NUMPY\x01\x00\x10\x00{'descr':      "]
)
def test_npy_that_is_none(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "x.npy").write_bytes(content)
    fails(tmp_path / "x.npy", Fault.NOT_NUMBERS, "that np.save wrote")


def test_npy_that_was_cut_off(tmp_path: Path) -> None:
    path = npy(tmp_path, np.ones((100, 3)))
    path.write_bytes(path.read_bytes()[:-8])
    fails(path, Fault.NOT_NUMBERS)


def test_npy_that_is_an_archive(tmp_path: Path) -> None:
    with (tmp_path / "x.npy").open("wb") as file:
        np.savez(file, x=np.ones((2, 3)))
    fails(tmp_path / "x.npy", Fault.NOT_NUMBERS, "archive", "np.savez")


@pytest.mark.parametrize("shape", [(), (4,), (3, 4), (0,)])
def test_npy_of_the_wrong_width(tmp_path: Path, shape: tuple[int, ...]) -> None:
    fails(
        npy(tmp_path, np.ones(shape)),
        Fault.BAD_WIDTH,
        "expected: shape (..., 3), for spin(1/2, 3)",
        f"found:    shape {shape}",
    )


@pytest.mark.parametrize(
    ("on", "array", "found"),
    [
        (SPINS, [[1, -1, 1], [1, 0, 1]], "sample 1 of '{}' holds 0 at site 1"),
        (SPINS, [[[1, 1, 1]], [[1, 1, 2]]], "sample 1 of '{}' holds 2 at site 2"),
        (SPINS, [1.0, np.nan, 1.0], "sample 0 of '{}' holds NaN at site 1"),
        (SPINS, [1.0, 1.0, np.inf], "holds inf at site 2"),
        (fock(2, 3), [0, 2, 3], "holds 3 at site 2"),
        (space([[0, 1], [0, 1, 2]]), [[1, 2], [2, 2]], "holds 2 at site 0"),
        (space([0.5, 1.5], 2), [[0.5, 0]], "holds 0 at site 1"),
        (space([0.5, 1.5], 2), [[1, 0]], "holds 1 at site 0"),
        (SPINS, [[True, True, False]], "holds 0 at site 2"),
    ],
)
def test_values_that_are_not_allowed(
    tmp_path: Path, on: Space, array: Any, found: str
) -> None:
    path = npy(tmp_path, np.array(array))
    fails(path, Fault.NOT_ALLOWED, found.format(path), on=on)


# ---- .csv ----


def test_csv(tmp_path: Path) -> None:
    text = '\ufeff# three spins\n1,-1,1\n\n -1 , 1.0 ,"1" # last\n+1,1e0,-1'
    found = read_samples(csv(tmp_path, text), SPINS)
    assert found.dtype == np.int8
    assert found.shape == (3, 3)
    expected = [[1, -1, 1], [-1, 1, 1], [1, 1, -1]]
    np.testing.assert_array_equal(next(found.blocks(3)), expected)


def test_csv_with_one_sample(tmp_path: Path) -> None:
    assert read_samples(csv(tmp_path, "1,1,-1\n"), SPINS).shape == (1, 3)


def test_csv_with_one_site(tmp_path: Path) -> None:
    assert read_samples(csv(tmp_path, "0\n1\n"), qubit(1)).shape == (2, 1)


@pytest.mark.parametrize(
    ("text", "line", "column", "part"),
    [
        ("1,1,1\n1,,1\n", 2, 2, "an empty cell"),
        ("1,1,1\n1,1,\n", 2, 3, "no comma at its end"),
        ("1,1,1,\n", 1, 4, "no comma at its end"),
        ("# a\n\n1,up,1\n", 3, 2, "found:    'up'"),
        ("a,b,c\n1,1,1\n", 1, 1, "a line that is no sample starts with #"),
        ("1;1;1\n", 1, 1, "separate the values by commas"),
        ("1 1 1\n", 1, 1, "separate the values by commas"),
        ("1\t1\t1\n", 1, 1, "separate the values by commas"),
        ("1,1_0,1\n", 1, 2, "found:    '1_0'"),
        ("1,1,1\n1,1\n1,x,1\n", 2, 0, "found:    2 values in line 2"),
        ("1,1,1\n1,1,1,1\n", 2, 0, "found:    4 values in line 2"),
    ],
)
def test_csv_names_the_place(
    tmp_path: Path, text: str, line: int, column: int, part: str
) -> None:
    path = csv(tmp_path, text)
    fault = Fault.BAD_CELL if column else Fault.BAD_WIDTH
    error = fails(path, fault, part)
    assert str(error.location) == f"{path}:{line}"
    if column:
        assert f"line {line}, column {column} of '{path}'" in str(error)


def test_csv_of_the_wrong_width(tmp_path: Path) -> None:
    path = csv(tmp_path, "# x\n1,1\n-1,1\n")
    error = fails(path, Fault.BAD_WIDTH, "3 values per line", "found:    2 values per")
    assert str(error.location) == f"{path}:2"


@pytest.mark.parametrize(
    ("text", "part"),
    [
        ("1,1,1\n\n# x\n1,0,1\n", "sample 1 (line 4) of '{}' holds 0 at site 1"),
        ("1,1,nan\n", "sample 0 (line 1) of '{}' holds NaN at site 2"),
        ("1,1,-inf\n", "sample 0 (line 1) of '{}' holds -inf at site 2"),
        ("1,1,1e999\n", "holds inf at site 2"),
        ("1,1,0.5\n", "holds 0.5 at site 2"),
    ],
)
def test_csv_with_values_that_are_not_allowed(
    tmp_path: Path, text: str, part: str
) -> None:
    path = csv(tmp_path, text)
    error = fails(path, Fault.NOT_ALLOWED, part.format(path), "-1, 1")
    assert error.location is not None


@pytest.mark.parametrize("text", ["", "\n", "# nothing\n\n"])
def test_empty_csv(tmp_path: Path, text: str) -> None:
    fails(csv(tmp_path, text), Fault.NO_SAMPLES)


def test_csv_that_is_no_text(tmp_path: Path) -> None:
    (tmp_path / "x.csv").write_bytes(b"1,1,1\n\xff\xfe\n")
    fails(tmp_path / "x.csv", Fault.UNREADABLE, "is not text")


# ---- any file ----


def test_empty_npy(tmp_path: Path) -> None:
    (tmp_path / "x.npy").touch()
    fails(tmp_path / "x.npy", Fault.NO_SAMPLES)


@pytest.mark.parametrize("name", ["x.npy", "x.csv"])
def test_missing_files_and_folders(tmp_path: Path, name: str) -> None:
    fails(tmp_path / name, Fault.UNREADABLE, "No such file")
    (tmp_path / name).mkdir()
    fails(tmp_path / name, Fault.UNREADABLE, "directory")


@pytest.mark.parametrize(
    ("name", "found"), [("x.npz", "'.npz'"), ("x", "no extension")]
)
def test_other_extensions(tmp_path: Path, name: str, found: str) -> None:
    (tmp_path / name).touch()
    fails(tmp_path / name, Fault.NOT_CONFIGURATIONS, f"found:    {found}")


# ---- dtypes ----


def test_dtype_on_request(tmp_path: Path) -> None:
    array = np.array([[1.0, -1.0, 1.0]])
    found = read_samples(npy(tmp_path, array), SPINS, np.int16)
    (block,) = found.blocks(1)
    assert block.dtype == np.int16
    np.testing.assert_array_equal(block, array)


@pytest.mark.parametrize("dtype", [np.uint8, np.bool_])
def test_dtype_that_cannot_hold_spins(tmp_path: Path, dtype: Any) -> None:
    path = npy(tmp_path, np.ones((2, 3)))
    fails(path, Fault.BAD_DTYPE, "such as int8", "cannot hold -1", dtype=dtype)


def test_dtype_of_the_file_that_cannot_hold_the_space(tmp_path: Path) -> None:
    path = npy(tmp_path, np.ones((2, 3), np.uint8))
    fails(path, Fault.BAD_DTYPE, "uint8, which cannot hold -1")


def test_as_state_dtype() -> None:
    assert as_state_dtype("int8", fock(127, 2)) == np.int8
    assert as_state_dtype("float16", space([0.5, 2], 2)) == np.float16
    for dtype, on in [("int8", fock(128, 2)), ("int64", space([0.5, 2], 2))]:
        with pytest.raises(InputError, match="T014"):
            as_state_dtype(dtype, on)


# ---- what is drawn, and blocks ----


def test_random_samples() -> None:
    found = random_samples(5, 7, SPINS)
    assert found.dtype == np.int8
    np.testing.assert_array_equal(found.values, SPINS.random_states(5, 7))
    assert random_samples(0, None, SPINS, np.float32).dtype == np.float32
    with pytest.raises(InputError, match="T014"):
        random_samples(5, 7, SPINS, np.uint8)


def test_blocks() -> None:
    values = np.arange(14).reshape(7, 2)
    found = Samples(values, np.dtype(np.int8))
    assert [len(block) for block in found.blocks(3)] == [3, 3, 1]
    np.testing.assert_array_equal(np.concatenate([*found.blocks(3)]), values)
    (empty,) = Samples(values[:0], np.dtype(np.int8)).blocks(3)
    assert empty.shape == (0, 2)
