"""The text of a widget's module and of its style: what all widgets share, then its own."""

from importlib import resources


def module(name: str) -> str:
    """Return one ES module, common.js and the widget's own text: a page can load no second."""
    return _text("common.js") + _text(f"{name}.js")


def style(name: str) -> str:
    """Return common.css, then the widget's own."""
    return _text("common.css") + _text(f"{name}.css")


def _text(file: str) -> str:
    return resources.files(__package__).joinpath(file).read_text(encoding="utf-8")
