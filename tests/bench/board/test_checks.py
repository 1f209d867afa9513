"""Whether a machine is a board: made-up /proc and /sys, and the one that the tests run on."""

import importlib.util
import os
import platform
import sys
from pathlib import Path

import pytest

from kplib.bench.board import checks

# The tests are imported by path ("importlib" mode), so their helper is, too.
_spec = importlib.util.spec_from_file_location("machines", Path(__file__).with_name("machines.py"))
machines = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(machines)


@pytest.fixture
def root(tmp_path):
    return machines.hikey(tmp_path)


def look(root, **options):
    return checks.look(root, "aarch64", **options)


def test_a_hikey_is_a_board(root):
    machine = look(root)
    assert machine["found"] == "board"
    assert machine["against"] == []
    assert machine["model"] == "HiKey960"
    cores = [core["core"] for core in machine["cores"]]
    assert cores == ["Cortex-A53"] * 4 + ["Cortex-A73"] * 4
    assert machine["cores"][7] == {
        "cpu": 7, "core": "Cortex-A73", "midr": "0x410fd092", "max_khz": 2362000
    }  # fmt: skip
    assert machine["cpu"] == 7, "the fastest core, and of equals the last"
    assert look(root, cpu=2)["cpu"] == 2


def test_its_midr_can_come_from_the_list_of_processors(root):
    for cpu in range(8):
        (root / f"sys/devices/system/cpu/cpu{cpu}/regs/identification/midr_el1").unlink()
    machine = look(root)
    assert [core["midr"] for core in machine["cores"]][3:5] == ["0x410fd033", "0x410fd093"]


OTHERS = {
    # qemu-user: what it cannot hide, each sign alone
    "the kernel's architecture": ("emulated", {"proc/sys/kernel/arch": "x86_64\n"}),
    "an x86 processor list": ("emulated", {"proc/cpuinfo": machines.X86_CPU}),
    "no Arm core in the list": ("emulated", {"proc/cpuinfo": "processor\t: 0\nmodel\t: ?\n\n"}),
    "no vDSO": ("emulated", {"proc/self/auxv": machines.WITHOUT_VDSO}),
    "an x86 executable": ("emulated", {"bin/program": machines.elf(machines.X86)}),
    "another executable": ("emulated", {"proc/thread-self/exe": machines.elf(machines.AARCH64)}),
    # virtual machines
    "QEMU's machine virt": ("virtual", {"proc/device-tree/compatible": b"linux,dummy-virt\0"}),
    "QEMU's fw-cfg": ("virtual", {"proc/device-tree/fw-cfg@9020000/compatible": b"qemu,fw\0"}),
    "a hypervisor node": ("virtual", {"proc/device-tree/hypervisor/compatible": b"xen,xen\0"}),
    "Azure, as hosted runners are": (
        "virtual",
        {
            "sys/class/dmi/id/sys_vendor": "Microsoft Corporation\n",
            "sys/class/dmi/id/product_name": "Virtual Machine\n",
        },
    ),
    "Graviton": ("virtual", {"sys/class/dmi/id/sys_vendor": "Amazon EC2\n"}),
    "Xen": ("virtual", {"sys/hypervisor/type": "xen\n"}),
    "virtio": ("virtual", {"sys/bus/virtio/devices/virtio0/device": "0x0001\n"}),
    "a Raspberry Pi that QEMU plays": ("virtual", {"sys/block/mmcblk0/device/name": "QEMU!\n"}),
    # neither
    "a server's core": (
        "server",
        {
            f"sys/devices/system/cpu/cpu{cpu}/regs/identification/midr_el1": "0x410fd491\n"
            for cpu in range(8)
        },
    ),
    "a container": ("unknown", {"proc/device-tree/model": None}),
}


