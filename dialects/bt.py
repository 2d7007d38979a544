"""The `bt` dialect: an operator vectorised over its rows, as sparse updates of x.

A function at this level has one batch, the leading dynamic dimension `?` of the
configurations x : tensor<?xNx!bt.state>. A lane is one (row, emission) pair. Values
come in three kinds, scalar tensor<T>, lane tensor<RxT> and batch tensor<?xRxT>;
StableHLO ops combine values of one kind, and `bt.broadcast` stands exactly where a
smaller one enters. `!bt.branches<R x K>` is R lanes of K writes each: x' is never dense
at this level.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields
from typing import Any, ClassVar, cast

from xdsl.dialects.builtin import (
    DYNAMIC_INDEX,
    I64,
    ArrayAttr,
    ComplexType,
    DenseArrayBase,
    Float64Type,
    FloatAttr,
    IntAttr,
    IntegerAttr,
    NoneAttr,
    StringAttr,
    SymbolRefAttr,
    TensorType,
    f64,
    i1,
    i32,
    i64,
)
from xdsl.dialects.func import FuncOp
from xdsl.dialects.utils import EnumAttribute
from xdsl.interfaces import HasCanonicalizationPatternsInterface
from xdsl.ir import (
    Attribute,
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
    AttrSizedResultSegments,
    IRDLOperation,
    VarConstraint,
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
    var_result_def,
)
from xdsl.parser import AttrParser, Parser
from xdsl.pattern_rewriter import RewritePattern
from xdsl.printer import Printer
from xdsl.traits import HasParent, IsTerminator, OpTrait, Pure, SymbolTable
from xdsl.utils.exceptions import VerifyException
from xdsl.utils.str_enum import StrEnum

from dialects.origins import LaneOrigins, OriginsData
from dialects.reductions import ReductionKind

# region Types


@irdl_attr_definition
class StateType(ParametrizedAttribute, TypeAttribute):
    """The storage type of local values in x and x', bound by `bt-specialize`."""

    name = "bt.state"


@irdl_attr_definition
class BranchesType(ParametrizedAttribute, TypeAttribute):
    """R branch lanes with K writes each: `!bt.branches<R x K>`."""

    name = "bt.branches"

    lanes: IntAttr = param_def()
    writes: IntAttr = param_def()

    @classmethod
    def get(cls, lanes: int, writes: int) -> BranchesType:
        """Return the type of `lanes` lanes with `writes` writes each."""
        return cls(IntAttr(lanes), IntAttr(writes))

    @classmethod
    def parse_parameters(cls, parser: AttrParser) -> Sequence[Attribute]:
        with parser.in_angle_brackets():
            lanes = parser.parse_integer(allow_negative=False)
            parser.parse_keyword("x")
            writes = parser.parse_integer(allow_negative=False)
        return [IntAttr(lanes), IntAttr(writes)]

    def print_parameters(self, printer: Printer) -> None:
        with printer.in_angle_brackets():
            printer.print_string(f"{self.lanes.data} x {self.writes.data}")


@irdl_attr_definition
class ReductionAttr(EnumAttribute[ReductionKind], SpacedOpaqueSyntaxAttribute):
    """Kind of a reduction: `sum`, or `#bt<reduction sum>`."""

    name = "bt.reduction"


@irdl_attr_definition
class LanesAttr(OriginsData):
    """The origins of lanes: which branches of an operator each of them holds.

    Branches are numbered in the order of terms, rows and emissions. Printed
    `#bt.lanes<0:7 of 14>` for 7 lanes of one branch each, of an operator of 14;
    `#bt.lanes<{0:7}, 9 of 14>` for a sum of lanes and another one;
    `#bt.lanes<{0, 7} x 7 by 1 of 14>` for 7 sums of two.
    """

    name = "bt.lanes"


TENSOR = TensorType.constr(element_type=AnyAttr())
COUNT = TensorType(i32, [])


def _tensor(value: SSAValue) -> TensorType[Attribute]:
    return cast(TensorType[Attribute], value.type)


def _branches(value: SSAValue) -> BranchesType:
    return cast(BranchesType, value.type)


def _joined(parts: Sequence[SSAValue]) -> BranchesType:
    """Return the type of the lanes of all parts together."""
    lanes = sum(_branches(part).lanes.data for part in parts)
    writes = max((_branches(part).writes.data for part in parts), default=0)
    return BranchesType.get(lanes, writes)


@dataclass(frozen=True)
class TakesConfigurations(OpTrait):
    """The operand `config` is of shape (batch, sites)."""

    def verify(self, op: Operation) -> None:
        config = op.operands[0]
        if len(_tensor(config).get_shape()) != 2:
            raise VerifyException(
                f"'{op.name}' takes configurations of shape (batch, sites), "
                f"got {config.type}"
            )


class BranchTensorOp(IRDLOperation):
    """Base of the ops: none has effects."""

    traits = traits_def(Pure())


# endregion
# region Values


@irdl_op_definition
class GatherOp(BranchTensorOp):
    """The local values of x at a table of sites, converted to the type of the result.

    The result has the axes of the table after that of the batch; where each sample has
    sites of its own, the table has the axis of the batch itself.

    ```mlir
    %v = bt.gather %x[%i] : (tensor<?x8x!bt.state>, tensor<7xi32>) -> tensor<?x7xf64>
    ```
    """

    name = "bt.gather"

    config = operand_def(TENSOR)
    sites = operand_def(TensorType.constr(element_type=i32))
    result = result_def(TENSOR)

    traits = traits_def(TakesConfigurations())

    assembly_format = (
        "$config `[` $sites `]` attr-dict `:` functional-type(operands, results)"
    )

    def __init__(
        self,
        config: SSAValue,
        sites: SSAValue,
        element: Attribute,
        *,
        per_sample: bool = False,
    ):
        batch = _tensor(config).get_shape()[0]
        table = _tensor(sites).get_shape()
        shape = table if per_sample else (batch, *table)
        result = TensorType(cast(TypeAttribute, element), shape)
        super().__init__(operands=[config, sites], result_types=[result])

    @property
    def is_per_sample(self) -> bool:
        """Whether each sample has sites of its own: the result has no more axes."""
        sites, result = _tensor(self.sites), _tensor(self.result)
        return sites.get_num_dims() == result.get_num_dims()

    def verify_(self) -> None:
        batch, _ = _tensor(self.config).get_shape()
        sites = _tensor(self.sites).get_shape()
        result = _tensor(self.result).get_shape()
        per_sample = bool(sites) and sites[0] == batch and result == sites
        if not per_sample and result != (batch, *sites):
            raise VerifyException(
                f"'bt.gather' at {self.sites.type} cannot have type {self.result.type}"
            )


@irdl_op_definition
class BroadcastOp(BranchTensorOp, HasCanonicalizationPatternsInterface):
    """A value repeated up to a larger kind; `dims` are the axes that it already has.

    ```mlir
    %b = bt.broadcast %t dims = [1] : tensor<7xf64> -> tensor<?x7xf64>
    ```
    """

    name = "bt.broadcast"

    operand = operand_def(TENSOR)
    dims = prop_def(DenseArrayBase.constr(i64))
    result = result_def(TENSOR)

    assembly_format = (
        "$operand `dims` `=` $dims attr-dict `:` type($operand) `->` type($result)"
    )

    def __init__(self, operand: SSAValue, dims: Sequence[int], result: Attribute):
        super().__init__(
            operands=[operand],
            properties={"dims": DenseArrayBase.from_list(i64, dims)},
            result_types=[result],
        )

    @classmethod
    def get_canonicalization_patterns(cls) -> tuple[RewritePattern, ...]:
        from dialects.canonicalization.bt import ComposeBroadcasts, DropBroadcast

        return (DropBroadcast(), ComposeBroadcasts())

    def verify_(self) -> None:
        operand, result = _tensor(self.operand), _tensor(self.result)
        dims = self.dims.get_values()
        if operand.element_type != result.element_type:
            raise VerifyException(
                f"'bt.broadcast' keeps the element type: {operand} -> {result}"
            )
        axes = result.get_shape()
        if len(dims) != operand.get_num_dims() or list(dims) != sorted(set(dims)):
            raise VerifyException(
                "'bt.broadcast' needs one ascending axis of the result for each of "
                f"the operand's: dims = {list(dims)} for {operand}"
            )
        if any(axis < 0 or axis >= len(axes) for axis in dims) or any(
            axes[axis] != size
            for axis, size in zip(dims, operand.get_shape(), strict=True)
        ):
            raise VerifyException(
                f"'bt.broadcast' cannot place {operand} on the axes {list(dims)} "
                f"of {result}"
            )


