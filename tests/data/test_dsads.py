"""Daily and Sports Activities: the archive's layout, written here; the real half where it is."""

import zipfile

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from kplib import data
from kplib.data import dsads
from kplib.data.dsads import ACTIVITIES, CHANNELS, SOURCE, STEPS, SUBJECTS, read_npz, read_zip
from kplib.errors import DataError

NUMBERS = (1, 2)  # segments of each activity and subject in the small archive, instead of 60


def signal(activity, subject, number):
    """Six decimals, as the files have."""
    rng = np.random.default_rng((activity, subject, number))
    return (rng.standard_normal((STEPS, CHANNELS)) * 3 + subject).round(6)


def line_text(x):
    return "\n".join(",".join(f"{v:.6f}" for v in row) for row in x) + "\n"


@pytest.fixture(scope="module")
def texts():
    return {
        (a, p, s): line_text(signal(a, p, s))
        for a in range(1, len(ACTIVITIES) + 1)
        for p in SUBJECTS
        for s in NUMBERS
    }


@pytest.fixture
def write(texts, tmp_path, monkeypatch):
    """Return a function that writes the archive, with some members changed or (None) left out."""
    monkeypatch.setattr(dsads, "SEGMENTS", len(NUMBERS))
    monkeypatch.setenv("KPLIB_DATA", str(tmp_path))
    monkeypatch.setenv("KPLIB_CACHE", str(tmp_path / "cache"))
    path = tmp_path / SOURCE.folder / SOURCE.editions["zip"][0].name
    path.parent.mkdir()

    def written(changes=None, prefix="data/"):
        members = {**texts, **(changes or {})}
        with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) as archive:
            archive.writestr(f"{prefix}readme.txt", "1,2\n")
            for (a, p, s), content in reversed(members.items()):
                if content is not None:
                    archive.writestr(f"{prefix}a{a:02}/p{p}/s{s:02}.txt", content)
        return path

    return written


def test_the_whole_archive_by_subject(write):
    write()
    found = data.load("dsads", part="whole")
    assert (found.steps, found.input_size, found.n_classes) == (125, 45, 19)
    subjects = {"train": (1, 2, 3, 4, 5), "validation": (6,), "test": (7, 8)}
    raw = {
        part: np.array([signal(a, p, s) for a in range(1, 20) for p in chosen for s in NUMBERS])
        for part, chosen in subjects.items()
    }
    mean, deviation = raw["train"].mean(axis=(0, 1)), raw["train"].std(axis=(0, 1))
    for part, chosen in subjects.items():
        sequences = getattr(found, part)
        assert_allclose(sequences.x, (raw[part] - mean) / deviation, rtol=1e-4, atol=1e-5)
        assert_array_equal(sequences.y, np.repeat(np.arange(19), len(chosen) * len(NUMBERS)))
        assert found.protocol["split"][part] == list(chosen)
        people = np.tile(np.repeat(chosen, len(NUMBERS)), 19)
        assert_array_equal(sequences.groups, 19 * people + sequences.y)


def test_the_half_has_the_odd_segments_in_half_precision(write):
    half = read_zip(write())
    assert half.x.dtype == np.float16
    assert set(half.number) == {1}
    expected = [signal(a, p, 1) for a in range(1, 20) for p in SUBJECTS]
    assert_array_equal(half.x, np.array(expected).astype(np.float16))
    assert len(data.load("dsads").test) == 19 * 2


@pytest.mark.parametrize("prefix", ["", "data/", "Daily and Sports Activities/data/"])
def test_the_folder_in_the_archive_does_not_matter(write, prefix):
    assert len(read_zip(write(prefix=prefix)).x) == 19 * 8


def test_other_subjects(write):
    write()
    found = data.load("dsads", validation_subjects=[1, 3], test_subjects=(2,))
    assert found.protocol["split"] == {
        "by": "subject",
        "train": [4, 5, 6, 7, 8],
        "validation": [1, 3],
        "test": [2],
    }
    assert [len(part) for part in (found.train, found.validation, found.test)] == [95, 38, 19]


def test_the_archive_is_parsed_once(write, monkeypatch):
    write()
    first = data.load("dsads")
    monkeypatch.setattr(dsads, "read_zip", lambda *_: pytest.fail("parsed again"))
    assert_array_equal(data.load("dsads").test.x, first.test.x)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"test_subjects": (9,)}, "there is no subject 9, but 1 to 8"),
        ({"test_subjects": (6, 7)}, r"named twice: validation \(6,\), test \(6, 7\)"),
        ({"test_subjects": ()}, "no subject is left for test"),
        ({"test_subjects": 7}, r"test_subjects must be several, such as \(7,\)"),
        ({"test_subjects": (1, 2, 3, 4, 5, 7, 8)}, "no subject is left for train"),
        ({"part": "third"}, "part must be one of 'half', 'whole', found 'third'"),
        ({"part": "whole", "edition": "npz"}, "every second segment only"),
        ({"edition": "csv"}, "no edition 'csv'"),
    ],
)
def test_options_that_do_not_fit(options, message):
    with pytest.raises(ValueError, match=message):
        data.load("dsads", **options)


