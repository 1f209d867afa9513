"""One layer in one direction: the weight of its gates, their biases, the cell's own scalars."""

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Literal

import torch
from torch import Tensor, nn

from kplib.nn.structures import Weight

Bias = Literal["one"] | bool
NO_SCALARS: Mapping[str, float] = MappingProxyType({})


class Cell(nn.Module):
    """One layer in one direction: the weight of its gates and their biases.

    Parameters
    ----------
    weight : Weight
        The built weight, shape (gates, hidden, input + hidden).
    bias : bool or "one"
        True: two vectors, as in `torch.nn`; ``"one"``: one, as in the papers; False: none.
    initial_bias : sequence of float
        What ``bias="one"`` starts with, one number a gate; in real and imaginary part, if complex.
    scalars : mapping of str to float, optional
        Trained numbers that belong to no gate, with what they start with.
    vectors : mapping of str to float, optional
        The same, but one number for each entry of the state.
    device, dtype : optional
        As in `torch.nn`.

    Attributes
    ----------
    weight : Weight
        The built weight.
    bias_ih, bias_hh : torch.nn.Parameter, shape (gates * hidden,)
        The two biases of ``bias=True``; else None. Those of a complex weight are complex: real and
        imaginary parts in turn, (gates * hidden * 2,).
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
        scalars: Mapping[str, float] = NO_SCALARS,
        vectors: Mapping[str, float] = NO_SCALARS,
        *,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        super().__init__()
        self.weight = weight
        self.initial_bias = tuple(initial_bias)
        self.initial_values = dict(scalars) | dict(vectors)
        names = {True: ("bias_ih", "bias_hh"), "one": ("bias",), False: ()}[bias]
        for name in ("bias", "bias_ih", "bias_hh"):
            size = weight.gates * weight.rows * (2 if weight.is_complex else 1)
            vector = nn.Parameter(torch.empty(size, device=device, dtype=dtype))
            self.register_parameter(name, vector if name in names else None)
        shapes = dict.fromkeys(scalars, ()) | dict.fromkeys(vectors, (weight.rows,))
        for name, shape in shapes.items():
            self.register_parameter(
                name, nn.Parameter(torch.empty(shape, device=device, dtype=dtype))
            )
        self._reset_vectors()

    def reset_parameters(self) -> None:
        """Draw new initial values of the weight, and set those of the biases and scalars.

        Two biases start as in `torch.nn`, U(-k, k) with k = 1/sqrt(hidden); one bias starts as in
        the papers' TensorFlow, with a constant for each gate.
        """
        self.weight.reset_parameters()
        self._reset_vectors()

    def _reset_vectors(self) -> None:
        bound = self.weight.rows**-0.5
        for vector in (self.bias_ih, self.bias_hh):
            if vector is not None:
                nn.init.uniform_(vector, -bound, bound)
        with torch.no_grad():
            if self.bias is not None:
                per_gate = self.bias.view(self.weight.gates, -1)
                per_gate.copy_(per_gate.new_tensor(self.initial_bias).unsqueeze(1))
            for name, value in self.initial_values.items():
                self.get_parameter(name).fill_(value)

    def gate_bias(self) -> Tensor:
        """Return the sum of the biases, shape (gates, hidden); zeros if there are none."""
        weight = self.weight
        pair = (2,) if weight.is_complex else ()
        if self.bias is not None:
            total: Tensor = self.bias
        elif self.bias_ih is not None and self.bias_hh is not None:
            total = self.bias_ih + self.bias_hh
        else:
            total = next(weight.parameters()).new_zeros(weight.gates, weight.rows, *pair)
        total = total.view(weight.gates, weight.rows, *pair)
        return torch.view_as_complex(total) if weight.is_complex else total

    def bias_pair(self) -> list[Tensor]:
        """Return the biases as `torch.nn` wants them: two vectors (gates * hidden,), or none."""
        if self.bias is not None:
            return [self.bias, torch.zeros_like(self.bias)]
        return [vector for vector in (self.bias_ih, self.bias_hh) if vector is not None]
