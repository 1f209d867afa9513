"""Weights in few bits: what each structure stores, rounded to a grid, and training for that grid.

Symmetric, uniform quantization: a matrix W is stored as integers q from -(2^(b-1) - 1) to
2^(b-1) - 1 and one number s, its scale, and stands for s q. Zero is exact, so that what is pruned
stays pruned. It is the matrices *stored* that are quantized, the factors of a product and not the
product: nothing here knows more of a structure than which of its parameters are matrices.

`quantize` rounds a trained network. `prepare_qat` and `finish_qat` are for training one that is
rounded in every forward pass, so that it learns to live with it.
"""

import copy
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Generic, Literal, TypeVar, cast, get_args

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize

from kplib.nn.cell import Cell
from kplib.nn.structures import (
    ChainWeight,
    ComplexWeight,
    HybridWeight,
    KroneckerSumWeight,
    LowRankWeight,
    SparseWeight,
    SplitWeight,
    StackedKroneckerWeight,
    Weight,
)

__all__ = [
    "FakeQuantize",
    "GateError",
    "QuantizedModel",
    "QuantizedTensor",
    "Scheme",
    "finish_qat",
    "gate_errors",
    "prepare_qat",
    "product_error_bound",
    "quantize",
    "symmetric_levels",
]

Scales = Literal["matrix", "row"]
BITS = range(2, 9)  # of a symmetric grid: 1 bit would leave nothing but 0
SCALE_BYTES = 4

Number = TypeVar("Number", float, Tensor)
Model = TypeVar("Model", bound=nn.Module)


@dataclass(frozen=True)
class Scheme:
    """What is quantized, and how finely.

    Parameters
    ----------
    bits : int, default 8
        Of each number, from 2 to 8.
    scales : {"matrix", "row"}, default "matrix"
        One scale for each stored matrix (of each gate its factors A and B, of a low-rank weight U
        and V, ...), or one for each of its rows, which is more exact and takes more scales.
    biases : bool, default True
        Quantize the gates' biases too, with one scale a gate. The papers count them so.
    head : bool, default False
        Quantize the linear layers outside of the recurrent ones, weights and biases; the papers
        leave them in float32.

    Raises
    ------
    ValueError
        If the number of bits or the kind of scales is another.

    Examples
    --------
    >>> Scheme().largest, Scheme(bits=4).largest
    (127, 7)
    """

    bits: int = 8
    scales: Scales = "matrix"
    biases: bool = True
    head: bool = False

    def __post_init__(self) -> None:
        if isinstance(self.bits, bool) or self.bits not in BITS:
            raise ValueError(f"bits must be from {BITS[0]} to {BITS[-1]}, found {self.bits!r}")
        if self.scales not in get_args(Scales):
            known = " or ".join(repr(name) for name in get_args(Scales))
            raise ValueError(f"scales must be {known}, found {self.scales!r}")

    @property
    def largest(self) -> int:
        """The largest integer of the grid; the smallest is its negative."""
        return 2 ** (self.bits - 1) - 1


