"""The tasks of long memory: that the labels are right, nothing leaks, and how they are trained."""

import dataclasses

import numpy as np
import pytest

from kplib.data.sets import DataSet, Sequences
from kplib.experiments import tasks
from kplib.experiments.benchmarks import BENCHMARKS, TASKS, benchmark
from kplib.experiments.configuration import Configuration
from kplib.experiments.schedules import Constant, Cosine
from kplib.experiments.task_training import task_configuration
from kplib.experiments.tasks import adding, copy_memory, load, pixel_mnist

FEW = {"train": 60, "validation": 20, "test": 30}


def parts(data):
    return data.train, data.validation, data.test


@pytest.mark.parametrize(("symbols", "delay"), [(1, 1), (3, 7), (5, 20)])
def test_copy_memory_read_step_by_step(symbols, delay):
    data = copy_memory(symbols=symbols, delay=delay, **FEW)
    asked = []
    for part in parts(data):
        inputs = part.x.argmax(-1)
        np.testing.assert_array_equal(part.x.sum(-1), 1)
        for sequence, label in zip(inputs, part.y, strict=True):
            (places,) = np.nonzero(sequence < 8)
            shown, goes = sequence[places], int((sequence == 9).sum())
            assert len(shown) == symbols
            np.testing.assert_array_equal(np.diff(places), 1)
            assert (sequence[places[-1] + 1 : places[-1] + 1 + delay] == 8).all()
            assert (sequence[-goes:] == 9).all()
            assert (sequence == 8).sum() == len(sequence) - symbols - goes
            assert label == shown[goes - 1]
            asked.append(goes)
    assert data.steps == 2 * symbols + delay
    assert set(asked) == set(range(1, symbols + 1))


def test_copy_memory_cannot_be_told_from_the_end():
    """The symbol that is asked for is as likely any, whatever the last steps are."""
    data = copy_memory(symbols=4, delay=5, train=8000, validation=1, test=1)
    goes = (data.train.x.argmax(-1) == 9).sum(1)
    for count in range(1, 5):
        frequencies = np.bincount(data.train.y[goes == count], minlength=8) / (goes == count).sum()
        np.testing.assert_allclose(frequencies, 1 / 8, atol=0.035)


