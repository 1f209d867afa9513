"""Factor shapes: the papers' table, Algorithm 4 and its errors, the front, the cost formulas."""

import dataclasses
import math
import re
import time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import kplib
from kplib.errors import ShapeError
from kplib.shapes import (
    FactorShape,
    algorithm4,
    as_factor_shape,
    divisors,
    factor_shapes,
    full_rank_shapes,
    hybrid_shapes,
    pareto_front,
    prime_factors,
)

sizes = st.integers(1, 60)
checked = settings(deadline=None, max_examples=200)

# The table "Algorithm 4 on the benchmarks": the printed facts, one row a benchmark gate.
# m, n, factors, params, MACs (B X) A^T, MACs B (X A^T), rank bound, cheapest full-rank shape
TABLE = [
    pytest.param(40, 68, (8, 4, 5, 17), 117, 500, 1224, 20, ((4, 4, 10, 17), 186), id="MNIST"),
    pytest.param(
        118, 128, (59, 8, 2, 16), 504, 1200, 9440, 16, ((2, 2, 59, 64), 3780), id="KWS-LSTM"
    ),
    pytest.param(
        154, 164, (14, 4, 11, 41), 507, 2420, 8610, 44, ((2, 2, 77, 82), 6318), id="KWS-GRU"
    ),
    pytest.param(
        154, 308, (14, 11, 11, 28), 462, 5082, 8624, 121, ((14, 14, 11, 22), 438), id="KWS-GRU-2"
    ),
    pytest.param(178, 255, (89, 15, 2, 17), 1369, 3180, 25721, 30, None, id="HAR1"),
    pytest.param(32, 48, (8, 4, 4, 12), 80, 320, 768, 16, ((8, 6, 4, 8), 80), id="USPS"),
]


@pytest.mark.parametrize(
    ("m", "n", "factors", "params", "b_first", "a_first", "bound", "cheapest"), TABLE
)
def test_the_papers_table(m, n, factors, params, b_first, a_first, bound, cheapest):
    shape = algorithm4(m, n)
    assert shape == FactorShape(*factors)
    assert (shape.m, shape.n) == (m, n)
    assert shape.params == params
    assert (shape.macs_b_first, shape.macs_a_first) == (b_first, a_first)
    assert (shape.macs, shape.order) == (b_first, "b_first")
    assert shape.rank == bound
    assert not shape.full_rank
    assert shape.compression == pytest.approx(m * n / params, rel=1e-15)


@pytest.mark.parametrize(
    ("m", "n", "shape", "params"),
    [
        (40, 68, (4, 4, 10, 17), 186),
        (118, 128, (2, 2, 59, 64), 3780),
        (154, 164, (2, 2, 77, 82), 6318),
        (154, 308, (14, 14, 11, 22), 438),
        (32, 48, (8, 8, 4, 6), 88),
    ],
)
def test_the_cheapest_full_rank_shapes_of_the_table(m, n, shape, params):
    best = full_rank_shapes(m, n)[0]
    assert best == FactorShape(*shape)
    assert best.params == params
    assert best.rank == min(m, n)


def test_a_gate_of_har1_has_no_full_rank_shape_but_the_dense_one():
    assert {(s.m1, s.n1) for s in full_rank_shapes(178, 255)} == {(1, 1), (178, 255)}


def test_the_papers_compression_and_examples():
    assert round(algorithm4(154, 164).compression) == 50
    assert round(FactorShape(32, 8, 8, 32).compression) == 128  # 256 x 256 in 512 parameters
    assert algorithm4(48, 48) == FactorShape(12, 4, 4, 12)  # 4 * 12, not the balanced 6 * 8
    # USPS: as few parameters as the papers' shape, and rank 24 instead of 16.
    usps = FactorShape(8, 6, 4, 8)
    assert (usps.params, usps.rank) == (80, 24)
    # Algorithm 4 is said to give the maximum compression, but 246 < 504.
    assert FactorShape(59, 2, 2, 64).params == 246
    assert factor_shapes(118, 128)[0].params == 246


@pytest.mark.parametrize(
    ("k", "small", "large"),
    [(4, 2, 2), (12, 3, 4), (48, 4, 12), (255, 15, 17), (210, 7, 30)],  # 2 3 5 7 -> 5 6 7 -> 7 30
)
def test_algorithm4_merges_the_two_smallest(k, small, large):
    assert algorithm4(k, k) == FactorShape(large, small, small, large)


@given(st.lists(st.sampled_from([2, 3, 5, 7, 11]), min_size=2, max_size=7))
@checked
def test_algorithm4_against_a_literal_transcription(primes):
    k = math.prod(primes)
    left = sorted(primes)
    while len(left) > 2:
        smallest = min(left)
        left.remove(smallest)
        new_smallest = min(left)
        left.remove(new_smallest)
        left = sorted([*left, smallest * new_smallest])
    shape = algorithm4(k, 9 * k)
    assert (shape.m2, shape.m1) == tuple(left)
    assert shape.n == 9 * k
    assert shape.n1 <= shape.n2


