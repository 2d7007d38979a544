"""The `sym` dialect: a quantum operator as a physicist writes it.

An operator is a list of terms. A term iterates over the rows of a table; for each row
it reads the source configuration x, builds a connected configuration x' and emits it
with the matrix element <x|O|x'>. Configurations are immutable SSA values, so *which*
configuration is read is plain from the operand, and every op but `sym.emit` is pure.
Scalar mathematics is StableHLO on 0-d tensors.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import combinations, pairwise
from typing import ClassVar, Protocol, TypeVar, cast

import numpy as np
import numpy.typing as npt
from xdsl.dialects.builtin import (
    I1,
    I64,
    ArrayAttr,
    ComplexType,
    DenseIntOrFPElementsAttr,
    Float32Type,
    Float64Type,
    IntegerAttr,
    StringAttr,
    SymbolNameConstraint,
    TensorType,
    UnitAttr,
    i1,
    i32,
    i64,
)
from xdsl.dialects.utils import EnumAttribute
from xdsl.interfaces import HasCanonicalizationPatternsInterface
from xdsl.ir import (
    Attribute,
    Block,
    Data,
    Dialect,
    Operation,
    ParametrizedAttribute,
    Region,
    SpacedOpaqueSyntaxAttribute,
    SSAValue,
    TypeAttribute,
)
from xdsl.irdl import (
    AnyAttr,
    AttrSizedOperandSegments,
    IRDLOperation,
    MessageConstraint,
    VarConstraint,
    eq,
    irdl_attr_definition,
    irdl_op_definition,
    operand_def,
    opt_operand_def,
    opt_prop_def,
    param_def,
    prop_def,
    region_def,
    result_def,
    traits_def,
    var_operand_def,
)
from xdsl.parser import AttrParser, Parser
from xdsl.pattern_rewriter import RewritePattern
from xdsl.printer import Printer
from xdsl.traits import (
    HasParent,
    IsolatedFromAbove,
    IsTerminator,
    NoTerminator,
    OpTrait,
    Pure,
    SymbolOpInterface,
)
from xdsl.utils.exceptions import VerifyException

from dialects.origins import LaneOrigins, OriginsData
from dialects.reductions import ReductionKind
from dialects.stablehlo import (
    ELEMENTWISE,
    AddOp,
    MultiplyOp,
    NegateOp,
    SubtractOp,
    constant_of,
    dense,
    dtype_of,
    to_numpy,
)
from dialects.tables import (
    NO_SITE,
    BoolArray,
    IntArray,
    LocalSpace,
    RowTable,
    SiteSets,
    SiteSum,
)

# region Types and attributes

_INTEGERS_UP_TO = 2**53
"""Below it a float that is an integer is printed as one."""


@irdl_attr_definition
class ConfigType(ParametrizedAttribute, TypeAttribute):
    """A configuration of the lattice: one local value per site.

    It is immutable: a term has the source x as a block argument, and updates make
    others of it.
    """

    name = "sym.config"


@irdl_attr_definition
class SiteType(ParametrizedAttribute, TypeAttribute):
    """A site of the lattice: a label of a row, an element of a set, or a computed one.

    An element that its set does not have is no site: reading it gives 0, writing it
    changes nothing.
    """

    name = "sym.site"


@irdl_attr_definition
class SitesType(ParametrizedAttribute, TypeAttribute):
    """A set of sites, which a term has one of for each row; see `#sym.sets`."""

    name = "sym.sites"


def _parse_number(parser: AttrParser) -> float:
    return float(parser.parse_number(allow_boolean=False))


def _print_number(printer: Printer, value: float) -> None:
    if value.is_integer() and abs(value) < _INTEGERS_UP_TO:
        printer.print_string(str(int(value)))
        return
    mantissa, e, exponent = repr(float(value)).partition("e")
    # a float of MLIR has a point: 1e-05 would be read as 1
    point = "" if "." in mantissa else ".0"
    printer.print_string(f"{mantissa}{point}{e}{exponent}")


@irdl_attr_definition
class SpaceAttr(Data[LocalSpace]):
    """The number of sites and the allowed local values, per site where they differ.

    Printed `#sym.space<4 x [0, 1, 2]>`, or with one list per site where they differ:
    `#sym.space<2 x [0, 1], [0, 1, 2]>`. Conserved quantities follow: the sum of all
    local values in `#sym.space<4 x [0, 1], sum = 2>`, a weighted one in
    `#sym.space<4 x [0, 1], sum [1, 1, 0, 0] = 1>`.
    """

    name = "sym.space"

    @classmethod
    def parse_parameter(cls, parser: AttrParser) -> LocalSpace:
        with parser.in_angle_brackets():
            position = parser.pos
            sites = parser.parse_integer(allow_boolean=False, allow_negative=False)
            parser.parse_keyword("x")
            parts = parser.parse_comma_separated_list(
                parser.Delimiter.NONE, lambda: _parse_space_part(parser, sites)
            )
        local_states = tuple(part for part in parts if not isinstance(part, SiteSum))
        sums = tuple(part for part in parts if isinstance(part, SiteSum))
        if parts != [*local_states, *sums]:
            parser.raise_error("local values come before sums", position, parser.pos)
        space = LocalSpace(sites, local_states, sums)
        if message := _space_error(space):
            parser.raise_error(message, position, parser.pos)
        return space

    def print_parameter(self, printer: Printer) -> None:
        with printer.in_angle_brackets():
            printer.print_string(f"{self.data.sites} x ")
            printer.print_list(
                self.data.local_states, lambda states: _print_numbers(printer, states)
            )
            for conserved in self.data.sums:
                printer.print_string(", ")
                _print_sum(printer, conserved)

    def verify(self) -> None:
        if message := _space_error(self.data):
            raise VerifyException(message)


def _parse_space_part(parser: AttrParser, sites: int) -> tuple[float, ...] | SiteSum:
    """Parse the local values of a site, or something that is conserved."""
    if parser.parse_optional_keyword("sum") is None:
        return _parse_numbers(parser)
    every = parser.parse_optional_punctuation("=") is not None
    weights = (1.0,) * sites if every else _parse_numbers(parser)
    if not every:
        parser.parse_punctuation("=")
    return SiteSum(weights, _parse_number(parser))


def _parse_numbers(parser: AttrParser) -> tuple[float, ...]:
    return tuple(
        parser.parse_comma_separated_list(
            parser.Delimiter.SQUARE, lambda: _parse_number(parser)
        )
    )


def _print_numbers(printer: Printer, values: Sequence[float]) -> None:
    with printer.in_square_brackets():
        printer.print_list(values, lambda value: _print_number(printer, value))


def _print_sum(printer: Printer, conserved: SiteSum) -> None:
    printer.print_string("sum ")
    if set(conserved.weights) != {1.0}:
        _print_numbers(printer, conserved.weights)
        printer.print_string(" ")
    printer.print_string("= ")
    _print_number(printer, conserved.total)


def _space_error(space: LocalSpace) -> str | None:
    """Say what is wrong with a space, or None."""
    if space.sites < 1:
        return f"a space needs at least one site, got {space.sites}"
    if len(space.local_states) not in (1, space.sites):
        return (
            "a space needs one list of local values, or one per site: "
            f"{space.sites} sites, {len(space.local_states)} lists"
        )
    for states in space.local_states:
        if not states:
            return "a site needs at least one local value"
        if not np.isfinite(states).all():
            return f"local values must be finite, got {list(states)}"
        if any(a >= b for a, b in pairwise(states)):
            return f"local values must ascend and differ, got {list(states)}"
    for conserved in space.sums:
        if len(conserved.weights) != space.sites:
            return (
                "a conserved sum has one weight for each site: "
                f"{space.sites} sites, {len(conserved.weights)} weights"
            )
        if not np.isfinite([*conserved.weights, conserved.total]).all():
            return f"a conserved sum must be finite, got {conserved}"
    return None


@irdl_attr_definition
class RowsAttr(Data[RowTable]):
    """The rows that a term iterates over: one site number per label.

    Printed `#sym.rows<[0, 1], [1, 2]>`; a term without labels has the single row
    `#sym.rows<[]>`; a table without rows is `#sym.rows<0 x 2>`. A printer that has an
    `elide_rows_over` attribute leaves out the middle of longer tables.
    """

    name = "sym.rows"

    @classmethod
    def parse_parameter(cls, parser: AttrParser) -> RowTable:
        with parser.in_angle_brackets():
            position = parser.pos
            count = parser.parse_optional_integer(allow_boolean=False)
            if count is not None:
                parser.parse_keyword("x")
                labels = parser.parse_integer(allow_boolean=False, allow_negative=False)
                if count != 0:
                    parser.raise_error(
                        "only a table without rows is written `0 x labels`",
                        position,
                        parser.pos,
                    )
                return RowTable(0, labels, b"")
            rows = parser.parse_comma_separated_list(
                parser.Delimiter.NONE, lambda: _parse_row(parser)
            )
            if len({len(row) for row in rows}) > 1:
                parser.raise_error("rows of unequal length", position, parser.pos)
            try:
                return RowTable.from_rows(rows, labels=len(rows[0]))
            except ValueError as error:
                parser.raise_error(str(error), position, parser.pos)

    def print_parameter(self, printer: Printer) -> None:
        with printer.in_angle_brackets():
            printer.print_string(self._text(getattr(printer, "elide_rows_over", None)))

    def _text(self, elide_over: int | None) -> str:
        table = self.data
        if not table.rows:
            return f"0 x {table.labels}"
        return _listed(table, elide_over)

    def verify(self) -> None:
        table = self.data
        if len(table.data) != 4 * table.rows * table.labels:
            raise VerifyException(
                f"a table of {table.rows} rows and {table.labels} labels cannot have "
                f"{len(table.data)} bytes"
            )


def _listed(table: RowTable | SiteSets, elide_over: int | None) -> str:
    """Return the rows as text; four are shown of a table that is elided."""
    if elide_over is None or table.rows <= max(elide_over, 4):
        return ", ".join(str(row) for row in table)
    shown = [str(table.row(k)) for k in range(3)]
    hidden = f"... {table.rows - 4} more ..."
    return ", ".join([*shown, hidden, str(table.row(table.rows - 1))])


def _parse_row(parser: AttrParser) -> list[int]:
    if parser.parse_optional_characters("...") is not None:
        parser.raise_error("elided rows cannot be parsed: print the table in full")
    return parser.parse_comma_separated_list(
        parser.Delimiter.SQUARE,
        lambda: parser.parse_integer(allow_boolean=False, allow_negative=True),
    )


@irdl_attr_definition
class SetsAttr(Data[SiteSets]):
    """Sets of sites, one for each row of a term: `#sym.sets<[0, 1, 4], [1, 2]>`.

    A printer with an `elide_rows_over` attribute leaves out the middle of long ones.
    """

    name = "sym.sets"

    @classmethod
    def parse_parameter(cls, parser: AttrParser) -> SiteSets:
        position = parser.pos
        sets = parser.parse_comma_separated_list(
            parser.Delimiter.ANGLE, lambda: _parse_row(parser)
        )
        try:
            return SiteSets.from_sets(sets)
        except ValueError as error:
            parser.raise_error(str(error), position, parser.pos)

    def print_parameter(self, printer: Printer) -> None:
        elide_over = getattr(printer, "elide_rows_over", None)
        with printer.in_angle_brackets():
            printer.print_string(_listed(self.data, elide_over))

    def verify(self) -> None:
        sets = self.data
        if len(sets.data) != 4 * sets.rows * sets.width:
            raise VerifyException(
                f"{sets.rows} sets of up to {sets.width} sites cannot have "
                f"{len(sets.data)} bytes"
            )
        missing = sets.array == NO_SITE
        if (missing[:, :-1] & ~missing[:, 1:]).any():
            raise VerifyException("sets of sites are padded at their ends only")


@irdl_attr_definition
class ReductionAttr(EnumAttribute[ReductionKind], SpacedOpaqueSyntaxAttribute):
    """Kind of a reduction: `sum`, or `#sym<reduction sum>`."""

    name = "sym.reduction"


@irdl_attr_definition
class ColumnAttr(ParametrizedAttribute):
    """Data of a term, one scalar per row.

    Printed `#sym.column<"J", dense<[0.5, 1.0]> : tensor<2xf64>>`.
    """

    name = "sym.column"

    label: StringAttr = param_def()
    values: DenseIntOrFPElementsAttr = param_def()

    def of_rows(self, kept: npt.NDArray[np.int64]) -> ColumnAttr:
        """Return the data of some rows, given by their numbers."""
        chosen = to_numpy(self.values)[kept]
        return ColumnAttr(self.label, dense(chosen, self.values.get_element_type()))


@irdl_attr_definition
class LanesAttr(OriginsData):
    """The origins of branches that have changed places: where each was at first.

    Printed `#sym.lanes<0, 3:6, 1:3 of 6>`, as `#bt.lanes`: the branches of the operator
    in their order, each with the number that it had.
    """

    name = "sym.lanes"


# endregion
# region Constraints

REAL_TYPES = (Float32Type(), Float64Type())
ELEMENT_TYPES = (*REAL_TYPES, *(ComplexType(t) for t in REAL_TYPES))
"""The element types of operators: the dtypes of the language are these."""
PARAMETER_TYPES = tuple(TensorType(t, []) for t in ELEMENT_TYPES)

NO_SHAPE: ArrayAttr = ArrayAttr(())
SCALAR = MessageConstraint(
    TensorType.constr(element_type=AnyAttr(), shape=eq(NO_SHAPE)),
    "expected a scalar, that is a tensor without dimensions",
)
PREDICATE: TensorType[I1] = TensorType(i1, [])
INDEX = TensorType(i32, [])


def real_type(element: Attribute) -> Attribute:
    """Return the type of real numbers that goes with an operator's element type."""
    if not isinstance(element, ComplexType):
        return element
    return cast(Attribute, element.element_type)


