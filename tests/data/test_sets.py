"""Data sets are checked when they are made; features come out of the cache as they went in."""

import os

import numpy as np
import pytest
from numpy.testing import assert_array_equal

import kplib.data
from kplib.data.cache import cached
from kplib.data.sets import DataSet, Sequences
from kplib.errors import DataError, DtypeError, ShapeError


def part(n, steps=3, inputs=2, classes=2):
    rng = np.random.default_rng(n)
    return Sequences(rng.random((n, steps, inputs), np.float32), np.arange(n) % classes)


@pytest.mark.parametrize(
    ("x", "y", "error", "message"),
    [
        (np.zeros((2, 3)), np.zeros(2, int), DtypeError, "float64"),
        (np.zeros((2, 3, 4), "f"), np.zeros(2), DtypeError, "int64, not float32, float64"),
        (np.zeros((2, 3), "f"), np.zeros(2, int), ShapeError, r"x \(2, 3\)"),
        (np.zeros((2, 3, 4), "f"), np.zeros(3, int), ShapeError, r"y \(3,\)"),
        (np.zeros((0, 3, 4), "f"), np.zeros(0, int), ShapeError, "none of them 0"),
        (np.full((2, 3, 4), np.nan, "f"), np.zeros(2, int), ValueError, "24 NaN"),
        (np.zeros((2, 3, 4), "f"), np.array([0, -1]), ValueError, "the class -1"),
    ],
)
def test_bad_sequences_are_refused(x, y, error, message):
    with pytest.raises(error, match=message):
        Sequences(x, y)


@pytest.mark.parametrize(
    ("groups", "error", "message"),
    [
        (np.zeros(2, np.int32), DtypeError, "groups must be int64, not int32"),
        (np.zeros(3, int), ShapeError, r"groups must be of shape \(2,\), found \(3,\)"),
        (np.array([0, -7]), ValueError, "groups count from 0, found -7"),
    ],
)
def test_bad_groups_are_refused(groups, error, message):
    with pytest.raises(error, match=message):
        Sequences(np.zeros((2, 3, 4), "f"), np.zeros(2, int), groups)


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"test": part(4, steps=5)}, ShapeError, r"test has .*\(5, 2\), but train of \(3, 2\)"),
        ({"validation": part(4, classes=3)}, ValueError, "class 2, but there are 2 classes"),
        ({"variants": np.zeros((2, 5, 3, 2), "f")}, ShapeError, r"must be \(V, \*\(6, 3, 2\)\)"),
        ({"variants": np.zeros((0, 6, 3, 2), "f")}, ShapeError, "V >= 1"),
        ({"variants": np.zeros((1, 6, 3, 2))}, DtypeError, "float64"),
        ({"variants": np.full((1, 6, 3, 2), np.inf, "f")}, ValueError, "36 NaN or infinite"),
        ({"protocol": {"a": np.float32(1)}}, ValueError, "not plain JSON"),
        ({"protocol": {"a": float("nan")}}, ValueError, "not plain JSON"),
    ],
)
def test_a_bad_data_set_is_refused(change, error, message):
    fields = {"train": part(6), "validation": part(4), "test": part(5)} | change
    with pytest.raises(error, match=message):
        DataSet("tiny", ("a", "b"), **fields)


def test_an_unknown_name_lists_the_known_ones():
    with pytest.raises(DataError, match=r"no data set 'mnits', but mnist, usps, keywords"):
        kplib.data.load("mnits")


def test_names_and_hashes_of_every_source_are_well_formed():
    for name, source in kplib.data.DATA_SETS.items():
        assert source.name == name
        # One edition at least can be had and told from another file, or has an address.
        assert any(all(f.hash or f.urls for f in wanted) for wanted in source.editions.values())
        for file in source.files:
            assert all(url.endswith(file.name) or "github" in url for url in file.urls)
            if file.hash:
                algorithm, digest = file.hash.split(":")
                assert len(bytes.fromhex(digest)) == {"sha256": 32, "md5": 16}[algorithm]


# The cache ----------------------------------------------------------------------------------------


class Counted:
    """Computes the same arrays each time, and counts."""

    def __init__(self):
        self.calls = 0

    def __call__(self):
        self.calls += 1
        return {"x": np.arange(5, dtype=np.float32), "y": np.array([[1, 2]])}


def test_the_cache_computes_once_for_each_input(cache):
    compute = Counted()
    first = cached("a", {"n": 1}, compute)
    again = cached("a", {"n": 1}, compute)
    assert compute.calls == 1
    assert first.keys() == again.keys() == {"x", "y"}
    for name in first:
        assert_array_equal(first[name], again[name], strict=True)
    cached("a", {"n": 2}, compute)
    cached("b", {"n": 1}, compute)
    assert compute.calls == 3
    assert len(list(cache.rglob("*.npz"))) == 3


@pytest.mark.parametrize("damage", ["truncated", "flipped", "emptied", "of other inputs"])
def test_a_damaged_file_is_computed_again(cache, damage):
    compute = Counted()
    cached("a", {"n": 1}, compute)
    (path,) = cache.rglob("*.npz")
    content = path.read_bytes()
    if damage == "truncated":
        path.write_bytes(content[:-30])
    elif damage == "flipped":
        at = content.index(np.arange(5, dtype=np.float32).tobytes())
        path.write_bytes(content[:at] + b"\xff" + content[at + 1 :])
    elif damage == "emptied":
        path.write_bytes(b"")
    else:
        np.savez(path, __inputs__="{}", x=np.zeros(1))
    arrays = cached("a", {"n": 1}, compute)
    assert compute.calls == 2
    assert_array_equal(arrays["x"], np.arange(5))
    cached("a", {"n": 1}, compute)
    assert compute.calls == 2


def test_an_interrupted_computation_leaves_nothing(cache, monkeypatch):
    def interrupted(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "replace", interrupted)
    with pytest.raises(KeyboardInterrupt):
        cached("a", {}, Counted())
    assert [path.suffix for path in (cache / "features").iterdir()] == [".lock"]
