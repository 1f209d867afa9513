"""Products with Kronecker-structured matrices on NumPy arrays, without forming the matrices.

Row-major throughout: ``y = (A (x) B) x`` is ``Y = A X B^T`` with ``X = x.reshape(n1, n2)`` and
``y = Y.reshape(m1 * m2)``. The papers' ``Y = B X A^T`` is the same product in column-major order.

Dtypes: the result has the dtype that NumPy promotes the arguments to, except that nothing is
computed in fewer than 32 bits. float32 stays float32; float16 gives float32; booleans and integers
give int64, exactly. A result that int64 cannot hold is a DtypeError, never a wrapped number. Any
strides and memory orders are accepted. A NaN in an argument makes those entries NaN that it would
make NaN in the dense product.
"""

import math
from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import ArrayLike

from kplib._checks import Array, inexact, matrix, positive_integer, promote, vectors
from kplib._scaling import exponent, times_power_of_two
from kplib.errors import DtypeError, ShapeError
from kplib.shapes import FactorShape, as_factor_shape

__all__ = [
    "chain_matvec",
    "chain_rmatvec",
    "hybrid_matvec",
    "hybrid_rmatvec",
    "kron_matvec",
    "kron_rmatvec",
    "nearest_kron",
    "rearrangement",
]


def kron_matvec(A: ArrayLike, B: ArrayLike, x: ArrayLike) -> Array:
    """Multiply (A (x) B) by a vector, or by each vector of a batch.

    Parameters
    ----------
    A : array_like, shape (m1, n1)
        Left factor.
    B : array_like, shape (m2, n2)
        Right factor.
    x : array_like, shape (..., n1 * n2)
        Vectors along the last axis.

    Returns
    -------
    ndarray, shape (..., m1 * m2)
        ``np.kron(A, B) @ x`` for each x.

    Raises
    ------
    ShapeError
        If a factor is not a matrix, is empty, or x has another number of entries.
    DtypeError
        If a dtype is not bool, integer, float or complex, or an integer result overflows int64.

    Notes
    -----
    ``Y = A X B^T``, multiplied in the cheaper order: ``FactorShape(m1, n1, m2, n2).macs``
    multiplications a vector, against m1*m2*n1*n2 for the dense matrix.

    References
    ----------
    "Compressing RNNs for IoT devices by 15-38x using Kronecker Products" (arXiv:1906.02876),
    algorithm 1, which fixes the order (B X) A^T.

    Examples
    --------
    >>> import numpy as np
    >>> rng = np.random.default_rng(0)
    >>> A = rng.integers(-9, 10, (2, 3))
    >>> B = rng.integers(-9, 10, (5, 4))
    >>> x = rng.integers(-9, 10, (7, 12))
    >>> np.array_equal(kron_matvec(A, B, x), x @ np.kron(A, B).T)
    True
    """
    A, B, x = promote([("A", matrix("A", A)), ("B", matrix("B", B)), ("x", vectors("x", x))])
    _require_entries("x", x, _factor_names(A, B), (A.shape[1], B.shape[1]))
    return _product([A, B], x)


def kron_rmatvec(A: ArrayLike, B: ArrayLike, y: ArrayLike) -> Array:
    """Multiply the adjoint (conjugate transpose) of A (x) B by a vector or a batch.

    Parameters
    ----------
    A : array_like, shape (m1, n1)
        Left factor.
    B : array_like, shape (m2, n2)
        Right factor.
    y : array_like, shape (..., m1 * m2)
        Vectors along the last axis.

    Returns
    -------
    ndarray, shape (..., n1 * n2)
        ``np.kron(A, B).conj().T @ y`` for each y.

    Raises
    ------
    ShapeError, DtypeError
        As `kron_matvec`.

    Notes
    -----
    (A (x) B)^H = A^H (x) B^H, so this costs ``FactorShape(n1, m1, n2, m2).macs`` multiplications
    a vector.

    Examples
    --------
    The adjoint K^H is defined by <K x, y> = <x, K^H y>:

    >>> import numpy as np
    >>> rng = np.random.default_rng(0)
    >>> A, B = rng.standard_normal((2, 3)) + 1j, rng.standard_normal((5, 4)) - 2j
    >>> x, y = rng.standard_normal(12), rng.standard_normal(10)
    >>> left = np.vdot(y, kron_matvec(A, B, x))
    >>> bool(np.isclose(left, np.vdot(kron_rmatvec(A, B, y), x)))
    True
    """
    A, B, y = promote([("A", matrix("A", A)), ("B", matrix("B", B)), ("y", vectors("y", y))])
    _require_entries("y", y, _factor_names(A, B), (A.shape[0], B.shape[0]))
    return _product([A.conj().T, B.conj().T], y)


