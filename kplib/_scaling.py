"""Exact scaling by powers of two, so that what is representable does not overflow on the way."""

import numpy as np

from kplib._checks import Array


def exponent(array: Array) -> int:
    """Return the least e with every real and imaginary part below 2**e; 0 if all are zero."""
    return int(np.frexp(np.abs(_parts(array)).max())[1])


def times_power_of_two(array: Array, power: int) -> Array:
    """Multiply a float or complex array by 2**power, where 2**power itself may be no number."""
    return np.ldexp(_parts(array), power).view(array.dtype)


def _parts(array: Array) -> Array:
    """Real and imaginary parts side by side in the last axis."""
    return np.ascontiguousarray(array).view(array.real.dtype)
