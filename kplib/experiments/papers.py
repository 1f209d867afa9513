"""Every number that the papers print about their networks, with its table.

The numbers stand in one file, ``papers.toml`` beside this module: results, training schedules,
claims, slips, and what was derived from them. A comparison in the book takes them from here.

L is the long paper, "Compressing RNNs for IoT devices by 15-38x using Kronecker Products"; W the
workshop paper, "Pushing the limits of RNN compression"; K is "Kronecker Recurrent Units". D marks
what was derived here by arithmetic, P what was read in public code.
"""

import functools
import tomllib
from collections.abc import Iterable, Mapping, Sequence
from importlib import resources
from types import MappingProxyType
from typing import Any, TypeVar

from kplib.experiments.printed import (
    Claim,
    Decay,
    Decoded,
    EightBits,
    Fact,
    Gate,
    PaperNetwork,
    PaperResult,
    Ratio,
    Slip,
    Training,
    Variant,
)

__all__ = [
    "Claim",
    "Decay",
    "Decoded",
    "EightBits",
    "Fact",
    "Gate",
    "PaperNetwork",
    "PaperResult",
    "Ratio",
    "Slip",
    "Training",
    "Variant",
    "claim",
    "claims",
    "decoded",
    "eight_bits",
    "fact",
    "facts",
    "gates",
    "network",
    "networks",
    "ratios",
    "result",
    "results",
    "slip",
    "slips",
    "speed_up",
    "topics",
]

T = TypeVar("T")


# Reading the file ---------------------------------------------------------------------------------


def _frozen(value: Any) -> Any:
    """Turn TOML's lists into tuples, all the way down."""
    return tuple(_frozen(item) for item in value) if isinstance(value, list) else value


def _row(row_type: type[T], raw: Mapping[str, Any]) -> T:
    """Make a row; a name that the row does not have is an error, so nothing goes unread."""
    fields = {key: _frozen(value) for key, value in raw.items()}
    if "variants" in fields:
        fields["variants"] = tuple(_row(Variant, variant) for variant in fields["variants"])
    if "training" in fields:
        training = fields["training"]
        fields["training"] = _row(Training, {**training, "decay": _row(Decay, training["decay"])})
    if row_type is PaperResult:
        fields = {"layers": 1, "mean": None, "std": None, **fields}
    return row_type(**fields)


_ROW_TYPES: Mapping[str, type] = {
    "networks": PaperNetwork,
    "results": PaperResult,
    "eight_bits": EightBits,
    "gates": Gate,
    "decoded": Decoded,
    "ratios": Ratio,
    "claims": Claim,
    "facts": Fact,
    "slips": Slip,
}


@functools.cache
def _tables() -> Mapping[str, tuple[Any, ...]]:
    """Read papers.toml, once."""
    text = resources.files(__package__).joinpath("papers.toml").read_text(encoding="utf-8")
    raw = tomllib.loads(text)
    return MappingProxyType(
        {name: tuple(_row(_ROW_TYPES[name], row) for row in rows) for name, rows in raw.items()}
    )


# Choosing rows ------------------------------------------------------------------------------------


def _known(kind: str, value: object, there: Iterable[object]) -> None:
    """Raise a ValueError that lists what there is, unless `value` is None or among it."""
    options = list(dict.fromkeys(there))
    if value is not None and value not in options:
        listed = ", ".join(map(str, options))
        raise ValueError(f"the papers have no {kind} {value!r}; there are {listed}")


def _select(rows: Sequence[T], **wanted: object) -> list[T]:
    """Rows whose fields have the wanted values; None stands for any."""
    for name, value in wanted.items():
        _known(name, value, (getattr(row, name) for row in rows))
    return [
        row
        for row in rows
        if all(value is None or getattr(row, name) == value for name, value in wanted.items())
    ]


def networks() -> list[PaperNetwork]:
    """Return the five baseline networks, in the order of the papers' benchmarks.

    Returns
    -------
    list of PaperNetwork
        Of L table 1 and appendix B.3.

    Examples
    --------
    >>> [network.title for network in networks()][:3]
    ['MNIST-LSTM', 'USPS-FastRNN', 'KWS-LSTM']
    """
    return list(_tables()["networks"])


def network(benchmark: str) -> PaperNetwork:
    """Return one baseline network as L table 1 and appendix B.3 describe it.

    Parameters
    ----------
    benchmark : str
        A name of `BENCHMARKS`; dsads-bilstm is not the papers'.

    Returns
    -------
    PaperNetwork

    Raises
    ------
    ValueError
        If the papers have no such network.

    Examples
    --------
    >>> har1 = network("har1-bilstm")
    >>> har1.parameters, har1.printed("parameters", "D")
    (374468, 374486)
    """
    (found,) = _select(networks(), benchmark=benchmark)
    return found


