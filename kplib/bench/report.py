"""What a matvec benchmark prints, and the record that it leaves."""

import math
from collections.abc import Sequence
from dataclasses import asdict

import numpy as np
from rich.console import Console
from rich.markup import escape
from rich.table import Table as Grid
from rich.text import Text

from kplib.bench.matvec import RANDOM_MAC_RATIO, RandomTable, Row, Table, Target
from kplib.bench.timing import Speedup, Timing
from kplib.shapes import FactorShape

_SETTINGS = {
    "python": "calls from Python",
    "cpp": "a loop in C++",
}


def duration(seconds: float) -> str:
    """Return a time per call with three digits and its unit.

    Examples
    --------
    >>> duration(2.84e-8), duration(5.95e-5), duration(0.00243)
    ('28.4 ns', '59.5 us', '2.43 ms')
    """
    for unit, size in (("s", 1.0), ("ms", 1e-3), ("us", 1e-6), ("ns", 1e-9)):
        if seconds >= size or unit == "ns":
            value = seconds / size
            digits = max(0, 2 - math.floor(math.log10(value))) if value > 0 else 0
            return f"{value:.{min(digits, 2)}f} {unit}"
    raise AssertionError("unreachable: nanoseconds take every time")


def print_table(console: Console, table: Table) -> None:
    """Print one case: every peer, slower and faster, then those left out and why."""
    shape = table.shape
    ratio = shape.m * shape.n / shape.macs
    title = (
        f"{table.case}: {shape.m} x {shape.n} = {shape}, {_SETTINGS[table.setting]} "
        f"({shape.macs:,} MACs, {ratio:.1f} times fewer than dense)"
    )
    grid = plain_grid("peer", "median", "p10 - p90", f"times {table.baseline}", title=title)
    if table.setting == "cpp":
        grid.add_column("of peak", justify="right")
    for row in table.rows:
        cells: list[Text | str] = [
            Text(f"{row.peer}, {row.note}" if row.note else row.peer),
            duration(row.timing.median),
            f"{duration(row.timing.p10)} - {duration(row.timing.p90)}",
            f"{row.speedup.median:.2f}" if row.speedup else "",
        ]
        if table.setting == "cpp":
            cells.append(f"{row.peak_fraction:.1%}" if row.peak_fraction else "")
        grid.add_row(*cells, style="bold" if row.peer == table.ours else None)
    console.print(grid)
    for name, reason in table.left_out.items():
        console.print(f"not timed: {escape(name)}: {escape(reason)}")
    for row, gain in table.losses:
        note = f" ({row.note})" if row.note else ""
        console.print(f"faster than {table.ours}: {escape(row.peer + note)}, {gain:.2f} times")
    for row in table.rows:
        if row.peer.startswith("kplib ") and row.speedup and row.speedup.median < 1:
            console.print(
                f"slower than {table.baseline}: {row.peer}, {row.speedup.median:.2f} times"
            )
    console.print()


def print_random(console: Console, table: RandomTable) -> None:
    """Print the speedups over many shapes: the spread, then every shape that loses."""
    console.print(
        f"[bold]{table.selection}[/bold], each with a MAC ratio above {RANDOM_MAC_RATIO:g}, "
        f"{sum(shape.rank == 1 for shape in table.shapes)} of rank 1; from Python, times np.dot"
    )
    if table.shapes:
        low, middle, high = np.percentile(table.speedups, [10, 50, 90])
        console.print(
            f"  {len(table.shapes)} timed: median {middle:.2f}, p10 {low:.2f}, p90 {high:.2f}, "
            f"slowest {table.speedups.min():.2f}, below 1: {len(table.below_one)}"
        )
    for shape, gain in table.below_one:
        console.print(f"  slower than np.dot: {shape}, {gain:.2f}")
    reasons: dict[str, list[str]] = {}
    for name, reason in table.left_out.items():
        reasons.setdefault(reason, []).append(name)
    for reason, names in reasons.items():
        console.print(f"  not timed, {escape(reason)}: {escape(', '.join(names))}")
    console.print()


