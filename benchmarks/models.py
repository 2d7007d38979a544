# pyright: basic, reportCallIssue=false, reportArgumentType=false
"""The models of the benchmarks, in symir's language and in that of each peer.

`MODELS[name]()` prepares what a model is made of: bonds, strings, integrals. What is
timed starts after that, with the `make` of a contender: from its data to an operator
that is ready to be called.
"""

from __future__ import annotations

import itertools
import warnings
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial, reduce
from typing import Any, TypeAlias

import jax.numpy as jnp
import netket as nk
import netket.experimental as nkx
import numpy as np

import symir as sym
from benchmarks import imports
from symir import models as catalogue

nkdsl: Any = None
with suppress(ImportError):
    import nkdsl  # pyright: ignore[reportMissingImports]

__all__ = ["MODELS", "Model", "Peer", "chain", "square_lattice"]

Bonds: TypeAlias = list[tuple[int, int]]

# NetKet advises another implementation: that is measured, too.
warnings.filterwarnings("ignore", r"\s*WARNING: Initializing", UserWarning)


@dataclass(frozen=True)
class Peer:
    """A contender.

    Attributes:
        make: returns an operator with `get_conn_padded`, or a function of x.
        translate: returns the peer's configurations and the signs of its basis states
            for configurations of symir's, where they are not the same.
    """

    make: Callable[[], Any]
    translate: Callable[[Any], tuple[Any, Any]] | None = None


@dataclass(frozen=True)
class Model:
    """A model in symir's language and as each peer has it.

    Attributes:
        define: returns symir's operator.
        peers: the contenders.
        samples: returns a number of configurations, int8 of shape (number, sites).
        batch: how many samples a call takes.
        absent: why a contender that one could expect is not there.
    """

    define: Callable[[], sym.SymbolicOperator]
    peers: dict[str, Callable[[], Any] | Peer]
    samples: Callable[[int], Any]
    batch: int = 1024
    absent: dict[str, str] = field(default_factory=dict)


# region Lattices, samples, strings


def square_lattice(length: int, *steps: tuple[int, int]) -> Bonds:
    """Return the bonds of a periodic square lattice: to the right and down, or `steps`.

    Each bond is there once.
    """
    sites = np.arange(length * length).reshape(length, length)
    bonds: Bonds = []
    for step in steps or ((0, 1), (1, 0)):
        other = np.roll(sites, (-step[0], -step[1]), axis=(0, 1))
        bonds += zip(sites.ravel().tolist(), other.ravel().tolist(), strict=True)
    return bonds


def chain(length: int) -> Bonds:
    """Return the bonds of a periodic chain."""
    return [(i, (i + 1) % length) for i in range(length)]


def random_states(space: Any, count: int) -> Any:
    """Return random configurations of a space of symir's."""
    return space.random_states(count, 0, dtype=np.int8)


def random_orders(config: list[int], count: int) -> Any:
    """Return random permutations of one configuration."""
    rng = np.random.default_rng(0)
    return rng.permuted(np.tile(np.array(config, np.int8), (count, 1)), axis=1)


def peaked_states(
    orbitals: int, electrons: tuple[int, int], decay: float, count: int
) -> Any:
    """Return configurations of electrons, of each spin with the lowest orbitals mostly.

    An orbital is occupied exp(-decay) times as often as the one below.
    """
    rng, spins = np.random.default_rng(0), []
    for number in electrons:
        chosen = np.array(list(itertools.combinations(range(orbitals), number)))
        weights = np.exp(-decay * (chosen.sum(axis=1) - chosen[0].sum()))
        drawn = rng.choice(len(chosen), count, p=weights / weights.sum())
        spins.append(np.eye(orbitals, dtype=np.int8)[chosen[drawn]].sum(axis=1))
    return np.concatenate(spins, axis=1).astype(np.int8)


def pauli(n: int, **letters: Any) -> str:
    """Return a string with the given letter on the given sites: pauli(4, Z=(0, 1))."""
    string = ["I"] * n
    for letter, sites in letters.items():
        for site in sites:
            string[site] = letter
    return "".join(string)


def pauli_sum(space: Callable[[], Any], terms: dict[str, float]) -> Callable[[], Any]:
    """Return what makes NetKet's sum of Pauli strings."""
    strings, weights = list(terms), list(terms.values())
    return lambda: nk.operator.PauliStringsJax(space(), strings, weights)


def exchange(n: int, i: int, j: int) -> list[str]:
    """Return the strings of sigma_i . sigma_j."""
    return [pauli(n, **{letter: (i, j)}) for letter in "XYZ"]


