"""What the figures of the results draw from records: points and curves.

The curves and points of a network that was trained on noise for two epochs:

>>> import tempfile
>>> from pathlib import Path
>>> from kplib.data.sets import DataSet, Sequences
>>> from kplib.experiments.configuration import default_configuration
>>> from kplib.experiments.run_sets import run_sets
>>> from kplib.experiments.training import train
>>> rng = np.random.default_rng(0)
>>> part = Sequences(rng.normal(size=(20, 16, 16)).astype(np.float32), np.arange(20) % 10)
>>> data = DataSet("usps", tuple("0123456789"), part, part, part)
>>> setting = default_configuration("usps-fastrnn", "kp").with_length(2)
>>> folder = tempfile.TemporaryDirectory()
>>> run = train(setting, data, folder=folder.name)
>>> (kp,) = sets = run_sets(Path(folder.name))
>>> network_name(kp)
'kp'
>>> [[len(epochs) for epochs, _ in seeds] for seeds in learning_curves(sets).values()]
[[2]]
>>> [point.technique for point in our_points(sets)]
['kp']
>>> [(seed, sorted(scalars)) for seed, scalars in trained_scalars(kp)]
[(0, ['alpha', 'beta'])]
>>> folder.cleanup()
"""

import math
from collections.abc import Iterable, Mapping

import numpy as np
from numpy.typing import NDArray

from kplib.experiments.bootstrap import Interval
from kplib.experiments.points import Point
from kplib.experiments.recipes import recipe
from kplib.experiments.run_sets import RunSet, difference

__all__ = ["learning_curves", "network_name", "our_points", "trained_scalars"]

Curve = tuple[NDArray[np.float64], NDArray[np.float64]]


def our_points(
    sets: Iterable[RunSet], milliseconds: Mapping[str, float] | None = None
) -> list[Point]:
    """Return our networks, with the mean accuracy over their seeds and its interval.

    Parameters
    ----------
    sets : iterable of RunSet
        Of one benchmark, such as those of one protocol of `kplib.experiments.run_sets.protocols`.
    milliseconds : mapping of str to float, optional
        Time of one inference, by `Configuration.path`'s name of the network: "baseline", "kp",
        "lmf-10x". Without the baseline's no speed-up is known.

    Returns
    -------
    list of Point
        Sizes are compared with the baseline's whether or not it was trained. What is lost to the
        baseline is known if there is one set of baselines.
    """
    sets = list(sets)
    times = milliseconds or {}
    baseline_time = times.get("baseline")
    baselines = [one for one in sets if one.configuration.technique == "baseline"]
    baseline = baselines[0] if len(baselines) == 1 else None
    points = []
    for one in sets:
        mine = one.configuration
        time = times.get(network_name(one))
        lost = difference(baseline, one) if baseline else None
        if one is baseline:
            lost = Interval(value=0.0, low=0.0, high=0.0)
        points.append(
            Point(
                source="ours",
                technique=mine.technique,
                compression=mine.compression,
                layers=mine.layers,
                accuracy=one.interval.value,
                is_mean=len(one.runs) > 1,
                kilobytes=one.kilobytes,
                low=one.interval.low,
                high=one.interval.high,
                speed_up=baseline_time / time if baseline_time and time else None,
                smaller=recipe(mine.benchmark, "baseline").size.kilobytes / one.kilobytes,
                lost=lost.value if lost else None,
                lost_low=lost.low if lost else None,
                lost_high=lost.high if lost else None,
                seeds=len(one.runs),
            )
        )
    return points


def network_name(one: RunSet) -> str:
    """Return the name of a network in its records' paths, such as ``lmf-10x``."""
    return one.configuration.path.split("/")[1]


def learning_curves(sets: Iterable[RunSet]) -> dict[str, list[Curve]]:
    """Return the validation accuracy of each seed over the training.

    Parameters
    ----------
    sets : iterable of RunSet
        One a technique; of several the last counts.

    Returns
    -------
    dict of str to list of (ndarray, ndarray)
        By technique, for each seed the time in the unit of the configuration's length, and the
        accuracy then, 0 to 1.
    """
    curves: dict[str, list[Curve]] = {}
    for one in sets:
        runs = []
        for run in one.runs:
            mine, curve = run.record.configuration, run.record.curve
            a_unit = 1
            if mine.unit == "epochs":
                a_unit = math.ceil(run.record.data.examples["train"] / mine.batch_size)
            accuracies = np.array(curve.validation_accuracy, np.float64) / 100
            runs.append((np.array(curve.steps, np.float64) / a_unit, accuracies))
        curves[one.configuration.technique] = runs
    return curves


def trained_scalars(one: RunSet, layer: str = "l0") -> list[tuple[int, dict[str, float]]]:
    """Return the scalars of a trained cell, such as FastRNN's alpha and beta, seed by seed.

    Parameters
    ----------
    one : RunSet
    layer : str, default "l0"
        Of the recurrent layers, PyTorch's suffix.

    Returns
    -------
    list of (int, dict of str to float)
        Seed and scalars by name, of the runs whose weights were kept; none for a cell that has no
        scalars.
    """
    found = []
    for run in one.runs:
        weights = run.weights
        prefix = f"rnn.cells.{layer}."
        scalars = {
            name.removeprefix(prefix): float(array)
            for name, array in weights.items()
            if name.startswith(prefix) and array.shape == ()
        }
        if scalars:
            found.append((run.record.configuration.seed, scalars))
    return found
