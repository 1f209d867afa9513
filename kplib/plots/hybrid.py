"""Hybrids: what each number of dense rows costs and buys, in numbers and to scale."""

import operator
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
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
from kplib.shapes import FactorShape, as_factor_shape, hybrid_shapes


def hybrid_sizes(
    m: int,
    n: int,
    rows: int | None = None,
    *,
    compressions: Sequence[float] = (10, 20),
    most: int | None = None,
) -> Picture:
    """Draw what each number r of dense rows makes of an m x n hybrid: size, rank, multiplications.

    It stands for `kplib.widgets.HybridDial` where nothing can move. Where m - r is a prime or 1,
    Algorithm 4 has no factors: there is no point, and a tick at the foot of each panel.

    Parameters
    ----------
    m, n : int
        Rows and columns of the matrix, at least 1.
    rows : int, optional
        The r to point out, 0 to m - 1.
    compressions : sequence of float
        Dashed lines: so many times fewer parameters than the dense matrix, each with the r that
        comes closest from below the line, as `kplib.nn.Hybrid.for_compression` chooses it.
    most : int, optional
        The largest r that is drawn. By default a quarter of m, or more if `rows` or one of the
        compressions asks for it.

    Returns
    -------
    Picture

    Raises
    ------
    ShapeError
        If m or n is not a positive integer, `rows` or `most` is not in 0 to m - 1, or there is no
        r with factors at all.
    ValueError
        If a compression is below 1.

    Examples
    --------
    >>> picture = hybrid_sizes(118, 128)
    >>> "r = 0: 504 parameters, rank 16 at most, 1,200 multiplications" in picture.description
    True
    >>> "20 times: r = 3, 648 parameters" in picture.description
    True
    """
    m, n = positive_integer("m", m), positive_integer("n", n)
    shapes = hybrid_shapes(m, n)
    if not shapes:
        raise ShapeError(
            f"Algorithm 4 has no factors for {m} x {n}, whatever the number of dense rows"
        )
    if any(not compression >= 1 for compression in compressions):
        raise ValueError(f"compressions must be numbers from 1 on, found {list(compressions)}")
    chosen = None if rows is None else _row_count("rows", rows, m)
    costs = {r: _cost(shape, r) for r, shape in shapes.items()}
    nearest = {c: closest_rows(m, n, c) for c in compressions}
    found = [r for r in nearest.values() if r is not None]
    last = max([m // 4, 3, chosen or 0, *found]) if most is None else _row_count("most", most, m)
    last = min(last, m - 1)
    if not any(r <= last for r in costs):
        raise ShapeError(f"no r up to {last} leaves a number of rows that factors")
    gaps = [r for r in range(last + 1) if r not in shapes]
    with use_style():
        figure = Figure(figsize=(WIDTH, 5.0))
        panels = figure.subplots(3, 1, sharex=True, height_ratios=(5, 3, 3))
        titles = ("Parameters", "Rank, at most", "Multiplications")
        for which, (ax, title) in enumerate(zip(panels, titles, strict=True)):
            points = {r: cost[which] for r, cost in costs.items() if r <= last}
            _panel(ax, title, points, gaps, chosen, log=which == 0)
        _targets(panels[0], m * n, nearest, costs, last)
        panels[-1].set(xlabel="Dense rows r", xlim=(-0.02 * last - 0.4, last * 1.02 + 0.4))
        panels[-1].xaxis.set_major_locator(MaxNLocator(integer=True, nbins=8))
    title = f"Hybrids of a {m}×{n} matrix by dense rows"
    return Picture(figure, title, _in_words(m, n, costs, nearest, gaps, chosen, last))


def closest_rows(m: int, n: int, compression: float) -> int | None:
    """Return the r whose m x n hybrid is the largest that compresses so much; None if none does.

    Parameters
    ----------
    m, n : int
        Rows and columns of the matrix.
    compression : float
        Entries of the dense matrix over the parameters that replace them.

    Returns
    -------
    int or None
        Of equal sizes the smallest r, as `kplib.nn.Hybrid.for_compression` has it.

    Examples
    --------
    >>> closest_rows(118, 128, 10), closest_rows(118, 128, 1000) is None
    (8, True)
    """
    sizes = {r: _cost(shape, r)[0] for r, shape in hybrid_shapes(m, n).items()}
    fitting = [r for r, size in sizes.items() if size * compression <= m * n]
    return max(fitting, key=lambda r: (sizes[r], -r), default=None)


def _cost(shape: FactorShape, rows: int) -> tuple[int, int, int]:
    """Return parameters, rank bound and multiplications of the hybrid."""
    dense = rows * shape.n
    return shape.params + dense, min(shape.n, shape.rank + rows), shape.macs + dense


def _row_count(name: str, value: object, m: int) -> int:
    try:
        count = operator.index(value)  # type: ignore[arg-type]
    except TypeError:
        count = -1
    if not 0 <= count < m:
        raise ShapeError(f"{name} must be an integer from 0 to m - 1 = {m - 1}, found {value!r}")
    return count


def _panel(
    ax: Axes,
    title: str,
    points: Mapping[int, int],
    gaps: Sequence[int],
    chosen: int | None,
    *,
    log: bool,
) -> None:
    """Draw one quantity against r: a point each, a foot tick for each gap, a ring."""
    ax.set_title(title)
    r, values = list(points), list(points.values())
    ax.plot(r, values, "-", color=PALETTE["hybrid"], lw=0.8, alpha=0.45, marker="none")
    size = 4.5 if len(r) < 60 else 2.5
    ax.plot(r, values, ls="", marker=MARKERS["hybrid"], ms=size, color=PALETTE["hybrid"])
    if log:
        ax.set_yscale("log")
        low, high = min(values) * 0.75, max(values) * 1.35
        ax.set_ylim(low, high)
        steps = (1, 2, 5) if high / low > 6 else (1, 1.5, 2, 3, 4, 5, 7)
        ticks = [step * 10**power for power in range(8) for step in steps]
        ax.yaxis.set_major_locator(FixedLocator([t for t in ticks if low <= t <= high]))
        ax.yaxis.set_minor_locator(NullLocator())
    else:
        ax.set_ylim(0, max(values) * 1.1)
        ax.yaxis.set_major_locator(MaxNLocator(nbins=4, integer=True))
    ax.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.0f}"))
    foot = ax.get_xaxis_transform()
    for gap in gaps:
        ax.plot([gap, gap], [0, 0.06], "-", color=INK, lw=1.2, marker="none", transform=foot)
    if chosen is not None:
        ax.axvline(chosen, color=PALETTE["accent"], lw=1.1, alpha=0.6)
        if chosen in points:
            ring: dict[str, Any] = {"mfc": "none", "mec": PALETTE["accent"], "mew": 2.0, "ms": 11}
            ax.plot([chosen], [points[chosen]], ls="", marker="o", **ring)


def _targets(
    ax: Axes,
    size: int,
    nearest: Mapping[float, int | None],
    costs: Mapping[int, tuple[int, int, int]],
    last: int,
) -> None:
    """Draw the compressions as dashed lines, with the r that each one leads to."""
    low, high = ax.get_ylim()
    for compression, r in nearest.items():
        if not low < size / compression < high:
            continue
        ax.axhline(size / compression, ls="--", color=INK, lw=1.0)
        text = f"{compression:g}×" + ("" if r is None else f": r = {r}")
        ax.annotate(
            text, (1, size / compression), (-2, -3), xycoords=("axes fraction", "data"),
            textcoords="offset points", ha="right", va="top",
        )  # fmt: skip
        if r is not None and r <= last:
            ax.plot([r], [costs[r][0]], ls="", marker="s", mfc="none", mec=INK, mew=1.4, ms=9)


def _in_words(
    m: int,
    n: int,
    costs: Mapping[int, tuple[int, int, int]],
    nearest: Mapping[float, int | None],
    gaps: Sequence[int],
    chosen: int | None,
    last: int,
) -> str:
    """Return the numbers of `hybrid_sizes`."""

    def numbers(r: int) -> str:
        params, rank, macs = costs[r]
        return (
            f"r = {r}: {params:,} parameters, rank {rank} at most, {macs:,} multiplications, "
            f"{m * n / params:.1f} times smaller than dense"
        )

    first, smallest = min(costs), min(costs, key=lambda r: costs[r][0])
    words = [f"r from 0 to {last}"]
    words += [numbers(r) for r in dict.fromkeys((first, smallest))]
    if chosen is not None:
        known = numbers(chosen) if chosen in costs else f"r = {chosen} leaves no factors"
        words.append(f"Chosen is {known}")
    for compression, r in nearest.items():
        found = "no r" if r is None else f"r = {r}, {costs[r][0]:,} parameters"
        words.append(f"{compression:g} times: {found}")
    if gaps:
        words.append(f"No factors at r = {', '.join(map(str, gaps))}")
    return ". ".join(words) + "."


def hybrid_blocks(rows: int, shape: FactorShape | Sequence[int]) -> Picture:
    """Draw a hybrid matrix to scale: dense rows on top, the blocks of the product below.

    Parameters
    ----------
    rows : int
        Dense rows, 0 or more.
    shape : FactorShape or sequence of four int
        The shapes of A and B.

    Returns
    -------
    Picture

    Raises
    ------
    ShapeError
        If `rows` is negative or `shape` no factor shape, or the matrix has more than 64 rows or
        columns, or more than 1,024 entries.

    Examples
    --------
    >>> picture = hybrid_blocks(2, (3, 2, 2, 4))
    >>> "An 8 by 8 matrix" in picture.description
    True
    """
    s = as_factor_shape(shape)
    r = _row_count("rows", rows, 65)
    m = r + s.m
    if max(m, s.n) > 64 or m * s.n > 1024:
        raise ShapeError(
            f"the matrix is {m} x {s.n}; 64 rows or columns and 1,024 entries can be drawn"
        )
    cell = min(0.2, (WIDTH - 0.9) / (s.n + s.n1 + s.n2 + 1))
    top, height = 0.24, m * cell
    stored = s.n * cell + 0.42
    with use_style():
        figure = Figure(figsize=(WIDTH, height + top + 0.08))
        figure.set_layout_engine("none")
        ax = figure.add_axes((0, 0, 1, 1))
        ax.set(xlim=(0, WIDTH), ylim=(height + top + 0.08, 0))
        ax.axis("off")
        _cells(ax, "W", 0.05, top, r, s, cell)
        ax.text(stored - 0.19, top + height / 2, "=", size=12, ha="center", va="center")
        lower = top + r * cell
        if r:
            _fill(ax, stored, top, (r, s.n), cell, "hybrid")
            ax.text(stored, 0.12, "D", va="center", style="italic")
        # Below D on the right, with a line of their own for the names.
        names = lower + (0.16 if r else -0.12)
        factors = lower + (0.3 if r else 0.0)
        right = stored + s.n1 * cell + 0.26
        _fill(ax, stored, factors, s.a_shape, cell, "kronecker")
        _fill(ax, right, factors, s.b_shape, cell, "kronecker")
        ax.text(stored, names, "A", va="center", style="italic")
        ax.text(right, names, "B", va="center", style="italic")
        ax.text(right - 0.13, factors + cell, "⊗", size=12, ha="center", va="center")
        bottom = factors + max(s.m1, s.m2) * cell + 0.06
        figure.set_figheight(max(height + top + 0.08, bottom))
        ax.set_ylim(max(height + top + 0.08, bottom), 0)
    article = "An" if str(m)[0] == "8" or m in (11, 18) else "A"
    words = (
        f"{article} {m} by {s.n} matrix: {r} dense rows D on top, and below them {s.m1} by {s.n1} "
        f"blocks of {s.m2} by {s.n2}. Stored are D, {r} by {s.n}, A, {s.m1} by {s.n1}, and B, "
        f"{s.m2} by {s.n2}: {r * s.n + s.params} numbers of {m * s.n}."
    )
    return Picture(figure, "A hybrid matrix, and what is stored of it", words)


def _fill(
    ax: Axes, left: float, top: float, size: tuple[int, int], cell: float, color: str
) -> None:
    for i, j in np.ndindex(size):
        corner = left + j * cell, top + i * cell
        ax.add_patch(Rectangle(corner, 0.86 * cell, 0.86 * cell, fc=PALETTE[color]))


def _cells(
    ax: Axes, name: str, left: float, top: float, rows: int, s: FactorShape, cell: float
) -> None:
    """Draw the whole matrix, every other block paler."""
    ax.text(left, 0.12, name, va="center", style="italic")
    _fill(ax, left, top, (rows, s.n), cell, "hybrid")
    for i, j in np.ndindex(s.m, s.n):
        corner = left + j * cell, top + (rows + i) * cell
        alpha = 1.0 if (i // s.m2 + j // s.n2) % 2 == 0 else 0.45
        ax.add_patch(
            Rectangle(corner, 0.86 * cell, 0.86 * cell, fc=PALETTE["kronecker"], alpha=alpha)
        )


def accuracy_against_rows(
    accuracies: Mapping[int, Sequence[float]],
    references: Mapping[str, Sequence[float]] | None = None,
) -> Picture:
    """Draw the accuracy of trained hybrids against their dense rows, run by run.

    Parameters
    ----------
    accuracies : mapping of int to sequence of float
        For each r the accuracies of its runs, 0 to 1. The r are spaced evenly, in their order.
    references : mapping of str to sequence of float, optional
        Other networks by what they are called; they stand at the right, in the dense colour.

    Returns
    -------
    Picture

    Raises
    ------
    ValueError
        If there is no hybrid, a network has no runs, or an accuracy is not in 0 to 1.

    Examples
    --------
    >>> picture = accuracy_against_rows({0: [0.8, 0.7], 4: [0.9]}, {"dense": [1.0]})
    >>> picture.description
    'r = 0: 75.0% on average of 2 runs; r = 4: 90.0% in 1 run; dense: 100.0% in 1 run.'
    """
    if not accuracies:
        raise ValueError("there are no hybrids to draw")
    named = [(f"r = {r}", "hybrid", runs) for r, runs in accuracies.items()]
    named += [(name, "dense", runs) for name, runs in (references or {}).items()]
    for name, _, runs in named:
        if len(runs) == 0 or not all(0 <= value <= 1 for value in runs):
            raise ValueError(f"accuracies of {name} must be numbers from 0 to 1, found {runs!r}")
    means = [float(np.mean(runs)) for _, _, runs in named]
    with use_style():
        figure = Figure(figsize=(WIDTH, 2.7))
        ax = figure.subplots()
        count = len(accuracies)
        ax.plot(range(count), means[:count], "-", color=PALETTE["hybrid"], lw=1.2, marker="none")
        for place, ((_, key, runs), mean) in enumerate(zip(named, means, strict=True)):
            ax.plot([place] * len(runs), runs, MARKERS[key], color=PALETTE[key], alpha=0.8)
            ax.plot(
                [place - 0.25, place + 0.25], [mean] * 2, "-", color=PALETTE[key], marker="none"
            )
        labels = [str(r) for r in accuracies] + list(references or {})
        ax.set_xticks(range(len(named)), labels)
        ax.set(title="Accuracy, each run, and the mean", xlabel="Dense rows r, of each gate")
        # Whole per cents: no label is rounded.
        every = [100 * value for _, _, runs in named for value in runs]
        steps = [1, 2, 5, 10]
        percents = MaxNLocator(nbins=6, steps=steps, integer=True, min_n_ticks=1)
        low, high = min(every) - 1, max(every) + 1
        ax.set_yticks([tick / 100 for tick in percents.tick_values(low, high)])
        ax.set_ylim(low / 100, high / 100)
        ax.yaxis.set_major_formatter(PercentFormatter(1.0, decimals=0))
        ax.grid(visible=False, axis="x")
    words = [
        f"{name}: {mean:.1%} {'in 1 run' if len(runs) == 1 else f'on average of {len(runs)} runs'}"
        for (name, _, runs), mean in zip(named, means, strict=True)
    ]
    return Picture(figure, "Accuracy against dense rows", "; ".join(words) + ".")
