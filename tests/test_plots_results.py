"""Figures of the results: what they tell is what they draw, and that is what they were given."""

import numpy as np
import pytest
from matplotlib.colors import to_hex
from matplotlib.patches import Rectangle

from kplib import plots
from kplib.experiments.points import Point, paper_points

OURS = Point(
    source="ours", technique="kp", accuracy=90.5, kilobytes=15.3, low=89, high=92, speed_up=2.5
)
TIMES = np.arange(1, 51)
CURVES = {
    "kp": [(TIMES, 1 - 0.9 / TIMES), (TIMES, 1 - 0.8 / TIMES)],
    "lmf": [(TIMES, 1 - 0.85 / TIMES**0.5)],
}


def dots(ax, marker):
    """Return (x, y) and whether it is filled, of all single markers of a kind."""
    return [
        (float(line.get_xdata()[0]), float(line.get_ydata()[0]), line.get_mfc() != "none")
        for line in ax.lines
        if line.get_marker() == marker and len(line.get_xdata()) == 1
    ]


@pytest.mark.parametrize("against", ["size", "speed-up"])
def test_every_network_is_a_point(against):
    points = [*paper_points("kws-lstm"), OURS]
    shown = plots.accuracy_plane(points, against, title="KWS-LSTM")
    ax = shown.figure.axes[0]
    for technique in {point.technique for point in points}:
        expected = {
            (
                point.kilobytes if against == "size" else point.speed_up,
                point.accuracy,
                point.source == "ours",
            )
            for point in points
            if point.technique == technique
        }
        assert set(dots(ax, plots.MARKERS[plots.technique(technique)])) == expected
    place = "15.3 KB" if against == "size" else "2.50 times as fast"
    assert f"our Kronecker (KP): {place}, 90.50% (interval 89.00 to 92.00)" in shown.description
    assert shown.description.count("the papers'") == len(points) - 1
    x = OURS.kilobytes if against == "size" else OURS.speed_up
    bars = [list(line.get_ydata()) for line in ax.lines if list(line.get_xdata()) == [x, x]]
    assert [89, 92] in bars


def test_a_pair_is_joined_and_what_has_no_speed_is_left_out():
    theirs = Point(source="papers", technique="kp", accuracy=91.2, kilobytes=15.6, is_mean=False)
    shown = plots.accuracy_plane([theirs, OURS], title="x")
    joins = [line for line in shown.figure.axes[0].lines if len(set(line.get_xdata())) == 2]
    assert [list(line.get_ydata()) for line in joins] == [[91.2, 90.5]]
    assert "91.20% at best" in shown.description
    alone = plots.accuracy_plane([theirs, OURS], "speed-up", title="x")
    assert "papers" not in alone.description


def test_differences_are_drawn_with_their_intervals():
    shown = plots.accuracy_differences(
        {"small": (7.6, 6.9, 8.3), "lmf": (0.3, -0.1, 0.6)}, {"lmf": 1.04}
    )
    ax = shown.figure.axes[0]
    bars = {tuple(line.get_xdata()) for line in ax.lines if line.get_lw() == 2.2}
    assert bars == {(6.9, 8.3), (-0.1, 0.6)}
    low_rank = plots.MARKERS["low_rank"]
    assert dots(ax, low_rank) == [(0.3, 1.0, True), (1.04, 1.0, False)]
    assert "small: +7.60 points (+6.90 to +8.30); low rank" in shown.description
    assert "(−0.10 to +0.60), undecided; in the papers +1.04" in shown.description


def test_learning_curves_draw_the_error_of_every_seed():
    shown = plots.learning_curves(CURVES)
    lines = shown.figure.axes[0].lines
    assert len(lines) == 3
    np.testing.assert_allclose(lines[0].get_ydata(), 90 / TIMES)
    np.testing.assert_array_equal(lines[2].get_xdata(), TIMES)
    assert [to_hex(line.get_color()) for line in lines] == [
        plots.PALETTE[key] for key in ("kronecker", "kronecker", "low_rank")
    ]
    assert "Kronecker (KP), 2 seeds: validation error 80.0% to 90.0% first, 1.6% to 1.8% last" in (
        shown.description
    )


