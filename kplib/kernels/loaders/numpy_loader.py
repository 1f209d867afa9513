"""The loader of last resort: the program's reference in NumPy. Always there, never fast."""

from collections.abc import Callable

import numpy as np

from kplib.kernels.program import Program

name = "numpy"


def missing() -> str:
    """Return "": NumPy is always there."""
    return ""


def flags() -> str:
    """Return "": nothing is compiled."""
    return ""


class NumpyImplementation:
    """The reference with its operands."""

    run_address: None = None
    weights_address: None = None

    def __init__(self, program: Program, operands: tuple[np.ndarray, ...]) -> None:
        self._program = program
        self._operands = tuple(operand.copy() for operand in operands)

    @property
    def weight_bytes(self) -> int:
        """Bytes of the operands."""
        return sum(operand.nbytes for operand in self._operands)

    def call(self, x: np.ndarray, y: np.ndarray, count: int, length: int = 1) -> None:
        """Compute `count` results."""
        program = self._program
        x_shape = (length, *program.x_shape) if program.sequence else program.x_shape
        xs, ys = x.reshape(count, *x_shape), y.reshape(count, *program.y_shape)
        for i in range(count):
            ys[i] = program.reference(self._operands, xs[i])

    def bind(self, x: np.ndarray, y: np.ndarray, count: int, length: int = 1) -> Callable[[], None]:
        """Return a callable on these buffers."""
        return lambda: self.call(x, y, count, length)


def implement(program: Program, operands: tuple[np.ndarray, ...]) -> NumpyImplementation:
    """Return the reference with these operands."""
    return NumpyImplementation(program, operands)