@irdl_op_definition
class ReduceOp(BranchTensorOp):
    """The values along the last axis combined: sum, prod, any, all or parity.

    ```mlir
    %r = bt.reduce parity %v : tensor<?x7x3xi1> -> tensor<?x7xi1>
    ```
    """

    name = "bt.reduce"

    kind = prop_def(ReductionAttr)
    operand = operand_def(TENSOR)
    result = result_def(TENSOR)

    assembly_format = "$kind $operand attr-dict `:` type($operand) `->` type($result)"

    def __init__(self, kind: ReductionKind, operand: SSAValue):
        shape = _tensor(operand).get_shape()
        element = cast(TypeAttribute, _tensor(operand).element_type)
        super().__init__(
            operands=[operand],
            properties={"kind": ReductionAttr(kind)},
            result_types=[TensorType(element, shape[:-1])],
        )

    def verify_(self) -> None:
        operand, result = _tensor(self.operand), _tensor(self.result)
        shape = operand.get_shape()
        if not shape or result.get_shape() != shape[:-1]:
            raise VerifyException(
                f"'bt.reduce' of {operand} along its last axis cannot be {result}"
            )
        if result.element_type != operand.element_type:
            raise VerifyException(
                f"'bt.reduce' keeps the element type: {operand} -> {result}"
            )
        if self.kind.data.combines_numbers is (operand.element_type == i1):
            raise VerifyException(
                f"'{self.kind.data.value}' cannot combine {operand.element_type}"
            )


@irdl_op_definition
class DotOp(BranchTensorOp):
    """Products with the columns of a matrix: result[b, m] = sum_n v[b, n] matrix[n, m].

    ```mlir
    %y = bt.dot %v, %j : (tensor<?x8xf64>, tensor<8x8xf64>) -> tensor<?x8xf64>
    ```
    """

    name = "bt.dot"

    operand = operand_def(TENSOR)
    matrix = operand_def(TENSOR)
    result = result_def(TENSOR)

    assembly_format = (
        "$operand `,` $matrix attr-dict `:` functional-type(operands, results)"
    )

    def __init__(self, operand: SSAValue, matrix: SSAValue):
        batch, columns = _tensor(operand).get_shape()[0], _tensor(matrix).get_shape()[1]
        element = cast(TypeAttribute, _tensor(operand).element_type)
        super().__init__(
            operands=[operand, matrix],
            result_types=[TensorType(element, [batch, columns])],
        )

    def verify_(self) -> None:
        values = (self.operand, self.matrix, self.result)
        shapes = [_tensor(value).get_shape() for value in values]
        elements = {_tensor(value).element_type for value in values}
        fits = (
            [len(shape) for shape in shapes] == [2, 2, 2]
            and shapes[0][1] == shapes[1][0]
            and shapes[2] == (shapes[0][0], shapes[1][1])
        )
        if not fits or len(elements) != 1 or elements == {i1}:
            raise VerifyException(
                f"'bt.dot' of {self.operand.type} and {self.matrix.type} cannot be "
                f"{self.result.type}"
            )


# endregion
# region Branches


class LeafOp(BranchTensorOp):
    """Base of the ops that make branches of tensors, two of which say what is written.

    `origins` says which branches of the operator the lanes are, where that is known.
    """

    amplitude = operand_def(TENSOR)
    valid = opt_operand_def(TensorType.constr(element_type=i1))
    origins = opt_prop_def(LanesAttr)
    result = result_def(BranchesType)

    irdl_options = (AttrSizedOperandSegments(as_property=True),)

    def __init__(
        self,
        where: Sequence[SSAValue],
        written: Sequence[SSAValue],
        amplitude: SSAValue,
        valid: SSAValue | None,
        result: BranchesType,
        origins: LaneOrigins | None,
    ):
        super().__init__(
            operands=[where, written, amplitude, valid],
            properties={"origins": None if origins is None else LanesAttr(origins)},
            result_types=[result],
        )

    @property
    @abstractmethod
    def written(self) -> Sequence[SSAValue]:
        """The values, or the images, that are written."""

    @abstractmethod
    def samples(self) -> Iterator[SSAValue]:
        """Yield the operands that may differ from sample to sample."""

    def _verify_lanes(self, what: str, *values: SSAValue) -> None:
        """Check that values are scalars or have a number for each lane."""
        lanes = _branches(self.result).lanes.data
        for value in values:
            shape = _tensor(value).get_shape()
            if len(shape) == 0 or (len(shape) <= 2 and shape[-1] == lanes):
                continue
            raise VerifyException(
                f"'{self.name}' has {lanes} lanes, but {what} is {value.type}"
            )

    def verify_(self) -> None:
        for value in self.written:
            if isinstance(_tensor(value).element_type, ComplexType):
                raise VerifyException(
                    f"'{self.name}' writes real local values, got {value.type}"
                )
        lanes = _branches(self.result).lanes.data
        if self.origins is not None and self.origins.data.lanes != lanes:
            raise VerifyException(
                f"'{self.name}' has {lanes} lanes, but origins of "
                f"{self.origins.data.lanes}"
            )
        self._verify_lanes("the amplitude", self.amplitude)
        if self.valid is not None:
            self._verify_lanes("the validity", self.valid)


def _leaf_format(where: str, written: str) -> str:
    return (
        f"`[` ${where} `]` `=` `[` ${written} `]` `amplitude` $amplitude "
        "(`valid` $valid^)? (`origins` qualified($origins)^)? attr-dict `:` "
        f"`[` type(${where}) `]` `[` type(${written}) `]` type($amplitude) "
        "(`,` type($valid)^)? `->` type($result)"
    )


@irdl_op_definition
class BranchesOp(LeafOp, HasCanonicalizationPatternsInterface):
    """R lanes, each with K writes `(site, value)`, an amplitude and a validity bit.

    In each lane x'[site_k] = value_k, in order, so that a later write wins. Invariant:
    a write that a later one in its lane shadows carries the *source* value x[site_k],
    so that the sum of the deltas value_k - x[site_k] is right as well. A site off the
    lattice, such as -1, is no site: that write does nothing. A lane that is not valid
    has x' = x and amplitude 0. `origins` says which branches of the operator the lanes
    are, where that is known.

    ```mlir
    %b = bt.branches [%i, %j] = [%v, %w] amplitude %a valid %p
      origins #bt.lanes<0:14:2 of 14>
      : [tensor<7xi32>, tensor<7xi32>] [tensor<?x7xf64>, tensor<?x7xf64>]
        tensor<f64>, tensor<?x7xi1> -> !bt.branches<7 x 2>
    ```
    """

    name = "bt.branches"

    sites = var_operand_def(TensorType.constr(element_type=i32))
    values = var_operand_def(TENSOR)

    assembly_format = _leaf_format("sites", "values")

    def __init__(
        self,
        sites: Sequence[SSAValue],
        values: Sequence[SSAValue],
        amplitude: SSAValue,
        valid: SSAValue | None,
        lanes: int,
        origins: LaneOrigins | None = None,
    ):
        result = BranchesType.get(lanes, len(sites))
        super().__init__(sites, values, amplitude, valid, result, origins)

    @classmethod
    def get_canonicalization_patterns(cls) -> tuple[RewritePattern, ...]:
        from dialects.canonicalization.bt import DropAlwaysValid

        return (DropAlwaysValid(),)

    @property
    def written(self) -> Sequence[SSAValue]:
        return self.values

    def samples(self) -> Iterator[SSAValue]:
        return iter(self.operands)

    def verify_(self) -> None:
        writes = _branches(self.result).writes.data
        if not len(self.sites) == len(self.values) == writes:
            raise VerifyException(
                f"'bt.branches' with {len(self.sites)} sites and {len(self.values)} "
                f"values cannot have type {self.result.type}"
            )
        self._verify_lanes("a site", *self.sites)
        self._verify_lanes("a value", *self.values)
        super().verify_()
        shapes = [_tensor(value).get_shape() for value in self.operands]
        if len({shape[0] for shape in shapes if len(shape) == 2}) > 1:
            raise VerifyException(
                "'bt.branches' takes operands of one batch, got "
                + ", ".join(str(value.type) for value in self.operands)
            )


