"""Translation to the `sym` dialect: the text of small operators, op by op."""

from __future__ import annotations

import inspect
from fractions import Fraction
from typing import Any, cast

import numpy as np
import pytest
from xdsl.dialects.builtin import FileLineColLoc, NameLoc
from xdsl.ir import Operation

from dialects import sym
from dialects.interpreters.sym import branches
from symir.language import (
    DOperator,
    Expr,
    Predicate,
    emitted,
    false,
    row,
    shift,
    site,
    sqrt,
    swap,
    symbol,
    true,
    write,
)
from symir.language.definitions import (
    EmissionDefinition,
    OperatorDefinition,
    TermDefinition,
)
from symir.language.expressions import Constant
from symir.language.rows import one_row
from symir.language.translate import translate
from symir.language.updates import Update
from symir.operator.spaces import fock, qubit, space

i, j = site("i"), site("j")
z = symbol("z", dtype=complex)


def _text(builder: DOperator) -> str:
    return builder.build().to_ir().text()


def _body(builder: DOperator) -> list[str]:
    """Return the ops of the only term."""
    lines = [line.strip() for line in _text(builder).splitlines()]
    return lines[3 : lines.index("}")]


def _amplitude(amplitude: Any, dtype: Any = "float64") -> list[str]:
    """Return the ops of an amplitude over all pairs of sites."""
    builder = DOperator(fock(3, 2), dtype=dtype).for_each_pair("i", "j")
    return _body(builder.emit(amplitude=amplitude))


def _predicate(predicate: Predicate, dtype: Any = "float64") -> list[str]:
    """Return the ops of a predicate over all pairs of sites."""
    builder = DOperator(fock(3, 2), dtype=dtype).for_each_pair("i", "j")
    # A symbol adds no op to the term.
    return _body(builder.where(predicate).emit(amplitude=symbol("one", dtype=dtype)))


HOP = """
sym.operator @hop(%t "t" : tensor<f64> = dense<5.000000e-01>) space \
#sym.space<3 x [0, 1], [0, 1, 2], [0, 1]> element f64 hermitian {
  sym.term @bulk over #sym.rows<[0, 1], [1, 2]> data \
[#sym.column<"J", dense<[1.000000e+00, 2.000000e+00]> : tensor<2xf64>>] {
  ^bb0(%x: !sym.config, %i: !sym.site, %j: !sym.site, %J: tensor<f64>):
    %x_i = sym.read %x[%i] : tensor<f64>
    %0 = stablehlo.constant dense<0.000000e+00> : tensor<f64>
    %1 = stablehlo.compare GT, %x_i, %0 : (tensor<f64>, tensor<f64>) -> tensor<i1>
    %at_i = sym.index %i
    %at_j = sym.index %j
    %2 = stablehlo.compare NE, %at_i, %at_j : (tensor<i32>, tensor<i32>) -> tensor<i1>
    %3 = stablehlo.and %1, %2 : tensor<i1>
    %4 = stablehlo.constant dense<-1.000000e+00> : tensor<f64>
    %y = sym.shift %x[%i] by %4 : tensor<f64>
    %5 = stablehlo.constant dense<1.000000e+00> : tensor<f64>
    %y_1 = sym.shift %y[%j] by %5 : tensor<f64>
    %6 = stablehlo.multiply %t, %J : tensor<f64>
    %y_j = sym.read %y_1[%j] : tensor<f64>
    %7 = stablehlo.multiply %x_i, %y_j : tensor<f64>
    %8 = stablehlo.sqrt %7 : tensor<f64>
    %9 = stablehlo.multiply %6, %8 : tensor<f64>
    sym.emit %y_1, %9 if %3 tag "right" : tensor<f64>
    %y_2 = sym.swap %x[%i, %j]
    sym.emit %y_2, %5 if %3 : tensor<f64>
  }
  sym.term @term1 over #sym.rows<[]> {
  ^bb0(%x_1: !sym.config):
    sym.emit %x_1, %t : tensor<f64>
  }
}
"""


