"""What several figures share: one row a name, plain numbers on axes, the checks of values."""

from collections.abc import Sequence
from typing import Literal

import numpy as np
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.ticker import FuncFormatter, LogLocator, NullLocator
from numpy.typing import NDArray

from kplib._checks import require_finite


def name_rows(ax: Axes, names: Sequence[str], *, over: float = 0.6, under: float = 0.6) -> None:
    """Give the y axis one row a name, the first on top, and nothing but the names.

    Parameters
    ----------
    ax : matplotlib.axes.Axes
        Row k is at y = k.
    names : sequence of str
        What stands at the rows.
    over, under : float
        Room over the first row and under the last, in rows.
    """
    ax.set_yticks(range(len(names)), list(names))
    ax.set_ylim(len(names) - 1 + under, -over)
    ax.tick_params(axis="y", length=0)
    ax.grid(visible=False, axis="y")
    ax.spines["left"].set_visible(False)


def plain_numbers(axis: Axis, digits: Sequence[int] = (1, 2, 5)) -> None:
    """Label a logarithmic axis in plain numbers, which begin with these digits: 1, 2, 5, 10, ..."""
    axis.set_major_locator(LogLocator(subs=digits, numticks=12))
    axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axis.set_minor_locator(NullLocator())


def label_log_axis(ax: Axes, which: Literal["x", "y"], unit: str = "") -> None:
    """Put plain numbers at 1, 2 and 5 of each decade, or at decades where there are many."""
    axis = ax.xaxis if which == "x" else ax.yaxis
    low, high = ax.get_xlim() if which == "x" else ax.get_ylim()
    decades = np.log10(high / low)
    subs = (1.0, 2.0, 5.0) if decades < 2.3 else (1.0,) if decades > 4 else (1.0, 3.0)
    axis.set_major_locator(LogLocator(subs=subs, numticks=20))
    axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,g}{unit}"))
    axis.set_minor_locator(NullLocator())


def positive(name: str, values: Sequence[object]) -> NDArray[np.float64]:
    """Return positive finite values as an array; a ValueError names what is not."""
    array = np.asarray(values, np.float64)
    require_finite(name, array)
    if array.size and array.min() <= 0:
        raise ValueError(f"{name} must be positive, found {array.min():g}")
    return array


def nonnegative(name: str, values: Sequence[float]) -> NDArray[np.float64]:
    """Return non-negative finite values as an array of one axis."""
    array = np.asarray(values, np.float64)
    if array.ndim != 1 or array.size == 0:
        raise ValueError(f"{name} must be a sequence of numbers, found shape {array.shape}")
    require_finite(name, array)
    if array.min() < 0:
        raise ValueError(f"{name} has {array.min():g}, below 0")
    return array
