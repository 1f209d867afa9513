"""The record of a training: one JSON file to read, and one of arrays beside it.

``seed-0-1a2b3c4d.json`` says what was trained, on what, and what came out; the arrays
(``.safetensors``) are the predictions on the test set and the trained weights. Both are written
whole or not at all, the JSON last: where it is, the run is finished. Reading checks every name,
type and shape, and unpickles nothing.

What a training leaves, read again:

>>> import tempfile
>>> from kplib.experiments.task_training import task_configuration
>>> from kplib.experiments.tasks import adding
>>> from kplib.experiments.training import train
>>> data = adding(steps=7, train=20, validation=5, test=5)
>>> configuration = task_configuration("adding-rnn", "baseline", length=2)
>>> folder = tempfile.TemporaryDirectory()
>>> stored = train(configuration, data, folder=folder.name)
>>> isinstance(stored, StoredRun) and isinstance(stored.record, Record)
True
>>> [found.path == stored.path for found in iterate(Path(folder.name))]
[True]
>>> record = read(stored.path).record
>>> record == stored.record
True

Its parts, and its arrays:

>>> isinstance(record.data, UsedData) and record.data.examples
{'train': 20, 'validation': 5, 'test': 5}
>>> isinstance(record.network, Network) and record.network.hidden_size
128
>>> isinstance(record.curve, Curve) and record.curve.steps
(1, 2)
>>> isinstance(record.circumstances, Circumstances) and record.circumstances.threads
1
>>> isinstance(record.result, Result)
True
>>> bool(record.result.accuracy == 100 * np.mean(stored.predictions == stored.labels))
True

Written again elsewhere, it is the same:

>>> with tempfile.TemporaryDirectory() as other:
...     write(Path(other), record, stored.arrays).record == record
True
>>> folder.cleanup()
"""

import hashlib
import importlib.util
import json
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

from kplib.errors import MissingExtraError

if importlib.util.find_spec("safetensors") is None:
    raise MissingExtraError("safetensors", "nn")

import numpy as np
import safetensors.numpy
from numpy.typing import NDArray
from safetensors import SafetensorError

from kplib._atomic import write_atomically
from kplib.experiments.configuration import Configuration
from kplib.experiments.scores import accuracy, confusion_matrix, macro_f1
from kplib.experiments.strict import from_json, to_json

__all__ = [
    "Circumstances",
    "Curve",
    "Network",
    "Record",
    "Result",
    "StoredRun",
    "UsedData",
    "iterate",
    "read",
    "write",
]

Arrays = dict[str, NDArray[Any]]
WEIGHTS = "weights/"
SNAPSHOTS = "snapshots/"
_ROUNDING = 1e-6  # % of accuracy, far below one example of any test set
_LARGE = 16_384  # numbers: from here on weights are kept in 16 bits


@dataclass(frozen=True, kw_only=True)
class UsedData:
    """What a run was trained and tested on.

    Parameters
    ----------
    name : str
    classes : tuple of str
    examples : mapping of str to int
        In each part: train, validation, test.
    variants : int
        Augmented versions of each training example; 0: none.
    sha256 : str
        Of all arrays, as training got them.
    files : mapping of str to str
        SHA-256 of each file that was read.
    protocol : mapping
        Preprocessing, split, what is partial.
    """

    name: str
    classes: tuple[str, ...]
    examples: Mapping[str, int]
    variants: int
    sha256: str
    files: Mapping[str, str]
    protocol: Mapping[str, Any]


@dataclass(frozen=True, kw_only=True)
class Network:
    """What was trained.

    Parameters
    ----------
    parameters : int
        Numbers stored, as the papers count: of a pruned network, the non-zeros.
    kilobytes : float
        The same in float32, 1 KB = 1024 bytes.
    index_bytes : int
        What a pruned network needs beside them, to say where they are; the papers leave it out.
    hidden_size, layers, outputs : int
        Of the recurrent layer and of the head. There may be more outputs than classes: those of
        the papers' network, of which a subset of the words needs not all.
    """

    parameters: int
    kilobytes: float
    index_bytes: int
    hidden_size: int
    layers: int
    outputs: int


