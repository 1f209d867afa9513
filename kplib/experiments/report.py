"""The tables of the results, from the records alone: ours beside the papers', each with its doubt.

A table holds what may be compared: networks of one size class that were trained alike on the same
data. What was not trained as long as in the papers says so; a set that lacks seeds says so; a
training that diverged is listed, and counts.

The tables of two techniques, trained on noise for one step:

>>> import tempfile
>>> from kplib.data.sets import DataSet, Sequences
>>> from kplib.experiments.configuration import default_configuration
>>> from kplib.experiments.run_sets import protocols, run_sets
>>> from kplib.experiments.training import train
>>> rng = np.random.default_rng(0)
>>> part = Sequences(rng.normal(size=(20, 16, 16)).astype(np.float32), np.arange(20) % 10)
>>> data = DataSet("usps", tuple("0123456789"), part, part, part)
>>> folder = tempfile.TemporaryDirectory()
>>> for technique in ("lmf", "kp"):
...     setting = default_configuration("usps-fastrnn", technique).with_length(1)
...     run = train(setting, data, folder=folder.name)
>>> sets = run_sets(Path(folder.name))
>>> [(protocol, alike)] = protocols(sets).items()
>>> [row.name for row in accuracy_table(alike, protocol).rows]
['low rank', 'Kronecker']
>>> [row.name for row in difference_table(alike, protocol).rows]
['low rank']
>>> len(protocol_tables(sets))
2
>>> len(summary_table(sets).rows) > 0
True
>>> len(tables(Path(folder.name))) > 2
True

What departs from the papers has a table of its own:

>>> from kplib.experiments import variant_training
>>> from kplib.experiments.variants import configured
>>> setting = configured("usps-fastrnn", "kp", variant="rank-24").with_length(1)
>>> run = variant_training.train(setting, data, folder=folder.name)
>>> len(variants_table(run_sets(Path(folder.name))).rows)
1

And so has a task of which the papers print nothing:

>>> from kplib.experiments.tasks import copy_memory
>>> data = copy_memory(symbols=1, delay=1, train=100, validation=10, test=10)
>>> setting = configured("copy-rnn", "kp", variant="kru").with_length(1)
>>> run = variant_training.train(setting, data, folder=folder.name)
>>> len(task_table(run_sets(Path(folder.name), "copy-rnn")).rows)
1
>>> folder.cleanup()
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np

from kplib.experiments import papers
from kplib.experiments.benchmarks import BENCHMARKS, TASKS
from kplib.experiments.bits_table import bits_tables
from kplib.experiments.comparison_table import LABELS
from kplib.experiments.grouped_table import GroupedTable, Row
from kplib.experiments.plans import Entry, Plan
from kplib.experiments.printed import PaperResult
from kplib.experiments.report_words import name_of, signed
from kplib.experiments.run_sets import (
    Protocol,
    RunSet,
    difference,
    protocols,
    run_sets,
    untrained,
)
from kplib.experiments.schedules import LRD1, Constant, Cosine, Schedule
from kplib.experiments.sizes import BYTES_PER_KILOBYTE

__all__ = [
    "accuracy_table",
    "difference_table",
    "protocol_tables",
    "summary_table",
    "tables",
    "task_table",
    "training_in_short",
    "variants_table",
]

_REFERENCES = ("kp", "hkp")  # what the others are compared with
_NONE = ("–",)
_FEW = 3  # seeds
_GROUPS = {"keywords": "speaker", "dsads": "recording"}  # what a data set's test items come from


def tables(
    folder: Path | str, benchmark: str | None = None, plan: Plan | None = None
) -> list[GroupedTable]:
    """Return every table of the results.

    Parameters
    ----------
    folder : Path or str
        Of all records.
    benchmark : str, optional
        Only of this.
    plan : Plan, optional
        Says which seeds and networks there are to be.

    Returns
    -------
    list of GroupedTable
        For each benchmark: for each protocol its accuracies and the differences to the Kronecker
        network; then the networks in few bits, and the variants. Then the tasks of long memory, and
        last all that the papers print beside ours. Empty if there is no record.

    Raises
    ------
    ValueError
        If a file is no record.
    """
    sets = run_sets(folder, benchmark, plan)
    found: list[GroupedTable] = []
    for name in BENCHMARKS:
        mine = [one for one in sets if one.configuration.benchmark == name]
        found += protocol_tables(mine, untrained(plan, mine, name) if plan else ())
        found += bits_tables(mine)
        if any(map(_is_variant, mine)):
            found.append(variants_table(mine))
    compared = bool(found)
    for name in TASKS:
        if mine := [one for one in sets if one.configuration.benchmark == name]:
            found.append(task_table(mine))
    if not compared:
        return found
    there = {one.configuration.benchmark for one in sets}
    named = {sweep.benchmark for sweep in plan.sweeps} if plan and benchmark is None else set()
    return [*found, summary_table(sets, named - there)]


def protocol_tables(sets: Iterable[RunSet], waiting: Iterable[Entry] = ()) -> list[GroupedTable]:
    """Return accuracies and differences of one benchmark, two tables a protocol.

    Parameters
    ----------
    sets : iterable of RunSet
        Of one benchmark.
    waiting : iterable of Entry
        What is planned and has no record: named at the foot of the last table.

    Returns
    -------
    list of GroupedTable
        There is no table of differences where there is nothing to compare.
    """
    found: list[GroupedTable] = []
    groups = protocols(sets)
    names = sorted({entry.name.partition("/")[2] for entry in waiting})
    notes = (f"Planned, without a record: {', '.join(names)}.",) if names else ()
    for number, (protocol, group) in enumerate(groups.items(), start=1):
        found.append(accuracy_table(group, protocol, notes=notes if number == len(groups) else ()))
        if reference_of(group) is not None and len(group) > 1:
            found.append(difference_table(group, protocol))
    return found


# Accuracies ---------------------------------------------------------------------------------------


def accuracy_table(
    sets: Sequence[RunSet], protocol: Protocol, *, notes: tuple[str, ...] = ()
) -> GroupedTable:
    """Return the test accuracies of one protocol, ours beside the papers'.

    Parameters
    ----------
    sets : sequence of RunSet
        Of `kplib.experiments.run_sets.protocols`.
    protocol : Protocol
        Likewise.
    notes : tuple of str
        To be added at the foot.

    Returns
    -------
    GroupedTable
        Mean and standard deviation over the seeds, interval, and the papers' mean and standard
        deviation, or their best where they print no mean.
    """
    return GroupedTable(
        caption=f"{_title(protocol)}: test accuracy, {training_in_short(protocol)}",
        heads=("Network", "Ours, %", "Interval", "Papers, %"),
        rows=tuple(_accuracy_row(one) for one in sets),
        notes=(*_notes(sets, protocol), *notes),
    )


def _accuracy_row(one: RunSet) -> Row:
    printed = one.printed
    return Row(
        name=name_of(one),
        details=(*_sizes(one), _seeds(one)),
        cells=(_mean(one), _between(one.interval.low, one.interval.high), _printed(printed)),
        below=" ".join(_remarks(one, printed)),
    )


def _remarks(one: RunSet, printed: PaperResult | None) -> list[str]:
    """Return what explains a row."""
    best = f"Best seed {one.accuracies.max():.2f}"
    if printed is not None and printed.mean is not None:
        best += f", the papers' best {printed.top:.2f}"
    remarks = [f"{best}.", f"Learning rate {one.configuration.learning_rate:g}."]
    if places := one.runs[0].record.network.index_bytes:
        size = one.kilobytes + places / BYTES_PER_KILOBYTE
        remarks.append(f"With the places of its non-zeros {size:.2f} KB.")
    if one.dominant is not None:
        name, share = one.dominant
        f1 = " ".join(_spread(one.macro_f1))
        remarks.append(f"Macro-F1 {f1} %: {share:.0%} of the test items are {name!r}.")
    if one.missing:
        remarks.append(f"No record of seed {_listed(one.missing)}.")
    remarks += [
        f"Seed {run.record.configuration.seed} diverged by step {run.record.result.diverged_at}; "
        "it counts."
        for run in one.diverged
    ]
    return remarks


def _notes(sets: Sequence[RunSet], protocol: Protocol) -> tuple[str, ...]:
    """Return what is to be said of all networks of a table: training, rates, data, intervals."""
    notes = [_schedule_note(sets, protocol)]
    rates = {
        (one.entry.sweep.learning_rates, one.entry.sweep.tuning_length) if one.entry else None
        for one in sets
    }
    if len(rates) == 1 and (common := rates.pop()) and len(common[0]) > 1:
        listed = ", ".join(f"{rate:g}" for rate in common[0])
        length = common[1] or sets[0].configuration.length
        notes.append(
            f"Learning rate of each: from {listed}, by validation in runs of {length:,} "
            f"{protocol.unit}."
        )
    for name, options in protocol.departures.items():
        listed = ", ".join(f"{key} {value}" for key, value in options.items())
        notes.append(f"Not the default {name}: {listed}.")
    if partial := {str(one.runs[0].record.data.protocol.get("partial") or "") for one in sets}:
        notes += [f"Data: {text}." for text in sorted(partial) if text]
    return (*notes, *_doubts(sets))


def _doubts(sets: Iterable[RunSet]) -> Iterator[str]:
    """Yield what the intervals are, and what they do not say."""
    sets = list(sets)
    counts = {len(one.runs) for one in sets}
    words = "Interval: 95%, from a bootstrap over seeds and test items"
    data = sets[0].runs[0].record.data
    source = _GROUPS.get(data.name, "group")
    groups = None if sets[0].groups is None else len(np.unique(sets[0].groups))
    if sets[0].drawn_groups is not None:
        words += f", of which those of one {source} are drawn together ({groups:,} groups)"
    few = max((count for count in counts if count <= _FEW), default=0)
    yield f"{words}; of {few} seeds too narrow where they differ much." if few > 1 else f"{words}."
    if 1 in counts:
        yield "Of one seed it says what other test items would do, not what other seeds would."
    if groups is not None and sets[0].drawn_groups is None:
        yield f"All test items are of {groups} {source}s: what others would do, it does not say."
    split = data.protocol.get("split")
    if isinstance(split, Mapping) and split.get("by") == "subject":
        people = len(split["test"])
        yield f"All test items are of {people} people: what others would do, it does not say."


def _schedule_note(sets: Sequence[RunSet], protocol: Protocol) -> str:
    full = _range([one.configuration.full_length for one in sets], protocol.unit)
    if protocol.schedule is None:
        assert protocol.fraction is not None
        own = "Each network trained as the papers print for it"
        if protocol.fraction == 1:
            return f"{own}, in full: {full}."
        kind = "shortened" if protocol.fraction < 1 else "lengthened"
        return f"{own}, {kind} to {_percent(protocol.fraction)} of their {full}."
    words = f"All trained alike: {protocol.length:,} {protocol.unit}, {in_words(protocol.schedule)}"
    if any(one.configuration.is_shortened for one in sets):
        return f"{words}. Shortened: the papers trained {full}."
    return f"{words}. As long as the papers' {full}, or longer."


def in_words(schedule: Schedule) -> str:
    """Return what a schedule does.

    Examples
    --------
    >>> in_words(Cosine(length=100)), in_words(LRD1(rate=0.09, decay_steps=9e4))
    ('cosine schedule', 'rate falling to 9% in 90,000')
    """
    if isinstance(schedule, Constant):
        return "constant rate"
    if isinstance(schedule, Cosine):
        return "cosine schedule"
    if isinstance(schedule, LRD1):
        return f"rate falling to {schedule.rate:.0%} in {schedule.decay_steps:,.0f}"
    parts = (
        f"{factor:g} from {milestone:,g}"
        for factor, milestone in zip(schedule.factors[1:], schedule.milestones, strict=True)
    )
    return ", ".join(["rate in steps: factor 1", *parts])


# Differences --------------------------------------------------------------------------------------


def reference_of(sets: Iterable[RunSet]) -> RunSet | None:
    """Return the Kronecker network of a table, or the hybrid where there is none."""
    for technique in _REFERENCES:
        for one in sets:
            if one.configuration.technique == technique:
                return one
    return None


def difference_table(sets: Sequence[RunSet], protocol: Protocol) -> GroupedTable:
    """Return how far the Kronecker network is ahead of each rival, on the same test items.

    Parameters
    ----------
    sets : sequence of RunSet
        Of `kplib.experiments.run_sets.protocols`, a Kronecker or hybrid network among them.
    protocol : Protocol
        Likewise.

    Returns
    -------
    GroupedTable
        Differences of mean accuracies in percentage points, above 0 where Kronecker is ahead, with
        their interval; and the difference of the papers' means.

    Raises
    ------
    ValueError
        If there is no such network.
    """
    reference = reference_of(sets)
    if reference is None:
        raise ValueError("there is no Kronecker and no hybrid network to compare the others with")
    rivals = [one for one in sets if one is not reference]
    name = name_of(reference)
    notes = [
        "Points of accuracy, above 0 where the network of the caption is ahead. Bold: the interval "
        "leaves 0 out.",
        *_doubts(sets),
    ]
    if len(rivals) > 1:
        notes.append(f"{len(rivals)} intervals are not corrected for being {len(rivals)}.")
    return GroupedTable(
        caption=f"{_title(protocol)}: {name} against the others, {training_in_short(protocol)}",
        heads=("Against", "Ours", "Interval", "Papers"),
        rows=tuple(_difference_row(reference, rival) for rival in rivals),
        notes=tuple(notes),
    )


def _difference_row(one: RunSet, rival: RunSet) -> Row:
    gain = difference(one, rival)
    right, rival_right = one.correct.mean(axis=0), rival.correct.mean(axis=0)
    only, only_rival = (right * (1 - rival_right)).sum(), ((1 - right) * rival_right).sum()
    mine, its = one.printed, rival.printed
    printed = _NONE
    if mine is not None and its is not None and None not in (mine.mean, its.mean):
        assert mine.mean is not None
        assert its.mean is not None
        printed = (signed(mine.mean - its.mean),)
    verdict = gain.verdict.capitalize()
    return Row(
        name=name_of(rival),
        details=(f"{_seeds(one)} against {len(rival.runs)}",),
        cells=((signed(gain.value),), _between(gain.low, gain.high, signed), printed),
        strong=(0,) if gain.excludes_zero else (),
        below=f"{verdict}. Of {len(right):,} test items, a pair of runs has {only:,.0f} right that "
        f"the rival has wrong, and {only_rival:,.0f} the other way round.",
    )


# Apart --------------------------------------------------------------------------------------------


def variants_table(sets: Iterable[RunSet]) -> GroupedTable:
    """Return what is not as in the papers, apart from what is compared with them.

    Parameters
    ----------
    sets : iterable of RunSet
        Of one benchmark; those without a variant are left out, and those in few bits.

    Returns
    -------
    GroupedTable

    Raises
    ------
    ValueError
        If there is no variant.
    """
    found = [one for one in sets if _is_variant(one)]
    if not found:
        raise ValueError("there is no variant")
    title = BENCHMARKS[found[0].configuration.benchmark].title
    return _apart(found, f"{title}: variants, which are not the papers' networks or trainings")


def task_table(sets: Iterable[RunSet]) -> GroupedTable:
    """Return the networks of a task of long memory, of which the papers print nothing.

    Parameters
    ----------
    sets : iterable of RunSet
        Of one of `TASKS`, at least one.

    Returns
    -------
    GroupedTable
        Accuracy, interval and size of each, a row a network.
    """
    found = list(sets)
    return _apart(found, f"{TASKS[found[0].configuration.benchmark].title}: test accuracy")


def _apart(sets: Sequence[RunSet], caption: str) -> GroupedTable:
    rows = []
    for one in sets:
        mine = one.configuration
        length = f"{mine.length:,} {mine.unit}, {in_words(mine.schedule)}"
        rows.append(
            Row(
                name=", ".join(filter(None, (name_of(one), mine.variant))),
                details=(length, _seeds(one)),
                cells=(_mean(one), _between(one.interval.low, one.interval.high),
                       (f"{one.kilobytes:.2f}",)),
                below=" ".join(_remarks(one, None)),
            )
        )  # fmt: skip
    return GroupedTable(
        caption=caption,
        heads=("Network", "Ours, %", "Interval", "KB"),
        rows=tuple(rows),
        notes=tuple(_doubts(sets)),
    )


def _is_variant(one: RunSet) -> bool:
    return bool(one.configuration.variant) and one.bits is None


def summary_table(sets: Iterable[RunSet], waiting: Iterable[str] = ()) -> GroupedTable:
    """Return every accuracy that the papers print, with ours beside it where there is one.

    Parameters
    ----------
    sets : iterable of RunSet
        Of any benchmarks. Of several for one network those of the plan count, of these the longest
        training, then the one with most seeds, then the one with the default data and start:
        nothing is chosen by its result.
    waiting : iterable of str
        Benchmarks that are planned and have no record: named at the foot.

    Returns
    -------
    GroupedTable
        Of the benchmarks that the sets are of, also the networks that were not trained.
    """
    ours: dict[tuple[str, str, str, int], RunSet] = {}
    for one in sets:
        if (row := one.printed) is None:
            continue
        place = (row.benchmark, row.technique, row.compression, row.layers)
        if place not in ours or _rank(one) > _rank(ours[place]):
            ours[place] = one
    benchmarks = {place[0] for place in ours}
    rows = [
        _summary_row(row, ours.get((row.benchmark, row.technique, row.compression, row.layers)))
        for row in papers.results()
        if row.benchmark in benchmarks
    ]
    notes = [
        "Means and standard deviations, or the best where the papers print no mean. Bold: their "
        "number is outside our 95% interval. No difference where our data are not theirs. Of "
        "several trainings in the recorded plan the longest is here, so rows of one benchmark can "
        "differ in length."
    ]
    if titles := [BENCHMARKS[name].title for name in sorted(waiting)]:
        notes.append(f"Planned, without a record: {', '.join(titles)}.")
    return GroupedTable(
        caption="The long paper's accuracies, and ours",
        heads=("Network", "Papers, %", "Ours, %", "Difference"),
        rows=tuple(rows),
        notes=tuple(notes),
    )


def _rank(one: RunSet) -> tuple[bool, int, int, bool]:
    mine = one.configuration
    default = not (mine.data_options or mine.initial_values)
    return one.entry is not None, mine.length, len(one.runs), default


def _summary_row(row: PaperResult, ours: RunSet | None) -> Row:
    name = f"{BENCHMARKS[row.benchmark].title}, {LABELS[row.technique]}"
    size = "" if row.compression in ("none", "maximum") else row.compression.replace("x", "×")
    layers = f"{row.layers} layers" if row.layers > 1 else ""
    details = tuple(filter(None, (size, layers, row.source)))
    if ours is None:
        cells = (_printed(row), _NONE, _NONE)
        return Row(name=name, details=details, cells=cells, below="Not trained.")
    printed = row.top if row.mean is None else row.mean
    mine, gain = ours.configuration, ours.interval.value - printed
    share = _percent(mine.length / mine.full_length)
    partial = ours.runs[0].record.data.protocol.get("partial")
    return Row(
        name=name,
        details=details,
        cells=(_printed(row), _mean(ours), _NONE if partial else (signed(gain),)),
        strong=() if partial or ours.interval.low <= printed <= ours.interval.high else (2,),
        below=f"{_seeds(ours).capitalize()}, {mine.length:,} {mine.unit}, {share} of the papers'."
        + (f" Data: {partial}." if partial else ""),
    )


# Words and numbers --------------------------------------------------------------------------------


def _title(protocol: Protocol) -> str:
    title = BENCHMARKS[protocol.benchmark].title
    return f"{title} at {protocol.compression}×" if protocol.compression else title


def training_in_short(protocol: Protocol) -> str:
    """Return how long the networks of a table were trained, and what else is not as usual.

    Examples
    --------
    >>> from kplib.experiments.run_sets import Protocol
    >>> training_in_short(Protocol(benchmark="usps-fastrnn", compression=None, unit="epochs",
    ...                            length=500, data_options="{}", initial_values='{"bias": 0.0}',
    ...                            data_sha256=""))
    '500 epochs, other start'
    """
    other = " and ".join(protocol.departures)
    return _length_in_short(protocol) + (f", other {other}" if other else "")


def _length_in_short(protocol: Protocol) -> str:
    if protocol.length is not None:
        return f"{protocol.length:,} {protocol.unit}"
    assert protocol.fraction is not None
    if protocol.fraction == 1:
        return "trained as in the papers"
    return f"{_percent(protocol.fraction)} of the papers' training"


def _sizes(one: RunSet) -> tuple[str, ...]:
    """Return the size, and the papers' where it is another."""
    ours = f"{one.kilobytes:.2f} KB"
    printed = ours if one.printed is None else f"{one.printed.kilobytes:.2f} KB"
    return (ours,) if printed == ours else (ours, f"papers {printed}")


