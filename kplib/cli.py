"""The ``kplib`` command."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import kplib
from kplib._refusals import print_refusal, refused_in_one_line
from kplib.errors import (
    BufferLayoutError,
    DataError,
    DtypeError,
    MissingExtraError,
    ShapeError,
)

if TYPE_CHECKING:
    from kplib.nn import Classifier

try:  # the annotations below are strings until typer reads them, so the module imports without it
    import typer
except ImportError:
    if TYPE_CHECKING:
        raise
    typer = None

_USER_ERRORS = (ShapeError, DtypeError, BufferLayoutError, DataError, MissingExtraError)
# What the subcommands import only when they are called.
_EXTRA_OF = {
    "torch": "nn", "safetensors": "nn",
    "pooch": "data", "requests": "data", "sklearn": "data", "soundfile": "data", "librosa": "data",
    "distributed": "sweep", "dask": "sweep", "filelock": "sweep",
    "threadpoolctl": "bench", "rich": "bench",
}  # fmt: skip


def main() -> None:
    """Run the command; end with status 2 and one line on stderr where the user can mend it."""
    try:
        if typer is None:
            raise MissingExtraError("typer", "bench")
        build_app()()
    except _USER_ERRORS as error:
        print_refusal(error)
        sys.exit(2)
    except ModuleNotFoundError as error:
        extra = _EXTRA_OF.get((error.name or "").partition(".")[0])
        if extra is None:
            raise
        print_refusal(MissingExtraError(error.name or "", extra))
        sys.exit(2)


def build_app() -> typer.Typer:
    """Return the command with its subcommands."""
    from kplib.bench.board.command import board
    from kplib.bench.devices.command import devices
    from kplib.experiments.command import train as train_network
    from kplib.experiments.report_command import report
    from kplib.experiments.sweep_command import sweep

    app = typer.Typer(
        name="kplib",
        help="Kronecker products for recurrent networks.",
        no_args_is_help=True,
        add_completion=False,
        pretty_exceptions_enable=False,
    )
    bench = typer.Typer(help="Benchmarks, timed in turns.", no_args_is_help=True)
    app.callback()(_root)
    app.command("shapes")(shapes)
    app.command("export")(export)
    app.add_typer(bench, name="bench")
    data = typer.Typer(help="The data sets.", no_args_is_help=True)
    app.add_typer(data, name="data")
    data.command("list")(list_data)
    data.command("fetch")(fetch_data)
    data.command("verify")(verify_data)
    bench.callback()(_group)  # so that one command below it is still called by its name
    bench.command("matvec")(matvec)
    bench.command("network")(network)
    bench.command("train")(train)
    bench.command("devices")(devices)
    bench.command("arm")(arm)
    app.command("train")(train_network)
    app.command("sweep")(sweep)
    app.command("report")(report)
    app.command("board")(board)
    return app


def _version(wanted: bool) -> None:
    if wanted:
        print(f"kplib {kplib.__version__}")
        raise typer.Exit


def _root(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print it, and end.")
    ] = False,
) -> None:
    pass


def _group() -> None:
    pass


def shapes(
    m: Annotated[int, typer.Argument(metavar="M", help="Rows: a gate's hidden size.")],
    n: Annotated[int, typer.Argument(metavar="N", help="Columns: input size + hidden size.")],
    front: Annotated[bool, typer.Option("--front", help="The Pareto front only.")] = False,
) -> None:
    """List the Kronecker factor shapes of an M x N matrix, the fewest parameters first.

    Marked are the paper's choice (Algorithm 4) and the Pareto front: the shapes that no other one
    beats in parameters, rank bound and multiply-accumulates.
    """
    best = kplib.pareto_front(m, n)
    note, chosen = "", None
    try:
        chosen = kplib.algorithm4(m, n)
    except ShapeError as error:
        note = str(error)
    headers = ("A", "B", "params", "compression", "MACs", "fewer MACs", "rank <=", "")
    rows = [
        (
            str(shape.a_shape),
            str(shape.b_shape),
            f"{shape.params:,}",
            f"{shape.compression:.1f}x",
            f"{shape.macs:,}",
            f"{m * n / shape.macs:.1f}x",
            f"{shape.rank}",
            ", ".join(["Algorithm 4"] * (shape == chosen) + ["Pareto front"] * (shape in best)),
        )
        for shape in (best if front else kplib.factor_shapes(m, n))
    ]
    widths = [max(map(len, column)) for column in zip(headers, *rows, strict=True)]
    for row in (headers, *rows):
        cells = (cell.rjust(width) for cell, width in zip(row[:-1], widths[:-1], strict=True))
        print("  ".join([*cells, row[-1]]).rstrip())
    if note:
        print(f"\nNote: {note}")


def list_data() -> None:
    """List the data sets: their files, where they are, licence and citation."""
    from kplib.data import command

    command.list_sets()


def fetch_data(
    names: Annotated[
        list[str] | None, typer.Argument(metavar="[NAME]...", help="All, unless given.")
    ] = None,
    edition: Annotated[str | None, typer.Option(help="Of one data set, such as v0.02.")] = None,
) -> None:
    """Download what is not here to the cache folder, and check what is.

    Of a data set with several editions, the one that is here whole, else the first with a public
    address. A download that broke off goes on from where it ended.
    """
    from kplib.data import command

    if not command.fetch(names, edition):
        raise typer.Exit(1)


def verify_data(
    names: Annotated[
        list[str] | None, typer.Argument(metavar="[NAME]...", help="All, unless given.")
    ] = None,
    edition: Annotated[str | None, typer.Option(help="Of one data set, such as v0.02.")] = None,
) -> None:
    """Compare the files that are here with the published sizes and hashes; download nothing.

    Status 1 if a file is wrong, or if a data set has no edition that is whole.
    """
    from kplib.data import command

    if not command.verify(names, edition):
        raise typer.Exit(1)


def export(
    network: Annotated[
        list[str],
        typer.Argument(
            metavar="NETWORK",
            help="A record of `kplib train` or `kplib sweep` (its .json); or a benchmark and a "
            "technique, such as usps-fastrnn kp.",
        ),
    ],
    path: Annotated[Path, typer.Argument(help="build/usps writes build/usps.h and build/usps.c.")],
    weights: Annotated[
        Literal["float32", "int8"], typer.Option(help="How the constants are stored.")
    ] = "float32",
    state: Annotated[
        Path | None,
        typer.Option(help="Without a record: the trained state_dict, a .safetensors file."),
    ] = None,
    seed: Annotated[
        int | None, typer.Option(min=0, help="Without a record: of weights that are not trained.")
    ] = None,
    compression: Annotated[int | None, typer.Option(help="As of kplib.build.")] = None,
    layers: Annotated[int | None, typer.Option(help="As of kplib.build.")] = None,
    name: Annotated[
        str | None, typer.Option(help="With which the C names begin; by default the file's.")
    ] = None,
) -> None:
    """Write a trained network as a C header and source for a microcontroller.

    It is the network of a record, or one of the papers' tables with a state_dict of your own.
    """
    from kplib.engine.export import export_c

    with refused_in_one_line():
        model = _network(network, state, seed, compression, layers)
        written = export_c(model, path, weights=weights, name=name)
    print(
        f"{written.header} and {written.source}: {written.weight_bytes:,} bytes of constants, "
        f"{written.state_bytes:,} bytes of RAM"
    )


def _network(
    words: list[str],
    state: Path | None,
    seed: int | None,
    compression: int | None,
    layers: int | None,
) -> Classifier:
    """Return what is to be exported: the network of a record, or of a benchmark and technique."""
    if len(words) == 1 and words[0].endswith(".json"):
        from kplib.experiments.trained import load_trained

        options = {"state": state, "seed": seed, "compression": compression, "layers": layers}
        given = [f"--{name}" for name, value in options.items() if value is not None]
        if given:
            raise ValueError(f"a record says what its network is: leave out {', '.join(given)}")
        return load_trained(words[0])
    if len(words) != 2:
        raise ValueError(
            f"name a record (.json), or a benchmark and a technique, before the path to write to; "
            f"found {' '.join(words)}"
        )
    if (state is None) == (seed is None):
        raise ValueError("name either --state or --seed: trained weights, or random ones")
    from kplib.engine.export import load_state

    model = kplib.build(*words, compression=compression, layers=layers, seed=seed)
    if state is not None:
        load_state(model, state)
    return model


def matvec(
    shapes: Annotated[
        str,
        typer.Option(
            help="default (the papers' gates), squares, random, all; or one of your own: 40x68 "
            "(with Algorithm 4's factors) or 8x4,5x17."
        ),
    ] = "default",
    random: Annotated[int, typer.Option(min=1, help="How many random shapes.")] = 200,
    seed: Annotated[int, typer.Option(min=0, help="Of the shapes and the numbers.")] = 0,
    rounds: Annotated[int, typer.Option(min=1, help="Timed samples of each peer.")] = 25,
    peers: Annotated[
        Literal["all", "fast"],
        typer.Option(help="fast: without those that are slow to import or to build."),
    ] = "all",
    loader: Annotated[
        Literal["cppyy", "compiler"] | None,
        typer.Option(help="What compiles kplib's kernels; the first that works unless given."),
    ] = None,
    json: Annotated[
        Path | None, typer.Option(help="Write the record there; in a folder, under its own name.")
    ] = None,
) -> None:
    """Time a Kronecker matrix-vector product against its peers, from Python and in a C++ loop.

    Every peer's result is checked against float64 first. Peers take turns, in one thread; medians
    over the rounds. Losses are in the tables too, and peers that are not there are named.
    """
    from kplib.bench import command
    from kplib.kernels import loaders

    with refused_in_one_line():
        cases = command.chosen_cases(shapes, seed, loader)
        loaders.choose(loader)  # before anything is timed: a table without kplib says nothing
        json_path = command.json_path(json, "matvec")
    command.matvec(
        cases=cases,
        random=random if shapes in ("random", "all") else 0,
        settings=command.Settings(shapes, seed, rounds, peers, loader),
        json_path=json_path,
        arguments=sys.argv[1:],
    )


def network(
    benchmarks: Annotated[
        list[str] | None, typer.Argument(metavar="[BENCHMARK]...", help="All, unless given.")
    ] = None,
    technique: Annotated[
        list[str] | None,
        typer.Option(help="kp, hkp, lmf, pruned or small, beside the baseline; may be repeated."),
    ] = None,
    rounds: Annotated[int, typer.Option(min=1, help="Timed samples of each entry.")] = 25,
    threads: Annotated[int, typer.Option(min=1, help="Of the runtimes; C++ loops have one.")] = 1,
    seed: Annotated[int, typer.Option(min=0, help="Of the weights and the sequence.")] = 0,
    torch_compile: Annotated[
        bool, typer.Option("--torch-compile", help="Wait for torch.compile too: minutes.")
    ] = False,
    memory: Annotated[
        bool, typer.Option("--memory", help="Measure peaks too, a process each: minutes.")
    ] = False,
    json: Annotated[
        Path | None, typer.Option(help="Write the record there; in a folder, under its own name.")
    ] = None,
) -> None:
    """Time whole networks, one sequence at batch 1, compiled by kplib and run by its peers.

    Every peer's logits are checked against float64 first. Peers take turns; medians over the
    rounds. Losses are in the tables too, and peers that are not there are named.
    """
    from kplib.bench import command
    from kplib.bench.network import chosen_specs

    with refused_in_one_line():
        chosen = chosen_specs(benchmarks, technique)
        json_path = command.json_path(json, "network")
    settings = command.NetworkSettings(rounds, threads, seed, torch_compile, memory)
    command.network(chosen, settings, json_path, sys.argv[1:])


def train(
    benchmarks: Annotated[
        list[str] | None, typer.Argument(metavar="[BENCHMARK]...", help="All, unless given.")
    ] = None,
    rounds: Annotated[int, typer.Option(min=1, help="Timed samples of each peer.")] = 15,
    threads: Annotated[int, typer.Option(min=1, help="Of torch.")] = 2,
    device: Annotated[str, typer.Option(help="Where it is trained: cpu, cuda.")] = "cpu",
    json: Annotated[
        Path | None, typer.Option(help="Write the record there; in a folder, under its own name.")
    ] = None,
) -> None:
    """Time one training step of the papers' networks, Kronecker against dense.

    Forward, backward and Adam, with the papers' batches; peers take turns, medians over the
    rounds. Ratios above 1 are losses, and stay in the table.
    """
    from kplib.bench import command, training
    from kplib.experiments.batches import usable_device

    with refused_in_one_line():
        cases = training.chosen_cases(benchmarks)
        usable_device(device)
        json_path = command.json_path(json, "training")
    training.run(cases, rounds, threads, device, json_path, sys.argv[1:])


def arm(
    benchmarks: Annotated[
        list[str] | None, typer.Argument(metavar="[BENCHMARK]...", help="All, unless given.")
    ] = None,
    caches: Annotated[
        bool, typer.Option("--caches", help="Model a Kirin 960's caches in valgrind too: minutes.")
    ] = False,
    json: Annotated[
        Path | None, typer.Option(help="Write the record there; in a folder, under its own name.")
    ] = None,
) -> None:
    """Compile everything for aarch64, check it against x86, count and model it: no board, no times.

    Results in qemu are compared bit for bit; instructions are counted one by one in Unicorn; cycles
    are those of LLVM's Cortex-A57 model; speed-ups are predictions, beside the papers' measured.
    """
    from kplib.bench.arm import command
    from kplib.bench.arm.toolchain import MissingToolError

    with refused_in_one_line(ValueError, MissingToolError):
        command.arm(benchmarks, caches, json, sys.argv[1:])
