"""The book as a whole in a browser: the way in, the search, and pages opened as files."""

from __future__ import annotations

from pathlib import Path

import pytest

pytestmark = [pytest.mark.browser, pytest.mark.repository]


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
