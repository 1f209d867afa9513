"""Speech Commands: archives of its formats, written here, and the real subset where it is."""

import csv
import functools
import io
import tarfile
import zipfile
from collections import Counter
from types import SimpleNamespace

import numpy as np
import pytest
import soundfile
from numpy.testing import assert_allclose, assert_array_equal

import kplib.data
from kplib.data import clips, files, speech, waves
from kplib.data.clips import KEYWORDS, PARTS, part_of
from kplib.data.features import mfcc
from kplib.data.files import File, Source
from kplib.errors import DataError

RATE = 16000
COLUMNS = ("path", "word", "label", "split", "speaker")
IN_SUBSET = [word for word in KEYWORDS if word not in ("on", "off")]

# Frame 12, coefficients 0 to 2, of the three waves of test_the_features_of_this_version.
GOLDEN = [[-33.423, 15.500, -8.034], [-33.182, 16.674, -5.873], [-48.712, 19.283, 6.818]]


@functools.cache
def clip(word, form="WAV", subtype="PCM_16"):
    """A recording with a tone that depends on the word; "yes" is three quarters of a second."""
    t = np.arange(12000 if word == "yes" else RATE) / RATE
    hertz = 200 + 37 * (sum(map(ord, word)) % 60)
    return encoded(0.3 * np.sin(2 * np.pi * hertz * t), form, subtype)


def noise(seed):
    return np.random.default_rng(seed).uniform(-0.5, 0.5, 11 * RATE)


def encoded(wave, form="WAV", subtype="PCM_16"):
    file = io.BytesIO()
    soundfile.write(file, wave, RATE, format=form, subtype=subtype)
    return file.getvalue()


def rows_of_subset():
    """20 training, 10 validation and 3 test clips of each keyword, other words, silence."""
    for part, many in zip(PARTS, (20, 10, 3), strict=True):
        for label in [*IN_SUBSET, "on", "bed", "cat"]:
            for i in range(many):
                speaker = f"{part}{i}"
                kind = label if label in KEYWORDS else "_unknown_"
                yield f"{part}/{label}/{i}.ogg", label, kind, part, speaker
    for i in range(4):
        yield f"test/_silence_/{i}.ogg", "_silence_", "_silence_", "test", ""


def write_subset(path, rows, noises=2):
    with zipfile.ZipFile(path, "w") as archive:
        manifest = io.StringIO()
        writer = csv.writer(manifest)
        writer.writerow(COLUMNS)
        writer.writerows(rows)
        archive.writestr("manifest.csv", manifest.getvalue())
        for i in range(noises):
            archive.writestr(f"_background_noise_/{i}.ogg", encoded(noise(i), "OGG", "VORBIS"))
        for name, word, *_ in rows:
            archive.writestr(name, clip(word, "OGG", "OPUS"))


def write_tar(path, waves_by_name):
    with tarfile.open(path, "w:gz") as archive:
        for name, wave in waves_by_name.items():
            content = wave if isinstance(wave, bytes) else encoded(wave)
            info = tarfile.TarInfo(f"./{name}")
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))


@pytest.fixture(scope="module")
def archives_folder(tmp_path_factory):
    """One folder with all editions, small."""
    folder = tmp_path_factory.mktemp("speech") / "speech_commands"
    folder.mkdir()
    write_subset(folder / "speech_commands_subset.zip", list(rows_of_subset()))
    full = {"README.md": b"text", "testing_list.txt": b""}
    full |= {f"_background_noise_/{i}.wav": noise(i) for i in range(2)}
    for word in [*KEYWORDS, "bed", "cat"]:
        for i in range(30):
            full[f"{word}/{i:08x}_nohash_0.wav"] = clip(word)
    for version in ("v0.01", "v0.02"):
        write_tar(folder / f"speech_commands_{version}.tar.gz", full)
    test = {f"_silence_/{i}.wav": 0.1 * noise(i)[:RATE] for i in range(3)}
    tested = [i for i in range(30) if part_of(f"{i:08x}_nohash_0.wav") == "test"]
    for i in tested:
        test |= {f"{word}/{i:08x}_nohash_0.wav": clip(word) for word in KEYWORDS}
        test[f"_unknown_/bed_{i:08x}_nohash_0.wav.wav"] = clip("bed")
    write_tar(folder / "speech_commands_test_set_v0.02.tar.gz", test)
    return SimpleNamespace(folder=folder, tested=tested)


