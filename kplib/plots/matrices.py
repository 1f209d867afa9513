"""What a Kronecker product is, and how a product with it becomes two small ones."""

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from kplib._checks import matrix, numeric_array, require_finite
from kplib.errors import DtypeError, ShapeError
from kplib.plots.grid import MARGIN, NUMBERS_UP_TO, Grid, Line, draw_lines, line_width, number_text
from kplib.plots.picture import Picture
from kplib.plots.style import PALETTE, WIDTH
from kplib.shapes import FactorShape


def kron_blocks(A: ArrayLike, B: ArrayLike) -> Picture:
    """Draw A (x) B with its blocks A[i, j] B.

    Up to 12 rows and columns a matrix shows its numbers; a larger one shades: the larger the
    entry, the stronger, orange where it is positive and blue where it is negative.

    Parameters
    ----------
    A : array_like, shape (m1, n1)
        Left factor, real.
    B : array_like, shape (m2, n2)
        Right factor, real.

    Returns
    -------
    Picture

    Raises
    ------
    ShapeError
        If a factor is no matrix, or the product has more than 1024 rows or columns.
    DtypeError
        If a factor is complex or not numeric.

    Examples
    --------
    >>> kron_blocks([[1, 2]], [[1, 0], [3, 1]])
    Kronecker product of a 1×2 and a 2×2 matrix. A is 1 2. B is 1 0; 3 1. W = A ⊗ B is 2×4, ...
    """
    A, B = _real_matrix("A", A), _real_matrix("B", B)
    W = np.kron(A, B)
    if max(W.shape) > 1024:
        raise ShapeError(f"A {A.shape} and B {B.shape} make {W.shape}; a figure shows 1024 at most")
    orange, slate = PALETTE["kronecker"], PALETTE["dense"]
    factors: Line = [Grid("A", A, orange), "⊗", Grid("B", B, orange), "="]
    readable = max(W.shape) <= NUMBERS_UP_TO
    full = WIDTH - 2 * MARGIN
    product = Grid("W", W, slate if readable else orange, block=B.shape, largest=(full, full))
    together = line_width([*factors, product]) + 2 * MARGIN <= WIDTH
    lines: list[tuple[str, Line]] = (
        [("", [*factors, product])] if together else [("", factors), ("", [product])]
    )
    sizes = [f"{M.shape[0]}×{M.shape[1]}" for M in (A, B, W)]
    if readable:
        what = (
            f"A is {_in_words(A)}. B is {_in_words(B)}. W = A ⊗ B is {sizes[2]}, "
            f"a copy of B for each entry of A, times that entry: {_in_words(W)}."
        )
    else:
        what = (
            f"W = A ⊗ B is {sizes[2]}: {A.shape[0]} rows of {A.shape[1]} blocks, each a copy of B "
            "times one entry of A. Strong shades are large entries, blue ones negative."
        )
    title = f"Kronecker product of a {sizes[0]} and a {sizes[1]} matrix"
    return Picture(draw_lines(lines), title, what)


def product_figure(A: ArrayLike, B: ArrayLike, x: ArrayLike) -> Picture:
    """Draw y = (A (x) B) x in both ways: with the whole matrix and with two small products.

    It stands for `kplib.widgets.ProductAnimator` where nothing can move. The small products are
    taken in the order with fewer multiplications.

    Parameters
    ----------
    A : array_like, shape (m1, n1)
        Left factor, real.
    B : array_like, shape (m2, n2)
        Right factor, real. Both m1 * m2 and n1 * n2 are at most 12.
    x : array_like, shape (n1 * n2,)
        The vector, real.

    Returns
    -------
    Picture

    Raises
    ------
    ShapeError
        If the sizes do not fit together or are above 12.
    DtypeError
        If an entry is complex or not a number.

    Notes
    -----
    Source of the identity: the Kronecker-product recurrent-network papers' algorithm 1, here in
    row-major order: Y = A X B^T.

    Examples
    --------
    >>> picture = product_figure([[1, 2], [0, 1], [3, -1]], [[1, 0, 2], [2, 1, 1]], range(6))
    >>> "36 multiplications" in picture.description and "12 + 12 = 24" in picture.description
    True
    """
    A, B, x, shape = _operands(A, B, x)
    W = np.kron(A, B)
    y = W @ x
    X, Y = x.reshape(shape.n1, shape.n2), y.reshape(shape.m1, shape.m2)
    first, second = _small_products(A, B, X, Y, shape)
    whole = shape.m * shape.n
    counts = first.multiplications, second.multiplications
    small = f"{counts[0]} + {counts[1]} = {sum(counts)}"
    slate = PALETTE["dense"]
    operands: Line = [Grid("W", W, slate, block=B.shape), "·", Grid("x", x, slate)]
    lines: list[tuple[str, Line]] = [
        (f"The whole matrix: {whole} multiplications", [*operands, "=", Grid("y", y, slate)]),
        (f"Two small products: {small}", first.line()),
        ("", second.line()),
    ]
    description = (
        f"With the whole matrix, W x takes {whole} multiplications. With two small products it "
        f"takes {small}: X, which is x written row by row, is {_in_words(X)}; "
        f"{first.in_words()}; {second.in_words()}. "
        f"Y read row by row is y = {_in_words(y.T)}, the same as W x."
    )
    return Picture(draw_lines(lines), "y = (A ⊗ B) x in two ways", description)


