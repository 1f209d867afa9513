"""What a training is: one plain, frozen data class, by default as the papers trained that network.

Every number of the papers comes from `kplib.experiments.papers`. What they do not say is a choice,
and stands in the configuration, and so in every record, as any other number does.
"""

import hashlib
import json
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Any, Literal, cast, get_args

from kplib.experiments import papers
from kplib.experiments.benchmarks import benchmark as known_benchmark
from kplib.experiments.printed import PaperResult, Training
from kplib.experiments.recipes import Technique, recipe
from kplib.experiments.schedules import LRD1, Constant, Cosine, Schedule, of_papers
from kplib.experiments.strict import checked, from_json, to_json

__all__ = ["DATA", "Configuration", "Pruning", "ScheduleName", "default_configuration"]

ScheduleName = Literal["papers", "kp", "constant", "cosine"]

DATA: Mapping[str, str] = MappingProxyType(
    {
        "mnist-lstm": "mnist",
        "usps-fastrnn": "usps",
        "kws-lstm": "keywords",
        "kws-gru": "keywords",
        "har1-bilstm": "opportunity",
        "dsads-bilstm": "dsads",
    }
)
"""The data set of each benchmark, a name of `kplib.data.load`."""

# Not of the papers: trained as the network that it stands in for.
_TRAINED_AS = {"dsads-bilstm": "har1-bilstm"}
_STEPS_BETWEEN_VALIDATIONS = 500
_VALIDATIONS = 20  # at least, of a training counted in steps
_RARE = ("variant_options", "ema_decay", "initial_values")


@dataclass(frozen=True, kw_only=True)
class Pruning:
    """When a network is pruned to its final density, by Zhu and Gupta's schedule.

    Parameters
    ----------
    start, end : float
        In the unit of the training's length.
    times : int, default 200
        How often in between, about evenly.

    Raises
    ------
    ValueError
        Unless 0 <= start < end and times is positive.

    Examples
    --------
    >>> pruned = default_configuration("kws-lstm", "pruned").pruning
    >>> isinstance(pruned, Pruning) and pruned.start < pruned.end
    True
    """

    start: float
    end: float
    times: int = 200

    def __post_init__(self) -> None:
        for name, value in checked(self).items():
            object.__setattr__(self, name, value)
        if not 0 <= self.start < self.end:
            raise ValueError(
                f"pruning needs 0 <= start < end, found {self.start:g} and {self.end:g}"
            )
        if self.times < 1:
            raise ValueError(f"pruning must happen at least once, found times={self.times}")

    def scaled(self, by: float) -> "Pruning":
        """Return the same, `by` times as late."""
        return replace(self, start=self.start * by, end=self.end * by)


