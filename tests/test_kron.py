"""Products: exact against np.kron, cost by counting, adjoints, inputs; nearest products."""

import itertools
import math
import re
from functools import reduce

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal
from scipy.optimize import minimize

import kplib
from kplib.errors import DtypeError, ShapeError
from kplib.kron import (
    chain_matvec,
    chain_rmatvec,
    hybrid_matvec,
    hybrid_rmatvec,
    kron_matvec,
    kron_rmatvec,
    nearest_kron,
    rearrangement,
)
from kplib.shapes import FactorShape

checked = settings(deadline=None, max_examples=150)
shape_of_matrix = st.tuples(st.integers(1, 7), st.integers(1, 7))
batches = st.sampled_from([(), (1,), (5,), (0,), (2, 3)])
seeds = st.integers(0, 2**32 - 1)
floats = [np.float32, np.float64, np.complex64, np.complex128]


def integers(rng, *shape):
    """Entries large enough to overflow eight bits at once, small enough to be exact in float64."""
    return rng.integers(-99, 100, shape)


def gaussian(rng, *shape, dtype=np.float64):
    values = rng.standard_normal(shape)
    if np.dtype(dtype).kind == "c":
        values = values + 1j * rng.standard_normal(shape)
    return values.astype(dtype)


def dense(*factors):
    return reduce(np.kron, factors)


def apply(W, x):
    """The dense product with each vector of a batch."""
    return np.einsum("ij,...j->...i", W, x)


# Equality with the dense product, exact in integers.


@given(shape_of_matrix, shape_of_matrix, batches, seeds)
@checked
def test_kron_products_are_exact(a, b, batch, seed):
    rng = np.random.default_rng(seed)
    A, B = integers(rng, *a), integers(rng, *b)
    x, y = integers(rng, *batch, a[1] * b[1]), integers(rng, *batch, a[0] * b[0])
    forward, adjoint = kron_matvec(A, B, x), kron_rmatvec(A, B, y)
    assert_array_equal(forward, apply(dense(A, B), x), strict=True)
    assert_array_equal(adjoint, apply(dense(A, B).T, y), strict=True)
    assert forward.flags.c_contiguous
    assert adjoint.flags.c_contiguous


@given(st.integers(0, 4), shape_of_matrix, shape_of_matrix, batches, seeds)
@checked
def test_hybrid_products_are_exact(r, a, b, batch, seed):
    rng = np.random.default_rng(seed)
    A, B = integers(rng, *a), integers(rng, *b)
    D = integers(rng, r, a[1] * b[1])
    W = np.vstack([D, dense(A, B)])
    x, y = integers(rng, *batch, W.shape[1]), integers(rng, *batch, W.shape[0])
    assert_array_equal(hybrid_matvec(D, A, B, x), apply(W, x), strict=True)
    assert_array_equal(hybrid_rmatvec(D, A, B, y), apply(W.T, y), strict=True)


@given(st.lists(st.tuples(st.integers(1, 4), st.integers(1, 4)), min_size=1, max_size=5), seeds)
@checked
def test_chain_products_are_exact(shapes, seed):
    rng = np.random.default_rng(seed)
    factors = [rng.integers(-9, 10, shape) for shape in shapes]
    W = dense(*factors)
    x, y = integers(rng, 3, W.shape[1]), integers(rng, 3, W.shape[0])
    assert_array_equal(chain_matvec(factors, x), apply(W, x), strict=True)
    assert_array_equal(chain_rmatvec(iter(factors), y), apply(W.T, y), strict=True)


def test_eight_factors_of_two_by_two():
    rng = np.random.default_rng(3)
    factors = [integers(rng, 2, 2) for _ in range(8)]
    x = rng.integers(-2, 3, 256)
    assert_array_equal(chain_matvec(factors, x), dense(*factors) @ x)


