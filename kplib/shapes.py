"""Factor shapes: which A (m1, n1) and B (m2, n2) multiply out to an m x n matrix, and at what cost.

Row-major throughout: ``y = (A (x) B) x`` is ``Y = A X B^T`` with ``X = x.reshape(n1, n2)``.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

from kplib._checks import positive_integer
from kplib.errors import ShapeError

__all__ = [
    "FactorShape",
    "algorithm4",
    "divisors",
    "factor_shapes",
    "full_rank_shapes",
    "hybrid_shapes",
    "pareto_front",
    "prime_factors",
]


@dataclass(frozen=True, slots=True)
class FactorShape:
    """The shapes of two Kronecker factors, A (m1, n1) and B (m2, n2), and what they cost.

    Parameters
    ----------
    m1, n1 : int
        Rows and columns of A, at least 1.
    m2, n2 : int
        Rows and columns of B, at least 1.

    Raises
    ------
    ShapeError
        If one of the four is not a positive integer.

    Examples
    --------
    The gate matrix of the papers' GRU, 154 x 164:

    >>> shape = FactorShape(14, 4, 11, 41)
    >>> print(shape)
    (14, 4) x (11, 41)
    >>> (shape.m, shape.n, shape.params, shape.macs, shape.rank)
    (154, 164, 507, 2420, 44)
    >>> round(shape.compression, 1) == 49.8
    True
    """

    m1: int
    n1: int
    m2: int
    n2: int

    def __post_init__(self) -> None:
        for name in ("m1", "n1", "m2", "n2"):
            object.__setattr__(self, name, positive_integer(name, getattr(self, name)))

    def __str__(self) -> str:
        return f"{self.a_shape} x {self.b_shape}"

    @property
    def a_shape(self) -> tuple[int, int]:
        """Shape of A, (m1, n1)."""
        return self.m1, self.n1

    @property
    def b_shape(self) -> tuple[int, int]:
        """Shape of B, (m2, n2)."""
        return self.m2, self.n2

    @property
    def m(self) -> int:
        """Rows of A (x) B: m1 * m2."""
        return self.m1 * self.m2

    @property
    def n(self) -> int:
        """Columns of A (x) B: n1 * n2."""
        return self.n1 * self.n2

    @property
    def params(self) -> int:
        """Parameters stored: m1 * n1 + m2 * n2."""
        return self.m1 * self.n1 + self.m2 * self.n2

    @property
    def compression(self) -> float:
        """Parameters of the dense m x n matrix over those of the factors."""
        return self.m * self.n / self.params

    @property
    def macs_b_first(self) -> int:
        """Multiplications of A (X B^T), the papers' (B X) A^T: n1*n2*m2 + n1*m1*m2."""
        return self.n1 * self.m2 * (self.n2 + self.m1)

    @property
    def macs_a_first(self) -> int:
        """Multiplications of (A X) B^T, the papers' B (X A^T): m1*n1*n2 + m1*n2*m2."""
        return self.m1 * self.n2 * (self.n1 + self.m2)

    @property
    def macs(self) -> int:
        """Multiplications of one matrix-vector product in the cheaper order."""
        return min(self.macs_b_first, self.macs_a_first)

    @property
    def order(self) -> Literal["b_first", "a_first"]:
        """Which factor the cheaper order applies first; B where the two cost the same."""
        return "b_first" if self.macs_b_first <= self.macs_a_first else "a_first"

    @property
    def rank(self) -> int:
        """The most that rank(A (x) B) = rank(A) rank(B) can be: min(m1, n1) * min(m2, n2)."""
        return min(self.m1, self.n1) * min(self.m2, self.n2)

    @property
    def full_rank(self) -> bool:
        """Whether A (x) B can have rank min(m, n): both factors wide, or both tall."""
        return self.rank == min(self.m, self.n)


def as_factor_shape(shape: FactorShape | Sequence[int]) -> FactorShape:
    """Return a FactorShape from one, or from four integers (m1, n1, m2, n2).

    Parameters
    ----------
    shape : FactorShape or sequence of four int
        What a user may give where factor shapes are asked for.

    Returns
    -------
    FactorShape
        The same, checked.

    Raises
    ------
    ShapeError
        If it is neither, or one of the four is not a positive integer.

    Examples
    --------
    >>> as_factor_shape((14, 4, 11, 41)) == FactorShape(14, 4, 11, 41)
    True
    """
    if isinstance(shape, FactorShape):
        return shape
    try:
        m1, n1, m2, n2 = shape
    except (TypeError, ValueError):
        raise ShapeError(
            f"shape must be a FactorShape or four integers (m1, n1, m2, n2), found {shape!r}"
        ) from None
    return FactorShape(m1, n1, m2, n2)


