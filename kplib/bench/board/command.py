"""The command ``kplib board``: time this board, check a record, or write the bundle."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from kplib._refusals import refused_in_one_line

if TYPE_CHECKING:
    from kplib.bench.board.procedure import Procedure
    from kplib.bench.board.works import Work
    from kplib.bench.network import NetworkSpec


def board(
    benchmarks: Annotated[
        list[str] | None,
        typer.Argument(metavar="[BENCHMARK]...", help="All, unless given; a record needs all."),
    ] = None,
    technique: Annotated[
        list[str] | None,
        typer.Option(help="kp, hkp, lmf, pruned or small, beside the baseline; may be repeated."),
    ] = None,
    loader: Annotated[
        Literal["cppyy", "compiler"] | None,
        typer.Option(help="What compiles the C++; the first that works here, unless given."),
    ] = None,
    label: Annotated[
        str,
        typer.Option(help='What this is, if it is no board: "server core". It is recorded as one.'),
    ] = "",
    cpu: Annotated[int, typer.Option(help="The core to run on; the fastest, unless given.")] = -1,
    rounds: Annotated[int, typer.Option(min=1, help="Samples of each; a record needs 101.")] = 101,
    seed: Annotated[int, typer.Option(min=0, help="Of weights and inputs.")] = 0,
    json: Annotated[
        Path, typer.Option(help="Where the record goes; in a folder, under its own name.")
    ] = Path("."),
    submit_check: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Only say whether this record can be published."),
    ] = None,
    bundle: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR", help="Only write the C++ that does the same on a board with a shell."
        ),
    ] = None,
) -> None:
    """Time every kernel and every compiled network on this Arm board, and write one record.

    An emulator, a virtual machine or another architecture is refused. The record says what the
    board is, how it was set up, and what compiled the code; a file of book/results/boards/ appears
    in the book.
    """
    with refused_in_one_line(ValueError, OSError):
        if submit_check is not None:
            check(submit_check)
        elif bundle is not None:
            from kplib.bench.board.bundle import write_bundle

            write_bundle(bundle, benchmarks, technique, seed=seed)
            print(f"{bundle}: make, copy kplib-board to the board, run it there > record.json")
        else:
            from kplib.bench.network import chosen_specs

            chosen = chosen_specs(benchmarks, technique)
            settings = Settings(loader, label, cpu, rounds, seed)
            path = run(chosen, settings, json, sys.argv[1:])
            print(f"record: {path}")


def check(path: Path) -> None:
    """Print that a record can be published; raise ValueError with the reasons if it cannot."""
    from kplib.bench.board.results import load

    found = load(path)
    print(f"{path.name}: a {found.kind}, {found.model}, {found.core}; it can be published")


@dataclass(frozen=True)
class Settings:
    """What was asked for: the options of ``kplib board``."""

    loader: str | None = None
    label: str = ""
    cpu: int = -1
    rounds: int = 101
    seed: int = 0


def run(
    chosen: Mapping[str, Sequence[NetworkSpec]],
    settings: Settings,
    json_path: Path,
    arguments: Sequence[str],
) -> Path:
    """Time what there is to time, and write the record.

    Parameters
    ----------
    chosen : mapping of str to sequence of NetworkSpec
        From `kplib.bench.network.chosen_specs`; the gates' products come with them.
    settings : Settings
    json_path : Path
        Of the record; a folder means its own name in there.
    arguments : sequence of str
        Of the command, for the record.

    Returns
    -------
    Path
        Of the record.

    Raises
    ------
    ValueError
        If this machine is no board and has no label, if nothing here compiles C++, or if the
        record cannot be written.
    """
    from kplib.bench.board import checks
    from kplib.bench.board.procedure import Procedure
    from kplib.bench.board.record import record
    from kplib.bench.record import record_path, write_json
    from kplib.kernels import loaders

    _require_board(settings)
    loader = loaders.choose(settings.loader).name
    machine = checks.look(cpu=settings.cpu, pin=True)
    path = record_path(json_path, _name(machine))
    before = checks.conditions(machine)
    for warning in before["warnings"]:
        print(f"kplib: warning: {warning}", file=sys.stderr)
    procedure = Procedure(rounds=settings.rounds)
    entries: list[dict[str, Any]] = []
    left_out: list[dict[str, str]] = []
    for benchmark, specs in chosen.items():
        for group in _groups(benchmark, specs, settings.seed, loader, left_out):
            entries += _timed(group, machine["cpu"], procedure)
    conditions = {"before": before, "after": checks.conditions(machine)}
    made = record(
        settings.label, machine, conditions, procedure, loader, entries, left_out, arguments
    )
    write_json(path, made)
    return path


def _require_board(settings: Settings) -> None:
    """Raise ValueError unless this is a board, or has a label."""
    from kplib.bench.board import checks
    from kplib.bench.peers import Unavailable

    try:
        machine = checks.look(cpu=settings.cpu)
    except Unavailable as reason:
        raise ValueError(f"the procedure is C++, and has to be compiled: {reason}") from None
    if machine["found"] != "board" and not settings.label:
        raise ValueError(checks.refusal(machine))


def _groups(
    benchmark: str,
    specs: Sequence[NetworkSpec],
    seed: int,
    loader: str,
    left_out: list[dict[str, str]],
) -> Iterator[list[Work]]:
    """Yield what is timed in turns: a benchmark's products, its networks.

    What cannot be timed, or gives a wrong result, goes to `left_out`.
    """
    from kplib.bench.board import works
    from kplib.bench.peers import TOLERANCE

    def missing(kind: str, name: str, reason: str) -> dict[str, str]:
        return {"kind": kind, "benchmark": benchmark, "name": name, "reason": reason}

    for group in (
        works.kernels([benchmark], seed=seed, loader=loader),
        works.networks({benchmark: specs}, seed=seed, loader=loader),
    ):
        right = []
        for found in group:
            if not isinstance(found, works.Work):
                spec, reason = found
                left_out.append(missing("network", spec.label, reason))
            elif (error := found.error()) > TOLERANCE:
                reason = f"wrong result: relative error {error:.1e}"
                left_out.append(missing(found.kind, found.name, reason))
            else:
                right.append(found)
        yield right


def _timed(group: list[Work], cpu: int, procedure: Procedure) -> list[dict[str, Any]]:
    """Return the entries of works that take turns; print a line of each."""
    from kplib.bench.board.procedure import measure

    entries = measure(group, cpu, procedure)
    for entry in entries:
        times = entry["nanoseconds"]
        print(
            f"{entry['benchmark']:14} {entry['kind']:8} {entry['name']:20} "
            f"{times['median'] / 1e3:12.3f} us  (p90 {times['p90'] / 1e3:.3f})"
        )
    return entries


def _name(machine: dict[str, Any]) -> str:
    """Return what the machine's record is called in a folder."""
    core = next(core["core"] for core in machine["cores"] if core["cpu"] == machine["cpu"])
    return f"{machine['model'] or machine['found']} {core}"
