"""Kronecker: against NumPy's kron, sums, stacks, the nearest ones, shapes and errors."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from kplib import FactorShape
from kplib.errors import ShapeError
from kplib.kron import rearrangement
from kplib.nn import Kronecker
from kplib.nn.structures import KroneckerSumWeight, KroneckerWeight, StackedKroneckerWeight

SIZES = st.integers(1, 7)


def with_integers(weight):
    with torch.no_grad():
        for p in weight.parameters():
            p.copy_(torch.randint(-4, 5, p.shape))
    return weight


def array(tensor):
    return tensor.detach().numpy()


@settings(max_examples=150, deadline=None)
@given(m1=SIZES, n1=SIZES, m2=SIZES, n2=SIZES, gates=st.integers(1, 4))
def test_it_is_numpys_kron(m1, n1, m2, n2, gates):
    weight = Kronecker((m1, n1, m2, n2)).build(gates, m1 * m2, n1 * n2, dtype=torch.float64)
    with_integers(weight)
    W = np.stack([np.kron(a, b) for a, b in zip(array(weight.A), array(weight.B), strict=True)])
    np.testing.assert_array_equal(array(weight.matrix()), W)


@settings(max_examples=100, deadline=None)
@given(m1=SIZES, n1=SIZES, m2=SIZES, n2=SIZES, gates=st.integers(1, 3), data=st.data())
def test_a_sum_adds_products(m1, n1, m2, n2, gates, data):
    terms = data.draw(st.integers(1, min(m1 * n1, m2 * n2)))
    weight = KroneckerSumWeight(gates, FactorShape(m1, n1, m2, n2), terms, dtype=torch.float64)
    with_integers(weight)
    assert weight.A.shape == (gates, terms, m1, n1)
    for g in range(gates):
        pairs = zip(array(weight.A[g]), array(weight.B[g]), strict=True)
        W = sum(np.kron(a, b) for a, b in pairs)
        np.testing.assert_array_equal(array(weight.matrix()[g]), W)
    assert weight.macs == gates * terms * weight.shape.macs


def test_a_stack_is_one_product_cut_into_gates():
    weight = Kronecker(stacked=True, terms=2).build(3, 10, 12, stacks=(2, 1), dtype=torch.float64)
    with_integers(weight)
    assert weight.shapes == (FactorShape(5, 3, 4, 4), FactorShape(5, 3, 2, 4))
    for k, gates in enumerate((slice(0, 2), slice(2, 3))):
        pairs = zip(array(weight.A[k]), array(weight.B[k]), strict=True)
        W = sum(np.kron(a, b) for a, b in pairs)
        np.testing.assert_array_equal(array(weight.matrix()[gates].flatten(0, 1)), W)
    assert weight.params == 2 * (15 + 16 + 15 + 8)
    assert list(weight.state_dict()) == ["A.0", "A.1", "B.0", "B.1"]


def test_both_orders_were_tried():
    # the property tests go through both, since small sizes have both
    assert FactorShape(2, 3, 5, 7).order == "a_first"
    assert FactorShape(5, 7, 2, 3).order == "b_first"


def test_which_weight_is_built():
    def kind(**options):
        return type(Kronecker((2, 3, 5, 4), **options).build(1, 10, 12))

    assert kind() is kind(terms=1) is KroneckerWeight
    assert kind(terms=2) is KroneckerSumWeight
    assert kind(stacked=True) is kind(stacked=True, terms=2) is StackedKroneckerWeight


def test_the_simple_case_keeps_its_parameters():
    weight = Kronecker((2, 3, 5, 4)).build(4, 10, 12)
    assert {name: tuple(p.shape) for name, p in weight.named_parameters()} == {
        "A": (4, 2, 3), "B": (4, 5, 4)
    }  # fmt: skip


def test_one_product_is_not_split_by_stacks():
    torch.manual_seed(1)
    first = Kronecker().build(3, 10, 12)
    torch.manual_seed(1)
    assert torch.equal(Kronecker().build(3, 10, 12, stacks=(3,)).A, first.A)


@pytest.mark.parametrize("terms", [1, 2, 5])
@pytest.mark.parametrize("stacked", [False, True])
def test_assign_leaves_the_tail_of_the_rearranged_matrix(terms, stacked):
    weight = Kronecker(terms=terms, stacked=stacked).build(4, 10, 12, dtype=torch.float64)
    W = torch.randn(4, 10, 12, dtype=torch.float64)
    error = weight.assign(W)
    if stacked:
        parts = [(array(W.flatten(0, 1)), weight.shapes[0])]
    else:
        parts = [(array(w), weight.shape) for w in W]
    tails = [np.linalg.svd(rearrangement(w, s), compute_uv=False)[terms:] for w, s in parts]
    expected = np.sqrt(sum((tail**2).sum() for tail in tails)) / np.linalg.norm(W)
    assert error == pytest.approx(expected, rel=1e-12)
    assert error > 0.1


def test_more_terms_come_nearer_until_they_are_exact():
    W = torch.randn(2, 6, 10, dtype=torch.float64)
    errors = [
        Kronecker((3, 2, 2, 5), terms=k).build(2, 6, 10, dtype=torch.float64).assign(W)
        for k in range(1, 7)
    ]
    assert errors == sorted(errors, reverse=True)
    assert errors[4] > 0.01
    assert errors[5] < 1e-14


def test_shape_comes_from_algorithm_4():
    assert Kronecker().build(3, 154, 164, device="meta").shape == FactorShape(14, 4, 11, 41)
    stacked = Kronecker(stacked=True).build(3, 154, 164, stacks=(2, 1), device="meta")
    assert stacked.shapes == (FactorShape(28, 4, 11, 41), FactorShape(14, 4, 11, 41))


def test_one_structure_many_weights():
    structure = Kronecker([3, 2, 2, 5])
    assert structure == Kronecker(FactorShape(3, 2, 2, 5))
    assert len({structure, Kronecker((3, 2, 2, 5)), Kronecker((3, 2, 2, 5), terms=2)}) == 2


def test_repr_says_shape_size_and_saving():
    text = repr(Kronecker().build(4, 118, 128))
    for part in ("(59, 8) x (2, 16)", "4 gates of 118 x 128", "2016 parameters", "60416", "30.0x"):
        assert part in text
    assert "terms" not in text
    assert "3 terms A (x) B with (59, 8)" in repr(Kronecker(terms=3).build(4, 118, 128))
    text = repr(Kronecker(stacked=True).build(3, 10, 12, stacks=(2, 1)))
    assert "(5, 3) x (4, 4) and (5, 3) x (2, 4) for stacks of (2, 1)" in text


@pytest.mark.parametrize(
    ("make", "numbers"),
    [
        (lambda: Kronecker((2, 3, 5)), ["(2, 3, 5)", "(m1, n1, m2, n2)"]),
        (lambda: Kronecker(5), ["found 5", "(m1, n1, m2, n2)"]),
        (lambda: Kronecker((2, 0, 5, 1)), ["n1", "0"]),
        (lambda: Kronecker(terms=0), ["terms must be a positive integer, found 0"]),
        (lambda: Kronecker(terms=1.5), ["terms", "1.5"]),
        (lambda: Kronecker((8, 4, 5, 17)).build(4, 118, 128), ["40 x 68", "118 x 128"]),
        (lambda: Kronecker().build(4, 179, 256), ["179"]),
        (lambda: Kronecker((3, 2, 2, 5), terms=7).build(4, 6, 10), ["7", "6", "6 x 10"]),
        (
            lambda: Kronecker((3, 2, 2, 5), stacked=True).build(4, 6, 10),
            ["6 x 10", "the stacked matrix of 4 gates is 24 x 10"],
        ),
        (
            lambda: Kronecker((10, 3, 2, 4), stacked=True).build(3, 10, 12, stacks=(2, 1)),
            ["20 x 12", "the stacked matrix of 1 gates is 10 x 12"],
        ),
    ],
)
def test_errors_carry_the_numbers(make, numbers):
    with pytest.raises(ShapeError) as error:
        make()
    for number in numbers:
        assert number in str(error.value)
