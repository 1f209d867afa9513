"""Memory against a small chip: one network part by part, or all the papers' networks."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator

from kplib.experiments import BENCHMARKS, Benchmark, papers
from kplib.experiments.benchmarks import benchmark as known_benchmark
from kplib.experiments.memory import Device, Footprint, known_device
from kplib.plots.axes import name_rows
from kplib.plots.picture import Picture
from kplib.plots.style import INK, MARKERS, PALETTE, WIDTH, use_style

_STORAGES = {"dense": "dense", "kronecker": "Kronecker"}
_BITS = (32, 8)


class _Shade(NamedTuple):
    """How a part of a bar is filled."""

    color: str
    alpha: float


_MATRICES = {storage: _Shade(PALETTE[storage], 1.0) for storage in _STORAGES}
_OTHERS = {
    "biases": _Shade(INK, 0.8),
    "head": _Shade(INK, 0.35),
    "input": _Shade(INK, 0.25),
    "state": _Shade(INK, 0.45),
    "gates": _Shade(INK, 0.8),
    "between": _Shade(PALETTE["kronecker"], 1.0),
}


def memory_budget(benchmark: str | None = None, *, device: str = "atmega328p") -> Picture:
    """Draw what a network takes of a chip's flash and RAM, dense and with Kronecker factors.

    It stands for `kplib.widgets.MemoryBudget` where nothing can move. For one network there is a
    bar for each way of storing it, part by part, and a line where the chip's memory ends. Without
    a name all the papers' networks are drawn as points, in multiples of the chip's memory: what is
    left of 1 fits.

    Parameters
    ----------
    benchmark : str, optional
        A network of `kplib.experiments.BENCHMARKS`; all of the papers' if not given.
    device : str
        A chip of `kplib.experiments.DEVICES`.

    Returns
    -------
    Picture

    Raises
    ------
    ValueError
        If there is no such benchmark or device.

    Notes
    -----
    Counted as `kplib.experiments.Footprint` does: one recurrent layer, factors by
    Algorithm 4, the head in float32, no program. HAR1 has 178 units with Kronecker factors.

    Examples
    --------
    >>> picture = memory_budget("kws-lstm")
    >>> "dense, 32 bits: 243.42 KB of flash" in picture.description
    True
    >>> "KWS-LSTM: 7.61 dense" in memory_budget().description
    True
    """
    chip = known_device(device)
    if benchmark is None:
        return _networks([BENCHMARKS[one.benchmark] for one in papers.networks()], chip)
    return _parts(known_benchmark(benchmark), chip)


# ---------------------------------------------------------------- one network


def _parts(network: Benchmark, chip: Device) -> Picture:
    """Draw one network, a stacked bar for each way of storing it."""
    every = {
        f"{name}, {bits} bits": Footprint.of(network, storage=storage, bits=bits)
        for storage, name in _STORAGES.items()
        for bits in _BITS
    }
    flash = {name: footprint.flash_parts for name, footprint in every.items()}
    ram = {  # which depends on the bits in no case
        name: Footprint.of(network, storage=storage).ram_parts
        for storage, name in _STORAGES.items()
    }
    with use_style():
        figure = Figure(figsize=(WIDTH, 4.3))
        upper, lower = figure.subplots(2, 1, height_ratios=(4, 2))
        _stacks(upper, "Flash", flash, chip.flash_bytes)
        _stacks(lower, "RAM", ram, chip.ram_bytes)
        upper.legend(handles=_legend(("dense", "kronecker", "biases", "head")), **_BELOW)
        lower.legend(handles=_legend(("input", "state", "gates", "between")), **_BELOW)
    words = [f"The {chip.name} has {_kilobytes(chip.flash_bytes)} of flash and "]
    words[0] += f"{_kilobytes(chip.ram_bytes)} of RAM. {network.title} takes: "
    words += [f"{name}: {_listed(parts, 'flash')}; " for name, parts in flash.items()]
    words += [f"{name}: {_listed(parts, 'RAM')}; " for name, parts in ram.items()]
    title = f"{network.title} against the memory of the {chip.name}"
    return Picture(figure, title, "".join(words).rstrip("; ") + ".")


# Below the bars, in two columns: the names are too long for one line of a phone.
_BELOW = {
    "loc": "upper center",
    "bbox_to_anchor": (0.4, 0.02),
    "ncols": 2,
    "columnspacing": 1.2,
    "handlelength": 1.2,
}
_LABELS = {
    "dense": "gate matrices",
    "kronecker": "factors A and B",
    "input": "input",
    "state": "state",
    "gates": "gates, later logits",
    "between": "between A and B",
}


def _legend(names: Sequence[str]) -> list[Patch]:
    looks = {name: (_LABELS.get(name, name), (_MATRICES | _OTHERS)[name]) for name in names}
    return [
        Patch(color=shade.color, alpha=shade.alpha, lw=0, label=label)
        for label, shade in looks.values()
    ]


def _stacks(ax: Axes, title: str, bars: Mapping[str, Mapping[str, int]], limit: int) -> None:
    """Draw stacked bars in KB from zero, their sums, and a line at the limit."""
    longest = max(limit, *(sum(parts.values()) for parts in bars.values())) / 1024
    for place, (name, parts) in enumerate(bars.items()):
        storage = next(key for key, shown in _STORAGES.items() if name.startswith(shown))
        left = 0.0
        for part, size in parts.items():
            shade = _OTHERS.get(part, _MATRICES[storage])
            ax.barh(place, size / 1024, 0.6, left=left, color=shade.color, alpha=shade.alpha, lw=0)
            left += size / 1024
        ax.annotate(
            _kilobytes(sum(parts.values())),
            (1, place),
            (6, 0),
            xycoords=("axes fraction", "data"),
            textcoords="offset points",
            va="center",
            annotation_clip=False,
        )
    ax.axvline(limit / 1024, color=PALETTE["accent"], lw=1.6, ls="--")
    ax.set_title(f"{title}; dashed, the chip\u2019s {_kilobytes(limit)}")
    ax.set_yticks(range(len(bars)), list(bars))
    ax.set(ylim=(len(bars) - 0.5, -0.6), xlim=(0, 1.01 * longest))
    ax.tick_params(axis="y", length=0)
    ax.xaxis.set_visible(False)
    ax.grid(visible=False)
    ax.spines[["left", "bottom"]].set_visible(False)


def _listed(parts: Mapping[str, int], memory: str) -> str:
    listed = ", ".join(f"{name} {_kilobytes(size)}" for name, size in parts.items() if size)
    return f"{_kilobytes(sum(parts.values()))} of {memory} ({listed})"


def _kilobytes(size: int) -> str:
    if size < 1024:
        return f"{size} B"
    text = f"{size / 1024:,.2f}"
    return f"{text.removesuffix('.00')} KB"


# ---------------------------------------------------------------- all networks


def _networks(networks: Sequence[Benchmark], chip: Device) -> Picture:
    """Draw every network's flash and RAM, in multiples of the chip's."""
    footprints = {
        (network.title, storage, bits): Footprint.of(network, storage=storage, bits=bits)
        for network in networks
        for storage in _STORAGES
        for bits in _BITS
    }

    def flash(footprint: Footprint) -> float:
        return footprint.flash / chip.flash_bytes

    def ram(footprint: Footprint) -> float:
        return footprint.ram / chip.ram_bytes

    titles = [network.title for network in networks]
    with use_style():
        figure = Figure(figsize=(WIDTH, 4.6))
        upper, lower = figure.subplots(2, 1)
        for ax, name, measure, bits, has in (
            (upper, "flash", flash, _BITS, chip.flash_bytes),
            (lower, "RAM", ram, (32,), chip.ram_bytes),
        ):
            points = {key: measure(footprints[key]) for key in footprints if key[2] in bits}
            _points(ax, titles, points)
            ax.set_title(f"Needed {name}, as a multiple of {_kilobytes(has)}")
        handles = [
            _marker(storage, bits, f"{shown}, {bits} bits")
            for storage, shown in _STORAGES.items()
            for bits in _BITS
        ]
        figure.legend(handles=handles, loc="outside lower center", ncols=2, columnspacing=1.2)
    words = []
    for title in titles:
        words.append(f"{title}: {_multiples(title, footprints, flash, _BITS)} of the flash; ")
        words.append(f"{_multiples(title, footprints, ram, (32,))} of the RAM. ")
    start = f"In multiples of the {chip.name}, {_kilobytes(chip.flash_bytes)} of flash and "
    text = f"{start}{_kilobytes(chip.ram_bytes)} of RAM. {''.join(words)}".strip()
    return Picture(figure, f"The papers\u2019 networks against the {chip.name}", text)


def _points(ax: Axes, titles: Sequence[str], points: Mapping[tuple[str, str, int], float]) -> None:
    """Draw a row of points a network on a logarithmic axis, and a line at 1."""
    for (title, storage, bits), value in points.items():
        look = _marker(storage, bits, "")
        # side by side where dense and Kronecker fall together
        place = titles.index(title) + (0.16 if storage == "kronecker" else -0.16)
        ax.plot(value, place, **_look(look))
    ax.axvline(1, color=PALETTE["accent"], lw=1.4, ls="--", zorder=0)
    ax.set_xscale("log", base=2)
    low, high = min(points.values()), max(points.values())
    ax.set_xlim(min(low, 0.5) / 1.6, max(high, 2) * 1.6)
    powers = [4.0**k for k in range(-6, 8) if low / 3 <= 4.0**k <= high * 3]
    ax.xaxis.set_major_locator(FixedLocator(powers))
    ax.xaxis.set_minor_locator(NullLocator())
    ax.xaxis.set_major_formatter(
        FuncFormatter(lambda value, _: f"{value:g}" if value >= 1 else f"1/{1 / value:g}")
    )
    name_rows(ax, titles, over=0.5, under=0.5)


def _marker(storage: str, bits: int, label: str) -> Line2D:
    """Return a legend's marker: filled for float32, hollow for 8 bits."""
    color = PALETTE[storage]
    fill = color if bits == 32 else "none"
    return Line2D([], [], marker=MARKERS[storage], ls="", mec=color, mfc=fill, ms=6, label=label)


def _look(line: Line2D) -> dict[str, Any]:
    return {
        "marker": line.get_marker(),
        "ls": "",
        "mec": line.get_markeredgecolor(),
        "mfc": line.get_markerfacecolor(),
        "mew": 1.4,
        "ms": 6,
    }


def _multiples(
    title: str,
    footprints: Mapping[tuple[str, str, int], Footprint],
    measure: Callable[[Footprint], float],
    every: Sequence[int],
) -> str:
    words = []
    for storage, shown in _STORAGES.items():
        values = [f"{measure(footprints[title, storage, bits]):.2f}" for bits in every]
        in_8_bits = f" ({values[1]} in 8 bits)" if len(values) > 1 else ""
        words.append(f"{values[0]} {shown}{in_8_bits}")
    return ", ".join(words)