@given(
    st.lists(st.tuples(st.integers(1, 4), st.integers(1, 4)), min_size=1, max_size=4),
    st.sampled_from(floats),
    seeds,
)
@checked
def test_adjoints_satisfy_their_definition(shapes, dtype, seed):
    """<K x, y> = <x, K^H y>, with complex inner products."""
    rng = np.random.default_rng(seed)
    factors = [gaussian(rng, *shape, dtype=dtype) for shape in shapes]
    m, n = (math.prod(sizes) for sizes in zip(*shapes, strict=True))
    x, y = gaussian(rng, n, dtype=dtype), gaussian(rng, m, dtype=dtype)
    pairs = [(chain_matvec(factors, x), chain_rmatvec(factors, y), y)]
    if len(factors) == 2:
        D = gaussian(rng, 3, n, dtype=dtype)
        longer = gaussian(rng, 3 + m, dtype=dtype)
        pairs.append((kron_matvec(*factors, x), kron_rmatvec(*factors, y), y))
        pairs.append((hybrid_matvec(D, *factors, x), hybrid_rmatvec(D, *factors, longer), longer))
    eps = np.finfo(dtype).eps
    for forward, adjoint, other in pairs:
        scale = np.linalg.norm(forward) * np.linalg.norm(other) + np.linalg.norm(
            adjoint
        ) * np.linalg.norm(x)
        assert abs(np.vdot(other, forward) - np.vdot(adjoint, x)) <= 50 * eps * scale


def test_the_definition_has_an_adjoint_and_not_a_transpose():
    A, B = np.array([[1j, 2.0]]), np.array([[3.0], [1 - 1j]])
    y = np.array([1.0, 1j])
    assert_allclose(kron_rmatvec(A, B, y), dense(A, B).conj().T @ y)
    assert not np.allclose(kron_rmatvec(A, B, y), dense(A, B).T @ y)


def test_row_major_is_not_the_papers_column_major():
    rng = np.random.default_rng(1)
    A, B, x = integers(rng, 2, 3), integers(rng, 5, 4), integers(rng, 12)
    assert_array_equal(kron_matvec(A, B, x), (A @ x.reshape(3, 4) @ B.T).reshape(10))
    column_major = (B @ x.reshape(4, 3, order="F") @ A.T).reshape(10, order="F")
    assert_array_equal(kron_matvec(A, B, x), column_major)
    assert not np.array_equal(kron_matvec(A, B, x), (B @ x.reshape(4, 3) @ A.T).reshape(10))


# The cost: every scalar multiplication that np.matmul does is counted.


class Tally:
    """Runs np.matmul on Python objects that count their multiplications."""

    def __init__(self, monkeypatch):
        self.count = 0
        tally = self

        class Scalar:
            def __init__(self, value):
                self.value = value

            def __mul__(self, other):
                tally.count += 1
                return Scalar(self.value * other.value)

            def __add__(self, other):
                return Scalar(self.value + other.value)

        matmul, wrap = np.matmul, np.frompyfunc(Scalar, 1, 1)
        unwrap = np.frompyfunc(lambda scalar: scalar.value, 1, 1)

        def counting(left, right):
            return unwrap(matmul(wrap(left), wrap(right))).astype(left.dtype)

        monkeypatch.setattr(np, "matmul", counting)


def counted(function, *arguments):
    with pytest.MonkeyPatch.context() as monkeypatch:
        tally = Tally(monkeypatch)
        result = function(*arguments)
    return tally.count, result


@given(shape_of_matrix, shape_of_matrix, st.integers(1, 3), seeds)
@settings(deadline=None, max_examples=60)
def test_the_product_does_as_many_multiplications_as_the_shape_says(a, b, batch, seed):
    rng = np.random.default_rng(seed)
    A, B, D = integers(rng, *a), integers(rng, *b), integers(rng, 2, a[1] * b[1])
    x, y = integers(rng, batch, a[1] * b[1]), integers(rng, batch, a[0] * b[0])
    macs, result = counted(kron_matvec, A, B, x)
    assert macs == batch * FactorShape(*a, *b).macs
    assert_array_equal(result, apply(dense(A, B), x))
    macs, _ = counted(kron_rmatvec, A, B, y)
    assert macs == batch * FactorShape(*a[::-1], *b[::-1]).macs
    macs, _ = counted(hybrid_matvec, D, A, B, x)
    assert macs == batch * (D.size + FactorShape(*a, *b).macs)
    y = integers(rng, batch, 2 + a[0] * b[0])
    macs, _ = counted(hybrid_rmatvec, D, A, B, y)
    assert macs == batch * (D.size + FactorShape(*a[::-1], *b[::-1]).macs)


