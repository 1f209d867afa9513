"""OPPORTUNITY: files of its format are written here, and read back with all that can go wrong."""

import hashlib
import os
import re
import zipfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal

from kplib import data
from kplib.data import archives, opportunity
from kplib.data.opportunity import (
    CHANNELS,
    COLUMNS,
    LABELS,
    LISTED_SHA256,
    RECORDINGS,
    SOURCE,
    parse,
)
from kplib.errors import DataError, MissingDataError

CODES = list(LABELS)
COLUMN_INDEX = np.array(CHANNELS) - 1
BEHIND = 8  # samples without any sensor value, before and after a recording
DEAD = {"S4-ADL3": (103, 118), "S2-ADL4": (38,)}  # columns without a single value


def table(name):
    """All 250 columns of one recording, float64: what the file is written from."""
    index = RECORDINGS.index(name)
    rng = np.random.default_rng(index)
    rows = int(rng.integers(200, 260))
    values = rng.integers(-12000, 12001, (rows, COLUMNS)).astype(np.float64)
    values[:, 0] = 33 * np.arange(rows)
    # Five or so gestures in each recording, every class in some recording for training.
    lengths = rng.integers(30, 60, len(CODES))
    values[:, -1] = np.repeat(np.roll(CODES, -5 * index), lengths)[:rows]
    values[rng.random(values.shape) < 0.02] = np.nan
    values[100 : 100 + int(rng.integers(5, 50)), 50:60] = np.nan  # a lost connection
    values[:BEHIND, 1:243] = np.nan
    values[rows - BEHIND :, 1:243] = np.nan
    for column in DEAD.get(name, ()):
        values[:, column - 1] = np.nan
    values[:, 243:] = np.where(np.isnan(values[:, 243:]), 0, values[:, 243:])
    return values


def text(values):
    missing = np.isnan(values)
    fields = np.where(missing, 0, values).astype(np.int64).astype("S8")
    fields[missing] = b"NaN"
    return b"\n".join(b" ".join(row) for row in fields.tolist()) + b"\n"


@pytest.fixture(scope="module")
def tables():
    return {name: table(name) for name in RECORDINGS}


@pytest.fixture(scope="module")
def folder(tables, tmp_path_factory):
    """A data folder with the 24 files."""
    root = tmp_path_factory.mktemp("data")
    (root / SOURCE.folder).mkdir()
    for name, values in tables.items():
        (root / SOURCE.folder / f"{name}.dat").write_bytes(text(values))
    return root


@pytest.fixture(autouse=True)
def here(folder, monkeypatch, tmp_path):
    """Read the written files, with hashes as listed, and an empty cache folder."""
    monkeypatch.setenv("KPLIB_DATA", str(folder))
    monkeypatch.setenv("KPLIB_CACHE", str(tmp_path / "cache"))
    listed = {
        path.stem: hashlib.sha256(path.read_bytes()).hexdigest()
        for path in (folder / SOURCE.folder).iterdir()
    }
    monkeypatch.setattr(opportunity, "LISTED_SHA256", listed)
    return folder / SOURCE.folder


def filled(values):
    """The definition of the default rule for missing values, column by column."""
    x = values[:, COLUMN_INDEX].copy()
    known = ~np.isnan(x)
    alive = known.any(axis=0)
    first = max(np.flatnonzero(known[:, c])[0] for c in np.flatnonzero(alive))
    last = min(np.flatnonzero(known[:, c])[-1] for c in np.flatnonzero(alive))
    time = np.arange(len(x))
    for c in range(x.shape[1]):
        x[:, c] = np.interp(time, time[known[:, c]], x[known[:, c], c]) if alive[c] else 0
    return x[first : last + 1], values[first : last + 1, -1]


def expected(tables, names, steps, hop, label):
    xs, ys = [], []
    for name in names:
        x, codes = filled(tables[name])
        for start in range(0, len(x) - steps + 1, hop):
            inside = [CODES.index(code) for code in codes[start : start + steps]]
            xs.append(x[start : start + steps] / 1000)
            commonest = min(set(inside), key=lambda c: (-inside.count(c), c))
            ys.append(inside[-1] if label == "last" else commonest)
    return np.array(xs), np.array(ys)


def test_the_channels_are_77_and_the_classes_18():
    assert len(CHANNELS) == len(set(CHANNELS)) == 77
    assert len(LABELS) == 18
    assert len(RECORDINGS) == 24
    assert RECORDINGS[0] == "S1-ADL1"
    assert RECORDINGS[-1] == "S4-Drill"


