"""Imports of kplib point one way, and what is added in one place is known in all others."""

import inspect
import re
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

import kplib
from kplib import data, nn
from kplib.engine import c_products, export, gates, lowering
from kplib.experiments.cells import CELLS
from kplib.experiments.configuration import DATA
from kplib.nn import structures
from kplib.nn.recurrent import Recurrent
from kplib.plots.rooms import module_imports, room_imports

ROOT = Path(kplib.__file__).parents[1]
PAGE = ROOT / "book" / "architecture.md"
# A room may import from rooms of its own floor and of those below.
FLOORS = [
    ("algebra",),
    ("kernels",),
    ("nn",),
    ("engine", "data", "origin"),
    ("experiments",),
    ("bench",),
    ("plots", "widgets"),
    ("cli",),
]
IMPORTS = module_imports()
FLOOR = {room: floor for floor, rooms in enumerate(FLOORS) for room in rooms}


def test_every_room_has_a_floor():
    assert room_imports(IMPORTS).keys() == FLOOR.keys()


@pytest.mark.parametrize("room", FLOOR)
def test_imports_point_down(room):
    others = room_imports(IMPORTS)[room]
    above = {other for other in others if FLOOR[other] > FLOOR[room]}
    assert not above, f"{room} stands below {sorted(above)}"


def test_no_rooms_and_no_modules_import_each_other_in_a_circle():
    list(TopologicalSorter(room_imports(IMPORTS)).static_order())
    list(TopologicalSorter(module_imports(later=False)).static_order())


def test_an_arrow_that_points_up_and_a_circle_are_found(tmp_path):
    package = tmp_path / "kplib"
    (package / "nn").mkdir(parents=True)
    (package / "__init__.py").write_text("")
    (package / "nn" / "__init__.py").write_text("from kplib.nn import gru, lstm\n")
    (package / "nn" / "lstm.py").write_text("import kplib.nn.gru as other\n")
    (package / "nn" / "gru.py").write_text(
        "if TYPE_CHECKING:\n    from kplib.nn import lstm\n"
        "def f():\n    from kplib.cli import main\n"
    )
    (package / "cli.py").write_text("from kplib.nn.lstm import LSTM\n")
    imports = module_imports(folder=package)
    assert imports == {
        "kplib.cli": {"kplib.nn.lstm"},
        "kplib.nn": {"kplib.nn.gru", "kplib.nn.lstm"},
        "kplib.nn.gru": {"kplib.cli"},
        "kplib.nn.lstm": {"kplib.nn.gru"},
    }
    assert room_imports(imports)["nn"] == {"cli"}
    with pytest.raises(CycleError):
        list(TopologicalSorter(imports).static_order())
    list(TopologicalSorter(module_imports(later=False, folder=package)).static_order())


def public(module, base):
    """The concrete classes of a kind that a package offers."""
    found = {one for one in map(vars(module).get, module.__all__) if inspect.isclass(one)}
    return {one for one in found if issubclass(one, base) and not inspect.isabstract(one)} - {base}


def test_a_cell_is_compiled_exported_and_counted():
    layers = public(nn, Recurrent)
    assert layers == set(lowering._CELLS) == set(export.LAYERS)
    assert {layer.__name__ for layer in layers} == {cell.name for cell in CELLS.values()}


def test_a_weight_structure_is_compiled_and_exported():
    weights = public(structures, structures.Weight) - {structures.ComplexWeight}
    of_two = {structures.SplitWeight, structures.KroneckerChainWeight}
    assert weights == set(gates._JOINT)
    assert weights - of_two == set(c_products.FORMS)


@pytest.mark.repository
def test_a_data_set_is_tested_and_every_benchmark_has_one():
    assert set(DATA.values()) <= set(data.DATA_SETS)
    for _, loader in data._LOADERS.values():
        module = loader.__module__.rpartition(".")[2]
        assert (ROOT / "tests" / "data" / f"test_{module}.py").is_file()


@pytest.mark.repository
def test_the_page_describes_every_room_and_names_nothing_that_is_not_there():
    page = PAGE.read_text(encoding="utf-8")
    titles = re.findall(r"^### `([a-z_]+)`", page, re.MULTILINE)
    packages = {path.parent.name for path in (ROOT / "kplib").glob("*/__init__.py")}
    assert packages <= set(titles)
    paths = re.findall(r"`((?:kplib|tests|book|tools)/[\w/.-]+)`", page)
    assert len(paths) > 20
    missing = [path for path in paths if not (ROOT / path).exists()]
    assert not missing
    tests = re.findall(r"`(test_\w+)`", page)
    every = "\n".join(path.read_text() for path in (ROOT / "tests").rglob("test_*.py"))
    assert [name for name in tests if f"def {name}(" not in every] == []
