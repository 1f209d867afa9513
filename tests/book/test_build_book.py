"""tools/build_book.py: what the cached outputs are keyed on, and the kernel that runs the pages."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.repository


@pytest.fixture(scope="module")
def build_book(load):
    return load("tools/build_book.py")


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A small checkout."""
    for name, text in {
        "kplib/__init__.py": "a = 1\n",
        "kplib/kernels/include/kplib/simd.hpp": "// one\n",
        "book/results/run.json": "{}\n",
        "book/index.md": "# Cover\n",
        "constraints.txt": "numpy==2.4.6\n",
        "pyproject.toml": "[project]\n",
    }.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    return tmp_path


@pytest.mark.parametrize(
    "name",
    [
        "kplib/__init__.py",
        "kplib/kernels/include/kplib/simd.hpp",
        "kplib/new.py",
        "book/results/run.json",
        "constraints.txt",
        "pyproject.toml",
    ],
)
def test_key_changes_with_code_pins_and_records(build_book, checkout: Path, name: str):
    before = build_book.cache_key(checkout)
    (checkout / name).write_text("changed\n", encoding="utf-8")
    assert build_book.cache_key(checkout) != before


def test_key_changes_when_a_file_is_renamed_or_removed(build_book, checkout: Path):
    keys = {build_book.cache_key(checkout)}
    (checkout / "kplib/__init__.py").rename(checkout / "kplib/core.py")
    keys.add(build_book.cache_key(checkout))
    (checkout / "kplib/core.py").unlink()
    keys.add(build_book.cache_key(checkout))
    assert len(keys) == 3


def test_key_stays_when_only_pages_or_compiled_files_change(build_book, checkout: Path):
    before = build_book.cache_key(checkout)
    (checkout / "book/index.md").write_text("# Another\n", encoding="utf-8")
    (checkout / "kplib/__pycache__").mkdir()
    (checkout / "kplib/__pycache__/__init__.cpython-311.pyc").write_bytes(b"x")
    assert build_book.cache_key(checkout) == before


def test_caches_are_cleared_once_for_a_key(build_book, tmp_path: Path):
    build = tmp_path / "_build"
    cached = build / ".jupyter_cache" / "global.db"
    parsed = build / ".doctrees" / "index.doctree"
    for path in (cached, parsed):
        path.parent.mkdir(parents=True)
        path.write_text("old", encoding="utf-8")
    assert build_book.clear_if_stale(build, "one")
    assert not cached.exists()
    assert not parsed.exists()
    cached.parent.mkdir()
    cached.write_text("new", encoding="utf-8")
    assert not build_book.clear_if_stale(build, "one")
    assert cached.exists()
    assert build_book.clear_if_stale(build, "two")
    assert not cached.exists()


def test_kernel_is_this_python(build_book, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Also where the user's own folder has another kernel of the same name."""
    pytest.importorskip("ipykernel")
    from jupyter_client.kernelspec import KernelSpecManager

    stray = tmp_path / "home" / "kernels" / "python3" / "kernel.json"
    stray.parent.mkdir(parents=True)
    stray.write_text(
        json.dumps({"argv": ["/nowhere/python"], "display_name": "stray", "language": "python"}),
        encoding="utf-8",
    )
    build_book.write_kernel_spec(tmp_path / "jupyter")
    environment = build_book.quiet_environment(tmp_path, tmp_path / "jupyter")
    monkeypatch.setenv("JUPYTER_DATA_DIR", str(tmp_path / "home"))
    monkeypatch.setenv("JUPYTER_PATH", environment["JUPYTER_PATH"])
    assert KernelSpecManager().get_kernel_spec("python3").argv[0] == sys.executable


PAGE = """---
kernelspec:
  name: python3
---

# Page

```{{code-cell}} python
{cell}
```
"""


def test_pages_are_executed_side_by_side_into_the_cache_that_is_read(
    build_book, load, checkout: Path, capfd: pytest.CaptureFixture[str]
):
    """Each in its own folder; the one that fails is not kept, and stops no other."""
    from jupyter_cache import get_cache
    from myst_nb.core.read import read_myst_markdown_notebook

    cells = {
        "book/here": "from pathlib import Path; print(Path.cwd().name)",
        "book/chapters/there": "import os; print(os.path.basename(os.getcwd()))",
        "book/wrong": "1 / 0",
    }
    (checkout / "_config.yml").write_text("execute: {timeout: 30}\n", encoding="utf-8")
    (checkout / "book" / "chapters").mkdir()
    for name, cell in cells.items():
        (checkout / f"{name}.md").write_text(PAGE.format(cell=cell), encoding="utf-8")
    build_book.write_kernel_spec(checkout / "_build" / "jupyter")
    environment = build_book.quiet_environment(checkout, checkout / "_build" / "jupyter")
    build_book.execute_pages(checkout, environment)
    told = capfd.readouterr()
    assert all(f"    {name}: " in told.out for name in cells)
    assert "ZeroDivisionError" in told.err
    cache = get_cache(checkout / load("tools/execute_pages.py").CACHE)
    printed = {}
    for name in cells:
        page = read_myst_markdown_notebook((checkout / f"{name}.md").read_text(encoding="utf-8"))
        try:
            _, merged = cache.merge_match_into_notebook(page)
        except KeyError:
            continue
        (cell,) = [cell for cell in merged.cells if cell.cell_type == "code"]
        printed[name] = cell.outputs[0]["text"]
    assert printed == {"book/here": "book\n", "book/chapters/there": "chapters\n"}


def test_missing_assets_are_told(build_book, checkout: Path, capsys: pytest.CaptureFixture[str]):
    assert build_book.build_book(checkout) == 1
    assert "web_assets.py" in capsys.readouterr().err