@irdl_op_definition
class ImagesOp(LeafOp):
    """R lanes whose x' is put together from images: functions of x at each site.

    x'[n] is image[n] where the lane's mask of that image has site n, else x[n]: a lane
    has N writes at most, and of two masks with one site the later wins. Images are
    (batch, sites), or the same everywhere. A lane that is not valid has x' = x and
    amplitude 0.

    ```mlir
    %b = bt.images [%mask] = [%flipped] amplitude %a valid %p
      : [tensor<7x8xi1>] [tensor<?x8xf64>]
        tensor<f64>, tensor<?x7xi1> -> !bt.branches<7 x 8>
    ```
    """

    name = "bt.images"

    masks = var_operand_def(TensorType.constr(element_type=i1))
    images = var_operand_def(TENSOR)

    assembly_format = _leaf_format("masks", "images")

    def __init__(
        self,
        masks: Sequence[SSAValue],
        images: Sequence[SSAValue],
        amplitude: SSAValue,
        valid: SSAValue | None,
        result: BranchesType,
        origins: LaneOrigins | None = None,
    ):
        super().__init__(masks, images, amplitude, valid, result, origins)

    def verify_(self) -> None:
        lanes = _branches(self.result).lanes.data
        sites = _branches(self.result).writes.data
        if len(self.masks) != len(self.images):
            raise VerifyException(
                f"'bt.images' has {len(self.masks)} masks and {len(self.images)} images"
            )
        for mask in self.masks:
            if _tensor(mask).get_shape() != (lanes, sites):
                raise VerifyException(
                    f"'bt.images' of type {self.result.type} has masks of shape "
                    f"({lanes}, {sites}), got {mask.type}"
                )
        for image in self.images:
            shape = _tensor(image).get_shape()
            if len(shape) not in (0, 2) or shape[1:] not in ((), (sites,)):
                raise VerifyException(
                    f"'bt.images' has images of shape (batch, {sites}) or scalars, got "
                    f"{image.type}"
                )
        super().verify_()

    @property
    def written(self) -> Sequence[SSAValue]:
        return self.images

    def samples(self) -> Iterator[SSAValue]:
        yield from self.images
        yield self.amplitude
        if self.valid is not None:
            yield self.valid


class JoinOp(BranchTensorOp, HasCanonicalizationPatternsInterface):
    """Base of the ops that put the lanes of several branches together."""

    parts = var_operand_def(BranchesType)
    result = result_def(BranchesType)

    assembly_format = "$parts attr-dict `:` type($parts) `->` type($result)"

    def __init__(self, parts: Sequence[SSAValue]):
        super().__init__(operands=[parts], result_types=[_joined(parts)])

    @classmethod
    def get_canonicalization_patterns(cls) -> tuple[RewritePattern, ...]:
        from dialects.canonicalization.bt import UnwrapSingle

        return (UnwrapSingle(),)

    def verify_(self) -> None:
        expected = _joined(self.parts)
        if self.result.type != expected:
            raise VerifyException(
                f"'{self.name}' has type {expected}, declared {self.result.type}"
            )


@irdl_op_definition
class ConcatOp(JoinOp):
    """The lanes of the first operand, then those of the second, and so on.

    ```mlir
    %c = bt.concat %a, %b
      : !bt.branches<7 x 2>, !bt.branches<8 x 0> -> !bt.branches<15 x 2>
    ```
    """

    name = "bt.concat"

    @classmethod
    def get_canonicalization_patterns(cls) -> tuple[RewritePattern, ...]:
        from dialects.canonicalization.bt import FlattenConcat

        return (*super().get_canonicalization_patterns(), FlattenConcat())


@irdl_op_definition
class InterleaveOp(JoinOp):
    """The emissions of a term: rows major, emissions (the operands) minor.

    ```mlir
    %c = bt.interleave %a, %b
      : !bt.branches<7 x 2>, !bt.branches<7 x 0> -> !bt.branches<14 x 2>
    ```
    """

    name = "bt.interleave"

    def verify_(self) -> None:
        if len({_branches(part).lanes.data for part in self.parts}) > 1:
            raise VerifyException(
                "'bt.interleave' takes operands with equal numbers of lanes, got "
                + ", ".join(str(part.type) for part in self.parts)
            )
        super().verify_()


@irdl_op_definition
class CompactOp(BranchTensorOp):
    """The valid lanes first, in order, in fewer lanes than there were.

    A sample with more valid lanes than that breaks a promise: the matrix elements of
    all of its lanes are NaN.

    ```mlir
    %c = bt.compact %b : !bt.branches<14 x 2> -> !bt.branches<4 x 2>
    ```
    """

    name = "bt.compact"

    operand = operand_def(BranchesType)
    result = result_def(BranchesType)

    assembly_format = "$operand attr-dict `:` type($operand) `->` type($result)"

    def __init__(self, operand: SSAValue, lanes: int):
        writes = _branches(operand).writes.data
        super().__init__(
            operands=[operand], result_types=[BranchesType.get(lanes, writes)]
        )

    def verify_(self) -> None:
        operand, result = _branches(self.operand), _branches(self.result)
        if result.writes != operand.writes:
            raise VerifyException(
                f"'bt.compact' keeps the number of writes: {operand} -> {result}"
            )
        if not 1 <= result.lanes.data < operand.lanes.data:
            raise VerifyException(
                "'bt.compact' leaves at least one lane, and fewer than there were: "
                f"{operand} -> {result}"
            )


@irdl_op_definition
class PrunedOp(IRDLOperation):
    """Branches that are in no lane, since they add nothing for any x.

    A branch that is neither here nor in a lane is lost, which compilation refuses. The
    op stays where it is until all lanes are lowered.

    ```mlir
    bt.pruned #bt.lanes<{0, 3:7} of 14>
    ```
    """

    name = "bt.pruned"

    origins = prop_def(LanesAttr)

    assembly_format = "qualified($origins) attr-dict"

    def __init__(self, origins: LaneOrigins):
        super().__init__(properties={"origins": LanesAttr(origins.in_one())})

    def verify_(self) -> None:
        if not self.origins.data.lanes:
            raise VerifyException("'bt.pruned' names no branch")


@irdl_op_definition
class AssumeOp(IRDLOperation):
    """Properties of every configuration x that a function is called with.

    `bounds` says that x holds integers only, none below or above them. `sums` has for
    each conserved quantity a weight for each site, and the total at the end. `values`
    has the local values that x can have: one list, or one for each site. Passes read
    it, and results for any other x are undefined.

    ```mlir
    bt.assume %x bounds [0, 1] sums [array<f64: 1.0, 1.0, 1.0>]
      values [array<f64: 0.0, 1.0>] : tensor<?x2x!bt.state>
    ```
    """

    name = "bt.assume"

    config = operand_def(TENSOR)
    bounds = opt_prop_def(DenseArrayBase.constr(i64))
    sums = opt_prop_def(ArrayAttr[DenseArrayBase[Float64Type]])
    values = opt_prop_def(ArrayAttr[DenseArrayBase[Float64Type]])

    traits = traits_def(TakesConfigurations())

    assembly_format = (
        "$config (`bounds` $bounds^)? (`sums` $sums^)? (`values` $values^)? attr-dict "
        "`:` type($config)"
    )

    def __init__(
        self,
        config: SSAValue,
        *,
        bounds: tuple[int, int] | None = None,
        sums: Sequence[Sequence[float]] = (),
        values: Sequence[Sequence[float]] = (),
    ):
        super().__init__(
            operands=[config],
            properties={
                "bounds": None
                if bounds is None
                else DenseArrayBase.from_list(i64, bounds),
                "sums": _lists(sums),
                "values": _lists(values),
            },
        )

    def verify_(self) -> None:
        _, sites = _tensor(self.config).get_shape()
        bounds = () if self.bounds is None else self.bounds.get_values()
        if self.bounds is not None and (len(bounds) != 2 or bounds[0] > bounds[1]):
            raise VerifyException(
                f"'bt.assume' takes a lower and an upper bound, got {self.bounds}"
            )
        for one in self.sums or ():
            if len(one) != sites + 1:
                raise VerifyException(
                    f"'bt.assume' of {sites} sites takes {sites} weights and a total "
                    f"for each sum, got {one}"
                )
        if self.values is None:
            return
        if len(self.values) not in (1, sites) or not all(map(len, self.values)):
            raise VerifyException(
                f"'bt.assume' takes local values for all of {sites} sites, or for "
                f"each, got {self.values}"
            )


