"""Trained networks: accuracy against size and speed, differences, learning curves, confusions."""

from collections.abc import Iterable, Mapping, Sequence
from itertools import chain
from typing import Literal

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Rectangle
from matplotlib.ticker import FixedLocator
from numpy.typing import ArrayLike, NDArray

from kplib._checks import numeric_array, require_finite
from kplib.experiments.points import Point
from kplib.plots.axes import label_log_axis, name_rows
from kplib.plots.picture import Picture
from kplib.plots.style import INK, LABELS, MARKERS, PALETTE, WIDTH, technique, use_style

Against = Literal["size", "speed-up"]
Curve = tuple[ArrayLike, ArrayLike]

# ---------------------------------------------------------------- accuracy against size, speed


def accuracy_plane(points: Iterable[Point], against: Against = "size", *, title: str) -> Picture:
    """Draw the papers' networks and ours by their accuracy and size, or speed-up.

    The papers' are hollow, ours filled, with a bar for the interval. A thin line joins the papers'
    network and ours of the same technique and compression.

    Parameters
    ----------
    points : iterable of kplib.experiments.points.Point
        Of one benchmark. Without an interval there is no bar.
    against : {"size", "speed-up"}, default "size"
        What goes to the right, on a logarithmic axis. Points without a speed-up are left out of the
        one against speed-ups.
    title : str
        Such as the network's name.

    Returns
    -------
    Picture

    Raises
    ------
    ValueError
        If `against` is neither, or there is no point to draw.

    Examples
    --------
    >>> from kplib.experiments.points import paper_points
    >>> picture = accuracy_plane(paper_points("usps-fastrnn"), title="USPS-FastRNN")
    >>> "the papers' Kronecker (KP): 1.63 KB, 93.16%" in picture.description
    True
    """
    if against not in ("size", "speed-up"):
        raise ValueError(f"against must be size or speed-up, found {against!r}")
    drawn = [point for point in points if _known(point, against)]
    if not drawn:
        raise ValueError(f"no point has a {against}")
    keys = list(dict.fromkeys(technique(point.technique) for point in drawn))
    keys.sort(key=list(PALETTE).index)
    with use_style():
        figure = Figure(figsize=(WIDTH, 3.3))
        ax = figure.subplots()
        for pair in _pairs(drawn):
            x, y = [_place(p, against) for p in pair], [p.accuracy for p in pair]
            ax.plot(x, y, "-", color=PALETTE[technique(pair[0].technique)], lw=0.9, alpha=0.6)
        for point in drawn:
            _draw_point(ax, point, against)
        ax.set_xscale("log")
        places = [_place(point, against) for point in drawn]
        ax.set_xlim(min(places) / 1.4, max(places) * 1.4)
        label_log_axis(ax, "x")
        ax.set_xlabel("KB in float32" if against == "size" else "times as fast as the baseline")
        ax.set_title(f"{title}: test accuracy, %")
        _legend(figure, keys, {point.source for point in drawn})
    words = "; ".join(_in_words(point, against) for point in drawn)
    what = "size" if against == "size" else "speed-up"
    return Picture(figure, f"{title}: accuracy against {what}", f"{words}.")


def _known(point: Point, against: Against) -> bool:
    return against == "size" or point.speed_up is not None


def _place(point: Point, against: Against) -> float:
    """Return where a point is from left to right."""
    if against == "size":
        return point.kilobytes
    assert point.speed_up is not None  # see _known
    return point.speed_up


def _pairs(points: Sequence[Point]) -> list[list[Point]]:
    """Return the papers' network and ours, where there is one of each."""
    found: dict[tuple[str, int | None, int], list[Point]] = {}
    for point in points:
        found.setdefault((point.technique, point.compression, point.layers), []).append(point)
    return [pair for pair in found.values() if len(pair) == 2 and pair[0].source != pair[1].source]


def _draw_point(ax: Axes, point: Point, against: Against) -> None:
    key, x = technique(point.technique), _place(point, against)
    color = PALETTE[key]
    if point.low is not None and point.high is not None:
        ax.plot([x, x], [point.low, point.high], "-", color=color, lw=1.6, alpha=0.7)
    inside = "none" if point.source == "papers" else color
    ax.plot(x, point.accuracy, MARKERS[key], ms=6, mfc=inside, mec=color, mew=1.3)


def _in_words(point: Point, against: Against) -> str:
    label = LABELS[technique(point.technique)]
    label += f" at {point.compression}×" if point.compression else ""
    label += f", {point.layers} layers" if point.layers > 1 else ""
    whose = "the papers'" if point.source == "papers" else "our"
    place = f"{point.kilobytes:.4g} KB"
    if against == "speed-up":
        place = f"{point.speed_up:.2f} times as fast"
    best = "" if point.is_mean else " at best"
    text = f"{whose} {label}: {place}, {point.accuracy:.2f}%{best}"
    if point.low is None or point.high is None:
        return text
    return f"{text} (interval {point.low:.2f} to {point.high:.2f})"


