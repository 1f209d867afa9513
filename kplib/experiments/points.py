"""Networks as points of a figure: accuracy beside size and speed. Needs no record and no torch."""

from dataclasses import dataclass
from typing import Literal

from kplib.experiments import papers

__all__ = ["Point", "paper_points"]

_COMPRESSIONS = {"none": None, "maximum": None, "10x": 10, "20x": 20}


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
        Empty for a benchmark that is not the papers'. The speed-ups are those on their HiKey 960.

    Examples
    --------
    >>> [(point.technique, round(point.speed_up, 2)) for point in paper_points("kws-lstm")
    ...  if point.compression is None]
    [('baseline', 1.0), ('small', 13.33), ('pruned', 4.55), ('lmf', 6.47), ('kp', 1.53)]
    """
    if benchmark not in {network.benchmark for network in papers.networks()}:
        return []
    return [
        Point(
            source="papers",
            technique=row.technique,
            compression=_COMPRESSIONS[row.compression],
            layers=row.layers,
            accuracy=row.top if best or row.mean is None else row.mean,
            is_mean=not best and row.mean is not None,
            kilobytes=row.kilobytes,
            speed_up=papers.speed_up(row),
        )
        for row in papers.results(benchmark)
    ]
