"""What is trained otherwise than in the papers: other factors, other forms, other help.

A variant has a name, and what is its own of three things: how the network is built, where it
starts, and the numbers of its objective, which stand in the configuration and so in each record.
`VARIANTS` has them all, `configured` makes a configuration with one, and
`kplib.experiments.variant_training.train` trains it.

**Rank and form** ask which Kronecker network is the best at a size; all else is as in the
like-for-like comparison. **Pushed** is what more help in training gives, from the trained baseline
and from averaging; that is no like-for-like comparison with anything trained without it. **From
trained** starts at the matrices nearest to a baseline's. **KRU** are chains of many small factors.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from kplib.experiments.benchmarks import TASKS
from kplib.experiments.build import INITIALIZERS, build, network_of, with_initial_values
from kplib.experiments.configuration import Configuration, default_configuration
from kplib.experiments.recipes import Recipe, recipe
from kplib.experiments.task_training import task_configuration
from kplib.nn import Classifier, Dense, Kronecker, KroneckerChain
from kplib.nn.structures import Structure, Weight
from kplib.nn.structures.initial import Initializer

__all__ = [
    "VARIANTS",
    "Variant",
    "configured",
    "needs_baseline",
    "network",
    "variant",
    "variants_of",
]

Group = Literal["rank", "form", "pushed", "from trained", "kru"]
Shape = tuple[int, int, int, int]

_TEMPERATURE = 4.0
_SOFT_SHARE = 0.9
_EMA_DECAY = 0.999
_PENALTY = 0.1
_KRU_HIDDEN = 256  # the papers', eight factors of 2 x 2


@dataclass(frozen=True, kw_only=True)
class Variant:
    """One variant of a network, or of how it is trained.

    Attributes
    ----------
    name : str
        As in `Configuration.variant`.
    about : str
        What is otherwise, in a line.
    group : {"rank", "form", "pushed", "from trained", "kru"}
        What it is for.
    where : tuple of (str, str)
        The benchmarks and techniques that it is a variant of.
    network : function (Configuration) -> Classifier, optional
        Builds the network to be trained; the technique's own if not given.
    changes : mapping
        Fields of the configuration that it sets. Its `variant_options` say what is minimised:
        "temperature" and "soft_share" of `distillation`, "unitary_penalty" of
        `with_unitary_penalty`.
    starts_trained : bool
        Whether it starts as near to a trained baseline as its technique can come.

    Examples
    --------
    >>> higher_rank = variant("usps-fastrnn", "kp", "rank-24")
    >>> isinstance(higher_rank, Variant) and ("usps-fastrnn", "kp") in higher_rank.where
    True
    """

    name: str
    about: str
    group: Group
    where: tuple[tuple[str, str], ...]
    network: Callable[[Configuration], Classifier] | None = None
    changes: Mapping[str, Any] = field(default_factory=dict, hash=False)
    starts_trained: bool = False

    @property
    def learns_from_baseline(self) -> bool:
        """Whether it is distilled."""
        return "temperature" in self.changes.get("variant_options", {})


# Networks -----------------------------------------------------------------------------------------


def _recipe(configuration: Configuration) -> Recipe:
    return recipe(
        configuration.benchmark,
        configuration.technique,
        compression=configuration.compression,
        layers=configuration.layers,
    )


def _made_of(
    make: Callable[[Recipe], Structure], *, hidden_size: int | None = None, **options: Any
) -> Callable[[Configuration], Classifier]:
    """Return what builds a network whose gate matrices are of another structure.

    The options are of the recurrent layer.
    """

    def network(configuration: Configuration) -> Classifier:
        chosen = _recipe(configuration)
        if hidden_size is not None:
            chosen = replace(chosen, hidden_size=hidden_size)
        return network_of(chosen, make(chosen), seed=configuration.seed, **options)

    return network


def _kronecker(
    shape: Shape | None, *, terms: int = 1, stacked: bool = False
) -> Callable[[Configuration], Classifier]:
    """Return what builds a Kronecker network with other factors, or sums, or stacked gates."""
    return _made_of(
        lambda chosen: Kronecker(
            shape, terms=terms, stacked=stacked, init=INITIALIZERS[chosen.network.cell]
        )
    )


@dataclass(frozen=True)
class _KroneckerByLayer(Structure):
    """Kronecker products with given factors where these fit, and Algorithm 4's elsewhere."""

    shape: Shape
    init: Initializer

    def build(self, gates: int, rows: int, columns: int, **options: Any) -> Weight:
        m1, n1, m2, n2 = self.shape
        shape = self.shape if (m1 * m2, n1 * n2) == (rows, columns) else None
        return Kronecker(shape, init=self.init).build(gates, rows, columns, **options)