def hybrid_matvec(D: ArrayLike, A: ArrayLike, B: ArrayLike, x: ArrayLike) -> Array:
    """Multiply the hybrid matrix [D; A (x) B], dense rows on top, by a vector or a batch.

    Parameters
    ----------
    D : array_like, shape (r, n1 * n2)
        Dense upper rows; r = 0 is allowed.
    A : array_like, shape (m1, n1)
        Left factor.
    B : array_like, shape (m2, n2)
        Right factor.
    x : array_like, shape (..., n1 * n2)
        Vectors along the last axis.

    Returns
    -------
    ndarray, shape (..., r + m1 * m2)
        ``np.vstack([D, np.kron(A, B)]) @ x`` for each x.

    Raises
    ------
    ShapeError
        If the columns of D or the entries of x do not number n1 * n2, or as `kron_matvec`.
    DtypeError
        As `kron_matvec`.

    Notes
    -----
    r*n + ``FactorShape(m1, n1, m2, n2).macs`` multiplications a vector.

    References
    ----------
    "Compressing RNNs for IoT devices by 15-38x using Kronecker Products" (arXiv:1906.02876),
    algorithm 2.

    Examples
    --------
    >>> import numpy as np
    >>> rng = np.random.default_rng(0)
    >>> D = rng.integers(-9, 10, (3, 12))
    >>> A, B = rng.integers(-9, 10, (2, 3)), rng.integers(-9, 10, (5, 4))
    >>> x = rng.integers(-9, 10, 12)
    >>> np.array_equal(hybrid_matvec(D, A, B, x), np.vstack([D, np.kron(A, B)]) @ x)
    True
    """
    D, A, B, x = promote([*_hybrid(D, A, B), ("x", vectors("x", x))])
    _require_entries("x", x, _factor_names(A, B), (A.shape[1], B.shape[1]))
    return np.concatenate([_product([D], x), _product([A, B], x)], axis=-1)


def hybrid_rmatvec(D: ArrayLike, A: ArrayLike, B: ArrayLike, y: ArrayLike) -> Array:
    """Multiply the adjoint of the hybrid matrix [D; A (x) B] by a vector or a batch.

    Parameters
    ----------
    D : array_like, shape (r, n1 * n2)
        Dense upper rows; r = 0 is allowed.
    A : array_like, shape (m1, n1)
        Left factor.
    B : array_like, shape (m2, n2)
        Right factor.
    y : array_like, shape (..., r + m1 * m2)
        Vectors along the last axis.

    Returns
    -------
    ndarray, shape (..., n1 * n2)
        ``np.vstack([D, np.kron(A, B)]).conj().T @ y`` for each y.

    Raises
    ------
    ShapeError
        If the columns of D do not number n1 * n2, or the entries of y r + m1 * m2.
    DtypeError
        As `kron_matvec`.

    Notes
    -----
    r*n + ``FactorShape(n1, m1, n2, m2).macs`` multiplications a vector.

    Examples
    --------
    >>> import numpy as np
    >>> rng = np.random.default_rng(0)
    >>> D = rng.integers(-9, 10, (3, 12))
    >>> A, B = rng.integers(-9, 10, (2, 3)), rng.integers(-9, 10, (5, 4))
    >>> y = rng.integers(-9, 10, 13)
    >>> np.array_equal(hybrid_rmatvec(D, A, B, y), np.vstack([D, np.kron(A, B)]).T @ y)
    True
    """
    D, A, B, y = promote([*_hybrid(D, A, B), ("y", vectors("y", y))])
    rows = D.shape[0]
    if y.shape[-1] != rows + A.shape[0] * B.shape[0]:
        raise ShapeError(
            f"{_entries('y', y)}, but D {D.shape}, {_factor_names(A, B)} need {rows} + "
            f"{A.shape[0]} * {B.shape[0]} = {rows + A.shape[0] * B.shape[0]}"
        )
    upper = _product([D.conj().T], y[..., :rows])
    lower = _product([A.conj().T, B.conj().T], y[..., rows:])
    return _sum(upper, lower)


