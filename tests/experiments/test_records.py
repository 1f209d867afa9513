"""Records: written whole or not at all, read back as they were, and refused when malformed."""

import contextlib
import copy
import dataclasses
import hashlib
import json
import os
import pickle
import re
import struct
import threading

import numpy as np
import pytest
import safetensors.numpy
from hypothesis import given
from hypothesis import strategies as st

from kplib._atomic import write_atomically
from kplib.experiments.configuration import default_configuration
from kplib.experiments.records import (
    Circumstances,
    Curve,
    Network,
    Record,
    Result,
    UsedData,
    iterate,
    packed,
    read,
    unpacked,
    write,
)
from kplib.experiments.strict import to_json

RECORD = Record(
    configuration=default_configuration("usps-fastrnn", "kp", seed=3).shortened(0.1),
    data=UsedData(
        name="usps", classes=("a", "b"), examples={"train": 7, "validation": 2, "test": 5},
        variants=0, sha256="0" * 64, files={"usps.bz2": "1" * 64}, protocol={"split": [0.8, None]},
    ),
    network=Network(
        parameters=444, kilobytes=1.734375, index_bytes=0, hidden_size=32, layers=1, outputs=3
    ),
    result=Result(
        accuracy=60.0, macro_f1=65.0, confusion=((2, 1, 0), (0, 1, 1)), validation_accuracy=50.0,
        chosen_at=20, diverged_at=None,
    ),
    curve=Curve(
        steps=(10, 20), learning_rate=(0.01, 0.001), loss=(2.0, 1.5), train_accuracy=(30.0, 50.0),
        validation_accuracy=(50.0, 50.0), looks=2,
    ),
    circumstances=Circumstances(
        command="kplib train usps-fastrnn kp", finished="2026-01-01T00:00:00+00:00", seconds=1.5,
        milliseconds_per_step=2.5, sessions=1, threads=1, device="cpu",
        kplib={"version": "0.1.0"}, machine={"cores": 2, "clock_mhz": None},
        libraries={"torch": "2"},
    ),
)  # fmt: skip
ARRAYS = {
    "predictions": np.array([0, 0, 1, 1, 2], np.uint8),
    "labels": np.array([0, 0, 0, 1, 1], np.uint8),
    "weights/alpha": np.array(-3.0, np.float32),
}


@pytest.fixture
def stored(tmp_path):
    return write(tmp_path, RECORD, ARRAYS)


def test_it_comes_back_as_it_was(stored, tmp_path):
    assert stored.path == tmp_path / f"{RECORD.configuration.path}.json"
    again = read(stored.path)
    assert again.record == stored.record
    assert to_json(again.record) | {"arrays_sha256": ""} == to_json(RECORD)
    for name, array in ARRAYS.items():
        np.testing.assert_array_equal(again.arrays[name], array)
        assert again.arrays[name].shape == array.shape
    assert again.predictions.dtype == again.labels.dtype == np.uint8
    assert [run.path for run in iterate(tmp_path)] == [stored.path]
    assert {path.name for path in stored.path.parent.iterdir()} == {
        stored.path.name,
        stored.path.with_suffix(".safetensors").name,
    }


def test_one_line_a_part(stored):
    lines = stored.path.read_text().splitlines()
    assert len(lines) == 2 + len(dataclasses.fields(Record))


def test_iterate_chooses_and_sorts(tmp_path):
    runs = [("usps-fastrnn", "kp", 1), ("usps-fastrnn", "kp", 0), ("usps-fastrnn", "lmf", 0),
            ("mnist-lstm", "kp", 0)]  # fmt: skip
    for benchmark, technique, seed in runs:
        configuration = default_configuration(benchmark, technique, seed=seed)
        write(tmp_path, dataclasses.replace(RECORD, configuration=configuration), ARRAYS)
    names = [run.record.configuration.path.split("-")[0] for run in iterate(tmp_path)]
    assert names == ["mnist", "usps", "usps", "usps"]
    chosen = [run.record.configuration.seed for run in iterate(tmp_path, "usps-fastrnn", "kp")]
    assert chosen == [0, 1]
    assert not list(iterate(tmp_path / "nothing"))


