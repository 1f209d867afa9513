"""The book's figures: colours by computation, text inside its figure, markup fit for a page."""

import itertools
import re
import subprocess
import sys
from xml.etree import ElementTree

import matplotlib
import numpy as np
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import to_hex, to_rgb
from matplotlib.text import Text

from kplib import plots
from kplib.errors import DtypeError, ShapeError

A = [[1, 2], [3, 1], [0, 2]]
B = [[1, 0, 2], [2, 1, 1]]
X = [1, 2, 0, 3, 1, 2]
INK = "#1b1f24"
RNG = np.random.default_rng(0)

RUNS = {"dense": [0.5, 0.8, 0.97], "kp": [0.3, 0.9, 0.95], "small": [0.2, 0.7, 0.93]}
PICTURES = {
    "kron_blocks": lambda: plots.kron_blocks(A, B),
    "kron_blocks, long numbers": lambda: plots.kron_blocks([[-1234.5, 3]], [[0.001234], [-77777]]),
    "kron_blocks, stacked": lambda: plots.kron_blocks(np.ones((3, 4), int), np.ones((4, 3), int)),
    "kron_blocks, shades": lambda: plots.kron_blocks(
        RNG.normal(size=(14, 4)), RNG.normal(size=(11, 41))
    ),
    "kron_blocks, zeros": lambda: plots.kron_blocks(np.zeros((13, 1)), [[0.0]]),
    "kron_blocks, 1 x 1": lambda: plots.kron_blocks([[2]], [[3]]),
    "product_figure": lambda: plots.product_figure(A, B, X),
    "product_figure, A first": lambda: plots.product_figure(np.transpose(A), np.transpose(B), X),
    "product_figure, large": lambda: plots.product_figure(
        *(RNG.integers(-9, 10, shape) for shape in ((3, 4), (4, 3), 12))
    ),
    "product_figure, 1 x 1": lambda: plots.product_figure([[2]], [[3]], [4]),
    "training_curves": lambda: plots.training_curves(RUNS),
    "training_curves, one epoch": lambda: plots.training_curves({"hkp": [0.0], "lmf": [1.0]}),
    "comparison": lambda: plots.comparison(
        {"dense": 18_602, "kp": 1310, "small": 1322},
        RUNS,
        {"dense": 7e-6, "kp": 2e-6, "small": 1e-6},
    ),
    "comparison, equal": lambda: plots.comparison({"hkp": 0}, {"hkp": [1.0, 1.0]}, {"hkp": 0.0}),
    "bottlenecks": lambda: plots.bottlenecks([(59, 8, 2, 16), (2, 2, 59, 64)], low_rank=2),
    "bottlenecks, 1 x 1": lambda: plots.bottlenecks([(1, 1, 1, 1)], low_rank=1),
    "bottlenecks, wide": lambda: plots.bottlenecks([(1, 50, 60, 60), (12, 50, 5, 60)]),
    "rank_against_parameters": lambda: plots.rank_against_parameters(118, 128, gates=4),
    "rank_against_parameters, no other": lambda: plots.rank_against_parameters(178, 255, gates=4),
    "rank_against_parameters, primes": lambda: plots.rank_against_parameters(7, 13),
    "approximation_shares": lambda: plots.approximation_shares(
        {"one": {"kp": 1.0, "lmf": 0.2}, "a trained\ngate": {"kp": 0.07, "lmf": 0.0}}
    ),
    "singular_value_spectra": lambda: plots.singular_value_spectra(
        {"dense": range(118, 0, -1), "kp": [200.0] * 16 + [0.0] * 102}, labels={"kp": "ours"}
    ),
    "condition_number_ranges": lambda: plots.condition_number_ranges(
        {"KWS-LSTM": [1.5, 2.5, 4.0], "full rank,\n120 × 130": [100, 9000]},
        band=(1.2, 7.3),
        band_label="the papers' trained networks",
    ),
    "condition_number_ranges, narrow": lambda: plots.condition_number_ranges(
        {"orthogonal": [1, 1.0]}, band=(1.2, 7.3), band_label="printed"
    ),
}