@pytest.mark.parametrize(
    ("factors", "macs"),
    [
        ((8, 4, 5, 17), 500),
        ((59, 8, 2, 16), 1200),
        ((14, 4, 11, 41), 2420),
        ((89, 15, 2, 17), 3180),
    ],
)
def test_the_papers_gates_cost_what_their_table_says(factors, macs):
    m1, n1, m2, n2 = factors
    rng = np.random.default_rng(0)
    A, B, x = integers(rng, m1, n1), integers(rng, m2, n2), integers(rng, n1 * n2)
    assert counted(kron_matvec, A, B, x)[0] == macs


@pytest.mark.parametrize(
    ("sizes", "order"),
    [((2, 3, 5, 4), "a_first"), ((5, 4, 2, 3), "b_first"), ((2, 2, 3, 3), "b_first")],
)
def test_the_order_is_the_one_the_shape_names_b_first_where_equal(sizes, order, monkeypatch):
    m1, n1, m2, n2 = sizes
    taken, matmul = [], np.matmul

    def recording(left, right):
        taken.append("b_first" if right.shape == (n2, m2) else "a_first")
        return matmul(left, right)

    monkeypatch.setattr(np, "matmul", recording)
    kron_matvec(np.ones((m1, n1)), np.ones((m2, n2)), np.ones(n1 * n2))
    assert taken[0] == FactorShape(*sizes).order == order


def cost_of_order(shapes, order):
    """Multiplications of the mode products in one given order."""
    sizes = [n for _, n in shapes]
    total = 0
    for i in order:
        total += math.prod(sizes) * shapes[i][0]
        sizes[i] = shapes[i][0]
    return total


@given(st.lists(st.tuples(st.integers(1, 4), st.integers(1, 4)), min_size=1, max_size=4), seeds)
@settings(deadline=None, max_examples=60)
def test_a_chain_takes_the_cheapest_of_all_orders(shapes, seed):
    rng = np.random.default_rng(seed)
    factors = [rng.integers(-9, 10, shape) for shape in shapes]
    x = rng.integers(-9, 10, math.prod(n for _, n in shapes))
    orders = itertools.permutations(range(len(shapes)))
    assert counted(chain_matvec, factors, x)[0] == min(cost_of_order(shapes, o) for o in orders)


# Dtypes and memory.


@pytest.mark.parametrize("dtype", floats)
def test_float_dtypes_stay(dtype):
    rng = np.random.default_rng(0)
    A, B = gaussian(rng, 4, 3, dtype=dtype), gaussian(rng, 5, 7, dtype=dtype)
    D, x = gaussian(rng, 2, 21, dtype=dtype), gaussian(rng, 21, dtype=dtype)
    wide = np.complex128 if np.dtype(dtype).kind == "c" else np.float64
    W = np.vstack([D, dense(A, B)]).astype(wide)
    results = [
        (kron_matvec(A, B, x), W[2:] @ x),
        (kron_rmatvec(A, B, x[:20]), W[2:].conj().T @ x[:20]),
        (hybrid_matvec(D, A, B, x), W @ x),
        (hybrid_rmatvec(D, A, B, np.resize(x, 22)), W.conj().T @ np.resize(x, 22)),
        (chain_matvec([A, B], x), W[2:] @ x),
        (chain_rmatvec([A, B], x[:20]), W[2:].conj().T @ x[:20]),
    ]
    for found, expected in results:
        assert found.dtype == dtype
        assert_allclose(found, expected, rtol=0, atol=200 * np.finfo(dtype).eps)


@pytest.mark.parametrize(
    "dtype",
    [bool, np.int8, np.uint8, np.int16, np.uint16, np.int32, np.uint32, np.int64, np.uint64],
)
def test_integers_are_exact_in_int64(dtype):
    rng = np.random.default_rng(0)
    top = 2 if dtype is bool else 120
    A, B, x = (rng.integers(0, top, shape).astype(dtype) for shape in [(3, 5), (4, 2), (10,)])
    y = kron_matvec(A, B, x)
    assert y.dtype == np.int64
    assert_array_equal(y, np.kron(A.astype(np.int64), B.astype(np.int64)) @ x.astype(np.int64))


