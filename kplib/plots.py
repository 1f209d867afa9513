"""The book's figures in one style, for light pages and dark ones, for wide screens and phones.

Every function returns a `Picture`: one SVG inside the page whose text and lines take the colour of
the text around it, with a title and a description for those who do not see it. The data have the
colours of `PALETTE`, which read on white and on black and stay apart for colour-blind readers;
markers and labels say the same once more. Importing this module changes no setting of matplotlib.

Needs matplotlib, of the extra ``book``.
"""

import hashlib
import io
import re
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from types import MappingProxyType
from typing import Any
from xml.etree import ElementTree

import numpy as np
from numpy.typing import ArrayLike, NDArray

from kplib._checks import matrix, numeric_array, require_finite
from kplib.errors import DtypeError, MissingExtraError, ShapeError
from kplib.shapes import FactorShape

try:
    import matplotlib
    from cycler import cycler
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.patches import FancyBboxPatch
    from matplotlib.ticker import MaxNLocator, PercentFormatter
except ImportError:
    raise MissingExtraError("matplotlib", "book") from None

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

PALETTE: Mapping[str, str] = MappingProxyType(
    {
        "dense": "#616489",
        "kronecker": "#d65705",
        "hybrid": "#9f51bd",
        "low_rank": "#3a58de",
        "pruned": "#0aa08f",
        "small": "#72a136",
        "accent": "#ed135c",
    }
)
"""One colour a meaning. Each has a contrast of at least 3 : 1 to white and to the dark page."""

MARKERS: Mapping[str, str] = MappingProxyType(
    {
        "dense": "o",
        "kronecker": "s",
        "hybrid": "D",
        "low_rank": "^",
        "pruned": "v",
        "small": "P",
        "accent": "X",
    }
)
"""The same meanings without colour."""

# The names of kplib.build's techniques, and how a figure names a meaning.
_TECHNIQUES = {"baseline": "dense", "kp": "kronecker", "hkp": "hybrid", "lmf": "low_rank"}
_LABELS = {
    "dense": "dense",
    "kronecker": "Kronecker (KP)",
    "hybrid": "hybrid (HKP)",
    "low_rank": "low rank",
    "pruned": "pruned",
    "small": "small",
    "accent": "accent",
}

WIDTH = 3.75
"""Inches: at 96 pixels an inch a figure fills a phone at its natural size, with legible text."""

_ENLARGE = 1.3  # on a wide screen
# What is drawn in ink takes the colour of the surrounding text in a page, and is dark on paper.
_INK = "#1b1f24"

_STYLE: Mapping[Any, Any] = MappingProxyType(
    {
        "axes.axisbelow": True,
        "axes.edgecolor": _INK,
        "axes.facecolor": "none",
        "axes.grid": True,
        "axes.labelcolor": _INK,
        "axes.labelsize": 9,
        "axes.linewidth": 0.8,
        "axes.prop_cycle": cycler(color=list(PALETTE.values()), marker=list(MARKERS.values())),
        "axes.spines.right": False,
        "axes.spines.top": False,
        "axes.titlelocation": "left",
        "axes.titlesize": 9.5,
        "axes.unicode_minus": True,
        "figure.constrained_layout.use": True,
        "figure.facecolor": "none",
        "figure.figsize": (WIDTH, 2.6),
        "font.family": ["DejaVu Sans"],
        "font.size": 9,
        "grid.alpha": 0.18,
        "grid.color": _INK,
        "grid.linewidth": 0.7,
        "legend.fontsize": 9,
        "legend.frameon": False,
        "lines.linewidth": 1.8,
        "lines.markersize": 4.5,
        "mathtext.default": "regular",
        "svg.fonttype": "path",
        "svg.hashsalt": "kplib",
        "text.color": _INK,
        "xtick.color": _INK,
        "xtick.labelsize": 8.5,
        "ytick.color": _INK,
        "ytick.labelsize": 8.5,
    }
)


