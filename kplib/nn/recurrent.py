"""What every recurrent layer does, whatever its cell: layouts, states, layers, directions.

A layer has one `Cell` (a weight and its biases) for each of its layers and directions, named as
`torch.nn` names them: ``l0``, ``l0_reverse``, ``l1``, ... A subclass says what one step does
(`Recurrent._step`) and which of torch's kernels does all steps at once, if there is one.
"""

import numbers
import warnings
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from typing import Any, ClassVar, Literal, Self, cast, get_args

import torch
from torch import Tensor, nn
from torch.autograd import forward_ad
from torch.nn.utils.rnn import PackedSequence

from kplib._checks import positive_integer
from kplib.errors import DtypeError, ShapeError
from kplib.nn.cell import NO_SCALARS, Bias, Cell
from kplib.nn.products import MatrixProducts, Products, factor_products
from kplib.nn.steps import Steps
from kplib.nn.structures import Dense, Kronecker, SparseWeight, Structure, Weight

Method = Literal["auto", "fused", "factors"]
State = tuple[Tensor, ...]

DEFAULT_WEIGHT = Kronecker()

# Multiplications a step must save, for each thread, before the loop on the factors overtakes what
# the product is for: torch's kernel; the same against a loop in buffers (`lstm_loop`); a loop, too.
# Measured: forward and backward, CPU, float32, 1 and 2 threads.
SAVING_AGAINST_KERNEL = 10_000_000
SAVING_IN_PLACE = 3_000_000
SAVING_AGAINST_LOOP = 1_000_000

# What one entry of a product costs to form, gradient included, in multiplications of a step.
FORMING_MACS = 30

# What autocast converts by itself.
AUTOCAST_DTYPES = (torch.float32, torch.float16, torch.bfloat16)


def parameter_count(module: nn.Module) -> int:
    """Count the parameters of a module, each shared one once, pruned ones not at all.

    Parameters
    ----------
    module : torch.nn.Module
        A layer, a weight, a whole network.

    Returns
    -------
    int
        Numbers stored; times 4 bytes, over 1024, these are the KB of the papers' tables.

    Examples
    --------
    >>> import torch
    >>> from kplib.nn import parameter_count
    >>> parameter_count(torch.nn.Linear(40, 10)) == 40 * 10 + 10
    True
    """
    stored = sum(p.numel() for p in module.parameters())
    sparse = (m for m in module.modules() if isinstance(m, SparseWeight))
    return stored - sum(weight.W.numel() - weight.params for weight in sparse)


