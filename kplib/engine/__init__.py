"""Whole networks at batch 1: a trained classifier becomes one C++ call for a sequence."""

import importlib.util

from kplib.errors import MissingExtraError

if importlib.util.find_spec("torch") is None:
    raise MissingExtraError("torch", "nn")

from kplib.engine.lowering import compile
from kplib.engine.network import CompiledNetwork

__all__ = ["CompiledNetwork", "compile"]
