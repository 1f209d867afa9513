"""Everything compiled for aarch64: the results of x86, and no more instructions than recorded.

The cross-compiler, qemu and llvm-mca are system packages that `make test` installs: one that is
missing is a failure.
"""

import json
from pathlib import Path

import numpy as np
import pytest

from kplib.bench.arm import model
from kplib.bench.arm.caches import _total
from kplib.bench.arm.cases import all_cases, kernel_cases, network_cases
from kplib.bench.arm.counting import Block, _Machine, count, disassembled
from kplib.bench.arm.evidence import agreements
from kplib.bench.arm.model import calibration, modelled_cycles
from kplib.bench.arm.prediction import predictions
from kplib.bench.arm.roofline import cores
from kplib.bench.arm.toolchain import (
    AARCH64,
    AARCH64_EXACT,
    MissingToolError,
    Target,
    build,
    build_all,
    numbers,
    run,
)
from kplib.bench.network import NETWORKS

# Once is enough: what an installed package needs for it, the command's tests need too.
pytestmark = pytest.mark.repository

RECORDS = Path(__file__).resolve().parents[3] / "book" / "results" / "arm"
AGAIN = "kplib bench arm --caches --json book/results/arm"

CASES = all_cases()
SHORT = all_cases(steps=3)
NAMES = [case.name for case in CASES]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("aarch64")


@pytest.fixture(scope="module")
def binaries(folder):
    return build_all(CASES, AARCH64, folder)


@pytest.fixture(scope="module")
def agreement(binaries, folder):
    # The length of a sequence is an argument, not compiled in.
    return agreements(SHORT, binaries, folder)


@pytest.fixture(scope="module")
def counts(binaries):
    return {case.name: count(case, binaries[case.name]) for case in CASES}


@pytest.fixture(scope="module")
def modelled(counts):
    return {name: modelled_cycles(found.blocks) for name, found in counts.items()}


def test_every_benchmark_and_technique_is_there():
    assert {(case.benchmark, case.label) for case in CASES if case.network} == {
        (name, spec.label) for name, specs in NETWORKS.items() for spec in specs
    }
    techniques = {spec.technique for specs in NETWORKS.values() for spec in specs}
    assert techniques == {"baseline", "kp", "hkp", "lmf", "pruned", "small"}
    assert len(set(NAMES)) == len(NAMES) > 45


@pytest.mark.parametrize("name", NAMES)
def test_aarch64_computes_what_x86_does(agreement, name):
    assert agreement[name].bit_for_bit
    assert agreement[name].relative_error < 2e-6


def test_a_wrong_result_would_be_noticed(binaries, folder):
    """The comparison can fail: fused and unfused results are not the same bits."""
    case = next(case for case in SHORT if case.name == "har1-bilstm, kp")
    exact = run(case, build(case, AARCH64_EXACT, folder), AARCH64_EXACT)
    assert not np.array_equal(run(case, binaries[case.name], AARCH64), exact)


@pytest.mark.parametrize("name", NAMES)
def test_the_emulator_that_counts_computes_the_same(binaries, counts, name):
    case = next(case for case in CASES if case.name == name)
    found = counts[name]
    np.testing.assert_allclose(
        found.y, case.expected(), rtol=0, atol=2e-6 * np.abs(case.expected()).max()
    )
    # A sum's first term may be a multiplication alone; padding of the last lanes comes on top.
    assert found.flops > 0.9 * 2 * case.macs
    assert found.instructions > found.fmla + found.fmadd + found.loads + found.stores
    assert found.elsewhere < 0.05 * found.instructions
    assert found.weight_bytes >= 4 * sum(np.count_nonzero(array) for array in case.operands)


def test_the_known_product_takes_exactly_its_multiply_adds(counts):
    assert counts["square product, kp"].fmla == 2 * 16**3 // 4
    assert counts["square product, kp"].fmadd == 0


def test_counting_is_exact_and_repeats_itself(binaries, counts):
    """Blocks times their sizes are the instructions that are executed one by one."""
    import unicorn

    for name in ("mnist-lstm, kp", "usps-fastrnn, pruned", "kws-gru gate, hkp 10x"):
        case = next(case for case in CASES if case.name == name)
        machine = _Machine(binaries[name])
        *operands, x = (machine.put(array.tobytes()) for array in numbers(case))
        pointers = machine.put(np.array(operands, np.uint64).tobytes())
        weights, y = machine.put(bytes(1 << 20)), machine.put(bytes(1 << 16))
        assert machine.call("kplib_pack", pointers, weights) == 0
        steps = [0]

        def one(_machine, _address, size, _data, steps=steps):
            assert size == 4
            steps[0] += 1

        machine._emulator.hook_add(unicorn.UC_HOOK_CODE, one)
        machine.call("kplib_run", weights, x, y, case.length)
        assert steps == [counts[name].instructions]
        assert count(case, binaries[name]).numbers() == counts[name].numbers()


def test_counts_grow_with_the_steps_by_the_same_each_time(binaries):
    (four,), (five,), (six,) = (
        [c for c in network_cases(["usps-fastrnn"], steps=n) if c.label == "kp"] for n in (4, 5, 6)
    )
    found = [count(case, binaries[case.name]) for case in (four, five, six)]
    each = found[1].fmla - found[0].fmla
    assert each == found[2].fmla - found[1].fmla > 0
    assert found[1].instructions - found[0].instructions == (
        found[2].instructions - found[1].instructions
    )


@pytest.fixture(scope="module")
def records():
    found = [json.loads(path.read_text()) for path in sorted(RECORDS.glob("aarch64-*.json"))]
    assert found, f"there is no record: {AGAIN}"
    return found


