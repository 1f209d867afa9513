"""Networks in 32 KB of flash and 2 KB of RAM: the limits hold, results and counts are exact.

Compilers and emulators are system packages that `make test` installs: a missing one is a failure.
"""

import dataclasses
import json
import shutil
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from sklearn.datasets import load_digits

import kplib
from kplib import cli
from kplib.bench.devices import program as linking
from kplib.bench.devices.cases import NETWORKS, chosen_cases, data_options, first_record, untrained
from kplib.bench.devices.devices import DEVICES, STACK_BYTES, chosen_devices
from kplib.bench.devices.measure import Case, logits_here, measure, measure_all
from kplib.bench.devices.program import DeviceError, DoesNotFitError, build_program
from kplib.bench.devices.run import exchange, run_program, stack_bytes
from kplib.errors import ShapeError
from kplib.experiments.trained import load_trained

RUNS = Path(__file__).parents[3] / "book" / "results" / "runs"
UNO = DEVICES["arduino-uno"]
every_device = pytest.mark.parametrize("device", DEVICES.values(), ids=DEVICES)


@pytest.fixture(scope="module")
def images():
    """A hundred of scikit-learn's digits, as the 16 rows of 16 that usps-fastrnn takes."""
    digits = load_digits().images[:100]
    return np.kron(digits / 8 - 1, np.ones((2, 2))).astype(np.float32)


@pytest.fixture
def natively(tmp_path, monkeypatch):
    """Return a function that changes the text of main.c for the programs of this test."""
    folder = tmp_path / "native"
    shutil.copytree(linking.NATIVE, folder)
    monkeypatch.setattr(linking, "NATIVE", folder)

    def change(old, new):
        main = folder / "main.c"
        assert main.read_text().count(old) == 1
        main.write_text(main.read_text().replace(old, new))

    return change


def build(device, folder, benchmark="usps-fastrnn", technique="kp", weights="float32"):
    return build_program(untrained(benchmark, technique), device, weights, folder)


@pytest.mark.repository
@pytest.mark.parametrize("technique", ["kp", "baseline"])
@pytest.mark.parametrize("weights", ["float32", "int8"])
@every_device
def test_the_same_digit_as_here_for_a_hundred_images(device, weights, technique, images):
    record = first_record(RUNS, "usps-fastrnn", technique)
    model = load_trained(record)
    if data_options(record).get("scaling") == "range":
        images = (images + 1) / 2
    count = 100 if technique == "kp" or device is not UNO else 20  # simavr is slow
    case = Case("usps-fastrnn", technique, model, images[:count], None, "")
    expected = logits_here(case, weights)
    assert len(set(expected.argmax(axis=1))) > 5  # so that it can be wrong
    found = measure(case, device, weights, expected)
    assert (found.same, found.examples) == (count, count)
    assert found.largest_difference < 1e-5
    assert found.flash_bytes < device.flash_bytes
    assert found.static_bytes + found.stack_bytes < device.ram_bytes / 2
    assert 0 < found.counts_min <= found.counts_median <= found.counts_max


@pytest.mark.repository
def test_here_it_is_what_torch_computes(images):
    model = load_trained(first_record(RUNS, "usps-fastrnn", "kp"))
    found = logits_here(Case("usps-fastrnn", "kp", model, images, None, ""), "float32")
    with torch.inference_mode():
        expected = model(torch.from_numpy(images)).numpy()
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-4 * np.abs(expected).max())


@every_device
def test_counts_are_the_same_at_every_run(device, images, tmp_path):
    program = build(device, tmp_path)
    one, other = (run_program(program, images[:3], 10, tmp_path) for _ in range(2))
    np.testing.assert_array_equal(one.counts, other.counts)
    np.testing.assert_array_equal(one.logits, other.logits)
    assert one.counts.shape == (3, 17)
    # an example leaves nothing to the next one
    again = run_program(program, images[2:3], 10, tmp_path)
    np.testing.assert_array_equal(again.counts[0], one.counts[2])
    np.testing.assert_array_equal(again.logits[0], one.logits[2])


@every_device
def test_instructions_are_counted_one_by_one(device, images, tmp_path, natively):
    counts = {}
    step = "net_step(&state, x);"
    for more in (1, 8):  # each an instruction, and a cycle of the Uno
        new = f'net_step(&state, x); __asm__ volatile(".rept {more}\\n\\tnop\\n\\t.endr");'
        natively(step, new)
        counts[more] = run_program(build(device, tmp_path), images[:1], 10, tmp_path).counts[0]
        step = new
    np.testing.assert_array_equal(counts[8][:16] - counts[1][:16], 7)
    assert counts[8][16] == counts[1][16]


