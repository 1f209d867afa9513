"""Whether a record of ``kplib board`` is well formed, plausible, and fit to be published.

Written as tables of what each field may be. A field that is not in its table is an error: nothing
that names a person or a place comes in unseen.
"""

import datetime
import math
import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from kplib.bench.board import checks, procedure
from kplib.bench.board.record import FORMAT
from kplib.bench.board.works import GATE_NAMES, expected
from kplib.bench.peers import TOLERANCE
from kplib.bench.record import without_folders

Check = Callable[[Any], str]
"""Takes a value; returns what is wrong with it, or ""."""

MAX_MACS_PER_NANOSECOND = 512
"""Above any core's peak: 64 a cycle at 6 GHz is 384."""
MAX_MACS_PER_NANOSECOND_OF_BOARD = 64
"""Four vectors of four a cycle at 4 GHz: above any Arm board's core."""
MAX_GHZ = 7.0
STEADY = 0.95
"""What is left of the frequency at the end, at least, of a run that counts."""


def _text(pattern: str = r"[^\x00-\x1f]{1,300}") -> Check:
    def check(value: Any) -> str:
        if not isinstance(value, str):
            return f"is {value!r}, but must be a text"
        if not re.fullmatch(pattern, value):
            return f"is {value[:60]!r}, which is not of the form {pattern}"
        if without_folders(value) != value or re.search(r"[\w.]@[\w.]|\\\w|~/|/home\b", value):
            return f"is {value[:60]!r}, which has a path or an address in it"
        return ""

    return check


def _number(low: float, high: float, whole: bool = False) -> Check:
    def check(value: Any) -> str:
        right = int if whole else (int, float)
        finite = not isinstance(value, float) or math.isfinite(value)
        if not isinstance(value, right) or isinstance(value, bool) or not finite:
            return f"is {value!r}, but must be a {'whole ' if whole else ''}number"
        return "" if low <= value <= high else f"is {value!s:.60}, but must be in {low:g}..{high:g}"

    return check


def _whole(low: int, high: int) -> Check:
    return _number(low, high, whole=True)


def _one_of(*values: object) -> Check:
    def check(value: Any) -> str:
        same = any(type(value) is type(known) and value == known for known in values)
        return "" if same else f"is {value!r}, but must be one of {list(values)}"

    return check


def _or_none(other: Check) -> Check:
    return lambda value: "" if value is None else other(value)


def _date(value: Any) -> str:
    try:
        when = datetime.datetime.fromisoformat(value)
        ahead = when - datetime.datetime.now(datetime.UTC)
    except (TypeError, ValueError):
        return f"is {value!r}, but must be a date and time with its zone"
    if when.year < 2019 or ahead > datetime.timedelta(days=1):
        return f"is {value}, which is before the papers or in the future"
    return ""


Fields = Mapping[str, Check | tuple[Any, ...]]
"""What an object has: a check a field; (fields,) for an object; (check or fields, low, high) for a
list of so many."""

