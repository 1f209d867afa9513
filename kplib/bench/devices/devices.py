"""The devices: what memory they have, what compiles for them and what runs their programs."""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

FLASH_BYTES = 32 * 1024
RAM_BYTES = 2 * 1024
STACK_BYTES = 384
"""Of RAM, kept for the stack: no network of the papers in one direction needs as many."""


@dataclass(frozen=True)
class Device:
    """A microcontroller with the memory of the papers' introduction.

    Parameters
    ----------
    name : str
        As the command takes it.
    title : str
        Processor or board, and what stands in for it.
    flash_bytes, ram_bytes : int
        What a program may take; of RAM with the stack.
    unit : {"instructions", "cycles"}
        What is counted. An emulator of a Cortex-M knows no cycles.
    prefix : str
        With which the names of the compiler's programs begin.
    flags : tuple of str
        Of the processor, for compiler and linker.
    """

    name: str
    title: str
    flash_bytes: int
    ram_bytes: int
    unit: str
    prefix: str
    flags: tuple[str, ...]


@dataclass(frozen=True)
class CortexM(Device):
    """A Cortex-M in qemu, whose boards have megabytes: the linker script takes them away.

    Parameters
    ----------
    machine : str
        Of qemu.
    flash_origin, ram_origin : int
        Where the memories begin.
    clock_mhz : float
        Of SysTick.
    """

    machine: str
    flash_origin: int
    ram_origin: int
    clock_mhz: float


@dataclass(frozen=True)
class Arduino(Device):
    """An Arduino in simavr.

    Parameters
    ----------
    chip : str
        Its name for simavr.
    ram_end : int
        The address after its RAM, as the linker counts.
    """

    chip: str
    ram_end: int


def _cortex_m(
    name: str, title: str, machine: str, flags: str, clock_mhz: float = 25.0, secure: int = 0
) -> CortexM:
    return CortexM(
        name=name,
        title=title,
        flash_bytes=FLASH_BYTES,
        ram_bytes=RAM_BYTES,
        unit="instructions",
        prefix="arm-none-eabi-",
        flags=("-mthumb", *flags.split()),
        machine=machine,
        flash_origin=secure,
        ram_origin=0x2000_0000 + secure,
        clock_mhz=clock_mhz,
    )


_ALL = (
    _cortex_m("cortex-m3", "Cortex-M3, no floating-point unit", "mps2-an385", "-mcpu=cortex-m3"),
    _cortex_m(
        "cortex-m4f",
        "Cortex-M4F",
        "mps2-an386",
        "-mcpu=cortex-m4 -mfloat-abi=hard -mfpu=fpv4-sp-d16",
    ),
    _cortex_m(
        "cortex-m55",
        "Cortex-M55 with vectors (Helium)",
        "mps3-an547",
        "-mcpu=cortex-m55 -mfloat-abi=hard",
        clock_mhz=32.0,
        secure=0x1000_0000,
    ),
    Arduino(
        name="arduino-uno",
        title="Arduino Uno (ATmega328P)",
        flash_bytes=FLASH_BYTES,
        ram_bytes=RAM_BYTES,
        unit="cycles",
        prefix="avr-",
        flags=("-mmcu=atmega328p",),
        chip="atmega328p",
        ram_end=0x80_0900,
    ),
)
DEVICES: Mapping[str, Device] = MappingProxyType({device.name: device for device in _ALL})
"""By name."""


def chosen_devices(names: list[str] | None) -> list[Device]:
    """Return the devices of these names, all unless there are any.

    Raises
    ------
    ValueError
        If there is no such device.

    Examples
    --------
    >>> [device.ram_bytes for device in chosen_devices(["arduino-uno"])] == [2048]
    True
    """
    wrong = [name for name in names or () if name not in DEVICES]
    if wrong:
        raise ValueError(f"there is no device {wrong[0]!r}; there are: {', '.join(DEVICES)}")
    return [DEVICES[name] for name in names or DEVICES]
