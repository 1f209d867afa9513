"""LSTM: parity with torch.nn in outputs, states and every gradient; drop-in behaviour; errors.

The reference is always a torch.nn.LSTM that the test itself fills, with matrices from np.kron.
"""

import copy
import io
import itertools
import linecache
import subprocess
import sys

import numpy as np
import pytest
import torch
from torch import nn
from torch.func import functional_call

from kplib.errors import DtypeError, ShapeError
from kplib.nn import GRU, LSTM, RNN, Classifier, Dense, FastRNN, Kronecker
from kplib.nn import lstm as lstm_module
from kplib.nn import recurrent as recurrent_module
from kplib.nn.recurrent import SAVING_AGAINST_LOOP, SAVING_IN_PLACE, choose_method

STEPS, BATCH = 6, 3
METHODS = ["fused", "factors"]

# (input, hidden, structure): rectangular and unequal factors, both orders; primes; ones
CASES = [
    (4, 6, Dense()),
    (4, 6, Kronecker((3, 2, 2, 5))),
    (4, 6, Kronecker((2, 5, 3, 2))),
    (9, 12, Kronecker()),
    (6, 7, Kronecker((7, 1, 1, 13))),
    (6, 7, Kronecker((1, 13, 7, 1))),
    (3, 5, Kronecker((1, 1, 5, 8))),
    (3, 5, Kronecker((5, 8, 1, 1))),
    (1, 1, Kronecker((1, 2, 1, 1))),
]
KRONECKER = [case for case in CASES if isinstance(case[2], Kronecker)]


def dense_stack(weight):
    """(gates, m, n) by numpy alone."""
    if weight.kind == "dense":
        return weight.W.detach().numpy()
    factors = zip(weight.A.detach().numpy(), weight.B.detach().numpy(), strict=True)
    return np.stack([np.kron(a, b) for a, b in factors])


def twin(layer):
    """A torch.nn.LSTM filled from the layer's parameters by numpy."""
    lstm = nn.LSTM(
        layer.input_size,
        layer.hidden_size,
        layer.num_layers,
        bias=bool(layer.bias),
        batch_first=layer.batch_first,
        dropout=layer.dropout,
        bidirectional=layer.bidirectional,
        dtype=next(layer.parameters()).dtype,
    )
    with torch.no_grad():
        for name, cell in layer.cells.items():
            W = torch.from_numpy(dense_stack(cell.weight)).reshape(4 * layer.hidden_size, -1)
            getattr(lstm, f"weight_ih_{name}").copy_(W[:, : -layer.hidden_size])
            getattr(lstm, f"weight_hh_{name}").copy_(W[:, -layer.hidden_size :])
            if layer.bias == "one":
                getattr(lstm, f"bias_ih_{name}").copy_(cell.bias)
                getattr(lstm, f"bias_hh_{name}").zero_()
            elif layer.bias:
                getattr(lstm, f"bias_ih_{name}").copy_(cell.bias_ih)
                getattr(lstm, f"bias_hh_{name}").copy_(cell.bias_hh)
    return lstm.train(layer.training)


def data(layer, *, unbatched=False, dtype=torch.float64):
    """Input and a state that is not 0, all requiring gradients."""
    batch = () if unbatched else (BATCH,)
    x = torch.randn(STEPS, *batch, layer.input_size, dtype=dtype)
    if layer.batch_first and batch:
        x = x.transpose(0, 1).contiguous()
    state = (len(layer.cells), *batch, layer.hidden_size)
    h0, c0 = torch.randn(state, dtype=dtype), torch.randn(state, dtype=dtype)
    return [t.requires_grad_() for t in (x, h0, c0)]


def run_and_backward(layer, x, h0, c0):
    """Return the three results and the gradients of x, h0 and c0; fills the parameters' .grad."""
    output, (h, c) = layer(x, (h0, c0))
    weights = [
        torch.linspace(-1, 2, t.numel(), dtype=t.dtype).view(t.shape) for t in (output, h, c)
    ]
    loss = sum((w * t).sum() for w, t in zip(weights, (output, h, c), strict=True))
    layer.zero_grad()
    # all gradients in one pass, the parameters' too
    loss.backward(inputs=[x, h0, c0, *layer.parameters()])
    gradients = [t.grad for t in (x, h0, c0)]
    x.grad = h0.grad = c0.grad = None
    return [output, h, c, *gradients]


