"""Options: defaults, checks, and what they add to a signature."""

from __future__ import annotations

import json
from collections.abc import Collection
from dataclasses import FrozenInstanceError
from typing import Any, get_type_hints

import pytest

import symir as sym
from symir.compiler.lowering import optional_passes
from symir.compiler.options import OptionsByName

DEFAULTS: dict[str, Any] = {
    "backend_preference": "auto",
    "cache_enabled": True,
    "cache_namespace": "symir",
    "enable_fusion": True,
    "coalesce": "none",
    "opt_level": 2,
    "without": [],
    "strict_validation": True,
    "verify_passes": True,
    "lowering": None,
    "diagnostics": "cheap",
    "validate": "off",
}

OTHERS: dict[str, Any] = {
    "backend_preference": "reference",
    "cache_enabled": False,
    "cache_namespace": "mine",
    "enable_fusion": False,
    "coalesce": "diagonal",
    "opt_level": 0,
    "without": ["bt-narrow"],
    "strict_validation": False,
    "verify_passes": False,
    "lowering": "cse",
    "diagnostics": "off",
    "validate": "sampled",
}


def test_defaults() -> None:
    options = sym.SymbolicCompilerOptions()
    assert options.as_dict() == DEFAULTS
    assert sym.SymbolicCompilerOptions.from_mapping({}) == options
    assert json.loads(json.dumps(options.as_dict())) == DEFAULTS


def test_options_by_name_are_those_of_the_class() -> None:
    stated, named = map(get_type_hints, (sym.SymbolicCompilerOptions, OptionsByName))
    assert named.pop("without") == Collection[str]  # any iterable will do
    assert stated.pop("without") == tuple[str, ...]
    assert named == stated


@pytest.mark.parametrize("name", OTHERS)
def test_an_option_by_name(name: str) -> None:
    options = sym.SymbolicCompilerOptions.from_mapping({name: OTHERS[name]})
    assert options.as_dict() == {**DEFAULTS, name: OTHERS[name]}
    assert options != sym.SymbolicCompilerOptions()
    assert hash(options) == hash(sym.SymbolicCompilerOptions(**{name: OTHERS[name]}))


def test_the_signature_has_all_that_decides_about_the_artifact() -> None:
    plain = sym.SymbolicCompilerOptions().static_signature()
    for name, value in OTHERS.items():
        other = sym.SymbolicCompilerOptions(**{name: value}).static_signature()
        changes_nothing = ("cache_enabled", "cache_namespace", "diagnostics")
        assert (other == plain) is (name in changes_nothing)


def test_options_do_not_change() -> None:
    options: Any = sym.SymbolicCompilerOptions()
    with pytest.raises(FrozenInstanceError):
        options.enable_fusion = False


@pytest.mark.parametrize(
    ("name", "value", "code"),
    [
        ("backend_preference", "cuda", "C006"),
        ("backend_preference", None, "C006"),
        ("cache_enabled", 1, "C006"),
        ("enable_fusion", "yes", "C006"),
        ("coalesce", "all", "C006"),
        ("coalesce", None, "C006"),
        ("without", "bt-narrow", "C006"),
        ("without", ("sym-guard-space",), "C006"),
        ("without", [3], "C006"),
        ("without", None, "C006"),
        ("opt_level", 4, "C006"),
        ("opt_level", True, "C006"),
        ("opt_level", "2", "C006"),
        ("strict_validation", None, "C006"),
        ("verify_passes", 0, "C006"),
        ("cache_namespace", "", "C006"),
        ("cache_namespace", 3, "C006"),
        ("diagnostics", "all", "C006"),
        ("diagnostics", None, "C006"),
        ("validate", "all", "C006"),
        ("validate", True, "C006"),
        ("lowering", ["cse"], "C006"),
        ("lowering", "no-such-pass", "C008"),
        ("lowering", "cse{", "C008"),
        ("lowering", "cse{depth=1}", "C008"),
    ],
)
def test_a_bad_value(name: str, value: Any, code: str) -> None:
    with pytest.raises(sym.SymbolicCompilerError) as error:
        sym.SymbolicCompilerOptions(**{name: value})
    assert error.value.code == code
    assert repr(value) in str(error.value.found)
    assert error.value.expected


@pytest.mark.parametrize("name", sorted(optional_passes()))
def test_a_pass_that_is_left_out(name: str) -> None:
    options = sym.SymbolicCompilerOptions(coalesce="static", without=(name,))
    assert f"{name}," not in options.operator_pipeline() + ","
    assert ("bounds=true" in options.operator_pipeline()) is (name != "bt-narrow")
    unarranged = "arrange=false" in options.operator_pipeline()
    assert unarranged is (name == "stablehlo-arrange-gathers")
    again = sym.SymbolicCompilerOptions.from_mapping(options.as_dict())
    assert again == options


def test_an_unknown_name() -> None:
    with pytest.raises(sym.SymbolicCompilerError, match="'fusion'") as error:
        sym.SymbolicCompilerOptions.from_mapping({"fusion": True})
    assert error.value.code == "C006"
    assert "enable_fusion" in str(error.value.expected)
