"""What a paper prints, as rows: the dataclasses of `kplib.experiments.papers`."""

from dataclasses import dataclass
from typing import Literal

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
]

Scalar = int | float | str
Value = Scalar | tuple[Scalar, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Variant:
    """The same quantity as it is printed elsewhere.

    Parameters
    ----------
    field : str
        Which field of the row.
    value : int, float, str or tuple
        What stands there.
    source : str
        Where.

    Examples
    --------
    >>> from kplib.experiments import papers
    >>> kp = papers.result("mnist-lstm", "kp")
    >>> papers.Variant(field="milliseconds", value=4.6, source="W") in kp.variants
    True
    """

    field: str
    value: Value
    source: str


class _Row:
    """What networks and results share: the values that are printed more than once."""

    __slots__ = ()
    variants: tuple[Variant, ...]
    source: str

    def printed(self, field: str, source: str) -> Value:
        """Return a field as one of the papers prints it.

        Parameters
        ----------
        field : str
            Name of a field, such as "milliseconds".
        source : str
            Such as "W" or "L appendix B.3"; a row's own source gives the row's own value.

        Returns
        -------
        int, float, str or tuple
            What is printed there. Where a source of `variants` has the field, that; else the
            row's own value, if the source is the row's own.

        Raises
        ------
        ValueError
            If that field is not known to be printed there; it lists where it is.

        Examples
        --------
        >>> from kplib.experiments import papers
        >>> papers.result("mnist-lstm", "kp").printed("milliseconds", "W")
        4.6
        """
        found = [v for v in self.variants if v.field == field]
        for variant in found:
            if variant.source == source:
                return variant.value
        if source == self.source and hasattr(self, field):
            own: Value = getattr(self, field)
            return own
        places = ", ".join([self.source, *(v.source for v in found)])
        raise ValueError(f"no {field!r} noted for {source!r}; its sources: {places}")


@dataclass(frozen=True, slots=True, kw_only=True)
class PaperNetwork(_Row):
    """A baseline network as L table 1 and appendix B.3 describe it.

    Parameters
    ----------
    benchmark : str
        A name of `BENCHMARKS`.
    title : str
        The papers' name of it.
    source : str
        Where the numbers stand.
    papers : tuple of str
        Which papers use it: "L", "W".
    input_size, steps, hidden_size, layers, directions, head_inputs : int
        Its shape; hidden_size of one direction.
    classes : int
        Derived from the printed sizes.
    parameters : int
        As printed in table 1: for HAR1 with two digits swapped.
    kilobytes : float
        As printed in table 1; other places are in `variants`.
    top : float
        Test accuracy in %.
    milliseconds : float
        Run time on a HiKey 960.
    variants : tuple of Variant
        Where a number is printed again, and differently.

    Examples
    --------
    >>> from kplib.experiments import papers
    >>> kws = papers.network("kws-lstm")
    >>> kws.input_size, kws.steps, kws.hidden_size, kws.classes
    (10, 25, 118, 12)
    """

    benchmark: str
    title: str
    source: str
    papers: tuple[str, ...]
    input_size: int
    steps: int
    hidden_size: int
    layers: int
    directions: int
    classes: int
    head_inputs: int
    parameters: int
    kilobytes: float
    top: float
    milliseconds: float
    variants: tuple[Variant, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Decay:
    """How the learning rate falls.

    Parameters
    ----------
    kind : {"divide", "rates", "LRD1"}
        "divide": by `by`, after every `every` epochs, or every `every_fraction` of all of them, or
        after those in `at`. "rates": the `rates` in turn, for `lengths` steps each. "LRD1": the
        papers' algorithm 5, lr0 * rate^(step / decay_steps); decay_steps is printed nowhere.
    by : int, optional
    every : int, optional
    every_fraction : float, optional
    at : tuple of int
    rates : tuple of float
    lengths : tuple of int
        As printed: not always as many as rates.
    rate : float, optional

    Examples
    --------
    >>> from kplib.experiments import papers
    >>> kinds = {row.training.decay.kind for row in papers.results()}
    >>> kinds <= {"divide", "rates", "LRD1"}
    True
    """

    kind: Literal["divide", "rates", "LRD1"]
    by: int | None = None
    every: int | None = None
    every_fraction: float | None = None
    at: tuple[int, ...] = ()
    rates: tuple[float, ...] = ()
    lengths: tuple[int, ...] = ()
    rate: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Training:
    """How the network of a result was trained; None where the papers do not say.

    Parameters
    ----------
    unit : {"epochs", "steps"}
        Of `length`, of the pruning and of the decay.
    length : int
    learning_rate : float
        The initial one.
    decay : Decay
    batch_size : int, optional
    optimizer, initializer : str, optional
    max_norm, dropout : float, optional
    pruning_start, pruning_end : int, optional

    Examples
    --------
    >>> from kplib.experiments import papers
    >>> pruned = papers.result("kws-lstm", "pruned").training
    >>> 0 <= pruned.pruning_start < pruned.pruning_end <= pruned.length
    True
    """

    unit: Literal["epochs", "steps"]
    length: int
    learning_rate: float
    decay: Decay
    batch_size: int | None = None
    optimizer: str | None = None
    initializer: str | None = None
    max_norm: float | None = None
    dropout: float | None = None
    pruning_start: int | None = None
    pruning_end: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class PaperResult(_Row):
    """One column of the papers' result tables.

    Parameters
    ----------
    benchmark : str
        A name of `BENCHMARKS`.
    technique : {"baseline", "small", "pruned", "lmf", "kp", "hkp"}
        As `kplib.build` names them; "lmf" is the low-rank factorization.
    layers : int
        Recurrent layers.
    compression : {"none", "maximum", "10x", "20x"}
        Which table; "none" for a baseline.
    source : str
        Paper and table.
    kilobytes : float
        Size, 1 KB = 1024 bytes, as printed.
    top, mean, std : float
        Test accuracy in %, over the networks trained with the two best hyper-parameter sets. Mean
        and standard deviation are None for baselines, and the mean where none is printed.
    milliseconds : float
        Run time on a HiKey 960, batch 1.
    layer_factor : float, optional
        W's compression factor: the recurrent layer alone.
    hidden_size_printed : int, optional
        The hidden size in the table: for small networks it is the baseline's, not theirs.
    training : Training
        Epochs or steps, learning rate and its decay, ...
    variants : tuple of Variant
        The same quantities where they are printed differently.
    note : str
        What is odd about it.

    Examples
    --------
    >>> from kplib.experiments import papers
    >>> small = papers.result("kws-lstm", "small")
    >>> kp = papers.result("kws-lstm", "kp")
    >>> kp.kilobytes < small.kilobytes and kp.top > small.top
    True
    """

    benchmark: str
    technique: str
    layers: int
    compression: str
    source: str
    kilobytes: float
    top: float
    mean: float | None
    std: float | None
    milliseconds: float
    training: Training
    layer_factor: float | None = None
    hidden_size_printed: int | None = None
    variants: tuple[Variant, ...] = ()
    note: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class EightBits:
    """A row of L table 7: the recurrent cell in 8 bits, the head in float32.

    Parameters
    ----------
    benchmark, technique, source : str
        As in `PaperResult`.
    top_32, kilobytes_32 : float
        Accuracy in % and size in float32.
    top_8, kilobytes_8 : float
        The same with 8 bits.
    factor : float, optional
        Printed compression to the float32 baseline.
    note : str

    Examples
    --------
    >>> from kplib.experiments import papers
    >>> baseline, kp = papers.eight_bits("kws-lstm")
    >>> kp.technique == "kp" and kp.kilobytes_8 < kp.kilobytes_32
    True
    """

    benchmark: str
    technique: str
    source: str
    top_32: float
    kilobytes_32: float
    top_8: float
    kilobytes_8: float
    factor: float | None = None
    note: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Gate:
    """What Algorithm 4 makes of one gate's matrix; all of it derived.

    Parameters
    ----------
    benchmark : str
    layer : int
    m, n : int
        The matrix.
    a, b : (int, int)
        Shapes of the factors.
    parameters : int
    macs_b_first, macs_a_first : int
        Multiplications of (B X) A^T and of B (X A^T).
    rank : int
        The most the gate's matrix can have.
    stacked : str
        Which gates are counted in the next two; "" if there is but one gate.
    stacked_rank, stacked_full : int, optional
        The most that those gates, one above the other, can have, and full rank.
    full_rank_a, full_rank_b : (int, int), optional
        The cheapest shapes whose product can have full rank; None if only the dense matrix can.
    full_rank_parameters, full_rank_macs : int, optional
    same_size_a, same_size_b : (int, int), optional
        Shapes with as many parameters as Algorithm 4's, and more rank.
    same_size_rank : int, optional
    note : str

    Examples
    --------
    >>> from kplib.experiments import papers
    >>> (gate,) = papers.gates("kws-lstm")
    >>> gate.parameters == gate.a[0] * gate.a[1] + gate.b[0] * gate.b[1]
    True
    >>> (gate.a[0] * gate.b[0], gate.a[1] * gate.b[1]) == (gate.m, gate.n)
    True
    """

    benchmark: str
    m: int
    n: int
    a: tuple[int, int]
    b: tuple[int, int]
    parameters: int
    macs_b_first: int
    macs_a_first: int
    rank: int
    layer: int = 1
    stacked: str = ""
    stacked_rank: int | None = None
    stacked_full: int | None = None
    full_rank_a: tuple[int, int] | None = None
    full_rank_b: tuple[int, int] | None = None
    full_rank_parameters: int | None = None
    full_rank_macs: int | None = None
    same_size_a: tuple[int, int] | None = None
    same_size_b: tuple[int, int] | None = None
    same_size_rank: int | None = None
    note: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Decoded:
    """A network found by arithmetic behind a printed size; or one that does not explain it.

    Parameters
    ----------
    benchmark, technique : str
    compression : str
        Which table, as in `PaperResult`; "none" for what stands in no table, and for baselines.
    source : str
        Where `printed` stands; "D" if nothing is printed.
    parameters : tuple of int
        As `kplib.experiments.sizes` counts them; two where both give the printed size, none where
        no network of this technique does.
    printed : tuple of float
        KB as printed, in one place or two.
    matches : bool
        Whether `parameters`, rounded or truncated, give `printed`.
    counted : {"all", "weights only", "no head biases", "FastGRNN"}
        What is counted; "FastGRNN" has a second vector of biases.
    weights, biases, scalars, head : int, optional
        The parts of `parameters`.
    layers, hidden_size : int, optional
        Where they are not the baseline's (the KP network's, for "kp").
    rank : int, optional
        Of a low-rank network.
    rows : int, optional
        Dense rows of a hybrid one.
    nonzeros : tuple of int
        Of a pruned one.
    density : float, optional
        Non-zeros in % of the weights.
    kilobytes : float, optional
        KB of `parameters`, where these are not the printed ones.
    layer_factor : float, optional
        Baseline's recurrent layer to this one's.
    rank_bound : int, optional
        The most a gate's matrix can have.
    note : str

    Examples
    --------
    >>> from kplib.experiments import papers
    >>> (kp,) = papers.decoded("kws-lstm", "kp")
    >>> kp.matches and round(kp.parameters[0] * 4 / 1024, 1) in kp.printed
    True
    """

    benchmark: str
    technique: str
    source: str
    parameters: tuple[int, ...]
    compression: str = "maximum"
    printed: tuple[float, ...] = ()
    matches: bool = True
    counted: Literal["all", "weights only", "no head biases", "FastGRNN"] = "all"
    weights: int | None = None
    biases: int | None = None
    scalars: int = 0
    head: int | None = None
    layers: int | None = None
    hidden_size: int | None = None
    rank: int | None = None
    rows: int | None = None
    nonzeros: tuple[int, ...] = ()
    density: float | None = None
    kilobytes: float | None = None
    layer_factor: float | None = None
    rank_bound: int | None = None
    note: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ratio:
    """A factor, with the two numbers that make it.

    Parameters
    ----------
    name : str
        What it is: "layer compression", "network compression", "speed-up", "KP to low-rank time".
    benchmark : str
    numerator, denominator : int or float
    value : float
        As printed, or as rounded here.
    source : str
    note : str

    Examples
    --------
    >>> from kplib.experiments import papers
    >>> (ratio,) = papers.ratios("layer compression", "kws-lstm")
    >>> round(ratio.numerator / ratio.denominator, 2) == ratio.value
    True
    """

    name: str
    benchmark: str
    numerator: float
    denominator: float
    value: float
    source: str
    note: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """What the papers say about the trained matrices.

    Parameters
    ----------
    key : str
        A short name.
    technique : str
        As in `PaperResult`; "all" if it is about every one.
    benchmark : str
        A name of `BENCHMARKS`, or "all"; for more than one but not all, `text` says which.
    quantity : {"rank", "condition number", "largest singular value", "sparsity", "agreement"}
    text : str
        The claim.
    lower, upper : float, optional
        Its bounds; both the same for a single number. `strict` if they are excluded.
    strict : bool
    source : str
    note : str
        What is to be said about it.

    Examples
    --------
    >>> from kplib.experiments import papers
    >>> (claim,) = papers.claims("kp", "condition number")
    >>> claim.lower <= 3.0 <= claim.upper
    True
    """

    key: str
    technique: str
    benchmark: str
    quantity: str
    text: str
    source: str
    lower: float | None = None
    upper: float | None = None
    strict: bool = False
    note: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Fact:
    """A number or a statement of the papers, or of the code that they build on.

    Parameters
    ----------
    topic : str
        Such as "mnist", "hello-edge" or "2x2"; see `papers.topics`.
    name : str
        What it is.
    value : int, float, str or tuple
    source : str
        "L ...", "W ...", "K", "P ..." for public code, "D" for derived.
    note : str

    Examples
    --------
    >>> from kplib.experiments import papers
    >>> images = papers.fact("mnist", "training images")
    >>> images.topic == "mnist" and isinstance(images.value, int)
    True
    """

    topic: str
    name: str
    value: Value
    source: str
    note: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Slip:
    """A number or statement of the papers that does not agree with the rest of them.

    Parameters
    ----------
    key : str
        A short name.
    where : str
        Where it stands.
    printed : tuple
        What stands there: one value, or several that should be one.
    consistent : int, float, str or tuple, optional
        What agrees with everything else; None if that cannot be said.
    text : str
        Why.

    Examples
    --------
    >>> from kplib.experiments import papers
    >>> slip = papers.slip("har1-parameters")
    >>> slip.consistent in slip.printed
    False
    """

    key: str
    where: str
    printed: tuple[Scalar, ...]
    text: str
    consistent: Value | None = None
