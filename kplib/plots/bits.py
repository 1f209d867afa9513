"""Few bits: the grids that numbers are rounded to, what that costs, and when it is faster."""

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import NullLocator
from numpy.typing import ArrayLike, NDArray

from kplib._checks import numeric_array, require_finite
from kplib.plots.axes import label_log_axis
from kplib.plots.picture import Picture
from kplib.plots.style import INK, LABELS, MARKERS, PALETTE, WIDTH, label_of, technique, use_style

BITS = range(2, 6)  # with more, levels lie closer than lines can be drawn
Change = tuple[float, float, float]
Changes = Mapping[str, tuple[Change, Change]]

# ---------------------------------------------------------------- grids


def rounding_grids(A: ArrayLike, B: ArrayLike, bits: int = 4) -> Picture:
    """Draw the entries of a Kronecker product, and the two grids that they can be rounded to.

    One is that of the product, rounded with one scale; the other has the products of the factors'
    levels, which are denser near zero.

    Parameters
    ----------
    A, B : array_like of float, 2-D
        With an entry that is not 0.
    bits : int, default 4
        From 2 to 5: with more, the levels are too close to be drawn.

    Returns
    -------
    Picture

    Raises
    ------
    ValueError
        If the bits are others, or a factor has no entry but zeros, or one that is not finite.

    Examples
    --------
    >>> picture = rounding_grids([[7.0, -2.0]], [[1.0], [7.0]])
    >>> "15 levels" in picture.description and "51 levels" in picture.description
    True
    """
    if bits not in BITS:
        raise ValueError(f"bits must be from {BITS[0]} to {BITS[-1]}, found {bits!r}")
    factors = []
    for name, given in (("A", A), ("B", B)):
        matrix = numeric_array(name, given).astype(np.float64)
        require_finite(name, matrix)
        if matrix.ndim != 2 or not matrix.any():
            raise ValueError(f"{name} must be a matrix with an entry that is not 0")
        factors.append(matrix / np.abs(matrix).max())
    entries = np.kron(*factors)
    largest = 2 ** (bits - 1) - 1
    levels = np.arange(-largest, largest + 1)
    grids = {
        "dense": ("the product is rounded", levels / largest),
        "kronecker": ("the factors are", np.unique(np.outer(levels, levels)) / largest**2),
    }
    errors = {"dense": np.rint(entries * largest) / largest - entries}
    errors["kronecker"] = np.kron(*(np.rint(f * largest) / largest for f in factors)) - entries
    words = []
    with use_style():
        figure = Figure(figsize=(WIDTH, 2.9))
        above, below = figure.subplots(2, 1, sharex=True, height_ratios=(1.5, 1))
        above.hist(entries.ravel(), bins=61, range=(-1, 1), color=INK, alpha=0.35)
        above.set_title("How many entries")
        above.yaxis.set_major_locator(NullLocator())
        above.grid(visible=False)
        for place, (key, (name, grid)) in enumerate(grids.items()):
            below.vlines(grid, -place - 0.78, -place - 0.32, color=PALETTE[key], lw=1.1)
            below.text(
                -1, -place - 0.27, f"{len(grid)} levels if {name}", va="bottom", fontsize=8.5
            )
            relative = np.linalg.norm(errors[key]) / np.linalg.norm(entries)
            words.append(f"if {name}, {len(grid)} levels and an error of {relative:.1%}")
        below.set_ylim(-2, 0.2)
        below.yaxis.set_major_locator(NullLocator())
        below.grid(visible=False)
        below.spines["left"].set_visible(False)
        below.set_xlim(-1.03, 1.03)
        below.set_xlabel("entry, relative to the largest")
    near = float((np.abs(entries) < 0.25).mean())
    description = (
        f"In {bits} bits: {'; '.join(words)}. {near:.0%} of the {entries.size:,} entries are "
        "smaller than a quarter of the largest."
    )
    return Picture(figure, "Two grids for a product", description)


# ---------------------------------------------------------------- accuracies


