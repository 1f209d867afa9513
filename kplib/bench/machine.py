"""What a timing was measured on: machine, libraries, code, command. No names, no places."""

import datetime
import os
import platform
import re
import shlex
import subprocess
from collections.abc import Sequence
from importlib import metadata
from pathlib import Path

import kplib
from kplib.bench.record import without_folders
from kplib.kernels.loaders.compiler_loader import compiler

VECTOR_EXTENSIONS = (
    "sse4_2", "avx", "fma", "avx2", "avx512f", "avx512_fp16", "asimd", "sve", "sve2",
)  # fmt: skip
"""Those of the CPU's flags that decide how fast a float32 kernel can be."""

LIBRARIES = (
    "numpy", "scipy", "numba", "torch", "cppyy", "cppyy-cling",
    "pyfastkron", "pylops", "linear-operator", "pykronecker", "jax", "jaxlib",
    "onnx", "onnxruntime", "onnxscript", "openvino",
)  # fmt: skip


def provenance(arguments: Sequence[str]) -> dict[str, object]:
    """Return what a record needs to be understood and repeated.

    Parameters
    ----------
    arguments : sequence of str
        Arguments of the ``kplib`` command, without the program's own name.

    Returns
    -------
    dict
        ``command``, ``date`` (UTC), ``kplib``, ``machine``, ``libraries``: JSON types only. No host
        name, no user name, no absolute path.

    Examples
    --------
    >>> record = provenance(["bench", "matvec", "--json", "/tmp/somewhere/record.json"])
    >>> record["command"] == "kplib bench matvec --json record.json"
    True
    """
    now = datetime.datetime.now(datetime.UTC)
    return {
        "command": without_folders(shlex.join(["kplib", *arguments])),
        "date": now.isoformat(timespec="seconds"),
        "kplib": code_version(),
        "machine": machine(),
        "libraries": libraries(),
    }


def code_version() -> dict[str, object]:
    """Return kplib's version and, in a checkout, the commit and whether kplib/ differs from it.

    Examples
    --------
    >>> code_version()["version"] == kplib.__version__
    True
    """
    root = Path(kplib.__file__).parent.parent
    version: dict[str, object] = {"version": kplib.__version__}
    # An installed kplib may lie below somebody else's checkout: only its own root counts.
    if (root / ".git").exists() and (commit := _output("git", "rev-parse", "HEAD", cwd=root)):
        changes = _output("git", "status", "--porcelain", "--", "kplib", cwd=root)
        version |= {"commit": commit, "modified": bool(changes)}
    return version


def machine() -> dict[str, object]:
    """Return the CPU, its vector extensions, caches, clock and load, as far as the system tells.

    Examples
    --------
    >>> machine()["cores"] == os.cpu_count()
    True
    """
    cpu = _cpuinfo()
    flags = cpu.get("flags", cpu.get("Features", "")).split()
    clock = cpu.get("cpu MHz")
    return {
        "architecture": platform.machine(),
        "cpu": cpu.get("model name") or platform.processor() or "unknown",
        # A cloud's "model name" may name no model; family and model number do.
        "cpu_id": {
            key: cpu[key] for key in ("vendor_id", "cpu family", "model", "stepping") if key in cpu
        },
        "vector_extensions": [flag for flag in VECTOR_EXTENSIONS if flag in flags],
        "caches": _caches(),
        "cores": os.cpu_count(),
        "clock_mhz": float(clock) if clock else None,
        "load_average": load_average(),
        "system": f"{platform.system()} {platform.release()}",
        "python": f"{platform.python_implementation()} {platform.python_version()}",
    }


def load_average() -> list[float] | None:
    """Return the load over one, five and fifteen minutes; None where the system has no such figure.

    Examples
    --------
    >>> load_average() is None or len(load_average()) == 3
    True
    """
    if not hasattr(os, "getloadavg"):
        return None
    return [round(load, 2) for load in os.getloadavg()]


def libraries() -> dict[str, object]:
    """Return the versions of the timed libraries, of their BLAS, and of the compiler.

    Examples
    --------
    >>> libraries()["versions"]["numpy"] == metadata.version("numpy")
    True
    """
    cxx = compiler()
    first_line = (_output(*cxx, "--version") or "").partition("\n")[0] if cxx else ""
    return {
        "versions": {name: version for name in LIBRARIES if (version := _version(name))},
        "blas": blas(),
        "compiler": without_folders(first_line) or None,
    }


def blas() -> list[dict[str, object]]:
    """Return every BLAS that is loaded: version, kernels it chose for this CPU, threads.

    The choice of kernels matters: an OpenBLAS that does not know a CPU falls back on older ones.

    Examples
    --------
    >>> import scipy.linalg
    >>> isinstance(blas(), list)
    True
    """
    from threadpoolctl import threadpool_info

    return [
        {
            "loaded_by": Path(info["filepath"]).parent.name.removesuffix(".libs"),
            "name": info["internal_api"],
            "version": info["version"],
            "kernels": info.get("architecture"),
            "threads": info["num_threads"],
        }
        for info in threadpool_info()
        if info["user_api"] == "blas"
    ]


def _version(name: str) -> str | None:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None


def _output(*command: str, cwd: Path | None = None) -> str | None:
    """Return the standard output of a command; None where it cannot be run or fails."""
    try:
        done = subprocess.run(
            command, cwd=cwd, capture_output=True, text=True, timeout=30, check=True
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.strip()


def _cpuinfo() -> dict[str, str]:
    """Return the first processor of /proc/cpuinfo; empty where there is none."""
    try:
        text = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return {}
    first = text.strip().partition("\n\n")[0]
    return dict(re.findall(r"^(.+?)\s*:[ \t]*(.*)$", first, flags=re.MULTILINE))


def _caches() -> dict[str, str]:
    """Size by level of the first core's data caches, such as {"L1": "48K"}."""
    found = {}
    for index in sorted(Path("/sys/devices/system/cpu/cpu0/cache").glob("index*")):
        try:
            level, kind, size = (
                (index / name).read_text().strip() for name in ("level", "type", "size")
            )
        except OSError:
            continue
        if kind != "Instruction":
            found[f"L{level}"] = size
    return found
