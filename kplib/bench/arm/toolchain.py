"""The cross-compiler, the emulator of processes, and what they make of a case."""

import math
import re
import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from kplib.bench.arm.cases import ArmCase
from kplib.kernels.program import INCLUDE

__all__ = [
    "AARCH64", "AARCH64_EXACT", "X86_EXACT", "MissingToolError", "Target",
    "build", "build_all", "numbers", "run", "tool",
]  # fmt: skip

_HERE = Path(__file__).parent


class MissingToolError(RuntimeError):
    """A program of the system that is not on PATH; the message names what installs it."""


@dataclass(frozen=True)
class Target:
    """A compiler, its flags, and how its programs are run here.

    Attributes
    ----------
    name : str
        For messages.
    compiler : str
        The command.
    flags : tuple of str
        Of the optimizer and the machine.
    runners : tuple of str
        Emulators, the first that is there is taken; none for this machine's own programs.
    prelude : str
        C++ that comes before a program's unit.
    """

    name: str
    compiler: str
    flags: tuple[str, ...]
    runners: tuple[str, ...] = ()
    prelude: str = ""

    def command(self) -> list[str]:
        """Return compiler and flags.

        Raises
        ------
        MissingToolError
            If the compiler is not on PATH.
        """
        return [tool(self.compiler), "-std=c++17", *self.flags, *_ALWAYS]

    def version(self) -> str:
        """Return the compiler's name and version, such as ``"gcc 12.2.0"``."""
        done = subprocess.run(
            [tool(self.compiler), "-dumpfullversion"], capture_output=True, text=True, check=True
        )
        return f"gcc {done.stdout.strip()}"


# One address for everything, and no canaries: what some distributions switch on would be counted.
_ALWAYS = ("-static", "-fno-pie", "-no-pie", "-fno-stack-protector", "-U_FORTIFY_SOURCE")
_QEMU = ("qemu-aarch64-static", "qemu-aarch64")
_ARM = ("-O3", "-mcpu=cortex-a73")

AARCH64 = Target("aarch64", "aarch64-linux-gnu-g++", _ARM, _QEMU)
"""As a board would run it: multiplications and additions fused."""

# Less optimized: that changes no bit, and compiles in two thirds of the time.
_EXACT = ("-O1", "-ffp-contract=off")
AARCH64_EXACT = Target("aarch64, unfused", "aarch64-linux-gnu-g++", _EXACT, _QEMU)
"""Every operation rounded on its own, so that results may be compared bit for bit."""

# The headers choose the tiles of a product, and with them the order of its sums, by the size and
# number of vectors. So x86 is told that it is Arm, once the system's headers have been read.
_TILES_OF_ARM = """\
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <exception>
#include <new>
#include <type_traits>
#include <utility>
#include <vector>
#define __aarch64__ 1
"""
X86_EXACT = Target("x86-64, unfused", "g++", _EXACT, prelude=_TILES_OF_ARM)
"""The same on x86: SSE2's vectors are as long as Arm's, and its tiles are made as large."""


def tool(*names: str) -> str:
    """Return the path of the first of these programs that is there.

    Raises
    ------
    MissingToolError
        If none is.
    """
    for name in names:
        if path := shutil.which(name):
            return path
    raise MissingToolError(f"{names[0]} is not on PATH (tools/prerequisites.py --install test)")


def unit(case: ArmCase, target: Target) -> str:
    """Return the translation unit of a case: its program and the driver.

    Examples
    --------
    >>> from kplib.bench.arm.cases import kernel_cases
    >>> "kplib::Kron<float, 16, 16, 16, 16>" in unit(kernel_cases([])[0], AARCH64)
    True
    """
    sizes = ", ".join(str(4 * math.prod(shape)) for shape in case.program.operands)
    return (
        f"{target.prelude}"
        f"{case.program.unit}"
        f"#define KPLIB_NAMESPACE {case.program.namespace}\n"
        f"#define KPLIB_OPERANDS {sizes}\n"
        f'#include "driver.hpp"\n'
    )


def build(case: ArmCase, target: Target, folder: Path) -> Path:
    """Compile and link a case into one static program.

    Parameters
    ----------
    case : ArmCase
        What to compile.
    target : Target
        For what.
    folder : Path
        Where the program goes.

    Returns
    -------
    Path
        Of the program.

    Raises
    ------
    MissingToolError
        If there is no such compiler.
    RuntimeError
        If it fails; with its output.
    """
    stem = re.sub(r"\W+", "-", f"{case.name} {target.name}")
    source, binary = folder / f"{stem}.cpp", folder / f"{stem}.elf"
    source.write_text(unit(case, target))
    words = [*target.command(), f"-I{INCLUDE}", f"-I{_HERE}", str(source), "-o", str(binary)]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise RuntimeError(f"{case.name} does not compile for {target.name}:\n{done.stderr}")
    return binary


def build_all(
    cases: Sequence[ArmCase], target: Target, folder: Path, *, workers: int = 2
) -> dict[str, Path]:
    """Compile many cases, some at a time; their programs by name."""
    with ThreadPoolExecutor(workers) as pool:
        binaries = pool.map(lambda case: build(case, target, folder), cases)
        return {case.name: binary for case, binary in zip(cases, binaries, strict=True)}


def numbers(case: ArmCase) -> list[np.ndarray]:
    """Return operands and x as the program reads them: contiguous float32."""
    arrays = (*case.operands, case.x)
    return [np.ascontiguousarray(array, dtype=np.float32) for array in arrays]


def run(case: ArmCase, binary: Path, target: Target) -> np.ndarray:
    """Run a program, in the target's emulator if it has one, and return y.

    Parameters
    ----------
    case : ArmCase
        Its numbers.
    binary : Path
        From `build`.
    target : Target
        The one it was built for.

    Returns
    -------
    ndarray, shape (m,), float32

    Raises
    ------
    MissingToolError
        If there is no emulator.
    RuntimeError
        If the program fails.
    """
    runner = [tool(*target.runners)] if target.runners else []
    with tempfile.TemporaryDirectory(prefix="kplib-arm-") as folder:
        given, found = Path(folder, "input"), Path(folder, "output")
        given.write_bytes(b"".join(array.tobytes() for array in numbers(case)))
        words = [*runner, str(binary), str(given), str(found), str(case.length)]
        done = subprocess.run(words, capture_output=True, text=True, check=False)
        if done.returncode != 0:
            raise RuntimeError(f"{case.name} on {target.name}: {done.returncode}, {done.stderr}")
        return np.frombuffer(found.read_bytes(), np.float32)
