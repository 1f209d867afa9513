"""Figures of rank and singular values: what they draw is what the shapes and factors say."""

import re

import numpy as np
import pytest

import kplib
from kplib import plots
from kplib.errors import ShapeError

SHAPES = [(59, 8, 2, 16), (2, 2, 59, 64), (118, 1, 1, 128), (2, 16, 59, 8), (1, 1, 118, 128)]


def numbers(text):
    return [float(n.replace(",", "")) for n in re.findall(r"\d[\d,]*(?:\.\d+)?", text)]


def heights(picture):
    """Heights of the bars, by pipe: (left, middle, right) in inches."""
    bars = [p for p in picture.figure.axes[0].patches if hasattr(p, "get_width")]
    found = [bar.get_height() for bar in bars]
    return [found[i : i + 3] for i in range(0, len(found), 3)]


@pytest.mark.parametrize("shape", SHAPES)
def test_bottlenecks_draws_widths_to_scale(shape):
    picture = plots.bottlenecks([shape], low_rank=7)
    shape = kplib.FactorShape(*shape)
    middle = min(shape.n1 * shape.m2, shape.m1 * shape.n2)
    low_rank, kron = heights(picture)
    assert np.allclose(np.divide(low_rank, low_rank[0]), [1, 7 / 128, 118 / 128], atol=0.02)
    assert np.allclose(np.divide(kron, kron[0]), [1, middle / 128, 118 / 128], atol=0.02)
    assert min(shape.m, shape.n, middle) == shape.rank
    told = picture.description.split("; ")
    assert numbers(told[0])[-4:] == [7 * (118 + 128), 128, 7, 118]
    assert numbers(told[1])[-4:] == [shape.params, 128, middle, 118]


def test_bottlenecks_names_the_maps_in_their_order():
    texts = [t.get_text() for t in plots.bottlenecks([(59, 8, 2, 16)]).figure.axes[0].texts]
    assert texts.index("8 × B") < texts.index("2 × A")
    texts = [t.get_text() for t in plots.bottlenecks([(2, 16, 59, 8)]).figure.axes[0].texts]
    assert texts.index("8 × A") < texts.index("2 × B")


def test_bottlenecks_refuses_what_does_not_fit():
    with pytest.raises(ShapeError, match="found 6 x 6, 6 x 8"):
        plots.bottlenecks([(2, 3, 3, 2), (2, 4, 3, 2)])
    with pytest.raises(ShapeError, match="found none"):
        plots.bottlenecks([])
    with pytest.raises(ShapeError, match=r"at most min\(6, 8\), found 7"):
        plots.bottlenecks([(2, 4, 3, 2)], low_rank=7)


@pytest.mark.parametrize(
    ("m", "n", "gates"), [(118, 128, 4), (154, 164, 2), (178, 255, 4), (7, 13, 1)]
)
def test_rank_against_parameters_draws_every_shape(m, n, gates):
    picture = plots.rank_against_parameters(m, n, gates=gates)
    low_rank, kron, *_ = picture.figure.axes[0].lines
    drawn = {(int(x), int(y)) for x, y in kron.get_xydata()}
    assert drawn == {(s.params, s.rank) for s in kplib.factor_shapes(m, n)}
    for x, r in low_rank.get_xydata():
        assert gates * x == pytest.approx(r * (gates * m + n))
    best = kplib.full_rank_shapes(m, n)[0]
    assert f"{best}: rank {min(m, n)} for {best.params:,} numbers" in picture.description
    assert ("Algorithm 4" in picture.description) == (m != 7)


def test_rank_against_parameters_refuses_no_gates():
    with pytest.raises(ShapeError, match="gates must be a positive integer, found 0"):
        plots.rank_against_parameters(4, 6, gates=0)


def test_approximation_shares_draws_each_number():
    shares = {"one": {"kp": 0.25, "lmf": 0.5}, "other": {"kp": 1.0, "lmf": 0.0}}
    ax = plots.approximation_shares(shares).figure.axes[0]
    assert [p.get_width() for p in ax.patches] == [0.25, 1.0, 0.5, 0.0]
    assert sorted(t.get_text() for t in ax.texts) == ["0%", "100%", "25%", "50%"]
    assert [t.get_text() for t in ax.get_yticklabels()] == ["one", "other"]
    # the first matrix stands on top, and in it the first technique
    assert ax.patches[0].get_y() < ax.patches[2].get_y() < ax.patches[1].get_y()
    assert ax.yaxis_inverted()


def test_approximation_shares_can_be_told_apart_without_colour():
    picture = plots.approximation_shares({"a trained\ngate": {"kp": 0.25, "lmf": 0.5}})
    kron, low_rank = picture.figure.axes[0].patches
    assert kron.get_facecolor()[3] == 1
    assert low_rank.get_facecolor()[3] == 0
    assert low_rank.get_edgecolor()[3] == 1
    assert "a trained gate: Kronecker 25%, low rank 50%" in picture.description


def test_approximation_shares_refuses_what_is_no_share():
    with pytest.raises(ValueError, match="there are no matrices"):
        plots.approximation_shares({})
    with pytest.raises(ValueError, match="'b' has a share outside 0 to 1"):
        plots.approximation_shares({"a": {"kp": 0.1}, "b": {"kp": 1.1}})
    with pytest.raises(ValueError, match=r"'b' has \['lmf'\], the first matrix \['kp'\]"):
        plots.approximation_shares({"a": {"kp": 0.1}, "b": {"lmf": 0.1}})


def test_singular_value_spectra_sorts_and_counts():
    rng = np.random.default_rng(3)
    A, B = rng.normal(size=(7, 2)), rng.normal(size=(3, 11))
    W = np.kron(A, B)
    sigma = np.linalg.svd(W, compute_uv=False)
    picture = plots.singular_value_spectra({"kp": sigma[::-1]}, labels={"kp": "ours"})
    (line,) = picture.figure.axes[0].lines
    assert np.array_equal(line.get_ydata(), sigma)
    assert line.get_xdata().tolist() == list(range(1, len(sigma) + 1))
    # the zeros that rounding leaves above zero are not counted
    assert f"ours: the largest {sigma[0]:.3g}, 6 of 21 above zero" in picture.description


def test_singular_value_spectra_refuses_negative_ones():
    with pytest.raises(ValueError, match="there are no matrices"):
        plots.singular_value_spectra({})
    with pytest.raises(ValueError, match=r"spectra\['kp'\] has -1, below 0"):
        plots.singular_value_spectra({"kp": [2, -1]})
    with pytest.raises(ValueError, match="1 NaN or infinite entries"):
        plots.singular_value_spectra({"kp": [2, np.inf]})


def test_condition_number_ranges_draws_quantiles():
    values = np.arange(1, 102)
    picture = plots.condition_number_ranges({"a": values}, band=(1.2, 7.3), band_label="printed")
    nine_in_ten, half, median = picture.figure.axes[0].lines
    assert nine_in_ten.get_xdata().tolist() == [6, 96]
    assert half.get_xdata().tolist() == [26, 76]
    assert median.get_xdata().tolist() == [51]
    assert picture.description == "a: median 51, nine of ten from 6 to 96; printed: 1.2 to 7.3."


def test_condition_number_ranges_refuses_what_is_none():
    with pytest.raises(ValueError, match="there are no condition numbers"):
        plots.condition_number_ranges({}, band=(1, 2), band_label="x")
    with pytest.raises(ValueError, match=r"'a' has the condition number 0\.5, below 1"):
        plots.condition_number_ranges({"a": [0.5, 2]}, band=(1, 2), band_label="x")