_MIDR = _text(r"0x[0-9a-f]{8}")
_THROTTLED = _text(r"0x[0-9a-f]{1,8}")
_LINES = (_text(), 0, 40)
_CONDITIONS: Fields = {
    "governor": _or_none(_text(r"[a-z_]{1,30}")),
    "khz": _or_none(_whole(10_000, 7_000_000)),
    "throttled": _or_none(_THROTTLED),
    "load": (_number(0, 10_000), 3, 3),
    "warnings": _LINES,
}
_NAMED: Fields = {
    "kind": _one_of("kernel", "network"),
    "benchmark": _one_of(*GATE_NAMES),
    "name": _text(r"[a-z0-9 ,]{1,40}"),
}
_WORK: Fields = {
    **_NAMED,
    "inputs": _whole(1, 10_000),
    "outputs": _whole(1, 10_000),
    "steps": _whole(1, 10_000),
    "macs": _whole(1, 10**10),
    "weight_bytes": _whole(1, 10**9),
    "nanoseconds": ({name: _number(0.5, 60e9) for name in ("median", "min", "p90")},),
    "rounds": _whole(1, 10**6),
    "calls_per_sample": _whole(1, 10**9),
    "shortest_sample_seconds": _number(1e-9, 600),
    "cycles": _or_none(_number(1, 1e12)),
    "instructions": _or_none(_number(1, 1e12)),
    "relative_error": _number(0, TOLERANCE),
}
_RECORD: Fields = {
    "benchmark": _one_of("board"),
    "format": _one_of(FORMAT),
    "kind": _one_of(*checks.KINDS),
    "label": _text(r"[\w .,:()+-]{0,60}"),
    "command": _text(),
    "date": _date,
    "kplib": (
        {
            "version": _text(r"[\w.+-]{1,40}"),
            "commit": _or_none(_text(r"[0-9a-f]{40}")),
            "modified": _or_none(_one_of(True, False)),
        },
    ),
    "path": _one_of("cppyy", "compiler", "bundle"),
    "compiler": _text(),
    "flags": _text(r"[^\x00-\x1f]{0,300}"),
    "machine": (
        {
            "architecture": _text(r"\w{1,20}"),
            "model": _or_none(_text()),
            "system": _text(),
            "found": _one_of(*checks.KINDS),
            "against": _LINES,
            "cores": (
                {
                    "cpu": _whole(0, 4095),
                    "core": _text(),
                    "midr": _or_none(_MIDR),
                    "max_khz": _or_none(_whole(10_000, 7_000_000)),
                },
                1,
                1024,
            ),
            "cpu": _whole(0, 4095),
            "pinned": _one_of(True, False),
            "midr_register": _or_none(_MIDR),
        },
    ),
    "procedure": (
        {
            "rounds": _whole(1, 10**6),
            "min_sample_seconds": _number(1e-9, 10),
            "warm_up_seconds": _number(0, 600),
        },
    ),
    "before": (_CONDITIONS,),
    "after": (_CONDITIONS,),
    "works": (_WORK, 1, 10_000),
    "left_out": ({**_NAMED, "reason": _text()}, 0, 10_000),
}
_MAY_BE_MISSING = {"commit", "modified"}  # kplib that is not in a checkout has none


def problems(record: object) -> list[str]:
    """Return what is wrong with a record of any kind; nothing if it is well formed and plausible.

    Parameters
    ----------
    record : object
        As `json.load` gives it.

    Returns
    -------
    list of str
        A sentence each, with the place in the record.

    Examples
    --------
    >>> wrong = problems({"benchmark": "matvec"})
    >>> "benchmark is 'matvec', but must be one of ['board']" in wrong
    True
    """
    found = list(_object(record, _RECORD, ""))
    if found or not isinstance(record, dict):
        return found
    return [*_machine(record), *_works(record)]


def submission_problems(record: object) -> list[str]:
    """Return why a record cannot stand among the book's boards; nothing if it can.

    Beside :func:`problems`: it is of a board, or labelled as a server's core; the procedure was
    kept, all that there is to time was timed, and the board was set up for it.

    Examples
    --------
    >>> len(submission_problems({})) > 5
    True
    """
    found = problems(record)
    if found or not isinstance(record, dict):
        return found
    if record["kind"] not in ("board", "server"):
        reasons = "; ".join(record["machine"]["against"])
        return [f"it is {record['kind']}, neither a board nor labelled a server's core: {reasons}"]
    found += [*_procedure(record), *_complete(record)]
    if record["kind"] == "board":
        found += _set_up(record)
    return found


def _object(value: object, fields: Fields, where: str) -> Iterator[str]:
    if not isinstance(value, dict):
        yield f"{where or 'the record'} is a {type(value).__name__}, but must be an object"
        return
    place = f"{where}." if where else ""
    for name in sorted(fields.keys() - value.keys() - _MAY_BE_MISSING):
        yield f"{place}{name} is missing"
    for name, entry in value.items():
        if name not in fields:
            yield f"{place}{name} is no field of a record"
        else:
            yield from _field(entry, fields[name], f"{place}{name}")


def _field(value: object, wanted: Check | tuple[Any, ...], where: str) -> Iterator[str]:
    if not isinstance(wanted, tuple):
        if wrong := wanted(value):
            yield f"{where} {wrong}"
    elif len(wanted) == 1:
        yield from _object(value, wanted[0], where)
    elif not isinstance(value, list) or not wanted[1] <= len(value) <= wanted[2]:
        yield f"{where} must be a list of {wanted[1]} to {wanted[2]} entries"
    else:
        for i, entry in enumerate(value):
            one = (wanted[0],) if isinstance(wanted[0], dict) else wanted[0]
            yield from _field(entry, one, f"{where}[{i}]")


