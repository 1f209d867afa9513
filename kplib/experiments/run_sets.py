"""Records that belong together: the seeds of one training, and the trainings to be compared.

Two techniques on noise, two seeds each:

>>> import tempfile
>>> from kplib.data.sets import DataSet, Sequences
>>> from kplib.experiments.training import train
>>> rng = np.random.default_rng(0)
>>> part = Sequences(rng.normal(size=(20, 16, 16)).astype(np.float32), np.arange(20) % 10)
>>> data = DataSet("usps", tuple("0123456789"), part, part, part)
>>> folder = tempfile.TemporaryDirectory()
>>> for technique in ("lmf", "kp"):
...     for seed in (0, 1):
...         setting = default_configuration("usps-fastrnn", technique, seed=seed).with_length(1)
...         run = train(setting, data, folder=folder.name)
>>> sets = run_sets(Path(folder.name))
>>> [(each.configuration.technique, each.seeds) for each in sets]
[('lmf', (0, 1)), ('kp', (0, 1))]
>>> all(isinstance(each, RunSet) for each in sets)
True

They were trained alike on the same data, at the same compression, so they may be compared:

>>> [(protocol, alike)] = protocols(sets).items()
>>> isinstance(protocol, Protocol) and alike == sets
True
>>> gain = difference(sets[1], sets[0])
>>> isinstance(gain, Interval) and gain.low <= gain.value <= gain.high
True

The plan behind the recorded results has more:

>>> from kplib.experiments.plans import RECORDED_PLAN, read_plan
>>> len(untrained(read_plan(RECORDED_PLAN), sets, "usps-fastrnn")) > 0
True
>>> folder.cleanup()
"""

import json
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kplib.experiments import papers
from kplib.experiments.bootstrap import Interval, accuracy_interval, difference_interval
from kplib.experiments.configuration import Configuration, default_configuration
from kplib.experiments.plans import Entry, Plan
from kplib.experiments.printed import PaperResult
from kplib.experiments.records import StoredRun, iterate
from kplib.experiments.schedules import Schedule

__all__ = ["Protocol", "RunSet", "difference", "protocols", "run_sets", "untrained"]

TECHNIQUES = ("baseline", "small", "pruned", "lmf", "kp", "hkp")
_FEWEST_GROUPS = 10  # to draw from; resampling two people says nothing of a third
_DOMINANT = 2.0  # times the share that all classes would have if they were equally frequent