@cache
def _scalar(element: Attribute) -> TensorType[Attribute]:
    # verifiers ask so often that building it would cost a tenth of their time
    return TensorType(cast(TypeAttribute, element), [])


def operator_of(op: Operation) -> OperatorOp:
    """Return the operator around an op."""
    parent = op.parent_op()
    while parent is not None:
        if isinstance(parent, OperatorOp):
            return _complete(parent)
        parent = parent.parent_op()
    raise VerifyException(f"'{op.name}' must be inside of a sym.operator")


def term_of(op: Operation) -> TermOp:
    """Return the term around an op."""
    parent = op.parent_op()
    while parent is not None and not isinstance(parent, TermOp):
        parent = parent.parent_op()
    if parent is None:
        raise VerifyException(f"'{op.name}' must be inside of a sym.term")
    return parent


def _complete(operator: OperatorOp) -> OperatorOp:
    # an operator is verified after the ops inside of it, which read these two
    for name, kind in (("space", SpaceAttr), ("element", TypeAttribute)):
        if not isinstance(operator.properties.get(name), kind):
            raise VerifyException(f"the sym.operator has no property '{name}'")
    return operator


# endregion
# region Structure


@irdl_op_definition
class OperatorOp(IRDLOperation):
    """An operator: its parameters, space, element type, and its terms.

    The block arguments are the parameters (free symbols), each with the name that users
    bind it by and an optional default. `hermitian` and `not_hermitian` are the author's
    claims; without one of them nothing is said.

    A branch whose x' has another conserved sum than x is a mistake in the operator, and
    its matrix element is NaN, unless it is 0 anyway; in a `projected` operator such a
    branch is not valid.

    ```mlir
    sym.operator @tfim(%h "h" : tensor<f64> = dense<1.0>)
        space #sym.space<8 x [-1, 1]> element f64 hermitian {
      ...
    }
    ```
    """

    name = "sym.operator"

    sym_name = prop_def(SymbolNameConstraint())
    space = prop_def(SpaceAttr)
    element = prop_def(TypeAttribute)
    hermitian = opt_prop_def(UnitAttr)
    not_hermitian = opt_prop_def(UnitAttr)
    projected = opt_prop_def(UnitAttr)
    origins = opt_prop_def(LanesAttr)
    parameter_names = prop_def(ArrayAttr[StringAttr])
    defaults = prop_def(ArrayAttr[DenseIntOrFPElementsAttr | UnitAttr])
    """The default of each parameter; `unit` where it has none."""
    body = region_def("single_block")

    traits = traits_def(SymbolOpInterface(), IsolatedFromAbove(), NoTerminator())

    def __init__(
        self,
        name: str,
        space: SpaceAttr,
        element: TypeAttribute,
        body: Region | Block,
        *,
        hermitian: bool | None = None,
        projected: bool = False,
        parameter_names: Iterable[str] = (),
        defaults: Iterable[DenseIntOrFPElementsAttr | None] = (),
    ):
        super().__init__(
            properties={
                "sym_name": StringAttr(name),
                "space": space,
                "element": element,
                "hermitian": UnitAttr() if hermitian else None,
                "not_hermitian": UnitAttr() if hermitian is False else None,
                "projected": UnitAttr() if projected else None,
                "parameter_names": ArrayAttr(StringAttr(n) for n in parameter_names),
                "defaults": ArrayAttr(
                    UnitAttr() if default is None else default for default in defaults
                ),
            },
            regions=[body if isinstance(body, Region) else Region(body)],
        )

    @property
    def terms(self) -> tuple[TermOp, ...]:
        """The terms in order."""
        return tuple(cast(TermOp, op) for op in self.body.block.ops)

    @property
    def declared_hermitian(self) -> bool | None:
        """Claim of the author on Hermiticity; None where nothing is said."""
        if self.hermitian is not None:
            return True
        return None if self.not_hermitian is None else False

    def branch_origins(self) -> LaneOrigins:
        """Return where each branch was at first, before terms changed places."""
        if self.origins is not None:
            return self.origins.data
        branches = sum(term.branches for term in self.terms)
        return LaneOrigins.plain(range(branches), branches)

    def lane_origins(self) -> LaneOrigins:
        """Return the branches of each lane: any of its term where that has a fanout."""
        whole, first = self.branch_origins(), 0
        found: list[LaneOrigins] = []
        for term in self.terms:
            own = whole.picked(np.arange(first, first + term.branches))
            is_whole = term.lanes == term.branches
            found.append(own if is_whole else own.repeated(term.lanes))
            first += term.branches
        return LaneOrigins.joined(found)

    def print(self, printer: Printer) -> None:
        printer.print_string(" ")
        printer.print_symbol_name(self.sym_name.data)
        with printer.in_parens():
            printer.print_list(
                zip(
                    self.body.block.args,
                    self.parameter_names,
                    self.defaults,
                    strict=True,
                ),
                lambda parameter: _print_parameter(printer, *parameter),
            )
        printer.print_string(" space ")
        printer.print_attribute(self.space)
        printer.print_string(" element ")
        printer.print_attribute(self.element)
        if self.hermitian is not None:
            printer.print_string(" hermitian")
        if self.not_hermitian is not None:
            printer.print_string(" not_hermitian")
        if self.projected is not None:
            printer.print_string(" projected")
        if self.origins is not None:
            printer.print_string(" origins ")
            printer.print_attribute(self.origins)
        printer.print_op_attributes(self.attributes, print_keyword=True)
        printer.print_string(" ")
        printer.print_region(
            self.body, print_entry_block_args=False, print_empty_block=False
        )

    @classmethod
    def parse(cls, parser: Parser) -> OperatorOp:
        name = parser.parse_symbol_name().data
        parameters = parser.parse_comma_separated_list(
            parser.Delimiter.PAREN, lambda: _parse_parameter(parser)
        )
        parser.parse_keyword("space")
        space = parser.parse_attribute()
        if not isinstance(space, SpaceAttr):
            parser.raise_error(f"expected a #sym.space attribute, got {space}")
        parser.parse_keyword("element")
        element = parser.parse_type()
        hermitian = None
        if parser.parse_optional_keyword("hermitian") is not None:
            hermitian = True
        elif parser.parse_optional_keyword("not_hermitian") is not None:
            hermitian = False
        projected = parser.parse_optional_keyword("projected") is not None
        origins = None
        if parser.parse_optional_keyword("origins") is not None:
            origins = parser.parse_attribute()
            if not isinstance(origins, LanesAttr):
                parser.raise_error(f"expected a #sym.lanes attribute, got {origins}")
        attributes = parser.parse_optional_attr_dict_with_keyword()
        body = parser.parse_region([argument for argument, _, _ in parameters])
        op = cls(
            name,
            space,
            element,
            body,
            hermitian=hermitian,
            projected=projected,
            parameter_names=[label for _, label, _ in parameters],
            defaults=[default for _, _, default in parameters],
        )
        op.origins = origins
        if attributes is not None:
            op.attributes |= attributes.data
        return op

    def verify_(self) -> None:
        if self.element not in ELEMENT_TYPES:
            *others, last = map(str, ELEMENT_TYPES)
            raise VerifyException(
                f"the element type of an operator is {', '.join(others)} or {last}, "
                f"got {self.element}"
            )
        if self.hermitian is not None and self.not_hermitian is not None:
            raise VerifyException("an operator is hermitian or not_hermitian, not both")
        self._verify_local_values()
        self._verify_parameters()
        names = set[str]()
        for op in self.body.block.ops:
            if not isinstance(op, TermOp):
                raise VerifyException(
                    f"an operator holds sym.term ops only, got '{op.name}'"
                )
            if op.sym_name.data in names:
                raise VerifyException(f"two terms are named @{op.sym_name.data}")
            names.add(op.sym_name.data)
        self._verify_origins()

    def _verify_origins(self) -> None:
        if self.origins is None:
            return
        branches = sum(term.branches for term in self.terms)
        numbers, lengths = self.origins.data.ragged
        is_single = self.origins.data.branches == branches and (lengths == 1).all()
        if not is_single or not np.array_equal(np.sort(numbers), np.arange(branches)):
            raise VerifyException(
                f"'origins' must name each of the {branches} branches of "
                f"@{self.sym_name.data} once"
            )

    def _verify_local_values(self) -> None:
        real = real_type(self.element)
        for states in self.space.data.kinds[0]:
            with np.errstate(over="ignore"):
                rounded = np.array(states).astype(dtype_of(real))
            if not np.isfinite(rounded).all() or len(set(rounded.tolist())) < len(
                states
            ):
                raise VerifyException(
                    f"{real} cannot tell apart all of the local values "
                    f"{', '.join(f'{value:.17g}' for value in states[:8])}"
                    f"{', ..' if len(states) > 8 else ''}"
                )

    def _verify_parameters(self) -> None:
        arguments = self.body.block.args
        names = [name.data for name in self.parameter_names]
        if not len(arguments) == len(names) == len(self.defaults):
            raise VerifyException(
                f"{len(arguments)} parameters, {len(names)} names, "
                f"{len(self.defaults)} defaults"
            )
        if len(set(names)) != len(names):
            raise VerifyException(f"two parameters share a name: {names}")
        scalars = (real_type(self.element), self.element)
        for name, argument, default in zip(
            names, arguments, self.defaults, strict=True
        ):
            if argument.type not in list(map(_scalar, scalars)):
                raise VerifyException(
                    f'parameter "{name}" must be a scalar of the element type '
                    f"{self.element}, got {argument.type}"
                )
            if isinstance(default, UnitAttr):
                continue
            if default.type != argument.type:
                raise VerifyException(
                    f'the default of parameter "{name}" has type {default.type}, '
                    f"expected {argument.type}"
                )


