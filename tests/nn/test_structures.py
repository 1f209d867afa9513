"""Structures: the operator against the matrix, the counts, the initial values, the errors."""

import dataclasses

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.utils.flop_counter import FlopCounterMode

from kplib import FactorShape
from kplib.errors import ShapeError
from kplib.nn import Dense, Kronecker, parameter_count

SIZES = st.integers(1, 7)


def integers_(weight):
    """Small integers for all parameters, so that float64 products are exact."""
    with torch.no_grad():
        for p in weight.parameters():
            p.copy_(torch.randint(-4, 5, p.shape))
    return weight


@settings(max_examples=150, deadline=None)
@given(m1=SIZES, n1=SIZES, m2=SIZES, n2=SIZES, gates=st.integers(1, 4), batch=st.integers(0, 5))
def test_kronecker_is_numpys_kron(m1, n1, m2, n2, gates, batch):
    weight = Kronecker((m1, n1, m2, n2)).build(gates, m1 * m2, n1 * n2, dtype=torch.float64)
    integers_(weight)
    A, B = weight.A.detach().numpy(), weight.B.detach().numpy()
    W = np.stack([np.kron(a, b) for a, b in zip(A, B, strict=True)])
    np.testing.assert_array_equal(weight.matrix().detach().numpy(), W)
    V = torch.randint(-4, 5, (n1 * n2, batch)).double()
    np.testing.assert_array_equal(weight.operator()(V).detach().numpy(), W @ V.numpy())


def test_both_orders_were_tried():
    # the property test above goes through both, since small sizes have both
    assert FactorShape(2, 3, 5, 7).order == "a_first"
    assert FactorShape(5, 7, 2, 3).order == "b_first"


def test_operator_takes_strided_input():
    weight = integers_(Kronecker((2, 3, 5, 7)).build(3, 10, 21, dtype=torch.float64))
    V = torch.randint(-4, 5, (4, 21)).double()
    assert torch.equal(weight.operator()(V.T), weight.matrix() @ V.T)


def test_dense_operator():
    weight = integers_(Dense().build(3, 5, 7, dtype=torch.float64))
    V = torch.randint(-4, 5, (7, 4)).double()
    assert weight.operator()(V).shape == (3, 5, 4)
    assert torch.equal(weight.operator()(V), weight.matrix() @ V)


@pytest.mark.parametrize(
    ("structure", "rows", "columns"),
    [
        (Dense(), 7, 13),
        (Kronecker(), 118, 128),
        (Kronecker((2, 17, 89, 15)), 178, 255),
        (Kronecker((7, 1, 1, 13)), 7, 13),
    ],
)
def test_macs_are_counted_multiplications(structure, rows, columns):
    weight = structure.build(4, rows, columns)
    with FlopCounterMode(display=False) as counter:
        weight.operator()(torch.randn(columns, 3))
    assert counter.get_total_flops() == 2 * 3 * weight.macs  # a multiplication and an addition


def test_counts():
    weight = Kronecker((3, 2, 2, 5)).build(4, 6, 10, dtype=torch.float64)
    assert weight.params == parameter_count(weight) == 4 * (3 * 2 + 2 * 5)
    assert weight.nbytes == 8 * weight.params
    assert weight.macs == 4 * weight.shape.macs
    assert (weight.gates, weight.rows, weight.columns) == (4, 6, 10)
    assert weight.kind == "kronecker"
    assert Dense().build(4, 6, 10).nbytes == 4 * 240
    assert Dense().build(4, 6, 10).kind == "dense"


def test_shape_comes_from_algorithm_4():
    assert Kronecker().build(3, 154, 164, device="meta").shape == FactorShape(14, 4, 11, 41)


def test_one_structure_many_weights():
    structure = Kronecker([3, 2, 2, 5])
    first, second = structure.build(4, 6, 10), structure.build(4, 6, 10)
    assert first.A.data_ptr() != second.A.data_ptr()
    assert not torch.equal(first.A, second.A)
    assert structure == Kronecker(FactorShape(3, 2, 2, 5))
    assert len({structure, Kronecker((3, 2, 2, 5))}) == 1
    with pytest.raises(dataclasses.FrozenInstanceError):
        structure.shape = None


@pytest.mark.parametrize("structure", [Dense, lambda init: Kronecker((3, 2, 2, 5), init)])
@pytest.mark.parametrize("init", ["pytorch", "glorot_uniform"])
def test_initial_variance(structure, init):
    gates, rows, columns = 20_000, 6, 10
    weight = structure(init=init).build(gates, rows, columns, dtype=torch.float64)
    expected = 1 / (3 * rows) if init == "pytorch" else 2 / (columns + gates * rows)
    W = weight.matrix().detach()
    # the variance of each gate's matrix has relative deviation < 0.5, that of their mean < 0.0036
    assert W.square().mean() / expected == pytest.approx(1, rel=0.015)
    assert abs(W.mean()) < 0.01 * expected**0.5
    # at every place of the matrix, not only on average
    assert torch.allclose(W.square().mean(0) / expected, torch.ones(()).double(), atol=0.06)


def test_dense_initial_values_are_those_of_torch():
    hidden = 400
    W = Dense().build(4, hidden, 430).matrix().detach().flatten()
    theirs = torch.nn.LSTM(30, hidden).weight_hh_l0.detach().flatten()
    bound = hidden**-0.5
    for values in (W, theirs):
        assert 0.9999 * bound < values.abs().max() <= bound
        assert values.abs().mean() == pytest.approx(bound / 2, rel=0.01)  # uniform


def test_factors_share_the_variance_equally():
    weight = Kronecker((30, 20, 40, 50)).build(4, 1200, 1000)
    assert weight.A.std().item() == pytest.approx(weight.B.std().item(), rel=0.05)


def test_largest_singular_value_starts_larger_than_dense():
    def largest(structure):
        return torch.linalg.matrix_norm(structure.build(40, 118, 128).matrix(), 2).mean().item()

    assert largest(Kronecker()) > 1.5 * largest(Dense())


def test_reset_parameters_draws_anew():
    for structure in (Dense(), Kronecker()):
        weight = structure.build(4, 6, 10)
        before = weight.matrix().detach().clone()
        weight.reset_parameters()
        assert not torch.equal(weight.matrix(), before)


def test_repr_says_shape_size_and_saving():
    text = repr(Kronecker().build(4, 118, 128))
    for part in ("(59, 8) x (2, 16)", "4 gates of 118 x 128", "2016 parameters", "60416", "30.0x"):
        assert part in text
    assert "4 gates of 118 x 128, 60416 parameters" in repr(Dense().build(4, 118, 128))


@pytest.mark.parametrize(
    ("make", "numbers"),
    [
        (lambda: Kronecker((2, 3, 5)), ["(2, 3, 5)", "(m1, n1, m2, n2)"]),
        (lambda: Kronecker(5), ["found 5", "(m1, n1, m2, n2)"]),
        (lambda: Kronecker((2, 0, 5, 1)), ["n1", "0"]),
        (lambda: Kronecker((8, 4, 5, 17)).build(4, 118, 128), ["40 x 68", "118 x 128"]),
        (lambda: Kronecker().build(4, 179, 256), ["179"]),
    ],
)
def test_shape_errors_carry_the_numbers(make, numbers):
    with pytest.raises(ShapeError) as error:
        make()
    for number in numbers:
        assert number in str(error.value)


@pytest.mark.parametrize("structure", [Dense, Kronecker])
def test_unknown_initializer(structure):
    with pytest.raises(ValueError, match=r"'he'.*'pytorch', 'glorot_uniform'"):
        structure(init="he")
