"""Data and protocol: sound made into features, splits, schedules, and the best of several runs."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator, PercentFormatter
from numpy.typing import ArrayLike, NDArray

from kplib._checks import matrix, require_finite
from kplib.errors import ShapeError
from kplib.plots.axes import name_rows
from kplib.plots.picture import Picture
from kplib.plots.style import INK, MARKERS, PALETTE, WIDTH, technique, use_style

_ENVELOPE_POINTS = 400
_LINES = ("-", (0, (4, 2)), (0, (1, 1.5)), (0, (6, 2, 1, 2)))


def feature_chain(wave: ArrayLike, *stages: tuple[str, str, ArrayLike], seconds: float) -> Picture:
    """Draw a wave, and below it what becomes of it, over one and the same time.

    Parameters
    ----------
    wave : array_like, shape (samples,)
        The sound.
    *stages : (str, str, array_like of shape (frames, values))
        A title, what the rows are, and the numbers, in a stronger colour the larger they are. Time
        goes to the right and the first value is at the bottom.
    seconds : float
        How long the wave is.

    Returns
    -------
    Picture

    Raises
    ------
    ShapeError
        If the wave is not a sequence of numbers, there is no stage, or a stage is not a matrix.
    ValueError
        If an entry is not finite, or the time is not positive.

    Examples
    --------
    >>> import numpy as np
    >>> picture = feature_chain(np.sin(np.arange(800)), ("Mel", "band", np.eye(5)), seconds=0.05)
    >>> picture.description
    '800 samples in 0.05 s, from -1.00 to 1.00; Mel: 5 × 5 numbers, from 0.00 to 1.00.'
    """
    samples = np.asarray(wave, np.float64)
    if samples.ndim != 1 or samples.size < 2 or not stages:
        raise ShapeError(
            f"a figure needs a wave of two samples or more and a stage, found shape "
            f"{samples.shape} and {len(stages)} stages"
        )
    require_finite("wave", samples)
    if not seconds > 0:
        raise ValueError(f"seconds must be positive, found {seconds}")
    checked = [(title, rows, matrix(title, values)) for title, rows, values in stages]
    for title, _, values in checked:
        require_finite(title, values)
    words = [
        f"{samples.size} samples in {seconds:g} s, from {samples.min():.2f} to {samples.max():.2f}"
    ]
    with use_style():
        figure = Figure(figsize=(WIDTH, 1.2 + 1.35 * len(stages)))
        panels = figure.subplots(
            1 + len(stages), 1, sharex=True, height_ratios=[0.8, *[1.0] * len(stages)]
        )
        _draw_wave(panels[0], samples, seconds)
        for ax, (title, rows, values) in zip(panels[1:], checked, strict=True):
            extent = (0, seconds, -0.5, values.shape[1] - 0.5)
            ax.imshow(_shades(values), extent=extent, aspect="auto", interpolation="none")
            ax.set(title=title, ylabel=rows)
            ax.yaxis.set_major_locator(MaxNLocator(nbins=4, integer=True))
            ax.grid(visible=False)
            words.append(
                f"{title}: {values.shape[0]} × {values.shape[1]} numbers, "
                f"from {values.min():.2f} to {values.max():.2f}"
            )
        panels[-1].set(xlabel="Seconds", xlim=(0, seconds))
    return Picture(figure, "From sound to features", "; ".join(words) + ".")


def _draw_wave(ax: Axes, samples: NDArray[Any], seconds: float) -> None:
    """Draw the lowest and the highest sample of each short stretch: as a line would look."""
    stretches = np.array_split(samples, min(_ENVELOPE_POINTS, samples.size))
    time = (np.arange(len(stretches)) + 0.5) * seconds / len(stretches)
    low, high = ([pick(part) for part in stretches] for pick in (np.min, np.max))
    ax.fill_between(time, low, high, color=PALETTE["dense"], linewidth=0.5)
    ax.set_title("Wave")
    ax.grid(visible=False)
    ax.yaxis.set_major_locator(MaxNLocator(nbins=2))


def _shades(values: NDArray[Any]) -> NDArray[np.float64]:
    """Return red, green, blue and opacity; rows are values, the last one on top."""
    real = values.T[::-1].astype(np.float64)
    spread = float(real.max() - real.min()) or 1.0
    colors = np.empty((*real.shape, 4))
    colors[..., :3] = to_rgb(PALETTE["kronecker"])
    colors[..., 3] = 0.04 + 0.96 * (real - real.min()) / spread
    return colors


def fold_accuracies(
    folds: Mapping[str, Sequence[float]], *, labels: Mapping[str, str] | None = None
) -> Picture:
    """Draw the accuracy on each held-out part, a row for each way to split, and the mean.

    Parameters
    ----------
    folds : mapping of str to sequence of float
        For each way to split, by a key of `PALETTE` (see `technique`), the accuracies, 0 to 1.
    labels : mapping of str to str, optional
        What the rows are called.

    Returns
    -------
    Picture

    Raises
    ------
    ValueError
        If there is nothing to draw, or an accuracy is outside 0 to 1.

    Examples
    --------
    >>> fold_accuracies({"dense": [0.9, 1.0]}, labels={"dense": "shuffled"}).description
    'shuffled: 95.0% on average of 2 parts, from 90.0% to 100.0%.'
    """
    if not folds:
        raise ValueError("there are no folds to draw")
    named, words = labels or {}, []
    rows = [(name, _finite(f"folds[{name!r}]", values)) for name, values in folds.items()]
    with use_style():
        figure = Figure(figsize=(WIDTH, 0.6 + 0.42 * len(rows)))
        ax = figure.subplots()
        for place, (name, values) in enumerate(rows):
            if values.min() < 0 or values.max() > 1:
                raise ValueError(
                    f"folds[{name!r}] has {values.min():g} to {values.max():g}, outside 0 to 1"
                )
            key = technique(name)
            ax.plot(
                values, [place] * len(values), MARKERS[key], color=PALETTE[key], alpha=0.7,
                clip_on=False,
            )  # fmt: skip
            mean = float(values.mean())
            ax.plot([mean] * 2, [place - 0.3, place + 0.3], "-", color=PALETTE[key], lw=2.2)
            ax.annotate(
                f"{mean:.1%}",
                (1, place),
                (6, 0),
                xycoords=("axes fraction", "data"),
                textcoords="offset points",
                va="center",
                annotation_clip=False,
            )
            words.append(
                f"{named.get(name, name)}: {mean:.1%} on average of {len(values)} parts, "
                f"from {values.min():.1%} to {values.max():.1%}"
            )
        name_rows(ax, [named.get(name, name) for name, _ in rows])
        ax.xaxis.set_major_locator(MaxNLocator(nbins=4))
        ax.xaxis.set_major_formatter(PercentFormatter(1.0, decimals=0))
        ax.set_title("Accuracy on each part, and the mean")
    return Picture(figure, "Accuracy on each held-out part", "; ".join(words) + ".")


def best_of_several(ratios: Sequence[float], expected: Mapping[int, float]) -> Picture:
    """Draw how far the best run lies above the mean, beside what so many runs would give.

    Parameters
    ----------
    ratios : sequence of float
        (best - mean) / standard deviation, one for each result.
    expected : mapping of int to float
        The same on average, for numbers of runs, in ascending order.

    Returns
    -------
    Picture

    Raises
    ------
    ValueError
        If one of them is empty, or a number is not finite.

    Examples
    --------
    >>> best_of_several([1.0, 1.4], {2: 0.7, 4: 1.2}).description
    '2 results, median 1.20; expected of 2 runs 0.70, of 4 runs 1.20.'
    """
    values = np.sort(_finite("ratios", ratios))
    if not expected:
        raise ValueError("there are no numbers of runs to compare with")
    levels = _finite("expected", list(expected.values()))
    with use_style():
        figure = Figure(figsize=(WIDTH, 1.9))
        ax = figure.subplots()
        height = np.zeros(len(values))
        width = 0.05
        for i, value in enumerate(values):  # a dot above those that it would lie on
            height[i] = sum(abs(values[:i] - value) < width)
        ax.plot(values, height, MARKERS["accent"], color=PALETTE["accent"], clip_on=False)
        for runs, level in zip(expected, levels, strict=True):
            ax.axvline(level, color=INK, lw=0.8, alpha=0.5)
            ax.annotate(
                str(runs),
                (level, 1),
                (0, 2),
                xycoords=("data", "axes fraction"),
                textcoords="offset points",
                ha="center",
                va="bottom",
            )
        ax.set_title("Runs that would give so much on average:", pad=16)
        ax.set_xlabel("(best − mean) / standard deviation")
        ax.yaxis.set_visible(False)
        ax.spines["left"].set_visible(False)
        ax.grid(visible=False)
        ax.set_ylim(-0.5, height.max() + 1)
    words = ", ".join(
        f"of {runs} runs {level:.2f}" for runs, level in zip(expected, levels, strict=True)
    )
    return Picture(
        figure,
        "The best run above the mean",
        f"{len(values)} results, median {np.median(values):.2f}; expected {words}.",
    )


def learning_rates(
    rates: Mapping[str, Sequence[tuple[float, float]]], *, unit: str = "steps"
) -> Picture:
    """Draw learning rates against the time, on a logarithmic axis.

    Parameters
    ----------
    rates : mapping of str to sequence of (float, float)
        For each schedule, by what it is called, the times and the rates, positive. At most four.
    unit : str
        Of the time.

    Returns
    -------
    Picture

    Raises
    ------
    ValueError
        If there is no schedule, there are more than four, or a rate is not positive.

    Examples
    --------
    >>> learning_rates({"halves": [(0, 0.1), (10, 0.05)]}).description
    'halves: 0.1 after 0, 0.05 after 10 steps.'
    """
    colors = ("dense", "kronecker", "low_rank", "hybrid")
    if not 1 <= len(rates) <= len(colors):
        raise ValueError(f"a figure shows 1 to {len(colors)} schedules, found {len(rates)}")
    words = []
    with use_style():
        figure = Figure(figsize=(WIDTH, 3.1))
        ax = figure.subplots()
        for place, (name, points) in enumerate(rates.items()):
            time = _finite(f"times of {name!r}", [t for t, _ in points])
            rate = _finite(f"rates of {name!r}", [r for _, r in points])
            if rate.min() <= 0:
                raise ValueError(f"rates of {name!r} must be positive, found {rate.min():g}")
            key = colors[place]
            ax.plot(
                time,
                rate,
                color=PALETTE[key],
                marker=MARKERS[key],
                markevery=max(1, len(time) // 6),
                linestyle=_LINES[place],
                label=name,
            )
            words.append(
                f"{name}: {rate[0]:.3g} after {time[0]:g}, {rate[-1]:.3g} after {time[-1]:g} {unit}"
            )
        ax.set_yscale("log")
        ax.set(title="Learning rate", xlabel=unit.capitalize())
        ax.xaxis.set_major_locator(MaxNLocator(nbins=4))
        ax.xaxis.set_major_formatter(lambda value, _: f"{value:,.0f}")
        figure.legend(loc="outside upper center", ncols=2)
    return Picture(figure, "Learning rates", "; ".join(words) + ".")


def _finite(name: str, values: Sequence[float]) -> NDArray[np.float64]:
    array = np.asarray(values, np.float64)
    if array.ndim != 1 or array.size == 0:
        raise ValueError(f"{name} must be a sequence of numbers, found shape {array.shape}")
    require_finite(name, array)
    return array
