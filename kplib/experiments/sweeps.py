"""Running a plan: every training is a task of dask, which spreads them over workers.

First the runs that choose the learning rate of an entry, and when they are done, the runs that are
scored on the test set; each of these is then put in few bits, where the plan says so. A task leaves
nothing but files: a record when it is done, a checkpoint until then. So whatever is killed, a
worker or the whole sweep, is taken up again from the files.
"""

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from itertools import count
from pathlib import Path
from typing import Any, cast

from kplib.errors import MissingExtraError

try:
    import dask
    import distributed
except ModuleNotFoundError as error:
    if error.name not in ("dask", "distributed"):
        raise
    raise MissingExtraError(error.name, "sweep") from error

from kplib.data import DataSet
from kplib.experiments.configuration import Configuration
from kplib.experiments.few_bits import record_in_bits
from kplib.experiments.plans import Entry, Plan, chosen_rate, tuning_folder
from kplib.experiments.records import read, record_path
from kplib.experiments.tasks import load as load_data
from kplib.experiments.training import recorded
from kplib.experiments.variant_training import train
from kplib.experiments.variants import needs_baseline

__all__ = ["Setting", "local_client", "sweep"]


@dataclass(frozen=True, kw_only=True)
class Setting:
    """What all runs of a sweep share.

    Parameters
    ----------
    folder : Path
        Of all records; every worker must see it under this name.
    load : function (name, **options) -> DataSet, optional
        By default `kplib.experiments.tasks.load`.
    checkpoint_seconds : float, default 60
        As of `kplib.experiments.training.train`.
    command : str, optional
        For the records.

    Examples
    --------
    >>> from kplib.experiments.tasks import load
    >>> Setting(folder=Path("runs")).load is load
    True
    """

    folder: Path
    load: Callable[..., DataSet] = load_data
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

    Examples
    --------
    A script that calls it needs ``if __name__ == "__main__":``, since the workers import it.

    >>> with local_client(workers=1) as client:
    ...     client.submit(pow, 2, 10).result()
    1024
    """
    with (
        dask.config.set({"distributed.scheduler.worker-saturation": 1.0}),  # no queues at workers
        distributed.LocalCluster(
            n_workers=workers,
            threads_per_worker=1,
            memory_limit=None,
            dashboard_address="127.0.0.1:0",  # whichever port is free
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
        The runs that failed, and why; where one that tunes fails, the final ones are not run, and
        fail with it. A loss that is not finite is no failure but a result, and is recorded.

    Notes
    -----
    The order is the plan's, seed after seed, so that a sweep that is cut has as many seeds of one
    technique as of another. A run that raises is tried once more.

    Examples
    --------
    >>> import tempfile
    >>> import numpy as np
    >>> from kplib.data import DataSet, Sequences
    >>> from kplib.experiments.plans import Plan, Sweep
    >>> part = Sequences(np.ones((20, 16, 16), np.float32), np.arange(20) % 10)
    >>> data = DataSet("usps", tuple("0123456789"), part, part, part)
    >>> one = Sweep(benchmark="usps-fastrnn", techniques=("kp",), seeds=(0,), length=1)
    >>> here = {"processes": False, "threads_per_worker": 1, "dashboard_address": None}
    >>> with (
    ...     tempfile.TemporaryDirectory() as folder,
    ...     distributed.Client(n_workers=1, **here) as client,
    ... ):
    ...     setting = Setting(folder=Path(folder), load=lambda name, **options: data)
    ...     failed = sweep(Plan(sweeps=(one,)), client, setting, report=lambda line: None)
    >>> failed
    {}
    """
    stages = _stages(plan)
    total = len({task.name for stage in stages for task in [*stage.tuning, *stage.final]})
    tasks: dict[distributed.Future[Any], _Task] = {}
    submitted: set[str] = set()
    over: set[str] = set()
    failed: dict[str, BaseException] = {}
    done = distributed.as_completed(raise_errors=False)

    def go_on() -> None:
        """Submit what waits for nothing any more."""
        for stage in stages:
            ready = stage.tuning if stage.after <= over else []
            if stage.after <= over and all(task.name in over for task in stage.tuning):
                ready = stage.final
            for task in ready:
                if task.name not in submitted and task.name not in failed:
                    submitted.add(task.name)
                    future = client.submit(
                        task.function, *task.arguments, setting, pure=False, retries=1,
                        key=("run", task.name), priority=-task.place,
                    )  # fmt: skip
                    tasks[future] = task
                    done.add(future)

    go_on()
    for number, future in enumerate(done, start=1):
        task = tasks[future]
        over.add(task.name)
        if future.status == "finished":
            report(f"{number}/{total} {future.result()}")
        else:
            error = future.exception()
            failed[task.name] = error
            for stage in stages:
                if task in stage.tuning:
                    failed |= {final.name: error for final in stage.final}
                    over |= {final.name for final in stage.final}
            report(f"{number}/{total} {task.name}: failed: {type(error).__name__}: {error}")
        go_on()
    return failed


