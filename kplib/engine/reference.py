"""The compiled networks' reference in NumPy: plain, slow, and what the NumPy loader runs.

It is put together as the C++ is: products of a cell's gates, cells, layers, the whole network. A
product is a function (operands, x) -> y, a cell's step (operands, x, states) -> states; operands
are tuples of arrays, of which every part takes as many as it needs. Weights in 8 bits are arrays of
int8, followed by their scales.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from kplib.kron import chain_matvec, kron_matvec

Operands = Sequence[np.ndarray]
States = tuple[np.ndarray, ...]
Product = Callable[[Operands, np.ndarray], np.ndarray]
Step = Callable[[Operands, np.ndarray, States], States]


def sigmoid(x: np.ndarray) -> np.ndarray:
    """Return 1 / (1 + exp(-x)), without overflow."""
    return 0.5 * (1.0 + np.tanh(0.5 * x))


# products of all gates: (gates * hidden,)


def dense(operands: Operands, x: np.ndarray) -> np.ndarray:
    """Multiply by W (gates * hidden, n)."""
    return operands[0] @ x


def kron_gates(operands: Operands, x: np.ndarray) -> np.ndarray:
    """Multiply by the sums of A (x) B, from A (gates, terms, m1, n1) and B (gates, terms, ...)."""
    A, B = operands
    gates, terms = A.shape[:2]
    products = [[kron_matvec(A[g, t], B[g, t], x) for t in range(terms)] for g in range(gates)]
    return np.sum(products, axis=1).ravel()


def scaled_kron_gates(operands: Operands, x: np.ndarray) -> np.ndarray:
    """Multiply by the sums of s A (x) B, s (gates, terms) the third operand."""
    A, B, scale = operands
    return kron_gates((A * scale[..., None, None], B), x)


def scaled(product: Product, groups: int) -> Product:
    """Return a product whose equal groups of rows have a scale each, the last operand."""

    def multiply(operands: Operands, x: np.ndarray) -> np.ndarray:
        *of_product, scale = operands
        return (product(of_product, x).reshape(groups, -1) * scale[:, None]).ravel()

    return multiply


def hybrid_gates(operands: Operands, x: np.ndarray) -> np.ndarray:
    """Multiply by [D; A (x) B], from D (gates, r, n), A (gates, m1, n1) and B (gates, m2, n2)."""
    gates = [(D @ x, kron_matvec(A, B, x)) for D, A, B in zip(*operands, strict=True)]
    return np.concatenate([part for gate in gates for part in gate])


def scaled_hybrid_gates(operands: Operands, x: np.ndarray) -> np.ndarray:
    """Multiply by [s D; t A (x) B], from D, s (gates,), A, B and t (gates, 1)."""
    D, of_D, A, B, of_pair = operands
    return hybrid_gates((D * of_D[:, None, None], A * of_pair[..., None], B), x)


def low_rank_gates(operands: Operands, x: np.ndarray) -> np.ndarray:
    """Multiply by U V, from U (stacks, m, r) and V (stacks, r, n)."""
    return np.concatenate([U @ (V @ x) for U, V in zip(*operands, strict=True)])


def chain_gates(operands: Operands, x: np.ndarray) -> np.ndarray:
    """Multiply by Kronecker products of any number of factors, each (gates, P, Q)."""
    return np.concatenate([chain_matvec(factors, x) for factors in zip(*operands, strict=True)])


def split_gates(of_x: Product, operands_x: int, inputs: int, of_h: Product) -> Product:
    """Return the product with [W_x W_h], made of two."""

    def multiply(operands: Operands, joined: np.ndarray) -> np.ndarray:
        x, h = joined[:inputs], joined[inputs:]
        return of_x(operands[:operands_x], x) + of_h(operands[operands_x:], h)

    return multiply


def slice_gates(whole: Product, rows: slice) -> Product:
    """Return the product of some rows."""
    return lambda operands, x: whole(operands, x)[rows]


def _halves(joined: np.ndarray, inputs: int) -> tuple[np.ndarray, np.ndarray]:
    """Return [x; 0] and [0; h]."""
    is_x = np.arange(len(joined)) < inputs
    zero = joined.dtype.type(0)
    return np.where(is_x, joined, zero), np.where(is_x, zero, joined)


def apart_whole(whole: Product, inputs: int) -> Product:
    """Return r, z, W_n [x; 0] and W_n [0; h], four gates, from the product of all three."""

    def multiply(operands: Operands, joined: np.ndarray) -> np.ndarray:
        r, z, n = (
            np.stack(parts)
            for parts in zip(
                *(whole(operands, half).reshape(3, -1) for half in _halves(joined, inputs)),
                strict=True,
            )
        )
        return np.concatenate([r.sum(0), z.sum(0), *n])

    return multiply


def apart_split(of_x: Product, operands_x: int, inputs: int, of_h: Product) -> Product:
    """Return the same from W_x and W_h of all three gates."""

    def multiply(operands: Operands, joined: np.ndarray) -> np.ndarray:
        x = of_x(operands[:operands_x], joined[:inputs]).reshape(3, -1)
        h = of_h(operands[operands_x:], joined[inputs:]).reshape(3, -1)
        return np.concatenate([x[0] + h[0], x[1] + h[1], x[2], h[2]])

    return multiply


def apart_gates(
    reset_update: Product, operands_ru: int, candidate: Product, inputs: int
) -> Product:
    """Return the same from a product for r and z, and one for n."""

    def multiply(operands: Operands, joined: np.ndarray) -> np.ndarray:
        n = [candidate(operands[operands_ru:], half) for half in _halves(joined, inputs)]
        return np.concatenate([reset_update(operands[:operands_ru], joined), *n])

    return multiply


# cells


def lstm(gates: Product) -> Step:
    """Return an LSTM's step; operands: the gates' (i, f, g, o), the biases (4, hidden)."""

    def step(operands: Operands, x: np.ndarray, states: States) -> States:
        h, c = states
        joined = np.concatenate([x, h])
        i, f, g, o = gates(operands[:-1], joined).reshape(4, -1) + operands[-1]
        c = sigmoid(f) * c + sigmoid(i) * np.tanh(g)
        return sigmoid(o) * np.tanh(c), c

    return step


def gru_before(reset_update: Product, operands_ru: int, candidate: Product) -> Step:
    """Return the step of a GRU that resets h; operands: r and z, n, the biases (3, hidden)."""

    def step(operands: Operands, x: np.ndarray, states: States) -> States:
        (h,) = states
        bias = operands[-1]
        gates = reset_update(operands[:operands_ru], np.concatenate([x, h])).reshape(2, -1)
        r, z = sigmoid(gates + bias[:2])
        n = candidate(operands[operands_ru:-1], np.concatenate([x, r * h]))
        n = np.tanh(n + bias[2])
        return (n + z * (h - n),)

    return step


def gru_after(apart: Product) -> Step:
    """Return the step of a GRU that resets a product; operands: its gates', biases (4, hidden)."""

    def step(operands: Operands, x: np.ndarray, states: States) -> States:
        (h,) = states
        products = apart(operands[:-1], np.concatenate([x, h])).reshape(4, -1)
        r, z, of_x, of_h = products + operands[-1]
        n = np.tanh(of_x + sigmoid(r) * of_h)
        return (n + sigmoid(z) * (h - n),)

    return step


