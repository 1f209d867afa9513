"""How the learning rate falls: functions of the time alone, as factors of the initial rate.

Times are in the unit of a training's length, epochs or steps. As factors they go with any initial
rate, and as functions of the time a training can be taken up again anywhere.
"""

import math
from dataclasses import dataclass
from itertools import accumulate
from typing import Literal

from kplib.experiments.printed import Training
from kplib.experiments.strict import checked

__all__ = ["LRD1", "Constant", "Cosine", "Piecewise", "Schedule", "of_papers"]

_DIGITS = 12  # of a factor: 0.2 for 1e-4 / 5e-4, not 0.19999999999999998


@dataclass(frozen=True)
class Constant:
    """The initial rate to the end.

    Examples
    --------
    >>> Constant().factor(1e6) == 1
    True
    """

    kind: Literal["constant"] = "constant"

    def factor(self, time: float) -> float:
        """Return 1."""
        return 1.0

    def scaled(self, by: float) -> "Constant":
        """Return itself."""
        return self


@dataclass(frozen=True, kw_only=True)
class Piecewise:
    """One factor up to each milestone, the last one to the end.

    Parameters
    ----------
    milestones : tuple of float
        When the next factor takes over; increasing.
    factors : tuple of float
        One more than milestones.

    Raises
    ------
    ValueError
        If they are not as many, not in order, or not positive.

    Examples
    --------
    >>> schedule = Piecewise(milestones=(100, 200), factors=(1, 0.1, 0.01))
    >>> [schedule.factor(time) for time in (0, 99, 100, 1e6)]
    [1.0, 1.0, 0.1, 0.01]
    >>> schedule.scaled(0.5).milestones == (50, 100)
    True
    """

    milestones: tuple[float, ...]
    factors: tuple[float, ...]
    kind: Literal["piecewise"] = "piecewise"

    def __post_init__(self) -> None:
        for name, value in checked(self).items():
            object.__setattr__(self, name, value)
        if len(self.factors) != len(self.milestones) + 1:
            raise ValueError(
                f"{len(self.milestones)} milestones need one factor more, found {len(self.factors)}"
            )
        if list(self.milestones) != sorted(set(self.milestones)) or min((1, *self.milestones)) <= 0:
            raise ValueError(f"milestones must be positive and increase, found {self.milestones}")
        if min(self.factors) <= 0:
            raise ValueError(f"factors must be positive, found {self.factors}")

    def factor(self, time: float) -> float:
        """Return the factor of the piece that the time lies in."""
        return self.factors[sum(time >= milestone for milestone in self.milestones)]

    def scaled(self, by: float) -> "Piecewise":
        """Return the same with all milestones `by` times as late."""
        milestones = tuple(milestone * by for milestone in self.milestones)
        return Piecewise(milestones=milestones, factors=self.factors)


@dataclass(frozen=True, kw_only=True)
class LRD1:
    """The papers' Algorithm 5, rate^(time / decay_steps) of the *initial* rate.

    Parameters
    ----------
    rate : float
        Above 0, at most 1: what is left after `decay_steps`.
    decay_steps : float
        In the unit of the length. The papers print it nowhere.

    Raises
    ------
    ValueError
        If one of them is not so.

    Notes
    -----
    Applied to the current rate at each step, as one might read the algorithm, it would multiply by
    rate^(1 + 2 + ... ) and be 0 after some steps.

    Source: "Compressing RNNs for IoT devices by 15-38x using Kronecker Products", Algorithm 5.

    Examples
    --------
    >>> schedule = LRD1(rate=0.25, decay_steps=90_000)
    >>> [schedule.factor(time) for time in (0, 45_000, 90_000)]
    [1.0, 0.5, 0.25]
    """

    rate: float
    decay_steps: float
    kind: Literal["LRD1"] = "LRD1"

    def __post_init__(self) -> None:
        for name, value in checked(self).items():
            object.__setattr__(self, name, value)
        if not 0 < self.rate <= 1:
            raise ValueError(f"rate must be above 0 and at most 1, found {self.rate}")
        if self.decay_steps <= 0:
            raise ValueError(f"decay_steps must be positive, found {self.decay_steps}")

    def factor(self, time: float) -> float:
        """Return rate^(time / decay_steps)."""
        factor: float = self.rate ** (time / self.decay_steps)
        return factor

    def scaled(self, by: float) -> "LRD1":
        """Return the same, `by` times as slow."""
        return LRD1(rate=self.rate, decay_steps=self.decay_steps * by)


@dataclass(frozen=True, kw_only=True)
class Cosine:
    """Half a cosine from 1 to 0: none of the papers', and needs nothing to be chosen.

    Parameters
    ----------
    length : float
        When it is 0, and stays so.

    Raises
    ------
    ValueError
        If it is not positive.

    Examples
    --------
    >>> schedule = Cosine(length=100)
    >>> [round(schedule.factor(time), 3) for time in (0, 50, 100, 150)]
    [1.0, 0.5, 0.0, 0.0]
    """

    length: float
    kind: Literal["cosine"] = "cosine"

    def __post_init__(self) -> None:
        for name, value in checked(self).items():
            object.__setattr__(self, name, value)
        if self.length <= 0:
            raise ValueError(f"length must be positive, found {self.length}")

    def factor(self, time: float) -> float:
        """Return (1 + cos(pi time / length)) / 2."""
        return (1 + math.cos(math.pi * min(time / self.length, 1.0))) / 2

    def scaled(self, by: float) -> "Cosine":
        """Return the same, `by` times as long."""
        return Cosine(length=self.length * by)


Schedule = Constant | Piecewise | LRD1 | Cosine


def of_papers(training: Training, decay_steps: float | None = None) -> Schedule:
    """Return the schedule of a result of the papers.

    Parameters
    ----------
    training : Training
        Of a result of `kplib.experiments.papers`.
    decay_steps : float, optional
        Of LRD1. By default the whole training, so that the rate ends at `rate` times its initial
        value: the papers do not say.

    Returns
    -------
    Schedule

    Notes
    -----
    Two tables print more lengths than rates, one fewer steps than the training has. The last rate
    is kept to the end in each case.

    Examples
    --------
    >>> from kplib.experiments import papers
    >>> schedule = of_papers(papers.result("kws-lstm", "baseline").training)
    >>> schedule.factors == (1.0, 0.2, 0.04)
    True
    >>> of_papers(papers.result("kws-lstm", "kp").training)
    LRD1(rate=0.09, decay_steps=90000.0, kind='LRD1')
    """
    decay = training.decay
    if decay.kind == "LRD1":
        assert decay.rate is not None
        return LRD1(
            rate=decay.rate,
            decay_steps=training.length if decay_steps is None else decay_steps,
        )
    if decay.kind == "rates":
        ends = [end for end in accumulate(decay.lengths) if end < training.length]
        milestones: list[float] = [*ends[: len(decay.rates) - 1]]
        rates = decay.rates[: len(milestones) + 1]
        factors = [round(rate / training.learning_rate, _DIGITS) for rate in rates]
    else:
        assert decay.by is not None
        milestones = list(decay.at)
        if not milestones:
            every = decay.every or (decay.every_fraction or 1) * training.length
            count = math.ceil(training.length / every) - 1
            milestones = [(k + 1) * every for k in range(count)]
        factors = [round(float(decay.by) ** -k, _DIGITS) for k in range(len(milestones) + 1)]
    return Piecewise(milestones=tuple(milestones), factors=tuple(factors))
