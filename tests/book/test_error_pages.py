"""The page of error messages says what kplib raises; the page for no page leads back."""

from __future__ import annotations

from pathlib import Path

import pytest
from bs4 import BeautifulSoup

pytestmark = pytest.mark.repository


def words(text: str) -> str:
    return " ".join(text.split())


@pytest.mark.book
def test_each_heading_is_what_its_cell_raises(html: Path):
    page = (html / "book" / "how-to" / "errors.html").read_text(encoding="utf-8")
    sections = BeautifulSoup(page, "html.parser").select("section > section:has(> h2)")
    assert len(sections) >= 12
    for section in sections:
        heading = words(section.h2.code.get_text())
        (raised,) = section.select(".traceback")
        message = words(raised.get_text())
        place = 0
        for piece in heading.split("…"):  # what differs from machine to machine
            found = message.find(piece.strip(), place)
            assert found >= 0, f"{heading}\n{message}"
            place = found + len(piece.strip())
        assert message.startswith(heading.partition("…")[0].strip())
        assert len(words(section.get_text())) > len(heading) + len(message) + 100  # what to do


@pytest.mark.browser
def test_an_address_that_is_none_leads_back(html: Path, browser):
    """As a server shows 404.html: under the address that was asked for, at any depth."""
    text = (html / "404.html").read_text(encoding="utf-8")
    base = BeautifulSoup(text, "html.parser").select_one("link[rel=canonical]")["href"]
    base = base.removesuffix("404.html")
    context = browser.new_context()

    def answer(route):
        path = route.request.url.removeprefix(base).partition("?")[0].partition("#")[0]
        if (html / path).is_file():
            route.fulfill(path=html / path)
        else:
            route.fulfill(status=404, path=html / "404.html")

    context.route("**/*", answer)
    page = context.new_page()
    page.goto(f"{base}book/chapters/old/name.html")
    assert page.locator("h1").inner_text() == "There is no such page"
    family = "getComputedStyle(document.querySelector('h1')).fontFamily"
    assert "Inter" in page.evaluate(family)  # the style sheets were found
    page.get_by_role("link", name="the cover, with a map").click()
    page.wait_for_url(f"{base}book/index.html")
    assert page.locator(".kp-map").is_visible()
    context.close()
