"""Ops of StableHLO that xdsl-jax lacks, or does not have as StableHLO does.

Their text is what JAX and jaxlib read and write. Written so that it could go upstream.
"""

from __future__ import annotations

from collections.abc import Sequence
from collections.abc import Set as AbstractSet
from typing import cast

from xdsl.dialects.builtin import (
    DYNAMIC_INDEX,
    I64,
    AnyTensorType,
    ArrayAttr,
    BoolAttr,
    DenseArrayBase,
    DenseIntOrFPElementsAttr,
    DictionaryAttr,
    IntegerAttr,
    StringAttr,
    TensorType,
    i1,
    i32,
    i64,
)
from xdsl.dialects.utils import EnumAttribute, StrEnum
from xdsl.ir import (
    Attribute,
    Operation,
    ParametrizedAttribute,
    SpacedOpaqueSyntaxAttribute,
    SSAValue,
)
from xdsl.irdl import (
    AnyAttr,
    IRDLOperation,
    ParsePropInAttrDict,
    SameVariadicOperandSize,
    irdl_attr_definition,
    irdl_op_definition,
    operand_def,
    opt_prop_def,
    prop_def,
    region_def,
    result_def,
    traits_def,
    var_operand_def,
    var_result_def,
)
from xdsl.parser import AttrParser
from xdsl.printer import Printer
from xdsl.traits import (
    EffectInstance,
    MemoryEffect,
    Pure,
    RecursivelySpeculatable,
    RecursiveMemoryEffect,
)
from xdsl.utils.exceptions import VerifyException
from xdsl_jax.dialects.stablehlo.custom_directives import CustomCallTarget
from xdsl_jax.dialects.stablehlo.types import ScalarIntTensorType

_NUMBERS = DenseArrayBase.constr(i64)


@irdl_op_definition
class DynamicUpdateSliceOp(IRDLOperation):
    """A tensor with another one in place of a slice of it, from places that are values.

    A start that reaches too far is moved back.

    ```mlir
    %r = stablehlo.dynamic_update_slice %x, %update, %i, %j
      : (tensor<4x3xf64>, tensor<1x3xf64>, tensor<i32>, tensor<i32>) -> tensor<4x3xf64>
    ```
    """

    name = "stablehlo.dynamic_update_slice"

    operand = operand_def(AnyTensorType)
    update = operand_def(AnyTensorType)
    start_indices = var_operand_def(ScalarIntTensorType)
    result = result_def(AnyTensorType)

    traits = traits_def(Pure())

    assembly_format = "operands attr-dict `:` functional-type(operands, results)"

    def verify_(self) -> None:
        whole, part = _kind(self.operand), _kind(self.update)
        sizes, shape = part.get_shape(), whole.get_shape()
        if (
            part.element_type != whole.element_type
            or len(sizes) != len(shape)
            or any(size > length for size, length in zip(sizes, shape, strict=True))
        ):
            raise VerifyException(f"'{self.name}' has no slice {part} of {whole}")
        if len(self.start_indices) != len(shape):
            raise VerifyException(
                f"'{self.name}' of {whole} has {len(self.start_indices)} starts"
            )
        if self.result.type != whole:
            raise VerifyException(
                f"'{self.name}' has type {whole}, declared {self.result.type}"
            )


class FftType(StrEnum):
    """Which discrete Fourier transform an op is."""

    FFT = "FFT"
    IFFT = "IFFT"
    RFFT = "RFFT"
    IRFFT = "IRFFT"


@irdl_attr_definition
class FftTypeAttr(EnumAttribute[FftType], SpacedOpaqueSyntaxAttribute):
    """Which discrete Fourier transform: `#stablehlo<fft_type RFFT>`."""

    name = "stablehlo.fft_type"


@irdl_attr_definition
class ConvDimensionsAttr(ParametrizedAttribute):
    """What the axes of images, of kernels and of the result of a convolution are.

    `b` is a batch, `f` are features, of kernels `i` those of images and `o` those of
    the result, and numbers are axes of space: `#stablehlo.conv<[b, 0, f]x[0, i, o]->[b,
    0, f]>`.
    """

    name = "stablehlo.conv"

    sides: ArrayAttr[ArrayAttr[StringAttr]]

    @property
    def labels(self) -> list[list[str]]:
        """The labels of the axes, of one side after the other."""
        return [[label.data for label in side] for side in self.sides]

    def axes(self, side: int) -> tuple[int, ...]:
        """Return where a side has its batch or `o`, its features or `i`, and space."""
        labels, first = self.labels[side], "oi" if side == 1 else "bf"
        space = map(str, range(len(labels) - 2))
        return tuple(labels.index(label) for label in (*first, *space))

    @classmethod
    def parse_parameters(cls, parser: AttrParser) -> Sequence[Attribute]:
        def label() -> StringAttr:
            name = parser.parse_optional_identifier()
            return StringAttr(str(parser.parse_integer()) if name is None else name)

        def side() -> ArrayAttr[StringAttr]:
            return ArrayAttr(parser.parse_comma_separated_list(square, label))

        square = AttrParser.Delimiter.SQUARE
        with parser.in_angle_brackets():
            images = side()
            parser.parse_characters("x")
            kernels = side()
            parser.parse_punctuation("->")
            return [ArrayAttr([images, kernels, side()])]

    def print_parameters(self, printer: Printer) -> None:
        images, kernels, result = (f"[{', '.join(side)}]" for side in self.labels)
        printer.print_string(f"<{images}x{kernels}->{result}>")


