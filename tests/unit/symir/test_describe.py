"""Operators in formulas: what they say, that it is true, and that it stays short."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import symir as sym
from dialects.interpreters.sym import Branch, branches
from dialects.stablehlo import to_numpy
from dialects.sym import OperatorOp, SpaceAttr, TermOp
from dialects.tables import LocalSpace, SiteSum
from symir.operator.ir import SymbolicOperatorIR
from tests.unit.symir.constructs import CONSTRUCTS

i, j = sym.site("i"), sym.site("j")

RING = [(s, (s + 1) % 4) for s in range(4)]


def _bosons(n: int = 4, **options: Any) -> sym.DOperator:
    return sym.DOperator(sym.fock(2, n), "op", **options)


def _described(builder: sym.DOperator) -> list[str]:
    """Return the lines of a description without the first."""
    return builder.build().to_ir().describe().splitlines()[1:]


# region Exact texts


def test_tfim():
    h = sym.symbol("h", default=1.0)
    builder = (
        sym.DOperator(sym.spin(0.5, 20), "tfim", hermitian=True)
        .for_each(("i", "j"), over=[(s, (s + 1) % 20) for s in range(20)])
        .emit(amplitude=i * j)
        .for_each_site("i")
        .emit(sym.write("i", -i.value), amplitude=-h)
    )
    assert builder.build().to_ir().describe() == (
        "operator 'tfim' on 20 sites; local values {-1, 1}; float64; hermitian; "
        "parameters h: float64 = 1\n"
        "term 'term0': for (i, j) in [(0, 1), (1, 2), (2, 3), ... 16 more ..., "
        "(19, 0)]\n"
        "  emission 0:\n"
        "    x' = x\n"
        "    <x|O|x'> = x[i] * x[j]\n"
        "term 'term1': for i in [0, 1, 2, ... 16 more ..., 19]\n"
        "  emission 0:\n"
        "    x'[i] = -x[i]\n"
        "    <x|O|x'> = -h"
    )


def _hop(rows: list[tuple[int, int]]) -> list[str]:
    return _described(
        _bosons()
        .for_each(("i", "j"), over=rows, data={"J": [0.5] * len(rows)})
        .named("bulk")
        .fanout(3)
        .where(i > 0)
        .emit(
            sym.hop("i", "j"),
            amplitude=sym.row("J") * sym.sqrt(i * sym.emitted("j")),
            tag="hop",
        )
        .project(sym.emitted("j") < 2)
    )


def test_bose_hubbard_hop():
    assert _hop(RING) == [
        "term 'bulk': for (i, j) in [(0, 1), (1, 2), (2, 3), (3, 0)]; "
        "data J = [0.5, 0.5, 0.5, 0.5]; fanout 3",
        "  where x[i] > 0",
        "  emission 0 'hop' if x'[j] < 2:",
        "    x'[i] = x[i] - 1; x'[j] = x[j] + 1",
        "    <x|O|x'> = J * sqrt(x[i] * x'[j])",
    ]


def test_labels_that_may_coincide_change_x_prime_as_it_is_by_then():
    assert _hop([(0, 1), (2, 2)])[3] == "    x'[i] = x[i] - 1; x'[j] += 1"


def test_fermions():
    builder = (
        sym.DOperator(sym.qubit(4))
        .for_each(("i", "j"), over=RING)
        .where((i == 1) & (j == 0))
        .emit(sym.hop("i", "j"), amplitude=-sym.jordan_wigner("i", "j"))
    )
    lines = _described(builder)
    assert lines[1] == "  where x[i] == 1 and x[j] == 0"
    assert lines[4].startswith("    <x|O|x'> = -(-1)**count(")
    assert lines[4].endswith(" for min(i, j) < s < max(i, j))")


def test_chains_of_conditions():
    update = sym.shift("i", 1).cond(
        j > 0, sym.shift("j", -1), sym.write("j", 2).cond(i == 0, sym.invalidate("no"))
    )
    lines = _described(
        _bosons(dtype=complex)
        .for_each(("i", "j"), over=RING)
        .emit_if(i > j, update)
        .emit_elseif((i == 1) | (j == 1), amplitude=2j * (i - 1))
        .emit_else(sym.swap("i", "j"))
    )
    assert lines[1:] == [
        "  emission 0 if x[i] > x[j]:",
        "    x'[i] = x[i] + 1; if x[j] > 0 { x'[j] = x[j] - 1 } else "
        '{ x\'[j] = 2; if x[i] == 0 { no branch: "no" } }',
        "    <x|O|x'> = 1",
        "  emission 1 if not x[i] > x[j] and (x[i] == 1 or x[j] == 1):",
        "    x' = x",
        "    <x|O|x'> = 2j * (x[i] - 1)",
        "  emission 2 if not x[i] > x[j] and not (x[i] == 1 or x[j] == 1):",
        "    x'[i], x'[j] = x[j], x[i]",
        "    <x|O|x'> = 1",
    ]


def test_computed_sites_tables_and_sets():
    number = sym.table([0.5, 1j, 2])[i.value]
    builder = (
        sym.DOperator(sym.qubit(4), dtype=complex)
        .for_each("i", over=range(4), sets={"star": [[0, 1], [2], [], [3]]})
        .emit(
            sym.flip_set("star").write(i.index + 1, 1),
            amplitude=number + sym.sum_(sym.here, over=sym.set_("star")),
        )
    )
    assert _described(builder) == [
        "term 'term0': for i in [0, 1, 2, 3]; sets star = [{0, 1}, {2}, {}, {3}]",
        "  emission 0:",
        "    for s in star { x'[s] = flip(x[s]) }; x'[i + 1] = 1",
        "    <x|O|x'> = [0.5, 1j, 2][x[i]] + sum(x[s] for s in star)",
    ]


def test_names_that_are_taken():
    builder = (
        _bosons()
        .for_each(("s", "x"), over=RING, data={"h y": [1] * 4, "g": [2] * 4})
        .emit(
            amplitude=sym.symbol("g")
            * sym.row("g")
            * sym.row("h y")
            * sym.site("x").value
            * sym.sum_(sym.here * sym.site("s"))
        )
    )
    ir = builder.build().to_ir()
    assert ir.describe().splitlines()[1:] == [
        "term 'term0': for (s, x_1) in [(0, 1), (1, 2), (2, 3), (3, 0)]; "
        'data row("h y") = [1, 1, 1, 1]; data row("g") = [2, 2, 2, 2]',
        "  emission 0:",
        "    x' = x",
        '    <x|O|x\'> = g * row("g") * row("h y") * x[x_1] * '
        "sum(x[r] * x[s] for all r)",
    ]


@pytest.mark.parametrize(
    ("amplitude", "text"),
    [
        (i - (j - 1), "x[i] - (x[j] - 1)"),
        (i + (-j) * 2, "x[i] - x[j] * 2"),
        (i + (-j) % 2, "x[i] + (-x[j]) % 2"),
        (i - (-j) // 2, "x[i] - (-x[j]) // 2"),
        ((-i) ** 3 * (i * i), "(-x[i])**3 * x[i]**2"),
        (-(i * j), "-(x[i] * x[j])"),
        (i / (j * 2), "x[i] / (x[j] * 2)"),
        (
            sym.where(~((i > 0) | (j > 0)), 1, -0.5),
            "where(not (x[i] > 0 or x[j] > 0), 1, -0.5)",
        ),
    ],
)
def test_parentheses(amplitude: sym.Expr, text: str):
    lines = _described(_bosons().for_each_pair("i", "j").emit(amplitude=amplitude))
    assert lines[-1] == f"    <x|O|x'> = {text}"


READS_BETWEEN = """
sym.operator @between() space #sym.space<3 x [0, 1, 2]> element f64 {
  sym.term @t over #sym.rows<[0, 1], [1, 2]> {
  ^bb0(%x : !sym.config, %i : !sym.site, %j : !sym.site):
    %1 = stablehlo.constant dense<1.0> : tensor<f64>
    %y = sym.shift %x[%i] by %1 : tensor<f64>
    %a = sym.read %y[%i] : tensor<f64>
    %z = sym.write %y[%j], %a : tensor<f64>
    %b = sym.read %z[%j] : tensor<f64>
    %c = sym.read %x[%j] : tensor<f64>
    %d = stablehlo.subtract %b, %a : tensor<f64>
    %e = stablehlo.subtract %c, %d : tensor<f64>
    sym.emit %z, %e : tensor<f64>
    sym.emit %y, %d : tensor<f64>
  }
}
"""


def test_configurations_between_x_and_x_prime():
    lines = SymbolicOperatorIR.from_text(READS_BETWEEN).describe().splitlines()
    assert lines == [
        "operator 'between' on 3 sites; local values {0, 1, 2}; float64",
        "term 't': for (i, j) in [(0, 1), (1, 2)]",
        "  emission 0:",
        "    let y1: y1[i] = x[i] + 1",
        "    x' = y1; x'[j] = y1[i]",
        "    <x|O|x'> = x[j] - (x'[j] - y1[i])",
        # What one emission reads between, the other one emits
        "  emission 1:",
        "    x'[i] = x[i] + 1",
        "    let y1: y1 = x'; y1[j] = x'[i]",
        "    <x|O|x'> = y1[j] - x'[i]",
    ]


def test_spaces():
    text = sym.DOperator(sym.space([[0, 1, 2], [0, 0.5], [0, 0.5]]), "op").globally()
    first = text.emit().build().to_ir().describe().splitlines()[0]
    assert first == (
        "operator 'op' on 3 sites; local values {0, 1, 2} on 1 site, "
        "{0, 0.5} on 2 sites; float64"
    )


@pytest.mark.parametrize(
    ("weights", "text"),
    [
        ((1.0, 1.0, 1.0), "sum(x[s] for all s) = 2"),
        ((0.5, 0.5, 0.5), "0.5 * sum(x[s] for all s) = 2"),
        ((1.0, 0.0, -2.0), "x[0] + (-2) * x[2] = 2"),
    ],
)
def test_conserved_sums(weights: tuple[float, ...], text: str):
    module = SymbolicOperatorIR.from_text(READS_BETWEEN).module
    operator = module.body.block.first_op
    assert isinstance(operator, OperatorOp)
    space = LocalSpace(3, ((0, 1, 2),), (SiteSum(weights, 2.0),))
    operator.properties["space"] = SpaceAttr(space)
    first = SymbolicOperatorIR(module).describe().splitlines()[0]
    assert f"; conserved {text}; " in first


# endregion
# region The truth


class _NoBranch(Exception):
    """There is no such branch."""


class _Config:
    """A configuration: NaN off the lattice, where nothing can be written."""

    def __init__(self, values: Any):
        self.values = np.array(values, float)

    def __getitem__(self, site: Any) -> Any:
        is_site = site in range(len(self.values))
        return self.values[int(site)] if is_site else np.float64("nan")

    def __setitem__(self, site: Any, value: Any) -> None:
        if site not in range(len(self.values)):
            raise _NoBranch
        self.values[int(site)] = value


class _Table:
    """A table: NaN where it has no entry."""

    def __init__(self, values: list[Any]):
        self.values = values

    def __getitem__(self, k: Any) -> Any:
        return self.values[int(k)] if k in range(len(self.values)) else float("nan")


def _python(statements: str) -> str:
    """Return changes as Python."""
    lines, depth = [""], 0
    for token in re.split(r"( \{ | \}(?: else(?= \{))?|; )", statements):
        match token:
            case " { ":
                depth += 1
                lines[-1] += ":"
                lines.append(" " * depth)
            case "; ":
                lines.append(" " * depth)
            case " }" | " } else":
                depth -= 1
                lines.append(" " * depth + ("else" if "else" in token else ""))
            case _:
                lines[-1] += token
    return re.sub(r"no branch.*", "raise _NoBranch", "\n".join(lines))


def _formula(text: str) -> str:
    """Return a formula as Python."""
    text = text.replace("x'", "xp").replace("for all s", "for s in S")
    text = re.sub(r" for ([^{}]*?) (<=?) s < ", r" for s in S if \1 \2 s < ", text)
    text = re.sub(r"\btrue\b", "True", re.sub(r"\bfalse\b", "False", text))
    text = re.sub(r"(?<![\w'\])])\[([^\[\]]*)\]\[", r"_Table([\1])[", text)
    return text


def _functions(local_values: list[float]) -> dict[str, Any]:
    def moved(value: Any, by: Any) -> Any:
        if value not in local_values:
            raise _NoBranch
        place = local_values.index(value) + int(by)
        return local_values[place % len(local_values)]

    def local_value(k: Any, site: Any) -> Any:
        return local_values[int(np.floor(k)) % len(local_values)]

    def parity(values: Any) -> bool:
        return sum(values) % 2 == 1

    chosen: dict[str, Any] = {
        name: getattr(np, name)
        for name in "sqrt exp log sin cos sign conj real imag trunc floor ceil".split()
    }
    return chosen | {
        "where": lambda p, a, b: a if p else b,
        "flip": lambda value: moved(value, 1),
        "shift_mod": moved,
        "local_value": local_value,
        "parity": parity,
        "count": sum,
        "prod": lambda values: np.prod(list(values)),
        "rem": np.fmod,
        "_Table": _Table,
        "_NoBranch": _NoBranch,
    }


def _emissions(lines: list[str]) -> list[tuple[str, list[str]]]:
    """Return the predicate and the lines of each emission."""
    found: list[tuple[str, list[str]]] = []
    shared: list[str] = []
    where = "True"
    for line in lines:
        if line.startswith("    "):
            found[-1][1].append(line.strip())
        elif line.startswith("  emission"):
            condition = re.search(r" if (.*):$", line)
            found.append((f"({where}) and ({condition[1] if condition else True})", []))
            found[-1][1].extend(shared)
        elif line.startswith("  where"):
            where = line.removeprefix("  where ")
        else:
            shared.append(line.strip())
    return found


def _evaluated(
    lines: list[str], names: dict[str, Any], predicate: str, x: Any
) -> tuple[Any, Any] | None:
    """Return x' and the matrix element that a text gives, None for no branch."""
    names |= {"x": _Config(x), "xp": _Config(x), "S": range(len(x))}
    amplitude = None
    try:
        for line in lines:
            if name := re.match(r"let (\w+): ", line):
                names[name[1]] = _Config(x)
                exec(_python(_formula(line[name.end() :])), names)
            elif line.startswith("let "):
                exec(re.sub(r"let (\w+)\(s\) =", r"\1 = lambda s:", line)[4:], names)
            elif line.startswith("<x|O|x'> = "):
                amplitude = eval(_formula(line.removeprefix("<x|O|x'> = ")), names)
            else:
                exec(_python(_formula(line)), names)
        holds = eval(_formula(predicate), names)
    except _NoBranch:
        return None
    assert amplitude is not None
    if not holds or np.isnan(amplitude):
        return None
    return names["xp"].values, amplitude