# endregion
# region nkDSL

Define: TypeAlias = Callable[[Any], Any]
"""Adds the terms of a model to an empty operator of nkDSL's."""


def in_nkdsl(space: Callable[[], Any], define: Define) -> dict[str, Callable[[], Any]]:
    """Return nkDSL's contenders, if it is installed: as it is, and without merging."""
    if nkdsl is None:
        return {}

    def make(**options: Any) -> Any:
        empty = nkdsl.SymbolicDiscreteJaxOperator(space(), "model", hermitian=True)
        return define(empty).build().compile(**options)

    raw = partial(make, deduplicate_connected_components=False)
    return {"nkDSL": make, "nkDSL raw": raw}


def nkdsl_flip(*labels: str) -> Any:
    """Return an update that negates spins."""
    update = nkdsl.Update()
    for label in labels:
        update = update.write(label, -nkdsl.site(label).value)
    return update


NO_RANGE = "has no sum over a range of sites, which a fermion's sign needs"
NO_DATA = "has no data per row: it would need a term for each string"

# endregion
# region Spins


def tfim(length: int) -> Model:
    """sum_<ij> Z_i Z_j - h sum_i X_i on a periodic square lattice."""
    n, h, bonds = length**2, 0.7, square_lattice(length)
    spins = partial(nk.hilbert.Spin, 0.5, n)

    def ising() -> Any:
        graph = nk.graph.Grid([length, length], pbc=True)
        return nk.operator.IsingJax(spins(), graph, h=h, J=1)

    def local() -> Any:
        graph = nk.graph.Grid([length, length], pbc=True)
        return nk.operator.Ising(spins(), graph, h=h, J=1).to_local_operator()

    def kernel() -> Any:
        i, j = np.array(bonds).T
        signs = np.ones((n + 1, n), np.int8)
        signs[np.arange(n) + 1, np.arange(n)] = -1

        def get_conn_padded(x: Any) -> Any:
            diagonal = jnp.sum(x[:, i] * x[:, j], axis=-1, keepdims=True, dtype=float)
            flips = jnp.full((len(x), n), -h)
            return x[:, None, :] * signs, jnp.concatenate([diagonal, flips], axis=1)

        return get_conn_padded

    def dsl(empty: Any) -> Any:
        i, j = nkdsl.site("i").value, nkdsl.site("j").value
        return (
            empty.for_each(("i", "j"), over=bonds)
            .emit(matrix_element=i * j)
            .for_each_site("i")
            .emit(nkdsl_flip("i"), matrix_element=-h)
        )

    strings = {pauli(n, Z=bond): 1.0 for bond in bonds}
    strings |= {pauli(n, X=(i,)): -h for i in range(n)}
    return Model(
        lambda: catalogue.transverse_field_ising(n, bonds, h=h),
        {
            "netket IsingJax": ising,
            "netket PauliStringsJax": pauli_sum(spins, strings),
            "netket LocalOperatorJax": lambda: local().to_jax_operator(),
            **in_nkdsl(spins, dsl),
            "hand-written": kernel,
        },
        partial(random_states, sym.spin(0.5, n)),
    )


def nkdsl_heisenberg(couplings: list[tuple[float, Bonds]], empty: Any) -> Any:
    """sum_b J_b sum_<ij> sigma_i . sigma_j in nkDSL."""
    i, j = nkdsl.site("i").value, nkdsl.site("j").value
    for J, bonds in couplings:
        empty = empty.for_each(("i", "j"), over=bonds).emit(matrix_element=J * (i * j))
        empty = empty.for_each(("i", "j"), over=bonds).where(i * j == -1)
        empty = empty.emit(nkdsl.swap("i", "j"), matrix_element=2.0 * J)
    return empty


