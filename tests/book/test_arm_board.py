"""Appendix A says of every number where it comes from: in a word, and in more than a colour."""

import re
from pathlib import Path

import pytest

pytestmark = [pytest.mark.book, pytest.mark.repository]

ROOT = Path(__file__).resolve().parents[2]
KINDS = ("measured", "counted", "modelled")


@pytest.fixture(scope="module")
def page():
    return (ROOT / "book" / "appendices" / "arm-board.md").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def style():
    return (ROOT / "book" / "_static" / "book.css").read_text(encoding="utf-8")


def test_the_kinds_are_explained_before_the_first_section(page):
    opening = page[: page.index("\n## ")]
    terms = re.findall(r"^\[(\w+)\]\{\.kp-evidence \.kp-(\w+)\}\n: ", opening, re.MULTILINE)
    assert terms == [(kind, kind) for kind in KINDS]


def test_every_figure_says_its_kind_first(page):
    captions = re.findall(r"^:    caption: (.+)$", page, re.MULTILINE)
    assert len(captions) == 4
    for caption in captions:
        word, kind = re.match(r'"\[(\w+)\]\{\.kp-evidence \.kp-(\w+)\} \S', caption).groups()
        assert word == kind
        assert kind in KINDS


def test_a_colour_in_both_themes_and_a_line_of_its_own(style):
    light, dark = (
        style[style.index(f"\nhtml{theme} {{") :].partition("}")[0]
        for theme in (':not([data-theme="dark"])', '[data-theme="dark"]')
    )
    for theme in (light, dark):
        colors = [re.search(rf"--kp-{kind}: (#[0-9a-f]{{6}});", theme)[1] for kind in KINDS]
        assert len(set(colors)) == len(KINDS)
    lines = [re.search(rf"^\.kp-{kind} .*--kp-line: (\w+);", style, re.M)[1] for kind in KINDS]
    assert len(set(lines)) == len(KINDS)
