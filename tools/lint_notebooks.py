"""Lint the code cells of the book's notebooks as ruff lints a Jupyter notebook.

    .venv/bin/python tools/lint_notebooks.py book

Every MyST page that names a kernel is read as a notebook and handed to `ruff check` and
`ruff format --diff`: cell by cell, with the rules of pyproject.toml for `book/`, in lines that fit
into the page's column.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import jupytext

LINE_LENGTH = 80  # characters of code that a page 1280 px wide shows without scrolling


def notebooks(folder: Path) -> list[Path]:
    """Return the pages under `folder` that have code cells to execute."""
    pages = (p for p in sorted(folder.rglob("*.md")) if ".ipynb_checkpoints" not in p.parts)
    return [page for page in pages if "\nkernelspec:" in page.read_text(encoding="utf-8")]


def complaints(page: Path) -> str:
    """Return what ruff finds in one notebook; empty if nothing."""
    # The format is given, not guessed: as plain Markdown a MyST page would have no code at all.
    notebook = jupytext.read(page, fmt="md:myst")
    cells = [cell for cell in notebook.cells if cell.cell_type == "code"]
    if not cells:
        return f"{page} names a kernel, but has no code cell\n"
    text = jupytext.writes(notebook, fmt="ipynb")
    # The page's own name, so that the messages name it and the rules for its folder hold.
    from_stdin = [
        "--quiet",
        f"--line-length={LINE_LENGTH}",
        "--stdin-filename",
        str(page.with_suffix(".ipynb")),
        "-",
    ]
    found = ""
    for command in (["check", "--output-format", "concise"], ["format", "--diff"]):
        done = subprocess.run(
            [sys.executable, "-m", "ruff", *command, *from_stdin],
            input=text,
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            found += done.stdout + done.stderr
    return found.replace(str(page.with_suffix(".ipynb")), str(page))


def main(folder: Path) -> int:
    """Print every complaint; return 1 if there is one, or no notebook at all."""
    pages = notebooks(folder)
    if not pages:
        print(f"there is no notebook in {folder}", file=sys.stderr)
        return 1
    found = "".join(map(complaints, pages))
    print(found, end="")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
