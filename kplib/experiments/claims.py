"""What the papers say about trained matrices, checked against trained matrices.

The papers do not say whether "the matrix" is one gate's or the gates' matrices one above the other,
nor, where a matrix is rank-deficient, over which singular values its condition number is taken.
Every claim is checked in every reading.
"""

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

from kplib.experiments import papers
from kplib.experiments.analysis import MatrixAnalysis, NetworkAnalysis, Part
from kplib.experiments.benchmarks import BENCHMARKS
from kplib.experiments.comparison_table import LABELS
from kplib.experiments.grouped_table import GroupedTable, Row
from kplib.experiments.printed import Claim

__all__ = ["ClaimCheck", "check_claims", "claims_summary", "claims_table"]


@dataclass(frozen=True, kw_only=True)
class ClaimCheck:
    """One reading of one claim, on the networks of one benchmark.

    Parameters
    ----------
    claim : Claim
        As printed.
    benchmark : str
        "" for a claim about no network.
    reading : str
        Which matrix and which quantity was taken.
    taken_as : str
        The bounds that were tested, such as "< 15"; "" if there is none.
    values : tuple of float
        Ours: of each matrix of each network.
    within : int
        How many of them are within the bounds.
    networks : int
        Trained networks.
    unit : str
        Of the values, "of full rank" for ranks as fractions of it; else "".
    reason : str
        Why the claim cannot hold in this reading; "" if it can.

    Examples
    --------
    >>> all(isinstance(check, ClaimCheck) and not check.values for check in check_claims([]))
    True
    """

    claim: Claim
    benchmark: str
    reading: str
    taken_as: str = ""
    values: tuple[float, ...] = ()
    within: int = 0
    networks: int = 0
    unit: str = ""
    reason: str = ""

    @property
    def holds(self) -> bool | None:
        """Whether all values are within the bounds; None if there is none, or it cannot be."""
        return None if self.reason or not self.values else self.within == len(self.values)

    @property
    def ours(self) -> str:
        """The range of our values, in `unit`."""
        if not self.values:
            return ""
        kind = ".0%" if self.unit else ".3g"
        ends = [format(end, kind) for end in (min(self.values), max(self.values))]
        return " to ".join(dict.fromkeys(ends))

    @property
    def verdict(self) -> str:
        """What came out, in words."""
        if self.reason:
            return f"cannot be: {self.reason}"
        if not self.values:
            return "no network"
        if self.within in (0, len(self.values)):
            return "holds" if self.within else "does not hold"
        return f"holds for {self.within} of {len(self.values)}"


@dataclass(frozen=True)
class _Reading:
    """A way to take "the matrix" and its quantity."""

    name: str
    part: Part
    value: Callable[[MatrixAnalysis], float]
    unit: str = ""
    needs_full_rank: bool = False  # to be finite, or to be true
    only_if_deficient: bool = False  # else it is the same as another


def _share_of_full_rank(matrix: MatrixAnalysis) -> float:
    return matrix.rank / matrix.full_rank


_WHICH: tuple[tuple[str, Part], ...] = (("gate", "gate"), ("stacked gates", "stack"))
_RANK = tuple(_Reading(name, part, lambda m: m.rank) for name, part in _WHICH)
_LARGEST = tuple(_Reading(name, part, lambda m: m.largest) for name, part in _WHICH)
_FULL_RANK = tuple(
    _Reading(name, part, _share_of_full_rank, "of full rank", needs_full_rank=True)
    for name, part in _WHICH
)
_CONDITION = tuple(
    reading
    for name, part in _WHICH
    for reading in (
        _Reading(name, part, lambda m: m.condition_number, needs_full_rank=True),
        _Reading(
            f"{name}, non-zero values", part, lambda m: m.effective_condition_number,
            only_if_deficient=True,
        ),
    )
)  # fmt: skip
_FACTOR_FULL_RANK = (_Reading("factor", "factor", _share_of_full_rank, "of full rank"),)
_FACTOR_CONDITION = (_Reading("factor", "factor", lambda m: m.condition_number),)

