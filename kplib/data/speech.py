"""Keywords: Speech Commands as sequences of 25 frames of 10 MFCC, the papers' KWS task."""

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from tqdm.auto import tqdm

from kplib._checks import positive_integer
from kplib.data import archives, clips, waves
from kplib.data.cache import Arrays, cached
from kplib.data.clips import KEYWORDS as KEYWORD_LABELS
from kplib.data.clips import PARTS, SILENCE, UNKNOWN, Clip
from kplib.data.features import Mfcc, mfcc
from kplib.data.files import File, Source, digest, locate
from kplib.data.sets import DataSet, Sequences
from kplib.data.waves import Augmentation, Wave
from kplib.errors import DataError

# Goes into the key of the cache: count it up when the features would come out different.
FEATURES_VERSION = 2

_TENSORFLOW = "http://download.tensorflow.org/data/"
_TEST_SET = File(
    "speech_commands_test_set_v0.02.tar.gz",
    (_TENSORFLOW + "speech_commands_test_set_v0.02.tar.gz",),
    112563277,
    "sha256:cc2a00c1147c2254e9be3fa0f779d8c17421dc349b86366567a8edfa9acd51df",
)

KEYWORDS = Source(
    name="keywords",
    title="Google Speech Commands",
    folder="speech_commands",
    editions={
        "subset": (
            File(
                "speech_commands_subset.zip",
                size=74992797,
                hash="sha256:3c607ed5620c46a8301b209ec36b108fd7d2aa6dc185239d789bd7bd7be9d8e9",
            ),
        ),
        "v0.02": (
            File(
                "speech_commands_v0.02.tar.gz",
                (_TENSORFLOW + "speech_commands_v0.02.tar.gz",),
                2428923189,
                "sha256:af14739ee7dc311471de98f5f9d2c9191b18aedfe957f4a6ff791c709868ff58",
            ),
            _TEST_SET,
        ),
        "v0.01": (
            File(
                "speech_commands_v0.01.tar.gz",
                (_TENSORFLOW + "speech_commands_v0.01.tar.gz",),
                hash="sha256:743935421bb51cccdb6bdd152e04c5c70274e935c82119ad7faeec31780d811d",
            ),
        ),
    },
    licence="CC BY 4.0",
    citation="P. Warden, Speech Commands: a dataset for limited-vocabulary speech recognition, "
    "arXiv:1804.03209 (2018)",
    complete="subset: 8 of 10 keywords in training, as Ogg Opus; v0.01 and v0.02: whole",
)

# The subset has next to no training clips of these.
_NOT_IN_SUBSET = ("on", "off")
# Silence and background noise of a part are cut from this stretch of each noise.
_NOISE_STRETCH = {"train": (0.0, 0.8), "validation": (0.8, 0.9), "test": (0.9, 1.0)}
_BATCH = 128  # clips that are transformed at once


@dataclass(frozen=True)
class Recipe:
    """Everything that the features depend on, beside the files.

    Parameters
    ----------
    labels : tuple of str
        The classes, in order.
    variants : int
        Augmented versions of each training clip.
    silence_percent, unknown_percent : float
        Of the number of keyword clips in a part.
    fresh_unknown : bool
        Whether each variant draws unknown clips of its own.
    seed : int
        Of every random choice.
    mfcc : Mfcc
        Parameters of the features.
    augmentation : Augmentation
        Of the variants.
    """

    labels: tuple[str, ...]
    variants: int
    silence_percent: float
    unknown_percent: float
    fresh_unknown: bool
    seed: int
    mfcc: Mfcc
    augmentation: Augmentation


@dataclass(frozen=True)
class _Job:
    """A row of an array to fill: variant 0 is the clip as it is."""

    part: str
    row: int
    variant: int


