"""Pictures of Kronecker products: pixels are entries, sizes are to scale, addresses are right."""

import re

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from matplotlib.collections import LineCollection
from matplotlib.colors import to_rgb
from matplotlib.image import AxesImage
from matplotlib.patches import Rectangle

from kplib import plots
from kplib.errors import DtypeError, ShapeError
from kplib.plots import Pattern

RNG = np.random.default_rng(0)
A, B = RNG.integers(-9, 10, (3, 2)), RNG.integers(-9, 10, (2, 4))
WORDS = {"title": "A title", "description": "A description."}


def equation():
    product = Pattern(np.kron(A, B), "A ⊗ B", block=B.shape)
    return [Pattern(A, "A"), "⊗", Pattern(B, "B"), "=", product]


def images(picture):
    return picture.figure.findobj(AxesImage)


@settings(max_examples=25, deadline=None)
@given(st.tuples(*[st.sampled_from([1, 2, 3, 5, 7])] * 4), st.integers(0, 2**32 - 1))
def test_a_pixel_has_the_sign_and_the_size_of_its_entry(sizes, seed):
    rng = np.random.default_rng(seed)
    m1, n1, m2, n2 = sizes
    W = np.kron(rng.integers(-3, 4, (m1, n1)), rng.integers(-3, 4, (m2, n2)))
    (image,) = images(plots.patterns([Pattern(W, "W")], **WORDS))
    colors = np.asarray(image.get_array())
    assert colors.shape == (*W.shape, 4)
    for meaning, chosen in (("kronecker", W > 0), ("low_rank", W < 0), ("dense", W == 0)):
        assert np.allclose(colors[chosen, :3], to_rgb(plots.PALETTE[meaning]))
    size, opacity = np.abs(W).ravel(), colors[..., 3].ravel()
    assert np.all(np.diff(opacity[np.argsort(size)]) >= 0)
    assert len(np.unique(opacity)) == len(np.unique(size))
    assert size.max() == 0 or opacity.max() == pytest.approx(1)


def test_the_page_gets_every_pixel_unsmoothed():
    picture = plots.patterns([Pattern(RNG.normal(size=(64, 64)), "W")], **WORDS)
    assert re.search(r'<image [^>]*width="64"[^>]*height="64"', picture.svg) or re.search(
        r'<image [^>]*height="64"[^>]*width="64"', picture.svg
    )
    assert "pixelated" in picture.svg


def test_a_line_is_to_scale_and_as_wide_as_the_figure():
    picture = plots.patterns(equation(), **WORDS)
    extents = [image.get_extent() for image in images(picture)]
    cells = [
        ((right - left) / cols, (bottom - top) / rows)
        for (left, right, bottom, top), (rows, cols) in zip(
            extents, (A.shape, B.shape, (6, 8)), strict=True
        )
    ]
    assert np.allclose(cells, cells[0][0])
    assert extents[0][0] == pytest.approx(0.06)
    assert extents[-1][1] == pytest.approx(plots.style.WIDTH - 0.06)


def test_width_is_a_share_and_largest_a_common_scale():
    picture = plots.patterns(
        [Pattern([[1]], "1", width=1, largest=4), Pattern([[4]], "4", width=3, largest=4)],
        **WORDS,
    )
    small, large = images(picture)
    widths = [right - left for left, right, *_ in (small.get_extent(), large.get_extent())]
    assert widths[1] == pytest.approx(3 * widths[0])
    assert small.get_array()[0, 0, 3] < 0.6 < large.get_array()[0, 0, 3] == 1


def test_lines_stand_between_blocks():
    (ax,) = plots.patterns([Pattern(np.kron(A, B), "W", block=B.shape)], **WORDS).figure.axes
    assert len(ax.lines) == (A.shape[0] + 1) + (A.shape[1] + 1)


