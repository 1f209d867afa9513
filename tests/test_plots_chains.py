"""Figures of Kronecker chains: what they draw and tell is what they were given."""

import numpy as np
import pytest
from matplotlib.collections import PolyCollection

from kplib import plots


def test_state_norms_draws_medians_and_the_middle_of_the_draws():
    norms = np.outer(np.arange(1, 12), [1.0, 0.5, 0.25, 2.0])
    picture = plots.state_norms({"some": norms, "kept": np.ones((3, 4))})
    ax = picture.figure.axes[0]
    assert ax.get_yscale() == "log"
    assert ax.lines[0].get_ydata().tolist() == [6, 3, 1.5, 12]
    assert ax.lines[0].get_xdata().tolist() == [0, 1, 2, 3]
    (band, _) = [c for c in ax.collections if isinstance(c, PolyCollection)]
    corners = band.get_paths()[0].vertices
    assert corners[corners[:, 0] == 3][:, 1].min() == pytest.approx(2 * 2)
    assert corners[corners[:, 0] == 3][:, 1].max() == pytest.approx(2 * 10)
    told = "some: median 12 after 3 steps, eight of ten from 4 to 20"
    assert picture.description == f"{told}; kept: median 1 after 3 steps, eight of ten from 1 to 1."


def test_state_norms_refuses_what_has_no_logarithm():
    with pytest.raises(ValueError, match="there are no norms"):
        plots.state_norms({})
    with pytest.raises(ValueError, match=r"draws\['a'\] has the norm 0, not above 0"):
        plots.state_norms({"a": [[1, 0]]})
    with pytest.raises(ValueError, match=r"a row for each run, found shape \(2,\)"):
        plots.state_norms({"a": [1, 2]})
    with pytest.raises(ValueError, match="1 NaN or infinite"):
        plots.state_norms({"a": [[1, np.inf]]})


def test_determinant_paths_draws_each_point():
    around = np.exp(1j * np.linspace(0, np.pi, 9))
    picture = plots.determinant_paths({"real": [1, 0.5, -1], "round": around})
    lines = {line.get_label(): line for line in picture.figure.axes[0].lines}
    assert lines["real"].get_xdata().tolist() == [1, 0.5, -1]
    assert np.allclose(lines["round"].get_ydata(), around.imag)
    assert picture.description == (
        "real: from 1 to -1, smallest magnitude 0.5; round: from 1 to -1, smallest magnitude 1."
    )
    assert "from 1 to 0+1i" in plots.determinant_paths({"a": [1, 1j]}).description


def test_determinant_paths_refuses_what_is_no_path():
    with pytest.raises(ValueError, match="there are no paths"):
        plots.determinant_paths({})
    with pytest.raises(ValueError, match="1 NaN or infinite"):
        plots.determinant_paths({"a": [1, np.nan]})


def test_loss_curves_smooths_and_keeps_the_colours_of_the_networks():
    tasks = {
        "one": {"a": [[4, 2, 2, 0], [8, 8, 8, 8]], "b": [[1, 1, 1, 1]]},
        "two": {"b": [[3, 1]], "c": [[0, 2]]},
    }
    picture = plots.loss_curves(tasks, baselines={"two": 0.5}, window=2)
    one, two = picture.figure.axes
    assert [line.get_ydata().tolist() for line in one.lines] == [[3, 2, 1], [8] * 3, [1] * 3]
    assert one.lines[0].get_xdata().tolist() == [2, 3, 4]
    assert one.lines[0].get_color() == one.lines[1].get_color() != one.lines[2].get_color()
    baseline, b, _ = two.lines
    assert set(baseline.get_ydata()) == {0.5}
    assert b.get_color() == one.lines[2].get_color()
    assert b.get_ydata().tolist() == [2]
    legend = picture.figure.legends[0]
    assert [text.get_text() for text in legend.get_texts()] == ["a", "b", "c"]
    assert "one, a: 1 and 8 at the end" in picture.description


def test_loss_curves_refuses_what_it_cannot_draw():
    with pytest.raises(ValueError, match="there are no losses"):
        plots.loss_curves({})
    with pytest.raises(ValueError, match="there are no losses"):
        plots.loss_curves({"a": {}})
    with pytest.raises(ValueError, match="a, b has 2 losses, fewer than window = 3"):
        plots.loss_curves({"a": {"b": [[1, 2]]}}, window=3)
    with pytest.raises(ValueError, match="1 NaN or infinite"):
        plots.loss_curves({"a": {"b": [[1, np.nan]]}}, window=1)


def test_factor_movement_draws_every_run_and_the_means():
    picture = plots.factor_movement({2: [0.1, 0.2], 8: [0.04]}, {2: [0.2, 0.4], 8: [0.3]})
    whole, factor = [], []
    for line in picture.figure.axes[0].lines:
        (whole if line.get_color() == plots.PALETTE["kronecker"] else factor).append(line)
    assert [line.get_ydata().tolist() for line in whole[:2]] == [[0.2, 0.4], [0.3]]
    assert np.allclose(whole[-1].get_ydata(), [0.3, 0.3])
    assert np.allclose(factor[-1].get_ydata(), [0.15, 0.04])
    assert factor[-1].get_xdata().tolist() == [2, 8]
    assert "8 factors: a factor 4.0%, the matrix 30%" in picture.description


def test_factor_movement_refuses_what_does_not_fit():
    with pytest.raises(ValueError, match=r"factors has \[2\] and products \[4\]"):
        plots.factor_movement({2: [0.1]}, {4: [0.1]})
    with pytest.raises(ValueError, match="factors has"):
        plots.factor_movement({}, {})
    with pytest.raises(ValueError, match="a movement of one factor is not above 0"):
        plots.factor_movement({2: [0.0]}, {2: [0.1]})


def test_movement_in_training_draws_every_run_in_both_panels():
    factors = {"free": [[0, 0.1], [0, 0.3]], "bound": [[0, 0.05]]}
    products = {"free": [[0, 0.9], [0, 1.2]], "bound": [[0, 0.4]]}
    picture = plots.movement_in_training([0, 50], factors, products)
    for ax, runs in zip(picture.figure.axes, (factors, products), strict=True):
        drawn = [line.get_ydata().tolist() for line in ax.lines]
        assert drawn == [*runs["free"], *runs["bound"]]
        assert all(line.get_xdata().tolist() == [0, 50] for line in ax.lines)
    assert "the whole matrix, free: 90% and 120% after 50 steps" in picture.description


def test_movement_in_training_refuses_what_does_not_fit():
    with pytest.raises(ValueError, match="need the same networks"):
        plots.movement_in_training([0], {"a": [[0]]}, {"b": [[0]]})
    with pytest.raises(ValueError, match="steps must increase"):
        plots.movement_in_training([0, 0], {"a": [[0, 1]]}, {"a": [[0, 1]]})
    with pytest.raises(ValueError, match="One factor, a: 1 movements at 2 steps"):
        plots.movement_in_training([0, 5], {"a": [[0]]}, {"a": [[0, 1]]})