def load_keywords(
    *,
    edition: str = "subset",
    labels: int | None = None,
    variants: int = 8,
    silence_percent: float = 10,
    unknown_percent: float = 10,
    fresh_unknown: bool = False,
    stride_ms: int = 40,
    standardise: bool = False,
    seed: int = 0,
    progress: bool = True,
) -> DataSet:
    """Load Speech Commands as MFCC, split by speaker, with augmented training clips.

    Preprocessing, classes, shares and augmentation of "Hello Edge" (see `Mfcc`, `Augmentation`).
    The features are computed once, in about a minute for the subset, and kept in the cache folder.

    Parameters
    ----------
    edition : str, default "subset"
        ``"subset"``; ``"v0.02"``, with its official test set; or ``"v0.01"``, the papers', with the
        test part by the hash of the speaker.
    labels : int, optional
        12, or 10: without "on" and "off", which the subset has hardly any training clips of. If
        not given, 10 for the subset and 12 for the others.
    variants : int, default 8
        Augmented versions of each training clip; 0 for none.
    silence_percent, unknown_percent : float, default 10
        Clips of these classes, in percent of the keyword clips of the part. (An official test set
        is taken as it is.)
    fresh_unknown : bool, default False
        Whether each variant draws its unknown clips anew from all there are. In "Hello Edge" they
        are drawn once.
    stride_ms : int, default 40
        40 gives 25 frames, 20 gives 49.
    standardise : bool, default False
        Whether each coefficient has the mean of the training clips taken off, and is divided by
        their standard deviation. The papers do not say; the code of "Hello Edge" does not. The
        frames of zeros after short clips, which the official test set hardly has, weigh heavily
        in these statistics.
    seed : int, default 0
        Of every random choice: unknown clips, silence, augmentation.
    progress : bool, default True
        Whether downloads and features show a progress bar, on a terminal.

    Returns
    -------
    DataSet
        Sequences of 25 steps and 10 inputs. Their groups are the speakers, of whom each has a
        number; a clip whose speaker is not known, silence for one, is a group of its own.

    Raises
    ------
    DataError
        If a file is missing or not as published, or if an option is out of range.
    """
    count = (10 if edition == "subset" else 12) if labels is None else labels
    if count not in (10, 12):
        raise DataError(f"labels must be 10 or 12, found {labels}")
    if edition == "subset" and count == 12:
        raise DataError("the subset has 28 training clips of 'on' and 'off': it has 10 labels")
    if variants < 0 or min(silence_percent, unknown_percent) <= 0:
        raise DataError(
            f"variants must be at least 0 and the percentages above 0, found {variants}, "
            f"{silence_percent}, {unknown_percent}"
        )
    positive_integer("stride_ms", stride_ms)
    left_out = _NOT_IN_SUBSET if count == 10 else ()
    recipe = Recipe(
        labels=(SILENCE, UNKNOWN, *(word for word in KEYWORD_LABELS if word not in left_out)),
        variants=variants,
        silence_percent=silence_percent,
        unknown_percent=unknown_percent,
        fresh_unknown=fresh_unknown,
        seed=seed,
        mfcc=Mfcc(stride_ms=stride_ms),
        augmentation=Augmentation(),
    )
    paths = [locate(KEYWORDS, file, progress=progress) for file in KEYWORDS.edition(edition)]
    files = {path.name: digest(path) for path in paths}
    described = {"edition": edition, **asdict(recipe)}
    arrays = cached(
        f"keywords-{edition}",
        {**described, "files": files, "version": FEATURES_VERSION},
        lambda: features(edition, paths, recipe, progress=progress),
    )
    return _data_set(arrays, recipe, standardise, files, described)