@dataclass(frozen=True)
class RunSet:
    """All recorded runs of one configuration, which differ in nothing but the seed.

    Parameters
    ----------
    runs : tuple of StoredRun
        In the order of their seeds; at least one.
    entry : Entry, optional
        That they belong to in a plan.

    Raises
    ------
    ValueError
        If there is none, or they do not belong together.
    """

    runs: tuple[StoredRun, ...]
    entry: Entry | None = None

    def __post_init__(self) -> None:
        keys = {_identity(run) for run in self.runs}
        if len(keys) != 1 or len(set(self.seeds)) < len(self.runs):
            paths = ", ".join(run.record.configuration.path for run in self.runs) or "none"
            raise ValueError(f"a set is seeds of one configuration on the same data, found {paths}")

    @property
    def configuration(self) -> Configuration:
        """Of the first seed."""
        return self.runs[0].record.configuration

    @property
    def seeds(self) -> tuple[int, ...]:
        """Those that were run."""
        return tuple(run.record.configuration.seed for run in self.runs)

    @property
    def missing(self) -> tuple[int, ...]:
        """Seeds that are planned and have no record."""
        planned = self.entry.sweep.seeds if self.entry else ()
        return tuple(seed for seed in planned if seed not in self.seeds)

    @property
    def diverged(self) -> tuple[StoredRun, ...]:
        """Runs whose loss was not finite in the end; their accuracies count all the same."""
        return tuple(run for run in self.runs if run.record.result.diverged_at is not None)

    @property
    def accuracies(self) -> NDArray[np.float64]:
        """Test accuracy of each seed in %, shape (S,)."""
        return np.array([run.record.result.accuracy for run in self.runs])

    @property
    def bits(self) -> int | None:
        """How many bits its weights have, of a set of `kplib.experiments.few_bits`; else None."""
        bits: int | None = self.configuration.variant_options.get("bits")
        return bits

    @property
    def macro_f1(self) -> NDArray[np.float64]:
        """Macro-F1 of each seed in %, shape (S,)."""
        return np.array([run.record.result.macro_f1 for run in self.runs])

    @property
    def kilobytes(self) -> float:
        """Size as the papers count it."""
        return self.runs[0].record.network.kilobytes

    @property
    def confusion(self) -> NDArray[np.int64]:
        """Of all seeds together: true class (row) against predicted output (column)."""
        total: NDArray[np.int64] = sum(
            (np.array(run.record.result.confusion, np.int64) for run in self.runs),
            start=np.zeros((), np.int64),
        )
        return total

    @cached_property
    def correct(self) -> NDArray[np.bool_]:
        """Whether each seed is right on each test item, shape (S, N)."""
        return np.stack([run.predictions == run.labels for run in self.runs])

    @property
    def groups(self) -> NDArray[np.uint16] | None:
        """Which test items belong together, such as the clips of a speaker, shape (N,)."""
        return self.runs[0].groups

    @cached_property
    def drawn_groups(self) -> NDArray[np.uint16] | None:
        """The groups that intervals draw whole; None if there are none, or fewer than ten."""
        enough = self.groups is not None and len(np.unique(self.groups)) >= _FEWEST_GROUPS
        return self.groups if enough else None

    @cached_property
    def interval(self) -> Interval:
        """Of the mean accuracy, over seeds and test items; see `kplib.experiments.bootstrap`."""
        return accuracy_interval(self.correct, groups=self.drawn_groups)

    @property
    def dominant(self) -> tuple[str, float] | None:
        """The most frequent class of the test set and its share, if it is more than twice its due.

        Accuracy then says little of the other classes, and macro-F1 belongs beside it.
        """
        counts = self.confusion.sum(axis=1)
        most = int(counts.argmax())
        share = float(counts[most] / counts.sum())
        if share * len(counts) <= _DOMINANT:
            return None
        return self.runs[0].record.data.classes[most], share

    @property
    def printed(self) -> PaperResult | None:
        """The papers' result for this network; None for what they do not have."""
        configuration = self.configuration
        known = {network.benchmark for network in papers.networks()}
        if configuration.variant or configuration.benchmark not in known:
            return None
        label = f"{configuration.compression}x" if configuration.compression else "maximum"
        found = papers.results(
            configuration.benchmark, configuration.technique, layers=configuration.layers
        )
        wanted = "none" if configuration.technique == "baseline" else label
        return next((row for row in found if row.compression == wanted), None)

    @property
    def own_schedule(self) -> bool:
        """Whether the schedule is what the papers print for this very network, or scaled so."""
        mine = self.configuration
        default = default_configuration(
            mine.benchmark,
            mine.technique,
            compression=mine.compression,
            layers=mine.layers,
            length=mine.length,
        )
        return default.schedule == mine.schedule


def difference(one: RunSet, rival: RunSet) -> Interval:
    """Return by how much one set is ahead of another on the same test items.

    Parameters
    ----------
    one, rival : RunSet

    Returns
    -------
    Interval
        In percentage points; see `kplib.experiments.bootstrap.difference_interval`.

    Raises
    ------
    ValueError
        If they were not tested on the same items.
    """
    if not np.array_equal(one.runs[0].labels, rival.runs[0].labels):
        raise ValueError(
            f"{one.configuration.path} and {rival.configuration.path} were tested on other items"
        )
    return difference_interval(one.correct, rival.correct, groups=one.drawn_groups)


def run_sets(
    folder: Path | str, benchmark: str | None = None, plan: Plan | None = None
) -> list[RunSet]:
    """Return all sets of records that were scored on the test set.

    Parameters
    ----------
    folder : Path or str
        Of all records.
    benchmark : str, optional
        Only of this.
    plan : Plan, optional
        Says which seeds there are to be.

    Returns
    -------
    list of RunSet
        In the order of the papers' tables: baseline, small, pruned, low rank, Kronecker, hybrid.

    Raises
    ------
    ValueError
        If a file is no record.
    """
    found: dict[tuple[str, str], list[StoredRun]] = {}
    for run in iterate(folder, benchmark):
        if run.record.configuration.scored_on == "test":
            found.setdefault(_identity(run), []).append(run)
    entries = _planned_keys(plan)
    sets = [
        RunSet(
            tuple(sorted(runs, key=lambda run: run.record.configuration.seed)),
            entries.get(runs[0].record.configuration.key),
        )
        for runs in found.values()
    ]
    return sorted(sets, key=_order)


