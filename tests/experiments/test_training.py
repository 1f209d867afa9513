"""Training: what is learnt, chosen, tested and recorded; and that a killed run ends the same."""

import dataclasses
import errno
import json
import multiprocessing
import os
import pickle
import random
import signal
import subprocess
import sys
import time
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.numpy import save
from sklearn.metrics import confusion_matrix, f1_score

import kplib
from kplib.experiments import BENCHMARKS, tasks
from kplib.experiments.batches import Batches, OutputDropout, fingerprint
from kplib.experiments.checkpoint import read_checkpoint, write_checkpoint
from kplib.experiments.configuration import Pruning, default_configuration
from kplib.experiments.recipes import recipe
from kplib.experiments.records import iterate, read
from kplib.experiments.training import (
    checkpoint_path,
    cross_entropy,
    limit_row_norms,
    load_network,
    predict,
    train,
)
from kplib.nn import parameter_count

CPU = torch.device("cpu")
USPS = default_configuration("usps-fastrnn", "kp")
KEYWORDS = dataclasses.replace(
    default_configuration("kws-lstm", "pruned").with_length(60), validate_every=7, batch_size=20
)


def run(configuration, data, folder, **options):
    return train(configuration, data, folder=folder, progress=False, **options)


def same_outcome(one, other):
    """Two records are one but for the circumstances; the arrays by their hash."""
    mine, yours = (dataclasses.replace(run.record, circumstances=None) for run in (one, other))
    return mine == yours


# The loop -----------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def learnt(digits, tmp_path_factory):
    configuration = dataclasses.replace(USPS.with_length(12), batch_size=32)
    return run(configuration, digits, tmp_path_factory.mktemp("runs"), command="kplib train")


def test_it_learns_the_digits(learnt):
    result = learnt.record.result
    assert result.accuracy > 65  # 10 by chance
    assert result.diverged_at is None
    curve = learnt.record.curve
    assert curve.looks == 12
    assert curve.loss[-1] < 0.5 * curve.loss[0]
    assert curve.steps == tuple(range(32, 32 * 13, 32))  # 1000 examples are 32 batches
    assert curve.learning_rate[0] == 0.01
    assert curve.learning_rate[-1] == pytest.approx(0.001)


def test_the_best_by_validation_is_the_one_tested(learnt, digits):
    result, curve = learnt.record.result, learnt.record.curve
    assert result.validation_accuracy == pytest.approx(max(curve.validation_accuracy), rel=1e-4)
    first = curve.validation_accuracy.index(max(curve.validation_accuracy))
    assert result.chosen_at == curve.steps[first]
    model = load_network(learnt)
    predictions = predict(model, torch.from_numpy(digits.test.x)).numpy()
    np.testing.assert_array_equal(predictions, learnt.predictions)
    valid = predict(model, torch.from_numpy(digits.validation.x)).numpy()
    assert 100 * np.mean(valid == digits.validation.y) == pytest.approx(result.validation_accuracy)


def test_scores_are_those_of_scikit_learn(learnt, digits):
    result, y = learnt.record.result, digits.test.y
    np.testing.assert_array_equal(learnt.labels, y)
    assert result.accuracy == pytest.approx(100 * np.mean(learnt.predictions == y))
    assert result.macro_f1 == pytest.approx(100 * f1_score(y, learnt.predictions, average="macro"))
    np.testing.assert_array_equal(result.confusion, confusion_matrix(y, learnt.predictions))


def test_what_is_recorded_of_data_network_and_circumstances(learnt, digits):
    record = learnt.record
    assert record.network.parameters == recipe("usps-fastrnn", "kp").size.total == 444
    assert record.network.kilobytes == pytest.approx(444 * 4 / 1024)
    assert record.data.sha256 == fingerprint(digits)
    assert record.data.examples == {"train": 1000, "validation": 300, "test": 497}
    assert record.data.files == digits.files
    assert record.data.protocol == digits.protocol
    circumstances = record.circumstances
    assert circumstances.threads == 1
    assert circumstances.libraries["torch"] == torch.__version__
    assert circumstances.kplib["version"] == kplib.__version__
    assert circumstances.seconds > 0 < circumstances.milliseconds_per_step
    assert not list(learnt.path.parent.glob(".*"))  # no checkpoint is left
    assert str(Path.home()) not in learnt.path.read_text()


