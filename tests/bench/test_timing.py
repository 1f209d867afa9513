"""The timing logic, with clocks and works whose every tick is known: nothing here measures time."""

import gc
import math

import pytest

from kplib.bench.timing import Timing, calibrate, interleave, speedup, statement


class Clock:
    """A clock that stands still until a work moves it."""

    def __init__(self):
        self.now = 0.0

    def __call__(self):
        return self.now

    def work(self, seconds):
        """Return a callable that takes `seconds` of this clock."""

        def advance():
            self.now += seconds

        return advance


class Work:
    """A sampler that takes `seconds` a call and writes down when it was asked for how many."""

    def __init__(self, name, log, seconds=1e-6):
        self.name, self.log, self.seconds = name, log, seconds

    def __call__(self, loops):
        self.log.append((self.name, loops))
        return loops * self.seconds


def test_statement_runs_that_often_and_returns_the_seconds_of_the_clock():
    clock, calls = Clock(), []
    step = clock.work(2e-6)
    sample = statement("calls.append(step())", {"calls": calls, "step": step}, timer=clock)
    assert sample(50) == pytest.approx(50 * 2e-6)
    assert len(calls) == 50


def test_statement_switches_the_garbage_collector_off_and_on_again():
    seen = []
    assert gc.isenabled()
    statement("seen.append(enabled())", {"seen": seen, "enabled": gc.isenabled})(3)
    assert seen == [False] * 3
    assert gc.isenabled()


def test_statement_binds_its_names_when_it_is_made():
    names = {"f": lambda: seen.append("first")}
    seen = []
    sample = statement("f()", names)
    names["f"] = lambda: seen.append("second")
    sample(1)
    assert seen == ["first"]


@pytest.mark.parametrize("seconds", [3e-9, 2e-7, 1e-4, 0.9e-3])
def test_calibrated_samples_are_long_enough_and_not_much_longer(seconds):
    loops = calibrate(lambda loops: loops * seconds, min_seconds=1e-3)
    assert 1e-3 <= loops * seconds <= max(1.2e-3, 2 * seconds)


def test_a_call_longer_than_a_sample_is_made_once():
    assert calibrate(lambda loops: loops * 5.0, min_seconds=1e-3) == 1


def test_calibration_survives_a_clock_too_coarse_to_see_one_call():
    coarse = 1e-2
    assert calibrate(lambda loops: math.floor(loops * 1e-6 / coarse) * coarse, 1e-2) >= 10_000


@pytest.mark.parametrize("min_seconds", [0, -1, math.nan])
def test_calibration_refuses_a_sample_of_no_length(min_seconds):
    with pytest.raises(ValueError, match="min_seconds must be positive"):
        calibrate(lambda loops: 1.0, min_seconds)


def test_rounds_are_interleaved_in_rotating_order_each_after_an_untimed_run():
    log = []
    works = {name: Work(name, log) for name in "abc"}
    interleave(works, rounds=4, min_seconds=1e-3)
    loops = calibrate(Work("a", []), 1e-3)
    rounds = log[-4 * 3 * 2 :]
    assert [name for name, _ in rounds[1::2]] == [*"abc", *"bca", *"cab", *"abc"]
    for (warm_up, few), (timed, many) in zip(rounds[::2], rounds[1::2], strict=True):
        assert (warm_up, few, many) == (timed, math.ceil(loops / 10), loops)


def test_seconds_are_per_call_and_in_the_order_of_the_rounds():
    answers = iter([2e-3, 0.0, 4e-3, 0.0, 6e-3])  # calibration, then twice (warm-up, sample)
    timing = interleave({"x": lambda loops: next(answers)}, rounds=2, min_seconds=1e-3)["x"]
    assert timing == Timing((4e-3, 6e-3), loops=1)


def test_interleave_keeps_the_order_of_its_works_and_takes_none():
    log = []
    assert list(interleave({n: Work(n, log) for n in "zay"}, rounds=2)) == ["z", "a", "y"]
    assert interleave({}, rounds=2) == {}


def test_interleave_refuses_no_rounds():
    with pytest.raises(ValueError, match="rounds must be at least 1, got 0"):
        interleave({}, rounds=0)


def test_median_and_percentiles():
    timing = Timing(tuple(float(k) for k in [11, *range(1, 11)]), loops=1)
    assert (timing.p10, timing.median, timing.p90) == (2.0, 6.0, 10.0)


def test_a_timing_without_rounds_is_refused():
    with pytest.raises(ValueError, match="at least one round"):
        Timing((), loops=1)


def test_speedup_compares_round_with_round():
    # Both slow down together in the second round, as they do when the clock speed drops.
    baseline, other = Timing((4.0, 40.0, 4.0), 1), Timing((2.0, 20.0, 2.0), 1)
    gain = speedup(baseline, other)
    assert (gain.median, gain.p10, gain.p90) == (2.0, 2.0, 2.0)
    assert speedup(other, baseline).median == 0.5


def test_speedup_refuses_timings_of_different_runs():
    with pytest.raises(ValueError, match="3 and 2 rounds"):
        speedup(Timing((1.0,) * 3, 1), Timing((1.0,) * 2, 1))
