"""The pipeline of a compiler: passes before the cache, after it, and the lowering."""

from __future__ import annotations

from collections.abc import Iterable

from xdsl.passes import ModulePass

from symir.compiler.context import SymbolicCompilationContext
from symir.compiler.failures import blamed_on
from symir.compiler.lowering import OPERATOR_PIPELINE, LoweringPipeline
from symir.compiler.passes import (
    AbstractSymbolicPass,
    SymbolicDiagnosticsPass,
    SymbolicFanoutAnalysisPass,
    SymbolicFusionPlanningPass,
    SymbolicNormalizationPass,
    SymbolicValidationPass,
)
from symir.errors import SymbolicCompilerError

AnyPass = AbstractSymbolicPass | ModulePass

PRE, POST = "pre-cache", "post-cache"
"""The stages of a compilation that symbolic passes belong to."""


class SymbolicPassPipeline:
    """The passes of a compiler.

    Args:
        pre_cache: passes that run on every compilation; the cache key is made of what
            they find out.
        post_cache: passes that run where the cache has no artifact.
        lowering: the passes from `sym` to `bt`, as a pass-pipeline string of xDSL.

    Raises:
        SymbolicCompilerError: for anything but passes, for two symbolic passes of one
            name, and where no pass comes before the cache (C009); for a bad pass
            pipeline (C008).
    """

    def __init__(
        self,
        pre_cache: Iterable[AbstractSymbolicPass],
        post_cache: Iterable[AbstractSymbolicPass] = (),
        lowering: str | LoweringPipeline = OPERATOR_PIPELINE,
    ):
        self._passes = {PRE: list(pre_cache), POST: list(post_cache)}
        is_text = isinstance(lowering, str)
        self.lowering = LoweringPipeline.parse(lowering) if is_text else lowering
        """The passes from `sym` to `bt`."""
        if not self._passes[PRE]:
            raise SymbolicCompilerError(
                "C009",
                "a pipeline has at least one pass before the cache",
                hint="symbolic_normalization finds out what the cache key needs",
            )
        for one in (*self._passes[PRE], *self._passes[POST]):
            _check_symbolic(one)
        self._check_names()

    # region What is in it

    @property
    def pass_names(self) -> tuple[str, ...]:
        """The names of the symbolic passes, in the order that they run in."""
        return (*self.pre_cache_names, *self.post_cache_names)

    @property
    def pre_cache_names(self) -> tuple[str, ...]:
        """The names of the passes that run on every compilation."""
        return tuple(one.name for one in self._passes[PRE])

    @property
    def post_cache_names(self) -> tuple[str, ...]:
        """The names of the passes that run where the cache has no artifact."""
        return tuple(one.name for one in self._passes[POST])

    @property
    def has_own_lowering(self) -> bool:
        """Whether the passes from `sym` to `bt` are not those by default."""
        default = LoweringPipeline.parse(OPERATOR_PIPELINE)
        return self.lowering.signature() != default.signature()

    def insert(
        self,
        new: AnyPass,
        *,
        after: str | None = None,
        before: str | None = None,
    ) -> SymbolicPassPipeline:
        """Add a pass next to one that is there; returns the pipeline itself.

        A symbolic pass joins symbolic ones, a pass of xDSL those of the lowering. Of
        passes that come twice in the lowering the first is meant by `before`, the last
        by `after`.

        Raises:
            SymbolicCompilerError: for what is no pass, unless there is one place next
                to an existing pass, and for a name that is taken (C009).
        """
        if (after is None) is (before is None):
            raise SymbolicCompilerError(
                "C009", "a pass is inserted after another one, or before it"
            )
        anchor, step = (after, 1) if after is not None else (before, 0)
        if isinstance(new, ModulePass):
            names = self.lowering.names
            position = _position(names, anchor, last=bool(step)) + step
            self.lowering = self.lowering.inserted(new, position)
            return self
        _check_symbolic(new)
        place = _position(self.pass_names, anchor, last=False) + step
        early = len(self._passes[PRE])
        is_early = anchor in self.pre_cache_names
        passes = self._passes[PRE if is_early else POST]
        passes.insert(place if is_early else place - early, new)
        try:
            self._check_names()
        except SymbolicCompilerError:
            passes.remove(new)
            raise
        return self

    def signature(self) -> str:
        """Return a text that differs where the symbolic passes do."""
        early, late = (
            [one.signature() for one in passes] for passes in self._passes.values()
        )
        return "|".join([*early, "cache", *late])

    def _check_names(self) -> None:
        names = self.pass_names
        twice = next((name for name in names if names.count(name) > 1), None)
        if twice is not None:
            raise SymbolicCompilerError(
                "C009",
                f"two passes are named '{twice}'",
                expected="a name of its own for each symbolic pass",
                found=", ".join(names),
            )

    def __repr__(self) -> str:
        before = ", ".join(self.pre_cache_names)
        after = ", ".join(self.post_cache_names)
        return f"SymbolicPassPipeline([{before}] cache [{after}] {self.lowering})"

    # endregion
    # region Running it

    def run_pre_cache(self, context: SymbolicCompilationContext) -> None:
        """Run the passes before the cache.

        Raises:
            SymbolicCompilerError: where one fails.
        """
        self._run(PRE, context)

    def run_post_cache(self, context: SymbolicCompilationContext) -> None:
        """Run the passes after the cache.

        Raises:
            SymbolicCompilerError: where one fails.
        """
        self._run(POST, context)

    def _run(self, stage: str, context: SymbolicCompilationContext) -> None:
        name, reports = context.operator.name, context.pass_reports
        for one in self._passes[stage]:
            with blamed_on(name, stage, one.name, reports):
                one.execute(context, stage)

    # endregion


def _check_symbolic(one: object) -> None:
    if isinstance(one, AbstractSymbolicPass) and isinstance(
        getattr(one, "name", None), str
    ):
        return
    raise SymbolicCompilerError(
        "C009",
        "this is no pass",
        expected="an instance of a subclass of AbstractSymbolicPass with a name, or a "
        "ModulePass of xDSL",
        found=repr(one),
    )


def _position(names: tuple[str, ...], anchor: str | None, *, last: bool) -> int:
    if anchor not in names:
        raise SymbolicCompilerError(
            "C009",
            f"the pipeline has no pass '{anchor}' of this kind",
            expected=" or ".join(dict.fromkeys(names)),
            found=repr(anchor),
        )
    if last:
        return len(names) - 1 - names[::-1].index(anchor)
    return names.index(anchor)


def default_symbolic_pass_pipeline(
    lowering: str | LoweringPipeline = OPERATOR_PIPELINE,
) -> SymbolicPassPipeline:
    """Return a new pipeline with the symbolic passes that symir comes with.

    Raises:
        SymbolicCompilerError: for a bad pass pipeline (C008).
    """
    before = SymbolicValidationPass(), SymbolicNormalizationPass()
    after = SymbolicFanoutAnalysisPass(), SymbolicFusionPlanningPass()
    return SymbolicPassPipeline([*before, SymbolicDiagnosticsPass()], after, lowering)
