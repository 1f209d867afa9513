"""Gate products in C of two factors: sums of A (x) B, below dense rows or not.

``prepare`` computes the product with one factor for all of them, ``row`` one dot product with a row
of the other; which factor comes first is the cheaper order of the shape.
"""

from dataclasses import dataclass

from kplib.engine.c_code import (
    Product,
    each_of,
    gate_index,
    gate_parameter,
    indented,
    nested,
    nested_loops,
    times,
)
from kplib.engine.c_tables import Constants, shape_text
from kplib.engine.stored import Factor, product_scale
from kplib.shapes import FactorShape


def pairs_product(
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
    gates, terms = A.values.shape[:2]
    upper = D.values.shape[1] if D is not None else 0
    pairs = _Pairs(name, shape, gates, terms, upper)
    count = times(gates, terms)
    constants.add(f"{name}_A", A.values, f"A, {count}{shape.m1} x {shape.n1}")
    constants.add(f"{name}_B", B.values, f"B, {count}{shape.m2} x {shape.n2}")
    constants.add_scale(f"{name}_scale", product_scale(name, A, B))
    if D is not None and upper:
        constants.add(f"{name}_D", D.values, f"D, {shape_text(D.values.shape)}")
        constants.add_scale(f"{name}_D_scale", D.scale)
    constants.helpers |= {"dot"} if pairs.b_first else {"dot", "dot_stride"}
    source = f"{_prepare(pairs, constants)}\n\n{_row(pairs, constants, stacked, rows)}"
    return Product(name, stacked or gates, pairs.floats + gates * upper, source)


@dataclass(frozen=True)
class _Pairs:
    """What the text of both functions depends on.

    Parameters
    ----------
    name : str
        What its functions and tables begin with.
    shape : FactorShape
        Of A and B.
    gates, terms : int
        How many sums there are, and how many products each has.
    upper : int
        Dense rows above a sum.
    """

    name: str
    shape: FactorShape
    gates: int
    terms: int
    upper: int

    @property
    def count(self) -> int:
        """Products A (x) B in all."""
        return self.gates * self.terms

    @property
    def b_first(self) -> bool:
        """Whether the product with B is prepared, or that with A."""
        return self.shape.order == "b_first"

    @property
    def floats(self) -> int:
        """Numbers that are prepared, without those of the dense rows."""
        s = self.shape
        return self.count * (s.m2 * s.n1 if self.b_first else s.m1 * s.n2)

    def row_of_A(self, index: str) -> str:
        """Return a pointer to row i of the A that an index counts."""
        return f"{self.name}_A + {nested(index, self.count, self.shape.m1, 'i')} * {self.shape.n1}"

    def row_of_B(self, index: str) -> str:
        """Return a pointer to row p of the B that an index counts."""
        return f"{self.name}_B + {nested(index, self.count, self.shape.m2, 'p')} * {self.shape.n2}"

    def row_of_Z(self, index: str) -> str:
        """Return a pointer to that row of Z which the last factor's row meets."""
        s = self.shape
        if self.b_first:
            return f"z + {nested(index, self.count, s.m2, 'p')} * {s.n1}"
        return f"z + {nested(index, self.count, s.m1, 'i')} * {s.n2}"


def _prepare(pairs: _Pairs, constants: Constants) -> str:
    """Return the function for the first factor's product, and for the dense rows."""
    s = pairs.shape
    if pairs.b_first:
        loops = [("e", pairs.count), ("p", s.m2), ("j", s.n1)]
        first = f"Z = B X^T, {s.m2} x {s.n1}"
        value = f"dot({pairs.row_of_B('e')}, v + j * {s.n2}, {s.n2})"
    else:
        loops = [("e", pairs.count), ("i", s.m1), ("q", s.n2)]
        first = f"Z = A X, {s.m1} x {s.n2}"
        value = f"dot_stride({pairs.row_of_A('e')}, v + q, {s.n2}, {s.n1})"
    body = nested_loops(loops, f"*z++ = {value};")
    if pairs.upper:
        row = nested("gate", pairs.gates, pairs.upper, "r")
        scale = constants.scaled(f"{pairs.name}_D_scale", gate_index(pairs.gates))
        body += nested_loops(
            [("gate", pairs.gates), ("r", pairs.upper)],
            f"*z++ = {scale}dot({pairs.name}_D + {row} * {s.n}, v, {s.n});",
        )
    return "\n".join(
        [
            f"/* {first}, for X = v as a matrix {s.n1} x {s.n2}{each_of(pairs.count, 'product')}"
            f"{', then D v' if pairs.upper else ''}: the",
            f"   cheaper order, {s.macs} multiplications a product. */",
            f"static void {pairs.name}_prepare(const float *v, float *z)",
            "{",
            *indented(body),
            "}",
        ]
    )


def _row(pairs: _Pairs, constants: Constants, stacked: int, rows: int) -> str:
    """Return the function for one entry."""
    s, upper = pairs.shape, pairs.upper
    matrix = "[D; A (x) B]" if upper else "A (x) B"
    dotted = "A's row i and Z's row p" if pairs.b_first else "Z's row i and B's row p"
    lines = [
        f"/* Entry k of ({matrix}) v, A {s.m1} x {s.n1} and B {s.m2} x {s.n2}: the dot product of",
        f"   {dotted}. */",
        f"static float {pairs.name}_row({gate_parameter(stacked or pairs.gates)}int k, "
        "const float *z)",
        "{",
    ]
    if upper:
        lines += [
            f"    if (k < {upper})",
            f"        return z[{pairs.floats} + {nested('gate', pairs.gates, upper, 'k')}];",
            f"    k -= {upper};",
        ]
    if stacked > 1:
        lines.append(f"    k += gate * {rows}; /* the gates' matrices stand one above the other */")
    lines.append(f"    const int i = k / {s.m2}, p = k % {s.m2};")
    return "\n".join([*lines, *indented(_sum(pairs, constants)), "}"])


def _sum(pairs: _Pairs, constants: Constants) -> list[str]:
    """Return the statements for entry (i, p) of a sum of products."""
    gates, terms = pairs.gates, pairs.terms
    index = "gate" if terms == 1 else "e" if gates > 1 else "t"  # what counts the products
    scale = constants.scaled(f"{pairs.name}_scale", "" if pairs.count == 1 else index)
    row = pairs.row_of_A(index) if pairs.b_first else pairs.row_of_B(index)
    length = pairs.shape.n1 if pairs.b_first else pairs.shape.n2
    operands = [
        f"const {constants.c_type} *const w = {row};",
        f"const float *const u = {pairs.row_of_Z(index)};",
    ]
    dot = f"{scale}dot(w, u, {length})"
    if terms == 1:
        return [*operands, f"return {dot};"]
    loop = f"int e = gate * {terms}; e < (gate + 1) * {terms}; e++"
    if gates == 1:
        loop = f"int t = 0; t < {terms}; t++"
    return [
        "float sum = 0.0f;",
        f"for ({loop}) {{",
        *indented([*operands, f"sum += {dot};"]),
        "}",
        "return sum;",
    ]
