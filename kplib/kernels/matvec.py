"""Compiled matrix-vector products: Kronecker, hybrid, dense and low-rank."""

from collections.abc import Callable

import numpy as np
from numpy.typing import ArrayLike, DTypeLike

from kplib.errors import ShapeError
from kplib.kernels.buffers import (
    as_argument,
    as_matrix,
    batch_count,
    check_bound,
    kernel_dtype,
)
from kplib.kernels.operation import CompiledOperation
from kplib.kernels.program import Program, cpp_scalar
from kplib.kron import hybrid_matvec, kron_matvec
from kplib.shapes import FactorShape


class CompiledMatvec(CompiledOperation):
    """y = W x in compiled code, for a W that is dense or has structure; made by ``compile_*``.

    The weights are copied and packed once and never change. One operation may be called from many
    threads at a time. All sizes are known to the compiler: every shape is compiled once a process.

    Attributes
    ----------
    shape : tuple of int
        (m, n), the shape of W.
    dtype : numpy.dtype
        float32 or float64: of the weights, x and y.
    macs : int
        Multiply-accumulates of one call.
    loader : str
        What compiled it: "cppyy", "compiler" or "numpy".
    flags : str
        The compiler flags.
    source : str
        The C++ that was compiled, headers included: it compiles alone.
    weight_bytes : int
        Bytes of the packed weights, padding included.
    function_address, weights_address : int or None
        For C++ callers: ``void f(const void* weights, const void* x, void* y)`` and its first
        argument. None under the NumPy loader.

    Examples
    --------
    >>> import numpy as np, kplib
    >>> rng = np.random.default_rng(0)
    >>> A, B = rng.standard_normal((59, 8)), rng.standard_normal((2, 16))
    >>> op = kplib.compile_kron(A, B)
    >>> x = rng.standard_normal(128)
    >>> np.allclose(op(x), np.kron(A, B) @ x)
    True
    """

    def __init__(
        self, program: Program, operands: tuple[np.ndarray, ...], loader: str | None
    ) -> None:
        super().__init__(program, operands, loader)
        self.macs = program.macs
        self.shape = (*program.y_shape, *program.x_shape)

    def __call__(self, x: ArrayLike) -> np.ndarray:
        """Return W x for every x in the batch.

        Parameters
        ----------
        x : array_like, shape (..., n)
            Of this operation's dtype, or one that converts to it without losing bits. Any strides.

        Returns
        -------
        ndarray, shape (..., m)

        Raises
        ------
        ShapeError
            If x does not end in n entries.
        DtypeError
            If x has more bits than the operation computes in.
        """
        inner = self._program.x_shape
        if type(x) is np.ndarray and x.shape == inner and x.dtype is self.dtype:
            flags = x.flags
            if flags.c_contiguous and flags.aligned:  # the usual call, without detours
                y = np.empty(self._program.y_shape, self.dtype)
                self._implementation.call(x, y, 1)
                return y
        argument = as_argument(x, self.dtype, inner, self._program.x_reason)
        count = batch_count("x", argument, inner)
        y = np.empty(
            argument.shape[: argument.ndim - len(inner)] + self._program.y_shape, self.dtype
        )
        if count:
            self._implementation.call(argument, y, count)
        return y

    def bind(self, x: np.ndarray, y: np.ndarray) -> Callable[[], None]:
        """Return ``run``: each ``run()`` computes y = W x in place, unchecked, allocating nothing.

        The buffers are checked here, once, and are kept alive by ``run``. Giving one of them other
        memory afterwards (``x.resize(..., refcheck=False)``) is misuse that nothing can catch.

        Parameters
        ----------
        x : ndarray, shape (..., n)
        y : ndarray, shape (..., m)
            Of exactly this operation's dtype, C-contiguous, aligned, not overlapping, y writeable.

        Raises
        ------
        ShapeError, DtypeError, BufferLayoutError
            If they are not.

        Examples
        --------
        >>> import numpy as np, kplib
        >>> op = kplib.compile_dense(np.eye(3, 4))
        >>> x, y = np.arange(4.0), np.empty(3)
        >>> run = op.bind(x, y)
        >>> run(); x[:] = 7.0; run()
        >>> bool((y == 7.0).all())
        True
        """
        program = self._program
        count = check_bound(x, y, self.dtype, program.x_shape, program.y_shape, program.x_reason)
        if count == 0:
            return _nothing
        return self._implementation.bind(x, y, count)

    @property
    def function_address(self) -> int | None:
        """Address of ``void f(const void* weights, const void* x, void* y)``."""
        return self._implementation.run_address

    @property
    def weights_address(self) -> int | None:
        """Address of the packed weights, valid while this operation lives."""
        return self._implementation.weights_address

    def __repr__(self) -> str:
        m, n = self.shape
        return (
            f"<{self._program.name}: {m} x {n}, {self.dtype}, {self.macs:,} MACs, "
            f"loader {self.loader}>"
        )


