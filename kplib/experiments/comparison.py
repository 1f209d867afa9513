"""Every size that the papers print, beside the size of the network that `kplib.build` makes.

Printed numbers come from ``papers.toml``, with the digits that stand there: 16.80 is more than
16.8. Ours are counted by `kplib.experiments.sizes`; the tests count the built networks as well.
"""

import functools
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from decimal import ROUND_DOWN, ROUND_HALF_UP, Decimal
from fractions import Fraction
from importlib import resources
from typing import Any, Literal, get_args

from kplib.experiments import papers
from kplib.experiments.recipes import Recipe, recipe
from kplib.experiments.sizes import BYTES_PER_KILOBYTE
from kplib.shapes import algorithm4

__all__ = ["Comparison", "Ending", "Quantity", "Verdict", "comparisons", "ending"]

Quantity = Literal["KB", "parameters", "layer factor", "KB in 8 bits", "factor in 8 bits"]
Ending = Literal["exact", "rounded", "cut off", "different"]
Verdict = Literal["same", "counted otherwise", "different"]

FLOAT32 = 4  # bytes
_COMPRESSION = {"none": None, "maximum": None, "10x": 10, "20x": 20}
_UNEXPLAINED = "No reading is known that gives this number."


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """A printed number, and ours.

    Attributes
    ----------
    benchmark, technique : str
        As `kplib.build` takes them.
    compression : {"none", "maximum", "10x", "20x"}
        As in `kplib.experiments.papers.results`.
    quantity : {"KB", "parameters", "layer factor", "KB in 8 bits", "factor in 8 bits"}
        What is counted: KB of 1024 bytes; all parameters; the baseline's recurrent layer over this
        one's; KB with the recurrent layer in 8 bits; the float32 baseline over those KB.
    sources : tuple of str
        Where it is printed.
    printed : Decimal
        With as many digits as are printed.
    ours : Fraction
        Of `recipe`, all parameters counted, not rounded.
    recipe : Recipe
        The network that was counted.
    otherwise : Fraction, optional
        The same network counted in the other way that gives the printed number, if one is known.
    why : str
        What explains the difference, or is to be said of the network; "" if nothing is.

    Examples
    --------
    >>> (kp,) = [row for row in comparisons("kws-lstm", "KB") if row.technique == "kp"][:1]
    >>> isinstance(kp, Comparison) and kp.ours == Fraction(4 * kp.recipe.size.total, 1024)
    True
    """

    benchmark: str
    technique: str
    compression: str
    quantity: Quantity
    sources: tuple[str, ...]
    printed: Decimal
    ours: Fraction
    recipe: Recipe
    otherwise: Fraction | None = None
    why: str = ""

    @property
    def difference(self) -> Fraction:
        """Ours minus what is printed."""
        return self.ours - Fraction(self.printed)

    @property
    def ending(self) -> Ending:
        """How the printed digits follow from ours; see `ending`."""
        return ending(self.printed, self.ours)

    @property
    def verdict(self) -> Verdict:
        """Whether the number comes out to its last digit: as we count, in another way, or not."""
        if self.ending != "different":
            return "same"
        if self.otherwise is not None and ending(self.printed, self.otherwise) != "different":
            return "counted otherwise"
        return "different"

    @property
    def setting(self) -> str:
        """What the technique was given: units, rank, factors, dense rows, non-zeros."""
        chosen = self.recipe
        if chosen.technique == "kp":
            shapes = chosen.network.gate_shapes(
                hidden_size=chosen.hidden_size, layers=chosen.layers
            )
            factors = (algorithm4(*shape) for shape in shapes)
            text = "; ".join(f"{f.m1} × {f.n1}, {f.m2} × {f.n2}" for f in factors)
        else:
            text = {
                "baseline": f"{chosen.hidden_size} units",
                "small": f"{chosen.hidden_size} units",
                "lmf": f"rank {chosen.rank}",
                "hkp": f"{chosen.rows} dense rows",
                "pruned": f"{chosen.nonzeros:,} non-zeros",
            }[chosen.technique]
        if chosen.technique == "kp" and chosen.hidden_size != chosen.network.hidden_size:
            text = f"{chosen.hidden_size} units; {text}"
        return f"{text}; {chosen.layers} layers" if chosen.layers > 1 else text

    @property
    def places(self) -> str:
        """Where it is printed, in short: "L tables 1, 2; L appendix B.3"."""
        tables = sorted(
            int(source.removeprefix("L table "))
            for source in self.sources
            if source.startswith("L table ")
        )
        listed = ", ".join(map(str, tables))
        others = [source for source in self.sources if not source.startswith("L table ")]
        return "; ".join([f"L table{'s' * (len(tables) > 1)} {listed}"] * bool(tables) + others)


