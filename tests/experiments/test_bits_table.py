"""The table "eight bits": that it says what the records do, and refuses those that do not fit."""

import dataclasses
import importlib.util
import sys
from pathlib import Path

import numpy as np
import pytest

from kplib import cli
from kplib.experiments import papers
from kplib.experiments.bits_table import MOST_LOST, bits_table, bits_tables, in_bits
from kplib.experiments.bootstrap import difference_interval, paired_interval
from kplib.experiments.build import build
from kplib.experiments.few_bits import rounded, source_of, tuned
from kplib.experiments.quantization import quantized_size
from kplib.experiments.records import write
from kplib.experiments.report import tables, variants_table
from kplib.experiments.run_sets import protocols, run_sets
from kplib.nn.quantized import quantize

_SPEC = importlib.util.spec_from_file_location("synthetic", Path(__file__).parent / "synthetic.py")
synthetic = importlib.util.module_from_spec(_SPEC)
_SPEC.loader.exec_module(synthetic)
write_run, scores = synthetic.write_run, synthetic.scores

ITEMS = 1000


def write_in_bits(folder, trained, losses, bits=8, source=None):
    """Write records of a run in few bits that are wrong on so many more items, or on fewer."""
    for of, loss in zip((rounded, tuned), losses, strict=True):
        right = trained.predictions == trained.labels
        changed = np.flatnonzero(right if loss > 0 else ~right)[: abs(loss)]
        predictions = trained.predictions.copy()
        classes = len(trained.record.data.classes)
        predictions[changed] = (trained.labels[changed] + (loss > 0)) % classes
        result = dataclasses.replace(
            trained.record.result, **scores(trained.labels, predictions, classes, classes)
        )
        record = dataclasses.replace(
            trained.record,
            configuration=of(trained.record.configuration, bits),
            result=result,
            sources={"trained": source or source_of(trained)},
        )
        write(folder, record, {"predictions": predictions, "labels": trained.labels})


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """KWS-LSTM: three seeds of KP, one baseline of two, a pruned one that loses, and a variant."""
    path = tmp_path_factory.mktemp("runs")
    for seed, losses in enumerate([(4, 1), (2, 0), (3, -1)]):
        run = write_run(path, "kws-lstm", "kp", 0.9, seed=seed, items=ITEMS)
        write_in_bits(path, run, losses)
    write_in_bits(path, write_run(path, "kws-lstm", "baseline", 0.92, items=ITEMS), (5, -2))
    write_run(path, "kws-lstm", "baseline", 0.92, seed=1, items=ITEMS)
    write_in_bits(path, write_run(path, "kws-lstm", "pruned", 0.9, items=ITEMS), (9, 18))
    write_run(path, "kws-lstm", "lmf", 0.9, items=ITEMS)
    return path


def rows_of(table):
    return {row.name: row for row in table.rows}


def test_the_table_says_what_the_records_do(folder):
    (table,) = bits_tables(run_sets(folder, "kws-lstm"))
    assert table.caption == "KWS-LSTM in eight bits: test accuracy, %"
    assert table.heads == ("Network", "float32", "Rounded", "Tuned", "Papers")
    rows = rows_of(table)
    assert list(rows) == ["baseline", "pruned", "Kronecker"]
    kp = np.mean([
        run.accuracies.mean() for run in run_sets(folder)
        if (run.configuration.technique, run.configuration.variant) == ("kp", "")
    ])  # fmt: skip
    float32, after, fine, theirs = rows["Kronecker"].cells
    assert float32 == (f"{kp:.2f}",)
    assert after == (f"{kp - 0.3:.2f}", "−0.30")
    assert fine == (f"{kp:.2f}", "0.00")
    printed = papers.eight_bits("kws-lstm", "kp")[0]
    assert theirs == (f"{printed.top_8:.2f}", f"−{printed.top_32 - printed.top_8:.2f}")
    assert rows["pruned"].cells[-1] == ("–",)
    assert rows["baseline"].details[-1] == "1 of 2 seeds"
    assert rows["baseline"].cells[2][1] == "+0.20"


def test_sizes_are_those_of_the_network_with_its_scales(folder):
    rows = rows_of(bits_tables(run_sets(folder))[0])
    size = quantized_size(quantize(build("kws-lstm", "kp", seed=0)))
    printed = papers.eight_bits("kws-lstm", "kp")[0]
    assert rows["Kronecker"].details == (
        f"{size.kilobytes:.2f} KB",
        f"{size.printed_kilobytes:.2f} as the papers count, who print {printed.kilobytes_8:.2f}",
        "3 seeds",
    )
    model = build("kws-lstm", "pruned", seed=0)
    model.rnn.weight.prune_to()
    size = quantized_size(quantize(model))
    assert rows["pruned"].details[0] == f"{size.kilobytes:.2f} KB"
    assert f"{size.index_bytes / 1024:.2f} are the places of its non-zeros" in rows["pruned"].below
    assert size.kilobytes < 16


def test_who_misses_the_goal_is_told(folder):
    rows = rows_of(bits_tables(run_sets(folder))[0])
    assert rows["pruned"].cells[2][1] == "−1.80"
    assert "beyond the goal." in rows["pruned"].below
    assert rows["pruned"].strong == (2,)
    assert "within the goal." in rows["Kronecker"].below
    assert rows["Kronecker"].strong == ()
    assert MOST_LOST == 0.3


