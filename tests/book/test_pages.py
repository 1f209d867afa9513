"""Every built page in a real browser: complete, quiet, readable, accessible."""

from __future__ import annotations

from pathlib import Path

import pytest

pytestmark = [pytest.mark.browser, pytest.mark.repository]

AXE = """async () => (await axe.run(document, {resultTypes: ["violations"]})).violations.map(
    (v) => `${v.id}: ${v.help}\\n` + v.nodes.slice(0, 5).map(
        (n) => `    ${n.target.join(" ")}: ${n.html.slice(0, 120)}`).join("\\n"))"""

TOO_WIDE = """(width) => [...document.querySelectorAll("main *")].filter((e) =>
    e.getBoundingClientRect().right > width + 1 && !e.closest("pre, table, mjx-container, .math"))
    .slice(0, 8).map((e) => `${e.tagName}.${e.className} ${e.getBoundingClientRect().right}`)"""

BROKEN_IMAGES = """() => [...document.images].filter(
    (i) => i.checkVisibility() && !(i.complete && i.naturalWidth)).map((i) => i.src)"""


def test_asks_nothing_from_outside(visit):
    assert visit.outside == []


def test_no_errors(visit):
    assert visit.errors == []


def test_mathematics_is_rendered(visit):
    page = visit.page
    formulas = page.locator(".math").count()
    assert page.locator("mjx-container").count() >= formulas
    bare = page.evaluate(
        "() => [...document.querySelectorAll('.math')].filter("
        "(e) => !e.querySelector('mjx-container')).map((e) => e.textContent)"
    )
    assert bare == []
    wrong = page.locator("mjx-merror, [data-mjx-error]")
    assert wrong.count() == 0, wrong.all_text_contents()


def test_images_are_there(visit):
    assert visit.page.evaluate(BROKEN_IMAGES) == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_is_accessible(visit, scheme: str, axe: Path):
    page = visit.page
    page.emulate_media(color_scheme=scheme, reduced_motion="reduce")
    page.wait_for_function(f"document.documentElement.dataset.theme === '{scheme}'")
    if not page.evaluate("() => 'axe' in window"):
        page.evaluate(axe.read_text(encoding="utf-8"))
    violations = page.evaluate(AXE)
    page.emulate_media(color_scheme="light", reduced_motion="reduce")
    assert not violations, "\n".join(violations)


def test_fits_a_phone(visit):
    page = visit.page
    page.set_viewport_size({"width": 390, "height": 844})
    try:
        width = page.evaluate("() => document.scrollingElement.scrollWidth")
        assert width <= 390, page.evaluate(TOO_WIDE, 390)
        assert page.locator("h1").first.is_visible()
    finally:
        page.set_viewport_size({"width": 1280, "height": 900})
