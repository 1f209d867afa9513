"""Figures of few bits: what they draw and tell is what they were given."""

import numpy as np
import pytest

from kplib import plots

RNG = np.random.default_rng(18)
ONE = ((-0.2, -0.4, 0.1), (0.1, -0.1, 0.3))


def of_color(ax, key):
    return [line for line in ax.lines if line.get_color() == plots.PALETTE[key]]


def test_grids_are_those_of_rounding():
    A, B = RNG.normal(size=(5, 3)), RNG.normal(size=(2, 7))
    picture = plots.rounding_grids(A, B, 3)
    above, below = picture.figure.axes
    assert sum(bar.get_height() for bar in above.patches) == A.size * B.size
    one, both = below.collections
    levels = [[float(p[0, 0]) for p in lines.get_segments()] for lines in (one, both)]
    assert np.allclose(levels[0], np.arange(-3, 4) / 3)
    products = sorted({a * b for a in range(-3, 4) for b in range(-3, 4)})
    assert np.allclose(levels[1], np.array(products) / 9)

    W = np.kron(A, B)
    step = np.abs(W).max() / 3
    error = np.linalg.norm(np.rint(W / step) * step - W) / np.linalg.norm(W)
    assert f"if the product is rounded, 7 levels and an error of {error:.1%}" in picture.description
    assert f"if the factors are, {len(products)} levels" in picture.description


def test_accuracies_are_means_at_their_bits():
    rounded = {"kp": {2: [0.1], 32: [0.8, 0.9], 4: [0.6, 0.8]}}
    picture = plots.accuracy_by_bits(rounded, {"kp": {4: [0.75]}}, labels={"kp": "ours"})
    ax = picture.figure.axes[0]
    assert [tick.get_text() for tick in ax.get_xticklabels()] == ["32", "4", "2"]
    first, again = of_color(ax, "kronecker")
    assert np.allclose(first.get_data(), [[0, 1, 2], [0.85, 0.7, 0.1]])
    assert np.allclose(again.get_data(), [[1], [0.75]])
    assert again.get_mfc() == "none"
    names = [text.get_text() for text in picture.figure.legends[0].get_texts()]
    assert names == ["ours", "rounded", "trained on"]


def test_changes_are_points_with_their_intervals():
    picture = plots.bits_changes({"a": {"kp": ONE}, "b": {"small": ONE}}, most_lost=0.3)
    ax = picture.figure.axes[0]
    lines = of_color(ax, "kronecker")
    drawn = [line.get_xdata() for line in lines if line.get_linestyle() == "-"]
    assert [list(ends) for ends in drawn if len(ends) == 2] == [[-0.4, 0.1], [-0.1, 0.3]]
    upright = [float(part[0, 0]) for lines in ax.collections for part in lines.get_segments()]
    assert upright == [0, -0.3, 0, -0.3]
    assert "b: small −0.20 (−0.40 to +0.10), trained on +0.10 (−0.10 to +0.30)." in (
        picture.description
    )


def test_times_are_over_sizes_in_float32():
    picture = plots.stored_times({"lmf": [("it", 2048, 1.5), ("that", 8192, 0.5)]}, 4096)
    ax = picture.figure.axes[0]
    (points,) = of_color(ax, "low_rank")
    assert np.column_stack(points.get_data()).tolist() == [[2, 1.5], [8, 0.5]]
    assert "that, 8 KB, 0.50 times as long" in picture.description


def test_what_cannot_be_drawn_is_refused():
    with pytest.raises(ValueError, match="from 2 to 5, found 8"):
        plots.rounding_grids([[1]], [[1]], 8)
    with pytest.raises(ValueError, match="B must be a matrix with an entry"):
        plots.rounding_grids([[1]], [[0]])
    with pytest.raises(ValueError, match="A has"):
        plots.rounding_grids([[np.nan]], [[1]])
    with pytest.raises(ValueError, match="needs networks"):
        plots.accuracy_by_bits({})
    with pytest.raises(ValueError, match="needs networks"):
        plots.accuracy_by_bits({"kp": {8: [1]}}, {"lmf": {8: [1]}})
    with pytest.raises(ValueError, match="kp, 8 bits: needs accuracies from 0 to 1"):
        plots.accuracy_by_bits({"kp": {8: [90.0]}})
    with pytest.raises(ValueError, match="no changes"):
        plots.bits_changes({"a": {}}, most_lost=0.3)
    with pytest.raises(ValueError, match=r"a, kp: the interval 0.1 to 0.2 is without 0"):
        plots.bits_changes({"a": {"kp": ((0, 0.1, 0.2), (0, 0, 0))}}, most_lost=0.3)
    with pytest.raises(ValueError, match="no networks"):
        plots.stored_times({"kp": []}, 1)
    with pytest.raises(ValueError, match="must be positive"):
        plots.stored_times({"kp": [("it", 0, 1)]}, 1)
