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
from kplib.errors import DtypeError
from kplib.kernels.program import Program, cpp_scalar
from kplib.nn import GRU, LSTM, RNN, Classifier, FastRNN, parameter_count
from kplib.nn.cell import Cell
from kplib.nn.recurrent import Recurrent

_OF_TORCH: Mapping[type[nn.RNNBase], type[Recurrent]] = {nn.LSTM: LSTM, nn.GRU: GRU, nn.RNN: RNN}
_PHI: Mapping[str, tuple[str, Callable[[np.ndarray], np.ndarray]]] = {
    "tanh": ("kplib::Tanh", np.tanh),
    "relu": ("kplib::Relu", lambda z: np.maximum(z, 0)),
}


def compile(model: Classifier, *, loader: str | None = None) -> CompiledNetwork:
    """Compile a classifier whole: all steps, activations and the head in one C++ call, batch 1.

    Every size but the number of steps is known to the compiler. The weights are copied: training
    the model further does not change the compiled network, which computes what the model does in
    ``eval`` mode.

    Parameters
    ----------
    model : kplib.nn.Classifier
        Of any recurrent layer of `kplib.nn`, with any number of layers and directions and any real
        weights, or of a `torch.nn.LSTM`, `torch.nn.GRU` or `torch.nn.RNN`; float32 or float64.
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
        If its parameters are neither float32 nor float64.

    Notes
    -----
    How each structure is compiled: `kplib.engine.gates`.

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
    if not isinstance(model, Classifier):
        raise TypeError(
            f"compile takes a kplib.nn.Classifier (a recurrent layer and a head), found "
            f"{type(model).__name__}; wrap it: kplib.nn.Classifier(rnn, head)"
        )
    rnn = _plain_layer(model)
    dtype = _dtype(model)
    layers = _layers(rnn)
    head = as_array(model.head.weight)
    bias = np.zeros(len(head), dtype) if model.head.bias is None else as_array(model.head.bias)
    cells = [cell for layer in layers for cell in layer]
    operands = (*(operand for cell in cells for operand in cell.operands), head, bias)
    return CompiledNetwork(
        _program(rnn, layers, operands),
        None if rnn.bidirectional else _program(rnn, layers, operands, streaming=True),
        operands,
        loader,
        head_macs=head.size,
        parameters=parameter_count(model),
        model=copy.deepcopy(model),
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
    *,
    streaming: bool = False,
) -> Program:
    """Return the program for whole sequences, or that for one step with the states outside."""
    dtype = operands[-1].dtype
    scalar, classes = cpp_scalar(dtype), len(operands[-1])
    types = [[cell.cpp_type for cell in layer] for layer in layers]
    if rnn.bidirectional:
        both = [f"kplib::BothWays<{scalar}, {', '.join(pair)}>" for pair in types]
        network = f"kplib::BidirectionalStack<{scalar}, {', '.join(both)}>"
    else:
        network = f"kplib::Stack<{scalar}, {', '.join(cell for (cell,) in types)}>"
    cells = [[cell.reference for cell in layer] for layer in layers]
    states = sum(cell.states * cell.hidden for layer in cells for cell in layer)
    if streaming:
        name, extra, in_numpy = "Streaming", states, reference.streaming(cells, rnn.input_size)
    else:
        name, extra, in_numpy = "Classifier", 0, reference.classifier(cells)
    return Program(
        cpp_type=f"kplib::{name}<{scalar}, {classes}, {network}>",
        header="kplib/network.hpp",
        dtype=dtype,
        x_shape=(rnn.input_size + extra,),
        y_shape=(classes + extra,),
        operands=tuple(operand.shape for operand in operands),
        macs=sum(cell.macs for layer in layers for cell in layer),
        reference=in_numpy,
        sequence=not streaming,
    )


def _layers(rnn: Recurrent) -> list[list[_CompiledCell]]:
    """Return the cells of each layer, one for each direction."""
    cells = rnn._cell_list()
    lower = _CELLS[type(rnn)]
    return [
        [lower(rnn, cell) for cell in cells[k : k + rnn.directions]]
        for k in range(0, len(cells), rnn.directions)
    ]


def _cell(
    name: str,
    cell: Cell,
    gates: Sequence[str],
    operands: tuple[np.ndarray, ...],
    macs: int,
    step: reference.Step,
    states: int = 1,
) -> _CompiledCell:
    hidden = cell.weight.rows
    scalar = cpp_scalar(operands[0].dtype)
    sizes = [scalar, str(cell.weight.columns - hidden), str(hidden)]
    return _CompiledCell(
        f"kplib::{name}<{', '.join([*sizes, *gates])}>",
        operands,
        macs,
        reference.Cell(step, len(operands), states, hidden),
    )


def _lstm(rnn: Recurrent, cell: Cell) -> _CompiledCell:
    gates = joint(cell.weight)
    operands = (*gates.operands, as_array(cell.gate_bias()))
    step = reference.lstm(gates.reference)
    return _cell("Lstm", cell, [gates.cpp_type], operands, gates.macs, step, states=2)


def _gru(rnn: GRU, cell: Cell) -> _CompiledCell:
    if rnn.reset_after:
        inputs = cell.weight.columns - cell.weight.rows
        four = apart(cell.weight, inputs)
        operands = (*four.operands, as_array(_biases_apart(cell)))
        step = reference.gru_after(four.reference)
        return _cell("GruAfter", cell, [four.cpp_type], operands, four.macs, step)
    reset_update, candidate = joint(cell.weight, slice(0, 2)), joint(cell.weight, slice(2, 3))
    operands = (*reset_update.operands, *candidate.operands, as_array(cell.gate_bias()))
    step = reference.gru_before(
        reset_update.reference, len(reset_update.operands), candidate.reference
    )
    types = [reset_update.cpp_type, candidate.cpp_type]
    return _cell("GruBefore", cell, types, operands, reset_update.macs + candidate.macs, step)


def _biases_apart(cell: Cell) -> torch.Tensor:
    """Return the biases of r, z, and of both parts of n, shape (4, hidden)."""
    total = cell.gate_bias()
    if cell.bias_ih is None or cell.bias_hh is None:
        return torch.cat([total, torch.zeros_like(total[:1])])
    of_x, of_h = (vector.view(3, -1)[2:] for vector in (cell.bias_ih, cell.bias_hh))
    return torch.cat([total[:2], of_x, of_h])


def _rnn(rnn: RNN, cell: Cell) -> _CompiledCell:
    if rnn.nonlinearity not in _PHI:
        raise TypeError(f"compile has no form for an RNN with {rnn.nonlinearity}")
    name, phi = _PHI[rnn.nonlinearity]
    gate = joint(cell.weight)
    operands = (*gate.operands, as_array(cell.gate_bias()))
    step = reference.rnn(gate.reference, phi)
    return _cell("Rnn", cell, [gate.cpp_type, name], operands, gate.macs, step)


def _fastrnn(rnn: Recurrent, cell: Cell) -> _CompiledCell:
    gate = joint(cell.weight)
    scalars = torch.stack([cell.get_parameter(name) for name in ("alpha", "beta")])
    scalars = torch.sigmoid(scalars.double()).to(scalars.dtype)
    operands = (*gate.operands, as_array(cell.gate_bias()), as_array(scalars))
    step = reference.fastrnn(gate.reference)
    return _cell("FastRnn", cell, [gate.cpp_type], operands, gate.macs, step)


_CELLS: Mapping[type[Recurrent], Callable[..., _CompiledCell]] = {
    LSTM: _lstm,
    GRU: _gru,
    RNN: _rnn,
    FastRNN: _fastrnn,
}


def _plain_layer(model: Classifier) -> Recurrent:
    """Return the layer; TypeError for all that computes something else than its compiled form."""
    rnn, head = model.rnn, model.head
    if type(rnn) not in _CELLS and type(rnn) not in _OF_TORCH:
        known = ", ".join(layer.__name__ for layer in _CELLS)
        raise TypeError(
            f"compile has no form for {type(rnn).__name__}; it takes {known} themselves"
        )
    if getattr(rnn, "proj_size", 0):
        raise TypeError(f"compile has no form for a projection, found proj_size={rnn.proj_size}")
    for module, plain in ((model, Classifier), (head, nn.Linear)):
        if type(module).forward is not plain.forward:
            raise TypeError(
                f"{type(module).__name__} has a forward of its own, which compile would ignore"
            )
    for name, module in model.named_modules():
        if module._forward_hooks or module._forward_pre_hooks:
            raise TypeError(
                f"{name or 'the model'} has forward hooks, which compile would ignore; remove them "
                f"first (after torch.nn.utils.prune: prune.remove makes the pruning permanent)"
            )
    for name, parameter in model.named_parameters():
        if parameter.is_meta:
            raise TypeError(f"{name} is on the meta device: it has no values to compile")
    return rnn if isinstance(rnn, Recurrent) else _OF_TORCH[type(rnn)].from_torch(rnn)


def _dtype(model: Classifier) -> np.dtype:
    dtypes = {parameter.dtype for parameter in model.parameters()}
    known = {torch.float32: np.float32, torch.float64: np.float64}
    if len(dtypes) != 1 or not dtypes <= known.keys():
        found = ", ".join(sorted(map(str, dtypes)))
        raise DtypeError(f"the parameters are {found}, but must all be float32 or all float64")
    return np.dtype(known[dtypes.pop()])
