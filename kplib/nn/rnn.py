"""The plain recurrent layer, a drop-in for `torch.nn.RNN` whose matrix may be structured."""

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, Literal, get_args

import torch
from torch import Tensor, nn

from kplib.nn.cell import NO_SCALARS, Bias, Cell
from kplib.nn.products import Products
from kplib.nn.recurrent import DEFAULT_WEIGHT, Method, Recurrent, State, one_of
from kplib.nn.steps import Steps
from kplib.nn.structures import Structure

Nonlinearity = Literal["tanh", "relu", "modrelu"]


def modrelu(z: Tensor, bias: Tensor) -> Tensor:
    """Shorten or lengthen numbers by a bias, and keep their phase.

    ``z / |z| * relu(|z| + bias)``, the nonlinearity of unitary recurrent networks. With bias 0 it
    is the identity, with a negative one it gives 0 where abs(z) <= -bias.

    Parameters
    ----------
    z : Tensor
        Complex or real; the phase of a real number is its sign.
    bias : Tensor
        Real, broadcast against z.

    Returns
    -------
    Tensor
        Of the dtype of z. At z = 0, where there is no phase, value and derivative are 0; near it,
        with a positive bias, the derivative is as large as bias / abs(z).

    References
    ----------
    Arjovsky, Shah and Bengio, "Unitary Evolution Recurrent Neural Networks" (arXiv:1511.06464).

    Examples
    --------
    >>> import torch
    >>> from kplib.nn import modrelu
    >>> z = torch.tensor([3 + 4j, 0.3 + 0.4j, 0])
    >>> torch.allclose(modrelu(z, torch.tensor(-1.0)), torch.tensor([2.4 + 3.2j, 0, 0]))
    True
    """
    return torch.sgn(z) * torch.relu(z.abs() + bias)


PHI: Mapping[str, Callable[[Tensor], Tensor]] = {"tanh": torch.tanh, "relu": torch.relu}


class RNN(Recurrent):
    r"""A recurrent layer with one matrix, called and returning as `torch.nn.RNN`.

    At each step, with phi the nonlinearity and [x_t; h] the input on top of the last output:

    .. code-block:: text

        h = phi(W [x_t; h] + b)

    Parameters
    ----------
    input_size, hidden_size, num_layers, bias, batch_first, dropout, bidirectional
        As of `LSTM`; ``bias="one"`` starts at 0.
    weight, method, device, dtype
        As of `LSTM`.
    nonlinearity : {"tanh", "relu", "modrelu"}, optional
        The function phi, by default tanh, or `modrelu` where the weight is complex, which allows
        no other. As in PyTorch it is the fourth argument.

    Attributes
    ----------
    cells : torch.nn.ModuleDict
        With modrelu, each has its real bias ``modrelu_bias``, of hidden numbers, which starts at 0
        (so that the network starts linear), beside weight and biases.

    Raises
    ------
    ShapeError, DtypeError, ValueError, TypeError
        As of `LSTM`.

    Notes
    -----
    With a complex weight, ``KroneckerChain(factors, complex=True)``, biases, initial state, output
    and final state are complex. The input is real, that of a second layer is the first one's
    complex output. A linear layer takes ``torch.view_as_real(output).flatten(-2)``, 2 * hidden
    features, real and imaginary part in turn; `Classifier` does so. Complex numbers have no
    kernel of torch, and stay in 32 bits under autocast; torch.export takes them, ONNX does not.

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
    complex_state = True
    torch_class = nn.RNN

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        num_layers: int = 1,
        nonlinearity: Nonlinearity | None = None,
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
        is_complex = isinstance(weight, Structure) and weight.is_complex
        if nonlinearity is None:
            nonlinearity = "modrelu" if is_complex else "tanh"
        one_of("nonlinearity", nonlinearity, get_args(Nonlinearity))
        if is_complex and nonlinearity != "modrelu":
            raise ValueError(
                f"nonlinearity is {nonlinearity!r}, but must be 'modrelu' for a complex weight"
            )
        self.nonlinearity: Nonlinearity = nonlinearity
        super().__init__(
            input_size, hidden_size, num_layers, bias, batch_first, dropout, bidirectional,
            weight=weight, method=method, device=device, dtype=dtype,
        )  # fmt: skip

    @property
    def initial_vectors(self) -> Mapping[str, float]:
        """The bias of modrelu, if that is the nonlinearity."""
        return {"modrelu_bias": 0.0} if self.nonlinearity == "modrelu" else NO_SCALARS

    def _constants(self, cell: Cell) -> Any:
        """Return the bias, (1, hidden, 1), and phi."""
        phi = PHI.get(self.nonlinearity)
        if phi is None:
            phi = partial(modrelu, bias=cell.get_parameter("modrelu_bias").unsqueeze(-1))
        return super()._constants(cell), phi

    def _step(self, products: Products, constants: Any, step: int, state: State) -> State:
        bias, phi = constants
        return (phi((products.joint(step, state[0]) + bias)[0]),)

    def _run(self, cell: Cell, steps: Steps, state: State, *, reverse: bool) -> tuple[Steps, State]:
        if not (cell.weight.is_complex and self._autocasts(steps.data.device)):
            return super()._run(cell, steps, state, reverse=reverse)
        # autocast would convert the real parts of a complex product to 16 bits
        with torch.autocast(steps.data.device.type, enabled=False):
            if not steps.data.is_complex():
                steps = steps.with_data(steps.data.to(self._dtype()))
            return super()._run(cell, steps, state, reverse=reverse)

    def _kernel(self) -> Callable[..., Any] | None:
        return {"tanh": torch.rnn_tanh, "relu": torch.rnn_relu}.get(self.nonlinearity)

    @classmethod
    def _options(cls, layer: "nn.RNNBase | Recurrent") -> dict[str, Any]:
        return super()._options(layer) | {"nonlinearity": layer.nonlinearity}

    def extra_repr(self) -> str:
        """Describe the layer, and its nonlinearity if it is not tanh."""
        text = super().extra_repr()
        return (
            text if self.nonlinearity == "tanh" else f"{text}, nonlinearity={self.nonlinearity!r}"
        )
