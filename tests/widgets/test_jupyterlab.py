"""The widgets in a real JupyterLab: the page and a Python kernel change the same state."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path

import nbformat
import pytest

pytestmark = pytest.mark.browser

START_SECONDS = 60
CELL_TIMEOUT = 60_000


class Lab:
    """A JupyterLab server of this environment, with folders of its own."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.notebooks = folder / "notebooks"
        self.notebooks.mkdir()
        runtime = folder / "runtime"
        names = ("HOME", "JUPYTER_CONFIG_DIR", "JUPYTER_DATA_DIR", "IPYTHONDIR")
        environment = os.environ | {name: str(folder / name.lower()) for name in names}
        environment |= {"JUPYTER_RUNTIME_DIR": str(runtime), "JUPYTER_NO_CONFIG": "1"}
        self.log = folder / "log.txt"
        with self.log.open("w") as log:
            self.process = subprocess.Popen(
                [
                    *(sys.executable, "-m", "jupyterlab", "--no-browser", "--allow-root"),
                    *(
                        "--ServerApp.port=0",
                        "--ServerApp.ip=127.0.0.1",
                        "--IdentityProvider.token=",
                    ),
                    *("--LabApp.news_url=None", "--LabApp.extension_manager=readonly"),
                    f"--ServerApp.root_dir={self.notebooks}",
                ],
                env=environment,
                stdout=log,
                stderr=subprocess.STDOUT,
            )
        self.address = self._wait_for_address(runtime)

    def _wait_for_address(self, runtime: Path) -> str:
        end = time.monotonic() + START_SECONDS
        while time.monotonic() < end and self.process.poll() is None:
            for file in runtime.glob("jpserver-*.json"):
                try:
                    address = json.loads(file.read_text())["url"].rstrip("/")
                    urllib.request.urlopen(f"{address}/api", timeout=5).close()
                except (json.JSONDecodeError, urllib.error.URLError):
                    break  # half-written, or not listening yet
                return address
            time.sleep(0.2)
        self.stop()
        pytest.fail(f"JupyterLab did not start:\n{self.log.read_text()}", pytrace=False)

    def write(self, name: str, cells: list[str]) -> None:
        """Write a notebook."""
        notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(c) for c in cells])
        notebook.metadata.kernelspec = {"name": "python3", "display_name": "Python 3"}
        nbformat.write(notebook, self.notebooks / f"{name}.ipynb")

    def stop(self) -> None:
        """End the server and with it its kernels."""
        self.process.terminate()
        try:
            self.process.wait(20)
        except subprocess.TimeoutExpired:
            self.process.kill()


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    server = Lab(tmp_path_factory.mktemp("lab"))
    yield server
    server.stop()


class Notebook:
    """An open notebook whose cells are run one by one."""

    def __init__(self, page) -> None:
        self.page = page

    def run(self, number: int) -> str:
        """Run a cell; the text that it printed."""
        cell = self.page.locator(".jp-Notebook .jp-CodeCell").nth(number)
        prompt = cell.locator(".jp-InputPrompt")
        before = prompt.inner_text()
        cell.locator(".cm-content").click()
        self.page.keyboard.press("Shift+Enter")
        self.page.wait_for_function(
            "([node, before]) => /\\d/.test(node.textContent) && node.textContent !== before",
            arg=[prompt.element_handle(), before],
            timeout=CELL_TIMEOUT,
        )
        return "\n".join(cell.locator(".jp-OutputArea-output pre").all_inner_texts()).strip()


@pytest.fixture
def open_notebook(browser, lab: Lab) -> Iterator[Callable[[str, list[str]], Notebook]]:
    """Write a notebook and open it; at the end nothing may have gone wrong in the page."""
    context = browser.new_context(viewport={"width": 1280, "height": 1600})
    problems: list[str] = []

    def open_one(name: str, cells: list[str]) -> Notebook:
        lab.write(name, cells)
        page = context.new_page()
        page.on("pageerror", lambda error: problems.append(f"script error: {error}"))
        page.goto(f"{lab.address}/lab/tree/{name}.ipynb")
        page.wait_for_selector(".jp-Notebook .jp-CodeCell", timeout=CELL_TIMEOUT)
        page.get_by_text(re.compile(r"Python 3.*\| Idle")).first.wait_for(timeout=CELL_TIMEOUT)
        return Notebook(page)

    context.route(re.compile(rf"^(?!{re.escape(lab.address)}|data:|blob:)"), lambda r: r.abort())
    yield open_one
    context.close()
    assert problems == []


def test_the_animated_product_and_the_kernel_share_the_step(open_notebook):
    notebook = open_notebook(
        "product",
        [
            "from kplib.widgets import ProductAnimator\nanimation = ProductAnimator()\nanimation",
            "print(animation.step, animation.order)",
            "animation.step = 5\nprint(animation)",
        ],
    )
    page = notebook.page
    notebook.run(0)
    page.wait_for_selector(".kpw-product")
    page.get_by_role("button", name="Next step").click()
    page.get_by_label("column-major").check()
    assert notebook.run(1) == "1 column-major"
    assert "A 3×2, B 2×3" in notebook.run(2)
    page.wait_for_function(
        "document.querySelector('.kpw-product [data-role=position]').textContent.startsWith('5 /')"
    )