# The readings that a claim has, and the benchmark that it leaves out.
_READINGS: dict[str, tuple[_Reading, ...]] = {
    "low-rank-rank": _RANK,
    "kp-full-rank": _FACTOR_FULL_RANK + _FULL_RANK,
    "kp-condition-number": _CONDITION + _FACTOR_CONDITION,
    "pruned-fastrnn-ill-conditioned": _CONDITION,
    "pruned-condition-number": _CONDITION,
    "pruned-full-rank": _FULL_RANK,
    "baseline-singular-value": _LARGEST,
    "pruned-singular-value": _LARGEST,
    "kp-singular-value": _LARGEST,
    "small-singular-value": _LARGEST,
    "small-condition-number": _CONDITION,
    "small-others": _CONDITION,
    "pruned-har1": _LARGEST,
}
_LEFT_OUT = {
    "pruned-condition-number": "usps-fastrnn",
    "pruned-full-rank": "usps-fastrnn",
    "small-others": "kws-lstm",
}
_STAND_INS = {"har1-bilstm": ("har1-bilstm", "dsads-bilstm")}


def check_claims(networks: Iterable[NetworkAnalysis]) -> list[ClaimCheck]:
    """Check what the papers say about trained matrices against trained matrices.

    Parameters
    ----------
    networks : iterable of NetworkAnalysis
        Any; taken are those at the maximum compression and without a variant, of which the papers'
        sections speak, with dsads-bilstm standing in for har1-bilstm beside it.

    Returns
    -------
    list of ClaimCheck
        In the order of the claims: for each its benchmarks, and for each of these the readings:
        gates alone and stacked; condition numbers as they are, and, of deficient matrices, over the
        non-zero singular values; of Kronecker networks the factors' too. A benchmark of the papers
        without a network has one check, without values.

    Notes
    -----
    A bound that is printed as a plain number is compared with ours in as many decimals: 19 is
    anything from 18.5 to 19.5. Where the papers give a word and no number, the bound is theirs of
    another claim: "ill-conditioned" is above the one condition number that they call bad,
    "well conditioned" below the one that they call good, and "similar" within the same bounds.

    Examples
    --------
    >>> from kplib.experiments.analysis import analyze
    >>> from kplib.experiments.build import build
    >>> untrained = NetworkAnalysis(
    ...     benchmark="kws-lstm", technique="kp",
    ...     matrices=tuple(analyze(build("kws-lstm", "kp", seed=0))),
    ... )
    >>> checks = check_claims([untrained])
    >>> print(next(c.verdict for c in checks if c.claim.key == "kp-condition-number" and c.values))
    cannot be: its rank is at most 16 of 118, which makes it infinite
    """
    taken = [n for n in networks if n.compression is None and not n.variant]
    checks = []
    for claim in papers.claims():
        if claim.key == "norm-bound":
            checks.append(
                ClaimCheck(
                    claim=claim, benchmark="", reading="any", reason=claim.note.split(";")[0]
                )
            )
            continue
        for benchmark in _benchmarks(claim, taken):
            of_claim = [
                n for n in taken if n.technique == claim.technique and n.benchmark == benchmark
            ]
            checks += _checks(claim, benchmark, of_claim)
    return checks


def _benchmarks(claim: Claim, networks: Sequence[NetworkAnalysis]) -> list[str]:
    """Return the benchmarks that a claim is about, and those that stand in and have a network."""
    named = [row.benchmark for row in papers.networks()]
    if claim.benchmark != "all":
        named = [claim.benchmark]
    trained = {row.benchmark for row in papers.results(technique=claim.technique)}
    there = {n.benchmark for n in networks if n.technique == claim.technique}
    return [
        stand_in
        for name in named
        if name in trained and name != _LEFT_OUT.get(claim.key)
        for stand_in in _STAND_INS.get(name, (name,))
        if stand_in == name or stand_in in there
    ]


