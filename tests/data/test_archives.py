"""Zip and tar archives: what leads out of them, is broken or is no file is refused."""

import io
import re
import struct
import tarfile
import zipfile

import pytest

from kplib.data import archives
from kplib.errors import DataError

CONTENT = {"a/one.wav": b"1" * 5000, "a/two.wav": b"2" * 70000, "three.csv": b"", "b/ü.wav": b"4"}


def write_zip(path, members):
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.mkdir("a")
        for name, content in members.items():
            archive.writestr(zipfile.ZipInfo(name), content)
    return path


def write_tar(path, members, **change):
    with tarfile.open(path, "w:gz") as archive:
        folder = tarfile.TarInfo("./a")
        folder.type = tarfile.DIRTYPE
        archive.addfile(folder)
        for name, content in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            for key, value in change.items():
                setattr(info, key, value)
            archive.addfile(info, io.BytesIO(content))
    return path


@pytest.mark.parametrize("write", [write_zip, write_tar])
def test_members_come_in_the_archives_order(tmp_path, write):
    path = write(tmp_path / "x", CONTENT)
    assert archives.names(path) == list(CONTENT)
    wanted = ["b/ü.wav", "a/one.wav"]
    assert list(archives.read(path, wanted)) == [(n, CONTENT[n]) for n in reversed(wanted)]
    assert list(tmp_path.iterdir()) == [path]


def test_names_in_a_tar_lose_their_dot(tmp_path):
    path = write_tar(tmp_path / "x", {f"./{name}": content for name, content in CONTENT.items()})
    assert archives.names(path) == list(CONTENT)
    assert dict(archives.read(path, CONTENT)) == CONTENT


@pytest.mark.parametrize("write", [write_zip, write_tar])
@pytest.mark.parametrize("name", ["../out.wav", "a/../../out", "/etc/out", "C:/out", "a\\..\\b"])
def test_names_that_lead_out_are_refused(tmp_path, write, name):
    path = write(tmp_path / "x", {"a/one.wav": b"1", name: b"2"})
    for use in (archives.names, lambda path: list(archives.read(path, ["b"]))):
        with pytest.raises(DataError, match=re.escape(repr(name)) + " leads out"):
            use(path)


@pytest.mark.parametrize("kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.FIFOTYPE])
def test_links_are_refused(tmp_path, kind):
    path = write_tar(tmp_path / "x", {"a": b""}, type=kind, linkname="/etc/passwd")
    with pytest.raises(DataError, match="a is a link or a device"):
        archives.names(path)


@pytest.mark.parametrize("write", [write_zip, write_tar])
def test_large_members_are_refused(tmp_path, write, monkeypatch):
    monkeypatch.setattr(archives, "_MAX_MEMBER_BYTES", 60000)
    with pytest.raises(DataError, match=r"a/two\.wav has 70,000 bytes, more than 60,000"):
        archives.names(write(tmp_path / "x", CONTENT))


@pytest.mark.parametrize("write", [write_zip, write_tar])
def test_what_is_not_there_is_named(tmp_path, write):
    path = write(tmp_path / "x", CONTENT)
    with pytest.raises(DataError, match=r"lacks 2 files, such as a/four\.wav"):
        list(archives.read(path, ["a/one.wav", "a/four.wav", "five"]))


def test_a_name_that_is_there_twice_is_refused(tmp_path):
    with tarfile.open(tmp_path / "x", "w:gz") as archive:
        for name in ("a", "./a"):
            archive.addfile(tarfile.TarInfo(name), io.BytesIO())
    with pytest.raises(DataError, match="has a twice"):
        archives.names(tmp_path / "x")


@pytest.mark.parametrize("write", [write_zip, write_tar])
@pytest.mark.parametrize("keep", [0, 10, 0.5, 0.9])
def test_a_truncated_archive_is_refused(tmp_path, write, keep):
    members = {f"{i}": bytes(range(i, 256)) * 50 for i in range(30)}
    path = write(tmp_path / "x", members)
    content = path.read_bytes()
    path.write_bytes(content[: keep if isinstance(keep, int) else int(keep * len(content))])
    with pytest.raises(DataError, match="not a whole zip or tar archive"):
        list(archives.read(path, members))


def test_a_flipped_bit_in_a_zip_is_noticed(tmp_path):
    path = write_zip(tmp_path / "x", {"a": bytes(range(256)) * 9})
    content = bytearray(path.read_bytes())
    content[60] ^= 1
    path.write_bytes(content)
    with pytest.raises(DataError, match="not a whole zip"):
        list(archives.read(path, ["a"]))


def test_a_link_in_a_zip_is_refused(tmp_path):
    with zipfile.ZipFile(tmp_path / "x", "w") as archive:
        link = zipfile.ZipInfo("a")
        link.external_attr = 0o120777 << 16
        archive.writestr(link, "/etc/passwd")
    with pytest.raises(DataError, match="a is a link or a device"):
        list(archives.read(tmp_path / "x", ["a"]))


def test_a_bomb_is_refused_by_its_size_and_if_it_lies_by_its_hash(tmp_path):
    path, size = tmp_path / "x", 200 << 20
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        archive.writestr("a", bytes(size))
    with pytest.raises(DataError, match=r"a has 209,715,200 bytes, more than 134,217,728"):
        list(archives.read(path, ["a"]))
    path.write_bytes(path.read_bytes().replace(struct.pack("<I", size), struct.pack("<I", 1000)))
    with pytest.raises(DataError, match="not a whole zip or tar archive: Bad CRC-32"):
        list(archives.read(path, ["a"]))


@pytest.mark.parametrize(
    ("at", "value", "why"), [(8, 1, "encrypted"), (10, 97, "method is not supported")]
)
def test_what_zipfile_cannot_read_is_refused(tmp_path, at, value, why):
    path = write_zip(tmp_path / "x", {"a": b"1" * 100})
    content = bytearray(path.read_bytes())
    content[content.rfind(b"PK\x01\x02", 0, -22) + at] = value  # of the last entry
    content[content.rfind(b"PK\x03\x04") + at - 2] = value
    path.write_bytes(content)
    with pytest.raises(DataError, match=why) as raised:
        list(archives.read(path, ["a"]))
    assert str(path) in str(raised.value)