@irdl_op_definition
class ConvolutionOp(IRDLOperation):
    """Sums of products of the windows of images with kernels.

    ```mlir
    %y = "stablehlo.convolution"(%x, %w) <{
      dimension_numbers = #stablehlo.conv<[b, 0, f]x[0, i, o]->[b, 0, f]>,
      feature_group_count = 1 : i64, batch_group_count = 1 : i64}>
      : (tensor<2x5x1xf64>, tensor<3x1x4xf64>) -> tensor<2x3x4xf64>
    ```
    """

    name = "stablehlo.convolution"

    lhs = operand_def(AnyTensorType)
    rhs = operand_def(AnyTensorType)
    window_strides = opt_prop_def(_NUMBERS)
    padding = opt_prop_def(DenseIntOrFPElementsAttr)
    lhs_dilation = opt_prop_def(_NUMBERS)
    rhs_dilation = opt_prop_def(_NUMBERS)
    window_reversal = opt_prop_def(DenseArrayBase.constr(i1))
    dimension_numbers = prop_def(ConvDimensionsAttr)
    feature_group_count = prop_def(IntegerAttr)
    batch_group_count = prop_def(IntegerAttr)
    precision_config = opt_prop_def(ArrayAttr)
    result = result_def(AnyTensorType)

    traits = traits_def(Pure())


@irdl_op_definition
class FftOp(IRDLOperation):
    """A discrete Fourier transform along the last axes.

    ```mlir
    %y = "stablehlo.fft"(%x) <{fft_type = #stablehlo<fft_type RFFT>,
      fft_length = array<i64: 4>}> : (tensor<2x4xf64>) -> tensor<2x3xcomplex<f64>>
    ```
    """

    name = "stablehlo.fft"

    operand = operand_def(AnyTensorType)
    fft_type = prop_def(FftTypeAttr)
    fft_length = prop_def(_NUMBERS)
    result = result_def(AnyTensorType)

    traits = traits_def(Pure())


@irdl_op_definition
class PadOp(IRDLOperation):
    """A tensor with a value around it and between its elements.

    Less than nothing around it takes elements away. xdsl-jax pads by integers alone.

    ```mlir
    %y = stablehlo.pad %x, %zero, low = [1], high = [-1], interior = [0]
      : (tensor<4xf64>, tensor<f64>) -> tensor<4xf64>
    ```
    """

    name = "stablehlo.pad"

    operand = operand_def(AnyTensorType)
    padding_value = operand_def(AnyTensorType)
    edge_padding_low = prop_def(_NUMBERS)
    edge_padding_high = prop_def(_NUMBERS)
    interior_padding = prop_def(_NUMBERS)
    result = result_def(AnyTensorType)

    traits = traits_def(Pure())

    assembly_format = (
        "$operand `,` $padding_value `,` "
        "`low` `=` $edge_padding_low `,` "
        "`high` `=` $edge_padding_high `,` "
        "`interior` `=` $interior_padding "
        "attr-dict `:` functional-type(operands, results)"
    )

    @property
    def columns(self) -> tuple[DenseArrayBase[I64], ...]:
        """What is before, after and between the elements, by axis."""
        return self.edge_padding_low, self.edge_padding_high, self.interior_padding

    @property
    def sides(self) -> list[tuple[int, int, int]]:
        """What is before, after and between the elements of each axis."""
        columns = (column.get_values() for column in self.columns)
        return [*zip(*columns, strict=True)]

    def verify_(self) -> None:
        kind, shape = _kind(self.operand), _kind(self.operand).get_shape()
        filler = _kind(self.padding_value)
        if filler != TensorType(kind.element_type, ()):
            raise VerifyException(f"'{self.name}' mixes {kind}, {filler}")
        if {len(column.get_values()) for column in self.columns} != {len(shape)}:
            raise VerifyException(f"'{self.name}' of {kind} is for another rank")
        if DYNAMIC_INDEX in shape:
            return
        lengths = [
            low + length + max(length - 1, 0) * inner + high
            for length, (low, high, inner) in zip(shape, self.sides, strict=True)
        ]
        expected = TensorType(kind.element_type, lengths)
        if self.result.type != expected:
            raise VerifyException(
                f"'{self.name}' has type {expected}, declared {self.result.type}"
            )


