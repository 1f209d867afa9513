"""Files that someone changed on purpose: they are what they were, or are refused by name."""

import copy
import hashlib
import io
import json
import struct
import sys
import tarfile
import zipfile
from pathlib import Path

import numpy as np
import pytest
import safetensors.numpy
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from kplib.data import archives
from kplib.engine.export import load_state
from kplib.errors import DataError
from kplib.experiments.checkpoint import read_checkpoint, write_checkpoint
from kplib.experiments.configuration import Configuration, default_configuration
from kplib.experiments.records import packed, read

sys.path.insert(0, str(Path(__file__).parents[1] / "experiments"))
from synthetic import write_run

FUZZ = settings.get_profile("fuzz")  # see conftest.py

json_values = st.recursive(
    st.one_of(
        st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=5),
        st.sampled_from([10**400, -(10**400), 2**64, -1, 0, 1e308, "\ud800", "..", "a/b"]),
    ),
    lambda inner: st.one_of(
        st.lists(inner, max_size=4), st.dictionaries(st.text(max_size=5), inner, max_size=4)
    ),
    max_leaves=8,
)  # fmt: skip


@st.composite
def torn(draw, content):
    """The bytes, cut, longer, or with some of them changed."""
    content = bytearray(content)
    for _ in range(draw(st.integers(1, 3))):
        at = draw(st.integers(0, max(len(content) - 1, 0)))
        match draw(st.sampled_from(["set", "cut", "insert", "number"])):
            case "set" if content:
                content[at] = draw(st.integers(0, 255))
            case "cut":
                del content[at : at + draw(st.sampled_from([1, 7, 10**6]))]
            case "insert":
                content[at:at] = draw(st.binary(max_size=9))
            case "number":
                values = st.sampled_from([0, 1, 2**31 - 1, 2**32 - 1, 2**63 - 1, 2**64 - 1])
                content[at : at + 8] = struct.pack("<Q", draw(values))
    return bytes(content)


def places(value, path=()):
    """Every place of a JSON value."""
    yield path
    if isinstance(value, dict | list):
        for key, item in value.items() if isinstance(value, dict) else enumerate(value):
            yield from places(item, (*path, key))


@st.composite
def changed(draw, raw):
    """The JSON value with another value at one place, or without it."""
    raw = copy.deepcopy(raw)
    *path, last = draw(st.sampled_from([path for path in places(raw) if path]))
    inner = raw
    for key in path:
        inner = inner[key]
    if draw(st.booleans()):
        inner[last] = draw(json_values)
    else:
        del inner[last]
    return raw


@pytest.fixture(scope="module")
def stored(tmp_path_factory):
    """A record with weights, masks among them."""
    run = write_run(tmp_path_factory.mktemp("runs"), "usps-fastrnn", "kp")
    rng = np.random.default_rng(0)
    state = {"W": rng.normal(size=(3, 5)).astype(np.float32), "mask": rng.random((3, 5)) < 0.5}
    _write_arrays(run.path, safetensors.numpy.save(run.arrays | packed(state)))
    return read(run.path)


def _write_arrays(path, content):
    """Write the arrays, and the hash of these into the record: as whoever changes both would."""
    path.with_suffix(".safetensors").write_bytes(content)
    raw = json.loads(path.read_text()) | {"arrays_sha256": hashlib.sha256(content).hexdigest()}
    path.write_text(json.dumps(raw))


def refused(use, path):
    """What `use` returns; None if it refuses the file, by its name."""
    try:
        return use()
    except ValueError as error:
        assert Path(path).stem in str(error)
        assert len(str(error)) < 2000
        return None


@FUZZ
@given(data=st.data())
def test_records_with_other_values(stored, data, tmp_path):
    raw = json.loads(stored.path.read_text())
    path = tmp_path / stored.path.name
    path.write_text(json.dumps(data.draw(changed(raw))))
    found = refused(lambda: read(path), path)
    assert found is None or isinstance(found.record.configuration, Configuration)


@FUZZ
@given(data=st.data())
def test_records_with_other_bytes(stored, data, tmp_path):
    path = tmp_path / stored.path.name
    path.write_bytes(data.draw(torn(stored.path.read_bytes())))
    refused(lambda: read(path), path)


