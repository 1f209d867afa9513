"""MNIST and USPS: files of their formats, written here, and the real ones where they are."""

import bz2
import gzip
import struct

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.model_selection import train_test_split

import kplib.data
from kplib.data import images
from kplib.data.files import File, Source
from kplib.errors import DataError


def idx(array):
    head = bytes([0, 0, 8, array.ndim]) + struct.pack(f">{array.ndim}I", *array.shape)
    return head + array.tobytes()


def bytes_of(shape, seed=0, high=256):
    return np.random.default_rng(seed).integers(high, size=shape, dtype=np.uint8)


@pytest.mark.parametrize("shape", [(7,), (1, 1), (3, 5), (2, 3, 5), (0, 28, 28)])
def test_idx_files_are_read_as_they_were_written(tmp_path, shape):
    array = bytes_of(shape)
    (tmp_path / "a.gz").write_bytes(gzip.compress(idx(array), mtime=0))
    assert_array_equal(images.read_idx(tmp_path / "a.gz"), array, strict=True)


WHOLE = idx(bytes_of((3, 5)))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (gzip.compress(WHOLE[:-1], mtime=0), r"has 14 entries, but its head says \(3, 5\): 15"),
        (gzip.compress(WHOLE + b"!", mtime=0), "has 16 entries"),
        (gzip.compress(b"\0\0\x0d" + WHOLE[3:], mtime=0), "not an idx file of bytes"),
        (gzip.compress(WHOLE[:6], mtime=0), "not an idx file of bytes"),
        (gzip.compress(b"", mtime=0), "not an idx file of bytes"),
        (gzip.compress(WHOLE, mtime=0)[:-4], "not a whole gzip file"),
        (WHOLE, "not a whole gzip file"),
    ],
)
def test_other_files_are_no_idx_files(tmp_path, content, message):
    (tmp_path / "a.gz").write_bytes(content)
    with pytest.raises(DataError, match=message):
        images.read_idx(tmp_path / "a.gz")


def digits(seed, n):
    """Images with values as in USPS, zeros and a pixel that never changes among them."""
    rng = np.random.default_rng(seed)
    x = np.round(rng.uniform(-1, 1, (n, 16, 16)), 4).astype(np.float32)
    x[rng.random(x.shape) < 0.3] = 0
    x[:, 0, 0] = -1
    return x, (np.arange(n) % 10).astype(np.uint8)


def libsvm(x, y):
    rows = (
        f"{label + 1} "
        + " ".join(f"{i + 1}:{value:g}" for i, value in enumerate(image.ravel()) if value)
        for image, label in zip(x, y, strict=True)
    )
    return bz2.compress(("\n".join(rows) + "\n").encode())


@pytest.fixture
def usps(folders, monkeypatch):
    """Small files in both editions, with the same numbers."""
    data, _ = folders
    (data / "usps").mkdir()
    (x, y), (test_x, test_y) = digits(0, 100), digits(1, 30)
    np.savez(data / "usps/usps.npz", x_train=x, y_train=y, x_test=test_x, y_test=test_y)
    (data / "usps/usps.bz2").write_bytes(libsvm(x, y))
    (data / "usps/usps.t.bz2").write_bytes(libsvm(test_x, test_y))
    editions = {
        name: tuple(File(file.name) for file in wanted)
        for name, wanted in images.USPS.editions.items()
    }
    source = Source("usps", "USPS", "usps", editions, "", "", "")
    monkeypatch.setattr(images, "USPS", source)
    return data / "usps"


def assert_equal_sets(one, other):
    for name in ("train", "validation", "test"):
        assert_array_equal(getattr(one, name).x, getattr(other, name).x, strict=True)
        assert_array_equal(getattr(one, name).y, getattr(other, name).y, strict=True)


def test_both_editions_of_usps_are_the_same_numbers(usps):
    one, other = images.load_usps(edition="npz"), images.load_usps(edition="libsvm")
    assert_equal_sets(one, other)
    assert set(one.files) == {"usps.npz"}
    assert set(other.files) == {"usps.bz2", "usps.t.bz2"}
    assert_array_equal(one.test.y, np.arange(30) % 10)


