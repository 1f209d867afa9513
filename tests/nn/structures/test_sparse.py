"""Sparse: what is pruned and stays so, what is counted, the schedule of Zhu and Gupta."""

import itertools
from fractions import Fraction

import numpy as np
import pytest
import scipy.sparse
import torch

from kplib.errors import ShapeError
from kplib.nn import LSTM, Classifier, Dense, MagnitudeSchedule, Sparse, csr_index_bytes, prune


def build(density=0.3, stacks=(2, 1), **options):
    return Sparse(density, **options).build(3, 10, 12, stacks=stacks)


def test_it_starts_full_as_dense():
    torch.manual_seed(1)
    weight = build()
    torch.manual_seed(1)
    assert torch.equal(weight.matrix(), Dense().build(3, 10, 12, stacks=(2, 1)).matrix())
    assert (weight.density, weight.target_density, weight.params) == (1, 0.3, 360)


@pytest.mark.parametrize("stacks", [(3,), (2, 1), (1, 1, 1)])
def test_the_largest_of_each_stack_stay(stacks):
    weight = build(stacks=stacks)
    W = weight.W.detach().clone()
    weight.prune_to(0.123)
    for part, kept in zip(W.split(stacks), weight.matrix().split(stacks), strict=True):
        count = round(0.123 * part.numel())
        magnitudes = np.sort(part.abs().flatten().numpy())[::-1]
        expected = part * (part.abs() >= float(magnitudes[count - 1]))
        assert torch.equal(kept, expected)
        assert int(kept.count_nonzero()) == count


def test_gates_of_a_stack_may_lose_unequally():
    weight = build(stacks=(3,))
    with torch.no_grad():
        weight.W[0] *= 10
    weight.prune_to(1 / 3)
    assert weight.mask[0].float().mean() > 0.8
    assert weight.mask.sum() == 120


def test_equal_magnitudes_keep_the_exact_count():
    weight = build()
    with torch.no_grad():
        weight.W.fill_(-1.0)
    weight.prune_to(0.25)
    assert [int(part.sum()) for part in weight.mask.split((2, 1))] == [60, 30]
    with torch.no_grad():
        weight.W.zero_()
        weight.mask.copy_(weight.mask.flip(2))  # what is left is not what comes first
    before = weight.mask.clone()
    weight.prune_to(0.1)
    assert [int(part.sum()) for part in weight.mask.split((2, 1))] == [24, 12]
    assert not (weight.mask & ~before).any()


def test_what_is_pruned_stays_pruned():
    weight = build()
    weight.prune_to(0.5)
    before = weight.mask.clone()
    with torch.no_grad():
        weight.W[~weight.mask] = 100.0  # however large the entry below the mask becomes
    weight.prune_to(0.4)
    assert not (weight.mask & ~before).any()
    assert weight.params == round(0.4 * 240) + round(0.4 * 120)
    after = weight.mask.clone()
    weight.prune_to(0.9)
    assert torch.equal(weight.mask, after)
    weight.prune_to(0)
    assert weight.params == 0
    assert torch.equal(weight.matrix(), torch.zeros(3, 10, 12))
    weight.reset_parameters()
    assert weight.density == 1


def test_pruned_entries_get_no_gradient_and_momentum_does_not_revive_them():
    weight = build()
    V, target = torch.randn(12, 6), torch.randn(3, 10, 6)
    optimizer = torch.optim.SGD(weight.parameters(), 0.1, momentum=0.9)
    for step in range(6):
        if step == 3:  # the momentum of all entries is under way
            weight.prune_to()
        optimizer.zero_grad()
        (weight.operator()(V) - target).square().mean().backward()
        optimizer.step()
    assert (weight.W.grad[~weight.mask] == 0).all()
    assert (weight.W.grad[weight.mask] != 0).all()
    assert (weight.matrix()[~weight.mask] == 0).all()
    assert weight.params == 108


def test_prune_to_is_the_target_by_default():
    weight = build(0.05)
    weight.prune_to()
    assert weight.params == 12 + 6


def test_assign_keeps_the_largest():
    weight = build()
    weight.prune_to(0.01)
    W = torch.randn(3, 10, 12)
    error = weight.assign(W)
    lost = W.masked_fill(weight.mask, 0)
    assert error == pytest.approx(float(lost.norm() / W.norm()), rel=1e-6)
    assert weight.params == 72 + 36
    assert lost.split((2, 1))[0].abs().max() <= W[:2][weight.mask[:2]].abs().min()


def test_bytes_are_those_of_scipys_compressed_rows():
    weight = Sparse(2085 / 60416).build(4, 118, 128)
    weight.prune_to()
    csr = scipy.sparse.csr_array(weight.matrix().detach().flatten(0, 1).numpy())
    assert weight.params == csr.nnz == 2085
    assert weight.nbytes == csr.data.nbytes
    narrow = csr.indices.astype(np.uint8).nbytes + csr.indptr.astype(np.uint16).nbytes
    assert weight.index_bytes == narrow
    assert weight.nbytes_with_index == csr.data.nbytes + narrow
    wide = csr.indices.astype(np.uint16).nbytes + csr.indptr.astype(np.uint16).nbytes
    assert csr_index_bytes(2085, 472, 128, column_bits=16) == wide
    widest = csr.indices.astype(np.int32).nbytes + csr.indptr.astype(np.uint16).nbytes
    assert csr_index_bytes(2085, 472, 128, column_bits=32) == widest