def _lists(
    numbers: Sequence[Sequence[float]],
) -> ArrayAttr[DenseArrayBase[Float64Type]] | None:
    lists = [DenseArrayBase.from_list(f64, [*map(float, one)]) for one in numbers]
    return ArrayAttr(lists) if lists else None


@irdl_op_definition
class UnarrangedOp(IRDLOperation):
    """Kernels of this function gather x where it is read, and as often.

    ```mlir
    bt.unarranged
    ```
    """

    name = "bt.unarranged"

    traits = traits_def(HasParent(FuncOp))

    assembly_format = "attr-dict"

    def __init__(self) -> None:
        super().__init__()


def assumptions(op: Operation | None) -> AssumeOp | None:
    """Return what the function around an op says of every x; None if nothing."""
    while op is not None and not isinstance(op, FuncOp):
        op = op.parent_op()
    if op is None or not op.body.blocks:
        return None
    ops = op.body.block.ops
    return next((one for one in ops if isinstance(one, AssumeOp)), None)


@irdl_op_definition
class ConnectionsOp(BranchTensorOp):
    """The dense connected configurations x' and matrix elements of all lanes.

    ```mlir
    %xp, %mels = bt.connections %x, %b
      : (tensor<?x8x!bt.state>, !bt.branches<3 x 1>)
      -> (tensor<?x3x8x!bt.state>, tensor<?x3xf64>)
    ```
    """

    name = "bt.connections"

    config = operand_def(TENSOR)
    branches = operand_def(BranchesType)
    connected = result_def(TENSOR)
    matrix_elements = result_def(TENSOR)

    traits = traits_def(TakesConfigurations())

    assembly_format = (
        "$config `,` $branches attr-dict `:` functional-type(operands, results)"
    )

    def __init__(self, config: SSAValue, branches: SSAValue, element: Attribute):
        batch, sites = _tensor(config).get_shape()
        lanes = _branches(branches).lanes.data
        state = cast(TypeAttribute, _tensor(config).element_type)
        super().__init__(
            operands=[config, branches],
            result_types=[
                TensorType(state, [batch, lanes, sites]),
                TensorType(cast(TypeAttribute, element), [batch, lanes]),
            ],
        )

    def verify_(self) -> None:
        batch, sites = _tensor(self.config).get_shape()
        lanes = _branches(self.branches).lanes.data
        connected, elements = _tensor(self.connected), _tensor(self.matrix_elements)
        state = _tensor(self.config).element_type
        if connected != TensorType(
            cast(TypeAttribute, state), [batch, lanes, sites]
        ) or elements.get_shape() != (batch, lanes):
            raise VerifyException(
                f"'bt.connections' of {self.config.type} and {self.branches.type} "
                f"cannot have types {connected}, {elements}"
            )
        leaves = list(leaves_of(self.branches))
        for leaf in leaves:
            self._verify_leaf(leaf, batch, elements.element_type)
            if isinstance(leaf, ImagesOp):
                self._verify_sites(leaf, sites)
        operators = {leaf.origins.data.branches for leaf in leaves if leaf.origins}
        if len(operators) > 1:
            raise VerifyException(
                "'bt.connections' has lanes of one operator, got origins of "
                + " and ".join(f"{count} branches" for count in sorted(operators))
            )

    def _verify_sites(self, leaf: ImagesOp, sites: int) -> None:
        if leaf.result.type.writes.data != sites:
            raise VerifyException(
                f"'bt.connections' of {self.config.type} cannot have images of other "
                f"sites, got {leaf.result.type}"
            )

    def _verify_leaf(self, leaf: LeafOp, batch: int, element: Attribute) -> None:
        if _tensor(leaf.amplitude).element_type != element:
            raise VerifyException(
                f"'bt.connections' has matrix elements of {element}, but amplitudes "
                f"are {leaf.amplitude.type}"
            )
        for value in leaf.samples():
            shape = _tensor(value).get_shape()
            if len(shape) == 2 and shape[0] != batch:
                raise VerifyException(
                    f"'bt.connections' of {self.config.type} cannot have branches of "
                    f"another batch, got {value.type}"
                )


def leaves_of(branches: SSAValue) -> Iterator[LeafOp]:
    """Yield the `bt.branches` and `bt.images` that some branches are joined of."""
    match branches.owner:
        case LeafOp() as op:
            yield op
        case JoinOp() as op:
            for part in op.parts:
                yield from leaves_of(part)
        case CompactOp() as op:
            yield from leaves_of(op.operand)
        case _:
            return


def origins_of(branches: SSAValue) -> LaneOrigins | None:
    """Return the origins of the lanes of some branches; None where not all are known.

    Lanes behind `bt.compact` may be any of those in front of it.
    """
    match branches.owner:
        case LeafOp() as op:
            return None if op.origins is None else op.origins.data
        case JoinOp() as op:
            parts = [origins_of(part) for part in op.parts]
            known = [part for part in parts if part is not None]
            if len(known) < len(parts):
                return None
            join = (
                LaneOrigins.joined
                if isinstance(op, ConcatOp)
                else (LaneOrigins.interleaved)
            )
            return join(known)
        case CompactOp() as op:
            inner = origins_of(op.operand)
            lanes = op.result.type.lanes.data
            return None if inner is None else inner.repeated(lanes)
        case _:
            return None


# endregion
# region Local energies


class Rung(StrEnum):
    """Method that finds the ratio of a part of a wavefunction; see `PartAttr`."""

    NETWORK = "network"
    CONE = "cone"
    LINEAR = "linear"
    EXPONENTIAL = "exponential"
    BILINEAR = "bilinear"
    LIFTED = "lifted"
    RATIONAL = "rational"
    DECLARED = "declared"


_SECOND: dict[str, str] = {
    Rung.BILINEAR: "by",
    Rung.DECLARED: "of",
    Rung.LIFTED: "then",
    Rung.RATIONAL: "then",
}
"""Words before the second function of a part; of a method that is not of symir `of`."""


