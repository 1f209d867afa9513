"""KroneckerChain: products without expanding, unitary factors, the complex RNN, learning."""

import copy
import math
from functools import reduce

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torch.nn.utils.rnn import pack_sequence, pad_packed_sequence
from torch.utils.flop_counter import FlopCounterMode

from kplib import chain_matvec
from kplib.errors import DtypeError, ShapeError
from kplib.nn import (
    GRU,
    LSTM,
    RNN,
    Classifier,
    Dense,
    FastRNN,
    Hybrid,
    Kronecker,
    KroneckerChain,
    LowRank,
    Sparse,
    modrelu,
    parameter_count,
    unitary_penalty,
)
from kplib.nn.structures import ChainWeight, ComplexWeight

SIZES = st.integers(1, 5)
CELLS = {
    "RNN": RNN,
    "RNN-modrelu": lambda *args, **kw: RNN(*args, nonlinearity="modrelu", **kw),
    "LSTM": LSTM,
    "GRU": GRU,
    "GRU-before": lambda *args, **kw: GRU(*args, reset_after=False, **kw),
    "FastRNN": FastRNN,
}


def integers_(module):
    """Small integers for all parameters, so that float64 products are exact."""
    with torch.no_grad():
        for p in module.parameters():
            p.copy_(torch.randint(-4, 5, p.shape))
    return module


def small_integers(*shape, is_complex=False):
    draw = torch.randint(-4, 5, (2, *shape)).double()
    return torch.complex(*draw) if is_complex else draw[0]


def kron_by_numpy(chain):
    """The stack, one gate after the other, from the stored numbers."""
    values = [v.detach().numpy() for v in chain.values]
    if chain.complex:
        values = [v[..., 0] + 1j * v[..., 1] for v in values]
    return np.stack([reduce(np.kron, [v[g] for v in values]) for g in range(chain.gates)])


def complex_bias_by_numpy(cell):
    vectors = [v for v in (cell.bias, cell.bias_ih, cell.bias_hh) if v is not None]
    return sum(v.detach().numpy().reshape(-1, 2) @ [1, 1j] for v in vectors)


class Call(nn.Module):
    """A function of a weight, as a module, so that its parameters can be replaced."""

    def __init__(self, weight, function):
        super().__init__()
        self.weight = weight
        self.function = function

    def forward(self, *args):
        return self.function(self.weight, *args)

    def with_values(self, values, *args):
        named = {f"weight.values.{f}": v for f, v in enumerate(values)}
        return torch.func.functional_call(self, named, args)


# the weight


@settings(max_examples=120, deadline=None)
@given(
    shapes=st.lists(st.tuples(SIZES, SIZES), min_size=1, max_size=5),
    gates=st.integers(1, 3),
    batch=st.integers(0, 4),
    is_complex=st.booleans(),
    data=st.data(),
)
def test_matrix_and_operator_are_kron_exactly(shapes, gates, batch, is_complex, data):
    while math.prod(P for P, _ in shapes) * math.prod(Q for _, Q in shapes) > 40_000:
        shapes = shapes[1:]
    weight = ChainWeight(gates, shapes, complex=is_complex, dtype=torch.float64)
    integers_(weight)
    W = kron_by_numpy(weight)
    np.testing.assert_array_equal(weight.matrix().detach().numpy(), W)
    V = small_integers(weight.columns, batch, is_complex=is_complex)
    product = W @ V.numpy()
    np.testing.assert_array_equal(weight.operator()(V).detach().numpy(), product)
    start = data.draw(st.integers(0, gates - 1))
    stop = data.draw(st.integers(start + 1, gates))
    some = weight.operator(slice(start, stop))(V)
    np.testing.assert_array_equal(some.detach().numpy(), product[start:stop])


def test_operator_is_the_numpy_chain_and_takes_strided_input():
    weight = integers_(ChainWeight(2, [(2, 3), (5, 1), (4, 7)], dtype=torch.float64))
    V = small_integers(4, 21)
    ours = weight.operator()(V.T).detach().numpy()
    for g in range(2):
        factors = [F[g].detach().numpy() for F in weight.factors]
        np.testing.assert_array_equal(ours[g], chain_matvec(factors, V.numpy()).T)


@pytest.mark.parametrize("is_complex", [False, True])
@pytest.mark.parametrize("gates", [slice(None), slice(1, 3)])
def test_gradcheck(is_complex, gates):
    weight = ChainWeight(3, [(2, 3), (3, 1), (1, 2)], complex=is_complex, dtype=torch.float64)
    dtype = torch.complex128 if is_complex else torch.float64
    V = torch.randn(6, 2, dtype=dtype, requires_grad=True)

    call = Call(weight, lambda weight, V: weight.operator(gates)(V))
    assert torch.autograd.gradcheck(
        lambda V, *values: call.with_values(values, V), (V, *weight.values)
    )