class Recurrent(nn.Module, ABC):
    """Base of the recurrent layers; see `LSTM` for the parameters.

    A subclass sets how many gate matrices its cell has (``gates``), how many of them multiply the
    same vector (``stacks``, which sum up to the gates), how many tensors its state has
    (``states``), what its gates' biases start with if there is one vector a gate
    (``initial_bias``), the cell's own trained numbers (``initial_scalars``) and vectors
    (``initial_vectors``), and whether it has a complex form (``complex_state``).
    """

    gates: ClassVar[int]
    states: ClassVar[int] = 1
    initial_bias: ClassVar[tuple[float, ...]]
    initial_scalars: ClassVar[Mapping[str, float]] = NO_SCALARS
    complex_state: ClassVar[bool] = False
    torch_class: ClassVar[type[nn.RNNBase] | None] = None

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        num_layers: int = 1,
        bias: Bias = True,
        batch_first: bool = False,
        dropout: float = 0.0,
        bidirectional: bool = False,
        proj_size: int = 0,
        *,
        weight: Structure = DEFAULT_WEIGHT,
        method: Method = "auto",
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        super().__init__()
        self.input_size = positive_integer("input_size", input_size)
        self.hidden_size = positive_integer("hidden_size", hidden_size)
        self.num_layers = positive_integer("num_layers", num_layers)
        self.bias = one_of("bias", bias, (True, False, "one"))
        self.batch_first = batch_first
        # The warning names the line that makes the layer: classes below may have an __init__, too.
        inits = sum(
            "__init__" in vars(one) for one in type(self).__mro__ if issubclass(one, Recurrent)
        )
        self.dropout = _probability(dropout, num_layers, stacklevel=2 + inits)
        self.bidirectional = bidirectional
        if proj_size != 0:
            raise ValueError(f"proj_size is {proj_size!r}, but must be 0: there is no projection")
        self.proj_size = 0
        self.method: Method = one_of("method", method, get_args(Method))
        if not isinstance(weight, Structure):
            raise TypeError(
                f"weight must be a structure such as Dense() or Kronecker(), found {weight!r}"
            )
        if weight.is_complex and not self.complex_state:
            raise ValueError(
                f"{type(self).__name__} has no complex form: a complex weight, such as {weight}, "
                f"needs an RNN, whose state is complex then"
            )
        self.cells = nn.ModuleDict()
        for layer in range(self.num_layers):
            width = self.input_size if layer == 0 else self.directions * self.hidden_size
            for suffix in ("", "_reverse")[: self.directions]:
                built = weight.build(
                    self.gates, self.hidden_size, width + self.hidden_size,
                    stacks=self.stacks, device=device, dtype=dtype,
                )  # fmt: skip
                self.cells[f"l{layer}{suffix}"] = Cell(
                    built, self.bias, self.initial_bias, self.initial_scalars,
                    self.initial_vectors, device=device, dtype=dtype,
                )  # fmt: skip

    @property
    def stacks(self) -> tuple[int, ...]:
        """How many gate matrices multiply the same vector, and so can be treated as one."""
        return (self.gates,)

    @property
    def directions(self) -> int:
        """2 if bidirectional, else 1."""
        return 2 if self.bidirectional else 1

    @property
    def is_complex(self) -> bool:
        """Whether state and output are complex: those of an RNN with a complex weight."""
        return self._cell_list()[0].weight.is_complex

    @property
    def weight(self) -> Weight:
        """The built weight of the only cell; where there are several cells, an error.

        Its ``kind`` says what it is; ``matrix()`` gives the stack (gates, hidden, input + hidden),
        and a Kronecker weight has ``A``, ``B`` and ``shape``.
        """
        return self._only_cell().weight

    def gate_bias(self) -> Tensor:
        """Return the only cell's biases, summed: shape (gates, hidden), zeros if there are none."""
        return self._only_cell().gate_bias()

    def reset_parameters(self) -> None:
        """Draw new initial values of all weights and biases from torch's generator."""
        for cell in self._cell_list():
            cell.reset_parameters()

    def flatten_parameters(self) -> None:
        """Do nothing: in `torch.nn` it packs the weights for cuDNN, and here they are made anew."""

    def forward(
        self, input: Tensor | PackedSequence, hx: Tensor | State | None = None
    ) -> tuple[Tensor | PackedSequence, Tensor | State]:
        """Run the layer over a sequence; arguments and results are those of `torch.nn`."""
        steps = self._steps(input)
        initial = self._initial_state(steps, hx, input)
        finals: list[State] = []
        for layer in range(self.num_layers):
            outputs = []
            for direction in range(self.directions):
                k = len(finals)
                state = tuple(s[k] for s in initial)
                output, final = self._run(
                    self._cell_list()[k], steps, state, reverse=direction == 1
                )
                outputs.append(output.data)
                finals.append(final)
            data = torch.cat(outputs, -1) if self.bidirectional else outputs[0]
            if self.dropout and layer < self.num_layers - 1:
                data = _dropout(data, self.dropout, self.training)
            steps = steps.with_data(data)
        state = tuple(torch.stack(parts) for parts in zip(*finals, strict=True))
        result, state = self._as_given(steps.data, state, input)
        return result, state if self.states > 1 else state[0]

    def extra_repr(self) -> str:
        """Describe the layer with the arguments that differ from the defaults, and its size."""
        options = {
            "num_layers": (self.num_layers, 1),
            "bias": (self.bias, True),
            "batch_first": (self.batch_first, False),
            "dropout": (self.dropout, 0.0),
            "bidirectional": (self.bidirectional, False),
            "method": (self.method, "auto"),
        }
        changed = [f"{k}={v!r}" for k, (v, default) in options.items() if v != default]
        sizes = [str(self.input_size), str(self.hidden_size)]
        return ", ".join([*sizes, *changed]) + f"; {parameter_count(self)} parameters"

    # what a cell adds

    @property
    def initial_vectors(self) -> Mapping[str, float]:
        """The cell's own trained vectors, of hidden numbers each, with what they start with."""
        return NO_SCALARS

    @abstractmethod
    def _step(self, products: Products, constants: Any, step: int, state: State) -> State:
        """Return the next state, features first: (hidden, batch). Its first tensor is the output.

        ``products`` multiplies by the gate matrices, ``constants`` is what `_constants` returned.
        """

    def _constants(self, cell: Cell) -> Any:
        """Return what every step needs beside the products: the biases, (gates, hidden, 1)."""
        return cell.gate_bias().unsqueeze(-1)

    def _kernel(self) -> Callable[..., Any] | None:
        """Return torch's kernel for all steps of one layer and direction; None: there is none."""
        return None

    def _saving_that_pays(self, cell: Cell, steps: Steps) -> int:
        """Return the multiplications a step must save for the loop on the factors to pay."""
        return SAVING_AGAINST_LOOP if self._kernel() is None else SAVING_AGAINST_KERNEL

    # the rest is shared

    def _run(self, cell: Cell, steps: Steps, state: State, *, reverse: bool) -> tuple[Steps, State]:
        if reverse:
            steps = steps.reversed()
        run = self._fused if self._chosen_method(cell, steps) == "fused" else self._loop
        output, final = run(cell, steps, state)
        if self._autocasts(steps.data.device):  # to what torch's kernel returns
            dtype = torch.get_autocast_dtype(steps.data.device.type)
            output = output.with_data(output.data.to(dtype))
            final = tuple(s.to(dtype) for s in final)
        return (output.reversed() if reverse else output), final

    def _chosen_method(self, cell: Cell, steps: Steps) -> Literal["fused", "factors"]:
        if self.method != "auto":
            return self.method
        saving = self._saving_that_pays(cell, steps)
        device = steps.data.device
        return choose_method(cell.weight, steps.batch, len(steps), device, saving=saving)

    def _fused(self, cell: Cell, steps: Steps, state: State) -> tuple[Steps, State]:
        """Form the gate matrices once, then take torch's kernel, or the loop if there is none."""
        kernel = self._kernel()
        if kernel is None:
            return self._loop(cell, steps, state, MatrixProducts)
        W = cell.weight.matrix().flatten(0, 1)
        weights = W.split((W.shape[1] - self.hidden_size, self.hidden_size), dim=1)
        biases = cell.bias_pair()
        states = [s.unsqueeze(0) for s in state]
        hx = states if self.states > 1 else states[0]
        one_layer = (hx, [*weights, *biases], bool(biases), 1, 0.0, self.training, False)
        if steps.sizes is None:
            output, *final = kernel(steps.data, *one_layer, False)
        else:
            output, *final = kernel(steps.data, steps.sizes, *one_layer)
        return steps.with_data(output), tuple(s.squeeze(0) for s in final)

    def _loop(
        self,
        cell: Cell,
        steps: Steps,
        state: State,
        products_type: Callable[[Weight, Steps], Products] = factor_products,
    ) -> tuple[Steps, State]:
        """Take one step after the other; sequences that end leave the batch."""
        products = products_type(cell.weight, steps)
        constants = self._constants(cell)
        state = tuple(s.T for s in state)
        outputs, ended = [], []
        for step in range(len(steps)):
            running = steps.batch_at(step)
            if running < state[0].shape[1]:
                ended.append(tuple(s[:, running:] for s in state))
                state = tuple(s[:, :running] for s in state)
            state = self._step(products, constants, step, state)
            outputs.append(state[0])
        parts = zip(state, *reversed(ended), strict=True)
        return steps.join(outputs), tuple(torch.cat(columns, 1).T for columns in parts)

    def _dtype(self) -> torch.dtype:
        return next(self.parameters()).dtype

    def _state_dtype(self) -> torch.dtype:
        """Return the parameters' dtype, or the complex one made of two of them."""
        dtype = self._dtype()
        # not dtype.to_complex(), which torch.compile cannot trace
        return torch.promote_types(dtype, torch.complex32) if self.is_complex else dtype

    def _autocasts(self, device: torch.device) -> bool:
        """Whether autocast is on and applies: it leaves float64 alone."""
        return (
            torch.amp.is_autocast_available(device.type)  # the meta device has none
            and torch.is_autocast_enabled(device.type)
            and self._dtype() != torch.float64
        )

    def _require_dtype(self, name: str, tensor: Tensor, dtype: torch.dtype) -> None:
        if tensor.dtype == dtype:
            return
        if dtype.is_complex:
            raise DtypeError(f"{name} is {tensor.dtype}, but the state is {dtype}")
        if not self._autocasts(tensor.device):
            raise DtypeError(f"{name} is {tensor.dtype}, but the parameters are {dtype}")
        if tensor.dtype not in AUTOCAST_DTYPES:
            known = ", ".join(str(d) for d in AUTOCAST_DTYPES)
            raise DtypeError(f"{name} is {tensor.dtype}, but autocast takes {known}")

    def _cell_list(self) -> list[Cell]:
        return cast("list[Cell]", list(self.cells.values()))

    def _only_cell(self) -> Cell:
        if len(self.cells) > 1:
            raise ValueError(
                f"this layer has {len(self.cells)} cells, not one: read layer.cells[name], "
                f"with a name of {', '.join(self.cells)}"
            )
        return self._cell_list()[0]

    def _steps(self, input: Tensor | PackedSequence) -> Steps:
        """Return the checked input, time first, with a batch."""
        packed = isinstance(input, PackedSequence)
        data = input.data if isinstance(input, PackedSequence) else input
        if not isinstance(data, Tensor):
            raise TypeError(
                f"input must be a torch.Tensor or a PackedSequence, found {type(input).__name__}"
            )
        if not packed and data.dim() not in (2, 3):
            raise ShapeError(
                f"input has {data.dim()} axes, shape {tuple(data.shape)}, but needs 3 "
                f"({'batch, steps' if self.batch_first else 'steps, batch'}, input_size), or "
                f"2 (steps, input_size)"
            )
        if data.shape[-1] != self.input_size:
            raise ShapeError(
                f"input has {data.shape[-1]} features a step, shape {tuple(data.shape)}, "
                f"but input_size is {self.input_size}"
            )
        self._require_dtype("input", data, self._dtype())
        if isinstance(input, PackedSequence):
            return Steps(data, input.batch_sizes)
        if data.dim() == 2:
            data = data.unsqueeze(1)
        elif self.batch_first:
            data = data.transpose(0, 1)
        if data.shape[0] == 0:
            raise ShapeError("input has 0 steps, but needs at least 1")
        return Steps(data)

    def _initial_state(
        self, steps: Steps, hx: Tensor | State | None, input: Tensor | PackedSequence
    ) -> State:
        """Return the checked initial state: tensors (layers * directions, batch, hidden)."""
        cells, batch = len(self.cells), steps.batch
        if hx is None:
            dtype = self._state_dtype()
            zeros = steps.data.new_zeros(
                cells, batch, self.hidden_size, dtype=dtype if dtype.is_complex else None
            )
            return (zeros,) * self.states
        state = _tensors(hx)
        if len(state) != self.states:
            raise ShapeError(
                f"hx has {len(state)} tensors, but the state of {type(self).__name__} "
                f"has {self.states}"
            )
        batched = isinstance(input, PackedSequence) or input.dim() == 3
        expected = (cells, batch, self.hidden_size) if batched else (cells, self.hidden_size)
        for k, s in enumerate(state):
            if tuple(s.shape) != expected:
                raise ShapeError(
                    f"initial state {k} has shape {tuple(s.shape)}, but needs {expected}: "
                    f"(layers * directions, {'batch, ' if batched else ''}hidden_size)"
                )
            self._require_dtype(f"initial state {k}", s, self._state_dtype())
        if isinstance(input, PackedSequence):
            return _in_order(state, input.sorted_indices)
        return state if batched else tuple(s.unsqueeze(1) for s in state)

    def _as_given(
        self, data: Tensor, state: State, input: Tensor | PackedSequence
    ) -> tuple[Tensor | PackedSequence, State]:
        """Return output and final state in the layout of the input."""
        if isinstance(input, PackedSequence):
            packed = PackedSequence(
                data, input.batch_sizes, input.sorted_indices, input.unsorted_indices
            )
            return packed, _in_order(state, input.unsorted_indices)
        if input.dim() == 2:
            return data.squeeze(1), tuple(s.squeeze(1) for s in state)
        return (data.transpose(0, 1) if self.batch_first else data), state

    # to and from torch.nn

    @classmethod
    def from_torch(cls, layer: nn.RNNBase, *, method: Method = "auto") -> Self:
        """Copy a layer of `torch.nn` into this class with `Dense` weights, exactly.

        Parameters
        ----------
        layer : torch.nn.LSTM, torch.nn.GRU or torch.nn.RNN
            That of this class's name; any number of layers and directions; ``proj_size`` must be 0.
        method : {"auto", "fused", "factors"}, optional
            As in the constructor.

        Returns
        -------
        Recurrent
            A copy with the same outputs, on the same device, in the same mode (train or eval);
            what is frozen stays so (one matrix here are two there: frozen if both are).

        Raises
        ------
        TypeError
            If `layer` is not of `torch.nn`'s class of the same name.
        ValueError
            If it has a projection (``proj_size`` > 0), which kplib's layers have not.

        Examples
        --------
        >>> import torch
        >>> from kplib.nn import GRU
        >>> theirs = torch.nn.GRU(3, 5)
        >>> ours = GRU.from_torch(theirs)
        >>> x = torch.randn(7, 2, 3)
        >>> torch.equal(ours(x)[0], theirs(x)[0])
        True
        """
        if cls.torch_class is None:
            raise TypeError(f"torch.nn has no {cls.__name__} to copy from")
        name = cls.torch_class.__name__
        if not isinstance(layer, cls.torch_class):
            raise TypeError(f"from_torch takes a torch.nn.{name}, found {type(layer).__name__}")
        if layer.proj_size:
            raise ValueError(
                f"proj_size is {layer.proj_size}, but kplib's {name} has no projection"
            )
        like = next(layer.parameters())
        # built without storage, so that nothing is drawn from torch's generator
        copy = cls(
            **cls._options(layer), bias=layer.bias, weight=Dense(), method=method,
            device="meta", dtype=like.dtype,
        ).to_empty(device=like.device)  # fmt: skip
        with torch.no_grad():
            for name, cell in zip(copy.cells, copy._cell_list(), strict=True):
                blocks = [getattr(layer, f"weight_{k}_{name}") for k in ("ih", "hh")]
                W = cell.weight.matrix()
                W.copy_(torch.cat(blocks, 1).view_as(W))
                cell.weight.requires_grad_(any(block.requires_grad for block in blocks))
                if layer.bias:
                    for k in ("bias_ih", "bias_hh"):
                        vector = getattr(layer, f"{k}_{name}")
                        getattr(cell, k).copy_(vector).requires_grad_(vector.requires_grad)
        return copy.train(layer.training)

    def to_torch(self) -> nn.RNNBase:
        """Return the layer of `torch.nn` with equal outputs; its matrices are formed here.

        Returns
        -------
        torch.nn.LSTM, torch.nn.GRU or torch.nn.RNN
            Of the same device, dtype and mode; what is frozen stays so. One bias a gate becomes
            PyTorch's first, its second is 0.

        Raises
        ------
        ValueError
            If torch.nn has no such layer: a FastRNN, a GRU with ``reset_after=False``, or an RNN
            with modrelu.

        Examples
        --------
        >>> import torch
        >>> from kplib.nn import LSTM
        >>> ours = LSTM(6, 8)
        >>> theirs = ours.to_torch()
        >>> x = torch.randn(7, 2, 6)
        >>> torch.allclose(ours(x)[0], theirs(x)[0], atol=1e-6)
        True
        """
        if self.torch_class is None or self._kernel() is None:
            raise ValueError(
                f"torch.nn has no layer that computes what this {type(self).__name__} computes; "
                "torch.export and torch.onnx take the layer itself"
            )
        like = next(self.parameters())
        layer = self.torch_class(
            **self._options(self), bias=bool(self.bias), device="meta", dtype=like.dtype
        ).to_empty(device=like.device)
        with torch.no_grad():
            for name, cell in zip(self.cells, self._cell_list(), strict=True):
                W = cell.weight.matrix().flatten(0, 1)
                trained = any(p.requires_grad for p in cell.weight.parameters())
                columns = (W.shape[1] - self.hidden_size, self.hidden_size)
                for k, block in zip(("ih", "hh"), W.split(columns, dim=1), strict=True):
                    getattr(layer, f"weight_{k}_{name}").copy_(block).requires_grad_(trained)
                for k, vector in zip(("ih", "hh"), cell.bias_pair(), strict=False):
                    trained = (vector if cell.bias is None else cell.bias).requires_grad
                    getattr(layer, f"bias_{k}_{name}").copy_(vector).requires_grad_(trained)
        return layer.train(self.training)

    @classmethod
    def _options(cls, layer: "nn.RNNBase | Recurrent") -> dict[str, Any]:
        """Return the constructor's arguments that this class and torch's have in common."""
        names = ("input_size", "hidden_size", "num_layers", "batch_first", "dropout")
        return {name: getattr(layer, name) for name in (*names, "bidirectional")}


