"""The LSTM's loop in buffers: the same numbers as autograd's, gradients of gradients included."""

import functools

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from kplib import FactorShape
from kplib.nn import LSTM, Kronecker
from kplib.nn.lstm_loop import STEPS_AT_ONCE, lstm_loop, lstm_step

# both orders; ones; primes; a single input
SHAPES = [(4, 3, 2, 5), (2, 5, 4, 3), (1, 4, 7, 2), (7, 2, 1, 5), (3, 1, 3, 11), (5, 6, 1, 1)]
NAMES = ("A", "B", "bias", "x", "h", "c")


def arguments(shape, steps, batch=3, dtype=torch.float64, seed=0):
    """Random tensors in the order of `NAMES`, all of which want a gradient."""
    generator = torch.Generator().manual_seed(seed)
    hidden = shape.m
    sizes = [
        (4, *shape.a_shape), (4, *shape.b_shape), (4, hidden, 1),
        (steps, batch, shape.n - hidden), (batch, hidden), (batch, hidden),
    ]  # fmt: skip
    return [torch.randn(size, generator=generator, dtype=dtype).requires_grad_() for size in sizes]


def dense_loop(shape, A, B, bias, x, h, c, reverse=False):
    """The same by the definition: the gate matrices formed, one step after the other."""
    if reverse:
        output, h, c = dense_loop(shape, A, B, bias, x.flip(0), h, c)
        return output.flip(0), h, c
    W = torch.stack([torch.kron(a, b) for a, b in zip(A, B, strict=True)])
    h, c, outputs = h.T, c.T, []
    for step in x.transpose(1, 2):
        h, c = lstm_step(W @ torch.cat((step, h)) + bias, c)
        outputs.append(h.T)
    return torch.stack(outputs), h.T, c.T


@pytest.mark.parametrize("steps", [1, STEPS_AT_ONCE - 1, STEPS_AT_ONCE, 2 * STEPS_AT_ONCE + 1])
@pytest.mark.parametrize("sizes", SHAPES)
@pytest.mark.parametrize("reverse", [False, True])
def test_gradients_and_their_gradients(sizes, steps, reverse):
    shape = FactorShape(*sizes)
    tensors = arguments(shape, steps)
    loop = functools.partial(lstm_loop, shape, reverse=reverse)
    assert torch.autograd.gradcheck(loop, tensors, fast_mode=True)
    assert torch.autograd.gradgradcheck(loop, tensors, fast_mode=True)


sizes = st.integers(1, 7)


@settings(deadline=None, max_examples=40)
@given(sizes, sizes, sizes, sizes, st.integers(1, 9), st.integers(1, 5), st.booleans())
def test_equals_the_definition(m1, n1, m2, n2, steps, batch, reverse):
    shape = FactorShape(m1, n1 + m1, m2, n2 + m2)  # wider than high: something is left for x
    tensors = arguments(shape, steps, batch)
    results, expected = (loop(shape, *tensors, reverse=reverse) for loop in (lstm_loop, dense_loop))
    for ours, theirs in zip(results, expected, strict=True):
        torch.testing.assert_close(ours, theirs)
    weights = [torch.randn_like(r) for r in results]
    ours, theirs = (
        torch.autograd.grad([(r * w).sum() for r, w in zip(of, weights, strict=True)], tensors)
        for of in (results, expected)
    )
    for name, a, b in zip(NAMES, ours, theirs, strict=True):
        torch.testing.assert_close(a, b, msg=lambda text, name=name: f"{name}: {text}")


@pytest.mark.parametrize("used", range(3))
def test_a_loss_of_one_result_alone(used):
    shape = FactorShape(3, 2, 2, 5)
    tensors = arguments(shape, 5)
    ours, theirs = (
        torch.autograd.grad(loop(shape, *tensors)[used].square().sum(), tensors, allow_unused=True)
        for loop in (lstm_loop, dense_loop)
    )
    torch.testing.assert_close(ours, theirs)


