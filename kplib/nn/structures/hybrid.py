"""Hybrid: dense rows on top of a Kronecker product, a dial between the two."""

import numbers
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import cast

import torch
from torch import Tensor, nn

from kplib._checks import positive_integer
from kplib.errors import ShapeError
from kplib.nn.structures.base import ALL, Structure, Weight, checked_stacks
from kplib.nn.structures.factors import (
    assign_nearest,
    draw_factors,
    kron_matrix,
    kron_operator,
    require_size,
)
from kplib.nn.structures.initial import (
    Initializer,
    Match,
    check_initializer,
    draw,
    initial_variances,
)
from kplib.shapes import FactorShape, algorithm4, as_factor_shape, hybrid_shapes, prime_factors


@dataclass(frozen=True)
class Hybrid(Structure):
    """Gate matrices W = [D; A (x) B]: dense rows D on top of a Kronecker product.

    Parameters
    ----------
    rows : int
        Dense rows of each gate, the papers' r: from 0 to hidden - 1.
    shape : FactorShape or sequence of four int, optional
        (m1, n1, m2, n2): A is m1 x n1, B is m2 x n2, and m1 * m2 = hidden - rows. By default
        `kplib.algorithm4` chooses, as the papers did; hidden - rows then must not be a one or a
        prime.
    init : {"pytorch", "glorot_uniform", "random_normal"}, optional
        The dense initializer that the start is modelled on.
    match : {"variance", "spectral_norm"}, optional
        In what A (x) B starts as dense rows in its place would, as of `Kronecker`. D starts as
        dense rows do.

    Raises
    ------
    ShapeError
        If `rows` is not such a number or `shape` not four positive integers; and from ``build``
        (so from the layer), if D and A (x) B do not make up the gate matrices, or Algorithm 4
        cannot factor the rows that D leaves: the message names the nearest numbers that work.
    ValueError
        If `init` or `match` is not among those above.

    Notes
    -----
    The rank of W is at most r + min(m1, n1) * min(m2, n2). The size does not always grow with r,
    since the shape changes with hidden - r: a KWS-LSTM with r = 1 is smaller than with r = 0.

    Papers: "Compressing RNNs for IoT devices by 15-38x using Kronecker Products", Algorithm 2.

    Examples
    --------
    >>> from kplib.nn import Hybrid
    >>> weight = Hybrid(2).build(gates=4, rows=118, columns=128)
    >>> weight.D.shape
    torch.Size([4, 2, 128])
    >>> print(weight.shape)
    (29, 8) x (4, 16)
    >>> [Hybrid(r).build(4, 118, 128).params // 4 for r in (0, 1, 2)] == [504, 376, 552]
    True
    """

    rows: int
    shape: FactorShape | Sequence[int] | None = None
    init: Initializer = field(default="pytorch", kw_only=True)
    match: Match = field(default="variance", kw_only=True)

    def __post_init__(self) -> None:
        check_initializer(self.init, self.match)
        object.__setattr__(self, "rows", _dense_rows(self.rows))
        if self.shape is not None:
            object.__setattr__(self, "shape", as_factor_shape(self.shape))

    @staticmethod
    def for_compression(
        compression: float, *, init: Initializer = "pytorch", match: Match = "variance"
    ) -> "HybridForCompression":
        """Return the structure that chooses `rows` for a compression, when it is built.

        Parameters
        ----------
        compression : float
            Entries of the dense gate matrices over the parameters that replace them, at least 1.
            Biases and head do not count: of a whole network, `kplib.build` takes care.
        init, match : optional
            As of `Hybrid`.

        Returns
        -------
        HybridForCompression

        Examples
        --------
        >>> from kplib.nn import Hybrid
        >>> weight = Hybrid.for_compression(10).build(gates=4, rows=118, columns=128)
        >>> weight.dense_rows, round(118 * 128 / (weight.params / 4), 2)
        (8, 11.87)
        """
        return HybridForCompression(compression, init=init, match=match)

    def build(
        self,
        gates: int,
        rows: int,
        columns: int,
        *,
        stacks: Sequence[int] | None = None,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
    ) -> "HybridWeight":
        """Return a new, initialised `HybridWeight` for gate matrices of rows x columns."""
        # __post_init__ left nothing but a FactorShape or None
        given = cast("FactorShape | None", self.shape)
        if self.rows >= rows:
            raise ShapeError(
                f"rows is {self.rows}, but must be below {rows}, the rows of a gate's matrix"
            )
        left = rows - self.rows
        shape = _shape_below(self.rows, rows, columns) if given is None else given
        require_size(shape, left, columns, f"what {self.rows} dense rows leave of a gate's {rows}")
        return HybridWeight(
            gates, self.rows, shape, stacks=stacks,
            init=self.init, match=self.match, device=device, dtype=dtype,
        )  # fmt: skip


