"""Made-up machines: the files below /proc and /sys by which the rules judge."""

import os
import struct
from pathlib import Path

ARM_CPU = """processor\t: {cpu}
BogoMIPS\t: 108.00
Features\t: fp asimd evtstrm crc32 cpuid
CPU implementer\t: 0x41
CPU architecture: 8
CPU variant\t: 0x0
CPU part\t: {part}
CPU revision\t: 3

"""
X86_CPU = "processor\t: 0\nvendor_id\t: AuthenticAMD\nflags\t\t: fpu sse2 hypervisor\n\n"
AARCH64, X86 = 183, 62
WITH_VDSO = struct.pack("<4Q", 33, 0xFFFF80000000, 0, 0)
WITHOUT_VDSO = struct.pack("<4Q", 6, 4096, 0, 0)


def elf(machine: int) -> bytes:
    """The first bytes of an executable."""
    return b"\x7fELF\x02\x01\x01".ljust(18, b"\0") + struct.pack("<H", machine) + bytes(44)


def make(root: Path, files: dict[str, str | bytes | None]) -> Path:
    """Write files below `root`; None removes one that was there."""
    for name, text in files.items():
        path = root / name
        if text is None:
            path.unlink()
            continue
        path.parent.mkdir(parents=True, exist_ok=True)
        path.unlink(missing_ok=True)
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return root


def hikey(root: Path) -> Path:
    """A HiKey 960, set up as the procedure asks: four A53, four A73."""
    files: dict[str, str | bytes | None] = {
        "proc/device-tree/model": b"HiKey960\0",
        "proc/device-tree/compatible": b"hisilicon,hi3660-hikey960\0hisilicon,hi3660\0",
        "proc/cpuinfo": "".join(
            ARM_CPU.format(cpu=cpu, part="0xd03" if cpu < 4 else "0xd09") for cpu in range(8)
        ),
        "proc/sys/kernel/arch": "aarch64\n",
        "proc/self/auxv": WITH_VDSO,
        "bin/program": elf(AARCH64),
        "proc/loadavg": "0.10 0.20 0.30 1/200 4711\n",
    }
    for cpu in range(8):
        folder = f"sys/devices/system/cpu/cpu{cpu}"
        big = cpu >= 4
        files |= {
            f"{folder}/regs/identification/midr_el1": f"0x00000000410fd0{'9' if big else '3'}2\n",
            f"{folder}/cpufreq/cpuinfo_max_freq": f"{2362000 if big else 1844000}\n",
            f"{folder}/cpufreq/scaling_cur_freq": f"{2362000 if big else 1844000}\n",
            f"{folder}/cpufreq/scaling_governor": "performance\n",
        }
    make(root, files)
    for name in ("self", "thread-self"):
        (root / "proc" / name).mkdir(parents=True, exist_ok=True)
        link = root / "proc" / name / "exe"
        link.unlink(missing_ok=True)
        os.symlink(root / "bin/program", link)
    return root