GOOD = signal(3, 2, 1)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, r"missing \(activity, subject, segment\): 1 \(3, 2, 1\)"),
        ("", r"a03/p2/s01\.txt has shape \(0, 0\), but a segment has \(125, 45\)"),
        (line_text(GOOD[:-1]), r"a03/p2/s01\.txt has shape \(124, 45\)"),
        (line_text(GOOD[:, 1:]), r"a03/p2/s01\.txt has shape \(125, 44\)"),
        (line_text(GOOD)[:-9], r"a03/p2/s01\.txt: .* at row 124, column 45"),
        (line_text(GOOD).replace(",", ";"), r"a03/p2/s01\.txt: could not convert"),
        (line_text(GOOD).replace(".", "é", 1), r"a03/p2/s01\.txt: .*ascii"),
        (line_text(np.where(GOOD > 8, np.nan, GOOD)), "NaN or infinite"),
    ],
)
def test_segments_that_are_not_as_they_should_be(write, content, message):
    with pytest.raises(DataError, match=message):
        read_zip(write({(3, 2, 1): content}))


def test_an_archive_of_something_else(tmp_path):
    path = tmp_path / "other.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("readme.txt", "")
    with pytest.raises(DataError, match="0 segments, but the half set has 4560"):
        read_zip(path)
    path.write_bytes(b"not a zip")
    with pytest.raises(DataError, match="not a whole"):
        read_zip(path)


def half_arrays():
    axes = np.meshgrid(range(1, 20), SUBJECTS, [1], indexing="ij")
    activity, subject, segment = (axis.ravel().astype(np.uint8) for axis in axes)
    x = np.random.default_rng(0).standard_normal((len(activity), STEPS, CHANNELS))
    return {"x": x.astype(np.float16), "activity": activity, "subject": subject, "segment": segment}


def test_the_small_file_in_any_order(tmp_path, monkeypatch):
    monkeypatch.setattr(dsads, "SEGMENTS", 2)
    arrays = half_arrays()
    order = np.random.default_rng(1).permutation(len(arrays["x"]))
    np.savez(tmp_path / "half.npz", **{key: array[order] for key, array in arrays.items()})
    segments = read_npz(tmp_path / "half.npz")
    assert_array_equal(segments.x, arrays["x"])
    assert_array_equal(segments.activity, arrays["activity"] - 1)
    assert_array_equal(segments.subject, arrays["subject"])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda a: a.pop("subject"), "is not a file of segments: .*subject"),
        (lambda a: a.update(x=a["x"][:, 1:]), r"shape \(152, 124, 45\)"),
        (lambda a: a.update(activity=a["activity"][1:]), "needs as many activities"),
        (lambda a: a["subject"].__setitem__(5, 1), r"missing .*: 1 \(1, 6, 1\)"),
        (lambda a: a["x"].__setitem__((3, 2, 1), np.inf), "NaN or infinite"),
        (lambda a: a.update(x=np.array([None])), "is not a file of segments"),
    ],
)
def test_a_small_file_that_is_not_as_it_should_be(change, message, tmp_path, monkeypatch):
    monkeypatch.setattr(dsads, "SEGMENTS", 2)
    arrays = half_arrays()
    change(arrays)
    np.savez(tmp_path / "half.npz", **arrays)
    with pytest.raises(DataError, match=message):
        read_npz(tmp_path / "half.npz")


@pytest.mark.data("dsads")
def test_the_real_half():
    found = data.load("dsads", edition="npz")
    assert (found.steps, found.input_size, found.n_classes) == (125, 45, 19)
    for part, subjects in ((found.train, 5), (found.validation, 1), (found.test, 2)):
        assert np.bincount(part.y).tolist() == [30 * subjects] * 19
    assert_allclose(found.train.x.mean(axis=(0, 1), dtype=np.float64), 0, atol=1e-4)
    assert_allclose(found.train.x.std(axis=(0, 1), dtype=np.float64), 1, atol=1e-4)


@pytest.mark.data("dsads")
def test_the_real_activities_are_in_the_order_of_their_names():
    found = data.load("dsads", edition="npz")
    movement = found.train.x.std(axis=1).mean(axis=1)  # how much a segment's channels vary
    of = {name: movement[found.train.y == c].mean() for c, name in enumerate(ACTIVITIES)}
    still = [of[a] for a in ACTIVITIES if a.startswith(("sitting", "standing", "lying"))]
    walking = [of[a] for a in ACTIVITIES if a.startswith(("walking", "ascending", "descending"))]
    assert max(still) < min(walking) < max(walking) < of["jumping"]
    assert max(walking) < of["running on a treadmill"]
