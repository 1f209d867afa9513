"""The package as it is installed, and the repository around it: versions, tools, licences."""

import ast
import copy
import importlib.util
import json
import os
import pickle
import re
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Iterable
from pathlib import Path

import pytest

import kplib
from kplib.errors import MissingExtraError

ROOT = Path(__file__).resolve().parents[1]
CONDA_NAMES = {"pytorch-cpu": "torch", "matplotlib-base": "matplotlib"}
# module -> the package that has it, or that brings it
MODULES = {
    "sklearn": "scikit-learn",
    "myst_nb": "myst-nb",
    "traitlets": "ipywidgets",
    "cycler": "matplotlib",
}

repository = pytest.mark.repository


def run(*command: object, cwd: Path = ROOT, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run a command without what a surrounding `make` would tell it."""
    env = {k: v for k, v in os.environ.items() if k not in {"MAKEFLAGS", "MFLAGS", "MAKELEVEL"}}
    words = [str(word) for word in command]
    return subprocess.run(
        words, cwd=cwd, env=env | environment, capture_output=True, text=True, timeout=300
    )


def fresh_python(code: str) -> subprocess.CompletedProcess[str]:
    """Run code in a new interpreter, where nothing has been imported yet."""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done


# The package, from the checkout or from the wheel -------------------------------------------------


def test_kplib_is_imported_from_where_these_tests_belong():
    # tools/check_wheel.py names the folder in which the wheel was installed.
    expected = os.environ.get("KPLIB_EXPECTED_IN", str(ROOT))
    assert Path(kplib.__file__).resolve().parent == Path(expected).resolve() / "kplib"


def test_import_is_quick_and_loads_nothing_heavy():
    # The processor's seconds, so that another program beside the tests is no reason to fail.
    code = """
import json, sys, time
started = time.process_time()
import kplib
seconds = time.process_time() - started
heavy = {"torch", "cppyy", "matplotlib", "scipy.optimize", "sklearn", "numba"} & set(sys.modules)
print(json.dumps({"seconds": seconds, "heavy": sorted(heavy)}))
"""
    runs = [fresh_python(code) for _ in range(3)]
    # Nothing else may be printed, or this is no JSON.
    results = [json.loads(done.stdout) for done in runs]
    assert [done.stderr for done in runs] == [""] * 3
    assert [result["heavy"] for result in results] == [[]] * 3
    assert min(result["seconds"] for result in results) < 0.5


def test_import_neither_seeds_nor_silences():
    fresh_python("""
import warnings, logging
import numpy, scipy.linalg
before = numpy.random.get_state()[1].tolist(), list(warnings.filters), numpy.geterr()
import kplib
after = numpy.random.get_state()[1].tolist(), list(warnings.filters), numpy.geterr()
assert before == after
assert logging.root.handlers == []
""")


@pytest.mark.parametrize("name", [name for name in dir(kplib) if not name.startswith("_")])
def test_every_public_name_is_there(name):
    assert getattr(kplib, name) is not None


def test_dir_has_what_is_there_at_once_and_what_loads_on_first_use():
    without_torch = importlib.util.find_spec("torch") is None
    absent = kplib._NEED_TORCH if without_torch else set()
    assert {*kplib.__all__, *kplib._LAZY} - absent <= set(dir(kplib))
    assert not absent & set(dir(kplib))
    assert {"nn", "engine", "compile", "compile_kron"} <= set(kplib._LAZY)


STAR = """
import builtins
before = dict(globals())
from kplib import *
print(sorted(set(globals()) - set(before) - {"before"}), compile is builtins.compile)
"""


@pytest.mark.parametrize("without", ["", "import sys; sys.modules['torch'] = None"])
def test_a_star_import_takes_what_is_always_there_and_no_builtin(without):
    done = fresh_python(without + STAR)
    assert done.stdout == f"{sorted(kplib.__all__)} True\n"


@repository  # in a small environment what they do need may be missing
@pytest.mark.parametrize(
    "module", ["plots", "widgets", "experiments.report", "experiments.trained", "nn"]
)
def test_figures_and_reports_need_no_data_and_no_sweep(module):
    """The extra of the book has neither, and this environment has both."""
    absent = ("pooch", "librosa", "soundfile", "distributed", "dask", "numba", "onnx")
    without = f"import sys; sys.modules.update(dict.fromkeys({absent}))\n"
    fresh_python(f"{without}import kplib.{module}")


def test_without_torch_the_package_can_still_be_inspected():
    fresh_python("""
import sys
sys.modules["torch"] = None
import inspect, kplib
names = {name for name, _ in inspect.getmembers(kplib)}
assert {*kplib.__all__, "compile_kron", "kernels"} <= names, names
assert not {"nn", "engine", "compile", "build"} & names, names
try:
    from kplib import compile
except kplib.errors.MissingExtraError as error:
    assert error.package == "torch" and error.extra == "nn" and error.name == "torch"
else:
    raise AssertionError("no error")
""")


@pytest.mark.parametrize(
    ("module", "package", "extra"),
    [
        ("kplib.nn", "torch", "nn"),
        ("kplib.engine", "torch", "nn"),
        ("kplib.experiments.build", "torch", "nn"),
        ("kplib.experiments.records", "safetensors", "nn"),
        ("kplib.data", "pooch", "data"),
        ("kplib.experiments.sweeps", "distributed", "sweep"),
        ("kplib.plots", "matplotlib", "book"),
        ("kplib.plots", "torch", "book"),
        ("kplib.widgets", "anywidget", "book"),
        ("kplib.widgets", "torch", "book"),
    ],
)
def test_each_part_says_which_extra_it_needs(module, package, extra):
    done = fresh_python(f"""
import sys
sys.modules["{package}"] = None
try:
    import {module}
except ImportError as error:
    print(error)
""")
    # Where more of the extra is missing, another package of it may be named first.
    assert re.match(r"\w+ is not installed", done.stdout)
    assert f"pip install 'kplib[{extra}]'" in done.stdout


@pytest.mark.parametrize("copied", [copy.deepcopy, lambda e: pickle.loads(pickle.dumps(e))])
def test_a_missing_extra_passes_between_processes(copied):
    error = MissingExtraError("torch", "nn")
    error.add_note("while unpickling")
    again = copied(error)
    assert type(again) is MissingExtraError
    assert str(again) == str(error)
    assert "pip install 'kplib[nn]'" in str(again)
    assert (again.package, again.extra, again.name) == ("torch", "nn", "torch")
    assert again.__notes__ == ["while unpickling"]


def test_an_unknown_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="no attribute 'compile_krom'"):
        _ = kplib.compile_krom
    with pytest.raises(ImportError, match="nonsense"):
        from kplib import nonsense  # noqa: F401


@pytest.mark.parametrize("name", ["nn.LSTM", "nn"])
def test_a_missing_extra_is_named(name):
    # None in sys.modules makes an import fail as if the package were not installed.
    done = fresh_python(f"""
import sys
sys.modules["torch"] = None
import kplib
try:
    kplib.{name}
except ImportError as error:
    print(type(error).__name__, error)
""")
    assert done.stdout.startswith("MissingExtraError torch is not installed")
    assert "pip install 'kplib[nn]'" in done.stdout


USER_PROGRAM = """
import numpy as np
import kplib
from kplib.errors import ShapeError

shape: kplib.FactorShape = kplib.algorithm4(118, 128)
A, B, x = np.ones((shape.m1, shape.n1)), np.ones((shape.m2, shape.n2)), np.ones(shape.n)
y: np.ndarray = kplib.kron_matvec(A, B, x)
rank: int = kplib.rank(A, B)
condition: float = kplib.condition_number(A, B)
try:
    z: np.ndarray = kplib.compile_kron(A, B)(x)
except ShapeError as error:
    print(error.args)
"""
USER_OF_TORCH = """
import torch
from kplib.nn import LSTM, Classifier, Kronecker, compress, parameter_count

model = Classifier(LSTM(10, 118, weight=Kronecker()), torch.nn.Linear(118, 12))
count: int = parameter_count(model)
logits: np.ndarray = kplib.compile(model)(np.ones((25, 10), np.float32))
factor: float = compress(torch.nn.LSTM(10, 118), Kronecker()).factor
baseline: Classifier = kplib.build("kws-lstm", "baseline")
"""


def strictly_typed(program: str, folder: Path) -> subprocess.CompletedProcess[str]:
    """Check a program that uses kplib as `mypy --strict` does, from a folder of no project."""
    pytest.importorskip("mypy")
    (folder / "program.py").write_text(program)
    mypy = [sys.executable, "-m", "mypy", "--strict", "--config-file=", "program.py"]
    return run(*mypy, cwd=folder)


def test_the_package_is_typed(tmp_path):
    assert Path(kplib.__file__).with_name("py.typed").is_file()
    with_torch = importlib.util.find_spec("torch") is not None
    program = USER_PROGRAM + USER_OF_TORCH * with_torch
    done = strictly_typed(program + "number: str = kplib.rank(A, B)\n", tmp_path)
    # The last line's type is wrong, and nothing else is.
    errors = [line for line in done.stdout.splitlines() if "error:" in line]
    assert len(errors) == 1, done.stdout
    assert 'expression has type "int", variable has type "str"' in errors[0]


@repository
def test_kplib_itself_is_strictly_typed():
    """`make lint` runs mypy; these are the only two ways in which it is less than strict."""
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["mypy"]
    assert settings["strict"] is True
    loosened = {name for name, value in settings.items() if value is False}
    assert loosened == {"warn_return_any"}
    assert not any("kplib" in entry["module"] for entry in settings["overrides"])


# Versions: pyproject.toml, constraints.txt, environment.yml ---------------------------------------


@pytest.fixture(scope="module")
def project():
    return tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]


@pytest.fixture(scope="module")
def pins():
    from packaging.utils import canonicalize_name

    lines = (
        line.split("#")[0].strip() for line in (ROOT / "constraints.txt").read_text().splitlines()
    )
    pairs = [line.split("==") for line in lines if line]
    assert all(len(pair) == 2 for pair in pairs), "constraints.txt holds exact versions only"
    result = {canonicalize_name(name): version for name, version in pairs}
    assert len(result) == len(pairs), "constraints.txt pins a package twice"
    return result


@pytest.fixture(scope="module")
def requirements(project):
    """Every requirement as (where it stands, Requirement), `all` left out."""
    from packaging.requirements import Requirement

    found = [("core", Requirement(line)) for line in project["dependencies"]]
    for extra, lines in project["optional-dependencies"].items():
        found += [(extra, Requirement(line)) for line in lines if extra != "all"]
    return found


@pytest.fixture(scope="module")
def environment():
    """What environment.yml installs: PyPI's name -> version, "" where it leaves the choice."""
    import yaml

    entries = yaml.safe_load((ROOT / "environment.yml").read_text())["dependencies"]
    conda = [entry.partition("=") for entry in entries if isinstance(entry, str)]
    (pip,) = [entry["pip"] for entry in entries if isinstance(entry, dict)]
    assert all(line.count("==") == 1 for line in pip), "pip's part is pinned exactly"
    found = {CONDA_NAMES.get(name, name): version for name, _, version in conda}
    return found | dict(line.split("==") for line in pip)


@repository
def test_every_requirement_is_pinned_within_its_range(requirements, pins):
    from packaging.utils import canonicalize_name

    assert len(requirements) > 25
    for extra, requirement in requirements:
        version = pins.get(canonicalize_name(requirement.name))
        assert version, f"{requirement.name} of [{extra}] is not in constraints.txt"
        assert requirement.specifier.contains(version), f"{requirement} against {version}"


@repository
def test_all_names_every_extra(project):
    from packaging.requirements import Requirement

    extras = project["optional-dependencies"]
    (everything,) = map(Requirement, extras["all"])
    assert everything.extras == extras.keys() - {"all"}


@repository
def test_what_is_installed_is_pinned_completely():
    done = run(sys.executable, "tools/lock.py", "--check")
    assert done.returncode == 0, f"{done.stdout}{done.stderr}\nmake setup, or make lock"


@repository
@pytest.mark.parametrize("python", ["3.11.2", "3.12.3"])  # Debian 12's, Ubuntu 24.04's
def test_every_pin_installs_on_the_systems_that_are_promised(pins, python):
    from importlib.metadata import PackageNotFoundError, metadata

    from packaging.specifiers import SpecifierSet

    asked = 0
    for name, version in pins.items():
        try:
            found = metadata(name)
        except PackageNotFoundError:
            continue  # Binder's
        if found["Version"].split("+")[0] == version and (wanted := found.get("Requires-Python")):
            asked += 1
            assert SpecifierSet(wanted).contains(python), f"{name}=={version} wants {wanted}"
    assert asked > 100


@repository
def test_environment_yml_has_the_pinned_versions(environment, pins, project):
    from packaging.specifiers import SpecifierSet

    assert SpecifierSet(project["requires-python"]).contains(environment["python"])
    unpinned = {name for name, version in environment.items() if not version}
    assert unpinned == {"pip", "cxx-compiler"}
    for name, version in environment.items():
        if name not in unpinned | {"python"}:
            assert pins[name] == version, f"{name} of environment.yml"


@repository
def test_environment_yml_has_what_the_layers_kernels_and_data_need(environment, requirements):
    extras = {"core", "kernels", "nn", "data"}
    assert {item.name for extra, item in requirements if extra in extras} <= environment.keys()


def imported_modules(page: Path) -> set[str]:
    """Names of the modules, or of what may be one, that a notebook's code cells import."""
    cells = re.findall(r"^```+\{code-cell\}.*?\n(.*?)^```", page.read_text(), re.DOTALL | re.M)
    # Options (:tags:) and magics (%) are not Python.
    code = "\n".join(line for cell in cells for line in cell.splitlines() if line[:1] not in ":%!")
    return imports_of(ast.walk(ast.parse(code)))


def imports_of(nodes: Iterable[ast.AST]) -> set[str]:
    """Names that imports bring: `from kplib import nn` may be of a module `kplib.nn`."""
    names = set()
    for node in nodes:
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            names |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
    return names


def imported_with(names: set[str]) -> set[str]:
    """All packages that importing modules of kplib imports at once, and those of other names."""
    todo, modules, packages = {*names}, set(), set()
    while todo:
        name = todo.pop()
        package, *below = name.split(".")
        if package != "kplib":
            packages.add(package)
            continue
        path = ROOT.joinpath("kplib", *below)
        path = path / "__init__.py" if path.is_dir() else path.with_suffix(".py")
        if path in modules or not path.is_file():
            continue
        modules.add(path)
        tree = ast.parse(path.read_text())
        # At the top of the file, or tried there; what a function imports is imported when called.
        top = [node for node in tree.body if not isinstance(node, ast.If)]
        top += [inner for node in top if isinstance(node, ast.Try) for inner in node.body]
        todo |= imports_of(top) | {".".join(["kplib", *below[:i]]) for i in range(len(below))}
    return packages - sys.stdlib_module_names


@repository
def test_binder_has_what_the_notebooks_import(environment):
    pages = [p for p in (ROOT / "book").rglob("*.md") if "\nkernelspec:" in p.read_text()]
    named = set().union(*map(imported_modules, pages))
    lazily = {module or f"kplib.{name}" for name, module in kplib._LAZY.items()}
    needed = imported_with(named | lazily) - {"IPython"}
    assert {"numpy", "torch", "tqdm", "pooch", "matplotlib"} <= needed
    assert {MODULES.get(name, name) for name in needed} <= environment.keys()
    # It is not only what the notebooks name themselves.
    assert "tqdm" not in named


@pytest.fixture(scope="module")
def repository_files():
    """Every file that is committed, or would be."""
    done = run("git", "ls-files", "--cached", "--others", "--exclude-standard", "-z")
    assert done.returncode == 0, done.stderr
    files = [ROOT / name for name in done.stdout.split("\0") if name]
    return [path for path in files if path.is_file()]


@pytest.fixture
def export(repository_files, tmp_path):
    """Copy the repository, without what the build leaves behind."""
    for path in repository_files:
        target = tmp_path / "export" / path.relative_to(ROOT)
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(path, target)
    return tmp_path / "export"


@repository
def test_binder_accepts_the_repository(export):
    repo2docker = Path(sys.executable).with_name("jupyter-repo2docker")
    done = run(repo2docker, "--no-build", "--debug", ".", cwd=export)
    assert done.returncode == 0, done.stderr
    dockerfile = done.stdout + done.stderr
    assert 'env update -p ${NB_PYTHON_PREFIX} --file "environment.yml"' in dockerfile
    assert "RUN ./postBuild" in dockerfile
    # The check means something: what Binder cannot read is refused.
    (export / "environment.yml").write_text("dependencies: [python=3.11\n")
    assert run(repo2docker, "--no-build", ".", cwd=export).returncode != 0


@repository
def test_post_build_is_a_program_that_bash_can_read():
    assert os.access(ROOT / "postBuild", os.X_OK)
    assert run("bash", "-n", "postBuild").returncode == 0


# The repository's files ---------------------------------------------------------------------------


def text_of(path: Path) -> str:
    """Return a file's text, empty where it is not text."""
    content = path.read_bytes()
    return "" if b"\0" in content else content.decode("utf-8")


@repository
def test_no_large_file_and_no_notebook_with_outputs(repository_files):
    assert len(repository_files) > 40
    assert [p.name for p in repository_files if p.stat().st_size > 1_000_000] == []
    assert [p.name for p in repository_files if p.suffix == ".ipynb"] == []


@repository
def test_no_path_of_one_machine_and_no_registry_host(repository_files):
    # Put together here, so that this file does not contain what it forbids.
    hosts = ["pypi" + ".org", "python" + "hosted.org", "registry.npm" + "js", "deb.debian" + ".org"]
    home = re.escape(str(Path.home()))
    folders = re.compile(rf"(?<![\w.~*)\]}}-])(?:/work|/root|{home})/")
    for path in repository_files:
        text = text_of(path)
        for host in hosts:
            assert host not in text, f"{path} names {host}"
        found = folders.search(text)
        assert not found, f"{path} has {text[found.start() :][:40]!r}"


@repository
def test_the_public_address_is_the_one_of_pyproject(repository_files, project):
    urls = project["urls"]
    slug = urls["Repository"].removeprefix("https://github.com/")
    assert urls["Issues"] == f"{urls['Repository']}/issues"
    assert urls["Changelog"] == f"{urls['Repository']}/blob/main/CHANGELOG.md"

    address = re.compile(r"github\.com/([\w.-]+/kplib)\b|mybinder\.org/v2/gh/([\w.-]+/[\w.-]+)/")
    pages = re.compile(r"https://[\w-]+\.github\.io/[\w-]*/?")
    naming = set()
    for path in repository_files:
        text = text_of(path)
        slugs = {first or second for first, second in address.findall(text)}
        sites = set(pages.findall(text))
        if slugs or sites:
            naming.add(path.relative_to(ROOT).as_posix())
        assert slugs <= {slug}, f"{path} names {slugs}"
        assert sites <= {urls["Documentation"]}, f"{path} names {sites}"
    # These are read by machines or before anything is built; the book takes it from pyproject.toml.
    assert naming == {"pyproject.toml", "README.md", "CITATION.cff", "CHANGELOG.md"}


@repository
def test_citation(project):
    import yaml

    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text())
    assert citation["cff-version"] == "1.2.0"
    assert citation["version"] == kplib.__version__
    assert citation["license"] == project["license"] == "MIT"
    assert citation["authors"] == project["authors"]
    assert citation["repository-code"] == project["urls"]["Repository"]
    assert citation["url"] == project["urls"]["Documentation"]
    assert {"message", "title", "type", "abstract"} <= citation.keys()
    for reference in citation["references"]:
        assert {"type", "title", "authors", "year", "identifiers"} <= reference.keys()
        assert all(
            {"family-names", "given-names"} == author.keys() for author in reference["authors"]
        )


