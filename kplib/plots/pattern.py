"""Kronecker products to look at: matrices as pictures in an equation, and the place of an entry."""

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, TypeAlias

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from numpy.typing import ArrayLike, NDArray

from kplib._checks import matrix, require_finite
from kplib.errors import DtypeError, ShapeError
from kplib.plots.grid import MARGIN, Grid, number_text
from kplib.plots.picture import Picture
from kplib.plots.style import INK, PALETTE, WIDTH, use_style

LARGEST_PATTERN = 1024
"""Rows or columns of a matrix that a figure takes."""

# Inches.
_SIGN = 0.24  # wide
_BETWEEN = 0.12  # two patterns without a sign
_NAME = 0.22  # high
_LINE_GAP = 0.1
_TALLEST = 3.4

_ROOM_FOR_A_BAR = 0.09  # inches of a cell, wide and high

_FAINT = 0.1  # opacity of a zero
_GAMMA = 0.6  # below 1 keeps small entries visible


@dataclass(frozen=True)
class Pattern:
    """A matrix as a picture: one cell an entry, the stronger the larger it is.

    Parameters
    ----------
    values : array_like, shape (rows, columns)
        The matrix, real. Positive entries are orange, negative ones blue, zeros pale. Where a cell
        has room for it, a negative entry also carries a bar, for those who do not see the colour.
    name : str
        What stands above it.
    block : (int, int), optional
        The shape of the blocks that thin lines set apart; without it there are no lines.
    width : float, optional
        Its share of the line's width. By default its number of columns, so that all matrices
        of a line are drawn to the same scale.
    largest : float, optional
        The size of entry that gets the full colour. By default the largest one of this matrix.

    Examples
    --------
    >>> import numpy as np
    >>> from kplib.plots import Pattern, patterns
    >>> A, B = np.eye(2), np.ones((2, 3))
    >>> W = Pattern(np.kron(A, B), "W", block=(2, 3))
    >>> line = [Pattern(A, "A"), "⊗", Pattern(B, "B"), "=", W]
    >>> picture = patterns(line, title="A product", description="One block for each entry of A.")
    >>> picture.svg.startswith("<svg")
    True
    """

    values: ArrayLike
    name: str
    block: tuple[int, int] | None = None
    width: float | None = None
    largest: float | None = None


Equation: TypeAlias = Sequence[Pattern | str]
"""Patterns, and the signs between them."""


def patterns(*lines: Equation, title: str, description: str) -> Picture:
    """Draw lines of matrices as pictures, with signs between them, like equations.

    Parameters
    ----------
    *lines : sequence of Pattern and str
        One or more lines. A string is a sign, such as "=", between two patterns.
    title : str
        What the figure is, in a few words.
    description : str
        What it shows, for a reader who does not see it. The names and sizes of all matrices are
        added to it.

    Returns
    -------
    Picture

    Raises
    ------
    ShapeError
        If a pattern is no matrix or has more than 1024 rows or columns, or its blocks do not tile
        it.
    DtypeError
        If entries are complex or not numeric.
    ValueError
        If there is no line, a line has no pattern, entries are not finite, or a width or a
        largest entry is not positive.

    Examples
    --------
    >>> import numpy as np
    >>> A, B = np.eye(3), np.ones((2, 5))
    >>> line = [Pattern(A, "A"), "⊗", Pattern(B, "B"), "=", Pattern(np.kron(A, B), "A ⊗ B")]
    >>> picture = patterns(line, title="Blocks", description="Three blocks on the diagonal.")
    >>> picture.description
    'Three blocks on the diagonal. Drawn: A (3×3) ⊗ B (2×5) = A ⊗ B (6×15).'
    """
    if not lines:
        raise ValueError("a figure needs at least one line of patterns, found none")
    panels = [_line(line) for line in lines]
    drawn = "; ".join(" ".join(map(_in_words, line)) for line in panels)
    with use_style():
        figure = _draw(panels)
    return Picture(figure, title, f"{description} Drawn: {drawn}.")