# the limits


@every_device
def test_flash_ends_at_the_byte(device, tmp_path):
    needed = build(device, tmp_path).flash_bytes
    exactly = dataclasses.replace(device, flash_bytes=needed)
    assert build(exactly, tmp_path).flash_bytes == needed
    with pytest.raises(DoesNotFitError, match=f"more than the {needed - 7:,} of flash") as error:
        build(dataclasses.replace(device, flash_bytes=needed - 7), tmp_path)
    assert error.value.excess == {"flash": 7}


@every_device
def test_ram_ends_at_the_byte_with_room_for_the_stack(device, tmp_path):
    needed = build(device, tmp_path).static_bytes + STACK_BYTES
    exactly = dataclasses.replace(device, ram_bytes=needed)
    assert build(exactly, tmp_path).static_bytes == needed - STACK_BYTES
    with pytest.raises(DoesNotFitError, match=f"more than the {needed - 12:,} of RAM") as error:
        build(dataclasses.replace(device, ram_bytes=needed - 12), tmp_path)
    assert error.value.excess == {"RAM": 12}


@every_device
def test_the_dense_network_of_mnist_fits_in_eight_bits_only(device, tmp_path):
    with pytest.raises(DoesNotFitError, match="does not fit") as error:
        build(device, tmp_path, "mnist-lstm", "baseline")
    assert error.value.excess["flash"] > 12 * 1024  # 44.7 KB and code
    assert error.value.at_least == (device is UNO)
    if device is not UNO:
        larger = dataclasses.replace(device, flash_bytes=64 * 1024)
        needed = build(larger, tmp_path, "mnist-lstm", "baseline").flash_bytes
        assert error.value.excess == {"flash": needed - device.flash_bytes}
    for technique, weights in (("baseline", "int8"), ("kp", "float32"), ("kp", "int8")):
        program = build(device, tmp_path, "mnist-lstm", technique, weights)
        assert program.export.weight_bytes < program.flash_bytes <= device.flash_bytes
        assert program.export.state_bytes <= program.static_bytes
        assert program.static_bytes < program.export.state_bytes + 32


def test_a_network_that_does_not_fit_is_a_row(images):
    model = untrained("mnist-lstm", "baseline")
    x = np.zeros((1, 28, 28), np.float32)
    (row,) = measure_all([Case("mnist-lstm", "baseline", model, x, None, "")], [UNO], ["float32"])
    assert isinstance(row.result, DoesNotFitError)


# the stack


@every_device
def test_a_deeper_stack_is_measured(device, images, tmp_path, natively):
    program = build(device, tmp_path)
    before = stack_bytes(program, run_program(program, images[:1], 10, tmp_path))
    assert 4 * (16 + 10) < before < STACK_BYTES  # a row and the logits
    deeper = "volatile char more[80]; for (int i = 0; i < 80; i++) more[i] = 0;"
    natively("uint16_t steps;", f"uint16_t steps; {deeper}")
    program = build(device, tmp_path)
    after = stack_bytes(program, run_program(program, images[:1], 10, tmp_path))
    assert 76 <= after - before <= 92  # what else main keeps may move


@pytest.mark.parametrize("name", ["cortex-m3", "cortex-m4f", "cortex-m55"])
def test_a_stack_that_leaves_its_place_is_an_error(name, images, tmp_path, natively):
    deeper = "volatile char more[{0}]; for (int i = 0; i < {0}; i++) more[i] = 0;"
    natively("uint16_t steps;", f"uint16_t steps; {deeper.format(STACK_BYTES)}")
    program = build(DEVICES[name], tmp_path)
    with pytest.raises(DeviceError, match="qemu-system-arm ended with status"):
        run_program(program, images[:1], 10, tmp_path)


# what goes wrong


def test_both_directions_are_refused(tmp_path):
    with pytest.raises(ValueError, match="both directions"):
        build_program(kplib.build("har1-bilstm", "kp", seed=0), UNO, "int8", tmp_path)


