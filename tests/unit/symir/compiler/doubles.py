"""Operators, passes, a lowerer and a store that note what the compiler does."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from xdsl.context import Context
from xdsl.dialects.builtin import ModuleOp
from xdsl.passes import ModulePass

import symir as sym
from symir.compiler import JAXSymbolicLowerer

i = sym.site("i")


def demo(hilbert: object, amplitude: object = 1.0) -> sym.SymbolicOperator:
    """Return the operator of the inspection workflow: it lowers every site."""
    return (
        sym.DOperator(hilbert, "demo")
        .for_each_site("i")
        .where(i > 0)
        .emit(sym.shift("i", -1), amplitude=amplitude)  # pyright: ignore[reportArgumentType]
        .build()
    )


def field(**options: Any) -> sym.SymbolicOperator:
    """Return a diagonal term and flips in a field h: two terms, a parameter."""
    return (
        sym.DOperator(sym.spin(0.5, 4), "field", **options)
        .for_each(("i", "j"), over=[(0, 1), (1, 2), (2, 3)])
        .emit(amplitude=i * sym.site("j"))
        .for_each_site("i")
        .emit(sym.flip("i"), amplitude=-sym.symbol("h", default=0.5))
        .build()
    )


@dataclass(frozen=True)
class RaisingPass(ModulePass):
    """A pass over IR that raises."""

    name = "raising"

    def apply(self, ctx: Context, op: ModuleOp) -> None:
        raise IndexError("out of bounds")


@dataclass(frozen=True)
class DroppingPass(ModulePass):
    """A pass over IR that leaves uses of what it erased."""

    name = "dropping"

    def apply(self, ctx: Context, op: ModuleOp) -> None:
        reads = ("sym.read", "bt.gather")
        next(one for one in op.walk() if one.name in reads).detach()


class Noting(sym.AbstractSymbolicPass):
    """Notes that it ran, and what it could see; raises what it is given."""

    name = "noting"

    def __init__(self, log: list[str], error: Exception | None = None):
        self.log = log
        self.error = error
        self.seen: dict[str, Any] = {}

    def run(self, context: sym.SymbolicCompilationContext) -> Mapping[str, Any] | None:
        self.log.append(self.name)
        self.seen = dict(context.analyses)
        if self.error is not None:
            raise self.error
        return {self.name: len(self.log)}


class Early(Noting):
    """A pass to be put in front of the cache."""

    name = "early"


class Late(Noting):
    """A pass to be put behind the cache."""

    name = "late"


class NotingLowerer(JAXSymbolicLowerer):
    """The stock lowerer under another name."""

    name = "noting_lowerer"

    def __init__(self, log: list[str]):
        self.log = log

    def supports(self, context: sym.SymbolicCompilationContext) -> bool:
        self.log.append("supports")
        return super().supports(context)

    def lower(
        self, context: sym.SymbolicCompilationContext
    ) -> sym.SymbolicCompiledArtifact:
        self.log.append("lower")
        return super().lower(context)


class NotingStore(sym.AbstractSymbolicArtifactStore):
    """A dictionary."""

    def __init__(self, log: list[str]):
        self.log = log
        self.kept: dict[sym.SymbolicCacheKey, sym.SymbolicCompiledArtifact] = {}

    def get(self, key: sym.SymbolicCacheKey) -> sym.SymbolicCompiledArtifact | None:
        self.log.append("get")
        return self.kept.get(key)

    def put(
        self, key: sym.SymbolicCacheKey, artifact: sym.SymbolicCompiledArtifact
    ) -> None:
        self.log.append("put")
        self.kept[key] = artifact

    def invalidate(self, key: sym.SymbolicCacheKey) -> None:
        self.kept.pop(key, None)

    def clear(self) -> None:
        self.kept.clear()

    def __len__(self) -> int:
        return len(self.kept)


def noting_compiler(log: list[str]) -> sym.SymbolicCompiler:
    """Return a compiler with a note at every step that can be replaced."""
    pipeline = sym.default_symbolic_pass_pipeline()
    pipeline.insert(Early(log), after="symbolic_normalization")
    pipeline.insert(Late(log), before="symbolic_fanout_analysis")
    return sym.SymbolicCompiler(
        pipeline=pipeline,
        lowerer_registry=sym.SymbolicLowererRegistry([NotingLowerer(log)]),
        artifact_store=NotingStore(log),
    )