@pytest.mark.parametrize(
    ("options", "steps", "hop", "label"),
    [
        ({}, 81, 40, "majority"),
        ({"steps": 30}, 30, 15, "majority"),
        ({"steps": 30, "hop": 7, "label": "last"}, 30, 7, "last"),
    ],
)
def test_the_windows_of_each_part(tables, options, steps, hop, label):
    found = data.load("opportunity", **options)
    test = ["S2-ADL4", "S2-ADL5", "S3-ADL4", "S3-ADL5"]
    names = {
        "validation": ["S1-ADL2"],
        "test": test,
        "train": [name for name in RECORDINGS if name not in ["S1-ADL2", *test]],
    }
    for part, recordings in names.items():
        x, y = expected(tables, recordings, steps, hop, label)
        sequences = getattr(found, part)
        assert sequences.x.shape == x.shape == (len(y), steps, 77)
        assert_array_equal(sequences.y, y)
        assert_allclose(sequences.x, x, rtol=1e-5, atol=1e-6)
        assert found.protocol["split"][part] == recordings
    assert found.classes == tuple(LABELS.values())
    assert found.protocol["windows"] == {
        "steps": steps,
        "hop": hop,
        "label": label,
        "sampling_rate": 30,
    }


def test_the_split_of_the_public_code():
    split = data.load("opportunity", split="public-code").protocol["split"]
    assert split["test"] == ["S2-ADL3", "S2-ADL4", "S3-ADL3", "S3-ADL4"]
    assert split["validation"] == ["S1-ADL2"]
    everywhere = split["train"] + split["validation"] + split["test"]
    assert sorted(everywhere) == sorted(RECORDINGS)
    assert len(split["train"]) == 19


def test_the_archive_gives_what_the_folder_gives(here, monkeypatch, tmp_path):
    folder = data.load("opportunity", edition="dat")
    archive = tmp_path / "zip" / SOURCE.folder / SOURCE.editions["zip"][0].name
    archive.parent.mkdir(parents=True)
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as file:
        file.writestr("OpportunityUCIDataset/dataset/column_names.txt", "Data columns:\n")
        for name in reversed(RECORDINGS):
            file.write(here / f"{name}.dat", f"OpportunityUCIDataset/dataset/{name}.dat")
    monkeypatch.setenv("KPLIB_DATA", str(tmp_path / "zip"))
    monkeypatch.setenv("KPLIB_CACHE", str(tmp_path / "other cache"))
    unpacked = data.load("opportunity")
    assert unpacked.protocol == folder.protocol
    assert unpacked.files == folder.files
    for part in ("train", "validation", "test"):
        assert_array_equal(getattr(unpacked, part).x, getattr(folder, part).x)
        assert_array_equal(getattr(unpacked, part).y, getattr(folder, part).y)


def test_the_protocol_says_what_was_missing(tables):
    missing = data.load("opportunity").protocol["missing"]
    assert missing["rule"] == "interpolate"
    assert missing["zeroed_columns"] == {name: list(columns) for name, columns in DEAD.items()}
    for name, values in tables.items():
        x, _ = filled(values)
        assert missing["dropped_samples"][name] == len(values) - len(x) >= 2 * BEHIND
        assert missing["longest_gap"][name] >= 5
        assert missing["interpolated_values"][name] > 0


