"""The matrices of trained networks: their singular values, technique by technique."""

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, NullLocator
from numpy.typing import NDArray

from kplib.plots.picture import Picture
from kplib.plots.spectra import _nonnegative
from kplib.plots.style import MARKERS, PALETTE, WIDTH, technique, use_style


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
    rows = [np.sort(_nonnegative(f"spectra[{name!r}]", values))[::-1] for values in matrices]
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
