"""``kplib bench matvec``: what a Kronecker matrix-vector product gains over its peers, and loses.

Two comparisons, each with its works interleaved in one process and one thread: calls from Python
against ``np.dot(W, x, out=y)``, and a loop in C++ against OpenBLAS's sgemv.
"""

import gc
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

import numpy as np

from kplib.bench import native, peers
from kplib.bench.peers import BASELINE, PYTHON_PEERS, Call, Case, Peer, Unavailable, prepare
from kplib.bench.timing import (
    Sampler,
    Speedup,
    Timing,
    interleave,
    loop_overhead,
    speedup,
    statement,
)
from kplib.errors import MissingExtraError, ShapeError
from kplib.shapes import FactorShape, algorithm4, factor_shapes

MIN_SECONDS = 1e-3
"""Shortest timed sample, in seconds."""

LOOP = "(the timing loop itself)"
EMPTY_CALL = "(a call of an empty C function)"
PEAK = "(peak: independent multiply-adds)"
PEAK_FRACTION = 0.85
"""What the squares have to reach of the core's peak."""

RANDOM_SIZES = (16, 512)
RANDOM_MAC_RATIO = 2.0
RANDOM_MEDIAN = 8.0
"""What the median of the random shapes has to reach against np.dot."""


@dataclass(frozen=True)
class Gate:
    """One gate of the papers' networks, and how many times faster than dense it has to be.

    Parameters
    ----------
    name : str
        The network's.
    m, n : int
        Hidden size, and input size + hidden size.
    python : float
        Wanted from Python, against ``np.dot(W, x, out=y)``.
    cpp : float
        Wanted in a C++ loop, against sgemv.
    """

    name: str
    m: int
    n: int
    python: float
    cpp: float


GATES = (
    Gate("KWS-LSTM", 118, 128, python=12, cpp=18),
    Gate("KWS-GRU", 154, 164, python=12, cpp=13),
    Gate("MNIST-LSTM", 40, 68, python=8, cpp=5),
    Gate("HAR1-BiLSTM", 178, 255, python=16, cpp=23),
    Gate("USPS-FastRNN", 32, 48, python=8, cpp=4.5),
)
SQUARES = (16, 32, 64)
"""Sizes of the square factors whose products are 256, 1024 and 4096 wide."""


@dataclass(frozen=True)
class Row:
    """One peer's line in a table: its timing and its speedup over the table's baseline."""

    peer: str
    timing: Timing
    speedup: Speedup | None = None
    note: str = ""
    how: str = ""
    macs: int | None = None
    relative_error: float | None = None
    peak_fraction: float | None = None


@dataclass(frozen=True)
class Table:
    """The peers of one case, timed in turns; those that were not, with the reason."""

    case: str
    shape: FactorShape
    setting: Literal["python", "cpp"]
    baseline: str | None
    ours: str
    rows: tuple[Row, ...]
    left_out: Mapping[str, str] = field(default_factory=dict)

    def row(self, peer: str) -> Row | None:
        """Return the row of a peer; None if it was left out."""
        return next((row for row in self.rows if row.peer == peer), None)

    @property
    def losses(self) -> list[tuple[Row, float]]:
        """What beats kplib's Kronecker product, and how many times; empty if that is missing."""
        ours = self.row(self.ours)
        if ours is None:
            return []
        peers_only = (row for row in self.rows if row.speedup is not None)
        gains = ((row, speedup(ours.timing, row.timing).median) for row in peers_only)
        return [(row, gain) for row, gain in gains if gain > 1]


@dataclass(frozen=True)
class RandomTable:
    """kplib's Kronecker product from Python against np.dot, over many shapes.

    ``left_out`` has the shapes or sizes that could not be timed, with the reason.
    """

    selection: str
    shapes: tuple[FactorShape, ...]
    baseline: tuple[Timing, ...]
    ours: tuple[Timing, ...]
    left_out: Mapping[str, str]

    @property
    def speedups(self) -> np.ndarray:
        """Median speedup of each shape."""
        pairs = zip(self.baseline, self.ours, strict=True)
        return np.array([speedup(baseline, ours).median for baseline, ours in pairs])

    @property
    def below_one(self) -> list[tuple[FactorShape, float]]:
        """The shapes that np.dot is faster for, the worst first."""
        order = np.argsort(self.speedups)
        return [(self.shapes[i], self.speedups[i]) for i in order if self.speedups[i] < 1]


@dataclass(frozen=True)
class Target:
    """What was asked for and what was measured; `measured` is None where nothing was."""

    name: str
    wanted: float
    measured: float | None

    @property
    def met(self) -> bool:
        """Whether it was measured and reached."""
        return self.measured is not None and self.measured >= self.wanted


