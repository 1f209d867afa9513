"""Sphinx extension: the map of the book, drawn from what the chapters say of themselves.

A chapter's box *Before you start* has a paragraph **You need**. The chapters that it links to are
those that it needs; a link in a sentence with the word "helps" is to one that helps. **Time** says
how long it takes to read. From these, and from the order of ``_toc.yml``:

- ``{book-map}`` is the contents with numbers, minutes and what to read before, and a rail for each
  chapter that later ones build on.
- ``{reading-order}`4 21``` is the shortest way to these chapters: all that they need, in order.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from docutils import nodes
from sphinx import addnodes
from sphinx.application import Sphinx
from sphinx.environment import BuildEnvironment
from sphinx.errors import ExtensionError
from sphinx.util.docutils import SphinxDirective, SphinxRole

CHAPTER = re.compile(r"^book/chapters/(\d\d)-[\w-]+$")
BOX = re.compile(r":::\{admonition\} Before you start\n(.*?)^:::", re.DOTALL | re.MULTILINE)
LINK = re.compile(r"\{doc\}`(?:[^`<]*<)?(\d\d-[\w-]+)>?`")
MINUTES = re.compile(r"\*\*Time\*\*: (\d+) minutes")


@dataclass(frozen=True)
class Chapter:
    """What the map shows of a chapter."""

    number: int
    title: str
    page: str = ""
    minutes: int = 0
    needs: tuple[int, ...] = ()
    helped_by: tuple[int, ...] = ()


# ---------------------------------------------------------------- what a chapter says


def numbers(text: str) -> tuple[int, ...]:
    """Return the numbers of the chapters that a text links to, in order."""
    return tuple(sorted({int(name[:2]) for name in LINK.findall(text)}))


def read_chapter(page: str, title: str, text: str) -> Chapter:
    """Read a chapter's needs and minutes from its box; an ExtensionError if it has none."""
    number = int(CHAPTER.match(page)[1])
    box = BOX.search(text)
    minutes = MINUTES.search(box[1]) if box else None
    if minutes is None:
        raise ExtensionError(f"{page}: no box `Before you start` with `**Time**: NUMBER minutes`")
    need = re.search(r"\*\*You need\*\*(.*?)\n\n", box[1], re.DOTALL)[1]
    sentences = re.split(r"(?<=\.)\s+", need)
    helping = [sentence for sentence in sentences if re.search(r"\bhelps\b", sentence)]
    needed = [sentence for sentence in sentences if sentence not in helping]
    chapter = Chapter(
        number,
        re.sub(r"^\d+\. ", "", title),
        page,
        int(minutes[1]),
        numbers(" ".join(needed)),
        numbers(" ".join(helping)),
    )
    if late := [n for n in chapter.needs + chapter.helped_by if n >= number]:
        raise ExtensionError(f"{page}: what it needs comes not before it: chapter {late}")
    return chapter


def before(chapters: dict[int, Chapter], wanted: Iterable[int]) -> list[int]:
    """Return the wanted chapters and all that they need, in the book's order."""
    found: set[int] = set()
    left = list(wanted)
    while left:
        number = left.pop()
        if number not in chapters:
            raise ExtensionError(f"there is no chapter {number} to read")
        if number not in found:
            found.add(number)
            left += chapters[number].needs
    return sorted(found)


def duration(minutes: int) -> str:
    """Write minutes as text: 45 min, 2 h 10 min."""
    hours, rest = divmod(minutes, 60)
    return " ".join(
        f"{count}\N{NO-BREAK SPACE}{unit}" for count, unit in ((hours, "h"), (rest, "min")) if count
    )


# ---------------------------------------------------------------- the rails


