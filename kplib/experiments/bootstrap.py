"""How sure an accuracy is: bootstrap intervals over seeds and over test items.

Two things are drawn by chance: the seeds, and the items of the test set. An interval has to count
both, because either alone says little.

**Three seeds alone prove nothing.** Two techniques with three seeds each can be told apart by no
permutation test at 5 %: 20 ways to deal six runs into two hands of three leave the most extreme
outcome a p-value of 2/20. And the mean of three is known to within 2.5 standard deviations only, if
these deviations are normal:

>>> from scipy import stats
>>> print(f"{stats.t.ppf(0.975, df=2) / 3**0.5:.2f}")
2.48

**The test items alone prove little.** There are thousands, so the intervals are narrow; but they
say how *these* trained networks would do on other items, and not how others of the same technique
would do.

So both are resampled: the seeds, and the test items. All runs have answered the same items, hence
one draw of items serves all seeds, and in a comparison both techniques: what makes an item hard for
both cancels.

**Nothing is counted twice.** The accuracies of the seeds differ also because each stumbles over
other items. The draw of items has that in it already; so the seeds' deviations are shrunk by what
the items explain, before they are resampled. Without it the interval of a difference is up to 1.7
times too wide where the seeds are alike.

**Items that belong together are drawn together.** Clips of one speaker, or windows of one person,
are right or wrong together more often than chance has it. Taken as independent, they make an
interval too narrow. Where it is known which items belong together, `groups` says so, and what is
drawn are the groups, each with all of its items.

**What is left to doubt.** Resampling cannot invent a fourth seed. Where the seeds differ by more
than the items explain, an interval of three goes little beyond the lowest and the highest of them,
and has the true mean between in about 3 of 4 cases, not in 95 of 100.
"""

import functools
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from kplib._checks import positive_integer

__all__ = ["Interval", "accuracy_interval", "difference_interval", "paired_interval"]

LEVEL = 0.95
SAMPLES = 10_000

_BLOCK = 1000  # samples that are converted to float64 at once

Answers = NDArray[np.bool_]
Gains = NDArray[np.int8]
Numbers = NDArray[np.intp]


@dataclass(frozen=True)
class Interval:
    """An estimate with its bootstrap interval.

    Parameters
    ----------
    value : float
        As measured.
    low, high : float
        Percentiles of the resampled values.

    Examples
    --------
    >>> Interval(value=0.7, low=0.2, high=1.1).excludes_zero
    True
    """

    value: float
    low: float
    high: float

    @property
    def excludes_zero(self) -> bool:
        """Whether all of the interval is on one side of 0."""
        return self.low > 0 or self.high < 0

    @property
    def verdict(self) -> str:
        """What it says of a difference: "ahead", "behind" or, if 0 is inside, "undecided"."""
        if not self.excludes_zero:
            return "undecided"
        return "ahead" if self.low > 0 else "behind"

    @property
    def in_points(self) -> str:
        """The difference and its interval for a sentence, to a tenth, with signs.

        Examples
        --------
        >>> Interval(value=0.71, low=-0.02, high=1.1).in_points
        '+0.7 (+0.0 to +1.1)'
        """
        value, low, high = (
            f"{round(number, 1) + 0.0:+.1f}".replace("-", "−")
            for number in (self.value, self.low, self.high)
        )
        return f"{value} ({low} to {high})"


def accuracy_interval(
    correct: ArrayLike,
    *,
    groups: ArrayLike | None = None,
    level: float = LEVEL,
    samples: int = SAMPLES,
    seed: int = 0,
) -> Interval:
    """Return the mean accuracy of several runs, with an interval over seeds and test items.

    Parameters
    ----------
    correct : array_like of bool, shape (S, N)
        Whether run s is right on test item n.
    groups : array_like of shape (N,), optional
        Which test items belong together, such as the speaker of each clip; by default none do.
    level : float, default 0.95
        Of the interval, between 0 and 1.
    samples : int, default 10000
        Bootstrap samples.
    seed : int, default 0
        Of the resampling; the same gives the same interval.

    Returns
    -------
    Interval
        In %. Of one run it is over the test items alone.

    Raises
    ------
    ValueError
        If `correct` is no such array, or is empty, or `groups` has not one entry for each test
        item, or fewer than two different ones; if `level` is not between 0 and 1, `samples` no
        positive integer, or `seed` negative.

    Notes
    -----
    The variance of the resampled means is that of a mean over S seeds and N items that are crossed,
    sigma_seed^2 / S + sigma_item^2 / N + sigma_residual^2 / (S N): a draw of N items, of which each
    has the mean of its S answers, gives the last two terms; S - 1 draws of the seeds' deviations
    the first, when these are shrunk to the variance sigma_seed^2 that an analysis of variance
    estimates, or to 0 where that is negative. (S draws would give (S - 1) / S of it: 2/3 for three
    seeds.)

    With `groups`, the items are drawn in G groups, and the mean of a draw is that of all items
    drawn; the terms above are then those of groups.

    Costs O(S N + samples * S), with groups O(S N + samples * (S + G)); the draw of the groups,
    2 * samples * G bytes, is kept for the next call with as many: 13 MB for 644 speakers.

    Source: Davison and Hinkley, "Bootstrap Methods and their Application", 1997, chapter 3, on
    hierarchical data, where groups are drawn with replacement and their items are not; Rao and Wu,
    "Resampling inference with complex survey data", JASA 83, 1988, on S - 1 draws.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> one = accuracy_interval(rng.random((3, 1000)) < 0.9)
    >>> one.low < one.value < one.high
    True

    A thousand answers of 50 people who are always right or always wrong are worth 50:

    >>> person = np.repeat(np.arange(50), 20)
    >>> answers = [person % 10 > 0]
    >>> apart, together = accuracy_interval(answers), accuracy_interval(answers, groups=person)
    >>> together.high - together.low > 4 * (apart.high - apart.low)
    True
    """
    return _interval(_runs("correct", correct), None, groups, 0.0, level, samples, seed)


