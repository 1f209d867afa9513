"""From a PyTorch classifier to programs: which C++ types, packed from which arrays."""

import copy
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import nn

from kplib.engine import reference
from kplib.engine.gates import apart, as_array, joint
from kplib.engine.network import CompiledNetwork
from kplib.engine.plain import require_plain
from kplib.engine.stored import Weights, check_weights, store
from kplib.errors import DtypeError
from kplib.kernels.program import Program, cpp_format
from kplib.nn import GRU, LSTM, RNN, Classifier, FastRNN, parameter_count
from kplib.nn.cell import Cell
from kplib.nn.compression import TORCH_LAYERS
from kplib.nn.recurrent import Recurrent

_PHI: Mapping[str, tuple[str, Callable[[np.ndarray], np.ndarray]]] = {
    "tanh": ("kplib::Tanh", np.tanh),
    "relu": ("kplib::Relu", lambda z: np.maximum(z, 0)),
}


def compile(
    model: Classifier, *, weights: Weights = "float32", loader: str | None = None
) -> CompiledNetwork:
    """Compile a classifier whole: all steps, activations and the head in one C++ call, batch 1.

    Every size but the number of steps is known to the compiler. The weights are copied: training
    the model further does not change the compiled network, which computes what the model does in
    ``eval`` mode.

    Parameters
    ----------
    model : kplib.nn.Classifier
        Of any recurrent layer of `kplib.nn`, with any number of layers and directions and any real
        weights, or of a `torch.nn.LSTM`, `torch.nn.GRU` or `torch.nn.RNN`; float32 or float64.
    weights : {"float32", "int8"}
        How they are stored: in the floats that they are, float64 too, or as integers of 8 bits with
        a scale for each matrix and each gate's biases, as ``kplib.nn.quantized.quantize(model, 8,
        head=True)`` rounds them. See the notes.
    loader : {"cppyy", "compiler", "numpy"}, optional
        By default the first that works here; see `kplib.kernels.available`.

    Returns
    -------
    CompiledNetwork
        ``net(x)`` with x (steps, input) gives the logits (classes,). One step costs the gates'
        multiply-accumulates and, for each hidden unit, 5 activations of an LSTM, 3 of a GRU, 1 of
        the other cells.

    Raises
    ------
    TypeError
        If the model is not a `Classifier`, its layer has no compiled form (complex weights and
        modrelu have none), or a part of it is a subclass or has hooks, so that it computes
        something else.
    DtypeError
        If its parameters are neither float32 nor float64; with int8 weights, unless they are
        float32, and if the product of a weight's scales leaves float32's range.
    ValueError
        If `weights` is neither, or a weight that is to be rounded is not finite.

    Notes
    -----
    How each structure is compiled: `kplib.engine.gates`.

    With int8 weights the integers, of at most 127, are exact; x and the states stay in float32, and
    the integers become floats in registers, where they are multiplied. So the logits are those of
    ``quantize(model, 8, head=True).model`` within the rounding of float32, as the logits of float32
    weights are the model's. Against the model itself the error is the weights' alone: no number of
    a matrix moves by more than max|w| / 254, and what that makes of a gate's matrix is bounded by
    `kplib.nn.quantized.gate_errors`; the error of the logits depends on model and data.

    The packed weights take a quarter of the bytes; ``weight_bytes`` counts scales, biases and
    padding too. That is faster where float32 weights do not fit into the first cache: sequences of
    the papers' dense KWS and HAR1 networks took 0.7 times as long, on one core of an AMD EPYC with
    AVX-512. Where they do fit, widening costs more than it saves: the dense MNIST and USPS networks
    and the Kronecker ones took 1.05 to 1.4 times as long. States in 8 bits, too, would need no
    widening, but round them anew at every step.

    Examples
    --------
    >>> import torch, kplib
    >>> from kplib.nn import LSTM, Classifier
    >>> model = Classifier(LSTM(28, 40), torch.nn.Linear(40, 10))
    >>> net = kplib.compile(model)
    >>> x = torch.randn(28, 28)
    >>> torch.allclose(torch.from_numpy(net(x.numpy())), model(x), atol=1e-5)
    True
    """
    check_weights(weights)
    if not isinstance(model, Classifier):
        raise TypeError(
            f"compile takes a kplib.nn.Classifier (a recurrent layer and a head), found "
            f"{type(model).__name__}; wrap it: kplib.nn.Classifier(rnn, head)"
        )
    rnn = _plain_layer(model)
    dtype = _dtype(model)
    if weights == "int8":
        _check_roundable(model)
    layers = _layers(rnn, weights)
    cells = [cell for layer in layers for cell in layer]
    head = _head(model.head, dtype, weights)
    operands = (*(operand for cell in cells for operand in cell.operands), *head)
    return CompiledNetwork(
        _program(rnn, layers, operands, model.head.out_features),
        None
        if rnn.bidirectional
        else _program(rnn, layers, operands, model.head.out_features, streaming=True),
        operands,
        loader,
        head_macs=head[0].size,
        parameters=parameter_count(model),
        model=copy.deepcopy(model),
        weights=weights,
    )