def test_dropping_as_the_public_code_does(tables, monkeypatch, tmp_path):
    (tmp_path / SOURCE.folder).mkdir()
    rng = np.random.default_rng(0)
    samples = {}
    for name, whole in tables.items():
        values = np.nan_to_num(whole)
        values[rng.random(values.shape) < 0.001] = np.nan
        values[:, -1] = whole[:, -1]
        samples[name] = values[~np.isnan(values[:, COLUMN_INDEX]).any(axis=1)]
        (tmp_path / SOURCE.folder / f"{name}.dat").write_bytes(text(values))
    monkeypatch.setenv("KPLIB_DATA", str(tmp_path))
    with pytest.warns(UserWarning, match="24 of the 24 OPPORTUNITY recordings"):
        found = data.load("opportunity", missing="drop", steps=10, hop=10, label="last")
    kept = samples["S1-ADL2"][: len(samples["S1-ADL2"]) // 10 * 10]
    assert_allclose(found.validation.x.reshape(-1, 77), kept[:, COLUMN_INDEX] / 1000, rtol=1e-6)
    assert [CODES[c] for c in found.validation.y] == kept[9::10, -1].tolist()
    missing = found.protocol["missing"]
    assert missing["dropped_samples"]["S1-ADL2"] == (
        len(tables["S1-ADL2"]) - len(samples["S1-ADL2"])
    )
    assert missing["longest_gap"] == missing["interpolated_values"] == {}


def test_dropping_with_a_dead_channel_leaves_nothing_and_says_which():
    with pytest.raises(DataError, match=r"S2-ADL4\.dat: none of its \d+ samples .*value: 38\)"):
        data.load("opportunity", missing="drop")


def test_standardized_training_samples_have_mean_0_and_deviation_1():
    found = data.load("opportunity", scaling="standardize", steps=1)
    assert set(found.train.y) == set(range(18))
    flat = found.train.x[:, 0].astype(np.float64)
    assert len(flat) == found.protocol["samples"]["train"]
    assert_allclose(flat.mean(axis=0), 0, atol=1e-4)
    assert_allclose(flat.std(axis=0), 1, atol=1e-4)
    assert len(found.protocol["scaling"]["mean"]) == 77


def test_another_file_than_the_listed_one_is_reported(monkeypatch):
    listed = {**opportunity.LISTED_SHA256, "S3-Drill": "0" * 64}
    monkeypatch.setattr(opportunity, "LISTED_SHA256", listed)
    with pytest.warns(UserWarning, match=r"1 of the 24 OPPORTUNITY .* copy: S3-Drill$"):
        found = data.load("opportunity")
    assert found.protocol["recordings_of_another_hash"] == ["S3-Drill"]


def test_a_recording_is_parsed_once(monkeypatch):
    first = data.load("opportunity")
    monkeypatch.setattr(opportunity, "parse", lambda *_: pytest.fail("parsed again"))
    again = data.load("opportunity", steps=30)
    assert again.files == first.files
    assert_array_equal(again.validation.x[0], first.validation.x[0][:30])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"split": "mine"}, "split must be one of 'papers', 'public-code', found 'mine'"),
        ({"missing": "zero"}, "missing must be one of"),
        ({"label": "mean"}, "label must be one of"),
        ({"scaling": "minmax"}, "scaling must be one of"),
        ({"steps": 2.5}, "steps must be a positive integer, found 2.5"),
        ({"steps": 5000}, "train has no window of 5000 steps: its longest block has 2"),
    ],
)
def test_options_that_do_not_fit(options, message):
    with pytest.raises(ValueError, match=message):
        data.load("opportunity", **options)


def test_a_recording_that_is_not_there(here, monkeypatch, tmp_path):
    root = tmp_path / "short"
    (root / SOURCE.folder).mkdir(parents=True)
    for name in RECORDINGS[:-1]:
        (root / SOURCE.folder / f"{name}.dat").symlink_to(here / f"{name}.dat")
    monkeypatch.setenv("KPLIB_DATA", str(root))
    with pytest.raises(MissingDataError, match=r"S4-Drill\.dat"):
        data.load("opportunity", edition="dat")
    with zipfile.ZipFile(root / SOURCE.folder / SOURCE.editions["zip"][0].name, "w") as file:
        for name in RECORDINGS[:-2]:
            file.writestr(f"dataset/{name}.dat", "1")
    with pytest.raises(DataError, match=r"lacks 2 of the 24 recordings: S4-ADL5.dat, S4-Drill.dat"):
        data.load("opportunity", edition="zip")


def test_the_largest_recording_fits_into_an_archive(tmp_path):
    path = tmp_path / "large.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as file:
        file.writestr("S3-Drill.dat", bytes(72_116_889))
    assert archives.names(path) == ["S3-Drill.dat"]


# ---------------------------------------------------------------------------- one file


def small(rows=3):
    values = np.arange(rows * COLUMNS, dtype=np.float64).reshape(rows, COLUMNS)
    values[:, -1] = np.resize(CODES, rows)
    return values


@given(st.integers(1, 25), st.integers(0, 2**32 - 1), st.sampled_from([0.0, 0.1, 1.0]))
@settings(deadline=None, max_examples=40)
def test_parsing_is_exact(rows, seed, share):
    rng = np.random.default_rng(seed)
    values = rng.integers(-32768, 32768, (rows, COLUMNS)).astype(np.float64)
    values[rng.random(values.shape) < share] = np.nan
    classes = rng.integers(0, 18, rows)
    values[:, -1] = np.array(CODES)[classes]
    recording = parse("S1-ADL1", text(values))
    assert recording.x.dtype == np.float32
    assert_array_equal(recording.x, values[:, COLUMN_INDEX])
    assert_array_equal(recording.y, classes)
    assert recording.sha256 == hashlib.sha256(text(values)).hexdigest()


def test_every_label_of_the_legend_has_its_class():
    assert parse("S1-ADL1", text(small(18))).y.tolist() == list(range(18))


