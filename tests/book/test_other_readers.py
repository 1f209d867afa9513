"""The pages on paper, without scripts, and on a phone."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

pytestmark = [pytest.mark.browser, pytest.mark.repository]

STORY = "book/chapters/00-the-whole-story.html"
WIDGET = 'script[type="application/vnd.jupyter.widget-view+json"]'
FRAMES_THAT_SCROLL = """() => [...document.querySelectorAll(
    ".bd-article :is(pre, .highlight, .cell_input, .pst-scrollable-table-container)")]
    .filter((e) => ["auto", "scroll", "hidden"].includes(getComputedStyle(e).overflowX)
        || e.scrollWidth > e.clientWidth + 1)
    .map((e) => `${e.className} ${e.textContent.slice(0, 60)}`)"""
COLOURS = """() => [...document.querySelectorAll("body, h1, .bd-article a, .bd-article code")].map(
    (e) => getComputedStyle(e).color)"""


@pytest.fixture(scope="module")
def bare(browser) -> Iterator:
    """A browser that runs no scripts."""
    context = browser.new_context(java_script_enabled=False)
    yield context
    context.close()


@pytest.fixture(scope="module")
def bare_page(bare, address: str, page_name: str) -> Iterator:
    """The page where no scripts run."""
    page = bare.new_page()
    page.goto(f"{address}/{page_name}")
    yield page
    page.close()


# ---------------------------------------------------------------- paper


@pytest.fixture
def printed(visit) -> Iterator:
    """The page as on paper, as wide as the text of an A4 sheet."""
    page = visit.page
    page.set_viewport_size({"width": 700, "height": 1000})
    page.emulate_media(media="print")
    yield page
    page.emulate_media(media="screen")
    page.set_viewport_size({"width": 1280, "height": 900})


def test_paper_hides_nothing(printed):
    folded = printed.locator("details.hide > :not(summary), .admonition.toggle > :not(p)")
    hidden = [e.inner_text()[:80] for e in folded.all() if not e.is_visible()]
    assert hidden == []
    empty = [e for e in folded.all() if e.bounding_box()["height"] < 8]
    assert empty == []


def test_paper_has_no_controls(printed):
    controls = printed.locator(".bd-article :is(button, input, select, details > summary)")
    assert [c.inner_html()[:80] for c in controls.all() if c.is_visible()] == []


def test_paper_cuts_no_line_off(printed):
    """What scrolls on a screen is cut off on paper, and leaves an empty frame at a page's end."""
    assert printed.evaluate(FRAMES_THAT_SCROLL) == []


def test_paper_is_light_whatever_the_screen_is(address: str, opened):
    page = opened(f"{address}/{STORY}", address + "/").page
    page.emulate_media(color_scheme="dark")
    theme = "document.documentElement.dataset.theme"
    page.wait_for_function(f"{theme} === 'dark'")
    for event, expected in (("beforeprint", "light"), ("afterprint", "dark")):
        page.evaluate("(name) => { dispatchEvent(new Event(name)); }", event)
        assert page.evaluate(theme) == expected


# ---------------------------------------------------------------- without scripts


def test_colours_need_no_script(visit, bare_page):
    usual = visit.page.evaluate(COLOURS)
    assert bare_page.evaluate(COLOURS) == usual
    assert len(set(usual)) >= 2


def test_note_stands_where_formulas_or_widgets_do(bare_page):
    needed = bare_page.locator(f".bd-article :is(.math, {WIDGET})").count() > 0
    assert bare_page.locator(".kp-noscript:visible").count() == needed


def test_static_figure_is_open_where_the_widget_is_blank(bare, address: str):
    page = bare.new_page()
    page.goto(f"{address}/{STORY}")
    folds = page.locator(f".cell:has({WIDGET}) + .cell details.hide")
    assert folds.count() >= 1
    for fold in folds.all():
        figure = fold.locator("svg, img").first
        assert figure.is_visible()
        assert figure.bounding_box()["height"] > 100
    # Answers to questions stay folded.
    others = page.locator(f".cell:not(.cell:has({WIDGET}) + .cell) > details.hide > .cell_output")
    assert others.count() >= 1
    assert not any(answer.is_visible() for answer in others.all())


def test_note_is_not_seen_with_scripts(address: str, opened):
    page = opened(f"{address}/{STORY}", address + "/").page
    assert page.locator(".kp-noscript:visible").count() == 0


# ---------------------------------------------------------------- phones


@pytest.fixture
def phone(visit) -> Iterator:
    """The page on a phone."""
    visit.page.set_viewport_size({"width": 390, "height": 844})
    yield visit.page
    visit.page.set_viewport_size({"width": 1280, "height": 900})


def test_tables_fit_a_phone(phone):
    """A column that is cut off, with no sign of it, is not found."""
    tables = phone.evaluate(
        "() => [...document.querySelectorAll('.pst-scrollable-table-container')].map("
        "(t) => [t.textContent.trim().slice(0, 40), t.scrollWidth - t.clientWidth])"
    )
    assert [table for table in tables if table[1] > 0] == []


def test_solutions_open_by_a_finger(phone):
    for box in phone.locator(".admonition.toggle").all():
        button = box.locator("button.toggle-button")
        label = "getComputedStyle(e, '::before').content"
        closed = button.bounding_box()
        assert min(closed["width"], closed["height"]) >= 32
        assert button.evaluate(f"(e) => {label}") == '"Click to show"'
        button.click()
        assert button.evaluate(f"(e) => {label}") == '"Click to hide"'
        frame, opened = box.bounding_box(), button.bounding_box()
        assert abs(opened["y"] - frame["y"]) < 8  # it stays at the title
        assert frame["x"] + frame["width"] - opened["x"] - opened["width"] < 16
        button.click()


# ---------------------------------------------------------------- the page of timings


def test_timings_are_in_words(address: str, opened, html: Path):
    page = opened(f"{address}/book/timings.html", address + "/").page
    heads = page.locator("table th").all_inner_texts()
    assert heads == ["Page", "Cells were run", "Seconds", "Result"]
    rows = [row.locator("td") for row in page.locator("table tbody tr").all()]
    assert len(rows) >= 3
    for cells in rows:
        link = cells.nth(0).locator("a")
        target = (html / "book" / link.get_attribute("href")).read_text(encoding="utf-8")
        title = re.search(r"<title>(.*?) —|<title>(.*?)</title>", target)
        assert link.inner_text() in title.groups()
        assert cells.nth(3).inner_text() == "complete"
        assert float(cells.nth(2).inner_text()) > 0
