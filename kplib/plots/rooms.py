"""Which parts of kplib import which: read from their source, and drawn floor by floor."""

import ast
from collections.abc import Iterable, Iterator, Mapping, Sequence
from graphlib import TopologicalSorter
from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import FancyArrowPatch, FancyBboxPatch

import kplib
from kplib.plots.picture import Picture
from kplib.plots.style import INK, PALETTE, WIDTH, use_style

# What a record says of the machine that it was made on: under all that write records.
_ORIGIN = {"kplib.bench.machine", "kplib.bench.record"}
_WORDS = {"algebra": "shapes, kron,\nspectra", "origin": "of bench:\nmachine, record"}
_BOX = (1.04, 0.4)  # inches
_FLOOR = 0.82  # inches from one floor to the next


def module_imports(*, later: bool = True, folder: Path | None = None) -> dict[str, set[str]]:
    """Return the modules of kplib that each of them imports.

    Parameters
    ----------
    later : bool, default True
        Whether imports inside functions count, too. Those for type checkers alone never do.
    folder : path, optional
        Of the package; by default the one that is running.

    Returns
    -------
    dict of str to set of str
        By name, such as ``kplib.nn.lstm``, without the package's own ``__init__``, whose names
        load what they need.

    Examples
    --------
    >>> "kplib.shapes" in module_imports()["kplib.kron"]
    True
    """
    folder = folder or Path(kplib.__file__).parent
    paths = {_module(path, folder): path for path in sorted(folder.rglob("*.py"))}
    del paths["kplib"]
    found = {}
    for module, path in paths.items():
        names = _imported(ast.parse(path.read_text(encoding="utf-8")), later)
        nearest = ({name, name.rpartition(".")[0]} & paths.keys() for name in names)
        found[module] = {max(both, key=len) for both in nearest if both} - {module}
    return found


def room_imports(imports: Mapping[str, Iterable[str]]) -> dict[str, set[str]]:
    """Return the rooms that each room imports, of the modules' imports.

    A room is a package, and what it is for stands in the book's chapter on the architecture. The
    NumPy modules are one room, ``algebra``; ``origin`` is `kplib.bench.machine` and
    `kplib.bench.record`, which are needed wherever a record is written.

    Parameters
    ----------
    imports : mapping of str to iterable of str
        From `module_imports`.

    Returns
    -------
    dict of str to set of str
        Without imports within a room.

    Examples
    --------
    >>> room_imports(module_imports())["kernels"] == {"algebra"}
    True
    """
    rooms: dict[str, set[str]] = {}
    for module, others in imports.items():
        rooms.setdefault(_room(module), set()).update(map(_room, others))
    return {name: others - {name} for name, others in rooms.items()}


def rooms() -> Picture:
    """Draw the rooms of kplib with an arrow from each to those that it imports.

    A room stands as low as its imports allow. Where it also imports what lies further below, and
    can be reached over another arrow, there is none.

    Returns
    -------
    Picture

    Raises
    ------
    ValueError
        If rooms import each other in a circle.

    Examples
    --------
    >>> "engine imports algebra, kernels, nn" in rooms().description
    True
    """
    imports = room_imports(module_imports())
    floors = _floors(imports)
    places = {
        name: (x, _FLOOR * (level + 0.5))
        for level, floor in enumerate(floors)
        for x, name in zip(_columns(len(floor)), floor, strict=True)
    }
    with use_style():
        height = _FLOOR * len(floors)
        figure = Figure(figsize=(WIDTH, height))
        figure.set_layout_engine("none")
        ax = figure.add_axes((0, 0, 1, 1))
        ax.set(xlim=(0, WIDTH), ylim=(0, height))
        ax.set_axis_off()
        for name, others in imports.items():
            for other in sorted(others - _below(imports, others)):
                _arrow(ax, places[name], places[other])
        for name, place in places.items():
            _draw_room(ax, _WORDS.get(name, name), place)
    words = ". ".join(
        f"{name} imports {', '.join(sorted(imports[name])) or 'no other room'}"
        for floor in floors
        for name in floor
    )
    return Picture(figure, "The rooms of kplib and what they import", f"{words}.")


def _module(path: Path, folder: Path) -> str:
    parts = path.relative_to(folder.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def _imported(tree: ast.AST, later: bool) -> Iterator[str]:
    """Names that are imported, each also as a module's attribute: either may be the module."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield from (f"{node.module}.{alias.name}" for alias in node.names)
        elif isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
            yield from (name for branch in node.orelse for name in _imported(branch, later))
        elif later or not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield from _imported(node, later)


def _room(module: str) -> str:
    if module in _ORIGIN:
        return "origin"
    top = module.split(".")[1]
    if (Path(kplib.__file__).parent / top).is_dir():
        return top
    return "cli" if top in ("cli", "__main__") else "algebra"


def _floors(imports: Mapping[str, set[str]]) -> Sequence[list[str]]:
    """Return the rooms floor by floor, each above all that it imports."""
    level: dict[str, int] = {}
    for name in TopologicalSorter(imports).static_order():
        level[name] = 1 + max((level[other] for other in imports[name]), default=-1)
    return [sorted(n for n in level if level[n] == k) for k in range(1 + max(level.values()))]


def _columns(count: int) -> list[float]:
    """Return the middles of so many rooms side by side, in inches."""
    if count == 1:
        return [WIDTH / 2]
    edge = _BOX[0] / 2 + 0.08
    return [edge + k * (WIDTH - 2 * edge) / (count - 1) for k in range(count)]


def _below(imports: Mapping[str, set[str]], names: Iterable[str]) -> set[str]:
    """Return all that can be reached from these rooms, without themselves."""
    reached: set[str] = set()
    for name in names:
        reached |= imports[name] | _below(imports, imports[name])
    return reached


def _draw_room(ax: Axes, words: str, place: tuple[float, float]) -> None:
    (x, y), (width, height) = place, _BOX
    corner, style = (x - width / 2, y - height / 2), "round,pad=0,rounding_size=0.06"
    color = PALETTE["dense"]
    ax.add_patch(FancyBboxPatch(corner, *_BOX, style, facecolor=color, alpha=0.16, lw=0))
    ax.add_patch(FancyBboxPatch(corner, *_BOX, style, fill=False, edgecolor=color))
    ax.text(x, y, words, ha="center", va="center", linespacing=1.05)


def _arrow(ax: Axes, start: tuple[float, float], end: tuple[float, float]) -> None:
    """Draw an arrow between the edges of two rooms, at the sides that face each other."""
    most = 0.35 * _BOX[0]
    lean = max(-most, min(most, 0.25 * (end[0] - start[0])))
    half = _BOX[1] / 2
    ax.add_patch(
        FancyArrowPatch(
            (start[0] + lean, start[1] - half), (end[0] - lean, end[1] + half),
            arrowstyle="-|>", mutation_scale=9, lw=1, color=INK, shrinkA=0, shrinkB=1, alpha=0.75,
        )
    )  # fmt: skip
