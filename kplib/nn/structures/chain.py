"""KroneckerChain: W_h is the Kronecker product of any number of factors, W_x another structure."""

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from functools import reduce
from typing import Literal, get_args

import torch
from torch import Tensor, nn

from kplib._checks import positive_integer
from kplib.errors import DtypeError, ShapeError
from kplib.kron import cheapest_order
from kplib.nn.structures.base import ALL, Structure, Weight, checked_stacks
from kplib.nn.structures.dense import Dense
from kplib.nn.structures.initial import Initializer, draw, initial_variances
from kplib.nn.structures.spectrum import in_double, singular_values, with_zeros
from kplib.nn.structures.split import ComplexWeight, SplitWeight
from kplib.shapes import divisors, prime_factors

Shapes = tuple[tuple[int, int], ...]
ChainInitializer = Literal["orthogonal"] | Initializer
MOST_SWEEPS = 100  # of alternating least squares; some ten are the rule
COMPLEX_PARTS = (torch.float32, torch.float64)
INITIALIZERS: tuple[str, ...] = ("orthogonal", *get_args(Initializer))


@dataclass(frozen=True)
class KroneckerChain(Structure):
    """Gate matrices [W_x W_h] whose W_h = W_0 (x) W_1 (x) ... (x) W_(F-1), one chain a gate.

    The weights of Kronecker Recurrent Units: a large state costs almost no recurrent parameters,
    and W_h is orthogonal or unitary if every small factor is.

    Parameters
    ----------
    factors : int or sequence of int or (int, int)
        Either how many factors: square ones, whose sizes are larger than 1, multiply out to
        hidden_size, and have the fewest entries, the largest first. Or the factors themselves: P
        for one of P x P, (P, Q) for one of P x Q; the P as well as the Q multiply out to
        hidden_size.
    complex : bool, optional
        Whether the matrices, and with them the state, are complex: for the `RNN` alone.
    init : {"orthogonal", "pytorch", "glorot_uniform", "random_normal"}, optional
        ``"orthogonal"``, the default: every factor a random orthogonal (complex: unitary) matrix.
        Else the dense initializer whose variance the entries of W_h have; why its gain vanishes
        in a long chain: `ChainWeight.reset_parameters`.
    input : Structure, optional
        How W_x is made, shape (gates, hidden, input). Complex: once for its real part and once
        for the imaginary, as if there were twice as many gates.

    Raises
    ------
    ShapeError
        If `factors` is none of these; and from ``build`` (so from the layer), if the factors do not
        multiply out to hidden_size, or it has fewer prime factors than factors are asked for.
    ValueError
        If `init` is not among those above.
    TypeError
        If `input` is no structure.

    Notes
    -----
    The chain is never expanded: the state is a tensor with an axis for each factor, and the
    product is one mode product a factor. F factors of n x n, n^F = N = hidden_size, take F n N
    multiplications a gate instead of N^2, and store F n^2 numbers instead of N^2. "Compressing RNNs
    for IoT devices by 15-38x using Kronecker Products" holds that more than two factors have to be
    expanded; they need not.

    Where factors are not square, W_h is square but not orthogonal: its rank is at most the product
    of the min(P, Q).

    References
    ----------
    Jose, Cisse and Fleuret, "Kronecker Recurrent Units" (arXiv:1705.10142).

    Examples
    --------
    A 256 x 256 matrix of eight 2 x 2 factors:

    >>> import torch
    >>> from kplib.nn import GRU, KroneckerChain, unitary_penalty
    >>> gru = GRU(10, 256, weight=KroneckerChain(8))
    >>> gru.weight.hidden.shapes == ((2, 2),) * 8
    True
    >>> gru.weight.hidden.params == 3 * 32
    True
    >>> unitary_penalty(gru).item() < 1e-9
    True

    Complex, with a complex state:

    >>> from kplib.nn import RNN
    >>> rnn = RNN(10, 24, weight=KroneckerChain([2, 3, 4], complex=True))
    >>> output, h = rnn(torch.randn(25, 100, 10))
    >>> output.dtype, output.shape
    (torch.complex64, torch.Size([25, 100, 24]))
    >>> torch.view_as_real(output).flatten(-2).shape
    torch.Size([25, 100, 48])
    """

    factors: int | Sequence[int | Sequence[int]]
    complex: bool = field(default=False, kw_only=True)
    init: ChainInitializer = field(default="orthogonal", kw_only=True)
    input: Structure = field(default=Dense(), kw_only=True)

    def __post_init__(self) -> None:
        if self.init not in INITIALIZERS:
            known = ", ".join(repr(name) for name in INITIALIZERS)
            raise ValueError(f"init is {self.init!r}, but must be one of {known}")
        if not isinstance(self.input, Structure) or isinstance(self.input, KroneckerChain):
            raise TypeError(
                f"input must be a structure such as Dense() or Kronecker(), found {self.input!r}"
            )
        object.__setattr__(self, "factors", _count_or_shapes(self.factors))

    @property
    def is_complex(self) -> bool:
        """Whether matrices and state are complex."""
        return self.complex

    def shapes(self, hidden_size: int) -> Shapes:
        """Return the (P, Q) of each factor for a state of this size.

        Raises
        ------
        ShapeError
            If it has no such factors.

        Examples
        --------
        >>> from kplib.nn import KroneckerChain
        >>> KroneckerChain(3).shapes(120) == ((6, 6), (5, 5), (4, 4))
        True
        """
        if isinstance(self.factors, int):
            return tuple((n, n) for n in _near_equal(hidden_size, self.factors))
        shapes: Shapes = self.factors  # type: ignore[assignment]  # by __post_init__
        for letter, sizes in zip("PQ", zip(*shapes, strict=True), strict=True):
            if math.prod(sizes) != hidden_size:
                product = " * ".join(str(size) for size in sizes)
                raise ShapeError(
                    f"the {letter} of the factors {_text(shapes)} multiply out to "
                    f"{product} = {math.prod(sizes)}, but hidden_size is {hidden_size}"
                )
        return shapes

    def build(
        self,
        gates: int,
        rows: int,
        columns: int,
        *,
        stacks: Sequence[int] | None = None,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
    ) -> "KroneckerChainWeight":
        """Return a new, initialised `KroneckerChainWeight` of shape (gates, rows, columns).

        `stacks` matters for the initial variance of W_h; the W_x of all gates are one stack, since
        they multiply the same input.
        """
        if columns <= rows:
            raise ShapeError(
                f"{columns} columns leave none for W_x: W_h, {rows} x {rows}, takes {rows} of them"
            )
        if self.complex and (dtype or torch.get_default_dtype()) not in COMPLEX_PARTS:
            known = " or ".join(str(part) for part in COMPLEX_PARTS)
            raise DtypeError(
                f"dtype is {dtype}, but must be {known}: that of the real and imaginary parts"
            )
        shapes, sizes = self.shapes(rows), checked_stacks(gates, stacks)
        variances = None
        if self.init != "orthogonal":
            each = initial_variances(self.init, sizes, rows, columns)
            variances = [v for size, v in zip(sizes, each, strict=True) for _ in range(size)]
        parts = 2 * gates if self.complex else gates
        W_x = self.input.build(parts, rows, columns - rows, device=device, dtype=dtype)
        hidden = ChainWeight(
            gates, shapes, complex=self.complex, init=self.init, variances=variances,
            device=device, dtype=dtype,
        )  # fmt: skip
        return KroneckerChainWeight(ComplexWeight(W_x) if self.complex else W_x, hidden)


