"""What may stand among the book's boards."""

import copy
import json

import pytest

from kplib.bench.board.results import boards
from kplib.bench.board.validation import problems, submission_problems
from kplib.bench.board.works import GATE_NAMES, expected


def entry(kind: str, benchmark: str, name: str) -> dict:
    gate = GATE_NAMES[benchmark]
    kernel = kind == "kernel"
    return {
        "kind": kind, "benchmark": benchmark, "name": name,
        "inputs": gate.n if kernel else 10, "outputs": gate.m if kernel else 12,
        "steps": 1 if kernel else 25, "macs": gate.m * gate.n, "weight_bytes": 4096,
        "nanoseconds": {"median": 5010.5, "min": 5000, "p90": 5100.25},
        "rounds": 101, "calls_per_sample": 240, "shortest_sample_seconds": 0.0012,
        "cycles": 11000, "instructions": 20000, "relative_error": 1.5e-7,
    }  # fmt: skip


@pytest.fixture
def record() -> dict:
    """A record of a board as it should be; invented, and published nowhere."""
    core = {"core": "Cortex-A73", "midr": "0x410fd092", "max_khz": 2362000}
    conditions = {
        "governor": "performance", "khz": 2362000, "throttled": None,
        "load": [0.1, 0.2, 0.3], "warnings": [],
    }  # fmt: skip
    return {
        "benchmark": "board", "format": 1, "kind": "board", "label": "",
        "command": "kplib board", "date": "2026-01-02T03:04:05+00:00",
        "kplib": {"version": "0.1.0", "commit": "0" * 40, "modified": False},
        "path": "compiler", "compiler": "g++ (Debian 12.2.0-14) 12.2.0",
        "flags": "-O3 -mcpu=native",
        "machine": {
            "architecture": "aarch64", "model": "HiKey960", "system": "Linux 6.1.0",
            "found": "board", "against": [], "cores": [{"cpu": 0, **core}, {"cpu": 1, **core}],
            "cpu": 1, "pinned": True, "midr_register": "0x410fd092",
        },
        "procedure": {"rounds": 101, "min_sample_seconds": 0.001, "warm_up_seconds": 0.3},
        "before": conditions, "after": copy.deepcopy(conditions),
        "works": [entry(*work) for work in sorted(expected())], "left_out": [],
    }  # fmt: skip


def test_a_good_record_has_no_problems(record):
    assert problems(record) == submission_problems(record) == []


def set_at(record: dict, path: str, value: object) -> None:
    *places, last = [int(part) if part.isdigit() else part for part in path.split(".")]
    for place in places:
        record = record[place]
    record[last] = value


# where, what is put there, a word of what is said
BROKEN = [
    ("format", 2, "format"),
    ("format", True, "format"),
    ("kind", "laptop", "kind"),
    ("kind", "server", "found to be board"),
    ("host", "somebodys-board", "host is no field"),
    ("machine.hostname", "x", "machine.hostname is no field"),
    ("works.0.note", "x", "no field"),
    ("command", "kplib board --json /home/me/x.json", "path"),
    ("flags", "-O3 -I/opt/include/eigen", "path"),
    ("compiler", "g++ of me@example.org", "address"),
    ("machine.model", "C:\\boards", "path"),
    ("machine.model", 4, "text"),
    ("label", "a\nb", "form"),
    ("date", "yesterday", "date"),
    ("date", "2026-01-02T03:04:05", "date"),
    ("date", "1970-01-01T00:00:00+00:00", "before the papers"),
    ("date", "2999-01-01T00:00:00+00:00", "future"),
    ("kplib.commit", "abc", "commit"),
    ("machine.cores", [], "list of 1"),
    ("machine.cores.0.midr", 1091555474, "midr"),
    ("machine.midr_register", "0x410fd034", "the pinned core says"),
    ("machine.cpu", 5, "none of"),
    ("machine.against", ["it has virtio devices"], "reasons against"),
    ("machine.architecture", "x86_64", "aarch64"),
    ("machine.model", None, "model"),
    ("before.khz", 2.3, "whole"),
    ("before.load", [0.1, 0.2], "list of 3"),
    ("before.load.0", float("nan"), "number"),
    ("works", [], "list of 1"),
    ("works.0.nanoseconds.median", "5", "number"),
    ("works.0.nanoseconds.median", float("inf"), "number"),
    ("works.0.nanoseconds.median", 10**400, "must be in"),
    ("works.0.nanoseconds.median", 4000, "not in order"),
    ("works.0.nanoseconds", 5.0, "object"),
    ("works.0.nanoseconds", {"median": 5e-6, "min": 5e-6, "p90": 5e-6}, "0.5"),
    ("works.0.macs", 10**9, "multiply-accumulates a nanosecond"),
    ("works.0.cycles", 10**7, "no clock"),
    ("works.0.relative_error", 1e-3, "relative_error"),
    ("works.0.rounds", 11, "rounds"),
    ("works.0.shortest_sample_seconds", 1e-4, "shorter"),
    ("works.0.inputs", 77, "that gate"),
    ("works.0.name", "turbo", "nothing that kplib times"),
]