def use_style() -> AbstractContextManager[None]:
    """Return a context in which matplotlib draws in the book's style.

    Outside the ``with`` block all settings are as before.

    Returns
    -------
    context manager

    Examples
    --------
    >>> from matplotlib.figure import Figure
    >>> from kplib import plots
    >>> with plots.use_style():
    ...     figure = Figure()
    ...     _ = figure.subplots().plot([1, 4, 9])
    >>> picture = plots.Picture(figure, "Squares", "The first three squares: 1, 4 and 9.")
    >>> picture.svg.startswith("<svg")
    True
    """
    return matplotlib.rc_context(dict(_STYLE))


def technique(name: str) -> str:
    """Return the key of `PALETTE` that a run is drawn in.

    Parameters
    ----------
    name : str
        A key of `PALETTE`, or a technique of `kplib.build`: baseline, small, pruned, lmf, kp, hkp.

    Returns
    -------
    str

    Raises
    ------
    ValueError
        If the name is neither.

    Examples
    --------
    >>> technique("kp"), technique("baseline"), technique("small")
    ('kronecker', 'dense', 'small')
    """
    key = _TECHNIQUES.get(name, name)
    if key not in PALETTE:
        raise ValueError(f"{name!r} is none of {', '.join([*PALETTE, *_TECHNIQUES])}")
    return key


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
            self.svg = _inline_svg(_saved(figure, "svg").decode(), title, description)
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


def _inline_svg(text: str, title: str, description: str) -> str:
    """Make matplotlib's SVG file an element that can stand in a page, beside others of its kind."""
    root = ElementTree.fromstring(text)
    prefix = "kp" + hashlib.sha256((text + title + description).encode()).hexdigest()[:10]
    used = set(re.findall(r"(?:href=\"#|url\(#)([^\")]+)", text))
    for parent in list(root.iter()):
        for child in list(parent):
            # A style element would change the whole page: the root carries its one rule.
            if child.tag.rpartition("}")[2] in ("style", "metadata"):
                parent.remove(child)
    for element in root.iter():
        element.tag = element.tag.rpartition("}")[2]
        attributes = {name.rpartition("}")[2]: value for name, value in element.attrib.items()}
        identity = attributes.pop("id", None)
        if identity in used:
            attributes["id"] = f"{prefix}-{identity}"
        if attributes.get("href", "").startswith("#"):
            attributes["href"] = f"#{prefix}-{attributes['href'][1:]}"
        element.attrib.clear()
        for name, value in attributes.items():
            value = value.replace("url(#", f"url(#{prefix}-") if "url(#" in value else value
            element.set(name, value.replace(_INK, "currentColor"))
    width, height = (float(v) for v in root.attrib["viewBox"].split()[2:])
    root.attrib.clear()
    root.attrib |= {
        "xmlns": "http://www.w3.org/2000/svg",
        "viewBox": f"0 0 {width:g} {height:g}",
        "role": "img",
        "aria-labelledby": f"{prefix}-title {prefix}-description",
        "stroke-linejoin": "round",
        "style": "display:block;height:auto;margin:0 auto;width:100%;"
        f"max-width:{width * 96 / 72 * _ENLARGE:.0f}px",
    }
    for place, (tag, role, words) in enumerate(
        (("title", "title", title), ("desc", "description", description))
    ):
        node = ElementTree.Element(tag, id=f"{prefix}-{role}")
        node.text = words
        root.insert(place, node)
    return ElementTree.tostring(root, encoding="unicode")


# ---------------------------------------------------------------- matrices

_CELL = 0.27  # inches, high
_GAP = 0.05  # between the blocks of A (x) B
_SIGN = 0.26  # around a sign between two matrices
_MARGIN = 0.06
_CAPTION = 0.24
_NUMBERS_UP_TO = 12


def _number(value: float) -> str:
    text = str(value) if isinstance(value, int) and abs(value) < 10**6 else f"{value:.4g}"
    return text.replace("-", "\u2212")