def place_rails(chapters: Sequence[Chapter]) -> dict[int, tuple[int, int]]:
    """Return the column of each chapter that others build on, and the last of those others.

    A column is free again below the last row that uses it; each rail takes the first free one.
    """
    last: dict[int, int] = {}
    for chapter in chapters:
        for number in (*chapter.needs, *chapter.helped_by):
            last[number] = chapter.number
    placed: dict[int, tuple[int, int]] = {}
    free_below: list[int] = []  # of each column, the last row that uses it
    for number, end in sorted(last.items()):
        free = (column for column, below in enumerate(free_below) if below < number)
        column = next(free, len(free_below))
        free_below[column : column + 1] = [end]
        placed[number] = column, end
    return placed


def draw_rails(chapter: Chapter, rails: dict[int, tuple[int, int]]) -> str:
    """Draw the row of one chapter: rails that pass, stops that it needs, its own start."""
    drawn = []

    def add(column: int, *kinds: str) -> None:
        names = " ".join(f"kp-{kind}" for kind in kinds)
        drawn.append(f'<i class="{names}" style="--column:{column}"></i>')

    stops = []
    for number, (column, end) in rails.items():
        if number < chapter.number <= end:
            add(column, "rail", *(["ends"] if chapter.number == end else []))
            if number in chapter.needs:
                stops.append((column, "stop"))
            elif number in chapter.helped_by:
                stops.append((column, "helps"))
    own = rails.get(chapter.number)
    if own:
        add(own[0], "rail", "starts")
    if stops:
        add(min(column for column, _ in stops), "branch")
    for column, kind in stops:
        add(column, kind)
    if own:
        if not stops or own[0] < min(column for column, _ in stops):
            add(own[0], "branch")
        add(own[0], "own")
    return "".join(drawn)


def frame(lanes: int, drawn: str = "") -> nodes.raw:
    """Return the place of the rails, left of a line of the map."""
    start = f'<span class="kp-rails" style="--kp-lanes:{lanes}" aria-hidden="true">'
    return nodes.raw("", f"{start}{drawn}</span>", format="html")


# ---------------------------------------------------------------- in the page


def read_book(env: BuildEnvironment) -> tuple[dict[int, Chapter], list[tuple[str, list[int]]]]:
    """Read all chapters, and the parts with the numbers of theirs, in the order of the contents."""
    site = env.external_site_map
    chapters: dict[int, Chapter] = {}
    parts = []
    for part in site.root.subtrees:
        inside = []
        for page in map(str, part.items):
            if CHAPTER.match(page):
                path = Path(env.doc2path(page))
                env.note_dependency(str(path))
                chapter = read_chapter(page, site[page].title, path.read_text(encoding="utf-8"))
                chapters[chapter.number] = chapter
                inside.append(chapter.number)
        if inside:
            parts.append((part.caption, inside))
    env.note_dependency(str(Path(env.srcdir) / "_toc.yml"))
    return chapters, parts


def link(page: str, text: str, here: str) -> nodes.Node:
    """Return a link to a page."""
    return addnodes.pending_xref(
        "", nodes.inline(text=text), refdomain="std", reftype="doc", reftarget="/" + page,
        refexplicit=True, refwarn=True, refdoc=here,
    )  # fmt: skip


def links(chapters: dict[int, Chapter], chosen: Sequence[int], here: str) -> list[nodes.Node]:
    """Return links named by the numbers: 3, 4 and 6."""
    written: list[nodes.Node] = []
    for place, number in enumerate(chosen):
        if place:
            written.append(nodes.Text(" and " if place == len(chosen) - 1 else ", "))
        written.append(link(chapters[number].page, str(number), here))
    return written