@dataclass(frozen=True, kw_only=True)
class Result:
    """What came out; accuracies and F1 in %.

    Parameters
    ----------
    accuracy : float
        On the test set, which was used for this alone; or on the part that the configuration's
        `scored_on` names. So are the macro-F1 and the confusion.
    macro_f1 : float
        Mean of the F1 of the classes that the test set has.
    confusion : tuple of tuple of int
        True class (row) against predicted output (column).
    validation_accuracy : float, optional
        Of the network that was chosen; None if none was validated.
    chosen_at : int
        After how many steps that was.
    diverged_at : int, optional
        The step after which the loss was not finite, where the training ended early.
    """

    accuracy: float
    macro_f1: float
    confusion: tuple[tuple[int, ...], ...]
    validation_accuracy: float | None
    chosen_at: int
    diverged_at: int | None


@dataclass(frozen=True, kw_only=True)
class Curve:
    """The course of the training, at steps where the validation set was looked at.

    Parameters
    ----------
    steps : tuple of int
    learning_rate : tuple of float
        At the last step before.
    loss, train_accuracy : tuple of float
        Means over the training batches since the last look, dropout included; accuracy in %.
    validation_accuracy : tuple of float
        In %.
    looks : int
        How many there were: a long curve is thinned out evenly, but keeps the chosen one.
    """

    steps: tuple[int, ...]
    learning_rate: tuple[float, ...]
    loss: tuple[float, ...]
    train_accuracy: tuple[float, ...]
    validation_accuracy: tuple[float, ...]
    looks: int

    def __post_init__(self) -> None:
        names = ("learning_rate", "loss", "train_accuracy", "validation_accuracy")
        for name in names:
            if len(getattr(self, name)) != len(self.steps):
                raise ValueError(
                    f"curve has {len(self.steps)} steps, but {len(getattr(self, name))} of {name}"
                )


@dataclass(frozen=True, kw_only=True)
class Circumstances:
    """When, where and how long: the only part of a record that another run may have otherwise.

    Parameters
    ----------
    command : str
        Empty if it was no command.
    finished : str
        UTC.
    seconds : float
        Of training and validation, all sessions.
    milliseconds_per_step : float
        Of training alone.
    sessions : int
        More than one if it was interrupted and resumed.
    threads : int
    device : str
    kplib, machine, libraries : mapping
        Version and commit; CPU; versions.
    """

    command: str
    finished: str
    seconds: float
    milliseconds_per_step: float
    sessions: int
    threads: int
    device: str
    kplib: Mapping[str, Any]
    machine: Mapping[str, Any]
    libraries: Mapping[str, str]


@dataclass(frozen=True, kw_only=True)
class Record:
    """Everything about one run, but its arrays.

    Parameters
    ----------
    format : {1}
        Of this file.
    configuration : Configuration
    data : UsedData
    network : Network
    result : Result
    curve : Curve
    circumstances : Circumstances
    sources : mapping of str to str
        Other records that this run began from or learnt from: what they were to it, and their
        path and key below the folder of all records, with the hash of their arrays.
    arrays_sha256 : str
        Of the file of arrays; empty until it is written.
    """

    format: Literal[1] = 1
    configuration: Configuration
    data: UsedData
    network: Network
    result: Result
    curve: Curve
    circumstances: Circumstances
    sources: Mapping[str, str] = field(default_factory=dict, hash=False)
    arrays_sha256: str = ""

    def __post_init__(self) -> None:
        confusion = self.result.confusion
        tested = self.data.examples.get(self.configuration.scored_on)
        classes, outputs = len(self.data.classes), self.network.outputs
        if len(confusion) != classes or any(len(row) != outputs for row in confusion):
            raise ValueError(
                f"confusion must have {classes} rows of {outputs}, found "
                f"{[len(row) for row in confusion]}"
            )
        if sum(map(sum, confusion)) != tested:
            raise ValueError(
                f"confusion counts {sum(map(sum, confusion))} examples, but {tested} were tested"
            )
        if min(map(min, confusion)) < 0:
            raise ValueError(f"confusion counts {min(map(min, confusion))} examples in one place")
        for name, score in (("accuracy", accuracy), ("macro_f1", macro_f1)):
            found, counted = getattr(self.result, name), 100 * score(confusion)
            if abs(found - counted) > _ROUNDING:
                raise ValueError(f"{name} is {found:g}, but its confusion says {counted:g}")


