"""What the figures draw from records."""

import importlib.util
from pathlib import Path

import numpy as np
import pytest

from kplib.experiments.configuration import default_configuration
from kplib.experiments.figures import trained_scalars
from kplib.experiments.run_sets import RunSet, run_sets
from kplib.experiments.training import train

_SPEC = importlib.util.spec_from_file_location("synthetic", Path(__file__).parent / "synthetic.py")
synthetic = importlib.util.module_from_spec(_SPEC)
_SPEC.loader.exec_module(synthetic)


def test_scalars_are_those_of_the_trained_cells(digits, tmp_path):
    for seed in (0, 1):
        configuration = default_configuration("usps-fastrnn", "kp", seed=seed).with_length(1)
        train(configuration, digits, folder=tmp_path, progress=False)
    (one,) = run_sets(tmp_path)
    found = trained_scalars(one)
    assert [seed for seed, _ in found] == [0, 1]
    for (_, scalars), run in zip(found, one.runs, strict=True):
        assert scalars == {
            name: pytest.approx(float(run.weights[f"rnn.cells.l0.{name}"]))
            for name in ("alpha", "beta")
        }
        assert np.abs(np.array([scalars["alpha"] + 3, scalars["beta"] - 3])).max() < 2
        assert scalars["alpha"] != -3
    assert trained_scalars(one, "l1") == []


def test_where_no_weights_were_kept_there_are_none(tmp_path):
    run = synthetic.write_run(tmp_path, "usps-fastrnn", "kp")
    assert trained_scalars(RunSet((run,))) == []
