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

from kplib.shapes import algorithm4, hybrid_shapes

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
        self.settings = folder / "settings"
        environment |= {
            "JUPYTER_RUNTIME_DIR": str(runtime),
            "JUPYTER_NO_CONFIG": "1",
            "JUPYTERLAB_SETTINGS_DIR": str(self.settings),
        }
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

    def state(self) -> list[str]:
        """Every cell's prompt, and which one is active: what shortcuts change."""
        return self.page.locator(".jp-Notebook .jp-Cell").evaluate_all(
            """(cells) => cells.map((cell) =>
              `${cell.querySelector(".jp-InputPrompt").textContent} ` +
              cell.classList.contains("jp-mod-active"))"""
        )

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
        # A workspace of its own: in the common one JupyterLab opens the last notebook again.
        page.goto(f"{lab.address}/lab/workspaces/{name}/tree/{name}.ipynb")
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
    press_shortcuts(notebook)
    page.get_by_label("column-major").check()
    press_shortcuts(notebook)
    assert notebook.run(1) == "1 column-major"
    assert "A 3×2, B 2×3" in notebook.run(2)
    page.wait_for_function(
        "document.querySelector('.kpw-product [data-role=position]').textContent.startsWith('5 /')"
    )


SHORTCUTS = ["j", "k", "a", "b", "d", "d", "x", "m", "y", "z", "0", "0"]


def press_shortcuts(notebook: Notebook) -> None:
    """Press a notebook's shortcuts, which move, add, cut and restart: nothing may happen."""
    before = notebook.state()
    for key in SHORTCUTS:
        notebook.page.keyboard.press(key)
        assert notebook.state() == before, key


def test_the_explorer_and_the_kernel_share_the_shape(open_notebook):
    notebook = open_notebook(
        "explorer",
        [
            "from kplib import algorithm4, factor_shapes, full_rank_shapes\n"
            "from kplib.widgets import ShapeExplorer\n"
            "explorer, seen = ShapeExplorer(), []\n"
            "explorer.observe(lambda change: seen.append(change.new), 'shape')\n"
            "explorer",
            "print(seen == [full_rank_shapes(118, 128)[0]] == [explorer.shape])",
            "shapes = factor_shapes(118, 128)\n"
            "at = shapes.index(seen[0])\n"
            "print(seen[1:] == [shapes[at + 1]] == [explorer.shape])",
            "explorer.shape = (59, 2, 2, 64)",
            "try:\n    explorer.shape = (59, 2, 2, 65)\nexcept ValueError as error:\n"
            "    print(error, explorer.choice)",
            "with explorer.hold_trait_notifications():\n"
            "    explorer.m, explorer.n, explorer.rows = 160, 308, 6\nexplorer",
            "print(explorer.rows, explorer.shape == algorithm4(155, 308), len(seen))",
        ],
    )
    page = notebook.page
    notebook.run(0)
    view = page.locator(".kpw-explorer")
    chosen = view.locator("[data-role=chosen]")
    assert chosen.first.inner_text() == "A 59 × 8, B 2 × 16"

    view.get_by_role("button", name="full rank, fewest parameters").click()
    assert notebook.run(1) == "True"
    view.get_by_role("listbox").focus()
    before = notebook.state()
    page.keyboard.press("ArrowDown")
    assert notebook.state() == before
    press_shortcuts(notebook)
    assert page.evaluate("document.activeElement.getAttribute('role')") == "listbox"
    assert notebook.run(2) == "True"

    notebook.run(3)
    chosen.get_by_text("A 59 × 2, B 2 × 64").wait_for()
    refused = notebook.run(4)
    assert "(59, 2) x (2, 65) makes a 118 x 130 matrix, but the matrix is 118 x 128" in refused
    assert refused.endswith("(59, 2, 2, 64, 0)")
    assert chosen.inner_text() == "A 59 × 2, B 2 × 64"

    notebook.run(5)  # sizes from Python, and a second view of the same explorer
    view.nth(1).wait_for()
    assert chosen.all_inner_texts() == ["A 14 × 11, B 11 × 28"] * 2
    for index in (0, 1):
        fields = view.nth(index).locator("input[type=number]")
        assert [field.input_value() for field in fields.all()] == ["160", "308", "6"]
    view.nth(1).get_by_role("slider").fill("5")
    assert notebook.run(6) == "5 True 5"
    assert len(set(chosen.all_inner_texts())) == 1
    ids = page.evaluate("[...document.querySelectorAll('.kpw [id], .kpw[id]')].map((e) => e.id)")
    assert len(set(ids)) == len(ids) > 0