@repository
def test_licences_and_house_files():
    assert (ROOT / "LICENSE").read_text().startswith("MIT License\n")
    assert "SPDX name:  CC-BY-4.0" in (ROOT / "book" / "LICENSE").read_text()
    changelog = (ROOT / "CHANGELOG.md").read_text()
    assert "## [Unreleased]" in changelog or f"## [{kplib.__version__}]" in changelog
    assert len((ROOT / "CONTRIBUTING.md").read_text().split()) < 400, "longer than a page"


# Makefile, tools, continuous integration ----------------------------------------------------------


def make(*words: str, cwd: Path = ROOT) -> str:
    done = run("make", "--no-print-directory", *words, cwd=cwd)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def targets() -> set[str]:
    """Return the Makefile's commands."""
    names = re.search(r"^\.PHONY: (.*)$", (ROOT / "Makefile").read_text(), re.MULTILINE)[1].split()
    return set(names)


@repository
def test_make_alone_prints_every_command():
    listed = dict(re.findall(r"^  make ([a-z-]+) +(\S.*)$", make(), re.MULTILINE))
    # `test-tools` is a step of `make test`, not a command.
    assert listed.keys() == targets() - {"test-tools"}
    assert {"book", "test"} <= listed.keys()


@repository
@pytest.mark.parametrize("target", ["book", "test", "lint", "bench", "wheel", "check-wheel"])
def test_make_honours_another_place_for_the_environment(target, tmp_path):
    place = tmp_path / "elsewhere"
    commands = make("-n", target, f"VENV={place}", "PYTHON=python3.x")
    assert f"python3.x tools/setup_env.py {place} " in commands
    assert f"{place}/bin/" in commands
    assert ".venv" not in commands


