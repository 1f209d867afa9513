"""The commands ``kplib bench matvec`` and ``network``: run, print as it goes, leave a record."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Console

from kplib.bench import machine, report
from kplib.bench.matvec import (
    MIN_SECONDS,
    Table,
    cpp_table,
    gate_cases,
    python_table,
    random_tables,
    square_cases,
    targets,
)
from kplib.bench.native import NATIVE_PEERS
from kplib.bench.peers import PYTHON_PEERS, Case, Peer
from kplib.bench.record import record_path, write_json
from kplib.errors import ShapeError
from kplib.shapes import FactorShape, algorithm4

if TYPE_CHECKING:
    from kplib.bench.network import NetworkSpec, NetworkTable

_MATVEC_WIDTH, _NETWORK_WIDTH = 120, 140


@dataclass(frozen=True)
class Settings:
    """What was asked for: the options of the command, as they enter the record."""

    shapes: str
    seed: int
    rounds: int
    peers: str
    loader: str | None


def chosen_cases(shapes: str, seed: int, loader: str | None) -> list[Case]:
    """Return the cases that ``--shapes`` names; none for ``random``, which has its own tables.

    Parameters
    ----------
    shapes : str
        ``default``, ``squares``, ``random``, ``all``; ``40x68`` for Algorithm 4's factors of such
        a matrix; ``8x4,5x17`` for two factors.
    seed : int
        Of the numbers in the factors.
    loader : str or None
        Of kplib's kernels.

    Raises
    ------
    ShapeError
        If it is none of these, or if Algorithm 4 is undefined for the size.

    Examples
    --------
    >>> [str(case.shape) for case in chosen_cases("40x68", 0, None)]
    ['(8, 4) x (5, 17)']
    >>> chosen_cases("8x4,5x17", 0, None) == [Case("8x4,5x17", FactorShape(8, 4, 5, 17))]
    True
    """
    named = {
        "default": gate_cases,
        "squares": square_cases,
        "random": lambda *_: [],
        "all": lambda *given: gate_cases(*given) + square_cases(*given),
    }
    if shapes in named:
        return named[shapes](seed, loader)
    if not re.fullmatch(r"\d+x\d+(,\d+x\d+)?", shapes):
        raise ShapeError(
            f"--shapes is {shapes!r}, but must be one of {', '.join(named)}, "
            "or a size such as 40x68, or two factors such as 8x4,5x17"
        )
    sizes = [int(size) for size in re.findall(r"\d+", shapes)]
    shape = FactorShape(*sizes) if len(sizes) == 4 else algorithm4(*sizes)
    return [Case(shapes, shape, seed, loader)]


def matvec(
    cases: Sequence[Case],
    random: int,
    settings: Settings,
    json_path: Path | None,
    arguments: Sequence[str],
) -> None:
    """Run the benchmark: print every table when it is done, the targets at the end.

    Parameters
    ----------
    cases : sequence of Case
        Each gets a table from Python and one of the C++ loop.
    random : int
        Random shapes to time from Python; 0 for none.
    settings : Settings
        The other options.
    json_path : Path or None
        Where the record goes, if it is wanted.
    arguments : sequence of str
        Of the command, for the record.
    """
    console = _console(_MATVEC_WIDTH)
    progress = Console(stderr=True, highlight=False)
    provenance: dict[str, Any] = machine.provenance(arguments)
    _print_head(console, provenance)
    _print_conditions(console, provenance, settings.rounds, threads=1)
    tables: list[Table] = []
    for case in cases:
        for time_case, everyone in ((python_table, PYTHON_PEERS), (cpp_table, NATIVE_PEERS)):
            tables.append(time_case(case, _asked(everyone, settings.peers), settings.rounds))
            report.print_table(console, tables[-1])
    drawn = []
    if random:
        drawn = random_tables(
            random, settings.seed, settings.loader, settings.rounds, progress.print
        )
    for table in drawn:
        report.print_random(console, table)
    found = targets(tables, drawn)
    report.print_targets(console, found)
    if json_path is not None:
        options = asdict(settings) | {"random": random, "min_sample_seconds": MIN_SECONDS}
        provenance |= _afterwards()
        write_json(json_path, report.record(provenance, options, tables, drawn, found))
        console.print(f"record: {json_path}")


@dataclass(frozen=True)
class NetworkSettings:
    """What was asked for: the options of ``kplib bench network``, as they enter the record."""

    rounds: int
    threads: int
    seed: int
    torch_compile: bool
    memory: bool


def network(
    chosen: "Mapping[str, Sequence[NetworkSpec]]",
    settings: NetworkSettings,
    json_path: Path | None,
    arguments: Sequence[str],
) -> None:
    """Run the benchmark of whole networks: every table when it is done, the targets at the end.

    Parameters
    ----------
    chosen : mapping of str to sequence of NetworkSpec
        Networks by benchmark, from :func:`kplib.bench.network.chosen_specs`.
    settings : NetworkSettings
        The other options.
    json_path : Path or None
        Where the record goes, if it is wanted.
    arguments : sequence of str
        Of the command, for the record.
    """
    import torch

    from kplib.bench import network_report
    from kplib.bench.network import network_case, network_table, network_targets

    console, progress = _console(_NETWORK_WIDTH), Console(stderr=True, highlight=False)
    provenance: dict[str, Any] = machine.provenance(arguments)
    _print_head(console, provenance)
    _print_conditions(console, provenance, settings.rounds, settings.threads)
    tables: list[NetworkTable] = []
    before = torch.get_num_threads()
    try:
        for specs in chosen.values():
            cases = [
                network_case(spec, seed=settings.seed, threads=settings.threads) for spec in specs
            ]
            table = network_table(
                cases, settings.rounds, torch_compile=settings.torch_compile,
                memory=settings.memory, show=progress.print,
            )  # fmt: skip
            tables.append(table)
            network_report.print_network_table(console, table)
    finally:
        torch.set_num_threads(before)
    found = network_targets(tables)
    network_report.print_network_targets(console, found)
    if json_path is not None:
        networks = {name: [spec.label for spec in specs] for name, specs in chosen.items()}
        options = {"networks": networks, **asdict(settings), "min_sample_seconds": MIN_SECONDS}
        provenance |= _afterwards()
        write_json(json_path, network_report.record(provenance, options, tables, found))
        console.print(f"record: {json_path}")


def json_path(path: Path | None, benchmark: str) -> Path | None:
    """Return where the record of a benchmark on this machine goes, if it is wanted.

    Raises
    ------
    ValueError
        If it cannot be written there.
    """
    return None if path is None else record_path(path, f"{benchmark} {machine.machine()['cpu']}")


def _console(width: int) -> Console:
    """Return the console to print tables on: as wide as the terminal, or as they need."""
    console = Console(highlight=False, soft_wrap=False)
    return console if console.is_terminal else Console(highlight=False, width=width)


def _afterwards() -> dict[str, Any]:
    """Return what has changed: the peers have loaded what they need, and the load is another."""
    return {"libraries": machine.libraries(), "load_average_after": machine.load_average()}


def _asked(everyone: Sequence[Peer], which: str) -> list[Peer]:
    return [peer for peer in everyone if which == "all" or not peer.slow_import]


def _print_head(console: Console, provenance: dict[str, Any]) -> None:
    about, load = provenance["machine"], machine.load_average()
    console.print(
        f"{about['cpu']}, {about['architecture']}, {' '.join(about['vector_extensions'])}; "
        f"load average {load[0] if load else 'unknown'} on {about['cores']} cores"
    )
    for blas in provenance["libraries"]["blas"]:
        console.print(
            f"{blas['loaded_by']}: {blas['name']} {blas['version']}, kernels for {blas['kernels']}"
        )


def _print_conditions(
    console: Console, provenance: dict[str, Any], rounds: int, threads: int
) -> None:
    """Print how the works are timed, and a warning if others keep the machine busy."""
    count = "one thread" if threads == 1 else f"{threads} threads"
    console.print(
        f"float32, {count}, {rounds} rounds in turns, samples of at least "
        f"{MIN_SECONDS * 1e3:g} ms; medians, nothing subtracted\n"
    )
    load = machine.load_average()
    if load and load[0] > 0.5 * provenance["machine"]["cores"]:
        console.print(
            "[bold]The machine is busy: trust the ratios less, the times not at all.[/bold]\n"
        )
