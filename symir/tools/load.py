"""Loading operators from the files that users name: `FILE` or `FILE:NAME`."""

from __future__ import annotations

import contextlib
import inspect
import sys
import traceback
from collections.abc import Callable, Generator, Iterator, Mapping
from pathlib import Path
from types import ModuleType
from typing import Any, cast

from symir.errors import SymirError
from symir.language import DOperator
from symir.operator.ir import SymbolicOperatorIR
from symir.operator.symbolic_operator import SymbolicOperator
from symir.tools.faults import Fault

_FRAMES_SHOWN = 8


class UserCodeError(Exception):
    """The user's own file raised; `text` is its traceback, without our frames."""

    def __init__(self, path: Path, text: str):
        super().__init__(f"{path} could not be run")
        self.path = path
        self.text = text


def split_reference(reference: str) -> tuple[Path, str | None]:
    """Split `FILE:NAME`; the name is None where only a file is given."""
    file, colon, name = reference.rpartition(":")
    if colon and name.isidentifier() and not Path(reference).exists():
        return Path(file), name
    return Path(reference), None


def load_operator(reference: str) -> SymbolicOperator:
    """Return the operator that `FILE` or `FILE:NAME` refers to.

    A Python file is run; its operators are the `SymbolicOperator`s among its globals. A
    name may also stand for a function that takes no argument and returns one. A .mlir
    file holds one `sym.operator`.

    Raises:
        InputError: for a file that is missing or of another kind (T001, T002), or that
            does not define the operator asked for (T003 to T007).
        DefinitionError: for a definition that is wrong.
        UserCodeError: when the Python in it raises anything else.
    """
    return _load(reference, energies=False)


def load_explored(reference: str) -> tuple[Any, ...]:
    """Return what `FILE` or `FILE:NAME` refers to, as `symir.explore` takes it.

    That is (operator,), or (energy, parameters, x) where a function of that name
    returns a `LocalEnergy` with these, or a variable holds them. Errors are those of
    `load_operator`.
    """
    found = _load(reference, energies=True)
    return (found,) if isinstance(found, SymbolicOperator) else found


def _load(reference: str, *, energies: bool) -> Any:
    path, name = split_reference(reference)
    if path.suffix not in (".py", ".mlir"):
        raise Fault.NOT_A_DEFINITION.error(
            f"'{path}' is neither Python nor MLIR",
            expected="a file whose name ends in .py or .mlir",
            found=f"'{path.suffix}'" if path.suffix else "no extension",
        )
    source = _read(path)
    if path.suffix == ".mlir":
        return _from_mlir(path, source, name)
    with _as_script(path):
        return _from_python(path, source, name, energies)


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise Fault.UNREADABLE.error(
            f"'{path}' cannot be read",
            expected="a readable file, or FILE:NAME",
            found=error.strerror or str(error),
        ) from error


# region MLIR


def _from_mlir(path: Path, source: bytes, name: str | None) -> SymbolicOperator:
    try:
        text = source.decode()
    except UnicodeDecodeError as error:
        raise Fault.UNREADABLE.error(
            f"'{path}' is not text", expected="UTF-8", found=str(error)
        ) from error
    ir = SymbolicOperatorIR.from_text(text, file=str(path))
    if name not in (None, ir.operator_name):
        raise Fault.UNKNOWN_OPERATOR.error(
            f"'{path}' has no operator '{name}'",
            expected=f"{path}:{ir.operator_name}",
            found=f"'{name}'",
        )
    return SymbolicOperator.from_ir(ir)


# endregion
# region Python


@contextlib.contextmanager
def _as_script(path: Path) -> Generator[None]:
    """Let the file import its neighbours, and keep what it prints out of our output."""
    folder = str(path.parent.resolve())
    sys.path.insert(0, folder)
    try:
        with contextlib.redirect_stdout(sys.stderr):
            yield
    finally:
        with contextlib.suppress(ValueError):
            sys.path.remove(folder)


def _from_python(path: Path, source: bytes, name: str | None, energies: bool) -> Any:
    # Under a name of its own: `if __name__ == "__main__"` is for `python FILE`
    module = ModuleType("loaded_" + path.stem.replace(".", "_"))
    module.__file__ = str(path)
    sys.modules[module.__name__] = module
    _run_user_code(path, lambda: exec(compile(source, str(path), "exec"), vars(module)))
    if name is None:
        return _only_operator(path, vars(module))
    return _named(path, vars(module), name, energies)


def _run_user_code(path: Path, code: Callable[[], Any]) -> Any:
    try:
        return code()
    except SymirError:
        raise
    except (Exception, SystemExit) as error:
        raise UserCodeError(path, _brief_traceback(error, path)) from error


