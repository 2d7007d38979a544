"""Functions, updates and iterators of users: their meaning, errors, and their check."""

from __future__ import annotations

import copy
import itertools
import math
import pickle
import subprocess
import sys
from collections.abc import Callable, Generator
from contextlib import nullcontext
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import numpy.typing as npt
import pytest
from xdsl_jax.dialects import stablehlo as hlo

import symir as sym
from dialects.interpreters.sym import connections
from symir.errors import SymbolicCompilerError
from symir.language.extensions import Function, UpdateMacro
from symir.language.inlining import inlined
from tests.unit.symir.test_without_jax import BLOCKED, ROOT, run

Array = npt.NDArray[Any]
SPACE = sym.space([-1, 0, 2], 2)
STATES = SPACE.all_states()
x_i = sym.site("i")


@pytest.fixture(autouse=True)
def forget() -> Generator[None]:
    with sym.extensions():
        yield


def softplus() -> Function:
    return sym.register_function(
        "softplus", jax.nn.softplus, reference=np_softplus, replace=True
    )


def np_softplus(x: Any) -> Any:
    return np.logaddexp(x, 0) if np.isrealobj(x) else np.log1p(np.exp(x))


def operator(amplitude: Any, dtype: str | None = "float64") -> sym.SymbolicOperator:
    builder = sym.DOperator(SPACE, "op", dtype=dtype).for_each_site("i")
    return builder.emit(amplitude=amplitude).build()


def elements(built: sym.SymbolicOperator, x: Array = STATES) -> Array:
    """Return the matrix elements, on which interpreter and kernel agree."""
    xp, mels = built.compile().get_conn_padded(x)
    expected_xp, expected = connections(built.to_ir().module, x)
    tolerance = 2e-5 if np.finfo(mels.dtype).bits == 32 else 1e-12
    np.testing.assert_array_equal(np.asarray(xp), expected_xp)
    np.testing.assert_allclose(mels, expected, rtol=tolerance, atol=tolerance)
    return np.asarray(mels)


def failure(code: str, do: Callable[[], object]) -> sym.SymirError:
    """Return the error that is raised; it has a code, and a place in this file."""
    with pytest.raises(sym.SymirError) as caught:
        do()
    assert caught.value.code == code
    assert caught.value.location is not None
    assert caught.value.location.file == __file__
    return caught.value


# ---- functions ----


@pytest.mark.parametrize("dtype", ["float32", "float64", "complex64", "complex128"])
@pytest.mark.parametrize("x64", [True, False], ids=["x64", "x32"])
def test_a_function_is_lowered_for_each_dtype(dtype: str, x64: bool) -> None:
    built, warned = operator(softplus()(0.5 * x_i.value), dtype), nullcontext()
    if not x64 and dtype in ("float64", "complex128"):
        built = operator(softplus()(0.5 * x_i.value), None)
        dtype, warned = "float32", pytest.warns(sym.PrecisionWarning)
    with jax.enable_x64(x64), warned:
        found = elements(built, STATES.astype(np.int8))
    tolerance = 1e-6 if dtype in ("float32", "complex64") else 1e-14
    assert found.dtype == dtype
    np.testing.assert_allclose(found, np_softplus(0.5 * STATES), rtol=tolerance)


def test_the_ir_does_not_depend_on_how_jax_is_set_up() -> None:
    texts = list[str]()
    for x64 in (True, False):
        with jax.enable_x64(x64):
            texts.append(operator(softplus()(x_i.value)).to_ir().text())
    assert texts[0] == texts[1]
    assert "call" not in texts[0]
    assert "softplus" not in texts[0]


def test_complex_arguments() -> None:
    built = operator(softplus()(1j * x_i.value), "complex128")
    np.testing.assert_allclose(elements(built), np.log1p(np.exp(1j * STATES)))


def test_results_of_other_kinds() -> None:
    angle = sym.register_function("angle", jnp.angle, result="real")
    phase = sym.register_function("phase", lambda r: jnp.exp(1j * r), result="complex")
    built = operator(angle(phase(x_i.value)) + 0 * phase(x_i.value), "complex128")
    np.testing.assert_allclose(elements(built), np.angle(np.exp(1j * STATES)))
    error = failure("D012", lambda: operator(phase(x_i.value)))
    assert (error.operator, error.term) == ("op", "term0")


