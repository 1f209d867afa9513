"""The plain recurrent layer, a drop-in for `torch.nn.RNN` whose matrix may be structured."""

from collections.abc import Callable
from typing import Any, Literal, get_args

import torch
from torch import Tensor, nn

from kplib.nn.cell import Bias
from kplib.nn.products import Products
from kplib.nn.recurrent import DEFAULT_WEIGHT, Method, Recurrent, State, one_of
from kplib.nn.structures import Structure

Nonlinearity = Literal["tanh", "relu"]


class RNN(Recurrent):
    r"""A recurrent layer with one matrix, called and returning as `torch.nn.RNN`.

    At each step, with phi the nonlinearity and [x_t; h] the input on top of the last output:

    .. code-block:: text

        h = phi(W [x_t; h] + b)

    Parameters
    ----------
    input_size, hidden_size, num_layers, bias, batch_first, dropout, bidirectional, weight, method,
    device, dtype
        As of `LSTM`; ``bias="one"`` starts at 0.
    nonlinearity : {"tanh", "relu"}, optional
        The function phi. As in PyTorch it is the fourth argument.

    Raises
    ------
    ShapeError, DtypeError, ValueError, TypeError
        As of `LSTM`.

    Examples
    --------
    >>> import torch
    >>> from kplib.nn import RNN
    >>> rnn = RNN(16, 32, nonlinearity="relu")
    >>> output, h = rnn(torch.randn(16, 100, 16))
    >>> output.shape, h.shape
    (torch.Size([16, 100, 32]), torch.Size([1, 100, 32]))
    """

    gates = 1
    initial_bias = (0.0,)
    torch_class = nn.RNN

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        num_layers: int = 1,
        nonlinearity: Nonlinearity = "tanh",
        bias: Bias = True,
        batch_first: bool = False,
        dropout: float = 0.0,
        bidirectional: bool = False,
        *,
        weight: Structure = DEFAULT_WEIGHT,
        method: Method = "auto",
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        one_of("nonlinearity", nonlinearity, get_args(Nonlinearity))
        super().__init__(
            input_size, hidden_size, num_layers, bias, batch_first, dropout, bidirectional,
            weight=weight, method=method, device=device, dtype=dtype,
        )  # fmt: skip
        self.nonlinearity = nonlinearity

    def _step(self, products: Products, bias: Tensor, step: int, state: State) -> State:
        phi = torch.tanh if self.nonlinearity == "tanh" else torch.relu
        return (phi((products.joint(step, state[0]) + bias)[0]),)

    def _kernel(self) -> Callable[..., Any]:
        return torch.rnn_tanh if self.nonlinearity == "tanh" else torch.rnn_relu

    @classmethod
    def _options(cls, layer: "nn.RNNBase | Recurrent") -> dict[str, Any]:
        return super()._options(layer) | {"nonlinearity": layer.nonlinearity}

    def extra_repr(self) -> str:
        """Describe the layer, and its nonlinearity if it is not tanh."""
        text = super().extra_repr()
        return text if self.nonlinearity == "tanh" else f"{text}, nonlinearity='relu'"