@repository
def test_make_test_does_everything_in_order():
    commands = make("-n", "test")
    steps = [
        "prerequisites.py --install book test",
        "setup_env.py",
        "ruff check",
        "ruff format --check",
        "mypy",
        "lint_notebooks.py",
        "build_book.py",
        "web_assets.py --tests",
        "-m pytest",
    ]
    places = [commands.index(step) for step in steps]
    assert places == sorted(places)


@repository
def test_a_step_says_what_it_does_how_long_it_took_and_what_to_do():
    good = run(sys.executable, "tools/step.py", "Say hello", "--", "echo", "hello")
    assert good.returncode == 0
    assert re.fullmatch(r"==> Say hello\nhello\n    done in \d+\.\d s\n", good.stdout)
    bad = run(sys.executable, "tools/step.py", "Fail", "--hint", "try again", "--", "false")
    assert bad.returncode == 1
    assert "*** Fail: failed after" in bad.stderr
    assert "what to do: try again" in bad.stderr
    absent = run(sys.executable, "tools/step.py", "Fail", "--", "no-such-program-anywhere")
    assert absent.returncode == 1
    assert "cannot run no-such-program-anywhere" in absent.stderr


def empty_machine(tmp_path: Path) -> dict[str, str]:
    """Return an environment in which no program is found, but for `env` and `sudo`."""
    programs = tmp_path / "bin"
    programs.mkdir()
    (programs / "env").symlink_to(shutil.which("env"))
    (programs / "sudo").write_text('#!/bin/sh\n[ "$1" = -n ] && shift\nexec "$@"\n')
    (programs / "sudo").chmod(0o755)
    return {"PATH": str(programs), "CXX": "", "KPLIB_BROWSER": ""}


