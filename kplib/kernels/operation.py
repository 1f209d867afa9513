"""What compiled products and compiled networks have in common: a program with its weights."""

from typing import Any, NoReturn

import numpy as np

from kplib.kernels import loaders
from kplib.kernels.disassembly import disassemble
from kplib.kernels.program import Program


class CompiledOperation:
    """A program that a loader has compiled, with its packed weights, which never change.

    Attributes
    ----------
    dtype : numpy.dtype
        float32 or float64: of the argument and the result, and of weights that are not int8.
    loader : str
        What compiled it: "cppyy", "compiler" or "numpy".
    flags : str
        The compiler flags.
    """

    def __init__(
        self, program: Program, operands: tuple[np.ndarray, ...], loader: str | None
    ) -> None:
        chosen = loaders.choose(loader)
        # A dtype equals None where that stands for float64, so None is asked for first.
        packed = tuple(
            np.require(
                operand,
                operand.dtype
                if program.stored is not None and operand.dtype == program.stored
                else program.dtype,
                ["C", "A"],
            )
            for operand in operands
        )
        self._program = program
        self._implementation = chosen.implement(program, packed)
        self.loader = chosen.name
        self.flags = chosen.flags()
        self.dtype = program.dtype

    @property
    def source(self) -> str:
        """The C++ that was compiled, kplib's headers included: it compiles alone."""
        return self._program.source

    @property
    def weight_bytes(self) -> int:
        """Bytes of the packed weights: all constants of the operation, padding included."""
        return self._implementation.weight_bytes

    def assembly(self) -> str:
        """Return the machine code of one call, disassembled from memory.

        Raises
        ------
        ValueError
            Under the NumPy loader, which compiles nothing.
        """
        address = self._implementation.run_address
        if address is None:
            raise ValueError(
                f"the loader {self.loader!r} compiles nothing, so there is no assembly"
            )
        return disassemble(address)

    def __copy__(self) -> "CompiledOperation":
        return self  # nothing of it changes

    def __deepcopy__(self, memo: dict[int, Any]) -> "CompiledOperation":
        return self

    def __reduce__(self) -> NoReturn:
        raise TypeError(
            f"{type(self).__name__} holds machine code of this process and cannot be pickled; "
            f"send what it was compiled from, and compile it there"
        )