def _checks(
    claim: Claim, benchmark: str, networks: Sequence[NetworkAnalysis]
) -> Iterator[ClaimCheck]:
    """Check a claim on the networks of one benchmark, in all its readings."""
    bounds = _tested(claim)
    common = ClaimCheck(
        claim=claim, benchmark=benchmark, reading="", taken_as=_in_words(bounds),
        networks=len(networks),
    )  # fmt: skip
    if not networks:
        yield replace(common, reading="any")
    elif claim.quantity == "sparsity":
        yield _counted(common, bounds, "all gates", [n.sparsity for n in networks])
    else:
        for reading in _READINGS[claim.key]:
            matrices = [m for n in networks for m in n.matrices if m.part == reading.part]
            deficient = any(m.rank < m.full_rank for m in matrices)
            if not matrices or (reading.only_if_deficient and not deficient):
                continue  # a cell of one gate has no stack; and nothing new over all values
            values = [reading.value(matrix) for matrix in matrices]
            check = _counted(common, bounds, reading.name, values)
            reason = _impossible(reading, bounds, matrices)
            yield replace(check, unit=reading.unit, reason=reason)


def _counted(check: ClaimCheck, bounds: Claim, reading: str, values: Sequence[float]) -> ClaimCheck:
    within = sum(_satisfies(bounds, value) for value in values)
    return replace(check, reading=reading, values=tuple(values), within=within)


def _tested(claim: Claim) -> Claim:
    """Return the claim with the bounds that stand for its words."""
    if claim.key in ("kp-full-rank", "pruned-full-rank"):
        return replace(claim, lower=1.0, upper=1.0)
    if claim.key == "pruned-fastrnn-ill-conditioned":
        return replace(claim, lower=papers.claim("small-condition-number").lower, strict=True)
    if claim.key == "small-others":
        return replace(claim, upper=papers.claim("pruned-condition-number").upper, strict=True)
    if claim.key == "pruned-har1":
        same = papers.claim("pruned-singular-value")
        return replace(claim, lower=same.lower, upper=same.upper, strict=same.strict)
    return claim


def _satisfies(claim: Claim, value: float) -> bool:
    """Whether a value is within the bounds; of the bounds that are included, in their decimals."""
    lower, upper = claim.lower, claim.upper
    if claim.strict:
        return (lower is None or value > lower) and (upper is None or value < upper)
    if claim.quantity != "rank" and math.isfinite(value):
        value = round(value, max(_decimals(lower), _decimals(upper)))
    return (lower is None or value >= lower) and (upper is None or value <= upper)


def _decimals(bound: float | None) -> int:
    if bound is None or float(bound).is_integer():
        return 0
    return len(str(bound).partition(".")[2])


def _in_words(claim: Claim) -> str:
    """Return the bounds of a claim as they are printed in a table."""
    lower, upper = claim.lower, claim.upper
    if claim.quantity == "rank" and lower == upper == 1:
        return "full"
    if lower is not None and upper is not None:
        return f"{lower:g}" if lower == upper else f"{lower:g} to {upper:g}"
    if lower is not None:
        return f"{'>' if claim.strict else '>='} {lower:g}"
    return "" if upper is None else f"{'<' if claim.strict else '<='} {upper:g}"


def _impossible(reading: _Reading, bounds: Claim, matrices: Sequence[MatrixAnalysis]) -> str:
    """Return why no Kronecker network of these shapes can be what is claimed; "" if one can."""
    if not reading.needs_full_rank or bounds.upper is None or bounds.technique != "kp":
        return ""
    if not all(matrix.rank_bound < matrix.full_rank for matrix in matrices):
        return ""
    best = max(matrices, key=lambda matrix: matrix.rank_bound / matrix.full_rank)
    what = f"its rank is at most {best.rank_bound} of {best.full_rank}"
    return what if reading.unit else f"{what}, which makes it infinite"


