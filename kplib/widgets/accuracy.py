"""The widget that asks which technique keeps the most accuracy at a wanted size or speed."""

from collections.abc import Iterable
from typing import Any

import anywidget
import numpy as np
import traitlets

from kplib.experiments.comparison_table import LABELS
from kplib.experiments.points import Point
from kplib.experiments.trade_offs import Group, TradeOff, trade_offs
from kplib.widgets.assets import module, style
from kplib.widgets.traits import Choice, Count, RefusedSettingError, count

MOST = 1000.0
"""Times smaller or faster: more than any network here is."""

AGAINST = ("size", "speed-up")
PRINTED = ("means", "bests")

_EXTRA = ("compression", "layers", "seeds", "is_mean")
_NUMBERS = ("accuracy", "low", "high", "kilobytes", "smaller", "speed_up", "lost", "lost_low",
            "lost_high")  # fmt: skip


class AccuracyExplorer(anywidget.AnyWidget):
    """Show which technique keeps the most accuracy, at least so many times smaller or faster.

    The papers' networks are hollow, ours filled, with the interval over seeds and test items. To
    the right is better: times smaller, or faster, than the baseline. The reader says how much it
    has to be; what is not goes pale, and the most accurate of the rest is named, for the papers
    and for ours, with those that the records cannot tell it apart from. Steps join what no other
    network beats. Below is a table of all numbers.

    Everything happens in the page. Without a kernel the figure is complete; with one, the
    traits are shared both ways.

    Parameters
    ----------
    trade_offs : iterable of kplib.experiments.trade_offs.TradeOff, optional
        What there is to see; the papers' networks alone if not given.
    benchmark : str, optional
        Which of them to start with: by default the first.
    against : {"size", "speed-up"}, default "size"
    at_least : float, default 1
        How many times smaller, or faster, it has to be: 1 to 1000.
    printed : {"means", "bests"}, default "means"
        Which of the papers' accuracies.
    training : int, default 0
        Which of our trainings of the benchmark: its place in the trade-off's `ours`.

    Attributes
    ----------
    benchmark, against, at_least, printed, training
        Traits, as above. With another benchmark the training is 0 again.

    Raises
    ------
    ValueError
        If there is no trade-off, two are of one benchmark, or a setting is none of its choices.

    Notes
    -----
    The papers' speed-ups are those on a phone's core, ours those of compiled networks on whatever
    machine the record is of: ratios to a baseline on the same machine, and not to be compared with
    one another.

    Examples
    --------
    >>> from kplib.widgets import AccuracyExplorer
    >>> explorer = AccuracyExplorer(benchmark="kws-lstm", at_least=15)
    >>> explorer
    AccuracyExplorer: KWS-LSTM, at least 15× smaller: the papers' Kronecker, 91.12%
    >>> explorer.against, explorer.at_least = "speed-up", 10
    >>> explorer.papers.technique, explorer.ours is None
    ('small', True)
    """

    _esm = module("accuracy")
    _css = style("accuracy")

    benchmarks: traitlets.List[Any] = traitlets.List(read_only=True).tag(sync=True)
    largest = traitlets.Float(MOST, read_only=True).tag(sync=True)
    benchmark = traitlets.Unicode().tag(sync=True)
    against = Choice(AGAINST).tag(sync=True)
    at_least = traitlets.Float(1.0).tag(sync=True)
    printed = Choice(PRINTED).tag(sync=True)
    training = Count(0).tag(sync=True)

    def __init__(
        self,
        trade_offs: Iterable[TradeOff] | None = None,
        *,
        benchmark: str | None = None,
        against: str = "size",
        at_least: float = 1.0,
        printed: str = "means",
        training: int = 0,
    ) -> None:
        self._trade_offs = _by_benchmark(trade_offs)
        start = next(iter(self._trade_offs)) if benchmark is None else benchmark
        # All checks at once, before there is a widget.
        _require_known(start, self._trade_offs)
        _require_training(count("training", training), self._trade_offs[start])
        traits = self.traits()
        super().__init__(
            benchmark=start,
            against=traits["against"].validate(self, against),
            at_least=_times(at_least),
            printed=traits["printed"].validate(self, printed),
            training=training,
        )

    @property
    def trade_off(self) -> TradeOff:
        """The chosen benchmark's."""
        return self._trade_offs[self.benchmark]

    @property
    def papers(self) -> Point | None:
        """The papers' most accurate network that is small or fast enough; None if there is none."""
        one = self.trade_off
        return self._best(one.means if self.printed == "means" else one.bests)

    @property
    def ours(self) -> Point | None:
        """Ours."""
        found = self.trade_off.ours
        return self._best(found[self.training] if found else None)

    def _best(self, group: Group | None) -> Point | None:
        return group.best(self.at_least, self.against) if group else None

    @traitlets.default("benchmarks")
    def _all_as_json(self) -> list[dict[str, Any]]:
        return [_trade_off_as_json(one) for one in self._trade_offs.values()]

    @traitlets.validate("benchmark")
    def _check_benchmark(self, proposal: Any) -> str:
        return _require_known(proposal["value"], self._trade_offs)

    @traitlets.validate("at_least")
    def _check_at_least(self, proposal: Any) -> float:
        return _times(proposal["value"])

    @traitlets.validate("training")
    def _check_training(self, proposal: Any) -> int:
        return _require_training(proposal["value"], self.trade_off)

    @traitlets.observe("benchmark")
    def _first_training(self, change: Any) -> None:
        if change["old"]:
            self.training = 0

    def __repr__(self) -> str:
        word = "smaller" if self.against == "size" else "faster"
        text = f"AccuracyExplorer: {self.trade_off.title}, at least {self.at_least:g}× {word}: "
        named = (("the papers'", self.papers), ("our", self.ours))
        found = [
            f"{whose} {LABELS[point.technique]}, {point.accuracy:.2f}%"
            for whose, point in named
            if point is not None
        ]
        return text + ("; ".join(found) or "none")


