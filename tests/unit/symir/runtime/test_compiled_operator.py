"""Compiled operators as citizens of JAX."""

from __future__ import annotations

import copy
import pickle
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import symir as sym
from symir.compiler import SymbolicCompiler
from symir.runtime import kernel as kernel_module

i, j = sym.site("i"), sym.site("j")


def tfim(n: int = 4, default: float | None = 1.0) -> sym.SymbolicOperator:
    return (
        sym.DOperator(sym.spin(0.5, n), "tfim", hermitian=True)
        .for_each(("i", "j"), over=[(k, (k + 1) % n) for k in range(n)])
        .emit(amplitude=i * j)
        .for_each_site("i")
        .emit(sym.write("i", -i.value), amplitude=-sym.symbol("h", default=default))
        .build()
    )


def test_what_it_is() -> None:
    operator = tfim()
    compiled = operator.compile()
    assert compiled.name == "tfim"
    assert compiled.hilbert is operator.hilbert
    assert compiled.max_conn_size == 8
    assert compiled.is_hermitian is True
    assert compiled.parameters == {"h": 1.0}
    assert repr(compiled) == (
        "CompiledOperator('tfim', dtype=float64, max_conn_size=8)"
    )


def test_inside_of_jit_as_constant_and_as_argument() -> None:
    compiled = tfim().compile()
    x = compiled.hilbert.random_states(3, 0)
    eager = compiled.get_conn_padded(x)
    constant = jax.jit(compiled.get_conn_padded)(x)
    argument = jax.jit(lambda op, x: op.get_conn_padded(x))(compiled, x)
    for result in (constant, argument):
        np.testing.assert_array_equal(result[0], eager[0])
        np.testing.assert_array_equal(result[1], eager[1])


def test_the_traced_operator_knows_its_static_facts() -> None:
    @jax.jit
    def facts(op: Any) -> jax.Array:
        assert isinstance(op.max_conn_size, int)
        assert op.is_hermitian
        return jnp.zeros(op.max_conn_size, op.dtype)

    assert facts(tfim().compile()).shape == (8,)


def test_vmap_over_configurations_and_parameters() -> None:
    compiled = tfim().compile()
    x = jnp.asarray(compiled.hilbert.random_states(6, 0)).reshape(2, 3, 4)
    xp, mels = jax.vmap(compiled.get_conn_padded, in_axes=1, out_axes=1)(x)
    expected = compiled.get_conn_padded(x)
    np.testing.assert_array_equal(xp, expected[0])
    np.testing.assert_array_equal(mels, expected[1])

    fields = jnp.array([0.5, 2.0])
    swept = jax.vmap(lambda h: compiled.replace(h=h).get_conn_padded(x)[1])(fields)
    for h, result in zip(fields, swept, strict=True):
        np.testing.assert_array_equal(
            result, compiled.replace(h=h).get_conn_padded(x)[1]
        )


def test_another_parameter_value_traces_nothing() -> None:
    traces = 0

    @jax.jit
    def total(op: Any, x: Any) -> jax.Array:
        nonlocal traces
        traces += 1
        return op.get_conn_padded(x)[1].sum()

    compiled = tfim().compile()
    x = compiled.hilbert.random_states(2, 0)
    totals = [float(total(compiled.replace(h=h), x)) for h in (0.0, 0.5, 1.0)]
    again = float(total(tfim().compile(cache=False).replace(h=1.0), x))
    assert traces == 1
    assert totals[0] - totals[1] == totals[1] - totals[2] == 4.0
    assert again == totals[2]


def test_one_kernel_per_batch_size_and_dtype(monkeypatch: pytest.MonkeyPatch) -> None:
    lowered: list[tuple[int, str]] = []
    original = kernel_module.lower_to_stablehlo

    def counting(module: Any, batch: int, state: str) -> Any:
        lowered.append((batch, state))
        return original(module, batch, state)

    monkeypatch.setattr(kernel_module, "lower_to_stablehlo", counting)
    compiled = tfim(5).compile(cache=False)
    x = compiled.hilbert.random_states(6, 0)
    for batch in (x, x, x.reshape(2, 3, 5), x[:2], x[0], x.astype(np.float32)):
        compiled.get_conn_padded(batch)
    assert lowered == [(6, "i8"), (2, "i8"), (1, "i8"), (6, "f32")]


def test_the_compiler_remembers() -> None:
    compiler = SymbolicCompiler()
    first = tfim().compile(compiler=compiler)
    assert tfim().compile(compiler=compiler) is first
    assert compiler.cache_size == 1
    tfim(default=2.0).compile(compiler=compiler)
    assert compiler.cache_size == 2
    assert tfim().compile(compiler=compiler, cache=False) is not first
    compiler.clear_cache()
    assert compiler.cache_size == 0


