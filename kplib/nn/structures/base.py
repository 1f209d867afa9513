"""What every weight structure has in common."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from typing import ClassVar

import torch
from torch import Tensor, nn

from kplib._checks import positive_integer
from kplib.errors import DtypeError, ShapeError
from kplib.nn.structures.spectrum import in_double, singular_values

ALL = slice(None)
"""Every gate."""


class Weight(nn.Module, ABC):
    """A trainable stack of gate matrices, shape (gates, rows, columns).

    Parameters
    ----------
    gates, rows, columns : int
        Size of the stack; in a recurrent layer rows is the hidden size, and columns is the input
        size plus the hidden size, since a gate's matrix is [W_x W_h].

    Notes
    -----
    A new structure is a subclass with a name for ``kind``, `matrix`, `operator`,
    `reset_parameters` and `macs`, and a `Structure` whose ``build`` makes it; every layer then
    takes it. Optional: ``_assign``, with which `assign` works, and cheaper singular values. The
    parameters are `torch.nn.Parameter` attributes, what is fixed but saved are buffers. In all
    methods, ``matrix()`` is the truth: ``operator()`` has to give ``matrix() @ V``.

    Examples
    --------
    Gate matrices with one number a row:

    >>> import torch
    >>> from kplib.nn import LSTM
    >>> from kplib.nn.structures import Structure, Weight
    >>> class RowWeight(Weight):
    ...     kind = "rows"
    ...     def __init__(self, gates, rows, columns, **factory):
    ...         super().__init__(gates, rows, columns)
    ...         self.scale = torch.nn.Parameter(torch.empty(gates, rows, 1, **factory))
    ...         self.reset_parameters()
    ...     def reset_parameters(self):
    ...         torch.nn.init.uniform_(self.scale, -0.1, 0.1)
    ...     def matrix(self):
    ...         return self.scale.expand(-1, -1, self.columns)
    ...     def operator(self, gates=slice(None)):
    ...         scale = self.scale[gates]
    ...         return lambda V: scale * V.sum(0)
    ...     @property
    ...     def macs(self):
    ...         return self.gates * self.rows
    >>> class Rows(Structure):
    ...     def build(self, gates, rows, columns, *, stacks=None, device=None, dtype=None):
    ...         return RowWeight(gates, rows, columns, device=device, dtype=dtype)
    >>> layer = LSTM(10, 118, weight=Rows())
    >>> layer(torch.randn(25, 100, 10))[0].shape
    torch.Size([25, 100, 118])
    >>> layer.weight.singular_values().shape
    torch.Size([4, 118])
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

        ``gates`` is a slice without a step. The function multiplies by every gate's matrix, by what
        it is made of wherever that is cheaper. What does not depend on V is done once, here, so
        that a loop over the steps can call the function at each of them.
        """

    @abstractmethod
    def reset_parameters(self) -> None:
        """Draw new initial values from torch's generator."""

    @property
    @abstractmethod
    def macs(self) -> int:
        """Multiplications of one step of one sequence, all gates."""

    @property
    def operator_macs(self) -> int:
        """Multiplications a column of V takes in `operator`: `macs` where that saves all it can."""
        return self.macs

    @property
    def is_complex(self) -> bool:
        """Whether the matrices are complex, made of twice as many real parameters."""
        return False

    @property
    def params(self) -> int:
        """Parameters stored, all gates."""
        return sum(p.numel() for p in self.parameters())

    @property
    def nbytes(self) -> int:
        """Bytes of the parameters, all gates."""
        return sum(p.numel() * p.element_size() for p in self.parameters())

    def singular_values(self) -> Tensor:
        """Return each gate matrix's singular values, (gates, min(rows, columns)).

        In descending order, zeros included; computed in double precision without gradients, from
        the factors where that is cheaper than from the matrix, and returned in the parameters'
        dtype.
        """
        return self._returned(singular_values(in_double(self.matrix())))

    def stacked_singular_values(self) -> Tensor:
        """Return the singular values of the stacked matrix, (min(gates * rows, columns),).

        It is the gate matrices one above the other, (gates * rows, columns); otherwise as
        `singular_values`.
        """
        return self._returned(singular_values(in_double(self.matrix()).flatten(0, 1)))

    @torch.no_grad()
    def assign(self, W: Tensor) -> float:
        """Set the parameters so that `matrix` is as near to W as it can be.

        Parameters
        ----------
        W : Tensor, shape (gates, rows, columns)
            The matrices to come near to, in the Frobenius norm.

        Returns
        -------
        float
            The relative error ||W - matrix()|| / ||W|| of the whole stack; 0 if W is 0.

        Raises
        ------
        ShapeError
            If W has another shape.
        DtypeError
            If W is complex and the gate matrices are real.
        ValueError
            If W has NaN or infinite entries, or no way is known to find the nearest matrix.

        Notes
        -----
        Computed in double precision on the CPU; the error is that of the parameters as they are
        stored, rounding included.
        """
        expected = (self.gates, self.rows, self.columns)
        if tuple(W.shape) != expected:
            raise ShapeError(
                f"W has shape {tuple(W.shape)}, but the gate matrices are {expected}: "
                "(gates, rows, columns)"
            )
        if W.is_complex() and not self.is_complex:
            raise DtypeError(f"W is {W.dtype}, but the gate matrices are real")
        W = in_double(W)
        bad = int((~torch.isfinite(W)).sum())
        if bad:
            raise ValueError(f"W has {bad} NaN or infinite entries")
        self._assign(W)
        norm = torch.linalg.vector_norm(W)
        error = torch.linalg.vector_norm(W - in_double(self.matrix()))
        return float(error / norm) if norm > 0 else 0.0

    def _assign(self, W: Tensor) -> None:
        """Set the parameters for `assign`, without gradients; W is checked, float64, on the CPU."""
        raise ValueError(f"there is no way to find the nearest matrix of kind {self.kind!r}")

    def _returned(self, values: Tensor) -> Tensor:
        """Return what was computed in double precision in the dtype and place of the parameters."""
        like = next(self.parameters())
        return values.to(like.device, like.dtype)

    def _size(self) -> str:
        """Describe the stack and what it costs, for ``extra_repr``."""
        dense = self.gates * self.rows * self.columns * (2 if self.is_complex else 1)
        saved = "" if self.params == dense else f" of {dense} ({dense / self.params:.1f}x fewer)"
        return (
            f"{self.gates} gates of {self.rows} x {self.columns}, {self.params} parameters{saved}"
        )


