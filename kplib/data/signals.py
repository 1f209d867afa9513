"""What the sets of sensor signals share: missing values, windows and their labels, scaling.

A recording is ``x`` of shape (samples, channels) with a label for each sample, ``y`` of shape
(samples,). Nothing here knows a data set.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kplib._checks import positive_integer
from kplib.data.sets import Sequences
from kplib.errors import DataError

Signal = NDArray[np.float32]
Labels = NDArray[np.integer[Any]]

LABEL_RULES = ("majority", "last")
MISSING_RULES = ("interpolate", "drop")


def one_of(name: str, value: str, allowed: tuple[str, ...]) -> None:
    """Raise a ValueError unless `value` is one of the allowed."""
    if value not in allowed:
        raise ValueError(f"{name} must be one of {', '.join(map(repr, allowed))}, found {value!r}")


@dataclass(frozen=True)
class Repaired:
    """A recording without missing values, and what was done to it.

    Attributes
    ----------
    x : ndarray of float32, shape (kept samples, channels)
        The signal; it has no NaN.
    kept : ndarray of bool, shape (samples,)
        Which samples of the recording ``x`` has: index the labels with it.
    interpolated : int
        How many values were put in by interpolation.
    longest_gap : int
        The longest interpolated run of one channel, in samples.
    zeroed : tuple of int
        The channels (from 0) without a single value, which were set to zero.
    """

    x: Signal
    kept: NDArray[np.bool_]
    interpolated: int
    longest_gap: int
    zeroed: tuple[int, ...]


def repair(x: Signal, missing: str = "interpolate") -> Repaired:
    """Remove the missing values (NaN) of one recording.

    Parameters
    ----------
    x : ndarray of float, shape (samples, channels)
        One recording; NaN where a sensor gave nothing.
    missing : {"interpolate", "drop"}
        "interpolate" draws a straight line over each gap of a channel. Nothing is extrapolated:
        samples before the first value of a channel, or after its last one, are dropped. A channel
        without a single value becomes zero. "drop" keeps the samples that have all channels.

    Returns
    -------
    Repaired
        With zero samples, if no sample can be kept.

    Raises
    ------
    ValueError
        If there is no such rule.

    Examples
    --------
    >>> x = np.array([[np.nan, 1], [2, 1], [np.nan, 1], [6, 1]], dtype=np.float32)
    >>> repaired = repair(x)
    >>> repaired.x[:, 0].tolist(), repaired.longest_gap
    ([2.0, 4.0, 6.0], 1)
    >>> repair(x, "drop").x.shape
    (2, 2)
    """
    one_of("missing", missing, MISSING_RULES)
    gaps = np.isnan(x)
    if missing == "drop":
        kept: NDArray[np.bool_] = ~np.asarray(gaps.any(axis=1))
        return Repaired(x[kept].astype(np.float32), kept, 0, 0, ())
    absent: NDArray[np.bool_] = np.asarray(gaps.all(axis=0))
    kept = _between_first_and_last_values(~gaps, ~absent)
    filled = x.astype(np.float32)
    filled[:, absent] = 0
    time = np.arange(len(x))
    for channel in np.flatnonzero(gaps.any(axis=0) & ~absent):
        hole = gaps[:, channel]
        # Beyond its first and last value a channel is not known; those samples are not kept.
        filled[hole, channel] = np.interp(time[hole], time[~hole], filled[~hole, channel])
    filled = filled[kept]
    inner = gaps[kept] & ~absent
    zeroed = tuple(int(channel) for channel in np.flatnonzero(absent)) if len(filled) else ()
    return Repaired(filled, kept, int(np.count_nonzero(inner)), _longest_run(inner), zeroed)


def _between_first_and_last_values(
    known: NDArray[np.bool_], present: NDArray[np.bool_]
) -> NDArray[np.bool_]:
    """Mark the samples at which every channel that is `present` has started and not yet ended."""
    kept = np.zeros(len(known), dtype=bool)
    if present.any():
        start = known.argmax(axis=0)[present].max()
        end = len(known) - known[::-1].argmax(axis=0)[present].max()
        kept[start:end] = True
    return kept


def _longest_run(marked: NDArray[np.bool_]) -> int:
    """Return the length of the longest run of True within a column, 0 if there is none."""
    fence = np.zeros((1, marked.shape[1]), dtype=np.int8)
    edges = np.diff(marked.astype(np.int8), axis=0, prepend=fence, append=fence).T
    starts, ends = (np.argwhere(edges == sign)[:, 1] for sign in (1, -1))
    return int((ends - starts).max(initial=0))


def windows(
    x: Signal, y: Labels, steps: int, hop: int, label: str = "majority"
) -> tuple[Signal, NDArray[np.int64]]:
    """Cut one recording into windows of equal length.

    Parameters
    ----------
    x : ndarray of float, shape (samples, channels)
        The signal.
    y : ndarray of int >= 0, shape (samples,)
        A label for each sample.
    steps : int
        Samples in a window.
    hop : int
        Samples from the start of a window to the start of the next; ``steps // 2`` is half overlap.
    label : {"majority", "last"}
        The label of a window: the commonest of its samples (of equally common ones the smallest),
        or its last sample's.

    Returns
    -------
    x : ndarray of float32, shape (windows, steps, channels)
        ``max(0, (samples - steps) // hop + 1)`` windows; what is left at the end is not used.
    y : ndarray of int64, shape (windows,)

    Raises
    ------
    ValueError
        If the lengths of x and y differ, steps or hop is not a positive integer, or there is no
        such rule.

    Examples
    --------
    >>> x = np.arange(10, dtype=np.float32)[:, None]
    >>> y = np.array([0, 0, 0, 0, 0, 1, 1, 1, 2, 2])
    >>> cut, labels = windows(x, y, steps=4, hop=2)
    >>> labels.tolist(), windows(x, y, steps=4, hop=2, label="last")[1].tolist()
    ([0, 0, 1, 1], [0, 1, 1, 2])
    >>> cut.shape
    (4, 4, 1)
    """
    steps, hop = positive_integer("steps", steps), positive_integer("hop", hop)
    one_of("label", label, LABEL_RULES)
    if len(x) != len(y):
        raise ValueError(f"x has {len(x)} samples, but y has {len(y)} labels")
    if len(x) < steps:
        return np.empty((0, steps, x.shape[1]), np.float32), np.empty(0, np.int64)
    cut = np.lib.stride_tricks.sliding_window_view(x, steps, axis=0)[::hop].swapaxes(1, 2)
    labels = np.lib.stride_tricks.sliding_window_view(y, steps)[::hop]
    chosen = labels[:, -1] if label == "last" else _majority(labels)
    return np.ascontiguousarray(cut, dtype=np.float32), chosen.astype(np.int64)


def sequences_of(
    part: str, blocks: Sequence[tuple[Signal, Labels]], steps: int, hop: int, label: str
) -> Sequences:
    """Cut the blocks of one part of a data set into windows, none of them across two blocks.

    Parameters
    ----------
    part : str
        Its name, for the error.
    blocks : sequence of (x, y)
        Pieces of recordings, as `windows` takes them.
    steps, hop, label
        As in `windows`.

    Returns
    -------
    Sequences

    Raises
    ------
    DataError
        If there is not one window.

    Examples
    --------
    >>> block = np.zeros((10, 3), np.float32), np.arange(10)
    >>> sequences_of("train", [block, block], steps=4, hop=2, label="last").x.shape
    (8, 4, 3)
    """
    cut = [windows(x, y, steps, hop, label) for x, y in blocks]
    if not any(len(labels) for _, labels in cut):
        longest = max((len(y) for _, y in blocks), default=0)
        raise DataError(f"{part} has no window of {steps} steps: its longest block has {longest}")
    return Sequences(*(np.concatenate(arrays) for arrays in zip(*cut, strict=True)))


def _majority(labels: Labels) -> Labels:
    """Return the commonest label of each row, of equally common ones the smallest."""
    values = np.unique(labels)
    counts = np.stack([np.count_nonzero(labels == value, axis=1) for value in values])
    return values[counts.argmax(axis=0)]


@dataclass(frozen=True)
class Standardization:
    """Shift and scale of each channel: of what it was measured on, mean 0 and deviation 1.

    Attributes
    ----------
    mean, deviation : ndarray of float64, shape (channels,)
    """

    mean: NDArray[np.float64]
    deviation: NDArray[np.float64]

    @classmethod
    def of(cls, x: Signal) -> "Standardization":
        """Measure mean and deviation of each channel over all axes but the last, in float64.

        A channel that does not vary gets the deviation 1: it becomes zero, not NaN.

        Parameters
        ----------
        x : ndarray of float, shape (..., channels)
            The training examples. Measure nothing on validation or test examples.

        Examples
        --------
        >>> x = np.float32([[0, 5], [2, 5]])
        >>> Standardization.of(x)(x).tolist() == [[-1, 0], [1, 0]]
        True
        """
        if x.size == 0:
            raise ValueError(f"no examples to measure mean and deviation on: shape {x.shape}")
        flat = x.reshape(-1, x.shape[-1])
        mean = flat.mean(axis=0, dtype=np.float64)
        deviation = flat.std(axis=0, dtype=np.float64)
        # Rounding leaves a constant channel a deviation of a few units in the last place.
        constant = deviation <= 1e-6 * np.maximum(1.0, np.abs(mean))
        return cls(mean, np.where(constant, 1.0, deviation))

    def __call__(self, x: Signal) -> Signal:
        """Return x of shape (..., channels) shifted and scaled, as float32."""
        return ((x - self.mean) / self.deviation).astype(np.float32)

    def as_json(self) -> dict[str, list[float]]:
        """Return mean and deviation as plain lists, for a protocol."""
        return {"mean": self.mean.tolist(), "deviation": self.deviation.tolist()}
