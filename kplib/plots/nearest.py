"""Nearest Kronecker products: what is caught for how much, searches for more, and late starts."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator, PercentFormatter
from numpy.typing import NDArray

from kplib._checks import require_finite
from kplib.plots.picture import Picture
from kplib.plots.style import MARKERS, PALETTE, WIDTH, technique, use_style

_LINES = ("-", (0, (4, 2)), (0, (1, 1.5)), (0, (6, 2, 1, 2)))


def caught_against_numbers(
    shares: Mapping[str, Mapping[float, float]],
    accuracies: Mapping[float, float],
    *,
    labels: Mapping[str, str] | None = None,
) -> Picture:
    """Draw the share of a matrix that is caught against the numbers stored, above the accuracy.

    Parameters
    ----------
    shares : mapping of str to mapping of float to float
        For each approximation, by its technique (see `technique`), the share of the squared
        Frobenius norm that is caught, 0 to 1, by the numbers that it stores: a multiple of those of
        the dense matrix.
    accuracies : mapping of float to float
        The accuracy, 0 to 1, of the network whose matrices are the first approximation, by the same
        multiple.
    labels : mapping of str to str, optional
        Names for the legend.

    Returns
    -------
    Picture

    Raises
    ------
    ValueError
        If there is nothing to draw, or a share or accuracy is outside 0 to 1.

    Examples
    --------
    >>> picture = caught_against_numbers({"kp": {0.1: 0.2, 0.5: 0.7}}, {0.1: 0.1, 0.5: 0.6})
    >>> "kp: 20% caught for 0.10 of the dense numbers, 70% for 0.50" in picture.description
    True
    >>> "Accuracy: 10.0% for 0.10, 60.0% for 0.50" in picture.description
    True
    """
    if not shares or not accuracies:
        raise ValueError("there are no shares, or no accuracies, to draw")
    named, words = labels or {}, []
    first = next(iter(shares))
    with use_style():
        figure = Figure(figsize=(WIDTH, 4.3))
        top, bottom = figure.subplots(2, 1, sharex=True)
        for place, (name, points) in enumerate(shares.items()):
            x, y = _points(name, points)
            label = named.get(name, name)
            _line(top, name, x, y, label, _LINES[place % len(_LINES)])
            words.append(
                f"{label}: {y[0]:.0%} caught for {x[0]:.2f} of the dense numbers, "
                f"{y[-1]:.0%} for {x[-1]:.2f}"
            )
        x, y = _points("accuracies", accuracies)
        _line(bottom, first, x, y, "", "-")
        words.append(f"Accuracy: {y[0]:.1%} for {x[0]:.2f}, {y[-1]:.1%} for {x[-1]:.2f}")
        top.set_title("Share of the matrices that is caught")
        top.legend(loc="lower right")
        bottom.set(title="Accuracy", xlabel="Numbers stored / numbers of the dense matrix")
        for ax in (top, bottom):
            ax.set(xlim=(0, None), ylim=(0, 1.02))
            ax.yaxis.set_major_formatter(PercentFormatter(1.0, decimals=0))
    return Picture(figure, "Caught, and accuracy, against the numbers stored", ". ".join(words))


def search_progress(
    traces: Mapping[str, Sequence[float]], *, labels: Mapping[str, str] | None = None
) -> Picture:
    """Draw how a search raises a share, try by try.

    Parameters
    ----------
    traces : mapping of str to sequence of float
        For each search, by a key of `PALETTE` (see `technique`), the best share so far, 0 to 1:
        first before the search, then after each try.
    labels : mapping of str to str, optional
        Names for the legend.

    Returns
    -------
    Picture

    Raises
    ------
    ValueError
        If there is no search, or a share is outside 0 to 1.

    Examples
    --------
    >>> search_progress({"kp": [0.1, 0.1, 0.25]}, labels={"kp": "a gate"}).description
    'a gate: from 10.0% to 25.0% in 2 tries.'
    """
    if not traces:
        raise ValueError("there are no searches to draw")
    named, words = labels or {}, []
    with use_style():
        figure = Figure(figsize=(WIDTH, 2.7))
        ax = figure.subplots()
        for place, (name, values) in enumerate(traces.items()):
            y = _shares(f"traces[{name!r}]", values)
            label = named.get(name, name)
            _line(ax, name, np.arange(len(y)), y, label, _LINES[place % len(_LINES)])
            words.append(f"{label}: from {y[0]:.1%} to {y[-1]:.1%} in {len(y) - 1} tries")
        ax.set(title="Share of the matrices that is caught", xlabel="Tries", ylim=(0, None))
        ax.set_xlim(left=0)
        ax.xaxis.set_major_locator(MaxNLocator(nbins=5, integer=True))
        ax.yaxis.set_major_formatter(PercentFormatter(1.0, decimals=0))
        ax.legend(loc="best")
    return Picture(figure, "A search for a larger share", "; ".join(words) + ".")


def late_starts(
    runs: Mapping[str, tuple[int, Sequence[Sequence[float]]]],
    *,
    labels: Mapping[str, str] | None = None,
) -> Picture:
    """Draw accuracies after each epoch of trainings that do not all begin at epoch 0.

    Parameters
    ----------
    runs : mapping of str to (int, sequence of sequence of float)
        For each kind of training, by its technique (see `technique`), the epoch of its first value
        and, for each run, the accuracies from there on, 0 to 1, an epoch apart.
    labels : mapping of str to str, optional
        Names for the legend.

    Returns
    -------
    Picture
        Thin lines are runs, thick ones their mean.

    Raises
    ------
    ValueError
        If there is nothing to draw, the runs of a kind differ in length, or an accuracy is outside
        0 to 1.

    Examples
    --------
    >>> picture = late_starts({"dense": (0, [[0.1, 0.9]]), "kp": (1, [[0.2, 0.7], [0.4, 0.9]])})
    >>> picture.description
    'dense: 10.0% after epoch 0, 90.0% after epoch 1; kp: 30.0% after epoch 1, 80.0% after epoch 2.'
    """
    if not runs:
        raise ValueError("there are no trainings to draw")
    named, words = labels or {}, []
    with use_style():
        figure = Figure(figsize=(WIDTH, 3.4))
        ax = figure.subplots()
        for place, (name, (start, curves)) in enumerate(runs.items()):
            if len({len(curve) for curve in curves}) != 1:
                raise ValueError(f"the runs of {name!r} have {[len(c) for c in curves]} values")
            values = np.array([_shares(f"runs[{name!r}]", curve) for curve in curves])
            epochs = start + np.arange(values.shape[1])
            key, label = technique(name), named.get(name, name)
            for curve in values:
                ax.plot(epochs, curve, color=PALETTE[key], marker="", lw=0.8, alpha=0.5)
            mean = values.mean(axis=0)
            _line(ax, name, epochs, mean, label, _LINES[place % len(_LINES)])
            words.append(
                f"{label}: {mean[0]:.1%} after epoch {start}, "
                f"{mean[-1]:.1%} after epoch {epochs[-1]}"
            )
        ax.set(title="Accuracy", xlabel="Epochs, those of the dense network included")
        ax.set(xlim=(0, None), ylim=(0, 1.02))
        ax.xaxis.set_major_locator(MaxNLocator(nbins=6, integer=True))
        ax.yaxis.set_major_formatter(PercentFormatter(1.0, decimals=0))
        figure.legend(loc="outside upper center", ncols=2)
    return Picture(figure, "Accuracy after each epoch", "; ".join(words) + ".")


def _line(
    ax: Axes, name: str, x: NDArray[Any], y: NDArray[Any], label: str, linestyle: Any
) -> None:
    key = technique(name)
    ax.plot(
        x,
        y,
        color=PALETTE[key],
        marker=MARKERS[key],
        markevery=max(1, len(x) // 8),
        linestyle=linestyle,
        label=label,
        clip_on=False,
    )


def _points(name: str, points: Mapping[float, float]) -> tuple[NDArray[Any], NDArray[Any]]:
    x = np.array(sorted(points), np.float64)
    require_finite(name, x)
    return x, _shares(name, [points[value] for value in x.tolist()])


def _shares(name: str, values: Sequence[float]) -> NDArray[np.float64]:
    array = np.asarray(values, np.float64)
    if array.ndim != 1 or array.size == 0:
        raise ValueError(f"{name} must be a sequence of numbers, found shape {array.shape}")
    require_finite(name, array)
    if array.min() < -1e-9 or array.max() > 1 + 1e-9:
        raise ValueError(f"{name} has {array.min():g} to {array.max():g}, outside 0 to 1")
    return array
