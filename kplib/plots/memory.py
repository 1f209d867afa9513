"""Every number of a small LSTM as a box: what lies in flash, and what in RAM."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from kplib._checks import positive_integer
from kplib.errors import ShapeError
from kplib.plots.grid import MARGIN
from kplib.plots.picture import Picture
from kplib.plots.style import PALETTE, WIDTH, use_style

_CELL = 0.19  # inches, as all sizes here
_GATE_GAP = 0.06
_NAMES_WIDTH = 0.42  # of the gates' names, at the left
_SIGN_WIDTH = 0.2
_HEADING = 0.26
_HEAD_GAP = 0.14
_LEGEND_LINE = 0.21
_MOST_ROWS = 24

_FLASH, _RAM = PALETTE["dense"], PALETTE["accent"]
_GATES = "ifgo"


def lstm_memory(input_size: int, hidden_size: int, classes: int) -> Picture:
    """Draw a small LSTM with its head, one box a number: what lies in flash, and what in RAM.

    The weights and biases (one bias a gate) are read only. The input of the step, both states and
    the four gates' values are written at every step; so are the logits, once, in the gates' place.

    Parameters
    ----------
    input_size, hidden_size, classes : int
        Small ones: the figure is as wide as a phone, and has at most 24 rows.

    Returns
    -------
    Picture

    Raises
    ------
    ShapeError
        If a size is no positive integer, or the figure would be too wide or too high.

    Examples
    --------
    >>> picture = lstm_memory(3, 2, 2)
    >>> "Flash holds 54 numbers: 24 in W_x, 16 in W_h, 8 in b, 6 in the head" in (
    ...     picture.description)
    True
    >>> "RAM holds 15 numbers" in picture.description
    True
    """
    places = _Places(
        positive_integer("input_size", input_size),
        positive_integer("hidden_size", hidden_size),
        positive_integer("classes", classes),
    )
    places.check()
    inputs, hidden, flash, ram = places.inputs, places.hidden, places.flash, places.ram
    with use_style():
        figure = Figure(figsize=(WIDTH, places.height))
        figure.set_layout_engine("none")
        ax = figure.add_axes((0, 0, 1, 1))
        _draw_gates(ax, places)
        _draw_head(ax, places)
        _draw_headings(ax, places)
        legend = places.height - MARGIN - 2 * _LEGEND_LINE
        _legend_line(ax, legend, "Flash", flash, _FLASH)
        _legend_line(ax, legend + _LEGEND_LINE, "RAM", ram, _RAM)
        ax.set(xlim=(0, WIDTH), ylim=(places.height, 0))
        ax.set_axis_off()
    description = (
        f"Flash holds {sum(flash.values())} numbers: {flash['$W_x$']} in W_x, {flash['$W_h$']} in "
        f"W_h, {flash['b']} in b, {flash['head']} in the head. RAM holds {sum(ram.values())} "
        f"numbers: {inputs} of the input x, {hidden} of the hidden state h, {4 * hidden} of the "
        f"gates i, f, g and o, {hidden} of the cell state c."
    )
    title = f"Memory of an LSTM with {inputs} inputs, {hidden} hidden units, {classes} classes"
    return Picture(figure, title, description)


@dataclass(frozen=True)
class _Places:
    """Where everything is, from left to right: names, [W_x W_h], the vector, b, the gates, c."""

    inputs: int
    hidden: int
    outputs: int

    left = MARGIN + _NAMES_WIDTH
    top = MARGIN + _HEADING

    @property
    def recurrent(self) -> float:
        return self.left + self.inputs * _CELL + _GATE_GAP

    @property
    def vector(self) -> float:
        return self.left + (self.inputs + self.hidden) * _CELL + _GATE_GAP + _SIGN_WIDTH

    @property
    def bias(self) -> float:
        return self.vector + _CELL + _SIGN_WIDTH

    @property
    def values(self) -> float:
        return self.bias + _CELL + _SIGN_WIDTH

    @property
    def cell(self) -> float:
        return self.values + _CELL + 1.5 * _SIGN_WIDTH

    @property
    def head(self) -> float:
        gates = 4 * self.hidden * _CELL + 3 * _GATE_GAP
        vector = (self.inputs + self.hidden) * _CELL + _GATE_GAP
        return self.top + max(gates, vector) + _HEAD_GAP

    @property
    def height(self) -> float:
        return self.head + self.outputs * _CELL + _HEAD_GAP + 2 * _LEGEND_LINE + MARGIN

    @cached_property
    def flash(self) -> dict[str, int]:
        """How many numbers are read only."""
        return {
            "$W_x$": 4 * self.hidden * self.inputs,
            "$W_h$": 4 * self.hidden * self.hidden,
            "b": 4 * self.hidden,
            "head": self.hidden * self.outputs + self.outputs,
        }

    @cached_property
    def ram(self) -> dict[str, int]:
        """How many are written at every step."""
        return {"x": self.inputs, "h": self.hidden, "gates": 4 * self.hidden, "c": self.hidden}

    def check(self) -> None:
        """Refuse what does not fit on a phone."""
        width = self.cell + _CELL + MARGIN
        rows = max(4 * self.hidden, self.inputs + self.hidden) + self.outputs
        if width > WIDTH or rows > _MOST_ROWS:
            raise ShapeError(
                f"{self.inputs} inputs, {self.hidden} hidden units and {self.outputs} classes "
                f"take {width:.2f} inches and {rows} rows; "
                f"a figure has {WIDTH} inches and {_MOST_ROWS} rows"
            )


def _draw_gates(ax: Axes, places: _Places) -> None:
    """Draw the four gates' weights, biases and values, and the vectors that they meet."""
    inputs, hidden, top = places.inputs, places.hidden, places.top
    for gate, name in enumerate(_GATES):
        y = top + gate * (hidden * _CELL + _GATE_GAP)
        _write(ax, places.left - 0.08, y + hidden * _CELL / 2, name, ha="right")
        _boxes(ax, places.left, y, hidden, inputs, _FLASH, 0.25)
        _boxes(ax, places.recurrent, y, hidden, hidden, _FLASH, 0.5)
        _boxes(ax, places.bias, y, hidden, 1, _FLASH, 0.12)
        _boxes(ax, places.values, y, hidden, 1, _RAM, 0.3)
    _boxes(ax, places.vector, top, inputs, 1, _RAM, 0.3)
    _boxes(ax, places.vector, top + inputs * _CELL + _GATE_GAP, hidden, 1, _RAM, 0.55)
    _boxes(ax, places.cell, top, hidden, 1, _RAM, 0.3)


