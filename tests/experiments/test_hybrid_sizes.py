"""The three hybrid sizes that L prints, looked for among all r and all factor shapes."""

from __future__ import annotations

import math
from collections.abc import Iterator

import pytest

import kplib
from kplib.experiments import BENCHMARKS, papers, sizes
from kplib.experiments.recipes import recipe

ROWS = papers.results(technique="hkp")
PER_GATE, STACKED = False, True


def kilobytes_of_every_hybrid(benchmark: str, *, stacked: bool) -> Iterator[float]:
    """Yield the size of each hybrid network: dense's or KP's units, any r, any factor shape."""
    network = BENCHMARKS[benchmark]
    for hidden_size in {network.hidden_size, network.kp_hidden_size}:
        dense = sizes.dense(network, hidden_size=hidden_size)
        biases_and_head = dense.total - dense.weights
        m, n, copies = hidden_size, network.input_size + hidden_size, network.directions
        if stacked:
            m *= network.gates
        else:
            copies *= network.gates
        for r in range(m):
            for params in {shape.params for shape in kplib.factor_shapes(m - r, n)}:
                yield sizes.kilobytes(biases_and_head + copies * (r * n + params))


def cut_off(kilobytes: float) -> float:
    """Return two decimals, the rest dropped; a multiple of 1/256 is exact in floating point."""
    return math.floor(kilobytes * 100) / 100


@pytest.fixture(scope="module")
def found() -> dict[tuple[str, bool], set[float]]:
    return {
        (benchmark, stacked): set(kilobytes_of_every_hybrid(benchmark, stacked=stacked))
        for benchmark in {row.benchmark for row in ROWS}
        for stacked in (PER_GATE, STACKED)
    }


def test_the_search_finds_what_is_there(found):
    for benchmark in ("kws-lstm", "har1-bilstm"):
        known = recipe(benchmark, "hkp", compression=10).size.kilobytes
        assert known in found[benchmark, PER_GATE]
        assert known not in {row.kilobytes for row in ROWS}


def test_no_hybrid_has_a_printed_size_rounded(found):
    for row in ROWS:
        for stacked in (PER_GATE, STACKED):
            rounded = {round(kilobytes, 2) for kilobytes in found[row.benchmark, stacked]}
            assert row.kilobytes not in rounded


def test_no_hybrid_of_single_gates_has_a_printed_size_cut_off(found):
    for row in ROWS:
        assert row.kilobytes not in {cut_off(kb) for kb in found[row.benchmark, PER_GATE]}


def test_stacked_hybrids_have_two_of_the_three_cut_off(found):
    hits = {
        row.kilobytes: {kb for kb in found[row.benchmark, STACKED] if cut_off(kb) == row.kilobytes}
        for row in ROWS
    }
    slip = papers.slip("hybrid-sizes")
    assert set(hits) == set(slip.printed)
    reached = {printed: values for printed, values in hits.items() if values}
    assert len(reached) == 2
    assert all(f"{kb:.4f}" in slip.text for values in reached.values() for kb in values)
    (missed,) = set(hits) - set(reached)
    assert f"{missed}" in slip.text
