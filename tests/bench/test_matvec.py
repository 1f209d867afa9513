import io
import json

import pytest
from rich.console import Console

from kplib import FactorShape, algorithm4
from kplib.bench import matvec, native, peers, report
from kplib.bench.command import chosen_cases
from kplib.bench.matvec import (
    GATES,
    RandomTable,
    Row,
    Table,
    cpp_table,
    gate_cases,
    python_table,
    random_shapes,
    random_tables,
    square_cases,
    targets,
)
from kplib.bench.timing import Speedup, Timing
from kplib.errors import MissingExtraError, ShapeError

FAST = [peer for peer in peers.PYTHON_PEERS if not peer.slow_import]
SHAPE = algorithm4(32, 48)


def timing(seconds):
    return Timing((seconds,) * 3, loops=1)


def made_up(case, setting, ours, peak_fraction=None):
    """A table whose speedup is `ours` and in which one peer is twice as fast as that."""
    name = peers.OURS if setting == "python" else native.OURS
    rows = (
        Row("baseline", timing(1e-6), Speedup(1.0, 1.0, 1.0)),
        Row("faster", timing(0.5e-6 / ours), Speedup(2 * ours, 1.0, 1.0)),
        Row(name, timing(1e-6 / ours), Speedup(ours, ours, ours), peak_fraction=peak_fraction),
        Row("(overhead)", timing(1e-9)),
    )
    return Table(case, SHAPE, setting, "baseline", name, rows, {"absent": "not installed"})


def printed(function, *arguments):
    file = io.StringIO()
    function(Console(file=file, width=110, highlight=False), *arguments)
    return file.getvalue()


def test_the_gates_are_the_papers_with_algorithm_4s_factors():
    shapes = {case.name: str(case.shape) for case in gate_cases(0, None)}
    assert shapes == {
        "KWS-LSTM": "(59, 8) x (2, 16)",
        "KWS-GRU": "(14, 4) x (11, 41)",
        "MNIST-LSTM": "(8, 4) x (5, 17)",
        "HAR1-BiLSTM": "(89, 15) x (2, 17)",
        "USPS-FastRNN": "(8, 4) x (4, 12)",
    }


def test_random_shapes_are_reproducible_and_all_have_something_to_gain():
    shapes = random_shapes(300, seed=1)
    assert shapes == random_shapes(300, seed=1)
    assert shapes != random_shapes(300, seed=2)
    for shape in shapes:
        assert 16 <= shape.m <= 512
        assert 16 <= shape.n <= 512
        assert shape.m * shape.n > 2 * shape.macs
    # Log-uniform: as many sizes below the geometric mean, 90, as above it; primes among them.
    assert 0.4 < sum(shape.m < 90 for shape in shapes) / 300 < 0.6
    assert any(shape.m in (37, 53, 97, 113, 211) for shape in random_shapes(2000, seed=1))


def test_sizes_that_algorithm_4_cannot_factor_are_named():
    shapes = [FactorShape(1, 50, 37, 1), FactorShape(8, 4, 5, 17), FactorShape(5, 4, 8, 17)]
    chosen, left_out = matvec._algorithm4_of(shapes)
    assert chosen == [algorithm4(40, 68)]  # once, although two shapes have this size
    assert left_out == {"37 x 50": "Algorithm 4 is undefined"}


def test_a_python_table_times_every_peer_and_states_the_overhead():
    table = python_table(chosen_cases("32x48", 0, None)[0], FAST, rounds=3)
    assert {row.peer for row in table.rows} | set(table.left_out) == {
        *(peer.name for peer in FAST), matvec.LOOP, matvec.EMPTY_CALL,
    }  # fmt: skip
    assert table.row(peers.BASELINE).speedup == Speedup(1.0, 1.0, 1.0)
    ours = table.row(peers.OURS)
    assert len(ours.timing.seconds) == 3
    assert ours.macs == SHAPE.macs
    assert 0 <= ours.relative_error < 1e-5
    assert table.row(matvec.LOOP).speedup is None


def test_the_cpp_baseline_is_the_faster_storage_order_of_sgemv():
    chosen = [peer for peer in native.NATIVE_PEERS if not peer.slow_import]
    table = cpp_table(chosen_cases("8x4,4x12", 0, None)[0], chosen, rounds=3)
    medians = [table.row(name).timing.median for name in native.SGEMVS]
    assert table.baseline == native.SGEMVS[medians.index(min(medians))]
    assert table.row(native.OURS).peak_fraction > 0
    assert table.row(matvec.PEAK).speedup is None


def test_without_a_compiler_every_cpp_peer_is_named(monkeypatch):
    def no_compiler():
        raise peers.Unavailable("no C++ compiler")

    monkeypatch.setattr(native, "fma_peak", no_compiler)
    table = cpp_table(gate_cases(0, None)[0], native.NATIVE_PEERS, rounds=1)
    assert table.rows == ()
    assert table.left_out == {peer.name: "no C++ compiler" for peer in native.NATIVE_PEERS}
    assert [target.met for target in targets([table], [])] == [False]


def test_without_threadpoolctl_nothing_is_timed(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "threadpoolctl", None)
    with pytest.raises(MissingExtraError, match="bench"):
        matvec.time_in_turns({}, rounds=1)


def test_random_tables_time_what_was_drawn():
    messages = []
    drawn, fourth = random_tables(3, 0, None, 1, messages.append)
    assert list(drawn.shapes) == random_shapes(3, 0)
    assert drawn.speedups.shape == (3,)
    assert (drawn.speedups > 0).all()
    assert len(fourth.shapes) + len(fourth.left_out) == len({(s.m, s.n) for s in drawn.shapes})
    assert messages


