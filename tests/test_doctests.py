"""The examples in the docstrings of every module of kplib run as doctests."""

import doctest
import importlib
import pkgutil
from collections.abc import Iterator

import pytest

import kplib

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


@pytest.mark.parametrize("name", ["kplib.shapes", "kplib.kron", "kplib.spectra"])
def test_every_public_function_of_the_core_has_an_example(name):
    module = importlib.import_module(name)
    for public in module.__all__:
        value = getattr(module, public)
        if value is not kplib.spectra.LogDeterminant:
            assert doctest.DocTestFinder().find(value, public)[0].examples, f"{name}.{public}"


def test_a_wrong_example_is_noticed(tmp_path, monkeypatch):
    (tmp_path / "wrong_example.py").write_text('"""Wrong.\n\n>>> 1 + 1\n3\n"""\n')
    monkeypatch.syspath_prepend(tmp_path)
    results, report = run("wrong_example")
    assert results.failed == 1
    assert "Expected:\n    3\nGot:\n    2" in report
