"""From trained records to records in few bits: what is in them, killed and resumed, refused."""

import dataclasses
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import torch

import kplib
from kplib import cli
from kplib.experiments import training
from kplib.experiments.bits_table import in_bits
from kplib.experiments.build import build
from kplib.experiments.checkpoint import read_checkpoint
from kplib.experiments.configuration import default_configuration
from kplib.experiments.few_bits import quantized_network, record_in_bits, rounded, source_of, tuned
from kplib.experiments.quantization import quantized_size
from kplib.experiments.records import iterate, packed, read, record_path, unpacked
from kplib.experiments.run_sets import run_sets
from kplib.experiments.trained import load_trained
from kplib.experiments.training import checkpoint_path, load_network, predict, train
from kplib.nn.quantized import quantize

BITS = 3  # few enough to be seen in the accuracy


def configuration(technique="kp", length=40, **options):
    usual = default_configuration("usps-fastrnn", technique, length=length, **options)
    return dataclasses.replace(usual, batch_size=50)


@pytest.fixture(scope="module")
def folder(digits, tmp_path_factory):
    path = tmp_path_factory.mktemp("runs")
    train(configuration(), digits, folder=path, progress=False)
    return path


@pytest.fixture(scope="module")
def trained(folder):
    return read(record_path(folder, configuration()))


@pytest.fixture(scope="module")
def made(trained, folder, digits):
    return record_in_bits(trained, digits, folder=folder, bits=BITS, progress=False, command="x")


def test_the_first_is_the_trained_network_rounded_and_no_more(made, trained, digits):
    exact, _ = made
    record = exact.record
    expected = quantize(load_network(trained), BITS).model
    assert (exact.predictions == predict(expected, torch.from_numpy(digits.test.x)).numpy()).all()
    right = predict(expected, torch.from_numpy(digits.validation.x)).numpy() == digits.validation.y
    assert record.result.validation_accuracy == pytest.approx(100 * right.mean())
    assert record.configuration == rounded(trained.record.configuration, BITS)
    assert (record.curve.steps, record.result.chosen_at, exact.weights) == ((), 0, {})
    assert record.sources == {"trained": source_of(trained)}
    assert trained.record.arrays_sha256 in record.sources["trained"]
    assert (record.data, record.network) == (trained.record.data, trained.record.network)
    assert record.circumstances.command == "x"


def test_both_as_a_user_loads_them(made, digits):
    exact, again = made
    model = load_trained(again.path)
    assert (predict(model, torch.from_numpy(digits.test.x)).numpy() == again.predictions).all()
    with pytest.raises(ValueError, match="its weights were not kept: they are those of usps-") as e:
        load_trained(exact.path)
    assert str(exact.path) in str(e.value)
    assert f"rounded to {BITS} bits" in str(e.value)


def test_the_second_is_chosen_by_validation_and_lies_on_the_grid(made, trained, digits):
    exact, again = made
    record = again.record
    assert record.configuration == tuned(trained.record.configuration, BITS)
    assert record.configuration.length == 4
    assert record.result.validation_accuracy == max(record.curve.validation_accuracy)
    assert record.result.accuracy > exact.record.result.accuracy + 5
    quantized = quantized_network(again)
    assert (predict(quantized.model, torch.from_numpy(digits.test.x)).numpy()
            == again.predictions).all()  # fmt: skip
    state = quantized.model.state_dict()
    assert state.keys() == load_network(trained).state_dict().keys()
    for name, tensor in quantized.tensors.items():
        assert np.array_equal(again.weights[name], state[name])
        assert len(tensor.values.unique()) <= 2**BITS - 1
    assert record.sources == exact.record.sources


def test_what_is_done_is_not_done_again(made, trained, folder, digits, monkeypatch):
    monkeypatch.setattr(training, "predict", None)
    again = record_in_bits(trained, digits, folder=folder, bits=BITS, progress=False)
    assert [run.record for run in again] == [run.record for run in made]


