"""The command ``kplib bench devices``."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from kplib._refusals import refused_in_one_line

RUNS = Path("book/results/runs")


def devices(
    benchmarks: Annotated[
        list[str] | None,
        typer.Argument(metavar="[BENCHMARK]...", help="usps-fastrnn, mnist-lstm; both by default."),
    ] = None,
    technique: Annotated[
        list[str] | None,
        typer.Option(help="baseline, small, pruned, lmf or kp; may be repeated."),
    ] = None,
    device: Annotated[
        list[str] | None,
        typer.Option(help="cortex-m3, cortex-m4f, cortex-m55, arduino-uno; may be repeated."),
    ] = None,
    examples: Annotated[int, typer.Option(min=1, help="Images of the test set.")] = 100,
    random: Annotated[
        bool, typer.Option("--random", help="Random numbers instead of the test set.")
    ] = False,
    runs: Annotated[Path, typer.Option(help="Of the trained networks' records.")] = RUNS,
    json: Annotated[
        Path | None, typer.Option(help="Write the record there; in a folder, as devices.json.")
    ] = None,
) -> None:
    """Link exported networks into 32 KB of flash and 2 KB of RAM, and run them in emulators.

    Flash, RAM with the stack, instructions (Cortex-M) or cycles (Arduino Uno) of an inference, and
    whether the device says the digit that this computer says. No times: an emulator has none.
    """
    from rich.console import Console

    from kplib.bench import machine
    from kplib.bench.devices import report
    from kplib.bench.devices.cases import chosen_cases
    from kplib.bench.devices.devices import chosen_devices
    from kplib.bench.devices.measure import measure_all
    from kplib.bench.record import record_path, write_json

    console = Console(highlight=False, soft_wrap=False)
    if not console.is_terminal:
        console = Console(highlight=False, width=160)
    progress = Console(stderr=True, highlight=False)
    provenance = machine.provenance(sys.argv[1:])
    with refused_in_one_line():
        path = None if json is None else record_path(json, "devices")
        chosen = chosen_devices(device)
        cases = chosen_cases(benchmarks, technique, examples, runs, random=random)
        found = measure_all(cases, chosen, ("float32", "int8"), progress.print)
    for each in chosen:
        report.print_table(console, each, found)
    if path is not None:
        settings: dict[str, object] = {
            "examples": examples,
            "images": "random numbers" if random else "the first of the test set",
        }
        write_json(path, report.record(provenance, settings, found))
        console.print(f"record: {path}")
