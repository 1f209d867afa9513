"""A compiled network: what `kplib.compile` returns."""

from collections.abc import Callable

import numpy as np
from numpy.typing import ArrayLike

from kplib.errors import ShapeError
from kplib.kernels.buffers import as_argument, batch_count, check_bound
from kplib.kernels.operation import CompiledOperation
from kplib.kernels.program import Program


class CompiledNetwork(CompiledOperation):
    """Logits of one sequence in one C++ call; made by `kplib.compile`.

    Attributes
    ----------
    input_size, classes : int
        Features of one step, and logits.
    dtype : numpy.dtype
        Of the weights, x and the logits.
    loader, flags : str
        What compiled it ("cppyy", "compiler" or "numpy"), and the compiler flags.
    parameters : int
        Of the model that it was made from.
    """

    def __init__(
        self,
        program: Program,
        operands: tuple[np.ndarray, ...],
        loader: str | None,
        *,
        head_macs: int,
        parameters: int,
    ) -> None:
        super().__init__(program, operands, loader)
        self._head_macs = head_macs
        self.parameters = parameters
        (self.input_size,) = program.x_shape
        (self.classes,) = program.y_shape

    def __call__(self, x: ArrayLike) -> np.ndarray:
        """Return the logits of one sequence, or of each sequence in a batch, one after the other.

        Parameters
        ----------
        x : array_like, shape (steps, input) or (..., steps, input)
            States start at 0. At least one step.

        Returns
        -------
        ndarray, shape (classes,) or (..., classes)

        Raises
        ------
        ShapeError
            If x has fewer than two axes, no steps, or another number of features.
        DtypeError
            If x has more bits than the network computes in.
        """
        shape = np.shape(x)
        inner = (self._steps(shape), self.input_size)
        argument = as_argument(x, self.dtype, inner)
        y = np.empty((*shape[:-2], self.classes), self.dtype)
        count = batch_count("x", argument, inner)
        if count:
            self._implementation.call(argument, y, count, inner[0])
        return y

    def bind(self, x: np.ndarray, logits: np.ndarray) -> Callable[[], None]:
        """Return ``run``: each ``run()`` computes the logits of what is in x, in place.

        Parameters
        ----------
        x : ndarray, shape (..., steps, input)
        logits : ndarray, shape (..., classes)
            Of exactly this network's dtype, C-contiguous, aligned, not overlapping, logits
            writeable. Checked here, once, and kept alive by ``run``.

        Raises
        ------
        ShapeError, DtypeError, BufferLayoutError
            If they are not.
        """
        steps = self._steps(np.shape(x))
        inner = (steps, self.input_size)
        count = check_bound(x, logits, self.dtype, inner, (self.classes,), y_name="logits")
        if count == 0:
            return lambda: None
        return self._implementation.bind(x, logits, count, steps)

    def _steps(self, shape: tuple[int, ...]) -> int:
        if len(shape) < 2 or shape[-2] == 0 or shape[-1] != self.input_size:
            raise ShapeError(
                f"x has shape {shape}, but must be (..., steps, {self.input_size}) with at least "
                f"one step"
            )
        return shape[-2]

    def macs(self, steps: int) -> int:
        """Return the multiply-accumulates of one sequence: the gates at each step, and the head."""
        return steps * self._program.macs + self._head_macs

    def __repr__(self) -> str:
        return (
            f"<CompiledNetwork: {self.input_size} inputs, {self.classes} classes, "
            f"{self.parameters:,} parameters, {self.dtype}, {self.loader}>"
        )