@dataclass(frozen=True, kw_only=True)
class Configuration:
    """One training, completely: two of the same configuration, data and library are equal.

    Parameters
    ----------
    benchmark : str
        A key of `kplib.experiments.BENCHMARKS`.
    technique : {"baseline", "small", "pruned", "lmf", "kp", "hkp"}
        As in `kplib.build`.
    compression : int, optional
        As in `kplib.build`: the maximum, unless given.
    layers : int
        Recurrent layers.
    variant : str, default ""
        What is not as in the papers, a short name such as "full-rank"; the network or the loss is
        then given to `kplib.experiments.training.train`. Those that the project has of its own
        are in `kplib.experiments.variants`.
    variant_options : mapping, optional
        The variant's numbers, such as a temperature, by name.
    seed : int, default 0
        Of the initial weights, the order of the examples and the dropout.
    data : str
        Name of the data set.
    data_options : mapping, optional
        Keyword arguments of its loader.
    unit : {"epochs", "steps"}
        Of `length`, `validate_every`, the schedule and the pruning.
    length : int
        Of the training.
    full_length : int
        What the papers printed for it.
    batch_size : int
        The last batch of an epoch may be smaller.
    optimizer : {"Adam"}
        With its usual parameters.
    learning_rate : float
        The initial one.
    schedule : Constant, Piecewise, LRD1 or Cosine
        Its factor at each time.
    max_norm : float, optional
        The papers' "max norm".
    max_norm_on : {"gradients", "weights"}, default "gradients"
        How it is read: the norm of all gradients together is clipped before each step, as the
        long paper's appendix B.3 says; or the norm of each row of each trained matrix after it, as
        in the public code that the papers' HAR1 comes from.
    dropout : float, default 0
        Probability that an output of the recurrent layer is *dropped* on its way to the head.
    pruning : Pruning, optional
        Of the technique "pruned", and of that alone.
    validate_every : int, default 1
        Epochs or steps between two looks at the validation set.
    ema_decay : float, optional
        Then what is validated, chosen and kept is the exponential moving average of the weights,
        which after each step moves by 1 - `ema_decay` of the way to the weights.
    initial_values : mapping of str to float, optional
        What the recurrent layer's "bias", or its scalars such as "alpha", start with in place of
        the published constants; see `kplib.experiments.build.with_initial_values`.
    scored_on : {"test", "validation"}, default "test"
        The part that the chosen network is scored on, once. "validation" is for a training that
        only serves a choice, such as that of a learning rate: the test set is then left alone.
    source : str, default ""
        Where the defaults stand in the papers. Not part of `key`.

    Raises
    ------
    ValueError
        If a value is of another type, or does not make sense; it says which and why.

    See Also
    --------
    default_configuration : the papers' one.

    Examples
    --------
    >>> configuration = default_configuration("mnist-lstm", "kp", seed=3)
    >>> configuration.length, configuration.batch_size, configuration.learning_rate
    (5000, 128, 0.001)
    >>> short = configuration.shortened(0.02)
    >>> short.length, short.full_length, short.schedule.milestones
    (100, 5000, (25.0, 50.0, 75.0))
    >>> Configuration.from_json(short.to_json()) == short
    True
    """

    benchmark: str
    technique: Technique
    compression: int | None = None
    layers: int
    variant: str = ""
    variant_options: Mapping[str, Any] = field(default_factory=dict, hash=False)
    seed: int = 0
    data: str
    data_options: Mapping[str, Any] = field(default_factory=dict, hash=False)
    unit: Literal["epochs", "steps"]
    length: int
    full_length: int
    batch_size: int
    optimizer: Literal["Adam"] = "Adam"
    learning_rate: float
    schedule: Schedule
    max_norm: float | None = None
    max_norm_on: Literal["gradients", "weights"] = "gradients"
    dropout: float = 0.0
    pruning: Pruning | None = None
    validate_every: int = 1
    ema_decay: float | None = None
    initial_values: Mapping[str, float] = field(default_factory=dict, hash=False)
    scored_on: Literal["test", "validation"] = "test"
    source: str = ""

    def __post_init__(self) -> None:
        for name, value in checked(self).items():
            object.__setattr__(self, name, value)
        recipe(  # says what there is, if this is not
            self.benchmark, self.technique, compression=self.compression, layers=self.layers
        )
        for name in ("layers", "length", "full_length", "batch_size", "validate_every"):
            if (value := getattr(self, name)) < 1:
                raise ValueError(f"{name} must be at least 1, found {value}")
        if not 0 <= self.seed < 2**32:
            raise ValueError(f"seed must be from 0 to 2**32 - 1, found {self.seed}")
        if not 0 <= self.dropout < 1:
            raise ValueError(f"dropout must be from 0 to below 1, found {self.dropout}")
        if self.ema_decay is not None and not 0 < self.ema_decay < 1:
            raise ValueError(f"ema_decay must lie between 0 and 1, found {self.ema_decay}")
        if self.variant_options and not self.variant:
            raise ValueError("variant_options need a variant that they are of")
        for name in ("learning_rate", "max_norm"):
            value = getattr(self, name)
            if value is not None and value <= 0:
                raise ValueError(f"{name} must be positive, found {value}")
        if not re.fullmatch(r"([a-z0-9]+(-[a-z0-9]+)*)?", self.variant):
            raise ValueError(
                f"variant must be words of a-z and 0-9 with hyphens, found {self.variant!r}"
            )
        self._check_pruning()

    def _check_pruning(self) -> None:
        if (self.technique == "pruned") != (self.pruning is not None):
            there = "has" if self.pruning is not None else "lacks"
            raise ValueError(f"technique is {self.technique!r}, but the configuration {there} a "
                             "pruning: pruned networks have one, others none")  # fmt: skip
        if self.pruning is not None and self.pruning.end >= self.length:
            raise ValueError(
                f"pruning ends at {self.pruning.end:g}, but must end before the {self.length} "
                f"{self.unit} of the training do"
            )

    @property
    def key(self) -> str:
        """Eight hexadecimal digits of everything but the seed and the source."""
        raw = self.to_json()
        del raw["seed"], raw["source"]
        text = json.dumps(raw, sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(text.encode()).hexdigest()[:8]

    @property
    def path(self) -> str:
        """Where its record is, below the folder of all records, without the ending.

        Examples
        --------
        >>> path = default_configuration("kws-lstm", "lmf", compression=10, seed=2).path
        >>> path.startswith("kws-lstm/lmf-10x/seed-2-")
        True
        """
        usual = recipe(self.benchmark, self.technique, compression=self.compression).layers
        words: list[str] = [self.technique]
        words += [f"{self.compression}x"] if self.compression else []
        words += [f"{self.layers}-layer" + "s" * (self.layers > 1)] if self.layers != usual else []
        words += [self.variant] if self.variant else []
        return f"{self.benchmark}/{'-'.join(words)}/seed-{self.seed}-{self.key}"

    @property
    def is_shortened(self) -> bool:
        """Whether it trains less than the papers."""
        return self.length < self.full_length

    def shortened(self, fraction: float) -> "Configuration":
        """Return the same training in a fraction of the time: schedule and pruning with it.

        Parameters
        ----------
        fraction : float
            Of the present length; above 1 to train longer.

        Returns
        -------
        Configuration
            Its `full_length` still says what the papers printed.

        Raises
        ------
        ValueError
            If it is not positive, or infinite.
        """
        if not 0 < fraction < math.inf:
            raise ValueError(f"fraction must be positive and finite, found {fraction}")
        return self.with_length(max(1, round(self.length * fraction)))

    def with_length(self, length: int) -> "Configuration":
        """Return the same training in so many epochs or steps: schedule and pruning with it.

        Examples
        --------
        >>> pruned = default_configuration("kws-lstm", "pruned").with_length(10_000)
        >>> pruned.pruning.start, pruned.pruning.end, pruned.schedule.decay_steps
        (1500.0, 8000.0, 10000.0)
        >>> pruned.is_shortened, pruned.full_length == 100_000
        (True, True)
        """
        by = length / self.length
        return replace(
            self,
            length=length,
            schedule=self.schedule.scaled(by),
            pruning=self.pruning.scaled(by) if self.pruning else None,
            validate_every=_validate_every(self.unit, length),
        )

    def to_json(self) -> dict[str, Any]:
        """Return it as JSON has it, without what few have and this one has not."""
        raw = cast("dict[str, Any]", to_json(self))
        return {name: value for name, value in raw.items() if name not in _RARE or value}

    @classmethod
    def from_json(cls, raw: object) -> "Configuration":
        """Make it of what `to_json` returned; an unknown key or a wrong type is a ValueError."""
        return from_json(cls, raw, "configuration")


_MEANT = {
    "decay_steps": "schedule LRD1", "max_norm_on": "max norm", "dropout_is": "dropout"
}  # fmt: skip


def default_configuration(
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
    schedule: ScheduleName = "papers",
    decay_steps: float | None = None,
    max_norm_on: Literal["gradients", "weights"] = "gradients",
    dropout_is: Literal["kept", "dropped"] = "kept",
    data_options: Mapping[str, Any] | None = None,
) -> Configuration:
    """Return the training that the papers print for a network, or for the one nearest to it.

    Parameters
    ----------
    benchmark, technique, compression, layers
        As in `kplib.build`.
    seed, variant, data_options
        As of `Configuration`.
    length : int, optional
        Epochs or steps; schedule and pruning are scaled with it.
    learning_rate : float, optional
        The initial one; the schedule's factors stay.
    batch_size : int, optional
    schedule : {"papers", "kp", "constant", "cosine"}, default "papers"
        "kp": that of the papers' Kronecker network, for a comparison in which all have the same.
    decay_steps : float, optional
        Of LRD1, in steps of the papers' length; by default that length, so that the rate ends at
        `rate` times its initial value.
    max_norm_on : {"gradients", "weights"}, default "gradients"
        How the papers' "max norm" is read.
    dropout_is : {"kept", "dropped"}, default "kept"
        How the papers' "dropout" is read: TensorFlow 1's argument is the probability to *keep*.

    Returns
    -------
    Configuration
        Its `source` names the table. A row that the papers lack is trained as the nearest one that
        they have: another compression or number of layers of the same technique, else the Kronecker
        network; dsads-bilstm as HAR1.

    Raises
    ------
    ValueError
        If there is no such network, a value does not make sense, or an option is about what the
        training has not: LRD1, max norm, dropout.

    Notes
    -----
    The papers do not say when they prune the networks of MNIST and USPS, and pruned no GRU: there
    it begins and ends with the fractions that they searched first for HAR1.

    Examples
    --------
    >>> default_configuration("kws-lstm", "lmf").source
    'L table 4'
    >>> default_configuration("kws-gru", "pruned").source
    'L table 5: kp; pruning: L appendix D, E, HAR1'
    >>> default_configuration("har1-bilstm", "kp").dropout == 0.5
    True
    """
    if schedule not in get_args(ScheduleName):
        raise ValueError(
            f"schedule must be one of {', '.join(get_args(ScheduleName))}, found {schedule!r}"
        )
    chosen = recipe(benchmark, technique, compression=compression, layers=layers)
    row, source = _row(benchmark, technique, compression, chosen.layers)
    training = row.training
    timed = _row(benchmark, "kp", None, chosen.layers)[0] if schedule == "kp" else row
    rates = _schedule(schedule, timed.training, training.length, decay_steps)
    for name, asked, has in (
        ("decay_steps", decay_steps is not None, isinstance(rates, LRD1)),
        ("max_norm_on", max_norm_on != "gradients", training.max_norm is not None),
        ("dropout_is", dropout_is != "kept", training.dropout is not None),
    ):
        if asked and not has:
            raise ValueError(f"{source} has no {_MEANT[name]}: leave out {name}")
    pruning = None
    if technique == "pruned":
        pruning, where = _pruning(row)
        source += where
    configuration = Configuration(
        benchmark=benchmark,
        technique=chosen.technique,
        compression=compression,
        layers=chosen.layers,
        variant=variant,
        seed=seed,
        data=DATA[benchmark],
        data_options=data_options or {},
        unit=training.unit,
        length=training.length,
        full_length=training.length,
        batch_size=(
            _same_everywhere(row.benchmark, "batch_size") if batch_size is None else batch_size
        ),
        optimizer=_same_everywhere(row.benchmark, "optimizer"),
        learning_rate=training.learning_rate if learning_rate is None else learning_rate,
        schedule=rates,
        max_norm=training.max_norm,
        max_norm_on=max_norm_on,
        dropout=_dropout(training.dropout, dropout_is),
        pruning=pruning,
        validate_every=_validate_every(training.unit, training.length),
        source=source,
    )
    return configuration if length is None else configuration.with_length(length)


def _row(
    benchmark: str, technique: str, compression: int | None, layers: int
) -> tuple[PaperResult, str]:
    """Return the papers' row, or the nearest one, and what to say of where it stands."""
    rows = papers.results(_TRAINED_AS.get(benchmark, known_benchmark(benchmark).name))
    label = "maximum" if compression is None else f"{compression}x"
    label = "none" if technique == "baseline" else label
    wanted = (technique, label, layers)
    same = [row for row in rows if row.technique == technique]
    candidates = same or [row for row in rows if row.technique == "kp"]
    nearest = max(candidates, key=lambda row: (row.compression == label, row.layers == layers))
    if (nearest.technique, nearest.compression, nearest.layers) == wanted:
        source = nearest.source
    else:
        source = f"{nearest.source}: {nearest.technique}"
    return nearest, source + (f" of {nearest.benchmark}" if nearest.benchmark != benchmark else "")


def _schedule(
    name: ScheduleName, timed: Training, length: int, decay_steps: float | None
) -> Schedule:
    """Return the schedule over this length: one of that name, or a printed training's."""
    printed = of_papers(timed, decay_steps).scaled(length / timed.length)
    if name in ("constant", "cosine"):
        return Constant() if name == "constant" else Cosine(length=length)
    return printed


def _dropout(printed: float | None, meaning: Literal["kept", "dropped"]) -> float:
    """Return the probability to drop an output."""
    if printed is None:
        return 0.0
    return round(1 - printed, 12) if meaning == "kept" else printed


def _same_everywhere(benchmark: str, name: str) -> Any:
    """Return what the tables of a benchmark agree in; some leave it out."""
    printed = {getattr(row.training, name) for row in papers.results(benchmark)} - {None}
    if len(printed) != 1:
        raise ValueError(f"the papers' {name} of {benchmark} is not one: {sorted(printed)}")
    return printed.pop()


def _pruning(row: PaperResult) -> tuple[Pruning, str]:
    """Return when to prune, and what to add to the source if the row does not say."""
    start, end = row.training.pruning_start, row.training.pruning_end
    if start is not None and end is not None:
        return Pruning(start=start, end=end), ""
    percents = [papers.fact("search har1", f"pruning {word}, % of the epochs") for word in
                ("start", "end")]  # fmt: skip
    first, last = (cast("tuple[float, ...]", fact.value)[0] for fact in percents)
    length = row.training.length
    pruning = Pruning(start=first / 100 * length, end=last / 100 * length)
    return pruning, f"; pruning: {percents[0].source}, HAR1"


def _validate_every(unit: str, length: int) -> int:
    if unit == "epochs":
        return 1
    return max(1, min(_STEPS_BETWEEN_VALIDATIONS, length // _VALIDATIONS))


def fields_that_differ(one: Configuration, other: Configuration) -> dict[str, tuple[Any, Any]]:
    """Return the fields in which two configurations differ, with both values as JSON has them.

    Examples
    --------
    >>> papers_own = default_configuration("usps-fastrnn", "kp")
    >>> fields_that_differ(papers_own, replace(papers_own, seed=1))
    {'seed': (0, 1)}
    """
    a, b = one.to_json(), other.to_json()
    pairs = {name: (a.get(name), b.get(name)) for name in a | b}
    return {name: (mine, yours) for name, (mine, yours) in pairs.items() if mine != yours}
