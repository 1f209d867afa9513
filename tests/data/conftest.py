"""Tests marked `data` read real files from KPLIB_DATA; the others write files of the same form."""

import os

import pytest

from kplib.data import DATA_SETS, files

LEFT_OUT = pytest.StashKey[list[str]]()


def pytest_collection_modifyitems(config, items):
    """Deselect the tests of real files that are not here."""
    kept, left_out = [], []
    for item in items:
        marker = item.get_closest_marker("data")
        (left_out if marker and not is_here(*marker.args) else kept).append(item)
    if left_out:
        config.hook.pytest_deselected(items=left_out)
        config.stash[LEFT_OUT] = [item.nodeid for item in left_out]
        items[:] = kept


def pytest_terminal_summary(terminalreporter, config):
    """Say which tests were deselected, and why."""
    left_out = config.stash.get(LEFT_OUT, [])
    if left_out:
        terminalreporter.section("real data that is not here")
        terminalreporter.write_line(
            f"KPLIB_DATA is {os.environ.get('KPLIB_DATA')!r}: deselected {len(left_out)} tests, "
            + ", ".join(left_out)
        )


def is_here(name: str, edition: str | None = None) -> bool:
    """Whether KPLIB_DATA has the files of an edition (the first, unless given)."""
    source = DATA_SETS[name]
    wanted = source.editions[edition or next(iter(source.editions))]
    return "KPLIB_DATA" in os.environ and all(files.find(source, file) for file in wanted)


@pytest.fixture
def folders(tmp_path, monkeypatch):
    """Two empty folders of the test's own, for data and for the cache."""
    data, cache = tmp_path / "data", tmp_path / "cache"
    monkeypatch.setenv("KPLIB_DATA", str(data))
    monkeypatch.setenv("KPLIB_CACHE", str(cache))
    data.mkdir()
    return data, cache


@pytest.fixture
def cache(tmp_path, monkeypatch):
    """An empty cache folder of the test's own; the data stay where they are."""
    monkeypatch.setenv("KPLIB_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"
