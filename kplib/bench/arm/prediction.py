"""Predicted speed-ups of Kronecker networks on Arm, with their range; the papers' measured ones."""

from collections.abc import Mapping
from dataclasses import dataclass

from kplib.bench.arm.counting import Counts
from kplib.bench.arm.model import Modelled
from kplib.bench.network import BENCHMARK_NAMES
from kplib.experiments import papers
from kplib.experiments.benchmarks import benchmark as named_benchmark

__all__ = ["Prediction", "predictions"]


@dataclass(frozen=True)
class Prediction:
    """How many times as fast as the dense network a Kronecker network would be.

    Nothing of it is timed. Each figure is a ratio of two of this library's programs, dense over
    Kronecker; the papers' is a ratio of two of theirs.

    Attributes
    ----------
    benchmark : str
        Of the papers.
    layers : int
        Of the Kronecker network; the dense network is the papers' baseline.
    by_fmla : float
        Ratio of multiply-add instructions: if nothing but these counted.
    by_instructions : float
        Ratio of all instructions: if each took as long.
    by_model : tuple of float
        Ratios of modelled cycles, without and with waiting for results (`Modelled`).
    measured_by_papers : float or None
        On a HiKey 960, with their programs; None where they print no such network.
    """

    benchmark: str
    layers: int
    by_fmla: float
    by_instructions: float
    by_model: tuple[float, float]
    measured_by_papers: float | None

    @property
    def least(self) -> float:
        """The smallest of the figures."""
        return min(self.by_fmla, self.by_instructions, *self.by_model)

    @property
    def most(self) -> float:
        """The largest of the figures."""
        return max(self.by_fmla, self.by_instructions, *self.by_model)


def predictions(counts: Mapping[str, Counts], modelled: Mapping[str, Modelled]) -> list[Prediction]:
    """Return the predictions for every benchmark whose networks were counted and modelled.

    Parameters
    ----------
    counts : mapping of str to Counts
        By the names of `kplib.bench.arm.cases.ArmCase`.
    modelled : mapping of str to Modelled
        By the same.

    Returns
    -------
    list of Prediction
        For the papers' number of layers, and for one layer where that is another.
    """
    found = []
    for name in BENCHMARK_NAMES:
        dense = f"{name}, baseline"
        for kronecker, layers in ((f"{name}, kp", 1), (f"{name}, kp, 2 layers", 2)):
            if {dense, kronecker} <= counts.keys() & modelled.keys():
                found.append(_prediction(name, layers, dense, kronecker, counts, modelled))
    return found


def _prediction(
    name: str, layers: int, dense: str, kronecker: str,
    counts: Mapping[str, Counts], modelled: Mapping[str, Modelled],
) -> Prediction:  # fmt: skip
    a, b = counts[dense], counts[kronecker]
    p, q = modelled[dense], modelled[kronecker]
    measured = None
    if layers == named_benchmark(name).kp_layers:
        measured = papers.speed_up(papers.result(name, "kp"))
    return Prediction(
        benchmark=name,
        layers=layers,
        by_fmla=(a.fmla + a.fmadd) / (b.fmla + b.fmadd),
        by_instructions=a.instructions / b.instructions,
        by_model=(p.throughput / q.throughput, p.chained / q.chained),
        measured_by_papers=measured,
    )