def _brief_traceback(error: BaseException, path: Path) -> str:
    """Format a traceback from the user's file on; a long one loses its middle."""
    frames = traceback.extract_tb(error.__traceback__)
    first = next(
        (n for n, frame in enumerate(frames) if frame.filename == str(path)),
        len(frames),
    )
    lines = traceback.StackSummary.from_list(frames[first:]).format()
    if len(lines) > _FRAMES_SHOWN:
        half = _FRAMES_SHOWN // 2
        omitted = f"  ... {len(lines) - 2 * half} more ...\n"
        lines = [*lines[:half], omitted, *lines[-half:]]
    if lines:
        lines.insert(0, "Traceback (most recent call last):\n")
    return "".join([*lines, *traceback.format_exception_only(error)]).rstrip()


def _operators(namespace: Mapping[str, object]) -> dict[str, SymbolicOperator]:
    """Return the public operators of a file, each under its first name."""
    found: dict[str, SymbolicOperator] = {}
    for name, value in namespace.items():
        if name.startswith("_") or not isinstance(value, SymbolicOperator):
            continue
        if all(value is not other for other in found.values()):
            found[name] = value
    return found


def _only_operator(path: Path, namespace: Mapping[str, object]) -> SymbolicOperator:
    operators = _operators(namespace)
    if len(operators) == 1:
        return next(iter(operators.values()))
    if operators:
        raise Fault.SEVERAL_OPERATORS.error(
            f"'{path}' defines {len(operators)} operators",
            expected=" or ".join(f"{path}:{name}" for name in operators),
            found=str(path),
        )
    builders = [name for name, v in namespace.items() if isinstance(v, DOperator)]
    if builders:
        raise _not_built(path, builders[0])
    hints = [_hint_for(name, value) for name, value in namespace.items()]
    for function in _own_functions(namespace):
        hints.append(f"if {function}() returns one: {path}:{function}")
    raise Fault.NO_OPERATOR.error(
        f"'{path}' defines no operator",
        expected="a global variable with an operator: DOperator(..) .. .build()",
        found=_listed(name for name in namespace if not name.startswith("_")),
        hint=next(filter(None, hints), None),
    )


def _named(
    path: Path, namespace: Mapping[str, object], name: str, energies: bool
) -> Any:
    if name not in namespace:
        names = [*_operators(namespace), *_own_functions(namespace)]
        raise Fault.UNKNOWN_OPERATOR.error(
            f"'{path}' has nothing named '{name}'",
            expected=" or ".join(f"{path}:{n}" for n in names) or None,
            found=f"'{name}'",
        )
    value = namespace[name]
    if isinstance(value, DOperator):
        raise _not_built(path, name)
    what = f"'{name}'"
    if callable(value) and _needs_no_argument(value):
        value = _run_user_code(path, value)
        what = f"what {name}() returns"
        if isinstance(value, DOperator):
            raise _not_built(path, f"{name}()")
    if isinstance(value, SymbolicOperator) or (energies and _is_energy(value)):
        return value
    expected = "an operator, or a function without arguments that returns one"
    raise Fault.NOT_AN_OPERATOR.error(
        f"{what} in '{path}' is no operator",
        expected=f"{expected}; or (LocalEnergy, parameters, x)"
        if energies
        else expected,
        found=f"a function that needs arguments: {name}{_signature(value)}"
        if callable(value)
        else f"a value of type {type(value).__name__}",
        hint=_hint_for(name, value),
    )


def _hint_for(name: str, value: object) -> str | None:
    own = type(value).__module__.startswith("symir.")
    if own and hasattr(value, "get_conn_padded"):
        return f"{name} is compiled: name what .build() returns, before .compile()"
    return None


def _is_energy(value: object) -> bool:
    """Whether a value is (energy, parameters, x); JAX is not started to find out."""
    if not isinstance(value, tuple):
        return False
    parts = cast("tuple[object, ...]", value)
    return len(parts) == 3 and hasattr(parts[0], "logpsi")


def _not_built(path: Path, name: str) -> SymirError:
    return Fault.NOT_BUILT.error(
        f"{name} in '{path}' is a builder, and no operator yet",
        expected="a SymbolicOperator",
        found="a DOperator",
        hint=f"end its definition with .build(), or say {name}.build()",
    )


def _own_functions(namespace: Mapping[str, object]) -> list[str]:
    """Return the functions of a file that can be called without arguments."""
    return [
        name
        for name, value in namespace.items()
        if inspect.isfunction(value)
        and value.__module__ == namespace["__name__"]
        and not name.startswith("_")
        and _needs_no_argument(value)
    ]


def _needs_no_argument(function: Callable[..., object]) -> bool:
    try:
        inspect.signature(function).bind()
    except (TypeError, ValueError):
        return False
    return True


def _signature(function: Callable[..., object]) -> str:
    try:
        return str(inspect.signature(function))
    except (TypeError, ValueError):
        return "(..)"


def _listed(names: Iterator[str], limit: int = 8) -> str:
    found = list(names)
    more = f", .. ({len(found)} names)" if len(found) > limit else ""
    return ", ".join(found[:limit]) + more if found else "nothing"


# endregion
