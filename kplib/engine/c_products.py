"""Gate products in C: of each weight structure, what is computed of a vector, and one entry of W v.

A product is two functions. ``prepare(v, z)`` leaves in z all that the entries need of v: the first
factor's product with v, a few numbers where the second factor is tall. ``row(gate, k, z)`` is then
one entry. A cell so takes its gates entry by entry, and writes its new state over the old one:
there is no buffer for the gates. Where a matrix is stored entry by entry (Dense, Sparse) there is
nothing to prepare, and ``row(gate, k, v)`` reads v itself.
"""

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from kplib.engine.c_tables import Constants, render, shape_text
from kplib.engine.stored import Factor, product_scale, store
from kplib.kron import cheapest_order
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
from kplib.shapes import FactorShape

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


@dataclass(frozen=True)
class Product:
    """The C code of one stack of gate matrices times a vector.

    Parameters
    ----------
    name : str
        What its functions and tables begin with.
    gates : int
        How many gates it makes.
    floats : int
        Numbers that ``prepare`` leaves in z; 0 if the rows read the vector itself.
    source : str
        The definitions of the functions.
    """

    name: str
    gates: int
    floats: int
    source: str

    @property
    def late(self) -> bool:
        """Whether the rows read the vector, which so has to stay until the last row."""
        return self.floats == 0

    def prepare(self, v: str, z: str) -> list[str]:
        """Return the statement that prepares z, if there is something to prepare."""
        return [] if self.late else [f"{self.name}_prepare({v}, {z});"]

    def row(self, gate: int, v: str, z: str) -> str:
        """Return entry k of one gate, an expression."""
        first = f"{gate}, " if self.gates > 1 else ""
        return f"{self.name}_row({first}k, {v if self.late else z})"


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
                return _chain(constants, name, weight, gates)
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
        gate=_gate_parameter(count),
        index=_nested("gate", count, rows, "k"),
        scale=constants.scaled(f"{name}_scale", _gate(count)),
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
    bits = next(bits for bits in COLUMN_BITS if width <= 2**bits)
    column, pointer = np.dtype(f"uint{bits}"), np.dtype("uint16" if entries < 2**16 else "uint32")
    ends = np.concatenate([[0], mask.reshape(-1, width).sum(1).cumsum()])
    if entries == 0:
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
            gate=_gate_parameter(count),
            unused="(void)gate;\n    " if count > 1 else "",
        )
        return Product(name, count, 0, source)
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
        gate=_gate_parameter(count),
        index=_nested("gate", count, rows, "k"),
        scale=constants.scaled(f"{name}_scale", _gate(count)),
        read=constants.read,
        pointer=pointer.name.upper(),
        pointer_type=f"{pointer.name}_t",
        column=column.name.upper(),
    )
    return Product(name, count, 0, source)


# Two factors --------------------------------------------------------------------------------------


def _kronecker(
    constants: Constants, name: str, weight: KroneckerSumWeight, gates: slice
) -> Product:
    A, B = (store(factor, constants.weights)[gates].terms() for factor in (weight.A, weight.B))
    return _pairs(constants, name, weight.shape, A, B)


def _stacked_kronecker(
    constants: Constants, name: str, weight: StackedKroneckerWeight, gates: slice
) -> Product:
    stack, count = _stack_of(weight.stacks, gates)
    A, B = (store(factor[stack].unsqueeze(0), constants.weights) for factor in (weight.A, weight.B))
    return _pairs(constants, name, weight.shapes[stack], A, B, stacked=count, rows=weight.rows)


def _hybrid(constants: Constants, name: str, weight: HybridWeight, gates: slice) -> Product:
    D, A, B = (store(factor, constants.weights)[gates] for factor in (weight.D, weight.A, weight.B))
    return _pairs(constants, name, weight.shape, A.terms(), B.terms(), D=D)


