"""LowRank: the gate matrices of a stack, one above the other, are a product U V."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn

from kplib._checks import positive_integer
from kplib.errors import ShapeError
from kplib.nn.structures.base import ALL, Structure, Weight, checked_stacks, stack_spans
from kplib.nn.structures.initial import (
    Initializer,
    Match,
    check_initializer,
    dense_spectral_norm,
    draw,
    initial_variances,
    scale_pair,
)
from kplib.nn.structures.spectrum import in_double, product_singular_values


@dataclass(frozen=True)
class LowRank(Structure):
    """Gate matrices W = U V of low rank, with one V for all gates that multiply the same vector.

    Parameters
    ----------
    rank : int
        Columns of U and rows of V.
    stacked : bool, optional
        True: one U V for the stacked matrix (gates * hidden) x (input + hidden), the papers' way.
        A GRU with ``reset_after=False``, whose candidate multiplies another vector, has two. False:
        one for each gate.
    init : {"pytorch", "glorot_uniform", "random_normal"}, optional
        The dense initializer that the start is modelled on.
    match : {"variance", "spectral_norm"}, optional
        In what U V starts as the dense matrix does: in the variance of its entries, with which the
        largest singular value starts larger; or in that value itself,
        sqrt(variance) * (sqrt(rows) + sqrt(columns)) of the stacked matrix. The derivation:
        `kplib.nn.structures.initial`.

    Raises
    ------
    ShapeError
        If the rank is not a positive integer; and from ``build`` (so from the layer), if it is
        above that of the matrices.
    ValueError
        If `init` or `match` is not among those above.

    Notes
    -----
    rank * (gates * hidden + input + hidden) parameters and multiplications for each product.

    Papers: the low-rank networks of "Compressing RNNs for IoT devices by 15-38x using Kronecker
    Products"; their printed sizes are those of ranks 3 (MNIST), 4 (KWS-LSTM), 6 (HAR1), 5 (KWS-GRU)
    and 2 (USPS) of the stacked matrices.

    Examples
    --------
    >>> from kplib.nn import LowRank
    >>> weight = LowRank(4).build(gates=4, rows=118, columns=128)
    >>> weight.U.shape, weight.V.shape
    (torch.Size([4, 118, 4]), torch.Size([1, 4, 128]))
    >>> weight.params == weight.macs == 4 * (4 * 118 + 128)
    True
    """

    rank: int
    stacked: bool = field(default=True, kw_only=True)
    init: Initializer = field(default="pytorch", kw_only=True)
    match: Match = field(default="variance", kw_only=True)

    def __post_init__(self) -> None:
        check_initializer(self.init, self.match)
        object.__setattr__(self, "rank", positive_integer("rank", self.rank))

    @staticmethod
    def for_size(
        params: int,
        *,
        stacked: bool = True,
        init: Initializer = "pytorch",
        match: Match = "variance",
    ) -> "LowRankForSize":
        """Return the structure with the largest rank that fits, found when it is built.

        Parameters
        ----------
        params : int
            The most that U and V of all gates of a cell may have together; biases and head do not
            count.
        stacked, init, match : optional
            As of `LowRank`.

        Returns
        -------
        LowRankForSize

        Examples
        --------
        As many as the Kronecker product of KWS-LSTM has:

        >>> from kplib.nn import LowRank
        >>> LowRank.for_size(4 * 504).build(gates=4, rows=118, columns=128).rank
        3
        """
        return LowRankForSize(params, stacked=stacked, init=init, match=match)

    def build(
        self,
        gates: int,
        rows: int,
        columns: int,
        *,
        stacks: Sequence[int] | None = None,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
    ) -> "LowRankWeight":
        """Return a new, initialised `LowRankWeight` of shape (gates, rows, columns)."""
        sizes = _stacks(gates, stacks, self.stacked)
        most = _largest_rank(sizes, rows, columns)
        if self.rank > most:
            stacked = " and ".join(str((size * rows, columns)) for size in sorted(set(sizes)))
            raise ShapeError(
                f"rank is {self.rank}, but must be at most {most} for matrices {stacked}"
            )
        return LowRankWeight(
            sizes, rows, columns, self.rank, kernels=checked_stacks(gates, stacks),
            init=self.init, match=self.match, device=device, dtype=dtype,
        )  # fmt: skip


@dataclass(frozen=True)
class LowRankForSize(Structure):
    """A `LowRank` whose rank is chosen for a size: `LowRank.for_size`.

    Parameters
    ----------
    params : int
        The most that U and V of all gates of a cell may have together.
    stacked, init, match : optional
        As of `LowRank`.

    Raises
    ------
    ShapeError
        If `params` is not a positive integer; from ``build``, if rank 1 takes more.
    ValueError
        If `init` or `match` is not among those of `LowRank`.

    Examples
    --------
    >>> from kplib.nn import LowRank
    >>> structure = LowRank.for_size(2016)
    >>> isinstance(structure, LowRankForSize)
    True
    >>> structure.build(gates=4, rows=118, columns=128).params <= 2016
    True
    """

    params: int
    stacked: bool = field(default=True, kw_only=True)
    init: Initializer = field(default="pytorch", kw_only=True)
    match: Match = field(default="variance", kw_only=True)

    def __post_init__(self) -> None:
        check_initializer(self.init, self.match)
        object.__setattr__(self, "params", positive_integer("params", self.params))

    def low_rank(
        self, gates: int, rows: int, columns: int, *, stacks: Sequence[int] | None = None
    ) -> LowRank:
        """Return the `LowRank` that is built for gate matrices of this size.

        Its rank is the largest whose factors have at most `params` entries, and not above that of
        the matrices.

        Examples
        --------
        >>> from kplib.nn import LowRank
        >>> LowRank.for_size(2400).low_rank(4, 118, 128).rank == 4
        True
        """
        sizes = _stacks(gates, stacks, self.stacked)
        each = sum(size * rows + columns for size in sizes)
        if each > self.params:
            raise ShapeError(
                f"params is {self.params}, but rank 1 of {gates} gates of {rows} x {columns} "
                f"takes {each}"
            )
        rank = min(self.params // each, _largest_rank(sizes, rows, columns))
        return LowRank(rank, stacked=self.stacked, init=self.init, match=self.match)

    def build(
        self,
        gates: int,
        rows: int,
        columns: int,
        *,
        stacks: Sequence[int] | None = None,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
    ) -> "LowRankWeight":
        """Return a new, initialised `LowRankWeight` of the chosen rank."""
        return self.low_rank(gates, rows, columns, stacks=stacks).build(
            gates, rows, columns, stacks=stacks, device=device, dtype=dtype
        )


class LowRankWeight(Weight):
    """The trainable weight of `LowRank`.

    Parameters
    ----------
    stacks : sequence of int
        How many gates share a V.
    rows, columns : int
        Size of a gate's matrix.
    rank : int
        Columns of U and rows of V.
    kernels : sequence of int, optional
        Gates in a row that are initialised as one kernel; by default `stacks`.
    init, match : optional
        As of `LowRank`.
    device, dtype : optional
        As in `torch.nn`.

    Attributes
    ----------
    U : torch.nn.Parameter, shape (gates, rows, rank)
        The left factors, cut into gates.
    V : torch.nn.Parameter, shape (number of stacks, rank, columns)
        The right factors.

    Examples
    --------
    >>> weight = LowRankWeight([4], 118, 128, rank=10)
    >>> weight.U.shape, weight.V.shape
    (torch.Size([4, 118, 10]), torch.Size([1, 10, 128]))
    >>> torch.allclose(weight.matrix()[2], weight.U[2] @ weight.V[0], atol=1e-6)
    True
    """

    kind = "low_rank"

    def __init__(
        self,
        stacks: Sequence[int],
        rows: int,
        columns: int,
        rank: int,
        *,
        kernels: Sequence[int] | None = None,
        init: Initializer = "pytorch",
        match: Match = "variance",
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        super().__init__(sum(stacks), rows, columns)
        self.stacks = tuple(stacks)
        self.kernels = self.stacks if kernels is None else checked_stacks(self.gates, kernels)
        self.rank = rank
        self.init = init
        self.match = match
        sizes = (self.gates, rows, rank), (len(self.stacks), rank, columns)
        U, V = (torch.empty(size, device=device, dtype=dtype) for size in sizes)
        self.U, self.V = nn.Parameter(U), nn.Parameter(V)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draw U and V so that U V starts as the dense matrix does: see `LowRank`'s match.

        An entry of U V is a sum of `rank` products of independent numbers of mean 0, so
        Var[w] = rank * Var[u] * Var[v], and both factors get the same share,
        Var[u] = Var[v] = sqrt(Var[w] / rank).
        """
        kernels = initial_variances(self.init, self.kernels, self.rows, self.columns)
        gates = [v for v, size in zip(kernels, self.kernels, strict=True) for _ in range(size)]
        # a stack is a kernel or one gate of it: its first gate speaks for all
        variances = [gates[sum(self.stacks[:k])] for k in range(len(self.stacks))]
        parts = zip(self.U.detach().split(self.stacks), self.V.detach(), variances, strict=True)
        for U, V, variance in parts:
            U = U.flatten(0, 1)
            for factor in (U, V):
                draw(factor, (variance / self.rank) ** 0.5, self.init)
            if self.match == "spectral_norm" and not U.is_meta:
                norm = product_singular_values(in_double(U), in_double(V))[:1]
                target = dense_spectral_norm(variance, U.shape[0], self.columns)
                scale_pair(U.unsqueeze(0), V.unsqueeze(0), norm, target)

    def matrix(self) -> Tensor:
        """Return U V, shape (gates, rows, columns)."""
        stacked = [
            U.flatten(0, 1) @ V for U, V in zip(self.U.split(self.stacks), self.V, strict=True)
        ]
        return torch.cat(stacked).view(self.gates, self.rows, self.columns)

    def operator(self, gates: slice = ALL) -> Callable[[Tensor], Tensor]:
        """Return X (columns, batch) -> U (V X) (gates, rows, batch)."""
        spans = stack_spans(self.stacks, gates)
        U_stacks = self.U.split(self.stacks)
        left = [U_stacks[k][of_stack].flatten(0, 1) for k, of_stack in spans]
        right = torch.cat([self.V[k] for k, _ in spans])
        count = sum(len(U) for U in left) // self.rows

        def multiply(X: Tensor) -> Tensor:
            narrow = (right @ X).chunk(len(left))
            products = [U @ VX for U, VX in zip(left, narrow, strict=True)]
            stacked = products[0] if len(products) == 1 else torch.cat(products)
            return stacked.unflatten(0, (count, self.rows))

        return multiply

    @property
    def macs(self) -> int:
        """Multiplications of one step of one sequence: one for each parameter."""
        return self.rank * sum(size * self.rows + self.columns for size in self.stacks)

    def singular_values(self) -> Tensor:
        """Return each gate matrix's singular values, (gates, min(rows, columns)).

        From the factors, whose QR decompositions leave rank x rank matrices; all beyond `rank` are
        0. Otherwise as `Weight.singular_values`.
        """
        of_gate = [k for k, size in enumerate(self.stacks) for _ in range(size)]
        U, V = in_double(self.U), in_double(self.V)
        return self._returned(product_singular_values(U, V[of_gate]))

    def stacked_singular_values(self) -> Tensor:
        """Return the singular values of the stacked matrix, (min(gates * rows, columns),).

        From the factors: it is diag(U_1, U_2, ...) [V_1; V_2; ...] for several stacks.
        """
        U = torch.block_diag(*(part.flatten(0, 1) for part in in_double(self.U).split(self.stacks)))
        V = in_double(self.V).flatten(0, 1)
        return self._returned(product_singular_values(U, V))

    def _assign(self, W: Tensor) -> None:
        """Truncate each stack's singular value decomposition; both factors get sqrt(sigma)."""
        U_parts = self.U.split(self.stacks)
        for U, V, part in zip(U_parts, self.V, W.split(self.stacks), strict=True):
            left, sigma, right = torch.linalg.svd(part.flatten(0, 1), full_matrices=False)
            root = sigma[: self.rank].sqrt()
            U.copy_((left[:, : self.rank] * root).view(U.shape))
            V.copy_(root.unsqueeze(1) * right[: self.rank])

    def extra_repr(self) -> str:
        """Describe the factors, the stack and its parameters."""
        return f"U V of rank {self.rank} for stacks of {self.stacks}, {self._size()}"


def _stacks(gates: int, stacks: Sequence[int] | None, stacked: bool) -> tuple[int, ...]:
    """Return how many gates share a V: those of a stack, or each has its own."""
    return checked_stacks(gates, stacks) if stacked else (1,) * gates


def _largest_rank(stacks: Sequence[int], rows: int, columns: int) -> int:
    """Return the largest rank that every stacked matrix can have."""
    return min(min(size * rows, columns) for size in stacks)