def heisenberg(length: int) -> Model:
    """sum_<ij> sigma_i . sigma_j on a periodic square lattice."""
    n, bonds = length**2, square_lattice(length)
    spins = partial(nk.hilbert.Spin, 0.5, n)

    def local() -> Any:
        graph = nk.graph.Grid([length, length], pbc=True)
        return nk.operator.Heisenberg(spins(), graph, sign_rule=False)

    def kernel() -> Any:
        i, j = np.array(bonds).T
        mask = np.zeros((len(bonds), n), bool)
        for e, bond in enumerate(bonds):
            mask[e, bond] = True

        def get_conn_padded(x: Any) -> Any:
            product = x[:, i] * x[:, j]
            opposite = product < 0
            flipped = mask & opposite[..., None]
            xp = jnp.where(flipped, -x[:, None, :], x[:, None, :])
            diagonal = jnp.sum(product, axis=-1, keepdims=True, dtype=float)
            xp = jnp.concatenate([x[:, None, :], xp], axis=1)
            return xp, jnp.concatenate([diagonal, 2.0 * opposite], axis=1)

        return get_conn_padded

    strings = {string: 1.0 for bond in bonds for string in exchange(n, *bond)}
    return Model(
        lambda: catalogue.heisenberg(n, bonds),
        {
            "netket PauliStringsJax": pauli_sum(spins, strings),
            "netket LocalOperatorJax": lambda: local().to_jax_operator(),
            **in_nkdsl(spins, partial(nkdsl_heisenberg, [(1.0, bonds)])),
            "hand-written": kernel,
        },
        partial(random_states, sym.spin(0.5, n)),
    )


def j1_j2(length: int) -> Model:
    """sum_<ij> sigma_i . sigma_j + J2 sum_<<ij>> sigma_i . sigma_j."""
    n, J2 = length**2, 0.5
    near, far = square_lattice(length), square_lattice(length, (1, 1), (1, -1))
    spins = partial(nk.hilbert.Spin, 0.5, n)

    def local() -> Any:
        edges = [(*bond, 0) for bond in near] + [(*bond, 1) for bond in far]
        graph = nk.graph.Graph(edges=edges)
        signs = [False, False]
        return nk.operator.Heisenberg(spins(), graph, J=[1.0, J2], sign_rule=signs)

    strings = {string: 1.0 for bond in near for string in exchange(n, *bond)}
    strings |= {string: J2 for bond in far for string in exchange(n, *bond)}
    return Model(
        lambda: catalogue.j1_j2(n, (near, far), J2=J2),
        {
            "netket PauliStringsJax": pauli_sum(spins, strings),
            "netket LocalOperatorJax": lambda: local().to_jax_operator(),
            **in_nkdsl(spins, partial(nkdsl_heisenberg, [(1.0, near), (J2, far)])),
        },
        partial(random_states, sym.spin(0.5, n)),
    )


def long_range_ising(n: int) -> Model:
    """sum_(i<j) Z_i Z_j / |i - j|^3 - sum_i X_i on an open chain."""
    alpha, pairs = 3.0, list(itertools.combinations(range(n), 2))
    spins = partial(nk.hilbert.Spin, 0.5, n)

    def dsl(empty: Any) -> Any:
        i, j = nkdsl.site("i"), nkdsl.site("j")
        distance = 1.0 * (j.index - i.index)
        return (
            empty.for_each(("i", "j"), over=pairs)
            .emit(matrix_element=i.value * j.value / distance.pow(alpha))
            .for_each_site("i")
            .emit(nkdsl_flip("i"), matrix_element=-1.0)
        )

    strings = {pauli(n, Z=(i, j)): (j - i) ** -alpha for i, j in pairs}
    strings |= {pauli(n, X=(i,)): -1.0 for i in range(n)}
    return Model(
        lambda: catalogue.long_range_ising(n, alpha),
        {
            "netket PauliStringsJax": pauli_sum(spins, strings),
            **in_nkdsl(spins, dsl),
        },
        partial(random_states, sym.spin(0.5, n)),
        absent={"netket IsingJax": "has one coupling for all bonds"},
    )


X, Z = np.array([[0.0, 1.0], [1.0, 0.0]]), np.diag([1.0, -1.0])


def _power(matrix: Any, exponent: int) -> Any:
    return reduce(np.kron, [matrix] * exponent)


def toric_code(length: int) -> Model:
    """-sum_v XXXX - sum_p ZZZZ on the links of a periodic square lattice."""
    shape = (length, length)
    stars, plaquettes = catalogue.stars(shape), catalogue.plaquettes(shape)
    n = 2 * length**2
    spins = partial(nk.hilbert.Spin, 0.5, n)

    def dsl(empty: Any) -> Any:
        a, b, c, d = (nkdsl.site(label).value for label in "abcd")
        return (
            empty.for_each(tuple("abcd"), over=stars)
            .emit(nkdsl_flip(*"abcd"), matrix_element=-1.0)
            .for_each(tuple("abcd"), over=plaquettes)
            .emit(matrix_element=-1.0 * (a * b * c * d))
        )

    def local() -> Any:
        matrices = [-_power(X, 4)] * len(stars) + [-_power(Z, 4)] * len(plaquettes)
        sites = [list(links) for links in (*stars, *plaquettes)]
        return nk.operator.LocalOperatorJax(spins(), matrices, sites)

    strings = {pauli(n, X=links): -1.0 for links in stars}
    strings |= {pauli(n, Z=links): -1.0 for links in plaquettes}
    return Model(
        lambda: catalogue.toric_code(n, shape),
        {
            "netket PauliStringsJax": pauli_sum(spins, strings),
            "netket LocalOperatorJax": local,
            **in_nkdsl(spins, dsl),
        },
        partial(random_states, sym.spin(0.5, n)),
    )


