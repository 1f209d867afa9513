"""The trained network of a record, for whoever wants to use it."""

import os
from pathlib import Path

from kplib.experiments.few_bits import quantized_network
from kplib.experiments.records import read
from kplib.experiments.training import load_network
from kplib.experiments.variants import network
from kplib.nn import Classifier

__all__ = ["load_trained"]


def load_trained(path: str | os.PathLike[str]) -> Classifier:
    """Return the trained network of a record that ``kplib train`` or ``kplib sweep`` wrote.

    Parameters
    ----------
    path : str or path
        Of the record's JSON file; its arrays stand beside it.

    Returns
    -------
    kplib.nn.Classifier
        In ``eval`` mode, on the CPU. The weights of large networks were kept in 16 bits, so that a
        prediction on the edge may be another than the record's. Of a network in few bits, the
        weights are floats: whole multiples of their scales.

    Raises
    ------
    ValueError
        If it is no record, its arrays are not those that it was written with, hold no weights or
        do not fit its network, or it is of a variant that is none of
        `kplib.experiments.variants.VARIANTS`.

    Notes
    -----
    The examples are in the layout that the network was trained with, (batch, steps, features), and
    standardised as the record's ``data.protocol`` says.

    See Also
    --------
    kplib.experiments.training.load_network : from a record that is already read.
    kplib.engine.export.export_c : the network as C; ``kplib export RECORD PATH`` does both.

    Examples
    --------
    >>> from kplib.experiments.trained import load_trained
    >>> load_trained("runs/usps-fastrnn/kp/seed-9-00000000.json")
    Traceback (most recent call last):
    ValueError: runs/usps-fastrnn/kp/seed-9-00000000.json: cannot be read: No such file or directory
    """
    stored = read(Path(path))
    configuration = stored.record.configuration
    if "bits" in configuration.variant_options:
        return quantized_network(stored).model
    return load_network(stored, lambda: network(configuration))