def test_the_test_set_decides_nothing(trained, digits, made, tmp_path):
    wrong = dataclasses.replace(digits.test, y=(digits.test.y + 1) % 10)
    other = dataclasses.replace(digits, test=wrong)
    base = train(configuration(), other, folder=tmp_path, progress=False)
    found = record_in_bits(base, other, folder=tmp_path, bits=BITS, progress=False)
    for one, changed in zip(made, found, strict=True):
        assert (one.predictions == changed.predictions).all()
        assert one.record.result.chosen_at == changed.record.result.chosen_at
        assert one.record.result.accuracy > 3 * changed.record.result.accuracy


@pytest.mark.parametrize("technique", ["baseline", "small", "pruned", "lmf"])
def test_every_technique(technique, digits, tmp_path):
    base = train(configuration(technique, 5), digits, folder=tmp_path, progress=False)
    exact, again = record_in_bits(base, digits, folder=tmp_path, progress=False)
    assert abs(exact.record.result.accuracy - base.record.result.accuracy) < 2
    quantized = quantized_network(again)
    assert quantized.scheme.bits == 8
    x = torch.from_numpy(digits.test.x)
    assert (predict(quantized.model, x).numpy() == again.predictions).all()
    (beside,) = in_bits(run_sets(tmp_path))
    assert beside.size == quantized_size(quantized)
    if technique == "pruned":
        weight, before = quantized.model.rnn.weight, load_network(base).rnn.weight
        assert torch.equal(weight.mask, before.mask)
        assert again.record.network == base.record.network
        assert again.record.result.chosen_at > 0


def test_of_a_large_network_the_same_integers_come_back():
    """Its weights are kept in 16 bits."""
    model = quantize(build("kws-lstm", "baseline", seed=0)).model
    arrays = packed({name: tensor.numpy() for name, tensor in model.state_dict().items()})
    assert arrays["weights/rnn.cells.l0.weight.W"].dtype == np.float16
    kept = build("kws-lstm", "baseline", seed=1)
    kept.load_state_dict({k: torch.from_numpy(a) for k, a in unpacked(arrays).items()})
    wanted, found = quantize(model).tensors, quantize(kept).tensors
    assert all(torch.equal(found[name].values, wanted[name].values) for name in wanted)


def test_trainings_of_different_networks_do_not_meet_in_one_place():
    short, long = (configuration(length=length) for length in (40, 41))
    for of in (rounded, tuned):
        paths = {of(base, bits).path for base in (short, long) for bits in (4, 8)}
        assert len(paths) == 4
        assert of(short).key == of(dataclasses.replace(short, seed=3)).key


# Killed and resumed -------------------------------------------------------------------------------

PROGRAM = """
import sys
from pathlib import Path
sys.path.insert(0, sys.argv[1])
from conftest import noisy_words
from kplib.experiments.few_bits import record_in_bits
from kplib.experiments.records import read

record_in_bits(
    read(Path(sys.argv[3])), noisy_words(), folder=sys.argv[2], bits=4, checkpoint_seconds=0.0
)
"""


def _start(folder, path):
    arguments = [str(Path(__file__).parent), str(folder), str(path)]
    return subprocess.Popen(
        [sys.executable, "-c", PROGRAM, *arguments],
        env={**os.environ, "PYTHONPATH": str(Path(kplib.__file__).parents[1])},
    )