def _nothing() -> None:
    """Compute nothing: the batch is empty."""


def _factors_need(a: np.ndarray, b: np.ndarray) -> str:
    n1, n2 = a.shape[1], b.shape[1]
    return f"A {a.shape} and B {b.shape} need {n1} * {n2} = {n1 * n2}"


def compile_kron(
    A: ArrayLike, B: ArrayLike, *, dtype: DTypeLike | None = None, loader: str | None = None
) -> CompiledMatvec:
    """Compile y = (A (x) B) x, which never forms the Kronecker product.

    The paper's Algorithm 1, with both stages unrolled for these sizes and laid out so that vector
    lanes are consecutive results. Either order of the two products may be taken, whichever needs
    fewer vector instructions.

    Parameters
    ----------
    A : array_like, shape (m1, n1)
    B : array_like, shape (m2, n2)
    dtype : {float32, float64}, optional
        By default float32 if both factors are (or are narrower), else float64.
    loader : {"cppyy", "compiler", "numpy"}, optional
        By default the first that works here; see `kplib.kernels.available`.

    Returns
    -------
    CompiledMatvec
        x (..., n1*n2) -> y (..., m1*m2). One call costs
        min(n1*n2*m2 + m1*n1*m2, m1*n1*n2 + m1*n2*m2) multiply-accumulates.

    Raises
    ------
    ShapeError
        If a factor is not a non-empty matrix.
    DtypeError
        If a factor is complex, object or wider than float64.

    References
    ----------
    Thakker et al. 2019, "Compressing RNNs for IoT devices by 15-38x using Kronecker Products",
    Algorithm 1.

    Examples
    --------
    >>> import numpy as np, kplib
    >>> A, B = np.ones((14, 4), np.float32), np.ones((11, 41), np.float32)
    >>> kplib.compile_kron(A, B)(np.ones((3, 164), np.float32)).shape
    (3, 154)
    """
    a, b = as_matrix("A", A), as_matrix("B", B)
    scalar = kernel_dtype({"A": a, "B": b}, dtype)
    (m1, n1), (m2, n2) = a.shape, b.shape
    program = Program(
        cpp_type=f"kplib::Kron<{cpp_scalar(scalar)}, {m1}, {n1}, {m2}, {n2}>",
        header="kplib/matvec.hpp",
        dtype=scalar,
        x_shape=(n1 * n2,),
        y_shape=(m1 * m2,),
        operands=(a.shape, b.shape),
        macs=FactorShape(m1, n1, m2, n2).macs,
        reference=lambda w, x: kron_matvec(w[0], w[1], x),
        x_reason=_factors_need(a, b),
    )
    return CompiledMatvec(program, (a, b), loader)


