"""Reading members of zip and tar archives, one by one: nothing is ever extracted to a folder."""

import lzma
import stat
import struct
import tarfile
import zipfile
import zlib
from collections.abc import Collection, Iterator
from pathlib import Path, PurePosixPath

from kplib.errors import DataError

# OPPORTUNITY's largest recording has 72,116,889 bytes.
_MAX_MEMBER_BYTES = 128 << 20
# What zipfile and tarfile raise; also of encryption and of methods that are not known
# (RuntimeError), and of fields that make no sense (ValueError, struct.error, OverflowError).
_BROKEN = (
    OSError,
    EOFError,
    IndexError,  # zipfile's, of a member without a name
    OverflowError,
    RuntimeError,
    ValueError,
    lzma.LZMAError,
    struct.error,
    tarfile.TarError,
    zipfile.BadZipFile,
    zlib.error,
)


def names(path: Path) -> list[str]:
    """Return the names of the files in a zip or tar archive, in its order, without a ``./``.

    Raises
    ------
    DataError
        If it is not a whole archive, if a name is absolute or leads out of the archive, if one is
        there twice, or if a member is a link or larger than 128 MiB.
    """
    found = [name for name, _ in _members(path, ())]
    if len(set(found)) != len(found):
        twice = next(name for name in found if found.count(name) > 1)
        raise DataError(f"{path} has {twice} twice")
    return found


def read(path: Path, wanted: Collection[str]) -> Iterator[tuple[str, bytes]]:
    """Yield name and content of the wanted files of an archive, in the archive's order.

    Raises
    ------
    DataError
        As `names`, and if a wanted file is not in the archive.
    """
    missing = set(wanted)
    for name, content in _members(path, frozenset(wanted)):
        if content is not None:
            missing.discard(name)
            yield name, content
        if not missing:
            return
    if missing:
        raise DataError(f"{path} lacks {len(missing)} files, such as {min(missing)}")


def _members(path: Path, wanted: Collection[str]) -> Iterator[tuple[str, bytes | None]]:
    """Yield the name of each file, with its content if it is wanted."""
    opened = _zip_members if zipfile.is_zipfile(path) else _tar_members
    try:
        yield from opened(path, wanted)
    except DataError:
        raise
    except _BROKEN as error:
        raise DataError(f"{path} is not a whole zip or tar archive: {error}") from error


def _zip_members(path: Path, wanted: Collection[str]) -> Iterator[tuple[str, bytes | None]]:
    with zipfile.ZipFile(path) as archive:
        for member in archive.infolist():
            if not member.is_dir():
                name = _checked(path, member.filename, member.file_size)
                if stat.S_ISLNK(member.external_attr >> 16):
                    raise DataError(f"{path}: {name} is a link or a device, not a file")
                content = archive.read(member) if name in wanted else None
                # Of a stream that ends early zipfile does not compare the CRC.
                if content is not None and len(content) != member.file_size:
                    raise DataError(
                        f"{path}: {name} has {len(content):,} of {member.file_size:,} bytes"
                    )
                yield name, content


def _tar_members(path: Path, wanted: Collection[str]) -> Iterator[tuple[str, bytes | None]]:
    with tarfile.open(path, "r|*") as archive:
        for member in archive:
            if member.isdir():
                continue
            name = _checked(path, member.name, member.size)
            if not member.isreg():
                raise DataError(f"{path}: {name} is a link or a device, not a file")
            content = archive.extractfile(member) if name in wanted else None
            yield name, content.read() if content else None


def _checked(path: Path, name: str, size: int) -> str:
    pure = PurePosixPath(name)
    if pure.is_absolute() or ".." in pure.parts or "\\" in name or ":" in name:
        raise DataError(f"{path}: the member {name!r} leads out of the archive")
    if size > _MAX_MEMBER_BYTES:
        raise DataError(f"{path}: {name} has {size:,} bytes, more than {_MAX_MEMBER_BYTES:,}")
    return str(pure)