def _pairs(
    constants: Constants,
    name: str,
    shape: FactorShape,
    A: Factor,
    B: Factor,
    *,
    D: Factor | None = None,
    stacked: int = 0,
    rows: int = 0,
) -> Product:
    """Return the product of sums of A (x) B, (gates, terms, ...) each, below dense rows D.

    Of `stacked` gates whose matrices, of `rows` each, stand one above the other there is one sum.
    """
    s = shape
    gates, terms = A.values.shape[:2]
    upper = D.values.shape[1] if D is not None else 0
    pairs, b_first = gates * terms, s.order == "b_first"
    floats = pairs * (s.m2 * s.n1 if b_first else s.m1 * s.n2)
    constants.add(f"{name}_A", A.values, f"A, {_times(gates, terms)}{s.m1} x {s.n1}")
    constants.add(f"{name}_B", B.values, f"B, {_times(gates, terms)}{s.m2} x {s.n2}")
    constants.add_scale(f"{name}_scale", product_scale(name, A, B))
    if D is not None and upper:
        constants.add(f"{name}_D", D.values, f"D, {shape_text(D.values.shape)}")
        constants.add_scale(f"{name}_D_scale", D.scale)
    constants.helpers |= {"dot"} if b_first else {"dot", "dot_stride"}
    pair = "gate" if terms == 1 else "e" if gates > 1 else "t"  # what counts the pairs in `row`

    def in_A(e: str) -> str:
        return f"{name}_A + {_nested(e, pairs, s.m1, 'i')} * {s.n1}"

    def in_B(e: str) -> str:
        return f"{name}_B + {_nested(e, pairs, s.m2, 'p')} * {s.n2}"

    if b_first:
        loops = [("e", pairs), ("p", s.m2), ("j", s.n1)]
        first = f"Z = B X^T, {s.m2} x {s.n1}"
        value = f"dot({in_B('e')}, v + j * {s.n2}, {s.n2})"
        last = in_A(pair), f"z + {_nested(pair, pairs, s.m2, 'p')} * {s.n1}", s.n1
        dotted = "A's row i and Z's row p"
    else:
        loops = [("e", pairs), ("i", s.m1), ("q", s.n2)]
        first = f"Z = A X, {s.m1} x {s.n2}"
        value = f"dot_stride({in_A('e')}, v + q, {s.n2}, {s.n1})"
        last = in_B(pair), f"z + {_nested(pair, pairs, s.m1, 'i')} * {s.n2}", s.n2
        dotted = "Z's row i and B's row p"
    body = _loops(loops, f"*z++ = {value};")
    if upper:
        D_row = _nested("gate", gates, upper, "r")
        D_scale = constants.scaled(f"{name}_D_scale", _gate(gates))
        body += _loops(
            [("gate", gates), ("r", upper)],
            f"*z++ = {D_scale}dot({name}_D + {D_row} * {s.n}, v, {s.n});",
        )
    prepare = [
        f"/* {first}, for X = v as a matrix {s.n1} x {s.n2}{_each(pairs, 'product')}"
        f"{', then D v' if upper else ''}: the",
        f"   cheaper order, {s.macs} multiplications a product. */",
        f"static void {name}_prepare(const float *v, float *z)",
        "{",
        *_indented(body),
        "}",
    ]
    count = stacked or gates
    row = [
        f"/* Entry k of ({'[D; A (x) B]' if upper else 'A (x) B'}) v, A {s.m1} x {s.n1} and "
        f"B {s.m2} x {s.n2}: the dot product of",
        f"   {dotted}. */",
        f"static float {name}_row({_gate_parameter(count)}int k, const float *z)",
        "{",
    ]
    if upper:
        row += [
            f"    if (k < {upper})",
            f"        return z[{floats} + {_nested('gate', gates, upper, 'k')}];",
            f"    k -= {upper};",
        ]
    if stacked > 1:
        row.append(f"    k += gate * {rows}; /* the gates' matrices stand one above the other */")
    row.append(f"    const int i = k / {s.m2}, p = k % {s.m2};")
    scaled = constants.scaled(f"{name}_scale", "" if pairs == 1 else pair)
    operands = [
        f"const {constants.c_type} *const w = {last[0]};",
        f"const float *const u = {last[1]};",
    ]
    dot = f"{scaled}dot(w, u, {last[2]})"
    if terms == 1:
        row += [*_indented(operands), f"    return {dot};"]
    else:
        loop = f"int e = gate * {terms}; e < (gate + 1) * {terms}; e++"
        if gates == 1:
            loop = f"int t = 0; t < {terms}; t++"
        row += [
            "    float sum = 0.0f;",
            f"    for ({loop}) {{",
            *_indented(_indented([*operands, f"sum += {dot};"])),
            "    }",
            "    return sum;",
        ]
    source = "\n".join([*prepare, "", *row, "}"])
    return Product(name, count, floats + gates * upper, source)


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
        gate=_gate_parameter(count),
        index=_nested("gate", count, rows, "k"),
        of_gate=f" + gate * {rank}" if per_gate else "",
        scale=constants.scaled(f"{name}_scale", _gate(count)),
    )
    return Product(name, count, stacks * rank, source)


