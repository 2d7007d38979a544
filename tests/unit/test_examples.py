"""The examples: the models they claim to be, computed alike at every level."""

from __future__ import annotations

import runpy
import subprocess
import sys
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jax
import netket as nk
import numpy as np
import numpy.typing as npt
import pytest

import symir as sym
from dialects.interpreters.sym import connections, dense_matrix
from symir.operator.symbolic_operator import SymbolicOperator
from symir.tools.cli import main
from tests.unit.symir.interop.matrices import matrix_of_branches, states_of

ROOT = Path(__file__).parent.parent.parent
EXAMPLES = ROOT / "examples"

Array = npt.NDArray[Any]

# What NetKet's classes take is hidden by their metaclass
operators: Any = nk.operator


# ---- the models, as NetKet has them ----


def graph(bonds: Sequence[tuple[int, int]]) -> nk.graph.Graph:
    return nk.graph.Graph(edges=[*bonds])


def tfim(bonds: Sequence[tuple[int, int]], n: int) -> Any:
    hilbert = nk.hilbert.Spin(0.5, n)
    return operators.Ising(hilbert=hilbert, graph=graph(bonds), h=0.7, J=1.3)


def heisenberg(bonds: Sequence[tuple[int, int]], n: int) -> Any:
    hilbert = nk.hilbert.Spin(0.5, n)
    return operators.Heisenberg(hilbert, graph(bonds), J=1.3, sign_rule=False)


def bose_hubbard(bonds: Sequence[tuple[int, int]], n: int) -> Any:
    hilbert = nk.hilbert.Fock(3, n)
    return operators.BoseHubbard(
        hilbert=hilbert, graph=graph(bonds), U=2.5, J=1.3, mu=0.4
    )


def xxz(bonds: Sequence[tuple[int, int]], n: int) -> Any:
    hilbert = nk.hilbert.Spin(0.5, n)
    matrices = operators.spin
    x, y, z = matrices.sigmax, matrices.sigmay, matrices.sigmaz
    operator = operators.LocalOperator(hilbert, dtype=complex)
    for i, j in bonds:
        for pauli, strength in ((x, 1.3), (y, 1.3), (z, 1.3 * 0.6)):
            operator += strength * pauli(hilbert, i) @ pauli(hilbert, j)
    for i in range(n):
        operator += 0.4 * (-1) ** i * z(hilbert, i)
    return operator


@dataclass(frozen=True)
class Example:
    """An example: its file, a small and a large instance, and NetKet's operator."""

    file: str
    builtin: str
    small: dict[str, Any]
    large: dict[str, Any]
    bonds: str
    reference: Callable[[Sequence[tuple[int, int]], int], Any]

    @property
    def path(self) -> Path:
        return EXAMPLES / f"{self.file}.py"

    def build(self, arguments: dict[str, Any]) -> SymbolicOperator:
        return runpy.run_path(str(self.path))[self.file](**arguments)

    def netket(self) -> Any:
        """Return NetKet's operator on the small lattice."""
        sizes = [
            self.small[key] for key in ("n", "rows", "columns") if key in self.small
        ]
        bonds = runpy.run_path(str(self.path))[self.bonds](*sizes)
        undirected = sorted({(min(pair), max(pair)) for pair in bonds})
        return self.reference(undirected, int(np.prod(sizes)))


MODELS = [
    Example(
        "tfim_chain",
        "tfim",
        {"n": 6, "J": 1.3, "h": 0.7},
        {"n": 64},
        "chain",
        tfim,
    ),
    Example(
        "heisenberg_square",
        "heisenberg",
        {"rows": 2, "columns": 3, "J": 1.3},
        {"rows": 8, "columns": 8},
        "square",
        heisenberg,
    ),
    Example(
        "bose_hubbard_chain",
        "bose_hubbard",
        {"n": 4, "J": 1.3, "U": 2.5, "mu": 0.4},
        {"n": 64, "n_max": 5},
        "hops",
        bose_hubbard,
    ),
    Example(
        "xxz_staggered",
        "xxz",
        {"n": 6, "J": 1.3, "delta": 0.6, "h": 0.4},
        {"n": 64},
        "chain",
        xxz,
    ),
]

each_model = pytest.mark.parametrize("model", MODELS, ids=lambda model: model.file)


def test_every_example_is_tested() -> None:
    files = sorted(path.stem for path in EXAMPLES.glob("*.py"))
    assert files == sorted(model.file for model in MODELS)


# ---- the right operator ----


