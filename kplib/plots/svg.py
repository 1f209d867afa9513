"""matplotlib's SVG file made an element of a page, in the colour of the text around it."""

import hashlib
import re
from collections.abc import Container
from xml.etree import ElementTree
from xml.etree.ElementTree import Element

from kplib.plots.style import INK

_ENLARGE = 1.3  # on a wide screen


def inline_svg(text: str, title: str, description: str) -> str:
    """Make matplotlib's SVG file an element that can stand in a page, beside others of its kind."""
    root = ElementTree.fromstring(text)
    prefix = "kp" + hashlib.sha256((text + title + description).encode()).hexdigest()[:10]
    used = set(re.findall(r"(?:href=\"#|url\(#)([^\")]+)", text))
    _remove_page_wide(root)
    for element in root.iter():
        _make_local(element, prefix, used)
    _set_root(root, prefix)
    for place, (tag, role, words) in enumerate(
        (("title", "title", title), ("desc", "description", description))
    ):
        node = Element(tag, id=f"{prefix}-{role}")
        node.text = words
        root.insert(place, node)
    return ElementTree.tostring(root, encoding="unicode")


def _remove_page_wide(root: Element) -> None:
    """Remove the metadata, and the style element: it would change the whole page."""
    for parent in list(root.iter()):
        for child in list(parent):
            if child.tag.rpartition("}")[2] in ("style", "metadata"):
                parent.remove(child)


def _make_local(element: Element, prefix: str, used: Container[str | None]) -> None:
    """Drop namespaces and unused ids, put the prefix before the used ones, free ink's colour."""
    element.tag = element.tag.rpartition("}")[2]
    attributes = {name.rpartition("}")[2]: value for name, value in element.attrib.items()}
    identity = attributes.pop("id", None)
    if identity in used:
        attributes["id"] = f"{prefix}-{identity}"
    if attributes.get("href", "").startswith("#"):
        attributes["href"] = f"#{prefix}-{attributes['href'][1:]}"
    element.attrib.clear()
    for name, value in attributes.items():
        local = value.replace("url(#", f"url(#{prefix}-")
        element.set(name, local.replace(INK, "currentColor"))


def _set_root(root: Element, prefix: str) -> None:
    """Let the element take its place's width, and point to its title and description."""
    width, height = (float(v) for v in root.attrib["viewBox"].split()[2:])
    root.attrib.clear()
    root.attrib |= {
        "xmlns": "http://www.w3.org/2000/svg",
        "viewBox": f"0 0 {width:g} {height:g}",
        "role": "img",
        "aria-labelledby": f"{prefix}-title {prefix}-description",
        # The one rule of the style element that was removed.
        "stroke-linejoin": "round",
        "style": "display:block;height:auto;margin:0 auto;width:100%;"
        f"max-width:{width * 96 / 72 * _ENLARGE:.0f}px",
    }
