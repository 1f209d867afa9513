"""ActRecTut: recordings of its format, written here, and the real ones where they are."""

import dataclasses

import numpy as np
import pytest
import scipy.io
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal

from kplib import data
from kplib.data import actrectut
from kplib.data.actrectut import CHANNELS, GESTURES, REPETITIONS, SOURCE, read, repetitions
from kplib.data.files import File, locate
from kplib.errors import DataError

ROUNDS = {
    "train": range(1, 19),
    "validation": range(19, 23),
    "test": range(23, 27),
}


def recording(seed, rounds=REPETITIONS):
    """Signal, labels from 1, and the round of each sample: 0 before the first, after the last."""
    rng = np.random.default_rng(seed)
    labels, number = [1] * 300, [0] * 300
    for r in range(1, rounds + 1):
        for gesture in range(2, 13):
            pause, length = 2 * int(rng.integers(3, 9)), int(rng.integers(8, 40))
            first = gesture == 2
            labels += [1] * pause + [gesture] * length
            # The pause before a round is halved; the one before the first is in no round.
            number += [r - 1 if first else r] * (pause // 2) + [r * (r > 1 or not first)] * (
                pause // 2
            )
            number += [r] * length
    labels, number = labels + [1] * 777, number + [0] * 777
    x = rng.standard_normal((len(labels), CHANNELS)) * np.arange(1, 16) * 100 - 400
    return x, np.array(labels, dtype=np.uint8), np.array(number)


@pytest.fixture
def recordings(tmp_path, monkeypatch):
    """Both subjects, written; the published sizes and hashes are those of the real files."""
    monkeypatch.setenv("KPLIB_DATA", str(tmp_path))
    monkeypatch.setenv("KPLIB_CACHE", str(tmp_path / "cache"))
    (tmp_path / SOURCE.folder).mkdir()
    names = [file.name for file in SOURCE.files]
    made = [recording(seed) for seed in range(len(names))]
    for name, (x, labels, _) in zip(names, made, strict=True):
        content = {"data": x, "labels": labels[:, None]}
        scipy.io.savemat(tmp_path / SOURCE.folder / name, content)
    written = dataclasses.replace(SOURCE, editions={"mat": tuple(File(name) for name in names)})
    monkeypatch.setattr(actrectut, "SOURCE", written)
    return made


def cut(x, y, steps, hop, label):
    xs, ys = [], []
    for start in range(0, len(x) - steps + 1, hop):
        inside = y[start : start + steps].tolist()
        xs.append(x[start : start + steps])
        commonest = min(set(inside), key=lambda c: (-inside.count(c), c))
        ys.append(inside[-1] if label == "last" else commonest)
    return xs, ys


@pytest.mark.parametrize(
    ("options", "steps", "hop", "label"),
    [
        ({}, 64, 32, "majority"),
        ({"steps": 32}, 32, 16, "majority"),
        ({"steps": 20, "hop": 20, "label": "last"}, 20, 20, "last"),
    ],
)
def test_the_windows_of_rounds(recordings, options, steps, hop, label):
    found = data.load("actrectut", **options)
    parts = {part: [np.isin(r[2], rounds) for r in recordings] for part, rounds in ROUNDS.items()}
    check(found, recordings, parts, (steps, hop, label))


def test_the_windows_of_subjects(recordings):
    found = data.load("actrectut", split="subjects")
    first, second = (number for _, _, number in recordings)
    nothing = [np.zeros(len(number), bool) for number in (first, second)]
    parts = {
        "train": [np.isin(first, range(1, 23)), nothing[1]],
        "validation": [np.isin(first, range(23, 27)), nothing[1]],
        "test": [nothing[0], second > 0],
    }
    check(found, recordings, parts, (64, 32, "majority"))


def check(found, recordings, parts, windows):
    train = [x[chosen] for (x, _, _), chosen in zip(recordings, parts["train"], strict=True)]
    mean, deviation = np.concatenate(train).mean(axis=0), np.concatenate(train).std(axis=0)
    used = 0
    for part, of_subjects in parts.items():
        xs, ys = [], []
        for (x, labels, _), chosen in zip(recordings, of_subjects, strict=True):
            more = cut(((x - mean) / deviation)[chosen], labels[chosen].astype(int) - 1, *windows)
            xs, ys = xs + more[0], ys + more[1]
            used += chosen.sum()
        sequences = getattr(found, part)
        assert_array_equal(sequences.y, ys)
        assert_allclose(sequences.x, xs, rtol=1e-4, atol=1e-4)
        assert found.protocol["samples"][part] == sum(int(chosen.sum()) for chosen in of_subjects)
    everything = sum(len(x) for x, _, _ in recordings)
    assert found.protocol["samples"]["not used"] == everything - used >= 2 * (300 + 777)
    assert found.classes == GESTURES
    assert found.input_size == CHANNELS