@irdl_attr_definition
class PartAttr(ParametrizedAttribute):
    """A part of log psi, and how its difference between x' and x is found.

    log psi is the sum of its parts; each is c times what its functions say:

    - `network @f`: f(x), one number, evaluated at x' as it is.
    - `cone @f`: the same, evaluated at the positions of its layers that change.
    - `linear @f`: the sum of all elements of f(x), which is a sum of functions of one
      site each.
    - `exponential @f as g`: the sum of g over all elements of such an f(x), with g the
      logarithm of an exponential sum, such as log_cosh.
    - `bilinear @f by @h`: the sum of f(x) h(x) over all elements of two such functions.
    - `lifted @f then @h`: h(f(x)) with such an f; `as tanh` h(tanh(f(x))).
    - `rational @f then @h as tanh`: the same with an affine h, as of one hidden layer.
    - `declared @f of @h`: f(x), whose differences its author has given: as those of a
      model of its own parameters and its own configuration, which h returns, the latter
      last. `as real` the real part, `as imag` the imaginary one.

    - any other name, of a pass of your own, `cosines @f of @h`: f(x), one number, whose
      differences are found by what is `written`, from an h that is such a sum.

    A function takes the parameters and one x of shape (1, sites); behind `then` it
    takes them and what it follows.

    `written` names functions that find the ratio, where they have been written: tables,
    a bound of these, a cache of one x, and for one change the ratio, and the cache of
    what it leads to.

    ```mlir
    #bt.part<exponential @theta as "log_cosh" times (1.0, 0.0)>
    #bt.part<linear @a written [@tables, @bound, @cache, @ratio, @commit]>
    ```
    """

    name = "bt.part"

    rung: StringAttr = param_def()
    function: SymbolRefAttr = param_def()
    tail: SymbolRefAttr | NoneAttr = param_def()
    activation: StringAttr | NoneAttr = param_def()
    real: FloatAttr = param_def()
    imaginary: FloatAttr = param_def()
    written: ArrayAttr[SymbolRefAttr] = param_def()

    @classmethod
    def get(
        cls,
        rung: str,
        function: str,
        *,
        tail: str | None = None,
        activation: str | None = None,
        coefficient: complex = 1.0,
        written: Sequence[str] = (),
    ) -> PartAttr:
        """Return a part of functions of these names."""
        return cls(
            StringAttr(str(rung)),
            SymbolRefAttr(function),
            NoneAttr() if tail is None else SymbolRefAttr(tail),
            NoneAttr() if activation is None else StringAttr(activation),
            FloatAttr(complex(coefficient).real, f64),
            FloatAttr(complex(coefficient).imag, f64),
            ArrayAttr([SymbolRefAttr(name) for name in written]),
        )

    def by(self, written: Sequence[str]) -> PartAttr:
        """Return the part with functions of these names that find its ratio."""
        names = ArrayAttr([SymbolRefAttr(name) for name in written])
        return PartAttr.new([*self.parameters[:-1], names])

    @property
    def ratios(self) -> tuple[str, ...]:
        """Names of written functions that find its ratio: one, or of each group."""
        names = [one.string_value() for one in self.written]
        return tuple(names[5:] or names[3:4])

    @property
    def kind(self) -> str:
        """Method that finds the difference: a `Rung`, or another one."""
        return self.rung.data

    @property
    def coefficient(self) -> complex:
        """The factor c."""
        return complex(self.real.value.data, self.imaginary.value.data)

    @property
    def additive(self) -> tuple[str, ...]:
        """Names of the functions that are sums over sites; tables are made of them."""
        match self.kind:
            case Rung.NETWORK | Rung.CONE | Rung.DECLARED:
                return ()
            case Rung.BILINEAR:
                return self.functions
            case kind if kind in list(Rung):
                return self.functions[:1]
            case _:
                return self.functions[1:]

    @property
    def functions(self) -> tuple[str, ...]:
        """The names of the functions, in the order that they are written in."""
        symbols = (self.function, self.tail)
        return tuple(
            symbol.string_value()
            for symbol in symbols
            if isinstance(symbol, SymbolRefAttr)
        )

    @property
    def applied(self) -> str | None:
        """The name of the activation; None where there is none."""
        one = self.activation
        return one.data if isinstance(one, StringAttr) else None

    @classmethod
    def parse_parameters(cls, parser: AttrParser) -> Sequence[Attribute]:
        with parser.in_angle_brackets():
            rung = parser.parse_identifier()
            function = parser.parse_symbol_name().data
            tail = activation = None
            if parser.parse_optional_keyword(_SECOND.get(rung, "of")):
                tail = parser.parse_symbol_name().data
            if parser.parse_optional_keyword("as"):
                activation = parser.parse_str_literal()
            coefficient = 1.0 + 0.0j
            if parser.parse_optional_keyword("times"):
                with parser.in_parens():
                    real = parser.parse_float()
                    parser.parse_punctuation(",")
                    coefficient = complex(real, parser.parse_float())
            written: list[str] = []
            if parser.parse_optional_keyword("written"):
                names = parser.parse_comma_separated_list(
                    parser.Delimiter.SQUARE, parser.parse_symbol_name
                )
                written = [name.data for name in names]
        part = cls.get(
            rung,
            function,
            tail=tail,
            activation=activation,
            coefficient=coefficient,
            written=written,
        )
        return part.parameters

    def print_parameters(self, printer: Printer) -> None:
        with printer.in_angle_brackets():
            printer.print_string(self.rung.data + " ")
            printer.print_symbol_name(self.functions[0])
            if len(self.functions) > 1:
                printer.print_string(f" {_SECOND.get(self.kind, 'of')} ")
                printer.print_symbol_name(self.functions[1])
            if self.applied is not None:
                printer.print_string(" as ")
                printer.print_string_literal(self.applied)
            if self.coefficient != 1:
                printer.print_string(" times (")
                printer.print_float(self.coefficient.real, f64)
                printer.print_string(", ")
                printer.print_float(self.coefficient.imag, f64)
                printer.print_string(")")
            if self.written.data:
                printer.print_string(" written [")
                names = [one.string_value() for one in self.written]
                printer.print_list(names, printer.print_symbol_name)
                printer.print_string("]")


@irdl_op_definition
class LanesOp(BranchTensorOp):
    """Lanes as tensors, x' not dense: sites, values, and matrix elements.

    Write k of lane r is at `sites[k][r]`, with the number `values[k][b, r]` in the type
    of x, which is that of x where the lane is not valid; its matrix element is 0 then.
    The sites are tensor<Rxi32>, or of each sample its own, tensor<?xRxi32>.

    ```mlir
    %s, %v, %mels = bt.lanes %x, %b : (tensor<?x8x!bt.state>, !bt.branches<3 x 1>)
      -> ([tensor<3xi32>], [tensor<?x3x!bt.state>], tensor<?x3xf64>)
    ```
    """

    name = "bt.lanes"

    config = operand_def(TENSOR)
    branches = operand_def(BranchesType)
    sites = var_result_def(TensorType.constr(element_type=i32))
    values = var_result_def(TENSOR)
    matrix_elements = result_def(TENSOR)

    irdl_options = (AttrSizedResultSegments(as_property=True),)

    traits = traits_def(TakesConfigurations())

    assembly_format = (
        "$config `,` $branches attr-dict `:` `(` type($config) `,` type($branches) "
        "`)` `->` `(` `[` type($sites) `]` `,` `[` type($values) `]` `,` "
        "type($matrix_elements) `)`"
    )

    def __init__(self, config: SSAValue, branches: SSAValue, element: Attribute):
        batch = _tensor(config).get_shape()[0]
        state = cast(TypeAttribute, _tensor(config).element_type)
        kind = _branches(branches)
        lanes, writes = kind.lanes.data, kind.writes.data
        own = sites_of_each_sample(branches)
        super().__init__(
            operands=[config, branches],
            result_types=[
                [
                    TensorType(i32, [batch, lanes] if own_sites else [lanes])
                    for own_sites in own
                ],
                [TensorType(state, [batch, lanes])] * writes,
                TensorType(cast(TypeAttribute, element), [batch, lanes]),
            ],
        )

    def verify_(self) -> None:
        batch, _ = _tensor(self.config).get_shape()
        kind = _branches(self.branches)
        lanes, writes = kind.lanes.data, kind.writes.data
        state = _tensor(self.config).element_type
        shapes = [_tensor(value).get_shape() for value in self.sites]
        fits = (
            len(self.sites) == len(self.values) == writes
            and all(shape in ((lanes,), (batch, lanes)) for shape in shapes)
            and all(
                _tensor(value) == TensorType(cast(TypeAttribute, state), [batch, lanes])
                for value in self.values
            )
            and _tensor(self.matrix_elements).get_shape() == (batch, lanes)
        )
        if not fits:
            raise VerifyException(
                f"'bt.lanes' of {self.config.type} and {kind} cannot have types "
                + ", ".join(str(value.type) for value in self.results)
            )


def sites_of_each_sample(branches: SSAValue) -> list[bool]:
    """Return for each write whether each sample has sites of its own."""
    own = [False] * _branches(branches).writes.data
    if _is_compacted(branches):
        return [True] * len(own)
    for leaf in leaves_of(branches):
        sites = leaf.sites if isinstance(leaf, BranchesOp) else ()
        for number, site in enumerate(sites):
            own[number] |= len(_tensor(site).get_shape()) == 2
    return own


def _is_compacted(branches: SSAValue) -> bool:
    match branches.owner:
        case CompactOp():
            return True
        case JoinOp() as op:
            return any(map(_is_compacted, op.parts))
        case _:
            return False


@dataclass(frozen=True)
class Plan:
    """Choices of how energies are computed; None for what is not chosen yet.

    Attributes:
        live: "all" where every lane leads elsewhere for each x, else "some".
        rows: of tables with a row for each lane and difference.
        samples: so many are taken at once.
        pairs: so many states at once, where parts find the ratios.
        network_pairs: so many states at once, where a network is evaluated.
        units: lengths of products that a logarithm is taken of, the longest first.
        tables: of what they have rows: "lanes", "values" or "sites".
        peak_bytes: memory, as predicted.
        states: "distinct" where equal ones are evaluated once.
        groups: of each row of tables the number of its group, where the rows of each
            have loops of their own.
    """

    live: str | None = None
    rows: int | None = None
    samples: int | None = None
    pairs: int | None = None
    network_pairs: int | None = None
    units: tuple[int, ...] | None = None
    tables: str | None = None
    peak_bytes: int | None = None
    states: str | None = None
    groups: tuple[int, ...] | None = None

    def __post_init__(self) -> None:
        for name, known in _WORDS.items():
            word = getattr(self, name)
            if word not in (None, *known):
                raise ValueError(f"{name} is {' or '.join(known)}, got {word}")
        sizes = (self.samples, self.pairs, self.network_pairs, *(self.units or (1,)))
        if any(size is not None and size < 1 for size in sizes):
            raise ValueError("as many as are taken at once is one at least")


