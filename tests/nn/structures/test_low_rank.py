"""LowRank: against U V written out, the truncated decomposition, the largest rank that fits."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from kplib.errors import ShapeError
from kplib.nn import LowRank


def build(rank, stacks, rows=10, columns=12, **options):
    structure = LowRank(rank, **options)
    return structure.build(sum(stacks), rows, columns, stacks=stacks, dtype=torch.float64)


@pytest.mark.parametrize("stacks", [(3,), (2, 1), (1, 1, 1)])
def test_each_stack_is_one_product(stacks):
    weight = build(3, stacks)
    assert (weight.U.shape, weight.V.shape) == ((3, 10, 3), (len(stacks), 3, 12))
    of_gate = np.repeat(np.arange(len(stacks)), stacks)
    for g, k in enumerate(of_gate):
        torch.testing.assert_close(weight.matrix()[g], weight.U[g] @ weight.V[k])
    for k, part in enumerate(weight.matrix().detach().split(stacks)):
        assert np.linalg.matrix_rank(part.flatten(0, 1).numpy()) == 3
        assert part.flatten(0, 1).shape == (stacks[k] * 10, 12)
    assert weight.params == weight.macs == sum(3 * (10 * size + 12) for size in stacks)


def test_not_stacked_is_a_stack_for_each_gate():
    weight = build(3, (2, 1), stacked=False)
    assert weight.stacks == (1, 1, 1)
    assert weight.params == 3 * 3 * (10 + 12)


@pytest.mark.parametrize("stacks", [(3,), (2, 1), (1, 1, 1)])
def test_assign_truncates_and_balances(stacks):
    weight = build(4, stacks)
    W = torch.randn(3, 10, 12, dtype=torch.float64)
    error = weight.assign(W)
    tails = [np.linalg.svd(part.flatten(0, 1), compute_uv=False)[4:] for part in W.split(stacks)]
    expected = np.sqrt(sum((tail**2).sum() for tail in tails)) / np.linalg.norm(W)
    assert error == pytest.approx(expected, rel=1e-12)
    for k, U in enumerate(weight.U.detach().split(stacks)):
        U = U.flatten(0, 1)
        torch.testing.assert_close(U.mT @ U, weight.V[k].detach() @ weight.V[k].detach().mT)


def test_singular_values_beyond_the_rank_are_zero():
    values = build(3, (2, 1)).singular_values()
    assert (values[:, :3] > 0).all()
    assert (values[:, 3:] == 0).all()
    stacked = build(3, (2, 1)).stacked_singular_values()
    assert (stacked[:6] > 0).all()
    assert (stacked[6:] == 0).all()


def test_rank_above_a_gates_rows():
    # the stacked matrix is 15 x 12 and may have rank 11, its gates of 5 x 12 have 5
    weight = build(11, (3,), rows=5)
    assert weight.singular_values().shape == (3, 5)
    exact = torch.linalg.svdvals(weight.matrix().detach())
    torch.testing.assert_close(weight.singular_values(), exact)


@settings(max_examples=100, deadline=None)
@given(
    params=st.integers(1, 600),
    rows=st.integers(1, 12),
    columns=st.integers(1, 12),
    stacks=st.lists(st.integers(1, 3), min_size=1, max_size=3),
    stacked=st.booleans(),
)
def test_for_size_is_the_largest_rank_that_fits(params, rows, columns, stacks, stacked):
    def size(rank):
        structure = LowRank(rank, stacked=stacked)
        return structure.build(sum(stacks), rows, columns, stacks=stacks, device="meta").params

    structure = LowRank.for_size(params, stacked=stacked)
    if size(1) > params:
        with pytest.raises(ShapeError, match=f"params is {params}, but rank 1 .* takes {size(1)}"):
            structure.build(sum(stacks), rows, columns, stacks=stacks)
        return
    weight = structure.build(sum(stacks), rows, columns, stacks=stacks)
    assert weight.params <= params
    try:
        assert size(weight.rank + 1) > params
    except ShapeError:  # no matrix of this size has a higher rank
        sizes = stacks if stacked else [1]
        assert weight.rank == min(min(s * rows, columns) for s in sizes)


def test_for_size_passes_its_options_on():
    structure = LowRank.for_size(500, stacked=False, init="random_normal", match="spectral_norm")
    chosen = structure.low_rank(4, 10, 12)
    assert chosen == LowRank(5, stacked=False, init="random_normal", match="spectral_norm")


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: LowRank(0), "rank must be a positive integer, found 0"),
        (lambda: LowRank(2.5), "rank must be a positive integer, found 2.5"),
        (lambda: LowRank.for_size(-3), "params must be a positive integer, found -3"),
        (lambda: build(13, (3,)), r"rank is 13, but must be at most 12 for matrices \(30, 12\)"),
        (lambda: build(11, (2, 1)), r"11.*at most 10 for matrices \(10, 12\) and \(20, 12\)"),
        (lambda: build(11, (3,), stacked=False), r"11.*at most 10 for matrices \(10, 12\)"),
    ],
)
def test_errors_carry_the_numbers(make, message):
    with pytest.raises(ShapeError, match=message):
        make()


def test_repr():
    assert "U V of rank 3 for stacks of (2, 1), 3 gates" in repr(build(3, (2, 1)))
