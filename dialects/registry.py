"""The dialects of symir by name, each imported when it is first needed."""

from collections.abc import Callable

from xdsl.ir import Dialect


def _sym() -> Dialect:
    from dialects.sym import Sym

    return Sym


def _bt() -> Dialect:
    from dialects.bt import Bt

    return Bt


def _chlo() -> Dialect:
    from dialects.chlo import Chlo

    return Chlo


def _stablehlo() -> Dialect:
    from dialects.stablehlo import StableHLO

    return StableHLO


def get_own_dialects() -> dict[str, Callable[[], Dialect]]:
    """Return the dialects that symir defines."""
    return {"sym": _sym, "bt": _bt}


def get_all_dialects() -> dict[str, Callable[[], Dialect]]:
    """Return every dialect of the three levels beside `builtin` and `func`."""
    return {**get_own_dialects(), "chlo": _chlo, "stablehlo": _stablehlo}
