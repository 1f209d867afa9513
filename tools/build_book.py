"""Build the book: execute the notebooks (cached), write ``_build/html``, say what to open.

Run it with the environment's Python: ``.venv/bin/python tools/build_book.py``.

The outputs are kept by jupyter-cache, which runs a page again when its code cells change. They also
depend on what the cells import and read, so the cache is emptied when the key of that changes: the
code under ``kplib/``, the pinned versions and the records under ``book/results/``.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
STAMP = "cache-key.txt"
# Everything that the outputs of a page depend on, besides its own cells.
KEY_FILES = ("constraints.txt", "pyproject.toml")
KEY_FOLDERS = ("kplib", "book/results")
SKIP = {"__pycache__", ".ipynb_checkpoints"}
SKIP_SUFFIXES = {".pyc", ".so", ".o"}
# Jupyter Book reports a failed build twice, the second time as an exception of its own: leave it.
JUPYTER_BOOK = """
import sys
from jupyter_book.cli.main import main
try:
    main()
except RuntimeError as error:
    if "building your book" not in str(error):
        raise
    sys.exit(1)
"""
PYTHON_TAG = f"{sys.implementation.cache_tag}-{sys.platform}"


def key_paths(root: Path) -> Iterator[Path]:
    """Yield the files that the key is made of, in one fixed order."""
    for name in KEY_FILES:
        if (path := root / name).is_file():
            yield path
    for folder in KEY_FOLDERS:
        for path in sorted((root / folder).rglob("*")):
            if path.is_file() and path.suffix not in SKIP_SUFFIXES and not SKIP & set(path.parts):
                yield path


def cache_key(root: Path) -> str:
    """Return the sha256 over names and contents of what the pages' outputs depend on."""
    digest = hashlib.sha256(PYTHON_TAG.encode())
    for path in key_paths(root):
        content = path.read_bytes()
        digest.update(f"\n{path.relative_to(root).as_posix()} {len(content)}\n".encode())
        digest.update(content)
    return digest.hexdigest()


def clear_if_stale(build: Path, key: str) -> bool:
    """Remove the cached outputs and the parsed pages unless they were made under ``key``.

    Sphinx does not look at an unchanged page again, so the parsed pages go with the outputs.
    """
    stamp = build / STAMP
    if stamp.is_file() and stamp.read_text(encoding="utf-8").strip() == key:
        return False
    for name in (".jupyter_cache", ".doctrees", "jupyter_execute"):
        shutil.rmtree(build / name, ignore_errors=True)
    build.mkdir(parents=True, exist_ok=True)
    stamp.write_text(key + "\n", encoding="utf-8")
    return True


def write_kernel_spec(folder: Path) -> None:
    """Make ``python3`` mean the Python that runs this, whatever kernels the user has."""
    from ipykernel.kernelspec import write_kernel_spec

    target = folder / "kernels" / "python3"
    shutil.rmtree(target, ignore_errors=True)
    target.parent.mkdir(parents=True, exist_ok=True)
    write_kernel_spec(str(target), extra_arguments=["--IPKernelApp.log_level=40"])


def quiet_environment(root: Path, jupyter: Path) -> dict[str, str]:
    """Return the build's environment: this Python, one thread, none of the user's settings."""
    environment = dict(os.environ)
    paths = [str(root), *filter(None, [environment.get("PYTHONPATH")])]
    environment.update(
        PATH=os.pathsep.join([str(Path(sys.executable).parent), environment.get("PATH", "")]),
        PYTHONPATH=os.pathsep.join(paths),
        PYTHONNOUSERSITE="1",
        PYTHONHASHSEED="0",
        JUPYTER_PATH=str(jupyter),
        JUPYTER_CONFIG_DIR=str(jupyter / "config"),
        JUPYTER_PREFER_ENV_PATH="1",
        IPYTHONDIR=str(jupyter / "ipython"),
        # The debugger's remark on frozen modules would count as an error of the cell.
        PYDEVD_DISABLE_FILE_VALIDATION="1",
        # Timings in the book are of one thread; so are NumPy's and torch's sums reproducible.
        OMP_NUM_THREADS="1",
        OPENBLAS_NUM_THREADS="1",
        MKL_NUM_THREADS="1",
        NUMBA_NUM_THREADS="1",
        TZ="UTC",
    )
    # The kernel chooses Matplotlib's inline backend, unless this names another.
    environment.pop("MPLBACKEND", None)
    return environment


