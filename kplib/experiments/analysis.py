"""What trained matrices look like: rank, conditioning, singular values.

Of each layer and direction: the gates' matrices, the stacked ones, and the factors. What the papers
say of them is checked in `kplib.experiments.claims`.

**Numerical rank.** Singular values up to max(rows, columns) * eps * sigma_1 count as zero, with
the eps of the dtype that the network was trained in, 1.2e-7: what `numpy.linalg.matrix_rank` would
call zero in the stored matrix. The values themselves are computed in double precision, from the
factors where a structure has them.
"""

import copy
import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal, cast

import torch
from torch import Tensor

from kplib.experiments.benchmarks import BENCHMARKS
from kplib.experiments.comparison_table import LABELS
from kplib.experiments.grouped_table import GroupedTable, Row
from kplib.experiments.records import StoredRun
from kplib.experiments.training import load_network
from kplib.nn import GRU, LSTM, Classifier
from kplib.nn.cell import Cell
from kplib.nn.recurrent import Recurrent
from kplib.nn.structures import (
    ChainWeight,
    DenseWeight,
    HybridWeight,
    KroneckerSumWeight,
    LowRankWeight,
    SparseWeight,
    SplitWeight,
    StackedKroneckerWeight,
    Weight,
)
from kplib.nn.structures.base import stack_spans
from kplib.nn.structures.spectrum import singular_values

__all__ = [
    "MatrixAnalysis",
    "NetworkAnalysis",
    "analyze",
    "analyze_run",
    "matrices_table",
]

Part = Literal["gate", "stack", "factor"]
_WORDS = {"gate": "gate alone", "stack": "stack of gates", "factor": "factor"}


# One matrix ---------------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class MatrixAnalysis:
    """The singular values of a matrix of a trained network, and what follows from them.

    Parameters
    ----------
    cell : str
        Layer and direction: "l0", "l0_reverse", "l1", ...
    part : {"gate", "stack", "factor"}
        A gate's matrix [W_x W_h]; those of the gates that multiply the same vector, one above the
        other; or one of the matrices that a gate's is made of.
    name : str
        Which: "i", "f", "g", "o" of an LSTM, "r", "z", "n" of a GRU; "ifgo"; "i A".
    rows, columns : int
        Its size.
    singular_values : tuple of float
        All min(rows, columns) of them in descending order, zeros included.
    rank_bound : int
        The most that its rank can be, by what it is made of. Of a pruned matrix: the rows, or the
        columns, that have an entry.
    sparsity : float
        Fraction of the entries that are exactly 0.
    rtol : float
        Singular values up to rtol * sigma_1 count as zero.

    Examples
    --------
    >>> matrix = MatrixAnalysis(
    ...     cell="l0", part="gate", name="i", rows=3, columns=5, singular_values=(4.0, 2.0, 0.0),
    ...     rank_bound=2, sparsity=0.0, rtol=1e-6,
    ... )
    >>> matrix.rank, matrix.full_rank, matrix.condition_number, matrix.effective_condition_number
    (2, 3, inf, 2.0)
    >>> matrix.energy
    (0.8, 1.0, 1.0)
    """

    cell: str
    part: Part
    name: str
    rows: int
    columns: int
    singular_values: tuple[float, ...]
    rank_bound: int
    sparsity: float
    rtol: float

    @property
    def largest(self) -> float:
        """The largest singular value, the spectral norm: the most that ||W x|| / ||x|| can be."""
        return self.singular_values[0]

    @property
    def nonzero(self) -> tuple[float, ...]:
        """The singular values that are not numerically zero."""
        return tuple(s for s in self.singular_values if s > self.rtol * self.largest)

    @property
    def rank(self) -> int:
        """Numerical rank."""
        return len(self.nonzero)

    @property
    def full_rank(self) -> int:
        """The rank that a matrix of this size can have: min(rows, columns)."""
        return min(self.rows, self.columns)

    @property
    def condition_number(self) -> float:
        """Largest over smallest singular value: infinite if the matrix is rank-deficient."""
        return self.effective_condition_number if self.rank == self.full_rank else math.inf

    @property
    def effective_condition_number(self) -> float:
        """Largest over smallest of the singular values that are not zero; of 0 infinite."""
        return self.largest / self.nonzero[-1] if self.nonzero else math.inf

    @property
    def energy(self) -> tuple[float, ...]:
        """Share of ||W||_F^2 that the k largest singular values have, for k = 1, 2, ...

        A matrix of rank k that is nearest to W leaves 1 - energy[k - 1] of it.
        """
        squares = [s * s for s in self.singular_values]
        total = math.fsum(squares)
        shares, so_far = [], 0.0
        for square in squares:
            so_far += square
            shares.append(min(1.0, so_far / total) if total else 1.0)
        return tuple(shares)

    @property
    def stable_rank(self) -> float:
        """||W||_F^2 / sigma_1^2: how many directions have about the largest gain; 0 of 0."""
        squares = math.fsum(s * s for s in self.singular_values)
        return squares / self.largest**2 if self.largest else 0.0

    def rank_for_energy(self, share: float) -> int:
        """Return how many singular values it takes to have this share of ||W||_F^2.

        Raises
        ------
        ValueError
            If the share is not from 0 to 1.
        """
        if not 0 <= share <= 1:
            raise ValueError(f"share must be from 0 to 1, found {share!r}")
        # sums of squares that were added up in another order may fall short of 1 by rounding
        return next(k for k, e in enumerate((0.0, *self.energy)) if e >= share - 1e-12)