def results(
    benchmark: str | None = None,
    technique: str | None = None,
    compression: str | None = None,
    *,
    layers: int | None = None,
) -> list[PaperResult]:
    """Return the columns of L's tables 2 to 6 and 8 to 10.

    Parameters
    ----------
    benchmark : str, optional
        A name of `BENCHMARKS`; all of the papers' if not given.
    technique : {"baseline", "small", "pruned", "lmf", "kp", "hkp"}, optional
        All if not given.
    compression : {"none", "maximum", "10x", "20x"}, optional
        All if not given. A baseline has "none".
    layers : int, optional
        Recurrent layers.

    Returns
    -------
    list of PaperResult
        In the order of the tables; empty if no column is all of it at once.

    Raises
    ------
    ValueError
        If a name is none of the papers'; it lists those that are.

    Examples
    --------
    >>> [(row.technique, row.top) for row in results("kws-lstm", compression="maximum")]
    [('small', 89.7), ('pruned', 84.91), ('lmf', 89.13), ('kp', 91.2)]
    >>> all(row.mean <= row.top for row in results(technique="kp"))
    True
    """
    return _select(
        _tables()["results"],
        benchmark=benchmark,
        technique=technique,
        compression=compression,
        layers=layers,
    )


def result(
    benchmark: str,
    technique: str,
    compression: str | None = None,
    *,
    layers: int | None = None,
) -> PaperResult:
    """Return one column of L's tables.

    Parameters
    ----------
    benchmark, technique : str
        As in `results`.
    compression : {"none", "maximum", "10x", "20x"}, optional
        If not given: the only one there is, or else "maximum".
    layers : int, optional
        Recurrent layers. KWS-GRU has "small" and "lmf" with one and with two.

    Returns
    -------
    PaperResult

    Raises
    ------
    ValueError
        If no column is that, or more than one; it lists which there are.

    Examples
    --------
    >>> kp = result("kws-lstm", "kp")
    >>> kp.top, kp.mean, kp.std, kp.kilobytes, kp.source
    (91.2, 91.12, 0.07, 15.3, 'L table 4')
    >>> result("har1-bilstm", "hkp").compression == "10x"
    True
    """
    found = results(benchmark, technique, compression, layers=layers)
    if compression is None and len(found) > 1:
        found = [row for row in found if row.compression == "maximum"] or found
    if len(found) == 1:
        return found[0]
    asked = ", ".join(
        f"{name}={value!r}"
        for name, value in (
            ("benchmark", benchmark),
            ("technique", technique),
            ("compression", compression),
            ("layers", layers),
        )
        if value is not None
    )
    there = ", ".join(
        f"{row.technique} ({row.compression}, {row.layers} layer{'s' * (row.layers > 1)})"
        for row in (found or results(benchmark))
    )
    many = f"{len(found)} results have" if found else "no result has"
    raise ValueError(f"{many} {asked}; there are {there}")


def speed_up(row: PaperResult) -> float:
    """Return the baseline's milliseconds over a result's, both as L prints them.

    Parameters
    ----------
    row : PaperResult
        A result of `results`.

    Returns
    -------
    float
        Above 1 if the result is faster than its baseline.

    Examples
    --------
    >>> round(speed_up(result("kws-lstm", "kp")), 2) == 1.53
    True
    """
    return result(row.benchmark, "baseline").milliseconds / row.milliseconds


def eight_bits(benchmark: str | None = None, technique: str | None = None) -> list[EightBits]:
    """Return L's table 7: accuracy and size in 32 bits and in 8.

    Parameters
    ----------
    benchmark, technique : str, optional
        All if not given.

    Returns
    -------
    list of EightBits

    Raises
    ------
    ValueError
        If the table has no such benchmark or technique.

    Examples
    --------
    >>> [row.kilobytes_8 for row in eight_bits("kws-lstm")]
    [65.04, 8.01]
    """
    return _select(_tables()["eight_bits"], benchmark=benchmark, technique=technique)


def gates(benchmark: str | None = None, layer: int | None = None) -> list[Gate]:
    """Return what Algorithm 4 makes of the benchmarks' gates: sizes, costs, bounds on the rank.

    Parameters
    ----------
    benchmark : str, optional
        All if not given.
    layer : int, optional
        1, or 2 for the KP GRU's second layer.

    Returns
    -------
    list of Gate

    Raises
    ------
    ValueError
        If there is no such benchmark or layer.

    Examples
    --------
    >>> [(gate.a, gate.b, gate.rank) for gate in gates("kws-lstm")]
    [((59, 8), (2, 16), 16)]
    """
    return _select(_tables()["gates"], benchmark=benchmark, layer=layer)


