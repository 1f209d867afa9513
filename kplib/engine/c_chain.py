"""Gate products in C of any number of factors: one stage a factor, each along its own axis.

``prepare`` runs all stages but the last, in the cheapest order; ``row`` is one entry of the last.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from kplib.engine.c_code import (
    Product,
    gate_index,
    gate_parameter,
    indented,
    nested,
    nested_loops,
)
from kplib.engine.c_tables import Constants, shape_text
from kplib.engine.stored import Factor
from kplib.kron import cheapest_order


def chain_product(
    constants: Constants, name: str, shapes: Sequence[tuple[int, int]], factors: Sequence[Factor]
) -> Product:
    """Return the product of factors, (gates, P, Q) each."""
    count = factors[0].values.shape[0]
    stages = _stages(shapes)
    for f, factor in enumerate(factors):
        constants.add(f"{name}_F{f}", factor.values, f"W_{f}, {shape_text(factor.values.shape)}")
        constants.add_scale(f"{name}_F{f}_scale", factor.scale)
    # the results of all but the last stage go to and fro between z and what is behind all gates'
    lengths = [stage.length for stage in stages]
    kept = max(lengths[-2::-2], default=0)
    spare = max(lengths[-3::-2], default=0)
    functions = [_along(constants, name, count, stage) for stage in stages[:-1]]
    if functions:
        functions.append(_prepare(name, count, stages, kept))
    functions.append(_row(constants, name, count, stages[-1], kept))
    return Product(name, count, count * kept + spare, "\n\n".join(functions))


@dataclass(frozen=True)
class _Stage:
    """One factor's product along its axis: left x Q x right numbers become left x P x right.

    Parameters
    ----------
    factor : int
        Which one.
    P, Q : int
        Its rows and columns.
    left, right : int
        Numbers left and right of its axis.
    """

    factor: int
    P: int
    Q: int
    left: int
    right: int

    @property
    def length(self) -> int:
        """Numbers that it makes."""
        return self.left * self.P * self.right

    @property
    def helper(self) -> str:
        """The function for one of them."""
        return "dot" if self.right == 1 else "dot_stride"

    def entry(self, constants: Constants, name: str, gates: int, source: str) -> str:
        """Return number (l, p, r) of what it makes of the source, an expression."""
        table = f"{name}_F{self.factor}"
        row = f"{table} + {nested('gate', gates, self.P, 'p')} * {self.Q}"
        if self.left > 1:
            source += f" + l * {self.Q * self.right}"
        scale = constants.scaled(f"{table}_scale", gate_index(gates))
        if self.right == 1:
            return f"{scale}dot({row}, {source}, {self.Q})"
        return f"{scale}dot_stride({row}, {source} + r, {self.right}, {self.Q})"


def _stages(shapes: Sequence[tuple[int, int]]) -> list[_Stage]:
    """Return one stage a factor, in the cheapest order."""
    sizes = [Q for _, Q in shapes]
    stages = []
    for f in cheapest_order(shapes):
        P, Q = shapes[f]
        stages.append(_Stage(f, P, Q, math.prod(sizes[:f]), math.prod(sizes[f + 1 :])))
        sizes[f] = P
    return stages


def _along(constants: Constants, name: str, count: int, stage: _Stage) -> str:
    """Return the function for all numbers of a stage."""
    f, P, Q, left, right = stage.factor, stage.P, stage.Q, stage.left, stage.right
    at = nested("l", left, P, "p")
    at = nested(at, left * P, right, "r", outer_is_index=True)
    at = at[1:-1] if at.startswith("(") else at
    value = stage.entry(constants, name, count, "from")
    constants.helpers.add(stage.helper)
    loops = nested_loops([("l", left), ("p", P), ("r", right)], f"to[{at}] = {value};")
    return "\n".join(
        [
            f"/* W_{f} ({P} x {Q}) along its axis: {left} x {Q} x {right} become "
            f"{left} x {P} x {right}. */",
            f"static void {name}_along{f}({gate_parameter(count)}const float *from, float *to)",
            "{",
            *indented(loops),
            "}",
        ]
    )


def _prepare(name: str, count: int, stages: Sequence[_Stage], kept: int) -> str:
    """Return the function that runs all stages but the last, which reads what stays in z."""
    read, gate = "v", "gate, " if count > 1 else ""
    own = f"z{f' + gate * {kept}' if count > 1 else ''}"
    calls = []
    for place, stage in enumerate(stages[:-1]):
        write = own if (len(stages) - 2 - place) % 2 == 0 else f"z + {count * kept}"
        calls.append(f"{name}_along{stage.factor}({gate}{read}, {write});")
        read = write
    loop = f"for (int gate = 0; gate < {count}; gate++)"
    body = calls
    if count > 1:
        many = len(calls) > 1
        body = [f"{loop} {{" if many else loop, *indented(calls), *(["}"] if many else [])]
    return "\n".join(
        [
            "/* All factors but the last in the cheapest order. */",
            f"static void {name}_prepare(const float *v, float *z)",
            "{",
            *indented(body),
            "}",
        ]
    )


def _row(constants: Constants, name: str, count: int, stage: _Stage, kept: int) -> str:
    """Return the function for one entry of the last factor's product."""
    f, P, Q, left, right = stage.factor, stage.P, stage.Q, stage.left, stage.right
    source = f"z + gate * {kept}" if kept and count > 1 else ("z" if kept else "v")
    constants.helpers.add(stage.helper)
    value = stage.entry(constants, name, count, source)
    return "\n".join(
        [
            f"/* Entry k of W v: W_{f} ({P} x {Q}) along its axis of {left} x {Q} x {right}. */",
            f"static float {name}_row({gate_parameter(count)}int k, const float "
            f"*{'z' if kept else 'v'})",
            "{",
            f"    const int {', '.join(_indices(stage))};",
            f"    return {value};",
            "}",
        ]
    )


def _indices(stage: _Stage) -> list[str]:
    """Return what l, p and r are in entry k; those that can only be 0 are left out."""
    indices = []
    p = f"k / {stage.right}" if stage.right > 1 else "k"
    if stage.left > 1:
        indices.append(f"l = k / {stage.P * stage.right}")
        p = f"({p}) % {stage.P}" if stage.right > 1 else f"{p} % {stage.P}"
    indices.append(f"p = {p}")
    if stage.right > 1:
        indices.append(f"r = k % {stage.right}")
    return indices
