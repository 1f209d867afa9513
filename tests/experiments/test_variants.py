"""Variants: their sizes, that each trains, what they learn from, and that a killed one goes on."""

import dataclasses
import sys

import distributed
import numpy as np
import pytest
import torch
from torch.optim.swa_utils import AveragedModel

import kplib
from kplib import cli
from kplib.data.sets import DataSet, Sequences
from kplib.experiments import training
from kplib.experiments.batches import Batches
from kplib.experiments.benchmarks import BENCHMARKS, TASKS, benchmark
from kplib.experiments.plans import Plan, Sweep
from kplib.experiments.recipes import recipe
from kplib.experiments.records import iterate
from kplib.experiments.sweeps import Setting, sweep
from kplib.experiments.task_training import task_configuration
from kplib.experiments.training import checkpoint_path, cross_entropy, load_network, predict
from kplib.experiments.variant_training import (
    distillation,
    started,
    teacher_logits,
    train,
    with_unitary_penalty,
)
from kplib.experiments.variants import (
    VARIANTS,
    configured,
    needs_baseline,
    network,
    variants_of,
)
from kplib.nn import parameter_count, unitary_penalty
from kplib.nn.structures import ChainWeight

PLACES = [(*place, variant.name) for variant in VARIANTS for place in variant.where]
QUICK = [place for place in PLACES if place[0] != "dsads-bilstm"]


def compression_of(technique):
    return 10 if technique == "hkp" else None


def data_of(name, *, steps=3, count=40, with_variants=False):
    """Noise with its class added, in the shape that a benchmark takes."""
    shape = benchmark(name)
    rng = np.random.default_rng(0)

    def part(n):
        y = np.arange(n) % min(shape.classes, 4)
        x = rng.normal(size=(n, steps, shape.input_size)) + y[:, None, None]
        return Sequences(x.astype(np.float32), y)

    train_part = part(count)
    variants = np.stack([train_part.x - 0.1, train_part.x + 0.2]) if with_variants else None
    data = task_configuration(name, "kp").data if name in TASKS else configured(name, "kp").data
    classes = tuple(map(str, range(shape.classes)))
    return DataSet(data, classes, train_part, part(20), part(24), variants)


def tiny(name, technique, variant="", *, length=2, **options):
    configuration = configured(
        name, technique, variant=variant, compression=compression_of(technique), length=length,
        **options,
    )  # fmt: skip
    return dataclasses.replace(configuration, batch_size=16, validate_every=1)


def run(configuration, data, folder, **options):
    return train(configuration, data, folder=folder, progress=False, **options)


def same_outcome(one, other):
    mine, yours = (dataclasses.replace(run.record, circumstances=None) for run in (one, other))
    return mine == yours


# Sizes --------------------------------------------------------------------------------------------


def gates_of(name, variant=""):
    """Parameters of the gate matrices."""
    model = network(configured(name, "kp", variant=variant))
    return sum(cell.weight.params for cell in model.rnn.cells.values())


def test_ranks_at_exactly_one_size():
    usps = {name: gates_of("usps-fastrnn", name) for name in variants_of("usps-fastrnn", "kp")}
    for name in ("rank-1", "rank-4", "rank-6", "rank-24", "swapped", "rank-24-pushed"):
        assert usps[name] == gates_of("usps-fastrnn") == 80
    assert usps["rank-12"] == usps["full-rank"] == 88
    mnist = {name: gates_of("mnist-lstm", name) for name in variants_of("mnist-lstm", "kp")}
    assert mnist["rank-1"] == mnist["rank-4"] == mnist["rank-16"] == 4 * 108
    assert mnist["rank-8"] == mnist["rank-32"] == 4 * 156
    assert mnist["rank-10"] == mnist["full-rank"] == 4 * 186
    assert mnist["swapped"] == gates_of("mnist-lstm") == 4 * 117
    assert gates_of("kws-lstm", "rank-4") == gates_of("kws-lstm") == 4 * 504
    assert gates_of("kws-gru", "full-rank-layer-2") == 3 * (507 + 438)
    assert gates_of("kws-gru") == 3 * (507 + 462)


