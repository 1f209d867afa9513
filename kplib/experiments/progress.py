"""How far a sweep has come, read from its files: for a sweep that runs, or was cut, or is done."""

import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from kplib.experiments.checkpoint import read_checkpoint
from kplib.experiments.configuration import Configuration
from kplib.experiments.plans import Entry, Plan, chosen_rate, tuning_folder
from kplib.experiments.records import Record, read, record_path
from kplib.experiments.training import checkpoint_path

__all__ = ["Progress", "progress", "status_table"]


@dataclass(frozen=True, kw_only=True)
class Progress:
    """How far the runs of an entry have come.

    Parameters
    ----------
    entry : Entry
    rate : float, optional
        That all final runs have or will have; None until it is chosen.
    tuned : tuple of Record
        Of the runs that choose.
    done : tuple of Record
        Of the final ones.
    in_bits : tuple of Record
        Of those that were fine-tuned in few bits, where the plan says so.
    begun : int
        Runs with a checkpoint and no record: under way, or interrupted.
    seconds_left : float, optional
        Of one worker, from the seconds that an epoch or step of this entry took so far; None if
        none of it has been trained yet.
    """

    entry: Entry
    rate: float | None
    tuned: tuple[Record, ...]
    done: tuple[Record, ...]
    in_bits: tuple[Record, ...]
    begun: int
    seconds_left: float | None

    @property
    def at_the_edge(self) -> bool:
        """Whether the chosen rate is the lowest or the highest: a better one may lie beyond."""
        rates = self.entry.sweep.learning_rates
        return len(rates) > 1 and self.rate in (min(rates), max(rates))


def progress(entry: Entry, folder: Path) -> Progress:
    """Return how far the runs of an entry have come.

    Parameters
    ----------
    entry : Entry
    folder : Path
        Of all records.

    Raises
    ------
    ValueError
        If a file in the place of a record or a checkpoint is none.
    """
    seeds, tuning = entry.sweep.seeds, entry.tuning
    tuned = _records(tuning, tuning_folder(folder))
    rate, begun = None, _seconds_begun(tuning, tuning_folder(folder))
    done: tuple[Record, ...] = ()
    in_bits: tuple[Record, ...] = ()
    if len(tuned) == len(tuning):
        final = [entry.final(seed, chosen_rate(entry, folder)) for seed in seeds]
        rate, done = final[0].learning_rate, _records(final, folder)
        fine_tuned = _fine_tuned(entry, final)
        in_bits = _records(fine_tuned, folder)
        begun += _seconds_begun(final + fine_tuned, folder)
    trained = sum(record.configuration.length for record in tuned + done + in_bits)
    spent = sum(record.circumstances.seconds for record in tuned + done + in_bits)
    runs = [entry.final(seed) for seed in seeds]
    planned = sum(run.length for run in (*tuning, *runs, *_fine_tuned(entry, runs)))
    left = None
    if trained == planned:
        left = 0.0
    elif trained:
        left = max(0.0, spent / trained * (planned - trained) - sum(begun))
    return Progress(
        entry=entry, rate=rate, tuned=tuned, done=done, in_bits=in_bits, begun=len(begun),
        seconds_left=left,
    )  # fmt: skip


def _fine_tuned(entry: Entry, final: Sequence[Configuration]) -> list[Configuration]:
    """Return the trainings in few bits that follow; rounding alone takes no time."""
    return [run for each in final for run in entry.in_bits(each)[1:]]


def _records(runs: Sequence[Configuration], folder: Path) -> tuple[Record, ...]:
    paths = (record_path(folder, run) for run in runs)
    return tuple(read(path).record for path in paths if path.exists())


def _seconds_begun(runs: Sequence[Configuration], folder: Path) -> list[float]:
    """Return what each run that has begun and is not done has taken until its checkpoint."""
    seconds = []
    for run in runs:
        path = checkpoint_path(folder, run)
        if path.exists() and not record_path(folder, run).exists():
            try:
                seconds.append(float(read_checkpoint(path)[1]["course"]["seconds"]))
            except (KeyError, TypeError):
                raise ValueError(f"{path}: is no checkpoint of a training") from None
    return seconds


# The table ----------------------------------------------------------------------------------------

_HEADERS = (
    "network", "length", "rate", "tuned", "done", "begun", "left", "test %", "sd", "time left",
)  # fmt: skip


def status_table(plan: Plan, folder: Path) -> str:
    """Return a table of how far a plan has come, one line an entry, and what is left in all.

    Parameters
    ----------
    plan : Plan
    folder : Path
        Of all records.

    Returns
    -------
    str
        A rate with a * is the lowest or highest that there was to choose from. A test accuracy
        is the mean over the seeds that are done, sd their standard deviation.
    """
    found = [progress(entry, folder) for entry in plan.entries]
    rows = [_HEADERS, *map(_row, found)]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = []
    for name, *cells in rows:
        right = (cell.rjust(width) for cell, width in zip(cells, widths[1:], strict=True))
        lines.append("  ".join([name.ljust(widths[0]), *right]).rstrip())
    known = [item.seconds_left for item in found if item.seconds_left is not None]
    unknown = len(found) - len(known)
    lines.append(
        f"left: {sum(known) / 3600:.1f} core-hours"
        + (f", and {unknown} entries that nothing is known of yet" if unknown else "")
    )
    lines += [_line_of_bits(item) for item in found if item.entry.sweep.bits]
    diverged = [record for item in found for record in item.tuned + item.done
                if record.result.diverged_at is not None]  # fmt: skip
    lines += [
        f"diverged: {record.configuration.path} at {record.configuration.learning_rate:g} "
        f"({record.configuration.scored_on}), step {record.result.diverged_at}"
        for record in diverged
    ]
    return "\n".join(lines)


def _row(item: Progress) -> tuple[str, ...]:
    entry, accuracies = item.entry, [record.result.accuracy for record in item.done]
    final = entry.final(entry.sweep.seeds[0])
    runs = len(entry.tuning) + len(entry.sweep.seeds)
    rate = "" if item.rate is None else f"{item.rate:g}" + "*" * item.at_the_edge
    return (
        entry.name,
        f"{final.length} {final.unit}",
        rate,
        f"{len(item.tuned)}/{len(entry.tuning)}",
        f"{len(item.done)}/{len(entry.sweep.seeds)}",
        str(item.begun),
        str(runs - len(item.tuned) - len(item.done) - item.begun),
        f"{statistics.mean(accuracies):.2f}" if accuracies else "",
        f"{statistics.stdev(accuracies):.2f}" if len(accuracies) > 1 else "",
        "?" if item.seconds_left is None else _duration(item.seconds_left),
    )


def _line_of_bits(item: Progress) -> str:
    entry = item.entry
    planned = len(_fine_tuned(entry, [entry.final(seed) for seed in entry.sweep.seeds]))
    return f"in {entry.sweep.bits} bits: {entry.name} {len(item.in_bits)}/{planned}"


def _duration(seconds: float) -> str:
    """Return it in the unit that suits it.

    Examples
    --------
    >>> _duration(50), _duration(600), _duration(9000)
    ('50 s', '10 min', '2.5 h')
    """
    if seconds < 100:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 6000 else f"{seconds / 3600:.1f} h"
