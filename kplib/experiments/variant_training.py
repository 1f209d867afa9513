"""Training a variant: what it minimises, what it starts from, and what it learns from."""

from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import torch
from torch import Tensor, nn

from kplib.experiments import training
from kplib.experiments.batches import fingerprint
from kplib.experiments.configuration import Configuration
from kplib.experiments.records import StoredRun, iterate, read, record_path
from kplib.experiments.training import Objective, cross_entropy
from kplib.experiments.variants import needs_baseline, network, variant
from kplib.nn import Classifier, unitary_penalty
from kplib.nn.cell import Cell
from kplib.nn.structures import ChainWeight, SparseWeight

if TYPE_CHECKING:
    from kplib.data.sets import DataSet

__all__ = ["distillation", "started", "teacher_logits", "train", "with_unitary_penalty"]


# What is minimised --------------------------------------------------------------------------------


def distillation(temperature: float, soft_share: float) -> Objective:
    """Return the loss of a network that learns from a teacher's logits as well as from the labels.

    Parameters
    ----------
    temperature : float
        That both networks' logits are divided by; above 1, the teacher's small probabilities count.
    soft_share : float
        Of the teacher's part in the loss, from 0 to 1.

    Returns
    -------
    function (model, x, y, teacher_logits) -> (loss, logits)
        (1 - soft_share) * cross-entropy + soft_share * temperature^2 * KL(teacher || model). With
        the square, the gradients of both parts stay comparable at any temperature.

    Raises
    ------
    ValueError
        If a number does not make sense.

    References
    ----------
    Hinton, Vinyals and Dean, "Distilling the Knowledge in a Neural Network" (arXiv:1503.02531).

    Examples
    --------
    >>> model, x, y = nn.Flatten(), torch.randn(5, 1, 3), torch.tensor([0, 1, 2, 0, 1])
    >>> loss, _ = distillation(4.0, 1.0)(model, x, y, x.flatten(1))  # it is its own teacher
    >>> abs(loss.item()) < 1e-6
    True
    """
    if not temperature > 0 or not 0 <= soft_share <= 1:
        raise ValueError(
            f"temperature must be positive and soft_share from 0 to 1, found {temperature:g} and "
            f"{soft_share:g}"
        )

    def objective(
        model: Classifier, x: Tensor, y: Tensor, teacher_logits: Tensor
    ) -> tuple[Tensor, Tensor]:
        hard, logits = cross_entropy(model, x, y)
        soft = nn.functional.kl_div(
            (logits / temperature).log_softmax(1),
            (teacher_logits / temperature).log_softmax(1),
            reduction="batchmean",
            log_target=True,
        )
        return (1 - soft_share) * hard + soft_share * temperature**2 * soft, logits

    return objective