@pytest.mark.parametrize(
    "shapes", [[(2, 2)] * 8, [(2, 3), (5, 1), (4, 7)], [(7, 2), (2, 7), (3, 3)], [(6, 6)]]
)
def test_macs_are_counted_multiplications(shapes):
    for gates in (1, 3):
        weight = ChainWeight(gates, shapes)
        with FlopCounterMode(display=False) as counter:
            weight.operator()(torch.randn(weight.columns, 5))
        assert counter.get_total_flops() == 2 * 5 * weight.macs
        assert ChainWeight(gates, shapes, complex=True).macs == 4 * weight.macs


def test_no_matrix_is_expanded():
    # 2^40 x 2^40 in 40 factors could not be: a vector of it could not either, so 2^16
    weight = ChainWeight(1, [(2, 2)] * 16, dtype=torch.float64)
    v = torch.randn(2**16, 1, dtype=torch.float64)
    y = weight.operator()(v)
    assert y.norm().item() == pytest.approx(v.norm().item(), rel=1e-12)


def test_the_papers_example_sizes():
    assert ChainWeight(1, [(2, 2)] * 8).params == 32
    assert ChainWeight(1, [(32, 8), (8, 32)]).params == 512
    assert ChainWeight(1, [(14, 4), (11, 41)]).params == 507
    gru = GRU(10, 256, bias="one", weight=KroneckerChain(8))
    assert gru.weight.hidden.params == 3 * 32
    assert gru.weight.hidden.macs == 3 * 8 * 2 * 256
    assert parameter_count(gru) == 3 * (256 * 10 + 32 + 256)
    assert gru.weight.params == 3 * (256 * 10 + 32)
    assert gru.weight.nbytes == 4 * gru.weight.params


def test_a_complex_number_counts_as_two_parameters():
    rnn = RNN(10, 24, bias="one", weight=KroneckerChain([2, 3, 4], complex=True))
    # W_x, factors, bias; the bias of modrelu is real
    assert parameter_count(rnn) == 2 * (24 * 10) + 2 * (4 + 9 + 16) + 2 * 24 + 24
    assert rnn.weight.params == 2 * (24 * 10) + 2 * (4 + 9 + 16)


@pytest.mark.parametrize("is_complex", [False, True])
@pytest.mark.parametrize("shapes", [[(2, 2)] * 5, [(2, 3), (5, 1), (4, 7)], [(3, 3), (2, 2)]])
def test_singular_values_are_those_of_the_matrix(is_complex, shapes):
    weight = ChainWeight(
        2, shapes, complex=is_complex, init="random_normal", variances=[1, 1], dtype=torch.float64
    )
    theirs = np.linalg.svd(kron_by_numpy(weight), compute_uv=False)
    np.testing.assert_allclose(weight.singular_values().numpy(), theirs, atol=1e-13)


@pytest.mark.parametrize(
    "input", [Dense(), Kronecker((4, 5, 3, 1)), LowRank(2), Sparse(0.5), Hybrid(2, (5, 5, 2, 1))]
)
def test_w_x_of_every_structure(input):
    structure = KroneckerChain([2, 3, 2], input=input)
    for cell, bidirectional in (("LSTM", True), ("GRU", False), ("GRU-before", False)):
        layer = CELLS[cell](5, 12, bidirectional=bidirectional, weight=structure)
        layer, x = layer.double(), torch.randn(4, 3, 5, dtype=torch.float64)
        outputs = []
        for layer.method in ("fused", "factors"):
            outputs.append(layer(x)[0])
        torch.testing.assert_close(*outputs)
        for each in layer.cells.values():
            W, V = each.weight.matrix(), torch.randn(17, 2, dtype=torch.float64)
            for gates in (slice(None), slice(0, 2), slice(1, 3)):
                torch.testing.assert_close(each.weight.operator(gates)(V), W[gates] @ V)
    rnn = RNN(5, 12, weight=KroneckerChain([2, 3, 2], input=input, complex=True), method="fused")
    fused = rnn(x.float())[0]
    rnn.method = "factors"
    torch.testing.assert_close(rnn(x.float())[0], fused)


def test_structure_splits_w():
    layer = GRU(5, 12, weight=KroneckerChain([3, (2, 4), (2, 1)], input=Kronecker((4, 5, 3, 1))))
    weight = integers_(layer.weight.double())
    W = weight.matrix().detach().numpy()
    np.testing.assert_array_equal(W[:, :, :5], weight.input.matrix().detach().numpy())
    np.testing.assert_array_equal(W[:, :, 5:], kron_by_numpy(weight.hidden))
    V = small_integers(17, 3)
    for gates in (slice(None), slice(0, 2), slice(2, 3)):
        np.testing.assert_array_equal(
            weight.operator(gates)(V).detach().numpy(), W[gates] @ V.numpy()
        )
    assert weight.kind == "kronecker_chain"
    assert weight.macs == weight.input.macs + weight.hidden.macs
    assert weight.shapes == ((3, 3), (2, 4), (2, 1))
    theirs = np.linalg.svd(W, compute_uv=False)
    np.testing.assert_allclose(weight.singular_values().numpy(), theirs, atol=1e-10)