def _kronecker_where_it_fits(shape: Shape) -> Callable[[Configuration], Classifier]:
    """Return what builds a Kronecker network with these factors in the layers they fit."""
    return _made_of(lambda chosen: _KroneckerByLayer(shape, INITIALIZERS[chosen.network.cell]))


def _chain(
    factors: int, *, complex: bool = False, **options: Any
) -> Callable[[Configuration], Classifier]:
    """Return what builds a network whose W_h are chains of square factors, orthogonal at first."""
    return _made_of(
        lambda chosen: KroneckerChain(
            factors, complex=complex, input=Dense(init=INITIALIZERS[chosen.network.cell])
        ),
        **options,
    )


def _dense(hidden_size: int) -> Callable[[Configuration], Classifier]:
    """Return what builds a dense network with another number of units."""
    return _made_of(
        lambda chosen: Dense(init=INITIALIZERS[chosen.network.cell]), hidden_size=hidden_size
    )


# The registry -------------------------------------------------------------------------------------

# Of a gate: the product's rank is at most this. At each size of USPS and MNIST there are several.
_RANKS: Mapping[str, Mapping[str, Shape]] = {
    "usps-fastrnn": {
        "rank-1": (32, 1, 1, 48),  # the first four and Algorithm 4's, of rank 16: 80 parameters
        "rank-4": (16, 2, 2, 24),
        "rank-6": (16, 3, 2, 16),
        "rank-24": (8, 6, 4, 8),
        "rank-12": (8, 3, 4, 16),  # these two: 88
        "full-rank": (4, 6, 8, 8),
    },
    "mnist-lstm": {
        "rank-1": (40, 1, 1, 68),  # these three: 108, Algorithm 4's, of rank 20: 117
        "rank-4": (20, 2, 2, 34),
        "rank-16": (10, 4, 4, 17),
        "rank-8": (10, 2, 4, 34),  # these two: 156
        "rank-32": (5, 4, 8, 17),
        "rank-10": (8, 2, 5, 34),  # these two: 186
        "full-rank": (4, 4, 10, 17),
    },
    "kws-lstm": {"rank-4": (118, 4, 1, 32)},  # 504, as Algorithm 4's, of rank 16
}
# A sum of two products for all four gates together, of exactly the size of one for each.
_STACKED_SUMS: Mapping[str, Shape] = {
    "mnist-lstm": (16, 4, 10, 17),
    "kws-lstm": (59, 16, 8, 8),
}
# One product for all four gates together, the largest below the size of one for each.
_STACKED: Mapping[str, Shape] = {
    "mnist-lstm": (8, 4, 20, 17),
    "kws-lstm": (8, 4, 59, 32),
}
# A sum of two products for each gate: of nearly the size of one, and of twice the size.
_SUMS: Mapping[str, Shape] = {"kws-lstm": (59, 2, 2, 64)}
_DOUBLE_SUMS: Mapping[str, Shape] = {"usps-fastrnn": (8, 4, 4, 12), "mnist-lstm": (8, 4, 5, 17)}
_SWAPPED: Mapping[str, Shape] = {"usps-fastrnn": (4, 12, 8, 4), "mnist-lstm": (5, 17, 8, 4)}
_GRU_LAYER_2: Shape = (14, 14, 11, 22)

_PUSHED_TECHNIQUES = ("kp", "lmf", "small")
_PUSHED_BENCHMARKS = ("mnist-lstm", "usps-fastrnn", "kws-lstm", "kws-gru", "dsads-bilstm")
# The best of equal size or below, by the rank of a gate or of the stack.
_PUSHED_FORMS: tuple[tuple[str, str], ...] = (
    ("usps-fastrnn", "rank-24"),
    ("mnist-lstm", "stacked-sum"),
    ("kws-lstm", "stacked-sum"),
    ("kws-gru", "full-rank-layer-2"),
)
_START_BENCHMARKS = ("mnist-lstm", "usps-fastrnn", "kws-lstm", "dsads-bilstm")  # of equal hidden
_START_TECHNIQUES = ("kp", "hkp", "lmf", "pruned")

_SOFT = {"temperature": _TEMPERATURE, "soft_share": _SOFT_SHARE}
_HELP: Mapping[str, tuple[str, Mapping[str, Any]]] = {
    "ema": ("the moving average of the weights", {"ema_decay": _EMA_DECAY}),
    "distilled": ("learns from the trained baseline, too", {"variant_options": _SOFT}),
    "pushed": (
        "learns from the trained baseline, too; the moving average of the weights",
        {"variant_options": _SOFT, "ema_decay": _EMA_DECAY},
    ),
}


