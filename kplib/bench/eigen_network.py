"""The networks in Eigen: the whole loop in C++, dense or by the papers' literal Algorithm 1."""

import ctypes
from typing import Literal

import numpy as np

from kplib.bench.native import eigen_library, loop_sampler, once
from kplib.bench.network_arrays import CellArrays, NetworkArrays
from kplib.bench.peers import Unavailable
from kplib.bench.timing import Sampler

__all__ = ["EigenNetwork", "Product"]

Product = Literal["by_rows", "by_columns", "algorithm1"]
_KINDS = {"lstm": 0, "gru": 1, "fastrnn": 2}


class _Cell(ctypes.Structure):
    _fields_ = (
        *((name, ctypes.c_void_p) for name in ("W_x", "W_h", "A", "B", "bias")),
        *((name, ctypes.c_float) for name in ("alpha", "beta")),
        *((name, ctypes.c_int) for name in ("m1", "n1", "m2", "n2")),
    )


class _Network(ctypes.Structure):
    _fields_ = (
        *((name, ctypes.c_void_p) for name in ("cells", "head", "head_bias", "work")),
        *((name, ctypes.c_int) for name in ("kind", "gates", "inputs", "h", "steps", "classes")),
        *((name, ctypes.c_int) for name in ("layers", "directions")),
    )


class EigenNetwork:
    """One network over sequences of one length, in Eigen with sizes known at run time only.

    Parameters
    ----------
    arrays : NetworkArrays
        An LSTM, a GRU that resets before the product, or a FastRNN.
    x : ndarray, shape (steps, input), float32
        Read at every run.
    product : {"by_rows", "by_columns", "algorithm1"}
        The gates' product with the state: dense, with W_h stored by rows or by columns; or
        ``Y = B X A^T`` for every gate, as the papers write it down.

    Attributes
    ----------
    sampler : Sampler
        Runs it in a loop in C++.
    weight_bytes, state_bytes, work_bytes : int
        Its weights, biases and head; the state carried from step to step; all its buffers.

    Raises
    ------
    Unavailable
        Without a compiler or Eigen, for another cell, or without the one Kronecker product a gate
        that Algorithm 1 needs.
    """

    sampler: Sampler

    def __init__(self, arrays: NetworkArrays, x: np.ndarray, product: Product) -> None:
        if arrays.kind not in _KINDS:
            raise Unavailable(f"no {arrays.kind} is written down in Eigen")
        if product == "algorithm1" and any(cell.factors is None for cell in arrays.cells):
            raise Unavailable("Algorithm 1 multiplies by two factors, which this network has not")
        library = eigen_library("eigen_network.cpp")
        gates, hidden = arrays.cells[0].bias.shape
        steps, width = len(x), arrays.directions * hidden
        self._stored: list[np.ndarray] = []
        cells = [self._cell(cell, product) for cell in arrays.cells]
        head, head_bias = (self._keep(each) for each in (arrays.head, arrays.head_bias))
        inputs = max(arrays.input_size, width)
        work = 2 * width * steps + gates * hidden * (1 + steps) + 3 * hidden + inputs
        self._work = np.zeros(work, np.float32)
        self._cells = (_Cell * len(cells))(*cells)
        self._network = _Network(
            ctypes.addressof(self._cells), head, head_bias, self._work.ctypes.data,
            _KINDS[arrays.kind], gates, arrays.input_size, hidden, steps, arrays.classes,
            arrays.layers, arrays.directions,
        )  # fmt: skip
        self.weight_bytes = sum(array.nbytes for array in self._stored)
        states = 2 if arrays.kind == "lstm" else 1
        self.state_bytes = 4 * states * hidden * len(cells)
        self.work_bytes = self._work.nbytes
        self._x, self._y = np.ascontiguousarray(x), np.empty(arrays.classes, np.float32)
        function = ctypes.cast(library[f"bench_network_{product}"], ctypes.c_void_p).value or 0
        self.sampler = loop_sampler(function, ctypes.addressof(self._network), self._x, self._y)

    def logits(self) -> np.ndarray:
        """Run it once and return the logits, float32 (classes,)."""
        return once(self.sampler, self._y)()

    def _keep(self, array: np.ndarray, by_columns: bool = True) -> int:
        """Store an array, its last two axes column by column or as it is; return its address."""
        array = np.ascontiguousarray(array.swapaxes(-1, -2) if by_columns and array.ndim > 1
                                     else array, np.float32)  # fmt: skip
        self._stored.append(array)
        return array.ctypes.data

    def _cell(self, cell: CellArrays, product: Product) -> _Cell:
        scalars = cell.alpha, cell.beta
        if product == "algorithm1":
            assert cell.factors is not None
            A, B = cell.factors
            sizes = *A.shape[1:], *B.shape[1:]
            addresses = (self._keep(each) for each in (A, B, cell.bias.ravel()))
            return _Cell(None, None, *addresses, *scalars, *sizes)
        W_x = self._keep(cell.W_x.reshape(-1, cell.W_x.shape[2]))
        W_h = self._keep(cell.W_h.reshape(-1, cell.W_h.shape[2]), product == "by_columns")
        bias = self._keep(cell.bias.ravel())
        return _Cell(W_x, W_h, None, None, bias, *scalars, 0, 0, 0, 0)
