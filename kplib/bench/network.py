"""``kplib bench network``: the papers' networks, one sequence at batch 1, against their peers.

For each benchmark its networks, dense and compressed, and every peer that can run them, all
interleaved in one process.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from kplib.bench.network_memory import peak_bytes
from kplib.bench.network_peers import (
    BASELINE,
    EXPORTED,
    OURS,
    TORCH_COMPILE,
    UNROLLED,
    NetworkCall,
    NetworkCase,
    peers_of,
)
from kplib.bench.peers import Call, prepare
from kplib.bench.timing import Sampler, Speedup, Timing, interleave, speedup
from kplib.errors import MissingExtraError
from kplib.experiments import BENCHMARKS
from kplib.experiments.benchmarks import benchmark as named_benchmark
from kplib.experiments.build import build
from kplib.experiments.recipes import recipe
from kplib.nn import Classifier
from kplib.nn.structures import SparseWeight

__all__ = [
    "GOALS",
    "NETWORKS",
    "Goal",
    "NetworkRow",
    "NetworkSpec",
    "NetworkTable",
    "NetworkTarget",
    "chosen_specs",
    "network_case",
    "network_table",
    "network_targets",
    "prepare_networks",
]

MIN_SECONDS = 1e-3
"""Shortest timed sample, in seconds."""

BENCHMARK_NAMES = ("kws-lstm", "har1-bilstm", "mnist-lstm", "usps-fastrnn", "kws-gru")
"""The papers' five."""

Entry = tuple[str, str]
"""A peer and the network that it runs."""

DENSE = "baseline"


@dataclass(frozen=True)
class NetworkSpec:
    """One of a benchmark's networks, as `kplib.build` takes it.

    Examples
    --------
    >>> NetworkSpec("kws-gru", "kp", layers=2).label
    'kp, 2 layers'
    >>> NetworkSpec("kws-lstm", "hkp", compression=10).label
    'hkp 10x'
    """

    benchmark: str
    technique: str
    compression: int | None = None
    layers: int | None = None

    @property
    def label(self) -> str:
        """As the tables show it; layers are named where they are not the dense baseline's."""
        layers = self.layers or BENCHMARKS[self.benchmark].layers
        strength = f" {self.compression}x" if self.compression else ""
        several = f", {layers} layers" if layers != BENCHMARKS[self.benchmark].layers else ""
        return f"{self.technique}{strength}{several}"


def _specs(name: str) -> list[NetworkSpec]:
    """Return a benchmark's networks: at the papers' maximum compression, and the hybrid at 10x."""
    techniques = (DENSE, "small", "pruned", "lmf", "kp")
    specs = [NetworkSpec(name, technique, layers=1) for technique in techniques]
    if recipe(name, "hkp", compression=10).rows:  # without dense rows it is the Kronecker network
        specs.append(NetworkSpec(name, "hkp", compression=10, layers=1))
    if BENCHMARKS[name].kp_layers == 2:
        specs += [NetworkSpec(name, each, layers=2) for each in (DENSE, "lmf", "kp")]
    return specs


NETWORKS: Mapping[str, tuple[NetworkSpec, ...]] = {
    name: tuple(_specs(name)) for name in BENCHMARK_NAMES
}
"""The networks that are timed, by benchmark."""


@dataclass(frozen=True)
class Goal:
    """What the project promises of two entries of a benchmark's table.

    Parameters
    ----------
    benchmark : str
        Whose table.
    entry, over : (str, str)
        Peer and network.
    wanted : float
        A ratio of times.
    sense : {"faster", "at most"}
        ``"faster"``: `entry` is at least `wanted` times as fast as `over`. ``"at most"``: it takes
        at most `wanted` times as long.
    """

    benchmark: str
    entry: Entry
    over: Entry
    wanted: float
    sense: Literal["faster", "at most"] = "faster"

    @property
    def name(self) -> str:
        """In words."""
        peer = f"{self.over[0]}, " if self.over[0] != self.entry[0] else ""
        return f"{self.benchmark}: {self.entry[0]}, {self.entry[1]} against {peer}{self.over[1]}"