def test_a_function_is_used_wherever_expressions_are() -> None:
    f, here = softplus(), sym.here
    built = (
        sym.DOperator(SPACE, "op", dtype="float64")
        .for_each_site("i")
        .where(f(x_i.value) > 0.4)
        .emit(sym.write("i", sym.where(f(x_i.value) > 1, -1, 2)))
        .globally()
        .emit(amplitude=sym.sum_(f(here.value) * f(here.index)))
        .build()
    )
    elements(built)
    xp, mels = connections(built.to_ir().module, STATES)
    for x, targets, found in zip(STATES, xp, mels, strict=True):
        values = np_softplus(x.astype(np.float64))
        np.testing.assert_array_equal(found[:2], values > 0.4)
        for site in np.flatnonzero(values > 0.4):
            assert targets[site, site] == (-1 if values[site] > 1 else 2)
        assert found[2] == pytest.approx(values @ np_softplus(np.arange(2)))


def test_functions_are_computed_once() -> None:
    f = softplus()
    once, twice = f(x_i.value), f(x_i.value) * f(x_i.value + 0) + sym.sum_(f(x_i.value))

    def count(amplitude: Any) -> int:
        module = operator(amplitude).to_ir().module
        return sum(isinstance(op, hlo.LogPlusOneOp) for op in module.walk())

    assert count(once) == 1
    assert count(f(x_i.value) * f(x_i.value) + sym.sum_(f(x_i.value))) == 1
    assert count(twice) == 2


def test_constants_are_shared_with_the_term() -> None:
    f = sym.register_function("twice", lambda x: x * 2.0 + 0.0)
    text = operator(f(x_i.value) * 2).to_ir().text()
    assert text.count("dense<2.0") == 1


def stopped(a: Any) -> Any:
    return jax.lax.stop_gradient(a) * a


@jax.custom_jvp
def flat_root(a: Any) -> Any:
    return jnp.sqrt(a)


@flat_root.defjvp
def _(primals: Any, tangents: Any) -> Any:
    return flat_root(*primals), 0.0 * tangents[0]


@pytest.mark.parametrize(
    "body", [stopped, jax.lax.stop_gradient, flat_root, jax.nn.relu]
)
def test_derivatives_of_their_own_are_refused(body: Any) -> None:
    f = sym.register_function("f", body)
    factor = sym.symbol("b", default=1.5)
    terms = sym.DOperator(sym.fock(2, 1), "o").globally()
    built = terms.emit(amplitude=factor * f(sym.symbol("a", default=4.0))).build()
    x = np.zeros((1, 1), np.int8)
    for op in (built.compile(), (2 * built).compile()):

        def derived(name: str, op: Any = op) -> Any:
            def element(value: Any) -> Any:
                return op.replace(**{name: value}).get_conn_padded(x)[1].sum()

            return jax.grad(element)(4.0)

        with pytest.raises(sym.NotDifferentiable, match=r'R011.* function "f"'):
            derived("a")
        assert derived("b") == op.get_conn_padded(x)[1].sum() / 1.5
    assert sym.check(built).ok


def test_several_arguments_and_private_functions() -> None:
    def body(a: Any, b: Any) -> Any:
        return jnp.where(a > b, jax.nn.relu(a), jax.nn.relu(-b)) + jnp.clip(b, 0, 1)

    f = sym.register_function("f", body, arity=2)
    found = elements(operator(f(x_i.value, x_i.index)))
    a, b = STATES, np.arange(2)
    expected = np.where(a > b, np.maximum(a, 0), np.maximum(-b, 0)) + np.clip(b, 0, 1)
    np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize(
    ("body", "reference"),
    [
        (jax.scipy.special.erf, math.erf),
        (jnp.square, lambda x: x * x),
        (
            lambda x: jnp.polyval(jnp.array([1.0, 2.0, 3.0]), x),
            lambda x: x**2 + 2 * x + 3,
        ),
        (lambda x: jnp.arange(3)[1] * x, lambda x: x),
        (lambda x: 7.0, lambda x: 7),
        (lambda x: x, lambda x: x),
        (lambda x: jnp.abs(jnp.arange(-3, 3))[0] * x, lambda x: 3 * x),
    ],
    ids=["erf", "square", "polyval", "entry", "constant", "identity", "integers"],
)
def test_what_lowers_to_scalar_mathematics(
    body: Callable[..., Any], reference: Callable[[float], float]
) -> None:
    f = sym.register_function("f", body)
    with jax.enable_x64(True):
        found = elements(operator(f(x_i.value)))
    np.testing.assert_allclose(found, np.vectorize(reference)(STATES), rtol=1e-12)


