"""Weights in 8 bits: the compiled network is `quantize(model, 8, head=True)`, stored in bytes."""

import ctypes
import subprocess

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import kplib
from kplib.engine.stored import product_scale, store
from kplib.errors import DtypeError
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
    parameter_count,
)
from kplib.nn.quantized import gate_errors, prepare_qat, quantize
from kplib.shapes import factor_shapes

CELLS = {
    "lstm": (LSTM, {}),
    "gru": (GRU, {}),
    "gru, reset before": (GRU, {"reset_after": False}),
    "rnn": (RNN, {}),
    "rnn, relu": (RNN, {"nonlinearity": "relu"}),
    "fastrnn": (FastRNN, {}),
}
# for 22 hidden units, and as many columns as it gets: a multiple of 11
STRUCTURES = {
    "dense": lambda n: Dense(),
    "kronecker, B first": lambda n: Kronecker((11, 11, 2, n // 11)),
    "kronecker, A first": lambda n: Kronecker((2, n // 11, 11, 11)),
    "kronecker, a row": lambda n: Kronecker((1, n, 22, 1)),
    "a sum of products": lambda n: Kronecker((11, 11, 2, n // 11), terms=2),
    "a sum, A first": lambda n: Kronecker((2, n // 11, 11, 11), terms=2),
    "stacked kronecker": lambda n: Kronecker(stacked=True),
    "stacked sum": lambda n: Kronecker(stacked=True, terms=2),
    "hybrid": lambda n: Hybrid(3, (19, n // 11, 1, 11)),
    "low rank": lambda n: LowRank(3),
    "low rank, each gate": lambda n: LowRank(2, stacked=False),
    "sparse": lambda n: Sparse(0.06),
    "chain": lambda n: KroneckerChain([2, 11]),
    "chain, split": lambda n: KroneckerChain([(11, 1), (1, 11), (2, 2)], input=LowRank(2)),
}
DEPTHS = [(1, False, "one"), (2, False, True), (1, True, False), (2, True, "one"), (3, False, True)]
PAIRS = [(cell, structure) for cell in CELLS for structure in STRUCTURES]
DEEP = [(*pair, *DEPTHS[k % len(DEPTHS)]) for k, pair in enumerate(PAIRS)]


def network(cell, structure, *, inputs=11, hidden=22, classes=5, seed=0, **options):
    """A classifier of random weights, no two scales alike, biases far from 0."""
    layer, own = CELLS[cell]
    torch.manual_seed(seed)
    weight = STRUCTURES[structure](inputs + hidden) if isinstance(structure, str) else structure
    rnn = layer(inputs, hidden, weight=weight, **own, **options)
    model = Classifier(rnn, torch.nn.Linear(hidden * rnn.directions, classes))
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if "bias" in name:
                parameter.uniform_(-0.5, 0.5)
            elif parameter.ndim > 2:  # (gates, ..., rows, columns)
                parameter *= torch.rand(parameter.shape[:-2])[..., None, None] + 0.5
    for module in model.modules():
        if hasattr(module, "prune_to"):
            module.prune_to()
    return model.eval()


def deep(cell, structure, layers, both, bias):
    options = {"num_layers": layers, "bidirectional": both, "bias": bias}
    if layers > 1:  # all layers have inputs of one size, which one structure fits
        options["inputs"] = 44 if both else 22
    return network(cell, structure, **options)


def sequence(model, steps, seed=0):
    rng = np.random.default_rng([seed, steps])
    return rng.standard_normal((steps, model.rnn.input_size), dtype=np.float32)


def exact(model, x):
    """Logits of the rounded model in float64."""
    rounded = quantize(model, 8, head=True).model.double()
    with torch.inference_mode():
        return rounded(torch.from_numpy(x).double()).numpy()


def difference(found, expected):
    """The largest difference, relative to the largest logit."""
    return np.abs(found - expected).max() / max(np.abs(expected).max(), 1e-3)


def check(model, loader, *, stream=True, steps=(1, 7), tolerance=3e-6):
    net = kplib.compile(model, weights="int8", loader=loader)
    assert net.loader == loader
    for count in steps:
        x = sequence(model, count)
        expected = exact(model, x)
        assert difference(net(x), expected) < tolerance
        if stream and not model.rnn.bidirectional:
            net.reset()
            for x_t in x:
                last = net.step(x_t)
            assert difference(last, expected) < tolerance


@pytest.mark.parametrize(("cell", "structure", "layers", "both", "bias"), DEEP)
def test_the_reference_is_the_rounded_model(cell, structure, layers, both, bias):
    check(deep(cell, structure, layers, both, bias), "numpy")


@pytest.mark.parametrize(("cell", "structure"), PAIRS)
def test_every_cell_with_every_structure(cell, structure):
    biases = [True, "one", False]
    model = network(cell, structure, bias=biases[PAIRS.index((cell, structure)) % 3])
    check(model, "cppyy", stream=False)


@pytest.mark.parametrize(("cell", "structure", "layers", "both", "bias"), DEEP[1::8])
def test_layers_directions_and_streams(cell, structure, layers, both, bias):
    check(deep(cell, structure, layers, both, bias), "cppyy")


@pytest.mark.parametrize(("cell", "structure", "layers", "both", "bias"), DEEP[3::17])
def test_the_system_compiler_agrees(cell, structure, layers, both, bias):
    check(deep(cell, structure, layers, both, bias), "compiler")


@st.composite
def architectures(draw, most_hidden):
    """Cells and structures with rectangular factors, primes and ones among the sizes."""
    hidden, inputs = draw(st.integers(1, most_hidden)), draw(st.integers(1, 13))
    shape = draw(st.sampled_from(list(factor_shapes(hidden, inputs + hidden))))
    terms = min(2, shape.m1 * shape.n1, shape.m2 * shape.n2)
    choices = [Dense(), Sparse(0.1), LowRank(1), LowRank(1, stacked=False)]
    choices += [Kronecker(shape), Kronecker(shape, terms=terms)]
    choices.append(KroneckerChain([(hidden, 1), (1, hidden)]))
    if hidden > 1:
        rows = draw(st.integers(1, hidden - 1))
        lower = list(factor_shapes(hidden - rows, inputs + hidden))
        choices.append(Hybrid(rows, draw(st.sampled_from(lower))))
    return network(
        draw(st.sampled_from(list(CELLS))), draw(st.sampled_from(choices)), inputs=inputs,
        hidden=hidden, classes=draw(st.integers(1, 19)), seed=draw(st.integers(0, 99)),
        bias=draw(st.sampled_from([True, False, "one"])), bidirectional=draw(st.booleans()),
    )  # fmt: skip


@settings(max_examples=80, deadline=None)
@given(model=architectures(most_hidden=24))
def test_random_architectures_in_numpy(model):
    check(model, "numpy", tolerance=1e-5)


@settings(max_examples=8, deadline=None)
@given(model=architectures(most_hidden=53))
def test_random_architectures_compiled(model):
    check(model, "cppyy", stream=False, tolerance=1e-5)


@pytest.mark.parametrize(
    ("benchmark", "technique", "compression"),
    [("kws-lstm", "kp", None), ("kws-lstm", "hkp", 10), ("kws-gru", "kp", None)],
)
def test_the_papers_networks_and_their_bytes(benchmark, technique, compression):
    model = kplib.build(benchmark, technique, compression=compression, seed=1).eval()
    check(model, "cppyy", stream=False)
    small, large = (kplib.compile(model, weights=each) for each in ("int8", "float32"))
    assert 4 * parameter_count(model) <= large.weight_bytes
    assert parameter_count(model) < small.weight_bytes < 0.29 * large.weight_bytes
    assert small.macs(3) == large.macs(3)
    assert small.state_bytes == large.state_bytes
    assert small.weights == "int8"
    assert "int8 in float32" in repr(small)
    # in NumPy not a byte of padding
    plain = kplib.compile(model, weights="int8", loader="numpy")
    rounded = quantize(model, 8, head=True)
    pairs = sum(tensor.scale.numel() for name, tensor in rounded.tensors.items() if name[-1] == "B")
    assert plain.weight_bytes == rounded.nbytes - 4 * pairs  # A and B share a scale


def test_the_error_is_the_bounded_error_of_the_weights():
    model = network("lstm", "kronecker, B first")
    rounded = quantize(model, 8, head=True)
    for name, tensor in rounded.tensors.items():
        parameter = model.get_parameter(name).detach()
        moved = (tensor.dequantized() - parameter).abs().max()
        assert moved <= parameter.abs().max() / 254 * (1 + 1e-5)
    assert all(error.error <= error.bound < 0.03 for error in gate_errors(model, rounded.model))
    x = sequence(model, 30)
    with torch.inference_mode():
        unrounded = model(torch.from_numpy(x)).numpy()
    found = difference(kplib.compile(model, weights="int8")(x), unrounded)
    assert 1e-5 < found < 0.03


def test_batches_and_bound_buffers():
    model = network("lstm", "hybrid", inputs=11)
    net = kplib.compile(model, weights="int8")
    x = np.random.default_rng(2).standard_normal((2, 3, 9, 11)).astype(np.float32)
    expected = np.stack([exact(model, each) for each in x.reshape(6, 9, 11)]).reshape(2, 3, 5)
    assert difference(net(x), expected) < 3e-6
    logits = np.empty((2, 3, 5), np.float32)
    run = net.bind(x, logits)
    run()
    np.testing.assert_array_equal(logits, net(x))
    x[:] = x[::-1].copy()
    run()
    assert difference(logits, expected[::-1]) < 3e-6


@pytest.mark.parametrize("weights", ["float32", "int8"])
def test_training_does_not_reach_in(weights):
    model = network("gru", "dense")
    x = sequence(model, 4)
    for loader in ("cppyy", "numpy"):
        net = kplib.compile(model, weights=weights, loader=loader)
        first = net(x)
        with torch.no_grad():
            for parameter in model.parameters():
                parameter *= 0.5
        np.testing.assert_array_equal(net(x), first)
        for x_t in x:  # compiled now
            last = net.step(x_t)
        assert difference(last, first) < 3e-6


@pytest.mark.parametrize(
    ("cell", "structure"), [("lstm", "a sum of products"), ("gru", "sparse"), ("fastrnn", "chain")]
)
def test_the_exported_c_computes_the_same(cell, structure, tmp_path):
    model = network(cell, structure)
    net = kplib.compile(model, weights="int8")
    exported = net.export_c(tmp_path / "net")  # in 8 bits, as it was compiled
    assert "const int8_t" in exported.source.read_text()
    floats = net.export_c(tmp_path / "floats", weights="float32")
    assert "const int8_t" not in floats.source.read_text()
    command = ["gcc", "-O1", "-shared", "-fPIC", exported.source, "-o", tmp_path / "net.so", "-lm"]
    subprocess.run(list(map(str, command)), check=True)
    library = ctypes.CDLL(str(tmp_path / "net.so"))
    x, logits = sequence(model, 12), np.empty(5, np.float32)
    pointer = np.ctypeslib.ndpointer(np.float32)
    library.net_run.argtypes = [pointer, ctypes.c_int, pointer]
    library.net_run(x, len(x), logits)
    assert difference(net(x), logits) < 3e-6


def test_zeros_stay_zeros():
    model = network("lstm", "kronecker, A first", bias="one")
    with torch.no_grad():
        model.rnn.weight.A.zero_()
        model.head.bias.zero_()
    check(model, "cppyy", stream=False)


def test_a_layer_of_torch_and_a_head_without_bias():
    torch.manual_seed(0)
    model = Classifier(torch.nn.GRU(5, 7), torch.nn.Linear(7, 4, bias=False))
    own = Classifier(GRU.from_torch(model.rnn), model.head)
    x = np.random.default_rng(3).standard_normal((13, 5)).astype(np.float32)
    assert difference(kplib.compile(model, weights="int8")(x), exact(own, x)) < 3e-6


def test_what_cannot_be_rounded_is_refused():
    model = network("lstm", "dense")
    for weights in ("int4", "INT8", None, 8):
        with pytest.raises(ValueError, match="must be 'float32' or 'int8'"):
            kplib.compile(model, weights=weights)
    with pytest.raises(DtypeError, match=r"float64, but .*model\.float\(\)"):
        kplib.compile(network("lstm", "dense").double(), weights="int8")
    with pytest.raises(TypeError, match="parametrization"):
        kplib.compile(prepare_qat(model), weights="int8")
    with torch.no_grad():
        model.head.bias[1] = torch.nan
    with pytest.raises(ValueError, match=r"head\.bias has 1 NaN or infinite entries"):
        kplib.compile(model, weights="int8")
    tiny = network("lstm", "kronecker, B first")
    with torch.no_grad():
        tiny.rnn.weight.A *= 1e-30
        tiny.rnn.weight.B *= 1e-30
    with pytest.raises(DtypeError, match=r"scales, .*e-6\d, is out of float32's range"):
        kplib.compile(tiny, weights="int8")


def test_scales_of_products():
    A, B, C = (store(127.0 * torch.tensor([[[s]], [[2 * s]]]), "int8") for s in (1.0, 3.0, 0.5))
    np.testing.assert_array_equal(product_scale("W", A, B, C), np.float32([1.5, 12]))
    assert product_scale("W", store(torch.ones(1, 1, 1), "float32")) is None