def test_the_same_seed_gives_the_same_bits_and_another_does_not(learnt, digits, tmp_path):
    threads = torch.get_num_threads()
    torch.manual_seed(99)
    before = torch.get_rng_state()
    again = run(learnt.record.configuration, digits, tmp_path)
    assert same_outcome(again, learnt)
    assert torch.equal(torch.get_rng_state(), before)
    assert torch.get_num_threads() == threads
    other = run(dataclasses.replace(learnt.record.configuration, seed=1), digits, tmp_path)
    assert not same_outcome(other, learnt)
    assert other.path.name.split("-")[2] == learnt.path.name.split("-")[2]
    assert len(list(iterate(tmp_path, "usps-fastrnn", "kp"))) == 2


def test_a_finished_run_is_not_done_again(learnt, digits):
    stamp = learnt.path.stat().st_mtime_ns
    folder = learnt.path.parents[2]
    assert run(learnt.record.configuration, digits, folder).record == learnt.record
    assert learnt.path.stat().st_mtime_ns == stamp


def test_the_test_set_decides_nothing(digits, tmp_path):
    configuration = USPS.with_length(2)
    rng = np.random.default_rng(3)
    test = dataclasses.replace(digits.test, x=rng.permuted(digits.test.x))
    ours = run(configuration, digits, tmp_path / "a")
    other = run(configuration, dataclasses.replace(digits, test=test), tmp_path / "b")
    assert ours.record.curve == other.record.curve
    assert ours.record.result.chosen_at == other.record.result.chosen_at
    for name, array in ours.weights.items():
        np.testing.assert_array_equal(array, other.weights[name])
    assert not np.array_equal(ours.predictions, other.predictions)


