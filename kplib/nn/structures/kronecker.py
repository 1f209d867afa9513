"""Kronecker: each gate matrix is the Kronecker product of two small trained factors."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import cast

import torch
from torch import Tensor, nn

from kplib.errors import ShapeError
from kplib.nn.structures.base import (
    ALL,
    Initializer,
    Structure,
    Weight,
    check_initializer,
    initial_variance,
)
from kplib.shapes import FactorShape, algorithm4, as_factor_shape


@dataclass(frozen=True)
class Kronecker(Structure):
    """Gate matrices W = A (x) B, one pair of factors a gate.

    Parameters
    ----------
    shape : FactorShape or sequence of four int, optional
        (m1, n1, m2, n2): A is m1 x n1 and B is m2 x n2. By default `kplib.algorithm4` chooses, as
        the papers did, for a matrix of hidden x (input + hidden).
    init : {"pytorch", "glorot_uniform"}, optional
        The dense initializer whose variance the entries of A (x) B have at the start.

    Raises
    ------
    ShapeError
        If `shape` is not four positive integers; and from ``build`` (so from the layer), if A (x) B
        is not of the size of the gate matrices, or if none is given and Algorithm 4 is not
        defined for that size (a one or a prime).

    Notes
    -----
    Papers: "Compressing RNNs for IoT devices by 15-38x using Kronecker Products", section 3;
    factor shapes by its Algorithm 4.

    Examples
    --------
    >>> from kplib.nn import Kronecker
    >>> weight = Kronecker().build(gates=4, rows=118, columns=128)
    >>> print(weight.shape)
    (59, 8) x (2, 16)
    >>> weight.params == 4 * 504
    True
    >>> Kronecker((2, 2, 59, 64)).build(gates=4, rows=118, columns=128).matrix().shape
    torch.Size([4, 118, 128])
    """

    shape: FactorShape | Sequence[int] | None = None
    init: Initializer = "pytorch"

    def __post_init__(self) -> None:
        check_initializer(self.init)
        if self.shape is not None:
            object.__setattr__(self, "shape", as_factor_shape(self.shape))

    def build(
        self,
        gates: int,
        rows: int,
        columns: int,
        *,
        stacks: Sequence[int] | None = None,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
    ) -> "KroneckerWeight":
        """Return a new, initialised `KroneckerWeight` for gate matrices of rows x columns."""
        # __post_init__ left nothing but a FactorShape or None
        given = cast("FactorShape | None", self.shape)
        shape = algorithm4(rows, columns) if given is None else given
        if (shape.m, shape.n) != (rows, columns):
            raise ShapeError(
                f"{shape} makes a {shape.m} x {shape.n} matrix, but a gate's matrix is "
                f"{rows} x {columns}: hidden_size x (input_size + hidden_size)"
            )
        return KroneckerWeight(gates, shape, init=self.init, device=device, dtype=dtype)


class KroneckerWeight(Weight):
    """The trainable weight of `Kronecker`: factors of shape `shape` for each gate.

    Parameters
    ----------
    gates : int
        How many gate matrices.
    shape : FactorShape
        The shapes of A and B.
    init : {"pytorch", "glorot_uniform"}, optional
        The dense initializer whose variance the product's entries have.
    device, dtype : optional
        As in `torch.nn`.

    Attributes
    ----------
    A : torch.nn.Parameter, shape (gates, m1, n1)
        The left factors.
    B : torch.nn.Parameter, shape (gates, m2, n2)
        The right factors.
    shape : FactorShape
        The shapes of one gate's factors.
    """

    kind = "kronecker"

    def __init__(
        self,
        gates: int,
        shape: FactorShape,
        *,
        init: Initializer = "pytorch",
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        super().__init__(gates, shape.m, shape.n)
        self.shape = shape
        self.init = init
        self.A = nn.Parameter(torch.empty(gates, *shape.a_shape, device=device, dtype=dtype))
        self.B = nn.Parameter(torch.empty(gates, *shape.b_shape, device=device, dtype=dtype))
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draw both factors so that the entries of A (x) B have the dense initializer's variance.

        An entry of the product is w = a b with a and b independent and of mean 0, so

            E[w] = 0,   Var[w] = E[a^2] E[b^2] = Var[a] Var[b].

        Both factors get the same share, Var[a] = Var[b] = sigma, where sigma^2 is the variance of
        the dense initializer. As uniform distributions: a, b ~ U(-k, k) with k^2 / 3 = sigma.

        With equal variance a row of A (x) B times an input is as large, on average, as a dense row
        times it. The entries are not independent, though: the same energy sits in fewer
        directions, so the largest singular value starts larger than that of the dense matrix.
        """
        variance = initial_variance(self.init, self.gates, self.rows, self.columns)
        bound = (3 * variance**0.5) ** 0.5
        nn.init.uniform_(self.A, -bound, bound)
        nn.init.uniform_(self.B, -bound, bound)

    def matrix(self) -> Tensor:
        """Return A (x) B, shape (gates, m1*m2, n1*n2), by broadcasting (the papers' Algorithm 3).

        W[g, i1*m2 + i2, j1*n2 + j2] = A[g, i1, j1] * B[g, i2, j2]
        """
        product = self.A[:, :, None, :, None] * self.B[:, None, :, None, :]
        return product.reshape(self.gates, self.rows, self.columns)

    def operator(self, gates: slice = ALL) -> Callable[[Tensor], Tensor]:
        """Return V (n1*n2, batch) -> (A (x) B) V of shape (gates, m1*m2, batch).

        Every column of V is a matrix X (n1, n2), and the result's column is A X B^T (m1, m2).
        The cheaper order is taken: A (X B^T) or (A X) B^T (`FactorShape.order`).
        """
        multiply = _b_first if self.shape.order == "b_first" else _a_first
        return multiply(self.shape, self.A[gates], self.B[gates])

    @property
    def macs(self) -> int:
        """Multiplications of one step of one sequence in the cheaper order: gates * shape.macs."""
        return self.gates * self.shape.macs

    def extra_repr(self) -> str:
        """Describe the factors, the stack and its parameters."""
        return f"A (x) B with {self.shape}, {self._size()}"


