"""Parameters as they are stored: in floats, or in 8 bits with a scale for each matrix."""

import math
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from kplib.errors import DtypeError
from kplib.nn.quantized import symmetric_levels

Weights = Literal["float32", "int8"]
Array = NDArray[np.generic]

LARGEST = 127  # of a symmetric grid of 8 bits, which leaves -128 out


def check_weights(weights: str) -> None:
    """Raise a ValueError unless there is such a way of storing."""
    if weights not in get_args(Weights):
        known = " or ".join(repr(each) for each in get_args(Weights))
        raise ValueError(f"weights is {weights!r}, but must be {known}")


@dataclass(frozen=True)
class Factor:
    """The matrices that a parameter stores, as numbers or as integers and scales.

    Parameters
    ----------
    values : ndarray of float32 or int8, shape (..., rows, columns)
        What is stored.
    scale : ndarray of float32, shape (...,), or None
        One number a matrix: it stands for ``scale * values``. None in float32.
    """

    values: Array
    scale: NDArray[np.float32] | None = None

    def __getitem__(self, index: slice | tuple[slice, ...]) -> "Factor":
        """Return some of the matrices; of a tuple, the last two slices cut rows and columns."""
        leading = index if isinstance(index, slice) else index[: self.values.ndim - 2]
        return Factor(self.values[index], None if self.scale is None else self.scale[leading])

    def terms(self) -> "Factor":
        """Return the matrices (gates, rows, columns) as sums of one term, (gates, 1, ...)."""
        if self.values.ndim == 4:
            return self
        return Factor(self.values[:, None], None if self.scale is None else self.scale[:, None])


def store(parameter: Tensor, weights: Weights) -> Factor:
    """Return a parameter's matrices as they are stored.

    Parameters
    ----------
    parameter : Tensor of float32, shape (..., rows, columns)
        Finite; each matrix of the last two axes has a scale to itself.
    weights : {"float32", "int8"}
        ``"int8"`` is the grid of `kplib.nn.quantized.quantize` with 8 bits.

    Returns
    -------
    Factor

    Examples
    --------
    >>> import torch
    >>> factor = store(torch.tensor([[[-127.0, 0.4, 1.6]]]), "int8")
    >>> factor.values.tolist(), factor.scale.tolist()
    ([[[-127, 0, 2]]], [1.0])
    """
    values = parameter.detach().cpu()
    if weights == "float32":
        return Factor(np.ascontiguousarray(values.numpy()))
    if values.numel() == 0:
        return Factor(values.numpy().astype(np.int8), np.ones(values.shape[:-2], np.float32))
    levels, scale = symmetric_levels(values, LARGEST, shared=2)
    return Factor(levels.to(torch.int8).numpy(), scale[..., 0, 0].numpy())


def product_scale(what: str, *factors: Factor) -> NDArray[np.float32] | None:
    """Return the scale of a product of factors, one number for all; None of numbers as they are.

    Raises
    ------
    DtypeError
        If it is out of float32's range.

    Examples
    --------
    >>> import torch
    >>> A, B = (store(torch.tensor([[[127.0]], [[254.0]]]), "int8") for _ in range(2))
    >>> product_scale("W", A, B).tolist()
    [1.0, 4.0]
    """
    scales = [factor.scale.astype(float) for factor in factors if factor.scale is not None]
    if not scales:
        return None
    scale = np.asarray(math.prod(scales))
    info = np.finfo(np.float32)
    bad = ~((scale >= info.tiny) & (scale <= info.max))
    if bad.any():
        raise DtypeError(
            f"{what}: the product of the factors' scales, {float(scale[bad].flat[0]):.3g}, is out "
            f"of float32's range; balance the factors, or keep float32"
        )
    return scale.astype(np.float32)
