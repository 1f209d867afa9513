"""Figures of trained matrices: what they draw and tell is what they were given."""

import numpy as np
import pytest

from kplib import plots
from kplib.plots.trained import trained_spectra


def test_medians_ranges_and_ends():
    picture = trained_spectra({"kp": [[4, 1], [8, 2], [6, 3, 0.5]], "baseline": [[9]]})
    lines = {line.get_label(): line for line in picture.figure.axes[0].lines}
    assert lines["kp"].get_ydata().tolist() == [6, 2, 0.5]
    assert lines["kp"].get_xdata().tolist() == [1, 2, 3]
    assert lines["kp"].get_color() == plots.PALETTE["kronecker"]
    assert lines["baseline"].get_ydata().tolist() == [9]
    corners = picture.figure.axes[0].collections[0].get_paths()[0].vertices
    first = corners[corners[:, 0] == 1][:, 1]
    assert (first.min(), first.max()) == (4, 8)
    assert (
        picture.description
        == "kp: the largest 4 to 8, rank 2 to 3; baseline: the largest 9, rank 1."
    )


def test_every_axis_has_labels_that_tell():
    for spectra in ([[2.2, 2.1]], [np.geomspace(1e-5, 50, 200)], [[1e3, 1e3]]):
        picture = trained_spectra({"small": spectra}, labels={"small": "ours"})
        ax = picture.figure.axes[0]
        picture.figure.canvas.draw()
        for axis in (ax.xaxis, ax.yaxis):
            low, high = axis.get_view_interval()
            assert [t for t in axis.get_majorticklocs() if low <= t <= high]


def test_what_cannot_be_drawn_is_refused():
    with pytest.raises(ValueError, match="no singular values to draw"):
        trained_spectra({})
    with pytest.raises(ValueError, match=r"spectra\['kp'\] has no matrix"):
        trained_spectra({"kp": []})
    with pytest.raises(ValueError, match=r"spectra\['kp'\] has the singular value 0"):
        trained_spectra({"kp": [[1, 0]]})
    with pytest.raises(ValueError, match="none of"):
        trained_spectra({"other": [[1]]})


def test_two_trainings_are_points_hollow_before_and_filled_after():
    picture = plots.trained_conditioning(
        {"kp": [(12, 5), (30, 7)]}, {"kp": [(20, 18)], "lmf": [(176, 2.5)]}, names=("once", "again")
    )
    drawn = {
        (line.get_mfc() == "none", line.get_mec()): np.column_stack(line.get_data()).tolist()
        for line in picture.figure.axes[0].lines
    }
    assert drawn == {
        (True, plots.PALETTE["kronecker"]): [[12, 5], [30, 7]],
        (False, plots.PALETTE["kronecker"]): [[20, 18]],
        (False, plots.PALETTE["low_rank"]): [[176, 2.5]],
    }
    legend = [text.get_text() for text in picture.figure.legends[0].get_texts()]
    assert legend == ["Kronecker (KP)", "low rank", "once", "again"]
    assert "again, low rank: the largest 176, condition 2.5." in picture.description


def test_matrices_that_cannot_be_are_refused():
    with pytest.raises(ValueError, match="no matrices to draw"):
        plots.trained_conditioning({}, {}, names=("a", "b"))
    with pytest.raises(ValueError, match="a, kp: needs largest singular values above 0"):
        plots.trained_conditioning({"kp": [(1, 0.5)]}, {}, names=("a", "b"))
    with pytest.raises(ValueError, match="b, kp"):
        plots.trained_conditioning({}, {"kp": [(np.inf, 2)]}, names=("a", "b"))
