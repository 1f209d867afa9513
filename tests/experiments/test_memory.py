"""Footprints: against the papers' sizes, against PyTorch's parameters, against brute force."""

import dataclasses
import random

import pytest

from kplib.errors import ShapeError
from kplib.experiments import BENCHMARKS, papers, sizes
from kplib.experiments.cells import CELLS
from kplib.experiments.memory import BITS, DEVICES, STORAGES, Footprint
from kplib.shapes import algorithm4

FIVE = [network.benchmark for network in papers.networks()]


def random_footprints(count, seed, storages=STORAGES, cells=tuple(CELLS)):
    """Footprints of random sizes, primes and ones among them."""
    rng = random.Random(seed)
    found = []
    while len(found) < count:
        settings = {
            "cell": rng.choice(cells),
            "input_size": rng.randint(1, 90),
            "hidden_size": rng.choice([1, 2, 7, rng.randint(1, 260)]),
            "classes": rng.choice([1, 2, rng.randint(1, 60), 1000]),
            "directions": rng.choice([1, 2]),
            "steps": rng.randint(1, 120),
            "storage": rng.choice(storages),
            "bits": rng.choice(BITS),
        }
        top = Footprint(**settings).max_rank
        footprint = Footprint(**settings, rank=rng.randint(1, top))
        if footprint.storage != "kronecker" or footprint.has_factors:
            found.append(footprint)
    return found


# ---------------------------------------------------------------- flash


@pytest.mark.parametrize("name", FIVE)
def test_dense_networks_are_counted_as_the_benchmarks(name):
    benchmark = BENCHMARKS[name]
    numbers = Footprint.of(benchmark).numbers
    assert numbers["W_x"] + numbers["W_h"] == benchmark.weight_parameters
    assert numbers["biases"] == benchmark.bias_parameters + benchmark.size.scalars
    assert numbers["head"] == benchmark.head_parameters
    if benchmark.counted_with_biases:
        assert sum(numbers.values()) == benchmark.parameters
    else:  # the papers leave out every bias of the FastRNN, and its two scalars
        left_out = benchmark.bias_parameters + benchmark.classes + 2
        assert sum(numbers.values()) - left_out == benchmark.parameters


@pytest.mark.parametrize("name", ["mnist-lstm", "kws-lstm", "kws-gru"])
def test_dense_networks_have_the_printed_parameters(name):
    assert Footprint.of(BENCHMARKS[name]).parameters == papers.network(name).parameters


@pytest.mark.parametrize("name", BENCHMARKS)
@pytest.mark.parametrize("bits", BITS)
def test_factored_networks_are_counted_as_elsewhere(name, bits):
    benchmark = BENCHMARKS[name]
    for rank in (1, 5):
        low = Footprint.of(benchmark, storage="low_rank", rank=rank, bits=bits)
        expected = sizes.low_rank(benchmark, rank)
        assert low.parameters == expected.total
        assert low.flash == 1024 * expected.kilobytes_at(bits)
    kronecker = Footprint.of(benchmark, storage="kronecker", bits=bits)
    expected = sizes.kp(benchmark, layers=1)
    assert kronecker.parameters == expected.total
    assert kronecker.flash == 1024 * expected.kilobytes_at(bits)
    assert Footprint.of(benchmark, bits=bits).flash == 1024 * benchmark.size.kilobytes_at(bits)


@pytest.mark.parametrize(
    ("name", "technique", "storage"),
    [
        ("har1-bilstm", "baseline", "dense"),
        ("kws-lstm", "baseline", "dense"),
        ("kws-lstm", "kp", "kronecker"),
    ],
)
def test_eight_bits_give_the_papers_kilobytes(name, technique, storage):
    (row,) = papers.eight_bits(name, technique)
    kilobytes = Footprint.of(BENCHMARKS[name], storage=storage, bits=8).flash / 1024
    assert kilobytes == pytest.approx(row.kilobytes_8, abs=0.005)


@pytest.mark.parametrize("storage", ["dense", "kronecker"])
def test_parameters_are_those_of_the_layers(storage):
    torch = pytest.importorskip("torch")
    from kplib import nn

    weights = {"dense": nn.Dense(), "kronecker": nn.Kronecker()}
    for footprint in random_footprints(12, 1, (storage,), ("lstm",)):
        i, h, c, d = dataclasses.astuple(footprint)[1:5]
        layer = nn.LSTM(i, h, bias="one", bidirectional=d == 2, weight=weights[storage])
        model = nn.Classifier(layer, torch.nn.Linear(d * h, c))
        assert footprint.parameters == nn.parameter_count(model)
        macs = d * next(iter(layer.cells.values())).weight.macs
        assert footprint.multiplications == macs


def test_parts_add_up():
    for footprint in random_footprints(60, 2):
        assert sum(footprint.numbers.values()) == footprint.parameters
        assert footprint.numbers.keys() == footprint.flash_parts.keys()
        assert sum(footprint.flash_parts.values()) == footprint.flash
        assert sum(footprint.ram_parts.values()) == footprint.ram
        head, rest = footprint.numbers["head"], footprint.parameters - footprint.numbers["head"]
        assert footprint.flash == 4 * head + rest * footprint.bits // 8


