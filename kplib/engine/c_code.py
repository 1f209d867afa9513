"""A gate product as two C functions, and the pieces of text that such functions are made of."""

import re
from collections.abc import Sequence
from dataclasses import dataclass


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


def gate_parameter(gates: int) -> str:
    """Return the parameter that says which gate, where there are several."""
    return "int gate, " if gates > 1 else ""


def gate_index(gates: int) -> str:
    """Return the index of a gate's scale, where there are several."""
    return "gate" if gates > 1 else ""


def nested(outer: str, count: int, size: int, inner: str, *, outer_is_index: bool = False) -> str:
    """Return ``(outer * size + inner)``, or less where an index can only be 0."""
    if size == 1 and outer_is_index:
        return outer
    if count == 1:
        return inner
    return f"({outer} * {size} + {inner})"


def each_of(count: int, what: str) -> str:
    """Return the end of a comment on what is done several times."""
    return f", for each of {count} {what}s" if count > 1 else ""


def times(*counts: int) -> str:
    """Return how often there is a matrix, as the beginning of its shape."""
    return "".join(f"{count} times " for count in counts if count > 1)


def nested_loops(loops: Sequence[tuple[str, int]], statement: str) -> list[str]:
    """Return nested loops; those over one number that the statement does not name are left out."""
    lines: list[str] = []
    for index, count in loops:
        if count > 1 or re.search(rf"\b{index}\b", statement):
            lines.append(
                f"{'    ' * len(lines)}for (int {index} = 0; {index} < {count}; {index}++)"
            )
    return [*lines, f"{'    ' * len(lines)}{statement}"]


def indented(lines: Sequence[str]) -> list[str]:
    """Return the lines of a block."""
    return [f"    {line}" for line in lines]
