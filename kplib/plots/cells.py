"""The data flow of a recurrent cell, what its gates do on an image, how well cells learn."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Circle, FancyBboxPatch, Rectangle
from matplotlib.ticker import MaxNLocator, PercentFormatter
from numpy.typing import ArrayLike, NDArray

from kplib._checks import matrix, require_finite
from kplib.errors import ShapeError
from kplib.plots.grid import MARGIN
from kplib.plots.pattern import mark_negative
from kplib.plots.picture import Picture
from kplib.plots.style import INK, MARKERS, PALETTE, WIDTH, technique, use_style

# ---------------------------------------------------------------- data flow

# Inches, upwards from the lower edge: the lines of x_t and h, and the gates that read both.
_X_LINE, _H_LINE, _GATES = 0.2, 0.46, 1.0
_LEFT, _RIGHT = 0.52, WIDTH - 0.38
_BOX = (0.56, 0.34)
_NODE = 0.11  # radius

_NEW = PALETTE["kronecker"]


class _Flow:
    """Boxes, nodes and wires of a cell up to a stage; what the last stage adds is coloured."""

    def __init__(self, ax: Axes, stage: int) -> None:
        self.ax = ax
        self.stage = stage

    def _look(self, since: int, until: int | None) -> tuple[str, float] | None:
        """Return colour and line width of a part, or None if this stage does not have it."""
        if self.stage < since or (until is not None and self.stage >= until):
            return None
        return (_NEW, 1.8) if since == self.stage else (INK, 1.0)

    def box(self, x: float, y: float, text: str, since: int) -> None:
        """Draw a gate: its matrix and its nonlinearity."""
        if look := self._look(since, None):
            color, width = look
            (w, h), pad = _BOX, 0.04
            corner = (x - w / 2 + pad, y - h / 2 + pad)
            style = f"round,pad={pad}"
            size = (w - 2 * pad, h - 2 * pad)
            self.ax.add_patch(
                FancyBboxPatch(
                    *(corner, *size), boxstyle=style, facecolor=color, alpha=0.14, linewidth=0
                )
            )
            self.ax.add_patch(
                FancyBboxPatch(
                    *(corner, *size), boxstyle=style, fill=False, edgecolor=color, linewidth=width
                )
            )
            self.text(x, y, text, since)

    def node(self, x: float, y: float, sign: str, since: int, until: int | None = None) -> None:
        """Draw an operation on two wires that meet: entrywise product, or sum."""
        if look := self._look(since, until):
            color, width = look
            circle = Circle((x, y), _NODE, fill=False, edgecolor=color, linewidth=width)
            self.ax.add_patch(circle)
            arm = 0.06
            if sign == "+":
                for dx, dy in ((arm, 0), (0, arm)):
                    self._line([(x - dx, y - dy), (x + dx, y + dy)], color, width)
            else:
                self.ax.add_patch(Circle((x, y), 0.028, color=color, linewidth=0))

    def wire(self, *points: tuple[float, float], since: int, until: int | None = None) -> None:
        """Draw a line through points, with an arrow at its end."""
        if look := self._look(since, until):
            self._line(points[:-1], *look)
            color, width = look
            self.ax.annotate(
                "",
                points[-1],
                points[-2],
                arrowprops={
                    "arrowstyle": "-|>,head_length=0.35,head_width=0.16",
                    "color": color,
                    "linewidth": width,
                    "shrinkA": 0,
                    "shrinkB": 0,
                },
            )

    def line(self, *points: tuple[float, float], since: int = 0) -> None:
        """Draw a line through points, without an arrow."""
        if look := self._look(since, None):
            self._line(points, *look)

    def dot(self, x: float, y: float, since: int, until: int | None = None) -> None:
        """Mark a place where a wire leaves a line."""
        if look := self._look(since, until):
            self.ax.add_patch(Circle((x, y), 0.035, color=look[0], linewidth=0))

    def text(
        self, x: float, y: float, text: str, since: int = 0, until: int | None = None, **how: Any
    ) -> None:
        """Write what flows here; formulas are between dollar signs."""
        if self._look(since, until):
            self.ax.text(x, y, text, **{"ha": "center", "va": "center", **how})

    def _line(self, points: Any, color: str, width: float) -> None:
        if len(points) > 1:
            self.ax.plot(
                *zip(*points, strict=True), color=color, lw=width, marker="", solid_capstyle="butt"
            )

    # parts that several cells share

    def inputs(self) -> None:
        """Draw the lines of x_t and of h_{t-1}, along the lower edge."""
        for y, name in ((_X_LINE, "$x_t$"), (_H_LINE, "$h_{t-1}$")):
            self.text(0.24, y, name)
        self.line((_LEFT - 0.04, _X_LINE), (_RIGHT - 0.15, _X_LINE))
        self.line((_LEFT - 0.04, _H_LINE), (_RIGHT - 0.15, _H_LINE))

    def gate(
        self, x: float, text: str, name: str, since: int, *, reads: tuple[str, ...] = ("x", "h")
    ) -> None:
        """Draw a gate on both lines, or on one, and the name of what comes out of it."""
        bottom = _X_LINE if "x" in reads else _H_LINE
        self.wire((x, bottom), (x, _GATES - _BOX[1] / 2), since=since)
        for line, y in (("x", _X_LINE), ("h", _H_LINE)):
            if line in reads:
                self.dot(x, y, since)
        self.box(x, _GATES, text, since)
        if name:
            self.text(x - 0.06, _GATES + 0.28, name, since, ha="right")


def _rnn(flow: _Flow) -> None:
    flow.inputs()
    x, right = 1.8, _RIGHT - 0.05
    flow.gate(x, r"$W$  tanh", "", 1)
    flow.wire((x + _BOX[0] / 2 + 0.02, _GATES), (right, _GATES), since=1)
    flow.text(WIDTH - 0.22, _GATES, "$h_t$", 1)


def _lstm(flow: _Flow) -> None:
    f, i, g, o, out = 0.84, 1.47, 2.1, 2.73, 3.06
    top, middle = 1.98, 1.56
    flow.inputs()
    flow.text(0.24, top, "$c_{t-1}$")
    flow.text(WIDTH - 0.2, top, "$c_t$")
    flow.gate(f, r"$W_f$  σ", "$f$", 1)
    flow.wire((f, _GATES + 0.19), (f, top - _NODE), since=1)
    flow.node(f, top, "*", 1)
    flow.wire((_LEFT - 0.06, top), (f - _NODE, top), since=1)
    flow.wire((f + _NODE, top), (_RIGHT, top), since=1, until=2)
    flow.gate(i, r"$W_i$  σ", "$i$", 2)
    flow.gate(g, r"$W_g$ tanh", "$g$", 2)
    flow.wire((g, _GATES + 0.19), (g, middle - _NODE), since=2)
    flow.wire((i, _GATES + 0.19), (i, middle), (g - _NODE, middle), since=2)
    flow.node(g, middle, "*", 2)
    flow.wire((g, middle + _NODE), (g, top - _NODE), since=2)
    flow.node(g, top, "+", 2)
    flow.wire((f + _NODE, top), (g - _NODE, top), since=2)
    flow.wire((g + _NODE, top), (_RIGHT, top), since=2)
    flow.gate(o, r"$W_o$  σ", "$o$", 3)
    node = (out, middle - 0.18)
    flow.wire((out, top), (out, node[1] + _NODE), since=3)
    flow.dot(out, top, 3)
    flow.text(out - 0.05, top - 0.18, "tanh", 3, ha="right", fontsize=8)
    flow.wire((o, _GATES + 0.19), (o, node[1]), (out - _NODE, node[1]), since=3)
    flow.node(*node, "*", 3)
    flow.wire((out + _NODE, node[1]), (_RIGHT, node[1]), since=3)
    flow.text(WIDTH - 0.2, node[1], "$h_t$", 3)


def _gru(flow: _Flow, *, reset_after: bool = False) -> None:
    z, r, reset, n = 0.88, 1.52, 2.16, 2.86
    top, mix, level = 2.2, 1.84, 1.38 if reset_after else _GATES
    flow.inputs()
    flow.text(WIDTH - 0.2, top, "$h_t$")
    # 1: the candidate alone, an RNN
    flow.dot(n, _X_LINE, 1)
    flow.dot(n, _H_LINE, 1, until=3)
    half = _BOX[1] / 2
    flow.wire((n, _X_LINE), (n, level - half), since=1)
    flow.box(n, level, "tanh" if reset_after and flow.stage == 3 else r"$W_n$ tanh", 1)
    flow.text(n + 0.06, level + 0.26, "$n$", 1, ha="left")
    flow.wire((n, level + half + 0.02), (n, top), (_RIGHT, top), since=1, until=2)
    # 2: the update gate mixes it with the old state
    flow.gate(z, r"$W_z$  σ", "$z$", 2)
    flow.line((_LEFT + 0.02, _H_LINE), (_LEFT + 0.02, top), since=2)
    flow.dot(_LEFT + 0.02, _H_LINE, 2)
    flow.wire((_LEFT + 0.02, top), (z - _NODE, top), since=2)
    flow.wire((z, _GATES + 0.19), (z, top - _NODE), since=2)
    flow.node(z, top, "*", 2)
    flow.dot(z, mix, 2)
    flow.wire((z, mix), (n - _NODE, mix), since=2)
    flow.text((z + n) / 2, mix + 0.12, "$1 - z$", 2)
    flow.wire((n, level + half + 0.02), (n, mix - _NODE), since=2)
    flow.node(n, mix, "*", 2)
    flow.wire((n, mix + _NODE), (n, top - _NODE), since=2)
    flow.node(n, top, "+", 2)
    flow.wire((z + _NODE, top), (n - _NODE, top), since=2)
    flow.wire((n + _NODE, top), (_RIGHT, top), since=2)
    # 3: the reset gate acts on what the candidate sees of the old state
    flow.gate(r, r"$W_r$  σ", "" if not reset_after else "$r$", 3)
    if reset_after:
        flow.wire((n, _X_LINE), (n, level - half), since=3)
        flow.text(n + 0.06, _GATES - 0.1, "$W_{nx}$", 3, ha="left")
        flow.gate(reset, "$W_{nh}$", "", 3, reads=("h",))
        flow.wire((reset, _GATES + 0.19), (reset, level - _NODE), since=3)
        flow.wire((r, _GATES + 0.19), (r, level), (reset - _NODE, level), since=3)
        flow.node(reset, level, "*", 3)
    else:
        flow.text(r + 0.36, level + 0.12, "$r$", 3)
        flow.wire((r + _BOX[0] / 2 + 0.02, level), (reset - _NODE, level), since=3)
        flow.node(reset, level, "*", 3)
        flow.dot(reset, _H_LINE, 3)
        flow.wire((reset, _H_LINE), (reset, level - _NODE), since=3)
    flow.wire((reset + _NODE, level), (n - _BOX[0] / 2 - 0.02, level), since=3)


def _fastrnn(flow: _Flow) -> None:
    keep, n = 1.3, 2.4
    top, middle = 2.0, 1.52
    flow.inputs()
    flow.text(WIDTH - 0.2, top, "$h_t$")
    flow.gate(n, r"$W$  tanh", "", 1)
    flow.wire((n, _GATES + 0.19), (n, top), (_RIGHT, top), since=1, until=2)
    flow.line((_LEFT + 0.02, _H_LINE), (_LEFT + 0.02, top), since=2)
    flow.dot(_LEFT + 0.02, _H_LINE, 2)
    flow.wire((_LEFT + 0.02, top), (keep - _NODE, top), since=2)
    flow.node(keep, top, "*", 2)
    flow.text(keep, top - 0.24, "σ(β)", 2)
    flow.wire((n, _GATES + 0.19), (n, middle - _NODE), since=2)
    flow.node(n, middle, "*", 2)
    flow.text(n - 0.18, middle, "σ(α)", 2, ha="right")
    flow.wire((n, middle + _NODE), (n, top - _NODE), since=2)
    flow.node(n, top, "+", 2)
    flow.wire((keep + _NODE, top), (n - _NODE, top), since=2)
    flow.wire((n + _NODE, top), (_RIGHT, top), since=2)


def _gru_reset_after(flow: _Flow) -> None:
    _gru(flow, reset_after=True)


# For each cell: its name, what draws it, the height in inches, and what each stage computes.
_GRU_STAGES = (
    "the candidate alone, an RNN: h_t = n = tanh(W_n [x_t; h])",
    "the update gate z = sigma(W_z [x_t; h]) mixes: h_t = (1 - z) * n + z * h",
)
_CELLS: Mapping[str, tuple[str, Callable[[_Flow], None], float, tuple[str, ...]]] = {
    "rnn": ("RNN", _rnn, 1.32, ("one matrix: h_t = tanh(W [x_t; h])",)),
    "lstm": (
        "LSTM",
        _lstm,
        2.2,
        (
            "the forget gate f = sigma(W_f [x_t; h]) scales the cell state: c_t = f * c",
            "the input gate i = sigma(W_i [x_t; h]) lets in a candidate g = tanh(W_g [x_t; h]): "
            "c_t = f * c + i * g",
            "the output gate o = sigma(W_o [x_t; h]) shows the cell state: h_t = o * tanh(c_t)",
        ),
    ),
    "gru": (
        "GRU",
        _gru,
        2.42,
        (
            *_GRU_STAGES,
            "the reset gate r = sigma(W_r [x_t; h]) acts before the product: "
            "n = tanh(W_n [x_t; r * h])",
        ),
    ),
    "gru_reset_after": (
        "GRU of PyTorch",
        _gru_reset_after,
        2.42,
        (
            *_GRU_STAGES,
            "the reset gate r = sigma(W_r [x_t; h]) acts after the product: "
            "n = tanh(W_nx x_t + r * (W_nh h))",
        ),
    ),
    "fastrnn": (
        "FastRNN",
        _fastrnn,
        2.22,
        (
            "one matrix, an RNN: h_t = tanh(W [x_t; h])",
            "two trained numbers weigh the old state against the new one: "
            "h_t = sigma(alpha) * tanh(W [x_t; h]) + sigma(beta) * h",
        ),
    ),
}


def cell_flow(cell: str, stage: int | None = None) -> Picture:
    """Draw what one step of a recurrent cell computes, as it grows gate by gate.

    Boxes are gate matrices with their nonlinearity, circles operations entry by entry: with a dot
    the product, with a plus the sum. What the stage adds is drawn in colour, with thicker lines;
    biases are left out.

    Parameters
    ----------
    cell : {"rnn", "lstm", "gru", "gru_reset_after", "fastrnn"}
        Which cell. The GRU resets before the product, or, as PyTorch's, after it.
    stage : int, optional
        How far it has grown, from 1 on: an RNN has one stage, a FastRNN two (the matrix; both
        numbers), an LSTM three (f; i and g; o), a GRU three (n; z; r). By default the whole.

    Returns
    -------
    Picture

    Raises
    ------
    ValueError
        If the cell is not known, or has no such stage.

    Examples
    --------
    >>> "c_t = f * c + i * g" in cell_flow("lstm", 2).description
    True
    >>> "h_t" in cell_flow("lstm", 2).description
    False
    """
    if cell not in _CELLS:
        raise ValueError(f"cell is {cell!r}, but must be one of {', '.join(_CELLS)}")
    name, draw, height, stages = _CELLS[cell]
    stage = len(stages) if stage is None else stage
    if stage not in range(1, len(stages) + 1):
        raise ValueError(f"stage is {stage!r}, but an {name} has stages 1 to {len(stages)}")
    with use_style():
        figure = Figure(figsize=(WIDTH, height))
        figure.set_layout_engine("none")
        ax = figure.add_axes((0, 0, 1, 1))
        draw(_Flow(ax, stage))
        ax.set(xlim=(0, WIDTH), ylim=(0, height))
        ax.set_axis_off()
    words = "; then ".join(stages[:stage])
    grown = f", stage {stage} of {len(stages)}" if len(stages) > 1 else ""
    return Picture(figure, f"One step of the {name}{grown}", f"{words}.")


# ---------------------------------------------------------------- activations

_CAPTION = 0.26
_AXIS = 0.3  # of the steps' numbers, at the left
_BETWEEN = 0.16
_A_ROW = 3
_LARGEST_CELL = 0.2
_NUMBER = 0.125  # from one step's number to the next
_NAME = 0.5  # room for a name over a narrow panel


def gate_activations(image: ArrayLike, gates: Mapping[str, ArrayLike]) -> Picture:
    """Draw an image that a network read row by row, beside what its gates did at each row.

    Rows are steps, columns pixels or units. A full shade is 1; negative values are blue and carry
    a bar.

    Parameters
    ----------
    image : array_like, shape (steps, pixels)
        What was read, drawn relative to its largest entry.
    gates : mapping of str to array_like, shape (steps, units)
        The values of each gate or state by its name, -1 to 1.

    Returns
    -------
    Picture

    Raises
    ------
    ShapeError
        If there are no gates, or they have not as many rows as the image.
    ValueError
        If a gate has a value outside -1 to 1.

    Examples
    --------
    >>> picture = gate_activations([[0, 4], [2, 0]], {"f": [[0.5, 1], [0.75, 0.75]]})
    >>> "f: mean 0.75, from 0.50 to 1.00" in picture.description
    True
    """
    pixels = matrix("image", image).astype(np.float64)
    require_finite("image", pixels)
    values = {name: matrix(name, each).astype(np.float64) for name, each in gates.items()}
    if not values or any(len(each) != len(pixels) for each in values.values()):
        found = ", ".join(f"{name} {each.shape}" for name, each in values.items()) or "none"
        raise ShapeError(f"gates need {len(pixels)} rows, as the image has; found {found}")
    for name, each in values.items():
        require_finite(name, each)
        if np.abs(each).max() > 1:
            raise ValueError(f"{name} has {np.abs(each).max():g}, outside -1 to 1")
    panels = {"pixels": pixels / (np.abs(pixels).max() or 1.0)} | values
    widest = max(each.shape[1] for each in panels.values())
    cell = min(_LARGEST_CELL, (WIDTH - _AXIS - MARGIN - 2 * _BETWEEN) / (_A_ROW * widest))
    lines = -(-len(panels) // _A_ROW)
    line = _CAPTION + len(pixels) * cell + 0.1
    every = int(-(-_NUMBER // cell))  # the steps that have room for their number
    with use_style():
        figure = Figure(figsize=(WIDTH, lines * line))
        figure.set_layout_engine("none")
        ax = figure.add_axes((0, 0, 1, 1))
        for place, (name, each) in enumerate(panels.items()):
            row, column = divmod(place, _A_ROW)
            across = max(widest * cell, _NAME) + _BETWEEN
            corner = (_AXIS + column * across, row * line + _CAPTION)
            color = PALETTE["dense"] if place == 0 else PALETTE["kronecker"]
            _panel(ax, corner, cell, name, each, color)
            if column == 0:
                for step in range(0, len(each), every):
                    y = corner[1] + (step + 0.5) * cell
                    ax.text(_AXIS - 0.08, y, f"{step}", ha="right", va="center", fontsize=8)
        ax.set(xlim=(0, WIDTH), ylim=(lines * line, 0))
        ax.set_axis_off()
    words = "; ".join(
        f"{name}: mean {each.mean():.2f}, from {each.min():.2f} to {each.max():.2f}"
        for name, each in values.items()
    ).replace("-", "\u2212")
    size = f"{pixels.shape[0]} steps of {pixels.shape[1]} pixels"
    return Picture(figure, f"Gates while an image is read, {size}", f"{words}.")


def _panel(
    ax: Axes,
    corner: tuple[float, float],
    cell: float,
    name: str,
    values: NDArray[np.float64],
    color: str,
) -> None:
    """Draw a matrix in shades of 0 to 1, with a frame and its name."""
    left, top = corner
    rows, columns = values.shape
    ax.text(left, top - 0.12, name, ha="left", va="center", style="italic")
    for i in range(rows):
        for j in range(columns):
            shade = PALETTE["low_rank"] if values[i, j] < 0 else color
            ax.add_patch(
                Rectangle(
                    (left + j * cell, top + i * cell),
                    cell,
                    cell,
                    facecolor=shade,
                    alpha=float(abs(values[i, j])),
                    linewidth=0,
                )
            )
    mark_negative(ax, values, corner, (cell, cell))
    ax.add_patch(
        Rectangle(
            corner, columns * cell, rows * cell, fill=False, edgecolor=INK, linewidth=0.6, alpha=0.5
        )
    )


# ---------------------------------------------------------------- runs


def accuracies_by_cell(runs: Mapping[str, Mapping[str, Sequence[float]]]) -> Picture:
    """Draw the accuracy of every run, a row for each cell and structure, and their mean.

    Parameters
    ----------
    runs : mapping of str to mapping of str to sequence of float
        For each cell, by name, the accuracies, 0 to 1, by technique (see `technique`).

    Returns
    -------
    Picture

    Raises
    ------
    ValueError
        If there is nothing to draw, an accuracy is outside 0 to 1, or a technique has no colour.

    Examples
    --------
    >>> picture = accuracies_by_cell({"RNN": {"dense": [0.95, 0.97], "kp": [0.9]}})
    >>> "RNN, dense: 95.0%, 97.0%; RNN, kp: 90.0%" in picture.description
    True
    """
    rows = [
        (cell, name, np.asarray(values, np.float64))
        for cell, named in runs.items()
        for name, values in named.items()
    ]
    if not rows:
        raise ValueError("there are no runs to draw")
    for cell, name, values in rows:
        if values.ndim != 1 or not values.size or not ((values >= 0) & (values <= 1)).all():
            raise ValueError(f"{cell}, {name}: accuracies are 0 to 1, found {values.tolist()}")
    with use_style():
        figure = Figure(figsize=(WIDTH, 0.55 + 0.24 * len(rows)))
        ax = figure.subplots()
        for place, (_, name, values) in enumerate(rows):
            key = technique(name)
            ax.plot([values.min(), values.max()], [place] * 2, color=PALETTE[key], marker="", lw=1)
            ax.plot(values, [place] * len(values), MARKERS[key], color=PALETTE[key], clip_on=False)
            ax.annotate(
                f"{values.mean():.1%}",
                (1, place),
                (4, 0),
                xycoords=("axes fraction", "data"),
                textcoords="offset points",
                va="center",
                annotation_clip=False,
            )
        ax.set_yticks(range(len(rows)), [f"{cell}, {name}" for cell, name, _ in rows])
        ax.set_ylim(len(rows) - 0.4, -0.6)
        ax.tick_params(axis="y", length=0)
        ax.xaxis.set_major_locator(MaxNLocator(nbins=4))
        ax.xaxis.set_major_formatter(PercentFormatter(1.0, decimals=0))
        ax.set_title("Each run, and the mean")
        ax.spines["left"].set_visible(False)
    words = "; ".join(
        f"{cell}, {name}: {', '.join(f'{value:.1%}' for value in values)}"
        for cell, name, values in rows
    )
    return Picture(figure, "Accuracy of every run", f"{words}.")
