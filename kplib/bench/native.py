"""The peers of a loop in C++, where no call from Python hides what a kernel costs.

The loop, the chains of fused multiply-adds that give the core's peak, Eigen and libxsmm are built
from ``native/*.cpp`` by the compiler and with the flags of kplib's loader "compiler". kplib's
own kernels come from whichever loader is asked for; OpenBLAS's sgemv is the one that SciPy brings.
"""

import ctypes
import shlex
import subprocess
import tempfile
from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from scipy.linalg import cython_blas

from kplib.bench.peers import (
    Call,
    Case,
    Compiled,
    Peer,
    Unavailable,
    empty_result,
    kplib_dense,
    kplib_hybrid,
    kplib_kron,
    kplib_lowrank,
)
from kplib.bench.record import without_folders
from kplib.bench.timing import Sampler
from kplib.kernels.loaders import compiler_loader

SGEMVS = ("sgemv, W by rows", "sgemv, W by columns")
OURS = "kplib compile_kron"
_SOURCES = Path(__file__).parent / "native"
# Where systems put Eigen's folder; any other place can be named in CPATH, which compilers read.
_EIGEN_FOLDERS = (
    "/usr/include/eigen3",
    "/usr/local/include/eigen3",
    "/opt/homebrew/include/eigen3",
)


class _Dense(ctypes.Structure):
    _fields_ = (("W", ctypes.c_void_p), ("m", ctypes.c_int), ("n", ctypes.c_int))


class _Factors(ctypes.Structure):
    _fields_ = (
        *((name, ctypes.c_void_p) for name in ("A", "B")),
        *((name, ctypes.c_int) for name in ("m1", "n1", "m2", "n2")),
    )


class _LibxsmmKron(ctypes.Structure):
    _fields_ = (
        *((name, ctypes.c_void_p) for name in ("A", "B", "between", "first", "second")),
        ("b_first", ctypes.c_int),
    )


def compiler_command() -> list[str]:
    """Return the compiler and the flags that the C++ peers are built with.

    Raises
    ------
    Unavailable
        If there is no compiler.
    """
    if reason := compiler_loader.missing():
        raise Unavailable(reason)
    return [
        *compiler_loader.compiler(),
        "-std=c++17",
        *shlex.split(compiler_loader.flags()),
        "-DNDEBUG",
    ]


@cache
def build(source: str, *more: str) -> ctypes.CDLL:
    """Compile one file of ``native/`` and load it.

    Parameters
    ----------
    source : str
        Its name.
    *more : str
        Further arguments of the compiler.

    Returns
    -------
    ctypes.CDLL

    Raises
    ------
    Unavailable
        With the compiler's first error if it fails, a missing header among them.
    """
    with tempfile.TemporaryDirectory(prefix="kplib-bench-") as folder:
        library = Path(folder, "peer.so")
        command = [*compiler_command(), "-shared", "-fPIC", source, "-o", str(library), *more]
        done = subprocess.run(
            command, cwd=_SOURCES, capture_output=True, text=True, check=False, timeout=600
        )
        if done.returncode != 0:
            errors = (line for line in done.stderr.splitlines() if "error" in line)
            raise Unavailable(without_folders(next(errors, f"{source} does not compile")))
        return ctypes.CDLL(str(library))  # stays mapped when the file is gone


@cache
def _loop(name: str, *argument_types: Any) -> Callable[..., float]:
    function = build("loop.cpp")[name]
    function.argtypes, function.restype = argument_types, ctypes.c_double
    return function


def fma_flops_per_call() -> float:
    """Return the floating-point operations of one call of :func:`fma_peak`."""
    return _loop("bench_fma_flops_per_call")()


def fma_peak() -> Sampler:
    """Return a sampler of independent fused multiply-adds in registers: the core's peak."""
    return _loop("bench_fma", ctypes.c_int64)


def matvec_call(function: int, weights: Any, case: Case, macs: int, **more: Any) -> Call:
    """Return the Call of ``void f(const void* weights, const void* x, void* y)``.

    Parameters
    ----------
    function : int
        Address of f.
    weights : int or ctypes.Structure
        What it gets as `weights`: an address, or a structure that `keep_alive` must hold.
    case : Case
        Gives x and the size of y.
    macs : int
        Multiply-accumulates of one call.
    **more
        Further fields of :class:`~kplib.bench.peers.Call`.
    """
    x, y = case.x, empty_result(case)
    address = weights if isinstance(weights, int) else ctypes.addressof(weights)
    sampler = loop_sampler(function, address, x, y)
    return Call(sampler, once(sampler, y), macs, **more)


def loop_sampler(function: int, weights: int, x: np.ndarray, y: np.ndarray) -> Sampler:
    """Return a sampler that calls ``void f(const void* weights, const void* x, void* y)`` in C++.

    Parameters
    ----------
    function, weights : int
        Addresses of f and of its first argument, which the caller keeps alive.
    x, y : ndarray
        Its other arguments; kept alive by the sampler.
    """
    loop = _loop("bench_matvec", *[ctypes.c_void_p] * 4, ctypes.c_int64)

    def sampler(loops: int) -> float:
        return loop(function, weights, x.ctypes.data, y.ctypes.data, loops)

    return sampler


def once(sampler: Sampler, y: np.ndarray) -> Callable[[], np.ndarray]:
    """Return the function that runs a sampler once and returns what it left in y."""

    def result() -> np.ndarray:
        y.fill(np.nan)
        sampler(1)
        return y

    return result


def _address(library: ctypes.CDLL, name: str) -> int:
    return ctypes.cast(library[name], ctypes.c_void_p).value or 0


