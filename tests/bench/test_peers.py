import ctypes
import importlib.util
import re

import numpy as np
import pytest

from kplib import FactorShape, algorithm4
from kplib.bench import native, peers
from kplib.bench.native import NATIVE_PEERS
from kplib.bench.peers import PYTHON_PEERS, Call, Case, Peer, prepare, python_call

# Both orders of the product, factors that are vectors, primes, and Algorithm 4's.
SHAPES = [
    algorithm4(40, 68),
    FactorShape(5, 17, 8, 4),
    FactorShape(1, 7, 13, 1),
    FactorShape(3, 3, 4, 4),
]
PACKAGES = {
    "numba": "numba",
    "torch": "torch",
    "jax": "jax",
    "--no-deps pyfastkron": "pyfastkron",
    "pylops": "pylops",
    "linear_operator": "linear_operator",
    "pykronecker": "pykronecker",
}


def case(shape):
    return Case("test", shape, seed=3)


def test_the_shapes_take_both_orders():
    assert {shape.order for shape in SHAPES} == {"a_first", "b_first"}


def test_a_case_is_float32_and_the_same_every_time():
    first, second = case(SHAPES[0]), case(SHAPES[0])
    for name in ("A", "B", "x", "W"):
        assert getattr(first, name).dtype == np.float32
        np.testing.assert_array_equal(getattr(first, name), getattr(second, name))
    assert first.exact.dtype == np.float64
    assert not np.array_equal(first.x, Case("test", SHAPES[0], seed=4).x)


@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("peer", [*PYTHON_PEERS, *NATIVE_PEERS], ids=lambda peer: peer.name)
def test_every_peer_gives_the_right_result_or_says_why_not(peer, shape):
    calls, left_out = prepare([peer], case(shape))
    assert len(calls) + len(left_out) == 1
    if peer.name in calls:
        assert calls[peer.name].sampler(3) > 0
        return
    reason = left_out[peer.name]
    package = PACKAGES.get(peer.package)
    if package is not None and importlib.util.find_spec(package) is None:
        assert reason.startswith(f"not installed (pip install {peer.package})")
    else:
        assert re.search(r"square factors|Debian: lib|Algorithm 4 is undefined", reason), reason


def test_the_peers_that_kplib_itself_needs_are_always_timed():
    shape = case(SHAPES[0])
    python, _ = prepare([peer for peer in PYTHON_PEERS if not peer.slow_import], shape)
    assert {peers.BASELINE, peers.OURS} <= set(python)
    cpp, _ = prepare([peer for peer in NATIVE_PEERS if not peer.slow_import], shape)
    assert {*native.SGEMVS, native.OURS} <= set(cpp)


def test_names_are_unique():
    for everyone in (PYTHON_PEERS, NATIVE_PEERS):
        assert len({peer.name for peer in everyone}) == len(everyone)


def wrong(change):
    """A peer whose result is the right one, changed."""

    def make(case):
        return Call(lambda loops: 1.0, lambda: change(case.exact.copy()), macs=1)

    return Peer("liar", make)


def last_entry_off(y):
    y[-1] += 1e-3 * np.abs(y).max()
    return y


@pytest.mark.parametrize(
    "change",
    [last_entry_off, lambda y: y * np.nan, lambda y: y[:-1], lambda y: y[::-1], lambda y: -y],
    ids=["one entry", "NaN", "too short", "reversed", "sign"],
)
def test_a_wrong_result_is_reported_and_not_timed(change):
    calls, left_out = prepare([wrong(change), *PYTHON_PEERS[:1]], case(SHAPES[0]))
    assert list(calls) == [PYTHON_PEERS[0].name]
    assert left_out["liar"].startswith("wrong result")


def test_a_result_that_is_not_written_is_wrong():
    """What an earlier peer left in memory must not pass for the result."""
    shape = case(SHAPES[0])
    y = shape.exact.astype(np.float32)
    idle = Peer("idle", lambda case: python_call("None", {}, macs=1, y=y))
    assert prepare([idle], shape)[1]["idle"].startswith("wrong result")


