"""Networks as points of a figure: accuracy beside size and speed. Needs no record and no torch."""

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from kplib.experiments import papers

__all__ = ["Against", "Point", "most_accurate", "paper_points", "pareto_front"]

_COMPRESSIONS = {"none": None, "maximum": None, "10x": 10, "20x": 20}

Against = Literal["size", "speed-up"]
"""What an accuracy is weighed against."""


@dataclass(frozen=True, kw_only=True)
class Point:
    """A network's accuracy beside its size and speed.

    Parameters
    ----------
    source : {"papers", "ours"}
    technique : {"baseline", "small", "pruned", "lmf", "kp", "hkp"}
    compression : int, optional
        As of `kplib.build`.
    layers : int
        Recurrent layers.
    accuracy : float
        In %.
    is_mean : bool, default True
        Over several trainings; else it is the best of several, or the only one printed.
    kilobytes : float
        As the papers count.
    low, high : float, optional
        Bootstrap interval of the accuracy.
    speed_up : float, optional
        The baseline's time over this one's.
    smaller : float, optional
        The baseline's size over this one's.
    lost : float, optional
        The baseline's accuracy minus this one's, in percentage points.
    lost_low, lost_high : float, optional
        Bootstrap interval of it, on the same test items.
    seeds : int, optional
        How many trainings it is the mean of.

    Examples
    --------
    >>> kp = paper_points("kws-lstm")[-1]
    >>> isinstance(kp, Point) and kp.source
    'papers'
    """

    source: Literal["papers", "ours"]
    technique: str
    compression: int | None = None
    layers: int = 1
    accuracy: float
    is_mean: bool = True
    kilobytes: float
    low: float | None = None
    high: float | None = None
    speed_up: float | None = None
    smaller: float | None = None
    lost: float | None = None
    lost_low: float | None = None
    lost_high: float | None = None
    seeds: int | None = None

    def gain(self, against: Against) -> float | None:
        """Return how many times smaller, or faster, than the baseline it is; None if not known.

        Parameters
        ----------
        against : {"size", "speed-up"}

        Raises
        ------
        ValueError
            If it is neither.
        """
        if against not in ("size", "speed-up"):
            raise ValueError(f"against must be size or speed-up, found {against!r}")
        return self.smaller if against == "size" else self.speed_up


def paper_points(benchmark: str, *, best: bool = False) -> list[Point]:
    """Return every network that the papers print a result of.

    Parameters
    ----------
    benchmark : str
    best : bool, default False
        Whether to take the best accuracies, as the papers' figures 2 and 3 do, in place of the
        means. Of baselines the papers print the best alone.

    Returns
    -------
    list of Point
        Empty for a benchmark that is not the papers'. The speed-ups are those on their HiKey 960;
        sizes are compared as printed, whole networks.

    Notes
    -----
    What a mean has lost is counted from a best of several, the only number that is printed of a
    baseline; so it is rather too much than too little.

    Examples
    --------
    >>> [(point.technique, round(point.speed_up, 2)) for point in paper_points("kws-lstm")
    ...  if point.compression is None]
    [('baseline', 1.0), ('small', 13.33), ('pruned', 4.55), ('lmf', 6.47), ('kp', 1.53)]

    None of the networks that are called 10 times smaller is, counted as a whole:

    >>> max(point.smaller for point in paper_points("kws-lstm") if point.compression == 10) < 9.3
    True
    """
    if benchmark not in {network.benchmark for network in papers.networks()}:
        return []
    baseline = papers.result(benchmark, "baseline")
    found = []
    for row in papers.results(benchmark):
        accuracy = row.top if best or row.mean is None else row.mean
        found.append(
            Point(
                source="papers",
                technique=row.technique,
                compression=_COMPRESSIONS[row.compression],
                layers=row.layers,
                accuracy=accuracy,
                is_mean=not best and row.mean is not None,
                kilobytes=row.kilobytes,
                speed_up=papers.speed_up(row),
                smaller=baseline.kilobytes / row.kilobytes,
                lost=baseline.top - accuracy,
            )
        )
    return found


def pareto_front(points: Iterable[Point], against: Against = "size") -> list[Point]:
    """Return the networks that no other one beats in accuracy and size, or in accuracy and speed.

    One network beats another if it is at least as accurate and at least as small (or fast), and
    better in one of the two. Intervals are not looked at: a front of measured accuracies has chance
    in it, and the more networks there are the more.

    Parameters
    ----------
    points : iterable of Point
        Those without a size ratio, or speed-up, are left out.
    against : {"size", "speed-up"}, default "size"

    Returns
    -------
    list of Point
        The largest (or slowest) first, so accuracies fall. Equal ones stay together.

    Notes
    -----
    O(n log n) for n networks: from the smallest on, a network is on the front if it is more
    accurate than all that are smaller.

    Examples
    --------
    Low rank is beaten by Kronecker, which is smaller and more accurate; but not in speed:

    >>> [point.technique for point in pareto_front(paper_points("mnist-lstm"))]
    ['baseline', 'kp']
    >>> [point.technique for point in pareto_front(paper_points("mnist-lstm"), "speed-up")]
    ['baseline', 'kp', 'lmf', 'pruned']
    """
    known = [(gain, point) for point in points if (gain := point.gain(against)) is not None]
    front: list[tuple[float, Point]] = []
    for gain, point in sorted(known, key=lambda one: (-one[0], -one[1].accuracy)):
        top = front[-1] if front else (math.inf, None)
        is_equal = top[1] is not None and (gain, point.accuracy) == (top[0], top[1].accuracy)
        if top[1] is None or point.accuracy > top[1].accuracy or is_equal:
            front.append((gain, point))
    return [point for _, point in reversed(front)]


def most_accurate(
    points: Iterable[Point], at_least: float, against: Against = "size"
) -> Point | None:
    """Return the most accurate network that is small, or fast, enough.

    Parameters
    ----------
    points : iterable of Point
    at_least : float
        How many times smaller, or faster, than the baseline it has to be; above 0.
    against : {"size", "speed-up"}, default "size"

    Returns
    -------
    Point or None
        Of equally accurate ones the smallest, or fastest; None if none is small enough.

    Raises
    ------
    ValueError
        If `at_least` is not above 0.

    Examples
    --------
    >>> most_accurate(paper_points("kws-lstm"), 15).technique
    'kp'
    >>> most_accurate(paper_points("kws-lstm"), 15, "speed-up") is None
    True
    """
    if not at_least > 0:
        raise ValueError(f"at_least must be above 0, found {at_least!r}")
    enough = [
        (point.accuracy, gain, -place, point)
        for place, point in enumerate(points)
        if (gain := point.gain(against)) is not None and gain >= at_least
    ]
    return max(enough, key=lambda one: one[:3])[3] if enough else None