class _Panel(NamedTuple):
    """A checked pattern with its size in inches; the height is that of the picture alone."""

    values: NDArray[Any]
    name: str
    block: tuple[int, int] | None
    largest: float
    width: float
    height: float

    def draw(self, ax: Axes, left: float, top: float) -> None:
        rows, cols = self.values.shape
        ax.text(
            left + self.width / 2,
            top - _NAME / 2,
            self.name.replace("\u1d40", "$^T$"),
            ha="center",
            va="center",
            fontsize=9,
        )
        extent = (left, left + self.width, top + self.height, top)
        # "none": the page gets the matrix pixel by pixel, and scales it without smoothing.
        ax.imshow(_shades(self.values, self.largest), extent=extent, interpolation="none")
        mark_negative(ax, self.values, (left, top), (self.width / cols, self.height / rows))
        if self.block is None:
            return
        line: dict[str, Any] = {"color": INK, "linewidth": 0.5, "alpha": 0.45}
        for i in range(0, rows + 1, self.block[0]):
            y = top + i * self.height / rows
            ax.plot([left, left + self.width], [y, y], "-", marker="", **line)
        for j in range(0, cols + 1, self.block[1]):
            x = left + j * self.width / cols
            ax.plot([x, x], [top, top + self.height], "-", marker="", **line)


def mark_negative(
    ax: Axes, values: NDArray[Any], corner: tuple[float, float], cell: tuple[float, float]
) -> None:
    """Draw a bar, a minus sign, in every negative cell, if the cells have room for one.

    `corner` is the upper left one, `cell` the size of a cell, in inches: across and down.
    """
    if min(cell) < _ROOM_FOR_A_BAR:
        return
    rows, cols = np.nonzero(values < 0)
    x, y = corner[0] + (cols + 0.5) * cell[0], corner[1] + (rows + 0.5) * cell[1]
    half = min(0.25 * cell[0], 0.08)
    ax.hlines(y, x - half, x + half, colors=INK, linewidth=1.2)


def _line(parts: Equation) -> list[_Panel | str]:
    """Check a line of patterns, and give each its size."""
    checked = [part if isinstance(part, str) else _checked(part) for part in parts]
    panels = [part for part in checked if not isinstance(part, str)]
    if not panels:
        raise ValueError(f"a line needs at least one pattern, found {list(parts)}")
    room = WIDTH - 2 * MARGIN - _gaps(checked)
    scale = min(
        room / sum(panel.width for panel in panels),
        _TALLEST / max(panel.height for panel in panels),
    )
    return [
        part
        if isinstance(part, str)
        else part._replace(width=scale * part.width, height=scale * part.height)
        for part in checked
    ]


def _checked(pattern: Pattern) -> _Panel:
    """Return the pattern with the width that it asked for, and the height that follows from it."""
    name = repr(pattern.name)
    values = matrix(name, pattern.values)
    if values.dtype.kind == "c":
        raise DtypeError(f"{name} has dtype {values.dtype}; a figure shows real numbers")
    require_finite(name, values)
    rows, cols = values.shape
    if max(rows, cols) > LARGEST_PATTERN:
        raise ShapeError(f"{name} is {rows} x {cols}; a figure shows {LARGEST_PATTERN} at most")
    block = pattern.block
    if block is not None and (min(block) < 1 or rows % block[0] or cols % block[1]):
        raise ShapeError(f"blocks of {block[0]} x {block[1]} do not tile {name}, {rows} x {cols}")
    width = float(cols if pattern.width is None else pattern.width)
    largest = float(np.abs(values).max()) if pattern.largest is None else float(pattern.largest)
    if not width > 0 or (pattern.largest is not None and not largest > 0):
        raise ValueError(f"{name} needs a positive width and largest, found {width}, {largest}")
    return _Panel(values, pattern.name, block, largest or 1.0, width, width * rows / cols)


def _gaps(parts: Sequence[object]) -> float:
    """Return the inches of a line that signs, and gaps between neighbouring patterns, take."""
    signs = [isinstance(part, str) for part in parts]
    neighbours = sum(not a and not b for a, b in itertools.pairwise(signs))
    return _SIGN * sum(signs) + _BETWEEN * neighbours