def prime_factors(k: int) -> list[int]:
    """Prime factors of k in ascending order, repeated ones repeated; none for 1.

    Parameters
    ----------
    k : int
        A positive integer.

    Returns
    -------
    list of int
        Primes whose product is k.

    Notes
    -----
    Trial division, O(sqrt(k)).

    Examples
    --------
    >>> prime_factors(164) == [2, 2, 41]
    True
    """
    k = positive_integer("k", k)
    factors = []
    divisor = 2
    while divisor * divisor <= k:
        while k % divisor == 0:
            factors.append(divisor)
            k //= divisor
        divisor += 1
    return [*factors, k] if k > 1 else factors


def divisors(k: int) -> list[int]:
    """All positive divisors of k in ascending order.

    Parameters
    ----------
    k : int
        A positive integer.

    Returns
    -------
    list of int
        From 1 to k.

    Notes
    -----
    O(sqrt(k) + d log d) for d divisors.

    Examples
    --------
    >>> divisors(12) == [1, 2, 3, 4, 6, 12]
    True
    """
    found = [1]
    power, previous = 1, 0
    for prime in prime_factors(k):
        if prime != previous:
            below, power, previous = list(found), 1, prime
        power *= prime
        found += [divisor * power for divisor in below]
    return sorted(found)