def chain_matvec(factors: Iterable[ArrayLike], x: ArrayLike) -> Array:
    """Multiply F1 (x) F2 (x) ... (x) Fk by a vector, or by each vector of a batch.

    Parameters
    ----------
    factors : iterable of array_like, shapes (m_i, n_i)
        One factor or more, each of any rectangular shape.
    x : array_like, shape (..., n_1 * ... * n_k)
        Vectors along the last axis.

    Returns
    -------
    ndarray, shape (..., m_1 * ... * m_k)
        The product for each x.

    Raises
    ------
    ShapeError
        If there is no factor, one is not a matrix or is empty, or x has another number of entries.
    DtypeError
        As `kron_matvec`.

    Notes
    -----
    x is a tensor of shape (n_1, ..., n_k) whose axis i is multiplied by F_i: one product a factor,
    nothing is expanded. The order does not change the result but the cost. Of two factors i and j,
    i is cheaper first if and only if 1/n_i - 1/m_i < 1/n_j - 1/m_j, whatever the other sizes are;
    so ascending 1/n - 1/m is the cheapest of all k! orders.

    References
    ----------
    "Kronecker Recurrent Units" (arXiv:1705.10142) has chains of square factors.

    Examples
    --------
    >>> import numpy as np
    >>> rng = np.random.default_rng(0)
    >>> factors = [rng.integers(-9, 10, shape) for shape in [(2, 3), (5, 1), (4, 7)]]
    >>> x = rng.integers(-9, 10, 21)
    >>> W = np.kron(np.kron(factors[0], factors[1]), factors[2])
    >>> np.array_equal(chain_matvec(factors, x), W @ x)
    True
    """
    named = _chain(factors)
    *matrices, x = promote([*named, ("x", vectors("x", x))])
    _require_entries("x", x, _chain_names(matrices), [F.shape[1] for F in matrices])
    return _product(matrices, x)


def chain_rmatvec(factors: Iterable[ArrayLike], y: ArrayLike) -> Array:
    """Multiply the adjoint of F1 (x) F2 (x) ... (x) Fk by a vector or a batch.

    Parameters
    ----------
    factors : iterable of array_like, shapes (m_i, n_i)
        One factor or more, each of any rectangular shape.
    y : array_like, shape (..., m_1 * ... * m_k)
        Vectors along the last axis.

    Returns
    -------
    ndarray, shape (..., n_1 * ... * n_k)
        The product of F1^H (x) ... (x) Fk^H with each y.

    Raises
    ------
    ShapeError, DtypeError
        As `chain_matvec`.

    Notes
    -----
    As `chain_matvec`, with m_i and n_i exchanged.

    Examples
    --------
    >>> import numpy as np
    >>> rng = np.random.default_rng(0)
    >>> factors = [rng.integers(-9, 10, shape) for shape in [(2, 3), (5, 1), (4, 7)]]
    >>> y = rng.integers(-9, 10, 40)
    >>> W = np.kron(np.kron(factors[0], factors[1]), factors[2])
    >>> np.array_equal(chain_rmatvec(factors, y), W.T @ y)
    True
    """
    named = _chain(factors)
    *matrices, y = promote([*named, ("y", vectors("y", y))])
    _require_entries("y", y, _chain_names(matrices), [F.shape[0] for F in matrices])
    return _product([F.conj().T for F in matrices], y)


def rearrangement(W: ArrayLike, shape: FactorShape | Sequence[int]) -> Array:
    """Rearrange W so that a Kronecker product becomes a product of rank one.

    Row i1 * n1 + j1 of the result is the block (i1, j1) of W, of shape (m2, n2), in row-major
    order. If W = A (x) B the result is the outer product of A and B, both flattened.

    Parameters
    ----------
    W : array_like, shape (m1 * m2, n1 * n2)
        The matrix.
    shape : FactorShape or (m1, n1, m2, n2)
        The shapes of the factors.

    Returns
    -------
    ndarray, shape (m1 * n1, m2 * n2)
        A copy, with the dtype of W.

    Raises
    ------
    ShapeError
        If W is not a matrix, is empty, or its shape is not that of the product.
    DtypeError
        If the dtype of W is not bool, integer, float or complex.

    References
    ----------
    Van Loan and Pitsianis, "Approximation with Kronecker products", 1993.

    Examples
    --------
    >>> import numpy as np
    >>> A, B = np.arange(6).reshape(2, 3), np.arange(20).reshape(5, 4)
    >>> R = rearrangement(np.kron(A, B), (2, 3, 5, 4))
    >>> np.array_equal(R, np.outer(A, B))
    True
    """
    W, shape = matrix("W", W), as_factor_shape(shape)
    if W.shape != (shape.m, shape.n):
        raise ShapeError(f"W is {W.shape}, but {shape} multiply out to {(shape.m, shape.n)}")
    blocks = W.reshape(shape.m1, shape.m2, shape.n1, shape.n2).swapaxes(1, 2)
    return np.array(blocks, order="C").reshape(shape.m1 * shape.n1, shape.m2 * shape.n2)