Parameter = tuple[Parser.Argument, str, DenseIntOrFPElementsAttr | None]


def _parse_parameter(parser: Parser) -> Parameter:
    unresolved = parser.parse_argument(expect_type=False)
    label = parser.parse_str_literal()
    parser.parse_punctuation(":")
    kind = parser.parse_type()
    default = None
    if parser.parse_optional_punctuation("=") is not None:
        parser.parse_keyword("dense")
        if kind not in PARAMETER_TYPES:
            parser.raise_error(f"a parameter of type {kind} cannot have a default")
        default = parser.parse_dense_int_or_fp_elements_attr(
            PARAMETER_TYPES[PARAMETER_TYPES.index(kind)]
        )
    return unresolved.resolve(kind), label, default


def _print_parameter(
    printer: Printer,
    argument: SSAValue,
    label: StringAttr,
    default: DenseIntOrFPElementsAttr | UnitAttr,
) -> None:
    printer.print_ssa_value(argument)
    printer.print_string(" ")
    printer.print_string_literal(label.data)
    printer.print_string(" : ")
    printer.print_attribute(argument.type)
    if isinstance(default, UnitAttr):
        return
    printer.print_string(" = ")
    default.print_without_type(printer)


@irdl_op_definition
class TermOp(IRDLOperation, HasCanonicalizationPatternsInterface):
    """A part of an operator: the rows it iterates over, and what each row emits.

    The block arguments are the source configuration x, one site per label, one scalar
    per data column, and one set of sites per site set. `fanout` is a promise: no x has
    more valid branches than that, and they are compacted into so many lanes. Terms of
    one `group` become one, see `sym-fuse-terms`.

    ```mlir
    sym.term @flip over #sym.rows<[0], [1], [2]> {
    ^bb0(%x : !sym.config, %i : !sym.site):
      ...
    }
    ```
    """

    name = "sym.term"

    sym_name = prop_def(SymbolNameConstraint())
    rows = prop_def(RowsAttr)
    columns = opt_prop_def(ArrayAttr[ColumnAttr])
    sets = opt_prop_def(ArrayAttr[SetsAttr])
    fanout = opt_prop_def(IntegerAttr[I64])
    group = opt_prop_def(IntegerAttr[I64])
    body = region_def("single_block")

    traits = traits_def(HasParent(OperatorOp), NoTerminator(), SymbolOpInterface())

    assembly_format = (
        "$sym_name `over` qualified($rows) (`data` $columns^)? (`sets` $sets^)? "
        "(`fanout` $fanout^)? (`group` $group^)? attr-dict-with-keyword $body"
    )

    def __init__(
        self,
        name: str,
        rows: RowsAttr,
        body: Region | Block,
        columns: Sequence[ColumnAttr] = (),
        sets: Sequence[SetsAttr] = (),
        fanout: int | None = None,
    ):
        super().__init__(
            properties={
                "sym_name": StringAttr(name),
                "rows": rows,
                "fanout": None if fanout is None else IntegerAttr(fanout, i64),
                "columns": ArrayAttr(columns) if columns else None,
                "sets": ArrayAttr(sets) if sets else None,
            },
            regions=[body if isinstance(body, Region) else Region(body)],
        )

    @property
    def source(self) -> SSAValue:
        """The source configuration x."""
        return self.body.block.args[0]

    @property
    def sites(self) -> tuple[SSAValue, ...]:
        """The labels."""
        return tuple(self.body.block.args[1 : 1 + self.rows.data.labels])

    @property
    def data_columns(self) -> tuple[ColumnAttr, ...]:
        """The data columns, possibly none."""
        return self.columns.data if self.columns is not None else ()

    @property
    def site_sets(self) -> tuple[SetsAttr, ...]:
        """The site sets, possibly none."""
        return self.sets.data if self.sets is not None else ()

    def data_of(self, argument: SSAValue) -> DenseIntOrFPElementsAttr | None:
        """Return the data, one number per row, that a block argument stands for."""
        first = 1 + self.rows.data.labels
        for own, column in zip(
            self.body.block.args[first:], self.data_columns, strict=False
        ):
            if own is argument:
                return column.values
        return None

    def set_of(self, argument: SSAValue) -> SiteSets | None:
        """Return the sets that a block argument stands for, or None."""
        first = 1 + self.rows.data.labels + len(self.data_columns)
        for own, sets in zip(self.body.block.args[first:], self.site_sets, strict=True):
            if own is argument:
                return sets.data
        return None

    @property
    def emissions(self) -> tuple[EmitOp, ...]:
        """The emissions in order."""
        return tuple(op for op in self.body.block.ops if isinstance(op, EmitOp))

    @property
    def branches(self) -> int:
        """The number of branches of each x, valid or not: rows times emissions."""
        return self.rows.data.rows * len(self.emissions)

    @property
    def lanes(self) -> int:
        """The number of lanes: that of the branches, or the smaller fanout."""
        if self.fanout is None:
            return self.branches
        return min(self.branches, self.fanout.value.data)

    @classmethod
    def get_canonicalization_patterns(cls) -> tuple[RewritePattern, ...]:
        from dialects.canonicalization.sym import DropEmptyTerm

        return (DropEmptyTerm(),)

    def verify_(self) -> None:
        operator = operator_of(self)
        self._verify_arguments()
        self._verify_rows(operator.space.data)
        self._verify_scalars(operator.element)
        if not self.emissions:
            raise VerifyException(f"term @{self.sym_name.data} emits nothing")
        if self.fanout is not None and self.fanout.value.data < 1:
            raise VerifyException(
                f"the fanout of term @{self.sym_name.data} is at least 1, "
                f"got {self.fanout.value.data}"
            )

    def _verify_arguments(self) -> None:
        name, rows = self.sym_name.data, self.rows.data
        expected: list[Attribute] = [ConfigType(), *[SiteType()] * rows.labels]
        labels = [column.label.data for column in self.data_columns]
        if len(set(labels)) < len(labels):
            raise VerifyException(f"two data of term @{name} share a name: {labels}")
        for column in self.data_columns:
            shape = column.values.get_shape()
            if shape != (rows.rows,):
                raise VerifyException(
                    f'data "{column.label.data}" of term @{name} has shape '
                    f"{list(shape)}, expected one value for each of {rows.rows} rows"
                )
            expected.append(_scalar(column.values.get_element_type()))
        for k, sets in enumerate(self.site_sets):
            if sets.data.rows != rows.rows:
                raise VerifyException(
                    f"site set {k} of term @{name} has {sets.data.rows} entries, "
                    f"expected one for each of {rows.rows} rows"
                )
            expected.append(SitesType())
        found = [argument.type for argument in self.body.block.args]
        if found != expected:
            raise VerifyException(
                f"term @{name} must have the block arguments "
                f"({', '.join(map(str, expected))}), "
                f"got ({', '.join(map(str, found))})"
            )

    def _verify_rows(self, space: LocalSpace) -> None:
        table = self.rows.data.array
        self._verify_sites("row", table, (table < 0) | (table >= space.sites), space)
        for sets in self.site_sets:
            table = sets.data.array
            outside = (table < NO_SITE) | (table >= space.sites)
            self._verify_sites("the site set of row", table, outside, space)

    def _verify_sites(
        self, what: str, table: IntArray, outside: BoolArray, space: LocalSpace
    ) -> None:
        if not outside.any():
            return
        row = int(np.argmax(outside.any(axis=1)))
        raise VerifyException(
            f"{what} {row} of term @{self.sym_name.data} is {table[row].tolist()}, "
            f"but the lattice has sites 0 to {space.sites - 1}"
        )

    def _verify_scalars(self, element: Attribute) -> None:
        types = (i1, i32, real_type(element), element)
        allowed = set(map(_scalar, types))
        first = 1 + len(self.sites)
        arguments = self.body.block.args[first : first + len(self.data_columns)]
        for column, argument in zip(self.data_columns, arguments, strict=True):
            if argument.type not in allowed:
                raise VerifyException(
                    f'data "{column.label.data}" of term @{self.sym_name.data} is '
                    f"{argument.type} in an operator with element type {element}"
                )
        for op in self.body.block.walk():
            if not _is_of_terms(type(op)):
                raise VerifyException(
                    f"term @{self.sym_name.data} holds '{op.name}': a term holds sym "
                    "and elementwise StableHLO"
                )
            for value in (*op.operands, *op.results):
                kind = value.type
                if not isinstance(kind, TensorType) or kind in allowed:
                    continue
                raise VerifyException(
                    f"'{op.name}' in term @{self.sym_name.data} computes with {kind} "
                    f"in an operator with element type {element}: a term computes with "
                    f"scalars of {', '.join(map(str, dict.fromkeys(types)))}"
                )


