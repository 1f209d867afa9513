"""Execute the book's pages side by side, one on each core, into the cache that Sphinx reads.

Sphinx executes one page after the other. `tools/build_book.py` runs this first when every page has
to run. What is not in the cache afterwards, a page with an error too, Sphinx executes and reports.
"""

from __future__ import annotations

import argparse
import os
import time
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor, as_completed
from pathlib import Path

import yaml
from jupyter_cache import get_cache
from jupyter_cache.executors import load_executor

CACHE = "_build/.jupyter_cache"
READER = {"type": "plugin", "name": "myst_nb_md"}


def pages_with_code(book: Path) -> Iterator[Path]:
    """Yield the pages that have cells, the largest first, so that no long one begins last."""
    pages = [path for path in book.rglob("*.md") if "\n```{code-cell}" in path.read_text("utf-8")]
    yield from sorted(pages, key=lambda path: path.stat().st_size, reverse=True)


def execute(folder: Path, page: Path, timeout: int) -> float:
    """Execute one page in its own folder, as MyST-NB does; the seconds that it took."""
    started = time.perf_counter()
    executor = load_executor("local-serial", cache=get_cache(folder))
    executor.run_and_cache(filter_uris=[str(page)], timeout=timeout)
    return time.perf_counter() - started


def execute_all(root: Path, processes: int) -> None:
    """Execute the pages of the checkout ``root`` that are not in its cache."""
    timeout = yaml.safe_load((root / "_config.yml").read_text("utf-8"))["execute"]["timeout"]
    cache = get_cache(root / CACHE)
    pages = list(pages_with_code(root / "book"))
    for page in pages:
        cache.add_nb_to_project(str(page), read_data=READER)
    with ProcessPoolExecutor(processes) as pool:
        begun = {pool.submit(execute, root / CACHE, page, timeout): page for page in pages}
        for done in as_completed(begun):
            name = begun[done].relative_to(root).with_suffix("").as_posix()
            print(f"    {name}: {done.result():.1f} s", flush=True)


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("root", type=Path, help="folder of the checkout")
    parser.add_argument("--processes", type=int, default=os.cpu_count(), help="one a core")
    options = parser.parse_args()
    execute_all(options.root.resolve(), options.processes)


if __name__ == "__main__":
    main()
