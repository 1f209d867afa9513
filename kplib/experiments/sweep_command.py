"""The command ``kplib sweep``: all trainings of a plan, over local or distant workers."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from kplib._atomic import require_writable
from kplib._refusals import print_refusal, refused_in_one_line
from kplib.experiments.command import RESULTS

if TYPE_CHECKING:
    from kplib.experiments.plans import Plan

_NICENESS = 10


def sweep(
    plan: Annotated[
        Path | None,
        typer.Argument(metavar="[PLAN]", help="A TOML file; that of the records, unless given."),
    ] = None,
    scheduler: Annotated[
        str | None, typer.Option(help="Of a dask cluster whose workers have one thread each.")
    ] = None,
    workers: Annotated[int, typer.Option(min=1, help="Processes here, without a cluster.")] = 2,
    folder: Annotated[Path, typer.Option(help="Of all records; on a cluster, shared.")] = RESULTS,
    status: Annotated[bool, typer.Option("--status", help="Only say how far it has come.")] = False,
) -> None:
    """Train all networks of a plan: tune by validation, then score every seed on the test set once.

    What is done is skipped, what was killed is resumed. Status 1 if a run failed.
    """
    from kplib.experiments.plans import RECORDED_PLAN, read_plan
    from kplib.experiments.progress import status_table

    with refused_in_one_line():
        chosen = read_plan(plan or RECORDED_PLAN)
        table = status_table(chosen, folder)  # before all else: it reads what records there are
    if status:
        print(table)
        return
    with refused_in_one_line():
        failed = _run(chosen, folder, scheduler, workers)
    print(status_table(chosen, folder))
    if failed:
        print_refusal(f"{failed} runs failed; the lines above say why")
        raise typer.Exit(1)


def _run(plan: Plan, folder: Path, scheduler: str | None, workers: int) -> int:
    """Run a plan here or on a cluster; return how many runs failed."""
    from distributed import Client
    from filelock import FileLock, Timeout

    from kplib.bench.record import without_folders
    from kplib.experiments import sweeps

    command = without_folders(" ".join(["kplib", *sys.argv[1:]]))
    setting = sweeps.Setting(folder=folder.resolve(), command=command)
    lock = folder / ".sweep.lock"
    require_writable(lock)
    try:
        with FileLock(lock, timeout=0):
            if scheduler is None and hasattr(os, "nice"):
                os.nice(_NICENESS)  # the workers inherit it
            with Client(scheduler) if scheduler else sweeps.local_client(workers) as client:
                failed = sweeps.sweep(plan, client, setting, _print_now)
    except Timeout:
        raise ValueError(f"{folder}: another sweep is writing its records there") from None
    except OSError as error:
        if scheduler is None:
            raise
        raise ValueError(f"no dask scheduler at {scheduler}: {error}") from None
    return len(failed)


def _print_now(line: str) -> None:
    print(line, flush=True)
