"""Accuracy against size or speed for several benchmarks, each with its Pareto fronts."""

from collections.abc import Iterable, Sequence

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from kplib.experiments.points import Against, Point, pareto_front
from kplib.experiments.trade_offs import Group, TradeOff
from kplib.plots.axes import label_log_axis
from kplib.plots.picture import Picture
from kplib.plots.style import INK, LABELS, MARKERS, PALETTE, WIDTH, technique, use_style

__all__ = ["accuracy_fronts"]

_TITLE_AND_AXIS, _LEGEND = 0.75, 0.75  # inches
_PANEL = 1.65
_PHRASES = {"size": "times smaller than the baseline", "speed-up": "times as fast as the baseline"}
_SHORT = {"size": "smaller", "speed-up": "as fast"}


def accuracy_fronts(
    trade_offs: Iterable[TradeOff],
    against: Against = "size",
    *,
    training: int = 0,
    at_least: float | None = None,
) -> Picture:
    """Draw for each benchmark what is beaten by nothing: the papers' networks, and ours.

    It stands for `kplib.widgets.AccuracyExplorer` where nothing can move. A panel a benchmark; to
    the right is better. The papers' means are hollow, with dashed steps; ours are filled, with
    solid steps and a bar for the interval. A step is at the best accuracy of what is at least so
    many times smaller, or as fast. All axes of gains are logarithmic and say so.

    Parameters
    ----------
    trade_offs : iterable of TradeOff
        Those that have no such gain are left out.
    against : {"size", "speed-up"}, default "size"
    training : int, default 0
        Which of our trainings, where a benchmark has several; of others the first.
    at_least : float, optional
        A demand: a line, left of which nothing meets it.

    Returns
    -------
    Picture

    Raises
    ------
    ValueError
        If `against` is neither, `training` negative, or no network has such a gain.

    Examples
    --------
    >>> from kplib.experiments.trade_offs import trade_offs
    >>> picture = accuracy_fronts(trade_offs())
    >>> "HAR1-BiLSTM: the papers' baseline 1.0 times smaller" in picture.description
    True
    """
    if training < 0:
        raise ValueError(f"training must be 0 or a positive integer, found {training}")
    panels = [(one, _shown(one, against, training)) for one in trade_offs]
    panels = [(one, groups) for one, groups in panels if groups]
    if not panels:
        raise ValueError(f"no network has a {against}")
    words = []
    with use_style():
        height = _TITLE_AND_AXIS + _LEGEND + _PANEL * len(panels)
        figure = Figure(figsize=(WIDTH, height))
        rows = figure.subplots(len(panels), 1, squeeze=False)[:, 0]
        for ax, (one, groups) in zip(rows, panels, strict=True):
            words.append(_panel(ax, one.title, groups, against, at_least))
        rows[-1].set_xlabel(f"{_PHRASES[against]}, log scale")
        every = [point for _, groups in panels for group in groups for point in group]
        _legend(figure, every)
    title = f"Accuracy against {'size' if against == 'size' else 'speed'}"
    return Picture(figure, title, " ".join(words))


def _shown(one: TradeOff, against: Against, training: int) -> list[list[Point]]:
    """Return the points that have a place, of the papers' means and of one of our trainings."""
    groups: list[Group] = [one.means] if one.means else []
    if one.ours:
        groups.append(one.ours[training if training < len(one.ours) else 0])
    found = [
        [point for point in group.points if point.gain(against) is not None] for group in groups
    ]
    return [points for points in found if points]


def _panel(
    ax: Axes,
    title: str,
    groups: Sequence[Sequence[Point]],
    against: Against,
    at_least: float | None,
) -> str:
    """Draw one benchmark; return it in words."""
    gains = [_gain(point, against) for points in groups for point in points]
    left, right = min(1, *gains) / 1.18, max(1.5, *gains) * 1.18
    ax.set(xscale="log", xlim=(left, right))
    for points in groups:
        _steps(ax, pareto_front(points, against), against, left)
        for point in points:
            _draw(ax, point, _gain(point, against))
    if at_least is not None:
        ax.axvline(at_least, color=PALETTE["accent"], lw=1.4)
        ax.axvspan(left, min(at_least, right), color=INK, alpha=0.06, lw=0)
    label_log_axis(ax, "x")
    ax.margins(y=0.12)
    ax.set_title(f"{title}: test accuracy, %", fontsize=9)
    told = [
        f"{'the papers’' if point.source == 'papers' else 'our'} {_in_words(point, against)}"
        for points in groups
        for point in points
    ]
    text = f"{title}: {'; '.join(told)}. Beaten by nothing: "
    fronts = [
        f"{'the papers’' if points[0].source == 'papers' else 'our'} "
        + ", ".join(_name(point) for point in pareto_front(points, against))
        for points in groups
    ]
    return (text + "; ".join(fronts) + ".").replace("’", "'")


def _gain(point: Point, against: Against) -> float:
    gain = point.gain(against)
    assert gain is not None  # see _shown
    return gain


def _steps(ax: Axes, front: Sequence[Point], against: Against, left: float) -> None:
    """Draw the best accuracy for each demand, from the left edge on."""
    x = [left, *(_gain(point, against) for point in front)]
    y = [front[0].accuracy, *(point.accuracy for point in front)]
    style = "--" if front[0].source == "papers" else "-"
    ax.step(x, y, style, where="pre", color=INK, lw=0.9, alpha=0.55)


def _draw(ax: Axes, point: Point, x: float) -> None:
    key = technique(point.technique)
    color = PALETTE[key]
    if point.low is not None and point.high is not None:
        ax.plot([x, x], [point.low, point.high], "-", color=color, lw=1.6, alpha=0.7)
    inside = "none" if point.source == "papers" else color
    ax.plot(x, point.accuracy, MARKERS[key], ms=6, mfc=inside, mec=color, mew=1.3)


def _name(point: Point) -> str:
    label = LABELS[technique(point.technique)] if point.technique != "baseline" else "baseline"
    label += f" at {point.compression}×" if point.compression else ""
    return label + (f" of {point.layers} layers" if point.layers > 1 else "")


def _in_words(point: Point, against: Against) -> str:
    text = f"{_name(point)} {_gain(point, against):.1f} times {_SHORT[against]}"
    text += f", {point.accuracy:.2f}%"
    if point.low is None or point.high is None:
        return text
    return f"{text} (interval {point.low:.2f} to {point.high:.2f})"


def _legend(figure: Figure, points: Sequence[Point]) -> None:
    """Name techniques by marker and colour, and whose is hollow, whose filled."""
    keys = {technique(point.technique) for point in points}
    labels = {**LABELS, "dense": "baseline"}
    handles = [
        Line2D([], [], color=PALETTE[key], marker=MARKERS[key], ls="", ms=6, label=labels[key])
        for key in PALETTE
        if key in keys
    ]
    sources = {point.source for point in points}
    for source, name, inside, line in (
        ("papers", "the papers'", "none", "--"),
        ("ours", "ours", INK, "-"),
    ):
        if source in sources:
            handles.append(
                Line2D(
                    [], [], color=INK, lw=0.9, ls=line, marker="o", ms=6, mfc=inside, mec=INK,
                    label=name,
                )
            )  # fmt: skip
    figure.legend(
        handles=handles,
        loc="outside lower center",
        ncols=3,
        columnspacing=1.0,
        handlelength=1.6,
        handletextpad=0.4,
        fontsize=8.5,
    )
