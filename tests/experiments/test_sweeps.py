"""Sweeps: the choice by validation, dask's workers killed, the sweep killed, what is skipped."""

import dataclasses
import os
import shutil
import signal
import subprocess
import sys
import time
from collections import defaultdict
from pathlib import Path

import numpy as np
import psutil
import pytest

from kplib import cli
from kplib.experiments import sweeps
from kplib.experiments.checkpoint import write_checkpoint
from kplib.experiments.plans import (
    RECORDED_PLAN,
    Plan,
    Sweep,
    chosen_rate,
    read_plan,
    tuning_folder,
)
from kplib.experiments.progress import progress, status_table
from kplib.experiments.records import iterate, read, record_path, write
from kplib.experiments.scores import accuracy, confusion_matrix, macro_f1
from kplib.experiments.sweeps import Setting, local_client, sweep
from kplib.experiments.training import _Course, checkpoint_path, train

TINY = Sweep(
    benchmark="usps-fastrnn",
    techniques=("lmf", "kp"),
    seeds=(0, 1),
    length=24,
    schedule="cosine",
    learning_rates=(0.01, 0.03),
    tuning_length=6,
)
PLAN = Plan(sweeps=(TINY,))
LOADER = """
def load(name):
    import numpy as np
    from sklearn.datasets import load_digits

    from kplib.data import DataSet, Sequences

    images, y = load_digits(return_X_y=True)
    x = np.kron(images.reshape(-1, 8, 8) / 8 - 1, np.ones((2, 2))).astype(np.float32)
    parts = (slice(0, 1000), slice(1000, 1300), slice(1300, None))
    train, validation, test = (Sequences(x[part], y[part].astype(np.int64)) for part in parts)
    return DataSet(name, tuple("0123456789"), train, validation, test)
"""


def digits_loader():
    """Return the loader as dask's workers can have it, who cannot import this module: by value."""
    names = {"__name__": "__main__"}
    exec(LOADER, names)
    return names["load"]


def setting(folder):
    return Setting(folder=folder, load=digits_loader(), checkpoint_seconds=0)


def outcomes(folder):
    """Everything that was recorded, but when, where and how long; by its place."""
    return {
        str(run.path.relative_to(folder)): dataclasses.replace(run.record, circumstances=None)
        for part in (folder, tuning_folder(folder))
        for run in iterate(part)
    }


def _as_toml(part):
    raw = {
        name: value for name, value in dataclasses.asdict(part).items()
        if value is not None and name != "data_options"
    }  # fmt: skip
    lines = [f"{name} = {list(v) if isinstance(v, tuple) else v!r}" for name, v in raw.items()]
    return "\n".join(["[[sweeps]]", *lines, ""])


def until(condition, seconds=300):
    end = time.monotonic() + seconds
    while not (found := condition()):
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.01)
    return found


def checkpoints(folder):
    return list(folder.rglob(".*.checkpoint"))


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory):
    """A sweep that nothing happened to: its folder, its lines, and the names of what failed."""
    folder, lines = tmp_path_factory.mktemp("undisturbed"), []
    with local_client(2) as client:
        failed = sweep(PLAN, client, setting(folder), lines.append)
    return folder, lines, failed


# Plans --------------------------------------------------------------------------------------------


def test_one_budget_for_all_techniques():
    budgets = [
        {(run.learning_rate, run.length, run.seed, run.schedule) for run in entry.tuning}
        for entry in TINY.entries
    ]
    assert len(budgets) == 2
    assert budgets[0] == budgets[1]
    assert {(rate, length) for rate, length, *_ in budgets[0]} == {(0.01, 6), (0.03, 6)}


def test_what_is_given_holds_for_all_networks():
    common = Sweep(
        benchmark="dsads-bilstm", techniques=("small", "pruned", "lmf"), compressions=(10,),
        seeds=(3,), length=20, schedule="cosine", learning_rates=(0.01,), max_norm=1.5, dropout=0.2,
        data_options={"test_subjects": [1, 2]},
    )  # fmt: skip
    for entry in common.entries:
        run = entry.final(3, 0.01)
        assert (run.max_norm, run.dropout, run.length, run.compression) == (1.5, 0.2, 20, 10)
        assert (run.learning_rate, run.seed, run.scored_on) == (0.01, 3, "test")
        assert run.data_options == {"test_subjects": [1, 2]}
        assert entry.tuning == ()  # one rate is no choice
        assert chosen_rate(entry, Path("nowhere")) == 0.01


