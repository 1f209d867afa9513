"""The widget that computes y = (A (x) B) x step by step, with and without A (x) B."""

from typing import Any

import anywidget
import numpy as np
import traitlets
from numpy.typing import ArrayLike, NDArray

from kplib._checks import matrix, numeric_array, require_finite
from kplib.errors import DtypeError, ShapeError
from kplib.shapes import FactorShape
from kplib.widgets.assets import module, style
from kplib.widgets.traits import Choice, Count, RefusedError

LARGEST = 12
"""Rows and columns of A (x) B that still can be read as numbers."""

LARGEST_ENTRY = 9999
"""Keeps every product readable, and exact in the page's 53-bit numbers."""

EXAMPLE: dict[str, list[Any]] = {
    "A": [[1, 2], [3, 1], [0, 2]],
    "B": [[1, 0, 2], [2, 1, 1]],
    "x": [1, 2, 0, 3, 1, 2],
}
"""The default: small integers, unequal factors, an order of products that matters (24 or 36)."""


def _real_numbers(name: str, array: NDArray[Any]) -> list[Any]:
    """Return finite real entries as lists of int or float."""
    if array.dtype.kind == "c":
        raise DtypeError(f"{name} has dtype {array.dtype}; the widget shows real numbers")
    require_finite(name, array)
    largest = np.abs(array.astype(np.float64)).max()
    if largest > LARGEST_ENTRY:
        raise ValueError(
            f"{name} has an entry of size {largest:g}; the widget shows at most {LARGEST_ENTRY}"
        )
    if array.dtype.kind == "b":
        array = array.astype(np.int64)
    return array.tolist()


