"""Sizes in few bits as the papers count them; accuracy by bits; training for few bits."""

import dataclasses

import pytest
import torch

from kplib.experiments import papers
from kplib.experiments.build import build
from kplib.experiments.configuration import default_configuration
from kplib.experiments.quantization import accuracy_by_bits, eight_bit_sizes, quantized_size
from kplib.experiments.training import load_network, predict, train
from kplib.nn.quantized import finish_qat, prepare_qat, quantize

BITS = 3


def test_the_printed_sizes_but_one():
    rows = eight_bit_sizes()
    assert [row.printed for row in rows] == papers.eight_bits()
    wrong = [row for row in rows if not row.agrees]
    assert [(row.printed.benchmark, row.printed.technique) for row in wrong] == [
        ("har1-bilstm", "kp")
    ]
    slip = papers.slip("har1-eight-bits")
    assert round(wrong[0].size.printed_kilobytes, 2) == slip.consistent


@pytest.mark.parametrize("technique", ["baseline", "small", "pruned", "lmf", "kp", "hkp"])
def test_every_byte_is_counted(technique):
    compression = 10 if technique == "hkp" else None
    quantized = quantize(build("kws-lstm", technique, compression=compression, seed=0), 4)
    size = quantized_size(quantized)
    assert round(size.kilobytes * 1024) == quantized.nbytes
    assert size.head_numbers == size.float_numbers
    assert size.kilobytes > size.printed_kilobytes


def test_the_scalars_of_fastrnn_stay_floats():
    size = quantized_size(quantize(build("usps-fastrnn", "kp", seed=0)))
    assert size.float_numbers == size.head_numbers + 2
    assert size.cell_numbers == 80 + 32 + 2


# A small task: handwritten digits -----------------------------------------------------------------


def configuration(variant="", length=40, rate=0.01):
    usual = default_configuration("usps-fastrnn", "kp", variant=variant, learning_rate=rate)
    return dataclasses.replace(usual.with_length(length), batch_size=50)


@pytest.fixture(scope="module")
def trained(digits, tmp_path_factory):
    folder = tmp_path_factory.mktemp("float")
    return train(configuration(), digits, folder=folder, progress=False)


def test_accuracy_falls_with_the_bits(digits, trained):
    model = load_network(trained)
    results = accuracy_by_bits(model, digits.test)
    assert results[0].accuracy == pytest.approx(trained.record.result.accuracy)
    by_bits = {result.bits: result for result in results}
    assert by_bits[8].accuracy >= by_bits[32].accuracy - 2
    assert by_bits[2].accuracy < by_bits[32].accuracy - 10
    errors = [result.largest_error for result in results]
    assert errors == sorted(errors)
    x, y = torch.from_numpy(digits.test.x), torch.from_numpy(digits.test.y)
    by_hand = 100 * float((predict(quantize(model, 4).model, x) == y).double().mean())
    assert by_bits[4].accuracy == pytest.approx(by_hand)


def test_training_for_few_bits_in_the_usual_loop_loses_less(digits, trained, tmp_path):
    def start():
        return prepare_qat(load_network(trained), BITS)

    stored = train(
        configuration(f"{BITS}-bits", length=15, rate=0.003),
        digits, folder=tmp_path, progress=False, network=start,
    )  # fmt: skip
    (_, rounded) = accuracy_by_bits(load_network(trained), digits.test, [BITS])
    assert rounded.accuracy < stored.record.result.accuracy - 5
    # and the record's predictions are those of the network in few bits
    quantized = finish_qat(load_network(stored, start))
    x = torch.from_numpy(digits.test.x)
    assert (predict(quantized.model, x).numpy() == stored.predictions).all()
    assert all(int(t.values.abs().max()) == 2 ** (BITS - 1) - 1 for t in quantized.tensors.values())


def test_a_pruned_network_stays_pruned_while_it_is_trained_for_few_bits(digits, tmp_path):
    usual = default_configuration("usps-fastrnn", "pruned").with_length(4)
    base = train(usual, digits, folder=tmp_path, progress=False)

    def start():
        return prepare_qat(load_network(base), 4)

    again = dataclasses.replace(usual, variant="4-bits")
    stored = train(again, digits, folder=tmp_path, progress=False, network=start)
    before, quantized = load_network(base), finish_qat(load_network(stored, start))
    assert torch.equal(quantized.model.rnn.weight.mask, before.rnn.weight.mask)
    name = "rnn.cells.l0.weight.W"
    assert quantized.tensors[name].stored == before.rnn.weight.params
    assert not quantized.tensors[name].values[~before.rnn.weight.mask].any()
