"""Sums of products of fermion operators, as a few terms over rows of sites.

A product of creation and annihilation operators is zero, or what stands on each of its
sites comes down to one of four operators: c^+, c, n = c^+ c, or 1 - n = c c^+. So

    product = +-1 * o_1 o_2 .. o_k        on the sites s_1 < s_2 < .. < s_k

where the sign counts the exchanges of operators on different sites. In Jordan-Wigner
order (P. Jordan and E. Wigner, Z. Phys. 47, 631 (1928)) <x| o_1 o_2 .. |x'> is not
zero if x has a particle where there is a c^+ or an n, and none where there is a c or a
1 - n; and it is -1 to the number of particles, of x, before each of the m sites that
change, times (-1)^(m (m - 1) / 2) because each change shows in the count of those after
it.

Products that come down to the same operators are one branch, with the sum of their
weights, and all that have as many of each of the four are one term. Nothing here walks
through the products one by one.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast

import numpy as np
import numpy.typing as npt

from symir.errors import DefinitionError
from symir.interop.weights import Weights, as_weights, dtype_of, is_real
from symir.language.builder import DOperator
from symir.language.expressions import Expr, Predicate, here, row, site
from symir.language.functions import all_of
from symir.language.reductions import jordan_wigner, parity, sites_range
from symir.language.scalars import items_of, shortened
from symir.language.updates import Update
from symir.operator.spaces import Space, as_space, fermions
from symir.operator.symbolic_operator import SymbolicOperator

Integers = npt.NDArray[np.int64]


@dataclass(frozen=True)
class OperatorProducts:
    """Products of equally many operators.

    Attributes:
        sites: the site of each operator, left to right, of shape (products, length).
        creates: 1 where it creates a particle, 0 where it annihilates one; as sites.
        weights: one number for each product.
    """

    sites: Integers
    creates: Integers
    weights: Weights


def from_fermions(
    terms: object,
    weights: object = None,
    *,
    n_orbitals: int | None = None,
    hilbert: object = None,
    constant: complex = 0.0,
    name: str = "fermions",
    dtype: npt.DTypeLike | None = None,
) -> SymbolicOperator:
    """Return a weighted sum of products of fermion operators.

        from_fermions({((0, 1), (2, 0)): 0.5, ((2, 1), (0, 0)): 0.5})
        from_fermions(["0^ 2", "2^ 0"], [0.5, 0.5])

    Args:
        terms: products and their weights, as a dictionary, as pairs (product, weight),
            or as an object whose attribute `terms` is such a dictionary, as OpenFermion
            has it; or products alone, where `weights` are given. A product is a list of
            pairs (orbital, 1 to create or 0 to annihilate), left to right, or a text
            such as "0^ 2". An empty one is the identity.
        weights: a number for each product, or one for all.
        n_orbitals: the number of orbitals; one more than the largest by default.
        hilbert: a space of symir or of NetKet whose sites hold 0 or 1 instead.
        constant: a multiple of the identity that is added.
        name: the name of the operator.
        dtype: that of the matrix elements; real by default where all weights are.

    Raises:
        DefinitionError: for what are no products (N004) or no weights (N002), for an
            orbital or a space that does not fit (N005), where neither says how many
            orbitals there are (N006), and for a real dtype of complex weights (D012).
    """
    listed, given = _listed(terms, weights)
    numbers = as_weights(given, len(listed), "products")
    (identity,) = as_weights([constant], 1, "constant")
    products = [*_by_length(listed, numbers), _empty(identity)]
    if hilbert is None:
        hilbert = fermions(_orbitals(products) if n_orbitals is None else n_orbitals)
    return operator_of(products, hilbert, name, dtype)


def _empty(weight: complex) -> OperatorProducts:
    """Return a multiple of the identity."""
    nothing = np.zeros((1, 0), np.int64)
    return OperatorProducts(nothing, nothing, np.array([weight], np.complex128))


# region What users write


def _listed(terms: object, weights: object) -> tuple[list[Any], object]:
    """Return the products, and their weights."""
    inside = getattr(terms, "terms", None)
    source = inside if isinstance(inside, Mapping) else terms
    if isinstance(source, Mapping) and weights is None:
        mapping = cast(Mapping[Any, Any], source)
        return list(mapping), list(mapping.values())
    items = [source] if isinstance(source, str) else items_of(source)
    if items is None:
        raise _no_product("the terms", terms)
    listed = list(items)
    if weights is not None:
        return listed, weights
    for position, item in enumerate(listed):
        is_pair = isinstance(item, Sequence) and not isinstance(item, str)
        if not is_pair or len(cast(Sequence[Any], item)) != 2:
            raise _no_product(f"term {position}", item, "a pair (product, weight)")
    return [product for product, _ in listed], [weight for _, weight in listed]


def _by_length(listed: list[Any], weights: Weights) -> Iterable[OperatorProducts]:
    """Yield the products, those of each length together."""
    products = [
        _parsed(position, product) if isinstance(product, str) else product
        for position, product in enumerate(listed)
    ]
    numbers: dict[int, list[int]] = {}
    for position, product in enumerate(products):
        if not hasattr(product, "__len__"):
            raise _no_product(f"product {position}", product)
        numbers.setdefault(len(product), []).append(position)
    for length, members in numbers.items():
        factors = _factors(members, [products[position] for position in members])
        factors = factors.reshape(len(members), length, 2)
        yield OperatorProducts(factors[..., 0], factors[..., 1], weights[members])


def _parsed(position: int, text: str) -> list[tuple[int, int]]:
    factors: list[tuple[int, int]] = []
    for word in text.split():
        orbital = word.removesuffix("^")
        if not (orbital.isascii() and orbital.isdigit()):
            raise _no_product(f"product {position}", text)
        factors.append((int(orbital), int(word.endswith("^"))))
    return factors


def _factors(positions: list[int], products: list[Any]) -> Integers:
    """Return pairs (orbital, 1 or 0), of shape (products, length, 2)."""
    length = len(products[0])
    if not length:
        return np.zeros((len(products), 0, 2), np.int64)
    try:
        array = np.array(products)
    except (ValueError, OverflowError):  # not pairs throughout
        array = np.array(0.5)
    if array.dtype.kind in "iub" and array.shape == (len(products), length, 2):
        factors = array.astype(np.int64)
        if (factors[..., 0] >= 0).all() and np.isin(factors[..., 1], (0, 1)).all():
            return factors
    for position, product in zip(positions, products, strict=True):
        if not all(_is_factor(factor) for factor in product):
            raise _no_product(f"product {position}", product)
    return np.array([[[int(k) for k in factor] for factor in p] for p in products])


def _is_factor(factor: object) -> bool:
    pair = np.array(factor, object)
    if pair.shape != (2,):
        return False
    orbital, creates = pair.tolist()
    is_integer = isinstance(orbital, int | np.integer) and orbital >= 0
    return bool(is_integer and creates in (0, 1))


def _no_product(
    what: str,
    found: object,
    expected: str = "pairs (orbital, 1 to create or 0 to annihilate), or '0^ 2'",
) -> DefinitionError:
    return DefinitionError(
        "N004",
        f"{what} can be read as no product of fermion operators",
        expected=expected,
        found=shortened(found),
    )


def _orbitals(products: list[OperatorProducts]) -> int:
    largest = max(product.sites.max(initial=-1) for product in products)
    if largest >= 0:
        return int(largest) + 1
    raise DefinitionError(
        "N006",
        "the terms do not say how many orbitals there are",
        expected="n_orbitals=.. or hilbert=..",
    )


# endregion
# region Normal form


@dataclass(frozen=True)
class _Group:
    """Products that have as many of each of the four operators.

    Attributes:
        key: the number of c^+, at sites where x has a particle and x' has none; of c,
            where it is the other way round; of n; and of 1 - n.
        sites: the sites of these in order, ascending in each, of shape (products, all).
        weights: what the operators, in the order of their sites, are multiplied by.
    """

    key: tuple[int, ...]
    sites: Integers
    weights: Weights

    @property
    def created(self) -> int:
        """The number of sites that x' has one particle less on."""
        return self.key[0]

    @property
    def changed(self) -> int:
        """The number of sites that x' differs on; they come first."""
        return self.key[0] + self.key[1]