def test_the_papers_own_training_needs_no_tuning():
    (entry,) = Sweep(benchmark="mnist-lstm", techniques=("kp",), seeds=(0,)).entries
    assert entry.tuning == ()
    assert chosen_rate(entry, Path("nowhere")) is None
    assert not entry.final(0).is_shortened


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "plan lacks 'sweeps'"),
        ("sweeps = []", "at least one sweep"),
        ("[[sweeps]]\ntechniques = ['kp']\nseeds = [0]", "lacks 'benchmark'"),
        ("[[sweeps]]\nbenchmark = 'usps-fastrnn'\ntechniques = ['kp']\nseeds = []", "needs seeds"),
        (
            "[[sweeps]]\nbenchmark = 'usps-fastrnn'\ntechniques = ['kp']\nseeds = [1, 1]",
            r"seeds twice: \(1, 1\)",
        ),
        ("[[sweeps]]\nbenchmark = 'usps'\ntechniques = ['kp']\nseeds = [0]", "usps"),
        (
            "[[sweeps]]\nbenchmark = 'usps-fastrnn'\ntechniques = ['kp']\nseeds = [0]\n"
            "learning_rates = [0.1, -1]",
            "learning_rate must be positive",
        ),
        (
            "[[sweeps]]\nbenchmark = 'usps-fastrnn'\ntechniques = ['kp']\nseeds = [0]\nbits = 1",
            "bits must be from 2 to 8, found 1",
        ),
        (
            "[[sweeps]]\nbenchmark = 'usps-fastrnn'\ntechniques = ['kp']\nseeds = [0]\nbits = 8\n"
            "variants = ['swapped']",
            "only a network without a variant",
        ),
        ("[[sweeps]", "line 1"),
    ],
)
def test_a_wrong_plan_says_what_is_wrong(tmp_path, text, message):
    path = tmp_path / "plan.toml"
    path.write_text(text)
    with pytest.raises(ValueError, match=rf"plan\.toml: .*{message}"):
        read_plan(path)


def test_the_recorded_plan_compares_like_with_like():
    plan = read_plan(RECORDED_PLAN)
    for part in plan.sweeps:
        runs = [entry.final(seed, *part.learning_rates[:1])
                for entry in part.entries for seed in part.seeds]  # fmt: skip
        assert len({run.path for run in runs}) == len(runs)
        alike = {
            (run.length, run.schedule, run.batch_size, run.max_norm, run.dropout) for run in runs
        }
        assert len(alike) == 1, f"{part.benchmark}: {alike}"
    seeds = defaultdict(int)  # of the best served sweep
    for part in plan.sweeps:
        if len(part.learning_rates) > 1 and not part.compressions:
            for entry in part.entries:
                network = (part.benchmark, entry.technique)
                seeds[network] = max(seeds[network], len(part.seeds))
    expected = {"mnist-lstm": 5, "usps-fastrnn": 5, "kws-lstm": 3, "kws-gru": 3, "dsads-bilstm": 3}
    techniques = ("baseline", "small", "pruned", "lmf", "kp")
    assert seeds == {(name, t): count for name, count in expected.items() for t in techniques}


# The choice ---------------------------------------------------------------------------------------


def test_a_tuning_run_leaves_the_test_set_alone(tmp_path):
    data = digits_loader()("usps")
    other = dataclasses.replace(data.test, x=-data.test.x, y=data.test.y[::-1].copy())
    configuration = TINY.entries[0].tuning[0]
    run, again = (
        train(configuration, variant, folder=tmp_path / str(number), progress=False)
        for number, variant in enumerate((data, dataclasses.replace(data, test=other)))
    )
    assert (run.record.result, run.record.curve) == (again.record.result, again.record.curve)
    assert run.record.data.sha256 != again.record.data.sha256
    assert run.record.configuration.scored_on == "validation"
    assert len(run.predictions) == len(data.validation) == 300 != len(data.test)
    np.testing.assert_array_equal(run.labels, data.validation.y)
    assert run.record.result.accuracy == pytest.approx(run.record.result.validation_accuracy)
    assert sum(map(sum, run.record.result.confusion)) == 300
    scored = dataclasses.replace(configuration, scored_on="test")
    assert (scored.key, scored.seed) != (configuration.key, configuration.seed)  # another record


def test_the_records_of_tuning_hold_no_test_predictions(undisturbed):
    folder, *_ = undisturbed
    tuning = list(iterate(tuning_folder(folder)))
    assert len(tuning) == 4
    for run in tuning:
        assert len(run.labels) == run.record.data.examples["validation"] == 300
        assert not run.weights
    assert [run.record.configuration.scored_on for run in iterate(folder)] == ["test"] * 4