@cache
def _is_of_terms(kind: type[Operation]) -> bool:
    """Whether a term may hold an op."""
    if kind.name in ELEMENTWISE:
        return True
    return issubclass(kind, SymPureOp | EmitOp | YieldOp)


@irdl_op_definition
class EmitOp(IRDLOperation, HasCanonicalizationPatternsInterface):
    """Contribute the branch (x', <x|O|x'>) for each row whose predicate holds.

    ```mlir
    sym.emit %y, %amplitude if %p tag "hop" : tensor<f64>
    ```
    """

    name = "sym.emit"

    config = operand_def(ConfigType())
    amplitude = operand_def(SCALAR)
    predicate = opt_operand_def(eq(PREDICATE))
    tag = opt_prop_def(StringAttr)

    traits = traits_def(HasParent(TermOp))

    assembly_format = (
        "$config `,` $amplitude (`if` $predicate^)? (`tag` $tag^)? attr-dict "
        "`:` type($amplitude)"
    )

    def __init__(
        self,
        config: SSAValue,
        amplitude: SSAValue,
        predicate: SSAValue | None = None,
        tag: str | StringAttr | None = None,
    ):
        super().__init__(
            operands=[config, amplitude, predicate],
            properties={"tag": StringAttr(tag) if isinstance(tag, str) else tag},
        )

    @classmethod
    def get_canonicalization_patterns(cls) -> tuple[RewritePattern, ...]:
        from dialects.canonicalization.sym import DropTruePredicate

        return (DropTruePredicate(),)

    def verify_(self) -> None:
        element = operator_of(self).element
        kind = cast(TensorType[Attribute], self.amplitude.type).element_type
        if kind != element:
            raise VerifyException(
                f"the amplitude has type {self.amplitude.type}, expected a scalar of "
                f"the operator's element type {element}"
            )