@pytest.mark.parametrize(
    ("body", "code", "found"),
    [
        (lambda x: jax.lax.cond(x > 0, abs, abs, x), "D076", "stablehlo.case"),
        (
            lambda x: jax.lax.while_loop(lambda y: y < 9, lambda y: y + 1, x),
            "D076",
            "stablehlo.while",
        ),
        (jnp.signbit, "D076", "stablehlo.bitcast_convert"),
        (lambda x: jnp.full(3, x).sum(), "D076", "stablehlo.broadcast_in_dim"),
        (lambda x: (x, x), "D076", "2 results"),
        (lambda x: jnp.full(3, x), "D076", "stablehlo.broadcast_in_dim"),
        (lambda x: x.astype(int).astype(float), "D076", "tensor<i64>"),
        (lambda x: x > 0, "D077", "i1"),
        (lambda x: x if x > 0 else -x, "D075", "TracerBoolConversionError"),
        (lambda x: 1 / 0, "D075", "ZeroDivisionError"),
        (lambda x, y: x + y, "D075", "TypeError"),
    ],
)
def test_what_does_not(body: Callable[..., Any], code: str, found: str) -> None:
    call = sym.register_function("f", body)(x_i.value)
    line = sys._getframe().f_lineno - 1  # pyright: ignore[reportPrivateUsage]
    error = failure(code, lambda: operator(call))
    assert found in (error.found or "")
    assert (error.operator, error.term) == ("op", "term0")
    assert error.location is not None
    assert error.location.line == line
    assert error.hint or code == "D075"


def test_arguments_that_are_not_used_stay_in_their_place() -> None:
    f = sym.register_function("f", lambda a, b, c: b, arity=3)
    found = elements(operator(f(7, x_i.value, 9)))
    np.testing.assert_array_equal(found, STATES)
    text = "func.func public @main() -> () { return }"
    failure("D076", lambda: inlined("f", text, 1, ()))


def test_foreign_ops_are_named() -> None:
    text = """
func.func public @main(%x: tensor<f64>) -> tensor<f64> {
  %0 = "strange.op"(%x) : (tensor<f64>) -> tensor<f64>
  return %0 : tensor<f64>
}
"""
    error = failure("D076", lambda: inlined("f", text, 1, ()))
    assert error.found == "strange.op"
    error = failure("D076", lambda: inlined("f", "func.func nonsense", 1, ()))
    assert error.found


def test_dead_code_does_not_count() -> None:
    f = sym.register_function("f", lambda x: (jnp.full(3, x), x)[1])
    assert "broadcast" not in operator(f(x_i.value)).to_ir().text()


# ---- macros ----


def test_a_macro_makes_an_expression() -> None:
    @sym.register_function("quadratic", arity=2, macro=True)
    def quadratic(a: Any, b: Any) -> Any:
        return a * a + b

    found = elements(operator(quadratic(x_i.value, 3)))
    np.testing.assert_array_equal(found, STATES**2 + 3.0)
    assert sym.function("quadratic") is quadratic
    wrong = sym.register_function("wrong", lambda a: a > 0, macro=True)
    failure("D073", lambda: wrong(x_i.value))


# ---- updates ----


def reflected(x: Array, sites: tuple[int, ...], values: tuple[float, ...]) -> Array:
    x[sites[0]] = 1 - x[sites[0]]
    return x


def reflect() -> UpdateMacro:
    return sym.register_update(
        "reflect",
        lambda i: sym.affine(i, scale=-1, bias=1),
        reference=reflected,
        replace=True,
    )


