"""A compiled network gives the logits of the PyTorch model that it was made from."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.utils.prune
from hypothesis import given, settings
from hypothesis import strategies as st

import kplib
from kplib.errors import BufferLayoutError, DtypeError, ShapeError
from kplib.nn import LSTM, RNN, Classifier, Dense, Kronecker, KroneckerChain
from kplib.nn.quantized import prepare_qat

LOADERS = ["cppyy", "compiler", "numpy"]


def classifier(input_size, hidden_size, classes, dtype=torch.float32, **options):
    """A network with weights and biases far from 0, so that every part of it matters."""
    torch.manual_seed(hidden_size)
    model = Classifier(
        LSTM(input_size, hidden_size, dtype=dtype, **options),
        torch.nn.Linear(hidden_size, classes, dtype=dtype),
    )
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.copy_(torch.randn_like(parameter) * 0.4)
    return model.eval()


def logits(model, x):
    with torch.inference_mode():
        return model(torch.from_numpy(x)).numpy()


NETWORKS = {
    "the papers' MNIST": (28, 40, 10, {"weight": Kronecker(), "bias": "one"}),
    "the papers' KWS": (10, 118, 12, {"weight": Kronecker(), "bias": "one"}),
    "dense": (28, 40, 10, {"weight": Dense(), "bias": True}),
    "primes": (6, 13, 3, {"weight": Kronecker((13, 1, 1, 19)), "bias": True}),
    "one unit": (1, 1, 1, {"weight": Dense(), "bias": False}),
    "ones": (4, 6, 2, {"weight": Kronecker((1, 10, 6, 1)), "bias": True}),
}


@pytest.mark.parametrize("loader", LOADERS)
@pytest.mark.parametrize("name", NETWORKS)
def test_logits_equal_torch(name, loader):
    input_size, hidden_size, classes, options = NETWORKS[name]
    model = classifier(input_size, hidden_size, classes, **options)
    net = kplib.compile(model, loader=loader)
    rng = np.random.default_rng(0)
    for steps in (1, 2, 25, 81):
        x = rng.standard_normal((steps, input_size)).astype(np.float32)
        np.testing.assert_allclose(net(x), logits(model, x), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("name", NETWORKS)
def test_double_precision_to_the_last_digits(name):
    input_size, hidden_size, classes, options = NETWORKS[name]
    model = classifier(input_size, hidden_size, classes, torch.float64, **options)
    net = kplib.compile(model)
    x = np.random.default_rng(1).standard_normal((40, input_size))
    np.testing.assert_allclose(net(x), logits(model, x), rtol=1e-12, atol=1e-13)


def test_batches_and_bound_buffers():
    model = classifier(6, 12, 7)
    net = kplib.compile(model)
    x = np.random.default_rng(2).standard_normal((2, 3, 9, 6)).astype(np.float32)
    expected = logits(model, x.reshape(6, 9, 6).transpose(1, 0, 2).copy()).reshape(2, 3, 7)
    np.testing.assert_allclose(net(x), expected, atol=1e-5)
    out = np.empty((2, 3, 7), np.float32)
    run = net.bind(x, out)
    run()
    np.testing.assert_allclose(out, expected, atol=1e-5)
    x[:] = x[::-1].copy()
    run()
    np.testing.assert_allclose(out, expected[::-1], atol=1e-5)
    assert net(x[:0]).shape == (0, 3, 7)


def test_a_torch_lstm_and_a_head_without_bias_compile_too():
    torch.manual_seed(0)
    model = Classifier(torch.nn.LSTM(5, 11), torch.nn.Linear(11, 4, bias=False))
    x = np.random.default_rng(3).standard_normal((13, 5)).astype(np.float32)
    np.testing.assert_allclose(kplib.compile(model)(x), logits(model, x), atol=1e-6)


def test_states_start_at_zero_in_every_call_and_training_does_not_reach_in():
    model = classifier(4, 8, 2)
    net = kplib.compile(model)
    x = np.random.default_rng(4).standard_normal((6, 4)).astype(np.float32)
    first = net(x)
    net(x * 100)
    np.testing.assert_array_equal(net(x), first)
    with torch.no_grad():
        model.head.weight.zero_()
    np.testing.assert_array_equal(net(x), first)


def test_extreme_inputs_saturate_and_nan_stays_nan():
    model = classifier(4, 6, 3)
    net = kplib.compile(model)
    for scale in (1e3, 1e30, np.inf):
        x = np.full((5, 4), scale, np.float32) * np.array([1, -1, 1, -1], np.float32)
        weights = model.rnn.weight.matrix()[..., :4]
        if np.isfinite(scale) or bool((weights != 0).all()):
            expected = logits(model, x)
            if np.isfinite(expected).all():
                np.testing.assert_allclose(net(x), expected, atol=1e-5)
    x = np.zeros((5, 4), np.float32)
    x[2, 1] = np.nan
    assert np.isnan(net(x)).all()


def test_what_cannot_be_compiled_is_a_clear_type_error():
    with pytest.raises(TypeError, match=r"found LSTM; wrap it: kplib.nn.Classifier\(rnn, head\)"):
        kplib.compile(LSTM(4, 6))
    complex_rnn = RNN(4, 6, weight=KroneckerChain([2, 3], complex=True))
    with pytest.raises(TypeError, match="RNN with modrelu"):
        kplib.compile(Classifier(complex_rnn, torch.nn.Linear(12, 2)))
    with pytest.raises(TypeError, match="RNN with modrelu"):
        kplib.compile(Classifier(RNN(4, 6, nonlinearity="modrelu"), torch.nn.Linear(6, 2)))
    with pytest.raises(TypeError, match="proj_size=2"):
        kplib.compile(Classifier(torch.nn.LSTM(4, 6, proj_size=2), torch.nn.Linear(2, 2)))
    with pytest.raises(TypeError, match="meta device"):
        kplib.compile(Classifier(LSTM(4, 6, device="meta"), torch.nn.Linear(6, 2)))
    with pytest.raises(DtypeError, match="float16"):
        kplib.compile(Classifier(LSTM(4, 6).half(), torch.nn.Linear(6, 2).half()))
    with pytest.raises(DtypeError, match=r"float32, torch.float64"):
        kplib.compile(Classifier(LSTM(4, 6), torch.nn.Linear(6, 2).double()))


def test_what_computes_something_else_is_not_compiled():
    class Doubled(Classifier):
        def forward(self, x):
            return 2 * super().forward(x)

    class Shifted(torch.nn.Linear):
        def forward(self, h):
            return super().forward(h) + 100

    class Other(LSTM):
        pass

    layer, head = LSTM(4, 6), torch.nn.Linear(6, 2)
    for model, text in [
        (Doubled(layer, head), "Doubled has a forward of its own"),
        (Classifier(layer, Shifted(6, 2)), "Shifted has a forward of its own"),
        (Classifier(Other(4, 6), head), "no form for Other"),
    ]:
        with pytest.raises(TypeError, match=text):
            kplib.compile(model)
    model = Classifier(LSTM(4, 6), torch.nn.Linear(6, 2))
    hook = model.head.register_forward_hook(lambda module, args, out: out + 50)
    with pytest.raises(TypeError, match="head has forward hooks"):
        kplib.compile(model)
    hook.remove()
    torch.nn.utils.prune.l1_unstructured(model.head, "weight", 0.5)
    with pytest.raises(TypeError, match=r"prune\.remove"):
        kplib.compile(model)
    torch.nn.utils.prune.remove(model.head, "weight")
    model.rnn.forward = lambda x, hx=None: None
    with pytest.raises(TypeError, match="rnn has a forward of its own, which compile would ignore"):
        kplib.compile(model)
    del model.rnn.forward
    with pytest.raises(TypeError, match=r"has a parametrization, .*finish_qat"):
        kplib.compile(prepare_qat(model, 8))
    x = np.ones((3, 4), np.float32)
    np.testing.assert_allclose(kplib.compile(model)(x), logits(model, x), atol=1e-6)


def test_wrong_inputs_are_refused_with_their_sizes():
    net = kplib.compile(classifier(4, 6, 3))
    good, out = np.zeros((5, 4), np.float32), np.zeros(3, np.float32)
    for x, error, text in [
        (np.zeros(4, "f4"), ShapeError, r"x has shape \(4,\), but must be \(..., steps, 4\)"),
        (np.zeros((0, 4), "f4"), ShapeError, "at least one step"),
        (
            np.zeros((5, 3), "f4"),
            ShapeError,
            r"x has shape \(5, 3\), but must be \(..., steps, 4\)",
        ),
        (np.zeros((5, 4)), DtypeError, "float64"),
    ]:
        with pytest.raises(error, match=text):
            net(x)
        with pytest.raises((error, BufferLayoutError)):
            net.bind(x, out)
    with pytest.raises(ShapeError, match=r"logits has shape \(4,\)"):
        net.bind(good, np.zeros(4, "f4"))
    with pytest.raises(BufferLayoutError, match="list"):
        net.bind([[0.0] * 4], out)


@pytest.fixture(scope="module")
def small_net():
    return kplib.compile(classifier(4, 6, 3))


arrays = st.builds(
    lambda shape, dtype, step: np.zeros((*shape, step), dtype)[..., 0],
    st.sampled_from([(), (3,), (4,), (5, 4), (0, 4), (5, 0), (5, 3), (2, 5, 4), (2, 3), (0, 3)]),
    st.sampled_from(["f4", "f8", ">f4", "i2", "c8", "?", "O"]),
    st.sampled_from([1, 2]),
)
anything = st.one_of(arrays, st.sampled_from([None, 3, "text", b"bytes", [], [[0.0] * 4], {}]))


@settings(max_examples=300, deadline=None)
@given(x=anything, logits=anything)
def test_any_input_gives_logits_or_a_clear_error(small_net, x, logits):
    for call in (lambda: small_net(x), lambda: small_net.bind(x, logits)()):
        try:
            result = call()
        except (ShapeError, DtypeError, BufferLayoutError):
            continue
        if result is not None:
            assert result.shape == (*np.shape(x)[:-2], 3)


def test_guard_pages_around_every_buffer_are_never_touched():
    script = Path(__file__).parents[1] / "guarded_buffers.py"
    done = subprocess.run([sys.executable, script, "network"], capture_output=True, text=True)
    assert done.stdout == "nothing touched the guards\n", (done.returncode, done.stderr[-2000:])


def test_counts_source_and_repr():
    model = classifier(10, 118, 12, weight=Kronecker(), bias="one")
    net = kplib.compile(model)
    assert net.parameters == 3916
    assert net.macs(25) == 25 * 4 * 1200 + 118 * 12
    assert 4 * 3916 <= net.weight_bytes <= 4 * 3916 * 1.2
    assert "kplib::KronGates<float, 4, 1, 59, 8, 2, 16>" in net.source
    assert repr(net) == (
        "<CompiledNetwork: 10 inputs, 12 classes, 3,916 parameters, float32, cppyy>"
    )
    assert len(net.assembly().splitlines()) > 100
    with pytest.raises(ValueError, match="no assembly"):
        kplib.compile(model, loader="numpy").assembly()


def test_what_only_looks_as_if_it_had_a_shape_is_refused(small_net):
    """Found by tests/fuzz: np.shape returns any attribute of that name."""
    for x in (np, type("Shaped", (), {"shape": (3, small_net.input_size)})()):
        for use in (small_net, lambda x: small_net.bind(x, np.zeros(small_net.classes, "f4"))):
            with pytest.raises(ShapeError, match=r"x has shape \(\)"):
                use(x)
