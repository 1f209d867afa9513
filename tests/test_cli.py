import importlib.util
import json
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

import kplib
from kplib import cli
from kplib.bench.native import NATIVE_PEERS
from kplib.bench.peers import PYTHON_PEERS
from kplib.kernels import loaders

ROOT = Path(__file__).parent.parent


def run(*arguments, code="from kplib.cli import main; main()", cwd=None):
    """Run the command in a process of its own, as a user does."""
    return subprocess.run(
        [sys.executable, "-c", code, *arguments], cwd=cwd, capture_output=True, text=True,
        timeout=600, check=False,
    )  # fmt: skip


def main(monkeypatch, capsys, *arguments):
    """Run the command in this process: status, standard output, standard error."""
    monkeypatch.setattr(sys, "argv", ["kplib", *arguments])
    with pytest.raises(SystemExit) as end:
        cli.main()
    out, err = capsys.readouterr()
    return end.value.code or 0, out, err


def test_version(monkeypatch, capsys):
    assert main(monkeypatch, capsys, "--version") == (0, f"kplib {kplib.__version__}\n", "")


def test_help_names_what_there_is(monkeypatch, capsys):
    status, out, _ = main(monkeypatch, capsys, "--help")
    assert status == 0
    assert re.findall(r"\b(shapes|bench)\b", out)
    assert main(monkeypatch, capsys, "bench", "--help")[1].count("matvec")


def test_shapes_lists_every_shape_and_marks_the_papers_choice(monkeypatch, capsys):
    status, out, err = main(monkeypatch, capsys, "shapes", "154", "164")
    assert (status, err) == (0, "")
    header, *lines = out.splitlines()
    assert len(lines) == len(kplib.factor_shapes(154, 164)) == 48
    assert header.split() == [
        "A", "B", "params", "compression", "MACs", "fewer", "MACs", "rank", "<=",
    ]  # fmt: skip
    (chosen,) = (line for line in lines if "Algorithm 4" in line)
    assert re.match(r"\s*\(14, 4\)\s+\(11, 41\)\s+507\s+49\.8x\s+2,420\s+10\.4x\s+44\b", chosen)
    assert sum("Pareto front" in line for line in lines) == len(kplib.pareto_front(154, 164))


def test_shapes_of_the_front_only(monkeypatch, capsys):
    _, out, _ = main(monkeypatch, capsys, "shapes", "105", "210", "--front")
    lines = out.splitlines()[1:]
    assert len(lines) == len(kplib.pareto_front(105, 210))
    assert all("Pareto front" in line for line in lines)
    assert kplib.algorithm4(105, 210) not in kplib.pareto_front(105, 210)
    assert "Algorithm 4" not in out


@pytest.mark.parametrize(("m", "n"), [(37, 50), (1, 12), (40, 61)])
def test_shapes_always_works_and_says_what_algorithm_4_cannot(monkeypatch, capsys, m, n):
    status, out, err = main(monkeypatch, capsys, "shapes", str(m), str(n))
    assert (status, err) == (0, "")
    assert f"Note: Algorithm 4 is undefined for {m} x {n}." in out
    table = out.partition("\n\nNote")[0].splitlines()[1:]
    assert len(table) == len(kplib.factor_shapes(m, n))
    assert not any("Algorithm 4" in line for line in table)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["shapes", "0", "12"], r"kplib: .*\b0\b.*"),
        (["bench", "matvec", "--shapes", "many"], r"kplib: --shapes is 'many', .*"),
        (
            ["bench", "matvec", "--shapes", "37x50"],
            r"kplib: Algorithm 4 is undefined for 37 x 50.*",
        ),
    ],
)
def test_what_the_user_can_mend_is_one_line_and_status_2(monkeypatch, capsys, arguments, message):
    status, out, err = main(monkeypatch, capsys, *arguments)
    assert (status, out) == (2, "")
    assert re.fullmatch(message + "\n", err)


