"""The procedure on a board: pin, warm up, take turns; ``native/measure.hpp`` runs it."""

import ctypes
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from kplib.bench.board.checks import library
from kplib.bench.board.works import Work

MIN_SECONDS = 1e-3
"""Shortest timed sample, in seconds."""
WARM_UP_SECONDS = 0.3
"""How long the works run before the first sample is taken."""
ROUNDS = 101
"""Samples of each work."""


@dataclass(frozen=True)
class Procedure:
    """How the works are timed; the values of the notes unless given.

    Parameters
    ----------
    rounds : int
        Samples of each work.
    min_sample_seconds, warm_up_seconds : float
        Of one sample at least, and before the first.
    """

    rounds: int = ROUNDS
    min_sample_seconds: float = MIN_SECONDS
    warm_up_seconds: float = WARM_UP_SECONDS


class _Work(ctypes.Structure):
    _fields_ = (
        *((name, ctypes.c_void_p) for name in ("run", "weights", "x", "y")),
        ("length", ctypes.c_int64),
    )


class _Result(ctypes.Structure):
    _fields_ = (
        *((name, ctypes.c_double) for name in (
            "median", "min", "p90", "cycles", "instructions", "shortest_sample")),
        ("calls", ctypes.c_int64),
    )  # fmt: skip


def measure(works: Sequence[Work], cpu: int, procedure: Procedure) -> list[dict[str, Any]]:
    """Time works in turns, in a loop in C++, and return what the record says of each.

    Parameters
    ----------
    works : sequence of Work
        Compiled by a loader that has addresses to give.
    cpu : int
        The core that this process is pinned to; its counters are read where that is allowed.
    procedure : Procedure

    Returns
    -------
    list of dict
        In the order of `works`; times in nanoseconds a call.

    Raises
    ------
    ValueError
        If a work was compiled by the loader "numpy".

    Examples
    --------
    >>> from kplib.bench.board.works import kernels
    >>> quick = Procedure(rounds=3, min_sample_seconds=1e-5, warm_up_seconds=0)
    >>> (entry, *_) = measure(kernels(["usps-fastrnn"], loader="compiler"), 0, quick)
    >>> entry["nanoseconds"]["min"] <= entry["nanoseconds"]["median"] and entry["rounds"] == 3
    True
    """
    results = [np.empty(work.exact.shape, np.float32) for work in works]
    prepared = (_Work * len(works))()
    for i, (work, y) in enumerate(zip(works, results, strict=True)):
        implementation = work.op._implementation
        if implementation.run_address is None:
            raise ValueError("the loader 'numpy' compiles nothing that could be timed on a board")
        length = work.steps if work.kind == "network" else 0
        prepared[i] = _Work(
            implementation.run_address, implementation.weights_address,
            work.x.ctypes.data, y.ctypes.data, length,
        )  # fmt: skip
    found = (_Result * len(works))()
    function = library().board_measure
    function.argtypes = (
        ctypes.c_void_p, ctypes.c_int, ctypes.c_int, ctypes.c_int, ctypes.c_double,
        ctypes.c_double, ctypes.c_void_p,
    )  # fmt: skip
    function.restype = None
    function(
        prepared, len(works), cpu, procedure.rounds, procedure.min_sample_seconds,
        procedure.warm_up_seconds, found,
    )  # fmt: skip
    return [
        _entry(work, result, procedure.rounds) for work, result in zip(works, found, strict=True)
    ]


def _entry(work: Work, result: _Result, rounds: int) -> dict[str, Any]:
    return {
        "kind": work.kind,
        "benchmark": work.benchmark,
        "name": work.name,
        "inputs": work.x.shape[-1],
        "outputs": work.exact.size,
        "steps": work.steps,
        "macs": work.macs,
        "weight_bytes": work.op.weight_bytes,
        "nanoseconds": {
            name: _rounded(1e9 * getattr(result, name)) for name in ("median", "min", "p90")
        },
        "rounds": rounds,
        "calls_per_sample": result.calls,
        "shortest_sample_seconds": _rounded(result.shortest_sample),
        "cycles": _rounded(result.cycles),
        "instructions": _rounded(result.instructions),
        "relative_error": _rounded(work.error()),
    }


def _rounded(value: float) -> float | None:
    """Return six significant digits; None for what was not counted."""
    return float(f"{value:.6g}") if np.isfinite(value) else None
