"""Sparse: dense gate matrices of which a mask keeps the entries of largest magnitude."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn

from kplib.errors import ShapeError
from kplib.nn.structures.base import ALL, Structure, Weight, checked_stacks
from kplib.nn.structures.dense import dense_operator, draw_dense
from kplib.nn.structures.initial import Initializer, check_initializer

COLUMN_BITS = (8, 16, 32)


@dataclass(frozen=True)
class Sparse(Structure):
    """Gate matrices W * mask, whose mask is all ones until they are pruned.

    A layer starts dense. Training code prunes it, step by step (`MagnitudeSchedule` and `prune`),
    or at once (``weight.prune_to()``); what has been pruned stays 0 and has no gradient.

    Parameters
    ----------
    density : float
        Fraction of the entries to be left at last, above 0 and at most 1: what ``prune_to()``
        without an argument, and ``assign``, prune to.
    init : {"pytorch", "glorot_uniform", "random_normal"}, optional
        Distribution of the initial entries, as of `Dense`.

    Raises
    ------
    ValueError
        If `density` is not such a number, or `init` unknown.

    See Also
    --------
    MagnitudeSchedule : the density at each step of training.
    prune : prunes all such weights of a model.

    Notes
    -----
    The smallest entries are pruned of each stack: gates that multiply the same vector are one
    matrix, as the kernel in the papers' TensorFlow, so that one gate may lose more than another.

    Papers: Zhu and Gupta, "To prune, or not to prune: exploring the efficacy of pruning for model
    compression" (2017), as used in "Compressing RNNs for IoT devices by 15-38x using Kronecker
    Products", which counts the non-zeros alone.

    Examples
    --------
    >>> from kplib.nn import Sparse
    >>> weight = Sparse(0.1).build(gates=4, rows=118, columns=128)
    >>> weight.params == 4 * 118 * 128
    True
    >>> weight.prune_to()
    >>> weight.params == weight.macs == round(0.1 * 4 * 118 * 128)
    True
    >>> bool(weight.matrix().count_nonzero() == weight.params)
    True
    """

    density: float
    init: Initializer = field(default="pytorch", kw_only=True)

    def __post_init__(self) -> None:
        check_initializer(self.init)
        _check_density(self.density)

    def build(
        self,
        gates: int,
        rows: int,
        columns: int,
        *,
        stacks: Sequence[int] | None = None,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
    ) -> "SparseWeight":
        """Return a new, initialised `SparseWeight` of shape (gates, rows, columns), not pruned."""
        return SparseWeight(
            gates, rows, columns, self.density, stacks=stacks,
            init=self.init, device=device, dtype=dtype,
        )  # fmt: skip


class SparseWeight(Weight):
    """The trainable weight of `Sparse`.

    Parameters
    ----------
    gates, rows, columns : int
        Size of the stack.
    target_density : float
        As of `Sparse`.
    stacks : sequence of int, optional
        Gates in a row that are pruned as one matrix; by default all.
    init : optional
        As of `Sparse`.
    device, dtype : optional
        As in `torch.nn`.

    Attributes
    ----------
    W : torch.nn.Parameter, shape (gates, rows, columns)
        The entries; `matrix` is what counts, in which those that are pruned are 0.
    mask : Tensor of bool, shape (gates, rows, columns)
        False where an entry is pruned; a buffer, saved with the state.
    target_density : float
        As given.

    Examples
    --------
    >>> from kplib.nn import LSTM, Sparse, prune
    >>> layer = LSTM(10, 118, weight=Sparse(0.1))
    >>> left = prune(layer, 0.1)
    >>> int(layer.weight.mask.sum()) == int((layer.weight.matrix() != 0).sum()) == left
    True
    """

    kind = "sparse"
    mask: Tensor

    def __init__(
        self,
        gates: int,
        rows: int,
        columns: int,
        target_density: float,
        *,
        stacks: Sequence[int] | None = None,
        init: Initializer = "pytorch",
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        super().__init__(gates, rows, columns)
        self.stacks = checked_stacks(gates, stacks)
        self.target_density = target_density
        self.init = init
        self.W = nn.Parameter(torch.empty(gates, rows, columns, device=device, dtype=dtype))
        self.register_buffer("mask", torch.ones_like(self.W, dtype=torch.bool))
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draw the entries as `Dense` does, and set the mask to all ones."""
        draw_dense(self.W, self.stacks, self.init)
        self.mask.fill_(True)

    def matrix(self) -> Tensor:
        """Return W * mask, shape (gates, rows, columns); pruned entries get no gradient."""
        return self.W * self.mask

    def operator(self, gates: slice = ALL) -> Callable[[Tensor], Tensor]:
        """Return V (columns, batch) -> (W * mask) V (gates, rows, batch), one dense product.

        That is what PyTorch is quick at: it costs `operator_macs`. A compiled network skips zeros.
        """
        return dense_operator(self.W[gates] * self.mask[gates])

    @torch.no_grad()
    def prune_to(self, density: float | None = None) -> None:
        """Prune the smallest entries of each stack until at most this fraction of it is left.

        Parameters
        ----------
        density : float, optional
            From 0 to 1; by default `target_density`. round(density * entries) entries of each
            stack stay. A stack that has no more than these already is left as it is: nothing that
            was pruned comes back.

        Raises
        ------
        ValueError
            If `density` is not from 0 to 1.
        """
        density = self.target_density if density is None else density
        if not 0 <= density <= 1:
            raise ValueError(f"density must be from 0 to 1, found {density!r}")
        parts = zip(self.W.detach().split(self.stacks), self.mask.split(self.stacks), strict=True)
        for W, mask in parts:
            keep = round(density * mask.numel())
            if keep < int(mask.sum()):
                magnitudes = W.abs().masked_fill(~mask, -1).flatten()
                left = torch.zeros_like(mask).flatten()
                left[magnitudes.topk(keep, sorted=False).indices] = True
                mask.copy_(left.view_as(mask))

    @property
    def density(self) -> float:
        """Fraction of the entries that is left."""
        return self.params / self.mask.numel()

    @property
    def params(self) -> int:
        """Entries that are left, as the papers count; not where they are: `index_bytes`."""
        return self.mask.numel() if self.mask.is_meta else int(self.mask.sum())

    @property
    def macs(self) -> int:
        """Multiplications of one step of one sequence that skips zeros: one an entry left."""
        return self.params

    @property
    def operator_macs(self) -> int:
        """Multiplications a column of V takes in `operator`: gates * rows * columns."""
        return self.mask.numel()

    @property
    def nbytes(self) -> int:
        """Bytes of the entries that are left, without `index_bytes`."""
        return self.params * self.W.element_size()

    @property
    def index_bytes(self) -> int:
        """Bytes that say where the entries are: `csr_index_bytes` in the narrowest columns."""
        return csr_index_bytes(self.params, self.gates * self.rows, self.columns)

    @property
    def nbytes_with_index(self) -> int:
        """Bytes of the entries that are left and of where they are: what a device stores."""
        return self.nbytes + self.index_bytes

    def _assign(self, W: Tensor) -> None:
        self.W.copy_(W)
        self.mask.fill_(True)
        self.prune_to()

    def extra_repr(self) -> str:
        """Describe the stack, its density and its parameters."""
        return f"density {self.density:.4g}, target {self.target_density:.4g}, {self._size()}"


