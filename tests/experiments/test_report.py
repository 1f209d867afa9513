"""Reports: intervals that cover, what is compared with what, tables that say what records do."""

import dataclasses
import importlib.util
import re
import sys
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kplib import cli
from kplib.experiments import papers
from kplib.experiments.bootstrap import accuracy_interval, difference_interval
from kplib.experiments.figures import learning_curves, our_points
from kplib.experiments.grouped_table import GroupedTable, Row
from kplib.experiments.plans import RECORDED_PLAN, Plan, Sweep, read_plan
from kplib.experiments.points import paper_points
from kplib.experiments.records import write
from kplib.experiments.report import (
    accuracy_table,
    difference_table,
    in_words,
    protocol_tables,
    summary_table,
    tables,
    variants_table,
)
from kplib.experiments.run_sets import RunSet, difference, protocols, run_sets, untrained
from kplib.experiments.schedules import Constant, Piecewise

_SPEC = importlib.util.spec_from_file_location("synthetic", Path(__file__).parent / "synthetic.py")
synthetic = importlib.util.module_from_spec(_SPEC)
_SPEC.loader.exec_module(synthetic)
write_run = synthetic.write_run

ALIKE = {"length": 100, "schedule": "cosine", "learning_rate": 0.003}
PLAN = Plan(
    sweeps=(
        Sweep(
            benchmark="mnist-lstm", techniques=("small", "lmf", "kp"), seeds=(0, 1, 2), length=100,
            schedule="cosine", learning_rates=(0.003, 0.001), tuning_length=25,
        ),
        Sweep(benchmark="usps-fastrnn", techniques=("kp",), seeds=(0,), length=9),
    )
)  # fmt: skip


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Two techniques with three seeds, one with one of three, and what is to be left out."""
    path = tmp_path_factory.mktemp("runs")
    for seed in range(3):
        write_run(path, "mnist-lstm", "kp", 0.95, seed=seed, items=1000, **ALIKE)
        broken = 77 if seed == 1 else None
        write_run(
            path, "mnist-lstm", "lmf", 0.8, seed=seed, items=1000, diverged_at=broken, **ALIKE
        )
    write_run(path, "mnist-lstm", "small", 0.94, items=1000, **ALIKE)
    write_run(path, "mnist-lstm", "kp", 0.96, seed=5, items=1000, scored_on="validation", **ALIKE)
    write_run(path, "mnist-lstm", "kp", 0.97, items=1000, variant="full-rank", **ALIKE)
    return path


@pytest.fixture(scope="module")
def sets(folder):
    return run_sets(folder, plan=PLAN)


def of(sets, technique, variant=""):
    (found,) = (
        one
        for one in sets
        if (one.configuration.technique, one.configuration.variant) == (technique, variant)
    )
    return found


# Intervals ----------------------------------------------------------------------------------------


def test_of_one_run_it_is_plain_resampling_of_the_items():
    rng = np.random.default_rng(0)
    one, rival = rng.random((2, 300)) < [[0.8], [0.7]]
    for found, gains in (
        (accuracy_interval([one]), one.astype(int)),
        (difference_interval([one], [rival]), one.astype(int) - rival),
    ):
        draws = 100 * gains[rng.integers(300, size=(10_000, 300))].mean(axis=1)
        assert found.value == pytest.approx(100 * gains.mean())
        expected = np.quantile(draws, [0.025, 0.975])
        np.testing.assert_allclose([found.low, found.high], expected, atol=0.35)


def test_where_all_items_are_alike_it_is_resampling_of_the_seeds():
    accuracies = np.array([0.9, 0.91, 0.93, 0.96, 0.95])
    correct = np.arange(20_000) < 20_000 * accuracies[:, None]  # no residual to speak of
    rng = np.random.default_rng(0)
    draws = 100 * accuracies[rng.integers(5, size=(10_000, 4))].mean(axis=1)
    found = accuracy_interval(correct)
    expected = np.quantile(draws, [0.025, 0.975])
    np.testing.assert_allclose([found.low, found.high], expected, atol=0.2)


def simulated(rng, seeds, items, deviation):
    """Answers of two techniques of equal accuracy to the same items, some of which are hard."""
    chance = rng.beta(2, 0.5, items)
    effect = chance * (1 - chance) / np.mean(chance * (1 - chance))
    answers = []
    for _ in range(2):
        effects = deviation * rng.normal(size=(seeds, 1)) * effect
        answers.append(rng.random((seeds, items)) < np.clip(chance + effects, 0, 1))
    return answers


@pytest.mark.parametrize(
    ("seeds", "deviation", "least"),
    [(5, 0.0, 0.91), (5, 0.02, 0.85), (3, 0.0, 0.91), (3, 0.1, 0.6)],
)
def test_intervals_are_as_wide_as_they_have_to_be(seeds, deviation, least):
    """All drawn anew each time: 95%, or 3 of 4 where three seeds rule; no interval is too wide."""
    rng = np.random.default_rng(2)
    inside, widths, values = np.zeros(2), [], []
    for _ in range(200):
        one, rival = simulated(rng, seeds, 600, deviation)
        found = (
            accuracy_interval(one, samples=1000),
            difference_interval(one, rival, samples=1000),
        )
        inside += [a.low <= truth <= a.high for a, truth in zip(found, (80, 0), strict=True)]
        widths.append([a.high - a.low for a in found])
        values.append([a.value for a in found])
    assert (least <= inside / 200).all()
    assert (inside < 200).all()
    needed = 2 * 1.96 * np.std(values, axis=0)
    np.testing.assert_allclose(np.mean(widths, axis=0) / needed, 1, atol=0.25)


@given(
    seeds=st.integers(1, 6), rivals=st.integers(1, 6), items=st.integers(1, 40),
    seed=st.integers(0, 99),
)  # fmt: skip
def test_what_holds_of_every_interval(seeds, rivals, items, seed):
    rng = np.random.default_rng(seed)
    one, rival = rng.random((seeds, items)) < 0.7, rng.random((rivals, items)) < 0.5
    found = accuracy_interval(one, samples=200)
    assert 0 <= found.low <= found.high <= 100
    order = rng.permutation(items)
    again = accuracy_interval(one[:, order], samples=200)
    assert dataclasses.astuple(again) == pytest.approx(dataclasses.astuple(found), abs=1e-5)
    ahead = difference_interval(one, rival, samples=200)
    assert -100 <= ahead.low <= ahead.high <= 100
    assert ahead.excludes_zero == (not ahead.low <= 0 <= ahead.high)
    same = difference_interval(one[:1], one[:1], samples=200)
    assert (same.value, same.low, same.high) == (0, 0, 0)


@pytest.mark.parametrize(
    ("correct", "words"),
    [([], r"found float64 of shape \(0,\)"), ([[1, 0]], "found int64"),
     (np.zeros((0, 3), bool), r"shape \(0, 3\)"), ([True], r"bool of shape \(1,\)")],
)  # fmt: skip
def test_what_is_no_array_of_answers(correct, words):
    with pytest.raises(ValueError, match=words):
        accuracy_interval(correct)


def test_other_items_are_not_compared():
    with pytest.raises(ValueError, match="correct has 2 test items, but rival has 1"):
        difference_interval([[True, False]], [[True]])


# What belongs together ----------------------------------------------------------------------------


def test_sets_are_seeds_of_one_configuration(sets):
    names = [(one.configuration.technique, one.configuration.variant, one.seeds) for one in sets]
    assert names == [
        ("small", "", (0,)), ("lmf", "", (0, 1, 2)), ("kp", "", (0, 1, 2)),
        ("kp", "full-rank", (0,)),
    ]  # fmt: skip
    assert [one.missing for one in sets] == [(1, 2), (), (), ()]
    kp = of(sets, "kp")
    np.testing.assert_allclose(100 * kp.correct.mean(axis=1), kp.accuracies)
    assert kp.confusion.sum() == kp.correct.size
    assert np.trace(kp.confusion) == kp.correct.sum()
    assert [run.record.configuration.seed for run in of(sets, "lmf").diverged] == [1]
    with pytest.raises(ValueError, match="seeds of one configuration on the same data"):
        RunSet((*kp.runs, *of(sets, "lmf").runs))
    with pytest.raises(ValueError, match="found none"):
        RunSet(())


def test_other_data_are_another_set(tmp_path):
    write_run(tmp_path, "mnist-lstm", "kp", seed=0)
    write_run(tmp_path, "mnist-lstm", "kp", seed=1, sha256="1" * 64)
    one, other = run_sets(tmp_path)
    assert (one.seeds, other.seeds) == ((0,), (1,))
    assert len(protocols([one, other])) == 2
    labels = np.zeros(200, int)
    write_run(tmp_path, "mnist-lstm", "lmf", labels=labels)
    with pytest.raises(ValueError, match="were tested on other items"):
        difference(one, of(run_sets(tmp_path), "lmf"))


def test_a_difference_is_between_answers_to_the_same_items(sets):
    kp, lmf = of(sets, "kp"), of(sets, "lmf")
    gain = difference(kp, lmf)
    assert gain.value == pytest.approx(kp.accuracies.mean() - lmf.accuracies.mean())
    assert gain.excludes_zero
    assert difference(lmf, kp).value == pytest.approx(-gain.value)


def test_what_is_planned_and_was_not_begun(sets):
    assert [entry.name for entry in untrained(PLAN, sets)] == ["usps-fastrnn/kp"]
    assert untrained(PLAN, sets, "mnist-lstm") == []
    assert len(untrained(PLAN, [])) == 4


def test_what_was_trained_alike_is_compared(tmp_path):
    for technique in ("lmf", "kp", "pruned"):
        write_run(tmp_path, "kws-lstm", technique, length=1000, schedule="cosine")
        write_run(tmp_path, "kws-lstm", technique)  # the papers' own, two of them alone
    write_run(tmp_path, "kws-lstm", "hkp", compression=10, length=1000, schedule="cosine")
    write_run(tmp_path, "kws-lstm", "small", length=1000, schedule="constant")
    groups = protocols(run_sets(tmp_path))
    found = {
        (protocol.length, protocol.fraction, protocol.compression): [
            one.configuration.technique for one in group
        ]
        for protocol, group in groups.items()
    }
    assert found == {
        (1000, None, None): ["pruned", "lmf", "kp"],
        (None, 1.0, None): ["pruned", "lmf", "kp"],
        (1000, None, 10): ["hkp"],
    } | {key: ["small"] for key in found if found[key] == ["small"]}
    # A constant rate is none of the papers': it stands alone.
    (alone,) = (protocol for protocol, group in groups.items() if len(group) == 1
                and group[0].configuration.technique == "small")  # fmt: skip
    assert alone.schedule == Constant()


def test_another_start_or_other_data_are_another_protocol(tmp_path):
    alike = {"length": 20, "schedule": "cosine"}
    special = {"data_options": {"shifts": 1}, "initial_values": {"alpha": 0.0, "beta": 2.0}}
    for technique in ("lmf", "kp"):
        write_run(tmp_path, "usps-fastrnn", technique, 0.6, **alike)
        write_run(tmp_path, "usps-fastrnn", technique, 0.9, **alike, **special)
    sets = run_sets(tmp_path)
    groups = protocols(sets)
    assert [len(group) for group in groups.values()] == [2, 2]
    plain, other = sorted(groups, key=lambda protocol: len(protocol.departures))
    assert plain.departures == {}
    assert other.departures == {"data": {"shifts": 1}, "start": {"alpha": 0.0, "beta": 2.0}}
    tables = {protocol: accuracy_table(groups[protocol], protocol) for protocol in groups}
    title = "USPS-FastRNN: test accuracy, 20 epochs"
    assert tables[plain].caption == title
    assert tables[other].caption == f"{title}, other data and start"
    assert "Not the default start: alpha 0.0, beta 2.0." in tables[other].notes
    assert not any("default" in note for note in tables[plain].notes)
    # As long, as many seeds: that of the papers' data and start stands beside the papers' number.
    (row,) = (r for r in summary_table(sets).rows if r.name == "USPS-FastRNN, Kronecker")
    (kept,) = (one for one in groups[plain] if one.configuration.technique == "kp")
    assert row.cells[1] == (f"{kept.accuracies.mean():.2f}",)


# Tables -------------------------------------------------------------------------------------------


def rows_of(table):
    return {row.name: row for row in table.rows}


def test_accuracies_are_those_of_the_records(sets):
    ((protocol, group),) = protocols(sets).items()
    table = accuracy_table(group, protocol)
    assert table.caption == "MNIST-LSTM: test accuracy, 100 epochs"
    rows = rows_of(table)
    assert list(rows) == ["small", "low rank", "Kronecker"]
    for name, technique in (("low rank", "lmf"), ("Kronecker", "kp")):
        one, printed = of(sets, technique), papers.result("mnist-lstm", technique)
        ours, interval, theirs = rows[name].cells
        assert ours == (f"{one.accuracies.mean():.2f}", f"± {one.accuracies.std(ddof=1):.2f}")
        assert interval == (f"{one.interval.low:.2f}", f"to {one.interval.high:.2f}")
        assert theirs == (f"{printed.mean:.2f}", f"± {printed.std:.2f}")
        assert rows[name].details == (f"{one.kilobytes:.2f} KB", "3 seeds")
        best = f"Best seed {one.accuracies.max():.2f}, the papers' best {printed.top:.2f}."
        assert rows[name].below.startswith(best)
    assert "Macro-F1" not in str(table)  # no class is frequent


def test_what_is_missing_or_diverged_is_said(sets):
    ((protocol, group),) = protocols(sets).items()
    table = accuracy_table(group, protocol)
    small = rows_of(table)["small"]
    assert small.details == ("4.25 KB", "papers 4.51 KB", "1 of 3 seeds")
    assert "No record of seed 1, 2." in small.below
    assert small.cells[0] == (f"{of(sets, 'small').accuracies[0]:.2f}",)  # no deviation of one
    assert "Seed 1 diverged by step 77; it counts." in rows_of(table)["low rank"].below
    assert "Of one seed it says what other test items would do" in table.notes[-1]
    assert "of 3 seeds too narrow" in table.notes[-2]


def test_the_schedule_is_stated(sets, tmp_path):
    ((protocol, group),) = protocols(sets).items()
    alike, rates, *_ = accuracy_table(group, protocol).notes
    assert alike == (
        "All trained alike: 100 epochs, cosine schedule. Shortened: the papers trained 4,000 to "
        "5,000 epochs."
    )
    assert rates == "Learning rate of each: from 0.003, 0.001, by validation in runs of 25 epochs."
    for length in (None, 45_000):
        write_run(tmp_path, "kws-lstm", "kp", length=length)
    stated = {protocol_tables([one])[0].notes[0] for one in run_sets(tmp_path)}
    own = "Each network trained as the papers print for it"
    assert stated == {
        f"{own}, in full: 90,000 steps.", f"{own}, shortened to 50% of their 90,000 steps."
    }  # fmt: skip


def test_a_schedule_that_is_as_long_as_the_papers(tmp_path):
    for technique in ("kp", "lmf"):
        write_run(tmp_path, "mnist-lstm", technique)
    ((protocol, group),) = protocols(run_sets(tmp_path)).items()
    note = accuracy_table(group, protocol).notes[0]
    steps = "rate in steps: factor 1, 0.1 from 1,250"
    assert note.startswith(f"All trained alike: 5,000 epochs, {steps}")
    assert note.endswith("As long as the papers' 5,000 epochs, or longer.")
    assert in_words(Piecewise(milestones=(5,), factors=(1, 0.5))) == (
        "rate in steps: factor 1, 0.5 from 5"
    )


def test_macro_f1_stands_beside_accuracy_where_a_class_dominates(tmp_path):
    labels = np.where(np.arange(1000) % 10, 17, np.arange(1000) % 17)
    for seed in range(2):
        write_run(tmp_path, "har1-bilstm", "kp", 0.9, seed=seed, labels=labels)
    ((protocol, group),) = protocols(run_sets(tmp_path)).items()
    one = group[0]
    (row,) = accuracy_table(group, protocol).rows
    mean, std = one.macro_f1.mean(), one.macro_f1.std(ddof=1)
    assert f"Macro-F1 {mean:.2f} ± {std:.2f} %: 90% of the test items are 'class 17'." in row.below


def test_partial_data_are_named(tmp_path):
    write_run(tmp_path, "kws-lstm", "kp", protocol={"partial": "10-label subset"})
    found = tables(tmp_path)
    assert "Data: 10-label subset." in found[0].notes
    assert "Data: 10-label subset." in rows_of(found[-1])["KWS-LSTM, Kronecker"].below


def test_the_places_of_a_pruned_network_are_counted_beside_it(tmp_path):
    stored = write_run(tmp_path, "mnist-lstm", "pruned")
    network = dataclasses.replace(stored.record.network, index_bytes=2048)
    arrays = stored.arrays
    stored.path.unlink()
    write(tmp_path, dataclasses.replace(stored.record, network=network), arrays)
    (row,) = tables(tmp_path)[0].rows
    assert f"With the places of its non-zeros {network.kilobytes + 2:.2f} KB." in row.below


def test_differences_say_who_is_ahead(sets):
    ((protocol, group),) = protocols(sets).items()
    table = difference_table(group, protocol)
    rows = rows_of(table)
    assert list(rows) == ["small", "low rank"]
    gain = difference(of(sets, "kp"), of(sets, "lmf"))
    ours, _, theirs = rows["low rank"].cells
    assert ours == (f"+{gain.value:.2f}",)
    kp, lmf = (papers.result("mnist-lstm", name).mean for name in ("kp", "lmf"))
    assert theirs == (f"+{kp - lmf:.2f}",)
    assert rows["low rank"].strong == (0,)
    assert rows["low rank"].below.startswith("Ahead.")
    assert (rows["small"].strong, rows["small"].below[:9]) == ((), "Undecided")
    assert rows["small"].details == ("3 seeds against 1",)
    counts = re.search(r"has (\d+) right .* and (\d+) the other", rows["low rank"].below)
    only, other = map(int, counts.groups())
    assert only - other == pytest.approx(10 * gain.value, abs=1)
    with pytest.raises(ValueError, match="no Kronecker and no hybrid"):
        difference_table([of(sets, "lmf")], protocol)


def test_the_hybrid_is_compared_where_there_is_no_kronecker_network(tmp_path):
    for technique, accuracy in (("lmf", 0.9), ("hkp", 0.6)):
        write_run(tmp_path, "kws-lstm", technique, accuracy, compression=10, items=500)
    accuracies, differences = protocol_tables(run_sets(tmp_path))
    assert accuracies.caption == "KWS-LSTM at 10×: test accuracy, trained as in the papers"
    assert differences.caption.startswith("KWS-LSTM at 10×: hybrid, 10× against the others")
    assert differences.rows[0].below.startswith("Behind.")
    mine, its = (papers.result("kws-lstm", name, "10x").mean for name in ("hkp", "lmf"))
    assert differences.rows[0].cells[2] == (f"+{mine - its:.2f}",)


def test_variants_stand_apart(sets):
    table = variants_table(sets)
    (row,) = table.rows
    assert row.name == "Kronecker, full-rank"
    assert row.details == ("100 epochs, cosine schedule", "1 seed")
    with pytest.raises(ValueError, match="there is no variant"):
        variants_table([of(sets, "kp")])


def test_tasks_of_long_memory_have_tables_without_the_papers(tmp_path, monkeypatch, capsys):
    write_run(tmp_path, "copy-rnn", "baseline", 0.2)
    write_run(tmp_path, "copy-rnn", "kp", 0.9, variant="kru")
    (table,) = tables(tmp_path, "copy-rnn")
    assert table.caption == "Copy memory: test accuracy"
    assert [row.name for row in table.rows] == ["baseline", "Kronecker, kru"]
    status, out, _ = main(monkeypatch, capsys, "copy-rnn", "--folder", tmp_path)
    assert (status, out) == (0, f"{table}\n")


def test_the_summary_has_every_accuracy_of_the_papers(sets):
    table = summary_table(sets, {"usps-fastrnn"})
    assert len(table.rows) == len(papers.results("mnist-lstm"))
    rows = rows_of(table)
    lmf, printed = of(sets, "lmf"), papers.result("mnist-lstm", "lmf")
    assert rows["MNIST-LSTM, low rank"].cells[2][0].startswith("−")
    assert rows["MNIST-LSTM, low rank"].strong == (2,)
    assert float(rows["MNIST-LSTM, low rank"].cells[2][0].replace("−", "-")) == pytest.approx(
        lmf.accuracies.mean() - printed.mean, abs=0.006
    )
    assert rows["MNIST-LSTM, baseline"].below == "Not trained."
    assert rows["MNIST-LSTM, baseline"].cells[0] == ("99.40", "best")
    assert "3 seeds, 100 epochs, 2% of the papers'." in rows["MNIST-LSTM, Kronecker"].below
    assert table.notes[-1] == "Planned, without a record: USPS-FastRNN."


def test_no_difference_is_taken_from_other_data_than_the_papers(tmp_path):
    write_run(tmp_path, "kws-lstm", "kp", protocol={"partial": "10-label subset"})
    row = rows_of(summary_table(run_sets(tmp_path)))["KWS-LSTM, Kronecker"]
    assert row.cells[2] == ("–",)
    assert row.strong == ()
    assert row.below.endswith("Data: 10-label subset.")


def test_the_longest_training_counts_in_the_summary(tmp_path):
    write_run(tmp_path, "usps-fastrnn", "kp", 0.99, length=20)
    write_run(tmp_path, "usps-fastrnn", "kp", 0.6, length=400)
    row = rows_of(summary_table(run_sets(tmp_path)))["USPS-FastRNN, Kronecker"]
    assert row.below == "1 seed, 400 epochs, 80% of the papers'."
    assert float(row.cells[1][0]) < 80
    # But of two the one that was planned.
    planned = Sweep(benchmark="usps-fastrnn", techniques=("kp",), seeds=(0,), length=20)
    plan = Plan(sweeps=(planned,))
    row = rows_of(summary_table(run_sets(tmp_path, plan=plan)))["USPS-FastRNN, Kronecker"]
    assert row.below == "1 seed, 20 epochs, 4% of the papers'."
    assert float(row.cells[1][0]) > 90


def test_a_benchmark_that_is_not_the_papers(tmp_path):
    for technique in ("kp", "lmf"):
        write_run(tmp_path, "dsads-bilstm", technique)
    found = tables(tmp_path)
    assert all(row.cells[-1] == ("–",) for table in found[:2] for row in table.rows)
    assert found[-1].rows == ()
    assert paper_points("dsads-bilstm") == []


def test_items_of_a_speaker_are_drawn_together(tmp_path):
    speaker = np.arange(400) // 20
    right = {"kp": speaker > 0, "lmf": speaker > 3}  # all of a speaker's, or none
    for name, groups in (("apart", None), ("together", speaker)):
        for technique, known in right.items():
            write_run(tmp_path / name, "kws-lstm", technique, items=400, right=known,
                      groups=groups, **ALIKE)  # fmt: skip
    apart, together = (run_sets(tmp_path / name) for name in ("apart", "together"))
    for one, other in zip(apart, together, strict=True):
        assert one.interval.value == other.interval.value
        width = other.interval.high - other.interval.low
        assert width > 3 * (one.interval.high - one.interval.low)
    assert difference(*apart).excludes_zero
    assert not difference(*together).excludes_zero
    ((protocol, group),) = protocols(together).items()
    assert any("one speaker are drawn together (20 groups)" in note
               for note in accuracy_table(group, protocol).notes)  # fmt: skip


def test_a_table_says_how_many_people_were_asked(tmp_path):
    recording = np.arange(400) // 10
    split = {"by": "subject", "train": [1], "validation": [6], "test": [7, 8]}
    for technique in ("kp", "lmf"):
        write_run(tmp_path, "dsads-bilstm", technique, items=400, groups=recording,
                  protocol={"split": split}, **ALIKE)  # fmt: skip
    ((protocol, group),) = protocols(run_sets(tmp_path)).items()
    notes = " ".join(accuracy_table(group, protocol).notes)
    assert "those of one recording are drawn together (40 groups)" in notes
    assert "All test items are of 2 people" in notes


def test_two_groups_are_too_few_to_draw_from(tmp_path):
    half = np.arange(400) // 200
    for technique in ("kp", "lmf"):
        for name, groups in (("named", half), ("not", None)):
            write_run(tmp_path / name, "dsads-bilstm", technique, items=400, groups=groups, **ALIKE)
    named, not_named = (run_sets(tmp_path / name) for name in ("named", "not"))
    assert [one.interval for one in named] == [one.interval for one in not_named]
    assert difference(*named) == difference(*not_named)
    ((protocol, group),) = protocols(named).items()
    assert "All test items are of 2 recordings" in accuracy_table(group, protocol).notes[-1]


# As a page and as text ----------------------------------------------------------------------------


class Cells(HTMLParser):
    """Rows of a table as lists of (tag, attributes, text)."""

    def __init__(self):
        super().__init__()
        self.rows, self.open = [], []

    def handle_starttag(self, tag, attributes):
        if tag == "br":
            self.rows[-1][-1][2] += " "
            return
        self.open.append(tag)
        if tag == "tr":
            self.rows.append([])
        elif tag in ("td", "th"):
            self.rows[-1].append([tag, dict(attributes), ""])

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, text):
        if {"td", "th"} & set(self.open):
            self.rows[-1][-1][2] += text


def test_every_table_is_whole_as_html_and_as_text(folder):
    found = tables(folder, plan=PLAN)
    assert len(found) == 4
    for table in found:
        cells = Cells()
        cells.feed(table._repr_html_())
        assert not cells.open
        head, *rows = cells.rows
        assert [text for _, _, text in head] == list(table.heads)
        assert {attributes["scope"] for _, attributes, _ in head} == {"col"}
        named = [row for row in rows if row[0][0] == "th"]
        assert [row[0][1]["scope"] for row in named] == ["rowgroup"] * len(table.rows)
        text = re.sub(r"\s+", " ", str(table))
        for row, (_, *numbers) in zip(table.rows, named, strict=True):
            assert [number for _, _, number in numbers] == [" ".join(cell) for cell in row.cells]
            assert row.below in text
        last = [row[0][2] for row in rows[len(rows) - len(table.notes) :]]
        assert tuple(last) == table.notes
        for note in table.notes:
            assert note in text
        assert max(map(len, str(table).splitlines())) <= 96
        assert "nan" not in text


def test_a_table_escapes_what_it_is_given():
    row = Row(name="a<b", details=("c&d",), cells=(("<1",),), strong=(0,), below="<p>")
    page = GroupedTable(caption="<i>", heads=("<", ">"), rows=(row,), notes=("&",))._repr_html_()
    assert not re.search(r"<(i|p|1|b)>|&[^a-z]", page)
    assert "<strong>&lt;1</strong>" in page
    with pytest.raises(ValueError, match="1 columns of numbers, but 'a<b' has 2"):
        GroupedTable(
            caption="", heads=("a", "b"), rows=(dataclasses.replace(row, cells=(("1",), ("2",))),)
        )


# For the figures ----------------------------------------------------------------------------------


def test_points_and_curves_are_those_of_the_records(sets):
    points = our_points([of(sets, "kp"), of(sets, "lmf")], {"baseline": 3.0, "kp": 2.0})
    assert [point.speed_up for point in points] == [1.5, None]
    assert points[0].accuracy == pytest.approx(of(sets, "kp").accuracies.mean())
    assert points[0].low < points[0].accuracy < points[0].high
    curves = learning_curves([of(sets, "kp"), of(sets, "lmf")])
    assert list(curves) == ["kp", "lmf"]
    times, accuracies = curves["kp"][2]
    in_an_epoch = 8  # batches of 128 of 1000
    np.testing.assert_allclose(times, np.array(synthetic.CURVE["steps"]) / in_an_epoch)
    np.testing.assert_allclose(accuracies[-1], of(sets, "kp").accuracies[2] / 100)


def test_steps_are_not_divided(tmp_path):
    write_run(tmp_path, "kws-lstm", "kp")
    ((times, _),) = learning_curves(run_sets(tmp_path))["kp"]
    np.testing.assert_array_equal(times, synthetic.CURVE["steps"])


def test_the_papers_points_are_means_or_the_best():
    for best in (False, True):
        for point, row in zip(paper_points("kws-lstm", best=best), papers.results("kws-lstm"),
                              strict=True):  # fmt: skip
            assert point.accuracy == (row.top if best or row.mean is None else row.mean)
            assert point.is_mean == (point.accuracy != row.top)


# The command --------------------------------------------------------------------------------------


def main(monkeypatch, capsys, *arguments):
    monkeypatch.setattr(sys, "argv", ["kplib", "report", *map(str, arguments)])
    with pytest.raises(SystemExit) as end:
        cli.main()
    return end.value.code or 0, *capsys.readouterr()


def test_the_command_prints_every_table(folder, monkeypatch, capsys):
    status, out, err = main(monkeypatch, capsys, "--folder", folder, "--no-matrices")
    assert (status, err) == (0, "")
    expected = tables(folder, plan=read_plan(RECORDED_PLAN))
    assert out == "\n\n".join(map(str, expected)) + "\n"
    one = main(monkeypatch, capsys, "mnist-lstm", "--folder", folder)[1]
    assert [table.caption in one for table in expected] == [True] * len(expected)


def test_the_command_looks_at_recorded_matrices(tmp_path, digits, monkeypatch, capsys):
    from kplib.experiments.configuration import default_configuration
    from kplib.experiments.training import train

    configuration = default_configuration("usps-fastrnn", "kp").with_length(1)
    train(configuration, digits, folder=tmp_path, progress=False, keep_weights=True)
    status, out, _ = main(monkeypatch, capsys, "usps-fastrnn", "--folder", tmp_path)
    assert status == 0
    assert "What the papers claim of trained matrices, on 1 networks" in out
    assert "USPS-FastRNN: test accuracy, 0.2% of the papers' training" in out


@pytest.mark.parametrize(
    ("arguments", "words"),
    [(("kws-lst",), "there is no benchmark 'kws-lst'; there are mnist-lstm"),
     (("kws-lstm",), "has no record of kws-lstm"), ((), "has no record")],
)  # fmt: skip
def test_the_command_refuses_what_is_not_there(arguments, words, tmp_path, monkeypatch, capsys):
    status, out, err = main(monkeypatch, capsys, *arguments, "--folder", tmp_path)
    assert (status, out) == (2, "")
    assert words in err
    assert len(err.splitlines()) == 1


def test_the_command_names_a_torn_record(tmp_path, monkeypatch, capsys):
    stored = write_run(tmp_path, "mnist-lstm", "kp")
    stored.path.write_text("{")
    status, _, err = main(monkeypatch, capsys, "--folder", tmp_path)
    assert status == 2
    assert str(stored.path) in err
