"""The tables of appendix A: each number is the record's, and says of which kind it is."""

import json
import re
from pathlib import Path

import pytest

from kplib.bench.arm import results as arm_results
from kplib.bench.arm.roofline import cores, papers_core
from kplib.bench.board.results import BoardRun
from kplib.bench.devices import results as device_results
from kplib.bench.evidence_tables import (
    NOT_YET,
    board_table,
    calibration_table,
    cores_table,
    counts_table,
    label_in_words,
    memory_table,
    predictions_table,
    work_table,
)
from kplib.bench.network import BENCHMARK_NAMES, NETWORKS
from kplib.experiments import papers
from kplib.experiments.grouped_table import GroupedTable, Row

pytestmark = pytest.mark.repository

RESULTS = Path(__file__).parents[2] / "book" / "results"


@pytest.fixture(scope="module")
def record():
    return arm_results.latest(RESULTS / "arm")


@pytest.fixture(scope="module")
def rows():
    return device_results.load(RESULTS / "devices" / "devices.json")


def numbers(table):
    """The lines of a table that have cells: (name in words, cells)."""
    return [
        ("; ".join(part for part in (row.name, *row.details) if part), *map("".join, row.cells))
        for row in table.rows
        if any(map("".join, row.cells))
    ]


# measured


def test_without_a_board_nothing_is_guessed():
    lines = numbers(board_table())
    assert {ours for _, _, ours in lines} == {NOT_YET}
    printed = {f"{row.milliseconds:g}" for row in papers.results()}
    assert {theirs for _, theirs, _ in lines} <= printed
    text = str(board_table())
    for row in papers.results(compression="maximum"):
        assert f"{row.milliseconds:g}" in text


def test_a_board_stands_beside_the_papers():
    works = [
        {"kind": kind, "benchmark": benchmark, "name": name, "nanoseconds": {"median": time}}
        for kind, benchmark, name, time in (
            ("network", "kws-lstm", "kp", 123_456.0),
            ("network", "kws-gru", "kp, 2 layers", 2_000_000.0),
            ("kernel", "kws-lstm", "lmf", 7.0),
        )
    ]
    run = BoardRun("it", "server", "server core", "Some board", "Cortex-A73", {"works": works})
    table = board_table(run)
    assert "Some board, Cortex-A73 (server core)" in table.caption
    lines = numbers(table)
    assert ("Kronecker", "17.5", "0.123") in lines
    assert ("Kronecker, 2 layers", "34", "2") in lines
    assert ("low rank", "4.14", "–") in lines  # only its kernel was timed
    assert len(lines) == len(numbers(board_table()))


# counted


@pytest.mark.parametrize("network", [True, False])
def test_counts_are_the_records(record, network):
    lines = numbers(counts_table(record, network=network))
    raw = json.loads(next((RESULTS / "arm").glob("*.json")).read_text())["counts"]
    assert len(lines) == sum(case.network == network for case in record.cases) - (not network)
    assert (len(lines) == sum(map(len, NETWORKS.values()))) == network
    infix = "" if network else " gate"
    for label, text in (("baseline", "dense"), ("kp", "Kronecker")):
        for benchmark in BENCHMARK_NAMES:
            counts = raw[f"{benchmark}{infix}, {label}"]
            fused = counts["fmla"] + counts["fmadd"]
            found = [line for line in lines if line[:2] == (text, f"{counts['instructions']:,}")]
            assert [line[2] for line in found] == [f"{fused:,}"]


def test_savings_compare_with_the_dense_network(record):
    of = record.of("kws-lstm")
    saved = of["baseline"].instructions / of["kp"].instructions
    lines = numbers(counts_table(record))
    assert f"{saved:.1f}×" in [line[3] for line in lines if line[0] == "Kronecker"]
    assert all(line[3] == "–" for line in lines if line[0] == "dense")


def test_memory_says_what_fits_and_by_how_much_not(rows):
    lines = numbers(memory_table(rows, "cortex-m4f"))
    here = [row for row in rows if row.device == "cortex-m4f"]
    assert len(lines) == len(here)
    for line, row in zip(lines, here, strict=True):
        assert line[0] == f"{label_in_words(row.technique)}, {row.weights}"
        assert line[3] == ("yes" if row.fits else "no")
        if row.fits:
            assert line[1:3] == (f"{row.flash_bytes:,}", f"{row.ram_bytes:,}")
        else:
            assert line[1] == f"{row.excess_bytes['flash']:,} over"
    assert [line[3] for line in lines].count("no") == 1
    with pytest.raises(ValueError, match="no row is of a 'pdp-11'"):
        memory_table(rows, "pdp-11")


