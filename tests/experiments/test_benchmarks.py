"""The definitions of the networks, and the formulas that count them."""

import dataclasses
import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kplib.errors import ShapeError
from kplib.experiments import BENCHMARKS, Benchmark, benchmark, papers, sizes
from kplib.shapes import FactorShape, algorithm4, factor_shapes

PAPERS = [name for name in BENCHMARKS if name != "dsads-bilstm"]


def make(cell: str = "lstm", **changes: int) -> Benchmark:
    values = {"input_size": 3, "hidden_size": 4, "steps": 5, "classes": 2} | changes
    return Benchmark(name="x", title="X", cell=cell, **values)


networks = st.builds(
    make,
    st.sampled_from(["lstm", "gru", "fastrnn"]),
    input_size=st.integers(1, 9),
    hidden_size=st.integers(1, 13),
    classes=st.integers(1, 5),
    layers=st.integers(1, 3),
    directions=st.sampled_from([1, 2]),
)


@pytest.mark.parametrize("name", PAPERS)
def test_definitions_are_those_that_the_papers_print(name):
    mine, printed = BENCHMARKS[name], papers.network(name)
    for field in ("title", "input_size", "hidden_size", "steps", "classes", "layers", "directions"):
        assert getattr(mine, field) == getattr(printed, field), field
    assert mine.directions * mine.hidden_size == printed.head_inputs
    consistent = papers.slip("har1-parameters").consistent
    assert mine.parameters == (consistent if name == "har1-bilstm" else printed.parameters)
    assert [network.benchmark for network in papers.networks()] == PAPERS


def test_gate_shapes():
    assert {name: network.gate_shape for name, network in BENCHMARKS.items()} == {
        "mnist-lstm": (40, 68),
        "usps-fastrnn": (32, 48),
        "kws-lstm": (118, 128),
        "kws-gru": (154, 164),
        "har1-bilstm": (179, 256),
        "dsads-bilstm": (180, 225),
    }
    different = {
        n: b.kp_gate_shape for n, b in BENCHMARKS.items() if b.kp_gate_shape != b.gate_shape
    }
    assert different == {"har1-bilstm": (178, 255)}
    assert make(directions=2).gate_shapes(layers=3) == ((4, 7), (4, 12), (4, 12))


def test_usps_is_counted_in_both_ways():
    network = BENCHMARKS["usps-fastrnn"]
    assert (network.parameters, network.size.weights_only, network.size.total) == (1856, 1856, 1900)
    assert network.kilobytes == papers.network("usps-fastrnn").kilobytes
    parts = network.weight_parameters, network.bias_parameters, network.size.scalars
    assert (*parts, network.head_parameters) == (1536, 32, 2, 330)


@given(networks)
def test_dense_counts_what_torch_would_hold(network):
    """One cell after the other, added up matrix by matrix."""
    weights = biases = 0
    inputs = network.input_size
    for _ in range(network.layers):
        for _ in range(network.directions):
            for _ in range(network.gates):
                weights += network.hidden_size * inputs + network.hidden_size**2
                biases += network.hidden_size
        inputs = network.directions * network.hidden_size
    size = network.size
    assert (size.weights, size.biases) == (weights, biases)
    assert (size.head_weights, size.head_biases) == (inputs * network.classes, network.classes)
    assert size.total == size.weights_only + size.biases + size.scalars + size.head_biases


@pytest.mark.parametrize("name", BENCHMARKS)
def test_dense_is_what_torch_holds(name):
    torch = pytest.importorskip("torch")
    network = BENCHMARKS[name]
    layer = {"lstm": torch.nn.LSTM, "gru": torch.nn.GRU, "fastrnn": torch.nn.RNN}[network.cell](
        network.input_size,
        network.hidden_size,
        network.layers,
        bidirectional=network.directions == 2,
    )
    weights = sum(p.numel() for n, p in layer.named_parameters() if n.startswith("weight"))
    biases = sum(p.numel() for n, p in layer.named_parameters() if n.startswith("bias"))
    head = torch.nn.Linear(network.directions * network.hidden_size, network.classes)
    size = network.size
    assert size.weights == weights
    assert 2 * size.biases == biases, "PyTorch has two vectors a gate, the papers one"
    assert size.head == sum(p.numel() for p in head.parameters())


