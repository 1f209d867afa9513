"""Tasks of long memory: copy memory, adding, and MNIST pixel by pixel, each as a `DataSet`.

What Kronecker recurrent units were shown on. Every training here is of a classifier on a final
state, so the first two are put that way: of copy memory one answer of a sequence is asked for, and
of the sum of two numbers whether it is above its mean. No hint of the answer is left in the last
steps; how often a guess without memory is right is in the data set's protocol.
"""

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, Literal

import numpy as np

import kplib.data
from kplib._checks import positive_integer, require_options
from kplib.data import DataSet, Sequences
from kplib.data.images import load_mnist

__all__ = ["adding", "copy_memory", "load", "pixel_mnist"]

_SYMBOLS = 8
_MNIST_SIDE = 28


def copy_memory(
    *,
    symbols: int = 5,
    delay: int = 100,
    train: int = 20_000,
    validation: int = 2_000,
    test: int = 5_000,
    seed: int = 0,
) -> DataSet:
    """Make copy memory: symbols, a long delay, then one of them is asked for.

    In the task as it is known, the network has to say all symbols, in their order, at the steps
    after the delay that are marked "go". Here a sequence ends with the first, or second, ... of
    these steps, and the network has to say that symbol: the first after one "go", the second after
    two. Blanks before the symbols make all sequences equally long. As in the known task the symbol
    is always as many steps before its answer, so that a delay line would do: a network whose W_h is
    orthogonal can be one, where nothing between the steps distorts its state.

    Parameters
    ----------
    symbols : int, default 5
        To be kept, each of eight.
    delay : int, default 100
        Blank steps between the last symbol and the first "go".
    train, validation, test : int
        Sequences in each part.
    seed : int, default 0
        Of all of them.

    Returns
    -------
    DataSet
        Of 2 * symbols + delay steps and 10 inputs: one for each of the eight symbols, one for
        blank, one for "go"; exactly one of them is 1. Eight classes, the symbols.

    Raises
    ------
    ShapeError
        If a number is not positive.

    References
    ----------
    Jose, Cisse and Fleuret, "Kronecker Recurrent Units" (arXiv:1705.10142), copy memory.

    Examples
    --------
    >>> data = copy_memory(symbols=3, delay=4, train=6, validation=2, test=2)
    >>> data.train.x.shape
    (6, 10, 10)
    >>> bool((data.train.x.sum(-1) == 1).all())
    True
    """
    symbols, delay = positive_integer("symbols", symbols), positive_integer("delay", delay)

    def sequences(count: int, rng: np.random.Generator) -> Sequences:
        shown = rng.integers(_SYMBOLS, size=(count, symbols))
        asked = rng.integers(symbols, size=count)  # after this many "go" and one more
        blank, go = _SYMBOLS, _SYMBOLS + 1
        inputs = np.full((count, 2 * symbols + delay), blank)
        first = symbols - 1 - asked
        rows = np.arange(count)[:, None]
        inputs[rows, first[:, None] + np.arange(symbols)] = shown
        inputs[np.arange(inputs.shape[1]) >= (first + symbols + delay)[:, None]] = go
        x = np.eye(_SYMBOLS + 2, dtype=np.float32)[inputs]
        return Sequences(x, shown[rows[:, 0], asked])

    protocol = {
        "task": "copy memory, asked for one symbol",
        "symbols": symbols,
        "delay": delay,
        "seed": seed,
        "accuracy without memory, %": 100 / _SYMBOLS,
    }
    classes = tuple(f"symbol {k}" for k in range(_SYMBOLS))
    return _made("copy-memory", classes, sequences, (train, validation, test), seed, protocol)


