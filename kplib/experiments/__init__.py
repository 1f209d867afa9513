"""The benchmarks, their sizes, and what the papers print about them.

`BENCHMARKS` defines the networks, `kplib.experiments.sizes` counts them under each technique, and
`kplib.experiments.papers` has every number of the papers with its table. None of it needs torch.
"""

from kplib.experiments.benchmarks import BENCHMARKS, Benchmark, benchmark

__all__ = ["BENCHMARKS", "Benchmark", "benchmark"]
