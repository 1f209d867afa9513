"""kplib bench network: every peer computes the same logits; tables say what was measured."""

import io
import json
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from rich.console import Console

import kplib
from kplib import cli
from kplib.bench import command, network, network_memory, network_peers, network_report, peers
from kplib.bench.eigen_network import EigenNetwork
from kplib.bench.network import (
    GOALS,
    NETWORKS,
    Goal,
    NetworkRow,
    NetworkSpec,
    NetworkTable,
    NetworkTarget,
    chosen_specs,
    network_case,
    network_table,
    network_targets,
    prepare_networks,
)
from kplib.bench.network_arrays import network_arrays
from kplib.bench.network_onnx import FASTRNN_FORMS, onnx_model
from kplib.bench.network_peers import (
    ALGORITHM1,
    BASELINE,
    OURS,
    OURS_INT8,
    PEERS,
    NetworkCase,
    peers_of,
    sequence_macs,
)
from kplib.bench.timing import Speedup, Timing
from kplib.nn import GRU, LSTM, RNN, Classifier, Dense, FastRNN, Kronecker, LowRank, Sparse

CELLS = {
    "lstm": lambda **options: LSTM(4, 8, bias="one", batch_first=True, **options),
    "gru": lambda **options: GRU(4, 8, reset_after=False, batch_first=True, **options),
    "gru after": lambda **options: GRU(4, 8, reset_after=True, batch_first=True, **options),
    "fastrnn": lambda **options: FastRNN(4, 8, batch_first=True, **options),
    "tanh": lambda **options: RNN(4, 8, batch_first=True, **options),
    "relu": lambda **options: RNN(4, 8, nonlinearity="relu", batch_first=True, **options),
}
SIZES = {"one": {}, "two layers": {"num_layers": 2}, "both": {"bidirectional": True},
         "both, two layers": {"bidirectional": True, "num_layers": 2}}  # fmt: skip


def tiny(cell, weight=None, steps=5, seed=0, **options):
    """A network of eight units, its scalars and biases moved away from their initial values."""
    torch.manual_seed(seed)
    rnn = CELLS[cell](weight=weight or Dense(), **options)
    model = Classifier(rnn, torch.nn.Linear(rnn.directions * 8, 4)).eval()
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if name.endswith(("alpha", "beta")):
                parameter.copy_(torch.randn(()))
            elif "bias" in name:
                parameter.copy_(0.5 * torch.randn_like(parameter))
    return NetworkCase("tiny", cell, model, steps, seed)


def peer_named(name):
    return next(peer for peer in PEERS if peer.name == name)


def relative_error(logits, case):
    return np.abs(np.asarray(logits, float) - case.exact).max() / np.abs(case.exact).max()


def timing(seconds):
    return Timing((seconds,) * 3, loops=1)


def made_up(benchmark, **medians):
    """A table with one row an entry; the names are peer__network, the times microseconds."""
    names = {"ours": OURS, "onnx": BASELINE, "exported": network_peers.EXPORTED}
    rows = []
    for name, median in medians.items():
        peer, label = name.split("__")
        label = label.replace("_2", ", 2 layers")
        gain = Speedup(2.0, 1.5, 2.5)
        rows.append(NetworkRow(label, names[peer], timing(1e-6 * median), gain, 100, 1e-7))
    return NetworkTable(benchmark, 25, tuple(rows), {("absent", "kp"): "not installed"})


def printed(function, *arguments):
    file = io.StringIO()
    function(Console(file=file, width=140, highlight=False), *arguments)
    return file.getvalue()


@pytest.mark.parametrize("cell", ["lstm", "gru", "fastrnn"])
def test_every_installed_peer_computes_a_dense_networks_logits(cell):
    case = tiny(cell)
    calls, left_out = prepare_networks([case])
    assert left_out.pop((network_peers.TORCH_COMPILE, cell)).startswith("takes minutes")
    if cell == "fastrnn":
        assert left_out.pop(("torch.nn", cell)) == "torch.nn has no FastRNN"
    assert left_out == {}
    may_be_missing = {"torch.nn", network_peers.TORCH_COMPILE}
    assert {peer for peer, _ in calls} | may_be_missing == {
        "torch.nn", *(peer.name for peer in peers_of(case))
    }  # fmt: skip
    for (peer, _), call in calls.items():
        assert call.error(case) < call.tolerance, peer
        assert call.sampler(2) > 0
        assert call.macs == sequence_macs(case.model, case.steps)
        assert call.weight_bytes > 0
        assert call.state_bytes == 4 * 8 * (2 if cell == "lstm" else 1)