def _groups(products: Iterable[OperatorProducts], size: int) -> list[_Group]:
    """Return products in normal form, each once, and none with weight 0."""
    found: dict[tuple[int, ...], list[_Group]] = {}
    for each in products:
        for group in _split(each):
            found.setdefault(group.key, []).append(group)
    merged = [_merged(found[key], size) for key in sorted(found)]
    return [group for group in merged if len(group.weights)]


def _split(products: OperatorProducts) -> Iterable[_Group]:
    """Yield the products that are not zero, in normal form."""
    order = np.argsort(products.sites, axis=1, kind="stable")
    sites = np.take_along_axis(products.sites, order, axis=1)
    creates = np.take_along_axis(products.creates, order, axis=1)
    weights = products.weights * _exchange_sign(products.sites)
    length = sites.shape[1]
    same = sites[:, 1:] == sites[:, :-1]
    # On one site c c = 0 = c^+ c^+
    alive = ~(same & (creates[:, 1:] == creates[:, :-1])).any(axis=1)
    starts = np.ones(sites.shape, bool)
    starts[:, 1:] = ~same
    # The place where the operators of a site end, seen from where they start
    ends = np.full((len(sites), length + 1), length)
    for place in reversed(range(length)):
        ends[:, place] = np.where(starts[:, place], place, ends[:, place + 1])
    is_odd = (ends[:, 1:] - np.arange(length)) % 2 == 1
    is_first_creator = creates == 1
    kinds = (
        starts & is_odd & is_first_creator,
        starts & is_odd & ~is_first_creator,
        starts & ~is_odd & is_first_creator,
        starts & ~is_odd & ~is_first_creator,
    )
    counts = np.stack([kind.sum(axis=1) for kind in kinds], axis=1)
    for key in map(tuple, np.unique(counts[alive], axis=0).tolist()):
        rows = alive & (counts == key).all(axis=1)
        parts = [
            sites[rows][kind[rows]].reshape(int(rows.sum()), count)
            for kind, count in zip(kinds, key, strict=True)
        ]
        yield _Group(key, np.concatenate(parts, axis=1), weights[rows])