def test_forms_of_equal_size():
    for name, size in (("mnist-lstm", 4 * 117), ("kws-lstm", 4 * 504)):
        assert gates_of(name) == gates_of(name, "stacked-sum") == size
        assert gates_of(name, "stacked-sum-pushed") == size
    assert gates_of("kws-lstm", "sum") == pytest.approx(4 * 504, rel=0.025)
    assert gates_of("kws-lstm", "stacked") == pytest.approx(4 * 504, rel=0.05)
    assert gates_of("mnist-lstm", "stacked") == 372 < 468
    assert gates_of("usps-fastrnn", "double-sum") == 2 * 80
    assert gates_of("mnist-lstm", "double-sum") == 2 * 468
    # twice the size is that of the low-rank network for USPS
    assert parameter_count(network(configured("usps-fastrnn", "kp", variant="double-sum"))) == (
        recipe("usps-fastrnn", "lmf").size.total
    )


@pytest.mark.parametrize("place", [(n, v) for n, t, v in PLACES if t == "kp" and "rank" in v])
def test_a_gates_rank_is_what_the_name_says(place):
    name, variant = place
    model = network(configured(name, "kp", variant=variant, seed=1))
    cell = model.rnn.cells["l1" if "layer-2" in variant else "l0"]
    W = cell.weight.matrix().detach().double()
    ranks = set(torch.linalg.matrix_rank(W, rtol=1e-6).tolist())
    words = variant.removesuffix("-pushed").split("-")
    assert ranks == {min(W.shape[1:]) if words[0] == "full" else int(words[1])}


def test_kronecker_recurrent_units_of_the_papers_size():
    """The long paper's appendix A: 256 units, 208,140 parameters, 11,628 with the chains."""
    assert parameter_count(network(configured("kws-gru", "baseline", variant="dense-256"))) == (
        208_140
    )
    model = network(configured("kws-gru", "kp", variant="kru"))
    assert parameter_count(model) == 11_628
    assert model.rnn.num_layers == 1
    (chain,) = [m for m in model.modules() if isinstance(m, ChainWeight)]
    assert chain.shapes == ((2, 2),) * 8
    for task in TASKS:
        for name in ("kru", "complex-kru"):
            model = network(configured(task, "kp", variant=name))
            (chain,) = [m for m in model.modules() if isinstance(m, ChainWeight)]
            assert chain.rows == 128
            assert chain.complex == name.startswith("complex")
            assert model.rnn.nonlinearity == "modrelu"
        dense = network(configured(task, "baseline", variant="orthogonal"))
        own = network(configured(task, "baseline"))
        assert parameter_count(dense) == parameter_count(own) + 128  # the biases of modrelu
        W = dense.rnn.cells["l0"].weight.hidden.matrix().detach()[0]
        torch.testing.assert_close(W @ W.T, torch.eye(128), rtol=0, atol=1e-5)


def test_all_else_is_the_techniques_own():
    """A variant of the factors has the biases, the head and the cell of the network itself."""
    own = kplib.build("mnist-lstm", "kp", seed=5)
    other = network(configured("mnist-lstm", "kp", variant="stacked-sum", seed=5))
    assert type(own.rnn) is type(other.rnn)
    assert other.rnn.cells["l0"].weight.init == own.rnn.cells["l0"].weight.init
    assert torch.equal(own.rnn.cells["l0"].bias, other.rnn.cells["l0"].bias)
    same = network(configured("mnist-lstm", "kp", variant="ema", seed=5))
    for name, tensor in own.state_dict().items():
        assert torch.equal(tensor, same.state_dict()[name])


def test_names_are_unique_where_they_are_used():
    assert len(set(PLACES)) == len(PLACES)
    assert {variant.group for variant in VARIANTS} == {
        "rank", "form", "pushed", "from trained", "kru",
    }  # fmt: skip
    assert {place[0] for place in PLACES} <= set(BENCHMARKS) | set(TASKS)


# Each trains --------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """With a trained baseline of each benchmark."""
    folder = tmp_path_factory.mktemp("runs")
    for name in BENCHMARKS:
        if name != "har1-bilstm":
            run(tiny(name, "baseline"), data_of(name), folder)
    return folder


