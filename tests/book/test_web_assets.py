"""tools/web_assets.py: checked, atomic, idempotent; without the network."""

from __future__ import annotations

import base64
import hashlib
import io
import tarfile
from pathlib import Path

import pytest

pytestmark = pytest.mark.repository


@pytest.fixture(scope="module")
def web_assets(load):
    return load("tools/web_assets.py")


def archive(files: dict[str, bytes]) -> bytes:
    """An npm archive: everything below ``package/``."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as tar:
        for name, content in files.items():
            info = tarfile.TarInfo(f"package/{name}")
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))
    return buffer.getvalue()


class Registry:
    """Serves one package and counts how often it is asked."""

    def __init__(self, content: bytes) -> None:
        self.content = content
        self.fetched = 0

    def fetch(self, package, folder: Path) -> Path:
        self.fetched += 1
        path = folder / "package.tgz"
        path.write_bytes(self.content)
        return path


CONTENT = archive({"a.js": b"a", "fonts/b.woff": b"b", "fonts/more/c.woff": b"c", "d.txt": b"d"})


@pytest.fixture
def package(web_assets):
    """Make a package with the hash of ``CONTENT``."""

    def make(**change):
        digest = base64.b64encode(hashlib.sha512(CONTENT).digest()).decode()
        arguments = {
            "name": "example",
            "version": "1.0.0",
            "integrity": f"sha512-{digest}",
            "files": {"a.js": "js/a.js", "fonts/*": "fonts"},
        }
        return web_assets.NpmPackage(**(arguments | change))

    return make


def names(folder: Path) -> set[str]:
    return {p.relative_to(folder).as_posix() for p in folder.rglob("*") if p.is_file()}


def test_installs_the_wanted_files_only(web_assets, package, tmp_path: Path):
    target = tmp_path / "static" / "vendor"
    assert web_assets.install(target, [package()], fetch=Registry(CONTENT).fetch)
    assert names(target) == {"js/a.js", "fonts/b.woff", "versions.json"}
    assert (target / "js/a.js").read_bytes() == b"a"
    assert [p.name for p in target.parent.iterdir()] == ["vendor"]


def test_second_run_fetches_nothing(web_assets, package, tmp_path: Path):
    registry = Registry(CONTENT)
    web_assets.install(tmp_path / "vendor", [package()], fetch=registry.fetch)
    assert not web_assets.install(tmp_path / "vendor", [package()], fetch=registry.fetch)
    assert registry.fetched == 1


def test_a_lost_file_or_another_version_is_fetched_again(web_assets, package, tmp_path: Path):
    registry = Registry(CONTENT)
    target = tmp_path / "vendor"
    web_assets.install(target, [package()], fetch=registry.fetch)
    (target / "js/a.js").unlink()
    assert web_assets.install(target, [package()], fetch=registry.fetch)
    assert (target / "js/a.js").is_file()
    assert web_assets.install(target, [package(version="1.0.1")], fetch=registry.fetch)
    assert registry.fetched == 3


@pytest.mark.parametrize("had_files", [False, True])
def test_wrong_hash_is_refused_and_nothing_changes(
    web_assets, package, tmp_path: Path, had_files: bool
):
    target = tmp_path / "vendor"
    if had_files:
        web_assets.install(target, [package()], fetch=Registry(CONTENT).fetch)
    before = names(tmp_path)
    other = Registry(archive({"a.js": b"evil", "fonts/b.woff": b""}))
    with pytest.raises(web_assets.AssetError, match="not the package that is pinned"):
        web_assets.install(target, [package(version="2.0.0")], fetch=other.fetch)
    assert names(tmp_path) == before
    if had_files:
        assert (target / "js/a.js").read_bytes() == b"a"


def test_a_missing_file_in_the_package_is_an_error(web_assets, package, tmp_path: Path):
    wanting = package(files={"nothing.js": "nothing.js"})
    with pytest.raises(web_assets.AssetError, match=r"has no file nothing\.js"):
        web_assets.install(tmp_path / "vendor", [wanting], fetch=Registry(CONTENT).fetch)
    assert names(tmp_path) == set()


def test_pins_are_exact(web_assets):
    for pinned in web_assets.BOOK_PACKAGES + web_assets.TEST_PACKAGES:
        assert pinned.version.replace(".", "").isdigit(), pinned.spec
        assert len(base64.b64decode(pinned.integrity.removeprefix("sha512-"))) == 64, pinned.spec