@pytest.mark.parametrize("steps", [2, 3, 17])
def test_the_sums_of_the_marked_numbers(steps):
    data = adding(steps=steps, **FEW)
    for part in parts(data):
        numbers, marks = part.x[..., 0], part.x[..., 1]
        assert 0 <= numbers.min() < numbers.max() < 1
        assert set(np.unique(marks)) == {0, 1} or steps == 2
        assert (marks[:, : steps // 2].sum(1) == 1).all()
        assert (marks[:, steps // 2 :].sum(1) == 1).all()
        sums = [row[mark == 1].sum() for row, mark in zip(numbers, marks, strict=True)]
        np.testing.assert_array_equal(np.array(sums) > 1, part.y)
    assert data.n_classes == 2


def test_what_one_number_tells_of_the_sum():
    data = adding(steps=6, train=4000, validation=1, test=1)
    numbers, marks = data.train.x[..., 0], data.train.x[..., 1]
    for half in (slice(0, 3), slice(3, 6)):
        one = (numbers[:, half] * marks[:, half]).sum(1)
        assert 100 * np.mean((one > 0.5) == data.train.y) == pytest.approx(
            data.protocol["accuracy with one number remembered, %"], abs=2.5
        )
    assert 100 * data.train.y.mean() == pytest.approx(
        data.protocol["accuracy without memory, %"], abs=2.5
    )


@pytest.mark.parametrize("make", [copy_memory, adding])
def test_parts_and_seeds_are_different_and_repeatable(make):
    one, again, other = make(**FEW), make(**FEW), make(seed=1, **FEW)
    for mine, same in zip(parts(one), parts(again), strict=True):
        np.testing.assert_array_equal(mine.x, same.x)
        np.testing.assert_array_equal(mine.y, same.y)
    assert not np.array_equal(one.train.x, other.train.x)
    assert not np.array_equal(one.train.x[:20], one.validation.x)
    assert [len(part) for part in parts(one)] == list(FEW.values())


@pytest.fixture
def small_mnist(monkeypatch):
    """MNIST with few images of random pixels."""
    rng = np.random.default_rng(0)

    def part(n):
        return Sequences(rng.random((n, 28, 28), np.float32), rng.integers(10, size=n))

    data = DataSet(
        "mnist", tuple("0123456789"), part(12), part(5), part(4), files={"images": "0"},
        protocol={"step": "one row", "scaling": "pixel / 255"},
    )  # fmt: skip
    monkeypatch.setattr(tasks, "load_mnist", lambda progress: data)
    return data


@pytest.mark.parametrize("side", [7, 14, 28])
def test_pixels_are_means_of_squares_in_reading_order(side, small_mnist):
    data = pixel_mnist(side=side)
    by = 28 // side
    for part, images in zip(parts(data), parts(small_mnist), strict=True):
        assert part.x.shape == (len(images), side * side, 1)
        for k in (0, 1, side, side * side - 1):
            row, column = divmod(k, side)
            square = images.x[:, row * by : (row + 1) * by, column * by : (column + 1) * by]
            np.testing.assert_allclose(part.x[:, k, 0], square.mean((1, 2)), rtol=1e-5)
        np.testing.assert_array_equal(part.y, images.y)
    assert data.protocol["step"] == "one pixel"
    assert data.files == small_mnist.files


def test_permuted_pixels_are_the_same_ones_in_one_other_order(small_mnist):
    plain, mixed = pixel_mnist(side=7), pixel_mnist(side=7, permuted=True)
    np.testing.assert_array_equal(np.sort(plain.test.x, 1), np.sort(mixed.test.x, 1))
    order = [int(np.flatnonzero(plain.train.x[0, :, 0] == v)[0]) for v in mixed.train.x[0, :, 0]]
    assert order != sorted(order)
    np.testing.assert_array_equal(mixed.train.x, plain.train.x[:, order])
    np.testing.assert_array_equal(mixed.test.x, plain.test.x[:, order])


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: copy_memory(symbols=0), "symbols"),
        (lambda: copy_memory(train=0), "train"),
        (lambda: adding(steps=1), "at least 2 steps, found 1"),
        (lambda: pixel_mnist(side=10), "side must be 7, 14 or 28, found 10"),
        (lambda: load("mist"), "there is no data set 'mist'"),
        (lambda: load("adding", bins=2), "adding has no option 'bins', but steps"),
        (lambda: load("usps", bins=2), "usps has no option 'bins', but"),
        (
            lambda: task_configuration("mnist-lstm", "kp"),
            "no task 'mnist-lstm'; there are copy-rnn",
        ),
        (lambda: task_configuration("copy-rnn", "kp", schedule="kp"), "cosine or constant"),
        (lambda: task_configuration("copy-rnn", "kp", length=0), "length must be"),
    ],
)
def test_what_cannot_be_made(make, message):
    with pytest.raises(ValueError, match=message):
        make()


def test_each_network_fits_its_data(small_mnist):
    assert not set(TASKS) & set(BENCHMARKS)
    for name, network in TASKS.items():
        configuration = task_configuration(name, "kp")
        options = {} if name == "pixels-rnn" else FEW
        data = load(configuration.data, **options)
        assert (data.name, data.steps) == (configuration.data, network.steps)
        assert (data.input_size, data.n_classes) == (network.input_size, network.classes)
        assert benchmark(name) is network


def test_how_tasks_are_trained():
    configuration = task_configuration("copy-rnn", "baseline", seed=3, length=400)
    assert isinstance(configuration.schedule, Cosine)
    assert configuration.schedule.length == configuration.length == 400
    assert configuration.is_shortened
    assert Configuration.from_json(configuration.to_json()) == configuration
    other = task_configuration(
        "copy-rnn", "baseline", learning_rate=0.01, batch_size=7, schedule="constant",
        data_options={"delay": 9},
    )  # fmt: skip
    assert (other.learning_rate, other.batch_size) == (0.01, 7)
    assert isinstance(other.schedule, Constant)
    assert dataclasses.replace(other, seed=1).key == other.key
