"""The built pages, and pages opened with everything that goes wrong on them."""

from __future__ import annotations

import functools
import importlib.util
import re
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).resolve().parents[2]
HTML = ROOT / "_build" / "html"
TEST_ASSETS = ROOT / ".cache" / "test-assets"
NOT_BUILT = "no built pages"
# Pages without content of their own.
REDIRECT = "index.html"


def page_names() -> list[str]:
    """Every HTML page of the build; one name that makes the tests fail if there is none."""
    if not (HTML / "book" / "index.html").is_file():
        return [NOT_BUILT]
    paths = (p.relative_to(HTML) for p in HTML.rglob("*.html"))
    return sorted(p.as_posix() for p in paths if not p.parts[0].startswith("_"))


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Parametrize by page, so that a new page is tested without anybody asking."""
    if "page_name" in metafunc.fixturenames:
        names = [n for n in page_names() if n != REDIRECT]
        metafunc.parametrize("page_name", names, scope="module")


@pytest.fixture(scope="session")
def load() -> Callable[[str], ModuleType]:
    """Load a Python file of the checkout that belongs to no package, once.

    Not at import: where only the wheel is tested, these files are not there.
    """

    @functools.cache
    def load_file(path: str) -> ModuleType:
        spec = importlib.util.spec_from_file_location(Path(path).stem, ROOT / path)
        module = importlib.util.module_from_spec(spec)
        sys.modules[spec.name] = module  # dataclasses look their module up
        spec.loader.exec_module(module)
        return module

    return load_file


@pytest.fixture(scope="session")
def html() -> Path:
    """Return the folder of the built pages."""
    if page_names() == [NOT_BUILT]:
        pytest.fail(f"There are no built pages in {HTML}: run `make book` first.", pytrace=False)
    return HTML


@pytest.fixture(scope="session")
def test_assets() -> Path:
    """Return the folder with axe-core and the Nu HTML checker."""
    if not (TEST_ASSETS / "versions.json").is_file():
        pytest.fail("axe and vnu are missing: run `python tools/web_assets.py --tests`.", False)
    return TEST_ASSETS


@pytest.fixture(scope="session")
def address(html: Path, serve: Callable[[Path], str]) -> str:
    """Serve the pages on this machine; the address without a slash at the end."""
    return serve(html)


@dataclass
class Visit:
    """An open page and everything that went wrong on it or was asked for outside."""

    page: object
    outside: list[str] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)
    shown: tuple[int, int, dict[str, str]] = (1280, 900, {})


def open_page(browser, url: str, allowed: str) -> Visit:
    """Open ``url`` in a fresh profile and wait until maths and widgets stand."""
    context = browser.new_context(
        viewport={"width": 1280, "height": 900}, color_scheme="light", reduced_motion="reduce"
    )
    page = context.new_page()
    visit = Visit(page)

    def abort(route) -> None:
        visit.outside.append(route.request.url)
        route.abort()

    def on_response(response) -> None:
        if response.status >= 400:
            visit.errors.append(f"{response.status} for {response.url}")

    def on_failure(request) -> None:
        if request.url not in visit.outside:
            visit.errors.append(f"failed: {request.url} {request.failure}")

    context.route(re.compile(rf"^(?!{re.escape(allowed)}|data:|blob:)"), abort)
    page.on("response", on_response)
    page.on("requestfailed", on_failure)
    page.on("pageerror", lambda error: visit.errors.append(f"script error: {error}"))
    page.on("console", lambda m: m.type == "error" and visit.errors.append(f"console: {m.text}"))
    page.goto(url, wait_until="load")
    page.evaluate("() => window.MathJax?.startup?.promise")
    page.evaluate("() => document.fonts.ready.then(() => null)")
    page.wait_for_function(WIDGETS_STAND, timeout=20_000)
    return visit


# html-manager puts each widget right in front of the script that describes it.
WIDGETS_STAND = """() => [...document.querySelectorAll(
    'script[type="application/vnd.jupyter.widget-view+json"]')].every(
    (script) => script.previousElementSibling?.firstElementChild?.childElementCount)"""


@pytest.fixture
def opened(browser) -> Iterator[Callable[[str, str], Visit]]:
    """Open pages for one test; they are closed after it."""
    visits: list[Visit] = []

    def open_one(url: str, allowed: str) -> Visit:
        visits.append(open_page(browser, url, allowed))
        return visits[-1]

    yield open_one
    for visit in visits:
        visit.page.context.close()


@pytest.fixture(scope="session")
def axe(test_assets: Path) -> Path:
    """Return the accessibility checker's script."""
    return test_assets / "axe.min.js"


@pytest.fixture(scope="module")
def visit(browser, address: str, page_name: str) -> Iterator[Visit]:
    """Open the page once for all tests of a module."""
    visit = open_page(browser, f"{address}/{page_name}", address + "/")
    yield visit
    visit.page.context.close()


@pytest.fixture(scope="module")
def bare(browser) -> Iterator:
    """A browser that runs no scripts."""
    context = browser.new_context(java_script_enabled=False)
    yield context
    context.close()
