"""Updates: chains of steps, each at its place in the user's code."""

from __future__ import annotations

import linecache
from collections.abc import Callable
from typing import Any

import pytest

from symir.errors import DefinitionError
from symir.language import Update, emitted, identity, shift, site, swap, write
from symir.language.updates import as_update


def _kinds(update: Update) -> list[str]:
    return [step.kind for step in update.steps]


def test_functions_start_a_chain_and_methods_append():
    update = shift("i", -1).write("j", 2).swap("i", "j").identity().shift("j", 1)
    assert _kinds(update) == ["shift", "write", "swap", "shift"]
    assert _kinds(identity().shift("i", 1)) == ["shift"]
    assert _kinds(write("i", 1)) == ["write"]
    assert _kinds(swap("i", "j")) == ["swap"]
    assert identity().steps == ()


def test_a_chain_is_not_changed_by_what_is_appended():
    first = shift("i", 1)
    first.write("i", 0)
    assert _kinds(first) == ["shift"]


def test_sites_are_labels_or_selectors():
    (step,) = swap(site("a"), "b").steps
    assert [number.label for number in step.sites] == ["a", "b"]


def test_each_step_knows_its_line():
    update = shift("i", 1)
    update = update.write("j", 2)
    lines = [step.location.line for step in update.steps if step.location]
    texts = [linecache.getline(__file__, line).strip() for line in lines]
    assert texts == ['update = shift("i", 1)', 'update = update.write("j", 2)']


def test_texts():
    assert repr(identity()) == "identity()"
    update = shift("i", -1).swap("i", site("j"))
    assert repr(update) == "shift('i', -1).swap('i', 'j')"
    assert repr(write("i", -site("i").value)) == "write('i', -site('i').value)"


def test_no_update_is_the_identity():
    assert as_update(None).steps == ()
    update = shift("i", 1)
    assert as_update(update) is update


anything: Any = (write, shift)
any_write, any_shift = anything


@pytest.mark.parametrize(
    ("action", "code"),
    [
        (lambda: write(emitted("i"), 1), "D014"),
        (lambda: swap("i", emitted("i")), "D014"),
        (lambda: any_write(0, 1), "D018"),
        (lambda: any_write(site("i").value, 1), "D018"),
        (lambda: any_write(site("i").index, 1), "D018"),
        (lambda: any_shift(None, 1), "D018"),
        (lambda: shift("", 1), "D019"),
        (lambda: any_write("i", "j"), "D015"),
        (lambda: any_write("i", site("i") > 0), "D015"),
        (lambda: write("i", float("nan")), "D013"),
        (lambda: as_update(site("i")), "D017"),
        (lambda: as_update(write), "D017"),
    ],
)
def test_mistakes(action: Callable[[], Any], code: str):
    with pytest.raises(DefinitionError) as caught:
        action()
    assert caught.value.code == code
    assert caught.value.location is not None
    assert caught.value.location.file == __file__