def test_no_error_is_drawn_below_all_others():
    shown = plots.learning_curves({"kp": [([1, 2, 3], [0.5, 0.9, 1.0])]})
    np.testing.assert_allclose(shown.figure.axes[0].lines[0].get_ydata(), [50, 10, 5])
    assert "0.0% last" in shown.description


def test_confusions_are_shares_of_their_row():
    shown = plots.confusion_matrix([[8, 2, 0], [0, 0, 0], [1, 0, 3]], ["a", "b", "c"], title="x")
    ax = shown.figure.axes[0]
    texts = {text.get_position(): text.get_text() for text in ax.texts}
    assert texts == {(0, 0): "80", (1, 0): "20", (0, 2): "25", (2, 2): "75"}
    boxes = {(box.get_x() + 0.5, box.get_y() + 0.5): box for box in ax.findobj(Rectangle)}
    accent = plots.PALETTE["accent"]
    assert {place for place, box in boxes.items() if to_hex(box.get_facecolor()) == accent} == {
        (1, 0), (0, 2),
    }  # fmt: skip
    assert boxes[0, 2].get_alpha() > boxes[1, 0].get_alpha()
    assert "78.6% of 14 answers are right" in shown.description
    assert "best known is a (80.0%), least c (75.0%)" in shown.description  # there is no b
    assert "confusions: c taken for a 25.0%, a taken for b 20.0%." in shown.description


def test_of_many_confusions_only_what_is_right_has_a_number():
    counts = np.diag(np.arange(13)) + np.eye(13, k=1, dtype=int)
    shown = plots.confusion_matrix(counts, [f"class {k}" for k in range(13)], title="x")
    ax = shown.figure.axes[0]
    texts = {text.get_position()[1]: text.get_text() for text in ax.texts}
    assert texts == {0: "0", 12: "100"} | {k: f"{100 * k / (k + 1):.0f}" for k in range(1, 12)}
    assert {text.get_position()[0] for text in ax.texts} == {12.75}


@pytest.mark.parametrize(
    ("draw", "words"),
    [
        (lambda: plots.accuracy_plane([], title="x"), "no point has a size"),
        (
            lambda: plots.accuracy_plane(
                [Point(source="ours", technique="kp", accuracy=1, kilobytes=1)],
                "speed-up",
                title="x",
            ),
            "no point has a speed-up",
        ),
        (lambda: plots.accuracy_plane([OURS], "time", title="x"), "found 'time'"),
        (lambda: plots.accuracy_differences({}), r"differences to \[\]"),
        (lambda: plots.accuracy_differences({"lmf": (0, 1, -1)}), "need .value, low, high."),
        (lambda: plots.accuracy_differences({"lmf": (0, np.nan, 1)}), "1 NaN"),
        (
            lambda: plots.accuracy_differences({"lmf": (0, 0, 0)}, {"kp": 1}),
            r"printed has \['kp'\]",
        ),
        (lambda: plots.learning_curves({}), r"needs a curve, found \[\]"),
        (lambda: plots.learning_curves({"kp": []}), "needs a curve"),
        (lambda: plots.learning_curves({"kp": [([1, 2], [0.5])]}), r"times \(2,\)"),
        (lambda: plots.learning_curves({"kp": [([0, 2], [0.5, 1])]}), "must be above 0"),
        (lambda: plots.learning_curves({"kp": [([2, 2], [0.5, 1])]}), "increase"),
        (lambda: plots.learning_curves({"kp": [([1], [97])]}), "97 to 97, outside 0 to 1"),
        (lambda: plots.confusion_matrix([[1]], ["a", "b"], title="x"), "there are 2 classes"),
        (lambda: plots.confusion_matrix([[1], [2]], ["a", "b"], title="x"), r"shape \(2, 1\)"),
        (lambda: plots.confusion_matrix([[-1]], ["a"], title="x"), "negative"),
        (lambda: plots.confusion_matrix([[0]], ["a"], title="x"), "all zero"),
    ],
)
def test_bad_input_is_refused_with_the_numbers(draw, words):
    with pytest.raises(ValueError, match=words):
        draw()