class _Grid:
    """A matrix to be drawn: entries as text, or as shades where they are many.

    `block` is the shape of the blocks that are set apart, `largest` the most inches, width and
    height, that shades take.
    """

    def __init__(
        self,
        name: str,
        values: NDArray[Any],
        color: str,
        *,
        block: tuple[int, int] = (0, 0),
        largest: tuple[float, float] = (1.5, 1.3),
    ) -> None:
        self.name = name
        self.values = values
        self.color = color
        self.block = block
        rows, cols = values.shape
        self.as_numbers = max(rows, cols) <= _NUMBERS_UP_TO
        self.texts = (
            [[_number(v) for v in row] for row in values.tolist()] if self.as_numbers else []
        )
        longest = max((len(t) for row in self.texts for t in row), default=1)
        self.cell = (max(_CELL, 0.075 * longest + 0.09), _CELL)
        if not self.as_numbers:
            fit = min(largest[0] / cols, largest[1] / rows)
            self.cell = (fit, fit)
        gaps = [
            (size - 1) // step if step else 0
            for size, step in zip((cols, rows), block[::-1], strict=True)
        ]
        self.width = cols * self.cell[0] + gaps[0] * _GAP * self.as_numbers
        self.height = rows * self.cell[1] + gaps[1] * _GAP * self.as_numbers + _CAPTION

    def draw(self, ax: Axes, left: float, top: float) -> None:
        rows, cols = self.values.shape
        ax.text(left, top + 0.12, self.name, ha="left", va="center", style="italic", weight="bold")
        size = f"{rows}×{cols}"
        offset = 0.085 * len(self.name) + 0.1
        if offset + 0.075 * len(size) < self.width + 0.12:
            ax.text(left + offset, top + 0.125, size, ha="left", va="center", fontsize=7.5)
        if self.as_numbers:
            self._draw_numbers(ax, left, top + _CAPTION)
        else:
            self._draw_shades(ax, left, top + _CAPTION)

    def _draw_numbers(self, ax: Axes, left: float, top: float) -> None:
        width, height = self.cell
        for i, row in enumerate(self.texts):
            for j, text in enumerate(row):
                block_row, block_col = (
                    place // step if step else 0
                    for place, step in zip((i, j), self.block, strict=True)
                )
                x = left + j * width + block_col * _GAP
                y = top + i * height + block_row * _GAP
                box = FancyBboxPatch(
                    (x + 0.015, y + 0.015),
                    width - 0.03,
                    height - 0.03,
                    boxstyle="round,pad=0,rounding_size=0.04",
                    facecolor=self.color,
                    alpha=0.28 if (block_row + block_col) % 2 else 0.18,
                    linewidth=0,
                )
                ax.add_patch(box)
                ax.text(
                    x + width / 2,
                    y + height / 2,
                    text,
                    ha="center",
                    va="center_baseline",
                    fontsize=8.5,
                )

    def _draw_shades(self, ax: Axes, left: float, top: float) -> None:
        rows, cols = self.values.shape
        size = np.abs(self.values).astype(float)
        largest = size.max() or 1.0
        colors = np.empty((rows, cols, 4))
        colors[..., :3] = matplotlib.colors.to_rgb(self.color)
        colors[self.values < 0, :3] = matplotlib.colors.to_rgb(PALETTE["low_rank"])
        colors[..., 3] = 0.05 + 0.95 * (size / largest) ** 0.6  # keeps small entries visible
        extent = (left, left + cols * self.cell[0], top + rows * self.cell[1], top)
        ax.imshow(colors, extent=extent, interpolation="nearest", aspect="auto")


Line = Sequence["_Grid | str"]


def _line_width(line: Line) -> float:
    return sum(_SIGN if isinstance(part, str) else part.width for part in line)


def _line_height(line: Line) -> float:
    return max(_CAPTION if isinstance(part, str) else part.height for part in line)


