"""Configurations: the papers' numbers, JSON and back, and what is refused."""

import copy
import dataclasses
import json
import pickle

import pytest

from kplib.experiments import BENCHMARKS, papers
from kplib.experiments.configuration import (
    Configuration,
    default_configuration,
    fields_that_differ,
)

COMPRESSION = {"none": None, "maximum": None, "10x": 10, "20x": 20}
NETWORKS = [
    (benchmark, technique, compression)
    for benchmark in BENCHMARKS
    for technique, compression in [
        ("baseline", None), ("small", None), ("small", 10), ("pruned", None), ("pruned", 20),
        ("lmf", None), ("lmf", 20), ("kp", None), ("hkp", 10), ("hkp", 20),
    ]
]  # fmt: skip


@pytest.mark.parametrize("row", papers.results(), ids=lambda row: f"{row.source} {row.technique}")
def test_every_printed_training(row):
    printed = row.training
    found = default_configuration(
        row.benchmark, row.technique, compression=COMPRESSION[row.compression], layers=row.layers
    )
    assert found.source.startswith(row.source)
    assert ":" not in found.source.partition(";")[0]  # its own row, none near it
    assert (found.unit, found.length) == (printed.unit, printed.length)
    assert found.learning_rate == printed.learning_rate
    assert found.max_norm == printed.max_norm
    assert printed.batch_size in (found.batch_size, None)
    assert printed.optimizer in (found.optimizer, None)
    assert not found.is_shortened
    if printed.dropout is not None:
        assert found.dropout == pytest.approx(1 - printed.dropout)
    if printed.pruning_start is not None:
        assert (found.pruning.start, found.pruning.end) == (
            printed.pruning_start, printed.pruning_end,
        )  # fmt: skip


@pytest.mark.parametrize(("benchmark", "technique", "compression"), NETWORKS)
def test_through_json_and_back(benchmark, technique, compression):
    whole = default_configuration(benchmark, technique, compression=compression, seed=5)
    for configuration in (whole, whole.shortened(0.037), whole.shortened(3)):
        text = json.dumps(configuration.to_json())
        again = Configuration.from_json(json.loads(text))
        assert again == configuration
        assert again.key == configuration.key
        assert again.path == configuration.path


def test_the_key_is_of_everything_but_the_seed_and_the_source():
    one = default_configuration("usps-fastrnn", "kp")
    assert dataclasses.replace(one, seed=9, source="elsewhere").key == one.key
    others = {
        "technique": "lmf", "learning_rate": 0.02, "batch_size": 50, "dropout": 0.1,
        "max_norm": 2.0, "max_norm_on": "weights", "variant": "full-rank", "length": 499,
        "validate_every": 2, "data_options": {"split": 3}, "compression": None,
    }  # fmt: skip
    keys = {dataclasses.replace(one, **{name: value}).key for name, value in others.items()}
    assert len(keys | {one.key}) == len(others)  # all differ but compression, which is the same
    assert "full-rank" in dataclasses.replace(one, variant="full-rank").path


def test_paths_are_of_one_network_each():
    paths = [
        default_configuration(b, t, compression=c).path.rpartition("/")[0] for b, t, c in NETWORKS
    ]
    assert len(set(paths)) == len(NETWORKS)
    assert default_configuration("kws-gru", "kp").path.startswith("kws-gru/kp/")
    assert default_configuration("kws-gru", "kp", layers=1).path.startswith("kws-gru/kp-1-layer/")


def test_shortening_takes_schedule_and_pruning_with_it():
    whole = default_configuration("har1-bilstm", "pruned")
    short = whole.shortened(0.1)
    assert (short.length, short.full_length, short.is_shortened) == (60, 600, True)
    assert short.schedule.milestones == pytest.approx((10, 20, 30, 40, 50))
    assert (short.pruning.start, short.pruning.end) == pytest.approx((10, 50))
    assert fields_that_differ(whole, short).keys() == {"length", "schedule", "pruning"}
    assert whole.shortened(1) == whole