@dataclass(frozen=True)
class HybridForCompression(Structure):
    """A `Hybrid` whose dense rows are chosen for a compression: `Hybrid.for_compression`.

    Parameters
    ----------
    compression : float
        Entries of the dense gate matrices over the parameters that replace them, at least 1.
    init, match : optional
        As of `Hybrid`.

    Raises
    ------
    ValueError
        If `compression` is below 1, or `init` or `match` unknown.
    ShapeError
        From ``build``, if no number of dense rows compresses so much; the message says what is
        the most.

    Notes
    -----
    All r from 0 to hidden - 1 are tried, with the shape of Algorithm 4 where it is defined, since
    the size is not monotone in r. Taken is the largest gate, r * n + m1 * n1 + m2 * n2 parameters,
    that compresses at least as asked for: the closest to it from above. Of equal ones, the one
    with fewer dense rows.

    Examples
    --------
    >>> from kplib.nn import Hybrid
    >>> structure = Hybrid.for_compression(10)
    >>> isinstance(structure, HybridForCompression)
    True
    >>> weight = structure.build(gates=4, rows=118, columns=128)
    >>> 4 * 118 * 128 / weight.params >= 10
    True
    """

    compression: float
    init: Initializer = field(default="pytorch", kw_only=True)
    match: Match = field(default="variance", kw_only=True)

    def __post_init__(self) -> None:
        check_initializer(self.init, self.match)
        if not 1 <= self.compression < float("inf"):
            raise ValueError(f"compression must be a number from 1 on, found {self.compression!r}")

    def hybrid(self, rows: int, columns: int) -> Hybrid:
        """Return the `Hybrid` that is built for gate matrices of rows x columns.

        Examples
        --------
        >>> from kplib.nn import Hybrid
        >>> Hybrid.for_compression(30).hybrid(118, 128).rows == 1
        True
        """
        shapes = hybrid_shapes(rows, columns)
        sizes = {r: r * columns + shape.params for r, shape in shapes.items()}
        if not sizes:
            _shape_below(0, rows, columns)  # which says why there is none
        fitting = [r for r, size in sizes.items() if size * self.compression <= rows * columns]
        if not fitting:
            least = min(sizes, key=lambda r: sizes[r])
            raise ShapeError(
                f"no hybrid compresses a {rows} x {columns} matrix {self.compression} times: the "
                f"most is {rows * columns / sizes[least]:.1f}, {sizes[least]} parameters, with "
                f"rows = {least}"
            )
        best = max(fitting, key=lambda r: (sizes[r], -r))
        return Hybrid(best, init=self.init, match=self.match)

    def build(
        self,
        gates: int,
        rows: int,
        columns: int,
        *,
        stacks: Sequence[int] | None = None,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
    ) -> "HybridWeight":
        """Return a new, initialised `HybridWeight` of the chosen number of dense rows."""
        return self.hybrid(rows, columns).build(
            gates, rows, columns, stacks=stacks, device=device, dtype=dtype
        )


