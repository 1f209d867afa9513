"""The widget that asks whether a network fits into a chip, and what eats the memory."""

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

import anywidget
import traitlets

from kplib.errors import ShapeError
from kplib.experiments import BENCHMARKS, Benchmark, benchmark
from kplib.experiments.cells import CELLS
from kplib.experiments.memory import (
    BITS,
    DEVICES,
    DIRECTIONS,
    LARGEST_SIZE,
    STORAGES,
    Footprint,
    known_device,
)
from kplib.experiments.papers import networks
from kplib.widgets.assets import module, style
from kplib.widgets.traits import Choice, Size, size_up_to

LARGEST_MEMORY = 2**30
"""Bytes of flash or RAM."""

DEFAULT_RANK = 4
"""What the papers' low-rank KWS-LSTM has."""

SIZES = ("cell", "input_size", "hidden_size", "classes", "directions", "steps")
NETWORK = (*SIZES, "storage", "rank", "bits")
MEMORY = ("flash_bytes", "ram_bytes")


def _sizes(network: Benchmark) -> dict[str, Any]:
    return {name: getattr(network, name) for name in SIZES}


class MemoryBudget(anywidget.AnyWidget):
    """Ask whether a network fits into a chip, and what eats the memory.

    The reader starts from one of the papers' networks and a well-known microcontroller, and changes
    the sizes, how the gate matrices are stored, the bits of a weight, or the chip. Two bars show
    flash and RAM part by part, against boxes as large as the chip's memory; beside them stand the
    numbers, the largest hidden size that fits, and the multiplications of a step. How it is counted
    is said in `kplib.experiments.Footprint`, which Python uses and the page repeats.

    Without a kernel the figure is complete; with one, all traits are shared both ways.

    Parameters
    ----------
    benchmark : str
        The network to start from, of `kplib.experiments.BENCHMARKS`.
    device : str
        The chip: atmega328p (Arduino Uno), stm32f030f4, stm32f103c8 or nrf52833.
    **settings
        Whatever is to differ, see the attributes.

    Attributes
    ----------
    cell : str
        "rnn", "lstm", "gru" or "fastrnn".
    input_size, hidden_size, classes, steps : int
        1 to 4096. Steps count only if there are two directions.
    directions : int
        1 or 2.
    storage : str
        "dense", "kronecker" (factors by Algorithm 4) or "low_rank" (of the stacked gates).
    rank : int
        Of the low-rank factors. It comes down with sizes that allow no such rank.
    bits : int
        32, 16 or 8 a number of the recurrent layer; the head stays at 32.
    flash_bytes, ram_bytes : int
        What the chip has.

    Raises
    ------
    ShapeError
        If a size is out of its range, or the rank above that of the matrices. Reading `flash`,
        `ram` or `fits` raises it where Algorithm 4 has no factors for the sizes.
    ValueError
        If there is no such benchmark, device, setting or choice.

    Examples
    --------
    >>> from kplib.widgets import MemoryBudget
    >>> budget = MemoryBudget("kws-lstm", device="atmega328p")
    >>> budget
    MemoryBudget: LSTM 10-118-12, dense, 32 bits: 243.42 KB flash, 2.80 KB RAM: does not fit
    >>> budget.storage = "kronecker"
    >>> budget.hidden_size = budget.largest_hidden_size
    >>> budget.hidden_size, budget.fits
    (82, True)
    >>> budget.ram <= budget.ram_bytes == 2048
    True
    """

    _esm = module("budget")
    _css = style("budget")

    cells = traitlets.Dict(read_only=True).tag(sync=True)
    benchmarks: traitlets.List[Any] = traitlets.List(read_only=True).tag(sync=True)
    devices: traitlets.List[Any] = traitlets.List(read_only=True).tag(sync=True)
    largest_size = traitlets.Int(LARGEST_SIZE, read_only=True).tag(sync=True)

    cell = Choice(tuple(CELLS), "lstm").tag(sync=True)
    input_size = Size(10, LARGEST_SIZE).tag(sync=True)
    hidden_size = Size(118, LARGEST_SIZE).tag(sync=True)
    classes = Size(12, LARGEST_SIZE).tag(sync=True)
    directions = Choice(DIRECTIONS).tag(sync=True)
    steps = Size(1, LARGEST_SIZE).tag(sync=True)
    storage = Choice(STORAGES).tag(sync=True)
    rank = Size(DEFAULT_RANK, 4 * LARGEST_SIZE).tag(sync=True)
    bits = Choice(BITS).tag(sync=True)
    flash_bytes = Size(1, LARGEST_MEMORY).tag(sync=True)
    ram_bytes = Size(1, LARGEST_MEMORY).tag(sync=True)

    def __init__(
        self, benchmark: str = "kws-lstm", *, device: str = "atmega328p", **settings: Any
    ) -> None:
        unknown = settings.keys() - {*NETWORK, *MEMORY}
        if unknown:
            raise ValueError(
                f"there is no setting {', '.join(sorted(unknown))}; "
                f"there are {', '.join((*NETWORK, *MEMORY))}"
            )
        start = _start(benchmark, device) | settings
        # All checks at once, before there is a widget.
        traits = self.traits()
        start = {name: traits[name].validate(self, value) for name, value in start.items()}
        largest_rank = Footprint(**_only(start, SIZES)).max_rank
        start.setdefault("rank", min(DEFAULT_RANK, largest_rank))
        start["rank"] = size_up_to(largest_rank, "rank", start["rank"])
        super().__init__(**start)

    @property
    def footprint(self) -> Footprint:
        """The network with its storage, which can be counted and changed in Python."""
        return Footprint(**{name: getattr(self, name) for name in NETWORK})

    @property
    def flash(self) -> int:
        """Bytes of flash that the network takes."""
        return self.footprint.flash

    @property
    def ram(self) -> int:
        """Bytes of RAM that it takes."""
        return self.footprint.ram

    @property
    def fits(self) -> bool:
        """Whether the chip has as much of both."""
        return self.footprint.fits(self.flash_bytes, self.ram_bytes)

    @property
    def largest_hidden_size(self) -> int:
        """The largest hidden size that fits, all else as it is; 0 if none does."""
        return self.footprint.largest_hidden_size(self.flash_bytes, self.ram_bytes)

    @property
    def benchmark(self) -> str | None:
        """The benchmark whose sizes these are, or None. Setting it sets all sizes."""
        here = {name: getattr(self, name) for name in SIZES}
        return next((name for name, one in BENCHMARKS.items() if _sizes(one) == here), None)

    @benchmark.setter
    def benchmark(self, name: str) -> None:
        with self.hold_trait_notifications():
            for size, value in _sizes(benchmark(name)).items():
                setattr(self, size, value)

    @property
    def device(self) -> str | None:
        """The device whose memory this is, or None. Setting it sets flash and RAM."""
        here = (self.flash_bytes, self.ram_bytes)
        known = ((name, (one.flash_bytes, one.ram_bytes)) for name, one in DEVICES.items())
        return next((name for name, memory in known if memory == here), None)

    @device.setter
    def device(self, name: str) -> None:
        chip = known_device(name)
        self.flash_bytes, self.ram_bytes = chip.flash_bytes, chip.ram_bytes

    @property
    def values(self) -> dict[str, Any]:
        """All that Python and the page share and change."""
        return {name: getattr(self, name) for name in (*NETWORK, *MEMORY)}

    @traitlets.default("cells")
    def _all_cells(self) -> dict[str, Any]:
        return {name: _cell_as_json(name) for name in CELLS}

    @traitlets.default("benchmarks")
    def _networks_of_the_papers(self) -> list[dict[str, Any]]:
        return [_benchmark_as_json(one.benchmark) for one in networks()]

    @traitlets.default("devices")
    def _known_devices(self) -> list[dict[str, Any]]:
        return [_device_as_json(name) for name in DEVICES]

    @traitlets.validate("rank")
    def _check_rank(self, proposal: Any) -> int:
        return size_up_to(self._max_rank(), "rank", proposal["value"])

    @traitlets.observe("cell", "input_size", "hidden_size")
    def _keep_rank_in_range(self, _change: Any) -> None:
        self.rank = min(self.rank, self._max_rank())

    def _max_rank(self) -> int:
        return Footprint(self.cell, self.input_size, self.hidden_size, 1).max_rank

    def __repr__(self) -> str:
        cell = CELLS[self.cell].name
        twice = "Bi" if self.directions == 2 else ""
        storage = "low rank" if self.storage == "low_rank" else self.storage
        text = f"MemoryBudget: {twice}{cell} {self.input_size}-{self.hidden_size}-{self.classes}"
        text += f", {storage}, {self.bits} bits: "
        try:
            needs = f"{_size_text(self.flash)} flash, {_size_text(self.ram)} RAM"
        except ShapeError:
            return text + "Algorithm 4 has no factors"
        return f"{text}{needs}: {'fits' if self.fits else 'does not fit'}"