@pytest.mark.parametrize(
    ("dtypes", "result"),
    [
        ((np.float16, np.float16, np.float16), np.float32),
        ((np.int8, np.int8, np.float32), np.float32),
        ((np.float16, np.float16, np.float32), np.float32),
        ((np.float32, np.float32, np.float64), np.float64),
        ((np.int64, np.float32, np.float32), np.float64),
        ((np.float32, np.complex64, np.float32), np.complex64),
        ((np.float16, np.complex64, np.int8), np.complex64),
        ((np.longdouble, np.float64, np.int8), np.longdouble),
        ((">f4", ">f4", ">f4"), np.float32),
        ((">f8", ">f4", ">f8"), np.float64),
        ((">c8", ">f2", ">c8"), np.complex64),
        ((">i2", "<i4", ">u8"), np.int64),
    ],
)
def test_mixed_dtypes_promote_as_numpy_does_but_not_below_32_bits(dtypes, result):
    rng = np.random.default_rng(0)
    shapes = [(3, 2), (2, 5), (10,)]
    A, B, x = (rng.integers(0, 9, s).astype(d) for s, d in zip(shapes, dtypes, strict=True))
    y = kron_matvec(A, B, x)
    assert y.dtype == result
    assert y.dtype.isnative
    exact = [array.real.astype(np.int64) for array in (A, B, x)]
    assert_array_equal(y, dense(*exact[:2]) @ exact[2])


def test_float16_does_not_overflow():
    big = np.full((1, 1), 60000, np.float16)
    assert kron_matvec(big, big, big[0])[0] == np.float32(float(big[0, 0])) ** 3


def test_integers_beyond_int64_are_an_error_and_never_wrap():
    one = np.array([1])
    assert kron_matvec([[2**40]], [[2**22]], one)[0] == 2**62
    assert kron_matvec([[-(2**40)]], [[2**23]], one)[0] == -(2**63)
    assert kron_matvec([[2**62, -(2**62)]], [[4]], [3, 3])[0] == 0  # only the terms overflow
    with pytest.raises(DtypeError, match=f"entry of {2**63}, which int64 cannot hold"):
        kron_matvec([[2**40]], [[2**23]], one)
    with pytest.raises(DtypeError, match="int64 cannot hold"):
        chain_matvec([[[2**21]]] * 3, one)
    with pytest.raises(DtypeError, match="int64 cannot hold"):
        hybrid_matvec([[2**62]], [[1]], [[1]], [2])
    with pytest.raises(DtypeError, match="too large for int64"):
        hybrid_rmatvec([[2**62]], [[2**62]], [[1]], [1, 1])
    with pytest.raises(DtypeError, match=f"x has the entry {2**63}, which int64 cannot hold"):
        kron_matvec([[1]], [[1]], np.array([2**63], dtype=np.uint64))
    assert kron_matvec([[2.0**40]], [[2**23]], one)[0] == 2.0**63


@given(shape_of_matrix, shape_of_matrix, seeds)
@checked
def test_any_strides_give_the_same(a, b, seed):
    rng = np.random.default_rng(seed)
    A, B = integers(rng, *a).astype(np.float64), integers(rng, *b).astype(np.float64)
    x = integers(rng, 4, a[1] * b[1]).astype(np.float64)
    expected = x @ dense(A, B).T

    def strided(array):
        wide = np.full((2 * array.shape[0], 3 * array.shape[1]), np.nan)
        wide[::2, ::3] = array
        return wide[::2, ::3]

    def reversed_(array):
        return np.ascontiguousarray(array[::-1, ::-1])[::-1, ::-1]

    def read_only(array):
        array = array.copy()
        array.flags.writeable = False
        return array

    for layout in (np.asfortranarray, strided, reversed_, read_only):
        assert_array_equal(kron_matvec(layout(A), layout(B), layout(x)), expected)
        assert_array_equal(chain_matvec([layout(A), layout(B)], layout(x)), expected)
        assert_array_equal(
            hybrid_matvec(layout(dense(A, B)), layout(A), layout(B), layout(x)),
            np.hstack([expected, expected]),
        )