# Errors of Algorithm 4: what to do instead.


def message(m, n):
    with pytest.raises(ShapeError) as caught:
        algorithm4(m, n)
    return str(caught.value)


def test_prime_rows_name_the_hybrid_and_the_one_sided_shape():
    text = message(179, 256)  # the papers' HAR1 hidden size
    assert text == (
        "Algorithm 4 is undefined for 179 x 256. m = 179 is a prime: a hybrid with r = 1 dense row "
        "leaves m - r = 178, and 178 x 256 is (89, 16) x (2, 16); without a hybrid, A 179 x n1 and "
        "B 1 x n2 work, such as (179, 16) x (1, 16). factor_shapes(179, 256) lists every shape."
    )


def test_prime_columns_name_the_nearest_input_and_hidden_sizes():
    text = message(40, 67)
    assert text == (
        "Algorithm 4 is undefined for 40 x 67. n = 67 is a prime, which no hybrid mends, as its "
        "rows leave n alone: the nearest n that factors is 66 or 68. With hidden size 40 and input "
        "size 27 as m = 40 and n = 40 + 27: take input size 26 or 28, or hidden size 39 or 42. "
        "factor_shapes(40, 67) lists every shape."
    )


@given(st.integers(1, 300), st.integers(1, 300))
@settings(deadline=None, max_examples=500)
def test_every_size_gives_a_shape_or_advice_that_works(m, n):
    composite_m, composite_n = (len(prime_factors(k)) > 1 for k in (m, n))
    if composite_m and composite_n:
        shape = algorithm4(m, n)
        assert (shape.m, shape.n) == (m, n)
        assert shape.m1 >= shape.m2 > 1
        assert 1 < shape.n1 <= shape.n2
        return
    text = message(m, n)
    assert f"factor_shapes({m}, {n})" in text
    if rows := re.search(r"r = (\d+) dense rows? leaves m - r = (\d+)", text):
        r, left = int(rows[1]), int(rows[2])
        assert left == m - r
        assert algorithm4(left, 12).m == left
        assert all(len(prime_factors(m - k)) < 2 for k in range(1, r))
    else:
        assert composite_m or m < 5
    if shape := re.search(r"such as \((\d+), (\d+)\) x \((\d+), (\d+)\)", text):
        found = FactorShape(*map(int, shape.groups()))
        assert (found.m1, found.m2, found.n) == (m, 1, n)
        assert 1 < found.n1 <= found.n2
    else:
        assert composite_m or not composite_n
    if not composite_n:
        nearest = re.search(r"nearest n that factors is (\d+)(?: or (\d+))?", text)
        offered = [int(k) for k in nearest.groups() if k]
        assert all(algorithm4(12, k).n == k for k in offered)
        between = range(min([*offered, n]) + 1, max(offered))
        assert all(len(prime_factors(k)) < 2 for k in between)
    if sizes := re.search(r"take input size (\d+)(?: or (\d+))?", text):
        assert all(algorithm4(m, m + int(i)) for i in sizes.groups() if i)
    if sizes := re.search(r"hidden size (\d+)(?: or (\d+))?\. ", text):
        assert all(algorithm4(int(h), int(h) + n - m) for h in sizes.groups() if h)
    else:
        assert composite_n or n <= m


# Enumeration.


def test_factor_shapes_of_a_prime_and_of_one():
    assert set(factor_shapes(7, 1)) == {FactorShape(1, 1, 7, 1), FactorShape(7, 1, 1, 1)}
    assert factor_shapes(1, 1) == [FactorShape(1, 1, 1, 1)]
    assert FactorShape(7, 3, 1, 4) in factor_shapes(7, 12)


