"""A data set as training takes it: three parts of labelled sequences, and how they were made."""

import json
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kplib._checks import require_finite
from kplib.errors import DtypeError, ShapeError


@dataclass(frozen=True, eq=False)
class Sequences:
    """Labelled sequences of one length.

    Parameters
    ----------
    x : ndarray of float32, shape (N, steps, inputs)
        The sequences; finite.
    y : ndarray of int64, shape (N,)
        The class of each, from 0.
    groups : ndarray of int64, shape (N,), optional
        Which sequences belong together: the number of their speaker, say. Training does not see it.

    Raises
    ------
    ShapeError
        If the axes do not fit, or if there is nothing in one of them.
    DtypeError
        If the dtypes are not float32 and int64.
    ValueError
        If an entry of `x` is not finite, or if one of `y` or `groups` is negative.

    Examples
    --------
    >>> digits = Sequences(np.zeros((5, 28, 28), np.float32), np.arange(5))
    >>> len(digits)
    5
    >>> digits.steps, digits.input_size
    (28, 28)
    """

    x: NDArray[np.float32]
    y: NDArray[np.int64]
    groups: NDArray[np.int64] | None = None

    def __post_init__(self) -> None:
        if self.x.dtype != np.float32 or self.y.dtype != np.int64:
            raise DtypeError(
                f"x and y must be float32 and int64, not {self.x.dtype}, {self.y.dtype}"
            )
        if self.x.ndim != 3 or self.y.shape != self.x.shape[:1] or self.x.size == 0:
            raise ShapeError(
                f"x {self.x.shape} and y {self.y.shape} must be (N, steps, inputs) and (N,), "
                "none of them 0"
            )
        require_finite("x", self.x)
        if self.y.min() < 0:
            raise ValueError(f"y has the class {self.y.min()}, but classes count from 0")
        if self.groups is not None:
            self._check_groups(self.groups)

    def _check_groups(self, groups: NDArray[np.int64]) -> None:
        if groups.dtype != np.int64:
            raise DtypeError(f"groups must be int64, not {groups.dtype}")
        if groups.shape != self.y.shape:
            raise ShapeError(f"groups must be of shape {self.y.shape}, found {groups.shape}")
        if groups.min() < 0:
            raise ValueError(f"groups count from 0, found {groups.min()}")

    def __len__(self) -> int:
        return len(self.y)

    @property
    def steps(self) -> int:
        """Length of each sequence."""
        return self.x.shape[1]

    @property
    def input_size(self) -> int:
        """Numbers in each step."""
        return self.x.shape[2]


@dataclass(frozen=True, eq=False)
class DataSet:
    """A data set, split and preprocessed.

    Parameters
    ----------
    name : str
        As in `kplib.data.load`.
    classes : tuple of str
        The name of each class.
    train, validation, test : Sequences
        The parts. What is chosen is chosen on `validation`; `test` is touched once.
    variants : ndarray of float32, shape (V, N, steps, inputs), optional
        Augmented versions of ``train.x``; training draws one of the V for each example in each
        epoch.
    files : dict of str to str
        The SHA-256 of each file that was read.
    protocol : dict
        How the parts were made, as plain JSON: preprocessing, split, what is partial.

    Raises
    ------
    ShapeError
        If the parts, or the variants, differ in steps or inputs.
    ValueError
        If a label has no class, a variant is not finite, or `protocol` is not JSON.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> def part(n):
    ...     return Sequences(rng.random((n, 4, 2), np.float32), np.arange(n) % 3)
    >>> data = DataSet("tiny", ("a", "b", "c"), part(9), part(3), part(6))
    >>> data.steps, data.input_size, data.n_classes
    (4, 2, 3)
    """

    name: str
    classes: tuple[str, ...]
    train: Sequences
    validation: Sequences
    test: Sequences
    variants: NDArray[np.float32] | None = None
    files: dict[str, str] = field(default_factory=dict)
    protocol: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for name in ("train", "validation", "test"):
            part: Sequences = getattr(self, name)
            if part.x.shape[1:] != self.train.x.shape[1:]:
                raise ShapeError(
                    f"{name} has sequences of shape {part.x.shape[1:]}, "
                    f"but train of {self.train.x.shape[1:]}"
                )
            if part.y.max() >= self.n_classes:
                raise ValueError(
                    f"{name} has the class {part.y.max()}, but there are {self.n_classes} classes"
                )
        if self.variants is not None:
            if self.variants.dtype != np.float32:
                raise DtypeError(f"variants must be float32, not {self.variants.dtype}")
            if self.variants.shape[1:] != self.train.x.shape or len(self.variants) == 0:
                raise ShapeError(
                    f"variants {self.variants.shape} must be (V, *{self.train.x.shape}), V >= 1"
                )
            require_finite("variants", self.variants)
        try:
            json.dumps(self.protocol, allow_nan=False)
        except (TypeError, ValueError) as error:
            raise ValueError(f"the protocol is not plain JSON: {error}") from None

    @property
    def steps(self) -> int:
        """Length of each sequence."""
        return self.train.steps

    @property
    def input_size(self) -> int:
        """Numbers in each step."""
        return self.train.input_size

    @property
    def n_classes(self) -> int:
        """How many classes there are."""
        return len(self.classes)
