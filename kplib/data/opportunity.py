"""OPPORTUNITY: daily activities of four people, seen by the sensors they wear (the papers' HAR1).

Each subject has six recordings: five runs of a morning ("ADL1" to "ADL5") and one drill. A
recording is a text file with 250 columns: a clock, 242 sensor values (integers, or NaN where a
sensor gave nothing) and seven labels. The papers use 77 of the sensor values and the label of both
arms: 17 gestures, or "Other". The channels, the label and the public split are those of the code
that the papers build on (deepHAR, of Hammerla, Halloran and Ploetz, "Deep, convolutional, and
recurrent models for human activity recognition using wearables", IJCAI 2016).
"""

import hashlib
import io
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kplib._checks import positive_integer
from kplib.data import archives, cache
from kplib.data.files import File, Source, locate
from kplib.data.sets import DataSet, Sequences
from kplib.data.signals import (
    LABEL_RULES,
    MISSING_RULES,
    Repaired,
    Signal,
    Standardization,
    one_of,
    repair,
    sequences_of,
)
from kplib.errors import DataError

SAMPLING_RATE = 30  # samples in a second
COLUMNS = 250
LABEL_COLUMN = 250  # from 1, as all columns here: "ML_Both_Arms"

# From 1: acceleration, rotation and magnetic field of the five units on back and arms (their
# quaternions are left out), and all sixteen values of each of the two shoes.
CHANNELS = (
    *range(38, 47),  # back
    *range(51, 60),  # right upper arm
    *range(64, 73),  # right lower arm
    *range(77, 86),  # left upper arm
    *range(90, 99),  # left lower arm
    *range(103, 119),  # left shoe
    *range(119, 135),  # right shoe
)

# Code in the label column -> gesture, in the order of the set's legend; the class is the position.
LABELS = {
    0: "Other",
    406516: "Open Door 1",
    406517: "Open Door 2",
    404516: "Close Door 1",
    404517: "Close Door 2",
    406520: "Open Fridge",
    404520: "Close Fridge",
    406505: "Open Dishwasher",
    404505: "Close Dishwasher",
    406519: "Open Drawer 1",
    404519: "Close Drawer 1",
    406511: "Open Drawer 2",
    404511: "Close Drawer 2",
    406508: "Open Drawer 3",
    404508: "Close Drawer 3",
    408512: "Clean Table",
    407521: "Drink from Cup",
    405506: "Toggle Switch",
}

# There is no published hash of the recordings: these are of a third party's copy. Another one is
# reported, not refused.
LISTED_SHA256 = {
    "S1-ADL1": "2b247432acbe4d3970f052c1e3e7ff8d2fc98ba5c49f95e2a0d63a32c553aab8",
    "S1-ADL2": "cb7951936acb4637e27b3c8c95480341354a93ba90a5cce232526279d2f127ba",
    "S1-ADL3": "118378e10af6bf042a65f7d14234993b9e1229ef12b4dc75afff1a79760f7132",
    "S1-ADL4": "283cf48e4114b4fb05a7def13c29b5497a0e02947ca5855d831fc68b72eec1c8",
    "S1-ADL5": "8519f3a4c09ee10c67215aef53520152355ddadf0d70b5b708998478b0c53a1c",
    "S1-Drill": "26b5e4d9f40243cc64471592bf86a5a282b0bde864b1efcdd5699d5a7f00bf42",
    "S2-ADL1": "38d76a30b49b6fff3dcc77cec676a19de5c252ed14c10b7400b4666997fa7f1f",
    "S2-ADL2": "b30f15e8a1927cd19427e2b1028bc787df06810466fd548523fc6a11e2d01aed",
    "S2-ADL3": "64eca28aa6cefc38e6362510f95d2a770d3a4e6c8b2326fd6608d7c10707240e",
    "S2-ADL4": "25cd0d6eb7e0fd9a9786d213ffdac131f06a5279e24d78ff50b1621a3fa205d1",
    "S2-ADL5": "2300842180e2640aa9512d602c0a7ba6ee1a4ef1999889b34bceb110dc5c5c0d",
    "S2-Drill": "98e7ed170e860457198fd1346f4b284d7ae5983e5de78d3924273ec47fa8e78f",
    "S3-ADL1": "1b15fc4766ba9a79f8ec97c15bb4cb128e7a2fd2c08f8dcb60dec65ca543e699",
    "S3-ADL2": "a61b0418486f07114719d30ea6bf119e530f233d36d8eee7da542946b0358f4a",
    "S3-ADL3": "ad976087c3c428f75d5a83df82640935323b3923eb8256466c99e7d2c556590a",
    "S3-ADL4": "e2502620983c38ecb78b21ca232516decc64753ad476ea242d3cbebcba20e637",
    "S3-ADL5": "8c66c65e561c4b2a8fb36d40cbca36cee246d6fad6072b097fcb3ee0ed8620fa",
    "S3-Drill": "3f5c13d4e52ea96f218040480e68bdf279818e7ea99d7dba7a78c12f2e21f7f1",
    "S4-ADL1": "9a9a6fedd1889f9210ff3ecc0d9ee9da602bd11a3a86f629ac06273a9b8bb98a",
    "S4-ADL2": "022be538306b443096667f37909d2a4a6f69222ddd2381a63160efc6ef146a04",
    "S4-ADL3": "f81f5d19cf3f76e531e2af5aab2333f6a776d82202869c740ee7791c1095fd7f",
    "S4-ADL4": "d2f5bd0e2f770ef8cbc0e1b11cab1ea9fe537d1bef3586dc92c395fd47b1426d",
    "S4-ADL5": "1ace7199f8a5285691a58326ded0a2932ea56d8f43da537ff23db0ad359e7ef6",
    "S4-Drill": "9076c861d9b5ad94345abf61659064f8e7b94e73d29518ab30e156a30555a3bd",
}
RECORDINGS = tuple(LISTED_SHA256)