def gate_cases(seed: int, loader: str | None) -> list[Case]:
    """Return the gates of the papers, with Algorithm 4's factors.

    Examples
    --------
    >>> [str(case.shape) for case in gate_cases(0, None)][:2]
    ['(59, 8) x (2, 16)', '(14, 4) x (11, 41)']
    """
    return [Case(gate.name, algorithm4(gate.m, gate.n), seed, loader) for gate in GATES]


def square_cases(seed: int, loader: str | None) -> list[Case]:
    """Return the squares with balanced factors.

    Examples
    --------
    >>> [case.shape.m for case in square_cases(0, None)]
    [256, 1024, 4096]
    """
    shapes = [FactorShape(size, size, size, size) for size in SQUARES]
    return [Case(f"square {shape.m}", shape, seed, loader) for shape in shapes]


def random_shapes(count: int, seed: int) -> list[FactorShape]:
    """Draw factor shapes of random sizes, primes included, among those with something to gain.

    m and n are log-uniform in 16..512; of the factor shapes of m x n whose dense product has more
    than twice their multiply-accumulates, each is as likely. There always is one: the outer
    product (m, 1) x (1, n) has m + n of them.

    Parameters
    ----------
    count : int
        How many.
    seed : int
        Of the generator.

    Returns
    -------
    list of FactorShape

    Examples
    --------
    >>> shapes = random_shapes(20, seed=0)
    >>> len(shapes) == 20 and all(shape.m * shape.n > 2 * shape.macs for shape in shapes)
    True
    """
    rng = np.random.default_rng(seed)
    low, high = np.log(RANDOM_SIZES[0]), np.log(RANDOM_SIZES[1] + 1)
    shapes = []
    for _ in range(count):
        m, n = (int(size) for size in np.exp(rng.uniform(low, high, 2)))
        candidates = [s for s in factor_shapes(m, n) if m * n > RANDOM_MAC_RATIO * s.macs]
        shapes.append(candidates[rng.integers(len(candidates))])
    return shapes


def _algorithm4_of(shapes: Sequence[FactorShape]) -> tuple[list[FactorShape], dict[str, str]]:
    """Return Algorithm 4's shapes for the same sizes, and the sizes left out, with the reason."""
    chosen, left_out = [], {}
    for m, n in dict.fromkeys((shape.m, shape.n) for shape in shapes):
        try:
            shape = algorithm4(m, n)
        except ShapeError:
            left_out[f"{m} x {n}"] = "Algorithm 4 is undefined"
            continue
        if m * n > RANDOM_MAC_RATIO * shape.macs:
            chosen.append(shape)
        else:
            left_out[f"{m} x {n}"] = f"{shape} has a MAC ratio of {m * n / shape.macs:.2f} only"
    return chosen, left_out


def time_in_turns(samplers: Mapping[str, Sampler], rounds: int) -> dict[str, Timing]:
    """Interleave the samplers with every thread pool of the process limited to one thread.

    Raises
    ------
    MissingExtraError
        Without threadpoolctl: OpenBLAS would use all cores.
    """
    try:
        from threadpoolctl import threadpool_limits
    except ImportError:
        raise MissingExtraError("threadpoolctl", "bench") from None
    with threadpool_limits(1):
        return interleave(samplers, rounds=rounds, min_seconds=MIN_SECONDS)


def python_table(case: Case, chosen: Sequence[Peer], rounds: int) -> Table:
    """Time a case from Python, every peer in turn.

    Parameters
    ----------
    case : Case
        The product.
    chosen : sequence of Peer
        From :data:`~kplib.bench.peers.PYTHON_PEERS`.
    rounds : int
        Samples of each.

    Returns
    -------
    Table
        The bare loop and an empty call are in it too: no time is subtracted anywhere.
    """
    calls, left_out = prepare(chosen, case)
    overhead = {LOOP: loop_overhead(), EMPTY_CALL: statement("empty()", {"empty": gc.isenabled})}
    timings = time_in_turns({name: call.sampler for name, call in calls.items()} | overhead, rounds)
    baseline = BASELINE if BASELINE in calls else None
    rows = _rows(case, calls, timings, baseline)
    rows += [Row(name, timings[name]) for name in overhead]
    return Table(case.name, case.shape, "python", baseline, peers.OURS, tuple(rows), left_out)


