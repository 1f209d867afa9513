"""Comparisons with the papers as a table, for a page and for a terminal."""

import textwrap
from collections.abc import Iterable
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction
from typing import Self

from kplib.experiments.comparison import Comparison, comparisons
from kplib.experiments.grouped_table import GroupedTable, Row

__all__ = ["LABELS", "ComparisonTable"]

LABELS = {
    "baseline": "baseline",
    "small": "small",
    "pruned": "pruned",
    "lmf": "low rank",
    "kp": "Kronecker",
    "hkp": "hybrid",
}
"""Of the techniques, in words."""

WIDTH = 88  # of the text, in characters
SHORT = 60  # up to so many characters are said again in the next row


@dataclass(frozen=True)
class ComparisonTable:
    """A table *network, paper, ours, difference*, with what explains it below a row.

    In a notebook it shows as HTML, which takes the colours of the page and fits a phone; ``print``
    gives text.

    Parameters
    ----------
    rows : tuple of Comparison
        In the order of the table.
    caption : str
        What the table shows, in one line.
    across : bool, default False
        Whether the rows name their benchmark: for a table of more than one.

    Examples
    --------
    >>> print(ComparisonTable.of("mnist-lstm", "layer factor", caption="W's layer factor"))
    W's layer factor
                                                      paper          ours  difference
    Kronecker; 8 × 4, 5 × 17; W                        17.6         17.58  rounded
    """

    rows: tuple[Comparison, ...]
    caption: str
    across: bool = False

    def __post_init__(self) -> None:
        object.__setattr__(self, "rows", tuple(self.rows))

    @classmethod
    def of(
        cls,
        benchmark: str | None = None,
        quantity: str | None = None,
        *,
        verdict: str | None = None,
        caption: str,
    ) -> Self:
        """Return the table of what `comparisons` returns for these arguments."""
        rows = comparisons(benchmark, quantity, verdict=verdict)
        return cls(tuple(rows), caption, across=benchmark is None)

    def __str__(self) -> str:
        lines = [self.caption, f"{'':46}{'paper':>9}{'ours':>14}  difference"]
        for row, why in zip(self.rows, self._whys(), strict=True):
            parts = "; ".join(self._parts(row)).split("; ")
            unbroken = "; ".join(part.replace(" ", "\N{NO-BREAK SPACE}") for part in parts)
            name = textwrap.fill(unbroken, 45).replace("\N{NO-BREAK SPACE}", " ")
            *above, last = name.splitlines()
            numbers = f"{row.printed:>9,f}{_ours(row):>14}  {_difference(row)}"
            lines += [*above, f"{last:46}{numbers}", *_indented(why)]
        return "\n".join(lines)

    __repr__ = __str__

    def _repr_html_(self) -> str:
        """Return a table with a caption, whose header cells name rows and columns."""
        rows = []
        for row, why in zip(self.rows, self._whys(), strict=True):
            name, *details = self._parts(row)
            numbers = (f"{row.printed:,f}", _ours(row), _difference(row))
            rows.append(
                Row(
                    name=name,
                    details=tuple(details),
                    cells=tuple((number,) for number in numbers),
                    strong=(2,) if row.ending == "different" else (),
                    below=why,
                )
            )
        table = GroupedTable(caption=self.caption, heads=_heads(self.rows), rows=tuple(rows))
        return table._repr_html_()

    def _parts(self, row: Comparison) -> list[str]:
        """Return what names a row, line by line: network, technique, setting, place."""
        name = LABELS[row.technique]
        if row.compression not in ("none", "maximum"):
            name += f", {row.compression.replace('x', '×')}"
        where = row.places
        if len({row.quantity for row in self.rows}) > 1:
            where += f"; {row.quantity}"
        if self.across:
            return [row.recipe.network.title, f"{name}; {row.setting}", where]
        return [name, row.setting, where]

    def _whys(self) -> list[str]:
        """Return what is said below each row; "As above" for a long text that was just said."""
        found: list[str] = []
        before = ""
        for row in self.rows:
            if row.why == before and len(row.why) > SHORT:
                found.append("As above.")
            elif row.verdict == "counted otherwise":
                found.append(f"Comes out when counted otherwise. {row.why}")
            else:
                found.append(row.why)
            before = row.why
        return found


def _indented(text: str) -> list[str]:
    return [f"    {line}" for line in textwrap.wrap(text, WIDTH - 4)]


def _heads(rows: Iterable[Comparison]) -> tuple[str, ...]:
    """Return the heads of the columns, with the unit that all rows share."""
    unit = ", KB" if {row.quantity for row in rows} <= {"KB", "KB in 8 bits"} else ""
    return "Network", f"Paper{unit}", f"Ours{unit}", "Difference"


def _ours(row: Comparison) -> str:
    """Return ours with one digit more than is printed, or whole if it is a whole number."""
    if row.ours.denominator == 1 and row.quantity == "parameters":
        return f"{int(row.ours):,}"
    return f"{float(row.ours):,.{_decimals(row.printed) + 1}f}"


def _difference(row: Comparison) -> str:
    """Return how the digits agree, or else by how much they do not."""
    if row.ending != "different":
        return row.ending
    digits = _decimals(row.printed)
    return _signed(row.difference, digits)


def _signed(value: Fraction, digits: int) -> str:
    return f"{float(value):+,.{digits}f}".replace("-", "−")


def _decimals(value: Decimal) -> int:
    exponent = value.as_tuple().exponent
    assert isinstance(exponent, int)  # no infinity is printed
    return max(0, -exponent)
