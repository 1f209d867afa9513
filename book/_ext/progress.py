"""Sphinx extension: one line for each page that is read, so that a quiet build is not mute."""

from __future__ import annotations

import time
from typing import Any

from docutils import nodes
from sphinx.application import Sphinx

started: dict[str, float] = {}


def start(app: Sphinx, docname: str, content: list[str]) -> None:
    """Note when the reading of a page began; its cells are executed meanwhile."""
    started[docname] = time.perf_counter()


def report(app: Sphinx, doctree: nodes.document) -> None:
    """Say how long it took."""
    docname = app.env.docname
    seconds = time.perf_counter() - started.pop(docname)
    print(f"    {docname}: {seconds:.1f} s", flush=True)


def setup(app: Sphinx) -> dict[str, Any]:
    """Connect to Sphinx."""
    app.connect("source-read", start)
    app.connect("doctree-read", report)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
