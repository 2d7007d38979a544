"""NetKet's operators as symbolic ones: few terms, to print, rewrite and compile.

NetKet is not imported: who has one of its operators has done so.
"""

# pyright: basic

from __future__ import annotations

import functools
import operator
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from symir.errors import DefinitionError
from symir.interop.fermions import OperatorProducts, from_fermions, operator_of
from symir.interop.pauli import from_pauli_strings
from symir.language.builder import DOperator
from symir.language.expressions import Expr, as_expr, emitted, row, site, sqrt
from symir.language.functions import any_of, where
from symir.language.updates import Update, flip, hop
from symir.operator.symbolic_operator import SymbolicOperator

Array = npt.NDArray[Any]


def from_netket(op: object, name: str | None = None) -> SymbolicOperator:
    """Return an operator of NetKet as a symbolic one on the same Hilbert space.

    Taken are `Ising`, `BoseHubbard`, `LocalOperator` (which `Heisenberg` and what
    `nk.operator.spin` and `.boson` make are), `PauliStrings`, `FermionOperator2nd`,
    those of fermions that conserve their number (`FermiHubbardJax` is one), in Jax and
    in Numba, and sums, multiples and products of these, and transposes and adjoints as
    far as NetKet can carry them out. NetKet's cutoffs hold: it takes no notice of
    smaller matrix elements.

    `name` is the name of the operator, by default that of its class.

    Raises:
        DefinitionError: for what is no operator of NetKet, or one of another kind
            (N011); for a transpose or adjoint that NetKet cannot carry out (N012); for
            products that NetKet needs in another order (N016); for a Hilbert space that
            symir cannot take over (S012, S016).
    """
    taken = _taken(op)
    return taken if name is None else taken.named(name)


def _taken(op: Any) -> SymbolicOperator:
    nk = sys.modules.get("netket")
    for kind, take in _kinds(nk) if nk is not None else ():
        if isinstance(op, kind):
            return take(op)
    raise DefinitionError(
        "N011",
        f"{type(op).__name__} is no operator of NetKet that symir knows",
        expected="Ising, BoseHubbard, LocalOperator, PauliStrings, "
        "FermionOperator2nd, FermiHubbardJax, or a sum of these",
        found=f"a value of type {type(op).__module__}.{type(op).__qualname__}",
        hint="DOperator defines operators of every kind",
    )


def _kinds(nk: Any) -> tuple[tuple[Any, Callable[[Any], SymbolicOperator]], ...]:
    """Return NetKet's classes of operators, and how each is taken over."""
    # Only the modules that define them have the classes without a backend
    from netket.operator._bose_hubbard.base import BoseHubbardBase
    from netket.operator._fermion2nd.base import FermionOperator2ndBase
    from netket.operator._ising.base import IsingBase
    from netket.operator._lazy import Adjoint, Squared, Transpose
    from netket.operator._local_operator.base import LocalOperatorBase
    from netket.operator._pauli_strings.base import PauliStringsBase
    from netket.operator._prod.base import ProductOperator
    from netket.operator._sum.base import SumOperator

    number_conserving = nk.experimental.operator
    return (
        (IsingBase, _ising),
        (BoseHubbardBase, _bose_hubbard),
        (LocalOperatorBase, _local),
        (PauliStringsBase, _pauli_strings),
        (FermionOperator2ndBase, _fermions),
        (number_conserving.ParticleNumberConservingFermioperator2nd, _conserving),
        (
            number_conserving.ParticleNumberAndSpinConservingFermioperator2nd,
            _spin_conserving,
        ),
        (SumOperator, _sum),
        (ProductOperator, _product),
        (Squared, _squared),
        (Adjoint, _adjoint),
        (Transpose, _transpose),
    )