CHECKED = {
    name: build
    for name, build in CONSTRUCTS.items()
    if "sites differ" not in name
    and "values of their own" not in name
    and "site to site" not in name
}


@pytest.mark.parametrize("name", CHECKED)
def test_descriptions_are_true(name: str, monkeypatch: pytest.MonkeyPatch):
    # Tables in full
    monkeypatch.setattr("symir.description.notation._SHOWN", 10**6)
    ir = CHECKED[name](4).to_ir()
    blocks = re.split(r"^term .*\n", ir.describe(), flags=re.MULTILINE)[1:]
    local = list(ir.space.local_states[0])
    rng = np.random.default_rng(0)
    for x in rng.choice(local, (6, ir.hilbert_size)):
        expected = iter(branches(ir.module, x))
        for op, term, block in zip(_terms(ir), ir.terms, blocks, strict=True):
            emissions = _emissions(block.splitlines())
            for row, sites in enumerate(term.rows):
                for predicate, lines in emissions:
                    names = _functions(local) | dict(ir.defaults)
                    names |= dict(zip(term.labels, map(np.float64, sites), strict=True))
                    names |= _row_of(op, row)
                    with np.errstate(all="ignore"):
                        found = _evaluated(lines, names, predicate, x)
                    _check(found, next(expected), local, x)