def _b_first(shape: FactorShape, A: Tensor, B: Tensor) -> Callable[[Tensor], Tensor]:
    """Multiply by A (x) B of each gate as A (X B^T)."""
    m1, n1, m2, n2 = shape.m1, shape.n1, shape.m2, shape.n2
    gates = len(A)
    # the gates share X: one product with their B stacked, for each of the n1 rows of X
    stacked = B.reshape(1, gates * m2, n2).expand(n1, -1, -1)

    def multiply(V: Tensor) -> Tensor:
        batch = V.shape[-1]
        XBt = torch.bmm(stacked, V.reshape(n1, n2, batch))  # (n1, gates*m2, batch)
        XBt = XBt.view(n1, gates, m2 * batch).transpose(0, 1)
        return torch.bmm(A, XBt).view(gates, m1 * m2, batch)

    return multiply


def _a_first(shape: FactorShape, A: Tensor, B: Tensor) -> Callable[[Tensor], Tensor]:
    """Multiply by A (x) B of each gate as (A X) B^T."""
    m1, n1, m2, n2 = shape.m1, shape.n1, shape.m2, shape.n2
    gates = len(A)
    stacked = A.reshape(gates * m1, n1)
    # B of each gate, once for every row of its A X
    repeated = B.unsqueeze(1).expand(-1, m1, -1, -1).reshape(gates * m1, m2, n2)

    def multiply(V: Tensor) -> Tensor:
        batch = V.shape[-1]
        AX = (stacked @ V.reshape(n1, n2 * batch)).view(gates * m1, n2, batch)
        return torch.bmm(repeated, AX).view(gates, m1 * m2, batch)

    return multiply
