"""Every printed size beside ours: complete, counted from built networks, and said as it is."""

import html.parser
import random
import re
import tomllib
from collections import Counter
from decimal import Decimal
from fractions import Fraction
from importlib import resources

import pytest

import kplib
from kplib.experiments import papers
from kplib.experiments.comparison import Comparison, comparisons, ending
from kplib.experiments.comparison_table import LABELS, ComparisonTable
from kplib.nn import parameter_count, prune

FIVE = [network.benchmark for network in papers.networks()]
ROWS = comparisons()
COMPRESSION = {"none": None, "maximum": None, "10x": 10, "20x": 20}


def named(row: Comparison) -> str:
    parts = (row.benchmark, row.technique, row.compression, row.quantity, str(row.printed))
    return "-".join(parts).replace(" ", "-")


def built(row: Comparison):
    """Return the network of a row by its names alone, not by the recipe that was counted."""
    options = {"compression": COMPRESSION[row.compression], "layers": row.recipe.layers}
    model = kplib.build(row.benchmark, row.technique, **options, seed=0)
    if row.technique == "pruned":
        prune(model, row.recipe.nonzeros / row.recipe.network.weight_parameters)
    return model


# Complete -----------------------------------------------------------------------------------------


def test_every_printed_size_is_there_with_all_its_digits():
    """Each number of papers.toml that is a size, found here without the module's help."""
    text = resources.files("kplib.experiments").joinpath("papers.toml").read_text(encoding="utf-8")
    raw = tomllib.loads(text, parse_float=str)
    expected = Counter()
    for row in raw["results"]:
        key = row["benchmark"], row["technique"]
        places = {(row["kilobytes"], row["source"])}
        for other in [row, *raw["networks"]] if row["technique"] == "baseline" else [row]:
            if other["benchmark"] == row["benchmark"]:
                places.add((other["kilobytes"], other["source"]))
                places |= {
                    (v["value"], v["source"])
                    for v in other.get("variants", ())
                    if v["field"] == "kilobytes"
                }
        expected.update((*key, "KB", *place) for place in places)
        if "layer_factor" in row and row["technique"] != "baseline":
            expected[*key, "layer factor", row["layer_factor"], "W"] += 1
    for row in raw["networks"]:
        place = row["parameters"], row["source"]
        expected[row["benchmark"], "baseline", "parameters", *place] += 1
    for row in raw["eight_bits"]:
        key = row["benchmark"], row["technique"]
        expected[*key, "KB", row["kilobytes_32"], row["source"]] += 1
        expected[*key, "KB in 8 bits", row["kilobytes_8"], row["source"]] += 1
        if "factor" in row:
            expected[*key, "factor in 8 bits", row["factor"], row["source"]] += 1
    expected["kws-gru", "kp", "layer factor", "38", "L title"] += 1
    found = Counter(
        (row.benchmark, row.technique, row.quantity, str(row.printed), source)
        for row in ROWS
        for source in row.sources
    )
    assert found == Counter({(*key[:3], str(key[3]), key[4]): n for key, n in expected.items()})


def test_a_choice_of_rows():
    assert sum(len(comparisons(name)) for name in FIVE) == len(ROWS)
    verdicts = Counter(row.verdict for row in ROWS)
    for verdict, count in verdicts.items():
        assert len(comparisons(verdict=verdict)) == count
    assert set(verdicts) == {"same", "counted otherwise", "different"}
    for row in comparisons("kws-gru", "KB"):
        assert (row.benchmark, row.quantity) == ("kws-gru", "KB")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"benchmark": "dsads-bilstm"}, "no benchmark is 'dsads-bilstm'; there are mnist-lstm"),
        ({"quantity": "bytes"}, "no quantity is 'bytes'; there are KB, parameters"),
        ({"verdict": "good"}, "no verdict is 'good'; there are same, counted otherwise"),
    ],
)
def test_what_there_is_not_is_said(arguments, words):
    with pytest.raises(ValueError, match=words):
        comparisons(**arguments)


# Ours is the built network's ----------------------------------------------------------------------


@pytest.mark.parametrize("row", ROWS, ids=named)
def test_ours_is_counted_from_the_network_that_build_makes(row):
    model = built(row)
    total, cell = parameter_count(model), parameter_count(model.rnn)
    baseline = kplib.build(row.benchmark, "baseline")
    quantized = Fraction(cell + 4 * (total - cell), 1024)
    expected = {
        "KB": Fraction(4 * total, 1024),
        "parameters": Fraction(total),
        "layer factor": Fraction(parameter_count(baseline.rnn), cell),
        "KB in 8 bits": quantized,
        "factor in 8 bits": Fraction(4 * parameter_count(baseline), 1024) / quantized,
    }
    assert row.ours == expected[row.quantity]


@pytest.mark.parametrize("row", comparisons(verdict="counted otherwise"), ids=named)
def test_what_comes_out_when_counted_otherwise(row):
    """Weights alone, the head without biases, or FastGRNN's second biases: nothing else."""
    model = built(row)
    sizes = {name: p.numel() for name, p in model.named_parameters()}
    cells = model.rnn.cells.values()
    weights = sum(parameter_count(cell.weight) for cell in cells) + sizes["head.weight"]
    total = parameter_count(model)
    biases = len(cells) * model.rnn.gates * model.rnn.hidden_size
    counts = {weights, total - sizes["head.bias"], total + biases}
    unit = 1 if row.quantity == "parameters" else Fraction(4, 1024)
    assert row.otherwise in {count * unit for count in counts}
    assert ending(row.printed, row.otherwise) != "different"