def test_arguments_are_not_changed_and_results_share_no_memory():
    A, B, x = np.eye(1), np.eye(1), np.ones((3, 1))
    y = kron_matvec(A, B, x)
    y[:] = 7
    assert A == 1
    assert B == 1
    assert np.all(x == 1)
    R = rearrangement(W := np.ones((1, 4)), (1, 1, 1, 4))
    R[:] = 7
    assert np.all(W == 1)


def test_lists_are_accepted():
    assert kron_matvec([[1, 2]], [[3], [4]], [5, 6]).tolist() == [51, 68]


@given(shape_of_matrix, shape_of_matrix, st.sampled_from(["A", "B", "x"]), seeds)
@checked
def test_nan_spreads_as_in_the_dense_product(a, b, where, seed):
    rng = np.random.default_rng(seed)
    operands = {
        "A": gaussian(rng, *a),
        "B": gaussian(rng, *b),
        "x": gaussian(rng, 2, a[1] * b[1]),
    }
    operands["A"][rng.random(a) < 0.5] = 0  # 0 * NaN is NaN, too
    flat = operands[where].reshape(-1)
    flat[rng.integers(flat.size)] = np.nan
    A, B, x = operands.values()
    expected = np.isnan(apply(dense(A, B), x))
    assert expected.any()
    assert_array_equal(np.isnan(kron_matvec(A, B, x)), expected)
    y = np.resize(x, (2, a[0] * b[0]))
    assert_array_equal(np.isnan(kron_rmatvec(A, B, y)), np.isnan(apply(dense(A, B).T, y)))


# Errors.


def test_wrong_sizes_say_what_fits():
    A, B = np.ones((2, 3)), np.ones((5, 4))
    cases = [
        (
            lambda: kron_matvec(A, B, np.ones(13)),
            "x has 13 entries, but A (2, 3) and B (5, 4) need 3 * 4 = 12",
        ),
        (
            lambda: kron_matvec(A, B, np.ones((12, 1))),
            "x (12, 1) has 1 entries in its last axis, but A (2, 3) and B (5, 4) need 3 * 4 = 12",
        ),
        (
            lambda: kron_rmatvec(A, B, np.ones(12)),
            "y has 12 entries, but A (2, 3) and B (5, 4) need 2 * 5 = 10",
        ),
        (
            lambda: hybrid_matvec(np.ones((2, 12)), A, B, np.ones(13)),
            "x has 13 entries, but A (2, 3) and B (5, 4) need 3 * 4 = 12",
        ),
        (
            lambda: hybrid_matvec(np.ones((2, 11)), A, B, np.ones(12)),
            "D (2, 11) has 11 columns, but A (2, 3) and B (5, 4) need 3 * 4 = 12",
        ),
        (
            lambda: hybrid_rmatvec(np.ones((2, 12)), A, B, np.ones(10)),
            "y has 10 entries, but D (2, 12), A (2, 3) and B (5, 4) need 2 + 2 * 5 = 12",
        ),
        (
            lambda: chain_matvec([A, B, A], np.ones(35)),
            "x has 35 entries, but the factors (2, 3), (5, 4), (2, 3) need 3 * 4 * 3 = 36",
        ),
        (
            lambda: chain_rmatvec([A], np.ones(3)),
            "y has 3 entries, but the factors (2, 3) need 2",
        ),
        (lambda: chain_matvec([], np.ones(1)), "a chain needs at least 1 factor, found 0"),
        (
            lambda: nearest_kron(np.ones((10, 12)), (2, 3, 5, 5)),
            "W is (10, 12), but (2, 3) x (5, 5) multiply out to (10, 15)",
        ),
        (
            lambda: nearest_kron(np.ones((10, 12)), (2, 3, 5, 4), terms=7),
            "terms must be at most 6 for (2, 3) x (5, 4), found 7",
        ),
        (
            lambda: nearest_kron(np.ones((10, 12)), (2, 3, 5, 4), terms=0),
            "terms must be a positive integer, found 0",
        ),
        (
            lambda: nearest_kron(np.ones((10, 12)), (2, 3)),
            "shape must be a FactorShape or four integers (m1, n1, m2, n2), found (2, 3)",
        ),
        (
            lambda: nearest_kron(np.ones((10, 12)), (2, 3, 5, 4.0)),
            "n2 must be a positive integer, found 4.0",
        ),
    ]
    for call, text in cases:
        with pytest.raises(ShapeError, match=f"^{re.escape(text)}$"):
            call()