@given(sizes, sizes)
@checked
def test_factor_shapes_are_all_there_once_and_sorted(m, n):
    shapes = factor_shapes(m, n)
    every = {
        (m1, n1, m // m1, n // n1)
        for m1 in range(1, m + 1)
        for n1 in range(1, n + 1)
        if m % m1 == 0 and n % n1 == 0
    }
    assert len(shapes) == len(every)
    assert {dataclasses.astuple(shape) for shape in shapes} == every
    assert [s.params for s in shapes] == sorted(s.params for s in shapes)
    assert full_rank_shapes(m, n) == [s for s in shapes if s.rank == min(m, n)]


@given(st.integers(1, 8), st.integers(1, 8), st.integers(1, 8), st.integers(1, 8))
@checked
def test_the_rank_bound_is_reached_by_random_factors(m1, n1, m2, n2):
    shape = FactorShape(m1, n1, m2, n2)
    rng = np.random.default_rng(0)
    product = np.kron(rng.standard_normal((m1, n1)), rng.standard_normal((m2, n2)))
    assert np.linalg.matrix_rank(product) == shape.rank
    both_wide, both_tall = m1 <= n1 and m2 <= n2, m1 >= n1 and m2 >= n2
    assert shape.full_rank == (both_wide or both_tall)


def dominates(one, other):
    gains = (other.params - one.params, one.rank - other.rank, other.macs - one.macs)
    return min(gains) >= 0 and max(gains) > 0


@given(st.integers(1, 400), st.integers(1, 400))
@settings(deadline=None, max_examples=100)
def test_the_front_is_exactly_what_nothing_dominates(m, n):
    shapes, front = factor_shapes(m, n), pareto_front(m, n)
    members = set(front)
    assert len(members) == len(front)
    for shape in shapes:
        assert (shape in members) == (not any(dominates(other, shape) for other in shapes))
    costs = [(s.params, -s.rank) for s in front]
    assert costs == sorted(costs)


def test_the_front_leaves_something_out():
    assert 0 < len(pareto_front(154, 308)) < len(factor_shapes(154, 308))


def test_the_front_of_a_few_thousand_is_quick():
    start = time.perf_counter()
    front = pareto_front(5040, 5040)  # 3,600 shapes, as many as there are at this size
    assert time.perf_counter() - start < 2
    assert len(front) > 10


@given(st.integers(1, 5000))
@checked
def test_prime_factors_and_divisors(k):
    primes = prime_factors(k)
    assert math.prod(primes) == k
    assert primes == sorted(primes)
    assert all(p > 1 and all(p % d for d in range(2, math.isqrt(p) + 1)) for p in primes)
    assert divisors(k) == [d for d in range(1, k + 1) if k % d == 0]


# FactorShape.


@pytest.mark.parametrize("wrong", [5, (1, 2, 3), "abc", None, (1, 2, 3, 4, 5)])
def test_what_is_no_factor_shape_is_named(wrong):
    with pytest.raises(ShapeError, match=re.escape(f"(m1, n1, m2, n2), found {wrong!r}")):
        as_factor_shape(wrong)


def test_factor_shape_is_a_frozen_value():
    shape = FactorShape(14, 4, 11, 41)
    assert str(shape) == "(14, 4) x (11, 41)"
    assert repr(shape) == "FactorShape(m1=14, n1=4, m2=11, n2=41)"
    assert (shape.a_shape, shape.b_shape) == ((14, 4), (11, 41))
    assert {shape: 1}[FactorShape(14, 4, 11, 41)] == 1
    assert shape != FactorShape(11, 41, 14, 4)
    with pytest.raises(dataclasses.FrozenInstanceError):
        shape.m1 = 3


@given(st.integers(1, 50), st.integers(1, 50), st.integers(1, 50), st.integers(1, 50))
@checked
def test_the_mirror_image_costs_the_same_in_the_other_order(m1, n1, m2, n2):
    shape, mirror = FactorShape(m1, n1, m2, n2), FactorShape(m2, n2, m1, n1)
    assert shape.macs_b_first == n1 * n2 * m2 + n1 * m1 * m2
    assert shape.macs_a_first == m1 * n1 * n2 + m1 * n2 * m2
    assert (shape.macs_b_first, shape.macs_a_first) == (mirror.macs_a_first, mirror.macs_b_first)
    assert (shape.params, shape.rank, shape.macs) == (mirror.params, mirror.rank, mirror.macs)
    assert getattr(shape, f"macs_{shape.order}") == shape.macs


def test_numpy_integers_become_ints():
    shape = FactorShape(*np.array([2, 3, 5, 4], dtype=np.int8))
    assert [type(value) for value in dataclasses.astuple(shape)] == [int] * 4
    assert FactorShape(*np.array([100, 100, 100, 100], dtype=np.int8)).m == 10_000
    assert factor_shapes(np.int8(100), np.int8(120))[0].m == 100


@pytest.mark.parametrize("bad", [0, -3, 2.0, "4", None, True, np.float64(2)])
def test_sizes_must_be_positive_integers(bad):
    found = re.escape(f"must be a positive integer, found {bad!r}")
    with pytest.raises(ShapeError, match=f"^n2 {found}"):
        FactorShape(2, 3, 5, bad)
    for function in (algorithm4, factor_shapes, full_rank_shapes, pareto_front):
        with pytest.raises(ShapeError, match=f"^m {found}"):
            function(bad, 12)
        with pytest.raises(ShapeError, match=f"^n {found}"):
            function(12, bad)


def test_shape_errors_are_value_errors_and_the_names_are_public():
    assert issubclass(ShapeError, ValueError)
    for name in ("FactorShape", "algorithm4", "factor_shapes", "full_rank_shapes", "pareto_front"):
        assert getattr(kplib, name) is globals()[name]


@checked
@given(m=st.integers(1, 90), n=st.integers(1, 90))
def test_hybrid_shapes_are_algorithm_4s_wherever_it_is_defined(m, n):
    shapes = hybrid_shapes(m, n)
    assert list(shapes) == sorted(shapes)
    for r in range(m):
        if r in shapes:
            assert shapes[r] == algorithm4(m - r, n)
        else:
            with pytest.raises(ShapeError):
                algorithm4(m - r, n)
    assert set(shapes) <= set(range(m))