@pytest.fixture
def speech_commands(archives_folder, tmp_path, monkeypatch):
    """The same folder, as KPLIB_DATA has it; sizes and hashes are those of the real files."""
    monkeypatch.setenv("KPLIB_DATA", str(archives_folder.folder.parent))
    monkeypatch.setenv("KPLIB_CACHE", str(tmp_path / "cache"))
    real = speech.KEYWORDS
    editions = {
        name: tuple(File(file.name) for file in wanted) for name, wanted in real.editions.items()
    }
    small = Source("keywords", real.title, real.folder, editions, "", "", "")
    monkeypatch.setattr(speech, "KEYWORDS", small)
    return archives_folder


def counts(part, classes):
    return {
        name: int(n)
        for name, n in zip(classes, np.bincount(part.y, minlength=len(classes)), strict=True)
    }


@pytest.mark.usefixtures("speech_commands")
def test_the_subset_has_ten_labels():
    data = speech.load_keywords(variants=2)
    assert data.classes == ("_silence_", "_unknown_", *IN_SUBSET)
    each = dict.fromkeys(IN_SUBSET, 20)
    assert counts(data.train, data.classes) == {"_silence_": 16, "_unknown_": 16, **each}
    each = dict.fromkeys(IN_SUBSET, 10)
    assert counts(data.validation, data.classes) == {"_silence_": 8, "_unknown_": 8, **each}
    each = dict.fromkeys(IN_SUBSET, 3)
    assert counts(data.test, data.classes) == {"_silence_": 4, "_unknown_": 6, **each}
    assert (data.steps, data.input_size) == (25, 10)
    assert data.variants.shape == (2, *data.train.x.shape)
    assert "10-label" in data.protocol["partial"]
    assert data.protocol["mfcc"]["window_ms"] == 40


@pytest.mark.usefixtures("speech_commands")
def test_groups_are_the_speakers():
    data = speech.load_keywords(variants=2)
    rows = sorted(row for row in rows_of_subset() if row[3] == "test" and row[2] in IN_SUBSET)
    known = data.test.groups[: len(rows)].tolist()
    numbers = dict(zip(known, (row[4] for row in rows), strict=True))
    speakers = [numbers[group] for group in known]
    assert speakers == [row[4] for row in rows]
    assert len(numbers) == len(set(speakers)) == 3
    # The words of the same three that are unknown; then silence, where nobody speaks.
    assert len(np.unique(data.test.groups[: len(rows) + 6])) == 3
    assert len(np.unique(data.test.groups[-4:])) == 4
    assert not set(data.test.groups[-4:]) & set(numbers)
    # Silence of the other parts is cut from the noises.
    assert len(np.unique(data.train.groups)) == 20 + 16
    assert len(np.unique(data.validation.groups)) == 10 + 8


@pytest.mark.usefixtures("speech_commands")
def test_features_are_those_of_the_clips():
    data = speech.load_keywords(variants=1)
    with zipfile.ZipFile(files.locate(speech.KEYWORDS, speech.KEYWORDS.files[0])) as archive:
        names = sorted(row[0] for row in rows_of_subset() if row[3] == "test")
        names = [name for name in names if name.split("/")[1] in IN_SUBSET]
        expected = [
            mfcc(waves.one_second(waves.decode(name, archive.read(name)))[None])[0]
            for name in names
        ]
    keywords = len(names)
    assert_allclose(data.test.x[:keywords], expected, atol=1e-3)
    labels = [data.classes[label] for label in data.test.y[:keywords]]
    assert labels == [name.split("/")[1] for name in names]
    # "yes" is three quarters of a second: the rest has no sound.
    ends = data.test.x[data.test.y == data.classes.index("yes"), -5:, 0]
    assert (ends < -170).all()


@pytest.mark.usefixtures("speech_commands")
def test_standardised_by_the_training_clips():
    raw = speech.load_keywords(variants=3)
    data = speech.load_keywords(variants=3, standardise=True)
    mean, deviation = raw.variants.mean((0, 1, 2), float), raw.variants.std((0, 1, 2), dtype=float)
    for name in PARTS:
        x = getattr(raw, name).x
        assert_allclose(getattr(data, name).x, (x - mean) / deviation, rtol=1e-3, atol=1e-4)
    assert_allclose(data.variants.mean((0, 1, 2)), 0, atol=1e-3)
    without = speech.load_keywords(variants=0, standardise=True)
    assert without.variants is None
    assert_allclose(without.train.x.std((0, 1)), 1, atol=1e-3)


