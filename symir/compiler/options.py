"""Options of the compiler."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, fields
from difflib import get_close_matches
from typing import Any, TypedDict, cast

from symir.compiler.lowering import LoweringPipeline, operator_pipeline, optional_passes
from symir.errors import SymbolicCompilerError
from symir.plain_text import Reading

BACKENDS = ("auto", "jax", "reference")

COALESCE = ("none", "diagonal", "static")

OPT_LEVELS = (0, 1, 2, 3)

DIAGNOSTICS = ("off", "cheap", "thorough")

VALIDATIONS = ("off", "sampled", "exhaustive")

_CHOICES: dict[str, tuple[object, ...]] = {
    "backend_preference": BACKENDS,
    "validate": VALIDATIONS,
    "diagnostics": DIAGNOSTICS,
    "coalesce": COALESCE,
    "opt_level": OPT_LEVELS,
}

_NOT_IN_THE_SIGNATURE = ("cache_enabled", "cache_namespace", "diagnostics")
"""Options that do not change an artifact: its store, and diagnostics."""


@dataclass(frozen=True, kw_only=True)
class SymbolicCompilerOptions(Reading):
    """Options of a compilation: immutable, hashable, checked when they are made.

    Attributes:
        backend_preference: "jax" for kernels, "reference" for the NumPy interpreter of
            the `sym` level; "auto" is "jax".
        cache_enabled: whether artifacts are looked up and stored.
        cache_namespace: a part of every cache key, to keep experiments apart.
        enable_fusion: whether terms of the same structure become one part of the
            kernel, at `opt_level` 2 and 3.
        coalesce: which branches with one x' are summed into one lane: "none"; those
            with x' = x for "diagonal"; for "static" all that write the same functions
            of x to the same sites as well. The sums for each x' stay what they are.
            The backend "reference" sums none. With any of them, and at `opt_level` 3, x
            has to have the conserved sums of its space: for another x lanes may be too
            few, and matrix elements are NaN then.
        opt_level: 0 for the literal translation; 1 computes what is constant at
            compile time, and equal values once, and gathers columns of x for all that
            read them; 2 fuses terms as well; 3 computes small integers in types of few
            bits, and chooses by cost how parities, sums and x' are computed, as any
            `coalesce` does.
        without: names of passes of the optimiser that are left out; "bt-narrow" and
            "stablehlo-arrange-gathers" are two of them, though they run later. What a
            pass relies on goes with it: "bt-compact" needs what is known of x for
            "bt-narrow".
        strict_validation: whether a mistake stops the compilation; otherwise it is
            noted in the analysis `validation_summary`.
        verify_passes: whether the IR is verified after every pass.
        lowering: a pass pipeline from `sym` to `bt` in xDSL's notation, in place of the
            pipeline's own, and of what `coalesce`, `opt_level` and `without` ask for.
        diagnostics: what is looked at for the analysis `diagnostics`: nothing for
            "off", the IR for "cheap", branches of configurations as well for
            "thorough".
        validate: whether what every pass does is compared with what it declares, as by
            `symir.check`, at some configurations or at all; the reference backend has
            no such passes.

    Raises:
        SymbolicCompilerError: for a value of the wrong kind (C006), and a `lowering`
            that is no pass pipeline (C008).
    """

    backend_preference: str = "auto"
    cache_enabled: bool = True
    cache_namespace: str = "symir"
    enable_fusion: bool = True
    coalesce: str = "none"
    opt_level: int = 2
    without: tuple[str, ...] = ()
    strict_validation: bool = True
    verify_passes: bool = True
    lowering: str | None = None
    diagnostics: str = "cheap"
    validate: str = "off"

    def __post_init__(self) -> None:
        for name, known in _CHOICES.items():
            value = getattr(self, name)
            # True is 1, and no level
            if value not in known or type(value) is not type(known[0]):
                raise _bad(name, " or ".join(map(repr, known)), value)
        for field in fields(self):
            value = getattr(self, field.name)
            if field.type == "bool" and not isinstance(value, bool):
                raise _bad(field.name, "True or False", value)
        if not isinstance(self.cache_namespace, str) or not self.cache_namespace:  # pyright: ignore[reportUnnecessaryIsInstance]
            raise _bad("cache_namespace", "a non-empty string", self.cache_namespace)
        if not isinstance(self.lowering, str | None):  # pyright: ignore[reportUnnecessaryIsInstance]
            raise _bad("lowering", "a pass pipeline, or None", self.lowering)
        self._check_without()
        if self.lowering is not None:
            LoweringPipeline.parse(self.lowering)

    def _check_without(self) -> None:
        if not self.without and type(self.without) is tuple:
            return
        known = optional_passes()
        given = cast("object", self.without)
        is_list = isinstance(given, list | tuple | set | frozenset)
        names = tuple(cast("Iterable[str]", given)) if is_list else ("",)
        if not all(isinstance(name, str) and name in known for name in names):  # pyright: ignore[reportUnnecessaryIsInstance]
            raise _bad("without", f"names of {', '.join(sorted(known))}", self.without)
        # Any iterable will do; options are hashed
        object.__setattr__(self, "without", names)

    @classmethod
    def from_mapping(cls, options: Mapping[str, Any]) -> SymbolicCompilerOptions:
        """Return the options that a mapping names, the others by default.

        Raises:
            SymbolicCompilerError: for an unknown name or a bad value (C006, C008).
        """
        known = [field.name for field in fields(cls)]
        unknown = sorted(set(options) - set(known))
        if unknown:
            near = get_close_matches(unknown[0], known, n=1)
            raise SymbolicCompilerError(
                "C006",
                f"there is no option {unknown[0]!r}",
                expected=", ".join(known),
                found=", ".join(map(repr, unknown)),
                hint=f"did you mean {near[0]!r}?" if near else None,
            )
        return cls(**options)

    def operator_pipeline(self) -> str:
        """Return the passes from `sym` to `bt` that the options ask for."""
        if self.lowering is not None:
            return self.lowering
        return operator_pipeline(self.coalesce, self.opt_level, self.without)

    def static_signature(self) -> str:
        """Return a text that differs where the compiled artifact may differ."""
        own = self.as_dict()
        for name in _NOT_IN_THE_SIGNATURE:
            del own[name]
        return json.dumps(own, sort_keys=True)


class OptionsByName(TypedDict, total=False):
    """The fields of `SymbolicCompilerOptions` as keyword arguments, for editors.

    A test keeps the two in step.
    """

    backend_preference: str
    cache_enabled: bool
    cache_namespace: str
    enable_fusion: bool
    coalesce: str
    opt_level: int
    without: Collection[str]
    strict_validation: bool
    verify_passes: bool
    lowering: str | None
    diagnostics: str
    validate: str


def _bad(name: str, expected: str, found: object) -> SymbolicCompilerError:
    return SymbolicCompilerError(
        "C006",
        f"the option {name} cannot have this value",
        expected=expected,
        found=repr(found),
    )
