"""Install the wheel in clean environments, one for each Python and extra, and use it there.

    .venv/bin/python tools/check_extras.py dist                     # make check-extras
    .venv/bin/python tools/check_extras.py dist --extras core nn --pythons 3.13
    .venv/bin/python tools/check_extras.py dist --latest            # without constraints.txt

Each environment holds what a reader gets who types `pip install 'kplib[EXTRA]'`, and pytest. In it
`import kplib` is timed, the extra is used, and the tests that need nothing more are run. The
environment is removed before the next one is made. Standard library only.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from check_wheel import LEFT_OUT, newest_wheel
from setup_env import WITH_TORCH, Environment
from step import StepError

ROOT = Path(__file__).resolve().parents[1]
PYTHONS = ("3.11", "3.12", "3.13")
IMPORT_SECONDS = 0.5
CORE_TESTS = ("test_shapes.py", "test_kron.py", "test_spectra.py", "test_packaging.py")


@dataclass(frozen=True)
class Use:
    """How an extra, or several, are used, and the tests that need no other.

    Attributes
    ----------
    code : str
        What a reader would do, with an assertion; the last line prints one word for the table.
    tests : tuple of str
        Files and folders below tests/.
    """

    code: str
    tests: tuple[str, ...] = ()


CORE = """
import numpy as np, kplib
A, B, x = np.ones((3, 5)), np.ones((7, 2)), np.arange(10.0)
assert np.allclose(kplib.kron_matvec(A, B, x), np.kron(A, B) @ x)
"""
# Without an extra, the names that need it say what to install.
NO_TORCH = """
try:
    kplib.nn
except kplib.errors.MissingExtraError as error:
    print("says", "kplib[nn]" in str(error) and "pip install 'kplib[nn]'")
"""
KRON = """
kron = kplib.compile_kron(A, B)
assert np.allclose(kron(x), np.kron(A, B) @ x)
print("compile_kron:", kron.loader)
"""
NETWORK = """
import torch
from kplib.nn import LSTM, Classifier, Kronecker
model = Classifier(LSTM(6, 10, weight=Kronecker()), torch.nn.Linear(10, 3))
x = torch.randn(4, 6)
network = kplib.compile(model)
assert torch.allclose(torch.from_numpy(network(x.numpy())), model(x), atol=1e-5)
print("compile:", network.loader)
"""
DATA = """
import kplib.data
print(len(kplib.data.DATA_SETS), "data sets")
"""
COMMAND = """
import subprocess, sys
shapes = [sys.executable, "-m", "kplib", "shapes", "14", "15"]
lines = subprocess.run(shapes, capture_output=True, text=True, check=True).stdout.splitlines()
assert any("Pareto front" in line for line in lines)
print("kplib shapes:", len(lines), "lines")
"""
FIGURES = """
import kplib.plots, kplib.widgets
assert kplib.plots.kron_blocks(A, B).description
print("widget:", type(kplib.widgets.ShapeExplorer()).__name__)
"""

USES = {
    "core": Use(CORE + NO_TORCH, CORE_TESTS),
    "kernels": Use(CORE + KRON, ("kernels/test_matvec.py", "kernels/test_buffers.py")),
    "nn": Use(CORE + NETWORK, ("nn/test_parity.py", "nn/test_lstm.py")),
    "kernels,nn": Use(CORE + KRON + NETWORK, ("engine/test_parity.py",)),
    "data": Use(
        CORE + DATA, ("data/test_sets.py", "data/test_signals.py", "data/test_downloads.py")
    ),
    "bench": Use(CORE + COMMAND, ("bench/test_timing.py",)),
    "sweep,data,nn": Use(CORE + "import kplib.experiments.sweeps; print('sweep')"),
    "book": Use(CORE + FIGURES, ("test_plots_shapes.py", "test_plots_matrices.py")),
}


def find_pythons(wanted: tuple[str, ...]) -> dict[str, str]:
    """Return version -> program for the versions that are on this machine.

    They are looked for on PATH and among pyenv's, whose programs on PATH work for one version only.
    """
    pyenv = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv"), "versions")
    found = {}
    for version in wanted:
        own = sorted(pyenv.glob(f"{version}.*/bin/python"), reverse=True)
        for program in [shutil.which(f"python{version}"), *own]:
            if program and _version(str(program)) == version:
                found[version] = str(program)
                break
    return found


def _version(program: str) -> str:
    """Return the program's version as "3.12", or "" if it does not run or cannot make venvs."""
    code = "import ensurepip, sys, venv; print('%d.%d' % sys.version_info[:2])"
    done = subprocess.run([program, "-c", code], capture_output=True, text=True, check=False)
    return done.stdout.strip()