def _ranks() -> Iterator[Variant]:
    for benchmark, shapes in _RANKS.items():
        for name, shape in shapes.items():
            text = "{}x{} (x) {}x{}".format(*shape)
            yield _kp(benchmark, name, f"factors {text}", "rank", _kronecker(shape))
    for benchmark, shape in _SWAPPED.items():
        about = "Algorithm 4's factors, in the other order"
        yield _kp(benchmark, "swapped", about, "rank", _kronecker(shape))
    about = "layer 2 with 14x14 (x) 11x22"
    make = _kronecker_where_it_fits(_GRU_LAYER_2)
    yield _kp("kws-gru", "full-rank-layer-2", about, "rank", make)


def _forms() -> Iterator[Variant]:
    for benchmark, shape in _STACKED.items():
        about = "one product for all gates, the largest below the size"
        yield _kp(benchmark, "stacked", about, "form", _kronecker(shape, stacked=True))
    for benchmark, shape in _STACKED_SUMS.items():
        about = "a sum of two products for all gates, of equal size"
        yield _kp(benchmark, "stacked-sum", about, "form", _kronecker(shape, terms=2, stacked=True))
    for benchmark, shape in _SUMS.items():
        about = "a sum of two products for each gate, of nearly equal size"
        yield _kp(benchmark, "sum", about, "form", _kronecker(shape, terms=2))
    for benchmark, shape in _DOUBLE_SUMS.items():
        about = "a sum of two products for each gate, of twice the size"
        yield _kp(benchmark, "double-sum", about, "form", _kronecker(shape, terms=2))


def _kp(
    benchmark: str,
    name: str,
    about: str,
    group: Group,
    network: Callable[[Configuration], Classifier],
) -> Variant:
    return Variant(name=name, about=about, group=group, where=((benchmark, "kp"),), network=network)


def _pushed(forms: Mapping[tuple[str, str], Variant]) -> Iterator[Variant]:
    where = tuple((b, t) for b in _PUSHED_BENCHMARKS for t in _PUSHED_TECHNIQUES)
    for name, (about, changes) in _HELP.items():
        yield Variant(name=name, about=about, group="pushed", where=where, changes=changes)
    about, changes = _HELP["pushed"]
    for benchmark, form in _PUSHED_FORMS:
        base = forms[benchmark, form]
        yield replace(
            base, name=f"{form}-pushed", about=f"{base.about}; {about}", group="pushed",
            changes=changes,
        )  # fmt: skip


def _from_trained() -> Iterator[Variant]:
    yield Variant(
        name="from-trained",
        about="starts nearest to a baseline that was trained as long: half of the epochs in all",
        group="from trained",
        where=tuple((b, t) for b in _START_BENCHMARKS for t in _START_TECHNIQUES),
        starts_trained=True,
    )


def _kru() -> Iterator[Variant]:
    hidden = f"{_KRU_HIDDEN} units"
    yield Variant(
        name="dense-256", about=hidden, group="kru", where=(("kws-gru", "baseline"),),
        network=_dense(_KRU_HIDDEN),
    )  # fmt: skip
    about = f"{hidden}; each W_h of eight factors of 2 x 2"
    chain = _chain(8, hidden_size=_KRU_HIDDEN)
    yield from _with_and_without_penalty("kru", about, (("kws-gru", "kp"),), chain, {"layers": 1})
    yield from _on_tasks()


def _on_tasks() -> Iterator[Variant]:
    """Real and complex, many factors and one: all with orthogonal W_h and modrelu at first."""
    for prefix, kind, is_complex in (("", "", False), ("complex-", "complex ", True)):
        where = tuple((task, "kp") for task in TASKS)
        about = f"W_h of seven {kind}factors of 2 x 2; modrelu"
        chain = _chain(7, complex=is_complex, nonlinearity="modrelu")
        yield from _with_and_without_penalty(f"{prefix}kru", about, where, chain, {})
        yield Variant(
            name="unitary" if is_complex else "orthogonal",
            about=f"W_h dense, {'unitary' if is_complex else 'orthogonal'} at first; modrelu",
            group="kru",
            where=tuple((task, "baseline") for task in TASKS),
            network=_chain(1, complex=is_complex, nonlinearity="modrelu"),
        )


def _with_and_without_penalty(
    name: str,
    about: str,
    where: tuple[tuple[str, str], ...],
    network: Callable[[Configuration], Classifier],
    changes: Mapping[str, Any],
) -> Iterator[Variant]:
    plain = Variant(
        name=name, about=about, group="kru", where=where, network=network, changes=changes
    )
    yield plain
    yield replace(
        plain,
        name=f"{name}-unitary",
        about=f"{about}; {_PENALTY} times the factors' distance from unitary in the loss",
        changes={**changes, "variant_options": {"unitary_penalty": _PENALTY}},
    )


