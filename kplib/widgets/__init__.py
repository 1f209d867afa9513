"""Interactive figures that work in JupyterLab and, without a kernel, in the built pages.

Each widget answers one question, which is its caption. All of its logic is in one ES module, so
that a page needs neither a kernel nor a network; Python checks the input and shares the state.

Needs anywidget, of the extra ``book``.
"""

from kplib.errors import MissingExtraError

try:
    import anywidget  # noqa: F401
except ImportError:
    raise MissingExtraError("anywidget", "book") from None

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
