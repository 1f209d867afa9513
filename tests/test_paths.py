"""Where a path is asked for, its name as a string is as good."""

import os

import pytest
import torch

from kplib.bench import network_times
from kplib.bench.arm import results as arm
from kplib.bench.board import results as board
from kplib.bench.devices import results as devices
from kplib.data import actrectut, dsads, images
from kplib.engine import export
from kplib.experiments import plans, records, report, run_sets, trade_offs, trained
from kplib.experiments.configuration import default_configuration

CONFIGURATION = default_configuration("usps-fastrnn", "kp")
READERS = {
    "arm.latest": arm.latest,
    "board.boards": board.boards,
    "board.load": board.load,
    "devices.load": devices.load,
    "network_times": network_times.network_times,
    "actrectut.read": actrectut.read,
    "dsads.read_npz": dsads.read_npz,
    "dsads.read_zip": dsads.read_zip,
    "images.read_idx": images.read_idx,
    "images.read_libsvm": lambda path: images.read_libsvm(path, path),
    "images.read_usps_npz": images.read_usps_npz,
    "load_state": lambda path: export.load_state(torch.nn.LSTM(2, 3), path),
    "load_trained": trained.load_trained,
    "plans.read_plan": plans.read_plan,
    "plans.tuning_folder": plans.tuning_folder,
    "records.iterate": lambda path: list(records.iterate(path)),
    "records.read": records.read,
    "records.record_path": lambda path: records.record_path(path, CONFIGURATION),
    "report.tables": report.tables,
    "run_sets": run_sets.run_sets,
    "trade_off": lambda path: trade_offs.trade_off("usps-fastrnn", path),
}


def outcome(read, path):
    try:
        return read(path)
    except (OSError, ValueError) as error:
        return type(error), str(error)


@pytest.mark.parametrize("name", READERS)
def test_nothing_there_is_said_alike_of_a_string(name, tmp_path):
    read, path = READERS[name], tmp_path / "nothing here"
    assert outcome(read, os.fspath(path)) == outcome(read, path)
