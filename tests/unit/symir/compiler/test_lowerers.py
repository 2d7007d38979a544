"""Lowerers: how one is chosen, and the one that needs no JAX."""

from __future__ import annotations

from typing import Any

import netket as nk
import numpy as np
import pytest

import symir as sym
from symir.compiler import JAXSymbolicLowerer, ReferenceSymbolicLowerer
from symir.compiler.reference import ReferenceOperator
from tests.unit.symir.compiler.doubles import NotingLowerer, field
from tests.unit.symir.constructs import CONSTRUCTS
from tests.unit.symir.test_without_jax import BLOCKED, run


def reference(operator: sym.SymbolicOperator) -> ReferenceOperator:
    compiled = sym.SymbolicCompiler().compile_operator(
        operator, {"backend_preference": "reference"}
    )
    assert isinstance(compiled, ReferenceOperator)
    return compiled


# region The registry


def test_lowerers_are_asked_in_order() -> None:
    registry = sym.default_symbolic_lowerer_registry()
    registry.register(NotingLowerer([]))
    assert registry.names == ("jax_symbolic_v1", "reference_v1", "noting_lowerer")
    first = sym.default_symbolic_lowerer_registry()
    first.register_first(NotingLowerer([]))
    assert first.names == ("noting_lowerer", "jax_symbolic_v1", "reference_v1")
    behind = sym.SymbolicCompiler(lowerer_registry=registry).compile(field())
    in_front = sym.SymbolicCompiler(lowerer_registry=first).compile(field())
    assert behind.lowerer_name == "jax_symbolic_v1"
    assert in_front.lowerer_name == "noting_lowerer"


@pytest.mark.parametrize("wrong", [JAXSymbolicLowerer(), JAXSymbolicLowerer, "jax"])
@pytest.mark.parametrize("how", ["register", "register_first"])
def test_what_is_no_new_lowerer(wrong: Any, how: str) -> None:
    registry = sym.default_symbolic_lowerer_registry()
    with pytest.raises(sym.SymbolicCompilerError, match="C012"):
        getattr(registry, how)(wrong)
    assert registry.names == ("jax_symbolic_v1", "reference_v1")


def test_a_registry_without_the_backend() -> None:
    registry = sym.SymbolicLowererRegistry([ReferenceSymbolicLowerer()])
    compiler = sym.SymbolicCompiler(lowerer_registry=registry)
    with pytest.raises(sym.SymbolicCompilerError, match="C013") as error:
        compiler.compile(field())
    assert error.value.found == "reference_v1"
    artifact = compiler.compile(field(), {"backend_preference": "reference"})
    assert (artifact.backend, artifact.lowerer_name) == ("reference", "reference_v1")


# endregion
# region The reference


@pytest.mark.parametrize("name", list(CONSTRUCTS)[::6])
def test_the_reference_is_what_the_kernel_computes(name: str) -> None:
    operator = CONSTRUCTS[name](3)
    x = operator.space.random_states(4, 0)
    compiled: Any = operator.compile()
    expected_states, expected = compiled.get_conn_padded(x)
    states, elements = reference(operator).get_conn_padded(x)
    assert (states == np.asarray(expected_states)).all()
    assert states.dtype == x.dtype
    assert elements.dtype == operator.dtype
    np.testing.assert_allclose(elements, np.asarray(expected), rtol=1e-12)


def test_it_looks_like_a_compiled_operator() -> None:
    operator = field(hermitian=True)
    ours, theirs = reference(operator), operator.compile()
    for name in ("name", "dtype", "max_conn_size", "is_hermitian", "hilbert"):
        assert getattr(ours, name) == getattr(theirs, name)
    assert ours.parameters == {"h": 0.5}
    for shape in ((4,), (0, 4), (2, 3, 4)):
        states, elements = ours.get_conn_padded(np.ones(shape, np.int8))
        expected, amplitudes = theirs.get_conn_padded(np.ones(shape, np.int8))
        assert (states.shape, elements.shape) == (expected.shape, amplitudes.shape)


def test_parameters_are_replaced() -> None:
    one = reference(field())
    other = one.replace(h=2.0)
    x = np.ones(4, np.int8)
    assert one.get_conn_padded(x)[1][3:].tolist() == [-0.5] * 4
    assert other.get_conn_padded(x)[1][3:].tolist() == [-2.0] * 4
    assert other.hilbert is one.hilbert
    with pytest.raises(sym.InputError, match="R003") as error:
        one.replace(J=1.0)
    assert (error.value.expected, error.value.found) == ("h", "J")


def test_a_parameter_without_a_value() -> None:
    b = sym.DOperator(sym.qubit(2), "op").globally()
    compiled = reference(b.emit(amplitude=sym.symbol("g")).build())
    with pytest.raises(sym.InputError, match="R001") as error:
        compiled.get_conn_padded(np.zeros(2, np.int8))
    assert "g" in str(error.value.found)
    elements = compiled.replace(g=3.0).get_conn_padded(np.zeros(2, np.int8))[1]
    assert elements.tolist() == [3.0]


def test_the_space_of_the_user_is_kept() -> None:
    compiler = sym.SymbolicCompiler(
        options=sym.SymbolicCompilerOptions(backend_preference="reference")
    )
    hilbert = nk.hilbert.Qubit(2)
    spaces: list[Any] = [hilbert, sym.qubit(2), nk.hilbert.Qubit(2)]
    for space in spaces:
        operator = sym.DOperator(space, "op").globally().emit().build()
        assert compiler.compile_operator(operator).hilbert is space
    assert compiler.cache_size == 1


@pytest.mark.parametrize("wrong", [np.ones(3, np.int8), np.ones((2, 5)), 1])
def test_a_configuration_of_another_shape(wrong: Any) -> None:
    with pytest.raises(sym.InputError, match="R001") as error:
        reference(field()).get_conn_padded(wrong)
    assert error.value.operator == "field"


def test_it_has_the_levels_as_any_artifact() -> None:
    options = {"backend_preference": "reference"}
    artifact = sym.SymbolicCompiler().compile(field(), options)
    assert artifact.branch_tensors is None
    plain = sym.SymbolicCompiler().compile(field(), {"enable_fusion": False})
    for level in ("sym", "bt", "stablehlo"):
        assert artifact.ir(level) == plain.ir(level)


def test_it_needs_no_jax() -> None:
    program = """
import numpy as np
import symir as sym

op = (
    sym.DOperator(sym.fock(2, 3), "op")
    .for_each_site("i")
    .where(sym.site("i") > 0)
    .emit(sym.shift("i", -1), amplitude=sym.symbol("g", 2.0))
    .build()
)
compiled = op.compile(backend_preference="reference")
xp, mels = compiled.replace(g=3.0).get_conn_padded(np.array([0, 1, 2], np.int8))
assert xp.tolist() == [[0, 1, 2], [0, 0, 2], [0, 1, 1]]
print(mels.tolist())
"""
    result = run(BLOCKED + program)
    assert result.returncode == 0, result.stderr
    assert result.stdout == "[0.0, 3.0, 3.0]\n"


# endregion
