"""The peers that a Kronecker matrix-vector product is timed against from Python.

Each is called the way its users call it, or faster: inputs are converted and transposed before the
clock starts, outputs are written in place where the library can.
"""

import contextlib
import io
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache, cached_property
from typing import Any, Protocol

import numpy as np

from kplib.bench.record import without_folders
from kplib.bench.timing import Sampler, statement
from kplib.errors import ShapeError
from kplib.kernels import (
    CompiledMatvec,
    compile_dense,
    compile_hybrid,
    compile_kron,
    compile_lowrank,
)
from kplib.kron import kron_matvec
from kplib.shapes import FactorShape, algorithm4

BASELINE = "np.dot(W, x, out=y)"
OURS = "kplib compile_kron, bound"
TOLERANCE = 1e-5
"""Largest error allowed, relative to |W| |x|; float32 rounds each term by 6e-8 of itself."""


class Unavailable(Exception):
    """A peer that cannot be timed here; the message is the reason that the tables show."""


class Expected(Protocol):
    """What every case has: its exact result in float64, and what errors are measured against."""

    @property
    def exact(self) -> np.ndarray:
        """The result, float64."""

    @property
    def scale(self) -> np.ndarray:
        """What an error of each entry is divided by, of the same shape."""


@dataclass(frozen=True)
class Case:
    """One product ``y = (A (x) B) x`` in float32, with its dense twin and its exact result.

    Parameters
    ----------
    name : str
        As the tables show it.
    shape : FactorShape
        Of A and B.
    seed : int
        The standard normal A, B, x are drawn from it.
    loader : str, optional
        Which of kplib's loaders compiles the operations; the first that works unless given.

    Examples
    --------
    >>> case = Case("toy", FactorShape(2, 3, 5, 4), seed=0)
    >>> case.W.shape
    (10, 12)
    >>> bool(np.allclose(case.W @ case.x, case.exact, atol=1e-5))
    True
    """

    name: str
    shape: FactorShape
    seed: int = 0
    loader: str | None = None

    @cached_property
    def _drawn(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        rng = np.random.default_rng([self.seed, *self.shape.a_shape, *self.shape.b_shape])
        sizes = self.shape.a_shape, self.shape.b_shape, self.shape.n
        A, B, x = (rng.standard_normal(size, dtype=np.float32) for size in sizes)
        return A, B, x

    @property
    def A(self) -> np.ndarray:
        """Left factor, float32 (m1, n1)."""
        return self._drawn[0]

    @property
    def B(self) -> np.ndarray:
        """Right factor, float32 (m2, n2)."""
        return self._drawn[1]

    @property
    def x(self) -> np.ndarray:
        """Vector, float32 (n,)."""
        return self._drawn[2]

    @property
    def X(self) -> np.ndarray:
        """The same vector as the matrix (n1, n2) of ``Y = A X B^T``: a view."""
        return self.x.reshape(self.shape.n1, self.shape.n2)

    @cached_property
    def W(self) -> np.ndarray:
        """The dense A (x) B, float32 (m, n), row-major."""
        return np.kron(self.A, self.B)

    @cached_property
    def exact(self) -> np.ndarray:
        """A (x) B times x in float64, by the dense matrix."""
        return np.kron(self.A.astype(float), self.B.astype(float)) @ self.x.astype(float)

    @cached_property
    def scale(self) -> np.ndarray:
        """|A (x) B| |x|, float64 (m,): what rounding errors are measured against."""
        return np.abs(self.W).astype(float) @ np.abs(self.x).astype(float)


@dataclass(frozen=True)
class Call:
    """A peer made ready for one case.

    Parameters
    ----------
    sampler : Sampler
        Runs it a number of times.
    result : callable
        Runs it once and returns y, flat (m,).
    macs : int
        Multiply-accumulates of one call, as the algebra counts them.
    exact, scale : ndarray, optional
        In place of the case's own, where the peer multiplies by another matrix.
    note : str
        What the tables add to its name, such as a rank.
    how : str
        The Python expression that is timed; empty for a C++ peer.
    keep_alive : object
        Owns memory that `sampler` reads by address: keep the Call while you sample.
    tolerance : float
        Largest error allowed; more where the weights are stored in fewer bits.
    """

    sampler: Sampler
    result: Callable[[], np.ndarray]
    macs: int
    exact: np.ndarray | None = None
    scale: np.ndarray | None = None
    note: str = ""
    how: str = ""
    keep_alive: object = None
    tolerance: float = TOLERANCE

    def error(self, case: Expected) -> float:
        """Return the largest error of one run, relative to |W| |x|; NaN counts as infinite."""
        exact = case.exact if self.exact is None else self.exact
        scale = case.scale if self.scale is None else self.scale
        y = np.asarray(self.result(), dtype=float)
        if y.shape != exact.shape:
            return np.inf
        error = np.max(np.abs(y - exact) / np.maximum(scale, np.finfo(np.float32).tiny))
        return float(np.nan_to_num(error, nan=np.inf))


@dataclass(frozen=True)
class Peer:
    """Something that multiplies a matrix by a vector.

    Parameters
    ----------
    name : str
        As the tables show it.
    make : callable
        Makes it ready for a case; raises ImportError or :class:`Unavailable` with the reason.
    package : str
        What to ``pip install`` for it, if it is neither kplib nor needed by it.
    slow_import : bool
        Whether it brings a package that takes long to import; ``--peers fast`` leaves it out.
    """

    name: str
    make: Callable[[Any], Call]
    package: str = ""
    slow_import: bool = field(default=False, kw_only=True)


def prepare(peers: Sequence[Peer], case: Expected) -> tuple[dict[str, Call], dict[str, str]]:
    """Make peers ready and check the result of each against float64.

    Parameters
    ----------
    peers : sequence of Peer
        Whom to ask.
    case : Case
        The product.

    Returns
    -------
    calls : dict of str to Call
        Those that gave the right result, by name.
    left_out : dict of str to str
        The others, with the reason.

    Examples
    --------
    >>> case = Case("toy", FactorShape(2, 3, 5, 4))
    >>> calls, left_out = prepare(PYTHON_PEERS[:2], case)
    >>> list(calls) == ["W @ x", BASELINE] and left_out == {}
    True
    """
    calls, left_out = {}, {}
    for peer in peers:
        try:
            call = peer.make(case)
            error = call.error(case)
        except ImportError as missing:
            hint = f" (pip install {peer.package})" if peer.package else ""
            left_out[peer.name] = without_folders(f"not installed{hint}: {missing}")
        except Unavailable as reason:
            left_out[peer.name] = str(reason)
        except (
            Exception
        ) as failure:  # a peer may fail in any way; it is named, and the rest goes on
            left_out[peer.name] = without_folders(
                f"failed: {type(failure).__name__}: {str(failure).partition(chr(10))[0]}"
            )
        else:
            if error <= call.tolerance:
                calls[peer.name] = call
            else:
                left_out[peer.name] = f"wrong result: relative error {error:.1e}"
    return calls, left_out


def python_call(
    code: str,
    names: Mapping[str, object],
    macs: int,
    y: np.ndarray | None = None,
    *,
    column_major: bool = False,
    **more: Any,
) -> Call:
    """Return the Call of a Python expression.

    Parameters
    ----------
    code : str
        The expression to time.
    names : mapping of str to object
        What it refers to.
    macs : int
        Multiply-accumulates of one evaluation.
    y : ndarray, optional
        Where the result is written; without it, the value of the expression is the result.
    column_major : bool
        Whether the result is a matrix whose columns, one after the other, are y.
    **more
        Further fields of :class:`Call`.

    Examples
    --------
    >>> call = python_call("W @ x", {"W": np.eye(2), "x": np.ones(2)}, macs=4)
    >>> bool((call.result() == 1).all())
    True
    """
    compiled = compile(code, "<peer>", "eval")

    def result() -> np.ndarray:
        if y is not None:
            y.fill(np.nan)
        value = eval(compiled, dict(names))
        return np.asarray(value if y is None else y).reshape(-1, order="F" if column_major else "C")

    return Call(statement(code, names), result, macs, how=code, **more)


def empty_result(case: Case) -> np.ndarray:
    """Return a y for the case, float32 (m,)."""
    return np.empty(case.shape.m, np.float32)


def _dense_macs(case: Case) -> int:
    return case.shape.m * case.shape.n


def _numpy_matmul(case: Case) -> Call:
    return python_call("W @ x", {"W": case.W, "x": case.x}, _dense_macs(case))


def _numpy_dot(case: Case) -> Call:
    y = empty_result(case)
    names = {"dot": np.dot, "W": case.W, "x": case.x, "y": y}
    return python_call("dot(W, x, out=y)", names, _dense_macs(case), y)


def _cheaper_order(case: Case, b_first: str, a_first: str) -> str:
    return b_first if case.shape.order == "b_first" else a_first


def _between(case: Case) -> np.ndarray:
    """Return a buffer for the product of X and the factor that the cheaper order applies first."""
    shape = case.shape
    size = (shape.n1, shape.m2) if shape.order == "b_first" else (shape.m1, shape.n2)
    return np.empty(size, np.float32)


def _numpy_kron(case: Case) -> Call:
    code = _cheaper_order(case, "A @ (X @ BT)", "(A @ X) @ BT")
    return python_call(code, {"A": case.A, "X": case.X, "BT": case.B.T}, case.shape.macs)


def _matmul_into(case: Case, matmul: object, convert: Callable[[np.ndarray], object]) -> Call:
    """Both products through a ``matmul(P, Q, out=R)``, as NumPy and torch have it."""
    y = empty_result(case)
    arrays = {"A": case.A, "X": case.X, "BT": case.B.T, "T": _between(case)}
    names = {name: convert(array) for name, array in arrays.items()}
    names |= {"matmul": matmul, "Y": convert(y.reshape(case.shape.m1, case.shape.m2))}
    code = _cheaper_order(
        case,
        "matmul(A, matmul(X, BT, out=T), out=Y)",
        "matmul(matmul(A, X, out=T), BT, out=Y)",
    )
    return python_call(code, names, case.shape.macs, y)


def _numpy_kron_out(case: Case) -> Call:
    return _matmul_into(case, np.matmul, np.asarray)


def _scipy_sgemm(case: Case) -> Call:
    from scipy.linalg.blas import sgemm

    # BLAS is column-major, so it gets the transposes, as views: Y^T = B X^T A^T.
    names = {"sgemm": sgemm, "B": np.asfortranarray(case.B), "XT": case.X.T, "AT": case.A.T}
    code = _cheaper_order(
        case, "sgemm(1.0, sgemm(1.0, B, XT), AT)", "sgemm(1.0, B, sgemm(1.0, XT, AT))"
    )
    return python_call(code, names, case.shape.macs, column_major=True)


@cache
def _numba_functions() -> dict[str, Callable[..., None]]:
    """Return ``y = W x`` and ``Y = A X B^T`` in both orders, as loops that numba compiles."""
    from numba import njit

    @njit(fastmath=True)
    def dense(W: np.ndarray, x: np.ndarray, y: np.ndarray) -> None:
        for i in range(W.shape[0]):
            total = np.float32(0)
            for k in range(W.shape[1]):
                total += W[i, k] * x[k]
            y[i] = total

    @njit(fastmath=True)
    def rows_by_rows(P: np.ndarray, Q: np.ndarray, R: np.ndarray) -> None:  # R = P Q^T
        for i in range(P.shape[0]):
            dense(Q, P[i], R[i])

    @njit(fastmath=True)
    def rows_by_columns(P: np.ndarray, Q: np.ndarray, R: np.ndarray) -> None:  # R = P Q
        for i in range(P.shape[0]):
            for j in range(Q.shape[1]):
                R[i, j] = 0
            for k in range(P.shape[1]):
                for j in range(Q.shape[1]):
                    R[i, j] += P[i, k] * Q[k, j]

    @njit(fastmath=True)
    def b_first(A: np.ndarray, B: np.ndarray, X: np.ndarray, T: np.ndarray, Y: np.ndarray) -> None:
        rows_by_rows(X, B, T)
        rows_by_columns(A, T, Y)

    @njit(fastmath=True)
    def a_first(A: np.ndarray, B: np.ndarray, X: np.ndarray, T: np.ndarray, Y: np.ndarray) -> None:
        rows_by_columns(A, X, T)
        rows_by_rows(T, B, Y)

    return {"dense": dense, "b_first": b_first, "a_first": a_first}


def _numba_dense(case: Case) -> Call:
    y = empty_result(case)
    names = {"dense": _numba_functions()["dense"], "W": case.W, "x": case.x, "y": y}
    return python_call("dense(W, x, y)", names, _dense_macs(case), y)


def _numba_kron(case: Case) -> Call:
    y = empty_result(case)
    names = {
        "kron": _numba_functions()[case.shape.order],
        "A": case.A,
        "B": case.B,
        "X": case.X,
        "T": _between(case),
        "Y": y.reshape(case.shape.m1, case.shape.m2),
    }
    return python_call("kron(A, B, X, T, Y)", names, case.shape.macs, y)


def _torch_dense(case: Case) -> Call:
    import torch

    torch.set_num_threads(1)
    y = empty_result(case)
    arrays = {"W": case.W, "x": case.x, "y": y}
    names = {name: torch.from_numpy(array) for name, array in arrays.items()}
    return python_call("mv(W, x, out=y)", {"mv": torch.mv, **names}, _dense_macs(case), y)


def _torch_kron(case: Case) -> Call:
    import torch

    torch.set_num_threads(1)
    return _matmul_into(case, torch.mm, torch.from_numpy)


def _jax_arrays(case: Case, *names: str) -> list[object]:
    if "jax" not in sys.modules:  # XLA reads its flags once
        os.environ.setdefault(
            "XLA_FLAGS", "--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1"
        )
    import jax

    jax.config.update("jax_cpu_enable_async_dispatch", False)  # no thread in between
    cpu = jax.devices("cpu")[0]
    return [jax.device_put(getattr(case, name), cpu) for name in names]


def _jax_dense(case: Case) -> Call:
    W, x = _jax_arrays(case, "W", "x")
    import jax

    names = {"dense": jax.jit(lambda W, x: W @ x), "W": W, "x": x}
    return python_call("dense(W, x).block_until_ready()", names, _dense_macs(case))


def _jax_kron(case: Case) -> Call:
    A, B, X = _jax_arrays(case, "A", "B", "X")
    import jax

    if case.shape.order == "b_first":
        kron = jax.jit(lambda A, B, X: (A @ (X @ B.T)).ravel())
    else:
        kron = jax.jit(lambda A, B, X: ((A @ X) @ B.T).ravel())
    names = {"kron": kron, "A": A, "B": B, "X": X}
    return python_call("kron(A, B, X).block_until_ready()", names, case.shape.macs)


def _fastkron(case: Case) -> Call:
    from pyfastkron.fastkronnumpy import gekmm

    names = {"gekmm": gekmm, "factors": [case.A, case.B], "x": case.x.reshape(-1, 1)}
    return python_call("gekmm(factors, x)", names, case.shape.macs)


def _pylops(case: Case) -> Call:
    from pylops import Kronecker, MatrixMult

    factors = (MatrixMult(factor, dtype=np.float32) for factor in (case.A, case.B))
    names = {"op": Kronecker(*factors, dtype=np.float32), "x": case.x}
    return python_call("op.matvec(x)", names, case.shape.macs)


def _linear_operator(case: Case) -> Call:
    import torch
    from linear_operator.operators import KroneckerProductLinearOperator

    torch.set_num_threads(1)
    op = KroneckerProductLinearOperator(torch.from_numpy(case.A), torch.from_numpy(case.B))
    return python_call("op @ x", {"op": op, "x": torch.from_numpy(case.x)}, case.shape.macs)


def _pykronecker(case: Case) -> Call:
    _jax_arrays(case)
    with contextlib.redirect_stdout(io.StringIO()):  # it prints which backend it uses
        from pykronecker import KroneckerProduct
    shape = case.shape
    if shape.m1 != shape.n1 or shape.m2 != shape.n2:
        raise Unavailable(f"takes square factors only, not {shape}")
    op = KroneckerProduct([case.A, case.B])
    # Its result is an array of the backend it found: JAX's has to be waited for, NumPy's not.
    wait = ".block_until_ready()" if hasattr(op @ case.x, "block_until_ready") else ""
    return python_call(f"(op @ x){wait}", {"op": op, "x": case.x}, shape.macs)


def _kplib_numpy(case: Case) -> Call:
    names = {"kron_matvec": kron_matvec, "A": case.A, "B": case.B, "x": case.x}
    return python_call("kron_matvec(A, B, x)", names, case.shape.macs)


@dataclass(frozen=True)
class Compiled:
    """One of kplib's compiled operations, with what its result should be (as in :class:`Call`)."""

    op: CompiledMatvec
    exact: np.ndarray | None = None
    scale: np.ndarray | None = None
    note: str = ""


def kplib_kron(case: Case) -> Compiled:
    """Return the case's own A (x) B, compiled."""
    return Compiled(compile_kron(case.A, case.B, loader=case.loader))


def kplib_dense(case: Case) -> Compiled:
    """Return the case's dense W, compiled."""
    return Compiled(compile_dense(case.W, loader=case.loader))


def kplib_lowrank(case: Case) -> Compiled:
    """Return a random W = U V with no more parameters than the factors have, or of rank 1."""
    m, n = case.shape.m, case.shape.n
    rank = max(1, case.shape.params // (m + n))
    rng = np.random.default_rng([case.seed, m, n, rank])
    U = rng.standard_normal((m, rank), dtype=np.float32)
    V = rng.standard_normal((rank, n), dtype=np.float32)
    exact = U.astype(float) @ (V.astype(float) @ case.x)
    # Rounding grows with |U| |V| |x|, which cancellation in U V can make larger than |W| |x|.
    scale = np.abs(U).astype(float) @ (np.abs(V) @ np.abs(case.x))
    return Compiled(compile_lowrank(U, V, loader=case.loader), exact, scale, f"rank {rank}")


def kplib_hybrid(case: Case) -> Compiled:
    """Return a random W = [D; A (x) B] of the case's size, Algorithm 4's factors under r >= 1 rows.

    r is 1, or the next number of rows that leaves an m which Algorithm 4 is defined for.
    """
    m, n = case.shape.m, case.shape.n
    for rows in range(1, m):
        with contextlib.suppress(ShapeError):
            shape = algorithm4(m - rows, n)
            break
    else:
        raise Unavailable(f"Algorithm 4 is undefined for {m} - r rows of {n} entries, whatever r")
    lower = Case(case.name, shape, case.seed)
    rng = np.random.default_rng([case.seed, m, n, rows])
    D = rng.standard_normal((rows, n), dtype=np.float32)
    W = np.vstack([D, lower.W]).astype(float)
    op = compile_hybrid(D, lower.A, lower.B, loader=case.loader)
    return Compiled(op, W @ case.x, np.abs(W) @ np.abs(case.x), f"r = {rows}, {shape}")


def _bound(compiled: Callable[[Case], Compiled]) -> Callable[[Case], Call]:
    def make(case: Case) -> Call:
        made, y = compiled(case), empty_result(case)
        names = {"run": made.op.bind(case.x, y)}
        return python_call(
            "run()", names, made.op.macs, y, exact=made.exact, scale=made.scale, note=made.note
        )

    return make


def _checked(case: Case) -> Call:
    op = kplib_kron(case).op
    return python_call("op(x)", {"op": op, "x": case.x}, op.macs)


PYTHON_PEERS = (
    Peer("W @ x", _numpy_matmul),
    Peer(BASELINE, _numpy_dot),
    Peer("numpy A X B^T", _numpy_kron),
    Peer("numpy A X B^T, out=", _numpy_kron_out),
    Peer("scipy sgemm A X B^T", _scipy_sgemm),
    Peer("numba W x", _numba_dense, "numba", slow_import=True),
    Peer("numba A X B^T", _numba_kron, "numba", slow_import=True),
    Peer("torch mv(W, x, out=y)", _torch_dense, "torch", slow_import=True),
    Peer("torch A X B^T, out=", _torch_kron, "torch", slow_import=True),
    Peer("jax.jit W x", _jax_dense, "jax", slow_import=True),
    Peer("jax.jit A X B^T", _jax_kron, "jax", slow_import=True),
    Peer("FastKron gekmm", _fastkron, "--no-deps pyfastkron", slow_import=True),
    Peer("PyLops Kronecker", _pylops, "pylops", slow_import=True),
    Peer("linear_operator Kronecker", _linear_operator, "linear_operator", slow_import=True),
    Peer("pykronecker", _pykronecker, "pykronecker", slow_import=True),
    Peer("kplib kron_matvec (NumPy)", _kplib_numpy),
    Peer("kplib compile_dense, bound", _bound(kplib_dense)),
    Peer("kplib compile_lowrank, bound", _bound(kplib_lowrank)),
    Peer("kplib compile_hybrid, bound", _bound(kplib_hybrid)),
    Peer("kplib compile_kron, op(x)", _checked),
    Peer(OURS, _bound(kplib_kron)),
)
"""Every peer that is called from Python; :data:`BASELINE` and :data:`OURS` among them."""
