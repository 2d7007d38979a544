"""Sums of thousands of products: from their list to the first connected states.

`python -m benchmarks.imports` prints tables; `--json FILE` writes all figures. Each
time is that of a fresh process with cold caches, imports excluded, and the median of
several, in which symir and its peers take turns. Before anything is timed, the outputs
are compared: for each sample the matrix elements that lead to one x' are added up, and
the sums must agree.

What a contender takes is in memory before the time starts, but for the molecule that
symir reads from a file.
"""

# pyright: basic

from __future__ import annotations

import argparse
import itertools
import json
import sys
import tempfile
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Any

import jax
import netket as nk
import netket.experimental as nkx
import numpy as np
import sparse

import symir as sym
from benchmarks.harness import (
    check_equal,
    environment,
    in_fresh_process,
    milliseconds,
    turns,
)

BATCH = 64
STRINGS, QUBITS = 1000, 20
ORBITALS, ELECTRONS = 10, (5, 5)
CALLS = 9
"""How often a compiled operator is called after its first result."""

Define = Callable[[], Any]
"""From data that are there already to an operator that is ready to be called."""

# NetKet advises another implementation: that is measured, too.
warnings.filterwarnings("ignore", r"\s*WARNING: Initializing", UserWarning)

# What NetKet's classes take is hidden by their metaclass
operators: Any = nk.operator
experimental: Any = nkx.operator


# region Pauli strings


def pauli_strings() -> dict[str, Define]:
    """Random strings, every letter as likely as the others, with real weights.

    As about half of them have an odd number of Y, the matrix elements are complex.
    """
    rng = np.random.default_rng(0)
    strings = ["".join(row) for row in rng.choice(list("IXYZ"), (STRINGS, QUBITS))]
    weights = rng.normal(size=STRINGS).tolist()
    qubits = nk.hilbert.Qubit(QUBITS)
    return {
        "symir from_pauli_strings": lambda: sym.from_pauli_strings(
            strings, weights
        ).compile(),
        "netket PauliStringsJax": lambda: operators.PauliStringsJax(
            qubits, strings, weights
        ),
        "netket PauliStringsNumba": lambda: operators.PauliStringsNumba(
            qubits, strings, weights
        ),
    }


# endregion
# region Molecules


def molecule(folder: Path) -> dict[str, Define]:
    """Return a dense two-body Hamiltonian of random integrals, as in chemistry."""
    core, one, two = integrals()
    path = folder / "FCIDUMP"
    path.write_text(fcidump(core, one, two))
    core, one, ordered = ordered_integrals()
    terms = products(one, ordered)
    peers = netket_molecules(core, one, ordered, terms)
    return {
        "symir from_fcidump": lambda: sym.from_fcidump(path).compile(),
        "symir from_fermions": lambda: sym.from_fermions(
            terms, n_orbitals=2 * ORBITALS, constant=core
        ).compile(),
        **{f"netket {name}": define for name, define in peers.items()},
    }


def netket_molecules(
    core: float,
    one: Any,
    ordered: Any,
    terms: dict[Any, float],
    electrons: tuple[int, int] = ELECTRONS,
) -> dict[str, Define]:
    """Return NetKet's operators of a molecule.

    The first is made as `from_pyscf_molecule` of NetKet makes its default, from where
    it has the integrals.
    """
    orbitals = nk.hilbert.SpinOrbitalFermions(
        len(one), s=1 / 2, n_fermions_per_spin=electrons
    )
    conserving = experimental.ParticleNumberAndSpinConservingFermioperator2nd
    return {
        "ParticleNumberAndSpinConserving..": lambda: (
            conserving._from_sparse_arrays_normal_order_all_sectors(
                orbitals,
                [core, sparse.COO.from_numpy(one), sparse.COO.from_numpy(ordered)],
            )
        ),
        "FermionOperator2ndJax": lambda: operators.FermionOperator2ndJax(
            orbitals, list(terms), list(terms.values()), core
        ),
    }


def ordered_integrals(orbitals: int = ORBITALS) -> tuple[float, Any, Any]:
    """Return a core energy, h_ij and the weights of c^+_i c^+_k c_l c_j."""
    core, one, two = integrals(orbitals)
    return core, one, two.transpose(0, 2, 3, 1) / 2


def integrals(orbitals: int = ORBITALS) -> tuple[float, Any, Any]:
    """Return a core energy, h_ij and (ij|kl) with their symmetries."""
    rng = np.random.default_rng(1)
    one = rng.normal(size=(orbitals,) * 2)
    two = rng.normal(size=(orbitals,) * 4)
    two = two + two.transpose(1, 0, 2, 3)
    two = two + two.transpose(0, 1, 3, 2)
    return 0.75, one + one.T, two + two.transpose(2, 3, 0, 1)


def fcidump(core: float, one: Any, two: Any) -> str:
    """Return the text of a file: each of eight equal integrals once."""
    lines = [f"&FCI NORB={ORBITALS},NELEC={sum(ELECTRONS)},MS2=0,", "&END"]
    pairs = [(i, j) for i in range(ORBITALS) for j in range(i + 1)]
    for (k, l), (i, j) in itertools.combinations_with_replacement(pairs, 2):  # noqa: E741
        lines.append(f"{two[i, j, k, l]:.17e} {i + 1} {j + 1} {k + 1} {l + 1}")
    lines += [f"{one[i, j]:.17e} {i + 1} {j + 1} 0 0" for i, j in pairs]
    return "\n".join([*lines, f"{core} 0 0 0 0", ""])


