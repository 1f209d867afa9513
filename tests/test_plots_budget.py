"""The figure of the memory budget: its bars and points are the footprints."""

import pytest
from matplotlib.patches import Rectangle

from kplib import plots
from kplib.experiments import BENCHMARKS, papers
from kplib.experiments.memory import DEVICES, Footprint

FIVE = [network.benchmark for network in papers.networks()]


def versions(name):
    return [
        Footprint.of(BENCHMARKS[name], storage=storage, bits=bits)
        for storage in ("dense", "kronecker")
        for bits in (32, 8)
    ]


@pytest.mark.parametrize("name", FIVE)
def test_bars_are_the_parts_and_the_line_is_the_chip(name):
    device = DEVICES["atmega328p"]
    figure = plots.memory_budget(name, device="atmega328p").figure
    every = versions(name)
    for ax, limit, parts in (
        (figure.axes[0], device.flash_bytes, [one.flash_parts for one in every]),
        (figure.axes[1], device.ram_bytes, [one.ram_parts for one in every[::2]]),
    ):
        bars = [bar for bar in ax.patches if isinstance(bar, Rectangle)]
        drawn = [(round(bar.get_y() + 0.3), bar.get_width() * 1024) for bar in bars]
        expected = [(row, size) for row, one in enumerate(parts) for size in one.values()]
        assert [row for row, _ in drawn] == [row for row, _ in expected]
        assert [size for _, size in drawn] == pytest.approx([size for _, size in expected])
        (line,) = ax.lines
        assert line.get_xdata()[0] * 1024 == limit
        assert ax.get_xlim()[1] * 1024 >= max(limit, *(sum(one.values()) for one in parts))


@pytest.mark.parametrize("device", DEVICES)
def test_points_are_multiples_of_the_chip(device):
    chip = DEVICES[device]
    upper, lower = plots.memory_budget(device=device).figure.axes[:2]
    for ax, values in (
        (upper, [one.flash / chip.flash_bytes for name in FIVE for one in versions(name)]),
        (lower, [one.ram / chip.ram_bytes for name in FIVE for one in versions(name)[::2]]),
    ):
        *points, line = ax.lines
        assert [float(point.get_xdata()[0]) for point in points] == pytest.approx(values)
        assert line.get_xdata()[0] == 1
        low, high = ax.get_xlim()
        assert low < min(1, *values) <= max(1, *values) < high


def test_the_description_has_the_numbers():
    text = plots.memory_budget("kws-lstm").description
    assert "has 32 KB of flash and 2 KB of RAM" in text
    for footprint in versions("kws-lstm"):
        assert f"{footprint.flash / 1024:.2f} KB of flash" in text
        assert f"{footprint.ram / 1024:.2f} KB of RAM" in text
    text = plots.memory_budget().description
    for name in FIVE:
        for footprint in versions(name)[::2]:
            assert f"{footprint.flash / 32 / 1024:.2f}" in text


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"benchmark": "kws"}, "no benchmark 'kws'; there are mnist-lstm"),
        ({"device": "uno"}, "no device 'uno'; there are stm32f030f4"),
    ],
)
def test_unknown_names_are_refused(arguments, words):
    with pytest.raises(ValueError, match=words):
        plots.memory_budget(**arguments)
