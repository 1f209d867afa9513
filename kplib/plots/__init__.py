"""The book's figures in one style, for light pages and dark ones, for wide screens and phones.

Every function returns a `Picture`: one SVG inside the page whose text and lines take the colour of
the text around it, with a title and a description for those who do not see it. The data have the
colours of `PALETTE`, which read on white and on black and stay apart for colour-blind readers;
markers and labels say the same once more. Importing this module changes no setting of matplotlib.

Needs matplotlib, of the extra ``book``.
"""

from kplib.errors import MissingExtraError

try:
    import matplotlib  # noqa: F401  (only to give the error that names the extra)
except ImportError:
    raise MissingExtraError("matplotlib", "book") from None

from kplib.plots.charts import comparison, training_curves
from kplib.plots.matrices import kron_blocks, product_figure
from kplib.plots.picture import Picture
from kplib.plots.style import MARKERS, PALETTE, technique, use_style

__all__ = [
    "MARKERS",
    "PALETTE",
    "Picture",
    "comparison",
    "kron_blocks",
    "product_figure",
    "technique",
    "training_curves",
    "use_style",
]