def _builder(op: Any, *real: Any) -> DOperator:
    """Return a builder for an operator like that of NetKet.

    It is Hermitian where NetKet says so and these coefficients are real: of its models
    NetKet says so whatever they are. Where it does not say so that may be proved.
    """
    return DOperator(
        op.hilbert,
        type(op).__name__,
        dtype=np.dtype(op.dtype),
        hermitian=(op.is_hermitian and not any(np.imag(c) for c in real)) or None,
    )


def _as_claimed(taken: SymbolicOperator, op: Any) -> SymbolicOperator:
    """Return an operator that claims no less than NetKet, which rounds more."""
    if taken.declared_hermitian or not op.is_hermitian:
        return taken
    return taken.claimed_hermitian()


def _number(value: Any) -> float | complex:
    number = complex(np.asarray(value).item())
    return number if number.imag else number.real


# region Models


def _ising(op: Any) -> SymbolicOperator:
    """-h sum_i X_i + J sum_ij Z_i Z_j."""
    builder = _builder(op, op.h, op.J)
    edges = np.asarray(op.edges)
    if len(edges):
        is_same = site("i") == site("j")
        builder.for_each(("i", "j"), over=edges).named("coupling")
        builder.emit(amplitude=_number(op.J) * where(is_same, 1, -1))
    builder.for_each_site("i").named("field")
    return builder.emit(flip("i"), amplitude=-_number(op.h)).build()


def _bose_hubbard(op: Any) -> SymbolicOperator:
    """-J sum_ij (b_i^+ b_j + h.c.) + sum_i (U / 2 n (n - 1) - mu n) + V sum_ij n n."""
    U, V, J, mu = map(_number, (op.U, op.V, op.J, op.mu))
    builder = _builder(op, U, V, J, mu)
    i, j = site("i").value, site("j").value
    edges = np.asarray(op._edges)
    builder.for_each_site("i").named("sites")
    builder.emit(amplitude=U / 2 * i * (i - 1) - mu * i)
    if len(edges):
        both_ways = np.stack([edges, edges[:, ::-1]], axis=1).reshape(-1, 2)
        builder.for_each(("i", "j"), over=both_ways).named("hopping").where(i > 0)
        builder.emit(hop("i", "j"), amplitude=-J * sqrt(i * emitted("j").value))
    if len(edges) and V:
        builder.for_each(("i", "j"), over=edges).named("neighbours")
        builder.emit(amplitude=V * i * j)
    return builder.build()


def _pauli_strings(op: Any) -> SymbolicOperator:
    weights = np.asarray(op.weights)
    kept = abs(weights) > op._cutoff
    strings = [str(string) for string in np.asarray(op.operators)[kept]]
    if not strings:
        return _zero(op)
    taken = from_pauli_strings(
        strings,
        weights[kept],
        hilbert=op.hilbert,
        name=type(op).__name__,
        dtype=np.dtype(op.dtype),
    )
    return _as_claimed(taken, op)


def _zero(op: Any) -> SymbolicOperator:
    return _builder(op).globally().emit(amplitude=0).build()


def _fermions(op: Any) -> SymbolicOperator:
    terms = {
        term: complex(np.asarray(weight).item())
        for term, weight in op.operators.items()
        if abs(weight) > op.cutoff
    }
    taken = from_fermions(
        terms, hilbert=op.hilbert, name=type(op).__name__, dtype=np.dtype(op.dtype)
    )
    return _as_claimed(taken, op)


# endregion
# region Fermions that conserve their number
#
# These keep arrays by the number of operators in a product, (index, create, weight). Of
# a product c^+_a1 .. c^+_am c_b1 .. c_bm the sites a stand where the index is not 0,
# and the b and the weight in the rows of that number; a1 > a2 > .. and b1 > b2 > ...
# Diagonal products, b = a, have no index: their weights stand at a.


def _conserving(op: Any) -> SymbolicOperator:
    data = op._operator_data
    products = [
        _products(op, arrays)
        for part in ("diag", "offdiag")
        for arrays in data[part].values()
    ]
    return _of_products(op, products)


