"""How the networks of the tasks of long memory are trained, and on what.

The data themselves are made in `kplib.experiments.tasks`, which needs the extra ``data``; plans and
reports need only the names.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from kplib.experiments.benchmarks import TASKS
from kplib.experiments.configuration import Configuration, ScheduleName
from kplib.experiments.recipes import recipe
from kplib.experiments.schedules import Constant, Cosine

__all__ = ["TASK_DATA", "task_configuration"]

TASK_DATA: Mapping[str, str] = MappingProxyType(
    {"copy-rnn": "copy-memory", "adding-rnn": "adding", "pixels-rnn": "pixel-mnist"}
)
"""The data set of each network of `kplib.experiments.benchmarks.TASKS`."""

_LENGTH = 5_000
_BATCH = 100
_LEARNING_RATE = 1e-3
_LOOKS = 20


def task_configuration(
    benchmark: str,
    technique: str,
    *,
    seed: int = 0,
    compression: int | None = None,
    layers: int | None = None,
    variant: str = "",
    length: int | None = None,
    learning_rate: float | None = None,
    batch_size: int | None = None,
    schedule: ScheduleName = "cosine",
    data_options: Mapping[str, Any] | None = None,
) -> Configuration:
    """Return how a network of a task is trained; nothing of it is printed anywhere.

    Parameters
    ----------
    benchmark : {"copy-rnn", "adding-rnn", "pixels-rnn"}
    technique, compression, layers
        As in `kplib.build`.
    seed, variant, data_options
        As of `kplib.experiments.configuration.Configuration`.
    length : int, optional
        Steps; 5,000 unless given.
    learning_rate : float, default 0.001
    batch_size : int, default 100
    schedule : {"cosine", "constant"}

    Returns
    -------
    Configuration
        With gradients clipped to a norm of 1.

    Raises
    ------
    ValueError
        If there is no such network, or a value does not make sense.

    Examples
    --------
    >>> task_configuration("adding-rnn", "baseline", length=100).validate_every == 5
    True
    """
    if benchmark not in TASKS:
        raise ValueError(f"there is no task {benchmark!r}; there are {', '.join(TASKS)}")
    if schedule not in ("cosine", "constant"):
        raise ValueError(f"{benchmark} is not the papers': its schedule is cosine or constant, "
                         f"not {schedule!r}")  # fmt: skip
    chosen = recipe(benchmark, technique, compression=compression, layers=layers)
    length = _LENGTH if length is None else length
    return Configuration(
        benchmark=benchmark,
        technique=chosen.technique,
        compression=compression,
        layers=chosen.layers,
        variant=variant,
        seed=seed,
        data=TASK_DATA[benchmark],
        data_options=data_options or {},
        unit="steps",
        length=length,
        full_length=_LENGTH,
        batch_size=_BATCH if batch_size is None else batch_size,
        learning_rate=_LEARNING_RATE if learning_rate is None else learning_rate,
        schedule=Cosine(length=max(1, length)) if schedule == "cosine" else Constant(),
        max_norm=1.0,
        validate_every=max(1, length // _LOOKS),
        source="none: a task beside the papers",
    )