def _start(benchmark_name: str, device_name: str) -> dict[str, Any]:
    """Return the settings that a benchmark and a device stand for."""
    chip = known_device(device_name)
    start = _sizes(benchmark(benchmark_name)) | {"storage": "dense", "bits": 32}
    return start | {name: getattr(chip, name) for name in MEMORY}


def _only(settings: dict[str, Any], names: Sequence[str]) -> dict[str, Any]:
    return {name: settings[name] for name in names}


def _size_text(size: int) -> str:
    """Bytes as the widget shows them, in MB where there are many."""
    if size < 1024:
        return f"{size} B"
    kilobytes = (100 * size + 512) // 1024 / 100  # halves up, as the page rounds
    return f"{kilobytes:,.2f} KB" if kilobytes < 10_000 else f"{kilobytes / 1024:,.1f} MB"


def _cell_as_json(name: str) -> dict[str, Any]:
    cell = asdict(CELLS[name])
    return {"title": cell.pop("name"), **cell, "stacks": list(cell["stacks"])}


def _benchmark_as_json(name: str) -> dict[str, Any]:
    return {"name": name, "title": BENCHMARKS[name].title, **_sizes(BENCHMARKS[name])}


def _device_as_json(name: str) -> dict[str, Any]:
    entry = asdict(DEVICES[name])
    return {"title": entry.pop("name"), **entry, "name": name}