def test_one_schedule_for_all():
    kp = default_configuration("kws-lstm", "kp", schedule="kp")
    lmf = default_configuration("kws-lstm", "lmf", schedule="kp")
    assert lmf.schedule == kp.schedule.scaled(lmf.length / kp.length)
    assert default_configuration("kws-lstm", "lmf").schedule.kind == "piecewise"
    for name in ("constant", "cosine"):
        assert default_configuration("kws-lstm", "lmf", schedule=name).schedule.kind == name


def test_both_readings():
    kept = default_configuration("har1-bilstm", "baseline")
    dropped = default_configuration(
        "har1-bilstm", "baseline", dropout_is="dropped", max_norm_on="weights"
    )
    assert kept.dropout == pytest.approx(1 - dropped.dropout) == pytest.approx(0.08)
    assert (kept.max_norm_on, dropped.max_norm_on) == ("gradients", "weights")


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"colour": 1}, "configuration has no 'colour'; it has benchmark"),
        ({"learning_rate": "0.1"}, "learning_rate must be a finite number, found '0.1'"),
        ({"learning_rate": True}, "learning_rate must be a finite number, found True"),
        ({"learning_rate": 0}, "learning_rate must be positive, found 0"),
        ({"learning_rate": float("inf")}, "finite number, found inf"),
        ({"length": 10.0}, "length must be an integer, found 10.0"),
        ({"length": 0}, "length must be at least 1, found 0"),
        ({"batch_size": None}, "batch_size must be an integer, found None"),
        ({"seed": -1}, "seed must be from 0"),
        ({"seed": 2**32}, "seed must be from 0"),
        ({"benchmark": "mnist"}, "there is no benchmark 'mnist'"),
        ({"technique": "svd"}, "technique must be one of 'baseline'"),
        ({"unit": "hours"}, "unit must be one of 'epochs', 'steps'"),
        ({"optimizer": "SGD"}, "optimizer must be one of 'Adam'"),
        ({"dropout": 1.0}, "dropout must be from 0 to below 1"),
        ({"variant": "../.."}, "variant must be words"),
        ({"variant": "a/b"}, "variant must be words"),
        ({"schedule": {"kind": "steep"}}, "must be of a kind of constant, piecewise, LRD1, cosine"),
        ({"schedule": None}, "must be of a kind of"),
        ({"schedule": {"kind": "LRD1", "rate": 0.1}}, "schedule lacks 'decay_steps'"),
        ({"schedule": {"kind": "cosine", "length": 3, "x": 1}}, "schedule has no 'x'"),
        ({"pruning": None}, "lacks a pruning"),
        ({"technique": "kp"}, "has a pruning"),
        ({"pruning": {"start": 3, "end": 2}}, "0 <= start < end, found 3 and 2"),
        ({"pruning": {"start": 0, "end": 500}}, "pruning ends at 500, but must end before the 500"),
        ({"data_options": {"file": object()}}, "data_options.file: object has no JSON"),
        ({"data_options": [1]}, "data_options must be an object"),
        ({"compression": 1}, "compression is 1"),
        ({"layers": 2}, "pruned with 1 layers, not 2"),
    ],
)
def test_what_is_refused(change, words):
    raw = default_configuration("usps-fastrnn", "pruned").to_json() | change
    with pytest.raises(ValueError, match=words.replace("..", r"\.\.")):
        Configuration.from_json(raw)


def test_it_goes_to_other_processes():
    configuration = default_configuration("har1-bilstm", "pruned", data_options={"steps": 30})
    assert pickle.loads(pickle.dumps(configuration)) == configuration
    assert hash(configuration) == hash(copy.deepcopy(configuration))


@pytest.mark.parametrize("raw", [None, 3, [], "kp", {}])
def test_what_is_no_configuration(raw):
    with pytest.raises(ValueError, match=r"configuration (must be an object|lacks 'benchmark')"):
        Configuration.from_json(raw)


def test_it_cannot_be_changed():
    options = {"split": 0.2}
    configuration = default_configuration("mnist-lstm", "kp", data_options=options)
    options["split"] = 0.3
    assert configuration.data_options == {"split": 0.2}
    with pytest.raises(dataclasses.FrozenInstanceError):
        configuration.seed = 1
    with pytest.raises(ValueError, match="schedule must be one of"):
        default_configuration("mnist-lstm", "kp", schedule="steep")
    with pytest.raises(ValueError, match="fraction must be positive"):
        configuration.shortened(0)
