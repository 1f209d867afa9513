"""What each recurrent cell stores: its gates, its state, its scalars."""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

__all__ = ["CELLS", "Cell"]


@dataclass(frozen=True, slots=True)
class Cell:
    """What a recurrent cell stores.

    Parameters
    ----------
    name : str
        As it is printed.
    stacks : tuple of int
        Gate matrices that multiply the same vector, and so can share a low-rank factor. A GRU has
        two stacks: its candidate multiplies the reset state.
    states : int, default 1
        Vectors of hidden size kept from step to step: h, and the LSTM's c.
    scalars : int, default 0
        Trained numbers that belong to no gate: FastRNN's alpha and beta.

    Examples
    --------
    >>> CELLS["gru"].stacks, CELLS["gru"].gates
    ((2, 1), 3)
    >>> CELLS["lstm"].states == 2
    True
    """

    name: str
    stacks: tuple[int, ...]
    states: int = 1
    scalars: int = 0

    @property
    def gates(self) -> int:
        """Gate matrices, candidates included."""
        return sum(self.stacks)


CELLS: Mapping[str, Cell] = MappingProxyType(
    {
        "rnn": Cell("RNN", (1,)),
        "lstm": Cell("LSTM", (4,), states=2),
        "gru": Cell("GRU", (2, 1)),
        "fastrnn": Cell("FastRNN", (1,), scalars=2),
    }
)
"""The cells by name."""
