"""The README: its example runs, its numbers are computed, its links lead somewhere."""

import json
import re
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest

import kplib

pytestmark = pytest.mark.repository

ROOT = Path(__file__).resolve().parents[1]
GATE = kplib.FactorShape(59, 8, 2, 16)


@pytest.fixture(scope="module")
def readme():
    return (ROOT / "README.md").read_text(encoding="utf-8")


def blocks(text: str, language: str) -> list[str]:
    """Return the fenced blocks of that language."""
    return re.findall(rf"^```{language}\n(.*?)^```", text, re.DOTALL | re.MULTILINE)


@pytest.mark.parametrize("number", [0, 1, 2])
def test_the_examples_print_what_the_readme_says(readme, number):
    examples, outputs = blocks(readme, "python"), blocks(readme, "text")
    assert len(examples) == len(outputs) == 3
    command = [sys.executable, "-W", "error", "-c", examples[number]]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout == outputs[number]
    assert done.stderr == ""


def test_the_numbers_in_the_text_are_those_of_the_shape(readme):
    assert kplib.algorithm4(118, 128) == GATE
    prose = re.sub(r"^```.*?^```", "", readme, flags=re.DOTALL | re.MULTILINE)
    dense = GATE.m * GATE.n
    for sentence in (
        f"a matrix of {GATE.m} × {GATE.n}.",
        f"and {dense:,} weights become {GATE.params:,}.",
        f"{GATE.macs:,} multiplications instead of {dense:,}.",
        f"has rank {GATE.rank} at most, where `W` could have {min(GATE.m, GATE.n)}.",
    ):
        assert sentence in " ".join(prose.split())


def test_the_speed_table_is_the_record(readme):
    record = json.loads((ROOT / "book/results/bench/matvec-amd-epyc.json").read_text())
    tables = [table for table in record["tables"] if table["setting"] == "python"]
    assert len(tables) >= 5
    for table in tables:
        median = {row["peer"]: row["nanoseconds"]["median"] for row in table["rows"]}
        dot, kron = median[table["baseline"]], median["kplib compile_kron, bound"]
        shape = kplib.FactorShape(*(table["shape"][name] for name in ("m1", "n1", "m2", "n2")))
        size = f"{shape.m} × {shape.n}"
        row = f"| {table['case']} | {size} | {dot:,.0f} ns | {kron:,.0f} ns | {dot / kron:.0f} |"
        assert row in readme


def test_the_rank_is_what_the_text_says():
    rng = np.random.default_rng(1)
    A, B = rng.standard_normal((59, 8)), rng.standard_normal((2, 16))
    assert np.linalg.matrix_rank(np.kron(A, B)) == GATE.rank == 16


def test_local_links_lead_to_files(readme):
    targets = re.findall(r"\]\((?!https?:)([^)#]+)\)", readme)
    assert len(targets) >= 5
    assert [target for target in targets if not (ROOT / target).exists()] == []


def test_the_picture_has_alt_text_and_is_to_scale(readme):
    ((alt, name),) = re.findall(r"!\[([^\]]{40,})\]\((book/[^)]+\.svg)\)", readme)
    source = (ROOT / name).read_text(encoding="utf-8")
    picture = ElementTree.fromstring(source)
    svg = "{http://www.w3.org/2000/svg}"
    assert picture.find(f"{svg}title").text
    for number in (f"{GATE.m * GATE.n:,} weights", f"{GATE.params:,} weights"):
        assert number in alt
        assert number in source
    sizes = {
        box.get("class"): (float(box.get("height")), float(box.get("width")))
        for box in picture.iter(f"{svg}rect")
    }
    scale = sizes["w"][0] / GATE.m
    expected = {"w": (GATE.m, GATE.n), "a": (59, 8), "b": (2, 16)}
    assert sizes == {key: (rows * scale, cols * scale) for key, (rows, cols) in expected.items()}
    texts = [text.text for text in picture.iter(f"{svg}text")]
    assert [text for text in texts if "×" in text] == [f"{m} × {n}" for m, n in expected.values()]
    assert "prefers-color-scheme: dark" in source


def test_the_contents_are_those_of_the_book(readme):
    import yaml

    contents = yaml.safe_load((ROOT / "_toc.yml").read_text())
    pages = [chapter["file"] for part in contents["parts"] for chapter in part["chapters"]]
    section = readme.split("## The book\n")[1]
    listed = re.findall(r"^\|[^|]*\| (\w[^|]*?) \|$", section, re.MULTILINE)
    titles = []
    for page in pages:
        text = (ROOT / f"{page}.md").read_text(encoding="utf-8")
        titles.append(re.search(r"^# (.+)$", text, re.MULTILINE)[1])
    assert listed == titles
