"""Range analysis: what it proves, what it must not prove, and where it gives up."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from xdsl.dialects import test as xdsl_test
from xdsl.dialects.builtin import ModuleOp

from dialects import sym
from dialects.text import parse_module
from lowering.analysis import range_analysis
from lowering.analysis.range_analysis import Verdict, judge
from lowering.analysis.sites import writes_of
from lowering.order import conjuncts

SPIN = "2 x [-1, 1]"
QUBIT = "2 x [0, 1]"
FOCK = "2 x [0, 1, 2]"
MIXED = "4 x [0, 1], [0, 1, 2], [0, 1], [0, 1, 2]"


def term_of(module: ModuleOp) -> sym.TermOp:
    (term,) = (op for op in module.walk() if isinstance(op, sym.TermOp))
    return term


def operator(
    body: str,
    space: str,
    rows: Sequence[Sequence[int]],
    *,
    element: str = "f64",
    data: Sequence[tuple[str, str, str]] = (),
    parameters: str = "",
) -> ModuleOp:
    """Build an operator of one term over labels %i, %j, %k.

    A data column is a name, the values and their type.
    """
    labels = ["%i", "%j", "%k"][: len(rows[0])]
    arguments = ["%x: !sym.config", *[f"{label}: !sym.site" for label in labels]]
    arguments += [f"%{name}: tensor<{kind}>" for name, _, kind in data]
    columns = ", ".join(
        f'#sym.column<"{name}", dense<{values}> : tensor<{len(rows)}x{kind}>>'
        for name, values, kind in data
    )
    table = ", ".join(str(list(row)) for row in rows)
    return parse_module(f"""
sym.operator @o({parameters}) space #sym.space<{space}> element {element} {{
  sym.term @t over #sym.rows<{table}>{f" data [{columns}]" if data else ""} {{
  ^bb0({", ".join(arguments)}):
    %zero = stablehlo.constant dense<0.0> : tensor<f64>
    %one = stablehlo.constant dense<1.0> : tensor<f64>
    %two = stablehlo.constant dense<2.0> : tensor<f64>
    {body}
  }}
}}
""")


def proofs(module: ModuleOp) -> list[bool]:
    """Say for each write of the only emission whether it is proved to be allowed."""
    term = term_of(module)
    (emission,) = term.emissions
    writes = writes_of(emission.config)
    later = [[other.site for other in writes[k + 1 :]] for k in range(len(writes))]
    return [
        judge(term, write, emission.predicate, shadowing) is Verdict.ALLOWED
        for write, shadowing in zip(writes, later, strict=True)
    ]


def compare(direction: str, lhs: str, rhs: str, kind: str = "f64") -> str:
    return (
        f"stablehlo.compare {direction}, {lhs}, {rhs} : "
        f"(tensor<{kind}>, tensor<{kind}>) -> tensor<i1>"
    )


READ_I = "%n = sym.read %x[%i] : tensor<f64>\n"
READ_J = "%m = sym.read %x[%j] : tensor<f64>\n"
UP = "%v = stablehlo.add %n, %one : tensor<f64>\n"
WRITE = "%y = sym.write %x[%i], %v : tensor<f64>\n"
EMIT = "sym.emit %y, %one : tensor<f64>"
EMIT_IF = "sym.emit %y, %one if %p : tensor<f64>"


def written(
    value: str, space: str = QUBIT, rows: object = None, **more: object
) -> bool:
    """Say whether a write of %v to %i is proved, %v made by `value`; %n is x[%i]."""
    guarded = "%p =" in value
    body = f"{READ_I}{value}\n{WRITE}{EMIT_IF if guarded else EMIT}"
    (proved,) = proofs(operator(body, space, rows or [[0], [1]], **more))  # pyright: ignore[reportArgumentType]
    return proved


# ---- the value alone ----


@pytest.mark.parametrize(
    ("value", "space", "proved"),
    [
        ("%v = stablehlo.negate %n : tensor<f64>", SPIN, True),
        ("%v = stablehlo.negate %n : tensor<f64>", QUBIT, False),
        ("%v = stablehlo.subtract %one, %n : tensor<f64>", QUBIT, True),
        ("%v = stablehlo.subtract %two, %n : tensor<f64>", QUBIT, False),
        ("%v = stablehlo.subtract %two, %n : tensor<f64>", FOCK, True),
        ("%v = stablehlo.add %n, %zero : tensor<f64>", FOCK, True),
        ("%v = stablehlo.minimum %n, %one : tensor<f64>", FOCK, True),
        ("%v = stablehlo.divide %n, %n : tensor<f64>", SPIN, True),
        # 0 / 0 is no number
        ("%v = stablehlo.divide %n, %n : tensor<f64>", QUBIT, False),
        ("%v = stablehlo.constant dense<1.0> : tensor<f64>", QUBIT, True),
        (
            "%v = stablehlo.constant dense<1.0000000000000002> : tensor<f64>",
            QUBIT,
            False,
        ),
        ("%v = stablehlo.constant dense<2.0> : tensor<f64>", QUBIT, False),
        ("%v = stablehlo.constant dense<-0.0> : tensor<f64>", QUBIT, True),
        (
            "%v = stablehlo.constant dense<0x7FF8000000000000> : tensor<f64>",
            QUBIT,
            False,
        ),
    ],
)
def test_values_of_one_site(value: str, space: str, proved: bool) -> None:
    assert written(value, space) is proved


def test_rounded_ops_prove_nothing() -> None:
    # tanh(0) is 0, and (-1)**2 is 1, on every machine; but analysis cannot know which
    # results are
    assert not written(
        "%t = stablehlo.tanh %zero : tensor<f64>\n"
        "%v = stablehlo.multiply %t, %n : tensor<f64>",
        QUBIT,
    )
    assert not written("%v = stablehlo.power %n, %two : tensor<f64>", QUBIT)
    assert not written("%v = stablehlo.sqrt %n : tensor<f64>", QUBIT)


def test_rounded_sums_prove_nothing() -> None:
    # 2 + 1.2 - 2.2 is 1 from left to right, and less if the constants are added first
    value = f"""
      %a = stablehlo.constant dense<1.2> : tensor<f64>
      %b = stablehlo.constant dense<-2.2> : tensor<f64>
      %c = stablehlo.add %n, %a : tensor<f64>
      %v = stablehlo.add %c, %b : tensor<f64>
      %p = {compare("EQ", "%n", "%two")}
    """
    assert (2 + 1.2) - 2.2 == 1 > 2 + (1.2 - 2.2)
    assert not written(value, FOCK)
    assert written(value.replace("1.2>", "1.25>").replace("2.2>", "2.25>"), FOCK)


def test_rounded_values_exclude_nothing() -> None:
    guard = f"""
      %t = stablehlo.constant dense<0.1> : tensor<f64>
      %s = stablehlo.multiply %n, %t : tensor<f64>
      %p = {compare("LT", "%s", "%t")}
    """
    # 3 * 0.1 is rounded, 1 * 0.1 is not
    assert not written(UP + guard, "1 x [0, 1, 3]", [[0]])
    assert written(UP + guard, "1 x [0, 1]", [[0]])


@pytest.mark.parametrize("real", ["f32", "f64"])
def test_local_values_are_those_of_the_precision_of_the_operator(real: str) -> None:
    # 0.1 is one number in f32 and another in f64
    text = f"""
