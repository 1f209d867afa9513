"""Sums of Kronecker products of stacks of factors.

A is (gates, terms, m1, n1), B is (gates, terms, m2, n2), and
W_g = A_g1 (x) B_g1 + ... + A_gk (x) B_gk. One product is a sum of one term, at no extra cost.
"""

from collections.abc import Callable

import torch
from torch import Tensor

from kplib.errors import ShapeError
from kplib.kron import nearest_kron
from kplib.nn.structures.initial import Initializer, Match, dense_spectral_norm, draw, scale_pair
from kplib.nn.structures.spectrum import in_double, kron_singular_values, singular_values
from kplib.shapes import FactorShape

Operator = Callable[[Tensor], Tensor]


def require_size(shape: FactorShape, rows: int, columns: int, what: str) -> None:
    """Raise a ShapeError unless factors of this shape multiply out to rows x columns."""
    if (shape.m, shape.n) != (rows, columns):
        raise ShapeError(
            f"{shape} makes a {shape.m} x {shape.n} matrix, but {what} is {rows} x {columns}"
        )


def require_terms(shape: FactorShape, terms: int) -> None:
    """Raise a ShapeError if a sum of fewer products makes every matrix."""
    most = min(shape.m1 * shape.n1, shape.m2 * shape.n2)
    if terms > most:
        raise ShapeError(
            f"terms is {terms}, but a sum of {most} products {shape} makes every "
            f"{shape.m} x {shape.n} matrix"
        )


def kron_matrix(A: Tensor, B: Tensor) -> Tensor:
    """Return W, shape (gates, m1*m2, n1*n2).

    W[g, i1*m2 + i2, j1*n2 + j2] = sum over t of A[g, t, i1, j1] * B[g, t, i2, j2]

    A product of (m1*n1, terms) and (terms, m2*n2), rearranged: quicker than to broadcast (the
    papers' Algorithm 3) for one term, too, since its gradient is two products and not two sums.
    """
    gates, _, m1, n1 = A.shape
    m2, n2 = B.shape[2:]
    products = A.flatten(2).transpose(1, 2) @ B.flatten(2)
    blocks = products.view(gates, m1, n1, m2, n2).transpose(2, 3)
    return blocks.reshape(gates, m1 * m2, n1 * n2)


def kron_operator(shape: FactorShape, A: Tensor, B: Tensor) -> Operator:
    """Return V (n1*n2, batch) -> W V (gates, m1*m2, batch).

    Every column of V is a matrix X (n1, n2), and the result's column is the sum of A X B^T
    (m1, m2). The cheaper order is taken: A (X B^T) or (A X) B^T (`FactorShape.order`).
    """
    return (_b_first if shape.order == "b_first" else _a_first)(shape, A, B)


def _b_first(shape: FactorShape, A: Tensor, B: Tensor) -> Operator:
    """Multiply as [A_1 ... A_k] times the X B_t^T one above the other."""
    m1, n1, m2, n2 = shape.m1, shape.n1, shape.m2, shape.n2
    gates, terms = A.shape[:2]
    wide = A.transpose(1, 2).reshape(gates, m1, terms * n1)
    # the gates share X: one product with their B stacked, for each of the n1 rows of X
    stacked = B.reshape(1, gates * terms * m2, n2).expand(n1, -1, -1)

    def multiply(V: Tensor) -> Tensor:
        batch = V.shape[-1]
        XBt = torch.bmm(stacked, V.reshape(n1, n2, batch))  # (n1, gates*terms*m2, batch)
        XBt = XBt.view(n1, gates * terms, m2 * batch).transpose(0, 1)
        if terms > 1:  # each gate's terms one above the other, which takes a copy
            XBt = XBt.reshape(gates, terms * n1, m2 * batch)
        return torch.bmm(wide, XBt).view(gates, m1 * m2, batch)

    return multiply


def _a_first(shape: FactorShape, A: Tensor, B: Tensor) -> Operator:
    """Multiply as [B_1 ... B_k] times the columns of the A_t X."""
    m1, n1, m2, n2 = shape.m1, shape.n1, shape.m2, shape.n2
    gates, terms = A.shape[:2]
    stacked = A.transpose(1, 2).reshape(gates * m1 * terms, n1)
    wide = B.transpose(1, 2).reshape(gates, 1, m2, terms * n2)
    # B of each gate, once for every row of its A X
    repeated = wide.expand(-1, m1, -1, -1).reshape(gates * m1, m2, terms * n2)

    def multiply(V: Tensor) -> Tensor:
        batch = V.shape[-1]
        AX = (stacked @ V.reshape(n1, n2 * batch)).view(gates * m1, terms * n2, batch)
        return torch.bmm(repeated, AX).view(gates, m1 * m2, batch)

    return multiply


def draw_factors(A: Tensor, B: Tensor, variance: float, init: Initializer, match: Match) -> None:
    """Draw A and B so that the entries of W have this variance, or W the spectral norm with it.

    An entry is a sum of products a b of independent numbers of mean 0, so

        E[w] = 0,   Var[w] = terms * Var[a] Var[b].

    Both factors get the same share, Var[a] = Var[b] = sqrt(variance / terms). What that makes of
    the largest singular value, and ``match="spectral_norm"``: `kplib.nn.structures.initial`.
    """
    share = (variance / A.shape[1]) ** 0.5
    for factor in (A, B):
        draw(factor, share, init)
    if match == "spectral_norm" and not A.is_meta:
        rows, columns = A.shape[2] * B.shape[2], A.shape[3] * B.shape[3]
        norms = factor_singular_values(A, B)[:, 0]
        scale_pair(A, B, norms, dense_spectral_norm(variance, rows, columns))


def factor_singular_values(A: Tensor, B: Tensor) -> Tensor:
    """Return the singular values of each W, (gates, min(m, n)); without W if there is one term."""
    A, B = in_double(A), in_double(B)
    if A.shape[1] == 1:
        return kron_singular_values(A[:, 0], B[:, 0])
    return singular_values(kron_matrix(A, B))


@torch.no_grad()
def assign_nearest(A: Tensor, B: Tensor, W: Tensor) -> None:
    """Set A and B to the nearest sums of products to W (gates, m, n), in float64 on the CPU."""
    terms = A.shape[1]
    for a, b, w in zip(A, B, W, strict=True):
        shape = FactorShape(*a.shape[1:], *b.shape[1:])
        left, right = nearest_kron(w.numpy(), shape, terms=terms)
        a.copy_(torch.from_numpy(left).view(a.shape))
        b.copy_(torch.from_numpy(right).view(b.shape))
