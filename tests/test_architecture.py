"""Imports between the rooms of kplib point one way, those inside functions included."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

import kplib

PACKAGE = Path(kplib.__file__).parent
# A room may import from rooms of its own floor and of those below.
FLOORS = [
    {"errors", "_checks", "_scaling", "shapes", "kron", "spectra"},
    {"kernels"},
    {"nn"},
    {"engine", "data", "experiments", "bench"},
    {"plots", "widgets"},
    {"cli", "__main__"},
]
FLOOR = {room: floor for floor, rooms in enumerate(FLOORS) for room in rooms}


def imported_rooms(source: str) -> Iterator[str]:
    """The rooms that a module's text imports from, wherever in it."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module == "kplib":
            names = [f"kplib.{alias.name}" for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            names = [node.module or ""]
        else:
            continue
        for name in names:
            package, _, rest = name.partition(".")
            room = rest.partition(".")[0]
            if package == "kplib" and room in FLOOR:
                yield room


MODULES = [path for path in sorted(PACKAGE.rglob("*.py")) if path != PACKAGE / "__init__.py"]


def room_of(path: Path) -> str:
    """The package or module directly below kplib."""
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


def test_every_room_has_a_floor():
    assert {room_of(path) for path in MODULES} == FLOOR.keys()


@pytest.mark.parametrize("path", MODULES, ids=lambda path: path.relative_to(PACKAGE).as_posix())
def test_imports_point_down(path):
    above = {r for r in imported_rooms(path.read_text()) if FLOOR[r] > FLOOR[room_of(path)]}
    assert not above, f"{room_of(path)} stands below {sorted(above)}"


def test_an_arrow_that_points_up_is_found():
    assert list(imported_rooms("def f():\n    from kplib.plots import style\n")) == ["plots"]