def _spin_conserving(op: Any) -> SymbolicOperator:
    """The same for the sites of one spin state, and for products over two of them.

    The latter are c^+_a1 c_b1 of the first times c^+_a2 c_b2 of the second.
    """
    data, n = op._operator_data, op.hilbert.n_orbitals
    products: list[OperatorProducts] = []
    for part in ("diag", "offdiag"):
        for (length, states), arrays in data[part].items():
            alike = _products(op, arrays)
            # The identity has no spin state
            shifts = [s * n for s in states] if length else [0]
            products += [replace(alike, sites=alike.sites + s) for s in shifts]
    for part in ("mixed_diag", "mixed_offdiag"):
        for (_, pairs), arrays in data[part].items():
            both = _unpacked(arrays)
            sites = np.stack([both.created, both.annihilated], axis=-1)
            creates = np.tile([1, 0, 1, 0], (len(sites), 1))
            for pair in pairs:
                shifted = sites + n * np.array(pair)[:, None]
                shifted = shifted.reshape(len(sites), 4)
                products.append(OperatorProducts(shifted, creates, both.weights))
    return _of_products(op, products)


def _of_products(op: Any, products: list[OperatorProducts]) -> SymbolicOperator:
    dtypes = [
        np.asarray(arrays[2].data if hasattr(arrays[2], "coords") else arrays[2]).dtype
        for part in op._operator_data.values()
        for arrays in part.values()
    ]
    common = np.result_type(*dtypes) if dtypes else np.dtype(np.float64)
    dtype = common if common.kind in "fc" else None
    return operator_of(products, op.hilbert, type(op).__name__, dtype)


@dataclass(frozen=True)
class _Packed:
    """Products of arrays of NetKet, of half as many creators as operators.

    Attributes:
        created: the sites a, of shape (products, m).
        annihilated: the sites b, in the same shape.
        weights: complex numbers of shape (products,).
    """

    created: Array
    annihilated: Array
    weights: Array


def _products(op: Any, arrays: Sequence[Any]) -> OperatorProducts:
    """Return products in the sites of one spin state, or of all."""
    packed = _unpacked(arrays)
    # NetKet looks up what descends, and nothing else
    is_found = (np.diff(packed.created, axis=1) < 0).all(axis=1)
    created, annihilated = packed.created[is_found], packed.annihilated[is_found]
    if (np.diff(annihilated, axis=1) >= 0).any():
        raise _not_in_order(op)
    sites = np.concatenate([created, annihilated], axis=1)
    creates = np.zeros(sites.shape, np.int64)
    creates[:, : created.shape[1]] = 1
    return OperatorProducts(sites, creates, packed.weights[is_found])


def _unpacked(arrays: Sequence[Any]) -> _Packed:
    """Return the products with a weight that is not 0."""
    index, create, weight = arrays
    if index is None:
        created, weights = _entries(weight)
        return _Packed(created, created, weights.astype(np.complex128))
    weight = np.asarray(weight)
    if not index.ndim:
        nothing = np.zeros((weight.size, 0), np.int64)
        return _Packed(nothing, nothing, weight.reshape(-1).astype(np.complex128))
    created, rows = _entries(index)
    row, column = np.nonzero(weight[rows])
    numbers = rows[row], column
    return _Packed(
        created[row],
        np.asarray(create)[numbers].astype(np.int64),
        weight[numbers].astype(np.complex128),
    )


def _entries(array: Any) -> tuple[Array, Array]:
    """Return the places, (entries, axes), and values of what is not 0 in an array."""
    if hasattr(array, "coords"):  # NetKet's sparse arrays
        places, values = np.asarray(array.coords).T, np.asarray(array.data)
    else:
        dense = np.asarray(array)
        places = np.argwhere(dense)
        values = dense[tuple(places.T)]
    return places.astype(np.int64), values


