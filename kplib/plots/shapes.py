"""The choice of factor shapes: what each one costs, and which of them no other one beats."""

import operator
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Rectangle
from matplotlib.ticker import (
    FixedLocator,
    FuncFormatter,
    MaxNLocator,
    NullLocator,
    PercentFormatter,
)

from kplib._checks import positive_integer
from kplib.errors import ShapeError
from kplib.plots.picture import Picture
from kplib.plots.style import INK, MARKERS, PALETTE, WIDTH, use_style
from kplib.shapes import (
    FactorShape,
    algorithm4,
    as_factor_shape,
    factor_shapes,
    full_rank_shapes,
)


class _Cost(NamedTuple):
    """What a matrix costs whose lower rows are a Kronecker product: dense rows included."""

    params: int
    macs: int
    rank: int


def _cost(shape: FactorShape, rows: int) -> _Cost:
    dense = rows * shape.n
    rank = min(rows + shape.rank, rows + shape.m, shape.n)
    return _Cost(shape.params + dense, shape.macs + dense, rank)


def _dominates(one: _Cost, other: _Cost) -> bool:
    """Return whether `one` is better somewhere and worse nowhere."""
    no_worse = one.params <= other.params and one.macs <= other.macs and one.rank >= other.rank
    return no_worse and one != other


def shape_map(
    m: int, n: int, shape: FactorShape | Sequence[int] | None = None, rows: int = 0
) -> Picture:
    """Draw every factor shape of a matrix: its rank bound against parameters and multiplications.

    It stands for `kplib.widgets.ShapeExplorer` where nothing can move. A shape and its mirror image
    (B's shape and A's changed over) cost the same and share a point. Filled points are the Pareto
    front of all three goals; the stairs join, in each panel, the best rank bound for that cost.
    No shape of whatever size lies left of the dotted lines, P >= 2 sqrt(m n) and
    M >= 2 sqrt(m n R).

    Parameters
    ----------
    m, n : int
        Rows and columns of the matrix, at least 1.
    shape : FactorShape or sequence of four int, optional
        A shape of the (m - rows) x n matrix to point out.
    rows : int
        The hybrid's dense rows on top, 0 to m - 1. They count in all three: rows * n parameters
        and multiplications, and up to `rows` in the rank.

    Returns
    -------
    Picture

    Raises
    ------
    ShapeError
        If m or n is not a positive integer, rows is not in 0 to m - 1, or `shape` is not one of
        the (m - rows) x n matrix.

    Notes
    -----
    O(s^2) for s factor shapes.

    Examples
    --------
    >>> picture = shape_map(118, 128)
    >>> "Algorithm 4 gives (59, 8) x (2, 16): 504 parameters" in picture.description
    True
    """
    m, n, rows = _sizes(m, n, rows)
    every = factor_shapes(m - rows, n)
    chosen = None if shape is None else as_factor_shape(shape)
    if chosen is not None and chosen not in every:
        raise ShapeError(
            f"shape {chosen} is {chosen.m} x {chosen.n}, but the matrix without its {rows} dense "
            f"rows is {m - rows} x {n}"
        )
    rule = _rule(m - rows, n)
    costs = {_cost(one, rows) for one in every}
    front = {cost for cost in costs if not any(_dominates(other, cost) for other in costs)}
    marked = {
        name: _cost(one, rows)
        for name, one in (("Algorithm 4", rule), ("chosen", chosen))
        if one is not None
    }
    with use_style():
        figure = Figure(figsize=(WIDTH, 3.3))
        left, right = figure.subplots(1, 2, sharey=True)
        _scatter(left, "Parameters", operator.attrgetter("params"), costs, front, marked)
        _scatter(right, "Multiplications", operator.attrgetter("macs"), costs, front, marked)
        left.set_ylabel("Rank, at most")
        _draw_bounds(left, right, m, n, rows)
        _log_ticks(left.yaxis, [cost.rank for cost in costs], (1, 2, 4, 8), str)
        handles = _legend(marked, dominated=bool(costs - front))
        figure.legend(handles=handles, loc="outside upper center", ncols=2, columnspacing=1.2)
    dense = f" under {rows} dense row{'s' * (rows > 1)}" if rows else ""
    title = f"Factor shapes of a {m}×{n} matrix{dense}"
    return Picture(figure, title, _map_in_words(every, rows, rule, chosen))


def _sizes(m: int, n: int, rows: int) -> tuple[int, int, int]:
    m, n = positive_integer("m", m), positive_integer("n", n)
    try:
        count = operator.index(rows)
    except TypeError:
        count = -1
    if not 0 <= count < m:
        raise ShapeError(f"rows must be an integer from 0 to m - 1 = {m - 1}, found {rows!r}")
    return m, n, count


