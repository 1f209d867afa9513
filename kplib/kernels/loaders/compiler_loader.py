"""The loader for machines without cppyy: the system's C++ compiler makes a library for ctypes.

``KPLIB_CXX`` names the compiler (else ``CXX``, g++, clang++, c++), ``KPLIB_CXXFLAGS`` replaces the
flags.
"""

import ctypes
import os
import platform
import shlex
import shutil
import subprocess
import tempfile
import threading
from functools import cache
from pathlib import Path

import numpy as np

from kplib.kernels.loaders.base import CompiledImplementation, Kernel
from kplib.kernels.program import INCLUDE, Program

name = "compiler"
_lock = threading.Lock()


def compiler() -> list[str]:
    """Return the compiler's command, as a list of words; empty if there is none.

    ``KPLIB_CXX`` is taken at its word; ``CXX`` only if it exists.
    """
    if wanted := os.environ.get("KPLIB_CXX"):
        return _found(wanted)
    usual = (os.environ.get("CXX", ""), "g++", "clang++", "c++")
    return next((words for command in usual if (words := _found(command))), [])


def _found(command: str) -> list[str]:
    words = shlex.split(command)
    return words if words and shutil.which(words[0]) else []


def missing() -> str:
    """Return why this loader cannot be used here, or ""."""
    cxx = compiler()
    if cxx:
        return _trial(tuple(cxx))
    if wanted := os.environ.get("KPLIB_CXX"):
        return f"KPLIB_CXX is {wanted!r}, which is not on PATH"
    return "no C++ compiler: g++, clang++ and c++ are not on PATH"


@cache
def _trial(cxx: tuple[str, ...]) -> str:
    """Compile a line once; return what went wrong."""
    command = [*cxx, "-std=c++17", "-fsyntax-only", "-x", "c++", "-"]
    text = "#include <new>\nint kplib_trial = sizeof(std::align_val_t);\n"
    done = subprocess.run(command, input=text, capture_output=True, text=True, check=False)
    if done.returncode == 0:
        return ""
    return f"{shlex.join(cxx)} does not compile C++17: {done.stderr.strip()[:200]}"


def flags() -> str:
    """Return the flags that programs are compiled with."""
    native = "-mcpu=native" if platform.machine() in ("aarch64", "arm64") else "-march=native"
    return os.environ.get("KPLIB_CXXFLAGS", f"-O3 {native}")


@cache
def _kernel(program: Program, cxx: tuple[str, ...], cxx_flags: str) -> Kernel:
    text = (
        program.unit
        + f'extern "C" void kplib_table(std::intptr_t out) {{ {program.namespace}::table(out); }}\n'
    )
    with tempfile.TemporaryDirectory(prefix="kplib-") as folder:
        source, library = Path(folder, "kernel.cpp"), Path(folder, "kernel.so")
        source.write_text(text)
        command = [
            *cxx, "-std=c++17", *shlex.split(cxx_flags), "-fno-fast-math", "-shared", "-fPIC",
            f"-I{INCLUDE}", str(source), "-o", str(library),
        ]  # fmt: skip
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode != 0:
            raise RuntimeError(f"{shlex.join(command)}\nfailed:\n{done.stderr}")
        loaded = ctypes.CDLL(str(library))  # stays mapped when the file is gone
    loaded.kplib_table.argtypes = [ctypes.c_ssize_t]
    loaded.kplib_table.restype = None
    return Kernel.from_table(loaded.kplib_table, keep_alive=loaded)


def implement(program: Program, operands: tuple[np.ndarray, ...]) -> CompiledImplementation:
    """Compile the program, if it is new, and pack these operands."""
    if reason := missing():
        raise RuntimeError(reason)
    with _lock:
        kernel = _kernel(program, tuple(compiler()), flags())
    return CompiledImplementation(kernel, program, operands)
