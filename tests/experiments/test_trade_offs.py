"""Accuracy against size and speed: fronts and demands on points, groups from records."""

import importlib.util
import json
import random
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from kplib.bench.network_times import network_times
from kplib.experiments import papers
from kplib.experiments.front_table import front_table, standing
from kplib.experiments.points import Point, most_accurate, paper_points, pareto_front
from kplib.experiments.run_sets import difference, run_sets
from kplib.experiments.trade_offs import Group, trade_off, trade_offs

_SPEC = importlib.util.spec_from_file_location("synthetic", Path(__file__).parent / "synthetic.py")
synthetic = importlib.util.module_from_spec(_SPEC)
_SPEC.loader.exec_module(synthetic)
FIVE = [network.benchmark for network in papers.networks()]
START = Point(source="ours", technique="kp", accuracy=0, kilobytes=1)


def random_points(rng):
    return [
        replace(START, accuracy=rng.randint(80, 84), smaller=rng.choice([None, *range(1, 6)]))
        for _ in range(rng.randint(0, 10))
    ]


def beats(one, other):
    """By the definition."""
    at_least = one.accuracy >= other.accuracy and one.smaller >= other.smaller
    return at_least and (one.accuracy, one.smaller) != (other.accuracy, other.smaller)


def test_the_front_is_what_nothing_beats():
    rng, sizes = random.Random(1), set()
    for _ in range(300):
        points = random_points(rng)
        known = [point for point in points if point.smaller is not None]
        front = pareto_front(points)
        expected = [p for p in known if not any(beats(other, p) for other in known)]
        assert sorted(front, key=id) == sorted(expected, key=id) or sorted(
            (p.accuracy, p.smaller) for p in front
        ) == sorted((p.accuracy, p.smaller) for p in expected)
        gains = [point.smaller for point in front]
        assert gains == sorted(gains)
        sizes.add(len(front))
    assert {0, 1, 2, 3} <= sizes


def test_the_most_accurate_of_what_is_small_enough_is_on_the_front():
    rng, seen = random.Random(2), 0
    for _ in range(300):
        points, demand = random_points(rng), rng.uniform(0.5, 5.5)
        enough = [p for p in points if p.smaller is not None and p.smaller >= demand]
        best = most_accurate(points, demand)
        if not enough:
            assert best is None
            continue
        seen += 1
        assert best.smaller >= demand
        assert best.accuracy == max(p.accuracy for p in enough)
        assert best in pareto_front(points)
    assert seen > 100


@pytest.mark.parametrize("demand", [0, -1, float("nan")])
def test_a_demand_is_above_0(demand):
    with pytest.raises(ValueError, match="at_least must be above 0"):
        most_accurate(paper_points("kws-lstm"), demand)
    with pytest.raises(ValueError, match="found 'flops'"):
        START.gain("flops")


@pytest.mark.parametrize("name", FIVE)
def test_paper_points_are_relative_to_their_baseline(name):
    for best in (False, True):
        points = paper_points(name, best=best)
        base = points[0]
        assert (base.technique, base.smaller, base.speed_up, base.lost) == ("baseline", 1, 1, 0)
        for point in points:
            assert point.smaller * point.kilobytes == pytest.approx(base.kilobytes)
            assert point.lost == pytest.approx(base.accuracy - point.accuracy)


# ---------------------------------------------------------------- from records


@pytest.fixture
def records(tmp_path):
    """Two trainings: four networks at maximum compression and one at 10x, and two alone."""
    chances = {"baseline": 0.95, "small": 0.6, "lmf": 0.9, "kp": 0.9}
    alike = {"length": 20_000, "schedule": "cosine"}
    for technique, chance in chances.items():
        for seed in range(3):
            synthetic.write_run(tmp_path, "kws-lstm", technique, chance, seed=seed, **alike)
    for seed in range(3):
        synthetic.write_run(tmp_path, "kws-lstm", "lmf", 0.93, seed=seed, compression=10, **alike)
        synthetic.write_run(tmp_path, "kws-lstm", "small", 0.65, seed=seed, compression=10, **alike)
    for technique in ("lmf", "kp"):
        synthetic.write_run(tmp_path, "kws-lstm", technique, 0.92, length=30_000, schedule="cosine")
    return tmp_path