def _with_result(run, folder, *, right=None, **result):
    """Write a tuning record anew, as if something else had come out; `right` in % of the test."""
    arrays = dict(run.arrays)
    if right is not None:
        wrong = np.arange(len(run.labels)) >= right / 100 * len(run.labels)
        arrays["predictions"] = (run.labels + wrong) % np.uint8(10)
        confusion = confusion_matrix(run.labels, arrays["predictions"], 10, 10)
        result |= {"accuracy": 100 * accuracy(confusion), "macro_f1": 100 * macro_f1(confusion)}
        result["confusion"] = confusion
    record = dataclasses.replace(
        run.record, result=dataclasses.replace(run.record.result, **result)
    )
    record_path(tuning_folder(folder), record.configuration).unlink(missing_ok=True)
    return write(tuning_folder(folder), record, arrays)


def test_the_choice_is_by_validation_alone(undisturbed, tmp_path):
    source, *_ = undisturbed
    entry = TINY.entries[1]
    low, high = (read(record_path(tuning_folder(source), run)) for run in entry.tuning)
    for better, (at_low, at_high) in {0.01: (80.0, 70.0), 0.03: (70.0, 80.0)}.items():
        # The accuracy, which is what would be the test's, says the contrary.
        _with_result(low, tmp_path, validation_accuracy=at_low, right=at_high)
        _with_result(high, tmp_path, validation_accuracy=at_high, right=at_low)
        assert chosen_rate(entry, tmp_path) == better
    _with_result(low, tmp_path, validation_accuracy=80.0)
    assert chosen_rate(entry, tmp_path) == 0.01  # a tie: the first
    _with_result(low, tmp_path, validation_accuracy=99.0, diverged_at=7)
    assert chosen_rate(entry, tmp_path) == 0.03


def test_without_all_tuning_runs_nothing_is_chosen(tmp_path):
    with pytest.raises(ValueError, match="cannot be read"):
        chosen_rate(TINY.entries[0], tmp_path)


# Whole sweeps -------------------------------------------------------------------------------------


def test_every_run_of_the_plan_is_recorded_at_the_rate_that_was_chosen(undisturbed):
    folder, lines, failed = undisturbed
    assert failed == {}
    assert len(lines) == 8
    for entry in TINY.entries:
        rate = chosen_rate(entry, folder)
        scores = {
            run.learning_rate: read(record_path(tuning_folder(folder), run)).record.result
            for run in entry.tuning
        }
        assert rate == max(scores, key=lambda r: scores[r].validation_accuracy)
        for seed in TINY.seeds:
            record = read(record_path(folder, entry.final(seed, rate))).record
            assert record.configuration.learning_rate == rate
            assert record.result.accuracy > 40  # 10 by chance
            assert record.circumstances.threads == 1
    assert len(outcomes(folder)) == 8
    assert not checkpoints(folder)


FAKES = """
import time
def tune(configuration, setting):
    time.sleep(0.2)  # meanwhile the next ones arrive
    return f"tune {configuration.technique}"
def final(entry, seed, setting):
    time.sleep(0.2)
    return f"{entry.technique} {seed}"
"""


def test_a_cut_sweep_has_as_many_seeds_of_one_technique_as_of_another(monkeypatch, tmp_path):
    names = {"__name__": "__main__"}
    exec(FAKES, names)
    monkeypatch.setattr(sweeps, "_tune", names["tune"])
    monkeypatch.setattr(sweeps, "_final", names["final"])
    lines = []
    with local_client(1) as client:
        sweep(PLAN, client, setting(tmp_path), lines.append)
    tuning = ["tune lmf"] * 2 + ["tune kp"] * 2
    order = [*tuning, "lmf 0", "kp 0", "lmf 1", "kp 1"]
    assert lines == [f"{number}/8 {line}" for number, line in enumerate(order, start=1)]


def test_entries_that_differ_in_length_alone_tune_once(monkeypatch, tmp_path):
    names = {"__name__": "__main__"}
    exec(FAKES, names)
    monkeypatch.setattr(sweeps, "_tune", names["tune"])
    monkeypatch.setattr(sweeps, "_final", names["final"])
    longer = dataclasses.replace(TINY, length=2 * TINY.length, tuning_length=TINY.tuning_length)
    lines = []
    with local_client(2) as client:
        assert sweep(Plan(sweeps=(TINY, longer)), client, setting(tmp_path), lines.append) == {}
    words = [line.split(" ", 1)[1] for line in lines]
    assert all(line.split(" ")[0].endswith("/12") for line in lines)
    assert sorted(words) == sorted(
        ["tune lmf", "tune kp"] * 2 + ["lmf 0", "kp 0", "lmf 1", "kp 1"] * 2
    )