@dataclass(frozen=True, eq=False)
class QuantizedTensor:
    """A parameter as integers and scales.

    Parameters
    ----------
    values : Tensor of int8
        In the shape of the parameter; of the biases, (gates, numbers of a gate).
    scale : Tensor of float32
        One number for each matrix or row, with as many axes as `values`: ``values * scale``.
    bits : int
        How many of the 8 are used.
    shape : torch.Size
        Of the parameter.
    dtype : torch.dtype
        Of the parameter.
    stored : int
        Numbers that a device keeps: all, but of a pruned parameter those that are left.

    Examples
    --------
    >>> from kplib.nn import LSTM
    >>> A = quantize(LSTM(10, 118)).tensors["cells.l0.weight.A"]
    >>> A.values.dtype, A.values.shape, A.scale.shape
    (torch.int8, torch.Size([4, 59, 8]), torch.Size([4, 1, 1]))
    >>> A.nbytes, A.scale_nbytes
    (1888, 16)
    """

    values: Tensor
    scale: Tensor
    bits: int
    shape: torch.Size
    dtype: torch.dtype
    stored: int

    def dequantized(self) -> Tensor:
        """Return what the integers stand for, in the shape and dtype of the parameter."""
        return _on_grid(self.values, self.scale, self.dtype).view(self.shape)

    @property
    def nbytes(self) -> int:
        """Bytes of the integers, `bits` each, without gaps."""
        return math.ceil(self.stored * self.bits / 8)

    @property
    def scale_nbytes(self) -> int:
        """Bytes of the scales, float32."""
        return SCALE_BYTES * self.scale.numel()

    def error_bound(self) -> Tensor:
        """Return the most that rounding can have changed each scale's numbers, in Frobenius norm.

        Rounding moves a number by half a step at most, so N of them by scale / 2 * sqrt(N).

        Returns
        -------
        Tensor of float32
            In the shape of `scale`.
        """
        return self.scale / 2 * math.sqrt(self.values.numel() / self.scale.numel())


@dataclass(frozen=True, eq=False)
class QuantizedModel(Generic[Model]):
    """A network whose weights lie on a grid, and the integers that say where.

    Parameters
    ----------
    model : torch.nn.Module
        With the dequantized weights in place of the exact ones: what it computes is what the
        quantized network computes, up to the rounding of its sums.
    tensors : mapping of str to QuantizedTensor
        Of every parameter that is quantized, by its name in `model`.
    scheme : Scheme
        How it was done.

    Examples
    --------
    >>> from kplib.nn import LSTM
    >>> layer = LSTM(10, 118)
    >>> quantized = quantize(layer, bits=8)
    >>> quantized.nbytes < sum(4 * p.numel() for p in layer.parameters())
    True
    """

    model: Model
    tensors: Mapping[str, QuantizedTensor]
    scheme: Scheme

    @property
    def scale_nbytes(self) -> int:
        """Bytes of all scales."""
        return sum(tensor.scale_nbytes for tensor in self.tensors.values())

    @property
    def index_nbytes(self) -> int:
        """Bytes that say where the entries of pruned weights are."""
        sparse = (m for m in self.model.modules() if isinstance(m, SparseWeight))
        return sum(weight.index_bytes for weight in sparse)

    @property
    def nbytes(self) -> int:
        """Bytes a device keeps: integers, scales, positions, and all that was left in floats."""
        floats = sum(
            p.numel() * p.element_size()
            for name, p in self.model.named_parameters()
            if name not in self.tensors
        )
        integers = sum(tensor.nbytes for tensor in self.tensors.values())
        return integers + self.scale_nbytes + self.index_nbytes + floats


def quantize(
    model: Model,
    bits: int = 8,
    *,
    scales: Scales = "matrix",
    biases: bool = True,
    head: bool = False,
) -> QuantizedModel[Model]:
    """Round the weights of a trained network to a few bits.

    Parameters
    ----------
    model : torch.nn.Module
        A recurrent layer of kplib, a `Classifier`, or any module with such layers in it. It is left
        as it is.
    bits, scales, biases, head
        As of `Scheme`.

    Returns
    -------
    QuantizedModel
        A copy with rounded weights; integers and scales beside it.

    Raises
    ------
    ValueError
        If there is no recurrent layer of kplib, one of `torch.nn`, a parametrization, or a
        parameter that is not finite.

    See Also
    --------
    prepare_qat : train a network that is rounded.
    gate_errors : how far the gate matrices have moved.
    kplib.experiments.quantization : sizes as the papers count them; accuracy by bits.

    Notes
    -----
    The scale is max|w| / (2^(b-1) - 1): nothing is clipped, and no number moves by more than half a
    scale. A cell's own numbers, such as FastRNN's alpha and beta, are left in floats: a number that
    has its scale to itself saves nothing.

    Examples
    --------
    >>> from kplib.nn import LSTM, Hybrid
    >>> layer = LSTM(10, 118, weight=Hybrid(2), bias="one")
    >>> quantized = quantize(layer)
    >>> sorted(name.removeprefix("cells.l0.") for name in quantized.tensors)
    ['bias', 'weight.A', 'weight.B', 'weight.D']
    >>> x = torch.randn(25, 3, 10)
    >>> quantized.model(x)[0].shape
    torch.Size([25, 3, 118])
    >>> max(error.error for error in gate_errors(layer, quantized.model)) < 0.02
    True
    """
    scheme = Scheme(bits, scales, biases, head)
    model = copy.deepcopy(model)
    tensors = {}
    with torch.no_grad():
        for place in _places(model, scheme):
            tensor = place.grid.quantized(place.parameter)
            place.parameter.copy_(tensor.dequantized())
            tensors[place.name] = tensor
    return QuantizedModel(model, tensors, scheme)


