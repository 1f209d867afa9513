"""The FastRNN layer: one matrix, and a residual connection weighted by two trained scalars."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, ClassVar

import torch

from kplib.nn.cell import Bias, Cell
from kplib.nn.products import Products
from kplib.nn.recurrent import DEFAULT_WEIGHT, Method, Recurrent, State
from kplib.nn.structures import Structure


class FastRNN(Recurrent):
    r"""A fast, accurate, stable and tiny recurrent layer (Kusupati et al. 2018).

    At each step, with s the logistic function and [x_t; h] the input on top of the last output:

    .. code-block:: text

        h = s(alpha) * tanh(W [x_t; h] + b) + s(beta) * h

    Both scalars are trained. They start at alpha = -3 and beta = 3, so that s(alpha) = 0.047 and
    s(beta) = 0.953: h changes slowly at first, and gradients pass through many steps.

    Parameters
    ----------
    input_size, hidden_size, num_layers, batch_first, dropout, bidirectional
        As of `LSTM`.
    weight, method, device, dtype
        As of `LSTM`.
    bias : "one" or bool, optional
        ``"one"``, the default: the published single vector, which starts at 1; True: two, whose
        sum counts, as in `torch.nn`; False: none.

    Attributes
    ----------
    cells : torch.nn.ModuleDict
        Each with ``alpha`` and ``beta``, parameters without axes, beside weight and biases.

    Raises
    ------
    ShapeError, DtypeError, ValueError, TypeError
        As of `LSTM`.

    Notes
    -----
    torch has no kernel for it: ``method="fused"`` forms the matrix once a call and loops over the
    steps.

    References
    ----------
    Kusupati et al., "FastGRNN: A Fast, Accurate, Stable and Tiny Kilobyte Sized Gated Recurrent
    Neural Network" (2018), section 3.1. Initial values: the authors' EdgeML.

    Examples
    --------
    The papers' network for USPS, one row of the image a step:

    >>> import torch
    >>> from kplib.nn import FastRNN, parameter_count
    >>> rnn = FastRNN(16, 32)
    >>> output, h = rnn(torch.randn(16, 100, 16))
    >>> output.shape, h.shape
    (torch.Size([16, 100, 32]), torch.Size([1, 100, 32]))
    >>> parameter_count(rnn) == 80 + 32 + 2
    True
    """

    gates = 1
    initial_bias = (1.0,)
    initial_scalars: ClassVar[Mapping[str, float]] = MappingProxyType({"alpha": -3.0, "beta": 3.0})

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        num_layers: int = 1,
        bias: Bias = "one",
        batch_first: bool = False,
        dropout: float = 0.0,
        bidirectional: bool = False,
        *,
        weight: Structure = DEFAULT_WEIGHT,
        method: Method = "auto",
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        super().__init__(
            input_size, hidden_size, num_layers, bias, batch_first, dropout, bidirectional,
            weight=weight, method=method, device=device, dtype=dtype,
        )  # fmt: skip

    def _constants(self, cell: Cell) -> Any:
        """Return the bias, (1, hidden, 1), s(alpha) and s(beta)."""
        scalars = (torch.sigmoid(cell.get_parameter(name)) for name in ("alpha", "beta"))
        return cell.gate_bias().unsqueeze(-1), *scalars

    def _step(self, products: Products, constants: Any, step: int, state: State) -> State:
        bias, alpha, beta = constants
        (h,) = state
        candidate = torch.tanh((products.joint(step, h) + bias)[0])
        return (alpha * candidate + beta * h,)
