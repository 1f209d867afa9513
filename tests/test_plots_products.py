"""Figures of the product without the matrix: what they say is what NumPy computes."""

import re

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from matplotlib.colors import to_hex

from kplib import FactorShape, plots
from kplib.errors import DtypeError, ShapeError
from kplib.plots import products

RNG = np.random.default_rng(0)
SIZES = st.tuples(*[st.sampled_from([1, 2, 3, 5, 7])] * 4)


def nonzero(*shape):
    return RNG.integers(1, 10, shape) * RNG.choice([-1, 1], shape)


@settings(max_examples=25, deadline=None)
@given(SIZES)
def test_stages_multiply_to_the_kronecker_product_and_their_non_zeros_are_the_costs(sizes):
    m1, n1, m2, n2 = sizes
    A, B = nonzero(m1, n1), nonzero(m2, n2)
    shape = FactorShape(*sizes)
    b_first = [products._stage("A", A, m2)[1], products._stage("B", B, n1)[1]]
    a_first = [products._stage("B", B, m1)[1], products._stage("A", A, n2)[1]]
    for stages, macs in ((b_first, shape.macs_b_first), (a_first, shape.macs_a_first)):
        assert np.array_equal(stages[0] @ stages[1], np.kron(A, B))
        assert sum(np.count_nonzero(stage) for stage in stages) == macs
    said = plots.sparse_stages(A, B).description
    totals = [int(number) for number in re.findall(r"= (\d+) non-zeros", said)]
    assert totals == [shape.macs_b_first, shape.macs_a_first]


def test_stages_refuse_what_they_cannot_show():
    with pytest.raises(ValueError, match="A has 1 zeros"):
        plots.sparse_stages([[1, 0]], [[2]])
    with pytest.raises(ShapeError, match=r"\(97, 1\).*97 rows or columns.*at most 96"):
        plots.sparse_stages(np.ones((97, 1)), [[1]])
    with pytest.raises(ShapeError, match="at most 96"):  # a stage, not the product
        plots.sparse_stages(np.ones((1, 10)), np.ones((10, 1)))
    with pytest.raises(DtypeError, match="B has dtype complex128"):
        plots.sparse_stages([[1]], [[1j]])
    with pytest.raises(ValueError, match=r"A has .*NaN"):
        plots.sparse_stages([[np.nan]], [[1]])


def test_bars_have_the_lengths_and_colours_of_their_ways():
    seconds = {"NumPy": 2e-6, "np.dot": 9.6e-7, "compiled": 4.1e-8}
    structures = {"NumPy": "kp", "np.dot": "dense", "compiled": "kp"}
    picture = plots.product_times({"118 × 128": seconds}, structures)
    bars = picture.figure.axes[0].patches
    assert [bar.get_width() for bar in bars] == pytest.approx([2000, 960, 41])
    assert [to_hex(bar.get_facecolor()) for bar in bars] == [
        plots.PALETTE[plots.technique(structure)] for structure in structures.values()
    ]
    assert picture.figure.axes[0].get_xlim()[0] == 0
    assert picture.description == "118 × 128: NumPy 2,000 ns, np.dot 960 ns, compiled 41 ns."


@pytest.mark.parametrize(
    ("times", "message"),
    [
        ({}, "same ways"),
        ({"W": {}}, "same ways"),
        ({"V": {"a": 1.0}, "W": {"b": 1.0}}, "same ways"),
        ({"W": {"a": 1.0, "c": 1.0}}, "no entry for c"),
        ({"W": {"a": -1.0}}, "-1 seconds"),
        ({"W": {"a": np.inf}}, "infinite"),
    ],
)
def test_times_refuse_what_they_cannot_show(times, message):
    with pytest.raises(ValueError, match=message):
        plots.product_times(times, {"a": "dense", "b": "kp"})


def test_image_says_what_it_shows_and_refuses_the_rest():
    image = np.array([[0, 5], [-7, 0], [1, 0]])
    said = plots.image_transform({"image": image, "back": 2 * image}).description
    assert said == (
        "image: largest entry 7, 3 of 6 are not zero; back: largest entry 14, 3 of 6 are not zero."
    )
    with pytest.raises(ShapeError, match="found none"):
        plots.image_transform({})
    with pytest.raises(ShapeError, match=r"a \(1, 2\), b \(2, 1\)"):
        plots.image_transform({"a": [[1, 2]], "b": [[1], [2]]})
    with pytest.raises(ShapeError, match="one to four"):
        plots.image_transform(dict.fromkeys("abcde", image))
    with pytest.raises(DtypeError, match="complex"):
        plots.image_transform({"a": [[1j]]})
