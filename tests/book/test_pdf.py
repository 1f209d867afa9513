"""The book as one PDF: every page once, in order, and links that stay inside."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

pytestmark = [pytest.mark.browser, pytest.mark.repository]
ROOT = Path(__file__).resolve().parents[2]
PAGE = """<!doctype html><html><head><meta charset="utf-8">
<title>{title} — The Book</title></head><body>
<div class="bd-sidebar-primary"><nav>
<a class="reference internal" href="/b.html">B</a><a class="reference internal" href="/a.html">A</a>
</nav></div>
<article class="bd-article"><h1 id="top">{title}</h1><button>copy</button>{body}</article>
</body></html>"""


@pytest.fixture
def tool(monkeypatch):
    monkeypatch.syspath_prepend(str(ROOT / "tools"))
    import make_pdf

    yield make_pdf
    sys.modules.pop("make_pdf")


@pytest.fixture
def site(tmp_path):
    links = '<a href="b.html#top">B</a> <a href="#top">up</a> <a href="search.html">search</a>'
    pages = {
        "index": ("Start", '<a href="https://example.org/x">out</a>'),
        "a": ("Alpha", links + '<svg><g id="drawn"></g></svg>'),
        "b": ("Beta", '<a href="a.html">A</a><details><p>folded</p></details>'),
    }
    for name, (title, body) in pages.items():
        (tmp_path / f"{name}.html").write_text(PAGE.format(title=title, body=body))
    return tmp_path


def test_pages_are_put_together_in_the_order_of_the_contents(tool, site, browser):
    page = browser.new_page()
    with tool.served(site) as address:
        articles, styles = tool.collect(page, address)
        page.evaluate(tool.TOGETHER, {"articles": articles, "styles": styles})
    assert page.locator("h1").all_inner_texts() == ["Start", "Beta", "Alpha"]
    assert page.locator("button").count() == 0
    assert page.title() == "The Book"
    assert page.locator("details[open]").count() == 1
    ids = page.evaluate("[...document.querySelectorAll('[id]')].map((e) => e.id)")
    assert len(set(ids)) == len(ids)
    assert "drawn" in ids  # a drawing refers to its own parts
    targets = page.evaluate(
        "[...document.querySelectorAll('a')].map((e) => [e.textContent, e.getAttribute('href')])"
    )
    assert dict(targets) == {
        "out": "https://example.org/x", "A": "#page-2", "B": "#page-1-top", "up": "#page-2-top",
        "search": None,
    }  # fmt: skip
    assert all(target[1:] in ids for _, target in targets if target and target.startswith("#"))
    page.close()


def test_the_pdf_is_whole_or_the_old_one_stays(tool, site, browser, tmp_path, monkeypatch):
    target = tmp_path / "book.pdf"
    assert tool.make_pdf(site, target, browser) == 3
    whole = target.read_bytes()
    assert whole.startswith(b"%PDF-")
    assert whole.rstrip().endswith(b"%%EOF")
    monkeypatch.setattr(tool, "FOOTER", 3)  # the browser refuses
    with pytest.raises(Exception, match="footer"):
        tool.make_pdf(site, target, browser)
    assert target.read_bytes() == whole


def test_without_a_book_it_says_what_to_do(tool, tmp_path, capsys):
    assert tool.main(["--html", str(tmp_path)]) == 1
    assert "run `make book` first" in capsys.readouterr().err


def test_the_contents_of_the_real_book_are_found(tool, browser, address):
    page = browser.new_page()
    page.goto(f"{address}/book/index.html")
    pages = page.evaluate(tool.CONTENTS)
    assert pages[0].endswith("00-the-whole-story.html")
    assert any(name.endswith("/api.html") for name in pages)
    page.goto(address + pages[2])
    page.evaluate(tool.TYPESET)
    article = page.evaluate(tool.ARTICLE, pages)
    assert article["mathematics"].count("font-family") > 3
    assert f'id="page-{2}"' in article["html"]
    page.close()