_ONNX_DENSE = (BASELINE, DENSE)
_KP, _KP_2 = (OURS, "kp"), (OURS, "kp, 2 layers")

GOALS = (
    Goal("kws-lstm", _KP, _ONNX_DENSE, 8),
    Goal("har1-bilstm", _KP, _ONNX_DENSE, 8),
    Goal("mnist-lstm", _KP, _ONNX_DENSE, 4),
    # ONNX has no FastRNN: against what torch exports, a better graph, and the fastest one found.
    *(Goal("usps-fastrnn", _KP, (peer, DENSE), 35) for peer in (EXPORTED, UNROLLED, BASELINE)),
    Goal("kws-gru", _KP, _ONNX_DENSE, 9.5),
    Goal("kws-gru", _KP_2, _ONNX_DENSE, 4),
    Goal("kws-gru", _KP_2, (BASELINE, "baseline, 2 layers"), 10),
    *(Goal(name, (OURS, DENSE), _ONNX_DENSE, 1) for name in BENCHMARK_NAMES),
    *(Goal(name, _KP, (OURS, "pruned"), 1, "at most") for name in BENCHMARK_NAMES),
    *(Goal(name, _KP, (OURS, "lmf"), 1.3, "at most") for name in BENCHMARK_NAMES[:4]),
    Goal("kws-gru", _KP_2, (OURS, "lmf, 2 layers"), 2.5, "at most"),
)
"""What is promised of whole networks, one thread."""


@dataclass(frozen=True)
class NetworkTarget:
    """A goal and what was measured; `measured` is None where nothing was.

    Attributes
    ----------
    goal : Goal
    measured : float or None
        The ratio of times that the goal is about.
    mac_ratio : float or None
        MACs of its entry over those of the other: whether the counts allow it.
    """

    goal: Goal
    measured: float | None
    mac_ratio: float | None = None

    @property
    def met(self) -> bool:
        """Whether it was measured and reached."""
        if self.measured is None:
            return False
        wanted = self.goal.wanted
        return self.measured >= wanted if self.goal.sense == "faster" else self.measured <= wanted


@dataclass(frozen=True)
class NetworkRow:
    """One peer running one network.

    Attributes
    ----------
    network, peer, note : str
        What ran, and what has to be said about it.
    timing : Timing
        Of one sequence.
    speedup : Speedup or None
        Over ONNX Runtime running the dense network.
    macs : int
        Multiply-accumulates of the sequence.
    relative_error : float
        Of the logits, relative to the largest one.
    weight_bytes, state_bytes, peak_bytes : int or None
        Where they are known: stored numbers; what is carried from step to step; what making it
        ready and running it adds at its peak to a process.
    how : str
        The Python expression that is timed; empty for a loop in C++.
    """

    network: str
    peer: str
    timing: Timing
    speedup: Speedup | None
    macs: int
    relative_error: float
    note: str = ""
    how: str = ""
    weight_bytes: int | None = None
    state_bytes: int | None = None
    peak_bytes: int | None = None


@dataclass(frozen=True)
class NetworkTable:
    """A benchmark's networks and their peers, timed in turns; those that were not, with why.

    ``left_out`` has the reasons by entry: (peer, network).
    """

    benchmark: str
    steps: int
    rows: tuple[NetworkRow, ...]
    left_out: Mapping[Entry, str] = field(default_factory=dict)

    def row(self, entry: Entry) -> NetworkRow | None:
        """Return the row of an entry, a peer and a network; None if it was left out."""
        return next((row for row in self.rows if (row.peer, row.network) == entry), None)

    @property
    def networks(self) -> set[str]:
        """The networks that were asked for, timed or not."""
        return {row.network for row in self.rows} | {network for _, network in self.left_out}

    @property
    def losses(self) -> list[tuple[NetworkRow, float]]:
        """What beats kplib's compiled Kronecker network, and how many times.

        All other networks and peers count; empty if it was not timed.
        """
        ours = self.row(_KP)
        if ours is None:
            return []
        gains = [(row, speedup(ours.timing, row.timing).median) for row in self.rows]
        return [(row, gain) for row, gain in gains if gain > 1 and row is not ours]


