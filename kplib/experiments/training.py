"""Training: one loop for every network, benchmark and technique; killed, it goes on where it was.

Nothing random has a state: the order of the examples, their variants and the dropout are functions
of the seed and the step (`kplib.experiments.batches`). With the same number of threads on the same
machine, a run that was killed and resumed gives the same bits as one that was not.

A training in full, of two steps:

>>> import tempfile
>>> from kplib.experiments.task_training import task_configuration
>>> from kplib.experiments.tasks import adding
>>> data = adding(steps=7, train=20, validation=5, test=5)
>>> configuration = task_configuration("adding-rnn", "baseline", length=2)
>>> folder = tempfile.TemporaryDirectory()
>>> stored = train(configuration, data, folder=folder.name)
>>> recorded(configuration, Path(folder.name))
True
>>> checkpoint_path(Path(folder.name), configuration).exists()  # only while it runs
False

The network of the record is the one that was tested:

>>> model = load_network(stored)
>>> x = torch.from_numpy(data.test.x)
>>> predict(model, x).tolist() == stored.predictions.tolist()
True
>>> loss, logits = cross_entropy(model, x, torch.from_numpy(data.test.y))
>>> logits.shape
torch.Size([5, 2])

A network that something was done to since is tested, and not trained:

>>> from dataclasses import replace
>>> changed = replace(configuration, variant="cut")
>>> model.head.weight.data[:, ::2] = 0
>>> evaluate(changed, data, model, folder=folder.name).record.curve.steps
()
>>> folder.cleanup()
"""

import datetime
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import numpy as np
import torch
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from kplib.bench import machine
from kplib.errors import MissingExtraError
from kplib.experiments.batches import Batches, OutputDropout, fingerprint, on_device, usable_device
from kplib.experiments.benchmarks import benchmark
from kplib.experiments.build import build, with_initial_values
from kplib.experiments.checkpoint import (
    optimizer_tensors,
    read_checkpoint,
    restore_optimizer,
    write_checkpoint,
)
from kplib.experiments.configuration import Configuration
from kplib.experiments.records import (
    SNAPSHOTS,
    Arrays,
    Circumstances,
    Curve,
    Network,
    Record,
    Result,
    StoredRun,
    UsedData,
    packed,
    read,
    record_path,
    write,
)
from kplib.experiments.scores import accuracy, confusion_matrix, macro_f1
from kplib.nn import Classifier, MagnitudeSchedule, parameter_count, prune
from kplib.nn.state import assign_state
from kplib.nn.structures import SparseWeight

if TYPE_CHECKING:
    from kplib.data.sets import DataSet

__all__ = [
    "Objective",
    "checkpoint_path",
    "cross_entropy",
    "evaluate",
    "keeps_weights",
    "load_network",
    "predict",
    "recorded",
    "train",
]

Objective = Callable[..., tuple[Tensor, Tensor]]
Snapshot = Callable[[Classifier], Mapping[str, Tensor]]

_CURVE_POINTS = 250  # in a record; a longer curve is thinned out
_EVALUATION_BATCH = 512
_LIBRARIES = ("numpy", "torch", "safetensors", "scikit-learn", "librosa")