def choose_method(
    weight: Weight,
    batch: int,
    steps: int,
    device: torch.device,
    *,
    saving: int = SAVING_AGAINST_KERNEL,
) -> Literal["fused", "factors"]:
    """Choose between the fused kernel on the product and the loop on the factors.

    The loop saves multiplications, but pays for a dozen calls at every step. It is chosen where
    one step of the whole batch saves more than `saving` multiplications for each of torch's
    threads. Forming the product counts as 30 multiplications an entry, once for all steps:

        dense = gates * rows * columns
        batch * (dense - macs) + 30 * dense / steps > saving * torch.get_num_threads()

    where a complex multiplication counts as four. A weight that saves none is left alone.

    On anything but a CPU, where the calls cost more and the multiplications less, and under
    autocast, where the fused kernel multiplies in 16 bits, it is always the fused kernel. Under
    `torch.compile` it is always the loop: the compiler unrolls it, while (torch 2.13) it cannot
    differentiate through the fused CPU kernel in float32.

    Parameters
    ----------
    weight : Weight
        The built weight of one cell.
    batch, steps : int
        Sequences run side by side, and the steps of the longest.
    device : torch.device
        Where the input is.
    saving : int, optional
        1e7 against a kernel of torch's, which is the default; 3e6 if the loop is that of
        `kplib.nn.lstm_loop`; 1e6 where torch has no kernel, so that both are loops.

    Returns
    -------
    {"fused", "factors"}
        The method.

    Examples
    --------
    >>> import torch
    >>> from kplib.nn import Kronecker
    >>> from kplib.nn.recurrent import choose_method
    >>> cpu = torch.device("cpu")
    >>> small = Kronecker().build(gates=4, rows=118, columns=128)
    >>> choose_method(small, batch=100, steps=25, device=cpu) == "fused"
    True
    >>> large = Kronecker().build(gates=4, rows=1024, columns=2048, device="meta")
    >>> choose_method(large, batch=1024, steps=25, device=cpu) == "factors"
    True
    """
    if torch.compiler.is_compiling() or transforms_autograd():
        return "factors"
    dense = weight.gates * weight.rows * weight.columns * (4 if weight.is_complex else 1)
    saved = batch * (dense - weight.operator_macs)
    if saved > 0:
        saved += FORMING_MACS * dense // steps
    loops = device.type == "cpu" and not torch.is_autocast_enabled("cpu")
    pays = loops and saved > saving * torch.get_num_threads()
    return "factors" if pays else "fused"