def _draw_head(ax: Axes, places: _Places) -> None:
    middle = places.head + places.outputs * _CELL / 2
    _write(ax, places.left - 0.08, middle, "head", ha="right")
    _boxes(ax, places.recurrent, places.head, places.outputs, places.hidden, _FLASH, 0.12)
    _boxes(ax, places.bias, places.head, places.outputs, 1, _FLASH, 0.12)


def _draw_headings(ax: Axes, places: _Places) -> None:
    for x, width, text in (
        (places.left, places.inputs, "$W_x$"),
        (places.recurrent, places.hidden, "$W_h$"),
        (places.vector, 1, "x, h"),
        (places.bias, 1, "b"),
        (places.values, 1, "gates"),
        (places.cell, 1, "c"),
    ):
        _write(ax, x + width * _CELL / 2, places.top - 0.13, text)
    middle = places.top + 2 * places.hidden * _CELL + 1.5 * _GATE_GAP
    for x, sign in ((places.vector, "·"), (places.bias, "+"), (places.values, "=")):
        _write(ax, x - _SIGN_WIDTH / 2, middle, sign, fontsize=11)


def _boxes(
    ax: Axes, left: float, top: float, rows: int, columns: int, color: str, alpha: float
) -> None:
    """Draw a grid of boxes, one a number."""
    for row in range(rows):
        for column in range(columns):
            corner = (left + column * _CELL + 0.015, top + row * _CELL + 0.015)
            side = _CELL - 0.03
            ax.add_patch(Rectangle(corner, side, side, facecolor=color, alpha=alpha, linewidth=0))
            ax.add_patch(Rectangle(corner, side, side, fill=False, edgecolor=color, linewidth=0.8))


def _legend_line(ax: Axes, top: float, memory: str, parts: Mapping[str, int], color: str) -> None:
    _boxes(ax, MARGIN, top, 1, 1, color, 0.4)
    listed = ", ".join(f"{name} {count}" for name, count in parts.items())
    words = f"{memory}, {sum(parts.values())} numbers: {listed}"
    _write(ax, MARGIN + _CELL + 0.07, top + _CELL / 2, words, ha="left", fontsize=8.5)


def _write(ax: Axes, x: float, y: float, text: str, **options: Any) -> None:
    ax.text(x, y, text, **{"ha": "center", "va": "center", **options})
