"""Every cell, structure, layers and directions: the compiled network is the torch model."""

import itertools
from functools import cache

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import kplib
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
)
from kplib.shapes import factor_shapes

CELLS = {
    "lstm": (LSTM, {}),
    "gru": (GRU, {}),
    "gru, reset before": (GRU, {"reset_after": False}),
    "rnn": (RNN, {}),
    "rnn, relu": (RNN, {"nonlinearity": "relu"}),
    "fastrnn": (FastRNN, {}),
}
# for 24 hidden units, and as many columns as it gets: a multiple of 8
STRUCTURES = {
    "dense": lambda n: Dense(),
    "kronecker, B first": lambda n: Kronecker((12, n // 8, 2, 8)),
    "kronecker, A first": lambda n: Kronecker((2, n // 2, 12, 2)),
    "a sum of products": lambda n: Kronecker((6, n // 8, 4, 8), terms=2),
    "a sum, A first": lambda n: Kronecker((2, n // 2, 12, 2), terms=2),
    "stacked kronecker": lambda n: Kronecker(stacked=True),
    "hybrid": lambda n: Hybrid(3, (7, n // 4, 3, 4)),
    "low rank": lambda n: LowRank(3),
    "low rank, each gate": lambda n: LowRank(2, stacked=False),
    "sparse": lambda n: Sparse(0.06),
    "chain": lambda n: KroneckerChain([2, 3, 4]),
    "chain, split": lambda n: KroneckerChain(
        [(4, 3), (3, 2), (2, 4)], input=Kronecker(stacked=True)
    ),
}


def network(cell, structure, *, inputs=8, hidden=24, classes=5, dtype=torch.float32, **options):
    """A classifier of random weights, biases far from 0, pruned if it can be."""
    layer, own = CELLS[cell]
    torch.manual_seed(0)
    weight = STRUCTURES[structure](inputs + hidden) if isinstance(structure, str) else structure
    rnn = layer(inputs, hidden, weight=weight, dtype=dtype, **own, **options)
    features = hidden * (2 if rnn.bidirectional else 1)
    model = Classifier(rnn, torch.nn.Linear(features, classes, dtype=dtype))
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if "bias" in name:
                parameter.uniform_(-0.5, 0.5)
    for module in model.modules():
        if hasattr(module, "prune_to"):
            module.prune_to()
    return model.eval()


@cache
def compiled(cell, structure, loader="cppyy", layers=1, bidirectional=False, dtype=torch.float32):
    """A model of `network`, and its compiled form."""
    options = {"num_layers": layers, "bidirectional": bidirectional}
    if layers > 1:  # all layers have inputs of one size, which one structure fits
        options["inputs"] = 48 if bidirectional else 24
    model = network(cell, structure, dtype=dtype, **options)
    return model, kplib.compile(model, loader=loader)


def logits(model, x):
    """What torch makes of one sequence, or of a batch (batch, steps, input)."""
    x = torch.from_numpy(np.ascontiguousarray(x))
    if x.dim() == 3 and not model.rnn.batch_first:
        x = x.transpose(0, 1)
    with torch.inference_mode():
        return model(x).numpy()


def sequence(model, steps, seed=0):
    """A random sequence for a model."""
    dtype = next(model.parameters()).numpy(force=True).dtype
    rng = np.random.default_rng(seed)
    return rng.standard_normal((steps, model.rnn.input_size)).astype(dtype)


PAIRS = list(itertools.product(CELLS, STRUCTURES))
# 1 to 3 layers in 1 and 2 directions, each cell and each structure with several of them
DEPTHS = [(1, True), (2, False), (2, True), (3, False)]
DEEP = [(*pair, *DEPTHS[k % len(DEPTHS)]) for k, pair in enumerate(PAIRS)]


def check(model, net, tolerance=3e-6, steps=(1, 2, 17)):
    for count in steps:
        x = sequence(model, count, seed=count)
        expected = logits(model, x)
        np.testing.assert_allclose(net(x), expected, rtol=tolerance, atol=tolerance)
        if not model.rnn.bidirectional:
            net.reset()
            for x_t in x:
                streamed = net.step(x_t)
            np.testing.assert_allclose(streamed, expected, rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize(("cell", "structure"), PAIRS)
def test_every_cell_with_every_structure(cell, structure):
    model, net = compiled(cell, structure)
    assert net.loader == "cppyy"
    for steps in (1, 2, 17):
        x = sequence(model, steps)
        np.testing.assert_allclose(net(x), logits(model, x), rtol=3e-6, atol=3e-6)


@pytest.mark.parametrize(("cell", "structure", "layers", "both"), DEEP)
def test_the_reference_with_layers_and_directions(cell, structure, layers, both):
    dtype = torch.float64
    check(*compiled(cell, structure, "numpy", layers, both, dtype), tolerance=1e-12)


@pytest.mark.parametrize(("cell", "structure", "layers", "both"), DEEP[::6] + DEEP[3::14])
def test_compiled_layers_and_directions(cell, structure, layers, both):
    check(*compiled(cell, structure, "cppyy", layers, both))


@pytest.mark.parametrize(("cell", "structure"), PAIRS[::7])
def test_double_precision_to_the_last_digits(cell, structure):
    check(*compiled(cell, structure, dtype=torch.float64), tolerance=1e-13)


@pytest.mark.parametrize(("cell", "structure"), PAIRS[5::17])
def test_the_system_compiler_agrees(cell, structure):
    check(*compiled(cell, structure, "compiler"))


@st.composite
def architectures(draw, most_hidden):
    """Cells, structures, layers and directions with sizes that are primes and ones, too."""
    cell = draw(st.sampled_from(list(CELLS)))
    hidden, inputs = draw(st.integers(1, most_hidden)), draw(st.integers(1, 13))
    layers, both = draw(st.integers(1, 3)), draw(st.booleans())
    width = hidden * (2 if both else 1)
    choices = [Dense(), Sparse(0.1), LowRank(1), LowRank(1, stacked=False)]
    # every layer is of the same structure: the factors have to fit them all
    if layers == 1 or width == inputs:
        shapes = factor_shapes(hidden, inputs + hidden)
        shape = draw(st.sampled_from(list(shapes)))
        terms = min(2, shape.m1 * shape.n1, shape.m2 * shape.n2)
        choices += [Kronecker(shape), Kronecker(shape, terms=terms)]
        if hidden > 1:
            rows = draw(st.integers(1, hidden - 1))
            lower = list(factor_shapes(hidden - rows, inputs + hidden))
            choices.append(Hybrid(rows, draw(st.sampled_from(lower))))
    choices.append(KroneckerChain([(hidden, 1), (1, hidden)]))
    structure = draw(st.sampled_from(choices))
    options = {"num_layers": layers, "bidirectional": both, "bias": draw(bias)}
    return network(
        cell, structure, inputs=inputs, hidden=hidden, classes=draw(st.integers(1, 19)),
        dtype=draw(st.sampled_from([torch.float32, torch.float64])), **options,
    )  # fmt: skip


bias = st.sampled_from([True, False, "one"])


def check_random(model, loader):
    single = next(model.parameters()).dtype == torch.float32
    check(model, kplib.compile(model, loader=loader), 1e-5 if single else 1e-12, (1, 6))


@settings(max_examples=80, deadline=None)
@given(model=architectures(most_hidden=24))
def test_random_architectures_in_numpy(model):
    check_random(model, "numpy")


@settings(max_examples=8, deadline=None)
@given(model=architectures(most_hidden=53))
def test_random_architectures_compiled(model):
    check_random(model, "cppyy")


def test_the_layers_of_torch():
    for layer, options in [
        (torch.nn.LSTM, {"num_layers": 2}),
        (torch.nn.GRU, {"bidirectional": True, "batch_first": True}),
        (torch.nn.RNN, {"nonlinearity": "relu", "bias": False}),
    ]:
        torch.manual_seed(1)
        rnn = layer(5, 11, **options)
        head = torch.nn.Linear(22 if rnn.bidirectional else 11, 4, bias=False)
        model = kplib.nn.Classifier(rnn, head)
        check(model, kplib.compile(model, loader="numpy"))
    assert kplib.compile(model).macs(3) == 3 * 11 * 16 + 44
    check(model, kplib.compile(model))