_LISTS = "units", "groups"
_WORDS = {
    "live": ("all", "some"),
    "tables": ("lanes", "values", "sites"),
    "states": ("distinct",),
}


@irdl_attr_definition
class PlanAttr(Data[Plan]):
    """A plan of a local energy, see `bt.local_energy`.

    ```mlir
    #bt.plan<live = all, rows = 8, samples = 256, pairs = 1024, units = [32]>
    ```
    """

    name = "bt.plan"

    @classmethod
    def parse_parameter(cls, parser: AttrParser) -> Plan:
        names = {one.name for one in fields(Plan)}

        def entry() -> tuple[str, object]:
            start = parser.pos
            name = parser.parse_identifier()
            if name not in names:
                expected = f"expected one of {', '.join(sorted(names))}"
                parser.raise_error(expected, start, parser.pos)
            parser.parse_punctuation("=")
            if name in _WORDS:
                return name, parser.parse_identifier()
            if name not in _LISTS:
                return name, parser.parse_integer(allow_negative=False)
            square = parser.Delimiter.SQUARE
            return name, tuple(
                parser.parse_comma_separated_list(square, parser.parse_integer)
            )

        start = parser.pos
        angle = parser.Delimiter.ANGLE
        entries = parser.parse_comma_separated_list(angle, entry)
        try:
            return Plan(**cast("dict[str, Any]", dict(entries)))
        except ValueError as error:
            parser.raise_error(str(error), start, parser.pos)

    def print_parameter(self, printer: Printer) -> None:
        values = {one.name: getattr(self.data, one.name) for one in fields(Plan)}
        texts = [
            f"{name} = {[*map(int, value)] if name in _LISTS else value}"
            for name, value in values.items()
            if value is not None
        ]
        printer.print_string(f"<{', '.join(texts)}>")


@irdl_op_definition
class DeclaredOp(BranchTensorOp):
    """A value in a wavefunction that a model computes whose changes are declared.

    It is the operand. The model computes it from `inputs`: its own parameters, and its
    own configuration as the last. Where that is not so, `lost` says why.

    ```mlir
    %m = bt.declared "Jastrow.0" %v from (%w, %x)
      : tensor<1xf64> from (tensor<15xf64>, tensor<1x6xi8>)
    %n = bt.declared "Jastrow.1" %u from () lost "it is mapped"
      : tensor<1xf64> from ()
    ```
    """

    name = "bt.declared"

    T: ClassVar = VarConstraint("T", TENSOR)

    declaration = prop_def(StringAttr)
    value = operand_def(T)
    inputs = var_operand_def(TENSOR)
    lost = opt_prop_def(StringAttr)
    result = result_def(T)

    assembly_format = (
        "$declaration $value `from` `(` $inputs `)` (`lost` $lost^)? attr-dict `:` "
        "type($value) `from` `(` type($inputs) `)`"
    )

    def __init__(
        self,
        declaration: str,
        value: SSAValue,
        inputs: Sequence[SSAValue],
        lost: str | None = None,
    ):
        super().__init__(
            operands=[value, inputs],
            properties={
                "declaration": StringAttr(declaration),
                "lost": None if lost is None else StringAttr(lost),
            },
            result_types=[value.type],
        )

    def verify_(self) -> None:
        if self.lost is None and not self.inputs:
            raise VerifyException(
                f"'bt.declared': {self.declaration} is of a configuration at least"
            )


@irdl_op_definition
class LocalEnergyOp(BranchTensorOp):
    """The local energies of configurations and a wavefunction psi.

    The energy of x is the sum over all lanes of the matrix element times
    psi(x') / psi(x), and of `diagonal`, where it is given. log psi is the sum of
    `parts`, which are functions of `parameters` and of x. With a `plan` it is said how
    that is computed.

    ```mlir
    %e = bt.local_energy %x, %b diagonal %d parameters(%w)
      through [#bt.part<network @logpsi>]
      : tensor<?x8x!bt.state>, !bt.branches<3 x 1>, tensor<?xf64>, tensor<8x4xf64>
      -> tensor<?xf64>
    ```
    """

    name = "bt.local_energy"

    config = operand_def(TENSOR)
    branches = operand_def(BranchesType)
    diagonal = opt_operand_def(TENSOR)
    parameters = var_operand_def(TENSOR)
    parts = prop_def(ArrayAttr[PartAttr])
    plan = opt_prop_def(PlanAttr)
    result = result_def(TENSOR)

    irdl_options = (AttrSizedOperandSegments(as_property=True),)

    traits = traits_def(TakesConfigurations())

    assembly_format = (
        "$config `,` $branches (`diagonal` $diagonal^)? `parameters` `(` $parameters "
        "`)` `through` $parts (`plan` $plan^)? attr-dict `:` type($config) `,` "
        "type($branches) (`diagonal` type($diagonal)^)? `(` type($parameters) `)` "
        "`->` type($result)"
    )

    def __init__(
        self,
        config: SSAValue,
        branches: SSAValue,
        diagonal: SSAValue | None,
        parameters: Sequence[SSAValue],
        parts: Sequence[PartAttr],
        result: Attribute,
    ):
        super().__init__(
            operands=[config, branches, diagonal, parameters],
            properties={"parts": ArrayAttr(parts)},
            result_types=[result],
        )

    def verify_(self) -> None:
        batch, _ = _tensor(self.config).get_shape()
        values = (
            [self.result] if self.diagonal is None else [self.result, self.diagonal]
        )
        for value in values:
            if _tensor(value).get_shape() not in ((batch,), ()):
                raise VerifyException(
                    f"'bt.local_energy' of {self.config.type} has energies of shape "
                    f"(batch,), got {value.type}"
                )
        for part in self.parts:
            if part.kind in _SECOND and isinstance(part.tail, NoneAttr):
                raise VerifyException(
                    f"'bt.local_energy': a {part.kind} part is of two functions, got "
                    f"{part.function} alone"
                )
            if part.kind == Rung.RATIONAL and (
                isinstance(part.tail, NoneAttr) or part.applied != "tanh"
            ):
                raise VerifyException(
                    "'bt.local_energy': a rational part is of two functions and "
                    f"tanh, got {part}"
                )
            count = 2 if part.kind == Rung.DECLARED else 5
            groups = self.plan.data.groups if self.plan is not None else None
            more = max(groups or (-1,)) + 1 if part.kind == Rung.CONE else 0
            if len(part.written) not in (0, count, count + more):
                raise VerifyException(
                    f"'bt.local_energy': changes of a {part.kind} part are found by "
                    f"{count} functions, got {len(part.written)}"
                )
            names = (one.string_value() for one in part.written)
            for name in (*part.functions, *names):
                if SymbolTable.lookup_symbol(self, name) is None:
                    raise VerifyException(f"'bt.local_energy': there is no @{name}")


NORMALISED = 1e-3
"""Probabilities add up to 1, or it is said that they do not: up to so much."""


