"""Pin what the requirements bring along: rewrite the last section of constraints.txt.

    .venv/bin/python tools/lock.py            # take the versions that are installed
    .venv/bin/python tools/lock.py --check    # only say whether the section is complete

The sections above are written by hand, one line for each package that kplib names or that the book
depends on closely. Everything those pull in, with the versions that the tests passed with, comes
below the marker. Without it, a new release of a distant dependency could break a fresh clone.
"""

from __future__ import annotations

import sys
import tomllib
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parents[1]
CONSTRAINTS = ROOT / "constraints.txt"
MARKER = "# what those bring along (written by `make lock`)"


def named() -> list[Requirement]:
    """Return what pyproject.toml requires, with and without extras."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    lines = list(project["dependencies"])
    for extra, requirements in project["optional-dependencies"].items():
        lines += requirements if extra != "all" else []
    return [Requirement(line) for line in lines]


def applies(requirement: Requirement, extras: set[str]) -> bool:
    """Say whether a requirement of a package with these extras holds on this machine."""
    marker = requirement.marker
    return marker is None or any(marker.evaluate({"extra": extra}) for extra in extras or {""})


def closure(requirements: list[Requirement]) -> dict[str, str]:
    """Return name -> installed version of all that the requirements lead to.

    Raises
    ------
    PackageNotFoundError
        If something required is not installed.
    """
    versions: dict[str, str] = {}
    todo = [item for item in requirements if applies(item, set())]
    visited = set()
    while todo:
        requirement = todo.pop()
        key = canonicalize_name(requirement.name), frozenset(requirement.extras)
        if key in visited:
            continue
        visited.add(key)
        package = distribution(requirement.name)
        # A local part, as in 2.13.0+cpu, names a build and not a version.
        versions[key[0]] = package.version.split("+")[0]
        needed = map(Requirement, package.requires or [])
        todo += [item for item in needed if applies(item, requirement.extras)]
    return versions


def pins(text: str) -> dict[str, str]:
    """Return name -> version of every pin in the text."""
    lines = (line.split("#")[0].strip() for line in text.splitlines())
    pairs = (line.split("==") for line in lines if "==" in line)
    return {canonicalize_name(name): version for name, version in pairs}


def main(check: bool) -> int:
    """Rewrite the section, or say how it differs from what is installed."""
    installed = closure(named())
    above = CONSTRAINTS.read_text(encoding="utf-8").split(MARKER)[0].rstrip()
    if check:
        pinned = pins(CONSTRAINTS.read_text(encoding="utf-8"))
        wrong = {
            name: (version, pinned.get(name, "not pinned"))
            for name, version in sorted(installed.items())
            if pinned.get(name) != version
        }
        for name, (here, there) in wrong.items():
            print(f"{name}: installed {here}, constraints.txt: {there}")
        return 1 if wrong else 0
    rest = {name: installed[name] for name in sorted(installed.keys() - pins(above).keys())}
    lines = [f"{name}=={version}" for name, version in rest.items()]
    CONSTRAINTS.write_text("\n".join([above, "", MARKER, *lines, ""]), encoding="utf-8")
    print(f"pinned {len(lines)} packages beside the {len(pins(above))} named above them")
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main(check="--check" in sys.argv[1:]))
    except PackageNotFoundError as error:
        sys.exit(f"*** {error}\n    what to do: make setup, then again")