# Any number of factors ----------------------------------------------------------------------------


def _chain(constants: Constants, name: str, weight: ChainWeight, gates: slice) -> Product:
    factors = [store(value, constants.weights)[gates] for value in weight.values]
    count = factors[0].values.shape[0]
    order = cheapest_order(weight.shapes)
    sizes = [Q for _, Q in weight.shapes]
    stages = []  # (factor, numbers left of its axis, numbers right of it)
    lengths = []
    for f in order:
        stages.append((f, math.prod(sizes[:f]), math.prod(sizes[f + 1 :])))
        sizes[f] = weight.shapes[f][0]
        lengths.append(math.prod(sizes))
    for f, factor in enumerate(factors):
        constants.add(f"{name}_F{f}", factor.values, f"W_{f}, {shape_text(factor.values.shape)}")
        constants.add_scale(f"{name}_F{f}_scale", factor.scale)
    # the results of all but the last stage go to and fro between z and what is behind all gates'
    kept = max(lengths[-2::-2], default=0)
    spare = max(lengths[-3::-2], default=0)
    functions, read = [], "v"
    body = []
    for place, (f, left, right) in enumerate(stages[:-1]):
        P, Q = weight.shapes[f]
        to_kept = (len(stages) - 2 - place) % 2 == 0
        own = f"z{f' + gate * {kept}' if count > 1 else ''}"
        write = own if to_kept else f"z + {count * kept}"
        loops = [("l", left), ("p", P), ("r", right)]
        at = _nested("l", left, P, "p")
        at = _nested(at, left * P, right, "r", outer_is_index=True)
        at = at[1:-1] if at.startswith("(") else at
        value = _mode_entry(constants, f"{name}_F{f}", count, (P, Q), left, right, "from")
        constants.helpers.add(_mode_helper(right))
        functions.append(
            "\n".join(
                [
                    f"/* W_{f} ({P} x {Q}) along its axis: {left} x {Q} x {right} become "
                    f"{left} x {P} x {right}. */",
                    f"static void {name}_along{f}({_gate_parameter(count)}const float *from, "
                    f"float *to)",
                    "{",
                    *_indented(_loops(loops, f"to[{at}] = {value};")),
                    "}",
                ]
            )
        )
        gate = "gate, " if count > 1 else ""
        body.append(f"{name}_along{f}({gate}{read}, {write});")
        read = write
    if body:
        braces = count > 1 and len(body) > 1
        opening = [f"for (int gate = 0; gate < {count}; gate++)" + (" {" if braces else "")]
        lines = [*opening, *_indented(body), *(["}"] if braces else [])] if count > 1 else body
        functions.append(
            "\n".join(
                [
                    "/* All factors but the last in the cheapest order. */",
                    f"static void {name}_prepare(const float *v, float *z)",
                    "{",
                    *_indented(lines),
                    "}",
                ]
            )
        )
    functions.append(_chain_row(constants, name, count, weight.shapes, stages[-1], kept))
    return Product(name, count, count * kept + spare, "\n\n".join(functions))


