"""The command ``kplib report``: every table of the results, from the records."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

import typer

from kplib._refusals import refused_in_one_line
from kplib.experiments.command import RESULTS


def report(
    benchmark: Annotated[
        str | None, typer.Argument(metavar="[BENCHMARK]", help="Such as kws-lstm; all, by default.")
    ] = None,
    folder: Annotated[Path, typer.Option(help="Of all records.")] = RESULTS,
    plan: Annotated[
        Path | None,
        typer.Option(
            help="A TOML file that says which seeds there are to be; that of the book's "
            "records, unless given."
        ),
    ] = None,
    matrices: Annotated[
        bool, typer.Option(help="Also what the papers claim of trained matrices; takes longer.")
    ] = True,
) -> None:
    """Print every table of the results: ours beside the papers', with seeds and intervals.

    Nothing is trained, and no data set is needed.
    """  # fmt: skip
    with refused_in_one_line():
        texts = list(_texts(benchmark, folder, plan, matrices))
    print("\n\n".join(texts))


def _texts(benchmark: str | None, folder: Path, plan: Path | None, matrices: bool) -> Iterator[str]:
    """Yield the tables as text, those of trainings first."""
    from kplib.experiments.benchmarks import benchmark as known_benchmark
    from kplib.experiments.plans import RECORDED_PLAN, read_plan
    from kplib.experiments.report import tables

    if benchmark is not None:
        known_benchmark(benchmark)  # says which there are
    found = tables(folder, benchmark, read_plan(plan or RECORDED_PLAN))
    if not found:
        of = f" of {benchmark}" if benchmark else ""
        raise ValueError(f"{folder} has no record{of}")
    yield from map(str, found)
    if matrices:
        yield from _claims(folder, benchmark)


def _claims(folder: Path, benchmark: str | None) -> Iterator[str]:
    """Yield what the papers say of the trained matrices, checked on those with recorded weights."""
    from kplib.experiments.analysis import analyze_run
    from kplib.experiments.benchmarks import BENCHMARKS
    from kplib.experiments.claims import check_claims, claims_table
    from kplib.experiments.records import iterate

    runs = (
        run
        for name in BENCHMARKS
        if benchmark in (None, name)
        for run in iterate(folder, name)
        if not run.record.configuration.variant
    )
    networks = [analyze_run(run) for run in runs if run.weights]
    if networks:
        checks = [check for check in check_claims(networks) if check.values or check.reason]
        caption = f"What the papers claim of trained matrices, on {len(networks)} networks"
        yield str(claims_table(checks, caption=caption))