def accuracy_by_bits(
    rounded: Mapping[str, Mapping[int, Sequence[float]]],
    tuned: Mapping[str, Mapping[int, Sequence[float]]] | None = None,
    *,
    labels: Mapping[str, str] | None = None,
) -> Picture:
    """Draw the accuracy of networks over the bits of their weights, rounded and trained on.

    Parameters
    ----------
    rounded : mapping of str to mapping of int to sequence of float
        For each technique (see `technique`), for each number of bits (32: as trained), the accuracy
        of each run, 0 to 1.
    tuned : the same, optional
        After training on with rounded weights: hollow markers.
    labels : mapping of str to str, optional
        Other names for the legend.

    Returns
    -------
    Picture

    Raises
    ------
    ValueError
        If there is no network, or an accuracy outside 0 to 1.

    Examples
    --------
    >>> picture = accuracy_by_bits({"kp": {32: [0.9, 0.8], 4: [0.5, 0.7]}}, {"kp": {4: [0.8]}})
    >>> "Kronecker (KP): 85% in 32 bits, 60% in 4; trained on 80% in 4" in picture.description
    True
    """
    again = tuned or {}
    counts = {bits for group in (rounded, again) for runs in group.values() for bits in runs}
    if not counts or not set(again) <= set(rounded):
        raise ValueError(
            f"needs networks, and those trained on among them, found {list(rounded)} and "
            f"{list(again)}"
        )
    order = sorted(counts, reverse=True)
    place = {bits: k for k, bits in enumerate(order)}
    words = []
    with use_style():
        figure = Figure(figsize=(WIDTH, 3.0))
        ax = figure.subplots()
        for name in rounded:
            key, label = technique(name), label_of(name, labels)
            parts = []
            for group, inside in ((rounded, PALETTE[key]), (again, "none")):
                means = {
                    bits: float(_shares(f"{name}, {bits} bits", values).mean())
                    for bits, values in sorted(group.get(name, {}).items(), reverse=True)
                }
                if not means:
                    continue
                ax.plot(
                    [place[bits] for bits in means], list(means.values()), ls="-" if group is
                    rounded else ":", color=PALETTE[key], marker=MARKERS[key], mfc=inside, ms=5.5,
                )  # fmt: skip
                first, *rest = (f"{mean:.0%} in {bits}" for bits, mean in means.items())
                parts.append(", ".join([f"{first} bits" if group is rounded else first, *rest]))
            words.append(f"{label}: " + "; trained on ".join(parts))
        ax.set_xticks(range(len(order)), [str(bits) for bits in order])
        ax.set_xlabel("Bits of a weight")
        ax.set_title("Test accuracy, %")
        ax.yaxis.set_major_formatter(lambda value, _: f"{100 * value:.0f}")
        keys = [(technique(name), label_of(name, labels)) for name in rounded]
        _legend(figure, keys, hollow="trained on" if again else "")
    return Picture(figure, "Accuracy by the bits of a weight", ". ".join(words) + ".")


def _shares(what: str, values: Sequence[float]) -> NDArray[np.float64]:
    shares = np.array(values, np.float64)
    if shares.ndim != 1 or not shares.size or not ((shares >= 0) & (shares <= 1)).all():
        raise ValueError(f"{what}: needs accuracies from 0 to 1, found {values}")
    return shares


def _legend(figure: Figure, keys: Sequence[tuple[str, str]], *, hollow: str = "") -> None:
    """Name techniques by marker and colour, and what a hollow marker is."""
    handles = [
        Line2D([], [], ls="", marker=MARKERS[key], color=PALETTE[key], ms=6, label=label)
        for key, label in keys
    ]
    if hollow:
        for name, inside in (("rounded", INK), (hollow, "none")):
            handles.append(Line2D([], [], ls="", marker="o", ms=6, mfc=inside, mec=INK, label=name))
    figure.legend(
        handles=handles, loc="outside lower center", ncols=3, columnspacing=1.0,
        handlelength=1.0, handletextpad=0.4, fontsize=8.5,
    )  # fmt: skip