def transforms_autograd() -> bool:
    """Whether `torch.func` or forward-mode differentiation is at work.

    Torch's kernels have no rules for them, nor has a gradient that is worked out by hand: then the
    steps are recorded one by one.

    Examples
    --------
    >>> transforms_autograd()
    False
    >>> torch.func.vmap(lambda x: x * transforms_autograd())(torch.ones(3))
    tensor([1., 1., 1.])
    """
    # No public name asks for either; torch.autograd.Function.apply asks for the first by this one.
    return torch._C._are_functorch_transforms_active() or forward_ad._current_level >= 0


def _in_order(state: State, indices: Tensor | None) -> State:
    """Return the state of a batch whose sequences stand in another order."""
    return state if indices is None else tuple(s.index_select(1, indices) for s in state)


def _dropout(data: Tensor, probability: float, training: bool) -> Tensor:
    """Zero entries as `torch.nn.functional.dropout` does, complex ones as a whole."""
    if not data.is_complex():
        return nn.functional.dropout(data, probability, training)
    return data * nn.functional.dropout(torch.ones_like(data.real), probability, training)


def _tensors(hx: object) -> State:
    """Return the state as a tuple, or raise a TypeError unless it is one tensor or several."""
    if isinstance(hx, Tensor):
        return (hx,)
    state = tuple(hx) if isinstance(hx, tuple | list) else (hx,)
    for part in state:
        if not isinstance(part, Tensor):
            found = ", ".join(type(each).__name__ for each in state)
            raise TypeError(f"hx must be None, a torch.Tensor or a tuple of them, found {found}")
    return cast("State", state)


def one_of(name: str, value: Any, allowed: tuple[Any, ...]) -> Any:
    """Return the value, or raise a ValueError that names those that are allowed."""
    # 1 == True and 0 == False, so compare types as well
    if not any(type(value) is type(a) and value == a for a in allowed):
        known = ", ".join(repr(a) for a in allowed)
        raise ValueError(f"{name} is {value!r}, but must be one of {known}")
    return value


def _probability(dropout: float, num_layers: int, stacklevel: int) -> float:
    known = isinstance(dropout, numbers.Real) and not isinstance(dropout, bool)
    if not (known and 0 <= dropout <= 1):
        raise ValueError(f"dropout is {dropout!r}, but must be a probability, from 0 to 1")
    if dropout and num_layers == 1:
        warnings.warn(
            f"dropout={dropout} has no effect with num_layers=1: it acts between layers",
            stacklevel=stacklevel,
        )
    return float(dropout)
