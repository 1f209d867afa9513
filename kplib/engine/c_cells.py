"""One step of each recurrent cell in C, in place: from v = [x_t; h] to v = [x_t; new h].

Every step is a function ``step(v, scratch)``, of an LSTM ``step(v, c, scratch)``. The new state is
written over the old one entry by entry, which the products of factors allow; where the rows of a
product read the state itself (Dense, Sparse), it is written into scratch first.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch

from kplib.engine.c_code import Product
from kplib.engine.c_products import can_slice_at, columns_product, product
from kplib.engine.c_tables import Constants, render
from kplib.engine.stored import Array, store
from kplib.nn import GRU, LSTM, RNN, FastRNN
from kplib.nn.cell import Cell
from kplib.nn.recurrent import Recurrent
from kplib.nn.structures import DenseWeight, SparseWeight, SplitWeight, Weight

Lines = list[str]

EQUATIONS = {
    LSTM: """\
   i, f, o = sigmoid(W v + b), g = tanh(W_g v + b_g), c = f c + i g, h = o tanh(c). */""",
    RNN: """\
   h = {phi}(W v + b). */""",
    FastRNN: """\
   h = s_alpha tanh(W v + b) + s_beta h, s_alpha = sigmoid(alpha), s_beta = sigmoid(beta). */""",
    GRU: """\
   r, z = sigmoid(W v + b), n = tanh(W_n [x_t; r h] + b_n), h = (1 - z) n + z h. */""",
}
GATES: dict[type[Recurrent], str] = {LSTM: "ifgo", GRU: "rzn"}

RESET_AFTER = """\
   r, z = sigmoid(W v + b), n = tanh(W_n [x_t; 0] + b_n + r (W_n [0; h] + c_n)),
   h = (1 - z) n + z h. */"""


@dataclass(frozen=True)
class Term:
    """A product with the vector that it is taken of.

    Parameters
    ----------
    part : Product
        The product.
    first : int
        The cell's gate that is the product's gate 0.
    vector : {"v", "h"}
        [x_t; h] or h alone.
    z : str
        Where it is prepared.
    reads_state : bool
        Whether its rows read h.
    """

    part: Product
    first: int
    vector: str
    z: str
    reads_state: bool

    @property
    def prepare(self) -> Lines:
        """The statement that prepares it, if there is something to prepare."""
        return self.part.prepare(self.vector, self.z)

    def row(self, gate: int) -> str:
        """Return entry k of a gate of the cell."""
        return self.part.row(gate - self.first, self.vector, self.z)


class Step:
    """The C code of one layer in one direction.

    Parameters
    ----------
    name : str
        Such as ``layer0`` or ``layer0_reverse``.
    rnn : Recurrent
        The layer, which says what the cell computes.
    cell : Cell
        Its weight and biases.
    constants : Constants
        Where the tables go.

    Attributes
    ----------
    source : str
        The definitions: the products' functions, the biases', the step itself.
    width : int
        Entries of the input x_t.
    floats : int
        Numbers of scratch that the step needs.
    """

    def __init__(self, name: str, rnn: Recurrent, cell: Cell, constants: Constants) -> None:
        self.name = name
        self.rnn = rnn
        self.cell = cell
        self.constants = constants
        self.hidden = rnn.hidden_size
        self.width = cell.weight.columns - self.hidden
        self.floats = 0
        self._sources: dict[str, None] = {}  # ordered, each once
        self._whole: dict[int, Product] = {}
        self._of_input: Term | None = None
        bodies = {LSTM: self._lstm, RNN: self._rnn, FastRNN: self._fastrnn, GRU: self._gru}
        body = bodies[type(rnn)]()
        self.source = "\n\n".join([*self._sources, *self._bias(), self._function(body)])

    def _function(self, body: Lines) -> str:
        rnn = self.rnn
        after = isinstance(rnn, GRU) and rnn.reset_after
        equations = RESET_AFTER if after else EQUATIONS[type(rnn)]
        state = "float *v, float *c" if isinstance(rnn, LSTM) else "float *v"
        kind = self.cell.weight.kind.replace("_", " ")
        lines = [
            f"/* {self.name}: one step of {type(rnn).__name__}, {self.width} inputs, "
            f"{self.hidden} hidden, {kind} weights, in place on v = [x_t; h].",
            equations.format(phi=getattr(rnn, "nonlinearity", "")),
            f"static void {self.name}_advance({state}, float *scratch)",
            "{",
            f"    float *const h = v + {self.width};",
            *(f"    {line}" for line in body),
            "}",
        ]
        return "\n".join(lines)

    # the cells

    def _lstm(self) -> Lines:
        terms = self._joint("", slice(0, 4))
        i, f, g, o = (self._sum(terms, gate) for gate in range(4))
        new, declared, copied = self._destination(terms)
        return [
            *declared,
            *_prepare(terms),
            *self._for_each(
                f"const float i = sigmoid({i});",
                f"const float f = sigmoid({f});",
                f"const float g = hyperbolic_tangent({g});",
                f"const float o = sigmoid({o});",
                "c[k] = f * c[k] + i * g;",
                f"{new}[k] = o * hyperbolic_tangent(c[k]);",
            ),
            *copied,
        ]

    def _rnn(self) -> Lines:
        assert isinstance(self.rnn, RNN)
        terms = self._joint("", slice(0, 1))
        new, declared, copied = self._destination(terms)
        total = self._sum(terms, 0)
        entry = [f"{new}[k] = hyperbolic_tangent({total});"]
        if self.rnn.nonlinearity == "relu":
            entry = [f"const float sum = {total};", f"{new}[k] = sum < 0.0f ? 0.0f : sum;"]
        return [*declared, *_prepare(terms), *self._for_each(*entry), *copied]

    def _fastrnn(self) -> Lines:
        terms = self._joint("", slice(0, 1))
        new, declared, copied = self._destination(terms)
        with torch.no_grad():
            residual = [
                torch.sigmoid(self.cell.get_parameter(s).double()).item() for s in ("alpha", "beta")
            ]
        table = f"{self.name}_residual"
        self.constants.section = self.name
        self.constants.add(table, np.asarray(residual, np.float32), "s_alpha and s_beta")
        return [
            f"const float s_alpha = READ_FLOAT({table}), s_beta = READ_FLOAT({table} + 1);",
            *declared,
            *_prepare(terms),
            *self._for_each(
                f"const float candidate = hyperbolic_tangent({self._sum(terms, 0)});",
                f"{new}[k] = s_alpha * candidate + s_beta * h[k];",
            ),
            *copied,
        ]

    def _gru(self) -> Lines:
        assert isinstance(self.rnn, GRU)
        if self.rnn.reset_after:
            return self._gru_after()
        gates = self._joint("_rz", slice(0, 2))
        candidate = self._joint("_n", slice(2, 3))
        late = any(term.reads_state for term in gates)
        return (self._gru_in_turn if late else self._gru_in_place)(gates, candidate)

    def _gru_in_place(self, gates: Sequence[Term], candidate: Sequence[Term]) -> Lines:
        """Reset the state where it stands, once both gates are prepared."""
        size = f"{self.hidden} * sizeof *h"
        return [
            f"float *const old = {self._claim(self.hidden)};",
            *_prepare(gates),
            f"memcpy(old, h, {size});",
            *self._for_each(f"h[k] *= sigmoid({self._sum(gates, 0)});"),
            *_prepare(candidate, done=gates),
            *self._for_each(
                f"const float z = sigmoid({self._sum(gates, 1)});",
                f"const float n = hyperbolic_tangent({self._sum(candidate, 2)});",
                "h[k] = n + z * (old[k] - n);",
            ),
        ]

    def _gru_in_turn(self, gates: Sequence[Term], candidate: Sequence[Term]) -> Lines:
        """Compute both gates before the state is reset, which their rows read."""
        size = f"{self.hidden} * sizeof *h"
        return [
            f"float *const other = {self._claim(self.hidden)};",
            f"float *const z = {self._claim(self.hidden)};",
            *_prepare(gates),
            *self._for_each(
                f"other[k] = h[k] * sigmoid({self._sum(gates, 0)});",
                f"z[k] = sigmoid({self._sum(gates, 1)});",
            ),
            *self._for_each(
                "const float reset = other[k]; /* h becomes r h, other the old h */",
                "other[k] = h[k];",
                "h[k] = reset;",
            ),
            *_prepare(candidate, done=gates),
            *self._for_each(
                f"const float n = hyperbolic_tangent({self._sum(candidate, 2)});",
                "other[k] = n + z[k] * (other[k] - n);",
            ),
            f"memcpy(h, other, {size});",
        ]

    def _gru_after(self) -> Lines:
        gates, of_x, of_h, statements = self._apart()
        new, declared, copied = self._destination([*gates, of_h])
        x_bias, h_bias = self._candidate_biases()
        inner = f"{of_x.row(2)}{x_bias}"
        reset = f"({of_h.row(2)}{h_bias})" if h_bias else of_h.row(2)
        return [
            *declared,
            *statements,
            *self._for_each(
                f"const float r = sigmoid({self._sum(gates, 0)});",
                f"const float z = sigmoid({self._sum(gates, 1)});",
                f"const float n = hyperbolic_tangent({inner} + r * {reset});",
                f"{new}[k] = n + z * (h[k] - n);",
            ),
            *copied,
        ]

    # their products

    def _joint(self, suffix: str, gates: slice) -> list[Term]:
        """Return W [x_t; h] of some gates: one term, or two where W_x and W_h are made apart."""
        weight = self.cell.weight
        if not isinstance(weight, SplitWeight):
            part, first = self._part(weight, suffix, gates)
            return [self._term(part, first, "v")]
        if self._of_input is None:
            part, first = self._part(weight.input, "_x", slice(0, weight.gates))
            self._of_input = Term(part, first, "v", self._claim(part.floats), reads_state=False)
        part, first = self._part(weight.hidden, f"{suffix}_h", gates)
        return [self._of_input, self._term(part, first, "h")]

    def _apart(self) -> tuple[list[Term], Term, Term, Lines]:
        """Return the terms of r and z, W_n [x_t; 0], W_n [0; h], and what prepares them all."""
        weight = self.cell.weight
        if isinstance(weight, SplitWeight):
            of_x, of_h = terms = self._joint("", slice(0, 3))
            return terms, of_x, of_h, _prepare(terms)
        gates = self._joint("_rz", slice(0, 2))
        if isinstance(weight, DenseWeight | SparseWeight):
            self._begin(slice(2, 3))
            parts = [
                columns_product(self.constants, f"{self.name}_n{letter}", weight, 2, columns)
                for letter, columns in (
                    ("x", slice(0, self.width)),
                    ("h", slice(self.width, weight.columns)),
                )
            ]
            self._sources |= dict.fromkeys(part.source for part in parts)
            of_x = Term(parts[0], 2, "v", "", reads_state=False)
            return gates, of_x, self._term(parts[1], 2, "h"), []
        part, first = self._part(weight, "_n", slice(2, 3))
        of_x, of_h = (self._term(part, first, "v") for _ in range(2))
        kept = self._claim(max(self.width, self.hidden))
        statements = [
            f"float *const kept = {kept};",
            *_prepare(gates),
            *self._without("h", self.hidden, "[x_t; 0]", of_x),
            *self._without("v", self.width, "[0; h]", of_h),
        ]
        return gates, of_x, of_h, statements

    def _without(self, vector: str, size: int, left: str, term: Term) -> Lines:
        """Prepare a term with one block of v set to 0 meanwhile."""
        return [
            f"memcpy(kept, {vector}, {size} * sizeof *v);",
            f"memset({vector}, 0, {size} * sizeof *v); /* v = {left} */",
            *term.prepare,
            f"memcpy({vector}, kept, {size} * sizeof *v);",
        ]

    def _part(self, weight: Weight, suffix: str, gates: slice) -> tuple[Product, int]:
        """Return a product that makes these gates, and its first gate.

        Where they share a factor with others, it is that of all gates, which is made once.
        """
        name = f"{self.name}{suffix}"
        self._begin(gates)
        if can_slice_at(weight, gates.start) and can_slice_at(weight, gates.stop):
            part = product(self.constants, name, weight, gates)
            self._sources[part.source] = None
            return part, gates.start
        if id(weight) not in self._whole:
            self._begin(slice(0, weight.gates))
            name = self.name if weight is self.cell.weight else name
            self._whole[id(weight)] = product(self.constants, name, weight, slice(0, weight.gates))
            self._sources[self._whole[id(weight)].source] = None
        return self._whole[id(weight)], 0

    def _begin(self, gates: slice) -> None:
        """Say whose tables come next."""
        names = GATES.get(type(self.rnn), "")[gates]
        of_gates = f", gate{'s' if len(names) > 1 else ''} {', '.join(names)}" if names else ""
        self.constants.section = f"{self.name}{of_gates}"

    def _term(self, part: Product, first: int, vector: str) -> Term:
        return Term(part, first, vector, self._claim(part.floats), reads_state=part.late)

    def _claim(self, floats: int) -> str:
        """Return where in scratch so many numbers are free."""
        where = f"scratch + {self.floats}" if self.floats else "scratch"
        self.floats += floats
        return where

    def _destination(self, terms: Sequence[Term]) -> tuple[str, Lines, Lines]:
        """Return where the new state is written to, how that is declared, and how it gets to h."""
        if not any(term.reads_state for term in terms):
            return "h", [], []
        declared = [f"float *const next = {self._claim(self.hidden)};"]
        return "next", declared, [f"memcpy(h, next, {self.hidden} * sizeof *h);"]

    def _for_each(self, *statements: str) -> Lines:
        """Return the loop over the entries of the state."""
        many = len(statements) > 1
        return [
            f"for (int k = 0; k < {self.hidden}; k++)" + (" {" if many else ""),
            *(f"    {statement}" for statement in statements),
            *(["}"] if many else []),
        ]

    def _sum(self, terms: Sequence[Term], gate: int) -> str:
        """Return entry k of one gate, biases added."""
        total = " + ".join(term.row(gate) for term in terms)
        return total + "".join(self._bias_row(row) for row in self._bias_rows(gate))

    # biases

    def _vectors(self) -> list[torch.Tensor]:
        cell = self.cell
        vectors = (cell.bias, cell.bias_ih, cell.bias_hh)
        return [vector.detach() for vector in vectors if vector is not None]

    def _bias_rows(self, gate: int) -> list[int]:
        """Return the rows of the table that are added to a gate."""
        vectors = len(self._vectors())
        if self.constants.weights == "float32" or vectors < 2:
            return [gate][:vectors]  # two vectors are one sum
        return [gate, self.cell.weight.gates + gate]

    def _candidate_biases(self) -> tuple[str, str]:
        """Return the candidate's biases, b_n and c_n, as they are added; empty if there is none."""
        vectors = len(self._vectors())
        second = 3 if self.constants.weights == "float32" else 5
        rows = ([2], [2, second])[vectors - 1] if vectors else []
        texts = [self._bias_row(row) for row in rows]
        return (*texts, "", "")[:2]  # type: ignore[return-value]

    def _bias_row(self, row: int) -> str:
        return f" + {self.name}_bias({row}, k)"

    def _bias(self) -> Lines:
        """Return the function of the biases, and add their table."""
        vectors = self._vectors()
        if not vectors:
            return []
        gates = self.cell.weight.gates
        if self.constants.weights == "float32":
            table, scale = self._float_biases(vectors), None
        else:
            stored = [store(vector.view(gates, 1, -1), "int8") for vector in vectors]
            table = np.concatenate([each.values for each in stored])[:, 0]
            scale = np.concatenate([each.scale for each in stored if each.scale is not None])
        self.constants.section = self.name
        self.constants.add(f"{self.name}_b", table, f"biases, {len(table)} x {self.hidden}")
        self.constants.add_scale(f"{self.name}_b_scale", scale)
        source = render(
            """
            /* Entry k of one row of the biases: $rows. */
            static float ${name}_bias(int row, int k)
            {
                return ${scale}$read(${name}_b + row * $hidden + k);
            }
            """,
            name=self.name,
            rows=self._bias_names(len(table)),
            hidden=self.hidden,
            read=self.constants.read,
            scale=self.constants.scaled(f"{self.name}_b_scale", "row"),
        )
        return [source]

    def _bias_names(self, rows: int) -> str:
        """Say which row is which: one a gate, or b and c of each, whose sum counts."""
        gates = GATES.get(type(self.rnn), "h")
        if rows == len(gates):
            return ", ".join(gates)
        if rows == 4:  # a GRU that resets after the product, sums where they are sums
            return "r, z, b_n, c_n"
        return ", ".join(f"{letter}_{gate}" for letter in "bc" for gate in gates)

    def _float_biases(self, vectors: Sequence[torch.Tensor]) -> Array:
        """Return one row a gate; of a GRU that resets after the product, b_n and c_n apart."""
        total = self.cell.gate_bias().detach()
        if isinstance(self.rnn, GRU) and self.rnn.reset_after and len(vectors) == 2:
            apart = [vector.view(3, -1)[2:] for vector in vectors]
            total = torch.cat([total[:2], *apart])
        return total.cpu().numpy()


def _prepare(terms: Sequence[Term], done: Sequence[Term] = ()) -> Lines:
    """Return what prepares these terms, but those that have been."""
    return [line for term in terms if term not in done for line in term.prepare]
