"""What every weight structure has in common, and the variance it starts with."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from typing import ClassVar, Literal, get_args

import torch
from torch import Tensor, nn

Initializer = Literal["pytorch", "glorot_uniform"]
ALL = slice(None)
"""Every gate."""


class Weight(nn.Module, ABC):
    """A trainable stack of gate matrices, shape (gates, rows, columns).

    Parameters
    ----------
    gates, rows, columns : int
        Size of the stack; in a recurrent layer rows is the hidden size, and columns is the input
        size plus the hidden size, since a gate's matrix is [W_x W_h].
    """

    kind: ClassVar[str]

    def __init__(self, gates: int, rows: int, columns: int) -> None:
        super().__init__()
        self.gates = gates
        self.rows = rows
        self.columns = columns

    @abstractmethod
    def matrix(self) -> Tensor:
        """Return the gate matrices, shape (gates, rows, columns); gradients flow through it."""

    @abstractmethod
    def operator(self, gates: slice = ALL) -> Callable[[Tensor], Tensor]:
        """Return the function V (columns, batch) -> (gates, rows, batch), of all gates or of some.

        It multiplies by every gate's matrix without forming it. What does not depend on V is done
        once, here, so that a loop over the steps can call the function at each of them.
        """

    @abstractmethod
    def reset_parameters(self) -> None:
        """Draw new initial values from torch's generator."""

    @property
    @abstractmethod
    def macs(self) -> int:
        """Multiplications of one step of one sequence, all gates."""

    @property
    def params(self) -> int:
        """Parameters stored, all gates."""
        return sum(p.numel() for p in self.parameters())

    @property
    def nbytes(self) -> int:
        """Bytes of the parameters, all gates."""
        return sum(p.numel() * p.element_size() for p in self.parameters())

    def _size(self) -> str:
        """Describe the stack and what it costs, for ``extra_repr``."""
        dense = self.gates * self.rows * self.columns
        saved = "" if self.params == dense else f" of {dense} ({dense / self.params:.1f}x fewer)"
        return (
            f"{self.gates} gates of {self.rows} x {self.columns}, {self.params} parameters{saved}"
        )


class Structure(ABC):
    """A frozen description of how gate matrices are made; ``build`` makes the trainable weight."""

    @abstractmethod
    def build(
        self,
        gates: int,
        rows: int,
        columns: int,
        *,
        stacks: Sequence[int] | None = None,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
    ) -> Weight:
        """Return a new, initialised weight for a stack of shape (gates, rows, columns).

        ``stacks`` says how many of the gates in a row multiply the same vector, as all of an
        LSTM's do; by default all.
        """


def check_initializer(init: str) -> None:
    """Raise ValueError unless `init` names an initializer."""
    if init not in get_args(Initializer):
        known = ", ".join(repr(name) for name in get_args(Initializer))
        raise ValueError(f"init is {init!r}, but must be one of {known}")


def initial_variance(init: Initializer, gates: int, rows: int, columns: int) -> float:
    """Return the variance of the entries of a dense gate matrix as it is initialised.

    Parameters
    ----------
    init : {"pytorch", "glorot_uniform"}
        ``"pytorch"``: what `torch.nn.LSTM` does, U(-k, k) with k = 1/sqrt(rows), so variance
        k^2 / 3 = 1 / (3 rows). ``"glorot_uniform"``: U(-k, k) with k = sqrt(6 / (fan_in +
        fan_out)), so variance 2 / (fan_in + fan_out); the fans are those of TensorFlow's kernel,
        which holds all gates side by side: fan_in = columns, fan_out = gates * rows.
    gates, rows, columns : int
        Size of the stack of gate matrices.

    Returns
    -------
    float
        The variance, larger than 0.

    Examples
    --------
    >>> from kplib.nn.structures.base import initial_variance
    >>> initial_variance("pytorch", 4, 12, 20) == 1 / 36
    True
    >>> initial_variance("glorot_uniform", 4, 12, 20) == 2 / (20 + 4 * 12)
    True
    """
    check_initializer(init)
    if init == "pytorch":
        return 1 / (3 * rows)
    return 2 / (columns + gates * rows)