# ---------------------------------------------------------------- RAM and multiplications


def test_ram_of_an_lstm_by_hand():
    assert Footprint("lstm", 3, 2, 2).ram_parts == {
        "input": 4 * 3, "state": 4 * (2 + 2), "gates": 4 * 8, "between": 0
    }  # fmt: skip


def test_two_directions_need_all_steps_and_one_more_state():
    one, two = (Footprint("gru", 5, 7, 3, directions, steps=11) for directions in (1, 2))
    assert two.ram - one.ram == 4 * (10 * 5 + 7)
    assert two.multiplications == 2 * one.multiplications


def test_logits_take_the_place_of_the_gates():
    assert Footprint("rnn", 1, 3, 100).ram_parts["gates"] == 400
    assert Footprint("rnn", 1, 3, 2).ram_parts["gates"] == 12


def test_between_two_factors_lies_what_the_cheaper_order_computes():
    shape = algorithm4(118, 128)
    footprint = Footprint("lstm", 10, 118, 12, storage="kronecker")
    assert shape.order == "b_first"
    assert footprint.ram_parts["between"] == 4 * shape.n1 * shape.m2
    assert footprint.multiplications == 4 * shape.macs
    low = Footprint("lstm", 10, 118, 12, storage="low_rank", rank=4)
    assert low.ram_parts["between"] == 16
    assert low.multiplications == 4 * (4 * 118 + 128)


def test_bits_change_neither_ram_nor_multiplications():
    for footprint in random_footprints(20, 3):
        other = dataclasses.replace(footprint, bits=8)
        assert (other.ram, other.multiplications) == (footprint.ram, footprint.multiplications)


# ---------------------------------------------------------------- what fits


@pytest.mark.parametrize("storage", STORAGES)
def test_the_largest_hidden_size_is_the_largest(storage):
    for footprint in random_footprints(6, 4, (storage,)):
        device = DEVICES["atmega328p"]
        memory = (device.flash_bytes, device.ram_bytes)

        def fits(hidden, footprint=footprint, memory=memory):
            try:
                return dataclasses.replace(footprint, hidden_size=hidden).fits(*memory)
            except ShapeError:  # no factors, or too high a rank
                return False

        found = footprint.largest_hidden_size(*memory)
        assert found == max((hidden for hidden in range(1, 600) if fits(hidden)), default=0)


def test_no_hidden_size_fits_into_nothing_and_all_into_enough():
    footprint = Footprint("lstm", 10, 118, 12)
    assert footprint.largest_hidden_size(1, 1) == 0
    assert footprint.largest_hidden_size(2**40, 2**40) == 4096
    assert dataclasses.replace(footprint, storage="low_rank", rank=100).largest_hidden_size(
        4096, 4096
    ) == 0  # fmt: skip


def test_nearest_hidden_sizes_have_factors_and_none_lies_between():
    for hidden in range(1, 200):
        footprint = Footprint("lstm", 77, hidden, 18, storage="kronecker")
        near = footprint.nearest_hidden_sizes()
        for size in near:
            assert algorithm4(size, 77 + size)
        low = near[0] if near[0] < hidden else 0
        for size in range(low + 1, near[-1]):
            if size != hidden:
                with pytest.raises(ShapeError):
                    algorithm4(size, 77 + size)
    assert Footprint("lstm", 77, 179, 18).nearest_hidden_sizes() == [178, 182]


def test_devices_state_whole_kilobytes():
    for device in DEVICES.values():
        assert device.flash_bytes % 1024 == device.ram_bytes % 1024 == 0
        assert device.flash_bytes > device.ram_bytes
    uno = DEVICES["atmega328p"]
    assert (uno.flash_bytes, uno.ram_bytes) == (32 * 1024, 2 * 1024)


# ---------------------------------------------------------------- errors


@pytest.mark.parametrize(
    ("settings", "error", "words"),
    [
        ({"cell": "qrnn"}, ValueError, "cell is 'qrnn', but must be one of 'rnn', 'lstm'"),
        ({"directions": 3}, ValueError, "directions is 3"),
        ({"storage": "sparse"}, ValueError, "storage is 'sparse'"),
        ({"bits": 4}, ValueError, "bits is 4, but must be one of 32, 16, 8"),
        ({"hidden_size": 0}, ShapeError, "hidden_size must be a positive integer, found 0"),
        ({"steps": 1.5}, ShapeError, "steps must be a positive integer, found 1.5"),
        (
            {"storage": "low_rank", "rank": 129},
            ShapeError,
            "rank is 129, but the gate matrices of 118 hidden units and 10 inputs have rank 128",
        ),
    ],
)
def test_bad_settings_are_refused_with_the_numbers(settings, error, words):
    sizes_ = {"cell": "lstm", "input_size": 10, "hidden_size": 118, "classes": 12}
    with pytest.raises(error, match=words):
        Footprint(**{**sizes_, **settings})


def test_without_factors_the_error_says_what_to_do():
    footprint = Footprint("lstm", 77, 179, 18, storage="kronecker")
    assert not footprint.has_factors
    for read in ("numbers", "flash", "ram", "multiplications"):
        with pytest.raises(ShapeError, match="Algorithm 4 is undefined for 179 x 256"):
            getattr(footprint, read)
