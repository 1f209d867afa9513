"""The product y = (A (x) B) x without A (x) B: its two sparse stages, its time, and a use of it."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine
from numpy.typing import ArrayLike, NDArray

from kplib._checks import matrix, require_finite
from kplib.errors import DtypeError, ShapeError
from kplib.plots.grid import MARGIN, Grid, Line, draw_lines
from kplib.plots.pattern import mark_negative
from kplib.plots.picture import Picture
from kplib.plots.style import PALETTE, WIDTH, technique, use_style
from kplib.shapes import FactorShape

LARGEST_STAGE = 96
"""Rows or columns of a stage that can still be told apart."""

_SIGNS = 0.66  # inches that the signs of a line and its margins take
_CELL = 0.14
_GAP = 0.26  # what `draw_lines` leaves for an empty sign


def sparse_stages(A: ArrayLike, B: ArrayLike) -> Picture:
    """Draw A (x) B as a product of two sparse matrices, one for each order.

    Applying B first is (A (x) I) (I (x) B), applying A first (I (x) B) (A (x) I). Each non-zero
    entry is one multiplication with a vector. Strong shades are large entries, blue ones negative.

    Parameters
    ----------
    A : array_like, shape (m1, n1)
        Left factor, real and without zeros.
    B : array_like, shape (m2, n2)
        Right factor, real and without zeros.

    Returns
    -------
    Picture

    Raises
    ------
    ShapeError
        If a factor is no matrix, or a stage would have more than 96 rows or columns.
    DtypeError
        If a factor is complex or not numeric.
    ValueError
        If a factor has zeros (the count of non-zeros would not be the one of the product's
        formula), NaN or infinite entries.

    Notes
    -----
    From the mixed-product property. The non-zeros number n1*m2*n2 + m1*m2*n1 with B first and
    m1*n1*n2 + m1*m2*n2 with A first: `kplib.FactorShape.macs_b_first` and ``macs_a_first``.

    Examples
    --------
    >>> picture = sparse_stages([[1, 2, 1], [3, 1, 2]], [[1, 2], [3, 1], [2, 2], [1, 4]])
    >>> "B first: 24 + 24 = 48" in picture.description
    True
    >>> "A first: 12 + 16 = 28" in picture.description
    True
    """
    A, B = _factor("A", A), _factor("B", B)
    (m1, n1), (m2, n2) = A.shape, B.shape
    shape = FactorShape(m1, n1, m2, n2)
    largest = max(shape.m, shape.n, n1 * m2, m1 * n2)
    if largest > LARGEST_STAGE:
        raise ShapeError(
            f"A {A.shape} and B {B.shape} make stages of up to {largest} rows or columns; "
            f"the figure shows at most {LARGEST_STAGE}"
        )
    orders = {
        "B first": [_stage("A", A, m2), _stage("B", B, n1)],
        "A first": [_stage("B", B, m1), _stage("A", A, n2)],
    }
    columns = shape.n + max(
        sum(values.shape[1] for _, values in stages) for stages in orders.values()
    )
    cell = min(_CELL, (WIDTH - _SIGNS) / columns)
    whole = _Shades("W", np.kron(A, B), PALETTE["dense"], cell)
    lines: list[tuple[str, Line]] = []
    words = []
    for order, stages in orders.items():
        counts = [int(np.count_nonzero(values)) for _, values in reversed(stages)]
        total = f"{order}: {counts[0]} + {counts[1]} = {sum(counts)}"
        left, right = (_Shades(name, values, PALETTE["kronecker"], cell) for name, values in stages)
        lines.append((f"{total} multiplications", [whole, "=", left, "·", right]))
        sizes = " times ".join(f"{name} ({_size(values)})" for name, values in stages)
        words.append(f"{total} non-zeros, W = {sizes}")
    dense = f"W = A ⊗ B is {shape.m}×{shape.n}, with {shape.m * shape.n} entries"
    description = f"{dense}. {'. '.join(words)}."
    return Picture(draw_lines(lines), "A Kronecker product as two sparse products", description)


def _factor(name: str, value: ArrayLike) -> NDArray[Any]:
    array = _real(name, value)
    zeros = array.size - int(np.count_nonzero(array))
    if zeros:
        raise ValueError(f"{name} has {zeros} zeros; the figure counts a multiplication an entry")
    return array


def _real(name: str, value: ArrayLike) -> NDArray[Any]:
    array = matrix(name, value)
    if array.dtype.kind == "c":
        raise DtypeError(f"{name} has dtype {array.dtype}; a figure shows real numbers")
    require_finite(name, array)
    return array


def _stage(name: str, factor: NDArray[Any], copies: int) -> tuple[str, NDArray[Any]]:
    """Return A (x) I or I (x) B with its name."""
    identity = np.eye(copies, dtype=int)
    subscript = str(copies).translate(str.maketrans("0123456789", "₀₁₂₃₄₅₆₇₈₉"))
    if name == "A":
        return f"A⊗I{subscript}", np.kron(factor, identity)
    return f"I{subscript}⊗B", np.kron(identity, factor)


def _size(values: NDArray[Any]) -> str:
    return f"{values.shape[0]}×{values.shape[1]}"


class _Shades(Grid):
    """A matrix in shades, however small, with square cells of a given size in inches."""

    def __init__(self, name: str, values: NDArray[Any], color: str, cell: float) -> None:
        super().__init__(name, values, color)
        caption = self.height - values.shape[0] * self.cell[1]
        self.as_numbers = False
        self.cell = (cell, cell)
        self.width = values.shape[1] * cell
        self.height = values.shape[0] * cell + caption

    def draw(self, ax: Axes, left: float, top: float) -> None:
        """Draw the shades, and a bar in each negative entry, where there is room."""
        super().draw(ax, left, top)
        mark_negative(ax, self.values, (left, top + self.corner(0, 0)[1]), self.cell)


def product_times(
    times: Mapping[str, Mapping[str, float]], structures: Mapping[str, str]
) -> Picture:
    """Draw the time of one product, computed in several ways, for several matrices.

    Parameters
    ----------
    times : mapping of str to mapping of str to float
        For each matrix, by its title, the seconds of one product by the name of the way.
    structures : mapping of str to str
        For each way the technique that it is drawn as, see `technique`: "dense" or "kp".

    Returns
    -------
    Picture

    Raises
    ------
    ValueError
        If there is nothing to draw, the matrices do not have the same ways, a way has no
        structure, or a time is negative or not finite.

    Examples
    --------
    >>> picture = product_times(
    ...     {"118 × 128": {"np.dot": 9e-7, "compiled": 4e-8}},
    ...     {"np.dot": "dense", "compiled": "kp"},
    ... )
    >>> "118 × 128: np.dot 900 ns, compiled 40 ns" in picture.description
    True
    """
    ways = list(next(iter(times.values()), {}))
    if not ways or any(list(seconds) != ways for seconds in times.values()):
        found = {title: list(seconds) for title, seconds in times.items()}
        raise ValueError(f"each matrix needs the same ways in the same order, found {found}")
    missing = [way for way in ways if way not in structures]
    if missing:
        raise ValueError(f"structures has no entry for {', '.join(missing)}")
    colors = [PALETTE[technique(structures[way])] for way in ways]
    with use_style():
        layout = ConstrainedLayoutEngine(h_pad=0.09)
        height = (0.45 + 0.25 * len(ways)) * len(times)
        figure = Figure(figsize=(WIDTH, height), layout=layout)
        panels = figure.subplots(len(times), 1, squeeze=False)[:, 0]
        for ax, (title, seconds) in zip(panels, times.items(), strict=True):
            values = np.array([seconds[way] for way in ways], np.float64)
            require_finite(f"times[{title!r}]", values)
            if values.min() < 0:
                raise ValueError(f"times[{title!r}] has {values.min():g} seconds")
            _time_bars(ax, f"{title} (ns)", ways, values * 1e9, colors)
    words = "; ".join(
        f"{title}: " + ", ".join(f"{way} {seconds[way] * 1e9:,.0f} ns" for way in ways)
        for title, seconds in times.items()
    )
    return Picture(figure, "Time of one product", f"{words}.")


def _time_bars(
    ax: Axes, title: str, ways: list[str], values: NDArray[np.float64], colors: list[str]
) -> None:
    """Draw horizontal bars from zero, the first way on top, with the value at the end of each."""
    ax.barh(range(len(ways)), values, height=0.62, color=colors)
    for place, value in enumerate(values):
        ax.annotate(
            f"{value:,.0f}", (value, place), (4, 0), textcoords="offset points", va="center"
        )
    ax.set_title(title)
    ax.set_yticks(range(len(ways)), ways)
    ax.set(xlim=(0, 1.2 * (values.max() or 1.0)), ylim=(len(ways) - 0.4, -0.6))
    ax.tick_params(axis="y", length=0)
    ax.grid(visible=False)
    ax.xaxis.set_visible(False)
    for side in ("bottom", "left"):
        ax.spines[side].set_visible(False)


def image_transform(matrices: Mapping[str, ArrayLike]) -> Picture:
    """Draw an image, its transform and what comes back, side by side in shades.

    Parameters
    ----------
    matrices : mapping of str to array_like, shape (rows, columns)
        What to draw, by name: up to four real matrices of one shape. Strong shades are large
        entries, each matrix relative to its own largest; negative ones are blue and carry a bar.

    Returns
    -------
    Picture

    Raises
    ------
    ShapeError
        If there are none or more than four, or their shapes differ.
    DtypeError
        If a matrix is complex or not numeric.

    Examples
    --------
    >>> picture = image_transform({"x": [[1, 2], [0, 4]], "y": [[3, -1], [0, 0]]})
    >>> "y: largest entry 3, 2 of 4 are not zero" in picture.description
    True
    """
    arrays = {name: _real(name, value) for name, value in matrices.items()}
    shapes = {array.shape for array in arrays.values()}
    if not 1 <= len(arrays) <= 4 or len(shapes) != 1:
        found = ", ".join(f"{name} {array.shape}" for name, array in arrays.items()) or "none"
        raise ShapeError(f"one to four matrices of one shape are needed, found {found}")
    (shape,) = shapes
    room = WIDTH - 2 * MARGIN - (len(arrays) - 1) * _GAP
    cell = min(0.17, room / (len(arrays) * shape[1]))
    grids = [_Shades(name, array, PALETTE["kronecker"], cell) for name, array in arrays.items()]
    line: list[Grid | str] = []
    for grid in grids:
        line += [grid, ""]
    words = "; ".join(
        f"{name}: largest entry {np.abs(array).max():.4g}, {np.count_nonzero(array)} of "
        f"{array.size} are not zero"
        for name, array in arrays.items()
    )
    size = f"{shape[0]}×{shape[1]}"
    return Picture(draw_lines([("", line[:-1])]), f"Matrices of {size}", f"{words}.")