@each_model
def test_dense_matrix_is_netkets(model: Example) -> None:
    operator, reference = model.build(model.small), model.netket()
    states = states_of(reference.hilbert)
    number = {tuple(state): k for k, state in enumerate(states.tolist())}
    expected = matrix_of_branches(reference)

    interpreted = dense_matrix(operator.to_ir().module)
    order = [number[tuple(state)] for state in operator.space.all_states().tolist()]
    np.testing.assert_allclose(interpreted, expected[np.ix_(order, order)], atol=1e-12)

    with jax.enable_x64(True):
        xp, mels = operator.compile().get_conn_padded(states.astype(np.int8))
    compiled = np.zeros_like(expected)
    branches = zip(xp.tolist(), np.asarray(mels), strict=True)
    for row, (targets, elements) in enumerate(branches):
        columns = [number[tuple(target)] for target in targets]
        np.add.at(compiled[row], columns, elements)
    np.testing.assert_allclose(compiled, expected, atol=1e-12)


@each_model
def test_the_claim_to_be_hermitian_is_true(model: Example) -> None:
    operator = model.build(model.small)
    matrix = dense_matrix(operator.to_ir().module)
    assert operator.is_hermitian
    np.testing.assert_allclose(matrix, matrix.T.conj(), atol=1e-12)


@each_model
def test_default_sizes(model: Example) -> None:
    namespace = runpy.run_path(str(model.path))
    default = namespace[model.builtin]
    assert default.to_ir() == namespace[model.file]().to_ir()
    assert default.name == model.builtin


def test_square_lattice_has_each_bond_once() -> None:
    square = runpy.run_path(str(EXAMPLES / "heisenberg_square.py"))["square"]
    assert len(square(4, 4)) == len(set(square(4, 4))) == 32
    assert sorted(square(2, 2)) == [(0, 1), (0, 2), (1, 3), (2, 3)]
    assert square(1, 3) == [(0, 1), (1, 2), (0, 2)]
    assert square(1, 1) == []


# ---- the same branches as the reference interpreter ----

DTYPES = ("int8", "int32", "int64", "float32", "float64")


def check_branches(operator: SymbolicOperator, x: Array, tolerance: float) -> None:
    """Compare compiled branches with interpreted ones, lane by lane."""
    xp, mels = operator.compile().get_conn_padded(x)
    expected_xp, expected_mels = connections(operator.to_ir().module, x)
    assert xp.shape == (*x.shape[:-1], operator.max_conn_size, x.shape[-1])
    assert mels.shape == xp.shape[:-1]
    np.testing.assert_array_equal(np.asarray(xp), expected_xp)
    np.testing.assert_allclose(
        np.asarray(mels), expected_mels, rtol=tolerance, atol=tolerance
    )


def check_dtypes(operator: SymbolicOperator, x: Array) -> None:
    """Compare dtypes with those that JAX gives the same arrays now."""
    xp, mels = operator.compile().get_conn_padded(x)
    assert xp.dtype == jax.numpy.asarray(x).dtype
    assert mels.dtype == jax.numpy.zeros((), float).dtype


@each_model
def test_all_configurations_of_a_small_lattice(model: Example) -> None:
    operator = model.build(model.small)
    with jax.enable_x64(True):
        check_branches(operator, operator.space.all_states(), 1e-12)


@each_model
def test_all_configurations_in_single_precision(model: Example) -> None:
    operator = model.build(model.small)
    with jax.enable_x64(False), pytest.warns(sym.PrecisionWarning):
        check_branches(operator, operator.space.all_states(), 1e-5)


@each_model
def test_random_configurations_of_a_large_lattice(model: Example) -> None:
    operator = model.build(model.large)
    with jax.enable_x64(True):
        check_branches(operator, operator.space.random_states(4, 11), 1e-12)


@pytest.mark.parametrize(
    ("model", "x64", "dtype"),
    [
        pytest.param(model, x64, dtype, id=f"{model.file}-{dtype}-x{32 << x64}")
        for model in MODELS
        for x64 in (True, False)
        for dtype in DTYPES
        # In single precision dtypes of samples are narrowed for every model alike
        if x64 or dtype in ("int8", "float32") or model.file == "bose_hubbard_chain"
    ],
)
def test_shapes_and_dtypes(model: Example, dtype: str, x64: bool) -> None:
    operator = model.build(model.small)
    x = operator.space.random_states(6, 5, dtype)
    tolerance = 1e-12 if x64 else 1e-5
    warned = nullcontext() if x64 else pytest.warns(sym.PrecisionWarning)
    with jax.enable_x64(x64), warned:
        # The shape of samples has nothing to do with their dtype
        others = (x[0], x[:0], x.reshape(2, 3, -1)) if dtype == "int8" else ()
        for batch in (x, *others):
            check_branches(operator, batch, tolerance)
            check_dtypes(operator, batch)


# ---- extensions ----

EXTENSIONS = sorted((EXAMPLES / "extensions").glob("*.py"))
EXTENDED = {
    "gaussian_coupling": "gaussian_chain",
    "next_nearest": "frustrated_chain",
    "ring_exchange": "ring_exchange",
}


