"""Cycles of a call by a model of a processor: LLVM's, through llvm-mca.

``-mcpu=cortex-a73`` takes LLVM's Cortex-A57 model, and so does everything here: it is titled as
that. The model has no caches and no branch prediction. Of a Cortex-A73 it has the peak right and
the latencies too long; `calibration` has by how much. LLVM's Cortex-A53 is too far off to be used.
"""

import json
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass

from kplib.bench.arm.counting import Block, disassembled
from kplib.bench.arm.roofline import calibration_runs
from kplib.bench.arm.toolchain import MissingToolError, tool

__all__ = ["TITLE", "Calibration", "Modelled", "calibration", "modelled_cycles", "version"]

TITLE = "LLVM's Cortex-A57 model"
_CPU = "cortex-a73"
_ITERATIONS = 20
_BRANCHES = ("b", "bl", "cbz", "cbnz", "tbz", "tbnz", "adr", "adrp")


@dataclass(frozen=True)
class Modelled:
    """Cycles of one call in the model.

    Attributes
    ----------
    throughput : float
        Lower: every block at its reciprocal throughput, as often as it is entered, as if nothing
        had to wait for a result.
    chained : float
        Upper: every block in a row with itself, so that it waits for its own results.
    """

    throughput: float
    chained: float


@dataclass(frozen=True)
class Calibration:
    """A run of one instruction: cycles each, in the model and measured on a Cortex-A73."""

    name: str
    modelled: float
    measured: float

    @property
    def ratio(self) -> float:
        """Modelled over measured: above 1 is pessimistic."""
        return self.modelled / self.measured


def version() -> str:
    """Return llvm-mca's version, such as ``"LLVM 14.0.6"``.

    Raises
    ------
    MissingToolError
        If there is none.
    """
    done = subprocess.run([_mca(), "--version"], capture_output=True, text=True, check=True)
    words = done.stdout.split()
    return f"LLVM {words[words.index('version') + 1]}"


def modelled_cycles(blocks: Sequence[Block]) -> Modelled:
    """Return the modelled cycles of a call from the blocks that it enters.

    llvm-mca takes straight lines of code. The emulator's blocks are such, and it has counted how
    often each was entered: that is its weight, so that a loop's body counts as often as it runs.

    Parameters
    ----------
    blocks : sequence of Block
        Of `kplib.bench.arm.counting.count`.

    Returns
    -------
    Modelled

    Raises
    ------
    MissingToolError
        If there is no llvm-mca.
    RuntimeError
        If it does not read the code.
    """
    found = _simulated([_assembly(block) for block in blocks])
    pairs = list(zip(blocks, found, strict=True))
    return Modelled(
        throughput=sum(block.times * throughput for block, (throughput, _) in pairs),
        chained=sum(block.times * cycles for block, (_, cycles) in pairs),
    )


def calibration() -> list[Calibration]:
    """Return what the model says of runs of one instruction that were measured on a Cortex-A73.

    Raises
    ------
    MissingToolError
        If there is no llvm-mca.
    """
    runs = calibration_runs()
    found = _simulated([list(run.assembly) for run in runs], iterations=1000)
    return [
        Calibration(run.name, round(cycles / len(run.assembly), 1), round(run.cycles, 1))
        for run, (_, cycles) in zip(runs, found, strict=True)
    ]


def _mca() -> str:
    try:
        return tool("llvm-mca", *(f"llvm-mca-{number}" for number in range(14, 25)))
    except MissingToolError:
        raise MissingToolError("llvm-mca is not on PATH (Debian, Ubuntu: llvm)") from None


def _assembly(block: Block) -> list[str]:
    """Return a block in LLVM's words; where a branch goes does not matter to the model."""
    lines = []
    for instruction in disassembled(block.code):
        name, operands = instruction.mnemonic, instruction.op_str
        if name in _BRANCHES or name.startswith("b."):
            *others, _ = operands.split(", ")
            operands = ", ".join([*others, "#0"])
        lines.append(f"{name} {operands}")
    return lines


def _simulated(
    regions: Sequence[list[str]], iterations: int = _ITERATIONS
) -> list[tuple[float, float]]:
    """Return reciprocal throughput and cycles a repetition of each piece of code."""
    text = "".join(
        "\n".join([f"# LLVM-MCA-BEGIN {k}", *lines, "# LLVM-MCA-END", ""])
        for k, lines in enumerate(regions)
    )
    words = [
        _mca(), "-mtriple=aarch64", f"-mcpu={_CPU}", f"-iterations={iterations}", "--json",
        "-resource-pressure=0", "-instruction-info=0",
    ]  # fmt: skip
    done = subprocess.run(words, input=text, capture_output=True, text=True, check=False)
    if done.returncode != 0 or "error" in done.stderr:
        raise RuntimeError(f"llvm-mca does not read the code: {done.stderr[:500]}")
    views = {
        region["Name"]: region["SummaryView"] for region in json.loads(done.stdout)["CodeRegions"]
    }
    return [
        (float(view["BlockRThroughput"]), view["TotalCycles"] / view["Iterations"])
        for view in (views[str(k)] for k in range(len(regions)))
    ]
