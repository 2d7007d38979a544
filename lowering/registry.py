"""Loaders of passes by name: of symir, of xDSL and of installed packages."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from importlib import import_module

from xdsl.passes import ModulePass
from xdsl.transforms import get_all_passes as get_all_xdsl_passes
from xdsl.universe import Universe

Loader = Callable[[], type[ModulePass]]

_PASSES = {
    "sym": (
        "sym-convert-element",
        "sym-expand-updates",
        "sym-forward-reads",
        "sym-fuse-terms",
        "sym-gather-terms",
        "sym-guard-space",
        "sym-guard-undefined",
        "sym-plan-fusion",
    ),
    "bt": (
        "bt-coalesce-diagonal",
        "bt-coalesce-static",
        "bt-compact",
        "bt-join-diagonal",
        "bt-materialize-strategy",
        "bt-narrow",
        "bt-prune",
        "bt-reduce-strategy",
        "bt-specialize",
        "convert-sym-to-bt",
    ),
    "stablehlo": (
        "convert-bt-to-stablehlo",
        "stablehlo-arrange-gathers",
        "stablehlo-batch",
        "stablehlo-fold-constants",
    ),
    "change": ("analyse-change",),
    "energy": (
        "apply-declared-deltas",
        "apply-exponential-sums",
        "bt-local-energy",
        "bt-local-energy-coalesce",
        "bt-local-energy-pack",
        "inline-calls",
        "lift-sparse-delta",
        "lower-local-energy",
        "plan-distinct-states",
        "plan-local-energy",
        "propagate-change",
        "recognise-activations",
        "write-parts",
    ),
    "sampling": ("lower-draws", "write-conditionals"),
}
"""Names of passes by folder: that of a file and of a class follow from it."""

_FOLDERS = {name: folder for folder, names in _PASSES.items() for name in names}


def _load(name: str) -> type[ModulePass]:
    words = name.split("-")
    module = import_module(f"lowering.{_FOLDERS[name]}.{'_'.join(words)}")
    return getattr(module, "".join(word.capitalize() for word in words) + "Pass")


def get_all_passes() -> dict[str, Loader]:
    """Return a loader for each pass that symir defines."""
    return {name: partial(_load, name) for name in _FOLDERS}


def known_passes(*names: str) -> dict[str, Loader]:
    """Return a loader for each pass of symir, of xDSL and of installed packages.

    Packages publish passes as entry points of the group `xdsl.universe`, as for
    `symir-opt` and `xdsl-opt`. They are imported only if symir and xDSL have no pass of
    one of the names: other users of xDSL take long to import, and may be broken.
    """
    known = {**get_all_xdsl_passes(), **get_all_passes()}
    if all(name in known for name in names):
        return known
    return {**Universe.get_multiverse().all_passes, **known}
