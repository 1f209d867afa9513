"""What predictions are worth: the confusion matrix, and the scores that follow from it."""

from collections.abc import Sequence
from statistics import fmean
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["accuracy", "confusion_matrix", "macro_f1"]

Confusion = Sequence[Sequence[int]]


def confusion_matrix(
    labels: NDArray[Any], predictions: NDArray[Any], classes: int, outputs: int
) -> tuple[tuple[int, ...], ...]:
    """Return how often each class was taken for each output.

    Parameters
    ----------
    labels, predictions : ndarray of int, shape (N,)
        True class and predicted output.
    classes, outputs : int
        How many there are; there may be outputs that are no class.

    Returns
    -------
    tuple of tuple of int, shape (classes, outputs)
        True class (row) against predicted output (column).

    Raises
    ------
    ValueError
        If there is a label or a prediction that is none of them.

    Examples
    --------
    >>> confusion_matrix(np.array([0, 0, 1]), np.array([0, 2, 1]), 2, 3)
    ((1, 0, 1), (0, 1, 0))
    """
    for name, values, count in (("labels", labels, classes), ("predictions", predictions, outputs)):
        if len(values) and not 0 <= int(values.min()) <= int(values.max()) < count:
            raise ValueError(
                f"{name} must be from 0 to {count - 1}, found {values.min()} to {values.max()}"
            )
    counts = np.zeros((classes, outputs), np.int64)
    np.add.at(counts, (labels, predictions), 1)
    return tuple(tuple(row) for row in counts.tolist())


def accuracy(confusion: Confusion) -> float:
    """Return the share of examples that are right, from 0 to 1.

    Parameters
    ----------
    confusion : sequence of sequence of int, shape (classes, outputs)
        With at least one example.

    Examples
    --------
    >>> accuracy(((8, 2, 0), (1, 4, 0)))
    0.8
    """
    return sum(row[k] for k, row in enumerate(confusion)) / sum(map(sum, confusion))


def macro_f1(confusion: Confusion) -> float:
    """Return the mean F1 of the classes that there are examples of, from 0 to 1.

    Parameters
    ----------
    confusion : sequence of sequence of int, shape (classes, outputs)
        True class against predicted output; at least one example.

    Examples
    --------
    >>> macro_f1(((8, 2, 0), (1, 4, 0))) == (2 * 8 / (10 + 9) + 2 * 4 / (5 + 6)) / 2
    True
    """
    there = [sum(row) for row in confusion]
    predicted = [sum(row[k] for row in confusion) for k in range(len(confusion))]
    return fmean(
        2 * row[k] / (there[k] + predicted[k]) for k, row in enumerate(confusion) if there[k]
    )
