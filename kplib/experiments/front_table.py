"""Who is beaten by nobody, benchmark by benchmark: a table, and where Kronecker stands in words."""

from collections.abc import Iterable

from kplib.experiments.grouped_table import GroupedTable, Row
from kplib.experiments.points import Against, Point
from kplib.experiments.report_words import listed, name_of_point
from kplib.experiments.trade_offs import Group, TradeOff

__all__ = ["front_table", "standing"]

_REFERENCE = "kp"
_NONE = "–"
_ADVERBS = {"size": "as small", "speed-up": "as fast"}


def front_table(trade_offs: Iterable[TradeOff], against: Against = "size") -> GroupedTable:
    """Return the Pareto fronts of all benchmarks, the papers' beside ours.

    Parameters
    ----------
    trade_offs : iterable of TradeOff
    against : {"size", "speed-up"}, default "size"

    Returns
    -------
    GroupedTable
        A row a training of ours, and one for a benchmark without any: the front of the papers'
        means and ours, the most accurate first; below, where the Kronecker network stands.

    Examples
    --------
    >>> from kplib.experiments.trade_offs import trade_offs
    >>> table = front_table(trade_offs())
    >>> [row.name for row in table.rows][:2], table.rows[0].below
    (['MNIST-LSTM', 'USPS-FastRNN'], 'Ours: not trained yet.')
    """
    rows = []
    for one in trade_offs:
        theirs = _cell(one.means, against)
        if not one.ours:
            rows.append(Row(name=one.title, cells=(theirs, (_NONE,)), below=standing(None)))
        rows += [
            Row(
                name=one.title,
                details=(group.name,),
                cells=(theirs, _cell(group, against)),
                below=standing(group, against),
            )
            for group in one.ours
        ]
    what = "size" if against == "size" else "speed"
    return GroupedTable(
        caption=f"Accuracy against {what}: what no other network beats",
        heads=("Benchmark", "Papers", "Ours"),
        rows=tuple(rows),
        notes=(
            "The most accurate first, then ever smaller or faster ones. Papers: means; of the "
            "baselines, and where there is a star, the best of several: no mean is printed.",
        ),
    )


def standing(group: Group | None, against: Against = "size") -> str:
    """Say where the Kronecker network of a group of ours stands.

    Parameters
    ----------
    group : Group, optional
        One of a trade-off's `ours`; None if there is none.
    against : {"size", "speed-up"}, default "size"

    Returns
    -------
    str
        Sentences that stay true whatever the records say.

    Examples
    --------
    >>> from kplib.experiments.points import Point
    >>> kp, small = (
    ...     Point(source="ours", technique=name, accuracy=accuracy, kilobytes=1, smaller=smaller)
    ...     for name, accuracy, smaller in [("kp", 90.0, 3.0), ("small", 91.0, 4.0)])
    >>> standing(Group(name="", points=(kp, small), undecided=frozenset({(0, 1)})))
    'Kronecker is beaten by small. Its accuracy cannot be told apart from that of small.'
    """
    if group is None:
        return "Ours: not trained yet."
    found = [point for point in group.points if point.technique == _REFERENCE]
    if not found:
        return "Ours: the Kronecker network is not trained yet."
    timed = [one for one in found if one.gain(against) is not None]
    return " ".join(_standing(group, one, against) for one in timed) or "Ours: not timed."


def _standing(group: Group, one: Point, against: Against) -> str:
    beaten = _names(group.beaten_by(one, against))
    name = name_of_point(one)
    text = f"{name} is beaten by {beaten}." if beaten else _unbeaten(group, one, against)
    ties = _names(group.ties(one, 0, against))
    return f"{text} Its accuracy cannot be told apart from that of {ties}." if ties else text


def _unbeaten(group: Group, one: Point, against: Against) -> str:
    name = name_of_point(one)
    beats = [other for other in group.points if one in _beating(group, other, against)]
    if beats:
        return f"{name} beats {_names(beats)}, and nothing beats it."
    if all((other.gain(against) or 0) <= (one.gain(against) or 0) for other in group.points):
        word = _ADVERBS[against]
        return f"{name} is on the front because no other is {word}; it beats none."
    return f"{name} is on the front; it beats none."


def _beating(group: Group, other: Point, against: Against) -> list[Point]:
    return [] if other.gain(against) is None else group.beaten_by(other, against)


def _names(points: Iterable[Point]) -> str:
    return listed([name_of_point(point) for point in points])


def _cell(group: Group | None, against: Against) -> tuple[str, ...]:
    front = group.front(against) if group else []
    return tuple(map(_marked, front)) or (_NONE,)


def _marked(point: Point) -> str:
    """Return the name, with a star where the papers print the best of several alone."""
    alone = point.source == "papers" and not point.is_mean and point.technique != "baseline"
    return name_of_point(point) + "*" * alone
