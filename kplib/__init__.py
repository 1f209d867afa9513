"""Kronecker products for recurrent networks: algebra, compiled kernels, layers.

The public names, nothing else. Names that need torch or a C++ compiler load on first use, so a star
import, which is for what is always there, leaves them out; it leaves the builtin `compile` alone,
too. Without torch those that need it are not in ``dir(kplib)``, and asking for one raises
`kplib.errors.MissingExtraError`, an ImportError, which names what to install.
"""

import importlib
import importlib.util
import typing

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

if typing.TYPE_CHECKING:
    from kplib import engine as engine
    from kplib import kernels as kernels
    from kplib import nn as nn
    from kplib.engine import compile as compile
    from kplib.experiments.build import build as build
    from kplib.kernels import compile_dense as compile_dense
    from kplib.kernels import compile_hybrid as compile_hybrid
    from kplib.kernels import compile_kron as compile_kron
    from kplib.kernels import compile_lowrank as compile_lowrank

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
    "build": "kplib.experiments.build",
}
_NEED_TORCH = {"nn", "engine", "compile", "build"}

__all__ = [
    "FactorShape",
    "algorithm4",
    "chain_matvec",
    "chain_rmatvec",
    "condition_number",
    "determinant",
    "eigenvalues",
    "factor_shapes",
    "full_rank_shapes",
    "hybrid_matvec",
    "hybrid_rmatvec",
    "kron_matvec",
    "kron_rmatvec",
    "log_determinant",
    "nearest_kron",
    "pareto_front",
    "rank",
    "singular_values",
]


def __getattr__(name: str) -> object:
    if name not in _LAZY:
        raise AttributeError(f"module 'kplib' has no attribute {name!r}")
    module = _LAZY[name]
    if module is None:
        return importlib.import_module(f"kplib.{name}")
    value = getattr(importlib.import_module(module), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    # Only what can be had: tools such as inspect.getmembers ask for every name that stands here.
    unavailable = set() if importlib.util.find_spec("torch") else _NEED_TORCH
    return sorted({*globals(), *_LAZY} - unavailable)
