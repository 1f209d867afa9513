"""Running a plan: every training is a task of dask, which spreads them over workers.

First the runs that choose the learning rate of an entry, then, as their dependents, the runs that
are scored on the test set. A task leaves nothing but files: a record when it is done, a checkpoint
until then. So whatever is killed, a worker or the whole sweep, is taken up again from the files.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from kplib.errors import MissingExtraError

try:
    import dask
    import distributed
except ModuleNotFoundError as error:
    if error.name not in ("dask", "distributed"):
        raise
    raise MissingExtraError(error.name, "sweep") from error

import kplib.data
from kplib.data import DataSet
from kplib.experiments.configuration import Configuration
from kplib.experiments.plans import Entry, Plan, chosen_rate, tuning_folder
from kplib.experiments.records import record_path
from kplib.experiments.strict import to_json
from kplib.experiments.training import train

__all__ = ["Setting", "local_client", "sweep"]

_DEATHS = 5  # of workers, until dask gives a run up; every task that waited for them counts one


@dataclass(frozen=True, kw_only=True)
class Setting:
    """What all runs of a sweep share.

    Parameters
    ----------
    folder : Path
        Of all records; every worker must see it under this name.
    load : function (name, **options) -> DataSet, optional
        By default `kplib.data.load`.
    checkpoint_seconds : float, default 60
        As of `kplib.experiments.training.train`.
    command : str, optional
        For the records.
    """

    folder: Path
    load: Callable[..., DataSet] = kplib.data.load
    checkpoint_seconds: float = 60.0
    command: str = ""


@contextmanager
def local_client(workers: int = 2) -> Iterator[distributed.Client]:
    """Start worker processes on this machine, one thread each, and stop them at the end.

    Parameters
    ----------
    workers : int, default 2
        A killed one is started again.

    Yields
    ------
    distributed.Client
    """
    with (
        dask.config.set({"distributed.scheduler.allowed-failures": _DEATHS}),
        distributed.LocalCluster(
            n_workers=workers, threads_per_worker=1, memory_limit=None, dashboard_address=None
        ) as cluster,
        distributed.Client(cluster) as client,
    ):
        yield client


def sweep(
    plan: Plan,
    client: distributed.Client,
    setting: Setting,
    report: Callable[[str], object] = print,
) -> dict[str, BaseException]:
    """Run a plan to its end; what has a record is skipped, what has a checkpoint is resumed.

    Parameters
    ----------
    plan : Plan
    client : distributed.Client
        Of workers with one thread each: torch's number of threads is the process's.
    setting : Setting
    report : function, default print
        Called with one line for each run that is done, failed, or was done before.

    Returns
    -------
    dict of str to exception
        The runs that failed, and why; those that need them are among them, and have the same
        exception. A loss that is not finite is no failure but a result, and is recorded.

    Notes
    -----
    The order is the plan's, seed after seed, so that a sweep that is cut has as many seeds of one
    technique as of another. A run that raises is tried once more.
    """
    submitted = _submit(plan, client, setting)
    failed: dict[str, BaseException] = {}
    done = distributed.as_completed(submitted, raise_errors=False)
    for number, future in enumerate(done, start=1):
        if future.status == "finished":
            line = future.result()
        else:
            name = submitted[future]
            failed[name] = error = future.exception()
            line = f"{name}: failed: {type(error).__name__}: {error}"
        report(f"{number}/{len(submitted)} {line}")
    return failed


def _submit(
    plan: Plan, client: distributed.Client, setting: Setting
) -> dict[distributed.Future, str]:
    """Hand all runs of a plan to dask, with what they depend on; return their names."""
    names: dict[distributed.Future, str] = {}

    def submit(name: str, function: Callable[..., str], *arguments: Any) -> distributed.Future:
        future = client.submit(
            function, *arguments, setting, key=name, pure=False, retries=1, priority=-len(names)
        )
        names[future] = name
        return future

    for number, part in enumerate(plan.sweeps, start=1):
        tuned = {
            entry: [
                submit(f"tuning {number} {run.path} at {run.learning_rate:g}", _tune, run)
                for run in entry.tuning
            ]
            for entry in part.entries
        }
        for seed in part.seeds:
            for entry in part.entries:
                name = f"{number} {entry.name}/seed-{seed}"
                submit(name, _final, entry, seed, tuned[entry])
    return names


# In the workers -----------------------------------------------------------------------------------


def _tune(configuration: Configuration, setting: Setting) -> str:
    """Train a network to choose by; its weights are not kept."""
    return _run(configuration, setting, tuning_folder(setting.folder), keep_weights=False)


def _final(entry: Entry, seed: int, tuned: list[str], setting: Setting) -> str:
    """Train at the rate that the tuning runs choose; they come as an argument to be waited for."""
    configuration = entry.final(seed, chosen_rate(entry, setting.folder))
    return _run(configuration, setting, setting.folder, keep_weights=None)


def _run(
    configuration: Configuration, setting: Setting, folder: Path, keep_weights: bool | None
) -> str:
    """Train, unless there is a record; return a line about it."""
    name = f"{configuration.path} at {configuration.learning_rate:g}"
    if record_path(folder, configuration).exists():
        return f"{name}: done before"
    options = to_json(configuration.data_options)
    stored = train(
        configuration,
        _loaded(setting.load, configuration.data, tuple(options.items())),
        folder=folder,
        progress=False,
        checkpoint_seconds=setting.checkpoint_seconds,
        keep_weights=keep_weights,
        command=setting.command,
    )
    result, seconds = stored.record.result, stored.record.circumstances.seconds
    line = f"{name}: {configuration.scored_on} {result.accuracy:.2f} %, {seconds:.0f} s"
    return line + (f", diverged at step {result.diverged_at}" if result.diverged_at else "")


@lru_cache(maxsize=2)
def _loaded(
    load: Callable[..., DataSet], name: str, options: tuple[tuple[str, Any], ...]
) -> DataSet:
    """Load a data set; the last ones are kept, for the next runs of the same benchmark."""
    return load(name, **dict(options))
