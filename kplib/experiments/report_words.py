"""Words and numbers that the tables of the results have in common."""

from collections.abc import Sequence

from kplib.experiments.comparison_table import LABELS
from kplib.experiments.points import Point
from kplib.experiments.run_sets import RunSet

__all__ = ["listed", "name_of", "name_of_point", "signed"]


def name_of(one: RunSet) -> str:
    """Return what a table calls a network.

    It is the technique, and what else tells networks of one benchmark apart.
    """
    mine = one.configuration
    words = [LABELS[mine.technique]]
    words += [f"{mine.compression}×"] if mine.compression else []
    words += [f"{mine.layers} layers"] if mine.layers > 1 else []
    return ", ".join(words)


def name_of_point(point: Point) -> str:
    """Return the same of a point of a figure.

    Examples
    --------
    >>> from kplib.experiments.points import paper_points
    >>> [name_of_point(point) for point in paper_points("kws-gru")][-1]
    'Kronecker, 2 layers'
    """
    words = [LABELS[point.technique]]
    words += [f"{point.compression}×"] if point.compression else []
    words += [f"{point.layers} layers"] if point.layers > 1 else []
    return ", ".join(words)


def listed(words: Sequence[str]) -> str:
    """Return words as a list in a sentence.

    Examples
    --------
    >>> listed(["a", "b", "c"]), listed(["a"]), listed([])
    ('a, b and c', 'a', '')
    """
    *first, last = words or [""]
    return f"{', '.join(first)} and {last}" if first else last


def signed(value: float) -> str:
    """Return a difference with its sign, a minus as print has it.

    Examples
    --------
    >>> signed(0.126), signed(-2), signed(-0.001)
    ('+0.13', '−2.00', '0.00')
    """
    text = f"{value:+.2f}"
    return "0.00" if float(text) == 0 else text.replace("-", "−")
