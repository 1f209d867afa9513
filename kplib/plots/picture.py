"""A figure as a page takes it: SVG with a title and a description, and PNG for print."""

import io
from typing import Any

import matplotlib
from matplotlib.figure import Figure

from kplib.plots.svg import inline_svg


class Picture:
    """A matplotlib figure, ready for a page: follows its theme, and says what it shows.

    Parameters
    ----------
    figure : matplotlib.figure.Figure
        Drawn under `use_style`; it is rendered once, now.
    title : str
        What the figure is, in a few words.
    description : str
        What it shows, for a reader who does not see it: the numbers, not the look.

    Attributes
    ----------
    svg : str
        The figure as an ``<svg>`` element to put inside a page.
    png : bytes
        The figure on white, for print, in 200 pixels an inch.
    figure, title, description
        As given.

    Notes
    -----
    In a notebook an object of this class is shown by being the last line of a cell. An ``<img>``
    cannot take over the colour of a page's text, so the page gets the SVG itself.

    Examples
    --------
    >>> import matplotlib.pyplot as plt
    >>> from kplib.plots import Picture, use_style
    >>> with use_style():
    ...     figure, axes = plt.subplots(figsize=(3.75, 2))
    ...     line = axes.plot([1, 2, 4, 8])
    >>> picture = Picture(figure, title="Powers of 2", description="Each is twice the last.")
    >>> "Each is twice the last" in picture.svg and b"PNG" in picture.png[:4]
    True
    """

    def __init__(self, figure: Figure, title: str, description: str) -> None:
        if not title.strip() or not description.strip():
            raise ValueError("a picture needs a title and a description")
        self.figure = figure
        self.title = title
        self.description = description
        # Fixed: the same figure gives the same bytes, so that a built page stays the same.
        with matplotlib.rc_context(
            {"svg.fonttype": "path", "svg.hashsalt": "kplib", "savefig.bbox": None}
        ):
            self.svg = inline_svg(_saved(figure, "svg").decode(), title, description)
            self.png = _saved(figure, "png", facecolor="white", dpi=200)

    def __repr__(self) -> str:
        return f"{self.title}. {self.description}"

    def _repr_mimebundle_(
        self, include: object = None, exclude: object = None
    ) -> dict[str, str | bytes]:
        page = f'<div class="kplib-figure">{self.svg}</div>'
        return {"text/html": page, "image/png": self.png, "text/plain": repr(self)}


def _saved(figure: Figure, form: str, **options: Any) -> bytes:
    buffer = io.BytesIO()
    # Without any metadata matplotlib leaves out the RDF block, which is not valid inside a page.
    if form == "svg":
        options["metadata"] = dict.fromkeys(("Creator", "Date", "Format", "Type"))
        options["transparent"] = True
    figure.savefig(buffer, format=form, **options)
    return buffer.getvalue()
