"""Daily and Sports Activities: 19 activities of eight people, split by subject.

Each of eight subjects did each activity for five minutes, cut into 60 segments of 5 s without
overlap. A segment has 125 samples (25 Hz) of 45 channels: five units on torso, arms and legs, each
with acceleration, rotation and magnetic field in three axes.

The half that the project's recorded results use has every second segment (1, 3, ..., 59), rounded
to float16. It is the file ``dsads_half.npz``, or is taken from the archive of the UCI repository.
"""

import re
import zipfile
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kplib.data import archives, cache
from kplib.data.files import File, Source, digest, locate
from kplib.data.sets import DataSet, Sequences
from kplib.data.signals import Standardization, one_of
from kplib.errors import DataError

SAMPLING_RATE = 25  # samples in a second
STEPS, CHANNELS, SEGMENTS = 125, 45, 60
SUBJECTS = tuple(range(1, 9))
VALIDATION_SUBJECTS = (6,)
TEST_SUBJECTS = (7, 8)
PARTS = ("half", "whole")

ACTIVITIES = (
    "sitting",
    "standing",
    "lying on the back",
    "lying on the right side",
    "ascending stairs",
    "descending stairs",
    "standing in an elevator",
    "moving around in an elevator",
    "walking in a parking lot",
    "walking on a flat treadmill",
    "walking on an inclined treadmill",
    "running on a treadmill",
    "exercising on a stepper",
    "exercising on a cross trainer",
    "cycling in a horizontal position",
    "cycling in a vertical position",
    "rowing",
    "jumping",
    "playing basketball",
)

SOURCE = Source(
    name="dsads",
    title="Daily and Sports Activities",
    folder="dsads",
    editions={
        "npz": (
            File(
                "dsads_half.npz",
                size=46_192_214,
                hash="sha256:964f082c99a44413a478a636b6d4afadee16a845b9a4156f714193c55ecc96aa",
            ),
        ),
        "zip": (
            File(
                "daily+and+sports+activities.zip",
                ("https://archive.ics.uci.edu/static/public/256/daily+and+sports+activities.zip",),
            ),
        ),
    },
    licence="UCI repository: free with citation",
    citation=(
        "K. Altun, B. Barshan, O. Tuncel, Comparative study on classifying human activities with "
        "miniature inertial and magnetic sensors, Pattern Recognition, 2010"
    ),
    complete="npz: every second segment, float16; zip: whole, 9,120 segments",
)

# Whatever folder the archive has them in.
_MEMBER = re.compile(r"(?:.*/)?a(\d\d)/p(\d)/s(\d\d)\.txt")


@dataclass(frozen=True, eq=False)
class Segments:
    """Segments as they were read, ordered by activity, subject and number.

    Attributes
    ----------
    x : ndarray of float16 (half) or float32 (whole), shape (N, 125, 45)
    activity : ndarray of int64, shape (N,)
        From 0, the position in `ACTIVITIES`.
    subject, number : ndarray of int64, shape (N,)
        From 1, as the data set counts them.
    """

    x: NDArray[np.floating[Any]]
    activity: NDArray[np.int64]
    subject: NDArray[np.int64]
    number: NDArray[np.int64]


def load(
    *,
    part: str = "half",
    validation_subjects: Iterable[int] = VALIDATION_SUBJECTS,
    test_subjects: Iterable[int] = TEST_SUBJECTS,
    edition: str | None = None,
) -> DataSet:
    """Load the activities, 45 channels in 125 steps, with subjects held out for testing.

    No subject is in two parts: the test asks how the network does on people whom it has not seen.
    Each channel is shifted and scaled to mean 0 and deviation 1 over the training subjects.

    Parameters
    ----------
    part : {"half", "whole"}
        Every second segment, rounded to float16, as in the recorded results; or all of them.
    validation_subjects, test_subjects : iterable of int, default (6,) and (7, 8)
        Of the eight subjects, 1 to 8; the others are for training.
    edition : {"npz", "zip"}, optional
        The file to read; by default the one that is here. "npz" has only the half.

    Returns
    -------
    DataSet
        ``(segments, 125, 45)``, 19 classes. Their groups are the recordings, one of each activity
        and subject, which the segments are cut from: 19 * subject + activity.

    Raises
    ------
    DataError
        If there is no such part, a subject is not one of the eight or in two parts, a part has no
        subject, or a segment is missing, is not numbers of the right shape, or comes twice.
    MissingDataError
        If the data is not here and cannot be downloaded.
    """
    one_of("part", part, PARTS)
    held_out = {}
    for name, chosen in (("validation", validation_subjects), ("test", test_subjects)):
        if not isinstance(chosen, Iterable):
            raise DataError(f"{name}_subjects must be several, such as ({chosen!r},)")
        held_out[name] = tuple(chosen)
    subjects = _split(held_out)
    if part == "whole" and edition is None:
        edition = "zip"
    (file,) = SOURCE.edition(edition)
    if part == "whole" and file.name.endswith(".npz"):
        raise DataError(f"{file.name} has every second segment only; the whole set is the zip")
    path = locate(SOURCE, file)
    segments = read_npz(path) if path.suffix == ".npz" else _zip_once(path, part)
    in_part = {name: np.isin(segments.subject, chosen) for name, chosen in subjects.items()}
    standardize = Standardization.of(segments.x[in_part["train"]].astype(np.float32))

    def sequences(name: str) -> Sequences:
        chosen = in_part[name]
        activity = segments.activity[chosen]
        recording = len(ACTIVITIES) * segments.subject[chosen] + activity
        return Sequences(standardize(segments.x[chosen].astype(np.float32)), activity, recording)

    return DataSet(
        name="dsads",
        classes=ACTIVITIES,
        train=sequences("train"),
        validation=sequences("validation"),
        test=sequences("test"),
        files={file.name: digest(path)},
        protocol={
            "part": "every second segment (1, 3, ..., 59), float16" if part == "half" else "whole",
            "split": {"by": "subject", **{name: list(chosen) for name, chosen in subjects.items()}},
            "windows": {"steps": STEPS, "hop": STEPS, "sampling_rate": SAMPLING_RATE},
            "scaling": {"rule": "standardize", **standardize.as_json()},
        },
    )


