"""Weights of two weights: [W_x W_h] with W_x and W_h made apart, and W = R + iJ of real numbers."""

from collections.abc import Callable

import torch
from torch import Tensor

from kplib.nn.structures.base import ALL, Weight


class SplitWeight(Weight):
    """Gate matrices [W_x W_h] whose two blocks are weights of their own.

    Parameters
    ----------
    input : Weight
        Makes W_x, shape (gates, rows, columns of the input).
    hidden : Weight
        Makes W_h, shape (gates, rows, rows).

    Attributes
    ----------
    input, hidden : Weight
        As given. Both products are ready apart: W_x of all steps at once, W_h step by step.

    Examples
    --------
    >>> import torch
    >>> from kplib.nn.structures import DenseWeight
    >>> weight = SplitWeight(DenseWeight(4, 6, 3), DenseWeight(4, 6, 6))
    >>> torch.equal(weight.matrix(), torch.cat([weight.input.matrix(), weight.hidden.matrix()], -1))
    True
    """

    kind = "split"

    def __init__(self, input: Weight, hidden: Weight) -> None:
        super().__init__(hidden.gates, hidden.rows, input.columns + hidden.columns)
        self.input = input
        self.hidden = hidden

    @property
    def is_complex(self) -> bool:
        """Whether the matrices are complex: those of W_h."""
        return self.hidden.is_complex

    def reset_parameters(self) -> None:
        """Draw new initial values of both blocks."""
        self.input.reset_parameters()
        self.hidden.reset_parameters()

    def matrix(self) -> Tensor:
        """Return [W_x W_h], shape (gates, rows, columns)."""
        return torch.cat((self.input.matrix(), self.hidden.matrix()), 2)

    def operator(self, gates: slice = ALL) -> Callable[[Tensor], Tensor]:
        """Return V (columns, batch) -> W_x (upper rows of V) + W_h (the rest)."""
        of_x, of_h = self.input.operator(gates), self.hidden.operator(gates)
        inputs = self.input.columns

        def multiply(V: Tensor) -> Tensor:
            return of_x(V[:inputs]) + of_h(V[inputs:])

        return multiply

    @property
    def macs(self) -> int:
        """Multiplications of one step of one sequence, those of both blocks."""
        return self.input.macs + self.hidden.macs

    @property
    def operator_macs(self) -> int:
        """Multiplications a column of V takes in `operator`, those of both blocks."""
        return self.input.operator_macs + self.hidden.operator_macs

    def _assign(self, W: Tensor) -> None:
        W_x, W_h = W.split((self.input.columns, self.hidden.columns), dim=2)
        self.input._assign(W_x)
        self.hidden._assign(W_h)


class ComplexWeight(Weight):
    """Complex gate matrices R + iJ, whose real and imaginary parts one real weight makes.

    Parameters
    ----------
    parts : Weight
        Twice as many matrices: R and J of the first gate, R and J of the second, and so on.

    Attributes
    ----------
    parts : Weight
        As given; the parameters are real numbers, two for every complex one.

    Examples
    --------
    >>> from kplib.nn.structures import DenseWeight
    >>> weight = ComplexWeight(DenseWeight(2, 6, 9))
    >>> weight.matrix().shape, weight.matrix().is_complex()
    (torch.Size([1, 6, 9]), True)
    """

    kind = "complex"

    def __init__(self, parts: Weight) -> None:
        super().__init__(parts.gates // 2, parts.rows, parts.columns)
        self.parts = parts

    @property
    def is_complex(self) -> bool:
        """True."""
        return True

    def reset_parameters(self) -> None:
        """Draw R and J each as the real weight does, so E|w|^2 is twice a real entry's variance."""
        self.parts.reset_parameters()

    def matrix(self) -> Tensor:
        """Return R + iJ, complex, shape (gates, rows, columns)."""
        return _joined(self.parts.matrix())

    def operator(self, gates: slice = ALL) -> Callable[[Tensor], Tensor]:
        """Return V (columns, batch) -> complex (gates, rows, batch); V is real or complex."""
        start, stop, _ = gates.indices(self.gates)
        of_parts = self.parts.operator(slice(2 * start, 2 * stop))

        def multiply(V: Tensor) -> Tensor:
            if not V.is_complex():
                return _joined(of_parts(V))
            of_real, of_imag = _joined(of_parts(torch.cat((V.real, V.imag), 1))).chunk(2, 2)
            return of_real + 1j * of_imag

        return multiply

    def _assign(self, W: Tensor) -> None:
        parts = torch.view_as_real(W.to(torch.complex128))
        self.parts._assign(parts.movedim(3, 1).flatten(0, 1))

    @property
    def macs(self) -> int:
        """Real multiplications of one step of one sequence with a real V; twice that if complex."""
        return self.parts.macs


def _joined(parts: Tensor) -> Tensor:
    """Return R + iJ from R, J, R, J, ... along the first axis."""
    return torch.complex(*parts.unflatten(0, (-1, 2)).unbind(1))
