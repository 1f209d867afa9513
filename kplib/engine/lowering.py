"""From a PyTorch classifier to a program: which C++ type, and the arrays that it is packed from."""

import numpy as np
import torch
from torch import nn

from kplib.engine.network import CompiledNetwork
from kplib.engine.reference import lstm_classifier
from kplib.errors import DtypeError
from kplib.kernels.program import Program, cpp_scalar
from kplib.nn import LSTM, Classifier
from kplib.nn.structures import DenseWeight, KroneckerWeight, Weight

_GATES = 4


def compile(model: Classifier, *, loader: str | None = None) -> CompiledNetwork:
    """Compile a classifier whole: all steps, activations and the head in one C++ call, batch 1.

    Every size but the number of steps is known to the compiler. The weights are copied: training
    the model further does not change the compiled network.

    Parameters
    ----------
    model : kplib.nn.Classifier
        Of a `kplib.nn.LSTM` (Dense or Kronecker) or a `torch.nn.LSTM`, one layer, one direction,
        float32 or float64.
    loader : {"cppyy", "compiler", "numpy"}, optional
        By default the first that works here; see `kplib.kernels.available`.

    Returns
    -------
    CompiledNetwork
        ``net(x)`` with x (steps, input) gives the logits (classes,). One step costs the gates'
        multiply-accumulates and 5 activations for each hidden unit.

    Raises
    ------
    TypeError
        If the model is not a `Classifier`, its layer has no compiled form, or a part of it is a
        subclass or has hooks, so that it computes something else.
    DtypeError
        If its parameters are neither float32 nor float64.

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
    rnn = _plain_lstm(model)
    dtype = _dtype(model)
    gates_type, gates_operands = _gates(rnn.weight, dtype)
    scalar = cpp_scalar(dtype)
    classes = model.head.out_features
    layer = f"kplib::Lstm<{scalar}, {rnn.input_size}, {rnn.hidden_size}, {gates_type}>"
    head_bias = np.zeros(classes, dtype) if model.head.bias is None else _array(model.head.bias)
    operands = (*gates_operands, _array(rnn.gate_bias()), _array(model.head.weight), head_bias)
    program = Program(
        cpp_type=f"kplib::Classifier<{scalar}, {classes}, {layer}>",
        header="kplib/network.hpp",
        dtype=dtype,
        x_shape=(rnn.input_size,),
        y_shape=(classes,),
        operands=tuple(operand.shape for operand in operands),
        macs=rnn.weight.macs,
        reference=lstm_classifier,
        sequence=True,
    )
    head_macs = model.head.in_features * classes
    parameters = sum(p.numel() for p in model.parameters())
    return CompiledNetwork(program, operands, loader, head_macs=head_macs, parameters=parameters)


def _plain_lstm(model: Classifier) -> LSTM:
    """Return the layer; TypeError for all that computes something else than its compiled form."""
    rnn, head = model.rnn, model.head
    if not (type(rnn) is LSTM or type(rnn) is nn.LSTM):
        raise TypeError(f"compile has no form for {type(rnn).__name__}; it takes an LSTM itself")
    projection = int(getattr(rnn, "proj_size", False))
    if rnn.num_layers != 1 or rnn.bidirectional or projection:
        raise TypeError(
            f"compile takes one layer and one direction, found num_layers={rnn.num_layers}, "
            f"bidirectional={rnn.bidirectional}, proj_size={projection}"
        )
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
    return rnn if isinstance(rnn, LSTM) else LSTM.from_torch(rnn)


def _gates(weight: Weight, dtype: np.dtype) -> tuple[str, tuple[np.ndarray, ...]]:
    """Return the C++ type of a layer's gate product, and its operands."""
    scalar = cpp_scalar(dtype)
    if type(weight) is KroneckerWeight:
        s = weight.shape
        name = f"kplib::KronGates<{scalar}, {_GATES}, {s.m1}, {s.n1}, {s.m2}, {s.n2}>"
        return name, (_array(weight.A), _array(weight.B))
    if type(weight) is DenseWeight:
        name = f"kplib::DenseGates<{scalar}, {_GATES}, {weight.rows}, {weight.columns}>"
        return name, (_array(weight.matrix()),)
    raise TypeError(f"compile has no form for weights of kind {weight.kind!r}")


def _array(tensor: torch.Tensor) -> np.ndarray:
    return np.ascontiguousarray(tensor.detach().cpu().numpy())


def _dtype(model: Classifier) -> np.dtype:
    dtypes = {parameter.dtype for parameter in model.parameters()}
    known = {torch.float32: np.float32, torch.float64: np.float64}
    if len(dtypes) != 1 or not dtypes <= known.keys():
        found = ", ".join(sorted(map(str, dtypes)))
        raise DtypeError(f"the parameters are {found}, but must all be float32 or all float64")
    return np.dtype(known[dtypes.pop()])