@dataclass(frozen=True)
class StoredRun:
    """A record on the disk, with its arrays, which are read when they are asked for.

    Parameters
    ----------
    path : Path
        Of the JSON file.
    record : Record
    """

    path: Path
    record: Record

    @cached_property
    def arrays(self) -> Arrays:
        """The file of arrays, as it is; a ValueError if it is not the one that was written."""
        path = self.path.with_suffix(".safetensors")
        try:
            content = path.read_bytes()
        except OSError as error:
            raise ValueError(f"{path}: cannot be read: {error.strerror}") from None
        if hashlib.sha256(content).hexdigest() != self.record.arrays_sha256:
            raise ValueError(f"{path}: is not the file that {self.path.name} was written with")
        try:
            arrays = safetensors.numpy.load(content)
        except SafetensorError as error:
            raise ValueError(f"{path}: {error}") from None
        except KeyError as error:  # safetensors knows the dtype, NumPy has none
            raise ValueError(f"{path}: NumPy has no dtype {error}") from None
        self._check_arrays(path, arrays)
        return arrays

    def _check_arrays(self, path: Path, arrays: Mapping[str, NDArray[Any]]) -> None:
        expected = (self.record.data.examples[self.record.configuration.scored_on],)
        for name, dtype in (("predictions", "uint8"), ("labels", "uint8"), ("groups", "uint16")):
            array = arrays.get(name)
            if array is None and name == "groups":
                continue
            if array is None or array.dtype != dtype or array.shape != expected:
                found = "nothing" if array is None else f"{array.dtype} of shape {array.shape}"
                raise ValueError(
                    f"{path}: {name} must be {dtype} of shape {expected}, found {found}"
                )
        confusion = self.record.result.confusion
        try:
            counted = confusion_matrix(
                arrays["labels"], arrays["predictions"], len(confusion), self.record.network.outputs
            )
        except ValueError as error:
            raise ValueError(f"{path}: {error}") from None
        if counted != confusion:
            raise ValueError(f"{path}: its predictions are not those of the record's confusion")

    @property
    def predictions(self) -> NDArray[np.uint8]:
        """The predicted class of each test example, shape (N,)."""
        return self.arrays["predictions"]

    @property
    def labels(self) -> NDArray[np.uint8]:
        """The true class of each test example, shape (N,)."""
        return self.arrays["labels"]

    @property
    def groups(self) -> NDArray[np.uint16] | None:
        """Which test examples belong together, shape (N,), such as a speaker's; None if none do."""
        return self.arrays.get("groups")

    @cached_property
    def weights(self) -> Arrays:
        """The state of the trained network by PyTorch's names, float32; empty if not kept.

        Those of large networks were kept in 16 bits, and have lost what float16 cannot hold.
        """
        arrays = self.arrays
        try:
            return unpacked(arrays)
        except ValueError as error:
            raise ValueError(f"{self.path.with_suffix('.safetensors')}: {error}") from None

    @property
    def snapshots(self) -> Arrays:
        """Tensors of the network in the course of the training, by name; empty if none were taken.

        Each has one entry for each of the ``steps``, of which the first is 0.
        """
        return {name.removeprefix(SNAPSHOTS): array for name, array in self.arrays.items()
                if name.startswith(SNAPSHOTS)}  # fmt: skip


