"""Checks that stand between NumPy arrays and C++ pointers: none passes unchecked."""

import math

import numpy as np
from numpy.typing import ArrayLike, DTypeLike

from kplib.errors import BufferLayoutError, DtypeError, ShapeError

ALIGNMENT = 64  # bytes: a cache line, and the widest vector


def aligned_empty(count: int, dtype: DTypeLike) -> np.ndarray:
    """Return an uninitialised vector whose first entry lies on a 64-byte boundary."""
    dtype = np.dtype(dtype)
    raw = np.empty(count * dtype.itemsize + ALIGNMENT, np.uint8)
    start = -raw.ctypes.data % ALIGNMENT
    return raw[start : start + count * dtype.itemsize].view(dtype)


def kernel_dtype(arrays: dict[str, np.ndarray], dtype: DTypeLike | None = None) -> np.dtype:
    """Return float32 or float64: `dtype` if given, else the one that holds all arrays exactly.

    Raises
    ------
    DtypeError
        For complex, object or wider types, which the kernels do not have; for integers that
        float64 does not hold exactly.
    """
    for name, array in arrays.items():
        _require_real(name, array)
    if dtype is not None:
        asked = np.dtype(dtype)
        if asked not in (np.float32, np.float64):
            raise DtypeError(f"dtype is {asked}, but kernels exist for float32 and float64 only")
        return asked
    for name, array in arrays.items():
        _require_exact(name, array)
    common = np.result_type(*(array.dtype for array in arrays.values()))
    return np.dtype(np.float32 if common in (np.float16, np.float32) else np.float64)


def _require_real(name: str, array: np.ndarray) -> None:
    if array.dtype.kind not in "fiub" or array.dtype.itemsize > 8:
        raise DtypeError(f"{name} is {array.dtype}, but kernels exist for float32 and float64 only")


def _require_exact(name: str, array: np.ndarray) -> None:
    """Refuse integers beyond 2**53, of which float64 holds not all."""
    if array.dtype.kind in "iu" and array.dtype.itemsize == 8 and array.size:
        largest = max(abs(int(array.max())), abs(int(array.min())))
        if largest > 2**53:
            raise DtypeError(
                f"{name} holds the integer {largest}, beyond 2**53: not exact in float64"
            )


def as_matrix(name: str, value: ArrayLike, least_rows: int = 1) -> np.ndarray:
    """Return `value` as a matrix of at least this many rows and one column, or raise ShapeError."""
    array = np.asarray(value)
    if array.ndim != 2 or array.shape[0] < least_rows or array.shape[1] == 0:
        raise ShapeError(
            f"{name} has shape {array.shape}, but must be a matrix with at least "
            f"{least_rows} x 1 entries"
        )
    return array


def batch_count(name: str, array: np.ndarray, inner: tuple[int, ...], reason: str = "") -> int:
    """Return how many items of shape `inner` the array holds: its leading axes."""
    split = array.ndim - len(inner)
    if split < 0 or array.shape[split:] != inner:
        wanted = ", ".join(["...", *map(str, inner)])
        raise ShapeError(
            f"{name} has shape {array.shape}, but must end in ({wanted}){reason and f': {reason}'}"
        )
    return math.prod(array.shape[:split])


def as_argument(
    value: ArrayLike, dtype: np.dtype, inner: tuple[int, ...], reason: str = ""
) -> np.ndarray:
    """Return `value` as a C-contiguous array of `dtype`, shape (..., *inner); never loses bits.

    `reason` says in an error where `inner` comes from.
    """
    array = np.asarray(value)
    if array.dtype == dtype:
        flags = array.flags
        if array.shape == inner and flags.c_contiguous and flags.aligned:
            return array
    else:
        _require_real("x", array)
        _require_exact("x", array)
        if not np.can_cast(array.dtype, dtype, casting="safe"):
            raise DtypeError(
                f"x is {array.dtype}, but this operation computes in {dtype}; "
                f"convert it yourself if fewer bits will do: x.astype({dtype.name!r})"
            )
    batch_count("x", array, inner, reason)
    return np.require(array, dtype, ["C", "A"])


def check_bound(
    x: object,
    y: object,
    dtype: np.dtype,
    x_inner: tuple[int, ...],
    y_inner: tuple[int, ...],
    reason: str = "",
    y_name: str = "y",
) -> int:
    """Check two buffers that compiled code will use as they are; return the number of items.

    Raises
    ------
    DtypeError, ShapeError, BufferLayoutError
        If either is not an ndarray of exactly this dtype and shape, C-contiguous and aligned; if y
        is read-only; if the two share memory.
    """
    source = _buffer("x", x, dtype, x_inner, reason)
    target = _buffer(y_name, y, dtype, y_inner)
    x_lead = source.shape[: source.ndim - len(x_inner)]
    y_lead = target.shape[: target.ndim - len(y_inner)]
    if x_lead != y_lead:
        raise ShapeError(
            f"x has shape {source.shape} and {y_name} {target.shape}: their leading axes differ"
        )
    if not target.flags.writeable:
        raise BufferLayoutError(f"{y_name} is read-only, but the result is written into it")
    if np.may_share_memory(source, target):
        raise BufferLayoutError(
            f"x and {y_name} share memory, but {y_name} is written while x is read"
        )
    return math.prod(x_lead)


def _buffer(
    name: str, value: object, dtype: np.dtype, inner: tuple[int, ...], reason: str = ""
) -> np.ndarray:
    if not isinstance(value, np.ndarray):
        raise BufferLayoutError(f"{name} is a {type(value).__name__}, but must be an ndarray")
    if value.dtype != dtype:
        raise DtypeError(f"{name} is {value.dtype}, but this operation computes in {dtype}")
    batch_count(name, value, inner, reason)
    if not value.flags.c_contiguous or not value.flags.aligned:
        raise BufferLayoutError(
            f"{name} has strides {value.strides} for shape {value.shape} at address "
            f"{value.ctypes.data:#x}, but must be C-contiguous and aligned"
        )
    return value
