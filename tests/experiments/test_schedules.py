"""Learning rates at every printed point, and the scaling of schedules."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kplib.experiments import papers
from kplib.experiments.schedules import LRD1, Constant, Cosine, Piecewise, of_papers

TIMES = st.floats(0, 1e5)
SCHEDULES = [
    Constant(),
    Piecewise(milestones=(7, 11, 1000), factors=(1, 0.3, 0.5, 1e-3)),
    LRD1(rate=0.09, decay_steps=90_000),
    Cosine(length=5000),
]


@pytest.mark.parametrize("row", papers.results(), ids=lambda row: f"{row.source} {row.technique}")
def test_the_printed_rates_at_the_printed_times(row):
    training, decay = row.training, row.training.decay
    schedule = of_papers(training)
    rates = [training.learning_rate * schedule.factor(t) for t in range(training.length + 1)]
    assert rates[0] == training.learning_rate
    if decay.kind == "rates":
        assert len(set(rates)) == len(set(decay.rates))
        start = 0
        for k, length in enumerate(decay.lengths):
            expected = decay.rates[min(k, len(decay.rates) - 1)]
            for time in (start, start + length - 1):
                assert rates[time] == pytest.approx(expected, rel=1e-9)
            start += length
        assert rates[-1] == pytest.approx(decay.rates[-1], rel=1e-9)
    elif decay.kind == "LRD1":
        # of the initial rate: the ratio of neighbours is the same everywhere
        assert rates[-1] == pytest.approx(training.learning_rate * decay.rate)
        assert rates[1] / rates[0] == pytest.approx(rates[-1] / rates[-2])
    else:
        every = decay.every or (decay.every_fraction or 0) * training.length
        ends = list(decay.at) or [int(k * every) for k in range(1, 10)]
        for k, end in enumerate(end for end in ends if end < training.length):
            assert rates[end - 1] == pytest.approx(training.learning_rate * decay.by**-k)
            assert rates[end] == pytest.approx(training.learning_rate * decay.by ** -(k + 1))


def test_decay_steps_are_a_choice():
    training = papers.result("kws-lstm", "kp").training
    quick = of_papers(training, decay_steps=10_000)
    (steps, *_), (end, *_) = (
        papers.fact("LRD1", name).value for name in ("decay_steps", "final rate")
    )
    assert steps == 10_000
    rate = training.learning_rate * quick.factor(training.length)
    assert rate == pytest.approx(end, rel=0.1)


@pytest.mark.parametrize("schedule", SCHEDULES, ids=lambda schedule: schedule.kind)
@given(time=TIMES, by=st.sampled_from([0.25, 0.5, 2.0]))
def test_scaled_is_the_same_course_in_another_time(schedule, time, by):
    # powers of two: no rounding puts a time on the other side of a milestone
    assert schedule.scaled(by).factor(time * by) == pytest.approx(schedule.factor(time), abs=1e-12)
    assert 0 <= schedule.factor(time) <= 1


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: Piecewise(milestones=(3,), factors=(1,)), "1 milestones need one factor more"),
        (lambda: Piecewise(milestones=(3, 3), factors=(1, 1, 1)), "positive and increase"),
        (lambda: Piecewise(milestones=(0,), factors=(1, 1)), "positive and increase"),
        (lambda: Piecewise(milestones=(3,), factors=(1, 0)), "factors must be positive"),
        (lambda: LRD1(rate=1.5, decay_steps=3), "found 1.5"),
        (lambda: LRD1(rate=0.5, decay_steps=0), "decay_steps must be positive"),
        (lambda: LRD1(rate=math.nan, decay_steps=1), "finite number, found nan"),
        (lambda: Cosine(length=-1), "length must be positive"),
        (lambda: Cosine(length="100"), "Cosine.length must be a finite number, found '100'"),
    ],
)
def test_what_is_no_schedule(make, words):
    with pytest.raises(ValueError, match=words):
        make()