def prepare_qat(
    model: Model,
    bits: int = 8,
    *,
    scales: Scales = "matrix",
    biases: bool = True,
    head: bool = False,
) -> Model:
    """Return a copy of a network that is rounded in every forward pass, to be trained.

    Its parameters stay exact floats. Where a layer reads one, it gets the rounded values of this
    moment, and the gradient with respect to these is given to the exact ones: the straight-through
    estimator. So the optimizer adds up small steps until they move a number to the next one of the
    grid.

    Parameters
    ----------
    model, bits, scales, biases, head
        As of `quantize`. Best a network that is trained already. A pruned one keeps its zeros.

    Returns
    -------
    torch.nn.Module
        Of the model's class. Any training loop can train it, that of
        `kplib.experiments.training.train` with ``network=lambda: prepare_qat(model, bits)``.

    Raises
    ------
    ValueError
        As of `quantize`: a model that is prepared already has a parametrization.

    See Also
    --------
    finish_qat : what is deployed.

    References
    ----------
    Bengio, Leonard and Courville, "Estimating or propagating gradients through stochastic neurons
    for conditional computation" (2013); Jacob et al., "Quantization and training of neural networks
    for efficient integer-arithmetic-only inference" (2018).

    Examples
    --------
    >>> from kplib.nn import LSTM
    >>> layer = LSTM(10, 118)
    >>> trained = prepare_qat(layer, bits=4)
    >>> x = torch.randn(25, 3, 10)
    >>> trained(x)[0].sum().backward()
    >>> torch.equal(trained(x)[0], finish_qat(trained).model(x)[0])
    True
    """
    scheme = Scheme(bits, scales, biases, head)
    model = copy.deepcopy(model)
    for place in list(_places(model, scheme)):
        parametrize.register_parametrization(place.module, place.attribute, place.grid)
    return model


def finish_qat(model: Model) -> QuantizedModel[Model]:
    """Return the quantized network that training a prepared one has led to.

    Parameters
    ----------
    model : torch.nn.Module
        From `prepare_qat`; it is left as it is, and can be trained on.

    Returns
    -------
    QuantizedModel
        With the very weights that the prepared model computes with, in ordinary layers.

    Raises
    ------
    ValueError
        If the model is not prepared.

    Examples
    --------
    >>> from kplib.nn import GRU
    >>> prepared = prepare_qat(GRU(10, 154), bits=4)
    >>> x = torch.randn(25, 1, 10)
    >>> torch.equal(finish_qat(prepared).model(x)[0], prepared(x)[0])
    True
    """
    schemes = [m.scheme for m in model.modules() if isinstance(m, FakeQuantize)]
    if not schemes:
        raise ValueError("the model is not prepared for training in few bits: prepare_qat does it")
    model = copy.deepcopy(model)
    for module in list(model.modules()):
        if parametrize.is_parametrized(module):
            _take_back(module)
    return quantize(model, **asdict(schemes[0]))


