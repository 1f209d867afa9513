"""Figures of what states hold and of what a longer training brings: what they draw and refuse."""

import numpy as np
import pytest

from kplib import plots

BOUND = np.linspace(0.2, 1.0, 50)
PROBES = {"small": [(7, 0.25), (7, 0.2)], "kp": [(40, 0.6)]}


def test_networks_stand_at_the_size_of_their_state_under_the_curve():
    picture = plots.state_contents(BOUND, PROBES, labels={"small": "seven units"})
    curve, small, kronecker = picture.figure.axes[0].lines
    assert curve.get_xdata().tolist() == list(range(1, 51))
    assert np.allclose(curve.get_ydata(), 100 * BOUND)
    assert np.column_stack(small.get_data()).tolist() == [[7, 25], [7, 20]]
    assert np.column_stack(kronecker.get_data()).tolist() == [[40, 60]]
    assert kronecker.get_color() == plots.PALETTE["kronecker"]
    assert f"seven units, 7 numbers: 20% to 25% of {BOUND[6]:.0%}" in picture.description


def test_what_no_state_can_hold_is_refused():
    with pytest.raises(ValueError, match=r"shape \(50,\) and \[\] networks"):
        plots.state_contents(BOUND, {})
    with pytest.raises(ValueError, match=r"shape \(0,\)"):
        plots.state_contents([], PROBES)
    with pytest.raises(ValueError, match="1 to 50 numbers, but a state has 51"):
        plots.state_contents(BOUND, {"kp": [(51, 0.5)]})
    with pytest.raises(ValueError, match=r"kp: a share is 0 to 1, found 1.2"):
        plots.state_contents(BOUND, {"kp": [(5, 1.2)]})
    with pytest.raises(ValueError, match=r"the curve is 0.4 to 2"):
        plots.state_contents(2 * BOUND, PROBES)
    with pytest.raises(ValueError, match="none of"):
        plots.state_contents(BOUND, {"nobody": [(5, 0.2)]})


def test_means_of_a_length_are_joined_and_the_papers_are_hollow():
    errors = {"kp": [(150, 3.0), (30, 4.0), (150, 2.0)], "baseline": [(150, 1.0)]}
    picture = plots.errors_by_length(errors, {"kp": [(5000, 1.72)], "lmf": [(5000, 2.76)]})
    ax = picture.figure.axes[0]
    assert ax.get_xscale() == ax.get_yscale() == "log"
    joined, each, theirs, *_ = ax.lines
    assert np.column_stack(joined.get_data()).tolist() == [[30, 4], [150, 2.5]]
    assert np.column_stack(each.get_data()).tolist() == [[150, 3], [30, 4], [150, 2]]
    assert np.column_stack(theirs.get_data()).tolist() == [[5000, 1.72]]
    assert theirs.get_mfc() == "none"
    assert "Kronecker (KP): 30 epochs 4.00%, 150 epochs 2.50%; in" in picture.description
    assert "low rank: in the papers 5,000 epochs 2.76%" in picture.description
    assert "dense: 150 epochs 1.00%. low" in picture.description


def test_errors_that_have_no_logarithm_are_refused():
    with pytest.raises(ValueError, match="needs a training, found none"):
        plots.errors_by_length({})
    with pytest.raises(ValueError, match="kp: lengths and errors have to be positive, found 0"):
        plots.errors_by_length({"kp": [(30, 0.0)]})
    with pytest.raises(ValueError, match="errors"):
        plots.errors_by_length({"kp": [(30, np.nan)]})
