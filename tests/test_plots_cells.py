"""Figures of the cells: what they draw at each stage, and what they say."""

import numpy as np
import pytest
from matplotlib.colors import same_color
from matplotlib.patches import FancyBboxPatch

from kplib import plots
from kplib.errors import ShapeError


def gate_boxes(picture):
    """Return the colours of the gates' frames."""
    patches = picture.figure.axes[0].patches
    frames = [p for p in patches if isinstance(p, FancyBboxPatch) and not p.get_fill()]
    return [p.get_edgecolor() for p in frames]


@pytest.mark.parametrize(
    ("cell", "gates"),
    [
        ("rnn", [1]),
        ("lstm", [1, 3, 4]),
        ("gru", [1, 2, 3]),
        ("gru_reset_after", [1, 2, 4]),  # the candidate's matrix in two parts
        ("fastrnn", [1, 1]),
    ],
)
def test_a_cell_grows_gate_by_gate_and_what_is_new_is_coloured(cell, gates):
    before = 0
    for stage, count in enumerate(gates, start=1):
        colors = gate_boxes(plots.cell_flow(cell, stage))
        assert len(colors) == count
        new = sum(same_color(color, plots.PALETTE["kronecker"]) for color in colors)
        assert new == count - before
        before = count
    whole = plots.cell_flow(cell)
    assert whole.description == plots.cell_flow(cell, len(gates)).description


def test_the_description_says_what_has_been_drawn():
    said = [plots.cell_flow("lstm", stage).description for stage in (1, 2, 3)]
    assert said[1].startswith(said[0].rstrip("."))
    assert "c_t = f * c + i * g" not in said[0]
    assert "c_t = f * c + i * g" in said[1]
    assert "h_t = o * tanh(c_t)" in said[2]
    assert "n = tanh(W_n [x_t; r * h])" in plots.cell_flow("gru", 3).description
    assert "r * (W_nh h)" in plots.cell_flow("gru_reset_after", 3).description
    assert plots.cell_flow("lstm", 2).title == "One step of the LSTM, stage 2 of 3"


def test_an_unknown_cell_or_stage_is_refused():
    with pytest.raises(ValueError, match="must be one of rnn, lstm, gru"):
        plots.cell_flow("transformer")
    for stage in (0, 4, -1):
        with pytest.raises(ValueError, match=rf"stage is {stage}, .* stages 1 to 3"):
            plots.cell_flow("lstm", stage)


def test_activations_are_drawn_with_their_own_shade():
    gates = np.array([[0.25, -0.5], [1.0, 0.0]])
    picture = plots.gate_activations([[1, 0], [0, 4]], {"g": gates})
    cells = [p for p in picture.figure.axes[0].patches if p.get_fill()]
    shades = [p.get_alpha() for p in cells]
    assert shades == [0.25, 0, 0, 1, 0.25, 0.5, 1.0, 0.0]
    assert same_color(cells[5].get_facecolor()[:3], plots.PALETTE["low_rank"])
    assert same_color(cells[4].get_facecolor()[:3], plots.PALETTE["kronecker"])
    assert "g: mean 0.19, from −0.50 to 1.00" in picture.description


def test_activations_of_other_sizes_or_values_are_refused():
    with pytest.raises(ShapeError, match=r"need 2 rows.*found f \(3, 4\)"):
        plots.gate_activations(np.ones((2, 2)), {"f": np.ones((3, 4))})
    with pytest.raises(ShapeError, match="found none"):
        plots.gate_activations(np.ones((2, 2)), {})
    with pytest.raises(ValueError, match=r"f has 1\.5, outside -1 to 1"):
        plots.gate_activations(np.ones((2, 2)), {"f": [[0, 1.5], [0, 0]]})
    with pytest.raises(ValueError, match="f"):
        plots.gate_activations(np.ones((2, 2)), {"f": [[0, np.nan], [0, 0]]})


def test_every_run_is_drawn_where_it_belongs():
    picture = plots.accuracies_by_cell({"RNN": {"dense": [0.5, 0.75]}, "GRU": {"kp": [0.25]}})
    ax = picture.figure.axes[0]
    points = [line for line in ax.lines if line.get_linestyle() == "None"]
    assert [line.get_xdata().tolist() for line in points] == [[0.5, 0.75], [0.25]]
    assert [label.get_text() for label in ax.get_yticklabels()] == ["RNN, dense", "GRU, kp"]
    assert same_color(points[1].get_color(), plots.PALETTE["kronecker"])
    assert [text.get_text() for text in ax.texts] == ["62.5%", "25.0%"]


@pytest.mark.parametrize("values", [[], [1.2], [-0.1], [np.nan]])
def test_accuracies_that_are_none_are_refused(values):
    with pytest.raises(ValueError, match="RNN, kp: accuracies are 0 to 1"):
        plots.accuracies_by_cell({"RNN": {"kp": values}})
    with pytest.raises(ValueError, match="no runs"):
        plots.accuracies_by_cell({})