@pytest.mark.parametrize("wanted", NAMES)
def test_one_gradient_alone(wanted):
    shape = FactorShape(2, 5, 4, 3)
    tensors = arguments(shape, 6)
    for name, tensor in zip(NAMES, tensors, strict=True):
        tensor.requires_grad_(name == wanted)
    chosen = tensors[NAMES.index(wanted)]
    ours, theirs = (
        torch.autograd.grad(loop(shape, *tensors)[0].sum(), chosen)
        for loop in (lstm_loop, dense_loop)
    )
    torch.testing.assert_close(ours, theirs)


def test_the_graph_can_be_used_twice():
    shape = FactorShape(4, 3, 2, 5)
    tensors = arguments(shape, 5)
    loss = lstm_loop(shape, *tensors)[0].sum()
    first = torch.autograd.grad(loss, tensors, retain_graph=True)
    assert all(map(torch.equal, first, torch.autograd.grad(loss, tensors)))


def test_without_gradients_the_same_numbers_in_less_memory():
    shape = FactorShape(4, 3, 2, 5)
    tensors = arguments(shape, 9)
    with torch.no_grad():
        quiet = lstm_loop(shape, *tensors)
    assert all(map(torch.equal, quiet, lstm_loop(shape, *tensors)))
    assert not any(result.requires_grad for result in quiet)


@pytest.mark.parametrize("bidirectional", [False, True])
@pytest.mark.parametrize("batch", [1, 3])
def test_what_the_layer_returns_may_be_changed_in_place(bidirectional, batch):
    layer = LSTM(7, 8, method="factors", bidirectional=bidirectional)
    x = torch.randn(5, batch, 7)
    gradients = []
    for change in (lambda t: t.mul_(2), lambda t: t * 2):
        output, (h, c) = layer(x)
        loss = sum(change(t).square().sum() for t in (output, h, c))
        gradients.append(torch.autograd.grad(loss, list(layer.parameters())))
    torch.testing.assert_close(*gradients)


def test_a_loop_whose_tensors_were_changed_gives_no_wrong_gradient():
    shape = FactorShape(4, 3, 2, 5)
    tensors = arguments(shape, 5)
    output, h, _ = lstm_loop(shape, *tensors)
    with pytest.raises(RuntimeError, match="view"):
        output.mul_(2)
    with torch.no_grad():
        tensors[0].mul_(2)
    with pytest.raises(RuntimeError, match="inplace"):
        h.sum().backward()


@pytest.mark.parametrize("magnitude", [0.0, 1e-6, 1.0, 30.0, 1e4])
def test_float32_against_float64(magnitude):
    shape = FactorShape(8, 4, 5, 17)
    exact = [t.detach() * magnitude for t in arguments(shape, 28)]
    single = [t.float() for t in exact]
    for ours, theirs in zip(lstm_loop(shape, *single), dense_loop(shape, *exact), strict=True):
        assert ours.isfinite().all()
        if magnitude <= 1:  # above it, the network itself enlarges every rounding
            torch.testing.assert_close(ours.double(), theirs, atol=3e-5, rtol=0)


def test_the_layer_takes_it_only_where_it_can(monkeypatch):
    calls = []

    def counted(*args, **options):
        calls.append(args[0])
        return lstm_loop(*args, **options)

    monkeypatch.setattr("kplib.nn.lstm.lstm_loop", counted)
    x = torch.randn(4, 3, 9)
    layer = LSTM(9, 12, method="factors")
    assert len([layer(x)]) == len(calls)
    others = (Kronecker(terms=2), Kronecker(stacked=True))
    for other in (LSTM(9, 12, method="factors", weight=weight) for weight in others):
        other(x)
    LSTM(9, 12, method="fused")(x)
    layer(torch.nn.utils.rnn.pack_sequence([x[:, 0], x[:2, 1]]))
    layer(x[:, :0])
    with torch.autocast("cpu", dtype=torch.bfloat16):
        layer(x)
    assert len(calls) == 1