@pytest.mark.parametrize(("name", "technique", "variant"), QUICK)
def test_each_variant_trains(name, technique, variant, folder, tmp_path):
    length = 8 if technique == "pruned" else 2  # so that there is a time to prune in
    if technique == "pruned":
        run(tiny(name, "baseline", length=8), data_of(name), folder)
    configuration = tiny(name, technique, variant, length=length)
    stored = run(configuration, data_of(name), tmp_path, baselines=folder)
    record = stored.record
    assert record.configuration.variant == variant
    assert record.result.diverged_at is None
    assert bool(record.sources) == needs_baseline(configuration)
    built = network(record.configuration)
    if technique != "pruned":
        assert record.network.parameters == parameter_count(built)
    model = load_network(stored, lambda: built)
    predictions = predict(model, torch.from_numpy(data_of(name).test.x)).numpy()
    if parameter_count(model) < 16_384:
        np.testing.assert_array_equal(predictions, stored.predictions)
    start = network(record.configuration).state_dict()
    assert any(not torch.equal(t, start[k]) for k, t in model.state_dict().items())


def test_the_large_network_too(folder, tmp_path):
    configuration = tiny("dsads-bilstm", "kp", "from-trained")
    assert run(configuration, data_of("dsads-bilstm"), tmp_path, baselines=folder).record.sources


# Learning from a baseline -------------------------------------------------------------------------


def test_distillation_against_its_definition():
    torch.manual_seed(0)
    model = kplib.build("usps-fastrnn", "kp", seed=0)
    x, y = torch.randn(7, 4, 16), torch.arange(7)
    teacher = torch.randn(7, 10)
    loss, logits = distillation(3.0, 0.7)(model, x, y, teacher)
    p, q = (teacher / 3).softmax(1), (logits / 3).softmax(1)
    soft = (p * (p / q).log()).sum(1).mean()
    expected = 0.3 * torch.nn.functional.cross_entropy(logits, y) + 0.7 * 9 * soft
    assert loss.item() == pytest.approx(expected.item(), rel=1e-5)
    hard, _ = distillation(3.0, 0.0)(model, x, y, teacher)
    assert hard.item() == pytest.approx(cross_entropy(model, x, y)[0].item(), rel=1e-6)


def test_every_example_meets_its_own_teachers_logits():
    """Whichever variant of an example is drawn, and whatever the order."""
    data = data_of("kws-lstm", with_variants=True)
    teacher = kplib.build("kws-lstm", "baseline", seed=3).eval()
    logits = teacher_logits(teacher, data)
    assert logits.shape == (2 * 40, 12)
    batches = Batches(data, 16, 0, torch.device("cpu"), logits)
    drawn = []
    for step in range(9):
        x, _, soft = batches(step)
        with torch.no_grad():
            torch.testing.assert_close(soft, teacher(x), rtol=1e-4, atol=1e-5)
        drawn.append(x)
    plain = Batches(data, 16, 0, torch.device("cpu"))
    assert all(torch.equal(plain(step)[0], x) for step, x in enumerate(drawn))
    with pytest.raises(ValueError, match="80 examples and variants need as many rows, found 40"):
        Batches(data, 16, 0, torch.device("cpu"), logits[:40])


def test_which_baseline_is_learnt_from(tmp_path):
    data = data_of("usps-fastrnn")
    student = tiny("usps-fastrnn", "kp", "distilled", seed=1)
    with pytest.raises(ValueError, match="kplib train usps-fastrnn baseline --seed 0"):
        run(student, data, tmp_path)
    first = run(tiny("usps-fastrnn", "baseline"), data, tmp_path)
    # no teachers: no weights kept, of other data, a variant, only for tuning
    run(tiny("usps-fastrnn", "baseline", seed=1), data, tmp_path)
    other = dataclasses.replace(data, test=data.validation)
    run(tiny("usps-fastrnn", "baseline", length=3), other, tmp_path)
    run(
        dataclasses.replace(tiny("usps-fastrnn", "baseline"), scored_on="validation"), data,
        tmp_path,
    )  # fmt: skip
    stored = run(student, data, tmp_path)
    assert stored.record.sources["baseline"].startswith(first.record.configuration.path)
    assert first.record.arrays_sha256 in stored.record.sources["baseline"]
    own = run(tiny("usps-fastrnn", "baseline", seed=2), data, tmp_path, keep_weights=True)
    third = run(tiny("usps-fastrnn", "kp", "distilled", seed=2), data, tmp_path)
    assert third.record.sources["baseline"].startswith(own.record.configuration.path)
    assert len(list(iterate(tmp_path))) == 7


