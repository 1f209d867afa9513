"""The figures of chapter 11: they draw what they are given, and refuse what makes no sense."""

import numpy as np
import pytest

from kplib import plots
from kplib.errors import ShapeError


def test_a_stage_is_drawn_with_time_to_the_right_and_its_first_value_below():
    values = np.array([[0.0, 1.0, 2.0], [3.0, 4.0, 5.0]])  # 2 frames of 3 values
    picture = plots.feature_chain(np.arange(9), ("Mel", "band", values), seconds=2)
    image = picture.figure.axes[1].images[0]
    opacity = image.get_array()[..., 3]
    assert opacity.shape == (3, 2)
    assert np.array_equal(np.argsort(opacity, axis=None), np.argsort(values.T[::-1], axis=None))
    assert list(image.get_extent()) == [0, 2, -0.5, 2.5]


@pytest.mark.parametrize(
    ("wave", "stages", "seconds", "message"),
    [
        ([[1, 2]], [("a", "b", [[1]])], 1, r"\(1, 2\)"),
        ([1], [("a", "b", [[1]])], 1, "two samples"),
        ([1, 2], [], 1, "0 stages"),
        ([1, np.nan], [("a", "b", [[1]])], 1, "wave"),
        ([1, 2], [("a", "b", [[np.inf]])], 1, "a"),
        ([1, 2], [("a", "b", [1, 2])], 1, "a"),
        ([1, 2], [("a", "b", [[1]])], 0, "seconds"),
    ],
)
def test_sound_that_makes_no_sense_is_refused(wave, stages, seconds, message):
    with pytest.raises(ValueError, match=message):
        plots.feature_chain(wave, *stages, seconds=seconds)


def test_a_wave_without_stages_is_a_matter_of_shape():
    with pytest.raises(ShapeError):
        plots.feature_chain([1, 2], seconds=1)


def test_every_part_has_its_mark():
    picture = plots.fold_accuracies({"dense": [0.9, 1.0], "kp": [0.5]})
    (ax,) = picture.figure.axes
    marks = [one.get_xdata().tolist() for one in ax.lines]
    assert marks == [[0.9, 1.0], [0.95, 0.95], [0.5], [0.5, 0.5]]


@pytest.mark.parametrize("folds", [{}, {"kp": []}, {"kp": [1.1]}, {"kp": [-0.1]}, {"other": [1]}])
def test_folds_that_make_no_sense_are_refused(folds):
    with pytest.raises(ValueError, match=r"no folds|numbers|outside|other"):
        plots.fold_accuracies(folds)


def test_every_result_has_a_mark_of_its_own():
    ratios = [1.0, 1.01, 1.02, 1.5, 1.0]
    (ax,) = plots.best_of_several(ratios, {2: 0.7}).figure.axes
    x, height = ax.lines[0].get_data()
    assert x.tolist() == sorted(ratios)
    assert len(set(zip(x, height, strict=True))) == len(ratios)


@pytest.mark.parametrize(
    ("ratios", "expected"), [([], {2: 0.7}), ([1.0], {}), ([np.nan], {2: 1}), ([1], {2: np.inf})]
)
def test_ratios_that_make_no_sense_are_refused(ratios, expected):
    with pytest.raises(ValueError, match=r"ratios|runs|expected"):
        plots.best_of_several(ratios, expected)


def test_rates_are_drawn_on_a_logarithmic_axis():
    points = [(0, 0.1), (5, 0.01), (10, 1e-9)]
    (ax,) = plots.learning_rates({"falls": points}).figure.axes
    assert ax.get_yscale() == "log"
    assert np.array_equal(ax.lines[0].get_data(), np.transpose(points))


@pytest.mark.parametrize(
    "rates",
    [{}, {"zero": [(0, 0.0)]}, {"none": []}, {str(k): [(0, 1)] for k in range(5)}],
)
def test_rates_that_make_no_sense_are_refused(rates):
    with pytest.raises(ValueError, match=r"schedules|positive|numbers"):
        plots.learning_rates(rates)