@pytest.mark.usefixtures("speech_commands")
def test_variants_are_other_and_the_same_for_the_same_seed(monkeypatch, tmp_path):
    first = speech.load_keywords(variants=3)
    assert abs(first.variants[0] - first.variants[1]).max() > 1
    assert abs(first.variants[0] - first.train.x).max() > 1
    monkeypatch.setenv("KPLIB_CACHE", str(tmp_path / "another"))
    fewer = speech.load_keywords(variants=2)
    assert_array_equal(fewer.variants, first.variants[:2])
    assert_array_equal(fewer.train.x, first.train.x)
    other = speech.load_keywords(variants=2, seed=1)
    assert not np.array_equal(other.variants, fewer.variants)
    keywords = 20 * len(IN_SUBSET)
    assert_array_equal(other.train.x[:keywords], fewer.train.x[:keywords])


@pytest.mark.usefixtures("speech_commands")
def test_unknown_clips_are_drawn_once_or_for_each_variant():
    once, anew = (speech.load_keywords(variants=4, fresh_unknown=fresh) for fresh in (False, True))
    keywords = once.train.y >= 2
    assert_array_equal(once.variants[:, keywords], anew.variants[:, keywords])
    assert_array_equal(once.train.x, anew.train.x)
    unknown = once.train.y == 1
    assert not np.array_equal(once.variants[:, unknown], anew.variants[:, unknown])


@pytest.mark.usefixtures("speech_commands")
def test_features_are_computed_once(monkeypatch):
    first = speech.load_keywords(variants=1)
    monkeypatch.setattr(speech, "features", None)
    again = speech.load_keywords(variants=1)
    assert_array_equal(first.variants, again.variants)
    assert first.protocol == again.protocol
    with pytest.raises(TypeError):  # other parameters are computed anew
        speech.load_keywords(variants=1, stride_ms=20)


@pytest.mark.parametrize("labels", [12, 10])
def test_the_official_test_set(speech_commands, labels):
    data = speech.load_keywords(edition="v0.02", variants=0, labels=labels)
    words = KEYWORDS if labels == 12 else IN_SUBSET
    n = len(speech_commands.tested)
    each = dict.fromkeys(words, n)
    assert data.classes == ("_silence_", "_unknown_", *words)
    assert counts(data.test, data.classes) == {"_silence_": 3, "_unknown_": n, **each}
    parts = Counter(part_of(f"{i:08x}_nohash_0.wav") for i in range(30))
    assert counts(data.train, data.classes)["yes"] == parts["train"]
    assert counts(data.validation, data.classes)["yes"] == parts["validation"]
    assert len(data.files) == 2


def test_the_papers_version_is_split_by_speaker(speech_commands):
    data = speech.load_keywords(edition="v0.01", variants=0, stride_ms=20)
    assert data.steps == 49
    n = len(speech_commands.tested)
    assert counts(data.test, data.classes)["go"] == n > 0
    assert counts(data.test, data.classes)["_silence_"] == clips.share(10 * n, 10)
    assert "hash of the speaker" in data.protocol["split"]


def test_a_speaker_in_two_parts_is_refused(folders, speech_commands, monkeypatch):
    data, _ = folders
    monkeypatch.setenv("KPLIB_DATA", str(data))
    rows = list(rows_of_subset())
    rows[0] = (*rows[0][:4], "test1")
    (data / "speech_commands").mkdir()
    write_subset(data / "speech_commands" / "speech_commands_subset.zip", rows)
    with pytest.raises(DataError, match="the speaker test1 is in train and in test"):
        speech.load_keywords(variants=0)


@pytest.mark.parametrize(
    ("rows", "noises", "message"),
    [
        ([("a.ogg", "yes", "yse", "train", "s")], 1, r"has the labels \['yse'\]"),
        ([("a.ogg", "yes", "yes", "train", "s")], 0, "background noises of 10 s or more"),
    ],
)
def test_other_archives_are_refused(tmp_path, rows, noises, message):
    write_subset(tmp_path / "subset.zip", rows, noises)
    with pytest.raises(DataError, match=message):
        speech.features("subset", [tmp_path / "subset.zip"], None)


