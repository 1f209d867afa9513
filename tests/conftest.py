"""What tests share: one headless browser, local servers, and which have no real data to read.

Tests marked `data` read real files from KPLIB_DATA, wherever in the tests they stand.

One browser for the whole session, because Playwright's synchronous API runs once in a process.
"""

import functools
import http.server
import os
import shutil
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest
from hypothesis import settings

# The same inputs on every machine and day: what fails, fails again. `make fuzz` draws new ones.
settings.register_profile("suite", derandomize="KPLIB_FUZZ" not in os.environ)
settings.load_profile("suite")

LEFT_OUT = pytest.StashKey[list[str]]()
BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")
BROWSER_FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


def browser_path() -> str:
    """The browser in $KPLIB_BROWSER, else an installed Chromium or Chrome; none is a failure."""
    for name in filter(None, [os.environ.get("KPLIB_BROWSER"), *BROWSERS]):
        if path := shutil.which(name):
            return path
    pytest.fail(
        f"No browser: install chromium, or name one in KPLIB_BROWSER. Looked for {BROWSERS}.",
        pytrace=False,
    )


@pytest.fixture(scope="session")
def browser():
    """Start one headless browser for all tests."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=browser_path(), headless=True, args=BROWSER_FLAGS
        )
        yield browser
        browser.close()


class _QuietHandler(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *_: object) -> None:
        """Say nothing."""


@contextmanager
def _served(folder: Path) -> Iterator[str]:
    handler = functools.partial(_QuietHandler, directory=str(folder))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


@pytest.fixture(scope="session")
def serve() -> Iterator[Callable[[Path], str]]:
    """Serve a folder on this machine; returns the address without a slash at the end."""
    with ExitStack() as servers:
        yield lambda folder: servers.enter_context(_served(folder))


def pytest_collection_modifyitems(config, items):
    """Deselect the tests of real files that are not here."""
    kept, left_out = [], []
    for item in items:
        marker = item.get_closest_marker("data")
        (left_out if marker and not is_here(*marker.args, **marker.kwargs) else kept).append(item)
    if left_out:
        config.hook.pytest_deselected(items=left_out)
        config.stash[LEFT_OUT] = [item.nodeid for item in left_out]
        items[:] = kept


def pytest_sessionfinish(session):
    """With several processes (pytest-xdist) each collects; tell the first what was left out."""
    if hasattr(session.config, "workeroutput"):
        session.config.workeroutput["left_out"] = session.config.stash.get(LEFT_OUT, [])


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node):
    """Take over what a process has left out; all of them leave out the same."""
    node.config.stash[LEFT_OUT] = getattr(node, "workeroutput", {}).get("left_out", [])


def pytest_terminal_summary(terminalreporter, config):
    """Say which tests were deselected, and why."""
    left_out = config.stash.get(LEFT_OUT, [])
    if left_out:
        terminalreporter.section("real data that is not here")
        terminalreporter.write_line(
            f"KPLIB_DATA is {os.environ.get('KPLIB_DATA')!r}: deselected {len(left_out)} tests, "
            + ", ".join(left_out)
        )


def is_here(name: str, edition: str | None = None, documents: tuple[str, ...] = ()) -> bool:
    """Whether KPLIB_DATA has the files of an edition (the first, unless given), or documents."""
    from kplib.data import DATA_SETS, files  # only where a test asks for data

    if "KPLIB_DATA" not in os.environ:
        return False
    source = DATA_SETS[name]
    if documents:
        folder = Path(os.environ["KPLIB_DATA"], source.folder)
        return all((folder / document).is_file() for document in documents)
    wanted = source.editions[edition or next(iter(source.editions))]
    return all(files.find(source, file) for file in wanted)
