"""What must be on the machine before `make` can start, and how to get it.

The one list of system packages: `make book` checks the first part, `make test` and `.ci/run`
install what is missing of both. Standard library only, and readable by an old Python, so that
it can say that Python is too old.

    python3 tools/prerequisites.py book               # check; exit status 1 if something is missing
    python3 tools/prerequisites.py --install book test    # get what is missing with apt-get
    python3 tools/prerequisites.py --browser              # print the browser that the tests drive
"""

from __future__ import annotations

import argparse
import importlib.util
import os
import platform
import shutil
import subprocess
import sys
import sysconfig
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

OLDEST_PYTHON = (3, 11)

BROWSERS = (
    "chromium",
    "google-chrome",
    "google-chrome-stable",
    "chromium-browser",
    "/Applications/Chromium.app/Contents/MacOS/Chromium",
    "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome",
)


def find_python() -> str | None:
    """Return the running Python's version if it is new enough."""
    return sys.version.split()[0] if sys.version_info >= OLDEST_PYTHON else None


def find_venv() -> str | None:
    """Return "venv" if this Python can make environments with pip in them."""
    # Debian ships the `venv` module without `ensurepip`; both are needed.
    found = all(importlib.util.find_spec(name) for name in ("venv", "ensurepip"))
    return "venv" if found else None


def find_headers() -> str | None:
    """Return the path of Python.h: cppyy's extension is compiled against it."""
    header = Path(sysconfig.get_path("include"), "Python.h")
    return str(header) if header.is_file() else None


def find_compiler() -> str | None:
    """Return the C++ compiler: $CXX, or the first that is installed."""
    return _which(os.environ.get("CXX", ""), "g++", "c++", "clang++")


def find_browser() -> str | None:
    """Return a Chromium or Chrome that starts; `$KPLIB_BROWSER` goes first."""
    named = os.environ.get("KPLIB_BROWSER")
    for candidate in (named,) if named else BROWSERS:
        path = shutil.which(candidate)
        if path and _starts(path):
            return path
    return None


def find_eigen() -> str | None:
    """Return the folder of Eigen's headers, a peer in the kernel benchmarks."""
    for prefix in ("/usr", "/usr/local", "/opt/homebrew"):
        if Path(prefix, "include/eigen3/Eigen/Core").is_file():
            return prefix + "/include/eigen3"
    return None


def find_clang() -> str | None:
    """Return clang++ if it has its sanitizers; the kernels' header is compiled with it, too."""
    clang = _which("clang++")
    if clang is None or sys.platform != "linux":
        return clang
    for name in (f"libclang_rt.asan-{platform.machine()}.a", "libclang_rt.asan.a"):
        found = subprocess.run(
            [clang, f"-print-file-name={name}"], capture_output=True, text=True, check=False
        ).stdout.strip()
        if os.path.isabs(found):
            return clang
    return None


def find_cross_compiler() -> str | None:
    """Return the compiler for aarch64."""
    return _which("aarch64-linux-gnu-g++")


def find_qemu() -> str | None:
    """Return the emulator that runs aarch64 programs."""
    return _which("qemu-aarch64-static", "qemu-aarch64")


def find_llvm_mca() -> str | None:
    """Return LLVM's model of processors."""
    return _which("llvm-mca", *(f"llvm-mca-{number}" for number in range(14, 25)))


def find_arm_compiler() -> str | None:
    """Return the C compiler for Cortex-M if it has a C library."""
    return _compiles("arm-none-eabi-gcc", "-mcpu=cortex-m0", "-mthumb")


def find_avr_compiler() -> str | None:
    """Return the C compiler for the Arduino Uno if it has a C library."""
    return _compiles("avr-gcc", "-mmcu=atmega328p")


def find_arm_emulator() -> str | None:
    """Return the emulator that runs programs of a Cortex-M."""
    return _which("qemu-system-arm")


def find_simavr() -> str | None:
    """Return the simulator of the Arduino Uno."""
    return _which("simavr")


def find_simavr_headers() -> str | None:
    """Return the path of simavr's header: the device benchmark is built on its library."""
    for prefix in ("/usr", "/usr/local", "/opt/homebrew"):
        header = Path(prefix, "include/simavr/sim_avr.h")
        if header.is_file():
            return str(header)
    return None


def find_git() -> str | None:
    """Return git, with which the tests list the repository's files."""
    return _which("git")


def _which(*names: str) -> str | None:
    return next((path for name in names if name and (path := shutil.which(name))), None)


def _compiles(name: str, *flags: str) -> str | None:
    """Return the path of a C compiler that finds <math.h>: Debian has the libraries apart."""
    path = shutil.which(name)
    if path is None:
        return None
    command = [path, *flags, "-x", "c", "-fsyntax-only", "-"]
    done = subprocess.run(command, input=b"#include <math.h>", capture_output=True, check=False)
    return path if done.returncode == 0 else None