def test_starting_from_a_baseline_that_was_trained_as_long(tmp_path):
    data = data_of("usps-fastrnn")
    run(tiny("usps-fastrnn", "baseline", length=3), data, tmp_path)
    with pytest.raises(ValueError, match="baseline --epochs 2 --seed 0"):
        run(tiny("usps-fastrnn", "kp", "from-trained"), data, tmp_path)
    two = run(tiny("usps-fastrnn", "baseline"), data, tmp_path)
    stored = run(tiny("usps-fastrnn", "kp", "from-trained"), data, tmp_path)
    assert stored.record.sources["baseline"].startswith(two.record.configuration.path)


@pytest.mark.parametrize("technique", ["kp", "hkp", "lmf", "pruned"])
def test_the_start_is_the_nearest_matrix(technique):
    trained = kplib.build("kws-lstm", "baseline", seed=0)
    with torch.no_grad():
        trained.rnn.cells["l0"].bias.normal_()
    W = trained.rnn.cells["l0"].weight.matrix().detach()
    model = started(
        kplib.build("kws-lstm", technique, compression=compression_of(technique), seed=1), trained
    )
    cell = model.rnn.cells["l0"]
    assert torch.equal(cell.bias, trained.rnn.cells["l0"].bias)
    assert torch.equal(model.head.weight, trained.head.weight)
    got = cell.weight.matrix().detach()
    if technique == "pruned":
        assert torch.equal(got, W)  # pruned by and by
    elif technique == "lmf":
        U, s, V = torch.linalg.svd(W.flatten(0, 1).double(), full_matrices=False)
        rank = recipe("kws-lstm", "lmf").rank
        expected = (U[:, :rank] * s[:rank]) @ V[:rank]
        torch.testing.assert_close(got.flatten(0, 1).double(), expected, rtol=1e-3, atol=1e-4)
    else:
        for gate, near in zip(W.double().numpy(), got.double().numpy(), strict=True):
            rows = recipe("kws-lstm", "hkp", compression=10).rows if technique == "hkp" else 0
            shape = cell.weight.shape
            A, B = kplib.nearest_kron(gate[rows:], (shape.m1, shape.n1, shape.m2, shape.n2))
            np.testing.assert_allclose(near[rows:], np.kron(A, B), atol=1e-5)
            np.testing.assert_allclose(near[:rows], gate[:rows], atol=1e-6)


def test_networks_of_other_sizes_cannot_start_at_each_other():
    with pytest.raises(ValueError, match="2 cells of 154 units cannot start at one of 1 of 154"):
        started(kplib.build("kws-gru", "kp"), kplib.build("kws-gru", "baseline"))


# Averaging ----------------------------------------------------------------------------------------


def test_the_average_is_validated_chosen_and_kept(tmp_path):
    """Against the loop written out, and torch's class only for its arithmetic."""
    data = data_of("usps-fastrnn")
    configuration = dataclasses.replace(
        tiny("usps-fastrnn", "kp", "ema", schedule="constant"), ema_decay=0.9
    )
    stored = run(configuration, data, tmp_path)
    model = kplib.build("usps-fastrnn", "kp", seed=0)
    adam = torch.optim.Adam(model.parameters(), lr=configuration.learning_rate)
    batches = Batches(data, 16, 0, torch.device("cpu"))
    average, looks = {}, []
    for step in range(6):
        x, y = batches(step)
        adam.zero_grad()
        cross_entropy(model, x, y)[0].backward()
        adam.step()
        for name, tensor in model.state_dict().items():
            average[name] = 0.9 * average.get(name, tensor) + 0.1 * tensor
        if step % 3 == 2:
            looks.append({name: tensor.clone() for name, tensor in average.items()})
    scores = list(stored.record.curve.validation_accuracy)
    chosen = looks[scores.index(max(scores))]
    for name, array in stored.weights.items():
        np.testing.assert_allclose(array, chosen[name].numpy(), rtol=1e-3, atol=1e-5)
    kept = load_network(stored, lambda: network(configuration))
    predictions = predict(kept, torch.from_numpy(data.validation.x)).numpy()
    assert 100 * np.mean(predictions == data.validation.y) == pytest.approx(max(scores), rel=1e-4)


def test_a_pruned_average_keeps_its_density(tmp_path):
    data = data_of("mnist-lstm")
    configuration = dataclasses.replace(
        tiny("mnist-lstm", "pruned", length=8), variant="averaged", ema_decay=0.5
    )
    stored = training.train(configuration, data, folder=tmp_path, progress=False)
    assert stored.record.network.parameters == recipe("mnist-lstm", "pruned").size.total