def _legend(figure: Figure, keys: Sequence[str], sources: set[str]) -> None:
    """Name techniques by marker and colour, and, where there are both, papers' and ours."""
    handles = [
        Line2D([], [], color=PALETTE[key], marker=MARKERS[key], ls="", ms=6, label=LABELS[key])
        for key in keys
    ]
    for source, name, inside in (("papers", "the papers'", "none"), ("ours", "ours", INK)):
        if source in sources:
            handles.append(Line2D([], [], ls="", marker="o", ms=6, mfc=inside, mec=INK, label=name))
    figure.legend(
        handles=handles,
        loc="outside lower center",
        ncols=3,
        columnspacing=1.0,
        handlelength=1.0,
        handletextpad=0.4,
        fontsize=8.5,
    )


# ---------------------------------------------------------------- differences


def accuracy_differences(
    differences: Mapping[str, tuple[float, float, float]],
    printed: Mapping[str, float] | None = None,
    *,
    name: str = "kp",
) -> Picture:
    """Draw by how much one technique is ahead of others, each with its interval.

    Parameters
    ----------
    differences : mapping of str to (float, float, float)
        For each rival, by its technique (see `technique`): difference of the mean accuracies in
        percentage points, and the ends of its interval.
    printed : mapping of str to float, optional
        The papers' differences, for some of them: hollow.
    name : str, default "kp"
        The technique that is compared with them.

    Returns
    -------
    Picture

    Raises
    ------
    ValueError
        If there is no rival, a number is not finite or an interval is the wrong way round, the
        papers' rivals are not among ours, or a technique has no colour.

    Examples
    --------
    >>> picture = accuracy_differences({"lmf": (0.3, -0.1, 0.7)}, {"lmf": 1.04})
    >>> "low rank: +0.30 points (−0.10 to +0.70), undecided; in the papers +1.04" in (
    ...     picture.description)
    True
    """
    theirs = dict(printed or {})
    if not differences or not set(theirs) <= set(differences):
        raise ValueError(
            f"printed has {list(theirs)}, but there are differences to {list(differences)}"
        )
    values = np.array([differences[rival] for rival in differences], np.float64)
    require_finite("differences", values)
    require_finite("printed", np.array([*theirs.values()], np.float64))
    if values.shape[1:] != (3,) or (values[:, 1] > values[:, 2]).any():
        raise ValueError(f"differences need (value, low, high), found {values.tolist()}")
    label, words = LABELS[technique(name)], []
    with use_style():
        figure = Figure(figsize=(WIDTH, 1.1 + 0.34 * len(differences)))
        ax = figure.subplots()
        ax.axvline(0, color=INK, lw=1)
        for place, (rival, (value, low, high)) in enumerate(
            zip(differences, values, strict=True)
        ):  # fmt: skip
            key = technique(rival)
            ax.plot([low, high], [place, place], "-", color=PALETTE[key], lw=2.2)
            ax.plot(value, place, MARKERS[key], color=PALETTE[key], ms=6)
            text = f"{LABELS[key]}: {_signed(value)} points ({_signed(low)} to {_signed(high)})"
            text += ", undecided" if low <= 0 <= high else ""
            if rival in theirs:
                ax.plot(
                    theirs[rival], place, MARKERS[key], ms=6, mfc="none", mec=PALETTE[key], mew=1.3
                )
                text += f"; in the papers {_signed(theirs[rival])}"
            words.append(text)
        rivals = [LABELS[technique(rival)] for rival in differences]
        name_rows(ax, rivals, over=0.5, under=0.5)
        ax.set_title(f"{label} ahead by, points")
        if theirs:
            ax.set_xlabel("filled ours, with interval; hollow the papers'")
        else:
            ax.set_xlabel("with interval")
    description = f"{label} ahead of the others. " + "; ".join(words) + "."
    return Picture(figure, f"{label} against the others", description)


def _signed(value: float) -> str:
    return f"{value:+.2f}".replace("-", "−")


# ---------------------------------------------------------------- learning curves