def test_a_finished_sweep_does_nothing(undisturbed):
    folder, *_ = undisturbed
    before = {path: path.stat().st_mtime_ns for path in folder.rglob("*.*")}
    lines = []
    with local_client(1) as client:
        assert sweep(PLAN, client, setting(folder), lines.append) == {}
    assert all(line.endswith("done before") for line in lines)
    assert {path: path.stat().st_mtime_ns for path in folder.rglob("*.*")} == before


def test_a_killed_worker_loses_nothing(undisturbed, tmp_path):
    expected, *_ = undisturbed
    lines, killed = [], []

    def under_way():
        return [path for path in checkpoints(tmp_path) if "tuning" not in path.parts]

    with local_client(2) as client:

        def report(line):
            lines.append(line)
            if len(lines) == 4:  # all tuning is done; kill a worker in the middle of a final run
                until(lambda: len(under_way()) == 2)
                pids = client.run(os.getpid)
                busy = next(address for address, keys in client.processing().items() if keys)
                os.kill(pids[busy], signal.SIGKILL)
                killed.append(pids[busy])

        assert sweep(PLAN, client, setting(tmp_path), report) == {}
        pids = until(lambda: (p := list(client.run(os.getpid).values())) and len(p) == 2 and p)
        assert killed
        assert killed[0] not in pids  # dask started another one in its place
    assert outcomes(tmp_path) == outcomes(expected)
    assert not checkpoints(tmp_path)
    sessions = [run.record.circumstances.sessions for run in iterate(tmp_path)]
    assert sorted(sessions) == [1, 1, 1, 2]  # one was resumed


SCRIPT = """
import sys
from pathlib import Path
from kplib.experiments.plans import read_plan
from kplib.experiments.sweeps import Setting, local_client, sweep
{loader}
if __name__ == "__main__":
    setting = Setting(folder=Path(sys.argv[2]), load=load, checkpoint_seconds=0)
    with local_client(2) as client:
        sys.exit(len(sweep(read_plan(Path(sys.argv[1])), client, setting)))
"""


def test_a_killed_sweep_goes_on_where_it_was(undisturbed, tmp_path):
    expected, *_ = undisturbed
    script, plan, folder = (tmp_path / name for name in ("sweep.py", "plan.toml", "runs"))
    script.write_text(SCRIPT.format(loader=LOADER))
    plan.write_text(_as_toml(TINY))
    assert read_plan(plan) == PLAN
    command = [sys.executable, script, plan, folder]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        try:
            until(lambda: list(iterate(folder)) and checkpoints(folder))
            workers = psutil.Process(process.pid).children(recursive=True)
        finally:
            process.kill()
    assert len(workers) >= 2
    _, alive = psutil.wait_procs(workers, timeout=30)  # they do not outlive it
    assert not alive
    before = {run.path: run.path.stat().st_mtime_ns for run in iterate(folder)}
    left = [path.with_name(path.stem.strip(".") + ".json") for path in checkpoints(folder)]
    begun = [record.stem for record in left if not record.exists()]  # it may be killed in between
    assert sum(progress(entry, folder).begun for entry in TINY.entries) == len(begun)
    assert 1 <= len(before) < 4

    done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr
    assert {path: path.stat().st_mtime_ns for path in before} == before
    assert done.stdout.count("done before") >= len(before)
    assert outcomes(folder) == outcomes(expected)
    resumed = [run.path.stem for run in iterate(folder) if run.record.circumstances.sessions == 2]
    assert set(resumed) <= set(begun)
    assert resumed or not begun
    assert not checkpoints(folder)


