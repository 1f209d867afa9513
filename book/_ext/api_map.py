"""Sphinx extension: the map of the library, one line for every name that a topic page documents.

``{api-map}`` on ``book/api.md`` becomes a section for each page below it in the table of contents,
with the names that stand there and the first sentence of each. Nothing is typed twice: what the
topic pages document is on the map. Each line carries the name as its anchor, so that an address
such as ``api.html#kplib.compile`` leads somewhere, whichever page has the docstring.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, NamedTuple

from docutils import nodes
from sphinx import addnodes
from sphinx.application import Sphinx
from sphinx.environment import BuildEnvironment
from sphinx.environment.collectors import EnvironmentCollector
from sphinx.util.docutils import SphinxDirective

MEMBERS = {"method", "classmethod", "staticmethod", "property", "attribute"}
# A full stop ends a sentence where a capital follows; "e.g. a" and "0.5" go on.
SENTENCE = re.compile(r".*?[.:](?=\s+[A-Z(`]|\s*$)", re.DOTALL)


class Entry(NamedTuple):
    """A documented name."""

    name: str
    sentence: str


class MapPlace(nodes.General, nodes.Element):
    """Where the map will stand, once all pages are read."""


class ApiMap(SphinxDirective):
    """The directive ``{api-map}``; it has neither arguments nor content."""

    def run(self) -> list[nodes.Node]:
        """Leave a place: the names are known when the other pages are read."""
        return [MapPlace()]


def first_sentence(text: str) -> str:
    """Return the first sentence, on one line, with the full stop that it may lack.

    >>> first_sentence("Rows of A, e.g. the hidden size. More follows.")
    'Rows of A, e.g. the hidden size.'
    """
    words = " ".join(text.split())
    found = SENTENCE.match(words)
    return (found.group() if found else words).rstrip(".:") + "."


def documented(doctree: nodes.document) -> Iterator[Entry]:
    """The names that a page documents, in its order, without the members of classes."""
    for desc in doctree.findall(addnodes.desc):
        if desc.get("domain") != "py" or desc["objtype"] in MEMBERS:
            continue
        signature = next(desc.findall(addnodes.desc_signature))
        content = next(desc.findall(addnodes.desc_content))
        paragraph = next(content.findall(nodes.paragraph), None)
        text = paragraph.astext() if paragraph else ""
        yield Entry(signature["ids"][0], first_sentence(text))


class Collector(EnvironmentCollector):
    """Keep what each page documents, also for pages that are not read again."""

    def clear_doc(self, app: Sphinx, env: BuildEnvironment, docname: str) -> None:
        """Forget a page."""
        entries(env).pop(docname, None)

    def merge_other(
        self, app: Sphinx, env: BuildEnvironment, docnames: set[str], other: BuildEnvironment
    ) -> None:
        """Take over what another process has read."""
        entries(env).update({name: entries(other)[name] for name in docnames})

    def process_doc(self, app: Sphinx, doctree: nodes.document) -> None:
        """Note the names of a page."""
        env = app.env
        entries(env)[env.docname] = list(documented(doctree))
        if next(doctree.findall(MapPlace), None):
            maps(env).add(env.docname)

    def get_updated_docs(self, app: Sphinx, env: BuildEnvironment) -> list[str]:
        """Write the map again, whatever page has changed."""
        return sorted(maps(env) & env.all_docs.keys())


def entries(env: BuildEnvironment) -> dict[str, list[Entry]]:
    """The documented names by page, kept with the environment between builds."""
    if not hasattr(env, "api_entries"):
        env.api_entries = {}
    return env.api_entries


def maps(env: BuildEnvironment) -> set[str]:
    """The pages with a map."""
    if not hasattr(env, "api_maps"):
        env.api_maps = set()
    return env.api_maps


def draw_maps(app: Sphinx, doctree: nodes.document, docname: str) -> None:
    """Put the map into its place: a section for each page below this one."""
    for place in list(doctree.findall(MapPlace)):
        topics = app.env.toctree_includes.get(docname, [])
        place.parent.replace(place, [topic_section(app, docname, topic) for topic in topics])


def topic_section(app: Sphinx, docname: str, topic: str) -> nodes.section:
    """One page's title and names, each a link to its place."""
    address = app.builder.get_relative_uri(docname, topic)
    title = nodes.title()
    title += nodes.reference("", app.env.titles[topic].astext(), internal=True, refuri=address)
    section = nodes.section(ids=[f"map-{topic.rpartition('/')[2]}"])
    section += title
    names = nodes.bullet_list(classes=["kp-names"])
    for entry in entries(app.env).get(topic, []):
        link = nodes.reference(internal=True, refuri=f"{address}#{entry.name}")
        link += nodes.literal(text=entry.name)
        line = nodes.paragraph()
        line += [link, nodes.Text(f" {entry.sentence}")]
        names += nodes.list_item("", line, ids=[entry.name])
    if names.children:
        section += names
    return section


def setup(app: Sphinx) -> dict[str, Any]:
    """Connect to Sphinx."""
    app.add_node(MapPlace)
    app.add_directive("api-map", ApiMap)
    app.add_env_collector(Collector)
    app.connect("doctree-resolved", draw_maps)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