def test_the_budget_and_the_kernel_share_the_network_and_the_chip(open_notebook):
    notebook = open_notebook(
        "budget",
        [
            "from kplib.widgets import MemoryBudget\nbudget = MemoryBudget()\nbudget",
            "print(budget.storage, budget.hidden_size, budget.fits, budget.ram_bytes)",
            "budget.device = 'nrf52833'\nbudget.benchmark = 'kws-gru'\nprint(budget)",
            "try:\n    budget.hidden_size = 4097\nexcept ValueError as error:\n    print(error)",
            "print(budget.rank, budget.hidden_size, budget.largest_hidden_size)",
        ],
    )
    page = notebook.page
    notebook.run(0)
    view = page.locator(".kpw-budget")
    view.get_by_label("Kronecker").check()
    view.locator("[data-role=largest]").click()
    press_shortcuts(notebook)
    assert notebook.run(1) == "kronecker 82 True 2048"
    words = notebook.run(2)
    assert words.startswith("MemoryBudget: GRU 10-154-12, kronecker, 32 bits")
    page.wait_for_function("document.querySelector('.kpw-budget select').value === 'kws-gru'")
    assert view.get_by_label("Chip", exact=True).input_value() == "nrf52833"
    assert notebook.run(3) == "hidden_size is 4097, but can be 4096 at most"
    hidden = view.get_by_label("Hidden units", exact=True)
    assert hidden.input_value() == "154"
    view.get_by_label("low rank").check()
    view.get_by_label("Rank", exact=True).fill("120")
    hidden.click()
    page.keyboard.press("Control+A")
    page.keyboard.type("200", delay=20)  # by way of 2 and 20, which have no rank 120
    assert notebook.run(4).startswith("120 200 ")
    assert hidden.input_value() == "200"


def test_the_dial_and_the_kernel_share_the_rows(open_notebook):
    notebook = open_notebook(
        "dial",
        [
            "from kplib.widgets import HybridDial\ndial, seen = HybridDial(), []\n"
            "dial.observe(lambda change: seen.append(change.new), 'rows')\ndial",
            "print(dial.rows, dial.shape, seen)",
            "with dial.hold_trait_notifications():\n    dial.m, dial.n, dial.rows = 179, 256, 3\n"
            "print(dial)",
            "try:\n    dial.rows = 179\nexcept ValueError as error:\n    print(error)",
            "print(dial.m, dial.n, dial.rows, dial.shape)",
        ],
    )
    page = notebook.page
    notebook.run(0)
    view = page.locator(".kpw-dial")
    rows = view.locator("[data-role=rows]")
    view.get_by_role("slider").focus()
    page.keyboard.press("ArrowRight")
    press_shortcuts(notebook)
    view.get_by_role("button", name="10× smaller: r = 8").click()
    press_shortcuts(notebook)
    assert notebook.run(1) == f"8 {algorithm4(110, 128)} [1, 8]"

    assert notebook.run(2).startswith("HybridDial: 179×256, r = 3")
    rows.get_by_text("3", exact=True).wait_for()
    fields = view.locator("input[type=number]").all()
    assert [field.input_value() for field in fields] == ["179", "256"]
    params = hybrid_shapes(179, 256)[3].params + 3 * 256
    assert view.locator("[data-role=params]").inner_text() == f"{params:,}"
    assert "rows = 179 dense rows leave nothing of m = 179" in notebook.run(3)
    assert rows.inner_text() == "3"

    view.get_by_label("n", exact=True).fill("64")
    page.keyboard.press("Enter")
    assert notebook.run(4) == f"179 64 3 {algorithm4(176, 64)}"


def test_texts_have_contrast_in_the_dark_theme(lab, open_notebook, assert_contrast):
    settings = lab.settings / "@jupyterlab/apputils-extension"
    settings.mkdir(parents=True)
    (settings / "themes.jupyterlab-settings").write_text('{"theme": "JupyterLab Dark"}')
    code = "from kplib.widgets import *\nfrom IPython.display import display\n"
    code += "display(ShapeExplorer(rows=2), MemoryBudget(), HybridDial(rows=5))\n"
    code += "display(ProductAnimator(step=6))"
    notebook = open_notebook("dark", [code])
    notebook.page.wait_for_selector("body[data-jp-theme-light=false]", state="attached")
    notebook.run(0)
    notebook.page.wait_for_selector(".kpw-product")
    assert assert_contrast(notebook.page, ".kpw-segment, .kpw-limit") > 200