@FUZZ
@given(data=st.data())
def test_configurations_of_anything(data):
    raw = default_configuration("usps-fastrnn", "pruned").to_json()
    for value in (data.draw(changed(raw)), data.draw(json_values)):
        try:
            found = Configuration.from_json(value)
        except ValueError as error:
            assert len(str(error)) > 10
        else:
            assert Configuration.from_json(found.to_json()) == found


dtypes = ["u1", "i8", "f2", "f4", "f8", "?", "i4"]
arrays = st.builds(
    lambda shape, dtype, value: np.full(shape, value).astype(dtype),
    st.lists(st.integers(0, 9), max_size=3),
    st.sampled_from(dtypes),
    st.sampled_from([0, 1, 3, 200]),
)
sizes = st.lists(st.sampled_from([-1, 0, 1, 3, 5, 2**17, 2**31, 2**62]), max_size=4)
names = ["predictions", "labels", "weights/W", "weights/mask", "weights/mask.shape", "weights/b"]


@FUZZ
@given(
    others=st.dictionaries(st.sampled_from(names), arrays, max_size=3),
    less=st.sets(st.sampled_from(names)),
    shape=st.one_of(st.none(), sizes),
)
def test_arrays_of_other_shapes_and_dtypes(stored, others, less, shape, tmp_path):
    wrong = {name: array for name, array in stored.arrays.items() if name not in less} | others
    if shape is not None:
        wrong["weights/mask.shape"] = np.array(shape, np.int64)
    path = tmp_path / stored.path.name
    path.write_bytes(stored.path.read_bytes())
    _write_arrays(path, safetensors.numpy.save(wrong))
    weights = refused(lambda: read(path).weights, path)
    assert weights is None or all(array.size < 10**4 for array in weights.values())


@FUZZ
@given(data=st.data())
def test_safetensors_with_other_bytes(stored, data, tmp_path):
    """The three readers of safetensors: of records, of checkpoints, of a state."""
    path = tmp_path / stored.path.name
    path.write_bytes(stored.path.read_bytes())
    arrays_path = stored.path.with_suffix(".safetensors")
    _write_arrays(path, data.draw(torn(arrays_path.read_bytes())))
    refused(lambda: read(path).weights, path)

    path = tmp_path / "some.checkpoint"
    write_checkpoint(path, {"W": torch.ones(2, 3)}, {"step": 1})
    path.write_bytes(data.draw(torn(path.read_bytes())))
    refused(lambda: read_checkpoint(path), path)

    model = torch.nn.Linear(3, 2)
    path = tmp_path / "state.safetensors"
    good = safetensors.numpy.save(
        {"weight": np.ones((2, 3), np.float32), "bias": np.ones(2, np.float32)}
    )
    path.write_bytes(data.draw(torn(good)))
    refused(lambda: load_state(model, path), path)


def _archive(kind):
    members = {"a/one": bytes(range(256)) * 4, "two": b"2" * 5000, "3": b""}
    buffer = io.BytesIO()
    if kind.startswith("zip"):
        method = {"zip": zipfile.ZIP_DEFLATED, "zip-lzma": zipfile.ZIP_LZMA}[kind]
        with zipfile.ZipFile(buffer, "w", method) as archive:
            for name, content in members.items():
                archive.writestr(zipfile.ZipInfo(name), content, method)
    else:
        with tarfile.open(fileobj=buffer, mode=kind) as archive:
            for name, content in members.items():
                info = tarfile.TarInfo(name)
                info.size = len(content)
                archive.addfile(info, io.BytesIO(content))
    return members, buffer.getvalue()


ARCHIVES = {kind: _archive(kind) for kind in ("zip", "zip-lzma", "w:", "w:gz", "w:xz", "w:bz2")}


@FUZZ
@given(kind=st.sampled_from(sorted(ARCHIVES)), data=st.data())
def test_archives_with_other_bytes(kind, data, tmp_path):
    members, content = ARCHIVES[kind]
    path = tmp_path / "some.archive"
    path.write_bytes(data.draw(torn(content)))
    for use in (archives.names, lambda path: dict(archives.read(path, members))):
        try:
            found = use(path)
        except DataError as error:
            assert str(path) in str(error)
        else:
            if kind.startswith("zip") and isinstance(found, dict):  # which has a CRC of each
                assert found == members
