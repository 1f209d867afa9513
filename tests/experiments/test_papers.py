"""The papers' numbers: choosing rows, and those numbers that arithmetic can check."""

import dataclasses
import math
import typing

import pytest

from kplib.experiments import BENCHMARKS, papers, printed
from kplib.shapes import FactorShape, algorithm4, prime_factors

TECHNIQUES = ("baseline", "small", "pruned", "lmf", "kp", "hkp")


def test_every_table_has_its_columns():
    columns = {}
    for row in papers.results():
        columns.setdefault(row.source, []).append((row.technique, row.layers))
    one = [(name, 1) for name in ("baseline", "small", "pruned", "lmf", "kp")]
    hybrid = [(name, 1) for name in ("small", "pruned", "lmf", "hkp")]
    gru = [("baseline", 1), ("small", 1), ("small", 2), ("lmf", 1), ("lmf", 2), ("kp", 2)]
    assert columns == {
        **{f"L table {k}": one for k in (2, 3, 4, 6)},
        "L table 5": gru,
        **{f"L table {k}": hybrid for k in (8, 9, 10)},
    }


@pytest.mark.parametrize("row", papers.results(), ids=lambda r: f"{r.source}-{r.technique}")
def test_result_is_plausible(row):
    assert row.benchmark in BENCHMARKS
    assert row.technique in TECHNIQUES
    assert (row.compression == "none") == (row.technique == "baseline")
    assert (row.mean is None) <= (row.technique == "baseline" or bool(row.note))
    assert (row.std is None) == (row.technique == "baseline")
    if row.mean is not None:
        assert row.top - 3 < row.mean < row.top
        assert 0 < row.std < 3
    assert 80 < row.top < 100
    baseline = papers.result(row.benchmark, "baseline")
    assert row.top <= baseline.top
    assert row.milliseconds <= baseline.milliseconds
    assert row.training.learning_rate > 0
    pruning = row.training.pruning_start, row.training.pruning_end
    if row.technique != "pruned":
        assert pruning == (None, None)
    elif pruning != (None, None):
        assert 0 < pruning[0] < pruning[1] < row.training.length


@pytest.mark.parametrize("technique", ["small", "pruned", "lmf"])
def test_less_compression_is_more_kilobytes(technique):
    kilobytes = {r.compression: r.kilobytes for r in papers.results("kws-lstm", technique)}
    assert kilobytes["maximum"] <= kilobytes["20x"] < kilobytes["10x"]
    (har1,) = papers.results("har1-bilstm", technique, "10x")
    assert har1.kilobytes > papers.result("har1-bilstm", technique, "maximum").kilobytes


def test_networks_and_baselines_agree():
    for network in papers.networks():
        baseline = papers.result(network.benchmark, "baseline")
        assert baseline.top == network.top
        assert baseline.milliseconds == network.milliseconds
        sizes = {network.kilobytes} | {v.value for v in network.variants if v.field == "kilobytes"}
        assert baseline.kilobytes in sizes
        assert ("W" in network.papers) == (network.benchmark != "kws-gru")


def test_decays_are_complete():
    for row in papers.results():
        decay = row.training.decay
        given = {
            field.name
            for field in dataclasses.fields(decay)
            if getattr(decay, field.name) not in (None, ())
        }
        if decay.kind == "divide":
            assert given - {"every", "every_fraction", "at"} == {"kind", "by"}
            assert len(given) == 3
        else:
            assert (
                given
                == {"rates": {"kind", "rates", "lengths"}, "LRD1": {"kind", "rate"}}[decay.kind]
            )
        if decay.rates:
            assert decay.rates[0] == row.training.learning_rate
            assert list(decay.rates) == sorted(decay.rates, reverse=True)


def test_lengths_of_the_rates_add_up_to_the_steps_but_once():
    wrong = {
        (row.technique, row.layers): sum(row.training.decay.lengths)
        for row in papers.results()
        if row.training.decay.lengths and sum(row.training.decay.lengths) != row.training.length
    }
    assert wrong == {("small", 1): 55000}
    assert papers.slip("gru-small-lengths").printed == (55000, 70000)


def test_variants_are_of_fields_that_exist():
    for row in [*papers.networks(), *papers.results()]:
        for variant in row.variants:
            value = row
            for name in variant.field.split("."):
                value = getattr(value, name)
            if variant.source != "L appendix B.3":
                assert value != variant.value
            assert row.printed(variant.field, variant.source) == variant.value


