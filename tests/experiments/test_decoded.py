"""Printed sizes against counted ones: every line of papers.toml's `decoded`, `ratios`, `gates`."""

import tomllib
from collections.abc import Iterator
from decimal import ROUND_DOWN, ROUND_HALF_UP, Decimal
from fractions import Fraction
from importlib import resources

import pytest

from kplib.experiments import BENCHMARKS, papers, sizes
from kplib.experiments.papers import Decoded
from kplib.experiments.sizes import Size
from kplib.shapes import FactorShape, algorithm4, factor_shapes, full_rank_shapes

# With decimals as they are printed: 16.80 is more than 16.8.
TEXT = resources.files("kplib.experiments").joinpath("papers.toml").read_text(encoding="utf-8")
PRINTED = tomllib.loads(TEXT, parse_float=Decimal)
DECODED = list(zip(papers.decoded(), PRINTED["decoded"], strict=True))
RATIOS = list(zip(papers.ratios(), PRINTED["ratios"], strict=True))


def named(pair: tuple) -> str:
    row = pair[0]
    what = getattr(row, "technique", None) or row.name
    return f"{row.benchmark} {what} {row.source}".replace(" ", "-")


def agrees(printed: Decimal | int, value: Fraction | float) -> bool:
    """Whether the value, rounded or cut off, gives the digits that are printed."""
    unit = Decimal(printed)
    exact = Fraction(value)
    decimal = Decimal(exact.numerator) / Decimal(exact.denominator)
    return unit in (decimal.quantize(unit, rounding) for rounding in (ROUND_HALF_UP, ROUND_DOWN))


def in_kilobytes(parameters: int) -> Fraction:
    return Fraction(parameters * 4, 1024)


def test_agrees_can_tell():
    assert agrees(Decimal("16.80"), Fraction("16.796"))
    assert agrees(Decimal("16.79"), Fraction("16.796"))
    assert not agrees(Decimal("16.8"), Fraction("16.74"))
    assert not agrees(Decimal("16.78"), Fraction("16.796"))
    assert agrees(169, Fraction("169.3"))


def size_of(row: Decoded, nonzeros: int | None = None) -> Size:
    network = BENCHMARKS[row.benchmark]
    shape = {"hidden_size": row.hidden_size, "layers": row.layers}
    match row.technique:
        case "baseline" | "small":
            return sizes.dense(network, **shape)
        case "pruned":
            return sizes.pruned(network, nonzeros=nonzeros)
        case "lmf":
            return sizes.low_rank(network, row.rank, **shape)
        case "kp":
            return sizes.kp(network, **shape)
        case "hkp":
            return sizes.hybrid(network, row.rows, **shape)
    raise AssertionError(row.technique)


def counted(row: Decoded, size: Size) -> int:
    return {
        "all": size.total,
        "weights only": size.weights_only,
        "no head biases": size.total - size.head_biases,
        "FastGRNN": size.total + size.biases,
    }[row.counted]


FOUND = [pair for pair in DECODED if pair[0].parameters]
NOT_FOUND = [pair for pair in DECODED if not pair[0].parameters]


@pytest.mark.parametrize("pair", FOUND, ids=named)
def test_network_behind_a_printed_size(pair):
    row, raw = pair
    found = [size_of(row, nonzeros) for nonzeros in row.nonzeros or [None]]
    assert tuple(counted(row, size) for size in found) == row.parameters
    for parameters in row.parameters:
        for printed in raw.get("printed", []):
            assert agrees(printed, in_kilobytes(parameters)) == row.matches
        if row.kilobytes is not None:
            assert agrees(raw["kilobytes"], in_kilobytes(parameters))
    (size, *_) = found
    cell = BENCHMARKS[row.benchmark].size.cell
    if row.layer_factor is not None:
        assert agrees(raw["layer_factor"], Fraction(cell, size.cell))
    if row.density is not None:
        weights = BENCHMARKS[row.benchmark].weight_parameters
        assert any(agrees(raw["density"], Fraction(100 * k, weights)) for k in row.nonzeros)
    if row.rank_bound is not None:
        m, n = BENCHMARKS[row.benchmark].gate_shape
        assert row.rank_bound == row.rows + algorithm4(m - row.rows, n).rank
    if row.source == "D":
        assert not row.printed
        assert row.compression == "none"