def print_targets(console: Console, found: Sequence[Target]) -> None:
    """Print what was promised beside what was measured."""
    if not found:
        return
    grid = plain_grid("target", "wanted", "measured", "met", title="targets")
    for target in found:
        measured = "not measured" if target.measured is None else f"{target.measured:.2f}"
        style = None if target.met else "bold red"
        met = "yes" if target.met else "NO"
        grid.add_row(target.name, f">= {target.wanted:g}", measured, met, style=style)
    console.print(grid)


def plain_grid(*headers: str, title: str) -> Grid:
    """Return an empty table without lines; every column but the first is set to the right."""
    grid = Grid(title=Text(title, style="bold"), title_justify="left", box=None, pad_edge=False)
    for i, header in enumerate(headers):
        grid.add_column(Text(header), justify="right" if i else "left", no_wrap=True)
    return grid


def record(
    provenance: dict[str, object],
    settings: dict[str, object],
    tables: Sequence[Table],
    random: Sequence[RandomTable],
    found: Sequence[Target],
) -> dict[str, object]:
    """Return everything that was measured, in JSON's types.

    Parameters
    ----------
    provenance : dict
        From :func:`kplib.bench.machine.provenance`.
    settings : dict
        What was asked for: shapes, seed, rounds.
    tables, random, found
        What :mod:`kplib.bench.matvec` returned.

    Returns
    -------
    dict
        Times in nanoseconds per call; a ``speedup`` below 1 is a loss.
    """
    return {
        "benchmark": "matvec",
        "format": 1,
        **provenance,
        "settings": settings,
        "targets": [asdict(target) | {"met": target.met} for target in found],
        "tables": [_table(table) for table in tables],
        "random": [_random(table) for table in random],
    }


def significant(value: float | None, digits: int = 4) -> float | None:
    """Return the value with as many significant digits as a timing is good for.

    Examples
    --------
    >>> significant(0.123456)
    0.1235
    """
    return None if value is None else float(f"{value:.{digits}g}")


def _shape(shape: FactorShape) -> dict[str, object]:
    return asdict(shape) | {"macs": shape.macs, "dense_macs": shape.m * shape.n}


def timing_record(timing: Timing) -> dict[str, object]:
    """Return median, p10 and p90 in nanoseconds per call."""
    values = {"median": timing.median, "p10": timing.p10, "p90": timing.p90}
    return {name: significant(1e9 * value) for name, value in values.items()}


def speedup_record(gain: Speedup | None) -> dict[str, object] | None:
    """Return its numbers by name; None for none."""
    if gain is None:
        return None
    return {name: significant(value) for name, value in asdict(gain).items()}


def _row(row: Row) -> dict[str, object]:
    return {
        "peer": row.peer,
        "note": row.note,
        "how": row.how,
        "macs": row.macs,
        "nanoseconds": timing_record(row.timing),
        "rounds": len(row.timing.seconds),
        "calls_per_sample": row.timing.loops,
        "speedup": speedup_record(row.speedup),
        "fraction_of_peak": significant(row.peak_fraction),
        "relative_error": significant(row.relative_error),
    }


def _table(table: Table) -> dict[str, object]:
    return {
        "case": table.case,
        "shape": _shape(table.shape),
        "setting": table.setting,
        "baseline": table.baseline,
        "rows": [_row(row) for row in table.rows],
        "left_out": dict(table.left_out),
        "faster_than_ours": [row.peer for row, _ in table.losses],
    }


def _random(table: RandomTable) -> dict[str, object]:
    timed = zip(table.shapes, table.baseline, table.ours, table.speedups, strict=True)
    return {
        "selection": table.selection,
        "mac_ratio_above": RANDOM_MAC_RATIO,
        "left_out": dict(table.left_out),
        "shapes": [
            _shape(shape)
            | {
                "np_dot_nanoseconds": significant(1e9 * baseline.median),
                "nanoseconds": significant(1e9 * ours.median),
                "speedup": significant(float(gain)),
            }
            for shape, baseline, ours, gain in timed
        ],
    }
