"""The parameters of the papers' networks, built, against the formulas of kplib.experiments."""

import pytest

from kplib.experiments import BENCHMARKS, sizes
from kplib.nn import GRU, LSTM, Dense, FastRNN, Hybrid, Kronecker, LowRank, Sparse

CELLS = {"lstm": LSTM, "gru": GRU, "fastrnn": FastRNN}


def layer(network, weight, hidden_size=None, layers=None):
    options = {"reset_after": False} if network.cell == "gru" else {}
    return CELLS[network.cell](
        network.input_size, hidden_size or network.hidden_size, layers or network.layers,
        bias="one", bidirectional=network.directions == 2, weight=weight, device="meta", **options,
    )  # fmt: skip


def weights_of(built):
    return sum(cell.weight.params for cell in built.cells.values())


@pytest.mark.parametrize("name", BENCHMARKS)
def test_dense_and_kronecker(name):
    network = BENCHMARKS[name]
    assert weights_of(layer(network, Dense())) == sizes.dense(network).weights
    kp = layer(network, Kronecker(), network.kp_hidden_size, network.kp_layers)
    assert weights_of(kp) == sizes.kp(network).weights


@pytest.mark.parametrize("name", BENCHMARKS)
@pytest.mark.parametrize("rank", [2, 3, 10])
def test_low_rank(name, rank):
    network = BENCHMARKS[name]
    assert weights_of(layer(network, LowRank(rank))) == sizes.low_rank(network, rank).weights


@pytest.mark.parametrize(
    ("name", "rank", "layers", "total"),
    [
        ("mnist-lstm", 3, 1, 1_254),
        ("kws-lstm", 4, 1, 4_300),
        ("kws-lstm", 10, 1, 7_900),
        ("har1-bilstm", 6, 1, 19_558),
        ("har1-bilstm", 18, 1, 42_886),
        ("kws-gru", 5, 1, 6_272),
        ("kws-gru", 2, 2, 6_520),
        ("usps-fastrnn", 2, 1, 524),
    ],
)
def test_low_rank_sizes_that_the_papers_print(name, rank, layers, total):
    network = BENCHMARKS[name]
    size = sizes.low_rank(network, rank, layers=layers)
    built = layer(network, LowRank(rank), layers=layers)
    assert weights_of(built) + size.biases + size.scalars + size.head == total
    # and the rank is the largest that fits into it
    first = built.cells["l0"].weight
    again = LowRank.for_size(first.params).build(
        first.gates, first.rows, first.columns, stacks=built.stacks
    )
    assert again.rank == rank


@pytest.mark.parametrize("name", ["kws-lstm", "har1-bilstm"])
@pytest.mark.parametrize("rows", [1, 2, 3])
def test_hybrid(name, rows):
    network = BENCHMARKS[name]
    assert weights_of(layer(network, Hybrid(rows))) == sizes.hybrid(network, rows).weights


@pytest.mark.parametrize("nonzeros", [2_085, 6_042, 60_416])
def test_pruned(nonzeros):
    network = BENCHMARKS["kws-lstm"]
    whole = sizes.dense(network).weights
    weight = Sparse(nonzeros / whole).build(4, 118, 128)
    weight.prune_to()
    assert weight.params == sizes.pruned(network, nonzeros=nonzeros).weights == nonzeros


def test_bidirectional_layers_are_pruned_direction_by_direction():
    network = BENCHMARKS["har1-bilstm"]
    built = layer(network, Sparse(0.05)).to_empty(device="cpu")
    built.reset_parameters()
    for cell in built.cells.values():
        cell.weight.prune_to()
    assert weights_of(built) == 2 * round(0.05 * 4 * 179 * 256)
