"""The notebooks that the pages offer: they bring what they need, and read as plain Markdown."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path

import nbformat
import pytest

ROOT = Path(__file__).resolve().parents[2]
pytestmark = [pytest.mark.book, pytest.mark.repository]
TEXT = """\
(a-label)=
# Title

:::{admonition} Before you start
:class: tip

{doc}`Chapter 4 <04-x>` has {glue:text}`a-size` numbers, {term}`gates <gate>`,
{py:func}`~kplib.rank`.
:::

$$
x = y
$$ (eq-a)

```{prf:theorem} A law
:label: a-law

See {eq}`eq-a` and {cite:p}`thakker2019pushing`.
```

```python
print(":::{not} a fence")
```

```{bibliography}
:filter: docname in docnames
```
"""
PLAIN = """\
# Title

**Before you start**

[Chapter 4](https://a/04-x.html) has 118 × 128 numbers, gates,
`kplib.rank`.

$$
x = y
$$

**Theorem.** A law

See [(equation)](https://a/here.html) and [thakker2019pushing](https://a/here.html).

```python
print(":::{not} a fence")
```

([in the book](https://a/here.html))"""


@pytest.fixture(scope="module")
def downloads(load):
    return load("book/_ext/downloads.py")


def test_myst_becomes_markdown(downloads):
    text = downloads.plain_text(
        TEXT,
        {"a-size": "118 × 128"},
        lambda target: (target, f"https://a/{target}.html"),
        "https://a/here.html",
    )
    assert re.sub(r"\n{3,}", "\n\n", text) == PLAIN


def test_it_installs_what_binder_has_for_the_notebooks(downloads):
    environment = (ROOT / "environment.yml").read_text(encoding="utf-8")
    found = downloads.packages(environment)
    assert {"numpy", "torch", "cppyy", "myst-nb", "anywidget"} <= set(found)
    assert not {"python", "pip", "jupyterlab", "pytorch-cpu"} & set(found)
    assert not re.search(r"[=<>#]", " ".join(found))


def test_every_download_begins_with_that_cell_and_has_no_roles(html: Path, downloads):
    files = sorted((html / "_sources").rglob("*.ipynb"))
    assert len(files) >= 20
    for path in files:
        notebook = nbformat.read(path, as_version=4)
        nbformat.validate(notebook)
        assert notebook.cells[0].source.startswith("# Where kplib cannot be imported")
        texts = [cell.source for cell in notebook.cells if cell.cell_type == "markdown"]
        outside_code = re.sub(r"^```.*?^```$", "", "\n".join(texts), flags=re.DOTALL | re.MULTILINE)
        assert downloads.ROLE.findall(outside_code) == [], path
        assert not re.search(r"^(`{3,}|:{3,})\{", outside_code, re.MULTILINE), path


@pytest.fixture(scope="module")
def elsewhere(tmp_path_factory) -> Path:
    """An environment with all packages of this one but kplib; the path of its Python."""
    folder = tmp_path_factory.mktemp("elsewhere")
    # Without a pip and setuptools of its own: those of this environment fit its packages.
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", folder], check=True)
    python = folder / "bin" / "python"
    there = subprocess.run(
        [python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))"],
        capture_output=True, text=True, check=True,
    ).stdout.strip()  # fmt: skip
    # Of a path in a .pth file the packages are found, but not the .pth that leads to the checkout.
    here = sysconfig.get_path("purelib")
    Path(there, "here.pth").write_text(here + "\n", encoding="utf-8")
    return python


@pytest.fixture(scope="module")
def published(tmp_path_factory) -> str:
    """The address of a repository with the files of this one as they are now."""
    folder = tmp_path_factory.mktemp("published")
    listed = ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"]
    names = subprocess.run(listed, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    for name in filter(None, names.split("\0")):
        if (ROOT / name).is_file():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(ROOT / name, folder / name)
    who = ["-c", "user.name=a", "-c", "user.email=a@b.c"]
    for words in (["init", "-q"], ["add", "-A"], [*who, "commit", "-q", "-m", "a"]):
        subprocess.run(["git", *words], cwd=folder, check=True)
    return folder.as_uri()


def test_a_download_runs_where_kplib_is_not(html, downloads, elsewhere, published, tmp_path):
    """The first cell fetches this repository in place of the published one, and installs it."""
    path = html / "_sources" / "book" / "how-to" / "import.ipynb"
    notebook = nbformat.read(path, as_version=4)
    cell = notebook.cells[0].source
    address = re.search(r"--depth 1 (\S+)", cell)[1]
    assert address.startswith("https://")
    notebook.cells[0].source = cell.replace(address, published)
    env = {k: v for k, v in os.environ.items() if k != "PYTHONPATH"}
    env |= {"PIP_NO_BUILD_ISOLATION": "0", "PIP_NO_INDEX": "1"}  # pip reads the first as "no"
    code = "from importlib.util import find_spec; print(find_spec('kplib'))"
    missing = subprocess.run([elsewhere, "-c", code], env=env, cwd=tmp_path, capture_output=True)
    assert missing.stdout.strip() == b"None"
    notebook.cells.append(nbformat.v4.new_code_cell("print('from', kplib.__file__)"))
    nbformat.write(notebook, tmp_path / "page.ipynb")
    run = "import sys, nbclient, nbformat; n = nbformat.read('page.ipynb', 4);"
    run += "nbclient.NotebookClient(n, timeout=600, kernel_name='here').execute();"
    run += "nbformat.write(n, 'done.ipynb')"
    spec = [elsewhere, "-m", "ipykernel", "install", "--prefix", tmp_path, "--name", "here"]
    env["JUPYTER_PATH"] = str(tmp_path / "share" / "jupyter")
    for command in (spec, [elsewhere, "-c", run]):
        done = subprocess.run(command, env=env, cwd=tmp_path, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
    last = nbformat.read(tmp_path / "done.ipynb", as_version=4).cells[-1].outputs[0].text
    assert str(elsewhere.parents[1]) in last
