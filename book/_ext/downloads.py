"""Sphinx extension: notebooks that work where they are downloaded to.

The theme offers each page as the ``.ipynb`` that was executed. That one needs `kplib`, the records
beside the pages, and a reader of MyST. Here each gets a first cell that fetches what is missing
(it does nothing where `kplib` can be imported), and its text becomes plain Markdown.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path, PurePosixPath
from typing import Any

import nbformat
import yaml
from sphinx.application import Sphinx

FOLDER = "kplib-book"
FIRST_CELL = """\
# Where kplib cannot be imported, as in Colab, this fetches the book and installs it.
from importlib.util import find_spec
from pathlib import Path

if find_spec("kplib") is None:
    !git clone --quiet --depth 1 {repository} {folder}
    %pip install --quiet ./{folder} {packages}
if Path("{folder}").is_dir():  # the records that the pages read
    %cd -q {folder}/{parent}"""
# What environment.yml has for Binder alone: the interpreter, a compiler, the notebooks' server.
BINDER_ONLY = {"python", "pip", "cxx-compiler", "ipykernel", "jupyterlab", "jupytext"}
CONDA_NAMES = {"pytorch-cpu": "torch", "matplotlib-base": "matplotlib"}

# ---------------------------------------------------------------- the first cell


def packages(environment: str) -> list[str]:
    """Return what the notebooks import, without versions: pip leaves alone what is there."""
    entries = yaml.safe_load(environment)["dependencies"]
    lists = (entry["pip"] if isinstance(entry, dict) else [entry] for entry in entries)
    names = [re.split(r"[=<>]", line)[0] for lines in lists for line in lines]
    return [CONDA_NAMES.get(name, name) for name in names if name not in BINDER_ONLY]


def first_cell(docname: str, repository: str, environment: str) -> str:
    """Return the code that makes a machine ready for the page."""
    return FIRST_CELL.format(
        repository=repository, folder=FOLDER, packages=" ".join(packages(environment)),
        parent=PurePosixPath(docname).parent,
    )  # fmt: skip


# ---------------------------------------------------------------- text without MyST

ROLE = re.compile(r"\{([a-z:-]+)\}`([^`]+)`")
TARGET = re.compile(r"(.*?)\s*<([^<>]+)>$", re.DOTALL)
FENCE = re.compile(r"^(`{3,}|:{3,})(?:\{([\w:-]+)\}\s*(.*)|(.*))$")
SEE = {
    "eq": "(equation)",
    "numref": "figure",
    "ref": "there",
    "prf:ref": "there",
    "reading-order": "see the book",
}
CODE = {"code", "code-block", "commands", "eval-rst"}
IN_BOOK = {"bibliography", "raw", "nb-exec-table", "api-map", "command-help", "book-map"}


def glued(path: Path) -> dict[str, str]:
    """Return the texts that a page's cells have glued, by name, as MyST-NB keeps them."""
    if not path.is_file():
        return {}
    outputs = json.loads(path.read_text(encoding="utf-8"))
    return {
        name: str(output["data"].get("text/plain", "")).strip("'\"")
        for name, output in outputs.items()
    }


def plain_roles(
    text: str, values: dict[str, str], link: Callable[[str], tuple[str, str] | None], page: str
) -> str:
    """Write roles as Markdown: numbers, links into the book, or the words alone."""

    def written(match: re.Match[str]) -> str:
        role, inside = match.groups()
        named = TARGET.match(inside)
        words, target = named.groups() if named else (inside, inside)
        if role.startswith("glue"):
            return values.get(words.partition(":")[0], words)
        if role == "doc":
            found = link(target)
            return f"[{words if named else found[0]}]({found[1]})" if found else words
        if role.startswith("cite"):
            return f"[{words}]({page})"
        if role in SEE and not named:
            return f"[{SEE[role]}]({page})"
        return f"`{words.lstrip('~')}`" if role.startswith(("py:", "code")) else words

    return ROLE.sub(written, text)


