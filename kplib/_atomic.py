"""Files that are there whole or not at all, whenever the process or the machine stops."""

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO


@contextmanager
def atomic_file(path: Path) -> Iterator[BinaryIO]:
    """Open a file to write or replace: a reader sees the old content or the new, never a part.

    Parameters
    ----------
    path : Path
        Missing folders are made.

    Yields
    ------
    BinaryIO
        Of a temporary file beside it, which is flushed to the disk and renamed at the end, or
        removed if there is an error. One that a killed process leaves behind begins with a dot
        and ends in ``.part``.

    Examples
    --------
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     with atomic_file(Path(folder, "new", "record.json")) as file:
    ...         size = file.write(b"{}")
    ...     os.listdir(Path(folder, "new")) == ["record.json"]
    True
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, temporary = tempfile.mkstemp(
        dir=path.parent, prefix=f".{path.name.lstrip('.')}.", suffix=".part"
    )
    try:
        with os.fdopen(handle, "wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        os.chmod(temporary, 0o644)  # mkstemp makes private files
        os.replace(temporary, path)
    except BaseException:
        with suppress(FileNotFoundError):
            os.unlink(temporary)
        raise
    _flush_folder(path.parent)


def write_atomically(path: Path, content: bytes) -> None:
    """Write or replace a file by `atomic_file`.

    Parameters
    ----------
    path : Path
        Missing folders are made.
    content : bytes
        What the file is to have.

    Examples
    --------
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     write_atomically(Path(folder, "record.json"), b"{}")
    ...     Path(folder, "record.json").read_bytes()
    b'{}'
    """
    with atomic_file(path) as file:
        file.write(content)


def require_writable(path: Path) -> None:
    """Raise an error unless `path` could be written now: before work whose result goes there.

    Parameters
    ----------
    path : Path
        Of a file; missing folders are made.

    Raises
    ------
    ValueError
        If it is a folder, or if its folder cannot be made or written to.

    Examples
    --------
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     require_writable(Path(folder, "record.json"))
    ...     os.listdir(folder)
    []
    """
    try:
        if path.is_dir():
            raise IsADirectoryError("it is a folder")
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=path.parent):
            pass
    except OSError as error:
        raise ValueError(f"{path} cannot be written: {error}") from None


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
