"""The networks of the papers' tables, as PyTorch modules."""

import importlib.util
import math
from collections.abc import Iterable, Mapping
from typing import Any, cast

from kplib.errors import MissingExtraError

if importlib.util.find_spec("torch") is None:
    raise MissingExtraError("torch", "nn")

import torch
from torch import nn

from kplib.experiments.benchmarks import Benchmark
from kplib.experiments.recipes import Recipe, recipe
from kplib.nn import GRU, LSTM, RNN, Classifier, Dense, FastRNN, Hybrid, Kronecker, LowRank, Sparse
from kplib.nn.cell import Cell
from kplib.nn.recurrent import Recurrent
from kplib.nn.structures import Initializer, Structure

# The papers' initializers: TensorFlow's default, and EdgeML's normal distribution for FastRNN.
INITIALIZERS: dict[str, Initializer] = {
    "rnn": "glorot_uniform",
    "lstm": "glorot_uniform",
    "gru": "glorot_uniform",
    "fastrnn": "random_normal",
}


def build(
    benchmark: str,
    technique: str,
    *,
    compression: int | None = None,
    layers: int | None = None,
    seed: int | None = None,
) -> Classifier:
    """Build a network of the papers' tables: a recurrent layer and a head on its last state.

    It is the papers' network in every particular: one bias vector a gate with TensorFlow's initial
    values, no peepholes, the GRU's reset before the product, their initializers, input
    (batch, steps, features).

    Parameters
    ----------
    benchmark : str
        "mnist-lstm", "usps-fastrnn", "kws-lstm", "kws-gru", "har1-bilstm" or "dsads-bilstm".
    technique : {"baseline", "small", "pruned", "lmf", "kp", "hkp"}
        The dense network; one with fewer units; a dense one to be pruned to the papers' non-zeros
        by a schedule; low-rank; Kronecker; hybrid.
    compression : int, optional
        10 or 20 for the papers' dial; any other number of times too. By default the maximum.
    layers : int, optional
        Recurrent layers, by default those of the papers' table (two for "kws-gru", "kp").
    seed : int, optional
        Of the initial values; by default torch's generator goes on. The generator of the caller is
        left as it was.

    Returns
    -------
    kplib.nn.Classifier

    Raises
    ------
    ValueError
        If there is no such network; the message lists those that there are.

    See Also
    --------
    kplib.experiments.recipes.recipe : which units, rank, rows or non-zeros that makes.

    Examples
    --------
    >>> from kplib.nn import parameter_count
    >>> model = build("kws-lstm", "kp")
    >>> parameter_count(model)
    3916
    >>> model(torch.randn(100, 25, 10)).shape
    torch.Size([100, 12])
    >>> parameter_count(build("kws-gru", "kp")) == 5691
    True
    """
    chosen = recipe(benchmark, technique, compression=compression, layers=layers)
    return network_of(chosen, _structure(chosen), seed=seed)


def network_of(
    chosen: Recipe, weight: Structure, *, seed: int | None = None, **options: Any
) -> Classifier:
    """Build the network of a recipe, but with gate matrices that are made in another way.

    Parameters
    ----------
    chosen : Recipe
        Of which the benchmark, the hidden size and the layers are taken.
    weight : Structure
        Of the gate matrices.
    seed : int, optional
        As of `build`.
    **options
        Of the recurrent layer, such as the nonlinearity of an `RNN`.

    Returns
    -------
    kplib.nn.Classifier

    Examples
    --------
    >>> from kplib.nn import parameter_count
    >>> chosen = recipe("usps-fastrnn", "kp")
    >>> equal = network_of(chosen, Kronecker((8, 6, 4, 8)))
    >>> parameter_count(equal) == chosen.size.total
    True
    """
    if seed is None:
        return _network(chosen, weight, options)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return _network(chosen, weight, options)


@torch.no_grad()
def with_initial_values(model: Classifier, values: Mapping[str, float]) -> Classifier:
    """Let a network's recurrent layer start with other constants than the published ones.

    Parameters
    ----------
    model : Classifier
        As `build` returns it; changed in place.
    values : mapping of str to float
        "bias": each entry of the bias of every gate; or the name of one of the cell's scalars, such
        as the "alpha" and "beta" of FastRNN.

    Returns
    -------
    kplib.nn.Classifier
        `model`.

    Raises
    ------
    ValueError
        If the cell has nothing of that name, or a value is not finite.

    Notes
    -----
    FastRNN's published start, alpha = -3 and beta = 3, lets each step add less than 5 % of its
    candidate to the state: after 16 steps the state is still small, and so are the gradients that
    pass through it to W. Small networks for USPS that start there end with a small s(alpha), and
    seeds differ much; from alpha = 0 and beta = 2 they end better, and seeds differ less. The
    authors' code (EdgeML) has both constants as arguments of the cell.

    Examples
    --------
    >>> start = {"alpha": 0.0, "beta": 2.0, "bias": 0.0}
    >>> model = with_initial_values(build("usps-fastrnn", "kp"), start)
    >>> cell = model.rnn.cells["l0"]
    >>> cell.alpha.item(), cell.beta.item(), cell.bias.abs().max().item()
    (0.0, 2.0, 0.0)
    """
    cells = cast("nn.ModuleDict", model.rnn.cells)
    for cell in cast("Iterable[Cell]", cells.values()):
        known = ["bias"] * (cell.bias is not None) + list(cell.initial_values)
        for name, value in values.items():
            if name not in known:
                raise ValueError(
                    f"the cell has no {name!r} to start with {value:g}; it has {', '.join(known)}"
                )
            if not math.isfinite(value):
                raise ValueError(f"{name} must start with a finite number, found {value}")
            cell.get_parameter(name).fill_(value)
    return model


def _network(chosen: Recipe, weight: Structure, options: Mapping[str, Any]) -> Classifier:
    network = chosen.network
    features = network.directions * chosen.hidden_size * (2 if weight.is_complex else 1)
    layer = _layer(network, chosen, weight, options)
    return Classifier(layer, nn.Linear(features, network.classes))


def _structure(chosen: Recipe) -> Structure:
    """Return how the gate matrices are made."""
    init = INITIALIZERS[chosen.network.cell]
    if chosen.technique == "kp":
        return Kronecker(init=init)
    if chosen.technique == "hkp":
        return Hybrid(chosen.rows, init=init)
    if chosen.technique == "lmf":
        return LowRank(chosen.rank, init=init)
    if chosen.technique == "pruned":
        dense = chosen.network.weight_parameters
        return Sparse(chosen.nonzeros / dense, init=init)
    return Dense(init=init)


def _layer(
    network: Benchmark, chosen: Recipe, weight: Structure, special: Mapping[str, Any]
) -> Recurrent:
    """Return the recurrent layers of the papers' cell."""
    sizes = (network.input_size, chosen.hidden_size, chosen.layers)
    options: dict[str, Any] = {
        "bias": "one",
        "batch_first": True,
        "bidirectional": network.directions == 2,
        "weight": weight,
        **special,
    }
    if network.cell == "gru":
        return GRU(*sizes, **options, reset_after=False)
    return {"rnn": RNN, "lstm": LSTM, "fastrnn": FastRNN}[network.cell](*sizes, **options)