def test_killed_and_resumed_it_ends_the_same(words, tmp_path):
    usual = default_configuration("kws-lstm", "pruned").with_length(2000)
    base = dataclasses.replace(usual, batch_size=20, validate_every=500)
    trained = train(base, words, folder=tmp_path / "trained", progress=False)
    expected = record_in_bits(trained, words, folder=tmp_path / "whole", bits=4, progress=False)
    folder = tmp_path / "killed"
    place = checkpoint_path(folder, expected[1].record.configuration)
    process = _start(folder, trained.path)
    end = time.monotonic() + 120
    while not place.exists() and process.poll() is None and time.monotonic() < end:
        time.sleep(0.002)
    process.send_signal(signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL, "it ended before it could be killed"
    assert 0 < read_checkpoint(place)[1]["course"]["step"] < 200
    assert _start(folder, trained.path).wait() == 0
    found = {run.record.configuration.variant: run for run in iterate(folder)}
    for one in expected:
        again = found.pop(one.record.configuration.variant).record
        assert dataclasses.replace(again, circumstances=None) == dataclasses.replace(
            one.record, circumstances=None
        )
    assert again.circumstances.sessions == 2
    assert not found
    assert not place.exists()


# Refused ------------------------------------------------------------------------------------------


def test_wrong_records_are_refused(made, trained, folder, digits, words, tmp_path):
    exact, again = made
    for run in (exact, again):
        with pytest.raises(ValueError, match="only a network without a variant"):
            record_in_bits(run, digits, folder=tmp_path)
    with pytest.raises(ValueError, match="was trained on other data than these"):
        record_in_bits(trained, words, folder=tmp_path)
    with pytest.raises(ValueError, match="bits must be from 2 to 8, found 9"):
        record_in_bits(trained, digits, folder=tmp_path, bits=9)
    choosing = dataclasses.replace(configuration(length=1), scored_on="validation")
    run = train(choosing, digits, folder=tmp_path / "tuning", progress=False)
    with pytest.raises(ValueError, match="only served the choice of a learning rate"):
        record_in_bits(run, digits, folder=tmp_path)
    bare = train(configuration(length=2), digits, folder=tmp_path / "bare", progress=False,
                 keep_weights=False)  # fmt: skip
    with pytest.raises(ValueError, match="its weights were not kept"):
        record_in_bits(bare, digits, folder=tmp_path)
    broken = train(configuration(length=2, learning_rate=1e30), digits, folder=tmp_path / "broken",
                   progress=False)  # fmt: skip
    with pytest.raises(ValueError, match="diverged at step"):
        record_in_bits(broken, digits, folder=tmp_path)
    assert not list(tmp_path.glob("usps-fastrnn/**/*.json"))
    with pytest.raises(ValueError, match="is not the record of a network in few bits"):
        quantized_network(trained)


def test_records_of_another_trained_network_are_refused(digits, tmp_path):
    base = train(configuration(length=2), digits, folder=tmp_path, progress=False)
    (exact, _) = record_in_bits(base, digits, folder=tmp_path, progress=False)
    raw = json.loads(base.path.read_text())
    base.path.write_text(json.dumps(raw | {"arrays_sha256": "0" * 64}))
    with pytest.raises(ValueError, match=r"is not the file that .* was written with"):
        record_in_bits(read(base.path), digits, folder=tmp_path)  # arrays of another run
    base.path.unlink()
    base.path.with_suffix(".safetensors").unlink()
    again = train(configuration(length=2), digits, folder=tmp_path, progress=False,
                  snapshot=lambda model: {"W": model.head.weight})  # fmt: skip
    assert again.record.arrays_sha256 != base.record.arrays_sha256
    with pytest.raises(ValueError, match=r"was made of .* delete it to begin anew") as raised:
        record_in_bits(again, digits, folder=tmp_path, progress=False)
    assert str(exact.path) in str(raised.value)


# The command --------------------------------------------------------------------------------------


def _command(monkeypatch, capsys, *arguments):
    monkeypatch.setattr(sys, "argv", ["kplib", "train", *arguments])
    with pytest.raises(SystemExit) as ended:
        cli.main()
    return ended.value.code or 0, *capsys.readouterr()


def test_the_command_leaves_three_records(monkeypatch, capsys, digits, tmp_path):
    monkeypatch.setattr("kplib.data.load", lambda name, **options: digits)
    arguments = ["usps-fastrnn", "baseline", "--seed", "1", "--epochs", "2", "--bits", "8"]
    code, out, err = _command(monkeypatch, capsys, *arguments, "--folder", str(tmp_path))
    assert (code, err) == (0, "")
    runs = {run.record.configuration.variant: run for run in iterate(tmp_path)}
    assert list(runs) == ["", "8-bits", "8-bits-tuned"]
    assert out.count("test accuracy") == 3
    for run in runs.values():
        assert f"test accuracy {run.record.result.accuracy:.2f} %" in out
        assert f"record: {run.path}" in out
        assert "--bits 8" in run.record.circumstances.command
    code, _, err = _command(
        monkeypatch, capsys, "usps-fastrnn", "kp", "--variant", "swapped", "--bits", "8",
        "--folder", str(tmp_path),
    )  # fmt: skip
    assert (code, "only a network without a variant" in err) == (2, True)
    assert len(list(iterate(tmp_path))) == 3
