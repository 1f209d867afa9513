"""One training step, Kronecker against dense: forward, backward and Adam, in turns."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

import torch
from torch import nn

from kplib.bench import machine
from kplib.bench.record import write_json
from kplib.bench.timing import Timing, interleave, speedup, statement
from kplib.experiments import BENCHMARKS
from kplib.experiments.build import build
from kplib.nn import Classifier
from kplib.nn.recurrent import Recurrent

__all__ = ["CASES", "TrainingCase", "TrainingTable", "chosen_cases", "run", "training_table"]

MIN_SECONDS = 0.05
"""Of a timed sample."""

KP = "kplib KP, auto"


@dataclass(frozen=True)
class TrainingCase:
    """What is trained, and against what.

    Parameters
    ----------
    benchmark : str
        A key of `BENCHMARKS`.
    batch : int
        Sequences a step, as in the papers.
    target : float
        The step's time over that of the dense network, at most.
    baseline : {"torch.nn", "kplib dense"}
        Dense peer: torch's own layer, or, where torch has none, kplib's in the same loop.
    layers : int, optional
        Of the recurrent network.
    """

    benchmark: str
    batch: int
    target: float
    baseline: Literal["torch.nn", "kplib dense"]
    layers: int = 1


CASES = (
    TrainingCase("kws-lstm", 100, 1.15, "torch.nn"),
    TrainingCase("mnist-lstm", 128, 1.15, "torch.nn"),
    TrainingCase("har1-bilstm", 64, 0.65, "torch.nn"),
    TrainingCase("kws-gru", 100, 1.0, "kplib dense"),
    TrainingCase("usps-fastrnn", 100, 1.0, "kplib dense"),
)
"""The papers' networks with their batches, and what issue and book promise of their steps."""


@dataclass(frozen=True)
class TrainingTable:
    """Timings of one case, by peer, and the ratio that its target is about.

    Attributes
    ----------
    case : TrainingCase
    timings : mapping of str to Timing
        Seconds a training step.
    ratio : float
        Median over the rounds of the Kronecker step's time over the baseline's.
    """

    case: TrainingCase
    timings: Mapping[str, Timing]
    ratio: float

    def record(self) -> dict[str, Any]:
        """Return it as JSON has it."""
        milliseconds = {
            name: {q: getattr(timing, q) * 1e3 for q in ("p10", "median", "p90")}
            for name, timing in self.timings.items()
        }
        return {**asdict(self.case), "milliseconds": milliseconds, "ratio": self.ratio}


def chosen_cases(names: Sequence[str] | None) -> list[TrainingCase]:
    """Return the cases of these benchmarks, all if none is named.

    Raises
    ------
    ValueError
        If there is no such case; the message lists those that there are.

    Examples
    --------
    >>> [case.batch for case in chosen_cases(["mnist-lstm"])]
    [128]
    """
    known = {case.benchmark: case for case in CASES}
    if unknown := set(names or ()) - known.keys():
        raise ValueError(f"no training case {sorted(unknown)}; there are {', '.join(known)}")
    return [known[name] for name in names or known]


def run(
    cases: Sequence[TrainingCase],
    rounds: int,
    threads: int,
    device: str,
    json_path: Path | None,
    arguments: Sequence[str],
) -> None:
    """Print a table for each case as it is done, and write the record where one is wanted."""
    provenance = machine.provenance(arguments)
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    print(f"one training step, {threads} threads, {device}, {rounds} rounds in turns; medians\n")
    tables = []
    try:
        for case in cases:
            tables.append(training_table(case, rounds, device=device))
            _print_table(tables[-1])
    finally:
        torch.set_num_threads(before)
    if json_path is not None:
        options = {"rounds": rounds, "threads": threads, "device": device}
        record = {**provenance, "options": options, "tables": [t.record() for t in tables]}
        write_json(json_path, record)
        print(f"record: {json_path}")


def _print_table(table: TrainingTable) -> None:
    case, base = table.case, table.timings[table.case.baseline].median
    print(f"{case.benchmark}, batch {case.batch}")
    for name, timing in table.timings.items():
        spread = f"{timing.p10 * 1e3:.2f} to {timing.p90 * 1e3:.2f}"
        ratio = timing.median / base
        print(f"  {name:18} {timing.median * 1e3:8.2f} ms  ({spread:>16})  {ratio:5.2f}x")
    verdict = "met" if table.ratio <= case.target else "not met"
    print(f"  target: {case.target:.2f}x of {case.baseline}; {table.ratio:.2f}x: {verdict}\n")


def training_table(case: TrainingCase, rounds: int, *, device: str = "cpu") -> TrainingTable:
    """Time one training step of every peer, in turns.

    Parameters
    ----------
    case : TrainingCase
        The network and its batch.
    rounds : int
        Samples of each peer.
    device : str, optional
        Where it is trained.

    Returns
    -------
    TrainingTable

    Notes
    -----
    A step is the gradient of the cross-entropy of a random batch, and Adam's update, in as many
    threads as torch has. Peers: the dense network, and the Kronecker network with each method.

    Examples
    --------
    >>> table = training_table(CASES[4], rounds=1)
    >>> list(table.timings)[:2]
    ['kplib dense', 'kplib KP, auto']
    >>> table.ratio > 0
    True
    """
    network = BENCHMARKS[case.benchmark]
    x = torch.randn(case.batch, network.steps, network.input_size, device=device)
    labels = torch.randint(network.classes, (case.batch,), device=device)
    works = {
        name: statement("step()", {"step": _step(model.to(device), x, labels)})
        for name, model in _models(case).items()
    }
    timings = interleave(works, rounds=rounds, min_seconds=MIN_SECONDS)
    ratio = speedup(timings[KP], timings[case.baseline]).median
    return TrainingTable(case, timings, ratio)


def _models(case: TrainingCase) -> dict[str, Classifier]:
    dense = build(case.benchmark, "baseline", layers=case.layers, seed=0)
    if case.baseline == "torch.nn" and isinstance(dense.rnn, Recurrent):
        dense = Classifier(dense.rnn.to_torch(), dense.head)
    models: dict[str, Classifier] = {case.baseline: dense}
    for method in ("auto", "fused", "factors"):
        models[f"kplib KP, {method}"] = build(case.benchmark, "kp", layers=case.layers, seed=0)
        models[f"kplib KP, {method}"].rnn.method = method
    return models


def _step(model: Classifier, x: torch.Tensor, labels: torch.Tensor) -> Any:
    """Return the function that takes one training step."""
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)

    def step() -> None:
        optimizer.zero_grad()
        nn.functional.cross_entropy(model(x), labels).backward()
        optimizer.step()
        if x.is_cuda:
            torch.cuda.synchronize()

    return step
