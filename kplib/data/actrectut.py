"""ActRecTut: gestures in a stream of movement that is mostly none of them.

Two subjects did eleven gestures in turn, 26 times, with units on the right hand, lower and upper
arm: three accelerations and two rotations each, 15 channels at 32 Hz. What lies between the
gestures is the class "NULL", about a third of the samples, so that the macro-averaged F1 belongs
beside the accuracy.

The set comes with the toolbox of Bulling, Blanke and Schiele, "A tutorial on human activity
recognition using body-worn inertial sensors" (ACM Computing Surveys 46, 2014), which evaluates on
the 26 repetitions of one subject, or on a subject that was not trained on.
"""

from pathlib import Path

import numpy as np
import scipy
from numpy.typing import NDArray

from kplib._checks import positive_integer
from kplib.data.files import File, Source, digest, locate
from kplib.data.sets import DataSet, Sequences
from kplib.data.signals import LABEL_RULES, Signal, Standardization, one_of, sequences_of
from kplib.errors import DataError

SAMPLING_RATE = 32  # samples in a second
CHANNELS = 15

GESTURES = (
    "NULL",
    "Open window",
    "Drink",
    "Water plant",
    "Close window",
    "Cut",
    "Chop",
    "Stir",
    "Book",
    "Forehand",
    "Backhand",
    "Smash",
)

SPLITS = ("repetitions", "subjects")
REPETITIONS = 26
# Blocks at the end, not single repetitions: neighbours in time are alike.
VALIDATION_REPETITIONS = (19, 20, 21, 22)
TEST_REPETITIONS = (23, 24, 25, 26)

_TOOLBOX = (
    "https://raw.githubusercontent.com/andreas-bulling/ActRecTut/"
    "08b2b1e0523e0083bb43a7982d8ba8391985232e/Data/"
)

SOURCE = Source(
    name="actrectut",
    title="ActRecTut gestures",
    folder="actrectut",
    editions={
        "mat": (
            File(
                "subject1_gesture.mat",
                (f"{_TOOLBOX}subject1_gesture/data.mat",),
                1_570_648,
                "sha256:667e27583751d0e606cff528461103664452925d221cfd1aed85986b4ab3517b",
            ),
            File(
                "subject2_gesture.mat",
                (f"{_TOOLBOX}subject2_gesture/data.mat",),
                1_750_242,
                "sha256:2d57311ff382dfdb495b76388d91b98bafbc2e661328c294e82eaff41562c63f",
            ),
        )
    },
    licence="none stated for the data",
    citation=(
        "A. Bulling, U. Blanke, B. Schiele, A tutorial on human activity recognition using "
        "body-worn inertial sensors, ACM Computing Surveys 46, 2014"
    ),
    complete="the gestures, whole: 2 subjects; not the walking",
)