def learning_curves(
    curves: Mapping[str, Sequence[Curve]], *, unit: Literal["epochs", "steps"] = "epochs"
) -> Picture:
    """Draw the validation error of each seed over the training, both axes logarithmic.

    So the first epochs and the last ones, and errors of 30% and of 1%, are all there to see.

    Parameters
    ----------
    curves : mapping of str to sequence of (array_like, array_like)
        For each technique (see `technique`), for each seed the times and the accuracies then, 0 to
        1, as `kplib.experiments.figures.learning_curves` returns them.
    unit : {"epochs", "steps"}, default "epochs"
        Of the times.

    Returns
    -------
    Picture

    Raises
    ------
    ValueError
        If there is no curve, or one has no points, times not above 0 or not increasing, accuracies
        outside 0 to 1 or not as many.

    Notes
    -----
    An error of 0 has no logarithm, and is drawn at half the smallest one that is above 0.

    Examples
    --------
    >>> picture = learning_curves({"kp": [([1, 10], [0.6, 0.9]), ([1, 10], [0.5, 0.92])]})
    >>> "Kronecker (KP), 2 seeds: validation error 40.0% to 50.0% first, 8.0% to 10.0% last" in (
    ...     picture.description)
    True
    """
    checked = {name: [_curve(name, *one) for one in runs] for name, runs in curves.items()}
    every = [errors for _, errors in chain.from_iterable(checked.values())]
    if not every or not all(checked.values()):
        raise ValueError(f"every technique needs a curve, found {list(curves)}")
    above = np.concatenate(every)
    above = above[above > 0]
    least = above.min() / 2 if above.size else 0.001
    words = []
    with use_style():
        figure = Figure(figsize=(WIDTH, 3.0))
        ax = figure.subplots()
        for name, runs in checked.items():
            key = technique(name)
            for number, (times, errors) in enumerate(runs):
                ax.plot(
                    times,
                    100 * np.maximum(errors, least),
                    color=PALETTE[key],
                    marker=MARKERS[key],
                    markevery=[-1],
                    lw=1.1,
                    alpha=0.85,
                    label=LABELS[key] if number == 0 else None,
                )
            ends = ([errors[k] for _, errors in runs] for k in (0, -1))
            first, last = (_percents(values) for values in ends)
            seeds = f"{len(runs)} seed{'s' * (len(runs) > 1)}"
            words.append(f"{LABELS[key]}, {seeds}: validation error {first} first, {last} last")
        ax.set(xscale="log", yscale="log", xlabel=unit.capitalize())
        if len({float(time) for times, _ in chain(*checked.values()) for time in times}) > 1:
            label_log_axis(ax, "x")
        ax.margins(y=0.08)
        label_log_axis(ax, "y", "%")
        ax.set_title("Validation error of each seed")
        figure.legend(
            loc="outside lower center",
            ncols=3,
            columnspacing=1.0,
            handlelength=1.6,
            handletextpad=0.4,
            fontsize=8.5,
        )
    title = f"Validation error over the {unit}"
    return Picture(figure, title, "; ".join(words) + ".")