@repository
def test_a_missing_prerequisite_is_named_with_the_way_to_get_it(tmp_path):
    machine = empty_machine(tmp_path)
    done = run(sys.executable, "tools/prerequisites.py", "book", "test", **machine)
    assert done.returncode == 1
    for package in ("g++", "chromium", "clang libclang-rt-dev", "git", "qemu-user-static"):
        assert re.search(rf"apt-get install .*{re.escape(package)}$", done.stderr, re.MULTILINE)
    browser = run(sys.executable, "tools/prerequisites.py", "--browser", **machine)
    assert (browser.returncode, browser.stdout.strip()) == (1, "")


@repository
def test_what_is_missing_is_installed_and_looked_for_again(tmp_path):
    machine = empty_machine(tmp_path)
    programs = {
        "chromium", "git", "clang++", "aarch64-linux-gnu-g++", "qemu-aarch64-static", "g++",
        "arm-none-eabi-gcc", "qemu-system-arm", "avr-gcc", "simavr", "llvm-mca",
    }  # fmt: skip
    apt_get = tmp_path / "bin" / "apt-get"
    apt_get.write_text(
        "#!/bin/sh\n"
        f'echo "$@" >> {tmp_path}/asked\n'
        f'case "$*" in *install*) for p in {" ".join(programs)}; do\n'
        f'  p={tmp_path}/bin/$p; printf "#!/bin/sh\\necho /lib/clang/asan.a\\n" > $p\n'
        "  /bin/chmod 755 $p; done;; esac\n"
    )
    apt_get.chmod(0o755)
    done = run(sys.executable, "tools/prerequisites.py", "--install", "book", "test", **machine)
    assert done.returncode == 0, done.stderr
    update, install = (tmp_path / "asked").read_text().splitlines()
    assert update.endswith("update")
    packages = install.split("--no-install-recommends ")[1].split()
    assert {"chromium", "g++", "g++-aarch64-linux-gnu", "qemu-user-static"} <= set(packages)
    assert {"libnewlib-arm-none-eabi", "avr-libc", "simavr", "qemu-system-arm"} <= set(packages)

    # An apt-get that fails is no success.
    apt_get.write_text("#!/bin/sh\nexit 100\n")
    (tmp_path / "bin" / "chromium").unlink()
    done = run(sys.executable, "tools/prerequisites.py", "--install", "test", **machine)
    assert done.returncode == 1
    assert "missing: a Chromium or Chrome browser" in done.stderr