# endregion
# region Reads


def _verify_local_value(op: Operation, kind: Attribute) -> None:
    real = real_type(operator_of(op).element)
    if kind != _scalar(real):
        raise VerifyException(
            f"'{op.name}' takes local values as tensor<{real}>, got {kind}"
        )


@dataclass(frozen=True)
class TakesLocalValue(OpTrait):
    """An operand or result of this name is of the type of local values."""

    name: str

    def verify(self, op: Operation) -> None:
        _verify_local_value(op, getattr(op, self.name).type)


class SymPureOp(IRDLOperation):
    """Base of everything without effects."""

    traits = traits_def(Pure())


@irdl_op_definition
class ReadOp(SymPureOp, HasCanonicalizationPatternsInterface):
    """The local value c[i] of a configuration.

    ```mlir
    %v = sym.read %c[%i] : tensor<f64>
    ```
    """

    name = "sym.read"

    config = operand_def(ConfigType())
    site = operand_def(SiteType())
    result = result_def(SCALAR)

    traits = traits_def(TakesLocalValue("result"))

    assembly_format = "$config `[` $site `]` attr-dict `:` type($result)"

    def __init__(self, config: SSAValue, site: SSAValue, result_type: Attribute):
        super().__init__(operands=[config, site], result_types=[result_type])

    @classmethod
    def get_canonicalization_patterns(cls) -> tuple[RewritePattern, ...]:
        from dialects.canonicalization.sym import ForwardWriteToRead

        return (ForwardWriteToRead(),)


@irdl_op_definition
class IndexOp(SymPureOp):
    """The number of a site.

    ```mlir
    %n = sym.index %i
    ```
    """

    name = "sym.index"

    site = operand_def(SiteType())
    result = result_def(INDEX)

    assembly_format = "$site attr-dict"

    def __init__(self, site: SSAValue):
        super().__init__(operands=[site], result_types=[INDEX])


@irdl_op_definition
class AllowedOp(SymPureOp):
    """Whether a value is an allowed local value of a site of the operator's space.

    ```mlir
    %ok = sym.allowed %v at %i : tensor<f64>
    ```
    """

    name = "sym.allowed"

    value = operand_def(SCALAR)
    site = operand_def(SiteType())
    result = result_def(PREDICATE)

    traits = traits_def(TakesLocalValue("value"))

    assembly_format = "$value `at` $site attr-dict `:` type($value)"

    def __init__(self, value: SSAValue, site: SSAValue):
        super().__init__(operands=[value, site], result_types=[PREDICATE])


# endregion
# region Updates

_T = TypeVar("_T")


class Adding(Protocol):
    """A place in a term where ops are added."""

    def add(self, op: Operation) -> SSAValue:
        """Add an op and return its result."""
        ...


class Undoing(Adding, Protocol):
    """A place in the adjoint of a term, where updates of the term are undone."""

    @property
    def is_exact(self) -> bool:
        """Whether local values are added and subtracted without rounding."""
        ...

    def is_fixed(self, value: SSAValue) -> bool:
        """Whether a value of the term is the same for x and x'."""
        ...

    def is_apart(self, a: SSAValue, b: SSAValue) -> bool:
        """Whether two sites of the term differ in every row."""
        ...

    def copy(self, value: SSAValue) -> SSAValue:
        """Return the value in the adjoint of a fixed one of the term."""
        ...

    def read(self, config: SSAValue, site: SSAValue) -> SSAValue:
        """Return the local value at a site of the adjoint."""
        ...

    def solved(self, write: WriteOp, written: SSAValue) -> SSAValue | None:
        """Return the local value for which an op writes another one, or None."""
        ...


