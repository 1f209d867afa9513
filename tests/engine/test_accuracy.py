"""The compiled network's error is at most 4 times that of torch in float32.

Both are compared with torch in float64; errors are relative to the largest logit.
"""

import copy

import numpy as np
import pytest
import torch

import kplib
from kplib.nn import GRU, LSTM, RNN, Classifier, Dense, FastRNN, Kronecker, LowRank


def errors(model, x):
    """The largest errors of the compiled network and of torch, x (batch, steps, input)."""
    x = x.astype(np.float32)
    with torch.inference_mode():
        exact = copy.deepcopy(model).double()(torch.from_numpy(x.astype(np.float64))).numpy()
        in_torch = model(torch.from_numpy(x)).numpy()
    compiled = kplib.compile(model)(x)
    scale = np.abs(exact).max()
    return np.abs(compiled - exact).max() / scale, np.abs(in_torch - exact).max() / scale


def classifier(rnn, classes=10, seed=0):
    torch.manual_seed(seed)
    features = rnn.hidden_size * (2 if rnn.bidirectional else 1)
    return Classifier(rnn, torch.nn.Linear(features, classes)).eval()


@pytest.mark.parametrize(
    "structure", [Dense(), Kronecker(), LowRank(4)], ids=["dense", "kronecker", "low rank"]
)
@pytest.mark.parametrize(
    "layer", [LSTM, GRU, FastRNN, RNN, lambda *a, **k: GRU(*a, reset_after=False, **k)]
)
def test_random_contracting_networks(layer, structure):
    torch.manual_seed(1)
    model = classifier(layer(10, 118, batch_first=True, weight=structure))
    x = np.random.default_rng(0).standard_normal((32, 100, 10))
    ours, theirs = errors(model, x)
    assert ours <= 4 * theirs


@pytest.mark.parametrize("forget_bias", [1.0, 6.0, 30.0])
def test_ten_thousand_steps(forget_bias):
    """Forget gates that hold for long, and ones that saturate: errors must not pile up."""
    torch.manual_seed(2)
    rnn = LSTM(3, 40, batch_first=True, weight=Dense(), bias="one")
    with torch.no_grad():
        rnn.cells["l0"].bias.view(4, -1)[1] = forget_bias
        rnn.weight.W[2] *= 0.02  # so that the cells do not run away
    model = classifier(rnn)
    x = np.random.default_rng(1).standard_normal((2, 10_000, 3))
    ours, theirs = errors(model, x)
    assert ours <= 4 * theirs


def test_a_trained_network():
    """Trained to say which of 3 inputs was the largest in sum, over 12 steps."""
    torch.manual_seed(3)
    model = classifier(LSTM(3, 32, batch_first=True, weight=Kronecker()), classes=3).train()
    optimizer = torch.optim.Adam(model.parameters(), lr=0.02)
    generator = np.random.default_rng(2)

    def batch(size):
        x = generator.standard_normal((size, 12, 3)).astype(np.float32)
        return x, x.sum(1).argmax(1)

    for _ in range(80):
        x, label = batch(64)
        loss = torch.nn.functional.cross_entropy(model(torch.from_numpy(x)), torch.tensor(label))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    model.eval()
    x, label = batch(256)
    ours, theirs = errors(model, x)
    assert ours <= 4 * theirs
    assert (kplib.compile(model)(x).argmax(1) == label).mean() > 0.6
