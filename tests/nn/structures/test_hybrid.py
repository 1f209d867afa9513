"""Hybrid: dense rows over NumPy's kron, every number of rows, the choice for a compression."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from kplib import FactorShape, algorithm4
from kplib.errors import ShapeError
from kplib.kron import rearrangement
from kplib.nn import Hybrid, Kronecker
from kplib.shapes import prime_factors

SIZES = st.integers(1, 6)


@settings(max_examples=100, deadline=None)
@given(r=st.integers(0, 4), m1=SIZES, n1=SIZES, m2=SIZES, n2=SIZES, gates=st.integers(1, 3))
def test_it_is_dense_rows_over_numpys_kron(r, m1, n1, m2, n2, gates):
    weight = Hybrid(r, (m1, n1, m2, n2)).build(gates, r + m1 * m2, n1 * n2, dtype=torch.float64)
    assert weight.dense_rows == r
    assert weight.macs == gates * (r * n1 * n2 + weight.shape.macs)
    D, A, B = (p.detach().numpy() for p in (weight.D, weight.A, weight.B))
    for g in range(gates):
        W = np.vstack([D[g], np.kron(A[g], B[g])])
        np.testing.assert_array_equal(weight.matrix()[g].detach().numpy(), W)


def test_every_number_of_rows_that_can_be_factored():
    for r in range(118):
        if len(prime_factors(118 - r)) > 1:
            weight = Hybrid(r).build(4, 118, 128, device="meta")
            assert weight.shape == algorithm4(118 - r, 128)
            assert weight.params == 4 * (r * 128 + weight.shape.params)
        else:
            with pytest.raises(ShapeError):
                Hybrid(r).build(4, 118, 128, device="meta")


def test_without_dense_rows_it_is_kronecker():
    torch.manual_seed(1)
    hybrid = Hybrid(0).build(4, 10, 12)
    torch.manual_seed(1)
    kronecker = Kronecker().build(4, 10, 12)
    assert hybrid.D.numel() == 0
    assert torch.equal(hybrid.matrix(), kronecker.matrix())


def test_assign_copies_the_rows_and_finds_the_nearest_product():
    weight = Hybrid(3, (7, 2, 1, 6)).build(2, 10, 12, dtype=torch.float64)
    W = torch.randn(2, 10, 12, dtype=torch.float64)
    error = weight.assign(W)
    assert torch.equal(weight.D, W[:, :3])
    tails = [np.linalg.svd(rearrangement(w[3:], (7, 2, 1, 6)), compute_uv=False)[1:] for w in W]
    expected = np.sqrt(sum((tail**2).sum() for tail in tails)) / np.linalg.norm(W)
    assert error == pytest.approx(expected, rel=1e-12)


def sizes_of_all(m, n):
    """Written once more: parameters of a gate for every number of dense rows that works."""
    sizes = {}
    for r in range(m):
        try:
            sizes[r] = r * n + algorithm4(m - r, n).params
        except ShapeError:
            continue
    return sizes


@pytest.mark.parametrize(("m", "n"), [(118, 128), (40, 68), (179, 256), (32, 48), (4, 4), (7, 9)])
@pytest.mark.parametrize("factor", [1, 1.5, 2, 5, 9.99, 10, 20])
def test_for_compression_is_the_closest_of_all_rows(m, n, factor):
    sizes = sizes_of_all(m, n)
    enough = [size for size in sizes.values() if m * n / size >= factor]
    structure = Hybrid.for_compression(factor)
    if not enough:
        with pytest.raises(ShapeError, match=rf"{m} x {n}.*{m * n / min(sizes.values()):.1f}"):
            structure.build(4, m, n)
        return
    weight = structure.build(4, m, n)
    assert weight.params == 4 * max(enough)
    assert 4 * m * n / weight.params >= factor
    assert weight.dense_rows == min(r for r in sizes if sizes[r] == max(enough))


def test_size_is_not_monotone_in_the_rows():
    sizes = sizes_of_all(118, 128)
    assert sizes[1] < sizes[0] < sizes[2]
    # more compression than without dense rows, with one
    assert Hybrid.for_compression(118 * 128 / sizes[0] + 0.01).hybrid(118, 128).rows == 1


def test_for_compression_passes_its_options_on():
    structure = Hybrid.for_compression(5, init="glorot_uniform", match="spectral_norm")
    assert structure == Hybrid.for_compression(5, init="glorot_uniform", match="spectral_norm")
    chosen = structure.hybrid(40, 68)
    assert (chosen.init, chosen.match) == ("glorot_uniform", "spectral_norm")
    weight = structure.build(4, 40, 68, dtype=torch.float64)
    assert (weight.init, weight.match) == ("glorot_uniform", "spectral_norm")
    assert weight.D.dtype == torch.float64


@pytest.mark.parametrize(
    ("make", "parts"),
    [
        (lambda: Hybrid(-1), ["rows must be 0 or a positive integer, found -1"]),
        (lambda: Hybrid(1.0), ["rows", "1.0"]),
        (lambda: Hybrid(True), ["rows", "True"]),
        (lambda: Hybrid(2, (1, 2)), ["(1, 2)", "(m1, n1, m2, n2)"]),
        (lambda: Hybrid(118).build(4, 118, 128), ["rows is 118, but must be below 118"]),
        (
            lambda: Hybrid(5).build(4, 118, 128),
            ["5 dense rows of 118 leave 113", "a prime", "rows = 4 and rows = 6"],
        ),
        (lambda: Hybrid(0).build(4, 7, 12), ["leave 7", "the nearest that work: rows = 1"]),
        (lambda: Hybrid(6).build(4, 7, 12), ["leave 1 for", "no product", "rows = 3"]),
        (lambda: Hybrid(0).build(4, 3, 12), ["leave 3", "no number works"]),
        (lambda: Hybrid(1).build(4, 7, 13), ["n = 13 is a prime, which no hybrid mends"]),
        (
            lambda: Hybrid(1, (2, 3, 3, 4)).build(4, 8, 12),
            ["makes a 6 x 12 matrix", "what 1 dense rows leave of a gate's 8 is 7 x 12"],
        ),
        (lambda: Hybrid.for_compression(2).build(4, 3, 12), ["no number works"]),
        (lambda: Hybrid.for_compression(2).build(4, 8, 13), ["n = 13 is a prime"]),
    ],
)
def test_errors_carry_the_numbers(make, parts):
    with pytest.raises(ShapeError) as error:
        make()
    for part in parts:
        assert part in str(error.value)


@pytest.mark.parametrize("factor", [0.5, 0, -1, float("nan"), float("inf")])
def test_compression_is_checked(factor):
    with pytest.raises(ValueError, match=f"from 1 on, found {factor}"):
        Hybrid.for_compression(factor)


def test_repr():
    text = repr(Hybrid(2).build(4, 118, 128))
    assert f"2 dense rows over A (x) B with {FactorShape(29, 8, 4, 16)}, 4 gates" in text
