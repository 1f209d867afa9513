"""The machine code at an address, as text."""

import ctypes
import platform
from typing import Any

from kplib.errors import MissingExtraError

_MOST_BYTES = 1 << 20


def disassemble(address: int) -> str:
    """Return the instructions of the function at `address`, up to its last return.

    A function may return in the middle and go on behind: reading stops at a return that no jump
    seen so far leads beyond.

    Parameters
    ----------
    address
        Of a compiled function in this process.

    Returns
    -------
    str
        One instruction a line: offset in bytes, mnemonic, operands.
    """
    try:
        import capstone
    except ImportError:
        raise MissingExtraError("capstone", "kernels") from None

    if platform.machine() in ("aarch64", "arm64"):
        decoder = capstone.Cs(capstone.CS_ARCH_ARM64, capstone.CS_MODE_ARM)
    else:
        decoder = capstone.Cs(capstone.CS_ARCH_X86, capstone.CS_MODE_64)
    decoder.detail = True
    lines, furthest, at = [], address, address
    while at - address < _MOST_BYTES:
        instruction = _next_instruction(decoder, at)
        if instruction is None:
            break
        text = f"{instruction.mnemonic} {instruction.op_str}".rstrip()
        lines.append(f"{at - address:6d}  {text}")
        jump = instruction.group(capstone.CS_GRP_JUMP)
        if jump and instruction.op_str.startswith(("0x", "#0x")):
            target = int(instruction.op_str.lstrip("#"), 16)
            if target - address < _MOST_BYTES:
                furthest = max(furthest, target)
        leaves = instruction.group(capstone.CS_GRP_RET) or instruction.mnemonic in (
            "jmp",
            "b",
            "ud2",
        )
        at += instruction.size
        if leaves and at > furthest:
            break
    return "\n".join(lines)


def _next_instruction(decoder: Any, at: int) -> Any:
    """Decode one instruction; touch the next page only if the instruction reaches into it."""
    longest = 15  # bytes, on x86
    left_on_page = 4096 - at % 4096
    for size in (min(longest, left_on_page), longest):
        instruction = next(decoder.disasm(ctypes.string_at(at, size), at, count=1), None)
        if instruction is not None:
            return instruction
    return None
