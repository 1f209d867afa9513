"""The table "eight bits": what rounding costs, what fine-tuning gives back; from records alone.

The table of a network that was trained on noise for two epochs, with two seeds:

>>> import tempfile
>>> from pathlib import Path
>>> import numpy as np
>>> from kplib.data.sets import DataSet, Sequences
>>> from kplib.experiments.configuration import default_configuration
>>> from kplib.experiments.few_bits import record_in_bits
>>> from kplib.experiments.run_sets import protocols, run_sets
>>> from kplib.experiments.training import train
>>> rng = np.random.default_rng(0)
>>> part = Sequences(rng.normal(size=(20, 16, 16)).astype(np.float32), np.arange(20) % 10)
>>> data = DataSet("usps", tuple("0123456789"), part, part, part)
>>> folder = tempfile.TemporaryDirectory()
>>> for seed in (0, 1):
...     setting = default_configuration("usps-fastrnn", "kp", seed=seed).with_length(2)
...     records = record_in_bits(train(setting, data, folder=folder.name), data, folder=folder.name)
>>> (kp,) = in_bits(run_sets(Path(folder.name)))
>>> isinstance(kp, InBits) and kp.bits == 8 and kp.rounding.low <= kp.rounding.value
True
>>> (table,) = bits_tables(run_sets(Path(folder.name)))
>>> len(table.rows)
1
>>> ((protocol, _),) = protocols([kp.trained]).items()
>>> bits_table([kp], protocol).rows == table.rows
True
>>> folder.cleanup()
"""

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property

from kplib.experiments import papers
from kplib.experiments.benchmarks import BENCHMARKS
from kplib.experiments.bootstrap import Interval, paired_interval
from kplib.experiments.build import build
from kplib.experiments.few_bits import SOURCE, rounded, source_of
from kplib.experiments.grouped_table import GroupedTable, Row
from kplib.experiments.printed import EightBits
from kplib.experiments.quantization import QuantizedSize, quantized_size
from kplib.experiments.records import StoredRun
from kplib.experiments.report_words import name_of, signed
from kplib.experiments.run_sets import Protocol, RunSet, protocols
from kplib.nn.quantized import quantize
from kplib.nn.structures import SparseWeight

__all__ = ["MOST_LOST", "InBits", "bits_table", "bits_tables", "in_bits"]

MOST_LOST = 0.3
"""Points of accuracy that eight bits may cost: this project's goal."""

_WORDS = {4: "four", 6: "six", 8: "eight"}


@dataclass(frozen=True)
class InBits:
    """A trained network and what was made of it in few bits, seed by seed.

    Parameters
    ----------
    trained, rounded, tuned : RunSet
        Of the same seeds: those of which there is each.
    seeds_in_all : int
        Of the trained network; there are more where not all weights were kept.
    """

    trained: RunSet
    rounded: RunSet
    tuned: RunSet
    seeds_in_all: int

    @property
    def bits(self) -> int:
        """From 2 to 8."""
        bits = self.tuned.bits
        assert bits is not None
        return bits

    @cached_property
    def rounding(self) -> Interval:
        """By how many points of accuracy rounding changes a network: below 0 is a loss."""
        return self._against_trained(self.rounded)

    @cached_property
    def tuning(self) -> Interval:
        """By how many it is changed after fine-tuning, from the network in float32."""
        return self._against_trained(self.tuned)

    def _against_trained(self, other: RunSet) -> Interval:
        return paired_interval(
            other.correct, self.trained.correct, groups=self.trained.drawn_groups
        )

    @cached_property
    def size(self) -> QuantizedSize:
        """In this many bits; the scales are those of one for each stored matrix."""
        mine = self.trained.configuration
        model = build(
            mine.benchmark,
            mine.technique,
            compression=mine.compression,
            layers=mine.layers,
            seed=0,
        )
        for module in model.modules():
            if isinstance(module, SparseWeight):
                module.prune_to()  # it is built with all its weights
        return quantized_size(quantize(model, self.bits))

    @property
    def printed(self) -> EightBits | None:
        """The papers' row, of 8 bits at their maximum compression; None where they have none."""
        mine = self.trained.configuration
        known = {row.benchmark for row in papers.eight_bits()}
        if self.bits != 8 or self.trained.printed is None or mine.benchmark not in known:
            return None
        rows = papers.eight_bits(mine.benchmark)
        wanted = mine.technique if mine.compression is None else None
        return next((row for row in rows if row.technique == wanted), None)


