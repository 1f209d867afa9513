"""The networks of the papers' tables, as PyTorch modules."""

from collections.abc import Mapping
from typing import Any

import torch
from torch import nn

from kplib.experiments.benchmarks import Benchmark
from kplib.experiments.recipes import Recipe, recipe
from kplib.nn import GRU, LSTM, RNN, Classifier, Dense, FastRNN, Hybrid, Kronecker, LowRank, Sparse
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