@dataclass(frozen=True)
class _CompiledCell:
    cpp_type: str
    operands: tuple[np.ndarray, ...]
    macs: int
    reference: reference.Cell


def _program(
    rnn: Recurrent,
    layers: Sequence[Sequence[_CompiledCell]],
    operands: tuple[np.ndarray, ...],
    classes: int,
    *,
    streaming: bool = False,
) -> Program:
    """Return the program for whole sequences, or that for one step with the states outside."""
    dtype, stored = operands[-1].dtype, operands[0].dtype
    form = cpp_format(stored)
    types = [[cell.cpp_type for cell in layer] for layer in layers]
    if rnn.bidirectional:
        both = [f"kplib::BothWays<{form}, {', '.join(pair)}>" for pair in types]
        network = f"kplib::BidirectionalStack<{form}, {', '.join(both)}>"
    else:
        network = f"kplib::Stack<{form}, {', '.join(cell for (cell,) in types)}>"
    cells = [[cell.reference for cell in layer] for layer in layers]
    states = sum(cell.states * cell.hidden for layer in cells for cell in layer)
    if streaming:
        name, extra, in_numpy = "Streaming", states, reference.streaming(cells, rnn.input_size)
    else:
        name, extra, in_numpy = "Classifier", 0, reference.classifier(cells)
    return Program(
        cpp_type=f"kplib::{name}<{form}, {classes}, {network}>",
        header="kplib/network.hpp",
        dtype=dtype,
        x_shape=(rnn.input_size + extra,),
        y_shape=(classes + extra,),
        operands=tuple(operand.shape for operand in operands),
        macs=sum(cell.macs for layer in layers for cell in layer),
        reference=in_numpy,
        sequence=not streaming,
        stored=None if stored == dtype else stored,
    )


def _layers(rnn: Recurrent, weights: Weights) -> list[list[_CompiledCell]]:
    """Return the cells of each layer, one for each direction."""
    cells = rnn._cell_list()
    lower = _CELLS[type(rnn)]
    return [
        [lower(rnn, cell, weights) for cell in cells[k : k + rnn.directions]]
        for k in range(0, len(cells), rnn.directions)
    ]


@dataclass(frozen=True)
class _Biases:
    """The biases of a cell's gates, `rows` of them, as operands.

    Two vectors are one sum, but where they are rounded each has scales of its own, and the step
    adds them up.
    """

    operands: tuple[np.ndarray, ...]
    rows: int

    @property
    def summands(self) -> int:
        return self.operands[0].size // (self.rows * self.operands[0].shape[-1])

    def in_step(self, step: reference.Step, after: int = 0) -> reference.Step:
        if len(self.operands) == 1:
            return step
        return reference.scaled_biases(step, self.rows, after)


