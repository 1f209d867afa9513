"""Cache misses of a call at the geometry of the papers' board, by valgrind's cachegrind.

What runs is x86 code: the same source with Arm's vectors, tiles and packed weights, so that it
reads and writes the same numbers in the same order. The caches are modelled: 64 KiB and 2 MiB as on
the Kirin 960, least recently used first out, no prefetching. The 16 ways are an assumption.
"""

import re
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path

from kplib.bench.arm.cases import ArmCase
from kplib.bench.arm.toolchain import numbers, tool

__all__ = ["GEOMETRY", "Misses", "cache_misses"]

GEOMETRY = {"first": "65536,16,64", "last": "2097152,16,64"}
"""Bytes, ways and bytes of a line of the first and the last data cache."""

_REPEATS = (1, 3)


@dataclass(frozen=True)
class Misses:
    """Cache lines that one call misses, once others have gone before it.

    Attributes
    ----------
    first, last : float
        Reads and writes of data that miss the first cache, and the last one.
    """

    first: float
    last: float


def cache_misses(case: ArmCase, binary: Path) -> Misses:
    """Return the misses of a call in the steady state: those of more calls less those of one.

    Parameters
    ----------
    case : ArmCase
        Its numbers.
    binary : Path
        Its program for `kplib.bench.arm.toolchain.X86_EXACT`.

    Returns
    -------
    Misses

    Raises
    ------
    MissingToolError
        If there is no valgrind.
    RuntimeError
        If it fails.
    """
    once, often = (_misses(case, binary, repeats) for repeats in _REPEATS)
    calls = _REPEATS[1] - _REPEATS[0]
    return Misses(*((b - a) / calls for a, b in zip(once, often, strict=True)))


def _misses(case: ArmCase, binary: Path, repeats: int) -> tuple[int, int]:
    with tempfile.TemporaryDirectory(prefix="kplib-arm-") as folder:
        given, found = Path(folder, "input"), Path(folder, "output")
        given.write_bytes(b"".join(array.tobytes() for array in numbers(case)))
        words = [
            tool("valgrind"), "--tool=cachegrind", "--cache-sim=yes",
            f"--D1={GEOMETRY['first']}", f"--LL={GEOMETRY['last']}",
            f"--cachegrind-out-file={folder}/cachegrind",
            str(binary), str(given), str(found), str(case.length), str(repeats),
        ]  # fmt: skip
        done = subprocess.run(words, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise RuntimeError(f"{case.name} in valgrind: {done.stderr[-500:]}")
    return _total("D1", done.stderr), _total("LLd", done.stderr)


def _total(cache: str, output: str) -> int:
    """Return the number behind ``D1  misses:`` in cachegrind's summary."""
    match = re.search(rf"{cache}\s+misses:\s+([\d,]+)", output)
    if match is None:
        raise RuntimeError(f"valgrind says nothing of {cache} misses: {output[-500:]}")
    return int(match[1].replace(",", ""))