TIMES = {("baseline", None, 1): 4.0, ("kp", None, 1): 1.0, ("lmf", 10, 1): 2.0}


def test_networks_that_were_trained_alike_are_a_group(records):
    one = trade_off("kws-lstm", records, TIMES)
    first, second = one.ours
    assert (first.name, second.name) == ("20,000 steps", "30,000 steps")
    found = [(p.technique, p.compression) for p in first.points]
    assert found == [("baseline", None), ("small", None), ("lmf", None), ("kp", None),
                     ("small", 10), ("lmf", 10)]  # fmt: skip
    assert (first.missing, second.missing) == (
        ("pruned", "hkp"), ("baseline", "small", "pruned", "hkp")
    )  # fmt: skip
    speeds = {(p.technique, p.compression): p.speed_up for p in first.points if p.speed_up}
    assert speeds == {("baseline", None): 1, ("kp", None): 4, ("lmf", 10): 2}
    assert {p.seeds for p in first.points} == {3}
    for point in first.points:
        assert point.lost_low <= point.lost <= point.lost_high
    # The baseline against itself: the same seeds, not two draws of them.
    assert (first.points[0].lost_low, first.points[0].lost_high) == (0, 0)
    assert all(point.lost is None for point in second.points)  # no baseline was trained so
    assert one.means.points == tuple(paper_points("kws-lstm"))


def test_a_baseline_that_others_only_start_at_is_no_group(records):
    before = trade_off("kws-lstm", records)
    synthetic.write_run(records, "kws-lstm", "baseline", length=10_000, schedule="cosine")
    assert trade_off("kws-lstm", records) == before
    synthetic.write_run(records, "kws-lstm", "small", length=10_000, schedule="cosine")
    assert [one.name for one in trade_off("kws-lstm", records).ours][-1] == "10,000 steps"


def test_undecided_are_those_whose_difference_has_0_in_its_interval(records):
    group = trade_off("kws-lstm", records).ours[0]
    sets = [one for one in run_sets(records, "kws-lstm") if one.configuration.length == 20_000]
    by_network = {(s.configuration.technique, s.configuration.compression): s for s in sets}
    there = [by_network[p.technique, p.compression] for p in group.points]
    for i in range(len(there)):
        for j in range(i + 1, len(there)):
            undecided = not difference(there[i], there[j]).excludes_zero
            assert ((i, j) in group.undecided) == undecided
    assert 0 < len(group.undecided) < 15
    best = group.best(10)
    assert {best.technique} <= {"kp", "lmf"}
    ties = group.ties(best, 10)
    assert {p.technique for p in ties} == {"kp", "lmf"} - {best.technique}
    assert all(p.smaller >= 10 for p in ties)
    with pytest.raises(ValueError, match="'20,000 steps' has no"):
        group.ties(START)


def test_a_benchmark_without_records_has_the_papers_points_alone(records):
    every = trade_offs(records)
    assert [one.benchmark for one in every] == FIVE
    assert [len(one.ours) for one in every] == [0, 0, 2, 0, 0]
    synthetic.write_run(records, "dsads-bilstm", "kp")
    last = trade_offs(records)[-1]
    assert (last.benchmark, last.means, last.bests) == ("dsads-bilstm", None, None)
    assert last.ours[0].missing == ("baseline", "small", "pruned", "lmf")
    with pytest.raises(ValueError, match="no benchmark 'kws'"):
        trade_off("kws")


# ---------------------------------------------------------------- times


def write_times(path, **changes):
    row = {"nanoseconds": {"median": 2e6}, "peer": "kplib.compile"}
    networks = ["baseline", "hkp 10x", "kp, 2 layers", "kp"]
    tables = [
        {"benchmark": "kws-gru", "rows": [row | {"network": one} for one in networks]},
    ]
    record = {"benchmark": "network", "format": 1, "machine": {"cpu": "a CPU"}, "tables": tables}
    path.write_text(json.dumps(record | changes), encoding="utf-8")
    return path