class Notation(Protocol[_T]):
    """Formulas as a reader sees them."""

    def of(self, value: SSAValue, /) -> _T:
        """Return the formula of a value."""
        ...

    def plus(self, a: _T, b: _T) -> _T:
        """Return a sum."""
        ...

    def times(self, a: _T, b: _T) -> _T:
        """Return a product."""
        ...

    def moved(self, old: _T, amount: _T) -> _T:
        """Return a sum that may be told as a change, `y[i] += d`."""
        ...

    def call(self, function: str, *arguments: _T) -> _T:
        """Return a function of formulas."""
        ...


class UpdateInterface(Operation, ABC):
    """A kind of update: an op that changes the local values of some sites.

    Its operands are the configuration that it changes, the sites, and then values. What
    it computes is said by the interpreter, all that else is asked of it here.
    """

    @property
    def before(self) -> SSAValue:
        """The configuration that is changed."""
        return self.operands[0]

    @property
    def changed(self) -> tuple[SSAValue, ...]:
        """The sites whose local values change."""
        return tuple(v for v in self.operands if isinstance(v.type, SiteType))

    @abstractmethod
    def expand(self, at: Adding) -> SSAValue | None:
        """Return the same configuration, by reads and writes; None for a write."""

    @abstractmethod
    def formula(self, old: Sequence[_T], notation: Notation[_T]) -> Sequence[_T]:
        """Return what is written to each site that changes, of the values before."""

    def inverse(
        self, after: SSAValue, sites: Sequence[SSAValue], at: Undoing
    ) -> SSAValue | None:
        """Return the configuration that this update leads to another one from.

        `sites` are those that change, in the adjoint. None where it is not known:
        all local values are tried then.
        """
        return None

    def read(self, site: SSAValue, at: Adding) -> SSAValue:
        """Return the local value of a site before the change."""
        return at.add(
            ReadOp(self.before, site, _scalar(real_type(operator_of(self).element)))
        )


@irdl_op_definition
class WriteOp(SymPureOp, UpdateInterface, HasCanonicalizationPatternsInterface):
    """The configuration c with c[i] = v.

    ```mlir
    %d = sym.write %c[%i], %v : tensor<f64>
    ```
    """

    name = "sym.write"

    config = operand_def(ConfigType())
    site = operand_def(SiteType())
    value = operand_def(SCALAR)
    result = result_def(ConfigType())

    traits = traits_def(TakesLocalValue("value"))

    assembly_format = "$config `[` $site `]` `,` $value attr-dict `:` type($value)"

    def __init__(self, config: SSAValue, site: SSAValue, value: SSAValue):
        super().__init__(operands=[config, site, value], result_types=[ConfigType()])

    @classmethod
    def get_canonicalization_patterns(cls) -> tuple[RewritePattern, ...]:
        from dialects.canonicalization.sym import (
            DropOverwrittenWrite,
            DropWriteOfRead,
        )

        return (DropWriteOfRead(), DropOverwrittenWrite())

    def expand(self, at: Adding) -> None:
        return None

    def formula(self, old: Sequence[_T], notation: Notation[_T]) -> Sequence[_T]:
        return [notation.of(self.value)]

    def inverse(
        self, after: SSAValue, sites: Sequence[SSAValue], at: Undoing
    ) -> SSAValue | None:
        if not at.is_exact:
            return None
        old = at.solved(self, at.read(after, sites[0]))
        return None if old is None else at.add(WriteOp(after, sites[0], old))


class ShiftByOp(SymPureOp, UpdateInterface):
    """Base of the updates that move the local value of a site by an amount."""

    config = operand_def(ConfigType())
    site = operand_def(SiteType())
    amount = operand_def(SCALAR)
    result = result_def(ConfigType())

    traits = traits_def(TakesLocalValue("amount"))

    assembly_format = "$config `[` $site `]` `by` $amount attr-dict `:` type($amount)"

    def __init__(self, config: SSAValue, site: SSAValue, amount: SSAValue):
        super().__init__(operands=[config, site, amount], result_types=[ConfigType()])


@irdl_op_definition
class ShiftOp(ShiftByOp):
    """The configuration c with c[i] = c[i] + d.

    ```mlir
    %e = sym.shift %c[%i] by %d : tensor<f64>
    ```
    """

    name = "sym.shift"

    def expand(self, at: Adding) -> SSAValue:
        """`write(c, i, read(c, i) + d)`."""
        new = at.add(AddOp(self.read(self.site, at), self.amount))
        return at.add(WriteOp(self.config, self.site, new))

    def formula(self, old: Sequence[_T], notation: Notation[_T]) -> Sequence[_T]:
        return [notation.moved(old[0], notation.of(self.amount))]

    def inverse(
        self, after: SSAValue, sites: Sequence[SSAValue], at: Undoing
    ) -> SSAValue | None:
        if not at.is_exact or not at.is_fixed(self.amount):
            return None
        back = at.add(NegateOp(at.copy(self.amount)))
        return at.add(ShiftOp(after, sites[0], back))


@irdl_op_definition
class SwapOp(SymPureOp, UpdateInterface):
    """The configuration c with c[i] and c[j] exchanged.

    ```mlir
    %d = sym.swap %c[%i, %j]
    ```
    """

    name = "sym.swap"

    config = operand_def(ConfigType())
    first = operand_def(SiteType())
    second = operand_def(SiteType())
    result = result_def(ConfigType())

    assembly_format = "$config `[` $first `,` $second `]` attr-dict"

    def __init__(self, config: SSAValue, first: SSAValue, second: SSAValue):
        super().__init__(operands=[config, first, second], result_types=[ConfigType()])

    def expand(self, at: Adding) -> SSAValue:
        """`write(write(c, i, read(c, j)), j, read(c, i))`."""
        first, second = self.read(self.first, at), self.read(self.second, at)
        half = at.add(WriteOp(self.config, self.first, second))
        return at.add(WriteOp(half, self.second, first))

    def formula(self, old: Sequence[_T], notation: Notation[_T]) -> Sequence[_T]:
        return old[::-1]

    def inverse(
        self, after: SSAValue, sites: Sequence[SSAValue], at: Undoing
    ) -> SSAValue | None:
        return _turned_back(self, after, sites, at)


@irdl_op_definition
class SelectOp(SymPureOp, HasCanonicalizationPatternsInterface):
    """The configuration a where a predicate holds, b where it does not.

    ```mlir
    %c = sym.select %p, %a, %b
    ```
    """

    name = "sym.select"

    predicate = operand_def(eq(PREDICATE))
    on_true = operand_def(ConfigType())
    on_false = operand_def(ConfigType())
    result = result_def(ConfigType())

    assembly_format = "$predicate `,` $on_true `,` $on_false attr-dict"

    def __init__(self, predicate: SSAValue, on_true: SSAValue, on_false: SSAValue):
        super().__init__(
            operands=[predicate, on_true, on_false], result_types=[ConfigType()]
        )

    @classmethod
    def get_canonicalization_patterns(cls) -> tuple[RewritePattern, ...]:
        from dialects.canonicalization.sym import FoldSelect

        return (FoldSelect(),)


