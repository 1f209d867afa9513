"""An exported network with the test program around it, linked into the memory of a device."""

import re
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from string import Template

from kplib.bench.devices.devices import STACK_BYTES, Arduino, CortexM, Device
from kplib.engine.export import CExport, export_c
from kplib.engine.stored import Weights
from kplib.nn import Classifier

NATIVE = Path(__file__).parent / "native"
NAME = "net"
FLAGS = ("-std=c99", "-Os", "-ffunction-sections", "-fdata-sections")
_OVERFLOW = re.compile(r"region\s+[`']?(\w+)'?\s+overflowed by (\d+) bytes")
_END = re.compile(r"address (0x[0-9a-f]+) of \S+ section \S+ is not within region .data")
_NO_PLACE = re.compile(r"section \S+ will not fit in region .text")
_ARRAY = re.compile(r"size of array .+ is too large")
_UNO_RAM_BEGINS = 0x80_0100  # as the linker counts


class DeviceError(ValueError):
    """A program that cannot be built or run: a tool is missing, or ends with an error."""


class DoesNotFitError(ValueError):
    """A network that has no place on a device.

    Parameters
    ----------
    device : Device
        Which one.
    excess : mapping of str to int
        By how many bytes the linker found "flash" or "RAM" exceeded.
    at_least : bool
        Whether it may be more: where the compiler refused a table, nothing was linked.
    """

    def __init__(self, device: Device, excess: Mapping[str, int], at_least: bool = False) -> None:
        self.device = device
        self.excess = dict(excess)
        self.at_least = at_least
        limits = {"flash": device.flash_bytes, "RAM": device.ram_bytes}
        by = " and ".join(
            f"{'at least ' if at_least else ''}{count:,} bytes more than the {limits[memory]:,} of "
            f"{memory}"
            for memory, count in self.excess.items()
        )
        super().__init__(f"does not fit {device.title}: it takes {by}")


@dataclass(frozen=True)
class Program:
    """A program that fits.

    Parameters
    ----------
    device : Device
        For which it is.
    path : Path
        The linked file.
    export : CExport
        The network in it.
    flash_bytes : int
        Code, constants and what static data begin with.
    static_bytes : int
        Of RAM, without the stack.
    """

    device: Device
    path: Path
    export: CExport
    flash_bytes: int
    static_bytes: int


def find_tool(name: str) -> str:
    """Return the path of a compiler or emulator.

    Raises
    ------
    DeviceError
        If it is not installed.
    """
    path = shutil.which(name)
    if path is None:
        raise DeviceError(
            f"{name} is missing; `python3 tools/prerequisites.py --install test` installs it"
        )
    return path


def build_program(model: Classifier, device: Device, weights: Weights, folder: Path) -> Program:
    """Export a network, and link it for a device, within its memory.

    Parameters
    ----------
    model : Classifier
        In one direction: the test program takes a row at a time.
    device : Device
        For which.
    weights : {"float32", "int8"}
        How the constants are stored.
    folder : Path
        Where the files are written.

    Returns
    -------
    Program

    Raises
    ------
    DoesNotFitError
        If the linker finds flash or RAM, 384 bytes for the stack included, exceeded.
    DeviceError
        If a tool is missing or fails.
    ValueError
        If the model runs in both directions, or has no form in C.
    """
    export = _export(model, weights, folder)
    path = folder / f"{device.name}.elf"
    said = _link(device, export.source, path)
    if said is not None:
        raise _failure(device, export, said)
    flash_bytes, static_bytes = _sizes(device, path)
    return Program(device, path, export, flash_bytes, static_bytes)


def build_for_computer(model: Classifier, weights: Weights, folder: Path) -> Path:
    """Export a network, and link the same test program for this computer; return its path."""
    export = _export(model, weights, folder)
    path = folder / "computer"
    sources = [export.source, NATIVE / "main.c", NATIVE / "computer.c"]
    _build_here([*FLAGS, f"-I{NATIVE}", f"-I{folder}", *sources, "-o", path, "-lm"])
    return path


def build_simulator(folder: Path) -> Path:
    """Build what runs the programs of an Arduino Uno, around the library of simavr.

    Returns
    -------
    Path
        Of the simulator.
    """
    path = folder / "simulate_uno"
    _build_here(["-O2", NATIVE / "simulate_uno.c", "-o", path, "-lsimavr"])
    return path