def decoded(benchmark: str | None = None, technique: str | None = None) -> list[Decoded]:
    """Return the networks behind the printed sizes, found by arithmetic.

    Parameters
    ----------
    benchmark, technique : str, optional
        All if not given.

    Returns
    -------
    list of Decoded
        Also those that come close to a printed size and do not match it: see ``matches``.

    Raises
    ------
    ValueError
        If there is no such benchmark or technique.

    Examples
    --------
    Behind "small" in the KWS-LSTM's row of W stands a network of 26 units:

    >>> [row.hidden_size for row in decoded("kws-lstm", "small") if row.source == "W"]
    [26]
    """
    return _select(_tables()["decoded"], benchmark=benchmark, technique=technique)


def ratios(name: str | None = None, benchmark: str | None = None) -> list[Ratio]:
    """Return compression factors and speed-ups, each with its numerator and denominator.

    Parameters
    ----------
    name : str, optional
        Such as "layer compression", "network compression", "speed-up".
    benchmark : str, optional
        All if not given.

    Returns
    -------
    list of Ratio

    Raises
    ------
    ValueError
        If there is no such name or benchmark.

    Examples
    --------
    >>> [ratio.value for ratio in ratios("layer compression", "kws-lstm")]
    [24.47]
    """
    return _select(_tables()["ratios"], name=name, benchmark=benchmark)


def claims(technique: str | None = None, quantity: str | None = None) -> list[Claim]:
    """Return what the papers claim about the trained matrices: L section 4.1, W section 4.2.

    Parameters
    ----------
    technique : str, optional
        All if not given.
    quantity : str, optional
        Such as "condition number"; all if not given.

    Returns
    -------
    list of Claim

    Raises
    ------
    ValueError
        If no claim is about that.

    Examples
    --------
    >>> [(claim.lower, claim.upper) for claim in claims("kp", "condition number")]
    [(1.2, 7.3)]
    """
    return _select(_tables()["claims"], technique=technique, quantity=quantity)


def claim(key: str) -> Claim:
    """Return one claim.

    Parameters
    ----------
    key : str
        Its short name.

    Returns
    -------
    Claim

    Raises
    ------
    ValueError
        If there is none of that name; it lists those that there are.

    Examples
    --------
    >>> claim("low-rank-rank").upper
    10
    """
    (found,) = _select(_tables()["claims"], key=key)
    return found


def topics() -> list[str]:
    """Return the topics of `facts`.

    Returns
    -------
    list of str

    Examples
    --------
    >>> "hello-edge" in topics()
    True
    """
    return list(dict.fromkeys(row.topic for row in _tables()["facts"]))


def facts(topic: str | None = None) -> list[Fact]:
    """Return data sets, preprocessing, the 2 x 2 experiment, what was searched, what is not said.

    Parameters
    ----------
    topic : str, optional
        One of `topics`; all if not given.

    Returns
    -------
    list of Fact

    Raises
    ------
    ValueError
        If there is no such topic.

    Examples
    --------
    >>> all(row.topic == "mnist" for row in facts("mnist"))
    True
    """
    return _select(_tables()["facts"], topic=topic)


def fact(topic: str, name: str) -> Fact:
    """Return one fact.

    Parameters
    ----------
    topic : str
        One of `topics`.
    name : str
        What it is.

    Returns
    -------
    Fact

    Raises
    ------
    ValueError
        If there is none; it lists those of the topic.

    Examples
    --------
    >>> fact("mnist", "training images").value
    60000
    """
    (found,) = _select(facts(topic), name=name)
    return found


def slips() -> list[Slip]:
    """Return what is printed in the papers and does not agree with the rest of them.

    Returns
    -------
    list of Slip

    Examples
    --------
    >>> len(slips()) > 12
    True
    """
    return list(_tables()["slips"])


def slip(key: str) -> Slip:
    """Return one slip.

    Parameters
    ----------
    key : str
        Its short name.

    Returns
    -------
    Slip

    Raises
    ------
    ValueError
        If there is none of that name; it lists those that there are.

    Examples
    --------
    >>> slip("har1-parameters").printed, slip("har1-parameters").consistent
    ((374468,), 374486)
    """
    (found,) = _select(_tables()["slips"], key=key)
    return found
