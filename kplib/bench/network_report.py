"""What a network benchmark prints, and the record that it leaves."""

from collections.abc import Sequence
from dataclasses import asdict

from rich.console import Console
from rich.markup import escape
from rich.text import Text

from kplib.bench.network import Entry, NetworkRow, NetworkTable, NetworkTarget
from kplib.bench.network_peers import OURS
from kplib.bench.report import duration, plain_grid, significant, speedup_record, timing_record

__all__ = ["print_network_table", "print_network_targets", "record"]

_SHOWN_LOSSES = 12


def _bytes(count: int | None) -> str:
    """Return bytes as KB of 1024, as the papers do; nothing where they are not known."""
    return "" if count is None else f"{count / 1024:,.1f}"


def _title(peer: str, network: str, note: str = "") -> str:
    return f"{network}: {peer}{f' ({note})' if note else ''}"


def print_network_table(console: Console, table: NetworkTable) -> None:
    """Print one benchmark: every network and peer, then those left out, then what beats kplib."""
    memory = any(row.peak_bytes is not None for row in table.rows)
    columns = [
        "network: peer",
        "median",
        "p10 - p90",
        "times ORT",
        "MACs",
        "weights KB",
        "state KB",
    ]
    title = f"{table.benchmark}: one sequence of {table.steps} steps, batch 1"
    grid = plain_grid(*columns, *["peak KB"] * memory, title=title)
    network = None
    for row in table.rows:
        if network not in (None, row.network):
            grid.add_section()
        network = row.network
        grid.add_row(
            Text(_title(row.peer, row.network, row.note)),
            duration(row.timing.median),
            f"{duration(row.timing.p10)} - {duration(row.timing.p90)}",
            f"{row.speedup.median:.2f}" if row.speedup else "",
            f"{row.macs:,}",
            _bytes(row.weight_bytes),
            _bytes(row.state_bytes),
            *[_bytes(row.peak_bytes)] * memory,
            style="bold" if row.peer == OURS else None,
        )
    console.print(grid)
    _print_left_out(console, table)
    _print_losses(console, table)
    console.print()


def _print_left_out(console: Console, table: NetworkTable) -> None:
    """Print who was not timed and why; networks with the same peer and reason in one line."""
    together: dict[tuple[str, str], list[str]] = {}
    for (peer, network), reason in table.left_out.items():
        together.setdefault((peer, reason), []).append(network)
    for (peer, reason), networks in together.items():
        line = f"not timed: {peer} ({'; '.join(networks)}): {reason}"
        console.print(escape(line))


def _print_losses(console: Console, table: NetworkTable) -> None:
    ours, losses = f"{OURS}, kp", table.losses
    for row, gain in losses[:_SHOWN_LOSSES]:
        console.print(
            f"faster than {ours}: {escape(_title(row.peer, row.network))}, {gain:.2f} times"
        )
    if len(losses) > _SHOWN_LOSSES:
        console.print(f"and {len(losses) - _SHOWN_LOSSES} more are faster than {ours}")
    for row in table.rows:
        if row.peer != OURS:
            continue
        for other in table.rows:
            if (
                other.network == row.network
                and not other.peer.startswith(OURS)
                and other.timing.median < row.timing.median
            ):
                gain = row.timing.median / other.timing.median
                console.print(
                    f"{row.network}: {escape(other.peer)} is {gain:.2f} times as fast as {OURS}"
                )


def print_network_targets(console: Console, found: Sequence[NetworkTarget]) -> None:
    """Print what was promised beside what was measured, and how the MACs compare."""
    if not found:
        return
    grid = plain_grid("target", "wanted", "measured", "MACs", "met", title="targets")
    for target in found:
        sign = ">=" if target.goal.sense == "faster" else "<="
        grid.add_row(
            target.goal.name,
            f"{sign} {target.goal.wanted:g}",
            "not measured" if target.measured is None else f"{target.measured:.2f}",
            "" if target.mac_ratio is None else f"{target.mac_ratio:.2g}",
            "yes" if target.met else "NO",
            style=None if target.met else "bold red",
        )
    console.print(grid)
    console.print(
        ">= how many times as fast; <= how many times as long; MACs: those of the first over those "
        "of the second"
    )


def record(
    provenance: dict[str, object],
    settings: dict[str, object],
    tables: Sequence[NetworkTable],
    found: Sequence[NetworkTarget],
) -> dict[str, object]:
    """Return everything that was measured, in JSON's types.

    Parameters
    ----------
    provenance : dict
        From :func:`kplib.bench.machine.provenance`.
    settings : dict
        What was asked for.
    tables, found
        What :mod:`kplib.bench.network` returned.

    Returns
    -------
    dict
        Times in nanoseconds a sequence; a ``speedup`` below 1 is a loss.

    Examples
    --------
    >>> record({"date": "today"}, {"rounds": 3}, [], [])["benchmark"]
    'network'
    """
    return {
        "benchmark": "network",
        "format": 1,
        **provenance,
        "settings": settings,
        "targets": [_target(target) for target in found],
        "tables": [_table(table) for table in tables],
    }


def _entry(entry: Entry) -> dict[str, str]:
    peer, network = entry
    return {"peer": peer, "network": network}


def _target(target: NetworkTarget) -> dict[str, object]:
    goal = target.goal
    return {
        "name": goal.name,
        "benchmark": goal.benchmark,
        "entry": _entry(goal.entry),
        "over": _entry(goal.over),
        "sense": goal.sense,
        "wanted": goal.wanted,
        "measured": significant(target.measured),
        "mac_ratio": significant(target.mac_ratio),
        "met": target.met,
    }


def _row(row: NetworkRow) -> dict[str, object]:
    values = asdict(row)
    del values["timing"]  # a number a round
    return {
        **values,
        "nanoseconds": timing_record(row.timing),
        "rounds": len(row.timing.seconds),
        "calls_per_sample": row.timing.loops,
        "speedup": speedup_record(row.speedup),
        "relative_error": significant(row.relative_error),
    }


def _table(table: NetworkTable) -> dict[str, object]:
    return {
        "benchmark": table.benchmark,
        "steps": table.steps,
        "rows": [_row(row) for row in table.rows],
        "left_out": [
            _entry(entry) | {"reason": reason} for entry, reason in table.left_out.items()
        ],
        "faster_than_ours": [_entry((row.peer, row.network)) for row, _ in table.losses],
    }