@repository
def test_kplib_browser_goes_first_and_has_to_start(tmp_path):
    mine = tmp_path / "my-browser"
    mine.write_text("#!/bin/sh\nexit 0\n")
    mine.chmod(0o755)
    command = (sys.executable, "tools/prerequisites.py", "--browser")
    assert run(*command, KPLIB_BROWSER=str(mine)).stdout.strip() == str(mine)
    mine.write_text("#!/bin/sh\nexit 1\n")
    assert run(*command, KPLIB_BROWSER=str(mine)).returncode == 1


@repository
def test_set_up_leaves_a_folder_alone_that_is_no_environment(tmp_path):
    treasure = tmp_path / "thesis.tex"
    treasure.write_text("years of work")
    done = run(sys.executable, "tools/setup_env.py", tmp_path)
    assert done.returncode == 1
    assert "name another place with VENV=" in done.stderr
    assert treasure.read_text() == "years of work"


@pytest.fixture
def setup_env(monkeypatch):
    """Return tools/setup_env.py as a module."""
    import importlib

    monkeypatch.syspath_prepend(str(ROOT / "tools"))
    return importlib.import_module("setup_env")


@repository
def test_torch_comes_from_the_cpu_index_or_else_from_the_usual_one(
    setup_env, monkeypatch, tmp_path, pins
):
    asked = []

    def pip(self, title, *words):
        asked.append(words)
        if "--index-url" in words:
            raise setup_env.StepError("no network there")

    monkeypatch.setattr(setup_env.Environment, "pip", pip)
    monkeypatch.setattr(setup_env.sys, "platform", "linux")
    setup_env.Environment(tmp_path).install_torch()
    first, second = asked
    assert setup_env.CPU_INDEX in first
    assert first[first.index("--retries") :][:2] == ("--retries", "0")
    assert second == ("--no-deps", f"torch=={pins['torch']}")


