"""A classifier's gate matrices as NumPy arrays: what the runtimes beside kplib are given."""

from dataclasses import dataclass, field
from typing import Literal, cast

import numpy as np
import torch
from torch import Tensor

from kplib.nn import GRU, LSTM, RNN, Classifier, FastRNN
from kplib.nn.cell import Cell
from kplib.nn.recurrent import Recurrent
from kplib.nn.structures import KroneckerWeight

__all__ = ["CellArrays", "NetworkArrays", "network_arrays"]

CellKind = Literal["lstm", "gru", "gru_reset_after", "fastrnn", "rnn_tanh", "rnn_relu"]


@dataclass(frozen=True)
class CellArrays:
    """One layer in one direction, float32.

    Attributes
    ----------
    W_x, W_h : ndarray, shape (gates, hidden, input) and (gates, hidden, hidden)
        The gate matrices [W_x W_h], multiplied out: LSTM i, f, g, o; GRU r, z, n.
    bias : ndarray, shape (gates, hidden)
        The gates' biases, summed. Of a GRU that resets after the product: the inputs' alone.
    hidden_bias : ndarray, shape (gates, hidden), optional
        What such a GRU adds to W_h h.
    alpha, beta : float
        A FastRNN's two weights, through the logistic function.
    factors : tuple of (A, B), optional
        Shapes (gates, m1, n1) and (gates, m2, n2), where the gates are one Kronecker product each.
    """

    W_x: np.ndarray
    W_h: np.ndarray
    bias: np.ndarray
    hidden_bias: np.ndarray | None = None
    alpha: float = 0.0
    beta: float = 0.0
    factors: tuple[np.ndarray, np.ndarray] | None = None


@dataclass(frozen=True)
class NetworkArrays:
    """A classifier: its cells, layer by layer, forward before reverse, and its head.

    Attributes
    ----------
    kind : str
        The recurrent cell.
    input_size, hidden_size, layers, directions, classes : int
        Sizes.
    cells : tuple of CellArrays
        layers * directions of them.
    head : ndarray, shape (classes, directions * hidden)
    head_bias : ndarray, shape (classes,)
    """

    kind: CellKind
    input_size: int
    hidden_size: int
    layers: int
    directions: int
    classes: int
    cells: tuple[CellArrays, ...]
    head: np.ndarray
    head_bias: np.ndarray = field(repr=False)

    @property
    def nbytes(self) -> int:
        """Bytes of the dense network's weights, biases and head."""
        cells = ((cell.W_x, cell.W_h, cell.bias, cell.hidden_bias) for cell in self.cells)
        arrays = [array for cell in cells for array in cell if array is not None]
        return sum(array.nbytes for array in [*arrays, self.head, self.head_bias])


def network_arrays(model: Classifier) -> NetworkArrays:
    """Return a classifier's arrays; whatever its structure, the gate matrices are multiplied out.

    Parameters
    ----------
    model : kplib.nn.Classifier
        With a real layer of `kplib.nn`.

    Returns
    -------
    NetworkArrays
        Copies, float32.

    Raises
    ------
    TypeError
        If the layer is of another kind.

    Examples
    --------
    >>> import kplib
    >>> arrays = network_arrays(kplib.build("kws-lstm", "kp"))
    >>> arrays.cells[0].W_h.shape, arrays.cells[0].factors[0].shape
    ((4, 118, 118), (4, 59, 8))
    >>> arrays.nbytes == 4 * 62_316
    True
    """
    rnn = model.rnn
    if not isinstance(rnn, Recurrent) or rnn.is_complex:
        raise TypeError(f"needs a real layer of kplib.nn, found {type(rnn).__name__}")
    with torch.no_grad():
        cells = tuple(_cell(rnn, cast("Cell", cell)) for cell in rnn.cells.values())
    head_bias = model.head.bias
    return NetworkArrays(
        kind=_kind(rnn),
        input_size=rnn.input_size,
        hidden_size=rnn.hidden_size,
        layers=rnn.num_layers,
        directions=rnn.directions,
        classes=model.head.out_features,
        cells=cells,
        head=_array(model.head.weight),
        head_bias=np.zeros(model.head.out_features, np.float32)
        if head_bias is None
        else _array(head_bias),
    )


def _kind(rnn: Recurrent) -> CellKind:
    if isinstance(rnn, LSTM):
        return "lstm"
    if isinstance(rnn, GRU):
        return "gru_reset_after" if rnn.reset_after else "gru"
    if isinstance(rnn, FastRNN):
        return "fastrnn"
    if isinstance(rnn, RNN) and rnn.nonlinearity in ("tanh", "relu"):
        return "rnn_tanh" if rnn.nonlinearity == "tanh" else "rnn_relu"
    raise TypeError(f"{type(rnn).__name__} is none of the cells that other runtimes have")


def _cell(rnn: Recurrent, cell: Cell) -> CellArrays:
    weight = cell.weight
    W_x, W_h = weight.matrix().split((weight.columns - weight.rows, weight.rows), dim=2)
    bias, hidden_bias = cell.gate_bias(), None
    if isinstance(rnn, GRU) and rnn.reset_after and cell.bias_ih is not None:
        assert cell.bias_hh is not None
        bias = cell.bias_ih.view(weight.gates, -1)
        hidden_bias = _array(cell.bias_hh.view(weight.gates, -1))
    alpha = beta = 0.0
    if isinstance(rnn, FastRNN):
        alpha, beta = (float(torch.sigmoid(cell.get_parameter(name))) for name in ("alpha", "beta"))
    factors = None
    if type(weight) is KroneckerWeight:
        factors = _array(weight.A), _array(weight.B)
    return CellArrays(_array(W_x), _array(W_h), _array(bias), hidden_bias, alpha, beta, factors)


def _array(tensor: Tensor) -> np.ndarray:
    return np.array(tensor.detach().cpu().numpy(), np.float32, order="C")
