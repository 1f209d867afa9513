"""Gate products in C: of each weight structure, what is computed of a vector, and one entry of W v.

A product is two functions. ``prepare(v, z)`` leaves in z all that the entries need of v: the first
factor's product with v, a few numbers where the second factor is tall. ``row(gate, k, z)`` is then
one entry. A cell so takes its gates entry by entry, and writes its new state over the old one:
there is no buffer for the gates. Where a matrix is stored entry by entry (Dense, Sparse) there is
nothing to prepare, and ``row(gate, k, v)`` reads v itself.
"""

from collections.abc import Sequence

import numpy as np

from kplib.engine.c_chain import chain_product
from kplib.engine.c_code import Product, gate_index, gate_parameter, nested
from kplib.engine.c_pairs import pairs_product
from kplib.engine.c_tables import Constants, render, shape_text
from kplib.engine.stored import Factor, product_scale, store
from kplib.nn.structures import (
    ChainWeight,
    DenseWeight,
    HybridWeight,
    KroneckerSumWeight,
    KroneckerWeight,
    LowRankWeight,
    SparseWeight,
    StackedKroneckerWeight,
    Weight,
)
from kplib.nn.structures.sparse import COLUMN_BITS

FORMS = (
    DenseWeight,
    SparseWeight,
    KroneckerWeight,
    KroneckerSumWeight,
    StackedKroneckerWeight,
    HybridWeight,
    LowRankWeight,
    ChainWeight,
)

HELPERS = {
    "dot": """
        /* w[0] v[0] + ... + w[n-1] v[n-1] */
        static float dot(const $type *w, const float *v, int n)
        {
            float sum = 0.0f;
            for (int i = 0; i < n; i++)
                sum += $read(w + i) * v[i];
            return sum;
        }
        """,
    "dot_stride": """
        /* w[0] v[0] + w[1] v[stride] + ... + w[n-1] v[(n-1) stride] */
        static float dot_stride(const $type *w, const float *v, int stride, int n)
        {
            float sum = 0.0f;
            for (int i = 0; i < n; i++)
                sum += $read(w + i) * v[i * stride];
            return sum;
        }
        """,
}


def can_slice_at(weight: Weight, gate: int) -> bool:
    """Whether the gates before and from this one on share no factor."""
    if isinstance(weight, StackedKroneckerWeight | LowRankWeight):
        starts = np.cumsum((0, *weight.stacks)).tolist()
        return gate in starts
    return True


def product(constants: Constants, name: str, weight: Weight, gates: slice) -> Product:
    """Return the product of some gates of a weight, and add its tables.

    Parameters
    ----------
    constants : Constants
        Where the tables go.
    name : str
        What functions and tables begin with, such as ``layer0``.
    weight : Weight
        One of kplib's structures, real, not split.
    gates : slice
        Which gates, with start and stop; they must not share a factor with the others.

    Raises
    ------
    TypeError
        If the structure has no C form.
    """
    if weight.is_complex:
        raise TypeError(f"export_c has no form for complex weights, found kind {weight.kind!r}")
    if type(weight) in FORMS:  # a subclass may compute something else
        match weight:
            case DenseWeight():
                return _dense(constants, name, weight, gates)
            case SparseWeight():
                return _sparse(constants, name, weight, gates)
            case KroneckerSumWeight():
                return _kronecker(constants, name, weight, gates)
            case StackedKroneckerWeight():
                return _stacked_kronecker(constants, name, weight, gates)
            case HybridWeight():
                return _hybrid(constants, name, weight, gates)
            case LowRankWeight():
                return _low_rank(constants, name, weight, gates)
            case ChainWeight():
                factors = [store(value, constants.weights)[gates] for value in weight.values]
                return chain_product(constants, name, weight.shapes, factors)
    raise TypeError(f"export_c has no form for weights of kind {weight.kind!r}")


def columns_product(
    constants: Constants,
    name: str,
    weight: DenseWeight | SparseWeight,
    gate: int,
    columns: slice,
) -> Product:
    """Return the product of some columns of one gate's matrix, stored entry by entry."""
    gates = slice(gate, gate + 1)
    if isinstance(weight, DenseWeight):
        return _dense(constants, name, weight, gates, columns)
    return _sparse(constants, name, weight, gates, columns)


# Entry by entry -----------------------------------------------------------------------------------


def _dense(
    constants: Constants,
    name: str,
    weight: DenseWeight,
    gates: slice,
    columns: slice = slice(None),
) -> Product:
    W = store(weight.W, constants.weights)[gates, :, columns]
    count, rows, width = W.values.shape
    constants.add(f"{name}_W", W.values, f"W, {shape_text(W.values.shape)}")
    constants.add_scale(f"{name}_scale", W.scale)
    constants.helpers.add("dot")
    source = render(
        """
        /* Entry k of W v, W $rows x $width. */
        static float ${name}_row(${gate}int k, const float *v)
        {
            return ${scale}dot(${name}_W + $index * $width, v, $width);
        }
        """,
        name=name,
        rows=rows,
        width=width,
        gate=gate_parameter(count),
        index=nested("gate", count, rows, "k"),
        scale=constants.scaled(f"{name}_scale", gate_index(count)),
    )
    return Product(name, count, 0, source)