def chosen_specs(
    names: Sequence[str] | None, techniques: Sequence[str] | None
) -> dict[str, list[NetworkSpec]]:
    """Return the networks of these benchmarks; the dense one is always among them.

    Parameters
    ----------
    names : sequence of str or None
        Benchmarks; all if none is named.
    techniques : sequence of str or None
        Of `kplib.build`; all if none is named.

    Raises
    ------
    ValueError
        If one of them is unknown; the message lists those that there are.

    Examples
    --------
    >>> [spec.label for spec in chosen_specs(["kws-gru"], ["kp"])["kws-gru"]]
    ['baseline', 'kp', 'baseline, 2 layers', 'kp, 2 layers']
    """
    if unknown := sorted(set(names or ()) - NETWORKS.keys()):
        raise ValueError(f"no network benchmark {unknown}; there are {', '.join(NETWORKS)}")
    known = list(dict.fromkeys(spec.technique for specs in NETWORKS.values() for spec in specs))
    if missing := sorted(set(techniques or ()) - set(known)):
        raise ValueError(f"no technique {missing}; there are {', '.join(known)}")
    wanted = {DENSE, *(techniques or known)}
    return {
        name: [spec for spec in NETWORKS[name] if spec.technique in wanted]
        for name in dict.fromkeys(names or NETWORKS)
    }


def network_case(spec: NetworkSpec, *, seed: int = 0, threads: int = 1) -> NetworkCase:
    """Build a network, with random weights: its speed does not depend on their values.

    Parameters
    ----------
    spec : NetworkSpec
        What to build; a pruned network is pruned by magnitude to the papers' density.
    seed : int
        Of weights and input.
    threads : int
        For the runtimes that take several.

    Returns
    -------
    NetworkCase

    Examples
    --------
    >>> case = network_case(NetworkSpec("kws-lstm", "pruned"))
    >>> case.model.rnn.weight.params
    2085
    """
    network = named_benchmark(spec.benchmark)
    model = build(
        spec.benchmark, spec.technique, compression=spec.compression, layers=spec.layers, seed=seed
    )
    _prune(model)
    return NetworkCase(spec.benchmark, spec.label, model.eval(), network.steps, seed, threads)


def _prune(model: Classifier) -> None:
    for module in model.modules():
        if isinstance(module, SparseWeight):
            module.prune_to()


def prepare_networks(
    cases: Sequence[NetworkCase], *, torch_compile: bool = False
) -> tuple[dict[Entry, Call], dict[Entry, str]]:
    """Make every peer of every network ready, and check its logits against float64.

    Parameters
    ----------
    cases : sequence of NetworkCase
        The networks.
    torch_compile : bool, optional
        Whether to wait for torch.compile, which takes minutes for some networks.

    Returns
    -------
    calls : dict of (str, str) to Call
        Those that gave the right logits, by peer and network; each can be sampled.
    left_out : dict of (str, str) to str
        The others, with the reason.

    Examples
    --------
    >>> case = network_case(NetworkSpec("mnist-lstm", "kp"))
    >>> calls, left_out = prepare_networks([case])
    >>> calls["kplib.compile", "kp"].sampler(10) > 0
    True
    """
    calls: dict[Entry, Call] = {}
    left_out: dict[Entry, str] = {}
    for case in cases:
        peers = peers_of(case)
        if not torch_compile:
            peers = [peer for peer in peers if peer.name != TORCH_COMPILE]
            if case.kind == "dense":
                left_out[TORCH_COMPILE, case.network] = "takes minutes: --torch-compile"
        ready, failed = prepare(peers, case)
        calls |= {(name, case.network): call for name, call in ready.items()}
        left_out |= {(name, case.network): reason for name, reason in failed.items()}
    return calls, left_out


