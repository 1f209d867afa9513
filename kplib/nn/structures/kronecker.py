"""Kronecker: gate matrices that are Kronecker products of two small trained factors, or sums."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import cast

import torch
from torch import Tensor, nn

from kplib._checks import positive_integer
from kplib.nn.structures.base import ALL, Structure, Weight, checked_stacks, stack_spans
from kplib.nn.structures.factors import (
    assign_nearest,
    draw_factors,
    factor_singular_values,
    kron_matrix,
    kron_operator,
    require_size,
    require_terms,
)
from kplib.nn.structures.initial import Initializer, Match, check_initializer, initial_variances
from kplib.shapes import FactorShape, algorithm4, as_factor_shape

GATE = "a gate's matrix, hidden_size x (input_size + hidden_size),"


@dataclass(frozen=True)
class Kronecker(Structure):
    """Gate matrices W = A (x) B, or sums of such products.

    Parameters
    ----------
    shape : FactorShape or sequence of four int, optional
        (m1, n1, m2, n2): A is m1 x n1 and B is m2 x n2. By default `kplib.algorithm4` chooses, as
        the papers did, for a matrix of hidden x (input + hidden).
    terms : int, optional
        How many products, all of this shape, are added up: W = A_1 (x) B_1 + ... + A_k (x) B_k.
    stacked : bool, optional
        False: one product, or sum, for each gate (the papers' way). True: one for all gates that
        multiply the same vector, whose matrices stand one above the other: `shape` then is that of
        (gates * hidden) x (input + hidden).
    init : {"pytorch", "glorot_uniform", "random_normal"}, optional
        The dense initializer that the start is modelled on.
    match : {"variance", "spectral_norm"}, optional
        In what W starts as the dense matrix does: in the variance of its entries, with which the
        largest singular value starts larger (twice for KWS-LSTM); or in that value itself,
        sqrt(variance) * (sqrt(rows) + sqrt(columns)), with which the entries start smaller. The
        derivation: `kplib.nn.structures.initial`.

    Raises
    ------
    ShapeError
        If `shape` is not four positive integers, or `terms` is none; and from ``build`` (so from
        the layer), if A (x) B is not of the size of the matrices, if none is given and Algorithm 4
        is not defined for that size (a one or a prime), or if fewer terms make every matrix.
    ValueError
        If `init` or `match` is not among those above.

    Notes
    -----
    ``terms * gates`` pairs of factors, or one pair for each stack. A stacked product is smaller
    than one for each gate, and its rank bound holds for all gates together.

    Papers: "Compressing RNNs for IoT devices by 15-38x using Kronecker Products", section 3;
    factor shapes by its Algorithm 4.

    Examples
    --------
    >>> from kplib.nn import Kronecker
    >>> weight = Kronecker().build(gates=4, rows=118, columns=128)
    >>> print(weight.shape)
    (59, 8) x (2, 16)
    >>> weight.params == 4 * 504
    True
    >>> Kronecker((2, 2, 59, 64)).build(gates=4, rows=118, columns=128).matrix().shape
    torch.Size([4, 118, 128])
    >>> Kronecker(terms=3).build(gates=4, rows=118, columns=128).params == 3 * 4 * 504
    True

    One product for all four gates:

    >>> weight = Kronecker(stacked=True).build(gates=4, rows=118, columns=128)
    >>> print(weight.shapes[0], weight.params)
    (59, 8) x (8, 16) 600
    """

    shape: FactorShape | Sequence[int] | None = None
    terms: int = field(default=1, kw_only=True)
    stacked: bool = field(default=False, kw_only=True)
    init: Initializer = field(default="pytorch", kw_only=True)
    match: Match = field(default="variance", kw_only=True)

    def __post_init__(self) -> None:
        check_initializer(self.init, self.match)
        object.__setattr__(self, "terms", positive_integer("terms", self.terms))
        if self.shape is not None:
            object.__setattr__(self, "shape", as_factor_shape(self.shape))

    def build(
        self,
        gates: int,
        rows: int,
        columns: int,
        *,
        stacks: Sequence[int] | None = None,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
    ) -> "KroneckerWeight | KroneckerSumWeight | StackedKroneckerWeight":
        """Return a new, initialised weight for gate matrices of rows x columns.

        A `KroneckerWeight`; with ``terms > 1`` a `KroneckerSumWeight`; with ``stacked=True`` a
        `StackedKroneckerWeight`.
        """
        stacks = checked_stacks(gates, stacks)
        if self.stacked:
            shapes = [self._shape(size * rows, columns, size) for size in stacks]
            return StackedKroneckerWeight(
                stacks, shapes, self.terms,
                init=self.init, match=self.match, device=device, dtype=dtype,
            )  # fmt: skip
        cls = KroneckerWeight if self.terms == 1 else KroneckerSumWeight
        return cls(
            gates, self._shape(rows, columns), self.terms, stacks=stacks,
            init=self.init, match=self.match, device=device, dtype=dtype,
        )  # fmt: skip

    def _shape(self, rows: int, columns: int, size: int | None = None) -> FactorShape:
        """Return the checked shape of the product for one gate, or for a stack of `size`."""
        # __post_init__ left nothing but a FactorShape or None
        given = cast("FactorShape | None", self.shape)
        shape = algorithm4(rows, columns) if given is None else given
        what = GATE if size is None else f"the stacked matrix of {size} gates"
        require_size(shape, rows, columns, what)
        require_terms(shape, self.terms)
        return shape


class KroneckerSumWeight(Weight):
    """The trainable weight of `Kronecker` for a sum of products for each gate.

    Parameters
    ----------
    gates : int
        How many gate matrices.
    shape : FactorShape
        The shapes of A and B.
    terms : int, optional
        How many products are added up for each gate.
    stacks : sequence of int, optional
        Gates in a row that are initialised as one kernel; by default all.
    init, match : optional
        As of `Kronecker`.
    device, dtype : optional
        As in `torch.nn`.

    Attributes
    ----------
    A : torch.nn.Parameter, shape (gates, terms, m1, n1)
        The left factors.
    B : torch.nn.Parameter, shape (gates, terms, m2, n2)
        The right factors.
    shape : FactorShape
        The shapes of one product's factors.

    Examples
    --------
    >>> weight = KroneckerSumWeight(4, FactorShape(59, 8, 2, 16), terms=2)
    >>> W = weight.matrix()[0]
    >>> products = [torch.kron(A, B) for A, B in zip(weight.A[0], weight.B[0], strict=True)]
    >>> torch.allclose(W, sum(products), atol=1e-6)
    True
    """

    kind = "kronecker_sum"

    def __init__(
        self,
        gates: int,
        shape: FactorShape,
        terms: int = 1,
        *,
        stacks: Sequence[int] | None = None,
        init: Initializer = "pytorch",
        match: Match = "variance",
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        super().__init__(gates, shape.m, shape.n)
        self.shape = shape
        self.terms = terms
        self.stacks = checked_stacks(gates, stacks)
        self.init = init
        self.match = match
        count = self._count()
        self.A = nn.Parameter(torch.empty(*count, *shape.a_shape, device=device, dtype=dtype))
        self.B = nn.Parameter(torch.empty(*count, *shape.b_shape, device=device, dtype=dtype))
        self.reset_parameters()

    def _count(self) -> tuple[int, ...]:
        """Return the leading axes of the parameters."""
        return self.gates, self.terms

    def _factors(self) -> tuple[Tensor, Tensor]:
        """Return A (gates, terms, m1, n1) and B (gates, terms, m2, n2)."""
        return self.A, self.B

    def reset_parameters(self) -> None:
        """Draw both factors so that W starts as the dense matrix does: see `Kronecker`'s match.

        The factors of a product have equal variance, and the products of a sum share it.
        """
        variances = initial_variances(self.init, self.stacks, self.rows, self.columns)
        A, B = (factor.detach().split(self.stacks) for factor in self._factors())
        for a, b, variance in zip(A, B, variances, strict=True):
            draw_factors(a, b, variance, self.init, self.match)

    def matrix(self) -> Tensor:
        """Return the sums of the A (x) B, shape (gates, m1*m2, n1*n2)."""
        return kron_matrix(*self._factors())

    def operator(self, gates: slice = ALL) -> Callable[[Tensor], Tensor]:
        """Return V (n1*n2, batch) -> W V of shape (gates, m1*m2, batch).

        Every column of V is a matrix X (n1, n2), and the result's column is A X B^T (m1, m2), or
        the sum of all terms'. The cheaper order is taken: A (X B^T) or (A X) B^T
        (`FactorShape.order`).
        """
        A, B = self._factors()
        return kron_operator(self.shape, A[gates], B[gates])

    @property
    def macs(self) -> int:
        """Multiplications of one step of one sequence: gates * terms * shape.macs."""
        return self.gates * self.terms * self.shape.macs

    def singular_values(self) -> Tensor:
        """Return each gate matrix's singular values, (gates, min(rows, columns)).

        Those of A (x) B are all products of one of A's and one of B's, and zeros: with one term no
        matrix is formed. Otherwise as `Weight.singular_values`.
        """
        return self._returned(factor_singular_values(*self._factors()))

    def _assign(self, W: Tensor) -> None:
        assign_nearest(*self._factors(), W)

    def extra_repr(self) -> str:
        """Describe the factors, the stack and its parameters."""
        terms = f"{self.terms} terms " if self.terms > 1 else ""
        return f"{terms}A (x) B with {self.shape}, {self._size()}"


class KroneckerWeight(KroneckerSumWeight):
    """The trainable weight of `Kronecker`: one pair of factors of `shape` for each gate.

    Parameters
    ----------
    gates, shape, terms, stacks, init, match, device, dtype
        As of `KroneckerSumWeight`; `terms` is 1.

    Attributes
    ----------
    A : torch.nn.Parameter, shape (gates, m1, n1)
        The left factors.
    B : torch.nn.Parameter, shape (gates, m2, n2)
        The right factors.
    shape : FactorShape
        The shapes of one gate's factors.

    Examples
    --------
    >>> weight = KroneckerWeight(4, FactorShape(59, 8, 2, 16))
    >>> torch.allclose(weight.matrix()[3], torch.kron(weight.A[3], weight.B[3]))
    True
    """

    kind = "kronecker"

    def _count(self) -> tuple[int, ...]:
        return (self.gates,)

    def _factors(self) -> tuple[Tensor, Tensor]:
        return self.A.unsqueeze(1), self.B.unsqueeze(1)


class StackedKroneckerWeight(Weight):
    """The trainable weight of `Kronecker` with ``stacked=True``: one product for each stack.

    Parameters
    ----------
    stacks : sequence of int
        How many gates each stack has.
    shapes : sequence of FactorShape
        For each stack, of (its gates * rows) x columns.
    terms : int, optional
        How many products are added up for each stack.
    init, match : optional
        As of `Kronecker`.
    device, dtype : optional
        As in `torch.nn`.

    Attributes
    ----------
    A, B : torch.nn.ParameterList
        For each stack, (terms, m1, n1) and (terms, m2, n2).
    shapes : tuple of FactorShape
        As given.

    Examples
    --------
    >>> weight = StackedKroneckerWeight([4], [FactorShape(118, 8, 4, 16)])
    >>> product = torch.kron(weight.A[0][0], weight.B[0][0])
    >>> torch.allclose(weight.matrix().reshape(472, 128), product)
    True
    """

    kind = "stacked_kronecker"

    def __init__(
        self,
        stacks: Sequence[int],
        shapes: Sequence[FactorShape],
        terms: int = 1,
        *,
        init: Initializer = "pytorch",
        match: Match = "variance",
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        super().__init__(sum(stacks), shapes[0].m // stacks[0], shapes[0].n)
        self.stacks = tuple(stacks)
        self.shapes = tuple(shapes)
        self.terms = terms
        self.init = init
        self.match = match
        a, b = (
            [torch.empty(terms, *each, device=device, dtype=dtype) for each in sizes]
            for sizes in ([s.a_shape for s in shapes], [s.b_shape for s in shapes])
        )
        self.A, self.B = nn.ParameterList(a), nn.ParameterList(b)
        self.reset_parameters()

    def _factors(self, stack: int) -> tuple[Tensor, Tensor]:
        """Return A (1, terms, m1, n1) and B (1, terms, m2, n2) of a stack."""
        return self.A[stack].unsqueeze(0), self.B[stack].unsqueeze(0)

    def reset_parameters(self) -> None:
        """Draw the factors so that each stacked matrix starts as the dense one does."""
        variances = initial_variances(self.init, self.stacks, self.rows, self.columns)
        for stack, variance in enumerate(variances):
            A, B = (factor.detach() for factor in self._factors(stack))
            draw_factors(A, B, variance, self.init, self.match)

    def matrix(self) -> Tensor:
        """Return the stacked products, cut into gates: (gates, rows, columns)."""
        stacked = [kron_matrix(*self._factors(k))[0] for k in range(len(self.stacks))]
        return torch.cat(stacked).view(self.gates, self.rows, self.columns)

    def operator(self, gates: slice = ALL) -> Callable[[Tensor], Tensor]:
        """Return V (columns, batch) -> (gates, rows, batch).

        Of a stack whose gates are not all asked for, the whole product is computed, and cut.
        """
        spans = stack_spans(self.stacks, gates)
        operators = [kron_operator(self.shapes[k], *self._factors(k)) for k, _ in spans]
        sizes = [(self.stacks[k], self.rows) for k, _ in spans]

        def multiply(V: Tensor) -> Tensor:
            stacked = (of_stack(V)[0] for of_stack in operators)
            cut = [
                product.unflatten(0, size)[of_stack]
                for product, size, (_, of_stack) in zip(stacked, sizes, spans, strict=True)
            ]
            return cut[0] if len(cut) == 1 else torch.cat(cut)

        return multiply

    @property
    def macs(self) -> int:
        """Multiplications of one step of one sequence: terms * shape.macs of every stack."""
        return self.terms * sum(shape.macs for shape in self.shapes)

    def stacked_singular_values(self) -> Tensor:
        """Return the singular values of the stacked matrix, (min(gates * rows, columns),).

        From the factors if there is one stack; otherwise as `Weight.stacked_singular_values`.
        """
        if len(self.stacks) > 1:
            return super().stacked_singular_values()
        return self._returned(factor_singular_values(*self._factors(0))[0])

    def _assign(self, W: Tensor) -> None:
        for stack, part in enumerate(W.split(self.stacks)):
            assign_nearest(*self._factors(stack), part.flatten(0, 1).unsqueeze(0))

    def extra_repr(self) -> str:
        """Describe the factors, the stacks and their parameters."""
        terms = f"{self.terms} terms " if self.terms > 1 else ""
        shapes = " and ".join(str(shape) for shape in self.shapes)
        return f"{terms}A (x) B with {shapes} for stacks of {self.stacks}, {self._size()}"