def _split(held_out: dict[str, tuple[int, ...]]) -> dict[str, tuple[int, ...]]:
    """Return the subjects of training, validation and test, after checking that they are apart."""
    named = held_out["validation"] + held_out["test"]
    if wrong := [subject for subject in named if subject not in SUBJECTS]:
        raise DataError(f"there is no subject {wrong[0]}, but 1 to {len(SUBJECTS)}")
    if len(set(named)) != len(named):
        raise DataError(
            f"a subject is named twice: validation {held_out['validation']}, "
            f"test {held_out['test']}"
        )
    parts = {"train": tuple(s for s in SUBJECTS if s not in named), **held_out}
    if empty := [name for name, subjects in parts.items() if not subjects]:
        raise DataError(f"no subject is left for {empty[0]}")
    return parts


def read_npz(path: Path | str) -> Segments:
    """Read ``dsads_half.npz``: ``x``, ``activity``, ``subject`` and ``segment``, all from 1.

    Parameters
    ----------
    path : Path or str

    Returns
    -------
    Segments

    Raises
    ------
    DataError
        If it is not such a file, or has not each odd segment of each subject and activity once.
    """
    try:
        with np.load(path, allow_pickle=False) as file:
            x, activity, subject, number = (
                file[key] for key in ("x", "activity", "subject", "segment")
            )
    except (OSError, KeyError, ValueError, zipfile.BadZipFile) as error:
        raise DataError(f"{path} is not a file of segments: {error}") from error
    columns = [activity, subject, number]
    if any(column.shape != x.shape[:1] for column in columns):
        raise DataError(f"{path}: x {x.shape} needs as many activities, subjects and segments")
    return _ordered(str(path), x, np.stack(columns, axis=1).astype(np.int64), "half")


def read_zip(path: Path | str, part: str = "half") -> Segments:
    """Read the archive of the UCI repository, ``data/a01/p1/s01.txt`` and so on.

    Parameters
    ----------
    path : Path or str
    part : {"half", "whole"}
        As in `load`: 4,560 or 9,120 members of 5,625 numbers each.

    Returns
    -------
    Segments

    Raises
    ------
    DataError
        If a segment is missing, or is not 125 lines of 45 numbers; the message has its name.
    """
    one_of("part", part, PARTS)
    path, wanted = Path(path), {}
    for member in archives.names(path):
        match = _MEMBER.fullmatch(member)
        if match and (part == "whole" or int(match[3]) % 2):
            wanted[member] = [int(number) for number in match.groups()]
    signals, columns = [], []
    for member, raw in archives.read(path, wanted):
        columns.append(wanted[member])
        signals.append(_parse(f"{path.name}, {member}", raw, part))
    x = np.stack(signals) if signals else np.empty((0, STEPS, CHANNELS), np.float32)
    return _ordered(str(path), x, np.array(columns, dtype=np.int64).reshape(-1, 3), part)


def _parse(name: str, raw: bytes, part: str) -> NDArray[np.floating[Any]]:
    try:
        lines = raw.decode("ascii").splitlines()
        x = np.loadtxt(lines, delimiter=",", comments=None, ndmin=2) if lines else np.empty((0, 0))
    except ValueError as error:
        raise DataError(f"{name}: {error}") from None
    if x.shape != (STEPS, CHANNELS):
        raise DataError(f"{name} has shape {x.shape}, but a segment has {(STEPS, CHANNELS)}")
    return x.astype(np.float16 if part == "half" else np.float32)


def _zip_once(path: Path, part: str) -> Segments:
    """Read the archive, or take its segments from the cache folder if it has been read before."""
    inputs = {"sha256": digest(path), "part": part, "version": 1}
    arrays = cache.cached("dsads", inputs, lambda: vars(read_zip(path, part)))
    return Segments(**arrays)


def _ordered(
    name: str, x: NDArray[np.floating[Any]], columns: NDArray[np.int64], part: str
) -> Segments:
    """Order segments by activity, subject and number, and check that each one is there once."""
    if x.shape[1:] != (STEPS, CHANNELS):
        raise DataError(f"{name}: x has shape {x.shape}, but a segment has {(STEPS, CHANNELS)}")
    order = np.lexsort(columns.T[::-1])
    found = columns[order]
    numbers = range(1, SEGMENTS + 1, 2 if part == "half" else 1)
    axes = np.meshgrid(range(1, len(ACTIVITIES) + 1), SUBJECTS, numbers, indexing="ij")
    expected = np.stack([axis.ravel() for axis in axes], axis=1)
    if not np.array_equal(found, expected):
        missing = set(map(tuple, expected.tolist())) - set(map(tuple, found.tolist()))
        first = " ({}, {}, {})".format(*min(missing)) if missing else ""
        raise DataError(
            f"{name} has {len(found)} segments, but the {part} set has {len(expected)}; "
            f"missing (activity, subject, segment): {len(missing)}{first}"
        )
    if not np.isfinite(x).all():
        raise DataError(f"{name} has values that are NaN or infinite")
    return Segments(x[order], found[:, 0] - 1, found[:, 1], found[:, 2])
