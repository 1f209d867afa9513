"""Compiled products equal the dense ones: exactly on integers, closely on real numbers."""

import copy
import gc
import pickle
import re
import threading
import time
import weakref

import numpy as np
import pytest

import kplib
from kplib.errors import DtypeError, ShapeError

LOADERS = ["cppyy", "compiler", "numpy"]
DTYPES = [np.float32, np.float64]


def integers(rng, *shape, dtype=np.float64):
    """Small integers, so that every sum is exact in either dtype."""
    return rng.integers(-3, 4, shape).astype(dtype)


def operations(rng, dtype, loader):
    """One operation of each kind, unequal rectangular sizes, with its dense matrix."""
    A, B, D = (integers(rng, *s, dtype=dtype) for s in [(7, 4), (5, 9), (3, 36)])
    U, V = (integers(rng, *s, dtype=dtype) for s in [(23, 3), (3, 36)])
    K = np.kron(A, B)
    yield kplib.compile_kron(A, B, loader=loader), K
    yield kplib.compile_hybrid(D, A, B, loader=loader), np.vstack([D, K])
    yield kplib.compile_dense(K, loader=loader), K
    yield kplib.compile_lowrank(U, V, loader=loader), U @ V


@pytest.mark.parametrize("loader", LOADERS)
@pytest.mark.parametrize("dtype", DTYPES)
def test_every_kind_under_every_loader(loader, dtype):
    rng = np.random.default_rng(1)
    for op, W in operations(rng, dtype, loader):
        assert op.shape == W.shape
        assert op.dtype == dtype
        assert op.loader == loader
        x = integers(rng, W.shape[1], dtype=dtype)
        y = op(x)
        assert y.dtype == dtype
        np.testing.assert_array_equal(y, W @ x)
        xs = integers(rng, 2, 3, W.shape[1], dtype=dtype)
        np.testing.assert_array_equal(op(xs), xs @ W.T)
        out = np.full((2, 3, W.shape[0]), np.nan, dtype)
        run = op.bind(xs, out)
        assert run() is None
        np.testing.assert_array_equal(out, xs @ W.T)
        xs[:] = integers(rng, *xs.shape, dtype=dtype)
        run()
        np.testing.assert_array_equal(out, xs @ W.T)


def random_shape(rng):
    """(m1, n1, m2, n2), log-uniform up to 90: many ones, primes, and sizes around a vector's."""
    return tuple(int(v) for v in np.exp(rng.uniform(0, np.log(91), 4)))


def test_two_hundred_shapes_in_one_process_are_exact():
    rng = np.random.default_rng(2)
    shapes = {random_shape(rng) for _ in range(200)} | {(59, 8, 2, 16), (89, 15, 2, 17)}
    assert len(shapes) > 190
    assert any(1 in shape for shape in shapes)
    for number, (m1, n1, m2, n2) in enumerate(sorted(shapes)):
        dtype = DTYPES[number % 4 == 0]  # every fourth in double precision
        A, B = integers(rng, m1, n1, dtype=dtype), integers(rng, m2, n2, dtype=dtype)
        x = integers(rng, 2, n1 * n2, dtype=dtype)
        expected = np.einsum("ik,bkl,jl->bij", A, x.reshape(2, n1, n2), B).reshape(2, -1)
        np.testing.assert_array_equal(kplib.compile_kron(A, B)(x), expected, f"{m1, n1, m2, n2}")


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("shape", [(59, 8, 2, 16), (14, 4, 11, 41), (64, 64, 64, 64)])
def test_rounding_is_that_of_a_good_dense_product(dtype, shape):
    rng = np.random.default_rng(3)
    m1, n1, m2, n2 = shape
    A, B = rng.standard_normal((m1, n1)), rng.standard_normal((m2, n2))
    x = rng.standard_normal(n1 * n2)
    exact = kplib.kron_matvec(A, B, x)
    y = kplib.compile_kron(A.astype(dtype), B.astype(dtype))(x.astype(dtype))
    assert np.abs(y - exact).max() <= 8 * np.finfo(dtype).eps * np.abs(exact).max()


@pytest.mark.parametrize("loader", ["cppyy", "compiler", "numpy"])
def test_operands_are_rounded_to_the_dtype_by_every_loader(loader):
    W = np.array([[2.0**24 + 1, -(2.0**24)]])  # the first is no float32
    op = kplib.compile_dense(W, dtype=np.float32, loader=loader)
    np.testing.assert_array_equal(op(np.ones(2, np.float32)), [0])


def test_large_scratch_memory_is_taken_from_the_heap():
    A, B = np.ones((2, 9000), np.float32), np.ones((3, 2), np.float32)  # T has 27,000 entries
    y = kplib.compile_kron(A, B)(np.ones(18000, np.float32))
    np.testing.assert_array_equal(y, np.full(6, 18000, np.float32))


