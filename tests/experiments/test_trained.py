"""The trained network of a record: loaded, exported by the command, or refused in one line."""

import ctypes
import dataclasses
import json
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import safetensors.numpy
import torch

from kplib import cli
from kplib.engine.export import export_c
from kplib.experiments.configuration import default_configuration
from kplib.experiments.records import WEIGHTS, write
from kplib.experiments.trained import load_trained
from kplib.experiments.training import predict, train
from kplib.experiments.variants import configured, network
from kplib.nn.structures import SparseWeight

RUNS = Path(__file__).resolve().parents[2] / "book" / "results" / "runs"


@pytest.fixture(scope="module")
def stored(digits, tmp_path_factory):
    configuration = default_configuration("usps-fastrnn", "kp").with_length(3)
    return train(configuration, digits, folder=tmp_path_factory.mktemp("runs"), progress=False)


def command(monkeypatch, capsys, *arguments):
    monkeypatch.setattr(sys, "argv", ["kplib", "export", *map(str, arguments)])
    status = 0
    try:
        cli.main()
    except SystemExit as end:
        status = end.code or 0
    return status, *capsys.readouterr()


def compiled(source):
    """Return the exported network as a function of one sequence."""
    library = source.with_suffix(".so")
    gcc = shutil.which("gcc")
    assert gcc, "gcc is needed"
    subprocess.run([gcc, "-O2", "-shared", "-fPIC", source, "-o", library, "-lm"], check=True)
    run = getattr(ctypes.CDLL(str(library)), f"{source.stem}_run")
    floats = np.ctypeslib.ndpointer(np.float32, flags="C")
    run.argtypes, run.restype = [floats, ctypes.c_int, floats], None
    return run


def test_it_is_the_network_that_was_trained(stored, digits):
    model = load_trained(str(stored.path))
    assert not model.training
    predictions = predict(model, torch.from_numpy(digits.test.x)).numpy()
    np.testing.assert_array_equal(predictions, stored.predictions)


def test_the_exported_c_predicts_what_the_record_says(
    stored, digits, monkeypatch, capsys, tmp_path
):
    status, out, err = command(monkeypatch, capsys, stored.path, tmp_path / "usps")
    assert (status, err) == (0, "")
    assert "bytes of constants" in out
    run = compiled(tmp_path / "usps.c")
    logits = np.empty((len(digits.test.x), 10), np.float32)
    for x, row in zip(digits.test.x, logits, strict=True):
        run(x, len(x), row)
    np.testing.assert_array_equal(logits.argmax(1), stored.predictions)


def test_in_eight_bits_and_with_a_name(stored, monkeypatch, capsys, tmp_path):
    options = ["--weights", "int8", "--name", "digit"]
    status, _, err = command(monkeypatch, capsys, stored.path, tmp_path / "usps", *options)
    assert (status, err) == (0, "")
    (tmp_path / "other").mkdir()
    expected = export_c(
        load_trained(stored.path), tmp_path / "other" / "usps", weights="int8", name="digit"
    )
    assert (tmp_path / "usps.c").read_bytes() == expected.source.read_bytes()
    assert (tmp_path / "usps.h").read_bytes() == expected.header.read_bytes()


def test_a_variant_has_the_network_of_its_record(digits, tmp_path):
    configuration = configured("usps-fastrnn", "kp", variant="rank-24").with_length(1)
    run = train(
        configuration, digits, folder=tmp_path, network=lambda: network(configuration),
        progress=False,
    )  # fmt: skip
    model = load_trained(run.path)
    assert str(model.rnn.weight.shape) == "(8, 6) x (4, 8)"
    predictions = predict(model, torch.from_numpy(digits.test.x)).numpy()
    np.testing.assert_array_equal(predictions, run.predictions)


# What is refused ----------------------------------------------------------------------------------


def refused(monkeypatch, capsys, tmp_path, *arguments):
    """Return the one line that the command ends with."""
    status, out, err = command(monkeypatch, capsys, *arguments)
    assert (status, out) == (2, "")
    assert len(err.splitlines()) == 1
    assert not list(tmp_path.glob("*.[ch]"))
    return err