@irdl_op_definition
class DrawOp(BranchTensorOp):
    """Configurations drawn of |psi| ** power, and log psi of each.

    The sites are drawn one after the other, in `order`, each of its distribution given
    those before it: it is the first of its `values`, one list for all sites or one for
    each, for which the probabilities up to it add up to more than the noise of the
    site, a number from 0 to below 1. log psi of parameters and one x is the callee. If
    |psi| ** power is no distribution, since it does not add up to 1, log psi is NaN.

    `written` names functions that draw one site, where they have been written: tables,
    start, and for each group of steps open, term and commit; groups are between
    `bounds`.

    ```mlir
    %x, %log = bt.draw %u from @logpsi(%w) order [0, 1, 2]
      values [array<f64: 0.0, 1.0>] power 2.0
      : tensor<?x3xf64>, (tensor<8x4xf64>) -> tensor<?x3x!bt.state>, tensor<?xf64>
    ```
    """

    name = "bt.draw"

    noise = operand_def(TENSOR)
    parameters = var_operand_def(TENSOR)
    callee = prop_def(SymbolRefAttr)
    order = prop_def(DenseArrayBase.constr(i64))
    values = prop_def(ArrayAttr[DenseArrayBase[Float64Type]])
    power = prop_def(FloatAttr[Float64Type])
    written = opt_prop_def(ArrayAttr[SymbolRefAttr])
    bounds = opt_prop_def(DenseArrayBase.constr(i64))
    config = result_def(TENSOR)
    logarithm = result_def(TENSOR)

    traits = traits_def(TakesConfigurations())

    assembly_format = (
        "$noise `from` $callee `(` $parameters `)` `order` $order `values` $values "
        "`power` $power (`written` $written^)? (`bounds` $bounds^)? attr-dict `:` "
        "type($noise) `,` `(` type($parameters) `)` `->` type($config) `,` "
        "type($logarithm)"
    )

    def __init__(
        self,
        noise: SSAValue,
        parameters: Sequence[SSAValue],
        callee: str,
        order: Sequence[int],
        values: Sequence[Sequence[float]],
        power: float,
        results: Sequence[Attribute],
    ):
        super().__init__(
            operands=[noise, parameters],
            properties={
                "callee": SymbolRefAttr(callee),
                "order": DenseArrayBase.from_list(i64, order),
                "values": _lists(values),
                "power": FloatAttr(power, f64),
            },
            result_types=results,
        )

    @property
    def sites(self) -> tuple[int, ...]:
        """The site of each step."""
        return tuple(int(one) for one in self.order.get_values())

    @property
    def local_values(self) -> list[tuple[float, ...]]:
        """The values that each site may have."""
        own = [tuple(map(float, one.get_values())) for one in self.values]
        return own if len(own) > 1 else own * len(self.sites)

    def verify_(self) -> None:
        batch, sites = _tensor(self.noise).get_shape()
        if sorted(self.sites) != list(range(sites)):
            raise VerifyException(
                f"'bt.draw' of {sites} sites has each of them once in its order, got "
                f"{list(self.sites)}"
            )
        if len(self.values) not in (1, sites) or not all(map(len, self.values)):
            raise VerifyException(
                f"'bt.draw' takes local values for all of {sites} sites, or for each, "
                f"got {self.values}"
            )
        shapes = [_tensor(value).get_shape() for value in self.results]
        if shapes != [(batch, sites), (batch,)]:
            raise VerifyException(
                f"'bt.draw' of {self.noise.type} has configurations and logarithms of "
                f"as many samples, got {self.config.type} and {self.logarithm.type}"
            )
        names = [self.callee, *(self.written or ())]
        for name in (one.string_value() for one in names):
            if SymbolTable.lookup_symbol(self, name) is None:
                raise VerifyException(f"'bt.draw': there is no @{name}")
        if not self.power.value.data > 0:
            raise VerifyException(
                f"'bt.draw' has a positive power, got {self.power.value.data:g}"
            )
        if self.written is None:
            return
        bounds = [] if self.bounds is None else [*self.bounds.get_values()]
        if bounds[:1] != [0] or bounds[-1] != sites or bounds != sorted({*bounds}):
            raise VerifyException(
                f"'bt.draw' of {sites} sites has groups of all steps in order, got "
                f"bounds {bounds}"
            )
        groups = len(self.bounds.get_values()) - 1 if self.bounds is not None else 0
        if len(self.written) != 2 + 3 * groups or not groups:
            raise VerifyException(
                "'bt.draw': sites are drawn by tables, start, and open, term, commit "
                f"of each group of steps, got {self.written} and {self.bounds}"
            )


# endregion
# region Loops over samples and states


@irdl_op_definition
class MapSamplesOp(BranchTensorOp):
    """What a function of S samples returns of B samples: of S after S of them.

    The function takes x of shape (S, sites), S at most B, and what else it is given;
    its results have the leading axis S. A sample's results depend on that sample alone.
    With a count, results of the samples from that number on are not said.

    ```mlir
    %e = bt.map_samples to %count @chunk(%x, %w)
      : (tensor<9x8xi8>, tensor<f64>) -> tensor<9xf64>
    func.func private @chunk(%x : tensor<4x8xi8>, %w : tensor<f64>) -> tensor<4xf64>
    ```
    """

    name = "bt.map_samples"

    callee = prop_def(SymbolRefAttr)
    config = operand_def(TENSOR)
    shared = var_operand_def(TENSOR)
    count = opt_operand_def(COUNT)
    outputs = var_result_def(TENSOR)

    irdl_options = (AttrSizedOperandSegments(as_property=True),)

    traits = traits_def(Pure(), TakesConfigurations())

    assembly_format = (
        "(`to` $count^)? $callee `(` $config (`,` $shared^)? `)` attr-dict `:` `(` "
        "type($config) (`,` type($shared)^)? `)` `->` type($outputs)"
    )

    def __init__(
        self,
        function: FuncOp,
        config: SSAValue,
        shared: Sequence[SSAValue],
        count: SSAValue | None = None,
    ):
        batch = _tensor(config).get_shape()[0]
        kinds = cast(
            "list[TensorType[TypeAttribute]]", [*function.function_type.outputs]
        )
        super().__init__(
            operands=[config, shared, count],
            properties={"callee": SymbolRefAttr(function.sym_name.data)},
            result_types=[
                [
                    TensorType(kind.element_type, [batch, *kind.get_shape()[1:]])
                    for kind in kinds
                ]
            ],
        )

    @property
    def function(self) -> FuncOp:
        """The function of S samples."""
        found = SymbolTable.lookup_symbol(self, self.callee)
        assert isinstance(found, FuncOp)
        return found

    def verify_(self) -> None:
        name = self.callee.string_value()
        found = SymbolTable.lookup_symbol(self, self.callee)
        if not isinstance(found, FuncOp):
            raise VerifyException(f"'bt.map_samples': there is no function @{name}")
        inputs = list(found.function_type.inputs)
        outputs = list(found.function_type.outputs)
        batch, *_ = _tensor(self.config).get_shape()
        size = cast(TensorType[Attribute], inputs[0]).get_shape()[0] if inputs else 0
        given = [_resized(self.config.type, size), *(v.type for v in self.shared)]
        results = [_resized(value.type, size) for value in self.outputs]
        wide = all(_tensor(v).get_shape()[:1] == (batch,) for v in self.outputs)
        if size > batch or given != inputs or results != outputs or not wide:
            raise VerifyException(
                f"'bt.map_samples' of {self.config.type}: @{name} is no function of "
                f"some of these samples, got {found.function_type}"
            )


def _resized(kind: Attribute, size: int) -> Attribute:
    """Return a type with another length of its first axis."""
    own = cast("TensorType[TypeAttribute]", kind)
    return TensorType(own.element_type, [size, *own.get_shape()[1:]])


@irdl_op_definition
class PackOp(BranchTensorOp):
    """The states of samples and of their live lanes, without gaps.

    States of C samples of R lanes are numbered: sample c is c, its lane r is
    C + c R + r. `states`, (C + C R,), has all samples and then the live lanes, in
    order, so many as `count`; what is behind them is 0. `places`, (C R,), is for each
    lane how many live ones there are up to it: if it is one, it is at C + places - 1.

    ```mlir
    %states, %places, %count = bt.pack %live
      : tensor<4x3xi1> -> tensor<16xi32>, tensor<12xi32>, tensor<i32>
    ```
    """

    name = "bt.pack"

    live = operand_def(TensorType.constr(element_type=i1))
    states = result_def(TENSOR)
    places = result_def(TENSOR)
    count = result_def(TENSOR)

    assembly_format = (
        "$live attr-dict `:` type($live) `->` type($states) `,` type($places) `,` "
        "type($count)"
    )

    def __init__(self, live: SSAValue):
        super().__init__(operands=[live], result_types=_packed_types(live))

    def verify_(self) -> None:
        if len(_tensor(self.live).get_shape()) != 2 or [
            value.type for value in self.results
        ] != _packed_types(self.live):
            raise VerifyException(
                f"'bt.pack' of {self.live.type} cannot have types "
                + ", ".join(str(value.type) for value in self.results)
            )


def _packed_types(live: SSAValue) -> list[Attribute]:
    samples, lanes = (*_tensor(live).get_shape(), 0, 0)[:2]
    shapes: list[list[int]] = [[samples * (1 + lanes)], [samples * lanes], []]
    return [TensorType(i32, shape) for shape in shapes]


