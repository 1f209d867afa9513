"""A cell's gate products at each step, with the matrices or with what the weight is made of.

A cell asks for W [x_t; h] (`joint`), or for W [x_t; 0] and W [0; h] apart (`apart`), of all gates
or of some. Everything is features first: x_t (input, batch), h (hidden, batch), products (gates,
hidden, batch).
"""

from abc import ABC, abstractmethod
from collections.abc import Callable

import torch
from torch import Tensor

from kplib.nn.steps import Steps
from kplib.nn.structures import SplitWeight, Weight

ALL = slice(None)


class Products(ABC):
    """The gate products of one run of a cell over `steps`."""

    def __init__(self, steps: Steps) -> None:
        self.steps = steps

    @abstractmethod
    def joint(self, step: int, h: Tensor, gates: slice = ALL) -> Tensor:
        """Return W [x_t; h] of these gates."""

    @abstractmethod
    def apart(self, step: int, h: Tensor) -> tuple[Tensor, Tensor]:
        """Return W [x_t; 0] and W [0; h] of all gates."""

    def _split(self, inputs: Tensor) -> list[Tensor]:
        """Cut (gates, hidden, all columns) into the steps."""
        if self.steps.sizes is None:
            return list(inputs.unflatten(2, self.steps.data.shape[:2]).unbind(2))
        return list(inputs.split(self.steps.sizes.tolist(), dim=2))


class MatrixProducts(Products):
    """With the gate matrices, formed once: the inputs' part is one product for all steps."""

    def __init__(self, weight: Weight, steps: Steps) -> None:
        super().__init__(steps)
        W = weight.matrix()
        W_x, self.W_h = W.split((W.shape[2] - W.shape[1], W.shape[1]), dim=2)
        # real input of complex matrices; otherwise nothing is converted
        data = steps.data.to(W.dtype) if W.is_complex() else steps.data
        inputs = W_x.flatten(0, 1) @ data.flatten(0, -2).T
        self.inputs = self._split(inputs.unflatten(0, W.shape[:2]))

    def joint(self, step: int, h: Tensor, gates: slice = ALL) -> Tensor:
        """Return W [x_t; h] of these gates."""
        return self.inputs[step][gates] + self._hidden(h, gates)

    def apart(self, step: int, h: Tensor) -> tuple[Tensor, Tensor]:
        """Return W [x_t; 0] and W [0; h] of all gates."""
        return self.inputs[step], self._hidden(h, ALL)

    def _hidden(self, h: Tensor, gates: slice) -> Tensor:
        W_h = self.W_h[gates]
        return (W_h.flatten(0, 1) @ h).unflatten(0, W_h.shape[:2])


class FactorProducts(Products):
    """With what the weight of [W_x W_h] is made of: no gate matrix is formed."""

    def __init__(self, weight: Weight, steps: Steps) -> None:
        super().__init__(steps)
        self.weight = weight
        self.inputs = steps.features_first()
        self._operators = _Operators(weight)
        self._of_inputs: list[Tensor] | None = None

    def joint(self, step: int, h: Tensor, gates: slice = ALL) -> Tensor:
        """Return W [x_t; h] of these gates."""
        return self._operators[gates](torch.cat((self.inputs[step], h)))

    def apart(self, step: int, h: Tensor) -> tuple[Tensor, Tensor]:
        """Return W [x_t; 0] and W [0; h] of all gates."""
        zeros = h.new_zeros(self.weight.columns - h.shape[0], h.shape[1])
        return self._input_products()[step], self._operators[ALL](torch.cat((zeros, h)))

    def _input_products(self) -> list[Tensor]:
        """Return W [x_t; 0] of every step, one product, made when first asked for.

        No cached_property: before Python 3.12 it takes a lock, which torch.compile cannot trace.
        """
        if self._of_inputs is not None:
            return self._of_inputs
        x = self.steps.data.flatten(0, -2).T
        zeros = x.new_zeros(self.weight.columns - x.shape[0], x.shape[1])
        self._of_inputs = self._split(self._operators[ALL](torch.cat((x, zeros))))
        return self._of_inputs


class SplitProducts(Products):
    """With what W_x and W_h are made of, where these are weights of their own."""

    def __init__(self, weight: SplitWeight, steps: Steps) -> None:
        super().__init__(steps)
        of_x = weight.input.operator()
        self.inputs = self._split(of_x(steps.data.flatten(0, -2).T))
        self._hidden = _Operators(weight.hidden)

    def joint(self, step: int, h: Tensor, gates: slice = ALL) -> Tensor:
        """Return W [x_t; h] of these gates."""
        return self.inputs[step][gates] + self._hidden[gates](h)

    def apart(self, step: int, h: Tensor) -> tuple[Tensor, Tensor]:
        """Return W [x_t; 0] and W [0; h] of all gates."""
        return self.inputs[step], self._hidden[ALL](h)


def factor_products(weight: Weight, steps: Steps) -> Products:
    """Return the products that form no gate matrix."""
    if isinstance(weight, SplitWeight):
        return SplitProducts(weight, steps)
    return FactorProducts(weight, steps)


class _Operators:
    """A weight's operators, each made when first asked for: it does not depend on the step."""

    def __init__(self, weight: Weight) -> None:
        self._weight = weight
        self._made: dict[tuple[int | None, int | None], Callable[[Tensor], Tensor]] = {}

    def __getitem__(self, gates: slice) -> Callable[[Tensor], Tensor]:
        key = gates.start, gates.stop
        if key not in self._made:
            self._made[key] = self._weight.operator(gates)
        return self._made[key]
