"""From a trained network's record to records of it in few bits: rounded, and fine-tuned.

A trained network is rounded, and that is tested; and it is trained on for a while with rounded
weights, chosen by validation, and that is tested. Each is a record of its own, whose `sources` name
the trained one with its hash, and whose configuration is the trained one's with a variant:
"8-bits", or "8-bits-tuned". `kplib sweep` makes them where a plan says ``bits = 8``, `kplib train
--bits 8` those of one network, and `kplib report` puts the three accuracies beside each other.

A network that was trained on noise for two epochs, in 8 bits:

>>> import tempfile
>>> import numpy as np
>>> from kplib.data.sets import DataSet, Sequences
>>> from kplib.experiments.configuration import default_configuration
>>> rng = np.random.default_rng(0)
>>> part = Sequences(rng.normal(size=(20, 16, 16)).astype(np.float32), np.arange(20) % 10)
>>> data = DataSet("usps", tuple("0123456789"), part, part, part)
>>> setting = default_configuration("usps-fastrnn", "kp").with_length(2)
>>> folder = tempfile.TemporaryDirectory()
>>> trained = train(setting, data, folder=folder.name)
>>> in_8_bits, fine_tuned = record_in_bits(trained, data, folder=folder.name)
>>> source_of(trained) in in_8_bits.record.sources.values()
True
>>> {tensor.values.dtype for tensor in quantized_network(fine_tuned).tensors.values()}
{torch.int8}
>>> folder.cleanup()
"""

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kplib.experiments.batches import fingerprint
from kplib.experiments.configuration import Configuration, Pruning
from kplib.experiments.records import StoredRun
from kplib.experiments.schedules import Cosine
from kplib.experiments.training import evaluate, load_network, train
from kplib.experiments.variants import network
from kplib.nn import Classifier
from kplib.nn.quantized import QuantizedModel, Scheme, finish_qat, prepare_qat, quantize

if TYPE_CHECKING:
    from kplib.data.sets import DataSet

__all__ = ["quantized_network", "record_in_bits", "rounded", "source_of", "tuned"]

SOURCE = "trained"  # its name in `Record.sources`
TUNED_LENGTH = 0.1  # of the training's
TUNED_RATE = 0.1  # of the training's, at first


def rounded(trained: Configuration, bits: int = 8) -> Configuration:
    """Return the configuration of a trained network that is rounded, and no more.

    Parameters
    ----------
    trained : Configuration
        Of a network without a variant.
    bits : int, default 8
        From 2 to 8.

    Returns
    -------
    Configuration
        Its `variant_options` have the bits, and the key of the trained one.

    Raises
    ------
    ValueError
        If that network has a variant, or there are no such bits.

    Examples
    --------
    >>> from kplib.experiments.configuration import default_configuration
    >>> trained = default_configuration("usps-fastrnn", "kp")
    >>> rounded(trained).path.startswith("usps-fastrnn/kp-8-bits/seed-0-")
    True
    """
    if trained.variant:
        raise ValueError(f"{trained.path}: only a network without a variant is put in few bits")
    options = {"bits": Scheme(bits).bits, SOURCE: trained.key}
    return replace(trained, variant=f"{bits}-bits", variant_options=options)


def tuned(trained: Configuration, bits: int = 8) -> Configuration:
    """Return the configuration of a trained network that is trained on with rounded weights.

    A tenth of the training's length, with a cosine that begins at a tenth of its rate; all else as
    it was.

    Parameters
    ----------
    trained, bits
        As of `rounded`.

    Returns
    -------
    Configuration

    Raises
    ------
    ValueError
        As of `rounded`.

    Examples
    --------
    >>> from kplib.experiments.configuration import default_configuration
    >>> trained = default_configuration("usps-fastrnn", "kp")
    >>> again = tuned(trained)
    >>> again.variant, again.length / trained.length, again.learning_rate == 0.001
    ('8-bits-tuned', 0.1, True)
    """
    base = rounded(trained, bits)
    short = base.shortened(TUNED_LENGTH)
    return replace(
        short,
        variant=f"{base.variant}-tuned",
        learning_rate=trained.learning_rate * TUNED_RATE,
        schedule=Cosine(length=short.length),
        # It is pruned already, and nothing comes back: so every look at it may be chosen.
        pruning=Pruning(start=0, end=short.length / 1000, times=1) if trained.pruning else None,
    )