def cross_entropy(model: Classifier, x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
    """Return the loss of a batch, and the logits.

    Parameters
    ----------
    model : Classifier
    x : Tensor, shape (batch, steps, inputs)
    y : Tensor of int64, shape (batch,)

    Returns
    -------
    loss : Tensor, shape ()
        Mean cross-entropy.
    logits : Tensor, shape (batch, classes)
    """
    logits = model(x)
    return nn.functional.cross_entropy(logits, y), logits


@dataclass
class _Course:
    """How far a training has come: what a checkpoint keeps beside the tensors."""

    step: int = 0
    chosen_at: int = 0
    best_accuracy: float | None = None
    diverged_at: int | None = None
    seconds: float = 0.0
    training_seconds: float = 0.0
    sessions: int = 0
    steps: list[int] = field(default_factory=list)
    learning_rate: list[float] = field(default_factory=list)
    loss: list[float] = field(default_factory=list)
    train_accuracy: list[float] = field(default_factory=list)
    validation_accuracy: list[float] = field(default_factory=list)


def train(
    configuration: Configuration,
    data: "DataSet",
    *,
    folder: Path | str,
    device: str = "cpu",
    threads: int = 1,
    progress: bool = True,
    checkpoint_seconds: float = 60.0,
    keep_weights: bool | None = None,
    network: Callable[[], Classifier] | None = None,
    finish: Callable[[Classifier], Classifier] | None = None,
    objective: Objective = cross_entropy,
    soft_targets: Tensor | None = None,
    snapshot: Snapshot | None = None,
    sources: Mapping[str, str] | None = None,
    command: str = "",
) -> StoredRun:
    """Train a network, choose the best by validation, test that one once, and write the record.

    A finished run is not done again: its record is returned. An interrupted one is resumed from its
    last checkpoint, to the same end, bit for bit, as if it had not been interrupted.

    Parameters
    ----------
    configuration : Configuration
        See `kplib.experiments.configuration.default_configuration`.
    data : DataSet
        With the inputs of the benchmark; of its classes, or fewer.
    folder : path
        Of all records. While it runs, the checkpoint is beside the record's place.
    device : str, default "cpu"
        Of torch; all data is moved there once.
    threads : int, default 1
        Of torch, meanwhile. Another number may give other last bits.
    progress : bool, default True
        Show a bar on stderr, if that is a terminal.
    checkpoint_seconds : float, default 60
        Write a checkpoint at the first look at the validation set after so many seconds.
    keep_weights : bool, optional
        Whether the trained weights are kept with the record. By default all but those of baselines,
        of which the first seed's are kept: they are large.
    network : function, optional
        Returns the network to start with, where it is not the benchmark's own; `configuration` must
        then have a `variant` that names it.
    finish : function (model) -> Classifier, optional
        Makes of the chosen network the one that is tested and kept; by default they are the same.
    objective : function (model, x, y) -> (loss, logits), optional
        What is minimised, by default the cross-entropy; another one needs a `variant`, too.
    soft_targets : Tensor, optional
        One row for each training example, or for each variant of each, the first variant's first:
        the objective's fourth argument is then those of the batch. Needs a `variant`, too.
    snapshot : function (model) -> mapping of str to Tensor, optional
        Called before the first step and at each look at the validation set, as seldom as the curve
        has points; what it returns is kept with the record: `StoredRun.snapshots`.
    sources : mapping of str to str, optional
        For the record: other records that `network` or `soft_targets` were made of. A checkpoint
        of other sources is refused.
    command : str, optional
        For the record.

    Returns
    -------
    StoredRun
        The record, as written.

    Raises
    ------
    ValueError
        If the data does not fit the network, a variant has no name, or a file in the record's or
        the checkpoint's place is none, or is of another training.

    Notes
    -----
    A loss that is not finite ends the training; the record says when, and has the network that was
    chosen until then. Of a network that is pruned, none is chosen before it has its final density.

    See Also
    --------
    kplib.experiments.records.iterate : read the records.
    """
    folder = Path(folder)
    if recorded(configuration, folder):
        return read(record_path(folder, configuration))
    _check(configuration, data, network, objective, soft_targets)
    where = usable_device(device)
    with _threads(threads):
        run = _Run(
            configuration, data, network, where, folder,
            soft_targets=soft_targets, snapshot=snapshot, sources=sources or {},
        )  # fmt: skip
        run.resume()
        course = run.course
        course.sessions += 1
        run.fit(objective, progress=progress, checkpoint_seconds=checkpoint_seconds)
        if course.best_accuracy is not None:
            run.model.load_state_dict(run.best)
        model = run.model if finish is None else finish(run.model)
        stored = _tested(
            configuration, data, model, course, folder=folder, data_sha256=run.data_sha256,
            keep_weights=keep_weights, snapshots=run.snapshot_arrays(), sources=run.sources,
            command=command,
        )  # fmt: skip
    recorded(configuration, folder)
    return stored


def evaluate(
    configuration: Configuration,
    data: "DataSet",
    model: Classifier,
    *,
    folder: Path | str,
    keep_weights: bool | None = None,
    sources: Mapping[str, str] | None = None,
    command: str = "",
) -> StoredRun:
    """Validate a network as it is, test it once, and write the record: nothing is trained.

    Parameters
    ----------
    configuration : Configuration
        Of the training that the network has behind it, with a `variant` that says what was done to
        it since.
    data : DataSet
    model : Classifier
        On the CPU; it is left in ``eval`` mode.
    folder, keep_weights, sources, command
        As of `train`.

    Returns
    -------
    StoredRun
        The record, as written or as it was found; its curve is empty.

    Raises
    ------
    ValueError
        As of `train`.
    """
    folder = Path(folder)
    if record_path(folder, configuration).exists():
        return read(record_path(folder, configuration))
    _check(configuration, data, lambda: model, cross_entropy, None)
    with _threads(1):
        started = time.perf_counter()
        x, y = on_device(data.validation, torch.device("cpu"))
        accuracy = 100 * int((predict(model, x) == y).sum()) / len(y)
        course = _Course(best_accuracy=accuracy, sessions=1, seconds=time.perf_counter() - started)
        return _tested(
            configuration, data, model, course, folder=folder, data_sha256=fingerprint(data),
            keep_weights=keep_weights, snapshots={}, sources=sources or {}, command=command,
        )  # fmt: skip


def keeps_weights(configuration: Configuration) -> bool:
    """Return whether the weights of a training are kept with its record, unless it is told to.

    Examples
    --------
    >>> from kplib.experiments.configuration import default_configuration
    >>> [keeps_weights(default_configuration("mnist-lstm", name, seed=1))
    ...  for name in ("baseline", "kp")]
    [False, True]
    """
    return configuration.technique != "baseline" or configuration.seed == 0


def checkpoint_path(folder: Path, configuration: Configuration) -> Path:
    """Return where the checkpoint of a training is while it runs."""
    path = record_path(folder, configuration)
    return path.with_name(f".{path.stem}.checkpoint")


def recorded(configuration: Configuration, folder: Path) -> bool:
    """Say whether a training has its record.

    Then its checkpoint is not needed any more: one that a kill between the two has left is removed.
    """
    done = record_path(folder, configuration).exists()
    if done:
        checkpoint_path(folder, configuration).unlink(missing_ok=True)
    return done


def checkpointed_sources(configuration: Configuration, folder: Path) -> dict[str, str]:
    """Return the sources of a training that was begun: other ones would not go on with it.

    Returns
    -------
    dict of str to str
        Empty if there is no checkpoint.

    Raises
    ------
    ValueError
        If the file in the checkpoint's place is none.
    """
    path = checkpoint_path(folder, configuration)
    if not path.exists():
        return {}
    sources = read_checkpoint(path)[1].get("sources")
    return sources if isinstance(sources, dict) else {}


def load_network(stored: StoredRun, network: Callable[[], Classifier] | None = None) -> Classifier:
    """Return the trained network of a record.

    Parameters
    ----------
    stored : StoredRun
        Its weights must have been kept; those of large networks in 16 bits, so that a prediction on
        the edge may be another than the record's.
    network : function, optional
        Returns a network of the same kind, as for `train`; needed for a variant.

    Returns
    -------
    Classifier
        In ``eval`` mode, on the CPU.

    Raises
    ------
    ValueError
        If the weights were not kept, do not fit, or the network of a variant is not given.
    """
    if not stored.weights:
        raise ValueError(f"{stored.path}: its weights were not kept")
    configuration = stored.record.configuration
    if configuration.variant and network is None:
        raise ValueError(f"{stored.path}: is of the variant {configuration.variant!r}: "
                         "give its network")  # fmt: skip
    model = (network or _builder(configuration))()
    state = {name: torch.from_numpy(array) for name, array in stored.weights.items()}
    assign_state(model, state, stored.path)
    return model.eval()


class _Run:
    """One training: the network, its optimizer, its data, and how far it has come."""

    def __init__(
        self,
        configuration: Configuration,
        data: "DataSet",
        network: Callable[[], Classifier] | None,
        device: torch.device,
        folder: Path,
        *,
        soft_targets: Tensor | None,
        snapshot: Snapshot | None,
        sources: Mapping[str, str],
    ) -> None:
        self.configuration, self.device, self.sources = configuration, device, dict(sources)
        self.checkpoint = checkpoint_path(folder, configuration)
        self.data_sha256 = fingerprint(data)
        self.model = (network or _builder(configuration))().to(device)
        self.parameters = list(self.model.parameters())
        self.optimizer = torch.optim.Adam(
            self.parameters, lr=configuration.learning_rate, fused=True
        )
        self.average = _average(self.model, configuration.ema_decay)
        self.batches = Batches(
            data, configuration.batch_size, configuration.seed, device, soft_targets
        )
        self.validation = on_device(data.validation, device)
        self.dropout = OutputDropout(configuration.dropout, configuration.seed)
        unit = self.batches.per_epoch if configuration.unit == "epochs" else 1
        self.steps_per_unit = unit
        self.steps = configuration.length * unit
        self.period = configuration.validate_every * unit
        self.pruning = _pruning(configuration, self.model, unit, self.steps)
        self.course = _Course()
        self.best: dict[str, Tensor] = {}
        self.snapshot = snapshot
        self.snapshots: dict[str, list[Tensor]] = {}
        self._take_snapshot()

    @property
    def evaluated(self) -> Classifier:
        """The network that is validated and chosen: the average of the weights, if one is kept."""
        return self.model if self.average is None else cast("Classifier", self.average.module)

    def fit(self, objective: Objective, *, progress: bool, checkpoint_seconds: float) -> None:
        """Train to the end: a period of steps, a look at the validation set, now and then save."""
        try:
            from tqdm import tqdm
        except ImportError:
            raise MissingExtraError("tqdm", "data") from None
        course, saved = self.course, time.monotonic()
        bar = tqdm(
            total=self.steps, initial=course.step, desc=self.configuration.path, unit="step",
            file=sys.stderr, disable=None if progress else True, dynamic_ncols=True,
        )  # fmt: skip
        with bar, self._dropout_before_head():
            while course.step < self.steps and course.diverged_at is None:
                started = time.perf_counter()
                count = min(self.period - course.step % self.period, self.steps - course.step)
                self._take_steps(count, objective)
                course.training_seconds += time.perf_counter() - started
                if course.diverged_at is None:
                    self._validate()
                course.seconds += time.perf_counter() - started
                bar.update(count)
                bar.set_postfix(_postfix(course), refresh=False)
                if time.monotonic() - saved >= checkpoint_seconds:
                    self.save()
                    saved = time.monotonic()

    def _take_steps(self, count: int, objective: Objective) -> None:
        """Take so many steps; add the means of loss and accuracy to the curve."""
        configuration, course, model = self.configuration, self.course, self.model
        model.train()
        loss_sum = torch.zeros((), dtype=torch.float64, device=self.device)
        correct = torch.zeros((), dtype=torch.int64, device=self.device)
        seen, rate = 0, 0.0
        for step in range(course.step, course.step + count):
            rate = configuration.schedule.factor(step / self.steps_per_unit)
            rate *= configuration.learning_rate
            self.optimizer.param_groups[0]["lr"] = rate
            self.dropout.step = step
            x, y, *soft_targets = self.batches(step)
            self.optimizer.zero_grad()
            loss, logits = objective(model, x, y, *soft_targets)
            loss.backward()
            self._update(step)
            loss_sum += loss.detach() * len(y)
            correct += (logits.detach().argmax(1) == y).sum()
            seen += len(y)
        course.step += count
        mean = float(loss_sum) / seen
        if not np.isfinite(mean):
            course.diverged_at = course.step
            return
        course.steps.append(course.step)
        course.learning_rate.append(rate)
        course.loss.append(mean)
        course.train_accuracy.append(100 * int(correct) / seen)

    def _update(self, step: int) -> None:
        """Take the optimizer's step, within the maximal norm; prune when it is time."""
        max_norm = self.configuration.max_norm
        if max_norm is not None and self.configuration.max_norm_on == "gradients":
            nn.utils.clip_grad_norm_(self.parameters, max_norm)
        self.optimizer.step()
        if max_norm is not None and self.configuration.max_norm_on == "weights":
            limit_row_norms(self.model, max_norm)
        if self.pruning is not None and self.pruning.begin_step <= step <= self.pruning.end_step:
            density = self.pruning.density(step)
            if density != self.pruning.density(step - 1):
                prune(self.model, density)
        if self.average is not None:
            self.average.update_parameters(self.model)

    def _validate(self) -> None:
        """Add the validation accuracy to the curve; keep the network if it is the best so far."""
        course = self.course
        x, y = self.validation
        accuracy = 100 * int((predict(self.evaluated, x) == y).sum()) / len(y)
        course.validation_accuracy.append(accuracy)
        self._take_snapshot()
        final = self.pruning is None or course.step > self.pruning.end_step
        if final and (course.best_accuracy is None or accuracy > course.best_accuracy):
            course.best_accuracy, course.chosen_at = accuracy, course.step
            self.best = {name: t.clone() for name, t in self.evaluated.state_dict().items()}
        if course.best_accuracy is None:
            course.chosen_at = course.step

    def _take_snapshot(self) -> None:
        """Add what the snapshot function returns of the network as it is trained now."""
        if self.snapshot is not None:
            for name, tensor in self.snapshot(self.model).items():
                self.snapshots.setdefault(name, []).append(tensor.detach().cpu().clone())

    def snapshot_arrays(self) -> Arrays:
        """Return the snapshots for the record: those at the curve's points, and the first."""
        if not self.snapshots:
            return {}
        kept = [0] + [look + 1 for look in _kept_looks(self.course)]
        arrays: Arrays = {SNAPSHOTS + "steps": np.array([0, *self.course.steps])[kept]}
        for name, taken in self.snapshots.items():
            arrays[SNAPSHOTS + name] = torch.stack([taken[k] for k in kept]).numpy()
        return arrays

    @contextmanager
    def _dropout_before_head(self) -> Iterator[None]:
        """Drop outputs of the recurrent layer on their way to the head, while training."""

        def drop(head: nn.Module, inputs: tuple[Tensor]) -> Tensor:
            return self.dropout.train(head.training)(inputs[0])

        hook = self.model.head.register_forward_pre_hook(drop) if self.dropout.p else None
        try:
            yield
        finally:
            if hook is not None:
                hook.remove()

    def save(self) -> None:
        """Write a checkpoint."""
        tensors = {f"model/{name}": t for name, t in self.model.state_dict().items()}
        tensors |= {f"best/{name}": t for name, t in self.best.items()}
        tensors |= {f"adam/{k}": t for k, t in optimizer_tensors(self.optimizer).items()}
        if self.average is not None:
            tensors |= {f"average/{name}": t for name, t in self.average.state_dict().items()}
        tensors |= {f"{SNAPSHOTS}{k}": torch.stack(taken) for k, taken in self.snapshots.items()}
        state = {
            "configuration": self.configuration.to_json(),
            "data": self.data_sha256,
            "sources": self.sources,
            "course": asdict(self.course),
        }
        write_checkpoint(self.checkpoint, tensors, state)

    def resume(self) -> None:
        """Go on from the checkpoint, if there is one; a ValueError if it is of something else."""
        if not self.checkpoint.exists():
            return
        tensors, state = read_checkpoint(self.checkpoint)
        expected = {
            "configuration": self.configuration.to_json(),
            "data": self.data_sha256,
            "sources": self.sources,
        }
        for name, value in expected.items():
            if state.get(name, {}) != value:
                raise ValueError(
                    f"{self.checkpoint}: is of another training: its {name} is not the same; "
                    "delete it to begin anew"
                )
        parts: dict[str, dict[str, Tensor]] = {
            name: {} for name in ("model", "best", "adam", "average", "snapshots")
        }
        try:
            for key, tensor in tensors.items():
                part, _, name = key.partition("/")
                parts[part][name] = tensor.to(self.device)
            self.model.load_state_dict(parts["model"])
            restore_optimizer(self.optimizer, parts["adam"])
            if self.average is not None:
                self.average.load_state_dict(parts["average"])
            self.snapshots = {name: list(t.cpu()) for name, t in parts["snapshots"].items()}
            self.best = parts["best"]
            self.course = _Course(**state["course"])
        except (KeyError, RuntimeError, TypeError, ValueError) as error:
            raise ValueError(f"{self.checkpoint}: does not fit the network: {error}") from None


def predict(model: Classifier, x: Tensor) -> Tensor:
    """Return the predicted class of each sequence, as in use: no dropout, no gradients.

    Parameters
    ----------
    model : Classifier
        It is left in ``eval`` mode.
    x : Tensor, shape (N, steps, inputs)
        On the model's device; taken in large batches.

    Returns
    -------
    Tensor of int64, shape (N,)
    """
    return logits(model, x).argmax(1)


def logits(model: Classifier, x: Tensor) -> Tensor:
    """Return the logits of each sequence, as in use: no dropout, no gradients.

    Parameters
    ----------
    model : Classifier
        It is left in ``eval`` mode.
    x : Tensor, shape (N, steps, inputs)
        On the model's device; taken in large batches.

    Returns
    -------
    Tensor, shape (N, outputs)
    """
    model.eval()
    with torch.no_grad():
        return torch.cat([model(batch) for batch in x.split(_EVALUATION_BATCH)])


@torch.no_grad()
def limit_row_norms(model: nn.Module, max_norm: float) -> None:
    """Scale each row of each trained matrix down to a norm, where it is longer.

    A row is what one unit takes in; of a Kronecker product, each row of each factor.

    Parameters
    ----------
    model : torch.nn.Module
        Changed in place; vectors and numbers are left alone.
    max_norm : float
        Of a row, Euclidean.

    Examples
    --------
    >>> linear = nn.Linear(3, 2)
    >>> with torch.no_grad():
    ...     _ = linear.weight.copy_(torch.tensor([[3.0, 0, 4], [0.5, 0, 0]]))
    >>> limit_row_norms(linear, 2.5)
    >>> torch.allclose(linear.weight, torch.tensor([[1.5, 0, 2], [0.5, 0, 0]]))
    True
    """
    for parameter in model.parameters():
        if parameter.dim() >= 2:
            norms = torch.linalg.vector_norm(parameter, dim=-1, keepdim=True)
            parameter.mul_((max_norm / norms).clamp_(max=1.0))


# Before and after ---------------------------------------------------------------------------------


def _builder(configuration: Configuration) -> Callable[[], Classifier]:
    def network() -> Classifier:
        model = build(
            configuration.benchmark,
            configuration.technique,
            compression=configuration.compression,
            layers=configuration.layers,
            seed=configuration.seed,
        )
        return with_initial_values(model, configuration.initial_values)

    return network


def _check(
    configuration: Configuration,
    data: "DataSet",
    network: Callable[[], Classifier] | None,
    objective: Objective,
    soft_targets: Tensor | None,
) -> None:
    """Raise a ValueError unless the data fits the network, and what is special has a name."""
    expected = benchmark(configuration.benchmark)
    if data.name != configuration.data:
        raise ValueError(f"the configuration wants {configuration.data!r}, found {data.name!r}")
    if data.input_size != expected.input_size:
        raise ValueError(
            f"{expected.name} takes {expected.input_size} inputs a step, but {data.name} has "
            f"{data.input_size}"
        )
    if data.n_classes > expected.classes:
        raise ValueError(
            f"{expected.name} has {expected.classes} outputs, but {data.name} has "
            f"{data.n_classes} classes"
        )
    special = network is not None or objective is not cross_entropy or soft_targets is not None
    if special and not configuration.variant:
        raise ValueError("another network or objective needs a configuration with a variant")


def _average(model: Classifier, decay: float | None) -> AveragedModel | None:
    """Return what keeps the moving average of a network's weights, if it is wanted."""
    if decay is None:
        return None
    return AveragedModel(model, multi_avg_fn=get_ema_multi_avg_fn(decay))


def _pruning(
    configuration: Configuration, model: Classifier, steps_per_unit: int, steps: int
) -> MagnitudeSchedule | None:
    """Return the schedule in steps; it ends before the last one, so that a pruned net is chosen."""
    pruning = configuration.pruning
    if pruning is None:
        return None
    densities = {m.target_density for m in model.modules() if isinstance(m, SparseWeight)}
    if len(densities) != 1:
        raise ValueError(f"a network to be pruned needs one density, found {sorted(densities)}")
    begin = round(pruning.start * steps_per_unit)
    end = min(max(begin + 1, round(pruning.end * steps_per_unit)), steps - 1)
    frequency = max(1, (end - begin) // pruning.times)
    return MagnitudeSchedule(densities.pop(), begin, end, frequency)


@contextmanager
def _threads(count: int) -> Iterator[None]:
    """Let torch use so many threads, meanwhile."""
    if count < 1:
        raise ValueError(f"threads must be at least 1, found {count}")
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def _postfix(course: _Course) -> dict[str, str]:
    if not course.validation_accuracy or course.diverged_at is not None:
        return {}
    return {
        "loss": f"{course.loss[-1]:.3f}",
        "validation": f"{course.validation_accuracy[-1]:.2f}",
        "best": "-" if course.best_accuracy is None else f"{course.best_accuracy:.2f}",
    }


def _tested(
    configuration: Configuration,
    data: "DataSet",
    model: Classifier,
    course: _Course,
    *,
    folder: Path,
    data_sha256: str,
    keep_weights: bool | None,
    snapshots: Arrays,
    sources: Mapping[str, str],
    command: str,
) -> StoredRun:
    """Test a network, once, and write the record of how it came about."""
    device = next(model.parameters()).device
    part = getattr(data, configuration.scored_on)
    predictions = predict(model, on_device(part, device)[0]).cpu().numpy()
    record = Record(
        configuration=configuration,
        data=_used(data, data_sha256),
        network=_network(model),
        result=_result(course, part.y, predictions, (data.n_classes, model.head.out_features)),
        curve=_curve(course),
        circumstances=_circumstances(course, device, command),
        sources=sources,
    )
    arrays: Arrays = {
        "predictions": predictions.astype(np.uint8),
        "labels": part.y.astype(np.uint8),
        **snapshots,
    }
    if part.groups is not None:
        arrays["groups"] = part.groups.astype(np.uint16)
    if keeps_weights(configuration) if keep_weights is None else keep_weights:
        arrays |= packed({k: t.cpu().numpy() for k, t in model.state_dict().items()})
    return write(folder, record, arrays)


def _circumstances(course: _Course, device: torch.device, command: str) -> Circumstances:
    """Return when and on what the training ended, and what it took."""
    return Circumstances(
        command=command,
        finished=datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        seconds=round(course.seconds, 1),
        milliseconds_per_step=round(1e3 * course.training_seconds / max(1, course.step), 3),
        sessions=course.sessions,
        threads=torch.get_num_threads(),
        device=_device_name(device),
        kplib=machine.code_version(),
        machine=machine.machine(),
        libraries={name: version for name in _LIBRARIES if (version := _version(name))},
    )


def _used(data: "DataSet", sha256: str) -> UsedData:
    parts = {"train": data.train, "validation": data.validation, "test": data.test}
    return UsedData(
        name=data.name,
        classes=tuple(data.classes),
        examples={name: len(part) for name, part in parts.items()},
        variants=0 if data.variants is None else len(data.variants),
        sha256=sha256,
        files=data.files,
        protocol=data.protocol,
    )


def _network(model: Classifier) -> Network:
    sparse = [module for module in model.modules() if isinstance(module, SparseWeight)]
    parameters = parameter_count(model)
    return Network(
        parameters=parameters,
        kilobytes=parameters * 4 / 1024,
        index_bytes=sum(weight.index_bytes for weight in sparse),
        hidden_size=model.rnn.hidden_size,
        layers=model.rnn.num_layers,
        outputs=model.head.out_features,
    )


def _result(
    course: _Course,
    labels: np.ndarray[Any, Any],
    predictions: np.ndarray[Any, Any],
    shape: tuple[int, int],
) -> Result:
    confusion = confusion_matrix(labels, predictions, *shape)
    return Result(
        accuracy=100 * accuracy(confusion),
        macro_f1=100 * macro_f1(confusion),
        confusion=confusion,
        validation_accuracy=course.best_accuracy,
        chosen_at=course.chosen_at,
        diverged_at=course.diverged_at,
    )


def _kept_looks(course: _Course) -> list[int]:
    """Return which looks at the validation set are kept in the record."""
    looks = len(course.validation_accuracy)
    kept = {round(k) for k in np.linspace(0, looks - 1, min(looks, _CURVE_POINTS))}
    kept |= {k for k in range(looks) if course.steps[k] == course.chosen_at}
    return sorted(kept)


def _curve(course: _Course) -> Curve:
    """Return the curve with some of its points, the chosen one and the last among them."""
    looks, chosen = len(course.validation_accuracy), _kept_looks(course)

    def points(values: Sequence[float], digits: int) -> tuple[float, ...]:
        return tuple(float(f"{values[k]:.{digits}g}") for k in chosen)

    return Curve(
        steps=tuple(course.steps[k] for k in chosen),
        learning_rate=points(course.learning_rate, 6),
        loss=points(course.loss, 5),
        train_accuracy=points(course.train_accuracy, 5),
        validation_accuracy=points(course.validation_accuracy, 5),
        looks=looks,
    )


def _version(name: str) -> str | None:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None


def _device_name(device: torch.device) -> str:
    return torch.cuda.get_device_name(device) if device.type == "cuda" else device.type