@irdl_op_definition
class ShiftModOp(ShiftByOp):
    """The configuration c with c[i] moved d places on among the allowed, cyclically.

    Undefined where c[i] is not an allowed value, or d no integer up to
    `dialects.tables.largest_place`.

    ```mlir
    %e = sym.shift_mod %c[%i] by %d : tensor<f64>
    ```
    """

    name = "sym.shift_mod"

    @property
    def is_flip(self) -> bool:
        """Whether a site takes the other one of its two values."""
        amount = constant_of(self.amount)
        kinds, _ = operator_of(self).space.data.kinds
        is_step = amount is not None and abs(amount) == 1
        return is_step and all(len(kind) == 2 for kind in kinds)

    def expand(self, at: Adding) -> SSAValue:
        """A write of the allowed value d places after `read(c, i)`, cyclically."""
        place = at.add(LocalIndexOp(self.read(self.site, at), self.site))
        new = at.add(LocalValueOp(at.add(AddOp(place, self.amount)), self.site))
        return at.add(WriteOp(self.config, self.site, new))

    def formula(self, old: Sequence[_T], notation: Notation[_T]) -> Sequence[_T]:
        if self.is_flip:
            return [notation.call("flip", old[0])]
        return [notation.call("shift_mod", old[0], notation.of(self.amount))]

    def inverse(
        self, after: SSAValue, sites: Sequence[SSAValue], at: Undoing
    ) -> SSAValue | None:
        if not at.is_fixed(self.amount):
            return None
        back = at.add(NegateOp(at.copy(self.amount)))
        return at.add(ShiftModOp(after, sites[0], back))


@irdl_op_definition
class AffineOp(SymPureOp, UpdateInterface):
    """The configuration c with c[i] = a c[i] + b.

    ```mlir
    %e = sym.affine %c[%i] scale %a bias %b : tensor<f64>
    ```
    """

    name = "sym.affine"

    T: ClassVar = VarConstraint("T", SCALAR)

    config = operand_def(ConfigType())
    site = operand_def(SiteType())
    scale = operand_def(T)
    bias = operand_def(T)
    result = result_def(ConfigType())

    traits = traits_def(TakesLocalValue("scale"))

    assembly_format = (
        "$config `[` $site `]` `scale` $scale `bias` $bias attr-dict `:` type($scale)"
    )

    def __init__(
        self, config: SSAValue, site: SSAValue, scale: SSAValue, bias: SSAValue
    ):
        super().__init__(
            operands=[config, site, scale, bias], result_types=[ConfigType()]
        )

    def expand(self, at: Adding) -> SSAValue:
        """`write(c, i, a * read(c, i) + b)`."""
        old = self.read(self.site, at)
        new = at.add(AddOp(at.add(MultiplyOp(self.scale, old)), self.bias))
        return at.add(WriteOp(self.config, self.site, new))

    def formula(self, old: Sequence[_T], notation: Notation[_T]) -> Sequence[_T]:
        scaled = notation.times(notation.of(self.scale), old[0])
        return [notation.plus(scaled, notation.of(self.bias))]

    def inverse(
        self, after: SSAValue, sites: Sequence[SSAValue], at: Undoing
    ) -> SSAValue | None:
        scale = constant_of(self.scale)
        is_sign = scale is not None and abs(scale) == 1
        if not at.is_exact or not is_sign or not at.is_fixed(self.bias):
            return None
        rest = SubtractOp(at.read(after, sites[0]), at.copy(self.bias))
        old = at.add(MultiplyOp(at.copy(self.scale), at.add(rest)))
        return at.add(WriteOp(after, sites[0], old))


@irdl_op_definition
class PermuteOp(SymPureOp, UpdateInterface):
    """The configuration d with d[s_k] = c[s_(k+1)], the last taking the first's value.

    ```mlir
    %d = sym.permute %c[%i, %j, %k]
    ```
    """

    name = "sym.permute"

    config = operand_def(ConfigType())
    sites = var_operand_def(SiteType())
    result = result_def(ConfigType())

    assembly_format = "$config `[` $sites `]` attr-dict"

    def __init__(self, config: SSAValue, sites: Sequence[SSAValue]):
        super().__init__(operands=[config, sites], result_types=[ConfigType()])

    def expand(self, at: Adding) -> SSAValue:
        """A write of `c[s1]` to `s0`, .., and of `c[s0]` to the last site."""
        values = [self.read(site, at) for site in self.sites]
        config: SSAValue = self.config
        for site, value in zip(self.sites, [*values[1:], values[0]], strict=True):
            config = at.add(WriteOp(config, site, value))
        return config

    def formula(self, old: Sequence[_T], notation: Notation[_T]) -> Sequence[_T]:
        return [*old[1:], old[0]]

    def inverse(
        self, after: SSAValue, sites: Sequence[SSAValue], at: Undoing
    ) -> SSAValue | None:
        return _turned_back(self, after, sites, at)

    def verify_(self) -> None:
        if len(self.sites) < 2:
            raise VerifyException("'sym.permute' needs at least two sites")


def _turned_back(
    op: SwapOp | PermuteOp, after: SSAValue, sites: Sequence[SSAValue], at: Undoing
) -> SSAValue | None:
    """Return the configuration with the values around a circle moved back."""
    own = op.changed
    if any(map(may_be_missing, own)):
        return None
    if len(own) > 2 and not all(at.is_apart(a, b) for a, b in combinations(own, 2)):
        return None
    return at.add(PermuteOp(after, sites[::-1]))


@irdl_op_definition
class InvalidOp(SymPureOp):
    """No configuration: a branch that needs it is not valid.

    ```mlir
    %c = sym.invalid "a doubly occupied site"
    ```
    """

    name = "sym.invalid"

    reason = opt_prop_def(StringAttr)
    result = result_def(ConfigType())

    assembly_format = "($reason^)? attr-dict"

    def __init__(self, reason: str | None = None):
        super().__init__(
            properties={"reason": None if reason is None else StringAttr(reason)},
            result_types=[ConfigType()],
        )


# endregion
# region Sites


@irdl_op_definition
class SiteOp(SymPureOp):
    """The site of a given number; undefined where the lattice has no such site.

    A branch that needs an undefined value is not valid.

    ```mlir
    %s = sym.site %n : tensor<f64>
    ```
    """

    name = "sym.site"

    number = operand_def(SCALAR)
    result = result_def(SiteType())

    assembly_format = "$number attr-dict `:` type($number)"

    def __init__(self, number: SSAValue):
        super().__init__(operands=[number], result_types=[SiteType()])

    def verify_(self) -> None:
        if self.number.type != INDEX:
            _verify_local_value(self, self.number.type)


@irdl_op_definition
class ElementOp(SymPureOp):
    """The k-th site of a set, or no site where the set is smaller.

    Writing to no site does nothing.

    ```mlir
    %s = sym.element %set[2]
    ```
    """

    name = "sym.element"

    sites = operand_def(SitesType())
    position = prop_def(IntegerAttr.constr(eq(i64)))
    result = result_def(SiteType())

    assembly_format = "$sites `[` $position `]` attr-dict"

    def __init__(self, sites: SSAValue, position: int):
        super().__init__(
            operands=[sites],
            properties={"position": IntegerAttr(position, i64)},
            result_types=[SiteType()],
        )

    @property
    def numbers(self) -> IntArray | None:
        """The number of the site in each row; None where the set is not known."""
        block = self.sites.owner
        term = block.parent_op() if isinstance(block, Block) else None
        sets = term.set_of(self.sites) if isinstance(term, TermOp) else None
        return None if sets is None else sets.column(self.position.value.data)

    def verify_(self) -> None:
        if self.position.value.data < 0:
            raise VerifyException(
                "the elements of a set are counted from 0, got "
                f"{self.position.value.data}"
            )


def may_be_missing(site: SSAValue) -> bool:
    """Whether a value can be no site at all: an element that a set does not have."""
    if not isinstance(site.owner, ElementOp):
        return False
    numbers = site.owner.numbers
    return numbers is None or bool((numbers == NO_SITE).any())


# endregion
# region The local space of a site


