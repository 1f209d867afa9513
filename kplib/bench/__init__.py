"""Benchmarks: interleaved timing, the peers that kplib is timed against, records of the machine.

``kplib bench matvec`` is the command; :mod:`kplib.bench.timing` is the harness under it.
"""