@pytest.fixture(scope="module")
def picture():
    made = {}

    def make(name):
        if name not in made:
            made[name] = PICTURES[name]()
        return made[name]

    return make


every_picture = pytest.mark.parametrize("name", PICTURES)

# ---------------------------------------------------------------- colours


def linear(color):
    channels = np.array(to_rgb(color))
    return np.where(channels <= 0.04045, channels / 12.92, ((channels + 0.055) / 1.055) ** 2.4)


def contrast(one, other):
    dark, light = sorted(linear(color) @ [0.2126, 0.7152, 0.0722] for color in (one, other))
    return (light + 0.05) / (dark + 0.05)


def test_contrast_is_computed_as_wcag_has_it():
    assert contrast("#000", "#fff") == pytest.approx(21)
    assert contrast("#767676", "#fff") == pytest.approx(4.54, abs=0.005)


@pytest.mark.parametrize("background", ["#ffffff", "#121212", "#14181e", "#14151c"])
@pytest.mark.parametrize("meaning", plots.PALETTE)
def test_palette_stands_out_on_light_and_dark(meaning, background):
    assert contrast(plots.PALETTE[meaning], background) >= 3


# Machado, Oliveira, Fernandes 2009, full severity, in linear sRGB.
VISION = {
    "full": np.eye(3),
    "protanopia": [
        [0.152286, 1.052583, -0.204868],
        [0.114503, 0.786281, 0.099216],
        [-0.003882, -0.048116, 1.051998],
    ],
    "deuteranopia": [
        [0.367322, 0.860646, -0.227968],
        [0.280085, 0.672501, 0.047413],
        [-0.011820, 0.042940, 0.968881],
    ],
    "tritanopia": [
        [1.255528, -0.076749, -0.178779],
        [-0.078411, 0.930809, 0.147602],
        [0.004733, 0.691367, 0.303900],
    ],
}


def lab(rgb):
    to_xyz = [[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]]
    ratio = np.array(to_xyz) @ np.clip(rgb, 0, 1) / [0.9505, 1, 1.089]
    x, y, z = np.where(ratio > 0.008856, np.cbrt(ratio), 7.787 * ratio + 16 / 116)
    return np.array([116 * y - 16, 500 * (x - y), 200 * (y - z)])


@pytest.mark.parametrize("vision", VISION)
def test_palette_stays_apart_for_colour_blind_readers(vision):
    seen = {name: lab(VISION[vision] @ linear(color)) for name, color in plots.PALETTE.items()}
    for one, other in itertools.combinations(seen, 2):
        assert np.linalg.norm(seen[one] - seen[other]) >= 15, (one, other)


def test_markers_say_the_same_without_colour():
    assert plots.MARKERS.keys() == plots.PALETTE.keys()
    assert len(set(plots.MARKERS.values())) == len(plots.MARKERS)


def test_palette_cannot_be_changed_by_accident():
    with pytest.raises(TypeError):
        plots.PALETTE["dense"] = "red"


def test_techniques_have_colours():
    names = ("baseline", "small", "pruned", "lmf", "kp", "hkp", *plots.PALETTE)
    assert {plots.technique(name) for name in names} == set(plots.PALETTE) - {"accent"} | {"accent"}
    with pytest.raises(ValueError, match="'dance' is none of dense, kronecker"):
        plots.technique("dance")


# ---------------------------------------------------------------- no side effects


def test_import_changes_no_setting_and_loads_no_pyplot():
    code = (
        "import matplotlib, sys\n"
        "before = matplotlib.rcParams.copy()\n"  # dict() would look for a backend
        "from kplib import plots\n"
        "plots.training_curves({'kp': [0.1, 0.2]})\n"
        "print(matplotlib.rcParams.copy() == before, 'matplotlib.pyplot' in sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", code], capture_output=True, text=True, check=True
    )
    assert done.stdout.split() == ["True", "False"]


