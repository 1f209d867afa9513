"""What a longer training brings: the error of networks against the epochs that they had."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter

from kplib._checks import require_finite
from kplib.plots.picture import Picture
from kplib.plots.style import INK, MARKERS, PALETTE, WIDTH, label_of, technique, use_style

Errors = Mapping[str, Sequence[tuple[float, float]]]


def errors_by_length(
    errors: Errors,
    printed: Errors | None = None,
    *,
    unit: str = "epochs",
    measure: str = "Test error",
    labels: Mapping[str, str] | None = None,
) -> Picture:
    """Draw the errors of trainings of several lengths, on two logarithmic axes.

    Parameters
    ----------
    errors : mapping of str to sequence of (float, float)
        For each technique (see `technique`), for each training, in any order: its length and the
        error in %. Means of one length are joined by a line.
    printed : mapping of str to sequence of (float, float), optional
        The same of the papers, drawn hollow.
    unit : str, default "epochs"
        Of the lengths.
    measure : str
        What the errors are of.
    labels : mapping of str to str, optional
        Other names for the legend.

    Returns
    -------
    Picture

    Raises
    ------
    ValueError
        If there is nothing to draw, a number is not positive and finite, or a technique has no
        colour.

    Examples
    --------
    >>> picture = errors_by_length({"kp": [(30, 4.0), (150, 2.0)]}, {"kp": [(5000, 1.7)]})
    >>> picture.description
    'Test error. Kronecker (KP): 30 epochs 4.00%, 150 epochs 2.00%; in the papers 5,000 epochs \
1.70%.'
    """
    printed = printed or {}
    words = []
    with use_style():
        figure = Figure(figsize=(WIDTH, 3.1))
        ax = figure.subplots()
        for name in dict.fromkeys((*errors, *printed)):
            key, label = technique(name), label_of(name, labels)
            look: dict[str, Any] = {"color": PALETTE[key], "marker": MARKERS[key]}
            ours, theirs = _means(name, errors.get(name, ())), _means(name, printed.get(name, ()))
            ax.plot(*ours.T, label=label, **look)
            each = np.array(errors.get(name, np.empty((0, 2))), np.float64)
            ax.plot(*each.T, ls="", ms=2.5, alpha=0.6, **look)
            ax.plot(*theirs.T, ls="", mfc="none", **look)
            told = [_in_words(ours, unit)] * bool(ours.size)
            told += [f"in the papers {_in_words(theirs, unit)}"] * bool(theirs.size)
            words.append(f"{label}: " + "; ".join(told))
        if not words:
            raise ValueError("needs a training, found none")
        if printed:
            ax.plot([], [], ls="", marker="o", color=INK, mfc="none", label="the papers")
        ax.set(xscale="log", yscale="log", xlabel=unit.capitalize(), title=f"{measure}, %")
        for axis in (ax.xaxis, ax.yaxis):
            axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,g}"))
        ax.set_yticks(_ticks(*ax.get_ylim()))
        ax.minorticks_off()
        figure.legend(loc="outside lower center", ncols=2)
    return Picture(figure, f"{measure} by length", f"{measure}. " + ". ".join(words) + ".")


def _means(name: str, trainings: Sequence[tuple[float, float]]) -> np.ndarray:
    """Return one row (length, mean error) a length."""
    rows = np.array(trainings, np.float64).reshape(-1, 2)
    require_finite(f"errors[{name!r}]", rows)
    if rows.size and rows.min() <= 0:
        raise ValueError(f"{name}: lengths and errors have to be positive, found {rows.min():g}")
    lengths = np.unique(rows[:, 0])
    return np.array([(x, rows[rows[:, 0] == x, 1].mean()) for x in lengths]).reshape(-1, 2)


def _ticks(low: float, high: float) -> list[float]:
    every = [digit * 10.0**power for power in range(-3, 3) for digit in (1, 2, 3, 5)]
    return [tick for tick in every if low <= tick <= high]


def _in_words(rows: np.ndarray, unit: str) -> str:
    return ", ".join(f"{length:,g} {unit} {error:.2f}%" for length, error in rows)
