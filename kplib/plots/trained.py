"""The matrices of trained networks: their singular values and conditioning, by technique."""

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FuncFormatter, LogLocator, NullLocator
from numpy.typing import NDArray

from kplib._checks import require_finite
from kplib.plots.axes import label_log_axis, nonnegative
from kplib.plots.picture import Picture
from kplib.plots.style import INK, LABELS, MARKERS, PALETTE, WIDTH, technique, use_style

Points = Mapping[str, Sequence[tuple[float, float]]]


def trained_spectra(
    spectra: Mapping[str, Sequence[Sequence[float]]],
    *,
    labels: Mapping[str, str] | None = None,
    what: str = "a gate's matrix",
) -> Picture:
    """Draw the singular values of trained matrices: for each technique the middle and the range.

    A line is the median over matrices (gates, directions, seeds) of the k-th largest singular
    value, the area around it goes from the smallest to the largest. Both axes are logarithmic, and
    a curve ends where the singular values do: at the largest rank among its matrices.

    Parameters
    ----------
    spectra : mapping of str to sequence of sequence of float
        For each technique (see `technique`), the singular values of its matrices, those alone that
        are not zero, in any order: `kplib.experiments.analysis.MatrixAnalysis.nonzero`.
    labels : mapping of str to str, optional
        Other names for the legend.
    what : str, optional
        Of what they are, for the title.

    Returns
    -------
    Picture

    Raises
    ------
    ValueError
        If there is nothing to draw, or a value is not positive and finite.

    Examples
    --------
    >>> picture = trained_spectra({"baseline": [[3, 2, 1], [5, 2, 1]], "kp": [[8, 4]]})
    >>> "baseline: the largest 3 to 5, rank 3; kp: the largest 8, rank 2." in picture.description
    True
    """
    if not spectra:
        raise ValueError("there are no singular values to draw")
    words = []
    with use_style():
        figure = Figure(figsize=(WIDTH, 3.1))
        ax = figure.subplots()
        ax.set(xscale="log", yscale="log", xlabel="Number, the largest first")
        ax.set_title(f"Singular values of {what}")
        for name, matrices in spectra.items():
            curves = _curves(name, matrices)
            key, label = technique(name), (labels or {}).get(name, name)
            # of matrices of several ranks, each number is drawn over those that have it
            steps = np.arange(1, curves.shape[1] + 1)
            ax.fill_between(
                steps, np.nanmin(curves, 0), np.nanmax(curves, 0),
                color=PALETTE[key], alpha=0.22, lw=0,
            )  # fmt: skip
            ax.plot(
                steps, np.nanmedian(curves, 0), color=PALETTE[key], marker=MARKERS[key],
                markevery=_marked(len(steps)), label=label,
            )  # fmt: skip
            ranks = (~np.isnan(curves)).sum(1)
            words.append(f"{label}: the largest {_range(curves[:, 0])}, rank {_range(ranks)}")
        ax.set_xlim(left=0.92)
        for axis in (ax.xaxis, ax.yaxis):
            low, high = axis.get_view_interval()
            digits = (
                (1.0, 2.0, 5.0) if high < 20 * low else (1.0, 3.0) if high < 1e3 * low else (1.0,)
            )
            axis.set_major_locator(LogLocator(subs=digits))
            axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
            axis.set_minor_locator(NullLocator())
        figure.legend(loc="outside lower center", ncols=3, handlelength=1.6, columnspacing=1.0)
    return Picture(figure, f"Singular values of {what}", "; ".join(words) + ".")


def _curves(name: str, matrices: Sequence[Sequence[float]]) -> NDArray[np.float64]:
    """Return one row a matrix, descending, NaN after the last."""
    rows = [np.sort(nonnegative(f"spectra[{name!r}]", values))[::-1] for values in matrices]
    if not rows:
        raise ValueError(f"spectra[{name!r}] has no matrix")
    curves = np.full((len(rows), max(map(len, rows))), np.nan)
    for row, values in zip(curves, rows, strict=True):
        if values[-1] == 0:
            raise ValueError(f"spectra[{name!r}] has the singular value 0, which has no logarithm")
        row[: len(values)] = values
    return curves


def _marked(count: int) -> list[int]:
    """Return where markers go: evenly on a logarithmic axis, from the first to the last."""
    return sorted({round(k) - 1 for k in np.geomspace(1, count, 7)})


def _range(values: NDArray[np.generic]) -> str:
    ends = (f"{values.min():.3g}", f"{values.max():.3g}")
    return " to ".join(dict.fromkeys(ends))


def trained_conditioning(before: Points, after: Points, *, names: tuple[str, str]) -> Picture:
    """Draw largest singular values and condition numbers of two groups of trained matrices.

    Parameters
    ----------
    before, after : mapping of str to sequence of (float, float)
        For each technique (see `technique`), for each matrix: the largest singular value, and the
        condition number over those that are not zero. The first group is drawn hollow.
    names : (str, str)
        Of the two, for the legend.

    Returns
    -------
    Picture

    Raises
    ------
    ValueError
        If there is no matrix, a number is not positive and finite, or a condition number below 1.

    Examples
    --------
    >>> picture = trained_conditioning(
    ...     {"kp": [(12, 5), (30, 7)]}, {"kp": [(20, 18)]}, names=("once", "again"))
    >>> "once, Kronecker (KP): the largest 12 to 30, condition 5 to 7" in picture.description
    True
    """
    words, keys = [], []
    with use_style():
        figure = Figure(figsize=(WIDTH, 3.3))
        ax = figure.subplots()
        for name, group in zip(names, (before, after), strict=True):
            for one, matrices in group.items():
                what, key = f"{name}, {one}", technique(one)
                points = np.array(matrices, np.float64).reshape(-1, 2)
                require_finite(what, points)
                if not points.size or points[:, 0].min() <= 0 or points[:, 1].min() < 1:
                    raise ValueError(
                        f"{what}: needs largest singular values above 0 and condition numbers of "
                        f"at least 1, found {matrices}"
                    )
                keys += [key] * (key not in keys)
                color = PALETTE[key]
                inside = "none" if group is before else color
                ax.plot(*points.T, MARKERS[key], ms=6, mfc=inside, mec=color, mew=1.3)
                largest, condition = (_range(values) for values in points.T)
                words.append(f"{name}, {LABELS[key]}: the largest {largest}, condition {condition}")
        if not keys:
            raise ValueError("there are no matrices to draw")
        ax.set(xscale="log", yscale="log", xlabel="Largest singular value")
        ax.set_title("Condition number, zeros left out")
        label_log_axis(ax, "x")
        label_log_axis(ax, "y")
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
    return Picture(figure, "Singular values of two trainings", "; ".join(words) + ".")
