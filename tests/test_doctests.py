"""The examples in the docstrings of every module of kplib run as doctests."""

import doctest
import importlib
import inspect
import pkgutil
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

import kplib

PAGES = Path(__file__).resolve().parents[1] / "book" / "api"
# The command line has no docstring examples, and importing a __main__ runs it.
LEFT_OUT = {"kplib.cli", "__main__"}


def modules(paths, prefix: str) -> Iterator[str]:
    """Names of all modules below a package, without importing any of them."""
    for found in pkgutil.iter_modules(paths):
        name = f"{prefix}.{found.name}"
        if name in LEFT_OUT or found.name in LEFT_OUT:
            continue
        yield name
        if found.ispkg:
            yield from modules([f"{path}/{found.name}" for path in paths], name)


MODULES = ["kplib", *modules(kplib.__path__, "kplib")]


def run(name: str) -> tuple[doctest.TestResults, str]:
    """Run the examples of one module; an import that fails is a failure, not a skip."""
    module = importlib.import_module(name)
    report: list[str] = []
    runner = doctest.DocTestRunner(verbose=False, optionflags=doctest.ELLIPSIS)
    for example in doctest.DocTestFinder(exclude_empty=True).find(module, name):
        runner.run(example, out=report.append)
    return runner.summarize(verbose=False), "".join(report)


@pytest.mark.parametrize("name", MODULES)
def test_examples_hold(name):
    results, report = run(name)
    assert results.failed == 0, f"\n{report}"


# Their functions cross-compile and emulate; the how-to of the board and tests/bench use them.
NEED_CROSS_COMPILERS = {"arm.md", "board.md", "devices.md"}
DIRECTIVE = re.compile(r"^\.\. auto(module|class|function):: (\S+)", re.MULTILINE)


def documented(page: Path) -> Iterator[tuple[str, object, str]]:
    """Yield each class and function of an API page: its name, itself, its module's docstring."""
    for kind, target in DIRECTIVE.findall(page.read_text(encoding="utf-8")):
        if kind == "module":
            module = importlib.import_module(target)
            names = getattr(module, "__all__", None) or [
                name for name, value in vars(module).items() if is_own(value, target)
            ]
        else:
            package, _, name = target.rpartition(".")
            module, names = importlib.import_module(package), [name]
        for name in names:
            value = getattr(module, name)
            if inspect.isclass(value) or inspect.isfunction(value):
                yield f"{module.__name__}.{name}", value, module.__doc__ or ""


def is_own(value: object, module: str) -> bool:
    """Whether a public class or function is the module's own."""
    name = getattr(value, "__name__", "_")
    return not name.startswith("_") and getattr(value, "__module__", None) == module


def has_example(value: object, module_docstring: str) -> bool:
    """Whether its docstring has an example, or its module's examples call it by name."""
    parser = doctest.DocTestParser()
    if parser.get_examples(value.__doc__ or ""):
        return True
    used = " ".join(example.source for example in parser.get_examples(module_docstring))
    return re.search(rf"\b{value.__name__}\b", used) is not None


@pytest.mark.repository
@pytest.mark.parametrize(
    "page",
    sorted(path.name for path in PAGES.glob("*.md") if path.name not in NEED_CROSS_COMPILERS),
)
def test_every_documented_class_and_function_has_an_example(page):
    found = list(documented(PAGES / page))
    missing = [name for name, value, module in found if not has_example(value, module)]
    assert not missing, f"{page} has no example of {', '.join(missing)}"


@pytest.mark.repository
def test_the_pages_are_read():
    names = {name for path in PAGES.glob("*.md") for name, *_ in documented(path)}
    assert {"kplib.compile", "kplib.nn.LSTM", "kplib.errors.ShapeError"} <= names
    assert len(names) > 350


def test_a_missing_example_is_noticed():
    def lonely() -> None:
        """Do nothing."""

    assert not has_example(lonely, "")
    assert not has_example(lonely, ">>> lonely_one()")
    assert has_example(lonely, ">>> lonely()")


def test_a_wrong_example_is_noticed(tmp_path, monkeypatch):
    (tmp_path / "wrong_example.py").write_text('"""Wrong.\n\n>>> 1 + 1\n3\n"""\n')
    monkeypatch.syspath_prepend(tmp_path)
    results, report = run("wrong_example")
    assert results.failed == 1
    assert "Expected:\n    3\nGot:\n    2" in report