def test_a_peer_that_fails_is_named_without_places_and_the_rest_goes_on():
    def explode(case):
        raise RuntimeError("no /home/somebody/lib/thing.so\nand more")

    def absent(case):
        raise ImportError("No module named 'nothing'")

    failing = [Peer("explodes", explode), Peer("absent", absent, "nothing"), PYTHON_PEERS[1]]
    calls, left_out = prepare(failing, case(SHAPES[0]))
    assert list(calls) == [PYTHON_PEERS[1].name]
    assert left_out == {
        "explodes": "failed: RuntimeError: no thing.so",
        "absent": "not installed (pip install nothing): No module named 'nothing'",
    }


def test_the_hybrid_skips_rows_that_algorithm_4_cannot_factor():
    # 32 - 1 is a prime, 30 is not.
    assert peers.kplib_hybrid(case(algorithm4(32, 48))).note.startswith("r = 2, ")


def test_the_low_rank_peer_is_no_larger_than_the_factors():
    shape = algorithm4(118, 128)
    made = peers.kplib_lowrank(case(shape))
    assert made.note == "rank 2"
    assert 2 * (118 + 128) <= shape.params < 3 * (118 + 128)


def test_the_loop_makes_every_call():
    calls = []
    kernel = ctypes.CFUNCTYPE(None, *[ctypes.c_void_p] * 3)(lambda *given: calls.append(given))
    shape = case(SHAPES[0])
    address = ctypes.cast(kernel, ctypes.c_void_p).value
    call = native.matvec_call(address, 12345, shape, macs=1)
    assert call.sampler(7) > 0
    assert len(calls) == 7
    assert {(weights, x) for weights, x, _ in calls} == {(12345, shape.x.ctypes.data)}


@pytest.mark.parametrize("peer", NATIVE_PEERS[:2], ids=lambda peer: peer.name)
def test_the_sgemv_loop_makes_every_call_with_the_arguments_of_blas(peer, monkeypatch):
    calls = []

    def record(trans, m, n, alpha, W, lda, x, incx, beta, y, incy):
        integers = [pointer[0] for pointer in (m, n, lda, incx, incy)]
        calls.append((trans[0], *integers, alpha[0], beta[0]))

    char, integer, real = (ctypes.POINTER(t) for t in (ctypes.c_char, ctypes.c_int, ctypes.c_float))
    sgemv = ctypes.CFUNCTYPE(
        None, char, integer, integer, real, real, integer, real, integer, real, real, integer
    )(record)
    monkeypatch.setattr(native, "_scipy_sgemv", lambda: ctypes.cast(sgemv, ctypes.c_void_p).value)
    peer.make(case(SHAPES[0])).sampler(5)
    by_rows, by_columns = (b"T", 68, 40, 68, 1, 1, 1.0, 0.0), (b"N", 40, 68, 40, 1, 1, 1.0, 0.0)
    assert calls == [by_rows if peer.name == native.SGEMVS[0] else by_columns] * 5


def test_the_peak_is_one_that_a_core_can_have():
    peak = native.fma_peak()
    seconds = min(peak(2000) for _ in range(20)) / 2000
    flops_per_second = native.fma_flops_per_call() / seconds
    # 2 GFLOP/s is below any core that runs Python; no core has four 512-bit units at 8 GHz.
    assert 2e9 < flops_per_second < 4 * 32 * 8e9


def test_a_header_that_is_not_there_is_named(monkeypatch, tmp_path):
    (tmp_path / "peer.cpp").write_text("#include <no_such_library.h>\n")
    monkeypatch.setattr(native, "_SOURCES", tmp_path)
    with pytest.raises(peers.Unavailable, match=r"no_such_library\.h") as failure:
        native.build("peer.cpp")
    assert str(tmp_path) not in str(failure.value)


def test_without_a_compiler_the_reason_is_given(monkeypatch):
    monkeypatch.setattr(native.compiler_loader, "missing", lambda: "no C++ compiler")
    with pytest.raises(peers.Unavailable, match="no C\\+\\+ compiler"):
        native.compiler_command()