def analyze(model: Classifier | Recurrent, *, rtol: float | None = None) -> list[MatrixAnalysis]:
    """Look at every matrix of a network.

    Parameters
    ----------
    model : Classifier or recurrent layer of kplib.nn
        With any structure; it is left as it is.
    rtol : float, optional
        Singular values up to rtol * sigma_1 count as zero; by default max(rows, columns) * eps of
        the parameters' dtype.

    Returns
    -------
    list of MatrixAnalysis
        For each layer and direction its gates, then the stacks of several gates that multiply the
        same vector (of a GRU that resets before the product only r and z do), then the factors.

    Raises
    ------
    ValueError
        If there is no recurrent layer of kplib, or a weight is not finite.

    Notes
    -----
    A singular value decomposition of each factor where the structure is one product, else of each
    gate's matrix, O(m n min(m, n)); and one of each stack.

    Examples
    --------
    The papers' KWS-LSTM, as it is before training:

    >>> from kplib.experiments.build import build
    >>> matrices = analyze(build("kws-lstm", "kp", seed=0))
    >>> gates = [matrix for matrix in matrices if matrix.part == "gate"]
    >>> [(gate.name, gate.rank, gate.full_rank) for gate in gates]
    [('i', 16, 118), ('f', 16, 118), ('g', 16, 118), ('o', 16, 118)]
    >>> [(m.name, m.rank, m.rank_bound, m.full_rank) for m in matrices if m.part == "stack"]
    [('ifgo', 64, 64, 128)]
    >>> all(m.rank == m.full_rank for m in matrices if m.part == "factor")
    True
    """
    rnn = model.rnn if isinstance(model, Classifier) else model
    if not isinstance(rnn, Recurrent):
        raise ValueError(f"there is no recurrent layer of kplib.nn in a {type(rnn).__name__}")
    found: list[MatrixAnalysis] = []
    for cell_name, module in rnn.cells.items():
        cell = cast("Cell", module)
        weight = copy.deepcopy(cell.weight).cpu().double().requires_grad_(False)
        if not all(torch.isfinite(p).all() for p in weight.parameters()):
            raise ValueError(f"{cell_name} has weights that are NaN or infinite")
        eps = torch.finfo(next(cell.weight.parameters()).dtype).eps
        names = _gate_names(rnn, weight.gates)
        for part, name, matrix, values, bound in _matrices(weight, rnn.stacks, names):
            rows, columns = matrix.shape
            found.append(
                MatrixAnalysis(
                    cell=cell_name,
                    part=part,
                    name=name,
                    rows=rows,
                    columns=columns,
                    singular_values=tuple(values.tolist()),
                    rank_bound=min(bound, rows, columns),
                    sparsity=1 - int(matrix.count_nonzero()) / matrix.numel(),
                    rtol=max(rows, columns) * eps if rtol is None else rtol,
                )
            )
    return found


_Found = tuple[Part, str, Tensor, Tensor, int]


