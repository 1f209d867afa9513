"""Folders for data and cache that belong to one test."""

import pytest


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
