"""Records: what a measurement needs beside it, written so that nothing half-written is left."""

import json
import os
import re
import tempfile
from pathlib import Path

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
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     write_json(Path(folder, "new", "record.json"), {"ratio": 12.5})
    ...     json.loads(Path(folder, "new", "record.json").read_text()) == {"ratio": 12.5}
    True
    """
    text = json.dumps(record, indent=1, ensure_ascii=False, allow_nan=False) + "\n"
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(text)
        # mkstemp makes private files; a record is as readable as any other file of the project.
        os.chmod(temporary, 0o644)
        os.replace(temporary, path)
    except BaseException:
        os.unlink(temporary)
        raise