_LOOKS: Mapping[str, Mapping[str, Any]] = {
    "dominated": {"marker": "o", "mfc": "none", "mec": PALETTE["dense"], "mew": 1.0, "ms": 4.5},
    "front": {"marker": "o", "mfc": PALETTE["low_rank"], "mec": PALETTE["low_rank"], "ms": 5},
    "Algorithm 4": {
        "marker": MARKERS["kronecker"],
        "mfc": PALETTE["kronecker"],
        "mec": PALETTE["kronecker"],
        "ms": 7,
    },
    # A ring, so that what it is around stays to be seen.
    "chosen": {"marker": "o", "mfc": "none", "mec": PALETTE["accent"], "mew": 2.0, "ms": 12},
}


def _scatter(
    ax: Axes,
    label: str,
    measure: Callable[[_Cost], int],
    costs: set[_Cost],
    front: set[_Cost],
    marked: Mapping[str, _Cost],
) -> None:
    """Draw one panel: points, the stairs of the best rank bound, and what is marked."""
    ax.set(xscale="log", yscale="log", xlabel=label)
    stairs: list[tuple[int, int]] = []
    for cost in sorted(costs, key=lambda cost: (measure(cost), -cost.rank)):
        if not stairs or cost.rank > stairs[-1][1]:
            stairs.append((measure(cost), cost.rank))
    ax.plot(
        *zip(*stairs, strict=True),
        drawstyle="steps-post",
        marker="none",
        color=PALETTE["low_rank"],
        lw=1.2,
        alpha=0.7,
    )
    groups = {"dominated": costs - front, "front": front}
    groups |= {name: {cost} for name, cost in marked.items()}
    for name, points in groups.items():
        ordered = sorted(points)
        x = [measure(cost) for cost in ordered]
        ax.plot(x, [cost.rank for cost in ordered], ls="", zorder=3, **_LOOKS[name])
    ax.margins(0.1)
    _log_ticks(ax.xaxis, [measure(cost) for cost in costs], (1, 3), _short)


def _draw_bounds(left: Axes, right: Axes, m: int, n: int, rows: int) -> None:
    """Draw P = 2 sqrt(m n) and M = 2 sqrt(m n R), with the hybrid's dense rows on top of both."""
    size, dense = (m - rows) * n, rows * n
    ranks = np.geomspace(1, min(m - rows, n), 60)
    style: dict[str, Any] = {"marker": "none", "ls": ":", "color": INK, "lw": 1.1}
    left.plot(dense + 2 * np.sqrt(size) * np.ones_like(ranks), rows + ranks, **style)
    right.plot(dense + 2 * np.sqrt(size * ranks), rows + ranks, **style)


def _log_ticks(
    axis: Axis, values: Sequence[int], steps: Sequence[int], text: Callable[[int], str]
) -> None:
    """Put few ticks with plain numbers on a logarithmic axis: powers of 10 (or 16) times steps."""
    base = 16 if len(steps) == 4 else 10
    low, high = min(values) * 0.8, max(values) * 1.25
    ticks = [base**power * step for power in range(10) for step in steps]
    axis.set_major_locator(FixedLocator([tick for tick in ticks if low <= tick <= high]))
    axis.set_minor_locator(NullLocator())
    axis.set_major_formatter(FuncFormatter(lambda value, _: text(round(value))))


def _short(value: int) -> str:
    """Return 3000 as 3k, so that ticks have room."""
    for size, letter in ((10**6, "M"), (10**3, "k")):
        if value >= size:
            return f"{value / size:g}{letter}"
    return str(value)


def _legend(marked: Mapping[str, _Cost], *, dominated: bool) -> list[Line2D]:
    names = {"front": "Pareto front", **{name: name for name in marked}}
    if dominated:
        names["dominated"] = "beaten"
    handles = [Line2D([], [], ls="", label=label, **_LOOKS[key]) for key, label in names.items()]
    line = Line2D([], [], marker="none", ls=":", color=INK, lw=1.1, label="lower bound")
    return [*handles, line]


def _map_in_words(
    every: Sequence[FactorShape], rows: int, rule: FactorShape | None, chosen: FactorShape | None
) -> str:
    """Return the numbers of `shape_map`: ranges, Algorithm 4's, the chosen one's, two extremes."""
    cost = {shape: _cost(shape, rows) for shape in every}
    ranges = [f"{min(values):,} to {max(values):,}" for values in zip(*cost.values(), strict=True)]
    highest = max(one.rank for one in cost.values())
    named = {
        "Algorithm 4 gives": rule,
        "The chosen one is": chosen,
        "The fewest parameters has": min(every, key=lambda s: (cost[s].params, -cost[s].rank)),
        f"Rank {highest} for the fewest parameters has": min(
            (shape for shape in every if cost[shape].rank == highest), key=cost.__getitem__
        ),
    }
    words = [
        f"{len(every)} factor shapes, a mirror image at the same point. Parameters: {ranges[0]}. "
        f"Multiplications: {ranges[1]}. Rank bound: {ranges[2]}"
    ]
    for what, shape in named.items():
        if shape is not None:
            one = cost[shape]
            words.append(
                f"{what} {shape}: {one.params:,} parameters, {one.macs:,} multiplications, "
                f"rank {one.rank} at most"
            )
    if rule is None:
        words.append("Algorithm 4 is undefined here")
    return ". ".join(words) + "."


