"""Compiled kernels: the time of each version of one product."""

from collections.abc import Mapping

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import EngFormatter, LogLocator, NullFormatter

from kplib._checks import require_finite
from kplib.plots.picture import Picture
from kplib.plots.style import MARKERS, PALETTE, WIDTH, use_style


def version_times(times: Mapping[str, float]) -> Picture:
    """Draw the times of several versions of one piece of work, on a logarithmic scale.

    Dots, not bars: a bar has no zero to start from on this scale. The times stand beside the dots.

    Parameters
    ----------
    times : mapping of str to float
        Seconds of one call of each version, in the order in which they are drawn.

    Returns
    -------
    Picture

    Raises
    ------
    ValueError
        If there is no version, or a time is not positive and finite.

    Examples
    --------
    >>> picture = version_times({"1 loops": 3.7e-6, "2 packed": 2e-8})
    >>> "1 loops 3.7 µs, 2 packed 20 ns" in picture.description
    True
    """
    if not times:
        raise ValueError("there are no versions to draw")
    names = list(times)
    values = np.array([times[name] for name in names], np.float64)
    require_finite("times", values)
    if values.min() <= 0:
        raise ValueError(f"a time must be positive, found {values.min():g} seconds")
    with use_style():
        figure = Figure(figsize=(WIDTH, 0.7 + 0.25 * len(names)))
        ax = figure.subplots()
        ax.plot(
            values,
            range(len(names)),
            MARKERS["kronecker"],
            color=PALETTE["kronecker"],
            clip_on=False,
        )
        for place, value in enumerate(values):
            ax.annotate(
                _spoken(value), (value, place), (8, 0), textcoords="offset points", va="center"
            )
        ax.set_xscale("log")
        low, high = values.min(), values.max()
        margin = max(high / low, 10.0) ** 0.2  # room for the last label
        ax.set(xlim=(low / margin**0.4, high * margin), ylim=(len(names) - 0.4, -0.6))
        ax.set(title="Time of one call")
        ax.set_yticks(range(len(names)), names)
        ax.xaxis.set_major_locator(LogLocator(numticks=5))
        ax.xaxis.set_major_formatter(EngFormatter(unit="s"))
        ax.xaxis.set_minor_formatter(NullFormatter())
        ax.grid(visible=False, axis="y")
        ax.tick_params(axis="y", length=0)
        ax.spines["left"].set_visible(False)
    words = ", ".join(f"{name} {_spoken(value)}" for name, value in zip(names, values, strict=True))
    return Picture(figure, "Time of each version", f"Time of one call: {words}.")


def _spoken(seconds: float) -> str:
    """Return a time with three digits, such as "3.76 µs"."""
    return EngFormatter(unit="s")(float(f"{seconds:.3g}"))