def test_no_count_is_above_the_recorded_one(records, counts):
    """Within 2 % of the record of this compiler; another one may differ by half."""
    compiler = AARCH64.version()
    mine = [record for record in records if record["versions"]["compiler"] == compiler]
    (record, *_), slack = (mine, 1.02) if mine else (records, 1.5)
    assert record["counts"].keys() == counts.keys(), AGAIN
    differ = [
        f"{name}: {kind} {numbers[kind]:,}, recorded {recorded[kind]:,}"
        for name, recorded in record["counts"].items()
        for kind, numbers in (
            (kind, counts[name].numbers()) for kind in ("instructions", "fmla", "fmadd", "flops")
        )
        # Of some hundred instructions two more are not a regression.
        if not recorded[kind] / slack - 8 <= numbers[kind] <= recorded[kind] * slack + 8
    ]
    assert not differ, f"slower, or a record that is out of date ({AGAIN}):\n" + "\n".join(differ)


def test_the_record_is_complete_and_says_what_it_is(records):
    for record in records:
        assert record["evidence"].startswith("no board")
        assert "Cortex-A57" in record["versions"]["model"]
        assert {row["name"] for row in record["cases"]} == set(NAMES)
        assert all(row["bit_for_bit"] for row in record["cases"])
        assert len(record["predicted"]) == 6
        assert "milliseconds" not in json.dumps(record["cases"])


# The model, the roof, the prediction --------------------------------------------------------------


def test_llvms_model_has_the_a73s_peak_and_too_long_latencies():
    peak, chain = calibration()
    assert peak.ratio == pytest.approx(1.0, abs=0.02)
    assert 1.3 <= chain.ratio <= 1.4


@pytest.mark.parametrize("name", NAMES)
def test_modelled_cycles_lie_above_the_roof(counts, modelled, name):
    """One vector multiply-add a cycle: the model's peak, and the A73's."""
    a73 = next(core for core in cores() if core.name == "Cortex-A73")
    found = modelled[name]
    assert a73.fewest_cycles(counts[name]) <= found.throughput <= found.chained
    assert found.throughput >= counts[name].instructions / 3  # three are dispatched a cycle


def test_blocks_are_weighted_by_how_often_they_are_entered():
    fmla = bytes.fromhex("20cc224e")  # fmla v0.4s, v1.4s, v2.4s
    assert [i.mnemonic for i in disassembled(fmla)] == ["fmla"]
    once = modelled_cycles([Block(0, 1, 8 * fmla)])
    often = modelled_cycles([Block(0, 10, 8 * fmla), Block(64, 5, fmla)])
    assert once.throughput == 8
    assert once.chained > 3 * once.throughput
    assert often.throughput == 10 * 8 + 5


def test_predictions_span_their_figures_and_stand_beside_the_papers(counts, modelled):
    found = predictions(counts, modelled)
    assert [(each.benchmark, each.layers) for each in found] == [
        ("kws-lstm", 1), ("har1-bilstm", 1), ("mnist-lstm", 1), ("usps-fastrnn", 1),
        ("kws-gru", 1), ("kws-gru", 2),
    ]  # fmt: skip
    for each in found:
        assert 1 < each.least <= each.by_instructions <= each.most
        assert each.least <= min(each.by_model) <= max(each.by_model) <= each.most
        by_macs = [
            case.macs for case in CASES if case.network and case.benchmark == each.benchmark
            and case.label in ("baseline", "kp" + ", 2 layers" * (each.layers == 2))
        ]  # fmt: skip
        assert each.most < 1.05 * max(by_macs) / min(by_macs)
    measured = {(e.benchmark, e.layers): e.measured_by_papers for e in found}
    assert measured["kws-gru", 1] is None  # the papers' has two layers
    assert measured["kws-lstm", 1] == pytest.approx(26.8 / 17.5)


def test_recorded_caches_hold_kronecker_weights_and_not_large_dense_ones(records):
    for record in records:
        misses, counts = record["caches"]["misses"], record["counts"]
        assert misses.keys() == set(NAMES), AGAIN
        for name, found in misses.items():
            # What fits with room to spare is never read twice; what does not is, at every step.
            if counts[name]["weight_bytes"] < 32 * 1024:
                assert found["first"] < 1000, name
        dense = misses["kws-lstm, baseline"]["first"]
        assert dense > 25 * 0.5 * counts["kws-lstm, baseline"]["weight_bytes"] / 64
        assert misses["kws-lstm, kp"]["first"] < 0.01 * dense


def test_cachegrinds_totals_are_read_and_silence_is_an_error():
    summary = "==1== D1  misses:  1,234 rd\n==1== LLd misses:  56 rd\n"
    assert (_total("D1", summary), _total("LLd", summary)) == (1234, 56)
    with pytest.raises(RuntimeError, match="nothing of D1"):
        _total("D1", "")


# What is missing is said --------------------------------------------------------------------------


def test_missing_tools_are_named(monkeypatch, tmp_path):
    case = kernel_cases([])[0]
    missing = Target("nowhere", "no-such-compiler", ())
    with pytest.raises(MissingToolError, match="no-such-compiler is not on PATH"):
        build(case, missing, tmp_path)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(MissingToolError, match="llvm-mca is not on PATH"):
        model.version()
    with pytest.raises(MissingToolError, match="qemu-aarch64-static is not on PATH"):
        run(case, tmp_path / "program", AARCH64)


def test_a_case_that_does_not_compile_says_so(tmp_path):
    broken = Target("broken", "aarch64-linux-gnu-g++", ("-include", "no-such-header.hpp"))
    with pytest.raises(RuntimeError, match="no-such-header"):
        build(kernel_cases([])[0], broken, tmp_path)
