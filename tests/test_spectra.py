"""Spectra from the factors: equal to the dense matrix's, where those are well defined."""

import re
import time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal

import kplib
from kplib.errors import DtypeError, ShapeError
from kplib.shapes import FactorShape, algorithm4
from kplib.spectra import (
    condition_number,
    determinant,
    eigenvalues,
    log_determinant,
    rank,
    singular_values,
)

checked = settings(deadline=None, max_examples=150)
sizes = st.integers(1, 7)
seeds = st.integers(0, 2**32 - 1)
dtypes = st.sampled_from([np.float32, np.float64, np.complex64, np.complex128])
ALL = (singular_values, rank, condition_number, determinant, log_determinant, eigenvalues)


def gaussian(rng, *shape, dtype=np.float64):
    values = rng.standard_normal(shape)
    if np.dtype(dtype).kind == "c":
        values = values + 1j * rng.standard_normal(shape)
    return values.astype(dtype)


def of_rank(rng, m, n, r, dtype=np.float64):
    """A matrix with r singular values between 1 and 2 and the others zero, but for rounding."""
    if r == 0:
        return np.zeros((m, n), dtype)
    U, V = (np.linalg.qr(gaussian(rng, k, r, dtype=np.complex128))[0] for k in (m, n))
    if np.dtype(dtype).kind != "c":
        U, V = (np.linalg.qr(rng.standard_normal((k, r)))[0] for k in (m, n))
    return ((U * rng.uniform(1, 2, r)) @ V.conj().T).astype(dtype)


def wide(W):
    return W.astype(np.complex128 if W.dtype.kind == "c" else np.float64)


@given(sizes, sizes, sizes, sizes, dtypes, seeds)
@checked
def test_singular_values_are_those_of_the_dense_matrix(m1, n1, m2, n2, dtype, seed):
    rng = np.random.default_rng(seed)
    A, B = gaussian(rng, m1, n1, dtype=dtype), gaussian(rng, m2, n2, dtype=dtype)
    sigma = singular_values(A, B)
    expected = np.linalg.svd(np.kron(wide(A), wide(B)), compute_uv=False)
    assert sigma.dtype == np.finfo(dtype).dtype
    assert_allclose(sigma, expected, rtol=0, atol=20 * np.finfo(dtype).eps * expected[0])
    assert_array_equal(sigma, np.sort(sigma)[::-1])
    assert np.all(sigma[FactorShape(m1, n1, m2, n2).rank :] == 0)


def ranks_up_to(m, n):
    return st.integers(0, min(m, n))


@given(st.data(), sizes, sizes, sizes, sizes, dtypes, seeds)
@checked
def test_rank_is_the_product_of_the_ranks(data, m1, n1, m2, n2, dtype, seed):
    rng = np.random.default_rng(seed)
    rank_a, rank_b = data.draw(ranks_up_to(m1, n1)), data.draw(ranks_up_to(m2, n2))
    A, B = of_rank(rng, m1, n1, rank_a, dtype), of_rank(rng, m2, n2, rank_b, dtype)
    rtol = 1e-4  # rounding leaves 1e-7 of a zero, the smallest other one is 1/4 of the largest
    found = rank(A, B, rtol=rtol)
    assert type(found) is int
    assert found == rank_a * rank_b == np.linalg.matrix_rank(np.kron(A, B), rtol=rtol)


larger = st.integers(3, 7)  # so that size * eps, the usual tolerance, is well above the rounding


@given(st.data(), larger, larger, larger, larger, dtypes, seeds)
@checked
def test_the_usual_tolerance_is_numpys_for_the_dense_matrix(data, m1, n1, m2, n2, dtype, seed):
    rng = np.random.default_rng(seed)
    A = of_rank(rng, m1, n1, data.draw(ranks_up_to(m1, n1)), dtype)
    B = of_rank(rng, m2, n2, data.draw(ranks_up_to(m2, n2)), dtype)
    assert rank(A, B) == np.linalg.matrix_rank(np.kron(A, B))


@pytest.mark.parametrize(("m", "n", "bound"), [(118, 128, 16), (154, 164, 44), (178, 255, 30)])
def test_the_papers_gates_are_rank_deficient(m, n, bound):
    shape = algorithm4(m, n)
    rng = np.random.default_rng(0)
    A, B = gaussian(rng, *shape.a_shape), gaussian(rng, *shape.b_shape)
    assert rank(A, B) == bound == np.linalg.matrix_rank(np.kron(A, B))
    assert condition_number(A, B) == np.inf
    effective = condition_number(A, B, effective=True)
    assert effective == pytest.approx(np.linalg.cond(A) * np.linalg.cond(B), rel=1e-12)
    assert len(singular_values(A, B)) == min(m, n)
    assert np.count_nonzero(singular_values(A, B)) == bound


