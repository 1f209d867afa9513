"""The widget that shows every factor shape of an m x n matrix, and what each one costs."""

from collections.abc import Sequence
from typing import Any

import anywidget
import traitlets

from kplib.errors import ShapeError
from kplib.experiments import BENCHMARKS
from kplib.shapes import FactorShape, algorithm4, as_factor_shape, factor_shapes
from kplib.widgets.assets import module, style
from kplib.widgets.traits import Count, RefusedError, Size, count, dense_rows, size_up_to

LARGEST = 4096
"""Rows and columns of the matrix; 3600 x 3600 has the most factor shapes up to here, 2025."""


def _size(name: str, value: object) -> int:
    return size_up_to(LARGEST, name, value)


def _default_shape(m: int, n: int) -> FactorShape:
    """Return Algorithm 4's choice, where it is undefined the shape with the fewest parameters."""
    try:
        return algorithm4(m, n)
    except ShapeError:
        return factor_shapes(m, n)[0]


class _Shape(traitlets.TraitType[FactorShape, Any]):
    """A FactorShape, or four integers for one."""

    def validate(self, obj: Any, value: Any) -> FactorShape:
        try:
            return as_factor_shape(value)
        except ShapeError as error:
            raise RefusedError(str(error)) from None


class _Choice(traitlets.TraitType[tuple[int, ...], Any]):
    """(m1, n1, m2, n2, rows): whatever it holds describes a matrix, so no state is half new."""

    def validate(self, obj: Any, value: Any) -> tuple[int, ...]:
        try:
            *four, rows = value
        except (TypeError, ValueError):
            raise RefusedError(f"choice is (m1, n1, m2, n2, rows), found {value!r}") from None
        shape = _Shape().validate(obj, four)
        rows = count("rows", rows)
        _size("m", shape.m + rows)
        _size("n", shape.n)
        return shape.m1, shape.n1, shape.m2, shape.n2, rows