def _matrix_lines(lines: Sequence[tuple[str, Line]]) -> Figure:
    """Draw lines of matrices and signs, each with a heading; data units are inches."""
    width = max(WIDTH, *(_line_width(line) + 2 * _MARGIN for _, line in lines))
    heights = [_line_height(line) + (_CAPTION if heading else 0.0) for heading, line in lines]
    height = sum(heights) + 0.12 * (len(lines) - 1) + 2 * _MARGIN
    with use_style():
        figure = Figure(figsize=(width, height))
        figure.set_layout_engine("none")
        ax = figure.add_axes((0, 0, 1, 1))
        top = _MARGIN
        for (heading, line), line_height in zip(lines, heights, strict=True):
            if heading:
                ax.text(_MARGIN, top + 0.1, heading, ha="left", va="center", weight="bold")
            _draw_line(ax, line, top + (_CAPTION if heading else 0.0))
            top += line_height + 0.12
        # Last, because drawing an image sets limits of its own.
        ax.set(xlim=(0, width), ylim=(height, 0))
        ax.set_axis_off()
    return figure


def _draw_line(ax: Axes, line: Line, top: float) -> None:
    left = _MARGIN
    for place, part in enumerate(line):
        if isinstance(part, str):
            # A sign stands at the middle of the lower one of its neighbours.
            beside = [
                p.height for p in line[max(0, place - 1) : place + 2] if not isinstance(p, str)
            ]
            middle = top + (min(beside) + _CAPTION) / 2
            ax.text(left + _SIGN / 2, middle, part, ha="center", va="center", fontsize=11)
            left += _SIGN
        else:
            part.draw(ax, left, top)
            left += part.width


def _in_words(values: NDArray[Any]) -> str:
    """Return the rows of a small matrix as text."""
    return "; ".join(" ".join(_number(v) for v in row) for row in np.atleast_2d(values).tolist())


def _real_matrix(name: str, value: ArrayLike) -> NDArray[Any]:
    array = matrix(name, value)
    if array.dtype.kind == "c":
        raise DtypeError(f"{name} has dtype {array.dtype}; a figure shows real numbers")
    require_finite(name, array)
    return array.astype(np.int64) if array.dtype.kind == "b" else array


def kron_blocks(A: ArrayLike, B: ArrayLike) -> Picture:
    """Draw A (x) B with its blocks A[i, j] B.

    Up to 12 rows and columns a matrix shows its numbers; a larger one shades: the larger the
    entry, the stronger, orange where it is positive and blue where it is negative.

    Parameters
    ----------
    A : array_like, shape (m1, n1)
        Left factor, real.
    B : array_like, shape (m2, n2)
        Right factor, real.

    Returns
    -------
    Picture

    Raises
    ------
    ShapeError
        If a factor is no matrix, or the product has more than 1024 rows or columns.
    DtypeError
        If a factor is complex or not numeric.

    Examples
    --------
    >>> kron_blocks([[1, 2]], [[1, 0], [3, 1]])
    Kronecker product of a 1×2 and a 2×2 matrix. A is 1 2. B is 1 0; 3 1. W = A ⊗ B is 2×4, ...
    """
    A, B = _real_matrix("A", A), _real_matrix("B", B)
    W = np.kron(A, B)
    if max(W.shape) > 1024:
        raise ShapeError(f"A {A.shape} and B {B.shape} make {W.shape}; a figure shows 1024 at most")
    orange, slate = PALETTE["kronecker"], PALETTE["dense"]
    factors: Line = [_Grid("A", A, orange), "⊗", _Grid("B", B, orange), "="]
    readable = max(W.shape) <= _NUMBERS_UP_TO
    full = WIDTH - 2 * _MARGIN
    product = _Grid("W", W, slate if readable else orange, block=B.shape, largest=(full, full))
    together = _line_width([*factors, product]) + 2 * _MARGIN <= WIDTH
    lines: list[tuple[str, Line]] = (
        [("", [*factors, product])] if together else [("", factors), ("", [product])]
    )
    sizes = [f"{M.shape[0]}×{M.shape[1]}" for M in (A, B, W)]
    if readable:
        what = (
            f"A is {_in_words(A)}. B is {_in_words(B)}. W = A ⊗ B is {sizes[2]}, "
            f"a copy of B for each entry of A, times that entry: {_in_words(W)}."
        )
    else:
        what = (
            f"W = A ⊗ B is {sizes[2]}: {A.shape[0]} rows of {A.shape[1]} blocks, each a copy of B "
            "times one entry of A. Strong shades are large entries, blue ones negative."
        )
    title = f"Kronecker product of a {sizes[0]} and a {sizes[1]} matrix"
    return Picture(_matrix_lines(lines), title, what)


