"""The GRU layer, a drop-in for `torch.nn.GRU` whose gate matrices may be structured."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from kplib.nn.cell import Bias, Cell
from kplib.nn.products import Products
from kplib.nn.recurrent import DEFAULT_WEIGHT, Method, Recurrent, State
from kplib.nn.structures import Structure


class GRU(Recurrent):
    r"""A gated recurrent unit, called and returning as `torch.nn.GRU`.

    With sigma the logistic function, * the entrywise product, and [x_t; h] the input on top of the
    last output, at each step:

    .. code-block:: text

        r = sigma(W_r [x_t; h] + b_r)                                reset gate
        z = sigma(W_z [x_t; h] + b_z)                                update gate
        n = tanh (W_n [x_t; 0] + b_n + r * (W_n [0; h] + c_n))       candidate, reset_after=True
        n = tanh (W_n [x_t; r * h] + b_n)                            candidate, reset_after=False
        h = (1 - z) * n + z * h                                      output

    PyTorch resets after the product, which is the default here; the papers' TensorFlow resets
    before it, and is meant by ``reset_after=False``. One does not compute what the other does.

    Parameters
    ----------
    input_size, hidden_size, num_layers, batch_first, dropout, bidirectional
        As of `LSTM`.
    weight, method, device, dtype
        As of `LSTM`.
    bias : bool or "one", optional
        True: two vectors a gate, as in PyTorch, whose second one of the candidate is c_n above;
        ``"one"``: one, as in the papers, which starts at 1 for both gates and at 0 for the
        candidate (c_n is 0); False: none.
    reset_after : bool, optional
        Whether the reset gate acts on W_n [0; h] (True) or on h itself (False).

    Raises
    ------
    ShapeError, DtypeError, ValueError, TypeError
        As of `LSTM`.

    Notes
    -----
    With ``reset_after=False`` there is no kernel of torch: ``method="fused"`` forms the gate
    matrices once a call and loops over the steps. `weight` then has two stacks, both gates' and
    the candidate's, which multiply different vectors.

    Papers: "Compressing RNNs for IoT devices by 15-38x using Kronecker Products", KWS-GRU; Cho et
    al., "Learning Phrase Representations using RNN Encoder-Decoder" (2014), for the cell.

    Examples
    --------
    The papers' keyword-spotting GRU with factors, two layers and a head of 12 classes:

    >>> import torch
    >>> from kplib.nn import GRU, Classifier, parameter_count
    >>> gru = GRU(10, 154, num_layers=2, bias="one", reset_after=False)
    >>> output, h = gru(torch.randn(25, 100, 10))
    >>> output.shape, h.shape
    (torch.Size([25, 100, 154]), torch.Size([2, 100, 154]))
    >>> parameter_count(Classifier(gru, torch.nn.Linear(154, 12))) == 5691
    True
    """

    gates = 3  # r, z, n
    initial_bias = (1.0, 1.0, 0.0)
    torch_class = nn.GRU

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        num_layers: int = 1,
        bias: Bias = True,
        batch_first: bool = False,
        dropout: float = 0.0,
        bidirectional: bool = False,
        *,
        reset_after: bool = True,
        weight: Structure = DEFAULT_WEIGHT,
        method: Method = "auto",
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        self._reset_after = bool(reset_after)
        super().__init__(
            input_size, hidden_size, num_layers, bias, batch_first, dropout, bidirectional,
            weight=weight, method=method, device=device, dtype=dtype,
        )  # fmt: skip

    @property
    def reset_after(self) -> bool:
        """Whether the reset gate acts after the product with the state."""
        return self._reset_after

    @property
    def stacks(self) -> tuple[int, ...]:
        """All three gates, or, where the candidate multiplies another vector, two and one."""
        return (3,) if self.reset_after else (2, 1)

    def _constants(self, cell: Cell) -> Any:
        """Return the summed biases, and, to be reset, the candidate's second one, (hidden, 1)."""
        bias = cell.gate_bias().unsqueeze(-1)
        second = None if cell.bias_hh is None else cell.bias_hh.view(3, -1)[2].unsqueeze(-1)
        return bias, second

    def _step(self, products: Products, constants: Any, step: int, state: State) -> State:
        (h,) = state
        update_and_candidate = self._reset_after_product if self.reset_after else self._reset_before
        z, n = update_and_candidate(products, constants, step, h)
        return (n + z * (h - n),)

    def _reset_after_product(
        self, products: Products, constants: Any, step: int, h: Tensor
    ) -> tuple[Tensor, Tensor]:
        bias, second = constants
        of_x, of_h = products.apart(step, h)
        r, z = torch.sigmoid(of_x[:2] + of_h[:2] + bias[:2]).unbind(0)
        candidate, recurrent = of_x[2] + bias[2], of_h[2]
        if second is not None:
            candidate, recurrent = candidate - second, recurrent + second
        return z, torch.tanh(candidate + r * recurrent)

    def _reset_before(
        self, products: Products, constants: Any, step: int, h: Tensor
    ) -> tuple[Tensor, Tensor]:
        bias, _ = constants
        r, z = torch.sigmoid(products.joint(step, h, slice(0, 2)) + bias[:2]).unbind(0)
        return z, torch.tanh(products.joint(step, r * h, slice(2, 3))[0] + bias[2])

    def _kernel(self) -> Callable[..., Any] | None:
        return torch.gru if self.reset_after else None

    def extra_repr(self) -> str:
        """Describe the layer, and say where the reset acts if not as in PyTorch."""
        text = super().extra_repr()
        return text if self.reset_after else f"{text}, reset_after=False"
