"""Quantization: the grid, every structure on it, bounds of errors, gradients straight through."""

import copy
import math
import pickle
import re

import numpy as np
import pytest
import torch

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
    prune,
)
from kplib.nn.quantized import (
    FakeQuantize,
    Scheme,
    finish_qat,
    gate_errors,
    prepare_qat,
    product_error_bound,
    quantize,
    symmetric_levels,
)

STRUCTURES = {
    "dense": Dense(),
    "kronecker": Kronecker(),
    "sum": Kronecker(terms=2),
    "stacked": Kronecker(stacked=True),
    "hybrid": Hybrid(2),
    "hybrid without dense rows": Hybrid(0),
    "low rank": LowRank(3),
    "low rank, each gate": LowRank(3, stacked=False),
    "sparse": Sparse(0.2),
    "chain": KroneckerChain(3),
    "chain of Kronecker input": KroneckerChain(3, input=Kronecker()),
}


def network(structure, cls=LSTM, **options):
    torch.manual_seed(0)
    rnn = cls(6, 12, weight=structure, bias="one", batch_first=True, **options)
    model = Classifier(rnn, torch.nn.Linear(12 * rnn.directions * (2 if rnn.is_complex else 1), 5))
    if isinstance(structure, Sparse):
        prune(model, structure.density)
    with torch.no_grad():
        for name, p in model.named_parameters():
            if "bias" in name:
                p.uniform_(-1, 1)
    return model


def examples(n=7):
    return torch.randn(n, 9, 6, generator=torch.Generator().manual_seed(1))


every_structure = pytest.mark.parametrize("structure", STRUCTURES.values(), ids=STRUCTURES)


# The grid -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("bits", range(2, 9))
@pytest.mark.parametrize("shared", [1, 2])
def test_numbers_are_whole_within_half_a_step_and_the_largest_is_exact(bits, shared):
    rng = np.random.default_rng(bits)
    x = rng.normal(size=(3, 5, 7)).astype(np.float32) * 10.0 ** rng.integers(-6, 6, (3, 1, 1))
    x = x.astype(np.float32)
    tensor = FakeQuantize(Scheme(bits), x.shape, shared).quantized(torch.from_numpy(x))
    largest = 2 ** (bits - 1) - 1
    scale = np.abs(x).max(axis=tuple(range(-shared, 0)), keepdims=True) / largest
    np.testing.assert_allclose(tensor.scale.numpy(), scale, rtol=1e-6)
    assert tensor.values.dtype == torch.int8
    assert int(tensor.values.abs().amax((-2, -1)).min()) == largest  # the whole grid is used
    error = np.abs(tensor.dequantized().numpy() - x)
    assert (error <= scale / 2 * (1 + 1e-5)).all()
    # no other point of the grid is nearer
    nearest = np.clip(np.round(x.astype(np.float64) / scale), -largest, largest)
    assert np.abs(nearest - tensor.values.numpy()).max() <= (error >= scale / 2 * 0.999).max()


def test_zeros_and_what_is_tiny_or_in_half_precision():
    grid = FakeQuantize(Scheme(), (2, 3), 1)
    x = torch.tensor([[0.0, 0, 0], [1e-44, -1e-44, 0]])
    assert torch.equal(grid.quantized(x).dequantized()[0], x[0])
    assert torch.isfinite(grid(x)).all()
    half = torch.randn(2, 3).half()
    assert grid(half).dtype == torch.float16
    torch.testing.assert_close(grid(half), half, rtol=0, atol=float(half.abs().max()) / 127)


@pytest.mark.parametrize("size", [1e300, 1e-60])
def test_a_scale_that_float32_cannot_hold_is_refused(size):
    with pytest.raises(
        ValueError, match=re.escape(f"up to {size:g}") + " need scales that float32 cannot hold"
    ):
        symmetric_levels(torch.tensor([[size, 0.0]], dtype=torch.float64), 127, shared=2)


def test_quantizing_twice_is_quantizing_once():
    once = quantize(network(Kronecker()), bits=4)
    twice = quantize(once.model, bits=4)
    for name, tensor in once.tensors.items():
        assert torch.equal(tensor.values, twice.tensors[name].values)


