"""The engine under sanitizers, other compilers, threads, processes, and inputs of every kind."""

import concurrent.futures
import copy
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

import kplib
from kplib.errors import DtypeError, ShapeError
from kplib.kernels.loaders import cppyy_loader
from kplib.kernels.program import INCLUDE
from kplib.nn import GRU, LSTM, Classifier, Dense, Kronecker

SOURCE = Path(__file__).with_name("check_network.cpp")

# name -> compiler, flags, how to run it, bytes of its vectors
BUILDS = {
    "g++, sanitizers": (
        "g++",
        ["-O0", "-fsanitize=address,undefined", "-fno-sanitize-recover=all", "-DKPLIB_FEW"],
        [],
        16,
    ),
    "clang, AVX2": ("clang++-14", ["-O1", "-mavx2", "-mfma"], [], 32),
    "aarch64": ("aarch64-linux-gnu-g++", ["-O1", "-static"], ["qemu-aarch64-static"], 16),
}


@pytest.fixture(scope="module")
def builds(tmp_path_factory):
    folder = tmp_path_factory.mktemp("networks")

    def build(name):
        compiler, flags, _, _ = BUILDS[name]
        binary = folder / name.replace(" ", "").replace(",", "-")
        command = [compiler, "-std=c++17", *flags, "-Wall", "-Wextra", "-Werror"]
        command += [f"-I{INCLUDE}", str(SOURCE), "-o", str(binary)]
        return binary, subprocess.run(command, capture_output=True, text=True, check=False)

    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        return dict(zip(BUILDS, pool.map(build, BUILDS), strict=True))


@pytest.mark.parametrize("name", BUILDS)
def test_float_and_double_agree_on_every_target(builds, name):
    binary, compiled = builds[name]
    assert compiled.returncode == 0, compiled.stderr
    _, _, runner, vector_bytes = BUILDS[name]
    command = [*map(shutil.which, runner), str(binary)]
    ran = subprocess.run(command, capture_output=True, text=True, check=False)
    assert ran.stdout == f"0 failures, vectors of {vector_bytes} bytes\n", ran.stderr[-3000:]


def classifier(rnn, classes=3):
    torch.manual_seed(0)
    return Classifier(rnn, torch.nn.Linear(rnn.hidden_size, classes)).eval()


@pytest.fixture(scope="module")
def model():
    torch.manual_seed(0)
    return classifier(LSTM(4, 8, batch_first=True, weight=Kronecker()))


@pytest.fixture(scope="module")
def net(model):
    return kplib.compile(model)


def in_torch(model, x):
    with torch.inference_mode():
        return model(torch.from_numpy(x)).numpy()


def test_no_step_is_an_error_and_one_is_not(model, net):
    with pytest.raises(ShapeError, match="at least one step"):
        net(np.zeros((0, 4), np.float32))
    x = np.ones((1, 4), np.float32)
    np.testing.assert_allclose(net(x), in_torch(model, x), atol=1e-6)


@pytest.mark.parametrize("scale", [1e-45, 1e-39, 1e-30, 1e10, 1e37])
def test_denormal_and_huge_inputs(model, net, scale):
    x = (np.random.default_rng(0).standard_normal((9, 4)) * scale).astype(np.float32)
    expected = in_torch(model, x)
    assert np.isfinite(expected).all()
    np.testing.assert_allclose(net(x), expected, atol=1e-6)


def test_infinities_and_nan():
    """W_h is 0, so that every gate is +-infinity and the states saturate at known values."""
    weight = torch.tensor([[1.0], [1.0], [1.0], [1.0]]).unsqueeze(2)
    model = classifier(LSTM(1, 1, weight=Dense(), bias=False), classes=1)
    with torch.no_grad():
        model.rnn.weight.W.copy_(torch.cat([weight, torch.zeros_like(weight)], 2))
        model.head.weight.fill_(1)
        model.head.bias.zero_()
    net = kplib.compile(model)
    for value, expected in [(np.inf, np.tanh(2.0)), (-np.inf, 0.0)]:
        y = net(np.array([[value], [value]], np.float32))
        np.testing.assert_allclose(y, [expected], atol=1e-6)
    assert np.isnan(net(np.array([[np.nan], [1.0]], np.float32))).all()