def test_times_are_read_by_network(tmp_path):
    times = network_times(write_times(tmp_path / "x.json"))
    assert times.cpu == "a CPU"
    assert times.milliseconds == {
        "kws-gru": {
            ("baseline", None, 1): 2, ("hkp", 10, 1): 2, ("kp", None, 2): 2, ("kp", None, 1): 2
        }
    }  # fmt: skip


def test_what_is_no_record_of_times_is_refused(tmp_path):
    path = tmp_path / "x.json"
    write_times(path)
    with pytest.raises(ValueError, match=r"x.json has no time of 'torch'; its peers: kplib"):
        network_times(path, "torch")
    for changes in ({"format": 2}, {"benchmark": "matvec"}):
        with pytest.raises(ValueError, match="no record of `kplib bench network`"):
            network_times(write_times(path, **changes))
    bad = [{"benchmark": "kws-gru", "rows": [
        {"network": "kp; 2", "peer": "kplib.compile", "nanoseconds": {"median": 1}}]}]  # fmt: skip
    with pytest.raises(ValueError, match="no network is 'kp; 2' of 'kws-gru'"):
        network_times(write_times(path, tables=bad))
    path.write_text("[1", encoding="utf-8")
    with pytest.raises(ValueError, match=r"x.json is no JSON"):
        network_times(path)
    path.write_text("[1]", encoding="utf-8")
    with pytest.raises(ValueError, match="no record of"):
        network_times(path)


@pytest.mark.repository
def test_times_are_of_the_recorded_benchmark():
    (path,) = Path("book/results/bench").glob("network-*.json")
    times = network_times(path).milliseconds
    assert set(times) == set(FIVE)
    assert all(np.isfinite(ms) and ms > 0 for each in times.values() for ms in each.values())


# ---------------------------------------------------------------- who stands where


def test_beaten_by_is_the_definition():
    rng = random.Random(5)
    for _ in range(100):
        points = tuple(p for p in random_points(rng) if p.smaller is not None)
        group = Group(name="", points=points)
        for one in points:
            assert group.beaten_by(one) == [p for p in points if beats(p, one)]
        unbeaten = sorted((p.smaller, -p.accuracy) for p in points if not group.beaten_by(p))
        assert unbeaten == [(p.smaller, -p.accuracy) for p in group.front()]
    with pytest.raises(ValueError, match="has no speed-up"):
        group.beaten_by(START, "speed-up")


def our(technique, accuracy, smaller):
    return replace(START, technique=technique, accuracy=accuracy, smaller=smaller)


@pytest.mark.parametrize(
    ("points", "undecided", "words"),
    [
        ([our("kp", 90, 4), our("lmf", 89, 3)], [], "Kronecker beats low rank, and nothing beats"),
        ([our("kp", 90, 4), our("lmf", 91, 3)], [], "because no other is as small; it beats none."),
        ([our("kp", 90, 4), our("lmf", 89, 5)], [], "Kronecker is on the front; it beats none."),
        (
            [our("small", 91, 5), our("lmf", 91, 4), our("kp", 90, 4)],
            [(1, 2)],
            "beaten by small and low rank. Its accuracy cannot be told apart from that of low rank",
        ),
        (
            [our("kp", 90, 4), replace(our("kp", 91, 3), layers=2), our("lmf", 80, 1)],
            [],
            "Kronecker beats low rank, and nothing beats it. Kronecker, 2 layers beats low rank",
        ),
        ([our("lmf", 91, 4)], [], "the Kronecker network is not trained yet"),
        ([our("kp", 91, None)], [], "not timed"),
    ],
)
def test_where_kronecker_stands(points, undecided, words):
    group = Group(name="", points=tuple(points), undecided=frozenset(undecided))
    assert words in standing(group)


def test_the_front_table_has_a_row_a_training(records):
    table = front_table(trade_offs(records))
    assert [row.name for row in table.rows].count("KWS-LSTM") == 2
    assert len(table.rows) == 6
    mnist = table.rows[0]
    assert mnist.cells == (("baseline", "Kronecker"), ("–",))
    assert "not trained yet" in mnist.below
    fast = front_table(trade_offs(), "speed-up").rows[2]
    assert "small, 20×*" in fast.cells[0]
    assert (
        "<caption>Accuracy against speed"
        in front_table(trade_offs(records), "speed-up")._repr_html_()
    )
