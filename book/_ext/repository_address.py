"""Sphinx extension: the repository's public address, from the one file that holds it.

``[project.urls]`` of ``pyproject.toml`` has ``Repository`` (for the Binder, issue and edit buttons)
and ``Documentation`` (for canonical links). Whoever forks the book changes them there only. In a
page, ``{commands}`` is a block of commands in which REPOSITORY stands for that address.
"""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.config import Config
from sphinx.errors import ExtensionError
from sphinx.util.docutils import SphinxDirective


def read_urls(pyproject: Path) -> tuple[str, str]:
    """The repository's and the pages' address in ``[project.urls]``."""
    with pyproject.open("rb") as file:
        urls = tomllib.load(file)["project"].get("urls", {})
    missing = [name for name in ("Repository", "Documentation") if not urls.get(name)]
    if missing:
        raise ExtensionError(f"[project.urls] in {pyproject.name} lacks: {', '.join(missing)}")
    return urls["Repository"].rstrip("/"), urls["Documentation"].rstrip("/") + "/"


def set_addresses(app: Sphinx, config: Config) -> None:
    """Hand the addresses to the theme and to Sphinx."""
    repository, pages = read_urls(Path(app.srcdir) / "pyproject.toml")
    config.html_theme_options["repository_url"] = repository
    config.html_baseurl = pages


class Commands(SphinxDirective):
    """The directive ``{commands}``: what to type, with the repository's address put in."""

    has_content = True

    def run(self) -> list[nodes.Node]:
        """Make a block of code."""
        address = self.config.html_theme_options["repository_url"]
        text = "\n".join(self.content).replace("REPOSITORY", address)
        return [nodes.literal_block(text, text, language="bash")]


def setup(app: Sphinx) -> dict[str, Any]:
    """Connect to Sphinx."""
    app.add_directive("commands", Commands)
    app.connect("config-inited", set_addresses)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
