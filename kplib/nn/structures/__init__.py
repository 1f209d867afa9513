"""Weight structures: how the gate matrices of a recurrent layer are made.

A *structure* (`Dense()`, `Kronecker()`) is a frozen description that the user passes to any
number of layers; each layer calls its ``build`` and gets a *weight*, the module that is trained.
A weight treats its gate matrices as one stack of shape (gates, rows, columns) and offers what
every layer needs, whatever the cell:

=============================  ==================================================================
``kind``                       ``"dense"``, ``"kronecker"``, ``"low_rank"``, ...
``gates, rows, columns``       the size of the stack
``matrix()``                   the stack itself, differentiable
``operator()``                 the function V (columns, batch) -> (gates, rows, batch)
``is_complex``                 whether the matrices are complex
``params``                     parameters stored, all gates
``macs``                       multiplications of one step of one sequence, all gates
``nbytes``                     bytes of the parameters
``singular_values()``          of each gate, (gates, min(rows, columns))
``stacked_singular_values()``  of all gates' matrices one above the other
``assign(W)``                  come as near to W as possible, and say how near
``reset_parameters()``         draw new initial values
=============================  ==================================================================

How to add a structure: `Weight`.
"""

from kplib.nn.structures.base import Structure, Weight
from kplib.nn.structures.chain import (
    ChainWeight,
    KroneckerChain,
    KroneckerChainWeight,
    unitary_penalty,
)
from kplib.nn.structures.dense import Dense, DenseWeight
from kplib.nn.structures.hybrid import Hybrid, HybridForCompression, HybridWeight
from kplib.nn.structures.initial import Initializer, Match, dense_spectral_norm, initial_variance
from kplib.nn.structures.kronecker import (
    Kronecker,
    KroneckerSumWeight,
    KroneckerWeight,
    StackedKroneckerWeight,
)
from kplib.nn.structures.low_rank import LowRank, LowRankForSize, LowRankWeight
from kplib.nn.structures.pruning import MagnitudeSchedule, prune
from kplib.nn.structures.sparse import Sparse, SparseWeight, csr_index_bytes
from kplib.nn.structures.split import ComplexWeight, SplitWeight

__all__ = [
    "ChainWeight",
    "ComplexWeight",
    "Dense",
    "DenseWeight",
    "Hybrid",
    "HybridForCompression",
    "HybridWeight",
    "Initializer",
    "Kronecker",
    "KroneckerChain",
    "KroneckerChainWeight",
    "KroneckerSumWeight",
    "KroneckerWeight",
    "LowRank",
    "LowRankForSize",
    "LowRankWeight",
    "MagnitudeSchedule",
    "Match",
    "Sparse",
    "SparseWeight",
    "SplitWeight",
    "StackedKroneckerWeight",
    "Structure",
    "Weight",
    "csr_index_bytes",
    "dense_spectral_norm",
    "initial_variance",
    "prune",
    "unitary_penalty",
]
