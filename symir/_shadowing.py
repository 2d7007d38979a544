"""A check that the packages `dialects` and `lowering` are symir's own."""

from importlib import import_module
from pathlib import Path

_ROOT = Path(__file__).resolve().parent.parent


def check_own_packages() -> None:
    """Raise ImportError where a foreign package shadows one of symir's own."""
    for name in ("dialects", "lowering"):
        try:
            module = import_module(name)
        except ImportError as error:
            raise ImportError(_message(name, "could not be imported")) from error
        if getattr(module, "SYMIR_DISTRIBUTION", None) != "symir":
            found = getattr(module, "__file__", None) or list(
                getattr(module, "__path__", ["an unknown place"])
            )
            raise ImportError(_message(name, f"came from {found}"))


def _message(name: str, found: str) -> str:
    return (
        f"[P001] symir's package '{name}' is shadowed by another one\n"
        f"  expected: {_ROOT / name}\n"
        f"  found:    '{name}' {found}\n"
        "  hint:     rename or remove the other package, or put the folder that holds "
        "symir before it on sys.path"
    )