def gradients_from_twin(layer, lstm):
    """Name -> gradient that the parameters of `layer` must have, by the chain rule in numpy."""
    expected = {}
    for name, cell in layer.cells.items():
        blocks = [getattr(lstm, f"weight_{k}_{name}").grad.numpy() for k in ("ih", "hh")]
        weight = cell.weight
        dW = np.concatenate(blocks, 1).reshape(4, weight.rows, weight.columns)
        if weight.kind == "dense":
            expected[f"cells.{name}.weight.W"] = dW
        else:
            s = weight.shape
            dW = dW.reshape(4, s.m1, s.m2, s.n1, s.n2)
            A, B = weight.A.detach().numpy(), weight.B.detach().numpy()
            expected[f"cells.{name}.weight.A"] = np.einsum("gikjl,gkl->gij", dW, B)
            expected[f"cells.{name}.weight.B"] = np.einsum("gikjl,gij->gkl", dW, A)
        if layer.bias == "one":
            expected[f"cells.{name}.bias"] = getattr(lstm, f"bias_ih_{name}").grad.numpy()
        elif layer.bias:
            for k in ("bias_ih", "bias_hh"):
                expected[f"cells.{name}.{k}"] = getattr(lstm, f"{k}_{name}").grad.numpy()
    return expected


def assert_parity(layer, *, unbatched=False, dtype=torch.float64, tolerance=1e-12):
    lstm = twin(layer)
    inputs = data(layer, unbatched=unbatched, dtype=dtype)
    theirs, ours = run_and_backward(lstm, *inputs), run_and_backward(layer, *inputs)
    for o, t in zip(ours, theirs, strict=True):
        assert o.shape == t.shape
        torch.testing.assert_close(o, t, rtol=tolerance, atol=tolerance)
    expected = gradients_from_twin(layer, lstm)
    found = {name: p.grad.numpy() for name, p in layer.named_parameters()}
    assert found.keys() == expected.keys()
    for name, gradient in expected.items():
        scale = max(1.0, np.abs(gradient).max())
        np.testing.assert_allclose(
            found[name], gradient, rtol=0, atol=tolerance * scale, err_msg=name
        )


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("bias", [True, "one", False])
@pytest.mark.parametrize(("inputs", "hidden", "weight"), CASES)
def test_parity_float64(inputs, hidden, weight, bias, method):
    assert_parity(
        LSTM(inputs, hidden, bias=bias, weight=weight, method=method, dtype=torch.float64)
    )


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize(("inputs", "hidden", "weight"), CASES)
def test_parity_float32(inputs, hidden, weight, method):
    layer = LSTM(inputs, hidden, weight=weight, method=method)
    assert_parity(layer, dtype=torch.float32, tolerance=2e-5)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("weight", [Dense(), Kronecker()])
@pytest.mark.parametrize(
    ("batch_first", "unbatched", "layers", "bidirectional"),
    list(itertools.product([False, True], [False, True], [1, 3], [False, True])),
)
def test_parity_layouts(weight, method, batch_first, unbatched, layers, bidirectional):
    layer = LSTM(
        9,
        12,
        layers,
        batch_first=batch_first,
        bidirectional=bidirectional,
        weight=weight,
        method=method,
        dtype=torch.float64,
    )
    assert_parity(layer, unbatched=unbatched)


