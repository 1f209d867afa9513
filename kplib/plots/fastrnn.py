"""FastRNN's two scalars: what each step counts at their start, and where training takes them."""

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator
from numpy.typing import NDArray

from kplib._checks import require_finite
from kplib.plots.picture import Picture
from kplib.plots.style import INK, LABELS, MARKERS, PALETTE, WIDTH, label_of, technique, use_style

Trained = Mapping[str, Sequence[tuple[float, float]]]


def step_weights(
    starts: Mapping[str, tuple[float, float]],
    steps: int,
    *,
    labels: Mapping[str, str] | None = None,
) -> Picture:
    """Draw how much each step's candidate counts in the last state of a FastRNN.

    With s the logistic function that is s(alpha) s(beta)^(T - t) for step t of T.

    Parameters
    ----------
    starts : mapping of str to (float, float)
        For each way to start, by a name that has a colour (see `technique`): alpha and beta.
    steps : int
        T.
    labels : mapping of str to str, optional
        Other names for the legend.

    Returns
    -------
    Picture

    Raises
    ------
    ValueError
        If there is no start or no step, a number is not finite, or a name has no colour.

    Examples
    --------
    >>> picture = step_weights({"kp": (0.0, 0.0)}, 3)
    >>> picture.description
    'Kronecker (KP): the first step counts 0.125, the last 0.500, all 3 together 0.88.'
    """
    if not starts or steps < 1:
        raise ValueError(f"needs a start and a step, found {len(starts)} and {steps}")
    words = []
    with use_style():
        figure = Figure(figsize=(WIDTH, 2.6))
        ax = figure.subplots()
        times = np.arange(1, steps + 1)
        for name, scalars in starts.items():
            require_finite(f"starts[{name!r}]", np.array(scalars, np.float64))
            a, b = (1 / (1 + np.exp(-scalar)) for scalar in scalars)
            weights, key, label = a * b ** (steps - times), technique(name), label_of(name, labels)
            ax.plot(times, weights, color=PALETTE[key], marker=MARKERS[key], label=label)
            words.append(
                f"{label}: the first step counts {weights[0]:.3f}, the last {weights[-1]:.3f}, "
                f"all {steps} together {weights.sum():.2f}"
            )
        ax.set(xlabel="Step", title="Weight of its candidate in the last state")
        ax.set_ylim(bottom=0)
        ax.xaxis.set_major_locator(MaxNLocator(integer=True, nbins=8))
        ax.legend(loc="upper left")
    return Picture(figure, "What each step counts", "; ".join(words) + ".")


def trained_shares(
    before: Trained, after: Trained, starts: tuple[float, float], *, names: tuple[str, str]
) -> Picture:
    """Draw where training took s(alpha) of FastRNNs from two starts, and their accuracy.

    Parameters
    ----------
    before, after : mapping of str to sequence of (float, float)
        From each start, for each technique (see `technique`), for each seed: s(alpha) of the
        trained network, 0 to 1, and its validation accuracy in %. The first is drawn hollow.
    starts : (float, float)
        s(alpha) where they began: dotted lines.
    names : (str, str)
        Of the two, for the legend.

    Returns
    -------
    Picture

    Raises
    ------
    ValueError
        If a number is not finite or out of its range, there is none, or a technique has no colour.

    Examples
    --------
    >>> picture = trained_shares({"kp": [(0.1, 90)]}, {"kp": [(0.6, 95), (0.5, 96)]}, (0.05, 0.5),
    ...                          names=("once", "again"))
    >>> "again, Kronecker (KP), 2 seeds: 0.50 to 0.60, 95.0% to 96.0%" in picture.description
    True
    """
    shares = np.array(starts, np.float64)
    require_finite("starts", shares)
    words, keys = [], []
    with use_style():
        figure = Figure(figsize=(WIDTH, 3.3))
        ax = figure.subplots()
        for share in shares:
            ax.axvline(share, color=INK, lw=1, ls=":")
        for name, group in zip(names, (before, after), strict=True):
            for one, runs in group.items():
                points, key = _points(name, one, runs), technique(one)
                keys += [key] * (key not in keys)
                color = PALETTE[key]
                inside = "none" if group is before else color
                ax.plot(*points.T, MARKERS[key], ms=6, mfc=inside, mec=color, mew=1.3, alpha=0.9)
                ends = f"{_range(points[:, 0], '.2f')}, {_range(points[:, 1], '.1f', '%')}"
                seeds = f"{len(points)} seed{'s' * (len(points) > 1)}"
                words.append(f"{name}, {LABELS[key]}, {seeds}: {ends}")
        if not keys:
            raise ValueError("there are no trained networks to draw")
        ax.set_xlim(left=0)
        ax.set_xlabel("s(alpha) of the trained network; dotted: at the start")
        ax.set_title("Validation accuracy, %")
        handles = [
            Line2D([], [], ls="", marker=MARKERS[key], color=PALETTE[key], ms=6, label=LABELS[key])
            for key in keys
        ]
        handles += [
            Line2D([], [], ls="", marker="o", ms=6, mfc=inside, mec=INK, label=name)
            for name, inside in zip(names, ("none", INK), strict=True)
        ]
        figure.legend(
            handles=handles, loc="outside lower center", ncols=3, columnspacing=1.0,
            handlelength=1.0, handletextpad=0.4, fontsize=8.5,
        )  # fmt: skip
    begin = f"They began at {shares[0]:.2f} ({names[0]}) and {shares[1]:.2f} ({names[1]})."
    return Picture(figure, "s(alpha) after training, and accuracy", f"{begin} {'; '.join(words)}.")


def _points(name: str, one: str, runs: Sequence[tuple[float, float]]) -> NDArray[np.float64]:
    points = np.array(runs, np.float64)
    what = f"{name}, {one}"
    if points.ndim != 2 or points.shape[1] != 2:
        raise ValueError(f"{what}: needs pairs of s(alpha) and accuracy, found {points.shape}")
    require_finite(what, points)
    if points.min() < 0 or points[:, 0].max() > 1 or points[:, 1].max() > 100:
        raise ValueError(f"{what}: s(alpha) is 0 to 1, an accuracy 0 to 100, found {runs}")
    return points


def _range(values: NDArray[np.float64], digits: str, unit: str = "") -> str:
    ends = (f"{values.min():{digits}}{unit}", f"{values.max():{digits}}{unit}")
    return " to ".join(dict.fromkeys(ends))