@pytest.mark.parametrize("bits", [0, 1, 9, 32, 2.5, True, "8"])
def test_other_numbers_of_bits_are_refused(bits):
    with pytest.raises(ValueError, match="bits must be from 2 to 8, found"):
        quantize(network(Dense()), bits)


def test_what_cannot_be_quantized_is_refused():
    with pytest.raises(ValueError, match="scales must be 'matrix' or 'row', found 'gate'"):
        quantize(network(Dense()), scales="gate")
    with pytest.raises(ValueError, match=r"rnn is a torch.nn.GRU.*kplib.nn.GRU.from_torch"):
        quantize(Classifier(torch.nn.GRU(6, 12), torch.nn.Linear(12, 5)))
    with pytest.raises(ValueError, match="Linear has no recurrent layer"):
        quantize(torch.nn.Linear(3, 4))
    model = network(Kronecker())
    with torch.no_grad():
        model.rnn.weight.A[0, 0, :2] = math.nan
    with pytest.raises(ValueError, match=r"rnn.cells.l0.weight.A has 2 NaN"):
        quantize(model)


# Every structure ----------------------------------------------------------------------------------


@every_structure
@pytest.mark.parametrize("scales", ["matrix", "row"])
def test_all_stored_matrices_are_on_the_grid(structure, scales):
    model = network(structure)
    before = copy.deepcopy(model.state_dict())
    quantized = quantize(model, bits=5, scales=scales)
    assert all(torch.equal(before[name], value) for name, value in model.state_dict().items())
    parameters = dict(quantized.model.named_parameters())
    left = {name for name, p in parameters.items() if p.numel()} - set(quantized.tensors)
    assert left == {"head.weight", "head.bias"}
    for name, tensor in quantized.tensors.items():
        assert torch.equal(parameters[name], tensor.dequantized())
        of_one_scale = tensor.values.reshape(tensor.scale.numel(), -1)
        assert int(of_one_scale.abs().max()) == 15
        if "bias" not in name:
            matrices = math.prod(tensor.shape[:-2])
            rows = matrices * tensor.shape[-2]
            assert tensor.scale.numel() == (matrices if scales == "matrix" else rows)
    assert quantized.tensors["rnn.cells.l0.bias"].scale.shape == (4, 1)


@every_structure
@pytest.mark.parametrize("bits", [3, 8])
@pytest.mark.parametrize("scales", ["matrix", "row"])
def test_no_gate_is_farther_off_than_its_bound(structure, bits, scales):
    model = network(structure)
    errors = gate_errors(model, quantize(model, bits, scales=scales).model)
    assert [error.gate for error in errors] == [0, 1, 2, 3]
    W = model.rnn.weight.matrix().detach().numpy()
    near = quantize(model, bits, scales=scales).model.rnn.weight.matrix().detach().numpy()
    for gate, error in enumerate(errors):
        exact = np.linalg.norm(near[gate] - W[gate]) / np.linalg.norm(W[gate])
        assert error.error == pytest.approx(exact, rel=1e-3)
        assert 0 < error.error <= error.bound * (1 + 1e-9)
    if isinstance(structure, Dense | Sparse):
        assert all(error.error == error.bound for error in errors)


def test_the_bound_before_anything_is_known_of_the_rounding():
    model = network(Kronecker())
    quantized = quantize(model, 4)
    A, B = (quantized.tensors[f"rnn.cells.l0.weight.{name}"] for name in "AB")
    weight = model.rnn.weight
    bounds = product_error_bound(
        [weight.A.norm(dim=(1, 2)), weight.B.norm(dim=(1, 2))],
        [A.error_bound().flatten(), B.error_bound().flatten()],
    )
    error = (quantized.model.rnn.weight.matrix() - weight.matrix()).norm(dim=(1, 2))
    assert (error < bounds).all()
    assert (bounds < 10 * error).all()  # and it says something