def _operands(
    A: ArrayLike, B: ArrayLike, x: ArrayLike
) -> tuple[NDArray[Any], NDArray[Any], NDArray[Any], FactorShape]:
    """Return `product_figure`'s A, B, x as a column, and the sizes, once they fit together."""
    A, B = _real_matrix("A", A), _real_matrix("B", B)
    x = _real_matrix("x", np.atleast_2d(numeric_array("x", x)))
    shape = FactorShape(*A.shape, *B.shape)
    if max(shape.m, shape.n) > NUMBERS_UP_TO:
        raise ShapeError(
            f"A {A.shape} and B {B.shape} make a {shape.m} x {shape.n} matrix; the figure shows "
            f"at most {NUMBERS_UP_TO} x {NUMBERS_UP_TO}"
        )
    if x.shape != (1, shape.n):
        raise ShapeError(
            f"x has shape {x.shape[-1:] if x.shape[0] == 1 else x.shape}, but A {A.shape} and "
            f"B {B.shape} need ({shape.n1} * {shape.n2},) = ({shape.n},)"
        )
    return A, B, x.T, shape


class _SmallProduct(NamedTuple):
    """One matrix times another: each with its name."""

    left: tuple[str, NDArray[Any]]
    right: tuple[str, NDArray[Any]]
    result: tuple[str, NDArray[Any]]

    @property
    def multiplications(self) -> int:
        return int(self.left[1].size * self.right[1].shape[1])

    def line(self) -> Line:
        left, right, result = (
            Grid(name.replace("\u1d40", "$^T$"), values, PALETTE["kronecker"])
            for name, values in self
        )
        return [left, "·", right, "=", result]

    def in_words(self) -> str:
        name, values = self.result
        return f"{self.left[0]} times {self.right[0]} is {name} = {_in_words(values)}"


def _small_products(
    A: NDArray[Any], B: NDArray[Any], X: NDArray[Any], Y: NDArray[Any], shape: FactorShape
) -> tuple[_SmallProduct, _SmallProduct]:
    """Return Y = A X B^T as two products, in the order with fewer multiplications."""
    a, b, result = ("A", A), ("B\u1d40", B.T), ("Y", Y)
    if shape.order == "b_first":
        between = ("T", X @ B.T)
        return _SmallProduct(("X", X), b, between), _SmallProduct(a, between, result)
    between = ("T", A @ X)
    return _SmallProduct(a, ("X", X), between), _SmallProduct(between, b, result)


def _real_matrix(name: str, value: ArrayLike) -> NDArray[Any]:
    array = matrix(name, value)
    if array.dtype.kind == "c":
        raise DtypeError(f"{name} has dtype {array.dtype}; a figure shows real numbers")
    require_finite(name, array)
    return array.astype(np.int64) if array.dtype.kind == "b" else array


def _in_words(values: NDArray[Any]) -> str:
    """Return the rows of a small matrix as text."""
    return "; ".join(
        " ".join(number_text(v) for v in row) for row in np.atleast_2d(values).tolist()
    )