@settings(max_examples=30, deadline=None)
@given(gates=st.integers(1, 3), rows=SIZES, columns=SIZES, batch=st.integers(1, 3))
def test_complex_weight_is_two_real_ones(gates, rows, columns, batch):
    weight = integers_(ComplexWeight(Dense().build(2 * gates, rows, columns, dtype=torch.float64)))
    parts = weight.parts.W.detach().numpy()
    W = parts[0::2] + 1j * parts[1::2]
    np.testing.assert_array_equal(weight.matrix().detach().numpy(), W)
    for is_complex in (False, True):
        V = small_integers(columns, batch, is_complex=is_complex)
        for some in (slice(None), slice(gates - 1, gates)):
            product = weight.operator(some)(V).detach().numpy()
            np.testing.assert_array_equal(product, W[some] @ V.numpy())


# the factors' sizes


@pytest.mark.parametrize(
    ("size", "count", "expected"),
    [
        (256, 8, [2] * 8),
        (256, 4, [4] * 4),
        (256, 3, [8, 8, 4]),
        (118, 2, [59, 2]),
        (154, 3, [11, 7, 2]),
        (154, 2, [14, 11]),
        (120, 2, [12, 10]),
        (7, 1, [7]),
        (1, 1, [1]),
        (1024, 5, [4] * 5),
    ],
)
def test_a_count_gives_near_equal_factors(size, count, expected):
    assert KroneckerChain(count).shapes(size) == tuple((n, n) for n in expected)