def shape_outlines(shapes: Sequence[FactorShape | Sequence[int]]) -> Picture:
    """Draw the factors of several shapes to scale, with what each costs.

    Parameters
    ----------
    shapes : sequence of FactorShape or of four int
        What to draw, two in a line; no factor has more than 12 rows or columns.

    Returns
    -------
    Picture

    Raises
    ------
    ShapeError
        If there is none, one is not a factor shape, or a factor is larger than 12.

    Examples
    --------
    >>> picture = shape_outlines([(6, 1, 1, 4), (3, 2, 2, 2)])
    >>> "(3, 2) x (2, 2): 10 parameters, 20 multiplications, rank 4 at most" in picture.description
    True
    """
    drawn = [as_factor_shape(shape) for shape in shapes]
    if not drawn:
        raise ShapeError("there are no shapes to draw")
    for shape in drawn:
        if max(shape.a_shape + shape.b_shape) > _LARGEST_OUTLINE:
            raise ShapeError(
                f"{shape} has a factor with more than {_LARGEST_OUTLINE} rows or columns"
            )
    lines = [drawn[k : k + 2] for k in range(0, len(drawn), 2)]
    column = (WIDTH - 0.1) / 2
    widest = max(shape.n1 + shape.n2 for shape in drawn)
    cell = min(0.15, (column - 0.5) / widest)
    indent = 0.1 + max(0, (column - max(1.25, 0.24 + widest * cell)) / 2)
    heights = [max(max(s.m1, s.m2) for s in line) * cell + 0.62 for line in lines]
    with use_style():
        figure = Figure(figsize=(WIDTH, sum(heights)))
        figure.set_layout_engine("none")
        ax = figure.add_axes((0, 0, 1, 1))
        ax.set(xlim=(0, WIDTH), ylim=(sum(heights), 0))
        ax.axis("off")
        for line, height, bottom in zip(lines, heights, np.cumsum(heights), strict=True):
            for place, shape in enumerate(line):
                _draw_outline(
                    ax, shape, indent + place * column, bottom - height, height - 0.62, cell
                )
    words = [
        f"{shape}: {shape.params:,} parameters, {shape.macs:,} multiplications, "
        f"rank {shape.rank} at most"
        for shape in drawn
    ]
    return Picture(figure, "Factor shapes to scale", "; ".join(words) + ".")


_LARGEST_OUTLINE = 12


def _draw_outline(
    ax: Axes, shape: FactorShape, left: float, top: float, height: float, cell: float
) -> None:
    """Draw A, the sign and B on one base line, and two lines of text below; all in inches."""
    base, right = top + 0.08 + height, left
    for rows, columns in (shape.a_shape, shape.b_shape):
        if right > left:
            ax.text(right + 0.12, base - cell / 2, "⊗", ha="center", va="center")
            right += 0.24
        for i in range(rows):
            for j in range(columns):
                corner = right + j * cell, base - (i + 1) * cell
                ax.add_patch(Rectangle(corner, 0.88 * cell, 0.88 * cell, fc=PALETTE["kronecker"]))
        right += columns * cell
    ax.text(left, base + 0.12, f"{shape.a_shape} ⊗ {shape.b_shape}", va="center", weight="bold")
    text = f"P {shape.params}, M {shape.macs}, R {shape.rank}"
    ax.text(left, base + 0.28, text, va="center")