def gaussian_chain(n: int) -> Any:
    sites, matrices = nk.hilbert.Spin(0.5, n), operators.spin
    operator = operators.LocalOperator(sites)
    for j in range(n):
        operator -= matrices.sigmax(sites, j)
        for i in range(j):
            zz = matrices.sigmaz(sites, i) @ matrices.sigmaz(sites, j)
            operator += np.exp(-((j - i) ** 2) / 4) * zz
    return operator


def frustrated_chain(n: int) -> Any:
    sites, matrices = nk.hilbert.Spin(0.5, n), operators.spin
    operator = operators.LocalOperator(sites)
    for i in range(n):
        operator -= matrices.sigmax(sites, i)
        for distance, coupling in ((1, 1.0), (2, 0.5)):
            j = (i + distance) % n
            zz = matrices.sigmaz(sites, i) @ matrices.sigmaz(sites, j)
            operator += coupling * zz
    return operator


def test_every_example_of_an_extension_is_tested() -> None:
    assert [path.stem for path in EXTENSIONS] == sorted(EXTENDED)


@pytest.mark.parametrize("path", EXTENSIONS, ids=lambda path: path.stem)
def test_extensions_run_as_scripts(
    path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with sym.extensions():
        runpy.run_path(str(path), run_name="__main__")
    printed = capsys.readouterr().out
    assert printed.count("the compiled kernel") == 5
    _, shown = printed.split("a reference that was spoiled is seen")
    assert EXTENDED[path.stem].removesuffix("_chain") in shown


@pytest.mark.parametrize("reference", [gaussian_chain, frustrated_chain])
def test_extended_models_are_netkets(reference: Callable[[int], Any]) -> None:
    (file,) = (key for key, name in EXTENDED.items() if name == reference.__name__)
    with sym.extensions():
        namespace = runpy.run_path(str(EXAMPLES / "extensions" / f"{file}.py"))
        operator = namespace[reference.__name__](n=5)
    netket = reference(5)
    states = states_of(netket.hilbert)
    number = {tuple(state): k for k, state in enumerate(states.tolist())}
    order = [number[tuple(state)] for state in operator.space.all_states().tolist()]
    expected = matrix_of_branches(netket)[np.ix_(order, order)]
    interpreted = dense_matrix(operator.to_ir().module)
    np.testing.assert_allclose(interpreted, expected, atol=1e-12)


def test_ring_exchange_turns_every_plaquette_both_ways() -> None:
    path = EXAMPLES / "extensions" / "ring_exchange.py"
    with sym.extensions():
        operator = runpy.run_path(str(path))["ring_exchange"]()
    x = operator.space.random_states(8, 3)
    xp, mels = connections(operator.to_ir().module, x)
    steps = ((0, 0), (0, 1), (1, 1), (1, 0))
    corners = [
        [3 * ((a + da) % 3) + (b + db) % 3 for da, db in steps]
        for a in range(3)
        for b in range(3)
    ]
    assert (mels == 1).all()
    for state, targets in zip(x, xp, strict=True):
        expected: list[tuple[int, ...]] = []
        for plaquette in corners:
            for turn in (1, -1):
                turned = state.copy()
                turned[plaquette] = np.roll(state[plaquette], turn)
                expected.append(tuple(turned.tolist()))
        assert sorted(map(tuple, targets.tolist())) == sorted(expected)


# ---- the tools accept them ----


@each_model
def test_symir_run_accepts_it(
    model: Example, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    output = tmp_path / "out.npz"
    arguments = ["--random", "5", "--seed", "3", "--output", str(output)]
    with jax.enable_x64(True):
        assert main(["run", str(model.path), *arguments]) == 0
    operator = model.build({})
    with np.load(output) as found:
        xp, mels = connections(operator.to_ir().module, found["x"])
        np.testing.assert_array_equal(found["xp"], xp)
        np.testing.assert_allclose(found["mels"], mels, atol=1e-12)
        assert found["term"].shape == (operator.max_conn_size,)
    printed = capsys.readouterr()
    assert operator.name in printed.out


def test_examples_need_no_jax_up_to_stablehlo() -> None:
    script = (
        "import sys\n"
        "sys.modules.update(jax=None, jaxlib=None, netket=None)\n"
        "from symir.tools.cli import main\n"
        "for level in ('sym', 'bt', 'stablehlo'):\n"
        "    for path in sys.argv[1:]:\n"
        "        print('case:', level)\n"
        "        assert main(['emit', path, '--level', level]) == 0\n"
    )
    paths = [str(model.path) for model in MODELS]
    done = subprocess.run(
        [sys.executable, "-c", script, *paths],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    _, *printed = done.stdout.split("case: ")
    cases = [(level, m) for level in ("sym", "bt", "stablehlo") for m in MODELS]
    for (level, model), text in zip(cases, printed, strict=True):
        assert text.startswith(f"{level}\n")
        assert f"@{model.builtin}(" in text