def test_line_ends_of_windows_and_blank_lines_are_read():
    raw = text(small(4))
    lines = raw.splitlines()
    dos = b"\r\n".join([b"", *lines[:2], b"   ", *lines[2:]]) + b"\r\n\r\n"
    assert_array_equal(parse("S1-ADL1", dos).x, parse("S1-ADL1", raw).x)
    assert_array_equal(parse("S1-ADL1", raw.rstrip(b"\n")).x, parse("S1-ADL1", raw).x)


def edited(row, column, field):
    """Three lines, one field of which (both from 0) is something else."""
    lines = [line.split() for line in text(small()).splitlines()]
    lines[row][column] = field
    return b"\n".join(b" ".join(line) for line in lines) + b"\n"


@pytest.mark.parametrize(
    ("raw", "message"),
    [
        (b"", "S1-ADL1.dat is empty"),
        (b" \n\n", "S1-ADL1.dat is empty"),
        (text(small()[:, :-1]), "line 1: 249 columns, but there must be 250"),
        (text(np.pad(small(), ((0, 0), (0, 1)))), "line 1: 251 columns"),
        (text(small())[:-400], "line 3: .* columns, but there must be 250"),
        (text(small()) + b"1 2 3\n", "line 4: 3 columns, but there must be 250"),
        (edited(1, 7, b"ERROR"), "line 2, column 8: 'ERROR' is not a number"),
        (edited(1, 7, b"1,5"), "line 2, column 8: '1,5' is not a number"),
        (edited(0, 7, b"#"), "line 1, column 8: '#' is not a number"),
        (edited(2, 0, b"\xc3\xa9"), r"line 3, column 1: '\\\\xc3\\\\xa9' is not a number"),
        (edited(2, 40, b"inf"), "line 3, column 41: the value is infinite"),
        (edited(1, 249, b"404518"), "line 2: the label 404518 in column 250"),
        (edited(1, 249, b"NaN"), "line 2: the label nan in column 250"),
        (b"\n\n" + edited(1, 249, b"7"), "line 4: the label 7 in column 250"),
        (b"\n\n" + edited(1, 40, b"-inf"), "line 4, column 41"),
        (edited(1, 40, b"1_000"), r"S1-ADL1.dat: could not convert string '1_000'"),
    ],
)
def test_what_is_not_a_recording(raw, message):
    with pytest.raises(DataError, match=message):
        parse("S1-ADL1", raw)


# ---------------------------------------------------------------------------- what the set says

DESCRIPTIONS = Path(os.environ.get("KPLIB_DATA", "no data folder")) / SOURCE.folder
DOCUMENTS = ("column_names.txt", "label_legend.txt", "dat_sha256.txt")
described = pytest.mark.data("opportunity", documents=DOCUMENTS)


@described
def test_the_labels_are_the_legend():
    legend = (DESCRIPTIONS / "label_legend.txt").read_text(encoding="latin-1")
    rows = [[field.strip() for field in line.split("  -  ")] for line in legend.splitlines()]
    both_arms = [(int(row[0]), row[2]) for row in rows if row[1:2] == ["ML_Both_Arms"]]
    assert [(0, "Other"), *both_arms] == list(LABELS.items())


@described
def test_the_channels_are_the_inertial_units_without_quaternions():
    text = (DESCRIPTIONS / "column_names.txt").read_text(encoding="latin-1")
    names = dict(re.findall(r"Column: (\d+) ([^;\n]*)", text))
    inertial = [
        int(column)
        for column, name in names.items()
        if name.startswith("InertialMeasurementUnit") and "Quaternion" not in name
    ]
    assert inertial == list(CHANNELS)
    assert names[str(opportunity.LABEL_COLUMN)] == "ML_Both_Arms"
    assert int(list(names)[-1]) == COLUMNS


@described
def test_the_listed_hashes():
    rows = (DESCRIPTIONS / "dat_sha256.txt").read_text().split()
    listed = dict(zip(rows[0::4], rows[2::4], strict=True))
    assert listed == {f"{name}.dat": digest for name, digest in LISTED_SHA256.items()}


@pytest.mark.data("opportunity", "zip")
def test_the_real_archive(monkeypatch):
    monkeypatch.setenv("KPLIB_DATA", str(DESCRIPTIONS.parent))
    monkeypatch.setattr(opportunity, "LISTED_SHA256", LISTED_SHA256)
    found = data.load("opportunity", steps=30)
    assert (found.steps, found.input_size, found.n_classes) == (30, 77, 18)
    assert set(found.train.y) == set(range(18))
    assert 500_000 < found.protocol["samples"]["train"] < 800_000
