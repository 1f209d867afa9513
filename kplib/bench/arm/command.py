"""The command ``kplib bench arm``: gather the evidence, print it, leave a record."""

import tempfile
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console
from rich.table import Table

from kplib.bench import machine
from kplib.bench.arm.cases import all_cases
from kplib.bench.arm.evidence import Evidence, as_record, gather
from kplib.bench.arm.model import TITLE
from kplib.bench.arm.roofline import cores, papers_core
from kplib.bench.arm.toolchain import AARCH64
from kplib.bench.network import BENCHMARK_NAMES, chosen_specs
from kplib.bench.record import record_path, write_json

_WIDTH = 150


def arm(
    benchmarks: Sequence[str] | None,
    caches: bool,
    json_path: Path | None,
    arguments: Sequence[str],
) -> None:
    """Gather the evidence of some benchmarks, print it, and write the record.

    Parameters
    ----------
    benchmarks : sequence of str or None
        Of the papers; all if None or empty.
    caches : bool
        Model caches too.
    json_path : Path or None
        Where the record goes; a folder means its own name in there.
    arguments : sequence of str
        Of the command, for the record.

    Raises
    ------
    ValueError
        If there is no such benchmark, or if the record cannot be written.
    MissingToolError
        If a tool of the system is missing.
    """
    chosen_specs(list(benchmarks or []) or None, None)  # names those that there are
    if json_path is not None:
        json_path = record_path(json_path, f"aarch64 {AARCH64.version()}")
    console, progress = Console(highlight=False, width=_WIDTH), Console(stderr=True)
    cases = all_cases(benchmarks or BENCHMARK_NAMES)
    with tempfile.TemporaryDirectory(prefix="kplib-arm-") as folder:
        evidence = gather(cases, Path(folder), progress.print, caches=caches)
    print_evidence(console, evidence)
    if json_path is not None:
        write_json(json_path, as_record(evidence, machine.provenance(arguments)))
        console.print(f"record: {json_path}")


def print_evidence(console: Console, evidence: Evidence) -> None:
    """Print what was checked, counted, modelled and predicted, each under its own name."""
    versions = evidence.versions
    console.print(
        f"{versions['compiler']} {versions['flags']}, aarch64. Nothing here is timed: no board.\n"
        f"Checked in qemu: unfused, the bits of x86; fused, the error against float64.\n"
        f"Counted in Unicorn {versions['unicorn']}: one call. Modelled: {versions['model']}, no "
        f"caches; without and with waiting for results.\n"
    )
    for network in (False, True):
        console.print(_cases_table(evidence, network=network))
    if evidence.misses:
        console.print(_caches_table(evidence))
    console.print(_calibration_table(evidence))
    console.print(_cores_table())
    console.print(_predictions_table(evidence))


def _table(title: str, *columns: str) -> Table:
    table = Table(title=title, title_justify="left", title_style="bold", box=None)
    for k, name in enumerate(columns):
        table.add_column(name, justify="right" if k else "left", no_wrap=True)
    return table


def _cases_table(evidence: Evidence, *, network: bool) -> Table:
    table = _table(
        "Whole networks, one sequence" if network else "Products of one gate",
        "", "MACs", "instructions", "fmla", "fmadd", "a MAC", "bits of x86", "error",
        "A57 model, cycles", "A73 roof, cycles",
    )  # fmt: skip
    (a73,) = (core for core in cores() if core.name == "Cortex-A73")
    for case in evidence.cases:
        if case.network != network:
            continue
        counts, modelled = evidence.counts[case.name], evidence.modelled[case.name]
        agreement = evidence.agreement[case.name]
        table.add_row(
            case.name, f"{case.macs:,}", f"{counts.instructions:,}", f"{counts.fmla:,}",
            f"{counts.fmadd:,}", f"{counts.instructions / case.macs:.2f}",
            "yes" if agreement.bit_for_bit else "NO", f"{agreement.relative_error:.0e}",
            f"{modelled.throughput:,.0f}-{modelled.chained:,.0f}",
            f"{a73.fewest_cycles(counts):,.0f}",
        )  # fmt: skip
    return table


def _caches_table(evidence: Evidence) -> Table:
    table = _table(
        "\nCache lines that a call misses, of 64 KiB and 2 MiB (x86 code, Arm's tiles; cachegrind)",
        "", "bytes of weights", "first cache", "last cache",
    )  # fmt: skip
    for name, misses in evidence.misses.items():
        bytes_of_weights = evidence.counts[name].weight_bytes
        table.add_row(name, f"{bytes_of_weights:,}", f"{misses.first:,.0f}", f"{misses.last:,.0f}")
    return table


def _calibration_table(evidence: Evidence) -> Table:
    table = _table(
        f"\n{TITLE} against a Cortex-A73: cycles of an instruction",
        "", "modelled", "measured", "modelled / measured",
    )  # fmt: skip
    for each in evidence.calibration:
        table.add_row(each.name, f"{each.modelled}", f"{each.measured}", f"{each.ratio:.2f}")
    return table


def _cores_table() -> Table:
    table = _table(
        "\nPeaks of one core, float32, from published logs",
        "", "GHz", "flop/cycle", "GFLOP/s", "measured", "board",
    )  # fmt: skip
    for core in [*cores(), papers_core()]:
        measured = "derived" if core.gflops is None else f"{core.gflops:.1f}"
        table.add_row(
            core.name, f"{core.clock_ghz}", f"{core.flops_per_cycle}", f"{core.peak_gflops:.1f}",
            measured, core.board,
        )  # fmt: skip
    return table


def _predictions_table(evidence: Evidence) -> Table:
    table = _table(
        "\nPredicted: times as fast as the dense network, Kronecker",
        "", "predicted", "by fmla", "by instructions", "by the A57 model", "papers, measured",
    )  # fmt: skip
    for each in evidence.predictions:
        measured = each.measured_by_papers
        table.add_row(
            f"{each.benchmark}, kp{', 2 layers' * (each.layers == 2)}",
            f"{each.least:.1f}-{each.most:.1f}",
            f"{each.by_fmla:.1f}", f"{each.by_instructions:.1f}",
            " to ".join(f"{ratio:.1f}" for ratio in sorted(each.by_model)),
            "-" if measured is None else f"{measured:.2f}",
        )  # fmt: skip
    return table
