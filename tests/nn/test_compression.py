"""compress and to_dense: every layer of a user's model, in place, with the report that is true."""

import copy

import pytest
import torch
from torch import nn

from kplib.errors import ShapeError
from kplib.nn import (
    GRU,
    LSTM,
    Dense,
    FastRNN,
    Kronecker,
    LowRank,
    compress,
    parameter_count,
    to_dense,
)


class Encoder(nn.Module):
    """A model such as users have: layers at several depths, one of them shared."""

    def __init__(self):
        super().__init__()
        self.rnns = nn.ModuleList([nn.LSTM(10, 12, 2, bidirectional=True), nn.GRU(24, 12)])
        self.shared = nn.Sequential(self.rnns[1])
        self.plain = nn.ModuleDict({"rnn": nn.RNN(12, 8, nonlinearity="relu", batch_first=True)})
        self.out = nn.Linear(8, 3)

    def forward(self, x):
        x, _ = self.rnns[0](x)
        x, _ = self.rnns[1](x)
        x, _ = self.plain["rnn"](x.transpose(0, 1))
        return self.out(x)


@pytest.fixture
def model():
    torch.manual_seed(1)
    return Encoder()


def test_dense_weights_change_nothing(model):
    x = torch.randn(7, 3, 10)
    expected = model(x)
    result = compress(model, Dense())
    assert result.model is model
    assert isinstance(model.rnns[0], LSTM)
    assert isinstance(model.rnns[1], GRU)
    assert model.shared[0] is model.rnns[1]
    assert result.before == result.after == parameter_count(model)
    assert [layer.name for layer in result.layers] == ["rnns.0", "rnns.1", "plain.rnn"]
    assert all(e == 0 for layer in result.layers for e in layer.relative_errors.values())
    torch.testing.assert_close(model(x), expected)
    assert type(to_dense(model).rnns[0]) is nn.LSTM
    assert type(model.plain["rnn"]) is nn.RNN
    torch.testing.assert_close(model(x), expected)


def test_the_report_is_true(model):
    dense = copy.deepcopy(model)
    result = compress(model, LowRank(3))
    assert result.before == parameter_count(dense)
    assert result.after == parameter_count(model)
    assert result.factor == result.before / result.after
    for layer in result.layers:
        old, new = dense.get_submodule(layer.name), model.get_submodule(layer.name)
        assert (layer.before, layer.after) == (parameter_count(old), parameter_count(new))
        reference = type(new).from_torch(old)
        assert layer.relative_errors.keys() == set(new.cells)
        for name, error in layer.relative_errors.items():
            W = reference.cells[name].weight.matrix().detach().flatten(0, 1)
            approximation = new.cells[name].weight.matrix().detach().flatten(0, 1)
            expected = torch.linalg.norm(W - approximation) / torch.linalg.norm(W)
            assert error == pytest.approx(expected.item(), rel=1e-5)
            best = torch.linalg.svdvals(W)[3:].norm() / W.norm()
            assert error == pytest.approx(best.item(), rel=1e-4)
    text = str(result)
    assert "rnns.0" in text
    assert f"{result.after:,}" in text


def test_a_product_is_found_again():
    torch.manual_seed(0)
    small = LSTM(10, 12)
    result = compress(small.to_torch(), Kronecker(small.weight.shape))
    assert isinstance(result.model, LSTM)
    assert result.layers[0].name == ""
    assert max(result.layers[0].relative_errors.values()) < 1e-6
    x = torch.randn(5, 2, 10)
    torch.testing.assert_close(result.model(x)[0], small(x)[0])
    torch.testing.assert_close(to_dense(result.model)(x)[0], small(x)[0])


def test_new_weights_are_new(model):
    result = compress(model, Kronecker(), start="new")
    assert all(layer.relative_errors == {} for layer in result.layers)
    assert "new" in str(result)


def test_mode_dtype_and_training_go_on(model):
    compress(model.double().eval(), Kronecker())
    assert all(p.dtype == torch.float64 for p in model.parameters())
    assert not any(m.training for m in model.modules())
    model.train()
    loss = model(torch.randn(4, 2, 10, dtype=torch.float64)).square().mean()
    loss.backward()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in model.parameters())


def test_nothing_is_changed_where_one_layer_cannot_be(model):
    model.late = nn.LSTM(10, 13)  # 13 and 23 are primes
    before = {name: id(module) for name, module in model.named_modules()}
    with pytest.raises(ShapeError, match="Algorithm 4 is undefined for 13 x 23"):
        compress(model, Kronecker())
    assert {name: id(module) for name, module in model.named_modules()} == before
    bad = nn.Sequential(LSTM(10, 12), FastRNN(10, 12))
    with pytest.raises(ValueError, match=r"torch\.nn has no layer"):
        to_dense(bad)
    assert isinstance(bad[0], LSTM)


class OwnLSTM(nn.LSTM):
    def forward(self, x, hx=None):
        return super().forward(x.flip(0), hx)


def test_what_a_swap_would_change_is_left_and_named(model):
    model.own = OwnLSTM(10, 12)
    model.seen = nn.LSTM(10, 12)
    model.seen.register_forward_hook(lambda *_: None)
    model.patched = nn.GRU(10, 12)
    model.patched.forward = model.patched.forward
    left = [model.own, model.seen, model.patched]
    result = compress(model, Kronecker())
    assert [model.own, model.seen, model.patched] == left
    assert result.skipped == {
        "own": "a class of its own, OwnLSTM", "seen": "it has hooks",
        "patched": "it has a forward of its own",
    }  # fmt: skip
    assert "left as it is: own, a class of its own, OwnLSTM" in str(result)
    assert [layer.name for layer in result.layers] == ["rnns.0", "rnns.1", "plain.rnn"]
    with pytest.raises(
        ValueError, match=r"to compress; \(the model\): a class of its own, OwnLSTM"
    ):
        compress(model.own, Kronecker())


def test_a_copy_keeps_what_is_frozen_and_a_compressed_layer_is_trained():
    theirs = nn.LSTM(10, 12, 2)
    for name, parameter in theirs.named_parameters():
        parameter.requires_grad_(name.endswith("l1") or name == "bias_hh_l0")
    ours = LSTM.from_torch(theirs)
    trained = {name for name, p in ours.named_parameters() if p.requires_grad}
    assert trained == {"cells.l0.bias_hh"} | {
        name for name, _ in ours.named_parameters() if name.startswith("cells.l1.")
    }
    again = ours.to_torch()
    frozen = {name for name, p in again.named_parameters() if not p.requires_grad}
    assert frozen == {"weight_ih_l0", "weight_hh_l0", "bias_ih_l0"}
    assert all(p.requires_grad for p in compress(theirs, Kronecker()).model.parameters())


@pytest.mark.parametrize(
    ("arguments", "error", "words"),
    [
        ((nn.Linear(3, 4), Kronecker()), ValueError, "no torch.nn.LSTM"),
        ((nn.LSTM(10, 12), "kp"), TypeError, "must be a structure"),
        ((nn.LSTM(10, 12, proj_size=3), Kronecker()), ValueError, "proj_size is 3"),
    ],
)
def test_what_cannot_be_compressed_is_said(arguments, error, words):
    with pytest.raises(error, match=words):
        compress(*arguments)
    with pytest.raises(ValueError, match="start is 'old', but must be one of 'trained', 'new'"):
        compress(nn.LSTM(10, 12), Kronecker(), start="old")