def in_bits(sets: Iterable[RunSet]) -> list[InBits]:
    """Return the trained networks of which there are records in few bits, with these.

    Parameters
    ----------
    sets : iterable of RunSet
        Of `kplib.experiments.run_sets.run_sets`.

    Returns
    -------
    list of InBits
        In the order of the trained networks; the fewest bits first. Of several fine-tunings of one
        network it is the longest.

    Raises
    ------
    ValueError
        If a record was made of another one than the one that is there now.
    """
    sets = list(sets)
    found = []
    for one in sets:
        made = [other for other in sets if other.bits is not None and _is_made_of(other, one)]
        for bits in sorted({other.bits for other in made if other.bits is not None}):
            name = rounded(one.configuration, bits).variant
            exact = [o for o in made if o.configuration.variant == name]
            again = [o for o in made if o.configuration.variant.startswith(f"{name}-")]
            if not exact or not again:
                continue
            parts = one, exact[0], max(again, key=lambda other: other.configuration.length)
            seeds = set.intersection(*(set(part.seeds) for part in parts))
            if seeds:
                found.append(_checked([_only(part, seeds) for part in parts], len(one.runs)))
    return found


def bits_tables(sets: Iterable[RunSet]) -> list[GroupedTable]:
    """Return a table for each protocol, and each number of bits that there are records of.

    Parameters
    ----------
    sets : iterable of RunSet
        Of one benchmark.
    """
    sets = list(sets)
    found = in_bits(sets)
    counts = sorted({each.bits for each in found}, reverse=True)
    groups = [
        (protocol, [each for each in found if each.bits == bits and _place(each.trained) in places])
        for protocol, group in protocols(sets).items()
        for places in [set(map(_place, group))]
        for bits in counts
    ]
    return [bits_table(group, protocol) for protocol, group in groups if group]


def bits_table(found: Iterable[InBits], protocol: Protocol) -> GroupedTable:
    """Return accuracies in float32, rounded, and fine-tuned, with what that loses.

    Parameters
    ----------
    found : iterable of InBits
        Of one protocol and one number of bits; at least one.
    protocol : Protocol
        Of `kplib.experiments.run_sets.protocols`.

    Returns
    -------
    GroupedTable
        Means over the same seeds; the papers' L table 7 beside them where it has the benchmark.

    Raises
    ------
    ValueError
        If there is none.
    """
    found = list(found)
    if not found:
        raise ValueError("there is no network in few bits")
    bits = found[0].bits
    beside = any(each.printed for each in found)
    heads = ("Network", "float32", "Rounded", "Tuned") + ("Papers",) * beside
    return GroupedTable(
        caption=f"{_title(protocol)} in {_WORDS.get(bits, bits)} bits: test accuracy, %",
        heads=heads,
        rows=tuple(_row(each, beside) for each in found),
        notes=_notes(found, beside),
    )


def _title(protocol: Protocol) -> str:
    words = [BENCHMARKS[protocol.benchmark].title]
    words += [f"at {protocol.compression}×"] if protocol.compression else []
    how = [f"{protocol.length:,} {protocol.unit}"] if protocol.length else []
    how += [f"other {' and '.join(protocol.departures)}"] if protocol.departures else []
    return " ".join([*words, f"({', '.join(how)})"] if how else words)


