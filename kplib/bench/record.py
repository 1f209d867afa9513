"""Records: what a measurement needs beside it, written so that nothing half-written is left."""

import json
import re
from pathlib import Path

from kplib._atomic import require_writable, write_atomically

# A path begins where a word does, or right after a compiler's -I or -L.
_FOLDERS = re.compile(r"(?:(?<![\w.])|(?<=-[IL]))(?:/[^/\s'\"()]+)+/")


def without_folders(text: str) -> str:
    """Return the text with every absolute path cut down to its last part.

    A record is published: it says what was run, not where on whose machine.

    Parameters
    ----------
    text : str
        For example a command, or an error message.

    Returns
    -------
    str

    Examples
    --------
    >>> without_folders("cannot open /home/somebody/lib/libx.so: no such file")
    'cannot open libx.so: no such file'
    >>> without_folders("book/results/bench is relative") == "book/results/bench is relative"
    True
    """
    return _FOLDERS.sub("", text)


def record_path(path: Path, name: str) -> Path:
    """Return where a record goes; asked before the measurement, so that none is lost.

    Parameters
    ----------
    path : Path
        A ``.json`` file, or a folder; missing folders are made.
    name : str
        Of the file in the folder: its letters and digits, in lower case.

    Raises
    ------
    ValueError
        If it cannot be written there.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     record_path(Path(folder), "aarch64 gcc 12.2.0").name
    ...     record_path(Path(folder, "own.json"), "aarch64 gcc 12.2.0").name
    'aarch64-gcc-12-2-0.json'
    'own.json'
    """
    if path.suffix != ".json" or path.is_dir():
        path /= f"{re.sub(r'[^a-z0-9]+', '-', name.lower()).strip('-')}.json"
    require_writable(path)
    return path


def write_json(path: Path, record: object) -> None:
    """Write a record as JSON: whole, or not at all.

    Parameters
    ----------
    path : Path
        The file to write or replace; missing folders are made.
    record : object
        What the json module can write. NaN and infinity are refused: they are no JSON.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     write_json(Path(folder, "new", "record.json"), {"ratio": 12.5})
    ...     json.loads(Path(folder, "new", "record.json").read_text()) == {"ratio": 12.5}
    True
    """
    text = json.dumps(record, indent=1, ensure_ascii=False, allow_nan=False) + "\n"
    write_atomically(path, text.encode())
