"""Traits of the widgets: what they refuse is a `kplib` error, and is undone."""

import operator
from collections.abc import Sequence
from typing import Any

import numpy as np
import traitlets

from kplib._checks import positive_integer
from kplib.errors import ShapeError

__all__ = [
    "Choice", "Count", "RefusedError", "RefusedSettingError", "Size", "count", "dense_rows",
    "size_up_to",
]  # fmt: skip


class RefusedError(ShapeError, traitlets.TraitError):
    """A ShapeError that traitlets knows: what was set together with the refused value is undone."""


class RefusedSettingError(ValueError, traitlets.TraitError):
    """The same for a value that is no size, but none of a trait's choices."""


def size_up_to(largest: int, name: str, value: object) -> int:
    """Return `value` as an int from 1 to `largest`; a ShapeError with the numbers if it is none."""
    try:
        number = positive_integer(name, value)
    except ShapeError as error:
        raise RefusedError(str(error)) from None
    if number > largest:
        raise RefusedError(f"{name} is {number}, but can be {largest} at most")
    return number


def count(name: str, value: object) -> int:
    """Return `value` as an int from 0 on; a ShapeError if it is none."""
    try:
        number = -1 if isinstance(value, bool | np.bool_) else operator.index(value)  # type: ignore[arg-type]
    except TypeError:
        number = -1
    if number < 0:
        raise RefusedError(f"{name} must be 0 or a positive integer, found {value!r}")
    return number


def dense_rows(rows: int, m: int) -> int:
    """Return `rows`; a ShapeError if they leave nothing of m for the Kronecker product."""
    if rows >= m:
        raise RefusedError(
            f"rows = {rows} dense rows leave nothing of m = {m} for A (x) B; "
            f"rows is at most m - 1 = {m - 1}"
        )
    return rows


class Count(traitlets.TraitType[int, Any]):
    """An integer from 0 on."""

    def validate(self, obj: Any, value: Any) -> int:
        """Return the value, or raise a RefusedError."""
        return count(str(self.name), value)


class Size(traitlets.TraitType[int, Any]):
    """An integer from 1 to `largest`."""

    def __init__(self, default: int, largest: int) -> None:
        super().__init__(default)
        self.largest = largest

    def validate(self, obj: Any, value: Any) -> int:
        """Return the value, or raise a RefusedError."""
        return size_up_to(self.largest, str(self.name), value)


class Choice(traitlets.TraitType[Any, Any]):
    """One of the given values, the first of which is the default."""

    def __init__(self, values: Sequence[Any], default: Any = None) -> None:
        super().__init__(values[0] if default is None else default)
        self.values = tuple(values)

    def validate(self, obj: Any, value: Any) -> Any:
        """Return the value, or raise a ValueError that lists the choices."""
        if value in self.values:
            return self.values[self.values.index(value)]
        known = ", ".join(map(repr, self.values))
        raise RefusedSettingError(f"{self.name} is {value!r}, but must be one of {known}")