@irdl_op_definition
class DistinctOp(BranchTensorOp):
    """The first of the states of each key, without gaps, and where that of a state is.

    `keys`, (T, W), has the words of a key of each of T states. `states`, (T,), has
    those whose key no state before them has, in order, so many as `count`; what is
    behind them is 0. `places`, (T,), is for each state where among them that of its key
    is.

    ```mlir
    %states, %places, %count = bt.distinct %keys
      : tensor<16x2xi32> -> tensor<16xi32>, tensor<16xi32>, tensor<i32>
    ```
    """

    name = "bt.distinct"

    keys = operand_def(TensorType.constr(element_type=i32))
    states = result_def(TENSOR)
    places = result_def(TENSOR)
    count = result_def(TENSOR)

    assembly_format = (
        "$keys attr-dict `:` type($keys) `->` type($states) `,` type($places) `,` "
        "type($count)"
    )

    def __init__(self, keys: SSAValue):
        super().__init__(operands=[keys], result_types=_distinct_types(keys))

    def verify_(self) -> None:
        if len(_tensor(self.keys).get_shape()) != 2 or [
            value.type for value in self.results
        ] != _distinct_types(self.keys):
            raise VerifyException(
                f"'bt.distinct' of {self.keys.type} cannot have types "
                + ", ".join(str(value.type) for value in self.results)
            )


def _distinct_types(keys: SSAValue) -> list[Attribute]:
    (total, *_) = (*_tensor(keys).get_shape(), 0)
    return [TensorType(i32, shape) for shape in ([total], [total], [])]


@irdl_op_definition
class MapStatesOp(BranchTensorOp):
    """A number for each of some states, of which so many are computed at once.

    The region takes the number of one state, see `bt.pack`, and yields what is of it.
    Of the places `first` to `count` of `states` the results are there; others are not
    said. Without states, place p is state p, up to the last one. `sizes` are how many
    are computed at once: as many times the first of them as leaves least for the next.

    ```mlir
    %r = bt.map_states over %states to %count from 4 sizes [8, 2] {
    ^bb0(%state : tensor<i32>):
      %v = stablehlo.convert %state : (tensor<i32>) -> tensor<f64>
      bt.yield %v : tensor<f64>
    } : tensor<16xf64>
    ```
    """

    name = "bt.map_states"

    states = opt_operand_def(TensorType.constr(element_type=i32))
    count = opt_operand_def(TensorType.constr(element_type=i32))
    first = prop_def(IntegerAttr[I64])
    sizes = prop_def(DenseArrayBase[I64])
    body = region_def("single_block")
    result = result_def(TENSOR)

    irdl_options = (AttrSizedOperandSegments(as_property=True),)

    def __init__(
        self,
        packed: tuple[SSAValue, SSAValue] | None,
        first: int,
        sizes: Sequence[int],
        body: Region,
        result: Attribute,
    ):
        states, count = packed or (None, None)
        super().__init__(
            operands=[states, count],
            properties={
                "first": IntegerAttr(first, i64),
                "sizes": DenseArrayBase.from_list(i64, list(sizes)),
            },
            regions=[body],
            result_types=[result],
        )

    def verify_(self) -> None:
        total = _tensor(self.result).get_shape()
        last = self.body.block.last_op
        end = last.value if isinstance(last, YieldOp) else None
        arguments = [argument.type for argument in self.body.block.args]
        sizes = self.sizes.get_values()
        if len(total) != 1 or not 0 <= self.first.value.data <= total[0]:
            raise VerifyException(
                f"'bt.map_states' has a number of each place from the first one, "
                f"{self.first.value.data}, got {self.result.type}"
            )
        if (self.states is None) != (self.count is None) or (
            self.states is not None and _tensor(self.states).get_shape() != total
        ):
            raise VerifyException(
                f"'bt.map_states' takes states, of the shape of {self.result.type}, "
                "with their count, or neither"
            )
        if not sizes or min(sizes) < 1 or list(sizes) != sorted(sizes, reverse=True):
            raise VerifyException(
                f"'bt.map_states': sizes are positive, the largest first, got {sizes}"
            )
        one = TensorType(_tensor(self.result).element_type, [])
        if arguments != [TensorType(i32, [])] or end is None or end.type != one:
            raise VerifyException(
                f"'bt.map_states' makes one {one} of one tensor<i32>, got "
                f"{'nothing' if end is None else end.type} of "
                + ", ".join(map(str, arguments))
            )

    def print(self, printer: Printer) -> None:
        if self.states is not None and self.count is not None:
            printer.print_string(" over ")
            printer.print_operand(self.states)
            printer.print_string(" to ")
            printer.print_operand(self.count)
        sizes = ", ".join(map(str, self.sizes.get_values()))
        printer.print_string(f" from {self.first.value.data} sizes [{sizes}] ")
        printer.print_region(self.body)
        printer.print_op_attributes(self.attributes)
        printer.print_string(" : ")
        printer.print_attribute(self.result.type)

    @classmethod
    def parse(cls, parser: Parser) -> MapStatesOp:
        packed = None
        if parser.parse_optional_keyword("over"):
            states = parser.parse_unresolved_operand()
            parser.parse_keyword("to")
            packed = states, parser.parse_unresolved_operand()
        parser.parse_keyword("from")
        first = parser.parse_integer(allow_negative=False)
        parser.parse_keyword("sizes")
        sizes = parser.parse_comma_separated_list(
            parser.Delimiter.SQUARE, parser.parse_integer
        )
        body = parser.parse_region()
        attributes = parser.parse_optional_attr_dict()
        parser.parse_punctuation(":")
        result = cast("TensorType[Attribute]", parser.parse_type())
        found = None
        if packed is not None:
            kinds = TensorType(i32, result.get_shape()), TensorType(i32, [])
            states, count = map(parser.resolve_operand, packed, kinds)
            found = states, count
        op = cls(found, first, sizes, body, result)
        op.attributes.update(attributes)
        return op


@irdl_op_definition
class YieldOp(IRDLOperation):
    """The value of one state, at the end of `bt.map_states`.

    ```mlir
    bt.yield %v : tensor<f64>
    ```
    """

    name = "bt.yield"

    value = operand_def(TENSOR)

    traits = traits_def(Pure(), IsTerminator(), HasParent(MapStatesOp))

    assembly_format = "$value attr-dict `:` type($value)"

    def __init__(self, value: SSAValue):
        super().__init__(operands=[value])


@irdl_op_definition
class UnpackOp(BranchTensorOp):
    """What was found of live lanes, at their places (C + C R,), as (C, R).

    It is 0 of a lane that is not live.

    ```mlir
    %r = bt.unpack %found, %places where %live
      : (tensor<16xf64>, tensor<12xi32>, tensor<4x3xi1>) -> tensor<4x3xf64>
    ```
    """

    name = "bt.unpack"

    found = operand_def(TENSOR)
    places = operand_def(TensorType.constr(element_type=i32))
    live = operand_def(TensorType.constr(element_type=i1))
    result = result_def(TENSOR)

    assembly_format = (
        "$found `,` $places `where` $live attr-dict `:` "
        "functional-type(operands, results)"
    )

    def __init__(self, found: SSAValue, places: SSAValue, live: SSAValue):
        element = cast(TypeAttribute, _tensor(found).element_type)
        super().__init__(
            operands=[found, places, live],
            result_types=[TensorType(element, _tensor(live).get_shape())],
        )

    def verify_(self) -> None:
        all_, places, _ = _packed_types(self.live)
        shapes = [
            cast(TensorType[Attribute], one).get_shape() for one in (all_, places)
        ]
        found, live = _tensor(self.found), _tensor(self.live)
        kind = TensorType(cast(TypeAttribute, found.element_type), live.get_shape())
        given = [found.get_shape(), _tensor(self.places).get_shape()]
        if len(live.get_shape()) != 2 or given != shapes or self.result.type != kind:
            raise VerifyException(
                f"'bt.unpack' of {found} at {self.places.type} where {live} cannot be "
                f"{self.result.type}"
            )


# endregion

BATCH = DYNAMIC_INDEX
"""The batch dimension before `bt-specialize`."""

Bt = Dialect(
    "bt",
    [
        GatherOp,
        BroadcastOp,
        ReduceOp,
        DotOp,
        BranchesOp,
        ImagesOp,
        ConcatOp,
        InterleaveOp,
        CompactOp,
        PrunedOp,
        AssumeOp,
        UnarrangedOp,
        ConnectionsOp,
        LanesOp,
        DeclaredOp,
        LocalEnergyOp,
        DrawOp,
        MapSamplesOp,
        PackOp,
        DistinctOp,
        MapStatesOp,
        UnpackOp,
        YieldOp,
    ],
    [StateType, BranchesType, ReductionAttr, LanesAttr, PartAttr, PlanAttr],
)
