"""Sphinx extension: make the written pages valid HTML and accessible.

The theme and some extensions write markup that axe-core or the Nu HTML checker reject, and no
setting changes that. Each function below mends one thing; the tests in ``tests/book`` fail when
one is missing, and a function whose fault was mended upstream can go.
"""

from __future__ import annotations

import html
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from bs4 import BeautifulSoup, NavigableString
from bs4.dammit import EntitySubstitution
from bs4.formatter import HTMLFormatter
from sphinx.application import Sphinx

WIDGET = 'script[type="application/vnd.jupyter.widget-view+json"]'
# A figure with buttons stays empty without scripts; the fold below it has the same, standing still.
OPEN_FOLDS = (
    f".cell:has({WIDGET}) + .cell details::details-content {{ content-visibility: visible }}"
)
NEEDS_SCRIPTS = (
    "Formulas and figures with buttons need JavaScript. Every result is in the text as well."
)
BLOCKS = ["div", "dl", "ol", "p", "pre", "section", "table", "ul"]
HEADINGS = ["h1", "h2", "h3", "h4", "h5", "h6"]
# As HTML has it: `<br>` without a slash, and only &, < and > escaped.
FORMATTER = HTMLFormatter(
    entity_substitution=EntitySubstitution.substitute_xml, void_element_close_prefix=""
)


def name_buttons_by_their_text(soup: BeautifulSoup) -> None:
    """Take away labels that contradict the visible text (axe: label-content-name-mismatch)."""
    for element in soup.select("button.search-button-field, summary"):
        del element["aria-label"]
    for arrow in soup.select("li > details > summary:has(> .toctree-toggle)"):  # has no text
        arrow["aria-label"] = f"Pages of {arrow.find_previous('a').get_text(strip=True)}"
    for icon in soup.select("button.theme-switch-button i"):
        del icon["title"]
        icon["aria-hidden"] = "true"


def put_title_into_landmark(soup: BeautifulSoup) -> None:
    """Make the sidebar's logo and title a navigation landmark (axe: region)."""
    for logo in soup.select(".sidebar-primary-item:has(> a.navbar-brand)"):
        logo.name = "nav"
        logo["aria-label"] = "Cover"


def mark_bibliography_as_list(soup: BeautifulSoup) -> None:
    """Replace the deprecated role of the entries (axe: aria-deprecated-role)."""
    for entry in soup.select("[role=doc-biblioentry]"):
        entry["role"] = "listitem"


def keep_paragraphs_flat(soup: BeautifulSoup) -> None:
    """No paragraph in a summary, no block in a paragraph (vnu)."""
    for paragraph in soup.select("summary p"):
        paragraph.name = "span"
    for paragraph in soup.find_all("p"):
        if paragraph.find(BLOCKS):
            paragraph.unwrap()


def make_ids_unique(soup: BeautifulSoup) -> None:
    """Number the repeated ids, `proof-content` and its like; links go to the first as before."""
    seen: dict[str, int] = {}
    for element in soup.find_all(id=True):
        count = seen[element["id"]] = seen.get(element["id"], 0) + 1
        if count > 1:
            element["id"] += f"-{count}"


def tidy_sections(soup: BeautifulSoup) -> None:
    """Leave one first-level heading, and no section without a heading (vnu)."""
    for heading in soup.select("#jb-print-docs-body > h1"):
        heading.name = "div"
        heading["class"] = "print-title"
    for section in soup.find_all("section"):
        if not section.find(HEADINGS):
            section.name = "div"


def mark_outside_links(soup: BeautifulSoup) -> None:
    """Let pages behind outside links not reach back, and tell them nothing."""
    for link in soup.select("a[target=_blank]"):
        link["rel"] = "noopener noreferrer"


def serve_readers_without_scripts(soup: BeautifulSoup) -> None:
    """Let a page be light, and its static figures open, where no script says otherwise."""
    if soup.html and soup.html.get("data-theme") == "auto":
        soup.html["data-theme"] = "light"  # a script in the head puts the reader's own choice
    article = soup.select_one("article.bd-article")
    if article is None or soup.select_one(".kp-noscript"):
        return
    if article.select_one(f".math, {WIDGET}"):
        note = soup.new_tag("p", attrs={"class": "kp-noscript"})
        note.string = NEEDS_SCRIPTS
        article.insert(0, soup.new_tag("noscript"))
        article.noscript.append(note)
    if soup.head and article.select_one(WIDGET):
        style = soup.new_tag("style")
        style.string = OPEN_FOLDS
        soup.head.append(soup.new_tag("noscript"))
        soup.head.find_all("noscript")[-1].append(style)


