"""Figures of runs: their curves, dots and bars are what was measured."""

import matplotlib
import numpy as np
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.text import Text

from kplib import plots

RUNS = {"dense": [0.5, 0.8, 0.97], "kp": [0.3, 0.9, 0.95], "small": [0.2, 0.7, 0.93]}
TIMES = {"dense": 7e-6, "kp": 2e-6, "small": 1e-6}


def test_curves_have_the_colour_and_marker_of_their_technique():
    ax = plots.training_curves(RUNS, labels={"kp": "ours"}).figure.axes[0]
    for line, key in zip(ax.lines, ("dense", "kronecker", "small"), strict=True):
        assert (line.get_color(), line.get_marker()) == (plots.PALETTE[key], plots.MARKERS[key])
    assert [t.get_text() for t in ax.get_legend().get_texts()] == ["dense", "ours", "small"]
    assert ax.lines[1].get_xydata().tolist() == [[1, 0.3], [2, 0.9], [3, 0.95]]


def test_comparison_draws_each_number_at_its_place():
    picture = plots.comparison({"dense": 400, "kp": 20, "small": 30}, RUNS, TIMES)
    sizes, dots, bars = picture.figure.axes
    assert [p.get_width() for p in sizes.patches] == [400, 20, 30]
    assert {p.get_x() for p in (*sizes.patches, *bars.patches)} == {0}
    np.testing.assert_allclose([p.get_width() for p in bars.patches], [7, 2, 1])
    assert [p.get_facecolor() for p in bars.patches] == [
        matplotlib.colors.to_rgba(plots.PALETTE[k]) for k in ("dense", "kronecker", "small")
    ]
    assert dots.lines[0].get_xdata().tolist() == RUNS["dense"]
    assert bars.get_title(loc="left") == "Time of one inference (µs)"
    assert "dense: 400 parameters, 75.7% on average of 3 runs, 7 µs" in picture.description


@pytest.mark.parametrize(
    ("runs", "title"),
    [
        ({"dense": [0.9], "kp": [0.8]}, "Accuracy"),
        ({"dense": [0.9, 0.8], "kp": [0.8, 0.9]}, "Accuracy of 2 runs and their mean"),
        ({"dense": [0.9] * 5, "kp": [0.8]}, "Accuracy of 1 to 5 runs and their mean"),
    ],
)
def test_comparison_says_what_is_a_mean(runs, title):
    picture = plots.comparison({"dense": 2, "kp": 1}, runs, {"dense": 2, "kp": 1})
    assert picture.figure.axes[1].get_title(loc="left") == title


def test_comparison_keeps_titles_off_the_axis_above():
    figure = plots.comparison({"dense": 18_602, "kp": 1310, "small": 1322}, RUNS, TIMES).figure
    FigureCanvasAgg(figure).draw()
    _, dots, bars = figure.axes
    lowest = min(label.get_window_extent().y0 for label in dots.get_xticklabels())
    (title,) = (t for t in bars.findobj(Text) if t.get_text() == bars.get_title(loc="left"))
    box = title.get_window_extent()
    assert lowest - box.y1 > 0.8 * box.height


@pytest.mark.parametrize(
    ("draw", "error", "words"),
    [
        (lambda: plots.training_curves({}), ValueError, "no runs"),
        (lambda: plots.training_curves({"kp": []}), ValueError, r"records\['kp'\].*shape \(0,\)"),
        (lambda: plots.training_curves({"kp": [97.0]}), ValueError, "97 to 97, outside 0 to 1"),
        (lambda: plots.training_curves({"kq": [0.5]}), ValueError, "'kq' is none of"),
        (lambda: plots.comparison({"kp": 1}, {"kp": [1]}, {}), ValueError, r"seconds \[\]"),
        (lambda: plots.comparison({"kp": 1}, {"kp": [1]}, {"kp": -1}), ValueError, "-1 to -1"),
    ],
)
def test_bad_input_is_refused_with_the_numbers(draw, error, words):
    with pytest.raises(error, match=words):
        draw()