# Choosing -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("benchmark", [None, "kws-lstm", "kws-gru"])
@pytest.mark.parametrize("technique", [None, "kp", "lmf"])
@pytest.mark.parametrize("compression", [None, "maximum", "20x"])
@pytest.mark.parametrize("layers", [None, 1, 2])
def test_results_are_those_asked_for(benchmark, technique, compression, layers):
    asked = (benchmark, technique, compression, layers)
    expected = [
        row
        for row in papers.results()
        if all(
            want in (None, have)
            for want, have in zip(
                asked, (row.benchmark, row.technique, row.compression, row.layers), strict=True
            )
        )
    ]
    assert papers.results(benchmark, technique, compression, layers=layers) == expected


def test_result_prefers_maximum_compression():
    assert papers.result("kws-lstm", "lmf").source == "L table 4"
    assert papers.result("kws-lstm", "lmf", "20x").source == "L table 10"
    assert papers.result("har1-bilstm", "hkp").source == "L table 8"
    assert papers.result("kws-gru", "kp").layers == 2
    assert papers.result("kws-gru", "small", layers=2).top == 84.53
    assert papers.result("kws-lstm", "baseline").compression == "none"


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: papers.results("kws"), "no benchmark 'kws'; there are mnist-lstm, .*usps-fastrnn"),
        (lambda: papers.results("kws-lstm", "lowrank"), "no technique 'lowrank'; .* lmf, kp"),
        (lambda: papers.results(compression="30x"), "no compression '30x'; .* maximum, 10x, 20x"),
        (lambda: papers.results(layers=3), "no layers 3; there are 1, 2"),
        (lambda: papers.result("kws-gru", "small"), r"2 results .* \(maximum, 2 layers\)"),
        (lambda: papers.result("kws-gru", "pruned"), "no result has .* technique='pruned'; .* kp"),
        (lambda: papers.result("kws-lstm", "hkp"), r"2 results .* hkp \(10x, 1 layer\)"),
        (lambda: papers.network("dsads-bilstm"), "no benchmark 'dsads-bilstm'; .* har1-bilstm"),
        (lambda: papers.slip("x"), "no key 'x'; there are har1-parameters"),
        (lambda: papers.claim("x"), "no key 'x'; there are low-rank-rank"),
        (lambda: papers.facts("x"), "no topic 'x'; there are platform, mnist"),
        (lambda: papers.fact("mnist", "x"), "no name 'x'; there are training images"),
        (lambda: papers.claims("hkp"), "no technique 'hkp'"),
        (lambda: papers.eight_bits("mnist-lstm"), "no benchmark 'mnist-lstm'; .* har1-bilstm"),
        (lambda: papers.gates(layer=3), "no layer 3; there are 1, 2"),
        (lambda: papers.decoded("x"), "no benchmark 'x'"),
        (lambda: papers.ratios("x"), "no name 'x'; .* speed-up"),
        (
            lambda: papers.result("kws-lstm", "kp").printed("milliseconds", "K"),
            "no 'milliseconds' noted for 'K'; its sources: L table 4",
        ),
    ],
)
def test_errors(call, message):
    with pytest.raises(ValueError, match=message):
        call()


def test_printed_elsewhere():
    row = papers.result("har1-bilstm", "pruned")
    assert (row.printed("top", "L table 3"), row.printed("top", "W")) == (89.94, 82.97)
    usps = papers.result("usps-fastrnn", "baseline")
    assert (usps.top, usps.printed("top", "L table 6")) == (93.77, 92.50)
    gru = papers.result("kws-gru", "baseline")
    decay = gru.printed("training.decay.rates", "L appendix B.3")
    assert (gru.training.learning_rate, decay) == (5e-3, (5e-4, 1e-4, 2e-5))


def test_rows_cannot_be_changed():
    with pytest.raises(dataclasses.FrozenInstanceError):
        papers.result("kws-lstm", "kp").top = 99.0
    papers.results().clear()
    papers.slips().clear()
    assert papers.results()
    assert papers.slips()


def test_what_the_file_says_and_no_row_has_is_an_error():
    with pytest.raises(TypeError, match="accuracy"):
        papers._row(printed.Fact, {"topic": "t", "name": "n", "source": "L", "accuracy": 1})


@pytest.mark.parametrize("name", papers._ROW_TYPES)
def test_no_row_stands_twice_and_choices_are_kept(name):
    rows = papers._tables()[name]
    assert len(set(rows)) == len(rows)
    hints = typing.get_type_hints(papers._ROW_TYPES[name])
    for field, hint in hints.items():
        if typing.get_origin(hint) is typing.Literal:
            assert {getattr(row, field) for row in rows} <= set(typing.get_args(hint)), field
    if "key" in hints:
        assert len({row.key for row in rows}) == len(rows)


