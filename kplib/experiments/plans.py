"""Plans: which networks are trained with how many seeds, and how their learning rates are chosen.

A plan is a TOML file, ``[[sweeps]]`` after ``[[sweeps]]``, in the order in which they are to run.
The one behind the recorded results is ``plan.toml`` beside this module.
"""

import math
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from kplib.experiments import few_bits
from kplib.experiments.configuration import Configuration, ScheduleName
from kplib.experiments.recipes import Technique
from kplib.experiments.records import read, record_path
from kplib.experiments.strict import checked, from_json
from kplib.experiments.training import keeps_weights
from kplib.experiments.variants import configured

__all__ = ["RECORDED_PLAN", "Entry", "Plan", "Sweep", "chosen_rate", "read_plan", "tuning_folder"]

RECORDED_PLAN = Path(__file__).with_name("plan.toml")


@dataclass(frozen=True, kw_only=True)
class Sweep:
    """Networks of one benchmark that are trained alike: one schedule and one budget for all.

    Parameters
    ----------
    benchmark : str
    techniques : tuple of {"baseline", "small", "pruned", "lmf", "kp", "hkp"}
    compressions : tuple of int, optional
        As of `kplib.build`; the maximum, unless given.
    variants : tuple of str, optional
        Of each technique, names of `kplib.experiments.variants`; "" is the technique itself, and
        all there is unless given.
    seeds : tuple of int
        Of the runs that are scored on the test set.
    length : int, optional
        Epochs or steps, as the benchmark is counted; by default each network's own in the papers.
    schedule : {"papers", "kp", "constant", "cosine"}, default "papers"
        As of `kplib.experiments.configuration.default_configuration`.
    learning_rates : tuple of float, optional
        To choose from, for each technique and compression; the first wins a tie. With one there
        is nothing to choose; by default it is each network's own in the papers.
    tuning_length : int, optional
        Of the runs that choose; by default `length`.
    tuning_seeds : tuple of int, default (0,)
        Of the runs that choose.
    max_norm, dropout : float, optional
        For all networks; by default each network's own.
    data_options : mapping, optional
        Keyword arguments of the data set's loader.
    initial_values : mapping of str to float, optional
        As of `kplib.experiments.configuration.Configuration`, for all networks.
    bits : int, optional
        From 2 to 8: each trained network is then put in so many bits, too, rounded and fine-tuned,
        as `kplib.experiments.few_bits` says; but not baselines whose weights are not kept.

    Raises
    ------
    ValueError
        If one of its networks or trainings cannot be, a list is empty or has something twice.

    Examples
    --------
    >>> sweep = Sweep(benchmark="usps-fastrnn", techniques=("lmf", "kp"), seeds=(0, 1), length=60,
    ...               learning_rates=(0.01, 0.03), tuning_length=20)
    >>> [entry.name for entry in sweep.entries]
    ['usps-fastrnn/lmf', 'usps-fastrnn/kp']
    >>> tuning = sweep.entries[1].tuning
    >>> [(run.learning_rate, run.length, run.scored_on) for run in tuning]
    [(0.01, 20, 'validation'), (0.03, 20, 'validation')]
    """

    benchmark: str
    techniques: tuple[Technique, ...]
    compressions: tuple[int, ...] = ()
    variants: tuple[str, ...] = ("",)
    seeds: tuple[int, ...]
    length: int | None = None
    schedule: ScheduleName = "papers"
    learning_rates: tuple[float, ...] = ()
    tuning_length: int | None = None
    tuning_seeds: tuple[int, ...] = (0,)
    max_norm: float | None = None
    dropout: float | None = None
    data_options: Mapping[str, Any] = field(default_factory=dict, hash=False)
    initial_values: Mapping[str, float] = field(default_factory=dict, hash=False)
    bits: int | None = None

    def __post_init__(self) -> None:
        for name, value in checked(self).items():
            object.__setattr__(self, name, value)
        needed = ("techniques", "variants", "seeds", "tuning_seeds")
        for name in (*needed, "compressions", "learning_rates"):
            values = getattr(self, name)
            if not values and name in needed:
                raise ValueError(f"a sweep of {self.benchmark} needs {name}")
            if len(set(values)) < len(values):
                raise ValueError(f"a sweep of {self.benchmark} has {name} twice: {values}")
        for entry in self.entries:
            _ = entry.tuning, entry.in_bits(entry.final(self.seeds[0], *self.learning_rates[:1]))

    @property
    def entries(self) -> tuple["Entry", ...]:
        """One for each variant of each technique at each compression."""
        return tuple(
            Entry(self, technique, compression, variant)
            for compression in self.compressions or (None,)
            for technique in self.techniques
            for variant in self.variants
        )