def pxp(length: int) -> Model:
    """sum_i X_i prod_(j next to i) (1 - n_j) on a periodic square lattice."""
    n, bonds = length**2, square_lattice(length)
    qubits = partial(nk.hilbert.Qubit, n)
    steps = ((0, 0), (0, 1), (1, 0), (0, -1), (-1, 0))
    ends = [[j for _, j in square_lattice(length, step)] for step in steps]
    rows = list(zip(*ends, strict=True))

    def dsl(empty: Any) -> Any:
        i, *others = (nkdsl.site(label) for label in "iabcd")
        empty = empty.for_each(tuple("iabcd"), over=rows)
        for other in others:
            empty = empty.where(other == 0)
        return empty.emit(nkdsl.write("i", 1 - i.value), matrix_element=1.0)

    # 1 - n is (1 + Z) / 2
    strings = {
        pauli(n, X=(i,), Z=chosen): 1 / 16
        for i, *others in rows
        for size in range(5)
        for chosen in itertools.combinations(others, size)
    }

    def local() -> Any:
        matrix = np.kron(X, _power(np.diag([1.0, 0.0]), 4))
        sites = [list(row) for row in rows]
        return nk.operator.LocalOperatorJax(qubits(), [matrix] * n, sites)

    return Model(
        lambda: catalogue.pxp(n, bonds),
        {
            "netket PauliStringsJax": pauli_sum(qubits, strings),
            "netket LocalOperatorJax": local,
            **in_nkdsl(qubits, dsl),
        },
        partial(random_states, sym.qubit(n)),
    )


def pauli_strings(strings: list[str], weights: list[float]) -> Model:
    """Return a sum of strings as a model."""
    n = len(strings[0])
    qubits = partial(nk.hilbert.Qubit, n)

    def masks() -> Any:
        return nk.operator.PauliStringsJax(qubits(), strings, weights, _mode="mask")

    return Model(
        lambda: sym.from_pauli_strings(strings, weights),
        {
            "netket PauliStringsJax": lambda: nk.operator.PauliStringsJax(
                qubits(), strings, weights
            ),
            "netket PauliStringsJax mask": masks,
        },
        partial(random_states, sym.qubit(n)),
        absent={"nkDSL": NO_DATA},
    )


def random_strings(count: int, n: int) -> Model:
    """Return strings all of whose letters are random."""
    rng = np.random.default_rng(0)
    strings = ["".join(row) for row in rng.choice(list("IXYZ"), (count, n))]
    return pauli_strings(strings, rng.normal(size=count).tolist())


def strings_on_masks(count: int, masks: int, n: int) -> Model:
    """Return strings that flip one of a few sets of qubits, as molecules have them."""
    rng = np.random.default_rng(0)
    flips = rng.integers(0, 2, (masks, n))[np.arange(count) % masks]
    letters = flips + 2 * rng.integers(0, 2, (count, n))
    strings = ["".join(row) for row in np.array(list("IXZY"))[letters]]
    return pauli_strings(strings, rng.normal(size=count).tolist())


# endregion
# region Bosons and fermions