# Numbers that follow from others ------------------------------------------------------------------


def test_final_rates_of_lrd1():
    steps = papers.fact("LRD1", "decay_steps").value
    rates = papers.fact("LRD1", "final rate").value
    kp = papers.result("kws-lstm", "kp").training
    for decay_steps, rate in zip(steps, rates, strict=True):
        final = kp.learning_rate * kp.decay.rate ** (kp.length / decay_steps)
        assert float(f"{final:.0e}") == rate


def test_the_2x2_experiment():
    hidden, factors = (papers.fact("2x2", name).value for name in ("hidden size", "factors"))
    assert 2**factors == hidden
    inputs, classes = BENCHMARKS["kws-gru"].input_size, BENCHMARKS["kws-gru"].classes

    def parameters(recurrent: int, inputs: int = inputs) -> int:
        return 3 * (hidden * inputs + recurrent + hidden) + hidden * classes + classes

    dense, factored = parameters(hidden**2), parameters(factors * 4)
    assert dense == papers.fact("2x2", "dense parameters").value
    assert factored == papers.fact("2x2", "factored parameters").value
    assert round(dense / factored, 1) == papers.fact("2x2", "compression").value
    assert parameters(hidden**2, 256) / parameters(factors * 4, 256) == pytest.approx(2, abs=0.03)