def record_in_bits(
    trained: StoredRun,
    data: "DataSet",
    *,
    folder: Path | str,
    bits: int = 8,
    command: str = "",
    **options: Any,
) -> tuple[StoredRun, StoredRun]:
    """Put a trained network in few bits, rounded and fine-tuned, and write a record of each.

    What has a record is not done again; what was interrupted is resumed.

    Parameters
    ----------
    trained : StoredRun
        Of a network without a variant, with its weights, scored on the test set.
    data : DataSet
        That it was trained on.
    folder : path
        Of all records.
    bits : int, default 8
        From 2 to 8. Each stored matrix and the biases of each gate have one scale; the head stays
        in float32, as in the papers.
    command : str, optional
        For the records.
    **options
        Of `kplib.experiments.training.train`, for the fine-tuning: device, threads, progress, ...

    Returns
    -------
    rounded, tuned : StoredRun
        The weights of the first are not kept, since ``quantize(load_network(trained))`` has them;
        those of the second where the trained ones are, and already rounded.

    Raises
    ------
    ValueError
        If the record is of something else, or its data are not these; or if what is found in the
        place of the new ones was made of another record.

    See Also
    --------
    quantized_network : the second as integers and scales.
    """
    trained_configuration = trained.record.configuration
    configurations = rounded(trained_configuration, bits), tuned(trained_configuration, bits)
    _check(trained, data)
    model = load_network(trained)
    sources = {SOURCE: source_of(trained)}
    found = (
        evaluate(
            configurations[0],
            data,
            quantize(model, bits).model,
            folder=folder,
            keep_weights=False,
            sources=sources,
            command=command,
        ),
        train(
            configurations[1],
            data,
            folder=folder,
            network=lambda: prepare_qat(model, bits),
            finish=lambda prepared: finish_qat(prepared).model,
            sources=sources,
            command=command,
            **options,
        ),
    )
    for stored in found:
        if stored.record.sources != sources:
            raise ValueError(
                f"{stored.path}: was made of {dict(stored.record.sources)}, not of {sources}; "
                "delete it to begin anew"
            )
    return found


def source_of(trained: StoredRun) -> str:
    """Return how the records in few bits name the trained one: its path, and its arrays' hash."""
    return f"{trained.record.configuration.path} {trained.record.arrays_sha256}"


def quantized_network(tuned: StoredRun) -> QuantizedModel[Classifier]:
    """Return the integers and scales of a fine-tuned network.

    Parameters
    ----------
    tuned : StoredRun
        The second of `record_in_bits`.

    Returns
    -------
    QuantizedModel

    Raises
    ------
    ValueError
        If it is another record.

    Notes
    -----
    The recorded weights are whole multiples of their scales, and rounding them again gives the same
    integers; also those of a large network, which were kept in 16 bits: these move a number and its
    scale by at most 2^-11 each, so 127 steps by less than an eighth of one.
    """
    configuration = tuned.record.configuration
    bits = configuration.variant_options.get("bits")
    if bits is None:
        raise ValueError(f"{tuned.path}: is not the record of a network in few bits")
    if not tuned.weights:
        trained = tuned.record.sources.get(SOURCE, "a record that it does not name")
        raise ValueError(
            f"{tuned.path}: its weights were not kept: they are those of {trained.split()[0]}, "
            f"rounded to {bits} bits"
        )
    plain = replace(configuration, variant="", variant_options={})
    return quantize(load_network(tuned, lambda: network(plain)), bits)


def _check(trained: StoredRun, data: "DataSet") -> None:
    """Raise a ValueError unless a record is of a network that can be put in few bits."""
    record = trained.record
    if record.configuration.scored_on != "test":
        raise ValueError(f"{trained.path}: only served the choice of a learning rate")
    if record.result.diverged_at is not None:
        raise ValueError(f"{trained.path}: diverged at step {record.result.diverged_at}")
    if fingerprint(data) != record.data.sha256:
        raise ValueError(f"{trained.path}: was trained on other data than these: "
                         f"{record.data.sha256[:8]}, not {fingerprint(data)[:8]}")  # fmt: skip