def ending(printed: Decimal, value: Fraction) -> Ending:
    """Say how a printed number follows from an exact one.

    Parameters
    ----------
    printed : Decimal
        With as many digits as are printed.
    value : Fraction

    Returns
    -------
    {"exact", "rounded", "cut off", "different"}
        "rounded" half up; "cut off" if only leaving the further digits out gives what is printed.

    Examples
    --------
    The low-rank KWS-LSTM, in the long paper and in the workshop paper:

    >>> size = Fraction(4 * 4300, 1024)
    >>> ending(Decimal("16.80"), size), ending(Decimal("16.79"), size)
    ('rounded', 'cut off')
    >>> ending(Decimal("16.81"), size) == "different"
    True
    """
    exact = Decimal(value.numerator) / Decimal(value.denominator)
    if value == Fraction(printed):
        return "exact"
    if exact.quantize(printed, ROUND_HALF_UP) == printed:
        return "rounded"
    return "cut off" if exact.quantize(printed, ROUND_DOWN) == printed else "different"


def comparisons(
    benchmark: str | None = None,
    quantity: str | None = None,
    *,
    verdict: str | None = None,
) -> list[Comparison]:
    """Return every printed size with ours, in the order of the papers' tables.

    A number that is printed in several places is one row with several sources; one that is printed
    differently in two places is two rows.

    Parameters
    ----------
    benchmark : str, optional
        A name of `BENCHMARKS`; all of the papers' if not given.
    quantity : {"KB", "parameters", "layer factor", "KB in 8 bits", "factor in 8 bits"}, optional
        All if not given.
    verdict : {"same", "counted otherwise", "different"}, optional
        All if not given.

    Returns
    -------
    list of Comparison

    Raises
    ------
    ValueError
        If there is no such benchmark, quantity or verdict; it lists those that there are.

    Examples
    --------
    >>> [(str(row.printed), row.ending) for row in comparisons("kws-lstm", "layer factor")][-1]
    ('24.47', 'rounded')
    >>> [str(row.printed) for row in comparisons("kws-lstm", "KB", verdict="different")][0]
    '15.66'
    >>> all(row.recipe.size.total == row.ours for row in comparisons(quantity="parameters"))
    True
    """
    known = {
        "benchmark": tuple(network.benchmark for network in papers.networks()),
        "quantity": get_args(Quantity),
        "verdict": get_args(Verdict),
    }
    wanted = {"benchmark": benchmark, "quantity": quantity, "verdict": verdict}
    for name, value in wanted.items():
        if value is not None and value not in known[name]:
            raise ValueError(f"no {name} is {value!r}; there are {', '.join(known[name])}")
    return [
        row
        for row in _all()
        if all(value is None or getattr(row, name) == value for name, value in wanted.items())
    ]


# The rows -----------------------------------------------------------------------------------------


@functools.cache
def _all() -> tuple[Comparison, ...]:
    rows = (*_kilobytes(), *_parameters(), *_layer_factors(), *_eight_bits())
    order = list(get_args(Quantity))
    return tuple(sorted(rows, key=lambda row: order.index(row.quantity)))


@functools.cache
def _as_printed() -> Mapping[str, Any]:
    """Read papers.toml with decimals as they stand there."""
    text = resources.files(__package__).joinpath("papers.toml").read_text(encoding="utf-8")
    return tomllib.loads(text, parse_float=Decimal)


def _recipe(result: papers.PaperResult) -> Recipe:
    return recipe(
        result.benchmark,
        result.technique,
        compression=_COMPRESSION[result.compression],
        layers=result.layers,
    )


def _kilobytes() -> Iterator[Comparison]:
    """Compare tables 1 to 6 and 8 to 10, appendix B.3, W, and the first columns of table 7."""
    for result, raw in zip(papers.results(), _as_printed()["results"], strict=True):
        chosen = _recipe(result)
        for printed, sources in _places(result, raw).items():
            reading = _reading(result, float(printed))
            ours = _in_kilobytes(chosen.size.total)
            yield Comparison(
                benchmark=result.benchmark,
                technique=result.technique,
                compression=result.compression,
                quantity="KB",
                sources=tuple(sources),
                printed=printed,
                ours=ours,
                recipe=chosen,
                otherwise=_otherwise(reading),
                why=_why(reading, float(printed), sources) or _unless_same(printed, ours),
            )


def _places(result: papers.PaperResult, raw: Mapping[str, Any]) -> dict[Decimal, list[str]]:
    """Return where the size of a network is printed, by what is printed."""
    rows = [raw]
    if result.technique == "baseline":
        rows += [row for row in _as_printed()["networks"] if row["benchmark"] == result.benchmark]
    found = [(row["kilobytes"], row["source"]) for row in rows]
    found += [
        (variant["value"], variant["source"])
        for row in rows
        for variant in row.get("variants", ())
        if variant["field"] == "kilobytes"
    ]
    if result.compression in ("none", "maximum"):
        found += [
            (row["kilobytes_32"], row["source"])
            for row in _as_printed()["eight_bits"]
            if (row["benchmark"], row["technique"]) == (result.benchmark, result.technique)
        ]
    places: dict[Decimal, list[str]] = {}
    for value, source in found:
        there = places.setdefault(Decimal(value), [])
        if source not in there:
            there.append(source)
    return places