def test_examples_of_the_papers():
    def of(name: str) -> tuple:
        return papers.fact("examples", name).value

    assert of("256 x 256 by eight 2 x 2") == (8 * 4, 256**2 // 32)
    *chosen, a, b = of("48 by Algorithm 4, and balanced")
    assert algorithm4(48, 4).m1 * algorithm4(48, 4).m2 == a * b == 48
    assert sorted([algorithm4(48, 4).m1, algorithm4(48, 4).m2]) == chosen
    shape = FactorShape(32, 8, 8, 32)
    assert of("256 x 256 by 32 x 8 and 8 x 32") == (shape.params, shape.compression)
    shape = algorithm4(154, 164)
    gru = of("154 x 164 by 14 x 4 and 11 x 41")
    assert gru == (shape.params, round(shape.compression, 1))


def test_channels_of_har1():
    ranges = [
        tuple(map(int, text.split("-")))
        for name in ("columns of the five body IMUs", "columns of the two shoes")
        for text in papers.fact("deephar", name).value
    ]
    channels = sum(last - first + 1 for first, last in ranges)
    assert channels == papers.fact("deephar", "channels").value == 77
    assert channels == papers.fact("har1", "channels").value == BENCHMARKS["har1-bilstm"].input_size
    assert papers.fact("deephar", "classes").value == BENCHMARKS["har1-bilstm"].classes


@pytest.mark.parametrize("network", ["GRU-154", "LSTM-118"])
def test_frames_of_a_keyword(network):
    window = papers.fact("hello-edge", "window, ms").value
    stride = papers.fact("hello-edge", f"stride of {network}, ms").value
    frames = papers.fact("hello-edge", f"frames of {network}").value
    assert frames == 1 + (1000 - window) // stride


def test_pruned_sparsity_that_is_needed():
    claim = papers.claim("pruned-sparsity")
    rows = [row for row in papers.decoded(technique="pruned") if row.compression == "maximum"]
    sparsities = [100 - row.density for row in rows]
    assert min(sparsities) / 100 >= claim.lower
    low, high = f"{min(sparsities):.1f}", f"{max(sparsities):.1f}"
    assert f"{low} to {high} %" in claim.note


def test_bounds_of_claims():
    for claim in papers.claims():
        assert claim.technique in (*TECHNIQUES, "all")
        assert claim.benchmark in (*BENCHMARKS, "all")
        if claim.lower is not None and claim.upper is not None:
            assert claim.lower <= claim.upper
    (largest,) = papers.claims("kp", "largest singular value")
    assert largest.upper < papers.claim("baseline-singular-value").lower


# Slips --------------------------------------------------------------------------------------------


def test_swapped_digits():
    slip = papers.slip("har1-parameters")
    (wrong,) = slip.printed
    assert sorted(str(wrong)) == sorted(str(slip.consistent))
    assert wrong == papers.network("har1-bilstm").parameters
    assert slip.consistent == BENCHMARKS["har1-bilstm"].parameters


def test_pruned_har1_repeats_the_low_rank_column():
    pruned, low_rank = (papers.result("har1-bilstm", t) for t in ("pruned", "lmf"))
    assert (pruned.top, pruned.mean) == (low_rank.top, low_rank.mean)
    larger = papers.result("har1-bilstm", "pruned", "10x")
    assert pruned.top > larger.top
    assert papers.slip("har1-pruned").printed == (pruned.top, pruned.printed("top", "W"))


def test_lead_of_kp_over_low_rank_at_one_size():
    kp = papers.result("kws-lstm", "kp")
    low_rank = [papers.result("kws-lstm", "lmf", c) for c in ("maximum", "20x")]
    assert {row.kilobytes for row in low_rank} == {16.8}
    assert papers.slip("kws-low-rank-schedule").printed == tuple(row.top for row in low_rank)
    leads = [f"{kp.top - row.top:.1f}" for row in low_rank]
    assert leads == ["2.1", "0.3"]
    assert all(lead in papers.slip("kws-low-rank-schedule").text for lead in leads)


def test_algorithm4_is_not_the_maximum_compression():
    m, n = BENCHMARKS["kws-lstm"].gate_shape
    slip = papers.slip("maximum-compression")
    assert slip.printed == (algorithm4(m, n).params,)
    better = FactorShape(59, 2, 2, 64)
    assert (better.m, better.n, better.params) == (m, n, slip.consistent)


def test_a_prime_dimension_can_be_compressed():
    p, n1, n2 = 113, 8, 16
    assert prime_factors(p) == [p]
    shape = FactorShape(p, n1, 1, n2)
    assert (shape.m, shape.n) == (p, n1 * n2)
    assert shape.params < shape.m * shape.n / 10
    assert papers.slip("primes")


def test_slips_hold_what_the_rows_hold():
    baseline = papers.result("usps-fastrnn", "baseline")
    slip = papers.slip("usps-baseline")
    assert slip.printed == (baseline.printed("top", "L table 6"),)
    assert slip.consistent == baseline.top
    assert papers.result("kws-lstm", "baseline").top == slip.printed[0]

    small = papers.result("kws-lstm", "small")
    assert papers.slip("kws-small").printed == (small.kilobytes, small.printed("kilobytes", "W"))

    gru = papers.result("kws-gru", "baseline")
    rates = gru.training.learning_rate, gru.printed("training.decay.rates", "L appendix B.3")[0]
    assert papers.slip("gru-learning-rate").printed == rates

    usps = papers.network("usps-fastrnn")
    sizes = usps.kilobytes, usps.printed("kilobytes", "L appendix B.3")
    assert papers.slip("usps-size").printed == sizes

    kp = papers.result("har1-bilstm", "kp")
    assert papers.slip("har1-kp-size").printed == (kp.kilobytes, kp.printed("kilobytes", "W"))

    hybrids = {row.kilobytes for row in papers.results(technique="hkp")}
    assert set(papers.slip("hybrid-sizes").printed) == hybrids

    mnist = papers.result("mnist-lstm", "baseline")
    every = mnist.training.length * mnist.training.decay.every_fraction
    assert papers.slip("mnist-schedule").printed == (
        every,
        mnist.printed("training.decay.every", "L appendix B.3"),
    )

    decay = papers.result("kws-lstm", "lmf").training.decay
    assert papers.slip("kws-low-rank-lengths").printed == (len(decay.rates), len(decay.lengths))

    rate = papers.result("kws-gru", "kp").training.decay.rate
    assert papers.slip("gru-lrd1-rate").printed == (rate,)
    assert rate < min(papers.fact("search kws", "LRD1 rate").value)

    (title,) = papers.ratios("layer compression, one layer")
    (table,) = papers.ratios("layer compression", "kws-gru")
    title_slip = papers.slip("title-38x")
    assert (title_slip.printed[0], title_slip.consistent) == (title.value, table.value)
    assert math.floor(title.numerator / title.denominator) == title.value

    small_sizes = [
        papers.result("mnist-lstm", "small"),
        papers.result("kws-gru", "small", layers=1),
        papers.result("kws-gru", "small", layers=2),
    ]
    assert papers.slip("small-sizes").printed == tuple(row.kilobytes for row in small_sizes)
    names = ("mnist-lstm", "har1-bilstm", "kws-lstm")
    hidden = tuple(papers.network(name).hidden_size for name in names)
    assert papers.slip("small-hidden-sizes").printed == hidden