def _data_set(
    arrays: Arrays,
    recipe: Recipe,
    standardise: bool,
    files: dict[str, str],
    described: dict[str, Any],
) -> DataSet:
    seen = arrays["variants"] if recipe.variants else arrays["train_x"]
    axes = tuple(range(seen.ndim - 1))
    mean, deviation = seen.mean(axes, np.float64), seen.std(axes, np.float64)

    def scaled(x: NDArray[np.float32]) -> NDArray[np.float32]:
        if not standardise:
            return x
        return (x - mean.astype(np.float32)) / deviation.astype(np.float32)

    train, validation, test = (
        Sequences(scaled(arrays[f"{part}_x"]), arrays[f"{part}_y"], arrays[f"{part}_speaker"])
        for part in PARTS
    )
    protocol = {
        **described,
        "step": "one frame of MFCC",
        "split": "by speaker, official test set"
        if _official_test(described["edition"])
        else "by the hash of the speaker, 80/10/10",
        "noise_stretch": _NOISE_STRETCH,
        "scaling": "each coefficient: (x - mean) / std of the training clips"
        f"{' as augmented' if recipe.variants else ''}"
        if standardise
        else "none",
        "partial": _partial(described["edition"], recipe),
    }
    return DataSet(
        "keywords",
        recipe.labels,
        train,
        validation,
        test,
        variants=scaled(arrays["variants"]) if recipe.variants else None,
        files=files,
        protocol=protocol,
    )


def _partial(edition: str, recipe: Recipe) -> str:
    if edition == "subset":
        return (
            "10-label subset, Ogg Opus at about 28 kbit/s; nearly all unknown clips of training "
            "are of 10 words, those of the test of 25; not comparable with 12 labels"
        )
    return "" if len(recipe.labels) == 12 else "10 labels, without 'on' and 'off'"


def _official_test(edition: str) -> bool:
    """Return whether the test part is the published test set, to be taken as it is."""
    return edition != "v0.01"


def features(edition: str, paths: list[Path], recipe: Recipe, *, progress: bool = True) -> Arrays:
    """Compute the features of an edition; nothing is cached here, nothing standardised.

    Parameters
    ----------
    edition : str
        As in `load_keywords`.
    paths : list of Path
        Its files.
    recipe : Recipe
        How.
    progress : bool, default True
        Whether to show a progress bar, on a terminal.

    Returns
    -------
    dict of str to ndarray
        For each part ``PART_x`` (N, frames, coefficients) float32, ``PART_y`` and
        ``PART_speaker`` (N,) int64; and ``variants`` (V, N, frames, coefficients) float32.
    """
    listed = clips.subset_clips(paths[0]) if edition == "subset" else clips.full_clips(*paths)
    clips.check_speakers(listed)
    noises = _noises(paths[0])
    labels: dict[str, list[str]] = {}
    speakers: dict[str, list[str]] = {}
    work: dict[Clip, list[_Job]] = {}
    for part in PARTS:
        labels[part], speakers[part] = _plan(part, listed, recipe, edition, work)
    shape = (recipe.mfcc.frames(waves.SAMPLES), recipe.mfcc.n_coefficients)
    arrays: Arrays = {
        f"{part}_x": np.empty((len(labels[part]), *shape), np.float32) for part in PARTS
    }
    arrays["variants"] = np.empty((recipe.variants, *arrays["train_x"].shape), np.float32)
    total = sum(map(len, labels.values())) + recipe.variants * len(labels["train"])
    with tqdm(desc="MFCC", total=total, unit="clip", disable=None if progress else True) as bar:
        for batch in _batches(_every_wave(paths, work, labels, noises, recipe)):
            found = mfcc(np.stack([wave for _, wave in batch]), recipe.mfcc)
            for (job, _), row in zip(batch, found, strict=True):
                into = (
                    arrays["variants"][job.variant - 1] if job.variant else arrays[f"{job.part}_x"]
                )
                into[job.row] = row
            bar.update(len(batch))
    for part in PARTS:
        numbers = [recipe.labels.index(label) for label in labels[part]]
        arrays[f"{part}_y"] = np.array(numbers, np.int64)
        arrays[f"{part}_speaker"] = _numbered(speakers[part])
    return arrays


