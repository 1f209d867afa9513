"""The look of every figure: colours, markers, width, and matplotlib's settings."""

from collections.abc import Mapping
from contextlib import AbstractContextManager
from types import MappingProxyType
from typing import Any

import matplotlib
from cycler import cycler

PALETTE: Mapping[str, str] = MappingProxyType(
    {
        "dense": "#616489",
        "kronecker": "#d65705",
        "hybrid": "#9f51bd",
        "low_rank": "#3a58de",
        "pruned": "#0aa08f",
        "small": "#72a136",
        "accent": "#ed135c",
    }
)
"""One colour a meaning. Each has a contrast of at least 3 : 1 to white and to the dark page."""

MARKERS: Mapping[str, str] = MappingProxyType(
    {
        "dense": "o",
        "kronecker": "s",
        "hybrid": "D",
        "low_rank": "^",
        "pruned": "v",
        "small": "P",
        "accent": "X",
    }
)
"""The same meanings without colour."""

LABELS: Mapping[str, str] = MappingProxyType(
    {
        "dense": "dense",
        "kronecker": "Kronecker (KP)",
        "hybrid": "hybrid (HKP)",
        "low_rank": "low rank",
        "pruned": "pruned",
        "small": "small",
        "accent": "accent",
    }
)
"""How a figure names them."""

WIDTH = 3.75
"""Inches: at 96 pixels an inch a figure fills a phone at its natural size, with legible text."""

# What is drawn in ink takes the colour of the surrounding text in a page, and is dark on paper.
INK = "#1b1f24"

# The names of kplib.build's techniques.
_TECHNIQUES = {"baseline": "dense", "kp": "kronecker", "hkp": "hybrid", "lmf": "low_rank"}

_STYLE: Mapping[Any, Any] = MappingProxyType(
    {
        "axes.axisbelow": True,
        "axes.edgecolor": INK,
        "axes.facecolor": "none",
        "axes.grid": True,
        "axes.labelcolor": INK,
        "axes.labelsize": 9,
        "axes.linewidth": 0.8,
        "axes.prop_cycle": cycler(color=list(PALETTE.values()), marker=list(MARKERS.values())),
        "axes.spines.right": False,
        "axes.spines.top": False,
        "axes.titlelocation": "left",
        "axes.titlesize": 9.5,
        "axes.unicode_minus": True,
        "figure.constrained_layout.use": True,
        "figure.facecolor": "none",
        "figure.figsize": (WIDTH, 2.6),
        "font.family": ["DejaVu Sans"],
        "font.size": 9,
        "grid.alpha": 0.18,
        "grid.color": INK,
        "grid.linewidth": 0.7,
        "legend.fontsize": 9,
        "legend.frameon": False,
        "lines.linewidth": 1.8,
        "lines.markersize": 4.5,
        "mathtext.default": "regular",
        "svg.fonttype": "path",
        "svg.hashsalt": "kplib",
        "text.color": INK,
        "xtick.color": INK,
        "xtick.labelsize": 8.5,
        "ytick.color": INK,
        "ytick.labelsize": 8.5,
    }
)


def use_style() -> AbstractContextManager[None]:
    """Return a context in which matplotlib draws in the book's style.

    Outside the ``with`` block all settings are as before.

    Returns
    -------
    context manager

    Examples
    --------
    >>> from matplotlib.figure import Figure
    >>> from kplib import plots
    >>> with plots.use_style():
    ...     figure = Figure()
    ...     _ = figure.subplots().plot([1, 4, 9])
    >>> picture = plots.Picture(figure, "Squares", "The first three squares: 1, 4 and 9.")
    >>> picture.svg.startswith("<svg")
    True
    """
    return matplotlib.rc_context(dict(_STYLE))


def technique(name: str) -> str:
    """Return the key of `PALETTE` that a run is drawn in.

    Parameters
    ----------
    name : str
        A key of `PALETTE`, or a technique of `kplib.build`: baseline, small, pruned, lmf, kp, hkp.

    Returns
    -------
    str

    Raises
    ------
    ValueError
        If the name is neither.

    Examples
    --------
    >>> technique("kp"), technique("baseline"), technique("small")
    ('kronecker', 'dense', 'small')
    """
    key = _TECHNIQUES.get(name, name)
    if key not in PALETTE:
        raise ValueError(f"{name!r} is none of {', '.join([*PALETTE, *_TECHNIQUES])}")
    return key


def label_of(name: str, labels: Mapping[str, str] | None) -> str:
    """Return what a figure calls a run: what the caller says, or else the technique's name."""
    return (labels or {}).get(name, LABELS[technique(name)])
