"""Every built page in a real browser, on paper, without scripts, and on a phone.

All in one module, which opens each page once.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

pytestmark = [pytest.mark.browser, pytest.mark.repository]

AXE = """async (options) => (await axe.run(document, options)).violations.map(
    (v) => `${v.id}: ${v.help}\\n` + v.nodes.slice(0, 5).map(
        (n) => `    ${n.target.join(" ")}: ${n.html.slice(0, 120)}`).join("\\n"))"""

TOO_WIDE = """(width) => [...document.querySelectorAll("main *")].filter((e) =>
    e.getBoundingClientRect().right > width + 1 && !e.closest("pre, table, mjx-container, .math"))
    .slice(0, 8).map((e) => `${e.tagName}.${e.className} ${e.getBoundingClientRect().right}`)"""

BROKEN_IMAGES = """() => [...document.images].filter(
    (i) => i.checkVisibility() && !(i.complete && i.naturalWidth)).map((i) => i.src)"""

FRAMES_THAT_SCROLL = """() => [...document.querySelectorAll(
    ".bd-article :is(pre, .highlight, .cell_input, .pst-scrollable-table-container)")]
    .filter((e) => ["auto", "scroll", "hidden"].includes(getComputedStyle(e).overflowX)
        || e.scrollWidth > e.clientWidth + 1)
    .map((e) => `${e.className} ${e.textContent.slice(0, 60)}`)"""

# A line of text is higher than 8 pixels.
UNSEEN = """(selector) => [...document.querySelectorAll(selector)].filter((e) =>
    e.getBoundingClientRect().width === 0 || e.getBoundingClientRect().height < 8
    || getComputedStyle(e).visibility !== "visible").map((e) => e.textContent.slice(0, 80))"""

COLOURS = """() => [...document.querySelectorAll("body, h1, .bd-article a, .bd-article code")].map(
    (e) => getComputedStyle(e).color)"""

WIDGET = 'script[type="application/vnd.jupyter.widget-view+json"]'


def shown(visit, width: int, height: int, **media: str):
    """Return the page as such a screen or paper shows it, laid out again only for another one."""
    if visit.shown != (width, height, media):
        visit.page.set_viewport_size({"width": width, "height": height})
        visit.page.emulate_media(**{"media": "screen", "color_scheme": "light", **media})
        visit.shown = (width, height, media)
    return visit.page


@pytest.fixture
def on_screen(visit):
    """The page on a wide screen."""
    return shown(visit, 1280, 900)


@pytest.fixture
def phone(visit):
    """The page on a phone."""
    return shown(visit, 390, 844)


@pytest.fixture
def printed(visit):
    """The page as on paper, as wide as the text of an A4 sheet."""
    return shown(visit, 700, 1000, media="print")


def test_asks_nothing_from_outside(visit):
    assert visit.outside == []


def test_no_errors(visit):
    assert visit.errors == []


def test_mathematics_is_rendered(on_screen):
    page = on_screen
    formulas = page.locator(".math").count()
    assert page.locator("mjx-container").count() >= formulas
    bare = page.evaluate(
        "() => [...document.querySelectorAll('.math')].filter("
        "(e) => !e.querySelector('mjx-container')).map((e) => e.textContent)"
    )
    assert bare == []
    wrong = page.locator("mjx-merror, [data-mjx-error]")
    assert wrong.count() == 0, wrong.all_text_contents()


def test_images_are_there(on_screen):
    assert on_screen.evaluate(BROKEN_IMAGES) == []


# In the dark only what is a matter of colours is looked at again.
CHECKED = {"light": {}, "dark": {"runOnly": ["color-contrast", "link-in-text-block"]}}


@pytest.mark.parametrize("scheme", CHECKED)
def test_is_accessible(visit, scheme: str, axe: Path):
    page = shown(visit, 1280, 900, color_scheme=scheme)
    page.wait_for_function(f"document.documentElement.dataset.theme === '{scheme}'")
    if not page.evaluate("() => 'axe' in window"):
        page.evaluate(axe.read_text(encoding="utf-8"))
    violations = page.evaluate(AXE, {"resultTypes": ["violations"], **CHECKED[scheme]})
    assert not violations, "\n".join(violations)


# ---------------------------------------------------------------- phones


def test_fits_a_phone(phone):
    width = phone.evaluate("() => document.scrollingElement.scrollWidth")
    assert width <= 390, phone.evaluate(TOO_WIDE, 390)
    assert phone.locator("h1").first.is_visible()


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


# ---------------------------------------------------------------- paper


def test_paper_hides_nothing(printed):
    assert (
        printed.evaluate(UNSEEN, "details.hide > :not(summary), .admonition.toggle > :not(p)") == []
    )


def test_paper_has_no_controls(printed):
    controls = ".bd-article :is(button, input, select, details > summary)"
    found, unseen = printed.locator(controls).count(), printed.evaluate(UNSEEN, controls)
    assert found == len(unseen)


def test_paper_cuts_no_line_off(printed):
    """What scrolls on a screen is cut off on paper, and leaves an empty frame at a page's end."""
    assert printed.evaluate(FRAMES_THAT_SCROLL) == []


# ---------------------------------------------------------------- without scripts


@pytest.fixture(scope="module")
def bare_page(bare, address: str, page_name: str) -> Iterator:
    """The page where no scripts run."""
    page = bare.new_page()
    page.goto(f"{address}/{page_name}")
    yield page
    page.close()


def test_colours_need_no_script(on_screen, bare_page):
    on_screen.mouse.move(0, 0)  # a link under it has another colour
    usual = on_screen.evaluate(COLOURS)
    assert bare_page.evaluate(COLOURS) == usual
    assert len(set(usual)) >= 2


def test_note_stands_where_formulas_or_widgets_do(bare_page):
    needed = bare_page.locator(f".bd-article :is(.math, {WIDGET})").count() > 0
    assert bare_page.locator(".kp-noscript:visible").count() == needed