def difference_interval(
    correct: ArrayLike,
    rival: ArrayLike,
    *,
    groups: ArrayLike | None = None,
    level: float = LEVEL,
    samples: int = SAMPLES,
    seed: int = 0,
) -> Interval:
    """Return how much more accurate some runs are than others on the same test items.

    Parameters
    ----------
    correct, rival : array_like of bool, shapes (S, N) and (R, N)
        Whether run s is right on test item n; the same items in the same order for both.
    groups, level, samples, seed
        As in `accuracy_interval`.

    Returns
    -------
    Interval
        Difference of the mean accuracies in percentage points, above 0 if `correct` is ahead.

    Raises
    ------
    ValueError
        If one of them is no such array, or they do not have as many items; or as
        `accuracy_interval`.

    Notes
    -----
    The items are drawn for both at once, the seeds of each apart: seed 0 of one has nothing to do
    with seed 0 of the other.

    Examples
    --------
    Right on the same items and ten more of a thousand: no doubt, though both accuracies are
    uncertain by 2.

    >>> rival = np.arange(1000) % 10 > 0
    >>> better = rival | (np.arange(1000) % 100 == 0)
    >>> gain, alone = difference_interval([better], [rival]), accuracy_interval([rival])
    >>> round(gain.value, 6), gain.excludes_zero, alone.high - alone.low > 3
    (1.0, True, True)
    """
    runs, others = _runs("correct", correct), _runs("rival", rival)
    if runs.shape[1] != others.shape[1]:
        raise ValueError(f"correct has {runs.shape[1]} test items, but rival has {others.shape[1]}")
    return _interval(runs, others, groups, -1.0, level, samples, seed)


def paired_interval(
    correct: ArrayLike,
    before: ArrayLike,
    *,
    groups: ArrayLike | None = None,
    level: float = LEVEL,
    samples: int = SAMPLES,
    seed: int = 0,
) -> Interval:
    """Return by how much runs are more accurate than the very runs that they were made of.

    Parameters
    ----------
    correct, before : array_like of bool, shapes (S, N)
        Whether run s is right on test item n; run s of one was made of run s of the other, such as
        by rounding its weights.
    groups, level, samples, seed
        As in `accuracy_interval`.

    Returns
    -------
    Interval
        Difference of the mean accuracies in percentage points.

    Raises
    ------
    ValueError
        If one of them is no such array, or they are not of one shape; or as `accuracy_interval`.

    Notes
    -----
    What is resampled is what each run gained on each item: -1, 0 or 1. How far the seeds are apart
    cancels.

    Examples
    --------
    Two seeds 10 points apart, each of which loses an item of a hundred:

    >>> before = np.arange(100) < np.array([[90], [80]])
    >>> after = before & (np.arange(100) > 0)
    >>> paired, apart = paired_interval(after, before), difference_interval(after, before)
    >>> round(paired.value, 6), paired.low > -4, apart.low < -8
    (-1.0, True, True)
    """
    runs, others = _runs("correct", correct), _runs("before", before)
    if runs.shape != others.shape:
        raise ValueError(f"correct is of shape {runs.shape}, but before of {others.shape}")
    gains = runs.astype(np.int8) - others.astype(np.int8)
    return _interval(gains, None, groups, -1.0, level, samples, seed)


def _runs(name: str, value: ArrayLike) -> Answers:
    array = np.asarray(value)
    if array.ndim != 2 or not array.size or array.dtype != np.bool_:
        raise ValueError(
            f"{name} must be an array of bool of shape (seeds, test items), found {array.dtype} "
            f"of shape {array.shape}"
        )
    return array


def _numbered(groups: ArrayLike, items: int) -> Numbers:
    """Return the number of each item's group, from 0."""
    array = np.asarray(groups)
    if array.shape != (items,):
        raise ValueError(f"groups must be of shape ({items},), found {array.shape}")
    names, numbers = np.unique(array, return_inverse=True)
    if len(names) < 2:
        raise ValueError(f"there must be two groups to draw from, found {len(names)}")
    return numbers


