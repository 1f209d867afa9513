"""Figures of hybrids: their numbers against `kplib.shapes`."""

import re

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from kplib import plots
from kplib.errors import ShapeError
from kplib.nn import Hybrid
from kplib.plots.hybrid import closest_rows
from kplib.shapes import hybrid_shapes


@settings(deadline=None, max_examples=15)
@given(m=st.integers(4, 90), n=st.integers(4, 90), data=st.data())
def test_every_r_stands_at_its_costs(m, n, data):
    shapes = hybrid_shapes(m, n)
    assume(shapes)
    most = data.draw(st.integers(min(shapes), m - 1))
    panels = plots.hybrid_sizes(m, n, most=most).figure.axes
    expected = {
        r: (s.params + r * n, min(m, n, s.rank + r), s.macs + r * n)
        for r, s in shapes.items()
        if r <= most
    }
    for which, ax in enumerate(panels):
        (points,) = (line for line in ax.lines if line.get_marker() == "D")
        drawn = {round(x): round(y) for x, y in points.get_xydata()}
        assert drawn == {r: cost[which] for r, cost in expected.items()}
        feet = [line for line in ax.lines if list(line.get_ydata()) == [0, 0.06]]
        gaps = {round(line.get_xdata()[0]) for line in feet}
        assert gaps == set(range(most + 1)) - set(shapes)


@settings(deadline=None, max_examples=60)
@given(m=st.integers(1, 130), n=st.integers(1, 130), compression=st.floats(1, 60))
def test_targets_are_those_of_the_layers(m, n, compression):
    try:
        expected = Hybrid.for_compression(compression).hybrid(m, n).rows
    except ShapeError:
        expected = None
    assert closest_rows(m, n, compression) == expected


def test_the_description_has_the_numbers():
    text = plots.hybrid_sizes(118, 128, 1, compressions=(10, 30, 500)).description
    assert "Chosen is r = 1: 376 parameters, rank 73 at most, 2,216 multiplications" in text
    assert "10 times: r = 8, 1,272 parameters" in text
    assert "30 times: r = 1, 376 parameters" in text
    assert "500 times: no r" in text
    assert "No factors at r = 5, 9, 11" in text
    assert "Chosen is r = 5 leaves no factors" in plots.hybrid_sizes(118, 128, 5).description


def test_blocks_are_as_many_cells_as_entries():
    figure = plots.hybrid_blocks(2, (3, 2, 2, 3)).figure
    assert len(figure.axes[0].patches) == 8 * 6 + 2 * 6 + 6 + 6


@pytest.mark.parametrize(
    ("make", "error", "words"),
    [
        (lambda: plots.hybrid_sizes(0, 4), ShapeError, "m must be a positive integer, found 0"),
        (lambda: plots.hybrid_sizes(8, 7), ShapeError, "no factors for 8 x 7, whatever"),
        (lambda: plots.hybrid_sizes(8, 8, 8), ShapeError, "rows must be an integer from 0 to"),
        (lambda: plots.hybrid_sizes(8, 8, most=-1), ShapeError, "most must be an integer from 0"),
        (lambda: plots.hybrid_sizes(7, 8, most=0), ShapeError, "no r up to 0 leaves"),
        (lambda: plots.hybrid_sizes(8, 8, compressions=(0.5,)), ValueError, "found [0.5]"),
        (lambda: plots.hybrid_blocks(60, (3, 2, 2, 3)), ShapeError, "the matrix is 66 x 6"),
        (lambda: plots.hybrid_blocks(-1, (3, 2, 2, 3)), ShapeError, "found -1"),
        (lambda: plots.accuracy_against_rows({}), ValueError, "no hybrids to draw"),
        (lambda: plots.accuracy_against_rows({1: [1.2]}), ValueError, "accuracies of r = 1"),
        (lambda: plots.accuracy_against_rows({1: []}), ValueError, "accuracies of r = 1"),
    ],
)
def test_bad_input_is_refused_with_the_numbers(make, error, words):
    with pytest.raises(error, match=re.escape(words)):
        make()
