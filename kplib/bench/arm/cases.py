"""What is compiled for Arm: one gate's products and whole networks, each with its numbers."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from kplib.bench.matvec import GATES
from kplib.bench.network import BENCHMARK_NAMES, NETWORKS, NetworkSpec, network_case
from kplib.engine import compile as compile_network
from kplib.experiments.benchmarks import benchmark as named_benchmark
from kplib.experiments.recipes import recipe
from kplib.kernels import (
    CompiledMatvec,
    compile_dense,
    compile_hybrid,
    compile_kron,
    compile_lowrank,
)
from kplib.kernels.program import Program
from kplib.shapes import algorithm4

__all__ = ["ArmCase", "all_cases", "kernel_cases", "network_cases"]


@dataclass(frozen=True, eq=False)
class ArmCase:
    """A program, the arrays that it packs, and an argument.

    Attributes
    ----------
    name : str
        ``"kws-lstm gate, kp"``, ``"kws-lstm, kp"``.
    benchmark : str
        Of the papers; "square" for the product of 16 x 16 factors.
    label : str
        The technique, and what else tells networks of a benchmark apart.
    network : bool
        A whole network, or one gate's product.
    program : Program
        Its C++.
    operands : tuple of ndarray
        What ``pack`` takes.
    x : ndarray
        One vector (n,), or a sequence (steps, input).
    macs : int
        Multiply-accumulates of the call, as the algebra counts them.
    """

    name: str
    benchmark: str
    label: str
    network: bool
    program: Program
    operands: tuple[np.ndarray, ...]
    x: np.ndarray
    macs: int

    @property
    def length(self) -> int:
        """Vectors in x."""
        return len(self.x) if self.network else 1

    def expected(self) -> np.ndarray:
        """Return the result by NumPy, in float64.

        Returns
        -------
        ndarray, shape (m,)
        """
        operands = tuple(
            operand.astype(np.float64) if operand.dtype == np.float32 else operand
            for operand in self.operands
        )
        return np.asarray(self.program.reference(operands, self.x.astype(np.float64)))


def network_cases(
    benchmarks: Sequence[str] = BENCHMARK_NAMES, *, steps: int | None = None, seed: int = 0
) -> list[ArmCase]:
    """Return the papers' networks, with random weights: their counts do not depend on the values.

    Parameters
    ----------
    benchmarks : sequence of str
        Of the papers.
    steps : int, optional
        Of the sequence; by default the benchmark's.
    seed : int
        Of weights and sequence.

    Returns
    -------
    list of ArmCase

    Examples
    --------
    >>> [case.label for case in network_cases(["usps-fastrnn"])]
    ['baseline', 'small', 'pruned', 'lmf', 'kp']
    """
    return [
        _network(spec, steps or named_benchmark(name).steps, seed)
        for name in benchmarks
        for spec in NETWORKS[name]
    ]


def _network(spec: NetworkSpec, steps: int, seed: int) -> ArmCase:
    net = compile_network(network_case(spec, seed=seed).model, loader="numpy")
    rng = np.random.default_rng([seed, steps, net.input_size])
    x = rng.standard_normal((steps, net.input_size), dtype=np.float32)
    name = f"{spec.benchmark}, {spec.label}"
    return ArmCase(
        name, spec.benchmark, spec.label, True, net._program, net._operands, x, net.macs(steps)
    )


def kernel_cases(benchmarks: Sequence[str] = BENCHMARK_NAMES, *, seed: int = 0) -> list[ArmCase]:
    """Return one gate of each benchmark: dense, Kronecker, low-rank and, if there is one, hybrid.

    And the product of two 16 x 16 factors, 256 wide, whose fmla are known: 2 * 16**3 / 4.

    Parameters
    ----------
    benchmarks : sequence of str
        Of the papers.
    seed : int
        Of the numbers.

    Returns
    -------
    list of ArmCase

    Examples
    --------
    >>> [case.name for case in kernel_cases(["kws-lstm"])][:2]
    ['square product, kp', 'kws-lstm gate, baseline']
    """
    sizes = {gate.name.lower(): (gate.m, gate.n) for gate in GATES}
    rng = np.random.default_rng(seed)
    cases = [_square(rng)]
    for name in benchmarks:
        m, n = sizes[name]
        cases += _gate(name, m, n, rng)
    return cases


def _normal(rng: np.random.Generator, *shape: int) -> np.ndarray:
    return rng.standard_normal(shape, dtype=np.float32)


def _square(rng: np.random.Generator) -> ArmCase:
    A, B = _normal(rng, 16, 16), _normal(rng, 16, 16)
    return _product("square", "kp", compile_kron(A, B, loader="numpy"), (A, B), rng)


def _gate(name: str, m: int, n: int, rng: np.random.Generator) -> list[ArmCase]:
    W, shape = _normal(rng, m, n), algorithm4(m, n)
    A, B = _normal(rng, *shape.a_shape), _normal(rng, *shape.b_shape)
    rank = recipe(name, "lmf").rank
    U, V = _normal(rng, m, rank), _normal(rng, rank, n)
    cases = [
        _product(name, "baseline", compile_dense(W, loader="numpy"), (W,), rng),
        _product(name, "kp", compile_kron(A, B, loader="numpy"), (A, B), rng),
        _product(name, "lmf", compile_lowrank(U, V, loader="numpy"), (U, V), rng),
    ]
    if rows := recipe(name, "hkp", compression=10).rows:
        lower = algorithm4(m - rows, n)
        operands = (
            _normal(rng, rows, n), _normal(rng, *lower.a_shape), _normal(rng, *lower.b_shape),
        )  # fmt: skip
        op = compile_hybrid(*operands, loader="numpy")
        cases.append(_product(name, "hkp 10x", op, operands, rng))
    return cases


def _product(
    benchmark: str,
    label: str,
    op: CompiledMatvec,
    operands: tuple[np.ndarray, ...],
    rng: np.random.Generator,
) -> ArmCase:
    program = op._program
    x = _normal(rng, *program.x_shape)
    kind = "product" if benchmark == "square" else "gate"
    name = f"{benchmark} {kind}, {label}"
    return ArmCase(name, benchmark, label, False, program, operands, x, program.macs)


def all_cases(
    benchmarks: Sequence[str] = BENCHMARK_NAMES, *, steps: int | None = None
) -> list[ArmCase]:
    """Return the products of `kernel_cases` and the networks of `network_cases`.

    Examples
    --------
    >>> len({case.name for case in all_cases(["mnist-lstm"])}) == 1 + 3 + 5
    True
    """
    return kernel_cases(benchmarks) + network_cases(benchmarks, steps=steps)
