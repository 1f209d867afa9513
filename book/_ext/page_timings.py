"""Sphinx extension: the table of page timings, with the pages' titles and in words.

MyST-NB writes its table with file names and with pictures for the status, which a font may lack.
"""

from __future__ import annotations

from typing import Any

from docutils import nodes
from myst_nb.ext.execution_tables import ExecutionStatsPostTransform
from sphinx import addnodes
from sphinx.application import Sphinx
from sphinx.transforms.post_transforms import SphinxPostTransform

WORDS = {
    "Document": "Page",
    "Modified": "Cells were run",
    "Run Time (s)": "Seconds",
    "Status": "Result",
    "✅": "complete",
    "❌": "failed",
}
# Every page is run through the cache, so the column says nothing.
LEFT_OUT = "Method"


class ReadableTimings(SphinxPostTransform):
    """Rewrite the table right after MyST-NB made it, while its links still name documents."""

    default_priority = ExecutionStatsPostTransform.default_priority + 1

    def run(self, **kwargs: Any) -> None:
        """Rewrite each such table of the page."""
        for table in self.document.findall(nodes.table):
            headings = [entry.astext() for entry in next(table.findall(nodes.row))]
            if headings[0] == "Document" and LEFT_OUT in headings:
                self.rewrite(table, headings.index(LEFT_OUT))

    def rewrite(self, table: nodes.table, left_out: int) -> None:
        """Drop one column, put titles for file names and words for pictures."""
        for row in table.findall(nodes.row):
            del row[left_out]
        group = next(table.findall(nodes.tgroup))
        group.remove(list(group.findall(nodes.colspec))[left_out])
        group["cols"] -= 1
        for link in table.findall(addnodes.pending_xref):
            title = self.env.titles[link.astext()].astext()
            link[:] = [nodes.inline(text=title)]
        for text in list(table.findall(nodes.Text)):
            if text.astext() in WORDS:
                text.parent.replace(text, nodes.Text(WORDS[text.astext()]))


def setup(app: Sphinx) -> dict[str, Any]:
    """Connect to Sphinx."""
    app.add_post_transform(ReadableTimings)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