def _parameters() -> Iterator[Comparison]:
    """Compare the counts of L table 1."""
    for paper in papers.networks():
        chosen = recipe(paper.benchmark, "baseline")
        network = chosen.network
        whole = network.parameters == chosen.size.total
        reading = _reading(papers.result(paper.benchmark, "baseline"), paper.kilobytes)
        yield Comparison(
            benchmark=paper.benchmark,
            technique="baseline",
            compression="none",
            quantity="parameters",
            sources=(paper.source,),
            printed=Decimal(paper.parameters),
            ours=Fraction(chosen.size.total),
            recipe=chosen,
            otherwise=None if whole else Fraction(network.parameters),
            why=_why(None if whole else reading, paper.parameters, [paper.source]),
        )


def _layer_factors() -> Iterator[Comparison]:
    """Compare W's compression factors of the recurrent layer, and the one in L's title."""
    for result, raw in zip(papers.results(), _as_printed()["results"], strict=True):
        if result.layer_factor is None or result.technique == "baseline":
            continue
        chosen = _recipe(result)
        printed = Decimal(raw["layer_factor"])
        yield _factor(chosen, printed, "W", result.compression)
    for ratio, raw in zip(papers.ratios(), _as_printed()["ratios"], strict=True):
        if ratio.name == "layer compression, one layer":
            chosen = recipe(ratio.benchmark, "kp", layers=1)
            yield _factor(chosen, Decimal(raw["value"]), ratio.source, "maximum", ratio.note)


def _factor(
    chosen: Recipe, printed: Decimal, source: str, compression: str, note: str = ""
) -> Comparison:
    ours = Fraction(chosen.network.size.cell, chosen.size.cell)
    return Comparison(
        benchmark=chosen.network.name,
        technique=chosen.technique,
        compression=compression,
        quantity="layer factor",
        sources=(source,),
        printed=printed,
        ours=ours,
        recipe=chosen,
        why=_sentence(note) or _unless_same(printed, ours),
    )


def _eight_bits() -> Iterator[Comparison]:
    """Compare the last columns of L table 7."""
    for row, raw in zip(papers.eight_bits(), _as_printed()["eight_bits"], strict=True):
        chosen = recipe(row.benchmark, row.technique)
        exact = Fraction(chosen.size.cell + FLOAT32 * chosen.size.head, BYTES_PER_KILOBYTE)
        values: dict[Quantity, tuple[str, Fraction]] = {
            "KB in 8 bits": ("kilobytes_8", exact),
            "factor in 8 bits": ("factor", _in_kilobytes(chosen.network.size.total) / exact),
        }
        for quantity, (field, ours) in values.items():
            if field not in raw:
                continue
            yield Comparison(
                benchmark=row.benchmark,
                technique=row.technique,
                compression="none" if row.technique == "baseline" else "maximum",
                quantity=quantity,
                sources=(row.source,),
                printed=Decimal(raw[field]),
                ours=ours,
                recipe=chosen,
                why=_sentence(row.note),
            )


# Why ----------------------------------------------------------------------------------------------


def _in_kilobytes(parameters: int) -> Fraction:
    return Fraction(parameters * FLOAT32, BYTES_PER_KILOBYTE)


def _reading(result: papers.PaperResult, printed: float) -> papers.Decoded | None:
    """Return what was decoded of a printed size: a network that gives it before one that does not.

    None if nothing was; one whose parameters are "all" before one that is counted otherwise.
    """
    found = [
        row
        for row in papers.decoded(result.benchmark, result.technique)
        if printed in row.printed
        and row.compression == result.compression
        and row.layers in (None, result.layers)
    ]
    return min(found, key=lambda row: (not row.matches, row.counted != "all"), default=None)


def _otherwise(reading: papers.Decoded | None) -> Fraction | None:
    """Return the KB of a reading that gives the number but does not count all parameters."""
    if reading is None or not reading.matches or reading.counted == "all":
        return None
    return _in_kilobytes(reading.parameters[0])


def _why(reading: papers.Decoded | None, printed: float, sources: list[str]) -> str:
    """Return the note on a network that gives the number, or else the slip, or what is known."""
    note = "" if reading is None else _sentence(reading.note)
    if reading is not None and reading.matches:
        return note
    slips = [
        slip.text
        for slip in papers.slips()
        if printed in slip.printed and any(_stands(source, slip.where) for source in sources)
    ]
    return _sentence(slips[0]) if slips else note


def _unless_same(printed: Decimal, ours: Fraction) -> str:
    return _UNEXPLAINED if ending(printed, ours) == "different" else ""


def _stands(source: str, where: str) -> bool:
    """Whether a slip's `where` names a source: "L table 9" is one of "L tables 8, 9, 10"."""
    words = where.replace(",", " ").replace(";", " ").split()
    return source.split()[0] in words and source.split()[-1] in words


def _sentence(note: str) -> str:
    """Return a note without its mark (D: derived, P: public code), as a sentence."""
    text = note.removeprefix("D: ").removeprefix("P: ").rstrip(".")
    return f"{text[0].upper()}{text[1:]}." if text else ""
