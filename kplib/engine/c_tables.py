"""Constants of a generated C source: parameters in float32 or int8, as tables of literals."""

from collections.abc import Sequence
from string import Template
from textwrap import dedent

import numpy as np
from numpy.typing import NDArray

from kplib.engine.stored import Array, Weights

LINE = 96

C_TYPES = {
    np.dtype(np.float32): "float",
    np.dtype(np.int8): "int8_t",
    np.dtype(np.uint8): "uint8_t",
    np.dtype(np.uint16): "uint16_t",
    np.dtype(np.uint32): "uint32_t",
}

# How a constant is read where flash has its own address space, which only a compiler for AVR asks.
AVR_READERS = {
    "float": "pgm_read_float(p)",
    "int8_t": "((int8_t)pgm_read_byte(p))",
    "uint8_t": "pgm_read_byte(p)",
    "uint16_t": "pgm_read_word(p)",
    "uint32_t": "pgm_read_dword(p)",
}


def render(template: str, **values: object) -> str:
    """Return C code from a template with ``$name`` in it, without its indentation."""
    return Template(dedent(template).strip("\n")).substitute(values)


class Constants:
    """The tables of one source, and which helper functions its code calls.

    Parameters
    ----------
    weights : {"float32", "int8"}
        How the parameters are stored.

    Attributes
    ----------
    tables : list of (str, ndarray, str)
        Name, values and comment of each.
    helpers : set of str
        Names of the functions.
    section : str
        Whose tables are added next, for their comments.
    """

    def __init__(self, weights: Weights) -> None:
        self.weights = weights
        self.tables: list[tuple[str, Array, str]] = []
        self.helpers: set[str] = set()
        self.section = "head"  # whose tables are added, for their comments

    @property
    def nbytes(self) -> int:
        """Bytes of all tables: scales and indices too."""
        return sum(values.nbytes for _, values, _ in self.tables)

    @property
    def c_type(self) -> str:
        """The C type of the parameters."""
        return "float" if self.weights == "float32" else "int8_t"

    @property
    def read(self) -> str:
        """How a parameter is read, as a float."""
        return "READ_FLOAT" if self.weights == "float32" else "(float)READ_INT8"

    def add(self, name: str, values: Array, comment: str) -> None:
        """Add a table; one without entries, which C does not allow, is left out."""
        if values.size:
            values = np.ascontiguousarray(values)
            self.tables.append((name, values, f"{self.section}: {comment}"))

    def add_scale(self, name: str, scale: NDArray[np.float32] | None) -> None:
        """Add a table of scales, if there are any."""
        if scale is not None:
            self.add(name, scale, f"scales, {shape_text([n for n in scale.shape if n > 1])}")

    def scaled(self, name: str, index: str = "") -> str:
        """Return ``scale * `` as the beginning of an expression; nothing in float32."""
        if self.weights == "float32":
            return ""
        return f"READ_FLOAT({name}{f' + {index}' if index else ''}) * "

    def sizeof(self) -> str:
        """Return the bytes of all tables as a C expression."""
        return " + ".join(f"sizeof {name}" for name, _, _ in self.tables)

    def readers(self) -> str:
        """Return how constants are placed in flash and read from there."""
        types = sorted({C_TYPES[values.dtype] for _, values, _ in self.tables})
        avr = [f"#define {reader(t)}(p) {AVR_READERS[t]}" for t in types]
        others = [f"#define {reader(t)}(p) (*(p))" for t in types]
        return "\n".join(
            [
                "#ifdef __AVR__ /* else its constants would be copied to RAM */",
                "#include <avr/pgmspace.h>",
                "#define FLASH PROGMEM",
                *avr,
                "#else",
                "#define FLASH",
                *others,
                "#endif",
            ]
        )

    def text(self) -> str:
        """Return the definitions of all tables."""
        return "\n\n".join(
            f"/* {comment} */\nstatic const {C_TYPES[values.dtype]} {name}[{values.size}] FLASH = "
            f"{braces(values)};"
            for name, values, comment in self.tables
        )


def reader(c_type: str) -> str:
    """Return the macro that reads a constant of this type."""
    return f"READ_{c_type.removesuffix('_t').upper()}"


def shape_text(shape: Sequence[int]) -> str:
    """Return a shape as it stands in comments.

    Examples
    --------
    >>> shape_text((4, 20, 4))
    '4 x 20 x 4'
    """
    return " x ".join(map(str, shape)) if shape else "one number"


def braces(values: Array) -> str:
    """Return the initializer of a table, in lines of at most 96 characters."""
    convert = float_literal if values.dtype == np.float32 else str
    lines, line = [], "   "
    for value in values.ravel().tolist():
        entry = f" {convert(value)},"
        if len(line) + len(entry) > LINE:
            lines.append(line)
            line = "   "
        line += entry
    return "\n".join(["{", *lines, line.rstrip(","), "}"])


def float_literal(value: float) -> str:
    """Return a float32 as a hexadecimal C literal, which no compiler rounds.

    Examples
    --------
    >>> float_literal(0.15625), float_literal(-3.0), float_literal(0.0)
    ('0x1.4p-3f', '-0x1.8p+1f', '0x0p+0f')
    """
    mantissa, exponent = float(value).hex().split("p")
    if "." in mantissa:
        mantissa = mantissa.rstrip("0").rstrip(".")
    return f"{mantissa}p{exponent}f"