def test_an_update_is_a_function_a_call_and_a_method() -> None:
    made = reflect()
    chains = [
        sym.write("i", 2).reflect("i"),
        sym.Update().write("i", 2).reflect("i"),
        sym.Update((*sym.write("i", 2).steps, *made("i").steps)),
        sym.Update((*sym.write("i", 2).steps, *sym.update("reflect", "i").steps)),
    ]
    assert len({repr(chain) for chain in chains}) == 1
    built = sym.DOperator(SPACE, "op").for_each_site("i").emit(chains[0]).build()
    xp, mels = connections(built.to_ir().module, STATES)
    elements(built)
    assert (mels == 1).all()
    for x, targets in zip(STATES, xp, strict=True):
        for site in range(2):
            expected = x.copy()
            expected[site] = -1
            np.testing.assert_array_equal(targets[site], expected)


def test_methods_are_listed_and_suggested() -> None:
    assert not hasattr(sym.Update(), "reflect")
    reflect()
    assert "reflect" in dir(sym.Update())
    with pytest.raises(AttributeError, match="did you mean 'reflect'"):
        sym.Update().reflct("i")
    with pytest.raises(AttributeError, match="did you mean 'write'"):
        sym.Update().wrte("i", 1)
    chain = sym.write("i", 1)
    assert repr(copy.deepcopy(chain)) == repr(pickle.loads(pickle.dumps(chain)))


# ---- the registries ----


def test_names_are_forgotten_and_listed() -> None:
    softplus()
    with sym.extensions():
        sym.register_function("other", abs, macro=True)
        reflect()
        sym.register(Sublattice)
        assert sym.available_function_names() == ["other", "softplus"]
        assert sym.available_update_names() == ["reflect"]
    assert sym.available_function_names() == ["softplus"]
    assert sym.available_update_names() == []
    assert sym.available_iterator_clause_names() == []


def test_a_name_is_taken_once() -> None:
    softplus()
    failure("D071", lambda: sym.register_function("softplus", abs))
    reflect()
    failure("D071", lambda: sym.register_update("reflect", sym.flip))
    replaced = sym.register_function("softplus", abs, macro=True, replace=True)
    assert sym.function("softplus") is replaced


def test_unknown_names() -> None:
    softplus()
    error = failure("D072", lambda: sym.function("softmin"))
    assert error.expected == "'softplus'"
    failure("D072", lambda: sym.update("reflect", "i"))


def test_bad_registrations() -> None:
    register: Any = sym.register_function
    for name in ("no name", "class", "_hidden", "exp", 3):
        failure("D070", lambda name=name: register(name, abs))
    failure("D070", lambda: register("f", 3))
    failure("D070", lambda: register("f", abs, reference=3))
    failure("D070", lambda: register("f", abs, arity=0))
    failure("D070", lambda: register("f", abs, arity=True))
    failure("D070", lambda: register("f", abs, result="int"))
    failure("D070", lambda: sym.register_update("write", sym.flip))
    failure("D070", lambda: sym.register_update("steps", sym.flip))
    failure("D070", lambda: sym.register_update("put", sym.flip, values=-1))
    assert sym.available_function_names() == []


def test_wrong_calls() -> None:
    failure("D073", lambda: softplus()(1, 2))
    label: Any = "i"
    failure("D015", lambda: softplus()(label))
    failure("D073", lambda: reflect()("i", "j"))
    no_update: Any = lambda i: 3  # noqa: E731
    wrong = sym.register_update("wrong", no_update)
    failure("D073", lambda: wrong("i"))


# ---- identity ----


def test_the_fingerprint_covers_the_body() -> None:
    def of(body: Callable[..., Any]) -> str:
        f = sym.register_function("f", body, replace=True)
        return operator(f(x_i.value)).to_ir().static_fingerprint()

    assert of(lambda x: jnp.tanh(x)) == of(jnp.tanh)
    assert of(jnp.tanh) != of(jnp.sin)
    assert of(lambda x: 2.0 * x) != of(lambda x: 3.0 * x)