def _take_back(module: nn.Module) -> None:
    """Make the exact parameters ordinary ones again.

    Not by `remove_parametrizations`: a copy shares its class with what it was copied from, and that
    would take the parameters off both.
    """
    originals = {
        attribute: cast("nn.Parameter", steps.original)
        for attribute, steps in cast("nn.ModuleDict", module.parametrizations).items()
    }
    module.__class__ = parametrize.type_before_parametrizations(module)
    del module.parametrizations
    for attribute, parameter in originals.items():
        module.register_parameter(attribute, parameter)


class FakeQuantize(nn.Module):
    """The grid of one parameter: x -> scale * round(x / scale), with the gradient of x -> x.

    `torch.nn.utils.parametrize` calls it whenever a layer reads the parameter.

    Parameters
    ----------
    scheme : Scheme
        Says how many bits.
    view : sequence of int
        The shape in which the parameter is quantized, its matrices along the last axes.
    shared : int
        How many of the last axes share a scale.
    sparse : SparseWeight, optional
        Whose mask says which entries count.

    Examples
    --------
    >>> grid = FakeQuantize(Scheme(bits=3), view=(1, 4), shared=1)
    >>> x = torch.tensor([-3.0, 0.4, 0.6, 1.7], requires_grad=True)
    >>> y = grid(x)
    >>> y.tolist()
    [-3.0, 0.0, 1.0, 2.0]
    >>> y.backward(torch.tensor([1.0, 2.0, 3.0, 4.0]))
    >>> x.grad.tolist()
    [1.0, 2.0, 3.0, 4.0]
    """

    def __init__(
        self, scheme: Scheme, view: Sequence[int], shared: int, sparse: SparseWeight | None = None
    ) -> None:
        super().__init__()
        self.scheme = scheme
        self.view = tuple(view)
        self.shared = shared
        # in a tuple, for a module would be registered as a part of this one, and saved with it
        self._sparse = (sparse,)

    def forward(self, x: Tensor) -> Tensor:
        """Return the rounded values; d forward / d x counts as 1."""
        levels, scale = self._levels(x)
        rounded = _on_grid(levels, scale, x.dtype).view(x.shape)
        return rounded + (x - x.detach())  # which adds exactly 0, and the gradient

    def quantized(self, x: Tensor) -> QuantizedTensor:
        """Return the integers and scales of the values that `forward` returns."""
        levels, scale = self._levels(x)
        sparse = self._sparse[0]
        return QuantizedTensor(
            values=levels.to(torch.int8),
            scale=scale,
            bits=self.scheme.bits,
            shape=x.shape,
            dtype=x.dtype,
            stored=x.numel() if sparse is None else sparse.params,
        )

    def extra_repr(self) -> str:
        """State the grid."""
        return f"{self.scheme.bits} bits, {self.view}, one scale for the last {self.shared} axes"

    def _levels(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Return whole numbers, as floats, and their scales."""
        x = x.detach()
        sparse = self._sparse[0]
        if sparse is not None:
            x = x * sparse.mask
        x = x.reshape(self.view).to(torch.promote_types(x.dtype, torch.float32))
        return symmetric_levels(x, self.scheme.largest, self.shared)


def symmetric_levels(x: Tensor, largest: int, shared: int) -> tuple[Tensor, Tensor]:
    """Round to whole multiples of a scale: the one rule of this module.

    Parameters
    ----------
    x : Tensor of float32 or float64, at least one entry
        What is rounded, half to even.
    largest : int
        The largest whole number, 127 for 8 bits.
    shared : int
        How many of the last axes share a scale.

    Returns
    -------
    levels : Tensor, of x's shape and dtype
        Whole numbers from -largest to largest.
    scale : Tensor of float32
        max|x| / largest, or 1 where there are only zeros; the shared axes have length 1.

    Raises
    ------
    ValueError
        If x is float64, and a scale above or below what float32 can hold.

    Examples
    --------
    >>> levels, scale = symmetric_levels(torch.tensor([[-127.0, 0.4, 1.6]]), 127, shared=2)
    >>> levels.tolist(), scale.tolist()
    ([[-127.0, 0.0, 2.0]], [[1.0]])
    """
    exact = x.abs().amax(tuple(range(-shared, 0)), keepdim=True) / largest
    scale = exact.to(torch.float32)
    if x.dtype == torch.float64 and bool(((scale == 0) & (exact > 0) | scale.isinf()).any()):
        raise ValueError(
            f"entries of up to {float(x.abs().max()):g} need scales that float32 cannot hold"
        )
    scale = torch.where(scale > 0, scale, 1.0)  # of nothing but zeros any will do
    return torch.round(x / scale).clamp(-largest, largest), scale


def _on_grid(levels: Tensor, scale: Tensor, dtype: torch.dtype) -> Tensor:
    """Return levels * scale, computed in 32 bits at least, then in this dtype."""
    return (levels.to(torch.promote_types(dtype, torch.float32)) * scale).to(dtype)


# Where the parameters are -------------------------------------------------------------------------


@dataclass(frozen=True)
class _Place:
    """A parameter to be quantized."""

    name: str
    module: nn.Module
    attribute: str
    grid: FakeQuantize

    @property
    def parameter(self) -> nn.Parameter:
        return self.module.get_parameter(self.attribute)


def _places(model: nn.Module, scheme: Scheme) -> Iterator[_Place]:
    """Find all parameters of a scheme; those without an entry are none."""
    modules = dict(model.named_modules())
    for name, module in modules.items():
        if parametrize.is_parametrized(module):
            raise ValueError(
                f"{name or 'the model'} has a parametrization already; if it is prepare_qat's, "
                "finish_qat takes it off"
            )
        if isinstance(module, nn.RNNBase):
            raise ValueError(
                f"{name or 'the model'} is a torch.nn.{type(module).__name__}, which quantize does "
                f"not know: kplib.nn.{type(module).__name__}.from_torch copies it"
            )
    if not any(isinstance(module, Cell) for module in modules.values()):
        raise ValueError(f"{type(model).__name__} has no recurrent layer of kplib.nn")
    for name, module in modules.items():
        if isinstance(module, Cell):
            yield from _of_weight(_joined(name, "weight"), module.weight, scheme)
            if scheme.biases:
                yield from _of_biases(name, module, scheme)
        elif scheme.head and isinstance(module, nn.Linear):
            yield _matrix_place(name, module, "weight", scheme)
            if module.bias is not None:
                view = (1, module.out_features)
                yield _place(name, module, "bias", FakeQuantize(scheme, view, 1))


def _of_weight(name: str, weight: Weight, scheme: Scheme) -> Iterator[_Place]:
    """Find the matrices that a weight stores: the last two axes of each parameter."""
    for path, module in weight.named_modules():
        owner = weight.get_submodule(path.rpartition(".")[0])
        pairs = isinstance(owner, ChainWeight) and owner.is_complex and path.endswith("values")
        sparse = module if isinstance(module, SparseWeight) else None
        for attribute, parameter in module.named_parameters(recurse=False):
            if parameter.numel():
                yield _matrix_place(
                    _joined(name, path), module, attribute, scheme, pairs=pairs, sparse=sparse
                )


def _of_biases(name: str, cell: Cell, scheme: Scheme) -> Iterator[_Place]:
    """Find a cell's biases, a vector each, with one scale for each gate's part."""
    for attribute in ("bias", "bias_ih", "bias_hh"):
        vector = getattr(cell, attribute)
        if vector is not None:
            view = (cell.weight.gates, vector.numel() // cell.weight.gates)
            yield _place(name, cell, attribute, FakeQuantize(scheme, view, 1))


def _matrix_place(
    name: str,
    module: nn.Module,
    attribute: str,
    scheme: Scheme,
    *,
    pairs: bool = False,
    sparse: SparseWeight | None = None,
) -> _Place:
    """Return the place of matrices; `pairs`: of real and imaginary parts, which share a scale."""
    shape = module.get_parameter(attribute).shape
    shared = (2 if scheme.scales == "matrix" else 1) + pairs
    grid = FakeQuantize(scheme, shape, min(shared, len(shape)), sparse)
    return _place(name, module, attribute, grid)


def _place(name: str, module: nn.Module, attribute: str, grid: FakeQuantize) -> _Place:
    place = _Place(_joined(name, attribute), module, attribute, grid)
    bad = int((~torch.isfinite(place.parameter)).sum())
    if bad:
        raise ValueError(f"{place.name} has {bad} NaN or infinite entries")
    return place


def _joined(*names: str) -> str:
    return ".".join(filter(None, names))


# Errors -------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class GateError:
    """How far a gate's matrix is from the exact one.

    Parameters
    ----------
    cell : str
        Name of the layer and direction, such as "rnn.cells.l0".
    gate : int
        Which of its gates, from 0.
    error : float
        ||W' - W|| / ||W||, Frobenius norm.
    bound : float
        The most that it can be with the errors that the stored matrices have: `product_error_bound`
        of the factors', where the gate is a product; equal to `error` where it is stored as it is.

    Examples
    --------
    >>> from kplib.nn import LSTM
    >>> layer = LSTM(10, 118)
    >>> first = gate_errors(layer, quantize(layer).model)[0]
    >>> first.cell, first.gate, first.error <= first.bound
    ('cells.l0', 0, True)
    """

    cell: str
    gate: int
    error: float
    bound: float


def product_error_bound(norms: Sequence[Number], errors: Sequence[Number]) -> Number:
    r"""Return the most that a Kronecker product can change when its factors do.

    Parameters
    ----------
    norms : sequence of float or Tensor
        Of the factors, ||F_f||.
    errors : sequence of float or Tensor
        Of the factors, ||F_f' - F_f||.

    Returns
    -------
    float or Tensor
        prod(norms + errors) - prod(norms), a bound of the product's ||W' - W||.

    Notes
    -----
    Let A' = A + E and B' = B + G. The product is linear in each factor, so

        A' (x) B' - A (x) B = E (x) B + A (x) G + E (x) G,

    and ||X (x) Y|| = ||X|| ||Y||, both for the Frobenius and for the spectral norm, whose singular
    values are all the products of one of X and one of Y. By the triangle inequality

        ||A' (x) B' - A (x) B|| <= ||E|| ||B|| + ||A|| ||G|| + ||E|| ||G||
                                 = (||A|| + ||E||) (||B|| + ||G||) - ||A|| ||B||.

    More factors follow by induction. Divided by the norm of the product, with relative errors e_f,
    that is prod(1 + e_f) - 1: about the *sum* of the factors' relative errors, whatever the shapes.
    It is reached where each error is a positive multiple of its factor; the errors of rounding are
    nearly orthogonal to it and to each other, and then the relative error is about
    sqrt(e_1^2 + e_2^2). For an ordinary product U V the same holds as a bound, with
    ||X Y|| <= ||X|| ||Y|| in place of the equality, but relative to ||U|| ||V||, which may be far
    above ||U V||.

    Examples
    --------
    >>> round(product_error_bound([1.0, 1.0], [0.01, 0.02]), 6)
    0.0302
    >>> A, B = torch.randn(3, 4), torch.randn(5, 2)
    >>> norms, errors = [A.norm(), B.norm()], [0.1 * A.norm(), 0.1 * B.norm()]
    >>> error = (torch.kron(1.1 * A, 1.1 * B) - torch.kron(A, B)).norm()
    >>> torch.allclose(error, product_error_bound(norms, errors))
    True
    """
    if len(norms) != len(errors) or not norms:
        raise ValueError(f"{len(norms)} norms of factors, but {len(errors)} errors")
    before, after = norms[0], norms[0] + errors[0]
    for norm, error in zip(norms[1:], errors[1:], strict=True):
        before, after = before * norm, after * (norm + error)
    return after - before


@torch.no_grad()
def gate_errors(exact: nn.Module, near: nn.Module) -> list[GateError]:
    """Compare the gate matrices of two networks of one kind, such as before and after `quantize`.

    Parameters
    ----------
    exact, near : torch.nn.Module
        The same layers with the same structures.

    Returns
    -------
    list of GateError
        For each cell its gates; computed in double precision.

    Raises
    ------
    ValueError
        If their cells or the sizes of these are not the same.

    Examples
    --------
    >>> from kplib.nn import GRU
    >>> layer = GRU(10, 154)
    >>> errors = gate_errors(layer, quantize(layer, bits=4).model)
    >>> all(0.01 < error.error <= error.bound < 0.4 for error in errors)
    True
    """
    cells, others = _weights(exact), _weights(near)
    described = [
        {name: (w.kind, w.gates, w.rows, w.columns) for name, w in weights.items()}
        for weights in (cells, others)
    ]
    if described[0] != described[1]:
        raise ValueError(f"these are not networks of one kind: {described[0]} and {described[1]}")
    found = []
    for name, weight in cells.items():
        one, other = (copy.deepcopy(w).cpu().double() for w in (weight, others[name]))
        W = one.matrix()
        norms = _norms(W)
        errors, bounds = _norms(other.matrix() - W), _bounds(one, other)
        for gate, (norm, error, bound) in enumerate(zip(norms, errors, bounds, strict=True)):
            found.append(GateError(name, gate, _relative(error, norm), _relative(bound, norm)))
    return found


def _weights(model: nn.Module) -> dict[str, Weight]:
    return {name: m.weight for name, m in model.named_modules() if isinstance(m, Cell)}


def _relative(error: Tensor, norm: Tensor) -> float:
    return float(error / norm) if norm > 0 else (math.inf if error > 0 else 0.0)


def _norms(stack: Tensor) -> Tensor:
    """Return the Frobenius norm of each matrix, whatever axes are before."""
    return torch.linalg.vector_norm(stack, dim=(-2, -1))


def _bounds(one: Weight, other: Weight) -> Tensor:
    """Bound ||W' - W|| of each gate by the errors of what is stored."""
    match one, other:
        case SplitWeight(), SplitWeight():
            return torch.hypot(_bounds(one.input, other.input), _bounds(one.hidden, other.hidden))
        case ComplexWeight(), ComplexWeight():
            return torch.linalg.vector_norm(_bounds(one.parts, other.parts).view(-1, 2), dim=1)
        case HybridWeight(), HybridWeight():
            lower = _product_bounds((one.A, one.B), (other.A, other.B))
            return torch.hypot(_norms(other.D - one.D), lower)
        case KroneckerSumWeight(), KroneckerSumWeight():
            return _product_bounds(one._factors(), other._factors()).sum(1)
        case StackedKroneckerWeight(), StackedKroneckerWeight():
            stacks = range(len(one.stacks))
            sums = [_product_bounds(one._factors(k), other._factors(k)).sum(1) for k in stacks]
            return torch.cat([s.expand(n) for s, n in zip(sums, one.stacks, strict=True)])
        case LowRankWeight(), LowRankWeight():
            return _low_rank_bounds(one, other)
        case ChainWeight(), ChainWeight():
            return _product_bounds(one.factors, other.factors)
        case _:
            return _norms(other.matrix() - one.matrix())


def _product_bounds(factors: Sequence[Tensor], others: Sequence[Tensor]) -> Tensor:
    errors = [_norms(other - factor) for factor, other in zip(factors, others, strict=True)]
    return product_error_bound([_norms(factor) for factor in factors], errors)


def _low_rank_bounds(one: LowRankWeight, other: LowRankWeight) -> Tensor:
    """Bound by U' V' - U V = (U' - U) V' + U (V' - V), each with one factor's spectral norm."""
    of_gate = [k for k, size in enumerate(one.stacks) for _ in range(size)]
    V, near_V = one.V[of_gate], other.V[of_gate]
    of_U = _norms(other.U - one.U) * torch.linalg.matrix_norm(near_V, 2)
    return of_U + torch.linalg.matrix_norm(one.U, 2) * _norms(near_V - V)
