"""Instructions of one call on aarch64, counted one by one in an emulator: exact and repeatable.

Unicorn runs the functions of a static program, not the process: nothing of the start-up, of the
packing of the weights or of the C library's input and output is in a count.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from kplib.bench.arm.cases import ArmCase
from kplib.bench.arm.toolchain import numbers
from kplib.errors import MissingExtraError

__all__ = ["Block", "Counts", "count"]

_PAGE = 4096
_MEMORY = 0x1000_0000_0000  # far from any address of a static program
_MEMORY_BYTES = 64 << 20
_STACK_BYTES = 4 << 20
_IRELATIVE = 1032
FUSED = ("fmla", "fmls")
"""Multiply-adds of vectors; those of scalars are fmadd, fmsub, fnmadd, fnmsub."""
_COUNTED = ("instructions", "fmla", "fmadd", "flops", "loads", "stores", "elsewhere")
_FUSED_SCALAR = ("fmadd", "fmsub", "fnmadd", "fnmsub")


@dataclass(frozen=True)
class Block:
    """A straight line of code, as often as it was run.

    Attributes
    ----------
    address : int
        Of the first instruction.
    times : int
        How often it was entered.
    code : bytes
        Its instructions, four bytes each.
    """

    address: int
    times: int
    code: bytes = field(repr=False)

    @property
    def instructions(self) -> int:
        """How many instructions it has."""
        return len(self.code) // 4


@dataclass(frozen=True)
class Counts:
    """What one call executes.

    Attributes
    ----------
    instructions : int
        All of them, those of called functions too.
    fmla : int
        Vector multiply-adds, of up to four float32.
    fmadd : int
        Scalar multiply-adds.
    flops : int
        Floating-point operations of both: 2 for each lane. A sum's first term may be a
        multiplication alone, which is not among them.
    loads, stores : int
        Instructions that read or write memory.
    elsewhere : int
        Those of `instructions` that are the C library's: memcpy and memset.
    weight_bytes : int
        Of the packed weights, padding included.
    blocks : tuple of Block
        Where they were.
    y : ndarray
        What the call computed.
    """

    instructions: int
    fmla: int
    fmadd: int
    flops: int
    loads: int
    stores: int
    elsewhere: int
    weight_bytes: int
    blocks: tuple[Block, ...] = field(repr=False)
    y: np.ndarray = field(repr=False)

    def numbers(self) -> dict[str, int]:
        """Return the counts for a record."""
        return {name: getattr(self, name) for name in (*_COUNTED, "weight_bytes")}


def count(case: ArmCase, binary: Path) -> Counts:
    """Count what one call of a case's program executes.

    Parameters
    ----------
    case : ArmCase
        Its weights are packed first, uncounted.
    binary : Path
        Its static program for aarch64, from `kplib.bench.arm.toolchain.build`.

    Returns
    -------
    Counts

    Raises
    ------
    MissingExtraError
        If unicorn or pyelftools is not installed.
    RuntimeError
        If the program stops, or packs nothing.
    """
    machine = _Machine(binary)
    *operands, x = (machine.put(array.tobytes()) for array in numbers(case))
    pointers = machine.put(np.array(operands, np.uint64).tobytes())
    (packed,) = np.frombuffer(machine.read(machine.symbols["kplib_packed_bytes"], 8), np.int64)
    weights = machine.put(bytes(int(packed)))
    if machine.call("kplib_pack", pointers, weights) != 0:
        raise RuntimeError(f"{case.name}: the weights could not be packed in the emulator")
    (rows,) = case.program.y_shape
    y = machine.put(bytes(4 * rows))
    seen: Counter[tuple[int, int]] = Counter()
    with machine.counting(seen):
        machine.call("kplib_run", weights, x, y, case.length)
    blocks = _straight_lines(
        Block(address, times, machine.read(address, size))
        for (address, size), times in seen.items()
    )
    result = np.frombuffer(machine.read(y, 4 * rows), np.float32)
    return _counts(blocks, machine.of_kplib, int(packed), result)


def _straight_lines(entered: Iterable[Block]) -> tuple[Block, ...]:
    """Return the same code, cut where it branches and where it is entered more or less often.

    The emulator cuts it at the ends of pages and of its own buffers, too: where the program happens
    to lie in memory must not matter.
    """
    times: Counter[int] = Counter()
    words: dict[int, int] = {}
    for block in entered:
        for k, word in enumerate(np.frombuffer(block.code, np.uint32).tolist()):
            times[block.address + 4 * k] += block.times
            words[block.address + 4 * k] = word
    lines: list[list[int]] = []
    for address in sorted(words):
        last = lines[-1][-1] if lines else -1
        if address != last + 4 or times[address] != times[last] or _branches(words[last]):
            lines.append([])
        lines[-1].append(address)
    return tuple(
        Block(line[0], times[line[0]], b"".join(words[a].to_bytes(4, "little") for a in line))
        for line in lines
    )


def _branches(word: int) -> bool:
    """Tell whether an instruction is a branch, by the bits of Arm's encoding.

    Examples
    --------
    >>> [_branches(word) for word in (0x54000041, 0xD65F03C0, 0x4E22CC20)]  # b.ne, ret, fmla
    [True, True, False]
    """
    return (
        word >> 26 & 0x1F == 0x05  # b, bl
        or word >> 24 == 0x54  # b.cond
        or word >> 25 & 0x3F in (0x1A, 0x1B)  # cbz, cbnz, tbz, tbnz
        or word >> 25 == 0x6B  # br, blr, ret
    )


def _counts(
    blocks: Sequence[Block], of_kplib: Callable[[int], bool], weight_bytes: int, y: np.ndarray
) -> Counts:
    totals: Counter[str] = Counter()
    for block in blocks:
        for name, number in _of_code(block.code):
            totals[name] += number * block.times
        totals["instructions"] += block.instructions * block.times
        if not of_kplib(block.address):
            totals["elsewhere"] += block.instructions * block.times
    return Counts(
        **{name: totals[name] for name in _COUNTED},
        weight_bytes=weight_bytes,
        blocks=tuple(blocks),
        y=y,
    )


@lru_cache(maxsize=1 << 16)
def _of_code(code: bytes) -> tuple[tuple[str, int], ...]:
    """Return what the instructions of a block are."""
    totals: Counter[str] = Counter()
    for instruction in disassembled(code):
        name, operands = instruction.mnemonic, instruction.op_str
        if name in FUSED:
            totals["fmla"] += 1
            totals["flops"] += 2 * _lanes(operands)
        elif name in _FUSED_SCALAR:
            totals["fmadd"] += 1
            totals["flops"] += 2
        elif name.startswith("ld"):
            totals["loads"] += 1
        elif name.startswith("st"):
            totals["stores"] += 1
    return tuple(totals.items())


def _lanes(operands: str) -> int:
    """Return the lanes of the result in ``"v0.4s, v1.4s, v2.s[1]"``."""
    _, _, arrangement = operands.partition(",")[0].partition(".")
    return int(arrangement[0]) if arrangement[:1].isdigit() else 1


def disassembled(code: bytes, address: int = 0) -> list[Any]:
    """Return capstone's instructions; all of them, or a RuntimeError.

    Examples
    --------
    >>> [i.mnemonic for i in disassembled(bytes.fromhex("20cc224e"))]
    ['fmla']
    """
    found = list(_decoder().disasm(code, address))
    if 4 * len(found) != len(code):
        raise RuntimeError(f"{len(code) // 4 - len(found)} instructions are unknown to capstone")
    return found


@lru_cache(maxsize=1)
def _decoder() -> Any:
    try:
        import capstone
    except ImportError:
        raise MissingExtraError("capstone", "kernels") from None
    return capstone.Cs(capstone.CS_ARCH_ARM64, capstone.CS_MODE_ARM)


class _Machine:
    """A processor with a static program in its memory, a stack, and no operating system."""

    def __init__(self, binary: Path) -> None:
        try:
            import unicorn
            from unicorn import arm64_const
        except ImportError:
            raise MissingExtraError("unicorn", "bench") from None
        self._unicorn, self._registers = unicorn, arm64_const
        self._emulator = unicorn.Uc(unicorn.UC_ARCH_ARM64, unicorn.UC_MODE_ARM)
        self.symbols: dict[str, int] = {}
        self._sizes: dict[str, int] = {}
        self._emulator.mem_map(_MEMORY, _MEMORY_BYTES)
        self._end, self._free = _MEMORY, _MEMORY + _PAGE
        stack = _MEMORY + _MEMORY_BYTES
        self._emulator.mem_map(stack, _STACK_BYTES)
        self._stack = stack + _STACK_BYTES - _PAGE
        self._enable_vectors()
        self._load(binary)

    def _enable_vectors(self) -> None:
        registers, emulator = self._registers, self._emulator
        access = emulator.reg_read(registers.UC_ARM64_REG_CPACR_EL1)
        emulator.reg_write(registers.UC_ARM64_REG_CPACR_EL1, access | 3 << 20)
        emulator.reg_write(registers.UC_ARM64_REG_TPIDR_EL0, self._stack + _PAGE // 2)

    def _load(self, binary: Path) -> None:
        try:
            from elftools.elf.elffile import ELFFile
        except ImportError:
            raise MissingExtraError("pyelftools", "bench") from None
        with binary.open("rb") as file:
            elf: Any = ELFFile(file)
            segments = [part for part in elf.iter_segments() if part["p_type"] == "PT_LOAD"]
            low = min(part["p_vaddr"] for part in segments) // _PAGE * _PAGE
            high = max(part["p_vaddr"] + part["p_memsz"] for part in segments)
            self._emulator.mem_map(low, (high - low + _PAGE) // _PAGE * _PAGE)
            for part in segments:
                self._emulator.mem_write(part["p_vaddr"], part.data())
            for symbol in elf.get_section_by_name(".symtab").iter_symbols():
                self.symbols[symbol.name] = symbol["st_value"]
                self._sizes[symbol.name] = symbol["st_size"]
            relocations = [
                (entry["r_offset"], entry["r_addend"])
                for section in elf.iter_sections("SHT_RELA")
                for entry in section.iter_relocations()
                if entry["r_info_type"] == _IRELATIVE
            ]
        # The C library picks its memcpy at the start of a process: by asking these functions.
        for place, resolver in relocations:
            chosen = self._run(resolver, ())
            self._emulator.mem_write(place, chosen.to_bytes(8, "little"))

    def put(self, content: bytes) -> int:
        """Copy bytes into free memory, aligned as kplib's buffers are; return where."""
        address = self._free
        self._free += (len(content) + 63) // 64 * 64
        if self._free > _MEMORY + _MEMORY_BYTES:
            raise RuntimeError(f"the emulator has {_MEMORY_BYTES:,} bytes for buffers: too few")
        self._emulator.mem_write(address, content)
        return address

    def read(self, address: int, size: int) -> bytes:
        return bytes(self._emulator.mem_read(address, size))

    def of_kplib(self, address: int) -> bool:
        """Tell whether code is kplib's own: in a function with its name in it."""
        return any(
            self.symbols[name] <= address < self.symbols[name] + size
            for name, size in self._sizes.items()
            if "kplib" in name
        )

    def call(self, name: str, *arguments: int) -> int:
        """Call a function; return the integer that it returns."""
        return self._run(self.symbols[name], arguments)

    def _run(self, address: int, arguments: tuple[int, ...]) -> int:
        registers, emulator = self._registers, self._emulator
        for k in range(8):
            value = arguments[k] if k < len(arguments) else 0
            emulator.reg_write(registers.UC_ARM64_REG_X0 + k, value)
        emulator.reg_write(registers.UC_ARM64_REG_SP, self._stack)
        emulator.reg_write(registers.UC_ARM64_REG_LR, self._end)
        try:
            emulator.emu_start(address, self._end)
        except self._unicorn.UcError as error:
            at = emulator.reg_read(registers.UC_ARM64_REG_PC)
            raise RuntimeError(f"the emulator stopped at {at:#x}: {error}") from None
        return emulator.reg_read(registers.UC_ARM64_REG_X0)

    def counting(self, seen: Counter[tuple[int, int]]) -> "_Counting":
        """Count blocks by address and size while the context lasts."""
        return _Counting(self._emulator, self._unicorn.UC_HOOK_BLOCK, seen)


class _Counting:
    """The hook that counts blocks."""

    def __init__(self, emulator: Any, kind: int, seen: Counter[tuple[int, int]]) -> None:
        self._emulator, self._kind, self._seen = emulator, kind, seen

    def __enter__(self) -> None:
        seen = self._seen

        def entered(_emulator: Any, address: int, size: int, _data: Any) -> None:
            seen[address, size] += 1

        self._handle = self._emulator.hook_add(self._kind, entered)

    def __exit__(self, *_: object) -> None:
        self._emulator.hook_del(self._handle)