# Malformed ----------------------------------------------------------------------------------------


def _places(value, path=()):
    """Every place of a JSON value, the outermost first."""
    yield path
    if isinstance(value, dict | list):
        for key, item in value.items() if isinstance(value, dict) else enumerate(value):
            yield from _places(item, (*path, key))


RAW = to_json(RECORD)
FREE = {
    "protocol",
    "kplib",
    "machine",
    "data_options",
    "variant_options",
}  # any JSON is right there
TYPED = [path for path in _places(RAW) if path and not FREE & {*path[:-1]}]
OPTIONAL = {"validation_accuracy", "diverged_at", "compression", "max_norm", "pruning", "ema_decay"}


def _changed(path, value):
    raw = copy.deepcopy(RAW)
    inner = raw
    for key in path[:-1]:
        inner = inner[key]
    inner[path[-1]] = value
    return raw


@pytest.mark.parametrize("path", TYPED, ids=lambda path: ".".join(map(str, path)))
def test_a_value_of_another_type_is_refused_everywhere(path, stored):
    accepted = []
    for other in ([None], {"a": None}, "a", True, 0.5, None):
        stored.path.write_text(json.dumps(_changed(path, other)))
        with contextlib.suppress(ValueError):
            read(stored.path)
            accepted.append(other)
    # one type of these can be right: a text, a float, any object of a mapping, None
    texts = path[-1] in OPTIONAL and None in accepted
    assert len(accepted) <= 1 + texts, accepted


@pytest.mark.parametrize("key", RAW)
def test_a_part_that_is_missing_or_more(key, stored):
    raw = dict(RAW)
    del raw[key]
    stored.path.write_text(json.dumps(raw))
    if key in ("format", "sources", "arrays_sha256"):  # these have defaults
        assert read(stored.path)
    else:
        with pytest.raises(ValueError, match=f"lacks '{key}'"):
            read(stored.path)
    stored.path.write_text(json.dumps(RAW | {f"{key}_": 1}))
    with pytest.raises(ValueError, match=f"has no '{key}_'"):
        read(stored.path)


def test_counts_that_do_not_agree(stored):
    for path, value, words in [
        (("result", "confusion"), [[2, 1, 0], [0, 1, 2]], "counts 6 examples, but 5"),
        (("result", "confusion"), [[2, 1], [0, 2]], r"2 rows of 3, found \[2, 2\]"),
        (("result", "confusion"), [[2, 3, 0]], r"2 rows of 3, found \[3\]"),
        (("result", "confusion"), [[3, 1, 0], [0, 2, -1]], "counts -1 examples in one place"),
        (("result", "accuracy"), 80.0, "accuracy is 80, but its confusion says 60"),
        (("result", "macro_f1"), 66.0, "macro_f1 is 66, but its confusion says 65"),
        (("curve", "loss"), [1.0], "2 steps, but 1 of loss"),
        (("format",), 2, "format must be one of 1, found 2"),
    ]:
        stored.path.write_text(json.dumps(_changed(path, value)))
        with pytest.raises(ValueError, match=words) as raised:
            read(stored.path)
        assert str(stored.path) in str(raised.value)


def test_a_torn_file_is_refused_at_every_length(stored):
    content = stored.path.read_bytes()
    for length in range(0, len(content) - 2, 7):
        stored.path.write_bytes(content[:length])
        with pytest.raises(ValueError, match=re.escape(str(stored.path))):
            read(stored.path)