def test_style_ends_with_its_block():
    before = matplotlib.rcParams["text.color"]
    with plots.use_style():
        assert matplotlib.rcParams["text.color"] == INK
    assert matplotlib.rcParams["text.color"] == before != INK


def test_missing_matplotlib_names_the_extra():
    code = (
        "import sys; sys.modules['matplotlib'] = None\n"
        "from kplib.errors import MissingExtraError\n"
        "try:\n    import kplib.plots\n"
        "except MissingExtraError as error:\n    print(error)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "pip install 'kplib[book]'" in done.stdout


# ---------------------------------------------------------------- every picture


@every_picture
def test_says_what_it_shows(picture, name):
    root = ElementTree.fromstring(picture(name).svg)
    namespace = "{http://www.w3.org/2000/svg}"
    title, description = root[0], root[1]
    assert (title.tag, description.tag) == (f"{namespace}title", f"{namespace}desc")
    assert title.text == picture(name).title
    assert len(description.text) > 25
    assert root.get("role") == "img"
    assert root.get("aria-labelledby").split() == [title.get("id"), description.get("id")]


@every_picture
def test_text_and_lines_take_the_colour_of_the_page(picture, name):
    svg = picture(name).svg
    assert "currentColor" in svg
    colors = set(re.findall(r"#[0-9a-f]{6}\b", re.sub(r'href="[^"]*"', "", svg)))
    assert colors <= set(plots.PALETTE.values())
    # matplotlib leaves text in black without a fill: it would not follow a dark page
    for element in ElementTree.fromstring(svg).iter():
        if (element.get("id") or "").split("-")[-1].startswith("text"):
            assert "currentColor" in (element.get("style") or "")


@every_picture
def test_glyphs_are_filled_with_ink(picture, name):
    texts = [t for t in picture(name).figure.findobj(Text) if t.get_visible() and t.get_text()]
    assert texts
    assert {to_hex(text.get_color()) for text in texts} == {INK}


@every_picture
def test_markup_fits_into_a_page(picture, name):
    svg = picture(name).svg
    assert svg.startswith("<svg ")
    for unwanted in ("<?xml", "<!DOCTYPE", "<metadata", "<style", "xlink:", "ns0:", "rdf:"):
        assert unwanted not in svg
    identities = re.findall(r'\bid="([^"]+)"', svg)
    assert len(identities) == len(set(identities))
    used = set(re.findall(r'href="#([^"]+)"', svg)) | set(re.findall(r"url\(#([^)]+)\)", svg))
    assert used <= set(identities)
    assert len(svg) < 250_000


def test_pictures_on_one_page_share_no_id(picture):
    every = [set(re.findall(r'\bid="([^"]+)"', picture(name).svg)) for name in PICTURES]
    assert sum(map(len, every)) == len(set.union(*every))


def test_the_same_figure_gives_the_same_bytes():
    one, other = (plots.product_figure(A, B, X) for _ in range(2))
    assert one.svg == other.svg
    assert one.png == other.png


@every_picture
def test_no_text_is_clipped_or_laid_over_another(picture, name, monkeypatch):
    figure, drawn = picture(name).figure, []
    draw = Text.draw

    def draw_and_note(text, renderer):
        if text.get_visible() and text.get_text().strip():
            drawn.append((text.get_text(), text.get_window_extent(renderer)))
        draw(text, renderer)

    monkeypatch.setattr(Text, "draw", draw_and_note)
    FigureCanvasAgg(figure).draw()
    boxes = list({(text, box.x0, box.y0): (text, box) for text, box in drawn}.values())
    assert boxes
    frame = figure.bbox
    for text, box in boxes:
        assert frame.x0 <= box.x0 <= box.x1 <= frame.x1, text
        assert frame.y0 <= box.y0 <= box.y1 <= frame.y1, text
    for (one, a), (other, b) in itertools.combinations(boxes, 2):
        across = min(a.x1, b.x1) - max(a.x0, b.x0)
        down = min(a.y1, b.y1) - max(a.y0, b.y0)
        assert min(across, down) <= 1, (one, other)


@every_picture
def test_text_is_legible_on_a_phone(picture, name):
    figure = picture(name).figure
    shrunk = min(1.0, 350 / (figure.get_figwidth() * 96))  # 390 pixels less the page's margins
    sizes = [t.get_fontsize() for t in figure.findobj(Text) if t.get_text().strip()]
    assert min(sizes) * 96 / 72 * shrunk >= (9 if shrunk > 0.9 else 6)


@every_picture
def test_notebook_gets_page_print_and_text(picture, name):
    bundle = picture(name)._repr_mimebundle_()
    assert set(bundle) == {"text/html", "image/png", "text/plain"}
    assert bundle["image/png"].startswith(b"\x89PNG")
    assert picture(name).svg in bundle["text/html"]
    assert picture(name).description in bundle["text/plain"]


# ---------------------------------------------------------------- what they say


def numbers(text):
    return [float(n.replace("−", "-")) for n in re.findall(r"[−-]?\d+(?:\.\d+)?", text)]


@pytest.mark.parametrize("seed", range(6))
def test_kron_blocks_shows_the_product(seed):
    rng = np.random.default_rng(seed)
    a = rng.integers(-9, 10, rng.integers(1, 4, 2))
    b = rng.integers(-9, 10, rng.integers(1, 5, 2))
    picture = plots.kron_blocks(a, b)
    told = picture.description.rpartition(": ")[2]
    assert numbers(told) == np.kron(a, b).ravel().tolist()
    drawn = [
        float(t.get_text().replace("−", "-"))
        for t in picture.figure.axes[0].texts
        if re.fullmatch(r"−?\d+", t.get_text())
    ]
    assert drawn == [*a.ravel(), *b.ravel(), *np.kron(a, b).ravel()]


@pytest.mark.parametrize("shape", [(3, 2, 2, 3), (2, 3, 3, 2), (1, 5, 7, 2), (4, 3, 3, 4)])
def test_product_figure_is_right(shape):
    rng = np.random.default_rng(sum(shape))
    m1, n1, m2, n2 = shape
    a, b = rng.integers(-9, 10, (m1, n1)), rng.integers(-9, 10, (m2, n2))
    x = rng.integers(-9, 10, n1 * n2)
    told = plots.product_figure(a, b, x).description
    y = re.search(r"y = (.+), the same", told)[1]
    assert numbers(y) == (np.kron(a, b) @ x).tolist()
    middle = numbers(re.search(r"is T = ([^;]+(?:; [−\d][^;]*)*);", told)[1])
    first_b = n1 * m2 * (n2 + m1) <= m1 * n2 * (n1 + m2)
    T = x.reshape(n1, n2) @ b.T if first_b else a @ x.reshape(n1, n2)
    assert middle == T.ravel().tolist()
    counts = [int(v) for v in re.search(r"takes (\d+) \+ (\d+) = (\d+)", told).groups()]
    assert counts[0] + counts[1] == counts[2]
    assert counts[2] == min(n1 * m2 * (n2 + m1), m1 * n2 * (n1 + m2))
    assert f"takes {m1 * m2 * n1 * n2} multiplications" in told


def test_curves_have_the_colour_and_marker_of_their_technique():
    ax = plots.training_curves(RUNS, labels={"kp": "ours"}).figure.axes[0]
    for line, key in zip(ax.lines, ("dense", "kronecker", "small"), strict=True):
        assert (line.get_color(), line.get_marker()) == (plots.PALETTE[key], plots.MARKERS[key])
    assert [t.get_text() for t in ax.get_legend().get_texts()] == ["dense", "ours", "small"]
    assert ax.lines[1].get_xydata().tolist() == [[1, 0.3], [2, 0.9], [3, 0.95]]


def test_comparison_draws_each_number_at_its_place():
    times = {"dense": 7e-6, "kp": 2e-6, "small": 1e-6}
    picture = plots.comparison({"dense": 400, "kp": 20, "small": 30}, RUNS, times)
    sizes, dots, bars = picture.figure.axes
    assert [p.get_width() for p in sizes.patches] == [400, 20, 30]
    assert {p.get_x() for p in (*sizes.patches, *bars.patches)} == {0}
    np.testing.assert_allclose([p.get_width() for p in bars.patches], [7, 2, 1])
    assert [p.get_facecolor() for p in bars.patches] == [
        matplotlib.colors.to_rgba(plots.PALETTE[k]) for k in ("dense", "kronecker", "small")
    ]
    assert dots.lines[0].get_xdata().tolist() == RUNS["dense"]
    assert bars.get_title(loc="left") == "Time of one inference (µs)"
    assert "dense: 400 parameters, 75.7% on average of 3 runs, 7 µs" in picture.description


@pytest.mark.parametrize(
    ("runs", "title"),
    [
        ({"dense": [0.9], "kp": [0.8]}, "Accuracy"),
        ({"dense": [0.9, 0.8], "kp": [0.8, 0.9]}, "Accuracy of 2 runs and their mean"),
        ({"dense": [0.9] * 5, "kp": [0.8]}, "Accuracy of 1 to 5 runs and their mean"),
    ],
)
def test_comparison_says_what_is_a_mean(runs, title):
    picture = plots.comparison({"dense": 2, "kp": 1}, runs, {"dense": 2, "kp": 1})
    assert picture.figure.axes[1].get_title(loc="left") == title


def test_comparison_keeps_titles_off_the_axis_above():
    figure = PICTURES["comparison"]().figure
    FigureCanvasAgg(figure).draw()
    _, dots, bars = figure.axes
    lowest = min(label.get_window_extent().y0 for label in dots.get_xticklabels())
    (title,) = (t for t in bars.findobj(Text) if t.get_text() == bars.get_title(loc="left"))
    box = title.get_window_extent()
    assert lowest - box.y1 > 0.8 * box.height


@pytest.mark.parametrize(
    ("draw", "error", "words"),
    [
        (lambda: plots.kron_blocks([1, 2], B), ShapeError, "A must have 2 axes, found 1"),
        (lambda: plots.kron_blocks(np.ones((600, 1)), np.ones((2, 1))), ShapeError, "1024 at most"),
        (lambda: plots.kron_blocks([[1j]], B), DtypeError, "A has dtype complex128"),
        (lambda: plots.kron_blocks(A, [[np.inf]]), ValueError, "B has 1 NaN or infinite"),
        (lambda: plots.product_figure(A, B, X[1:]), ShapeError, r"x has shape \(5,\).*= \(6,\)"),
        (lambda: plots.product_figure(np.ones((13, 1)), [[1]], [1]), ShapeError, "13 x 1 matrix"),
        (lambda: plots.training_curves({}), ValueError, "no runs"),
        (lambda: plots.training_curves({"kp": []}), ValueError, r"records\['kp'\].*shape \(0,\)"),
        (lambda: plots.training_curves({"kp": [97.0]}), ValueError, "97 to 97, outside 0 to 1"),
        (lambda: plots.training_curves({"kq": [0.5]}), ValueError, "'kq' is none of"),
        (lambda: plots.comparison({"kp": 1}, {"kp": [1]}, {}), ValueError, r"seconds \[\]"),
        (lambda: plots.comparison({"kp": 1}, {"kp": [1]}, {"kp": -1}), ValueError, "-1 to -1"),
        (lambda: plots.Picture(matplotlib.figure.Figure(), "T", " "), ValueError, "description"),
    ],
)
def test_bad_input_is_refused_with_the_numbers(draw, error, words):
    with pytest.raises(error, match=words):
        draw()
