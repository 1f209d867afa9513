"""Rank and singular values: where a product is narrow, what rank costs, what is caught, spectra."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Polygon, Rectangle
from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator

from kplib._checks import positive_integer
from kplib.errors import ShapeError
from kplib.plots.axes import name_rows, nonnegative
from kplib.plots.picture import Picture
from kplib.plots.style import MARKERS, PALETTE, WIDTH, technique, use_style
from kplib.shapes import FactorShape, algorithm4, as_factor_shape, factor_shapes, full_rank_shapes


class _Pipe(NamedTuple):
    """A product with a vector as three widths and the two maps between them."""

    name: str
    params: int
    widths: tuple[int, int, int]
    maps: tuple[str, str]
    color: str


def bottlenecks(
    shapes: Sequence[FactorShape | Sequence[int]], *, low_rank: int | None = None
) -> Picture:
    """Draw products with a vector as pipes whose widths are the dimensions they pass through.

    A (x) B takes n = n1 n2 numbers to n1 m2 and on to m = m1 m2 if it multiplies by B first, or
    through m1 n2 if by A first. Its rank is at most the narrowest of these widths; the order drawn
    is the one with the narrower middle.

    Parameters
    ----------
    shapes : sequence of FactorShape or of four int
        Shapes of one and the same m x n matrix.
    low_rank : int, optional
        Draw a factorization U V of this rank on top, from 1 to min(m, n).

    Returns
    -------
    Picture

    Raises
    ------
    ShapeError
        If there is no shape, the shapes are of different matrices, or the rank does not fit.

    Examples
    --------
    >>> picture = bottlenecks([(59, 8, 2, 16)], low_rank=2)
    >>> "(59, 8) ⊗ (2, 16): 504 numbers, 128 to 16 to 118" in picture.description
    True
    """
    pipes = [_kron_pipe(as_factor_shape(shape)) for shape in shapes]
    if len({(pipe.widths[0], pipe.widths[2]) for pipe in pipes}) != 1:
        sizes = ", ".join(f"{pipe.widths[2]} x {pipe.widths[0]}" for pipe in pipes) or "none"
        raise ShapeError(f"the shapes must be of one matrix, found {sizes}")
    n, _, m = pipes[0].widths
    if low_rank is not None:
        r = positive_integer("low_rank", low_rank)
        if r > min(m, n):
            raise ShapeError(f"low_rank must be at most min({m}, {n}), found {r}")
        name = f"U V, low rank {r}"
        pipes.insert(0, _Pipe(name, r * (m + n), (n, r, m), ("V", "U"), PALETTE["low_rank"]))
    words = [
        f"{pipe.name}: {pipe.params:,} numbers, {' to '.join(map(str, pipe.widths))}"
        for pipe in pipes
    ]
    title = f"From {n} numbers to {m} through a narrow place"
    return Picture(_draw_pipes(pipes), title, "; ".join(words) + ".")


def _kron_pipe(shape: FactorShape) -> _Pipe:
    b_first, a_first = shape.n1 * shape.m2, shape.m1 * shape.n2
    if b_first <= a_first:
        middle, maps = b_first, (f"{shape.n1} × B", f"{shape.m2} × A")
    else:
        middle, maps = a_first, (f"{shape.n2} × A", f"{shape.m1} × B")
    name = f"{shape.a_shape} ⊗ {shape.b_shape}"
    return _Pipe(name, shape.params, (shape.n, middle, shape.m), maps, PALETTE["kronecker"])


_HEADING, _TALLEST, _BELOW, _BAR = 0.22, 0.66, 0.16, 0.07  # inches


def _draw_pipes(pipes: Sequence[_Pipe]) -> Figure:
    scale = _TALLEST / max(max(pipe.widths) for pipe in pipes)
    row = _HEADING + _TALLEST + _BELOW
    height = len(pipes) * row
    with use_style():
        figure = Figure(figsize=(WIDTH, height))
        figure.set_layout_engine("none")
        ax = figure.add_axes((0, 0, 1, 1))
        ax.set(xlim=(0, WIDTH), ylim=(height, 0))
        ax.set_axis_off()
        for place, pipe in enumerate(pipes):
            top = place * row
            ax.text(0.06, top + 0.11, pipe.name, va="center", weight="bold")
            numbers = f"{pipe.params:,} numbers"
            ax.text(WIDTH - 0.06, top + 0.11, numbers, va="center", ha="right")
            _draw_pipe(ax, pipe, top + _HEADING + _TALLEST / 2, scale)
    return figure


def _draw_pipe(ax: Axes, pipe: _Pipe, middle: float, scale: float) -> None:
    """Draw one pipe around the line y = middle, `scale` inches a dimension."""
    places = (0.42, WIDTH / 2, WIDTH - 0.42)
    halves = [max(width * scale, 0.012) / 2 for width in pipe.widths]
    for left, right, one, other, text in zip(
        places[:-1], places[1:], halves[:-1], halves[1:], pipe.maps, strict=True
    ):
        start, end = left + _BAR / 2, right - _BAR / 2
        corners = [
            (start, middle - one),
            (end, middle - other),
            (end, middle + other),
            (start, middle + one),
        ]
        ax.add_patch(Polygon(corners, facecolor=pipe.color, alpha=0.22, linewidth=0))
        ax.text((start + end) / 2, middle, text, ha="center", va="center_baseline", style="italic")
    for x, half in zip(places, halves, strict=True):
        bar = Rectangle((x - _BAR / 2, middle - half), _BAR, 2 * half, color=pipe.color, lw=0)
        ax.add_patch(bar)
    ends: dict[str, Any] = {"va": "center_baseline", "fontsize": 8.5}
    ax.text(places[0] - 0.09, middle, str(pipe.widths[0]), ha="right", **ends)
    ax.text(places[2] + 0.09, middle, str(pipe.widths[2]), ha="left", **ends)
    # In the middle there is room above a narrow bar, and beside a wide one.
    if halves[1] < 0.3 * _TALLEST:
        above = middle - halves[1] - 0.09
        ax.text(places[1], above, str(pipe.widths[1]), ha="center", va="center_baseline", size=8.5)
    else:
        ax.text(places[1] + 0.09, middle - 0.2, str(pipe.widths[1]), ha="left", **ends)


def rank_against_parameters(m: int, n: int, *, gates: int = 1) -> Picture:
    """Draw the rank that one gate can reach against the parameters it takes.

    Kronecker products of every factor shape, low-rank factorization, and the dense matrix. Both
    axes are logarithmic.

    Parameters
    ----------
    m, n : int
        Rows and columns of one gate.
    gates : int, default 1
        Gates that a low-rank factorization stacks into one (gates * m) x n matrix before it
        factors it, as the papers do: rank r then takes r (gates * m + n) / gates numbers a gate.

    Returns
    -------
    Picture

    Raises
    ------
    ShapeError
        If m, n or gates is not a positive integer.

    Notes
    -----
    O(s log s) for s factor shapes.

    Examples
    --------
    >>> picture = rank_against_parameters(118, 128, gates=4)
    >>> "Algorithm 4, (59, 8) x (2, 16): rank 16 for 504 numbers" in picture.description
    True
    """
    m, n, gates = (
        positive_integer(name, value) for name, value in (("m", m), ("n", n), ("gates", gates))
    )
    every = factor_shapes(m, n)
    best = full_rank_shapes(m, n)[0]
    try:
        marked = {"Algorithm 4": algorithm4(m, n), "cheapest of full rank": best}
    except ShapeError:
        marked = {"cheapest of full rank": best}
    a_rank = (gates * m + n) / gates
    ranks = np.array([1, min(m, n)])
    with use_style():
        figure = Figure(figsize=(WIDTH, 2.9))
        ax = figure.subplots()
        ax.set(xscale="log", yscale="log", xlabel="Numbers stored for one gate", title="Rank")
        label = f"low rank, {gates} gates stacked" if gates > 1 else "low rank"
        low_rank: dict[str, Any] = {"color": PALETTE["low_rank"], "marker": MARKERS["low_rank"]}
        steps = np.unique(np.geomspace(1, ranks[1], 12).round())
        ax.plot(steps * a_rank, steps, label=label, **low_rank)
        points = sorted({(shape.params, shape.rank) for shape in every})
        kron: dict[str, Any] = {
            "color": PALETTE["kronecker"],
            "marker": MARKERS["kronecker"],
            "linestyle": "none",
        }
        ax.plot(*zip(*points, strict=True), mfc="none", label="Kronecker, any shape", **kron)
        for name, shape in marked.items():
            ax.plot([shape.params], [shape.rank], markersize=7, **kron)
            _name_point(ax, name, shape)
        dense: dict[str, Any] = {"color": PALETTE["dense"], "marker": MARKERS["dense"]}
        ax.plot([m * n], [min(m, n)], markersize=7, label="dense", linestyle="none", **dense)
        ax.axhline(min(m, n), color=PALETTE["dense"], lw=0.8, ls=(0, (4, 3)), zorder=0.5)
        ax.set_ylim(0.75, 2 * min(m, n))
        _plain_log_ticks(ax, [*(p for p, _ in points), a_rank, m * n], min(m, n))
        figure.legend(loc="outside upper center", ncols=2, columnspacing=1.2, handlelength=1.4)
    words = [
        f"{name}, {shape}: rank {shape.rank} for {shape.params:,} numbers"
        for name, shape in marked.items()
    ]
    words.append(f"low rank: {a_rank:,.4g} numbers for each rank")
    words.append(f"dense: rank {min(m, n)} for {m * n:,}")
    title = f"Rank of a {m}×{n} gate against its parameters"
    return Picture(figure, title, "; ".join(words) + ".")


def _name_point(ax: Axes, name: str, shape: FactorShape) -> None:
    """Write a point's name to the left of it, or above the line of full rank."""
    ax.annotate(
        name,
        (shape.params, shape.rank),
        (6, 9) if shape.full_rank else (-7, 0),
        textcoords="offset points",
        ha="right",
        va="center_baseline",
        fontsize=8.5,
    )