@pytest.mark.parametrize("seed", range(8))
def test_entry_is_found_by_its_address(seed):
    rng = np.random.default_rng(seed)
    a, b = rng.integers(-9, 10, rng.integers(1, 3, 2)), rng.integers(-9, 10, rng.integers(1, 5, 2))
    W = np.kron(a, b)
    row, column = (int(rng.integers(0, size)) for size in W.shape)
    picture = plots.kron_entry(a, b, row, column)
    told = [int(n) for n in re.findall(r"-?\d+", picture.description.replace("−", "-"))]
    i, i1, i2, j, j1, j2, *rest = told
    assert (i, j) == (row, column) == (i1 * b.shape[0] + i2, j1 * b.shape[1] + j2)
    assert rest == [i1, j1, i2, j2, a[i1, j1], b[i2, j2], W[row, column]]
    marked = [p for p in picture.figure.findobj(Rectangle) if p.get_linewidth() == 2]
    drawn = [
        t for t in picture.figure.axes[0].texts if re.fullmatch(r"−?\d+", t.get_text())
    ]  # entries alone: an address has a colon
    inside = [
        int(text.get_text().replace("−", "-"))
        for frame in marked
        for text in drawn
        if 0 < text.get_position()[0] - frame.get_x() < frame.get_width()
        and 0 < text.get_position()[1] - frame.get_y() < frame.get_height()
    ]
    assert inside == [a[i1, j1], b[i2, j2], W[row, column]]
    bold = [t.get_text() for t in picture.figure.axes[0].texts if t.get_weight() == "bold"]
    assert bold == ["A", "B", "W", f"{i1}:{i2}", f"{j1}:{j2}"]


@pytest.mark.parametrize(
    ("draw", "error", "words"),
    [
        (lambda: plots.patterns(**WORDS), ValueError, "at least one line"),
        (lambda: plots.patterns(["="], **WORDS), ValueError, r"one pattern, found \['='\]"),
        (lambda: plots.patterns([Pattern([1, 2], "x")], **WORDS), ShapeError, "'x' must have 2"),
        (lambda: plots.patterns([Pattern([[1j]], "x")], **WORDS), DtypeError, "complex128"),
        (lambda: plots.patterns([Pattern([[np.nan]], "x")], **WORDS), ValueError, "1 NaN"),
        (
            lambda: plots.patterns([Pattern(np.ones((1, 1025)), "x")], **WORDS),
            ShapeError,
            "1 x 1025; a figure shows 1024",
        ),
        (
            lambda: plots.patterns([Pattern(A, "A", block=(2, 1))], **WORDS),
            ShapeError,
            "2 x 1 do not tile 'A', 3 x 2",
        ),
        (lambda: plots.patterns([Pattern(A, "A", width=0)], **WORDS), ValueError, "found 0.0"),
        (lambda: plots.patterns([Pattern(A, "A", largest=-1)], **WORDS), ValueError, "-1.0"),
        (lambda: plots.kron_entry(A, B, 6, 0), ShapeError, r"row 6 is outside.*\(6, 8\)"),
        (lambda: plots.kron_entry(A, B, 0, -1), ShapeError, "column -1 is outside"),
        (lambda: plots.kron_entry(np.ones((9, 1)), [[1]], 0, 0), ShapeError, r"\(9, 1\)"),
        (lambda: plots.kron_entry([[1j]], B, 0, 0), DtypeError, "A has dtype complex128"),
        (lambda: plots.kron_entry(A, [[np.inf]], 0, 0), ValueError, "B has 1 NaN or infinite"),
    ],
)
def test_bad_input_is_refused_with_the_numbers(draw, error, words):
    with pytest.raises(error, match=words):
        draw()


def bars(figure):
    """The middles of all bars, in inches, from all collections of lines."""
    segments = [s for lines in figure.findobj(LineCollection) for s in lines.get_segments()]
    return sorted(tuple(np.round(segment.mean(axis=0), 6).tolist()) for segment in segments)


def test_negative_entries_carry_a_bar_in_the_middle_of_their_cells_where_there_is_room():
    values = RNG.integers(-3, 4, (3, 5))
    figure = plots.patterns([Pattern(values, "A")], **WORDS).figure
    (image,) = figure.findobj(AxesImage)
    left, right, bottom, top = image.get_extent()
    across, down = (right - left) / 5, (bottom - top) / 3
    expected = sorted(
        tuple(np.round((left + (j + 0.5) * across, top + (i + 0.5) * down), 6).tolist())
        for i, j in np.argwhere(values < 0)
    )
    assert expected
    assert bars(figure) == expected

    crowded = plots.patterns([Pattern(-np.ones((64, 64)), "B")], **WORDS).figure
    assert not bars(crowded)