class ProductAnimator(anywidget.AnyWidget):
    """Animate y = (A (x) B) x: the whole matrix beside two small products.

    One half of the figure forms W = A (x) B and multiplies it with x, the other reshapes x to a
    matrix X and computes T = X B^T and Y = A T entry by entry (or A X first). Both do as many
    multiplications a step, and are counted. The reader steps by buttons, slider or keys, and can
    switch the memory order: column-major turns Y = A X B^T into the papers' Y = B X A^T, of which
    every matrix is the transpose.

    Everything is computed in the page. Without a kernel the figure is complete; with one, `step`,
    `order` and `first` are shared both ways.

    Parameters
    ----------
    A : array_like, shape (m1, n1)
        Left factor, real and finite. With no factor given, a small example is shown.
    B : array_like, shape (m2, n2)
        Right factor. Both m1 * m2 and n1 * n2 are at most 12.
    x : array_like, shape (n1 * n2,)
        The vector.
    order : {"row-major", "column-major"}
        Memory order of X and Y at the start.
    first : {"A", "B"}, optional
        The factor that is multiplied first; the one with fewer multiplications by default.
    step : int
        The step shown at the start, from 0 (nothing computed) to `last_step`.

    Raises
    ------
    ShapeError
        If the sizes do not fit together or are above 12.
    DtypeError
        If an entry is complex or not a number.
    ValueError
        If an entry is NaN, infinite or above 9999 in size, or there is no such step.

    Notes
    -----
    Source of the identity: the Kronecker-product recurrent-network papers' algorithm 1.
    Multiplications: m1*m2*n1*n2 for W x, n1*m2*(n2 + m1) with B first and m1*n2*(n1 + m2) with A
    first. Forming W, which takes as many again, is not counted.

    Examples
    --------
    >>> from kplib.widgets import ProductAnimator
    >>> animation = ProductAnimator([[1, 2], [0, 1], [3, -1]], [[1, 0, 2], [2, 1, 1]], range(6))
    >>> animation
    ProductAnimator: y = (A ⊗ B) x, A 3×2, B 2×3; multiplications: W x 36, two small products 24
    >>> animation.step = animation.last_step
    >>> animation.values["step"] == 11 + 2
    True
    """

    _esm = module("product")
    _css = style("product")

    A: traitlets.List[Any] = traitlets.List(read_only=True).tag(sync=True)
    B: traitlets.List[Any] = traitlets.List(read_only=True).tag(sync=True)
    x: traitlets.List[Any] = traitlets.List(read_only=True).tag(sync=True)
    order = Choice(("row-major", "column-major")).tag(sync=True)
    first = Choice(("B", "A")).tag(sync=True)
    step = Count(0).tag(sync=True)

    def __init__(
        self,
        A: ArrayLike | None = None,
        B: ArrayLike | None = None,
        x: ArrayLike | None = None,
        *,
        order: str = "row-major",
        first: str | None = None,
        step: int = 0,
    ) -> None:
        given: dict[str, Any] = {"A": A, "B": B, "x": x}
        missing = [name for name, value in given.items() if value is None]
        if missing and len(missing) < len(given):
            raise ShapeError(f"A, B and x go together, but {' and '.join(missing)} is missing")
        operands = EXAMPLE if missing else given
        factors = {name: matrix(name, operands[name]) for name in ("A", "B")}
        vector = numeric_array("x", operands["x"])
        self._shape = _small_shape(factors["A"], factors["B"], vector)
        lists = {
            name: _real_numbers(name, array) for name, array in (*factors.items(), ("x", vector))
        }
        self._operands = lists
        cheaper = self._shape.order[0].upper()
        super().__init__(order=order, first=cheaper if first is None else first, step=step)

    @property
    def last_step(self) -> int:
        """The number of the last step, in which both ways are done."""
        shape = self._shape
        entries = shape.n1 * shape.m2 if self.first == "B" else shape.m1 * shape.n2
        rows_done = self._small_products_count() // shape.n
        return entries + shape.m + 1 + max(0, shape.m - rows_done)

    @property
    def values(self) -> dict[str, Any]:
        """All that Python and the page share: A, B, x, `order`, `first` and `step`."""
        return {name: getattr(self, name) for name in ("A", "B", "x", "order", "first", "step")}

    def _small_products_count(self) -> int:
        return self._shape.macs_b_first if self.first == "B" else self._shape.macs_a_first

    @traitlets.default("A")
    def _left_factor(self) -> list[Any]:
        return self._operands["A"]

    @traitlets.default("B")
    def _right_factor(self) -> list[Any]:
        return self._operands["B"]

    @traitlets.default("x")
    def _vector(self) -> list[Any]:
        return self._operands["x"]

    @traitlets.validate("step")
    def _check_step(self, proposal: Any) -> int:
        if proposal["value"] > self.last_step:
            raise RefusedError(
                f"there is no step {proposal['value']}: the steps are 0 to {self.last_step}"
            )
        return proposal["value"]

    @traitlets.observe("first")
    def _keep_step_in_range(self, _change: Any) -> None:
        self.step = min(self.step, self.last_step)

    def __repr__(self) -> str:
        shape = self._shape
        small = self._small_products_count()
        return (
            f"ProductAnimator: y = (A ⊗ B) x, A {shape.m1}×{shape.n1}, B {shape.m2}×{shape.n2}; "
            f"multiplications: W x {shape.m * shape.n}, two small products {small}"
        )


def _small_shape(A: NDArray[Any], B: NDArray[Any], x: NDArray[Any]) -> FactorShape:
    """Return the factor shape; a ShapeError if x does not fit or W is too large to read."""
    shape = FactorShape(*A.shape, *B.shape)
    if max(shape.m, shape.n) > LARGEST:
        raise ShapeError(
            f"A {A.shape} and B {B.shape} make a {shape.m} x {shape.n} matrix; the widget shows "
            f"at most {LARGEST} x {LARGEST}"
        )
    if x.shape != (shape.n,):
        raise ShapeError(
            f"x has shape {x.shape}, but A {A.shape} and B {B.shape} need "
            f"({shape.n1} * {shape.n2},) = ({shape.n},)"
        )
    return shape
