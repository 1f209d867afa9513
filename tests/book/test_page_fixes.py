"""book/_ext: each fix does what it says, and fixing twice changes nothing."""

from __future__ import annotations

from pathlib import Path

import pytest

pytestmark = pytest.mark.repository


@pytest.fixture(scope="module")
def page_fixes(load):
    return load("book/_ext/page_fixes.py")


@pytest.fixture(scope="module")
def repository_address(load):
    return load("book/_ext/repository_address.py")


CASES = {
    "label against text": (
        '<button aria-label="Search" class="search-button-field">Search Ctrl+K</button>',
        '<button class="search-button-field">Search Ctrl+K</button>',
    ),
    "arrow in the contents": (
        '<ul><li><a href="#">Library</a><details><summary><span class="toctree-toggle"></span>'
        "</summary></details></li></ul>",
        '<ul><li><a href="#">Library</a><details><summary aria-label="Pages of Library">'
        '<span class="toctree-toggle"></span></summary></details></li></ul>',
    ),
    "paragraph in a summary": (
        "<summary><p>Show</p></summary>",
        "<summary><span>Show</span></summary>",
    ),
    "list in a paragraph": ("<p><ul><li>a</li></ul></p>", "<ul><li>a</li></ul>"),
    "repeated id": ('<i id="a"></i><i id="a"></i>', '<i id="a"></i><i id="a-2"></i>'),
    "section without heading": ("<section>a</section>", "<div>a</div>"),
    "section with heading": (
        "<section><h2>b</h2></section>",
        "<section><h2>b</h2></section>",
    ),
    "void elements": ("<br/>", "<br>"),
    "text is not touched": (
        "<pre>a  &lt;b&gt;\n  é ⊗ &amp;</pre><script>a < b && c</script>",
        "<pre>a  &lt;b&gt;\n  é ⊗ &amp;</pre><script>a < b && c</script>",
    ),
    "space in a link": (
        '<p class="admonition-title">Solution to<a href="#a"> Exercise 1</a></p>',
        '<p class="admonition-title">Solution to <a href="#a">Exercise 1</a></p>',
    ),
    "punctuation after a formula": (
        '<p>by <span class="math notranslate">h</span>, and</p>',
        '<p>by <span class="kp-keep"><span class="math notranslate">h</span>,</span> and</p>',
    ),
    "image in a drawing": (
        '<svg><g><image href="a"/></g></svg><img src="b"/>',
        '<svg><g><image href="a"></image></g></svg><img src="b">',
    ),
    "sizes": (
        '<article class="bd-article"><p>118 × 128, a × b</p><pre>2 × 3</pre></article>',
        '<article class="bd-article"><p>118\u00a0×\u00a0128, a × b</p><pre>2 × 3</pre></article>',
    ),
    "theme before any script": (
        '<html data-theme="auto"><head></head></html>',
        '<html data-theme="light"><head></head></html>',
    ),
    "note on formulas": (
        '<article class="bd-article"><h1>a</h1><i class="math">b</i></article>',
        '<article class="bd-article"><noscript><p class="kp-noscript">Formulas and figures with '
        "buttons need JavaScript. Every result is in the text as well.</p></noscript>"
        '<h1>a</h1><i class="math">b</i></article>',
    ),
    "no note without formulas": (
        '<article class="bd-article"><h1>a</h1></article>',
        '<article class="bd-article"><h1>a</h1></article>',
    ),
    "role of references": (
        '<div role="doc-biblioentry"></div>',
        '<div role="listitem"></div>',
    ),
}


@pytest.mark.parametrize(("before", "after"), CASES.values(), ids=CASES)
def test_fix(page_fixes, before: str, after: str):
    assert page_fixes.fix_page(before) == after
    assert page_fixes.fix_page(after) == after


def test_address_is_read_from_pyproject(repository_address, tmp_path: Path):
    path = tmp_path / "pyproject.toml"
    path.write_text(
        '[project.urls]\nRepository = "https://example.org/a/b/"\n'
        'Documentation = "https://example.org/pages"\n',
        encoding="utf-8",
    )
    assert repository_address.read_urls(path) == (
        "https://example.org/a/b",
        "https://example.org/pages/",
    )


def test_missing_address_is_told(repository_address, tmp_path: Path):
    path = tmp_path / "pyproject.toml"
    path.write_text('[project]\nname = "x"\n', encoding="utf-8")
    with pytest.raises(repository_address.ExtensionError, match="Repository, Documentation"):
        repository_address.read_urls(path)
