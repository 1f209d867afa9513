"""Sphinx extension: the help of every `kplib` command, from the command itself.

``{command-help}`` becomes a section for each command: how it is called, what it does, its
arguments and options.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective


def commands(command: Any, words: str) -> Iterator[tuple[str, Any]]:
    """Yield every command below a group, with the words that call it."""
    if not hasattr(command, "commands"):
        yield words, command
        return
    for name, below in command.commands.items():
        yield from commands(below, f"{words} {name}")


class CommandHelp(SphinxDirective):
    """The directive ``{command-help}``; it has neither arguments nor content."""

    def run(self) -> list[nodes.Node]:
        """Read the command and describe its subcommands."""
        from typer.main import get_command

        from kplib.cli import build_app

        return [self.section(*found) for found in commands(get_command(build_app()), "kplib")]

    def section(self, words: str, command: Any) -> nodes.section:
        """Describe one command."""
        context = command.context_class(command, info_name=words)
        section = nodes.section(ids=[words.replace(" ", "-")])
        section += nodes.title("", "", nodes.literal(text=words))
        for paragraph in command.help.split("\n\n"):
            section += nodes.paragraph(text=" ".join(paragraph.split()))
        described = nodes.definition_list()
        for parameter in command.params:
            if (record := parameter.get_help_record(context)) is None:
                continue
            term = nodes.term("", "", nodes.literal(text=record[0]))
            body = nodes.definition("", nodes.paragraph(text=record[1]))
            described += nodes.definition_list_item("", term, body)
        if described.children:
            section += described
        return section


def setup(app: Sphinx) -> dict[str, Any]:
    """Connect to Sphinx."""
    app.add_directive("command-help", CommandHelp)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