@pytest.mark.parametrize("weight", [Kronecker(), LowRank(2), Sparse(0.3)], ids=str)
def test_a_compressed_network_is_run_by_kplib_torch_and_multiplied_out(weight):
    case = tiny("lstm", weight)
    network._prune(case.model)
    calls, left_out = prepare_networks([case])
    assert left_out == {}
    expected = {OURS, OURS_INT8, BASELINE, "torch, kplib.nn"}
    assert {peer for peer, _ in calls} == expected | (
        {ALGORITHM1} & {p.name for p in peers_of(case)}
    )
    assert calls[BASELINE, "lstm"].note == "multiplied out"
    assert (ALGORITHM1, "lstm") in calls or case.kind == "other"
    dense = 5 * 4 * 8 * 12 + 8 * 4
    assert calls[BASELINE, "lstm"].macs == dense
    assert calls[OURS, "lstm"].macs == sequence_macs(case.model, 5) < dense


def test_torchs_own_gru_is_checked_against_its_own_logits():
    case = tiny("gru")
    call = peer_named("torch.nn").make(case)
    assert call.note == "resets after the product"
    assert call.error(case) < 1e-5
    assert relative_error(call.exact, case) > 1e-4  # another network than the papers'
    after = tiny("gru after")
    assert peer_named("torch.nn").make(after).note == ""
    assert relative_error(peer_named("torch.nn").make(after).result(), after) < 1e-5


def test_a_wrong_network_is_left_out():
    case = tiny("lstm")
    case.arrays.cells[0].W_h[0, 0, 0] += 1
    calls, left_out = prepare_networks([case])
    assert left_out[BASELINE, "lstm"].startswith("wrong result: relative error")
    assert (OURS, "lstm") in calls


@pytest.mark.parametrize("size", SIZES, ids=str)
@pytest.mark.parametrize("cell", CELLS)
def test_onnx_graphs_of_every_cell(cell, size):
    import onnxruntime

    case = tiny(cell, **SIZES[size])
    forms = FASTRNN_FORMS if cell == "fastrnn" else ["unrolled"]
    for form in forms:
        if cell == "fastrnn" and "both" in size and form != "gru":
            with pytest.raises(ValueError, match="both directions"):
                onnx_model(case.arrays, 5, form)
            continue
        model = onnx_model(case.arrays, 5, form).SerializeToString()
        session = onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"])
        (logits,) = session.run(None, {"x": case.x[:, None]})
        assert relative_error(logits[0], case) < 1e-5, form


def test_a_form_that_is_none_is_refused():
    with pytest.raises(
        ValueError, match="fastrnn is 'loop', but must be one of unrolled, scan, gru"
    ):
        onnx_model(tiny("fastrnn").arrays, 5, "loop")


@pytest.mark.parametrize("size", SIZES, ids=str)
@pytest.mark.parametrize("cell", ["lstm", "gru", "fastrnn"])
def test_eigen_runs_layers_and_directions_by_every_product(cell, size):
    for steps in (1, 2, 7):
        case = tiny(cell, Kronecker(), steps=steps, **SIZES[size])
        for product in ("by_rows", "by_columns", "algorithm1"):
            network = EigenNetwork(case.arrays, case.x, product)
            assert relative_error(network.logits(), case) < 1e-5, (product, steps)


def test_eigen_refuses_what_it_cannot_run():
    with pytest.raises(peers.Unavailable, match="two factors"):
        EigenNetwork(tiny("lstm").arrays, np.zeros((5, 4), np.float32), "algorithm1")
    with pytest.raises(peers.Unavailable, match="no rnn_tanh"):
        EigenNetwork(tiny("tanh").arrays, np.zeros((5, 4), np.float32), "by_rows")


