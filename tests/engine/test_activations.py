"""The vectorised sigmoid and tanh against NumPy in double precision, over all of their range.

The bounds are those that ``activations.hpp`` states. All 2**32 floats were compared once: the
largest errors were 9.2e-8 (sigmoid), 1.5e-7 and relative 2.4e-7 (tanh).
"""

import numpy as np
import pytest

from kplib.kernels.operation import CompiledOperation
from kplib.kernels.program import Program, cpp_scalar

COUNT = 4096  # numbers of one call
STRIDE = 1009  # every so many floats: a prime, so that all mantissas occur


@pytest.fixture(scope="module")
def evaluate():
    """The function (name, x) -> what the header's function makes of x."""
    operations = {}

    def run(name, x):
        key = name, x.dtype
        if key not in operations:
            program = Program(
                cpp_type=f"kplib::Elementwise<{cpp_scalar(x.dtype)}, {COUNT}, kplib::{name}>",
                header="kplib/activations.hpp", dtype=x.dtype, x_shape=(COUNT,), y_shape=(COUNT,),
                operands=(), macs=0, reference=lambda operands, x: x,
            )  # fmt: skip
            operations[key] = CompiledOperation(program, (), "cppyy")
        blocks = -(-x.size // COUNT)
        padded = np.resize(x, (blocks, COUNT))
        y = np.empty_like(padded)
        operations[key]._implementation.call(padded, y, blocks)
        return y.ravel()[: x.size]

    return run


def exact(name, x):
    x = x.astype(np.float64 if x.dtype == np.float32 else np.longdouble)
    if name == "Tanh":
        return np.tanh(x)
    return 1 / (1 + np.exp(-np.clip(x, -700, 700)))


def values(dtype):
    """Finite numbers of every size and both signs, and many around where the functions bend."""
    if dtype == np.float32:
        positive = np.arange(0, 0x7F800000, STRIDE, dtype=np.uint32).view(np.float32)
    else:
        positive = np.geomspace(5e-324, 1.7e308, 400_000)
    dense = np.linspace(0, 110 if dtype == np.float32 else 800, 1_000_003).astype(dtype)
    return np.concatenate([positive, dense, -positive, -dense])


BOUNDS = {
    ("Sigmoid", np.float32): 1.0e-7, ("Sigmoid", np.float64): 2.0e-16,
    ("Tanh", np.float32): 1.5e-7, ("Tanh", np.float64): 3.0e-16,
}  # fmt: skip


@pytest.mark.parametrize(("name", "dtype"), BOUNDS)
def test_the_stated_error_over_the_whole_range(evaluate, name, dtype):
    x = values(dtype)
    error = np.abs(evaluate(name, x) - exact(name, x))
    assert error.max() <= BOUNDS[name, dtype], x[error.argmax()]
    assert error.max() > BOUNDS[name, dtype] / 3  # the bound says something


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_tanh_keeps_small_numbers_relatively(evaluate, dtype):
    x = values(dtype)
    x = x[(np.abs(x) > 4 * np.finfo(dtype).tiny) & (np.abs(x) < 1)]
    relative = np.abs(evaluate("Tanh", x) / exact("Tanh", x) - 1)
    assert relative.max() < (2.5e-7 if dtype == np.float32 else 5e-16)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_saturation_is_exact_and_nan_stays_nan(evaluate, dtype):
    largest = np.finfo(dtype).max
    far = np.array([20, 90, 800, 1e4, largest, np.inf], dtype)
    beyond = far[2:]
    np.testing.assert_array_equal(evaluate("Tanh", far), 1)
    np.testing.assert_array_equal(evaluate("Tanh", -far), -1)
    np.testing.assert_array_equal(evaluate("Sigmoid", beyond), 1)
    np.testing.assert_array_equal(evaluate("Sigmoid", -beyond), 0)
    for name in ("Tanh", "Sigmoid", "Relu"):
        assert np.isnan(evaluate(name, np.array([np.nan, -np.nan], dtype))).all()
    y = evaluate("Relu", np.array([-np.inf, -1, -0.0, 0, 2, np.inf], dtype))
    np.testing.assert_array_equal(y, [0, 0, 0, 0, 2, np.inf])


def test_denormals(evaluate):
    x = np.array([1e-45, 1e-40, -3e-39], np.float32)
    np.testing.assert_allclose(evaluate("Tanh", x), x, rtol=1e-5)
    np.testing.assert_array_equal(evaluate("Sigmoid", x), 0.5)


@pytest.mark.parametrize("name", ["Sigmoid", "Tanh"])
def test_never_beyond_their_limits_and_never_downwards(evaluate, name):
    x = np.sort(values(np.float32))
    y = evaluate(name, x)
    assert y.min() == (0 if name == "Sigmoid" else -1)
    assert y.max() == 1
    assert np.diff(y).min() > -2.5e-7
