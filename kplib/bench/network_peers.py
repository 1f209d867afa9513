"""The peers that a compiled network is timed against: one sequence, batch 1, float32.

Each is called the way its users call it, or faster: weights are laid out, graphs optimized and
buffers bound before the clock starts.
"""

import copy
import logging
import warnings
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Literal

import numpy as np
import torch
from torch import nn

import kplib
from kplib.bench.eigen_network import EigenNetwork, Product
from kplib.bench.network_arrays import NetworkArrays, network_arrays
from kplib.bench.network_onnx import FastRNNForm, onnx_model
from kplib.bench.peers import Call, Peer, Unavailable, python_call
from kplib.bench.timing import Sampler
from kplib.engine import CompiledNetwork
from kplib.nn import GRU, LSTM, Classifier, Dense
from kplib.nn.recurrent import Recurrent
from kplib.nn.structures import SparseWeight
from kplib.shapes import FactorShape

__all__ = [
    "ALGORITHM1",
    "BASELINE",
    "EXPORTED",
    "OURS",
    "OURS_INT8",
    "PEERS",
    "TORCH_COMPILE",
    "UNROLLED",
    "NetworkCall",
    "NetworkCase",
    "peers_of",
    "sequence_macs",
]

OURS = "kplib.compile"
OURS_INT8 = "kplib.compile, int8"
INT8_TOLERANCE = 0.1
"""Of logits by 8-bit weights, relative to the largest: it finds wrong ones; the error is stated."""
BASELINE = "ONNX Runtime"
"""The strongest peer, with the fastest graph found: ONNX's own node, also for the FastRNN."""
UNROLLED = "ONNX Runtime, unrolled"
SCAN = "ONNX Runtime, Scan"
EXPORTED = "ONNX Runtime, torch's export"
ALGORITHM1 = "Eigen, Algorithm 1"
TORCH_COMPILE = "torch.compile"

Kind = Literal["dense", "kronecker", "other"]


@dataclass(frozen=True, eq=False)
class NetworkCase:
    """One network over one sequence, with its exact logits.

    Parameters
    ----------
    benchmark : str
        Whose sizes it has.
    network : str
        Which of the benchmark's networks it is, as the tables show it.
    model : kplib.nn.Classifier
        Of a layer of `kplib.nn`, float32, ``batch_first``.
    steps : int
        Length of the sequence.
    seed : int
        The standard normal x is drawn from it.
    threads : int
        For the runtimes that take several; the loops in C++ always have one.

    Examples
    --------
    >>> case = NetworkCase("kws-lstm", "kp", kplib.build("kws-lstm", "kp", seed=0), steps=25)
    >>> case.x.shape, case.exact.shape
    ((25, 10), (12,))
    """

    benchmark: str
    network: str
    model: Classifier
    steps: int
    seed: int = 0
    threads: int = 1

    @property
    def rnn(self) -> Recurrent:
        """The recurrent layer.

        Raises
        ------
        TypeError
            If it is none of `kplib.nn`.
        """
        if not isinstance(self.model.rnn, Recurrent) or not self.model.rnn.batch_first:
            raise TypeError("a NetworkCase takes a batch_first layer of kplib.nn")
        return self.model.rnn

    @cached_property
    def x(self) -> np.ndarray:
        """The sequence, float32 (steps, input)."""
        size = self.steps, self.rnn.input_size
        return np.random.default_rng([self.seed, *size]).standard_normal(size, dtype=np.float32)

    @cached_property
    def exact(self) -> np.ndarray:
        """The logits in float64, by the dense matrices."""
        return exact_logits(self.model, self.x)

    @property
    def scale(self) -> np.ndarray:
        """The largest logit, once for each: what errors are measured against."""
        return np.full_like(self.exact, np.abs(self.exact).max())

    @cached_property
    def arrays(self) -> NetworkArrays:
        """The gate matrices, multiplied out, float32."""
        return network_arrays(self.model)

    @property
    def kind(self) -> Kind:
        """Whether its gates are dense, one Kronecker product each, or something else."""
        kinds = {cell.weight.kind for cell in self.rnn._cell_list()}
        if kinds == {"dense"}:
            return "dense"
        return "kronecker" if all(cell.factors for cell in self.arrays.cells) else "other"

    @property
    def dense_macs(self) -> int:
        """Multiply-accumulates of the sequence with the matrices multiplied out, and the head."""
        cells = self.arrays.cells
        gates = sum(cell.W_x.size + cell.W_h.size for cell in cells)
        return self.steps * gates + self.arrays.head.size

    @property
    def macs_of_algorithm1(self) -> int:
        """The same by the papers' order of the two products, B X first, whatever it costs."""
        gates = 0
        for cell in self.arrays.cells:
            if cell.factors is None:
                raise ValueError("Algorithm 1 multiplies by two factors, which this network lacks")
            A, B = cell.factors
            shape = FactorShape(*A.shape[1:], *B.shape[1:])
            gates += len(A) * shape.macs_b_first
        return self.steps * gates + self.arrays.head.size

    @property
    def macs(self) -> int:
        """Multiply-accumulates of the sequence by what the gates are made of, and of the head."""
        return sequence_macs(self.model, self.steps)


