"""The figures of chapter 7: they draw what they are given, and refuse what makes no sense."""

import numpy as np
import pytest

from kplib import plots


def line(ax, number=0):
    return np.array(ax.lines[number].get_data())


def test_shares_are_drawn_in_the_order_of_the_numbers_stored():
    shares = {"kp": {0.5: 0.7, 0.1: 0.2}, "lmf": {0.2: 0.4}}
    picture = plots.caught_against_numbers(shares, {1.0: 0.9, 0.5: 0.3})
    top, bottom = picture.figure.axes
    assert np.array_equal(line(top), [[0.1, 0.5], [0.2, 0.7]])
    assert np.array_equal(line(top, 1), [[0.2], [0.4]])
    assert np.array_equal(line(bottom), [[0.5, 1.0], [0.3, 0.9]])
    assert "lmf: 40% caught for 0.20" in picture.description


@pytest.mark.parametrize(
    ("shares", "accuracies", "message"),
    [
        ({}, {1: 0.5}, "no shares"),
        ({"kp": {1: 0.5}}, {}, "no shares, or no accuracies"),
        ({"kp": {1: 1.5}}, {1: 0.5}, "outside 0 to 1"),
        ({"kp": {1: 0.5}}, {1: -0.5}, "outside 0 to 1"),
        ({"kp": {1: np.nan}}, {1: 0.5}, "shares|kp"),
        ({"krone": {1: 0.5}}, {1: 0.5}, "krone"),
    ],
)
def test_shares_that_make_no_sense_are_refused(shares, accuracies, message):
    with pytest.raises(ValueError, match=message):
        plots.caught_against_numbers(shares, accuracies)


def test_a_search_is_drawn_try_by_try():
    trace = [0.1, 0.1, 0.25, 0.3]
    picture = plots.search_progress({"kp": trace, "dense": [0.2, 0.2]})
    assert np.array_equal(line(picture.figure.axes[0]), [range(4), trace])
    assert picture.description.endswith("dense: from 20.0% to 20.0% in 1 tries.")


@pytest.mark.parametrize("traces", [{}, {"kp": []}, {"kp": [0.5, 1.2]}, {"kp": [[0.5]]}])
def test_searches_that_make_no_sense_are_refused(traces):
    with pytest.raises(ValueError, match=r"no searches|numbers|outside"):
        plots.search_progress(traces)


def test_late_starts_begin_late_and_are_averaged():
    runs = {"dense": (0, [[0.1, 0.5]]), "kp": (1, [[0.2, 0.4, 0.6], [0.4, 0.6, 1.0]])}
    (ax,) = plots.late_starts(runs).figure.axes
    kp = [one.get_ydata() for one in ax.lines if one.get_xdata()[0] == 1]
    assert np.allclose(kp, [*runs["kp"][1], np.mean(runs["kp"][1], axis=0)])


@pytest.mark.parametrize(
    ("runs", "message"),
    [
        ({}, "no trainings"),
        ({"kp": (0, [])}, r"\[\] values"),
        ({"kp": (0, [[0.1, 0.2], [0.3]])}, r"\[2, 1\] values"),
        ({"kp": (0, [[2.0]])}, "outside 0 to 1"),
    ],
)
def test_trainings_that_make_no_sense_are_refused(runs, message):
    with pytest.raises(ValueError, match=message):
        plots.late_starts(runs)
