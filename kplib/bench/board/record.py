"""One run as one record: what identifies it, how it was timed, what came out."""

from collections.abc import Mapping, Sequence
from importlib import metadata
from typing import Any

from kplib.bench import machine as host
from kplib.bench.board.checks import kind
from kplib.bench.board.procedure import Procedure
from kplib.kernels import loaders

FORMAT = 1


def compiled_by(loader: str) -> dict[str, str]:
    """Return the path that was timed, its compiler and its flags.

    Examples
    --------
    >>> compiled_by("compiler")["path"]
    'compiler'
    """
    version = host.libraries()["compiler"]
    if loader == "cppyy":
        version = f"cppyy-cling {metadata.version('cppyy-cling')}"
    return {
        "path": loader,
        "compiler": str(version or "unknown"),
        "flags": loaders.choose(loader).flags(),
    }


def record(
    label: str,
    machine: Mapping[str, Any],
    conditions: Mapping[str, Mapping[str, Any]],
    procedure: Procedure,
    loader: str,
    works: Sequence[Mapping[str, Any]],
    left_out: Sequence[Mapping[str, str]],
    arguments: Sequence[str],
) -> dict[str, Any]:
    """Return the record of a run: JSON types only, no host name, no path.

    Parameters
    ----------
    label : str
        As it was given; empty for a board.
    machine : mapping
        From :func:`kplib.bench.board.checks.look`, pinned.
    conditions : mapping
        ``before`` and ``after``, from :func:`kplib.bench.board.checks.conditions`.
    procedure : Procedure
    loader : str
        The loader that compiled the works.
    works : sequence of mapping
        From :func:`kplib.bench.board.procedure.measure`.
    left_out : sequence of mapping
        ``kind``, ``benchmark``, ``name``, ``reason`` of what could not be timed.
    arguments : sequence of str
        Of the command.
    """
    known = host.provenance(arguments)
    return {
        "benchmark": "board",
        "format": FORMAT,
        "kind": kind(machine["found"], label),
        "label": label,
        "command": known["command"],
        "date": known["date"],
        "kplib": known["kplib"],
        **compiled_by(loader),
        "machine": dict(machine),
        "procedure": {
            "rounds": procedure.rounds,
            "min_sample_seconds": procedure.min_sample_seconds,
            "warm_up_seconds": procedure.warm_up_seconds,
        },
        "before": dict(conditions["before"]),
        "after": dict(conditions["after"]),
        "works": [dict(work) for work in works],
        "left_out": [dict(work) for work in left_out],
    }