def write(folder: Path | str, record: Record, arrays: Mapping[str, NDArray[Any]]) -> StoredRun:
    """Write a record and its arrays: first the arrays, then the JSON that vouches for them.

    Parameters
    ----------
    folder : Path or str
        Of all records; the configuration's path goes on from there.
    record : Record
    arrays : mapping of str to ndarray
        predictions and labels, both uint8 of shape (test examples,); groups, if there are any,
        uint16 of the same shape; and what `packed` returned.

    Returns
    -------
    StoredRun
        As read back. Where there is a record already, since another process was faster, it stands,
        and is returned.

    Raises
    ------
    ValueError
        If it could not be read again.
    """
    from filelock import FileLock  # whoever only reads needs none

    folder = Path(folder)
    path = record_path(folder, record.configuration)
    content = safetensors.numpy.save({name: np.asarray(a, order="C") for name, a in arrays.items()})
    raw = to_json(record) | {"arrays_sha256": hashlib.sha256(content).hexdigest()}
    stored = StoredRun(path, from_json(Record, raw, "record"))
    stored._check_arrays(path, arrays)
    lines = (f"{json.dumps(name)}: {_compact(value)}" for name, value in raw.items())
    folder.mkdir(parents=True, exist_ok=True)
    # Two processes in turns could leave the JSON of one beside the arrays of the other.
    with FileLock(folder / ".records.lock"):
        if path.exists():
            return read(path)
        write_atomically(path.with_suffix(".safetensors"), content)
        write_atomically(path, ("{\n" + ",\n".join(lines) + "\n}\n").encode())
    return stored


def read(path: Path | str) -> StoredRun:
    """Read a record.

    Parameters
    ----------
    path : Path or str
        Of the JSON file.

    Returns
    -------
    StoredRun

    Raises
    ------
    ValueError
        If it is no record: it says which file, and what is wrong with it.
    """
    path = Path(path)
    try:
        text = path.read_text(encoding="utf-8")
        raw = json.loads(text, parse_constant=_refuse, object_pairs_hook=_unique)
        record = from_json(Record, raw, "record")
    except OSError as error:
        raise ValueError(f"{path}: cannot be read: {error.strerror}") from None
    except (ValueError, RecursionError) as error:  # no UTF-8 and no JSON are ValueErrors, too
        raise ValueError(f"{path}: {error}") from None
    return StoredRun(path, record)


def iterate(
    folder: Path | str, benchmark: str | None = None, technique: str | None = None
) -> Iterator[StoredRun]:
    """Read all records below a folder, in the order of their names.

    Parameters
    ----------
    folder : Path or str
        Of all records; one that is not there has none.
    benchmark, technique : str, optional
        Only of these.

    Yields
    ------
    StoredRun

    Raises
    ------
    ValueError
        If a file is no record, or stands where another one's place is.
    """
    for path in sorted(Path(folder).glob(f"{benchmark or '*'}/*/seed-*.json")):
        stored = read(path)
        if path != record_path(folder, stored.record.configuration):
            raise ValueError(f"{path}: its configuration is that of "
                             f"{stored.record.configuration.path}")  # fmt: skip
        if technique in (None, stored.record.configuration.technique):
            yield stored


def record_path(folder: Path | str, configuration: Configuration) -> Path:
    """Return where the record of a configuration is, or will be."""
    return Path(folder) / f"{configuration.path}.json"


# Weights on the disk ------------------------------------------------------------------------------