def last_line(command: list[str], cwd: Path, log: Path, **env: str) -> tuple[bool, str]:
    """Run a command in a folder of no project; return whether it succeeded and its last line."""
    env = {k: v for k, v in os.environ.items() if k not in {"PYTHONPATH", "PYTHONHOME"}} | env
    done = subprocess.run(command, cwd=cwd, env=env, capture_output=True, text=True, check=False)
    log.write_text(done.stdout + done.stderr, encoding="utf-8")
    lines = (done.stdout.strip() or done.stderr.strip()).splitlines()
    if done.returncode and done.stderr.strip():
        lines = done.stderr.strip().splitlines()
    return done.returncode == 0, lines[-1].strip("= ") if lines else ""


def import_seconds(python: str, cwd: Path) -> float:
    """Return the best of three times of `import kplib`, as tests/test_packaging.py takes them."""
    code = "import time; t = time.process_time(); import kplib; print(time.process_time() - t)"
    command = [python, "-c", code]
    return min(
        float(subprocess.run(command, cwd=cwd, capture_output=True, text=True, check=True).stdout)
        for _ in range(3)
    )


def copy_tests(work: Path) -> None:
    """Lay the tests and pytest's settings where no `kplib` folder can be imported instead."""
    shutil.copytree(ROOT / "tests", work / "tests", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "pyproject.toml", work)


def check(wheel: Path, extra: str, program: str, logs: Path, pinned: bool) -> tuple[bool, str]:
    """Install and use one extra with one Python; return whether all is well, and the table's row.

    Raises
    ------
    StepError
        If it cannot be installed.
    """
    use = USES[extra]
    with tempfile.TemporaryDirectory(prefix="kplib-extras-") as temporary:
        work = Path(temporary)
        copy_tests(work)
        environment = Environment(work / "env", logs, constrained=pinned)
        subprocess.run([program, "-m", "venv", str(environment.place)], check=True)
        started = time.monotonic()
        if pinned and WITH_TORCH & {*extra.split(",")}:
            environment.install_torch()
        wanted = str(wheel) if extra == "core" else f"{wheel}[{extra}]"
        environment.pip(f"Install kplib[{extra}]", wanted, "pytest", "hypothesis", "mypy")
        installed = time.monotonic() - started
        python = environment.python
        seconds = import_seconds(python, work)
        used, word = last_line([python, "-c", use.code], work, logs / "use.txt")
        passed, summary = True, "-"
        if use.tests:
            tests = [f"tests/{name}" for name in use.tests]
            pytest = [python, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-m", LEFT_OUT]
            packages = subprocess.run(
                [python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))"],
                capture_output=True,
                text=True,
                check=True,
            ).stdout.strip()
            passed, summary = last_line(
                [*pytest, *tests], work, logs / "tests.txt", KPLIB_EXPECTED_IN=packages
            )
        good = used and passed and seconds < IMPORT_SECONDS
        return good, f"{installed:4.0f} s   {seconds:.2f} s   {word} | {summary}"


def main(arguments: list[str] | None = None) -> int:
    """Check every extra with every Python, then print the table; 1 if anything fails."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path, help="where the wheel is")
    parser.add_argument("--extras", nargs="*", default=[*USES], choices=[*USES])
    parser.add_argument("--pythons", nargs="*", default=[*PYTHONS], metavar="3.X")
    parser.add_argument("--latest", action="store_true", help="newest versions, no constraints.txt")
    parser.add_argument("--logs", type=Path, default=ROOT / "_build" / "extras")
    options = parser.parse_args(arguments)
    rows, failures = [], 0
    try:
        wheel = newest_wheel(options.folder).resolve()
    except StepError as error:
        print(error, file=sys.stderr)
        return 1
    pythons = find_pythons(tuple(options.pythons))
    for version in options.pythons:
        for extra in options.extras if version in pythons else []:
            logs = options.logs.absolute() / f"{version}-{extra.replace(',', '-')}"
            shutil.rmtree(logs, ignore_errors=True)
            logs.mkdir(parents=True)
            print(f"--- Python {version}, {extra}", flush=True)
            try:
                good, row = check(wheel, extra, pythons[version], logs, not options.latest)
            except StepError as error:
                print(error, file=sys.stderr)
                good, row = False, "does not install"
            failures += not good
            rows.append(f"{version}    {extra:12s} {'ok  ' if good else 'FAIL'}  {row}")
            print(rows[-1], flush=True)
        if version not in pythons:
            rows.append(f"{version}    not on this machine: nothing is known")
    print("\nPython  extra        all   install  import   in use | tests")
    print("\n".join(rows))
    return 1 if failures or not pythons else 0


if __name__ == "__main__":
    sys.exit(main())
