"""The map on the cover: what it reads, the shortest way, and the rails that it draws."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from bs4 import BeautifulSoup

pytestmark = [pytest.mark.book, pytest.mark.repository]
ROOT = Path(__file__).resolve().parents[2]
BOX = """# Title

:::{{admonition}} Before you start
:class: tip

**You will** see {{doc}}`x <00-a>`.

**You need** {need}

**Time**: 20 minutes, the exercises apart.
:::
"""


@pytest.fixture(scope="module")
def book_map(load):
    return load("book/_ext/book_map.py")


def read(book_map, need: str):
    return book_map.read_chapter("book/chapters/07-c", "7. Title", BOX.format(need=need))


def test_a_chapter_says_what_it_needs_and_what_helps(book_map):
    need = "{doc}`a <03-a>`, and b of\n{doc}`04-b`. It helps to know {doc}`c <05-c>`. Chapter 6."
    chapter = read(book_map, need)
    assert chapter == book_map.Chapter(7, "Title", "book/chapters/07-c", 20, (3, 4), (5,))
    assert read(book_map, "nothing.").needs == ()


@pytest.mark.parametrize("late", ["{doc}`a <07-a>`.", "It helps to know {doc}`a <08-a>`."])
def test_what_is_needed_comes_before(book_map, late):
    with pytest.raises(book_map.ExtensionError, match="comes not before it: chapter"):
        read(book_map, late)


def test_a_chapter_without_minutes_is_told(book_map):
    with pytest.raises(book_map.ExtensionError, match=r"07-c: no box .* minutes"):
        book_map.read_chapter("book/chapters/07-c", "7. Title", "# Title\n")


def test_the_way_has_all_that_is_needed_and_no_more(book_map):
    needs = {0: (), 1: (), 2: (1,), 3: (), 4: (2, 3), 5: (4,)}
    book = {n: book_map.Chapter(n, "", needs=needs[n]) for n in needs}
    assert book_map.before(book, [4]) == [1, 2, 3, 4]
    assert book_map.before(book, [0, 3]) == [0, 3]
    with pytest.raises(book_map.ExtensionError, match="no chapter 9"):
        book_map.before(book, [9])


def test_minutes_are_written_as_hours(book_map):
    written = [book_map.duration(m).replace("\xa0", " ") for m in (45, 60, 130)]
    assert written == ["45 min", "1 h", "2 h 10 min"]


def test_reading_takes_words_code_and_formulas(book_map):
    cell = "```{code-cell} python\n:tags: [hide-output]\n\n" + "x = 1\n" * 60 + "```\n"
    unseen = "```{code-cell} python\n:tags: [remove-cell]\n\n" + "x = 1\n" * 60 + "```\n"
    text = "---\na: b\n---\n" + "word " * 400 + "\n" + cell + unseen + "$$\nx\n$$\n" * 3
    assert book_map.reading_minutes(text) == 2 + 2 + 1.5
    assert book_map.reading_minutes(text + "\n## Exercises\n" + "word " * 400) == 5.5


def test_no_two_rails_share_a_place(book_map):
    paths = sorted((ROOT / "book" / "chapters").glob("*.md"))
    chapters = [
        book_map.read_chapter(f"book/chapters/{p.stem}", p.stem, p.read_text(encoding="utf-8"))
        for p in paths
    ]
    rails = book_map.place_rails(chapters)
    used = {n for chapter in chapters for n in (*chapter.needs, *chapter.helped_by)}
    assert set(rails) == used
    for number, (column, end) in rails.items():
        for other, (beside, last) in rails.items():
            if other != number and beside == column:
                assert last < number or other > end


def test_the_cover_has_every_chapter_with_its_minutes_and_needs(html, book_map):
    cover = BeautifulSoup((html / "book" / "index.html").read_text(encoding="utf-8"), "html.parser")
    rows = {}
    for row in cover.select(".kp-map li"):
        if row.p.a:
            rows[row.p.a["href"]] = row
    paths = sorted((ROOT / "book" / "chapters").glob("*.md"))
    assert list(rows) == [f"chapters/{path.stem}.html" for path in paths]
    for path, row in zip(paths, rows.values(), strict=True):
        chapter = book_map.read_chapter(
            f"book/chapters/{path.stem}", path.stem, path.read_text(encoding="utf-8")
        )
        about = row.select_one(".kp-about")
        assert about.get_text().startswith(book_map.duration(chapter.minutes))
        linked = [int(link.get_text()) for link in about.find_all("a")]
        assert linked == [*chapter.needs, *chapter.helped_by]
        assert len(row.select(".kp-stop")) == len(chapter.needs)
        assert len(row.select(".kp-helps")) == len(chapter.helped_by)


def test_reading_orders_are_on_the_cover(html):
    cover = (html / "book" / "index.html").read_text(encoding="utf-8")
    text = BeautifulSoup(cover, "html.parser").get_text(" ", strip=True)
    assert re.search(r"all \d+ chapters, \d+\sh", text)
    assert "{reading-order}" not in text