@pytest.mark.parametrize(
    ("module", "absent", "hint"),
    [("onnxruntime", BASELINE, "pip install onnxruntime onnx"),
     ("openvino", "OpenVINO", "pip install openvino onnx"),
     ("onnx", BASELINE, "pip install onnxruntime onnx")],
)  # fmt: skip
def test_a_peer_that_is_not_installed_is_named(monkeypatch, module, absent, hint):
    monkeypatch.setitem(sys.modules, module, None)
    table = network_table([tiny("lstm")], rounds=1)
    assert f"not installed ({hint})" in table.left_out[absent, "lstm"]
    assert table.row((absent, "lstm")) is None
    assert table.row((OURS, "lstm")) is not None
    assert f"not timed: {absent} (lstm): not installed" in printed(
        network_report.print_network_table, table
    )


def test_without_eigen_its_rows_are_named_with_the_debian_package(monkeypatch):
    from kplib.bench import native

    def no_header(*_):
        raise peers.Unavailable("fatal error: Eigen/Dense: No such file or directory")

    monkeypatch.setattr(native, "build", no_header)
    _, left_out = prepare_networks([tiny("lstm", Kronecker())])
    assert "Debian: libeigen3-dev" in left_out[ALGORITHM1, "lstm"]


def test_a_network_that_kplib_cannot_compile_is_named(monkeypatch):
    def refuse(model, **_):
        raise TypeError("compile has no form for it")

    monkeypatch.setattr(kplib, "compile", refuse)
    _, left_out = prepare_networks([tiny("lstm")])
    assert left_out[OURS, "lstm"] == "not compiled yet: compile has no form for it"


def test_weights_in_8_bits_are_a_peer_of_their_own_with_a_looser_check():
    for weight in (Kronecker(), Dense()):
        calls, _ = prepare_networks([tiny("lstm", weight)])
        ours, rounded = calls[OURS, "lstm"], calls[OURS_INT8, "lstm"]
        case = tiny("lstm", weight)
        assert ours.error(case) < 1e-5 < rounded.error(case) < network_peers.INT8_TOLERANCE
        assert rounded.weight_bytes < ours.weight_bytes / 3
        assert rounded.macs == ours.macs


def test_the_table_says_in_which_form_a_pruned_network_is_stored():
    """Of the papers' networks: whole where 5 % of the entries cost more one by one.

    What widening from 8 bits costs is a matter of how many numbers a vector has.
    """
    wide = "avx512f" in Path("/proc/cpuinfo").read_text(encoding="utf-8")
    forms = {}
    for benchmark in ("kws-lstm", "usps-fastrnn"):
        case = network_case(NetworkSpec(benchmark, "pruned"))
        for peer in peers_of(case):
            if peer.name in (OURS, OURS_INT8):
                forms[benchmark, peer.name] = peer.make(case).note
    assert forms == {
        ("kws-lstm", OURS): "sliced ELLPACK", ("kws-lstm", OURS_INT8): "sliced ELLPACK",
        ("usps-fastrnn", OURS): "stored whole",
        ("usps-fastrnn", OURS_INT8): "stored whole" if wide else "sliced ELLPACK",
    }  # fmt: skip
    dense = network_case(NetworkSpec("usps-fastrnn", "baseline"))
    assert [peer.make(dense).note for peer in peers_of(dense) if peer.name == OURS] == [""]


def test_the_command_refuses_what_it_does_not_know_before_it_times(monkeypatch, capsys):
    for arguments, message in (
        (["mnist"], "no network benchmark ['mnist']; there are kws-lstm"),
        (["--technique", "svd"], "no technique ['svd']; there are baseline"),
    ):
        monkeypatch.setattr(sys, "argv", ["kplib", "bench", "network", *arguments])
        with pytest.raises(SystemExit) as end:
            cli.main()
        assert end.value.code == 2
        assert message in capsys.readouterr().err


def test_a_table_has_the_dense_onnx_runtime_as_its_unit():
    dense, kp = tiny("lstm"), tiny("lstm", Kronecker())
    cases = [NetworkCase("tiny", name, case.model, 5)
             for name, case in (("baseline", dense), ("kp", kp))]  # fmt: skip
    messages = []
    table = network_table(cases, rounds=3, show=messages.append)
    assert table.row((BASELINE, "baseline")).speedup == Speedup(1.0, 1.0, 1.0)
    assert all(len(row.timing.seconds) == 3 for row in table.rows)
    assert all(row.speedup is not None for row in table.rows)
    assert all(row.relative_error < 1e-5 for row in table.rows if row.peer != OURS_INT8)
    assert messages
    alone = network_table(cases[1:], rounds=1)
    assert all(row.speedup is None for row in alone.rows)


