"""Keywords: what each looks like to a network, and what a network hears in a stream."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from numpy.typing import ArrayLike, NDArray

from kplib._checks import matrix, require_finite
from kplib.errors import ShapeError
from kplib.plots.picture import Picture
from kplib.plots.style import INK, PALETTE, WIDTH, use_style


def keyword_maps(examples: Mapping[str, ArrayLike], *, seconds: float) -> Picture:
    """Draw one example of each keyword, side by side: time to the right, features upwards.

    Parameters
    ----------
    examples : mapping of str to array_like of shape (steps, features)
        For each keyword its numbers, in a stronger colour the larger they are; one scale for all.
    seconds : float
        How long each of them is.

    Returns
    -------
    Picture

    Raises
    ------
    ShapeError
        If there are no examples, or they are not matrices of one shape.
    ValueError
        If an entry is not finite, or the time is not positive.

    Examples
    --------
    >>> picture = keyword_maps({"up": np.eye(4), "down": np.eye(4)[::-1]}, seconds=0.5)
    >>> picture.description
    'up, down: 4 steps of 4 features each, in 0.5 s. Strongest feature, first to last step with \
most: up 1 to 4, down 4 to 1.'
    """
    maps = {word: _features(word, values) for word, values in examples.items()}
    shapes = {values.shape for values in maps.values()}
    if len(shapes) != 1:
        raise ShapeError(f"the examples must have one shape, found {sorted(shapes)}")
    _positive(seconds)
    ((steps, count),) = shapes
    largest = max(values.max() for values in maps.values())
    smallest = min(values.min() for values in maps.values())
    with use_style():
        figure = Figure(figsize=(WIDTH, 1.55))
        panels = figure.subplots(1, len(maps), sharex=True, sharey=True, squeeze=False)[0]
        for ax, (word, values) in zip(panels, maps.items(), strict=True):
            _map(ax, values, seconds, smallest, largest)
            ax.set_title(word, loc="center")
            ax.xaxis.set_major_locator(MaxNLocator(nbins=2))
        panels[0].set_ylabel("Feature")
        figure.supxlabel("Seconds", fontsize=9, color=INK)
    ends = ", ".join(f"{word} {_ends(values)}" for word, values in maps.items())
    return Picture(
        figure,
        "The keywords, as the network gets them",
        f"{', '.join(maps)}: {steps} steps of {count} features each, in {seconds:g} s. Strongest "
        f"feature, first to last step with most: {ends}.",
    )


def keyword_stream(
    features: ArrayLike,
    probabilities: Mapping[str, ArrayLike],
    spoken: Sequence[tuple[float, float, str]],
    *,
    seconds: float,
) -> Picture:
    """Draw a stream of features, and below it the probability of each keyword after each step.

    Parameters
    ----------
    features : array_like, shape (steps, features)
        In a stronger colour the larger they are.
    probabilities : mapping of str to array_like of shape (steps,)
        For each keyword, 0 to 1; NaN where nothing was computed.
    spoken : sequence of (float, float, str)
        From when to when, in seconds, each keyword really was there.
    seconds : float
        How long the stream is.

    Returns
    -------
    Picture

    Raises
    ------
    ShapeError
        If the features are not a matrix, or there is not a probability for each step.
    ValueError
        If a probability is outside 0 to 1, or the time is not positive.

    Examples
    --------
    >>> heard = {"up": [0.2, 0.9, np.nan], "down": [0.8, 0.1, np.nan]}
    >>> keyword_stream(np.eye(3), heard, [(0, 0.2, "up")], seconds=0.3).description
    '3 steps in 0.3 s. up from 0.00 to 0.20 s: in its last step up has 90%.'
    """
    frames = _features("features", features)
    table = _probabilities(probabilities, len(frames))
    _positive(seconds)
    names = list(probabilities)
    with use_style():
        figure = Figure(figsize=(WIDTH, 3.0))
        top, bottom = figure.subplots(2, 1, sharex=True, height_ratios=[1.0, 0.95])
        _map(top, frames, seconds, frames.min(), frames.max())
        top.set(ylabel="Feature")
        for start, stop, word in spoken:
            middle = (start + stop) / 2
            top.annotate(
                word, (middle, 1), (0, 3), xycoords=("data", "axes fraction"),
                textcoords="offset points", ha="center", annotation_clip=False,
            )  # fmt: skip
            for ax in (top, bottom):
                ax.axvline(start, color=INK, linewidth=0.6, alpha=0.45)
                ax.axvline(stop, color=INK, linewidth=0.6, alpha=0.45)
        shades = _shades(np.nan_to_num(table[:, ::-1]), 0.0, 1.0, "kronecker")
        extent = (0, seconds, len(names) - 0.5, -0.5)
        bottom.imshow(shades, extent=extent, aspect="auto", interpolation="none")
        bottom.set_yticks(range(len(names)), names)
        bottom.tick_params(axis="y", length=0)
        bottom.set(title="Probability of each word after each step", xlabel="Seconds")
        bottom.set_xlim(0, seconds)
        bottom.grid(visible=False)
    return Picture(
        figure,
        "A stream, and what is heard in it",
        f"{len(frames)} steps in {seconds:g} s. {_heard(table, names, spoken, seconds)}",
    )


def _features(name: str, values: ArrayLike) -> NDArray[Any]:
    checked = matrix(name, values)
    require_finite(name, checked)
    return checked


def _positive(seconds: float) -> None:
    if not seconds > 0:
        raise ValueError(f"seconds must be positive, found {seconds}")


def _probabilities(probabilities: Mapping[str, ArrayLike], steps: int) -> NDArray[np.float64]:
    """Return them as (steps, keywords)."""
    rows = [np.asarray(values, np.float64) for values in probabilities.values()]
    if not rows or any(row.shape != (steps,) for row in rows):
        raise ShapeError(
            f"each keyword needs a probability for each of {steps} steps, found shapes "
            f"{[row.shape for row in rows]}"
        )
    table = np.stack(rows, axis=1)
    if np.any((table < -1e-6) | (table > 1 + 1e-6)):
        raise ValueError(
            f"probabilities are {np.nanmin(table):g} to {np.nanmax(table):g}, outside 0 to 1"
        )
    return table


def _heard(
    table: NDArray[Any],
    names: Sequence[str],
    spoken: Sequence[tuple[float, float, str]],
    seconds: float,
) -> str:
    """Return, in words, the likeliest keyword in the last step of each stretch."""
    words = []
    for start, stop, word in spoken:
        inside = table[: max(1, round(stop / seconds * len(table)))]
        known = inside[~np.isnan(inside).any(axis=1)]
        if len(known):
            best = int(known[-1].argmax())
            heard = f"in its last step {names[best]} has {known[-1, best]:.0%}"
        else:
            heard = "nothing was computed"
        words.append(f"{word} from {start:.2f} to {stop:.2f} s: {heard}")
    return "; ".join(words) + "."


def _ends(values: NDArray[Any]) -> str:
    """Return which feature is strongest in the first and last step that are as strong as half."""
    strength = values.max(axis=1)
    loud = np.flatnonzero(strength >= (strength.min() + strength.max()) / 2)
    return f"{values[loud[0]].argmax() + 1} to {values[loud[-1]].argmax() + 1}"


def _map(ax: Axes, values: NDArray[Any], seconds: float, smallest: float, largest: float) -> None:
    extent = (0, seconds, 0.5, values.shape[1] + 0.5)
    shades = _shades(values, smallest, largest, "dense")
    ax.imshow(shades, extent=extent, aspect="auto", interpolation="none")
    ax.yaxis.set_major_locator(MaxNLocator(nbins=4, integer=True))
    ax.grid(visible=False)


def _shades(
    values: NDArray[Any], smallest: float, largest: float, color: str
) -> NDArray[np.float64]:
    """Return red, green, blue and opacity; the last column of `values` is the row on top."""
    scaled = (values.T[::-1].astype(np.float64) - smallest) / (largest - smallest or 1.0)
    colors = np.empty((*scaled.shape, 4))
    colors[..., :3] = to_rgb(PALETTE[color])
    colors[..., 3] = 0.03 + 0.97 * np.clip(scaled, 0, 1)
    return colors