@pytest.mark.parametrize("size", range(2, 200))
def test_near_equal_factors_are_the_smallest_of_all(size):
    def products(k, count):
        if count == 1:
            return [[k]] if k > 1 else []
        return [[d, *r] for d in range(2, k) if k % d == 0 for r in products(k // d, count - 1)]

    for count in (1, 2, 3, 4):
        every = products(size, count)
        if not every:
            with pytest.raises(ShapeError):
                KroneckerChain(count).shapes(size)
        else:
            found = [P for P, _ in KroneckerChain(count).shapes(size)]
            assert math.prod(found) == size
            assert found == sorted(found, reverse=True)
            assert sum(n * n for n in found) == min(sum(n * n for n in ns) for ns in every)


def test_structures_are_values():
    structure = KroneckerChain([2, (3, 2), [2, 3]])
    assert structure == KroneckerChain(((2, 2), (3, 2), (2, 3)))
    assert len({structure, KroneckerChain(2), KroneckerChain(np.int64(2))}) == 2
    text = repr(LSTM(3, 12, weight=structure))
    for part in ("(2, 2) (x) (3, 2) (x) (2, 3)", "4 gates of 12 x 12", "DenseWeight"):
        assert part in text


@pytest.mark.parametrize(
    ("make", "error", "parts"),
    [
        (lambda: KroneckerChain(0), ShapeError, ["found 0", "number of factors"]),
        (lambda: KroneckerChain(True), ShapeError, ["found True"]),
        (lambda: KroneckerChain("22"), ShapeError, ["'22'"]),
        (lambda: KroneckerChain([]), ShapeError, ["found none"]),
        (lambda: KroneckerChain([2, (3, 4, 5)]), ShapeError, ["factor 1", "(3, 4, 5)"]),
        (lambda: KroneckerChain([2, 0]), ShapeError, ["P of factor 1", "0"]),
        (lambda: KroneckerChain([2, (2, 1.5)]), ShapeError, ["Q of factor 1", "1.5"]),
        (
            lambda: RNN(3, 118, weight=KroneckerChain(3)),
            ShapeError,
            ["118 = 2 * 59", "2 prime", "3"],
        ),
        (lambda: RNN(3, 7, weight=KroneckerChain(2)), ShapeError, ["7 = 7", "1 prime factor,"]),
        (
            lambda: RNN(3, 8, weight=KroneckerChain([2, 3])),
            ShapeError,
            ["(2, 2) (x) (3, 3)", "2 * 3 = 6", "hidden_size is 8"],
        ),
        (
            lambda: RNN(3, 8, weight=KroneckerChain([(2, 2), (4, 5)])),
            ShapeError,
            ["the Q of", "2 * 5 = 10", "hidden_size is 8"],
        ),
        (lambda: KroneckerChain(2).build(1, 8, 8), ShapeError, ["8 columns", "8 x 8"]),
        (lambda: KroneckerChain(2, init="he"), ValueError, ["'he'", "'orthogonal'", "'pytorch'"]),
        (lambda: KroneckerChain(2, input="dense"), TypeError, ["'dense'"]),
        (lambda: KroneckerChain(2, input=KroneckerChain(2)), TypeError, ["input must be"]),
        (
            lambda: RNN(3, 8, weight=KroneckerChain(3, complex=True), dtype=torch.bfloat16),
            DtypeError,
            ["torch.bfloat16", "torch.float32 or torch.float64"],
        ),
        (lambda: ChainWeight(2, [(2, 2)], init="pytorch"), ValueError, ["2 variances", "found 0"]),
        (lambda: ChainWeight(2, [(2, 2)], variances=[1]), ValueError, ["0 variances", "found 1"]),
        (lambda: ChainWeight(2, []), ShapeError, ["found none"]),
    ],
)
def test_errors_carry_the_numbers(make, error, parts):
    with pytest.raises(error) as caught:
        make()
    for part in parts:
        assert part in str(caught.value)


# how it starts


@pytest.mark.parametrize("is_complex", [False, True])
def test_square_factors_start_unitary(is_complex):
    weight = ChainWeight(3, [(2, 2)] * 6 + [(5, 5)], complex=is_complex, dtype=torch.float64)
    assert torch.allclose(weight.singular_values(), torch.ones(()).double(), atol=1e-13)
    V = torch.randn(weight.columns, 4, dtype=torch.float64)
    norms = weight.operator()(V + 1j * V.flip(0) if is_complex else V).norm(dim=1)
    expected = V.norm(dim=0) * (2**0.5 if is_complex else 1)
    assert torch.allclose(norms, expected.expand(3, -1), rtol=1e-13)
    assert weight.unitary_penalty() < 1e-25


def test_rectangular_factors_start_with_orthonormal_rows_or_columns():
    weight = ChainWeight(2, [(2, 5), (5, 2), (3, 3)], dtype=torch.float64)
    wide, tall, _ = weight.factors
    assert torch.allclose(wide @ wide.mT, torch.eye(2).double().expand(2, 2, 2))
    assert torch.allclose(tall.mT @ tall, torch.eye(2).double().expand(2, 2, 2))
    assert weight.unitary_penalty() < 1e-25
    # as the docstring says: square, but of rank min(2, 5) * min(5, 2) * 3
    assert weight.singular_values().gt(1e-9).sum(1).tolist() == [12, 12]


@pytest.mark.parametrize("is_complex", [False, True])
def test_factors_are_uniformly_distributed(is_complex):
    """Haar: the trace of an n x n matrix has mean 0 and E|tr|^2 = 1, for both groups."""
    for n in (2, 3):
        F = ChainWeight(40_000, [(n, n)], complex=is_complex, dtype=torch.float64).factors[0]
        trace = F.detach().diagonal(dim1=1, dim2=2).sum(1)
        assert trace.mean().abs() < 5 / 200  # standard deviation 1 / sqrt(40,000)
        assert trace.abs().square().mean() == pytest.approx(1, abs=0.05)
        if is_complex:  # every phase is as likely: without the correction it is not
            assert (trace**2).mean().abs() < 0.05
        else:  # both signs of the determinant are as likely
            assert torch.det(F.detach()).mean().abs() < 5 / 200


@pytest.mark.parametrize("is_complex", [False, True])
@pytest.mark.parametrize("init", ["pytorch", "glorot_uniform"])
def test_matched_variance(is_complex, init):
    gates, expected = 20_000, {"pytorch": 1 / (3 * 12), "glorot_uniform": 2 / (17 + 20_000 * 12)}
    structure = KroneckerChain([2, 3, 2], complex=is_complex, init=init)
    W = structure.build(gates, 12, 17, dtype=torch.float64).hidden.matrix().detach()
    # relative deviation of one gate's mean square: below 1.5, so 0.011 of that of all
    assert W.abs().square().mean() / expected[init] == pytest.approx(1, abs=0.05)
    assert W.mean().abs() < 0.02 * expected[init] ** 0.5


def test_variance_follows_the_stacks():
    structure = KroneckerChain([2, 3, 2], init="glorot_uniform")
    weight = structure.build(3, 12, 17, stacks=(2, 1))
    assert weight.hidden.variances == (2 / (17 + 24), 2 / (17 + 24), 2 / (17 + 12))


@pytest.mark.parametrize("is_complex", [False, True])
def test_matched_variance_collapses_in_a_long_chain(is_complex):
    """The numbers of the docstring: Gaussian 2 x 2 factors, variance 1 / N."""
    digamma = torch.digamma(torch.tensor([0.5, 1, 2], dtype=torch.float64)).tolist()
    each = (digamma[0] + digamma[1]) / 4
    if is_complex:
        each = (digamma[1] + digamma[2] - 2 * math.log(2)) / 4
    assert round(each, 3) == (-0.385 if is_complex else -0.635)
    gates = 4000
    for count in (1, 2, 8):
        weight = ChainWeight(
            gates, [(2, 2)] * count, complex=is_complex, init="random_normal",
            variances=[2.0**-count] * gates, dtype=torch.float64,
        )  # fmt: skip
        values = weight.singular_values()
        logs = values.log().mean(1)  # log of the geometric mean
        assert logs.mean().item() == pytest.approx(count * each, abs=0.06 * count**0.5)
        assert (
            ChainWeight(9, [(2, 2)] * count, complex=is_complex).singular_values().log().abs().max()
            < 1e-5
        )
    assert logs.median().exp() < (0.1 if is_complex else 0.02)


def test_matched_variance_is_uniform_as_the_dense_one():
    values = ChainWeight(1, [(40, 50), (60, 40)], init="pytorch", variances=[0.01]).values
    for value in values:  # each has variance 0.1
        bound = 0.3**0.5
        assert 0.99 * bound < value.abs().max() <= bound
        assert value.abs().mean().item() == pytest.approx(bound / 2, rel=0.05)


def test_reset_parameters_draws_anew_and_meta_has_no_values():
    layer = RNN(3, 8, weight=KroneckerChain(3, complex=True))
    before = layer.weight.matrix().detach().clone()
    layer.reset_parameters()
    assert not torch.isclose(layer.weight.matrix(), before).any()
    meta = KroneckerChain(3).build(4, 8, 11, device="meta", dtype=torch.float16)
    assert meta.matrix().is_meta
    assert meta.matrix().dtype == torch.float16


# the penalty


@pytest.mark.parametrize("is_complex", [False, True])
def test_penalty_is_its_formula(is_complex):
    shapes = [(2, 2), (4, 3), (3, 4), (1, 1)]
    weight = ChainWeight(
        2, shapes, complex=is_complex, init="random_normal", variances=[1, 1], dtype=torch.float64
    )
    expected = expected_other = 0.0
    for F in weight.factors:
        for f in F.detach().numpy():
            P, Q = f.shape
            columns = np.linalg.norm(f.conj().T @ f - np.eye(Q)) ** 2
            rows = np.linalg.norm(f @ f.conj().T - np.eye(P)) ** 2
            expected += columns if P >= Q else rows
            expected_other += rows if P >= Q else columns
    assert weight.unitary_penalty().item() == pytest.approx(expected, rel=1e-12)
    # the larger Gram matrix differs by the difference of the sizes
    assert expected_other == pytest.approx(expected + 2 * (1 + 1), rel=1e-12)
    call = Call(weight, ChainWeight.unitary_penalty)
    assert torch.autograd.gradcheck(lambda *values: call.with_values(values), tuple(weight.values))


def test_penalty_of_a_network_sums_all_chains():
    layer = GRU(3, 8, num_layers=2, bidirectional=True, weight=KroneckerChain([2, 4]))
    integers_(layer)
    each = [cell.weight.unitary_penalty() for cell in layer.cells.values()]
    assert len(each) == 4
    total = unitary_penalty(nn.ModuleDict({"rnn": layer, "head": nn.Linear(16, 2)}))
    assert total.item() == sum(each).item() > 0
    with pytest.raises(ValueError, match="Linear has no KroneckerChain"):
        unitary_penalty(nn.Linear(3, 4))


@pytest.mark.parametrize("is_complex", [False, True])
def test_training_the_penalty_makes_the_factors_unitary(is_complex):
    weight = RNN(3, 16, weight=KroneckerChain(4, complex=is_complex, init="pytorch")).weight
    optimizer = torch.optim.SGD(weight.parameters(), lr=0.05)
    start = weight.unitary_penalty().item()
    for _ in range(200):
        optimizer.zero_grad()
        weight.unitary_penalty().backward()
        optimizer.step()
    assert weight.unitary_penalty().item() < 1e-4 < 0.01 * start
    assert torch.allclose(weight.hidden.singular_values(), torch.ones(()), atol=0.05)


# in the cells


@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize("bidirectional", [False, True])
@pytest.mark.parametrize("bias", [True, "one", False])
def test_cells_are_as_with_the_same_dense_matrix(cell, bidirectional, bias):
    options = {
        "num_layers": 2, "bidirectional": bidirectional, "bias": bias, "dtype": torch.float64,
    }  # fmt: skip
    structure = KroneckerChain([2, (3, 2), (2, 3)], input=Dense(), init="pytorch")
    layer = CELLS[cell](5, 12, weight=structure, **options)
    dense = CELLS[cell](5, 12, weight=Dense(), method="fused", **options)
    with torch.no_grad():
        for ours, theirs in zip(layer.cells.values(), dense.cells.values(), strict=True):
            W = np.concatenate(
                [ours.weight.input.W.detach().numpy(), kron_by_numpy(ours.weight.hidden)], 2
            )
            theirs.weight.W.copy_(torch.from_numpy(W))
            for name, p in ours.named_parameters(recurse=False):
                theirs.get_parameter(name).copy_(p)
    x = torch.randn(6, 3, 5, dtype=torch.float64, requires_grad=True)
    sequences = [torch.randn(n, 5, dtype=torch.float64) for n in (2, 6, 4)]
    packed = pack_sequence(sequences, enforce_sorted=False)
    results = []
    for run, method in ((dense, "fused"), (layer, "fused"), (layer, "factors"), (layer, "auto")):
        run.method = method
        output, state = run(x)
        states = state if isinstance(state, tuple) else (state,)
        loss = output.sin().sum() + sum(s.cos().sum() for s in states)
        (gradient,) = torch.autograd.grad(loss, x)
        results.append((output, *states, gradient, run(packed)[0].data))
    for other in results[1:]:
        torch.testing.assert_close(other, results[0], rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("cell", CELLS)
def test_both_paths_have_equal_gradients(cell):
    structure = KroneckerChain([2, (3, 2), (2, 3)], input=Kronecker((3, 5, 4, 1)), init="pytorch")
    layer = CELLS[cell](5, 12, weight=structure, dtype=torch.float64)
    x, gradients = torch.randn(6, 3, 5, dtype=torch.float64), []
    for method in ("fused", "factors"):
        layer.method = method
        gradients.append(torch.autograd.grad(layer(x)[0].sin().sum(), tuple(layer.parameters())))
    for a, b in zip(*gradients, strict=True):
        torch.testing.assert_close(a, b)


def test_the_loop_forms_no_matrix_and_pads_no_zeros(monkeypatch):
    def forbidden(self):
        raise AssertionError("expanded")

    monkeypatch.setattr(ChainWeight, "matrix", forbidden)
    x, steps, batch = torch.randn(4, 3, 5), 4, 3
    for cell in CELLS:
        layer = CELLS[cell](5, 16, weight=KroneckerChain(4), method="factors")
        with FlopCounterMode(display=False) as counter:
            layer(x)
        # every product counted once: W_x x and W_h h of each gate at each step
        assert counter.get_total_flops() == 2 * steps * batch * layer.weight.macs, cell


@pytest.mark.parametrize("cell", ["RNN", "LSTM", "GRU"])
def test_a_real_chain_goes_to_torch(cell):
    layer = CELLS[cell](5, 12, weight=KroneckerChain([2, 3, 2]), dtype=torch.float64)
    x = torch.randn(6, 3, 5, dtype=torch.float64)
    torch.testing.assert_close(layer.to_torch()(x)[0], layer(x)[0])


# the complex RNN


def complex_loop(layer, x, h0):
    """One layer and direction by numpy: x (steps, batch, input), h0 (batch, hidden)."""
    weight, cell = layer.weight, layer.cells["l0"]
    parts = weight.input.parts.W.detach().numpy()
    W_x, W_h = parts[0] + 1j * parts[1], kron_by_numpy(weight.hidden)[0]
    b, rho = complex_bias_by_numpy(cell), cell.modrelu_bias.detach().numpy()
    h, outputs = h0, []
    for x_t in x:
        z = x_t @ W_x.T + h @ W_h.T + b
        size = np.abs(z)
        h = np.where(size + rho > 0, (size + rho) * z / np.where(size > 0, size, 1), 0)
        outputs.append(h)
    return np.stack(outputs), h


@pytest.mark.parametrize("method", ["fused", "factors", "auto"])
@pytest.mark.parametrize("bias", [True, "one", False])
def test_complex_rnn_is_a_loop_from_scratch(method, bias):
    structure = KroneckerChain([2, (3, 2), (2, 3)], complex=True)
    layer = RNN(5, 12, weight=structure, bias=bias, method=method, dtype=torch.float64)
    with torch.no_grad():
        for p in layer.cells["l0"].parameters(recurse=False):
            p.normal_(std=0.5)
    x = torch.randn(7, 3, 5, dtype=torch.float64)
    h0 = torch.randn(1, 3, 12, dtype=torch.complex128)
    for start in (None, h0):
        output, h = layer(x, start)
        assert (output.dtype, output.shape) == (torch.complex128, (7, 3, 12))
        assert (h.dtype, h.shape) == (torch.complex128, (1, 3, 12))
        begin = np.zeros((3, 12)) if start is None else h0[0].numpy()
        theirs, last = complex_loop(layer, x.numpy(), begin)
        np.testing.assert_allclose(output.detach().numpy(), theirs, atol=1e-12)
        np.testing.assert_allclose(h[0].detach().numpy(), last, atol=1e-12)
        assert (np.abs(theirs) == 0).any()  # modrelu did cut
        assert (np.abs(theirs) > 0).any()


@pytest.mark.parametrize("method", ["fused", "factors"])
def test_complex_rnn_gradcheck(method):
    layer = RNN(2, 6, weight=KroneckerChain(2, complex=True), method=method, dtype=torch.float64)
    with torch.no_grad():
        for p in layer.cells["l0"].parameters(recurse=False):
            p.uniform_(0.1, 0.4)
    x = torch.randn(3, 2, 2, dtype=torch.float64, requires_grad=True)
    h0 = torch.randn(1, 2, 6, dtype=torch.complex128, requires_grad=True)
    names, parameters = zip(*layer.named_parameters(), strict=True)

    def run(x, h0, *values):
        named = dict(zip(names, values, strict=True))
        return torch.func.functional_call(layer, named, (x, h0))[0]

    assert torch.autograd.gradcheck(run, (x, h0, *parameters))


@pytest.mark.parametrize("method", ["fused", "factors"])
def test_complex_layers_directions_and_packed(method):
    structure = KroneckerChain(3, complex=True)
    layer = RNN(
        5, 8, num_layers=2, bidirectional=True, batch_first=True, method=method,
        weight=structure, dtype=torch.float64,
    )  # fmt: skip
    lengths = [3, 6, 4]
    sequences = [torch.randn(n, 5, dtype=torch.float64) for n in lengths]
    output, h = layer(pack_sequence(sequences, enforce_sorted=False))
    padded, _ = pad_packed_sequence(output, batch_first=True)
    assert padded.dtype == h.dtype == torch.complex128
    for b, sequence in enumerate(sequences):
        alone, last = layer(sequence)  # without a batch
        torch.testing.assert_close(padded[b, : lengths[b]], alone)
        torch.testing.assert_close(h[:, b], last)
        # the reverse cells' final states are what they put out at the first step
        torch.testing.assert_close(last[3], alone[0, 8:])
        torch.testing.assert_close(last[2], alone[-1, :8])


def test_complex_dropout_zeroes_whole_numbers():
    layer = RNN(5, 8, num_layers=2, dropout=0.5, weight=KroneckerChain(3, complex=True))
    seen = []
    original = layer._run

    def spy(cell, steps, state, *, reverse):
        seen.append(steps.data)
        return original(cell, steps, state, reverse=reverse)

    layer._run = spy
    layer(torch.randn(50, 20, 5))
    zero = seen[1] == 0
    assert 0.45 < zero.float().mean() < 0.55
    assert (seen[1][~zero].real != 0).all()
    assert (seen[1][~zero].imag != 0).all()
    layer.eval()
    assert torch.equal(layer(torch.ones(3, 2, 5))[0], layer(torch.ones(3, 2, 5))[0])


def test_unitary_complex_rnn_keeps_the_norm_of_its_state():
    # without biases modrelu starts as the identity: what goes in stays, over 500 steps
    layer = RNN(3, 64, bias=False, weight=KroneckerChain(6, complex=True), dtype=torch.float64)
    x = torch.zeros(500, 2, 3, dtype=torch.float64)
    h0 = torch.randn(1, 2, 64, dtype=torch.complex128)
    output, _ = layer(x, h0)
    expected = h0[0].norm(dim=1).expand(500, -1)
    torch.testing.assert_close(output.norm(dim=2), expected, rtol=1e-10, atol=0)


def test_modrelu():
    z = torch.tensor([3 + 4j, 0.3 + 0.4j, 0, -2, 1j], dtype=torch.complex128)
    bias = torch.tensor([-1, -1, 5, 1, 0], dtype=torch.float64)
    expected = torch.tensor([2.4 + 3.2j, 0, 0, -3, 1j], dtype=torch.complex128)
    torch.testing.assert_close(modrelu(z, bias), expected)
    real = torch.tensor([3.0, -3, 0.5, 0])
    assert modrelu(real, torch.tensor(-1.0)).tolist() == [2, -2, 0, 0]
    torch.testing.assert_close(modrelu(z, 0 * bias), z)  # the identity
    z, bias = (t.clone().requires_grad_() for t in (z[[0, 1, 3]], bias[[0, 1, 3]]))
    assert torch.autograd.gradcheck(modrelu, (z, bias))
    for value in (0j, 0.0):  # nothing is divided by 0
        zero = torch.tensor([value, value], requires_grad=True)
        modrelu(zero, torch.tensor([1.0, -1.0])).abs().sum().backward()
        assert torch.equal(zero.grad, torch.zeros_like(zero))


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda w: LSTM(5, 8, weight=w), ValueError, "LSTM has no complex form"),
        (lambda w: GRU(5, 8, weight=w), ValueError, "GRU has no complex form"),
        (lambda w: FastRNN(5, 8, weight=w), ValueError, "FastRNN has no complex form"),
        (lambda w: RNN(5, 8, nonlinearity="tanh", weight=w), ValueError, "'tanh'.*'modrelu'"),
        (lambda w: RNN(5, 8, nonlinearity="relu", weight=w), ValueError, "'relu'.*'modrelu'"),
        (lambda w: RNN(5, 8, weight=w).to_torch(), ValueError, "torch.nn has no layer"),
        (
            lambda w: RNN(5, 8, weight=w)(torch.randn(3, 2, 5), torch.randn(1, 2, 8)),
            DtypeError,
            "initial state 0 is torch.float32, but the state is torch.complex64",
        ),
        (
            lambda w: RNN(5, 8, weight=w)(torch.randn(3, 2, 5, dtype=torch.complex64)),
            DtypeError,
            "input is torch.complex64, but the parameters are torch.float32",
        ),
        (
            lambda w: Classifier(RNN(5, 8, weight=w), nn.Linear(8, 3)),
            ShapeError,
            "takes 8 features.*16: 1 direction of 8, real and imaginary part",
        ),
    ],
)
def test_what_is_not_complex_says_so(make, error, message):
    with pytest.raises(error, match=message):
        make(KroneckerChain(3, complex=True))