def test_nan_and_infinity_spread_as_far_as_in_the_dense_product():
    rng = np.random.default_rng(4)
    A, B = rng.uniform(1, 2, (6, 4)), rng.uniform(1, 2, (3, 17))
    B[1] = 0.0
    op = kplib.compile_kron(A, B)
    for bad in (np.nan, np.inf):
        x = rng.uniform(1, 2, 68)
        x[20] = bad
        with np.errstate(invalid="ignore"):
            np.testing.assert_array_equal(np.isnan(op(x)), np.isnan(np.kron(A, B) @ x))
    D = np.zeros((2, 68))
    finite = kplib.compile_hybrid(D, A, B)(np.ones(68))
    assert np.isfinite(finite).all()


def test_the_dtype_is_the_operands_unless_it_is_given():
    A, B = np.ones((2, 3)), np.ones((4, 5))
    single = np.float32
    assert kplib.compile_kron(A, B).dtype == np.float64
    assert kplib.compile_kron(A.astype(single), B.astype(single)).dtype == single
    assert kplib.compile_kron(A.astype(single), B).dtype == np.float64
    assert kplib.compile_kron(A.astype(int), B.astype(int)).dtype == np.float64
    assert kplib.compile_kron(A.astype(np.float16), B.astype(single)).dtype == single
    assert kplib.compile_kron(A, B, dtype="float32").dtype == single
    with pytest.raises(DtypeError, match="complex128"):
        kplib.compile_kron(A + 0j, B)
    with pytest.raises(DtypeError, match="object"):
        kplib.compile_dense(A.astype(object))
    with pytest.raises(DtypeError, match="float16"):
        kplib.compile_kron(A, B, dtype=np.float16)
    for bad in (A + 1j, A.astype(object), A.astype(str), A.astype("M8[s]")):
        with pytest.raises(DtypeError, match="A is "):
            kplib.compile_kron(bad, B, dtype="float32")
    for large in (2**53 + 1, -(2**53) - 2):
        with pytest.raises(DtypeError, match="not exact in float64"):
            kplib.compile_dense([[large]])
        with pytest.raises(DtypeError, match="not exact in float64"):
            kplib.compile_dense([[1.0]])([large])
    with pytest.raises(DtypeError, match="not exact in float64"):
        kplib.compile_dense(np.array([[2**64 - 1]], np.uint64))


def test_operands_that_do_not_fit_are_named_with_their_sizes():
    one = np.ones((2, 3))
    with pytest.raises(
        ShapeError, match=r"D \(2, 7\) has 7 columns, but A \(2, 3\) and B \(4, 2\) need 3 \* 2 = 6"
    ):
        kplib.compile_hybrid(np.ones((2, 7)), one, np.ones((4, 2)))
    with pytest.raises(ShapeError, match=r"U \(2, 3\) has 3 columns, but V \(4, 2\) has 4 rows"):
        kplib.compile_lowrank(one, np.ones((4, 2)))
    with pytest.raises(ShapeError, match=r"\(7,\), .* A \(2, 3\) and B \(4, 2\) need 3 \* 2 = 6"):
        kplib.compile_kron(one, np.ones((4, 2)))(np.ones(7))
    tall = np.ones((50_000, 1), np.float32)
    with pytest.raises(ShapeError, match="2500000000, but compiled code takes sizes below"):
        kplib.compile_kron(tall, tall)
    for bad in (np.ones(3), np.ones((2, 0)), np.ones((1, 2, 3)), 5.0):
        with pytest.raises(ShapeError, match="A has shape"):
            kplib.compile_kron(bad, one)


def test_operands_of_any_layout_are_copied():
    rng = np.random.default_rng(5)
    A, B = rng.standard_normal((8, 10))[::2, ::-2], np.asfortranarray(rng.standard_normal((3, 7)))
    W = np.kron(A, B)
    op = kplib.compile_kron(A, B)
    x = rng.standard_normal(70)[::-2]
    np.testing.assert_allclose(op(x), W @ x)
    A[:] = 0
    np.testing.assert_allclose(op(x), W @ x)
    np.testing.assert_allclose(op(list(x)), W @ x)


def test_a_hybrid_without_dense_rows_is_a_kronecker_product():
    A, B = np.ones((3, 2)), np.ones((2, 5))
    op = kplib.compile_hybrid(np.empty((0, 10)), A, B)
    np.testing.assert_array_equal(op(np.arange(10.0)), kplib.kron_matvec(A, B, np.arange(10.0)))
    with pytest.raises(ShapeError, match=r"D \(0, 9\) has 9 columns"):
        kplib.compile_hybrid(np.empty((0, 9)), A, B)


def test_an_empty_batch_gives_an_empty_result():
    op = kplib.compile_dense(np.ones((3, 4)))
    assert op(np.ones((0, 4))).shape == (0, 3)
    op.bind(np.ones((0, 4)), np.ones((0, 3)))()