def cpp_table(case: Case, chosen: Sequence[Peer], rounds: int) -> Table:
    """Time a case in a C++ loop, every peer in turn, with the core's peak beside them.

    Parameters
    ----------
    case : Case
        The product.
    chosen : sequence of Peer
        From :data:`~kplib.bench.native.NATIVE_PEERS`.
    rounds : int
        Samples of each.

    Returns
    -------
    Table
        Its baseline is sgemv on the storage order of W that is the faster one for this case.
    """
    try:
        peak = native.fma_peak()
    except Unavailable as reason:
        left_out = {peer.name: str(reason) for peer in chosen}
        return Table(case.name, case.shape, "cpp", None, native.OURS, (), left_out)
    calls, left_out = prepare(chosen, case)
    samplers = {name: call.sampler for name, call in calls.items()}
    timings = time_in_turns(samplers | {PEAK: peak}, rounds)
    sgemvs = [name for name in native.SGEMVS if name in calls]
    baseline = min(sgemvs, key=lambda name: timings[name].median, default=None)
    rows = _rows(case, calls, timings, baseline, timings[PEAK])
    rows.append(Row(PEAK, timings[PEAK]))
    return Table(case.name, case.shape, "cpp", baseline, native.OURS, tuple(rows), left_out)


def _rows(
    case: Case,
    calls: Mapping[str, Call],
    timings: Mapping[str, Timing],
    baseline: str | None,
    peak: Timing | None = None,
) -> list[Row]:
    rows = []
    for name, call in calls.items():
        fraction = None
        if peak is not None:
            fraction = 2 * call.macs / native.fma_flops_per_call()
            fraction *= speedup(peak, timings[name]).median
        gain = speedup(timings[baseline], timings[name]) if baseline else None
        error = call.error(case)
        rows.append(Row(name, timings[name], gain, call.note, call.how, call.macs, error, fraction))
    return rows


def random_tables(
    count: int, seed: int, loader: str | None, rounds: int, show: Callable[[str], None]
) -> list[RandomTable]:
    """Time random shapes, and Algorithm 4's shapes of the same sizes, from Python.

    Parameters
    ----------
    count, seed : int
        As for :func:`random_shapes`.
    loader : str or None
        Of the kernels.
    rounds : int
        Samples of each.
    show : callable
        Is told, now and then, how far it is.

    Returns
    -------
    list of RandomTable
        Of the random shapes, of Algorithm 4's.
    """
    drawn = random_shapes(count, seed)
    chosen, left_out = _algorithm4_of(drawn)
    low, high = RANDOM_SIZES
    uniform = f"{count} random shapes, m and n log-uniform in {low}..{high}"
    return [
        _random_table(uniform, drawn, {}, seed, loader, rounds, show),
        _random_table("Algorithm 4, the same sizes", chosen, left_out, seed, loader, rounds, show),
    ]


def _random_table(
    selection: str,
    shapes: Sequence[FactorShape],
    left_out: Mapping[str, str],
    seed: int,
    loader: str | None,
    rounds: int,
    show: Callable[[str], None],
) -> RandomTable:
    pair = [peer for peer in PYTHON_PEERS if peer.name in (BASELINE, peers.OURS)]
    left_out = dict(left_out)
    timed: list[FactorShape] = []
    baseline: list[Timing] = []
    ours: list[Timing] = []
    for i, shape in enumerate(shapes):
        if i % 20 == 0:
            show(f"{selection}: {i} of {len(shapes)}")
        calls, failed = prepare(pair, Case(str(shape), shape, seed, loader))
        if failed:
            left_out[str(shape)] = "; ".join(f"{name}: {why}" for name, why in failed.items())
            continue
        timings = time_in_turns({name: call.sampler for name, call in calls.items()}, rounds)
        timed.append(shape)
        baseline.append(timings[BASELINE])
        ours.append(timings[peers.OURS])
    return RandomTable(selection, tuple(timed), tuple(baseline), tuple(ours), left_out)


def targets(tables: Sequence[Table], random: Sequence[RandomTable]) -> list[Target]:
    """Return what the project promises about the cases that were asked for, met or not.

    A product that could not be timed has missed its target.

    Examples
    --------
    >>> targets([], [])
    []
    """
    found = []
    for table in tables:
        ours = table.row(table.ours)
        where = "from Python" if table.setting == "python" else "C++ loop"
        gate = next((gate for gate in GATES if gate.name == table.case), None)
        if gate is not None:
            measured = ours.speedup.median if ours and ours.speedup else None
            found.append(Target(f"{gate.name}, {where}", getattr(gate, table.setting), measured))
        elif table.case.startswith("square ") and table.setting == "cpp":
            fraction = ours.peak_fraction if ours else None
            found.append(Target(f"{table.case}, fraction of peak", PEAK_FRACTION, fraction))
    if random:
        drawn = random[0]
        complete = drawn.shapes and not drawn.left_out
        middle = float(np.median(drawn.speedups)) if complete else None
        worst = float(drawn.speedups.min()) if complete else None
        found.append(Target("random shapes, median, from Python", RANDOM_MEDIAN, middle))
        found.append(Target("random shapes, slowest, from Python", 1.0, worst))
    return found
