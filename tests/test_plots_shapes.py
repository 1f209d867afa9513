"""Figures of factor shapes: their numbers against `kplib.shapes`."""

import re

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import kplib
from kplib import FactorShape, plots
from kplib.errors import ShapeError

TOY = [(6, 1, 1, 4), (3, 2, 2, 2), (3, 1, 2, 4), (6, 2, 1, 2), (2, 1, 3, 4), (6, 4, 1, 1)]
SECONDS = {FactorShape(59, 8, 2, 16): 3e-8, FactorShape(2, 2, 59, 64): 1.1e-7}


def points(ax):
    """Every marker of a panel as a set of (x, y), without the lines."""
    lines = [line for line in ax.lines if line.get_marker() in ("o", "s")]
    return {(round(x), round(y)) for line in lines for x, y in line.get_xydata()}


@settings(deadline=None, max_examples=15)
@given(m=st.integers(1, 90), n=st.integers(1, 90), data=st.data())
def test_the_map_has_every_shape_at_its_costs(m, n, data):
    rows = data.draw(st.integers(0, m - 1))
    shape = data.draw(st.sampled_from(kplib.factor_shapes(m - rows, n)))
    left, right = plots.shape_map(m, n, shape, rows).figure.axes
    shapes = kplib.factor_shapes(m - rows, n)
    rank = {s: min(rows + s.rank, m, n) for s in shapes}
    assert points(left) == {(s.params + rows * n, rank[s]) for s in shapes}
    assert points(right) == {(s.macs + rows * n, rank[s]) for s in shapes}
    (ring,) = (line for line in left.lines if line.get_markersize() == 12)
    assert ring.get_xydata().tolist() == [[shape.params + rows * n, rank[shape]]]


@settings(deadline=None, max_examples=15)
@given(m=st.integers(1, 90), n=st.integers(1, 90))
def test_filled_points_are_the_pareto_front(m, n):
    left, _ = plots.shape_map(m, n).figure.axes
    filled = [line for line in left.lines if line.get_marker() == "o" and line.get_mfc() != "none"]
    front = {(s.params, s.rank) for s in kplib.pareto_front(m, n)}
    assert {tuple(map(int, point)) for line in filled for point in line.get_xydata()} == front


@settings(deadline=None, max_examples=10)
@given(m=st.integers(2, 90), n=st.integers(1, 90), data=st.data())
def test_nothing_lies_left_of_the_dotted_bounds(m, n, data):
    rows = data.draw(st.integers(0, m - 1))
    for ax, cost in zip(
        plots.shape_map(m, n, rows=rows).figure.axes, ("params", "macs"), strict=True
    ):
        (bound,) = (line for line in ax.lines if line.get_linestyle() == ":")
        for s in kplib.factor_shapes(m - rows, n):
            least = np.interp(rows + s.rank, bound.get_ydata(), bound.get_xdata())
            # Between two points of a concave bound the chord lies left of it.
            assert getattr(s, cost) + rows * n >= least - 1e-6


def test_descriptions_carry_the_numbers():
    words = plots.shape_map(118, 128, (59, 2, 2, 64)).description
    assert "32 factor shapes" in words
    assert "Parameters: 246 to 15,105" in words
    assert "The chosen one is (59, 2) x (2, 64): 246 parameters" in words
    assert "Rank 118 for the fewest parameters has (2, 2) x (59, 64): 3,780" in words
    assert "Algorithm 4 is undefined here" in plots.shape_map(179, 256).description
    hybrid, picture = kplib.algorithm4(117, 128), plots.shape_map(118, 128, rows=1)
    assert f"{hybrid.params + 128} parameters" in picture.description
    assert f"rank {hybrid.rank + 1} at most" in picture.description
    assert "under 1 dense row" in picture.title


def test_outlines_draw_one_cell_an_entry():
    picture = plots.shape_outlines(TOY)
    (ax,) = picture.figure.axes
    assert len(ax.patches) == sum(FactorShape(*shape).params for shape in TOY)
    for s in (FactorShape(*shape) for shape in TOY):
        assert f"{s}: {s.params} parameters, {s.macs} mult" in picture.description


def test_hidden_sizes_have_a_point_where_the_rule_has_a_shape():
    upper, lower = plots.hidden_size_costs(10, range(100, 141)).figure.axes
    rule, full, floor = upper.lines
    defined = {}
    for h in range(100, 141):
        try:
            defined[h] = kplib.algorithm4(h, h + 10).params
        except ShapeError:
            continue
    assert dict(zip(*rule.get_data(), strict=True)) == defined
    assert len(defined) < 41
    cheapest = [kplib.full_rank_shapes(h, h + 10)[0].params for h in range(100, 141)]
    assert full.get_ydata().tolist() == cheapest
    assert all(floor.get_ydata() <= np.array(cheapest))
    assert set(lower.lines[1].get_ydata()) == {1.0}


def test_times_stand_beside_multiplications_in_order():
    left, right = plots.macs_and_times(SECONDS).figure.axes
    assert [patch.get_width() for patch in left.patches] == [1200, 7788]
    assert [patch.get_width() for patch in right.patches] == pytest.approx([30, 110])


@pytest.mark.parametrize(
    ("draw", "message"),
    [
        (lambda: plots.shape_map(0, 4), "m must be a positive integer, found 0"),
        (lambda: plots.shape_map(4, 4, rows=4), "from 0 to m - 1 = 3, found 4"),
        (lambda: plots.shape_map(4, 4, rows=0.5), "found 0.5"),
        (lambda: plots.shape_map(6, 4, (2, 2, 2, 2)), "is 4 x 4, but the matrix without its 0"),
        (lambda: plots.shape_outlines([]), "no shapes"),
        (lambda: plots.shape_outlines([(13, 1, 1, 1)]), "more than 12"),
        (lambda: plots.hidden_size_costs(10, []), "from 2 on, found []"),
        (lambda: plots.hidden_size_costs(10, [1, 7]), "from 2 on, found [1, 7]"),
        (lambda: plots.macs_and_times({}), "no times"),
        (lambda: plots.macs_and_times({FactorShape(1, 1, 1, 1): 0.0}), "found [0.0]"),
    ],
)
def test_bad_input_is_named(draw, message):
    with pytest.raises(ValueError, match=re.escape(message)):
        draw()