@pytest.mark.parametrize(
    "content", [b"\xff\xfe", b"[" * 100_000, b'{"format": NaN}', pickle.dumps(RAW)],
    ids=["no UTF-8", "deep", "NaN", "pickle"],
)  # fmt: skip
def test_what_is_no_json(content, stored):
    stored.path.write_bytes(content)
    with pytest.raises(ValueError) as raised:  # noqa: PT011  (of json's own words)
        read(stored.path)
    assert str(stored.path) in str(raised.value)


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ('"seconds":1.5', '"seconds":9,"seconds":1.5', "'seconds' stands twice"),
        ('"split":[0.8,null]', '"split":{"a":1,"a":2}', "'a' stands twice"),
        ('"seconds":1.5', '"seconds":1' + "0" * 400, "seconds must be a finite number"),
        ('"seconds":1.5', '"seconds":1e999', "seconds must be a finite number, found inf"),
        ('"seconds":1.5', '"seconds":' + "9" * 5000, "limit"),
        ('"seed":3', '"seed":1' + "0" * 400, "seed must be from 0"),
        ('"test":5', '"test":-5', "counts 5 examples, but -5"),
        ('"split":[0.8,null]', '"split":' + "[" * 900 + "]" * 900, "recursion"),
    ],
)
def test_json_that_is_hostile(old, new, words, stored):
    text = stored.path.read_text()
    assert old in text
    stored.path.write_text(text.replace(old, new))
    with pytest.raises(ValueError, match=words) as raised:
        read(stored.path)
    assert str(stored.path) in str(raised.value)


def _with_arrays(stored, content):
    """The record with other arrays and their hash: what one would write who changes both."""
    stored.path.with_suffix(".safetensors").write_bytes(content)
    raw = RAW | {"arrays_sha256": hashlib.sha256(content).hexdigest()}
    stored.path.write_text(json.dumps(raw))
    return read(stored.path)


BITS = np.array([255], np.uint8)


@pytest.mark.parametrize(
    ("extra", "words"),
    [
        ({"mask.shape": np.array([2, 3])}, "mask must be uint8 of shape .1,.* found nothing"),
        ({"mask.shape": np.array([-2, 3]), "mask": BITS}, "mask.shape must be sizes"),
        ({"mask.shape": np.array([2.0, 3.5]), "mask": BITS}, "mask.shape must be sizes in int64"),
        ({"mask.shape": np.array([2**17] * 2), "mask": BITS}, "for 17179869184 bits"),
        ({"mask.shape": np.array([2**31] * 2), "mask": BITS}, "for 4611686018427387904 bits"),
        ({"mask.shape": np.array([2, 3]), "mask": BITS.astype("f4")}, "found float32"),
        ({"mask.shape": np.array([2, 3]), "mask": BITS, "W": np.ones(9)}, "mask leaves 6 entries"),
        ({"W": np.ones(2, np.complex64)}, "W must be real numbers, found complex64"),
    ],
)
def test_arrays_that_do_not_make_sense(extra, words, stored):
    named = {f"weights/{name}": array for name, array in extra.items()}
    found = _with_arrays(stored, safetensors.numpy.save(ARRAYS | named))
    with pytest.raises(ValueError, match=words) as raised:
        _ = found.weights
    assert str(stored.path.with_suffix(".safetensors")) in str(raised.value)


def _file(header, content=b""):
    header = header if isinstance(header, bytes) else json.dumps(header).encode()
    return struct.pack("<Q", len(header)) + header + content


def _entry(dtype="U8", shape=(5,), end=5):
    return {"a": {"dtype": dtype, "shape": list(shape), "data_offsets": [0, end]}}


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (_file(_entry("BF16", end=10), bytes(10)), "NumPy has no dtype 'BF16'"),
        (_file(_entry("Q9"), bytes(5)), "unknown variant"),
        (_file(_entry(end=9), bytes(9)), "invalid shape, data type, or offset"),
        (_file(_entry(shape=(2**62, 2**62))), "overflow"),
        (_file(_entry(shape=(-1,)), bytes(5)), "invalid value"),
        (_file(_entry())[:20], "header"),
        (struct.pack("<Q", 2**62) + b"{}", "header too large"),
        (_file(b"[" * 100_000), "invalid"),
        (pickle.dumps({"a": 1}), "header"),
    ],
    ids=["no dtype of NumPy", "no dtype", "offset", "huge", "negative", "truncated", "huge header",
         "deep", "pickle"],
)  # fmt: skip
def test_safetensors_that_are_hostile(content, words, stored):
    with pytest.raises(ValueError, match=words) as raised:
        _ = _with_arrays(stored, content).weights
    assert str(stored.path.with_suffix(".safetensors")) in str(raised.value)


