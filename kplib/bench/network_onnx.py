"""The papers' networks as ONNX graphs, for the runtimes that read them.

LSTM, GRU and RNN are one node a layer, both directions in it. ONNX has no FastRNN; it is unrolled,
a `Scan`, or a `GRU` whose gates are constant. And ONNX has no structured weights: whatever made
the gate matrices, they are multiplied out.
"""

from typing import Any, Literal, get_args

import numpy as np

from kplib.bench.network_arrays import CellArrays, NetworkArrays

__all__ = ["FASTRNN_FORMS", "FastRNNForm", "onnx_model"]

FastRNNForm = Literal["unrolled", "scan", "gru"]
FASTRNN_FORMS: tuple[FastRNNForm, ...] = get_args(FastRNNForm)

OPSET = 17
IR_VERSION = 8
"""Old enough for every runtime of the `bench` extra."""

# Where ONNX has kplib's gates: i, o, f, c for i, f, g, o; z, r, h for r, z, n.
_GATE_ORDER = {"lstm": (0, 3, 1, 2), "gru": (1, 0, 2), "gru_reset_after": (1, 0, 2)}
_SATURATED = 40.0
"""A bias at which the logistic function is 1 in float32."""


def onnx_model(arrays: NetworkArrays, steps: int, fastrnn: FastRNNForm = "unrolled") -> Any:
    """Return the network as an ONNX model: x (steps, 1, input) to logits (1, classes).

    Parameters
    ----------
    arrays : NetworkArrays
        The network.
    steps : int
        Length of the sequence, fixed.
    fastrnn : {"unrolled", "scan", "gru"}, optional
        How a FastRNN is written down. ``"gru"``: h' = h (1 - beta) / alpha is the state of a GRU
        with the update gate beta and the reset gate 1, so one node computes it, with three
        times the multiplications.

    Returns
    -------
    onnx.ModelProto

    Raises
    ------
    ImportError
        Without onnx.
    ValueError
        If there is no such form.

    Examples
    --------
    >>> import kplib
    >>> from kplib.bench.network_arrays import network_arrays
    >>> model = onnx_model(network_arrays(kplib.build("kws-lstm", "kp")), steps=25)
    >>> [node.op_type for node in model.graph.node]
    ['LSTM', 'Reshape', 'Gemm']
    """
    from onnx import TensorProto, checker, helper

    if fastrnn not in FASTRNN_FORMS:
        raise ValueError(f"fastrnn is {fastrnn!r}, but must be one of {', '.join(FASTRNN_FORMS)}")
    graph = _Graph()
    layer = _layer_writer(arrays, fastrnn)
    sequence = last = "x"
    for k in range(arrays.layers):
        cells = arrays.cells[k * arrays.directions : (k + 1) * arrays.directions]
        final = k == arrays.layers - 1
        sequence, last = layer(graph, arrays, cells, sequence, steps, final)
    width = arrays.directions * arrays.hidden_size
    flat = graph.node("Reshape", last, graph.constant([1, width], np.int64))
    head, bias = graph.constant(arrays.head), graph.constant(arrays.head_bias)
    graph.node("Gemm", flat, head, bias, transB=1, outputs=["logits"])
    float32 = TensorProto.FLOAT
    made = helper.make_graph(
        graph.nodes,
        "network",
        [helper.make_tensor_value_info("x", float32, [steps, 1, arrays.input_size])],
        [helper.make_tensor_value_info("logits", float32, [1, arrays.classes])],
        graph.constants,
    )
    opset = helper.make_opsetid("", OPSET)
    model = helper.make_model(made, opset_imports=[opset], ir_version=IR_VERSION)
    checker.check_model(model)
    return model


class _Graph:
    """Nodes and constants as they are added; names are numbers after a prefix."""

    def __init__(self, prefix: str = "t") -> None:
        self.nodes: list[Any] = []
        self.constants: list[Any] = []
        self._prefix = prefix
        self._names = 0

    def name(self) -> str:
        self._names += 1
        return f"{self._prefix}{self._names}"

    def constant(self, values: Any, dtype: Any = np.float32) -> str:
        from onnx import numpy_helper

        name = self.name()
        array = np.ascontiguousarray(values, dtype)
        self.constants.append(numpy_helper.from_array(array, name))
        return name

    def node(
        self, kind: str, *inputs: str, outputs: list[str] | None = None, **options: Any
    ) -> str:
        from onnx import helper

        outputs = outputs or [self.name()]
        self.nodes.append(helper.make_node(kind, list(inputs), outputs, **options))
        return outputs[0]


def _layer_writer(arrays: NetworkArrays, fastrnn: FastRNNForm) -> Any:
    if arrays.kind != "fastrnn" or fastrnn == "gru":
        return _recurrent_node
    if arrays.directions != 1:
        raise ValueError("a FastRNN in both directions is not written down here")
    return _unrolled if fastrnn == "unrolled" else _scan