@pytest.mark.parametrize(("path", "value", "word"), BROKEN)
def test_what_is_wrong_is_found(record, path, value, word):
    set_at(record, path, value)
    found = problems(record)
    assert found
    assert any(word in problem for problem in found), found
    assert submission_problems(record) == found


def test_no_field_may_be_missing(record):
    for name in record:
        assert f"{name} is missing" in problems({k: v for k, v in record.items() if k != name})


def test_a_work_twice_is_found(record):
    record["works"].append(record["works"][0])
    assert any("twice" in problem for problem in problems(record))


@pytest.mark.parametrize("record", [None, [], "x", 1, {}, {"works": None}], ids=repr)
def test_what_is_no_record_is_told_so(record):
    assert problems(record)
    assert submission_problems(record)


# well formed, but not fit to be published
UNFIT = [
    ("procedure.rounds", 11, "procedure"),
    ("procedure.warm_up_seconds", 0, "procedure"),
    ("machine.pinned", False, "pinned"),
    ("before.governor", "ondemand", "governor"),
    ("after.throttled", "0x50005", "throttled"),
    ("after.khz", 1844000, "fell"),
]


@pytest.mark.parametrize(("path", "value", "word"), UNFIT)
def test_a_run_that_broke_the_procedure_is_not_published(record, path, value, word):
    set_at(record, path, value)
    if path == "procedure.rounds":
        for work in record["works"]:
            work["rounds"] = value
    assert problems(record) == []
    assert any(word in problem for problem in submission_problems(record))


def test_all_that_is_timed_must_be_there_or_left_out(record):
    gone = record["works"].pop()
    (problem,) = submission_problems(record)
    assert gone["name"] in problem
    named = {name: gone[name] for name in ("kind", "benchmark", "name")}
    record["left_out"].append(named | {"reason": "not compiled"})
    assert submission_problems(record) == []


@pytest.mark.parametrize("found", ["virtual", "emulated", "other", "unknown"])
def test_what_is_no_board_is_not_published(record, found):
    record["machine"] |= {"found": found, "against": ["it is not"]}
    record["kind"] = found
    assert problems(record) == []
    (problem,) = submission_problems(record)
    assert "neither a board" in problem


def test_an_emulator_cannot_pass_as_a_board_by_its_kind_or_label(record):
    record["machine"] |= {"found": "emulated", "against": ["it is qemu"]}
    record["label"] = "server core"
    for kind in ("board", "server"):
        record["kind"] = kind
        assert any("found to be emulated" in problem for problem in problems(record))


def labelled(record: dict) -> dict:
    record["machine"] |= {"found": "virtual", "against": ["it has virtio devices"]}
    return record | {"kind": "server", "label": "server core"}


def test_the_folder_of_results(record, tmp_path):
    assert boards(tmp_path) == boards(tmp_path / "none") == []
    (tmp_path / "hikey.json").write_text(json.dumps(record))
    server = labelled(copy.deepcopy(record))
    (tmp_path / "a-server.json").write_text(json.dumps(server))
    board, other = boards(tmp_path)
    assert (board.name, board.kind, board.core) == ("hikey", "board", "Cortex-A73")
    assert (other.kind, other.label) == ("server", "server core")
    assert board.nanoseconds("network", "kws-lstm", "kp") == 5010.5
    assert board.nanoseconds("network", "kws-lstm", "no such") is None


@pytest.mark.parametrize("text", ["{", "[]", '{"benchmark": "board"}'])
def test_a_file_that_is_no_record_stops_the_book(tmp_path, text):
    (tmp_path / "wrong.json").write_text(text)
    with pytest.raises(ValueError, match=r"wrong\.json"):
        boards(tmp_path)