def test_what_diverges_is_recorded_and_what_fails_is_told_and_neither_stops_the_rest(tmp_path):
    hopeless = dataclasses.replace(
        TINY, techniques=("kp",), seeds=(0,), learning_rates=(1e30, 0.01), tuning_length=2, length=2
    )
    missing = Sweep(benchmark="mnist-lstm", techniques=("kp",), seeds=(0,), length=1)
    diverging = dataclasses.replace(hopeless, learning_rates=(1e30,))
    plan = Plan(sweeps=(missing, diverging, hopeless))
    lines = []
    with local_client(2) as client:
        failed = sweep(plan, client, setting(tmp_path), lines.append)
    # The digits are no MNIST: 16 inputs a step.
    assert list(failed) == ["1 mnist-lstm/kp/seed-0"]
    assert isinstance(next(iter(failed.values())), ValueError)
    assert sum("diverged at step" in line for line in lines) == 2
    runs = {run.record.configuration.learning_rate: run.record for run in iterate(tmp_path)}
    assert runs[1e30].result.diverged_at is not None
    assert runs[0.01].result.diverged_at is None
    assert chosen_rate(hopeless.entries[0], tmp_path) == 0.01
    table = status_table(plan, tmp_path)
    assert table.count("diverged: usps-fastrnn/kp/") == 2


# Status -------------------------------------------------------------------------------------------


def test_the_status_of_a_sweep_that_is_done(undisturbed):
    folder, *_ = undisturbed
    header, *rows, left = status_table(PLAN, folder).splitlines()
    assert header.split()[:3] == ["network", "length", "rate"]
    for entry, row in zip(TINY.entries, rows, strict=True):
        accuracies = [
            run.record.result.accuracy for run in iterate(folder, technique=entry.technique)
        ]
        rate = f"{chosen_rate(entry, folder):g}*"  # of two, each is at an edge
        mean, sd = f"{np.mean(accuracies):.2f}", f"{np.std(accuracies, ddof=1):.2f}"
        expected = [entry.name, "24", "epochs", rate, "2/2", "2/2", "0", "0", mean, sd, "0", "s"]
        assert row.split() == expected
    assert left == "left: 0.0 core-hours"


def test_the_status_of_a_sweep_that_was_cut(undisturbed, tmp_path):
    source, *_ = undisturbed
    entry = TINY.entries[1]
    assert progress(entry, tmp_path).seconds_left is None
    runs = [read(record_path(tuning_folder(source), run)) for run in entry.tuning]
    for run in runs:
        _with_result(run, tmp_path)
    seconds = sum(run.record.circumstances.seconds for run in runs)
    found = progress(entry, tmp_path)
    assert (len(found.tuned), len(found.done), found.begun) == (2, 0, 0)
    assert found.rate == chosen_rate(entry, source)
    assert found.seconds_left == pytest.approx(seconds / 12 * 48)  # 2 x 6 epochs; 2 x 24 are left

    final = entry.final(0, found.rate)
    course = dataclasses.asdict(_Course(step=50, seconds=0.25))
    write_checkpoint(checkpoint_path(tmp_path, final), {}, {"course": course})
    begun = progress(entry, tmp_path)
    assert (len(begun.done), begun.begun) == (0, 1)
    assert begun.seconds_left == pytest.approx(max(0, found.seconds_left - 0.25))
    row = status_table(PLAN, tmp_path).splitlines()[2]
    assert row.split()[4:8] == ["2/2", "0/2", "1", "1"]
    checkpoint_path(tmp_path, final).write_bytes(b"no checkpoint")
    with pytest.raises(ValueError, match="is no checkpoint"):
        progress(entry, tmp_path)


# The command --------------------------------------------------------------------------------------


def main(monkeypatch, capsys, *arguments):
    monkeypatch.setattr(sys, "argv", ["kplib", "sweep", *map(str, arguments)])
    with pytest.raises(SystemExit) as end:
        cli.main()
    return end.value.code or 0, *capsys.readouterr()


def test_the_command_shows_the_status_of_the_recorded_plan(monkeypatch, capsys, tmp_path):
    status, out, err = main(monkeypatch, capsys, "--status", "--folder", tmp_path)
    assert (status, err) == (0, "")
    entries = read_plan(RECORDED_PLAN).entries
    rows = out.splitlines()[1 : 1 + len(entries)]
    assert [line.split()[0] for line in rows] == [entry.name for entry in entries]
    assert not list(tmp_path.iterdir())


def test_the_command_refuses_what_cannot_be(monkeypatch, capsys, tmp_path):
    missing = tmp_path / "none.toml"
    status, _, err = main(monkeypatch, capsys, missing)
    assert (status, err) == (2, f"kplib: {missing}: cannot be read: No such file or directory\n")


def command(*arguments, **environment):
    return subprocess.run(
        [sys.executable, "-m", "kplib", "sweep", *map(str, arguments)], capture_output=True,
        text=True, timeout=300, check=False, env=os.environ | environment,
    )  # fmt: skip