def _recurrent_node(
    graph: _Graph,
    arrays: NetworkArrays,
    cells: tuple[CellArrays, ...],
    x: str,
    steps: int,
    final: bool,
) -> tuple[str, str]:
    """Add an LSTM, GRU or RNN node; return its outputs (steps, 1, width) and its last state."""
    kind, scales = arrays.kind, [1.0] * len(cells)
    options: dict[str, Any] = {"hidden_size": arrays.hidden_size}
    options["direction"] = "forward" if arrays.directions == 1 else "bidirectional"
    if kind == "fastrnn":
        scales = [cell.alpha / (1 - cell.beta) for cell in cells]
        cells = tuple(_as_gru(cell) for cell in cells)
    if kind in ("rnn_tanh", "rnn_relu"):
        options["activations"] = ["Tanh" if kind == "rnn_tanh" else "Relu"] * len(cells)
    if kind in ("gru_reset_after", "fastrnn"):
        options["linear_before_reset"] = 1
    order = list(_GATE_ORDER.get("gru" if kind == "fastrnn" else kind, (0,)))
    W = np.stack([cell.W_x[order].reshape(-1, cell.W_x.shape[2]) for cell in cells])
    R = np.stack([cell.W_h[order].reshape(-1, arrays.hidden_size) for cell in cells])
    pairs = ((cell.bias, np.zeros_like(cell.bias) if cell.hidden_bias is None else cell.hidden_bias)
             for cell in cells)  # fmt: skip
    B = np.stack([np.concatenate([b[order].ravel(), r[order].ravel()]) for b, r in pairs])
    operator = {"lstm": "LSTM", "rnn_tanh": "RNN", "rnn_relu": "RNN"}.get(kind, "GRU")
    sequence, last = graph.name(), graph.name()
    graph.node(
        operator, x, *(graph.constant(each) for each in (W, R, B)),
        outputs=["" if final else sequence, last], **options,
    )  # fmt: skip
    if not final:  # (steps, directions, 1, hidden) as the next layer's (steps, 1, width)
        width = arrays.directions * arrays.hidden_size
        swapped = graph.node("Transpose", sequence, perm=[0, 2, 1, 3])
        sequence = graph.node("Reshape", swapped, graph.constant([steps, 1, width], np.int64))
    if kind == "fastrnn":
        last = graph.node("Mul", last, graph.constant(np.reshape(scales, (-1, 1, 1))))
        if not final:
            per_entry = np.repeat(scales, arrays.hidden_size)
            sequence = graph.node("Mul", sequence, graph.constant(per_entry))
    return sequence, last


def _as_gru(cell: CellArrays) -> CellArrays:
    """Return a FastRNN as the GRU of h' = h (1 - beta) / alpha: r = 1, z = beta."""
    scale = cell.alpha / (1 - cell.beta)
    update = float(np.log(cell.beta / (1 - cell.beta)))
    W_x, W_h, bias = (np.zeros((3, *each.shape[1:]), np.float32)
                      for each in (cell.W_x, cell.W_h, cell.bias))  # fmt: skip
    W_x[2], W_h[2], bias[2] = cell.W_x[0], scale * cell.W_h[0], cell.bias[0]
    bias[0], bias[1] = _SATURATED, update
    return CellArrays(W_x, W_h, bias)


def _input_products(graph: _Graph, cell: CellArrays, x: str, steps: int) -> str:
    """Add W_x x_t + b for all steps at once: (steps, hidden)."""
    inputs = cell.W_x.shape[2]
    flat = graph.node("Reshape", x, graph.constant([steps, inputs], np.int64))
    W, bias = graph.constant(cell.W_x[0]), graph.constant(cell.bias[0])
    return graph.node("Gemm", flat, W, bias, transB=1)


def _fastrnn_step(graph: _Graph, cell: CellArrays, product: str, state: str) -> str:
    """Add one step of h / alpha, which saves a product: tanh(W_x x + alpha W_h h') + beta h'."""
    R = graph.constant(cell.alpha * cell.W_h[0])
    candidate = graph.node("Tanh", graph.node("Gemm", state, R, product, transB=1))
    return graph.node("Add", candidate, graph.node("Mul", state, graph.constant([cell.beta])))


def _unrolled(
    graph: _Graph,
    arrays: NetworkArrays,
    cells: tuple[CellArrays, ...],
    x: str,
    steps: int,
    final: bool,
) -> tuple[str, str]:
    """Add a FastRNN step by step."""
    (cell,) = cells
    products = _input_products(graph, cell, x, steps)
    each = [graph.name() for _ in range(steps)]
    sizes = graph.constant([1] * steps, np.int64)
    graph.node("Split", products, sizes, outputs=each, axis=0)
    state = graph.constant(np.zeros((1, arrays.hidden_size)))
    states = []
    for product in each:
        state = _fastrnn_step(graph, cell, product, state)
        states.append(state)
    alpha = graph.constant([cell.alpha])
    if final:
        return state, graph.node("Mul", state, alpha)
    joined = graph.node("Mul", graph.node("Concat", *states, axis=0), alpha)
    shape = graph.constant([steps, 1, arrays.hidden_size], np.int64)
    return graph.node("Reshape", joined, shape), state


def _scan(
    graph: _Graph,
    arrays: NetworkArrays,
    cells: tuple[CellArrays, ...],
    x: str,
    steps: int,
    final: bool,
) -> tuple[str, str]:
    """Add a FastRNN as a Scan over the steps."""
    from onnx import TensorProto, helper

    (cell,) = cells
    hidden = arrays.hidden_size
    products = _input_products(graph, cell, x, steps)
    shape = graph.constant([steps, 1, hidden], np.int64)
    products = graph.node("Reshape", products, shape)
    body = _Graph(f"{products}_")
    new = _fastrnn_step(body, cell, "product", "state")
    body.node("Identity", new, outputs=["output"])
    body.node("Identity", new, outputs=["new_state"])
    value = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [1, hidden])
             for name in ("state", "product", "new_state", "output")]  # fmt: skip
    step = helper.make_graph(body.nodes, "step", value[:2], value[2:], body.constants)
    zeros = graph.constant(np.zeros((1, hidden)))
    last, sequence = graph.name(), graph.name()
    graph.node("Scan", zeros, products, outputs=[last, sequence], body=step, num_scan_inputs=1)
    alpha = graph.constant([cell.alpha])
    if final:
        return sequence, graph.node("Mul", last, alpha)
    return graph.node("Mul", sequence, alpha), last
