"""What every structure has to do: one truth, the matrix, that everything else agrees with."""

import copy
import io

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.utils.flop_counter import FlopCounterMode

from kplib.errors import DtypeError, ShapeError
from kplib.nn import Dense, Hybrid, Kronecker, LowRank, Sparse, parameter_count

SIZES = st.integers(1, 7)

# rows 10 and columns 12 have Algorithm 4's shapes, alone and stacked; 2 + 1 gates
EXAMPLES = {
    "dense": Dense(),
    "kronecker": Kronecker(),
    "kronecker a_first": Kronecker((2, 2, 5, 6)),
    "kronecker column (x) row": Kronecker((10, 1, 1, 12)),
    "sum": Kronecker((2, 3, 5, 4), terms=3),
    "sum a_first": Kronecker((5, 2, 2, 6), terms=2),
    "stacked": Kronecker(stacked=True),
    "stacked sum": Kronecker(stacked=True, terms=2),
    "hybrid": Hybrid(2),
    "hybrid of no dense row": Hybrid(0),
    "hybrid of a prime": Hybrid(3, (7, 2, 1, 6)),
    "low rank": LowRank(3),
    "low rank per gate": LowRank(3, stacked=False),
    "sparse": Sparse(0.3),
}
KINDS = {
    "dense": "dense",
    "kronecker": "kronecker",
    "sum": "kronecker_sum",
    "stacked": "stacked_kronecker",
    "hybrid": "hybrid",
    "low rank": "low_rank",
    "sparse": "sparse",
}
every_structure = pytest.mark.parametrize("name", EXAMPLES)


def built(name, **options):
    weight = EXAMPLES[name].build(3, 10, 12, stacks=(2, 1), **({"dtype": torch.float64} | options))
    return pruned(weight)


def pruned(weight):
    if weight.kind == "sparse":
        weight.prune_to()
    return weight


@st.composite
def weights(draw):
    """A built weight of any structure, of any sizes, with small integers for its parameters."""
    m1, n1, m2, n2 = (draw(SIZES) for _ in range(4))
    stack, count = draw(st.integers(1, 3)), draw(st.integers(1, 3))
    stacks = (stack,) * count
    rows, columns, terms = m1 * m2, n1 * n2, 1
    kind = draw(st.sampled_from(sorted(KINDS)))
    if kind in ("sum", "stacked"):
        terms = draw(st.integers(1, min(m1 * n1, m2 * n2)))
    if kind == "kronecker":
        structure = Kronecker((m1, n1, m2, n2))
    elif kind == "sum":
        structure = Kronecker((m1, n1, m2, n2), terms=terms)
    elif kind == "stacked":
        times = (stack, 1) if draw(st.booleans()) else (1, stack)
        structure = Kronecker((times[0] * m1, n1, times[1] * m2, n2), terms=terms, stacked=True)
    elif kind == "hybrid":
        dense_rows = draw(st.integers(0, 4))
        rows += dense_rows
        structure = Hybrid(dense_rows, (m1, n1, m2, n2))
    elif kind == "low rank":
        stacked = draw(st.booleans())
        stacks = stacks if draw(st.booleans()) else (stack, *(1,) * count)
        most = min(rows * (1 if not stacked else min(stacks)), columns)
        structure = LowRank(draw(st.integers(1, most)), stacked=stacked)
    elif kind == "sparse":
        structure = Sparse(draw(st.floats(0.05, 1)))
    else:
        structure = Dense()
    weight = structure.build(sum(stacks), rows, columns, stacks=stacks, dtype=torch.float64)
    assert weight.kind == ("kronecker" if kind == "sum" and terms == 1 else KINDS[kind])
    return pruned(with_integers(weight))


def with_integers(weight):
    """Small integers for all parameters, so that float64 products are exact."""
    with torch.no_grad():
        for p in weight.parameters():
            p.copy_(torch.randint(-4, 5, p.shape))
    return weight


@settings(max_examples=300, deadline=None)
@given(weight=weights(), batch=st.integers(0, 5), data=st.data())
def test_operator_multiplies_by_the_matrix(weight, batch, data):
    W = weight.matrix()
    assert W.shape == (weight.gates, weight.rows, weight.columns)
    start = data.draw(st.integers(0, weight.gates - 1))
    stop = data.draw(st.integers(start + 1, weight.gates))
    V = torch.randint(-4, 5, (weight.columns, batch)).double()
    assert torch.equal(weight.operator()(V), W @ V)
    some = weight.operator(slice(start, stop))(V)
    assert some.shape == (stop - start, weight.rows, batch)
    assert torch.equal(some, W[start:stop] @ V)
    assert torch.equal(weight.operator(slice(start, None))(V), W[start:] @ V)