# Said as it is ------------------------------------------------------------------------------------


def test_ending_is_arithmetic():
    rng = random.Random(5)
    seen = Counter()
    for _ in range(2000):
        digits = rng.randint(0, 3)
        value = Fraction(rng.randint(1, 10**6), rng.choice([1, 7, 128, 256, 1000, 1024]))
        unit = Fraction(1, 10**digits)
        below = value // unit
        nearest = (value + unit / 2) // unit
        steps = below + rng.choice([-1, 0, 1, 2])
        printed = Decimal(int(steps)).scaleb(-digits)
        found = ending(printed, value)
        seen[found] += 1
        if value == steps * unit:
            assert found == "exact"
        elif steps == nearest:
            assert found == "rounded"
        else:
            assert found == ("cut off" if steps == below else "different")
    assert len(seen) == 4
    assert min(seen.values()) > 50


@pytest.mark.parametrize("row", ROWS, ids=named)
def test_verdict_follows_from_the_digits(row):
    digits = -row.printed.as_tuple().exponent
    within = abs(row.difference) < Fraction(1, 10**digits)
    if row.verdict == "same":
        assert within
        assert row.ending in ("exact", "rounded", "cut off")
    else:
        assert row.ending == "different"
        assert row.why, "a difference without a word"
        assert (row.verdict == "counted otherwise") == (row.otherwise is not None)


def test_sizes_that_the_papers_contradict_themselves_on_are_not_called_reproduced():
    keys = ("har1-parameters", "har1-kp-size", "har1-eight-bits", "hybrid-sizes", "small-sizes")
    printed = {Decimal(str(value)) for key in keys for value in papers.slip(key).printed}
    different = {row.printed for row in comparisons(verdict="different")}
    assert printed <= different
    kp = [row for row in ROWS if row.technique in ("baseline", "kp") and row.verdict == "same"]
    assert {row.benchmark for row in kp} == set(FIVE) - {"usps-fastrnn"}


def test_why_is_the_slip_of_that_number_and_not_of_another():
    why = {(row.benchmark, str(row.printed)): row.why for row in ROWS}
    for key in ("kws-small", "har1-kp-size", "har1-parameters"):
        slip = papers.slip(key)
        rows = [row for row in ROWS if float(row.printed) in slip.printed and row.verdict != "same"]
        assert rows
        for row in rows:
            assert row.why.lower().startswith(slip.text[:20].lower())
    # printed in W as well, where it is right
    assert why["kws-lstm", "16.3"] == ""
    # 8 and 16 are factors of USPS, and stand in slips about other things
    assert "No reading" in why["usps-fastrnn", "16"]


# The table ----------------------------------------------------------------------------------------


class Cells(html.parser.HTMLParser):
    """Collect rows of (tag, attributes, text), and check that tags close in order."""

    def __init__(self):
        super().__init__()
        self.open, self.rows, self.caption = [], [], ""

    def handle_starttag(self, tag, attrs):
        self.open.append(tag)
        if tag == "tr":
            self.rows.append([])
        if tag in ("td", "th"):
            self.rows[-1].append([tag, dict(attrs), ""])

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if "caption" in self.open:
            self.caption += data
        elif self.rows and {"td", "th"} & set(self.open):
            self.rows[-1][-1][2] += data


@pytest.mark.parametrize("benchmark", [*FIVE, None])
def test_html_is_a_table_with_headers_and_all_numbers(benchmark):
    table = ComparisonTable.of(benchmark, caption="Sizes <&> factors")
    cells = Cells()
    cells.feed(table._repr_html_())
    assert cells.open == []
    assert cells.caption == "Sizes <&> factors"
    heads, *rows = cells.rows
    assert [(tag, attrs["scope"]) for tag, attrs, _ in heads] == [("th", "col")] * 4
    numbers = [row for row in rows if len(row) == 4]
    assert len(numbers) == len(table.rows)
    for row, (head, printed, _, difference) in zip(table.rows, numbers, strict=True):
        assert head[1]["scope"] == "rowgroup"
        assert LABELS[row.technique] in head[2]
        assert row.setting in head[2]
        assert Decimal(printed[2].replace(",", "")) == row.printed
        if row.ending != "different":
            assert difference[2] == row.ending
        else:
            sign = "+" if row.difference > 0 else "−"
            assert difference[2].startswith(sign)
    spans = sum(int(row[0][1]["rowspan"]) for row in numbers)
    assert spans == len(rows)  # a line below exactly where there is something to say


def test_text_has_the_same_numbers_and_keeps_its_width():
    table = ComparisonTable.of(caption="All of them")
    lines = str(table).splitlines()
    assert lines[0] == "All of them"
    assert max(map(len, lines)) <= 90
    numbers = [
        line for line in lines[2:] if re.search(r"(exact|rounded|cut off|[+−][\d.,]+)$", line)
    ]
    assert len(numbers) == len(table.rows)
    for row, line in zip(table.rows, numbers, strict=True):
        assert f" {row.printed:,f} " in line


def test_ours_is_shown_with_a_digit_more_than_is_printed():
    table = ComparisonTable.of("kws-lstm", "KB", caption="")
    text = str(table)
    for row in table.rows:
        digits = 1 - row.printed.as_tuple().exponent
        assert f" {float(row.ours):,.{digits}f} " in text