# Recordings of validation and test; all others are for training.
SPLITS = {
    "papers": (("S1-ADL2",), ("S2-ADL4", "S2-ADL5", "S3-ADL4", "S3-ADL5")),
    "public-code": (("S1-ADL2",), ("S2-ADL3", "S2-ADL4", "S3-ADL3", "S3-ADL4")),
}
SCALINGS = ("thousandth", "standardize")

SOURCE = Source(
    name="opportunity",
    title="OPPORTUNITY Activity Recognition",
    folder="opportunity",
    editions={
        "zip": (
            File(
                "opportunity+activity+recognition.zip",
                (
                    "https://archive.ics.uci.edu/static/public/226/"
                    "opportunity+activity+recognition.zip",
                ),
            ),
        ),
        "dat": tuple(File(f"{name}.dat") for name in RECORDINGS),
    },
    licence="free with citation (see the README of the data set)",
    citation=(
        "D. Roggen et al., Collecting complex activity datasets in highly rich networked sensor "
        "environments, INSS 2010; R. Chavarriaga et al., The Opportunity challenge: a benchmark "
        "database for on-body sensor-based activity recognition, Pattern Recognition Letters, 2013"
    ),
    complete="whole: 24 recordings of 4 subjects",
)


@dataclass(frozen=True, eq=False)
class Recording:
    """One recording as it was read: nothing filled in, nothing scaled.

    Attributes
    ----------
    name : str
        Such as "S1-ADL1".
    x : ndarray of float32, shape (samples, 77)
        The columns `CHANNELS`; NaN where a sensor gave nothing.
    y : ndarray of int64, shape (samples,)
        The class of each sample, from 0 ("Other") to 17.
    sha256 : str
        Of the file.
    """

    name: str
    x: Signal
    y: NDArray[np.int64]
    sha256: str


