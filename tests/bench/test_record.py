import getpass
import json
import re
import socket
import stat
import subprocess
import sys
from pathlib import Path

import pytest

import kplib
from kplib.bench import machine
from kplib.bench.record import without_folders, write_json


def strings(value):
    """Every string in a JSON value, keys included."""
    if isinstance(value, dict):
        for key, inner in value.items():
            yield key
            yield from strings(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from strings(inner)
    elif isinstance(value, str):
        yield value


def assert_tells_no_place(record):
    home, host, user = str(Path.home()), socket.gethostname(), getpass.getuser()
    for text in strings(record):
        assert not re.search(r"(^|[\s'\"=(:])/\w", text), text
        assert home not in text
        assert not re.search(rf"\b{re.escape(host)}\b", text), text
        # Too short or too common a word would be found in honest text.
        if len(user) > 4:
            assert not re.search(rf"\b{re.escape(user)}\b", text), text


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("/a/b/c.so: cannot open", "c.so: cannot open"),
        ("-I/usr/include/eigen3 '/tmp/x y'", "-Ieigen3 'x y'"),
        ("(/opt/venv/bin/python)", "(python)"),
        ("book/results/bench/", "book/results/bench/"),
        ("times/second and 3/4", "times/second and 3/4"),
        ("../x/y", "../x/y"),
    ],
)
def test_absolute_paths_lose_their_folders_and_nothing_else_changes(text, expected):
    assert without_folders(text) == expected


def test_a_record_replaces_the_old_one_and_leaves_nothing_beside_it(tmp_path):
    path = tmp_path / "new" / "record.json"
    write_json(path, {"a": 1})
    write_json(path, {"a": "grün"})
    assert json.loads(path.read_text(encoding="utf-8")) == {"a": "grün"}
    assert [entry.name for entry in path.parent.iterdir()] == ["record.json"]
    assert stat.S_IMODE(path.stat().st_mode) == 0o644


@pytest.mark.parametrize("value", [float("nan"), float("inf"), object()])
def test_what_is_no_json_leaves_the_old_record_alone(tmp_path, value):
    path = tmp_path / "record.json"
    write_json(path, {"a": 1})
    with pytest.raises((ValueError, TypeError)):
        write_json(path, {"a": value})
    assert json.loads(path.read_text()) == {"a": 1}
    assert len(list(tmp_path.iterdir())) == 1


def test_provenance_is_json_and_tells_no_place(tmp_path):
    record = machine.provenance(["bench", "matvec", "--json", str(tmp_path / "deep" / "a.json")])
    assert json.loads(json.dumps(record)) == record
    assert record["command"] == "kplib bench matvec --json a.json"
    assert record["kplib"]["version"] == kplib.__version__
    assert record["machine"]["cpu"]
    assert record["libraries"]["versions"]["numpy"]
    assert_tells_no_place(record)


def test_the_blas_that_numpy_loaded_is_named_with_its_kernels():
    loaded = {blas["loaded_by"]: blas for blas in machine.blas()}
    assert loaded, "no BLAS found"
    for blas in loaded.values():
        assert blas["version"]
        assert blas["threads"] >= 1


def test_the_commit_is_that_of_the_checkout_only(tmp_path, monkeypatch):
    """A kplib installed below somebody else's checkout must not claim that one's commit."""
    git = ["git", "-c", "user.name=x", "-c", "user.email=x@example.org"]
    subprocess.run([*git, "init", "-q", tmp_path], check=True)
    subprocess.run(
        [*git, "-C", tmp_path, "commit", "-q", "--allow-empty", "-m", "theirs"], check=True
    )
    package = tmp_path / "site-packages" / "kplib"
    package.mkdir(parents=True)
    monkeypatch.setattr(machine.kplib, "__file__", str(package / "__init__.py"))
    assert "commit" not in machine.code_version()

    monkeypatch.setattr(machine.kplib, "__file__", str(tmp_path / "kplib" / "__init__.py"))
    version = machine.code_version()
    assert re.fullmatch(r"[0-9a-f]{40}", version["commit"])
    assert version["modified"] is False
    (tmp_path / "kplib").mkdir()
    (tmp_path / "kplib" / "new.py").write_text("")
    assert machine.code_version()["modified"] is True


def test_a_machine_that_tells_nothing_still_has_a_record(monkeypatch):
    def nothing(*_, **__):
        raise FileNotFoundError

    # Only for this module: importlib's metadata are read through the same method.
    class Unreadable(type(Path())):
        read_text = nothing

    monkeypatch.setattr(machine, "Path", Unreadable)
    monkeypatch.setattr(machine.subprocess, "run", nothing)
    if sys.platform != "win32":
        monkeypatch.delattr(machine.os, "getloadavg")
    about = machine.machine()
    assert about["cpu"]
    assert about["vector_extensions"] == []
    assert about["load_average"] is None
    assert machine.libraries()["compiler"] is None