def exact_logits(model: Classifier, x: np.ndarray) -> np.ndarray:
    """Return a classifier's logits for x (steps, input), in float64 by the dense matrices.

    Examples
    --------
    >>> exact_logits(kplib.build("mnist-lstm", "kp", seed=0), np.ones((28, 28))).shape
    (10,)
    """
    double = copy.deepcopy(model).double().eval()
    if isinstance(double.rnn, Recurrent):
        double.rnn.method = "fused"
    with torch.no_grad():
        return double(torch.from_numpy(np.asarray(x, float)[None])).numpy()[0]


def sequence_macs(model: Classifier, steps: int) -> int:
    """Return the multiply-accumulates of one sequence, by what the gates are made of.

    Examples
    --------
    >>> sequence_macs(kplib.build("kws-lstm", "kp"), 25) == 25 * 4_800 + 118 * 12
    True
    """
    rnn = model.rnn
    if not isinstance(rnn, Recurrent):
        raise TypeError(f"needs a layer of kplib.nn, found {type(rnn).__name__}")
    gates = sum(cell.weight.macs for cell in rnn._cell_list())
    return steps * gates + model.head.in_features * model.head.out_features


@dataclass(frozen=True)
class NetworkCall(Call):
    """A peer made ready for one network; where its numbers are known, with the bytes that it needs.

    Parameters
    ----------
    weight_bytes : int, optional
        Weights, biases and head as it stores them, indices of a sparse format included.
    state_bytes : int, optional
        Numbers that are carried from one step to the next.
    """

    weight_bytes: int | None = field(default=None, kw_only=True)
    state_bytes: int | None = field(default=None, kw_only=True)


def _stored_bytes(model: nn.Module) -> int:
    """Return the bytes of a torch model's parameters, and of the masks that it multiplies by."""
    parameters = sum(p.numel() * p.element_size() for p in model.parameters())
    masks = (m.mask.numel() for m in model.modules() if isinstance(m, SparseWeight))
    return parameters + sum(masks)


def _state_bytes(rnn: Recurrent | nn.RNNBase) -> int:
    states = 2 if isinstance(rnn, LSTM | nn.LSTM) else 1
    return 4 * states * rnn.num_layers * (2 if rnn.bidirectional else 1) * rnn.hidden_size


def _without_gradients(sampler: Sampler) -> Sampler:
    def sample(loops: int) -> float:
        with torch.inference_mode():
            return sampler(loops)

    return sample


def _torch_call(case: NetworkCase, model: Any, stored: Classifier, **more: Any) -> Call:
    """Return the Call of ``model(x)``; `stored` has its parameters."""
    torch.set_num_threads(case.threads)
    x = torch.from_numpy(case.x[None])
    call = python_call("model(x)", {"model": model, "x": x}, case.dense_macs)

    def result() -> np.ndarray:
        with torch.inference_mode():
            return model(x).numpy()[0]

    return NetworkCall(
        _without_gradients(call.sampler), result, call.macs, how=call.how,
        weight_bytes=_stored_bytes(stored), state_bytes=_state_bytes(stored.rnn), **more,
    )  # fmt: skip


def _of_torch(case: NetworkCase) -> tuple[Classifier, dict[str, Any]]:
    """Return the network with a layer of torch.nn, and what has to be said about it."""
    rnn, more = case.rnn, {}
    if isinstance(rnn, GRU) and not rnn.reset_after:
        rnn = _resetting_after(rnn)
        model = Classifier(rnn, case.model.head)
        exact = exact_logits(model, case.x)
        scale = np.full_like(exact, np.abs(exact).max())
        more = {"exact": exact, "scale": scale, "note": "resets after the product"}
    try:
        layer = rnn.to_torch()
    except ValueError:
        raise Unavailable(f"torch.nn has no {type(rnn).__name__}") from None
    return Classifier(layer, case.model.head).eval(), more


