"""Print the built book into one PDF: ``_build/book.pdf``, with bookmarks and links that work.

Run it with the environment's Python, after the book is built: ``python tools/make_pdf.py``.

A browser opens every page in the order of the contents, the mathematics is set, and the articles
are put into one page under the styles of the book, whose print rules do the rest. Links from page
to page become links inside the document.
"""

from __future__ import annotations

import argparse
import functools
import http.server
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

ROOT = Path(__file__).resolve().parent.parent
FLAGS = ["--no-sandbox", "--disable-dev-shm-usage"]

# The contents, as the sidebar has them; the first page is the book's own. As paths from the root.
CONTENTS = """() => [...new Set(
    [...document.querySelectorAll(".bd-sidebar-primary nav a.reference.internal")]
    .map((link) => new URL(link.href).pathname))]"""

TYPESET = """async () => {
    if (window.MathJax?.startup) await MathJax.startup.promise;
    await document.fonts.ready;
}"""

# An article whose ids and links carry the name of its page, and what MathJax needs to show it.
ARTICLE = """(pages) => {
    const here = location.pathname;
    const name = (path) => `page-${pages.indexOf(path)}`;
    const article = document.querySelector(".bd-article").cloneNode(true);
    const each = (selector, change) => article.querySelectorAll(selector).forEach(change);
    each("script, .prev-next-area, button, .headerlink", (e) => e.remove());
    each("[id]", (e) => {
        if (!e.closest("svg")) e.id = `${name(here)}-${e.id}`;
    });
    each("a[href]", (link) => {
        if (link.closest("svg")) return;
        const url = new URL(link.getAttribute("href"), location.href);
        if (url.origin !== location.origin) return;
        if (!pages.includes(url.pathname)) return link.removeAttribute("href");
        link.setAttribute("href", `#${name(url.pathname)}${url.hash.replace("#", "-")}`);
    });
    each("img[src]", (e) => { e.src = new URL(e.getAttribute("src"), location.href).href; });
    each("details", (e) => { e.open = true; });
    article.id = name(here);
    const rules = document.getElementById("MJX-CHTML-styles")?.sheet.cssRules ?? [];
    const mathematics = [...rules].map((rule) => rule.cssText).join("\\n");
    return {html: article.outerHTML, mathematics};
}"""

# All articles in the page that is open, in place of its own and of everything around it.
TOGETHER = """({articles, styles}) => {
    const style = document.createElement("style");
    style.textContent = styles + `
        @page { size: A4; margin: 18mm 16mm 20mm; }
        .kp-book > article { break-before: page; max-width: none; }
        .kp-book > article:first-child { break-before: auto; }
        .kp-book .kp-long, .kp-book .kp-long pre { break-inside: auto; orphans: 5; widows: 5; }
        .kp-book .sd-container-fluid { break-inside: avoid; }`;
    document.title = document.title.split(" — ").at(-1);
    document.head.append(style);
    document.documentElement.dataset.theme = document.documentElement.dataset.mode = "light";
    const book = document.createElement("main");
    book.className = "kp-book bd-content";
    book.innerHTML = articles.join("\\n");
    document.body.replaceChildren(book);
    // Kept whole, what is longer than that would leave much of a page empty.
    book.querySelectorAll("div.cell_input, div.cell_output, .admonition, pre").forEach((e) => {
        if (e.offsetHeight > 480) e.classList.add("kp-long");
    });
}"""

FOOTER = """<div style="font: 8px sans-serif; color: #666; width: 100%; text-align: center">
<span class="pageNumber"></span></div>"""


class _Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *_: object) -> None:
        """Say nothing."""


class _Server(http.server.ThreadingHTTPServer):
    def handle_error(self, *_: object) -> None:
        """Say nothing when the browser goes on to another page before an answer is read."""


@contextmanager
def served(folder: Path) -> Iterator[str]:
    """Serve a folder on this machine; its address."""
    handler = functools.partial(_Quiet, directory=str(folder))
    with _Server(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


def collect(page: Page, address: str) -> tuple[list[str], str]:
    """Open every page of the book; the articles in order, and the styles of their mathematics."""
    page.goto(f"{address}/index.html")
    page.wait_for_load_state()  # index.html leads on to the book's first page
    page.wait_for_selector(".bd-article", state="attached")
    first = page.evaluate("location.pathname")
    pages = list(dict.fromkeys([first, *page.evaluate(CONTENTS)]))
    articles, styles = [], {}
    for path in pages:
        page.goto(f"{address}{path}")
        page.evaluate(TYPESET)
        found = page.evaluate(ARTICLE, pages)
        articles.append(found["html"])
        styles.update(dict.fromkeys(found["mathematics"].splitlines()))
    return articles, "\n".join(styles)


def make_pdf(html: Path, target: Path, browser: Browser) -> int:
    """Print the book built in `html`; the number of its pages that are in it."""
    with served(html) as address:
        page = browser.new_page(viewport={"width": 700, "height": 1000}, color_scheme="light")
        articles, styles = collect(page, address)
        page.emulate_media(media="print")
        page.evaluate(TOGETHER, {"articles": articles, "styles": styles})
        page.evaluate("async () => { await document.fonts.ready; }")
        part = target.with_suffix(".part")
        page.pdf(
            path=part, format="A4", print_background=True, prefer_css_page_size=True,
            display_header_footer=True, header_template="<span></span>", footer_template=FOOTER,
            outline=True, tagged=True,
        )  # fmt: skip
        part.replace(target)  # a print that was cut off leaves the old one
    return len(articles)


def main(arguments: list[str] | None = None) -> int:
    """Run the command; its exit status."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--html", type=Path, default=ROOT / "_build" / "html")
    parser.add_argument("--target", type=Path, default=ROOT / "_build" / "book.pdf")
    parser.add_argument("--browser", help="the browser to print with; by default playwright's own")
    chosen = parser.parse_args(arguments)
    if not (chosen.html / "index.html").is_file():
        print(f"There is no book in {chosen.html}: run `make book` first.", file=sys.stderr)
        return 1
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chosen.browser or None, args=FLAGS)
        count = make_pdf(chosen.html, chosen.target, browser)
        browser.close()
    print(f"{chosen.target}: {count} pages of the book, {chosen.target.stat().st_size >> 20} MB")
    return 0


if __name__ == "__main__":
    sys.exit(main())