class ChainWeight(Weight):
    """A trainable stack of Kronecker products of any number of factors, real or complex.

    Parameters
    ----------
    gates : int
        How many matrices.
    shapes : sequence of (int, int)
        (P_f, Q_f) of each factor; a matrix is (prod P_f) x (prod Q_f).
    complex : bool, optional
        Whether the factors are complex.
    init : {"orthogonal", "pytorch", "glorot_uniform", "random_normal"}, optional
        As of `KroneckerChain`: orthogonal factors, or a distribution of their entries.
    variances : sequence of float, optional
        Variance of the initial entries of each gate's matrix, where `init` is a distribution.
    device, dtype : optional
        As in `torch.nn`; real, for a complex chain too.

    Attributes
    ----------
    values : torch.nn.ParameterList, of shape (gates, P_f, Q_f), or (gates, P_f, Q_f, 2) if complex
        The factors' entries; complex ones as real and imaginary part, so that they train, move
        and save as all other parameters, and count as two.
    shapes : tuple of (int, int)
        (P_f, Q_f) of each factor.

    Examples
    --------
    >>> from kplib.nn.structures import ChainWeight
    >>> weight = ChainWeight(1, [(2, 2)] * 8)
    >>> weight.matrix().shape
    torch.Size([1, 256, 256])
    >>> weight.params == 8 * 2 * 2
    True
    >>> weight.macs == 8 * 2 * 256
    True
    """

    kind = "chain"

    def __init__(
        self,
        gates: int,
        shapes: Iterable[tuple[int, int]],
        *,
        complex: bool = False,
        init: ChainInitializer = "orthogonal",
        variances: Sequence[float] | None = None,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        self.shapes = _checked_shapes(shapes)
        super().__init__(
            gates, math.prod(P for P, _ in self.shapes), math.prod(Q for _, Q in self.shapes)
        )
        self.complex = complex
        self.init: ChainInitializer = init
        self.variances = () if variances is None else tuple(variances)
        if len(self.variances) != (0 if init == "orthogonal" else gates):
            raise ValueError(
                f"init={init!r} needs {0 if init == 'orthogonal' else gates} variances, one for "
                f"each gate that is not orthogonal; found {len(self.variances)}"
            )
        pair = (2,) if complex else ()
        self.values = nn.ParameterList(
            torch.empty(gates, *shape, *pair, device=device, dtype=dtype) for shape in self.shapes
        )
        self.reset_parameters()

    @property
    def is_complex(self) -> bool:
        """Whether the matrices are complex."""
        return self.complex

    @property
    def factors(self) -> list[Tensor]:
        """The factors, shape (gates, P_f, Q_f) each, real or complex; gradients flow through."""
        if self.complex:
            return [torch.view_as_complex(value) for value in self.values]
        return list(self.values)

    def reset_parameters(self) -> None:
        r"""Draw random orthogonal (complex: unitary) factors, or entries of matched variance.

        **Orthogonal** is the default: the Q of the QR decomposition of a Gaussian matrix, its
        columns multiplied by the signs (complex: the phases) of R's diagonal, which makes it
        uniformly distributed (Haar; Mezzadri 2007); of a rectangular factor, the smaller Gram
        matrix is I. The singular values of a product are the products of the factors', so with
        square factors all are 1, and W_h h has the norm of h, however many there are.

        **Matched variance** is what serves two factors. An entry is a product of F independent
        numbers of mean 0, so Var[w] = Var[f_0] Var[f_1] ... Var[f_(F-1)], and the factors get
        Var[w]^(1/F) each; the mean of ``||W_h h||^2`` is then that of the dense matrix. In a chain
        it says little, since the distribution has a heavy tail. The geometric mean of the singular
        values, ``G(W) = |det W|^(1/N)``, multiplies over square factors (det(A (x) B) =
        det(A)^b det(B)^a for sizes a and b):

            log G(W) = log G(W_0) + log G(W_1) + ... + log G(W_(F-1))

        The terms are independent. With entries scaled so that the mean square of a factor's
        singular values is 1 on average, each has a negative mean, by Jensen's inequality: for
        Gaussian 2 x 2 factors (digamma(1/2) + digamma(1)) / 4 = -0.635, for complex ones
        (digamma(1) + digamma(2) - 2 log 2) / 4 = -0.385. So log G falls linearly in F: with
        eight real 2 x 2 factors the typical gain is e^(-5.08) = 0.006 of what the variance
        promises (a dense matrix of any large size: e^(-1/2) = 0.61), and a few rare draws, far
        too large, make up the mean.
        """
        parts = 2 if self.complex else 1
        for value in self.values:
            if self.init == "orthogonal":
                with torch.no_grad():
                    value.copy_(_haar(value, self.complex))
                continue
            for entries, variance in zip(value, self.variances, strict=True):
                draw(entries, variance ** (1 / len(self.shapes)) / parts, self.init)

    def matrix(self) -> Tensor:
        """Return the products, shape (gates, rows, columns), O(rows * columns) a gate."""
        return reduce(_kron, self.factors)

    def operator(self, gates: slice = ALL) -> Callable[[Tensor], Tensor]:
        """Return V (columns, batch) -> (gates, rows, batch), one mode product a factor.

        A column of V is a tensor (Q_0, ..., Q_(F-1)), whose axis f is multiplied by W_f. The
        cheapest of all orders is taken, ascending 1/Q - 1/P, as in `kplib.chain_matvec`. Autograd
        keeps the F intermediate tensors.
        """
        return _mode_products(self.shapes, [factor[gates] for factor in self.factors])

    @property
    def macs(self) -> int:
        """Real multiplications of one step of one sequence: F n N a gate for F factors of n x n.

        A complex multiplication is four real ones.
        """
        sizes = [Q for _, Q in self.shapes]
        total = 0
        for f in cheapest_order(self.shapes):
            total += math.prod(sizes) * self.shapes[f][0]
            sizes[f] = self.shapes[f][0]
        return self.gates * total * (4 if self.complex else 1)

    def singular_values(self) -> Tensor:
        """Return each matrix's singular values, (gates, min(rows, columns)), the largest first.

        They are all products of one singular value of each factor, and zeros if factors are
        rectangular. No matrix is formed: O(sum P Q min(P, Q) + N log N) a gate.
        """
        values = reduce(_kron_vectors, (singular_values(in_double(F)) for F in self.factors))
        values = values.sort(1, descending=True).values
        return self._returned(with_zeros(values, min(self.rows, self.columns)))

    def _assign(self, W: Tensor) -> None:
        """Set the factors to a nearest product: the nearest, up to two factors.

        With more, W with its entries in the order of the factors is a tensor with an axis for
        each, and its nearest tensor of rank one is wanted, which is NP-hard to find (Hillar and
        Lim 2013). Taken is what the leading singular vectors give, one factor after the other,
        improved by alternating least squares until it no longer comes nearer.
        """
        for gate, w in enumerate(W):
            vectors = _rank_one(_by_factors(w, self.shapes))
            for factor, vector in zip(self.factors, vectors, strict=True):
                factor[gate].copy_(vector.view(factor.shape[1:]))

    def unitary_penalty(self) -> Tensor:
        """Return sum ||W_f^H W_f - I||_F^2 over the factors of all gates, differentiable.

        Returns
        -------
        Tensor, without axes
            0 if and only if every factor has orthonormal columns; of one that is wider than high,
            rows, ||W_f W_f^H - I||_F^2: the two differ by Q_f - P_f only, which no training
            changes.

        Notes
        -----
        O(sum of P Q min(P, Q)) multiplications a gate: 64 for eight 2 x 2 factors, where the
        penalty of the 256 x 256 matrix itself would take 256^3, 16.8 million.

        References
        ----------
        "Kronecker Recurrent Units" (arXiv:1705.10142), soft unitary constraints.
        """
        return torch.stack([_gram_distance(factor) for factor in self.factors]).sum()

    def extra_repr(self) -> str:
        """Describe the factors, the stack and its parameters."""
        kind = "complex, " if self.complex else ""
        return f"{_text(self.shapes)}, {kind}{self._size()}"


class KroneckerChainWeight(SplitWeight):
    """The trainable weight of `KroneckerChain`.

    Attributes
    ----------
    input : Weight
        Makes W_x.
    hidden : ChainWeight
        Makes W_h: ``shapes``, ``factors``, ``singular_values()``.

    Examples
    --------
    >>> from kplib.nn import RNN, KroneckerChain
    >>> weight = RNN(10, 64, weight=KroneckerChain(6)).weight
    >>> weight.hidden.rows, weight.matrix().shape
    (64, torch.Size([1, 64, 74]))
    """

    kind = "kronecker_chain"
    hidden: ChainWeight

    def __init__(self, input: Weight, hidden: ChainWeight) -> None:
        super().__init__(input, hidden)

    @property
    def shapes(self) -> Shapes:
        """(P, Q) of each factor of W_h."""
        return self.hidden.shapes

    def unitary_penalty(self) -> Tensor:
        """Return how far the factors of W_h are from unitary: `ChainWeight.unitary_penalty`."""
        return self.hidden.unitary_penalty()


def unitary_penalty(module: nn.Module) -> Tensor:
    """Sum how far all Kronecker chains in a module are from unitary, to be added to the loss.

    Parameters
    ----------
    module : torch.nn.Module
        A layer, or a whole network, with `KroneckerChain` weights.

    Returns
    -------
    Tensor, without axes
        The sum of ||W_f^H W_f - I||_F^2 over all factors, gates, layers and directions;
        differentiable. See `ChainWeight.unitary_penalty`.

    Raises
    ------
    ValueError
        If there is no chain in it.

    Examples
    --------
    >>> import torch
    >>> from kplib.nn import RNN, KroneckerChain, unitary_penalty
    >>> rnn = RNN(3, 8, weight=KroneckerChain([(2, 2), (4, 4)]))
    >>> with torch.no_grad():
    ...     _ = rnn.weight.hidden.values[0].mul_(2)  # (4 - 1)^2 for both singular values
    >>> round(unitary_penalty(rnn).item(), 3) == 18
    True
    """
    chains = [m for m in module.modules() if isinstance(m, ChainWeight)]
    if not chains:
        raise ValueError(
            f"{type(module).__name__} has no KroneckerChain weight whose factors could be unitary"
        )
    return torch.stack([chain.unitary_penalty() for chain in chains]).sum()


def _mode_products(shapes: Shapes, factors: list[Tensor]) -> Callable[[Tensor], Tensor]:
    """Multiply axis f of V, as a tensor (Q_0, ..., Q_(F-1), batch), by each gate's factor f."""
    gates = len(factors[0])
    sizes = [Q for _, Q in shapes]
    plan: list[tuple[Tensor, int]] = []  # a factor, and the size of what is right of its axis
    for f in cheapest_order(shapes):
        P, Q = shapes[f]
        left, right = math.prod(sizes[:f]), math.prod(sizes[f + 1 :])
        if plan:  # each gate has its own tensor: its factor, once for all left of the axis
            F = factors[f].unsqueeze(1).expand(-1, left, -1, -1).reshape(gates * left, P, Q)
        else:  # the gates share V: one product with their factors on top of each other
            F = factors[f].reshape(1, gates * P, Q).expand(left, -1, -1)
        plan.append((F, right))
        sizes[f] = P
    (first, right), *rest = plan
    rows = math.prod(sizes)

    def multiply(V: Tensor) -> Tensor:
        batch = V.shape[-1]
        X = torch.bmm(first, V.reshape(len(first), first.shape[2], right * batch))
        X = X.unflatten(1, (gates, -1)).transpose(0, 1)
        for F, R in rest:
            X = torch.bmm(F, X.reshape(len(F), F.shape[2], R * batch))
        return X.reshape(gates, rows, batch)

    return multiply


def _kron(A: Tensor, B: Tensor) -> Tensor:
    """Return A (x) B of each gate, (gates, m1 * m2, n1 * n2)."""
    product = A[:, :, None, :, None] * B[:, None, :, None, :]
    return product.reshape(len(A), A.shape[1] * B.shape[1], A.shape[2] * B.shape[2])


def _kron_vectors(a: Tensor, b: Tensor) -> Tensor:
    return (a[:, :, None] * b[:, None, :]).flatten(1)


def _gram_distance(F: Tensor) -> Tensor:
    """Return ||F^H F - I||_F^2 summed over the gates, with the smaller of the Gram matrices."""
    gram = F.mH @ F if F.shape[1] >= F.shape[2] else F @ F.mH
    distance = gram - torch.eye(gram.shape[1], device=F.device, dtype=F.dtype)
    return (distance * distance.conj()).real.sum()


def _haar(value: Tensor, complex: bool) -> Tensor:
    """Draw orthonormal columns, or rows if those are fewer, in the form that `value` has."""
    gates, P, Q = value.shape[:3]
    real = torch.float64 if value.dtype == torch.float64 else torch.float32
    dtype = real.to_complex() if complex else real
    gaussian = torch.randn(gates, max(P, Q), min(P, Q), device=value.device, dtype=dtype)
    orthonormal, R = torch.linalg.qr(gaussian)
    orthonormal = orthonormal * torch.sgn(R.diagonal(dim1=1, dim2=2)).unsqueeze(1)
    matrices = orthonormal if P >= Q else orthonormal.mT
    return torch.view_as_real(matrices.contiguous()) if complex else matrices


def _by_factors(W: Tensor, shapes: Shapes) -> Tensor:
    """Return W with its entries in the order of the factors, (P_0 Q_0, ..., P_(F-1) Q_(F-1)).

    Of a Kronecker product it is the outer product of the factors, each flattened.
    """
    count = len(shapes)
    rows, columns = zip(*shapes, strict=True)
    pairs = [axis for f in range(count) for axis in (f, count + f)]
    return W.reshape(*rows, *columns).permute(pairs).reshape([P * Q for P, Q in shapes])


def _rank_one(T: Tensor) -> list[Tensor]:
    """Return vectors of equal norm, one for each axis, whose outer product is near to T."""
    units, rest = [], T
    for size in T.shape[:-1]:
        U, _, Vh = torch.linalg.svd(rest.reshape(size, -1), full_matrices=False)
        units.append(U[:, 0])
        rest = Vh[0]
    units.append(rest.reshape(T.shape[-1]))
    norm, last = torch.linalg.vector_norm(T), -1.0
    for _ in range(MOST_SWEEPS if T.dim() > 2 else 1):
        for f in range(T.dim()):
            best = _without(T, units, f)  # least squares: the others are of norm 1
            norm = torch.linalg.vector_norm(best)
            if norm == 0:
                return [torch.zeros_like(u) for u in units]
            units[f] = best / norm
        if norm <= last * (1 + 1e-12):
            break
        last = float(norm)
    return [u * norm ** (1 / T.dim()) for u in units]


def _without(T: Tensor, units: list[Tensor], axis: int) -> Tensor:
    """Return the inner product of T with the outer product of all units but that of one axis."""
    for f in range(T.dim() - 1, axis, -1):
        T = T @ units[f].conj()
    for f in range(axis):
        T = units[f].conj() @ T.reshape(len(units[f]), -1)
    return T.reshape(-1)


def _count_or_shapes(factors: object) -> int | Shapes:
    """Return how many factors, or their (P, Q); a ShapeError if it is neither."""
    if isinstance(factors, Iterable) and not isinstance(factors, str):
        return _checked_shapes(factors)
    try:
        return positive_integer("factors", factors)
    except ShapeError as error:
        raise ShapeError(
            f"factors must be a number of factors, or a sequence of sizes P or pairs (P, Q), "
            f"found {factors!r}"
        ) from error


def _checked_shapes(factors: Iterable[object]) -> Shapes:
    """Return the (P, Q) of each factor, with (P, P) for P; a ShapeError if one is neither."""
    shapes = []
    for f, factor in enumerate(factors):
        pair = tuple(factor) if isinstance(factor, Iterable) else (factor, factor)
        if len(pair) != 2:
            raise ShapeError(f"factor {f} must be a size P or a pair (P, Q), found {factor!r}")
        P, Q = (
            positive_integer(f"{letter} of factor {f}", size)
            for letter, size in zip("PQ", pair, strict=True)
        )
        shapes.append((P, Q))
    if not shapes:
        raise ShapeError("factors must be at least 1, found none")
    return tuple(shapes)


def _near_equal(size: int, count: int) -> list[int]:
    """Split size into factors > 1, the largest first, whose squares have the smallest sum."""
    primes = prime_factors(size)
    if count > max(1, len(primes)):
        product = " * ".join(str(p) for p in primes) or "1"
        raise ShapeError(
            f"hidden_size {size} = {product} has {len(primes)} prime "
            f"factor{'' if len(primes) == 1 else 's'}, so it is no product of {count} factors "
            f"larger than 1; ask for fewer, or take another hidden_size, such as {2**count}"
        )
    return min(_products(size, count), key=lambda sizes: sum(n * n for n in sizes))


def _products(size: int, count: int, most: int | None = None) -> Iterable[list[int]]:
    """Yield all ways to write size as a product of `count` factors > 1, none larger than most."""
    most = size if most is None else most
    if count == 1:
        if size <= most:
            yield [size]
        return
    for first in divisors(size):
        if 1 < first <= most and first**count >= size:
            for rest in _products(size // first, count - 1, first):
                if rest[-1] > 1:
                    yield [first, *rest]


def _text(shapes: Shapes) -> str:
    return " (x) ".join(str(shape) for shape in shapes)
