"""The command ``kplib train``: one network, from a benchmark's name to a record."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from kplib._refusals import refused_in_one_line

if TYPE_CHECKING:
    from kplib.experiments.records import StoredRun

RESULTS = Path("book/results/runs")


def train(
    benchmark: Annotated[str, typer.Argument(metavar="BENCHMARK", help="Such as kws-lstm.")],
    technique: Annotated[
        str, typer.Argument(metavar="TECHNIQUE", help="baseline, small, pruned, lmf, kp or hkp.")
    ],
    seed: Annotated[int, typer.Option(min=0, help="Of weights, order and dropout.")] = 0,
    compression: Annotated[
        int | None, typer.Option(help="10 or 20, as the papers; the maximum, unless given.")
    ] = None,
    layers: Annotated[int | None, typer.Option(min=1, help="Recurrent layers.")] = None,
    variant: Annotated[
        str, typer.Option(help="What is not as in the papers, by name; an unknown one lists them.")
    ] = "",
    epochs: Annotated[
        int | None, typer.Option(min=1, help="Instead of the papers'; the schedule with it.")
    ] = None,
    steps: Annotated[
        int | None, typer.Option(min=1, help="The same, for the networks trained by steps.")
    ] = None,
    shorten: Annotated[
        float | None, typer.Option(help="Instead: a fraction of the papers' length, such as 0.1.")
    ] = None,
    learning_rate: Annotated[float | None, typer.Option(help="The initial one.")] = None,
    schedule: Annotated[
        Literal["papers", "kp", "constant", "cosine"],
        typer.Option(help="The papers' own, their Kronecker network's, or none of theirs."),
    ] = "papers",
    decay_steps: Annotated[
        float | None, typer.Option(help="Of LRD1, in steps of the papers' length: all, by default.")
    ] = None,
    max_norm_on: Annotated[
        Literal["gradients", "weights"], typer.Option(help="How the papers' max norm is read.")
    ] = "gradients",
    dropout_is: Annotated[
        Literal["kept", "dropped"], typer.Option(help="How the papers' dropout is read.")
    ] = "kept",
    bits: Annotated[
        int | None,
        typer.Option(min=2, max=8, help="Then round it to so many bits, and fine-tune that."),
    ] = None,
    device: Annotated[str, typer.Option(help="cpu, cuda.")] = "cpu",
    threads: Annotated[int, typer.Option(min=1, help="Of torch.")] = 1,
    keep_weights: Annotated[
        bool | None,
        typer.Option(help="With the record; by default all but those of baselines, seed 0 apart."),
    ] = None,
    checkpoint_seconds: Annotated[
        float, typer.Option(min=0, help="Between two checkpoints, at least.")
    ] = 60.0,
    folder: Annotated[Path, typer.Option(help="Of all records.")] = RESULTS,
) -> None:
    """Train one network as the papers did, and leave a record; with --bits, two more.

    Killed, it goes on where it was when it is called again; finished, it is not done again.
    """
    from kplib.bench.record import without_folders
    from kplib.experiments.batches import usable_device
    from kplib.experiments.few_bits import record_in_bits, rounded
    from kplib.experiments.tasks import load
    from kplib.experiments.variant_training import train as run
    from kplib.experiments.variants import configured

    if sum(option is not None for option in (epochs, steps, shorten)) > 1:
        raise typer.BadParameter("give one of --epochs, --steps and --shorten")
    with refused_in_one_line(OSError, ValueError):  # OSError: a full disk; what is on it stays
        configuration = configured(
            benchmark,
            technique,
            variant=variant,
            seed=seed,
            compression=compression,
            layers=layers,
            learning_rate=learning_rate,
            schedule=schedule,
            decay_steps=decay_steps,
            max_norm_on=max_norm_on,
            dropout_is=dropout_is,
        )
        wrong = {"epochs": steps, "steps": epochs}[configuration.unit]
        if wrong is not None:
            raise ValueError(f"{benchmark} is trained by {configuration.unit}: give --"
                             f"{configuration.unit}")  # fmt: skip
        if shorten is not None:
            configuration = configuration.shortened(shorten)
        if (length := epochs or steps) is not None:
            configuration = configuration.with_length(length)
        if bits is not None:
            rounded(configuration, bits)  # before the training: says so if that cannot be
            if keep_weights is False:
                raise ValueError(f"--bits {bits} needs the weights: leave out --no-keep-weights")
            keep_weights = True
        usable_device(device)  # before the data are loaded
        data = load(configuration.data, **configuration.data_options)
        options: dict[str, Any] = {
            "folder": folder,
            "device": device,
            "threads": threads,
            "checkpoint_seconds": checkpoint_seconds,
            "keep_weights": keep_weights,
            "command": without_folders(" ".join(["kplib", *sys.argv[1:]])),
        }
        found = [run(configuration, data, **options)]
        if bits is not None:
            found += record_in_bits(found[0], data, bits=bits, **options)
    for stored in found:
        _print(stored)


def _print(stored: StoredRun) -> None:
    """Say what came out of a run, and where its record is."""
    result, network = stored.record.result, stored.record.network
    chosen = result.validation_accuracy
    print(
        f"test accuracy {result.accuracy:.2f} %, macro-F1 {result.macro_f1:.2f} %, validation "
        f"{'none' if chosen is None else f'{chosen:.2f} %'} at step {result.chosen_at}; "
        f"{network.parameters} parameters, {network.kilobytes:.2f} KB"
    )
    if result.diverged_at is not None:
        print(f"diverged: the loss was not finite by step {result.diverged_at}")
    print(f"record: {stored.path}")
