"""Pruning in training: the density at each step, and a model brought to it."""

import numbers
from dataclasses import dataclass

from torch import nn

from kplib._checks import positive_integer
from kplib.errors import ShapeError
from kplib.nn.structures.sparse import SparseWeight


@dataclass(frozen=True)
class MagnitudeSchedule:
    r"""The gradual schedule of Zhu and Gupta: quick at first, while there is much to prune.

    With t0 = begin_step, t1 = end_step and s_f = 1 - final_density, the sparsity (1 - density) is

    .. code-block:: text

        s(t) = s_f (1 - (1 - (t - t0) / (t1 - t0))^3)        from t0 to t1

    0 before and s_f after. It is a function of the step alone, so that training can be taken up
    again at any step.

    Parameters
    ----------
    final_density : float
        Fraction of the entries left from `end_step` on, from 0 to 1.
    begin_step, end_step : int
        The first step is 0; `begin_step` < `end_step`.
    frequency : int, optional
        Steps between two prunings, counted from `begin_step`; the sparsity stays as it is in
        between. The last pruning is at `end_step`.

    Raises
    ------
    ValueError
        If `final_density` is not from 0 to 1, or the steps are not in order.
    ShapeError
        If `frequency` is not a positive integer, or a step is no integer.

    References
    ----------
    Zhu and Gupta, "To prune, or not to prune: exploring the efficacy of pruning for model
    compression" (arXiv:1710.01878), equation 1.

    Examples
    --------
    >>> from kplib.nn import GRU, MagnitudeSchedule, Sparse, prune
    >>> schedule = MagnitudeSchedule(0.2, begin_step=100, end_step=300)
    >>> [round(schedule.sparsity(step), 3) for step in (0, 100, 200, 300, 400)]
    [0.0, 0.0, 0.7, 0.8, 0.8]

    In a training loop, after each optimizer step:

    >>> model = GRU(10, 30, weight=Sparse(0.2))
    >>> for step in range(301):
    ...     left = prune(model, schedule.density(step))
    >>> left == round(0.2 * 3 * 30 * 40)
    True
    """

    final_density: float
    begin_step: int
    end_step: int
    frequency: int = 1

    def __post_init__(self) -> None:
        if not 0 <= self.final_density <= 1:
            raise ValueError(f"final_density must be from 0 to 1, found {self.final_density!r}")
        for name in ("begin_step", "end_step"):
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, numbers.Integral):
                raise ShapeError(f"{name} must be an integer, found {value!r}")
            object.__setattr__(self, name, int(value))
        if not 0 <= self.begin_step < self.end_step:
            raise ValueError(
                f"needs 0 <= begin_step < end_step, found {self.begin_step} and {self.end_step}"
            )
        object.__setattr__(self, "frequency", positive_integer("frequency", self.frequency))

    def sparsity(self, step: int) -> float:
        """Return the fraction of the entries that is pruned after this step."""
        if step < self.begin_step:
            return 0.0
        final = 1 - self.final_density
        if step >= self.end_step:
            return final
        since = step - self.begin_step
        since -= since % self.frequency
        return final * (1 - (1 - since / (self.end_step - self.begin_step)) ** 3)

    def density(self, step: int) -> float:
        """Return the fraction of the entries that is left after this step."""
        return self.final_density if step >= self.end_step else 1 - self.sparsity(step)


def prune(model: nn.Module, density: float) -> int:
    """Prune every `Sparse` weight of a model to at most this density.

    Parameters
    ----------
    model : torch.nn.Module
        A network, a layer, a weight; changed in place. What is not sparse is left alone.
    density : float
        From 0 to 1, of each stack of gates of every layer and direction.

    Returns
    -------
    int
        Entries left in all of them together.

    Raises
    ------
    ValueError
        If the model has no such weight, or `density` is not from 0 to 1.

    Examples
    --------
    >>> from kplib.nn import LSTM, Sparse, prune
    >>> lstm = LSTM(10, 118, bidirectional=True, weight=Sparse(0.05))
    >>> prune(lstm, 0.5) == 2 * 4 * 118 * 128 // 2
    True
    """
    weights = [module for module in model.modules() if isinstance(module, SparseWeight)]
    if not weights:
        raise ValueError(f"{type(model).__name__} has no weights of Sparse(density) to prune")
    for weight in weights:
        weight.prune_to(density)
    return sum(weight.params for weight in weights)