def claims_table(
    checks: Iterable[ClaimCheck], *, caption: str = "What the papers say about trained matrices"
) -> GroupedTable:
    """Return claims with what came out, a row a check.

    Parameters
    ----------
    checks : iterable of ClaimCheck
        From `check_claims`, all or some.
    caption : str, optional

    Returns
    -------
    GroupedTable
        What is claimed, of which network, in which reading; printed, ours, and whether it holds,
        for all values or for so many of them. What does not hold, or not always, stands out.

    Examples
    --------
    >>> bound = [check for check in check_claims([]) if check.claim.key == "norm-bound"]
    >>> row = claims_table(bound).rows[0]
    >>> row.cells[-1], row.below
    (('cannot be',), 'the largest singular value bounds ||y||; it bounds ||y|| / ||x||')
    """
    rows = []
    for check in checks:
        claim = check.claim
        title = BENCHMARKS[check.benchmark].title if check.benchmark else ""
        in_words = claim.text if claim.lower is None and claim.upper is None else ""
        rows.append(
            Row(
                name=_name(check),
                details=tuple(filter(None, (title, check.reading))),
                cells=(
                    (check.taken_as or "–",),
                    tuple(filter(None, (*_two_lines(check.ours or "–"), check.unit))),
                    (_answer(check),),
                ),
                strong=() if check.holds or not (check.values or check.reason) else (2,),
                below="; ".join(filter(None, (in_words, check.reason))),
            )
        )
    heads = ("Claim", "Paper", "Ours", "Holds")
    return GroupedTable(caption=caption, heads=heads, rows=tuple(rows))


def claims_summary(
    checks: Iterable[ClaimCheck], *, caption: str = "What the papers say about trained matrices"
) -> GroupedTable:
    """Return claims with the number of their checks that came out one way or another.

    Parameters
    ----------
    checks : iterable of ClaimCheck
        From `check_claims`, all or some.
    caption : str, optional

    Returns
    -------
    GroupedTable
        A row for what is claimed of a technique's matrices: in how many checks, of one network in
        one reading each, it holds for all values, for some, for none, or cannot be.

    Examples
    --------
    >>> bound = [check for check in check_claims([]) if check.claim.key == "norm-bound"]
    >>> [cell for cell, in claims_summary(bound).rows[0].cells]
    ['0', '0', '0', '1']
    """
    groups: dict[tuple[str, str], list[ClaimCheck]] = {}
    for check in checks:
        groups.setdefault((_name(check), check.taken_as), []).append(check)
    rows = []
    for (name, taken_as), group in groups.items():
        cannot = sum(bool(check.reason) for check in group)
        counted = [check for check in group if check.values and not check.reason]
        all_values = sum(bool(check.holds) for check in counted)
        none = sum(check.within == 0 for check in counted)
        numbers = (all_values, len(counted) - all_values - none, none, cannot)
        rows.append(
            Row(
                name=name,
                details=tuple(filter(None, (taken_as,))),
                cells=tuple((str(number),) for number in numbers),
            )
        )
    heads = ("Claim", "Holds", "Partly", "Not", "Cannot")
    notes = ("Partly: for some of the values. Cannot: whatever the training, in that reading.",)
    return GroupedTable(caption=caption, heads=heads, rows=tuple(rows), notes=notes)


def _name(check: ClaimCheck) -> str:
    return ": ".join(filter(None, (LABELS.get(check.claim.technique), check.claim.quantity)))


def _two_lines(text: str) -> tuple[str, ...]:
    low, to, high = text.partition("to ")
    return (low.strip(), to + high) if to else (text,)


def _answer(check: ClaimCheck) -> str:
    """Return the verdict in a word or two, for a narrow column."""
    if check.reason:
        return "cannot be"
    if not check.values:
        return "–"
    if 0 < check.within < len(check.values):
        return f"{check.within} of {len(check.values)}"
    return "yes" if check.holds else "no"