@contextmanager
def step(name: str) -> Iterator[None]:
    """Say what is done, and how long it took."""
    print(f"==> {name}", flush=True)
    started = time.perf_counter()
    yield
    print(f"    {time.perf_counter() - started:.1f} s", flush=True)


def execute_pages(root: Path, environment: dict[str, str]) -> None:
    """Execute all pages side by side. Those that fail Jupyter Book executes again, and reports."""
    command = [sys.executable, str(ROOT / "tools" / "execute_pages.py"), str(root)]
    subprocess.run(command, cwd=root, env=environment, check=False)


def run_jupyter_book(root: Path, environment: dict[str, str], extra: Iterable[str]) -> int:
    """Run Jupyter Book on the repository; its exit status. Warnings are errors."""
    command = [
        *(sys.executable, "-c", JUPYTER_BOOK, "build", str(root)),
        *("--warningiserror", "--nitpick", "--keep-going", "--quiet", *extra),
    ]
    return subprocess.run(command, cwd=root, env=environment, check=False).returncode


def explain_failure(build: Path) -> None:
    """Say where to look."""
    lines = ["", "The book was NOT built. Above, every line with WARNING or ERROR names its page."]
    reports = sorted((build / "html" / "reports").rglob("*.err.log"))
    lines += [f"  traceback of a cell: {path}" for path in reports]
    lines += [
        "A cell that failed: its traceback stands above, after `Executing notebook failed`; open",
        "  the page with `jupyter lab` and run it there.",
        "A reference that is not found: the name is misspelt, or no page of book/api has it.",
        "Then run this again. `make clean` removes everything that was built.",
    ]
    print("\n".join(lines), file=sys.stderr)


def build_book(root: Path, *, fresh: bool = False, extra: Iterable[str] = ()) -> int:
    """Build the book of the checkout ``root``; the exit status."""
    build = root / "_build"
    jupyter = build / "jupyter"
    if not (root / "book" / "_static" / "vendor" / "versions.json").is_file():
        print("The web assets are missing. Run: python tools/web_assets.py", file=sys.stderr)
        return 1
    if fresh:
        shutil.rmtree(build, ignore_errors=True)
    with step("Check the cached outputs against the code, the pins and the records"):
        key = cache_key(root)
        stale = clear_if_stale(build, key)
        print(f"    {'changed: every page runs again' if stale else 'unchanged'} ({key[:12]})")
        # Old pages go: Sphinx leaves those of removed sources and stale menus behind.
        shutil.rmtree(build / "html", ignore_errors=True)
        write_kernel_spec(jupyter)
    environment = quiet_environment(root, jupyter)
    if stale:
        with step("Execute the pages, one on each core"):
            execute_pages(root, environment)
    with step("Write the pages with Jupyter Book, execute those that changed"):
        status = run_jupyter_book(root, environment, extra)
    if cache_key(root) != key:
        (build / STAMP).unlink()
        print("    The code changed during the build: the next one runs every page again.")
    if status:
        explain_failure(build)
        return 1
    index = build / "html" / "index.html"
    print(f"\nThe book is ready. Open\n  {index.as_uri()}")
    print("or run `make serve` and open\n  http://localhost:8000/")
    return 0


def main(arguments: list[str] | None = None) -> int:
    """Command line; the exit status."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--fresh", action="store_true", help="remove _build first")
    parser.add_argument("extra", nargs="*", help="more arguments for jupyter-book (after --)")
    options = parser.parse_args(arguments)
    return build_book(ROOT, fresh=options.fresh, extra=options.extra)


if __name__ == "__main__":
    sys.exit(main())