# Kronecker recurrent units ------------------------------------------------------------------------


def test_the_penalty_is_added_and_pulls_towards_unitary():
    model = network(configured("copy-rnn", "kp", variant="kru"))
    with torch.no_grad():
        for module in model.modules():
            if isinstance(module, ChainWeight):
                for value in module.values:
                    value.mul_(1.1)
    x, y = torch.randn(3, 5, 10), torch.tensor([0, 1, 2])
    loss, _ = with_unitary_penalty(0.5)(model, x, y)
    plain, _ = cross_entropy(model, x, y)
    penalty = unitary_penalty(model).item()
    assert penalty > 0.1
    assert loss.item() == pytest.approx(plain.item() + 0.5 * penalty, rel=1e-5)


def test_the_factors_course_is_recorded(tmp_path):
    data = data_of("kws-gru")
    stored = run(tiny("kws-gru", "kp", "kru", length=5), data, tmp_path)
    snapshots = stored.snapshots
    np.testing.assert_array_equal(snapshots.pop("steps"), [0, 1, 2, 3, 4, 5])
    assert len(snapshots) == 8
    start = network(stored.record.configuration).state_dict()
    for name, array in snapshots.items():
        assert array.shape == (6, 3, 2, 2)
        assert array.dtype == np.float32
        np.testing.assert_array_equal(array[0], start[name].numpy())
        assert np.abs(np.diff(array, axis=0)).max((1, 2, 3)).min() > 0  # they move at every step
    chosen = stored.record.curve.steps.index(stored.record.result.chosen_at) + 1
    kept = load_network(stored, lambda: network(stored.record.configuration)).state_dict()
    for name, array in snapshots.items():
        np.testing.assert_allclose(array[chosen], kept[name].numpy(), rtol=1e-6)
    assert run(tiny("kws-gru", "baseline", "dense-256"), data, tmp_path).snapshots == {}


def test_a_long_course_is_thinned_as_the_curve_is(tmp_path):
    configuration = dataclasses.replace(tiny("adding-rnn", "kp", "kru", length=300), batch_size=2)
    stored = run(configuration, data_of("adding-rnn", count=4), tmp_path)
    steps = stored.snapshots["steps"]
    assert tuple(steps[1:]) == stored.record.curve.steps
    assert len(steps) < 260
    assert {len(array) for array in stored.snapshots.values()} == {len(steps)}


# Killed and resumed -------------------------------------------------------------------------------


class Killed(Exception):
    pass


@pytest.mark.parametrize(
    ("name", "technique", "variant"),
    [
        ("usps-fastrnn", "kp", "ema"),
        ("kws-lstm", "lmf", "distilled"),
        ("mnist-lstm", "kp", "pushed"),
        ("kws-gru", "kp", "kru-unitary"),
        ("usps-fastrnn", "kp", "from-trained"),
        ("adding-rnn", "kp", "complex-kru"),
    ],
)
def test_a_killed_variant_ends_the_same(name, technique, variant, folder, tmp_path, monkeypatch):
    data = data_of(name, with_variants=name == "kws-lstm")
    teachers = tmp_path / "teachers"
    configuration = tiny(name, technique, variant, length=4)
    if needs_baseline(configuration):
        run(tiny(name, "baseline", length=4), data, teachers)
    options = {"baselines": teachers, "checkpoint_seconds": 0.0}
    whole = run(configuration, data, tmp_path / "whole", **options)

    validate, calls = training._Run._validate, []

    def killed_at_the_third_look(self):
        calls.append(self.course.step)
        if len(calls) == 3:
            raise Killed
        validate(self)

    with monkeypatch.context() as patch:
        patch.setattr(training._Run, "_validate", killed_at_the_third_look)
        with pytest.raises(Killed):
            run(configuration, data, tmp_path / "cut", **options)
    assert checkpoint_path(tmp_path / "cut", configuration).exists()
    resumed = run(configuration, data, tmp_path / "cut", **options)
    assert resumed.record.circumstances.sessions == 2
    assert same_outcome(resumed, whole)


def killed_at_its_first_checkpoint(configuration, data, folder, monkeypatch):
    save = training._Run.save

    def save_and_die(self):
        save(self)
        raise Killed

    with monkeypatch.context() as patch:
        patch.setattr(training._Run, "save", save_and_die)
        with pytest.raises(Killed):
            run(configuration, data, folder, checkpoint_seconds=0.0)


