import itertools
from typing import NamedTuple

import pytest
import torch

from kplib.nn import (
    GRU,
    LSTM,
    RNN,
    Dense,
    FastRNN,
    Hybrid,
    Kronecker,
    KroneckerChain,
    LowRank,
    Sparse,
    prune,
)
from kplib.nn.recurrent import Recurrent
from kplib.nn.structures import Structure

# 4 inputs and 12 units: 12 x 16, and in the layer above 12 x 36
CELLS = {"RNN": RNN, "LSTM": LSTM, "GRU": GRU, "GRU before": GRU, "FastRNN": FastRNN}
STRUCTURES = {
    "dense": Dense(),
    "kronecker": Kronecker(),
    "sum": Kronecker(terms=2),
    "stacked": Kronecker(stacked=True),
    "hybrid": Hybrid(2),
    "low rank": LowRank(3),
    "sparse": Sparse(0.3),
    "chain": KroneckerChain(3),
    "complex": KroneckerChain(3, complex=True),
}


class Combination(NamedTuple):
    """A cell with a structure."""

    cell: str
    structure: str

    @property
    def in_torch(self) -> bool:
        """Whether torch.nn has a layer that computes the same."""
        return self.cell in ("RNN", "LSTM", "GRU") and self.structure != "complex"

    def layer(self, num_layers: int = 2, **options) -> Recurrent:
        """Return bidirectional layers, batch first; Sparse is pruned."""
        if self.cell == "GRU before":
            options["reset_after"] = False
        weight: Structure = STRUCTURES[self.structure]
        layer = CELLS[self.cell](
            4, 12, num_layers, batch_first=True, bidirectional=True, weight=weight, **options
        )
        if self.structure == "sparse" and not next(layer.parameters()).is_meta:
            prune(layer, 0.3)
        return layer

    def arguments(self, num_layers: int = 2, steps: int = 2, batch: int = 3) -> tuple:
        """Return an input and an initial state."""
        dtype = torch.complex64 if self.structure == "complex" else torch.float32
        states = tuple(
            torch.randn(2 * num_layers, batch, 12, dtype=dtype)
            for _ in range(CELLS[self.cell].states)
        )
        return torch.randn(batch, steps, 4), states if len(states) > 1 else states[0]


COMBINATIONS = [
    Combination(cell, structure)
    for cell, structure in itertools.product(CELLS, STRUCTURES)
    if cell == "RNN" or structure != "complex"  # the only cell with a complex state
]


@pytest.fixture(params=COMBINATIONS, ids="-".join)
def combination(request):
    """Every cell with every structure."""
    return request.param


@pytest.fixture(params=[c for c in COMBINATIONS if c.in_torch], ids="-".join)
def combination_in_torch(request):
    """Every cell of torch.nn with every structure."""
    return request.param


@pytest.fixture(params=list(STRUCTURES)[:-1])
def real_structure(request):
    """Every structure but the complex one."""
    return STRUCTURES[request.param]


@pytest.fixture(autouse=True)
def _one_thread_and_own_generator():
    """Each test draws from its own seeded generator and leaves torch's as it was."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    with torch.random.fork_rng():
        torch.manual_seed(20)
        yield
    torch.set_num_threads(threads)