def test_a_whole_operator():
    hopping = symbol("t", default=Fraction(1, 2))
    builder = (
        DOperator(space([[0, 1], [0, 1, 2], [0, 1]]), "hop", hermitian=True)
        .for_each(("i", "j"), over=[(0, 1), (1, 2)], data={"J": [1, 2]})
        .named("bulk")
        .where(i > 0)
        .where(i.index != j.index)
        .emit(
            shift("i", -1).shift("j", 1),
            amplitude=hopping * row("J") * sqrt(i * emitted("j")),
            tag="right",
        )
        .emit(swap("i", "j"))
        .globally()
        .emit(amplitude=hopping)
    )
    assert _text(builder) == HOP.strip()


# region Reads


def test_site_reads_the_source_whatever_the_update_has_done():
    builder = (
        DOperator(fock(3, 2))
        .for_each_pair("i", "j")
        .emit(write("i", j.value).write("j", i.value), amplitude=i * emitted("i"))
    )
    assert _body(builder) == [
        "%x_j = sym.read %x[%j] : tensor<f64>",
        "%y = sym.write %x[%i], %x_j : tensor<f64>",
        "%x_i = sym.read %x[%i] : tensor<f64>",
        "%y_1 = sym.write %y[%j], %x_i : tensor<f64>",
        "%y_i = sym.read %y_1[%i] : tensor<f64>",
        "%0 = stablehlo.multiply %x_i, %y_i : tensor<f64>",
        "sym.emit %y_1, %0 : tensor<f64>",
    ]


def test_one_amplitude_reads_the_configuration_of_each_emission():
    amplitude = emitted("i").value
    builder = (
        DOperator(fock(3, 2))
        .for_each_site("i")
        .emit(shift("i", symbol("a", 1)), amplitude=amplitude)
        .emit(amplitude=amplitude)
    )
    assert _body(builder) == [
        "%y = sym.shift %x[%i] by %a : tensor<f64>",
        "%y_i = sym.read %y[%i] : tensor<f64>",
        "sym.emit %y, %y_i : tensor<f64>",
        "%y_i_1 = sym.read %x[%i] : tensor<f64>",
        "sym.emit %x, %y_i_1 : tensor<f64>",
    ]


def test_equal_parts_are_one_value():
    ops = _amplitude((i + j) * (site("i") + site("j").value))
    assert [op.split(" = ")[-1].split()[0] for op in ops] == [
        "sym.read",
        "sym.read",
        "stablehlo.add",
        "stablehlo.multiply",
        "sym.emit",
    ]


def test_constants_of_different_sign_of_zero_differ():
    ops = _amplitude(0.0 * i + -0.0 * i)
    assert sum("stablehlo.constant" in op for op in ops) == 2


# endregion
# region Types


def test_numbers_are_of_the_type_of_the_operator():
    assert _amplitude(2 * i, "float32") == [
        "%x_i = sym.read %x[%i] : tensor<f32>",
        "%0 = stablehlo.constant dense<2.000000e+00> : tensor<f32>",
        "%1 = stablehlo.multiply %0, %x_i : tensor<f32>",
        "sym.emit %x, %1 : tensor<f32>",
    ]


def test_complex_operators_compute_in_reals_where_they_can():
    assert _amplitude(i * 2 * z, "complex64") == [
        "%x_i = sym.read %x[%i] : tensor<f32>",
        "%0 = stablehlo.constant dense<2.000000e+00> : tensor<f32>",
        "%1 = stablehlo.multiply %x_i, %0 : tensor<f32>",
        "%2 = stablehlo.convert %1 : (tensor<f32>) -> tensor<complex<f32>>",
        "%3 = stablehlo.multiply %2, %z : tensor<complex<f32>>",
        "sym.emit %x, %3 : tensor<complex<f32>>",
    ]


def test_constants_are_built_in_the_type_they_are_used_in():
    assert _amplitude(2 * z + 1j, complex) == [
        "%0 = stablehlo.constant dense<(2.000000e+00,0.000000e+00)> : "
        "tensor<complex<f64>>",
        "%1 = stablehlo.multiply %0, %z : tensor<complex<f64>>",
        "%2 = stablehlo.constant dense<(0.000000e+00,1.000000e+00)> : "
        "tensor<complex<f64>>",
        "%3 = stablehlo.add %1, %2 : tensor<complex<f64>>",
        "sym.emit %x, %3 : tensor<complex<f64>>",
    ]


def test_the_absolute_value_of_a_complex_number_is_real():
    assert _amplitude(abs(z) + i, complex)[:3] == [
        "%0 = stablehlo.abs %z : (tensor<complex<f64>>) -> tensor<f64>",
        "%x_i = sym.read %x[%i] : tensor<f64>",
        "%1 = stablehlo.add %0, %x_i : tensor<f64>",
    ]