def test_one_shape_is_compiled_once_and_a_cell_can_be_run_again():
    A, B = np.ones((31, 3)), np.ones((5, 29))
    first = kplib.compile_kron(A, B)
    start = time.perf_counter()
    again = [kplib.compile_kron(k * A, B) for k in range(20)]
    assert len({op.function_address for op in [first, *again]}) == 1
    assert len({op.weights_address for op in [first, *again]}) == 21
    assert (time.perf_counter() - start) < 1.0
    np.testing.assert_array_equal(again[3](np.ones(87)), 3 * first(np.ones(87)))


def test_many_threads_may_compile_and_call_at_a_time():
    rng = np.random.default_rng(6)
    wrong = []

    def work(seed):
        local = np.random.default_rng(seed)
        A, B = integers(local, 3 + seed, 5), integers(local, 4, 2 + seed)
        op, W = kplib.compile_kron(A, B), np.kron(A, B)
        x, y = integers(local, W.shape[1]), np.empty(W.shape[0])
        run = op.bind(x, y)
        for _ in range(200):
            x[:] = integers(local, W.shape[1])
            run()
            if not (y == W @ x).all() or not (shared(x5) == W5 @ x5).all():
                wrong.append(seed)

    A5, B5 = integers(rng, 9, 5), integers(rng, 4, 6)
    shared, W5, x5 = kplib.compile_kron(A5, B5), np.kron(A5, B5), integers(rng, 30)
    threads = [threading.Thread(target=work, args=(seed,)) for seed in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []


@pytest.mark.parametrize("loader", ["cppyy", "compiler"])
@pytest.mark.parametrize("bound", [True, False])
def test_long_calls_let_other_threads_run(loader, bound):
    op = kplib.compile_dense(np.ones((512, 512)), loader=loader)
    x, y = np.ones((8_000, 512)), np.empty((8_000, 512))
    call = op.bind(x, y) if bound else lambda: op(x)
    took = []

    def long_call():
        start = time.perf_counter()
        call()
        took.append(time.perf_counter() - start)

    thread = threading.Thread(target=long_call)
    last, longest_wait = time.perf_counter(), 0.0
    thread.start()  # waits for the thread to run, so it may itself be stopped by the call
    while thread.is_alive():
        time.sleep(0.001)
        now = time.perf_counter()
        last, longest_wait = now, max(longest_wait, now - last)
    thread.join()
    assert longest_wait < 0.5 * took[0]  # a call that kept the GIL would have stopped this loop


@pytest.mark.parametrize("loader", LOADERS)
def test_a_bound_call_keeps_its_buffers_and_lets_them_go(loader):
    op = kplib.compile_dense(np.full((3, 4), 2.0), loader=loader)
    x, y = np.ones(4), np.zeros(3)
    gone = weakref.ref(x), weakref.ref(y), weakref.ref(op)
    run = op.bind(x, y)
    view = y[:]
    del x, y, op
    gc.collect()
    assert gone[0]() is not None
    run()
    np.testing.assert_array_equal(view, [8, 8, 8])
    del run, view
    gc.collect()
    assert [reference() for reference in gone] == [None, None, None]


def test_an_operation_can_be_copied_and_says_why_it_is_not_pickled():
    op = kplib.compile_dense(np.eye(2))
    assert copy.deepcopy({"op": op})["op"] is op
    assert copy.copy(op) is op
    with pytest.raises(TypeError, match="machine code of this process and cannot be pickled"):
        pickle.dumps(op)


def test_weights_cannot_be_changed_from_outside_and_report_their_size():
    op = kplib.compile_kron(np.ones((59, 8), np.float32), np.ones((2, 16), np.float32))
    assert 4 * 504 <= op.weight_bytes <= 4 * 504 * 1.25
    assert op.weights_address % 64 == 0
    assert op.macs == 1200


@pytest.mark.parametrize("loader", ["cppyy", "compiler"])
def test_assembly_is_the_machine_code_of_one_call(loader):
    op = kplib.compile_kron(
        np.ones((8, 4), np.float32), np.ones((5, 17), np.float32), loader=loader
    )
    lines = op.assembly().splitlines()
    offsets = [int(line.split()[0]) for line in lines]
    assert offsets == sorted(offsets)
    assert offsets[0] == 0
    assert re.search(r"\bret$", lines[-1])
    assert 30 < len(lines) < 2000
    assert sum("fmadd" in line or "fmla" in line or "mul" in line for line in lines) >= 10
    with pytest.raises(ValueError, match="compiles nothing"):
        kplib.compile_dense(np.eye(2), loader="numpy").assembly()


def test_source_and_repr_say_what_was_compiled():
    op = kplib.compile_hybrid(np.ones((2, 6)), np.ones((4, 2)), np.ones((5, 3)))
    assert "using Op = kplib::Hybrid<double, 2, 4, 2, 5, 3>;" in op.source
    assert repr(op) == f"<Hybrid_double_2_4_2_5_3: 22 x 6, float64, {op.macs} MACs, loader cppyy>"
    assert op.macs == 2 * 6 + kplib.FactorShape(4, 2, 5, 3).macs
    assert "-O" in op.flags