def rnn(gates: Product, phi: Callable[[np.ndarray], np.ndarray]) -> Step:
    """Return a plain recurrent step; operands: the gate's, the biases (1, hidden)."""

    def step(operands: Operands, x: np.ndarray, states: States) -> States:
        product = gates(operands[:-1], np.concatenate([x, states[0]]))
        return (phi(product + operands[-1][0]),)

    return step


def fastrnn(gates: Product) -> Step:
    """Return FastRNN's step; operands: the gate's, the biases (1, hidden), (alpha, beta)."""

    def step(operands: Operands, x: np.ndarray, states: States) -> States:
        *of_gates, bias, scalars = operands
        candidate = np.tanh(gates(of_gates, np.concatenate([x, states[0]])) + bias[0])
        return (scalars[0] * candidate + scalars[1] * states[0],)

    return step


def scaled_biases(step: Step, gates: int, after: int = 0) -> Step:
    """Return a step whose biases are rounded: (summands * gates, hidden), and a scale for each row.

    They are added up to those of `step`, behind which it takes `after` operands more.
    """

    def scaled_step(operands: Operands, x: np.ndarray, states: States) -> States:
        at = len(operands) - after - 2
        levels, scale = operands[at : at + 2]
        bias = (levels * scale[:, None]).reshape(-1, gates, levels.shape[1]).sum(0)
        return step((*operands[:at], bias, *operands[at + 2 :]), x, states)

    return scaled_step


# networks


@dataclass(frozen=True)
class Cell:
    """A cell's step, with how many operands it takes and what states it keeps."""

    step: Step
    operands: int
    states: int
    hidden: int

    def zeros(self, dtype: np.dtype) -> States:
        """Return the states of zero."""
        return tuple(np.zeros((self.states, self.hidden), dtype))


Layers = Sequence[Sequence[Cell]]


def classifier(layers: Layers) -> Product:
    """Return the function (operands, x (steps, input)) -> logits of layers, each of 1 or 2 cells.

    Operands: those of every cell, the head's weight (classes, features) and bias (classes,), each
    with its scale if they are rounded.
    """

    def run(operands: Operands, x: np.ndarray) -> np.ndarray:
        left = iter(operands)
        last = x[:0]
        for layer in layers:
            outputs = [
                _outputs(cell, _take(left, cell.operands), x[::-1] if backward else x)
                for backward, cell in enumerate(layer)
            ]
            last = np.concatenate([output[-1] for output in outputs])
            outputs[1:] = [output[::-1] for output in outputs[1:]]
            x = np.concatenate(outputs, axis=1)
        weight, bias = _head(*left)
        return weight @ last + bias

    return run


def streaming(layers: Layers, inputs: int) -> Product:
    """Return the function (operands, [x_t; states]) -> [logits; states], of layers of one cell."""

    def run(operands: Operands, x: np.ndarray) -> np.ndarray:
        left, values = iter(operands), x[inputs:]
        output = x[:inputs]
        all_states: list[np.ndarray] = []
        for (cell,) in layers:
            size = cell.states * cell.hidden
            states = tuple(values[:size].reshape(cell.states, cell.hidden))
            states = cell.step(_take(left, cell.operands), output, states)
            values, output = values[size:], states[0]
            all_states += states
        weight, bias = _head(*left)
        return np.concatenate([weight @ output + bias, *all_states])

    return run


def _head(weight: np.ndarray, *rest: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the head's weight and bias, from these or from them and their scales."""
    if len(rest) == 1:
        return weight, rest[0]
    scale, bias, of_bias = rest
    return weight * scale, bias * of_bias


def _outputs(cell: Cell, operands: Operands, x: np.ndarray) -> np.ndarray:
    states, outputs = cell.zeros(x.dtype), []
    for x_t in x:
        states = cell.step(operands, x_t, states)
        outputs.append(states[0])
    return np.stack(outputs)


def _take(operands: Iterator[np.ndarray], count: int) -> tuple[np.ndarray, ...]:
    return tuple(next(operands) for _ in range(count))