def _plain_log_ticks(ax: Axes, parameters: Sequence[float], rank: int) -> None:
    """Give logarithmic axes a few ticks with plain numbers."""
    low, high = min(parameters), max(parameters)
    grid = [d * 10**k for k in range(12) for d in (1, 3)]
    ticks = [t for t in grid if low / 1.5 <= t <= high * 1.5]
    ax.xaxis.set_major_locator(FixedLocator(ticks))
    ax.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.0f}"))
    powers = [4**k for k in range(12) if 4**k <= rank / 1.7]
    ax.yaxis.set_major_locator(FixedLocator([*powers, rank]))
    ax.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.0f}"))
    for axis in (ax.xaxis, ax.yaxis):
        axis.set_minor_locator(NullLocator())


def approximation_shares(shares: Mapping[str, Mapping[str, float]]) -> Picture:
    """Draw which share of a matrix approximations catch, for several matrices.

    Parameters
    ----------
    shares : mapping of str to mapping of str to float
        For each matrix, by its name, the share 1 - ||W - W'||^2 / ||W||^2 that each technique
        (see `technique`) catches, 0 to 1. The same techniques for every matrix.

    Returns
    -------
    Picture

    Raises
    ------
    ValueError
        If there is no matrix, the techniques differ, or a share is outside 0 to 1.

    Examples
    --------
    >>> picture = approximation_shares({"noise": {"kp": 0.05, "lmf": 0.06}})
    >>> "noise: Kronecker 5%, low rank 6%" in picture.description
    True
    """
    if not shares:
        raise ValueError("there are no matrices to draw")
    names = list(next(iter(shares.values())))
    for matrix, row in shares.items():
        if list(row) != names:
            raise ValueError(f"{matrix!r} has {list(row)}, the first matrix {names}")
        if not all(-1e-9 <= share <= 1 + 1e-9 for share in row.values()):
            raise ValueError(f"{matrix!r} has a share outside 0 to 1: {dict(row)}")
    thick = 0.8 / len(names)
    with use_style():
        figure = Figure(figsize=(WIDTH, 0.6 + 0.21 * len(shares) * (len(names) + 0.5)))
        ax = figure.subplots()
        for place, name in enumerate(names):
            values = [row[name] for row in shares.values()]
            at = np.arange(len(shares)) + (place - (len(names) - 1) / 2) * thick
            color = PALETTE[technique(name)]
            # The first technique's bars are full, the others' are outlines: to be told apart
            # without colour too.
            fill = color if place == 0 else "none"
            outline: dict[str, Any] = {"facecolor": fill, "edgecolor": color, "linewidth": 1.4}
            ax.barh(at, values, height=0.8 * thick, label=_short(name), **outline)
            for y, value in zip(at, values, strict=True):
                ax.annotate(
                    f"{value:.0%}",
                    (max(value, 0.0), y),
                    (4, 0),
                    textcoords="offset points",
                    va="center_baseline",
                    fontsize=8.5,
                )
        ax.set_yticks(range(len(shares)), list(shares))
        ax.set_ylim(len(shares) - 0.45, -0.55)
        ax.set_xlim(0, 1.14)
        ax.xaxis.set_visible(False)
        ax.tick_params(axis="y", length=0)
        ax.grid(visible=False)
        ax.spines[["left", "bottom"]].set_visible(False)
        figure.legend(loc="outside upper center", ncols=len(names), handlelength=1.0)
    words = [
        f"{_one_line(matrix)}: "
        + ", ".join(f"{_short(name)} {value:.0%}" for name, value in row.items())
        for matrix, row in shares.items()
    ]
    return Picture(figure, "Share of a matrix that is caught", "; ".join(words) + ".")