GOOD = {"D": np.ones((2, 6)), "A": np.ones((2, 3)), "B": np.ones((3, 2)), "x": np.ones(6)}
BAD_MATRICES = [
    (np.ones(3), ShapeError, "must have 2 axes, found 1: shape (3,)"),
    (np.ones((1, 2, 3)), ShapeError, "must have 2 axes, found 3: shape (1, 2, 3)"),
    (1.0, ShapeError, "must have 2 axes, found 0: shape ()"),
    (np.ones((2, 0)), ShapeError, "is empty: shape (2, 0)"),
    (np.array([[None, 1]]), DtypeError, "has dtype object; bool, integer, float and complex"),
    (np.array([["a"]]), DtypeError, "has dtype <U1; bool, integer, float and complex"),
    (np.zeros((2, 3), "m8[s]"), DtypeError, "has dtype timedelta64[s]; bool, integer, float"),
]


@pytest.mark.parametrize("name", ["D", "A", "B"])
@pytest.mark.parametrize(("bad", "error", "text"), BAD_MATRICES)
def test_bad_matrices_are_named(name, bad, error, text):
    D, A, B, x = {**GOOD, name: bad}.values()
    found = re.escape(f"{name} {text}")
    for function in (hybrid_matvec, hybrid_rmatvec):
        with pytest.raises(error, match=found):
            function(D, A, B, x)
    if name == "D":
        with pytest.raises(error, match=re.escape(f"W {text}")):
            nearest_kron(bad, (1, 2, 2, 3))
        with pytest.raises(error, match=re.escape(f"factor 1 {text}")):
            chain_matvec([A, bad], x)
        return
    for function in (kron_matvec, kron_rmatvec):
        with pytest.raises(error, match=found):
            function(A, B, x)


@pytest.mark.parametrize(
    ("bad", "error", "text"),
    [
        (1.0, ShapeError, "must have at least 1 axis, found a scalar"),
        (np.ones(0), ShapeError, "has 0 entries, but"),
        (np.ones((3, 0)), ShapeError, "(3, 0) has 0 entries in its last axis, but"),
        (np.array([None] * 6), DtypeError, "has dtype object"),
    ],
)
def test_bad_vectors_are_named(bad, error, text):
    A, B, D = GOOD["A"], GOOD["B"], GOOD["D"]
    calls = [
        ("x", lambda: kron_matvec(A, B, bad)),
        ("y", lambda: kron_rmatvec(A, B, bad)),
        ("x", lambda: hybrid_matvec(D, A, B, bad)),
        ("y", lambda: hybrid_rmatvec(D, A, B, bad)),
        ("x", lambda: chain_matvec([A, B], bad)),
        ("y", lambda: chain_rmatvec([A, B], bad)),
    ]
    for name, call in calls:
        with pytest.raises(error, match=re.escape(f"{name} {text}")):
            call()


def test_empty_rows_are_for_the_dense_part_only():
    with pytest.raises(ShapeError, match=re.escape("A is empty: shape (0, 3)")):
        kron_matvec(np.ones((0, 3)), np.ones((1, 1)), np.ones(3))
    with pytest.raises(ShapeError, match=re.escape("W is empty: shape (0, 3)")):
        nearest_kron(np.ones((0, 3)), (1, 1, 1, 3))


# The nearest Kronecker product.


def rearranged(W, shape):
    """Van Loan and Pitsianis's rearrangement, block by block."""
    rows = []
    for i in range(shape.m1):
        for j in range(shape.n1):
            block = W[i * shape.m2 : (i + 1) * shape.m2, j * shape.n2 : (j + 1) * shape.n2]
            rows.append(block.reshape(-1))
    return np.array(rows)


