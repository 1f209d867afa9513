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
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch

from kplib.engine import reference
from kplib.kernels.program import cpp_scalar
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


def joint(weight: Weight, gates: slice = ALL) -> Part:
    """Return the product W [x; h] of these gates, one above the other.

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
    return _JOINT[kind](weight, gates)


def apart(weight: Weight, inputs: int) -> Part:
    """Return r, z, W_n [x; 0] and W_n [0; h], as a GRU wants them that resets the product."""
    kind = type(weight)
    if isinstance(weight, SplitWeight):
        return _apart_split(joint(weight.input), joint(weight.hidden), inputs)
    if kind in (DenseWeight, SparseWeight):
        W = weight.matrix().detach()
        dense = _dense if kind is DenseWeight else _sparse
        return _apart_split(dense(W[..., :inputs]), dense(W[..., inputs:]), inputs)
    if kind in (KroneckerWeight, KroneckerSumWeight, HybridWeight):
        reset_update, candidate = joint(weight, slice(0, 2)), joint(weight, slice(2, 3))
        return _part(
            "ApartGates", [inputs, reset_update.cpp_type, candidate.cpp_type],
            (*reset_update.operands, *candidate.operands), reset_update.macs + 2 * candidate.macs,
            reference.apart_gates(
                reset_update.reference, len(reset_update.operands), candidate.reference, inputs
            ),
        )  # fmt: skip
    whole = joint(weight)
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
    scalar = cpp_scalar(operands[0].dtype)
    return Part(
        f"kplib::{name}<{', '.join(map(str, [scalar, *arguments]))}>", operands, macs, product
    )


def _apart_split(of_x: Part, of_h: Part, inputs: int) -> Part:
    return _part(
        "ApartSplit", [inputs, of_x.cpp_type, of_h.cpp_type],
        (*of_x.operands, *of_h.operands), of_x.macs + of_h.macs,
        reference.apart_split(of_x.reference, len(of_x.operands), inputs, of_h.reference),
    )  # fmt: skip


def _dense(W: torch.Tensor) -> Part:
    """Of W (gates, hidden, columns)."""
    stacked = as_array(W.flatten(0, 1))
    m, n = stacked.shape
    return _part("Dense", [m, n], (stacked,), m * n, reference.dense)


def _sparse(W: torch.Tensor) -> Part:
    stacked = as_array(W.flatten(0, 1))
    m, n = stacked.shape
    in_row = np.sort(np.count_nonzero(stacked, axis=1))[::-1]
    stored = SLICE_ROWS * int(in_row[::SLICE_ROWS].sum())
    return _part(
        "Sparse", [m, n, stored], (stacked,), int(in_row.sum()), reference.dense,
    )  # fmt: skip


def _kron(A: torch.Tensor, B: torch.Tensor, macs: int) -> Part:
    """Of A (gates, terms, m1, n1) and B (gates, terms, m2, n2)."""
    operands = (as_array(A), as_array(B))
    sizes = [*A.shape, *B.shape[2:]]
    return _part("KronGates", sizes, operands, macs, reference.kron_gates)


def _joint_dense(weight: DenseWeight, gates: slice) -> Part:
    return _dense(weight.matrix().detach()[gates])


def _joint_sparse(weight: SparseWeight, gates: slice) -> Part:
    return _sparse(weight.matrix().detach()[gates])


def _joint_kronecker(weight: KroneckerSumWeight, gates: slice) -> Part:
    A, B = (factor[gates] for factor in weight._factors())
    return _kron(A, B, A.shape[0] * A.shape[1] * weight.shape.macs)


def _joint_stacked(weight: StackedKroneckerWeight, gates: slice) -> Part:
    ((stack, of_stack),) = stack_spans(weight.stacks, gates)
    A, B = weight._factors(stack)
    whole = _kron(A, B, weight.terms * weight.shapes[stack].macs)
    first, stop, _ = of_stack.indices(weight.stacks[stack])
    if stop - first == weight.stacks[stack]:
        return whole
    rows = slice(first * weight.rows, stop * weight.rows)
    return _part(
        "SliceGates", [rows.start, rows.stop - rows.start, whole.cpp_type], whole.operands,
        whole.macs, reference.slice_gates(whole.reference, rows),
    )  # fmt: skip


def _joint_hybrid(weight: HybridWeight, gates: slice) -> Part:
    D, A, B = weight.D[gates], weight.A[gates], weight.B[gates]
    count, r, n = D.shape
    if r == 0:
        return _kron(A.unsqueeze(1), B.unsqueeze(1), count * weight.shape.macs)
    return _part(
        "HybridGates", [count, r, *A.shape[1:], *B.shape[1:]],
        (as_array(D), as_array(A), as_array(B)), count * (r * n + weight.shape.macs),
        reference.hybrid_gates,
    )  # fmt: skip


def _joint_low_rank(weight: LowRankWeight, gates: slice) -> Part:
    spans = stack_spans(weight.stacks, gates)
    U = weight.U[gates]
    V = torch.stack([weight.V[stack] for stack, _ in spans])
    stacked = U.reshape(len(spans), -1, weight.rank)  # all spans have as many gates
    sizes = [*stacked.shape[:2], V.shape[2], weight.rank]
    return _part(
        "LowRankGates", sizes, (as_array(stacked), as_array(V)), U.numel() + V.numel(),
        reference.low_rank_gates,
    )  # fmt: skip


def _joint_chain(weight: ChainWeight, gates: slice) -> Part:
    factors = [factor[gates] for factor in weight.factors]
    count = factors[0].shape[0]
    sizes = [Q for _, Q in weight.shapes]
    modes = []
    for f in cheapest_order(weight.shapes):
        left, right = int(np.prod(sizes[:f])), int(np.prod(sizes[f + 1 :]))
        P, Q = weight.shapes[f]
        scalar = cpp_scalar(as_array(factors[f]).dtype)
        modes.append(f"kplib::ModeProduct<{scalar}, {f}, {left}, {P}, {Q}, {right}>")
        sizes[f] = P
    return _part(
        "ChainGates", [count, weight.columns, *modes], tuple(map(as_array, factors)),
        count * weight.macs // weight.gates, reference.chain_gates,
    )  # fmt: skip


def _joint_split(weight: SplitWeight, gates: slice) -> Part:
    of_x, of_h = joint(weight.input, gates), joint(weight.hidden, gates)
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
