"""Dense: every entry of every gate matrix is a parameter."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from kplib.nn.structures.base import (
    ALL,
    Initializer,
    Structure,
    Weight,
    check_initializer,
    initial_variance,
)


@dataclass(frozen=True)
class Dense(Structure):
    """Gate matrices stored entry by entry, as in `torch.nn`.

    Parameters
    ----------
    init : {"pytorch", "glorot_uniform"}, optional
        Distribution of the initial entries: that of `torch.nn.LSTM` (the default), U(-k, k) with
        k = 1/sqrt(hidden); or TensorFlow's, with k = sqrt(6 / (input + hidden + gates * hidden)).

    Examples
    --------
    >>> from kplib.nn import Dense
    >>> weight = Dense().build(gates=4, rows=118, columns=128)
    >>> weight.params == weight.macs == 4 * 118 * 128
    True
    """

    init: Initializer = "pytorch"

    def __post_init__(self) -> None:
        check_initializer(self.init)

    def build(
        self,
        gates: int,
        rows: int,
        columns: int,
        *,
        stacks: Sequence[int] | None = None,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
    ) -> "DenseWeight":
        """Return a new, initialised `DenseWeight` of shape (gates, rows, columns)."""
        return DenseWeight(gates, rows, columns, init=self.init, device=device, dtype=dtype)


class DenseWeight(Weight):
    """The trainable weight of `Dense`.

    Attributes
    ----------
    W : torch.nn.Parameter, shape (gates, rows, columns)
        The gate matrices.
    """

    kind = "dense"

    def __init__(
        self,
        gates: int,
        rows: int,
        columns: int,
        *,
        init: Initializer = "pytorch",
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        super().__init__(gates, rows, columns)
        self.init = init
        self.W = nn.Parameter(torch.empty(gates, rows, columns, device=device, dtype=dtype))
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draw U(-k, k) with the variance k^2 / 3 of the initializer."""
        bound = (3 * initial_variance(self.init, self.gates, self.rows, self.columns)) ** 0.5
        nn.init.uniform_(self.W, -bound, bound)

    def matrix(self) -> Tensor:
        """Return `W`, shape (gates, rows, columns)."""
        return self.W

    def operator(self, gates: slice = ALL) -> Callable[[Tensor], Tensor]:
        """Return V (columns, batch) -> W V (gates, rows, batch), one matrix product."""
        W = self.W[gates]
        size = W.shape[:2]
        W = W.flatten(0, 1)

        def multiply(V: Tensor) -> Tensor:
            return (W @ V).unflatten(0, size)

        return multiply

    @property
    def macs(self) -> int:
        """Multiplications of one step of one sequence: gates * rows * columns."""
        return self.gates * self.rows * self.columns

    def extra_repr(self) -> str:
        """Describe the stack and its parameters."""
        return self._size()
