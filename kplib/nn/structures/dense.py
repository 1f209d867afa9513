"""Dense: every entry of every gate matrix is a parameter."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from kplib.nn.structures.base import ALL, Structure, Weight, checked_stacks
from kplib.nn.structures.initial import Initializer, check_initializer, draw, initial_variances


@dataclass(frozen=True)
class Dense(Structure):
    """Gate matrices stored entry by entry, as in `torch.nn`.

    Parameters
    ----------
    init : {"pytorch", "glorot_uniform", "random_normal"}, optional
        Distribution of the initial entries: that of `torch.nn.LSTM` (the default), U(-k, k) with
        k = 1/sqrt(hidden); TensorFlow's, with k = sqrt(6 / (input + hidden + gates * hidden)) for
        the gates of one kernel; or EdgeML's, N(0, 0.1^2).

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
        return DenseWeight(
            gates, rows, columns, stacks=stacks, init=self.init, device=device, dtype=dtype
        )


class DenseWeight(Weight):
    """The trainable weight of `Dense`.

    Parameters
    ----------
    gates, rows, columns : int
        Size of the stack.
    stacks : sequence of int, optional
        Gates in a row that are initialised as one kernel; by default all.
    init, device, dtype : optional
        As of `Dense`, and as in `torch.nn`.

    Attributes
    ----------
    W : torch.nn.Parameter, shape (gates, rows, columns)
        The gate matrices.

    Examples
    --------
    >>> weight = DenseWeight(4, 118, 128)
    >>> weight.matrix().shape
    torch.Size([4, 118, 128])
    """

    kind = "dense"

    def __init__(
        self,
        gates: int,
        rows: int,
        columns: int,
        *,
        stacks: Sequence[int] | None = None,
        init: Initializer = "pytorch",
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        super().__init__(gates, rows, columns)
        self.stacks = checked_stacks(gates, stacks)
        self.init = init
        self.W = nn.Parameter(torch.empty(gates, rows, columns, device=device, dtype=dtype))
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draw the entries from the initializer's distribution."""
        draw_dense(self.W, self.stacks, self.init)

    def matrix(self) -> Tensor:
        """Return `W`, shape (gates, rows, columns)."""
        return self.W

    def operator(self, gates: slice = ALL) -> Callable[[Tensor], Tensor]:
        """Return V (columns, batch) -> W V (gates, rows, batch), one matrix product."""
        return dense_operator(self.W[gates])

    @property
    def macs(self) -> int:
        """Multiplications of one step of one sequence: gates * rows * columns."""
        return self.gates * self.rows * self.columns

    def _assign(self, W: Tensor) -> None:
        self.W.copy_(W)

    def extra_repr(self) -> str:
        """Describe the stack and its parameters."""
        return self._size()


def draw_dense(W: Tensor, stacks: Sequence[int], init: Initializer) -> None:
    """Fill W (gates, rows, columns) with the initializer's distribution, stack by stack."""
    variances = initial_variances(init, stacks, *W.shape[1:])
    for part, variance in zip(W.detach().split(stacks), variances, strict=True):
        draw(part, variance, init)


def dense_operator(W: Tensor) -> Callable[[Tensor], Tensor]:
    """Return V (columns, batch) -> W V (gates, rows, batch), one matrix product."""
    size = W.shape[:2]
    stacked = W.flatten(0, 1)

    def multiply(V: Tensor) -> Tensor:
        return (stacked @ V).unflatten(0, size)

    return multiply