@every_structure
def test_operator_with_unequal_stacks_and_strided_input(name):
    weight = with_integers(built(name))
    V = torch.randint(-4, 5, (4, 12)).double().T
    assert not V.is_contiguous()
    for gates in (slice(None), slice(0, 2), slice(2, 3), slice(1, 3), slice(1, 2)):
        assert torch.equal(weight.operator(gates)(V), weight.matrix()[gates] @ V)


@every_structure
def test_operator_is_computed_once_and_called_often(name):
    weight = built(name)
    multiply = weight.operator()
    first, second = torch.randn(2, 12, 5, dtype=torch.float64)
    torch.testing.assert_close(multiply(first), weight.matrix() @ first)
    torch.testing.assert_close(multiply(second), weight.matrix() @ second)


@every_structure
def test_gradients(name):
    weight = built(name)
    V = torch.randn(12, 2, dtype=torch.float64, requires_grad=True)
    parameters = tuple(weight.parameters())
    assert torch.autograd.gradcheck(lambda *_: weight.matrix(), parameters)
    assert torch.autograd.gradcheck(lambda V, *_: weight.operator()(V), (V, *parameters))
    some = slice(1, 3)
    loss = weight.operator(some)(V).sin().sum()
    gradients = torch.autograd.grad(loss, parameters)
    expected = torch.autograd.grad((weight.matrix()[some] @ V).sin().sum(), parameters)
    torch.testing.assert_close(gradients, expected)


@every_structure
def test_macs_are_counted_multiplications(name):
    weight = built(name, dtype=torch.float32)
    multiply = weight.operator()
    with FlopCounterMode(display=False) as counter:
        multiply(torch.randn(12, 7))
    # a multiplication and an addition
    assert counter.get_total_flops() == 2 * 7 * weight.operator_macs
    if name != "sparse":
        assert weight.macs == weight.operator_macs


@every_structure
def test_counts(name):
    weight = built(name)
    assert (weight.gates, weight.rows, weight.columns) == (3, 10, 12)
    if name == "sparse":
        assert weight.params == int(weight.matrix().count_nonzero()) == 72 + 36
    else:
        assert weight.params == parameter_count(weight)
    assert weight.nbytes == 8 * weight.params
    assert built(name, dtype=torch.float16).nbytes == 2 * weight.params
    text = repr(weight)
    assert "3 gates of 10 x 12" in text
    assert f"{weight.params} parameters" in text


@every_structure
def test_state_dict_round_trip(name):
    first, second = built(name), EXAMPLES[name].build(3, 10, 12, stacks=(2, 1)).double()
    assert not torch.equal(first.matrix(), second.matrix())
    buffer = io.BytesIO()
    torch.save(first.state_dict(), buffer)
    buffer.seek(0)
    second.load_state_dict(torch.load(buffer, weights_only=True))
    assert torch.equal(first.matrix(), second.matrix())
    assert first.params == second.params


@every_structure
def test_deepcopy_is_independent(name):
    weight = built(name)
    before = weight.matrix().detach().clone()
    clone = copy.deepcopy(weight)
    assert torch.equal(clone.matrix(), before)
    clone.reset_parameters()
    assert torch.equal(weight.matrix(), before)
    assert not torch.equal(clone.matrix(), before)


@every_structure
def test_structures_are_values(name):
    structure = EXAMPLES[name]
    assert copy.copy(structure) == structure
    assert hash(copy.copy(structure)) == hash(structure)
    with pytest.raises(AttributeError):
        structure.init = "pytorch"
    torch.manual_seed(3)
    first = structure.build(3, 10, 12, stacks=(2, 1)).matrix()
    second = structure.build(3, 10, 12, stacks=(2, 1)).matrix()
    torch.manual_seed(3)
    assert torch.equal(structure.build(3, 10, 12, stacks=(2, 1)).matrix(), first)
    assert not torch.equal(first, second)


@every_structure
def test_device_and_dtype(name):
    weight = EXAMPLES[name].build(3, 10, 12, stacks=(2, 1), device="meta", dtype=torch.bfloat16)
    assert all(p.is_meta and p.dtype == torch.bfloat16 for p in weight.parameters())
    assert weight.matrix().shape == (3, 10, 12)
    assert weight.params > 0


@settings(max_examples=100, deadline=None)
@given(weight=weights())
def test_singular_values_are_those_of_the_matrix(weight):
    W = weight.matrix().detach().numpy()
    scale = max(np.linalg.norm(W), 1.0)
    values = weight.singular_values()
    assert values.shape == (weight.gates, min(weight.rows, weight.columns))
    np.testing.assert_allclose(values, np.linalg.svd(W)[1], atol=1e-13 * scale, rtol=1e-10)
    stacked = W.reshape(-1, weight.columns)
    values = weight.stacked_singular_values()
    assert values.shape == (min(stacked.shape),)
    np.testing.assert_allclose(values, np.linalg.svd(stacked)[1], atol=1e-13 * scale, rtol=1e-10)