@pytest.mark.parametrize(
    ("losses", "verdict"),
    [
        ((2,), "within the goal, but not for certain."),
        ((4,), "beyond the goal, but not for certain."),
    ],
)
def test_a_verdict_that_the_interval_leaves_open_says_so(losses, verdict, tmp_path):
    write_in_bits(tmp_path, write_run(tmp_path, "kws-lstm", "kp", 0.9, items=ITEMS), (0, *losses))
    (table,) = bits_tables(run_sets(tmp_path))
    assert table.rows[0].below.split(". In the papers")[0].endswith(verdict.rstrip("."))


def test_the_report_has_it_and_keeps_it_apart_from_variants(folder, monkeypatch, capsys):
    captions = [table.caption for table in tables(folder)]
    assert sum("in eight bits" in caption for caption in captions) == 1
    assert not any("variants" in caption for caption in captions)
    with pytest.raises(ValueError, match="there is no variant"):
        variants_table(run_sets(folder))
    monkeypatch.setattr(sys, "argv", ["kplib", "report", "--folder", str(folder), "--no-matrices"])
    with pytest.raises(SystemExit) as end:
        cli.main()
    out, err = capsys.readouterr()
    assert (end.value.code or 0, err) == (0, "")
    assert str(bits_tables(run_sets(folder))[0]) in out
    assert max(map(len, out.splitlines())) <= 96


def test_each_number_of_bits_has_its_table(tmp_path):
    run = write_run(tmp_path, "usps-fastrnn", "kp", 0.9)
    for bits in (4, 8):
        write_in_bits(tmp_path, run, (1, 0), bits=bits)
    found = bits_tables(run_sets(tmp_path))
    assert [table.caption.split(":")[0] for table in found] == [
        "USPS-FastRNN in eight bits", "USPS-FastRNN in four bits"
    ]  # fmt: skip
    assert found[0].heads[-1] == "Tuned"  # the papers have no such network in eight bits
    sizes = [float(table.rows[0].details[0].split()[0]) for table in found]
    assert sizes[0] > sizes[1]
    with pytest.raises(ValueError, match="there is no network in few bits"):
        bits_table([], next(iter(protocols(run_sets(tmp_path)))))


def test_networks_that_were_trained_otherwise_have_a_table_of_their_own(tmp_path):
    alike = {"length": 100, "schedule": "cosine", "learning_rate": 0.003}
    for start in ({}, {"alpha": 0.0}):
        for technique in ("kp", "lmf"):
            run = write_run(tmp_path, "usps-fastrnn", technique, initial_values=start, **alike)
            write_in_bits(tmp_path, run, (1, 0))
    found = bits_tables(run_sets(tmp_path))
    assert sorted(table.caption.split(" in eight")[0] for table in found) == [
        "USPS-FastRNN (100 epochs)", "USPS-FastRNN (100 epochs, other start)"
    ]  # fmt: skip
    assert [list(rows_of(table)) for table in found] == [["low rank", "Kronecker"]] * 2


def test_a_record_of_another_trained_network_is_refused(tmp_path):
    run = write_run(tmp_path, "usps-fastrnn", "kp", 0.9)
    write_in_bits(tmp_path, run, (1, 0), source=f"{run.record.configuration.path} {'1' * 64}")
    with pytest.raises(ValueError, match=r"kp-8-bits/.*: was made of .* not of .*kp/seed-0"):
        in_bits(run_sets(tmp_path))


def test_of_two_fine_tunings_the_longer_counts(tmp_path):
    run = write_run(tmp_path, "kws-lstm", "kp", 0.9, items=ITEMS)
    write_in_bits(tmp_path, run, (3, 2))
    (usual,) = in_bits(run_sets(tmp_path))
    record = usual.tuned.runs[0].record
    long = dataclasses.replace(
        record.configuration, length=record.configuration.length * 2, learning_rate=0.005
    )
    longer = write(
        tmp_path,
        dataclasses.replace(record, configuration=long, result=usual.rounded.runs[0].record.result),
        usual.rounded.runs[0].arrays,
    )
    (found,) = in_bits(run_sets(tmp_path))
    assert found.tuned.runs[0].path == longer.path
    (table,) = bits_tables(run_sets(tmp_path))
    assert "for 20% of its training's length from 50% of its rate" in " ".join(table.notes)


def test_what_has_only_one_of_the_two_is_left_out(tmp_path):
    run = write_run(tmp_path, "usps-fastrnn", "kp", 0.9)
    write_in_bits(tmp_path, run, (1, 0))
    for path in tmp_path.glob("*/kp-8-bits-tuned/*"):
        path.unlink()
    assert bits_tables(run_sets(tmp_path)) == []


# The interval -------------------------------------------------------------------------------------


def test_the_paired_interval_covers_and_is_narrower():
    """Seeds 5 points apart, each of which loses a point: 95% of the intervals have it."""
    rng = np.random.default_rng(0)
    inside, widths = 0, []
    for _ in range(100):
        before = rng.random((4, 800)) < rng.normal(0.85, 0.05, (4, 1))
        lost = rng.random((4, 800)) < 0.01 / 0.85
        after = before & ~lost
        paired = paired_interval(after, before, samples=1000)
        apart = difference_interval(after, before, samples=1000)
        inside += paired.low <= -1 <= paired.high
        assert paired.value == pytest.approx(apart.value)
        widths.append((paired.high - paired.low) / (apart.high - apart.low))
    assert inside >= 85
    assert np.median(widths) < 0.3


def test_of_one_run_the_pair_is_resampling_of_the_items():
    rng = np.random.default_rng(1)
    one, rival = rng.random((2, 1, 300)) < [[[0.8]], [[0.7]]]
    assert paired_interval(one, rival) == difference_interval(one, rival)
    with pytest.raises(ValueError, match=r"of shape \(1, 300\), but before of \(1, 299\)"):
        paired_interval(one, rival[:, 1:])
