"""The headers as they stand, under every compiler and instruction set that they promise.

Each build runs `check_matvec.cpp`, which compares integers for equality. The compilers and qemu are
system packages that `make test` installs: one that is missing is a failure.
"""

import shutil
import subprocess
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

import kplib
from kplib.kernels.program import INCLUDE

SOURCE = Path(__file__).with_name("check_matvec.cpp")
WARNINGS = ["-Wall", "-Wextra", "-Werror"]

# name -> compiler, flags, how to run it, bytes of its vectors
BUILDS = {
    "g++, AVX-512": ("g++", ["-O1", "-mavx512f", "-mavx512vl"], [], 64),
    "g++, AVX2": ("g++", ["-O1", "-mavx2", "-mfma"], [], 32),
    "g++, SSE2": ("g++", ["-O1"], [], 16),
    "clang, AVX2": ("clang++", ["-O1", "-mavx2", "-mfma"], [], 32),
    "aarch64": ("aarch64-linux-gnu-g++", ["-O1", "-static"], ["qemu-aarch64-static"], 16),
}


def find(program: str) -> str:
    """Path of a compiler or emulator; newer clangs are on PATH with their number only."""
    names = [program, *(f"{program}-{number}" for number in range(14, 25))]
    path = next((found for name in names if (found := shutil.which(name))), None)
    assert path, (
        f"{program} is missing: `python3 tools/prerequisites.py --install test` installs it"
    )
    return path


def compile_one(name: str, folder: Path) -> tuple[Path, subprocess.CompletedProcess]:
    compiler, flags, _, _ = BUILDS[name]
    binary = folder / name.replace(" ", "").replace(",", "-")
    command = [
        find(compiler),
        "-std=c++17",
        *flags,
        *WARNINGS,
        f"-I{INCLUDE}",
        str(SOURCE),
        "-o",
        str(binary),
    ]
    return binary, subprocess.run(command, capture_output=True, text=True, check=False)


@pytest.fixture(scope="module")
def builds(tmp_path_factory):
    folder = tmp_path_factory.mktemp("headers")
    with ThreadPoolExecutor(2) as pool:
        return dict(
            zip(BUILDS, pool.map(lambda name: compile_one(name, folder), BUILDS), strict=True)
        )


@pytest.mark.parametrize("name", BUILDS)
def test_every_target_compiles_without_a_warning(builds, name):
    _, compiled = builds[name]
    assert compiled.returncode == 0, compiled.stderr


# No emulator has AVX-512: it is run where the processor has it.
RUN_HERE = [
    name
    for name in BUILDS
    if name != "g++, AVX-512" or "avx512vl" in Path("/proc/cpuinfo").read_text(encoding="utf-8")
]


@pytest.mark.parametrize("name", RUN_HERE)
def test_every_target_that_runs_here_computes_exactly(builds, name):
    binary, _ = builds[name]
    _, _, runner, vector_bytes = BUILDS[name]
    command = [find(program) for program in runner] + [str(binary)]
    ran = subprocess.run(command, capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert ran.stdout.endswith(f"0 failures, vectors of {vector_bytes} bytes\n")


def test_the_source_that_is_shown_compiles_alone(tmp_path):
    op = kplib.compile_kron(np.ones((3, 2)), np.ones((2, 5)))
    (tmp_path / "unit.cpp").write_text(op.source)
    assert '#include "' not in op.source
    command = [find("g++"), "-std=c++17", "-O1", *WARNINGS, "-c", "unit.cpp"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
