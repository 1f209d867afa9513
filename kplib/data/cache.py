"""Features that take long to compute, kept in the cache folder."""

import hashlib
import json
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import filelock
import numpy as np
from numpy.typing import NDArray

from kplib._atomic import atomic_file
from kplib.data.files import cache_folder

Arrays = dict[str, NDArray[Any]]


def cached(name: str, inputs: Mapping[str, Any], compute: Callable[[], Arrays]) -> Arrays:
    """Return what `compute` returns, from the cache folder if it has been computed before.

    Parameters
    ----------
    name : str
        Of the features; the file begins with it.
    inputs : mapping of str to JSON
        Everything that the arrays depend on: hashes of the files that are read, parameters, and a
        version number of the code that computes. Their hash is the rest of the file's name.
    compute : callable
        Called without arguments if there is no such file, or if it cannot be read. Of two
        processes that want the same features, one computes and the other waits.

    Returns
    -------
    dict of str to ndarray

    Examples
    --------
    >>> import os, tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     os.environ["KPLIB_CACHE"] = folder
    ...     squares = cached("squares", {"n": 4}, lambda: {"x": np.arange(4) ** 2})
    ...     again = cached("squares", {"n": 4}, lambda: 1 / 0)  # not computed again
    ...     del os.environ["KPLIB_CACHE"]
    >>> np.array_equal(again["x"], squares["x"])
    True
    """
    text = json.dumps(inputs, sort_keys=True, allow_nan=False)
    key = hashlib.sha256(text.encode()).hexdigest()[:16]
    path = cache_folder() / "features" / f"{name}-{key}.npz"
    path.parent.mkdir(parents=True, exist_ok=True)
    with filelock.FileLock(path.with_name(path.name + ".lock")):
        arrays = _read(path, text)
        if arrays is None:
            arrays = compute()
            _write(path, text, arrays)
    return arrays


def _read(path: Path, text: str) -> Arrays | None:
    """Return the arrays, or None if there is no file, or if it is not whole."""
    try:
        # Opened here, because NumPy leaves a broken file open.
        with path.open("rb") as stream, np.load(stream, allow_pickle=False) as file:
            arrays = {name: file[name] for name in file.files}
    except (OSError, EOFError, ValueError, zipfile.BadZipFile):
        return None
    return arrays if str(arrays.pop("__inputs__", "")) == text else None


def _write(path: Path, text: str, arrays: Arrays) -> None:
    with atomic_file(path) as file:
        np.savez(file, allow_pickle=False, __inputs__=np.array(text), **arrays)