def _terms(ir: SymbolicOperatorIR) -> tuple[TermOp, ...]:
    operator = ir.module.body.block.first_op
    assert isinstance(operator, OperatorOp)
    return operator.terms


def _row_of(op: TermOp, row: int) -> dict[str, Any]:
    columns = op.data_columns
    names: dict[str, Any] = {c.label.data: to_numpy(c.values)[row] for c in columns}
    sets = op.body.block.args[1 + len(op.sites) + len(names) :]
    return names | {
        str(argument.name_hint): table.data.row(row)
        for argument, table in zip(sets, op.site_sets, strict=True)
    }


def _check(found: Any, expected: Branch, local: list[float], x: Any) -> None:
    leaves = found is None or not np.isin(found[0][found[0] != x], local).all()
    assert (not leaves) == expected.valid
    if found is None or leaves:
        return
    assert (found[0] == expected.config).all()
    np.testing.assert_allclose(found[1], expected.amplitude, rtol=1e-12)


# endregion
# region All constructs


@pytest.mark.parametrize("name", CONSTRUCTS)
def test_constructs(name: str):
    ir = CONSTRUCTS[name](4).to_ir()
    text = ir.describe()
    for term in ir.terms:
        for label in term.labels:
            assert re.search(rf"\b{label}\b", text)
    assert SymbolicOperatorIR.from_text(ir.text()).describe() == text
    json.loads(json.dumps(ir.as_dict(), allow_nan=False))


