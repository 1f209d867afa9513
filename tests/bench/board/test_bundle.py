"""The bundle: written, compiled here and for aarch64, run natively and under qemu-user."""

import json
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest

from kplib.bench.board.bundle import write_bundle
from kplib.bench.board.validation import problems, submission_problems
from kplib.kernels.program import INCLUDE

EMULATOR = ["qemu-aarch64-static"]
CROSS = ["CXX=aarch64-linux-gnu-g++"]
WORKS = {
    ("kernel", "usps-fastrnn", "dense"), ("kernel", "usps-fastrnn", "kp"),
    ("kernel", "usps-fastrnn", "lmf"), ("kernel", "usps-fastrnn", "hkp"),
    ("network", "usps-fastrnn", "baseline"), ("network", "usps-fastrnn", "kp"),
}  # fmt: skip


def run(*command: object, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
    words = [str(word) for word in command]
    return subprocess.run(words, cwd=cwd, capture_output=True, text=True, timeout=570, check=False)


@pytest.fixture(scope="module")
def bundle(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("bundle") / "usps"
    names = write_bundle(folder, ["usps-fastrnn"], ["kp"])
    assert len(names) == len(WORKS)
    return folder


def made(bundle: Path, name: str, *settings: str) -> Path:
    """Compile a copy of the bundle; return the program."""
    folder = bundle.with_name(name)
    shutil.copytree(bundle, folder)
    done = run("make", "-j2", *settings, cwd=folder)
    assert done.returncode == 0, done.stderr
    assert "warning" not in done.stderr
    return folder / "kplib-board"


@pytest.fixture(scope="module")
def native(bundle) -> Path:
    return made(bundle, "native")


@pytest.fixture(scope="module")
def cross(bundle) -> Path:
    return made(bundle, "cross", *CROSS, "CPU=cortex-a73")


def results(*command: object) -> dict[tuple[str, str, str], np.ndarray]:
    done = run(*command, "--results")
    assert done.returncode == 0, done.stderr
    rows = (line.split("/") for line in done.stdout.splitlines())
    return {tuple(row[:3]): np.array([float.fromhex(y) for y in row[4:]]) for row in rows}


def test_the_bundle_has_all_that_it_needs(bundle):
    headers = {path.name for path in (bundle / "kplib").iterdir()}
    assert headers == {path.name for path in (INCLUDE / "kplib").glob("*.hpp")} - {"bound_call.hpp"}
    assert len(list((bundle / "works").iterdir())) == len(list((bundle / "weights").iterdir())) == 6
    text = "".join(path.read_text() for path in bundle.rglob("*.[ch]pp"))
    assert str(bundle.parent) not in text
    assert "Python.h" not in text


def test_it_is_written_over_a_bundle_and_over_nothing_else(bundle, tmp_path):
    (tmp_path / "mine.txt").write_text("keep")
    with pytest.raises(ValueError, match="no bundle"):
        write_bundle(tmp_path, ["usps-fastrnn"], ["kp"])
    assert (tmp_path / "mine.txt").read_text() == "keep"
    again = bundle.with_name("again")
    shutil.copytree(bundle, again)
    (again / "works" / "old.cpp").write_text("")
    write_bundle(again, ["usps-fastrnn"], ["kp"])
    for path in bundle.rglob("*.*"):
        if path.is_file():
            assert path.read_bytes() == (again / path.relative_to(bundle)).read_bytes()
    assert not (again / "works" / "old.cpp").exists()


def test_an_unknown_benchmark_is_refused(tmp_path):
    with pytest.raises(ValueError, match="kws-lstm"):
        write_bundle(tmp_path / "new", ["no-such"])


def test_the_native_program_gives_a_valid_record(native):
    refused = run(native)
    assert refused.returncode == 2
    assert refused.stdout == ""
    assert "this is no board" in refused.stderr
    done = run(native, "--label", "a test")
    assert done.returncode == 0, done.stderr
    record = json.loads(done.stdout)
    assert problems(record) == []
    assert record["path"] == "bundle"
    assert record["kind"] != "board"
    works = {(work["kind"], work["benchmark"], work["name"]) for work in record["works"]}
    assert works == WORKS
    assert record["left_out"] == []
    assert record["machine"]["pinned"]
    assert submission_problems(record)  # no board, and only one benchmark of five


def test_wrong_options_are_told(native):
    for options in (["--turbo"], ["--rounds"], ["--rounds", "0"], ["--turbo", "1"]):
        done = run(native, *options)
        assert done.returncode == 1
        assert done.stderr.startswith("kplib-board: ")


def test_an_emulated_program_refuses_to_be_a_board(cross):
    refused = run(*EMULATOR, cross)
    assert refused.returncode == 2
    assert refused.stdout == ""
    assert "the process runs another executable" in refused.stderr
    assert "the kernel is for" in refused.stderr
    assert "server core" not in refused.stderr


@pytest.mark.parametrize("core", ["cortex-a53", "cortex-a72", "cortex-a76"])
def test_no_label_hides_the_emulator(cross, core):
    done = run(*EMULATOR, "-cpu", core, cross, "--label", "server core", "--rounds", "1")
    assert done.returncode == 0, done.stderr
    record = json.loads(done.stdout)
    assert problems(record) == []
    assert record["kind"] == record["machine"]["found"] == "emulated"
    (problem,) = submission_problems(record)
    assert "it is emulated" in problem


def test_aarch64_computes_what_this_machine_does(native, cross):
    here, there = results(native), results(*EMULATOR, cross)
    assert here.keys() == there.keys() == WORKS
    for work, expected in here.items():
        scale = np.abs(expected).max()
        assert np.allclose(there[work], expected, rtol=0, atol=1e-5 * scale), work


def test_the_program_judges_made_up_machines_by_the_same_rules(native, tmp_path):
    (tmp_path / "proc/device-tree").mkdir(parents=True)
    (tmp_path / "proc/device-tree/model").write_bytes(b"Raspberry Pi 4 Model B Rev 1.4\0")
    arguments = ("--root", tmp_path, "--architecture", "aarch64")
    assert json.loads(run(native, *arguments).stdout)["found"] == "board"
    (tmp_path / "proc/device-tree/compatible").write_bytes(b"linux,dummy-virt\0")
    assert json.loads(run(native, *arguments).stdout)["found"] == "virtual"