def load(
    *,
    steps: int = 64,
    hop: int | None = None,
    label: str = "majority",
    split: str = "repetitions",
) -> DataSet:
    """Load the gestures in windows of 15 channels with 12 classes, one of them NULL.

    Each channel is shifted and scaled to mean 0 and deviation 1 over the samples for training.
    Windows are cut within the blocks of the split: no sample is in two parts. The minutes before
    the first and after the last gesture of a recording are not used: they would make half of the
    test NULL.

    Parameters
    ----------
    steps : int, default 64
        Samples in a window; 64 are 2 s, and half of the gestures last 4.3 s or more.
    hop : int, optional
        Samples from a window to the next; half a window (``steps // 2``) if not given.
    label : {"majority", "last"}
        The label of a window: the commonest of its samples, or its last sample's.
    split : {"repetitions", "subjects"}
        "repetitions": of both subjects, 1 to 18 for training, 19 to 22 for validation and 23 to 26
        for testing. "subjects": subject 1 for training, but for the repetitions 23 to 26, which are
        the validation; subject 2 for testing.

    Returns
    -------
    DataSet
        ``(windows, steps, 15)``, 12 classes.

    Raises
    ------
    DataError
        If a file is not such a recording, or a part has not one window.
    MissingDataError
        If the data is not here and cannot be downloaded.
    ValueError
        If an option is not one of those above.
    """
    steps = positive_integer("steps", steps)
    hop = max(1, steps // 2) if hop is None else positive_integer("hop", hop)
    one_of("label", label, LABEL_RULES)
    one_of("split", split, SPLITS)
    paths = [locate(SOURCE, file) for file in SOURCE.edition()]
    recordings = [read(path) for path in paths]
    parts = [_parts(str(path), y, split) for path, (_, y) in zip(paths, recordings, strict=True)]

    def blocks(part: str) -> list[tuple[Signal, NDArray[np.int64]]]:
        return [
            (x[of_subject == part], y[of_subject == part])
            for (x, y), of_subject in zip(recordings, parts, strict=True)
        ]

    standardize = Standardization.of(np.concatenate([x for x, _ in blocks("train")]))

    def sequences(part: str) -> Sequences:
        scaled = [(standardize(x), y) for x, y in blocks(part)]
        return sequences_of(part, scaled, steps, hop, label)

    return DataSet(
        name="actrectut",
        classes=GESTURES,
        train=sequences("train"),
        validation=sequences("validation"),
        test=sequences("test"),
        files={path.name: digest(path) for path in paths},
        protocol={
            "split": {"by": split, **_split_protocol(split)},
            "windows": {"steps": steps, "hop": hop, "label": label, "sampling_rate": SAMPLING_RATE},
            "scaling": {"rule": "standardize", **standardize.as_json()},
            "samples": {
                part or "not used": sum(len(y) for _, y in blocks(part))
                for part in ("train", "validation", "test", "")
            },
        },
    )


def read(path: Path | str) -> tuple[Signal, NDArray[np.int64]]:
    """Read the recording of one subject.

    Parameters
    ----------
    path : Path or str
        A MATLAB file with ``data`` (samples, 15) and ``labels`` (samples, 1), 1 for NULL to 12.

    Returns
    -------
    x : ndarray of float32, shape (samples, 15)
    y : ndarray of int64, shape (samples,)
        From 0 (NULL) to 11.

    Raises
    ------
    DataError
        If it is not such a file.
    """
    path = Path(path)
    try:
        with path.open("rb") as stream:
            content = scipy.io.loadmat(stream, variable_names=["data", "labels"])
        data, labels = content["data"], content["labels"]
    except Exception as error:  # SciPy has no one kind of error for a file that is broken
        raise DataError(f"{path} is not a MATLAB file with data and labels: {error}") from error
    if data.ndim != 2 or data.shape[1] != CHANNELS or data.dtype.kind not in "iuf":
        raise DataError(f"{path}: data is {data.dtype} {data.shape}, not (samples, {CHANNELS})")
    if labels.shape != (len(data), 1) or len(data) == 0:
        raise DataError(f"{path}: labels {labels.shape} must be ({len(data)}, 1), and not empty")
    if not np.isfinite(data).all():
        raise DataError(f"{path}: {np.count_nonzero(~np.isfinite(data))} values are not finite")
    if not np.isin(labels, range(1, len(GESTURES) + 1)).all():
        raise DataError(
            f"{path}: labels from {labels.min()} to {labels.max()} must be integers from 1 to "
            f"{len(GESTURES)}"
        )
    return data.astype(np.float32), labels[:, 0].astype(np.int64) - 1


def repetitions(y: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return the round of gestures that each sample lies in.

    The gestures come in the order of `GESTURES`; a new round begins when one comes that is not
    later in that order than the one before. What lies between two rounds is halved. What lies
    before the first gesture and after the last one is in no round.

    Parameters
    ----------
    y : ndarray of int64, shape (samples,)
        The class of each sample, 0 for NULL.

    Returns
    -------
    ndarray of int64, shape (samples,)
        From 1; 0 for those in no round.

    Examples
    --------
    >>> repetitions(np.array([0, 1, 0, 2, 2, 0, 0, 1, 1, 3, 0])).tolist()
    [0, 1, 1, 1, 1, 1, 2, 2, 2, 2, 0]
    """
    # Runs of equal labels, of which those of a gesture are kept.
    starts = np.flatnonzero(np.diff(y, prepend=-1))
    ends = np.append(starts[1:], len(y))
    gesture = y[starts] != 0
    starts, ends = starts[gesture], ends[gesture]
    last_of_round = np.flatnonzero(np.diff(y[starts]) <= 0)
    begins = np.zeros(len(y), dtype=np.int64)
    begins[(ends[last_of_round] + starts[last_of_round + 1]) // 2] = 1
    number = 1 + np.cumsum(begins)
    number[: starts[0] if len(starts) else len(y)] = 0
    number[ends[-1] if len(ends) else 0 :] = 0
    return number


def _parts(name: str, y: NDArray[np.int64], split: str) -> NDArray[np.str_]:
    """Return the part of each sample of a recording, "" for one in no round.

    A part is a block of rounds without a gap, so that a window is a piece of the recording.
    """
    number = repetitions(y)
    if number.max() != REPETITIONS:
        raise DataError(f"{name} has {number.max()} rounds of gestures, not {REPETITIONS}")
    part = np.where(number > 0, "train", "").astype("<U10")
    if split == "repetitions":
        part[np.isin(number, VALIDATION_REPETITIONS)] = "validation"
        part[np.isin(number, TEST_REPETITIONS)] = "test"
    elif "subject2" in Path(name).name:
        part[number > 0] = "test"
    else:
        part[np.isin(number, TEST_REPETITIONS)] = "validation"
    return part


def _split_protocol(split: str) -> dict[str, object]:
    if split == "subjects":
        last = list(TEST_REPETITIONS)
        return {"train": [1], "test": [2], "validation": {"subject": 1, "repetitions": last}}
    return {"validation": list(VALIDATION_REPETITIONS), "test": list(TEST_REPETITIONS)}