def test_a_missing_tool_is_named(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    for device, name in ((UNO, "avr-gcc"), (DEVICES["cortex-m3"], "arm-none-eabi-gcc")):
        with pytest.raises(DeviceError, match=rf"{name} is missing; .*--install test"):
            build(device, tmp_path)


def test_a_compiler_that_fails_is_quoted(tmp_path, natively):
    natively("uint16_t steps;", "uint16_t steps = nowhere;")
    for device in DEVICES.values():
        with pytest.raises(DeviceError, match="nowhere"):
            build(device, tmp_path)


def test_a_program_that_ends_early_is_an_error(images):
    with pytest.raises(DeviceError, match=r"status 3 after 0 of 50,802 bytes: so it is"):
        exchange(["sh", "-c", "cat >/dev/null; echo so it is >&2; exit 3"], images, 110)
    for shape in ((16, 16), (0, 16, 16), (1, 0, 16)):
        with pytest.raises(ShapeError, match="examples, steps, input"):
            exchange(["true"], np.zeros(shape), 10)


# what is measured


def test_cases_say_where_they_come_from(tmp_path):
    cases = chosen_cases(None, None, 2, tmp_path, random=True)
    assert [(case.benchmark, case.technique) for case in cases] == [
        (benchmark, technique) for benchmark in NETWORKS for technique in NETWORKS[benchmark]
    ]
    assert {case.source for case in cases} == {"not trained, seed 0"}
    assert all(case.labels is None for case in cases)
    assert cases[-1].x.shape == (2, 28, 28)
    pruned = cases[2].model.rnn.cells.l0.weight
    assert 0 < pruned.mask.sum() < pruned.mask.numel() / 4
    with pytest.raises(ValueError, match="no benchmark 'kws-lstm' for devices"):
        chosen_cases(["kws-lstm"], None, 2, tmp_path, random=True)
    with pytest.raises(ValueError, match="no technique 'hkp' for devices"):
        chosen_cases(None, ["hkp"], 2, tmp_path, random=True)
    with pytest.raises(ValueError, match="no device 'pdp-11'"):
        chosen_devices(["pdp-11"])


@pytest.mark.repository
def test_a_record_is_preferred():
    (case,) = chosen_cases(["usps-fastrnn"], ["lmf"], 1, RUNS, random=True)
    assert case.source.startswith("usps-fastrnn/lmf/seed-0-")


@pytest.mark.data("usps")
@pytest.mark.repository
def test_a_trained_network_on_its_data():
    (case,) = chosen_cases(["usps-fastrnn"], ["kp"], 100, RUNS)
    found = measure(case, DEVICES["cortex-m4f"], "float32", logits_here(case, "float32"))
    assert found.same == 100
    assert found.accuracy > 80


# the command


def command(monkeypatch, capsys, *arguments):
    monkeypatch.setattr(sys, "argv", ["kplib", "bench", "devices", *map(str, arguments)])
    status = 0
    try:
        cli.main()
    except SystemExit as end:
        status = end.code or 0
    return status, *capsys.readouterr()


def test_the_command_prints_a_table_and_leaves_a_record(monkeypatch, capsys, tmp_path):
    chosen = ["usps-fastrnn", "mnist-lstm", "--technique", "baseline", "--device", "cortex-m4f"]
    options = ["--random", "--examples", 2, "--runs", tmp_path, "--json", tmp_path]
    status, out, _ = command(monkeypatch, capsys, *chosen, *options)
    assert status == 0
    assert "32,768 bytes of flash, 2,048 of RAM; instructions per inference" in out
    assert out.count("2/2") == 3
    assert out.count("baseline, not trained") == 4
    text = (tmp_path / "devices.json").read_text()
    assert str(tmp_path) not in text
    record = json.loads(text)
    rows = record["measurements"]
    assert [row["fits"] for row in rows] == [True, True, False, True]
    assert f"does not fit, by {rows[2]['excess_bytes']['flash']:,} B of flash" in out
    assert f"{rows[0]['counts_median']:,}" in out
    assert rows[0]["source"] == "not trained, seed 0"
    assert rows[0]["accuracy"] is None
    assert record["tools"]["qemu-system-arm"].startswith("QEMU emulator version")


def test_the_command_says_what_is_wrong_in_a_line(monkeypatch, capsys):
    for arguments in (["kws-lstm"], ["--technique", "hkp"], ["--device", "pdp-11"]):
        status, out, err = command(monkeypatch, capsys, "--random", *arguments)
        assert (status, out) == (2, "")
        assert arguments[-1] in err
        assert len(err.splitlines()) == 1
