"""Missing values, windows and scaling: against the definition, sample by sample."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal

from kplib.data.signals import Standardization, repair, windows

checked = settings(deadline=None, max_examples=100)
seeds = st.integers(0, 2**32 - 1)


def with_gaps(seed, samples, channels, share):
    rng = np.random.default_rng(seed)
    x = rng.integers(-2000, 2000, (samples, channels)).astype(np.float32)
    x[rng.random(x.shape) < share] = np.nan
    return x


def line_by_hand(column, i):
    """The value of the straight line through the neighbours of sample i that have a value."""
    left = max(j for j in range(i) if not np.isnan(column[j]))
    right = min(j for j in range(i, len(column)) if not np.isnan(column[j]))
    return column[left] + (column[right] - column[left]) * (i - left) / (right - left)


@given(seeds, st.integers(1, 40), st.integers(1, 5), st.sampled_from([0, 0.1, 0.5, 0.9]))
@checked
def test_interpolation_is_the_line_between_the_neighbours(seed, samples, channels, share):
    x = with_gaps(seed, samples, channels, share)
    repaired = repair(x)
    known = ~np.isnan(x)
    present = [c for c in range(channels) if known[:, c].any()]
    first = [int(np.flatnonzero(known[:, c])[0]) for c in present]
    last = [int(np.flatnonzero(known[:, c])[-1]) for c in present]
    expected_kept = [
        bool(present) and max(first) <= i <= min(last, default=-1) for i in range(samples)
    ]
    assert repaired.kept.tolist() == expected_kept
    rows = np.flatnonzero(expected_kept)
    assert repaired.x.shape == (len(rows), channels)
    assert repaired.x.dtype == np.float32
    filled = 0
    for row, i in enumerate(rows):
        for c in range(channels):
            if c not in present:
                assert repaired.x[row, c] == 0
            elif known[i, c]:
                assert repaired.x[row, c] == x[i, c]
            else:
                filled += 1
                assert_allclose(repaired.x[row, c], line_by_hand(x[:, c], i), rtol=1e-5, atol=1e-3)
    assert repaired.interpolated == filled
    if len(rows):
        assert set(repaired.zeroed) == set(range(channels)) - set(present)


@given(seeds, st.integers(1, 40), st.integers(1, 5), st.sampled_from([0, 0.1, 0.5]))
@checked
def test_dropping_keeps_the_complete_samples(seed, samples, channels, share):
    x = with_gaps(seed, samples, channels, share)
    repaired = repair(x, "drop")
    complete = [not any(np.isnan(row)) for row in x]
    assert repaired.kept.tolist() == complete
    assert_array_equal(repaired.x, x[complete])
    assert (repaired.interpolated, repaired.longest_gap, repaired.zeroed) == (0, 0, ())


def test_the_longest_gap_is_counted_within_a_channel_and_between_its_values():
    nan = np.nan
    x = np.array(
        [[nan, 1, nan], [1, 1, nan], [nan, 1, nan], [nan, nan, nan], [4, nan, nan], [5, 6, nan]],
        dtype=np.float32,
    )
    repaired = repair(x)
    assert repaired.longest_gap == 2
    assert repaired.interpolated == 4
    assert repaired.zeroed == (2,)
    assert repaired.kept.tolist() == [False, True, True, True, True, True]
    assert_allclose(repaired.x[:, 0], [1, 2, 3, 4, 5])


@pytest.mark.parametrize("missing", ["interpolate", "drop"])
def test_a_recording_without_a_value_keeps_no_sample(missing):
    repaired = repair(np.full((7, 3), np.nan, np.float32), missing)
    assert repaired.x.shape == (0, 3)
    assert not repaired.kept.any()
    assert repaired.zeroed == ()


def test_the_input_is_left_as_it_was():
    x = with_gaps(1, 30, 4, 0.3)
    before = x.copy()
    repair(x)
    assert_array_equal(x, before)


@given(
    seeds,
    st.integers(0, 60),
    st.integers(1, 13),
    st.integers(1, 13),
    st.sampled_from(["majority", "last"]),
)
@checked
def test_windows_are_the_slices_and_their_labels(seed, samples, steps, hop, label):
    rng = np.random.default_rng(seed)
    x = rng.standard_normal((samples, 3)).astype(np.float32)
    y = rng.integers(0, 4, samples)
    cut, labels = windows(x, y, steps, hop, label)
    starts = range(0, samples - steps + 1, hop)
    assert cut.shape == (len(starts), steps, 3)
    assert labels.shape == (len(starts),)
    assert cut.dtype == np.float32
    assert labels.dtype == np.int64
    for start, window, found in zip(starts, cut, labels, strict=True):
        assert_array_equal(window, x[start : start + steps])
        inside = y[start : start + steps].tolist()
        if label == "last":
            assert found == inside[-1]
        else:
            assert found == min(set(inside), key=lambda v: (-inside.count(v), v))


def test_windows_can_be_written_to():
    cut, _ = windows(np.zeros((6, 1), np.float32), np.zeros(6, int), 4, 1)
    cut[0, 1] = 1
    assert cut.sum() == 1


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"steps": 0, "hop": 1}, "steps must be a positive integer, found 0"),
        ({"steps": 3, "hop": -1}, "hop must be a positive integer, found -1"),
        ({"steps": 3, "hop": 1, "label": "first"}, "label must be one of 'majority', 'last'"),
    ],
)
def test_windows_refuse_what_they_cannot_do(options, message):
    with pytest.raises(ValueError, match=message):
        windows(np.zeros((9, 2), np.float32), np.zeros(9, int), **options)


def test_windows_refuse_a_label_too_few():
    with pytest.raises(ValueError, match="x has 9 samples, but y has 8 labels"):
        windows(np.zeros((9, 2), np.float32), np.zeros(8, int), 3, 1)


def test_repair_refuses_an_unknown_rule():
    with pytest.raises(ValueError, match=r"missing must be one of .* found 'forget'"):
        repair(np.zeros((2, 2), np.float32), "forget")


@given(seeds, st.integers(2, 30), st.integers(1, 7))
@checked
def test_standardized_examples_have_mean_0_and_deviation_1(seed, n, steps):
    rng = np.random.default_rng(seed)
    x = (rng.standard_normal((n, steps, 3)) * [1, 50, 1e-3] + [0, 900, -3]).astype(np.float32)
    x[..., 1] += np.arange(n)[:, None] * 10  # never constant
    z = Standardization.of(x)(x)
    assert z.dtype == np.float32
    assert_allclose(z.reshape(-1, 3).mean(axis=0), 0, atol=2e-3)
    assert_allclose(z.reshape(-1, 3).std(axis=0), 1, atol=2e-3)


@pytest.mark.parametrize("value", [0.0, 0.1, 1e4, -12345.678])
def test_a_constant_channel_becomes_zero_not_nan(value):
    x = np.full((1000, 2), value, np.float32)
    x[:, 1] = np.arange(1000)
    z = Standardization.of(x)(x)
    assert_allclose(z[:, 0], 0, atol=1e-2)
    assert np.isfinite(z).all()


def test_standardization_uses_nothing_but_what_it_was_measured_on():
    train, test = np.float32([[0, 0], [2, 4]]), np.float32([[5, 10]])
    assert_array_equal(Standardization.of(train)(test), [[4, 4]])


def test_standardization_of_nothing_is_refused():
    with pytest.raises(ValueError, match=r"no examples .* shape \(0, 4\)"):
        Standardization.of(np.empty((0, 4), np.float32))