@given(sizes, sizes, sizes, sizes, dtypes, seeds)
@checked
def test_condition_number_is_the_dense_one_or_infinite(m1, n1, m2, n2, dtype, seed):
    rng = np.random.default_rng(seed)
    A = of_rank(rng, m1, n1, min(m1, n1), dtype)
    B = of_rank(rng, m2, n2, min(m2, n2), dtype)
    found = condition_number(A, B)
    assert type(found) is float
    if FactorShape(m1, n1, m2, n2).full_rank:
        dense = np.linalg.cond(np.kron(wide(A), wide(B)))
        assert found == pytest.approx(dense, rel=1e-11)
        assert condition_number(A, B, effective=True) == found
    else:
        assert found == np.inf
        sigma = np.linalg.svd(np.kron(wide(A), wide(B)), compute_uv=False)
        bound = FactorShape(m1, n1, m2, n2).rank
        expected = sigma[0] / sigma[bound - 1]
        assert condition_number(A, B, effective=True) == pytest.approx(expected, rel=1e-11)


def test_numerical_deficiency_makes_the_condition_number_infinite():
    rng = np.random.default_rng(0)
    A, B = of_rank(rng, 5, 5, 4), of_rank(rng, 3, 4, 3)
    assert rank(A, B) == 12
    assert condition_number(A, B) == np.inf
    assert 1 <= condition_number(A, B, effective=True) <= 4


def test_rtol_moves_the_border():
    """The condition number of this product is beyond what the dense matrix knows."""
    A = np.diag(10.0 ** -np.arange(6))
    B = np.diag(10.0 ** -np.arange(13))
    assert rank(A, B) < 78
    assert rank(A, B) == np.linalg.matrix_rank(np.kron(A, B))
    assert condition_number(A, B) == np.inf
    assert rank(A, B, rtol=0) == 78
    assert condition_number(A, B, rtol=0) == pytest.approx(1e17, rel=1e-12)
    assert rank(A, B, rtol=0.05) == 3  # 1 and twice 0.1
    assert condition_number(A, B, rtol=0.05, effective=True) == pytest.approx(10)
    for bad in (-1.0, 1.0, np.nan):
        with pytest.raises(ValueError, match=f"at least 0 and below 1, found {bad}"):
            rank(A, B, rtol=bad)


def test_the_tolerance_follows_the_dtype():
    A = np.diag([1, 1e-4, 1e-8])
    assert rank(A, np.eye(2)) == 6
    assert rank(A.astype(np.float32), np.eye(2, dtype=np.float32)) == 4
    assert np.linalg.matrix_rank(np.kron(A, np.eye(2)).astype(np.float32)) == 4
    assert rank(A.astype(np.float32), np.eye(2)) == 6  # promoted to float64, as in a product


def test_the_tolerance_grows_with_the_larger_side():
    A = np.zeros((2, 40))
    A[0, 0] = 1
    for multiple, expected in [(30, 1), (50, 2)]:
        A[1, 1] = multiple * np.finfo(float).eps
        for transposed in (A, A.T):
            assert rank(transposed, np.eye(1)) == expected
            assert np.linalg.matrix_rank(transposed) == expected
            assert rank(transposed, np.eye(2)) == 2  # 80 eps


def test_the_zero_matrix():
    A, B = np.zeros((2, 3)), np.ones((4, 4))
    assert_array_equal(singular_values(A, B), np.zeros(8))
    assert rank(A, B) == rank(A, B, rtol=0) == 0
    assert condition_number(A, B) == np.inf
    with pytest.raises(ValueError, match="is zero"):
        condition_number(A, B, effective=True)
    assert determinant(np.zeros((2, 2)), B) == 0
    assert log_determinant(np.zeros((2, 2)), B) == (0.0, -np.inf)