def load(
    *,
    steps: int = 81,
    hop: int | None = None,
    label: str = "majority",
    missing: str = "interpolate",
    scaling: str = "thousandth",
    split: str = "papers",
    edition: str | None = None,
) -> DataSet:
    """Load OPPORTUNITY in windows of 77 channels with 18 classes.

    Windows are cut within a recording, never across two. The first call parses 860 MB of text and
    keeps the result in the cache folder; later calls only hash the files.

    Parameters
    ----------
    steps : int, default 81
        Samples in a window. The papers call 81 steps "1 s"; at 30 samples a second that is 2.7 s,
        and one second is ``steps=30``.
    hop : int, optional
        Samples from a window to the next; half a window (``steps // 2``) if not given.
    label : {"majority", "last"}
        The label of a window: the commonest of its samples, or its last sample's.
    missing : {"interpolate", "drop"}
        See `kplib.data.signals.repair`: straight lines over gaps, or only complete samples, as in
        the public code. The protocol says what was filled, dropped and set to zero where.
    scaling : {"thousandth", "standardize"}
        Divide by 1000, as the public code; or shift and scale each channel to mean 0 and
        deviation 1 over the training recordings.
    split : {"papers", "public-code"}
        Test on runs 4 and 5 of subjects 2 and 3, or, as in the public code, on runs 3 and 4.
        Validation is run 2 of subject 1 in both; the 19 other recordings are for training.
    edition : {"zip", "dat"}, optional
        The archive of the UCI repository, or a folder of the 24 ``.dat`` files in it; by default
        what is here.

    Returns
    -------
    DataSet
        ``(windows, steps, 77)``, 18 classes; ``files`` has the SHA-256 of each recording.

    Raises
    ------
    DataError
        If a recording is missing from the archive, is not text of 250 columns, has a label that is
        not in the legend, or has no sample left when the missing values are dealt with.
    MissingDataError
        If the data is not here and cannot be downloaded.
    ValueError
        If an option is not one of those above.

    Warns
    -----
    UserWarning
        If a recording is not the one whose hash is known. The hash is a third party's, so this is
        no error; the protocol names the recordings.

    Notes
    -----
    The long paper counts "about 650k samples (43k frames)" (appendix B): 15 samples a frame, half a
    window of 30. Half of 81 would give 16k. Compare ``protocol["samples"]`` and the parts' lengths.
    """
    steps = positive_integer("steps", steps)
    hop = max(1, steps // 2) if hop is None else positive_integer("hop", hop)
    one_of("label", label, LABEL_RULES)
    one_of("missing", missing, MISSING_RULES)
    one_of("scaling", scaling, SCALINGS)
    one_of("split", split, tuple(SPLITS))
    paths = [locate(SOURCE, file) for file in SOURCE.edition(edition)]
    hashes, labels, repaired = {}, {}, {}
    for name, raw in _contents(paths):
        recording = _parsed(name, raw)
        repaired[name] = _repaired(recording, missing)
        labels[name] = recording.y[repaired[name].kept]
        hashes[name] = recording.sha256
    parts = _parts(split)
    signals, scaling_protocol = _scaled(repaired, parts["train"], scaling)

    def sequences(part: str) -> Sequences:
        blocks = [(signals[name], labels[name]) for name in parts[part]]
        return sequences_of(part, blocks, steps, hop, label)

    return DataSet(
        name="opportunity",
        classes=tuple(LABELS.values()),
        train=sequences("train"),
        validation=sequences("validation"),
        test=sequences("test"),
        files={f"{name}.dat": digest for name, digest in hashes.items()},
        protocol={
            "split": {"name": split, **{part: list(names) for part, names in parts.items()}},
            "windows": {"steps": steps, "hop": hop, "label": label, "sampling_rate": SAMPLING_RATE},
            "columns": list(CHANNELS),
            "label_column": LABEL_COLUMN,
            "missing": {"rule": missing, **_missing_protocol(repaired)},
            "scaling": scaling_protocol,
            "samples": {
                part: sum(len(signals[name]) for name in names) for part, names in parts.items()
            },
            "recordings_of_another_hash": _report_unlisted(hashes),
        },
    )


def parse(name: str, raw: bytes) -> Recording:
    r"""Parse one ``.dat`` file.

    Parameters
    ----------
    name : str
        Such as "S1-ADL1"; errors say it.
    raw : bytes
        The file: a line for each sample, 250 numbers or NaN, separated by white space.

    Returns
    -------
    Recording

    Raises
    ------
    DataError
        With file and line: if a line has not 250 columns, a field is not a number, a value is
        infinite, or a label is not in `LABELS`.

    Examples
    --------
    >>> line = " ".join(["NaN"] * 249 + ["406516"])
    >>> recording = parse("S1-ADL1", f"{line}\n{line}\n".encode())
    >>> recording.x.shape, recording.y.tolist()
    ((2, 77), [1, 1])
    """
    table = _table(name, raw)
    x = table[:, np.array(CHANNELS) - 1]
    codes = table[:, LABEL_COLUMN - 1]
    known = np.array(list(LABELS), dtype=np.float32)  # all below 2^24, so exact
    if (wrong := ~np.isin(codes, known)).any():
        row = int(wrong.argmax())
        raise DataError(
            f"{name}.dat, line {_line_number(raw, row)}: the label {codes[row]:.9g} in column "
            f"{LABEL_COLUMN} is none of the legend's {', '.join(map(str, LABELS))}"
        )
    if (infinite := np.isinf(x)).any():
        row, channel = np.argwhere(infinite)[0]
        raise DataError(
            f"{name}.dat, line {_line_number(raw, row)}, column {CHANNELS[channel]}: "
            f"the value is infinite"
        )
    order = np.argsort(known)
    y = order[np.searchsorted(known, codes, sorter=order)]
    return Recording(name, x, y.astype(np.int64), hashlib.sha256(raw).hexdigest())


def _table(name: str, raw: bytes) -> Signal:
    if not raw or raw.isspace():
        raise DataError(f"{name}.dat is empty")
    try:
        with io.TextIOWrapper(io.BytesIO(raw), encoding="ascii") as text:
            table = np.loadtxt(text, dtype=np.float32, comments=None, ndmin=2)
    except ValueError as error:
        raise DataError(_first_fault(name, raw) or f"{name}.dat: {error}") from None
    if table.shape[1] != COLUMNS:
        raise DataError(_first_fault(name, raw))
    return table


def _first_fault(name: str, raw: bytes) -> str:
    """Say what is wrong in the first line that cannot be read; NumPy counts without blank lines."""
    for number, line in enumerate(raw.splitlines(), start=1):
        fields = line.split()
        if fields and len(fields) != COLUMNS:
            return f"{name}.dat, line {number}: {len(fields)} columns, but there must be {COLUMNS}"
        for column, field in enumerate(fields, start=1):
            try:
                float(field)
            except ValueError:
                text = field.decode("ascii", "backslashreplace")
                return f"{name}.dat, line {number}, column {column}: {text!r} is not a number"
    return ""


def _line_number(raw: bytes, row: int) -> int:
    """Return the number of the line, from 1, that became a row of the table."""
    lines = (number for number, line in enumerate(raw.splitlines(), start=1) if line.strip())
    return next(number for position, number in enumerate(lines) if position == row)


def _contents(paths: list[Path]) -> Iterator[tuple[str, bytes]]:
    """Yield name and bytes of each recording, from the archive or from the 24 files."""
    if [path.suffix for path in paths] != [".zip"]:
        for path in paths:
            yield path.stem, path.read_bytes()
        return
    (archive,) = paths
    members = {PurePosixPath(member).name: member for member in archives.names(archive)}
    files = [f"{name}.dat" for name in RECORDINGS]
    if absent := [file for file in files if file not in members]:
        raise DataError(
            f"{archive} lacks {len(absent)} of the {len(files)} recordings: {', '.join(absent)}"
        )
    for member, raw in archives.read(archive, [members[file] for file in files]):
        yield PurePosixPath(member).stem, raw


def _parsed(name: str, raw: bytes) -> Recording:
    """Parse a recording, or take it from the cache folder if its bytes have been parsed before."""
    digest = hashlib.sha256(raw).hexdigest()

    def compute() -> cache.Arrays:
        recording = parse(name, raw)
        return {"x": recording.x, "y": recording.y}

    # The version goes up when `parse`, `CHANNELS` or `LABELS` changes.
    arrays = cache.cached(f"opportunity-{name}", {"sha256": digest, "version": 1}, compute)
    return Recording(name, arrays["x"], arrays["y"], digest)


def _repaired(recording: Recording, missing: str) -> Repaired:
    repaired = repair(recording.x, missing)
    if not len(repaired.x):
        absent = np.isnan(recording.x).all(axis=0)
        columns = ", ".join(map(str, np.array(CHANNELS)[absent])) or "none"
        raise DataError(
            f"{recording.name}.dat: none of its {len(recording.x)} samples is left with "
            f"missing={missing!r} (columns without any value: {columns})"
        )
    return repaired


def _missing_protocol(repaired: dict[str, Repaired]) -> dict[str, Any]:
    """Say per recording what was dropped, filled in and set to zero; those without are left out."""
    facts: dict[str, Callable[[Repaired], object]] = {
        "dropped_samples": lambda r: int(np.count_nonzero(~r.kept)),
        "interpolated_values": lambda r: r.interpolated,
        "longest_gap": lambda r: r.longest_gap,
        "zeroed_columns": lambda r: [CHANNELS[channel] for channel in r.zeroed],
    }
    return {
        fact: {name: value for name, r in repaired.items() if (value := of(r))}
        for fact, of in facts.items()
    }


def _parts(split: str) -> dict[str, tuple[str, ...]]:
    validation, test = SPLITS[split]
    train = tuple(name for name in RECORDINGS if name not in (*validation, *test))
    return {"train": train, "validation": validation, "test": test}


def _scaled(
    repaired: dict[str, Repaired], train: tuple[str, ...], scaling: str
) -> tuple[dict[str, Signal], dict[str, Any]]:
    if scaling == "thousandth":
        thousand = np.float32(1000)
        return {name: r.x / thousand for name, r in repaired.items()}, {"rule": scaling}
    standardize = Standardization.of(np.concatenate([repaired[name].x for name in train]))
    signals = {name: standardize(r.x) for name, r in repaired.items()}
    return signals, {"rule": scaling, **standardize.as_json()}


def _report_unlisted(hashes: dict[str, str]) -> list[str]:
    """Return the recordings whose hash is not the listed one; warn if there are any."""
    unlisted = [name for name, digest in hashes.items() if digest != LISTED_SHA256[name]]
    if unlisted:
        warnings.warn(
            f"{len(unlisted)} of the {len(RECORDINGS)} OPPORTUNITY recordings have another "
            f"SHA-256 than a third party's copy: {', '.join(unlisted)}",
            stacklevel=3,
        )
    return unlisted