def _chain_row(
    constants: Constants,
    name: str,
    count: int,
    shapes: Sequence[tuple[int, int]],
    stage: tuple[int, int, int],
    kept: int,
) -> str:
    """Return the function for one entry of the last factor's product."""
    f, left, right = stage
    P, Q = shapes[f]
    source = f"z + gate * {kept}" if kept and count > 1 else ("z" if kept else "v")
    constants.helpers.add(_mode_helper(right))
    indices = []
    if left > 1:
        indices.append(f"l = k / {P * right}")
    p = f"k / {right}" if right > 1 else "k"
    indices.append(f"p = {p}" + (f" % {P}" if left > 1 else ""))
    if "/" in indices[-1] and "%" in indices[-1]:
        indices[-1] = f"p = ({p}) % {P}"
    if right > 1:
        indices.append(f"r = k % {right}")
    value = _mode_entry(constants, f"{name}_F{f}", count, (P, Q), left, right, source)
    return "\n".join(
        [
            f"/* Entry k of W v: W_{f} ({P} x {Q}) along its axis of {left} x {Q} x {right}. */",
            f"static float {name}_row({_gate_parameter(count)}int k, const float "
            f"*{'z' if kept else 'v'})",
            "{",
            f"    const int {', '.join(indices)};",
            f"    return {value};",
            "}",
        ]
    )


def _mode_helper(right: int) -> str:
    return "dot" if right == 1 else "dot_stride"


def _mode_entry(
    constants: Constants,
    name: str,
    gates: int,
    size: tuple[int, int],
    left: int,
    right: int,
    source: str,
) -> str:
    """Return entry (l, p, r) of a factor's product along its axis."""
    P, Q = size
    row = f"{name} + {_nested('gate', gates, P, 'p')} * {Q}"
    if left > 1:
        source += f" + l * {Q * right}"
    scale = constants.scaled(f"{name}_scale", _gate(gates))
    if right == 1:
        return f"{scale}dot({row}, {source}, {Q})"
    return f"{scale}dot_stride({row}, {source} + r, {right}, {Q})"


# Text ---------------------------------------------------------------------------------------------


def _stack_of(stacks: Sequence[int], gates: slice) -> tuple[int, int]:
    """Return which stack these gates are, and how many they are."""
    starts = np.cumsum((0, *stacks)).tolist()
    if gates.start not in starts or gates.stop != starts[starts.index(gates.start) + 1]:
        raise TypeError(f"export_c has no form for stacks {tuple(stacks)} of these gates")
    return starts.index(gates.start), gates.stop - gates.start


def _gate_parameter(gates: int) -> str:
    return "int gate, " if gates > 1 else ""


def _gate(gates: int) -> str:
    return "gate" if gates > 1 else ""


def _nested(outer: str, count: int, size: int, inner: str, *, outer_is_index: bool = False) -> str:
    """Return ``(outer * size + inner)``, or less where an index can only be 0."""
    if size == 1 and outer_is_index:
        return outer
    if count == 1:
        return inner
    return f"({outer} * {size} + {inner})"


def _each(count: int, what: str) -> str:
    return f", for each of {count} {what}s" if count > 1 else ""


def _times(*counts: int) -> str:
    """Return how often there is a matrix, as the beginning of its shape."""
    return "".join(f"{count} times " for count in counts if count > 1)


def _loops(loops: Sequence[tuple[str, int]], statement: str) -> list[str]:
    """Return nested loops; those over one number that the statement does not name are left out."""
    lines: list[str] = []
    for index, count in loops:
        if count > 1 or re.search(rf"\b{index}\b", statement):
            lines.append(
                f"{'    ' * len(lines)}for (int {index} = 0; {index} < {count}; {index}++)"
            )
    return [*lines, f"{'    ' * len(lines)}{statement}"]


def _indented(lines: Sequence[str]) -> list[str]:
    return [f"    {line}" for line in lines]