PROGRAM = """
import jax, symir as sym
f = sym.register_function("f", jax.nn.softplus)
op = sym.DOperator(sym.qubit(2), "op").for_each_site("i")
print(op.emit(amplitude=f(sym.site("i").value)).build().to_ir().static_fingerprint())
"""


def test_the_fingerprint_is_the_same_in_every_process() -> None:
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM],
        capture_output=True,
        text=True,
        cwd=ROOT,
        check=True,
    )
    built = sym.DOperator(sym.qubit(2), "op").for_each_site("i")
    ir = built.emit(amplitude=softplus()(x_i.value)).build().to_ir()
    assert done.stdout.strip() == ir.static_fingerprint()


def test_without_jax() -> None:
    program = """
import symir as sym
x = sym.site("i").value
square = sym.register_function("sq", lambda a: a * a, macro=True, reference=abs)
sym.register_function("sq", lambda a: a * a, macro=True, replace=True,
                      reference=lambda a: a * a)
report = str(sym.check_extension("sq"))
assert "JAX is not installed" in report and "interpreter" in report
traced = sym.register_function("traced", lambda a: a)
op = sym.DOperator(sym.qubit(2), "op").for_each_site("i").emit(amplitude=traced(x))
op.build().to_ir()
"""
    result = run(BLOCKED + program)
    assert "[D074] the function traced is traced by JAX" in result.stderr
    assert "operator 'op', term 'term0'" in result.stderr
    assert result.returncode == 1


# ---- iterators ----


class Sublattice(sym.AbstractIteratorClause):
    """Every other site with the next of its kind."""

    clause_name = "for_each_sublattice"

    def build_iterator(
        self, hilbert: Any, /, a: str = "i", b: str = "j", start: int = 0
    ) -> tuple[Any, Any]:
        n = hilbert.size
        return (a, b), [(s, (s + 2) % n) for s in range(start, n, 2)]

    def reference_rows(
        self, hilbert: Any, /, a: str = "i", b: str = "j", start: int = 0
    ) -> Any:
        pairs = itertools.product(range(hilbert.size), repeat=2)
        return [
            (s, t)
            for s, t in pairs
            if s % 2 == start and (t - s - 2) % hilbert.size == 0
        ]


# ---- the check ----


def check(
    extension: Any, dtypes: tuple[str, ...] = ("float64",), **options: Any
) -> sym.ExtensionReport:
    return sym.check_extension(extension, dtypes=dtypes, **options)


def test_the_report_says_what_was_checked() -> None:
    softplus()
    report = check("softplus", dtypes=("complex64",))
    assert (report.name, report.kind) == ("softplus", "function")
    assert report.configurations == 9
    assert report.skipped == ()
    assert [check.partition(":")[0] for check in report.checks] == [
        *["complex64"] * 3,
        "a reference that was spoiled is seen",
        "no dtype",
    ]
    assert "ok       complex64: the compiled kernel, x of int8" in str(report)


def test_functions_of_real_numbers_say_so() -> None:
    f = sym.register_function(
        "f", lambda x: jnp.clip(x, 0, 1), reference=lambda x: np.clip(x, 0, 1)
    )
    (skipped,) = check(f).skipped
    assert skipped.startswith("complex arguments: [D075]")


def test_a_complex_function_needs_a_complex_operator() -> None:
    phase = sym.register_function(
        "phase",
        lambda r: jnp.exp(1j * r),
        result="complex",
        reference=lambda r: np.exp(1j * r),
    )
    report = check(phase, dtypes=("float64", "complex128"))
    assert not any("float64:" in line for line in report.checks)
    failure("C020", lambda: check(phase))


@pytest.mark.parametrize(
    ("reference", "what"),
    [
        (lambda x: np.logaddexp(x, 0) + 1e-6, "branch 0 of x = [-1, -1]"),
        (lambda x: np.logaddexp(x, 0) if x < 1 else 2.0, "branch"),
        (lambda x: -np.logaddexp(x, 0), "branch 0"),
    ],
)
def test_a_wrong_reference_of_a_function(reference: Any, what: str) -> None:
    f = sym.register_function("f", jax.nn.softplus, reference=reference)
    error = failure("C021", lambda: check(f))
    assert isinstance(error, SymbolicCompilerError)
    assert what in error.message
    assert "the reference interpreter" in error.message
    assert "matrix element" in error.message
    assert error.expected != error.found