def _shades(values: NDArray[Any], largest: float) -> NDArray[np.float64]:
    """Return the colour of every entry, as red, green, blue and opacity."""
    size = np.minimum(np.abs(values.astype(float)) / largest, 1.0)
    colors = np.empty((*values.shape, 4))
    colors[..., :3] = to_rgb(PALETTE["kronecker"])
    colors[values < 0, :3] = to_rgb(PALETTE["low_rank"])
    colors[..., 3] = _FAINT + (1 - _FAINT) * size**_GAMMA
    colors[values == 0] = (*to_rgb(PALETTE["dense"]), _FAINT)
    return colors


def _draw(lines: Sequence[Sequence[_Panel | str]]) -> Figure:
    """Draw lines below each other, the patterns of a line centred at one height."""
    heights = [max(p.height for p in line if not isinstance(p, str)) + _NAME for line in lines]
    height = sum(heights) + _LINE_GAP * (len(lines) - 1) + 2 * MARGIN
    figure = Figure(figsize=(WIDTH, height))
    figure.set_layout_engine("none")
    ax = figure.add_axes((0, 0, 1, 1))
    top = MARGIN
    for line, line_height in zip(lines, heights, strict=True):
        middle = top + _NAME + (line_height - _NAME) / 2
        used = sum(p.width for p in line if not isinstance(p, str)) + _gaps(line)
        left, after_panel = (WIDTH - used) / 2, False
        for part in line:
            if isinstance(part, str):
                ax.text(left + _SIGN / 2, middle, part, ha="center", va="center", fontsize=12)
                left += _SIGN
            else:
                left += _BETWEEN * after_panel
                part.draw(ax, left, middle - part.height / 2)
                left += part.width
            after_panel = not isinstance(part, str)
        top += line_height + _LINE_GAP
    # Last, because drawing an image sets limits of its own.
    ax.set(xlim=(0, WIDTH), ylim=(height, 0), aspect="auto")
    ax.set_axis_off()
    return figure


def _in_words(part: _Panel | str) -> str:
    if isinstance(part, str):
        return part
    rows, cols = part.values.shape
    return f"{part.name} ({rows}×{cols})"


def kron_entry(A: ArrayLike, B: ArrayLike, row: int, column: int) -> Picture:
    """Mark one entry of A (x) B, the two entries that it is made of, and its address.

    The rows of the product are labelled by ``row of A : row of B``, its columns likewise. Such a
    label is the index in mixed radix, as hours and minutes are.

    Parameters
    ----------
    A : array_like, shape (m1, n1)
        Left factor, real.
    B : array_like, shape (m2, n2)
        Right factor, real. The product has at most 8 rows and 8 columns.
    row, column : int
        The place of the entry in A (x) B, counted from 0.

    Returns
    -------
    Picture

    Raises
    ------
    ShapeError
        If a factor is no matrix, the product has more than 8 rows or columns, or does not have
        the row or the column.
    DtypeError
        If a factor is complex or not numeric.
    ValueError
        If an entry is not finite.

    Examples
    --------
    >>> kron_entry([[1, 2], [3, 1]], [[1, 0, 2], [2, 1, 4]], 3, 2).description
    'Row 3 is 1:1 and column 2 is 0:2, so the entry is A[1, 0] · B[1, 2] = 3 · 4 = 12.'
    """
    A, B = (_small_factor(name, value) for name, value in (("A", A), ("B", B)))
    W = np.kron(A, B)
    for what, index, count in (("row", row, W.shape[0]), ("column", column, W.shape[1])):
        if not 0 <= index < count:
            raise ShapeError(f"{what} {index} is outside A (x) B, which is {W.shape}")
    if max(W.shape) > _MOST_LABELS:
        raise ShapeError(f"A (x) B is {W.shape}; the figure shows {_MOST_LABELS} rows and columns")
    (i1, i2), (j1, j2) = divmod(row, B.shape[0]), divmod(column, B.shape[1])
    a, b, w = (number_text(v.item()) for v in (A[i1, j1], B[i2, j2], W[row, column]))
    with use_style():
        figure = _draw_entry((A, B), (i1, j1), (i2, j2))
    return Picture(
        figure,
        f"Entry ({row}, {column}) of a Kronecker product",
        f"Row {row} is {i1}:{i2} and column {column} is {j1}:{j2}, so the entry is "
        f"A[{i1}, {j1}] · B[{i2}, {j2}] = {a} · {b} = {w}.",
    )