@repository
def test_set_up_runs_again_when_what_it_depends_on_changes(setup_env, monkeypatch, tmp_path):
    for name in ("pyproject.toml", "constraints.txt", "tools/setup_env.py", "kplib/__init__.py"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        shutil.copy(ROOT / name, tmp_path / name)
    monkeypatch.setattr(setup_env, "ROOT", tmp_path)
    before = setup_env.fingerprint("all")
    assert setup_env.fingerprint("all") == before
    assert setup_env.fingerprint("nn") != before
    with (tmp_path / "kplib" / "__init__.py").open("a") as module:
        module.write("# a change of the code alone\n")
    assert setup_env.fingerprint("all") == before
    with (tmp_path / "constraints.txt").open("a") as constraints:
        constraints.write("left-pad==1.0\n")
    assert setup_env.fingerprint("all") != before


NOTEBOOK = """---
{jupytext}kernelspec:
  display_name: Python 3
  language: python
  name: python3
---

# A page

```{{code-cell}} ipython3
import numpy as np

%timeit np.eye(3)
{code}
```
"""
MYST = "jupytext:\n  text_representation:\n    format_name: myst\n"


@repository
@pytest.mark.parametrize("jupytext", ["", MYST], ids=["no jupytext header", "jupytext header"])
def test_notebook_cells_are_linted(tmp_path, jupytext):
    book = tmp_path / "book"
    book.mkdir()
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    page = book / "page.md"
    command = (sys.executable, ROOT / "tools" / "lint_notebooks.py", "book")
    assert run(*command, cwd=tmp_path).returncode == 1, "no notebook at all is a mistake"

    def lint(code: str) -> tuple[int, str]:
        text = NOTEBOOK.format(jupytext=jupytext, code=code)
        page.write_text(text)
        done = run(*command, cwd=tmp_path)
        assert page.read_text() == text, "linting must not rewrite the page"
        return done.returncode, done.stdout

    assert lint("np.eye(3)") == (0, "")
    status, said = lint("np.eye(undefined_size)")
    assert status == 1
    assert "book/page.md:cell 2:" in said
    assert "F821" in said
    status, said = lint("np.eye( 3 )")
    assert status == 1
    assert "+np.eye(3)" in said


@repository
@pytest.mark.parametrize("name", ["tests", "book", "arm", "board"])
def test_workflow(name):
    import yaml

    text = (ROOT / ".github" / "workflows" / f"{name}.yml").read_text()
    assert text.startswith("# Written, not yet run")
    workflow = yaml.safe_load(text)
    assert workflow["permissions"] == {"contents": "read"}
    steps = [step for job in workflow["jobs"].values() for step in job["steps"]]
    assert all(re.fullmatch(r"actions/[\w-]+@v\d+", s["uses"]) for s in steps if "uses" in s)
    commands = "\n".join(step["run"] for step in steps if "run" in step)
    assert set(re.findall(r"^make ([\w-]+)", commands, re.MULTILINE)) <= targets()
    for path in re.findall(r"(?:-m pytest|bash) ([\w./-]+)", commands):
        assert (ROOT / path).exists(), f"{name}.yml runs {path}"
    assert all(
        "timeout-minutes" in job for key, job in workflow["jobs"].items() if key != "publish"
    )


@repository
def test_ci_runs_what_the_readme_names():
    script = (ROOT / ".ci" / "run").read_text()
    assert os.access(ROOT / ".ci" / "run", os.X_OK)
    assert run("bash", "-n", ".ci/run").returncode == 0
    assert "set -euo pipefail" in script
    assert re.search(r"^(exec )?make test\b", script, re.MULTILINE)
    assert re.search(r"^make test\b", (ROOT / "README.md").read_text(), re.MULTILINE)
    assert set(re.findall(r"^(?:exec )?make ([\w-]+)", script, re.MULTILINE)) <= targets()