def test_equal_operators_keep_their_own_hilbert() -> None:
    nk = pytest.importorskip("netket")
    compiler = SymbolicCompiler()
    ours = tfim().compile(compiler=compiler)

    hilbert = nk.hilbert.Spin(0.5, 4)
    builder = sym.DOperator(hilbert, "tfim", hermitian=True)
    builder.for_each(("i", "j"), over=[(k, (k + 1) % 4) for k in range(4)])
    builder.emit(amplitude=i * j).for_each_site("i")
    builder.emit(sym.write("i", -i.value), amplitude=-sym.symbol("h", default=1.0))
    theirs = builder.build().compile(compiler=compiler)
    assert compiler.cache_size == 1
    assert theirs.hilbert is hilbert
    assert ours.hilbert == sym.spin(0.5, 4)


def test_a_missing_or_unknown_parameter_is_named() -> None:
    compiled = tfim(default=None).compile()
    x = np.ones(4, np.int8)
    with pytest.raises(sym.InputError, match="R004") as missing:
        compiled.get_conn_padded(x)
    assert "h" in str(missing.value)
    assert compiled.replace(h=2.0).get_conn_padded(x)[1].min() == -2.0
    with pytest.raises(sym.InputError, match="R003") as unknown:
        compiled.replace(J=1.0)
    assert "expected: h" in str(unknown.value)
    assert "symbol('J'" in str(unknown.value)


@pytest.mark.parametrize(
    ("x", "code", "words"),
    [
        (np.ones((2, 5), np.int8), "R001", ["(..., 4)", "(2, 5)"]),
        (np.ones((), np.int8), "R001", ["(..., 4)", "()"]),
        ([[1, 1], [1]], "R001", ["not an array"]),
        ("1111", "R001", ["not an array"]),
        (np.ones(4, np.complex64), "R002", ["complex64"]),
        (np.ones(4, np.uint8), "R002", ["uint8", "-1"]),
        (np.ones(4, np.bool_), "R002", ["bool", "-1"]),
    ],
)
def test_bad_configurations(x: Any, code: str, words: list[str]) -> None:
    with pytest.raises(sym.InputError, match=code) as error:
        tfim().compile().get_conn_padded(x)
    message = str(error.value)
    assert all(word in message for word in [*words, "tfim", __file__])


def test_the_kernel_is_inlined_into_the_program() -> None:
    compiled = tfim().compile()
    text = jax.jit(compiled.get_conn_padded).lower(np.ones((2, 4), np.int8)).as_text()
    assert "custom_call" not in text
    assert "func.func private @symir_" in text


@pytest.mark.parametrize("value", [np.ones(3), 1j, "a", None])
def test_a_parameter_is_one_number(value: Any) -> None:
    with pytest.raises(sym.InputError, match="R005") as error:
        tfim().compile().replace(h=value)
    assert "'h'" in str(error.value)


def test_leaves_that_were_cast_are_cast_back() -> None:
    compiled = tfim().compile()
    narrow = jax.tree.map(lambda leaf: leaf.astype("float32"), compiled)
    x = np.ones(4, np.int8)
    np.testing.assert_array_equal(
        narrow.get_conn_padded(x)[1], compiled.get_conn_padded(x)[1]
    )


def test_compiled_operators_pickle_and_copy() -> None:
    compiled = tfim().compile().replace(h=0.25)
    x = compiled.hilbert.random_states(3, 0)
    for twin in (pickle.loads(pickle.dumps(compiled)), copy.deepcopy(compiled)):
        assert twin.kernel == compiled.kernel
        np.testing.assert_array_equal(
            twin.get_conn_padded(x)[1], compiled.get_conn_padded(x)[1]
        )


def test_a_hilbert_with_a_strange_equality_compiles() -> None:
    class Strange:
        size = 2
        local_states = (0, 1)

        def __eq__(self, other: object) -> Any:
            return np.array([True, False])

        __hash__ = object.__hash__

    compiler = SymbolicCompiler()
    hilberts = [Strange(), Strange()]
    for hilbert in hilberts:
        operator = sym.DOperator(hilbert, "op").globally().emit().build()
        assert operator.compile(compiler=compiler).hilbert is hilbert
    assert compiler.cache_size == 1


def test_integers_that_jax_would_wrap_are_refused() -> None:
    with jax.enable_x64(False):
        with pytest.warns(sym.PrecisionWarning, match="C030"):
            compiled = tfim().compile(cache=False)
        with pytest.raises(sym.InputError, match="R002"):
            compiled.get_conn_padded(np.full(4, 2**32 + 1))
