"""No input crashes the process, and nothing is read or written beyond a buffer."""

import mmap
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import kplib
from kplib.errors import BufferLayoutError, DtypeError, ShapeError

N, M = 12, 10
EXPECTED_ERRORS = (ShapeError, DtypeError, BufferLayoutError)


@pytest.fixture(scope="module", params=["cppyy", "compiler", "numpy"])
def op(request):
    rng = np.random.default_rng(0)
    A, B = (
        rng.integers(-3, 4, (2, 3)).astype(np.float32),
        rng.integers(-3, 4, (5, 4)).astype(np.float32),
    )
    return kplib.compile_kron(A, B, loader=request.param), np.kron(A, B)


def misaligned(count, dtype):
    itemsize = np.dtype(dtype).itemsize
    return np.zeros(count * itemsize + 1, np.uint8)[1:].view(dtype)


def read_only(array):
    array.flags.writeable = False
    return array


dtypes = st.sampled_from(
    ["f2", "f4", "f8", ">f4", "i1", "i4", "i8", "u8", "?", "c8", "O", "M8[s]", "U3"]
)
lengths = st.sampled_from([0, 1, M - 1, M, N - 1, N, N + 1, 2 * N, 1000])
batches = st.sampled_from([(), (0,), (1,), (3,), (2, 3)])
layouts = st.sampled_from(
    ["plain", "reversed", "strided", "fortran", "misaligned", "read-only", "broadcast", "memmap"]
)


@st.composite
def hostile(draw):
    """An array of any dtype, shape and layout; many are fine for some argument."""
    shape = (*draw(batches), draw(lengths))
    dtype, layout = draw(dtypes), draw(layouts)
    count = int(np.prod(shape))
    if layout == "misaligned" and dtype not in ("O", "U3"):
        return misaligned(count, dtype).reshape(shape)
    if layout == "broadcast":
        return np.broadcast_to(np.zeros((), dtype), shape)
    if layout == "memmap" and count and dtype not in ("O", "U3"):
        return np.frombuffer(mmap.mmap(-1, count * np.dtype(dtype).itemsize), dtype).reshape(shape)
    array = np.zeros(shape, dtype)
    if layout == "reversed":
        return array[..., ::-1]
    if layout == "strided":
        return np.zeros((*shape, 2), dtype)[..., 0]
    if layout == "fortran":
        return np.asfortranarray(array)
    return read_only(array) if layout == "read-only" else array


others = st.sampled_from(
    [None, 1, 1.5, "text", b"bytes", [], [1.0] * N, {}, object(), np.float32(1), bytearray(48)]
)
anything = st.one_of(hostile(), others)


@settings(max_examples=300, deadline=None)
@given(x=anything)
def test_any_argument_of_a_call_gives_a_result_or_a_clear_error(op, x):
    operation, _ = op
    try:
        y = operation(x)
    except EXPECTED_ERRORS:
        return
    else:
        assert y.shape == (*np.shape(x)[:-1], M)
        assert y.dtype == np.float32


@settings(max_examples=300, deadline=None)
@given(x=anything, y=anything)
def test_any_two_buffers_are_bound_or_refused(op, x, y):
    operation, _ = op
    try:
        run = operation.bind(x, y)
    except EXPECTED_ERRORS:
        return
    else:
        run()
        assert x.shape[:-1] == y.shape[:-1]
        assert (x.shape[-1], y.shape[-1]) == (N, M)
        assert x.dtype == y.dtype == np.float32


@settings(max_examples=200, deadline=None)
@given(a=anything, b=anything)
def test_any_operands_are_compiled_or_refused(a, b):
    for make in (kplib.compile_kron, kplib.compile_lowrank):
        try:
            made = make(a, b, loader="numpy")
        except EXPECTED_ERRORS:
            continue
        else:
            assert min(made.shape) > 0


def test_every_reason_to_refuse_a_buffer_has_its_message(op):
    operation, _ = op
    x, y = np.zeros(N, np.float32), np.zeros(M, np.float32)
    both = np.zeros(N + M, np.float32)
    for args, error, text in [
        ((x.astype("f8"), y), DtypeError, "x is float64"),
        ((x, y.astype(">f4")), DtypeError, "y is >f4"),
        ((x[:-1], y), ShapeError, r"x has shape \(11,\), but must end in \(..., 12\)"),
        ((x, np.zeros((1, M), "f4")), ShapeError, r"x has shape \(12,\) and y \(1, 10\)"),
        ((np.zeros(2 * N, "f4")[::2], y), BufferLayoutError, "must be C-contiguous"),
        ((misaligned(N, "f4"), y), BufferLayoutError, "aligned"),
        ((x, read_only(y.copy())), BufferLayoutError, "read-only"),
        ((both[:N], both[N - 1 : N + M - 1]), BufferLayoutError, "share memory"),
        ((list(x), y), BufferLayoutError, "x is a list"),
    ]:
        with pytest.raises(error, match=text):
            operation.bind(*args)
    operation.bind(both[:N], both[N:])()  # neighbours do not overlap


def test_a_call_converts_only_what_loses_nothing(op):
    operation, W = op
    x = np.arange(N)
    np.testing.assert_array_equal(operation(x.astype("i2")), W @ x.astype("f4"))
    np.testing.assert_array_equal(operation(x.astype("f2")), W @ x.astype("f4"))
    np.testing.assert_array_equal(operation(x.astype(">f4")), W @ x.astype("f4"))
    np.testing.assert_array_equal(operation(x.astype("f4")[::-1]), W @ x.astype("f4")[::-1])
    copy = misaligned(N, "f4")
    copy[:] = x
    np.testing.assert_array_equal(operation(copy), W @ x.astype("f4"))
    with pytest.raises(DtypeError, match="x is complex64"):
        operation(x.astype("c8"))
    for wide in ("f8", "i4", "i8"):
        with pytest.raises(DtypeError, match="computes in float32"):
            operation(x.astype(wide))


def run_guarded(what):
    script = Path(__file__).parents[1] / "guarded_buffers.py"
    return subprocess.run([sys.executable, script, what], capture_output=True, text=True)


def test_guard_pages_around_every_buffer_are_never_touched():
    done = run_guarded("matvec")
    assert done.stdout == "nothing touched the guards\n", (done.returncode, done.stderr[-2000:])
    assert run_guarded("beyond").returncode < 0  # killed by a signal: the guards do guard


def test_neighbours_that_are_nan_do_not_leak(op):
    operation, W = op
    buffer = np.full(N + 64, np.nan, np.float32)
    target = np.full(M + 64, np.nan, np.float32)
    for start in range(33):
        buffer[:] = target[:] = np.nan
        x, y = buffer[start : start + N], target[start : start + M]
        x[:] = np.arange(N)
        operation.bind(x, y)()
        np.testing.assert_array_equal(y, W @ x)
        assert np.isnan(target).sum() == 64
