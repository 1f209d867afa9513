"""The widget that turns a hybrid's dense rows: what one more of them costs, and what it buys."""

from typing import Any

import anywidget
import traitlets

from kplib.experiments import BENCHMARKS
from kplib.shapes import FactorShape, hybrid_shapes
from kplib.widgets.assets import module, style
from kplib.widgets.traits import Count, Size, count, dense_rows, size_up_to

LARGEST = 1024
"""Rows and columns of the matrix: a slider and a plot with more r than this tell nothing."""


class HybridDial(anywidget.AnyWidget):
    """Show what each number of dense rows makes of an m x n hybrid, and let the reader turn it.

    Three plots have the dense rows r below them: parameters, rank bound, multiplications. None of
    the three is monotone in r, because the factors change with m - r. Where m - r is a prime or 1,
    Algorithm 4 has no factors and the plots have a gap. Dashed lines are 10 and 20 times fewer
    parameters than the dense matrix has; buttons go to the r that comes closest, by the rule of
    `kplib.nn.Hybrid.for_compression`. In words: what the next row that works costs and buys.

    Everything is computed in the page. Without a kernel the figure is complete; with one, all
    three traits are shared both ways.

    Parameters
    ----------
    m, n : int
        Rows and columns of the matrix, 1 to 1024.
    rows : int
        The dense rows r that are chosen, 0 to m - 1, whether or not m - r has factors.

    Attributes
    ----------
    m, n, rows : int
        Traits, as above: ``dial.observe(f, "rows")`` calls ``f`` whenever the reader turns it. Set
        several at once under ``with dial.hold_trait_notifications():``; if they do not fit
        together, all keep their old values.

    Raises
    ------
    ShapeError
        If a size is not an integer from 1 to 1024, or rows is not in 0 to m - 1.

    Notes
    -----
    Source: the Kronecker-product recurrent-network papers' algorithms 2 and 4. With r rows and
    the costs of `FactorShape`: r n + params parameters, r n + macs multiplications, rank at most
    min(m, n, r + rank). Counted is one gate matrix, without biases and head.

    Examples
    --------
    >>> from kplib.widgets import HybridDial
    >>> dial = HybridDial(118, 128)
    >>> dial.rows = 1
    >>> dial
    HybridDial: 118×128, r = 1 over (13, 8) ⊗ (9, 16): 376 parameters, rank ≤ 73, 2,216 MACs
    >>> dial.shape.m == 117
    True
    """

    _esm = module("dial")
    _css = style("dial")

    matrices: traitlets.List[Any] = traitlets.List(read_only=True).tag(sync=True)
    largest_size = traitlets.Int(LARGEST, read_only=True).tag(sync=True)
    m = Size(118, LARGEST).tag(sync=True)
    n = Size(128, LARGEST).tag(sync=True)
    rows = Count(0).tag(sync=True)

    def __init__(self, m: int = 118, n: int = 128, *, rows: int = 0) -> None:
        m, n = size_up_to(LARGEST, "m", m), size_up_to(LARGEST, "n", n)
        super().__init__(m=m, n=n, rows=dense_rows(count("rows", rows), m))

    @property
    def shape(self) -> FactorShape | None:
        """The factors below the dense rows by Algorithm 4; None where it has none."""
        return hybrid_shapes(self.m, self.n).get(self.rows)

    @traitlets.default("matrices")
    def _matrices_of_the_benchmarks(self) -> list[list[Any]]:
        """List [name, m, n] of one gate of the first layer; sizes that repeat come once."""
        named: dict[tuple[int, int], str] = {}
        for benchmark in BENCHMARKS.values():
            named.setdefault(benchmark.gate_shape, benchmark.title)
        return [[name, m, n] for (m, n), name in named.items()]

    @traitlets.validate("rows")
    def _check_rows(self, proposal: Any) -> int:
        return dense_rows(proposal["value"], self.m)

    @traitlets.validate("m")
    def _check_m(self, proposal: Any) -> int:
        dense_rows(self.rows, proposal["value"])
        return int(proposal["value"])

    def __repr__(self) -> str:
        shape, dense = self.shape, self.rows * self.n
        text = f"HybridDial: {self.m}×{self.n}, r = {self.rows}"
        if shape is None:
            return f"{text}: Algorithm 4 has no factors for {self.m - self.rows}×{self.n}"
        rank = min(self.m, self.n, self.rows + shape.rank)
        return (
            f"{text} over {shape.a_shape} ⊗ {shape.b_shape}: {shape.params + dense:,} parameters, "
            f"rank ≤ {rank}, {shape.macs + dense:,} MACs"
        )