def _resetting_after(gru: GRU) -> GRU:
    """Return the GRU of the same matrices and biases that torch has: it resets the product."""
    other = GRU(
        gru.input_size, gru.hidden_size, gru.num_layers, gru.bias, True,
        bidirectional=gru.bidirectional, weight=Dense(),
    )  # fmt: skip
    with torch.no_grad():
        for theirs, ours in zip(other._cell_list(), gru._cell_list(), strict=True):
            theirs.weight.assign(ours.weight.matrix())
            for name in ("bias", "bias_ih", "bias_hh"):
                if getattr(ours, name) is not None:
                    getattr(theirs, name).copy_(getattr(ours, name))
    return other


def _torch_nn(case: NetworkCase) -> Call:
    model, more = _of_torch(case)
    return _torch_call(case, model, model, **more)


def _torch_kplib(case: NetworkCase) -> Call:
    return _torch_call(case, case.model, case.model)


def _for_torch_to_compile(case: NetworkCase) -> tuple[Classifier, dict[str, Any]]:
    """Return a network that torch can take apart; with its own layer where it has one."""
    if isinstance(case.rnn, LSTM):
        return _of_torch(case)
    return case.model, {"note": "steps unrolled"}


def _torch_jit(case: NetworkCase) -> Call:
    model, more = _for_torch_to_compile(case)
    constant = copy.deepcopy(model).requires_grad_(False)  # as torch.jit.freeze would make it
    x = torch.from_numpy(case.x[None])
    with warnings.catch_warnings(), torch.inference_mode():
        warnings.simplefilter("ignore")  # deprecated; and loops over steps are unrolled
        traced = torch.jit.trace(lambda x: constant(x), x)
        for _ in range(3):  # the profiling executor rewrites the graph in its first runs
            traced(x)
    return _torch_call(case, traced, model, **more)


def _torch_compile(case: NetworkCase) -> Call:
    model, more = _for_torch_to_compile(case)
    with warnings.catch_warnings(), torch.inference_mode():
        warnings.simplefilter("ignore")
        compiled = torch.compile(model)
        compiled(torch.from_numpy(case.x[None]))
    return _torch_call(case, compiled, model, **more)


def _onnxruntime(form: FastRNNForm, note: str = "") -> Callable[[NetworkCase], Call]:
    def make(case: NetworkCase) -> Call:
        model = onnx_model(case.arrays, case.steps, form).SerializeToString()
        return _session(case, model, np.ascontiguousarray(case.x[:, None]), _graph_note(case, note))

    return make


def _torch_export(case: NetworkCase) -> Call:
    import onnxscript  # noqa: F401  (torch needs it; without it, it is this peer that is missing)

    logging.getLogger("torch.onnx").setLevel(logging.ERROR)  # it warns of what is not installed
    x = case.x[None]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        program = torch.onnx.export(
            copy.deepcopy(case.model), (torch.from_numpy(x),), dynamo=True, verbose=False
        )
    assert program is not None
    return _session(case, program.model_proto.SerializeToString(), x, "")


