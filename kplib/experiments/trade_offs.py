"""Accuracy against size and speed, benchmark by benchmark: the papers' networks, and ours.

A group holds networks whose accuracies may be compared with one another: all that the papers print,
or ours that were trained alike. Nothing is compared across groups but by eye.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from itertools import combinations
from pathlib import Path

from kplib.experiments.benchmarks import BENCHMARKS, benchmark
from kplib.experiments.figures import network_name, our_points
from kplib.experiments.points import Against, Point, most_accurate, paper_points, pareto_front
from kplib.experiments.report import in_words, training_in_short
from kplib.experiments.run_sets import Protocol, RunSet, difference, protocols, run_sets

__all__ = ["Group", "TradeOff", "trade_off", "trade_offs"]

Times = Mapping[tuple[str, int | None, int], float]
_USUAL = ("baseline", "small", "pruned", "lmf", "kp")


@dataclass(frozen=True, kw_only=True)
class Group:
    """Networks of one benchmark whose accuracies may be compared.

    Parameters
    ----------
    name : str
        What they have in common: which numbers of the papers, or how they were trained.
    points : tuple of Point
    undecided : frozenset of (int, int)
        Pairs of places in `points`, the lower one first, for which the interval of the difference
        includes 0: the records do not say which of the two is more accurate. Empty for the papers,
        who print no answers of their networks.
    missing : tuple of str
        Techniques that the benchmark has and the group has not.

    Examples
    --------
    >>> means = trade_off("kws-lstm").means
    >>> isinstance(means, Group) and means.best(15) in means.points
    True
    """

    name: str
    points: tuple[Point, ...]
    undecided: frozenset[tuple[int, int]] = frozenset()
    missing: tuple[str, ...] = ()

    def best(self, at_least: float = 1, against: Against = "size") -> Point | None:
        """Return the most accurate that is small or fast enough, or None."""
        return most_accurate(self.points, at_least, against)

    def front(self, against: Against = "size") -> list[Point]:
        """Return those that no other one beats, the largest or slowest first."""
        return pareto_front(self.points, against)

    def beaten_by(self, one: Point, against: Against = "size") -> list[Point]:
        """Return what is at least as small or fast and at least as accurate, and better in one.

        Parameters
        ----------
        one : Point
        against : {"size", "speed-up"}, default "size"

        Raises
        ------
        ValueError
            If how small or fast it is is not known.
        """
        gain = one.gain(against)
        if gain is None:
            raise ValueError(f"{one} has no {against}")
        mine = (one.accuracy, gain)
        found = []
        for other in self.points:
            its = other.gain(against)
            if its is None or (other.accuracy, its) == mine:
                continue
            if other.accuracy >= one.accuracy and its >= gain:
                found.append(other)
        return found

    def ties(self, one: Point, at_least: float = 1, against: Against = "size") -> list[Point]:
        """Return what also is small or fast enough and cannot be told apart in accuracy.

        Parameters
        ----------
        one : Point
            Of the group, such as `best` gives.
        at_least : float, default 1
        against : {"size", "speed-up"}, default "size"

        Raises
        ------
        ValueError
            If it is not of the group.
        """
        if one not in self.points:
            raise ValueError(f"{self.name!r} has no {one}")
        place = self.points.index(one)
        return [
            other
            for k, other in enumerate(self.points)
            if (min(k, place), max(k, place)) in self.undecided
            and (other.gain(against) or 0) >= at_least
        ]


@dataclass(frozen=True, kw_only=True)
class TradeOff:
    """All networks of a benchmark, in groups.

    Parameters
    ----------
    benchmark : str
        A name of `BENCHMARKS`.
    means, bests : Group, optional
        The papers' networks, with their mean accuracies and with the best of several; None for a
        benchmark that is not the papers'.
    ours : tuple of Group
        One a training; the first has the most networks, or else the most seeds, or the longest
        training. Empty if there is no record.
    title : str, optional
        The benchmark's if not given: for networks that are no benchmark's.

    Examples
    --------
    >>> keywords = trade_off("kws-lstm")
    >>> isinstance(keywords, TradeOff) and keywords.benchmark
    'kws-lstm'
    """

    benchmark: str
    means: Group | None
    bests: Group | None
    ours: tuple[Group, ...] = ()
    title: str = ""

    def __post_init__(self) -> None:
        if not self.title:
            object.__setattr__(self, "title", benchmark(self.benchmark).title)


def trade_off(
    name: str, runs: Path | str | None = None, milliseconds: Times | None = None
) -> TradeOff:
    """Return the papers' networks of a benchmark, and ours.

    Parameters
    ----------
    name : str
        Of `BENCHMARKS`.
    runs : Path or str, optional
        The folder of our records; without it there are the papers' alone.
    milliseconds : mapping of (str, int or None, int) to float, optional
        Time of our networks, by technique, compression and layers:
        :func:`kplib.bench.network_times.network_times` reads them from a record.

    Returns
    -------
    TradeOff

    Raises
    ------
    ValueError
        If there is no such benchmark, or a file in the folder is no record.

    Examples
    --------
    >>> keywords = trade_off("kws-lstm")
    >>> keywords.means.best(15).technique, keywords.ours
    ('kp', ())
    """
    benchmark(name)
    means, bests = (tuple(paper_points(name, best=best)) for best in (False, True))
    usual = tuple(dict.fromkeys(point.technique for point in means)) or _USUAL
    sets = run_sets(runs, name) if runs else []
    alike: dict[Protocol, list[RunSet]] = {}
    for protocol, found in protocols(sets).items():
        alike.setdefault(replace(protocol, compression=None), []).extend(found)
    # A baseline alone was trained for another network to start at: there is nothing to trade.
    compared = (one for one, found in alike.items() if not _only_baselines(found))
    order = sorted(compared, key=lambda one: _rank(alike[one]), reverse=True)
    return TradeOff(
        benchmark=name,
        means=Group(name="means of several trainings", points=means) if means else None,
        bests=Group(name="the best of several trainings", points=bests) if bests else None,
        ours=tuple(
            Group(
                name=words,
                points=tuple(our_points(alike[one], _by_name(alike[one], milliseconds or {}))),
                undecided=_undecided(alike[one]),
                missing=_missing(alike[one], usual),
            )
            for words, one in zip(_names(order), order, strict=True)
        ),
    )


def trade_offs(
    runs: Path | None = None, milliseconds: Mapping[str, Times] | None = None
) -> list[TradeOff]:
    """Return the trade-off of each of the papers' benchmarks, and of others that have records.

    Parameters
    ----------
    runs : Path, optional
        The folder of our records.
    milliseconds : mapping of str to mapping, optional
        For each benchmark what `kplib.experiments.trade_offs.trade_off` takes.

    Returns
    -------
    list of TradeOff
        In the order of `BENCHMARKS`.

    Raises
    ------
    ValueError
        If a file in the folder is no record.

    Examples
    --------
    >>> [one.benchmark for one in trade_offs()]
    ['mnist-lstm', 'usps-fastrnn', 'kws-lstm', 'kws-gru', 'har1-bilstm']
    """
    times = milliseconds or {}
    every = [trade_off(name, runs, times.get(name)) for name in BENCHMARKS]
    return [one for one in every if one.means or one.ours]


def _rank(sets: list[RunSet]) -> tuple[int, int, int, bool]:
    """Order trainings, by nothing that they came out with."""
    mine = sets[0].configuration
    return (
        len(sets),
        sum(len(one.runs) for one in sets),
        max(one.configuration.length for one in sets),
        not (mine.data_options or mine.initial_values),
    )


def _only_baselines(sets: list[RunSet]) -> bool:
    return all(one.configuration.technique == "baseline" for one in sets)


def _names(order: list[Protocol]) -> list[str]:
    """Name trainings by their length, and by their schedule where that tells them apart."""
    short = [training_in_short(one) for one in order]
    return [
        f"{words}, {in_words(one.schedule)}" if short.count(words) > 1 and one.schedule else words
        for words, one in zip(short, order, strict=True)
    ]


def _by_name(sets: list[RunSet], times: Times) -> dict[str, float]:
    networks = {
        network_name(one): (mine.technique, mine.compression, mine.layers)
        for one in sets
        for mine in [one.configuration]
    }
    return {name: times[network] for name, network in networks.items() if network in times}


def _undecided(sets: list[RunSet]) -> frozenset[tuple[int, int]]:
    return frozenset(
        (one, other)
        for one, other in combinations(range(len(sets)), 2)
        if not difference(sets[one], sets[other]).excludes_zero
    )


def _missing(sets: list[RunSet], usual: tuple[str, ...]) -> tuple[str, ...]:
    there = {one.configuration.technique for one in sets}
    return tuple(technique for technique in usual if technique not in there)
