"""Measure networks on devices: what they take, what an inference costs, whether it is right."""

import os
import tempfile
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from kplib.bench.devices.devices import Device
from kplib.bench.devices.program import DoesNotFitError, build_for_computer, build_program
from kplib.bench.devices.run import exchange, run_program, stack_bytes
from kplib.engine.stored import Weights
from kplib.nn import Classifier


@dataclass(frozen=True)
class Case:
    """A network to measure, and examples for it.

    Parameters
    ----------
    benchmark, technique : str
        As ``kplib.build`` names them.
    model : Classifier
        The network.
    x : ndarray of float32, shape (examples, steps, input)
        For it.
    labels : ndarray, shape (examples,), or None
        Their classes, if they are data and the network is trained.
    source : str
        The record that it comes from, or that it is not trained.
    """

    benchmark: str
    technique: str
    model: Classifier
    x: NDArray[np.float32]
    labels: NDArray[np.integer] | None
    source: str


@dataclass(frozen=True)
class Fit:
    """What was measured of a network that fits.

    Parameters
    ----------
    flash_bytes : int
        The whole program: code, C library, constants.
    static_bytes, stack_bytes : int
        Of RAM: states and scratch, and the stack at its deepest.
    counts_median, counts_min, counts_max : int
        Instructions or cycles of one inference, over the examples.
    examples : int
        How many there were.
    same : int
        On how many of them the device says the class that this computer says.
    largest_difference : float
        Between a logit there and here, as a part of the largest logit.
    accuracy : float or None
        Of the device, in percent.
    """

    flash_bytes: int
    static_bytes: int
    stack_bytes: int
    counts_median: int
    counts_min: int
    counts_max: int
    examples: int
    same: int
    largest_difference: float
    accuracy: float | None


@dataclass(frozen=True)
class Measurement:
    """One row of the table.

    Parameters
    ----------
    device : Device
        On which.
    case : Case
        What.
    weights : str
        How its constants are stored.
    weight_bytes : int
        Of all constants.
    result : Fit or DoesNotFitError
        What was found.
    """

    device: Device
    case: Case
    weights: Weights
    result: Fit | DoesNotFitError


def measure(case: Case, device: Device, weights: Weights, expected: NDArray[np.float32]) -> Fit:
    """Link, run and compare one network on one device.

    Parameters
    ----------
    case : Case
        The network.
    device : Device
        The device.
    weights : {"float32", "int8"}
        How the constants are stored.
    expected : ndarray of float32, shape (examples, classes)
        Logits of the same C code on this computer, from ``logits_here``.

    Returns
    -------
    Fit

    Raises
    ------
    DoesNotFitError
        If there is not enough flash or RAM.
    DeviceError
        If a tool is missing or fails.
    """
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        program = build_program(case.model, device, weights, folder)
        runs = run_program(program, case.x, case.model.head.out_features, folder)
    counts = runs.counts_per_inference
    accuracy = None
    if case.labels is not None:
        accuracy = 100 * float(np.mean(runs.predictions == case.labels))
    return Fit(
        flash_bytes=program.flash_bytes,
        static_bytes=program.static_bytes,
        stack_bytes=stack_bytes(program, runs),
        counts_median=int(np.median(counts)),
        counts_min=int(counts.min()),
        counts_max=int(counts.max()),
        examples=len(case.x),
        same=int((runs.predictions == expected.argmax(axis=1)).sum()),
        largest_difference=float(np.abs(runs.logits - expected).max() / np.abs(expected).max()),
        accuracy=accuracy,
    )


def logits_here(case: Case, weights: Weights) -> NDArray[np.float32]:
    """Return the logits of the same C code, compiled for this computer."""
    with tempfile.TemporaryDirectory() as name:
        program = build_for_computer(case.model, weights, Path(name))
        return exchange([str(program)], case.x, case.model.head.out_features).logits


def measure_all(
    cases: Sequence[Case],
    devices: Sequence[Device],
    weights: Sequence[Weights],
    show: Callable[[str], None] = lambda _: None,
) -> list[Measurement]:
    """Measure every network on every device; one that does not fit is a result, too.

    As many at once as there are cores: nothing that is measured is time.

    Parameters
    ----------
    cases : sequence of Case
        The networks.
    devices : sequence of Device
        Each takes every network.
    weights : sequence of {"float32", "int8"}
        In each of these forms.
    show : function of str, optional
        Told what is done.

    Returns
    -------
    list of Measurement
        By network, form and device, in the order given.
    """

    def measured(case: Case, stored: Weights, device: Device) -> Measurement:
        result: Fit | DoesNotFitError
        try:
            result = measure(case, device, stored, expected[id(case), stored])
        except DoesNotFitError as error:
            result = error
        show(f"done: {device.name}, {case.benchmark} {case.technique}, {stored}")
        return Measurement(device, case, stored, result)

    expected = {(id(case), form): logits_here(case, form) for case in cases for form in weights}
    asked = [(case, form, device) for case in cases for form in weights for device in devices]
    with ThreadPoolExecutor(os.cpu_count()) as threads:
        return list(threads.map(lambda each: measured(*each), asked))