@dataclass(frozen=True)
class Entry:
    """One technique at one compression in a sweep, or a variant of it.

    Parameters
    ----------
    sweep : Sweep
    technique : str
    compression : int or None
    variant : str, default ""

    Examples
    --------
    >>> sweep = Sweep(benchmark="usps-fastrnn", techniques=("lmf", "kp"), seeds=(0, 1))
    >>> isinstance(sweep.entries[1], Entry) and sweep.entries[1].final(0).technique
    'kp'
    """

    sweep: Sweep
    technique: Technique
    compression: int | None
    variant: str = ""

    @property
    def name(self) -> str:
        """Such as ``kws-lstm/lmf-10x``."""
        suffix = f"-{self.compression}x" if self.compression else ""
        suffix += f"-{self.variant}" if self.variant else ""
        return f"{self.sweep.benchmark}/{self.technique}{suffix}"

    @property
    def tuning(self) -> tuple[Configuration, ...]:
        """The runs that choose a learning rate, scored on the validation set; none if it is set."""
        if len(self.sweep.learning_rates) < 2:
            return ()
        length = self.sweep.tuning_length or self.sweep.length
        return tuple(
            replace(self._configuration(seed, rate, length), scored_on="validation")
            for rate in self.sweep.learning_rates
            for seed in self.sweep.tuning_seeds
        )

    def final(self, seed: int, learning_rate: float | None = None) -> Configuration:
        """Return the run of a seed that is scored on the test set.

        Parameters
        ----------
        seed : int
        learning_rate : float, optional
            By default the papers'.
        """
        return self._configuration(seed, learning_rate, self.sweep.length)

    def in_bits(self, final: Configuration) -> tuple[Configuration, ...]:
        """Return what a final run is made into afterwards: rounded, and fine-tuned; or nothing.

        Examples
        --------
        >>> sweep = Sweep(benchmark="usps-fastrnn", techniques=("baseline",), seeds=(0, 1), bits=8)
        >>> (entry,) = sweep.entries
        >>> [[run.variant for run in entry.in_bits(entry.final(seed))] for seed in sweep.seeds]
        [['8-bits', '8-bits-tuned'], []]
        """
        bits = self.sweep.bits
        if bits is None or not keeps_weights(final):
            return ()
        return few_bits.rounded(final, bits), few_bits.tuned(final, bits)

    def _configuration(self, seed: int, rate: float | None, length: int | None) -> Configuration:
        sweep = self.sweep
        configuration = configured(
            sweep.benchmark,
            self.technique,
            variant=self.variant,
            compression=self.compression,
            seed=seed,
            length=length,
            learning_rate=rate,
            schedule=sweep.schedule,
            data_options=sweep.data_options,
        )
        for name in ("max_norm", "dropout", "initial_values"):
            if (value := getattr(sweep, name)) not in (None, {}):
                configuration = replace(configuration, **{name: value})
        return configuration


@dataclass(frozen=True, kw_only=True)
class Plan:
    """Sweeps in the order in which they are to run, the cheapest first.

    Parameters
    ----------
    sweeps : tuple of Sweep

    Raises
    ------
    ValueError
        If there is none.

    Examples
    --------
    >>> first = Sweep(benchmark="usps-fastrnn", techniques=("kp",), seeds=(0, 1))
    >>> then = Sweep(benchmark="mnist-lstm", techniques=("lmf", "kp"), seeds=(0,))
    >>> [entry.technique for entry in Plan(sweeps=(first, then)).entries]
    ['kp', 'lmf', 'kp']
    """

    sweeps: tuple[Sweep, ...]

    def __post_init__(self) -> None:
        for name, value in checked(self).items():
            object.__setattr__(self, name, value)
        if not self.sweeps:
            raise ValueError("a plan needs at least one sweep")

    @property
    def entries(self) -> tuple[Entry, ...]:
        """Those of all sweeps."""
        return tuple(entry for sweep in self.sweeps for entry in sweep.entries)


def read_plan(path: Path | str) -> Plan:
    """Read a plan.

    Parameters
    ----------
    path : Path or str
        Of a TOML file.

    Returns
    -------
    Plan

    Raises
    ------
    ValueError
        If it is none: it says which file, and what is wrong with it.

    Examples
    --------
    >>> plan = read_plan(RECORDED_PLAN)
    >>> {"mnist-lstm", "kws-lstm"} <= {sweep.benchmark for sweep in plan.sweeps}
    True
    """
    try:
        return from_json(Plan, tomllib.loads(Path(path).read_text(encoding="utf-8")), "plan")
    except OSError as error:
        raise ValueError(f"{path}: cannot be read: {error.strerror}") from None
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from None


def tuning_folder(folder: Path | str) -> Path:
    """Return where the records of the runs that choose are, apart from those of the results.

    Examples
    --------
    >>> tuning_folder(Path("runs")).parent == Path("runs")
    True
    """
    return Path(folder) / "tuning"


def chosen_rate(entry: Entry, folder: Path | str) -> float | None:
    """Return the learning rate that the tuning runs of an entry choose, by validation alone.

    Parameters
    ----------
    entry : Entry
    folder : Path or str
        Of all records.

    Returns
    -------
    float or None
        That with the highest validation accuracy, the mean over the tuning seeds. A rate at which
        one diverged comes after all others, and the first in the plan wins a tie. None if
        there is nothing to choose, because the plan gives one rate or leaves it to the papers.

    Raises
    ------
    ValueError
        If a tuning run has no record yet.

    Examples
    --------
    >>> import tempfile
    >>> (entry,) = Sweep(benchmark="usps-fastrnn", techniques=("kp",), seeds=(0,)).entries
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     chosen_rate(entry, Path(folder)) is None  # nothing is tuned
    True
    """
    rates = entry.sweep.learning_rates
    if len(rates) < 2:
        return rates[0] if rates else None
    scores = dict.fromkeys(rates, 0.0)
    for configuration in entry.tuning:
        result = read(record_path(tuning_folder(folder), configuration)).record.result
        accuracy = result.validation_accuracy
        if result.diverged_at is not None or accuracy is None:
            accuracy = -math.inf
        scores[configuration.learning_rate] += accuracy
    return max(rates, key=scores.__getitem__)