def test_cases_cover_both_orders():
    orders = {w.build(4, h, i + h).shape.order for i, h, w in KRONECKER}
    assert orders == {"a_first", "b_first"}


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize(("inputs", "hidden", "weight"), [CASES[0], CASES[1], CASES[2]])
def test_gradcheck(inputs, hidden, weight, method):
    layer = LSTM(inputs, hidden, weight=weight, method=method, dtype=torch.float64)
    names = [name for name, _ in layer.named_parameters()]
    parameters = [p.detach().clone().requires_grad_() for p in layer.parameters()]
    x = torch.randn(3, 2, inputs, dtype=torch.float64, requires_grad=True)
    h0, c0 = (torch.randn(1, 2, hidden).double().requires_grad_() for _ in "hc")

    def run(x, h0, c0, *parameters):
        output, (_, c) = functional_call(
            layer, dict(zip(names, parameters, strict=True)), (x, (h0, c0))
        )
        return output, c

    assert torch.autograd.gradcheck(run, (x, h0, c0, *parameters))


def test_factors_differentiate_twice():
    layer = LSTM(1, 2, weight=Kronecker((2, 1, 1, 3)), method="factors", dtype=torch.float64)
    x = torch.randn(2, 1, 1, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradgradcheck(lambda x: layer(x)[0], (x,))


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("batch_first", [False, True])
def test_state_defaults_to_zero(method, batch_first):
    layer = LSTM(9, 12, batch_first=batch_first, method=method)
    x = torch.randn(4, 5, 9)
    zeros = torch.zeros(1, 4 if batch_first else 5, 12)
    torch.testing.assert_close(layer(x), layer(x, (zeros, zeros)))


@pytest.mark.parametrize("method", METHODS)
def test_state_carries_over(method):
    # a sequence in two halves, the state handed on, is the whole sequence
    layer = LSTM(9, 12, 2, method=method, dtype=torch.float64)
    x = torch.randn(7, 3, 9, dtype=torch.float64)
    whole, end = layer(x)
    first, state = layer(x[:3])
    second, state = layer(x[3:], state)
    torch.testing.assert_close(torch.cat((first, second)), whole)
    torch.testing.assert_close(state, end)


@pytest.mark.parametrize("method", METHODS)
def test_dropout_acts_between_layers_in_training(method):
    layer = LSTM(9, 12, 2, dropout=1.0, method=method, dtype=torch.float64)
    x = torch.randn(5, 3, 9, dtype=torch.float64)
    # the only dropout that is deterministic: everything
    torch.testing.assert_close(layer(x)[0], twin(layer)(x)[0])
    trained = layer(x)[0]
    layer.eval()
    assert not torch.allclose(layer(x)[0], trained)
    torch.testing.assert_close(layer(x)[0], twin(layer)(x)[0])


def test_example_of_torchs_documentation():
    rnn = LSTM(10, 20, 2)
    input = torch.randn(5, 3, 10)
    h0 = torch.randn(2, 3, 20)
    c0 = torch.randn(2, 3, 20)
    output, (hn, cn) = rnn(input, (h0, c0))
    assert (output.shape, hn.shape, cn.shape) == ((5, 3, 20), (2, 3, 20), (2, 3, 20))


# which method


def test_auto_follows_the_documented_rule(monkeypatch):
    layer = LSTM(9, 12)
    called = []
    for owner, name in ((layer, "_fused"), (lstm_module, "lstm_loop")):
        original = getattr(owner, name)
        monkeypatch.setattr(
            owner,
            name,
            lambda *a, f=original, name=name, **k: (called.append(name), f(*a, **k))[1],
        )
    x = torch.randn(4, 10, 9)
    dense = 4 * 12 * 21
    # at each step, the batch of 10; and forming the product, once for 4 steps
    saved = 10 * (dense - layer.weight.macs) + recurrent_module.FORMING_MACS * dense // 4
    monkeypatch.setattr(torch, "get_num_threads", lambda: 1)
    outputs = []
    for threshold in (saved, saved - 1):
        monkeypatch.setattr(lstm_module, "SAVING_IN_PLACE", threshold)
        outputs.append(layer(x)[0])
    assert called == ["_fused", "lstm_loop"]
    torch.testing.assert_close(*outputs)


def test_choice_of_method(monkeypatch):
    cpu = torch.device("cpu")
    har1 = LSTM(77, 178, device="meta").weight
    mnist = LSTM(28, 40, device="meta").weight
    dense = LSTM(512, 512, weight=Dense(), device="meta").weight
    gru = GRU(10, 154, reset_after=False, device="meta").weight
    large = LSTM(1024, 1024, device="meta").weight
    monkeypatch.setattr(torch, "get_num_threads", lambda: 1)
    assert choose_method(har1, 64, 81, cpu) == "factors"
    assert choose_method(har1, 1, 81, cpu) == "fused"
    assert choose_method(har1, 64, 81, torch.device("cuda")) == "fused"
    assert choose_method(mnist, 128, 28, cpu) == "fused"
    assert choose_method(mnist, 128, 28, cpu, saving=SAVING_IN_PLACE) == "fused"
    assert choose_method(dense, 4096, 9, cpu) == "fused"  # nothing to save
    assert choose_method(gru, 100, 25, cpu) == "fused"  # against torch's kernel
    assert choose_method(gru, 100, 25, cpu, saving=SAVING_AGAINST_LOOP) == "factors"
    assert choose_method(large, 1, 1000, cpu) == "fused"
    assert choose_method(large, 1, 10, cpu) == "factors"  # the product would be formed for little


# autocast


@pytest.mark.parametrize("inputs", [torch.float32, torch.bfloat16])
def test_autocast_gives_torchs_dtypes_whatever_the_method(monkeypatch, inputs):
    dtype = torch.bfloat16  # few CPUs have a float16 LSTM
    layers = {method: LSTM(9, 12, 2, method=method) for method in ("auto", *METHODS)}
    theirs = layers["auto"].to_torch()
    for layer in layers.values():
        layer.load_state_dict(layers["auto"].state_dict())
    monkeypatch.setattr(LSTM, "_saving_that_pays", lambda *_: 0)  # else auto is fused anyway
    x = torch.randn(5, 3, 9).to(inputs)
    if torch.backends.cpu.get_cpu_capability().startswith("AVX512"):
        with torch.autocast("cpu", dtype=dtype):
            expected = theirs(x)
    else:  # torch.nn.LSTM fails there, ours must not
        output, state = theirs(x.float())
        expected = output.to(dtype), tuple(s.to(dtype) for s in state)
    with torch.autocast("cpu", dtype=dtype):
        assert expected[0].dtype == dtype
        for method, layer in layers.items():
            output, state = layer(x)
            assert {t.dtype for t in (output, *state)} == {dtype}, method
            torch.testing.assert_close(output, expected[0], atol=0.02, rtol=0.02)
            torch.testing.assert_close(state, expected[1], atol=0.02, rtol=0.02)
            again, _ = layer(x, state)  # its own state is an input that it takes
            again.float().sum().backward()
            assert all(p.grad.isfinite().all() for p in layer.parameters())


def test_autocast_does_not_change_the_method_with_the_batch():
    cpu, weight = torch.device("cpu"), LSTM(9, 12).weight
    assert choose_method(weight, 64, 3, cpu, saving=0) == "factors"
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert choose_method(weight, 64, 3, cpu, saving=0) == "fused"


@pytest.mark.parametrize("method", METHODS)
def test_autocast_and_float64(method):
    with torch.autocast("cpu", dtype=torch.bfloat16):
        output, _ = LSTM(9, 12, method=method, dtype=torch.float64)(torch.randn(4, 3, 9).double())
        assert output.dtype == torch.float64
        with pytest.raises(DtypeError, match=r"float64.*autocast takes.*float32"):
            LSTM(9, 12, method=method)(torch.randn(4, 3, 9).double())


# what the compiler reads


def test_gate_bias():
    both = LSTM(4, 6, weight=Dense())
    expected = (both.cells["l0"].bias_ih + both.cells["l0"].bias_hh).view(4, 6)
    assert torch.equal(both.gate_bias(), expected)
    assert torch.equal(
        LSTM(4, 6, bias=False, dtype=torch.float64).gate_bias(), torch.zeros(4, 6).double()
    )
    # the papers' TensorFlow: 0, and 1 for the forget gate, the second
    one = LSTM(4, 6, bias="one").gate_bias()
    assert torch.equal(one, torch.tensor([0.0, 1.0, 0.0, 0.0]).repeat_interleave(6).view(4, 6))


def test_two_biases_start_as_in_torch():
    cell = LSTM(10, 400, weight=Dense()).cells["l0"]
    for vector in (cell.bias_ih, cell.bias_hh):
        assert 0.99 / 20 < vector.abs().max() <= 1 / 20
    assert not torch.equal(cell.bias_ih, cell.bias_hh)


def test_weight_of_the_only_cell():
    layer = LSTM(4, 6, weight=Kronecker((3, 2, 2, 5)))
    assert layer.weight is layer.cells["l0"].weight
    assert (layer.weight.A.shape, layer.weight.B.shape) == ((4, 3, 2), (4, 2, 5))
    several = LSTM(4, 6, bidirectional=True)
    assert list(several.cells) == ["l0", "l0_reverse"]
    for read in (lambda: several.weight, several.gate_bias):
        with pytest.raises(ValueError, match=r"2 cells.*l0, l0_reverse"):
            read()


# conversion


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize(
    "options",
    [
        {},
        {"bias": False},
        {"num_layers": 2, "bidirectional": True, "batch_first": True, "dropout": 0.5},
    ],
)
def test_from_torch_copies_exactly(options, method):
    theirs = nn.LSTM(5, 7, dtype=torch.float64, **options).eval()
    state = torch.get_rng_state()
    ours = LSTM.from_torch(theirs, method=method)
    assert torch.equal(torch.get_rng_state(), state)
    assert (ours.training, ours.method) == (False, method)
    x = torch.randn(4, 3, 5, dtype=torch.float64)
    torch.testing.assert_close(ours(x), theirs(x), rtol=1e-14, atol=1e-14)
    back = ours.to_torch()
    assert not back.training
    assert back.state_dict().keys() == theirs.state_dict().keys()
    for name, value in theirs.state_dict().items():
        assert torch.equal(back.state_dict()[name], value)
    ours.cells["l0"].weight.W.data.zero_()
    assert theirs.weight_ih_l0.abs().min() > 0  # a copy, not a view


@pytest.mark.parametrize("bias", [True, "one", False])
@pytest.mark.parametrize("bidirectional", [False, True])
def test_to_torch_has_equal_outputs(bias, bidirectional):
    ours = LSTM(
        9, 12, 2, bias=bias, bidirectional=bidirectional, batch_first=True, dtype=torch.float64
    )
    x = torch.randn(4, 3, 9, dtype=torch.float64)
    torch.testing.assert_close(ours.to_torch()(x), ours(x), rtol=1e-13, atol=1e-13)


def test_from_torch_refuses():
    with pytest.raises(TypeError, match=r"torch\.nn\.LSTM, found GRU"):
        LSTM.from_torch(nn.GRU(3, 4))
    with pytest.raises(ValueError, match="proj_size is 2"):
        LSTM.from_torch(nn.LSTM(3, 4, proj_size=2))


# a module like any other


@pytest.mark.parametrize("bias", [True, "one", False])
def test_state_dict_round_trip(bias):
    first, second = (LSTM(9, 12, bias=bias, bidirectional=True) for _ in range(2))
    x = torch.randn(4, 3, 9)
    assert not torch.equal(first(x)[0], second(x)[0])
    buffer = io.BytesIO()
    torch.save(first.state_dict(), buffer)
    buffer.seek(0)
    second.load_state_dict(torch.load(buffer, weights_only=True))
    assert torch.equal(first(x)[0], second(x)[0])


def test_what_else_callers_of_torchs_layer_use():
    layer = LSTM(9, 12, 2, True, False, 0.0, False, 0)
    assert layer.proj_size == nn.LSTM(9, 12).proj_size == 0
    before = copy.deepcopy(layer.state_dict())
    assert layer.flatten_parameters() is None
    torch.testing.assert_close(layer.state_dict(), before, rtol=0, atol=0)


def test_state_dict_names():
    assert list(LSTM(4, 6, weight=Dense()).state_dict()) == [
        "cells.l0.bias_ih",
        "cells.l0.bias_hh",
        "cells.l0.weight.W",
    ]
    assert list(LSTM(4, 6, bias="one").state_dict()) == [
        "cells.l0.bias",
        "cells.l0.weight.A",
        "cells.l0.weight.B",
    ]


def test_deepcopy_is_independent():
    layer = LSTM(9, 12)
    x = torch.randn(4, 3, 9)
    before = layer(x)[0].detach()
    clone = copy.deepcopy(layer)
    assert torch.equal(clone(x)[0], before)
    with torch.no_grad():
        clone.weight.A.mul_(2)
    assert torch.equal(layer(x)[0], before)
    assert not torch.equal(clone(x)[0], before)


def test_changes_of_parameters_are_seen():
    # nothing about the weights is kept between calls
    layer = LSTM(9, 12)
    x = torch.randn(4, 3, 9)
    for method in METHODS:
        layer.method = method
        before = layer(x)[0]
        with torch.no_grad():
            layer.weight.B.add_(0.1)
        assert not torch.allclose(layer(x)[0], before)


def test_deterministic_under_manual_seed():
    layers = []
    for seed in (1, 1, 2):
        torch.manual_seed(seed)
        layers.append(LSTM(9, 12))
    assert torch.equal(layers[0].weight.A, layers[1].weight.A)
    assert torch.equal(layers[0].weight.B, layers[1].weight.B)
    assert not torch.equal(layers[0].weight.A, layers[2].weight.A)


def test_calls_draw_nothing():
    layer = LSTM(9, 12)
    state = torch.get_rng_state()
    for method in METHODS:
        layer.method = method
        layer(torch.ones(4, 3, 9))
    layer.to_torch()
    assert torch.equal(torch.get_rng_state(), state)


def test_reset_parameters():
    layer = LSTM(9, 12, bias="one", bidirectional=True)
    before = copy.deepcopy(layer.state_dict())
    with torch.no_grad():
        layer.cells["l0"].bias.fill_(3)
    layer.reset_parameters()
    for name, value in layer.state_dict().items():
        assert torch.equal(value, before[name]) == name.endswith("bias")


def test_double_and_inference():
    layer = LSTM(9, 12).double()
    with torch.inference_mode():
        output, _ = layer(torch.randn(4, 3, 9, dtype=torch.float64))
    assert output.dtype == torch.float64


# Of torch, about this one version of Python and no other.
@pytest.mark.filterwarnings("ignore:Guards may run slower on Python 3.13.0:RuntimeWarning")
def test_torch_compile():
    # aot_eager: traced as for any backend, without the minutes of generating code
    layer = LSTM(9, 12, bidirectional=True)
    x = torch.randn(3, 2, 9)
    parameters = list(layer.parameters())
    gradients = []
    for run in (layer, torch.compile(layer, backend="aot_eager")):
        gradients.append(torch.autograd.grad(run(x)[0].square().sum(), parameters))
    torch.testing.assert_close(*gradients)


def test_empty_batch():
    for method in METHODS:
        output, (h, _) = LSTM(9, 12, method=method)(torch.zeros(4, 0, 9))
        assert (output.shape, h.shape) == ((4, 0, 12), (1, 0, 12))


def test_repr():
    text = repr(Classifier(LSTM(28, 40, bias="one", batch_first=True), nn.Linear(40, 10)))
    for part in ("28, 40", "bias='one'", "batch_first=True", "628 parameters", "(8, 4) x (5, 17)"):
        assert part in text
    assert "num_layers" not in text


# errors


@pytest.mark.parametrize(
    ("arguments", "options", "error", "match"),
    [
        ((0, 12), {}, ShapeError, "input_size.*0"),
        ((9, -1), {}, ShapeError, "hidden_size.*-1"),
        ((9, 12, 0), {}, ShapeError, "num_layers.*0"),
        ((9, 12), {"bias": "two"}, ValueError, "'two'.*True, False, 'one'"),
        ((9, 12), {"bias": 1}, ValueError, "bias is 1"),
        ((9, 12), {"method": "fast"}, ValueError, "'fast'.*'auto', 'fused', 'factors'"),
        ((9, 12, 2), {"dropout": 1.5}, ValueError, "1.5"),
        ((9, 12, 2), {"dropout": "a"}, ValueError, "dropout is 'a'.*from 0 to 1"),
        ((9, 12, 2), {"dropout": None}, ValueError, "dropout is None"),
        ((9, 12, 2), {"dropout": float("nan")}, ValueError, "dropout is nan"),
        ((9, 12), {"proj_size": 3}, ValueError, "proj_size is 3, but must be 0"),
        ((9, 12), {"weight": Kronecker}, TypeError, r"Dense\(\) or Kronecker\(\)"),
        ((9, 13), {}, ShapeError, "13"),
        ((9, 12), {"weight": Kronecker((2, 3, 5, 7))}, ShapeError, "10 x 21.*12 x 21"),
    ],
)
def test_constructor_errors(arguments, options, error, match):
    with pytest.raises(error, match=match):
        LSTM(*arguments, **options)


class _OfAUser(LSTM):
    def __init__(self, *args, **options):
        super().__init__(*args, **options)


@pytest.mark.parametrize("layer_type", [LSTM, RNN, GRU, FastRNN, _OfAUser])
def test_dropout_without_a_second_layer_warns_where_the_layer_is_made(layer_type):
    with pytest.warns(UserWarning, match=r"dropout=0.5.*num_layers=1") as warned:
        layer_type(9, 12, dropout=0.5)
    assert warned[0].filename == __file__
    assert "layer_type(9, 12, dropout=0.5)" in linecache.getline(__file__, warned[0].lineno)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize(
    ("x", "hx", "error", "match"),
    [
        (torch.zeros(4, 3, 10), None, ShapeError, "10 features.*input_size is 9"),
        (torch.zeros(9), None, ShapeError, "1 axes"),
        (torch.zeros(4, 3, 2, 9), None, ShapeError, "4 axes"),
        (torch.zeros(0, 3, 9), None, ShapeError, "0 steps"),
        (torch.zeros(4, 3, 9).double(), None, DtypeError, "float64.*float32"),
        (torch.zeros(4, 3, 9), (torch.zeros(1, 3, 12),), ShapeError, "1 tensors.*2"),
        (torch.zeros(4, 3, 9), torch.zeros(1, 3, 12), ShapeError, "1 tensors.*2"),
        (
            torch.zeros(4, 3, 9),
            (torch.zeros(1, 3, 12), torch.zeros(1, 2, 12)),
            ShapeError,
            r"state 1.*\(1, 2, 12\).*\(1, 3, 12\)",
        ),
        (
            torch.zeros(4, 9),
            (torch.zeros(1, 1, 12), torch.zeros(1, 12)),
            ShapeError,
            r"state 0.*\(1, 1, 12\).*\(1, 12\)",
        ),
        (np.zeros((4, 3, 9), np.float32), None, TypeError, "input must be.*found ndarray"),
        (torch.zeros(4, 3, 9), (None, None), TypeError, "hx must be.*NoneType, NoneType"),
        (torch.zeros(4, 3, 9), 5, TypeError, "hx must be.*found int"),
        (torch.zeros(4, 3, 9), np.zeros((1, 3, 12)), TypeError, "hx must be.*found ndarray"),
        (
            torch.zeros(4, 3, 9),
            (torch.zeros(1, 3, 12), torch.zeros(1, 3, 12).double()),
            DtypeError,
            "state 1.*float64.*float32",
        ),
    ],
)
def test_call_errors(x, hx, error, match, method):
    with pytest.raises(error, match=match):
        LSTM(9, 12, method=method)(x, hx)


def test_missing_torch_names_the_extra():
    code = "import sys; sys.modules['torch'] = None; import kplib; kplib.nn"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode != 0
    assert "MissingExtraError" in done.stderr
    assert "kplib[nn]" in done.stderr
