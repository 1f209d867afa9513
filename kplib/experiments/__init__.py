"""The benchmarks, their sizes, what they take of a small chip, and what the papers print of them.

`BENCHMARKS` defines the networks; `Footprint` says what one takes of a device of `DEVICES`;
`kplib.experiments.sizes` counts networks under each technique, and `kplib.experiments.papers` has
every number of the papers with its table. None of it needs torch.
"""

from kplib.experiments.benchmarks import BENCHMARKS, Benchmark, benchmark
from kplib.experiments.cells import CELLS, Cell
from kplib.experiments.memory import DEVICES, Device, Footprint, known_device

__all__ = [
    "BENCHMARKS",
    "CELLS",
    "DEVICES",
    "Benchmark",
    "Cell",
    "Device",
    "Footprint",
    "benchmark",
    "known_device",
]
