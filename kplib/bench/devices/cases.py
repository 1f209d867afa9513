"""Which networks are measured: those of the records, on images of their test sets."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import NDArray

import kplib.data
from kplib.bench.devices.measure import Case
from kplib.experiments.benchmarks import BENCHMARKS
from kplib.experiments.build import build
from kplib.experiments.configuration import DATA
from kplib.experiments.records import read
from kplib.experiments.trained import load_trained
from kplib.nn import Classifier
from kplib.nn.structures import SparseWeight

NETWORKS: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "usps-fastrnn": ("baseline", "small", "pruned", "lmf", "kp"),
        "mnist-lstm": ("baseline", "kp"),
    }
)
"""Those of the papers that are meant for such devices."""
TECHNIQUES = ("baseline", "small", "pruned", "lmf", "kp")


def chosen_cases(
    benchmarks: Sequence[str] | None,
    techniques: Sequence[str] | None,
    examples: int,
    runs: Path,
    *,
    random: bool = False,
) -> list[Case]:
    """Return the networks of these benchmarks and techniques, and examples for each.

    Parameters
    ----------
    benchmarks, techniques : sequence of str, optional
        By default `NETWORKS`.
    examples : int
        The first so many of the test set.
    runs : Path
        The folder of all records: of each network the first record is taken. One that has none gets
        the weights of seed 0, which change neither its size nor, by much, what it costs.
    random : bool
        Random numbers instead of the test set.

    Returns
    -------
    list of Case

    Raises
    ------
    ValueError
        If there is no such network, or a file is no record.
    MissingDataError
        If the data are not here and cannot be downloaded.
    """
    unknown = [name for name in benchmarks or () if name not in NETWORKS]
    if unknown:
        raise ValueError(
            f"there is no benchmark {unknown[0]!r} for devices; there are: {', '.join(NETWORKS)}"
        )
    unknown = [name for name in techniques or () if name not in TECHNIQUES]
    if unknown:
        raise ValueError(
            f"there is no technique {unknown[0]!r} for devices; there are: {', '.join(TECHNIQUES)}"
        )
    if not random and not runs.is_dir():
        raise ValueError(f"{runs} is no folder of records; name one with --runs")
    cases = []
    for benchmark in benchmarks or NETWORKS:
        for technique in techniques or NETWORKS[benchmark]:
            record = first_record(runs, benchmark, technique)
            x, labels = _examples(benchmark, examples, random, data_options(record))
            model = load_trained(record) if record else untrained(benchmark, technique)
            source = record.relative_to(runs).as_posix() if record else "not trained, seed 0"
            cases.append(Case(benchmark, technique, model, x, labels if record else None, source))
    return cases


def first_record(runs: Path, benchmark: str, technique: str) -> Path | None:
    """Return the first record of a network, None if there is none."""
    return min((runs / benchmark / technique).glob("seed-*.json"), default=None)


def data_options(record: Path | None) -> Mapping[str, Any]:
    """Return how the data were loaded that a network was trained on, such as their scaling."""
    return {} if record is None else read(record).record.configuration.data_options


def untrained(benchmark: str, technique: str) -> Classifier:
    """Return a network with the weights of seed 0, pruned if that is its technique.

    Examples
    --------
    >>> untrained("usps-fastrnn", "kp").rnn.hidden_size == 32
    True
    """
    model = build(benchmark, technique, seed=0)
    for module in model.modules():
        if isinstance(module, SparseWeight):
            module.prune_to()
    return model.eval()


def _examples(
    benchmark: str, count: int, random: bool, options: Mapping[str, Any]
) -> tuple[NDArray[np.float32], NDArray[np.integer] | None]:
    if not random:
        data = kplib.data.load(DATA[benchmark], **options)
        return data.test.x[:count].astype(np.float32), data.test.y[:count]
    network = BENCHMARKS[benchmark]
    shape = (count, network.steps, network.input_size)
    return np.random.default_rng(0).standard_normal(shape, np.float32), None
