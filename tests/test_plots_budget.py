"""The figure of the memory budget: its bars and points are the footprints, its text is whole."""

import itertools
import re
from xml.etree import ElementTree

import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import to_hex
from matplotlib.patches import Rectangle
from matplotlib.text import Text

from kplib import plots
from kplib.experiments import BENCHMARKS, papers
from kplib.experiments.memory import DEVICES, Footprint

INK = "#1b1f24"
FIVE = [network.benchmark for network in papers.networks()]
PICTURES = {
    **{f"{name} on {device}": (name, device) for name in FIVE for device in DEVICES},
    **{f"all on {device}": (None, device) for device in DEVICES},
}


@pytest.fixture(scope="module")
def picture():
    made = {}

    def make(name):
        if name not in made:
            benchmark, device = PICTURES[name]
            made[name] = plots.memory_budget(benchmark, device=device)
        return made[name]

    return make


every_picture = pytest.mark.parametrize("name", PICTURES)


@every_picture
def test_takes_the_colours_of_page_and_palette(picture, name):
    svg = picture(name).svg
    colors = set(re.findall(r"#[0-9a-f]{6}\b", re.sub(r'href="[^"]*"', "", svg)))
    assert "currentColor" in svg
    assert colors <= set(plots.PALETTE.values())
    texts = [t for t in picture(name).figure.findobj(Text) if t.get_text() and t.get_visible()]
    assert {to_hex(text.get_color()) for text in texts} == {INK}
    assert len(ElementTree.fromstring(svg)[1].text) > 100


@every_picture
def test_text_is_whole_apart_and_legible_on_a_phone(picture, name, monkeypatch):
    figure, drawn = picture(name).figure, []
    draw = Text.draw

    def draw_and_note(text, renderer):
        if text.get_visible() and text.get_text().strip():
            drawn.append((text.get_text(), text.get_window_extent(renderer)))
            assert text.get_fontsize() * 96 / 72 >= 9
        draw(text, renderer)

    monkeypatch.setattr(Text, "draw", draw_and_note)
    FigureCanvasAgg(figure).draw()
    assert figure.get_figwidth() * 96 <= 360
    boxes = list({(text, box.x0, box.y0): (text, box) for text, box in drawn}.values())
    for text, box in boxes:
        assert figure.bbox.x0 <= box.x0 <= box.x1 <= figure.bbox.x1, text
        assert figure.bbox.y0 <= box.y0 <= box.y1 <= figure.bbox.y1, text
    for (one, a), (other, b) in itertools.combinations(boxes, 2):
        across = min(a.x1, b.x1) - max(a.x0, b.x0)
        assert min(across, min(a.y1, b.y1) - max(a.y0, b.y0)) <= 1, (one, other)


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