def _not_in_order(op: Any) -> DefinitionError:
    return DefinitionError(
        "N016",
        f"the products of the {type(op).__name__} are not in normal order",
        expected="annihilation operators by descending sites, each once",
        found="others in its arrays, of which NetKet makes wrong matrix elements",
        hint="make it from a FermionOperator2nd, or from_sparse_arrays(..)",
    )


# endregion
# region Matrices on a few sites


@dataclass(frozen=True)
class _Matrices:
    """Matrices with non-zero elements in the same places, on sites of the same kinds.

    Attributes:
        states: the local values of each site on which a matrix acts, in NetKet's order:
            the last site runs fastest through the rows of the matrix.
        sites: of shape (matrices, sites of each).
        elements: of shape (matrices, D, D), <x| O |x'> for the row of x.
    """

    states: tuple[tuple[float, ...], ...]
    sites: Array
    elements: Array


def _local(op: Any) -> SymbolicOperator:
    """A sum of matrices on a few sites each.

    For each local configuration of x there are some x' with a matrix element that is
    not zero. The first of each is one emission, the second another, and so on; what
    they write and the matrix elements are chosen by the local configuration. So there
    are as many branches as x may have, not as many as the matrix has elements.
    """
    builder = _builder(op)
    constant = _number(op.constant)
    if constant:
        builder.globally().named("constant").emit(amplitude=constant)
    groups = _alike(op)
    for group in groups:
        _emit(builder, group)
    return builder.build() if groups or constant else _zero(op)


def _alike(op: Any) -> list[_Matrices]:
    found: dict[Any, list[tuple[Any, Array]]] = {}
    for sites, matrix in zip(op.acting_on, op.operators, strict=True):
        dense = np.asarray(matrix.todense() if hasattr(matrix, "todense") else matrix)
        dense = np.where(abs(dense) > op.mel_cutoff, dense, 0)
        if dense.any():
            states = tuple(tuple(op.hilbert.states_at_index(s)) for s in sites)
            key = (states, (dense != 0).tobytes())
            found.setdefault(key, []).append((sites, dense))
    return [
        _Matrices(
            states,
            np.array([sites for sites, _ in members]),
            np.array([matrix for _, matrix in members]),
        )
        for (states, _), members in found.items()
    ]


def _emit(builder: DOperator, group: _Matrices) -> None:
    """Add a term with a row for each matrix."""
    size = group.elements.shape[1]
    labels = [f"s{k}" for k in range(group.sites.shape[1])]
    configurations = _configurations(group.states)
    index = _index(labels, group.states)
    data: dict[str, Array] = {}
    emissions: list[tuple[Any, Update, Expr]] = []
    diagonal = {r: group.elements[:, r, r] for r in range(size)}
    if any(column.any() for column in diagonal.values()):
        emissions.append((None, Update(), _amplitude(index, diagonal, data)))
    is_live = (group.elements[0] != 0) & ~np.eye(size, dtype=bool)
    columns = [np.flatnonzero(live) for live in is_live]
    for k in range(max(map(len, columns))):
        targets = {r: int(c[k]) for r, c in enumerate(columns) if k < len(c)}
        mels = {r: group.elements[:, r, c] for r, c in targets.items()}
        update = Update()
        for place, label in enumerate(labels):
            values = {r: configurations[c, place] for r, c in targets.items()}
            if any(configurations[r, place] != v for r, v in values.items()):
                update = update.write(label, _chosen(index, values))
        holds = any_of(*[index == r for r in targets]) if len(targets) < size else None
        emissions.append((holds, update, _amplitude(index, mels, data)))
    builder.for_each(labels, over=group.sites, data=data)
    for holds, update, amplitude in emissions:
        if holds is None:
            builder.emit(update, amplitude=amplitude)
        else:
            builder.emit_if(holds, update, amplitude=amplitude)


def _configurations(states: Sequence[Sequence[float]]) -> Array:
    """Return the local configurations, the last site running fastest."""
    axes = np.meshgrid(*states, indexing="ij")
    return np.stack([axis.reshape(-1) for axis in axes], axis=1)


