"""A program: one C++ type of `include/kplib` with its sizes, and what Python must know of it."""

import math
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

import numpy as np

from kplib.errors import ShapeError

INCLUDE = Path(__file__).parent / "include"
_CPP_SCALARS = {"float32": "float", "float64": "double", "int8": "std::int8_t"}
_CPP_FORMATS = _CPP_SCALARS | {"int8": "kplib::Int8"}


def cpp_scalar(dtype: np.dtype) -> str:
    """Return the C++ name of a dtype, "float", "double" or "std::int8_t"."""
    return _CPP_SCALARS[np.dtype(dtype).name]


def cpp_format(dtype: np.dtype) -> str:
    """Return the C++ name of weights stored in a dtype: the first argument of an operation."""
    return _CPP_FORMATS[np.dtype(dtype).name]


@dataclass(frozen=True)
class Program:
    """An operation y = f(weights, x) as C++, compiled once by each loader.

    Attributes
    ----------
    cpp_type
        The C++ type, sizes included: ``"kplib::Kron<float, 59, 8, 2, 16>"``. It has the members
        ``rows, columns, packed, pack, run`` (see ``include/kplib/matvec.hpp``).
    header
        The header that defines it, below ``include/``.
    dtype
        Of x and y, and of the weights unless `stored` says otherwise.
    x_shape, y_shape
        Of one vector of x and of one result.
    sequence
        Whether an argument is a sequence of such vectors, of any length, and not one.
    x_reason
        Where the size of x comes from, for error messages.
    operands
        Shapes of the arrays that `pack` takes, in its order.
    macs
        Multiply-accumulates for one vector of x, as the algebra counts them.
    reference
        The same operation in NumPy, ``reference(operands, x) -> y`` for one argument.
    stored
        Of the packed weights: None for `dtype`, or int8. Operands may be of either.
    """

    cpp_type: str
    header: str
    dtype: np.dtype
    x_shape: tuple[int, ...]
    y_shape: tuple[int, ...]
    operands: tuple[tuple[int, ...], ...]
    macs: int
    reference: Callable[[tuple[np.ndarray, ...], np.ndarray], np.ndarray] = field(compare=False)
    sequence: bool = False
    x_reason: str = ""
    stored: np.dtype | None = None

    def __post_init__(self) -> None:
        sizes = (*self.x_shape, *self.y_shape)
        if max(sizes) >= 2**31:
            raise ShapeError(f"a size is {max(sizes)}, but compiled code takes sizes below 2**31")

    @property
    def x_bytes(self) -> int:
        """Bytes of one vector of x."""
        return math.prod(self.x_shape) * self.dtype.itemsize

    @property
    def y_bytes(self) -> int:
        """Bytes of one result."""
        return math.prod(self.y_shape) * self.dtype.itemsize

    @cached_property
    def name(self) -> str:
        """An identifier made of the type: ``Kron_float_59_8_2_16``."""
        return re.sub(r"\W+", "_", self.cpp_type.replace("kplib::", "")).strip("_")

    @property
    def namespace(self) -> str:
        """The C++ namespace of this program's entry points."""
        return f"kplib_compiled::{self.name}"

    @property
    def unit(self) -> str:
        """The translation unit that the loaders compile, headers by `#include`."""
        entry = ["Op", cpp_scalar(self.dtype)]
        if self.stored is not None:
            entry.append(cpp_scalar(self.stored))
        return "\n".join(
            [
                f'#include "{self.header}"',
                '#include "kplib/entry.hpp"',
                f"namespace {self.namespace} {{",
                f"using Op = {self.cpp_type};",
                f"using Entry = kplib::Entry<{', '.join(entry)}>;",
                "inline void table(std::intptr_t out) {",
                "    Entry::table(reinterpret_cast<std::intptr_t*>(out));",
                "}",
                "}",
                "",
            ]
        )

    @property
    def source(self) -> str:
        """The same unit with kplib's headers written out: it compiles alone, on any machine."""
        return _expand(self.unit, done=set())


def _expand(text: str, done: set[str]) -> str:
    lines = []
    for line in text.splitlines():
        include = re.fullmatch(r'#include "(?:kplib/)?(\w+\.hpp)"', line)
        if include is None:
            if line != "#pragma once":
                lines.append(line)
        elif include[1] not in done:
            done.add(include[1])
            lines.append(_expand((INCLUDE / "kplib" / include[1]).read_text(), done))
    return "\n".join(lines) + "\n"