def adding(
    *,
    steps: int = 100,
    train: int = 20_000,
    validation: int = 2_000,
    test: int = 5_000,
    seed: int = 0,
) -> DataSet:
    """Make the adding problem: many numbers, of which the two marked ones are to be added.

    In the task as it is known, the network has to say the sum, and the error is squared. Here it
    has to say whether the sum is above 1, which is its mean: who remembers neither of the numbers
    is right in 50 % of the cases, and who remembers one of them in 75 %. One is marked in the first
    half of the steps, one in the second.

    Parameters
    ----------
    steps : int, default 100
        Numbers in a sequence, at least 2.
    train, validation, test : int
        Sequences in each part.
    seed : int, default 0
        Of all of them.

    Returns
    -------
    DataSet
        Of two inputs: a number from 0 to 1, and 1 where it is marked, else 0. Two classes.

    Raises
    ------
    ValueError
        If there are fewer than two steps, or no sequences.

    References
    ----------
    Hochreiter and Schmidhuber, "Long short-term memory" (1997); Jose, Cisse and Fleuret, "Kronecker
    Recurrent Units" (arXiv:1705.10142).

    Examples
    --------
    >>> data = adding(steps=7, train=5, validation=2, test=2)
    >>> sums = (data.train.x[..., 0] * data.train.x[..., 1]).sum(1)
    >>> bool(((sums > 1) == data.train.y).all())
    True
    """
    if positive_integer("steps", steps) < 2:
        raise ValueError(f"adding two numbers needs at least 2 steps, found {steps}")
    half = steps // 2

    def sequences(count: int, rng: np.random.Generator) -> Sequences:
        marked = np.stack([rng.integers(half, size=count), rng.integers(half, steps, size=count)])
        rows = np.arange(count)
        x = np.zeros((count, steps, 2), np.float32)
        x[..., 0] = rng.random((count, steps), np.float32)
        x[rows, marked, 1] = 1
        return Sequences(x, (x[rows, marked, 0].sum(0) > 1).astype(np.int64))

    protocol = {
        "task": "whether the sum of two marked numbers of many is above 1",
        "steps": steps,
        "seed": seed,
        "accuracy without memory, %": 50.0,
        "accuracy with one number remembered, %": 75.0,
    }
    classes = ("at most 1", "above 1")
    return _made("adding", classes, sequences, (train, validation, test), seed, protocol)


def pixel_mnist(
    *, side: Literal[7, 14, 28] = 14, permuted: bool = False, progress: bool = True
) -> DataSet:
    """Load MNIST as a sequence of single pixels, row by row, of images made smaller.

    Parameters
    ----------
    side : {14, 7, 28}
        Of the images, whose pixels are means of squares of the original ones: 196, 49 or all 784
        steps.
    permuted : bool, default False
        Whether the pixels come in an order that was drawn once, the same for all images.
    progress : bool, default True
        Whether a download shows a progress bar.

    Returns
    -------
    DataSet
        Of one input, in [0, 1]; the parts as of `kplib.data.images.load_mnist`.

    Raises
    ------
    ValueError
        If `side` is another.
    DataError
        If a file of MNIST is missing or not as published.

    Examples
    --------
    >>> try:
    ...     pixel_mnist(side=10)
    ... except ValueError as error:
    ...     "10" in str(error)
    True
    """
    if side not in (7, 14, 28):
        raise ValueError(f"side must be 7, 14 or 28, found {side}")
    mnist = load_mnist(progress=progress)
    order = np.random.default_rng(0).permutation(side * side) if permuted else slice(None)

    def pixels(part: Sequences) -> Sequences:
        by = _MNIST_SIDE // side
        small = part.x.reshape(-1, side, by, side, by).mean((2, 4), dtype=np.float32)
        return Sequences(np.ascontiguousarray(small.reshape(len(part), -1, 1)[:, order]), part.y)

    return DataSet(
        "pixel-mnist",
        mnist.classes,
        pixels(mnist.train),
        pixels(mnist.validation),
        pixels(mnist.test),
        files=mnist.files,
        protocol=mnist.protocol | {"step": "one pixel", "side": side, "permuted": permuted},
    )


def _made(
    name: str,
    classes: tuple[str, ...],
    sequences: Callable[[int, np.random.Generator], Sequences],
    counts: tuple[int, ...],
    seed: int,
    protocol: dict[str, Any],
) -> DataSet:
    """Draw the parts one after the other, each from random numbers of its own."""
    train, validation, test = (
        sequences(positive_integer(part, count), np.random.default_rng([seed, k]))
        for k, (part, count) in enumerate(zip(("train", "validation", "test"), counts, strict=True))
    )
    return DataSet(name, classes, train, validation, test, protocol=protocol)


_LOADERS: Mapping[str, Callable[..., DataSet]] = MappingProxyType(
    {"copy-memory": copy_memory, "adding": adding, "pixel-mnist": pixel_mnist}
)


def load(name: str, **options: Any) -> DataSet:
    """Load or make a data set: one of these tasks, or one of `kplib.data.load`.

    Parameters
    ----------
    name : str
        "copy-memory", "adding", "pixel-mnist", or a name of `kplib.data.DATA_SETS`.
    **options
        Keyword arguments of its function.

    Returns
    -------
    DataSet

    Raises
    ------
    ValueError
        If an option is unknown, or as of that function.

    Examples
    --------
    >>> load("adding", steps=10, train=4, validation=1, test=1).steps == 10
    True
    """
    if name not in _LOADERS:
        return kplib.data.load(name, **options)
    require_options(name, _LOADERS[name], options)
    return _LOADERS[name](**options)
