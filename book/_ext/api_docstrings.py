"""Sphinx extension: help autodoc with the library's docstrings."""

from __future__ import annotations

from typing import Any

from sphinx.application import Sphinx


def keep_colons(
    app: Sphinx, what: str, name: str, obj: object, options: object, lines: list[str]
) -> None:
    """Let a property's first line have a colon.

    Napoleon takes ``Rows of A: m1 * m2.`` for the Google style's ``type: text`` and looks for a
    class of the name "Rows of A". It does so with the first line only, so that becomes an empty
    comment.
    """
    if what in {"attribute", "data", "property"} and lines:
        lines[:0] = ["..", ""]


def setup(app: Sphinx) -> dict[str, Any]:
    """Connect to Sphinx, in front of napoleon (which has the default priority, 500)."""
    app.connect("autodoc-process-docstring", keep_colons, priority=400)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