@pytest.mark.parametrize("pair", [p for p in FOUND if p[0].weights is not None], ids=named)
def test_parts_of_a_count(pair):
    row, _ = pair
    assert (row.weights + row.biases + row.scalars + row.head,) == row.parameters
    size = size_of(row)
    assert row.weights == size.weights
    if row.counted == "weights only":
        assert (row.biases, row.scalars, row.head) == (0, 0, size.head_weights)
    else:
        vectors = 2 if row.counted == "FastGRNN" else 1
        parts = (vectors * size.biases, size.scalars, size.head)
        assert (row.biases, row.scalars, row.head) == parts


def hybrid_totals(benchmark: str) -> Iterator[int]:
    """Every number of dense rows, above every shape of factors."""
    network = BENCHMARKS[benchmark]
    m, n = network.gate_shape
    rest = network.size.total - network.weight_parameters
    for rows in range(m):
        for shape in factor_shapes(m - rows, n):
            yield rest + network.directions * network.gates * (rows * n + shape.params)


@pytest.mark.parametrize("pair", NOT_FOUND, ids=named)
def test_printed_size_that_nothing_explains(pair):
    row, raw = pair
    network = BENCHMARKS[row.benchmark]
    if row.technique == "hkp":
        totals = set(hybrid_totals(row.benchmark))
        for rows in (1, 2, 3):
            assert sizes.hybrid(network, rows).total in totals
    else:
        assert row.technique == "small"
        hidden = range(1, network.hidden_size + 1)
        totals = {sizes.dense(network, hidden_size=h, layers=row.layers).total for h in hidden}
    (printed,) = raw["printed"]
    assert not row.matches
    assert not [total for total in totals if agrees(printed, in_kilobytes(total))]


def test_only_one_integer_is_printed_as_74_91_and_as_74_90():
    def digits(k: int, rounding: str) -> Decimal:
        return (Decimal(k) / 256).quantize(Decimal("0.01"), rounding)

    wanted = Decimal("74.91"), Decimal("74.90")
    both = [k for k in range(30000) if (digits(k, ROUND_HALF_UP), digits(k, ROUND_DOWN)) == wanted]
    assert both == [19176]
    rounded = [k for k in range(30000) if digits(k, ROUND_HALF_UP) == Decimal("1.63")]
    assert rounded == [416, 417, 418]


def test_pruned_networks_are_the_only_ones_of_their_size():
    """The sheet's non-zeros are those that round to what is printed."""
    for row, raw in DECODED:
        if row.technique == "pruned" and len(raw["printed"]) == 2:
            printed = raw["printed"]
            network = BENCHMARKS[row.benchmark]
            rest = network.size.total - network.weight_parameters
            fits = {
                k
                for k in range(network.weight_parameters + 1)
                if all(agrees(p, in_kilobytes(rest + k)) for p in printed)
            }
            assert fits == set(row.nonzeros)


@pytest.mark.parametrize("pair", [p for p in DECODED if p[0].printed], ids=named)
def test_decoded_sizes_are_printed_where_they_say(pair):
    row, _ = pair
    if row.technique == "baseline":
        rows = [papers.network(row.benchmark)]
    else:
        rows = papers.results(row.benchmark, row.technique, row.compression)
        rows = [result for result in rows if row.layers in (None, result.layers)]
    (result,) = rows
    places = {result.kilobytes: result.source}
    places |= {v.value: v.source for v in result.variants if v.field == "kilobytes"}
    for printed in row.printed:
        assert places[printed].removeprefix("L ") in row.source


# Factors ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("pair", RATIOS, ids=named)
def test_ratio(pair):
    row, raw = pair
    value = Fraction(str(raw["numerator"])) / Fraction(str(raw["denominator"]))
    assert agrees(raw["value"], value)
    network = BENCHMARKS[row.benchmark]
    if row.name.startswith("layer compression"):
        layers = 1 if row.name.endswith("one layer") else None
        kp = sizes.kp(network, layers=layers)
        assert (row.numerator, row.denominator) == (network.size.cell, kp.cell)
    elif row.name == "network compression":
        # HAR1's stands for the printed 74.91 KB.
        kp = 19176 if row.benchmark == "har1-bilstm" else sizes.kp(network).total
        assert (row.numerator, row.denominator) == (network.size.total, kp)
    elif row.name == "speed-up":
        kp = papers.result(row.benchmark, "kp")
        baseline = papers.result(row.benchmark, "baseline")
        assert (row.numerator, row.denominator) == (baseline.milliseconds, kp.milliseconds)
        assert agrees(raw["value"], papers.speed_up(kp))
    else:
        assert row.name == "KP to low-rank time"
        assert row.numerator == papers.result(row.benchmark, "kp").milliseconds
        low_rank = papers.results(row.benchmark, "lmf", "maximum")
        assert row.denominator in [result.milliseconds for result in low_rank]


