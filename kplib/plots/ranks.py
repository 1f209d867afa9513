"""Networks of nearly one size that differ in the rank of their matrices: what the rank buys."""

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FuncFormatter, NullLocator

from kplib._checks import require_finite
from kplib.plots.picture import Picture
from kplib.plots.style import INK, LABELS, MARKERS, PALETTE, WIDTH, technique, use_style


def accuracy_by_rank(
    networks: Mapping[str, Mapping[int, Sequence[float]]],
    marked: int | None = None,
) -> Picture:
    """Draw the accuracy of networks against the largest rank that their matrices can have.

    Parameters
    ----------
    networks : mapping of str to mapping of int to sequence of float
        For each technique (see `technique`), for each rank, the accuracies in %, one a seed. The
        means of a technique are joined by a line.
    marked : int, optional
        A rank with a dotted line, such as that of Algorithm 4's choice.

    Returns
    -------
    Picture

    Raises
    ------
    ValueError
        If there is nothing to draw, a rank is not positive, or an accuracy is not in 0 to 100.

    Examples
    --------
    >>> picture = accuracy_by_rank({"kp": {1: [70.0, 72.0], 16: [95.0]}, "lmf": {3: [94.0]}}, 16)
    >>> "Kronecker (KP): rank 1, 70.0% to 72.0%; rank 16, 95.0%." in picture.description
    True
    """
    if not networks or not all(networks.values()):
        raise ValueError(f"there are no networks to draw: {dict(networks)}")
    words, ranks = [], set()
    with use_style():
        figure = Figure(figsize=(WIDTH, 3.1))
        ax = figure.subplots()
        ax.set(xscale="log", xlabel="Largest rank of a matrix")
        ax.set_title("Test accuracy, %")
        if marked is not None:
            ax.axvline(marked, color=INK, lw=1, ls=":")
        for name, of_rank in networks.items():
            key, means, parts = technique(name), {}, []
            for rank, accuracies in sorted(of_rank.items()):
                values = _accuracies(name, rank, accuracies)
                means[rank] = values.mean()
                ax.plot([rank] * len(values), values, MARKERS[key], color=PALETTE[key], ms=5,
                        alpha=0.85)  # fmt: skip
                ends = (f"{values.min():.1f}%", f"{values.max():.1f}%")
                parts.append(f"rank {rank}, {' to '.join(dict.fromkeys(ends))}")
            ax.plot(list(means), list(means.values()), color=PALETTE[key], lw=1.2)
            ranks |= set(means)
            words.append(f"{LABELS[key]}: {'; '.join(parts)}.")
        ax.set_xticks(sorted(ranks))
        ax.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
        ax.xaxis.set_minor_locator(NullLocator())
        keys = [technique(name) for name in networks]
        handles = [
            Line2D([], [], marker=MARKERS[key], color=PALETTE[key], ms=5, lw=1.2, label=LABELS[key])
            for key in keys
        ]
        figure.legend(handles=handles, loc="outside lower center", ncols=3, handlelength=1.6)
    return Picture(figure, "Test accuracy against rank", " ".join(words))


def _accuracies(name: str, rank: int, accuracies: Sequence[float]) -> np.ndarray:
    values = np.array(accuracies, np.float64)
    what = f"networks[{name!r}][{rank}]"
    if rank < 1 or values.ndim != 1 or not values.size:
        raise ValueError(f"{what}: needs a rank of 1 or more and an accuracy for each seed")
    require_finite(what, values)
    if values.min() < 0 or values.max() > 100:
        raise ValueError(f"{what}: an accuracy is 0 to 100 %, found {list(accuracies)}")
    return values
