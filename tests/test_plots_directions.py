"""The figure of the two directions: its weights are those of a cell that runs."""

import numpy as np
import pytest

from kplib import plots


def test_weights_are_those_of_a_cell_that_reads_from_either_end():
    forward, reverse = plots.window_weights(0.7, 5).figure.axes[0].lines
    for line, order in ((forward, range(5)), (reverse, reversed(range(5)))):
        state = np.zeros(5)  # one cell for each sample that is 1 among zeros
        for t in order:
            state = 0.7 * state + 0.3 * np.eye(5)[t]
        assert np.allclose(line.get_ydata(), state)
    assert [forward.get_label(), reverse.get_label()] == ["forward", "reverse"]


def test_shares_and_lengths_that_mean_nothing_are_refused():
    for keep in (0.0, 1.0, float("nan")):
        with pytest.raises(ValueError, match="keep must be between 0 and 1"):
            plots.window_weights(keep, 3)
    with pytest.raises(ValueError, match="steps"):
        plots.window_weights(0.5, 0)