@cache
def _scipy_sgemv() -> int:
    """Return the address of SciPy's sgemv, from the capsule that it keeps for Cython code."""
    capsule = cython_blas.__pyx_capi__["sgemv"]
    api = ctypes.pythonapi
    get_name = ctypes.PYFUNCTYPE(ctypes.c_char_p, ctypes.py_object)(("PyCapsule_GetName", api))
    get_pointer = ctypes.PYFUNCTYPE(ctypes.c_void_p, ctypes.py_object, ctypes.c_char_p)(
        ("PyCapsule_GetPointer", api)
    )
    return get_pointer(capsule, get_name(capsule))


def _sgemv(by_rows: bool) -> Callable[[Case], Call]:
    def make(case: Case) -> Call:
        m, n = case.shape.m, case.shape.n
        W = case.W if by_rows else np.asfortranarray(case.W)
        x, y = case.x, empty_result(case)
        loop = _loop(
            "bench_sgemv", ctypes.c_void_p, ctypes.c_char, ctypes.c_int, ctypes.c_int,
            *[ctypes.c_void_p] * 3, ctypes.c_int64,
        )  # fmt: skip
        sgemv, trans = _scipy_sgemv(), b"T" if by_rows else b"N"

        def sampler(loops: int) -> float:
            return loop(sgemv, trans, m, n, W.ctypes.data, x.ctypes.data, y.ctypes.data, loops)

        return Call(sampler, once(sampler, y), m * n)

    return make


def _kplib(compiled: Callable[[Case], Compiled]) -> Callable[[Case], Call]:
    def make(case: Case) -> Call:
        made = compiled(case)
        if made.op.function_address is None:
            raise Unavailable(f"the loader {made.op.loader!r} compiles nothing")
        return matvec_call(
            made.op.function_address, made.op.weights_address, case, made.op.macs,
            exact=made.exact, scale=made.scale, note=made.note, keep_alive=made.op,
        )  # fmt: skip

    return make


def eigen_library(source: str = "eigen.cpp") -> ctypes.CDLL:
    """Return a file of ``native/``, compiled against the system's Eigen.

    Raises
    ------
    Unavailable
        Without a compiler or Eigen; it says which Debian package that is.
    """
    folders = [f"-I{folder}" for folder in _EIGEN_FOLDERS if Path(folder).is_dir()]
    try:
        return build(source, *folders)
    except Unavailable as reason:
        raise Unavailable(f"{reason} (Debian: libeigen3-dev)") from None


def _eigen_dense(by_rows: bool) -> Callable[[Case], Call]:
    def make(case: Case) -> Call:
        library, shape = eigen_library(), case.shape
        W = case.W if by_rows else np.asfortranarray(case.W)
        name = "bench_eigen_row_major" if by_rows else "bench_eigen_column_major"
        weights = _Dense(W.ctypes.data, shape.m, shape.n)
        macs = shape.m * shape.n
        return matvec_call(_address(library, name), weights, case, macs, keep_alive=(weights, W))

    return make


def _eigen_algorithm1(case: Case) -> Call:
    library, shape = eigen_library(), case.shape
    A, B = np.asfortranarray(case.A), np.asfortranarray(case.B)
    weights = _Factors(A.ctypes.data, B.ctypes.data, *shape.a_shape, *shape.b_shape)
    # Written down, it is (B X) A^T, whatever the other order would cost.
    function = _address(library, "bench_eigen_algorithm1")
    keep = weights, A, B
    return matvec_call(function, weights, case, shape.macs_b_first, keep_alive=keep)


def _libxsmm(case: Case) -> Call:
    try:
        library = build("libxsmm.cpp", "-lxsmm", "-lxsmmnoblas", "-lpthread", "-lrt", "-ldl", "-lm")
    except Unavailable as reason:
        raise Unavailable(f"{reason} (Debian: libxsmm-dev)") from None
    product = library["bench_libxsmm_product"]
    product.argtypes, product.restype = [ctypes.c_int] * 3, ctypes.c_void_p
    shape, b_first = case.shape, case.shape.order == "b_first"
    m1, n1, m2, n2 = *shape.a_shape, *shape.b_shape
    first = product(m2, n1, n2) if b_first else product(n2, m1, n1)
    second = product(m2, m1, n1) if b_first else product(m2, m1, n2)
    if not (first and second):
        raise Unavailable(f"it makes no code for {shape}")
    A, B = case.A, np.asfortranarray(case.B)
    between = np.empty(m2 * n1 if b_first else n2 * m1, np.float32)
    data = (array.ctypes.data for array in (A, B, between))
    weights = _LibxsmmKron(*data, first, second, b_first)
    function = _address(library, "bench_libxsmm_kron")
    keep = weights, A, B, between
    return matvec_call(function, weights, case, shape.macs, keep_alive=keep)


NATIVE_PEERS: Sequence[Peer] = (
    Peer(SGEMVS[0], _sgemv(by_rows=True)),
    Peer(SGEMVS[1], _sgemv(by_rows=False)),
    Peer("Eigen W x, W by rows", _eigen_dense(by_rows=True), slow_import=True),
    Peer("Eigen W x, W by columns", _eigen_dense(by_rows=False), slow_import=True),
    Peer("Eigen, the paper's Algorithm 1", _eigen_algorithm1, slow_import=True),
    Peer("libxsmm A X B^T", _libxsmm, slow_import=True),
    Peer("kplib compile_dense", _kplib(kplib_dense)),
    Peer("kplib compile_lowrank", _kplib(kplib_lowrank)),
    Peer("kplib compile_hybrid", _kplib(kplib_hybrid)),
    Peer(OURS, _kplib(kplib_kron)),
)
"""Every peer of the loop in C++: :data:`SGEMVS` and :data:`OURS` among them."""
