"""Rank, singular values, conditioning, determinant and eigenvalues of A (x) B from its factors.

If A = U1 S1 V1^H and B = U2 S2 V2^H, then A (x) B = (U1 (x) U2) (S1 (x) S2) (V1 (x) V2)^H. So the
singular values of the product are the products of those of A and B, and zeros where a wide factor
meets a tall one. Nothing here forms the product: O(m1 n1 min(m1, n1) + m2 n2 min(m2, n2)) for the
factors, and O(k log k) to sort k = min(m, n) values.

Numerically zero is what `numpy.linalg.matrix_rank` would call zero in the dense m x n matrix: at
most max(m, n) * eps * sigma_1, with the eps of the dtype that `kron_matvec` multiplies A and B in
(of float64 for integers). The computation itself is in double precision.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from kplib._checks import Array, inexact, matrix
from kplib._scaling import exponent, times_power_of_two
from kplib.errors import ShapeError

__all__ = [
    "LogDeterminant",
    "condition_number",
    "determinant",
    "eigenvalues",
    "log_determinant",
    "rank",
    "singular_values",
]


# Entries below 2**_ROOM have singular values whose products stay below the largest double, 2**1024,
# for factors of up to 2**31 rows and columns.
_ROOM = 480


class LogDeterminant(NamedTuple):
    """A determinant as sign * exp(logabsdet), as `numpy.linalg.slogdet` gives it.

    Examples
    --------
    >>> import math
    >>> found = log_determinant([[2.0, 0.0], [0.0, -3.0]], [[1.0]])
    >>> found.sign == -1.0 and math.isclose(math.exp(found.logabsdet), 6.0)
    True
    """

    sign: float | complex
    logabsdet: float


def singular_values(A: ArrayLike, B: ArrayLike) -> Array:
    """All min(m, n) singular values of A (x) B, zeros included.

    Parameters
    ----------
    A : array_like, shape (m1, n1)
        Left factor.
    B : array_like, shape (m2, n2)
        Right factor.

    Returns
    -------
    ndarray, shape (min(m1 * m2, n1 * n2),)
        In descending order; float32 of factors in float16, float32 or complex64, else float64. At
        least min(m, n) - min(m1, n1) * min(m2, n2) of them are exactly 0. Zero, too, are those
        below what the dtype can hold, and those above are infinite, with a RuntimeWarning: `rank`
        and `condition_number` see them all the same.

    Raises
    ------
    ShapeError
        If a factor is not a matrix, or is empty.
    DtypeError
        If a dtype is not bool, integer, float (up to 64 bits) or complex (up to 128).
    ValueError
        If a factor has NaN or infinite entries.

    Examples
    --------
    >>> import numpy as np
    >>> rng = np.random.default_rng(0)
    >>> A, B = rng.standard_normal((5, 2)), rng.standard_normal((3, 4))
    >>> sigma = singular_values(A, B)
    >>> np.allclose(sigma, np.linalg.svd(np.kron(A, B), compute_uv=False))
    True
    >>> sigma.shape
    (8,)
    """
    A, B = _factors(A, B)
    (sigma_a, power_a), (sigma_b, power_b) = _factor_singular_values(A), _factor_singular_values(B)
    sigma = _products(A, B, sigma_a, sigma_b)
    return times_power_of_two(sigma, power_a + power_b).astype(A.real.dtype)


def rank(A: ArrayLike, B: ArrayLike, *, rtol: float | None = None) -> int:
    """Numerical rank of A (x) B: the number of singular values that are not numerically zero.

    Parameters
    ----------
    A : array_like, shape (m1, n1)
        Left factor.
    B : array_like, shape (m2, n2)
        Right factor.
    rtol : float, optional
        Singular values up to rtol * sigma_1 count as zero; max(m, n) * eps by default.

    Returns
    -------
    int
        At most min(m1, n1) * min(m2, n2).

    Raises
    ------
    ShapeError, DtypeError, ValueError
        As `singular_values`; also a ValueError if rtol is negative, 1 or more, or NaN.

    Notes
    -----
    rank(A (x) B) = rank(A) rank(B) in exact arithmetic. Numerically a factor pair that is barely
    of full rank each can be deficient as a product, just as the dense matrix would be. The scale
    of the factors does not matter, even where the entries of the product overflow or underflow.

    Examples
    --------
    The papers' shape for a gate of KWS-LSTM, 118 x 128, cannot have more than rank 16:

    >>> import numpy as np
    >>> rng = np.random.default_rng(0)
    >>> A, B = rng.standard_normal((59, 8)), rng.standard_normal((2, 16))
    >>> rank(A, B), int(np.linalg.matrix_rank(np.kron(A, B)))
    (16, 16)
    """
    A, B = _factors(A, B)
    return len(_nonzero(_relative_singular_values(A, B), _tolerance(A, B, rtol)))


def condition_number(
    A: ArrayLike, B: ArrayLike, *, effective: bool = False, rtol: float | None = None
) -> float:
    """Condition number of A (x) B in the 2-norm: its largest over its smallest singular value.

    Parameters
    ----------
    A : array_like, shape (m1, n1)
        Left factor.
    B : array_like, shape (m2, n2)
        Right factor.
    effective : bool, default False
        Divide by the smallest singular value that is not numerically zero.
    rtol : float, optional
        Singular values up to rtol * sigma_1 count as zero; max(m, n) * eps by default.

    Returns
    -------
    float
        At least 1. Unless `effective`: infinite if the product is rank-deficient (`rank`), as
        every product of a strictly wide and a strictly tall factor is.

    Raises
    ------
    ShapeError, DtypeError, ValueError
        As `rank`; also a ValueError if `effective` and the product is zero.

    Notes
    -----
    Where it is finite it is cond(A) cond(B). The factors know small singular values that the
    dense matrix loses in rounding, so with rtol=0 condition numbers beyond 1 / eps are meaningful.
    The scale of the factors does not matter, as in `rank`.

    Examples
    --------
    >>> import numpy as np
    >>> rng = np.random.default_rng(0)
    >>> A, B = rng.standard_normal((2, 3)), rng.standard_normal((4, 5))
    >>> bool(np.isclose(condition_number(A, B), np.linalg.cond(np.kron(A, B))))
    True
    >>> condition_number(A, B.T)
    inf
    >>> bool(np.isclose(condition_number(A, B.T, effective=True), condition_number(A, B)))
    True
    """
    A, B = _factors(A, B)
    sigma = _relative_singular_values(A, B)
    nonzero = _nonzero(sigma, _tolerance(A, B, rtol))
    if effective and len(nonzero) == 0:
        raise ValueError("A (x) B is zero: it has no singular values that are not")
    if not effective and len(nonzero) < len(sigma):
        return float("inf")
    return float(nonzero[0] / nonzero[-1])


def determinant(A: ArrayLike, B: ArrayLike) -> float | complex:
    """Compute the determinant of A (x) B for square factors, det(A)^m2 * det(B)^m1.

    Parameters
    ----------
    A : array_like, shape (m1, m1)
        Left factor.
    B : array_like, shape (m2, m2)
        Right factor.

    Returns
    -------
    float or complex
        Zero below, and infinite with a RuntimeWarning above, what a double can hold: large
        matrices want `log_determinant`. Of a complex determinant that is infinite, every part
        that is not 0 is.

    Raises
    ------
    ShapeError
        If a factor is not square, not a matrix, or empty. If the product is square all the same,
        its determinant is 0.
    DtypeError, ValueError
        As `singular_values`.

    Examples
    --------
    >>> import numpy as np
    >>> rng = np.random.default_rng(0)
    >>> A, B = rng.standard_normal((2, 2)), rng.standard_normal((5, 5))
    >>> bool(np.isclose(determinant(A, B), np.linalg.det(np.kron(A, B))))
    True
    """
    sign, logabsdet = log_determinant(A, B)
    magnitude = float(np.exp(logabsdet))
    if isinstance(sign, complex):
        # part by part: sign * inf, as complex numbers, would have NaN for the part that is 0
        return complex(*(part * magnitude if part else 0.0 for part in (sign.real, sign.imag)))
    return sign * magnitude if sign else 0.0


def log_determinant(A: ArrayLike, B: ArrayLike) -> LogDeterminant:
    """Sign and logarithm of the determinant of A (x) B for square factors.

    Parameters
    ----------
    A : array_like, shape (m1, m1)
        Left factor.
    B : array_like, shape (m2, m2)
        Right factor.

    Returns
    -------
    sign : float or complex
        1, -1, or 0 if the product is singular; for complex factors a number of magnitude 1, or 0.
    logabsdet : float
        m2 log|det A| + m1 log|det B|; -inf if the product is singular.

    Raises
    ------
    ShapeError, DtypeError, ValueError
        As `determinant`.

    Examples
    --------
    >>> import numpy as np
    >>> A, B = 2 * np.eye(64), -np.eye(63)
    >>> sign, logabsdet = log_determinant(A, B)
    >>> sign, bool(np.isclose(logabsdet, 64 * 63 * np.log(2)))
    (1.0, True)
    """
    A, B = _square_factors("the determinant", A, B)
    m1, m2 = len(A), len(B)
    sign_a, log_a = np.linalg.slogdet(_double(A))
    sign_b, log_b = np.linalg.slogdet(_double(B))
    sign = (sign_a**m2 * sign_b**m1).item()
    return LogDeterminant(sign, float(m2 * log_a + m1 * log_b))


def eigenvalues(A: ArrayLike, B: ArrayLike) -> Array:
    """Eigenvalues of A (x) B for square factors: all products of theirs.

    Parameters
    ----------
    A : array_like, shape (m1, m1)
        Left factor.
    B : array_like, shape (m2, m2)
        Right factor.

    Returns
    -------
    ndarray, shape (m1 * m2,)
        Always complex: complex64 of factors in float16, float32 or complex64, else complex128. In
        the order of ``np.kron(np.linalg.eigvals(A), np.linalg.eigvals(B))``: if u is an eigenvector
        of A and v of B, u (x) v belongs to the product of their eigenvalues.

    Raises
    ------
    ShapeError
        If a factor is not square, not a matrix, or empty. If the product is square all the same,
        its eigenvalues are not products.
    DtypeError, ValueError
        As `singular_values`.

    Examples
    --------
    >>> import numpy as np
    >>> rng = np.random.default_rng(0)
    >>> A, B = rng.standard_normal((2, 2)), rng.standard_normal((5, 5))
    >>> trace = np.trace(np.kron(A, B))
    >>> bool(np.isclose(eigenvalues(A, B).sum(), trace))
    True
    """
    A, B = _square_factors("eigenvalues", A, B)
    products = np.kron(np.linalg.eigvals(_double(A)), np.linalg.eigvals(_double(B)))
    return products.astype(np.result_type(A.dtype, np.complex64))


def _factors(A: ArrayLike, B: ArrayLike) -> tuple[Array, Array]:
    """Both factors checked, finite, in one float or complex dtype."""
    A, B = inexact([("A", matrix("A", A)), ("B", matrix("B", B))])
    return A, B


def _square_factors(what: str, A: ArrayLike, B: ArrayLike) -> tuple[Array, Array]:
    A, B = _factors(A, B)
    (m1, n1), (m2, n2) = A.shape, B.shape
    if m1 == n1 and m2 == n2:
        return A, B
    m, n = m1 * m2, n1 * n2
    message = f"{what} from the factors: both must be square, found A {A.shape} and B {B.shape}; "
    if m != n:
        raise ShapeError(f"{message}their product is {(m, n)}, which has none")
    raise ShapeError(
        f"{message}their product is square, {(m, n)}, but has rank at most "
        f"{min(m1, n1) * min(m2, n2)}, so its determinant is 0, and its eigenvalues are not "
        "products of eigenvalues of the factors, which have none: np.linalg.eigvals(np.kron(A, B))"
    )


def _double(A: Array) -> Array:
    return A.astype(np.complex128 if A.dtype.kind == "c" else np.float64, copy=False)


def _factor_singular_values(A: Array) -> tuple[Array, int]:
    """Singular values in float64, descending, over 2**power; power is 0 unless entries are huge."""
    A = _double(A)
    power = max(exponent(A) - _ROOM, 0)
    return np.linalg.svd(times_power_of_two(A, -power), compute_uv=False), power


def _relative_singular_values(A: Array, B: Array) -> Array:
    """All min(m, n) of them over the largest, which neither overflow nor underflow hides."""
    relative = []
    for sigma, _ in (_factor_singular_values(A), _factor_singular_values(B)):
        relative.append(sigma / sigma[0] if sigma[0] > 0 else sigma)
    return _products(A, B, *relative)


def _products(A: Array, B: Array, sigma_a: Array, sigma_b: Array) -> Array:
    """All min(m, n) products of the factors' singular values, descending, zeros included."""
    (m1, n1), (m2, n2) = A.shape, B.shape
    products = np.outer(sigma_a, sigma_b).ravel()
    sigma = np.zeros(min(m1 * m2, n1 * n2))
    sigma[: len(products)] = np.sort(products)[::-1]
    return sigma


def _tolerance(A: Array, B: Array, rtol: float | None) -> float:
    """Choose the relative tolerance below which a singular value counts as zero."""
    if rtol is None:
        m, n = A.shape[0] * B.shape[0], A.shape[1] * B.shape[1]
        return max(m, n) * float(np.finfo(A.dtype).eps)
    if not 0 <= rtol < 1:
        raise ValueError(f"rtol must be at least 0 and below 1, found {rtol}")
    return float(rtol)


def _nonzero(sigma: Array, rtol: float) -> Array:
    """Select the leading singular values that are not numerically zero."""
    return sigma[sigma > rtol * sigma[0]]
