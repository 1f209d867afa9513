"""The command `kplib data`, as it is called."""

import re
import sys

import pytest

from kplib import cli
from kplib.data import DATA_SETS, images
from kplib.data.files import File, Source


def main(monkeypatch, capsys, *arguments):
    """Run `kplib data`; return status, stdout and stderr."""
    monkeypatch.setattr(sys, "argv", ["kplib", "data", *arguments])
    with pytest.raises(SystemExit) as ended:
        cli.main()
    return (ended.value.code or 0, *capsys.readouterr())


@pytest.fixture
def digits(folders, monkeypatch):
    """USPS with one file that is right, one that is wrong, and one that nobody has."""
    data, _ = folders
    (data / "usps").mkdir()
    (data / "usps/right").write_bytes(b"right")
    (data / "usps/wrong").write_bytes(b"wrong")
    md5 = "md5:7c4f29407893c334a6cb7a87bf045c0d"  # of b"right"
    editions = {
        "one": (File("right", size=5, hash=md5),),
        "two": (File("wrong", size=5, hash=md5),),
        "three": (File("nowhere", ("http://127.0.0.1:9/nowhere",), 1234),),
    }
    source = Source("usps", "USPS", "usps", editions, "free", "nobody", "whole")
    monkeypatch.setitem(DATA_SETS, "usps", source)
    return data


def test_the_list_has_everything_that_is_known(folders, monkeypatch, capsys):
    status, out, err = main(monkeypatch, capsys, "list")
    assert (status, err) == (0, "")
    for source in DATA_SETS.values():
        for known in (source.title, source.licence, source.citation, *source.editions):
            assert known in out
        for file in source.files:
            assert re.search(rf"^ +{re.escape(file.name)}, .*: not here$", out, re.MULTILINE)
            assert all(url in out for url in file.urls)
    assert "9,912,422 bytes" in out


def test_the_list_says_where_a_file_is(digits, monkeypatch, capsys):
    _, out, _ = main(monkeypatch, capsys, "list")
    assert f"right, 5 bytes: {digits}/usps/right\n" in out
    assert "nowhere, 1,234 bytes: not here\n      http://127.0.0.1:9/nowhere\n" in out


def test_verify_names_what_is_wrong(digits, monkeypatch, capsys):
    status, out, _ = main(monkeypatch, capsys, "verify", "usps")
    assert status == 1
    lines = out.splitlines()
    assert lines[0] == f"usps: right: md5 and size as they should be: {digits}/usps/right"
    assert lines[1].startswith(
        f"usps: WRONG: {digits}/usps/wrong is not wrong as published: its md5"
    )
    assert lines[2] == "usps: nowhere: not here"
    assert main(monkeypatch, capsys, "verify", "usps", "--edition", "one")[0] == 0
    assert main(monkeypatch, capsys, "verify", "usps", "--edition", "three")[0] == 1
    (digits / "usps/wrong").unlink()
    assert main(monkeypatch, capsys, "verify", "usps")[0] == 0


def test_fetch_gives_the_path_or_says_what_to_do(digits, monkeypatch, capsys):
    status, out, _ = main(monkeypatch, capsys, "fetch", "usps")
    assert (status, out) == (0, f"usps: right: {digits}/usps/right\n")
    status, out, _ = main(monkeypatch, capsys, "fetch", "usps", "--edition", "three")
    assert status == 1
    assert "nowhere (1,234 bytes) is missing. Address: http://127.0.0.1:9/nowhere" in out
    assert f"Put it at {digits}/usps/nowhere or " in out
    assert main(monkeypatch, capsys, "fetch", "usps", "--edition", "two")[0] == 1


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("fetch", "mnits"), "kplib: there is no data set 'mnits', but mnist, "),
        (("verify", "usps", "--edition", "x"), "kplib: usps has no edition 'x', but npz, libsvm"),
        (("fetch", "--edition", "npz"), "kplib: --edition needs the name of one data set"),
    ],
)
def test_a_slip_gives_one_line(folders, monkeypatch, capsys, arguments, message):
    status, _, err = main(monkeypatch, capsys, *arguments)
    assert status == 2
    assert err.startswith(message)
    assert err.count("\n") == 1


@pytest.mark.data("mnist")
def test_verify_reads_the_real_files(monkeypatch, capsys):
    status, out, _ = main(monkeypatch, capsys, "verify", "mnist")
    assert status == 0
    assert out.count(": sha256 and size as they should be: ") == len(images.MNIST.files) == 4