def _by_benchmark(given: Iterable[TradeOff] | None) -> dict[str, TradeOff]:
    every = list(trade_offs() if given is None else given)
    found = {one.benchmark: one for one in every}
    if not every or len(found) < len(every):
        names = ", ".join(one.benchmark for one in every) or "none"
        raise ValueError(f"a trade-off for each benchmark is needed, found {names}")
    return found


def _require_known(name: object, known: dict[str, TradeOff]) -> str:
    if name not in known:
        raise RefusedSettingError(f"benchmark is {name!r}, but must be one of {', '.join(known)}")
    return str(name)


def _require_training(place: int, one: TradeOff) -> int:
    trainings = max(1, len(one.ours))
    if place >= trainings:
        raise RefusedSettingError(
            f"training is {place}, but {one.title} has {trainings}, counted from 0"
        )
    return place


def _times(value: object) -> float:
    is_number = isinstance(value, int | float | np.number) and not isinstance(value, bool)
    if not is_number or not 1 <= float(value) <= MOST:  # type: ignore[arg-type]
        raise RefusedSettingError(f"at_least must be from 1 to {MOST:g}, found {value!r}")
    return float(value)  # type: ignore[arg-type]


def _trade_off_as_json(one: TradeOff) -> dict[str, Any]:
    return {
        "name": one.benchmark,
        "title": one.title,
        "means": _group_as_json(one.means) if one.means else None,
        "bests": _group_as_json(one.bests) if one.bests else None,
        "ours": [_group_as_json(group) for group in one.ours],
    }


def _group_as_json(group: Group) -> dict[str, Any]:
    return {
        "name": group.name,
        "points": [_point_as_json(point) for point in group.points],
        "undecided": sorted(map(list, group.undecided)),
        "missing": [LABELS[technique] for technique in group.missing],
    }


def _point_as_json(point: Point) -> dict[str, Any]:
    values = {name: getattr(point, name) for name in (*_NUMBERS, *_EXTRA)}
    return {"technique": point.technique, "label": LABELS[point.technique], **values}
