"""A network that reads in both directions: what its two final states hold of a window."""

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from kplib._checks import positive_integer
from kplib.plots.picture import Picture
from kplib.plots.style import MARKERS, PALETTE, WIDTH, use_style


def window_weights(keep: float, steps: int) -> Picture:
    """Draw how much each sample counts in the final state of either direction.

    The cell is linear: it keeps a share of its state and adds 1 - share of the sample, so that
    sample t of T counts (1 - keep) keep^(T - t) forward and (1 - keep) keep^(t - 1) in reverse.

    Parameters
    ----------
    keep : float
        The share that stays at each step, between 0 and 1.
    steps : int
        T.

    Returns
    -------
    Picture

    Raises
    ------
    ShapeError
        If the number of steps is not a positive integer.
    ValueError
        If `keep` is not between 0 and 1.

    Examples
    --------
    >>> window_weights(0.5, 3).description
    'forward: the first sample counts 0.125, the last 0.500; reverse: 0.500 and 0.125.'
    """
    steps = positive_integer("steps", steps)
    if not 0 < keep < 1:
        raise ValueError(f"keep must be between 0 and 1, found {keep}")
    times = np.arange(1, steps + 1)
    forward = (1 - keep) * keep ** (steps - times)
    with use_style():
        figure = Figure(figsize=(WIDTH, 2.4))
        ax = figure.subplots()
        for label, key, weights in (
            ("forward", "dense", forward),
            ("reverse", "kronecker", forward[::-1]),
        ):
            ax.plot(times, weights, color=PALETTE[key], marker=MARKERS[key], label=label)
        ax.set(xlabel="Sample of the window", title="Its weight in the final state")
        ax.set_ylim(bottom=0)
        ax.xaxis.set_major_locator(MaxNLocator(integer=True, nbins=8))
        ax.legend(loc="upper center")
    first, last = forward[0], forward[-1]
    description = (
        f"forward: the first sample counts {first:.3f}, the last {last:.3f}; "
        f"reverse: {last:.3f} and {first:.3f}."
    )
    return Picture(figure, "What the two directions keep of a window", description)
