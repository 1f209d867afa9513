"""Training examples in an order that is a function of the seed and the epoch, and nothing else.

So a training can be taken up again at any step, on any machine, without going through the steps
before it: nothing is drawn from a generator that has a state to be kept.
"""

import hashlib
import math
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor, nn

if TYPE_CHECKING:
    from kplib.data.sets import DataSet, Sequences

__all__ = ["Batches", "OutputDropout", "fingerprint", "generator"]

_ORDER, _VARIANTS, _DROPOUT = range(3)  # streams of random numbers, independent of each other


def generator(seed: int, stream: int, counter: int) -> np.random.Generator:
    """Return NumPy's generator for one counter value: Philox, a function of key and counter.

    Parameters
    ----------
    seed, stream : int
        The key: other keys give independent numbers.
    counter : int
        Such as the epoch. Each value has 2**192 blocks of numbers to itself.

    Examples
    --------
    >>> draw = generator(7, 0, counter=3).permutation(10)
    >>> bool((draw == generator(7, 0, counter=3).permutation(10)).all())
    True
    """
    return np.random.Generator(np.random.Philox(key=[seed, stream], counter=[0, 0, 0, counter]))


class Batches:
    """The batches of a training, by step.

    Parameters
    ----------
    data : DataSet
        Of which ``train``, and ``variants`` where there are some: then each example is, in each
        epoch, one of its variants, drawn anew.
    batch_size : int
        The last one of an epoch may be smaller.
    seed : int
    device : torch.device
        Where all examples are copied to, once.
    extra : Tensor, optional
        One row for each example, or for each variant of each (V * N rows, all of the first variant
        first): a batch then has its rows, too.

    Raises
    ------
    ValueError
        If `extra` has another number of rows.

    Attributes
    ----------
    per_epoch : int
        Batches in an epoch.

    Examples
    --------
    >>> from kplib.data.sets import DataSet, Sequences
    >>> rows = Sequences(np.ones((10, 4, 2), np.float32), np.arange(10) % 2)
    >>> batches = Batches(DataSet("ones", ("a", "b"), rows, rows, rows), 4, 0, torch.device("cpu"))
    >>> batches.per_epoch, [len(batches(step)[1]) for step in range(4)]
    (3, [4, 4, 2, 4])
    """

    def __init__(
        self,
        data: "DataSet",
        batch_size: int,
        seed: int,
        device: torch.device,
        extra: Tensor | None = None,
    ) -> None:
        self._x, self._y = on_device(data.train, device)
        self._variants = 0
        if data.variants is not None:
            self._variants = len(data.variants)
            self._x = torch.from_numpy(data.variants).flatten(0, 1).to(device)
        if extra is not None and len(extra) != len(self._x):
            raise ValueError(f"{len(self._x)} examples and variants need as many rows, "
                             f"found {len(extra)}")  # fmt: skip
        self._extra = None if extra is None else extra.to(device)
        self._batch_size, self._seed = batch_size, seed
        self.per_epoch = math.ceil(len(self._y) / batch_size)
        self._epoch = -1

    def __call__(self, step: int) -> tuple[Tensor, ...]:
        """Return the examples (batch, steps, inputs) and labels (batch,) of a step, from 0.

        And the rows of `extra`, if it was given.
        """
        epoch, number = divmod(step, self.per_epoch)
        if epoch != self._epoch:
            self._draw(epoch)
        chosen = slice(number * self._batch_size, (number + 1) * self._batch_size)
        x = self._x.index_select(0, self._rows[chosen])
        y = self._y.index_select(0, self._order[chosen])
        if self._extra is None:
            return x, y
        return x, y, self._extra.index_select(0, self._rows[chosen])

    def _draw(self, epoch: int) -> None:
        """Draw the order of the examples in an epoch, and a variant for each."""
        n, device = len(self._y), self._y.device
        order = generator(self._seed, _ORDER, epoch).permutation(n)
        rows = order
        if self._variants:
            drawn = generator(self._seed, _VARIANTS, epoch).integers(self._variants, size=n)
            rows = drawn * n + order
        self._order = torch.from_numpy(order).to(device)
        self._rows = torch.from_numpy(rows).to(device)
        self._epoch = epoch


class OutputDropout(nn.Module):
    """Dropout whose mask is a function of the seed and the step.

    Parameters
    ----------
    p : float
        Probability that an entry is 0; the others are divided by 1 - p.
    seed : int

    Attributes
    ----------
    step : int
        Set it before each training step.

    Examples
    --------
    >>> dropout = OutputDropout(0.5, seed=0)
    >>> first, again = dropout(torch.ones(3, 5)), dropout(torch.ones(3, 5))
    >>> torch.equal(first, again), sorted(set(first.flatten().tolist()))
    (True, [0.0, 2.0])
    >>> torch.equal(dropout.eval()(torch.ones(3, 5)), torch.ones(3, 5))
    True
    """

    def __init__(self, p: float, seed: int) -> None:
        super().__init__()
        self.p, self.seed, self.step = p, seed, 0

    def forward(self, x: Tensor) -> Tensor:
        """Return x with some of its entries 0, in training; x itself otherwise."""
        if not self.training or self.p == 0:
            return x
        bits = generator(self.seed, _DROPOUT, self.step).bit_generator.random_raw()
        random = torch.Generator(x.device)
        random.manual_seed(int(bits) >> 1)
        keep = 1 - self.p
        return x * torch.empty_like(x).bernoulli_(keep, generator=random).div_(keep)


def usable_device(name: str | torch.device) -> torch.device:
    """Return a device, or raise a ValueError if this torch cannot use it.

    Examples
    --------
    >>> usable_device("cpu")
    device(type='cpu')
    """
    try:
        device = torch.device(name)
        torch.empty(0, device=device)
    except (AssertionError, RuntimeError) as error:
        raise ValueError(f"device is {name!r}: {str(error).splitlines()[0]}") from None
    return device


def on_device(part: "Sequences", device: torch.device) -> tuple[Tensor, Tensor]:
    """Return the sequences and labels of a part as tensors."""
    return torch.from_numpy(part.x).to(device), torch.from_numpy(part.y).to(device)


def fingerprint(data: "DataSet") -> str:
    """Return the SHA-256 of all arrays of a data set, as training gets them.

    Parameters
    ----------
    data : DataSet

    Returns
    -------
    str
        64 hexadecimal digits.
    """
    digest = hashlib.sha256()
    arrays = [array for part in (data.train, data.validation, data.test)
              for array in (part.x, part.y)]  # fmt: skip
    if data.variants is not None:
        arrays.append(data.variants)
    for array in arrays:
        digest.update(f"{array.dtype.str}{array.shape}".encode())
        digest.update(np.ascontiguousarray(array).data)
    return digest.hexdigest()