def put_spaces_before_links(soup: BeautifulSoup) -> None:
    """Move a space at a link's start in front of it: no underline below nothing."""
    for link in soup.select(".admonition-title a"):
        text = link.find(string=True)
        if text and text != (stripped := text.lstrip()):
            text.replace_with(stripped)
            link.insert_before(" ")


def keep_punctuation_with_formulas(soup: BeautifulSoup) -> None:
    """Let no line begin with the comma after a formula: a browser may break behind any formula."""
    for formula in soup.select("span.math.notranslate"):
        after = formula.next_sibling
        mark = re.match(r"[,.;:?!)\]’]+", after) if isinstance(after, NavigableString) else None
        if mark is None or "kp-keep" in formula.parent.get("class", []):
            continue
        kept = formula.wrap(soup.new_tag("span", attrs={"class": "kp-keep"}))
        kept.append(mark.group())
        after.replace_with(after[mark.end() :])


def keep_sizes_together(soup: BeautifulSoup) -> None:
    """Let no line break inside a size such as 118 × 128."""
    article = soup.select_one("article.bd-article")
    for text in article.find_all(string=re.compile(r"\d × \d")) if article else ():
        if text.find_parent(["pre", "script", "style", "title", "desc"]) is None:
            text.replace_with(re.sub(r"(?<=\d) × (?=\d)", "\u00a0×\u00a0", text))


def close_images_in_drawings(soup: BeautifulSoup) -> None:
    """Let an SVG's image end: the parser takes its name for HTML's old word for img."""
    for image in soup.select("svg image"):
        image.can_be_empty_element = False


FIXES: tuple[Callable[[BeautifulSoup], None], ...] = (
    name_buttons_by_their_text,
    put_title_into_landmark,
    mark_bibliography_as_list,
    keep_paragraphs_flat,
    make_ids_unique,
    tidy_sections,
    mark_outside_links,
    serve_readers_without_scripts,
    put_spaces_before_links,
    keep_punctuation_with_formulas,
    close_images_in_drawings,
    keep_sizes_together,
)


def fix_page(text: str) -> str:
    """Apply all fixes to the text of one page. A fixed page stays as it is."""
    soup = BeautifulSoup(text, "html.parser")
    for fix in FIXES:
        fix(soup)
    return soup.decode(formatter=FORMATTER)


def written_pages(app: Sphinx) -> Iterator[Path]:
    """The HTML pages of this build: of the documents and those that Sphinx adds."""
    out = Path(app.outdir)
    for path in sorted(out.rglob("*.html")):
        if not path.relative_to(out).parts[0].startswith("_"):
            yield path


def redirect_page(title: str, target: str, canonical: str) -> str:
    """Build a valid page that leads to ``target`` at once, with a link for who stays."""
    title, target, canonical = (html.escape(text) for text in (title, target, canonical))
    return f"""<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="refresh" content="0; url={target}">
<link rel="canonical" href="{canonical}">
<title>{title}</title>
</head>
<body>
<main>
<h1>{title}</h1>
<p><a href="{target}">Open the book</a></p>
</main>
</body>
</html>
"""


def fix_pages(app: Sphinx, exception: Exception | None) -> None:
    """Mend every page when the build is done."""
    if exception or app.builder.format != "html":
        return
    cover = app.builder.get_target_uri(app.config.root_doc)
    index = Path(app.outdir) / "index.html"
    if index.name != cover:
        page = redirect_page(app.config.html_title, cover, app.config.html_baseurl + cover)
        index.write_text(page, encoding="utf-8")
    for path in written_pages(app):
        text = path.read_text(encoding="utf-8")
        if (fixed := fix_page(text)) != text:
            path.write_text(fixed, encoding="utf-8")


def disconnect_thebe(app: Sphinx) -> None:
    """Keep sphinx-thebe off the pages; Jupyter Book loads it always.

    It declares its constants twice on each page, which is a script error, and names a content
    network. The book's figures need no kernel, and Binder has the rest.
    """
    for event, name in (
        ("env-before-read-docs", "init_thebe_core"),
        ("doctree-resolved", "update_thebe_context"),
    ):
        for listener in list(app.events.listeners[event]):
            handler = listener.handler
            if (handler.__module__, handler.__name__) == ("sphinx_thebe", name):
                app.disconnect(listener.id)


def setup(app: Sphinx) -> dict[str, Any]:
    """Connect to Sphinx."""
    disconnect_thebe(app)
    # After the handlers of the others, which write files at the same event (the default is 500).
    app.connect("build-finished", fix_pages, priority=900)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