def _seeds(one: RunSet) -> str:
    done, planned = len(one.runs), len(one.runs) + len(one.missing)
    if one.missing:
        return f"{done} of {planned} seeds"
    return f"{done} seed{'s' * (done > 1)}"


def _mean(one: RunSet) -> tuple[str, ...]:
    return _spread(one.accuracies)


def _spread(values: np.ndarray[tuple[int], np.dtype[np.float64]]) -> tuple[str, ...]:
    mean = f"{values.mean():.2f}"
    return (mean,) if len(values) == 1 else (mean, f"± {values.std(ddof=1):.2f}")


def _between(low: float, high: float, text: object = None) -> tuple[str, ...]:
    written = signed if text is signed else "{:.2f}".format
    return written(low), f"to {written(high)}"


def _printed(row: PaperResult | None) -> tuple[str, ...]:
    if row is None:
        return _NONE
    if row.mean is None:
        return (f"{row.top:.2f}", "best")
    return (f"{row.mean:.2f}",) if row.std is None else (f"{row.mean:.2f}", f"± {row.std:.2f}")


def _range(lengths: Iterable[int], unit: str) -> str:
    ends = sorted(set(lengths))
    return f"{ends[0]:,} {unit}" if len(ends) == 1 else f"{ends[0]:,} to {ends[-1]:,} {unit}"


def _percent(fraction: float) -> str:
    """Return a fraction in %, with two digits where it is small."""
    return f"{fraction:.0%}" if fraction >= 0.1 else f"{100 * fraction:.2g}%"


def _listed(numbers: Iterable[int]) -> str:
    return ", ".join(map(str, numbers))