@pytest.mark.parametrize("name", OTHERS)
def test_one_sign_is_enough_against_a_board(root, name):
    kind, files = OTHERS[name]
    if name == "another executable":
        (root / "proc/thread-self/exe").unlink()
        machines.make(root, {"bin/qemu": files["proc/thread-self/exe"]})
        os.symlink(root / "bin/qemu", root / "proc/thread-self/exe")
    else:
        machines.make(root, files)
    machine = look(root)
    assert machine["found"] == kind
    assert len(machine["against"]) >= 1
    assert all(reason in checks.refusal(machine) for reason in machine["against"])


def test_another_architecture_is_no_board(root):
    assert checks.look(root, "x86_64")["found"] in ("emulated", "other")
    machines.make(root, {"proc/sys/kernel/arch": "x86_64\n"})
    machine = checks.look(root, "x86_64")
    assert machine["found"] == "other"
    assert machine["against"] == ["its architecture is x86_64, not aarch64"]


@pytest.mark.skipif(platform.machine() == "aarch64", reason="this may be a board")
def test_the_machine_of_these_tests_is_no_board():
    assert checks.look()["found"] == "other"


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="nothing to pin with")
def test_pinning_is_what_it_says():
    before = os.sched_getaffinity(0)
    try:
        machine = checks.look(cpu=min(before), pin=True)
        assert machine["pinned"]
        assert os.sched_getaffinity(0) == {min(before)} == {machine["cpu"]}
    finally:
        os.sched_setaffinity(0, before)


def test_a_core_that_is_not_there_is_never_chosen(root):
    assert look(root, cpu=99)["cpu"] == 7


def test_a_label_makes_no_board():
    assert checks.kind("board", "") == "board"
    for label in ("", "server core"):
        for found in checks.KINDS[1:]:
            assert checks.kind(found, label) != "board"
    assert checks.kind("board", "server core") == "server"
    assert checks.kind("emulated", "server core") == "emulated"
    assert checks.kind("other", "server core") == "other"


# How it is set up ---------------------------------------------------------------------------------


def test_a_board_as_the_procedure_asks_has_no_warning(root):
    machines.make(root, {"vcgencmd": "throttled=0x0\n"})
    assert checks.conditions(look(root), root) == {
        "governor": "performance", "khz": 2362000, "throttled": "0x0",
        "load": [0.1, 0.2, 0.3], "warnings": [],
    }  # fmt: skip


def test_what_the_system_does_not_say_is_none(tmp_path):
    machines.make(tmp_path, {"proc/cpuinfo": machines.ARM_CPU.format(cpu=0, part="0xd08")})
    machine = look(tmp_path)
    found = checks.conditions(machine, tmp_path)
    assert found["governor"] is found["khz"] is found["throttled"] is None
    assert found["load"] == [None, None, None]
    assert machine["cores"][0]["max_khz"] is None


@pytest.mark.parametrize(
    ("name", "text", "word"),
    [
        ("sys/devices/system/cpu/cpu7/cpufreq/scaling_governor", "schedutil\n", "governor"),
        ("vcgencmd", "throttled=0x50005\n", "throttled"),
        ("proc/loadavg", "4.50 1.00 0.50 3/300 99\n", "busy"),
    ],
)
def test_what_is_not_as_it_should_be_is_a_warning(root, name, text, word):
    machines.make(root, {name: text})
    (warning,) = checks.conditions(look(root), root)["warnings"]
    assert word in warning


def test_throttling_that_is_over_is_no_warning(root):
    machines.make(root, {"vcgencmd": "throttled=0x50000\n"})
    assert checks.conditions(look(root), root)["warnings"] == []


def test_odd_files_do_no_harm(root):
    machines.make(
        root,
        {
            "proc/device-tree/model": b'Bo"ard\\ \xff\x01 one\0',
            "proc/cpuinfo": "no colon\n\n:\nprocessor : x\n" + "a" * 20000 + ": b\n",
            "proc/self/auxv": b"short",
            "sys/devices/system/cpu/cpu0/cpufreq/cpuinfo_max_freq": "<unknown>\n",
        },
    )
    assert look(root)["model"].startswith('Bo"ard\\')
    assert sys.getsizeof(checks.refusal(look(root))) > 0