class BookMap(SphinxDirective):
    """The directive ``{book-map}``."""

    def run(self) -> list[nodes.Node]:
        """Make the list of each part."""
        chapters, parts = read_book(self.env)
        rails = place_rails(list(chapters.values()))
        lanes = max((column for column, _ in rails.values()), default=0) + 1
        book = nodes.container(classes=["kp-map"])
        for caption, inside in parts:
            book += nodes.rubric("", "", frame(lanes), nodes.inline(text=caption))
            lines = nodes.bullet_list()
            for number in inside:
                drawn = draw_rails(chapters[number], rails)
                lines += nodes.list_item(
                    "", frame(lanes, drawn), *self.row(chapters[number], chapters)
                )
            book += lines
        return [book]

    def row(self, chapter: Chapter, chapters: dict[int, Chapter]) -> list[nodes.Node]:
        """Make the line of one chapter."""
        here = self.env.docname
        line = nodes.paragraph(classes=["kp-chapter"])
        line += nodes.inline(text=f"{chapter.number}.", classes=["kp-of"])
        line += nodes.Text(" ")
        line += link(chapter.page, chapter.title, here)
        about = nodes.paragraph(classes=["kp-about"])
        about += nodes.Text(duration(chapter.minutes))
        for word, chosen in (("after", chapter.needs), ("helps:", chapter.helped_by)):
            if chosen:
                about += [nodes.Text(f" · {word} "), *links(chapters, chosen, here)]
        return [line, about]


class ReadingOrder(SphinxRole):
    """The role ``{reading-order}``; its text is numbers of chapters, or ``all``."""

    def run(self) -> tuple[list[nodes.Node], list[nodes.system_message]]:
        """Write the way: chapters 0, 4 and 21 (70 min)."""
        chapters, _ = read_book(self.env)
        wanted = chapters if self.text == "all" else map(int, self.text.split())
        way = before(chapters, wanted)
        minutes = duration(sum(chapters[number].minutes for number in way))
        if self.text == "all":
            return [nodes.Text(f"all {len(way)} chapters, {minutes}")], []
        written = links(chapters, way, self.env.docname)
        word = "chapter " if len(way) == 1 else "chapters "
        return [nodes.Text(word), *written, nodes.Text(f", {minutes}")], []


# ---------------------------------------------------------------- how long a chapter takes

CELL = re.compile(r"^```\{code-cell\} python\n(.*?)^```$", re.DOTALL | re.MULTILINE)
UNSEEN = {"remove-cell", "remove-input"}
WORDS_A_MINUTE = 200
LINES_A_MINUTE = 30
FORMULAS_A_MINUTE = 2


def as_read(text: str) -> str:
    """Return prose with one word for a reference or a number, and a link's text for the link."""
    text = re.sub(r"\{(?:glue:\w+|cite:\w+|eq|numref|ref|prf:ref)\}`[^`]*`", "1", text)
    return re.sub(r"\{[\w:]+\}`([^`<]*?)\s*(?:<[^`>]*>)?`", r"\1", text)


def reading_minutes(text: str) -> float:
    """Return how long a chapter takes, its exercises apart: words, lines of code, formulas."""
    text = re.sub(r"\A---.*?^---$", "", text, flags=re.DOTALL | re.MULTILINE)
    text = text.partition("\n## Exercises\n")[0]
    lines = 0
    for cell in CELL.findall(text):
        tags = "".join(re.findall(r"^:tags: \[(.*)\]$", cell, re.MULTILINE)).split(", ")
        if not UNSEEN & set(tags):
            lines += sum(bool(line.strip()) and line[0] != ":" for line in cell.splitlines())
    text = CELL.sub("", text)
    formulas = len(re.findall(r"\$\$.*?\$\$", text, re.DOTALL))
    text = re.sub(r"\$\$.*?\$\$", "", text, flags=re.DOTALL)
    text = re.sub(r"^(```|:::).*$|^:[\w-]+:.*$", "", text, flags=re.MULTILINE)
    words = len(re.findall(r"\b\w+", as_read(text)))
    return words / WORDS_A_MINUTE + lines / LINES_A_MINUTE + formulas / FORMULAS_A_MINUTE


def setup(app: Sphinx) -> dict[str, Any]:
    """Connect to Sphinx."""
    app.add_directive("book-map", BookMap)
    app.add_role("reading-order", ReadingOrder())
    return {"parallel_read_safe": True, "parallel_write_safe": True}