@given(st.integers(1, 5), st.integers(1, 5), dtypes, seeds)
@checked
def test_determinants_and_eigenvalues_of_square_factors(m1, m2, dtype, seed):
    rng = np.random.default_rng(seed)
    A = of_rank(rng, m1, m1, m1, dtype)  # well conditioned
    B = of_rank(rng, m2, m2, m2, dtype)
    W = np.kron(wide(A), wide(B))
    found = determinant(A, B)
    assert type(found) is (complex if np.dtype(dtype).kind == "c" else float)
    assert found == pytest.approx(np.linalg.det(W), rel=1e-10)
    sign, logabsdet = log_determinant(A, B)
    expected = np.linalg.slogdet(W)
    assert sign == pytest.approx(expected.sign, abs=1e-10)
    assert logabsdet == pytest.approx(expected.logabsdet, abs=1e-10)
    values = eigenvalues(A, B)
    assert values.shape == (m1 * m2,)
    assert values.dtype == np.result_type(dtype, np.complex64)
    # Each value makes W - value I singular, and the power sums agree: no value is lost.
    eps = np.finfo(dtype).eps
    for value in values:
        smallest = np.linalg.svd(W - value * np.eye(len(W)), compute_uv=False)[-1]
        assert smallest <= 1e3 * eps
    for power in (1, 2, 3):
        trace = np.trace(np.linalg.matrix_power(W, power))
        bound = 1e3 * eps * len(W) * 4.0**power
        assert abs(np.sum(values.astype(complex) ** power) - trace) <= bound


def test_eigenvalues_come_in_the_order_of_the_eigenvectors():
    rng = np.random.default_rng(2)
    A, B = rng.standard_normal((3, 3)), rng.standard_normal((4, 4))
    U, V = np.linalg.eig(A).eigenvectors, np.linalg.eig(B).eigenvectors
    W, vectors = np.kron(A, B), np.kron(U, V)
    assert_allclose(W @ vectors, vectors * eigenvalues(A, B), atol=1e-12)


def test_the_determinant_of_small_integers():
    A, B = np.array([[1, 2], [3, 4]]), np.array([[2, 0, 1], [1, 1, 0], [0, 3, 1]])
    assert determinant(A, B) == pytest.approx((-2) ** 3 * 5**2, rel=1e-14)
    assert log_determinant(A, B).sign == -1.0


def test_a_determinant_beyond_double_has_a_logarithm():
    A, B = 10 * np.eye(40), np.eye(40)
    with pytest.warns(RuntimeWarning, match="overflow"):
        assert determinant(A, B) == np.inf
    assert log_determinant(A, B).logabsdet == pytest.approx(1600 * np.log(10))
    assert determinant(A / 100, B) == 0.0
    # The factors' own determinants, 1e300 and 1e-300, to the 30th power cancel.
    A, B = 1e10 * np.eye(30), 1e-10 * np.eye(30)
    assert determinant(A, B) == pytest.approx(1, rel=1e-9)


@pytest.mark.parametrize("function", [determinant, log_determinant, eigenvalues])
def test_square_product_of_rectangular_factors_is_an_error_that_says_why(function):
    rng = np.random.default_rng(0)
    A, B = rng.standard_normal((2, 3)), rng.standard_normal((3, 2))
    with pytest.raises(ShapeError) as caught:
        function(A, B)
    for part in ("A (2, 3) and B (3, 2)", "(6, 6)", "rank at most 4", "determinant is 0"):
        assert part in str(caught.value)
    assert abs(np.linalg.det(np.kron(A, B))) < 1e-12
    with pytest.raises(ShapeError, match=re.escape("their product is (4, 6), which has none")):
        function(np.ones((2, 3)), np.ones((2, 2)))


@pytest.mark.parametrize("function", ALL)
def test_what_is_not_finite_is_a_value_error(function):
    good = np.eye(3)
    for bad in (np.nan, np.inf):
        A = np.eye(3)
        A[1, 2] = bad
        text = "has 1 NaN or infinite entries, the first at (1, 2)"
        with pytest.raises(ValueError, match=re.escape(f"A {text}")):
            function(A, good)
        with pytest.raises(ValueError, match=re.escape(f"B {text}")):
            function(good, A)


@pytest.mark.parametrize("function", ALL)
@pytest.mark.parametrize(
    ("bad", "error", "text"),
    [
        (np.ones(3), ShapeError, "must have 2 axes, found 1: shape (3,)"),
        (np.ones((0, 0)), ShapeError, "is empty: shape (0, 0)"),
        (np.array([[None]]), DtypeError, "has dtype object"),
    ],
)
def test_bad_matrices_are_named(function, bad, error, text):
    with pytest.raises(error, match=re.escape(f"A {text}")):
        function(bad, np.eye(2))
    with pytest.raises(error, match=re.escape(f"B {text}")):
        function(np.eye(2), bad)


@pytest.mark.skipif(
    np.finfo(np.longdouble).eps == np.finfo(np.float64).eps, reason="long double is double here"
)
@pytest.mark.parametrize("function", ALL)
def test_long_double_is_refused_instead_of_rounded(function):
    with pytest.raises(DtypeError, match=r"A has dtype .*, which LAPACK does not compute in"):
        function(np.eye(2, dtype=np.longdouble), np.eye(2))