def test_symbols_and_data_are_real_or_complex():
    builder = (
        DOperator(qubit(2), dtype="complex64")
        .globally()
        .emit(amplitude=symbol("a") + symbol("b", 1) + symbol("c", 1j) + z)
    )
    assert (
        '(%a "a" : tensor<f32>, %b "b" : tensor<f32> = dense<1.000000e+00>, '
        '%c "c" : tensor<complex<f32>> = dense<(0.000000e+00,1.000000e+00)>, '
        '%z "z" : tensor<complex<f32>>)'
    ) in _text(builder)
    data = {"J": np.array([1, 2]), "K": np.array([1j, 0])}
    builder = DOperator(qubit(2), dtype=complex).for_each("i", over=[0, 1], data=data)
    text = _text(builder.emit(amplitude=row("K") * row("J")))
    assert "%J: tensor<f64>, %K: tensor<complex<f64>>" in text


# endregion
# region Functions


def test_functions():
    names = {
        "negate": -i,
        "add": i + j,
        "subtract": i - j,
        "multiply": i * j,
        "divide": i / j,
        "sqrt": sqrt(i),
        "abs": abs(i),
        "power": i**j,
    }
    for name, expression in names.items():
        ops = _amplitude(expression)
        assert f"stablehlo.{name} " in ops[-2]


@pytest.mark.parametrize("exponent", [*range(-17, 18), 2.0, Fraction(3), np.int8(4)])
def test_small_integer_powers_are_products(exponent: Any):
    ops = _amplitude(i**exponent)
    unrolled = abs(int(exponent)) <= 16
    assert any("power" in op for op in ops) is not unrolled
    assert sum("multiply" in op for op in ops) <= 6
    operator = DOperator(fock(3, 2)).for_each_site("i").emit(amplitude=i**exponent)
    for branch in branches(operator.build().to_ir().module, [2, 1]):
        value = float([2, 1][branch.row])
        assert branch.amplitude == pytest.approx(value ** int(exponent), rel=1e-15)


def test_powers_of_site_numbers_and_complex_numbers():
    assert _amplitude(i.index**2) == [
        "%at_i = sym.index %i",
        "%0 = stablehlo.convert %at_i : (tensor<i32>) -> tensor<f64>",
        "%1 = stablehlo.multiply %0, %0 : tensor<f64>",
        "sym.emit %x, %1 : tensor<f64>",
    ]
    assert _amplitude(z**2, complex)[0].startswith("%0 = stablehlo.multiply %z, %z")
    assert "stablehlo.power" in _amplitude(i ** (2 + 0j), complex)[-2]
    assert "stablehlo.power" in _amplitude(i**0.5)[-2]
    assert _amplitude(i**1)[-1] == "sym.emit %x, %x_i : tensor<f64>"


# endregion
# region Predicates


def test_site_numbers_are_compared_as_integers():
    assert _predicate((i.index < j.index) & (i.index != 1))[2:5] == [
        "%0 = stablehlo.compare LT, %at_i, %at_j : (tensor<i32>, tensor<i32>) -> "
        "tensor<i1>",
        "%1 = stablehlo.constant dense<1> : tensor<i32>",
        "%2 = stablehlo.compare NE, %at_i, %1 : (tensor<i32>, tensor<i32>) -> "
        "tensor<i1>",
    ]


@pytest.mark.parametrize(
    "predicate",
    [i.index == i, i.index > 0.5, i.index + 1 == j.index, i.index < 2**40],
)
def test_other_comparisons_are_of_real_numbers(predicate: Predicate):
    (comparison,) = (op for op in _predicate(predicate) if "compare" in op)
    assert comparison.endswith("(tensor<f64>, tensor<f64>) -> tensor<i1>")


def test_site_numbers_are_compared_with_complex_numbers():
    assert _predicate(i.index == z, complex)[1:3] == [
        "%0 = stablehlo.convert %at_i : (tensor<i32>) -> tensor<f64>",
        "%1 = stablehlo.convert %0 : (tensor<f64>) -> tensor<complex<f64>>",
    ]


def test_logic():
    text = "\n".join(_predicate(~((i > 0) | (j > 0)) & true))
    for name in ("not", "or", "and"):
        assert f"stablehlo.{name} " in text
    assert "stablehlo.constant dense<true> : tensor<i1>" in text


