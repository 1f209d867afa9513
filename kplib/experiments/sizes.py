"""The parameters of a benchmark's network under each technique, counted by formula.

The papers' way of counting: one bias vector a gate, the head with its biases, float32, and 1 KB is
1024 bytes. A pruned network counts its non-zeros alone, without the bytes that say where they are.
Every technique has one function here; it takes a `Benchmark` and returns a `Size`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from kplib._checks import positive_integer
from kplib.errors import ShapeError
from kplib.experiments.cells import CELLS
from kplib.shapes import FactorShape, algorithm4

if TYPE_CHECKING:
    from kplib.experiments.benchmarks import Benchmark

__all__ = ["Size", "dense", "hybrid", "kilobytes", "kp", "low_rank", "pruned"]

BYTES_PER_KILOBYTE = 1024


def kilobytes(parameters: int, bits: int = 32) -> float:
    """Return the size of parameters in KB of 1024 bytes.

    Parameters
    ----------
    parameters : int
        How many numbers are stored.
    bits : int, default 32
        Of each of them.

    Returns
    -------
    float

    Examples
    --------
    The papers' KWS-LSTM:

    >>> round(kilobytes(62316), 2) == 243.42
    True
    """
    return parameters * bits / 8 / BYTES_PER_KILOBYTE


@dataclass(frozen=True, slots=True)
class Size:
    """The parameters of one network, by what they are.

    Parameters
    ----------
    weights : int
        Entries stored for the gates' matrices, of all layers and directions: factors where there
        are factors, non-zeros where the network is pruned.
    biases : int
        Of the gates, one vector a gate.
    scalars : int
        FastRNN's alpha and beta; 0 for other cells.
    head_weights, head_biases : int
        Of the linear layer on the last state.

    Examples
    --------
    >>> size = Size(weights=60416, biases=472, scalars=0, head_weights=1416, head_biases=12)
    >>> size.cell, size.head, size.total
    (60888, 1428, 62316)
    >>> round(size.kilobytes, 2) == 243.42
    True
    """

    weights: int
    biases: int
    scalars: int
    head_weights: int
    head_biases: int

    @property
    def cell(self) -> int:
        """Of the recurrent layers: weights, biases and scalars."""
        return self.weights + self.biases + self.scalars

    @property
    def head(self) -> int:
        """Of the head: weights and biases."""
        return self.head_weights + self.head_biases

    @property
    def total(self) -> int:
        """Of the whole network."""
        return self.cell + self.head

    @property
    def weights_only(self) -> int:
        """The whole network without biases and scalars, as the papers count FastRNN."""
        return self.weights + self.head_weights

    @property
    def kilobytes(self) -> float:
        """KB of the whole network in float32."""
        return kilobytes(self.total)

    def kilobytes_at(self, cell_bits: int, head_bits: int = 32) -> float:
        """KB with the recurrent layers in fewer bits: the papers quantize those and not the head.

        Parameters
        ----------
        cell_bits : int
            Bits of a weight, bias or scalar of the recurrent layers.
        head_bits : int, default 32
            Bits of a parameter of the head.

        Returns
        -------
        float

        Examples
        --------
        The 8-bit KWS-LSTM with Kronecker factors, L table 7:

        >>> from kplib.experiments import BENCHMARKS
        >>> round(kp(BENCHMARKS["kws-lstm"]).kilobytes_at(8), 2) == 8.01
        True
        """
        return kilobytes(self.cell, cell_bits) + kilobytes(self.head, head_bits)


def _size(
    network: Benchmark,
    weights_of_layer: Callable[[int, int, int], int],
    hidden_size: int,
    layers: int,
) -> Size:
    """Sum over layers; `weights_of_layer` takes the layer's index and its gates' m and n."""
    shapes = network.gate_shapes(hidden_size=hidden_size, layers=layers)
    cells = layers * network.directions
    weights = sum(weights_of_layer(k, m, n) for k, (m, n) in enumerate(shapes))
    return Size(
        weights=network.directions * weights,
        biases=cells * network.gates * hidden_size,
        scalars=cells * CELLS[network.cell].scalars,
        head_weights=network.directions * hidden_size * network.classes,
        head_biases=network.classes,
    )


def dense(network: Benchmark, *, hidden_size: int | None = None, layers: int | None = None) -> Size:
    """Count a network of dense matrices: the baseline, or a smaller one.

    Parameters
    ----------
    network : Benchmark
        Whose inputs, classes and cell.
    hidden_size : int, optional
        Units of a direction; the baseline's if not given.
    layers : int, optional
        Recurrent layers; the baseline's if not given.

    Returns
    -------
    Size
        gates * h * (i + h) weights a cell.

    Examples
    --------
    >>> from kplib.experiments import BENCHMARKS
    >>> dense(BENCHMARKS["kws-lstm"]).total, dense(BENCHMARKS["kws-lstm"], hidden_size=26).total
    (62316, 4172)
    """
    hidden_size, layers = _sizes(network, hidden_size, layers)
    return _size(network, lambda _, m, n: network.gates * m * n, hidden_size, layers)


def pruned(
    network: Benchmark, *, nonzeros: int | None = None, density: float | None = None
) -> Size:
    """Count a pruned network: the weights that are not zero; biases and head are kept.

    Parameters
    ----------
    network : Benchmark
        The network that is pruned.
    nonzeros : int, optional
        Weights of the gates' matrices left, of all layers and directions together.
    density : float, optional
        The same as a fraction of all weights, rounded to whole ones. Give one of the two.

    Returns
    -------
    Size
        Without the bytes that say where the non-zeros are, as the papers count.

    Raises
    ------
    ValueError
        Unless exactly one of the two is given, and fits the network.

    Examples
    --------
    >>> from kplib.experiments import BENCHMARKS
    >>> round(pruned(BENCHMARKS["kws-lstm"], nonzeros=2085).kilobytes, 2) == 15.57
    True
    >>> pruned(BENCHMARKS["kws-lstm"], density=0.1).weights
    6042
    """
    whole = dense(network)
    if (nonzeros is None) == (density is None):
        raise ValueError(f"give nonzeros or density: found nonzeros={nonzeros}, density={density}")
    if nonzeros is None:
        assert density is not None
        nonzeros = round(density * whole.weights)
    if not 0 <= nonzeros <= whole.weights:
        raise ShapeError(
            f"{network.title} has {whole.weights} weights, so {nonzeros} of them cannot be left"
        )
    return Size(nonzeros, whole.biases, whole.scalars, whole.head_weights, whole.head_biases)


def low_rank(
    network: Benchmark,
    rank: int,
    *,
    hidden_size: int | None = None,
    layers: int | None = None,
) -> Size:
    """Count a low-rank network: the gates' matrices one above the other, as U V.

    A GRU has two such products, for it multiplies its gates r and z by h and its candidate by
    r * h; the other cells have one.

    Parameters
    ----------
    network : Benchmark
        Whose inputs, classes and cell.
    rank : int
        Columns of U and rows of V, of every product.
    hidden_size : int, optional
        Units of a direction; the baseline's if not given.
    layers : int, optional
        Recurrent layers; the baseline's if not given.

    Returns
    -------
    Size
        rank * (stacked * h + i + h) weights a product, for a stack of `stacked` gates.

    Examples
    --------
    >>> from kplib.experiments import BENCHMARKS
    >>> low_rank(BENCHMARKS["kws-lstm"], 4).total, low_rank(BENCHMARKS["kws-gru"], 5).total
    (4300, 6272)
    """
    rank = positive_integer("rank", rank)
    hidden_size, layers = _sizes(network, hidden_size, layers)

    def weights(_: int, m: int, n: int) -> int:
        return sum(rank * (stacked * m + n) for stacked in network.stacks)

    return _size(network, weights, hidden_size, layers)


def kp(
    network: Benchmark,
    shape: FactorShape | Sequence[FactorShape] | None = None,
    *,
    hidden_size: int | None = None,
    layers: int | None = None,
) -> Size:
    """Count a KP network: each gate's matrix is a Kronecker product of two factors.

    Parameters
    ----------
    network : Benchmark
        Whose inputs, classes and cell.
    shape : FactorShape or sequence of FactorShape, optional
        Of every gate, or one a layer; Algorithm 4's choice if not given.
    hidden_size : int, optional
        Units of a direction; `Benchmark.kp_hidden_size` if not given.
    layers : int, optional
        Recurrent layers; `Benchmark.kp_layers` if not given.

    Returns
    -------
    Size
        gates * (m1 * n1 + m2 * n2) weights a cell.

    Raises
    ------
    ShapeError
        If a shape does not multiply out to its layer's gates.

    Examples
    --------
    >>> from kplib.experiments import BENCHMARKS
    >>> kp(BENCHMARKS["kws-lstm"]).total, kp(BENCHMARKS["kws-gru"]).total
    (3916, 5691)
    >>> kp(BENCHMARKS["kws-lstm"], FactorShape(59, 2, 2, 64)).weights == 4 * 246
    True
    """
    hidden_size = network.kp_hidden_size if hidden_size is None else hidden_size
    layers = network.kp_layers if layers is None else layers
    hidden_size, layers = _sizes(network, hidden_size, layers)
    if isinstance(shape, FactorShape):
        shape = [shape] * layers
    if shape is not None and len(shape) != layers:
        raise ShapeError(f"{len(shape)} factor shapes for {layers} layers")

    def weights(layer: int, m: int, n: int) -> int:
        chosen = algorithm4(m, n) if shape is None else shape[layer]
        if (chosen.m, chosen.n) != (m, n):
            raise ShapeError(
                f"{chosen} makes a {chosen.m} x {chosen.n} matrix; "
                f"the gates of layer {layer + 1} are {m} x {n}"
            )
        return network.gates * chosen.params

    return _size(network, weights, hidden_size, layers)


def hybrid(
    network: Benchmark,
    rows: int,
    *,
    hidden_size: int | None = None,
    layers: int | None = None,
) -> Size:
    """Count a hybrid network: each gate has `rows` dense rows above a Kronecker product.

    Parameters
    ----------
    network : Benchmark
        Whose inputs, classes and cell.
    rows : int
        Dense rows of every gate, below the hidden size; 0 is the KP network.
    hidden_size : int, optional
        Units of a direction; the baseline's if not given.
    layers : int, optional
        Recurrent layers; the baseline's if not given.

    Returns
    -------
    Size
        gates * (rows * n + m1 * n1 + m2 * n2) weights a cell, the factors chosen by Algorithm 4 for
        (h - rows) x n. It does not always grow with `rows`.

    Raises
    ------
    ShapeError
        If `rows` is no such number, or leaves a size that Algorithm 4 is not defined for.

    Examples
    --------
    >>> from kplib.experiments import BENCHMARKS
    >>> [hybrid(BENCHMARKS["kws-lstm"], rows).total for rows in (0, 1, 2)]
    [3916, 3404, 4108]
    """
    hidden_size, layers = _sizes(network, hidden_size, layers)
    if rows != 0:
        rows = positive_integer("rows", rows)
    if rows >= hidden_size:
        raise ShapeError(f"rows must be below the hidden size {hidden_size}, found {rows}")

    def weights(_: int, m: int, n: int) -> int:
        return network.gates * (rows * n + algorithm4(m - rows, n).params)

    return _size(network, weights, hidden_size, layers)


def _sizes(network: Benchmark, hidden_size: int | None, layers: int | None) -> tuple[int, int]:
    """Return hidden size and layers: those given, checked, or else the baseline's."""
    return (
        network.hidden_size
        if hidden_size is None
        else positive_integer("hidden_size", hidden_size),
        network.layers if layers is None else positive_integer("layers", layers),
    )