def nearest_kron(
    W: ArrayLike, shape: FactorShape | Sequence[int], *, terms: int = 1
) -> tuple[Array, Array]:
    """Find the Kronecker product, or the sum of several, that is nearest to W.

    Parameters
    ----------
    W : array_like, shape (m1 * m2, n1 * n2)
        The matrix to approximate.
    shape : FactorShape or (m1, n1, m2, n2)
        The shapes of the factors.
    terms : int, default 1
        Number of products in the sum, at most min(m1 * n1, m2 * n2), with which the sum is W.

    Returns
    -------
    A : ndarray, shape (m1, n1), or (terms, m1, n1) if terms > 1
        Left factors, in float32, float64, complex64 or complex128.
    B : ndarray, shape (m2, n2), or (terms, m2, n2) if terms > 1
        Right factors. ``sum(np.kron(a, b) for a, b in zip(A, B))`` has the least distance from W
        in the Frobenius norm. The terms are orthogonal to each other, the largest first. A and B
        of a term have the same norm, and the largest entry of A is real and positive.

    Raises
    ------
    ShapeError
        If W is not a matrix, is empty, or has another shape than the product; or there are too
        few or too many terms.
    DtypeError
        If the dtype of W is not bool, integer, float (up to 64 bits) or complex (up to 128).
    ValueError
        If W has NaN or infinite entries.

    Notes
    -----
    The terms are the leading singular triplets of `rearrangement`, and the squared distance is the
    sum of the squares of its other singular values. O(m n min(m1 n1, m2 n2)) time and O(m n) space.
    The factors are unique only if the singular values taken are simple and differ from the rest.

    References
    ----------
    Van Loan and Pitsianis, "Approximation with Kronecker products", 1993.

    Examples
    --------
    >>> import numpy as np
    >>> rng = np.random.default_rng(0)
    >>> W = np.kron(rng.standard_normal((2, 3)), rng.standard_normal((5, 4)))
    >>> A, B = nearest_kron(W, (2, 3, 5, 4))
    >>> np.allclose(np.kron(A, B), W)
    True
    >>> W = rng.standard_normal((10, 12))
    >>> A, B = nearest_kron(W, (2, 3, 5, 4), terms=6)
    >>> A.shape, B.shape
    ((6, 2, 3), (6, 5, 4))
    >>> np.allclose(sum(np.kron(a, b) for a, b in zip(A, B)), W)
    True
    """
    shape = as_factor_shape(shape)
    most = min(shape.m1 * shape.n1, shape.m2 * shape.n2)
    count = positive_integer("terms", terms)
    if count > most:
        raise ShapeError(f"terms must be at most {most} for {shape}, found {count}")
    (W,) = inexact([("W", matrix("W", W))])
    # W over 4**half has entries of about 1, so nothing overflows; each factor gets 2**half back
    half = (exponent(W) + 1) // 2
    R = times_power_of_two(rearrangement(W, shape), -2 * half)
    U, sigma, Vh = np.linalg.svd(R, full_matrices=False)
    U, Vh = U[:, :count], Vh[:count]
    largest = U[np.abs(U).argmax(axis=0), np.arange(count)]
    phase = largest / np.abs(largest)
    root = np.sqrt(sigma[:count])
    A = times_power_of_two((U * (root * phase.conj())).T, half).reshape(count, *shape.a_shape)
    B = times_power_of_two((Vh.T * (root * phase)).T, half).reshape(count, *shape.b_shape)
    return (A[0], B[0]) if count == 1 else (A, B)


def _product(factors: Sequence[Array], x: Array) -> Array:
    """(F_1 (x) ... (x) F_k) x for checked operands of one dtype, exact or an error for int64."""
    y = _mode_products(factors, x)
    if y.dtype != np.int64 or _bound(factors, x) < 2.0**62:
        return y
    # It might have wrapped: Python's integers tell, slowly, and only for entries this large.
    exact = _mode_products([F.astype(object) for F in factors], x.astype(object))
    if np.any(exact != y):
        raise DtypeError(
            f"the product has an entry of {max(exact.flat, key=abs)}, which int64 cannot hold; "
            "convert an argument to float64"
        )
    return y


