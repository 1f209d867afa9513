"""What a recurrent network takes of a small device: bytes of flash and of RAM, part by part.

Counted as the papers count: one bias vector a gate, the head in float32 whatever the recurrent
layer is stored in, 1 KB = 1024 B. Program, stack and libraries are left out.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from kplib._checks import positive_integer
from kplib.errors import ShapeError
from kplib.experiments.cells import CELLS
from kplib.shapes import FactorShape, algorithm4, prime_factors

if TYPE_CHECKING:
    from kplib.experiments.benchmarks import Benchmark

__all__ = ["DEVICES", "Device", "Footprint", "known_device"]

LARGEST_SIZE = 4096
"""Of the sizes that are searched for one that fits."""

FLOAT32 = 4  # bytes


@dataclass(frozen=True, slots=True)
class Device:
    """A microcontroller, with the memory it is sold with.

    Parameters
    ----------
    name : str
        The part, and the board it is known from.
    core : str
        Its processor.
    flash_bytes, ram_bytes : int
        All there is, a bootloader's share included.

    Examples
    --------
    >>> from kplib.experiments import DEVICES, Device
    >>> mine = Device("my board", "Cortex-M0+", flash_bytes=32 << 10, ram_bytes=8 << 10)
    >>> mine.flash_bytes == DEVICES["atmega328p"].flash_bytes
    True
    """

    name: str
    core: str
    flash_bytes: int
    ram_bytes: int


# From pages on the boards and parts, of their makers and of vendors, not from the data sheets.
DEVICES: Mapping[str, Device] = MappingProxyType(
    {
        "stm32f030f4": Device("STM32F030F4", "Cortex-M0", 16 << 10, 4 << 10),
        "atmega328p": Device("ATmega328P (Arduino Uno)", "8-bit AVR", 32 << 10, 2 << 10),
        "stm32f103c8": Device("STM32F103C8 (Blue Pill)", "Cortex-M3", 64 << 10, 20 << 10),
        "nrf52833": Device("nRF52833 (micro:bit V2)", "Cortex-M4", 512 << 10, 128 << 10),
    }
)
"""Four well-known microcontrollers by name, the smallest flash first."""


def known_device(name: str) -> Device:
    """Return a device of `DEVICES`, or say which there are.

    Parameters
    ----------
    name : str
        Such as "atmega328p".

    Returns
    -------
    Device

    Raises
    ------
    ValueError
        If there is none of that name; it lists those that there are.

    Examples
    --------
    >>> known_device("atmega328p").ram_bytes == 2 * 1024
    True
    """
    if name not in DEVICES:
        raise ValueError(f"there is no device {name!r}; there are {', '.join(DEVICES)}")
    return DEVICES[name]


DIRECTIONS = (1, 2)
STORAGES = ("dense", "kronecker", "low_rank")
BITS = (32, 16, 8)


@dataclass(frozen=True, slots=True)
class Footprint:
    """The flash and RAM of a network of one recurrent layer and a linear head.

    Weights stay in flash, and a product with factors is computed without the matrix they stand
    for. RAM holds float32: the input of one step (of all steps if there are two directions: the
    second begins at the last one), h and c, the gates before their activation, whose place the
    logits take at the end, and what a product with factors keeps in between. Two directions run one
    after the other: each keeps its h, the rest they share.

    Parameters
    ----------
    cell : str
        "rnn", "lstm", "gru" or "fastrnn".
    input_size, hidden_size, classes : int
        The sizes, at least 1; `hidden_size` is that of one direction.
    directions : int
        1, or 2 for a bidirectional layer.
    steps : int
        Steps of a sequence. They matter for RAM, and only with two directions.
    storage : {"dense", "kronecker", "low_rank"}
        How gate matrices are stored: in full; each as two factors with the shapes of Algorithm 4;
        or the stacked matrix of all gates as U V. A GRU's candidate, which multiplies another
        vector than its two gates do, has a U V of its own.
    rank : int
        Columns of U and rows of V, where storage is "low_rank".
    bits : int
        32, 16 or 8 for each number of the recurrent layer, its biases included. The head stays at
        32, as in the papers.

    Raises
    ------
    ShapeError
        If a size is no positive integer, or the rank is above that of the matrix.
    ValueError
        If there is no such cell, storage, number of directions or of bits.

    Examples
    --------
    The papers' keyword spotter, dense and with Kronecker factors:

    >>> dense = Footprint("lstm", 10, 118, 12)
    >>> (dense.parameters, dense.flash == 4 * 62_316, dense.ram)
    (62316, True, 2872)
    >>> kronecker = Footprint("lstm", 10, 118, 12, storage="kronecker")
    >>> kronecker.parameters
    3916
    >>> kronecker.fits(flash_bytes=32 * 1024, ram_bytes=2 * 1024)
    False
    >>> kronecker.largest_hidden_size(flash_bytes=32 * 1024, ram_bytes=2 * 1024) == 82
    True
    """

    cell: str
    input_size: int
    hidden_size: int
    classes: int
    directions: int = 1
    steps: int = 1
    storage: str = "dense"
    rank: int = 1
    bits: int = 32

    def __post_init__(self) -> None:
        for name, choices in (
            ("cell", tuple(CELLS)),
            ("directions", DIRECTIONS),
            ("storage", STORAGES),
            ("bits", BITS),
        ):
            if getattr(self, name) not in choices:
                known = ", ".join(map(repr, choices))
                raise ValueError(f"{name} is {getattr(self, name)!r}, but must be one of {known}")
        for name in ("input_size", "hidden_size", "classes", "steps", "rank"):
            object.__setattr__(self, name, positive_integer(name, getattr(self, name)))
        if self.storage == "low_rank" and self.rank > self.max_rank:
            raise ShapeError(
                f"rank is {self.rank}, but the gate matrices of {self.hidden_size} hidden units "
                f"and {self.input_size} inputs have rank {self.max_rank} at most"
            )

    @classmethod
    def of(cls, benchmark: "Benchmark", **options: Any) -> "Footprint":
        """Return the footprint of one of the papers' networks.

        Parameters
        ----------
        benchmark : kplib.experiments.Benchmark
            Which one. With ``storage="kronecker"`` it has the hidden size of its Kronecker net,
            which for HAR1 is 178 instead of 179, a prime.
        **options
            Other fields: storage, rank, bits, ...

        Examples
        --------
        >>> from kplib.experiments import BENCHMARKS
        >>> Footprint.of(BENCHMARKS["har1-bilstm"]).hidden_size
        179
        >>> Footprint.of(BENCHMARKS["har1-bilstm"], storage="kronecker").hidden_size
        178
        """
        kronecker = options.get("storage") == "kronecker"
        hidden = benchmark.kp_gate_shape[0] if kronecker else benchmark.hidden_size
        sizes = {
            "cell": benchmark.cell,
            "input_size": benchmark.input_size,
            "hidden_size": hidden,
            "classes": benchmark.classes,
            "directions": benchmark.directions,
            "steps": benchmark.steps,
        }
        return cls(**{**sizes, **options})

    # flash

    @property
    def gate_shape(self) -> tuple[int, int]:
        """Rows and columns of one gate's matrix: hidden x (input + hidden)."""
        return self.hidden_size, self.input_size + self.hidden_size

    @property
    def factor_shape(self) -> FactorShape:
        """Algorithm 4's factors of a gate; a ShapeError, which says what to do, if it has none."""
        return algorithm4(*self.gate_shape)

    @property
    def has_factors(self) -> bool:
        """Whether Algorithm 4 is defined for the gate matrices: neither side a one or a prime."""
        return self._factors(self.hidden_size)

    @property
    def max_rank(self) -> int:
        """The largest rank that every stack of gate matrices can have."""
        rows, columns = self.gate_shape
        return min(columns, *(stacked * rows for stacked in CELLS[self.cell].stacks))

    @property
    def numbers(self) -> dict[str, int]:
        """Numbers stored, part by part: two of the gate matrices, then "biases" and "head".

        The two are "W_x" and "W_h", the factors "A" and "B", or "U" and "V".
        """
        cell, (rows, columns) = CELLS[self.cell], self.gate_shape
        if self.storage == "dense":
            matrices = {
                "W_x": cell.gates * rows * self.input_size,
                "W_h": cell.gates * rows * rows,
            }
        elif self.storage == "kronecker":
            shape = self.factor_shape
            matrices = {
                "A": cell.gates * shape.m1 * shape.n1,
                "B": cell.gates * shape.m2 * shape.n2,
            }
        else:
            matrices = {
                "U": self.rank * cell.gates * rows,
                "V": self.rank * len(cell.stacks) * columns,
            }
        matrices["biases"] = cell.gates * rows + cell.scalars
        head = self.classes * self.directions * rows + self.classes
        return {name: self.directions * count for name, count in matrices.items()} | {"head": head}

    @property
    def parameters(self) -> int:
        """All numbers stored."""
        return sum(self.numbers.values())

    @property
    def flash_parts(self) -> dict[str, int]:
        """Bytes of flash, by the names of `numbers`."""
        return {
            name: count * (FLOAT32 if name == "head" else self.bits // 8)
            for name, count in self.numbers.items()
        }

    @property
    def flash(self) -> int:
        """Bytes of flash."""
        return sum(self.flash_parts.values())

    # RAM and time

    @property
    def ram_parts(self) -> dict[str, int]:
        """Bytes of RAM: "input", "state", "gates" (later logits), and "between" two factors."""
        cell, rows = CELLS[self.cell], self.hidden_size
        inputs = self.input_size * (self.steps if self.directions == 2 else 1)
        values = {
            "input": inputs,
            "state": (self.directions + cell.states - 1) * rows,
            "gates": max(cell.gates * rows, self.classes),
            "between": self._between(),
        }
        return {name: FLOAT32 * count for name, count in values.items()}

    def _between(self) -> int:
        if self.storage == "low_rank":
            return self.rank
        if self.storage == "kronecker":
            shape = self.factor_shape
            return shape.n1 * shape.m2 if shape.order == "b_first" else shape.m1 * shape.n2
        return 0

    @property
    def ram(self) -> int:
        """Bytes of RAM."""
        return sum(self.ram_parts.values())

    @property
    def multiplications(self) -> int:
        """Multiplications of a step in the products with the gate matrices, all directions."""
        if self.storage == "kronecker":
            gates = CELLS[self.cell].gates
            return self.directions * gates * self.factor_shape.macs
        return sum(count for name, count in self.numbers.items() if name not in ("biases", "head"))

    # against a device

    def fits(self, flash_bytes: int, ram_bytes: int) -> bool:
        """Return whether this much flash and RAM hold the network (and nothing else)."""
        return self.flash <= flash_bytes and self.ram <= ram_bytes

    def largest_hidden_size(self, flash_bytes: int, ram_bytes: int) -> int:
        """Return the largest hidden size that fits, all else as it is; 0 if none does.

        With Kronecker factors the size is no monotone function of the hidden size, and sizes that
        have no factors are passed over. None above 4,096 is looked at.
        """
        for hidden in range(LARGEST_SIZE, 0, -1):
            try:
                candidate = replace(self, hidden_size=hidden)
            except ShapeError:  # below this the rank is too high
                return 0
            if self.storage == "kronecker" and not candidate.has_factors:
                continue
            if candidate.fits(flash_bytes, ram_bytes):
                return hidden
        return 0

    def nearest_hidden_sizes(self) -> list[int]:
        """Return the nearest hidden sizes, one below and one above, that Algorithm 4 can factor."""
        below = next((k for k in range(self.hidden_size - 1, 0, -1) if self._factors(k)), None)
        above = self.hidden_size + 1
        while not self._factors(above):
            above += 1
        return [above] if below is None else [below, above]

    def _factors(self, hidden: int) -> bool:
        """Whether neither side of a gate's matrix is a one or a prime."""
        return all(len(prime_factors(size)) > 1 for size in (hidden, self.input_size + hidden))