def _interval(
    runs: Answers | Gains,
    others: Answers | None,
    groups: ArrayLike | None,
    least: float,
    level: float,
    samples: int,
    seed: int,
) -> Interval:
    """Return the mean of some runs, less that of others if there are any, with its interval.

    It lies between `least` and 1.
    """
    if not 0 < level < 1:
        raise ValueError(f"level must be between 0 and 1, found {level}")
    samples = positive_integer("samples", samples)
    if seed < 0:
        raise ValueError(f"seed must not be negative, found {seed}")
    rng = np.random.default_rng(seed)
    numbers = None if groups is None else _numbered(groups, runs.shape[1])
    items = runs.mean(axis=0)
    draws = _mean_of_seeds(runs, numbers, samples, rng)
    if others is not None:
        items = items - others.mean(axis=0)
        draws -= _mean_of_seeds(others, numbers, samples, rng)
    if numbers is None:
        draws += _mean_of_items(items, samples, rng)
    else:
        draws += _mean_of_groups(items, numbers, samples, seed)
    low, high = np.quantile(draws, [(1 - level) / 2, (1 + level) / 2]).clip(least, 1.0)
    return Interval(100 * float(items.mean()), 100 * float(low), 100 * float(high))


def _mean_of_items(
    items: NDArray[np.float64], samples: int, rng: np.random.Generator
) -> NDArray[np.float64]:
    """Return means of resampled items, shape (samples,)."""
    # Items of one value are drawn by their number: the same, but with few to draw from.
    values, counts = np.unique(items.round(12), return_counts=True)
    drawn = rng.multinomial(items.size, counts / items.size, size=samples)
    means: NDArray[np.float64] = drawn @ values / items.size
    return means


def _mean_of_groups(
    items: NDArray[np.float64], numbers: Numbers, samples: int, seed: int
) -> NDArray[np.float64]:
    """Return means of the items of resampled groups, shape (samples,)."""
    of_group = np.stack([np.bincount(numbers, weights=items), np.bincount(numbers)], axis=1)
    times = _times_drawn(len(of_group), samples, seed)
    blocks = [times[first : first + _BLOCK] @ of_group for first in range(0, samples, _BLOCK)]
    sums, sizes = np.concatenate(blocks).T
    means: NDArray[np.float64] = sums / sizes
    return means


# The networks of one benchmark answer the same groups, and a table compares them by the hundred.
@functools.lru_cache(maxsize=1)
def _times_drawn(groups: int, samples: int, seed: int) -> NDArray[np.uint16]:
    """Return how often each group is in each sample of as many, shape (samples, groups)."""
    rng = np.random.default_rng((seed, groups))
    times = np.empty((samples, groups), dtype=np.uint16)
    for row in times:
        row[:] = np.bincount(rng.integers(groups, size=groups), minlength=groups)
    times.flags.writeable = False
    return times


def _mean_of_seeds(
    runs: Answers | Gains, numbers: Numbers | None, samples: int, rng: np.random.Generator
) -> NDArray[np.float64]:
    """Return means of resampled seeds as deviations from the mean of all, shape (samples,)."""
    seeds = len(runs)
    if seeds == 1:
        return np.zeros(samples)
    deviations = runs.mean(axis=1) - runs.mean()
    variance = deviations.var(ddof=1)
    if numbers is None:
        noise = _residual_variance(runs) / runs.shape[1]
    else:
        noise = _residual_variance_of_mean(runs, numbers)
    if variance <= noise:
        return np.zeros(samples)
    drawn = rng.multinomial(seeds - 1, np.full(seeds, 1 / seeds), size=samples) / (seeds - 1)
    shrunk: NDArray[np.float64] = np.sqrt(1 - noise / variance) * (drawn @ deviations)
    return shrunk


def _residual_variance_of_mean(runs: Answers | Gains, numbers: Numbers) -> float:
    """Return what neither seed nor item explains of the variance of a seed's mean, by groups.

    With one item in each group it is `_residual_variance` over the number of items.
    """
    seeds, items = runs.shape
    residual = runs - runs.mean(axis=1, keepdims=True) - runs.mean(axis=0) + runs.mean()
    sums = np.array([np.bincount(numbers, weights=of_seed) for of_seed in residual])
    groups = sums.shape[1]
    return float((sums**2).sum() * groups / ((groups - 1) * (seeds - 1) * items**2))


def _residual_variance(runs: Answers | Gains) -> float:
    """Return the variance of an answer that neither its seed nor its item explains."""
    seeds, items = runs.shape
    if items == 1:
        return 0.0
    mean = runs.mean()
    total = ((runs - mean) ** 2).sum()
    of_seeds = items * ((runs.mean(axis=1) - mean) ** 2).sum()
    of_items = seeds * ((runs.mean(axis=0) - mean) ** 2).sum()
    return float((total - of_seeds - of_items) / ((seeds - 1) * (items - 1)))