def factor_shapes(m: int, n: int) -> list[FactorShape]:
    """Every FactorShape of an m x n matrix, the one with the fewest parameters first.

    Works for all sizes, primes and ones included: the dense matrix itself is there twice, as
    (1, 1) x (m, n) and (m, n) x (1, 1). A and B are not interchangeable, so neither are
    (2, 3) x (5, 4) and (5, 4) x (2, 3).

    Parameters
    ----------
    m, n : int
        Rows and columns of the matrix, at least 1.

    Returns
    -------
    list of FactorShape
        d(m) * d(n) shapes, where d counts divisors. Ties in the parameters go to fewer MACs; a
        shape and its mirror image, which cost the same, to the one that multiplies B first.

    Raises
    ------
    ShapeError
        If m or n is not a positive integer.

    See Also
    --------
    full_rank_shapes : those whose product can have full rank.
    pareto_front : those that no other shape beats.
    algorithm4 : the papers' choice.

    Examples
    --------
    >>> len(factor_shapes(154, 164))
    48
    >>> [str(shape) for shape in factor_shapes(2, 3)[:2]]
    ['(2, 1) x (1, 3)', '(1, 3) x (2, 1)']
    >>> all((shape.m, shape.n) == (7, 12) for shape in factor_shapes(7, 12))
    True
    """
    m, n = positive_integer("m", m), positive_integer("n", n)
    columns = divisors(n)
    shapes = [FactorShape(m1, n1, m // m1, n // n1) for m1 in divisors(m) for n1 in columns]
    return sorted(shapes, key=_cheapest_first)


def full_rank_shapes(m: int, n: int) -> list[FactorShape]:
    """Those of `factor_shapes` whose product can have full rank, fewest parameters first.

    rank(A (x) B) = rank(A) rank(B) reaches min(m, n) only if both factors are wide (m1 <= n1 and
    m2 <= n2) or both are tall. The dense matrix, with a factor (1, 1), always qualifies; for some
    sizes nothing else does.

    Parameters
    ----------
    m, n : int
        Rows and columns of the matrix, at least 1.

    Returns
    -------
    list of FactorShape
        At least one.

    Raises
    ------
    ShapeError
        If m or n is not a positive integer.

    Examples
    --------
    Algorithm 4 gives the papers' second GRU layer 462 parameters and rank 121 of 154. A shape with
    fewer parameters has full rank:

    >>> shape = full_rank_shapes(154, 308)[0]
    >>> print(shape, shape.params, shape.rank)
    (14, 14) x (11, 22) 438 154

    For a gate of HAR1 there is only the dense matrix:

    >>> {shape.params for shape in full_rank_shapes(178, 255)} == {178 * 255 + 1}
    True
    """
    return [shape for shape in factor_shapes(m, n) if shape.full_rank]


def pareto_front(m: int, n: int) -> list[FactorShape]:
    """Those of `factor_shapes` that no other shape beats in parameters, rank bound and MACs.

    One shape dominates another if it has no more parameters, no lower a rank bound and no more
    multiplications, and is better in one of the three. The front is what remains; shapes that are
    equal in all three stay together.

    Parameters
    ----------
    m, n : int
        Rows and columns of the matrix, at least 1.

    Returns
    -------
    list of FactorShape
        Fewest parameters first, then the highest rank bound.

    Raises
    ------
    ShapeError
        If m or n is not a positive integer.

    Notes
    -----
    O(s f) comparisons for s shapes and a front of f.

    Examples
    --------
    For the papers' second GRU layer, their shape has fewer multiplications and (14, 14) x (11, 22)
    has fewer parameters and full rank, so both are on the front:

    >>> front = pareto_front(154, 308)
    >>> algorithm4(154, 308) in front and FactorShape(14, 14, 11, 22) in front
    True
    >>> len(front), len(factor_shapes(154, 308))
    (24, 96)
    """

    def cost(shape: FactorShape) -> tuple[int, int, int]:
        return shape.params, -shape.rank, shape.macs

    by_cost: dict[tuple[int, int, int], list[FactorShape]] = {}
    for shape in factor_shapes(m, n):
        by_cost.setdefault(cost(shape), []).append(shape)
    # In ascending order whatever dominates a cost comes before it, so the front so far decides.
    front: list[tuple[int, int, int]] = []
    for candidate in sorted(by_cost):
        _, minus_rank, macs = candidate
        if not any(other[1] <= minus_rank and other[2] <= macs for other in front):
            front.append(candidate)
    return [shape for member in front for shape in by_cost[member]]


def algorithm4(m: int, n: int) -> FactorShape:
    """Return the papers' choice of factor shapes for an m x n matrix.

    Of m and of n take the sorted list of prime factors; while more than two are left, take the
    smallest out, multiply the next smallest by it, and sort. Then A gets the larger of m's pair
    and the smaller of n's, B the other two. The result has few MACs in the order (B X) A^T, but is
    neither the most balanced split (48 gives 4 * 12) nor the one with the fewest parameters, and
    its rank bound is often far below min(m, n).

    Parameters
    ----------
    m, n : int
        Rows and columns of the matrix: in a recurrent layer, per gate, m = hidden size and
        n = input size + hidden size.

    Returns
    -------
    FactorShape
        With m1 >= m2 and n1 <= n2.

    Raises
    ------
    ShapeError
        If m or n is 1 or a prime: the algorithm leaves fewer than two factors. The message names
        what to do instead.

    References
    ----------
    "Compressing RNNs for IoT devices by 15-38x using Kronecker Products" (arXiv:1906.02876),
    algorithm 4; "Pushing the limits of RNN compression", algorithm 2.

    Examples
    --------
    >>> print(algorithm4(154, 164))
    (14, 4) x (11, 41)
    >>> print(algorithm4(48, 48))
    (12, 4) x (4, 12)
    >>> algorithm4(7, 12)  # doctest: +ELLIPSIS
    Traceback (most recent call last):
    kplib.errors.ShapeError: Algorithm 4 is undefined for 7 x 12. m = 7 is a prime: a hybrid ...
    >>> algorithm4(6, 12) == FactorShape(3, 3, 2, 4)
    True
    """
    m, n = positive_integer("m", m), positive_integer("n", n)
    if not (_is_composite(m) and _is_composite(n)):
        raise ShapeError(_advice(m, n))
    small_m, large_m = _two_factors(m)
    small_n, large_n = _two_factors(n)
    return FactorShape(large_m, small_n, small_m, large_n)


def hybrid_shapes(m: int, n: int) -> dict[int, FactorShape]:
    """Return Algorithm 4's shape below each number of dense rows that a hybrid can have.

    A hybrid [D; A (x) B] of m x n with r dense rows D leaves (m - r) x n to the product.

    Parameters
    ----------
    m, n : int
        Rows and columns of the whole matrix.

    Returns
    -------
    dict of int to FactorShape
        By r, ascending from 0 to m - 4 at most. An r that leaves a prime or 1 is not in it. It is
        empty if n is a prime or 1, or m is below 4.

    Raises
    ------
    ShapeError
        If m or n is not a positive integer.

    Notes
    -----
    With r dense rows the hybrid has r*n + ``params`` parameters, r*n + ``macs`` multiplications
    and rank at most min(n, r + ``rank``). Parameters and multiplications are not monotone in r.

    References
    ----------
    "Compressing RNNs for IoT devices by 15-38x using Kronecker Products" (arXiv:1906.02876),
    algorithms 2 and 4.

    Examples
    --------
    >>> shapes = hybrid_shapes(118, 128)
    >>> [shapes[r].params + r * 128 for r in (0, 1, 2)]
    [504, 376, 552]
    >>> 5 in shapes  # 113 is a prime
    False
    >>> hybrid_shapes(118, 127) == {}
    True
    """
    m, n = positive_integer("m", m), positive_integer("n", n)
    if not _is_composite(n):
        return {}
    return {r: algorithm4(m - r, n) for r in range(m) if _is_composite(m - r)}


def _cheapest_first(shape: FactorShape) -> tuple[int, ...]:
    return shape.params, shape.macs, shape.macs_b_first, shape.m1, shape.n1


def _two_factors(k: int) -> list[int]:
    """Algorithm 4's split of a composite number, ascending."""
    factors = prime_factors(k)
    while len(factors) > 2:
        smallest = factors.pop(0)
        factors[0] *= smallest
        factors.sort()
    return factors


def _is_composite(k: int) -> bool:
    return len(prime_factors(k)) >= 2


def _advice(m: int, n: int) -> str:
    """Say what to do where Algorithm 4 is undefined: the text of its error."""
    reasons = [f"Algorithm 4 is undefined for {m} x {n}."]
    if not _is_composite(m):
        reasons.append(_advice_on_rows(m, n))
    if not _is_composite(n):
        reasons.append(_advice_on_columns(m, n))
    reasons.append(f"factor_shapes({m}, {n}) lists every shape.")
    return " ".join(reasons)


def _advice_on_rows(m: int, n: int) -> str:
    """Name, for m = 1 or a prime, the hybrid's nearest r, and A m x n1 with B 1 x n2."""
    left = next((k for k in range(m - 1, 3, -1) if _is_composite(k)), None)
    if left is None:
        hybrid = "no number of dense rows of a hybrid leaves an m that factors"
    else:
        rows = m - left
        dense = "dense row" if rows == 1 else "dense rows"
        hybrid = f"a hybrid with r = {rows} {dense} leaves m - r = {left}"
        if _is_composite(n):
            hybrid += f", and {left} x {n} is {algorithm4(left, n)}"
    text = f"m = {m} is {'a prime' if m > 1 else 'no product'}: {hybrid}; "
    text += f"without a hybrid, A {m} x n1 and B 1 x n2 work"
    if _is_composite(n):
        n1, n2 = _two_factors(n)
        text += f", such as {FactorShape(m, n1, 1, n2)}"
    return text + "."


def _advice_on_columns(m: int, n: int) -> str:
    """Name, for n = 1 or a prime, the nearest n, input sizes and hidden sizes that factor."""
    text = (
        f"n = {n} is {'a prime' if n > 1 else 'no product'}, which no hybrid mends, as its rows "
        f"leave n alone: the nearest n that factors is {_nearest(n, _is_composite)}."
    )
    inputs = n - m
    if inputs < 1:
        return text
    text += f" With hidden size {m} and input size {inputs} as m = {m} and n = {m} + {inputs}: "
    if _is_composite(m):
        sizes = _nearest(inputs, lambda size: _is_composite(m + size))
        text += f"take input size {sizes}, or "
    sizes = _nearest(m, lambda size: _is_composite(size) and _is_composite(size + inputs))
    return f"{text}{'' if _is_composite(m) else 'take '}hidden size {sizes}."


def _nearest(k: int, accept: Callable[[int], bool]) -> str:
    """Name the nearest accepted integers below (if there is one) and above k."""
    below = next((i for i in range(k - 1, 0, -1) if accept(i)), None)
    above = k + 1
    while not accept(above):
        above += 1
    return f"{above}" if below is None else f"{below} or {above}"
