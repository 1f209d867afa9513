"""The LSTM layer, a drop-in for `torch.nn.LSTM` whose gate matrices may be structured."""

from collections.abc import Callable
from typing import Any, cast

import torch
from torch import Tensor, nn

from kplib.nn.cell import Cell
from kplib.nn.lstm_loop import lstm_loop, lstm_step
from kplib.nn.products import MatrixProducts, Products
from kplib.nn.recurrent import SAVING_IN_PLACE, Recurrent, State, transforms_autograd
from kplib.nn.steps import Steps
from kplib.nn.structures import KroneckerWeight


class LSTM(Recurrent):
    r"""A long short-term memory layer, called and returning as `torch.nn.LSTM`.

    With sigma the logistic function, * the entrywise product, and [x_t; h] the input on top of the
    last output, at each step:

    .. code-block:: text

        i = sigma(W_i [x_t; h] + b_i)        input gate
        f = sigma(W_f [x_t; h] + b_f)        forget gate
        g = tanh (W_g [x_t; h] + b_g)        candidate
        o = sigma(W_o [x_t; h] + b_o)        output gate
        c = f * c + i * g                    cell state
        h = o * tanh(c)                      output

    The four gate matrices, each (hidden, input + hidden), are made by `weight`; with
    ``Kronecker()``, the default, W_i = A_i (x) B_i and so on.

    Parameters
    ----------
    input_size : int
        Features of x_t.
    hidden_size : int
        Size of h and of c.
    num_layers : int, optional
        Layers on top of each other; the next one reads the output of the one below.
    bias : bool or "one", optional
        True: two vectors a gate, as in PyTorch; ``"one"``: one, as in the papers, which starts at
        0 and, for the forget gate, at 1; False: none.
    batch_first : bool, optional
        Whether input and output are (batch, steps, features) instead of (steps, batch, features).
    dropout : float, optional
        Probability with which an output between two layers is zeroed in training.
    bidirectional : bool, optional
        Whether a second set of cells reads the sequence from its end.
    proj_size : int, optional
        Only 0 is accepted: there is no projection. It is here because `torch.nn.LSTM` has it.
    weight : Structure, optional
        How the gate matrices are made: ``Kronecker()``, the default, ``Dense()``, ``Hybrid(rows)``,
        ``LowRank(rank)``, ``Sparse(density)`` or ``KroneckerChain(factors)``.
    method : {"auto", "fused", "factors"}, optional
        How the layer is computed. ``"fused"`` forms the gate matrices once a call and runs torch's
        own kernel; ``"factors"`` loops over the steps and multiplies by the factors, without the
        matrix. They agree up to rounding, gradients too. ``"auto"`` takes the loop on a CPU where
        one step of the batch saves over 3e6 multiplications for each thread (1e7 for another
        structure than `Kronecker`): the rule is that of `kplib.nn.recurrent.choose_method`.
    device, dtype : optional
        As in `torch.nn`.

    Attributes
    ----------
    cells : torch.nn.ModuleDict
        A `Cell` (``weight``, ``gate_bias()``) for each layer and direction, under PyTorch's names
        ``l0``, ``l0_reverse``, ``l1``, ...
    weight : Weight
        The built weight, where there is one cell only; ``gate_bias()`` gives its biases, summed.

    Raises
    ------
    ShapeError
        If a size is not a positive integer, or the structure is not defined for the gate matrices;
        in a call, if input or state have the wrong sizes.
    DtypeError
        If input or state are of another dtype than the parameters; under autocast, of one that it
        does not convert.
    ValueError
        If another option is not among those above; the message names it.
    TypeError
        If the weight is no structure; in a call, if input or state are no tensors, or packed.

    Notes
    -----
    One step of one sequence takes ``weight.macs`` multiplications for the gates. ``"factors"`` can
    be differentiated twice, and stores the activations of every step:
    O(steps * batch * (gates * hidden + input)) numbers. For `Kronecker` its gradient is worked out
    by hand (`kplib.nn.lstm_loop`); for the other structures, for packed sequences, under autocast
    and `torch.compile` it is autograd's. Under `torch.autocast` output
    and state are of autocast's dtype, as torch's are, whatever the method; the loop of
    ``"factors"`` multiplies in 16 bits and keeps the state in float32 between the steps.

    Papers: gates as in the appendix of "Compressing RNNs for IoT devices by 15-38x using
    Kronecker Products": no peepholes, Kronecker products of each gate's [W_x W_h].

    Examples
    --------
    The papers' keyword-spotting LSTM, 25 steps of 10 features, 100 sequences:

    >>> import torch
    >>> from kplib.nn import LSTM, Dense, parameter_count
    >>> lstm = LSTM(10, 118, bias="one")
    >>> output, (h, c) = lstm(torch.randn(25, 100, 10))
    >>> output.shape, h.shape
    (torch.Size([25, 100, 118]), torch.Size([1, 100, 118]))
    >>> print(lstm.weight.shape)
    (59, 8) x (2, 16)
    >>> parameter_count(lstm) == 4 * 504 + 4 * 118
    True
    >>> dense = LSTM(10, 118, bias="one", weight=Dense())
    >>> round(parameter_count(dense) / parameter_count(lstm), 2) == 24.47
    True
    """

    gates = 4  # i, f, g, o
    states = 2  # h, c
    torch_class = nn.LSTM
    initial_bias = (0.0, 1.0, 0.0, 0.0)

    def _step(self, products: Products, bias: Tensor, step: int, state: State) -> State:
        h, c = state
        return lstm_step(products.joint(step, h) + bias, c)

    def _loops_in_place(self, cell: Cell, steps: Steps) -> bool:
        """Whether `lstm_loop` can run these steps; else autograd records every product."""
        return (
            isinstance(cell.weight, KroneckerWeight)
            and steps.sizes is None
            and steps.batch > 0
            and not torch.compiler.is_compiling()
            and not transforms_autograd()
            and not self._autocasts(steps.data.device)
        )

    def _saving_that_pays(self, cell: Cell, steps: Steps) -> int:
        if self._loops_in_place(cell, steps):
            return SAVING_IN_PLACE
        return super()._saving_that_pays(cell, steps)

    def _run(self, cell: Cell, steps: Steps, state: State, *, reverse: bool) -> tuple[Steps, State]:
        """Loop over the steps in buffers, if the weight is one Kronecker product a gate."""
        if not self._loops_in_place(cell, steps) or self._chosen_method(cell, steps) == "fused":
            return super()._run(cell, steps, state, reverse=reverse)
        weight = cast("KroneckerWeight", cell.weight)  # else it could not loop in place
        output, h, c = lstm_loop(
            weight.shape, weight.A, weight.B, self._constants(cell), steps.data, *state,
            reverse=reverse,
        )  # fmt: skip
        # two directions are copied anyway, side by side
        return steps.with_data(output if self.bidirectional else output.clone()), (h, c)

    def _kernel(self) -> Callable[..., Any]:
        return torch.lstm

    def _fused(self, cell: Cell, steps: Steps, state: State) -> tuple[Steps, State]:
        # There torch.nn.LSTM fails: oneDNN has its bfloat16 kernel for AVX-512 alone.
        narrow = not torch.backends.cpu.get_cpu_capability().startswith("AVX512")
        if narrow and steps.data.device.type == "cpu" and self._autocasts(steps.data.device):
            return self._loop(cell, steps, state, MatrixProducts)
        return super()._fused(cell, steps, state)