def _exchange_sign(sites: Integers) -> Integers:
    """Return the sign of bringing the operators into the order of their sites."""
    swaps = np.zeros(len(sites), np.int64)
    for k in range(sites.shape[1]):
        swaps += (sites[:, :k] > sites[:, k : k + 1]).sum(axis=1)
    return 1 - 2 * (swaps % 2)


def _merged(groups: list[_Group], size: int) -> _Group:
    sites = np.concatenate([group.sites for group in groups])
    weights = np.concatenate([group.weights for group in groups])
    order, is_first = _ordered(sites, size)
    starts = np.flatnonzero(is_first)
    summed = np.add.reduceat(weights[order], starts)
    kept = summed != 0
    return _Group(groups[0].key, sites[order[starts]][kept], summed[kept])


def _ordered(
    sites: Integers, size: int
) -> tuple[npt.NDArray[np.intp], npt.NDArray[np.bool_]]:
    """Return the order of rows, and which are, in it, the first of equal ones."""
    width = sites.shape[1]
    if width * np.log2(size + 1) < 62:  # one number for each row: far faster
        packed = sites @ (size ** np.arange(width, dtype=np.int64)[::-1])
        order = np.argsort(packed, kind="stable")
        rows = packed[order][:, None]
    else:
        order = np.lexsort(sites.T[::-1])
        rows = sites[order]
    is_first = np.ones(len(sites), bool)
    is_first[1:] = (rows[1:] != rows[:-1]).any(axis=1)
    return order, is_first


def _is_hermitian(groups: list[_Group], size: int) -> bool:
    """Whether each product stands next to its adjoint, up to rounding."""
    by_key = {group.key: group for group in groups}
    largest = max((float(abs(group.weights).max()) for group in groups), default=0.0)
    for group in groups:
        created, annihilated, occupied, empty = group.key
        partner = by_key.get((annihilated, created, occupied, empty))
        if partner is None or len(partner.weights) != len(group.weights):
            return False
        columns = np.arange(group.sites.shape[1])
        split = [annihilated, annihilated + created]
        first, second, rest = np.split(columns, split)
        sites = partner.sites[:, np.concatenate([second, first, rest])]
        order, _ = _ordered(sites, size)
        if not (sites[order] == group.sites).all():
            return False
        adjoint = partner.weights[order].conj() * _reversal_sign(group.changed)
        if (abs(adjoint - group.weights) > 1e-14 * largest).any():
            return False
    return True