def total(A, B):
    return sum(np.kron(a, b) for a, b in zip(A, B, strict=True))


four_sizes = st.tuples(*[st.integers(1, 5)] * 4)


@given(four_sizes, seeds)
@checked
def test_rearrangement_takes_the_blocks(sizes, seed):
    shape = FactorShape(*sizes)
    W = integers(np.random.default_rng(seed), shape.m, shape.n)
    for layout in (np.ascontiguousarray, np.asfortranarray):
        assert_array_equal(rearrangement(layout(W), shape), rearranged(W, shape), strict=True)


@given(four_sizes, st.sampled_from(floats), seeds)
@checked
def test_a_kronecker_product_is_found_again(sizes, dtype, seed):
    m1, n1, m2, n2 = sizes
    rng = np.random.default_rng(seed)
    W = np.kron(gaussian(rng, m1, n1, dtype=dtype), gaussian(rng, m2, n2, dtype=dtype))
    A, B = nearest_kron(W, sizes)
    assert (A.shape, B.shape) == ((m1, n1), (m2, n2))
    assert (A.dtype, B.dtype) == (dtype, dtype)
    eps = np.finfo(dtype).eps
    assert_allclose(np.kron(A, B), W, rtol=0, atol=50 * eps * np.linalg.norm(W))
    assert_allclose(np.linalg.norm(A), np.linalg.norm(B), rtol=50 * eps)
    largest = A.reshape(-1)[np.abs(A).argmax()]
    assert largest.real > 0
    assert abs(largest.imag) <= 10 * eps * largest.real


@given(four_sizes, st.sampled_from([np.float64, np.complex128]), seeds)
@checked
def test_the_error_is_the_tail_of_the_singular_values_and_ends_at_zero(sizes, dtype, seed):
    shape = FactorShape(*sizes)
    W = gaussian(np.random.default_rng(seed), shape.m, shape.n, dtype=dtype)
    sigma = np.linalg.svd(rearranged(W, shape), compute_uv=False)
    errors = []
    for k in range(1, len(sigma) + 1):
        A, B = nearest_kron(W, shape, terms=k)
        if k == 1:
            A, B = A[None], B[None]
        assert (A.shape, B.shape) == ((k, *shape.a_shape), (k, *shape.b_shape))
        norms = np.linalg.norm(A, axis=(1, 2)), np.linalg.norm(B, axis=(1, 2))
        assert_allclose(norms[0], norms[1], rtol=1e-12)
        assert_allclose(norms[0] * norms[1], sigma[:k], rtol=1e-12)
        errors.append(np.linalg.norm(W - total(A, B)))
        assert_allclose(errors[-1], np.linalg.norm(sigma[k:]), atol=1e-13 * sigma[0])
    assert errors == sorted(errors, reverse=True)
    assert errors[-1] <= 1e-13 * sigma[0]


@pytest.mark.parametrize("terms", [1, 2])
@pytest.mark.parametrize("dtype", [np.float64, np.complex128])
def test_no_random_perturbation_is_nearer(terms, dtype):
    rng = np.random.default_rng(5)
    shape = FactorShape(3, 2, 2, 5)
    W = gaussian(rng, shape.m, shape.n, dtype=dtype)
    A, B = nearest_kron(W, shape, terms=terms)
    A, B = A.reshape(-1, *shape.a_shape), B.reshape(-1, *shape.b_shape)
    best = np.linalg.norm(W - total(A, B))
    for _ in range(300):
        size = 10.0 ** rng.uniform(-3, 0)
        near = (
            A + size * gaussian(rng, *A.shape, dtype=dtype),
            B + size * gaussian(rng, *B.shape, dtype=dtype),
        )
        assert np.linalg.norm(W - total(*near)) > best