sym.operator @o() space #sym.space<1 x [0.1, 0.2]> element {real} {{
  sym.term @t over #sym.rows<[0]> {{
  ^bb0(%x: !sym.config, %i: !sym.site):
    %v = stablehlo.constant dense<0.1> : tensor<{real}>
    %y = sym.write %x[%i], %v : tensor<{real}>
    sym.emit %y, %v : tensor<{real}>
  }}
}}
"""
    assert proofs(parse_module(text)) == [True]


# ---- predicates ----


@pytest.mark.parametrize(
    ("guard", "proved"),
    [
        (f"%p = {compare('LT', '%n', '%one')}", True),
        (f"%p = {compare('EQ', '%n', '%zero')}", True),
        (f"%p = {compare('LE', '%n', '%one')}", False),
        (f"%p = {compare('GT', '%n', '%zero')}", False),
        (
            f"%q = {compare('GT', '%n', '%zero')}\n%p = stablehlo.not %q : tensor<i1>",
            True,
        ),
        ("%p = stablehlo.constant dense<false> : tensor<i1>", True),
        ("%p = stablehlo.constant dense<true> : tensor<i1>", False),
    ],
)
def test_a_predicate_excludes_values(guard: str, proved: bool) -> None:
    assert written(UP + guard, QUBIT) is proved


def test_one_part_of_a_conjunction_is_enough() -> None:
    known, unknown = compare("LT", "%n", "%one"), compare("LT", "%h", "%one")
    parts = f"%a = {known}\n%b = {unknown}\n"
    h = '%h "h" : tensor<f64>'
    both = parts + "%p = stablehlo.and %b, %a : tensor<i1>"
    nested = (
        parts + "%c = stablehlo.and %b, %b : tensor<i1>\n"
        "%p = stablehlo.and %a, %c : tensor<i1>"
    )
    either = parts + "%p = stablehlo.or %b, %a : tensor<i1>"
    assert written(UP + both, QUBIT, parameters=h)
    assert written(UP + nested, QUBIT, parameters=h)
    assert not written(UP + either, QUBIT, parameters=h)
    assert not written(f"{UP}%p = {unknown}", QUBIT, parameters=h)


def test_conjuncts() -> None:
    body = f"""
      %a = {compare("LT", "%zero", "%one")}
      %b = {compare("LT", "%one", "%two")}
      %ab = stablehlo.and %a, %b : tensor<i1>
      %p = stablehlo.and %ab, %a : tensor<i1>
      sym.emit %x, %one if %p : tensor<f64>
    """
    (emission,) = term_of(operator(body, QUBIT, [[0]])).emissions
    hints = [part.name_hint for part in conjuncts(emission.predicate)]
    assert hints == ["a", "b"]
    assert conjuncts(None) == []


def test_a_parameter_is_unknown() -> None:
    h = '%h "h" : tensor<f64> = dense<0.0>'
    assert not written("%v = stablehlo.add %n, %h : tensor<f64>", parameters=h)
    assert not written("%v = stablehlo.add %h, %zero : tensor<f64>", parameters=h)


# ---- several sites ----

SWAP = (
    READ_I
    + READ_J
    + (
        "%a = sym.write %x[%i], %m : tensor<f64>\n"
        "%y = sym.write %a[%j], %n : tensor<f64>\n" + EMIT
    )
)


@pytest.mark.parametrize(
    ("space", "rows", "proved"),
    [
        (FOCK, [[0, 1], [1, 0]], [True, True]),
        (FOCK, [[0, 0]], [True, True]),
        # sites 0 and 2 are alike, and so are 1 and 3
        (MIXED, [[0, 2], [1, 3], [3, 3]], [True, True]),
        # what a site with more values holds may not fit
        (MIXED, [[0, 2], [0, 1]], [False, True]),
        (MIXED, [[0, 2], [3, 0]], [True, False]),
        (MIXED, [[0, 1], [3, 0]], [False, False]),
    ],
)
def test_a_swap_stays_where_sites_are_alike(
    space: str, rows: list[list[int]], proved: list[bool]
) -> None:
    assert proofs(operator(SWAP, space, rows)) == proved


def test_joint_values_of_two_sites() -> None:
    # n + m <= 1 bounds n + m, though neither n nor m is bounded alone
    total = READ_I + READ_J + "%v = stablehlo.add %n, %m : tensor<f64>\n"
    bounded = f"{total}%p = {compare('LE', '%v', '%one')}\n{WRITE}{EMIT_IF}"
    assert proofs(operator(bounded, QUBIT, [[0, 1]])) == [True]
    assert proofs(operator(total + WRITE + EMIT, QUBIT, [[0, 1]])) == [False]


def test_equal_sites_hold_equal_values() -> None:
    # n - m + 1 is 1 where i is j, and anything from 0 to 2 elsewhere
    body = (
        READ_I
        + READ_J
        + "%d = stablehlo.subtract %n, %m : tensor<f64>\n"
        + "%v = stablehlo.add %d, %one : tensor<f64>\n"
        + WRITE
        + EMIT
    )
    assert proofs(operator(body, QUBIT, [[0, 0], [1, 1]])) == [True]
    assert proofs(operator(body, QUBIT, [[0, 0], [0, 1]])) == [False]


# ---- hopping: a write that another one shadows ----

HOP = (
    READ_I
    + READ_J
    + f"""
      %ni = sym.index %i
      %nj = sym.index %j
      %same = {compare("EQ", "%ni", "%nj", "i32")}
      %down = stablehlo.subtract %n, %one : tensor<f64>
      %now = stablehlo.select %same, %down, %m : tensor<i1>, tensor<f64>
      %up = stablehlo.add %now, %one : tensor<f64>
      %a = sym.write %x[%i], %down : tensor<f64>
      %y = sym.write %a[%j], %up : tensor<f64>
    """
)
OCCUPIED = f"%p = {compare('GT', '%n', '%zero')}\n"
BOTH = (
    f"%q = {compare('GT', '%n', '%zero')}\n%r = {compare('LT', '%now', '%two')}\n"
    "%p = stablehlo.and %q, %r : tensor<i1>\n"
)


@pytest.mark.parametrize("rows", [[[0, 1], [1, 0]], [[0, 0], [0, 1]]])
def test_hopping(rows: list[list[int]]) -> None:
    assert proofs(operator(HOP + EMIT, FOCK, rows)) == [False, False]
    assert proofs(operator(HOP + OCCUPIED + EMIT_IF, FOCK, rows)) == [True, False]
    assert proofs(operator(HOP + BOTH + EMIT_IF, FOCK, rows)) == [True, True]


def test_a_write_that_is_shadowed_in_every_row_may_be_anything() -> None:
    # n - 1 leaves the space, but is never what x' ends up with; n - 1 + 1 is n
    assert proofs(operator(HOP + EMIT, FOCK, [[0, 0], [1, 1]])) == [True, True]


# ---- data and indices ----


def test_data_columns() -> None:
    def proved(values: str, value: str = "%v = stablehlo.add %J, %zero : tensor<f64>"):
        return written(value, QUBIT, [[0], [1], [1]], data=[("J", values, "f64")])

    assert proved("[0.0, 1.0, 0.0]")
    assert not proved("[0.0, 1.0, 2.0]")
    assert not proved("[0.5, 1.0, 0.0]")
    # in every row another bound
    guarded = f"{UP}%p = {compare('LT', '%n', '%J')}"
    assert proved("[1.0, 1.0, 0.0]", guarded)
    assert not proved("[1.0, 2.0, 0.0]", guarded)


def test_a_column_of_booleans_excludes_rows() -> None:
    def proved(values: str) -> bool:
        guarded = (
            "%v = stablehlo.add %J, %zero : tensor<f64>\n"
            "%p = stablehlo.and %on, %on : tensor<i1>"
        )
        data = [("J", "[0.0, 7.0]", "f64"), ("on", values, "i1")]
        return written(guarded, QUBIT, [[0], [1]], data=data)

    assert proved("[true, false]")
    assert not proved("[true, true]")
    assert not proved("[false, true]")


def test_rows_with_zeros_of_either_sign_are_told_apart() -> None:
    # 1 / J > 0 holds in the second row only, which then leaves the space
    guarded = (
        "%v = stablehlo.add %n, %two : tensor<f64>\n"
        "%r = stablehlo.divide %one, %J : tensor<f64>\n"
        f"%p = {compare('GT', '%r', '%zero')}"
    )
    rows = [[0], [0]]
    for values in ("[-0.0, 0.0]", "[0.0, -0.0]", "[0.0, 0.0]"):
        assert not written(guarded, QUBIT, rows, data=[("J", values, "f64")])
    assert written(guarded, QUBIT, rows, data=[("J", "[-0.0, -0.0]", "f64")])


def test_parts_of_complex_data() -> None:
    body = f"""
      {READ_I}
      %re = stablehlo.real %J : (tensor<complex<f64>>) -> tensor<f64>
      %v = stablehlo.imag %J : (tensor<complex<f64>>) -> tensor<f64>
      %p = {compare("GT", "%re", "%zero")}
      {WRITE}
      sym.emit %y, %J if %p : tensor<complex<f64>>
    """

    def proved(values: str) -> list[bool]:
        data = [("J", values, "complex<f64>")]
        module = operator(body, QUBIT, [[0], [0]], element="complex<f64>", data=data)
        return proofs(module)

    assert proved("[(1.0, 1.0), (-1.0, 7.0)]") == [True]
    assert proved("[(1.0, 1.0), (1.0, 7.0)]") == [False]


def test_numbers_of_sites() -> None:
    value = (
        "%s = sym.index %i\n%v = stablehlo.convert %s : (tensor<i32>) -> tensor<f64>"
    )
    assert written(value, "4 x [0, 1]", [[0], [1]])
    assert not written(value, "4 x [0, 1]", [[0], [2]])
    even = (
        "%s = sym.index %i\n%t = stablehlo.constant dense<2> : tensor<i32>\n"
        "%r = stablehlo.remainder %s, %t : tensor<i32>\n"
        "%v = stablehlo.convert %r : (tensor<i32>) -> tensor<f64>"
    )
    assert written(even, "4 x [0, 1]", [[0], [1], [2], [3]])


def test_an_index_and_an_equality_of_the_same_sites() -> None:
    value = READ_J + (
        "%s = sym.index %i\n%t = sym.index %j\n"
        f"%p = {compare('NE', '%s', '%t', 'i32')}\n"
        "%d = stablehlo.subtract %s, %t : tensor<i32>\n"
        "%e = stablehlo.abs %d : tensor<i32>\n"
        "%v = stablehlo.convert %e : (tensor<i32>) -> tensor<f64>"
    )
    # the distance is 1 where it is not 0
    assert written(value, "4 x [1, 3]", [[0, 1], [2, 2], [3, 2]])
    assert not written(value, "4 x [1, 3]", [[0, 1], [2, 2], [3, 1]])


# ---- where it gives up ----


def test_too_many_points() -> None:
    def largest_of(reads: int) -> bool:
        sites = [f"%s{k}" for k in range(reads)]
        lines = [f"%n{k} = sym.read %x[{s}] : tensor<f64>" for k, s in enumerate(sites)]
        lines += [
            f"%m{k + 1} = stablehlo.maximum %{'m' if k else 'n'}{k}, %n{k + 1} "
            ": tensor<f64>"
            for k in range(reads - 1)
        ]
        labels = ", ".join(f"{site}: !sym.site" for site in sites)
        body = "\n    ".join(lines)
        module = parse_module(f"""
