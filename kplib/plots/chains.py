"""Kronecker chains: norms over many steps, paths of a determinant, losses, movement of factors."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Circle
from matplotlib.ticker import LogLocator, NullLocator, PercentFormatter, StrMethodFormatter
from numpy.typing import ArrayLike, NDArray

from kplib._checks import require_finite
from kplib.plots.picture import Picture
from kplib.plots.style import MARKERS, PALETTE, WIDTH, use_style

_COLORS = ("dense", "low_rank", "hybrid", "kronecker", "small", "pruned")
_LINES = ("-", "--", "-.", (0, (5, 1, 1, 1, 1, 1)), ":", (0, (1, 2)))


def state_norms(draws: Mapping[str, ArrayLike]) -> Picture:
    """Draw how the norm of a state grows or shrinks under several kinds of random matrices.

    Parameters
    ----------
    draws : mapping of str to array_like, shape (draws, steps)
        For each kind of matrix, by its name, the norm of the state before the first step and after
        each one, relative to some unit; positive. One row a random draw.

    Returns
    -------
    Picture
        Medians as lines and the middle 80% of the draws as bands, on a logarithmic axis.

    Raises
    ------
    ValueError
        If there is nothing to draw, or a norm is not positive or not finite.

    Examples
    --------
    >>> picture = state_norms({"halved": [[1, 0.5, 0.25]]})
    >>> "halved: median 0.25 after 2 steps" in picture.description
    True
    """
    if not draws:
        raise ValueError("there are no norms to draw")
    words = []
    with use_style():
        figure = Figure(figsize=(WIDTH, 3.3))
        ax = figure.subplots()
        for place, (name, values) in enumerate(draws.items()):
            norms = _table(f"draws[{name!r}]", values)
            if norms.min() <= 0:
                raise ValueError(f"draws[{name!r}] has the norm {norms.min():g}, not above 0")
            low, median, high = np.quantile(norms, [0.1, 0.5, 0.9], axis=0)
            steps = np.arange(norms.shape[1])
            ax.fill_between(steps, low, high, color=_color(place), alpha=0.16, lw=0)
            _curve(ax, steps, median, place, name)
            words.append(
                f"{name}: median {median[-1]:.2g} after {steps[-1]} steps, "
                f"eight of ten from {low[-1]:.2g} to {high[-1]:.2g}"
            )
        ax.set_yscale("log")
        ax.yaxis.set_major_locator(LogLocator(numticks=7))
        ax.yaxis.set_minor_locator(NullLocator())
        ax.set(xlabel="Step", title="Norm of the state")
        ax.set_xlim(left=0)
        figure.legend(*ax.get_legend_handles_labels(), loc="outside lower left", ncols=1)
    return Picture(figure, "Norm of the state, step by step", "; ".join(words) + ".")


def determinant_paths(paths: Mapping[str, ArrayLike]) -> Picture:
    """Draw determinants of matrices along paths, in the complex plane, beside the unit circle.

    Unitary matrices have theirs on the circle, singular ones at its centre, and real ones on the
    horizontal axis.

    Parameters
    ----------
    paths : mapping of str to array_like of real or complex, shape (points,)
        For each path, by its name, the determinants from its start to its end.

    Returns
    -------
    Picture

    Raises
    ------
    ValueError
        If there is no path, or a determinant is not finite.

    Examples
    --------
    >>> picture = determinant_paths({"real": [1, 0, -1], "complex": [1, 1j, -1]})
    >>> "real: from 1 to -1, smallest magnitude 0" in picture.description
    True
    """
    if not paths:
        raise ValueError("there are no paths to draw")
    words = []
    with use_style():
        figure = Figure(figsize=(WIDTH, 3.4))
        ax = figure.subplots()
        ax.add_patch(Circle((0, 0), 1, fill=False, ls=":", lw=1, ec=PALETTE["dense"]))
        ax.plot([0], [0], "x", color=PALETTE["accent"], ms=8, mew=2)
        ax.annotate("singular", (0, 0), (0, -13), textcoords="offset points", ha="center")
        for place, (name, values) in enumerate(paths.items()):
            points = np.asarray(values, np.complex128).reshape(-1)
            require_finite(f"paths[{name!r}]", points)
            color = _color(place + 1)
            ax.plot(points.real, points.imag, ls=_LINES[place], color=color, marker="", label=name)
            ax.plot(points.real[[0, -1]], points.imag[[0, -1]], "o", color=color, ms=6)
            ends = " to ".join(_number(z) for z in points[[0, -1]])
            words.append(f"{name}: from {ends}, smallest magnitude {abs(points).min():.2g}")
        ax.set(xlabel="Real part", ylabel="Imaginary part", title="Determinant")
        ax.set(xlim=(-1.25, 1.25), ylim=(-1.25, 1.25), aspect="equal")
        ax.set_xticks([-1, 0, 1])
        ax.set_yticks([-1, 0, 1])
        figure.legend(*ax.get_legend_handles_labels(), loc="outside lower left", ncols=1)
    return Picture(figure, "Determinants along paths", "; ".join(words) + ".")


def loss_curves(
    tasks: Mapping[str, Mapping[str, ArrayLike]],
    *,
    baselines: Mapping[str, float] | None = None,
    window: int = 10,
) -> Picture:
    """Draw losses in training, one panel a task, one line a run, smoothed.

    Parameters
    ----------
    tasks : mapping of str to mapping of str to array_like, shape (runs, steps)
        For each task, by the title of its panel, the losses of each network, by its name. The
        networks have the same colours in all panels.
    baselines : mapping of str to float, optional
        For a task, the loss of knowing nothing: a dotted line. Losses far above it are cut off.
    window : int
        Each point is the mean of this many losses.

    Returns
    -------
    Picture

    Raises
    ------
    ValueError
        If there is no task, a loss is not finite, or there are fewer losses than `window`.

    Examples
    --------
    >>> picture = loss_curves({"copy": {"net": [[4, 2, 1, 1]]}}, window=2)
    >>> "copy, net: 1 at the end" in picture.description
    True
    """
    if not tasks or not all(tasks.values()):
        raise ValueError("there are no losses to draw")
    order = list(dict.fromkeys(name for runs in tasks.values() for name in runs))
    words = []
    with use_style():
        figure = Figure(figsize=(WIDTH, 0.5 + 1.9 * len(tasks) + 0.19 * len(order)))
        panels = figure.subplots(len(tasks), 1, squeeze=False)[:, 0]
        for ax, (task, networks) in zip(panels, tasks.items(), strict=True):
            if task in (baselines or {}):
                ax.axhline((baselines or {})[task], color=PALETTE["dense"], ls=":", lw=1.2)
            for name, values in networks.items():
                smooth = _smooth(f"{task}, {name}", _table(f"losses of {name!r}", values), window)
                steps = window + np.arange(smooth.shape[1])
                for run, curve in enumerate(smooth):
                    _curve(ax, steps, curve, order.index(name), name if run == 0 else None)
                ends = " and ".join(f"{value:.2g}" for value in smooth[:, -1])
                words.append(f"{task}, {name}: {ends} at the end")
            ax.set_title(task)
            # the first losses may be many times those of knowing nothing
            most = 1.7 * (baselines or {}).get(task, np.inf)
            ax.set_ylim(0, min(ax.get_ylim()[1], most))
        panels[-1].set_xlabel("Updates")
        handles = {
            label: handle
            for ax in panels
            for handle, label in zip(*ax.get_legend_handles_labels(), strict=True)
        }
        figure.legend(handles.values(), handles, loc="outside lower left", ncols=1)
    return Picture(figure, "Losses in training", "; ".join(words) + ".")


def factor_movement(
    factors: Mapping[int, Sequence[float]], products: Mapping[int, Sequence[float]]
) -> Picture:
    """Draw how far training moved the factors of chains, and their products.

    Parameters
    ----------
    factors : mapping of int to sequence of float
        For each number of factors, the mean relative movement of a factor, ||F - F0|| / ||F0||, in
        each run.
    products : mapping of int to sequence of float
        The same of the whole matrix.

    Returns
    -------
    Picture
        A dot a run, lines through the means, both axes logarithmic.

    Raises
    ------
    ValueError
        If the two do not have the same numbers of factors, or a movement is not positive.

    Examples
    --------
    >>> picture = factor_movement({2: [0.1, 0.2], 8: [0.04]}, {2: [0.2, 0.3], 8: [0.3]})
    >>> "2 factors: a factor 15.0%, the matrix 25%" in picture.description
    True
    """
    if not factors or list(factors) != list(products):
        raise ValueError(
            f"factors has {list(factors)} and products {list(products)}: the two need the same "
            f"numbers of factors, at least one"
        )
    counts, means = list(factors), {}
    with use_style():
        figure = Figure(figsize=(WIDTH, 2.7))
        ax = figure.subplots()
        named = {"the whole matrix": ("kronecker", products), "one factor": ("low_rank", factors)}
        for name, (key, runs) in named.items():
            tables = [_table(f"{name}, {count}", [runs[count]]) for count in counts]
            if min(t.min() for t in tables) <= 0:
                raise ValueError(f"a movement of {name} is not above 0")
            means[name] = [float(t.mean()) for t in tables]
            for count, table in zip(counts, tables, strict=True):
                xs = np.full(table.size, count)
                ax.plot(xs, table[0], MARKERS[key], color=PALETTE[key], alpha=0.7)
            ax.plot(counts, means[name], color=PALETTE[key], ls="-", marker="")
            ax.annotate(name, (counts[0], means[name][0]), (6, 9), textcoords="offset points")
        ax.set_xscale("log", base=2)
        ax.set_xticks(counts, [str(count) for count in counts])
        ax.set_yscale("log")
        every = [v for runs in (factors, products) for values in runs.values() for v in values]
        ticks = [t for t in (0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2) if _near(t, every)]
        ax.set_yticks(ticks, [f"{tick:.0%}" for tick in ticks])
        ax.set_yticks([], minor=True)
        ax.set_ylim(min(every) / 1.4, max(every) * 1.7)
        ax.set(xlabel="Factors", title="Moved by training, relative to the start")
    pairs = zip(counts, means["one factor"], means["the whole matrix"], strict=True)
    words = [f"{n} factors: a factor {one:.1%}, the matrix {all_:.0%}" for n, one, all_ in pairs]
    return Picture(figure, "How far training moves factors", "; ".join(words) + ".")


def movement_in_training(
    steps: ArrayLike, factors: Mapping[str, ArrayLike], products: Mapping[str, ArrayLike]
) -> Picture:
    """Draw how far training had moved the factors of chains, and their products, after each step.

    Parameters
    ----------
    steps : array_like, shape (points,)
        When they were looked at, increasing.
    factors : mapping of str to array_like, shape (runs, points)
        For each kind of network, the mean relative movement of a factor, ||F - F0|| / ||F0||.
    products : mapping of str to array_like, shape (runs, points)
        The same of the whole matrix.

    Returns
    -------
    Picture
        A panel for one factor, one for the whole matrix, a line a run.

    Raises
    ------
    ValueError
        If the two are not of the same networks, there is none, the steps do not increase, or a
        movement is not finite or not one of each step.

    Examples
    --------
    >>> picture = movement_in_training([0, 9], {"free": [[0, 0.2]]}, {"free": [[0, 1.5]]})
    >>> picture.description
    'One factor, free: 20% after 9 steps; the whole matrix, free: 150% after 9 steps.'
    """
    if not factors or list(factors) != list(products):
        raise ValueError(
            f"factors has {list(factors)} and products {list(products)}: the two need the same "
            f"networks, at least one"
        )
    xs = _table("steps", np.atleast_2d(np.asarray(steps)))[0]
    if np.any(np.diff(xs) <= 0):
        raise ValueError("steps must increase")
    words: list[str] = []
    with use_style():
        figure = Figure(figsize=(WIDTH, 3.6))
        panels = figure.subplots(2, 1, sharex=True)
        named = {"One factor": factors, "The whole matrix": products}
        for ax, (title, runs_of) in zip(panels, named.items(), strict=True):
            for place, (name, values) in enumerate(runs_of.items()):
                table = _table(f"{title}, {name}", values)
                if table.shape[1] != xs.size:
                    raise ValueError(
                        f"{title}, {name}: {table.shape[1]} movements at {xs.size} steps"
                    )
                for run, curve in enumerate(table):
                    _curve(ax, xs, curve, place, name if run == 0 else None)
                what = title if not words else title[0].lower() + title[1:]
                ends = dict.fromkeys(f"{end:.0%}" for end in table[:, -1])
                words.append(f"{what}, {name}: {' and '.join(ends)} after {xs[-1]:,.0f} steps")
            ax.set_title(f"{title}, moved")
            ax.set_ylim(0)
            ax.yaxis.set_major_formatter(PercentFormatter(1, decimals=0))
        panels[-1].set_xlabel("Steps")
        panels[-1].xaxis.set_major_formatter(StrMethodFormatter("{x:,.0f}"))
        handles, labels = panels[0].get_legend_handles_labels()
        figure.legend(handles, labels, loc="outside lower left", ncols=2)
    return Picture(figure, "Movement of factors in training", "; ".join(words) + ".")


def _near(tick: float, values: Sequence[float]) -> bool:
    return min(values) / 1.4 <= tick <= max(values) * 1.7


def _color(place: int) -> str:
    return PALETTE[_COLORS[place % len(_COLORS)]]


def _curve(ax: Axes, xs: NDArray[Any], ys: NDArray[Any], place: int, label: str | None) -> None:
    """Draw a line that is told from the others by its colour, its dashes and its markers."""
    key = _COLORS[place % len(_COLORS)]
    ax.plot(
        xs,
        ys,
        color=PALETTE[key],
        ls=_LINES[place % len(_LINES)],
        lw=1.5,
        marker=MARKERS[key],
        markevery=(place * 2, max(1, len(xs) // 6)),
        label=label,
    )


def _smooth(name: str, losses: NDArray[np.float64], window: int) -> NDArray[np.float64]:
    """Return the means of `window` neighbours, (runs, steps - window + 1)."""
    if losses.shape[1] < window:
        raise ValueError(f"{name} has {losses.shape[1]} losses, fewer than window = {window}")
    means: NDArray[np.float64] = np.lib.stride_tricks.sliding_window_view(losses, window, 1).mean(2)
    return means


def _number(z: complex) -> str:
    """Return a complex number in three digits, as a real one if it is."""
    z = complex(round(z.real, 3), round(z.imag, 3)) + 0.0
    return f"{z.real:.3g}" if z.imag == 0 else f"{z.real:.3g}{z.imag:+.3g}i"


def _table(name: str, values: ArrayLike) -> NDArray[np.float64]:
    """Return finite numbers as an array (runs, steps)."""
    table = np.asarray(values, np.float64)
    if table.ndim != 2 or table.size == 0:
        raise ValueError(f"{name} must have a row for each run, found shape {table.shape}")
    require_finite(name, table)
    return table
