"""What a recurrent network stores: where most of its numbers are, what fits, what size is worth."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import to_rgba
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, NullLocator, PercentFormatter
from numpy.typing import NDArray

from kplib._checks import require_finite
from kplib.plots.axes import name_rows
from kplib.plots.picture import Picture
from kplib.plots.style import INK, MARKERS, PALETTE, WIDTH, technique, use_style

# ---------------------------------------------------------------- where most of them are

# How strongly a part is shaded: text stays legible on all of them, on light and dark pages.
_FLASH, _RAM = PALETTE["dense"], PALETTE["accent"]
_SHADES = (0.55, 0.3, 0.9, 0.1)
_WIDE_ENOUGH = 0.12  # a share that has room for its number


def parameter_shares(parts: Mapping[str, Mapping[str, int]]) -> Picture:
    """Draw what part of its parameters each network spends on what.

    Parameters
    ----------
    parts : mapping of str to mapping of str to int
        For each network the parameters of each part, the same parts in the same order; at most
        four. Parts that are named "biases" are drawn in the accent colour, because they are thin.

    Returns
    -------
    Picture

    Raises
    ------
    ValueError
        If there is no network, the networks have different parts or more than four, a count is
        negative, or a network has no parameters.

    Examples
    --------
    >>> picture = parameter_shares({"tiny": {"recurrent": 30, "input": 10}})
    >>> "tiny, 40 parameters: recurrent 75.0%, input 25.0%" in picture.description
    True
    """
    if not parts:
        raise ValueError("there are no networks to draw")
    names, kinds = list(parts), list(next(iter(parts.values())))
    for name in names:
        if list(parts[name]) != kinds or not 1 <= len(kinds) <= len(_SHADES):
            raise ValueError(
                f"every network needs the same 1 to {len(_SHADES)} parts: {names[0]!r} has "
                f"{kinds}, {name!r} has {list(parts[name])}"
            )
    counts = np.array([_positive(f"parts[{name!r}]", list(parts[name].values())) for name in names])
    totals = counts.sum(axis=1)
    if not totals.all():
        raise ValueError(f"{names[int(totals.argmin())]!r} has no parameters")
    shares = counts / totals[:, None]
    with use_style():
        figure = Figure(figsize=(WIDTH, 0.85 + 0.36 * len(names)))
        ax = figure.subplots()
        starts = np.zeros(len(names))
        for kind, shade, column in zip(kinds, _SHADES, shares.T, strict=False):
            color = _RAM if kind == "biases" else _FLASH
            boxes = ax.barh(range(len(names)), column, 0.66, starts, label=kind)
            for box in boxes:
                box.set(facecolor=to_rgba(color, shade), edgecolor=color, linewidth=0.6)
            for place, (start, share) in enumerate(zip(starts, column, strict=True)):
                if share >= _WIDE_ENOUGH:
                    _write(ax, start + share / 2, place, f"{share:.0%}", va="center_baseline")
            starts = starts + column
        for place, total in enumerate(totals):
            _write(ax, 1.02, place, f"{total:,.0f}", ha="left", va="center_baseline")
        ax.set(xlim=(0, 1.2), ylim=(len(names) - 0.4, -0.6))
        ax.set_yticks(range(len(names)), names)
        ax.tick_params(axis="y", length=0)
        ax.xaxis.set_visible(False)
        ax.grid(visible=False)
        ax.spines[["left", "bottom"]].set_visible(False)
        figure.legend(
            loc="outside lower center",
            ncols=len(kinds),
            columnspacing=1.0,
            handlelength=1.0,
            handletextpad=0.4,
        )
    words = [
        f"{name}, {total:,.0f} parameters: "
        + ", ".join(f"{kind} {share:.1%}" for kind, share in zip(kinds, row, strict=True))
        for name, total, row in zip(names, totals, shares, strict=True)
    ]
    return Picture(figure, "Where the parameters are", "; ".join(words) + ".")


# ---------------------------------------------------------------- what fits


def storage_sizes(
    sizes: Mapping[str, tuple[str, int, int]], *, limit: int, limit_name: str
) -> Picture:
    """Draw the bytes of one network's versions, in float32 and in 8 bits, against a limit.

    The axis is logarithmic: equal distances are equal factors.

    Parameters
    ----------
    sizes : mapping of str to (str, int, int)
        For each version its technique (see `technique`), its bytes in float32, and in 8 bits.
    limit : int
        Bytes there are.
    limit_name : str
        What sets the limit, for the label of its line.

    Returns
    -------
    Picture

    Raises
    ------
    ValueError
        If there are no versions, a size is not positive, or a technique has no colour.

    Examples
    --------
    >>> picture = storage_sizes({"all of it": ("dense", 65_536, 16_384)}, limit=32_768,
    ...                         limit_name="a small chip")
    >>> "all of it: 64.0 KB in float32, 16.0 KB in 8 bits" in picture.description
    True
    """
    if not sizes:
        raise ValueError("there are no sizes to draw")
    keys = [technique(key) for key, _, _ in sizes.values()]
    kilobytes = np.array(
        [_positive(f"sizes[{name!r}]", pair, least=1) for name, (_, *pair) in sizes.items()]
    )
    kilobytes = kilobytes / 1024
    (room,) = _positive("limit", [limit], least=1) / 1024
    with use_style():
        figure = Figure(figsize=(WIDTH, 0.85 + 0.36 * len(sizes)))
        ax = figure.subplots()
        for place, (key, pair) in enumerate(zip(keys, kilobytes, strict=True)):
            color, marker = PALETTE[key], MARKERS[key]
            ax.plot(pair, [place, place], "-", color=color, lw=1.4, alpha=0.5)
            ax.plot(pair[0], place, marker, color=color, ms=6)
            ax.plot(pair[1], place, marker, mfc="none", mec=color, mew=1.4, ms=6)
            _write_sizes(ax, place, *pair)
        ax.axvline(room, color=PALETTE["accent"], lw=1.4, ls="--", zorder=0)
        ax.set_title(f"{limit_name}: {room:g} KB", color=INK, pad=5)
        ax.set_xscale("log", base=2)
        ends = min(kilobytes.min(), room), max(kilobytes.max(), room)
        ax.set_xlim(ends[0] / 1.7, ends[1] * 1.7)
        ax.xaxis.set_major_locator(LogLocator(base=4, numticks=8))
        ax.xaxis.set_minor_locator(NullLocator())
        ax.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
        ax.set_xlabel("KB: hollow in 8 bits, filled in float32")
        name_rows(ax, list(sizes), over=0.75, under=0.5)
    words = [
        f"{name}: {wide:.1f} KB in float32, {narrow:.1f} KB in 8 bits"
        for name, (wide, narrow) in zip(sizes, kilobytes, strict=True)
    ]
    text = f"{limit_name} has {room:g} KB. " + "; ".join(words) + "."
    return Picture(figure, "Bytes of one network, stored in several ways", text)


def _write_sizes(ax: Axes, place: int, wide: float, narrow: float) -> None:
    """Write two sizes over their markers, or both in one where the markers are close."""
    texts = [f"{value:.{1 if value < 100 else 0}f}" for value in (wide, narrow)]
    labels = [(wide, 0, "center", texts[0]), (narrow, 4, "right", texts[1])]
    if wide < 1.6 * narrow and narrow < 1.6 * wide:
        labels = [((wide * narrow) ** 0.5, 0, "center", f"{texts[1]}–{texts[0]}")]
    for value, offset, side, text in labels:
        ax.annotate(
            text,
            (value, place),
            (offset, 6),
            textcoords="offset points",
            ha=side,
            va="bottom",
            fontsize=8,
        )


def accuracy_against_size(
    kilobytes: Mapping[str, float],
    accuracies: Mapping[str, Sequence[float]],
    *,
    name: str = "small",
    xlabel: str = "KB, float32",
) -> Picture:
    """Draw the accuracy of networks of one kind against their size, run by run.

    Parameters
    ----------
    kilobytes : mapping of str to float
        The size of each network, by what its label says.
    accuracies : mapping of str to sequence of float
        Accuracies of its runs, 0 to 1.
    name : str
        The kind's technique (see `technique`).
    xlabel : str
        What the size is counted in.

    Returns
    -------
    Picture

    Raises
    ------
    ValueError
        If the two do not name the same networks, a size is not positive, an accuracy is not in
        0 to 1, or the technique has no colour.

    Examples
    --------
    >>> picture = accuracy_against_size({"4": 1.0, "8": 2.5}, {"4": [0.8, 0.7], "8": [0.9]})
    >>> "4: 1 KB, 75.0% on average of 2 runs; 8: 2.5 KB, 90.0% in 1 run" in picture.description
    True
    """
    names = list(kilobytes)
    if not names or names != list(accuracies):
        raise ValueError(
            f"the two need the same networks in the same order: kilobytes has {names}, "
            f"accuracies {list(accuracies)}"
        )
    key = technique(name)
    sizes = _positive("kilobytes", list(kilobytes.values()))
    if not sizes.all():
        raise ValueError(f"{names[int(sizes.argmin())]!r} has 0 KB: the axis is logarithmic")
    runs = [_positive(f"accuracies[{label!r}]", accuracies[label], most=1) for label in names]
    means = np.array([values.mean() for values in runs])
    with use_style():
        figure = Figure()
        ax = figure.subplots()
        ax.plot(sizes, means, "-", color=PALETTE[key])
        for label, size, values, mean in zip(names, sizes, runs, means, strict=True):
            places = np.full(len(values), size)
            ax.plot(places, values, MARKERS[key], color=PALETTE[key], alpha=0.75, clip_on=False)
            ax.annotate(
                f"{label}\n{mean:.1%}",
                (size, values.min()),
                (7, -3),
                textcoords="offset points",
                ha="left",
                va="top",
            )
        ax.set_xscale("log", base=2)
        ax.set_xlim(sizes.min() / 1.5, sizes.max() * 3.2)
        lowest = min(values.min() for values in runs)
        ax.set_ylim(max(-0.1, lowest - 0.45 * max(1 - lowest, 0.05)), 1)
        ax.set(xlabel=xlabel, title="Accuracy, each run, and the mean")
        ax.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
        ax.xaxis.set_minor_locator(NullLocator())
        ax.yaxis.set_major_formatter(PercentFormatter(1.0, decimals=0))
    words = [
        f"{label}: {size:.3g} KB, {values.mean():.1%} "
        f"{'in 1 run' if len(values) == 1 else f'on average of {len(values)} runs'}"
        for label, size, values in zip(names, sizes, runs, strict=True)
    ]
    return Picture(figure, "Accuracy against size", "; ".join(words) + ".")


def _write(ax: Axes, x: float, y: float, text: str, **options: Any) -> None:
    ax.text(x, y, text, **{"ha": "center", "va": "center", **options})


def _positive(
    name: str, values: Sequence[float], *, least: float = 0, most: float = np.inf
) -> NDArray[np.float64]:
    """Return finite values between two bounds as an array of one axis."""
    array = np.asarray(values, np.float64)
    if array.ndim != 1 or array.size == 0:
        raise ValueError(f"{name} must be a sequence of numbers, found shape {array.shape}")
    require_finite(name, array)
    if array.min() < least or array.max() > most:
        raise ValueError(
            f"{name} has {array.min():g} to {array.max():g}, outside {least:g} to {most:g}"
        )
    return array
