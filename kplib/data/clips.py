"""Which clips of Speech Commands are in which part: no speaker is in two of them.

A clip is known by its name in its archive; nothing is decoded here.
"""

import csv
import hashlib
import io
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import numpy as np

from kplib.data import archives
from kplib.errors import DataError

SILENCE, UNKNOWN = "_silence_", "_unknown_"
KEYWORDS = ("yes", "no", "up", "down", "left", "right", "on", "off", "stop", "go")
NOISE_FOLDER = "_background_noise_"
PARTS = ("train", "validation", "test")

_MANIFEST = "manifest.csv"
_PARTS_OF_SPEAKER_HASH = 2**27  # Warden's MAX_NUM_WAVS_PER_CLASS + 1


@dataclass(frozen=True, order=True)
class Clip:
    """A recording in an archive.

    Parameters
    ----------
    archive : int
        Which of the archives it is in.
    name : str
        In the archive.
    label : str
        A keyword, `SILENCE` or `UNKNOWN`.
    part : str
        One of `PARTS`.
    speaker : str
        Empty where it is not known.
    """

    archive: int
    name: str
    label: str
    part: str
    speaker: str


def part_of(name: str) -> str:
    """Return the part of a clip, from the hash of its speaker: Warden's 80/10/10.

    Parameters
    ----------
    name : str
        The file's, such as ``"yes/0a7c2a8d_nohash_0.wav"``; what comes before ``_nohash_`` is the
        speaker.

    Returns
    -------
    str
        One of `PARTS`.

    Notes
    -----
    P. Warden, Speech Commands: a dataset for limited-vocabulary speech recognition (2018),
    section 7: a speaker stays in the part when clips are added.

    Examples
    --------
    >>> part_of("yes/0a7c2a8d_nohash_0.wav") == part_of("no/0a7c2a8d_nohash_3.wav")
    True
    """
    number = int(hashlib.sha1(speaker_of(name).encode()).hexdigest(), 16)
    percent = (number % _PARTS_OF_SPEAKER_HASH) * (100 / (_PARTS_OF_SPEAKER_HASH - 1))
    return "validation" if percent < 10 else "test" if percent < 20 else "train"


def speaker_of(name: str) -> str:
    """Return the speaker in a clip's name: what comes before ``_nohash_``.

    Examples
    --------
    >>> speaker_of("yes/0a7c2a8d_nohash_0.wav")
    '0a7c2a8d'
    >>> speaker_of("_unknown_/backward_0c540988_nohash_0.wav.wav")  # as in the official test set
    '0c540988'
    """
    return PurePosixPath(name).name.split("_nohash_")[0].rpartition("_")[2]


def subset_clips(archive: Path) -> list[Clip]:
    """Return the clips of the subset, as its manifest lists them."""
    ((_, content),) = archives.read(archive, [_MANIFEST])
    rows = csv.DictReader(io.StringIO(content.decode()))
    try:
        clips = [
            Clip(0, row["path"], row["label"], row["split"], row["speaker"])
            for row in rows
            if row["split"] in PARTS
        ]
    except KeyError as error:
        raise DataError(f"{archive}: {_MANIFEST} has no column {error}") from None
    labels = {clip.label for clip in clips} - {SILENCE, UNKNOWN, *KEYWORDS}
    if labels:
        raise DataError(f"{archive}: {_MANIFEST} has the labels {sorted(labels)}")
    return clips


def full_clips(archive: Path, test_archive: Path | None = None) -> list[Clip]:
    """Return the clips of v0.01 or v0.02, by the hash of the speaker.

    Parameters
    ----------
    archive : Path
        With a folder for each word.
    test_archive : Path, optional
        The official test set, with a folder for each label: its clips are then the test part, and
        the others of their speakers are left out.
    """
    clips = []
    for name in archives.names(archive):
        folder = PurePosixPath(name).parent.name
        if name.endswith(".wav") and folder and folder != NOISE_FOLDER:
            label = folder if folder in KEYWORDS else UNKNOWN
            clips.append(Clip(0, name, label, part_of(name), speaker_of(name)))
    if test_archive is None:
        return clips
    clips = [clip for clip in clips if clip.part != "test"]
    for name in archives.names(test_archive):
        label = PurePosixPath(name).parent.name
        if name.endswith(".wav") and label in {SILENCE, UNKNOWN, *KEYWORDS}:
            speaker = speaker_of(name) if "_nohash_" in name else ""
            clips.append(Clip(1, name, label, "test", speaker))
    return clips


def check_speakers(clips: Iterable[Clip]) -> None:
    """Raise a DataError if a speaker is in two parts.

    Examples
    --------
    >>> check_speakers([Clip(0, "a.wav", "yes", "train", "s"), Clip(0, "b.wav", "no", "test", "s")])
    Traceback (most recent call last):
    ...
    kplib.errors.DataError: the speaker s is in train and in test
    """
    part_of_speaker: dict[str, str] = {}
    for clip in clips:
        part = part_of_speaker.setdefault(clip.speaker, clip.part)
        if clip.speaker and part != clip.part:
            raise DataError(f"the speaker {clip.speaker} is in {part} and in {clip.part}")


def share(count: int, percent: float) -> int:
    """Return `percent` of `count`, rounded up.

    Examples
    --------
    >>> share(8439, 10)
    844
    """
    return math.ceil(count * percent / 100)


def drawn(pool: Sequence[Clip], count: int, seed: Sequence[int]) -> list[Clip]:
    """Return `count` clips of the pool, or all if it has fewer, the same for the same seed."""
    ordered = sorted(pool)
    order = np.random.default_rng(seed).permutation(len(ordered))
    return [ordered[i] for i in order[:count]]