class ShapeExplorer(anywidget.AnyWidget):
    """Show every pair of factors that makes an m x n matrix, and what each one costs.

    Each factor shape is a point: its rank bound against its parameters or its multiplications, the
    Pareto front of all three filled, Algorithm 4's choice marked. The reader chooses a point or a
    row of the sorted list, and sees the costs and the blocks of that choice to scale. A slider puts
    the hybrid's dense rows on top; the factors then make the (m - rows) x n matrix below them.

    Everything is computed in the page. Without a kernel the figure is complete; with one, `m`, `n`,
    `rows` and `shape` are shared both ways: reading gives what the reader chose, setting selects.

    Parameters
    ----------
    m, n : int
        Rows and columns of the matrix, 1 to 4096.
    shape : FactorShape or sequence of four int, optional
        The factors of the lower (m - rows) x n matrix. By default Algorithm 4's choice; where that
        is undefined, as for a prime, the shape with the fewest parameters.
    rows : int
        The hybrid's dense rows on top, 0 to m - 1.

    Attributes
    ----------
    m, n, rows : int
        Traits, as above. When one of them changes and `shape` no longer fits, `shape` becomes the
        default one. Set several at once under ``with explorer.hold_trait_notifications():``; if
        they do not fit together, all keep their old values.
    shape : FactorShape
        The chosen factors, a trait: ``explorer.observe(f, "shape")`` calls ``f`` at every choice.
    choice : tuple of int
        (m1, n1, m2, n2, rows), all that Python and the page share. The four above follow from it.

    Raises
    ------
    ShapeError
        If a size is not an integer from 1 to 4096, rows is not in 0 to m - 1, or `shape` is not one
        of the (m - rows) x n matrix.

    Notes
    -----
    Source: the Kronecker-product recurrent-network papers' algorithm 4, and their hybrid.
    With rows = r and the costs of `FactorShape`: r n + params parameters, r n + macs
    multiplications, rank at most min(m, n, r + rank).

    Examples
    --------
    >>> from kplib.widgets import ShapeExplorer
    >>> explorer = ShapeExplorer(154, 308)
    >>> explorer
    ShapeExplorer: 154×308, (14, 11) ⊗ (11, 28): 462 parameters, rank ≤ 121, 5,082 MACs
    >>> explorer.shape = (14, 14, 11, 22)
    >>> explorer.shape.params, explorer.shape.full_rank
    (438, True)
    >>> explorer.rows = 1  # 153 = 9 * 17
    >>> explorer.shape.m == 153
    True
    """

    _esm = module("explorer")
    _css = style("explorer")

    choice = _Choice((59, 8, 2, 16, 0)).tag(sync=True)
    matrices: traitlets.List[Any] = traitlets.List(read_only=True).tag(sync=True)
    m = Size(118, LARGEST)
    n = Size(128, LARGEST)
    rows = Count(0)
    shape = _Shape(FactorShape(59, 8, 2, 16))

    def __init__(
        self,
        m: int = 118,
        n: int = 128,
        *,
        shape: FactorShape | Sequence[int] | None = None,
        rows: int = 0,
    ) -> None:
        m, n, rows = _size("m", m), _size("n", n), count("rows", rows)
        lower = m - dense_rows(rows, m)
        chosen = _default_shape(lower, n) if shape is None else _Shape().validate(None, shape)
        _require_fit(chosen, m, n, rows)
        four = (chosen.m1, chosen.n1, chosen.m2, chosen.n2)
        super().__init__(choice=(*four, rows))

    @traitlets.default("matrices")
    def _matrices_of_the_papers(self) -> list[list[Any]]:
        """List [name, m, n] of one gate: of the KP nets, and of a dense net of other size."""
        matrices = []
        for benchmark in BENCHMARKS.values():
            layers = benchmark.gate_shapes(
                hidden_size=benchmark.kp_hidden_size, layers=benchmark.kp_layers
            )
            for layer, (m, n) in enumerate(layers, start=1):
                name = f"{benchmark.title}, layer {layer}" if layer > 1 else benchmark.title
                matrices.append([name, m, n])
            if benchmark.gate_shape != layers[0]:
                matrices.append([f"{benchmark.title}, dense net", *benchmark.gate_shape])
        return matrices

    @traitlets.validate("rows")
    def _check_rows(self, proposal: Any) -> int:
        dense_rows(proposal["value"], self.m)
        return int(proposal["value"])

    @traitlets.validate("m")
    def _check_m(self, proposal: Any) -> int:
        dense_rows(self.rows, proposal["value"])
        return int(proposal["value"])

    @traitlets.validate("shape")
    def _check_shape(self, proposal: Any) -> FactorShape:
        shape: FactorShape = proposal["value"]
        _require_fit(shape, self.m, self.n, self.rows)
        return shape

    @traitlets.observe("choice")
    def _take_over_choice(self, _change: Any) -> None:
        """Set the four traits that people use from the one that the page shares."""
        m1, n1, m2, n2, rows = self.choice
        shape = FactorShape(m1, n1, m2, n2)
        with self.hold_trait_notifications():
            self.m, self.n, self.rows, self.shape = shape.m + rows, shape.n, rows, shape

    @traitlets.observe("m", "n", "rows", "shape")
    def _share(self, _change: Any) -> None:
        """Tell the page, after a shape that no longer fits has given way to the default."""
        lower = self.m - self.rows
        if (self.shape.m, self.shape.n) != (lower, self.n):
            self.shape = _default_shape(lower, self.n)
        shape = self.shape
        self.choice = (shape.m1, shape.n1, shape.m2, shape.n2, self.rows)

    def __repr__(self) -> str:
        shape, dense = self.shape, self.rows * self.n
        hybrid = f", r = {self.rows}" if self.rows else ""
        rank = min(self.m, self.n, self.rows + shape.rank)
        return (
            f"ShapeExplorer: {self.m}×{self.n}{hybrid}, {shape.a_shape} ⊗ {shape.b_shape}: "
            f"{shape.params + dense:,} parameters, rank ≤ {rank}, {shape.macs + dense:,} MACs"
        )


def _require_fit(shape: FactorShape, m: int, n: int, rows: int) -> None:
    """Raise a ShapeError unless `shape` is one of the (m - rows) x n matrix."""
    if (shape.m, shape.n) != (m - rows, n):
        below = f"below {rows} dense rows of {m} x {n} the matrix" if rows else "the matrix"
        raise RefusedError(
            f"shape {shape} makes a {shape.m} x {shape.n} matrix, but {below} is {m - rows} x {n}"
        )