@pytest.mark.parametrize("terms", [1, 2])
@pytest.mark.parametrize("sizes", [(2, 3, 3, 2), (3, 2, 1, 5)])
def test_a_full_optimiser_finds_nothing_nearer(sizes, terms):
    rng = np.random.default_rng(11)
    shape = FactorShape(*sizes)
    W = rng.standard_normal((shape.m, shape.n))
    split = terms * shape.m1 * shape.n1

    def unpack(p):
        return p[:split].reshape(terms, *shape.a_shape), p[split:].reshape(terms, *shape.b_shape)

    def distance(p):
        A, B = unpack(p)
        E = (total(A, B) - W).reshape(shape.m1, shape.m2, shape.n1, shape.n2)
        gradient_a = 2 * np.einsum("ikjl,tkl->tij", E, B)
        gradient_b = 2 * np.einsum("ikjl,tij->tkl", E, A)
        return np.sum(E**2), np.concatenate([gradient_a.ravel(), gradient_b.ravel()])

    starts = rng.standard_normal((12, terms * shape.params))
    found = [minimize(distance, start, jac=True, method="BFGS").fun for start in starts]
    A, B = nearest_kron(W, shape, terms=terms)
    A, B = A.reshape(-1, *shape.a_shape), B.reshape(-1, *shape.b_shape)
    ours = np.linalg.norm(W - total(A, B)) ** 2
    assert min(found) >= ours * (1 - 1e-12)
    assert min(found) == pytest.approx(ours, rel=1e-6)


def test_nearest_kron_of_integers_zeros_and_other_layouts():
    W = np.kron([[1, 2], [3, 4]], [[5, 6, 7]])
    A, B = nearest_kron(np.asfortranarray(W), FactorShape(2, 2, 1, 3))
    assert A.dtype == B.dtype == np.float64
    assert_allclose(np.kron(A, B), W)
    A, B = nearest_kron(np.zeros((4, 6)), (2, 2, 2, 3), terms=3)
    assert not A.any()
    assert not B.any()
    A, B = nearest_kron(W.astype(np.float16), (2, 2, 1, 3))
    assert A.dtype == B.dtype == np.float32


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_nearest_kron_refuses_what_is_not_finite(bad):
    W = np.ones((4, 6))
    W[2, 5] = bad
    with pytest.raises(
        ValueError, match=re.escape("W has 1 NaN or infinite entries, the first at (2, 5)")
    ):
        nearest_kron(W, (2, 2, 2, 3))


@pytest.mark.skipif(
    np.finfo(np.longdouble).eps == np.finfo(np.float64).eps, reason="long double is double here"
)
def test_nearest_kron_refuses_long_double_instead_of_rounding_it():
    with pytest.raises(
        DtypeError, match=r"W has dtype \w+, which LAPACK does not .* float64 first"
    ):
        nearest_kron(np.ones((4, 6), np.longdouble), (2, 2, 2, 3))


@pytest.mark.parametrize(
    ("dtype", "scale"),
    [
        (np.float64, 1e308),
        (np.float64, 1e-320),
        (np.complex128, 1e308),
        (np.complex128, 1e-320),
        (np.float32, 3e38),
        (np.complex64, 3e38),
    ],
)
@pytest.mark.parametrize("sizes", [(2, 2, 2, 2), (1, 3, 4, 2), (5, 2, 1, 3)])
def test_nearest_kron_at_the_ends_of_the_dtype(dtype, scale, sizes):
    shape = FactorShape(*sizes)
    W = np.full((shape.m, shape.n), scale, dtype)
    if W.dtype.kind == "c":
        W = (W + 1j * W.real).astype(dtype)
    A, B = nearest_kron(W, shape)
    assert A.dtype == B.dtype == dtype
    assert np.isfinite(A).all()
    assert np.isfinite(B).all()
    eps = float(np.finfo(dtype).eps)
    # over 0.5 * W.real, so that neither the product nor the comparison overflows
    assert_allclose(np.kron(A / 2, B), W / 2, rtol=40 * eps, atol=5e-324)
    norms = [np.linalg.norm(F / np.sqrt(scale)) for F in (A, B)]
    assert norms[0] == pytest.approx(norms[1], rel=20 * eps)


def test_the_names_are_public():
    for name in (
        "kron_matvec",
        "kron_rmatvec",
        "hybrid_matvec",
        "hybrid_rmatvec",
        "chain_matvec",
        "chain_rmatvec",
        "nearest_kron",
    ):
        assert getattr(kplib, name) is globals()[name]