def compile_hybrid(
    D: ArrayLike,
    A: ArrayLike,
    B: ArrayLike,
    *,
    dtype: DTypeLike | None = None,
    loader: str | None = None,
) -> CompiledMatvec:
    """Compile y = [D; A (x) B] x: r dense rows on top of a Kronecker product.

    Parameters
    ----------
    D : array_like, shape (r, n1*n2)
        r = 0 is allowed: a plain Kronecker product.
    A : array_like, shape (m1, n1)
    B : array_like, shape (m2, n2)
    dtype, loader
        As in `compile_kron`.

    Returns
    -------
    CompiledMatvec
        x (..., n1*n2) -> y (..., r + m1*m2); r*n1*n2 multiply-accumulates more than `compile_kron`.

    Raises
    ------
    ShapeError
        If the rows of D do not have n1*n2 entries.

    References
    ----------
    Thakker et al. 2019, Algorithm 2.

    Examples
    --------
    >>> import numpy as np, kplib
    >>> D, A, B = np.ones((2, 6)), np.ones((4, 2)), np.ones((5, 3))
    >>> kplib.compile_hybrid(D, A, B).shape
    (22, 6)
    """
    d, a, b = as_matrix("D", D, least_rows=0), as_matrix("A", A), as_matrix("B", B)
    scalar = kernel_dtype({"D": d, "A": a, "B": b}, dtype)
    (r, n), (m1, n1), (m2, n2) = d.shape, a.shape, b.shape
    if n != n1 * n2:
        raise ShapeError(f"D {d.shape} has {n} columns, but {_factors_need(a, b)}")
    if r == 0:
        return compile_kron(a, b, dtype=scalar, loader=loader)
    program = Program(
        cpp_type=f"kplib::Hybrid<{cpp_scalar(scalar)}, {r}, {m1}, {n1}, {m2}, {n2}>",
        header="kplib/matvec.hpp",
        dtype=scalar,
        x_shape=(n,),
        y_shape=(r + m1 * m2,),
        operands=(d.shape, a.shape, b.shape),
        macs=r * n + FactorShape(m1, n1, m2, n2).macs,
        reference=lambda w, x: hybrid_matvec(w[0], w[1], w[2], x),
        x_reason=_factors_need(a, b),
    )
    return CompiledMatvec(program, (d, a, b), loader)


def compile_dense(
    W: ArrayLike, *, dtype: DTypeLike | None = None, loader: str | None = None
) -> CompiledMatvec:
    """Compile y = W x for a dense W: the fair opponent of the structured products.

    Parameters
    ----------
    W : array_like, shape (m, n)
    dtype, loader
        As in `compile_kron`.

    Returns
    -------
    CompiledMatvec
        x (..., n) -> y (..., m) in m*n multiply-accumulates.

    Examples
    --------
    >>> import numpy as np, kplib
    >>> kplib.compile_dense(np.ones((5, 7)))(np.ones(7)).shape
    (5,)
    """
    w = as_matrix("W", W)
    scalar = kernel_dtype({"W": w}, dtype)
    m, n = w.shape
    program = Program(
        cpp_type=f"kplib::Dense<{cpp_scalar(scalar)}, {m}, {n}>",
        header="kplib/matvec.hpp",
        dtype=scalar,
        x_shape=(n,),
        y_shape=(m,),
        operands=(w.shape,),
        macs=m * n,
        reference=lambda operands, x: operands[0] @ x,
    )
    return CompiledMatvec(program, (w,), loader)


def compile_lowrank(
    U: ArrayLike, V: ArrayLike, *, dtype: DTypeLike | None = None, loader: str | None = None
) -> CompiledMatvec:
    """Compile y = U (V x), the product with the rank-r matrix U V.

    Parameters
    ----------
    U : array_like, shape (m, r)
    V : array_like, shape (r, n)
    dtype, loader
        As in `compile_kron`.

    Returns
    -------
    CompiledMatvec
        x (..., n) -> y (..., m) in r*(m + n) multiply-accumulates.

    Raises
    ------
    ShapeError
        If U has not as many columns as V has rows.

    Examples
    --------
    >>> import numpy as np, kplib
    >>> kplib.compile_lowrank(np.ones((9, 2)), np.ones((2, 5))).macs == 2 * (9 + 5)
    True
    """
    u, v = as_matrix("U", U), as_matrix("V", V)
    scalar = kernel_dtype({"U": u, "V": v}, dtype)
    if u.shape[1] != v.shape[0]:
        raise ShapeError(
            f"U {u.shape} has {u.shape[1]} columns, but V {v.shape} has {v.shape[0]} rows"
        )
    (m, r), n = u.shape, v.shape[1]
    program = Program(
        cpp_type=f"kplib::LowRank<{cpp_scalar(scalar)}, {m}, {n}, {r}>",
        header="kplib/matvec.hpp",
        dtype=scalar,
        x_shape=(n,),
        y_shape=(m,),
        operands=(u.shape, v.shape),
        macs=r * (m + n),
        reference=lambda operands, x: operands[0] @ (operands[1] @ x),
    )
    return CompiledMatvec(program, (u, v), loader)
