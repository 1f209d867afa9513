"""What ``kplib bench devices`` prints, and the record that it leaves."""

import subprocess
from collections.abc import Sequence
from dataclasses import asdict

from rich.console import Console
from rich.text import Text

from kplib.bench.devices.devices import STACK_BYTES, Device
from kplib.bench.devices.measure import Fit, Measurement
from kplib.bench.devices.program import DoesNotFitError
from kplib.bench.report import plain_grid


def print_table(console: Console, device: Device, measurements: Sequence[Measurement]) -> None:
    """Print one device: what each network takes, costs and says."""
    title = (
        f"{device.title}: {device.flash_bytes:,} bytes of flash, {device.ram_bytes:,} of RAM; "
        f"{device.unit} per inference"
    )
    grid = plain_grid(
        "network", "weights", "flash", "RAM", "= static", "+ stack", device.unit, "same digit",
        "accuracy", "", title=title,
    )  # fmt: skip
    for row in measurements:
        if row.device == device:
            name = f"{row.case.benchmark} {row.case.technique}"
            if not row.case.source.endswith(".json"):
                name += ", not trained"
            grid.add_row(Text(name), row.weights, *_cells(row.result))
    console.print(grid)
    console.print()


def record(
    provenance: dict[str, object],
    settings: dict[str, object],
    measurements: Sequence[Measurement],
) -> dict[str, object]:
    """Return everything that was measured, in JSON's types.

    Parameters
    ----------
    provenance : dict
        From :func:`kplib.bench.machine.provenance`.
    settings : dict
        What was asked for.
    measurements : sequence of Measurement
        From :func:`kplib.bench.devices.measure.measure_all`.

    Returns
    -------
    dict
        Bytes, and instructions or cycles of one inference; no times. A network that does not fit
        has ``excess_bytes``, of each memory that is too small.
    """
    devices = list({row.device.name: row.device for row in measurements}.values())
    return {
        "benchmark": "devices",
        **provenance,
        "settings": settings | {"stack_bytes": STACK_BYTES, "optimize": "-Os"},
        "tools": tools(devices),
        "devices": {device.name: _device(device) for device in devices},
        "measurements": [_row(row) for row in measurements],
    }


def tools(devices: Sequence[Device]) -> dict[str, str]:
    """Return the first line that each compiler and emulator says of its version."""
    commands = {f"{device.prefix}gcc" for device in devices} | {"gcc"}
    if any(device.prefix.startswith("arm") for device in devices):
        commands.add("qemu-system-arm")
    return {name: _version(name) for name in sorted(commands)}


def _version(program: str) -> str:
    done = subprocess.run([program, "--version"], capture_output=True, text=True, check=True)
    return done.stdout.partition("\n")[0]


def _cells(result: Fit | DoesNotFitError) -> list[str]:
    if isinstance(result, DoesNotFitError):
        return ["", "", "", "", "", "", "", _excess(result)]
    return [
        f"{result.flash_bytes:,}",
        f"{result.static_bytes + result.stack_bytes:,}",
        f"{result.static_bytes:,}",
        f"{result.stack_bytes:,}",
        f"{result.counts_median:,}",
        f"{result.same}/{result.examples}",
        "" if result.accuracy is None else f"{result.accuracy:g} %",
        "",
    ]


def _excess(error: DoesNotFitError) -> str:
    by = " and ".join(f"{count:,} B of {memory}" for memory, count in error.excess.items())
    return f"does not fit, by {'at least ' if error.at_least else ''}{by}"


def _device(device: Device) -> dict[str, object]:
    return {
        "title": device.title,
        "flash_bytes": device.flash_bytes,
        "ram_bytes": device.ram_bytes,
        "unit": device.unit,
        "flags": list(device.flags),
        "emulator": getattr(device, "machine", "simavr"),
    }


def _row(row: Measurement) -> dict[str, object]:
    about: dict[str, object] = {
        "device": row.device.name,
        "benchmark": row.case.benchmark,
        "technique": row.case.technique,
        "source": row.case.source,
        "weights": row.weights,
        "fits": isinstance(row.result, Fit),
    }
    if isinstance(row.result, Fit):
        return about | asdict(row.result)
    return about | {"excess_bytes": row.result.excess, "at_least": row.result.at_least}