@pytest.mark.parametrize("arguments", [[], ["--loader", "cppyy"]])
def test_a_loader_that_cannot_be_used_is_told_before_anything_is_timed(
    monkeypatch, capsys, arguments
):
    command = ("bench", "matvec", "--shapes", "8x4,5x17", *arguments)
    if arguments:
        monkeypatch.setattr(loaders._LOADERS["cppyy"], "missing", lambda: "it is not installed")
        message = "loader 'cppyy' cannot be used here: it is not installed"
    else:
        monkeypatch.setenv("KPLIB_LOADER", "foo")
        message = "loader is 'foo', but must be one of ['cppyy', 'compiler', 'numpy']"
    assert main(monkeypatch, capsys, *command) == (2, "", f"kplib: {message}\n")


@pytest.mark.parametrize("benchmark", ["matvec", "network", "train", "devices", "arm"])
def test_a_record_that_cannot_be_written_is_told_before_anything_is_measured(
    monkeypatch, capsys, tmp_path, benchmark
):
    (tmp_path / "file").write_text("")
    for path in (tmp_path / "file" / "record.json", tmp_path / "file"):
        status, out, err = main(monkeypatch, capsys, "bench", benchmark, "--json", str(path))
        assert (status, out) == (2, "")
        assert re.fullmatch(rf"kplib: {tmp_path}/file/.*\.json cannot be written: .*\n", err)


def test_a_device_that_is_not_there_is_told_before_anything_is_measured(monkeypatch, capsys):
    status, out, err = main(monkeypatch, capsys, "bench", "train", "--device", "foo")
    assert (status, out) == (2, "")
    assert re.fullmatch(r"kplib: device is 'foo': .*\n", err)


def test_a_file_in_place_of_the_sweeps_folder(monkeypatch, capsys, tmp_path):
    (tmp_path / "file").write_text("")
    status, _, err = main(monkeypatch, capsys, "sweep", "--folder", str(tmp_path / "file"))
    assert status == 2
    assert re.fullmatch(r"kplib: .*file/\.sweep\.lock cannot be written: .*\n", err)


@pytest.mark.repository
def test_every_package_that_a_command_may_miss_is_of_the_extra_that_is_named():
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    names = {"sklearn": "scikit-learn"}
    for module, extra in cli._EXTRA_OF.items():
        packages = extras["optional-dependencies"][extra]
        assert any(re.match(rf"{names.get(module, module)}\b", each) for each in packages)


@pytest.mark.parametrize("arguments", [["nothing"], ["shapes", "a", "b"], ["shapes"]])
def test_what_is_no_command_is_status_2(monkeypatch, capsys, arguments):
    status, _, err = main(monkeypatch, capsys, *arguments)
    assert status == 2
    assert err


def test_without_typer_the_message_names_the_extra():
    done = run("shapes", "4", "6", code=(
        "import sys; sys.modules['typer'] = None\nfrom kplib.cli import main; main()"
    ))  # fmt: skip
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == (
        "kplib: typer is not installed; it comes with the extra 'bench': "
        "pip install 'kplib[bench]'\n"
    )


def test_an_error_of_kplib_itself_is_not_hidden(monkeypatch):
    monkeypatch.setattr(kplib, "factor_shapes", lambda *_: 1 / 0)
    monkeypatch.setattr(sys, "argv", ["kplib", "shapes", "4", "6"])
    with pytest.raises(ZeroDivisionError):
        cli.main()


def test_shapes_starts_without_torch_cppyy_or_the_benchmarks():
    done = run("shapes", "4", "6", code=(
        "import sys\nfrom kplib.cli import main\n"
        "try: main()\n"
        "except SystemExit: pass\n"
        "heavy = {'torch', 'cppyy', 'numba', 'kplib.bench.timing', 'kplib.bench.machine'}\n"
        "print(sorted(heavy & set(sys.modules)))"
    ))  # fmt: skip
    assert done.stdout.endswith("\n[]\n")


