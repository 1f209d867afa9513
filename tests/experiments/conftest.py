"""Small data sets for the tests of training: scikit-learn's digits, and noise."""

import numpy as np
import pytest
from sklearn.datasets import load_digits

from kplib.data.sets import DataSet, Sequences


def _sequences(x, y):
    return Sequences(np.ascontiguousarray(x, np.float32), np.asarray(y, np.int64))


@pytest.fixture(scope="session")
def digits() -> DataSet:
    """The 8 x 8 digits, each pixel four, as the 16 rows of 16 that usps-fastrnn takes."""
    images, y = load_digits(return_X_y=True)
    x = np.kron(images.reshape(-1, 8, 8) / 8 - 1, np.ones((2, 2)))
    parts = np.split(np.random.default_rng(0).permutation(len(y)), [1000, 1300])
    train, validation, test = (_sequences(x[part], y[part]) for part in parts)
    return DataSet(
        "usps", tuple("0123456789"), train, validation, test,
        files={"digits.csv.gz": "0" * 64}, protocol={"source": "scikit-learn"},
    )  # fmt: skip


def noisy_words() -> DataSet:
    """Noise of the shape of keywords, but few steps and three classes, with two variants."""
    rng = np.random.default_rng(1)

    def part(n):
        y = rng.integers(3, size=n)
        x = rng.normal(size=(n, 5, 10)) + y[:, None, None]
        return _sequences(x, y)

    train = part(230)
    variants = np.stack([train.x + 0.1, train.x - 0.1])
    return DataSet("keywords", ("yes", "no", "unknown"), train, part(60), part(50), variants)


@pytest.fixture(scope="session")
def words() -> DataSet:
    """See `noisy_words`."""
    return noisy_words()