def _session(case: NetworkCase, model: bytes, x: np.ndarray, note: str) -> Call:
    """Return the Call of ONNX Runtime on a model, its input and output bound."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads, options.inter_op_num_threads = case.threads, 1
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    binding, y = session.io_binding(), np.empty((1, case.arrays.classes), np.float32)
    source, target = session.get_inputs()[0].name, session.get_outputs()[0].name
    binding.bind_input(source, "cpu", 0, np.float32, x.shape, x.ctypes.data)
    binding.bind_output(target, "cpu", 0, np.float32, y.shape, y.ctypes.data)
    names = {"run": session.run_with_iobinding, "binding": binding}
    return _dense_call(case, "run(binding)", names, y, keep=(session, x, y), note=note)


def _graph_note(case: NetworkCase, fastrnn: str) -> str:
    """Return what the tables say of a graph; `fastrnn` where it is one of a FastRNN."""
    notes = [] if case.kind == "dense" else ["multiplied out"]
    if case.arrays.kind == "fastrnn" and fastrnn:
        notes.append(fastrnn)
    return ", ".join(notes)


def _openvino(case: NetworkCase) -> Call:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import openvino

    core = openvino.Core()
    model = core.read_model(onnx_model(case.arrays, case.steps, "unrolled").SerializeToString())
    config = {
        "INFERENCE_NUM_THREADS": case.threads,
        "PERFORMANCE_HINT": "LATENCY",
        "INFERENCE_PRECISION_HINT": "f32",
    }
    request = core.compile_model(model, "CPU", config).create_infer_request()
    x, y = np.ascontiguousarray(case.x[:, None]), np.empty((1, case.arrays.classes), np.float32)
    request.set_input_tensor(openvino.Tensor(x, shared_memory=True))
    request.set_output_tensor(openvino.Tensor(y, shared_memory=True))
    names = {"infer": request.infer}
    return _dense_call(
        case, "infer()", names, y, keep=(request, x, y), note=_graph_note(case, "unrolled")
    )


def _dense_call(
    case: NetworkCase,
    code: str,
    names: dict[str, object],
    y: np.ndarray,
    keep: object,
    note: str,
) -> Call:
    """Return the Call of a runtime that was given a graph of dense matrices."""
    call = python_call(code, names, case.dense_macs, y)
    return NetworkCall(
        call.sampler, call.result, call.macs, how=code, keep_alive=keep, note=note,
        weight_bytes=case.arrays.nbytes, state_bytes=_state_bytes(case.rnn),
    )  # fmt: skip


def _eigen(product: Product) -> Callable[[NetworkCase], Call]:
    def make(case: NetworkCase) -> Call:
        network = EigenNetwork(case.arrays, case.x, product)
        return NetworkCall(
            network.sampler, network.logits,
            case.macs_of_algorithm1 if product == "algorithm1" else case.dense_macs,
            keep_alive=network, weight_bytes=network.weight_bytes, state_bytes=network.state_bytes,
        )  # fmt: skip

    return make


def _kplib(case: NetworkCase) -> Call:
    return _compiled(case, {})


def _kplib_int8(case: NetworkCase) -> Call:
    return _compiled(case, {"weights": "int8"}, tolerance=INT8_TOLERANCE)


def _compiled(case: NetworkCase, options: dict[str, Any], **more: Any) -> Call:
    """Return the Call of the network compiled by kplib, its buffers bound."""
    try:
        net = kplib.compile(case.model, **options)
    except (TypeError, NotImplementedError) as error:
        raise Unavailable(f"not compiled yet: {error}") from None
    y = np.empty(net.classes, np.float32)
    call = python_call("run()", {"run": net.bind(case.x, y)}, net.macs(case.steps), y)
    return NetworkCall(
        call.sampler, call.result, call.macs, how=call.how, keep_alive=(net, case.x, y),
        note=_storage(case, net), weight_bytes=net.weight_bytes,
        state_bytes=_state_bytes(case.rnn), **more,
    )  # fmt: skip


def _storage(case: NetworkCase, net: CompiledNetwork) -> str:
    """Say in which form the compiler stored a pruned network; it takes the faster one."""
    if not all(isinstance(cell.weight, SparseWeight) for cell in case.rnn._cell_list()):
        return ""
    entries = sum(cell.W_x.size + cell.W_h.size for cell in case.arrays.cells)
    whole = entries * (1 if net.weights == "int8" else net.dtype.itemsize)
    return "stored whole" if net.weight_bytes >= whole else "sliced ELLPACK"


PEERS = (
    Peer("torch.nn", _torch_nn),
    Peer("torch, kplib.nn", _torch_kplib),
    Peer("torch.jit", _torch_jit),
    Peer(TORCH_COMPILE, _torch_compile, slow_import=True),
    Peer("OpenVINO", _openvino, "openvino onnx"),
    Peer(BASELINE, _onnxruntime("gru", "a GRU node"), "onnxruntime onnx"),
    Peer(UNROLLED, _onnxruntime("unrolled"), "onnxruntime onnx"),
    Peer(SCAN, _onnxruntime("scan"), "onnxruntime onnx"),
    Peer(EXPORTED, _torch_export, "onnxruntime onnx onnxscript"),
    Peer("Eigen, W by rows", _eigen("by_rows")),
    Peer("Eigen, W by columns", _eigen("by_columns")),
    Peer(ALGORITHM1, _eigen("algorithm1")),
    Peer(OURS, _kplib),
    Peer(OURS_INT8, _kplib_int8),
)
"""Every peer; :data:`BASELINE` and :data:`OURS` among them. Slow is what compiles for minutes."""


def peers_of(case: NetworkCase) -> list[Peer]:
    """Return the peers that can say something about a network.

    The runtimes know dense matrices only. They all run the dense network; what they make of a
    compressed one, multiplied out, is shown by one of them.

    Examples
    --------
    >>> case = NetworkCase("kws-lstm", "kp", kplib.build("kws-lstm", "kp"), steps=25)
    >>> [peer.name for peer in peers_of(case)][:3]
    ['torch, kplib.nn', 'ONNX Runtime', 'Eigen, Algorithm 1']
    """
    if case.kind == "dense":
        left = {ALGORITHM1}
        if case.arrays.kind != "fastrnn":  # ONNX has the cell itself
            left |= {UNROLLED, SCAN, EXPORTED}
        return [peer for peer in PEERS if peer.name not in left]
    names = {"torch, kplib.nn", BASELINE, OURS, OURS_INT8}
    if case.kind == "kronecker":
        names.add(ALGORITHM1)
    return [peer for peer in PEERS if peer.name in names]