def _biases(cell: Cell, weights: Weights, *, apart: bool = False) -> _Biases:
    """Return the gates' biases; `apart`: those of r, z, and of both parts of n."""
    vectors = [v for v in (cell.bias, cell.bias_ih, cell.bias_hh) if v is not None]
    gates, hidden = cell.weight.gates, cell.weight.rows
    if weights == "float32":
        table = as_array(_biases_apart(cell) if apart else cell.gate_bias())
        return _Biases((table,), len(table))
    levels: list[np.ndarray] = [np.zeros((gates, hidden), np.int8)]
    scales: list[np.ndarray] = [np.ones(gates, np.float32)]
    if vectors:
        stored = [store(vector.view(gates, 1, hidden), "int8") for vector in vectors]
        levels = [factor.values[:, 0] for factor in stored]
        scales = [factor.scale for factor in stored if factor.scale is not None]
    if apart:  # behind r, z and b_n comes c_n, the second vector's n
        levels = [np.concatenate([table, np.zeros_like(table[:1])]) for table in levels]
        scales = [np.append(scale, np.float32(1)) for scale in scales]
        if len(levels) == 2:
            for tables in (levels, scales):
                tables[0][3], tables[1][3] = tables[1][2], 0
                tables[1][2] = 0
    return _Biases((np.concatenate(levels), np.concatenate(scales)), gates + apart)


def _biases_apart(cell: Cell) -> torch.Tensor:
    """Return the biases of r, z, and of both parts of n, shape (4, hidden)."""
    total = cell.gate_bias()
    if cell.bias_ih is None or cell.bias_hh is None:
        return torch.cat([total, torch.zeros_like(total[:1])])
    of_x, of_h = (vector.view(3, -1)[2:] for vector in (cell.bias_ih, cell.bias_hh))
    return torch.cat([total[:2], of_x, of_h])


def _cell(
    name: str,
    cell: Cell,
    gates: Sequence[str],
    operands: tuple[np.ndarray, ...],
    macs: int,
    step: reference.Step,
    biases: _Biases,
    *,
    scalars: tuple[np.ndarray, ...] = (),
    states: int = 1,
) -> _CompiledCell:
    hidden = cell.weight.rows
    form = cpp_format(operands[0].dtype)
    arguments = [form, cell.weight.columns - hidden, hidden, *gates]
    if biases.summands > 1:
        arguments.append(biases.summands)
    everything = (*operands, *biases.operands, *scalars)
    step = biases.in_step(step, len(scalars))
    return _CompiledCell(
        f"kplib::{name}<{', '.join(map(str, arguments))}>",
        everything,
        macs,
        reference.Cell(step, len(everything), states, hidden),
    )


def _lstm(rnn: Recurrent, cell: Cell, weights: Weights) -> _CompiledCell:
    gates = joint(cell.weight, weights=weights)
    step = reference.lstm(gates.reference)
    types, biases = [gates.cpp_type], _biases(cell, weights)
    return _cell("Lstm", cell, types, gates.operands, gates.macs, step, biases, states=2)


def _gru(rnn: GRU, cell: Cell, weights: Weights) -> _CompiledCell:
    if rnn.reset_after:
        four = apart(cell.weight, cell.weight.columns - cell.weight.rows, weights=weights)
        biases = _biases(cell, weights, apart=True)
        step = reference.gru_after(four.reference)
        return _cell("GruAfter", cell, [four.cpp_type], four.operands, four.macs, step, biases)
    reset_update, candidate = (
        joint(cell.weight, gates, weights=weights) for gates in (slice(0, 2), slice(2, 3))
    )
    step = reference.gru_before(
        reset_update.reference, len(reset_update.operands), candidate.reference
    )
    types = [reset_update.cpp_type, candidate.cpp_type]
    operands = (*reset_update.operands, *candidate.operands)
    macs = reset_update.macs + candidate.macs
    return _cell("GruBefore", cell, types, operands, macs, step, _biases(cell, weights))


