"""What a recurrent network's state holds of its input, beside the most that it could hold."""

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import ArrayLike

from kplib._checks import require_finite
from kplib.plots.picture import Picture
from kplib.plots.style import INK, MARKERS, PALETTE, WIDTH, label_of, technique, use_style

Probes = Mapping[str, Sequence[tuple[int, float]]]


def state_contents(
    bound: ArrayLike, probes: Probes, *, labels: Mapping[str, str] | None = None
) -> Picture:
    """Draw how much of the input can be read from states, and the most that their size allows.

    Parameters
    ----------
    bound : array_like of float, shape (sizes,)
        For states of 1, 2, ... numbers: the share of the input's variance, 0 to 1, that the best
        linear reading can have.
    probes : mapping of str to sequence of (int, float)
        For each technique (see `technique`), for each network: the size of its state, and the share
        that a linear reading has.
    labels : mapping of str to str, optional
        Other names for the legend.

    Returns
    -------
    Picture

    Raises
    ------
    ValueError
        If there is no network, a share is not within 0 and 1, a state has no place on the curve,
        or a technique has no colour.

    Examples
    --------
    >>> picture = state_contents([0.5, 0.8, 1.0], {"small": [(1, 0.4), (1, 0.3)], "kp": [(3, 0.7)]})
    >>> picture.description
    'The most that 1 to 3 numbers can hold: 50% to 100%. small, 1 number: 30% to 40% of 50%; \
Kronecker (KP), 3 numbers: 70% of 100%.'
    """
    most = np.asarray(bound, np.float64)
    _check(most, probes)
    words = []
    with use_style():
        figure = Figure(figsize=(WIDTH, 2.9))
        ax = figure.subplots()
        sizes = np.arange(1, len(most) + 1)
        ax.plot(sizes, 100 * most, color=INK, lw=1.2, marker="", label="the most")
        for name, networks in probes.items():
            key, label = technique(name), label_of(name, labels)
            x, shares = np.array(networks, np.float64).T
            ax.plot(x, 100 * shares, ls="", color=PALETTE[key], marker=MARKERS[key], label=label)
            words += [_in_words(label, int(size), shares[x == size], most) for size in np.unique(x)]
        ax.set(xlabel="Numbers in the state", title="Share of the input that can be read, %")
        ax.set_xscale("log")
        ticks = [size for size in (1, 2, 5, 10, 20, 50, 100, 200, 500) if size <= len(most)]
        ax.set_xticks(ticks, [f"{size}" for size in ticks])
        ax.minorticks_off()
        ax.set_ylim(0, 102)
        figure.legend(loc="outside lower center", ncols=2)
    description = f"The most that 1 to {len(most)} numbers can hold: {_percents(most[[0, -1]])}. "
    return Picture(figure, "What the states hold", description + "; ".join(words) + ".")


def _check(most: np.ndarray, probes: Probes) -> None:
    if most.ndim != 1 or not most.size or not probes or not all(probes.values()):
        raise ValueError(
            f"needs a curve and a network of each technique, found a curve of shape {most.shape} "
            f"and {[len(networks) for networks in probes.values()]} networks"
        )
    require_finite("bound", most)
    for name, networks in probes.items():
        for size, share in networks:
            if not 1 <= size <= len(most):
                raise ValueError(
                    f"{name}: the curve is for 1 to {len(most)} numbers, but a state has {size}"
                )
            if not 0 <= share <= 1:
                raise ValueError(f"{name}: a share is 0 to 1, found {share}")
    if most.min() < 0 or most.max() > 1 + 1e-9:
        raise ValueError(f"a share is 0 to 1, but the curve is {most.min()} to {most.max()}")


def _in_words(label: str, size: int, shares: np.ndarray, most: np.ndarray) -> str:
    numbers = "number" if size == 1 else "numbers"
    return f"{label}, {size} {numbers}: {_percents(shares)} of {most[size - 1]:.0%}"


def _percents(values: np.ndarray) -> str:
    return " to ".join(dict.fromkeys(f"{end:.0%}" for end in (values.min(), values.max())))
