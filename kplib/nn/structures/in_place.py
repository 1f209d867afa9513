"""Kronecker products in a training loop: into buffers, and their gradients without autograd.

A loop over the steps of a sequence multiplies by the same factors at every step. Autograd would
record each product, and add up as many small gradients; here the products of a step write into
given buffers, and the gradients of the factors are those of several steps at once.
"""

from abc import ABC, abstractmethod

import torch
from torch import Tensor

from kplib.shapes import FactorShape


class StepProducts(ABC):
    """Products of A_g (x) B_g, for every gate g, with a batch of columns V, in buffers.

    Parameters
    ----------
    shape : FactorShape
        Of one gate's factors.
    A : Tensor, shape (gates, m1, n1)
        The left factors.
    B : Tensor, shape (gates, m2, n2)
        The right factors.

    Notes
    -----
    Every column of V is a matrix X (n1, n2), its product A X B^T. The first of the two products is
    kept in a buffer M, since the gradient needs it. All buffers are contiguous.
    """

    def __init__(self, shape: FactorShape, A: Tensor, B: Tensor) -> None:
        self.shape = shape
        self.gates = A.shape[0]

    @abstractmethod
    def middle_shape(self, batch: int) -> tuple[int, ...]:
        """Return the shape of M for one step."""

    @abstractmethod
    def multiply(self, V: Tensor, M: Tensor, Z: Tensor) -> None:
        """Write the products of V (n1*n2, batch) into M and Z (gates, m1*m2, batch)."""

    @abstractmethod
    def adjoint(self, dZ: Tensor, dM: Tensor, dV: Tensor) -> None:
        """Write the gradients of M and of V into dM and dV, from that of Z."""

    @abstractmethod
    def gradients(self, V: Tensor, M: Tensor, dZ: Tensor, dM: Tensor) -> tuple[Tensor, Tensor]:
        """Return the gradients of A and B; every argument has an axis of steps before the rest."""


def step_products(shape: FactorShape, A: Tensor, B: Tensor) -> StepProducts:
    """Return the products in the cheaper order, `FactorShape.order`.

    Examples
    --------
    >>> import torch
    >>> from kplib import FactorShape
    >>> shape, batch = FactorShape(5, 2, 3, 4), 7
    >>> A, B, V = torch.randn(6, 5, 2), torch.randn(6, 3, 4), torch.randn(8, batch)
    >>> products = step_products(shape, A, B)
    >>> M, Z = torch.empty(products.middle_shape(batch)), torch.empty(6, 15, batch)
    >>> products.multiply(V, M, Z)
    >>> torch.allclose(Z[3], torch.kron(A[3], B[3]) @ V, atol=1e-5)
    True
    """
    return (_BFirst if shape.order == "b_first" else _AFirst)(shape, A, B)


class _BFirst(StepProducts):
    """M[j, g] = B_g X_j^T for each row j of X, as one product of all gates; then A_g M[:, g]."""

    def __init__(self, shape: FactorShape, A: Tensor, B: Tensor) -> None:
        super().__init__(shape, A, B)
        self.A = A
        self.B = B.reshape(1, -1, shape.n2).expand(shape.n1, -1, -1).contiguous()

    def middle_shape(self, batch: int) -> tuple[int, ...]:
        return self.shape.n1, self.gates, self.shape.m2 * batch

    def _rows(self, V: Tensor) -> Tensor:
        """Return X_j^T for each row j of X, (n1, n2, batch)."""
        return V.view(self.shape.n1, self.shape.n2, -1)

    def _by_gate(self, Z: Tensor) -> Tensor:
        return Z.view(self.gates, self.shape.m1, -1)

    def multiply(self, V: Tensor, M: Tensor, Z: Tensor) -> None:
        torch.bmm(self.B, self._rows(V), out=M.view(self.shape.n1, -1, V.shape[-1]))
        torch.bmm(self.A, M.transpose(0, 1), out=self._by_gate(Z))

    def adjoint(self, dZ: Tensor, dM: Tensor, dV: Tensor) -> None:
        dM.transpose(0, 1).copy_(torch.bmm(self.A.transpose(1, 2), self._by_gate(dZ)))
        rows = dM.view(self.shape.n1, -1, dV.shape[-1])
        torch.bmm(self.B.transpose(1, 2), rows, out=self._rows(dV))

    def gradients(self, V: Tensor, M: Tensor, dZ: Tensor, dM: Tensor) -> tuple[Tensor, Tensor]:
        steps, batch, (m1, n1, m2, n2) = len(V), V.shape[-1], _sizes(self.shape)
        dZ = dZ.view(steps, self.gates, m1, m2 * batch)
        dA = [torch.bmm(dZ[:, g], M[:, :, g].transpose(1, 2)).sum(0) for g in range(self.gates)]
        rows = V.reshape(steps * n1, n2, batch).transpose(1, 2)
        dB = torch.bmm(dM.view(steps * n1, -1, batch), rows).sum(0)
        return torch.stack(dA), dB.view(self.gates, m2, n2)


class _AFirst(StepProducts):
    """M = A_g X, all gates one above the other; then B_g with each of its rows."""

    def __init__(self, shape: FactorShape, A: Tensor, B: Tensor) -> None:
        super().__init__(shape, A, B)
        self.A = A.reshape(-1, shape.n1)
        # B of each gate, once for every row of its A X
        repeated = B.unsqueeze(1).expand(-1, shape.m1, -1, -1)
        self.B = repeated.reshape(-1, shape.m2, shape.n2)

    def middle_shape(self, batch: int) -> tuple[int, ...]:
        return self.gates * self.shape.m1, self.shape.n2, batch

    def multiply(self, V: Tensor, M: Tensor, Z: Tensor) -> None:
        torch.mm(self.A, V.view(self.shape.n1, -1), out=M.view(len(M), -1))
        torch.bmm(self.B, M, out=Z.view(len(M), self.shape.m2, -1))

    def adjoint(self, dZ: Tensor, dM: Tensor, dV: Tensor) -> None:
        torch.bmm(self.B.transpose(1, 2), dZ.view(len(dM), self.shape.m2, -1), out=dM)
        torch.mm(self.A.T, dM.view(len(dM), -1), out=dV.view(self.shape.n1, -1))

    def gradients(self, V: Tensor, M: Tensor, dZ: Tensor, dM: Tensor) -> tuple[Tensor, Tensor]:
        steps, batch, (m1, n1, m2, n2) = len(V), V.shape[-1], _sizes(self.shape)
        X = V.reshape(steps, n1, n2 * batch).transpose(1, 2)
        dA = torch.bmm(dM.view(steps, -1, n2 * batch), X).sum(0)
        AX = M.view(-1, n2, batch).transpose(1, 2)
        dB = torch.bmm(dZ.view(-1, m2, batch), AX).view(steps, self.gates, m1, m2, n2)
        return dA.view(self.gates, m1, n1), dB.sum((0, 2))


def _sizes(shape: FactorShape) -> tuple[int, int, int, int]:
    return shape.m1, shape.n1, shape.m2, shape.n2