def test_the_bound_of_a_product_is_reached_and_not_lower():
    rng = np.random.default_rng(0)
    for _ in range(20):
        shapes = rng.integers(1, 6, (rng.integers(1, 4), 2))
        factors = [torch.from_numpy(rng.normal(size=shape)) for shape in shapes]
        errors = [torch.from_numpy(rng.normal(size=shape)) for shape in shapes]

        def product(parts):
            whole = parts[0]
            for part in parts[1:]:
                whole = torch.kron(whole, part)
            return whole

        moved = [f + e for f, e in zip(factors, errors, strict=True)]
        bound = product_error_bound([f.norm() for f in factors], [e.norm() for e in errors])
        assert (product(moved) - product(factors)).norm() <= bound * (1 + 1e-12)
        larger = [1.3 * f for f in factors]
        reached = product_error_bound(
            [f.norm() for f in factors], [0.3 * f.norm() for f in factors]
        )
        difference = (product(larger) - product(factors)).norm()
        torch.testing.assert_close(difference, reached, rtol=1e-12, atol=0)
    with pytest.raises(ValueError, match="2 norms of factors, but 1 errors"):
        product_error_bound([1.0, 2.0], [0.1])


def test_errors_of_networks_of_another_kind_are_refused():
    with pytest.raises(ValueError, match="not networks of one kind"):
        gate_errors(network(Dense()), network(Kronecker()))


def test_a_row_of_its_own_scale_is_more_exact():
    model = network(Dense())
    with torch.no_grad():
        model.rnn.weight.W.mul_(torch.logspace(-2, 0, 12).unsqueeze(1))
    by_matrix, by_row = (
        gate_errors(model, quantize(model, 4, scales=scales).model) for scales in ("matrix", "row")
    )
    assert all(r.error < m.error for r, m in zip(by_row, by_matrix, strict=True))


@pytest.mark.parametrize(
    ("model", "floats"),
    [
        (network(Kronecker(), FastRNN), {"alpha", "beta"}),
        (network(Hybrid(2), GRU, bidirectional=True, reset_after=False), set()),
        (network(KroneckerChain(2, complex=True), RNN), {"modrelu_bias"}),
        (network(LowRank(2), GRU, num_layers=2), set()),
    ],
    ids=["fastrnn", "bidirectional gru", "complex rnn", "two layers"],
)
def test_every_cell_layer_and_direction(model, floats):
    quantized = quantize(model, 8)
    names = {n for n, p in model.named_parameters() if p.numel()} - set(quantized.tensors)
    assert {name.split(".")[-1] for name in names if not name.startswith("head")} == floats
    errors = gate_errors(model, quantized.model)
    assert len(errors) == len(model.rnn.cells) * model.rnn.gates
    assert all(0 < error.error <= error.bound * (1 + 1e-9) < 0.1 for error in errors)
    torch.testing.assert_close(quantized.model(examples()), model(examples()), rtol=0, atol=0.1)
    everything = quantize(model, 8, head=True)
    assert set(everything.tensors) == set(quantized.tensors) | {"head.weight", "head.bias"}


def test_real_and_imaginary_part_share_a_scale():
    model = network(KroneckerChain(2, complex=True), RNN)
    tensor = quantize(model).tensors["rnn.cells.l0.weight.hidden.values.0"]
    assert tensor.values.shape[-1] == 2
    assert tensor.scale.shape == (1, 1, 1, 1)
    row = quantize(model, scales="row").tensors["rnn.cells.l0.weight.hidden.values.0"]
    assert row.scale.shape == (*row.values.shape[:2], 1, 1)