class HybridWeight(Weight):
    """The trainable weight of `Hybrid`.

    Parameters
    ----------
    gates : int
        How many gate matrices.
    dense_rows : int
        Rows of D, 0 or more.
    shape : FactorShape
        The shapes of A and B.
    stacks : sequence of int, optional
        Gates in a row that are initialised as one kernel; by default all.
    init, match : optional
        As of `Hybrid`.
    device, dtype : optional
        As in `torch.nn`.

    Attributes
    ----------
    D : torch.nn.Parameter, shape (gates, dense_rows, n1 * n2)
        The upper rows.
    A : torch.nn.Parameter, shape (gates, m1, n1)
        The left factors.
    B : torch.nn.Parameter, shape (gates, m2, n2)
        The right factors.
    shape : FactorShape
        The shapes of one gate's factors.

    Examples
    --------
    >>> weight = HybridWeight(4, 6, FactorShape(28, 8, 4, 16))
    >>> weight.matrix().shape
    torch.Size([4, 118, 128])
    >>> torch.equal(weight.matrix()[:, :6], weight.D)
    True
    """

    kind = "hybrid"

    def __init__(
        self,
        gates: int,
        dense_rows: int,
        shape: FactorShape,
        *,
        stacks: Sequence[int] | None = None,
        init: Initializer = "pytorch",
        match: Match = "variance",
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        super().__init__(gates, dense_rows + shape.m, shape.n)
        self.shape = shape
        self.stacks = checked_stacks(gates, stacks)
        self.init = init
        self.match = match
        self.D = nn.Parameter(torch.empty(gates, dense_rows, shape.n, device=device, dtype=dtype))
        self.A = nn.Parameter(torch.empty(gates, *shape.a_shape, device=device, dtype=dtype))
        self.B = nn.Parameter(torch.empty(gates, *shape.b_shape, device=device, dtype=dtype))
        self.reset_parameters()

    @property
    def dense_rows(self) -> int:
        """Dense rows of each gate."""
        return self.D.shape[1]

    def reset_parameters(self) -> None:
        """Draw D as dense rows, and A and B so that A (x) B starts as dense rows do."""
        variances = initial_variances(self.init, self.stacks, self.rows, self.columns)
        parts = (p.detach().split(self.stacks) for p in (self.D, self.A, self.B))
        for D, A, B, variance in zip(*parts, variances, strict=True):
            draw(D, variance, self.init)
            draw_factors(A.unsqueeze(1), B.unsqueeze(1), variance, self.init, self.match)

    def matrix(self) -> Tensor:
        """Return [D; A (x) B], shape (gates, dense_rows + m1*m2, n1*n2)."""
        lower = kron_matrix(self.A.unsqueeze(1), self.B.unsqueeze(1))
        return torch.cat((self.D, lower), 1)

    def operator(self, gates: slice = ALL) -> Callable[[Tensor], Tensor]:
        """Return V (n1*n2, batch) -> [D V; (A (x) B) V] of shape (gates, rows, batch)."""
        D, A, B = self.D[gates], self.A[gates], self.B[gates]
        of_product = kron_operator(self.shape, A.unsqueeze(1), B.unsqueeze(1))
        upper, size = D.flatten(0, 1), D.shape[:2]

        def multiply(V: Tensor) -> Tensor:
            return torch.cat(((upper @ V).unflatten(0, size), of_product(V)), 1)

        return multiply

    @property
    def macs(self) -> int:
        """Multiplications of one step of one sequence: gates * (dense_rows * n + shape.macs)."""
        return self.gates * (self.dense_rows * self.columns + self.shape.macs)

    def _assign(self, W: Tensor) -> None:
        upper, lower = W.split((self.dense_rows, self.shape.m), 1)
        self.D.copy_(upper)
        assign_nearest(self.A.unsqueeze(1), self.B.unsqueeze(1), lower)

    def extra_repr(self) -> str:
        """Describe the parts, the stack and its parameters."""
        return f"{self.dense_rows} dense rows over A (x) B with {self.shape}, {self._size()}"


def _dense_rows(rows: object) -> int:
    """Return a number of dense rows as int, or raise a ShapeError."""
    if isinstance(rows, numbers.Integral) and not isinstance(rows, bool) and rows == 0:
        return 0
    try:
        return positive_integer("rows", rows)
    except ShapeError:
        raise ShapeError(f"rows must be 0 or a positive integer, found {rows!r}") from None


def _shape_below(dense_rows: int, rows: int, columns: int) -> FactorShape:
    """Return Algorithm 4's shape for the rows that are left, or say which numbers work."""
    left = rows - dense_rows
    shapes = hybrid_shapes(rows, columns)
    if dense_rows in shapes:
        return shapes[dense_rows]
    if len(prime_factors(columns)) < 2:
        return algorithm4(left, columns)  # its error says what to do about the columns
    nearest = [max((r for r in shapes if r < dense_rows), default=None)]
    nearest += [min((r for r in shapes if r > dense_rows), default=None)]
    works = " and ".join(f"rows = {r}" for r in nearest if r is not None)
    advice = f"the nearest that work: {works}" if works else "no number works"
    raise ShapeError(
        f"{dense_rows} dense rows of {rows} leave {left} for A (x) B, "
        f"{'a prime' if left > 1 else 'no product'}, which Algorithm 4 cannot factor; {advice}"
    )
