"""The recorded times of whole networks: what `kplib bench network` wrote, for a figure."""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kplib.experiments.benchmarks import BENCHMARKS

__all__ = ["NetworkTimes", "network_times"]

OURS = "kplib.compile"
_FORMAT = 1
_LABEL = re.compile(r"(?P<technique>\w+)(?: (?P<compression>\d+)x)?(?:, (?P<layers>\d+) layers?)?")

Network = tuple[str, int | None, int]
"""Technique, compression and layers, as `kplib.build` takes them."""


@dataclass(frozen=True, kw_only=True)
class NetworkTimes:
    """How long one sequence takes, batch 1, on one machine.

    Parameters
    ----------
    cpu : str
        Its processor.
    milliseconds : mapping of str to mapping of (str, int or None, int) to float
        Medians, by benchmark and by technique, compression and layers.

    Examples
    --------
    >>> times = NetworkTimes(cpu="Cortex-A73", milliseconds={"kws-lstm": {("kp", None, 1): 0.25}})
    >>> times.milliseconds["kws-lstm"]["kp", None, 1]
    0.25
    """

    cpu: str
    milliseconds: Mapping[str, Mapping[Network, float]]


def network_times(path: Path | str, peer: str = OURS) -> NetworkTimes:
    """Read the times of one peer from a record of ``kplib bench network``.

    Parameters
    ----------
    path : Path or str
        The JSON file.
    peer : str, default "kplib.compile"
        Whose times: as the record's tables name it.

    Returns
    -------
    NetworkTimes
        Only of the networks that the peer has run.

    Raises
    ------
    ValueError
        If the file is no such record, or has no time of the peer; it lists the peers then.

    Examples
    --------
    >>> import tempfile
    >>> row = {"peer": "kplib.compile", "network": "hkp 10x", "nanoseconds": {"median": 5000}}
    >>> tables = [{"benchmark": "kws-lstm", "rows": [row]}]
    >>> record = {"benchmark": "network", "format": 1, "machine": {"cpu": "?"}, "tables": tables}
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = Path(folder, "network.json")
    ...     _ = path.write_text(json.dumps(record))
    ...     network_times(path).milliseconds["kws-lstm"] == {("hkp", 10, 1): 0.005}
    True
    """
    path = Path(path)
    record = _record(path)
    found: dict[str, dict[Network, float]] = {}
    peers: dict[str, None] = {}
    for table in record["tables"]:
        for row in table["rows"]:
            peers.setdefault(row["peer"])
            if row["peer"] == peer:
                network = _network(table["benchmark"], row["network"])
                times = found.setdefault(table["benchmark"], {})
                times[network] = row["nanoseconds"]["median"] / 1e6
    if not found:
        raise ValueError(f"{path.name} has no time of {peer!r}; its peers: {', '.join(peers)}")
    return NetworkTimes(cpu=record["machine"]["cpu"], milliseconds=found)


def _record(path: Path) -> Mapping[str, Any]:
    try:
        record = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise ValueError(f"{path.name} is no JSON: {error}") from None
    kind = (record.get("benchmark"), record.get("format")) if isinstance(record, dict) else None
    if kind != ("network", _FORMAT):
        raise ValueError(f"{path.name} is no record of `kplib bench network`, but {kind}")
    return record


def _network(benchmark: str, label: str) -> Network:
    """Return the network of a label such as "hkp 10x" or "kp, 2 layers"."""
    match = _LABEL.fullmatch(label)
    if match is None or benchmark not in BENCHMARKS:
        raise ValueError(f"no network is {label!r} of {benchmark!r}")
    compression, layers = match["compression"], match["layers"]
    return (
        match["technique"],
        int(compression) if compression else None,
        int(layers) if layers else BENCHMARKS[benchmark].layers,
    )