def test_every_kp_network_has_its_ratios():
    for name in ("speed-up", "KP to low-rank time"):
        assert {row.benchmark for row in papers.ratios(name)} == set(BENCHMARKS) - {"dsads-bilstm"}


def test_layer_factors_of_the_workshop_paper():
    """W's compression factors are those of the recurrent layers behind the sizes."""
    checked = []
    for result, raw in zip(papers.results(), PRINTED["results"], strict=True):
        if result.layer_factor in (None, 1) or result.benchmark == "usps-fastrnn":
            continue
        network = BENCHMARKS[result.benchmark]
        rows = [
            row
            for row in papers.decoded(result.benchmark, result.technique)
            if row.compression == "maximum" and row.parameters
        ]
        (row,) = rows
        cell = size_of(row, *row.nonzeros).cell
        assert agrees(raw["layer_factor"], Fraction(network.size.cell, cell)), row
        checked.append(row)
    assert len(checked) == 9


# Eight bits ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "raw", PRINTED["eight_bits"], ids=lambda r: f"{r['benchmark']}-{r['technique']}"
)
def test_eight_bits(raw):
    network = BENCHMARKS[raw["benchmark"]]
    size = sizes.kp(network) if raw["technique"] == "kp" else network.size
    exact = Fraction(size.cell + 4 * size.head, 1024)
    assert size.kilobytes_at(8) == exact
    slip = papers.slip("har1-eight-bits")
    if (raw["benchmark"], raw["technique"]) == ("har1-bilstm", "kp"):
        assert slip.printed == (float(raw["kilobytes_8"]),)
        assert not agrees(raw["kilobytes_8"], exact)
        assert agrees(Decimal("37.19"), exact)
        assert slip.consistent == 37.19
    else:
        assert agrees(raw["kilobytes_8"], exact)
    result = papers.result(raw["benchmark"], raw["technique"])
    assert (result.top, result.kilobytes) == (float(raw["top_32"]), float(raw["kilobytes_32"]))
    if "factor" in raw:
        baseline = papers.result(raw["benchmark"], "baseline").kilobytes
        assert agrees(raw["factor"], baseline / float(raw["kilobytes_8"]))


# Algorithm 4 on the gates -------------------------------------------------------------------------


@pytest.mark.parametrize("gate", papers.gates(), ids=lambda g: f"{g.benchmark}-{g.layer}")
def test_gate(gate):
    network = BENCHMARKS[gate.benchmark]
    shapes = network.gate_shapes(hidden_size=network.kp_hidden_size, layers=network.kp_layers)
    assert shapes[gate.layer - 1] == (gate.m, gate.n)
    shape = algorithm4(gate.m, gate.n)
    assert (shape.a_shape, shape.b_shape) == (gate.a, gate.b)
    assert (shape.params, shape.rank) == (gate.parameters, gate.rank)
    assert (shape.macs_b_first, shape.macs_a_first) == (gate.macs_b_first, gate.macs_a_first)
    assert gate.rank < gate.m, "no gate can have full rank"

    stacked = max(network.stacks)
    assert gate.stacked == {4: "all", 2: "r, z", 1: ""}[stacked]
    if gate.stacked:
        full = min(stacked * gate.m, gate.n)
        assert gate.stacked_full == full
        assert gate.stacked_rank == min(stacked * gate.rank, full)

    cheapest = full_rank_shapes(gate.m, gate.n)[0]
    if gate.full_rank_a is None:
        assert cheapest.params == gate.m * gate.n + 1
    else:
        full = FactorShape(*gate.full_rank_a, *gate.full_rank_b)
        assert full.full_rank
        assert (full.m, full.n) == (gate.m, gate.n)
        assert full.params == cheapest.params == gate.full_rank_parameters
        assert gate.full_rank_macs in (None, full.macs)
    if gate.same_size_a is not None:
        other = FactorShape(*gate.same_size_a, *gate.same_size_b)
        assert (other.m, other.n) == (gate.m, gate.n)
        assert (other.params, other.rank) == (gate.parameters, gate.same_size_rank)