def test_a_missing_file(tmp_path, stored):
    with pytest.raises(ValueError, match="cannot be read: No such file"):
        read(tmp_path / "none.json")
    stored.path.with_suffix(".safetensors").unlink()
    with pytest.raises(ValueError, match=r"\.safetensors: cannot be read"):
        _ = read(stored.path).predictions


def test_a_record_in_the_place_of_another(stored, tmp_path):
    stored.path.rename(stored.path.with_name("seed-4-00000000.json"))
    with pytest.raises(ValueError, match="its configuration is that of"):
        list(iterate(tmp_path))


class _Bomb:
    def __reduce__(self):
        return exec, ("raise SystemExit('unpickled')",)


def test_arrays_that_were_not_written_with_it(stored):
    path = stored.path.with_suffix(".safetensors")
    good = path.read_bytes()
    other = safetensors.numpy.save(ARRAYS | {"labels": ARRAYS["predictions"]})
    for content in (b"", good[:-1], pickle.dumps(_Bomb()), other):
        path.write_bytes(content)
        with pytest.raises(ValueError, match="is not the file that") as raised:
            _ = read(stored.path).weights
        assert str(path) in str(raised.value)


@pytest.mark.parametrize(
    ("predictions", "found"),
    [(None, "nothing"), (np.zeros(4, np.uint8), r"uint8 of shape \(4,\)"),
     (np.zeros(5, np.int64), "int64"), (np.zeros((5, 1), np.uint8), r"uint8 of shape \(5, 1\)")],
)  # fmt: skip
def test_predictions_that_do_not_fit_are_not_written(predictions, found, tmp_path):
    arrays = dict(ARRAYS)
    del arrays["predictions"]
    if predictions is not None:
        arrays["predictions"] = predictions
    with pytest.raises(ValueError, match=f"predictions must be uint8 of shape .5,., found {found}"):
        write(tmp_path, RECORD, arrays)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("labels", "found"),
    [([0, 0, 1, 1, 1], "its predictions are not those of the record's confusion"),
     ([0, 0, 0, 1, 2], "labels must be from 0 to 1, found 0 to 2")],
)  # fmt: skip
def test_predictions_that_give_another_confusion_are_not_written(labels, found, tmp_path):
    with pytest.raises(ValueError, match=found):
        write(tmp_path, RECORD, ARRAYS | {"labels": np.array(labels, np.uint8)})
    assert not list(tmp_path.iterdir())


def test_groups_are_kept_if_they_fit(stored, tmp_path):
    assert stored.groups is None
    groups = np.array([3, 3, 0, 1, 0], np.uint16)
    kept = read(write(tmp_path / "with", RECORD, ARRAYS | {"groups": groups}).path)
    np.testing.assert_array_equal(kept.groups, groups)
    for wrong, found in ((groups[:4], r"uint16 of shape \(4,\)"), (groups.astype("i8"), "int64")):
        with pytest.raises(ValueError, match=f"groups must be uint16 of shape .5,., found {found}"):
            write(tmp_path, RECORD, ARRAYS | {"groups": wrong})


def test_what_has_no_json_is_not_written(tmp_path):
    result = dataclasses.replace(RECORD.result, accuracy=float("nan"))
    with pytest.raises(ValueError, match="JSON has no nan"):
        write(tmp_path, dataclasses.replace(RECORD, result=result), ARRAYS)
    assert not list(tmp_path.iterdir())