def test_a_function_that_changes_is_found_out() -> None:
    calls = itertools.count(1.0)
    f = sym.register_function("f", lambda x: x * next(calls), reference=lambda x: x)
    error = failure("C021", lambda: check(f))
    assert "made twice" in error.message


def test_a_check_that_cannot_fail_is_an_error() -> None:
    nan = sym.register_function("f", lambda x: x * jnp.nan, reference=lambda x: np.nan)
    failure("C022", lambda: check(nan))
    never = sym.register_update(
        "never", lambda i: sym.invalidate(), reference=lambda x, sites, values: None
    )
    failure("C022", lambda: check(never))


def test_updates_are_checked() -> None:
    reflect()
    assert check("reflect").configurations == 27
    placed = sym.register_update(
        "place",
        lambda i, j, v: sym.write(i, v).swap(i, j),
        sites=2,
        values=1,
        reference=np_place,
    )
    check(placed)
    everywhere = sym.register_update(
        "everywhere",
        lambda v: sym.write(0, v).write(1, v),
        sites=0,
        values=1,
        reference=lambda x, sites, values: np.array([*values, *values, *x[2:]]),
    )
    check(everywhere)


def np_place(x: Array, sites: tuple[int, ...], values: tuple[float, ...]) -> Array:
    i, j = sites
    x[i], x[j] = x[j], values[0]
    return x


def test_updates_that_give_up_or_leave_the_space() -> None:
    emptied = sym.register_update(
        "emptied",
        lambda i: sym.cond(sym.site(i) > 0, sym.shift(i, -1), sym.invalidate()),
        reference=lambda x, s, v: x - np.eye(len(x))[s[0]] if x[s[0]] > 0 else None,
    )
    check(emptied, space=sym.fock(2, 3))
    moved = sym.register_update(
        "moved",
        lambda i, j: sym.hop(i, j),
        sites=2,
        reference=lambda x, s, v: x + np.eye(len(x))[s[1]] - np.eye(len(x))[s[0]],
    )
    check(moved, space=sym.fock(2, 3, n_particles=2))


def test_a_wrong_reference_of_an_update() -> None:
    wrong = sym.register_update(
        "wrong", lambda i: sym.write(i, 0), reference=lambda x, sites, values: x
    )
    error = failure("C021", lambda: check(wrong))
    assert error.expected != error.found
    assert "x' of branch" in error.message
    assert (error.found or "").startswith("[0")
    short = sym.register_update(
        "short", lambda i: sym.write(i, 0), reference=lambda x, sites, values: x[:1]
    )
    failure("C020", lambda: check(short))


def test_iterators_are_checked() -> None:
    sym.register(Sublattice)
    check("for_each_sublattice")
    check(Sublattice, arguments=("a", "b"), options={"start": 1})

    class Wrong(Sublattice):
        """Rows in another order."""

        def reference_rows(self, hilbert: Any, /, *args: Any, **kwargs: Any) -> Any:
            return [(2, 0), (0, 2)]

    failure("C021", lambda: check(Wrong))


def test_what_cannot_be_checked() -> None:
    class Blind(Sublattice):
        """No reference."""

        def reference_rows(self, hilbert: Any, /, *args: Any, **kwargs: Any) -> Any:
            return None

    failure("C020", lambda: check(Blind))
    failure("C020", lambda: check("nothing"))
    failure("C020", lambda: check(3))
    failure("C020", lambda: check(sym.register_function("f", abs)))
    failure("C020", lambda: check(sym.register_update("g", sym.flip)))
    sym.register_update("f", sym.flip, reference=reflected)
    error = failure("C020", lambda: check("f"))
    assert "2 extensions" in (error.found or "")

    def raising(x: Any) -> Any:
        raise KeyError(x)

    broken = sym.register_function("h", jnp.tanh, reference=raising)
    error = failure("C020", lambda: check(broken))
    assert "KeyError" in (error.found or "")
    wide = sym.register_update("wide", sym.permute, sites=3, reference=reflected)
    failure("C020", lambda: check(wide, space=SPACE))