def test_a_checkpoint_of_another_teacher_is_refused(tmp_path, monkeypatch):
    data = data_of("usps-fastrnn")
    run(tiny("usps-fastrnn", "baseline"), data, tmp_path)
    student = tiny("usps-fastrnn", "kp", "distilled", length=4)
    killed_at_its_first_checkpoint(student, data, tmp_path, monkeypatch)
    for path in tmp_path.glob("usps-fastrnn/baseline/*"):
        path.unlink()
    run(tiny("usps-fastrnn", "baseline", length=5), data, tmp_path)
    with pytest.raises(ValueError, match="another training: its sources is not the same"):
        run(student, data, tmp_path)


def test_a_better_teacher_in_between_does_not_stop_what_was_begun(tmp_path, monkeypatch):
    data = data_of("usps-fastrnn")
    first = run(tiny("usps-fastrnn", "baseline"), data, tmp_path)
    student = tiny("usps-fastrnn", "kp", "distilled", seed=1, length=4)
    killed_at_its_first_checkpoint(student, data, tmp_path, monkeypatch)
    other = run(tiny("usps-fastrnn", "baseline", seed=1), data, tmp_path, keep_weights=True)
    resumed = run(student, data, tmp_path)
    assert resumed.record.circumstances.sessions == 2
    assert first.record.arrays_sha256 in resumed.record.sources["baseline"]
    new = run(tiny("usps-fastrnn", "kp", "distilled", seed=1), data, tmp_path)  # its own seed's
    assert other.record.arrays_sha256 in new.record.sources["baseline"]


# The registry, from outside -----------------------------------------------------------------------


def test_what_a_variant_changes_is_in_the_configuration():
    plain = configured("mnist-lstm", "kp")
    pushed = configured("mnist-lstm", "kp", variant="pushed")
    assert (plain.ema_decay, plain.variant_options) == (None, {})
    assert pushed.ema_decay == 0.999
    assert pushed.variant_options == {"temperature": 4.0, "soft_share": 0.9}
    assert plain.key != pushed.key
    assert "ema_decay" not in plain.to_json()
    assert type(pushed).from_json(pushed.to_json()) == pushed
    hotter = dataclasses.replace(pushed, variant_options={"temperature": 8.0, "soft_share": 0.9})
    assert hotter.key != pushed.key
    with pytest.raises(ValueError, match="variant_options need a variant"):
        dataclasses.replace(plain, variant_options={"temperature": 8.0})
    with pytest.raises(ValueError, match="ema_decay must lie between 0 and 1, found 1"):
        dataclasses.replace(plain, ema_decay=1.0)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: configured("kws-gru", "kp", variant="rank-4"),
         "no variant 'rank-4' of kws-gru, kp; there are full-rank-layer-2, ema, "),
        (lambda: configured("har1-bilstm", "kp", variant="ema"), "of har1-bilstm, kp; it has none"),
        (lambda: distillation(0.0, 0.5), "temperature must be positive"),
        (lambda: distillation(1.0, 1.5), "soft_share from 0 to 1, found 1 and 1.5"),
        (lambda: with_unitary_penalty(-1), "at least 0, found -1"),
    ],
)  # fmt: skip
def test_what_there_is_not(make, message):
    with pytest.raises(ValueError, match=message):
        make()


def test_the_command_lists_the_variants(monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["kplib", "train", "usps-fastrnn", "kp", "--variant", "full"])
    with pytest.raises(SystemExit) as exit_:
        cli.main()
    assert exit_.value.code == 2
    error = capsys.readouterr().err
    assert "no variant 'full' of usps-fastrnn, kp; there are rank-1, rank-4" in error
    assert "Traceback" not in error