def rewritten(stored, folder, arrays):
    """Write the record with other arrays, as if they were its own."""
    bare = dataclasses.replace(stored.record, arrays_sha256="")
    return write(folder, bare, arrays).path


def test_arrays_that_do_not_fit(stored, monkeypatch, capsys, tmp_path):
    A, bias = (WEIGHTS + name for name in ("rnn.cells.l0.weight.A", "head.bias"))
    assert {A, bias} <= stored.arrays.keys()
    others = {
        "head.bias, missing there and (10,) here": {
            name: array for name, array in stored.arrays.items() if name != bias
        },
        "rnn.cells.l0.weight.A, (1, 8, 5) there and (1, 8, 4) here": stored.arrays
        | {A: np.zeros((1, 8, 5), np.float32)},
        "more, (2,) there and missing here": stored.arrays
        | {WEIGHTS + "more": np.zeros(2, np.float32)},
        "its weights were not kept": {
            name: array for name, array in stored.arrays.items() if not name.startswith(WEIGHTS)
        },
    }
    for number, (message, arrays) in enumerate(others.items()):
        path = rewritten(stored, tmp_path / f"runs {number}", arrays)
        err = refused(monkeypatch, capsys, tmp_path, path, tmp_path / "usps")
        assert message in err
        assert path.name in err


def test_files_that_are_no_record(stored, monkeypatch, capsys, tmp_path):
    to = tmp_path / "usps"
    err = refused(monkeypatch, capsys, tmp_path, tmp_path / "none.json", to)
    assert "none.json: cannot be read" in err

    record = tmp_path / stored.path.name
    shutil.copy(stored.path, record)
    err = refused(monkeypatch, capsys, tmp_path, record, to)
    assert f"{record.with_suffix('.safetensors').name}: cannot be read" in err

    arrays = {name: array.copy() for name, array in stored.arrays.items()}
    arrays[WEIGHTS + "head.bias"][0] += 1
    safetensors.numpy.save_file(arrays, record.with_suffix(".safetensors"))
    assert "is not the file that" in refused(monkeypatch, capsys, tmp_path, record, to)

    raw = json.loads(stored.path.read_text())
    raw["configuration"]["variant"] = "of-my-own"
    record.write_text(json.dumps(raw))
    shutil.copy(stored.path.with_suffix(".safetensors"), record.with_suffix(".safetensors"))
    assert "there is no variant 'of-my-own'" in refused(monkeypatch, capsys, tmp_path, record, to)


@pytest.mark.parametrize(
    ("words", "options", "message"),
    [
        (["{record}"], ["--seed", 1], "leave out --seed"),
        (["{record}"], ["--layers", 1, "--compression", 10], "--compression, --layers"),
        (["{record}", "kp"], ["--seed", 1], "seed-0"),
        (["usps-fastrnn"], ["--seed", 1], "a technique"),
        (["usps-fastrnn", "kp", "more"], ["--seed", 1], "a technique"),
        (["usps-fastrnn", "kp"], [], "--state or --seed"),
    ],
)
def test_words_that_name_no_network(words, options, message, stored, monkeypatch, capsys, tmp_path):
    words = [word.format(record=stored.path) for word in words]
    err = refused(monkeypatch, capsys, tmp_path, *words, tmp_path / "usps", *options)
    assert message in err


# The records of the book --------------------------------------------------------------------------


@pytest.mark.repository
@pytest.mark.parametrize("technique", ["baseline", "small", "pruned", "lmf", "kp"])
def test_the_books_own_records(technique, tmp_path):
    path = min((RUNS / "usps-fastrnn" / technique).glob("seed-0-*.json"))
    model = load_trained(path)
    exported = export_c(model, tmp_path / "usps")
    if technique == "pruned":
        assert isinstance(model.rnn.weight, SparseWeight)
    run = compiled(exported.source)
    x = np.random.default_rng(0).standard_normal((16, 16), dtype=np.float32)
    logits = np.empty(10, np.float32)
    run(x, 16, logits)
    with torch.inference_mode():
        expected = model(torch.from_numpy(x)[None])[0].numpy()
    np.testing.assert_allclose(logits, expected, atol=1e-4 * np.abs(expected).max())