def test_the_networks_are_the_papers():
    assert [spec.label for spec in NETWORKS["kws-lstm"]] == [
        "baseline", "small", "pruned", "lmf", "kp", "hkp 10x"
    ]  # fmt: skip
    assert [spec.label for spec in NETWORKS["kws-gru"]] == [
        "baseline", "small", "pruned", "lmf", "kp", "hkp 10x",
        "baseline, 2 layers", "lmf, 2 layers", "kp, 2 layers",
    ]  # fmt: skip
    # At 10x the hybrid has no dense rows left there: it would be the Kronecker network again.
    assert "hkp 10x" not in [spec.label for spec in NETWORKS["mnist-lstm"]]
    case = network_case(NetworkSpec("kws-gru", "kp", layers=2), threads=2)
    assert (case.steps, case.rnn.num_layers, case.threads) == (25, 2, 2)
    assert case.macs_of_algorithm1 == 564_498


def test_chosen_specs_keep_the_baseline_and_refuse_what_is_none():
    chosen = chosen_specs(["mnist-lstm", "kws-lstm", "mnist-lstm"], ["hkp"])
    assert {name: [s.label for s in specs] for name, specs in chosen.items()} == {
        "mnist-lstm": ["baseline"], "kws-lstm": ["baseline", "hkp 10x"]
    }  # fmt: skip
    assert list(chosen_specs(None, None)) == list(NETWORKS)
    with pytest.raises(ValueError, match=r"no network benchmark \['mnist'\]; there are kws-lstm"):
        chosen_specs(["mnist"], None)
    with pytest.raises(ValueError, match=r"no technique \['svd'\]; there are baseline, small"):
        chosen_specs(None, ["svd"])


def test_every_goal_is_about_entries_that_are_timed():
    for goal in GOALS:
        labels = [spec.label for spec in NETWORKS[goal.benchmark]]
        for peer, label in (goal.entry, goal.over):
            assert label in labels
            assert peer in [peer.name for peer in PEERS]
    assert {goal.benchmark for goal in GOALS} == set(NETWORKS)


def test_a_goal_is_met_at_its_value_and_missed_beyond_it():
    faster = Goal("kws-lstm", (OURS, "kp"), (BASELINE, "baseline"), 8)
    at_most = Goal("kws-lstm", (OURS, "kp"), (OURS, "lmf"), 1.3, "at most")
    for onnx, lmf, met in ((80.0, 10 / 1.3, True), (79.9, 7.6, False)):
        table = made_up("kws-lstm", ours__kp=10.0, onnx__baseline=onnx, ours__lmf=lmf)
        found = network_targets([table], [faster, at_most])
        assert [target.met for target in found] == [met, met]
        assert found[0].measured == pytest.approx(onnx / 10)
        assert found[1].measured == pytest.approx(10 / lmf)
        assert found[0].mac_ratio == 1.0


def test_a_goal_that_was_not_measured_is_not_met_and_others_are_left_alone():
    table = made_up("kws-gru", ours__kp_2=10.0, onnx__baseline=45.0)
    found = {target.goal.name: target for target in network_targets([table])}
    assert all(target.goal.benchmark == "kws-gru" for target in found.values())
    assert sum(target.met for target in found.values()) == 1
    one_layer = found["kws-gru: kplib.compile, kp, 2 layers against ONNX Runtime, baseline"]
    assert one_layer.met
    assert one_layer.measured == pytest.approx(4.5)
    assert not NetworkTarget(GOALS[0], None).met


def test_losses_are_all_entries_that_beat_the_kronecker_network():
    table = made_up("kws-lstm", ours__kp=10.0, onnx__kp=9.0, ours__lmf=5.0, onnx__baseline=80.0)
    assert [(row.peer, row.network, round(gain, 2)) for row, gain in table.losses] == [
        (BASELINE, "kp", 1.11), (OURS, "lmf", 2.0)
    ]  # fmt: skip
    assert made_up("kws-lstm", onnx__kp=9.0).losses == []
    text = printed(network_report.print_network_table, table)
    assert "faster than kplib.compile, kp: lmf: kplib.compile, 2.00 times" in text
    assert "kp: ONNX Runtime is 1.11 times as fast as kplib.compile" in text
    assert "not timed: absent (kp): not installed" in text