def test_noise_of_one_part_is_not_in_another(tmp_path):
    ramp = np.linspace(0, 0.9, 12 * RATE)
    write_tar(tmp_path / "a.tar.gz", {"_background_noise_/ramp.wav": ramp})
    found = speech._noises(tmp_path / "a.tar.gz")
    train, validation, test = (found[part]["_background_noise_/ramp.wav"] for part in PARTS)
    assert train.max() <= validation.min() <= validation.max() <= test.min()
    assert len(train) + len(validation) + len(test) == 12 * RATE
    assert len(train) == int(0.8 * 12 * RATE)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"labels": 12}, "it has 10 labels"),
        ({"labels": 11}, "labels must be 10 or 12, found 11"),
        ({"variants": -1}, "at least 0"),
        ({"unknown_percent": 0}, "percentages above 0"),
        ({"stride_ms": 0}, "stride_ms must be a positive integer"),
        ({"edition": "v3"}, "keywords has no edition 'v3', but subset, v0.02, v0.01"),
    ],
)
def test_options_out_of_range_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        speech.load_keywords(**options)


def test_eight_in_ten_speakers_are_for_training():
    parts = Counter(part_of(f"{i:08x}_nohash_0.wav") for i in range(4000))
    assert 0.08 < parts["test"] / 4000 < 0.12
    assert 0.08 < parts["validation"] / 4000 < 0.12


def test_the_features_of_this_version():
    """If this fails because features come out different, count FEATURES_VERSION up."""
    assert speech.FEATURES_VERSION == 2
    t = np.arange(RATE) / RATE
    wave = (0.3 * np.sin(2 * np.pi * 300 * t * (1 + t))).astype(np.float32)
    noises = {"hum": (0.2 * np.sin(2 * np.pi * 50 * np.arange(2 * RATE) / RATE)).astype("f")}
    rng = np.random.default_rng([0, 0, 1, 2])
    found = mfcc(np.stack([wave, waves.augment(wave, noises, rng), waves.silence(noises, rng)]))
    assert_allclose(found[:, 12, :3], GOLDEN, atol=0.01)


# The real subset ----------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def real_subset():
    return files.locate(speech.KEYWORDS, speech.KEYWORDS.editions["subset"][0])


@pytest.mark.data("keywords")
def test_the_manifest_of_the_real_subset(real_subset):
    with zipfile.ZipFile(real_subset) as archive:
        rows = list(csv.DictReader(io.StringIO(archive.read("manifest.csv").decode())))
    listed = clips.subset_clips(real_subset)
    clips.check_speakers(listed)
    by_part = {part: {clip.speaker for clip in listed if clip.part == part} for part in PARTS}
    assert [len(by_part[part] - {""}) for part in PARTS] == [1553, 197, 239]
    # As `partial` says: 10 of the 25 unknown words that are tested are those that are trained on.
    trained, tested = (
        Counter(
            row["word"] for row in rows if (row["split"], row["label"]) == (part, clips.UNKNOWN)
        )
        for part in ("train", "test")
    )
    common = [word for word, _ in trained.most_common(10)]
    assert sum(trained[word] for word in common) > 0.95 * trained.total()
    assert len(tested) == 25
    assert 0.5 < sum(tested[word] for word in common) / tested.total() < 0.53
    assert Counter(clip.part for clip in listed) == {
        "train": 13467, "validation": 1968, "test": 4890
    }  # fmt: skip
    # Warden's rule, on each of the original names, is the split of the manifest.
    speakers = [row for row in rows if row["speaker"]]
    assert len(speakers) == 13467 + 1968 + 4890 - 408
    for row in speakers:
        assert part_of(row["source_path"]) == row["split"]
        assert clips.speaker_of(row["source_path"]) == row["speaker"]


@pytest.mark.data("keywords")
def test_every_thirtieth_clip_of_the_real_subset(real_subset, cache, monkeypatch):
    everything = clips.subset_clips(real_subset)
    monkeypatch.setattr(clips, "subset_clips", lambda _: everything[::30])
    data = kplib.data.load("keywords", variants=1, standardise=True, progress=False)
    assert data.files == {
        "speech_commands_subset.zip": "3c607ed5620c46a8301b209ec36b108f"
        "d7d2aa6dc185239d789bd7bd7be9d8e9"
    }
    keywords = sum(clip.part == "train" and clip.label in IN_SUBSET for clip in everything[::30])
    assert (data.train.y >= 2).sum() == keywords > 200
    assert (data.train.y == 1).sum() == (data.train.y == 0).sum() == clips.share(keywords, 10)
    # Speech is heard: frames differ within a clip, and words are told apart better than by chance
    # by the nearest mean clip of the training part.
    means = np.stack([data.train.x[data.train.y == label].mean(0) for label in range(10)])
    distances = ((data.test.x[:, None] - means) ** 2).sum((2, 3))
    assert (distances.argmin(1) == data.test.y).mean() > 0.25
