"""Updates: chains of steps, each at its place in the user's code."""

from __future__ import annotations

import linecache
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from symir import language
from symir.errors import DefinitionError
from symir.language import (
    Update,
    affine,
    cond,
    emitted,
    flip_set,
    hop,
    identity,
    invalidate,
    permute,
    scatter,
    shift,
    shift_mod,
    site,
    swap,
    write,
)
from symir.language.updates import as_update


def _kinds(update: Update) -> list[str]:
    return [step.kind for step in update.steps]


def test_functions_start_a_chain_and_methods_append():
    update = shift("i", -1).write("j", 2).swap("i", "j").identity().shift("j", 1)
    assert _kinds(update) == ["shift", "write", "swap", "shift"]
    assert _kinds(identity().shift("i", 1)) == ["shift"]
    assert _kinds(write("i", 1)) == ["write"]
    assert _kinds(swap("i", "j")) == ["swap"]
    assert _kinds(hop("i", "j")) == ["hop"]
    assert identity().steps == ()


def test_every_function_is_a_method_too():
    i = site("i")
    calls: dict[str, tuple[Any, ...]] = {
        "identity": (),
        "write": ("i", 1),
        "shift": ("i", 1),
        "shift_mod": ("i", 1),
        "hop": ("i", "j", 2),
        "swap": ("i", "j"),
        "permute": ("i", "j", "k"),
        "affine": ("i",),
        "scatter": (["i", "j"], [1, i]),
        "flip": ("i",),
        "flip_set": ("star",),
        "cond": (i > 0, write("i", 0), shift("i", 1)),
        "invalidate": ("reason",),
    }
    methods = {name for name in vars(Update) if not name.startswith("_")}
    assert methods - {"steps"} == set(calls)
    for name, arguments in calls.items():
        function = getattr(language, name)
        update = getattr(swap("a", "b"), name)(*arguments)
        assert repr(update) == repr(swap("a", "b")) + (
            f".{function(*arguments)!r}" if name != "identity" else ""
        )


def test_a_chain_is_not_changed_by_what_is_appended():
    first = shift("i", 1)
    first.write("i", 0)
    assert _kinds(first) == ["shift"]


def test_sites_are_labels_or_selectors():
    (step,) = swap(site("a"), "b").steps
    assert list(map(repr, step.sites)) == ["site('a').index", "site('b').index"]


def test_sites_are_numbers_or_expressions():
    (step,) = permute(np.int64(2), 1.0, site("i").index + 1, site("i").value).steps
    assert list(map(repr, step.sites)) == [
        "2",
        "1.0",
        "(site('i').index + 1)",
        "site('i').value",
    ]


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
    assert repr(affine("i", scale=2)) == "affine('i', scale=2, bias=0)"
    assert repr(scatter(["i", 0], [1, 2])) == "scatter(['i', 0], [1, 2])"
    assert repr(flip_set("star").flip("i")) == "flip_set('star').flip('i')"
    assert repr(invalidate("full")) == "invalidate('full')"
    assert repr(invalidate()) == "invalidate()"
    update = cond(site("i") > 0, shift_mod("i", 1))
    assert repr(update) == "cond((site('i') > 0), shift_mod('i', 1), identity())"


def test_no_update_is_the_identity():
    assert as_update(None).steps == ()
    update = shift("i", 1)
    assert as_update(update) is update


anything: Any = (write, shift, scatter, 1)
any_write, any_shift, any_scatter, any_number = anything


@pytest.mark.parametrize(
    ("action", "code"),
    [
        (lambda: write(emitted("i"), 1), "D014"),
        (lambda: swap("i", emitted("i")), "D014"),
        (lambda: any_write(True, 1), "D018"),
        (lambda: any_write(site("i") > 0, 1), "D018"),
        (lambda: any_write([0], 1), "D018"),
        (lambda: write(float("inf"), 1), "D013"),
        (lambda: permute("i"), "D039"),
        (lambda: permute(), "D039"),
        (lambda: scatter(["i"], [1, 2]), "D039"),
        (lambda: scatter("ij", [1, 2]), "D039"),
        (lambda: any_scatter(["i"], 1), "D039"),
        (lambda: cond(any_number, write("i", 1)), "D016"),
        (lambda: cond(site("i") > 0, any_number), "D017"),
        (lambda: flip_set(""), "D019"),
        (lambda: invalidate(any_number), "D019"),
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
