"""What was found out without a board, as ``kplib bench arm`` recorded it."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kplib.bench.arm.model import Calibration
from kplib.bench.arm.prediction import Prediction

__all__ = ["FOLDER", "ArmRecord", "CountedCase", "latest"]

FOLDER = Path("book/results/arm")


@dataclass(frozen=True)
class CountedCase:
    """One product or one network: checked in qemu, counted in Unicorn, modelled by llvm-mca.

    Attributes
    ----------
    benchmark, label : str
        Whose sizes it has, and the technique: "baseline", "kp", "kp, 2 layers".
    network : bool
        A whole network over its sequence, or the product of one gate.
    instructions, multiply_adds, flops, loads : int
        Of one call: all instructions; fmla and fmadd; their operations; reads of memory.
    flops_per_weight_byte : float
        Each weight read once a step.
    modelled_cycles : (int, int)
        Without and with waiting for results.
    bit_for_bit : bool
        Whether its unfused results are those of x86.
    relative_error : float
        Of the fused ones, against float64.
    """

    benchmark: str
    label: str
    network: bool
    instructions: int
    multiply_adds: int
    flops: int
    loads: int
    flops_per_weight_byte: float
    modelled_cycles: tuple[int, int]
    bit_for_bit: bool
    relative_error: float


@dataclass(frozen=True)
class ArmRecord:
    """One record.

    Attributes
    ----------
    versions : mapping of str to str
        Of the compiler, its flags, the emulator, the model.
    cases : tuple of CountedCase
    calibration : tuple of Calibration
        Of the model.
    predictions : tuple of Prediction
        Of Kronecker networks against dense ones.
    """

    versions: Mapping[str, str]
    cases: tuple[CountedCase, ...]
    calibration: tuple[Calibration, ...]
    predictions: tuple[Prediction, ...]

    def of(self, benchmark: str, *, network: bool = True) -> dict[str, CountedCase]:
        """Return a benchmark's networks, or the products of its gate, by their labels.

        Raises
        ------
        ValueError
            If the record has none.
        """
        found = {
            case.label: case
            for case in self.cases
            if (case.benchmark, case.network) == (benchmark, network)
        }
        if not found:
            there = ", ".join(dict.fromkeys(case.benchmark for case in self.cases))
            raise ValueError(f"the record has no benchmark {benchmark!r}; it has {there}")
        return found


def latest(folder: Path | str = FOLDER) -> ArmRecord:
    """Return the latest record of a folder.

    Parameters
    ----------
    folder : Path or str
        Where ``kplib bench arm --json`` wrote it.

    Raises
    ------
    ValueError
        If there is none.

    Examples
    --------
    >>> latest(Path("no", "such", "folder"))
    Traceback (most recent call last):
        ...
    ValueError: no/such/folder has no record of `kplib bench arm`
    """
    folder = Path(folder)
    records = [json.loads(path.read_text(encoding="utf-8")) for path in folder.glob("*.json")]
    if not records:
        raise ValueError(f"{folder.as_posix()} has no record of `kplib bench arm`")
    return _parsed(max(records, key=lambda record: str(record["date"])))


def _parsed(record: Mapping[str, Any]) -> ArmRecord:
    return ArmRecord(
        versions=record["versions"],
        cases=tuple(_case(row, record["counts"][row["name"]]) for row in record["cases"]),
        calibration=tuple(
            Calibration(run["name"], run["modelled_cycles"], run["measured_cycles"])
            for run in record["calibration"]["runs"]
        ),
        predictions=tuple(_prediction(row) for row in record["predicted"]),
    )


def _case(row: Mapping[str, Any], counts: Mapping[str, int]) -> CountedCase:
    low, high = sorted(row["modelled_cycles"])
    return CountedCase(
        benchmark=row["benchmark"],
        label=row["label"],
        network=row["network"],
        instructions=counts["instructions"],
        multiply_adds=counts["fmla"] + counts["fmadd"],
        flops=counts["flops"],
        loads=counts["loads"],
        flops_per_weight_byte=row["flops_per_weight_byte"],
        modelled_cycles=(low, high),
        bit_for_bit=row["bit_for_bit"],
        relative_error=row["relative_error"],
    )


def _prediction(row: Mapping[str, Any]) -> Prediction:
    low, high = sorted(row["by_model"])
    return Prediction(
        benchmark=row["benchmark"],
        layers=row["layers"],
        by_fmla=row["by_fmla"],
        by_instructions=row["by_instructions"],
        by_model=(low, high),
        measured_by_papers=row["measured_by_papers"],
    )