def test_classifier_takes_both_parts_of_the_final_state():
    rnn = RNN(5, 8, bidirectional=True, weight=KroneckerChain(3, complex=True))
    model = Classifier(rnn, nn.Linear(32, 3))
    x = torch.randn(4, 2, 5)
    h = rnn(x)[1]
    features = torch.view_as_real(torch.cat((h[0], h[1]), 1)).reshape(2, 32)
    torch.testing.assert_close(model(x), model.head(features))


def test_complex_parameters_move_copy_and_save_as_real_ones():
    layer = RNN(5, 8, weight=KroneckerChain(3, complex=True))
    assert not any(p.is_complex() for p in layer.parameters())
    double = copy.deepcopy(layer).double()
    x = torch.randn(4, 2, 5)
    assert double(x.double())[0].dtype == torch.complex128
    torch.testing.assert_close(double(x.double())[0].to(torch.complex64), layer(x)[0])
    other = RNN(5, 8, weight=KroneckerChain(3, complex=True))
    other.load_state_dict(layer.state_dict())
    assert torch.equal(other(x)[0], layer(x)[0])


def test_autocast_leaves_complex_numbers_alone():
    layer = RNN(5, 8, num_layers=2, weight=KroneckerChain(3, complex=True))
    x = torch.randn(4, 2, 5)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert torch.equal(layer(x)[0], layer(x)[0])
        inside = layer(x)[0]
        assert layer(x.bfloat16())[0].dtype == torch.complex64
    assert torch.equal(inside, layer(x)[0])


