"""What the machine says of itself: which one it is, whether it is a board, how it is set up."""

import ctypes
import json
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

from kplib.bench import native

NATIVE = Path(__file__).parent / "native"

KINDS = ("board", "server", "virtual", "emulated", "other", "unknown")
"""What a machine can be found to be; ``other`` is of another architecture than aarch64."""


@cache
def library() -> ctypes.CDLL:
    """Return ``native/library.cpp``, compiled for this machine.

    Raises
    ------
    Unavailable
        Without a C++ compiler.
    """
    return native.build(str(NATIVE / "library.cpp"))


def look(
    root: Path | None = None, architecture: str = "", *, cpu: int = -1, pin: bool = False
) -> dict[str, Any]:
    """Return what identifies the machine, and what it was found to be.

    Parameters
    ----------
    root : Path, optional
        Read /proc and /sys below this folder, and ask no program: for tests.
    architecture : str, optional
        Instead of what the kernel says: for tests.
    cpu : int, optional
        The core to time on; by default the fastest, and of equals the last.
    pin : bool, optional
        Whether to keep this process on that core from now on.

    Returns
    -------
    dict
        ``architecture``, ``model``, ``system``, ``found`` (one of `KINDS`), ``against`` (why
        it is no board: empty for a board), ``cores`` (``cpu``, ``core``, ``midr``, ``max_khz`` of
        each), ``cpu``, ``pinned``, ``midr_register`` (as the pinned core itself says).

    Examples
    --------
    >>> machine = look()
    >>> machine["found"] in KINDS and (machine["against"] == []) == (machine["found"] == "board")
    True
    """
    arguments = (_below(root), architecture.encode(), cpu, int(pin))
    return _text(library().board_machine, *arguments)


def conditions(machine: dict[str, Any], root: Path | None = None) -> dict[str, Any]:
    """Return what may change during a run: governor, frequency, throttling, load; with warnings.

    Parameters
    ----------
    machine : dict
        From :func:`look`.
    root : Path, optional
        As there; what ``vcgencmd get_throttled`` prints is then read from the file ``vcgencmd``.

    Returns
    -------
    dict
        ``governor``, ``khz``, ``throttled`` (None where the system does not say), ``load`` over
        one, five and fifteen minutes, ``warnings``.

    Examples
    --------
    >>> sorted(conditions(look()))
    ['governor', 'khz', 'load', 'throttled', 'warnings']
    """
    cores = len(machine["cores"])
    return _text(library().board_conditions, _below(root), machine["cpu"], cores)


def kind(found: str, label: str) -> str:
    """Return what a run is recorded as: a label makes a server's core of a virtual one, no board.

    Examples
    --------
    >>> kind("virtual", "server core"), kind("board", ""), kind("emulated", "server core")
    ('server', 'board', 'emulated')
    """
    return "server" if label and found in ("board", "virtual", "server") else found


def refusal(machine: dict[str, Any]) -> str:
    """Return why this is no board, a line a reason, and what can be done.

    Examples
    --------
    >>> print(refusal({"found": "virtual", "against": ["it has virtio devices"]}))
    this is no board, but found to be virtual:
      - it has virtio devices
    A server's core, in a virtual machine or not, can be timed as one: --label "server core"
    """
    lines = [f"this is no board, but found to be {machine['found']}:"]
    lines += [f"  - {reason}" for reason in machine["against"]]
    if machine["found"] in ("virtual", "server"):
        lines.append(
            "A server's core, in a virtual machine or not, can be timed as one: "
            '--label "server core"'
        )
    return "\n".join(lines)


def _below(root: Path | None) -> bytes:
    return b"" if root is None else str(root).encode()


def _text(function: Callable[..., int], *arguments: Any) -> dict[str, Any]:
    """Return the JSON that a C function writes into a buffer; it says how long it had to be."""
    size = 4096
    while True:
        out = ctypes.create_string_buffer(size)
        length = function(*arguments, out, size)
        if length < size:
            return json.loads(out.value)
        size = length + 1
