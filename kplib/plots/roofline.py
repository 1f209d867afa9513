"""What a machine allows, and what programs make of it: rooflines, bandwidths, speed-ups."""

import itertools
from collections.abc import Collection, Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, NullLocator

from kplib.plots.axes import name_rows, plain_numbers, positive
from kplib.plots.picture import Picture
from kplib.plots.style import INK, LABELS, MARKERS, PALETTE, WIDTH, technique, use_style

_FADED = 0.75
_DASHES = ("-", "--", ":", "-.")


def roofline(
    peak: float,
    bandwidths: Mapping[str, float],
    points: Mapping[str, tuple[str, float, float]],
    *,
    hollow: Collection[str] = (),
    units: tuple[str, str] = ("FLOP per byte", "GFLOP/s"),
) -> Picture:
    """Draw how fast programs run under a machine's roof: rate against arithmetic intensity.

    The roof is the smaller of the peak and intensity times bandwidth: one slope a bandwidth, each
    in a line style of its own.

    Parameters
    ----------
    peak : float
        Operations a unit of time.
    bandwidths : mapping of str to float
        By name, in units of data a unit of time.
    points : mapping of str to (str, float, float)
        By name, a technique (see `technique`), an arithmetic intensity and a rate.
    hollow : collection of str
        Names of the points that are drawn as outlines.
    units : (str, str)
        Of the two axes.

    Returns
    -------
    Picture

    Raises
    ------
    ValueError
        If there is no bandwidth or no point, or a number is not positive and finite.

    Examples
    --------
    >>> points = {"dense": ("dense", 0.5, 80.0), "factors": ("kp", 1.5, 100.0)}
    >>> picture = roofline(250.0, {"first cache": 400.0}, points)
    >>> "factors: 1.5 FLOP per byte, 100 GFLOP/s" in picture.description
    True
    """
    if not bandwidths or not points:
        raise ValueError("a roofline needs a bandwidth and a point, at least one of each")
    rows = positive("points", [point[1:] for point in points.values()])
    slopes = positive("bandwidths", list(bandwidths.values()))
    top = float(positive("peak", [peak])[0])
    low = min(rows[:, 0].min() / 2, 0.5 * top / slopes.max())
    high = max(rows[:, 0].max() * 2, 2.5 * top / slopes.min())
    with use_style():
        rows_of_legend = -(-(len(points) + len(bandwidths)) // 2)
        figure = Figure(figsize=(WIDTH, 2.65 + 0.19 * rows_of_legend))
        ax = figure.subplots()
        ax.loglog()
        for name, slope, dashes in zip(bandwidths, slopes, itertools.cycle(_DASHES)):
            x = np.array([low, top / slope])
            ax.plot(x, x * slope, color=INK, marker="", lw=1.4, ls=dashes, label=name)
        ax.plot([top / slopes.max(), high], [top, top], color=INK, marker="", lw=1.4)
        ax.annotate(f"peak {top:.3g}", (high, top), (0, 3), textcoords="offset points", ha="right")
        for name, (kind, intensity, rate) in points.items():
            key = technique(kind)
            ax.plot(
                intensity, rate, MARKERS[key], color=PALETTE[key], label=name, clip_on=False,
                ms=6, mfc="none" if name in hollow else PALETTE[key], mew=1.4, zorder=3,
            )  # fmt: skip
        ax.set(xlim=(low, high), ylim=(rows[:, 1].min() / 2, top * 1.8))
        ax.set(xlabel=units[0], title=units[1])
        _plain_decades(ax)
        figure.legend(loc="outside lower left", ncols=2, columnspacing=1.2, handletextpad=0.3)
    roofs = ", ".join(f"{name} {slope:.3g}" for name, slope in zip(bandwidths, slopes, strict=True))
    words = "; ".join(
        f"{name}: {intensity:.2g} {units[0]}, {rate:.3g} {units[1]}"
        for name, (_, intensity, rate) in points.items()
    )
    return Picture(
        figure,
        "Rate against arithmetic intensity",
        f"The roof: peak {top:.3g} {units[1]}, and sloping up to it {roofs}. {words}.",
    )


def bandwidth_by_size(
    bandwidths: Mapping[int, float], networks: Mapping[str, tuple[int, int]]
) -> Picture:
    """Draw how fast data are read by how much of it there is, and where networks lie on that axis.

    Parameters
    ----------
    bandwidths : mapping of int to float
        Bytes a second, by the bytes that are read again and again.
    networks : mapping of str to (int, int)
        By name, the bytes of the dense gate matrices and of their Kronecker factors.

    Returns
    -------
    Picture

    Raises
    ------
    ValueError
        If either is empty, or a number is not positive and finite.

    Examples
    --------
    >>> picture = bandwidth_by_size({4096: 4e11, 1 << 20: 1e11}, {"KWS": (241664, 8064)})
    >>> "4 KB 400 GB/s, 1 MB 100 GB/s" in picture.description
    True
    >>> "KWS: dense 236 KB, factors 7.9 KB" in picture.description
    True
    """
    if not bandwidths or not networks:
        raise ValueError("there is nothing to draw: bandwidths and networks must not be empty")
    sizes = positive("sizes", list(bandwidths))
    rates = positive("bandwidths", list(bandwidths.values()))
    pairs = positive("networks", list(networks.values()))
    with use_style():
        height = 0.5 + 0.22 * len(networks)
        figure = Figure(figsize=(WIDTH, 1.75 + height))
        upper, lower = figure.subplots(2, 1, sharex=True, height_ratios=[1.75, height])
        upper.plot(sizes, rates / 1e9, color=PALETTE["accent"], marker="o", ms=3.5)
        upper.set_xscale("log", base=2)
        upper.set_ylim(bottom=0)
        upper.set_title("GB/s, by size of the data")
        for place, (dense, factors) in enumerate(pairs):
            lower.plot([factors, dense], [place, place], color=INK, marker="", lw=1, alpha=0.5)
            for key, size in (("dense", dense), ("kronecker", factors)):
                label = f"{LABELS[key]}" if place == 0 else None
                lower.plot(size, place, MARKERS[key], color=PALETTE[key], label=label, ms=5.5)
        name_rows(lower, list(networks))
        first = int(np.floor(np.log2(min(sizes.min(), pairs.min()))))
        last = int(np.ceil(np.log2(max(sizes.max(), pairs.max()))))
        step = max(1, -(-(last - first) // 6))
        lower.set_xticks([2.0**k for k in range(first, last + 1, step)])
        lower.xaxis.set_minor_locator(NullLocator())
        lower.xaxis.set_major_formatter(FuncFormatter(lambda size, _: _bytes(size)))
        lower.set_xlim(2.0 ** (first - 0.3), 2.0 ** (last + 0.3))
        figure.legend(loc="outside lower left", ncols=2, columnspacing=1.2, handletextpad=0.3)
    curve = ", ".join(
        f"{_bytes(size)} {rate / 1e9:.3g} GB/s" for size, rate in zip(sizes, rates, strict=True)
    )
    words = "; ".join(
        f"{name}: dense {_bytes(dense)}, factors {_bytes(factors)}"
        for name, (dense, factors) in zip(networks, pairs, strict=True)
    )
    return Picture(figure, "Bandwidth by size of the data", f"{curve}. {words}.")


def speed_ups_against_counts(
    points: Mapping[str, Sequence[tuple[str, float, float]]],
) -> Picture:
    """Draw how many times faster networks are against how many times fewer multiplications.

    Parameters
    ----------
    points : mapping of str to sequence of (str, float, float)
        By technique (see `technique`): for each network its name, how many times fewer
        multiplications it needs, and how many times as fast it is.

    Returns
    -------
    Picture
        On the diagonal a network is as much faster as it needs fewer.

    Raises
    ------
    ValueError
        If there is nothing to draw, or a number is not positive and finite.

    Examples
    --------
    >>> picture = speed_ups_against_counts({"kp": [("KWS", 12.6, 1.53)]})
    >>> "Kronecker (KP): KWS 12.6 times fewer, 1.53 times as fast" in picture.description
    True
    """
    if not points or not all(points.values()):
        raise ValueError("there is nothing to draw: each technique needs a network")
    values = {
        name: positive(f"points[{name!r}]", [row[1:] for row in rows])
        for name, rows in points.items()
    }
    every = np.concatenate(list(values.values()))
    low, high = min(every.min(), 1.0) / 1.25, every.max() * 1.4
    with use_style():
        figure = Figure(figsize=(WIDTH, 3.1))
        ax = figure.subplots()
        ax.loglog()
        ax.plot([low, high], [low, high], color=INK, marker="", ls="--", lw=1, alpha=_FADED)
        for name, pairs in values.items():
            key = technique(name)
            ax.plot(
                pairs[:, 0], pairs[:, 1], MARKERS[key], color=PALETTE[key], ms=6,
                label=LABELS[key], zorder=3,
            )  # fmt: skip
        ax.set(xlim=(low, high), ylim=(low, max(every[:, 1].max() * 1.6, 10.0)))
        ax.set(xlabel="times fewer multiplications", title="times as fast")
        _plain_decades(ax)
        figure.legend(loc="outside lower left", ncols=2, columnspacing=1.2, handletextpad=0.3)
    words = "; ".join(
        f"{LABELS[technique(name)]}: "
        + ", ".join(
            f"{row[0]} {row[1]:.3g} times fewer, {row[2]:.3g} times as fast" for row in rows
        )
        for name, rows in points.items()
    )
    return Picture(figure, "Speed-up against the saving in multiplications", f"{words}.")


def _plain_decades(ax: Axes) -> None:
    """Label both logarithmic axes in plain numbers, at 1, 10, 100 and between where few."""
    for axis, limits in ((ax.xaxis, ax.get_xlim()), (ax.yaxis, ax.get_ylim())):
        decades = np.log10(limits[1] / limits[0])
        plain_numbers(axis, (1,) if decades > 2.5 else (1, 2, 5))


def _bytes(size: float) -> str:
    """Return a size in B, KB or MB of 1024, such as "7.9 KB"."""
    for unit, scale in (("MB", 1 << 20), ("KB", 1 << 10)):
        if size >= scale:
            return (
                f"{size / scale:.3g} {unit}" if size >= 10 * scale else f"{size / scale:.2g} {unit}"
            )
    return f"{size:.0f} B"