def product_figure(A: ArrayLike, B: ArrayLike, x: ArrayLike) -> Picture:
    """Draw y = (A (x) B) x in both ways: with the whole matrix and with two small products.

    It stands for `kplib.widgets.ProductAnimator` where nothing can move. The small products are
    taken in the order with fewer multiplications.

    Parameters
    ----------
    A : array_like, shape (m1, n1)
        Left factor, real.
    B : array_like, shape (m2, n2)
        Right factor, real. Both m1 * m2 and n1 * n2 are at most 12.
    x : array_like, shape (n1 * n2,)
        The vector, real.

    Returns
    -------
    Picture

    Raises
    ------
    ShapeError
        If the sizes do not fit together or are above 12.
    DtypeError
        If an entry is complex or not a number.

    Notes
    -----
    Source of the identity: the Kronecker-product recurrent-network papers' algorithm 1, here in
    row-major order: Y = A X B^T.

    Examples
    --------
    >>> picture = product_figure([[1, 2], [0, 1], [3, -1]], [[1, 0, 2], [2, 1, 1]], range(6))
    >>> "36 multiplications" in picture.description and "12 + 12 = 24" in picture.description
    True
    """
    A, B = _real_matrix("A", A), _real_matrix("B", B)
    x = _real_matrix("x", np.atleast_2d(numeric_array("x", x)))
    shape = FactorShape(*A.shape, *B.shape)
    if max(shape.m, shape.n) > _NUMBERS_UP_TO:
        raise ShapeError(
            f"A {A.shape} and B {B.shape} make a {shape.m} x {shape.n} matrix; the figure shows "
            f"at most {_NUMBERS_UP_TO} x {_NUMBERS_UP_TO}"
        )
    if x.shape != (1, shape.n):
        raise ShapeError(
            f"x has shape {x.shape[-1:] if x.shape[0] == 1 else x.shape}, but A {A.shape} and "
            f"B {B.shape} need ({shape.n1} * {shape.n2},) = ({shape.n},)"
        )
    W, X = np.kron(A, B), x.reshape(shape.n1, shape.n2)
    y = W @ x.T
    orange, slate = PALETTE["kronecker"], PALETTE["dense"]

    def grid(name: str, values: NDArray[Any], color: str = orange) -> _Grid:
        return _Grid(name, values, color)

    if shape.order == "b_first":
        T = X @ B.T
        counts = (shape.n1 * shape.n2 * shape.m2, shape.m1 * shape.n1 * shape.m2)
        operands = [("X", X), ("B\u1d40", B.T), ("T", T), ("A", A), ("T", T)]
    else:
        T = A @ X
        counts = (shape.m1 * shape.n1 * shape.n2, shape.m1 * shape.n2 * shape.m2)
        operands = [("A", A), ("X", X), ("T", T), ("T", T), ("B\u1d40", B.T)]
    one, two, three, four, five = (grid(name.replace("\u1d40", "$^T$"), M) for name, M in operands)
    Y = y.reshape(shape.m1, shape.m2)
    whole_line: Line = [
        _Grid("W", W, slate, block=B.shape), "·", grid("x", x.T, slate), "=", grid("y", y, slate)
    ]  # fmt: skip
    lines: list[tuple[str, Line]] = [
        (f"The whole matrix: {shape.m * shape.n} multiplications", whole_line),
        (
            f"Two small products: {counts[0]} + {counts[1]} = {sum(counts)}",
            [one, "·", two, "=", three],
        ),
        ("", [four, "·", five, "=", grid("Y", Y)]),
    ]
    description = (
        f"With the whole matrix, W x takes {shape.m * shape.n} multiplications. With two small "
        f"products it takes {counts[0]} + {counts[1]} = {sum(counts)}: X, which is x written row "
        f"by row, is {_in_words(X)}; {operands[0][0]} times {operands[1][0]} is "
        f"T = {_in_words(T)}; {operands[3][0]} times {operands[4][0]} is "
        f"Y = {_in_words(Y)}. Y read row by row is y = {_in_words(y.T)}, the same as W x."
    )
    return Picture(_matrix_lines(lines), "y = (A ⊗ B) x in two ways", description)