# endregion
# region Short texts


def _doubled(e: sym.Expr) -> sym.Expr:
    return (e - j) * (e + j)


def _repeated(step: Callable[[Any], Any], value: Any, times: int = 60) -> Any:
    for _ in range(times):
        value = step(value)
    return value


def test_shared_formulas():
    amplitude = _repeated(_doubled, i + 1)
    lines = _described(_bosons().for_each_pair("i", "j").emit(amplitude=amplitude))
    assert len("\n".join(lines)) < 5000
    assert lines[1].startswith("  let a = ")
    assert "b = ((a - x[j]) * (a + x[j]) - x[j])" in lines[2]


def test_shared_formulas_of_reductions_are_functions():
    amplitude = sym.sum_(_repeated(lambda e: sym.sqrt(e + i) - e, sym.here.value, 30))
    lines = _described(_bosons().for_each_site("i").emit(amplitude=amplitude))
    assert len("\n".join(lines)) < 3000
    assert lines[1].startswith("  let a(s) = ")
    assert "a(s) + x[i]" in lines[2]


def test_shared_predicates():
    predicate = _repeated(lambda p: (p & (j > 1)) | p, i > 0)
    lines = _described(_bosons().for_each_pair("i", "j").where(predicate).emit())
    assert len("\n".join(lines)) < 5000