_MOST_LABELS = 8
_LABEL = 0.34  # inches that the labels take at the left of the product
_SPACE = 0.34  # between the factors and the labels


def _small_factor(name: str, value: ArrayLike) -> NDArray[Any]:
    array = matrix(name, value)
    if array.dtype.kind == "c":
        raise DtypeError(f"{name} has dtype {array.dtype}; a figure shows real numbers")
    require_finite(name, array)
    return array.astype(np.int64) if array.dtype.kind == "b" else array


def _draw_entry(
    factors: tuple[NDArray[Any], NDArray[Any]], in_a: tuple[int, int], in_b: tuple[int, int]
) -> Figure:
    """Draw A above B at the left, and their product with its labels at the right."""
    A, B = factors
    a, b = (Grid(name, M, PALETTE["kronecker"]) for name, M in (("A", A), ("B", B)))
    w = Grid("W", np.kron(A, B), PALETTE["dense"], block=B.shape)
    left = max(a.width, b.width) + _SPACE + _LABEL
    width = max(WIDTH, left + w.width + 2 * MARGIN)
    stacked = a.height + _SIGN + b.height
    height = max(stacked, w.height + _NAME) + 2 * MARGIN
    figure = Figure(figsize=(width, height))
    figure.set_layout_engine("none")
    ax = figure.add_axes((0, 0, 1, 1))
    ax.set(xlim=(0, width), ylim=(height, 0))
    ax.set_axis_off()

    start, top = (width - left - w.width) / 2, (height - stacked) / 2
    _draw_marked(ax, a, start, top, in_a)
    ax.text(start + 0.13, top + a.height + _SIGN / 2, "⊗", ha="center", va="center", fontsize=11)
    _draw_marked(ax, b, start, top + a.height + _SIGN, in_b)
    equals = start + left - _LABEL - _SPACE / 2
    ax.text(equals, height / 2, "=", ha="center", va="center", fontsize=11)
    top = (height - w.height - _NAME) / 2
    place = (in_a[0] * B.shape[0] + in_b[0], in_a[1] * B.shape[1] + in_b[1])
    _draw_marked(ax, w, start + left, top, place)
    _draw_addresses(ax, w, start + left, top, place)
    return figure


def _draw_marked(ax: Axes, grid: Grid, left: float, top: float, place: tuple[int, int]) -> None:
    """Draw a grid, and a frame around one of its entries."""
    grid.draw(ax, left, top)
    across, down = grid.corner(*place)
    frame = Rectangle(
        (left + across, top + down),
        *grid.cell,
        facecolor="none",
        edgecolor=PALETTE["accent"],
        linewidth=2,
    )
    ax.add_patch(frame)


def _draw_addresses(ax: Axes, grid: Grid, left: float, top: float, place: tuple[int, int]) -> None:
    """Write the address of each row at the left of a product, of each column below it."""
    rows, cols = grid.values.shape
    for i in range(rows):
        y = top + grid.corner(i, 0)[1] + grid.cell[1] / 2
        weight = "bold" if i == place[0] else "normal"
        text = "{}:{}".format(*divmod(i, grid.block[0]))
        ax.text(left - 0.06, y, text, ha="right", va="center", fontsize=8, weight=weight)
    for j in range(cols):
        x = left + grid.corner(0, j)[0] + grid.cell[0] / 2
        weight = "bold" if j == place[1] else "normal"
        text = "{}:{}".format(*divmod(j, grid.block[1]))
        y = top + grid.height + 0.03
        ax.text(x, y, text, ha="center", va="top", fontsize=8, weight=weight)