def untrained(plan: Plan, sets: Iterable[RunSet], benchmark: str | None = None) -> list[Entry]:
    """Return the entries of a plan that have no record at all.

    Parameters
    ----------
    plan : Plan
    sets : iterable of RunSet
        Of `run_sets`, with this plan.
    benchmark : str, optional
        Only of this.
    """
    there = [one.entry for one in sets]
    return [
        entry
        for entry in plan.entries
        if entry not in there and benchmark in (None, entry.sweep.benchmark)
    ]


def _identity(run: StoredRun) -> tuple[str, str]:
    return run.record.configuration.key, run.record.data.sha256


def _order(one: RunSet) -> tuple[object, ...]:
    mine = one.configuration
    return (mine.benchmark, mine.compression or 0, TECHNIQUES.index(mine.technique), mine.layers,
            mine.variant, mine.length, mine.key)  # fmt: skip


def _planned_keys(plan: Plan | None) -> dict[str, Entry]:
    """Return the entry of each configuration that a plan can come to, by its key."""
    keys: dict[str, Entry] = {}
    for entry in plan.entries if plan else ():
        rates = entry.sweep.learning_rates or (None,)
        for rate in rates:
            keys.setdefault(entry.final(entry.sweep.seeds[0], rate).key, entry)
    return keys


# What is compared with what -----------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class Protocol:
    """What all networks of one table have in common.

    Parameters
    ----------
    benchmark : str
    compression : int, optional
        As of `kplib.build`: the maximum, unless given.
    unit : {"epochs", "steps"}
    length : int, optional
        Of all; None if each was trained as the papers trained it.
    schedule : Schedule, optional
        Of all; None likewise.
    fraction : float, optional
        Of the papers' lengths, where each has its own schedule.
    data_options : str
        As JSON.
    initial_values : str
        As JSON.
    data_sha256 : str
    """

    benchmark: str
    compression: int | None
    unit: str
    length: int | None = None
    schedule: Schedule | None = None
    fraction: float | None = None
    data_options: str
    initial_values: str
    data_sha256: str

    @property
    def departures(self) -> dict[str, dict[str, Any]]:
        """What is otherwise than by default in the data and in the start, for all networks."""
        found = {"data": json.loads(self.data_options), "start": json.loads(self.initial_values)}
        return {name: options for name, options in found.items() if options}


def protocols(sets: Iterable[RunSet]) -> dict[Protocol, list[RunSet]]:
    """Return which sets are to be compared: trained alike on the same data, at equal size.

    Parameters
    ----------
    sets : iterable of RunSet
        Variants are left out: they are not like the others.

    Returns
    -------
    dict of Protocol to list of RunSet
        Where two techniques had the same length and schedule, these name the protocol. A set that
        stands alone, and was trained as the papers trained that network, is put with others of
        which that is true.
    """
    plain = [one for one in sets if not one.configuration.variant]
    alike = Counter(protocol for protocol, _ in {
        (_protocol(one), one.configuration.technique) for one in plain
    })  # fmt: skip
    found: dict[Protocol, list[RunSet]] = {}
    for one in plain:
        protocol = _protocol(one)
        if alike[protocol] == 1 and one.own_schedule:
            mine = one.configuration
            protocol = _protocol(one, fraction=round(mine.length / mine.full_length, 6))
        found.setdefault(protocol, []).append(one)
    return found


def _protocol(one: RunSet, fraction: float | None = None) -> Protocol:
    mine = one.configuration
    return Protocol(
        benchmark=mine.benchmark,
        compression=mine.compression,
        unit=mine.unit,
        length=mine.length if fraction is None else None,
        schedule=mine.schedule if fraction is None else None,
        fraction=fraction,
        data_options=json.dumps(dict(mine.data_options), sort_keys=True),
        initial_values=json.dumps(dict(mine.initial_values), sort_keys=True),
        data_sha256=one.runs[0].record.data.sha256,
    )
