"""Every chapter keeps to the template: what a reader finds in one place is there in all of them."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml

pytestmark = [pytest.mark.book, pytest.mark.repository]

ROOT = Path(__file__).resolve().parents[2]
CHAPTERS = sorted((ROOT / "book" / "chapters").glob("*.md"))
APPENDICES = sorted((ROOT / "book" / "appendices").glob("*.md"))  # those that teach
SECTIONS = [
    "When this does not help",
    "What to keep",
    "Exercises",
    "What comes next",
    "References of this chapter",
]
CODE = re.compile(r"^```\{code-cell\} python\n(.*?)^```$", re.DOTALL | re.MULTILINE)
DIRECTIVE = re.compile(r"^(```+|:::+)\{.*?^\1$", re.DOTALL | re.MULTILINE)


@pytest.fixture(params=[*CHAPTERS, *APPENDICES], ids=lambda path: path.stem)
def chapter(request) -> str:
    return request.param.read_text(encoding="utf-8")


def cells(text: str) -> list[tuple[list[str], str]]:
    """Return the tags and the code of every cell."""
    found = []
    for block in CODE.findall(text):
        options = "".join(re.findall(r"^:tags: \[(.*)\]$", block, re.MULTILINE))
        tags = [tag.strip() for tag in options.split(",")] if options else []
        lines = block.splitlines(keepends=True)
        code = "".join(line for line in lines if not line.startswith(":"))
        found.append((tags, code))
    return found


def prose(text: str) -> str:
    """Return what is read, without front matter, code, formulas and directives' own lines."""
    text = re.sub(r"\A---.*?^---$", "", text, flags=re.DOTALL | re.MULTILINE)
    text = CODE.sub("", text)
    text = re.sub(r"\$\$.*?\$\$", "", text, flags=re.DOTALL)
    text = re.sub(r"^(```|:::).*$|^:[\w-]+:.*$", "", text, flags=re.MULTILINE)
    return text


def test_there_are_chapters():
    assert len(CHAPTERS) >= 6


def test_sections_stand_in_the_same_order_everywhere(chapter):
    headings = re.findall(r"^## (.+)$", CODE.sub("", chapter), re.MULTILINE)
    assert headings[-len(SECTIONS) :] == SECTIONS
    assert len(headings) >= len(SECTIONS) + 3


def test_it_says_first_what_for_from_what_and_how_long(chapter):
    box = re.search(r":::\{admonition\} Before you start\n(.*?)^:::", chapter, re.S | re.M)
    assert box
    assert re.findall(r"^\*\*(.+?)\*\*", box[1], re.M) == ["You will", "You need", "Time"]
    opening = chapter[chapter.index("\n# ") : box.start()]
    assert len(prose(opening).split()) >= 30  # a question or a measurement comes before it


def test_length_is_that_of_one_sitting(chapter, load):
    words = len(re.findall(r"\b\w+", load("book/_ext/book_map.py").as_read(prose(chapter))))
    assert 1500 <= words <= 3300, words


def test_it_asks_for_a_prediction_and_hides_the_answer(chapter):
    _, _, rest = chapter.partition("\n### Predict first\n")
    assert rest, "no heading `### Predict first`"
    tags, code = cells(rest)[0]
    assert "hide-output" in tags
    assert code.strip()


def test_it_shows_something_wrong(chapter):
    headings = re.findall(r"^##+ (.+)$", CODE.sub("", chapter), re.MULTILINE)
    assert [h for h in headings if re.search(r"\b[Ww]rong|\bmistake", h)], headings


def test_claims_are_asserted(chapter):
    text = chapter[: chapter.index("\n## Exercises\n")]
    assert sum(code.count("assert ") for _, code in cells(text)) >= 5


def test_every_exercise_has_a_solution_that_runs(chapter):
    labels = re.findall(r"```\{exercise\}.*?\n:label: (\S+)\n", chapter)
    assert 3 <= len(labels) <= 5
    solutions = re.findall(
        r"```\{solution-start\} (\S+)\n:class: dropdown\n```\n(.*?)```\{solution-end\}\n```",
        chapter,
        re.DOTALL,
    )
    assert [label for label, _ in solutions] == labels
    for label, text in solutions:
        assert cells(text), f"the solution of {label} runs nothing"
    assert "```{solution}" not in chapter  # cells in it would not run


def test_figures_have_a_name_and_a_caption(chapter):
    for block in CODE.findall(chapter):
        if ":  figure:" in block:
            assert re.search(r"^:    name: fig-", block, re.MULTILINE), block
            assert re.search(r"^:    caption: \S.{20,}", block, re.MULTILINE), block
        elif "remove-input" in block and "hide-output" not in block:
            shown = block.strip().splitlines()[-1]
            assert not shown.startswith("plots."), f"a figure without a caption: {shown}"


def test_what_is_glued_is_what_is_shown(chapter):
    shown = set(re.findall(r"\{glue:\w+\}`([^`]+)`", chapter))
    hidden = "\n".join(code for tags, code in cells(chapter) if "remove-cell" in tags)
    glued = {
        re.sub(r"\\?\{[^}]*\}", "*", name)
        for name in re.findall(r"\bglue\(\s*f?\"([^\"]+)\"", hidden)
    }
    patterns = {name: re.compile(re.escape(name).replace(r"\*", ".+")) for name in glued}
    unused = [n for n, p in patterns.items() if not any(p.fullmatch(s) for s in shown)]
    assert unused == []
    if glued and not re.search(r"\bglue\((?!\s*f?\")", hidden):
        assert [s for s in shown if not any(p.fullmatch(s) for p in patterns.values())] == []


def test_the_contents_name_every_chapter():
    contents = yaml.safe_load((ROOT / "_toc.yml").read_text(encoding="utf-8"))
    files = [entry["file"] for part in contents["parts"] for entry in part["chapters"]]
    expected = [f"book/chapters/{path.stem}" for path in CHAPTERS]
    assert [file for file in files if file.startswith("book/chapters/")] == expected


def test_the_time_is_that_of_reading(chapter, load):
    box = re.search(r":::\{admonition\} Before you start\n(.*?)^:::", chapter, re.S | re.M)
    minutes = int(re.search(r"\*\*Time\*\*: (\d+) minutes", box[1])[1])
    assert minutes % 5 == 0
    assert abs(minutes - load("book/_ext/book_map.py").reading_minutes(chapter)) < 5


def test_the_sidebar_numbers_the_chapters_and_names_them_as_they_name_themselves():
    contents = yaml.safe_load((ROOT / "_toc.yml").read_text(encoding="utf-8"))
    entries = [entry for part in contents["parts"] for entry in part["chapters"]]
    titles = {entry["file"]: entry.get("title") for entry in entries}
    for path in CHAPTERS:
        heading = re.search(r"^# (.+)$", path.read_text(encoding="utf-8"), re.MULTILINE)[1]
        number = int(path.stem.partition("-")[0])
        assert titles[f"book/chapters/{path.stem}"] == f"{number}. {heading}"