def _one_line(label: str) -> str:
    """Return a label of several lines as one, for a description."""
    return " ".join(label.split())


def _short(name: str) -> str:
    return {"kronecker": "Kronecker", "low_rank": "low rank"}.get(technique(name), name)


_LINES = ("-", "-", (0, (4, 2)), (0, (1, 1.5)))  # where two techniques share a marker


def singular_value_spectra(
    spectra: Mapping[str, Sequence[float]], *, labels: Mapping[str, str] | None = None
) -> Picture:
    """Draw the singular values of several matrices, the largest first.

    Parameters
    ----------
    spectra : mapping of str to sequence of float
        For each matrix, by its technique (see `technique`), its singular values, zeros included,
        in any order.
    labels : mapping of str to str, optional
        Other names for the legend.

    Returns
    -------
    Picture

    Raises
    ------
    ValueError
        If there is no matrix, or a value is negative or not finite.

    Examples
    --------
    >>> picture = singular_value_spectra({"dense": [3, 2, 1], "kp": [4, 1, 0]})
    >>> "kp: the largest 4, 2 of 3 above zero" in picture.description
    True
    """
    if not spectra:
        raise ValueError("there are no matrices to draw")
    named, words = labels or {}, []
    with use_style():
        figure = Figure(figsize=(WIDTH, 2.8))
        ax = figure.subplots()
        for place, (name, values) in enumerate(spectra.items()):
            sigma = np.sort(nonnegative(f"spectra[{name!r}]", values))[::-1]
            key, label = technique(name), named.get(name, name)
            nonzero = int(np.count_nonzero(sigma > len(sigma) * np.finfo(float).eps * sigma[0]))
            ax.plot(
                np.arange(1, len(sigma) + 1),
                sigma,
                color=PALETTE[key],
                marker=MARKERS[key],
                linestyle=_LINES[place % len(_LINES)],
                markevery=max(1, len(sigma) // 12),
                label=label,
                clip_on=False,
            )
            words.append(
                f"{label}: the largest {sigma[0]:.3g}, {nonzero} of {len(sigma)} above zero"
            )
        ax.set(xlabel="Number, the largest first", title="Singular value")
        ax.set_xlim(left=0)
        ax.set_ylim(bottom=0)
        ax.legend(loc="upper right")
    return Picture(figure, "Singular values", "; ".join(words) + ".")


def condition_number_ranges(
    draws: Mapping[str, Sequence[float]], *, band: tuple[float, float], band_label: str
) -> Picture:
    """Draw how condition numbers spread, for several kinds of matrices, beside a band.

    Parameters
    ----------
    draws : mapping of str to sequence of float
        For each kind of matrix, by its name, condition numbers, at least 1.
    band : (float, float)
        Lower and upper end of a range to compare with.
    band_label : str
        What the band is.

    Returns
    -------
    Picture

    Raises
    ------
    ValueError
        If there is nothing to draw, or a condition number is below 1 or not finite.

    Examples
    --------
    >>> picture = condition_number_ranges(
    ...     {"narrow": [2.0, 3.0, 4.0]}, band=(1.2, 7.3), band_label="printed")
    >>> "narrow: median 3" in picture.description
    True
    """
    if not draws:
        raise ValueError("there are no condition numbers to draw")
    words = []
    with use_style():
        figure = Figure(figsize=(WIDTH, 0.95 + 0.3 * len(draws)))
        ax = figure.subplots()
        color = PALETTE["kronecker"]
        ax.axvspan(*band, color=PALETTE["dense"], alpha=0.22, lw=0)
        for place, (name, values) in enumerate(draws.items()):
            array = nonnegative(f"draws[{name!r}]", values)
            if array.min() < 1:
                raise ValueError(f"{name!r} has the condition number {array.min():g}, below 1")
            low, first, median, third, high = np.quantile(array, [0.05, 0.25, 0.5, 0.75, 0.95])
            ax.plot([low, high], [place] * 2, "-", color=color, lw=1.4)
            ax.plot([first, third], [place] * 2, "-", color=color, lw=5, solid_capstyle="butt")
            ax.plot([median], [place], MARKERS["kronecker"], color=color, ms=7)
            words.append(
                f"{_one_line(name)}: median {median:.2g}, nine of ten from {low:.2g} to {high:.2g}"
            )
        ax.set_xscale("log")
        name_rows(ax, list(draws), under=0.5)
        ax.set_xlim(left=1)
        right = ax.get_xlim()[1]
        digits = (1, 2, 5) if right < 200 else (1, 3) if right < 1e4 else (1,)
        ticks = [d * 10**k for k in range(16) for d in digits]
        ax.xaxis.set_major_locator(FixedLocator([t for t in ticks if t <= right]))
        ax.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.0f}"))
        ax.xaxis.set_minor_locator(NullLocator())
        ax.set_xlabel("Condition number over the non-zero values")
        ax.set_title(f"Shaded: {band_label}")
    words.append(f"{band_label}: {band[0]:g} to {band[1]:g}")
    return Picture(figure, "Condition numbers", "; ".join(words) + ".")