def test_bytes_are_counted_one_by_one():
    model = network(Sparse(0.2))
    quantized = quantize(model, 4)
    weight = model.rnn.weight
    nonzeros, head = int(weight.mask.sum()), 12 * 5 + 5
    expected = math.ceil(nonzeros / 2) + 4 * 12 // 2 + 4 * (4 + 4) + weight.index_bytes + 4 * head
    assert quantized.nbytes == expected
    without = quantize(model, 4, biases=False)
    assert without.nbytes == expected - (4 * 12 // 2 + 4 * 4) + 4 * 48


# Training for few bits ----------------------------------------------------------------------------


def test_the_gradient_passes_straight_through():
    x = torch.randn(4, 5, 6, requires_grad=True)
    gradient = torch.randn(4, 5, 6)
    y = FakeQuantize(Scheme(3), x.shape, 2)(x)
    assert not torch.allclose(y, x, atol=0.05)
    y.backward(gradient)
    assert torch.equal(x.grad, gradient)


@every_structure
def test_the_gradient_of_a_prepared_network_is_that_at_the_rounded_weights(structure):
    model = network(structure)
    prepared, rounded = prepare_qat(model, 4), quantize(model, 4).model
    torch.nn.functional.cross_entropy(prepared(examples()), torch.arange(7) % 5).backward()
    torch.nn.functional.cross_entropy(rounded(examples()), torch.arange(7) % 5).backward()
    of_prepared = {
        name.replace("parametrizations.", "").removesuffix(".original"): p.grad
        for name, p in prepared.named_parameters()
    }
    for name, p in rounded.named_parameters():
        if p.numel():
            torch.testing.assert_close(of_prepared[name], p.grad)


@every_structure
@pytest.mark.parametrize("bits", [2, 4, 8])
def test_what_is_trained_is_what_is_deployed(structure, bits):
    model = network(structure)
    prepared = prepare_qat(model, bits, scales="row", head=True)
    assert type(model) is Classifier
    optimizer = torch.optim.Adam(prepared.parameters(), lr=0.01)
    x, y = examples(20), torch.arange(20) % 5
    for _ in range(5):
        optimizer.zero_grad()
        torch.nn.functional.cross_entropy(prepared(x), y).backward()
        optimizer.step()
    quantized = finish_qat(prepared)
    assert quantized.scheme == Scheme(bits, "row", head=True)
    assert type(quantized.model.rnn.weight) is type(model.rnn.weight)
    assert quantized.model.state_dict().keys() == model.state_dict().keys()
    with torch.no_grad():
        assert torch.equal(quantized.model(x), prepared(x))
        assert not torch.equal(quantized.model(x), quantize(model, bits).model(x))
    for name, tensor in quantized.tensors.items():
        assert torch.equal(quantized.model.get_parameter(name), tensor.dequantized())
    prepared(x).sum().backward()  # the prepared one is left as it was, and trains on
    restored = pickle.loads(pickle.dumps(quantized.model))  # a parametrized one cannot be
    assert torch.equal(restored(x), quantized.model(x))


def test_pruned_entries_stay_zero_and_do_not_set_the_scale():
    model = network(Sparse(0.2))
    prepared = prepare_qat(model, 4)
    with torch.no_grad():  # as if what was pruned had been large
        original = prepared.rnn.weight.parametrizations.W.original
        original[~prepared.rnn.weight.mask] = 100.0
    quantized = finish_qat(prepared)
    assert float(quantized.tensors["rnn.cells.l0.weight.W"].scale.max()) < 1
    assert int((quantized.model.rnn.weight.W != 0).sum()) <= model.rnn.weight.params
    with torch.no_grad():
        assert torch.equal(quantized.model(examples()), prepared(examples()))


def test_a_prepared_network_can_be_saved_and_copied():
    model = network(KroneckerChain(3))
    prepared = prepare_qat(model, 3)
    other = prepare_qat(network(KroneckerChain(3)), 3)
    with torch.no_grad():
        for p in prepared.parameters():
            p.add_(0.1 * torch.randn_like(p))
    other.load_state_dict(prepared.state_dict())
    with torch.no_grad():
        assert torch.equal(other(examples()), prepared(examples()))
        assert torch.equal(copy.deepcopy(prepared)(examples()), prepared(examples()))


def test_preparing_twice_and_finishing_nothing_are_refused():
    prepared = prepare_qat(network(Dense()))
    for again in (prepare_qat, quantize):
        with pytest.raises(ValueError, match=r"rnn.cells.l0 has a parametrization already"):
            again(prepared)
    with pytest.raises(ValueError, match="not prepared"):
        finish_qat(network(Dense()))
