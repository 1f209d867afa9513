"""`kplib bench arm`: what it prints, what it leaves, what it refuses."""

import json
import sys

import pytest

from kplib import cli


def kplib(monkeypatch, *words):
    monkeypatch.setattr(sys, "argv", ["kplib", "bench", "arm", *map(str, words)])
    with pytest.raises(SystemExit) as end:
        cli.main()
    return end.value.code


def test_a_benchmark_is_recorded_whole(monkeypatch, tmp_path, capsys):
    assert kplib(monkeypatch, "usps-fastrnn", "--json", tmp_path) in (0, None)
    (path,) = tmp_path.glob("aarch64-gcc-*.json")
    record = json.loads(path.read_text())
    networks = [row["label"] for row in record["cases"] if row["network"]]
    assert networks == ["baseline", "small", "pruned", "lmf", "kp"]
    assert record["counts"].keys() == {row["name"] for row in record["cases"]}
    assert record["command"].startswith("kplib bench arm usps-fastrnn")
    (predicted,) = record["predicted"]
    assert predicted["least"] <= predicted["by_instructions"] <= predicted["most"]
    assert {core["name"] for core in record["cores"]} == {
        "Cortex-A53", "Cortex-A72", "Cortex-A73", "Cortex-A76"
    }  # fmt: skip
    assert all("vfpbench" in core["source"] for core in record["cores"])
    assert str(tmp_path) not in path.read_text()
    out = capsys.readouterr().out
    for words in ("no board", "LLVM's Cortex-A57 model", "Predicted", "papers, measured"):
        assert words in out
    assert " NO " not in out


def test_an_unknown_benchmark_is_refused(monkeypatch, capsys):
    assert kplib(monkeypatch, "imagenet") == 2
    assert "no network benchmark ['imagenet']" in capsys.readouterr().err


def test_a_missing_tool_is_named(monkeypatch, capsys, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    assert kplib(monkeypatch, "usps-fastrnn") == 2
    assert "is not on PATH" in capsys.readouterr().err
