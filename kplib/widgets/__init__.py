"""Interactive figures that work in JupyterLab and, without a kernel, in the built pages.

Each widget answers one question, which is its caption. All of its logic is in one ES module, so
that a page needs neither a kernel nor a network; Python checks the input and shares the state.

Needs anywidget and torch, of the extra ``book``.
"""

import importlib.util

from kplib.errors import MissingExtraError

if importlib.util.find_spec("anywidget") is None:
    raise MissingExtraError("anywidget", "book")
if importlib.util.find_spec("torch") is None:
    raise MissingExtraError("torch", "book")

from kplib.widgets.accuracy import AccuracyExplorer
from kplib.widgets.budget import MemoryBudget
from kplib.widgets.dial import HybridDial
from kplib.widgets.explorer import ShapeExplorer
from kplib.widgets.product import ProductAnimator

__all__ = [
    "AccuracyExplorer",
    "HybridDial",
    "MemoryBudget",
    "ProductAnimator",
    "ShapeExplorer",
]