class LocalSpaceOp(SymPureOp):
    """Base of what depends on the allowed values of a site, in ascending order."""

    T: ClassVar = VarConstraint("T", SCALAR)

    value = operand_def(T)
    site = operand_def(SiteType())
    result = result_def(T)

    traits = traits_def(TakesLocalValue("value"))

    assembly_format = "$value `at` $site attr-dict `:` type($value)"

    def __init__(self, value: SSAValue, site: SSAValue):
        super().__init__(operands=[value, site], result_types=[value.type])


@irdl_op_definition
class LocalIndexOp(LocalSpaceOp):
    """The place, from 0, of a value among the allowed ones; undefined for others.

    ```mlir
    %k = sym.local_index %v at %i : tensor<f64>
    ```
    """

    name = "sym.local_index"


@irdl_op_definition
class LocalValueOp(LocalSpaceOp, HasCanonicalizationPatternsInterface):
    """The k-th allowed value, k rounded down and taken modulo their number.

    Undefined where k is NaN, or beyond `dialects.tables.largest_place`.

    ```mlir
    %v = sym.local_value %k at %i : tensor<f64>
    ```
    """

    name = "sym.local_value"

    @classmethod
    def get_canonicalization_patterns(cls) -> tuple[RewritePattern, ...]:
        from dialects.canonicalization.sym import FlipOfTwoStates

        return (FlipOfTwoStates(),)


# endregion
# region Tables


@irdl_op_definition
class DefinedOp(SymPureOp):
    """Whether a value is defined; it always is an answer itself.

    ```mlir
    %p = sym.defined %v : tensor<i1>
    ```
    """

    name = "sym.defined"

    value = operand_def(SCALAR)
    result = result_def(eq(PREDICATE))

    assembly_format = "$value attr-dict `:` type($value)"

    def __init__(self, value: SSAValue):
        super().__init__(operands=[value], result_types=[PREDICATE])


@irdl_op_definition
class OwnRuleOp(SymPureOp):
    """Result of a registered function whose derivative its ops do not say.

    The value stays what it is. The function, which is named, stops gradients or has a
    derivative of its own: derivatives by what it takes are refused.

    ```mlir
    %y = sym.own_rule %v of "softened" : tensor<f64>
    ```
    """

    T: ClassVar = VarConstraint("T", SCALAR)

    name = "sym.own_rule"

    value = operand_def(T)
    function = prop_def(StringAttr)
    result = result_def(T)

    assembly_format = "$value `of` $function attr-dict `:` type($result)"

    def __init__(self, value: SSAValue, function: str):
        super().__init__(
            operands=[value],
            properties={"function": StringAttr(function)},
            result_types=[value.type],
        )


@irdl_op_definition
class LookupOp(SymPureOp):
    """The k-th entry, from 0, of a constant table; undefined where it has none.

    ```mlir
    %v = sym.lookup dense<[0.5, 1.0]> : tensor<2xf64> at %k : tensor<i32> -> tensor<f64>
    ```
    """

    name = "sym.lookup"

    table = prop_def(DenseIntOrFPElementsAttr)
    index = operand_def(SCALAR)
    result = result_def(SCALAR)

    assembly_format = "$table `at` $index attr-dict `:` type($index) `->` type($result)"

    def __init__(self, table: DenseIntOrFPElementsAttr, index: SSAValue):
        kind = cast(TypeAttribute, table.get_element_type())
        super().__init__(
            operands=[index],
            properties={"table": table},
            result_types=[TensorType(kind, [])],
        )

    def verify_(self) -> None:
        shape = self.table.get_shape()
        if len(shape) != 1 or not shape[0]:
            raise VerifyException(
                f"a table is a list of at least one entry, got shape {list(shape)}"
            )
        kind = self.table.get_element_type()
        if self.result.type != _scalar(kind):
            raise VerifyException(
                f"a table of {kind} has no entry of type {self.result.type}"
            )
        real = real_type(operator_of(self).element)
        if self.index.type not in (INDEX, _scalar(real)):
            raise VerifyException(
                f"the index of a table is i32 or {real}, got {self.index.type}"
            )


# endregion
# region Reductions


@irdl_op_definition
class ReduceOp(SymPureOp):
    """A value combined over sites: of a set, of a range [start, stop), or all.

    A range has those of its sites that the lattice has.
    `sum` and `prod` combine numbers; `any`, `all` and `parity` (whether an odd number
    holds) combine predicates. Over no site at all they are 0, 1, false, true and false.

    ```mlir
    %n = sym.reduce sum over %set : tensor<f64> {
    ^bb0(%s : !sym.site):
      %v = sym.read %x[%s] : tensor<f64>
      sym.yield %v : tensor<f64>
    }
    ```
    """

    name = "sym.reduce"

    kind = prop_def(ReductionAttr)
    sites = opt_operand_def(SitesType())
    start = opt_operand_def(eq(INDEX))
    stop = opt_operand_def(eq(INDEX))
    result = result_def(SCALAR)
    body = region_def("single_block")

    irdl_options = (AttrSizedOperandSegments(as_property=True),)

    assembly_format = (
        "$kind (`over` $sites^)? (`from` $start^)? (`to` $stop^)? `:` type($result) "
        "attr-dict-with-keyword $body"
    )

    def __init__(
        self,
        kind: ReductionKind,
        body: Region | Block,
        result_type: Attribute,
        sites: SSAValue | None = None,
        start: SSAValue | None = None,
        stop: SSAValue | None = None,
    ):
        super().__init__(
            operands=[sites, start, stop],
            properties={"kind": ReductionAttr(kind)},
            regions=[body if isinstance(body, Region) else Region(body)],
            result_types=[result_type],
        )

    def verify_(self) -> None:
        if (self.start is None) != (self.stop is None):
            raise VerifyException("a range needs both its ends, `from` and `to`")
        if self.sites is not None and self.start is not None:
            raise VerifyException("a reduction is over a set or a range, not both")
        if [argument.type for argument in self.body.block.args] != [SiteType()]:
            raise VerifyException("the body of a reduction takes one site")
        last = self.body.block.last_op
        if not isinstance(last, YieldOp) or last.value.type != self.result.type:
            raise VerifyException(
                f"the body of this reduction must end in a sym.yield of "
                f"{self.result.type}"
            )
        if self.kind.data.combines_numbers is (self.result.type == PREDICATE):
            raise VerifyException(
                f"'{self.kind.data.value}' cannot combine {self.result.type}"
            )
        if any(isinstance(op, ReduceOp) for op in self.body.block.ops):
            raise VerifyException("a reduction cannot hold another one")


@irdl_op_definition
class YieldOp(IRDLOperation):
    """The value at one site of a reduction.

    ```mlir
    sym.yield %v : tensor<f64>
    ```
    """

    name = "sym.yield"

    value = operand_def(SCALAR)

    traits = traits_def(HasParent(ReduceOp), IsTerminator(), Pure())

    assembly_format = "$value attr-dict `:` type($value)"

    def __init__(self, value: SSAValue):
        super().__init__(operands=[value])


# endregion

Sym = Dialect(
    "sym",
    [
        OperatorOp,
        TermOp,
        EmitOp,
        ReadOp,
        IndexOp,
        AllowedOp,
        WriteOp,
        ShiftOp,
        SwapOp,
        SelectOp,
        ShiftModOp,
        AffineOp,
        PermuteOp,
        InvalidOp,
        SiteOp,
        ElementOp,
        LocalIndexOp,
        LocalValueOp,
        DefinedOp,
        LookupOp,
        OwnRuleOp,
        ReduceOp,
        YieldOp,
    ],
    [
        ConfigType,
        SiteType,
        SitesType,
        SpaceAttr,
        RowsAttr,
        SetsAttr,
        ColumnAttr,
        ReductionAttr,
        LanesAttr,
    ],
)