def test_usps_is_normalised_with_the_training_part(usps):
    data = images.load_usps()
    assert (len(data.train), len(data.validation), len(data.test)) == (80, 20, 30)
    assert_allclose(data.train.x.mean(0), 0, atol=1e-6)
    deviation = data.train.x.std(0)
    assert deviation[0, 0] == 0
    assert_allclose(np.delete(deviation.ravel(), 0), 1, atol=1e-5)
    assert abs(data.validation.x.mean(0)).max() > 0.05
    # The definition, on the training images, which the split's seed gives.
    x, y = digits(0, 100)
    train, rest = train_test_split(np.arange(100), test_size=0.2, stratify=y, random_state=0)
    mean, spread = np.mean(x[train], 0, float), np.std(x[train], 0, dtype=float)
    expected = (x[rest] - mean) / np.where(spread < 1e-6, 1, spread)
    assert_allclose(data.validation.x, expected, atol=1e-6)
    assert_array_equal(np.bincount(data.train.y), [8] * 10)


def test_usps_in_the_range_of_mnist(usps):
    data = images.load_usps(scaling="range")
    x, y = digits(0, 100)
    train, rest = train_test_split(np.arange(100), test_size=0.2, stratify=y, random_state=0)
    for part, chosen in ((data.train, x[train]), (data.validation, x[rest]), (data.test, None)):
        expected = (digits(1, 30)[0] if chosen is None else chosen) / 2 + 0.5
        assert_allclose(part.x, expected, atol=1e-7)
    assert data.variants is None
    assert data.protocol["scaling"] == "(pixel + 1) / 2"
    with pytest.raises(DataError, match="scaling must be one of pixel, range, found 'z'"):
        images.load_usps(scaling="z")


@pytest.mark.parametrize("scaling", ["pixel", "range"])
def test_usps_shifted(usps, scaling):
    plain, data = (images.load_usps(scaling=scaling, shifts=by) for by in (0, 2))
    assert_equal_sets(plain, data)
    assert data.protocol["shifts, pixels"] == 2
    assert "shifts, pixels" not in plain.protocol
    assert data.variants.shape == (25, 80, 16, 16)
    assert_array_equal(data.variants[12], data.train.x)
    # Scaled after the shift: white is what comes in, whatever the pixel there is scaled by.
    raw = digits(0, 100)[0]
    train, _ = train_test_split(
        np.arange(100), test_size=0.2, stratify=digits(0, 100)[1], random_state=0
    )
    mean, spread = (raw[train].mean(0, float), raw[train].std(0, dtype=float))
    spread[spread < 1e-6] = 1
    if scaling == "range":
        mean, spread = -1, 2
    down_and_left = np.full((80, 16, 16), -1.0)
    down_and_left[:, 1:, :-2] = raw[train][:, :-1, 2:]
    number = (2 - 1) * 5 + (2 + 2)
    assert_allclose(data.variants[number], (down_and_left - mean) / spread, atol=1e-5)


def test_shifts_that_cannot_be(usps):
    for by in (-1, 16, 1.5, True):
        with pytest.raises(DataError, match=rf"from 0 to below 16 pixels, found {by}"):
            images.load_usps(shifts=by)


def test_the_split_is_fixed_by_its_seed(usps):
    first, again, other = (images.load_usps(split_seed=seed) for seed in (3, 3, 4))
    assert_equal_sets(first, again)
    assert not np.array_equal(first.train.y, other.train.y)
    with pytest.raises(DataError, match=r"between 0 and 1, found 1\.5"):
        images.load_usps(validation_fraction=1.5)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (bz2.compress(b"11 1:0.5\n"), r"labels \[10\]"),
        (bz2.compress(b"0 1:0.5\n"), r"labels \[-1\]"),
        (bz2.compress(b"1 300:0.5\n"), "LIBSVM"),
        (libsvm(*digits(0, 9))[:-20], "not a whole bz2 file"),
        (b"1 1:0.5\n", "not a whole bz2 file"),
    ],
)
def test_other_files_are_not_usps(usps, content, message):
    (usps / "usps.t.bz2").write_bytes(content)
    with pytest.raises(DataError, match=message):
        images.load_usps(edition="libsvm")


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({}, "does not have the arrays"),
        ({"x_train": digits(0, 9)[0][:, 1:]}, r"found images \(9, 15, 16\)"),
        ({"y_test": np.full(9, 10)}, r"labels \[10\]"),
    ],
)
def test_other_arrays_are_not_usps(usps, arrays, message):
    x, y = digits(0, 9)
    whole = {"x_train": x, "y_train": y, "x_test": x, "y_test": y}
    np.savez(usps / "usps.npz", **(whole | arrays if arrays else {"x_train": x}))
    with pytest.raises(DataError, match=message):
        images.load_usps(edition="npz")