def test_integers_float16_and_layouts():
    A, B = np.array([[1, 2, 0], [0, 3, 1]]), np.array([[2, 1], [1, 5], [4, 4]])
    expected = np.linalg.svd(np.kron(A, B), compute_uv=False)
    for layout in (np.asfortranarray, lambda M: np.repeat(M, 2, axis=1)[:, ::2]):
        assert_allclose(singular_values(layout(A), layout(B)), expected, atol=1e-13)
    assert singular_values(A, B).dtype == np.float64
    half = singular_values(A.astype(np.float16), B.astype(np.float16))
    assert half.dtype == np.float32
    assert_allclose(half, expected, atol=1e-5)
    assert singular_values(A > 0, B > 0).dtype == np.float64
    assert eigenvalues(A[:, :2], B[:2]).dtype == np.complex128


def test_a_product_of_4096_by_4096_is_quick():
    rng = np.random.default_rng(0)
    A, B = rng.standard_normal((64, 64)), rng.standard_normal((64, 64))
    start = time.perf_counter()
    sigma = singular_values(A, B)
    found = rank(A, B), condition_number(A, B), log_determinant(A, B), eigenvalues(A, B)
    assert time.perf_counter() - start < 2
    assert sigma.shape == found[3].shape == (4096,)
    # Facts about the dense matrix that need no SVD of it: its Frobenius norm, and |det|.
    assert_allclose(np.sum(sigma**2), np.sum(A**2) * np.sum(B**2), rtol=1e-12)
    assert_allclose(np.sum(np.log(sigma)), found[2].logabsdet, rtol=1e-10)
    assert_allclose(np.sum(np.log(np.abs(found[3]))), found[2].logabsdet, rtol=1e-10)


def test_the_names_are_public():
    for function in ALL:
        assert getattr(kplib, function.__name__) is function


# Over- and underflow -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    "scales", [(1e200, 1e200), (1e-200, 1e-200), (1e308, 1e308), (1e-323, 1e-9)]
)
@pytest.mark.parametrize("dtype", [np.float64, np.complex128])
def test_rank_and_condition_do_not_depend_on_the_scale(scales, dtype):
    a, b = scales
    assert rank(np.eye(2, dtype=dtype) * a, np.eye(3, dtype=dtype) * b) == 6
    assert condition_number(np.eye(2, dtype=dtype) * a, np.eye(3, dtype=dtype) * b) == 1
    ones = np.ones((3, 3), dtype)
    assert rank(ones * a, np.eye(2) * b) == 2
    assert condition_number(ones * a, np.eye(2) * b, effective=True) == pytest.approx(1)


@pytest.mark.parametrize("scale", [1e-30, 1e30])
def test_float32_factors_whose_product_float32_cannot_hold(scale):
    A = np.diag([scale, 2 * scale]).astype(np.float32)
    assert rank(A, A) == 4
    assert condition_number(A, A) == pytest.approx(4)
    if scale > 1:
        with pytest.warns(RuntimeWarning, match="overflow"):
            sigma = singular_values(A, A)
    else:
        sigma = singular_values(A, A)
    assert sigma.dtype == np.float32
    assert_array_equal(sigma, np.float32(0 if scale < 1 else np.inf))


def test_singular_values_are_right_where_those_of_one_factor_overflow():
    A, B = np.full((4, 4), 1e308), np.diag([1e-10, 1e-12])
    assert_allclose(singular_values(A, B)[:2], [4e298, 4e296], rtol=1e-14)
    graded = np.diag([1e300, 1e-100])
    assert_allclose(singular_values(graded, np.eye(1)), [1e300, 1e-100], rtol=1e-14)


@pytest.mark.parametrize("factor", [1, 1 + 0j, 1j, 1 + 1j, -1j])
def test_an_infinite_determinant_has_no_nan(factor):
    with pytest.warns(RuntimeWarning, match="overflow"):
        det = determinant(np.eye(3) * 1e100 * factor, np.eye(3) * 1e100)
    exact = factor**9
    assert type(det) is type(exact + 0.0)
    for part, expected in ((det.real, exact.real), (det.imag, exact.imag)):
        assert part == (np.copysign(np.inf, expected) if expected else 0)


@pytest.mark.parametrize("factor", [0, 0j])
def test_a_determinant_of_zero_stays_zero(factor):
    det = determinant(np.eye(2) * factor, np.eye(2) * 1e300)
    assert det == 0
    assert type(det) is type(factor + 0.0)
