"""The stand-alone bundle: C++ source, weights and a Makefile, for a board that has only a shell."""

import json
import re
import shutil
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from kplib.bench.board.checks import NATIVE
from kplib.bench.board.record import FORMAT
from kplib.bench.board.works import Work, kernels, networks
from kplib.bench.machine import code_version
from kplib.bench.network import NetworkSpec, chosen_specs
from kplib.kernels.buffers import ALIGNMENT
from kplib.kernels.program import INCLUDE, cpp_scalar

SOURCES = ("json.hpp", "machine.hpp", "measure.hpp", "bundle.hpp", "main.cpp", "Makefile")
"""What is copied as it is; the rest is written for the works that were chosen."""


def write_bundle(
    folder: Path,
    benchmarks: Sequence[str] | None = None,
    techniques: Sequence[str] | None = None,
    *,
    seed: int = 0,
) -> list[str]:
    """Write what `make` turns into one static program that does what ``kplib board`` does.

    Parameters
    ----------
    folder : Path
        New, or with an earlier bundle in it, which is replaced.
    benchmarks, techniques : sequence of str, optional
        As of `kplib.bench.network.chosen_specs`; all, unless given.
    seed : int, optional
        Of weights and inputs.

    Returns
    -------
    list of str
        The names of the works, which are those of their files.

    Raises
    ------
    ValueError
        If a name is unknown, or if the folder holds something else.
    """
    chosen = chosen_specs(benchmarks, techniques)
    _empty(folder)
    for name in SOURCES:
        shutil.copyfile(NATIVE / name, folder / name)
    shutil.copytree(INCLUDE / "kplib", folder / "kplib", ignore=_not_a_header)
    written: list[str] = []
    left_out: list[tuple[NetworkSpec, str]] = []
    for benchmark, specs in chosen.items():
        products = kernels([benchmark], seed=seed, loader="numpy")
        for work in (*products, *networks({benchmark: specs}, seed=seed, loader="numpy")):
            if isinstance(work, Work):
                written.append(_write_work(folder, len(written), work))
            else:
                left_out.append(work)
    (folder / "about.hpp").write_text(_about(left_out), encoding="utf-8")
    return written


def _empty(folder: Path) -> None:
    """Make the folder, or take an earlier bundle out of it; never anything else."""
    folder.mkdir(parents=True, exist_ok=True)
    if any(folder.iterdir()) and not (folder / "about.hpp").is_file():
        raise ValueError(f"{folder.name} holds something that is no bundle: choose another folder")
    for name in ("kplib", "works", "weights"):
        shutil.rmtree(folder / name, ignore_errors=True)
    for name in ("works", "weights"):
        (folder / name).mkdir()


def _not_a_header(_: str, names: list[str]) -> set[str]:
    # bound_call.hpp needs Python's headers, which no board has to have.
    return {name for name in names if not name.endswith(".hpp") or name == "bound_call.hpp"}


def _write_work(folder: Path, index: int, work: Work) -> str:
    """Write a work's source and its numbers, and return its name."""
    name = re.sub(r"\W+", "-", f"{work.kind}-{work.benchmark}-{work.name}")
    program, symbol = work.program, f"board_{name.replace('-', '_')}"
    operands = [operand.astype(np.float32) for operand in _operands(work)]
    numbers = [*operands, work.x.astype(np.float32), work.exact, work.scale]
    (folder / "weights" / f"{name}.bin").write_bytes(b"".join(map(_padded, numbers)))
    sizes = ", ".join(str(operand.size) for operand in operands)
    scalar = cpp_scalar(program.stored or program.dtype)
    text = f"""// {work.kind}: {work.benchmark}, {work.name}
{program.unit}
#include "bundle.hpp"

BOARD_DATA({symbol}, "weights/{name}.bin")

static const bool added = board::add({index}, {{
    "{work.kind}", "{work.benchmark}", "{work.name}",
    {work.x.shape[-1]}, {work.exact.size}, {work.steps}, {work.macs}, sizeof({scalar}), {{{sizes}}},
    {program.namespace}::Entry::table, {symbol}}});
"""
    (folder / "works" / f"{name}.cpp").write_text(text, encoding="utf-8")
    return name


def _operands(work: Work) -> tuple[np.ndarray, ...]:
    """Return the arrays that the work's `pack` takes: the loader "numpy" keeps them as they are."""
    return work.op._implementation._operands  # type: ignore[attr-defined]


def _padded(numbers: np.ndarray) -> bytes:
    """Return little-endian numbers, filled up to whole cache lines."""
    data = np.ascontiguousarray(numbers, numbers.dtype.newbyteorder("<")).tobytes()
    return data + bytes(-len(data) % ALIGNMENT)


def _about(left_out: Sequence[tuple[NetworkSpec, str]]) -> str:
    """Return the header with what only kplib knows, as C++ strings of JSON."""
    missing = [
        {"kind": "network", "benchmark": spec.benchmark, "name": spec.label, "reason": reason}
        for spec, reason in left_out
    ]
    quoted = ", ".join(json.dumps(json.dumps(entry)) for entry in missing)
    return f"""// Written by `kplib board --bundle`.
#pragma once

#define KPLIB_FORMAT {FORMAT}
#define KPLIB_VERSION {json.dumps(json.dumps(code_version()))}
#define KPLIB_LEFT_OUT {quoted}
"""