@irdl_op_definition
class ReduceWindowOp(IRDLOperation):
    """The windows of tensors, each combined into one element by a region.

    ```mlir
    %y = "stablehlo.reduce_window"(%x, %zero) <{window_dimensions = array<i64: 2>}> ({
    ^bb0(%a: tensor<f64>, %b: tensor<f64>):
      %c = stablehlo.add %a, %b : tensor<f64>
      stablehlo.return %c : tensor<f64>
    }) : (tensor<4xf64>, tensor<f64>) -> tensor<3xf64>
    ```
    """

    name = "stablehlo.reduce_window"

    inputs = var_operand_def(AnyTensorType)
    init_values = var_operand_def(AnyTensorType)
    window_dimensions = prop_def(_NUMBERS)
    window_strides = opt_prop_def(_NUMBERS)
    base_dilations = opt_prop_def(_NUMBERS)
    window_dilations = opt_prop_def(_NUMBERS)
    padding = opt_prop_def(DenseIntOrFPElementsAttr)
    result = var_result_def(AnyTensorType)
    body = region_def("single_block")

    traits = traits_def(RecursiveMemoryEffect(), RecursivelySpeculatable())

    irdl_options = (SameVariadicOperandSize(),)


@irdl_op_definition
class ReverseOp(IRDLOperation):
    """A tensor with the elements along some axes in the other order.

    ```mlir
    %y = "stablehlo.reverse"(%x) <{dimensions = array<i64: 0>}>
      : (tensor<4xf64>) -> tensor<4xf64>
    ```
    """

    name = "stablehlo.reverse"

    operand = operand_def(AnyTensorType)
    dimensions = prop_def(_NUMBERS)
    result = result_def(AnyTensorType)

    traits = traits_def(Pure())


@irdl_op_definition
class SortOp(IRDLOperation):
    """Tensors sorted along an axis together, by a region that says which is first.

    ```mlir
    %y = "stablehlo.sort"(%x) <{dimension = 0 : i64, is_stable = true}> ({
    ^bb0(%a: tensor<f64>, %b: tensor<f64>):
      %c = stablehlo.compare LT, %a, %b : (tensor<f64>, tensor<f64>) -> tensor<i1>
      stablehlo.return %c : tensor<i1>
    }) : (tensor<4xf64>) -> tensor<4xf64>
    ```
    """

    name = "stablehlo.sort"

    inputs = var_operand_def(AnyTensorType)
    dimension = prop_def(IntegerAttr, default_value=IntegerAttr(-1, i64))
    is_stable = prop_def(BoolAttr, default_value=BoolAttr.from_bool(False))
    result = var_result_def(AnyTensorType)
    comparator = region_def("single_block")

    traits = traits_def(RecursiveMemoryEffect(), RecursivelySpeculatable())


class _CallEffect(MemoryEffect):
    """Any effect where a call says that it has one, none where not."""

    @classmethod
    def get_effects(cls, op: Operation) -> AbstractSet[EffectInstance] | None:
        assert isinstance(op, CustomCallOp)
        return None if op.has_side_effect.value.data else set()


@irdl_op_definition
class CustomCallOp(IRDLOperation):
    """A call of what only a backend has.

    xdsl-jax raises where it is asked for the effects of its own.

    ```mlir
    %y = stablehlo.custom_call @name(%x) {backend_config = {side = 76 : ui8},
      api_version = 4 : i32} : (tensor<3xf64>) -> tensor<3xf64>
    ```
    """

    name = "stablehlo.custom_call"

    inputs = var_operand_def(AnyAttr())
    call_target_name = prop_def(StringAttr)
    has_side_effect = prop_def(BoolAttr, default_value=BoolAttr.from_bool(False))
    backend_config = opt_prop_def(DictionaryAttr | StringAttr)
    api_version = prop_def(IntegerAttr, default_value=IntegerAttr(1, i32))
    called_computations = opt_prop_def(ArrayAttr, default_value=ArrayAttr([]))
    operand_layouts = opt_prop_def(ArrayAttr)
    result_layouts = opt_prop_def(ArrayAttr)
    output_operand_aliases = prop_def(ArrayAttr, default_value=ArrayAttr([]))
    result = var_result_def(AnyAttr())

    traits = traits_def(_CallEffect())

    irdl_options = (ParsePropInAttrDict(),)

    assembly_format = (
        "custom<CustomCallTarget>($call_target_name) `(` $inputs `)` "
        "attr-dict `:` functional-type(operands, results)"
    )

    custom_directives = (CustomCallTarget,)


def _kind(value: SSAValue) -> TensorType[Attribute]:
    return cast(TensorType[Attribute], value.type)


OPS: tuple[type[Operation], ...] = (
    ConvolutionOp,
    CustomCallOp,
    DynamicUpdateSliceOp,
    FftOp,
    PadOp,
    ReduceWindowOp,
    ReverseOp,
    SortOp,
)
ATTRIBUTES: tuple[type[Attribute], ...] = (ConvDimensionsAttr, FftTypeAttr)
"""All of them."""