def _starts(path: str) -> bool:
    # Ubuntu's `chromium-browser` may be a script that only says how to get the snap.
    try:
        done = subprocess.run([path, "--version"], capture_output=True, timeout=60, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return False
    return done.returncode == 0


@dataclass(frozen=True)
class Prerequisite:
    """Something the machine must have, how to find it and which packages bring it."""

    name: str
    find: Callable[[], str | None]
    debian: list[str] = field(default_factory=list)
    elsewhere: str = ""


PYTHON_ELSEWHERE = "Fedora: dnf install python3-devel; macOS: brew install python"
GROUPS = {
    "book": [
        Prerequisite(
            "Python {}.{} or newer".format(*OLDEST_PYTHON),
            find_python,
            elsewhere="Debian 12, Ubuntu 24.04 and newer: apt-get install python3; Ubuntu 22.04: "
            "apt-get install python3.11 python3.11-venv python3.11-dev. "
            "Then name it: make PYTHON=python3.11 book",
        ),
        Prerequisite("Python's venv with pip", find_venv, ["python3-venv"], PYTHON_ELSEWHERE),
        Prerequisite("Python's C headers", find_headers, ["python3-dev"], PYTHON_ELSEWHERE),
        Prerequisite(
            "a C++ compiler",
            find_compiler,
            ["g++"],
            "Fedora: dnf install gcc-c++; macOS: xcode-select --install",
        ),
    ],
    "test": [
        Prerequisite(
            "a Chromium or Chrome browser",
            find_browser,
            ["chromium"],
            "Fedora: dnf install chromium; macOS: brew install --cask chromium; "
            "Ubuntu, whose chromium is a snap: install Google Chrome. "
            "One in another place: KPLIB_BROWSER=/path/to/chrome make test",
        ),
        Prerequisite("git", find_git, ["git"], "Fedora: dnf install git; macOS: brew install git"),
        Prerequisite(
            "clang++ with its sanitizers",
            find_clang,
            ["clang", "libclang-rt-dev"],
            "Fedora: dnf install clang compiler-rt; macOS: xcode-select --install",
        ),
        Prerequisite(
            "a C++ compiler for aarch64",
            find_cross_compiler,
            ["g++-aarch64-linux-gnu"],
            "on Linux only; the kernel tests cross-compile with it",
        ),
        Prerequisite(
            "the emulator for aarch64",
            find_qemu,
            ["qemu-user-static"],
            "Fedora: dnf install qemu-user-static",
        ),
        Prerequisite(
            "LLVM's model of processors",
            find_llvm_mca,
            ["llvm"],
            "Fedora: dnf install llvm",
        ),
        Prerequisite(
            "a C compiler for Cortex-M, with a library",
            find_arm_compiler,
            ["gcc-arm-none-eabi", "libnewlib-arm-none-eabi"],
            "Fedora: dnf install arm-none-eabi-gcc arm-none-eabi-newlib",
        ),
        Prerequisite(
            "the emulator of Cortex-M boards",
            find_arm_emulator,
            ["qemu-system-arm"],
            "Fedora: dnf install qemu-system-arm; macOS: brew install qemu",
        ),
        Prerequisite(
            "a C compiler for AVR, with a library",
            find_avr_compiler,
            ["gcc-avr", "avr-libc"],
            "Fedora: dnf install avr-gcc avr-libc",
        ),
        Prerequisite(
            "the simulator of the Arduino Uno",
            find_simavr,
            ["simavr"],
            "Fedora: dnf install simavr",
        ),
        Prerequisite(
            "the library of that simulator, with headers",
            find_simavr_headers,
            ["libsimavr-dev"],
            "Fedora: dnf install simavr-devel",
        ),
        Prerequisite(
            "Eigen's headers",
            find_eigen,
            ["libeigen3-dev"],
            "Fedora: dnf install eigen3-devel; macOS: brew install eigen",
        ),
    ],
}


def missing(groups: list[str]) -> list[Prerequisite]:
    """Return those of the groups' prerequisites that are not found."""
    return [item for group in groups for item in GROUPS[group] if item.find() is None]


def how_to_get(item: Prerequisite) -> str:
    """Return what to type for one missing prerequisite."""
    ways = [item.elsewhere] if item.elsewhere else []
    if item.debian:
        ways.insert(0, "Debian, Ubuntu: apt-get install " + " ".join(item.debian))
    return f"    missing: {item.name}\n" + "\n".join(f"        {way}" for way in ways)


def install(packages: list[str]) -> bool:
    """Install Debian packages with apt-get, through sudo where needed; False if that failed."""
    become_root = []
    if os.geteuid() != 0:
        if not shutil.which("sudo"):
            print("    not root, and there is no sudo", file=sys.stderr)
            return False
        # Without a terminal nobody can type a password: fail instead of waiting for one.
        become_root = ["sudo"] if sys.stdin.isatty() else ["sudo", "-n"]
    apt = [*become_root, "env", "DEBIAN_FRONTEND=noninteractive", "apt-get", "-q"]
    options = ["-o", "Acquire::Retries=3"]
    print(f"==> Install system packages: {' '.join(packages)}", flush=True)
    return all(
        subprocess.run([*apt, *options, *words], stdout=subprocess.DEVNULL, check=False).returncode
        == 0
        for words in (["update"], ["install", "-y", "--no-install-recommends", *packages])
    )


def main(arguments: list[str] | None = None) -> int:
    """Check, or check and install, what the command line names."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("groups", nargs="*", metavar="GROUP", help=f"one or more of {[*GROUPS]}")
    parser.add_argument("--install", action="store_true", help="get what is missing with apt-get")
    parser.add_argument("--browser", action="store_true", help="print the browser's path")
    options = parser.parse_args(arguments)
    for group in options.groups:
        if group not in GROUPS:
            parser.error(f"there is no group {group}; there are: {', '.join(GROUPS)}")
    if options.browser:
        browser = find_browser()
        print(browser or "")
        return 0 if browser else 1
    absent = missing(options.groups)
    packages = sorted({package for item in absent for package in item.debian})
    if options.install and packages and shutil.which("apt-get"):
        install(packages)
        absent = missing(options.groups)
    if absent:
        print("*** Something this needs is not on the machine:", file=sys.stderr)
        print("\n".join(map(how_to_get, absent)), file=sys.stderr)
        return 1
    found = len([item for group in options.groups for item in GROUPS[group]])
    print(
        f"==> Prerequisites for {' and '.join(options.groups)}: all {found} are there", flush=True
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
