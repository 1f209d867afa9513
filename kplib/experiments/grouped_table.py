"""Tables of networks: a row of short numbers, and below it what explains them."""

import html
import textwrap
from collections.abc import Iterator
from dataclasses import dataclass

__all__ = ["GroupedTable", "Row"]

WIDTH = 88  # of the text, in characters
_NAME = 46
EVIDENCE = ("", "measured", "counted", "modelled")


@dataclass(frozen=True, kw_only=True)
class Row:
    """One network, or one comparison.

    Parameters
    ----------
    name : str
        "" in a group: a row before these has the name, and no cells but empty ones.
    details : tuple of str
        Lines below the name.
    cells : tuple of tuple of str
        The lines of each number's cell: short ones.
    strong : tuple of int
        Which cells stand out.
    below : str
        What explains them, over the whole width; "" if nothing does.

    Examples
    --------
    >>> row = Row(name="low rank", details=("4.9 KB",), cells=(("97.24", "± 0.13"),))
    >>> row.cells[0][0]
    '97.24'
    """

    name: str
    details: tuple[str, ...] = ()
    cells: tuple[tuple[str, ...], ...]
    strong: tuple[int, ...] = ()
    below: str = ""


@dataclass(frozen=True, kw_only=True)
class GroupedTable:
    """A table with a caption, named rows of short numbers, and notes at its foot.

    In a notebook it shows as HTML, which takes the colours of the page and fits a phone; ``print``
    gives text.

    Parameters
    ----------
    caption : str
        What the table shows, in one line.
    heads : tuple of str
        Of the columns, that of the names first.
    rows : tuple of Row
    notes : tuple of str
        What is to be said of all rows.
    evidence : {"", "measured", "counted", "modelled"}
        Where the numbers come from: said before the caption, and shown by a colour.

    Raises
    ------
    ValueError
        If a row has not one cell a column, or there is no such evidence.

    Examples
    --------
    >>> row = Row(name="low rank", details=("4.9 KB",), cells=(("97.24", "± 0.13"),), below="Best.")
    >>> print(GroupedTable(caption="MNIST", heads=("Network", "Ours, %"), rows=(row,)))
    MNIST
                                                       Ours, %
    low rank; 4.9 KB                              97.24 ± 0.13
        Best.
    """

    caption: str
    heads: tuple[str, ...]
    rows: tuple[Row, ...]
    notes: tuple[str, ...] = ()
    evidence: str = ""

    def __post_init__(self) -> None:
        if self.evidence not in EVIDENCE:
            raise ValueError(f"evidence is {self.evidence!r}, but must be one of {EVIDENCE}")
        for row in self.rows:
            if len(row.cells) != len(self.heads) - 1:
                raise ValueError(
                    f"{len(self.heads) - 1} columns of numbers, but {row.name!r} has "
                    f"{len(row.cells)}: {row.cells}"
                )

    def __str__(self) -> str:
        numbers = [self.heads[1:]] + [tuple(map(" ".join, row.cells)) for row in self.rows]
        widths = [max(map(len, column)) for column in zip(*numbers, strict=True)]

        def line(name: str, cells: tuple[str, ...]) -> str:
            right = (cell.rjust(width) for cell, width in zip(cells, widths, strict=True))
            return f"{name:{_NAME}}" + "  ".join(right)

        word = f"{self.evidence.capitalize()}: " if self.evidence else ""
        lines = [f"{word}{self.caption}", line("", self.heads[1:])]
        for row, cells in zip(self.rows, numbers[1:], strict=True):
            *above, last = textwrap.wrap(_named(row), _NAME - 1)
            lines += [*above, line(last, cells), *_wrapped(row.below, "    ")]
        for note in self.notes:
            lines += _wrapped(note, "")
        return "\n".join(lines)

    __repr__ = __str__

    def _repr_html_(self) -> str:
        """Return a table with a caption, whose header cells name rows and columns."""
        kinds = ["network"] + ["number"] * (len(self.heads) - 1)
        heads = "".join(
            f'<th scope="col" class="head kp-{kind}">{html.escape(name)}</th>'
            for kind, name in zip(kinds, self.heads, strict=True)
        )
        kind, word = "", ""
        if self.evidence:
            kind = f" kp-{self.evidence}"
            word = f'<span class="kp-evidence{kind}">{self.evidence}</span> '
        parts = [
            f'<table class="table kp-comparison{kind}">',
            f"<caption>{word}{html.escape(self.caption)}</caption>",
            f"<thead><tr>{heads}</tr></thead>",
            *map(_group, self.rows),
            *self._foot(),
            "</table>",
        ]
        return "\n".join(parts)

    def _foot(self) -> Iterator[str]:
        if self.notes:
            span = f'<td colspan="{len(self.heads)}">'
            notes = "".join(f"<tr>{span}{html.escape(note)}</td></tr>" for note in self.notes)
            yield f"<tfoot>{notes}</tfoot>"


def _named(row: Row) -> str:
    return "; ".join(part for part in (row.name, *row.details) if part)


def _group(row: Row) -> str:
    """Return one row, and below its numbers what explains them."""
    small = "".join(f" <span>{html.escape(part)}</span>" for part in row.details)
    cells = "".join(
        f'<td class="kp-number">{_marked(lines, k in row.strong)}</td>'
        for k, lines in enumerate(row.cells)
    )
    below = ""
    if row.below:
        below = f'\n<tr><td colspan="{len(row.cells)}">{html.escape(row.below)}</td></tr>'
    return (
        f'<tbody>\n<tr><th scope="rowgroup" rowspan="{2 if below else 1}">{html.escape(row.name)}'
        f"{small}</th>{cells}</tr>{below}\n</tbody>"
    )


def _marked(lines: tuple[str, ...], strong: bool) -> str:
    text = "<br>".join(map(html.escape, lines))
    return f"<strong>{text}</strong>" if strong else text


def _wrapped(text: str, indent: str) -> list[str]:
    return textwrap.wrap(text, WIDTH, initial_indent=indent, subsequent_indent=indent)