def test_constant_predicates():
    builder = DOperator(qubit(2)).for_each_site("i").where(false).where(true)
    operator = builder.emit().build()
    assert not any(branch.valid for branch in branches(operator.to_ir().module, [0, 1]))


@pytest.mark.parametrize(
    ("direction", "predicate"),
    [
        ("EQ", i == j),
        ("NE", i != j),
        ("LT", i < j),
        ("LE", i <= j),
        ("GT", i > j),
        ("GE", i >= j),
    ],
)
def test_comparisons(direction: str, predicate: Predicate):
    assert f"compare {direction}, %x_i, %x_j" in _predicate(predicate)[2]


# endregion
# region Size


def test_long_sums():
    amplitude: Any = 0
    for term in range(2000):
        amplitude = amplitude + term * i
    operator = DOperator(qubit(1)).for_each_site("i").emit(amplitude=amplitude).build()
    (branch,) = branches(operator.to_ir().module, [1])
    assert branch.amplitude == sum(range(2000))


def test_long_predicates():
    predicate: Any = i > -1
    for bound in range(1200):
        predicate = ~predicate | (i > -bound)
    operator = DOperator(qubit(1)).for_each_site("i").where(predicate).emit().build()
    assert operator.to_ir().text().count("stablehlo.or") == 1200


def test_shared_parts_do_not_multiply():
    amplitude: Expr = i
    for _ in range(200):
        amplitude = amplitude + amplitude
    operator = DOperator(qubit(1)).for_each_site("i").emit(amplitude=amplitude).build()
    assert operator.to_ir().text().count("stablehlo.add") == 200


def test_long_updates():
    update = Update()
    for _ in range(300):
        update = update.shift("i", 1).shift("i", -1)
    operator = DOperator(qubit(1)).for_each_site("i").emit(update).build()
    assert operator.to_ir().text().count("sym.shift") == 600


# endregion
# region Names and places


def test_names_that_mlir_cannot_spell_still_translate():
    names = ["1", "_1", "a b", "λ", "x", "%", 'a"b']
    builder = DOperator(qubit(len(names)), "λ z").for_each(
        names, over=[range(len(names))], data={"µ": [1.0]}
    )
    amplitude: Any = sum(site(name) for name in names) * row("µ") * symbol("Δ", 1)
    operator = builder.named("a/b").emit(amplitude=amplitude).build()
    (branch,) = branches(operator.to_ir().module, [1] * len(names))
    assert branch.amplitude == len(names)


def _place(op: Operation) -> tuple[str, str, int]:
    location = op.location
    assert isinstance(location, NameLoc)
    assert isinstance(location.location, FileLineColLoc)
    place = location.location
    return location.desc.data, place.filename.data, place.line.data


def test_every_op_knows_its_emission_and_line():
    first = _next_line()
    builder = DOperator(qubit(2), "op")
    builder.for_each_site("i")
    builder.where(i > 0)
    update = write("i", 0)
    builder.emit(update, amplitude=2 * i)
    builder.emit(amplitude=3)
    module = builder.build().to_ir().module
    places = [_place(op) for op in module.walk() if op is not module]
    assert {file for _, file, _ in places} == {__file__}
    lines = {(path, line - first) for path, _, line in places}
    assert lines == {
        ("op", 0),
        ("op/term0", 1),
        ("op/term0/where0", 2),
        ("op/term0/emit0", 3),
        ("op/term0/emit0", 4),
        ("op/term0/emit1", 5),
    }
    (write_op,) = (op for op in module.walk() if isinstance(op, sym.WriteOp))
    assert _place(write_op)[2] - first == 3


def _next_line() -> int:
    frame = inspect.currentframe()
    assert frame is not None
    assert frame.f_back is not None
    return frame.f_back.f_lineno + 1


def test_definitions_without_places_translate():
    emission = EmissionDefinition(Update(), Constant(1), None, None)
    term = TermDefinition("t", "globally", (), one_row(), {}, None, (), (emission,))
    definition = OperatorDefinition(
        "op", qubit(1), np.dtype("float64"), False, (term,), (), None
    )
    module = translate(definition)
    module.verify()
    operator = cast(sym.OperatorOp, module.body.block.first_op)
    assert isinstance(operator.location, NameLoc)


# endregion
