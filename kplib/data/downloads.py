"""Downloads: pooch checks and renames, the addresses are tried in turn, and a part is kept.

What has arrived of a file is beside it as ``NAME.part`` until it is whole, and a later download
goes on from there with an HTTP range. Only pooch, after the hash, gives a file its name.
"""

import os
from collections.abc import Sequence
from pathlib import Path

import filelock
import pooch
import requests
from tqdm.auto import tqdm

_TIMEOUT_SECONDS = 30
_CHUNK_BYTES = 1 << 18
_MOST_BYTES = 8 << 30  # of a file whose size is not published; the largest that is has 2.4e9
_ATTEMPTS = 5  # at one address, each of which must have brought something


class DownloadError(Exception):
    """No address gave the file; the message says what each one did."""


class _SizeError(ValueError):
    """What arrives is longer or shorter than the published file."""


def download(
    urls: Sequence[str],
    path: Path,
    *,
    size: int | None = None,
    known_hash: str | None = None,
    progress: bool = True,
) -> None:
    """Download a file to `path`, from the first address that gives it: whole, or not at all.

    Parameters
    ----------
    urls : sequence of str
        The addresses, in the order to try.
    path : Path
        The file to write; missing folders are made. Of two processes that want the same file, one
        downloads and the other waits.
    size : int, optional
        Bytes, where published.
    known_hash : str, optional
        Such as ``"sha256:af14..."``.
    progress : bool, default True
        Whether to show a progress bar, on a terminal.

    Raises
    ------
    DownloadError
        If no address gives the file.
    """
    if not urls:
        raise DownloadError("It cannot be downloaded.")
    path.parent.mkdir(parents=True, exist_ok=True)
    failures: list[str] = []
    with filelock.FileLock(_beside(path, ".lock")):
        for url in urls:
            if path.exists() or _try_address(url, path, size, known_hash, progress, failures):
                return
    part = _beside(path, ".part")
    if part.exists():
        failures.append(f"{part.stat().st_size:,} bytes are kept; the next try goes on from there")
    raise DownloadError(f"Not downloaded: {'; '.join(failures)}.")


def _try_address(
    url: str,
    path: Path,
    size: int | None,
    known_hash: str | None,
    progress: bool,
    failures: list[str],
) -> bool:
    """Return whether the address gave the file; if not, add to `failures` why."""
    part = _beside(path, ".part")

    def receive(address: str, output_file: str, _: object) -> None:
        _receive(address, part, size, progress)
        os.replace(part, output_file)

    for _ in range(_ATTEMPTS):
        before = _bytes(part)
        try:
            pooch.retrieve(url, known_hash, path.name, path.parent, downloader=receive)
        except requests.RequestException as error:
            why, again = str(error), _bytes(part) > before
        except ValueError as error:  # pooch's for a wrong hash, or a wrong size
            part.unlink(missing_ok=True)
            # A part of another version, or from another address, may be what is wrong.
            why, again = str(error), before > 0
        else:
            return True
        if not again:
            break
    failures.append(f"{url}: {why}")
    return False


def _receive(url: str, part: Path, size: int | None, progress: bool) -> None:
    """Append to `part` what it lacks; of a server that knows no ranges, skip what is here."""
    start, most = _bytes(part), _MOST_BYTES if size is None else size
    if start and start == size:
        return
    headers = {"Accept-Encoding": "identity"}  # the file as published, gzip or not
    if start:
        headers["Range"] = f"bytes={start}-"
    with requests.get(url, headers=headers, stream=True, timeout=_TIMEOUT_SECONDS) as response:
        if response.status_code == requests.codes.requested_range_not_satisfiable:
            whole = response.headers.get("Content-Range", "").removeprefix("bytes */")
            if whole == str(start) and size is None:
                return
            raise _SizeError(f"{start:,} bytes of {part.stem} are here, it has {whole or '?'}")
        response.raise_for_status()
        skip = 0 if response.status_code == requests.codes.partial_content else start
        coming = int(response.headers.get("Content-Length", 0))
        bar = tqdm(
            desc=part.stem,
            initial=start,
            total=start - skip + coming if coming else size,
            unit="B",
            unit_scale=True,
            disable=None if progress else True,  # None: shown on a terminal only
        )
        with part.open("ab") as file, bar:
            for received in response.iter_content(_CHUNK_BYTES):
                chunk, skip = received[skip:], max(0, skip - len(received))
                if file.tell() + len(chunk) > most:
                    raise _SizeError(f"it sends more than the {most:,} bytes of {part.stem}")
                file.write(chunk)
                bar.update(len(chunk))
    if size is not None and _bytes(part) != size:
        why = f"it ends after {_bytes(part):,} of the {size:,} bytes of {part.stem}"
        # Without an announced length, an end may be a broken connection: what has come is kept.
        raise _SizeError(why) if coming else requests.ConnectionError(why)


def _beside(path: Path, suffix: str) -> Path:
    return path.with_name(path.name + suffix)


def _bytes(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0
