"""Bootstrap intervals over test items that belong together, such as the clips of a speaker."""

import numpy as np
import pytest

from kplib.experiments.bootstrap import (
    _residual_variance,
    _residual_variance_of_mean,
    accuracy_interval,
    difference_interval,
    paired_interval,
)


def width(interval):
    return interval.high - interval.low


@pytest.fixture
def rng():
    return np.random.default_rng(14)


def speakers_and_answers(rng, seeds=1, speakers=80, clips=11):
    """Answers whose chance of being right is the speaker's own."""
    speaker = np.repeat(np.arange(speakers), clips)
    chance = rng.beta(2, 1, speakers)[speaker]
    return speaker, rng.random((seeds, speaker.size)) < chance


def test_groups_of_one_item_change_nothing_but_the_draws(rng):
    answers = rng.random((3, 701)) < 0.8
    apart, grouped = accuracy_interval(answers), accuracy_interval(answers, groups=np.arange(701))
    assert grouped.value == apart.value
    np.testing.assert_allclose([grouped.low, grouped.high], [apart.low, apart.high], atol=0.2)
    by_groups = _residual_variance_of_mean(answers, np.arange(701))
    np.testing.assert_allclose(by_groups, _residual_variance(answers) / 701)


def test_width_is_that_of_the_design_effect(rng):
    speaker, answers = speakers_and_answers(rng)
    table = answers.reshape(80, 11)
    effect = table.mean(axis=1).var() / 80 / (table.var() / table.size)
    assert effect > 2
    ratio = width(accuracy_interval(answers, groups=speaker)) / width(accuracy_interval(answers))
    np.testing.assert_allclose(ratio, effect**0.5, rtol=0.06)


def test_order_and_names_of_groups_do_not_matter(rng):
    speaker, answers = speakers_and_answers(rng, seeds=2)
    names = np.array([f"{s:03d}_nohash" for s in speaker])
    order = rng.permutation(speaker.size)
    one = accuracy_interval(answers, groups=speaker)
    other = accuracy_interval(answers[:, order], groups=names[order])
    np.testing.assert_allclose([one.low, one.high], [other.low, other.high])


def test_what_is_hard_in_a_group_for_both_cancels_in_a_difference(rng):
    speaker, (one,) = speakers_and_answers(rng)
    rival = one & (rng.random(one.size) < 0.95)
    for interval in (difference_interval, paired_interval):
        gain = interval([one], [rival], groups=speaker)
        assert width(gain) < width(accuracy_interval([one], groups=speaker)) / 2
        assert gain.excludes_zero


def test_groups_of_unequal_sizes_keep_the_mean_over_items(rng):
    speaker = np.repeat([0, 1, 2, 3], [1, 30, 5, 64])
    answers = [rng.random(100) < 0.7]
    interval = accuracy_interval(answers, groups=speaker)
    assert interval.value == accuracy_interval(answers).value
    assert interval.low <= interval.value <= interval.high


@pytest.mark.parametrize(
    ("groups", "message"),
    [
        (np.arange(9), r"groups must be of shape \(10,\), found \(9,\)"),
        (np.zeros((10, 1)), r"groups must be of shape \(10,\), found \(10, 1\)"),
        (np.zeros(10), "two groups to draw from, found 1"),
    ],
)
def test_wrong_groups(groups, message):
    with pytest.raises(ValueError, match=message):
        accuracy_interval(np.ones((2, 10), bool), groups=groups)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"level": 0}, "level must be between 0 and 1, found 0"),
        ({"level": 95}, "found 95"),
        ({"level": -0.9}, "found -0.9"),
        ({"samples": 0}, "samples"),
        ({"samples": 2.5}, "samples"),
        ({"seed": -1}, "seed must not be negative, found -1"),
    ],
)
def test_an_interval_that_cannot_be_is_refused(options, words):
    right = np.ones((3, 8), bool)
    with pytest.raises(ValueError, match=words):
        accuracy_interval(right, **options)
    with pytest.raises(ValueError, match=words):
        difference_interval(right, ~right, **options)
