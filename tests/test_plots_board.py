"""The figures of appendix A: what is drawn stands where the numbers say."""

import numpy as np
import pytest

from kplib import plots


def marked(ax):
    """Points drawn one by one, of markers: (marker, x, y)."""
    return [
        (line.get_marker(), line.get_xdata()[0], line.get_ydata()[0])
        for line in ax.lines
        if len(line.get_xdata()) == 1
    ]


def test_savings_stand_in_the_benchmarks_rows_with_the_techniques_marks():
    savings = {"KWS": {"kp": 3.9, "lmf": 6.0}, "USPS": {"pruned": 0.8}}
    (ax,) = plots.instruction_savings(savings).figure.axes
    assert ax.get_xscale() == "log"
    marks = plots.MARKERS
    assert marked(ax) == [
        (marks["kronecker"], 3.9, 0),
        (marks["low_rank"], 6.0, 0),
        (marks["pruned"], 0.8, 1),
    ]
    assert [label.get_text() for label in ax.get_yticklabels()] == list(savings)
    bottom, top = ax.get_ylim()
    assert top < 0 < 1 < bottom  # the first on top
    assert ax.get_xlim()[0] < 0.8
    (legend,) = ax.figure.legends
    assert [t.get_text() for t in legend.get_texts()] == ["Kronecker (KP)", "low rank", "pruned"]


def test_memory_ends_at_the_limits_and_says_what_is_too_much():
    programs = {"dense": ("dense", 40_960, None), "factors": ("kp", 2048, 512)}
    picture = plots.device_memory(programs, flash=32_768, ram=2048)
    flash, ram = picture.figure.axes
    assert [bar.get_width() for bar in flash.patches] == [40, 2]
    assert [bar.get_facecolor()[3] for bar in flash.patches] == [0, 1]  # too much: an outline
    assert [bar.get_width() for bar in ram.patches] == [0.5]  # nobody knows the other one
    assert flash.lines[0].get_xdata()[0] == 32
    assert ram.lines[0].get_xdata()[0] == 2
    assert flash.get_xlim()[1] > 40
    assert "dense: 40,960 bytes of flash, too many; factors" in picture.description
    assert "factors: 2,048 bytes of flash, 512 of RAM." in picture.description


def test_modelled_rates_stand_under_their_roofs():
    networks = {"dense": [("KWS", 0.5, 4.8, 6.1)], "kp": [("KWS", 1.2, 1.9, 3.8)]}
    picture = plots.modelled_roofline({"A73": 8.0, "A76": 16.0}, ("A72", 16.0, 8.0), networks)
    (ax,) = picture.figure.axes
    a73, a76, cache = ax.lines[:3]
    assert list(a73.get_ydata()) == [8, 8]
    assert list(a76.get_ydata()) == [16, 16]
    x, y = cache.get_data()
    assert np.allclose(y, np.multiply(x, 16))
    assert y[-1] == pytest.approx(8)  # it ends at its core's peak
    dense, factors = ax.collections
    assert np.allclose(dense.get_segments(), [[[0.5, 4.8], [0.5, 6.1]]])
    assert np.allclose(factors.get_segments(), [[[1.2, 1.9], [1.2, 3.8]]])


def test_predictions_are_outlines_on_their_range_and_measurements_filled():
    rows = {"KWS": ({"a": 6.7, "b": 2.7}, 1.53), "GRU": ({"a": 6.8, "b": 3.6}, None)}
    (ax,) = plots.predicted_speed_ups(rows).figure.axes
    ranges = [line for line in ax.lines if line.get_alpha() == 0.45]
    assert [list(line.get_xdata()) for line in ranges] == [[2.7, 6.7], [3.6, 6.8]]
    assert [(x, y) for _, x, y in marked(ax)] == [(6.7, 0), (2.7, 0), (1.53, 0), (6.8, 1), (3.6, 1)]
    filled = [line for line in ax.lines if line.get_markerfacecolor() == plots.PALETTE["accent"]]
    assert [list(line.get_xdata()) for line in filled] == [[1.53], []]  # and the legend's


@pytest.mark.parametrize("wrong", [0.0, -1.0, np.nan, np.inf])
def test_numbers_that_cannot_be_drawn_are_refused(wrong):
    for draw in (
        lambda: plots.instruction_savings({"a": {"kp": wrong}}),
        lambda: plots.device_memory({"a": ("kp", 1, 1)}, flash=wrong, ram=1),
        lambda: plots.modelled_roofline({"a": wrong}, ("b", 1, 1), {"kp": [("c", 1, 1, 1)]}),
        lambda: plots.modelled_roofline({"a": 1}, ("b", 1, 1), {"kp": [("c", 1, wrong, 1)]}),
        lambda: plots.predicted_speed_ups({"a": ({"b": wrong}, None)}),
        lambda: plots.predicted_speed_ups({"a": ({"b": 1}, wrong)}),
    ):
        with pytest.raises(ValueError, match=r"positive|finite"):
            draw()


def test_nothing_to_draw_is_refused():
    for draw in (
        lambda: plots.instruction_savings({}),
        lambda: plots.instruction_savings({"a": {}}),
        lambda: plots.device_memory({}, flash=1, ram=1),
        lambda: plots.modelled_roofline({}, ("b", 1, 1), {"kp": [("c", 1, 1, 1)]}),
        lambda: plots.modelled_roofline({"a": 1}, ("b", 1, 1), {"kp": []}),
        lambda: plots.predicted_speed_ups({}),
        lambda: plots.predicted_speed_ups({"a": ({"b": 1}, None), "c": ({"d": 1}, None)}),
    ):
        with pytest.raises(ValueError, match=r"nothing|needs"):
            draw()
