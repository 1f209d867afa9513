"""The figures of chapter 20: what is drawn stands where the numbers say."""

import numpy as np
import pytest

from kplib import plots

POINTS = {"dense": ("dense", 0.5, 80.0), "factors": ("kp", 1.5, 100.0)}
BANDWIDTHS = {"near": 400.0, "far": 50.0}


def lines_of(ax, label):
    return [line for line in ax.lines if line.get_label() == label]


def test_the_roof_is_the_smaller_of_peak_and_bandwidth():
    picture = plots.roofline(250.0, BANDWIDTHS, POINTS)
    (ax,) = picture.figure.axes
    assert ax.get_xscale() == ax.get_yscale() == "log"
    near, far, peak = ax.lines[:3]
    for line, bandwidth in ((near, 400.0), (far, 50.0)):
        x, y = line.get_data()
        assert np.allclose(y, np.multiply(x, bandwidth))
        assert y[-1] == pytest.approx(250)  # it ends where the peak begins to decide
    assert near.get_linestyle() != far.get_linestyle()
    assert list(peak.get_ydata()) == [250, 250]
    assert peak.get_xdata()[0] == pytest.approx(250 / 400)
    low, high = ax.get_xlim()
    assert low < 0.5 < 250 / 50 < high
    assert "peak 250 GFLOP/s" in picture.description
    assert "near 400, far 50" in picture.description


def test_points_stand_at_intensity_and_rate_and_hollow_ones_are_outlines():
    picture = plots.roofline(250.0, BANDWIDTHS, POINTS, hollow=("factors",))
    (ax,) = picture.figure.axes
    for name, (_, intensity, rate) in POINTS.items():
        (mark,) = lines_of(ax, name)
        assert (list(mark.get_xdata()), list(mark.get_ydata())) == ([intensity], [rate])
        assert (mark.get_markerfacecolor() == "none") == (name == "factors")
    low, high = ax.get_ylim()
    assert low < 80 < 250 < high
    (legend,) = picture.figure.legends
    assert [text.get_text() for text in legend.get_texts()] == [*BANDWIDTHS, *POINTS]
    assert "dense: 0.5 FLOP per byte, 80 GFLOP/s" in picture.description


def test_the_roofline_takes_other_units():
    picture = plots.roofline(4, {"1 number a tick": 1}, POINTS, units=("MACs per number", "MACs"))
    (ax,) = picture.figure.axes
    assert (ax.get_xlabel(), ax.get_title(loc="left")) == ("MACs per number", "MACs")


@pytest.mark.parametrize("wrong", [0.0, -1.0, np.nan, np.inf])
def test_a_roofline_needs_positive_finite_numbers(wrong):
    for arguments in (
        (wrong, BANDWIDTHS, POINTS),
        (250.0, {"near": wrong}, POINTS),
        (250.0, BANDWIDTHS, {"dense": ("dense", 0.5, wrong)}),
    ):
        with pytest.raises(ValueError, match=r"positive|finite"):
            plots.roofline(*arguments)


def test_a_roofline_needs_a_bandwidth_and_a_point():
    with pytest.raises(ValueError, match="at least one"):
        plots.roofline(250.0, {}, POINTS)
    with pytest.raises(ValueError, match="at least one"):
        plots.roofline(250.0, BANDWIDTHS, {})


def test_bandwidths_stand_above_the_networks_on_one_axis():
    bandwidths = {4096: 4e11, 65536: 2e11, 1 << 20: 1e11}
    networks = {"KWS": (241664, 8064), "USPS": (6144, 320)}
    picture = plots.bandwidth_by_size(bandwidths, networks)
    upper, lower = picture.figure.axes
    (curve,) = upper.lines
    assert list(curve.get_xdata()) == list(bandwidths)
    assert np.allclose(curve.get_ydata(), [400, 200, 100])
    assert upper.get_xlim() == lower.get_xlim()
    assert lower.get_xlim()[0] < 320 < 1 << 20 < lower.get_xlim()[1]
    assert [label.get_text() for label in lower.get_yticklabels()] == list(networks)
    marks = [
        (line.get_xdata()[0], line.get_ydata()[0])
        for line in lower.lines
        if len(line.get_xdata()) == 1
    ]
    assert marks == [(241664, 0), (8064, 0), (6144, 1), (320, 1)]
    top, bottom = lower.get_ylim()[::-1]
    assert top < 0 < 1 < bottom  # the first network on top
    assert "64 KB 200 GB/s, 1 MB 100 GB/s." in picture.description
    assert "USPS: dense 6 KB, factors 320 B." in picture.description


@pytest.mark.parametrize(
    ("bandwidths", "networks"),
    [
        ({}, {"KWS": (2, 1)}),
        ({1024: 1e9}, {}),
        ({1024: 0.0}, {"KWS": (2, 1)}),
        ({1024: 1e9}, {"KWS": (2, 0)}),
        ({1024: np.inf}, {"KWS": (2, 1)}),
    ],
)
def test_bandwidths_that_cannot_be_drawn_are_refused(bandwidths, networks):
    with pytest.raises(ValueError, match=r"empty|positive|finite"):
        plots.bandwidth_by_size(bandwidths, networks)


def test_speed_ups_stand_below_the_diagonal_if_they_are_smaller_than_the_saving():
    points = {"kp": [("KWS", 12.6, 1.53), ("USPS", 4.8, 1.96)], "small": [("KWS", 16, 13.3)]}
    picture = plots.speed_ups_against_counts(points)
    (ax,) = picture.figure.axes
    diagonal = ax.lines[0]
    assert np.array_equal(diagonal.get_xdata(), diagonal.get_ydata())
    (factors,), (small,) = lines_of(ax, "Kronecker (KP)"), lines_of(ax, "small")
    assert np.allclose(factors.get_xydata(), [(12.6, 1.53), (4.8, 1.96)])
    assert np.allclose(small.get_xydata(), [(16, 13.3)])
    assert ax.get_xlim()[0] < 1
    assert ax.get_xlim()[1] > 16
    assert "USPS 4.8 times fewer, 1.96 times as fast" in picture.description
    assert "small: KWS 16 times fewer, 13.3 times as fast." in picture.description


@pytest.mark.parametrize("points", [{}, {"kp": []}, {"kp": [("KWS", 0.0, 1.0)]}])
def test_speed_ups_that_cannot_be_drawn_are_refused(points):
    with pytest.raises(ValueError, match=r"nothing|positive"):
        plots.speed_ups_against_counts(points)
