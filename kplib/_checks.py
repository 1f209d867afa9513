"""Checks of arguments: integers, arrays, dtypes, finite entries, names of options."""

import inspect
import operator
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from kplib.errors import DtypeError, ShapeError

Array = NDArray[Any]


def positive_integer(name: str, value: object) -> int:
    """Return `value` as an int, or raise a ShapeError unless it is an integer >= 1."""
    if not isinstance(value, bool | np.bool_):
        try:
            number = operator.index(value)  # type: ignore[arg-type]
        except TypeError:
            number = 0
        if number >= 1:
            return number
    raise ShapeError(f"{name} must be a positive integer, found {value!r}")


def numeric_array(name: str, value: ArrayLike) -> Array:
    """Return `value` as an array of booleans, integers, floats or complex numbers."""
    array = np.asarray(value)
    if array.dtype.kind not in "biufc":
        raise DtypeError(
            f"{name} has dtype {array.dtype}; bool, integer, float and complex are supported"
        )
    return array


def matrix(name: str, value: ArrayLike, *, empty_rows: bool = False) -> Array:
    """Return `value` as a numeric array of shape (rows, columns) that is not empty."""
    array = numeric_array(name, value)
    if array.ndim != 2:
        raise ShapeError(f"{name} must have 2 axes, found {array.ndim}: shape {array.shape}")
    if array.shape[1] == 0 or (array.shape[0] == 0 and not empty_rows):
        raise ShapeError(f"{name} is empty: shape {array.shape}")
    return array


def vectors(name: str, value: ArrayLike) -> Array:
    """Return `value` as a numeric array of shape (..., entries), a batch of vectors."""
    array = numeric_array(name, value)
    if array.ndim == 0:
        raise ShapeError(f"{name} must have at least 1 axis, found a scalar")
    return array


def require_options(name: str, function: Callable[..., object], options: Iterable[str]) -> None:
    """Refuse a keyword argument that a function does not have."""
    known = inspect.signature(function).parameters
    for option in options:
        if option not in known:
            raise ValueError(f"{name} has no option {option!r}, but {', '.join(known)}")


def require_finite(name: str, array: Array) -> None:
    """Raise a ValueError that counts the NaN and infinite entries of `array`, if it has any."""
    bad = ~np.isfinite(array)
    if bad.any():
        first = tuple(int(i) for i in np.argwhere(bad)[0])
        raise ValueError(
            f"{name} has {np.count_nonzero(bad)} NaN or infinite entries, the first at {first}"
        )


def promote(named: Sequence[tuple[str, Array]]) -> list[Array]:
    """Convert arrays to the one dtype that kplib computes their product in.

    NumPy's promotion, except that no product is formed in fewer than 32 bits: only booleans and
    integers give int64, float16 gives float32. No value changes in the cast to int64.
    """
    arrays = [array for _, array in named]
    if all(array.dtype.kind in "biu" for array in arrays):
        for name, array in named:
            if array.dtype == np.uint64 and array.size and array.max() > np.iinfo(np.int64).max:
                raise DtypeError(f"{name} has the entry {array.max()}, which int64 cannot hold")
        dtype = np.dtype(np.int64)
    else:
        dtype = np.result_type(np.float32, *(array.dtype for array in arrays))
    return [array.astype(dtype, copy=False) for array in arrays]


def inexact(named: Sequence[tuple[str, Array]]) -> list[Array]:
    """Convert finite arrays to the one float or complex dtype LAPACK is called with.

    As `promote`, but integers give float64, and long double is refused: LAPACK would compute with
    fewer bits.
    """
    for name, array in named:
        widest = np.dtype(np.complex128 if array.dtype.kind == "c" else np.float64)
        if array.dtype.itemsize > widest.itemsize:
            raise DtypeError(
                f"{name} has dtype {array.dtype}, which LAPACK does not compute in; "
                f"convert it to {widest} first"
            )
        require_finite(name, array)
    arrays = promote(named)
    if arrays[0].dtype.kind == "i":
        return [array.astype(np.float64) for array in arrays]
    return arrays
