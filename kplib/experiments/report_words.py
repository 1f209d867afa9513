"""Words and numbers that the tables of the results have in common."""

from kplib.experiments.comparison_table import LABELS
from kplib.experiments.run_sets import RunSet

__all__ = ["name_of", "signed"]


def name_of(one: RunSet) -> str:
    """Return what a table calls a network.

    It is the technique, and what else tells networks of one benchmark apart.
    """
    mine = one.configuration
    words = [LABELS[mine.technique]]
    words += [f"{mine.compression}×"] if mine.compression else []
    words += [f"{mine.layers} layers"] if mine.layers > 1 else []
    return ", ".join(words)


def signed(value: float) -> str:
    """Return a difference with its sign, a minus as print has it.

    Examples
    --------
    >>> signed(0.126), signed(-2), signed(-0.001)
    ('+0.13', '−2.00', '0.00')
    """
    text = f"{value:+.2f}"
    return "0.00" if float(text) == 0 else text.replace("-", "−")