class Structure(ABC):
    """A frozen description of how gate matrices are made; ``build`` makes the trainable weight.

    Examples
    --------
    >>> from kplib.nn import GRU, Dense, Kronecker
    >>> from kplib.nn.structures import Structure
    >>> all(isinstance(structure, Structure) for structure in (Dense(), Kronecker()))
    True
    >>> Kronecker().build(gates=3, rows=154, columns=164).matrix().shape
    torch.Size([3, 154, 164])

    A structure of your own: see `Weight`.
    """

    @property
    def is_complex(self) -> bool:
        """Whether the weight is complex, and with it the layer's state."""
        return False

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

        ``stacks`` says how many gates in a row multiply the same vector, so that a structure may
        treat their matrices as one: (4,) for an LSTM, by default all gates; (2, 1) for a GRU that
        resets before the product.
        """


def checked_stacks(gates: int, stacks: Sequence[int] | None) -> tuple[int, ...]:
    """Return how many gates each stack has, one stack by default; a ShapeError if it is not all."""
    if stacks is None:
        return (gates,)
    stacks = tuple(positive_integer("a stack", size) for size in stacks)
    if sum(stacks) != gates:
        raise ShapeError(f"stacks {stacks} have {sum(stacks)} gates, but there are {gates}")
    return stacks


def stack_spans(stacks: Sequence[int], gates: slice = ALL) -> list[tuple[int, slice]]:
    """Return the stacks that these gates are of, and which gates of each, counted within it.

    Examples
    --------
    >>> stack_spans((2, 1), slice(1, 3)) == [(0, slice(1, 2)), (1, slice(0, 1))]
    True
    """
    start, stop, _ = gates.indices(sum(stacks))
    spans, first = [], 0
    for k, size in enumerate(stacks):
        low, high = max(start, first), min(stop, first + size)
        if low < high:
            spans.append((k, slice(low - first, high - first)))
        first += size
    return spans
