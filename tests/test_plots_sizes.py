"""Figures of what a network stores: the numbers they tell are the numbers that they draw."""

import numpy as np
import pytest
from matplotlib.colors import to_rgba
from matplotlib.patches import Rectangle

from kplib import plots
from kplib.errors import ShapeError

PARTS = {
    "one": {"recurrent": 40, "input": 30, "biases": 10, "head": 20},
    "another": {"recurrent": 900, "input": 0, "biases": 50, "head": 50},
}
SIZES = {
    "dense": ("baseline", 249_264, 62_316),
    "pruned, stored": ("pruned", 18_000, 7_000),
    "Kronecker": ("kp", 15_664, 3_916),
}
KILOBYTES = {"4 units": 1.0, "8 units": 2.5, "32 units": 21.8}
RUNS = {"4 units": [0.78, 0.72, 0.81], "8 units": [0.9, 0.92], "32 units": [0.97]}


def versions(**changes):
    options = {"limit": 32 * 1024, "limit_name": "Flash of an Arduino Uno", **changes}
    return plots.storage_sizes(SIZES, **options)


@pytest.mark.parametrize("sizes", [(3, 2, 2), (1, 1, 1), (5, 1, 7), (2, 5, 4), (4, 3, 1)])
def test_lstm_memory_draws_one_box_a_number(sizes):
    inputs, hidden, classes = sizes
    shown = plots.lstm_memory(*sizes)
    edges = [
        box.get_edgecolor()
        for box in shown.figure.findobj(Rectangle)
        if not box.get_fill() and box.get_linewidth() == 0.8
    ]
    drawn = {key: edges.count(to_rgba(plots.PALETTE[key])) for key in ("dense", "accent")}
    flash = 4 * hidden * (inputs + hidden + 1) + classes * (hidden + 1)
    ram = inputs + 6 * hidden
    assert drawn == {"dense": flash + 1, "accent": ram + 1}  # and one of each in the legend
    assert f"Flash holds {flash} numbers: " in shown.description
    assert f"RAM holds {ram} numbers: " in shown.description


def test_parameter_shares_fill_their_bars():
    shown = plots.parameter_shares(PARTS)
    bars = [box for box in shown.figure.axes[0].patches if box.get_height() == 0.66]
    widths = np.array([bar.get_width() for bar in bars]).reshape(4, 2)
    np.testing.assert_allclose(widths[:, 0], [0.4, 0.3, 0.1, 0.2])
    np.testing.assert_allclose(widths[:, 1], [0.9, 0, 0.05, 0.05])
    starts = np.array([bar.get_x() for bar in bars]).reshape(4, 2)
    np.testing.assert_allclose(starts, np.cumsum(widths, axis=0) - widths)
    assert "another, 1,000 parameters: recurrent 90.0%, input 0.0%" in shown.description


def test_storage_sizes_draws_each_size_and_the_limit():
    shown = versions(limit=16 * 1024)
    ax = shown.figure.axes[0]
    markers = {
        (line.get_marker(), tuple(np.round(line.get_xdata(), 6)))
        for line in ax.lines
        if line.get_marker() not in ("None", None, "")
    }
    for technique, *pair in SIZES.values():
        marker = plots.MARKERS[plots.technique(technique)]
        for size in pair:
            assert (marker, (round(size / 1024, 6),)) in markers
    assert [line.get_xdata() for line in ax.lines if line.get_linestyle() == "--"] == [[16, 16]]
    assert "Kronecker: 15.3 KB in float32, 3.8 KB in 8 bits" in shown.description


def test_accuracy_is_drawn_run_by_run():
    ax = plots.accuracy_against_size(KILOBYTES, RUNS).figure.axes[0]
    mean, *runs = ax.lines
    np.testing.assert_allclose(mean.get_ydata(), [0.77, 0.91, 0.97])
    assert [list(line.get_ydata()) for line in runs] == list(RUNS.values())
    assert [set(line.get_xdata()) for line in runs] == [{1.0}, {2.5}, {21.8}]


@pytest.mark.parametrize(
    ("draw", "error", "words"),
    [
        (lambda: plots.lstm_memory(0, 2, 2), ShapeError, "input_size must be a positive integer"),
        (lambda: plots.lstm_memory(20, 2, 2), ShapeError, "20 inputs, 2 hidden.*3.75 inches"),
        (lambda: plots.lstm_memory(1, 6, 2), ShapeError, "26 rows"),
        (lambda: plots.parameter_shares({}), ValueError, "no networks"),
        (
            lambda: plots.parameter_shares({"a": {"x": 1}, "b": {"y": 1}}),
            ValueError,
            r"'a' has \['x'\], 'b' has \['y'\]",
        ),
        (lambda: plots.parameter_shares({"a": {}}), ValueError, "1 to 4 parts"),
        (lambda: plots.parameter_shares({"a": {"x": 0}}), ValueError, "'a' has no parameters"),
        (lambda: plots.parameter_shares({"a": {"x": -1}}), ValueError, "-1 to -1"),
        (lambda: plots.storage_sizes({}, limit=1, limit_name="x"), ValueError, "no sizes"),
        (lambda: versions(limit=0), ValueError, "limit has 0 to 0, outside 1"),
        (
            lambda: plots.storage_sizes({"a": ("kq", 2, 1)}, limit=1, limit_name="x"),
            ValueError,
            "'kq' is none of",
        ),
        (lambda: plots.accuracy_against_size({"a": 1}, {}), ValueError, r"accuracies \[\]"),
        (lambda: plots.accuracy_against_size({"a": 0}, {"a": [1]}), ValueError, "'a' has 0 KB"),
        (lambda: plots.accuracy_against_size({"a": 1}, {"a": [97.0]}), ValueError, "97 to 97"),
    ],
)
def test_bad_input_is_refused_with_the_numbers(draw, error, words):
    with pytest.raises(error, match=words):
        draw()