def csr_index_bytes(
    nonzeros: int, rows: int, columns: int, *, column_bits: int | None = None
) -> int:
    """Return the bytes that compressed sparse rows take beside the values.

    Parameters
    ----------
    nonzeros : int
        Entries that are stored.
    rows, columns : int
        Of the matrix; of stacked gates, rows is gates * hidden.
    column_bits : {8, 16, 32}, optional
        Of each entry's column number; by default the fewest that can count `columns`.

    Returns
    -------
    int
        A column number for each entry, and rows + 1 numbers that say where each row begins, of 16
        bits where they can count the entries, else 32.

    Raises
    ------
    ShapeError
        If so many bits cannot count the columns, or there are more entries than places.
    ValueError
        If the number of bits is another.

    Examples
    --------
    The pruned KWS-LSTM of the papers, 8 and 16 bits a column:

    >>> from kplib.nn import csr_index_bytes
    >>> csr_index_bytes(2085, 4 * 118, 128) == 2085 + 2 * (4 * 118 + 1)
    True
    >>> csr_index_bytes(2085, 4 * 118, 128, column_bits=16) == 2 * 2085 + 2 * (4 * 118 + 1)
    True
    """
    if not 0 <= nonzeros <= rows * columns:
        raise ShapeError(f"nonzeros is {nonzeros}, but {rows} x {columns} has {rows * columns}")
    if column_bits is None:
        column_bits = next(bits for bits in COLUMN_BITS if columns <= 2**bits)
    if column_bits not in COLUMN_BITS:
        raise ValueError(f"column_bits is {column_bits!r}, but must be one of {COLUMN_BITS}")
    if columns > 2**column_bits:
        raise ShapeError(f"column_bits is {column_bits}, which cannot count {columns} columns")
    pointer_bytes = 2 if nonzeros < 2**16 else 4
    return nonzeros * column_bits // 8 + (rows + 1) * pointer_bytes


def _check_density(density: float) -> None:
    if not 0 < density <= 1:
        raise ValueError(f"density must be above 0 and at most 1, found {density!r}")
