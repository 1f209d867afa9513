"""From a weight to the compiled product of its gates: the best form for one sequence at a time.

=====================  ===========================================================================
weight                 compiled as
=====================  ===========================================================================
Dense                  the gates one above the other, vectors down the rows
Kronecker              for each gate, in the cheaper order; what acts on x first is stacked, so
                       that all gates share it; the terms of a sum, too
Kronecker, stacked     one product for the stack
Hybrid                 the dense rows of all gates stacked; the rest as of Kronecker
LowRank                V x of all stacks as one dense product, then U, one dense product a stack
Sparse                 sliced ELLPACK: rows of the stacked matrix sorted by their entries, in slices
                       of 4 that are summed as one vector (``sparse.hpp``, with what it was measured
                       against); the dense product where that is less work
KroneckerChain         one mode product a factor and gate; W_x as its own structure says
=====================  ===========================================================================

Of weights in 8 bits: a product is linear in every factor, so that the factors are multiplied as
whole numbers, and each gate's result by the product of their scales. Only sums of Kronecker
products have a scale for each term, which is multiplied before they are added.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch

from kplib.engine import reference
from kplib.engine.stored import Array, Factor, Weights, product_scale, store
from kplib.kernels.program import cpp_format
from kplib.kron import cheapest_order
from kplib.nn.structures import (
    ChainWeight,
    DenseWeight,
    HybridWeight,
    KroneckerChainWeight,
    KroneckerSumWeight,
    KroneckerWeight,
    LowRankWeight,
    SparseWeight,
    SplitWeight,
    StackedKroneckerWeight,
    Weight,
)
from kplib.nn.structures.base import stack_spans

SLICE_ROWS = 4
"""Rows of a slice of a sparse matrix, as in ``sparse.hpp``."""

ALL = slice(None)


@dataclass(frozen=True)
class Part:
    """A part of a program: its C++ type, what it is packed from, and the same in NumPy."""

    cpp_type: str
    operands: tuple[np.ndarray, ...]
    macs: int
    reference: reference.Product


def as_array(tensor: torch.Tensor) -> np.ndarray:
    """Return the entries as an array of its own."""
    return np.array(tensor.detach().cpu().numpy(), order="C")


def joint(weight: Weight, gates: slice = ALL, *, weights: Weights = "float32") -> Part:
    """Return the product W [x; h] of these gates, one above the other.

    `weights` says how they are stored; ``"float32"``: in the floats that they are.

    Raises
    ------
    TypeError
        If the weight is complex, or of a kind that has no compiled form.
    """
    kind = type(weight)
    if kind not in _JOINT:
        raise TypeError(
            f"compile has no form for weights of kind {weight.kind!r}"
            + (", which are complex" if weight.is_complex else "")
        )
    if weight.is_complex:
        raise TypeError(f"compile takes real weights, but kind {weight.kind!r} is complex")
    return _JOINT[kind](weight, gates, weights)


def apart(weight: Weight, inputs: int, *, weights: Weights = "float32") -> Part:
    """Return r, z, W_n [x; 0] and W_n [0; h], as a GRU wants them that resets the product."""
    kind = type(weight)
    if isinstance(weight, SplitWeight):
        of_x, of_h = (joint(part, weights=weights) for part in (weight.input, weight.hidden))
        return _apart_split(of_x, of_h, inputs)
    if kind in (DenseWeight, SparseWeight):
        W = store(weight.matrix(), weights)
        dense = _dense if kind is DenseWeight else _sparse
        return _apart_split(dense(W[:, :, :inputs]), dense(W[:, :, inputs:]), inputs)
    if kind in (KroneckerWeight, KroneckerSumWeight, HybridWeight):
        reset_update, candidate = (
            joint(weight, gates, weights=weights) for gates in (slice(0, 2), slice(2, 3))
        )
        return _part(
            "ApartGates", [inputs, reset_update.cpp_type, candidate.cpp_type],
            (*reset_update.operands, *candidate.operands), reset_update.macs + 2 * candidate.macs,
            reference.apart_gates(
                reset_update.reference, len(reset_update.operands), candidate.reference, inputs
            ),
        )  # fmt: skip
    whole = joint(weight, weights=weights)
    return _part(
        "ApartWhole", [inputs, whole.cpp_type], whole.operands, 2 * whole.macs,
        reference.apart_whole(whole.reference, inputs),
    )  # fmt: skip


def _part(
    name: str,
    arguments: list[int | str],
    operands: tuple[np.ndarray, ...],
    macs: int,
    product: reference.Product,
) -> Part:
    form = cpp_format(operands[0].dtype)
    return Part(
        f"kplib::{name}<{', '.join(map(str, [form, *arguments]))}>", operands, macs, product
    )


def _own(values: Array, *shape: int) -> np.ndarray:
    """Return values as an array of their own, which training does not reach."""
    return np.array(values.reshape(shape) if shape else values, order="C")


def _scaled(part: Part, scale: np.ndarray | None) -> Part:
    """Return the product with a scale for each of its equal groups of rows, if there are any."""
    if scale is None:
        return part
    return _part(
        "Scaled", [len(scale), part.cpp_type], (*part.operands, scale), part.macs,
        reference.scaled(part.reference, len(scale)),
    )  # fmt: skip


def _apart_split(of_x: Part, of_h: Part, inputs: int) -> Part:
    return _part(
        "ApartSplit", [inputs, of_x.cpp_type, of_h.cpp_type],
        (*of_x.operands, *of_h.operands), of_x.macs + of_h.macs,
        reference.apart_split(of_x.reference, len(of_x.operands), inputs, of_h.reference),
    )  # fmt: skip


def _dense(W: Factor) -> Part:
    """Of W (gates, hidden, columns)."""
    gates, hidden, n = W.values.shape
    stacked = _own(W.values, gates * hidden, n)
    return _scaled(
        _part("Dense", [*stacked.shape], (stacked,), stacked.size, reference.dense), W.scale
    )


def _sparse(W: Factor) -> Part:
    gates, hidden, n = W.values.shape
    stacked = _own(W.values, gates * hidden, n)
    in_row = np.sort(np.count_nonzero(stacked, axis=1))[::-1]
    stored = SLICE_ROWS * int(in_row[::SLICE_ROWS].sum())
    part = _part("Sparse", [*stacked.shape, stored], (stacked,), int(in_row.sum()), reference.dense)
    return _scaled(part, W.scale)


def _kron(A: Factor, B: Factor, macs: int) -> Part:
    """Of A (gates, terms, m1, n1) and B (gates, terms, m2, n2)."""
    sizes = [*A.values.shape, *B.values.shape[2:]]
    operands = (_own(A.values), _own(B.values))
    scale = product_scale("a Kronecker product", A, B)
    if scale is None:
        return _part("KronGates", sizes, operands, macs, reference.kron_gates)
    return _part("KronGates", sizes, (*operands, scale), macs, reference.scaled_kron_gates)


def _joint_dense(weight: DenseWeight, gates: slice, weights: Weights) -> Part:
    return _dense(store(weight.matrix(), weights)[gates])


def _joint_sparse(weight: SparseWeight, gates: slice, weights: Weights) -> Part:
    return _sparse(store(weight.matrix(), weights)[gates])


def _joint_kronecker(weight: KroneckerSumWeight, gates: slice, weights: Weights) -> Part:
    A, B = (store(factor, weights)[gates] for factor in weight._factors())
    count, terms = A.values.shape[:2]
    return _kron(A, B, count * terms * weight.shape.macs)


def _joint_stacked(weight: StackedKroneckerWeight, gates: slice, weights: Weights) -> Part:
    ((stack, of_stack),) = stack_spans(weight.stacks, gates)
    A, B = (store(factor, weights) for factor in weight._factors(stack))
    whole = _kron(A, B, weight.terms * weight.shapes[stack].macs)
    first, stop, _ = of_stack.indices(weight.stacks[stack])
    if stop - first == weight.stacks[stack]:
        return whole
    rows = slice(first * weight.rows, stop * weight.rows)
    return _part(
        "SliceGates", [rows.start, rows.stop - rows.start, whole.cpp_type], whole.operands,
        whole.macs, reference.slice_gates(whole.reference, rows),
    )  # fmt: skip


def _joint_hybrid(weight: HybridWeight, gates: slice, weights: Weights) -> Part:
    D, A, B = (store(factor, weights)[gates] for factor in (weight.D, weight.A, weight.B))
    count, r, n = D.values.shape
    if r == 0:
        return _kron(A.terms(), B.terms(), count * weight.shape.macs)
    sizes = [count, r, *A.values.shape[1:], *B.values.shape[1:]]
    operands = tuple(_own(factor.values) for factor in (D, A, B))
    product, scale = reference.hybrid_gates, product_scale("a hybrid's Kronecker product", A, B)
    if D.scale is not None and scale is not None:
        operands = (operands[0], D.scale, *operands[1:], scale[:, None])
        product = reference.scaled_hybrid_gates
    macs = count * (r * n + weight.shape.macs)
    return _part("HybridGates", sizes, operands, macs, product)


def _joint_low_rank(weight: LowRankWeight, gates: slice, weights: Weights) -> Part:
    spans = stack_spans(weight.stacks, gates)
    U, V = store(weight.U, weights)[gates], store(weight.V, weights)
    V = V[slice(spans[0][0], spans[-1][0] + 1)]
    stacked = _own(U.values, len(spans), -1, weight.rank)  # all spans have as many gates
    sizes = [*stacked.shape[:2], V.values.shape[2], weight.rank]
    macs = U.values.size + V.values.size
    part = _part("LowRankGates", sizes, (stacked, _own(V.values)), macs, reference.low_rank_gates)
    if V.scale is not None:  # one for each gate, as U has
        V = Factor(V.values, np.repeat(V.scale, len(U.values) // len(spans)))
    return _scaled(part, product_scale("a low-rank product", U, V))


def _joint_chain(weight: ChainWeight, gates: slice, weights: Weights) -> Part:
    factors = [store(factor, weights)[gates] for factor in weight.factors]
    count = factors[0].values.shape[0]
    form = cpp_format(factors[0].values.dtype)
    sizes = [Q for _, Q in weight.shapes]
    modes = []
    for f in cheapest_order(weight.shapes):
        left, right = int(np.prod(sizes[:f])), int(np.prod(sizes[f + 1 :]))
        P, Q = weight.shapes[f]
        modes.append(f"kplib::ModeProduct<{form}, {f}, {left}, {P}, {Q}, {right}>")
        sizes[f] = P
    part = _part(
        "ChainGates", [count, weight.columns, *modes],
        tuple(_own(factor.values) for factor in factors),
        count * weight.macs // weight.gates, reference.chain_gates,
    )  # fmt: skip
    return _scaled(part, product_scale("a chain of factors", *factors))


def _joint_split(weight: SplitWeight, gates: slice, weights: Weights) -> Part:
    of_x, of_h = (joint(part, gates, weights=weights) for part in (weight.input, weight.hidden))
    return _part(
        "SplitGates", [of_x.cpp_type, of_h.cpp_type],
        (*of_x.operands, *of_h.operands), of_x.macs + of_h.macs,
        reference.split_gates(
            of_x.reference, len(of_x.operands), weight.input.columns, of_h.reference
        ),
    )  # fmt: skip


_JOINT: dict[type[Weight], Callable[..., Part]] = {
    DenseWeight: _joint_dense,
    SparseWeight: _joint_sparse,
    KroneckerWeight: _joint_kronecker,
    KroneckerSumWeight: _joint_kronecker,
    StackedKroneckerWeight: _joint_stacked,
    HybridWeight: _joint_hybrid,
    LowRankWeight: _joint_low_rank,
    ChainWeight: _joint_chain,
    SplitWeight: _joint_split,
    KroneckerChainWeight: _joint_split,
}