def test_autocast_takes_a_real_chain():
    layer = LSTM(5, 8, weight=KroneckerChain(3))
    x = torch.randn(4, 2, 5)
    for method in ("fused", "factors"):
        layer.method = method
        with torch.autocast("cpu", dtype=torch.bfloat16):
            output = layer(x)[0]
        assert output.dtype == torch.bfloat16
        torch.testing.assert_close(output.float(), layer(x)[0], atol=0.02, rtol=0.02)


# starting from given matrices


@pytest.mark.parametrize("is_complex", [False, True])
@pytest.mark.parametrize(
    "shapes", [[(6, 6)], [(3, 2), (2, 3)], [(2, 2)] * 4, [(2, 3), (3, 1), (1, 2)]]
)
def test_assign_finds_a_chain_again(is_complex, shapes):
    structure = KroneckerChain(shapes, complex=is_complex, init="random_normal")
    size = math.prod(P for P, _ in shapes)
    gates = 1 if is_complex else 3
    weight, other = (structure.build(gates, size, size + 4, dtype=torch.float64) for _ in range(2))
    assert other.assign(weight.matrix()) < 1e-12
    torch.testing.assert_close(other.matrix(), weight.matrix())


def test_assign_comes_nearer_than_the_truth_under_noise():
    weight = ChainWeight(
        2, [(2, 2), (3, 2), (2, 3), (2, 2)], init="random_normal", variances=[1, 1],
        dtype=torch.float64,
    )  # fmt: skip
    W = weight.matrix().detach()
    noisy = W + 0.3 * torch.randn_like(W)
    truth = ((noisy - W).norm() / noisy.norm()).item()
    assert weight.assign(noisy) < truth
    # least squares in each factor: W' is the projection, so the error is orthogonal to it
    found = weight.matrix().detach()
    for g in range(2):
        assert abs(((noisy[g] - found[g]) * found[g]).sum()) < 1e-9 * noisy[g].square().sum()