def _plan(
    part: str,
    listed: list[Clip],
    recipe: Recipe,
    edition: str,
    work: dict[Clip, list[_Job]],
) -> tuple[list[str], list[str]]:
    """Return label and speaker of each row of a part; add to `work` the rows that each clip fills.

    Keywords first, then unknown, then silence; silent rows without a clip are cut from the noises.
    The speaker is empty where there is none, or where it is not known.
    """
    here = sorted(clip for clip in listed if clip.part == part)
    keywords = [clip for clip in here if clip.label in recipe.labels[2:]]
    pool = [clip for clip in here if clip.label == UNKNOWN]
    silent = [clip for clip in here if clip.label == SILENCE]
    official = part == "test" and _official_test(edition)
    many = len(pool) if official else clips.share(len(keywords), recipe.unknown_percent)
    silences = len(silent) if official else clips.share(len(keywords), recipe.silence_percent)
    speakers: list[str] = []
    for variant in range(1 + recipe.variants if part == "train" else 1):
        draw = variant if recipe.fresh_unknown else 0
        unknown = clips.drawn(pool, many, [recipe.seed, PARTS.index(part), draw])
        rows = [*keywords, *unknown, *silent]
        for row, clip in enumerate(rows):
            work.setdefault(clip, []).append(_Job(part, row, variant))
        speakers = speakers or [clip.speaker for clip in rows]
    labels = [
        *(clip.label for clip in keywords),
        *[UNKNOWN] * min(many, len(pool)),
        *[SILENCE] * silences,
    ]
    return labels, [*speakers, *[""] * (len(labels) - len(speakers))]


def _numbered(speakers: list[str]) -> NDArray[np.int64]:
    """Return a number for each speaker, from 0; one of its own for each that is not known."""
    of_name: dict[str, int] = {}
    names = (name or f"row {row}" for row, name in enumerate(speakers))
    return np.array([of_name.setdefault(name, len(of_name)) for name in names], np.int64)


def _noises(archive: Path) -> dict[str, dict[str, Wave]]:
    """Return the stretch of each background noise that belongs to each part."""
    wanted = [
        name
        for name in archives.names(archive)
        if f"{clips.NOISE_FOLDER}/" in name and name.endswith((".wav", ".ogg"))
    ]
    whole = {name: waves.decode(name, content) for name, content in archives.read(archive, wanted)}
    short = {name: len(wave) for name, wave in whole.items() if len(wave) < 10 * waves.SAMPLES}
    if short or not whole:
        raise DataError(
            f"{archive} needs background noises of 10 s or more, found {short or 'none'}"
        )
    return {
        part: {
            name: wave[int(begin * len(wave)) : int(end * len(wave))]
            for name, wave in whole.items()
        }
        for part, (begin, end) in _NOISE_STRETCH.items()
    }


def _every_wave(
    paths: list[Path],
    work: dict[Clip, list[_Job]],
    labels: dict[str, list[str]],
    noises: dict[str, dict[str, Wave]],
    recipe: Recipe,
) -> Iterator[tuple[_Job, Wave]]:
    """Yield the wave of every row of every array, in the order of the archives."""
    filled = {job for jobs in work.values() for job in jobs if job.variant == 0}
    for number, path in enumerate(paths):
        of_name = {clip.name: jobs for clip, jobs in work.items() if clip.archive == number}
        for name, content in archives.read(path, of_name):
            wave = waves.one_second(waves.decode(name, content))
            for job in of_name[name]:
                if job.variant:
                    rng = _generator(recipe, job)
                    yield job, waves.augment(wave, noises[job.part], rng, recipe.augmentation)
                else:
                    yield job, wave
    for part in PARTS:
        for variant in range(1 + recipe.variants if part == "train" else 1):
            for row in range(len(labels[part])):
                if _Job(part, row, 0) not in filled:
                    job = _Job(part, row, variant)
                    yield job, waves.silence(noises[part], _generator(recipe, job))


def _generator(recipe: Recipe, job: _Job) -> np.random.Generator:
    return np.random.default_rng([recipe.seed, PARTS.index(job.part), job.variant, job.row])


def _batches(rows: Iterator[tuple[_Job, Wave]]) -> Iterator[list[tuple[_Job, Wave]]]:
    batch = []
    for item in rows:
        batch.append(item)
        if len(batch) == _BATCH:
            yield batch
            batch = []
    if batch:
        yield batch
