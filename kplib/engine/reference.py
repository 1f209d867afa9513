"""The compiled networks' reference in NumPy: plain, slow, and what the NumPy loader runs."""

import numpy as np

from kplib.kron import kron_matvec


def sigmoid(x: np.ndarray) -> np.ndarray:
    """Return 1 / (1 + exp(-x)), without overflow."""
    return 0.5 * (1.0 + np.tanh(0.5 * x))


def lstm_classifier(operands: tuple[np.ndarray, ...], x: np.ndarray) -> np.ndarray:
    """Return the logits of one sequence.

    Parameters
    ----------
    operands : tuple of ndarray
        The gates' weights, either W (4, h, n) or A (4, m1, n1) and B (4, m2, n2); the biases
        (4, h); the head's weight (classes, h) and bias (classes,). Gates in the order i, f, g, o.
    x : ndarray, shape (steps, input)

    Returns
    -------
    ndarray, shape (classes,)
    """
    *gates, bias, head_weight, head_bias = operands
    h = np.zeros(bias.shape[1], x.dtype)
    c = np.zeros_like(h)
    for x_t in x:
        joined = np.concatenate([x_t, h])
        if len(gates) == 1:
            products = gates[0] @ joined
        else:
            products = np.stack([kron_matvec(A, B, joined) for A, B in zip(*gates, strict=True)])
        i, f, g, o = products + bias
        c = sigmoid(f) * c + sigmoid(i) * np.tanh(g)
        h = sigmoid(o) * np.tanh(c)
    return head_weight @ h + head_bias