@given(st.integers(0, 2**32 - 1), st.integers(1, 30))
@settings(deadline=None, max_examples=30)
def test_rounds_are_counted(seed, rounds):
    _, labels, number = recording(seed, rounds)
    assert_array_equal(repetitions(labels.astype(np.int64) - 1), number)


@pytest.mark.parametrize(
    ("y", "number"),
    [
        ([0, 0, 0], [0, 0, 0]),
        ([3], [1]),
        ([0, 5, 5, 0, 0, 5, 0], [0, 1, 1, 1, 2, 2, 0]),  # the same gesture again: a new round
        ([1, 2, 3, 1, 2], [1, 1, 1, 2, 2]),
        ([0, 11, 1, 0], [0, 1, 2, 0]),
    ],
)
def test_rounds_by_hand(y, number):
    assert repetitions(np.array(y)).tolist() == number


@pytest.mark.usefixtures("recordings")
@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"split": "folds"}, "split must be one of 'repetitions', 'subjects', found 'folds'"),
        ({"label": "mean"}, "label must be one of"),
        ({"steps": 0}, "steps must be a positive integer, found 0"),
        ({"hop": 1.5}, "hop must be a positive integer, found 1.5"),
        ({"steps": 10_000}, r"\w+ has no window of 10000 steps: its longest block has \d+"),
    ],
)
def test_options_that_do_not_fit(options, message):
    with pytest.raises(ValueError, match=message):
        data.load("actrectut", **options)


def test_a_recording_of_other_rounds(recordings, tmp_path):
    x, labels, _ = recording(3, rounds=25)
    path = tmp_path / SOURCE.folder / SOURCE.files[1].name
    scipy.io.savemat(path, {"data": x, "labels": labels[:, None]})
    with pytest.raises(DataError, match=r"subject2.* has 25 rounds of gestures, not 26"):
        data.load("actrectut")


GOOD = {"data": np.ones((5, CHANNELS)), "labels": np.ones((5, 1), np.uint8)}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"data": np.ones((5, 14))}, r"data is float64 \(5, 14\), not \(samples, 15\)"),
        ({"data": np.ones((5, 15), complex) * 1j}, "data is complex128"),
        ({"data": np.full((5, 15), np.nan)}, "75 values are not finite"),
        ({"labels": np.ones((4, 1))}, r"labels \(4, 1\) must be \(5, 1\)"),
        ({"labels": np.zeros((5, 1))}, "labels from 0.* must be integers from 1 to 12"),
        ({"labels": np.full((5, 1), 13)}, "labels from 13"),
        ({"labels": np.full((5, 1), 1.5)}, "labels from 1.5"),
        ({"labels": np.full((5, 1), np.nan)}, "labels from nan"),
    ],
)
def test_what_is_not_a_recording(change, message, tmp_path):
    path = tmp_path / "subject1.mat"
    scipy.io.savemat(path, {**GOOD, **change})
    with pytest.raises(DataError, match=message):
        read(path)


def test_what_is_not_a_matlab_file(tmp_path):
    path = tmp_path / "subject1.mat"
    scipy.io.savemat(path, {"data": GOOD["data"]})
    with pytest.raises(DataError, match=r"is not a MATLAB file with data and labels: .*labels"):
        read(path)
    for content in (b"", b"nothing of the kind" * 100, b"MATLAB 7.3 MAT-file" + bytes(600)):
        path.write_bytes(content)
        with pytest.raises(DataError, match="is not a MATLAB file"):
            read(path)


@pytest.mark.data("actrectut")
@pytest.mark.parametrize(
    ("split", "sizes"), [("repetitions", (2694, 506, 497)), ("subjects", (1444, 254, 2005))]
)
def test_the_real_recordings(split, sizes):
    found = data.load("actrectut", split=split)
    assert (len(found.train), len(found.validation), len(found.test)) == sizes
    assert (found.steps, found.input_size, found.n_classes) == (64, 15, 12)
    assert sum(found.protocol["samples"].values()) == 62480 + 70778
    for part in (found.train, found.validation, found.test):
        assert np.bincount(part.y, minlength=12).min() >= 8
        assert 0.1 < np.mean(part.y == 0) < 0.4
    assert_array_equal(data.load("actrectut", split=split).test.x, found.test.x)


@pytest.mark.data("actrectut")
def test_each_round_of_the_real_recordings_has_each_gesture_once():
    for file in SOURCE.files:
        _, y = read(locate(SOURCE, file))
        number = repetitions(y)
        starts = np.flatnonzero(np.diff(y, prepend=0) * (y > 0))
        rounds = [(int(number[i]), int(y[i])) for i in starts]
        assert rounds == [(r, g) for r in range(1, 27) for g in range(1, 12)]


@pytest.mark.data("actrectut")
def test_the_names_of_the_gestures_are_those_of_the_set():
    path = locate(SOURCE, SOURCE.files[0]).with_name("information_gesture.mat")
    names = scipy.io.loadmat(path)["labelnames"].ravel()
    assert [str(name[0]) for name in names][1:] == list(GESTURES[1:])