def hidden_size_costs(input_size: int, hidden_sizes: Sequence[int]) -> Picture:
    """Draw what a gate matrix costs at each hidden size: Algorithm 4's shape, and full rank's.

    Parameters
    ----------
    input_size : int
        Entries of one input: a gate matrix of h hidden units is h x (input_size + h).
    hidden_sizes : sequence of int
        The hidden sizes, each at least 2.

    Returns
    -------
    Picture

    Raises
    ------
    ShapeError
        If a size is not a positive integer, a hidden size is 1, or there is none.

    Notes
    -----
    Where Algorithm 4 is undefined it has no point. The line is 2 sqrt(m n), which no shape beats.

    Examples
    --------
    >>> picture = hidden_size_costs(10, range(110, 131))
    >>> "120 hidden units: 278 and rank 60, 256 and rank 120" in picture.description
    True
    """
    inputs = positive_integer("input_size", input_size)
    sizes = [positive_integer("hidden_sizes", size) for size in hidden_sizes]
    if not sizes or min(sizes) < 2:
        raise ShapeError(f"hidden_sizes must be integers from 2 on, found {list(sizes)}")
    rule = {h: shape for h in sizes if (shape := _rule(h, inputs + h))}
    full = {h: full_rank_shapes(h, inputs + h)[0] for h in sizes}
    with use_style():
        figure = Figure(figsize=(WIDTH, 4.1))
        upper, lower = figure.subplots(2, 1, sharex=True, height_ratios=(3, 2))
        for looks, shapes, label in (
            ("Algorithm 4", rule, "Algorithm 4"),
            ("front", full, "cheapest of full rank"),
        ):
            style = {**_LOOKS[looks], "ms": 4.5, "ls": "", "label": label}
            upper.plot(list(shapes), [s.params for s in shapes.values()], **style)
            lower.plot(list(shapes), [s.rank / s.m for s in shapes.values()], **style)
        floor = [2 * np.sqrt(h * (h + inputs)) for h in sizes]
        upper.plot(sizes, floor, ":", color=INK, marker="none", lw=1.3, label="lower bound")
        upper.set(yscale="log", ylim=(min(floor) * 0.75, None))
        upper.set_title("Parameters of one gate")
        _log_ticks(
            upper.yaxis, [s.params for s in [*rule.values(), *full.values()]], (1, 3), _short
        )
        lower.set(ylim=(0, 1.08), xlabel="Hidden size")
        lower.set_title("Rank bound, of full rank")
        lower.yaxis.set_major_formatter(PercentFormatter(1.0, decimals=0))
        lower.xaxis.set_major_locator(MaxNLocator(integer=True, nbins=7, steps=[1, 2, 5, 10]))
        handles, labels = upper.get_legend_handles_labels()
        figure.legend(handles, labels, loc="outside upper center", ncols=2, columnspacing=1.2)
    words = "; ".join(
        f"{h} hidden units: "
        + (f"{rule[h].params} and rank {rule[h].rank}" if h in rule else "undefined")
        + f", {full[h].params} and rank {full[h].rank}"
        for h in sizes
    )
    what = (
        f"Parameters and rank bound by Algorithm 4, then of the cheapest full-rank shape. {words}."
    )
    return Picture(figure, f"Gate matrices for an input of {inputs}", what)


def _rule(m: int, n: int) -> FactorShape | None:
    try:
        return algorithm4(m, n)
    except ShapeError:
        return None


def macs_and_times(seconds: Mapping[FactorShape, float]) -> Picture:
    """Draw the multiplications of several shapes beside the time that each one takes.

    Parameters
    ----------
    seconds : mapping of FactorShape to float
        Seconds of one product; drawn in the order of their multiplications.

    Returns
    -------
    Picture

    Raises
    ------
    ValueError
        If there is none, or a time is not positive and finite.

    Examples
    --------
    >>> picture = macs_and_times({FactorShape(59, 8, 2, 16): 3e-8})
    >>> "(59, 8) x (2, 16): 1,200 multiplications, 30 ns" in picture.description
    True
    """
    if not seconds:
        raise ValueError("there are no times to draw")
    shapes = sorted(seconds, key=lambda shape: (shape.macs, shape.params))
    times = [1e9 * float(seconds[shape]) for shape in shapes]
    if not all(0 < time < np.inf for time in times):
        raise ValueError(f"times must be positive and finite, found {list(seconds.values())}")
    with use_style():
        figure = Figure(figsize=(WIDTH, 0.75 + 0.25 * len(shapes)))
        left, right = figure.subplots(1, 2, sharey=True)
        for ax, title, values in (
            (left, "Multiplications", [shape.macs for shape in shapes]),
            (right, "Time (ns)", times),
        ):
            ax.barh(range(len(values)), values, height=0.62, color=PALETTE["kronecker"])
            for place, value in enumerate(values):
                offset = {"xytext": (3, 0), "textcoords": "offset points"}
                ax.annotate(f"{value:,.0f}", (value, place), va="center", **offset)
            ax.set(title=title, xlim=(0, 1.5 * max(values)))
            ax.grid(visible=False)
            ax.xaxis.set_visible(False)
            ax.spines[["left", "bottom"]].set_visible(False)
        names = [f"{shape.a_shape} ⊗ {shape.b_shape}" for shape in shapes]
        left.set_yticks(range(len(shapes)), names)
        left.set_ylim(len(shapes) - 0.4, -0.6)
        for ax in (left, right):
            ax.tick_params(axis="y", length=0)
    words = [
        f"{shape}: {shape.macs:,} multiplications, {time:,.0f} ns"
        for shape, time in zip(shapes, times, strict=True)
    ]
    return Picture(figure, "Multiplications and time of one product", "; ".join(words) + ".")