def test_a_plan_has_variants():
    plain = Sweep(
        benchmark="usps-fastrnn", techniques=("kp",), variants=("", "rank-24"), seeds=(0,),
        learning_rates=(0.01, 0.03), length=8, tuning_length=4, schedule="cosine",
    )  # fmt: skip
    names = [entry.name for entry in Plan(sweeps=(plain,)).entries]
    assert names == ["usps-fastrnn/kp", "usps-fastrnn/kp-rank-24"]
    assert [run.variant for run in plain.entries[1].tuning] == ["rank-24", "rank-24"]
    task = Sweep(benchmark="copy-rnn", techniques=("kp",), variants=("kru",), seeds=(0,), length=50)
    assert task.entries[0].final(0).data == "copy-memory"
    with pytest.raises(ValueError, match="no variant 'rank-5'"):
        Sweep(benchmark="usps-fastrnn", techniques=("kp",), variants=("rank-5",), seeds=(0,))
    with pytest.raises(ValueError, match="needs variants"):
        Sweep(benchmark="usps-fastrnn", techniques=("kp",), variants=(), seeds=(0,))


def test_a_sweep_waits_for_the_baseline(tmp_path):
    """With two workers: both variants could begin at once, but would find nothing to learn from."""
    common = {"benchmark": "usps-fastrnn", "seeds": (0,), "schedule": "cosine"}
    common |= {"learning_rates": (0.01, 0.03), "tuning_length": 4, "length": 4}
    plan = Plan(
        sweeps=(
            Sweep(techniques=("baseline",), **common),
            Sweep(techniques=("kp",), variants=("from-trained", "distilled", "rank-1"), **common),
        )
    )
    data, lines = data_of("usps-fastrnn"), []
    setting = Setting(folder=tmp_path, load=lambda name: data)
    with distributed.Client(
        processes=False, n_workers=2, threads_per_worker=1, dashboard_address=None
    ) as client:
        assert sweep(plan, client, setting, lines.append) == {}
    assert len(lines) == 12
    baseline = next(
        k for k, line in enumerate(lines) if "baseline/seed-0" in line and "test" in line
    )
    learnt = [k for k, line in enumerate(lines) if "from-trained" in line or "distilled" in line]
    assert baseline < min(learnt)
    assert len(list(iterate(tmp_path))) == 4
    (trained,) = (r.record for r in iterate(tmp_path, technique="baseline"))
    for stored in iterate(tmp_path, technique="kp"):
        learns = stored.record.configuration.variant != "rank-1"
        expected = {"baseline"} if learns else set()
        assert set(stored.record.sources) == expected
        if learns:
            assert stored.record.sources["baseline"].startswith(trained.configuration.path)


def test_torchs_average_is_what_the_checkpoint_keeps():
    """The names that `resume` counts on."""
    model = kplib.build("usps-fastrnn", "kp", seed=0)
    names = set(AveragedModel(model).state_dict())
    assert names == {"n_averaged"} | {f"module.{name}" for name in model.state_dict()}


# Another start ------------------------------------------------------------------------------------


def test_a_training_starts_where_its_configuration_says(tmp_path):
    plain = tiny("usps-fastrnn", "kp", schedule="constant", length=1, learning_rate=1e-12)
    start = {"alpha": 0.25, "bias": 0.5}
    other = dataclasses.replace(plain, initial_values=start)
    assert "initial_values" not in plain.to_json()  # so that older records keep their keys
    assert other.to_json()["initial_values"] == start
    assert other.key != plain.key
    assert type(other).from_json(other.to_json()) == other
    data = data_of("usps-fastrnn")
    for configuration in (other, dataclasses.replace(other, variant="rank-24")):
        cell = network(configuration).rnn.cells["l0"]
        assert (cell.alpha.item(), cell.beta.item()) == (0.25, 3.0)
        stored = run(configuration, data, tmp_path)
        trained = load_network(stored, lambda chosen=configuration: network(chosen))
        cell = trained.rnn.cells["l0"]
        assert cell.alpha.item() == pytest.approx(0.25, abs=1e-6)
        torch.testing.assert_close(cell.bias, torch.full((32,), 0.5), atol=1e-6, rtol=0)
        assert stored.record.configuration.initial_values == start
    wrong = dataclasses.replace(plain, initial_values={"gamma": 1.0})
    with pytest.raises(ValueError, match="no 'gamma' to start with"):
        run(wrong, data, tmp_path)


def test_a_sweep_passes_the_start_on():
    part = Sweep(
        benchmark="usps-fastrnn", techniques=("baseline", "kp"), variants=("",), seeds=(0,),
        learning_rates=(0.01, 0.03), initial_values={"alpha": 0.0},
    )  # fmt: skip
    for entry in part.entries:
        for configuration in (*entry.tuning, entry.final(0, 0.01)):
            assert configuration.initial_values == {"alpha": 0.0}
