"""Matrices side by side: entries as text or as shades, with signs between them."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from matplotlib.patches import FancyBboxPatch
from numpy.typing import NDArray

from kplib.plots.style import PALETTE, WIDTH, use_style

NUMBERS_UP_TO = 12
"""Rows or columns: a matrix with more of them is drawn in shades."""

MARGIN = 0.06
"""Inches, as all sizes here."""

_CELL = 0.27  # high
_GAP = 0.05  # between the blocks of A (x) B
_SIGN = 0.26  # around a sign between two matrices
_CAPTION = 0.24
_LINE_GAP = 0.12


def number_text(value: float) -> str:
    """Return a number as a figure shows it, with a true minus sign."""
    text = str(value) if isinstance(value, int) and abs(value) < 10**6 else f"{value:.4g}"
    return text.replace("-", "\u2212")


class Grid:
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
        self.as_numbers = max(rows, cols) <= NUMBERS_UP_TO
        self.texts = (
            [[number_text(v) for v in row] for row in values.tolist()] if self.as_numbers else []
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
        """Draw name, size and entries, from the upper left corner on."""
        rows, cols = self.values.shape
        ax.text(left, top + 0.12, self.name, ha="left", va="center", style="italic", weight="bold")
        size = f"{rows}×{cols}"
        offset = 0.085 * len(self.name) + 0.1
        if offset + 0.075 * len(size) < self.width + 0.12:
            ax.text(left + offset, top + 0.125, size, ha="left", va="center", fontsize=7.5)
        if self.as_numbers:
            self._draw_numbers(ax, left, top)
        else:
            self._draw_shades(ax, left, top + _CAPTION)

    def corner(self, i: int, j: int) -> tuple[float, float]:
        """Return how far right of and below the grid's corner the cell of entry (i, j) begins."""
        block_row, block_col = self._block_of(i, j)
        gap = _GAP * self.as_numbers
        return j * self.cell[0] + block_col * gap, _CAPTION + i * self.cell[1] + block_row * gap

    def _block_of(self, i: int, j: int) -> tuple[int, int]:
        rows, cols = self.block
        return i // rows if rows else 0, j // cols if cols else 0

    def _draw_numbers(self, ax: Axes, left: float, top: float) -> None:
        width, height = self.cell
        for i, row in enumerate(self.texts):
            for j, text in enumerate(row):
                block_row, block_col = self._block_of(i, j)
                across, down = self.corner(i, j)
                x, y = left + across, top + down
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
        colors[..., :3] = to_rgb(self.color)
        colors[self.values < 0, :3] = to_rgb(PALETTE["low_rank"])
        colors[..., 3] = 0.05 + 0.95 * (size / largest) ** 0.6  # keeps small entries visible
        extent = (left, left + cols * self.cell[0], top + rows * self.cell[1], top)
        ax.imshow(colors, extent=extent, interpolation="nearest", aspect="auto")


Line = Sequence[Grid | str]
"""Matrices and the signs between them."""


def line_width(line: Line) -> float:
    """Return the width of matrices and signs side by side."""
    return sum(_SIGN if isinstance(part, str) else part.width for part in line)


def _line_height(line: Line) -> float:
    return max(_CAPTION if isinstance(part, str) else part.height for part in line)


def draw_lines(lines: Sequence[tuple[str, Line]]) -> Figure:
    """Draw lines of matrices and signs, each with a heading; data units are inches."""
    width = max(WIDTH, *(line_width(line) + 2 * MARGIN for _, line in lines))
    heights = [_line_height(line) + (_CAPTION if heading else 0.0) for heading, line in lines]
    height = sum(heights) + _LINE_GAP * (len(lines) - 1) + 2 * MARGIN
    with use_style():
        figure = Figure(figsize=(width, height))
        figure.set_layout_engine("none")
        ax = figure.add_axes((0, 0, 1, 1))
        top = MARGIN
        for (heading, line), line_height in zip(lines, heights, strict=True):
            if heading:
                ax.text(MARGIN, top + 0.1, heading, ha="left", va="center", weight="bold")
            _draw_line(ax, line, top + (_CAPTION if heading else 0.0))
            top += line_height + _LINE_GAP
        # Last, because drawing an image sets limits of its own.
        ax.set(xlim=(0, width), ylim=(height, 0))
        ax.set_axis_off()
    return figure


def _draw_line(ax: Axes, line: Line, top: float) -> None:
    left = MARGIN
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