@pytest.mark.parametrize("weights", ["int8", "float32"])
def test_work_is_in_thousands(rows, weights):
    lines = numbers(work_table(rows, weights))
    kp = next(line for line in lines if line[0] == "Kronecker")  # of USPS
    found = {
        row.device: row.counts
        for row in rows
        if (row.benchmark, row.technique, row.weights) == ("usps-fastrnn", "kp", weights)
    }
    wanted = [found[name] for name in ("cortex-m3", "cortex-m4f", "cortex-m55", "arduino-uno")]
    assert [int(cell.replace(",", "")) for cell in kp[1:]] == [round(n / 1000) for n in wanted]
    assert (("dense", "–", "–", "–", "–") in lines) == (weights == "float32")  # of MNIST


# modelled


def test_the_model_is_named_and_its_error_is_shown(record):
    table = calibration_table(record)
    assert "Cortex-A57 model" in table.caption
    assert {line[3] for line in numbers(table)} == {"1.00", "1.33"}


def test_peaks_are_measured_by_others_and_the_hikeys_is_derived():
    table = cores_table([*cores(), papers_core()])
    assert "derived" in table.caption
    assert [line[3] for line in numbers(table)] == ["9.4", "12.0", "17.4", "35.1", "18.9"]


def test_predictions_stand_beside_what_was_measured(record):
    lines = numbers(predictions_table(record))
    assert len(lines) == len(record.predictions) == 6
    for line, each in zip(lines, record.predictions, strict=True):
        assert line[3] == "–".join(f"{ratio:.1f}" for ratio in sorted(each.by_model))
        measured = each.measured_by_papers
        assert line[4] == ("–" if measured is None else f"{measured:.2f}")


# of which kind


def test_every_table_says_its_kind_in_a_word_and_a_class(record, rows):
    for table, kind in (
        (board_table(), "measured"),
        (counts_table(record), "counted"),
        (memory_table(rows, "arduino-uno"), "counted"),
        (work_table(rows), "counted"),
        (calibration_table(record), "modelled"),
        (cores_table(cores()), "measured"),
        (predictions_table(record), "modelled"),
    ):
        html = table._repr_html_()
        badge = f'<span class="kp-evidence kp-{kind}">{kind}</span>'
        assert f"<caption>{badge} " in html
        assert f'<table class="table kp-comparison kp-{kind}">' in html
        assert str(table).startswith(f"{kind.capitalize()}: ")
        for head in re.findall(r"<th[^>]*>(.*?)</th>", html):
            assert head.strip()


def test_a_table_of_no_known_kind_is_refused():
    row = Row(name="a", cells=(("1",),))
    with pytest.raises(ValueError, match="evidence is 'guessed'"):
        GroupedTable(caption="", heads=("a", "b"), rows=(row,), evidence="guessed")
    assert (
        "kp-evidence" not in GroupedTable(caption="", heads=("a", "b"), rows=(row,))._repr_html_()
    )


# the records


def test_the_latest_record_counts(tmp_path, record):
    source = next((RESULTS / "arm").glob("*.json"))
    raw = json.loads(source.read_text())
    raw["date"], raw["versions"]["compiler"] = "2001-01-01T00:00:00+00:00", "old"
    (tmp_path / "a.json").write_text(json.dumps(raw))
    (tmp_path / "b.json").write_text(source.read_text())
    assert arm_results.latest(tmp_path).versions == record.versions
    with pytest.raises(ValueError, match="no benchmark 'mnist'; it has square, kws-lstm"):
        record.of("mnist")


def test_a_file_that_is_no_record_is_refused(tmp_path):
    for text in ("", "{}", "[]", '{"benchmark": "devices", "measurements": []}'):
        (tmp_path / "devices.json").write_text(text)
        with pytest.raises(ValueError, match="is no record"):
            device_results.load(tmp_path / "devices.json")