@pytest.mark.parametrize(
    "step",
    [
        lambda u: u.cond(i > 1, sym.shift("i", 1), sym.write("i", j)),
        lambda u: sym.cond(i > 1, u, sym.write("i", j)),
        lambda u: sym.cond(i > 1, sym.shift("i", 1), u),
        lambda u: u.cond(i > 1, sym.invalidate()),
    ],
)
def test_many_choices(step: Callable[[sym.Update], sym.Update]):
    update = _repeated(step, sym.identity())
    lines = _described(_bosons().for_each_pair("i", "j").emit(update))
    assert len("\n".join(lines)) < 8000
    assert not re.search(r"(\{[^}]*){6}", "\n".join(lines[1:]))


CROSSED = """
    %c{k} = sym.select %p, %c{j}, %d{j}
    %s{k} = sym.shift %c{j}[%i] by %1 : tensor<f64>
    %d{k} = sym.select %p, %s{k}, %d{j}
"""


def test_choices_that_share_their_sides():
    steps = [CROSSED.format(k=f"a{k + 1}b", j=f"a{k}b") for k in range(60)]
    text = f"""
sym.operator @op() space #sym.space<3 x [0, 1, 2]> element f64 {{
  sym.term @t over #sym.rows<[0], [1]> {{
  ^bb0(%x : !sym.config, %i : !sym.site):
    %1 = stablehlo.constant dense<1.0> : tensor<f64>
    %v = sym.read %x[%i] : tensor<f64>
    %p = stablehlo.compare GT, %v, %1 : (tensor<f64>, tensor<f64>) -> tensor<i1>
    %ca0b = sym.shift %x[%i] by %1 : tensor<f64>
    %da0b = sym.write %x[%i], %1 : tensor<f64>
    {"".join(steps)}
    sym.emit %da60b, %1 : tensor<f64>
  }}
}}"""
    lines = SymbolicOperatorIR.from_text(text).describe().splitlines()
    assert len("\n".join(lines)) < 15000
    assert "let y1: y1[i] = x[i] + 1" in "\n".join(lines)


def test_long_sums_do_not_recurse():
    amplitude = _repeated(lambda e: e + sym.sqrt(i + 1), i.value, 3000)
    lines = _described(_bosons().for_each_site("i").emit(amplitude=amplitude))
    assert max(map(len, lines)) < 1000


def test_long_tables_lose_their_middle():
    n = 10**5
    rows = np.stack([np.arange(n), (np.arange(n) + 1) % n], axis=1)
    builder = (
        sym.DOperator(sym.qubit(n))
        .for_each(("i", "j"), over=rows, data={"J": np.arange(n)}, sets={"e": rows})
        .emit(sym.flip_set("e"), amplitude=sym.row("J"))
    )
    ir = builder.build().to_ir()
    shown = "... 99996 more ..."
    assert ir.describe().count(shown) == 3
    assert str(ir).count(shown) == 3
    assert max(len(ir.describe()), len(str(ir))) < 2000


# endregion