# ---------------------------------------------------------------- results


def _label(name: str, labels: Mapping[str, str] | None) -> str:
    return (labels or {}).get(name, _LABELS[technique(name)])


def training_curves(
    records: Mapping[str, Sequence[float]],
    *,
    labels: Mapping[str, str] | None = None,
    measure: str = "Accuracy",
) -> Picture:
    """Draw the accuracy of several runs after each epoch.

    Parameters
    ----------
    records : mapping of str to sequence of float
        For each run, by its technique (see `technique`), the accuracy after each epoch, 0 to 1.
    labels : mapping of str to str, optional
        Other names for the legend.
    measure : str
        What is measured: "Accuracy" or, say, "Validation accuracy".

    Returns
    -------
    Picture

    Raises
    ------
    ValueError
        If there is no run, a run has no epochs or a value outside 0 to 1, or a name has no colour.

    Examples
    --------
    >>> picture = training_curves({"dense": [0.5, 0.9], "kp": [0.4, 0.8]})
    >>> "Kronecker (KP): 40.0% after epoch 1, 80.0% after epoch 2" in picture.description
    True
    """
    if not records:
        raise ValueError("there are no runs to draw")
    with use_style():
        figure = Figure()
        ax = figure.subplots()
        words = []
        for name, values in records.items():
            curve = _values(f"records[{name!r}]", values, upper=1.0)
            key, epochs = technique(name), np.arange(1, len(curve) + 1)
            label = _label(name, labels)
            ax.plot(
                epochs,
                curve,
                color=PALETTE[key],
                marker=MARKERS[key],
                markevery=max(1, len(curve) // 8),
                label=label,
                clip_on=False,
            )
            words.append(
                f"{label}: {curve[0]:.1%} after epoch 1, {curve[-1]:.1%} after epoch {len(curve)}, "
                f"at best {curve.max():.1%}"
            )
        ax.set(xlabel="Epoch", title=measure)
        ax.xaxis.set_major_locator(MaxNLocator(integer=True, nbins=6))
        ax.yaxis.set_major_formatter(PercentFormatter(1.0, decimals=0))
        ax.set_ylim(top=min(1.0, ax.get_ylim()[1]))
        ax.legend(loc="lower right")
    return Picture(figure, f"{measure} after each epoch", "; ".join(words) + ".")


def comparison(
    parameters: Mapping[str, float],
    accuracies: Mapping[str, Sequence[float]],
    seconds: Mapping[str, float],
    *,
    labels: Mapping[str, str] | None = None,
) -> Picture:
    """Draw size, accuracy and time of several networks, one above the other.

    Bars start at zero. Accuracy is drawn as one dot a run and a line at the mean, because a
    difference smaller than the spread of the runs is none.

    Parameters
    ----------
    parameters : mapping of str to int
        Parameters of each network, by its technique (see `technique`).
    accuracies : mapping of str to sequence of float
        Accuracies of its runs, 0 to 1.
    seconds : mapping of str to float
        Time of one inference, in seconds.
    labels : mapping of str to str, optional
        Other names.

    Returns
    -------
    Picture

    Raises
    ------
    ValueError
        If the three do not name the same networks, or a value is negative or not finite.

    Examples
    --------
    >>> picture = comparison(
    ...     {"dense": 1600, "kp": 200}, {"dense": [0.97, 0.98], "kp": [0.95]},
    ...     {"dense": 2e-5, "kp": 5e-6},
    ... )
    >>> "Kronecker (KP): 200 parameters, 95.0% in 1 run, 5 µs" in picture.description
    True
    """
    names = list(parameters)
    if not names or not names == list(accuracies) == list(seconds):
        raise ValueError(
            f"the three need the same networks in the same order: parameters has {names}, "
            f"accuracies {list(accuracies)}, seconds {list(seconds)}"
        )
    sizes = _values("parameters", list(parameters.values()))
    times = _values("seconds", list(seconds.values()))
    runs = [_values(f"accuracies[{name!r}]", accuracies[name], upper=1.0) for name in names]
    unit, scale = _time_unit(times.max())
    shown = [_label(name, labels) for name in names]
    height = 0.62 + 0.27 * len(names)
    with use_style():
        figure = Figure(figsize=(WIDTH, 3 * height))
        panels = figure.subplots(3, 1)
        _bars(panels[0], "Parameters", names, sizes, lambda v: f"{v:,.0f}")
        _dots(panels[1], "Accuracy", names, runs)
        _bars(panels[2], f"Time of one inference ({unit})", names, times * scale, "{:.3g}".format)
        for ax in panels:
            ax.set_yticks(range(len(names)), shown)
            ax.set_ylim(len(names) - 0.4, -0.6)
            ax.tick_params(axis="y", length=0)
            ax.grid(visible=False, axis="y")
            ax.spines["left"].set_visible(False)
    words = [
        f"{label}: {size:,.0f} parameters, {values.mean():.1%} in {len(values)} "
        f"{'run' if len(values) == 1 else 'runs'}, {time * scale:.3g} {unit}"
        for label, size, values, time in zip(shown, sizes, runs, times, strict=True)
    ]
    return Picture(figure, "Size, accuracy and time", "; ".join(words) + ".")


def _bars(
    ax: Axes, title: str, names: Sequence[str], values: NDArray[Any], text: Callable[[float], str]
) -> None:
    """Draw horizontal bars from zero, with the value at the end of each."""
    colors = [PALETTE[technique(name)] for name in names]
    ax.barh(range(len(names)), values, height=0.62, color=colors)
    for place, value in enumerate(values):
        ax.annotate(
            text(float(value)), (value, place), (4, 0), textcoords="offset points", va="center"
        )
    ax.set_title(title)
    ax.set_xlim(0, 1.22 * (values.max() or 1.0))
    ax.grid(visible=False)
    ax.xaxis.set_visible(False)
    ax.spines["bottom"].set_visible(False)


def _dots(ax: Axes, title: str, names: Sequence[str], runs: Sequence[NDArray[Any]]) -> None:
    """Draw one dot a run and a line at the mean, with the mean's value at the right."""
    every = np.concatenate(runs)
    margin = max(0.004, 0.18 * (every.max() - every.min()))
    for place, (name, values) in enumerate(zip(names, runs, strict=True)):
        key = technique(name)
        ax.plot(values, np.full(len(values), place), MARKERS[key], color=PALETTE[key], alpha=0.75)
        ax.plot([values.mean()] * 2, [place - 0.3, place + 0.3], "-", color=PALETTE[key], lw=2.2)
        ax.annotate(
            f"{values.mean():.1%}",
            (1, place),
            (4, 0),
            xycoords=("axes fraction", "data"),
            textcoords="offset points",
            va="center",
            annotation_clip=False,
        )
    ax.set_title(title)
    ax.set_xlim(max(0.0, every.min() - margin), min(1.0 + margin / 2, every.max() + margin))
    ax.xaxis.set_major_locator(MaxNLocator(nbins=4))
    ax.xaxis.set_major_formatter(PercentFormatter(1.0, decimals=1))


def _values(name: str, values: Sequence[float], upper: float = np.inf) -> NDArray[np.float64]:
    """Return non-negative finite values as an array of one axis."""
    array = np.asarray(values, np.float64)
    if array.ndim != 1 or array.size == 0:
        raise ValueError(f"{name} must be a sequence of numbers, found shape {array.shape}")
    require_finite(name, array)
    if array.min() < 0 or array.max() > upper:
        raise ValueError(f"{name} has {array.min():g} to {array.max():g}, outside 0 to {upper:g}")
    return array


def _time_unit(seconds: float) -> tuple[str, float]:
    """Return the unit in which a time reads well, and how many of it make a second."""
    for unit, scale in (("s", 1.0), ("ms", 1e3), ("µs", 1e6)):
        if seconds * scale >= 1:
            return unit, scale
    return "ns", 1e9
