"""What each technique is given at each size: units, rank, dense rows or non-zeros.

One rule: a row of the papers' tables gets the setting that their printed size was decoded to; where
none was, the setting whose size, counted as they count, comes closest to the printed one; and where
nothing is printed, closest to the size that was asked for.
"""

import functools
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Literal, cast, get_args

from kplib._checks import positive_integer
from kplib.experiments import papers, sizes
from kplib.experiments.benchmarks import Benchmark, benchmark
from kplib.shapes import hybrid_shapes

__all__ = ["Recipe", "Technique", "recipe"]

Technique = Literal["baseline", "small", "pruned", "lmf", "kp", "hkp"]


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """One network of a benchmark: a technique, and how strongly it compresses.

    Attributes
    ----------
    network : Benchmark
    technique : {"baseline", "small", "pruned", "lmf", "kp", "hkp"}
    hidden_size, layers : int
        Units of a direction, and recurrent layers.
    rank : int
        Of the low-rank products ("lmf"); else 0.
    rows : int
        Dense rows of each gate ("hkp"); else 0.
    nonzeros : int
        Weights left of all the gates' ("pruned"); else 0.
    size : Size
        The parameters, counted as the papers count.

    Examples
    --------
    >>> kp = recipe("kws-lstm", "kp")
    >>> kp.technique, kp.hidden_size, kp.network.classes
    ('kp', 118, 12)
    """

    network: Benchmark
    technique: Technique
    hidden_size: int
    layers: int
    rank: int = 0
    rows: int = 0
    nonzeros: int = 0
    size: sizes.Size


def recipe(
    name: str, technique: str, *, compression: int | None = None, layers: int | None = None
) -> Recipe:
    """Return what a technique is given for a benchmark at a compression.

    Parameters
    ----------
    name : str
        A key of `BENCHMARKS`.
    technique : {"baseline", "small", "pruned", "lmf", "kp", "hkp"}
        The dense network; a dense one with fewer units; pruned; low-rank; Kronecker; hybrid.
    compression : int, optional
        How many times smaller than the baseline the whole network is to be: 10 or 20 in the
        papers. By default the maximum, that is the Kronecker network's size. The baseline and the
        Kronecker network have one size only.
    layers : int, optional
        Recurrent layers; those of the papers' table by default (two for the Kronecker KWS-GRU).

    Returns
    -------
    Recipe

    Raises
    ------
    ValueError
        If there is no such benchmark or technique, a size is asked of a technique that has one
        only, or a hybrid without a compression.

    Examples
    --------
    >>> recipe("kws-lstm", "lmf").rank, recipe("kws-lstm", "lmf", compression=10).rank
    (4, 10)
    >>> recipe("kws-lstm", "hkp", compression=10).rows
    7
    >>> recipe("kws-gru", "kp").size.total == 5691
    True
    """
    network = benchmark(name)
    known = get_args(Technique)
    if technique not in known:
        raise ValueError(f"technique is {technique!r}, but must be one of {', '.join(known)}")
    if technique in ("baseline", "kp"):
        if compression is not None:
            raise ValueError(f"compression is {compression}, but {technique} has one size only")
        return _only(network, cast("Technique", technique), layers)
    if technique == "hkp" and compression is None:
        raise ValueError(
            "hkp needs a compression, the papers have 10 and 20: its dense rows are the dial"
        )
    if compression is not None and not 1 < compression < 1000:
        raise ValueError(f"compression is {compression}, but must lie between 1 and 1000")
    layers = network.layers if layers is None else positive_integer("layers", layers)
    return _nearest(name, technique, compression, layers)


# A sweep's table asks for the same few hundreds of times; typed, for 10 and 10.0 have two labels.
@functools.lru_cache(maxsize=256, typed=True)
def _nearest(name: str, technique: str, compression: int | None, layers: int) -> Recipe:
    """Return the candidate whose size is nearest to the target."""
    network = benchmark(name)
    target = _target(network, technique, compression, layers)
    candidates = _CANDIDATES[technique](network, layers, target)
    return min(candidates, key=lambda each: abs(each.size.total - target))


def _only(network: Benchmark, technique: Technique, layers: int | None) -> Recipe:
    """Return the baseline, or the Kronecker network with Algorithm 4's shapes."""
    if technique == "baseline":
        hidden, count, of = network.hidden_size, layers or network.layers, sizes.dense
    else:
        hidden, count, of = network.kp_hidden_size, layers or network.kp_layers, sizes.kp
    size = of(network, hidden_size=hidden, layers=count)
    return Recipe(network=network, technique=technique, hidden_size=hidden, layers=count, size=size)


def _target(network: Benchmark, technique: str, compression: int | None, layers: int) -> float:
    """Return the parameters to aim at: decoded, printed, or asked for."""
    label = "maximum" if compression is None else f"{compression}x"
    wanted = (network.name, technique, label, layers)
    for row in papers.decoded():
        count = row.layers or network.layers
        decoded = row.matches and row.parameters and row.counted == "all"
        if decoded and (row.benchmark, row.technique, row.compression, count) == wanted:
            return row.parameters[0]
    for result in papers.results():
        if (result.benchmark, result.technique, result.compression, result.layers) == wanted:
            return result.kilobytes * 1024 / 4
    if compression is None:
        return _only(network, "kp", layers).size.total
    return network.size.total / compression


def _small(network: Benchmark, layers: int, target: float) -> Iterator[Recipe]:
    for hidden in range(1, network.hidden_size + 1):
        size = sizes.dense(network, hidden_size=hidden, layers=layers)
        yield Recipe(
            network=network, technique="small", hidden_size=hidden, layers=layers, size=size
        )


def _low_rank(network: Benchmark, layers: int, target: float) -> Iterator[Recipe]:
    for rank in range(1, network.hidden_size + 1):
        size = sizes.low_rank(network, rank, layers=layers)
        yield Recipe(
            network=network, technique="lmf", hidden_size=network.hidden_size, layers=layers,
            rank=rank, size=size,
        )  # fmt: skip


def _hybrid(network: Benchmark, layers: int, target: float) -> Iterator[Recipe]:
    # every layer has the same rows and, in the papers, a factorable number of columns
    for rows in hybrid_shapes(*network.gate_shape):
        size = sizes.hybrid(network, rows, layers=layers)
        yield Recipe(
            network=network, technique="hkp", hidden_size=network.hidden_size, layers=layers,
            rows=rows, size=size,
        )  # fmt: skip


def _pruned(network: Benchmark, layers: int, target: float) -> Iterator[Recipe]:
    if layers != network.layers:
        raise ValueError(f"{network.name} is pruned with {network.layers} layers, not {layers}")
    dense = network.size.weights
    wanted = min(max(1, round(target) - (network.size.total - dense)), dense)
    # every stack of gates, of each direction, is pruned by itself, to whole entries
    stacks = [stack * m * n for m, n in network.gate_shapes() for stack in network.stacks]
    nonzeros = network.directions * sum(max(1, round(wanted * k / dense)) for k in stacks)
    size = sizes.pruned(network, nonzeros=nonzeros)
    yield Recipe(
        network=network, technique="pruned", hidden_size=network.hidden_size, layers=layers,
        nonzeros=nonzeros, size=size,
    )  # fmt: skip


_CANDIDATES: dict[str, Callable[[Benchmark, int, float], Iterator[Recipe]]] = {
    "small": _small,
    "lmf": _low_rank,
    "hkp": _hybrid,
    "pruned": _pruned,
}
