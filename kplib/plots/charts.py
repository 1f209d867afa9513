"""Results of training: accuracy after each epoch; size, accuracy and time side by side."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine
from matplotlib.ticker import MaxNLocator, PercentFormatter
from numpy.typing import NDArray

from kplib._checks import require_finite
from kplib.plots.axes import name_rows
from kplib.plots.picture import Picture
from kplib.plots.style import MARKERS, PALETTE, WIDTH, label_of, technique, use_style


def training_curves(
    records: Mapping[str, Sequence[float]],
    *,
    labels: Mapping[str, str] | None = None,
    measure: str = "Accuracy",
) -> Picture:
    """Draw the accuracy of several runs after each epoch.

    Parameters
    ----------
    records : mapping of str to sequence of float
        For each run, by its technique (see `technique`), the accuracy after each epoch, 0 to 1.
    labels : mapping of str to str, optional
        Other names for the legend.
    measure : str
        What is measured: "Accuracy" or, say, "Validation accuracy".

    Returns
    -------
    Picture

    Raises
    ------
    ValueError
        If there is no run, a run has no epochs or a value outside 0 to 1, or a name has no colour.

    Examples
    --------
    >>> picture = training_curves({"dense": [0.5, 0.9], "kp": [0.4, 0.8]})
    >>> "Kronecker (KP): 40.0% after epoch 1, 80.0% after epoch 2" in picture.description
    True
    """
    if not records:
        raise ValueError("there are no runs to draw")
    with use_style():
        figure = Figure()
        ax = figure.subplots()
        words = []
        for name, values in records.items():
            curve = _values(f"records[{name!r}]", values, upper=1.0)
            key, epochs = technique(name), np.arange(1, len(curve) + 1)
            label = label_of(name, labels)
            ax.plot(
                epochs,
                curve,
                color=PALETTE[key],
                marker=MARKERS[key],
                markevery=max(1, len(curve) // 8),
                label=label,
                clip_on=False,
            )
            words.append(
                f"{label}: {curve[0]:.1%} after epoch 1, {curve[-1]:.1%} after epoch {len(curve)}, "
                f"at best {curve.max():.1%}"
            )
        ax.set(xlabel="Epoch", title=measure)
        ax.xaxis.set_major_locator(MaxNLocator(integer=True, nbins=6))
        ax.yaxis.set_major_formatter(PercentFormatter(1.0, decimals=0))
        ax.set_ylim(top=min(1.0, ax.get_ylim()[1]))
        ax.legend(loc="lower right")
    return Picture(figure, f"{measure} after each epoch", "; ".join(words) + ".")


def comparison(
    parameters: Mapping[str, float],
    accuracies: Mapping[str, Sequence[float]],
    seconds: Mapping[str, float],
    *,
    labels: Mapping[str, str] | None = None,
) -> Picture:
    """Draw size, accuracy and time of several networks, one above the other.

    Bars start at zero. Accuracy is drawn as one dot a run and a line at the mean, because a
    difference smaller than the spread of the runs is none. The numbers at the right are means too,
    and the panel's title says of how many runs.

    Parameters
    ----------
    parameters : mapping of str to int
        Parameters of each network, by its technique (see `technique`).
    accuracies : mapping of str to sequence of float
        Accuracies of its runs, 0 to 1.
    seconds : mapping of str to float
        Time of one inference, in seconds.
    labels : mapping of str to str, optional
        Other names.

    Returns
    -------
    Picture

    Raises
    ------
    ValueError
        If the three do not name the same networks, or a value is negative or not finite.

    Examples
    --------
    >>> picture = comparison(
    ...     {"dense": 1600, "kp": 200}, {"dense": [0.97, 0.98], "kp": [0.95]},
    ...     {"dense": 2e-5, "kp": 5e-6},
    ... )
    >>> "Kronecker (KP): 200 parameters, 95.0% in 1 run, 5 µs" in picture.description
    True
    >>> "dense: 1,600 parameters, 97.5% on average of 2 runs" in picture.description
    True
    """
    names = list(parameters)
    if not names or not names == list(accuracies) == list(seconds):
        raise ValueError(
            f"the three need the same networks in the same order: parameters has {names}, "
            f"accuracies {list(accuracies)}, seconds {list(seconds)}"
        )
    sizes = _values("parameters", list(parameters.values()))
    times = _values("seconds", list(seconds.values()))
    runs = [_values(f"accuracies[{name!r}]", accuracies[name], upper=1.0) for name in names]
    unit, scale = _time_unit(times.max())
    shown = [label_of(name, labels) for name in names]
    height = 0.7 + 0.27 * len(names)
    with use_style():
        # A title belongs to the panel below it, so the axis above keeps its distance.
        layout = ConstrainedLayoutEngine(h_pad=0.09)
        figure = Figure(figsize=(WIDTH, 3 * height), layout=layout)
        panels = figure.subplots(3, 1)
        _bars(panels[0], "Parameters", names, sizes, lambda v: f"{v:,.0f}")
        _dots(panels[1], f"Accuracy{_averaged(runs)}", names, runs)
        _bars(panels[2], f"Time of one inference ({unit})", names, times * scale, "{:.3g}".format)
        for ax in panels:
            name_rows(ax, shown)
    words = [
        f"{label}: {size:,.0f} parameters, {values.mean():.1%} "
        f"{'in 1 run' if len(values) == 1 else f'on average of {len(values)} runs'}, "
        f"{time * scale:.3g} {unit}"
        for label, size, values, time in zip(shown, sizes, runs, times, strict=True)
    ]
    return Picture(figure, "Size, accuracy and time", "; ".join(words) + ".")


def _averaged(runs: Sequence[NDArray[Any]]) -> str:
    """Return the title's words on several runs: dots are runs, lines and numbers their mean."""
    fewest, most = min(map(len, runs)), max(map(len, runs))
    if most == 1:
        return ""
    return f" of {fewest if fewest == most else f'{fewest} to {most}'} runs and their mean"


