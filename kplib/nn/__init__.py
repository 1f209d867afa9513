"""PyTorch layers whose weight matrices are made from a few numbers.

A layer is a recurrent *cell* (`RNN`, `LSTM`, `GRU`, `FastRNN`) whose stack of gate matrices, of
shape (gates, hidden, input + hidden), is made by a weight *structure*: `Dense`, `Kronecker`,
`Hybrid`, `LowRank`, `Sparse` or `KroneckerChain`.

Layers are saved as any module, without pickle too: all parameters are real, and the masks of
`Sparse` are in the state.

>>> import torch
>>> from safetensors.torch import load, save
>>> from kplib.nn import LSTM, Sparse, prune
>>> trained, other = (LSTM(10, 118, weight=Sparse(0.1)) for _ in range(2))
>>> left = prune(trained, 0.1)
>>> other.load_state_dict(load(save(trained.state_dict())))
<All keys matched successfully>
>>> x = torch.randn(25, 1, 10)
>>> torch.equal(other(x)[0], trained(x)[0]) and other.weight.params == left
True

How to export a model with `torch.export` or to ONNX: `to_dense`.
"""

from kplib.errors import MissingExtraError

try:
    import torch  # noqa: F401  (only to give the error that names the extra)
except ModuleNotFoundError as error:
    if error.name != "torch":
        raise
    raise MissingExtraError("torch", "nn") from error

from kplib.nn.classifier import Classifier
from kplib.nn.compression import Compression, compress, to_dense
from kplib.nn.fastrnn import FastRNN
from kplib.nn.gru import GRU
from kplib.nn.lstm import LSTM
from kplib.nn.recurrent import parameter_count
from kplib.nn.rnn import RNN, modrelu
from kplib.nn.structures import (
    Dense,
    Hybrid,
    Kronecker,
    KroneckerChain,
    LowRank,
    MagnitudeSchedule,
    Sparse,
    csr_index_bytes,
    prune,
    unitary_penalty,
)

__all__ = [
    "GRU",
    "LSTM",
    "RNN",
    "Classifier",
    "Compression",
    "Dense",
    "FastRNN",
    "Hybrid",
    "Kronecker",
    "KroneckerChain",
    "LowRank",
    "MagnitudeSchedule",
    "Sparse",
    "compress",
    "csr_index_bytes",
    "modrelu",
    "parameter_count",
    "prune",
    "to_dense",
    "unitary_penalty",
]