@pytest.mark.parametrize("gate", GATES, ids=lambda gate: gate.name)
def test_a_target_is_met_at_its_value_and_missed_just_below(gate):
    for setting, wanted in (("python", gate.python), ("cpp", gate.cpp)):
        (met,) = targets([made_up(gate.name, setting, wanted)], [])
        (missed,) = targets([made_up(gate.name, setting, 0.99 * wanted)], [])
        assert met.met
        assert met.measured == met.wanted == wanted
        assert not missed.met


def test_squares_have_to_come_near_the_peak_in_the_cpp_loop():
    names = [case.name for case in square_cases(0, None)]
    assert names == ["square 256", "square 1024", "square 4096"]
    (met,) = targets([made_up("square 256", "cpp", 9.0, peak_fraction=0.86)], [])
    (missed,) = targets([made_up("square 256", "cpp", 9.0, peak_fraction=0.84)], [])
    assert (met.met, missed.met) == (True, False)
    assert targets([made_up("square 256", "python", 9.0)], []) == []


def drawn_with(*gains, left_out=()):
    shapes = tuple(FactorShape(2, 3, 5, 4 + i) for i in range(len(gains)))
    baselines = tuple(timing(gain * 1e-6) for gain in gains)
    ours = (timing(1e-6),) * len(gains)
    return RandomTable("random", shapes, baselines, ours, dict.fromkeys(left_out, "failed"))


@pytest.mark.parametrize(
    ("table", "median_met", "slowest_met"),
    [
        (drawn_with(8.0, 9.0, 1.0), True, True),
        (drawn_with(8.0, 9.0, 0.9), True, False),
        (drawn_with(7.9, 9.0, 1.0), False, True),
        # A shape that cannot be compiled must not improve the figure.
        (drawn_with(8.0, 9.0, left_out=["(1, 2) x (3, 4)"]), False, False),
        (drawn_with(), False, False),
    ],
    ids=["met", "one loses", "median low", "one failed", "none"],
)
def test_random_targets(table, median_met, slowest_met):
    assert [target.met for target in targets([], [table])] == [median_met, slowest_met]


def test_losses_are_listed_the_worst_first():
    losses = drawn_with(0.9, 8.0, 0.5).below_one
    assert [(shape.n, round(gain, 3)) for shape, gain in losses] == [(18, 0.5), (12, 0.9)]


def test_a_printed_table_keeps_losses_and_names_who_is_missing():
    text = printed(report.print_table, made_up("KWS-LSTM", "python", 0.8))
    assert "faster than kplib compile_kron, bound: faster, 2.00 times" in text
    assert "slower than baseline: kplib compile_kron, bound, 0.80 times" in text
    assert "not timed: absent: not installed" in text
    assert "(overhead)" in text


def test_printed_random_shapes_list_every_loss():
    text = printed(report.print_random, drawn_with(0.9, 8.0, 0.5))
    assert "median 0.90" in text
    assert "slowest 0.50, below 1: 2" in text
    assert text.count("slower than np.dot") == 2
    assert "slower" not in printed(report.print_random, drawn_with())


def test_printed_targets_say_what_was_missed():
    missing = Table("KWS-GRU", SHAPE, "cpp", None, native.OURS, ())
    tables = [made_up("KWS-LSTM", "python", 13.0), made_up("USPS-FastRNN", "cpp", 4.0), missing]
    lines = printed(report.print_targets, targets(tables, [])).splitlines()
    assert lines[-3].split()[-2:] == ["13.00", "yes"]
    assert lines[-2].split()[-2:] == ["4.00", "NO"]
    assert lines[-1].split()[-3:] == ["not", "measured", "NO"]


def test_a_record_holds_every_number_as_json():
    tables = [made_up("KWS-LSTM", "python", 0.8), made_up("square 256", "cpp", 9.0, 0.9)]
    random = [drawn_with(0.9, 8.0)]
    found = targets(tables, random)
    record = report.record({"date": "today"}, {"rounds": 3}, tables, random, found)
    assert json.loads(json.dumps(record, allow_nan=False)) == record
    assert record["tables"][0]["faster_than_ours"] == ["baseline", "faster"]
    assert record["tables"][0]["left_out"] == {"absent": "not installed"}
    assert record["tables"][0]["rows"][2]["nanoseconds"]["median"] == 1250.0
    assert record["tables"][1]["rows"][2]["fraction_of_peak"] == 0.9
    assert [shape["speedup"] for shape in record["random"][0]["shapes"]] == [0.9, 8.0]
    assert [target["met"] for target in record["targets"]] == [False, True, False, False]


@pytest.mark.parametrize("text", ["", "everything", "40", "40x", "8x4,5", "8x4,5x17,2x2", "-4x8"])
def test_shapes_that_are_none_are_refused(text):
    with pytest.raises(ShapeError, match="--shapes is"):
        chosen_cases(text, 0, None)


@pytest.mark.parametrize("text", ["0x4,5x17", "37x50"])
def test_sizes_that_do_not_work_are_refused_with_their_numbers(text):
    with pytest.raises(ShapeError, match=r"0|37 x 50"):
        chosen_cases(text, 0, None)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(2.8e-9, "2.80 ns"), (9.999e-8, "100.0 ns"), (1e-6, "1.00 us"), (59.5e-6, "59.5 us"),
     (2.43e-3, "2.43 ms"), (1.5, "1.50 s"), (123.4, "123 s"), (0.0, "0 ns")],
)  # fmt: skip
def test_durations_have_three_digits(seconds, text):
    assert report.duration(seconds) == text