# Whole or not at all ------------------------------------------------------------------------------


@pytest.mark.parametrize("call", ["fsync", "chmod", "replace"])
def test_a_failing_write_leaves_the_old_file_and_nothing_else(call, tmp_path, monkeypatch):
    path = tmp_path / "record.json"
    write_atomically(path, b"old")

    def fail(*_):
        raise OSError("disk full")

    monkeypatch.setattr(os, call, fail)
    with pytest.raises(OSError, match="disk full"):
        write_atomically(path, b"new, and longer")
    assert path.read_bytes() == b"old"
    assert os.listdir(tmp_path) == ["record.json"]


def test_a_record_is_not_there_before_its_arrays(tmp_path, monkeypatch):
    replaced = []
    original = os.replace

    def stop_at_the_second(source, target):
        if replaced:
            raise KeyboardInterrupt
        replaced.append(str(target))
        original(source, target)

    monkeypatch.setattr(os, "replace", stop_at_the_second)
    with pytest.raises(KeyboardInterrupt):
        write(tmp_path, RECORD, ARRAYS)
    assert replaced[0].endswith(".safetensors")
    assert not list(iterate(tmp_path))
    monkeypatch.undo()
    write(tmp_path, RECORD, ARRAYS)  # and can be made up for
    assert len(list(iterate(tmp_path))) == 1


def test_of_two_that_write_one_record_the_first_stands(tmp_path, monkeypatch):
    """The second is held up between the two files of the first; what it wrote would not fit."""
    second = dataclasses.replace(
        RECORD, circumstances=dataclasses.replace(RECORD.circumstances, seconds=99.0)
    )
    arrays = ARRAYS | {"weights/alpha": np.array(-2.0, np.float32)}
    original, threads = os.replace, []

    def start_the_second(source, target):
        original(source, target)
        if not threads:
            threads.append(threading.Thread(target=write, args=(tmp_path, second, arrays)))
            threads[0].start()
            threads[0].join(0.2)

    monkeypatch.setattr(os, "replace", start_the_second)
    first = write(tmp_path, RECORD, ARRAYS)
    threads[0].join()
    (kept,) = iterate(tmp_path)
    assert kept.record == first.record
    assert kept.weights["alpha"] == -3
    assert write(tmp_path, second, arrays).record == first.record


def test_what_a_killed_write_left_is_no_record(stored, tmp_path):
    (stored.path.parent / f".{stored.path.name}.abc.part").write_text('{"half":')
    assert len(list(iterate(tmp_path))) == 1


# Weights ------------------------------------------------------------------------------------------


@given(
    shape=st.lists(st.integers(1, 7), min_size=0, max_size=3),
    density=st.floats(0, 1),
    seed=st.integers(0, 99),
)
def test_packed_and_unpacked(shape, density, seed):
    rng = np.random.default_rng(seed)
    W = np.asarray(rng.normal(size=shape), np.float32)
    mask = np.asarray(rng.random(shape) < density)
    state = {"a.W": W, "a.mask": mask, "b.W": np.asarray(W + 1), "bias": W[..., None]}
    again = unpacked(safetensors.numpy.load(safetensors.numpy.save(packed(state))))
    assert again.keys() == state.keys()
    np.testing.assert_array_equal(again["a.W"], W * mask)
    for name in ("a.mask", "b.W", "bias"):
        np.testing.assert_array_equal(again[name], state[name])
        assert again[name].dtype == state[name].dtype


def test_many_weights_are_kept_in_16_bits():
    W = np.linspace(-2, 2, 20_000, dtype=np.float32)
    arrays = packed({"W": W})
    assert arrays["weights/W"].dtype == np.float16
    np.testing.assert_allclose(unpacked(arrays)["W"], W, rtol=2**-11, atol=1e-7)
