"""The figures' style: colours by computation, and no effect on what else draws."""

import itertools
import subprocess
import sys

import matplotlib
import numpy as np
import pytest
from matplotlib.colors import to_rgb

from kplib import plots


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
    assert {plots.technique(name) for name in names} == set(plots.PALETTE)
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
        assert matplotlib.rcParams["text.color"] == plots.style.INK
    assert matplotlib.rcParams["text.color"] == before != plots.style.INK


def test_missing_matplotlib_names_the_extra():
    code = (
        "import sys; sys.modules['matplotlib'] = None\n"
        "from kplib.errors import MissingExtraError\n"
        "try:\n    import kplib.plots\n"
        "except MissingExtraError as error:\n    print(error)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "pip install 'kplib[book]'" in done.stdout


def test_a_picture_needs_words():
    for title, description in (("T", " "), ("", "D")):
        with pytest.raises(ValueError, match="needs a title and a description"):
            plots.Picture(matplotlib.figure.Figure(), title, description)