@every_structure
def test_singular_values_in_other_precisions(name):
    for dtype in (torch.float32, torch.bfloat16):
        weight = built(name, dtype=dtype)
        values = weight.singular_values()
        assert values.dtype == dtype
        assert not values.requires_grad
        exact = torch.linalg.svdvals(copy.deepcopy(weight).double().matrix().detach())
        error = (values.double() - exact).abs().max() / exact.max()
        # the matrix of factors in few bits is itself rounded, entry by entry
        assert error < 10 * torch.finfo(dtype).eps
        assert weight.stacked_singular_values().dtype == dtype


@every_structure
def test_assign_comes_as_near_as_it_can(name):
    weight = built(name)
    W = torch.randn(3, 10, 12, dtype=torch.float64)
    error = weight.assign(W)
    distance = torch.linalg.vector_norm(weight.matrix().detach() - W)
    assert error == pytest.approx(float(distance / torch.linalg.vector_norm(W)), abs=1e-15)
    best = weight.matrix().detach().clone()
    # no small step away comes nearer
    for scale in (1e-1, 1e-3):
        for _ in range(20):
            moved = copy.deepcopy(weight)
            with torch.no_grad():
                for p in moved.parameters():
                    p.add_(scale * torch.randn_like(p))
            assert torch.linalg.vector_norm(moved.matrix() - W) >= distance
    assert torch.equal(weight.matrix(), best)


@every_structure
def test_assign_finds_what_it_can_make(name):
    weight, other = built(name), built(name)
    assert other.assign(weight.matrix().detach()) < 1e-14
    torch.testing.assert_close(other.matrix(), weight.matrix())
    # from and to other precisions
    single = built(name, dtype=torch.float32)
    assert single.assign(weight.matrix().detach()) < 1e-6
    assert built(name, dtype=torch.bfloat16).assign(single.matrix()) < 0.02


@every_structure
def test_assign_zero(name):
    weight = built(name)
    assert weight.assign(torch.zeros(3, 10, 12)) == 0
    assert torch.equal(weight.matrix(), torch.zeros(3, 10, 12, dtype=torch.float64))


@every_structure
def test_assign_refuses(name):
    weight = built(name)
    before = weight.matrix().detach().clone()
    with pytest.raises(ShapeError, match=r"\(3, 12, 10\).*\(3, 10, 12\)"):
        weight.assign(torch.zeros(3, 12, 10))
    W = torch.zeros(3, 10, 12)
    W[1, 2, 3], W[0, 0, 0] = float("nan"), float("inf")
    with pytest.raises(ValueError, match="W has 2 NaN or infinite entries"):
        weight.assign(W)
    assert torch.equal(weight.matrix(), before)


@every_structure
def test_a_complex_matrix_is_not_made_real(name):
    weight = built(name)
    with pytest.raises(DtypeError, match="complex64, but the gate matrices are real"):
        weight.assign(torch.ones(3, 10, 12, dtype=torch.complex64))


@every_structure
def test_assigned_weights_train_on(name):
    weight = built(name, dtype=torch.float32)
    weight.assign(torch.randn(3, 10, 12))
    optimizer = torch.optim.Adam(weight.parameters(), 0.01)
    V, target = torch.randn(12, 6), torch.randn(3, 10, 6)
    losses = []
    for _ in range(20):
        optimizer.zero_grad()
        loss = (weight.operator()(V) - target).square().mean()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < losses[0]


def test_stacks_have_to_make_up_the_gates():
    with pytest.raises(ShapeError, match=r"stacks \(2, 2\) have 4 gates, but there are 3"):
        Kronecker(stacked=True).build(3, 10, 12, stacks=(2, 2))
    with pytest.raises(ShapeError, match="a stack must be a positive integer, found 0"):
        Dense().build(3, 10, 12, stacks=(3, 0))


@pytest.mark.parametrize(
    ("make", "matches"),
    [
        (Dense, False),
        (lambda **options: Sparse(0.5, **options), False),
        (Kronecker, True),
        (lambda **options: Hybrid(1, **options), True),
        (lambda **options: Hybrid.for_compression(2, **options), True),
        (lambda **options: LowRank(2, **options), True),
        (lambda **options: LowRank.for_size(99, **options), True),
    ],
)
def test_options_are_checked(make, matches):
    known = "'pytorch', 'glorot_uniform', 'random_normal'"
    with pytest.raises(ValueError, match=f"init is 'he', but must be one of {known}"):
        make(init="he")
    if matches:
        with pytest.raises(ValueError, match=r"match is 'x'.*'variance', 'spectral_norm'"):
            make(match="x")
