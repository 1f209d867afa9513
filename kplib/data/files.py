"""Where the files of a data set are, and how they get there: one downloader for all of them.

A file is looked for in ``$KPLIB_DATA/FOLDER/NAME``, then in the cache folder, and is downloaded
to the cache folder when it is in neither. Nothing is used before its size and hash are checked.
"""

import functools
import hashlib
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import platformdirs

from kplib.data import downloads
from kplib.errors import DataError, MissingDataError


@dataclass(frozen=True)
class File:
    """One file of a data set.

    Parameters
    ----------
    name : str
        Its name in the data set's folder.
    urls : tuple of str
        Where it can be downloaded, the canonical address first; empty for a file that has no
        public address.
    size : int, optional
        Bytes, where published.
    hash : str, optional
        The published one, such as ``"sha256:af14..."`` or ``"md5:ec16..."``.

    Examples
    --------
    >>> import kplib.data
    >>> files = kplib.data.DATA_SETS["mnist"].files
    >>> all(isinstance(file, kplib.data.File) and file.hash for file in files)
    True
    """

    name: str
    urls: tuple[str, ...] = ()
    size: int | None = None
    hash: str | None = None


@dataclass(frozen=True)
class Source:
    """A data set as it is published: its files, licence and citation.

    Parameters
    ----------
    name : str
        As in `kplib.data.load`.
    title : str
        In words.
    folder : str
        The folder of its files, in ``$KPLIB_DATA`` and in the cache folder.
    editions : mapping of str to tuple of File
        The forms it comes in, each with all the files it needs; the preferred one first.
    licence, citation : str
        Of the data.
    complete : str
        What is whole and what is partial, a few words.

    Examples
    --------
    >>> import kplib.data
    >>> usps = kplib.data.DATA_SETS["usps"]
    >>> usps.name, len(usps.edition()) > 0
    ('usps', True)
    """

    name: str
    title: str
    folder: str
    editions: Mapping[str, tuple[File, ...]]
    licence: str
    citation: str
    complete: str

    @property
    def files(self) -> tuple[File, ...]:
        """The files of all editions."""
        return tuple(dict.fromkeys(file for files in self.editions.values() for file in files))

    def edition(self, name: str | None = None) -> tuple[File, ...]:
        """Return the files of an edition.

        Parameters
        ----------
        name : str, optional
            Of the edition; if not given, the first that is here whole, else the first that can
            be downloaded, else the first.

        Raises
        ------
        DataError
            If there is no such edition.
        """
        if name is not None:
            if name not in self.editions:
                raise DataError(
                    f"{self.name} has no edition {name!r}, but {', '.join(self.editions)}"
                )
            return self.editions[name]
        choices = list(self.editions.values())
        here = [files for files in choices if all(find(self, file) for file in files)]
        public = [files for files in choices if all(file.urls for file in files)]
        return [*here, *public, *choices][0]


def cache_folder() -> Path:
    """Return the folder for downloads and features: ``$KPLIB_CACHE``, else the user's cache."""
    given = os.environ.get("KPLIB_CACHE")
    return Path(given).expanduser() if given else platformdirs.user_cache_path("kplib")


def find(source: Source, file: File) -> Path | None:
    """Return where a file lies, unchecked, or None; nothing is downloaded."""
    for folder in _folders(source):
        path = folder / file.name
        if path.is_file():
            return path
    return None


def locate(source: Source, file: File, *, progress: bool = True) -> Path:
    """Return the path of a file, checked; download it to the cache folder if it is not here.

    Parameters
    ----------
    source : Source
        The data set.
    file : File
        One of its files.
    progress : bool, default True
        Whether a download shows a progress bar, on a terminal.

    Raises
    ------
    MissingDataError
        If it is not here and cannot be downloaded; the message has the address, the size and the
        places where it is looked for.
    DataError
        If the file that is here has another size or hash than the published one.

    Examples
    --------
    >>> import os, tempfile
    >>> from kplib.data import File, Source, locate
    >>> file = File("squares.csv", size=8)
    >>> source = Source("squares", "Squares", "squares", {"csv": (file,)}, "CC0", "", "whole")
    >>> before = os.environ.get("KPLIB_DATA")
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     os.environ["KPLIB_DATA"] = folder
    ...     place = Path(folder, source.folder)
    ...     place.mkdir()
    ...     _ = (place / file.name).write_bytes(b"0,1,4,9;")
    ...     locate(source, file) == place / file.name
    True
    >>> del os.environ["KPLIB_DATA"]
    >>> if before is not None:
    ...     os.environ["KPLIB_DATA"] = before
    """
    path = find(source, file)
    if path is None:
        path = cache_folder() / "data" / source.folder / file.name
        try:
            downloads.download(
                file.urls, path, size=file.size, known_hash=file.hash, progress=progress
            )
        except (downloads.DownloadError, OSError) as error:  # OSError: a full disk, no permission
            raise MissingDataError(_missing(source, file, str(error))) from error
    check(path, file)
    return path


def check(path: Path, file: File) -> None:
    """Raise a DataError unless the size and the hash of the file at `path` are the published."""
    size = path.stat().st_size
    if file.size is not None and size != file.size:
        raise DataError(f"{path} has {size:,} bytes, but {file.name} has {file.size:,}; remove it")
    if file.hash is not None:
        algorithm, _, expected = file.hash.partition(":")
        found = digest(path, algorithm)
        if found != expected:
            raise DataError(
                f"{path} is not {file.name} as published: its {algorithm} is {found}, "
                f"not {expected}; remove it"
            )


def digest(path: Path, algorithm: str = "sha256") -> str:
    """Return the hash of a file in hexadecimal; an unchanged file is read once in a process."""
    status = path.stat()
    return _digest(path, algorithm, status.st_size, status.st_mtime_ns)


@functools.lru_cache(maxsize=256)
def _digest(path: Path, algorithm: str, size: int, changed: int) -> str:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, algorithm).hexdigest()


def _folders(source: Source) -> list[Path]:
    given = os.environ.get("KPLIB_DATA")
    here = [Path(given).expanduser() / source.folder] if given else []
    return [*here, cache_folder() / "data" / source.folder]


def _missing(source: Source, file: File, why: str) -> str:
    size = f"{file.size:,} bytes" if file.size else "size not published"
    places = " or ".join(str(folder / file.name) for folder in _folders(source))
    variable = "" if os.environ.get("KPLIB_DATA") else " (or name a data folder in KPLIB_DATA)"
    address = " or ".join(file.urls) or "no public address"
    return (
        f"{source.title}: {file.name} ({size}) is missing. Address: {address}. "
        f"Put it at {places}{variable}. {why}"
    )