@given(networks, st.data())
def test_kp_of_a_shape(network, data):
    shapes = [data.draw(st.sampled_from(factor_shapes(m, n))) for m, n in network.gate_shapes()]
    size = sizes.kp(network, shapes)
    cells = network.directions * network.gates
    assert size.weights == cells * sum(shape.params for shape in shapes)
    assert dataclasses.replace(size, weights=network.size.weights) == network.size


def test_hybrid_without_rows_is_kp():
    network = BENCHMARKS["kws-lstm"]
    assert sizes.hybrid(network, 0) == sizes.kp(network)
    assert sizes.hybrid(network, 10).weights == 4 * (10 * 128 + algorithm4(108, 128).params)


def test_hybrid_size_is_not_monotone_in_the_rows():
    network = BENCHMARKS["kws-lstm"]
    assert sizes.hybrid(network, 1).total < sizes.hybrid(network, 0).total
    for rows in (5, 9):  # 113 and 109 are prime
        with pytest.raises(ShapeError):
            sizes.hybrid(network, rows)


def test_low_rank_stacks_what_multiplies_the_same_vector():
    lstm, gru = make("lstm", layers=2), make("gru")
    assert sizes.low_rank(lstm, 3).weights == 3 * (16 + 7) + 3 * (16 + 8)
    assert sizes.low_rank(gru, 3).weights == 3 * (8 + 7) + 3 * (4 + 7)
    assert sizes.low_rank(make("fastrnn"), 3).weights == 3 * (4 + 7)


@given(st.integers(0, 10**6), st.sampled_from([1, 8, 16, 32, 64]))
def test_kilobytes(parameters, bits):
    assert sizes.kilobytes(parameters, bits) * 8192 == parameters * bits


def test_density_is_a_fraction_of_the_gate_weights():
    network = BENCHMARKS["har1-bilstm"]
    assert sizes.pruned(network, density=1) == network.size
    assert sizes.pruned(network, density=0.1).weights == 36659


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda b: sizes.kp(b, FactorShape(2, 3, 5, 7)), "10 x 21 matrix; the gates .* 118 x 128"),
        (lambda b: sizes.kp(b, [algorithm4(118, 128)], layers=2), "1 factor shapes for 2 layers"),
        (lambda b: sizes.hybrid(b, 118), "below the hidden size 118, found 118"),
        (lambda b: sizes.hybrid(b, -1), "rows must be a positive integer, found -1"),
        (lambda b: sizes.low_rank(b, 0), "rank must be a positive integer, found 0"),
        (lambda b: sizes.pruned(b), "give nonzeros or density: found nonzeros=None, density=None"),
        (lambda b: sizes.pruned(b, nonzeros=1, density=0.5), "give nonzeros or density"),
        (lambda b: sizes.pruned(b, nonzeros=60417), "60416 weights, so 60417"),
        (lambda b: sizes.dense(b, hidden_size=0), "hidden_size must be a positive integer"),
        (lambda b: dataclasses.replace(b, cell="qrnn"), "cell must be one of .* found 'qrnn'"),
        (lambda b: dataclasses.replace(b, directions=3), "directions must be 1 or 2, found 3"),
        (lambda b: dataclasses.replace(b, kp_layers=-1), "kp_layers must be a positive integer"),
        (lambda b: benchmark("kws"), "no benchmark 'kws'; there are mnist-lstm, usps-fastrnn"),
    ],
)
def test_errors(call, message):
    with pytest.raises(ValueError, match=message):
        call(BENCHMARKS["kws-lstm"])


def test_definitions_cannot_be_changed():
    with pytest.raises(dataclasses.FrozenInstanceError):
        BENCHMARKS["kws-lstm"].hidden_size = 7
    with pytest.raises(TypeError):
        BENCHMARKS["mine"] = make()


def test_import_is_lazy_and_light():
    code = """
import sys
sys.modules["torch"] = None
import kplib
assert not [name for name in sys.modules if name.startswith("kplib.experiments")]
from kplib.experiments import BENCHMARKS, papers
assert papers._tables.cache_info().currsize == 0
assert papers.result("kws-lstm", "kp").top == 91.2
assert papers._tables.cache_info().misses == 1
assert not {"matplotlib", "cppyy", "scipy.optimize"} & set(sys.modules)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_more_layers_than_memory_are_refused():
    for layers in (1001, 4_398_046_511_104, 2**63 + 1):
        with pytest.raises(ValueError, match=rf"layers must be at most 1,000, found {layers:,}"):
            BENCHMARKS["usps-fastrnn"].gate_shapes(layers=layers)