def test_the_command_runs_what_is_left_and_tells_what_failed(undisturbed, tmp_path):
    folder, plan = tmp_path / "runs", tmp_path / "plan.toml"
    shutil.copytree(undisturbed[0], folder)
    wrong = "[[sweeps]]\nbenchmark = 'usps-fastrnn'\ntechniques = ['kp']\nseeds = [0]\n"
    plan.write_text(_as_toml(TINY) + wrong + "data_options = { nonsense = 1 }\n")
    done = command(plan, "--folder", folder, "--workers", 1)
    assert done.returncode == 1, done.stderr
    assert done.stderr.endswith("kplib: 1 runs failed; the lines above say why\n")
    assert done.stdout.count("done before") == 8
    assert "2 usps-fastrnn/kp/seed-0: failed: ValueError: usps has no option" in done.stdout
    assert done.stdout.endswith(status_table(read_plan(plan), folder) + "\n")
    assert str(tmp_path) not in "".join(p.read_text() for p in folder.rglob("*.json"))


def test_the_command_runs_on_a_cluster(undisturbed, tmp_path):
    folder, plan = undisturbed[0], tmp_path / "plan.toml"
    plan.write_text(_as_toml(TINY))
    with local_client(1) as client:
        address = client.scheduler.address
        done = command(plan, "--folder", folder, "--scheduler", address)
        assert (done.returncode, done.stderr) == (0, "")
        assert done.stdout.count("done before") == 8
    gone = command(
        plan,
        "--folder",
        folder,
        "--scheduler",
        address,
        DASK_DISTRIBUTED__COMM__TIMEOUTS__CONNECT="1s",
    )
    assert gone.returncode == 2
    assert f"kplib: no dask scheduler at {address}" in gone.stderr


def test_what_was_trained_is_put_in_few_bits_where_the_plan_says_so(undisturbed, tmp_path):
    folder = tmp_path / "runs"
    shutil.copytree(undisturbed[0], folder)
    before = outcomes(folder)
    part = dataclasses.replace(TINY, bits=8)
    names = [f"in 8 bits: {entry.name}" for entry in part.entries]
    table = status_table(Plan(sweeps=(part,)), folder)
    assert [f"{name} 0/2" for name in names] == table.splitlines()[-2:]
    assert progress(part.entries[0], folder).seconds_left > 0
    lines = []
    with local_client(2) as client:
        assert sweep(Plan(sweeps=(part,)), client, setting(folder), lines.append) == {}
        made = [line for line in lines if "done before; in 8 bits" in line]
        assert len(made) == 4
        found = outcomes(folder)
        assert {path: found[path] for path in before} == before
        new = {path: record for path, record in found.items() if path not in before}
        assert len(new) == 2 * len(made)
        for record in new.values():
            trained = read(folder / f"{record.sources['trained'].split()[0]}.json").record
            assert record.sources["trained"].split()[1] == trained.arrays_sha256
            assert record.configuration.seed == trained.configuration.seed
            assert any(f"{record.result.accuracy:.2f} %" in line for line in made)
        stamps = {path: path.stat().st_mtime_ns for path in folder.rglob("seed-*")}
        lines.clear()
        assert sweep(Plan(sweeps=(part,)), client, setting(folder), lines.append) == {}
    assert all(line.endswith("done before") for line in lines)
    assert {path: path.stat().st_mtime_ns for path in folder.rglob("seed-*")} == stamps
    table = status_table(Plan(sweeps=(part,)), folder)
    assert [f"{name} 2/2" for name in names] == table.splitlines()[-2:]
    assert progress(part.entries[0], folder).seconds_left == 0


def test_what_diverged_is_not_put_in_few_bits(tmp_path):
    part = dataclasses.replace(
        TINY, techniques=("kp",), seeds=(0,), learning_rates=(1e30,), length=2, bits=8
    )
    lines = []
    with local_client(1) as client:
        assert sweep(Plan(sweeps=(part,)), client, setting(tmp_path), lines.append) == {}
    assert lines[0].endswith("; not put in few bits")
    assert len(list(iterate(tmp_path))) == 1


def test_two_sweeps_do_not_share_a_folder(monkeypatch, capsys, tmp_path):
    from filelock import FileLock

    with FileLock(tmp_path / ".sweep.lock"):
        status, _, err = main(monkeypatch, capsys, "--folder", tmp_path)
    assert (status, err) == (2, f"kplib: {tmp_path}: another sweep is writing its records there\n")
