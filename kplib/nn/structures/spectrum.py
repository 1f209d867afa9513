"""Singular values of stacks of matrices, in double precision on the CPU, without gradients."""

import torch
from torch import Tensor, nn


def in_double(values: Tensor) -> Tensor:
    """Return a copy in double precision on the CPU, detached.

    There the small matrices of a cell are quick, and half precision and all devices are served.
    """
    dtype = torch.complex128 if values.is_complex() else torch.float64
    return values.detach().to("cpu", dtype)


def singular_values(W: Tensor) -> Tensor:
    """Return those of each matrix of a stack, (..., m, n) -> (..., min(m, n)), descending."""
    return torch.linalg.svdvals(W)


def kron_singular_values(A: Tensor, B: Tensor) -> Tensor:
    """Return those of A (x) B, (..., m1, n1) and (..., m2, n2) -> (..., min(m1*m2, n1*n2)).

    They are all products of one singular value of A and one of B, and zeros where a wide factor
    meets a tall one.
    """
    products = singular_values(A).unsqueeze(-1) * singular_values(B).unsqueeze(-2)
    count = min(A.shape[-2] * B.shape[-2], A.shape[-1] * B.shape[-1])
    return with_zeros(products.flatten(-2).sort(descending=True).values, count)


def product_singular_values(U: Tensor, V: Tensor) -> Tensor:
    """Return those of U V, (..., m, k) and (..., k, n) -> (..., min(m, n)).

    With U = Q R and V^T = P S they are those of R S^T, which is k x k where k < m, n.
    """
    R, S = torch.linalg.qr(U).R, torch.linalg.qr(V.mT).R
    return with_zeros(singular_values(R @ S.mT), min(U.shape[-2], V.shape[-1]))


def with_zeros(values: Tensor, count: int) -> Tensor:
    """Return the values with zeros after them, or the largest of them: (..., count)."""
    return nn.functional.pad(values, (0, count - values.shape[-1]))