def bose_hubbard(length: int) -> Model:
    """-sum_<ij> (a_i^+ a_j + h.c.) + U/2 sum_i n_i (n_i - 1) on a periodic chain."""
    U, n_max, bonds = 4.0, 4, chain(length)
    hops = [*bonds, *[(j, i) for i, j in bonds]]
    fock = partial(nk.hilbert.Fock, n_max, length)

    def bosons() -> Any:
        return nk.operator.BoseHubbardJax(fock(), nk.graph.Chain(length), U=U, J=1.0)

    def kernel() -> Any:
        i, j = np.array(hops).T
        steps = np.zeros((len(hops), length), np.int8)
        steps[np.arange(len(hops)), i], steps[np.arange(len(hops)), j] = -1, 1

        def get_conn_padded(x: Any) -> Any:
            n = x.astype(float)
            allowed = (x[:, i] > 0) & (x[:, j] < n_max)
            xp = x[:, None, :] + jnp.where(allowed[..., None], steps, jnp.int8(0))
            hopping = -jnp.sqrt(n[:, i] * (n[:, j] + 1)) * allowed
            diagonal = U / 2 * jnp.sum(n * (n - 1), axis=-1, keepdims=True)
            xp = jnp.concatenate([x[:, None, :], xp], axis=1)
            return xp, jnp.concatenate([diagonal, hopping], axis=1)

        return get_conn_padded

    def dsl(empty: Any) -> Any:
        # 1.0 * n, as it would calculate in int8 otherwise, and its root in float32
        n, m = 1.0 * nkdsl.site("i").value, 1.0 * nkdsl.site("j").value
        return (
            empty.for_each_site("i")
            .emit(matrix_element=U / 2 * (n * (n - 1.0)))
            .for_each(("i", "j"), over=hops)
            .where((nkdsl.site("i") > 0) & (nkdsl.site("j") < n_max))
            .emit(
                nkdsl.shift("i", -1).shift("j", 1),
                matrix_element=-((n * (m + 1.0)).sqrt()),
            )
        )

    return Model(
        lambda: catalogue.bose_hubbard(sym.fock(n_max, length), bonds, J=1.0, U=U),
        {
            "netket BoseHubbardJax": bosons,
            "netket LocalOperatorJax": lambda: (
                bosons().to_local_operator().to_jax_operator()
            ),
            **in_nkdsl(fock, dsl),
            "hand-written": kernel,
        },
        partial(random_states, sym.fock(n_max, length)),
    )


def fermi_hubbard(length: int, filling: tuple[int, int]) -> Model:
    """-t sum_<ij>s (c_is^+ c_js + h.c.) + U sum_i n_i,up n_i,down, Jordan-Wigner."""
    n, t, U, bonds = length**2, 1.0, 4.0, square_lattice(length)
    space = sym.fermions(n, spin=0.5, n_fermions_per_spin=filling)

    def orbitals() -> Any:
        return nk.hilbert.SpinOrbitalFermions(n, s=0.5, n_fermions_per_spin=filling)

    def hubbard() -> Any:
        graph = nk.graph.Grid([length, length], pbc=True)
        return nk.operator.FermiHubbardJax(orbitals(), t=t, U=U, graph=graph)

    def second_quantised() -> Any:
        terms, weights = [], []
        for (i, j), spin in itertools.product(bonds, (0, n)):
            a, b = i + spin, j + spin
            terms += [((a, 1), (b, 0)), ((b, 1), (a, 0))]
            weights += [-t, -t]
        for i in range(n):
            terms.append(((i, 1), (i, 0), (i + n, 1), (i + n, 0)))
            weights.append(U)
        return nk.operator.FermionOperator2ndJax(orbitals(), terms, weights)

    return Model(
        lambda: catalogue.fermi_hubbard(n, bonds, t=t, U=U),
        {
            "netket FermiHubbardJax": hubbard,
            "netket FermionOperator2ndJax": second_quantised,
        },
        partial(random_states, space),
        absent={"nkDSL": NO_RANGE},
    )


def t_j(length: int, filling: tuple[int, int]) -> Model:
    """-t sum_<ij>s P (c_is^+ c_js + h.c.) P + J sum_<ij> (S_i S_j - n_i n_j / 4)."""
    n, t, J, bonds = length**2, 1.0, 0.4, square_lattice(length)

    def terms() -> dict[Any, float]:
        found: dict[Any, float] = {}
        for i, j in [*bonds, *[(j, i) for i, j in bonds]]:
            for a, b in ((0, n), (n, 0)):
                hop = ((i + a, 1), (j + a, 0))
                found[hop] = -t
                # Nothing hops to where another fermion is
                found[(*hop, (j + b, 1), (j + b, 0))] = t
            found[(i, 1), (i + n, 0), (j + n, 1), (j, 0)] = J / 2
            found[(i, 1), (i, 0), (j + n, 1), (j + n, 0)] = -J / 2
        return found

    def orbitals() -> Any:
        return nk.hilbert.SpinOrbitalFermions(n, s=0.5, n_fermions_per_spin=filling)

    def second_quantised() -> Any:
        made = terms()
        return nk.operator.FermionOperator2ndJax(
            orbitals(), list(made), list(made.values())
        )

    def conserving() -> Any:
        kind = nkx.operator.ParticleNumberAndSpinConservingFermioperator2nd
        return kind.from_fermionoperator2nd(second_quantised())

    def translate(x: Any) -> tuple[Any, Any]:
        """Spin by spin instead of site by site: each exchange of two is a sign."""
        first, second = x < 0, x > 0
        before = np.cumsum(second, axis=-1) - second
        exchanges = np.sum(first * before, axis=-1)
        occupied = np.concatenate([first, second], axis=-1).astype(np.int8)
        return occupied, 1 - 2 * (exchanges % 2)

    ups, downs = filling
    config = [1] * ups + [-1] * downs + [0] * (n - ups - downs)
    return Model(
        lambda: catalogue.t_j(n, bonds, t=t, J=J),
        {
            "netket FermionOperator2ndJax": Peer(second_quantised, translate),
            "netket ParticleNumberAndSpinConserving..": Peer(conserving, translate),
        },
        partial(random_orders, config),
        absent={"nkDSL": NO_RANGE},
    )


