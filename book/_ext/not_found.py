"""Sphinx extension: 404.html, the page that a server shows for an address that is none.

A server shows it under the address that was asked for, so its relative links would lead nowhere. A
script gives them the book's own address as their base wherever the page is not called 404.html.
"""

from __future__ import annotations

import html
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from sphinx.application import Sphinx

NAME = "404"
TITLE = "There is no such page"
BODY = """<section id="there-is-no-such-page">
<h1>There is no such page</h1>
<p>The address is misspelt, or the page has moved. What it was about is likely still here:</p>
<ul>
<li><a href="{cover}">the cover, with a map of all chapters</a></li>
<li><a href="search.html">the search</a></li>
<li><a href="book/api.html">every name of the library</a></li>
<li><a href="book/how-to/errors.html">error messages, and what to do</a></li>
</ul>
</section>"""
BASE = """<script>if (!/404\\.html$/.test(location.pathname))
  document.write('<base href="{address}">');</script>"""


def pages(app: Sphinx) -> Iterator[tuple[str, dict[str, Any], str]]:
    """Yield the page, in the theme's own frame."""
    body = BODY.format(cover=app.builder.get_target_uri(app.config.root_doc))
    yield NAME, {"title": TITLE, "body": body}, "page.html"


def set_base(app: Sphinx, exception: Exception | None) -> None:
    """Put the script in front of everything that the page loads."""
    path = Path(app.outdir, f"{NAME}.html")
    if exception or not path.is_file():
        return
    text = path.read_text(encoding="utf-8")
    base = BASE.format(address=html.escape(app.config.html_baseurl))
    if "<base " not in text:
        path.write_text(text.replace("<head>", f"<head>\n{base}", 1), encoding="utf-8")


def setup(app: Sphinx) -> dict[str, Any]:
    """Connect to Sphinx."""
    app.connect("html-collect-pages", pages)
    app.connect("build-finished", set_base)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
