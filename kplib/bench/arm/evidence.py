"""All that can be found out without a board, for some of the papers' benchmarks."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np

from kplib.bench.arm import model
from kplib.bench.arm.caches import GEOMETRY, Misses, cache_misses
from kplib.bench.arm.cases import ArmCase
from kplib.bench.arm.counting import Counts, count
from kplib.bench.arm.model import Calibration, Modelled
from kplib.bench.arm.prediction import Prediction, predictions
from kplib.bench.arm.roofline import Core, cores, papers_core
from kplib.bench.arm.toolchain import AARCH64, AARCH64_EXACT, X86_EXACT, build_all, run

__all__ = ["Agreement", "Evidence", "agreements", "gather"]

TOLERANCE = 1e-5
"""Of results with fused multiply-adds against float64, relative to the largest entry."""


@dataclass(frozen=True)
class Agreement:
    """How a program's results on aarch64, in the emulator qemu, compare.

    Attributes
    ----------
    bit_for_bit : bool
        Unfused, they are those of the same source on x86, every bit.
    relative_error : float
        Of the fused ones, against NumPy in float64: largest difference over largest entry.
    """

    bit_for_bit: bool
    relative_error: float

    @property
    def holds(self) -> bool:
        """Whether both are as they should be."""
        return self.bit_for_bit and self.relative_error < TOLERANCE


@dataclass(frozen=True)
class Evidence:
    """What was found, by the names of the cases.

    Attributes
    ----------
    versions : mapping of str to str
        Of the compiler, its flags, the emulator and the model.
    cases : tuple of ArmCase
        What was compiled.
    agreement, counts, modelled : mapping
        Checked, counted, modelled.
    calibration : tuple of Calibration
        Of the model.
    misses : mapping of str to Misses
        Of caches like the papers' board's; empty if nobody asked.
    """

    versions: Mapping[str, str]
    cases: tuple[ArmCase, ...]
    agreement: Mapping[str, Agreement]
    counts: Mapping[str, Counts] = field(repr=False)
    modelled: Mapping[str, Modelled]
    calibration: tuple[Calibration, ...]
    misses: Mapping[str, Misses] = field(default_factory=dict)

    @property
    def predictions(self) -> list[Prediction]:
        """Of Kronecker networks against dense ones."""
        return predictions(self.counts, self.modelled)


def agreements(
    cases: Sequence[ArmCase], fused: Mapping[str, Path], folder: Path
) -> dict[str, Agreement]:
    """Run every case on aarch64 in qemu, and unfused on x86 too, and compare.

    Parameters
    ----------
    cases : sequence of ArmCase
        What to run.
    fused : mapping of str to Path
        Their programs for `kplib.bench.arm.toolchain.AARCH64`.
    folder : Path
        For the programs of the other two targets.

    Returns
    -------
    dict of str to Agreement

    Raises
    ------
    MissingToolError
        If a compiler or the emulator is missing.
    """
    exact = {target: build_all(cases, target, folder) for target in (AARCH64_EXACT, X86_EXACT)}
    found = {}
    for case in cases:
        of_arm, of_x86 = (
            run(case, programs[case.name], target) for target, programs in exact.items()
        )
        expected = case.expected()
        error = np.abs(run(case, fused[case.name], AARCH64) - expected).max()
        found[case.name] = Agreement(
            bit_for_bit=bool(np.array_equal(of_arm.view(np.uint32), of_x86.view(np.uint32))),
            relative_error=float(error / np.abs(expected).max()),
        )
    return found


def gather(
    cases: Sequence[ArmCase],
    folder: Path,
    show: Callable[[str], object] = lambda _: None,
    *,
    caches: bool = False,
) -> Evidence:
    """Compile, check, count and model every case.

    Parameters
    ----------
    cases : sequence of ArmCase
        From `kplib.bench.arm.cases`.
    folder : Path
        For the programs.
    show : callable
        Is told what goes on.
    caches : bool
        Model the papers' board's caches too, in valgrind.

    Returns
    -------
    Evidence

    Raises
    ------
    MissingToolError, MissingExtraError
        If a tool or a library is missing.
    """
    show(f"compiling {len(cases)} programs for aarch64")
    fused = build_all(cases, AARCH64, folder)
    show("comparing them with x86, in qemu")
    agreement = agreements(cases, fused, folder)
    show("counting instructions, in Unicorn")
    counts = {case.name: count(case, fused[case.name]) for case in cases}
    show("modelling cycles, with llvm-mca")
    modelled = {name: model.modelled_cycles(found.blocks) for name, found in counts.items()}
    misses = {}
    if caches:
        show("modelling caches, in valgrind")
        on_x86 = build_all(cases, X86_EXACT, folder)
        misses = {case.name: cache_misses(case, on_x86[case.name]) for case in cases}
    return Evidence(
        versions={
            "compiler": AARCH64.version(),
            "flags": " ".join(AARCH64.flags),
            "unicorn": metadata.version("unicorn"),
            "model": f"{model.TITLE}, {model.version()}",
        },
        cases=tuple(cases),
        agreement=agreement,
        counts=counts,
        modelled=modelled,
        calibration=tuple(model.calibration()),
        misses=misses,
    )


def as_record(evidence: Evidence, provenance: Mapping[str, object]) -> dict[str, Any]:
    """Return the evidence as JSON types; `counts` is what tests hold the code to.

    Parameters
    ----------
    evidence : Evidence
        What was found.
    provenance : mapping
        From `kplib.bench.machine.provenance`: of the machine that it was found on, which matters
        to none of it.
    """
    return {
        "evidence": "no board: checked, counted, modelled and predicted; nothing is timed",
        **provenance,
        "versions": dict(evidence.versions),
        "counts": {name: found.numbers() for name, found in evidence.counts.items()},
        "cases": [_case(evidence, case) for case in evidence.cases],
        "calibration": {
            "model": model.TITLE,
            "runs": [
                {
                    "name": each.name,
                    "modelled_cycles": each.modelled,
                    "measured_cycles": each.measured,
                    "modelled_over_measured": round(each.ratio, 2),
                }
                for each in evidence.calibration
            ],
        },
        "caches": {
            "how": "cachegrind: x86 code with Arm's tiles, misses of one call in the steady state",
            "geometry": GEOMETRY,
            "misses": {
                name: {"first": found.first, "last": found.last}
                for name, found in evidence.misses.items()
            },
        },
        "cores": [_core(core) for core in [*cores(), papers_core()]],
        "predicted": [_prediction(each) for each in evidence.predictions],
    }


def _case(evidence: Evidence, case: ArmCase) -> dict[str, Any]:
    agreement, modelled = evidence.agreement[case.name], evidence.modelled[case.name]
    counts = evidence.counts[case.name]
    return {
        "name": case.name,
        "benchmark": case.benchmark,
        "label": case.label,
        "network": case.network,
        "steps": case.length if case.network else None,
        "macs": case.macs,
        "bit_for_bit": agreement.bit_for_bit,
        "relative_error": float(f"{agreement.relative_error:.1e}"),
        "modelled_cycles": [round(modelled.throughput), round(modelled.chained)],
        "flops_per_weight_byte": round(counts.flops / (case.length * counts.weight_bytes), 3),
        "roof_cycles": {core.name: round(core.fewest_cycles(counts)) for core in cores()},
    }


def _core(core: Core) -> dict[str, Any]:
    return {
        "name": core.name,
        "board": core.board,
        "clock_ghz": core.clock_ghz,
        "flops_per_cycle": core.flops_per_cycle,
        "peak_gflops": round(core.peak_gflops, 2),
        "measured_gflops": core.gflops,
        "source": core.source,
    }


def _prediction(each: Prediction) -> dict[str, Any]:
    measured = each.measured_by_papers
    return {
        "benchmark": each.benchmark,
        "layers": each.layers,
        "by_fmla": round(each.by_fmla, 2),
        "by_instructions": round(each.by_instructions, 2),
        "by_model": [round(ratio, 2) for ratio in each.by_model],
        "least": round(each.least, 2),
        "most": round(each.most, 2),
        "measured_by_papers": None if measured is None else round(measured, 2),
    }
