"""Make the environment in which the book is built and the tests run.

    python3 tools/setup_env.py .venv

Installs the versions of constraints.txt, PyTorch's CPU build before anything that depends on
torch, and kplib itself in editable form. A second run returns at once, unless something that
the environment depends on has changed. Standard library only.
"""

from __future__ import annotations

import argparse
import hashlib
import re
import sys
import time
from pathlib import Path

import prerequisites
from step import StepError, run_step

ROOT = Path(__file__).resolve().parents[1]
CPU_INDEX = "https://download.pytorch.org/whl/cpu"
WITH_TORCH = {"all", "nn", "book"}
NETWORK_HINT = "is the network up? Run the same command again: what was downloaded is kept"


def pinned(name: str) -> str:
    """Return `name==version` as constraints.txt pins it."""
    text = (ROOT / "constraints.txt").read_text(encoding="utf-8")
    found = re.search(rf"^{re.escape(name)}==\S+", text, re.MULTILINE)
    if not found:
        raise StepError(f"*** constraints.txt does not pin {name}")
    return found.group()


def fingerprint(extras: str) -> str:
    """Return a hash of everything that the environment is made from."""
    # Of kplib only the version goes in: the install is editable, its code is read in place.
    version = re.search(r"__version__.*", (ROOT / "kplib/__init__.py").read_text(encoding="utf-8"))
    parts = [str(ROOT), sys.version, extras, version.group() if version else ""]
    files = ("pyproject.toml", "constraints.txt", "tools/setup_env.py")
    parts += [(ROOT / name).read_text(encoding="utf-8") for name in files]
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()


class Environment:
    """A virtual environment and the steps that fill it.

    Parameters
    ----------
    place : Path
        Its folder.
    logs : Path, optional
        Where the output of the steps goes; by default into the environment.
    constrained : bool
        Whether the versions are those of constraints.txt.
    """

    def __init__(self, place: Path, logs: Path | None = None, constrained: bool = True) -> None:
        self.place = place
        self.python = str(place / "bin" / "python")
        self.logs = logs or place / "log"
        self.constrained = constrained

    def step(self, title: str, command: list[str], hint: str = NETWORK_HINT) -> None:
        """Run one step; its output goes to a log in the environment."""
        name = re.sub(r"\W+", "-", title.split("(")[0].strip().lower())
        run_step(title, command, hint=hint, log=self.logs / f"{name}.txt")

    def pip(self, title: str, *words: str) -> None:
        """Install with this environment's pip, within the constraints if there are any."""
        constraints = ["-c", str(ROOT / "constraints.txt")] if self.constrained else []
        self.step(title, [self.python, "-m", "pip", "install", *constraints, *words])

    def create(self) -> None:
        """Create the environment; one of another Python version is emptied first."""
        settings = self.place / "pyvenv.cfg"
        if self.place.exists() and any(self.place.iterdir()) and not settings.is_file():
            raise StepError(
                f"*** {self.place} is neither empty nor a virtual environment\n"
                "    what to do: name another place with VENV="
            )
        minor = "{}.{}".format(*sys.version_info)
        clear = settings.is_file() and not re.search(
            rf"^version = {re.escape(minor)}\.", settings.read_text(), re.MULTILINE
        )
        run_step(
            f"Create the environment {self.place} (Python {minor})",
            [sys.executable, "-m", "venv", *(["--clear"] if clear else []), str(self.place)],
            hint="is there room on the disk, may you write there? VENV= names another place",
        )

    def install_torch(self) -> None:
        """Install PyTorch's CPU build before anything can ask for torch.

        On Linux the usual index serves the build with CUDA, which is several gigabytes. What
        torch depends on comes later, with the rest: PyTorch's own index may lack our versions.
        """
        torch = pinned("torch")
        if sys.platform == "linux":
            cpu_only = ["--index-url", CPU_INDEX, "--retries", "0", "--timeout", "15"]
            try:
                self.pip(f"Install {torch} from PyTorch's CPU index", "--no-deps", *cpu_only, torch)
                return
            except StepError:
                print("    not to be had there, so from the usual one:", flush=True)
        self.pip(f"Install {torch} from the usual index", "--no-deps", torch)

    def install_kplib(self, extras: str) -> None:
        """Install kplib in place, with what the extras name."""
        self.pip(
            "Install kplib and what it needs (about 3 minutes the first time)",
            "--editable",
            f"{ROOT}[{extras}]",
        )
        self.step(
            "Check that the versions fit together",
            [self.python, "-m", "pip", "check"],
            hint="correct constraints.txt",
        )

    def check_torch(self) -> None:
        """Warn where torch is the build with CUDA."""
        check = "import sys, torch; sys.exit(torch.version.cuda is not None)"
        try:
            self.step("Check that torch is the CPU build", [self.python, "-c", check])
        except StepError:
            print(
                "    warning: it is not, or cannot be imported. A build with CUDA works too, but"
                f" takes gigabytes that nothing here uses; see {self.logs}",
                flush=True,
            )

    def warm_up(self) -> None:
        """Import cppyy once: it then builds its precompiled header, and says so on stdout."""
        self.step(
            "Build cppyy's precompiled header",
            [self.python, "-c", "import cppyy; cppyy.cppdef('int kplib_setup_probe = 1;')"],
            hint="is g++ installed? `python3 tools/prerequisites.py book` tells",
        )


def set_up(place: Path, extras: str) -> None:
    """Bring the environment at `place` up to date with the checkout."""
    stamp = place / "kplib-setup.sha256"
    wanted = fingerprint(extras)
    environment = Environment(place)
    if stamp.is_file() and stamp.read_text() == wanted and Path(environment.python).exists():
        print(f"==> The environment {place} is up to date", flush=True)
        return
    started = time.monotonic()
    chosen = set(extras.split(","))
    environment.create()
    if chosen & WITH_TORCH:
        environment.install_torch()
    environment.install_kplib(extras)
    if chosen & WITH_TORCH:
        environment.check_torch()
    if chosen & {"all", "kernels"}:
        environment.warm_up()
    stamp.write_text(wanted)
    print(f"    the environment is ready: {time.monotonic() - started:.0f} s in all", flush=True)


def main(arguments: list[str] | None = None) -> int:
    """Check the prerequisites, then set the environment up."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("place", type=Path, help="folder of the environment")
    parser.add_argument("--extras", default="all", help="kplib's extras (default: all)")
    options = parser.parse_args(arguments)
    if prerequisites.main(["book"]):
        return 1
    try:
        set_up(options.place.absolute(), options.extras)
    except StepError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