def plain_lines(text: str, page: str) -> Iterator[str]:
    """Yield lines without the fences of directives; what they show only in the book is linked."""
    open_fences: list[tuple[str, str]] = []  # the fence, and "text", "code" or "skip"
    in_options = False
    for line in text.splitlines():
        fence = FENCE.match(line)
        kind = open_fences[-1][1] if open_fences else "text"
        if fence and open_fences and line.strip() == open_fences[-1][0]:
            open_fences.pop()
            if kind == "code":
                yield line
            in_options = False
        elif kind in {"code", "skip"}:
            if kind == "code":
                yield line
        elif fence and fence[2]:
            name, title = fence[2], fence[3]
            inner = "code" if name in CODE else "skip" if name in IN_BOOK else "text"
            if not name.endswith("-end"):
                yield from ("", opening(name, title, page)) if inner != "code" else (fence[1],)
            open_fences.append((fence[1], inner))
            in_options = True
        elif fence and not fence[2]:
            open_fences.append((fence[1], "code"))
            yield line
        elif in_options and re.match(r"^:[\w-]+:", line):
            continue
        elif not re.match(r"^\([\w-]+\)=$|^% |^\+\+\+", line):
            in_options = False
            yield re.sub(r"^\$\$ \([\w-]+\)$", "$$", line)


def opening(name: str, title: str, page: str) -> str:
    """Return what stands for the first line of a directive."""
    if name in IN_BOOK:
        return f"([in the book]({page}))"
    word = name.rpartition(":")[2].removesuffix("-start").replace("-", " ").capitalize()
    if name == "admonition":
        return f"**{title}**"
    if name.startswith("grid"):
        return f"**{title}**" if name.endswith("card") else ""
    return f"**{word}.** {title}" if not name.startswith("solution") else f"**{word}**"


def plain_text(text: str, values: dict[str, str], link: Callable, page: str) -> str:
    """Write a cell of MyST as plain Markdown."""
    return plain_roles("\n".join(plain_lines(text, page)), values, link, page).strip("\n")


# ---------------------------------------------------------------- the files


def make_portable(app: Sphinx, docname: str, notebook: Any) -> None:
    """Change a page's notebook so that it can be run and read alone."""

    def link(target: str) -> tuple[str, str] | None:
        parent = PurePosixPath("/") / docname
        parts: list[str] = []
        for part in (parent.parent / target).parts[1:]:
            parts = parts[:-1] if part == ".." else [*parts, part]
        name = "/".join(parts)
        if name not in app.env.titles:
            return None
        return app.env.titles[name].astext(), f"{app.config.html_baseurl}{name}.html"

    root = Path(app.srcdir)
    repository = app.config.html_theme_options["repository_url"]
    executed = Path(app.outdir).parent / "jupyter_execute"
    values = glued(executed / f"{docname}.glue.json")
    page = f"{app.config.html_baseurl}{docname}.html"
    for cell in notebook.cells:
        if cell.cell_type == "markdown":
            text = plain_text(cell.source, values, link, page)
            cell.source = text.replace("REPOSITORY", repository)
    notebook.cells = [c for c in notebook.cells if c.cell_type != "markdown" or c.source]
    code = first_cell(
        docname,
        repository,
        (root / "environment.yml").read_text(encoding="utf-8"),
    )
    cell = nbformat.v4.new_code_cell(code)
    if (notebook.nbformat, notebook.nbformat_minor) < (4, 5):
        del cell["id"]
    notebook.cells.insert(0, cell)


def make_downloads_portable(app: Sphinx, exception: Exception | None) -> None:
    """Rewrite every notebook that the built pages offer."""
    if exception or app.builder.format != "html":
        return
    sources = Path(app.outdir) / "_sources"
    for path in sorted(sources.rglob("*.ipynb")):
        notebook = nbformat.read(path, as_version=4)
        if notebook.cells and notebook.cells[0].source.startswith(FIRST_CELL.partition("\n")[0]):
            continue
        docname = path.relative_to(sources).with_suffix("").as_posix()
        make_portable(app, docname, notebook)
        nbformat.write(notebook, path)


def setup(app: Sphinx) -> dict[str, Any]:
    """Connect to Sphinx."""
    app.connect("build-finished", make_downloads_portable)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
