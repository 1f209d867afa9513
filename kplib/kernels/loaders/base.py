"""What every loader gives: programs turned into kernels, kernels with weights into callables."""

import ctypes
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np

from kplib.kernels.buffers import aligned_empty
from kplib.kernels.program import Program

_MESSAGE_SIZE = 256
_CALL = ctypes.CFUNCTYPE(
    ctypes.c_int, ctypes.c_void_p, ctypes.c_void_p, ctypes.c_void_p, ctypes.c_long, ctypes.c_long,
    ctypes.c_char_p, ctypes.c_long,
)  # fmt: skip
_PACK = ctypes.CFUNCTYPE(
    ctypes.c_int, ctypes.c_void_p, ctypes.c_void_p, ctypes.c_char_p, ctypes.c_long
)


class Implementation(Protocol):
    """A program with its weights: what an operation calls. The caller checks all buffers."""

    @property
    def run_address(self) -> int | None:
        """Address of the compiled function, if there is one."""

    @property
    def weights_address(self) -> int | None:
        """Address of the packed weights, if there are any."""

    @property
    def weight_bytes(self) -> int:
        """Bytes of the weights as they are stored."""

    def call(self, x: np.ndarray, y: np.ndarray, count: int, length: int = 1) -> None:
        """Compute `count` results, each from `length` vectors of the contiguous x."""

    def bind(self, x: np.ndarray, y: np.ndarray, count: int, length: int = 1) -> Callable[[], None]:
        """Return a callable that does `call(x, y, count, length)` and nothing else."""


class Loader(Protocol):
    """One way to get from a program to an implementation."""

    name: str

    def missing(self) -> str:
        """Return why this loader cannot be used here, or "" if it can."""

    def flags(self) -> str:
        """Return the compiler flags that it uses."""

    def implement(self, program: Program, operands: tuple[np.ndarray, ...]) -> Implementation:
        """Compile the program (once) and pack these operands."""


@dataclass(frozen=True)
class Kernel:
    """A compiled program: what `kplib::Entry::table` gives."""

    packed: int
    run_address: int
    vector_address: int
    call: Callable[..., int]
    pack: Callable[..., int]
    keep_alive: object = field(repr=False)

    @classmethod
    def from_table(cls, fill: Callable[[int], None], keep_alive: object) -> "Kernel":
        """Read the entries through `fill`, a function that writes five integers at an address."""
        table = (ctypes.c_ssize_t * 5)()
        fill(ctypes.addressof(table))
        packed, run, vector, call, pack = table
        return cls(packed, run, vector, _CALL(call), _PACK(pack), keep_alive)


class CompiledImplementation:
    """A kernel with its packed weights, which are never written again: threads may share it."""

    def __init__(self, kernel: Kernel, program: Program, operands: tuple[np.ndarray, ...]) -> None:
        self._kernel = kernel
        self._weights = aligned_empty(kernel.packed, program.stored or program.dtype)
        numbers = [operand.astype(program.dtype, copy=False) for operand in operands]
        parts = np.array([address(operand) for operand in numbers], np.uintp)
        _checked(kernel.pack, address(parts), address(self._weights))
        self._weights.flags.writeable = False
        self._weights_address = address(self._weights)

    @property
    def run_address(self) -> int:
        """Address of ``void run(weights, x, y)``; a sequence's takes its length as the fourth."""
        return self._kernel.vector_address or self._kernel.run_address

    @property
    def weights_address(self) -> int:
        """Address of the packed weights."""
        return self._weights_address

    @property
    def weight_bytes(self) -> int:
        """Bytes of the packed weights, padding included."""
        return self._weights.nbytes

    def call(self, x: np.ndarray, y: np.ndarray, count: int, length: int = 1) -> None:
        """Compute `count` results; the GIL is released meanwhile."""
        _checked(self._kernel.call, self.weights_address, address(x), address(y), count, length)

    def bind(self, x: np.ndarray, y: np.ndarray, count: int, length: int = 1) -> Callable[[], None]:
        """Return a callable on these buffers through ctypes."""
        function = self._kernel.call
        arguments = (
            ctypes.c_void_p(self.weights_address), ctypes.c_void_p(address(x)),
            ctypes.c_void_p(address(y)), ctypes.c_long(count), ctypes.c_long(length),
            None, ctypes.c_long(0),
        )  # fmt: skip
        buffers = (self, x, y)

        def run() -> None:
            if function(*arguments):
                implementation, source, target = buffers
                implementation.call(source, target, count, length)  # again, for the message

        return run


def address(array: np.ndarray) -> int:
    """Return where the first entry lies (`ndarray.ctypes.data`, at a third of its price)."""
    return array.__array_interface__["data"][0]


def _checked(function: Callable[..., int], *arguments: int) -> None:
    status = function(*arguments, None, 0)
    if status == 0:
        return
    message = ctypes.create_string_buffer(_MESSAGE_SIZE)
    status = function(*arguments, message, _MESSAGE_SIZE)
    if status == 1:
        raise MemoryError("the kernel could not allocate its scratch memory")
    raise RuntimeError(message.value.decode(errors="replace"))
