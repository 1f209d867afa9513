"""Eight bits: sizes as the papers count them and as they are, and what fewer bits cost.

The papers quantize the recurrent cells with their biases, leave the head in float32, and count a
byte a number; the scales, four bytes each, they leave out (L table 7). What is done to the weights
is `kplib.nn.quantized`.

`kplib.experiments.few_bits` makes records of trained networks in few bits::

    trained = read(path_of_the_record)
    rounded, tuned = record_in_bits(trained, data, folder=folder, bits=4)
    quantized = quantized_network(tuned)
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch

from kplib.experiments import papers
from kplib.experiments.build import build
from kplib.experiments.printed import EightBits
from kplib.experiments.training import predict
from kplib.nn import Classifier, parameter_count
from kplib.nn.quantized import QuantizedModel, Scales, gate_errors, quantize

if TYPE_CHECKING:
    from kplib.data.sets import Sequences

__all__ = [
    "BitsResult",
    "PrintedSize",
    "QuantizedSize",
    "accuracy_by_bits",
    "eight_bit_sizes",
    "quantized_size",
]

_FLOAT_BYTES = 4
_KILOBYTE = 1024


@dataclass(frozen=True, kw_only=True)
class QuantizedSize:
    """The size of a quantized network, counted in two ways.

    Parameters
    ----------
    bits : int
    cell_numbers : int
        Of the recurrent layers: weights (of pruned ones the non-zeros), biases, scalars.
    head_numbers : int
        Of everything else.
    float_numbers : int
        Of both together, those that stay in float32.
    scales : int
        Numbers in float32 that the integers are multiplied by.
    index_bytes : int
        That say where the entries of pruned weights are.
    packed_bytes : int
        Of the integers, each parameter filled up to whole bytes.

    Examples
    --------
    >>> size = quantized_size(quantize(build("kws-lstm", "kp"), bits=4))
    >>> isinstance(size, QuantizedSize) and size.bits
    4
    """

    bits: int
    cell_numbers: int
    head_numbers: int
    float_numbers: int
    scales: int
    index_bytes: int
    packed_bytes: int

    @property
    def printed_kilobytes(self) -> float:
        """KB as L table 7 counts: `bits` for each number of the cells, 32 for each of the head."""
        return (self.cell_numbers * self.bits / 8 + self.head_numbers * _FLOAT_BYTES) / _KILOBYTE

    @property
    def kilobytes(self) -> float:
        """KB that a device keeps: integers, scales, indices, and what stays in float32."""
        floats = (self.float_numbers + self.scales) * _FLOAT_BYTES
        return (self.packed_bytes + self.index_bytes + floats) / _KILOBYTE


def quantized_size(quantized: QuantizedModel[Classifier]) -> QuantizedSize:
    """Count a quantized network.

    Parameters
    ----------
    quantized : QuantizedModel
        Of a `Classifier`.

    Returns
    -------
    QuantizedSize

    Examples
    --------
    >>> size = quantized_size(quantize(build("kws-lstm", "kp")))
    >>> round(size.printed_kilobytes, 2), round(size.kilobytes, 2), size.scales
    (8.01, 8.05, 12)
    """
    model = quantized.model
    tensors = quantized.tensors.values()
    total = parameter_count(model)
    return QuantizedSize(
        bits=quantized.scheme.bits,
        cell_numbers=parameter_count(model.rnn),
        head_numbers=parameter_count(model.head),
        float_numbers=total - sum(tensor.stored for tensor in tensors),
        scales=sum(tensor.scale.numel() for tensor in tensors),
        index_bytes=quantized.index_nbytes,
        packed_bytes=sum(tensor.nbytes for tensor in tensors),
    )


@dataclass(frozen=True)
class PrintedSize:
    """A size of L table 7 beside what is counted here.

    Parameters
    ----------
    printed : EightBits
        The row.
    size : QuantizedSize
        Of the network that `kplib.build` makes.

    Examples
    --------
    >>> isinstance(eight_bit_sizes()[0], PrintedSize)
    True
    >>> all(row.printed.kilobytes_8 > 0 for row in eight_bit_sizes())
    True
    """

    printed: EightBits
    size: QuantizedSize

    @property
    def agrees(self) -> bool:
        """Whether our count, in the papers' way, rounds to what is printed."""
        return round(self.size.printed_kilobytes, 2) == self.printed.kilobytes_8


