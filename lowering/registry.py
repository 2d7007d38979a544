"""Loaders of passes by name: of symir, of xDSL and of installed packages."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from importlib import import_module

from xdsl.passes import ModulePass
from xdsl.transforms import get_all_passes as get_all_xdsl_passes
from xdsl.universe import Universe

__all__ = ["get_all_passes", "known_passes"]

Loader = Callable[[], type[ModulePass]]

_PASSES = {
    "bt-coalesce-diagonal": "BtCoalesceDiagonalPass",
    "bt-coalesce-static": "BtCoalesceStaticPass",
    "bt-compact": "BtCompactPass",
    "bt-join-diagonal": "BtJoinDiagonalPass",
    "bt-materialize-strategy": "BtMaterializeStrategyPass",
    "bt-narrow": "BtNarrowPass",
    "bt-prune": "BtPrunePass",
    "bt-reduce-strategy": "BtReduceStrategyPass",
    "bt-specialize": "BtSpecializePass",
    "convert-bt-to-stablehlo": "ConvertBtToStablehloPass",
    "convert-sym-to-bt": "ConvertSymToBtPass",
    "stablehlo-arrange-gathers": "StablehloArrangeGathersPass",
    "stablehlo-fold-constants": "StablehloFoldConstantsPass",
    "sym-convert-element": "SymConvertElementPass",
    "sym-expand-updates": "SymExpandUpdatesPass",
    "sym-forward-reads": "SymForwardReadsPass",
    "sym-fuse-terms": "SymFuseTermsPass",
    "sym-gather-terms": "SymGatherTermsPass",
    "sym-guard-space": "SymGuardSpacePass",
    "sym-guard-undefined": "SymGuardUndefinedPass",
    "sym-plan-fusion": "SymPlanFusionPass",
}

_LOCAL_ENERGY = {
    "analyse-site-affine": "AnalyseSiteAffinePass",
    "apply-exponential-sums": "ApplyExponentialSumsPass",
    "bt-local-energy": "BtLocalEnergyPass",
    "bt-local-energy-coalesce": "BtLocalEnergyCoalescePass",
    "bt-local-energy-pack": "BtLocalEnergyPackPass",
    "inline-calls": "InlineCallsPass",
    "lift-sparse-delta": "LiftSparseDeltaPass",
    "plan-local-energy": "PlanLocalEnergyPass",
    "recognise-activations": "RecogniseActivationsPass",
}
"""Passes on local energies, in a folder of their own."""


def _load(name: str) -> type[ModulePass]:
    folder = "lowering.local_energy" if name in _LOCAL_ENERGY else "lowering"
    module = import_module(f"{folder}.{name.replace('-', '_')}")
    return getattr(module, (_PASSES | _LOCAL_ENERGY)[name])


def get_all_passes() -> dict[str, Loader]:
    """Return a loader for each pass that symir defines."""
    return {name: partial(_load, name) for name in _PASSES | _LOCAL_ENERGY}


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
