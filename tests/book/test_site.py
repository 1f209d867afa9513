"""The book as a whole in a browser: the way in, the search, what single pages show to whom."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

pytestmark = [pytest.mark.browser, pytest.mark.repository]

STORY = "book/chapters/00-the-whole-story.html"
WIDGET = 'script[type="application/vnd.jupyter.widget-view+json"]'


def test_address_leads_to_the_cover(address: str, opened):
    visit = opened(f"{address}/search.html", address + "/")
    visit.page.goto(f"{address}/")
    visit.page.wait_for_url("**/book/index.html")
    assert visit.page.locator("figure.kp-idea svg").is_visible()
    assert visit.errors == []


def test_search_finds_a_word(address: str, opened):
    visit = opened(f"{address}/search.html?q=Hadamard", address + "/")
    results = visit.page.locator("#search-results ul.search li a")
    results.first.wait_for()
    assert any("glossary.html" in link.get_attribute("href") for link in results.all())
    assert (visit.outside, visit.errors) == ([], [])


def test_search_opens_from_the_keyboard(address: str, opened):
    visit = opened(f"{address}/book/index.html", address + "/")
    visit.page.keyboard.press("Control+k")
    assert visit.page.locator("dialog input[type=search]").is_visible()


def test_reader_chooses_dark(address: str, opened):
    page = opened(f"{address}/book/index.html", address + "/").page
    for _ in range(3):
        page.locator("button.theme-switch-button:visible").first.click()
        if page.evaluate("document.documentElement.dataset.mode") == "dark":
            break
    assert page.evaluate("document.documentElement.dataset.theme") == "dark"
    page.reload()
    assert page.evaluate("document.documentElement.dataset.theme") == "dark"


def test_pages_work_as_files(page_name: str, html: Path, opened):
    """Without any server, as `make book` tells the reader to open them."""
    visit = opened((html / page_name).as_uri(), html.as_uri() + "/")
    assert visit.outside == []
    # Search needs its index by a script tag, which files allow; nothing else may fail either.
    assert visit.errors == []
    bare = visit.page.evaluate(
        "() => [...document.querySelectorAll('.math')].filter("
        "(e) => !e.querySelector('mjx-container')).length"
    )
    assert bare == 0


def test_an_outside_request_is_caught(opened, tmp_path: Path):
    """The net has no hole: a page that asks for something outside is found out."""
    page = tmp_path / "page.html"
    page.write_text('<!DOCTYPE html><img src="http://example.org/x.png" alt="">', encoding="utf-8")
    assert opened(page.as_uri(), tmp_path.as_uri() + "/").outside == ["http://example.org/x.png"]


def test_paper_is_light_whatever_the_screen_is(address: str, opened):
    page = opened(f"{address}/{STORY}", address + "/").page
    page.emulate_media(color_scheme="dark")
    theme = "document.documentElement.dataset.theme"
    page.wait_for_function(f"{theme} === 'dark'")
    for event, expected in (("beforeprint", "light"), ("afterprint", "dark")):
        page.evaluate("(name) => { dispatchEvent(new Event(name)); }", event)
        assert page.evaluate(theme) == expected


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