def _matrices(weight: Weight, stacks: Sequence[int], names: Sequence[str]) -> Iterator[_Found]:
    """Yield part, name, matrix, singular values and bound of the rank of a weight's matrices."""
    W = weight.matrix()
    bounds = _rank_bounds(weight, W)
    parts = zip(names, W, weight.singular_values(), bounds, strict=True)
    for name, matrix, values, bound in parts:
        yield "gate", name, matrix, values, bound
    first = 0
    for size in stacks:
        gates = slice(first, first + size)
        first += size
        if size > 1:
            matrix = W[gates].flatten(0, 1)
            whole = size == weight.gates
            values = weight.stacked_singular_values() if whole else singular_values(matrix)
            bound = _stack_bound(weight, gates, bounds)
            yield "stack", "".join(names[gates]), matrix, values, bound
    if not isinstance(weight, DenseWeight | SparseWeight):
        for name, matrix in _factors(weight, names):
            yield "factor", name, matrix, singular_values(matrix), min(matrix.shape)


def _gate_names(rnn: Recurrent, gates: int) -> Sequence[str]:
    if isinstance(rnn, LSTM):
        return "ifgo"
    return "rzn" if isinstance(rnn, GRU) else "h" if gates == 1 else [*map(str, range(gates))]


def _rank_bounds(weight: Weight, W: Tensor) -> list[int]:
    """Return the most that each gate's rank can be, or more than min(rows, columns)."""
    match weight:
        case SplitWeight():
            pairs = zip(
                _rank_bounds(weight.input, weight.input.matrix()),
                _rank_bounds(weight.hidden, weight.hidden.matrix()),
                strict=True,
            )
            return [sum(pair) for pair in pairs]
        case HybridWeight():
            bound = weight.dense_rows + weight.shape.rank
        case KroneckerSumWeight():
            bound = weight.terms * weight.shape.rank
        case StackedKroneckerWeight():
            ranks = zip(weight.shapes, weight.stacks, strict=True)
            return [weight.terms * shape.rank for shape, size in ranks for _ in range(size)]
        case LowRankWeight():
            bound = weight.rank
        case ChainWeight():
            bound = math.prod(min(shape) for shape in weight.shapes)
        case SparseWeight():
            lines = [(W != 0).any(axis).sum(1).tolist() for axis in (1, 2)]
            return [min(pair) for pair in zip(*lines, strict=True)]
        case _:
            bound = min(weight.rows, weight.columns)
    return [bound] * weight.gates


def _stack_bound(weight: Weight, gates: slice, bounds: Sequence[int]) -> int:
    """Return the most that the rank of these gates' stacked matrix can be, or more."""
    if isinstance(weight, LowRankWeight):
        return weight.rank * len(stack_spans(weight.stacks, gates))
    if isinstance(weight, StackedKroneckerWeight):
        spans = stack_spans(weight.stacks, gates)
        return sum(weight.terms * weight.shapes[k].rank for k, _ in spans)
    return sum(bounds[gates])


def _factors(weight: Weight, names: Sequence[str]) -> Iterator[tuple[str, Tensor]]:
    """Yield the matrices that are stored, with the name of the gate where each has its own."""
    for path, module in weight.named_modules():
        owner = weight.get_submodule(path.rpartition(".")[0])
        pairs = isinstance(owner, ChainWeight) and owner.is_complex and path.endswith("values")
        for attribute, parameter in module.named_parameters(recurse=False):
            stored = torch.view_as_complex(parameter) if pairs else parameter
            flat = stored.flatten(0, -3)
            for k, matrix in enumerate(flat if _are_matrices(stored) else ()):
                of = names[k] if len(flat) == len(names) else str(k)
                yield f"{of} {'.'.join(filter(None, (path, attribute)))}", matrix


def _are_matrices(stored: Tensor) -> bool:
    """Whether these are matrices with entries, in a stack."""
    return stored.dim() >= 3 and stored.numel() > 0


# One network --------------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class NetworkAnalysis:
    """A trained network and its matrices.

    Parameters
    ----------
    benchmark, technique : str
        As of `kplib.build`.
    compression : int, optional
        10 or 20 for the papers' dial; None for the maximum, and for a baseline.
    seed : int
    variant : str
        As of its configuration; "" if it is the benchmark's own network.
    matrices : tuple of MatrixAnalysis
        From `analyze`.

    Examples
    --------
    >>> from kplib.experiments.build import build
    >>> found = NetworkAnalysis(
    ...     benchmark="kws-lstm", technique="kp", matrices=tuple(analyze(build("kws-lstm", "kp")))
    ... )
    >>> {matrix.part for matrix in found.matrices} >= {"gate", "factor"}
    True
    """

    benchmark: str
    technique: str
    compression: int | None = None
    seed: int = 0
    variant: str = ""
    matrices: tuple[MatrixAnalysis, ...]

    def parts(self, part: Part) -> list[MatrixAnalysis]:
        """Return the matrices of a kind; if there are no stacks, a gate stands for its own."""
        found = [matrix for matrix in self.matrices if matrix.part == part]
        return self.parts("gate") if part == "stack" and not found else found

    @property
    def sparsity(self) -> float:
        """Fraction of all gates' entries that are 0."""
        gates = self.parts("gate")
        sizes = [gate.rows * gate.columns for gate in gates]
        zeros = math.fsum(gate.sparsity * size for gate, size in zip(gates, sizes, strict=True))
        return zeros / sum(sizes)


