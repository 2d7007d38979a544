"""A few random operators of the whole language, at every level; see `make fuzz`."""

from __future__ import annotations

import inspect
import re
from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings

from dialects.text import parse_module
from symir.compiler.lowering import LoweringPipeline
from symir.errors import DefinitionError
from symir.language import DOperator, Update
from tests.fuzz import strategy
from tests.fuzz.__main__ import QUIET, main, trial
from tests.fuzz.check import PASSES, Mismatch, assert_read_back, assert_same, check
from tests.fuzz.programs import Program
from tests.fuzz.strategy import programs

LEAVING = Program(
    """\
lattice = fock(2, 3)
operator = (
    DOperator(lattice, "op")
    .for_each(("i", "j"), over=[(0, 0), (0, 1)])
    .emit(shift(i.index + j.value + 1, 1), amplitude=i)
    .build()
)
"""
)
"""Branches leave the space, and the lattice."""


def test_random_operators_are_the_same_at_every_level() -> None:
    counts = Counter[str]()

    @settings(max_examples=20, suppress_health_check=QUIET)
    @given(programs())
    def every(program: Program) -> None:
        trial(counts, texts=8, jax=0, relations=4)(program)

    every()
    assert counts["checked"] >= 0.7 * counts["programs"]


def test_random_operators_compiled_by_jax() -> None:
    @settings(max_examples=2, suppress_health_check=QUIET)
    @given(programs())
    def every(program: Program) -> None:
        trial(Counter(), texts=100, jax=1)(program)

    every()


@settings(max_examples=20, suppress_health_check=QUIET)
@given(programs())
def test_what_is_printed_is_what_is_built(program: Program) -> None:
    try:
        built = program.build()
    except DefinitionError:
        return
    body = program.to_source()
    assert body in repr(program)
    again = Program(body[body.index("lattice") :], program.extended).build()
    assert again.to_ir().static_fingerprint() == built.to_ir().static_fingerprint()


def test_every_call_of_builders_and_updates_is_drawn() -> None:
    source = inspect.getsource(strategy)
    public = [*vars(DOperator), *vars(Update)]
    drawn = {"steps", *re.findall(r"\w+", source)}
    # Put together there of `for_each_` and a name
    drawn |= {f"for_each_{name}" for name in ("edge", "triplet", "plaquette")}
    assert not [n for n in public if not n.startswith("_") and n not in drawn]


# ---- the checks notice what they are for ----


@pytest.mark.parametrize("missing", ["sym-guard-undefined", "sym-guard-space"])
def test_a_missing_pass_is_noticed(
    missing: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept = [one for one in PASSES if one.name != missing]
    monkeypatch.setattr("tests.fuzz.check.PASSES", LoweringPipeline(kept))
    with pytest.raises(Mismatch, match="branches of"):
        check(LEAVING, LEAVING.build())


def test_rounding_is_allowed_up_to_the_bound() -> None:
    x, xp = np.zeros((1, 2), np.int8), np.zeros((1, 3, 2), np.int8)
    mels = np.array([[1.0, np.nan, np.inf]])
    near = mels + 1e-13
    assert_same("near", x, (xp, mels), (xp, near), 1e-12)
    with pytest.raises(Mismatch, match=r"far: 1 branches .* lane 0"):
        assert_same("far", x, (xp, mels), (xp, near), 1e-14)
    with pytest.raises(Mismatch, match="2 branches"):
        assert_same("no NaN", x, (xp, mels), (xp, np.nan_to_num(mels)), 1e-12)
    moved = xp.copy()
    moved[0, 2, 1] = 1
    with pytest.raises(Mismatch, match=r"1 branches .* lane 2"):
        assert_same("x'", x, (xp, mels), (moved, mels), 1e-12)
    single = mels.astype(np.float32)
    with pytest.raises(Mismatch, match="float32"):
        assert_same("dtype", x, (xp, mels), (xp, single), 1e-3)


def test_a_text_that_reads_as_another_is_noticed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    module = LEAVING.build().to_ir().module
    assert_read_back("sym", module)
    other = lambda text: parse_module(text.replace("@op(", "@other("))  # noqa: E731
    monkeypatch.setattr("tests.fuzz.check.parse_module", other)
    with pytest.raises(Mismatch, match="printed and parsed"):
        assert_read_back("sym", module)


def test_failures_are_shrunk_printed_and_counted(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["2", "--jax=0"]) == 0

    def fails(program: Program, *_: object, **__: object) -> None:
        raise Mismatch("as it should")

    monkeypatch.setattr("tests.fuzz.__main__.check", fails)
    assert main(["1", "--seed=5"]) > 0
    printed = capsys.readouterr().out
    assert "FAILED: Mismatch: as it should" in printed
    assert "DOperator(lattice" in printed