def with_unitary_penalty(weight: float) -> Objective:
    """Return the cross-entropy plus `kplib.nn.unitary_penalty` times a weight.

    Parameters
    ----------
    weight : float
        At least 0.

    Returns
    -------
    function (model, x, y) -> (loss, logits)

    Raises
    ------
    ValueError
        If the weight is negative.

    References
    ----------
    Jose, Cisse and Fleuret, "Kronecker Recurrent Units" (arXiv:1705.10142): a soft constraint.

    Examples
    --------
    >>> from kplib.nn import RNN, Classifier, KroneckerChain
    >>> model = Classifier(RNN(3, 16, weight=KroneckerChain(4)), nn.Linear(16, 2))
    >>> x, y = torch.randn(9, 5, 3), torch.tensor([0, 1, 0, 1, 0])
    >>> loss, logits = with_unitary_penalty(0.1)(model, x, y)
    >>> torch.allclose(loss, nn.functional.cross_entropy(logits, y), atol=1e-6)  # unitary at first
    True
    """
    if not weight >= 0:
        raise ValueError(f"the weight of the penalty must be at least 0, found {weight:g}")

    def objective(model: Classifier, x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
        loss, logits = cross_entropy(model, x, y)
        return loss + weight * unitary_penalty(model), logits

    return objective


def _objective(configuration: Configuration) -> Objective:
    options = configuration.variant_options
    if "temperature" in options:
        return distillation(options["temperature"], options["soft_share"])
    if "unitary_penalty" in options:
        return with_unitary_penalty(options["unitary_penalty"])
    return cross_entropy


# Training -----------------------------------------------------------------------------------------


def train(
    configuration: Configuration,
    data: "DataSet",
    *,
    folder: Path | str,
    baselines: Path | str | None = None,
    **options: Any,
) -> StoredRun:
    """Train a network of any configuration of `configured`: with its variant, or without.

    Parameters
    ----------
    configuration : Configuration
    data : DataSet
    folder : path
        Of all records.
    baselines : path, optional
        Of the records among which the baseline is that a variant learns from or starts at; by
        default `folder`.
    **options
        As of `kplib.experiments.training.train`: device, threads, progress, ...

    Returns
    -------
    StoredRun
        As of `kplib.experiments.training.train`; its `sources` name the baseline.

    Raises
    ------
    ValueError
        As there, or if there is no baseline to learn from.

    Notes
    -----
    The baseline is one on the same data whose weights were kept; one of the same seed if there is,
    and of these the best by validation. A training that goes on keeps the one that it began with.
    A network that *starts* at a baseline starts at one that was trained as long as it will be
    itself, so that both have half of the time in all. The teacher's logits are computed once, for
    every example and every variant of it.

    Examples
    --------
    >>> import tempfile
    >>> import numpy as np
    >>> from kplib.data.sets import DataSet, Sequences
    >>> from kplib.experiments.variants import configured
    >>> part = Sequences(np.ones((20, 16, 16), np.float32), np.arange(20) % 10)
    >>> data = DataSet("usps", tuple("0123456789"), part, part, part)
    >>> setting = configured("usps-fastrnn", "kp", variant="rank-24").with_length(1)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     train(setting, data, folder=folder).record.configuration.variant
    'rank-24'
    """
    folder = Path(folder)
    if training.recorded(configuration, folder):
        return read(record_path(folder, configuration))
    if not configuration.variant:
        return training.train(configuration, data, folder=folder, **options)
    chosen = variant(configuration.benchmark, configuration.technique, configuration.variant)
    special: dict[str, Any] = {
        "network": lambda: network(configuration),
        "objective": _objective(configuration),
        "snapshot": _chain_factors if chosen.group == "kru" else None,
    }
    if needs_baseline(configuration):
        length = configuration.length if chosen.starts_trained else None
        begun = training.checkpointed_sources(configuration, folder).get("baseline")
        baseline = _baseline(
            Path(baselines or folder), configuration, fingerprint(data), length, begun
        )
        special["sources"] = {"baseline": _reference(baseline)}
        trained = training.load_network(baseline)
        if chosen.starts_trained:
            special["network"] = lambda: started(network(configuration), trained)
        if chosen.learns_from_baseline:
            special["soft_targets"] = teacher_logits(trained, data)
    return training.train(configuration, data, folder=folder, **special, **options)


def _baseline(
    folder: Path, configuration: Configuration, data_sha256: str, length: int | None,
    begun: str | None,
) -> StoredRun:  # fmt: skip
    """Return the record of the baseline to learn from: that of what was begun, or the best."""
    fitting = [
        stored
        for stored in iterate(folder, configuration.benchmark, "baseline")
        if _serves(stored, data_sha256, length) and stored.weights
    ]
    if not fitting:
        options = "--seed 0" if length is None else f"--{configuration.unit} {length} --seed 0"
        raise ValueError(
            f"{configuration.path} needs the record of a trained baseline, with its weights, on "
            f"the same data; make it with: kplib train {configuration.benchmark} baseline "
            f"{options}"
        )
    return max(
        fitting,
        key=lambda stored: (_reference(stored) == begun, _preference(stored, configuration.seed)),
    )


def _serves(stored: StoredRun, data_sha256: str, length: int | None) -> bool:
    record = stored.record
    plain = not record.configuration.variant and record.configuration.scored_on == "test"
    as_long = length is None or record.configuration.length == length
    same_data = record.data.sha256 == data_sha256
    return plain and as_long and same_data and record.result.diverged_at is None


def _preference(stored: StoredRun, seed: int) -> tuple[bool, float]:
    return (
        stored.record.configuration.seed == seed,
        cast("float", stored.record.result.validation_accuracy),
    )


def _reference(stored: StoredRun) -> str:
    return f"{stored.record.configuration.path} {stored.record.arrays_sha256}"


def teacher_logits(teacher: Classifier, data: "DataSet") -> Tensor:
    """Return a trained network's logits of all training examples, or of all their variants.

    Parameters
    ----------
    teacher : Classifier
    data : DataSet

    Returns
    -------
    Tensor, shape (N, outputs) or (V * N, outputs)
        In the order that `kplib.experiments.batches.Batches` wants, on the CPU.

    Examples
    --------
    >>> from kplib import build
    >>> import numpy as np
    >>> from kplib.data.sets import DataSet, Sequences
    >>> part = Sequences(np.ones((20, 16, 16), np.float32), np.arange(20) % 10)
    >>> data = DataSet("usps", tuple("0123456789"), part, part, part)
    >>> teacher_logits(build("usps-fastrnn", "baseline"), data).shape
    torch.Size([20, 10])
    """
    x = (
        data.train.x
        if data.variants is None
        else data.variants.reshape(-1, *data.train.x.shape[1:])
    )
    return training.logits(teacher, torch.from_numpy(x))


@torch.no_grad()
def started(model: Classifier, trained: Classifier) -> Classifier:
    """Move a network as near to a trained dense one as its structure can come.

    Parameters
    ----------
    model : Classifier
        Of any structure that has a nearest matrix, of the size of the other; changed in place.
    trained : Classifier
        Dense.

    Returns
    -------
    Classifier
        `model`: its gate matrices the nearest in the Frobenius norm, all else copied. What is to be
        pruned starts at the very matrices: its schedule prunes them.

    Raises
    ------
    ValueError
        If the networks differ in layers or sizes.

    Examples
    --------
    >>> from kplib import build
    >>> trained = build("kws-lstm", "baseline", seed=0)
    >>> model = started(build("kws-lstm", "kp", seed=1), trained)
    >>> torch.equal(model.head.weight, trained.head.weight)
    True
    """
    own, theirs = _cells(model), _cells(trained)
    if set(own) != set(theirs) or model.head.weight.shape != trained.head.weight.shape:
        raise ValueError(
            f"a network of {len(own)} cells of {model.rnn.hidden_size} units cannot start at one "
            f"of {len(theirs)} of {trained.rnn.hidden_size}"
        )
    for name, cell in own.items():
        W = theirs[name].weight.matrix()
        if isinstance(cell.weight, SparseWeight):
            cell.weight.W.copy_(W)
        else:
            cell.weight.assign(W)
        for key, parameter in theirs[name].named_parameters(recurse=False):
            cell.get_parameter(key).copy_(parameter)
    model.head.load_state_dict(trained.head.state_dict())
    return model


def _cells(model: Classifier) -> dict[str, Cell]:
    cells = cast("nn.ModuleDict", model.rnn.cells)
    return {name: cast("Cell", cell) for name, cell in cells.items()}


def _chain_factors(model: Classifier) -> dict[str, Tensor]:
    """Return the entries of all factors of a network's chains, for the snapshots."""
    return {
        f"{name}.values.{number}": value
        for name, module in model.named_modules()
        if isinstance(module, ChainWeight) and len(module.values) > 1
        for number, value in enumerate(module.values)
    }