def bits_changes(groups: Mapping[str, Changes], *, most_lost: float) -> Picture:
    """Draw by how much few bits change accuracies: rounded, and trained on, with intervals.

    Parameters
    ----------
    groups : mapping of str to mapping of str to (change, change)
        For each group, such as a benchmark, for each technique (see `technique`): the change in
        percentage points by rounding, and that after training on with rounded weights, each with
        the ends of its interval. The second is hollow.
    most_lost : float
        What may be lost, in points: a dotted line.

    Returns
    -------
    Picture

    Raises
    ------
    ValueError
        If there is none, or a number is not finite or out of order.

    Examples
    --------
    >>> one = {"kp": ((-0.2, -0.4, 0.1), (0.1, -0.1, 0.3))}
    >>> picture = bits_changes({"USPS": one}, most_lost=0.3)
    >>> "Kronecker (KP) −0.20 (−0.40 to +0.10), trained on +0.10" in picture.description
    True
    """
    if not groups or not all(groups.values()):
        raise ValueError("there are no changes to draw")
    words, keys, row = [], [], 0.0
    with use_style():
        height = 0.85 + 0.27 * sum(map(len, groups.values())) + 0.3 * len(groups)
        figure = Figure(figsize=(WIDTH, height))
        ax = figure.subplots()
        names: list[tuple[float, str]] = []
        for title, changes in groups.items():
            names.append((row, title))
            row += 0.95
            parts = []
            for name, pair in changes.items():
                key = technique(name)
                keys += [key] * (key not in keys)
                texts = []
                for offset, change, inside in zip(
                    (-0.16, 0.16), pair, (PALETTE[key], "none"), strict=True
                ):
                    texts.append(_change(ax, row + offset, key, change, inside, f"{title}, {name}"))
                parts.append(f"{LABELS[key]} {', trained on '.join(texts)}")
                row += 0.85
            words.append(f"{title}: {'; '.join(parts)}")
            ends = names[-1][0] + 0.5, row - 0.4  # below the title, which they would cross
            ax.vlines(0, *ends, color=INK, lw=1)
            ax.vlines(-most_lost, *ends, color=INK, lw=1, ls=":")
            row += 0.1
        ax.set_ylim(row - 0.35, -0.6)
        ax.yaxis.set_major_locator(NullLocator())
        ax.spines["left"].set_visible(False)
        for place, title in names:
            ax.text(
                0.0, place, title, transform=ax.get_yaxis_transform(), va="center", fontsize=8.5
            )
        ax.set_xlabel(f"points of test accuracy; dotted: −{most_lost:g}")
        _legend(figure, [(key, LABELS[key]) for key in keys], hollow="trained on")
    return Picture(figure, "What few bits change", ". ".join(words) + ".")


def _change(ax: Axes, y: float, key: str, change: Change, inside: str, what: str) -> str:
    """Draw one change with its interval, and return it in words."""
    require_finite(what, np.array(change, np.float64))
    value, low, high = change
    if not low <= value <= high:
        raise ValueError(f"{what}: the interval {low:g} to {high:g} is without {value:g}")
    color = PALETTE[key]
    ax.plot([low, high], [y, y], "-", color=color, lw=1.2, alpha=0.75)
    ax.plot(value, y, MARKERS[key], ms=5, mfc=inside, mec=color, mew=1.2)
    first, *ends = (f"{each:+.2f}".replace("-", "−") for each in (value, low, high))
    return f"{first} ({' to '.join(ends)})"


# ---------------------------------------------------------------- time


def stored_times(
    points: Mapping[str, Sequence[tuple[str, float, float]]], cache_bytes: float
) -> Picture:
    """Draw how long networks of 8-bit weights take, against the size of their float32 weights.

    Parameters
    ----------
    points : mapping of str to sequence of (str, float, float)
        For each technique (see `technique`), networks: a name, the bytes of its weights in
        float32, and the time with 8 bits over that with 32.
    cache_bytes : float
        Of the first cache: a dotted line.

    Returns
    -------
    Picture

    Raises
    ------
    ValueError
        If there is none, or a number is not positive and finite.

    Examples
    --------
    >>> picture = stored_times({"kp": [("KWS", 18e3, 1.2)]}, 48 * 1024)
    >>> picture.description
    'Kronecker (KP): KWS, 18 KB, 1.20 times as long. The first cache has 48 KB.'
    """
    if not any(points.values()):
        raise ValueError("there are no networks to draw")
    words = []
    with use_style():
        figure = Figure(figsize=(WIDTH, 3.1))
        ax = figure.subplots()
        ax.axhline(1, color=INK, lw=1)
        ax.axvline(cache_bytes / 1024, color=INK, lw=1, ls=":")
        for name, networks in points.items():
            numbers = np.array([network[1:] for network in networks], np.float64).reshape(-1, 2)
            require_finite(name, numbers)
            if numbers.size and numbers.min() <= 0:
                raise ValueError(f"{name}: bytes and times must be positive, found {networks}")
            key = technique(name)
            kilobytes, ratios = numbers[:, 0] / 1024, numbers[:, 1]
            ax.plot(kilobytes, ratios, MARKERS[key], color=PALETTE[key], ms=6)
            words += [
                f"{LABELS[key]}: "
                + ", ".join(
                    f"{network[0]}, {size:,.0f} KB, {ratio:.2f} times as long"
                    for network, size, ratio in zip(networks, kilobytes, ratios, strict=True)
                )
            ]
        ax.set_xscale("log")
        label_log_axis(ax, "x")
        ax.set_xlabel("KB of weights in float32; dotted: first cache")
        ax.set_title("Time with 8 bits over time with 32")
        _legend(figure, [(technique(name), LABELS[technique(name)]) for name in points])
    words.append(f"The first cache has {cache_bytes / 1024:,.0f} KB")
    return Picture(figure, "Is 8 bits faster?", ". ".join(words) + ".")