@pytest.fixture(scope="module")
def benchmark(tmp_path_factory):
    """A small run of the whole command, with every peer: the process and its record."""
    folder = tmp_path_factory.mktemp("bench")
    done = run(
        "bench", "matvec", "--rounds", "3", "--shapes", "6x4,5x8",
        "--json", str(folder / "out.json"), cwd=folder,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done, json.loads((folder / "out.json").read_text(encoding="utf-8"))


def test_every_peer_is_timed_or_named_with_the_reason(benchmark):
    done, record = benchmark
    python, cpp = record["tables"]
    assert (python["setting"], cpp["setting"]) == ("python", "cpp")
    for table, everyone in ((python, PYTHON_PEERS), (cpp, NATIVE_PEERS)):
        timed = {row["peer"] for row in table["rows"] if not row["peer"].startswith("(")}
        assert timed | set(table["left_out"]) == {peer.name for peer in everyone}
        assert timed.isdisjoint(table["left_out"])
        for name, reason in table["left_out"].items():
            assert re.match(r"not installed|takes square|\w+\.cpp.*\(Debian: lib", reason), reason
            assert f"not timed: {name}: " in done.stdout


def test_every_timed_peer_has_its_figures(benchmark):
    _, record = benchmark
    for table in record["tables"]:
        assert table["shape"] == {
            "m1": 6, "n1": 4, "m2": 5, "n2": 8, "macs": 280, "dense_macs": 960,
        }  # fmt: skip
        for row in table["rows"]:
            low, middle, high = (row["nanoseconds"][name] for name in ("p10", "median", "p90"))
            assert 0 < low <= middle <= high
            assert row["rounds"] == 3
            assert row["calls_per_sample"] >= 1
            if not row["peer"].startswith("("):
                assert row["relative_error"] <= 1e-5
                assert row["speedup"]["median"] > 0


def test_the_record_says_how_it_was_made_and_not_where(benchmark, tmp_path_factory):
    _, record = benchmark
    assert record["command"] == ("kplib bench matvec --rounds 3 --shapes 6x4,5x8 --json out.json")
    assert record["settings"]["rounds"] == 3
    assert {blas["loaded_by"] for blas in record["libraries"]["blas"]}
    assert str(tmp_path_factory.getbasetemp()) not in json.dumps(record)
    assert not re.search(r'"[^"]*(^|[\s\'"=(])/\w', json.dumps(record))


def test_the_bench_prints_both_tables(benchmark):
    done, _ = benchmark
    assert "calls from Python" in done.stdout
    assert "a loop in C++" in done.stdout
    assert "(the timing loop itself)" in done.stdout


@pytest.mark.parametrize("loader", ["cppyy", "compiler"])
def test_the_loader_can_be_chosen_and_a_folder_gets_the_default_name(
    monkeypatch, capsys, tmp_path, loader
):
    if loader == "cppyy" and importlib.util.find_spec("cppyy") is None:
        pytest.skip("cppyy is not installed")
    monkeypatch.setattr(sys, "argv", [
        "kplib", "bench", "matvec", "--shapes", "4x3,3x4", "--rounds", "1", "--peers", "fast",
        "--loader", loader, "--json", str(tmp_path / "records"),
    ])  # fmt: skip
    with pytest.raises(SystemExit) as end:
        cli.main()
    assert end.value.code in (0, None)
    (path,) = (tmp_path / "records").iterdir()
    assert re.fullmatch(r"matvec-[a-z0-9-]+\.json", path.name)
    record = json.loads(path.read_text(encoding="utf-8"))
    assert record["settings"]["loader"] == loader
    names = [row["peer"] for row in record["tables"][0]["rows"]]
    assert not [name for name in names if name.startswith(("torch", "numba"))]
    assert f"record: {path}" in capsys.readouterr().out.replace("\n", "")


@pytest.mark.parametrize(
    ("package", "extra", "arguments"),
    [
        ("torch", "nn", ["train", "usps-fastrnn", "kp"]),
        ("distributed", "sweep", ["sweep"]),
    ],
)
def test_what_a_subcommand_lacks_is_named(package, extra, arguments):
    code = f"import sys; sys.modules[{package!r}] = None; from kplib.cli import main; main()"
    done = run(*arguments, code=code)
    assert done.returncode == 2
    assert f"{package} is not installed" in done.stderr
    assert f"pip install 'kplib[{extra}]'" in done.stderr
    assert "Traceback" not in done.stderr
