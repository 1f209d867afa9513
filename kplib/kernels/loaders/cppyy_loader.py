"""The default loader: cppyy's Cling compiles a program in the running process.

cppyy's own flags are ``-O2 -march=native``; portable vectors need no more. ``EXTRA_CLING_ARGS`` is
kept with a record because cppyy reads it, but in cppyy 3.5 the compiled code's vector extensions
and ``__OPTIMIZE__`` stay those of this machine, whatever it says.
"""

import importlib.util
import os
import sysconfig
import threading
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from kplib.kernels.loaders.base import CompiledImplementation, Kernel, address
from kplib.kernels.program import INCLUDE, Program

name = "cppyy"
_lock = threading.RLock()


@cache
def missing() -> str:
    """Return why cppyy cannot be used here, or ""."""
    if importlib.util.find_spec("cppyy") is None:
        return "cppyy is not installed (pip install 'kplib[kernels]')"
    try:
        _cppyy()
    except Exception as error:  # cppyy raises whatever its compiler does
        return f"cppyy does not start: {error}"
    return ""


def flags() -> str:
    """Return the flags that Cling was started with."""
    return _started()[1]


@cache
def _started() -> tuple[Any, str]:
    """Import cppyy; return it and the flags, which cannot be changed from then on."""
    import cppyy

    cppyy.add_include_path(str(INCLUDE))
    return cppyy, os.environ.get("EXTRA_CLING_ARGS", "-O2 -march=native").strip()


def _cppyy() -> Any:
    return _started()[0]


@cache
def _call_makers() -> Any:
    """Return the C++ namespace with `make_bound` and `make_call`; None without Python's headers."""
    cppyy = _cppyy()
    python_include = sysconfig.get_paths()["include"]
    if not Path(python_include, "Python.h").exists():
        return None
    cppyy.add_include_path(python_include)
    cppyy.include("kplib/bound_call.hpp")
    return cppyy.gbl.kplib


@cache
def _kernel(program: Program) -> Kernel:
    cppyy = _cppyy()
    cppyy.cppdef("namespace kplib_compiled {}")
    # Cling keeps its definitions when this module is reloaded, and takes none a second time.
    if not hasattr(cppyy.gbl.kplib_compiled, program.name):
        cppyy.cppdef(program.unit)
    compiled = getattr(cppyy.gbl.kplib_compiled, program.name)
    return Kernel.from_table(compiled.table, keep_alive=compiled)


class _CppyyImplementation(CompiledImplementation):
    """Calls through C functions of Python's that Cling compiles: no ctypes on the way."""

    def __init__(self, kernel: Kernel, program: Program, operands: tuple[np.ndarray, ...],
                 makers: Any) -> None:  # fmt: skip
        super().__init__(kernel, program, operands)
        self._makers = makers
        self._call = (
            self._kernel.run_address, self.weights_address, program.x_bytes, program.y_bytes,
            program.sequence, float(program.macs),
        )  # fmt: skip
        self._run = makers.make_call(*self._call, self._weights)

    def call(self, x: np.ndarray, y: np.ndarray, count: int, length: int = 1) -> None:
        """Compute `count` results; the buffer protocol gives C++ the addresses."""
        self._run(x, y)

    def bind(self, x: np.ndarray, y: np.ndarray, count: int, length: int = 1) -> Callable[[], None]:
        """Return a callable on these buffers: a C function of Python's, without arguments."""
        owner = (self._weights, x, y)
        return self._makers.make_bound(*self._call, owner, address(x), address(y), count, length)


def implement(program: Program, operands: tuple[np.ndarray, ...]) -> CompiledImplementation:
    """Compile the program, if it is new, and pack these operands."""
    with _lock:  # Cling compiles one thing at a time
        kernel, makers = _kernel(program), _call_makers()
        if makers is None:
            return CompiledImplementation(kernel, program, operands)
        return _CppyyImplementation(kernel, program, operands, makers)