def test_ten_thousand_steps(model, net):
    x = np.random.default_rng(1).standard_normal((10_000, 4)).astype(np.float32)
    np.testing.assert_allclose(net(x), in_torch(model, x), atol=1e-5)
    for x_t in x:
        streamed = net.step(x_t)
    np.testing.assert_allclose(streamed, net(x), atol=1e-6)
    net.reset()


def test_streams_have_states_of_their_own(net):
    x, z = np.random.default_rng(2).standard_normal((2, 6, 4)).astype(np.float32)
    first, second = net.stream(), net.stream()
    other = copy.copy(net)
    net.reset()
    for x_t, z_t in zip(x, z, strict=True):
        answers = first.step(x_t), second.step(z_t), net.step(x_t), other.step(z_t)
    for answer, sequence in zip(answers, (x, z, x, z), strict=True):
        np.testing.assert_allclose(answer, net(sequence), atol=1e-6)
    first.reset()
    np.testing.assert_array_equal(first.step(x[0]), net(x[:1]))
    assert net.state_bytes == 2 * 8 * 4
    assert net.weight_bytes >= 4 * net.parameters


def test_what_a_stream_refuses(net):
    for x, error, text in [
        (np.zeros(3, "f4"), ShapeError, r"\(3,\)"),
        (np.zeros((2, 4), "f4"), ShapeError, r"x_t has shape \(2, 4\), but one step is \(4,\)"),
        (np.zeros(4), DtypeError, "float64"),
    ]:
        with pytest.raises(error, match=text):
            net.step(x)
    both = Classifier(GRU(4, 8, bidirectional=True, weight=Dense()), torch.nn.Linear(16, 2))
    compiled = kplib.compile(both, loader="numpy")
    assert compiled.state_bytes == 0
    for use in (compiled.reset, compiled.stream, lambda: compiled.step(np.zeros(4, "f4"))):
        with pytest.raises(ValueError, match="bidirectional network has no steps to stream"):
            use()


def test_threads_share_a_network_and_compile_others(model, net):
    x = np.random.default_rng(3).standard_normal((40, 50, 4)).astype(np.float32)
    expected = net(x)

    def run(k):
        if k % 4 == 0:
            other = classifier(LSTM(4, 5 + k % 3, weight=Dense()))
            return np.abs(kplib.compile(other)(x[0]) - in_torch(other, x[0])).max() < 1e-5
        stream = net.stream()
        for x_t in x[k]:
            last = stream.step(x_t)
        return np.array_equal(net(x), expected) and np.allclose(last, expected[k], atol=1e-6)

    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        assert all(pool.map(run, range(12)))


def test_two_processes_compile_at_once():
    script = (
        "import numpy as np, torch, kplib\n"
        "from kplib.nn import LSTM, Classifier\n"
        "torch.manual_seed(0)\n"
        "net = kplib.compile(Classifier(LSTM(6, 8), torch.nn.Linear(8, 2)), loader='cppyy')\n"
        "print(net(np.ones((5, 6), np.float32)).tobytes().hex())\n"
    )
    command = [sys.executable, "-c", script]
    both = [
        subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        for _ in range(2)
    ]
    answers = [process.communicate() for process in both]
    assert answers[0][0] == answers[1][0] != "", answers


def test_a_failing_compile_leaves_the_process_usable(model, net, capfd):
    x = np.ones((5, 4), np.float32)
    before = net(x)
    cppyy = cppyy_loader._cppyy()
    with pytest.raises(SyntaxError):
        cppyy.cppdef("namespace kplib_broken { using Op = kplib::Lstm<float, 1>; }")
    capfd.readouterr()  # what Cling said of it
    np.testing.assert_array_equal(net(x), before)
    torch.manual_seed(1)
    other = classifier(LSTM(4, 9, batch_first=True, weight=Dense()))
    np.testing.assert_allclose(kplib.compile(other)(x), in_torch(other, x), atol=1e-6)