def _reversal_sign(changed: int) -> int:
    """Return the sign of so many fermion operators in reverse order."""
    return (-1) ** (changed * (changed - 1) // 2)


# endregion
# region Terms


def operator_of(
    products: Iterable[OperatorProducts],
    hilbert: object,
    name: str,
    dtype: npt.DTypeLike | None,
) -> SymbolicOperator:
    """Return the sum of products as an operator on a space whose sites hold 0 or 1.

    Raises:
        DefinitionError: for another space, or a site that it does not have (N005), and
            for a real dtype of complex weights (D012).
    """
    listed = list(products)
    space = as_space(hilbert)
    _check_space(space, listed)
    groups = _groups(listed, space.size)
    weights = [group.weights for group in groups]
    builder = DOperator(
        hilbert,
        name,
        dtype=dtype_of(np.concatenate([*weights, np.zeros(1, np.complex128)]), dtype),
        hermitian=_is_hermitian(groups, space.size) or None,
    )
    for group in groups:
        _emit(builder, group)
    if not groups:
        builder.globally().emit(amplitude=0)
    return builder.build()


def _check_space(space: Space, products: list[OperatorProducts]) -> None:
    largest = max((each.sites.max(initial=-1) for each in products), default=-1)
    if largest >= space.size:
        raise DefinitionError(
            "N005",
            "a product acts on an orbital that the space does not have",
            expected=f"orbitals from 0 to {space.size - 1}",
            found=f"orbital {largest}",
        )
    for values in set(space.local_states):
        if values != (0.0, 1.0):
            raise DefinitionError(
                "N005",
                "fermions live on sites that hold 0 or 1 of them",
                expected="a space such as fermions(n)",
                found=f"{space!r}, with the local states {shortened(values)}",
            )


def _emit(builder: DOperator, group: _Group) -> None:
    """Add a term with a row for each product."""
    if not group.sites.shape[1]:
        builder.globally().named("constant")
        builder.emit(amplitude=_plain(group.weights[0].item()))
        return
    kinds = zip("canh", group.key, strict=True)
    labels = [f"{kind}{k}" for kind, count in kinds for k in range(count)]
    changed = labels[: group.changed]
    weights = group.weights * _fixed_sign(group)
    data = {"w": weights.real if is_real(weights) else weights}
    builder.for_each(labels, over=group.sites, data=data)
    builder.named("_".join(labels))
    builder.where(all_of(*map(_required, labels)))
    update = Update()
    for label in changed:
        update = update.write(label, 0 if label[0] == "c" else 1)
    builder.emit(update, amplitude=_times_strings(row("w"), changed))


def _plain(number: complex) -> complex | float:
    return number if number.imag else number.real


def _required(label: str) -> Predicate:
    return site(label) == (1 if label[0] in "cn" else 0)


def _fixed_sign(group: _Group) -> Integers:
    """Return the part of the sign that is the same for all x.

    The sites that change are taken in pairs, of which one counts the particles before
    both, the lower site among them.
    """
    sites = group.sites[:, : group.changed]
    sign = np.full(len(sites), _reversal_sign(group.changed))
    for k in range(0, group.changed - 1, 2):
        has_first, has_second = k < group.created, k + 1 < group.created
        is_occupied = np.where(sites[:, k] < sites[:, k + 1], has_first, has_second)
        sign = np.where(is_occupied, -sign, sign)
    return sign


def _times_strings(amplitude: Expr, changed: list[str]) -> Expr:
    """Multiply by the sign of the particles between the sites that change."""
    for first, second in zip(changed[::2], changed[1::2], strict=False):
        amplitude = amplitude * jordan_wigner(first, second)
    if len(changed) % 2:
        before = parity(here.value, over=sites_range(0, changed[-1]))
        amplitude = amplitude * (1 - 2 * before)
    return amplitude


# endregion
