"""Run the tests against the built wheel, in a place from which the checkout cannot be seen.

    .venv/bin/python tools/check_wheel.py dist [ARGUMENTS FOR PYTEST]

A second environment holds the wheel alone; what kplib depends on, it borrows from the first. Tests
that need the checkout or the built book (markers `repository`, `book`, `browser`) are left to
`make test`. Run it with the first environment's Python.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import sysconfig
import tempfile
import venv
from pathlib import Path

from step import StepError, run_step

ROOT = Path(__file__).resolve().parents[1]
LEFT_OUT = "not repository and not book and not browser"


def newest_wheel(folder: Path) -> Path:
    """Return the wheel in `folder` that was built last."""
    wheels = sorted(folder.glob("kplib-*.whl"), key=lambda path: path.stat().st_mtime)
    if not wheels:
        raise StepError(f"*** there is no wheel in {folder}\n    what to do: make wheel")
    return wheels[-1]


def install(wheel: Path, place: Path) -> tuple[str, Path]:
    """Make an environment with the wheel; return its Python and its site-packages.

    The first environment's packages come after its own on the path. They are named in a `.pth`
    file, from which Python takes the folder but not that folder's own `.pth` files: the editable
    install of the checkout, which is such a file, stays out of sight.
    """
    venv.create(place, with_pip=False)
    python = str(place / "bin" / "python")
    paths = sysconfig.get_paths(vars={"base": str(place), "platbase": str(place)})
    packages = Path(paths["purelib"])
    pip = [sys.executable, "-m", "pip", "--python", python, "install", "--no-deps"]
    run_step("Install the wheel", [*pip, str(wheel)], log=place / "log" / "install.txt")
    (packages / "borrowed.pth").write_text(sysconfig.get_path("purelib") + "\n")
    return python, packages


def main(pytest_arguments: list[str], folder: Path) -> int:
    """Install the newest wheel of `folder` and run the tests; return pytest's exit status."""
    with tempfile.TemporaryDirectory(prefix="kplib-wheel-") as temporary:
        work = Path(temporary, "work")
        # Only the tests and pytest's settings: no `kplib` folder lies here to be imported instead.
        shutil.copytree(
            ROOT / "tests", work / "tests", ignore=shutil.ignore_patterns("__pycache__")
        )
        shutil.copy(ROOT / "pyproject.toml", work)
        try:
            python, packages = install(newest_wheel(folder), Path(temporary, "env"))
        except StepError as error:
            print(error, file=sys.stderr)
            return 1
        # tests/test_packaging.py asserts that kplib was imported from there.
        env = {**os.environ, "KPLIB_EXPECTED_IN": str(packages)}
        print("==> Run the tests against the installed wheel", flush=True)
        pytest = [python, "-m", "pytest", "-m", LEFT_OUT, *pytest_arguments]
        return subprocess.run(pytest, cwd=work, env=env, check=False).returncode


if __name__ == "__main__":
    if len(sys.argv) < 2:
        sys.exit(__doc__)
    sys.exit(main(sys.argv[2:], Path(sys.argv[1])))