@dataclass(frozen=True)
class _Task:
    place: int  # in the order of the plan
    name: str
    function: Callable[..., str]
    arguments: tuple[Any, ...]


@dataclass(frozen=True)
class _Stage:
    """The runs of an entry: those that tune, and those that wait for them.

    All of them wait for the runs named in `after`, if there are: the baselines of which a variant
    takes one to learn from. Two entries may have runs that tune in common.
    """

    tuning: list[_Task]
    final: list[_Task]
    after: frozenset[str]


def _stages(plan: Plan) -> list[_Stage]:
    """Return all runs of a plan, each with its place in the order."""
    places, stages = count(), []
    baselines: dict[str, set[str]] = {}
    known: dict[str, _Task] = {}  # of the same tuning run in two entries there is one

    def tuned(number: int, run: Configuration) -> _Task:
        name = f"{run.path} at {run.learning_rate:g}"
        if name not in known:
            known[name] = _Task(next(places), f"{number} {name}", _tune, (run,))
        return known[name]

    for number, part in enumerate(plan.sweeps, start=1):
        tuning = [[tuned(number, run) for run in entry.tuning] for entry in part.entries]
        by_seed = [
            [
                _Task(next(places), f"{number} {entry.name}/seed-{seed}", _final, (entry, seed))
                for entry in part.entries
            ]
            for seed in part.seeds
        ]
        finals = zip(*by_seed, strict=True)
        for entry, tasks, final in zip(part.entries, tuning, finals, strict=True):
            before = baselines.setdefault(part.benchmark, set())
            after = frozenset(before if needs_baseline(entry.final(part.seeds[0])) else ())
            stages.append(_Stage(tasks, list(final), after))
            if entry.technique == "baseline" and not entry.variant:
                before |= {task.name for task in final}
    return stages


# In the workers -----------------------------------------------------------------------------------


def _tune(configuration: Configuration, setting: Setting) -> str:
    """Train a network to choose by; its weights are not kept."""
    return _run(configuration, setting, tuning_folder(setting.folder), keep_weights=False)


def _final(entry: Entry, seed: int, setting: Setting) -> str:
    """Train at the rate that the tuning runs chose."""
    configuration = entry.final(seed, chosen_rate(entry, setting.folder))
    line = _run(configuration, setting, setting.folder, keep_weights=None)
    return line + _in_bits(entry, configuration, setting)


def _in_bits(entry: Entry, trained: Configuration, setting: Setting) -> str:
    """Round and fine-tune a trained network, unless there are the records; say what came out."""
    wanted = [record_path(setting.folder, each) for each in entry.in_bits(trained)]
    if all(path.exists() for path in wanted):
        return ""
    stored = read(record_path(setting.folder, trained))
    if stored.record.result.diverged_at is not None:
        return "; not put in few bits"
    found = record_in_bits(
        stored,
        _load(trained, setting),
        folder=setting.folder,
        bits=cast("int", entry.sweep.bits),
        progress=False,
        checkpoint_seconds=setting.checkpoint_seconds,
        command=setting.command,
    )
    rounded, tuned = (run.record.result.accuracy for run in found)
    return f"; in {entry.sweep.bits} bits {rounded:.2f} %, fine-tuned {tuned:.2f} %"


def _run(
    configuration: Configuration, setting: Setting, folder: Path, keep_weights: bool | None
) -> str:
    """Train, unless there is a record; return a line about it."""
    name = f"{configuration.path} at {configuration.learning_rate:g}"
    if recorded(configuration, folder):
        return f"{name}: done before"
    stored = train(
        configuration,
        _load(configuration, setting),
        folder=folder,
        baselines=setting.folder,
        progress=False,
        checkpoint_seconds=setting.checkpoint_seconds,
        keep_weights=keep_weights,
        command=setting.command,
    )
    result, seconds = stored.record.result, stored.record.circumstances.seconds
    line = f"{name}: {configuration.scored_on} {result.accuracy:.2f} %, {seconds:.0f} s"
    return line + (f", diverged at step {result.diverged_at}" if result.diverged_at else "")


def _load(configuration: Configuration, setting: Setting) -> DataSet:
    options = json.dumps(dict(configuration.data_options))
    return _loaded(setting.load, configuration.data, options)


@lru_cache(maxsize=2)
def _loaded(load: Callable[..., DataSet], name: str, options: str) -> DataSet:
    """Load a data set, options as JSON; the last are kept, for the next runs of the benchmark."""
    return load(name, **json.loads(options))