def test_mnist_shifted_has_the_images_among_the_variants(folders, monkeypatch):
    data, _ = folders
    (data / "mnist").mkdir()
    for part, n in (("train", 20), ("t10k", 5)):
        arrays = {"images-idx3": bytes_of((n, 28, 28)), "labels-idx1": bytes_of(n, high=2)}
        for name, array in arrays.items():
            path = data / "mnist" / f"{part}-{name}-ubyte.gz"
            path.write_bytes(gzip.compress(idx(array), mtime=0))
    editions = {"idx": tuple(File(file.name) for file in images.MNIST.edition())}
    monkeypatch.setattr(images, "MNIST", Source("mnist", "MNIST", "mnist", editions, "", "", ""))
    plain, shifted = images.load_mnist(), images.load_mnist(shifts=1)
    assert plain.variants is None
    assert shifted.variants.shape == (9, 16, 28, 28)
    assert_array_equal(shifted.variants[4], plain.train.x)
    assert_array_equal(shifted.variants[0, :, 1:, 1:], plain.train.x[:, :-1, :-1])
    assert not shifted.variants[0, :, 0].any()  # black comes in
    assert shifted.protocol["shifts, pixels"] == 1
    with pytest.raises(DataError, match="from 0 to below 28 pixels, found 28"):
        images.load_mnist(shifts=28)


# The real files -----------------------------------------------------------------------------------


@pytest.mark.data("mnist")
def test_mnist():
    data = kplib.data.load("mnist")
    assert (len(data.train), len(data.validation), len(data.test)) == (48000, 12000, 10000)
    assert (data.steps, data.input_size, data.n_classes) == (28, 28, 10)
    assert data.train.x.min() == 0
    assert data.train.x.max() == 1
    of_each = [5923, 6742, 5958, 6131, 5842, 5421, 5918, 6265, 5851, 5949]
    train, validation = np.bincount(data.train.y), np.bincount(data.validation.y)
    assert_array_equal(train + validation, of_each)
    assert abs(validation - np.array(of_each) / 5).max() <= 1
    assert data.test.y[:10].tolist() == [7, 2, 1, 0, 4, 1, 4, 9, 5, 9]
    assert round(data.test.x[0].sum() * 255) == 18454
    # All images are there once: the mean of all 60,000 is the well-known one.
    mean = (data.train.x.sum(dtype=float) + data.validation.x.sum(dtype=float)) / (60000 * 784)
    assert mean == pytest.approx(0.1306604762738429)
    assert data.files["t10k-labels-idx1-ubyte.gz"].startswith("f7ae60f9")


@pytest.mark.data("usps")
def test_usps():
    data = kplib.data.load("usps")
    assert (len(data.train), len(data.validation), len(data.test)) == (5832, 1459, 2007)
    assert (data.steps, data.input_size, data.n_classes) == (16, 16, 10)
    of_each = [1194, 1005, 731, 658, 652, 556, 664, 645, 542, 644]
    assert_array_equal(np.bincount(data.train.y) + np.bincount(data.validation.y), of_each)
    assert_array_equal(np.bincount(data.test.y), [359, 264, 198, 166, 200, 160, 170, 147, 166, 177])
    assert_allclose(data.train.x.mean(0), 0, atol=1e-5)
    assert data.test.y[:4].tolist() == [9, 6, 3, 6]
