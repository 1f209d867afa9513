"""The values that weights start with: the variance of their entries, their largest singular value.

A structure starts where the dense layer that it replaces would. Its entries w are sums of products
of independent factors of mean 0, so their mean is 0, and their variance s^2 can be made that of a
dense initializer. That alone does not make the matrices alike. The squares of a matrix's singular
values sum up to ||W||_F^2, m n s^2 on average, whatever the structure; but a structure of rank k
has only k of them to share it, so the largest one grows.

A dense m x n matrix of independent entries has a largest singular value of about

.. code-block:: text

    sigma_1 = s (sqrt(m) + sqrt(n)),

which is a bound of its mean for normal entries, and what it tends to (over sqrt(m)) as the matrix
grows, for others. The largest singular value of A (x) B is the product of those of A and B, whose
entries have variances with s_a s_b = s. So with equal variance it is larger by the factor

.. code-block:: text

    (sqrt(m1) + sqrt(n1)) (sqrt(m2) + sqrt(n2))         sqrt(m1 n2) + sqrt(n1 m2)
    -------------------------------------------  =  1 + -------------------------  >  1,
                sqrt(m) + sqrt(n)                           sqrt(m) + sqrt(n)

in the limit. For KWS-LSTM, (59, 8) x (2, 16), that is 2.6; drawn from uniform distributions it is
2.0, since a factor of 2 x 16 is far from the limit. Its energy sits in 16 directions, that of the
dense matrix in 118. ``match="spectral_norm"`` draws the same, then multiplies the factors by what
makes the largest singular value of each matrix exactly s (sqrt(m) + sqrt(n)): the entries of
KWS-LSTM then start half as large.
"""

from collections.abc import Sequence
from typing import Literal, get_args

import torch
from torch import Tensor, nn

Initializer = Literal["pytorch", "glorot_uniform", "random_normal"]
Match = Literal["variance", "spectral_norm"]

RANDOM_NORMAL_STD = 0.1


def check_initializer(init: str, match: str = "variance") -> None:
    """Raise ValueError unless `init` names an initializer, and `match` what it is to match.

    Examples
    --------
    >>> check_initializer("glorot_uniform", "spectral_norm")
    >>> try:
    ...     check_initializer("glorot")
    ... except ValueError as error:
    ...     "glorot_uniform" in str(error)
    True
    """
    for name, value, allowed in (("init", init, Initializer), ("match", match, Match)):
        if value not in get_args(allowed):
            known = ", ".join(repr(each) for each in get_args(allowed))
            raise ValueError(f"{name} is {value!r}, but must be one of {known}")


def initial_variance(init: Initializer, gates: int, rows: int, columns: int) -> float:
    """Return the variance of the entries of a dense gate matrix as it is initialised.

    Parameters
    ----------
    init : {"pytorch", "glorot_uniform", "random_normal"}
        ``"pytorch"``: what `torch.nn.LSTM` does, U(-k, k) with k = 1/sqrt(rows), so variance
        k^2 / 3 = 1 / (3 rows). ``"glorot_uniform"``: U(-k, k) with k = sqrt(6 / (fan_in +
        fan_out)), so variance 2 / (fan_in + fan_out); the fans are those of TensorFlow's kernel,
        which holds the gates of a stack side by side: fan_in = columns, fan_out = gates * rows.
        ``"random_normal"``: N(0, 0.1^2), as EdgeML's FastRNN.
    gates, rows, columns : int
        Size of the stack of gate matrices.

    Returns
    -------
    float
        The variance, larger than 0.

    Examples
    --------
    >>> from kplib.nn.structures import initial_variance
    >>> initial_variance("pytorch", 4, 12, 20) == 1 / 36
    True
    >>> initial_variance("glorot_uniform", 4, 12, 20) == 2 / (20 + 4 * 12)
    True
    """
    check_initializer(init)
    if init == "pytorch":
        return 1 / (3 * rows)
    if init == "glorot_uniform":
        return 2 / (columns + gates * rows)
    return RANDOM_NORMAL_STD**2


def initial_variances(
    init: Initializer, stacks: Sequence[int], rows: int, columns: int
) -> list[float]:
    """Return `initial_variance` of each stack; they differ where the fans do.

    Examples
    --------
    >>> variances = initial_variances("glorot_uniform", [3, 1], 12, 20)
    >>> variances == [initial_variance("glorot_uniform", gates, 12, 20) for gates in (3, 1)]
    True
    """
    return [initial_variance(init, size, rows, columns) for size in stacks]


@torch.no_grad()
def draw(values: Tensor, variance: float, init: Initializer) -> None:
    """Fill a tensor with the initializer's distribution, normal or uniform, of this variance.

    Examples
    --------
    >>> values = torch.empty(200, 300)
    >>> draw(values, 0.04, "glorot_uniform")
    >>> abs(values.var().item() - 0.04) < 0.002
    True
    """
    if init == "random_normal":
        nn.init.normal_(values, std=variance**0.5)
    else:
        bound = (3 * variance) ** 0.5
        nn.init.uniform_(values, -bound, bound)


def dense_spectral_norm(variance: float, rows: int, columns: int) -> float:
    """Return about what a dense random matrix has as its largest singular value.

    Parameters
    ----------
    variance : float
        Of the entries, which are independent and of mean 0.
    rows, columns : int
        Of the matrix.

    Returns
    -------
    float
        sqrt(variance) * (sqrt(rows) + sqrt(columns)). What is drawn lies below it: by 2 per cent
        for 118 x 128, 4 for 40 x 68, 12 for 10 x 12 (uniform entries).

    Examples
    --------
    >>> import torch
    >>> from kplib.nn.structures import dense_spectral_norm
    >>> W = torch.randn(400, 900)
    >>> ratio = torch.linalg.matrix_norm(W, 2) / dense_spectral_norm(1, 400, 900)
    >>> 0.95 < ratio.item() < 1.02
    True
    """
    return variance**0.5 * (rows**0.5 + columns**0.5)


@torch.no_grad()
def scale_pair(U: Tensor, V: Tensor, norms: Tensor, target: float) -> None:
    """Multiply both factors of each of k products alike so that their norms become `target`.

    Parameters
    ----------
    U, V : Tensor
        (k, ...); changed in place.
    norms : Tensor, shape (k,)
        The products' norms as they are.
    target : float
        As they are to be.

    Examples
    --------
    >>> U, V = torch.randn(2, 5, 1), torch.randn(2, 1, 7)
    >>> scale_pair(U, V, torch.linalg.matrix_norm(U @ V, 2), 3.0)
    >>> torch.allclose(torch.linalg.matrix_norm(U @ V, 2), torch.full((2,), 3.0))
    True
    """
    root = (target / norms).sqrt()
    for factor in (U, V):
        factor.mul_(root.to(factor.device, factor.dtype).view(-1, *[1] * (factor.dim() - 1)))
