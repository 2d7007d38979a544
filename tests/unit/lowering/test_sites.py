"""Which labels name the same site, the chain of writes, and what normal form is."""

from __future__ import annotations

import pytest
from xdsl.dialects import test as xdsl_test

from dialects import sym
from dialects.text import parse_module
from lowering.analysis.sites import (
    Alias,
    alias,
    column_of,
    normal_form_error,
    writes_of,
)

ROWS = "[0, 0, 0, 1], [1, 1, 2, 2], [2, 2, 1, 0]"

BODY = """
    %v = stablehlo.constant dense<1.0> : tensor<f64>
    %y = sym.write %x[%i], %v : tensor<f64>
    %z = sym.write %y[%k], %v : tensor<f64>
    sym.emit %z, %v : tensor<f64>
"""


def term(rows: str = ROWS, body: str = BODY) -> sym.TermOp:
    module = parse_module(f"""
sym.operator @o() space #sym.space<3 x [0, 1]> element f64 {{
  sym.term @t over #sym.rows<{rows}> {{
  ^bb0(%x: !sym.config, %i: !sym.site, %j: !sym.site, %k: !sym.site, %l: !sym.site):
    {body}
  }}
}}
""")
    (found,) = (op for op in module.walk() if isinstance(op, sym.TermOp))
    return found


def test_alias_is_decided_over_all_rows() -> None:
    found = term()
    i, j, k, l = found.sites  # noqa: E741
    assert alias(found, i, i) is Alias.ALWAYS
    assert alias(found, i, j) is alias(found, j, i) is Alias.ALWAYS
    assert alias(found, i, k) is alias(found, k, i) is Alias.SOMETIMES
    assert alias(found, i, l) is alias(found, l, i) is Alias.NEVER
    assert alias(found, k, l) is Alias.SOMETIMES


def test_alias_without_rows() -> None:
    found = term("0 x 4")
    i, j, *_ = found.sites
    assert alias(found, i, i) is Alias.ALWAYS
    # No row contradicts either answer; a chain keeps both writes
    assert alias(found, i, j) is Alias.NEVER


def test_a_computed_site_may_be_any() -> None:
    found = term()
    computed = xdsl_test.TestOp(result_types=[sym.SiteType()]).results[0]
    assert column_of(found, computed) is None
    assert alias(found, found.sites[0], computed) is Alias.SOMETIMES
    assert alias(found, computed, computed) is Alias.ALWAYS


def test_columns_are_those_of_the_table() -> None:
    found = term()
    columns = [column_of(found, site) for site in found.sites]
    listed = [column.tolist() for column in columns if column is not None]
    assert listed == [[0, 1, 2], [0, 1, 2], [0, 2, 1], [1, 2, 0]]


def test_writes_are_listed_from_the_first() -> None:
    found = term()
    (emission,) = found.emissions
    assert [write.site for write in writes_of(emission.config)] == [
        found.sites[0],
        found.sites[2],
    ]
    assert writes_of(found.source) == []


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("%u = sym.read %x[%i] : tensor<f64>", None),
        ("%u = sym.read %y[%i] : tensor<f64>", "reads a configuration other than"),
        ("%u = sym.shift %y[%i] by %v : tensor<f64>", "still holds 'sym.shift'"),
        ("%u = sym.swap %x[%i, %j]", "still holds 'sym.swap'"),
        ("%u = sym.select %p, %x, %y", "still holds 'sym.select'"),
    ],
)
def test_normal_form(line: str, message: str | None) -> None:
    p = "%p = stablehlo.constant dense<true> : tensor<i1>"
    error = normal_form_error(term(body=f"{p}\n{BODY}\n{line}"))
    if message is None:
        assert error is None
    else:
        assert error is not None
        assert error.startswith("term @t ")
        assert message in error
