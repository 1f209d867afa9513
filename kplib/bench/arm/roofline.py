"""The roof of four cores: how fast multiply-adds could be, and the least cycles of a call."""

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import Any

from kplib.bench.arm.counting import Counts

__all__ = ["CalibrationRun", "Core", "calibration_runs", "cores", "papers_core"]


@dataclass(frozen=True)
class Core:
    """A processor core and its published peak.

    Attributes
    ----------
    name, board : str
        Of the core, and of what it was measured in.
    clock_ghz : float
        Its clock, in GHz.
    flops_per_cycle : int
        Peak in float32, a multiply-add counted as two.
    source : str
        Of the peak.
    gflops : float or None
        The measured peak, in GFLOP/s; None where it is derived from another of the kind.
    first_cache_bytes_per_cycle : int or None
        What the first cache can deliver; None where nobody has published it.
    first_cache_source : str
        Of that.

    Examples
    --------
    >>> [(core.name, core.flops_per_cycle) for core in cores()][-1]
    ('Cortex-A76', 16)
    """

    name: str
    board: str
    clock_ghz: float
    flops_per_cycle: int
    source: str
    gflops: float | None = None
    first_cache_bytes_per_cycle: int | None = None
    first_cache_source: str = ""

    @property
    def peak_gflops(self) -> float:
        """Of clock and operations a cycle, in GFLOP/s."""
        return self.clock_ghz * self.flops_per_cycle

    def fewest_cycles(self, counts: Counts) -> float:
        """Return the least cycles of a call: its multiply-adds' operations at the core's peak.

        The roof of the arithmetic alone. That of the memory has to be measured, or published as
        for the A72 (`first_cache_bytes_per_cycle`): of the A73's first cache nothing is.
        """
        return counts.flops / self.flops_per_cycle


@dataclass(frozen=True)
class CalibrationRun:
    """Many repetitions of some instructions, timed on a Cortex-A73.

    Attributes
    ----------
    name : str
        In words.
    assembly : tuple of str
        One repetition.
    cycles : float
        Measured, of one instruction.
    """

    name: str
    assembly: tuple[str, ...]
    cycles: float


@cache
def _tables() -> Mapping[str, Any]:
    text = resources.files(__package__).joinpath("peaks.toml").read_text(encoding="utf-8")
    return tomllib.loads(text)


def cores() -> list[Core]:
    """Return the cores whose peaks are cited, the slowest first.

    Examples
    --------
    >>> all(0.95 < core.gflops / core.peak_gflops <= 1.0 for core in cores())
    True
    """
    return [Core(**row) for row in _tables()["cores"]]


def papers_core() -> Core:
    """Return the core of the board that the papers timed on; its peak is derived from its clock.

    Examples
    --------
    >>> round(papers_core().peak_gflops, 1) == 18.9
    True
    """
    row = _tables()["papers"]
    (like,) = (core for core in cores() if core.name == row["core"])
    return Core(
        like.name, row["board"], row["clock_ghz"], like.flops_per_cycle,
        f"derived from its clock and {like.board}: {like.source}",
    )  # fmt: skip


def calibration_runs() -> list[CalibrationRun]:
    """Return the runs of one instruction that LLVM's model is held against.

    Examples
    --------
    >>> [round(run.cycles) for run in calibration_runs()]
    [1, 3]
    """
    table = _tables()["calibration"]
    return [
        CalibrationRun(
            row["name"], tuple(row["assembly"]), row["seconds"] / table["one_a_cycle_seconds"]
        )
        for row in table["runs"]
    ]