def packed(state: Mapping[str, NDArray[Any]]) -> Arrays:
    """Return the arrays that keep a network's state in few bytes.

    Parameters
    ----------
    state : mapping of str to ndarray
        By PyTorch's names: floats, and masks of booleans beside them.

    Returns
    -------
    dict of str to ndarray
        Names begin with ``weights/``. Floats are float16 where there are many. Of what has a mask,
        only the entries that it leaves are kept, and of the mask its bits.

    Examples
    --------
    >>> state = {"W": np.ones((2, 3), np.float32), "mask": np.eye(2, 3, dtype=bool)}
    >>> arrays = packed(state)
    >>> arrays["weights/W"].shape, arrays["weights/mask"].dtype
    ((2,), dtype('uint8'))
    >>> bool((unpacked(arrays)["W"] == state["W"] * state["mask"]).all())
    True
    """
    large = sum(array.size for array in state.values()) > _LARGE
    arrays: Arrays = {}
    for name, array in state.items():
        if array.dtype == bool:
            arrays[WEIGHTS + name] = np.packbits(array)
            arrays[f"{WEIGHTS}{name}.shape"] = np.array(array.shape, np.int64)
            continue
        mask = state.get(_mask_of(name))
        kept = array if mask is None else array[mask]
        arrays[WEIGHTS + name] = kept.astype(np.float16) if large else kept
    return arrays


def unpacked(arrays: Mapping[str, NDArray[Any]]) -> Arrays:
    """Return the state that `packed` was given, in float32, what is masked being 0.

    Raises
    ------
    ValueError
        If there are other numbers than a mask and its shape say.
    """
    kept = {name.removeprefix(WEIGHTS): array for name, array in arrays.items()
            if name.startswith(WEIGHTS)}  # fmt: skip
    state: Arrays = {}
    for name, shape in kept.items():
        if name.endswith(".shape"):
            mask = name.removesuffix(".shape")
            state[mask] = _unpacked_mask(mask, kept.get(mask), shape)
    for name, array in kept.items():
        if name in state or name.endswith(".shape"):
            continue
        if array.dtype.kind not in "fiu":
            raise ValueError(f"{name} must be real numbers, found {array.dtype}")
        state[name] = array.astype(np.float32)
        if (mask_array := state.get(_mask_of(name))) is not None:
            if array.shape != (np.count_nonzero(mask_array),):
                raise ValueError(
                    f"{name} has shape {array.shape}, but its mask leaves "
                    f"{np.count_nonzero(mask_array)} entries"
                )
            state[name] = np.zeros(mask_array.shape, np.float32)
            state[name][mask_array] = array
    return state


def _unpacked_mask(
    name: str, packed_bits: NDArray[Any] | None, shape: NDArray[Any]
) -> NDArray[np.bool_]:
    """Return a mask of its bits; checked first, so that no shape asks for all of the memory."""
    sizes = shape.tolist()
    if shape.dtype != np.int64 or shape.ndim != 1 or min(sizes, default=0) < 0:
        raise ValueError(f"{name}.shape must be sizes in int64, found {sizes!s:.60}")
    count = math.prod(sizes)
    expected = (-(-count // 8),)
    if packed_bits is None or packed_bits.dtype != np.uint8 or packed_bits.shape != expected:
        found = "nothing"
        if packed_bits is not None:
            found = f"{packed_bits.dtype} of shape {packed_bits.shape}"
        raise ValueError(
            f"{name} must be uint8 of shape {expected}, for {count} bits; found {found}"
        )
    return np.unpackbits(packed_bits, count=count).astype(bool).reshape(sizes)


def _mask_of(name: str) -> str:
    """Return the name of the mask of a `Sparse` weight's entries, whose own name is W."""
    start, dot, last = name.rpartition(".")
    return f"{start}{dot}mask" if last == "W" else ""


def _compact(value: object) -> str:
    return json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":"))


def _refuse(constant: str) -> None:
    raise ValueError(f"JSON has no {constant}")


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Return an object of JSON, in which no name may stand twice."""
    found = dict(pairs)
    if len(found) != len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise ValueError(f"{twice!r:.60} stands twice in an object")
    return found