def _row(each: InBits, beside: bool) -> Row:
    size, tuning, printed = each.size, each.tuning, each.printed
    cells = [
        (f"{each.trained.accuracies.mean():.2f}",),
        _with_change(each.rounded.accuracies.mean(), each.rounding.value),
        _with_change(each.tuned.accuracies.mean(), tuning.value),
    ]
    if beside:
        cells.append(
            ("–",)
            if printed is None
            else _with_change(printed.top_8, printed.top_8 - printed.top_32)
        )
    below = [
        f"Tuned, the change is {signed(tuning.low)} to {signed(tuning.high)}: {_verdict(tuning)}."
    ]
    if size.index_bytes:
        below.append(f"Of its KB, {size.index_bytes / 1024:.2f} are the places of its non-zeros.")
    if printed is not None:
        below.append(f"In the papers {printed.top_32:.2f} in float32.")
    return Row(
        name=name_of(each.trained),
        details=(*_sizes(each), _seeds(each)),
        cells=tuple(cells),
        strong=() if tuning.value >= -MOST_LOST else (2,),
        below=" ".join(below),
    )


def _verdict(change: Interval) -> str:
    where = "within" if change.value >= -MOST_LOST else "beyond"
    doubt = ", but not for certain" if change.low < -MOST_LOST <= change.high else ""
    return f"{where} the goal{doubt}"


def _with_change(accuracy: float, change: float) -> tuple[str, ...]:
    return f"{accuracy:.2f}", signed(change)


def _sizes(each: InBits) -> tuple[str, ...]:
    """Return what a device keeps, and the papers' count where they print one."""
    size, printed = each.size, each.printed
    sizes = (f"{size.kilobytes:.2f} KB",)
    if printed is None:
        return sizes
    counted = f"{size.printed_kilobytes:.2f} as the papers count"
    return (*sizes, f"{counted}, who print {printed.kilobytes_8:.2f}")


def _seeds(each: InBits) -> str:
    done = len(each.tuned.runs)
    if done < each.seeds_in_all:
        return f"{done} of {each.seeds_in_all} seeds"
    return f"{done} seed{'s' * (done > 1)}"


def _notes(found: list[InBits], beside: bool) -> tuple[str, ...]:
    notes = [
        "KB with everything that a device keeps: integers, their scales, the places of non-zeros, "
        "and the head in float32.",
        "Rounded: the trained network, and nothing else. Tuned: trained on with rounded weights, "
        f"for {_shares(found)}, and chosen by validation. More training might change a network in "
        "float32, too.",
        "Below each: the change from float32, over the same seeds and test items; its interval "
        f"95%, from a bootstrap. The goal: to lose at most {MOST_LOST:g} points.",
    ]
    if any(len(each.tuned.runs) < each.seeds_in_all for each in found):
        notes.append(
            "Of the other seeds there are no records in few bits, or no weights were kept."
        )
    if beside:
        notes.append("Papers: L table 7, the best of their trainings.")
    return tuple(notes)


def _shares(found: list[InBits]) -> str:
    """Return for how long, and from which rate on, all were fine-tuned."""
    pairs = [(each.tuned.configuration, each.trained.configuration) for each in found]
    lengths = {f"{mine.length / its.length:.0%}" for mine, its in pairs}
    rates = {f"{mine.learning_rate / its.learning_rate:.0%}" for mine, its in pairs}
    length, rate = (" or ".join(sorted(shares)) for shares in (lengths, rates))
    return f"{length} of its training's length from {rate} of its rate"


def _place(one: RunSet) -> tuple[str, str]:
    return one.configuration.key, one.runs[0].record.data.sha256


def _is_made_of(other: RunSet, one: RunSet) -> bool:
    """Return whether a set in few bits names another set as what it was made of."""
    data = other.runs[0].record.data.sha256
    return (other.configuration.variant_options.get(SOURCE), data) == _place(one)


def _only(one: RunSet, seeds: set[int]) -> RunSet:
    runs = tuple(run for run in one.runs if run.record.configuration.seed in seeds)
    return RunSet(runs, one.entry)


def _checked(parts: list[RunSet], seeds_in_all: int) -> InBits:
    """Put them together, if each record in few bits was made of the trained one beside it."""
    trained, first, second = parts
    for run, *made in zip(trained.runs, first.runs, second.runs, strict=True):
        for each in made:
            _check_source(each, run)
    return InBits(trained, first, second, seeds_in_all)


def _check_source(run: StoredRun, trained: StoredRun) -> None:
    found = run.record.sources.get(SOURCE)
    if found != source_of(trained):
        raise ValueError(
            f"{run.path}: was made of {found}, not of {source_of(trained)}; delete it to begin anew"
        )