def analyze_run(
    stored: StoredRun, *, network: Callable[[], Classifier] | None = None
) -> NetworkAnalysis:
    """Look at the matrices of a record's network.

    Parameters
    ----------
    stored : StoredRun
        Whose weights were kept. Those of large networks are kept in 16 bits, which moves a singular
        value by less than 2^-11 ||W||_F: too little to change what is said of any but the smallest.
    network : function, optional
        As of `kplib.experiments.training.load_network`.

    Returns
    -------
    NetworkAnalysis

    Raises
    ------
    ValueError
        If the weights were not kept, or do not fit.

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> import numpy as np
    >>> from kplib.data.sets import DataSet, Sequences
    >>> from kplib.experiments.configuration import default_configuration
    >>> from kplib.experiments.training import train
    >>> rng = np.random.default_rng(0)
    >>> part = Sequences(rng.normal(size=(20, 16, 16)).astype(np.float32), np.arange(20) % 10)
    >>> data = DataSet("usps", tuple("0123456789"), part, part, part)
    >>> setting = default_configuration("usps-fastrnn", "kp").with_length(1)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     found = analyze_run(train(setting, data, folder=folder))
    >>> found.benchmark, found.technique, len(found.matrices) > 0
    ('usps-fastrnn', 'kp', True)
    """
    configuration = stored.record.configuration
    return NetworkAnalysis(
        benchmark=configuration.benchmark,
        technique=configuration.technique,
        compression=configuration.compression,
        seed=configuration.seed,
        variant=configuration.variant,
        matrices=tuple(analyze(load_network(stored, network))),
    )


def matrices_table(
    networks: Iterable[NetworkAnalysis], part: Part = "gate", *, caption: str = ""
) -> GroupedTable:
    """Return ranges over matrices and seeds, a row for each kind of network.

    Parameters
    ----------
    networks : iterable of NetworkAnalysis
    part : {"gate", "stack", "factor"}, default "gate"
        Which matrices; a technique without factors has no row of them.
    caption : str, optional

    Returns
    -------
    GroupedTable
        Benchmark and technique; rank, and the most that a matrix of this size could have; condition
        number over the non-zero singular values; largest singular value.

    Examples
    --------
    >>> from kplib.experiments.build import build
    >>> start = NetworkAnalysis(
    ...     benchmark="kws-lstm", technique="kp",
    ...     matrices=tuple(analyze(build("kws-lstm", "kp", seed=0))),
    ... )
    >>> matrices_table([start]).rows[0].cells[0]
    ('16', 'of 118')
    """
    groups: dict[tuple[str, str], list[MatrixAnalysis]] = {}
    for network in networks:
        words = [LABELS[network.technique]]
        words += [f"{network.compression}×"] if network.compression else []
        words += [network.variant] if network.variant else []
        key = BENCHMARKS[network.benchmark].title, ", ".join(words)
        groups.setdefault(key, []).extend(network.parts(part))
    rows = tuple(
        Row(
            name=title,
            details=(technique,),
            cells=(
                (*_range([m.rank for m in found]), f"of {max(m.full_rank for m in found)}"),
                _range([m.effective_condition_number for m in found]),
                _range([m.largest for m in found]),
            ),
        )
        for (title, technique), found in groups.items()
        if found
    )
    caption = caption or f"Singular values of trained matrices: each {_WORDS[part]}"
    heads = ("Network", "Rank", "Condition", "Largest")
    return GroupedTable(caption=caption, heads=heads, rows=rows)


def _range(values: Sequence[float]) -> tuple[str, ...]:
    """Return the ends in two lines, or in one where they are the same."""
    low, high = (f"{end:.3g}" for end in (min(values), max(values)))
    return (low,) if low == high else (low, f"to {high}")
