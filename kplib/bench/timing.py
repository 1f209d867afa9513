"""Timing of several pieces of work against each other, in one process and one thread.

Clock speed, caches and neighbours on the machine drift over seconds. So the works take turns,
in an order that rotates from round to round; what is compared is what happened in the same round.

A dense product and the Kronecker product that makes the same matrix:

>>> import kplib
>>> A, B = np.ones((59, 8), np.float32), np.ones((2, 16), np.float32)
>>> x, y = np.ones(128, np.float32), np.empty(118, np.float32)
>>> works = {
...     "dense": statement("dot(W, x, out=y)", {"dot": np.dot, "W": np.kron(A, B), "x": x, "y": y}),
...     "Kronecker": statement("call()", {"call": kplib.compile_kron(A, B).bind(x, y)}),
... }
>>> timings = interleave(works, rounds=5)
>>> faster = speedup(timings["dense"], timings["Kronecker"])
>>> faster.p10 <= faster.median <= faster.p90
True
>>> timings["Kronecker"].median > loop_overhead()(100_000) / 100_000
True
"""

import math
import timeit
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

Sampler = Callable[[int], float]
"""Does its work the given number of times and returns the seconds that took."""


@dataclass(frozen=True)
class Timing:
    """Seconds per call, one number a round.

    Parameters
    ----------
    seconds : tuple of float
        Seconds per call, in the order of the rounds.
    loops : int
        Calls in each of those samples.

    Examples
    --------
    >>> timing = Timing((3e-6, 1e-6, 2e-6), loops=1000)
    >>> timing.median == 2e-6
    True
    """

    seconds: tuple[float, ...]
    loops: int

    def __post_init__(self) -> None:
        if not self.seconds:
            raise ValueError("a Timing needs the seconds of at least one round, got none")

    @property
    def median(self) -> float:
        """Median over the rounds, in seconds per call."""
        return float(np.median(self.seconds))

    @property
    def p10(self) -> float:
        """Tenth percentile over the rounds, in seconds per call."""
        return float(np.percentile(self.seconds, 10))

    @property
    def p90(self) -> float:
        """Ninetieth percentile over the rounds, in seconds per call."""
        return float(np.percentile(self.seconds, 90))


@dataclass(frozen=True)
class Speedup:
    """How many times faster, with its spread over the rounds.

    Parameters
    ----------
    median, p10, p90 : float
        Median, tenth and ninetieth percentile over the rounds.

    Examples
    --------
    >>> found = speedup(Timing((4.0, 6.0), 1), Timing((2.0, 2.0), 1))
    >>> found.p10 < found.median < found.p90
    True
    """

    median: float
    p10: float
    p90: float


def statement(
    code: str, names: Mapping[str, object], timer: Callable[[], float] | None = None
) -> Sampler:
    """Return a sampler of a Python statement, run in a compiled loop without a call around it.

    `timeit.Timer` compiles the loop and switches the garbage collector off while it runs. The
    names become local variables of that loop, so a statement such as ``dot(W, x, out=y)`` pays
    for itself and the bare ``for`` (see :func:`loop_overhead`), and for no wrapper function.

    Parameters
    ----------
    code : str
        The statement to time.
    names : mapping of str to object
        What the statement refers to.
    timer : callable, optional
        The clock, in seconds; `time.perf_counter` unless given.

    Returns
    -------
    Sampler

    Examples
    --------
    >>> sample = statement("total(values)", {"total": sum, "values": [1, 2, 3]})
    >>> sample(1000) > 0
    True
    """
    setup = "; ".join(f"{name} = _names[{name!r}]" for name in names) or "pass"
    return timeit.Timer(
        code, setup, timer=timer or timeit.default_timer, globals={"_names": dict(names)}
    ).timeit


def loop_overhead() -> Sampler:
    """Return a sampler of the bare ``for`` loop that every statement is timed in.

    Nothing is subtracted from any result: state this figure beside them.

    Examples
    --------
    >>> loop_overhead()(1000) > 0
    True
    """
    return statement("pass", {})


def calibrate(sampler: Sampler, min_seconds: float) -> int:
    """Return how many calls make a sample of at least `min_seconds`.

    Parameters
    ----------
    sampler : Sampler
        The work.
    min_seconds : float
        Shortest acceptable sample, in seconds.

    Returns
    -------
    int
        At least 1.

    Examples
    --------
    >>> calibrate(lambda loops: loops * 1e-6, min_seconds=1e-3) >= 1000
    True
    """
    if not min_seconds > 0:
        raise ValueError(f"min_seconds must be positive, got {min_seconds}")
    loops = 1
    while (seconds := sampler(loops)) < min_seconds:
        # Aim 10% high; never grow more than tenfold on the word of a sample that short.
        wanted = 1.1 * loops * min_seconds / seconds if seconds > 0 else math.inf
        loops = math.ceil(min(max(wanted, loops + 1), 10 * loops))
    return loops


def interleave(
    samplers: Mapping[str, Sampler], *, rounds: int = 25, min_seconds: float = 1e-3
) -> dict[str, Timing]:
    """Time every sampler once a round, in an order that rotates from round to round.

    Before each sample the same work runs untimed for a tenth of it, so that each sample begins
    with its own data in the cache and not with its predecessor's.

    Parameters
    ----------
    samplers : mapping of str to Sampler
        The works, by name.
    rounds : int
        Samples of each.
    min_seconds : float
        Shortest sample, in seconds; the number of calls in it is calibrated first.

    Returns
    -------
    dict of str to Timing
        In the order of `samplers`; entry k of each ``seconds`` is from round k.

    Examples
    --------
    >>> works = {"one": lambda loops: loops * 1e-6, "two": lambda loops: loops * 2e-6}
    >>> timings = interleave(works, rounds=3)
    >>> speedup(timings["two"], timings["one"]).median == 2.0
    True
    """
    if rounds < 1:
        raise ValueError(f"rounds must be at least 1, got {rounds}")
    names = list(samplers)
    loops = {name: calibrate(samplers[name], min_seconds) for name in names}
    seconds: dict[str, list[float]] = {name: [] for name in names}
    for turn in range(rounds):
        first = turn % max(len(names), 1)
        for name in names[first:] + names[:first]:
            samplers[name](math.ceil(loops[name] / 10))
            seconds[name].append(samplers[name](loops[name]) / loops[name])
    return {name: Timing(tuple(seconds[name]), loops[name]) for name in names}


def speedup(baseline: Timing, other: Timing) -> Speedup:
    """Return how many times faster `other` is than `baseline`, round against same round.

    Parameters
    ----------
    baseline, other : Timing
        Of one :func:`interleave` call, so that their rounds belong together.

    Returns
    -------
    Speedup
        Below 1 where `other` is the slower one.

    Examples
    --------
    >>> speedup(Timing((4.0, 6.0), 1), Timing((2.0, 3.0), 1)).median == 2.0
    True
    """
    if len(baseline.seconds) != len(other.seconds):
        raise ValueError(
            f"the timings have {len(baseline.seconds)} and {len(other.seconds)} rounds: "
            "only rounds of one interleave() belong together"
        )
    ratios = np.divide(baseline.seconds, other.seconds)
    low, middle, high = np.percentile(ratios, [10, 50, 90])
    return Speedup(float(middle), float(low), float(high))
