"""The command ``kplib sweep``: all trainings of a plan, over local or distant workers."""

from __future__ import annotations

import os
import sys
from contextlib import nullcontext
from pathlib import Path
from typing import Annotated

import typer

from kplib.experiments.command import RESULTS

_NICENESS = 10


def sweep(
    plan: Annotated[
        Path | None, typer.Argument(metavar="[PLAN]", help="A TOML file; the recorded one's plan, unless given.")
    ] = None,
    scheduler: Annotated[
        str | None, typer.Option(help="Of a dask cluster whose workers have one thread each.")
    ] = None,
    workers: Annotated[int, typer.Option(min=1, help="Processes here, without a cluster.")] = 2,
    folder: Annotated[Path, typer.Option(help="Of all records; on a cluster, shared.")] = RESULTS,
    status: Annotated[bool, typer.Option("--status", help="How far it has come; run nothing.")] = False,
) -> None:
    """Train all networks of a plan: tune by validation, then score every seed on the test set once.

    What is done is skipped, what was killed is resumed. Status 1 if a run failed.
    """
    from kplib.experiments.plans import RECORDED_PLAN, read_plan

    try:
        chosen = read_plan(plan or RECORDED_PLAN)
        if status:
            from kplib.experiments.progress import status_table

            print(status_table(chosen, folder))
            return
    except ValueError as error:
        print(f"kplib: {error}", file=sys.stderr)
        raise typer.Exit(2) from None
    import distributed
    from filelock import FileLock, Timeout

    from kplib.bench.record import without_folders
    from kplib.experiments import sweeps

    setting = sweeps.Setting(
        folder=folder.resolve(), command=without_folders(" ".join(["kplib", *sys.argv[1:]]))
    )
    folder.mkdir(parents=True, exist_ok=True)
    ...