def _sparse(
    constants: Constants,
    name: str,
    weight: SparseWeight,
    gates: slice,
    columns: slice = slice(None),
) -> Product:
    W = store(weight.matrix(), constants.weights)[gates, :, columns]
    mask = weight.mask.cpu().numpy()[gates, :, columns]
    count, rows, width = W.values.shape
    entries = int(mask.sum())
    if entries == 0:
        return _nothing(name, count)
    bits = next(bits for bits in COLUMN_BITS if width <= 2**bits)
    column, pointer = np.dtype(f"uint{bits}"), np.dtype("uint16" if entries < 2**16 else "uint32")
    ends = np.concatenate([[0], mask.reshape(-1, width).sum(1).cumsum()])
    constants.add(f"{name}_W", W.values[mask], f"the {entries} entries of W that are not pruned")
    constants.add(f"{name}_column", np.nonzero(mask)[2].astype(column), "their columns")
    constants.add(f"{name}_start", ends.astype(pointer), "where each row of W begins")
    constants.add_scale(f"{name}_scale", W.scale)
    source = render(
        """
        /* Entry k of W v, W $rows x $width in compressed sparse rows. */
        static float ${name}_row(${gate}int k, const float *v)
        {
            const $pointer_type *const start = ${name}_start + $index;
            const size_t end = READ_$pointer(start + 1);
            float sum = 0.0f;
            for (size_t e = READ_$pointer(start); e < end; e++)
                sum += $read(${name}_W + e) * v[READ_$column(${name}_column + e)];
            return ${scale}sum;
        }
        """,
        name=name,
        rows=rows,
        width=width,
        gate=gate_parameter(count),
        index=nested("gate", count, rows, "k"),
        scale=constants.scaled(f"{name}_scale", gate_index(count)),
        read=constants.read,
        pointer=pointer.name.upper(),
        pointer_type=f"{pointer.name}_t",
        column=column.name.upper(),
    )
    return Product(name, count, 0, source)


def _nothing(name: str, count: int) -> Product:
    """Return the product of matrices without entries."""
    source = render(
        """
        /* Entry k of W v, whose entries are pruned, all of them. */
        static float ${name}_row(${gate}int k, const float *v)
        {
            ${unused}(void)k;
            (void)v;
            return 0.0f;
        }
        """,
        name=name,
        gate=gate_parameter(count),
        unused="(void)gate;\n    " if count > 1 else "",
    )
    return Product(name, count, 0, source)


# From factors -------------------------------------------------------------------------------------


def _kronecker(
    constants: Constants, name: str, weight: KroneckerSumWeight, gates: slice
) -> Product:
    A, B = (store(factor, constants.weights)[gates].terms() for factor in (weight.A, weight.B))
    return pairs_product(constants, name, weight.shape, A, B)


def _stacked_kronecker(
    constants: Constants, name: str, weight: StackedKroneckerWeight, gates: slice
) -> Product:
    stack, count = _stack_of(weight.stacks, gates)
    A, B = (store(factor[stack].unsqueeze(0), constants.weights) for factor in (weight.A, weight.B))
    return pairs_product(
        constants, name, weight.shapes[stack], A, B, stacked=count, rows=weight.rows
    )


def _hybrid(constants: Constants, name: str, weight: HybridWeight, gates: slice) -> Product:
    D, A, B = (store(factor, constants.weights)[gates] for factor in (weight.D, weight.A, weight.B))
    return pairs_product(constants, name, weight.shape, A.terms(), B.terms(), D=D)


def _low_rank(constants: Constants, name: str, weight: LowRankWeight, gates: slice) -> Product:
    first = sum(np.cumsum(weight.stacks) <= gates.start)
    last = sum(np.cumsum(weight.stacks) <= gates.stop - 1) + 1
    U = store(weight.U, constants.weights)[gates]
    V = store(weight.V, constants.weights)[slice(first, last)]
    count, rows, rank = U.values.shape
    stacks, _, width = V.values.shape
    per_gate = stacks > 1
    if V.scale is not None:  # one for each gate, as U has
        of_gate = Factor(V.values, V.scale if per_gate else np.repeat(V.scale, count))
        constants.add_scale(f"{name}_scale", product_scale(name, U, of_gate))
    constants.add(f"{name}_U", U.values, f"U, {shape_text(U.values.shape)}")
    constants.add(f"{name}_V", V.values, f"V, {shape_text(V.values.shape)}")
    constants.helpers.add("dot")
    source = render(
        """
        /* z = V v, V $height x $width. */
        static void ${name}_prepare(const float *v, float *z)
        {
            for (int r = 0; r < $height; r++)
                z[r] = dot(${name}_V + r * $width, v, $width);
        }

        /* Entry k of U z, U $rows x $rank. */
        static float ${name}_row(${gate}int k, const float *z)
        {
            return ${scale}dot(${name}_U + $index * $rank, z$of_gate, $rank);
        }
        """,
        name=name,
        height=stacks * rank,
        width=width,
        rows=rows,
        rank=rank,
        gate=gate_parameter(count),
        index=nested("gate", count, rows, "k"),
        of_gate=f" + gate * {rank}" if per_gate else "",
        scale=constants.scaled(f"{name}_scale", gate_index(count)),
    )
    return Product(name, count, stacks * rank, source)


def _stack_of(stacks: Sequence[int], gates: slice) -> tuple[int, int]:
    """Return which stack these gates are, and how many they are."""
    starts = np.cumsum((0, *stacks)).tolist()
    if gates.start not in starts or gates.stop != starts[starts.index(gates.start) + 1]:
        raise TypeError(f"export_c has no form for stacks {tuple(stacks)} of these gates")
    return starts.index(gates.start), gates.stop - gates.start
