"""Run compiled code between pages that may not be touched: what goes beyond kills the process.

Run as a program by the tests of the kernels and of the engine:

    python guarded_buffers.py matvec|network|beyond

x, the result and the weights end right before such a page, or start right behind one.
"""

import ctypes
import mmap
import sys

import numpy as np

import kplib
from kplib.kernels.loaders import base

PAGE = mmap.PAGESIZE
SHAPES = [
    (59, 8, 2, 16), (14, 4, 11, 41), (8, 4, 5, 17), (89, 15, 2, 17), (8, 4, 4, 12),
    (16, 16, 16, 16), (1, 1, 1, 1), (1, 3, 37, 19), (67, 3, 1, 29), (13, 9, 3, 31),
    (37, 2, 6, 3), (19, 3, 7, 2), (5, 70, 33, 3), (3, 5, 75, 41), (4, 33, 33, 5),
]  # fmt: skip
_areas = []  # the memory stays mapped until the process ends


def guarded(count, dtype, at_end, alignment=1):
    """Return a vector between two guard pages, against the one behind it or the one before."""
    size = count * np.dtype(dtype).itemsize
    pages = -(-size // PAGE)
    area = mmap.mmap(-1, (pages + 2) * PAGE)
    start = ctypes.addressof(ctypes.c_char.from_buffer(area))
    for guard in (start, start + (pages + 1) * PAGE):
        assert ctypes.CDLL(None).mprotect(ctypes.c_void_p(guard), PAGE, 0) == 0
    _areas.append(area)
    offset = PAGE + (pages * PAGE - size) // alignment * alignment if at_end else PAGE
    return np.frombuffer(area, dtype, count, offset)


def guard_weights(at_end):
    """Let every operation that is compiled from now on keep its weights between guards."""
    base.aligned_empty = lambda count, dtype: guarded(count, dtype, at_end, 64)


def check_matvec(shape, dtype, at_end):
    """A hybrid runs the dense and the Kronecker kernels."""
    rng = np.random.default_rng(0)
    m1, n1, m2, n2 = shape
    sizes = [(3, n1 * n2), (m1, n1), (m2, n2)]
    D, A, B = (rng.integers(-3, 4, size).astype(dtype) for size in sizes)
    W = np.vstack([D, np.kron(A, B)])
    op = kplib.compile_hybrid(D, A, B)
    x, y = guarded(n1 * n2, dtype, at_end), guarded(3 + m1 * m2, dtype, at_end)
    x[:] = rng.integers(-3, 4, x.size)
    op.bind(x, y)()
    assert (y == W @ x).all(), shape
    assert (op(x) == W @ x).all(), shape


def check_network(sizes, cell, weight, at_end):
    """A classifier: input, hidden units, classes."""
    import torch

    from kplib import nn

    torch.manual_seed(0)
    input_size, hidden_size, classes = sizes
    both = cell == "GRU"
    layer = getattr(nn, cell)(input_size, hidden_size, weight=weight, bidirectional=both)
    for each in layer.cells.values():
        if hasattr(each.weight, "prune_to"):
            each.weight.prune_to()
    model = nn.Classifier(layer, torch.nn.Linear((1 + both) * hidden_size, classes))
    net = kplib.compile(model)
    x = guarded(7 * input_size, np.float32, at_end).reshape(7, input_size)
    x[:] = torch.randn(7, input_size)
    logits = guarded(classes, np.float32, at_end)
    net.bind(x, logits)()
    with torch.inference_mode():
        assert np.allclose(logits, model(torch.tensor(x)), atol=1e-5)
    assert (net(x) == logits).all()


def main(what):
    """Run one kind of check."""
    for at_end in (True, False):
        guard_weights(at_end)
        if what == "matvec":
            for shape in SHAPES:
                for dtype in (np.float32, np.float64):
                    check_matvec(shape, dtype, at_end)
        elif what == "network":
            from kplib.nn import Dense, Hybrid, Kronecker, KroneckerChain, LowRank, Sparse

            for sizes, cell, weight in [
                ((28, 40, 10), "LSTM", Kronecker()), ((10, 118, 12), "LSTM", Kronecker()),
                ((4, 6, 3), "LSTM", Dense()), ((6, 9, 1), "GRU", Kronecker()),
                ((5, 37, 2), "GRU", LowRank(3)), ((16, 32, 10), "FastRNN", Kronecker()),
                ((3, 12, 5), "RNN", KroneckerChain([3, 4])), ((3, 37, 2), "RNN", Sparse(0.05)),
                ((5, 7, 2), "LSTM", Hybrid(1)),
            ]:  # fmt: skip
                check_network(sizes, cell, weight, at_end)
        else:  # the guards themselves: one byte too many
            ctypes.string_at(guarded(8, np.float32, True).ctypes.data, 33)
    print("nothing touched the guards")


if __name__ == "__main__":
    main(sys.argv[1])
