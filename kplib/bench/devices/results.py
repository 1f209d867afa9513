"""What the networks took on microcontrollers, as ``kplib bench devices`` recorded it."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

__all__ = ["FILE", "DeviceRow", "load"]

FILE = Path("book/results/devices/devices.json")


@dataclass(frozen=True)
class DeviceRow:
    """One network in one form on one device.

    Attributes
    ----------
    device, benchmark, technique, weights : str
        Which; weights are "float32" or "int8".
    trained : bool
        Whether the weights are a record's; else they are those of seed 0, untrained.
    flash_bytes, ram_bytes : int or None
        Of the whole program, RAM with the stack at its deepest; None if it does not fit.
    counts : int or None
        Instructions (Cortex-M) or cycles (Arduino Uno) of one inference, the median.
    same, examples : int or None
        On how many examples the device says the class that x86 says, and of how many.
    excess_bytes : mapping of str to int
        Of each memory that is too small; empty if it fits.
    """

    device: str
    benchmark: str
    technique: str
    weights: str
    trained: bool
    flash_bytes: int | None
    ram_bytes: int | None
    counts: int | None
    same: int | None
    examples: int | None
    excess_bytes: Mapping[str, int]

    @property
    def fits(self) -> bool:
        """Whether flash and RAM are large enough."""
        return not self.excess_bytes


def load(path: Path | str = FILE) -> list[DeviceRow]:
    """Return the rows of a record, by network, form and device.

    Parameters
    ----------
    path : Path or str
        As ``kplib bench devices --json`` wrote it.

    Raises
    ------
    ValueError
        If it is no such record.

    Examples
    --------
    >>> load(Path("nowhere.json"))
    Traceback (most recent call last):
        ...
    ValueError: nowhere.json is no record of `kplib bench devices`
    """
    path = Path(path)
    try:
        record = json.loads(path.read_text(encoding="utf-8"))
        rows = record["measurements"] if record["benchmark"] == "devices" else None
    except (OSError, ValueError, KeyError, TypeError):
        rows = None
    if not rows:
        raise ValueError(f"{path.name} is no record of `kplib bench devices`")
    return [_row(row) for row in rows]


def _row(row: Mapping[str, Any]) -> DeviceRow:
    fits = row["fits"]
    return DeviceRow(
        device=row["device"],
        benchmark=row["benchmark"],
        technique=row["technique"],
        weights=row["weights"],
        trained=row["source"].endswith(".json"),
        flash_bytes=row["flash_bytes"] if fits else None,
        ram_bytes=row["static_bytes"] + row["stack_bytes"] if fits else None,
        counts=row["counts_median"] if fits else None,
        same=row["same"] if fits else None,
        examples=row["examples"] if fits else None,
        excess_bytes={} if fits else row["excess_bytes"],
    )
