"""What is timed on a board: the gates' products, and the compiled networks of the benchmarks."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

import kplib
from kplib.bench import peers
from kplib.bench.matvec import GATES, gate_cases
from kplib.bench.network import NETWORKS, NetworkSpec, network_case
from kplib.kernels.operation import CompiledOperation
from kplib.kernels.program import Program

PRODUCTS = {
    "dense": peers.kplib_dense,
    "kp": peers.kplib_kron,
    "lmf": peers.kplib_lowrank,
    "hkp": peers.kplib_hybrid,
}
"""How a gate's matrix is multiplied, by the name of the networks' technique."""

GATE_NAMES = {gate.name.lower(): gate for gate in GATES}
"""The gates by the name of their benchmark."""


@dataclass(frozen=True, eq=False)
class Work:
    """One product or one network with its input, and what its result should be.

    Attributes
    ----------
    kind : {"kernel", "network"}
    benchmark, name : str
        Whose sizes it has, and which technique it is, as the tables show it.
    steps : int
        Length of the sequence; 1 of a kernel.
    op : CompiledOperation
        Made by the loader that was asked for.
    x : ndarray, shape (inputs,) or (steps, inputs)
        float32.
    exact, scale : ndarray, shape (outputs,)
        The result in float64, and what an error of each entry is divided by.
    macs : int
        Multiply-accumulates of one call.
    """

    kind: Literal["kernel", "network"]
    benchmark: str
    name: str
    steps: int
    op: CompiledOperation
    x: np.ndarray
    exact: np.ndarray
    scale: np.ndarray
    macs: int

    @property
    def program(self) -> Program:
        """The C++ of it, with its sizes."""
        return self.op._program

    def error(self) -> float:
        """Return the largest error of one call, relative to `scale`; infinite if it is no number.

        Examples
        --------
        >>> works = kernels(["kws-lstm"], loader="numpy")
        >>> all(work.error() < peers.TOLERANCE for work in works)
        True
        """
        y = np.empty(self.exact.shape, np.float32)
        if self.kind == "network":
            self.op._implementation.call(self.x, y, 1, self.steps)
        else:
            self.op._implementation.call(self.x, y, 1)
        return float(np.nan_to_num(np.max(np.abs(y - self.exact) / self.scale), nan=np.inf))


def kernels(benchmarks: Sequence[str], *, seed: int = 0, loader: str | None = None) -> list[Work]:
    """Return the products of these benchmarks' gates: dense, Kronecker, low-rank, hybrid.

    Parameters
    ----------
    benchmarks : sequence of str
        Keys of `GATE_NAMES`.
    seed : int
        Of the numbers.
    loader : str, optional
        Of `kplib.kernels`; "numpy" compiles nothing.

    Examples
    --------
    >>> [work.name for work in kernels(["usps-fastrnn"], loader="numpy")]
    ['dense', 'kp', 'lmf', 'hkp']
    """
    found = []
    for case in gate_cases(seed, loader):
        if case.name.lower() not in benchmarks:
            continue
        for name, make in PRODUCTS.items():
            made = make(case)
            exact = case.exact if made.exact is None else made.exact
            scale = case.scale if made.scale is None else made.scale
            name_of_gate, macs = case.name.lower(), made.op.macs
            found.append(Work("kernel", name_of_gate, name, 1, made.op, case.x, exact, scale, macs))
    return found


def networks(
    chosen: Mapping[str, Sequence[NetworkSpec]], *, seed: int = 0, loader: str | None = None
) -> Iterator[Work | tuple[NetworkSpec, str]]:
    """Yield the compiled networks, with random weights; of those that cannot be, why.

    Parameters
    ----------
    chosen : mapping of str to sequence of NetworkSpec
        From `kplib.bench.network.chosen_specs`.
    seed, loader
        As of :func:`kernels`.

    Examples
    --------
    >>> (work,) = networks({"kws-lstm": [NetworkSpec("kws-lstm", "kp")]}, loader="numpy")
    >>> work.steps, work.exact.shape, work.macs == 25 * 4_800 + 118 * 12
    (25, (12,), True)
    """
    for specs in chosen.values():
        for spec in specs:
            case = network_case(spec, seed=seed)
            try:
                net = kplib.compile(case.model, loader=loader)
            except (TypeError, NotImplementedError) as error:
                yield spec, f"not compiled: {error}"
                continue
            yield Work(
                "network", spec.benchmark, spec.label, case.steps, net, case.x,
                case.exact, case.scale, net.macs(case.steps),
            )  # fmt: skip


def expected() -> set[tuple[str, str, str]]:
    """Return kind, benchmark and name of all that a whole run times or says why not.

    Examples
    --------
    >>> ("network", "kws-gru", "kp, 2 layers") in expected()
    True
    """
    products = {("kernel", gate, name) for gate in GATE_NAMES for name in PRODUCTS}
    labels = {("network", name, spec.label) for name, specs in NETWORKS.items() for spec in specs}
    return products | labels
