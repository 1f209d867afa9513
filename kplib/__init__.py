"""Kronecker products for recurrent networks: algebra, compiled kernels, layers.

The public names, nothing else. Names that need torch or a C++ compiler load on first use.
"""

from importlib import import_module
from typing import TYPE_CHECKING

from kplib.kron import (
    chain_matvec,
    chain_rmatvec,
    hybrid_matvec,
    hybrid_rmatvec,
    kron_matvec,
    kron_rmatvec,
    nearest_kron,
)
from kplib.shapes import (
    FactorShape,
    algorithm4,
    factor_shapes,
    full_rank_shapes,
    pareto_front,
)
from kplib.spectra import (
    condition_number,
    determinant,
    eigenvalues,
    log_determinant,
    rank,
    singular_values,
)

if TYPE_CHECKING:
    from kplib import engine, kernels, nn
    from kplib.engine import compile
    from kplib.kernels import compile_dense, compile_hybrid, compile_kron, compile_lowrank

__version__ = "0.1.0"

# name -> the module that has it; None: the name is the module itself
_LAZY = {
    "kernels": None,
    "nn": None,
    "engine": None,
    "compile_kron": "kplib.kernels",
    "compile_hybrid": "kplib.kernels",
    "compile_dense": "kplib.kernels",
    "compile_lowrank": "kplib.kernels",
    "compile": "kplib.engine",
}

__all__ = [
    "FactorShape",
    "algorithm4",
    "chain_matvec",
    "chain_rmatvec",
    "compile",
    "compile_dense",
    "compile_hybrid",
    "compile_kron",
    "compile_lowrank",
    "condition_number",
    "determinant",
    "eigenvalues",
    "engine",
    "factor_shapes",
    "full_rank_shapes",
    "hybrid_matvec",
    "hybrid_rmatvec",
    "kernels",
    "kron_matvec",
    "kron_rmatvec",
    "log_determinant",
    "nearest_kron",
    "nn",
    "pareto_front",
    "rank",
    "singular_values",
]


def __getattr__(name: str) -> object:
    if name not in _LAZY:
        raise AttributeError(f"module 'kplib' has no attribute {name!r}")
    module = _LAZY[name]
    if module is None:
        return import_module(f"kplib.{name}")
    value = getattr(import_module(module), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