def _all() -> tuple[Variant, ...]:
    shapes = (*_ranks(), *_forms())
    by_place = {(v.where[0][0], v.name): v for v in shapes}
    return (*shapes, *_pushed(by_place), *_from_trained(), *_kru())


VARIANTS: tuple[Variant, ...] = _all()
"""All variants; a name may stand for another network at another benchmark."""


def variants_of(benchmark: str, technique: str) -> dict[str, Variant]:
    """Return the variants of a network, by name.

    Examples
    --------
    >>> list(variants_of("kws-gru", "baseline"))
    ['dense-256']
    """
    return {v.name: v for v in VARIANTS if (benchmark, technique) in v.where}


def variant(benchmark: str, technique: str, name: str) -> Variant:
    """Return a variant of a network, or say which there are.

    Raises
    ------
    ValueError
        If there is none of that name; it lists those that there are.

    Examples
    --------
    >>> variant("usps-fastrnn", "kp", "rank-24").about
    'factors 8x6 (x) 4x8'
    """
    known = variants_of(benchmark, technique)
    if name not in known:
        listed = f"there are {', '.join(known)}" if known else "it has none"
        raise ValueError(f"there is no variant {name!r} of {benchmark}, {technique}; {listed}")
    return known[name]


def configured(
    benchmark: str, technique: str, *, variant: str = "", **options: Any
) -> Configuration:
    """Return the default configuration of a network, or of a task's, with what a variant changes.

    Parameters
    ----------
    benchmark, technique : str
        As in `kplib.build`, or of `kplib.experiments.benchmarks.TASKS`.
    variant : str, optional
    **options
        Of `kplib.experiments.configuration.default_configuration`, or
        `kplib.experiments.task_training.task_configuration`; None is as if it were not given.

    Returns
    -------
    Configuration

    Raises
    ------
    ValueError
        If there is no such network or variant, or a value does not make sense.

    Examples
    --------
    >>> configuration = configured("usps-fastrnn", "kp", variant="pushed", seed=2)
    >>> configuration.ema_decay, configuration.variant_options["temperature"], configuration.seed
    (0.999, 4.0, 2)
    >>> configured("copy-rnn", "kp", variant="kru").layers == 1
    True
    """
    options = {name: value for name, value in options.items() if value is not None}
    make: Callable[..., Configuration] = default_configuration
    if benchmark in TASKS:
        make = task_configuration
        # What the command line gives where nothing is asked for; a task has none of these.
        usual = {"schedule": "papers", "max_norm_on": "gradients", "dropout_is": "kept"}
        options = {name: value for name, value in options.items() if usual.get(name) != value}
        printed = [n for n in ("max_norm_on", "dropout_is", "decay_steps") if n in options]
        if printed:
            raise ValueError(f"{benchmark} is not of the papers: leave out {', '.join(printed)}")
    if not variant:
        return make(benchmark, technique, **options)
    changes = _find(benchmark, technique, variant).changes
    if "layers" in changes:
        options = {"layers": changes["layers"]} | options
        changes = {name: value for name, value in changes.items() if name != "layers"}
    return replace(make(benchmark, technique, variant=variant, **options), **changes)


_find = variant  # where a parameter has that name


def network(configuration: Configuration) -> Classifier:
    """Build the network of a configuration, with its variant's structure; not yet trained.

    Parameters
    ----------
    configuration : Configuration

    Returns
    -------
    kplib.nn.Classifier
        Such as ``load_network(stored, lambda: network(stored.record.configuration))`` needs.

    Raises
    ------
    ValueError
        If the variant is none of these.

    Examples
    --------
    >>> from kplib.nn import parameter_count
    >>> equal = network(configured("mnist-lstm", "kp", variant="stacked-sum"))
    >>> parameter_count(equal) == parameter_count(build("mnist-lstm", "kp"))
    True
    """
    if configuration.variant:
        special = variant(
            configuration.benchmark, configuration.technique, configuration.variant
        ).network
        if special is not None:
            return with_initial_values(special(configuration), configuration.initial_values)
    model = build(
        configuration.benchmark,
        configuration.technique,
        compression=configuration.compression,
        layers=configuration.layers,
        seed=configuration.seed,
    )
    return with_initial_values(model, configuration.initial_values)


def needs_baseline(configuration: Configuration) -> bool:
    """Return whether a training begins with the record of a trained baseline.

    Examples
    --------
    >>> [needs_baseline(configured("mnist-lstm", "kp", variant=v)) for v in ("ema", "distilled")]
    [False, True]
    """
    if not configuration.variant:
        return False
    found = variant(configuration.benchmark, configuration.technique, configuration.variant)
    return found.starts_trained or found.learns_from_baseline
