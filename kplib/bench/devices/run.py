"""Run a linked program in an emulator of its device: logits, counts and the depth of the stack."""

import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike, NDArray

from kplib.bench.devices.devices import STACK_BYTES, CortexM
from kplib.bench.devices.program import DeviceError, Program, build_simulator, find_tool
from kplib.errors import ShapeError

SECONDS = 1800
"""After which a program is given up."""
_SHIFT = 7  # 128 ns an instruction, and 31 or 40 a tick of SysTick: rounding gives the exact count
_COUNT_BYTES, _LOGIT_BYTES, _STEPS_BYTES = 4, 4, 2


@dataclass(frozen=True)
class Runs:
    """What a device has sent back.

    Parameters
    ----------
    logits : ndarray of float32, shape (examples, classes)
        Of each.
    counts : ndarray of int64, shape (examples, steps + 1)
        Instructions or cycles of each step, then of the head.
    untouched_bytes : int
        Of the stack's place.
    """

    logits: NDArray[np.float32]
    counts: NDArray[np.int64]
    untouched_bytes: int

    @property
    def counts_per_inference(self) -> NDArray[np.int64]:
        """Instructions or cycles of each example, shape (examples,)."""
        total: NDArray[np.int64] = self.counts.sum(axis=1)
        return total

    @property
    def predictions(self) -> NDArray[np.int64]:
        """The class with the largest logit, shape (examples,)."""
        return self.logits.argmax(axis=1)


def run_program(program: Program, x: ArrayLike, classes: int, folder: Path) -> Runs:
    """Run a program on examples.

    Parameters
    ----------
    program : Program
        From :func:`kplib.bench.devices.program.build_program`.
    x : array_like of float32, shape (examples, steps, input)
        They reach the device row by row.
    classes : int
        Logits of an example.
    folder : Path
        Where a simulator may be built.

    Returns
    -------
    Runs
        The counts are the same at every call: nothing in them is time.

    Raises
    ------
    DeviceError
        If the emulator is missing, ends with an error or sends something else.
    """
    device = program.device
    if isinstance(device, CortexM):
        command = [
            find_tool("qemu-system-arm"), "-M", device.machine, "-nographic", "-nodefaults",
            "-semihosting-config", "enable=on,target=native", "-icount", f"shift={_SHIFT}",
            "-kernel", str(program.path),
        ]  # fmt: skip
        runs = exchange(command, x, classes)
        exact = runs.counts * (1000 / device.clock_mhz / (1 << _SHIFT))
        runs = Runs(runs.logits, np.rint(exact).astype(np.int64), runs.untouched_bytes)
    else:
        runs = exchange([str(build_simulator(folder)), str(program.path)], x, classes)
    if runs.untouched_bytes == 0:
        raise DeviceError(f"{device.title}: the stack has used all of its place")
    return runs


def stack_bytes(program: Program, runs: Runs) -> int:
    """Return how many bytes the stack has taken at most."""
    device = program.device
    if isinstance(device, CortexM):  # pushes words; a byte of one may look untouched
        return STACK_BYTES - runs.untouched_bytes // 4 * 4
    return device.ram_bytes - program.static_bytes - runs.untouched_bytes


def exchange(command: Sequence[str], x: ArrayLike, classes: int) -> Runs:
    """Start a test program or its emulator, send it examples, and return what comes back.

    Raises
    ------
    ShapeError
        If x is not (examples, steps, input) with at least one of each.
    DeviceError
        If it fails, takes too long, or sends something else.
    """
    examples = np.asarray(x, np.float32)
    if examples.ndim != 3 or 0 in examples.shape:
        raise ShapeError(
            f"x has shape {examples.shape}, but must be (examples, steps, input), none of them 0"
        )
    count, steps, _ = examples.shape
    begin = steps.to_bytes(_STEPS_BYTES, "little")
    sent = b"".join(begin + example.astype("<f4").tobytes() for example in examples)
    try:
        done = subprocess.run(
            [*command], input=sent + bytes(_STEPS_BYTES), capture_output=True, check=False,
            timeout=SECONDS,
        )  # fmt: skip
    except subprocess.TimeoutExpired:
        raise DeviceError(f"{Path(command[0]).name} took more than {SECONDS} s") from None
    of_counts = _COUNT_BYTES * (steps + 1)
    each = of_counts + _LOGIT_BYTES * classes
    if done.returncode or len(done.stdout) != count * each + _STEPS_BYTES:
        said = done.stderr.decode(errors="replace").strip().splitlines()
        raise DeviceError(
            f"{Path(command[0]).name} ended with status {done.returncode} after "
            f"{len(done.stdout):,} of {count * each + _STEPS_BYTES:,} bytes: "
            f"{said[-1] if said else 'without a word'}"
        )
    received = np.frombuffer(done.stdout[:-_STEPS_BYTES], np.uint8).reshape(count, each)
    return Runs(
        logits=received[:, of_counts:].copy().view("<f4"),
        counts=received[:, :of_counts].copy().view("<u4").astype(np.int64),
        untouched_bytes=int.from_bytes(done.stdout[-_STEPS_BYTES:], "little"),
    )
