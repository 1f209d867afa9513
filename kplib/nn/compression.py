"""A user's own model, with structured weights in its recurrent layers, and back."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, get_args

import torch
from torch import Tensor, nn

from kplib.nn.cell import Cell
from kplib.nn.gru import GRU
from kplib.nn.lstm import LSTM
from kplib.nn.recurrent import Recurrent, one_of, parameter_count
from kplib.nn.rnn import RNN
from kplib.nn.structures import Structure

Start = Literal["trained", "new"]

TORCH_LAYERS: Mapping[type[nn.RNNBase], type[Recurrent]] = {
    nn.LSTM: LSTM, nn.GRU: GRU, nn.RNN: RNN
}  # fmt: skip
"""The layers of `torch.nn` that kplib has, too."""


@dataclass(frozen=True)
class CompressedLayer:
    """What became of one recurrent layer.

    Attributes
    ----------
    name : str
        Its name in the model; empty if it is the model itself.
    cell : str
        ``"LSTM"``, ``"GRU"`` or ``"RNN"``.
    before, after : int
        Parameters, biases included.
    relative_errors : dict of str to float
        For each of its cells ||W - W'|| / ||W|| in the Frobenius norm, of all gates together; empty
        where the weights start anew.
    """

    name: str
    cell: str
    before: int
    after: int
    relative_errors: dict[str, float]


@dataclass(frozen=True)
class Compression:
    """What `compress` did.

    Attributes
    ----------
    model : torch.nn.Module
        The model, changed in place; a new layer where the model was one itself.
    layers : tuple of CompressedLayer
    before, after : int
        Parameters of the whole model.
    skipped : dict of str to str
        Recurrent layers of torch that were left as they are, by their names, and why: classes of
        the user's own, and layers with hooks (or `torch.nn.utils.weight_norm`, which is one).

    Examples
    --------
    >>> import torch
    >>> from kplib.nn import Kronecker, compress
    >>> done = compress(torch.nn.LSTM(10, 118), Kronecker())
    >>> done.after == sum(p.numel() for p in done.model.parameters())
    True
    >>> done.factor == done.before / done.after
    True
    """

    model: nn.Module
    layers: tuple[CompressedLayer, ...]
    before: int
    after: int
    skipped: dict[str, str] = field(default_factory=dict)

    @property
    def factor(self) -> float:
        """How many times fewer parameters the whole model has."""
        return self.before / self.after

    def __str__(self) -> str:
        rows = [
            (_place(each.name), each.cell, each.before, each.after, each.relative_errors)
            for each in self.layers
        ]
        width = max([len("whole model"), *(len(row[0]) for row in rows)])
        lines = [f"{'layer':{width}}  cell  {'before':>11}  {'after':>11}  factor  error"]
        for name, cell, before, after, errors in rows:
            error = f"{max(errors.values()):5.3f}" if errors else "  new"
            counts = f"{before:11,}  {after:11,}  {before / after:6.1f}"
            lines.append(f"{name:{width}}  {cell:4}  {counts}  {error}")
        whole = f"{self.before:11,}  {self.after:11,}  {self.factor:6.1f}"
        lines.append(f"{'whole model':{width}}        {whole}")
        lines += [f"left as it is: {_place(name)}, {why}" for name, why in self.skipped.items()]
        return "\n".join(lines)


def _place(name: str) -> str:
    return name or "(the model)"


def compress(model: nn.Module, weight: Structure, *, start: Start = "trained") -> Compression:
    """Swap every recurrent layer of a model for one whose gate matrices are structured.

    Parameters
    ----------
    model : torch.nn.Module
        Any module with `torch.nn.LSTM`, `torch.nn.GRU` or `torch.nn.RNN` layers; changed in place.
    weight : Structure
        How the gate matrices are made from now on: ``Kronecker()``, ``Hybrid(2)``,
        ``LowRank(4)``, ...
    start : {"trained", "new"}, optional
        ``"trained"``: as near to the trained matrices as the structure can come, in the Frobenius
        norm: nearest Kronecker product, truncated singular value decomposition, largest entries.
        ``"new"``: newly drawn. Biases are carried over with ``"trained"``.

    Returns
    -------
    Compression
        The model, and for each layer its parameters before and after and the relative error;
        ``print`` shows it as a table. Layers whose class is the user's own, or that have hooks,
        are left as they are, and named there.

    Raises
    ------
    ValueError
        If the model has no such layer that can be swapped, or one with a projection
        (``proj_size`` > 0).
    ShapeError
        If the structure is not defined for one of the layers; then nothing has been changed.

    Notes
    -----
    A small relative error is rare: trained matrices are seldom near a Kronecker product, so a
    model needs to be trained on, or anew (chapter 7 of the book). A layer that occurs twice in the
    model is swapped once. All parameters of the new layers require gradients, also where the old
    ones were frozen: they have to find their place. Cost: one singular value decomposition for each
    gate matrix.

    Papers: Van Loan and Pitsianis, "Approximation with Kronecker Products" (1993).

    Examples
    --------
    >>> import torch
    >>> from kplib.nn import Kronecker, compress
    >>> class Tagger(torch.nn.Module):
    ...     def __init__(self):
    ...         super().__init__()
    ...         self.rnn = torch.nn.LSTM(10, 118, batch_first=True)
    ...         self.out = torch.nn.Linear(118, 12)
    ...     def forward(self, x):
    ...         return self.out(self.rnn(x)[0])
    >>> model = Tagger()
    >>> result = compress(model, Kronecker())
    >>> result.before, result.after
    (62788, 4388)
    >>> model(torch.randn(100, 25, 10)).shape
    torch.Size([100, 25, 12])
    """
    one_of("start", start, get_args(Start))
    if not isinstance(weight, Structure):
        raise TypeError(f"weight must be a structure such as Kronecker(), found {weight!r}")
    layers = {name: m for name, m in model.named_modules() if isinstance(m, nn.RNNBase)}
    skipped = {name: why for name, layer in layers.items() if (why := _obstacle(layer))}
    found = [(name, layer) for name, layer in layers.items() if name not in skipped]
    if not found:
        left = "".join(f"; {_place(name)}: {why}" for name, why in skipped.items())
        raise ValueError(
            f"the model has no torch.nn.LSTM, torch.nn.GRU or torch.nn.RNN to compress{left}"
        )
    before = parameter_count(model)
    made = [_structured(name, layer, weight, start) for name, layer in found]
    model = _swapped(model, {layer: new for (_, layer), (new, _) in zip(found, made, strict=True)})
    after = parameter_count(model)
    return Compression(model, tuple(line for _, line in made), before, after, skipped)


def to_dense(model: nn.Module) -> nn.Module:
    """Swap every recurrent layer of kplib for the plain one of `torch.nn` with equal outputs.

    Parameters
    ----------
    model : torch.nn.Module
        Changed in place.

    Returns
    -------
    torch.nn.Module
        The model; a new layer where the model was one itself.

    Raises
    ------
    ValueError
        If a layer has no equal in `torch.nn` (FastRNN, a GRU with ``reset_after=False``, an RNN
        with modrelu); then nothing has been changed.

    Notes
    -----
    For `torch.export` and `torch.onnx`, which know torch's layers: an LSTM or GRU becomes one ONNX
    node a layer. The number of steps is that of the example, the batch may be dynamic. What is
    exported are the dense matrices; convert ``copy.deepcopy(model)`` to keep the factors. A layer
    that `torch.nn` has not is exported itself, its loop unrolled, with its factors.

    Examples
    --------
    >>> import copy
    >>> import torch
    >>> from kplib.nn import GRU, to_dense
    >>> model = torch.nn.Sequential(GRU(6, 8))
    >>> dense = to_dense(copy.deepcopy(model))
    >>> type(dense[0]) is torch.nn.GRU, type(model[0]) is GRU
    (True, True)
    >>> x = torch.randn(7, 2, 6)
    >>> torch.allclose(dense(x)[0], model(x)[0], atol=1e-6)
    True
    """
    layers = {m: m.to_torch() for m in model.modules() if isinstance(m, Recurrent)}
    return _swapped(model, layers)


def _obstacle(layer: nn.RNNBase) -> str:
    """Say what a swap would lose beside the parameters; nothing: an empty text."""
    if type(layer) not in TORCH_LAYERS:
        return f"a class of its own, {type(layer).__name__}"
    if layer._forward_hooks or layer._forward_pre_hooks or layer._backward_hooks:
        return "it has hooks"
    return "it has a forward of its own" if "forward" in vars(layer) else ""


def _structured(
    name: str, layer: nn.RNNBase, weight: Structure, start: Start
) -> tuple[Recurrent, CompressedLayer]:
    """Return the new layer, and what is to be said of it."""
    cls = TORCH_LAYERS[type(layer)]
    dense = cls.from_torch(layer)
    like = next(layer.parameters())
    options: dict[str, Any] = cls._options(layer) | {"bias": layer.bias}
    new = cls(**options, weight=weight, device=like.device, dtype=like.dtype).train(layer.training)
    errors = {}
    if start == "trained":
        for key, source, target in zip(
            new.cells, dense._cell_list(), new._cell_list(), strict=True
        ):
            errors[key] = target.weight.assign(source.weight.matrix().detach())
            _copy_biases(source, target)
    counts = parameter_count(layer), parameter_count(new)
    return new, CompressedLayer(name, cls.__name__, *counts, errors)


@torch.no_grad()
def _copy_biases(source: Cell, target: Cell) -> None:
    for name in ("bias_ih", "bias_hh"):
        vector: Tensor | None = getattr(source, name)
        if vector is not None:
            getattr(target, name).copy_(vector)


def _swapped(model: nn.Module, new: Mapping[Any, nn.Module]) -> nn.Module:
    """Put the new modules into the places of the old ones, everywhere; return the model."""
    for parent in list(model.modules()):
        # not named_children, which leaves out what stands there under a second name
        for name, child in list(parent._modules.items()):
            if child in new:
                setattr(parent, name, new[child])
    return new.get(model, model)
