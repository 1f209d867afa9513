"""What every recurrent layer does, whatever its cell: layouts, states, layers, directions.

A layer has one `Cell` (a weight and its biases) for each of its layers and directions, named as
`torch.nn` names them: ``l0``, ``l0_reverse``, ``l1``, ... A subclass says what one step does
(`Recurrent._step`) and which fused kernel does all steps at once (`Recurrent._fused`).
"""

import numbers
import warnings
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from typing import Any, ClassVar, Literal, cast, get_args

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import PackedSequence

from kplib._checks import positive_integer
from kplib.errors import DtypeError, ShapeError
from kplib.nn.structures import Kronecker, Structure, Weight

Method = Literal["auto", "fused", "factors"]
Bias = Literal["one"] | bool
State = tuple[Tensor, ...]

DEFAULT_WEIGHT = Kronecker()

# Multiplications a step must save, for each thread, before the loop on the factors overtakes the
# fused kernel on the product. Measured: forward and backward, CPU, float32, 1 and 2 threads.
SAVING_PER_THREAD = 10_000_000

# What autocast converts by itself.
AUTOCAST_DTYPES = (torch.float32, torch.float16, torch.bfloat16)


def parameter_count(module: nn.Module) -> int:
    """Count the parameters of a module, each shared one once.

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
    return sum(p.numel() for p in module.parameters())


class Cell(nn.Module):
    """One layer in one direction: the weight of its gates and their biases.

    Parameters
    ----------
    weight : Weight
        The built weight, shape (gates, hidden, input + hidden).
    bias : bool or "one"
        True: two vectors, as in `torch.nn`; ``"one"``: one, as in the papers; False: none.
    initial_bias : sequence of float
        What ``bias="one"`` starts with, one number a gate.
    device, dtype : optional
        As in `torch.nn`.

    Attributes
    ----------
    weight : Weight
        The built weight.
    bias_ih, bias_hh : torch.nn.Parameter, shape (gates * hidden,)
        The two biases of ``bias=True``; else None.
    bias : torch.nn.Parameter, shape (gates * hidden,)
        The only bias of ``bias="one"``; else None.
    """

    bias: nn.Parameter | None
    bias_ih: nn.Parameter | None
    bias_hh: nn.Parameter | None

    def __init__(
        self,
        weight: Weight,
        bias: Bias,
        initial_bias: Sequence[float],
        *,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        super().__init__()
        self.weight = weight
        self.initial_bias = tuple(initial_bias)
        names = {True: ("bias_ih", "bias_hh"), "one": ("bias",), False: ()}[bias]
        for name in ("bias", "bias_ih", "bias_hh"):
            size = weight.gates * weight.rows
            vector = nn.Parameter(torch.empty(size, device=device, dtype=dtype))
            self.register_parameter(name, vector if name in names else None)
        self._reset_biases()

    def reset_parameters(self) -> None:
        """Draw new initial values of the weight and of the biases.

        Two biases start as in `torch.nn`, U(-k, k) with k = 1/sqrt(hidden); one bias starts as in
        the papers' TensorFlow, with a constant for each gate.
        """
        self.weight.reset_parameters()
        self._reset_biases()

    def _reset_biases(self) -> None:
        bound = self.weight.rows**-0.5
        for vector in (self.bias_ih, self.bias_hh):
            if vector is not None:
                nn.init.uniform_(vector, -bound, bound)
        if self.bias is not None:
            with torch.no_grad():
                per_gate = self.bias.view(self.weight.gates, self.weight.rows)
                per_gate.copy_(per_gate.new_tensor(self.initial_bias).unsqueeze(1))

    def gate_bias(self) -> Tensor:
        """Return the sum of the biases, shape (gates, hidden); zeros if there are none."""
        if self.bias is not None:
            total: Tensor = self.bias
        elif self.bias_ih is not None and self.bias_hh is not None:
            total = self.bias_ih + self.bias_hh
        else:
            total = next(self.weight.parameters()).new_zeros(self.weight.gates * self.weight.rows)
        return total.view(self.weight.gates, self.weight.rows)

    def bias_pair(self) -> list[Tensor]:
        """Return the biases as `torch.nn` wants them: two vectors (gates * hidden,), or none."""
        if self.bias is not None:
            return [self.bias, torch.zeros_like(self.bias)]
        return [vector for vector in (self.bias_ih, self.bias_hh) if vector is not None]


class Recurrent(nn.Module, ABC):
    """Base of the recurrent layers; see `LSTM` for the parameters.

    A subclass sets how many gate matrices its cell has (``gates``), how many tensors its state
    (``states``), and the constants its gates' biases start with if there is one vector a gate
    (``initial_bias``).
    """

    gates: ClassVar[int]
    states: ClassVar[int]
    initial_bias: ClassVar[tuple[float, ...]]

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
        self.bias = _one_of("bias", bias, (True, False, "one"))
        self.batch_first = batch_first
        self.dropout = _probability(dropout, num_layers)
        self.bidirectional = bidirectional
        if proj_size != 0:
            raise ValueError(f"proj_size is {proj_size!r}, but must be 0: there is no projection")
        self.proj_size = 0
        self.method: Method = _one_of("method", method, get_args(Method))
        if not isinstance(weight, Structure):
            raise TypeError(
                f"weight must be a structure such as Dense() or Kronecker(), found {weight!r}"
            )
        self.cells = nn.ModuleDict()
        for layer in range(self.num_layers):
            width = self.input_size if layer == 0 else self.directions * self.hidden_size
            for suffix in ("", "_reverse")[: self.directions]:
                built = weight.build(
                    self.gates, self.hidden_size, width + self.hidden_size,
                    device=device, dtype=dtype,
                )  # fmt: skip
                self.cells[f"l{layer}{suffix}"] = Cell(
                    built, self.bias, self.initial_bias, device=device, dtype=dtype
                )

    @property
    def directions(self) -> int:
        """2 if bidirectional, else 1."""
        return 2 if self.bidirectional else 1

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
        self, input: Tensor, hx: Tensor | State | None = None
    ) -> tuple[Tensor, Tensor | State]:
        """Run the layer over a sequence; arguments and results are those of `torch.nn`."""
        x, batched = self._time_major(input)
        initial = self._initial_state(x, hx, batched)
        finals: list[State] = []
        for layer in range(self.num_layers):
            outputs = []
            for direction in range(self.directions):
                k = len(finals)
                state = tuple(s[k] for s in initial)
                output, final = self._run(self._cell_list()[k], x, state, reverse=direction == 1)
                outputs.append(output)
                finals.append(final)
            x = torch.cat(outputs, -1) if self.bidirectional else outputs[0]
            if self.dropout and layer < self.num_layers - 1:
                x = nn.functional.dropout(x, self.dropout, self.training)
        state = tuple(torch.stack(parts) for parts in zip(*finals, strict=True))
        if not batched:
            x, state = x.squeeze(1), tuple(s.squeeze(1) for s in state)
        elif self.batch_first:
            x = x.transpose(0, 1)
        return x, state if self.states > 1 else state[0]

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

    @abstractmethod
    def _step(
        self, product: Callable[[Tensor], Tensor], bias: Tensor, x: Tensor, state: State
    ) -> State:
        """Return the next state; features first: x (input, batch), states (hidden, batch).

        ``product`` is the weight's operator, V (input + hidden, batch) -> (gates, hidden, batch),
        and ``bias`` has shape (gates, hidden, 1). The first tensor of a state is the output.
        """

    @abstractmethod
    def _fused(self, cell: Cell, x: Tensor, state: State) -> tuple[Tensor, State]:
        """Form the gate matrices once and run torch's kernel for all steps.

        x (steps, batch, input), states (batch, hidden) -> output (steps, batch, hidden), states.
        """

    # the rest is shared

    def _run(self, cell: Cell, x: Tensor, state: State, *, reverse: bool) -> tuple[Tensor, State]:
        if reverse:
            x = x.flip(0)
        method = self.method
        if method == "auto":
            method = choose_method(cell.weight, x.shape[1], x.device)
        run = self._fused if method == "fused" else self._loop
        output, final = run(cell, x, state)
        if self._autocasts(x.device):  # to what torch's kernel returns, as the loop keeps float32
            dtype = torch.get_autocast_dtype(x.device.type)
            output, final = output.to(dtype), tuple(s.to(dtype) for s in final)
        return (output.flip(0) if reverse else output), final

    def _loop(self, cell: Cell, x: Tensor, state: State) -> tuple[Tensor, State]:
        product = cell.weight.operator()
        bias = cell.gate_bias().unsqueeze(-1)
        state = tuple(s.T for s in state)
        outputs = []
        for x_t in x.transpose(1, 2).contiguous().unbind(0):
            state = self._step(product, bias, x_t, state)
            outputs.append(state[0])
        return torch.stack(outputs).transpose(1, 2), tuple(s.T for s in state)

    def _dtype(self) -> torch.dtype:
        return next(self.parameters()).dtype

    def _autocasts(self, device: torch.device) -> bool:
        """Whether autocast is on and applies: it leaves float64 alone."""
        return torch.is_autocast_enabled(device.type) and self._dtype() != torch.float64

    def _require_dtype(self, name: str, tensor: Tensor) -> None:
        dtype = self._dtype()
        if tensor.dtype == dtype:
            return
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

    def _time_major(self, input: Tensor) -> tuple[Tensor, bool]:
        """Return the checked input as (steps, batch, input), and whether it came with a batch."""
        if isinstance(input, PackedSequence):
            raise TypeError("PackedSequence is not supported: pass a padded tensor")
        if not isinstance(input, Tensor):
            raise TypeError(f"input must be a torch.Tensor, found {type(input).__name__}")
        if input.dim() not in (2, 3):
            raise ShapeError(
                f"input has {input.dim()} axes, shape {tuple(input.shape)}, but needs 3 "
                f"({'batch, steps' if self.batch_first else 'steps, batch'}, input_size), or "
                f"2 (steps, input_size)"
            )
        if input.shape[-1] != self.input_size:
            raise ShapeError(
                f"input has {input.shape[-1]} features a step, shape {tuple(input.shape)}, "
                f"but input_size is {self.input_size}"
            )
        self._require_dtype("input", input)
        batched = input.dim() == 3
        if not batched:
            input = input.unsqueeze(1)
        elif self.batch_first:
            input = input.transpose(0, 1)
        if input.shape[0] == 0:
            raise ShapeError("input has 0 steps, but needs at least 1")
        return input, batched

    def _initial_state(self, x: Tensor, hx: Tensor | State | None, batched: bool) -> State:
        """Return the checked initial state: tensors (layers * directions, batch, hidden)."""
        cells, batch = len(self.cells), x.shape[1]
        if hx is None:
            zeros = x.new_zeros(cells, batch, self.hidden_size)
            return (zeros,) * self.states
        state = _tensors(hx)
        if len(state) != self.states:
            raise ShapeError(
                f"hx has {len(state)} tensors, but the state of {type(self).__name__} "
                f"has {self.states}"
            )
        expected = (cells, batch, self.hidden_size) if batched else (cells, self.hidden_size)
        for k, s in enumerate(state):
            if tuple(s.shape) != expected:
                raise ShapeError(
                    f"initial state {k} has shape {tuple(s.shape)}, but needs {expected}: "
                    f"(layers * directions, {'batch, ' if batched else ''}hidden_size)"
                )
            self._require_dtype(f"initial state {k}", s)
        return state if batched else tuple(s.unsqueeze(1) for s in state)


def choose_method(weight: Weight, batch: int, device: torch.device) -> Literal["fused", "factors"]:
    """Choose between the fused kernel on the product and the loop on the factors.

    The loop saves multiplications, but pays for a dozen calls at every step. It is chosen where
    one step of the whole batch saves more than `SAVING_PER_THREAD` multiplications for each of
    torch's threads:

        batch * (gates * rows * columns - macs) > 1e7 * torch.get_num_threads()

    On anything but a CPU, where the calls cost more and the multiplications less, and under
    autocast, where the fused kernel multiplies in 16 bits, it is always the fused kernel. Under
    `torch.compile` it is always the loop: the compiler unrolls it, while (torch 2.13) it cannot
    differentiate through the fused CPU kernel in float32.

    Parameters
    ----------
    weight : Weight
        The built weight of one cell.
    batch : int
        Sequences run side by side.
    device : torch.device
        Where the input is.

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
    >>> choose_method(small, batch=100, device=cpu) == "fused"
    True
    >>> large = Kronecker().build(gates=4, rows=1024, columns=2048, device="meta")
    >>> choose_method(large, batch=1024, device=cpu) == "factors"
    True
    """
    if torch.compiler.is_compiling():
        return "factors"
    saved = batch * (weight.gates * weight.rows * weight.columns - weight.macs)
    loops = device.type == "cpu" and not torch.is_autocast_enabled("cpu")
    pays = loops and saved > SAVING_PER_THREAD * torch.get_num_threads()
    return "factors" if pays else "fused"


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


def _one_of(name: str, value: Any, allowed: tuple[Any, ...]) -> Any:
    # 1 == True and 0 == False, so compare types as well
    if not any(type(value) is type(a) and value == a for a in allowed):
        known = ", ".join(repr(a) for a in allowed)
        raise ValueError(f"{name} is {value!r}, but must be one of {known}")
    return value


def _probability(dropout: float, num_layers: int) -> float:
    known = isinstance(dropout, numbers.Real) and not isinstance(dropout, bool)
    if not (known and 0 <= dropout <= 1):
        raise ValueError(f"dropout is {dropout!r}, but must be a probability, from 0 to 1")
    if dropout and num_layers == 1:
        warnings.warn(
            f"dropout={dropout} has no effect with num_layers=1: it acts between layers",
            stacklevel=3,
        )
    return float(dropout)
