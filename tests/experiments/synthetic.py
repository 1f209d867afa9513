"""Records as a training would leave them, but with results that a test chooses."""

import dataclasses

import numpy as np

from kplib.experiments.benchmarks import TASKS
from kplib.experiments.configuration import default_configuration
from kplib.experiments.recipes import recipe
from kplib.experiments.records import (
    Circumstances,
    Curve,
    Network,
    Record,
    Result,
    UsedData,
    write,
)
from kplib.experiments.scores import accuracy as share_right
from kplib.experiments.scores import confusion_matrix, macro_f1
from kplib.experiments.task_training import task_configuration

CIRCUMSTANCES = Circumstances(
    command="", finished="2026-01-01T00:00:00+00:00", seconds=1.5, milliseconds_per_step=2.5,
    sessions=1, threads=1, device="cpu", kplib={}, machine={}, libraries={},
)  # fmt: skip
CURVE = {"steps": (10, 20, 40), "learning_rate": (0.01, 0.005, 0.001), "loss": (2.0, 1.5, 1.0),
         "train_accuracy": (30.0, 50.0, 60.0), "looks": 3}  # fmt: skip


def scores(labels, predictions, classes, outputs):
    """Return what of a `Result` follows from the predictions."""
    confusion = confusion_matrix(labels, predictions, classes, outputs)
    return {
        "accuracy": 100 * share_right(confusion), "macro_f1": 100 * macro_f1(confusion),
        "confusion": confusion,
    }  # fmt: skip


def write_run(
    folder, benchmark, technique, accuracy=0.9, *, seed=0, items=200, labels=None,
    diverged_at=None, protocol=None, sha256="0" * 64, right=None, groups=None, **options,
):  # fmt: skip
    """Write the record of a run that is right on a random part of the test items.

    `options` are those of `default_configuration`, or of `task_configuration`; `right` says which
    items it is right on, `groups` which of them belong together.
    """
    special = {k: options.pop(k) for k in ("scored_on", "initial_values") if k in options}
    make = task_configuration if benchmark in TASKS else default_configuration
    configuration = make(benchmark, technique, seed=seed, **options)
    configuration = dataclasses.replace(configuration, **special)
    classes = recipe(benchmark, technique, compression=configuration.compression).network.classes
    if labels is None:
        labels = np.arange(items) % classes
    labels = np.asarray(labels)
    if right is None:
        rng = np.random.default_rng([seed, *technique.encode()])
        right = rng.random(len(labels)) < accuracy
    predictions = np.where(right, labels, (labels + 1) % classes)
    chosen = recipe(
        benchmark, technique, compression=configuration.compression, layers=configuration.layers
    )
    percent = 100 * float(np.mean(right))
    record = Record(
        configuration=configuration,
        data=UsedData(
            name=configuration.data,
            classes=tuple(f"class {k}" for k in range(classes)),
            examples={"train": 1000, "validation": len(labels), "test": len(labels)},
            variants=0,
            sha256=sha256,
            files={},
            protocol=protocol or {},
        ),
        network=Network(
            parameters=chosen.size.total, kilobytes=chosen.size.kilobytes, index_bytes=0,
            hidden_size=chosen.hidden_size, layers=chosen.layers, outputs=classes,
        ),
        result=Result(
            **scores(labels, predictions, classes, classes),
            validation_accuracy=percent, chosen_at=20, diverged_at=diverged_at,
        ),
        curve=Curve(**CURVE, validation_accuracy=(percent / 2, percent, percent)),
        circumstances=CIRCUMSTANCES,
    )  # fmt: skip
    arrays = {"predictions": predictions.astype(np.uint8), "labels": labels.astype(np.uint8)}
    if groups is not None:
        arrays["groups"] = np.asarray(groups, np.uint16)
    return write(folder, record, arrays)