def time_in_turns(
    samplers: Mapping[Entry, Sampler], rounds: int, threads: int
) -> dict[Entry, Timing]:
    """Interleave the samplers with every thread pool of the process limited.

    Raises
    ------
    MissingExtraError
        Without threadpoolctl.
    """
    try:
        from threadpoolctl import threadpool_limits
    except ImportError:
        raise MissingExtraError("threadpoolctl", "bench") from None
    named = {"\n".join(entry): sampler for entry, sampler in samplers.items()}
    with threadpool_limits(threads):
        timings = interleave(named, rounds=rounds, min_seconds=MIN_SECONDS)
    return {entry: timings["\n".join(entry)] for entry in samplers}


def network_table(
    cases: Sequence[NetworkCase],
    rounds: int,
    *,
    torch_compile: bool = False,
    memory: bool = False,
    show: Callable[[str], None] = lambda message: None,
) -> NetworkTable:
    """Time the networks of one benchmark, every peer of each in turn.

    Parameters
    ----------
    cases : sequence of NetworkCase
        At least one, with the threads to use.
    rounds : int
        Samples of each entry.
    torch_compile : bool, optional
        As of :func:`prepare_networks`.
    memory : bool, optional
        Whether to measure each entry's peak too, in a process of its own: seconds each.
    show : callable, optional
        Is told, now and then, how far it is.

    Returns
    -------
    NetworkTable

    Examples
    --------
    >>> table = network_table([network_case(NetworkSpec("mnist-lstm", "kp"))], rounds=2)
    >>> table.row(("kplib.compile", "kp")).relative_error < 1e-5
    True
    """
    by_label = {case.network: case for case in cases}
    show(f"{cases[0].benchmark}: making the peers ready")
    calls, left_out = prepare_networks(cases, torch_compile=torch_compile)
    show(f"{cases[0].benchmark}: timing {len(calls)} entries, {rounds} rounds")
    samplers = {entry: call.sampler for entry, call in calls.items()}
    timings = time_in_turns(samplers, rounds, cases[0].threads)
    rows = []
    for entry, call in calls.items():
        case = by_label[entry[1]]
        gain = None
        if _ONNX_DENSE in timings:
            gain = speedup(timings[_ONNX_DENSE], timings[entry])
        peak = None
        if memory:
            show(f"{case.benchmark}: memory of {entry[0]}, {entry[1]}")
            peak = peak_bytes(case, entry[0])
        rows.append(_row(case, entry[0], call, timings[entry], gain, peak))
    return NetworkTable(cases[0].benchmark, cases[0].steps, tuple(rows), left_out)


def _row(
    case: NetworkCase,
    peer: str,
    call: Call,
    timing: Timing,
    gain: Speedup | None,
    peak: int | None,
) -> NetworkRow:
    weights, state = None, None
    if isinstance(call, NetworkCall):
        weights, state = call.weight_bytes, call.state_bytes
    return NetworkRow(
        network=case.network,
        peer=peer,
        timing=timing,
        speedup=gain,
        macs=call.macs,
        relative_error=call.error(case),
        note=call.note,
        how=call.how,
        weight_bytes=weights,
        state_bytes=state,
        peak_bytes=peak,
    )


def network_targets(
    tables: Sequence[NetworkTable], goals: Sequence[Goal] = GOALS
) -> list[NetworkTarget]:
    """Return the goals of the networks that were asked for, met or not.

    A goal whose entries could not be timed is not met.

    Examples
    --------
    >>> network_targets([])
    []
    """
    by_name = {table.benchmark: table for table in tables}
    found = []
    for goal in goals:
        table = by_name.get(goal.benchmark)
        if table is None or not {goal.entry[1], goal.over[1]} <= table.networks:
            continue
        entry, over = table.row(goal.entry), table.row(goal.over)
        measured = mac_ratio = None
        if entry is not None and over is not None:
            faster = speedup(over.timing, entry.timing).median
            slower = speedup(entry.timing, over.timing).median
            measured = faster if goal.sense == "faster" else slower
            mac_ratio = entry.macs / over.macs
        found.append(NetworkTarget(goal, measured, mac_ratio))
    return found
