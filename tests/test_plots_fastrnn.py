"""Figures of FastRNN's scalars: what they draw and tell is what they were given."""

import numpy as np
import pytest

from kplib import plots

ONCE = {"kp": [(0.1, 90.0), (0.15, 92.5)]}
AGAIN = {"kp": [(0.6, 95.0)], "baseline": [(0.3, 98.0)]}


def test_weights_are_those_of_the_last_state():
    picture = plots.step_weights({"accent": (-3, 3), "kp": (0, 2)}, 16, labels={"accent": "old"})
    old, new = picture.figure.axes[0].lines
    assert old.get_xdata().tolist() == list(range(1, 17))
    share, keep = 0.5, 1 / (1 + np.exp(-2))
    state = 0.0
    for _ in range(16):  # the same candidate, 1, at every step
        state = share * 1 + keep * state
    assert np.isclose(sum(new.get_ydata()), state)
    assert new.get_ydata()[-1] == share
    assert old.get_label() == "old"
    assert "old: the first step counts 0.023, the last 0.047" in picture.description


def test_trained_networks_are_points_hollow_before_and_filled_after():
    shown = plots.trained_shares(ONCE, AGAIN, (0.05, 0.5), names=("once", "again"))
    ax = shown.figure.axes[0]
    dotted = [float(line.get_xdata()[0]) for line in ax.lines if line.get_linestyle() == ":"]
    assert dotted == [0.05, 0.5]
    drawn = {
        (line.get_mfc() == "none", line.get_mec()): np.column_stack(line.get_data()).tolist()
        for line in ax.lines
        if line.get_marker() in plots.MARKERS.values()
    }
    assert drawn == {
        (True, plots.PALETTE["kronecker"]): [[0.1, 90.0], [0.15, 92.5]],
        (False, plots.PALETTE["kronecker"]): [[0.6, 95.0]],
        (False, plots.PALETTE["dense"]): [[0.3, 98.0]],
    }
    legend = [text.get_text() for text in shown.figure.legends[0].get_texts()]
    assert legend == ["Kronecker (KP)", "dense", "once", "again"]
    assert "once, Kronecker (KP), 2 seeds: 0.10 to 0.15, 90.0% to 92.5%" in shown.description
    assert "again, dense, 1 seed: 0.30, 98.0%." in shown.description


def test_what_cannot_be_drawn_is_refused():
    with pytest.raises(ValueError, match="needs a start and a step, found 0 and 16"):
        plots.step_weights({}, 16)
    with pytest.raises(ValueError, match="needs a start and a step, found 1 and 0"):
        plots.step_weights({"kp": (0, 0)}, 0)
    with pytest.raises(ValueError, match="starts"):
        plots.step_weights({"kp": (np.nan, 0)}, 3)
    with pytest.raises(ValueError, match="no trained networks"):
        plots.trained_shares({}, {}, (0, 1), names=("a", "b"))
    with pytest.raises(ValueError, match=r"a, kp: s\(alpha\) is 0 to 1"):
        plots.trained_shares({"kp": [(1.2, 90)]}, {}, (0, 1), names=("a", "b"))
    with pytest.raises(ValueError, match="b, kp: needs pairs"):
        plots.trained_shares({}, {"kp": [(0.1, 90, 3)]}, (0, 1), names=("a", "b"))
    with pytest.raises(ValueError, match="none of"):
        plots.trained_shares({"other": [(0.1, 90)]}, {}, (0, 1), names=("a", "b"))
