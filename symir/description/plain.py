"""An operator as plain data: lists, dictionaries, strings and numbers."""

from __future__ import annotations

import hashlib
from typing import Any, cast

import numpy.typing as npt
from xdsl.dialects.builtin import DenseIntOrFPElementsAttr, TensorType
from xdsl.ir import Attribute, SSAValue

from dialects import stablehlo, sym
from symir.operator.terms import term_of
from symir.plain_text import as_json


def as_plain(operator: sym.OperatorOp, *, tables: bool) -> dict[str, Any]:
    """Return what an operator says as lists, dictionaries, strings and numbers.

    `SymbolicOperatorIR.as_dict` tells what is in it.
    """
    space = operator.space.data
    return {
        "name": operator.sym_name.data,
        "sites": space.sites,
        "local_states": [list(states) for states in space.local_states],
        "sums": [
            {"weights": list(conserved.weights), "total": conserved.total}
            for conserved in space.sums
        ],
        "dtype": stablehlo.dtype_of(operator.element).name,
        "hermitian": operator.declared_hermitian,
        "projected": operator.projected is not None,
        "parameters": [
            _plain_parameter(operator, k) for k in range(len(operator.parameter_names))
        ],
        "terms": [_plain_term(term, tables=tables) for term in operator.terms],
    }


def _plain_parameter(operator: sym.OperatorOp, k: int) -> dict[str, Any]:
    default = operator.defaults.data[k]
    has_default = isinstance(default, DenseIntOrFPElementsAttr)
    return {
        "name": operator.parameter_names.data[k].data,
        "dtype": dtype_name(operator.body.block.args[k]),
        "default": as_json(stablehlo.to_numpy(default)) if has_default else None,
    }


def dtype_name(value: SSAValue) -> str:
    kind = cast(TensorType[Attribute], value.type).element_type
    return stablehlo.dtype_of(kind).name


def _plain_term(term: sym.TermOp, *, tables: bool) -> dict[str, Any]:
    summary = term_of(term)
    rows = summary.rows
    sets = term.body.block.args[1 + rows.labels + len(term.data_columns) :]
    return {
        "name": summary.name,
        "labels": list(summary.labels),
        "rows": _plain_table(rows.array, list(rows) if tables else None),
        "columns": [
            _plain_column(column, tables=tables) for column in term.data_columns
        ],
        "sets": [
            {
                "name": argument.name_hint or f"set{k}",
                **_plain_table(table.data.array, list(table.data) if tables else None),
            }
            for k, (argument, table) in enumerate(
                zip(sets, term.site_sets, strict=True)
            )
        ],
        "emissions": [{"tag": tag} for tag in summary.tags],
        "fanout": summary.fanout,
    }


def _plain_column(column: sym.ColumnAttr, *, tables: bool) -> dict[str, Any]:
    values = stablehlo.to_numpy(column.values)
    return {
        "name": column.label.data,
        "dtype": values.dtype.name,
        **_plain_table(values, as_json(values) if tables else None),
    }


def _plain_table(array: npt.NDArray[Any], values: Any) -> dict[str, Any]:
    digest = hashlib.sha256(array.tobytes()).hexdigest()
    table = {"count": len(array), "sha256": digest}
    return table if values is None else {**table, "values": values}