def test_index_bytes_at_the_limits():
    assert csr_index_bytes(7, 3, 256) == 7 + 2 * 4
    assert csr_index_bytes(7, 3, 257) == 2 * 7 + 2 * 4
    assert csr_index_bytes(7, 3, 2**16 + 1) == 4 * 7 + 2 * 4
    assert csr_index_bytes(2**16 - 1, 2**10, 256) == 2**16 - 1 + 2 * (2**10 + 1)
    assert csr_index_bytes(2**16, 2**10, 256) == 2**16 + 4 * (2**10 + 1)
    assert csr_index_bytes(0, 3, 5) == 8
    with pytest.raises(ShapeError, match="column_bits is 8, which cannot count 257 columns"):
        csr_index_bytes(7, 3, 257, column_bits=8)
    with pytest.raises(ValueError, match=r"column_bits is 4, but must be one of \(8, 16, 32\)"):
        csr_index_bytes(7, 3, 5, column_bits=4)
    with pytest.raises(ShapeError, match="nonzeros is 16, but 3 x 5 has 15"):
        csr_index_bytes(16, 3, 5)


@pytest.mark.parametrize("density", [0, -0.1, 1.01, float("nan")])
def test_density_is_checked(density):
    with pytest.raises(ValueError, match=f"above 0 and at most 1, found {density}"):
        Sparse(density)
    if density:
        with pytest.raises(ValueError, match=f"from 0 to 1, found {density}"):
            build().prune_to(density)


# the schedule


@pytest.mark.parametrize("frequency", [1, 7, 100, 1000])
def test_schedule_is_zhu_and_guptas_formula(frequency):
    schedule = MagnitudeSchedule(0.05, 150, 800, frequency)
    for step in range(0, 1000):
        if step < 150:
            expected = Fraction(0)
        elif step >= 800:
            expected = Fraction(19, 20)
        else:
            t = 150 + frequency * ((step - 150) // frequency)
            expected = Fraction(19, 20) * (1 - (1 - Fraction(t - 150, 650)) ** 3)
        assert schedule.sparsity(step) == pytest.approx(float(expected), abs=1e-15)
        assert schedule.density(step) == pytest.approx(1 - float(expected), abs=1e-15)


def test_schedule_ends():
    schedule = MagnitudeSchedule(0.3, 0, 10)
    assert schedule.sparsity(0) == 0
    assert schedule.density(10) == schedule.density(10**9) == 0.3  # exactly, not 1 - 0.7
    steps = [schedule.sparsity(t) for t in range(11)]
    assert steps == sorted(steps)
    # the derivative is largest at the beginning
    assert steps[1] - steps[0] > steps[6] - steps[5] > steps[10] - steps[9]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((1.5, 0, 1), "final_density must be from 0 to 1, found 1.5"),
        ((0.5, 3, 3), "0 <= begin_step < end_step, found 3 and 3"),
        ((0.5, -1, 3), "found -1 and 3"),
        ((0.5, 0.0, 3), "begin_step must be an integer, found 0.0"),
        ((0.5, 0, 3, 0), "frequency must be a positive integer, found 0"),
    ],
)
def test_schedule_is_checked(arguments, message):
    with pytest.raises(ValueError, match=message):
        MagnitudeSchedule(*arguments)


def test_a_model_is_pruned_as_it_trains():
    rnn = LSTM(4, 6, 2, bidirectional=True, weight=Sparse(0.1))
    model = Classifier(rnn, torch.nn.Linear(12, 3))
    head = model.head.weight.detach().clone()
    schedule = MagnitudeSchedule(0.1, 5, 25, frequency=2)
    optimizer = torch.optim.Adam(rnn.parameters(), 0.01)
    x, masks = torch.randn(5, 8, 4), []
    for step in range(30):
        optimizer.zero_grad()
        model(x).square().sum().backward()
        optimizer.step()
        left = prune(model, schedule.density(step))
        sizes = [4 * 6 * 10] * 2 + [4 * 6 * 18] * 2
        assert left == sum(round(schedule.density(step) * size) for size in sizes)
        masks.append(torch.cat([c.weight.mask.flatten() for c in rnn.cells.values()]))
    for earlier, later in itertools.pairwise(masks):
        assert not (later & ~earlier).any()
    assert masks[4].all()
    assert len({int(mask.sum()) for mask in masks}) == 11  # every second step from 7 to 25
    assert torch.equal(model.head.weight, head)


def test_nothing_to_prune_is_said():
    with pytest.raises(ValueError, match="Linear has no weights of Sparse"):
        prune(torch.nn.Linear(2, 3), 0.5)