sym.operator @o() space #sym.space<8 x [0, 1, 2, 3, 4, 5]> element f64 {{
  sym.term @t over #sym.rows<{list(range(reads))}> {{
  ^bb0(%x: !sym.config, {labels}):
    {body}
    %y = sym.write %x[%s0], %m{reads - 1} : tensor<f64>
    sym.emit %y, %n0 : tensor<f64>
  }}
}}
""")
        return proofs(module) == [True]

    assert 6**6 <= range_analysis.MAX_POINTS < 6**7
    assert largest_of(6)
    assert not largest_of(7)


def test_the_number_of_rows_does_not_count_where_they_are_alike(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(range_analysis, "MAX_POINTS", 4)
    flip = "%v = stablehlo.subtract %one, %n : tensor<f64>"
    assert written(flip, "64 x [0, 1]", [[k] for k in range(64)])
    # of what follows from the numbers of sites only the outcome counts
    number = (
        "%s = sym.index %i\n%f = stablehlo.convert %s : (tensor<i32>) -> tensor<f64>\n"
    )
    alike = (
        number + "%z = stablehlo.constant dense<0.0> : tensor<f64>\n"
        "%m = stablehlo.multiply %f, %z : tensor<f64>\n"
        "%v = stablehlo.add %n, %m : tensor<f64>"
    )
    assert written(alike, "64 x [0, 1]", [[k] for k in range(64)])
    # here each of them is a kind of its own
    numbered = (
        number + "%m = stablehlo.add %n, %f : tensor<f64>\n"
        "%v = stablehlo.subtract %m, %f : tensor<f64>"
    )
    assert written(numbered, "64 x [0, 1]", [[0], [1]])
    assert not written(numbered, "64 x [0, 1]", [[0], [1], [2]])


def test_a_predicate_excludes_rows_by_the_numbers_of_their_sites() -> None:
    value = (
        "%s = sym.index %i\n%t = stablehlo.constant dense<2> : tensor<i32>\n"
        "%r = stablehlo.remainder %s, %t : tensor<i32>\n"
        "%f = stablehlo.convert %r : (tensor<i32>) -> tensor<f64>\n"
        "%v = stablehlo.add %n, %f : tensor<f64>\n"
    )
    below = f"{value}%p = {compare('LT', '%s', '%t', 'i32')}"
    even = f"{value}%p = {compare('NE', '%f', '%one')}"
    assert not written(value, "4 x [0, 1]", [[0], [1], [2]])
    assert not written(below, "4 x [0, 1]", [[0], [1], [2]])
    assert written(below, "4 x [0, 1]", [[0], [2], [3]])
    assert written(even, "4 x [0, 1]", [[0], [1], [2], [3]])


def test_a_term_without_rows_never_leaves() -> None:
    module = operator(READ_I + UP + WRITE + EMIT, QUBIT, [[0]])
    term = term_of(module)
    term.rows = sym.RowsAttr(sym.RowTable(0, 1, b""))
    assert proofs(module) == [True]


def test_a_computed_site_is_unknown() -> None:
    module = operator(
        f"{READ_I}%v = stablehlo.negate %n : tensor<f64>\n{WRITE}{EMIT}", SPIN, [[0]]
    )
    term = term_of(module)
    computed = xdsl_test.TestOp(result_types=[sym.SiteType()])
    first = term.body.block.first_op
    assert first is not None
    term.body.block.insert_op_before(computed, first)
    assert proofs(module) == [True]
    # a read there may be of any site, and a write there too
    (read,) = (op for op in term.body.block.ops if isinstance(op, sym.ReadOp))
    read.operands[1] = computed.results[0]
    assert proofs(module) == [False]
    (write,) = (op for op in term.body.block.ops if isinstance(op, sym.WriteOp))
    read.operands[1] = write.operands[1] = computed.results[0]
    assert proofs(module) == [False]