def products(one: Any, ordered: Any) -> dict[Any, float]:
    """Return the products over spin orbitals in one order, equal ones merged."""
    weights: dict[tuple[tuple[int, int], ...], float] = {}
    spins = (0, len(one))
    for spin in spins:
        for (i, j), value in np.ndenumerate(one):
            weights[(i + spin, 1), (j + spin, 0)] = value
    for s, t in itertools.product(spins, repeat=2):
        for (i, k, l, j), value in np.ndenumerate(ordered):  # noqa: E741
            created, annihilated = (i + s, k + t), (l + t, j + s)
            if len(set(created)) < 2 or len(set(annihilated)) < 2:
                continue
            sign = 1
            if created[0] < created[1]:
                created, sign = created[::-1], -sign
            if annihilated[0] < annihilated[1]:
                annihilated, sign = annihilated[::-1], -sign
            product = (*((q, 1) for q in created), *((q, 0) for q in annihilated))
            weights[product] = weights.get(product, 0.0) + sign * value
    return weights


# endregion
# region Measuring

PROBLEMS: dict[str, Callable[[Path], dict[str, Define]]] = {
    "pauli": lambda folder: pauli_strings(),
    "molecule": molecule,
}


def samples(problem: str) -> jax.Array:
    """Return random configurations, int8 of shape (BATCH, sites)."""
    if problem == "pauli":
        space = sym.qubit(QUBITS)
    else:
        space = sym.fermions(ORBITALS, spin=0.5, n_fermions_per_spin=ELECTRONS)
    return jax.numpy.asarray(space.random_states(BATCH, 0, dtype=np.int8))


@jax.jit
def _traced(operator: Any, x: jax.Array) -> Any:
    return operator.get_conn_padded(x)


def connected(operator: Any, x: jax.Array) -> Any:
    """Return x' and the matrix elements.

    What JAX can trace is an argument of a jitted function, as in NetKet.
    """
    if isinstance(operator, operators.PauliStringsNumba):
        return operator.get_conn_padded(np.asarray(x))
    return _traced(operator, x)


def check(problem: str, folder: Path, count: int = 4) -> dict[str, int]:
    """Compare all outputs on a few samples, and return the numbers of lanes."""
    operators = {name: define() for name, define in PROBLEMS[problem](folder).items()}
    x = samples(problem)[:count]
    found = {name: connected(operator, x) for name, operator in operators.items()}
    ours = next(iter(found.values()))
    for name, theirs in found.items():
        check_equal(f"{problem}, {name}", ours, theirs, count)
    return {name: operator.max_conn_size for name, operator in operators.items()}


def first_result(problem: str, name: str, folder: Path) -> dict[str, float]:
    """Return the seconds of the first result and of later calls, in this process."""
    define = PROBLEMS[problem](folder)[name]
    x = jax.block_until_ready(samples(problem))
    start = time.perf_counter()
    operator = define()
    defined = time.perf_counter()
    jax.block_until_ready(connected(operator, x))
    first = time.perf_counter()
    calls = []
    for _ in range(CALLS):
        begin = time.perf_counter()
        jax.block_until_ready(connected(operator, x))
        calls.append(time.perf_counter() - begin)
    return {
        "first_result": first - start,
        "definition": defined - start,
        "first_call": first - defined,
        "call": median(calls),
    }


_FRESH = """
import gc, json, jax
from pathlib import Path
jax.config.update("jax_enable_x64", True)
from benchmarks import imports
gc.collect()  # the garbage that importing left is not the operator's
print(json.dumps(imports.first_result({problem!r}, {name!r}, Path({folder!r}))))
"""


def measure(problem: str, folder: Path, repeats: int) -> list[dict[str, Any]]:
    """Compare symir with its peers, a fresh process for each measurement."""
    lanes = check(problem, folder)
    found: dict[str, list[dict[str, float]]] = {name: [] for name in lanes}
    for name in turns(list(lanes), repeats):
        program = _FRESH.format(problem=problem, name=name, folder=str(folder))
        found[name].append(json.loads(in_fresh_process(program)))
    return [
        {
            "problem": problem,
            "operator": name,
            "lanes": lanes[name],
            **{key: median(one[key] for one in every) for key in every[0]},
            "all": every,
        }
        for name, every in found.items()
    ]


# endregion


def _table(rows: list[dict[str, Any]]) -> str:
    lines = [
        "| operator | first result s | definition s | first call s | call ms | lanes |",
        "|---|---|---|---|---|---|",
    ]
    for row in rows:
        times = [row[key] for key in ("first_result", "definition", "first_call")]
        seconds = " | ".join(f"{value:.2f}" for value in times)
        call = milliseconds([row["call"]])
        lines.append(f"| {row['operator']} | {seconds} | {call:.2f} | {row['lanes']} |")
    return "\n".join(lines)


def main() -> None:
    """Run the benchmark and print its tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeats", type=int, default=3, help="processes for each")
    parser.add_argument("--json", type=Path, help="write all figures to a file")
    arguments = parser.parse_args()
    jax.config.update("jax_enable_x64", True)

    setting = environment()
    print(", ".join(f"{key} {value}" for key, value in setting.items()))
    titles = {
        "pauli": f"{STRINGS} random Pauli strings on {QUBITS} qubits",
        "molecule": f"a dense molecule, {ORBITALS} orbitals, {ELECTRONS} electrons",
    }
    rows = []
    for problem, title in titles.items():
        print(f"measuring {title} ...", file=sys.stderr)
        with tempfile.TemporaryDirectory() as folder:
            measured = measure(problem, Path(folder), arguments.repeats)
        print(f"\n{title}, {BATCH} int8 samples, median of {arguments.repeats}")
        print(_table(measured))
        rows += measured
    if arguments.json:
        figures = {"environment": setting, "imports": rows}
        arguments.json.write_text(json.dumps(figures, indent=2) + "\n")


if __name__ == "__main__":
    main()