def eight_bit_sizes() -> list[PrintedSize]:
    """Count the four networks of L table 7.

    Returns
    -------
    list of PrintedSize
        In the table's order.

    Examples
    --------
    Three of the four sizes are what they should be:

    >>> [(row.printed.kilobytes_8, round(row.size.printed_kilobytes, 2), row.agrees)
    ...  for row in eight_bit_sizes()]
    [(384.64, 384.64, True), (28.22, 37.19, False), (65.04, 65.04, True), (8.01, 8.01, True)]
    """
    return [
        PrintedSize(row, quantized_size(quantize(build(row.benchmark, row.technique, seed=0))))
        for row in papers.eight_bits()
    ]


@dataclass(frozen=True, kw_only=True)
class BitsResult:
    """A network after quantization.

    Parameters
    ----------
    bits : int
        32: the network as it was.
    accuracy : float
        In %.
    kilobytes, printed_kilobytes : float
        As of `QuantizedSize`.
    largest_error : float
        The largest relative error of a gate's matrix, Frobenius norm.

    Examples
    --------
    >>> import numpy as np
    >>> from kplib.data.sets import Sequences
    >>> noise = np.random.default_rng(0).normal(size=(20, 25, 10)).astype(np.float32)
    >>> results = accuracy_by_bits(build("kws-lstm", "kp"), Sequences(noise, np.zeros(20, int)))
    >>> isinstance(results[0], BitsResult) and 0 <= results[0].accuracy <= 100
    True
    """

    bits: int
    accuracy: float
    kilobytes: float
    printed_kilobytes: float
    largest_error: float


def accuracy_by_bits(
    model: Classifier,
    sequences: "Sequences",
    bits: Sequence[int] = (8, 6, 5, 4, 3, 2),
    *,
    scales: Scales = "matrix",
    biases: bool = True,
    head: bool = False,
) -> list[BitsResult]:
    """Quantize a trained network to fewer and fewer bits, and see what is left of its accuracy.

    Parameters
    ----------
    model : Classifier
        On the CPU; left as it is, but for its ``eval`` mode.
    sequences : Sequences
        To classify: a data set's test or validation part.
    bits : sequence of int, optional
        From 2 to 8.
    scales, biases, head
        As of `kplib.nn.quantized.Scheme`.

    Returns
    -------
    list of BitsResult
        The exact network, then those of `bits` in turn.

    Raises
    ------
    ValueError
        As `kplib.nn.quantized.quantize`.

    Examples
    --------
    >>> import numpy as np
    >>> from kplib.data.sets import Sequences
    >>> noise = np.random.default_rng(0).normal(size=(20, 25, 10)).astype(np.float32)
    >>> results = accuracy_by_bits(build("kws-lstm", "kp"), Sequences(noise, np.zeros(20, int)))
    >>> [result.bits for result in results]
    [32, 8, 6, 5, 4, 3, 2]
    >>> all(one.kilobytes > next.kilobytes for one, next in zip(results, results[1:]))
    True
    """
    x, y = torch.from_numpy(sequences.x), torch.from_numpy(sequences.y)

    def accuracy(network: Classifier) -> float:
        return 100 * int((predict(network, x) == y).sum()) / len(y)

    sparse_bytes = quantize(model).index_nbytes
    whole = parameter_count(model) * _FLOAT_BYTES
    results = [
        BitsResult(
            bits=32,
            accuracy=accuracy(model),
            kilobytes=(whole + sparse_bytes) / _KILOBYTE,
            printed_kilobytes=whole / _KILOBYTE,
            largest_error=0.0,
        )
    ]
    for count in bits:
        quantized = quantize(model, count, scales=scales, biases=biases, head=head)
        size = quantized_size(quantized)
        results.append(
            BitsResult(
                bits=count,
                accuracy=accuracy(quantized.model),
                kilobytes=size.kilobytes,
                printed_kilobytes=size.printed_kilobytes,
                largest_error=max(error.error for error in gate_errors(model, quantized.model)),
            )
        )
    return results