def _rnn(rnn: RNN, cell: Cell, weights: Weights) -> _CompiledCell:
    if rnn.nonlinearity not in _PHI:
        raise TypeError(f"compile has no form for an RNN with {rnn.nonlinearity}")
    name, phi = _PHI[rnn.nonlinearity]
    gate = joint(cell.weight, weights=weights)
    step = reference.rnn(gate.reference, phi)
    types, biases = [gate.cpp_type, name], _biases(cell, weights)
    return _cell("Rnn", cell, types, gate.operands, gate.macs, step, biases)


def _fastrnn(rnn: Recurrent, cell: Cell, weights: Weights) -> _CompiledCell:
    gate = joint(cell.weight, weights=weights)
    scalars = torch.stack([cell.get_parameter(name) for name in ("alpha", "beta")])
    scalars = torch.sigmoid(scalars.double()).to(scalars.dtype)
    return _cell(
        "FastRnn", cell, [gate.cpp_type], gate.operands, gate.macs,
        reference.fastrnn(gate.reference), _biases(cell, weights), scalars=(as_array(scalars),),
    )  # fmt: skip


def _head(head: nn.Linear, dtype: np.dtype, weights: Weights) -> tuple[np.ndarray, ...]:
    """Return the head's weight and bias, each with its scale if they are rounded."""
    bias = torch.zeros(head.out_features) if head.bias is None else head.bias
    if weights == "float32":
        return as_array(head.weight), as_array(bias).astype(dtype, copy=False)
    W, b = store(head.weight[None], weights), store(bias.view(1, 1, -1), weights)
    return W.values[0], np.asarray(W.scale), b.values[0, 0], np.asarray(b.scale)


_CELLS: Mapping[type[Recurrent], Callable[..., _CompiledCell]] = {
    LSTM: _lstm,
    GRU: _gru,
    RNN: _rnn,
    FastRNN: _fastrnn,
}


def _plain_layer(model: Classifier) -> Recurrent:
    """Return the layer; TypeError for all that computes something else than its compiled form."""
    rnn = model.rnn
    if type(rnn) not in _CELLS and type(rnn) not in TORCH_LAYERS:
        known = ", ".join(layer.__name__ for layer in _CELLS)
        raise TypeError(
            f"compile has no form for {type(rnn).__name__}; it takes {known} themselves"
        )
    if getattr(rnn, "proj_size", 0):
        raise TypeError(f"compile has no form for a projection, found proj_size={rnn.proj_size}")
    require_plain(model, "compile")
    return rnn if isinstance(rnn, Recurrent) else TORCH_LAYERS[type(rnn)].from_torch(rnn)


def _check_roundable(model: Classifier) -> None:
    """Raise an error where 8 bits would not be those of `kplib.nn.quantize`."""
    for name, module in model.named_modules():
        if nn.utils.parametrize.is_parametrized(module):
            raise TypeError(
                f"{name or 'the model'} has a parametrization; remove it before the weights are "
                f"rounded (kplib.nn.quantized.finish_qat takes off that of prepare_qat)"
            )
    for name, parameter in model.named_parameters():
        if parameter.dtype != torch.float32:
            raise DtypeError(
                f"{name} is {parameter.dtype}, but 8-bit weights are computed with in "
                f"torch.float32: model.float()"
            )
        bad = int((~torch.isfinite(parameter)).sum())
        if bad:
            raise ValueError(f"{name} has {bad} NaN or infinite entries")


def _dtype(model: Classifier) -> np.dtype:
    dtypes = {parameter.dtype for parameter in model.parameters()}
    known = {torch.float32: np.float32, torch.float64: np.float64}
    if len(dtypes) != 1 or not dtypes <= known.keys():
        found = ", ".join(sorted(map(str, dtypes)))
        raise DtypeError(f"the parameters are {found}, but must all be float32 or all float64")
    return np.dtype(known[dtypes.pop()])