def test_assign_of_two_factors_is_the_nearest_product():
    W = torch.randn(1, 6, 6, dtype=torch.float64)
    weight = ChainWeight(1, [(3, 2), (2, 3)], dtype=torch.float64)
    blocks = W[0].reshape(3, 2, 2, 3).transpose(1, 2).reshape(6, 6)
    rest = torch.linalg.svdvals(blocks)[1:].norm() / W.norm()
    assert weight.assign(W) == pytest.approx(rest.item(), rel=1e-10)


def test_assign_zero():
    weight = ChainWeight(1, [(2, 2)] * 3)
    assert weight.assign(torch.zeros(1, 8, 8)) == 0
    assert not weight.matrix().any()


# learning


def copy_memory(batch, delay, symbols, generator):
    """`symbols` letters, `delay` blanks, a signal; then the letters are to be said again."""
    letters = torch.randint(0, 8, (symbols, batch), generator=generator)
    steps = 2 * symbols + delay
    tokens = torch.full((steps, batch), 8)
    tokens[:symbols] = letters
    tokens[symbols + delay - 1] = 9
    return nn.functional.one_hot(tokens, 10).float(), letters


@pytest.mark.parametrize("is_complex", [False, True])
def test_it_learns_to_copy(is_complex):
    torch.manual_seed(3)
    generator = torch.Generator().manual_seed(4)
    rnn = RNN(10, 64, weight=KroneckerChain(3, complex=is_complex), nonlinearity="modrelu")
    head = nn.Linear(64 * (2 if is_complex else 1), 8)
    parameters = [*rnn.parameters(), *head.parameters()]
    optimizer = torch.optim.Adam(parameters, lr=3e-3)
    symbols, losses = 3, []
    for _ in range(120):
        x, letters = copy_memory(32, 20, symbols, generator)
        output, _ = rnn(x)
        said = output[-symbols:]
        logits = head(torch.view_as_real(said).flatten(-2) if is_complex else said)
        loss = nn.functional.cross_entropy(logits.flatten(0, 1), letters.flatten())
        optimizer.zero_grad()
        (loss + 0.01 * unitary_penalty(rnn)).backward()
        optimizer.step()
        losses.append(loss.item())
    # to know nothing of the letters costs log 8 = 2.08
    assert losses[0] > 1.9
    assert np.mean(losses[-10:]) < 0.2