def test_printed_targets_say_what_was_missed():
    tables = [made_up("kws-lstm", ours__kp=10.0, onnx__baseline=79.0, ours__pruned=11.0)]
    lines = printed(network_report.print_network_targets, network_targets(tables)).splitlines()
    (ratio,) = (
        line for line in lines if "against ONNX Runtime, baseline" in line and ", kp" in line
    )
    assert ratio.split()[-5:] == [">=", "8", "7.90", "1", "NO"]
    (pruned,) = (line for line in lines if line.startswith("kws-lstm") and "pruned" in line)
    assert pruned.split()[-5:] == ["<=", "1", "0.91", "1", "yes"]
    assert sum("not measured" in line for line in lines) == 1
    assert printed(network_report.print_network_targets, []) == ""


def test_a_record_holds_every_number_as_json():
    table = made_up("kws-lstm", ours__kp=10.0, ours__lmf=5.0, onnx__baseline=80.0)
    found = network_targets([table])
    record = network_report.record({"date": "today"}, {"rounds": 3}, [table], found)
    assert json.loads(json.dumps(record, allow_nan=False)) == record
    assert record["benchmark"] == "network"
    (entry,) = record["tables"]
    assert entry["rows"][0]["nanoseconds"] == {"median": 1e4, "p10": 1e4, "p90": 1e4}
    assert entry["rows"][0].keys() >= {
        "peer", "network", "note", "how", "macs", "relative_error", "rounds", "calls_per_sample",
        "speedup", "weight_bytes", "state_bytes", "peak_bytes",
    }  # fmt: skip
    assert entry["left_out"] == [{"peer": "absent", "network": "kp", "reason": "not installed"}]
    assert entry["faster_than_ours"] == [{"peer": OURS, "network": "lmf"}]
    assert [target["met"] for target in record["targets"]] == [True, False, False]
    assert record["targets"][0]["wanted"] == 8


def test_the_peak_is_measured_in_a_process_of_its_own():
    if not network_memory._CLEAR.exists():
        assert network_memory.peak_bytes(tiny("lstm"), BASELINE) is None
        return
    small = network_case(NetworkSpec("mnist-lstm", "baseline"))
    torch.manual_seed(0)
    rnn = LSTM(64, 1024, bias="one", batch_first=True, weight=Dense())
    large = NetworkCase("large", "large", Classifier(rnn, torch.nn.Linear(1024, 4)).eval(), 3)
    peaks = [network_memory.peak_bytes(case, BASELINE) for case in (small, large)]
    assert peaks[1] > 4 * 4 * 1024 * 1088 > peaks[0]  # it holds its weights
    assert network_memory.peak_bytes(small, "no such peer") is None


def test_the_command_prints_tables_and_targets_and_leaves_a_record(tmp_path, monkeypatch, capsys):
    def one_peer(case):
        return [peer_named(name) for name in (BASELINE, "torch, kplib.nn")]

    monkeypatch.setattr(network, "peers_of", one_peer)
    monkeypatch.setattr(network, "peak_bytes", lambda case, peer: 3 * 1024)
    threads = torch.get_num_threads()
    settings = command.NetworkSettings(2, 1, 0, torch_compile=False, memory=True)
    chosen = chosen_specs(["mnist-lstm"], ["kp"])
    path = command.json_path(tmp_path, "network")
    command.network(chosen, settings, path, ["bench", "network", "mnist-lstm"])
    assert torch.get_num_threads() == threads
    text = capsys.readouterr().out
    assert "mnist-lstm: one sequence of 28 steps, batch 1" in text
    assert "kp: ONNX Runtime (multiplied out)" in text
    assert "peak KB" in text
    assert text.count("not measured") == 2  # kplib's own entries are missing
    assert [path] == list(tmp_path.glob("network-*.json"))
    record = json.loads(path.read_text())
    assert record["command"] == "kplib bench network mnist-lstm"
    assert record["settings"]["networks"] == {"mnist-lstm": ["baseline", "kp"]}
    assert "onnxruntime" in record["libraries"]["versions"]
    assert [row["peak_bytes"] for row in record["tables"][0]["rows"]] == [3072] * 4


def test_arrays_refuse_a_layer_of_torch():
    with pytest.raises(TypeError, match=r"needs a real layer of kplib\.nn, found LSTM"):
        network_arrays(Classifier(torch.nn.LSTM(4, 8), torch.nn.Linear(8, 4)))
