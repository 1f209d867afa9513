"""What a network adds to a process at its peak: measured in a process of its own."""

import contextlib
import ctypes
import gc
import pickle
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import torch

from kplib.bench.network_peers import PEERS, NetworkCase
from kplib.nn import GRU, Classifier, Dense, Kronecker

__all__ = ["peak_bytes"]

_STATUS = Path("/proc/self/status")
_CLEAR = Path("/proc/self/clear_refs")
_RESET_PEAK = "5"
_SECONDS = 300


def peak_bytes(case: NetworkCase, peer: str) -> int | None:
    """Return what making a peer ready and running it adds to a process's memory at its peak.

    Before the measurement the process has run the same peer on a network of a few units, so that
    its runtime, and whatever compiles for it, is loaded and is not counted. Compiling the network
    itself is: graphs that are optimized, code that is generated. Small networks can fit in pages
    that the process holds already; 0 means that.

    Parameters
    ----------
    case : NetworkCase
        The network.
    peer : str
        One of :data:`~kplib.bench.network_peers.PEERS`, by name.

    Returns
    -------
    int or None
        Bytes, to a page; None where the system keeps no such figure (it is Linux that does), or
        the peer fails.

    Examples
    --------
    >>> from kplib.bench.network import NetworkSpec, network_case
    >>> peak = peak_bytes(network_case(NetworkSpec("mnist-lstm", "kp")), "torch.nn")
    >>> peak is None or peak >= 0
    True
    """
    if not (_STATUS.exists() and _CLEAR.exists()):
        return None
    given = pickle.dumps((case, peer, torch.get_num_threads()))
    command = [sys.executable, "-W", "ignore", "-m", "kplib.bench.network_memory"]
    try:
        done = subprocess.run(
            command, input=given, capture_output=True, check=True, timeout=_SECONDS
        )
        return int(done.stdout.splitlines()[-1])
    except (subprocess.SubprocessError, IndexError, ValueError):
        return None


def _resident(field: str) -> int:
    """Return VmRSS or VmHWM of this process, in bytes."""
    match = re.search(rf"^{field}:\s*(\d+) kB", _STATUS.read_text(), flags=re.MULTILINE)
    assert match is not None
    return 1024 * int(match[1])


def _return_freed_memory() -> None:
    """Have the C library give back what is free: using it again has to show as growth."""
    with contextlib.suppress(AttributeError, OSError):  # glibc's alone
        ctypes.CDLL(None).malloc_trim(0)


def _tiny(case: NetworkCase) -> NetworkCase:
    """Return a network of the same cell with a few units."""
    rnn = case.rnn
    options: dict[str, Any] = {"reset_after": rnn.reset_after} if isinstance(rnn, GRU) else {}
    weight = Kronecker() if case.kind == "kronecker" else Dense()
    layer = type(rnn)(2, 4, bias="one", batch_first=True, weight=weight, **options)
    model = Classifier(layer, torch.nn.Linear(4, 2)).eval()
    return NetworkCase("tiny", "tiny", model, 3, threads=case.threads)


def _measure(case: NetworkCase, name: str) -> int:
    (peer,) = (peer for peer in PEERS if peer.name == name)
    warm = peer.make(_tiny(case))
    warm.result()
    _ = case.exact, case.x, case.arrays  # the benchmark's own, not the peer's
    gc.collect()
    _return_freed_memory()
    _CLEAR.write_text(_RESET_PEAK)
    before = _resident("VmRSS")
    call = peer.make(case)
    for _ in range(3):
        call.result()
    return max(0, _resident("VmHWM") - before)


def _main() -> None:
    case, name, threads = pickle.loads(sys.stdin.buffer.read())
    torch.set_num_threads(threads)
    print(_measure(case, name))


if __name__ == "__main__":
    _main()
