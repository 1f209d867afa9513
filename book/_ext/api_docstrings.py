"""Sphinx extension: help autodoc with the library's docstrings."""

from __future__ import annotations

from typing import Any

from docutils import nodes
from sphinx.addnodes import pending_xref
from sphinx.application import Sphinx
from sphinx.domains.python import PyXRefRole
from sphinx.environment import BuildEnvironment


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


def unlinked(
    app: Sphinx, env: BuildEnvironment, node: pending_xref, contnode: nodes.TextElement
) -> nodes.TextElement | None:
    """Leave a name in single backticks as it is where no page documents it, without a warning.

    A parameter, say, or another project's function. References that name their role, such as
    those under "Raises", still have to resolve.
    """
    text = contnode.astext()
    return nodes.literal(text, text) if node.get("reftype") == "name" else None


def setup(app: Sphinx) -> dict[str, Any]:
    """Connect to Sphinx, in front of napoleon (which has the default priority, 500)."""
    app.connect("autodoc-process-docstring", keep_colons, priority=400)
    app.add_role_to_domain("py", "name", PyXRefRole())  # the default role of the docstrings
    app.connect("missing-reference", unlinked)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