def linker_script(device: CortexM, stack_bytes: int = STACK_BYTES) -> str:
    """Return the linker script that gives a program no more memory than the device has.

    Examples
    --------
    >>> from kplib.bench.devices.devices import DEVICES
    >>> "LENGTH = 2048" in linker_script(DEVICES["cortex-m3"])
    True
    """
    return Template((NATIVE / "cortex_m.ld").read_text()).substitute(
        flash_origin=hex(device.flash_origin),
        flash_bytes=device.flash_bytes,
        ram_origin=hex(device.ram_origin),
        ram_bytes=device.ram_bytes,
        stack_bytes=stack_bytes,
    )


def _export(model: Classifier, weights: Weights, folder: Path) -> CExport:
    if getattr(model.rnn, "bidirectional", False):
        raise ValueError(
            "a network in both directions needs the whole sequence in memory; the test program "
            "takes a row at a time"
        )
    return export_c(model, folder / NAME, weights=weights, name=NAME)


def _build_here(arguments: Sequence[str | Path]) -> None:
    done = subprocess.run(
        [find_tool("gcc"), *map(str, arguments)], capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise DeviceError(f"gcc failed: {_last_line(done.stderr)}")


def _link(device: Device, source: Path, path: Path) -> str | None:
    """Compile and link; return what the tools said if they failed."""
    folder = source.parent
    more: list[str | Path]
    if isinstance(device, CortexM):
        script = folder / f"{device.name}.ld"
        script.write_text(linker_script(device))
        more = [NATIVE / "cortex_m.c", "-nostartfiles", "-T", script]
    elif isinstance(device, Arduino):
        symbols = {
            "__TEXT_REGION_LENGTH__": device.flash_bytes,
            "__DATA_REGION_LENGTH__": device.ram_bytes - STACK_BYTES,
            "stack_bottom": "__heap_start",
            "stack_top": device.ram_end,
        }
        defined = ",".join(f"--defsym={name}={value}" for name, value in symbols.items())
        more = [NATIVE / "uno.c", f"-Wl,{defined}"]
    else:
        raise TypeError(f"no tools are known for {device}")
    command = [
        find_tool(f"{device.prefix}gcc"), *FLAGS, *device.flags, f"-I{NATIVE}", f"-I{folder}",
        source, NATIVE / "main.c", *more, "-Wl,--gc-sections", "-o", path, "-lm",
    ]  # fmt: skip
    done = subprocess.run([*map(str, command)], capture_output=True, text=True, check=False)
    return done.stderr if done.returncode else None


def _failure(device: Device, export: CExport, said: str) -> ValueError:
    """Return what compiler or linker mean: too large for a memory, or something else."""
    excess: dict[str, int] = {}
    for region, count in _OVERFLOW.findall(said):
        memory = "flash" if region == "FLASH" else "RAM"
        excess[memory] = max(excess.get(memory, 0), int(count))
    for address in _END.findall(said):
        end = _UNO_RAM_BEGINS + device.ram_bytes - STACK_BYTES
        excess["RAM"] = max(excess.get("RAM", 0), int(address, 16) - end)
    if not excess and _NO_PLACE.search(said):  # avr-ld does not say by how much
        larger = replace(device, flash_bytes=4 * device.flash_bytes)
        path = export.source.with_name("too-large.elf")
        if _link(larger, export.source, path) is None:
            excess["flash"] = _sizes(device, path)[0] - device.flash_bytes
    if excess:
        return DoesNotFitError(device, excess)
    over = export.weight_bytes - device.flash_bytes
    if _ARRAY.search(said) and over > 0:  # avr-gcc's objects end at 32,767 bytes
        return DoesNotFitError(device, {"flash": over}, at_least=True)
    return DeviceError(f"{device.prefix}gcc failed: {_last_line(said)}")


def _sizes(device: Device, path: Path) -> tuple[int, int]:
    """Return bytes of flash and of static RAM, from the sections of a linked file."""
    done = subprocess.run(
        [find_tool(f"{device.prefix}size"), "-A", str(path)],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    rows = re.findall(r"^(\.\S+)\s+(\d+)\s+\d+\s*$", done.stdout, re.MULTILINE)
    section = {name: int(size) for name, size in rows}
    flash = sum(section.get(name, 0) for name in (".text", ".ARM.exidx", ".data"))
    return flash, section.get(".data", 0) + section.get(".bss", 0)


def _last_line(text: str) -> str:
    lines = [line for line in text.splitlines() if not line.startswith("collect2")]
    errors = [line for line in lines if "error" in line]
    return (errors or lines or ["without a word"])[-1]
