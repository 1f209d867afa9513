"""Files that are there whole or not at all, whenever the process or the machine stops."""

import os
import tempfile
from contextlib import suppress
from pathlib import Path

__all__ = ["write_atomically"]


def write_atomically(path: Path, content: bytes) -> None:
    """Write or replace a file: a reader sees the old content or the new, never a part.

    Parameters
    ----------
    path : Path
        Missing folders are made.
    content : bytes
        What the file is to have.

    Notes
    -----
    A temporary file beside it is written, flushed to the disk, and renamed. One that a killed
    process leaves behind begins with a dot and ends in ``.part``.

    Examples
    --------
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     write_atomically(Path(folder, "new", "record.json"), b"{}")
    ...     os.listdir(Path(folder, "new")) == ["record.json"]
    True
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, temporary = tempfile.mkstemp(
        dir=path.parent, prefix=f".{path.name.lstrip('.')}.", suffix=".part"
    )
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.chmod(temporary, 0o644)  # mkstemp makes private files
        os.replace(temporary, path)
    except BaseException:
        with suppress(FileNotFoundError):
            os.unlink(temporary)
        raise
    _flush_folder(path.parent)


def _flush_folder(folder: Path) -> None:
    """Flush the new name to the disk, too, on systems that open folders."""
    try:
        handle = os.open(folder, os.O_RDONLY)
    except OSError:
        return
    try:
        os.fsync(handle)
    except OSError:
        pass
    finally:
        os.close(handle)