def _machine(record: dict[str, Any]) -> Iterator[str]:
    """Yield where the record's kind does not follow from the machine that it describes."""
    machine = record["machine"]
    if record["kind"] != checks.kind(machine["found"], record["label"]):
        yield (
            f"kind is {record['kind']}, but the machine was found to be {machine['found']} and "
            f"the label is {record['label']!r}"
        )
    if (machine["found"] == "board") != (not machine["against"]):
        yield f"found is {machine['found']}, with {len(machine['against'])} reasons against a board"
    if machine["found"] == "board" and (
        machine["architecture"] != "aarch64" or not machine["model"]
    ):
        yield "a board is aarch64 and has a model"
    cpus = {core["cpu"]: core for core in machine["cores"]}
    if machine["cpu"] not in cpus:
        yield f"it ran on cpu {machine['cpu']}, which is none of {sorted(cpus)}"
        return
    listed, read = cpus[machine["cpu"]]["midr"], machine["midr_register"]
    if machine["pinned"] and listed and read and listed != read:
        yield f"the pinned core says that its MIDR is {read}, the system that it is {listed}"


def _works(record: dict[str, Any]) -> Iterator[str]:
    seen = set()
    most = MAX_MACS_PER_NANOSECOND
    if record["kind"] == "board":
        most = MAX_MACS_PER_NANOSECOND_OF_BOARD
    for work in record["works"]:
        name = f"{work['kind']} {work['benchmark']}, {work['name']}"
        if name in seen:
            yield f"{name} is there twice"
        seen.add(name)
        if (work["kind"], work["benchmark"], work["name"]) not in expected():
            yield f"{name} is nothing that kplib times"
        yield from (f"{name}: {wrong}" for wrong in _work(work, record["procedure"], most))


def _work(work: dict[str, Any], asked: dict[str, Any], most: float) -> Iterator[str]:
    times = work["nanoseconds"]
    if not times["min"] <= times["median"] <= times["p90"]:
        in_order = ", ".join(f"{name} {times[name]}" for name in ("min", "median", "p90"))
        yield f"the times are not in order: {in_order}"
    rate = work["macs"] / times["min"]
    if rate > most:
        yield f"{rate:.3g} multiply-accumulates a nanosecond are more than any core makes, {most}"
    if work["cycles"] and work["cycles"] / times["p90"] > MAX_GHZ:
        yield f"{work['cycles']} cycles in {times['median']} ns are no clock that there is"
    if work["rounds"] != asked["rounds"]:
        yield f"has {work['rounds']} rounds, but the procedure {asked['rounds']}"
    if work["shortest_sample_seconds"] < 0.999 * asked["min_sample_seconds"]:
        yield f"a sample took {work['shortest_sample_seconds']} s: shorter than the procedure's"
    if work["kind"] == "kernel":
        gate = GATE_NAMES[work["benchmark"]]
        if (work["outputs"], work["inputs"], work["steps"]) != (gate.m, gate.n, 1):
            yield f"is {work['outputs']} x {work['inputs']}, but that gate is {gate.m} x {gate.n}"
        if work["name"] == "dense" and work["macs"] != gate.m * gate.n:
            yield f"has {work['macs']} multiply-accumulates, but a dense gate {gate.m * gate.n}"


def _procedure(record: dict[str, Any]) -> Iterator[str]:
    asked = record["procedure"]
    least = {
        "rounds": procedure.ROUNDS,
        "min_sample_seconds": procedure.MIN_SECONDS,
        "warm_up_seconds": procedure.WARM_UP_SECONDS,
    }
    for name, value in least.items():
        if asked[name] < value:
            yield f"procedure.{name} is {asked[name]}, but the procedure asks for {value}"
    if not record["machine"]["pinned"]:
        yield "it was not pinned to a core"


def _complete(record: dict[str, Any]) -> Iterator[str]:
    there = [*record["works"], *record["left_out"]]
    named = {(work["kind"], work["benchmark"], work["name"]) for work in there}
    for kind, benchmark, name in sorted(expected() - named):
        yield f"{kind} {benchmark}, {name} was neither timed nor left out with a reason"


def _set_up(record: dict[str, Any]) -> Iterator[str]:
    before, after = record["before"], record["after"]
    for when, found in (("before", before), ("after", after)):
        if found["governor"] not in (None, "performance"):
            yield f"{when} the run, the governor was {found['governor']}, not performance"
        if found["throttled"] and int(found["throttled"], 16) & 0xF:
            yield f"{when} the run, the board was throttled ({found['throttled']})"
    if before["khz"] and after["khz"] and after["khz"] < STEADY * before["khz"]:
        yield f"the frequency fell from {before['khz']} to {after['khz']} kHz"
    if all(core["midr"] is None for core in record["machine"]["cores"]):
        yield "no core's MIDR is known"