def _curve(
    name: str, times: ArrayLike, accuracies: ArrayLike
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return times and errors of one run."""
    t, accuracy = np.asarray(times, np.float64), np.asarray(accuracies, np.float64)
    if t.ndim != 1 or not t.size or t.shape != accuracy.shape:
        raise ValueError(f"a curve of {name!r} has times {t.shape}, accuracies {accuracy.shape}")
    require_finite(f"a curve of {name!r}", np.stack([t, accuracy]))
    if t[0] <= 0 or (np.diff(t) <= 0).any():
        raise ValueError(f"the times of {name!r} must be above 0 and increase, found {t.tolist()}")
    if accuracy.min() < 0 or accuracy.max() > 1:
        raise ValueError(
            f"{name!r} has accuracies {accuracy.min():g} to {accuracy.max():g}, outside 0 to 1"
        )
    return t, 1 - accuracy


def _percents(values: Iterable[float]) -> str:
    ends = sorted(values)
    texts = [f"{100 * end:.1f}%" for end in (ends[0], ends[-1])]
    return " to ".join(dict.fromkeys(texts))


# ---------------------------------------------------------------- confusions

_STRONGEST = 0.55  # of a shade: text stays legible on it, on light and dark pages
_NAMED = 3  # confusions in the description
_FEW = 12  # outputs, to have names and numbers
_LETTERS = 16  # of a name on an axis
_LETTER = 0.065  # inches


def confusion_matrix(counts: ArrayLike, classes: Sequence[str], *, title: str) -> Picture:
    """Draw which classes are taken for which: of each true class a row, in % of it.

    What is right is on the diagonal. The confusions have a colour of their own, the stronger the
    more frequent. Up to 12 outputs, those of 1% and more have their number in it. Of more outputs
    the columns have numbers in place of names, and only the diagonal's numbers are given, at the
    right of their rows.

    Parameters
    ----------
    counts : array_like of int, shape (C, K)
        Test items of each true class (row) by what was predicted; K > C if the network has outputs
        that no item has.
    classes : sequence of str
        Names of the C classes.
    title : str
        Such as the network's name.

    Returns
    -------
    Picture

    Raises
    ------
    ValueError
        If counts and classes do not fit, or counts are negative or all zero.

    Examples
    --------
    >>> picture = confusion_matrix([[9, 1], [4, 16]], ["yes", "no"], title="Words")
    >>> "no taken for yes 20.0%, yes taken for no 10.0%" in picture.description
    True
    """
    array = numeric_array("counts", counts)
    if array.ndim != 2 or not 0 < len(array) == len(classes) <= array.shape[1]:
        raise ValueError(f"counts has shape {array.shape}, but there are {len(classes)} classes")
    if array.min() < 0 or not array.any():
        raise ValueError("counts must not be negative or all zero")
    rows, columns = array.shape
    shares = array / np.maximum(array.sum(axis=1, keepdims=True), 1)
    names = [*classes, *(f"output {k + 1}" for k in range(rows, columns))]
    shown = [_short(name) for name in names]
    across = shown
    crowded = columns > _FEW
    if crowded:
        shown = [f"{k} {name}" for k, name in enumerate(shown, start=1)]
        across = [str(k) for k in range(1, columns + 1)]
    wrong = shares * ~np.eye(rows, columns, dtype=bool)
    with use_style():
        figure = Figure(figsize=(WIDTH, _confusion_height(rows, shown, across)))
        ax = figure.subplots()
        for row, column in np.argwhere(shares > 0):
            share, right = shares[row, column], row == column
            strength = share if right else share / wrong.max()
            color = PALETTE["dense" if right else "accent"]
            strongest = 1.0 if crowded else _STRONGEST
            ax.add_patch(
                Rectangle(
                    (column - 0.5, row - 0.5), 1, 1, facecolor=color,
                    alpha=strongest * max(0.06, float(strength)), linewidth=0,
                )
            )  # fmt: skip
            if share >= 0.01 and not crowded:
                text = f"{100 * share:.0f}"
                ax.text(column, row, text, ha="center", va="center", fontsize=7)
        for row in range(rows if crowded else 0):
            text = f"{100 * shares[row, row]:.0f}"
            ax.text(columns - 0.25, row, text, ha="left", va="center", fontsize=7)
        ax.set(xlim=(-0.5, columns - 0.5), ylim=(rows - 0.5, -0.5), aspect="equal")
        ax.set_xticks(range(columns), across, rotation=90, fontsize=7.5)
        ax.set_yticks(range(rows), shown[:rows], fontsize=7.5)
        ax.tick_params(length=0)
        ax.grid(visible=False)
        for axis, count in ((ax.xaxis, columns), (ax.yaxis, rows)):
            axis.set_minor_locator(FixedLocator([k - 0.5 for k in range(count + 1)]))
        ax.grid(visible=True, which="minor", lw=0.5)
        ax.tick_params(which="minor", length=0)
        ax.set(xlabel="predicted", ylabel="true")
        ax.set_title(f"{title}: % of each class")
    return Picture(figure, f"{title}: confusions", _confusion_words(shares, wrong, names, array))


def _short(name: str) -> str:
    return name if len(name) <= _LETTERS else f"{name[: _LETTERS - 1].rstrip()}…"


def _confusion_height(rows: int, down: Sequence[str], across: Sequence[str]) -> float:
    """Return inches that leave the cells square, with the names beside and below them."""
    beside, below = (_LETTER * max(map(len, names)) for names in (down, across))
    side = (WIDTH - 0.45 - beside) / len(across)
    return rows * side + below + 0.75


def _confusion_words(
    shares: NDArray[np.float64],
    wrong: NDArray[np.float64],
    names: Sequence[str],
    counts: NDArray[np.int64],
) -> str:
    """Return the accuracy, the classes best and worst known, and the most frequent confusions."""
    rows = len(shares)
    there = [k for k in range(rows) if counts[k].any()]
    recalls = shares[range(rows), range(rows)]
    best, worst = (pick(there, key=lambda k: recalls[k]) for pick in (max, min))
    correct = counts[range(rows), range(rows)].sum() / counts.sum()
    order = np.argsort(-wrong, axis=None, kind="stable")[:_NAMED]
    pairs = [divmod(int(place), wrong.shape[1]) for place in order]
    most = [
        f"{names[row]} taken for {names[column]} {wrong[row, column]:.1%}"
        for row, column in pairs
        if wrong[row, column] > 0
    ]
    text = (
        f"{correct:.1%} of {counts.sum():,} answers are right; best known is {names[best]} "
        f"({recalls[best]:.1%}), least {names[worst]} ({recalls[worst]:.1%})."
    )
    return f"{text} Most frequent confusions: {', '.join(most)}." if most else text