def test_adam_and_the_loss_are_torchs(digits, tmp_path):
    """One epoch, against a loop written out."""
    constant = default_configuration("usps-fastrnn", "kp", schedule="constant").with_length(1)
    configuration = dataclasses.replace(constant, batch_size=300)
    stored = run(configuration, digits, tmp_path)
    model = kplib.build("usps-fastrnn", "kp", seed=0)
    adam = torch.optim.Adam(model.parameters(), lr=0.01)
    batches = Batches(digits, 300, 0, CPU)
    for step, size in enumerate((300, 300, 300, 100)):
        x, y = batches(step)
        assert len(y) == size
        adam.zero_grad()
        torch.nn.functional.cross_entropy(model(x), y).backward()
        adam.step()
    for name, tensor in model.state_dict().items():
        np.testing.assert_allclose(stored.weights[name], tensor.numpy(), rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("benchmark", BENCHMARKS)
@pytest.mark.parametrize("technique", ["baseline", "small", "pruned", "lmf", "kp", "hkp"])
def test_every_network_trains(benchmark, technique, tmp_path):
    from kplib.data.sets import DataSet, Sequences

    network = BENCHMARKS[benchmark]
    rng = np.random.default_rng(0)
    y = np.arange(network.classes, dtype=np.int64)
    x = rng.normal(size=(len(y), 3, network.input_size)).astype(np.float32)
    part = Sequences(x, y, y // 3)
    configuration = default_configuration(
        benchmark, technique, compression=10 if technique == "hkp" else None
    )
    data = DataSet(configuration.data, tuple(map(str, y)), part, part, part)
    configuration = dataclasses.replace(configuration.with_length(6), batch_size=10)
    stored = run(configuration, data, tmp_path, keep_weights=False)
    record = stored.record
    np.testing.assert_array_equal(stored.groups, y // 3)
    expected = recipe(benchmark, technique, compression=configuration.compression)
    assert abs(record.network.parameters - expected.size.total) < network.directions
    assert record.network.outputs == network.classes
    assert (record.network.index_bytes > 0) == (technique == "pruned")


# What is special ----------------------------------------------------------------------------------


def test_a_pruned_network_is_chosen_at_its_final_density(words, tmp_path):
    seen = []

    def watched(model, x, y):
        seen.append(parameter_count(model))
        return cross_entropy(model, x, y)

    configuration = dataclasses.replace(KEYWORDS, variant="watched")
    stored = run(configuration, words, tmp_path, objective=watched)
    size = recipe("kws-lstm", "pruned").size
    assert seen[0] == BENCHMARKS["kws-lstm"].size.total
    assert sorted(seen, reverse=True) == seen
    assert len(set(seen)) > 20
    assert stored.record.network.parameters == size.total
    assert stored.record.result.chosen_at > configuration.pruning.end
    W, mask = stored.weights["rnn.cells.l0.weight.W"], stored.weights["rnn.cells.l0.weight.mask"]
    assert np.count_nonzero(W) == mask.sum() == size.weights
    model = load_network(stored, lambda: kplib.build("kws-lstm", "pruned"))
    assert parameter_count(model) == size.total
    assert 4 * size.weights > 40 * len(stored.path.with_suffix(".safetensors").read_bytes()) / 1000


def test_pruning_to_the_end_leaves_a_step_for_the_pruned_network(words, tmp_path):
    configuration = dataclasses.replace(KEYWORDS, pruning=Pruning(start=0, end=59.9))
    stored = run(configuration, words, tmp_path)
    assert stored.record.network.parameters == recipe("kws-lstm", "pruned").size.total
    assert stored.record.result.chosen_at == 60


@pytest.mark.parametrize("max_norm_on", ["gradients", "weights"])
def test_both_readings_of_max_norm(max_norm_on, words, tmp_path):
    norms = []

    def watched(model, x, y):
        largest = max(
            float(p.detach().norm(dim=-1).max()) for p in model.parameters() if p.dim() > 1
        )
        norms.append(largest)
        loss, logits = cross_entropy(model, x, y)
        return 1e4 * loss, logits

    configuration = dataclasses.replace(
        default_configuration("kws-lstm", "lmf").with_length(20), max_norm=0.4,
        max_norm_on=max_norm_on, learning_rate=0.1, variant="watched",
    )  # fmt: skip
    moments = []
    original = torch.nn.utils.clip_grad_norm_

    def clip(parameters, max_norm):
        total = original(parameters, max_norm)
        after = torch.stack([p.grad.norm() for p in parameters]).norm()
        moments.append((float(total), float(after)))

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(torch.nn.utils, "clip_grad_norm_", clip)
        run(configuration, words, tmp_path, objective=watched)
    if max_norm_on == "weights":
        assert norms[0] > 0.4  # as built
        assert max(norms[1:]) <= 0.4 + 1e-6
        assert not moments
    else:
        assert max(norms) > 0.4
        assert len(moments) == 20
        assert all(before > 0.4 >= after - 1e-5 for before, after in moments)


def test_rows_within_the_norm_stay_as_they_are():
    model = kplib.build("har1-bilstm", "kp", seed=0)
    before = {name: p.detach().clone() for name, p in model.named_parameters()}
    limit_row_norms(model, 1e3)
    assert all(torch.equal(p, before[name]) for name, p in model.named_parameters())
    limit_row_norms(model, 0.1)
    for name, p in model.named_parameters():
        if p.dim() < 2:
            assert torch.equal(p, before[name])
        else:
            assert float(p.detach().norm(dim=-1).max()) <= 0.1 + 1e-6


def test_dropout_acts_on_the_outputs_in_training_alone(words, tmp_path):
    zeros = []

    def watched(model, x, y):
        inputs = []
        hook = model.head.register_forward_hook(lambda _, given, __: inputs.append(given[0]))
        result = cross_entropy(model, x, y)
        hook.remove()
        zeros.append((inputs[0] == 0).float().mean().item())
        return result

    configuration = dataclasses.replace(
        default_configuration("kws-lstm", "baseline").with_length(30), dropout=0.3, batch_size=20,
        variant="watched", validate_every=10,
    )  # fmt: skip
    with_dropout = run(configuration, words, tmp_path / "a", objective=watched)
    assert np.mean(zeros) == pytest.approx(0.3, abs=0.02)
    assert len({round(z, 6) for z in zeros}) > 5  # another mask each step
    network = lambda: kplib.build("kws-lstm", "baseline")  # noqa: E731
    model = load_network(with_dropout, network)
    np.testing.assert_array_equal(
        predict(model, torch.from_numpy(words.test.x)), with_dropout.predictions
    )


def test_dropout_keeps_the_mean():
    dropout = OutputDropout(0.92, seed=3)
    dropout.step = 5
    y = dropout(torch.ones(400, 400))
    assert float(y.mean()) == pytest.approx(1, abs=0.05)
    assert y.unique().tolist() == pytest.approx([0, 1 / 0.08])


def test_a_diverging_run_stays_on_record(digits, tmp_path):
    def exploding(model, x, y):
        loss, logits = cross_entropy(model, x, y)
        exploding.calls += 1
        return loss * (float("nan") if exploding.calls > 25 else 1), logits

    exploding.calls = 0
    configuration = dataclasses.replace(USPS.with_length(50), variant="exploding")
    stored = run(configuration, digits, tmp_path, objective=exploding)
    result = read(stored.path).record.result
    assert result.diverged_at == 30  # the third epoch of ten steps
    assert result.chosen_at in (10, 20)
    assert len(stored.record.curve.steps) == 2
    assert all(np.isfinite(array).all() for array in stored.weights.values())


def test_a_run_that_diverges_at_once_has_no_network_chosen(digits, tmp_path):
    def exploding(model, x, y):
        loss, logits = cross_entropy(model, x, y)
        return loss * float("inf"), logits

    configuration = dataclasses.replace(USPS.with_length(3), variant="exploding")
    result = run(configuration, digits, tmp_path, objective=exploding).record.result
    assert (result.validation_accuracy, result.diverged_at) == (None, 10)


def test_a_long_curve_is_thinned_but_keeps_the_chosen_point(words, tmp_path):
    configuration = dataclasses.replace(
        default_configuration("kws-lstm", "small").with_length(700), batch_size=3, validate_every=1,
        learning_rate=1e-3,
    )  # fmt: skip
    tiny = dataclasses.replace(words, validation=words.test)
    record = run(configuration, tiny, tmp_path).record
    assert record.curve.looks == 700
    assert len(record.curve.steps) <= 252
    assert record.result.chosen_at in record.curve.steps
    assert record.curve.steps[-1] == 700


@pytest.mark.parametrize(
    ("technique", "seed", "keep", "kept"),
    [("baseline", 0, None, True), ("baseline", 1, None, False), ("kp", 1, None, True),
     ("baseline", 1, True, True), ("kp", 0, False, False)],
)  # fmt: skip
def test_which_weights_are_kept(technique, seed, keep, kept, words, tmp_path):
    configuration = default_configuration("kws-lstm", technique, seed=seed).with_length(1)
    stored = run(configuration, words, tmp_path, keep_weights=keep)
    assert bool(stored.weights) == kept
    dtypes = {str(a.dtype) for name, a in stored.arrays.items() if name.startswith("weights/")}
    assert dtypes == ({{"baseline": "float16", "kp": "float32"}[technique]} if kept else set())
    if not kept:
        with pytest.raises(ValueError, match="its weights were not kept"):
            load_network(stored)


def test_what_does_not_fit(digits, words, tmp_path):
    with pytest.raises(ValueError, match="wants 'usps', found 'keywords'"):
        run(USPS, words, tmp_path)
    lstm = default_configuration("mnist-lstm", "kp")
    with pytest.raises(ValueError, match="28 inputs a step, but mnist has 16"):
        run(lstm, dataclasses.replace(digits, name="mnist"), tmp_path)
    many = dataclasses.replace(digits, classes=tuple(map(str, range(11))))
    with pytest.raises(ValueError, match="10 outputs, but usps has 11 classes"):
        run(USPS, many, tmp_path)
    with pytest.raises(ValueError, match="needs a configuration with a variant"):
        run(USPS, digits, tmp_path, network=lambda: kplib.build("usps-fastrnn", "kp"))
    with pytest.raises(ValueError, match="threads must be at least 1"):
        run(USPS, digits, tmp_path, threads=0)
    assert not list(tmp_path.iterdir())


def test_fewer_classes_than_outputs(words, tmp_path):
    stored = run(default_configuration("kws-lstm", "small").with_length(5), words, tmp_path)
    assert stored.record.network.outputs == 12
    assert np.shape(stored.record.result.confusion) == (3, 12)


def test_it_is_silent_where_there_is_no_terminal(digits, tmp_path, capfd):
    train(USPS.with_length(1), digits, folder=tmp_path, progress=True)
    assert capfd.readouterr() == ("", "")


# The order of the examples ------------------------------------------------------------------------


def test_every_example_once_an_epoch_in_another_order(digits):
    batches = Batches(digits, 64, seed=5, device=CPU)
    epochs = []
    for epoch in range(3):
        steps = range(epoch * batches.per_epoch, (epoch + 1) * batches.per_epoch)
        x = torch.cat([batches(step)[0] for step in steps]).numpy()
        y = torch.cat([batches(step)[1] for step in steps]).numpy()
        order = [digits.train.x.tobytes().index(row.tobytes()) // row.nbytes for row in x[:50]]
        np.testing.assert_array_equal(digits.train.y[order], y[:50])
        np.testing.assert_array_equal(np.sort(x.sum((1, 2))), np.sort(digits.train.x.sum((1, 2))))
        epochs.append(tuple(order))
    assert len(set(epochs)) == 3


def test_a_batch_is_a_function_of_its_step(words):
    forward, backward = (Batches(words, 20, seed=5, device=CPU) for _ in range(2))
    expected = [forward(step) for step in range(30)]
    for step in reversed(range(30)):
        for one, other in zip(backward(step), expected[step], strict=True):
            assert torch.equal(one, other)


def test_a_variant_is_drawn_for_each_example_in_each_epoch(words):
    batches = Batches(words, 230, seed=0, device=CPU)
    drawn = []
    for epoch in range(20):
        x, y = batches(epoch)
        shift = []
        for sequence, label in zip(x.numpy(), y.numpy(), strict=True):
            distance = np.abs(words.train.x - sequence).max((1, 2))
            example = int(distance.argmin())
            assert distance[example] == pytest.approx(0.1, abs=1e-5)
            assert words.train.y[example] == label
            shift.append((example, float((sequence - words.train.x[example]).mean()) > 0))
        drawn.append([up for _, up in sorted(shift)])
    assert np.mean(drawn) == pytest.approx(0.5, abs=0.05)
    assert 0 < np.mean(np.std(drawn, axis=0)) <= 0.5  # each example now one, now the other


# Killed and resumed -------------------------------------------------------------------------------

PROGRAM = """
import sys
from pathlib import Path
sys.path.insert(0, sys.argv[1])
from conftest import noisy_words
from kplib.experiments.configuration import Configuration
from kplib.experiments.training import train
import json

configuration = Configuration.from_json(json.loads(sys.argv[3]))
train(configuration, noisy_words(), folder=sys.argv[2], checkpoint_seconds=0.0)
"""


def _start(configuration, folder):
    return subprocess.Popen(
        [sys.executable, "-c", PROGRAM, str(Path(__file__).parent), str(folder),
         json.dumps(configuration.to_json())],
        env={**os.environ, "PYTHONPATH": str(Path(kplib.__file__).parents[1])},
    )  # fmt: skip


def _kill_somewhere(process, checkpoint, wait):
    """Let it write some checkpoints, wait a little, and kill it; False if it ended before."""
    stamp = checkpoint.stat().st_mtime_ns if checkpoint.exists() else 0
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline and process.poll() is None:
        if checkpoint.exists() and checkpoint.stat().st_mtime_ns > stamp:
            time.sleep(wait)
            break
        time.sleep(0.002)
    process.send_signal(signal.SIGKILL)
    return process.wait() == -signal.SIGKILL


def test_killed_and_resumed_it_ends_the_same_to_the_last_bit(words, tmp_path):
    """Everything at once: pruning, dropout, clipping, variants, a validation amid the epochs."""
    configuration = dataclasses.replace(
        KEYWORDS.with_length(600), validate_every=7, batch_size=20, dropout=0.3, max_norm=1.0
    )
    whole = run(configuration, words, tmp_path / "whole")
    folder = tmp_path / "killed"
    checkpoint = checkpoint_path(folder, configuration)
    rng = random.Random(4)
    reached = []
    for _ in range(3):
        if not _kill_somewhere(_start(configuration, folder), checkpoint, rng.uniform(0, 0.3)):
            break
        reached.append(read_checkpoint(checkpoint)[1]["course"]["step"])
    assert len(reached) >= 2, "it was not killed often enough to say anything"
    assert sorted(set(reached)) == reached, "it did not go on from where it was"
    assert 0 < reached[0] <= reached[-1] < 600
    assert _start(configuration, folder).wait() == 0
    (resumed,) = iterate(folder)
    assert resumed.record.circumstances.sessions == len(reached) + 1
    assert same_outcome(resumed, whole)
    assert not checkpoint.exists()


def test_killed_at_any_moment_nothing_is_lost(words, tmp_path):
    """Not when it suits the test: in the first steps, amid a write, between two files."""
    configuration = dataclasses.replace(KEYWORDS.with_length(300), dropout=0.3, max_norm=1.0)
    started = time.perf_counter()
    whole = run(configuration, words, tmp_path / "whole")
    half = (time.perf_counter() - started) / 2  # with a checkpoint each step it takes longer still
    folder = tmp_path / "killed"
    seed = random.randrange(2**32)
    print(f"random.Random({seed})")
    rng = random.Random(seed)
    context = multiprocessing.get_context("forkserver")  # a new process in milliseconds
    context.set_forkserver_preload(["kplib.experiments.training", "kplib.data.sets"])
    options = {"folder": folder, "progress": False, "checkpoint_seconds": 0.0}
    kills = steps = 0
    for _ in range(8):
        process = context.Process(target=train, args=(configuration, words), kwargs=options)
        process.start()
        process.join(rng.uniform(0.05, max(half, 0.1)))
        process.kill()
        process.join()
        kills += process.exitcode == -signal.SIGKILL
        assert process.exitcode in (0, -signal.SIGKILL)
        path = checkpoint_path(folder, configuration)
        if list(iterate(folder)):
            break
        if path.exists():
            reached = read_checkpoint(path)[1]["course"]["step"]
            assert reached >= steps, "it went back"
            steps = reached
    assert kills >= 1
    assert same_outcome(run(configuration, words, folder), whole)
    assert not path.exists()


def test_a_disk_that_is_full_now_and_then_loses_nothing(words, tmp_path, monkeypatch):
    configuration = dataclasses.replace(KEYWORDS.with_length(60), dropout=0.3)
    whole = run(configuration, words, tmp_path / "whole")
    folder = tmp_path / "full"
    seed = random.randrange(2**32)
    print(f"random.Random({seed})")
    rng = random.Random(seed)
    failures = 0
    with monkeypatch.context() as patched:
        for name in ("fsync", "replace"):
            original = getattr(os, name)

            def write(*arguments, original=original):
                if rng.random() < 0.15:
                    raise OSError(errno.ENOSPC, "No space left on device")
                return original(*arguments)

            patched.setattr(os, name, write)
        for _ in range(60):
            try:
                run(configuration, words, folder, checkpoint_seconds=0.0)
            except OSError as error:
                assert error.errno == errno.ENOSPC  # noqa: PT017
                failures += 1
                assert not list(folder.rglob("*.part"))
                list(iterate(folder))  # what is there can be read
            else:
                break
    assert failures >= 1
    assert same_outcome(run(configuration, words, folder), whole)


def test_the_command_says_that_the_disk_is_full(monkeypatch, capsys, digits, tmp_path):
    def write(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("kplib.data.load", lambda name, **options: digits)
    monkeypatch.setattr(os, "fsync", write)
    arguments = ["usps-fastrnn", "kp", "--epochs", "1", "--folder", str(tmp_path)]
    code, _, err = _command(monkeypatch, capsys, *arguments)
    assert code == 2
    assert err == "kplib: [Errno 28] No space left on device\n"
    assert [path.name for path in tmp_path.rglob("*.*")] == [".records.lock"]


def test_a_checkpoint_that_its_record_has_overtaken_is_removed(digits, tmp_path):
    """A kill after the record was written, and before the checkpoint was removed."""
    configuration = USPS.with_length(2)
    done = run(configuration, digits, tmp_path)
    leftover = checkpoint_path(tmp_path, configuration)
    write_checkpoint(leftover, {"model/W": torch.ones(2)}, {"step": 1})
    written = done.path.stat().st_mtime_ns
    assert same_outcome(run(configuration, digits, tmp_path), done)
    assert done.path.stat().st_mtime_ns == written
    assert not leftover.exists()


def test_a_checkpoint_of_something_else_is_refused(digits, tmp_path):
    configuration = USPS.with_length(2)
    path = checkpoint_path(tmp_path, configuration)
    other = {"configuration": USPS.with_length(3).to_json(), "data": fingerprint(digits)}
    for state, words in [
        (other, "its configuration is not the same"),
        (other | {"configuration": configuration.to_json(), "data": "0"}, "its data is not"),
        (other | {"configuration": configuration.to_json()}, "does not fit the network"),
    ]:
        write_checkpoint(path, {"model/W": torch.ones(2)}, state)
        with pytest.raises(ValueError, match=words) as raised:
            run(configuration, digits, tmp_path)
        assert str(path) in str(raised.value)


class _Bomb:
    def __reduce__(self):
        return exec, ("raise SystemExit('unpickled')",)


_DEEP = save({"W": np.zeros(1)}, {"kplib": "[" * 100_000})


@pytest.mark.parametrize(
    "content",
    [b"", b"{}", b"\x00" * 100, pickle.dumps(_Bomb()), b"\xff" * 8 + b"{}", _DEEP],
    ids=["empty", "json", "zeros", "pickle", "long", "deep"],
)
def test_what_is_no_checkpoint(content, digits, tmp_path):
    configuration = USPS.with_length(1)
    path = checkpoint_path(tmp_path, configuration)
    path.parent.mkdir(parents=True)
    path.write_bytes(content)
    with pytest.raises(ValueError, match="is no checkpoint") as raised:
        run(configuration, digits, tmp_path)
    assert str(path) in str(raised.value)


def test_a_torn_checkpoint_is_refused_at_every_length(tmp_path):
    path = tmp_path / "checkpoint"
    write_checkpoint(path, {"W": torch.arange(6.0).view(2, 3)}, {"step": 1})
    content = path.read_bytes()
    for length in range(0, len(content), 3):
        path.write_bytes(content[:length])
        with pytest.raises(ValueError, match="is no checkpoint"):
            read_checkpoint(path)


# The command --------------------------------------------------------------------------------------


def _command(monkeypatch, capsys, *arguments):
    from kplib.cli import main

    monkeypatch.setattr(sys, "argv", ["kplib", "train", *arguments])
    with pytest.raises(SystemExit) as ended:
        main()
    return ended.value.code or 0, *capsys.readouterr()


def test_the_command(monkeypatch, capsys, digits, tmp_path):
    monkeypatch.setattr("kplib.data.load", lambda name, **options: digits)
    arguments = ["usps-fastrnn", "lmf", "--seed", "2", "--epochs", "3", "--schedule", "kp"]
    code, out, err = _command(monkeypatch, capsys, *arguments, "--folder", str(tmp_path))
    assert (code, err) == (0, "")
    (stored,) = iterate(tmp_path)
    configuration = stored.record.configuration
    assert (configuration.seed, configuration.length) == (2, 3)
    assert f"test accuracy {stored.record.result.accuracy:.2f} %" in out
    assert "524 parameters, 2.05 KB" in out
    assert str(tmp_path) not in stored.record.circumstances.command
    assert "--seed 2 --epochs 3" in stored.record.circumstances.command


def test_a_device_that_is_none_is_refused(digits, tmp_path):
    configuration = default_configuration("usps-fastrnn", "kp", length=1)
    with pytest.raises(ValueError, match="device is 'abacus'"):
        run(configuration, digits, tmp_path, device="abacus")


@pytest.mark.parametrize("benchmark", ["copy-rnn", "adding-rnn"])
def test_the_command_trains_tasks_of_long_memory(benchmark, monkeypatch, capsys, tmp_path):
    """The papers' options, which the command gives unasked, are none of theirs."""
    monkeypatch.setattr(
        "kplib.experiments.tasks._LOADERS",
        {
            name: partial(load, train=200, validation=100, test=100)
            for name, load in tasks._LOADERS.items()
        },
    )
    arguments = [benchmark, "kp", "--variant", "kru", "--steps", "2", "--folder", str(tmp_path)]
    code, out, err = _command(monkeypatch, capsys, *arguments)
    assert (code, err) == (0, "")
    assert "test accuracy" in out
    (stored,) = iterate(tmp_path)
    assert stored.record.configuration.length == 2


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["usps", "kp"], "there is no benchmark 'usps'"),
        (["usps-fastrnn", "svd"], "technique is 'svd'"),
        (["usps-fastrnn", "hkp"], "hkp needs a compression"),
        (["usps-fastrnn", "kp", "--steps", "3"], "trained by epochs: give --epochs"),
        (["kws-gru", "kp", "--epochs", "3"], "trained by steps: give --steps"),
        (["kws-gru", "kp", "--epochs", "3", "--steps", "3"], "give one of"),
        (["usps-fastrnn", "kp", "--shorten", "0"], "fraction must be positive"),
        (["usps-fastrnn", "kp", "--shorten", "inf"], "positive and finite, found inf"),
        (["kws-lstm", "kp", "--decay-steps", "0"], "decay_steps"),
        (["usps-fastrnn", "baseline", "--decay-steps", "9"], "no schedule LRD1: leave out decay_"),
        (["mnist-lstm", "kp", "--max-norm-on", "weights"], "no max norm: leave out max_norm_on"),
        (["mnist-lstm", "kp", "--dropout-is", "dropped"], "no dropout: leave out dropout_is"),
        (["usps-fastrnn", "kp", "--bits", "8", "--no-keep-weights"], "leave out --no-keep-weights"),
        (["copy-rnn", "kp", "--decay-steps", "5"], "leave out decay_steps"),
        (["usps-fastrnn", "kp", "--learning-rate", "-1"], "learning_rate must be positive"),
    ],
)
def test_what_the_command_refuses(arguments, words, monkeypatch, capsys, tmp_path):
    monkeypatch.chdir(tmp_path)
    code, _, err = _command(monkeypatch, capsys, *arguments)
    assert code == 2
    assert words in " ".join(err.replace("│", " ").split())
    assert not list(tmp_path.iterdir())