def _index(labels: Sequence[str], states: Sequence[Sequence[float]]) -> Expr:
    """Return the number of the row of a matrix that is that of x."""
    index: Expr = as_expr(0)
    for label, values in zip(labels, states, strict=True):
        index = index * len(values) + _place(site(label).value, values)
    return index


def _place(x: Expr, values: Sequence[float]) -> Expr:
    """Return the place of a local value among those of its site."""
    steps = set(np.diff(values).tolist())
    if steps in ({1.0}, {2.0}, {-1.0}, {-2.0}):  # exact in every dtype
        return (x - float(values[0])) / steps.pop()
    return _chosen(x, dict(zip(values, range(len(values)), strict=True)))


def _chosen(index: Expr, values: Mapping[Any, float]) -> Expr:
    """Return the value of an index; what is not listed does not matter."""
    places: dict[float, list[Any]] = {}
    for place, value in values.items():
        places.setdefault(float(value), []).append(place)
    return _first_of(index, [(as_expr(value), of) for value, of in places.items()])


def _amplitude(
    index: Expr, elements: Mapping[int, Array], data: dict[str, Array]
) -> Expr:
    """Return the matrix element of an index: row data where the matrices differ."""
    places: dict[bytes, list[int]] = {}
    for place, column in elements.items():
        places.setdefault(column.tobytes(), []).append(place)
    return _first_of(
        index, [(_column(elements[of[0]], data), of) for of in places.values()]
    )


def _column(column: Array, data: dict[str, Array]) -> Expr:
    if (column == column[0]).all():
        return as_expr(_number(column[0]))
    key = next((k for k, known in data.items() if (known == column).all()), None)
    if key is None:
        key = f"m{len(data)}"
        data[key] = column
    return row(key)


def _first_of(index: Expr, cases: list[tuple[Expr, list[Any]]]) -> Expr:
    """Return the expression of the case that an index belongs to."""
    *others, (result, _) = sorted(cases, key=lambda case: len(case[1]))
    for value, places in others:
        result = where(any_of(*[index == place for place in places]), value, result)
    return result


# endregion
# region Combinations


def _sum(op: Any) -> SymbolicOperator:
    parts = zip(op.operators, np.asarray(op.coefficients), strict=True)
    total = functools.reduce(
        operator.add, [_taken(part) * _number(factor) for part, factor in parts]
    )
    return total.named(type(op).__name__)


def _product(op: Any) -> SymbolicOperator:
    product = functools.reduce(operator.matmul, map(_taken, op.operators))
    return (product * _number(op.coefficient)).named(type(op).__name__)


def _squared(op: Any) -> SymbolicOperator:
    parent = _taken(op.parent)
    adjoint = parent.H if op.parent.is_hermitian else _taken(op.parent.H)
    return (adjoint @ parent).named(type(op).__name__).claimed_hermitian()


# NetKet takes all sums for Hermitian, and models whatever their coefficients are


def _adjoint(op: Any) -> SymbolicOperator:
    return _taken(op.parent).H if op.parent.is_hermitian else _collected(op)


def _transpose(op: Any) -> SymbolicOperator:
    return _taken(op.parent).T if op.parent.is_hermitian else _collected(op)


def _collected(op: Any) -> SymbolicOperator:
    try:
        collected = op.collect()
    except (NotImplementedError, AttributeError, TypeError) as error:
        # Not every wrapper of NetKet can be carried out, nor has the method.
        raise _not_carried_out(op) from error
    return _taken(collected)


def _not_carried_out(op: Any) -> DefinitionError:
    return DefinitionError(
        "N012",
        f"NetKet cannot carry out the {type(op).__name__}",
        expected="an operator that is no transpose and no adjoint",
        found=f"{type(op).__name__} of {type(getattr(op, 'parent', op)).__name__}",
        hint="write down what it comes down to with DOperator",
    )


# endregion
