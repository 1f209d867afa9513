"""The command: what it refuses, what it writes, what it checks."""

import json
import os
import platform

import pytest
from typer.testing import CliRunner

from kplib.bench.board import checks
from kplib.bench.board.validation import problems
from kplib.cli import build_app

ours = pytest.mark.skipif(platform.machine() == "aarch64", reason="this may be a board")


@pytest.fixture(autouse=True)
def unpinned():
    """The command pins its process, which is that of the other tests here."""
    before = os.sched_getaffinity(0)
    yield
    os.sched_setaffinity(0, before)


def invoke(*arguments: object):
    return CliRunner().invoke(build_app(), ["board", *map(str, arguments)])


@ours
def test_this_machine_is_refused(tmp_path):
    done = invoke("usps-fastrnn", "--json", tmp_path)
    assert done.exit_code == 2
    assert "this is no board" in done.stderr
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("loader", ["cppyy", "compiler"])
def test_a_labelled_run_leaves_a_valid_record(tmp_path, loader):
    path = tmp_path / "record.json"
    done = invoke(
        "usps-fastrnn", "--technique", "kp", "--label", "a test", "--rounds", 3,
        "--loader", loader, "--json", path,
    )  # fmt: skip
    assert done.exit_code == 0, done.stderr
    record = json.loads(path.read_text())
    assert problems(record) == []
    assert record["path"] == loader
    assert record["kind"] != "board"
    names = [(work["kind"], work["name"]) for work in record["works"]]
    kernels = [("kernel", name) for name in ("dense", "kp", "lmf", "hkp")]
    assert names == [*kernels, ("network", "baseline"), ("network", "kp")]
    assert str(tmp_path) not in path.read_text()
    refused = invoke("--submit-check", path)
    assert refused.exit_code == 2
    assert "cannot be published" in refused.stderr


@pytest.mark.parametrize("arguments", [["no-such"], ["--submit-check", "missing.json"]])
def test_what_is_not_there_is_told(arguments):
    done = invoke(*arguments)
    assert done.exit_code == 2
    assert done.stderr.startswith("kplib: ")


@ours
def test_a_machine_that_passes_the_rules_is_timed(tmp_path, monkeypatch):
    """The command believes the rules, and nothing else: with a board's word it runs as a board."""
    real = checks.look
    monkeypatch.setattr(
        checks, "look", lambda **options: real(**options) | {"found": "board", "against": []}
    )
    done = invoke("usps-fastrnn", "--technique", "kp", "--rounds", 2, "--json", tmp_path)
    assert done.exit_code == 0, done.stderr
    (path,) = tmp_path.iterdir()
    # The record's own checks still know it: a board is aarch64.
    assert "a board is aarch64 and has a model" in problems(json.loads(path.read_text()))