def _mode_products(factors: Sequence[Array], x: Array) -> Array:
    """Multiply axis i of x, as a tensor (..., n_1, ..., n_k), by F_i, in the cheapest order."""
    sizes = [F.shape[1] for F in factors]
    batch = x.shape[:-1]
    for i in cheapest_order([F.shape for F in factors]):
        F = factors[i]
        left = math.prod(batch) * math.prod(sizes[:i])
        right = math.prod(sizes[i + 1 :])
        if right == 1:  # one product of two matrices, instead of one a row
            x = np.matmul(x.reshape(left, sizes[i]), F.T)
        else:
            x = np.matmul(F, x.reshape(left, sizes[i], right))
        sizes[i] = F.shape[0]
    return x.reshape(*batch, math.prod(sizes))


def cheapest_order(shapes: Sequence[tuple[int, ...]]) -> list[int]:
    """Order the factors of a chain for the fewest multiplications; where equal, the last first.

    Parameters
    ----------
    shapes : sequence of (int, int)
        Rows and columns of each factor.

    Returns
    -------
    list of int
        The places of the factors, in the order in which to multiply by them.

    Notes
    -----
    Next to each other, with R entries in the other axes, i before j costs
    R n_i n_j m_i + R m_i n_j m_j, and j before i costs R n_i n_j m_j + R n_i m_i m_j. Divided by
    R n_i n_j m_i m_j these are 1/m_j + 1/n_i and 1/m_i + 1/n_j: sorting by 1/n - 1/m is best.
    A matrix without rows, the upper part of a hybrid with r = 0, is alone and costs nothing.

    Examples
    --------
    >>> cheapest_order([(59, 8), (2, 16)])
    [1, 0]
    """
    if len(shapes) == 1:
        return [0]
    return sorted(
        range(len(shapes)), key=lambda i: ((shapes[i][0] - shapes[i][1]) / math.prod(shapes[i]), -i)
    )


def _bound(factors: Sequence[Array], x: Array) -> float:
    """Bound the magnitudes in the product: largest row sums times the largest entry of x."""
    rows = [np.abs(F.astype(np.float64)).sum(axis=1).max(initial=0.0) for F in factors]
    return float(math.prod(rows) * np.abs(x.astype(np.float64)).max(initial=0.0))


def _sum(u: Array, v: Array) -> Array:
    """Add u and v, with an error where int64 would wrap."""
    total = u + v
    # A sum has wrapped where its sign differs from that of both terms.
    if total.dtype == np.int64 and np.any((u ^ total) & (v ^ total) < 0):
        raise DtypeError(
            "an entry of the product is too large for int64; convert an argument to float64"
        )
    return total


def _hybrid(D: ArrayLike, A: ArrayLike, B: ArrayLike) -> list[tuple[str, Array]]:
    D, A, B = matrix("D", D, empty_rows=True), matrix("A", A), matrix("B", B)
    n1, n2 = A.shape[1], B.shape[1]
    if D.shape[1] != n1 * n2:
        raise ShapeError(
            f"D {D.shape} has {D.shape[1]} columns, but {_factor_names(A, B)} need "
            f"{n1} * {n2} = {n1 * n2}"
        )
    return [("D", D), ("A", A), ("B", B)]


def _chain(factors: Iterable[ArrayLike]) -> list[tuple[str, Array]]:
    named = [(name := f"factor {i}", matrix(name, F)) for i, F in enumerate(factors)]
    if not named:
        raise ShapeError("a chain needs at least 1 factor, found 0")
    return named


def _factor_names(A: Array, B: Array) -> str:
    return f"A {A.shape} and B {B.shape}"


def _chain_names(factors: Sequence[Array]) -> str:
    return f"the factors {', '.join(str(F.shape) for F in factors)}"


def _entries(name: str, vectors: Array) -> str:
    """Say what an error about sizes starts with: x has 13 entries."""
    if vectors.ndim == 1:
        return f"{name} has {vectors.size} entries"
    return f"{name} {vectors.shape} has {vectors.shape[-1]} entries in its last axis"


def _require_entries(name: str, vectors: Array, factors: str, sizes: Sequence[int]) -> None:
    if vectors.shape[-1] != math.prod(sizes):
        needed = f"{math.prod(sizes)}"
        if len(sizes) > 1:
            needed = f"{' * '.join(str(size) for size in sizes)} = {needed}"
        raise ShapeError(f"{_entries(name, vectors)}, but {factors} need {needed}")