def molecule(
    orbitals: int = imports.ORBITALS,
    electrons: tuple[int, int] = imports.ELECTRONS,
    decay: float = 0.0,
) -> Model:
    """Return a dense two-body Hamiltonian of random integrals, as in chemistry.

    Samples are uniform, or with a decay those of `peaked_states`.
    """
    core, one, ordered = imports.ordered_integrals(orbitals)
    terms = imports.products(one, ordered)
    space = sym.fermions(orbitals, spin=0.5, n_fermions_per_spin=electrons)
    return Model(
        lambda: sym.from_fermions(terms, hilbert=space, constant=core),
        {
            f"netket {name}": make
            for name, make in imports.netket_molecules(
                core, one, ordered, terms, electrons
            ).items()
        },
        partial(peaked_states, orbitals, electrons, decay)
        if decay
        else partial(random_states, space),
        batch=256,
        absent={"nkDSL": NO_RANGE},
    )


def syk(n: int) -> Model:
    """sum_(i<j)(k<l) J_ij,kl c_i^+ c_j^+ c_l c_k / (2n)^(3/2), half filled."""
    couplings = catalogue.syk_couplings(n)
    pairs = list(itertools.combinations(range(n), 2))
    terms = {
        ((i, 1), (j, 1), (l, 0), (k, 0)): complex(couplings[a, b]) * (2 * n) ** -1.5
        for a, (i, j) in enumerate(pairs)
        for b, (k, l) in enumerate(pairs)  # noqa: E741
    }

    def second_quantised() -> Any:
        orbitals = nk.hilbert.SpinOrbitalFermions(n, n_fermions=n // 2)
        return nk.operator.FermionOperator2ndJax(
            orbitals, list(terms), list(terms.values()), dtype=complex
        )

    def conserving() -> Any:
        kind = nkx.operator.ParticleNumberConservingFermioperator2nd
        return kind.from_fermionoperator2nd(second_quantised())

    space = sym.fermions(n, n_fermions=n // 2)
    return Model(
        lambda: sym.from_fermions(terms, hilbert=space),
        {
            "symir models.syk": lambda: catalogue.syk(n, couplings).compile(),
            "netket FermionOperator2ndJax": second_quantised,
            "netket ParticleNumberConserving..": conserving,
        },
        partial(random_orders, [1] * (n // 2) + [0] * (n - n // 2)),
        batch=256,
        absent={"nkDSL": NO_RANGE},
    )


# endregion

MODELS: dict[str, Callable[[], Model]] = {
    "tfim_8x8": lambda: tfim(8),
    "tfim_16x16": lambda: tfim(16),
    "heisenberg_8x8": lambda: heisenberg(8),
    "j1_j2_8x8": lambda: j1_j2(8),
    "bose_hubbard_32": lambda: bose_hubbard(32),
    "fermi_hubbard_4x4": lambda: fermi_hubbard(4, (8, 8)),
    "t_j_4x4": lambda: t_j(4, (7, 7)),
    "pxp_8x8": lambda: pxp(8),
    "toric_code_4x4": lambda: toric_code(4),
    "toric_code_6x6": lambda: toric_code(6),
    "long_range_ising_64": lambda: long_range_ising(64),
    "pauli_1000x20": lambda: random_strings(1000, 20),
    "pauli_97_masks": lambda: strings_on_masks(1000, 97, 20),
    "molecule_10": molecule,
    "syk_12": lambda: syk(12),
}
"""The models by name, each prepared when it is called."""