def _bars(
    ax: Axes, title: str, names: Sequence[str], values: NDArray[Any], text: Callable[[float], str]
) -> None:
    """Draw horizontal bars from zero, with the value at the end of each."""
    colors = [PALETTE[technique(name)] for name in names]
    ax.barh(range(len(names)), values, height=0.62, color=colors)
    for place, value in enumerate(values):
        ax.annotate(
            text(float(value)), (value, place), (4, 0), textcoords="offset points", va="center"
        )
    ax.set_title(title)
    ax.set_xlim(0, 1.22 * (values.max() or 1.0))
    ax.grid(visible=False)
    ax.xaxis.set_visible(False)
    ax.spines["bottom"].set_visible(False)


def _dots(ax: Axes, title: str, names: Sequence[str], runs: Sequence[NDArray[Any]]) -> None:
    """Draw one dot a run and a line at the mean, with the mean's value at the right."""
    every = np.concatenate(runs)
    margin = max(0.004, 0.18 * (every.max() - every.min()))
    for place, (name, values) in enumerate(zip(names, runs, strict=True)):
        key = technique(name)
        ax.plot(values, np.full(len(values), place), MARKERS[key], color=PALETTE[key], alpha=0.75)
        ax.plot([values.mean()] * 2, [place - 0.3, place + 0.3], "-", color=PALETTE[key], lw=2.2)
        ax.annotate(
            f"{values.mean():.1%}",
            (1, place),
            (4, 0),
            xycoords=("axes fraction", "data"),
            textcoords="offset points",
            va="center",
            annotation_clip=False,
        )
    ax.set_title(title)
    ax.set_xlim(max(0.0, every.min() - margin), min(1.0 + margin / 2, every.max() + margin))
    ax.xaxis.set_major_locator(MaxNLocator(nbins=4))
    ax.xaxis.set_major_formatter(PercentFormatter(1.0, decimals=1))


def _values(name: str, values: Sequence[float], upper: float = np.inf) -> NDArray[np.float64]:
    """Return non-negative finite values as an array of one axis."""
    array = np.asarray(values, np.float64)
    if array.ndim != 1 or array.size == 0:
        raise ValueError(f"{name} must be a sequence of numbers, found shape {array.shape}")
    require_finite(name, array)
    if array.min() < 0 or array.max() > upper:
        raise ValueError(f"{name} has {array.min():g} to {array.max():g}, outside 0 to {upper:g}")
    return array


def _time_unit(seconds: float) -> tuple[str, float]:
    """Return the unit in which a time reads well, and how many of it make a second."""
    for unit, scale in (("s", 1.0), ("ms", 1e3), ("µs", 1e6)):
        if seconds * scale >= 1:
            return unit, scale
    return "ns", 1e9
